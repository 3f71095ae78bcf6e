"""Offsets of a decision: predict argmax_k (E_k + b_k), b chosen for a metric of labels.

Balanced accuracy, F1 and their like depend on where the line between classes is drawn;
probabilities that are right draw it for accuracy alone. Functions on arrays: E are
probabilities of shape (n, K), codes the true classes as 0 .. K-1, weight >= 0.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import get_scorer

from .. import kernels

# scikit-learn's names of scorers ("cohen_kappa" is ours), in the order of the kernel's
# codes: functions of counts, swept exactly.
METRICS = (
    "accuracy",
    "balanced_accuracy",
    "f1",
    "f1_macro",
    "f1_weighted",
    "matthews_corrcoef",
    "cohen_kappa",
)
# Calls of any other scorer for one class and pass.
MAX_CUTS = 200


class CrossFitted(NamedTuple):
    """Offsets, and what offsets score on rows that they were not chosen on.

    offsets : (K,) float64, median over the folds, or 0 where they gain too little
    fold_offsets : (n_folds, K) float64, chosen on the rows of all other folds
    score_without, score_with : float, metric of all rows, each under its fold's offsets
    gain_se : float, standard error of their difference
    """

    offsets: NDArray
    fold_offsets: NDArray
    score_without: float
    score_with: float
    gain_se: float


def tune(E, codes, weight, metric, classes=None):
    """Choose offsets that maximise a metric on the rows given.

    Parameters
    ----------
    E : ndarray of shape (n_samples, n_classes)
        Probabilities.
    codes : ndarray of shape (n_samples,), int
        True classes.
    weight : ndarray of shape (n_samples,)
        Non-negative; rows of weight 0 change nothing.
    metric : str or callable
        One of `METRICS`: exact for two classes, for more the best that one class at a
        time can reach. Any other scorer of scikit-learn, by name or as a callable
        ``(estimator, X, y)``, is called at up to 200 cuts for each class and pass
        (quantiles of the cuts, where there are more), which takes seconds.
    classes : ndarray of shape (n_classes,), default=None
        Labels that a scorer is given; None means the codes.

    Returns
    -------
    offsets : ndarray of shape (n_classes,), float64
        To be added to the probabilities; the first is 0. All 0 unless the metric rises.

    Examples
    --------
    >>> E = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    >>> tune(E, np.array([0, 0, 1, 1]), np.ones(4), "accuracy").round(3)
    array([0. , 0.5])
    """
    scorer = find_scorer(metric, E.shape[1])
    if scorer is None:
        return kernels.offsets.best_offsets(E, codes, weight, METRICS.index(metric))
    E, codes, weight = _drop_rows_without_weight(E, codes, weight)

    def value(offsets):
        labels = decide(E, offsets)
        score = _call_scorer(scorer, labels, E, codes, weight, classes)
        return -np.inf if np.isnan(score) else score

    def move(offsets, k):
        cuts = kernels.offsets.cuts(E, offsets, k)
        if len(cuts) > MAX_CUTS:
            cuts = cuts[np.linspace(0, len(cuts) - 1, MAX_CUTS).round().astype(int)]
        return _smallest_best(cuts, value, offsets, k)

    return kernels.offsets.ascend(value, move, E.shape[1], max_passes=10)


def cross_fitted(E, codes, weight, folds, metric, classes=None):
    """Choose offsets by folds, and keep them only if they gain on rows held out.

    For each fold, offsets are chosen on the rows of the others and judged on its own.
    The final ones are the median over the folds, class by class; they are 0 unless
    the metric over all rows, each held out, gains at least one standard error.

    The standard error is the jackknife's over folds: the metric is computed without
    each fold in turn. Unlike a sum over rows it holds for any metric, contains the
    variation of the offsets themselves, and changes neither with the scale of the
    weights nor when a weight of 2 is written as two rows. With few folds it is itself
    uncertain, which a rule of one standard error bears.

    Parameters
    ----------
    E, codes, weight, metric, classes
        As in `tune`; each row of E from models that have not seen it.
    folds : ndarray of shape (n_samples,), int
        At least two different values on rows with weight.

    Returns
    -------
    result : CrossFitted

    Raises
    ------
    ValueError
        If there are fewer than two folds, the metric is for two classes only, or it
        reads more than labels.
    """
    rows = weight > 0
    E, codes, weight, folds = E[rows], codes[rows], weight[rows], folds[rows]
    names = np.unique(folds)
    if len(names) < 2:
        raise ValueError(
            f"Offsets need rows of at least two folds to be judged; got {len(names)}."
        )
    tuned, chosen = np.empty(len(codes), np.int64), []
    for fold in names:
        others, own = folds != fold, folds == fold
        chosen.append(tune(E[others], codes[others], weight[others], metric, classes))
        tuned[own] = decide(E[own], chosen[-1])

    return _judge(E, codes, weight, folds, tuned, np.array(chosen), metric, classes)


def judge(E, codes, weight, folds, chosen, metric, classes=None):
    """Return `CrossFitted` offsets that were chosen without each fold.

    chosen : (n_folds, K), in the order of the sorted folds; the rest as in
    `cross_fitted`, each row of E from the choices made without its fold
    """
    tuned = np.empty(len(codes), np.int64)
    for fold, own_offsets in zip(np.unique(folds), chosen, strict=True):
        own = folds == fold
        tuned[own] = decide(E[own], own_offsets)
    return _judge(E, codes, weight, folds, tuned, chosen, metric, classes)


def _judge(E, codes, weight, folds, tuned, chosen, metric, classes):
    plain, names = decide(E, np.zeros(E.shape[1])), np.unique(folds)

    def score(labels, rows):
        return score_labels(
            labels[rows], E[rows], codes[rows], weight[rows], metric, classes
        )

    everywhere = np.ones(len(folds), bool)
    without, with_ = score(plain, everywhere), score(tuned, everywhere)
    gains = [score(tuned, folds != f) - score(plain, folds != f) for f in names]
    gain_se = np.sqrt((len(names) - 1) * np.var(gains))
    kept = with_ - without > 0.0 and with_ - without >= gain_se
    offsets = np.median(chosen, axis=0) if kept else np.zeros(E.shape[1])
    return CrossFitted(offsets, chosen, without, with_, float(gain_se))


def decide(E, offsets):
    """Return argmax_k (E_k + offsets_k), the first of equal ones."""
    return np.argmax(E + offsets, axis=1)


def score_labels(labels, E, codes, weight, metric, classes=None):
    """Score labels given as codes, by any metric that `tune` takes.

    Returns
    -------
    score : float
        Higher is better.
    """
    scorer = find_scorer(metric, E.shape[1])
    if scorer is not None:
        return _call_scorer(scorer, labels, E, codes, weight, classes)
    right = labels == codes
    predicted, true, hits = (
        np.bincount(values, weights, minlength=E.shape[1])
        for values, weights in [
            (labels, weight),
            (codes, weight),
            (codes[right], weight[right]),
        ]
    )
    return float(metric_from_counts(hits, predicted, true, metric))


def metric_from_counts(hits, predicted, true, metric):
    """Compute a metric from counts per class, or from sums of weights.

    Parameters
    ----------
    hits : array-like of shape (..., n_classes)
        Rows of each class that are predicted right.
    predicted : array-like of shape (..., n_classes)
        Rows predicted in each class.
    true : array-like of shape (..., n_classes)
        Rows of each class. The three are broadcast.
    metric : str
        One of `METRICS`.

    Returns
    -------
    values : ndarray of shape (...), float64
        What scikit-learn gives; "f1" is that of the second class. Undefined parts, 0 /
        0, are 0; a class without weight, true or predicted, is no class.

    Examples
    --------
    >>> metric_from_counts([[3, 1], [4, 0]], [[3, 3], [6, 0]], [5, 1], "f1")
    array([0.5, 0. ])
    """
    counts = np.broadcast_arrays(hits, predicted, true)
    shape = counts[0].shape
    rows = [
        np.ascontiguousarray(c, np.float64).reshape(-1, shape[-1]).copy()
        for c in counts
    ]
    values = kernels.offsets.metric_values(*rows, METRICS.index(metric))
    return values.reshape(shape[:-1])


def find_scorer(metric, n_classes):
    """Return the scorer to call, None for one of `METRICS`.

    Raises
    ------
    ValueError
        If scikit-learn knows no such scorer, or it is F1 of more than two classes.
    """
    if callable(metric):
        return metric
    if metric not in METRICS:
        return get_scorer(metric)
    if metric == "f1" and n_classes > 2:
        raise ValueError(
            f"metric='f1' is the F1 of one of two classes, but there are {n_classes}. "
            "Use 'f1_macro' or 'f1_weighted'."
        )
    return None


class _GivenLabels(ClassifierMixin, BaseEstimator):
    """What a scorer is given: an estimator that predicts the labels it holds."""

    def __init__(self, labels: Any = None, classes: Any = None):
        self.labels = labels
        self.classes = classes

    @property
    def classes_(self):
        return self.classes

    def __sklearn_is_fitted__(self):
        return True

    def predict(self, X):
        return self.labels


def _call_scorer(scorer, labels, E, codes, weight, classes):
    classes = np.arange(E.shape[1]) if classes is None else classes
    estimator = _GivenLabels(classes[labels], classes)
    params = {} if (weight == weight[0]).all() else {"sample_weight": weight}
    with warnings.catch_warnings():  # at the outermost cuts a class is never predicted
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        try:
            return float(scorer(estimator, E, classes[codes], **params))
        except AttributeError as error:
            if type(estimator).__name__ not in str(error):
                raise
            raise ValueError(
                "The metric asks for more than labels, but offsets change labels only. "
                f"Use a metric of labels, such as 'balanced_accuracy' ({error})."
            ) from error


def _smallest_best(cuts, value, offsets, k):
    """Return the cut of the highest value, the smallest of equal ones."""
    scores = []
    for cut in cuts:
        trial = offsets.copy()
        trial[k] = cut
        scores.append(value(trial))
    best = cuts[np.array(scores) >= max(scores) - kernels.offsets.TIE]
    return best[np.argmin(np.abs(best))]


def _drop_rows_without_weight(E, codes, weight):
    rows = weight > 0
    return np.ascontiguousarray(E[rows], np.float64), codes[rows], weight[rows]
