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

__all__ = ["CascadeCurve", "cascade_curve"]

CONFIDENCES = ("max_proba", "margin", "entropy")
CLASS_LOSSES = ("log_loss", "brier", "zero_one")
VALUE_LOSSES = ("squared_error", "absolute_error")
# Sums over rows in another order may differ by this, relatively.
_ROUNDING = 1e-12


class CascadeCurve(NamedTuple):
    """Cost and quality of a cascade at every window that matters.

    Between two windows nothing changes: each point holds from just above the window
    before it up to and with its own.

    Attributes
    ----------
    window : ndarray of shape (n_points,), float64
        Ascending from 0 (the first member alone) to 1 (the whole ensemble).
    cost : ndarray of shape (n_points,), float64
        Mean cost of a row, in multiples of the first member's; never descends.
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
        """Return the widest window of at most this cost; 0 where none is so cheap."""
        within = np.flatnonzero(self.cost <= max_cost * (1.0 + _ROUNDING))
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
        limit = whole + (tolerance + _ROUNDING) * abs(whole)
        within = np.flatnonzero(self.loss <= limit)
        return float(self.window[within[0]]) if within.size else 1.0

    def at(self, window: float) -> int:
        """Return the position of the point that holds at a window."""
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
    Time O(n * m * log(n * m)) for n rows and m members. Windows go by ranks among the
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
    cube, targets, weight, kept = _check_predictions(P, y, loss, classes, sample_weight)
    price = check_positive("costs", costs, len(cube))
    means = running_means(cube, check_positive("weights", weights, len(cube)))
    places = ranks(_confidences(confidence, means, loss, kept), weight)
    return trace(
        needed_windows(places[:, :-1], 1.0 - coverage),
        price / price[0],
        row_losses(loss, targets, means),
        places >= 1.0 - coverage,
        weight,
    )


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


def ranks(confidences, weight):
    """Return each row's place among all, in (0, 1); ties share the middle of theirs.

    confidences : (n_samples, n_stages); weight : (n_samples,), positive
    Returns (n_samples, n_stages): share of the weight below, and half of that at it.
    """
    places = np.empty(confidences.shape)
    for k, own in enumerate(confidences.T):
        _, group = np.unique(own, return_inverse=True)
        mass = np.bincount(group, weight)
        upto = np.cumsum(mass)
        places[:, k] = ((upto - 0.5 * mass) / upto[-1])[group]
    return places


def needed_windows(places, centre):
    """Return the window above which each row passes each stage.

    A window of share s lies from rank clip(centre - s / 2, 0, 1 - s) on; it is the
    (k + 1)-th power of the cascade's window at stage k.

    places : (n_samples, n_stages), in (0, 1); centre : the threshold's rank, in [0, 1)
    Returns (n_samples, n_stages), in [0, 1)
    """
    outer = np.where(places <= centre, 1.0 - places, places)
    share = np.minimum(2.0 * np.abs(places - centre), outer)
    share = np.minimum(share, np.nextafter(1.0, 0.0))
    return share ** (1.0 / np.arange(1, places.shape[1] + 1))


def find_limits(confidences, needed, centre, window):
    """Return the least and largest confidence that passes each stage.

    Beyond the confidences seen, windows that reach an end of the ranks are infinite.

    Returns
    -------
    limits : ndarray of shape (n_stages, 2)
        inf and -inf where no row passes.
    """
    limits = np.tile([np.inf, -np.inf], (confidences.shape[1], 1))
    for k, own in enumerate(confidences.T):
        inside = own[needed[:, k] < window]
        share = window ** (k + 1)
        if window >= 1.0:
            limits[k] = -np.inf, np.inf
        elif inside.size:
            low = -np.inf if share >= 2.0 * centre else inside.min()
            high = np.inf if share >= 2.0 * (1.0 - centre) else inside.max()
            limits[k] = low, high
    return limits


def row_losses(loss, targets, means):
    """Return the loss of each row at each stage: (n_samples, n_members)."""
    per_row: Any = LOSSES[loss].per_row
    if LOSSES[loss].needs == "values":
        means = means[:, :, 0]
    return np.column_stack([per_row(targets, mean) for mean in means])


def trace(needed, costs, losses, answered, weight, overhead=0.0):
    """Add up cost and loss as the window grows.

    Parameters
    ----------
    needed : ndarray of shape (n_samples, n_members - 1)
    costs : ndarray of shape (n_members,)
    losses : ndarray of shape (n_samples, n_members)
    answered : ndarray of shape (n_samples, n_members), bool
    weight : ndarray of shape (n_samples,)
    overhead : float, default=0.0
        Cost of judging a row; none where no row goes on.

    Returns
    -------
    curve : CascadeCurve
    """
    # A row reaches a stage if it passes all before it.
    reached = np.maximum.accumulate(needed, axis=1).ravel()
    order = np.argsort(reached, kind="stable")
    ascending = reached[order]
    window = np.unique(np.concatenate([[0.0], ascending, [1.0]]))
    # Steps taken at each window: those that need less.
    n_steps = np.searchsorted(ascending, window)
    share = weight / weight.sum()

    def total(table):
        steps = (share[:, None] * np.diff(table, axis=1)).ravel()[order]
        return share @ table[:, 0] + np.append(0.0, np.cumsum(steps))[n_steps]

    # Beyond the first member's cost, so that rounding cannot touch that.
    beyond = np.tile(np.cumsum(costs) - costs[0], (len(share), 1))
    cost = costs[0] + total(beyond) + overhead * (n_steps > 0)
    counted = answered.astype(np.float64)
    coverage = total(counted)
    none = coverage < _ROUNDING
    loss = total(losses * counted) / np.where(none, np.nan, coverage)
    return CascadeCurve(window, cost, loss, coverage)


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
    """Return cube, targets (codes) and weights of the rows with weight, and which."""
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
    weight = check_sample_weight(sample_weight, library.P)
    targets = library.y
    if classes is not None:
        targets = np.searchsorted(classes, targets)
    kept = weight > 0.0
    cube = outputs_of(library.P, classes)
    return cube[:, kept], targets[kept], weight[kept], kept


def outputs_of(P, classes):
    """Return what each member says: (n_members, n_samples, n_classes or 1)."""
    if classes is None:
        return layout.to_cube(P, 1)
    cube = layout.to_cube(P, layout.n_outputs_for(len(classes)))
    return np.stack([layout.class_probabilities(member) for member in cube])


def _confidences(confidence, means, loss, kept):
    """Return the confidence of each stage in each row: (n_samples, n_members)."""
    if not isinstance(confidence, str):
        given = np.asarray(confidence, dtype=np.float64)
        if given.shape != (len(kept), len(means)) or not np.isfinite(given).all():
            raise ValueError(
                f"confidence has shape {given.shape} or is not finite; expected "
                f"({len(kept)}, {len(means)}): a number for each row and stage."
            )
        return given[kept]
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
    return confidence_of(means, confidence).T
