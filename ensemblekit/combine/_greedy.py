"""EnsembleSelectionRegressor, EnsembleSelectionClassifier: greedy with replacement."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from .. import kernels, layout
from .._sklearn import Integral, Interval, StrOptions, _fit_context
from ..losses import LOG_CLIP
from ._base import (
    ClassificationCombinerMixin,
    RegressionCombinerMixin,
    mix_probabilities,
    mix_values,
    residual_gram,
    validate_classification,
    validate_regression,
)

__all__ = ["EnsembleSelectionClassifier", "EnsembleSelectionRegressor"]

_TIE = 1e-12
_N_ROUNDS = [Interval(Integral, 1, None, closed="left")]


class EnsembleSelectionRegressor(
    RegressionCombinerMixin, RegressorMixin, BaseEstimator
):
    """Select members greedily, with replacement, by squared error.

    Each round adds the member that lowers the mean squared error of the running mean
    most; the best prefix of the picks is kept, so the result is never worse than the
    best single member on the rows given. Coarser and slower to converge than
    `ConvexRegressor`, and by that a little less prone to overfit.

    Parameters
    ----------
    n_rounds : int, default=50
        Members added, counted with repeats; >= 1. Time:
        O(n_samples * n_members**2 + n_rounds * n_members).

    Attributes
    ----------
    picks_ : ndarray of shape (n_picks,), int64
        Members in the order chosen, up to the best prefix. Ties (relative difference up
        to 1e-12) go to the lowest index.
    loss_path_ : ndarray of shape (n_picks,), float64
        Mean squared error after each pick, on the rows given (optimistic).
    weights_ : ndarray of shape (n_members,), float64
        Share of each member in `picks_`; non-negative, sums to 1.
    n_features_in_ : int
        Number of members.

    Raises
    ------
    ValueError
        If P or y is NaN or infinite, lengths differ, or weights are unfit.

    References
    ----------
    .. [1] Caruana et al., "Ensemble Selection from Libraries of Models", ICML 2004.

    Examples
    --------
    >>> combiner = EnsembleSelectionRegressor(n_rounds=2)
    >>> combiner.fit([[0.0, 2.0], [1.0, 3.0]], [1.0, 2.0]).weights_
    array([0.5, 0.5])
    """

    _parameter_constraints: dict = {"n_rounds": _N_ROUNDS}

    def __init__(self, *, n_rounds=50):
        self.n_rounds = n_rounds

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Select members.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members)
            Out-of-fold predictions.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row.

        Returns
        -------
        self : EnsembleSelectionRegressor
        """
        P, y, weight = validate_regression(self, P, y, sample_weight)
        gram = residual_gram(P, y[:, None], weight)
        picks, path = kernels.greedy.select_squared_error(gram, self.n_rounds)
        _keep_best_prefix(self, picks, path, P.shape[1])
        return self

    def _combine(self, P):
        return mix_values(self, P)


class EnsembleSelectionClassifier(
    ClassificationCombinerMixin, ClassifierMixin, BaseEstimator
):
    """Select members greedily, with replacement, by log loss, Brier score or errors.

    Each round adds the member that lowers the loss of the running mean most; the best
    prefix of the picks is kept, so the result is never worse than the best single
    member on the rows given. For the exact optimum of log loss or Brier score use
    `ConvexClassifier`; selection also serves the share of errors, which is not convex.

    Parameters
    ----------
    loss : {"log_loss", "brier", "zero_one"}, default="log_loss"
        ``"zero_one"`` is the share of rows whose most probable class is wrong; equal
        probabilities count as the first class.
    n_rounds : int, default=50
        Members added, counted with repeats; >= 1. Time: O(n_rounds * n_samples *
        n_members), times n_classes for ``"zero_one"``; ``"brier"`` as the regressor.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    picks_ : ndarray of shape (n_picks,), int64
        Members in the order chosen, up to the best prefix. Ties (relative difference up
        to 1e-12) go to the lowest index.
    loss_path_ : ndarray of shape (n_picks,), float64
        Loss after each pick, on the rows given (optimistic).
    weights_ : ndarray of shape (n_members,), float64
        Share of each member in `picks_`; non-negative, sums to 1.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P holds no probabilities, y has one class, or weights are unfit.

    References
    ----------
    .. [1] Caruana et al., "Ensemble Selection from Libraries of Models", ICML 2004.

    Examples
    --------
    >>> P = [[0.1, 0.6], [0.4, 0.5], [0.9, 0.5]]
    >>> combiner = EnsembleSelectionClassifier(n_rounds=5).fit(P, ["no", "no", "yes"])
    >>> combiner.picks_
    array([0])
    """

    _parameter_constraints: dict = {
        "loss": [StrOptions({"log_loss", "brier", "zero_one"})],
        "n_rounds": _N_ROUNDS,
    }

    def __init__(self, *, loss="log_loss", n_rounds=50):
        self.loss = loss
        self.n_rounds = n_rounds

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Select members.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)
            Out-of-fold probabilities.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row.

        Returns
        -------
        self : EnsembleSelectionClassifier
        """
        P, y, weight = validate_classification(self, P, y, sample_weight)
        n_classes = len(self.classes_)
        n_outputs = layout.n_outputs_for(n_classes)
        picks, path = _SELECT[self.loss](P, y, weight, n_classes, self.n_rounds)
        _keep_best_prefix(self, picks, path, layout.count_members(P, n_outputs))
        return self

    def _combine(self, P):
        return mix_probabilities(self, P)


def _select_log_loss(P, y, weight, n_classes, n_rounds):
    # Rows of equal weight take the kernel's path of one logarithm for 16 rows.
    weight = np.empty(0) if (weight == weight[0]).all() else weight
    true_class = layout.true_class(P, y, n_classes)
    return kernels.greedy.select_log_loss(*true_class, weight, n_rounds, LOG_CLIP)


def _select_brier(P, y, weight, n_classes, n_rounds):
    targets = layout.one_hot(y, n_classes)
    gram = residual_gram(P, targets, weight, targets.shape[1])
    return kernels.greedy.select_squared_error(gram, n_rounds)


def _select_zero_one(P, y, weight, n_classes, n_rounds):
    P = np.ascontiguousarray(P, dtype=np.float64)
    return kernels.greedy.select_zero_one(P, y, weight, n_classes, n_rounds)


_SELECT = {
    "log_loss": _select_log_loss,
    "brier": _select_brier,
    "zero_one": _select_zero_one,
}


def _keep_best_prefix(combiner, picks, path, n_members):
    # The first of equal losses: rounding must not prolong the path.
    best = int(np.argmax(path <= path.min() + _TIE * abs(path.min()))) + 1
    combiner.picks_, combiner.loss_path_ = picks[:best], path[:best]
    combiner.weights_ = np.bincount(combiner.picks_, minlength=n_members) / best
