"""From a combiner's loss to the scores of selection."""

import numpy as np

from .. import kernels, layout
from ..losses import LOG_CLIP
from ..selection.decision_scores import CallableScores, LabelScores, RankScores
from ..selection.offsets import METRICS, metric_from_counts
from ..selection.scores import LogScores, PiecewiseScores, SquareScores
from ._base import check_all_finite, check_gram
from ._mixture_base import check_loss, make_loss


def plain(weight):
    """Return ones for equal weights: kernels have a faster way for them."""
    if weight[0] == 1.0 or (weight != weight[0]).any():
        return weight
    return np.ones(len(weight))


def value_scores(combiner, P, y, weight, n_outputs=1):
    """Return the scores of a regressor's loss.

    y : (n,) or (n, n_outputs); with quantile_levels (n,) for all outputs
    """
    check_loss(combiner, "regression", y, weight)
    if combiner.loss == "squared_error":
        design = kernels.design.Design(P, y.ravel(), n_outputs)
        scores = SquareScores(design, weight, 1)
        with np.errstate(over="ignore", invalid="ignore"):
            gram = scores.gram
        if not np.isfinite(gram.diagonal()).all():
            check_all_finite(combiner, P)
        check_gram(gram, design, np.repeat(weight, n_outputs))
        return scores
    if combiner.loss not in ("absolute_error", "huber", "pinball"):
        return _callable_scores(combiner, P, y, weight, n_outputs)
    target = np.repeat(y[:, None], n_outputs, axis=1) if y.ndim == 1 else y
    levels = np.full(n_outputs, getattr(combiner, "level", 0.5))
    if getattr(combiner, "quantile_levels", None) is not None:
        levels = np.asarray(combiner.quantile_levels, np.float64)
    low, high = -levels, 1.0 - levels
    if combiner.loss == "absolute_error":
        low, high = -np.ones(n_outputs), np.ones(n_outputs)
    bend = getattr(combiner, "delta", 1.0) if combiner.loss == "huber" else 0.0
    target = np.ascontiguousarray(target)
    return PiecewiseScores(P, target, weight, low, high, float(bend))


def class_scores(combiner, P, codes, weight, unchecked=None):
    """Return the scores of a classifier's loss.

    unchecked : column names of a P that `check_probabilities` has yet to see
    """
    loss, n_classes = combiner.loss, len(combiner.classes_)
    if loss not in METRICS:
        check_loss(combiner, "classification", codes, weight)
    if getattr(combiner, "tune_offsets", False) and loss not in ("zero_one", *METRICS):
        raise ValueError(
            f"tune_offsets needs a loss of labels, 'zero_one' or one of {METRICS}; "
            f"got loss={loss!r}. DecisionOffsetClassifier tunes offsets for any other."
        )
    if loss == "f1" and n_classes > 2:
        raise ValueError(
            f"loss='f1' is of the second of two classes; y has {n_classes}. Use "
            "'f1_macro' or 'f1_weighted'."
        )
    n_outputs = layout.n_outputs_for(n_classes)
    if loss == "log_loss":
        rows = layout.true_class(P, codes, n_classes, unchecked)
        return LogScores(*rows, weight, LOG_CLIP)
    if unchecked is not None:
        layout.check_probabilities(P, n_classes, unchecked)
    if loss == "brier":
        targets = layout.one_hot(codes, n_classes)
        design = kernels.design.Design(P, targets.ravel(), n_outputs)
        return SquareScores(design, weight, n_outputs)
    if loss == "zero_one" or loss in METRICS:
        metric = "accuracy" if loss == "zero_one" else loss
        value, tuned = _label_loss(metric), getattr(combiner, "tune_offsets", False)
        zeros = np.zeros(n_classes)
        return LabelScores(P, codes, weight, value, zeros, metric if tuned else None)
    if loss == "auc":
        return RankScores(P, codes, weight)
    return _callable_scores(combiner, P, codes, weight, n_outputs)


def _label_loss(metric):
    def value(hits, predicted, true):
        if metric == "accuracy":  # in the order of the definition: exact for counts
            return (true.sum() - hits.sum(axis=-1)) / true.sum()
        return 1.0 - metric_from_counts(hits, predicted, true, metric)

    return value


def _callable_scores(combiner, P, y, weight, n_outputs):
    weighted = bool((weight != 1.0).any())

    def loss(mixture, y, weight, numbers):
        if not weighted and _are_counts(weight):
            # Draws of rows: not every scorer takes weights, but all take copies.
            rows = np.repeat(np.arange(len(y)), weight.astype(np.int64))
            mixture, y, numbers = mixture[rows], y[rows], numbers[rows]
            weight = np.ones(len(rows))
        given = weighted or bool((weight != 1.0).any())
        if hasattr(combiner, "classes_"):
            mixture = layout.class_probabilities(mixture)
        elif y.ndim == 1:
            mixture = mixture[:, 0]
        return make_loss(combiner, y, weight, given, numbers)(mixture)

    return CallableScores(P, y, weight, n_outputs, loss, np.arange(len(y)))


def _are_counts(weight):
    return bool((weight != 1.0).any() and (weight == np.floor(weight)).all())
