"""Continuous ranked probability score (CRPS) of quantiles and of draws."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._checks import (
    check_ascending,
    check_draws,
    check_quantile_rows,
    check_targets,
    mean_or_rows,
)

RULES = ("linear", "flat", "step")
# The share of the fair score in the almost fair one.
KINDS = {"plain": 0.0, "fair": 1.0, "almost_fair": 0.95}
# Numbers of a block of rows, of which some copies are made.
_BLOCK = 2**17


def crps_from_quantiles(
    y: ArrayLike,
    quantiles: ArrayLike,
    quantile_levels: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    rule: str = "linear",
    average: bool = True,
) -> float | NDArray:
    """Compute the CRPS of the distribution that quantiles describe.

    The CRPS is twice the integral of the pinball loss over all levels from 0 to 1. It
    is integrated exactly; what quantiles leave open is filled in by `rule`.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Targets.
    quantiles : array-like of shape (n_samples, n_levels)
        Ascending along each row, in the unit of y.
    quantile_levels : array-like of shape (n_levels,)
        Ascending, in (0, 1).
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative; None weighs rows equally.
    rule : {"linear", "flat", "step"}, default="linear"
        The quantile function between and beyond the levels. ``"linear"`` joins
        neighbours by straight lines and extends the first and the last line to the
        levels 0 and 1. ``"flat"`` joins them too, and puts all that is beyond the outer
        levels on the outer quantiles: too narrow, but nothing is extrapolated.
        ``"step"`` makes each quantile an atom, up to the middles between levels, as
        `ConvexPoolRegressor` does. A single level is an atom by every rule.
    average : bool, default=True
        Whether to return the mean, or the scores of all rows.

    Returns
    -------
    score : float, or ndarray of shape (n_samples,)
        In the unit of y; lower is better; >= 0.

    Raises
    ------
    ValueError
        If the rule is unknown, levels do not ascend in (0, 1), quantiles cross, values
        are NaN or infinite, shapes disagree, or weights are unfit.

    Examples
    --------
    Quantiles of the uniform distribution on [0, 1]:

    >>> crps_from_quantiles([0.5], [[0.25, 0.75]], [0.25, 0.75])
    0.08333333333333333
    >>> crps_from_quantiles([0.5], [[0.25, 0.75]], [0.25, 0.75], rule="step")
    0.125
    """
    if rule not in RULES:
        raise ValueError(f"rule is {rule!r}; expected one of {list(RULES)}.")
    y = check_targets(y)
    values, levels = check_quantile_rows(quantiles, quantile_levels, len(y))
    check_ascending(values)
    scores = np.empty(len(y))
    for rows in _row_blocks(len(y), values.shape[1]):
        left, right, knots = _pieces(values[rows] - y[rows, None], levels, rule)
        scores[rows] = 2.0 * _integrate_pinball(left, right, knots)
    return mean_or_rows(scores, sample_weight, average)


def crps_from_ensemble(
    y: ArrayLike,
    draws: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    kind: str = "plain",
    average: bool = True,
) -> float | NDArray:
    """Compute the CRPS of an ensemble of draws.

    With m draws x it is ``mean|x - y| - s / 2``, s an average of ``|x - x'|`` over
    pairs of draws.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Targets.
    draws : array-like of shape (n_samples, n_draws)
        Equally likely draws in any order, in the unit of y.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative; None weighs rows equally.
    kind : {"plain", "fair", "almost_fair"}, default="plain"
        ``"plain"`` scores the draws as the distribution they are: s is over all m**2
        pairs. ``"fair"`` estimates, without bias, the score of the distribution they
        are drawn from: s is over the m (m - 1) pairs of two draws, and the score of one
        row may be negative; the one to compare ensembles of different sizes by.
        ``"almost_fair"`` is 0.95 of fair and 0.05 of plain [2]_: fair is 0 where all
        draws but one hit the target, wherever that one is.
    average : bool, default=True
        Whether to return the mean, or the scores of all rows.

    Returns
    -------
    score : float, or ndarray of shape (n_samples,)
        In the unit of y; lower is better.

    Raises
    ------
    ValueError
        If the kind is unknown, a fair kind meets a single draw, values are NaN or
        infinite, shapes disagree, or weights are unfit.

    Notes
    -----
    O(n_draws * log(n_draws)) for each row; beside draws a few MB.

    References
    ----------
    .. [1] Ferro, "Fair scores for ensemble forecasts", Quarterly Journal of the Royal
       Meteorological Society 140, 2014.
    .. [2] Lang et al., "AIFS-CRPS: Ensemble forecasting using a model trained with a
       loss function based on the Continuous Ranked Probability Score", 2024.

    Examples
    --------
    >>> crps_from_ensemble([1.0], [[0.0, 4.0]])
    1.0
    >>> crps_from_ensemble([1.0], [[0.0, 4.0]], kind="fair")
    0.0
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; expected one of {list(KINDS)}.")
    y = check_targets(y)
    values = check_draws(draws, len(y))
    if KINDS[kind] and values.shape[1] == 1:
        raise ValueError(
            f"kind={kind!r} compares the draws of a row with each other; got one draw "
            "for each row. Use kind='plain'."
        )
    scores = np.empty(len(y))
    for rows in _row_blocks(len(y), values.shape[1]):
        errors = np.sort(values[rows] - y[rows, None], axis=1)
        scores[rows] = _sorted_crps(errors, KINDS[kind])
    return mean_or_rows(scores, sample_weight, average)


def _sorted_crps(errors, fair_share):
    """Return the CRPS of rows of sorted draws minus y.

    It is the integral of (F - 1{z >= 0})**2. Below 0, behind draw i, the factor is
    i / m; above 0, before draw i + 1, it is (m - i) / m: terms that cancel nowhere.
    """
    m = errors.shape[1]
    behind = np.arange(1, m + 1) / m
    below = np.diff(np.minimum(errors, 0.0), axis=1, append=0.0)
    above = np.diff(np.maximum(errors, 0.0), axis=1, prepend=0.0)
    plain = below @ behind**2 + above @ behind[::-1] ** 2
    if not fair_share:
        return plain
    # Half the mean |x - x'| over all pairs is the sum of gaps * F (1 - F).
    spread = np.diff(errors, axis=1) @ (behind[:-1] * (1.0 - behind[:-1]))
    return plain - fair_share * spread / (m - 1)


def _pieces(errors, levels, rule):
    """Return the quantile function in pieces: values at both ends, and the knots.

    Piece k runs from left[:, k] at level knots[k] to right[:, k] at knots[k + 1].
    """
    if rule == "step" or len(levels) == 1:
        middles = 0.5 * (levels[1:] + levels[:-1])
        return errors, errors, np.concatenate([[0.0], middles, [1.0]])
    reach = np.array([levels[0] / (levels[1] - levels[0]), 0.0])
    reach[1] = (1.0 - levels[-1]) / (levels[-1] - levels[-2])
    if rule == "flat":
        reach[:] = 0.0
    first = errors[:, 0] - reach[0] * (errors[:, 1] - errors[:, 0])
    last = errors[:, -1] + reach[1] * (errors[:, -1] - errors[:, -2])
    values = np.column_stack([first, errors, last])
    return values[:, :-1], values[:, 1:], np.concatenate([[0.0], levels, [1.0]])


def _integrate_pinball(left, right, knots):
    """Return the integral over all levels of the pinball loss of a target 0."""
    start, end = knots[:-1], knots[1:]
    width = np.broadcast_to(end - start, left.shape)
    # Where a piece crosses the target; pieces on one side of it are left whole.
    rise = right - left
    share = np.divide(-left, rise, out=np.zeros(left.shape), where=rise > 0.0)
    cut = start + width * np.where(right <= 0.0, 1.0, np.clip(share, 0.0, 1.0))
    below = _simpson(
        cut - start, start, cut, -np.minimum(left, 0.0), -np.minimum(right, 0.0)
    )
    above = _simpson(
        end - cut, 1.0 - cut, 1.0 - end, np.maximum(left, 0.0), np.maximum(right, 0.0)
    )
    return (below + above).sum(axis=1)


def _simpson(width, slope_a, slope_b, error_a, error_b):
    """Integrate the product of two straight lines, from their ends: exact."""
    middle = (slope_a + slope_b) * (error_a + error_b)
    return width / 6.0 * (slope_a * error_a + middle + slope_b * error_b)


def _row_blocks(n_rows, n_columns):
    size = max(1, _BLOCK // n_columns)
    return (slice(start, start + size) for start in range(0, n_rows, size))
