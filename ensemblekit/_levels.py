"""Quantiles between levels, of weighted values, and without crossings."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

DEFAULT_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Levels where none are asked for: the median and intervals of 50, 80 and 90 %."""

# (1 - 0.9) / 2 is not 0.05, and sums of weights are rounded: so near is equal.
_EQUAL = 1e-10


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
    wanted = np.asarray(wanted, dtype=np.float64)
    beyond = (wanted < levels[0] - _EQUAL) | (wanted > levels[-1] + _EQUAL)
    if beyond.any():
        raise ValueError(
            f"The quantile at level {wanted[beyond][0]:.6g} is beyond those predicted, "
            f"{levels[0]:.6g} .. {levels[-1]:.6g}. Add levels to quantile_levels."
        )
    mix = np.zeros((len(levels), len(wanted)))
    for column, level in enumerate(wanted):
        nearest = int(np.abs(levels - level).argmin())
        if abs(levels[nearest] - level) <= _EQUAL:
            mix[nearest, column] = 1.0
            continue
        upper = int(np.searchsorted(levels, level))
        share = (level - levels[upper - 1]) / (levels[upper] - levels[upper - 1])
        mix[upper - 1, column], mix[upper, column] = 1.0 - share, share
    return quantiles @ mix


def median(quantiles: NDArray, levels: NDArray) -> NDArray:
    """Return the median, (n_samples,); interpolated where 0.5 is no level."""
    return interpolate(quantiles, levels, [0.5])[:, 0]


def central_interval(
    quantiles: NDArray, levels: NDArray, coverage: ArrayLike
) -> NDArray:
    """Return the intervals between the quantiles at ``(1 -+ coverage) / 2``.

    Parameters
    ----------
    quantiles : ndarray of shape (n_samples, n_levels)
    levels : ndarray of shape (n_levels,)
    coverage : float or array-like of shape (n_coverages,)
        In (0, 1).

    Returns
    -------
    interval : ndarray of shape (n_samples, 2) or (n_samples, 2, n_coverages)

    Raises
    ------
    ValueError
        If a coverage is outside (0, 1), or wider than the levels reach.

    Examples
    --------
    >>> central_interval(np.array([[0.0, 4.0]]), np.array([0.05, 0.95]), 0.9)
    array([[0., 4.]])
    """
    wanted = np.asarray(coverage, dtype=np.float64)
    if wanted.ndim > 1 or not ((wanted > 0.0) & (wanted < 1.0)).all():
        raise ValueError(f"coverage is {wanted}; expected numbers inside (0, 1).")
    tails = (1.0 - np.atleast_1d(wanted)) / 2.0
    interval = np.stack(
        [
            interpolate(quantiles, levels, tails),
            interpolate(quantiles, levels, 1.0 - tails),
        ],
        axis=1,
    )
    return interval if wanted.ndim else interval[:, :, 0]


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
