"""Huber's loss with a ridge, by Newton steps along a path of penalties."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

_MAX_NEWTON = 50
_ENOUGH = 1e-4  # share of the promised fall that a step has to give
_SOUND = 1e-7  # least pivot of a factor, relative to the largest, that is trusted


@dataclass(frozen=True)
class Penalty:
    """Half of ridge * (cost * ||step||^2 + intercept^2), theta = (step, constant).

    own : (n_features + 1,), its last 1; the intercept is own @ theta
    """

    ridge: float
    cost: float
    own: np.ndarray

    @property
    def matrix(self):
        """Return the second derivative, (n_features + 1, n_features + 1)."""
        cost = np.append(np.full(len(self.own) - 1, self.cost), 0.0)
        return self.ridge * (np.diag(cost) + np.outer(self.own, self.own))

    def slope(self, theta):
        """Return the gradient at theta."""
        slope = self.cost * theta
        slope[-1] = 0.0
        return self.ridge * (slope + (self.own @ theta) * self.own)

    def conjugate(self, gradient):
        """Return 1/2 gradient' matrix^-1 gradient; measured along step and intercept.

        The matrix itself may have lost the step beside a far intercept.
        """
        step = gradient[:-1] - gradient[-1] * self.own[:-1]
        return 0.5 / self.ridge * (step @ step / self.cost + gradient[-1] ** 2)


def huber_fit(design, z, far, share, delta, penalty, theta, curvature, tol):
    """Minimise share @ huber(z + far - D theta) + penalty.

    design : rows D, with `product`, `pull`, `gram` and `take_rows`
    z, far, share : (n_rows,), share >= 0; far : what z would lose its digits to, else 0
    delta : > 0; penalty : `Penalty`; theta : (n_features + 1,), start
    curvature : None, or that of an earlier fit of the same rows
    tol : gap at which to stop, relative to the scale
    Returns theta, z - D theta of all rows, curvature, gap, scale. With a penalty gap is
    an upper bound on what the objective can still fall. The scale is the objective with
    rows outside the bend counted as if on it: gross errors do not hide what is left.
    """
    near = z - design.product(theta)
    matrix = penalty.matrix
    for _ in range(_MAX_NEWTON):
        slope = np.clip(near + far, -delta, delta)
        gradient = penalty.slope(theta) - design.pull(share * slope)
        inside = (np.abs(near + far) <= delta) & (share > 0.0)
        curvature = _update(curvature, design, share, inside)
        direction = -_solve(curvature[1] + matrix, gradient)
        scale = 0.5 * (share @ slope**2 + theta @ penalty.slope(theta))
        # Without a penalty, Newton's estimate.
        gap = -0.5 * gradient @ direction
        if penalty.ridge:
            gap = penalty.conjugate(gradient)
        if gap <= tol * scale:
            break
        change = design.product(direction)
        size = _line_search(near, far, change, share, delta, penalty, theta, direction)
        if size == 0.0:  # no descent left at working precision
            break
        theta, near = theta + size * direction, near - size * change
    return theta, near, curvature, gap, scale


def rise(near, start, far, delta):
    """Return huber(near + far) - huber(start + far), row by row.

    On one side of the bend it is linear, and `far` must not swallow the difference.
    """
    after, before = near + far, start + far
    outside = (np.minimum(np.abs(after), np.abs(before)) >= delta) & (
        np.sign(after) == np.sign(before)
    )
    bent = _huber(after, delta) - _huber(before, delta)
    return np.where(outside, delta * np.sign(after) * (near - start), bent)


def _huber(residual, delta):
    size = np.abs(residual)
    inside = np.minimum(size, delta)
    return inside * (size - 0.5 * inside)


def _solve(matrix, gradient):
    """Solve for a step; of least norm where members are dependent, or nearly so."""
    scale = np.sqrt(matrix.diagonal())
    scale[scale == 0.0] = 1.0
    even = matrix / scale / scale[:, None]
    factor, failed = dpotrf(even, lower=1)
    pivots = factor.diagonal()
    if not failed and pivots.min() > _SOUND * pivots.max():
        return dpotrs(factor, gradient / scale, lower=1)[0] / scale
    return np.linalg.lstsq(even, gradient / scale)[0] / scale


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


def _line_search(near, far, change, share, delta, penalty, theta, direction):
    """Return the full step, or the best one where that falls too little.

    0 where nothing falls any more.
    """
    bend = direction @ penalty.slope(direction)
    slope = direction @ penalty.slope(theta)
    promised = slope - share @ (np.clip(near + far, -delta, delta) * change)

    def enough(size):
        # A difference row by row keeps digits that the sums would round away.
        fall = share @ rise(near - size * change, near, far, delta)
        return fall + size * (slope + 0.5 * size * bend) <= _ENOUGH * size * promised

    def slope_at(size):
        pull = np.clip(near - size * change + far, -delta, delta) * change
        return slope + size * bend - share @ pull

    size = 1.0
    if not enough(size):
        size = _lowest_point(slope_at, near + far, change, delta)
    while size > 1e-10:
        if enough(size):
            return size
        size *= 0.5
    return 0.0


def _lowest_point(slope_at, residual, change, delta):
    """Return the step in (0, 1] of least objective, whose slope is in pieces linear."""
    moving = change != 0.0
    bends = (residual[moving] + [[-delta], [delta]]) / change[moving]
    ends = np.unique(np.append(bends[(bends > 0.0) & (bends < 1.0)], [0.0, 1.0]))
    low, high = 0, len(ends) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if slope_at(ends[middle]) < 0.0 else (low, middle)
    before, after = slope_at(ends[low]), slope_at(ends[high])
    if not before < 0.0 < after:
        return ends[high]
    return ends[low] - before * (ends[high] - ends[low]) / (after - before)
