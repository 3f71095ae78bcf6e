"""Levels as exact fractions; quantiles between levels, weighted, uncrossed."""

from decimal import Decimal
from fractions import Fraction
from numbers import Rational

import numpy as np
from numpy.typing import ArrayLike, NDArray

DEFAULT_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Levels where none are asked for: the median and intervals of 50, 80 and 90 %."""

# (1 - 0.9) / 2 is not 0.05, and sums of weights are rounded: so near is equal.
_EQUAL = 1e-10


def exact_level(level: float | str | Decimal | Rational) -> Fraction:
    """Return the fraction that the shortest decimal of a number spells.

    Examples
    --------
    >>> 1 - exact_level(0.1)
    Fraction(9, 10)
    """
    try:
        exact = isinstance(level, Rational | Decimal)
        fraction = Fraction(level if exact else str(level))
    except (ValueError, OverflowError):
        fraction = Fraction(0)  # NaN, infinity and words are refused below
    if not 0 < fraction < 1:
        raise ValueError(f"alpha is {level}; expected a number inside (0, 1).")
    return fraction


def interpolate(quantiles: NDArray, levels: NDArray, wanted: ArrayLike) -> NDArray:
    """Return quantiles at other levels, linear between the two neighbouring ones.

    Parameters
    ----------
    quantiles : ndarray of shape (n_samples, n_levels)
    levels : ndarray of shape (n_levels,)
        Ascending in (0, 1).
    wanted : array-like of shape (n_wanted,)

    Returns
    -------
    between : ndarray of shape (n_samples, n_wanted), float64

    Raises
    ------
    ValueError
        If a level is beyond the first or the last: nothing is extrapolated.

    Examples
    --------
    >>> interpolate(np.array([[0.0, 4.0]]), np.array([0.25, 0.75]), [0.5])
    array([[2.]])
    """
    wanted = within(levels, wanted)
    right = np.searchsorted(levels, wanted)
    left = right - (levels[right] != wanted)
    width = levels[right] - levels[left]
    share = (wanted - levels[left]) / np.where(width > 0.0, width, 1.0)
    low, high = quantiles[:, left], quantiles[:, right]
    # Rounding takes no value beyond its neighbours, so that none cross.
    between = low + share * (high - low)
    return np.clip(between, np.minimum(low, high), np.maximum(low, high))


def within(levels: NDArray, wanted: ArrayLike) -> NDArray:
    """Return the wanted levels, those nearly equal to given ones as these are.

    Raises
    ------
    ValueError
        If a level is beyond the first or the last.

    Examples
    --------
    >>> within(np.array([0.05, 0.95]), [(1 - 0.9) / 2])
    array([0.05])
    """
    wanted = np.asarray(wanted, dtype=np.float64)
    nearest = levels[np.abs(wanted[:, None] - levels).argmin(axis=1)]
    wanted = np.where(np.abs(wanted - nearest) <= _EQUAL, nearest, wanted)
    beyond = (wanted < levels[0]) | (wanted > levels[-1])
    if beyond.any():
        raise ValueError(
            f"The quantile at level {wanted[beyond][0]:.6g} is beyond those predicted, "
            f"{levels[0]:.6g} .. {levels[-1]:.6g}, and nothing is extrapolated. Add "
            "levels to quantile_levels, or ask for a narrower interval."
        )
    return wanted


def median(quantiles: NDArray, levels: NDArray) -> NDArray:
    """Return the median, (n_samples,); interpolated where 0.5 is no level."""
    return interpolate(quantiles, levels, [0.5])[:, 0]


def tails(alpha: ArrayLike) -> tuple[NDArray, NDArray]:
    """Return the lower and the upper levels of central intervals, one for each alpha.

    Raises
    ------
    ValueError
        If alpha is no number inside (0, 1), or list of them.

    Examples
    --------
    >>> tails(0.1)
    (array([0.05]), array([0.95]))
    """
    wanted = np.asarray(alpha, dtype=np.float64)
    fit = wanted.ndim < 2 and wanted.size and ((wanted > 0) & (wanted < 1)).all()
    if not fit:
        raise ValueError(
            f"alpha is {alpha!r}; expected a number inside (0, 1), or a list of them. "
            "It is the miscoverage: 0.1 for an interval of 90 %."
        )
    half = 0.5 * np.atleast_1d(wanted)
    return half, 1.0 - half


def central_interval(quantiles: NDArray, levels: NDArray, alpha: ArrayLike) -> NDArray:
    """Return the intervals between the quantiles at ``alpha / 2`` and its mirror.

    Parameters
    ----------
    quantiles : ndarray of shape (n_samples, n_levels)
    levels : ndarray of shape (n_levels,)
    alpha : float or array-like of shape (n_alphas,)
        Miscoverage in (0, 1).

    Returns
    -------
    interval : ndarray of shape (n_samples, 2) or (n_samples, 2, n_alphas)

    Raises
    ------
    ValueError
        If an alpha is outside (0, 1), or asks for more than the levels reach.

    Examples
    --------
    >>> central_interval(np.array([[0.0, 4.0]]), np.array([0.05, 0.95]), 0.1)
    array([[0., 4.]])
    """
    ends = [interpolate(quantiles, levels, side) for side in tails(alpha)]
    interval = np.stack(ends, axis=1)
    return interval if np.ndim(alpha) else interval[:, :, 0]


def weighted_quantiles(values: NDArray, weight: NDArray, levels: NDArray) -> NDArray:
    """Return the smallest values that reach each share of the weight.

    Where a value reaches it exactly, the mean of it and the next: the middle of all
    that minimise the pinball loss. An integer weight equals repeated values.

    Parameters
    ----------
    values, weight : ndarray of shape (n_samples,)
    levels : ndarray of shape (n_levels,)

    Returns
    -------
    quantiles : ndarray of shape (n_levels,)

    Examples
    --------
    >>> weighted_quantiles(np.array([3., 1., 2.]), np.ones(3), np.array([1 / 3, 0.5]))
    array([1.5, 2. ])
    """
    rows = np.flatnonzero(weight > 0.0)
    rows = rows[np.argsort(values[rows], kind="stable")]
    ordered, reached = values[rows], np.cumsum(weight[rows])
    slack = _EQUAL * reached[-1]
    targets = levels * reached[-1]
    last = len(rows) - 1
    first = np.minimum(np.searchsorted(reached, targets - slack), last)
    exact = reached[first] <= targets + slack
    return 0.5 * (ordered[first] + ordered[np.minimum(first + exact, last)])


def sort_levels(quantiles: NDArray) -> tuple[NDArray, int]:
    """Sort each row; return it and the number of rows that were not sorted.

    Sorting never raises the pinball loss summed over the levels: of two quantiles that
    cross, each fits the other's level better, or as well.
    """
    crossing = (quantiles[:, 1:] < quantiles[:, :-1]).any(axis=1)
    if not crossing.any():
        return quantiles, 0
    return np.sort(quantiles, axis=1), int(crossing.sum())
