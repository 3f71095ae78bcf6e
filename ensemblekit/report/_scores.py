"""Losses of members, of their mean and of the ensemble, on the same held-out rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..layout import class_probabilities
from ..leaderboard import code_labels, cross_fitted_predictions, score_folds
from ..library import PredictionLibrary

_LOSSES = {
    "regression": "squared_error",
    "classification": "log_loss",
    "quantile": "pinball",
}
ENSEMBLE, MEAN = "ensemble", "mean of all members"


@dataclass
class Judged:
    """A library of codes, what the combiner predicts for held-out rows, and scores."""

    library: PredictionLibrary
    prediction: NDArray | None
    rows: list[dict[str, Any]]

    @property
    def loss(self):
        """Name of the loss."""
        return loss_of(self.library.task)


def loss_of(task):
    """Return the name of the loss by which a task is judged."""
    return _LOSSES[task]


def judge(library, combiner=None, *, weighted=True, scored=True):
    """Score all on common rows, each with its loss on every fold.

    Parameters
    ----------
    library : PredictionLibrary
    combiner : estimator or None
        Unfitted; None, or one without held-out predictions, leaves it unscored.
    weighted : bool
        Whether the combiner's fit takes the library's weights.
    scored : bool
        False where the library is not all that the combiner is fitted on.

    Returns
    -------
    judged : Judged
        Rows are members in order, their mean, and the ensemble if there is one.
    """
    library = code_labels(library)
    prediction = _held_out(library, combiner, weighted) if scored else None
    seen = _seen_rows(library, prediction)
    folds = np.zeros(len(library.y), int) if library.folds is None else library.folds
    rows = []
    for name, kind, values in _entries(library, prediction):
        values = values.astype(np.float64)
        values[~seen] = np.nan
        scores = score_folds(
            _LOSSES[library.task],
            library.y,
            values,
            folds,
            library.sample_weight,
            library.quantile_levels,
        )
        rows.append({"name": name, "kind": kind, **scores})
    if combiner is not None and prediction is None:
        unscored = {"scores": None, "loss": None, "loss_se": None}
        rows.append({"name": ENSEMBLE, "kind": "ensemble", **unscored})
    return Judged(library, prediction, rows)


def paired_difference(judged, row, other):
    """Return the loss of `row` less that of `other`, and its standard error.

    The error is that of the differences fold by fold, weighted by the folds' rows.
    """
    difference = row["loss"] - other["loss"]
    library, by_fold = judged.library, row["scores"] - other["scores"]
    if len(by_fold) < 2:
        return difference, np.nan
    rows = _seen_rows(library, judged.prediction)
    weight = np.ones(len(library.y))
    if library.sample_weight is not None:
        weight = np.asarray(library.sample_weight, float)
    rows = rows & (weight > 0.0)
    _, codes = np.unique(library.folds[rows], return_inverse=True)
    shares = np.bincount(codes, weight[rows]) / weight[rows].sum()
    squares = (shares**2 * (by_fold - difference) ** 2).sum()
    return difference, float(np.sqrt(squares * len(shares) / (len(shares) - 1)))


def _held_out(library, combiner, weighted):
    folds = library.folds
    if combiner is None or folds is None or len(np.unique(folds)) < 2:
        return None
    needed = {"classification": "predict_proba", "quantile": "predict_quantiles"}
    if not hasattr(combiner, needed.get(library.task, "predict")):
        return None
    return cross_fitted_predictions(combiner, library, weighted=weighted)


def _seen_rows(library, prediction):
    """Return the rows that the ensemble is scored on; all, where there are none."""
    if prediction is None:
        return np.ones(library.n_samples, dtype=bool)
    blind = np.isnan(prediction.reshape(library.n_samples, -1)).any(axis=1)
    return blind if blind.all() else ~blind


def _entries(library, prediction):
    """Yield name, kind and predictions in the shape that the loss takes."""
    total = 0.0
    for name, block in zip(library.names, library.cube, strict=True):
        total = total + block.astype(np.float64)
        yield name, "member", as_scored(library, block)
    if library.n_members > 1:
        yield MEAN, "mean", as_scored(library, total / library.n_members)
    if prediction is not None:
        yield ENSEMBLE, "ensemble", prediction


def as_scored(library, block):
    """Return a block of P as values, as probabilities of all classes or quantiles."""
    if library.task == "classification":
        return class_probabilities(block)
    return block if library.task == "quantile" else block[:, 0]
