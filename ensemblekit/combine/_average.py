"""AverageRegressor, AverageClassifier: equal votes for all members."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from .. import layout
from .._sklearn import StrOptions, _fit_context
from ._base import (
    ClassificationCombinerMixin,
    RegressionCombinerMixin,
    validate_classification,
    validate_regression,
)

__all__ = ["AverageClassifier", "AverageRegressor"]

_KINDS = ("mean", "median", "geometric", "rank")
_LEVELS = np.linspace(0.0, 1.0, 1001)


class AverageRegressor(RegressionCombinerMixin, RegressorMixin, BaseEstimator):
    """Average the members with equal votes.

    The benchmark every fitted combiner has to beat. Nothing is learned from y; `rank`
    learns the distribution of each member's predictions. Use it for members of equal
    quality or for very few rows, not for members of mixed quality.

    Duplicating all members leaves the prediction unchanged; duplicating one member
    gives it two votes, as in any vote.

    Parameters
    ----------
    kind : {"mean", "median", "geometric", "rank"}, default="mean"
        ``"geometric"`` is the exponential of the mean logarithm and needs positive
        predictions. ``"rank"`` replaces each prediction by its rank (0 to 1) among the
        member's predictions seen in `fit`, averages the ranks, and reads the average on
        the members' mean quantile function; it is unmoved by a member's scale.
        Predictions beyond the range seen in `fit` count as its end. Cost: O(n m), with
        sorting for ``"rank"`` and ``"median"``.

    Attributes
    ----------
    weights_ : ndarray of shape (n_members,), float64
        ``1 / n_members`` each; only for ``kind="mean"``.
    quantiles_ : ndarray of shape (n_members, 1001), float64
        Each member's quantiles at levels 0, 0.001, .., 1; only for ``kind="rank"``.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P is NaN or infinite, or not positive where ``kind="geometric"``.

    Examples
    --------
    >>> combiner = AverageRegressor().fit([[0.0, 2.0], [1.0, 3.0]], [1.0, 2.0])
    >>> combiner.predict([[1.0, 2.0]])
    array([1.5])
    """

    _parameter_constraints: dict = {"kind": [StrOptions(set(_KINDS))]}

    def __init__(self, *, kind="mean"):
        self.kind = kind

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Check P and y; learn the members' quantiles where ranks are averaged.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Counts of rows; only ``kind="rank"`` depends on them.

        Returns
        -------
        self : AverageRegressor
        """
        P, _, weight = validate_regression(self, P, y, sample_weight)
        if self.kind == "geometric":
            _check_positive(P)
        _learn(self, P, weight, n_members=P.shape[1])
        return self

    def _combine(self, P):
        if self.kind == "geometric":
            _check_positive(P)
            return np.exp(np.log(P).mean(axis=1, dtype=np.float64))
        return _average(self, P[:, :, None])[:, 0]


class AverageClassifier(ClassificationCombinerMixin, ClassifierMixin, BaseEstimator):
    """Average the members' probabilities with equal votes.

    The benchmark every fitted combiner has to beat. Nothing is learned from y; `rank`
    learns the distribution of each member's probabilities. Members of mixed quality are
    better weighted: see `ConvexClassifier`.

    Duplicating all members leaves the prediction unchanged; duplicating one member
    gives it two votes, as in any vote.

    Parameters
    ----------
    kind : {"mean", "median", "geometric", "rank"}, default="mean"
        All but ``"mean"`` average each class's column and divide by the row's sum.
        ``"geometric"`` is the mean of log-probabilities: a member's 0 is a veto; where
        every class is vetoed the classes get equal probability. ``"rank"`` replaces
        each probability by its rank (0 to 1) among the member's predictions seen in
        `fit`, averages the ranks, and reads the average on the members' mean
        quantile function. Cost: O(n m K), with sorting for ``"rank"`` and ``"median"``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    weights_ : ndarray of shape (n_members,), float64
        ``1 / n_members`` each; only for ``kind="mean"``.
    quantiles_ : ndarray of shape (n_columns, 1001), float64
        Quantiles of each column of P at levels 0, 0.001, .., 1; for ``"rank"``.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P holds no probabilities, or y has one class.

    Examples
    --------
    >>> combiner = AverageClassifier().fit([[0.1, 0.3], [0.8, 0.6]], ["no", "yes"])
    >>> combiner.predict_proba([[0.1, 0.3]])
    array([[0.8, 0.2]])
    """

    _parameter_constraints: dict = {"kind": [StrOptions(set(_KINDS))]}

    def __init__(self, *, kind="mean"):
        self.kind = kind

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Check P and y; learn the members' quantiles where ranks are averaged.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Counts of rows; only ``kind="rank"`` depends on them.

        Returns
        -------
        self : AverageClassifier
        """
        P, _, weight = validate_classification(self, P, y, sample_weight)
        n_outputs = layout.n_outputs_for(len(self.classes_))
        _learn(self, P, weight, n_members=layout.count_members(P, n_outputs))
        return self

    def _combine(self, P):
        n_outputs = layout.n_outputs_for(len(self.classes_))
        members = layout.to_cube(P, n_outputs).transpose(1, 0, 2)
        if self.kind == "geometric":
            return _geometric_mean(members)
        average = layout.class_probabilities(_average(self, members))
        return average if self.kind == "mean" else _normalise(average)


def _learn(combiner, P, weight, n_members):
    if combiner.kind == "mean":
        combiner.weights_ = np.full(n_members, 1.0 / n_members)
    if combiner.kind == "rank":
        columns = [_weighted_quantiles(column, weight) for column in P.T]
        combiner.quantiles_ = np.array(columns)


def _average(combiner, members):
    """Average (n_samples, n_members, n_outputs) over the members."""
    if combiner.kind == "mean":
        return members.mean(axis=1, dtype=np.float64)
    if combiner.kind == "median":
        return np.median(members, axis=1).astype(np.float64)
    return _average_ranks(combiner.quantiles_, members)


def _average_ranks(quantiles, members):
    n_samples, n_members, n_outputs = members.shape
    quantiles = quantiles.reshape(n_members, n_outputs, -1)
    average = np.empty((n_samples, n_outputs))
    for output in range(n_outputs):
        ranks = sum(
            _rank(members[:, m, output], quantiles[m, output]) for m in range(n_members)
        )
        mean_quantiles = quantiles[:, output].mean(axis=0)
        average[:, output] = np.interp(ranks / n_members, _LEVELS, mean_quantiles)
    return average


def _weighted_quantiles(values, weight):
    """Quantiles at `_LEVELS`; a value's level is the middle of its step of the ECDF.

    Equal values share a step, so integer weights give what repeated rows give.
    """
    distinct, position = np.unique(values[weight > 0], return_inverse=True)
    mass = np.bincount(position, weights=weight[weight > 0])
    middle = (np.cumsum(mass) - 0.5 * mass) / mass.sum()
    return np.interp(_LEVELS, middle, distinct)


def _rank(values, quantiles):
    """Level of each value: the inverse of interpolating `quantiles` at `_LEVELS`.

    A value equal to a run of quantiles gets the middle level of the run.
    """
    first = np.searchsorted(quantiles, values, side="left")
    last = np.searchsorted(quantiles, values, side="right") - 1
    between = np.interp(values, quantiles, _LEVELS)
    inside = last >= first
    middle = 0.5 * (_LEVELS[np.minimum(first, 1000)] + _LEVELS[np.maximum(last, 0)])
    return np.where(inside, middle, between)


def _geometric_mean(members):
    cube = np.stack([layout.class_probabilities(member) for member in _each(members)])
    with np.errstate(divide="ignore"):  # maximum: rounding may leave -1e-17
        logs = np.log(np.maximum(cube, 0.0)).mean(axis=0, dtype=np.float64)
    peak = logs.max(axis=1, keepdims=True)
    peak[np.isneginf(peak)] = 0.0
    return _normalise(np.exp(logs - peak))


def _each(members):
    return (members[:, m, :] for m in range(members.shape[1]))


def _normalise(probabilities):
    """Divide rows by their sums; a row of zeros becomes equal probabilities."""
    sums = probabilities.sum(axis=1, keepdims=True)
    equal = np.full_like(probabilities, 1.0 / probabilities.shape[1])
    return np.divide(probabilities, sums, out=equal, where=sums > 0)


def _check_positive(P):
    if P.min() <= 0:
        column = int(P.min(axis=0).argmin())
        raise ValueError(
            f"kind='geometric' needs positive predictions; column {column} has "
            f"{P[:, column].min():.4g}. Use kind='mean' or 'median'."
        )
