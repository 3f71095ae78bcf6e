"""Probability integral transforms (PIT): where the target lies in its forecast."""

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from ._checks import check_ascending, check_draws, check_quantile_rows, check_targets


def pit_from_quantiles(
    y: ArrayLike,
    quantiles: ArrayLike,
    quantile_levels: ArrayLike,
    *,
    random_state: int | RandomState | None = None,
) -> NDArray:
    """Compute randomised PIT values of quantiles.

    Quantiles say between which two levels the target lies, and no more; the value is
    drawn evenly from between them (from 0 below the first level, up to 1 above the
    last). So values of calibrated quantiles of a continuous target are uniform on
    (0, 1), whatever the grid. A hump in the middle shows forecasts that are too wide, a
    trough those that are too narrow, a slope those that are too high or too low.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Targets.
    quantiles : array-like of shape (n_samples, n_levels)
        Ascending along each row, in the unit of y.
    quantile_levels : array-like of shape (n_levels,)
        Ascending, in (0, 1).
    random_state : int, RandomState or None, default=None
        Seed of the draws; None draws anew at each call.

    Returns
    -------
    values : ndarray of shape (n_samples,), float64
        In [0, 1]. A target that equals quantiles gets one between the neighbours of
        their levels.

    Raises
    ------
    ValueError
        If levels do not ascend in (0, 1), quantiles cross, values are NaN or infinite,
        or shapes disagree.

    References
    ----------
    .. [1] Czado, Gneiting, Held, "Predictive model assessment for count data",
       Biometrics 65, 2009.

    Examples
    --------
    >>> values = pit_from_quantiles([2.0], [[1.0, 3.0]], [0.2, 0.3], random_state=0)
    >>> bool(0.2 < values[0] < 0.3)
    True
    """
    y = check_targets(y)
    forecast, levels = check_quantile_rows(quantiles, quantile_levels, len(y))
    check_ascending(forecast)
    bounds = np.concatenate([[0.0], levels, [1.0]])
    low = bounds[_count_below(forecast, y)]
    high = bounds[1 + _count_up_to(forecast, y)]
    return low + (high - low) * check_random_state(random_state).uniform(size=len(y))


def pit_from_ensemble(
    y: ArrayLike,
    draws: ArrayLike,
    *,
    random_state: int | RandomState | None = None,
) -> NDArray:
    """Compute randomised PIT values of an ensemble of draws.

    ``(a + u * (b - a + 1)) / (m + 1)`` with a of the m draws below y, b of them not
    above it, and u even on (0, 1): uniform if y could be one of the draws, with ties
    too. Its histogram is the rank histogram. Shapes read as in `pit_from_quantiles`.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Targets.
    draws : array-like of shape (n_samples, n_draws)
        Equally likely draws in any order, in the unit of y.
    random_state : int, RandomState or None, default=None
        Seed of u; None draws anew at each call.

    Returns
    -------
    values : ndarray of shape (n_samples,), float64
        In [0, 1].

    Raises
    ------
    ValueError
        If values are NaN or infinite, or shapes disagree.

    References
    ----------
    .. [1] Czado, Gneiting, Held, "Predictive model assessment for count data",
       Biometrics 65, 2009.

    Examples
    --------
    >>> values = pit_from_ensemble([2.5], [[1.0, 2.0, 3.0]], random_state=0)
    >>> bool(0.5 < values[0] < 0.75)
    True
    """
    y = check_targets(y)
    forecast = check_draws(draws, len(y))
    first = _count_below(forecast, y)
    ties = _count_up_to(forecast, y) - first
    even = check_random_state(random_state).uniform(size=len(y))
    return (first + even * (ties + 1)) / (forecast.shape[1] + 1)


def _count_below(forecast, y):
    return np.count_nonzero(forecast < y[:, None], axis=1)


def _count_up_to(forecast, y):
    return np.count_nonzero(forecast <= y[:, None], axis=1)
