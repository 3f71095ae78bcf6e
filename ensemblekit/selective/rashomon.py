"""Members of nearly the same loss: which they are, and how far they differ."""

from numbers import Integral
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import kernels, layout
from ..layout import ROWS_AT_ONCE
from ._matrix import check_matrix, column_numbers

__all__ = [
    "RashomonCapacity",
    "ambiguity",
    "disagreement",
    "discrepancy",
    "rashomon_capacity",
    "rashomon_set",
    "viable_prediction_range",
]

_COLUMNS = "columns of a member"


class RashomonCapacity(NamedTuple):
    """Capacity of each row, and how far the true value may be above it.

    Parameters
    ----------
    bits : ndarray of shape (n_samples,), float64
        In [0, log2(n_classes)]; ``2 ** bits`` is an effective number of classes.
    gap : ndarray of shape (n_samples,), float64
        The capacity is inside ``[bits, bits + gap]``; 0 for two classes.
    """

    bits: NDArray
    gap: NDArray


def rashomon_set(
    losses: ArrayLike, epsilon: float, *, baseline: int | None = None
) -> NDArray:
    """Mark the members whose loss is within epsilon of the baseline's.

    Parameters
    ----------
    losses : array-like of shape (n_members,)
        Lower is better; of rows held out, or members that overfit compete.
    epsilon : float
        In the unit of the loss, >= 0.
    baseline : int, default=None
        Position of the member to compete with; None means the best, the first of ties.

    Returns
    -------
    members : ndarray of shape (n_members,), bool

    Raises
    ------
    ValueError
        If losses are not finite, epsilon is negative, or `baseline` is no member.

    References
    ----------
    .. [1] Marx, Calmon, Ustun, "Predictive Multiplicity in Classification", ICML 2020.

    Examples
    --------
    >>> rashomon_set([0.31, 0.30, 0.35], 0.02).tolist()
    [True, True, False]
    """
    values = np.asarray(losses, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(
            f"losses is {losses!r}; expected one finite number for each member."
        )
    if not 0.0 <= epsilon < np.inf:
        raise ValueError(f"epsilon is {epsilon!r}; expected a number >= 0.")
    first = int(values.argmin()) if baseline is None else baseline
    _check_baseline(first, len(values))
    limit = values[first] + epsilon
    # Sums of decimals round: .8 - .7 is not quite .1.
    return values <= limit + 1e-12 * max(abs(limit), abs(values[first]))


def viable_prediction_range(
    P: ArrayLike, *, n_outputs: int = 1, members: ArrayLike | None = None
) -> NDArray:
    """Return the least and the largest prediction of each row.

    Parameters
    ----------
    P : array-like of shape (n_samples, n_members * n_outputs)
        Member by member.
    n_outputs : int, default=1
        Columns of one member: 1 for two classes and regression, n_classes for more.
    members : array-like of bool or int, default=None
        Members that take part, as marks or positions; None means all.

    Returns
    -------
    ranges : ndarray of shape (n_samples, 2) or (n_samples, n_outputs, 2), float64
        The latter with several columns a member.

    Raises
    ------
    ValueError
        If P is NaN, or its columns are no multiple of `n_outputs`, or no member is
        left.

    References
    ----------
    .. [1] Watson-Daniels, Parkes, Ustun, "Predictive Multiplicity in Probabilistic
       Classification", AAAI 2023.

    Examples
    --------
    >>> viable_prediction_range([[0.2, 0.6, 0.4]]).tolist()
    [[0.2, 0.6]]
    """
    cube = _chosen(P, n_outputs, members)[0].astype(np.float64, copy=False)
    ranges = np.stack([cube.min(axis=0), cube.max(axis=0)], axis=2)
    return ranges[:, 0] if n_outputs == 1 else ranges


def ambiguity(
    P: ArrayLike,
    baseline: int,
    *,
    delta: float | None = None,
    n_outputs: int = 1,
    members: ArrayLike | None = None,
) -> float:
    """Return the share of rows on which some member conflicts with the baseline.

    Parameters
    ----------
    P : array-like of shape (n_samples, n_members * n_outputs)
    baseline : int
        Position of the member to compare with.
    delta : float, default=None
        Members conflict where one of their outputs differs by at least this, > 0; None
        means where their labels differ (most probable class; with one column, class 1
        above 0.5).
    n_outputs : int, default=1
        Columns of one member.
    members : array-like of bool or int, default=None
        Members that take part, such as those of `rashomon_set`; None means all.

    Returns
    -------
    share : float
        In [0, 1]; never below `discrepancy`.

    Raises
    ------
    ValueError
        If P is NaN, its columns are no multiple of `n_outputs`, no member is left, or
        delta is not above 0.

    References
    ----------
    .. [1] Marx, Calmon, Ustun, "Predictive Multiplicity in Classification", ICML 2020.

    Examples
    --------
    >>> P = [[0.4, 0.6, 0.2], [0.7, 0.8, 0.3], [0.9, 0.9, 0.9]]
    >>> ambiguity(P, 0), discrepancy(P, 0), ambiguity(P, 0, delta=0.3)
    (0.6666666666666666, 0.3333333333333333, 0.3333333333333333)
    """
    conflicts = conflicts_with(P, baseline, delta, n_outputs, members)
    return float(conflicts.any(axis=0).mean())


def discrepancy(
    P: ArrayLike,
    baseline: int,
    *,
    delta: float | None = None,
    n_outputs: int = 1,
    members: ArrayLike | None = None,
) -> float:
    """Return the largest share of rows on which one member conflicts.

    Parameters
    ----------
    P : array-like of shape (n_samples, n_members * n_outputs)
    baseline : int
        Position of the member to compare with.
    delta : float, default=None
        Difference that counts; None means a different label. See `ambiguity`.
    n_outputs : int, default=1
        Columns of one member.
    members : array-like of bool or int, default=None
        Members that take part; None means all.

    Returns
    -------
    share : float
        In [0, 1].

    Raises
    ------
    ValueError
        As `ambiguity`.

    References
    ----------
    .. [1] Marx, Calmon, Ustun, "Predictive Multiplicity in Classification", ICML 2020.

    Examples
    --------
    >>> discrepancy([[0.4, 0.6], [0.7, 0.8]], 0)
    0.5
    """
    conflicts = conflicts_with(P, baseline, delta, n_outputs, members)
    return float(conflicts.mean(axis=1).max())


def disagreement(
    P: ArrayLike, *, n_outputs: int = 1, members: ArrayLike | None = None
) -> NDArray:
    """Return how evenly the members' labels split on each row.

    Parameters
    ----------
    P : array-like of shape (n_samples, n_members * n_outputs)
        Probabilities.
    n_outputs : int, default=1
        1 for two classes, n_classes for more.
    members : array-like of bool or int, default=None
        Members that take part; None means all.

    Returns
    -------
    disagreement : ndarray of shape (n_samples,), float64
        ``K / (K - 1) * (1 - sum(share ** 2))`` over the shares of the K labels: 0 where
        all agree, 1 for an even split. For two classes ``4 * share * (1 - share)``.

    Raises
    ------
    ValueError
        If P holds no probabilities, or no member is left.

    Examples
    --------
    >>> disagreement([[0.2, 0.6, 0.4, 0.9], [0.1, 0.1, 0.1, 0.6]]).tolist()
    [1.0, 0.75]
    """
    n_classes = 2 if n_outputs == 1 else n_outputs
    cube = _chosen(_probabilities(P, n_outputs), n_outputs, members)[0]
    votes = layout.vote_codes(cube)
    counts = np.stack([(votes == k).sum(axis=0) for k in range(n_classes)])
    # Integers up to the last division: unanimous rows are exactly 0.
    n_members = len(votes)
    unequal = n_members**2 - (counts**2).sum(axis=0)
    return unequal * n_classes / ((n_classes - 1) * n_members**2)


def rashomon_capacity(
    P: ArrayLike,
    *,
    n_outputs: int = 1,
    members: ArrayLike | None = None,
    tol: float = 1e-6,
    max_iter: int = 1000,
) -> RashomonCapacity:
    """Measure in bits how well members tell the classes apart against each other.

    The capacity of the channel whose inputs are the members of one row and whose
    outputs are the classes: 0 where all give the same probabilities, log2(K) where each
    of K classes has a member that is sure of it. Members between others change nothing.

    Parameters
    ----------
    P : array-like of shape (n_samples, n_members * n_outputs)
        Probabilities.
    n_outputs : int, default=1
        1 for two classes, n_classes for more.
    members : array-like of bool or int, default=None
        Members that take part; None means all.
    tol : float, default=1e-6
        In bits, > 0. With more than two classes a row is done when its bounds are this
        close.
    max_iter : int, default=1000
        Steps at most, >= 1; bounds of rows that would need more hold all the same.

    Returns
    -------
    capacity : RashomonCapacity
        `bits` and `gap`.

    Raises
    ------
    ValueError
        If P holds no probabilities, or no member is left.

    Notes
    -----
    Two classes have a closed form, of absolute error below 1e-15 also for members that
    are nearly equal, where the textbook formula turns negative. More classes take
    Blahut-Arimoto with long steps; rows whose best weighting is on the verge of leaving
    a member out converge slowly, and say so in their gap. With 20 random members and 3
    or 10 classes, 96 % of the rows came within 1e-6, all others within 1e-4 (see
    ``benchmarks/bench_selective_multiplicity.py``). Probabilities of more than
    two classes that sum to 1 within 0.001 are divided by their sum.
    Time: O(n_samples * n_members), for more classes times `n_outputs` and steps.

    References
    ----------
    .. [1] Hsu, Calmon, "Rashomon Capacity: A Metric for Predictive Multiplicity in
       Classification", NeurIPS 2022.

    Examples
    --------
    >>> rashomon_capacity([[0.1, 0.9], [0.0, 1.0], [0.3, 0.3]]).bits.round(6).tolist()
    [0.531004, 1.0, 0.0]
    """
    if not tol > 0.0 or max_iter < 1:
        raise ValueError(f"tol is {tol!r}, max_iter {max_iter!r}; expected > 0, >= 1.")
    outputs = check_matrix(P, finite=False)
    chosen = _positions(members, layout.count_members(outputs, n_outputs, _COLUMNS))
    if n_outputs == 1:
        bits, clean = kernels.capacity.binary_capacity(outputs, chosen)
        if not clean or members is not None:  # only what was read is known to be clean
            _probabilities(outputs, 1)
        return RashomonCapacity(bits, np.zeros(len(bits)))
    _probabilities(outputs, n_outputs)
    bounds = kernels.capacity.blahut_arimoto(
        outputs, chosen, n_outputs, float(tol), int(max_iter)
    )
    return RashomonCapacity(bounds[:, 0], bounds[:, 1] - bounds[:, 0])


def conflicts_with(P, baseline, delta, n_outputs, members):
    """Mark where each member conflicts with the baseline: (n_chosen, n_samples)."""
    if delta is not None and not delta > 0.0:
        raise ValueError(f"delta is {delta!r}; expected a number above 0, or None.")
    cube, whole = _chosen(P, n_outputs, members)
    _check_baseline(baseline, len(whole))
    if delta is None:
        return layout.vote_codes(cube) != layout.vote_codes(whole[[baseline]])
    conflicts = np.empty(cube.shape[:2], dtype=bool)
    for first in range(0, cube.shape[1], ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        apart = np.abs(cube[:, rows] - whole[baseline, rows])
        conflicts[:, rows] = (apart >= delta).any(axis=2)
    return conflicts


def _check_baseline(baseline, n_members):
    whole = isinstance(baseline, Integral) and not isinstance(baseline, bool)
    if not (whole and 0 <= baseline < n_members):
        raise ValueError(
            f"baseline is {baseline!r}; expected a position below {n_members}, the "
            "number of members."
        )


def _probabilities(P, n_outputs):
    P = check_matrix(P, finite=False)
    layout.count_members(P, n_outputs, _COLUMNS)
    layout.check_probabilities(P, max(n_outputs, 2), column_numbers(P))
    return P


def _chosen(P, n_outputs, members):
    """Return the cube of the members that take part, and that of all."""
    P = check_matrix(P)
    n_members = layout.count_members(P, n_outputs, _COLUMNS)
    cube = layout.to_cube(P, n_outputs)
    if members is None:
        return cube, cube
    return cube[_positions(members, n_members)], cube


def _positions(members, n_members):
    """Return positions of the members that take part: int64, one at least."""
    if members is None:
        return np.arange(n_members)
    marks = np.asarray(members)
    if marks.dtype == bool and marks.shape == (n_members,):
        marks = np.flatnonzero(marks)
    legal = marks.dtype.kind in "iu" and marks.ndim == 1 and marks.size
    if not legal or marks.min() < 0 or marks.max() >= n_members:
        raise ValueError(
            f"members is {members!r}; expected {n_members} marks, or positions below "
            f"{n_members}, with one member at least."
        )
    return marks.astype(np.int64)
