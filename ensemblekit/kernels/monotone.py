"""Rows of quantiles without crossings: sorted, projected or widened.

Chernozhukov, Fernandez-Val, Galichon, "Quantile and probability curves without
crossing", Econometrica 78, 2010, for the sort.

For every y and every grid of levels, neither the sort nor the projection raises the
pinball loss summed over the levels with equal weights; with unequal ones either may.
Sort or project for the loss, before calibration. Widen for coverage, after it: each
central interval keeps what it covered, where a sort may shrink it; the loss may rise.
"""

import numpy as np

from ._jit import njit


def sort_rows(Q):
    """Return Q with every row in ascending order.

    Q : (n, m) real
    Returns (n, m) float64, a new array. O(n m log m).
    """
    return np.sort(np.asarray(Q, np.float64), axis=1)


def isotonic_rows(Q):
    """Return for every row of Q the nearest ascending row in least squares.

    Q : (n, m) real
    Returns (n, m) float64, a new array: runs that cross become their mean. O(n m).
    """
    projected = np.array(Q, np.float64, order="C")
    _pool_adjacent_violators(projected)
    return projected


def widen_rows(Q, centre):
    """Return Q with the running maximum to the right of a column, minimum to the left.

    Q : (n, m) real
    centre : int, the column that stays as it is, that of the median
    Returns (n, m) float64, a new array: column k of the right is the largest of columns
    centre..k, of the left the smallest of k..centre. No interval between a left and a
    right column gets narrower. O(n m).
    """
    wide = np.array(Q, np.float64)
    right, left = wide[:, centre:], wide[:, centre::-1]
    np.maximum.accumulate(right, axis=1, out=right)
    np.minimum.accumulate(left, axis=1, out=left)
    return wide


@njit
def _pool_adjacent_violators(rows):
    """Replace each row by its isotonic regression."""
    m = rows.shape[1]
    means, counts = np.empty(m), np.empty(m, np.int64)
    for i in range(rows.shape[0]):
        row = rows[i]
        n_blocks = 0
        for t in range(m):
            mean, count = row[t], 1
            # Means of two blocks, not sums: a common offset costs no digits.
            while n_blocks > 0 and means[n_blocks - 1] > mean:
                n_blocks -= 1
                count += counts[n_blocks]
                mean += (means[n_blocks] - mean) * (counts[n_blocks] / count)
            means[n_blocks], counts[n_blocks] = mean, count
            n_blocks += 1
        if n_blocks < m:
            _write_blocks(means, counts, n_blocks, row)


@njit
def _write_blocks(means, counts, n_blocks, row):
    first = 0
    for b in range(n_blocks):
        row[first : first + counts[b]] = means[b]
        first += counts[b]
