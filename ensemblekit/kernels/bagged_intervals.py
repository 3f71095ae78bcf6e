"""Bounds of jackknife+-after-bootstrap: each row averages the bags it is not in.

Kim, Xu, Barber, "Predictive inference is free with the jackknife+-after-bootstrap",
NeurIPS 2020.

Every calibration row has an average of its own, so there are no lists to shift: rows
are streamed, a few at a time, and no matrix of all pairs is formed.
"""

import numpy as np

from ._jit import njit

MEAN, MEDIAN = 0, 1

# Rows whose averages are formed together, so that `outside` is read once for them.
_BLOCK = 8
# From so many values on, a sample finds the few between which the wanted one lies.
_SAMPLED = 500


def average_outside(predictions, outside, average):
    """Return each row's average over the bags that it is not in.

    predictions : (n, n_bags) float64; outside : (n, n_bags) bool, some in each row
    average : MEAN or MEDIAN
    Returns (n,) float64. O(n n_bags), for medians with a sort of each row.
    """
    averages = np.empty(len(predictions))
    _average_each(predictions, outside, average, averages)
    return averages


def bagged_bounds(predictions, outside, scores, low_rank, high_rank, average):
    """Return the bounds of each new row.

    predictions : (n_rows, n_bags) float64
    outside : (n, n_bags) bool, some in each row
    scores : (n,) float64, no NaN; +inf is legal
    low_rank, high_rank : int, ranks among ``v - scores`` and ``v + scores``, where v
    are the averages of a new row without each calibration row's bags
    average : MEAN or MEDIAN
    Returns (n_rows, 2) float64, infinite where a rank is beyond the ends.
    O(n n_bags) per row, O(n) memory besides `outside` and the result.
    """
    bounds = np.empty((len(predictions), 2))
    by_bag = np.ascontiguousarray(outside.T)
    _bound_rows(predictions, by_bag, scores, low_rank, high_rank, average, bounds)
    return bounds


@njit
def _average_each(predictions, outside, average, averages):
    n, n_bags = predictions.shape
    kept = np.empty(n_bags)
    for i in range(n):
        total, count = 0.0, 0
        for b in range(n_bags):
            if outside[i, b]:
                total += predictions[i, b]
                kept[count] = predictions[i, b]
                count += 1
        if average == MEDIAN:
            own = np.sort(kept[:count])
            averages[i] = 0.5 * (own[(count - 1) // 2] + own[count // 2])
        else:
            averages[i] = total / count


@njit
def _bound_rows(predictions, by_bag, scores, low_rank, high_rank, average, bounds):
    n = scores.shape[0]
    averages, shifted, scratch = np.empty((_BLOCK, n)), np.empty(n), np.empty(n)
    for first in range(0, len(predictions), _BLOCK):
        stop = min(first + _BLOCK, len(predictions))
        block = averages[: stop - first]
        _average_rows(predictions[first:stop], by_bag, average, block)
        for row in range(first, stop):
            own = block[row - first]
            bounds[row, 0], bounds[row, 1] = -np.inf, np.inf
            if low_rank >= 1:
                shifted[:] = own - scores
                bounds[row, 0] = _kth(shifted, low_rank - 1, scratch)
            if high_rank <= n:
                shifted[:] = own + scores
                bounds[row, 1] = _kth(shifted, high_rank - 1, scratch)


@njit
def _average_rows(predictions, by_bag, average, averages):
    """Write averages (n_rows, n) of predictions (n_rows, n_bags) outside the bags."""
    if average == MEDIAN:
        for row in range(len(predictions)):
            _medians(predictions[row], by_bag, averages[row])
    else:
        _means(predictions, by_bag, averages)


@njit
def _means(predictions, by_bag, averages):
    n_bags, n = by_bag.shape
    counts = np.zeros(n)
    averages[:] = 0.0
    for b in range(n_bags):
        outside = by_bag[b]
        counts += outside
        for row in range(len(predictions)):
            value, sums = predictions[row, b], averages[row]
            for i in range(n):
                sums[i] += value * outside[i]
    for row in range(len(predictions)):
        averages[row] /= counts


@njit
def _medians(values, by_bag, medians):
    """Walk each calibration row's bags in the order of their predictions."""
    n_bags, n = by_bag.shape
    order = np.argsort(values)
    for i in range(n):
        left = 0
        for b in range(n_bags):
            left += by_bag[b, i]
        before = (left - 1) // 2  # values below the lower one of the middle
        position, middle = -1, 0.0
        while before >= 0:
            position += 1
            before -= by_bag[order[position], i]
        middle = values[order[position]]
        if left % 2 == 0:
            position += 1
            while not by_bag[order[position], i]:
                position += 1
            middle = 0.5 * (middle + values[order[position]])
        medians[i] = middle


@njit
def _kth(values, k, scratch):
    """Return the k-th smallest, from 0; may reorder the values.

    As Floyd and Rivest's selection: two values of a sample enclose the wanted one, all
    but surely; one pass without branches counts and gathers. Exact in any case.
    """
    n = len(values)
    if n < _SAMPLED:
        return quickselect(values, k)
    step = int(n ** (1.0 / 3.0))
    size = (n + step - 1) // step
    share = k / n
    slack = 2.5 * np.sqrt(size * share * (1.0 - share)) + 1.0
    sample = scratch[:size]
    sample[:] = values[::step]
    low, high = -np.inf, np.inf
    if share * size >= slack:
        low = quickselect(sample, int(share * size - slack))
    if share * size + slack < size:
        high = quickselect(sample, int(share * size + slack))
    below, count = 0, 0
    for value in values:
        scratch[count] = value
        below += value < low
        count += (value >= low) & (value <= high)
    if below <= k < below + count:
        return quickselect(scratch[:count], k - below)
    return quickselect(values, k)


@njit
def quickselect(values, k):
    """Return the k-th smallest, from 0; reorders the values (Hoare)."""
    low, high = 0, len(values) - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return values[k]
