"""Scores of quantiles and of intervals."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..losses import LOSSES
from ._checks import (
    check_ascending,
    check_interval,
    check_quantile_rows,
    check_share,
    check_targets,
    mean_or_rows,
)

# Levels as typed are exact to their last digit; 1 - level is not.
_SYMMETRY_TOLERANCE = 1e-9


def pinball_loss(
    y: ArrayLike,
    quantiles: ArrayLike,
    quantile_levels: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    average: bool = True,
) -> float | NDArray:
    """Compute the pinball loss of quantiles, mean over rows and levels.

    At level t it is ``max(t * (y - q), (t - 1) * (y - q))``; its expectation is least
    at the true quantile. Quantiles may cross.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Targets.
    quantiles : array-like of shape (n_samples, n_levels)
        In the unit of y; (n_samples,) will do for one level.
    quantile_levels : array-like of shape (n_levels,)
        Ascending, in (0, 1).
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative; None weighs rows equally.
    average : bool, default=True
        Whether to return the mean, or the losses of all rows and levels.

    Returns
    -------
    loss : float, or ndarray of shape (n_samples, n_levels)
        In the unit of y; lower is better.

    Raises
    ------
    ValueError
        If values are NaN or infinite, shapes disagree, levels do not ascend in (0, 1),
        or weights are unfit.

    Examples
    --------
    >>> pinball_loss([2.0, 5.0], [[1.0, 3.0], [1.0, 3.0]], [0.25, 0.75])
    0.75
    >>> pinball_loss([2.0], [[1.0, 3.0]], [0.25, 0.75], average=False)
    array([[0.25, 0.25]])
    """
    y = check_targets(y)
    values, levels = check_quantile_rows(quantiles, quantile_levels, len(y))
    return mean_or_rows(_pinball(y, values, levels), sample_weight, average)


def interval_score(
    y: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    alpha: float,
    sample_weight: ArrayLike | None = None,
    *,
    average: bool = True,
) -> float | NDArray:
    """Compute the interval (Winkler) score: width, and a fine for each miss.

    ``upper - lower`` plus ``2 / alpha`` times the distance by which y is outside; its
    expectation is least at the quantiles of levels alpha / 2 and 1 - alpha / 2. Times
    alpha / 2 it is the sum of the pinball losses of both ends.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Targets.
    lower, upper : array-like of shape (n_samples,)
        Ends of the intervals; -inf and inf where there is none.
    alpha : float
        Miscoverage that was aimed at, in (0, 1): 0.1 for intervals of 90 %.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative; None weighs rows equally.
    average : bool, default=True
        Whether to return the mean, or the scores of all rows.

    Returns
    -------
    score : float, or ndarray of shape (n_samples,)
        In the unit of y; lower is better; infinite for an infinite interval.

    Raises
    ------
    ValueError
        If values are NaN, shapes disagree, an interval has its ends swapped, alpha is
        outside (0, 1), or weights are unfit.

    References
    ----------
    .. [1] Gneiting, Raftery, "Strictly Proper Scoring Rules, Prediction, and
       Estimation", Journal of the American Statistical Association 102, 2007.

    Examples
    --------
    >>> interval_score([2.0, 5.0], [1.0, 1.0], [3.0, 3.0], alpha=0.5)
    6.0
    """
    y = check_targets(y)
    low, high = check_interval(lower, upper, len(y))
    alpha = check_share(alpha, "alpha")
    miss = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
    return mean_or_rows(high - low + 2.0 / alpha * miss, sample_weight, average)


def weighted_interval_score(
    y: ArrayLike,
    quantiles: ArrayLike,
    quantile_levels: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    average: bool = True,
) -> float | NDArray:
    """Compute the weighted interval score of quantiles on a symmetric grid.

    Levels t and 1 - t are the ends of a central interval with alpha = 2 t. The score is
    the sum of alpha / 2 times the `interval_score` of each of the K intervals, and of
    half the absolute error of the median, divided by K + 1/2; without a median on the
    grid by K. Either way it is exactly twice the mean `pinball_loss` over the levels,
    and tends to the CRPS as the grid gets finer.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Targets.
    quantiles : array-like of shape (n_samples, n_levels)
        Ascending along each row, in the unit of y.
    quantile_levels : array-like of shape (n_levels,)
        Ascending, in (0, 1), with 1 - t for every level t.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative; None weighs rows equally.
    average : bool, default=True
        Whether to return the mean, or the scores of all rows.

    Returns
    -------
    score : float, or ndarray of shape (n_samples,)
        In the unit of y; lower is better.

    Raises
    ------
    ValueError
        If levels are not symmetric or do not ascend in (0, 1), quantiles cross, values
        are NaN or infinite, shapes disagree, or weights are unfit.

    References
    ----------
    .. [1] Bracher, Ray, Gneiting, Reich, "Evaluating epidemic forecasts in an interval
       format", PLOS Computational Biology 17, 2021.

    Examples
    --------
    >>> weighted_interval_score([2.0], [[1.0, 2.5, 3.0]], [0.25, 0.5, 0.75])
    0.5
    """
    y = check_targets(y)
    values, levels = check_quantile_rows(quantiles, quantile_levels, len(y))
    _check_symmetric(levels)
    check_ascending(values)
    scores = 2.0 * _pinball(y, values, levels).mean(axis=1)
    return mean_or_rows(scores, sample_weight, average)


def _pinball(y, quantiles, levels):
    formula = LOSSES["pinball"].per_row
    assert formula is not None
    return formula(y[:, None], quantiles, level=levels)


def _check_symmetric(levels):
    away = np.abs(levels[:, None] + levels - 1.0).min(axis=1)
    if away.max() > _SYMMETRY_TOLERANCE:
        alone = levels[away.argmax()]
        raise ValueError(
            f"quantile_levels has {alone:.6g} but not {1.0 - alone:.6g}; the "
            "weighted interval score needs pairs of levels t and 1 - t. Use "
            "pinball_loss for other grids."
        )
