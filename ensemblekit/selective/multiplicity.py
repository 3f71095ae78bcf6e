"""Predictive multiplicity: how far members that are equally good disagree on a row."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..layout import ROWS_AT_ONCE
from . import _matrix
from .rashomon import (
    conflicts_with,
    disagreement,
    rashomon_capacity,
    rashomon_set,
    viable_prediction_range,
)

__all__ = ["MultiplicityReport", "multiplicity_report"]


@dataclass(frozen=True)
class MultiplicityReport:
    """What the competing members of a library say of each row; ``print`` shows it.

    Attributes
    ----------
    names : list of str
        All members.
    losses : ndarray of shape (n_members,), float64
        Held-out loss of each.
    loss : str
    epsilon : float
        Loss beyond the baseline's at which members still compete.
    baseline : int
        Position of the member that others are compared with.
    members : ndarray of shape (n_members,), bool
        The Rashomon set: members that compete.
    delta : float or None
        Difference that counts as a conflict; None where a different label does.
    conflicts : ndarray of shape (n_samples,), bool
        Rows on which a competing member conflicts with the baseline.
    ranges : ndarray of shape (n_samples, 2) or (n_samples, n_classes, 2), float64
        Least and largest prediction of competing members.
    width : ndarray of shape (n_samples,), float64
        Largest less least: of the probability of the true class, or of the value.
    variance : ndarray of shape (n_samples,), float64
        Variance over competing members of what `width` is of.
    disagreement : ndarray of shape (n_samples,), float64, or None
        In [0, 1]; None for regression.
    capacity, capacity_gap : ndarray of shape (n_samples,), float64, or None
        Rashomon capacity in bits, and how far the true value may be above it; None for
        regression, and where it was not asked for.
    ambiguity, discrepancy : float
        Share of rows on which some member, and on which one member at most, conflicts.
    """

    names: list[str]
    losses: NDArray
    loss: str
    epsilon: float
    baseline: int
    members: NDArray
    delta: float | None
    conflicts: NDArray
    ranges: NDArray
    width: NDArray
    variance: NDArray
    disagreement: NDArray | None
    capacity: NDArray | None
    capacity_gap: NDArray | None
    ambiguity: float
    discrepancy: float

    def __str__(self):
        what = (
            "another label" if self.delta is None else f"a difference >= {self.delta:g}"
        )
        lines = [
            f"Predictive multiplicity on {len(self.width)} rows",
            f"  {self.members.sum()} of {len(self.names)} members have a {self.loss} "
            f"within {self.epsilon:g} of {self.names[self.baseline]}'s "
            f"({self.losses[self.baseline]:.4g})",
            f"  ambiguity    {self.ambiguity:.4f}  of the rows: some member has {what}",
            f"  discrepancy  {self.discrepancy:.4f}  of the rows: the one farthest off",
            f"  range        {self.width.mean():.4f} mean, {self.width.max():.4f} max",
        ]
        if self.disagreement is not None:
            lines.append(f"  disagreement {self.disagreement.mean():.4f} mean")
        if self.capacity is not None:
            effective = 2.0**self.capacity
            lines.append(
                f"  capacity     {self.capacity.mean():.4f} bits mean, effective "
                f"classes {effective.mean():.4f} mean, {effective.max():.4f} max"
            )
        return "\n".join(lines)


def multiplicity_report(
    predictions,
    y: ArrayLike | None = None,
    *,
    epsilon: float,
    loss: str | None = None,
    delta: float | None = None,
    baseline: int | None = None,
    classes: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    capacity: bool = True,
    tol: float = 1e-6,
) -> MultiplicityReport:
    """Report how members of nearly the same held-out loss differ, row by row.

    Use it before one of several equally good models decides about people: rows with a
    wide range are decided by the choice of the model.

    Parameters
    ----------
    predictions : PredictionLibrary, or array-like of shape \
(n_samples, n_members * n_outputs)
        Predictions of rows that the members were not trained on.
    y : array-like of shape (n_samples,), default=None
        Targets or labels; with a matrix only.
    epsilon : float
        Members compete whose loss is within this of the baseline's, >= 0.
    loss : str, default=None
        One of `evaluate_loss`; None means ``"log_loss"``, for a library of regression
        ``"squared_error"``. With a matrix it also says what the task is.
    delta : float, default=None
        Difference that counts as a conflict, > 0; None means a different label, and
        is for classification only.
    baseline : int, default=None
        Position of the member to compare with; None means the best, the first of ties.
    classes : array-like of shape (n_classes,), default=None
        Sorted labels; None means those in y. With a matrix only.
    sample_weight : array-like of shape (n_samples,), default=None
        Of the losses; shares count rows alike. With a matrix only.
    capacity : bool, default=True
        Whether the Rashomon capacity is computed, of classifiers. With more than two
        classes it takes nearly all of the time; see Notes.
    tol : float, default=1e-6
        Of the capacity, in bits, > 0; see `rashomon_capacity`. Where a row does not
        come as close in 1000 steps, its `capacity_gap` says how close it came.

    Returns
    -------
    report : MultiplicityReport

    Raises
    ------
    ValueError
        If predictions are NaN, or no probabilities where those are needed, the library
        holds quantiles, the loss is of another task, or tol is not above 0.

    Notes
    -----
    O(n_samples * n_members * n_outputs); the capacity of more than two classes as often
    as it has steps, up to 1000: 2000 rows of 20 members and 5 classes take 8 ms
    without it, 250 ms with it.

    References
    ----------
    .. [1] Watson-Daniels, Parkes, Ustun, "Predictive Multiplicity in Probabilistic
       Classification", AAAI 2023.
    .. [2] Hsu, Calmon, "Rashomon Capacity: A Metric for Predictive Multiplicity in
       Classification", NeurIPS 2022.

    Examples
    --------
    >>> P = [[0.1, 0.2, 0.9], [0.4, 0.6, 0.9], [0.7, 0.8, 0.1], [0.9, 0.6, 0.2]]
    >>> print(multiplicity_report(P, [0, 0, 1, 1], epsilon=0.2))
    Predictive multiplicity on 4 rows
      2 of 3 members have a log_loss within 0.2 of member0's (0.2696)
      ambiguity    0.2500  of the rows: some member has another label
      discrepancy  0.2500  of the rows: the one farthest off
      range        0.1750 mean, 0.3000 max
      disagreement 0.2500 mean
      capacity     0.0362 bits mean, effective classes 1.0257 mean, 1.0657 max
    """
    judged, loss = _matrix.read(predictions, y, loss, classes, sample_weight)
    if delta is None and judged.n_classes == 0:
        raise ValueError(
            "delta is None; expected the difference that counts, in the unit of y. "
            "Only classes have labels that differ."
        )
    losses = _matrix.member_losses(judged, loss)
    members = rashomon_set(losses, epsilon, baseline=baseline)
    first = int(losses.argmin()) if baseline is None else baseline
    options = {"n_outputs": judged.n_outputs, "members": members}
    conflicts = conflicts_with(judged.P, first, delta, **options)
    width, variance = _spread(judged, members)
    by_class = _of_labels(judged.P, options, capacity, tol) if judged.n_classes else {}
    return MultiplicityReport(
        names=judged.names,
        losses=losses,
        loss=loss,
        epsilon=float(epsilon),
        baseline=first,
        members=members,
        delta=delta,
        conflicts=conflicts.any(axis=0),
        ranges=viable_prediction_range(judged.P, **options),
        width=width,
        variance=variance,
        disagreement=by_class.get("disagreement"),
        capacity=by_class.get("capacity"),
        capacity_gap=by_class.get("capacity_gap"),
        ambiguity=float(conflicts.any(axis=0).mean()),
        discrepancy=float(conflicts.mean(axis=1).max()),
    )


def _of_labels(P, options, capacity, tol):
    """Return what only classifiers have."""
    split = {"disagreement": disagreement(P, **options)}
    if not capacity:
        return split
    bits, gap = rashomon_capacity(P, **options, tol=tol)
    return {**split, "capacity": bits, "capacity_gap": gap}


def _spread(judged, members):
    """Return width and variance of values, or of the true class's probabilities."""
    n, cube = len(judged.y), judged.cube
    width, variance = np.empty(n), np.empty(n)
    for first in range(0, n, ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        scores = cube[members, rows].astype(np.float64, copy=False)
        # Of two classes, both have the same width and variance.
        truth = judged.y[rows] if cube.shape[2] > 1 else 0
        scores = scores[:, np.arange(scores.shape[1]), truth]
        width[rows], variance[rows] = np.ptp(scores, axis=0), scores.var(axis=0)
    return width, variance
