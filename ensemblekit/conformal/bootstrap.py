"""Intervals of jackknife+-after-bootstrap from predictions alone."""

import warnings
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import kernels
from ._cross_base import check_numbers, check_predictions, warn_of_levels
from ._envelope import nest
from .ranks import exact_levels, lower_rank, upper_rank

__all__ = ["jackknife_after_bootstrap_interval"]


def jackknife_after_bootstrap_interval(
    y: ArrayLike,
    in_bag: ArrayLike,
    bag_predictions: ArrayLike,
    new_predictions: ArrayLike,
    alpha: ArrayLike = 0.1,
    *,
    aggregation: str = "mean",
) -> NDArray:
    """Return jackknife+-after-bootstrap intervals from the bags' predictions.

    Row i is left out of some bags; their models' average, without any further fit,
    gives its residual R_i and, for a new x, a prediction v_i(x). The interval goes from
    the ``floor((n + 1) * alpha)``-th smallest of ``v_i(x) - R_i`` to the
    ``ceil((n + 1) * (1 - alpha))``-th smallest of ``v_i(x) + R_i``.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Targets.
    in_bag : array-like of shape (n_samples, n_bags), bool
        Whether the model of a bag was fitted on the row.
    bag_predictions : array-like of shape (n_samples, n_bags)
        The same rows as predicted by each bag's model; what a bag predicts for its own
        rows is not read.
    new_predictions : array-like of shape (n_rows, n_bags)
        New rows as predicted by each bag's model.
    alpha : float or array-like of shape (n_alphas,), default=0.1
        Miscoverage in (0, 1), taken as the fraction that was typed.
    aggregation : {"mean", "median"}, default="mean"
        How models are averaged.

    Returns
    -------
    interval : ndarray of shape (n_rows, 2) or (n_rows, 2, n_alphas)

    Warns
    -----
    UserWarning
        If rows are in every bag: these are dropped, and n is smaller in the ranks.
    InfeasibleRankWarning
        If there are too few rows for an alpha: its bounds are infinite.

    Raises
    ------
    ValueError
        If shapes disagree, a value is NaN, a prediction infinite, or every row is in
        every bag.

    Notes
    -----
    Coverage of at least ``1 - 2 * alpha`` is proved for exchangeable rows and a number
    of bags that is drawn from a binomial distribution; with a number chosen beforehand,
    the usual practice, it is near ``1 - alpha``, but not guaranteed.

    Time: O(n_samples * n_bags) per new row and alpha; memory: O(n_samples * n_bags) for
    `in_bag` and O(n_samples) besides, never n_samples times n_rows.

    References
    ----------
    .. [1] Kim, Xu, Barber, "Predictive inference is free with the
       jackknife+-after-bootstrap", NeurIPS 2020.

    Examples
    --------
    >>> in_bag = [[True, False], [False, True], [True, False]]
    >>> jackknife_after_bootstrap_interval(
    ...     [1.0, 2.0, 3.0], in_bag, [[1.0, 1.5], [2.0, 2.0], [3.0, 2.0]],
    ...     [[2.0, 2.5]], alpha=0.25)
    array([[1.5, 3.5]])
    """
    levels, single = exact_levels(alpha)
    targets = check_numbers(y, "y", (None,))
    outside = ~_check_bags(in_bag, len(targets))
    new = check_predictions(new_predictions, "new_predictions", (None, None))
    if outside.shape[1] != new.shape[1]:
        raise ValueError(
            f"in_bag has {outside.shape[1]} columns and new_predictions "
            f"{new.shape[1]}; expected one for each bag."
        )
    held_out = np.array(bag_predictions, dtype=np.float64)
    if held_out.shape == outside.shape:
        held_out[~outside] = 0.0
    predictions = check_predictions(held_out, "bag_predictions", outside.shape)
    if aggregation not in AVERAGES:
        raise ValueError(
            f"aggregation is {aggregation!r}; expected 'mean' or 'median'."
        )
    outside, scores = out_of_bag_scores(targets, outside, predictions, aggregation)
    bounds = nest(bag_bounds(outside, scores, new, levels, aggregation), levels)
    return bounds[:, :, 0] if single else bounds


AVERAGES = ("mean", "median")
"""Aggregations, by the code that the kernel knows."""


def out_of_bag_scores(
    y: NDArray, outside: NDArray, predictions: NDArray, aggregation: str
) -> tuple[NDArray, NDArray]:
    """Return `outside` and absolute residuals of the rows outside some bag.

    Raises
    ------
    ValueError
        If no row is outside of any bag.
    """
    kept = outside.any(axis=1)
    if not kept.any():
        raise ValueError(
            "Every row is in every bag, so none can be held out; draw more bags."
        )
    if not kept.all():
        warnings.warn(
            f"{int((~kept).sum())} of {len(y)} rows are in every bag and calibrate "
            "nothing; draw more bags.",
            UserWarning,
            stacklevel=3,
        )
        outside, y, predictions = outside[kept], y[kept], predictions[kept]
    code = AVERAGES.index(aggregation)
    averages = kernels.bagged_intervals.average_outside(predictions, outside, code)
    return outside, np.abs(y - averages)


def bag_bounds(
    outside: NDArray,
    scores: NDArray,
    predictions: NDArray,
    levels: list[Fraction],
    aggregation: str,
) -> NDArray:
    """Return bounds (n_rows, 2, n_levels) from the bags' predictions of new rows."""
    n = len(scores)
    warn_of_levels(n, levels)
    each = [
        kernels.bagged_intervals.bagged_bounds(
            predictions,
            outside,
            scores,
            lower_rank(n, level),
            upper_rank(n, level),
            AVERAGES.index(aggregation),
        )
        for level in levels
    ]
    return np.stack(each, axis=2)


def _check_bags(in_bag, n_samples):
    bags = np.asarray(in_bag)
    if bags.dtype != bool or bags.ndim != 2 or len(bags) != n_samples:
        raise ValueError(
            f"in_bag has shape {bags.shape} and type {bags.dtype}; expected bools of "
            f"shape ({n_samples}, n_bags)."
        )
    return bags
