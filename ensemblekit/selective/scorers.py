"""Scorers that see abstentions, for GridSearchCV and cross_validate.

Scores of ``predict`` do not: it answers all rows, whatever the threshold.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_consistent_length

from .._sklearn import check_sample_weight
from ._confidence import model_confidence
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
        of the costs; for estimators with `predict_selective`, also as the last step of
        a pipeline. It can be pickled.

    Raises
    ------
    ValueError
        If a cost is not finite or out of range. The scorer itself: TypeError for an
        estimator without `predict_selective`.

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
        ranks last, where coverage is below the floor. For estimators with
        `predict_selective`, also as the last step of a pipeline. It can be pickled.

    Raises
    ------
    ValueError
        If coverage is outside (0, 1]. The scorer itself: TypeError for an estimator
        without `predict_selective`.

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


def aurc_scorer(estimator, X, y):
    """Score a classifier by minus its `aurc`: higher is better.

    Parameters
    ----------
    estimator : fitted classifier
        With `predict_selective`, whose confidence counts (minus the p-value, where it
        has that), or with `predict_proba`, whose largest probability does.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)

    Returns
    -------
    score : float
        In [-1, 0]. No threshold changes it: it is the confidence that is scored.

    Raises
    ------
    ValueError
        If the estimator has neither method.

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


def augrc_scorer(estimator, X, y):
    """Score a classifier by minus its `augrc`: higher is better.

    Parameters
    ----------
    estimator : fitted classifier
        As of `aurc_scorer`.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)

    Returns
    -------
    score : float
        In [-1, 0].

    Raises
    ------
    ValueError
        If the estimator has neither `predict_selective` nor `predict_proba`.

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
class _RejectionCost:
    error_cost: float
    abstain_cost: float

    def __call__(self, estimator, X, y, sample_weight=None):
        accepted, correct, weight = _outcomes(estimator, X, y, sample_weight)
        costs = np.where(accepted, self.error_cost * ~correct, self.abstain_cost)
        return -float(np.average(costs, weights=weight))


@dataclass(frozen=True)
class _SelectiveAccuracy:
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
    model, X = _last_step(estimator, X)
    if not hasattr(model, "predict_selective"):
        raise TypeError(
            f"{type(model).__name__} has no predict_selective, and never abstains. "
            "Wrap it in SelectiveClassifier."
        )
    labels, accepted, *_ = model.predict_selective(X)
    check_consistent_length(labels, y)
    return accepted, labels == np.asarray(y), check_sample_weight(sample_weight, labels)


def _confidence_and_correct(estimator, X, y):
    """Return the confidence in the answers to all rows, and whether they are right."""
    model, X = _last_step(estimator, X)
    check_consistent_length(X, y)
    if not hasattr(model, "predict_selective"):
        correct = np.asarray(model.predict(X)) == np.asarray(y)
        return model_confidence("max_proba", model, X), correct
    selection = model.predict_selective(X)
    if hasattr(selection, "confidence"):
        confidence = selection.confidence
    else:
        confidence = -selection.p_value
    return confidence, selection.labels == np.asarray(y)


def _last_step(estimator, X):
    """Return the last step of a pipeline, and the rows as they reach it."""
    while isinstance(estimator, Pipeline):
        if len(estimator.steps) > 1:
            X = estimator[:-1].transform(X)
        estimator = estimator.steps[-1][1]
    return estimator, X
