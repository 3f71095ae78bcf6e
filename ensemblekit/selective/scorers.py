"""Scorers that see abstentions, for GridSearchCV and cross_validate.

Scores of ``predict`` do not: it answers all rows, whatever the threshold.
"""

import warnings
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import check_consistent_length

from .._sklearn import check_sample_weight
from ._answers import abstains_itself, answers_of, innermost
from ._confidence import labels_and_confidence
from .risk_coverage import augrc, aurc

__all__ = [
    "augrc_scorer",
    "aurc_scorer",
    "rejection_cost_scorer",
    "selective_accuracy_scorer",
]


def rejection_cost_scorer(error_cost=1.0, abstain_cost=0.2):
    """Make a scorer: minus the mean cost of wrong answers and of abstentions.

    The one to choose a threshold by: answering everything and abstaining everywhere
    both cost. Where all rows are abstained from, the score is ``-abstain_cost``.

    Parameters
    ----------
    error_cost : float, default=1.0
        Of a wrong answer, > 0.
    abstain_cost : float, default=0.2
        Of an abstention, >= 0. From `error_cost` on, abstaining never pays.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)``, higher is better, in the unit
        of the costs; for estimators with `predict_selective` or `abstains`, also inside
        pipelines, searches and frozen estimators. It can be pickled. With metadata
        routing, ``scorer.set_score_request(sample_weight=True)`` is a scorer that is
        given weights.

    Raises
    ------
    ValueError
        If a cost is not finite or out of range. The scorer itself: TypeError for an
        estimator that never abstains.

    References
    ----------
    .. [1] Chow, "On optimum recognition error and reject tradeoff", IEEE Transactions
       on Information Theory 16, 1970.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from ensemblekit import SelectiveClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> search = GridSearchCV(
    ...     SelectiveClassifier(GaussianNB(), method="coverage", random_state=0),
    ...     {"target": [0.5, 0.9, 1.0]},
    ...     scoring=rejection_cost_scorer(error_cost=1.0, abstain_cost=0.3),
    ... ).fit(X, y)
    >>> search.best_params_
    {'target': 0.9}
    """
    if not (0.0 < error_cost < np.inf and 0.0 <= abstain_cost < np.inf):
        raise ValueError(
            f"error_cost is {error_cost!r} and abstain_cost {abstain_cost!r}; expected "
            "finite numbers, the first > 0, the second >= 0."
        )
    return _RejectionCost(float(error_cost), float(abstain_cost))


def selective_accuracy_scorer(coverage=0.8):
    """Make a scorer: accuracy on the rows answered, if these are enough.

    Parameters
    ----------
    coverage : float, default=0.8
        Least share of the rows to answer, in (0, 1]. Without a floor, the few easiest
        rows would win.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)`` in [0, 1]; NaN, which search
        ranks last, where coverage is below the floor. For the same estimators and
        weights as `rejection_cost_scorer`.

    Raises
    ------
    ValueError
        If coverage is outside (0, 1]. The scorer itself: TypeError for an estimator
        that never abstains.

    Warns
    -----
    UserWarning
        By the scorer, if no row is answered at all.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from ensemblekit import SelectiveClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = SelectiveClassifier(GaussianNB(), target=0.8, random_state=0)
    >>> model = model.fit(X[:400], y[:400])
    >>> round(selective_accuracy_scorer(0.6)(model, X[400:], y[400:]), 3)
    1.0
    """
    if not 0.0 < coverage <= 1.0:
        raise ValueError(f"coverage is {coverage!r}; expected a number in (0, 1].")
    return _SelectiveAccuracy(float(coverage))


def _unweighted(scorer):
    """Mark a scorer that takes no weights: searches of several scorers ask it."""
    scorer.__dict__["_accept_sample_weight"] = lambda: False
    return scorer


@_unweighted
def aurc_scorer(estimator, X, y):
    """Score a classifier by minus its `aurc`: higher is better.

    Parameters
    ----------
    estimator : fitted classifier
        With `predict_selective`, whose confidence counts (minus the p-value, where it
        has that), or with `predict_proba`, whose probability of the answer does.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
        Rows count alike: weights that a search is given do not reach this scorer.

    Returns
    -------
    score : float
        In [-1, 0]. No threshold changes it: it is the confidence that is scored.

    Raises
    ------
    ValueError
        If the estimator has neither method, or predicts labels that are none of its
        classes.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> scores = cross_val_score(GaussianNB(), X, y, scoring=aurc_scorer)
    >>> float(scores.mean().round(3))
    -0.013
    """
    return -aurc(*_confidence_and_correct(estimator, X, y))


@_unweighted
def augrc_scorer(estimator, X, y):
    """Score a classifier by minus its `augrc`: higher is better.

    Parameters
    ----------
    estimator : fitted classifier
        As of `aurc_scorer`.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
        Rows count alike, as of `aurc_scorer`.

    Returns
    -------
    score : float
        In [-1, 0].

    Raises
    ------
    ValueError
        If the estimator has neither `predict_selective` nor `predict_proba`, or
        predicts labels that are none of its classes.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> scores = cross_val_score(GaussianNB(), X, y, scoring=augrc_scorer)
    >>> float(scores.mean().round(3))
    -0.009
    """
    return -augrc(*_confidence_and_correct(estimator, X, y))


@dataclass(frozen=True)
class _WeightedScorer:
    """A scorer that searches may hand weights."""

    weights: bool | str | None = field(default=None, kw_only=True)

    def set_score_request(self, *, sample_weight):
        """Return a scorer that asks for weights, under this name, or does not."""
        return replace(self, weights=sample_weight)

    def get_metadata_routing(self):
        """Return what this scorer asks for."""
        request = MetadataRequest(owner=type(self).__name__)
        request.score.add_request(param="sample_weight", alias=self.weights)
        return request

    def _accept_sample_weight(self):  # what searches without routing ask
        return True


@dataclass(frozen=True)
class _RejectionCost(_WeightedScorer):
    error_cost: float
    abstain_cost: float

    def __call__(self, estimator, X, y, sample_weight=None):
        accepted, correct, weight = _outcomes(estimator, X, y, sample_weight)
        costs = np.where(accepted, self.error_cost * ~correct, self.abstain_cost)
        return -float(np.average(costs, weights=weight))


@dataclass(frozen=True)
class _SelectiveAccuracy(_WeightedScorer):
    coverage: float

    def __call__(self, estimator, X, y, sample_weight=None):
        accepted, correct, weight = _outcomes(estimator, X, y, sample_weight)
        answered = weight[accepted].sum()
        if answered == 0.0:
            warnings.warn(
                f"No row of {len(accepted)} is answered: the accuracy is NaN.",
                stacklevel=2,
            )
            return np.nan
        if answered / weight.sum() < self.coverage:
            return np.nan
        return float(np.average(correct[accepted], weights=weight[accepted]))


def _outcomes(estimator, X, y, sample_weight):
    """Return which rows are answered, which answers are right, and the weights."""
    model, X = innermost(estimator, X)
    if not abstains_itself(model):
        raise TypeError(
            f"{type(model).__name__} has neither predict_selective nor abstains: "
            "it answers all rows. Wrap it in SelectiveClassifier."
        )
    labels, accepted = answers_of(model, X)
    check_consistent_length(labels, y)
    correct = labels == column_or_1d(y)
    return accepted, correct, check_sample_weight(sample_weight, labels)


def _confidence_and_correct(estimator, X, y):
    """Return the confidence in the answers to all rows, and whether they are right."""
    model, X = innermost(estimator, X)
    check_consistent_length(X, y)
    y = column_or_1d(y)
    if not hasattr(model, "predict_selective"):
        labels, confidence = labels_and_confidence("max_proba", model, X)
        return confidence, labels == y
    selection = model.predict_selective(X)
    if hasattr(selection, "confidence"):
        confidence = selection.confidence
    else:
        confidence = -selection.p_value
    return confidence, selection.labels == y
