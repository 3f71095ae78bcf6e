"""Losses of many mixtures of the same members, given by counts, in one call."""

import math

import numpy as np

from ._jit import njit


def log_losses(base, sign, offset, weight, counts, clip):
    """Return the log losses of the mixtures with weights counts / counts.sum().

    base, sign, offset : offset_i + sign_i base_ij is the probability member j gives to
    the true class of row i; base is (n, m) and C-ordered (another order is copied)
    weight : (n,) float64 >= 0, or empty for equal weights: then one logarithm serves
    16 rows
    counts : (b, m) int, >= 0, no row all zero
    clip : mixtures are clipped from below here; at least 6e-20
    Returns losses : (b,) float64. O(n) for each member that a row of counts has.
    """
    arrays = [_frozen(array) for array in (base, sign, offset, weight)]
    used = np.flatnonzero(counts.any(axis=0))
    shares = np.ascontiguousarray(counts[:, used] / counts.sum(axis=1, keepdims=True))
    return _log_losses(*arrays, used, shares, clip)


def quadratic_losses(gram, counts):
    """Return w'Gw, w = counts / counts.sum(), for every row of counts.

    gram : (m, m) float64, mean residual Gram matrix
    counts : (b, m) int, >= 0, no row all zero
    Returns losses : (b,) float64. O(s**2) for a row with s members.
    """
    return _quadratic_losses(_frozen(gram), _frozen(counts))


def _frozen(array):
    """Return a read-only C-ordered view: one compiled version serves memory maps."""
    frozen = np.ascontiguousarray(array).view()
    frozen.flags.writeable = False
    return frozen


@njit
def _log_losses(base, sign, offset, weight, used, shares, clip):
    n, n_used = base.shape[0], used.shape[0]
    # The members' true-class probabilities of some rows, transposed, stay in cache.
    lanes = min(64, max(8, 8192 // n_used), (n + 15) // 16)
    span = 16 * lanes
    # Rows of a power of two bytes would all share few places of the cache.
    tile, mixture = np.empty((n_used, span + 8)), np.empty(span)
    product, losses = np.empty(lanes), np.zeros(shares.shape[0])
    equal = weight.shape[0] == 0
    for first in range(0, n, span):
        n_rows = min(span, n - first)
        _fill(base, sign, offset, used, first, n_rows, tile)
        for b in range(shares.shape[0]):
            _mix(tile, shares[b], n_rows, clip, mixture)
            if equal:
                losses[b] -= _sum_of_logs(mixture, product)
            else:
                losses[b] -= _weighted_logs(mixture, weight[first : first + n_rows])
    return losses / (n if equal else weight.sum())


@njit
def _fill(base, sign, offset, used, first, n_rows, tile):
    for i in range(n_rows):
        row, slope, shift = base[first + i], sign[first + i], offset[first + i]
        for t in range(used.shape[0]):
            tile[t, i] = shift + slope * row[used[t]]


@njit
def _mix(tile, shares, n_rows, clip, mixture):
    """Write the mixtures of the tile's rows, and ones behind them."""
    mixture[:n_rows] = 0.0
    for t in range(shares.shape[0]):
        share = shares[t]
        if share > 0.0:
            member = tile[t]
            for i in range(n_rows):
                mixture[i] += share * member[i]
    for i in range(n_rows):
        mixture[i] = max(mixture[i], clip)
    mixture[n_rows:] = 1.0


@njit
def _sum_of_logs(mixture, product):
    """Return the sum of the logarithms: one for 16 factors, side by side."""
    lanes = product.shape[0]
    product[:] = 1.0
    for first in range(0, mixture.shape[0], lanes):
        for lane in range(lanes):
            product[lane] *= mixture[first + lane]
    total = 0.0
    for lane in range(lanes):
        total += math.log(product[lane])
    return total


@njit
def _weighted_logs(mixture, weight):
    total = 0.0
    for i in range(weight.shape[0]):
        if weight[i] > 0.0:
            total += weight[i] * math.log(mixture[i])
    return total


@njit
def _quadratic_losses(gram, counts):
    losses = np.empty(counts.shape[0])
    for b in range(counts.shape[0]):
        members = np.flatnonzero(counts[b])
        total, square = 0.0, 0.0
        for a in range(members.shape[0]):
            i = members[a]
            total += counts[b, i]
            cross = 0.5 * counts[b, i] * gram[i, i]
            for c in range(a):
                cross += counts[b, members[c]] * gram[i, members[c]]
            square += 2.0 * counts[b, i] * cross
        # Rounding may leave a perfect mixture just below 0.
        losses[b] = max(square / total**2, 0.0)
    return losses
