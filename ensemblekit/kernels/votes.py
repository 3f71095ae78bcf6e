"""Votes of members: counts, the two leading classes, and a test by a table of integers.

Black, Leino, Fredrikson, "Selective Ensembles for Consistent Predictions", ICLR 2022,
for the rule; the two-sided binomial test of the two leaders is one comparison of
integers, as its p-value falls with the votes of the first.

Counts of few classes are summed side by side in one 64-bit word, one field for each
class and the lowest for missing votes: a shift and a sum for each vote, in SIMD.
"""

import numpy as np

from ._jit import njit

# Rows whose counts stay in cache while votes come member by member.
_BLOCK = 4096
# Rows that are checked, and still in the nearest cache when they are counted.
_CHECKED = 64
# Up to so many classes the fields of a word are wide enough to be worth it.
_FEW = 10


@njit
def count_votes(votes, n_classes):
    """Count the votes of each row.

    votes : (n, m) signed integers, rows contiguous
    n_classes : int >= 1
    Returns counts : (n, n_classes) int32
            clean : bool, whether all votes are from -1 (missing) to n_classes - 1;
            if not, counts mean nothing. O(n m).
    """
    n = votes.shape[0]
    counts = np.empty((n, n_classes), np.int32)
    for first in range(0, n, _CHECKED):
        last = min(first + _CHECKED, n)
        if not _count_rows(votes, first, last, counts, first):
            return counts, False
    return counts, True


@njit
def count_members_first(votes, n_classes):
    """Return what `count_votes` does, where the votes of a member are contiguous.

    votes : (m, n) signed integers
    """
    n = votes.shape[1]
    counts = np.empty((n, n_classes), np.int32)
    words = np.empty(_BLOCK, np.uint64)
    block = np.empty((_BLOCK, n_classes + 1), np.int32)
    for first in range(0, n, _BLOCK):
        last = min(first + _BLOCK, n)
        if not _count_block(votes, first, last, words, block):
            return counts, False
        counts[first:last] = block[: last - first, 1:]
    return counts, True


@njit
def decide_votes(votes, n_classes, cut):
    """Find the two leading classes of each row, and whether the first wins the test.

    votes : (n, m) signed integers, rows contiguous
    n_classes : int >= 1
    cut : (m + 1,) int64, the least votes with which the first of two wins that many
    Returns label, best, second : (n,) int64, int32, int32; accepted : (n,) bool. Equal
            counts go to the lower class
            clean : bool, whether all votes are from -1 (missing) to n_classes - 1;
            if not, the rest means nothing. O(n m).
    """
    label, best, second, accepted = _empty_decisions(votes.shape[0])
    counts = np.empty((_CHECKED, n_classes), np.int32)
    for first in range(0, votes.shape[0], _CHECKED):
        last = min(first + _CHECKED, votes.shape[0])
        if not _count_rows(votes, first, last, counts, 0):
            return label, best, second, accepted, False
        _decide(counts, 0, cut, first, last, label, best, second, accepted)
    return label, best, second, accepted, True


@njit
def decide_members_first(votes, n_classes, cut):
    """Return what `decide_votes` does, where the votes of a member are contiguous.

    votes : (m, n) signed integers
    """
    n = votes.shape[1]
    label, best, second, accepted = _empty_decisions(n)
    words = np.empty(_BLOCK, np.uint64)
    block = np.empty((_BLOCK, n_classes + 1), np.int32)
    for first in range(0, n, _BLOCK):
        last = min(first + _BLOCK, n)
        if not _count_block(votes, first, last, words, block):
            return label, best, second, accepted, False
        _decide(block, 1, cut, first, last, label, best, second, accepted)
    return label, best, second, accepted, True


@njit
def decide_counts(counts, cut):
    """Return what `decide_votes` does, from counts that are known to be clean.

    counts : (n, n_classes) integers >= 0
    cut : int64, longer than the largest sum of two counts of a row
    """
    n = counts.shape[0]
    label, best, second, accepted = _empty_decisions(n)
    _decide(counts, 0, cut, 0, n, label, best, second, accepted)
    return label, best, second, accepted


@njit
def lead_counts(counts):
    """Return the two leading classes of each row, of counts of any size.

    counts : (n, n_classes) integers >= 0
    Returns label, best, second : (n,) int64. O(n n_classes).
    """
    n = counts.shape[0]
    label, best = np.empty(n, np.int64), np.empty(n, np.int64)
    second = np.empty(n, np.int64)
    for i in range(n):
        label[i], best[i], second[i] = _leaders(counts, i, 0)
    return label, best, second


@njit
def look_up(best, second, table):
    """Return table[best, second] of each row: (n,) float64. O(n)."""
    values = np.empty(best.shape[0])
    for i in range(best.shape[0]):
        values[i] = table[best[i], second[i]]
    return values


@njit
def _empty_decisions(n):
    label, accepted = np.empty(n, np.int64), np.empty(n, np.bool_)
    return label, np.empty(n, np.int32), np.empty(n, np.int32), accepted


@njit
def _are_codes(codes, n_classes):
    low = high = codes[0]
    for j in range(codes.shape[0]):
        low, high = min(low, codes[j]), max(high, codes[j])
    return low >= -1 and high < n_classes


@njit
def _field_width(n_classes):
    """Return the bits of a field, of which a word has one more than classes."""
    return np.uint64(64 // (n_classes + 1))


@njit
def _field(vote, width):
    """Return a word with a 1 in the field of a vote, from -1 on."""
    return np.uint64(1) << (np.uint64(np.int64(vote) + 1) * width)


@njit
def _unpack(word, width, more, counts, row, column):
    """Write the fields of classes into a row of counts, or add them if `more`."""
    mask = (np.uint64(1) << width) - np.uint64(1)
    for k in range(column, counts.shape[1]):
        word >>= width
        own = np.int32(word & mask)
        counts[row, k] = counts[row, k] + own if more else own


@njit
def _count_rows(votes, first, last, counts, row):
    """Count rows from first to last into counts[row:]; say whether all were codes."""
    m, n_classes = votes.shape[1], counts.shape[1]
    flat = votes.reshape(votes.size)[first * m : last * m]
    if not _are_codes(flat, n_classes):
        return False
    own = votes[first:last]
    if n_classes > _FEW:
        _count_by_table(own, counts, row)
    elif m < 1 << np.int64(_field_width(n_classes)):
        _count_by_fields(own, counts, row)
    else:
        _count_by_pieces(own, counts, row)
    return True


# A row's votes are read from the matrix: to make a view of it costs as much.


@njit
def _count_by_fields(votes, counts, row):
    """Count the votes of each row, which are no more than a field can hold."""
    width = _field_width(counts.shape[1])
    for i in range(votes.shape[0]):
        word = np.uint64(0)
        for j in range(votes.shape[1]):
            word += _field(votes[i, j], width)
        _unpack(word, width, False, counts, row + i, 0)


@njit
def _count_by_pieces(votes, counts, row):
    """Count as many votes at a time as a field can hold."""
    width = _field_width(counts.shape[1])
    m, most = votes.shape[1], (1 << np.int64(width)) - 1
    for i in range(votes.shape[0]):
        for first in range(0, m, most):
            word = np.uint64(0)
            for j in range(np.uint64(first), np.uint64(min(first + most, m))):
                word += _field(votes[i, j], width)
            _unpack(word, width, first > 0, counts, row + i, 0)


@njit
def _count_by_table(votes, counts, row):
    """Count all codes at once; the first column is for those that are missing.

    Members take turns with two rows: most votes are equal, and adding to a number just
    written has to wait for it.
    """
    m, n_classes = votes.shape[1], counts.shape[1]
    table = np.empty((2, n_classes + 1), np.int32)
    for i in range(votes.shape[0]):
        table[:] = 0
        for j in range(0, m - 1, 2):
            table[0, int(votes[i, j]) + 1] += 1
            table[1, int(votes[i, j + 1]) + 1] += 1
        if m % 2:
            table[0, int(votes[i, m - 1]) + 1] += 1
        for k in range(n_classes):
            counts[row + i, k] = table[0, k + 1] + table[1, k + 1]


@njit
def _count_block(votes, first, last, words, block):
    """Count rows from first to last into block[:, 1:]; say whether all were codes."""
    n_classes = block.shape[1] - 1
    for j in range(votes.shape[0]):
        if not _are_codes(votes[j, first:last], n_classes):
            return False
    if n_classes <= _FEW:
        _count_block_by_fields(votes, first, last, words, block)
    else:
        _count_block_by_table(votes, first, last, block)
    return True


@njit
def _count_block_by_fields(votes, first, last, words, block):
    n_members, width = votes.shape[0], _field_width(block.shape[1] - 1)
    done = 0
    while done < n_members:
        stop = min(done + (1 << np.int64(width)) - 1, n_members)
        words[:] = 0
        for j in range(done, stop):
            own = votes[j, first:last]
            for i in range(own.shape[0]):
                words[i] += _field(own[i], width)
        for i in range(last - first):
            _unpack(words[i], width, done > 0, block, i, 1)
        done = stop


@njit
def _count_block_by_table(votes, first, last, block):
    block[:] = 0
    for j in range(votes.shape[0]):
        own = votes[j, first:last]
        for i in range(own.shape[0]):
            block[i, int(own[i]) + 1] += 1


@njit
def _decide(counts, column, cut, first, last, label, best, second, accepted):
    """Write the decisions of rows from first to last; their counts begin at row 0."""
    for i in range(last - first):
        k, a, b = _leaders(counts, i, column)
        label[first + i], best[first + i], second[first + i] = k, a, b
        accepted[first + i] = a >= cut[a + b]


@njit
def _leaders(counts, i, column):
    """Return the class of most votes of row i, its count, and the count of the next.

    Counts begin at `column`. Without branches, which could not be foretold.
    """
    label, best, second = 0, counts[i, column], 0
    for k in range(1, counts.shape[1] - column):
        count = counts[i, column + k]
        label = k if count > best else label
        second = max(second, min(best, count))
        best = max(best, count)
    return label, best, second
