"""Quadratic programs on the simplex by Wolfe's min-norm-point active set.

Wolfe, "Finding the nearest point in a polytope", Mathematical Programming 1976.

On sum w = 1 adding h to every entry of H moves the objective by a constant, and makes
it positive definite on affinely independent columns: one Cholesky factor of
H[S, S] + h of the support S, extended and cut by single columns, replaces the KKT
system. h bounds w'Hw at the optimum (with c = 0 it is the curvature of the best
vertex); a trace or a maximum would let one member in wrong units ruin the answer.
"""

import math

import numpy as np

from ._jit import njit

EPS = 2.220446049250313e-16
FIRST_CAPACITY = 64


def solve(H, c, tol=1e-12, max_iter=10_000):
    """Minimise 1/2 w'Hw - c'w over w >= 0, sum w = 1.

    H : (m, m) float64, symmetric positive semi-definite
    c : (m,) float64
    tol : stop at gap <= tol * w'Hw + 4 eps h
    Returns weights : (m,) exact zeros off the support, |sum - 1| <= 1e-15;
    gap : g'w - min g over all columns with g = Hw - c, so that the objective is at most
    gap above its minimum (for w'Hw itself the bound is twice the gap); n_iter : int.
    Among equal columns the lowest index takes all.
    O(k m + k^2) per iteration, with k the size of the support and about k iterations.
    """
    H = np.require(H, np.float64, ["C", "W"])
    c = np.require(c, np.float64, ["C", "W"])
    diagonal = H.diagonal()
    best = int(np.argmin(0.5 * diagonal - c))
    # w'Hw <= H_bb + 2 (c'w - c_b) wherever w is no worse than the best vertex b.
    shift = diagonal[best] + 2.0 * (c.max() - c[best])
    # The kernels multiply by `unit` as they read: no scaled copy of H is made.
    unit = _power_of_two_unit(shift)
    shift = max(shift * unit, EPS)
    weights, n_iter, done = _active_set(H, c, unit, best, shift, tol, max_iter)
    weights /= math.fsum(weights)
    gap = _certificate(H, c, unit, weights)
    if not done and n_iter < max_iter:
        polished, extra = _pairwise(
            H, c, unit, weights.copy(), shift, tol, max_iter - n_iter
        )
        polished /= math.fsum(polished)
        polished_gap = _certificate(H, c, unit, polished)
        n_iter += extra
        if polished_gap < gap:
            weights, gap = polished, polished_gap
    return weights, float(gap / unit), n_iter


def _power_of_two_unit(size):
    """Return the power of two that brings size near 1: every bit stays the same."""
    exponent = math.frexp(size)[1]
    return math.ldexp(1.0, -min(max(exponent, -1000), 1000))


def _certificate(H, c, unit, weights):
    """Return the Frank-Wolfe gap over all columns, in scaled units."""
    support = np.flatnonzero(weights)
    gradient = np.empty(weights.shape[0])
    _gradient(H, c, unit, weights, support, gradient)
    return _gap(gradient, weights, support)


@njit
def _gradient(H, c, unit, weights, support, gradient):
    """Write unit (Hw - c) into gradient: recomputed each time, so without drift."""
    for j in range(gradient.shape[0]):
        gradient[j] = -unit * c[j]
    for a in support:
        row, step = H[a], unit * weights[a]
        for j in range(gradient.shape[0]):
            gradient[j] += step * row[j]


@njit
def _gap(gradient, weights, support):
    """Return g'w - min g as a sum of terms >= 0: nothing cancels."""
    lowest = gradient.min()
    gap = 0.0
    for a in support:
        gap += weights[a] * (gradient[a] - lowest)
    return gap


@njit
def _curvature(gradient, c, unit, weights, support):
    """Return unit w'Hw = (g + unit c)'w."""
    total = 0.0
    for a in support:
        total += weights[a] * (gradient[a] + unit * c[a])
    return total


@njit
def _acceptable(H, unit, target, curvature):
    """Return the target plus the gap that rounding of the gradient alone can show."""
    largest = 0.0
    for j in range(H.shape[0]):
        largest = max(largest, H[j, j])
    rounding = math.sqrt(unit * largest) * math.sqrt(max(curvature, 0.0))
    return target + 8.0 * EPS * rounding


@njit
def _entering(gradient, barred):
    """Return the lowest index of the smallest gradient among open columns, or -1."""
    best = -1
    for j in range(gradient.shape[0]):
        if not barred[j] and (best < 0 or gradient[j] < gradient[best]):
            best = j
    return best


@njit
def _grow(factor):
    """Double the room of the factor: its final size is rarely near m."""
    k = factor.shape[0]
    larger = np.empty((2 * k, 2 * k))
    larger[:k, :k] = factor
    return larger


@njit
def _append(factor, size, H, unit, shift, support, j):
    """Extend the Cholesky factor by column j; False if it is affinely dependent."""
    row = factor[size]
    square = diagonal = unit * H[j, j] + shift
    for i in range(size):
        value = unit * H[j, support[i]] + shift
        for k in range(i):
            value -= factor[i, k] * row[k]
        row[i] = value / factor[i, i]
        square -= row[i] * row[i]
    if square <= 1e-15 * diagonal:
        return False
    row[size] = math.sqrt(square)
    support[size] = j
    return True


@njit
def _delete(factor, size, support, r):
    """Remove row r from the factor; Givens rotations restore the triangle."""
    for i in range(r, size - 1):
        support[i] = support[i + 1]
        factor[i, : i + 2] = factor[i + 1, : i + 2]
    for i in range(r, size - 1):
        # Row i now has one entry right of its diagonal: rotate it into the diagonal.
        norm = math.hypot(factor[i, i], factor[i, i + 1])
        cosine, sine = factor[i, i] / norm, factor[i, i + 1] / norm
        factor[i, i] = norm
        for k in range(i + 1, size - 1):
            left, right = factor[k, i], factor[k, i + 1]
            factor[k, i] = cosine * left + sine * right
            factor[k, i + 1] = cosine * right - sine * left


@njit
def _factor_solve(factor, x):
    """Solve LL'x = x in place."""
    size = x.shape[0]
    for i in range(size):
        value = x[i]
        for k in range(i):
            value -= factor[i, k] * x[k]
        x[i] = value / factor[i, i]
    _back_solve(factor, x)


@njit
def _back_solve(factor, x):
    """Solve L'x = x in place."""
    for i in range(x.shape[0] - 1, -1, -1):
        x[i] /= factor[i, i]
        for k in range(i):
            x[k] -= factor[i, k] * x[i]


@njit
def _affine_minimiser(factor, size, c, unit, support):
    """Return the minimiser of the objective on the affine hull of the support."""
    point = np.empty(size)
    for i in range(size):
        point[i] = unit * c[support[i]]
    _factor_solve(factor, point)
    ray = np.ones(size)
    _factor_solve(factor, ray)
    step = (1.0 - point.sum()) / ray.sum()
    for i in range(size):
        point[i] += step * ray[i]
    return point


@njit
def _move(point, support, weights):
    """Move towards point until a weight reaches zero; return the fraction covered."""
    theta = 1.0
    for i in range(point.shape[0]):
        if point[i] <= 0.0:
            way = weights[support[i]] - point[i]
            theta = min(theta, weights[support[i]] / way if way > 0.0 else 0.0)
    for i in range(point.shape[0]):
        a = support[i]
        weights[a] += theta * (point[i] - weights[a])
    return theta


@njit
def _drop_blocked(factor, size, support, weights, point):
    """Delete the columns that reached zero, at least one; return the new size."""
    left = size
    for i in range(size - 1, -1, -1):
        if point[i] <= 0.0 and weights[support[i]] <= 1e-15:
            weights[support[i]] = 0.0
            _delete(factor, left, support, i)
            left -= 1
    if left == size:
        lowest = np.argmin(point)
        weights[support[lowest]] = 0.0
        _delete(factor, left, support, lowest)
        left -= 1
    return left


@njit
def _minor_cycles(factor, size, c, unit, support, weights):
    """Move to the minimiser on the support, dropping what turns negative on the way."""
    while True:
        point = _affine_minimiser(factor, size, c, unit, support)
        if point.min() > 0.0:
            weights[support[:size]] = point
            return size
        _move(point, support, weights)
        size = _drop_blocked(factor, size, support, weights, point)


@njit
def _combination(factor, size):
    """Return z with column j = sum_a z_a column a, sum z = 1, after a failed append."""
    z = factor[size, :size].copy()
    _back_solve(factor, z)
    return z


@njit
def _exchange(factor, size, H, unit, shift, support, weights, j):
    """Move mass to the dependent column j along e_j - z until j is independent.

    The objective is linear on that line, so it falls until a member drops out.
    """
    appended = False
    while not appended:
        point = -_combination(factor, size)
        for i in range(size):
            point[i] += weights[support[i]]
        weights[j] += _move(point, support, weights)
        size = _drop_blocked(factor, size, support, weights, point)
        appended = _append(factor, size, H, unit, shift, support, j)
    return size


@njit
def _active_set(H, c, unit, best, shift, tol, max_iter):
    """Run the major cycles from one vertex; return weights, n_iter, reached."""
    m = c.shape[0]
    weights, gradient = np.zeros(m), np.empty(m)
    support, size = np.empty(m, np.int64), 1
    barred, banned = np.zeros(m, np.bool_), np.zeros(m, np.bool_)
    factor = np.empty((FIRST_CAPACITY, FIRST_CAPACITY))
    weights[best], support[0] = 1.0, best
    factor[0, 0] = math.sqrt(unit * H[best, best] + shift)
    for n_iter in range(1, max_iter + 1):
        active = support[:size]
        _gradient(H, c, unit, weights, active, gradient)
        gap = _gap(gradient, weights, active)
        curvature = _curvature(gradient, c, unit, weights, active)
        target = tol * curvature + 4.0 * EPS * shift
        if gap <= target:
            return weights, n_iter, True
        barred[:] = banned
        barred[active] = True
        j = _entering(gradient, barred)
        if j < 0 or gradient[j] >= gradient.min() + gap:
            break
        if size == factor.shape[0]:
            factor = _grow(factor)
        if not _append(factor, size, H, unit, shift, support, j):
            z = _combination(factor, size)
            fall = np.sum(z * gradient[support[:size]]) - gradient[j]
            if fall <= _acceptable(H, unit, 4.0 * EPS * shift, curvature):
                banned[j] = True
                continue
            size = _exchange(factor, size, H, unit, shift, support, weights, j)
            banned[:] = False
        left = _minor_cycles(factor, size + 1, c, unit, support, weights)
        if left <= size:
            banned[:] = False
            # Thrown out again at once: it would be chosen for ever.
            banned[j] = left == size and weights[j] == 0.0
        size = left
    return weights, n_iter, gap <= _acceptable(H, unit, target, curvature)


@njit
def _pairwise(H, c, unit, weights, shift, tol, max_iter):
    """Pairwise Frank-Wolfe: the last resort when the active set stalls.

    Moves mass from the worst active column to the best one, O(m) per step.
    """
    gradient = np.empty(weights.shape[0])
    _gradient(H, c, unit, weights, np.flatnonzero(weights), gradient)
    for n_iter in range(1, max_iter + 1):
        support = np.flatnonzero(weights)
        gap = _gap(gradient, weights, support)
        curvature = _curvature(gradient, c, unit, weights, support)
        target = tol * curvature + 4.0 * EPS * shift
        if gap <= _acceptable(H, unit, target, curvature):
            return weights, n_iter
        a, j = support[np.argmax(gradient[support])], np.argmin(gradient)
        bend = unit * (H[j, j] - 2.0 * H[j, a] + H[a, a])
        drop = gradient[a] - gradient[j]
        step = weights[a] if bend * weights[a] <= drop else drop / bend
        weights[a] = 0.0 if step == weights[a] else weights[a] - step
        weights[j] += step
        for i in range(weights.shape[0]):
            gradient[i] += unit * step * (H[j, i] - H[a, i])
    return weights, max_iter
