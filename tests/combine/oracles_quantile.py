"""Quantile weights by linear programming, and losses written as their definition."""

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, eye_array, hstack, vstack


def pinball(y, q, levels, weight=None):
    """Mean pinball loss of quantiles q (n, m) over rows and levels."""
    total, mass = 0.0, 0.0
    weight = np.ones(len(y)) if weight is None else weight
    for i, target in enumerate(y):
        for t, tau in enumerate(levels):
            u = target - q[i, t]
            total += weight[i] * max(tau * u, (tau - 1.0) * u) / len(levels)
        mass += weight[i]
    return total / mass


def columns(cube, kind, band):
    """The columns that may be mixed at each level: lists of (member, level)."""
    p, _, m = cube.shape
    if kind == "coarse":
        return None
    reach = band if kind == "fine" else 0
    return [
        [(j, s) for j in range(p) for s in range(m) if abs(s - t) <= reach]
        for t in range(m)
    ]


def least_loss(cube, y, levels, weight, kind, band=1, crossing=0.0):
    """The least mean pinball loss (plus crossing penalty), and weights (p, m, m).

    One linear program for all levels: HiGHS.
    """
    p, n, m = cube.shape
    weight = np.ones(n) if weight is None else weight
    share = weight / weight.sum()
    sets = columns(cube, kind, band)
    if sets is None:
        blocks = [cube[:, :, t].T for t in range(m)]
        spread = vstack([coo_array(block) for block in blocks])
        sums = coo_array(np.ones((1, p)))
        offsets = [0] * m
    else:
        blocks = [np.array([cube[j, :, s] for j, s in own]).T for own in sets]
        sizes = [len(own) for own in sets]
        offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]]).tolist()
        parts, ones = [], []
        for t, block in enumerate(blocks):
            before, after = offsets[t], sum(sizes) - offsets[t] - sizes[t]
            parts.append(
                np.hstack([np.zeros((n, before)), block, np.zeros((n, after))])
            )
            row = np.zeros(sum(sizes))
            row[offsets[t] : offsets[t] + sizes[t]] = 1.0
            ones.append(row)
        spread, sums = coo_array(np.vstack(parts)), coo_array(np.array(ones))
    q, size = spread.shape[1], n * m
    over = np.concatenate([share * (1 - tau) / m for tau in levels])
    under = np.concatenate([share * tau / m for tau in levels])
    # spread w - over + under = y; pairs: lower - higher <= excess.
    A = hstack([spread, -eye_array(size), eye_array(size)])
    cost = np.concatenate([np.zeros(q), over, under])
    upper = None
    if crossing:
        pairs = [(a, b) for a in range(m) for b in range(a + 1, m)]
        dense = spread.toarray()
        lines = [
            dense[a * n : (a + 1) * n] - dense[b * n : (b + 1) * n] for a, b in pairs
        ]
        count = n * len(pairs)
        upper = hstack(
            [
                coo_array(np.vstack(lines)),
                coo_array((count, 2 * size)),
                -eye_array(count),
            ]
        )
        A = hstack([A, coo_array((size, count))])
        price = np.tile(crossing * share / len(pairs), len(pairs))
        cost = np.concatenate([cost, price])
    A = vstack([A, hstack([sums, coo_array((sums.shape[0], A.shape[1] - q))])])
    result = linprog(
        cost,
        A_eq=A.tocsr(),
        b_eq=np.concatenate([np.tile(y, m), np.ones(sums.shape[0])]),
        A_ub=None if upper is None else upper.tocsr(),
        b_ub=None if upper is None else np.zeros(upper.shape[0]),
        bounds=(0, None),
        method="highs",
        options={
            "primal_feasibility_tolerance": 1e-10,
            "dual_feasibility_tolerance": 1e-10,
        },
    )
    assert result.status == 0
    return result.fun, result.x[:q]


def renormalised(cube, weights, present):
    """Mixture of the members present, row by row and level by level."""
    _, n, m = cube.shape
    mixture = np.empty((n, m))
    for i in range(n):
        here = np.flatnonzero(present[i])
        for t in range(m):
            if weights.ndim == 1:
                own, values = weights[here], cube[here, i, t]
            elif weights.ndim == 2:
                own, values = weights[here, t], cube[here, i, t]
            else:
                own, values = weights[here, :, t].ravel(), cube[here, i].ravel()
            if own.sum() > 0:
                mixture[i, t] = own @ values / own.sum()
            else:
                mixture[i, t] = cube[here, i, t].mean()
    return mixture
