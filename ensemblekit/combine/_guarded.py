"""GuardedClassifier, GuardedRegressor: members kept to what they have shown."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from .. import layout
from .._sklearn import HasMethods, _fit_context
from ._base import (
    ClassificationCombinerMixin,
    RegressionCombinerMixin,
    column_names,
    own_weights,
    validate_classification,
    validate_regression,
)
from ._cross_fit_base import fit_combiner
from ._guard_base import GUARD, Shown, guarded

__all__ = ["GuardedClassifier", "GuardedRegressor"]


class GuardedRegressor(RegressionCombinerMixin, RegressorMixin, BaseEstimator):
    """Keep a combiner from members that predict far outside what they have shown.

    A prediction of a new row is beyond its range where it is further from the member's
    out-of-fold predictions than their whole width (or that of half the members, if
    wider). One member that explodes on one row in a hundred then costs about as much as
    its absence there; without a guard it can cost any amount. `StackedRegressor` has
    the same guard of its own; this one is for combiners of prediction files.

    Parameters
    ----------
    combiner : regressor
        Fitted on P as it is.
    guard : {"clip", "warn"} or None, default="clip"
        ``"clip"`` puts the median of the row's other members in place of a prediction
        beyond its range (the nearest end of the range where none is left) and warns;
        ``"warn"`` only warns; None does nothing.

    Attributes
    ----------
    combiner_ : regressor
        Fitted.
    low_, high_ : ndarray of shape (n_members,), float64
        Range of each member's predictions of rows with positive weight.
    weights_ : ndarray of shape (n_members,), float64
        The inner combiner's, where it is one of this package that has them. Members of
        weight 0 are not looked at.
    n_features_in_ : int
        Number of members.

    Raises
    ------
    ValueError
        If P or y is NaN or infinite, or weights are unfit or not taken by the combiner.

    Warns
    -----
    GuardWarning
        In `predict`, if a member is beyond its range; names members and rows.

    Notes
    -----
    Time: a pass over P in `fit` and in `predict`.

    Examples
    --------
    >>> import warnings
    >>> from ensemblekit import AverageRegressor
    >>> P = [[1.0, 1.5, 2.0], [2.0, 2.5, 3.0], [3.0, 3.5, 4.0]]
    >>> combiner = GuardedRegressor(AverageRegressor()).fit(P, [1.5, 2.5, 3.5])
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # names the member and the value
    ...     combiner.predict([[2.0, 2.0, 2e9]])
    array([2.])
    """

    _parameter_constraints: dict = {
        "combiner": [HasMethods(["fit", "predict"])],
        "guard": GUARD,
    }

    def __init__(self, combiner, *, guard="clip"):
        self.combiner = combiner
        self.guard = guard

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, P, y, sample_weight=None):
        """Fit the combiner and note the members' ranges.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members)
            Out-of-fold predictions.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative.

        Returns
        -------
        self : GuardedRegressor
        """
        P, y, weight = validate_regression(self, P, y, sample_weight)
        _fit(self, P, y, weight, sample_weight is not None, 1)
        return self

    def _combine(self, P):
        P = guarded(P, [_needed(self)], self.guard, stacklevel=3)
        return np.asarray(self.combiner_.predict(P), dtype=np.float64)


class GuardedClassifier(ClassificationCombinerMixin, ClassifierMixin, BaseEstimator):
    """Keep a combiner from members that predict far outside what they have shown.

    A probability of a new row is beyond its range where it is further from the member's
    out-of-fold probabilities of that class than their whole width (or that of half the
    members, if wider). Classes to which a member gave all out-of-fold rows with one and
    the same probability are not looked at. `StackedClassifier` has the same guard of
    its own; this one is for combiners of prediction files.

    Parameters
    ----------
    combiner : classifier
        Fitted on P as it is; needs `predict_proba`.
    guard : {"clip", "warn"} or None, default="clip"
        ``"clip"`` puts the median of the row's other members in place of probabilities
        beyond their range (the nearest ends of the ranges where none is left), divided
        by their sum, and warns; ``"warn"`` only warns; None does nothing.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    combiner_ : classifier
        Fitted; knows class codes.
    low_, high_ : ndarray of shape (n_members * n_outputs,), float64
        Range of each column of P, of rows with positive weight.
    weights_ : ndarray of shape (n_members,), float64
        The inner combiner's, where it is one of this package that has them. Members of
        weight 0 are not looked at.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P holds no probabilities, y has one class, or weights are unfit or not taken
        by the combiner.

    Warns
    -----
    GuardWarning
        In `predict`, if a member is beyond its range; names members and rows.

    Notes
    -----
    Time: a pass over P in `fit` and in `predict`.

    Examples
    --------
    >>> import warnings
    >>> from ensemblekit import AverageClassifier
    >>> P = [[0.50, 0.52], [0.51, 0.50], [0.52, 0.53]]
    >>> combiner = GuardedClassifier(AverageClassifier()).fit(P, [0, 1, 1])
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # names the member and the value
    ...     combiner.predict_proba([[0.51, 0.99]]).round(2)
    array([[0.49, 0.51]])
    """

    _parameter_constraints: dict = {
        "combiner": [HasMethods(["fit", "predict_proba"])],
        "guard": GUARD,
    }

    def __init__(self, combiner, *, guard="clip"):
        self.combiner = combiner
        self.guard = guard

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, P, y, sample_weight=None):
        """Fit the combiner and note the members' ranges.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)
            Out-of-fold probabilities.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative.

        Returns
        -------
        self : GuardedClassifier
        """
        P, codes, weight = validate_classification(self, P, y, sample_weight)
        n_outputs = layout.n_outputs_for(len(self.classes_))
        _fit(self, P, codes, weight, sample_weight is not None, n_outputs)
        return self

    def _combine(self, P):
        P = guarded(P, [_needed(self)], self.guard, stacklevel=3)
        return np.asarray(self.combiner_.predict_proba(P), dtype=np.float64)


def _fit(combiner, P, y, weight, weighted, n_outputs):
    P = np.asarray(P)  # a dask array in memory
    passed = weight if weighted else None
    combiner.combiner_ = fit_combiner(combiner.combiner, P, y, passed, slice(None))
    counted = P[weight > 0.0] if (weight == 0.0).any() else P
    combiner.low_ = counted.min(axis=0).astype(np.float64)
    combiner.high_ = counted.max(axis=0).astype(np.float64)
    weights = own_weights(combiner.combiner_, P.shape[1] // n_outputs)
    if weights is not None:
        combiner.weights_ = weights


def _needed(combiner):
    """Return the ranges of the members with weight."""
    n_classes = len(getattr(combiner, "classes_", ()))
    n_outputs = layout.n_outputs_for(n_classes) if n_classes else 1
    columns = np.arange(len(combiner.low_)).reshape(-1, n_outputs)
    names = np.asarray(column_names(combiner))[columns[:, 0]]
    if hasattr(combiner, "weights_"):
        needed = combiner.weights_ != 0.0
        columns, names = columns[needed], names[needed]
    low, high = combiner.low_[columns], combiner.high_[columns]
    return Shown(columns, low, high, [str(name) for name in names], n_classes > 0)
