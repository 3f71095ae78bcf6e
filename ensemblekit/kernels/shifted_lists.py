"""The k-th smallest of all values of sorted lists, each with a shift and a scale.

A list f stands for the values ``shift[f] + scale[f] * x`` of its sorted x. Multiplying
and adding round monotonically, so a list stays sorted; each comparison uses that one
expression, so the value returned is bitwise one of those of a full sort.

Barber, Candes, Ramdas, Tibshirani, "Predictive inference with the jackknife+", Annals
of Statistics 49, 2021, for the bounds that this computes.
"""

from itertools import pairwise

import numpy as np

from ._jit import njit
from .bagged_intervals import quickselect

# So few values for each list are gathered and selected from: cheaper than searches.
_GATHER = 16


def sort_by_fold(scores, folds, n_folds):
    """Return the scores sorted within each fold, one fold after the other.

    scores : (n,) float64; folds : (n,) int in 0 .. n_folds - 1
    Returns values : (n,) float64, starts : (n_folds + 1,) int64, where each fold
    begins. O(n log n).
    """
    starts = np.zeros(n_folds + 1, np.int64)
    np.cumsum(np.bincount(folds, minlength=n_folds), out=starts[1:])
    return scores[np.lexsort((scores, folds))], starts


def negate_lists(values, starts):
    """Return the lists with the opposite sign, each again ascending. O(n)."""
    mirrored = np.empty_like(values)
    for first, stop in pairwise(starts):
        mirrored[first:stop] = -values[first:stop][::-1]
    return mirrored


def kth_smallest(shifts, scales, values, starts, rank):
    """Return for each row the rank-th smallest of all shifted and scaled values.

    shifts, scales : (n_rows, n_lists) float64, finite, scales > 0 or None for ones
    values, starts : from `sort_by_fold`; values may hold +inf, or -inf, never NaN
    rank : int, 1 is the smallest
    Returns (n_rows,) float64: -inf where rank < 1, inf where it is above n.
    O(n_lists log(n)**2) per row, O(n_lists) memory besides the result.
    """
    bounds = np.empty(len(shifts))
    if rank < 1 or rank > len(values):
        bounds.fill(-np.inf if rank < 1 else np.inf)
        return bounds
    if scales is None:
        # One row for all: a scale of one changes no bit.
        scales = np.ones((1, shifts.shape[1]))
    _select_rows(shifts, scales, values, starts, rank, bounds)
    return bounds


@njit
def _select_rows(shifts, scales, values, starts, rank, bounds):
    n_lists = shifts.shape[1]
    windows = np.empty((4, n_lists), np.int64)
    middles, gathered = np.empty(n_lists), np.empty(_GATHER * n_lists)
    for row in range(shifts.shape[0]):
        scale = scales[row if scales.shape[0] > 1 else 0]
        bounds[row] = _select_row(
            shifts[row], scale, values, starts, rank, windows, middles, gathered
        )


@njit
def _select_row(shift, scale, values, starts, rank, windows, middles, gathered):
    """Narrow each list to a window, until few values are left in all."""
    low, high, not_below, above = windows[0], windows[1], windows[2], windows[3]
    low[:], high[:] = starts[:-1], starts[1:]
    wanted, left, turn = rank, len(values), 0
    while left > len(gathered):
        if turn < 2:
            pivot = _outer_bound(shift, scale, values, starts, rank, turn == 0)
        else:
            pivot = _middle_of_middles(shift, scale, values, low, high, middles, left)
        turn += 1
        n_below, n_not_above = _split(
            shift, scale, values, low, high, pivot, not_below, above
        )
        if wanted <= n_below:
            high[:] = not_below
            left = n_below
        elif wanted <= n_not_above:
            return pivot
        else:
            low[:] = above
            wanted -= n_not_above
            left -= n_not_above
    return _select_few(shift, scale, values, low, high, wanted, gathered[:left])


@njit
def _outer_bound(shift, scale, values, starts, rank, above):
    """Return the largest, or smallest, of the lists' values at their share of the rank.

    The wanted value lies between these two, which are near where lists are alike.
    """
    n, bound = len(values), -np.inf if above else np.inf
    for f in range(len(shift)):
        own = starts[f + 1] - starts[f]
        if own == 0:
            continue
        value = shift[f] + scale[f] * values[starts[f] + (rank - 1) * own // n]
        bound = max(bound, value) if above else min(bound, value)
    return bound


@njit
def _middle_of_middles(shift, scale, values, low, high, middles, left):
    """Return the weighted median of the lists' medians: not in an outer quarter."""
    for f in range(len(low)):
        if high[f] > low[f]:
            middle = values[(low[f] + high[f] - 1) // 2]
            middles[f] = shift[f] + scale[f] * middle
        else:
            middles[f] = np.inf
    reached = 0
    order = np.argsort(middles) if len(middles) > 16 else _insertion_order(middles)
    for f in order:
        reached += high[f] - low[f]
        if 2 * reached >= left:
            break
    return middles[f]


@njit
def _insertion_order(values):
    """Return the order that sorts a few values."""
    order = np.arange(len(values))
    for i in range(1, len(values)):
        j = i
        while j > 0 and values[order[j - 1]] > values[i]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = i
    return order


@njit
def _split(shift, scale, values, low, high, pivot, not_below, above):
    """Find in each list where the pivot belongs; return counts below, not above it."""
    n_below, n_not_above = 0, 0
    for f in range(len(low)):
        lower, upper = low[f], high[f]
        while lower < upper:
            middle = (lower + upper) // 2
            if shift[f] + scale[f] * values[middle] < pivot:
                lower = middle + 1
            else:
                upper = middle
        not_below[f] = lower
        n_below += lower - low[f]
        upper = high[f]
        # Most lists hold no tie with the pivot: one look, then a second search.
        if lower < upper and shift[f] + scale[f] * values[lower] > pivot:
            upper = lower
        while lower < upper:
            middle = (lower + upper) // 2
            if shift[f] + scale[f] * values[middle] <= pivot:
                lower = middle + 1
            else:
                upper = middle
        above[f] = lower
        n_not_above += lower - low[f]
    return n_below, n_not_above


@njit
def _select_few(shift, scale, values, low, high, wanted, gathered):
    """Return the wanted-th smallest of the few values left."""
    count = 0
    for f in range(len(low)):
        for i in range(low[f], high[f]):
            gathered[count] = shift[f] + scale[f] * values[i]
            count += 1
    return quickselect(gathered, wanted - 1)
