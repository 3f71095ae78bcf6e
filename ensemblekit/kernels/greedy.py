"""Greedy ensemble selection with replacement.

Caruana et al., "Ensemble selection from libraries of models", ICML 2004.

Every round adds the member that gives the mean of the picks the lowest loss; losses
within 1e-12 (relative) of the lowest tie, and the lowest index wins. Selection stops
early only when the loss reaches 0. Each function returns picks : (n_picks,) int64 and
path : (n_picks,) float64, the loss after each pick, which may rise: cutting at the
best prefix is the caller's.
"""

import math

import numpy as np

from ._jit import njit

# 16 probabilities of at least 2.2e-16 multiply to far above the smallest float.
PRODUCT_ROWS = 16
# Losses are summed in spans first: rounding grows with the longer of the two sums.
SPAN_ROWS = 1024


def select_squared_error(gram, n_rounds):
    """Select on mean squared error, or on any quadratic loss such as the Brier score.

    gram : (m, m) float64, residual Gram matrix in mean form (`gram.residual_gram`)
    n_rounds : int >= 1
    Returns picks, path : as in the module docstring. O(m) per round.
    """
    return _select_squared_error(np.require(gram, np.float64, ["C", "W"]), n_rounds)


def select_log_loss(base, sign, offset, weight, n_rounds, clip):
    """Select on the log loss of the linear pool.

    base, sign, offset : A_ij = offset_i + sign_i base_ij is the probability member j
    gives to the true class of row i, as in `linear_pool`; base is (n, m) and C-ordered
    (another order is copied)
    weight : (n,) float64 >= 0, or empty for equal weights: then one logarithm serves
    16 rows
    n_rounds : int >= 1
    clip : the mixture is clipped from below here; at least 6e-20
    Returns picks, path : as in the module docstring. O(n m) per round.
    """
    arrays = [_frozen(array) for array in (base, sign, offset, weight)]
    return _select_log_loss(*arrays, n_rounds, clip)


def select_zero_one(P, y, weight, n_classes, n_rounds):
    """Select on the weighted error rate of the predicted labels.

    P : (n, m) probabilities of class 1 if n_classes = 2, else (n, m * n_classes)
    member-major blocks; C-ordered (another order is copied)
    y : (n,) int64 class codes; weight : (n,) float64 >= 0
    The label is class 1 where the picked probabilities sum to more than half the
    number of picks; with more classes the first with the largest sum.
    Returns picks, path : as in the module docstring. At most O(n m n_classes) per
    round: rows whose label no member can change are counted once.
    """
    arrays = [_frozen(array) for array in (P, y, weight)]
    if n_classes == 2:
        return _select_zero_one_binary(*arrays, n_rounds)
    return _select_zero_one_multiclass(*arrays, n_classes, n_rounds)


def _frozen(array):
    """Return a read-only C-ordered view: one compiled version serves memory maps."""
    frozen = np.ascontiguousarray(array).view()
    frozen.flags.writeable = False
    return frozen


@njit
def _lowest(losses):
    """Return the lowest index among ties: equal columns may differ in the last bit."""
    lowest = losses.min()
    j = 0
    while losses[j] > lowest + 1e-12 * abs(lowest):
        j += 1
    return j


@njit
def _select_squared_error(gram, n_rounds):
    picks, path = np.empty(n_rounds, np.int64), np.empty(n_rounds)
    square, cross = 0.0, np.zeros(gram.shape[0])  # |s|^2 and <s, r_j>, s = sum of picks
    losses = np.empty(gram.shape[0])
    for t in range(n_rounds):
        for j in range(gram.shape[0]):
            # Rounding may leave a perfect mixture just below 0.
            total = max(square + 2.0 * cross[j] + gram[j, j], 0.0)
            losses[j] = total / (t + 1) ** 2
        pick = _lowest(losses)
        picks[t], path[t] = pick, losses[pick]
        if path[t] == 0.0:
            return picks[: t + 1], path[: t + 1]
        square += 2.0 * cross[pick] + gram[pick, pick]
        cross += gram[pick]
    return picks, path


@njit
def _select_log_loss(base, sign, offset, weight, n_rounds, clip):
    n, m = base.shape
    picks, path = np.empty(n_rounds, np.int64), np.empty(n_rounds)
    total, losses = np.zeros(n), np.empty(m)
    for t in range(n_rounds):
        if weight.shape[0] == 0:
            _log_losses(base, sign, offset, total, t + 1, clip, losses)
        else:
            _weighted_log_losses(base, sign, offset, weight, total, t + 1, clip, losses)
        pick = _lowest(losses)
        picks[t], path[t] = pick, losses[pick]
        if path[t] <= 0.0:
            return picks[: t + 1], path[: t + 1]
        for i in range(n):
            total[i] += offset[i] + sign[i] * base[i, pick]
    return picks, path


@njit
def _log_losses(base, sign, offset, total, n_picks, clip, losses):
    """Write mean -log((total + A_j) / n_picks) of every candidate j into losses.

    The inner loop runs across members, along a row of base.
    """
    n, m = base.shape
    product, span = np.empty(m), np.empty(m)
    floor = clip * n_picks
    losses[:] = 0.0
    for first in range(0, n, SPAN_ROWS):
        last = min(first + SPAN_ROWS, n)
        span[:] = 0.0
        for start in range(first, last, PRODUCT_ROWS):
            stop = min(start + PRODUCT_ROWS, last)
            product[:] = (1.0 / n_picks) ** (stop - start)
            for i in range(start, stop):
                row, before, shift, slope = base[i], total[i], offset[i], sign[i]
                for j in range(m):
                    product[j] *= max(before + (shift + slope * row[j]), floor)
            for j in range(m):
                span[j] -= math.log(product[j])
        losses += span
    losses /= n


@njit
def _weighted_log_losses(base, sign, offset, weight, total, n_picks, clip, losses):
    """Write the weighted mean -log((total + A_j) / n_picks) into losses."""
    n, m = base.shape
    span, scale = np.empty(m), 1.0 / n_picks
    losses[:] = 0.0
    for first in range(0, n, SPAN_ROWS):
        span[:] = 0.0
        for i in range(first, min(first + SPAN_ROWS, n)):
            if weight[i] > 0.0:
                row, before, shift, slope = base[i], total[i], offset[i], sign[i]
                for j in range(m):
                    mixture = (before + (shift + slope * row[j])) * scale
                    span[j] -= weight[i] * math.log(max(mixture, clip))
        losses += span
    losses /= weight.sum()


@njit
def _select_zero_one_binary(P, y, weight, n_rounds):
    n, m = P.shape
    picks, path = np.empty(n_rounds, np.int64), np.empty(n_rounds)
    total, wrong = np.zeros(n), np.empty(m)
    for t in range(n_rounds):
        half, locked = 0.5 * (t + 1), 0.0
        wrong[:] = 0.0
        for i in range(n):
            # Rounded sums are monotone, so these two tests lock a label exactly.
            if total[i] > half or total[i] + 1.0 <= half:
                locked += weight[i] * ((total[i] > half) != (y[i] == 1))
            else:
                row, before, cost, truth = P[i], total[i], weight[i], y[i] == 1
                for j in range(m):
                    wrong[j] += cost if (before + row[j] > half) != truth else 0.0
        pick = _lowest(wrong + locked)
        picks[t], path[t] = pick, (wrong[pick] + locked) / weight.sum()
        if path[t] == 0.0:
            return picks[: t + 1], path[: t + 1]
        for i in range(n):
            total[i] += P[i, pick]
    return picks, path


@njit
def _select_zero_one_multiclass(P, y, weight, n_classes, n_rounds):
    n, m = P.shape[0], P.shape[1] // n_classes
    picks, path = np.empty(n_rounds, np.int64), np.empty(n_rounds)
    total, wrong = np.zeros((n, n_classes)), np.empty(m)
    for t in range(n_rounds):
        locked = 0.0
        wrong[:] = 0.0
        for i in range(n):
            if _is_locked(total[i]):
                locked += weight[i] * (np.argmax(total[i]) != y[i])
            else:
                _count_wrong(total[i], P[i], y[i], weight[i], wrong)
        pick = _lowest(wrong + locked)
        picks[t], path[t] = pick, (wrong[pick] + locked) / weight.sum()
        if path[t] == 0.0:
            return picks[: t + 1], path[: t + 1]
        for i in range(n):
            for k in range(n_classes):
                total[i, k] += P[i, pick * n_classes + k]
    return picks, path


@njit
def _is_locked(total):
    """Return whether no probabilities in [0, 1] can move the first place of total."""
    top = np.argmax(total)
    for k in range(total.shape[0]):
        if k != top and total[k] + 1.0 >= total[top]:
            return False
    return True


@njit
def _count_wrong(total, row, truth, cost, wrong):
    """Add cost to every candidate whose label is not the truth."""
    n_classes = total.shape[0]
    for j in range(wrong.shape[0]):
        top, best = 0, total[0] + row[j * n_classes]
        for k in range(1, n_classes):
            value = total[k] + row[j * n_classes + k]
            if value > best:
                top, best = k, value
        if top != truth:
            wrong[j] += cost
