"""The prediction matrix P: its column order, its checks and its column names.

P has shape (n_samples, n_members * n_outputs) in scikit-learn's stacking order. Binary
classification and regression have one output per member (the probability of
``classes[1]``, or the predicted value); with K > 2 classes, and with quantile levels,
each member has a block of columns: ``m0c0 m0c1 .. m1c0 m1c1 ..``.
This module alone knows that order.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import kernels
from .exceptions import describe_rows

# Rounding that is let pass: values outside [0, 1], and row sums away from 1 (outputs of
# single or half precision, which later sums in double precision no longer show).
_RANGE_TOLERANCE = 1e-9
_SUM_TOLERANCE = 1e-3
# Numbers that stay in a cache of some MB.
_CACHED = 2**17

ROWS_AT_ONCE = 4096


def encode_labels(y: NDArray) -> tuple[NDArray, NDArray]:
    """Return the sorted classes and each label's position among them.

    Raises
    ------
    ValueError
        If there are fewer than two classes.

    Examples
    --------
    >>> classes, codes = encode_labels(np.array(["b", "a", "b"]))
    >>> classes.tolist(), codes.tolist()
    (['a', 'b'], [1, 0, 1])
    """
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y has one class ({classes.tolist()[0]!r}); a classifier needs at least "
            "two classes."
        )
    return classes, codes.astype(np.int64)


def n_outputs_for(n_classes: int) -> int:
    """Count the columns of one member: 1 for two classes, K for K > 2."""
    return 1 if n_classes == 2 else n_classes


def count_members(P: NDArray, n_outputs: int, outputs: str = "classes in y") -> int:
    """Count the members of P; `outputs` says what one member's columns are.

    Raises
    ------
    ValueError
        If the number of columns is not a multiple of `n_outputs`.
    """
    n_members, rest = divmod(P.shape[1], n_outputs)
    if rest:
        raise ValueError(
            f"P has {P.shape[1]} columns, which is not a multiple of the {n_outputs} "
            f"{outputs}. Expected n_members * {n_outputs} (member by member)."
        )
    return n_members


def to_cube(P: NDArray, n_outputs: int) -> NDArray:
    """View P as a cube of shape (n_members, n_samples, n_outputs).

    Examples
    --------
    >>> to_cube(np.array([[0.1, 0.9, 0.4, 0.6]]), 2).tolist()
    [[[0.1, 0.9]], [[0.4, 0.6]]]
    """
    n_members = count_members(P, n_outputs)
    return P.reshape(P.shape[0], n_members, n_outputs).transpose(1, 0, 2)


def from_cube(cube: NDArray) -> NDArray:
    """Write a cube (n_members, n_samples, n_outputs) as a prediction matrix."""
    n_members, n_samples, n_outputs = cube.shape
    return cube.transpose(1, 0, 2).reshape(n_samples, n_members * n_outputs)


def class_probabilities(outputs: NDArray) -> NDArray:
    """Return probabilities of shape (n_samples, n_classes).

    `outputs` is (n_samples, n_outputs): one column is the probability of class 1.

    Examples
    --------
    >>> class_probabilities(np.array([[0.25], [1.0]])).tolist()
    [[0.75, 0.25], [0.0, 1.0]]
    """
    if outputs.shape[1] > 1:
        return outputs
    return np.hstack([1.0 - outputs, outputs])


def vote_codes(cube: NDArray) -> NDArray:
    """Return the most probable class of each member: (n_members, n_samples) integers.

    Ties go to the first class: a probability of exactly 0.5 is a vote against class 1.
    They are as small as the number of classes allows: there is one for each cell of P.
    """
    if cube.shape[2] == 1:
        return (cube[:, :, 0] > 0.5).view(np.int8)
    codes = np.empty(cube.shape[:2], np.min_scalar_type(-cube.shape[2]))
    for first in range(0, cube.shape[1], ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        codes[:, rows] = cube[:, rows].argmax(axis=2)
    return codes


def weighted_mean(P: NDArray, weights: NDArray, n_outputs: int) -> NDArray:
    """Mix the members; those of weight 0 are not read.

    Parameters
    ----------
    P : ndarray of shape (n_samples, n_members * n_outputs)
    weights : ndarray of shape (n_members,)
    n_outputs : int

    Returns
    -------
    mixture : ndarray of shape (n_samples, n_outputs), float64
    """
    cube = to_cube(P, n_outputs)
    mixture = np.zeros(cube.shape[1:])
    for member in np.flatnonzero(weights):
        mixture += weights[member] * cube[member]
    return mixture


def column_names(members: list[str], outputs: list[str] | None = None) -> list[str]:
    """Name the columns of P: ``member``, or ``member__output`` in blocks."""
    if outputs is None:
        return list(members)
    return [f"{member}__{output}" for member in members for output in outputs]


def true_class(
    P: NDArray, y: NDArray, n_classes: int, unchecked: list[str] | None = None
) -> tuple[NDArray, NDArray, NDArray]:
    """Express each member's probability of the true class as ``offset + sign * base``.

    Log losses need nothing else of P. In the binary layout `base` is P itself, so that
    no copy is made; with K > 2 classes the true-class columns are gathered, and a check
    of P needs no read of its own.

    Parameters
    ----------
    P : ndarray of shape (n_samples, n_members * n_outputs)
    y : ndarray of shape (n_samples,), int
        Codes in ``range(n_classes)``.
    n_classes : int
    unchecked : list of str, default=None
        Column names of a P that `check_probabilities` has yet to see.

    Returns
    -------
    base : ndarray of shape (n_samples, n_members)
    sign, offset : ndarray of shape (n_samples,), float64

    Raises
    ------
    ValueError
        If an unchecked P holds anything but probabilities.
    """
    n_samples = P.shape[0]
    if n_classes == 2:
        if unchecked is not None:
            check_probabilities(P, n_classes, unchecked)
        return P, 2.0 * y - 1.0, 1.0 - y
    if unchecked is None:
        base = kernels.design.true_class(P, y, n_classes)
    else:
        base, passed = kernels.design.checked_true_class(
            P, y, n_classes, _RANGE_TOLERANCE, _SUM_TOLERANCE
        )
        if not passed:
            check_probabilities(P, n_classes, unchecked)
    return base, np.ones(n_samples), np.zeros(n_samples)


def one_hot(y: NDArray, n_classes: int) -> NDArray:
    """Return the targets of the Brier score in the layout of one member's columns."""
    if n_classes == 2:
        return y.astype(np.float64)[:, None]
    return (y[:, None] == np.arange(n_classes)).astype(np.float64)


def check_finite(P: NDArray, names: list[str], first: int = 0) -> None:
    """Refuse NaN and infinity, naming the column and the row.

    `first` is the number of the first row of P, where it is a part.

    Raises
    ------
    ValueError
        If any value is NaN or infinite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(P.sum()):  # one pass; the scan below runs only on a suspicion
            return
    for column, name in enumerate(names):
        bad = first + np.flatnonzero(~np.isfinite(P[:, column]))
        if bad.size:
            raise ValueError(
                f"P has NaN or infinity in column {name!r} ({describe_rows(bad)}). "
                "Each row needs one finite held-out prediction of every member."
            )


def check_probabilities(
    P: NDArray, n_classes: int, names: list[str], first: int = 0
) -> None:
    """Refuse NaN, values outside [0, 1] and, for K > 2, rows that do not sum to 1.

    Parameters
    ----------
    P : ndarray of shape (n_samples, n_members * n_outputs)
    n_classes : int
    names : list of str
        Column names, for the message.
    first : int, default=0
        Number of the first row of P, where it is a part.

    Raises
    ------
    ValueError
        If P holds anything but probabilities.
    """
    # Some rows at a time stay in cache for all three tests.
    size = max(1, _CACHED // P.shape[1])
    blocks = (P[start : start + size] for start in range(0, len(P), size))
    if all(_are_probabilities(np.asarray(block), n_classes) for block in blocks):
        return
    check_finite(P, names, first)
    if P.min() < -_RANGE_TOLERANCE or P.max() > 1 + _RANGE_TOLERANCE:
        _refuse_range(P, names)
    if n_classes > 2:
        _check_row_sums(P, n_classes, names, first)


def _are_probabilities(block: NDArray, n_classes: int) -> bool:
    if not (block.min() >= -_RANGE_TOLERANCE and block.max() <= 1 + _RANGE_TOLERANCE):
        return False
    if n_classes == 2:
        return True
    # sum(axis=1) is 10 times slower on so few columns.
    sums = block.reshape(-1, n_classes) @ np.ones(n_classes, block.dtype)
    return bool((np.abs(sums - 1.0) <= _SUM_TOLERANCE).all())


def _refuse_range(P: NDArray, names: list[str]) -> None:
    low, high = P.min(axis=0), P.max(axis=0)
    outside = (low < -_RANGE_TOLERANCE) | (high > 1 + _RANGE_TOLERANCE)
    column = int(np.argmax(outside))
    raise ValueError(
        f"P has values outside [0, 1] (column {names[column]!r}: min "
        f"{low[column]:.4g}, max {high[column]:.4g}). Probabilities are needed; "
        "use members with predict_proba (stack_method='predict_proba')."
    )


def _check_row_sums(
    P: NDArray, n_classes: int, names: list[str], first: int = 0
) -> None:
    ones = np.ones(n_classes, P.dtype)
    for member, block in enumerate(to_cube(P, n_classes)):
        sums = block @ ones
        wrong = np.flatnonzero(np.abs(sums - 1.0) > _SUM_TOLERANCE)
        if wrong.size:
            raise ValueError(
                f"P has rows that are no probabilities: the {n_classes} columns from "
                f"{names[member * n_classes]!r} on sum to {sums[wrong[0]]:.6g}, not 1 "
                f"({describe_rows(first + wrong)}). Give each member's predict_proba "
                "as it is."
            )


def check_levels(levels: ArrayLike, name: str = "quantile_levels") -> NDArray:
    """Return levels as a float64 array; refuse any that do not ascend in (0, 1).

    Raises
    ------
    ValueError
        If there are none, or one is outside (0, 1) or not above the one before it;
        names the position.
    """
    checked = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    if checked.ndim != 1 or checked.size == 0:
        raise ValueError(
            f"{name} has shape {checked.shape}; expected a list of levels that ascend "
            "inside (0, 1)."
        )
    inside = (checked > 0.0) & (checked < 1.0)
    if not inside.all():
        at = int(np.argmin(inside))
        raise ValueError(
            f"{name}[{at}] is {float(checked[at])!r}; expected levels inside (0, 1)."
        )
    above = np.diff(checked) > 0.0
    if not above.all():
        at = int(np.argmin(above))
        raise ValueError(
            f"{name}[{at + 1}] is {float(checked[at + 1])!r} after "
            f"{float(checked[at])!r}; expected levels that ascend, each once. Sort "
            "levels and columns together."
        )
    return checked


def check_quantiles(P: NDArray, n_levels: int, names: list[str]) -> None:
    """Refuse blocks whose columns decrease along the levels within a row.

    Raises
    ------
    ValueError
        If quantiles cross; names the member's first column and the first row.
    """
    for member, block in enumerate(to_cube(P, n_levels)):
        crossing = np.flatnonzero((block[:, 1:] < block[:, :-1]).any(axis=1))
        if crossing.size:
            raise ValueError(
                f"P has quantiles that decrease along the levels in the {n_levels} "
                f"columns from {names[member * n_levels]!r} on "
                f"({describe_rows(crossing)}): quantiles cross; sort them first, "
                "within each row and member."
            )


def member_block(
    values: ArrayLike, n_outputs: int, n_rows: int, name: str, *, binary: bool = False
) -> NDArray:
    """Check one member's predictions and return them as (n_rows, n_outputs).

    Parameters
    ----------
    values : array-like of shape (n_rows,), (n_rows, 1) or (n_rows, n_outputs)
        Binary classifiers may also give both probability columns, which must sum to 1;
        the second is kept.
    n_outputs : int
        Columns of one member in P.
    n_rows : int
    name : str
        Name of the member, for the messages.
    binary : bool, default=False
        Whether the columns may be the probabilities of two classes.

    Raises
    ------
    ValueError, TypeError
        If shape, type or values are unfit.
    """
    block = np.asarray(values)
    if block.dtype.kind not in "fiub":
        raise TypeError(
            f"Member {name!r} has predictions of type {block.dtype}; expected numbers."
        )
    if block.ndim == 1:
        block = block[:, None]
    if block.ndim != 2 or block.shape[0] != n_rows:
        raise ValueError(
            f"Member {name!r} has predictions of shape {np.shape(values)}; expected "
            f"{n_rows} rows, one for each row of y."
        )
    bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
    if bad.size:
        raise ValueError(
            f"Member {name!r} has NaN or infinite predictions "
            f"({describe_rows(bad)}). Each row needs one held-out prediction."
        )
    if binary and block.shape[1] == 2:
        _check_row_sums(block, 2, [name, name])
        return block[:, 1:]
    if block.shape[1] != n_outputs:
        raise ValueError(
            f"Member {name!r} has {block.shape[1]} prediction columns; expected "
            f"{n_outputs}."
        )
    return block
