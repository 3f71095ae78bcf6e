"""Conformal quantiles where test rows are of another distribution than calibration."""

from decimal import Decimal
from fractions import Fraction
from numbers import Rational

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..exceptions import describe_rows
from .ranks import exact_level

__all__ = ["weighted_conformal_quantile"]

# Sums of weights are rounded: a share of the mass so little below is reached.
_SLACK = 1e-10


def weighted_conformal_quantile(
    scores: ArrayLike,
    weights: ArrayLike,
    test_weights: ArrayLike,
    alpha: float | str | Decimal | Rational,
) -> NDArray:
    """Return the scores that test rows exceed with chance <= alpha, under weights.

    Where test rows are drawn with another density than calibration rows, in the ratio w
    at their features, the threshold of a test row x is the smallest score s with
    ``sum(w_i : s_i <= s) >= (1 - alpha) * (sum(w_i) + w(x))``: the mass of x itself
    stands at infinity. Where all weights are equal, it is `conformal_quantile`.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Calibration scores; infinite ones count, as the largest.
    weights : array-like of shape (n_samples,)
        Density of test rows over that of calibration rows, times any constant, at the
        calibration rows; >= 0.
    test_weights : array-like of shape (n_test,)
        The same at the test rows, with the same constant.
    alpha : float, str, Decimal or Rational
        Miscoverage in (0, 1).

    Returns
    -------
    thresholds : ndarray of shape (n_test,), float64
        Infinite where a test row weighs more than alpha of all; no warning is given.

    Raises
    ------
    ValueError
        If scores are NaN, weights negative, infinite or NaN, shapes disagree, or alpha
        is outside (0, 1).

    Notes
    -----
    Coverage is exact for the ratio as given; an estimated ratio adds its own error.
    Time: O((n_samples + n_test) log n_samples).

    References
    ----------
    .. [1] Tibshirani, Barber, Candes, Ramdas, "Conformal prediction under covariate
       shift", NeurIPS 2019.

    Examples
    --------
    >>> scores = [1.0, 2.0, 3.0, 4.0]
    >>> weighted_conformal_quantile(scores, [1, 1, 1, 1], [1, 9], 0.4)
    array([ 3., inf])
    >>> weighted_conformal_quantile(scores, [6, 1, 1, 1], [1], 0.4)
    array([1.])
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"scores have shape {values.shape}; expected (n_samples,).")
    refuse_nan_scores(values)
    mass = check_ratio(weights, len(values), "weights")
    own = check_ratio(test_weights, np.size(test_weights), "test_weights")
    ordered, reached = order_by_score(values, mass)
    return weighted_thresholds(ordered, reached, own, exact_level(alpha))


def order_by_score(scores: NDArray, weights: NDArray) -> tuple[NDArray, NDArray]:
    """Return the ascending scores, and the mass reached at each."""
    order = np.argsort(scores, kind="stable")
    return scores[order], np.cumsum(weights[order])


def weighted_thresholds(
    ordered: NDArray, reached: NDArray, own: NDArray, alpha: Fraction
) -> NDArray:
    """Return the first score at which 1 - alpha of all mass is reached, or infinity."""
    total = reached[-1] if len(reached) else 0.0
    wanted = float(1 - alpha) * (total + own) * (1.0 - _SLACK)
    found = np.append(ordered, np.inf)[np.searchsorted(reached, wanted)]
    # Where nothing has mass nothing is known.
    return np.where(total + own > 0.0, found, np.inf)


def check_ratio(weights: ArrayLike, n_rows: int, name: str) -> NDArray:
    """Return weights as (n_rows,) float64; refuse NaN, infinite and negative ones."""
    ratio = np.asarray(weights, dtype=np.float64)
    if ratio.shape != (n_rows,):
        raise ValueError(
            f"{name} has shape {ratio.shape}; expected ({n_rows},), a weight for each "
            "row."
        )
    bad = np.flatnonzero(~(np.isfinite(ratio) & (ratio >= 0.0)))
    if bad.size:
        raise ValueError(
            f"{name} is NaN, infinite or negative ({describe_rows(bad)}); expected the "
            "ratio of two densities."
        )
    return ratio


def refuse_nan_scores(scores: NDArray) -> None:
    """Refuse scores that are NaN."""
    bad = np.flatnonzero(np.isnan(scores))
    if bad.size:
        raise ValueError(
            f"Calibration scores are NaN ({describe_rows(bad)}); expected numbers, or "
            "inf for the worst."
        )
