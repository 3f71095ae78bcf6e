"""Continuous ranked probability score (CRPS) of a linear pool of weighted atoms.

Gneiting, Raftery, "Strictly proper scoring rules, prediction, and estimation", 2007.

A member predicts d atoms with probabilities `masses`: draws, or quantiles. Its
distribution function F_j is a step function, that of the pool is F_w = sum_j w_j F_j,
and on sum w = 1 the CRPS, the integral of (F_w(z) - 1{y <= z})^2, is w'Hw with H the
Gram matrix of F_j - 1{y <= z}: no linear term.

Below y both factors are F >= 0, above y both are F - 1 <= 0: every entry of H is a sum
of terms >= 0, in which nothing cancels.
"""

import numpy as np

from ._jit import njit

EPS = 2.220446049250313e-16
BLOCK_ATOMS = 2**17


def pool_gram(P, y, weight, masses):
    """Return H with w'Hw = weighted mean CRPS of the pool of weights w, sum w = 1.

    P : (n, m * d) real, member-major blocks of d atoms in any order, any memory order
    y : (n,) float64
    weight : (n,) float64 >= 0, or None for equal weights
    masses : (d,) float64 >= 0, sum 1, the probability of each atom of a member
    Returns H : (m, m) float64, exactly symmetric; H[j, j] is the CRPS of member j.
    O(n m d (m + log(m d))) in one streaming read; scratch of a few MB beside H.
    """
    m = P.shape[1] // len(masses)
    owner = np.repeat(np.arange(m), len(masses))
    mass = np.tile(np.asarray(masses, np.float64), m)
    weight = np.ones(len(P)) if weight is None else np.asarray(weight, np.float64)
    share = weight / np.sum(weight)
    gram = np.zeros((m, m))
    for rows in _row_blocks(len(P), P.shape[1]):
        # The subtraction is in float64 whatever P is: a float32 one loses the offset.
        errors = np.subtract(P[rows], y[rows, None], dtype=np.float64, order="C")
        order = np.argsort(errors, axis=1)
        block = np.zeros((m, m))  # a sum of its own: rounding grows with its length
        _add_rows(errors, order, owner, mass, share[rows], block)
        gram += block
    # Entry (k, j) is summed over the atoms of k, entry (j, k) over those of j.
    return 0.5 * (gram + gram.T)


def pool_quantiles(P, weights, masses, levels):
    """Return the quantiles of the pool: the smallest atom z with F_w(z) >= level.

    P, masses : as in `pool_gram`
    weights : (m,) float64 >= 0, sum 1; members of weight 0 are not read
    levels : (n_levels,) float64 in (0, 1), ascending
    Returns quantiles : (n, n_levels) float64, each of them an atom of its row.
    O(n k d log(k d)) for k members with weight.
    """
    members, d = np.flatnonzero(weights), len(masses)
    columns = (members[:, None] * d + np.arange(d)).ravel()
    mass = np.outer(weights[members], masses).ravel()
    quantiles = np.empty((len(P), len(levels)))
    for rows in _row_blocks(len(P), len(columns)):
        atoms = np.asarray(P[rows][:, columns], np.float64, order="C")
        order = np.argsort(atoms, axis=1)
        _invert(atoms, order, mass, np.array(levels, np.float64), quantiles[rows])
    return quantiles


def _row_blocks(n, n_columns):
    """Yield slices of rows that hold about `BLOCK_ATOMS` atoms."""
    size = int(np.clip(BLOCK_ATOMS // n_columns, 1, 4096))
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


@njit
def _add_rows(errors, order, owner, mass, share, gram):
    """Add the Gram matrices of a block of rows, each times its share, to gram."""
    n_columns = errors.shape[1]
    tail, area = np.zeros(gram.shape[0]), np.empty(gram.shape[0])
    before = np.empty(n_columns)
    for i in range(errors.shape[0]):
        if share[i] > 0.0:
            row, ranks = errors[i], order[i]
            below, above = 0, n_columns - 1
            while below < n_columns and row[ranks[below]] < 0.0:
                below += 1
            while above >= below and row[ranks[above]] > 0.0:
                above -= 1
            scratch = tail, area, before
            left, right = (0, below, 1), (n_columns - 1, above, -1)
            _add_side(row, ranks, left, owner, mass, share[i], scratch, gram)
            _add_side(row, ranks, right, owner, mass, share[i], scratch, gram)


@njit
def _add_side(row, ranks, side, owner, mass, share, scratch, gram):
    """Add one side of y: its range (first, stop, step) of ranks runs towards y.

    With tail_j(t) the mass of member j beyond distance t from y, and area_j its
    integral from 0 to t, the integral of tail_j tail_k is the sum of mass * area_j over
    the atoms of k: a row of gram for each atom.
    """
    tail, area, before = scratch
    first, stop, step = side
    # Tails are summed from outside, not subtracted from 1: far out they are small.
    for e in range(first, stop, step):
        k = owner[ranks[e]]
        before[e] = tail[k]
        tail[k] += mass[ranks[e]]
    area[:] = 0.0
    reached = 0.0
    for e in range(stop - step, first - step, -step):
        a = ranks[e]
        distance = abs(row[a])
        length, factor = distance - reached, share * mass[a]
        target = gram[owner[a]]
        for j in range(area.shape[0]):
            area[j] += length * tail[j]
            target[j] += factor * area[j]
        tail[owner[a]] = before[e]
        reached = distance


@njit
def _invert(atoms, order, mass, levels, quantiles):
    """Write the generalised inverse of each row's distribution into quantiles."""
    last = atoms.shape[1] - 1
    rounding = EPS * atoms.shape[1]  # of a sum of that many masses
    for i in range(atoms.shape[0]):
        e, below = 0, mass[order[i, 0]]
        for q in range(levels.shape[0]):
            while e < last and below < levels[q] - rounding:
                e += 1
                below += mass[order[i, e]]
            quantiles[i, q] = atoms[i, order[i, e]]
