"""Hill climbing: the loss of every step of every member, in one pass over the rows.

A step w moves the mixture to (1 - w) * current + w * member. Each function returns
losses : (n_candidates, n_steps) float64, the weighted mean loss after the step. Only
`rows` are read, in their order: those left out have no weight.
"""

import math

import numpy as np

from ._jit import njit

# 16 probabilities of at least 2.2e-16 multiply to far above the smallest float.
PRODUCT_ROWS = 16
# Steps of a grid that are tried on each side of the best step.
AROUND = 2
# Probabilities that lead by more have a label that rounding cannot change.
MARGIN = 1e-9
# Codes of the table of losses.
ABSOLUTE_ERROR, HUBER, PINBALL, LOG_LOSS, BRIER, ZERO_ONE = 1, 2, 3, 4, 5, 6


def squared_losses(square, cross, squares, steps):
    """Return the mean squares after each step, from products of residuals.

    square : float, <r, r> of the current residual r
    cross, squares : (n_candidates,) float64, <r, r_j> and <r_j, r_j>
    steps : (1, n_steps) or (n_candidates, 1) float64
    """
    stay, cross, squares = 1.0 - steps, cross[:, None], squares[:, None]
    total = stay * stay * square + 2.0 * steps * stay * cross + steps * steps * squares
    return np.maximum(total, 0.0)  # rounding may leave a perfect mixture just below 0


def squared_line(square, cross, squares, low, high):
    """Return the step in [low, high] of least mean square, (n_candidates, 1) float64.

    The mean square is a parabola in w of curvature |r - r_j|^2.
    """
    curvature = square - 2.0 * cross + squares
    with np.errstate(divide="ignore", invalid="ignore"):
        best = (square - cross) / curvature
    return np.clip(np.where(curvature > 0.0, best, 0.0), low, high)[:, None]


def value_losses(code, P, members, current, y, rows, weight, steps, parameter):
    """Return losses that need one number of each row.

    code : ABSOLUTE_ERROR, HUBER, PINBALL; or BRIER, ZERO_ONE of two classes, whose
    mixture is clipped to [0, 1]
    P : (n, m); members : (n_candidates,) int64 columns of P; y : (n,) float64
    current : (n,) float64; rows : (n_rows,) int64; weight : (n,) float64
    parameter : delta of HUBER, level of PINBALL
    """
    arrays = [_frozen(array) for array in (P, members, current, y, rows, weight, steps)]
    return _value_losses(code, *arrays, float(parameter))


def log_losses(base, sign, offset, members, current, rows, weight, steps, clip):
    """Return log losses of mixtures of true-class probabilities.

    base, sign, offset : as in `layout.true_class`; current : (n,) float64, the current
    mixture's probabilities of the true class
    rows : (n_rows,) int64; equal weights one after the other share logarithms
    clip : probabilities are clipped to [clip, 1] here
    Steps that cannot be the best of an ascending grid in (0, 1) are not computed: inf.
    """
    arrays = (base, sign, offset, members, current, rows, weight, steps)
    return _log_losses(*[_frozen(array) for array in arrays], clip)


def log_line(base, sign, offset, members, current, rows, weight, high, clip):
    """Return the step in [0, high] of least log loss, (n_candidates, 1) float64.

    Arguments as in `log_losses`. Newton's method on a convex function, inside a
    bracket; 0 where no step down exists.
    """
    arrays = (base, sign, offset, members, current, rows, weight)
    return _log_line(*[_frozen(array) for array in arrays], high, clip)[:, None]


def class_losses(code, P, n_classes, members, current, y, rows, weight, steps, clip):
    """Return losses of K > 2 classes whose mixture is clipped to [0, 1] first.

    code : ZERO_ONE, or LOG_LOSS and BRIER of the clipped rows divided by their sums
    P : (n, m * n_classes); y : (n,) int64 codes; current : (n, n_classes), not clipped
    """
    arrays = [_frozen(array) for array in (P, members, current, y, rows, weight, steps)]
    return _class_losses(code, n_classes, *arrays, clip)


def auc_losses(P, members, current, y, rows, weight, steps):
    """Return 1 - ROC AUC of two classes; the mixture is clipped to [0, 1].

    y : (n,) int64 codes. Equal weights sort one integer a row: the bits of the value
    and, as the lowest bit, the label. Others sort positions.
    """
    equal = bool((weight[rows] == weight[rows[0]]).all())
    truth, cost, now = y[rows].astype(np.uint64), weight[rows], current[rows]
    losses = np.empty((len(members), len(steps)))
    for a, member in enumerate(members):
        column = P[rows, member].astype(np.float64)
        clip = steps.min() < 0.0 or min(now.min(), column.min()) < 0.0
        for k, step in enumerate(steps):
            mixture = (1.0 - step) * now + step * column
            if clip:
                mixture = np.clip(mixture, 0.0, 1.0)
            mixture += 0.0  # turns -0.0 into 0.0, whose bits differ
            losses[a, k] = one_minus_auc(mixture, truth, None if equal else cost)
    return losses


def one_minus_auc(values, y, weight):
    """Return 1 - ROC AUC of `values` in [0, 2), without -0.0; no weight: equal ones.

    y : (n,) integer codes, at best uint64
    """
    if weight is None:
        # Below 2 the top bit is free, and bits of floats >= 0 are in their order.
        keys = (values.view(np.uint64) << np.uint64(1)) | y.astype(
            np.uint64, copy=False
        )
        keys.sort()
        return _sorted_keys_loss(keys)
    order = np.argsort(values, kind="stable")
    return _sorted_loss(values[order], y[order], weight[order])


def _frozen(array):
    """Return a read-only C-ordered view: one compiled version serves memory maps."""
    frozen = np.ascontiguousarray(array).view()
    frozen.flags.writeable = False
    return frozen


@njit
def _value_losses(code, P, members, current, y, rows, weight, steps, parameter):
    losses = np.zeros((members.shape[0], steps.shape[0]))
    stay, total = 1.0 - steps, 0.0
    for i in rows:
        total += weight[i]
    for a in range(members.shape[0]):
        sums, j = losses[a], members[a]
        for i in rows:
            if code == ABSOLUTE_ERROR:
                _add_absolute(sums, current[i], P[i, j], y[i], weight[i], stay, steps)
            elif code == HUBER:
                _add_huber(
                    sums, current[i], P[i, j], y[i], weight[i], stay, steps, parameter
                )
            elif code == PINBALL:
                _add_pinball(
                    sums, current[i], P[i, j], y[i], weight[i], stay, steps, parameter
                )
            elif code == BRIER:
                _add_brier(sums, current[i], P[i, j], y[i], weight[i], stay, steps)
            else:
                _add_error(sums, current[i], P[i, j], y[i], weight[i], stay, steps)
    return losses / total


@njit
def _between(steps):
    """Return whether every mixture lies between current and member."""
    return steps.min() >= 0.0 and steps.max() <= 1.0


@njit
def _add_absolute(sums, now, p, y, weight, stay, steps):
    for k in range(steps.shape[0]):
        sums[k] += weight * abs(y - (stay[k] * now + steps[k] * p))


@njit
def _add_huber(sums, now, p, y, weight, stay, steps, delta):
    for k in range(steps.shape[0]):
        error = abs(y - (stay[k] * now + steps[k] * p))
        inside = min(error, delta)
        sums[k] += weight * (inside * (error - 0.5 * inside))


@njit
def _add_pinball(sums, now, p, y, weight, stay, steps, level):
    for k in range(steps.shape[0]):
        error = y - (stay[k] * now + steps[k] * p)
        sums[k] += weight * max(level * error, (level - 1.0) * error)


@njit
def _add_brier(sums, now, p, y, weight, stay, steps):
    for k in range(steps.shape[0]):
        error = min(max(stay[k] * now + steps[k] * p, 0.0), 1.0) - y
        sums[k] += weight * (error * error)


@njit
def _add_error(sums, now, p, y, weight, stay, steps):
    truth = y == 1.0
    for k in range(steps.shape[0]):
        mixture = stay[k] * now + steps[k] * p
        sums[k] += weight if (mixture > 0.5) != truth else 0.0


@njit
def _log_losses(base, sign, offset, members, current, rows, weight, steps, clip):
    losses = np.full((members.shape[0], steps.shape[0]), np.inf)
    now, cost, member = current[rows], weight[rows], np.empty(rows.shape[0])
    total = 0.0
    for value in cost:
        total += value
    for a in range(members.shape[0]):
        for i in range(rows.shape[0]):
            row = rows[i]
            member[i] = offset[row] + sign[row] * base[row, members[a]]
        first, last = _candidates(now, member, cost, steps, clip)
        losses[a, first:last] = 0.0
        _add_log_losses(
            losses[a, first:last], now, member, cost, steps[first:last], clip
        )
    return losses / total


@njit
def _candidates(now, member, cost, steps, clip):
    """Return first, last: the least loss of a grid is among steps[first:last].

    Where nothing is clipped the loss is convex, and Newton's method finds about where.
    """
    n_steps, low, high = steps.shape[0], steps[0], steps[-1]
    if n_steps <= 2 * AROUND or low <= 0.0 or high >= 1.0:
        return 0, n_steps
    for i in range(now.shape[0]):
        # From the first step to the last, the mixture is no less than this.
        if max((1.0 - high) * now[i], low * member[i]) < clip:
            return 0, n_steps
    best = _newton_step(now, member, cost, low, high, clip, 0.1 * low)
    nearest = int(np.searchsorted(steps, best))
    return max(nearest - AROUND, 0), min(nearest + AROUND, n_steps)


@njit
def _add_log_losses(sums, now, member, cost, steps, clip):
    n, n_steps, first = now.shape[0], steps.shape[0], 0
    stay, product = 1.0 - steps, np.ones(n_steps)
    while first < n:
        last = first
        product[:] = 1.0
        while last < n and last < first + PRODUCT_ROWS and cost[last] == cost[first]:
            for k in range(n_steps):
                mixture = stay[k] * now[last] + steps[k] * member[last]
                product[k] *= min(max(mixture, clip), 1.0)
            last += 1
        for k in range(n_steps):
            sums[k] -= cost[first] * math.log(product[k])
        first = last


@njit
def _log_line(base, sign, offset, members, current, rows, weight, high, clip):
    steps = np.zeros(members.shape[0])
    now, cost, member = current[rows], weight[rows], np.empty(rows.shape[0])
    for a in range(members.shape[0]):
        for i in range(rows.shape[0]):
            row = rows[i]
            member[i] = offset[row] + sign[row] * base[row, members[a]]
        steps[a] = _newton_step(now, member, cost, 0.0, high, clip, 1e-12)
    return steps


@njit
def _newton_step(now, member, weight, low, high, clip, tol):
    """Return the w in [low, high] at which the log loss of the mixture is least."""
    if _slopes(now, member, weight, low, clip)[0] >= 0.0:
        return low
    if _slopes(now, member, weight, high, clip)[0] <= 0.0:
        return high
    left, right, step = low, high, 0.5 * (low + high)
    for _ in range(60):
        slope, curvature = _slopes(now, member, weight, step, clip)
        if slope < 0.0:
            left = step
        else:
            right = step
        before = step
        step = step - slope / curvature if curvature > 0.0 else left
        if not left < step < right:
            step = 0.5 * (left + right)
        if abs(step - before) <= tol:
            break
    return step


@njit
def _slopes(now, member, weight, step, clip):
    """Return the first and second derivative of the summed log loss at a step."""
    slope, curvature = 0.0, 0.0
    for i in range(now.shape[0]):
        mixture = max((1.0 - step) * now[i] + step * member[i], clip)
        ratio = (member[i] - now[i]) / mixture
        slope -= weight[i] * ratio
        curvature += weight[i] * ratio * ratio
    return slope, curvature


@njit
def _class_losses(code, n_classes, P, members, current, y, rows, weight, steps, clip):
    losses = np.zeros((members.shape[0], steps.shape[0]))
    mixture, total = np.empty(n_classes), 0.0
    labels = code == ZERO_ONE and _between(steps)
    for i in rows:
        total += weight[i]
    for a in range(members.shape[0]):
        for i in rows:
            first = members[a] * n_classes
            row = P[i, first : first + n_classes]
            if labels and _lead(current[i]) == _lead(row) >= 0:
                losses[a] += weight[i] if _lead(row) != y[i] else 0.0
                continue
            for k in range(steps.shape[0]):
                for c in range(n_classes):
                    value = (1.0 - steps[k]) * current[i, c] + steps[k] * row[c]
                    mixture[c] = min(max(value, 0.0), 1.0)
                losses[a, k] += weight[i] * _row_loss(code, mixture, y[i], clip)
    return losses / total


@njit
def _lead(probabilities):
    """Return the class that leads by more than rounding can change, or -1."""
    top = np.argmax(probabilities)
    for c in range(probabilities.shape[0]):
        if c != top and probabilities[c] > probabilities[top] - MARGIN:
            return -1
    return top


@njit
def _row_loss(code, clipped, truth, clip):
    """Return one row's loss of class probabilities that need not sum to 1 yet."""
    if code == ZERO_ONE:
        return 0.0 if np.argmax(clipped) == truth else 1.0
    total = clipped.sum()
    if code == LOG_LOSS:
        return -math.log(max(clipped[truth] / total, clip))
    loss = 0.0
    for c in range(clipped.shape[0]):
        loss += (clipped[c] / total - (c == truth)) ** 2
    return loss


@njit
def _sorted_keys_loss(keys):
    """Return 1 - AUC of sorted keys (bits of the value, label), counted in integers."""
    n, start = keys.shape[0], 0
    negatives = positives = twice = np.int64(0)
    while start < n:
        value, stop = keys[start] >> np.uint64(1), start
        run_positives = np.int64(0)
        while stop < n and keys[stop] >> np.uint64(1) == value:
            run_positives += np.int64(keys[stop] & np.uint64(1))
            stop += 1
        run_negatives = stop - start - run_positives
        # Pairs in the wrong order count 2, pairs of equal values 1.
        twice += run_negatives * (2 * positives + run_positives)
        positives, negatives = positives + run_positives, negatives + run_negatives
        start = stop
    return twice / (2.0 * positives * negatives)


@njit
def _sorted_loss(values, y, weight):
    """Return 1 - AUC of sorted values with weights."""
    n, start = values.shape[0], 0
    negatives, positives, twice = 0.0, 0.0, 0.0
    while start < n:
        run_positives, run_negatives, stop = 0.0, 0.0, start
        while stop < n and values[stop] == values[start]:
            if y[stop] == 1:
                run_positives += weight[stop]
            else:
                run_negatives += weight[stop]
            stop += 1
        twice += run_negatives * (2.0 * positives + run_positives)
        positives, negatives = positives + run_positives, negatives + run_negatives
        start = stop
    return twice / (2.0 * positives * negatives)
