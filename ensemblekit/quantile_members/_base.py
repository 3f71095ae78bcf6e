"""What the quantile members share: levels, median, intervals, checks, tags."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .. import _levels, layout
from .._members import weight_parameter
from .._routing import merge_member_tags
from .._sklearn import (
    _check_y,
    check_input_features,
    check_sample_weight,
    forget_fitted,
    routing_enabled,
)


class QuantileMemberMixin:
    """Median and intervals of an estimator that has ``_quantiles(X)``.

    The estimator has a parameter `quantile_levels` and sets `quantile_levels_` in fit.
    """

    n_features_in_: int
    quantile_levels_: NDArray
    _quantiles: Callable[[Any], NDArray]

    def predict_quantiles(self, X):
        """Predict quantiles.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        quantiles : ndarray of shape (n_samples, n_levels), float64
            Ascending along each row.
        """
        return self._quantiles(check_new(self, X))

    def predict(self, X):
        """Predict medians, interpolated where 0.5 is no level.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        prediction : ndarray of shape (n_samples,), float64

        Raises
        ------
        ValueError
            If all levels are above, or below, 0.5.
        """
        return _levels.median(self.predict_quantiles(X), self.quantile_levels_)

    def predict_interval(self, X, alpha=0.1):
        """Predict the intervals between the quantiles at ``alpha / 2`` and its mirror.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        alpha : float or array-like of shape (n_alphas,), default=0.1
            Miscoverage, in (0, 1), and not wider than the levels reach.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, 2, n_alphas)
        """
        quantiles = self.predict_quantiles(X)
        return _levels.central_interval(quantiles, self.quantile_levels_, alpha)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()  # type: ignore[misc]  # BaseEstimator's
        return merge_member_tags(tags, [("estimator", self._wrapped())])

    def _wrapped(self):
        return self.estimator  # type: ignore[attr-defined]  # a parameter

    def _begin(self, X, y, sample_weight):
        """Check what fit is given; set `quantile_levels_`.

        Returns
        -------
        X : as it was
        y : ndarray of shape (n_samples,), float64
        weight : ndarray of shape (n_samples,), or None
        """
        forget_fitted(self)
        levels = getattr(self, "quantile_levels", None)
        self.quantile_levels_ = layout.check_levels(
            _levels.DEFAULT_LEVELS if levels is None else levels
        )
        return check_training(self, X, y, sample_weight)


def check_training(estimator, X, y, sample_weight):
    """Check what the fit of a wrapper is given; record X's columns.

    Returns
    -------
    X : as it was
    y : ndarray of shape (n_samples,), float64
    weight : ndarray of shape (n_samples,), or None
    """
    X = check_columns(estimator, X)
    weight = sample_weight
    if weight is not None:
        weight = check_sample_weight(weight, X)
    return X, check_target(estimator, X, y), weight


def check_columns(estimator, X):
    """Record X's columns, of which there has to be one; return X as it was."""
    X = check_input_features(estimator, X, reset=True)
    if estimator.n_features_in_ == 0:
        raise ValueError(
            f"Found 0 feature(s) (shape={np.shape(X)}) while a minimum of 1 is "
            f"required by {type(estimator).__name__}."
        )
    return X


def check_new(estimator, X):
    """Check the columns of new rows of a fitted estimator; return X as it was."""
    check_is_fitted(estimator)
    return check_input_features(estimator, X, reset=False)


def require_target(estimator, y):
    """Refuse to go on without y."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is "
            "None."
        )


def check_target(estimator, X, y):
    """Return y as float64; refuse none, other shapes and lengths, NaN and infinity."""
    require_target(estimator, y)
    y = _check_y(y, y_numeric=True).astype(np.float64)
    check_consistent_length(X, y)
    return y


def check_labels(estimator, X, y):
    """Return y as a column of labels; refuse none, values, other shapes and lengths."""
    require_target(estimator, y)
    y = _check_y(y)
    check_classification_targets(y)
    check_consistent_length(X, y)
    return y


def weight_arguments(estimator, weight):
    """Return the keywords that hand weights to the fit of a wrapped estimator."""
    if weight is None:
        return {}
    if routing_enabled():  # pipelines then pass it on by request
        return {"sample_weight": weight}
    return {weight_parameter("The wrapped estimator", estimator): weight}
