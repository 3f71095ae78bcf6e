"""Adaptive conformal inference (ACI): a level that follows the misses, row by row.

Gibbs, Candes, "Adaptive Conformal Inference Under Distribution Shift", NeurIPS 2021.

After each row the level moves by ``gamma * (alpha - missed)``: misses widen what comes,
hits narrow it. For who has forecasts and outcomes, and no model.
"""

from collections import deque
from decimal import Decimal
from numbers import Rational

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Bunch

from ..exceptions import describe_rows
from ._adaptive_states import Issued, make_state
from ._groups import Groups, check_groups
from .ranks import exact_level

__all__ = ["adaptive_interval", "adaptive_thresholds"]


def adaptive_thresholds(
    scores: ArrayLike,
    alpha: float | str | Decimal | Rational = 0.1,
    *,
    gamma: float | str | Decimal | Rational = 0.005,
    window: int | None = None,
    horizon: int = 1,
    groups: ArrayLike | None = None,
    past_scores: ArrayLike = (),
) -> Bunch:
    """Run adaptive conformal inference over a series of scores, in time order.

    Row t gets the threshold of miscoverage ``level[t]`` among the scores before it, and
    is missed where its own score is above. A miss lowers the next level by
    ``gamma * (1 - alpha)``, a hit raises it by ``gamma * alpha``: whatever the scores
    are, the share of misses comes near alpha.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Any number that is large where the forecast was poor, such as an absolute error;
        infinite ones count, as the largest.
    alpha : float, str, Decimal or Rational, default=0.1
        Miscoverage that is aimed at, in (0, 1).
    gamma : float, str, Decimal, Rational or "auto", default=0.005
        Step of the level, in (0, 1). Large follows shifts soon, and makes intervals
        vary more. ``"auto"`` follows eight steps from 0.001 to 0.128 at once and mixes
        their levels by how well each has done of late [2]_.
    window : int, default=None
        Number of latest scores that thresholds are taken from; None is all.
    horizon : int, default=1
        Rows between a forecast and the one from which its outcome is known: 1 where
        outcomes are known before the next row, 4 for forecasts four steps ahead.
    groups : array-like of shape (n_samples,), default=None
        Series of each row, such as its place; each is run by itself, from
        `past_scores`.
    past_scores : array-like of shape (n_past,), default=()
        Scores from before the series, in time order, to start from.

    Returns
    -------
    path : Bunch of ndarrays of shape (n_samples,)
        A dict whose entries are attributes too.

        - ``level``: miscoverage of each row's threshold, float64; may leave [0, 1] by
          ``gamma * horizon``;
        - ``threshold``: infinite where the level is 0 or less, or too small for so few
          scores, -inf where it is 1 or more;
        - ``missed``: bool, ``scores > threshold``.

    Raises
    ------
    ValueError
        If scores are NaN or no column, alpha or gamma is outside (0, 1), window or
        horizon is below 1, or groups are of another length.

    Notes
    -----
    For any series of T scores, with nothing random about them, the share of misses is
    within ``(max(alpha, 1 - alpha) + horizon * gamma) / (T * gamma)`` of alpha [1]_.
    With ``"auto"`` no such bound is known; what is, is that levels are near the best
    ones on each span of rows.

    Time: O(log n) comparisons and one insertion into n sorted scores for each row, n of
    the window.

    References
    ----------
    .. [1] Gibbs, Candes, "Adaptive Conformal Inference Under Distribution Shift",
       NeurIPS 2021, Proposition 4.1.
    .. [2] Gibbs, Candes, "Conformal Inference for Online Prediction with Arbitrary
       Distribution Shifts", Journal of Machine Learning Research 25, 2024.

    Examples
    --------
    >>> path = adaptive_thresholds([5, 1, 2, 3, 9], 0.4, gamma=0.1)
    >>> path.threshold.tolist(), path.missed.tolist()
    ([inf, inf, 5.0, 2.0, 3.0], [False, False, False, True, True])
    >>> path.level.round(2).tolist()
    [0.4, 0.44, 0.48, 0.52, 0.46]
    """
    values = check_scores(scores, "scores")
    past = check_scores(past_scores, "past_scores")
    if horizon < 1:
        raise ValueError(f"horizon is {horizon}; expected 1 or more.")
    level, threshold = np.empty(len(values)), np.empty(len(values))
    for rows in group_rows(groups, len(values)):
        state = make_state([exact_level(alpha)], gamma, window, past)
        level[rows], threshold[rows] = _run(state, values[rows].tolist(), horizon)
    return Bunch(level=level, threshold=threshold, missed=values > threshold)


def adaptive_interval(
    y: ArrayLike,
    prediction: ArrayLike,
    alpha: float | str | Decimal | Rational = 0.1,
    *,
    gamma: float | str | Decimal | Rational = 0.005,
    window: int | None = None,
    horizon: int = 1,
    groups: ArrayLike | None = None,
) -> NDArray:
    """Widen a series of forecasts so that 1 - alpha of it is covered in the long run.

    For who has forecasts and outcomes, and no model: each row's interval is made of the
    outcomes that were known when it was due.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Outcomes, in time order.
    prediction : array-like of shape (n_samples,) or (n_samples, 2)
        Points, or the ends of intervals such as two quantiles, which are moved outwards
        or inwards by the same amount on either side.
    alpha : float, str, Decimal or Rational, default=0.1
        Miscoverage that is aimed at, in (0, 1).
    gamma : float, str, Decimal, Rational or "auto", default=0.005
        Step of the level, in (0, 1), or ``"auto"``, as in `adaptive_thresholds`.
    window : int, default=None
        Number of latest scores that thresholds are taken from; None is all.
    horizon : int, default=1
        Rows between a forecast and the one from which its outcome is known.
    groups : array-like of shape (n_samples,), default=None
        Series of each row, such as its place; each is run by itself.

    Returns
    -------
    interval : ndarray of shape (n_samples, 2), float64
        Infinite in the first rows, and where misses have been so many that the level is
        0 or less. Where it is 1 or more, or ends would cross, both are the middle of
        the forecast, and the row counts as missed.

    Raises
    ------
    ValueError
        If values are NaN, shapes disagree, ends are swapped, or the options are unfit.

    Notes
    -----
    The long-run coverage is that of `adaptive_thresholds`, for each group by itself.
    Rows of one moment, such as places of one week, are no series: give them groups.

    Examples
    --------
    >>> y, points = [1.0, 2.0, 1.5, 4.0, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0]
    >>> adaptive_interval(y, points, 0.5, gamma=0.1).tolist()[1:]
    [[1.0, 1.0], [0.0, 2.0], [0.5, 1.5], [0.0, 2.0]]
    """
    lower, upper = check_forecasts(y, prediction)
    y = np.asarray(y, dtype=np.float64)
    # A point is an interval of width 0: its score is the absolute error.
    scores = np.maximum(lower - y, y - upper)
    path = adaptive_thresholds(
        scores, alpha, gamma=gamma, window=window, horizon=horizon, groups=groups
    )
    return moved_ends(lower, upper, path.threshold)


def _run(state, scores, horizon):
    """Return the levels and thresholds of a series, from outcomes known by then."""
    levels, thresholds = [], []
    open_rows: deque[Issued] = deque(maxlen=horizon)  # whose outcome is not known
    for t in range(len(scores)):
        if t >= horizon:
            state.add(scores[t - horizon], open_rows[0])
        open_rows.append(state.issue())
        levels += open_rows[-1].levels
        thresholds += open_rows[-1].thresholds
    return levels, thresholds


def group_rows(groups, n_rows):
    """Return the rows of each group, in their order."""
    return Groups(check_groups(groups, n_rows), n_rows).rows


def moved_ends(lower, upper, threshold):
    """Return ends moved outwards by a threshold; the middle where none are left."""
    low, high = lower - threshold, upper + threshold
    middle = 0.5 * (lower + upper)
    return np.stack(
        [np.where(low <= high, low, middle), np.where(low <= high, high, middle)],
        axis=1,
    )


def check_scores(scores, name):
    """Return scores as (n_samples,) float64; refuse NaN."""
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"{name} has shape {values.shape}; expected (n_samples,).")
    bad = np.flatnonzero(np.isnan(values))
    if bad.size:
        raise ValueError(f"{name} has NaN ({describe_rows(bad)}); expected numbers.")
    return values


def check_forecasts(y, prediction):
    """Return the two ends of forecasts of y, equal where they are points."""
    y = check_scores(y, "y")
    ends = np.asarray(prediction, dtype=np.float64)
    if ends.shape not in ((len(y),), (len(y), 2)) or not np.isfinite(ends).all():
        raise ValueError(
            f"prediction of shape {ends.shape} is unfit or not finite; expected "
            f"({len(y)},) or ({len(y)}, 2), a row for each of y."
        )
    if ends.ndim == 1:
        return ends, ends
    swapped = np.flatnonzero(ends[:, 0] > ends[:, 1])
    if swapped.size:
        raise ValueError(
            f"prediction has its ends swapped ({describe_rows(swapped)}); expected the "
            "lower end first."
        )
    return ends[:, 0], ends[:, 1]
