"""Losses of all candidates at once: the mean of the picks so far and one member more.

Rows are read once, and every inner loop runs across members along a row of P. `total`
is the sum of the picks, `n_picks` how many there are with the candidate. Accumulators
are float64 whatever P is; P may be a memory map.
"""

import math

import numpy as np

from ._jit import njit

# 16 probabilities of at least 2.2e-16 multiply to far above the smallest float.
PRODUCT_ROWS = 16
# A float64 is (-1)^s 1.mantissa * 2^(exponent - 1023), the exponent from bit 52 on.
MANTISSA = (1 << 52) - 1
ONE = 1023 << 52
LOG_2 = math.log(2.0)
# Losses are summed in spans first: rounding grows with the longer of the two sums.
SPAN_ROWS = 1024
# Most that pairs of classes may take, as a share of P: bags hold two of them at once.
PAIR_SHARE = 0.04


def frozen(array):
    """Return a read-only C-ordered view: one compiled version serves memory maps."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


@njit
def lowest(losses):
    """Return the lowest index among ties: equal columns may differ in the last bit."""
    best = losses.min()
    j = 0
    while losses[j] > best + 1e-12 * abs(best):
        j += 1
    return j


@njit
def squares(gram, square, cross, n_picks, losses):
    """Write mean squares from a residual Gram matrix into losses. O(m).

    square : s'Gs and cross : (m,) Gs, with s the sum of the picks' unit vectors
    """
    for j in range(losses.shape[0]):
        # Rounding may leave a perfect mixture just below 0.
        total = max(square + 2.0 * cross[j] + gram[j, j], 0.0)
        losses[j] = total / n_picks**2


@njit
def logs(base, sign, offset, times, total, n_picks, clip, losses):
    """Write the mean -log of every mixture (total + A_j) / n_picks into losses.

    A_ij = offset_i + sign_i base_ij is the probability of the true class
    times : (n,) int64 >= 0, how often each row counts; empty for once each
    clip : of the mixture, from below; at least 6e-20

    Probabilities are multiplied; every 16 rows the exponent of the product goes to an
    integer, so that one logarithm for each member serves all rows.
    """
    n, m = base.shape
    product, power = np.ones(m), np.zeros(m, np.int64)
    bits = product.view(np.int64)
    floor, scale = clip * n_picks, 1.0 / n_picks
    whole = scale**PRODUCT_ROWS
    n_factors, n_counted = 0, 0
    for i in range(n):
        count = times[i] if times.shape[0] > 0 else 1
        row, before, shift, slope = base[i], total[i], offset[i], sign[i]
        n_counted += count
        for _ in range(count):
            for j in range(m):
                # 1 - p first: it may be small.
                product[j] *= max(before + (shift + slope * row[j]), floor)
            n_factors += 1
            if n_factors == PRODUCT_ROWS:
                for j in range(m):
                    product[j] *= whole
                    power[j] += (bits[j] >> 52) - 1023
                    bits[j] = (bits[j] & MANTISSA) | ONE
                n_factors = 0
    part = scale**n_factors
    for j in range(m):
        losses[j] = -(math.log(product[j] * part) + power[j] * LOG_2) / n_counted


@njit
def weighted_logs(base, sign, offset, weight, total, n_picks, clip, losses):
    """Write the weighted mean -log of every mixture into losses: see `logs`."""
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
def piecewise(P, target, low, high, bend, weight, total, n_picks, losses):
    """Write the weighted mean of a loss of two slopes into losses.

    P : (n, m * d) member-major; target, total : (n, d)
    low, high : (d,) slopes of z = prediction - y below and above 0, low <= 0 <= high
    bend : 0 for a kink at 0; else quadratic up to |z| = bend (Huber)
    """
    n, d = target.shape
    m, scale = losses.shape[0], 1.0 / n_picks
    span = np.empty(m)
    losses[:] = 0.0
    for first in range(0, n, SPAN_ROWS):
        span[:] = 0.0
        for i in range(first, min(first + SPAN_ROWS, n)):
            if weight[i] == 0.0:
                continue
            row, share = P[i], weight[i]
            for k in range(d):
                before, truth = total[i, k], target[i, k]
                down, up = low[k], high[k]
                for j in range(m):
                    z = (before + row[j * d + k]) * scale - truth
                    if bend > 0.0:
                        inside = min(abs(z), bend)
                        span[j] += share * inside * (abs(z) - 0.5 * inside)
                    else:
                        span[j] += share * max(down * z, up * z)
        losses += span
    losses /= weight.sum() * d


@njit
def binary_labels(P, codes, weight, total, threshold, n_picks, hits, predicted):
    """Add the weight of right rows and of rows called class 1 to hits and predicted.

    The label is 1 where the mean of the picks is above threshold
    hits, predicted : (m, 2) float64, of both classes; zeroed here
    """
    n, m = P.shape
    called = np.zeros((2, m))  # by true class: weight of rows called 1
    locked = np.zeros((2, 2))
    cut = threshold * n_picks
    for i in range(n):
        truth = codes[i]
        # Rounded sums are monotone, so these two tests lock a label exactly.
        if total[i] > cut or total[i] + 1.0 <= cut:
            locked[truth, 1 if total[i] > cut else 0] += weight[i]
        else:
            row, before, cost, ones = P[i], total[i], weight[i], called[truth]
            for j in range(m):
                ones[j] += cost if before + row[j] > cut else 0.0
    open_rows = np.zeros(2)
    for i in range(n):
        if not (total[i] > cut or total[i] + 1.0 <= cut):
            open_rows[codes[i]] += weight[i]
    for j in range(m):
        hits[j, 1] = locked[1, 1] + called[1, j]
        hits[j, 0] = locked[0, 0] + (open_rows[0] - called[0, j])
        predicted[j, 1] = hits[j, 1] + locked[0, 1] + called[0, j]
        predicted[j, 0] = hits[j, 0] + locked[1, 0] + (open_rows[1] - called[1, j])


@njit
def contenders(start, reach, found):
    """Write the classes that can come first into found, and return how many.

    start : (K,) sums before the candidate; reach : the most that it can add to one
    Others cannot: rounded sums are monotone.
    """
    most, n_found = start[0], 0
    for k in range(1, start.shape[0]):
        most = max(most, start[k])
    for k in range(start.shape[0]):
        # Written over unless k is one: no branch.
        found[n_found] = k
        n_found += 1 if start[k] + reach >= most else 0
    return n_found


def empty_pairs(P, n_members):
    """Return room for two classes' columns of rows where only those can come first.

    Reading them again costs a fraction of the row. Later rounds ask for few rows, and
    mostly for the same ones.

    Returns the row's place (n,), -1 at first; the classes held (places, 2); the values
    (places, 2, m); and how many places are taken. The last serves rows without one.
    """
    n_outputs = P.shape[1] // n_members
    n_places = int(PAIR_SHARE * len(P) * n_outputs / 2) + 1 if n_outputs > 1 else 1
    values = np.empty((n_places, 2, n_members), P.dtype)
    classes = np.full((n_places, 2), -1, np.int64)
    return np.full(len(P), -1, np.int32), classes, values, np.zeros(1, np.int64)


@njit
def pair_of(i, row, a, b, pairs):
    """Return all members' values of classes a and b in row i, (m,) each."""
    places, classes, values, n_taken = pairs
    place, last = np.int64(places[i]), values.shape[0] - 1
    if place < 0:
        place = n_taken[0]
        if place < last:
            places[i] = place
            n_taken[0] += 1
    found = values[place]
    if place == last or classes[place, 0] != a or classes[place, 1] != b:
        n_outputs = row.shape[0] // found.shape[1]
        for j in range(found.shape[1]):
            found[0, j] = row[j * n_outputs + a]
            found[1, j] = row[j * n_outputs + b]
        classes[place, 0], classes[place, 1] = a, b
    return found[0], found[1]


@njit
def labels(P, codes, weight, total, offsets, n_picks, pairs, hits, predicted):
    """Add up right rows and calls of every candidate by class: see `binary_labels`.

    The label is the first largest of the mean of the picks plus offsets, (K,)
    P : (n, m * K) member-major; total : (n, K); pairs : of P, see `empty_pairs`
    hits, predicted : (m, K)
    """
    n, n_classes = total.shape
    m = hits.shape[0]
    # By true class, class called and candidate: candidates last, for SIMD.
    calls = np.zeros((n_classes, n_classes, m))
    settled, start = np.zeros((n_classes, n_classes)), np.empty(n_classes)
    open_classes = np.empty(n_classes, np.int64)
    for i in range(n):
        cost, row, called = weight[i], P[i], calls[codes[i]]
        for k in range(n_classes):
            start[k] = total[i, k] + offsets[k] * n_picks
        n_open = contenders(start, 1.0, open_classes)
        a, b = open_classes[0], open_classes[1]
        if n_open == 1:
            settled[codes[i], a] += cost
        elif n_open == 2:
            one, other, ahead, behind = called[a], called[b], start[a], start[b]
            first, second = pair_of(i, row, a, b, pairs)
            for j in range(m):
                turned = behind + second[j] > ahead + first[j]
                other[j] += cost if turned else 0.0
                one[j] += 0.0 if turned else cost
        else:
            for j in range(m):
                called[first_of(start, row, j, open_classes, n_open), j] += cost
    for k in range(n_classes):
        for j in range(m):
            hits[j, k] = settled[k, k] + calls[k, k, j]
            predicted[j, k] = settled[:, k].sum() + calls[:, k, j].sum()


@njit
def first_of(start, row, j, open_classes, n_open):
    """Return the class of the first largest sum with candidate j."""
    block = j * start.shape[0]
    first = open_classes[0]
    best = start[first] + row[block + first]
    for a in range(1, n_open):
        k = open_classes[a]
        value = start[k] + row[block + k]
        # No branch: which class leads is hard to guess.
        first = k if value > best else first
        best = max(best, value)
    return first


@njit
def mixed_labels(P, codes, weight, offsets, members, shares, hits, predicted):
    """Add up right rows and calls of mixtures of some members: see `labels`.

    members : (s,) int64; shares : (b, s), their weights in b mixtures
    hits, predicted : (b, K)
    """
    n_classes = offsets.shape[0]
    d = 1 if n_classes == 2 else n_classes
    hits[:] = 0.0
    predicted[:] = 0.0
    # Mixtures last, for SIMD.
    mixed, columns = np.empty((n_classes, len(shares))), shares.T.copy()
    for i in range(codes.shape[0]):
        truth, cost, row = codes[i], weight[i], P[i]
        mixed[:] = 0.0
        for a in range(members.shape[0]):
            for k in range(d):
                value, sums = row[members[a] * d + k], mixed[k]
                for b in range(sums.shape[0]):
                    sums[b] += columns[a, b] * value
        if d == 1:
            mixed[1] = mixed[0]
            mixed[0] = 1.0 - mixed[1]
        for b in range(shares.shape[0]):
            first, best = 0, mixed[0, b] + offsets[0]
            for k in range(1, n_classes):
                if mixed[k, b] + offsets[k] > best:
                    first, best = k, mixed[k, b] + offsets[k]
            predicted[b, first] += cost
            if first == truth:
                hits[b, first] += cost


@njit
def close_calls(P, codes, total, n_picks, pairs, wrong, close):
    """Count wrong rows, and rows whose label rounding could turn, of every candidate.

    P : (n, m * d), d = 1 for two classes; total : (n, d); pairs : see `empty_pairs`
    wrong, close : (m,)
    Other sums of the same numbers may differ by 1e-9 at most: such rows count as close.
    """
    n, d = total.shape
    wrong[:] = 0.0
    close[:] = 0.0
    settled, slack = 0.0, 1e-9 * n_picks
    open_classes = np.empty(d, np.int64)
    for i in range(n):
        row, truth = P[i], codes[i]
        if d == 1:
            close_binary_calls(row, truth, total[i, 0], n_picks, wrong, close)
            continue
        n_open = contenders(total[i], 1.0 + 2.0 * slack, open_classes)
        if n_open == 1:
            settled += 1.0 if open_classes[0] != truth else 0.0
            continue
        if n_open == 2:
            a, b = open_classes[0], open_classes[1]
            first, second = pair_of(i, row, a, b, pairs)
            for j in range(wrong.shape[0]):
                lead = total[i, a] + first[j] - (total[i, b] + second[j])
                near = abs(lead) < slack
                close[j] += 1.0 if near else 0.0
                right = truth == a if lead > 0.0 else truth == b
                wrong[j] += 0.0 if near or right else 1.0
            continue
        for j in range(wrong.shape[0]):
            label = open_classes[0]
            best, other = total[i, label] + row[j * d + label], -np.inf
            for a in range(1, n_open):
                k = open_classes[a]
                value = total[i, k] + row[j * d + k]
                label = k if value > best else label
                other = max(other, min(best, value))
                best = max(best, value)
            if best - other < slack:
                close[j] += 1.0
            elif label != truth:
                wrong[j] += 1.0
    wrong += settled


@njit
def close_binary_calls(row, truth, before, n_picks, wrong, close):
    """Count one row of two classes: see `close_calls`."""
    for j in range(row.shape[0]):
        margin = (before + row[j]) / n_picks - 0.5
        if abs(margin) < 1e-9:
            close[j] += 1.0
        elif (margin > 0.0) != (truth == 1):
            wrong[j] += 1.0
