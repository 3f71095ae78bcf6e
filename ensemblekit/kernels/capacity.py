"""Rashomon capacity: bits by which members tell classes apart on one row.

Hsu, Calmon, "Rashomon Capacity: A Metric for Predictive Multiplicity in
Classification", NeurIPS 2022. A row's members are the inputs of a channel, their
probabilities its rows; the capacity is the largest mutual information of member and
class over all weightings of the members.
"""

import math

import numpy as np

from ._jit import njit

_LEAST = 1e-290  # a weight this small can still grow back
_LN2 = math.log(2.0)


@njit
def binary_capacity(P, members):
    """Return the capacity in bits of members that give the probability of class 1.

    P : (n, m) float64 or float32
    members : (k,) int64, columns that take part, k >= 1
    Returns capacity : (n,) float64 in [0, 1], absolute error below 1e-15
            clean : bool, whether all that was read is in [0, 1] and not NaN. O(n k).
    """
    capacity, clean = np.empty(P.shape[0]), True
    for i in range(P.shape[0]):
        low, high = np.inf, -np.inf
        for m in members:
            p = P[i, m]
            if p < low:
                low = p
            if p > high:
                high = p
            if not p <= 1.0:  # NaN is seen here only
                clean = False
        if not low >= 0.0:
            clean = False
        # Those between are mixtures of the ends and get no weight.
        capacity[i] = _of_two(float(low), float(high))
    return capacity, clean


@njit
def _of_two(a, b):
    """Return the capacity in bits of two members, 0 <= a <= b <= 1.

    The textbook form log(1 + exp(..)) cancels for b near a, and turns negative; the
    divergence from the best mixture r does not: r is inside [a, b] whatever L lost.
    """
    a, b = max(a, 0.0), min(b, 1.0)
    if a >= b:
        return 0.0
    slope = (_entropy(a) - _entropy(b)) / (b - a)
    r = a if slope < -700.0 else 1.0 / (1.0 + math.exp(-slope))
    r = min(max(r, a), b)
    return max(0.0, max(_divergence(a, r), _divergence(b, r))) / _LN2


@njit
def _entropy(p):
    """Return the entropy in nats of the probabilities p and 1 - p."""
    nats = 0.0
    if p > 0.0:
        nats -= p * math.log(p)
    if p < 1.0:
        nats -= (1.0 - p) * math.log1p(-p)
    return nats


@njit
def _divergence(p, r):
    """Return D(p || r) in nats; an r that rounds to 0 or 1 is as good as p."""
    nats = 0.0
    if p > 0.0 and r > 0.0:
        nats += p * math.log(p / r)
    if p < 1.0 and r < 1.0:
        nats += (1.0 - p) * math.log((1.0 - p) / (1.0 - r))
    return nats


@njit
def blahut_arimoto(P, members, n_outputs, tol, max_iter):
    """Return lower and upper bounds of the capacity in bits for K classes.

    P : (n, m * n_outputs) real, member-major probabilities
    members : (k,) int64, members that take part, k >= 1
    tol : float, a row is done when its bounds are this close
    max_iter : int, a row is given up then; its bounds hold all the same
    Returns bounds : (n, 2) float64. O(n k n_outputs max_iter).
    """
    bounds = np.empty((P.shape[0], 2))
    W = np.empty((len(members), n_outputs))
    for i in range(P.shape[0]):
        for a in range(len(members)):
            first, total = members[a] * n_outputs, 0.0
            for c in range(n_outputs):
                W[a, c] = max(float(P[i, first + c]), 0.0)
                total += W[a, c]
            W[a] /= total
        bounds[i, 0], bounds[i, 1] = _one_row(W, tol, max_iter)
    return bounds


@njit
def _one_row(W, tol, max_iter):
    """Blahut-Arimoto with steps longer than 1 as long as the lower bound rises.

    Both bounds hold for any weights pi and r = pi W: with D_m = D(W_m || r) in bits,
    log2 sum_m pi_m 2^D_m <= C <= max_m D_m.
    """
    n_members = len(W)
    negentropy = _negative_entropies(W)
    pi = np.full(n_members, 1.0 / n_members)
    best_pi = pi.copy()
    nats = np.empty(n_members)
    best_nats = nats.copy()
    low, high, step = -1.0, np.inf, 1.0
    for _ in range(max_iter):
        _divergences(W, negentropy, pi, nats)
        # Shifted by the largest: sums of exponents do not overflow.
        top = nats.max()
        value = top + math.log((pi * np.exp(nats - top)).sum())
        high = min(high, top)
        if value >= low:
            low, step = value, 1.5 * step
            best_pi[:], best_nats[:] = pi, nats
        else:
            step = 1.0
        if high - low <= tol * _LN2:
            break
        pi[:] = np.maximum(
            best_pi * np.exp(step * (best_nats - best_nats.max())), _LEAST
        )
        pi /= pi.sum()
    low = max(low, 0.0)
    return low / _LN2, max(high, low) / _LN2


@njit
def _negative_entropies(W):
    """Return sum_c W log W of each row, 0 log 0 = 0."""
    sums = np.zeros(len(W))
    for a in range(W.shape[0]):
        for c in range(W.shape[1]):
            if W[a, c] > 0.0:
                sums[a] += W[a, c] * math.log(W[a, c])
    return sums


@njit
def _divergences(W, negentropy, pi, nats):
    """Write D(W_m || pi W) in nats for each member."""
    log_mixture = np.empty(W.shape[1])
    for c in range(W.shape[1]):
        total = 0.0
        for a in range(W.shape[0]):
            total += pi[a] * W[a, c]
        # A class that no member knows: its product with 0 must be 0, not NaN.
        log_mixture[c] = math.log(max(total, _LEAST))
    for a in range(W.shape[0]):
        cross = 0.0
        for c in range(W.shape[1]):
            cross += W[a, c] * log_mixture[c]
        nats[a] = negentropy[a] - cross
