"""Quantiles of the linear pool of members that give quantiles.

Stone, "The opinion pool", Annals of Mathematical Statistics 32, 1961.

The distribution function of a member joins its (quantile, level) pairs by straight
lines, and extends the first and the last line to the levels 0 and 1. Equal quantiles
are a jump; a member of one level is a jump from 0 to 1. The pool is the weighted mean
of these functions: straight between any two neighbouring knots of its members, so that
it is inverted exactly.
"""

import numpy as np

from ._jit import njit, njit_sums

EPS = 2.220446049250313e-16
BLOCK_KNOTS = 2**17


def pool_quantiles(P, weights, levels, wanted):
    """Return the quantiles of the pool: the smallest z with F(z) >= level.

    P : (n, k * m) real, member-major blocks of m ascending quantiles; a block of NaN in
        a row is left out there, and the others' weights divided by their sum
    weights : (k,) float64 >= 0, positive for a member present in each row
    levels : (m,) float64 in (0, 1), ascending
    wanted : (n_wanted,) float64 in (0, 1), ascending
    Returns quantiles : (n, n_wanted) float64, ascending along each row.
    O(n k (k m + n_wanted)); a few MB beside the result.
    """
    members, m = np.flatnonzero(weights), len(levels)
    columns = (members[:, None] * m + np.arange(m)).ravel()
    knots = np.concatenate([[0.0], levels, [1.0]])
    quantiles = np.empty((len(P), len(wanted)))
    size = int(np.clip(BLOCK_KNOTS // (len(members) * len(knots)), 1, 4096))
    for start in range(0, len(P), size):
        rows = slice(start, min(start + size, len(P)))
        values = _add_tails(P[rows][:, columns], levels)
        _invert(values, weights[members], knots, wanted, quantiles[rows])
    return quantiles


def _add_tails(P, levels):
    """Return the knots of each member, (n, k, m + 2): quantiles of levels 0 to 1."""
    inner = np.asarray(P, np.float64).reshape(len(P), -1, len(levels))
    values = np.empty((*inner.shape[:2], len(levels) + 2))
    values[:, :, 1:-1] = inner
    values[:, :, 0], values[:, :, -1] = inner[:, :, 0], inner[:, :, -1]
    if len(levels) > 1:
        low = levels[0] / (levels[1] - levels[0])
        high = (1.0 - levels[-1]) / (levels[-1] - levels[-2])
        values[:, :, 0] -= low * (inner[:, :, 1] - inner[:, :, 0])
        values[:, :, -1] += high * (inner[:, :, -1] - inner[:, :, -2])
    return values


@njit
def _invert(values, weights, knots, wanted, quantiles):
    """Write the inverse of each row's pooled distribution into quantiles."""
    k = weights.shape[0]
    pieces, heads, passed = np.empty((3, k)), np.empty(k), np.empty(k, np.int64)
    for i in range(values.shape[0]):
        row, q = values[i], 0
        total = _start(row, weights, pieces, heads, passed)
        rounding = 4.0 * EPS * k * total
        before = z = heads.min()
        while q < wanted.shape[0] and z < np.inf:
            reached = _mix(pieces, z)
            while q < wanted.shape[0] and wanted[q] * total <= reached + rounding:
                level, below = wanted[q] * total, _mix(pieces, before)
                quantiles[i, q] = z
                if level <= below + rounding:
                    quantiles[i, q] = before  # within its jump
                elif level < reached - rounding:
                    share = (level - below) / (reached - below)
                    quantiles[i, q] = min(before + share * (z - before), z)
                q += 1
            before = z
            z = _pass_knots(row, z, weights, knots, pieces, heads, passed)
        quantiles[i, q:] = before


@njit
def _start(row, weights, pieces, heads, passed):
    """Go before the first knot of the members present; return their weight."""
    total = 0.0
    pieces[:], passed[:] = 0.0, 0
    for j in range(weights.shape[0]):
        heads[j] = row[j, 0]
        if np.isnan(row[j, 0]):
            heads[j] = np.inf
        else:
            total += weights[j]
    return total


@njit_sums
def _mix(pieces, z):
    """Return the pooled distribution function at z, on the present pieces."""
    # Each member's term is fresh: rates that are added up and taken off again would
    # leave the rounding of the steepest behind.
    mixed = 0.0
    for j in range(pieces.shape[1]):
        mixed += pieces[0, j] + pieces[1, j] * (z - pieces[2, j])
    return mixed


@njit
def _pass_knots(row, z, weights, knots, pieces, heads, passed):
    """Set level, rate and start of the pieces behind knots at z; return the next."""
    nearest = np.inf
    for j in range(heads.shape[0]):
        if heads[j] == z:
            t = passed[j]
            while t + 1 < knots.shape[0] and row[j, t + 1] == z:
                t += 1
            passed[j], heads[j] = t + 1, np.inf
            pieces[0, j], pieces[1, j], pieces[2, j] = weights[j] * knots[t], 0.0, z
            if t + 1 < knots.shape[0]:
                heads[j] = row[j, t + 1]
                rate = weights[j] * (knots[t + 1] - knots[t]) / (heads[j] - z)
                if rate < np.inf:  # else a jump: a product with it may be NaN
                    pieces[1, j] = rate
        if heads[j] < nearest:
            nearest = heads[j]
    return nearest
