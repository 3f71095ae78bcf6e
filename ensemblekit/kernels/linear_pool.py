"""Quantiles of the linear pool of members that give quantiles.

Stone, "The opinion pool", Annals of Mathematical Statistics 32, 1961.

The distribution function of a member joins its (quantile, level) pairs by straight
lines, and extends the first and the last line to the levels 0 and 1. Equal quantiles
are a jump; a member of one level is a jump from 0 to 1. The pool is the weighted mean
of these functions: straight between any two neighbouring knots of its members, so that
it is inverted exactly.
"""

import numpy as np

from ._jit import njit

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
    O(n k m (k + log(k m))); a few MB beside the result.
    """
    members, m = np.flatnonzero(weights), len(levels)
    columns = (members[:, None] * m + np.arange(m)).ravel()
    knots = np.concatenate([[0.0], levels, [1.0]])
    quantiles = np.empty((len(P), len(wanted)))
    size = int(np.clip(BLOCK_KNOTS // (len(members) * len(knots)), 1, 4096))
    for start in range(0, len(P), size):
        rows = slice(start, min(start + size, len(P)))
        values = _add_tails(P[rows][:, columns], levels)
        # Stable: equal knots of a member have to come in the order of their levels.
        order = np.argsort(values, axis=1, kind="stable")
        _invert(values, order, weights[members], knots, wanted, quantiles[rows])
    return quantiles


def _add_tails(P, levels):
    """Return the knots of all members: their quantiles from level 0 to level 1."""
    inner = np.asarray(P, np.float64).reshape(len(P), -1, len(levels))
    values = np.empty((*inner.shape[:2], len(levels) + 2))
    values[:, :, 1:-1] = inner
    values[:, :, 0], values[:, :, -1] = inner[:, :, 0], inner[:, :, -1]
    if len(levels) > 1:
        low = levels[0] / (levels[1] - levels[0])
        high = (1.0 - levels[-1]) / (levels[-1] - levels[-2])
        values[:, :, 0] -= low * (inner[:, :, 1] - inner[:, :, 0])
        values[:, :, -1] += high * (inner[:, :, -1] - inner[:, :, -2])
    return values.reshape(len(P), -1)


@njit
def _invert(values, order, weights, knots, wanted, quantiles):
    """Write the inverse of each row's pooled distribution into quantiles."""
    k = weights.shape[0]
    pieces = np.empty((4, k))
    for i in range(values.shape[0]):
        row, ranks = values[i], order[i]
        total = _present_weight(row, weights, knots.shape[0])
        rounding = 4.0 * EPS * k * total
        pieces[:3], pieces[3] = 0.0, 1.0
        e, q = 0, 0
        before, below = row[ranks[0]], 0.0
        while q < wanted.shape[0]:
            z = row[ranks[e]]
            reached = _mix(pieces, z)
            while q < wanted.shape[0] and wanted[q] * total <= reached + rounding:
                level = wanted[q] * total
                quantiles[i, q] = z
                if level < reached - rounding:
                    share = (level - below) / (reached - below)
                    quantiles[i, q] = min(before + share * (z - before), z)
                q += 1
            while e < ranks.shape[0] and row[ranks[e]] == z:
                _pass_knot(row, ranks[e], weights, knots, pieces)
                e += 1
            before, below = z, _mix(pieces, z)
            while q < wanted.shape[0] and wanted[q] * total <= below + rounding:
                quantiles[i, q] = z
                q += 1


@njit
def _present_weight(row, weights, n_knots):
    total = 0.0
    for j in range(weights.shape[0]):
        if not np.isnan(row[j * n_knots]):
            total += weights[j]
    return total


@njit
def _mix(pieces, z):
    """Return the pooled distribution function at z, from the piece of each member."""
    # Each member's term is fresh: slopes that are added up and taken off again would
    # leave the rounding of the steepest behind.
    mixed = 0.0
    for j in range(pieces.shape[1]):
        mixed += pieces[0, j] + pieces[1, j] * ((z - pieces[2, j]) / pieces[3, j])
    return mixed


@njit
def _pass_knot(row, knot, weights, knots, pieces):
    """Set the piece of a member behind one of its knots: level, mass, start, width."""
    n_knots = knots.shape[0]
    j, t = knot // n_knots, knot % n_knots
    pieces[0, j], pieces[2, j] = weights[j] * knots[t], row[knot]
    pieces[1, j], pieces[3, j] = 0.0, 1.0
    if t + 1 < n_knots and row[knot + 1] > row[knot]:
        pieces[1, j] = weights[j] * (knots[t + 1] - knots[t])
        pieces[3, j] = row[knot + 1] - row[knot]
