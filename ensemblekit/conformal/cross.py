"""Intervals of CV+ and jackknife+ from predictions alone."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._cross_base import FoldScores, check_numbers, check_predictions, warn_of_levels
from ._envelope import nest
from .ranks import exact_levels, score_at, upper_rank

__all__ = ["cross_conformal_interval"]


def cross_conformal_interval(
    y: ArrayLike,
    oof_predictions: ArrayLike,
    folds: ArrayLike,
    fold_predictions: ArrayLike,
    alpha: ArrayLike = 0.1,
    *,
    method: str = "plus",
    oof_scales: ArrayLike | None = None,
    fold_scales: ArrayLike | None = None,
) -> NDArray:
    """Return CV+ intervals from out-of-fold predictions and the fold models' own.

    With R_i the absolute residual of row i under the model that did not see its fold
    f(i), the interval of a new x goes from the ``floor((n + 1) * alpha)``-th smallest
    of ``mu_f(i)(x) - R_i`` to the ``ceil((n + 1) * (1 - alpha))``-th smallest of
    ``mu_f(i)(x) + R_i``, over all n rows. With a fold for each row this is jackknife+.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Targets.
    oof_predictions : array-like of shape (n_samples,)
        What the model of a row's fold, fitted without that fold, predicts for it.
    folds : array-like of shape (n_samples,), int
        Fold of each row, 0 to ``n_folds - 1``; folds may differ in size or be empty.
    fold_predictions : array-like of shape (n_rows, n_folds)
        New rows as predicted by each fold's model; the columns in the order of `folds`.
    alpha : float or array-like of shape (n_alphas,), default=0.1
        Miscoverage in (0, 1), taken as the fraction that was typed.
    method : {"plus", "minmax"}, default="plus"
        ``"minmax"`` adds the same score, that of rank ``ceil((n + 1) * (1 - alpha))``,
        to the largest and subtracts it from the smallest prediction: wider.
    oof_scales, fold_scales : array-like, default=None
        Positive sizes of the residuals, of the same shapes as the predictions: scores
        are then residuals divided by them. Give both or none.

    Returns
    -------
    interval : ndarray of shape (n_rows, 2) or (n_rows, 2, n_alphas)

    Warns
    -----
    InfeasibleRankWarning
        If there are too few rows for an alpha: its bounds are infinite.

    Raises
    ------
    ValueError
        If shapes disagree, folds are no numbers of columns, a value is NaN, a
        prediction infinite, or a scale not positive.

    Notes
    -----
    For exchangeable rows and models that treat their rows alike, ``"plus"`` covers with
    probability at least ``1 - 2 * alpha`` with one row a fold, and about ``1 - 2 *
    alpha - sqrt(2 / n)`` with larger ones; typically near ``1 - alpha``. ``"minmax"``
    covers with at least ``1 - alpha`` with one row a fold.

    Bitwise the sort of all pairs. Time: O(n log n), then O(n_folds * log(n)**2) per row
    and alpha; memory: O(n + n_rows * n_folds), never n times n_rows.

    References
    ----------
    .. [1] Barber, Candes, Ramdas, Tibshirani, "Predictive inference with the
       jackknife+", Annals of Statistics 49, 2021.

    Examples
    --------
    >>> cross_conformal_interval(
    ...     y=[1.0, 2.0, 3.0, 4.0], oof_predictions=[1.5, 2.0, 2.0, 4.0],
    ...     folds=[0, 1, 0, 1], fold_predictions=[[2.0, 2.5]], alpha=0.4)
    array([[1.5, 2.5]])
    """
    levels, single = exact_levels(alpha)
    shifts = check_predictions(fold_predictions, "fold_predictions", (None, None))
    scores = _absolute_residuals(y, oof_predictions)
    numbers = _check_folds(folds, len(scores), shifts.shape[1])
    scales = None
    if (oof_scales is None) != (fold_scales is None):
        raise ValueError("Only one of oof_scales and fold_scales is given; give both.")
    if oof_scales is not None:
        scores = scores / _check_scales(oof_scales, "oof_scales", scores.shape)
        scales = _check_scales(fold_scales, "fold_scales", shifts.shape)
    if method not in ("plus", "minmax"):
        raise ValueError(f"method is {method!r}; expected 'plus' or 'minmax'.")
    warn_of_levels(len(scores), levels)
    if method == "plus":
        lists = FoldScores.of(scores, numbers, shifts.shape[1])
        each = [lists.bounds(shifts, shifts, scales, level) for level in levels]
    else:
        each = [_minmax(shifts, scales, scores, level) for level in levels]
    bounds = nest(np.stack(each, axis=2), levels)
    return bounds[:, :, 0] if single else bounds


def _minmax(shifts, scales, scores, level):
    threshold = score_at(scores, upper_rank(len(scores), level))
    reach = threshold if scales is None else threshold * scales
    return np.column_stack([(shifts - reach).min(axis=1), (shifts + reach).max(axis=1)])


def _absolute_residuals(y, oof_predictions):
    targets = check_numbers(y, "y", (None,))
    if not len(targets):
        raise ValueError("y is empty; expected at least one row.")
    held_out = check_predictions(oof_predictions, "oof_predictions", targets.shape)
    return np.abs(targets - held_out)


def _check_folds(folds, n_samples, n_folds):
    numbers = np.asarray(folds)
    if numbers.dtype.kind not in "iu" or numbers.shape != (n_samples,):
        raise ValueError(
            f"folds has shape {numbers.shape} and type {numbers.dtype}; expected one "
            f"integer for each of the {n_samples} rows."
        )
    bad = np.flatnonzero((numbers < 0) | (numbers >= n_folds))
    if bad.size:
        raise ValueError(
            f"Row {bad[0]} is of fold {numbers[bad[0]]}; expected 0 to {n_folds - 1}, "
            "the columns of fold_predictions."
        )
    return numbers.astype(np.int64)


def _check_scales(values, label, shape):
    scales = check_predictions(values, label, shape)
    if (scales <= 0.0).any():
        row = np.argwhere(scales <= 0.0)[0, 0]
        raise ValueError(f"{label} is not positive, first at row {row}.")
    return scales
