"""ForestQuantileRegressor: quantiles from the leaves of a forest."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

from .. import kernels
from .._sklearn import _fit_context, _num_samples, _safe_indexing
from ._base import QuantileMemberMixin, weight_arguments

__all__ = ["ForestQuantileRegressor"]

# Leaves of this many rows and trees at a time.
_BLOCK = 2**20


class ForestQuantileRegressor(QuantileMemberMixin, RegressorMixin, BaseEstimator):
    """Quantiles of a random forest, or of extra trees.

    A forest's mean is a weighted mean of the training targets; their weighted quantiles
    under the same weights estimate those of y given X. One forest serves all levels,
    and its quantiles never cross or leave the range of y. Leaves should hold several
    rows: ``min_samples_leaf=5`` is a good start.

    Parameters
    ----------
    estimator : RandomForestRegressor, ExtraTreesRegressor or None, default=None
        None means ``RandomForestRegressor(min_samples_leaf=5)``.
    quantile_levels : array-like of shape (n_levels,), default=None
        Ascending in (0, 1). None means those of the stack that this is a member of,
        else 0.05, 0.1, 0.25, 0.5, 0.75, 0.9 and 0.95.

    Attributes
    ----------
    quantile_levels_ : ndarray of shape (n_levels,), float64
    estimator_ : fitted forest
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    ValueError
        If `estimator` is no forest of scikit-learn for regression, levels are unfit, or
        X and y are of different length or not finite.

    Notes
    -----
    As in the paper every training row counts in every tree, also those that the tree's
    bootstrap left out. A quantile is the smallest target that reaches the level, and
    the mean of it and the next where it reaches it exactly.

    Memory: 4 bytes for each training row and tree are kept; prediction takes some MB
    and no matrix of new by training rows. Time of one new row: k log k for the k
    training rows in its leaves.

    References
    ----------
    .. [1] Meinshausen, "Quantile Regression Forests", Journal of Machine Learning
       Research 7, 2006.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import ExtraTreesRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> trees = ExtraTreesRegressor(50, min_samples_leaf=5, random_state=0)
    >>> model = ForestQuantileRegressor(trees, [0.1, 0.5, 0.9]).fit(X, y)
    >>> model.predict_interval(X, alpha=0.2).shape
    (442, 2)
    """

    _parameter_constraints: dict = {
        "estimator": [RandomForestRegressor, ExtraTreesRegressor, None],
        "quantile_levels": ["array-like", None],
    }

    def __init__(self, estimator=None, quantile_levels=None):
        self.estimator = estimator
        self.quantile_levels = quantile_levels

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Fit the forest; list the training rows of its leaves.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; rows weigh accordingly in the forest and in its leaves.

        Returns
        -------
        self : ForestQuantileRegressor
        """
        X, y, weight = self._begin(X, y, sample_weight)
        keywords = weight_arguments(self._wrapped(), weight)
        self.estimator_ = clone(self._wrapped()).fit(X, y, **keywords)
        weight = np.ones(len(y)) if weight is None else weight / weight.max()
        rows = np.flatnonzero(weight > 0.0)
        rows = rows[np.argsort(y[rows], kind="stable")]
        self._y, self._weight = y[rows], weight[rows]
        n_nodes = [tree.tree_.node_count for tree in self.estimator_.estimators_]
        self._offsets = np.concatenate([[0], np.cumsum(n_nodes)[:-1]])
        leaves = np.vstack([block for _, block in self._leaf_blocks(X)])[rows]
        self._members, self._starts, self._scale = (
            kernels.forest_quantiles.group_by_leaf(leaves, n_nodes, self._weight)
        )
        return self

    def _quantiles(self, X):
        quantiles = np.empty((_num_samples(X), len(self.quantile_levels_)))
        for rows, leaves in self._leaf_blocks(X):
            kernels.forest_quantiles.forest_quantiles(
                leaves,
                self._offsets,
                self._members,
                self._starts,
                self._scale,
                self._y,
                self._weight,
                self.quantile_levels_,
                quantiles[rows],
            )
        return quantiles

    def _leaf_blocks(self, X):
        """Yield slices of rows and their leaves, (n_rows, n_trees) int32."""
        n_rows, n_trees = _num_samples(X), len(self.estimator_.estimators_)
        size = max(1, _BLOCK // n_trees)
        for start in range(0, n_rows, size):
            rows = slice(start, min(start + size, n_rows))
            block = X if size >= n_rows else _safe_indexing(X, rows)
            yield rows, self.estimator_.apply(block).astype(np.int32)

    def _wrapped(self):
        if self.estimator is None:
            return RandomForestRegressor(min_samples_leaf=5)
        return self.estimator
