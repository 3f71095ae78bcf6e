"""Coverage by the width of intervals: are narrow ones as honest as wide ones?"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Bunch

from ..metrics import interval_coverage

__all__ = ["coverage_by_width"]


def coverage_by_width(
    y: ArrayLike,
    interval: ArrayLike,
    alpha: float,
    *,
    n_bins: int = 5,
    confidence: float = 0.95,
) -> Bunch:
    """Count how often intervals hold y, from the narrowest to the widest.

    Coverage over all rows may come of intervals that are too wide where y is certain
    and too narrow where it is not. Rows are put into bins of about equal size by the
    width of their interval; equal widths share a bin, so there may be fewer bins.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Targets, of rows that neither trained nor calibrated.
    interval : array-like of shape (n_samples, 2)
        As `ConformalRegressor.predict_interval` returns for one alpha.
    alpha : float
        Miscoverage that was aimed at, in (0, 1).
    n_bins : int, default=5
        >= 1.
    confidence : float, default=0.95
        Of the bands, in (0, 1), as in `interval_coverage`.

    Returns
    -------
    table : Bunch of ndarrays of shape (n_bins,)
        That of `interval_coverage`, with bins numbered from 0 as ``group``, and
        ``least_width`` and ``largest_width`` of each, in the unit of y.

    Raises
    ------
    ValueError
        If interval is of another shape, n_bins is below 1, or `interval_coverage`
        refuses the values.

    Notes
    -----
    Time: O(n_samples log n_samples).

    Examples
    --------
    >>> y = [0.5, 0.5, 3.0, 3.0]
    >>> interval = [[0.0, 1.0], [0.0, 1.0], [0.0, 2.0], [0.0, 4.0]]
    >>> table = coverage_by_width(y, interval, 0.1, n_bins=2)
    >>> table.coverage.tolist(), table.largest_width.tolist()
    ([1.0, 0.5], [1.0, 4.0])
    """
    bounds = np.asarray(interval, dtype=np.float64)
    if bounds.ndim != 2 or bounds.shape[1] != 2 or not len(bounds):
        raise ValueError(
            f"interval has shape {bounds.shape}; expected (n_samples, 2), the lower "
            "and the upper end of each."
        )
    if n_bins < 1:
        raise ValueError(f"n_bins is {n_bins}; expected 1 or more.")
    widths = bounds[:, 1] - bounds[:, 0]
    codes = _bins(widths, n_bins)
    table = interval_coverage(
        y, bounds[:, 0], bounds[:, 1], alpha, groups=codes, confidence=confidence
    )
    for name, pick in (("least_width", np.min), ("largest_width", np.max)):
        table[name] = np.array([pick(widths[codes == g]) for g in table.group])
    return table


def _bins(widths: NDArray, n_bins: int) -> NDArray:
    """Return the number of each row's bin; equal widths have the same."""
    ordered = np.sort(widths)
    last = np.arange(1, n_bins + 1) * len(ordered) // n_bins - 1
    edges = np.unique(ordered[last[last >= 0]])
    return np.searchsorted(edges, widths)
