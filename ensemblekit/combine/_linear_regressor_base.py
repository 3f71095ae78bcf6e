"""The two losses of LinearStackRegressor: one knows moments, the other rows."""

import warnings
from dataclasses import dataclass

import numpy as np

from .. import kernels
from ..convex.feasible import Simplex
from ..convex.losses import Huber
from ..convex.penalty import Penalty as LinearPenalty
from ..convex.problem import RowLoss
from ..exceptions import ConvergenceWarning
from ._base import check_squares

_TOL = 1e-13  # relative gap of Huber's fits
_BLOCK = 2**17  # numbers in scratch per block of rows
_EXACT = 1e-6  # deviations of y at the bend where most rows are predicted exactly
_OWN = 1.0  # how dear the intercept is, in deviations of y, to one member's weight
_BENDS_AT = 3.0  # robust standard deviations of a residual, for delta="auto"
_MAD_OF_NORMAL = 0.6744897501960817


@dataclass(frozen=True)
class Stack:
    """One fit: weights, those of the convex mixture, and the intercept."""

    weights: np.ndarray
    convex: np.ndarray
    intercept: float


@dataclass(frozen=True)
class Part:
    """Rows that `fold` holds out, and that `first` was the first fold to hold out."""

    fold: int
    first: int
    rows: np.ndarray
    size: float


def held_out_parts(splits, weight):
    """Return the `Part`s of all folds that have weight; of a partition, its folds.

    Rows that were first held out together are one draw of a standard error: repeats of
    a split say nothing new of them.
    """
    first = np.full(len(weight), -1)
    for k in reversed(range(len(splits))):
        first[splits[k][1]] = k
    parts = []
    for k, (_, test) in enumerate(splits):
        for group in np.unique(first[test]):
            rows = test[first[test] == group]
            parts.append(Part(k, int(group), rows, float(weight[rows].sum())))
    return [part for part in parts if part.size > 0.0]


class SquaredStack:
    """Squared error: whatever is asked is answered from moments of the rows."""

    def __init__(self, P, y, weight, splits):
        self.centre, self.n_folds = _find_centre(P, y, weight), len(splits)
        with np.errstate(over="ignore", invalid="ignore"):
            self.parts = held_out_parts(splits, weight)
            self.held_out = [self._moments(P, y, weight, p.rows) for p in self.parts]
            self.partition = _is_partition(splits, len(y))
            if self.partition:
                self.total = sum(self.held_out)
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

    def held_out_losses(self, ridges):
        """Return the losses of the parts, (n_parts, n_ridges), and 0 left off each."""
        fits = [self._path(self._without(k), ridges)[1:] for k in range(self.n_folds)]
        losses = [
            kernels.ridge_path.moment_losses(moments, self.centre, *fits[part.fold])
            for part, moments in zip(self.parts, self.held_out, strict=True)
        ]
        return np.array(losses), np.zeros(len(losses))

    def _without(self, fold):
        """Return the moments of a fold's training rows."""
        if not self.partition:
            return self.training[fold]
        # The sum of the others, where a difference could lose all digits.
        return sum(self.held_out[:fold] + self.held_out[fold + 1 :])

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
    """Huber's loss: Newton steps on the rows, each penalty from the one before.

    Whatever is measured of y and of the members is a median: one gross error would
    carry means away.
    """

    def __init__(self, P, y, weight, splits, delta):
        self.weight, self.splits = weight, splits
        self.parts = held_out_parts(splits, weight)
        level, means = _median(y, weight), _member_medians(P)
        lowest, middle, highest = _row_ranges(P)
        _check_scale(y - level, np.append(means, level), y - lowest, y - highest)
        self.level, self.means = level, means
        self.variance = _robust_variance(y, weight)
        ranges = P, y, lowest, highest
        self.delta = self._bend(*ranges, y - middle) if delta == "auto" else delta
        self._split_off(*ranges, self.delta)
        self.own, self.basis, self.features = _find_features(P, means, level)

    def fit(self, ridge):
        """Return the `Stack` of all rows."""
        # Without penalty no row may be inside the bend where a fit starts from afar.
        ridges = [ridge] if ridge else [1.0, 1e-3, 0.0]
        convex, theta, _, gap, scale = self._path(self.weight, ridges)[-1]
        _warn_if_open(gap, scale, self.variance + self.level**2)
        step = theta[:-1] if self.basis is None else self.basis @ theta[:-1]
        return Stack(convex + step, convex, float(theta[-1] - self.means @ step))

    def held_out_losses(self, ridges):
        """Return the losses of the parts, (n_parts, n_ridges), and what is left off.

        That is what rows far away have to lose whatever the ridge, (n_parts,).
        """
        paths, excesses, losses = [], [], []
        for train, _ in self.splits:
            times = np.bincount(train, minlength=len(self.weight))
            # Rows held out have weight 0 and are predicted with the others.
            path = self._path(self.weight * times, ridges)
            paths.append([near for _, _, near, _, _ in path])
        rise = kernels.huber_path.rise
        for part in self.parts:
            rows = part.rows
            share = self.weight[rows] / self.weight[rows].sum()
            far, nothing = self.far[rows], np.zeros(len(rows))
            own = (
                rise(near[rows], nothing, far, self.delta) for near in paths[part.fold]
            )
            excesses.append([share @ each for each in own])
            losses.append(Huber(self.delta).mean(far, share))
        return np.array(excesses), np.array(losses)

    def _path(self, weight, ridges):
        """Return (convex weights, coefficients, residuals, gap, scale) by ridge."""
        share = weight / weight.sum()
        convex = self._convex(weight, self.delta)
        left = -self.residuals.product(convex)
        theta, curvature = np.zeros(len(self.own)), None
        path = []
        for ridge in ridges:
            cost = self.variance * len(self.means)
            theta, near, curvature, gap, scale = kernels.huber_path.huber_fit(
                self.features,
                left,
                self.far,
                share,
                self.delta,
                kernels.huber_path.Penalty(ridge, cost, self.own),
                theta,
                curvature,
                _TOL,
            )
            path.append((convex, theta, near, gap, scale))
        return path

    def _bend(self, P, y, lowest, highest, left):
        """Return a few times the spread of what the members' best mixture leaves.

        left : what the members' medians leave, whose spread bends that mixture
        """
        start = _BENDS_AT * np.sqrt(_robust_variance(left, self.weight))
        self._split_off(P, y, lowest, highest, start)
        near = -self.residuals.product(self._convex(self.weight, start))
        spread = _robust_deviation(near + self.far, self.weight)
        return _BENDS_AT * float(spread or _EXACT * np.sqrt(self.variance))

    def _split_off(self, P, y, lowest, highest, delta):
        """Measure residuals from y moved to where all mixtures are outside the bend.

        There Huber's loss is linear: the mixture stays the best, and keeps its digits.
        """
        near = np.clip(y, lowest - delta, highest + delta)
        self.far = y - near
        self.residuals = kernels.design.Design(P, near)

    def _convex(self, weight, delta):
        m = self.residuals.n_members
        problem = RowLoss(self.residuals, weight, Huber(delta))
        nothing = LinearPenalty(0.0, np.zeros(m), np.zeros(m))
        return problem.minimise(Simplex(m), nothing, 1e-12, 10_000).x


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
        _check_scale(y - centre[-1], centre)
    return centre


def _check_scale(away, *others):
    """Refuse what cannot be squared; away : y, measured from its centre."""
    with np.errstate(over="ignore", invalid="ignore"):
        for values in (away, *others):
            check_squares(np.abs(values).max() ** 2)
    if 0.0 < np.abs(away).max() < 1e-150:
        check_squares(np.inf)


def _row_ranges(P):
    """Return the lowest, the median and the highest prediction of each row."""
    found = np.empty((3, len(P)))
    for first, part in kernels.design.in_memory(P):
        step = max(1, _BLOCK // part.shape[1])
        for start in range(0, len(part), step):
            rows = part[start : start + step]
            own = found[:, first + start : first + start + len(rows)]
            own[0], own[2] = rows.min(axis=1), rows.max(axis=1)
            own[1] = np.median(rows, axis=1)
    return found


def _member_medians(P):
    """Return a centre of each member: any will do that is where most rows are."""
    columns = (np.asarray(P[:, j], np.float64) for j in range(P.shape[1]))
    return np.array([np.median(column) for column in columns])


def _robust_variance(y, weight):
    """Variance of a normal y from the median distance to the median.

    Where most rows are equal, from that of the others.
    """
    spread = _robust_deviation(y, weight)
    away = np.abs(y - _median(y, weight))
    others = (away > 0.0) & (weight > 0.0)
    if spread == 0.0 and others.any():
        spread = _median(away[others], weight[others]) / _MAD_OF_NORMAL
    return spread**2 or 1.0


def _robust_deviation(values, weight):
    away = np.abs(values - _median(values, weight))
    return _median(away, weight) / _MAD_OF_NORMAL


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


def _warn_if_open(gap, scale, size):
    """Warn, unless residuals are rounding; size : of squares of y."""
    if gap > 1e-8 * scale + (8.0 * np.finfo(float).eps) ** 2 * size:
        warnings.warn(
            f"LinearStackRegressor stopped up to {gap:.3g} above the optimum of its "
            f"objective, of which rows inside the bend make {scale:.3g}. Raise ridge.",
            ConvergenceWarning,
            stacklevel=6,
        )
