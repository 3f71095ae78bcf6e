"""The table of losses: name, code for the kernels, task, what it needs, its formula.

All losses are lower-is-better. A kernel takes the integer code, never the function.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["LOSSES", "Loss", "evaluate_loss"]

LOG_CLIP = np.finfo(np.float64).eps
"""Smallest mixture probability the log loss sees (scikit-learn's rule)."""


@dataclass(frozen=True)
class Loss:
    """One row of the table.

    Attributes
    ----------
    name : str
    code : int
        What kernels take.
    task : {"regression", "classification"}
    needs : {"values", "probabilities", "quantiles"}
        What the predictions must be: (n,) values, (n, n_classes) probabilities, or
        (n,) quantiles of one level.
    per_row : callable or None
        ``per_row(y, prediction, **parameters)`` -> (n,) losses; None where the loss is
        no mean over rows (auc). Classification takes class codes as y.
    """

    name: str
    code: int
    task: str
    needs: str
    per_row: Callable[..., NDArray] | None


def _squared_error(y, prediction):
    return (y - prediction) ** 2


def _absolute_error(y, prediction):
    return np.abs(y - prediction)


def _huber(y, prediction, delta=1.0):
    error = np.abs(y - prediction)
    inside = np.minimum(error, delta)
    return inside * (error - 0.5 * inside)


def _pinball(y, prediction, level=0.5):
    error = y - prediction
    return np.maximum(level * error, (level - 1.0) * error)


def _log_loss(y, prediction):
    return -np.log(np.maximum(prediction[np.arange(len(y)), y], LOG_CLIP))


def _brier(y, prediction):
    # Two classes: (p - y)^2 as scikit-learn has it; K > 2: the sum over the classes.
    squares = (prediction - (y[:, None] == np.arange(prediction.shape[1]))) ** 2
    return squares[:, 1] if prediction.shape[1] == 2 else squares.sum(axis=1)


def _zero_one(y, prediction):
    return (prediction.argmax(axis=1) != y).astype(np.float64)


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("squared_error", 0, "regression", "values", _squared_error),
        Loss("absolute_error", 1, "regression", "values", _absolute_error),
        Loss("huber", 2, "regression", "values", _huber),
        Loss("pinball", 3, "regression", "quantiles", _pinball),
        Loss("log_loss", 4, "classification", "probabilities", _log_loss),
        Loss("brier", 5, "classification", "probabilities", _brier),
        Loss("zero_one", 6, "classification", "probabilities", _zero_one),
        Loss("auc", 7, "classification", "probabilities", None),
    )
}


def evaluate_loss(
    name: str,
    y: ArrayLike,
    prediction: ArrayLike,
    sample_weight: ArrayLike | None = None,
    **parameters: float,
) -> float:
    """Compute a loss of the table; lower is better.

    Parameters
    ----------
    name : str
        One of ``squared_error, absolute_error, huber, pinball, log_loss, brier,
        zero_one, auc``.
    y : array-like of shape (n_samples,)
        Targets; class codes 0..K-1 for classification losses.
    prediction : array-like of shape (n_samples,) or (n_samples, n_classes)
        Values or quantiles for regression, probabilities for classification.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative; None weighs rows equally.
    **parameters : float
        ``delta`` of huber (default 1.0), ``level`` of pinball (default 0.5).

    Returns
    -------
    loss : float
        Weighted mean over the rows; ``auc`` is 1 - ROC AUC (binary only).

    Raises
    ------
    ValueError
        If the name is unknown, or `auc` is asked for without exactly two classes.

    Examples
    --------
    >>> evaluate_loss("squared_error", [1.0, 2.0], [1.0, 4.0])
    2.0
    >>> evaluate_loss("zero_one", [0, 1], [[0.9, 0.1], [0.8, 0.2]])
    0.5
    """
    if name not in LOSSES:
        raise ValueError(f"Unknown loss {name!r}. Expected one of {sorted(LOSSES)}.")
    y, prediction = np.asarray(y), np.asarray(prediction)
    per_row = LOSSES[name].per_row
    if per_row is None:
        return _one_minus_auc(y, prediction, sample_weight)
    weight = None if sample_weight is None else np.asarray(sample_weight)
    return float(np.average(per_row(y, prediction, **parameters), weights=weight))


def _one_minus_auc(y, prediction, sample_weight):
    from sklearn.metrics import roc_auc_score

    if prediction.shape[1] != 2 or len(np.unique(y)) != 2:
        raise ValueError(
            f"loss 'auc' needs two classes in y and predictions; got "
            f"{len(np.unique(y))} classes and {prediction.shape[1]} columns."
        )
    return float(1.0 - roc_auc_score(y, prediction[:, 1], sample_weight=sample_weight))
