"""Windows of confidence: which rows a cascade passes on, at what cost and loss."""

from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from .. import layout
from .._sklearn import check_sample_weight
from ..library import PredictionLibrary
from ..losses import LOSSES
from ._tracing import ROUNDING, blocks, reach, trace

__all__ = ["CascadeCurve", "cascade_curve"]

CONFIDENCES = ("max_proba", "margin", "entropy")
CLASS_LOSSES = ("log_loss", "brier", "zero_one")
VALUE_LOSSES = ("squared_error", "absolute_error")


class CascadeCurve(NamedTuple):
    """Cost and quality of a cascade at every window that matters.

    Between two windows nothing changes: each point holds from just above the window
    before it up to and with its own. Of more than 16384 windows so many are kept,
    evenly among the rows; what changes between two of them is seen at the wider one.

    Attributes
    ----------
    window : ndarray of shape (n_points,), float64
        Ascending from 0 (the first member alone) to 1 (the whole ensemble).
    cost : ndarray of shape (n_points,), float64
        Mean cost of a row, in multiples of the first member's. Never descends, but for
        a gate, which the full window does not ask.
    loss : ndarray of shape (n_points,), float64
        Mean loss of the rows answered; NaN where none is.
    coverage : ndarray of shape (n_points,), float64
        Share of the rows answered: those at or above the operating threshold.

    Examples
    --------
    >>> points = [[0, 0.5, 1], [1, 1.2, 2], [4, 3, 2], [1, 1, 1]]
    >>> curve = CascadeCurve(*np.array(points))
    >>> curve.widest(max_cost=1.5), curve.narrowest(tolerance=0.5)
    (0.5, 0.5)
    """

    window: NDArray
    cost: NDArray
    loss: NDArray
    coverage: NDArray

    def widest(self, max_cost: float) -> float:
        """Return the widest window of at most this cost; 0 where none is so cheap.

        Parameters
        ----------
        max_cost : float
            Mean cost of a row, in multiples of the first member's.

        Returns
        -------
        window : float
            In [0, 1].
        """
        within = np.flatnonzero(self.cost <= max_cost * (1.0 + ROUNDING))
        return float(self.window[within[-1]]) if within.size else 0.0

    def narrowest(self, tolerance: float) -> float:
        """Return the narrowest window that keeps the ensemble's loss.

        Parameters
        ----------
        tolerance : float
            So much more than the ensemble's loss is let pass, as a share of it.

        Returns
        -------
        window : float
        """
        whole = self.loss[-1]
        limit = whole + (tolerance + ROUNDING) * abs(whole)
        within = np.flatnonzero(self.loss <= limit)
        return float(self.window[within[0]]) if within.size else 1.0

    def at(self, window: float) -> int:
        """Return the position of the point that holds at a window.

        Parameters
        ----------
        window : float
            In [0, 1].

        Returns
        -------
        position : int
            Index into the arrays of the curve.
        """
        return int(np.searchsorted(self.window, window))


def cascade_curve(
    P: ArrayLike,
    y: ArrayLike,
    costs: ArrayLike | None = None,
    *,
    loss: str = "log_loss",
    coverage: float = 1.0,
    confidence: str | ArrayLike = "max_proba",
    weights: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> CascadeCurve:
    """Compute cost and loss of a cascade at every window, from held-out predictions.

    Stage k answers with the mean of the first k members. At window w it passes on the
    rows whose confidence is among the share w**k of all rows nearest in rank to the
    operating threshold; the others keep its answer. Windows of one stage lie within
    each other, so that a wider one never answers a row earlier.

    Parameters
    ----------
    P : array-like of shape (n_samples, n_members * n_outputs)
        Held-out predictions, members in the order of the cascade, cheapest first.
    y : array-like of shape (n_samples,)
        Labels or values.
    costs : array-like of shape (n_members,), default=None
        Cost of one row by each member, positive, in any unit; None means equal costs.
    loss : {"log_loss", "brier", "zero_one", "squared_error", "absolute_error"}, \
default="log_loss"
        Of regression the last two.
    coverage : float, default=1.0
        Share of the rows, in (0, 1], that the operating threshold lets answer. The
        window lies around that threshold; with 1 it holds the least confident rows, and
        all rows are answered.
    confidence : {"max_proba", "margin", "entropy"} or array-like of shape \
(n_samples, n_members), default="max_proba"
        Of probabilities: the largest, its lead over the second, or minus the entropy.
        Numbers are those of each stage, larger is surer; regression needs them. The
        last stage's only say which of its rows are answered.
    weights : array-like of shape (n_members,), default=None
        Positive weights of the members in the means; None means equal ones.
    classes : array-like of shape (n_classes,), default=None
        Labels, sorted, as P's columns are; None means those of y.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative; rows of weight 0 are left out.

    Returns
    -------
    curve : CascadeCurve

    Raises
    ------
    ValueError
        If P, y, costs, weights or confidences do not fit together or are not finite.

    Notes
    -----
    Time O(n * m * log(n * m)) for n rows and m members; memory besides P about two
    numbers for each row and member. Windows go by ranks among the
    same rows and by no target: the curve is not fitted to y, but a window chosen on it
    for its loss is.

    References
    ----------
    .. [1] Xia, Bouganis, "Window-Based Early-Exit Cascades for Uncertainty Estimation",
       ICCV 2023.

    Examples
    --------
    >>> P = np.array([[0.9, 0.8], [0.6, 0.2], [0.1, 0.3], [0.7, 0.9]])
    >>> curve = cascade_curve(P, [1, 0, 0, 1], [1, 3], loss="zero_one")
    >>> curve.cost
    array([1.  , 1.  , 1.75, 2.5 , 4.  ])
    >>> curve.loss
    array([0.25, 0.25, 0.  , 0.  , 0.  ])
    """
    if loss not in (*CLASS_LOSSES, *VALUE_LOSSES):
        raise ValueError(
            f"Unknown loss {loss!r}; expected one of {CLASS_LOSSES} for probabilities, "
            f"{VALUE_LOSSES} for values."
        )
    if not 0.0 < coverage <= 1.0:
        raise ValueError(f"coverage is {coverage!r}; expected a share in (0, 1].")
    library, weight, rows = _check_predictions(P, y, loss, classes, sample_weight)
    price = check_positive("costs", costs, library.n_members)
    weights = check_positive("weights", weights, library.n_members)

    def means(part):
        members = library.cube[:, part if rows is None else rows[part]]
        return running_means(outputs_of(members, library.classes), weights)

    def losses(part):
        targets = library.y[part if rows is None else rows[part]]
        if library.classes is not None:
            targets = np.searchsorted(library.classes, targets)
        return row_losses(loss, targets, means(part))

    shape = len(weight), library.n_members
    sure = _confidences(confidence, shape, means, loss, library, rows)
    reached, answered = reach(sure, weight, 1.0 - coverage)
    parts = ((part, losses(part)) for part in blocks(len(weight)))
    return CascadeCurve(*trace(reached, answered, parts, price / price[0], weight))


def running_means(cube, weights):
    """Return the weighted means of the first 1, 2, .. members.

    cube : (n_members, n_samples, n_outputs); weights : (n_members,)
    Returns an array of the shape of cube, whose first is the first member exactly.
    """
    shares = (weights / weights[0])[:, None, None]
    return np.cumsum(shares * cube, axis=0) / np.cumsum(shares, axis=0)


def confidence_of(probabilities, kind):
    """Return how sure probabilities (.., n_classes) are; larger is surer."""
    if kind == "entropy":
        return -entr(probabilities).sum(axis=-1)
    if kind == "max_proba":  # class by class: a reduction over few columns is slow
        return reduce(np.maximum, np.moveaxis(probabilities, -1, 0))
    two = np.partition(probabilities, -2, axis=-1)[..., -2:]
    return two[..., 1] - two[..., 0]


def row_losses(loss, targets, means):
    """Return the loss of each row at each stage: (n_samples, n_members)."""
    per_row: Any = LOSSES[loss].per_row
    if LOSSES[loss].needs == "values":
        means = means[:, :, 0]
    return np.column_stack([per_row(targets, mean) for mean in means])


def check_positive(name, values, n_members):
    """Return positive float64 numbers, one for each member; all ones for None."""
    if values is None:
        return np.ones(n_members)
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != (n_members,):
        raise ValueError(
            f"{name} has shape {numbers.shape}; expected ({n_members},), one number "
            "for each member."
        )
    if not (np.isfinite(numbers) & (numbers > 0.0)).all():
        raise ValueError(
            f"{name} is {numbers.tolist()}; expected positive, finite numbers."
        )
    return numbers


def _check_predictions(P, y, loss, classes, sample_weight):
    """Return the library, weights above 0, and of which rows; None stands for all."""
    y = np.asarray(y)
    if LOSSES[loss].task == "classification":
        classes = np.unique(y) if classes is None else np.asarray(classes)
        n_outputs = layout.n_outputs_for(len(classes))
    else:
        classes, n_outputs = None, 1
    P = np.asarray(P)
    columns = P.shape[1] if P.ndim == 2 else 1
    names = [f"member {m}" for m in range(max(1, columns // n_outputs))]
    library = PredictionLibrary(P, y, names, classes=classes)
    if sample_weight is None:
        return library, np.broadcast_to(1.0, len(y)), None
    weight = check_sample_weight(sample_weight, library.P)
    rows = np.flatnonzero(weight > 0.0)
    return library, weight[rows], rows


def outputs_of(cube, classes):
    """Return what each member says: (n_members, n_samples, n_classes or 1).

    cube : (n_members, n_samples, n_outputs), as of `layout.to_cube`
    """
    if classes is None:
        return cube
    return np.stack([layout.class_probabilities(member) for member in cube])


def _confidences(confidence, shape, means, loss, library, rows):
    """Return the confidence of each stage in each row: a new array of this shape.

    means : what the stages say of a slice of rows
    """
    if not isinstance(confidence, str):
        given = np.asarray(confidence, dtype=np.float64)
        wanted = library.n_samples, library.n_members
        if given.shape != wanted or not np.isfinite(given).all():
            raise ValueError(
                f"confidence has shape {given.shape} or is not finite; expected "
                f"{wanted}: a number for each row and stage."
            )
        return given.copy() if rows is None else given[rows]
    if confidence not in CONFIDENCES:
        raise ValueError(
            f"Unknown confidence {confidence!r}; expected one of {CONFIDENCES} or an "
            "array."
        )
    if LOSSES[loss].task == "regression":
        raise ValueError(
            f"confidence={confidence!r} is for probabilities; expected an array of "
            "shape (n_samples, n_members), larger where the stage is surer."
        )
    sure = np.empty(shape)
    for part in blocks(len(sure)):
        sure[part] = confidence_of(means(part), confidence).T
    return sure
