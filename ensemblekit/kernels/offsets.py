"""Decision offsets: predict argmax_k (E_k + b_k), b chosen for a metric of labels.

Such a metric is a function of three counts per class: rows predicted right (hits), rows
predicted in the class, rows truly of the class. While one b_k grows, row i moves to
class k as b_k passes its breakpoint t_i = max_{l != k} (E_il + b_l) - E_ik, so one sort
of the breakpoints and one sweep score every value of b_k that can differ: n + 1 cuts.
"""

import math

import numpy as np

from ._jit import njit

# All up to F1_WEIGHTED are sums over classes; the last two are not.
ACCURACY, BALANCED, F1, F1_MACRO, F1_WEIGHTED, MCC, KAPPA = range(7)

# Metrics closer than this are equal: running sums of weights leave rounding behind.
TIE = 1e-12
# A share of all rows below this is what rounding leaves of an empty class.
_EMPTY = 1e-13
# Breakpoints closer than this, relative to the values compared, move together: between
# them rounding would decide who has passed.
_ROUNDING = 64 * np.finfo(np.float64).eps


def best_offsets(E, codes, weight, metric_code, max_passes=10):
    """Maximise a metric by offsets, one class at a time.

    E : (n, K) scores, such as probabilities; codes : (n,) int64 true classes
    weight : (n,) >= 0; rows of weight 0 change nothing
    metric_code : ACCURACY .. KAPPA
    Returns offsets : (K,) float64, offsets[0] = 0. With two classes the optimum; with
    more, no change of one offset improves them, unless max_passes ran out. Never worse
    than offsets of 0, which ties keep; of other ties the smallest offset wins, midway
    between its breakpoints. O(n K + n log n) for each class and pass.
    """
    E, codes, weight = compact(E, codes, weight)
    true = np.bincount(codes, weight, minlength=E.shape[1])
    largest = np.abs(E).max()

    def value(offsets):
        return _value(metric_code, *_count(E, offsets, codes, weight), true)

    def move(offsets, k):
        t, rivals = _breakpoints(E, offsets, k)
        order = np.argsort(t)
        rows = t, order, rivals, codes, weight
        scores = _sweep(metric_code, *rows, true, k, _tolerance(largest, offsets))
        return _smallest_best(scores, t[order])

    return ascend(value, move, E.shape[1], max_passes)


def ascend(value, move, n_classes, max_passes):
    """Improve one class's offset after the other until none improves the value.

    value : offsets -> float; move : offsets, k -> proposed offset of class k
    Returns offsets : (n_classes,) float64, the first 0.
    """
    offsets = np.zeros(n_classes)
    best = value(offsets)
    # To move class 0 is to move all others; with two classes that is the same.
    cycle = [1] if n_classes == 2 else [*range(1, n_classes), 0]
    idle = 0
    for step in range(max_passes * len(cycle)):
        k = cycle[step % len(cycle)]
        trial = offsets.copy()
        trial[k] = move(offsets, k)
        trial -= trial[0]
        # Labels are counted anew: what was promised has to be there.
        found = value(trial)
        idle += 1
        if found > best + TIE:
            offsets, best, idle = trial, found, 1
        if idle == len(cycle):
            break
    return offsets


def compact(E, codes, weight):
    """Return the rows with weight, C-ordered in float64, weights scaled to add up to 1.

    The scale is a power of 2, so that sums of integer weights stay exact.
    """
    rows = weight > 0
    if not rows.all():
        E, codes, weight = E[rows], codes[rows], weight[rows]
    _, exponent = math.frexp(weight.sum())
    weight = np.ldexp(np.asarray(weight, np.float64), -exponent)
    return np.ascontiguousarray(E, np.float64), codes.astype(np.int64), weight


def cuts(E, offsets, k):
    """Return every value of offsets[k] that gives other labels, ascending.

    Between each two breakpoints their middle, and one beyond either end.
    """
    t = np.sort(_breakpoints(E, offsets, k)[0])
    apart = np.diff(t) > _tolerance(np.abs(E).max(), offsets)
    places = np.concatenate([[0], 1 + np.flatnonzero(apart), [len(t)]])
    return np.array([_offset_at(t, place) for place in places])


def metric_values(hits, predicted, true, metric_code):
    """Compute a metric of each row of counts.

    hits, predicted, true : (r, K) float64
    Returns values : (r,) float64.
    """
    return _values(metric_code, hits, predicted, true)


def _tolerance(largest, offsets):
    return _ROUNDING * (max(1.0, largest) + np.abs(offsets).max())


@njit
def _breakpoints(E, offsets, k):
    """Return t : (n,), row i is in class k if b_k > t_i, and its class otherwise."""
    n, n_classes = E.shape
    t, rivals = np.empty(n), np.empty(n, np.int64)
    first = 1 if k == 0 else 0
    for i in range(n):
        rival, best = first, E[i, first] + offsets[first]
        for j in range(first + 1, n_classes):
            if j != k and E[i, j] + offsets[j] > best:
                rival, best = j, E[i, j] + offsets[j]
        t[i], rivals[i] = best - E[i, k], rival
    return t, rivals


@njit
def _count(E, offsets, codes, weight):
    n, n_classes = E.shape
    hits, predicted = np.zeros(n_classes), np.zeros(n_classes)
    for i in range(n):
        label = _label(E[i], offsets)
        predicted[label] += weight[i]
        if label == codes[i]:
            hits[label] += weight[i]
    return hits, predicted


@njit
def _label(row, offsets):
    """Return argmax_k (row_k + offsets_k), the first of equal ones."""
    label, best = 0, row[0] + offsets[0]
    for k in range(1, row.shape[0]):
        if row[k] + offsets[k] > best:
            label, best = k, row[k] + offsets[k]
    return label


@njit
def _sweep(metric, t, order, rivals, codes, weight, true, k, tolerance):
    """Score every cut: scores[r] is the metric with the r lowest rows in class k.

    -inf where breakpoints are too close for a cut between them.
    """
    n = t.shape[0]
    scores = np.full(n + 1, -np.inf)
    hits, predicted = np.zeros(true.shape[0]), np.zeros(true.shape[0])
    for i in range(n):
        predicted[rivals[i]] += weight[i]
        if rivals[i] == codes[i]:
            hits[rivals[i]] += weight[i]
    scores[0] = _value(metric, hits, predicted, true)
    # Of a sum only two summands change at a row; the sum is kept.
    is_sum = metric <= F1_WEIGHTED and (metric != F1_MACRO or true.min() > 0.0)
    divisor = _divisor(metric, predicted, true)
    total, summands = 0.0, np.empty(true.shape[0])
    for j in range(true.shape[0]):
        summands[j] = _summand(metric, j, hits[j], predicted[j], true[j])
        total += summands[j]
    for r in range(n):
        i = order[r]
        rival, w = rivals[i], weight[i]
        predicted[rival] -= w
        predicted[k] += w
        hits[rival] -= w if codes[i] == rival else 0.0
        hits[k] += w if codes[i] == k else 0.0
        if is_sum:
            left = _summand(metric, rival, hits[rival], predicted[rival], true[rival])
            joined = _summand(metric, k, hits[k], predicted[k], true[k])
            total += (left - summands[rival]) + (joined - summands[k])
            summands[rival], summands[k] = left, joined
        if r == n - 1 or t[order[r + 1]] - t[i] > tolerance:
            if is_sum:
                scores[r + 1] = total / divisor
            else:
                scores[r + 1] = _value(metric, hits, predicted, true)
    return scores


@njit
def _smallest_best(scores, t):
    """Return the offset of the best cut, the smallest of equal ones; t ascending."""
    enough = scores.max() - TIE
    best = np.inf
    for cut in range(scores.shape[0]):
        if scores[cut] >= enough:
            offset = _offset_at(t, cut)
            if abs(offset) < abs(best):
                best = offset
    return best


@njit
def _offset_at(t, cut):
    """Return the middle between t[cut - 1] and t[cut].

    Before the first and after the last it is as far as the middle on their other side.
    """
    n = t.shape[0]
    if 0 < cut < n:
        return 0.5 * (t[cut - 1] + t[cut])
    end = t[0] if cut == 0 else t[n - 1]
    gap = 0.5
    for r in range(1, n):
        step = t[r] - t[0] if cut == 0 else t[n - 1] - t[n - 1 - r]
        if step > 1e-9:
            gap = 0.5 * step
            break
    return end - gap if cut == 0 else end + gap


@njit
def _values(metric, hits, predicted, true):
    values = np.empty(hits.shape[0])
    for r in range(hits.shape[0]):
        values[r] = _value(metric, hits[r], predicted[r], true[r])
    return values


@njit
def _value(metric, hits, predicted, true):
    if metric >= MCC:
        return _agreement(metric, hits, predicted, true)
    total = 0.0
    for k in range(true.shape[0]):
        total += _summand(metric, k, hits[k], predicted[k], true[k])
    return total / _divisor(metric, predicted, true)


@njit
def _summand(metric, k, hits, predicted, true):
    """Return what class k adds to the metric, before the division."""
    if metric == ACCURACY:
        return hits
    if metric == BALANCED:
        return hits / true if true > 0.0 else 0.0
    if metric == F1 and k != 1:
        return 0.0
    # Where a class is neither true nor predicted its F1 is 0, or not counted.
    size = predicted + true
    f1 = 2.0 * hits / size if size > 0.0 else 0.0
    return f1 * true if metric == F1_WEIGHTED else f1


@njit
def _divisor(metric, predicted, true):
    if metric == F1:
        return 1.0
    total = true.sum()
    if metric in (ACCURACY, F1_WEIGHTED):
        return total
    present = 0.0
    for k in range(true.shape[0]):
        rows = true[k] if metric == BALANCED else predicted[k] + true[k]
        present += rows > _EMPTY * total
    return present


@njit
def _agreement(metric, hits, predicted, true):
    """Return Matthews' correlation or Cohen's kappa; 0 where either is 0 / 0."""
    total, right = 0.0, 0.0  # true.sum() would take longer than all of this
    for k in range(true.shape[0]):
        total += true[k]
        right += hits[k]
    scale = 1.0 / total
    chance, predicted_rest, true_rest = 0.0, 0.0, 0.0
    for k in range(true.shape[0]):
        p, q = predicted[k] * scale, true[k] * scale
        chance += p * q
        predicted_rest += p * (1.0 - p)
        true_rest += q * (1.0 - q)
    beyond = right * scale - chance
    if metric == KAPPA:
        return beyond / (1.0 - chance) if 1.0 - chance > _EMPTY else 0.0
    if predicted_rest <= _EMPTY or true_rest <= _EMPTY:
        return 0.0
    return beyond / math.sqrt(predicted_rest * true_rest)
