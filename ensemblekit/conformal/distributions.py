"""Predictive distributions from calibration residuals, by arrays alone.

The distribution of a new target is its prediction plus the residuals, each as likely:
a step function. What is asked of it is found by search in the sorted residuals and by
their prefix sums, so that no (n_residuals, n_samples) matrix exists.
"""

from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import layout
from .ranks import exact_level, lower_rank, upper_rank, warn_if_infeasible

__all__ = ["predictive_cdf", "predictive_crps", "predictive_quantiles"]

HALF = Fraction(1, 2)


def predictive_cdf(
    residuals: ArrayLike,
    prediction: ArrayLike,
    y: ArrayLike,
    scale: ArrayLike | None = None,
    *,
    between: ArrayLike = 0.5,
) -> NDArray:
    """Compute the conformal distribution function at y, from calibration residuals.

    With l of n residuals below that of y, and r below or equal, the value lies between
    ``l / (n + 1)`` and ``(r + 1) / (n + 1)``.

    Parameters
    ----------
    residuals : array-like of shape (n_residuals,)
        y minus prediction of calibration rows, divided by their scale if there is one.
    prediction : array-like of shape (n_samples,)
        Predictions of new rows, in the unit of y.
    y : float, or array-like of shape (n_samples,) or (n_samples, n_values)
        Where to evaluate.
    scale : array-like of shape (n_samples,), default=None
        Scale of the new rows, positive; None is 1.
    between : float or array-like of the shape of y, default=0.5
        Where to be between the bounds: 0 gives the lower, 1 the upper. Independent
        uniform draws give values that are exactly uniform on [0, 1] where new rows and
        calibration rows are exchangeable.

    Returns
    -------
    cdf : ndarray of shape (n_samples,) or (n_samples, n_values), float64
        In [0, 1].

    Raises
    ------
    ValueError
        If values are NaN, shapes disagree, scales are not positive, or `between` is
        outside [0, 1].

    Notes
    -----
    Time: O((n_residuals + n_samples) log n_residuals).

    References
    ----------
    .. [1] Vovk, Shen, Manokhin, Xie, "Nonparametric predictive distributions based on
       conformal prediction", Machine Learning 108, 2019.

    Examples
    --------
    >>> predictive_cdf([-1.0, 0.0, 1.0], [10.0, 10.0], [9.5, 20.0]).tolist()
    [0.375, 0.875]
    >>> predictive_cdf([-1.0, 0.0, 1.0], [10.0], [20.0], between=0).tolist()
    [0.75]
    """
    centre, scale = check_rows(prediction, scale)
    errors = standard_errors(centre, scale, y)
    return Residuals(residuals).cdf(errors, check_between(between, errors.shape))


def predictive_quantiles(
    residuals: ArrayLike,
    prediction: ArrayLike,
    quantile_levels: ArrayLike,
    scale: ArrayLike | None = None,
) -> NDArray:
    """Compute conformal quantiles from calibration residuals.

    A quantile above or at the median is not exceeded with at least the probability of
    its level, and one below it exceeded with at least one less that: the interval
    between two of them holds as much as their levels say.

    Parameters
    ----------
    residuals : array-like of shape (n_residuals,)
        y minus prediction of calibration rows, divided by their scale if there is one.
    prediction : array-like of shape (n_samples,)
        Predictions of new rows, in the unit of y.
    quantile_levels : array-like of shape (n_levels,)
        Ascending in (0, 1).
    scale : array-like of shape (n_samples,), default=None
        Scale of the new rows, positive; None is 1.

    Returns
    -------
    quantiles : ndarray of shape (n_samples, n_levels), float64
        Ascending along each row; infinite where there are too few residuals.

    Warns
    -----
    InfeasibleRankWarning
        If a quantile is infinite.

    Raises
    ------
    ValueError
        If values are NaN, shapes disagree, scales are not positive, or levels do not
        ascend in (0, 1).

    Notes
    -----
    Of n residuals, the rank is ``ceil(level * (n + 1))`` from the median on and
    ``floor(level * (n + 1))`` below it, in exact arithmetic.

    Examples
    --------
    >>> residuals = [-2.0, -1.0, 1.0, 2.0]
    >>> predictive_quantiles(residuals, [10.0], [0.2, 0.5, 0.8]).tolist()
    [[8.0, 11.0, 12.0]]
    """
    levels = exact_quantile_levels(quantile_levels)
    centre, scale = check_rows(prediction, scale)
    system = Residuals(residuals)
    warn_if_infeasible(system.n, tail(levels))
    return centre[:, None] + np.multiply.outer(scale, system.quantiles(levels))


def predictive_crps(
    residuals: ArrayLike,
    prediction: ArrayLike,
    y: ArrayLike,
    scale: ArrayLike | None = None,
) -> NDArray:
    """Compute the CRPS of predictive distributions from calibration residuals.

    The distribution of a row is its prediction plus scale times the residuals, each as
    likely.

    Parameters
    ----------
    residuals : array-like of shape (n_residuals,)
        y minus prediction of calibration rows, divided by their scale if there is one.
    prediction : array-like of shape (n_samples,)
        Predictions of new rows, in the unit of y.
    y : float, or array-like of shape (n_samples,) or (n_samples, n_values)
        Targets.
    scale : array-like of shape (n_samples,), default=None
        Scale of the new rows, positive; None is 1.

    Returns
    -------
    crps : ndarray of shape (n_samples,) or (n_samples, n_values), float64
        In the unit of y; lower is better; >= 0.

    Raises
    ------
    ValueError
        If values are NaN, shapes disagree, scales are not positive, or there are no
        residuals.

    Notes
    -----
    Time: O((n_residuals + n_samples) log n_residuals), by prefix sums of the sorted
    residuals.

    References
    ----------
    .. [1] Gneiting, Raftery, "Strictly proper scoring rules, prediction, and
       estimation", Journal of the American Statistical Association 102, 2007.

    Examples
    --------
    >>> predictive_crps([-1.0, 1.0], [10.0, 10.0], [10.0, 12.0]).tolist()
    [0.5, 1.5]
    """
    centre, scale = check_rows(prediction, scale)
    errors = standard_errors(centre, scale, y)
    system = Residuals(residuals)
    if system.n == 0:
        raise ValueError("residuals are empty; expected one at least.")
    return like(scale, errors) * system.crps(errors)


class Residuals:
    """Sorted residuals and their prefix sums: what a distribution is asked from."""

    def __init__(self, residuals):
        values = np.asarray(residuals, dtype=np.float64)
        if values.ndim != 1 or not np.isfinite(values).all():
            raise ValueError(
                f"residuals of shape {values.shape} are no column of finite numbers; "
                "expected (n_residuals,) without NaN and infinity."
            )
        self.sorted = np.sort(values)
        self.n = len(values)

    def cdf(self, errors, between):
        """Return ``(l + between * (r - l + 1)) / (n + 1)`` for each error."""
        below = np.searchsorted(self.sorted, errors, side="left")
        reached = np.searchsorted(self.sorted, errors, side="right")
        return (below + between * (reached - below + 1)) / (self.n + 1)

    def quantiles(self, levels):
        """Return the residual at each level, a fraction; infinite beyond the ends."""
        padded = np.concatenate([[-np.inf], self.sorted, [np.inf]])
        return padded[[rank_of_level(self.n, level) for level in levels]]

    def crps(self, errors):
        """Return the CRPS of the residuals as atoms, for each error.

        It is mean |S - e| less half the mean |S - S'|. The first is found from prefix
        sums F: with j atoms at most e it is ((2 j - n) e - 2 F_j + F_n) / n.
        """
        if self.n == 0:
            return np.full(np.shape(errors), np.inf)
        n, middle = self.n, self.sorted[self.n // 2]
        atoms, errors = self.sorted - middle, errors - middle  # no digits to an offset
        sums = np.concatenate([[0.0], np.cumsum(atoms)])
        weights = 2.0 * np.arange(1, n + 1) - n - 1
        half_spread = (weights @ atoms) / n**2
        j = np.searchsorted(atoms, errors, side="right")
        distance = ((2 * j - n) * errors - 2.0 * sums[j] + sums[-1]) / n
        return np.maximum(distance - half_spread, 0.0)


def rank_of_level(n, level):
    """Return the rank, from 0 to n + 1, of the quantile at a level, outwards."""
    return upper_rank(n, 1 - level) if level >= HALF else lower_rank(n, level)


def exact_quantile_levels(quantile_levels):
    """Return ascending levels as the fractions that were typed."""
    layout.check_levels(quantile_levels)
    return [exact_level(level) for level in np.atleast_1d(quantile_levels)]


def tail(levels):
    """Return the share beyond the outermost level."""
    return min(min(level, 1 - level) for level in levels)


def check_rows(prediction, scale):
    """Return predictions and scales as (n_samples,) float64."""
    centre = np.asarray(prediction, dtype=np.float64)
    if centre.ndim != 1 or not np.isfinite(centre).all():
        raise ValueError(
            f"prediction of shape {centre.shape} is no column of finite numbers; "
            "expected (n_samples,) without NaN and infinity."
        )
    if scale is None:
        return centre, np.ones(len(centre))
    scale = np.asarray(scale, dtype=np.float64)
    if scale.shape != centre.shape or not (np.isfinite(scale) & (scale > 0)).all():
        raise ValueError(
            f"scale of shape {scale.shape} is no column of positive numbers; expected "
            f"({len(centre)},), one for each row of prediction."
        )
    return centre, scale


def standard_errors(centre, scale, y):
    """Return (y - centre) / scale, of the shape of y or (n_samples,)."""
    y = np.asarray(y, dtype=np.float64)
    if np.isnan(y).any() or y.ndim > 2 or (y.ndim and len(y) != len(centre)):
        raise ValueError(
            f"y of shape {y.shape} is unfit or holds NaN; expected a number, "
            f"({len(centre)},) or ({len(centre)}, n_values)."
        )
    shape = centre.shape + (1,) * (y.ndim - 1)
    return (y - centre.reshape(shape)) / scale.reshape(shape)


def like(column, values):
    """Return a column as it multiplies values of one or two dimensions."""
    return column.reshape(column.shape + (1,) * (values.ndim - 1))


def check_between(between, shape):
    """Return shares in [0, 1] that go with an array of this shape."""
    between = np.asarray(between, dtype=np.float64)
    inside = ((between >= 0.0) & (between <= 1.0)).all()
    if not inside or between.shape not in ((), shape):
        raise ValueError(
            f"between of shape {between.shape} is unfit; expected numbers in [0, 1], "
            f"one or {shape}."
        )
    return between


def half_mean_difference(y, share):
    """Return half the mean |y - y'| under weights of sum 1: y's own mean CRPS."""
    order = np.argsort(y, kind="stable")
    y, share = y[order], share[order]
    below = np.cumsum(share)[:-1]
    # The integral of F (1 - F): gaps between neighbours, in which F is constant.
    return float(np.diff(y) @ (below * (1.0 - below)))
