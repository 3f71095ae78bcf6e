"""The table of losses: name, code for the kernels, task, what it needs, its formula.

All losses are lower-is-better. A kernel takes the integer code, never the function.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["LOSSES", "Loss", "evaluate_loss"]

LOG_CLIP = np.finfo(np.float64).eps
"""Smallest probability the log loss sees (scikit-learn's rule for float64)."""


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
    *,
    classes: ArrayLike | None = None,
    **parameters: float,
) -> float:
    """Compute a loss of the table; lower is better.

    Parameters
    ----------
    name : str
        One of ``squared_error, absolute_error, huber, pinball, log_loss, brier,
        zero_one, auc``.
    y : array-like of shape (n_samples,)
        Targets; for classification losses labels out of `classes`.
    prediction : array-like of shape (n_samples,) or (n_samples, n_classes)
        Values or quantiles for regression, probabilities for classification.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative; None weighs rows equally.
    classes : array-like of shape (n_classes,), default=None
        Labels in the order of the columns of `prediction`; None means 0..K-1.
    **parameters : float
        ``delta`` of huber (default 1.0), ``level`` of pinball (default 0.5).

    Returns
    -------
    loss : float
        Weighted mean over the rows; ``auc`` is 1 - ROC AUC (binary only). Brier has
        one term, ``(p - y)**2``, for two classes, and the sum over the classes for
        more. In log loss probabilities below 2.2e-16 count as 2.2e-16.

    Raises
    ------
    ValueError
        If the name is unknown, shapes disagree, a prediction is NaN or infinite, a
        label is not among the classes, weights are negative or all zero, or `auc` is
        asked for without exactly two classes.

    Examples
    --------
    >>> evaluate_loss("squared_error", [1.0, 2.0], [1.0, 4.0])
    2.0
    >>> p = [[0.9, 0.1], [0.8, 0.2]]
    >>> evaluate_loss("zero_one", ["no", "yes"], p, classes=["no", "yes"])
    0.5
    """
    if name not in LOSSES:
        raise ValueError(f"Unknown loss {name!r}. Expected one of {sorted(LOSSES)}.")
    loss = LOSSES[name]
    values = np.asarray(prediction, dtype=np.float64)
    labels = np.asarray(y)
    n_dims = 2 if loss.needs == "probabilities" else 1
    if labels.ndim != 1 or values.ndim != n_dims or len(values) != len(labels):
        raise ValueError(
            f"Loss {name!r} needs y of shape (n,) and predictions of {n_dims} "
            f"dimension(s) with n rows; got {labels.shape} and {values.shape}."
        )
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values.reshape(len(values), -1)).all(axis=1)))
        raise ValueError(f"The prediction is NaN or infinite at row {row}.")
    weight = _check_weight(sample_weight, len(labels))
    if loss.needs == "probabilities":
        targets = _find_codes(labels, classes, values.shape[1])
    else:
        targets = labels.astype(np.float64)
    if loss.per_row is None:
        return _one_minus_auc(targets, values, weight)
    return float(
        np.average(loss.per_row(targets, values, **parameters), weights=weight)
    )


def _check_weight(sample_weight, n_rows):
    if sample_weight is None:
        return np.ones(n_rows)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n_rows,) or not (weight >= 0).all() or not weight.any():
        raise ValueError(
            f"sample_weight must hold {n_rows} non-negative numbers, not all zero."
        )
    return weight


def _find_codes(labels, classes, n_columns):
    """Return the column of each label."""
    known = np.arange(n_columns) if classes is None else np.asarray(classes)
    if len(known) != n_columns:
        raise ValueError(
            f"classes holds {len(known)} labels for {n_columns} columns of predictions."
        )
    order = np.argsort(known)
    strangers = ~np.isin(labels, known)
    if strangers.any():
        row = int(np.argmax(strangers))
        raise ValueError(
            f"y has the label {labels.tolist()[row]!r} (row {row}); expected one of "
            f"{known.tolist()}. Give classes=, the labels in the order of the columns."
        )
    return order[np.searchsorted(known, labels, sorter=order)]


def _one_minus_auc(codes, probabilities, weight):
    from sklearn.metrics import roc_auc_score

    if probabilities.shape[1] != 2 or len(np.unique(codes)) != 2:
        raise ValueError(
            f"loss 'auc' needs two classes in y and predictions; got "
            f"{len(np.unique(codes))} classes and {probabilities.shape[1]} columns."
        )
    return float(1.0 - roc_auc_score(codes, probabilities[:, 1], sample_weight=weight))
