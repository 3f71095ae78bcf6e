"""LinearStackRegressor: weights of any sign and an intercept."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from threadpoolctl import threadpool_limits

from .. import kernels
from .._sklearn import Interval, Real, StrOptions, _fit_context
from ._base import (
    RegressionCombinerMixin,
    check_squares,
    row_folds,
    validate_regression,
)

__all__ = ["LinearStackRegressor"]

# Many small products: a second thread gains nothing, and on a busy machine its spinning
# cost a factor of 8 to 70.
_one_blas_thread = threadpool_limits.wrap(limits=1, user_api="blas")


class LinearStackRegressor(RegressionCombinerMixin, RegressorMixin, BaseEstimator):
    """Fit an intercept and member weights of any sign by ridge toward the mean.

    Minimises the mean of ``(y - b - P w)**2`` plus ``ridge * var(y) * n_members *
    ||w - 1/n_members||**2``: a growing `ridge` leads to the plain mean plus an
    intercept, never zero weights. Unlike a convex mixture it corrects members that are
    biased or shrunk; it needs more rows, and it extrapolates with its members.
    Duplicating all members leaves the prediction unchanged; duplicating one draws the
    mean toward it.

    Parameters
    ----------
    ridge : "cv" or float, default="cv"
        Penalty relative to the variance of y; >= 0. ``"cv"`` takes, from 19 values
        between 1e-6 and 1e3, the one of least cross-validated squared error; of equal
        ones the largest.
    cv : int, splitter or iterable of (train, test), default=5
        Row folds of ``ridge="cv"``; an int means that many shuffled folds with a fixed
        seed. Where rows come in groups, give the splits that keep groups together.
        Rows are split, so repeated rows are spread over folds: integer weights equal
        repeated rows for a fixed `ridge`, or where `cv` keeps copies together.

    Attributes
    ----------
    weights_ : ndarray of shape (n_members,), float64
        Of any sign, any sum.
    intercept_ : float
    ridge_ : float
        The penalty used.
    ridges_, cv_losses_ : ndarray of shape (19,), float64
        Penalties tried, descending, and their cross-validated mean squared errors;
        only for ``ridge="cv"``.
    n_features_in_ : int
        Number of members.

    Raises
    ------
    ValueError
        If P or y is NaN or infinite, lengths differ, there are fewer rows than folds,
        or weights are unfit.

    Notes
    -----
    Time: O(n_samples * n_members**2) a fold, whatever the number of penalties.

    References
    ----------
    .. [1] Breiman, "Stacked Regressions", Machine Learning 24, 1996.

    Examples
    --------
    >>> P = [[0.0, 1.0], [1.0, 1.0], [2.0, 3.0], [3.0, 3.0]]
    >>> y = [1.0, 3.0, 5.0, 7.0]  # twice the first member, plus 1
    >>> combiner = LinearStackRegressor(ridge=0).fit(P, y)
    >>> bool(np.allclose(combiner.weights_, [2, 0])), round(combiner.intercept_, 6)
    (True, 1.0)
    """

    _parameter_constraints: dict = {
        "ridge": [StrOptions({"cv"}), Interval(Real, 0, None, closed="left")],
        "cv": ["cv_object"],
    }

    def __init__(self, *, ridge="cv", cv=5):
        self.ridge = ridge
        self.cv = cv

    @_fit_context(prefer_skip_nested_validation=True)
    @_one_blas_thread
    def fit(self, P, y, sample_weight=None):
        """Fit weights and intercept.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members)
            Out-of-fold predictions.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative.

        Returns
        -------
        self : LinearStackRegressor
        """
        P, y, weight = validate_regression(self, P, y, sample_weight)
        centre = np.average(np.column_stack([P, y]), axis=0, weights=weight)
        total = kernels.linear_stack.moments(P, y, weight, centre)
        check_squares(total)
        self.ridge_ = self.ridge
        if self.ridge == "cv":
            self._choose_ridge(P, y, weight, centre, total)
        weights, intercepts = kernels.linear_stack.ridge_path(
            total, [_variance(total) * self.ridge_]
        )
        self.weights_ = weights[0]
        self.intercept_ = float(intercepts[0] + centre[-1] - centre[:-1] @ weights[0])
        return self

    def _choose_ridge(self, P, y, weight, centre, total):
        self.ridges_ = np.logspace(3, -6, 19)
        penalties = _variance(total) * self.ridges_
        losses, sizes = [], []
        for train, test in row_folds(self.cv, y, weight, stratify=False):
            held_out = kernels.linear_stack.moments(
                P[test], y[test], weight[test], centre
            )
            fitted_on = total - held_out
            if len(train) + len(test) != len(y):  # the fold leaves rows out
                fitted_on = kernels.linear_stack.moments(
                    P[train], y[train], weight[train], centre
                )
            fitted = kernels.linear_stack.ridge_path(fitted_on, penalties)
            losses.append(kernels.linear_stack.moment_losses(held_out, *fitted))
            sizes.append(weight[test].sum())
        self.cv_losses_ = np.average(losses, axis=0, weights=sizes)
        self.ridge_ = float(self.ridges_[np.argmin(self.cv_losses_)])

    def _combine(self, P):
        return P @ self.weights_ + self.intercept_


def _variance(total):
    """Variance of y, the unit of the penalty; 1 where y is constant."""
    return total[-2, -2] / total[-1, -1] or 1.0
