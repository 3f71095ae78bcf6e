"""Weights of quantile members that depend on the row: a linear softmax gate."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from .. import kernels
from ..convex import quantiles

GRID = (1e-1, 1e-2, 1e-3, 1e-4)
# Weight from which a gate starts where the best weights for all rows have none.
_FLOOR = 0.01
# The kink is rounded over that many mean losses; L-BFGS needs slopes that vary.
_BAND, _STEPS = 0.1, 60
# Standard deviations beyond which a feature says no more.
_REACH = 4.0


@dataclass(frozen=True)
class Features:
    """How rows become features: of mean 0 and deviation 1 on the rows fitted, and 1.

    Of each member the median, about the mean of the members', and the logarithm of the
    spread from level 0.1 to 0.9 (or of the outermost levels, where they are nearer);
    then the features given. What an absent member would say is 0, the mean.
    """

    levels: np.ndarray
    smallest: float
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fitted(cls, cube, present, given, levels, share):
        """Learn means and deviations."""
        spread = _spread(cube, levels)
        smallest = 1e-6 * float(np.nanmean(spread)) or 1.0
        rough = cls(levels, smallest, np.zeros(1), np.ones(1))
        raw = rough.read(cube, present, given)
        seen = ~np.isnan(raw)
        weight = seen * share[:, None]
        total = np.maximum(weight.sum(axis=0), np.finfo(float).tiny)  # never present
        values = np.where(seen, raw, 0.0)
        mean = (weight * values).sum(axis=0) / total
        squares = (weight * (values - mean) ** 2).sum(axis=0) / total
        # Rounding of a constant is no feature.
        size = np.abs(values).max(axis=0)
        varies = np.sqrt(squares) > 1e-9 * size
        return cls(levels, smallest, mean, np.where(varies, np.sqrt(squares), np.inf))

    def read(self, cube, present, given):
        """Return the features before they are scaled, (n, f); NaN of absent members."""
        middle = _at(cube, self.levels, 0.5)
        if present is not None:
            middle = np.where(present, middle, np.nan)
        parts = [middle - np.nanmean(middle, axis=1, keepdims=True)]
        if len(self.levels) > 1:
            spread = np.maximum(_spread(cube, self.levels), self.smallest)
            if present is not None:
                spread = np.where(present, spread, np.nan)
            parts.append(np.log(spread))
        if given is not None:
            parts.append(given)
        return np.hstack(parts)

    def of(self, cube, present, given):
        """Return the features with a column of ones, (n, f + 1)."""
        scaled = (self.read(cube, present, given) - self.mean) / self.deviation
        scaled = np.clip(np.nan_to_num(scaled, nan=0.0), -_REACH, _REACH)
        return np.hstack([np.ones((len(scaled), 1)), scaled])


def _at(cube, levels, wanted):
    """Return the members' quantiles at a level, (n, p); the outermost if beyond it."""
    k = int(np.clip(np.searchsorted(levels, wanted), 1, len(levels) - 1 or 1))
    if len(levels) == 1:
        return cube[:, :, 0].T
    part = (wanted - levels[k - 1]) / (levels[k] - levels[k - 1])
    part = float(np.clip(part, 0.0, 1.0))
    return ((1.0 - part) * cube[:, :, k - 1] + part * cube[:, :, k]).T


def _spread(cube, levels):
    return _at(cube, levels, 0.9) - _at(cube, levels, 0.1)


@dataclass(frozen=True)
class Gate:
    """Weights softmax(start + features @ coef) of the members present.

    start : (p,) logarithms of the weights for all rows; coef : (f + 1, p)
    """

    features: Features
    start: np.ndarray
    coef: np.ndarray

    def weights(self, cube, present, given):
        """Return the weights of each row, (n, p), sum 1; 0 of absent members."""
        scores = self.start + self.features.of(cube, present, given) @ self.coef
        return _softmax(scores, present)

    def of_all(self, members, cube, present, given):
        """Return the weights (n, p) of all members, of whom `members` have a score.

        Where none of those is present, the ones that are weigh the same.
        """
        local = np.zeros(cube.shape[1::-1])
        if present is None:
            local[:, members] = self.weights(cube[members], None, given)
            return local
        known = present[:, members].any(axis=1)
        own = None if given is None else given[known]
        some = cube[members][:, known]
        scored = self.weights(some, present[np.ix_(known, members)], own)
        local[np.ix_(known, members)] = scored
        strange = np.where(known[:, None], False, present)
        return local + strange / np.maximum(strange.sum(axis=1, keepdims=True), 1)


def _softmax(scores, present):
    if present is not None:
        scores = np.where(present, scores, -np.inf)
    return softmax(scores, axis=1)


def mix_local(cube, weights):
    """Return the mixture (n, m) of a cube (p, n, m) by weights (n, p)."""
    mixture = np.zeros(cube.shape[1:])
    for block, own in zip(cube, weights.T, strict=True):
        mixture += own[:, None] * np.where(own[:, None] > 0.0, block, 0.0)
    return mixture


def fit_path(rows, given, levels, weights, ridges):
    """Yield a `Gate` for each ridge, each from the one before.

    rows : Rows; given : (n, d) features or None; weights : (p,), the best for all rows
    Minimises the loss, in losses of `weights`, plus ridge * sum(coef**2); not convex.
    """
    cube = rows.cube
    features = Features.fitted(cube, rows.present, given, levels, rows.share)
    phi = features.of(cube, rows.present, given)
    start = np.log(np.maximum(weights, _FLOOR))
    residuals = rows.residuals
    if rows.present is not None:
        residuals = np.where(rows.present, residuals, 0.0)
    residuals = np.ascontiguousarray(residuals.transpose(0, 2, 1))
    unit = quantiles.mean_loss(rows.mix(weights), levels, rows.share) or 1.0
    shape = phi.shape[1], len(weights)
    coef = np.zeros(shape)

    def objective(flat, ridge):
        coef = flat.reshape(shape)
        local = _softmax(start + phi @ coef, rows.present)
        loss, pull = kernels.pinball.local_mean(
            residuals, np.ascontiguousarray(local.T), rows.share, levels, _BAND * unit
        )
        pull = pull.T
        slope = local * (pull - np.sum(local * pull, axis=1, keepdims=True))
        gradient = phi.T @ slope / unit + 2.0 * ridge * coef
        return loss / unit + ridge * np.sum(flat**2), gradient.ravel()

    for ridge in ridges:
        found = minimize(
            objective,
            coef.ravel(),
            args=(ridge,),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _STEPS},
        )
        coef = found.x.reshape(shape)
        yield Gate(features, start, coef)


def held_out_losses(rows, given, levels, rule, splits):
    """Return mean held-out losses of each ridge of `GRID`, then of weights for all.

    Weights for all rows are found anew on each split's training rows.
    """
    losses, sizes = [], []
    for train, test in splits:
        training, held_out = rows.take(train), rows.take(test)
        ours, theirs = (
            None if given is None else given[part] for part in (train, test)
        )
        weights = training.find(levels, rule).weights
        gates = fit_path(training, ours, levels, weights, GRID)
        cube = held_out.cube
        mixtures = [
            mix_local(cube, gate.weights(cube, held_out.present, theirs))
            for gate in gates
        ]
        mixtures.append(held_out.mix(weights))
        losses.append(
            [quantiles.mean_loss(mixed, levels, held_out.share) for mixed in mixtures]
        )
        sizes.append(rows.share[test].sum())
    return np.average(losses, axis=0, weights=sizes)


def best_gate(rows, given, levels, weights, ridge, losses=None):
    """Return the `Gate` and its ridge; None and inf where weights for all are better.

    losses : held out, for ridge="cv"
    """
    if losses is not None:
        if losses[-1] <= losses[:-1].min():
            return None, np.inf
        ridge = GRID[int(np.argmin(losses[:-1]))]  # of equal ones the largest
    path = [larger for larger in GRID if larger > ridge]
    *_, gate = fit_path(rows, given, levels, weights, [*path, ridge])
    cube = rows.cube
    mixture = mix_local(cube, gate.weights(cube, rows.present, given))
    before = quantiles.mean_loss(rows.mix(weights), levels, rows.share)
    if quantiles.mean_loss(mixture, levels, rows.share) < before:
        return gate, float(ridge)
    return None, np.inf
