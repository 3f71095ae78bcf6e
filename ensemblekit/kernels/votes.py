"""Votes of members: counts, the two leading classes, and a test by a table of integers.

Black, Leino, Fredrikson, "Selective Ensembles for Consistent Predictions", ICLR 2022,
for the rule; the two-sided binomial test of the two leaders is one comparison of
integers, as its p-value falls with the votes of the first.
"""

import numpy as np

from ._jit import njit

# Rows whose counts stay in cache while votes come member by member.
_BLOCK = 4096
# Up to so many classes, a pass for each is faster than a table: it runs in SIMD.
_FEW = 12


@njit
def count_votes(votes, n_classes):
    """Count the votes of each row.

    votes : (n, m) signed integers from -1 (missing) to n_classes - 1, rows contiguous
    n_classes : int >= 1
    Returns counts : (n, n_classes) int32. O(n m).
    """
    n = votes.shape[0]
    counts = np.zeros((n, n_classes), np.int32)
    codes = np.arange(n_classes).astype(votes.dtype)
    table = np.empty((2, n_classes + 1), np.int32)
    for i in range(n):
        _count_row(votes, i, codes, table)
        for k in range(n_classes):
            counts[i, k] = table[0, k + 1]
    return counts


@njit
def count_members_first(votes, n_classes):
    """Count the votes of each row, where those of a member are contiguous.

    votes : (m, n) signed integers from -1 (missing) to n_classes - 1
    Returns counts : (n, n_classes) int32. O(n m).
    """
    n = votes.shape[1]
    counts = np.empty((n, n_classes), np.int32)
    block = np.empty((_BLOCK, n_classes + 1), np.int32)
    for first in range(0, n, _BLOCK):
        last = min(first + _BLOCK, n)
        _count_block(votes, first, last, block)
        for i in range(first, last):
            for k in range(n_classes):
                counts[i, k] = block[i - first, k + 1]
    return counts


@njit
def decide_votes(votes, n_classes, cut):
    """Find the two leading classes of each row, and whether the first wins the test.

    votes : (n, m) signed integers from -1 (missing) to n_classes - 1, rows contiguous
    n_classes : int >= 1
    cut : (m + 1,) int64, the least votes with which the first of two wins that many
    Returns label, best, second : (n,) int64, int32, int32; accepted : (n,) bool. Equal
    counts go to the lower class. O(n m).
    """
    label, best, second, accepted = _empty_decisions(votes.shape[0])
    codes = np.arange(n_classes).astype(votes.dtype)
    table = np.empty((2, n_classes + 1), np.int32)
    for i in range(votes.shape[0]):
        _count_row(votes, i, codes, table)
        k, a, b = _leaders(table, 0, 1)
        label[i], best[i], second[i], accepted[i] = k, a, b, a >= cut[a + b]
    return label, best, second, accepted


@njit
def decide_members_first(votes, n_classes, cut):
    """Return what `decide_votes` does, where the votes of a member are contiguous.

    votes : (m, n) signed integers from -1 (missing) to n_classes - 1
    """
    n = votes.shape[1]
    label, best, second, accepted = _empty_decisions(n)
    block = np.empty((_BLOCK, n_classes + 1), np.int32)
    for first in range(0, n, _BLOCK):
        last = min(first + _BLOCK, n)
        _count_block(votes, first, last, block)
        for i in range(first, last):
            k, a, b = _leaders(block, i - first, 1)
            label[i], best[i], second[i], accepted[i] = k, a, b, a >= cut[a + b]
    return label, best, second, accepted


@njit
def decide_counts(counts, cut):
    """Return what `decide_votes` does, from counts.

    counts : (n, n_classes) integers >= 0
    cut : int64, longer than the largest sum of two counts of a row
    """
    label, best, second, accepted = _empty_decisions(counts.shape[0])
    for i in range(counts.shape[0]):
        k, a, b = _leaders(counts, i, 0)
        label[i], best[i], second[i], accepted[i] = k, a, b, a >= cut[a + b]
    return label, best, second, accepted


@njit
def _empty_decisions(n):
    label, accepted = np.empty(n, np.int64), np.empty(n, np.bool_)
    return label, np.empty(n, np.int32), np.empty(n, np.int32), accepted


# These take a matrix and a row's number: a view of a row costs as much as its counts.


@njit
def _count_row(votes, i, codes, table):
    """Count votes into table[0, 1:]; table[0, 0] is for those that are missing."""
    if codes.shape[0] > _FEW:
        _count_by_table(votes, i, table)
        return
    for k in range(codes.shape[0]):
        table[0, k + 1] = _count_equal(votes, i, codes[k])


@njit
def _count_equal(votes, i, code):
    """Count the votes for a code of their own type; narrow sums run in SIMD."""
    count = np.int32(0)
    for j in range(votes.shape[1]):
        count = np.int32(count + np.int32(votes[i, j] == code))
    return count


@njit
def _count_by_table(votes, i, table):
    """Count all codes at once.

    Members take turns with two rows: most votes are equal, and adding to a number just
    written has to wait for it.
    """
    table[:] = 0
    m = votes.shape[1]
    for j in range(0, m - 1, 2):
        table[0, int(votes[i, j]) + 1] += 1
        table[1, int(votes[i, j + 1]) + 1] += 1
    if m % 2:
        table[0, int(votes[i, m - 1]) + 1] += 1
    for k in range(table.shape[1]):
        table[0, k] += table[1, k]


@njit
def _count_block(votes, first, last, block):
    block[:] = 0
    for j in range(votes.shape[0]):
        own = votes[j]
        for i in range(first, last):
            block[i - first, int(own[i]) + 1] += 1


@njit
def _leaders(counts, i, first):
    """Return the class of most votes of row i, its count, and the count of the next.

    Counts begin at column `first`.
    """
    label, best, second = 0, counts[i, first], 0
    for k in range(1, counts.shape[1] - first):
        count = counts[i, first + k]
        if count > best:
            label, best, second = k, count, best
        elif count > second:
            second = count
    return label, best, second
