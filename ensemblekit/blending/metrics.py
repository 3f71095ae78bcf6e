"""Metrics that a blend is judged by: their names, direction and what they read."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import cohen_kappa_score, get_scorer, get_scorer_names, make_scorer

from .. import kernels
from ..losses import LOSSES
from ..selection.offsets import METRICS as LABEL_METRICS

__all__ = ["DEFAULT_METRICS", "Metric", "find_metric"]

DEFAULT_METRICS = {
    "regression": "rmse",
    "classification": "log_loss",
    "quantile": "pinball",
}
# What people say, and scikit-learn's scorer, which is the greater the better.
_SHORT = {
    "mape": "neg_mean_absolute_percentage_error",
    "medae": "neg_median_absolute_error",
    "msle": "neg_mean_squared_log_error",
    "rmsle": "neg_root_mean_squared_log_error",
}


@dataclass(frozen=True)
class Metric:
    """How predictions are scored.

    Attributes
    ----------
    name : str
    greater_is_better : bool
    reads : {"values", "probabilities", "labels", "quantiles"}
        What a prediction is: (n,) values, (n, n_classes) probabilities, (n,) codes of
        the classes, or (n, n_levels) quantiles.
    loss : str or callable
        What combiners that can minimise any loss are told to minimise.
    score : callable
        ``score(y, prediction, weight)`` -> float, in the metric's own direction; `y`
        holds values or codes, `weight` may be None.
    tuned : str, callable or None
        What `DecisionOffsetClassifier` is told to tune labels for.
    per_row, finish : callable or None
        Where the score is ``finish(mean of per_row(y, prediction))``: both.
    levels : tuple of float or None
        Of quantiles.
    """

    name: str
    greater_is_better: bool
    reads: str
    loss: Any
    score: Callable[..., float]
    tuned: Any = None
    per_row: Callable[..., NDArray] | None = None
    finish: Callable[[Any], Any] | None = None
    levels: tuple[float, ...] | None = None

    @property
    def sign(self) -> float:
        """1.0 where greater is better, else -1.0."""
        return 1.0 if self.greater_is_better else -1.0


def find_metric(
    name: str | None, task: str, n_classes: int = 0, levels: ArrayLike | None = None
) -> Metric:
    """Return the metric of that name.

    Parameters
    ----------
    name : str or None
        A short name, a loss of this package or a scorer of scikit-learn (``"mape"``,
        ``"medae"``, ``"msle"`` and ``"rmsle"`` are its negated ones); None means
        ``"rmse"``, ``"log_loss"`` or ``"pinball"``.
    task : {"regression", "classification", "quantile"}
    n_classes : int, default=0
    levels : array-like of shape (n_levels,), default=None
        Ascending levels; for quantiles only.

    Returns
    -------
    metric : Metric

    Raises
    ------
    ValueError
        If the name is unknown, or of the other task.

    Examples
    --------
    >>> find_metric("roc_auc", "classification", 2).greater_is_better
    True
    """
    name = DEFAULT_METRICS[task] if name is None else _SHORT.get(name, name)
    if task == "quantile":
        return _of_quantiles(name, levels)
    table = _classification(n_classes) if task == "classification" else _REGRESSION
    if name in table:
        return table[name]
    if name == "pinball":
        raise ValueError(
            f"The metric 'pinball' is for quantiles, but the members give {task} "
            "predictions. Give the quantile levels of their columns."
        )
    if name in _BINARY and task == "classification":
        raise ValueError(
            f"The metric {name!r} is for two classes, but there are {n_classes}. "
            f"Take {_BINARY[name]}."
        )
    kind = _kind_of(name, n_classes)
    if kind == task:
        return _from_scorer(name, task, n_classes)
    why = f": it is for {_SCORES[kind]}" if kind in _SCORES else ""
    raise ValueError(
        f"Unknown metric {name!r} for {task}{why}. Expected one of "
        f"{', '.join(sorted(table | (_SHORT if task == 'regression' else {})))}, or "
        f"another scorer of scikit-learn for {task}."
    )


def _of_quantiles(name, levels):
    """Return the mean pinball loss over rows and levels."""
    if name != "pinball":
        raise ValueError(
            f"Unknown metric {name!r} for quantiles. Expected 'pinball', the mean "
            "pinball loss over rows and levels."
        )
    levels = np.asarray(levels, dtype=np.float64)
    pinball = LOSSES["pinball"].per_row
    assert pinball is not None

    def per_row(y, prediction):
        return pinball(y[:, None], prediction, levels).mean(axis=1)

    def score(y, prediction, weight=None):
        return float(np.average(per_row(y, prediction), weights=weight))

    return Metric(
        *(name, False, "quantiles", name, score, None, per_row, np.asarray),
        levels=tuple(levels.tolist()),
    )


def _mean_loss(name, loss, reads="values", finish=np.asarray):
    """Return a metric that is the mean of a loss, or a function of it."""
    per_row = LOSSES[loss].per_row
    assert per_row is not None

    def score(y, prediction, weight=None):
        return float(finish(np.average(per_row(y, prediction), weights=weight)))

    return Metric(name, False, reads, loss, score, None, per_row, finish)


def _r2(y, prediction, weight=None):
    level = np.average(y, weights=weight)
    spread = np.average((y - level) ** 2, weights=weight)
    return 1.0 - float(np.average((y - prediction) ** 2, weights=weight) / spread)


def _auc(y, prediction, weight=None):
    values = np.clip(prediction[:, 1], 0.0, 1.0) + 0.0
    return 1.0 - float(kernels.hill.one_minus_auc(values, y, weight))


def _accuracy(y, labels, weight=None):
    return float(np.average(labels == y, weights=weight))


_REGRESSION = {
    metric.name: metric
    for metric in (
        _mean_loss("rmse", "squared_error", finish=np.sqrt),
        _mean_loss("mse", "squared_error"),
        _mean_loss("squared_error", "squared_error"),
        _mean_loss("mae", "absolute_error"),
        _mean_loss("absolute_error", "absolute_error"),
        Metric("r2", True, "values", "squared_error", _r2),
    )
}
_BINARY = {
    "auc": "'roc_auc_ovr'",
    "roc_auc": "'roc_auc_ovr'",
    "f1": "'f1_macro' or 'f1_weighted'",
}


def _classification(n_classes):
    metrics = [
        _mean_loss("log_loss", "log_loss", "probabilities"),
        _mean_loss("brier", "brier", "probabilities"),
        Metric("accuracy", True, "labels", "zero_one", _accuracy, "accuracy"),
        Metric("qwk", True, "labels", _QWK, _scored_by(_QWK, "labels"), _QWK),
    ]
    if n_classes == 2:
        metrics += [
            Metric(name, True, "probabilities", "auc", _auc)
            for name in ("auc", "roc_auc")
        ]
    names = [n for n in LABEL_METRICS if n != "accuracy"]
    for name in names if n_classes == 2 else names[:1] + names[2:]:
        score = _scored_by(_kappa_or_scorer(name), "labels")
        metrics.append(Metric(name, True, "labels", name, score, name))
    return {metric.name: metric for metric in metrics}


def _kappa_or_scorer(name):
    # scikit-learn has no scorer of the plain kappa under this name.
    return make_scorer(cohen_kappa_score) if name == "cohen_kappa" else get_scorer(name)


_QWK = make_scorer(cohen_kappa_score, weights="quadratic")


def _from_scorer(name, task, n_classes):
    reads = "values"
    if task == "classification":
        reads = "labels" if _reads_labels(name, n_classes) else "probabilities"
    tuned = name if reads == "labels" else None
    score = _scored_by(get_scorer(name), reads)
    return Metric(name, True, reads, name, score, tuned)


def _scored_by(scorer, reads):
    def score(y, prediction, weight=None):
        options = {} if weight is None else {"sample_weight": weight}
        given = _GIVEN[reads](prediction)
        return float(scorer(given, np.zeros((len(y), 1)), y, **options))

    return score


_SCORES = {
    "regression": "values of a regression",
    "classification": "classes",
    "clustering": "clusterings, which does not ask which class is which",
}
_VALUES = np.array([1.25, 2.5, 3.75, 4.5]), np.array([1.5, 2.25, 3.5, 4.75])
_GROUPS = np.array([1.0, 1.0, 2.0, 2.0])


def _kind_of(name, n_classes):
    """Return what the scorer is for, by trying it; None for none that is known.

    Many scorers take codes of classes for values, and clusterings for either, so being
    content is not enough.
    """
    if name in _REGRESSION:
        return "regression"
    if name not in get_scorer_names():
        return None
    own = _try(name, "values", _GROUPS, _GROUPS)
    if own is not None and own == _try(name, "values", _GROUPS, 3.0 - _GROUPS):
        return "clustering"  # groups by other names are as good
    if _try(name, "values", *_VALUES) is not None:
        return "regression"
    of_classes = max(2, n_classes)
    if _reads_labels(name, of_classes) or _reads(name, "probabilities", of_classes):
        return "classification"
    return None


def _reads_labels(name, n_classes):
    return _reads(name, "labels", n_classes)


def _reads(name, reads, n_classes):
    """Return whether the scorer is content with labels, or with probabilities."""
    y = np.tile(np.arange(n_classes), 3)
    rng = np.random.default_rng(0)
    prediction: NDArray = rng.permutation(y)
    if reads == "probabilities":
        prediction = rng.dirichlet(np.ones(n_classes), len(y))
    return _try(name, reads, y, prediction) is not None


def _try(name, reads, y, prediction):
    """Return the score, None where there is no finite one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            score = _scored_by(get_scorer(name), reads)(y, prediction)
        except Exception:
            return None
    return score if np.isfinite(score) else None


class _GivenValues(RegressorMixin, BaseEstimator):
    """A fitted regressor that returns what it was given."""

    def __init__(self, values):
        self.values = values

    def __sklearn_is_fitted__(self):
        return True

    def predict(self, X):
        return self.values


class _GivenLabels(ClassifierMixin, BaseEstimator):
    """A fitted classifier that returns the codes it was given."""

    def __init__(self, labels):
        self.labels = labels

    def __sklearn_is_fitted__(self):
        return True

    @property
    def classes_(self):
        return np.unique(self.labels)

    def predict(self, X):
        return self.labels


class _GivenProbabilities(ClassifierMixin, BaseEstimator):
    """A fitted classifier that returns the probabilities it was given."""

    def __init__(self, probabilities):
        self.probabilities = probabilities

    def __sklearn_is_fitted__(self):
        return True

    @property
    def classes_(self):
        return np.arange(self.probabilities.shape[1])

    def predict_proba(self, X):
        return self.probabilities

    def predict(self, X):
        return self.probabilities.argmax(axis=1)


_GIVEN = {
    "values": _GivenValues,
    "labels": _GivenLabels,
    "probabilities": _GivenProbabilities,
}
