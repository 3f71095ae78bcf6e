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

# So few values for each list are gathered and partitioned: cheaper than more searches.
_GATHER = 4


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
    low, high = np.empty(n_lists, np.int64), np.empty(n_lists, np.int64)
    first_not_below = np.empty(n_lists, np.int64)
    first_above = np.empty(n_lists, np.int64)
    middles, gathered = np.empty(n_lists), np.empty(_GATHER * n_lists)
    for row in range(shifts.shape[0]):
        shift, scale = shifts[row], scales[row if scales.shape[0] > 1 else 0]
        low[:], high[:] = starts[:-1], starts[1:]
        wanted, left = rank, values.shape[0]
        found = False
        while left > _GATHER * n_lists:
            pivot = _middle_of_middles(shift, scale, values, low, high, middles, left)
            below, not_above = _split(
                shift, scale, values, low, high, pivot, first_not_below, first_above
            )
            if wanted <= below:
                high[:] = first_not_below
                left = below
            elif wanted <= not_above:
                bounds[row] = pivot
                found = True
                break
            else:
                low[:] = first_above
                wanted -= not_above
                left -= not_above
        if not found:
            bounds[row] = _select(
                shift, scale, values, low, high, wanted, gathered[:left]
            )


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
def _split(shift, scale, values, low, high, pivot, first_not_below, first_above):
    """Find in each list where the pivot belongs; return counts below, not above it."""
    below, not_above = 0, 0
    for f in range(len(low)):
        lower, upper = low[f], high[f]
        while lower < upper:
            middle = (lower + upper) // 2
            if shift[f] + scale[f] * values[middle] < pivot:
                lower = middle + 1
            else:
                upper = middle
        first_not_below[f] = lower
        below += lower - low[f]
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
        first_above[f] = lower
        not_above += lower - low[f]
    return below, not_above


@njit
def _select(shift, scale, values, low, high, wanted, gathered):
    """Return the wanted-th smallest of the few values left."""
    count = 0
    for f in range(len(low)):
        for i in range(low[f], high[f]):
            gathered[count] = shift[f] + scale[f] * values[i]
            count += 1
    return np.partition(gathered, wanted - 1)[wanted - 1]
