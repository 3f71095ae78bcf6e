"""What the measures of multiplicity and diversity read: P, or a library, checked."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import layout
from ..library import PredictionLibrary
from ..losses import LOSSES, evaluate_loss

# Rows whose temporary arrays stay small beside P.
_MEMBERS_AT_ONCE = 8


class Judged(NamedTuple):
    """Predictions of members with their truth.

    Parameters
    ----------
    P : ndarray of shape (n_samples, n_members * n_outputs)
    y : ndarray of shape (n_samples,)
        Codes of the classes, or float64 values.
    n_classes : int
        0 for regression.
    names : list of str
    weight : ndarray of shape (n_samples,), or None
    """

    P: NDArray
    y: NDArray
    n_classes: int
    names: list[str]
    weight: NDArray | None

    @property
    def n_outputs(self):
        """Columns of one member."""
        return layout.n_outputs_for(self.n_classes) if self.n_classes else 1

    @property
    def cube(self):
        """P as (n_members, n_samples, n_outputs)."""
        return layout.to_cube(self.P, self.n_outputs)


def read(predictions, y, loss, classes, sample_weight):
    """Return the matrix of a library, or of P and y, and the name of the loss."""
    if isinstance(predictions, PredictionLibrary):
        given = {"y": y, "classes": classes, "sample_weight": sample_weight}
        extra = [name for name, value in given.items() if value is not None]
        if extra:
            raise ValueError(f"A library holds {extra} itself; give only the library.")
        return _of_library(predictions, loss)
    if y is None:
        raise ValueError("y is None; give a PredictionLibrary, or P and y.")
    loss = check_loss(loss or "log_loss")
    P, y = check_matrix(predictions, finite=False), np.asarray(y)
    if y.shape != P.shape[:1]:
        raise ValueError(f"y has shape {y.shape}; expected ({len(P)},), one per row.")
    weight = None if sample_weight is None else np.asarray(sample_weight, float)
    if LOSSES[loss].task == "regression":
        layout.check_finite(P, column_numbers(P))
        y = y.astype(np.float64)
        if not np.isfinite(y).all():
            raise ValueError("y has NaN or infinity; expected numbers.")
        return Judged(P, y, 0, _numbered(P.shape[1]), weight), loss
    known = np.unique(y) if classes is None else np.asarray(classes)
    library = PredictionLibrary(
        P,
        y,
        _numbered(layout.count_members(P, layout.n_outputs_for(len(known)))),
        classes=known,
        sample_weight=weight,
    )
    return _of_library(library, loss)


def _numbered(n_members):
    return [f"member{m}" for m in range(n_members)]


def _of_library(library, loss):
    if library.task == "quantile":
        raise ValueError(
            "The library holds quantiles; expected values or probabilities. Select the "
            "column of one level of each member first."
        )
    classes = library.classes
    task = library.task
    loss = check_loss(loss or ("squared_error" if classes is None else "log_loss"))
    if LOSSES[loss].task != task:
        raise ValueError(
            f"loss {loss!r} is for {LOSSES[loss].task}; the predictions are of "
            f"{task}. Choose another loss."
        )
    y = library.y if classes is None else np.searchsorted(classes, library.y)
    n_classes = 0 if classes is None else len(classes)
    return Judged(
        library.P, y, n_classes, list(library.names), library.sample_weight
    ), loss


def check_loss(loss):
    """Return the name of a loss of the table; quantiles have none here."""
    if loss not in LOSSES or LOSSES[loss].needs == "quantiles":
        known = [name for name, row in LOSSES.items() if row.needs != "quantiles"]
        raise ValueError(f"loss is {loss!r}; expected one of {sorted(known)}.")
    return loss


def check_matrix(P, *, finite=True):
    """Return a two-dimensional array of finite floats, without a copy of floats.

    With ``finite=False`` a check that follows sees to NaN and infinity.
    """
    P = np.asarray(P)
    if P.ndim != 2 or 0 in P.shape or P.dtype.kind not in "fiub":
        raise ValueError(
            f"P has shape {P.shape} of {P.dtype}; expected numbers of shape "
            "(n_samples, n_columns), with one row and one column at least."
        )
    if P.dtype not in (np.float64, np.float32):
        P = P.astype(np.float64)
    if finite:
        layout.check_finite(P, column_numbers(P))
    return P


def column_numbers(P):
    """Return names for the columns of a matrix that has none."""
    return [str(column) for column in range(P.shape[1])]


def member_losses(judged, loss):
    """Return the mean held-out loss of each member: (n_members,) float64."""
    losses = np.empty(len(judged.names))
    for first in range(0, len(losses), _MEMBERS_AT_ONCE):
        # A column of P has a cell in each line of memory: a few are read together.
        outputs = np.ascontiguousarray(judged.cube[first : first + _MEMBERS_AT_ONCE])
        for m, member in enumerate(outputs, first):
            losses[m] = _loss_of(judged, member, loss, checked=m > 0)
    return losses


def _loss_of(judged, outputs, loss, checked):
    """Return the loss of a member; y and weights are checked with the first."""
    if judged.n_classes:
        prediction = layout.class_probabilities(outputs)
    else:
        prediction = outputs[:, 0].astype(np.float64, copy=False)
    per_row = LOSSES[loss].per_row
    if not checked or per_row is None:
        return evaluate_loss(loss, judged.y, prediction, judged.weight)
    return np.average(per_row(judged.y, prediction), weights=judged.weight)


def check_shares(weights, n_members):
    """Return weights of members that sum to 1; equal ones for None."""
    if weights is None:
        return np.full(n_members, 1.0 / n_members)
    shares = np.asarray(weights, dtype=np.float64)
    if shares.shape != (n_members,):
        raise ValueError(
            f"weights has shape {shares.shape}; expected ({n_members},), one for each "
            "member."
        )
    if not (shares >= 0.0).all() or abs(shares.sum() - 1.0) > 1e-9:
        raise ValueError(
            f"weights are {shares.min():.6g} at least and sum to {shares.sum():.6g}; "
            "expected non-negative ones that sum to 1. Divide them by their sum."
        )
    return shares
