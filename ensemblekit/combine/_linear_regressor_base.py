"""The two losses of LinearStackRegressor: one knows moments, the other rows."""

import warnings
from dataclasses import dataclass

import numpy as np

from .. import kernels
from ..convex.feasible import Simplex
from ..convex.losses import Huber
from ..convex.penalty import Penalty
from ..convex.problem import RowLoss
from ..exceptions import ConvergenceWarning
from ._base import check_squares

_TOL = 1e-13  # relative gap of Huber's fits
_OWN = 1.0  # how dear the intercept is, in deviations of y, to one member's weight
_BENDS_AT = 3.0  # robust standard deviations of a residual, for delta="auto"
_MAD_OF_NORMAL = 0.6744897501960817


@dataclass(frozen=True)
class Stack:
    """One fit: weights, those of the convex mixture, and the intercept."""

    weights: np.ndarray
    convex: np.ndarray
    intercept: float


class SquaredStack:
    """Squared error: whatever is asked is answered from moments of the rows."""

    def __init__(self, P, y, weight, splits):
        self.centre = _find_centre(P, y, weight)
        with np.errstate(over="ignore", invalid="ignore"):
            self.parts = [self._moments(P, y, weight, test) for _, test in splits]
            self.partition = _is_partition(splits, len(y))
            if self.partition:
                self.total = sum(self.parts)
            else:
                self.total = self._moments(P, y, weight, slice(None))
            self.training = (
                []
                if self.partition
                else [self._moments(P, y, weight, train) for train, _ in splits]
            )
        check_squares(self.total)
        count = self.total[-1, -1]
        spread = self.total[-2, -2] / count - (self.total[-2, -1] / count) ** 2
        self.variance = spread if spread > 0.0 else 1.0

    def fit(self, ridge):
        """Return the `Stack` of all rows."""
        convex, weights, intercepts = self._path(self.total, [ridge])
        level = self.centre[-1] * (1.0 - weights[0].sum())
        return Stack(weights[0], convex, float(intercepts[0] + level))

    def fold_losses(self, ridges):
        """Return the held-out losses, (n_folds, n_ridges)."""
        losses = []
        for k, held_out in enumerate(self.parts):
            # The sum of the others, where a difference could lose all digits.
            training = (
                sum(self.parts[:k] + self.parts[k + 1 :])
                if self.partition
                else self.training[k]
            )
            _, *fitted = self._path(training, ridges)
            losses.append(
                kernels.ridge_path.moment_losses(held_out, self.centre, *fitted)
            )
        return np.array(losses)

    def _path(self, total, ridges):
        gram = kernels.ridge_path.residual_gram(total, self.centre)
        convex, _, _ = kernels.simplex_qp.solve(gram, np.zeros(len(gram)))
        weights, intercepts = kernels.ridge_path.ridge_path(
            total, self.centre, convex, ridges, self.variance, _OWN
        )
        return convex, weights, intercepts

    def _moments(self, P, y, weight, rows):
        return kernels.ridge_path.moments(P[rows], y[rows], weight[rows], self.centre)


class HuberStack:
    """Huber's loss: Newton steps on the rows, each penalty from the one before."""

    def __init__(self, P, y, weight, splits, delta):
        centre = _find_centre(P, y, weight)
        self.y, self.weight, self.splits = y, weight, splits
        self.level, self.means = centre[-1], centre[:-1] + centre[-1]
        self.residuals = kernels.design.Design(P, y)
        self.delta = self._bend() if delta == "auto" else delta
        self.own, self.basis, self.features = _find_features(P, self.means, self.level)
        self.spread = _robust_variance(y, weight)

    def fit(self, ridge):
        """Return the `Stack` of all rows."""
        # Without penalty no row may be inside the bend where a fit starts from afar.
        ridges = [ridge] if ridge else [1.0, 1e-3, 0.0]
        convex, theta, _, objective, gap = self._path(self.weight, ridges)[-1]
        _warn_if_open(objective, gap)
        step = theta[:-1] if self.basis is None else self.basis @ theta[:-1]
        return Stack(convex + step, convex, float(theta[-1] - self.means @ step))

    def fold_losses(self, ridges):
        """Return the held-out losses, (n_folds, n_ridges)."""
        huber, losses = Huber(self.delta), []
        for train, test in self.splits:
            times = np.bincount(train, minlength=len(self.y))
            weight = self.weight[test] / self.weight[test].sum()
            # Rows held out have weight 0 and are predicted with the others.
            path = self._path(self.weight * times, ridges)
            losses.append([huber.mean(fit[2][test], weight) for fit in path])
        return np.array(losses)

    def _path(self, weight, ridges):
        """Return (convex weights, coefficients, residuals, objective, gap) by ridge."""
        share = weight / weight.sum()
        convex = self._convex(weight)
        left = -self.residuals.product(convex)
        theta, curvature = np.zeros(len(self.own)), None
        path = []
        for ridge in ridges:
            theta, residual, curvature, objective, gap = kernels.huber_path.huber_fit(
                self.features,
                left,
                share,
                self.delta,
                self._penalty(ridge),
                theta,
                curvature,
                _TOL,
            )
            path.append((convex, theta, residual, objective, gap))
        return path

    def _bend(self):
        """Return a few times the spread of what the members' best mixture leaves."""
        with np.errstate(over="ignore", invalid="ignore"):
            gram = self.residuals.gram(self.weight)
        check_squares(gram)
        weights, _, _ = kernels.simplex_qp.solve(gram, np.zeros(len(gram)))
        spread = _robust_variance(-self.residuals.product(weights), self.weight)
        return _BENDS_AT * float(np.sqrt(spread))

    def _convex(self, weight):
        m = self.residuals.n_members
        problem = RowLoss(self.residuals, weight, Huber(self.delta))
        nothing = Penalty(0.0, np.zeros(m), np.zeros(m))
        return problem.minimise(Simplex(m), nothing, 1e-12, 10_000).x

    def _penalty(self, ridge):
        """Return the matrix of the penalty on step and intercept."""
        cost = np.append(np.full(len(self.own) - 1, self.spread * len(self.means)), 0.0)
        return ridge * (np.diag(cost) + _OWN * np.outer(self.own, self.own))


def _find_features(P, means, level):
    """Return what the intercept is, a basis or None, and the rows to fit.

    The intercept is counted where P and y are measured from the mean of y, and fitted
    where each member is measured from its own: it is ``own @ (step, constant)``. With
    more members than rows a solution lies in the span of the rows and `own`.
    """
    n_samples, n_members = P.shape
    ones, nothing = np.ones((n_samples, 1)), np.zeros(n_samples)
    if n_members <= n_samples:
        features = kernels.design.Design(P, nothing, centre=means, extra=ones)
        return np.append(level - means, 1.0), None, features
    rows = np.asarray(P) - means
    basis = np.linalg.qr(np.column_stack([rows.T, means - level]))[0]
    features = kernels.design.Design(rows @ basis, nothing, extra=ones)
    return np.append((level - means) @ basis, 1.0), basis, features


def _find_centre(P, y, weight):
    """Return the means of P - y and y; refuse scales that cannot be squared."""
    with np.errstate(over="ignore", invalid="ignore"):
        centre = kernels.ridge_path.find_centre(P, y, weight)
        check_squares(centre**2)
        spread = np.abs(y - centre[-1]).max()
        check_squares(spread**2)
    if 0.0 < spread < 1e-150:
        check_squares(np.inf)
    return centre


def _robust_variance(y, weight):
    """Variance of a normal y from the median distance to the median."""
    away = np.abs(y - _median(y, weight))
    spread = _median(away, weight) / _MAD_OF_NORMAL
    return spread**2 or np.average(away**2, weights=weight) or 1.0


def _median(values, weight):
    """Lowest value with at least half of the weight at it or below."""
    order = np.argsort(values)
    below = np.cumsum(weight[order])
    return values[order][np.searchsorted(below, 0.5 * below[-1])]


def _is_partition(splits, n_rows):
    """Say whether each row is held out once, and trained on by all other folds."""
    held_out = np.zeros(n_rows, dtype=np.int64)
    for train, test in splits:
        here = np.bincount(test, minlength=n_rows)
        held_out += here
        if (here + np.bincount(train, minlength=n_rows) != 1).any():
            return False
    return bool((held_out == 1).all())


def _warn_if_open(objective, gap):
    if gap > 1e-8 * objective:
        warnings.warn(
            f"LinearStackRegressor stopped up to {gap:.3g} above the optimum of its "
            f"objective, {objective:.3g}. Raise ridge.",
            ConvergenceWarning,
            stacklevel=6,
        )
