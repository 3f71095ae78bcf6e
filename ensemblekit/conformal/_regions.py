"""Regions of several outputs: a score of targets, and where the score is low enough.

A region has ``scores(predicted, X, Y)`` -> (n, n_scores), where a target is inside if
each score is at most its threshold; ``level(alpha)``, the miscoverage of one score;
``volumes(predicted, X, thresholds)`` -> (n, n_levels) for thresholds (n_scores,
n_levels); boxes have ``ends(predicted, X, thresholds)`` -> (n, D, 2, n_levels).
"""

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.special import gammaln
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

from .. import kernels
from .._sklearn import _num_samples, _safe_indexing

# Leaves of this many rows and trees at a time.
_BLOCK = 2**20


class Box:
    """The largest residual in units of a scale for each output."""

    def __init__(self, scale):
        self.scale = scale

    def level(self, alpha):
        return alpha

    def scores(self, predicted, X, Y):
        return (np.abs(Y - predicted) / self.scale).max(axis=1, keepdims=True)

    def ends(self, predicted, X, thresholds):
        half = self.scale[:, None] * thresholds
        return np.stack(
            [predicted[..., None] - half, predicted[..., None] + half], axis=2
        )

    def volumes(self, predicted, X, thresholds):
        return box_volumes(self.ends(predicted, X, thresholds))


class Bonferroni(Box):
    """Each output's residual by itself, at its share of alpha."""

    def level(self, alpha):
        return alpha / len(self.scale)  # a fraction stays one

    def scores(self, predicted, X, Y):
        return np.abs(Y - predicted)

    def ends(self, predicted, X, thresholds):
        return np.stack(
            [predicted[..., None] - thresholds, predicted[..., None] + thresholds],
            axis=2,
        )


class Ellipsoid:
    """The length of the residual in the metric of the residuals' covariance."""

    def __init__(self, location, shape):
        self.location, self.shape = location, shape
        self._root = cholesky(shape, lower=True)

    def level(self, alpha):
        return alpha

    def scores(self, predicted, X, Y):
        centred = (Y - predicted - self.location).T
        standard = solve_triangular(self._root, centred, lower=True)
        return np.sqrt((standard * standard).sum(axis=0))[:, None]

    def volumes(self, predicted, X, thresholds):
        n_outputs = len(self.location)
        unit = 0.5 * n_outputs * np.log(np.pi) - gammaln(0.5 * n_outputs + 1.0)
        unit += np.log(np.diag(self._root)).sum()
        with np.errstate(divide="ignore"):  # the logarithm of a radius of 0
            volumes = np.exp(unit + n_outputs * np.log(thresholds))
        return np.repeat(volumes, len(predicted), axis=0)


class Distributional:
    """The farthest place of a target in a forest's conditional distributions."""

    def __init__(self, forest, X, Y, weight):
        self.forest = forest
        weight = np.ones(len(Y)) if weight is None else weight / weight.max()
        rows = np.flatnonzero(weight > 0.0)
        self._weight, targets = weight[rows], Y[rows].T
        order = np.argsort(targets, axis=1, kind="stable")
        self._ranks = np.argsort(order, axis=1)
        self._Y = np.take_along_axis(targets, order, axis=1)
        n_nodes = [tree.tree_.node_count for tree in forest.estimators_]
        offsets = np.concatenate([[0], np.cumsum(n_nodes)[:-1]])
        leaves = np.vstack([block for _, block in self._leaf_blocks(X)])[rows]
        groups = kernels.forest_quantiles.group_by_leaf(leaves, n_nodes, self._weight)
        self._leaves = offsets, *groups

    def level(self, alpha):
        return alpha

    def scores(self, predicted, X, Y):
        depths = np.empty(len(Y))
        self._run(kernels.forest_regions.forest_depths, X, depths, Y)
        return depths[:, None]

    def ends(self, predicted, X, thresholds):
        boxes = np.empty((_num_samples(X), len(self._Y), 2, thresholds.shape[1]))
        self._run(kernels.forest_regions.forest_boxes, X, boxes, thresholds[0])
        return boxes

    def volumes(self, predicted, X, thresholds):
        return box_volumes(self.ends(predicted, X, thresholds))

    def _run(self, kernel, X, out, given):
        """Fill `out` block by block; `given` has one entry for each row, or is 1-d."""
        model = *self._leaves, self._ranks, self._Y, self._weight
        for rows, leaves in self._leaf_blocks(X):
            kernel(leaves, *model, given[rows] if given.ndim == 2 else given, out[rows])

    def _leaf_blocks(self, X):
        """Yield slices of rows and their leaves, (n_rows, n_trees) int32."""
        n_rows = _num_samples(X)
        size = max(1, _BLOCK // len(self.forest.estimators_))
        for start in range(0, n_rows, size):
            rows = slice(start, min(start + size, n_rows))
            block = X if size >= n_rows else _safe_indexing(X, rows)
            yield rows, self.forest.apply(block).astype(np.int32)


def residual_scale(residuals):
    """Return the mean absolute residual of each output, 1 where all are zero."""
    scale = np.abs(residuals).mean(axis=0)
    return np.where(scale > 0.0, scale, 1.0)


def residual_shape(residuals):
    """Return mean and covariance of residuals, the latter drawn to its diagonal.

    The weight of the diagonal is D / (n + D) for n residuals of D outputs, so that the
    matrix is positive definite, and follows the units of each output.
    """
    n, n_outputs = residuals.shape
    location = residuals.mean(axis=0)
    scale = residuals.std(axis=0)
    scale = np.where(scale > 0.0, scale, 1.0)
    standard = (residuals - location) / scale
    correlation = standard.T @ standard / n
    np.fill_diagonal(correlation, 1.0)
    drawn = n / (n + n_outputs) * correlation
    np.fill_diagonal(drawn, 1.0)
    return location, drawn * np.outer(scale, scale)


def box_volumes(ends):
    """Return the products of the widths, infinite where any is."""
    widths = ends[:, :, 1] - ends[:, :, 0]
    with np.errstate(divide="ignore", invalid="ignore"):  # widths of 0, or infinite
        logs = np.log(widths).sum(axis=1)  # products would leave double precision
        return np.where(np.isinf(widths).any(axis=1), np.inf, np.exp(logs))


def check_forest(estimator):
    """Refuse what is no forest of scikit-learn for regression."""
    if not isinstance(estimator, RandomForestRegressor | ExtraTreesRegressor):
        raise ValueError(
            f"region='distributional' needs a forest; estimator is "
            f"{type(estimator).__name__}. Use RandomForestRegressor or "
            "ExtraTreesRegressor, or another region."
        )
