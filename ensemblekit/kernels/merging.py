"""Where enough closed intervals overlap: a sweep over their ends, row by row.

Gasparin, Ramdas, "Merging uncertainty sets via majority vote", arXiv 2401.09379.

Votes are whole numbers, so that the order of the intervals cannot matter. A closed
interval that holds the open stretch between two ends holds both ends: the points won
are closed pieces that begin and end where intervals do.
"""

import numpy as np

from ._jit import njit

_FEW = 32


@njit
def vote_pieces(intervals, units, needed):
    """Return the pieces of each row's points that win at least `needed` votes.

    intervals : (n, K, 2) float64, lower <= upper, without NaN
    units : (K,) int64 >= 0, votes of an interval
    needed : (n,) int64 >= 1
    Returns pieces (n_pieces, 2), row after row, ascending; offsets (n + 1,) int64:
    pieces of row i are offsets[i]:offsets[i + 1]. O(n K log K).
    """
    n, K = intervals.shape[0], intervals.shape[1]
    pieces, offsets = np.empty((n * K, 2)), np.zeros(n + 1, np.int64)
    starts, ends = np.empty(K, np.int64), np.empty(K, np.int64)
    used = 0
    for i in range(n):
        lower, upper = intervals[i, :, 0], intervals[i, :, 1]
        _ascending(lower, starts)
        _ascending(upper, ends)
        votes, s = 0, 0
        inside = False
        for e in range(K):
            end = upper[ends[e]]
            while s < K and lower[starts[s]] <= end:  # all starts at a point first
                start = lower[starts[s]]
                votes += units[starts[s]]
                s += 1
                if not inside and votes >= needed[i]:
                    inside = True
                    pieces[used, 0] = start
            votes -= units[ends[e]]
            if inside and votes < needed[i]:
                inside = False
                pieces[used, 1] = end
                used += 1
        offsets[i + 1] = used
    return pieces[:used].copy(), offsets


@njit
def _ascending(values, order):
    """Fill `order` with the positions of the values in ascending order."""
    K = len(values)
    if K > _FEW:
        order[:] = np.argsort(values)
        return
    for k in range(K):  # a few are sorted faster in place
        spot = k
        while spot > 0 and values[order[spot - 1]] > values[k]:
            order[spot] = order[spot - 1]
            spot -= 1
        order[spot] = k


@njit
def prefix_vote_pieces(intervals):
    """Return the pieces of the points that most of the first k hold, for every k.

    intervals : (n, K, 2) float64, lower <= upper, without NaN
    Returns pieces, offsets as `vote_pieces`. O(n K^2).
    """
    n, K = intervals.shape[0], intervals.shape[1]
    pieces, offsets = np.empty((n * K, 2)), np.zeros(n + 1, np.int64)
    votes, wins = np.empty(4 * K, np.int64), np.empty(4 * K, np.bool_)
    used = 0
    for i in range(n):
        # Spot 2 t is the t-th end, spot 2 t + 1 the open stretch behind it.
        points = np.unique(intervals[i].copy().ravel())
        n_spots = 2 * len(points) - 1
        votes[:n_spots], wins[:n_spots] = 0, True
        for k in range(K):
            first = 2 * np.searchsorted(points, intervals[i, k, 0])
            last = 2 * np.searchsorted(points, intervals[i, k, 1])
            votes[first : last + 1] += 1
            for spot in range(n_spots):
                wins[spot] &= 2 * votes[spot] > k + 1
        spot = 0
        while spot < n_spots:
            if wins[spot]:
                pieces[used, 0] = points[spot // 2]
                while spot < n_spots and wins[spot]:
                    spot += 1
                pieces[used, 1] = points[(spot - 1) // 2]
                used += 1
            spot += 1
        offsets[i + 1] = used
    return pieces[:used].copy(), offsets
