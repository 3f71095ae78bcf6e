"""Huber's loss with a ridge, by Newton steps along a path of penalties."""

import numpy as np

_MAX_NEWTON = 200
_ENOUGH = 1e-4  # share of the promised fall that a step has to give


def huber_fit(design, z, share, delta, penalty, theta, curvature, tol):
    """Minimise share @ huber(z - D theta) + 1/2 theta' penalty theta.

    design : rows D, with `product`, `pull`, `gram` and `take_rows`
    z, share : (n_rows,), share >= 0; delta : > 0; penalty : (q, q)
    theta : (q,), start; curvature : None, or that of an earlier fit of the same rows
    tol : relative gap at which to stop
    Returns theta, residuals z - D theta of all rows, curvature, objective, gap. For a
    positive definite penalty gap is an upper bound on what the objective can still
    fall: with gradient g it is 1/2 g' penalty^-1 g.
    """
    residual = z - design.product(theta)
    for _ in range(_MAX_NEWTON):
        slope = np.clip(residual, -delta, delta)
        gradient = penalty @ theta - design.pull(share * slope)
        inside = (np.abs(residual) <= delta) & (share > 0.0)
        curvature = _update(curvature, design, share, inside)
        direction = -_solve(curvature[1], penalty, gradient)
        objective = share @ _huber(residual, delta) + 0.5 * theta @ penalty @ theta
        gap = _gap(gradient, penalty, direction)
        if gap <= tol * objective:
            break
        size, residual = _line_search(
            residual, design.product(direction), share, delta, penalty, theta, direction
        )
        if size == 0.0:  # no descent left at working precision
            break
        theta = theta + size * direction
    return theta, residual, curvature, objective, gap


def _huber(residual, delta):
    size = np.abs(residual)
    inside = np.minimum(size, delta)
    return inside * (size - 0.5 * inside)


def _solve(gram, penalty, gradient):
    if penalty.any():
        return np.linalg.solve(gram + penalty, gradient)
    return np.linalg.lstsq(gram, gradient)[0]  # members may be dependent


def _gap(gradient, penalty, direction):
    """Bound of what is left to fall; Newton's estimate where there is no penalty."""
    if penalty.any():
        return 0.5 * gradient @ np.linalg.solve(penalty, gradient)
    return -0.5 * gradient @ direction


def _update(curvature, design, share, inside):
    """Second derivative of the loss: the Gram matrix of the rows inside the bend.

    Near an optimum few rows change sides, and only these are read again.
    """
    if curvature is not None:
        before, gram = curvature
        changed = np.flatnonzero(before != inside)
        if len(changed) < 0.2 * len(inside):
            rows = design.take_rows(changed)
            gained = rows.gram(share[changed] * inside[changed])
            lost = rows.gram(share[changed] * before[changed])
            return inside, gram + gained - lost
    return inside, design.gram(share * inside)


def _line_search(residual, change, share, delta, penalty, theta, direction):
    """Halve the step until the objective falls enough; size 0 where it never does."""
    bend = direction @ penalty @ direction
    slope = direction @ penalty @ theta
    start = _huber(residual, delta)
    promised = slope - share @ (np.clip(residual, -delta, delta) * change)
    size = 1.0
    while size > 1e-10:
        trial = residual - size * change
        # A difference row by row keeps digits that the sums would round away.
        fall = share @ (_huber(trial, delta) - start)
        fall += size * (slope + 0.5 * size * bend)
        if fall <= _ENOUGH * size * promised:
            return size, trial
        size *= 0.5
    return 0.0, residual
