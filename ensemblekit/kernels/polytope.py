"""Vertices of capped simplices, and quadratic programs over polytopes with vertices.

A polytope is known by its linear minimiser, g -> vertex. Minimising over the convex
hull of the vertices met so far is a program on a simplex (`simplex_qp`); the linear
minimiser then finds the vertex that is missing, or proves that none is. This is Wolfe's
method for a polytope whose vertices are too many to list.
"""

import numpy as np

from . import simplex_qp
from ._jit import njit

EPS = 2.220446049250313e-16


@njit
def fill_lowest(order, lower, upper, group, room, total):
    """Minimise g'v over the capped simplex: fill the cheapest members first.

    order : (m,) int, members by ascending g
    lower, upper : (m,) float64, bounds of each weight
    group : (m,) int, -1 for none; room : (n_groups,) float64, cap on each group's sum
    total : sum of all weights
    Greedy is exact because the groups are disjoint (a laminar family). O(m).
    """
    v = lower.copy()
    left = total - lower.sum()
    free = room.copy()
    for j in range(len(lower)):
        if group[j] >= 0:
            free[group[j]] -= lower[j]
    for j in order:
        step = min(upper[j] - lower[j], left)
        if group[j] >= 0:
            step = min(step, free[group[j]])
        if step > 0.0:
            # Exactly on its bound, where it is the bound that stops it.
            v[j] = upper[j] if step == upper[j] - lower[j] else lower[j] + step
            left -= step
            if group[j] >= 0:
                free[group[j]] -= step
    return v


def minimise(vertex, H, c, start, tol=1e-12, max_iter=10_000, enough=0.0):
    """Minimise 1/2 x'Hx - c'x over the polytope whose linear minimiser is `vertex`.

    vertex : g (q,) -> the vertex v (q,) of least g'v
    H : (q, q) float64, symmetric positive semi-definite; c : (q,) float64
    start : (q,) float64, a vertex
    tol, enough : stop at g'(x - v) <= max(enough, tol * x'Hx + rounding)
    Returns x : (q,) float64; n_iter : int, vertices asked for.
    O(q^2) for each vertex and a program on the simplex of the vertices in use.
    """
    corners, images = start[None, :], (H @ start)[None, :]
    largest = np.sqrt(H.diagonal().max())
    n_iter = 0
    while n_iter < max_iter:
        n_iter += 1
        shares, _, _ = simplex_qp.solve(corners @ images.T, corners @ c)
        used = shares > 0.0
        corners, images, shares = corners[used], images[used], shares[used]
        x = shares @ corners
        gradient = H @ x - c
        ahead = vertex(gradient)
        gap = gradient @ (x - ahead)
        curvature = max(x @ H @ x, 0.0)
        rounding = 8.0 * EPS * (largest * np.sqrt(curvature) + abs(c @ x))
        if (
            gap <= max(enough, tol * curvature + rounding)
            or (corners == ahead).all(axis=1).any()
        ):
            break
        corners = np.vstack([corners, ahead])
        images = np.vstack([images, H @ ahead])
    # A bound that all vertices share is met exactly.
    shared = (corners == corners[0]).all(axis=0)
    x[shared] = corners[0, shared]
    return x, n_iter


@njit
def exchange(H, c, owner, x, max_steps):
    """Lower 1/2 x'Hx - c'x by moving weight between two columns of one simplex.

    H : (q, q) float64; c : (q,); owner : (q,) int, ascending: the simplex of a column
    x : (q,) float64 >= 0, changed in place; sums within simplices stay
    The pair of largest difference in slope goes first. O(q) for each step.
    """
    q = x.shape[0]
    gradient = -c.copy()
    for j in range(q):
        if x[j] != 0.0:
            for k in range(q):
                gradient[k] += x[j] * H[j, k]
    for _ in range(max_steps):
        worst, give, take = 0.0, -1, -1
        first = 0
        while first < q:
            last = first
            low, high = first, -1
            while last < q and owner[last] == owner[first]:
                if gradient[last] < gradient[low]:
                    low = last
                if x[last] > 0.0 and (high < 0 or gradient[last] > gradient[high]):
                    high = last
                last += 1
            if gradient[high] - gradient[low] > worst:
                worst, give, take = gradient[high] - gradient[low], high, low
            first = last
        if give < 0:
            return
        bend = H[take, take] - 2.0 * H[take, give] + H[give, give]
        step = x[give] if bend * x[give] <= worst else worst / bend
        x[give] = 0.0 if step == x[give] else x[give] - step
        x[take] += step
        for k in range(q):
            gradient[k] += step * (H[take, k] - H[give, k])
