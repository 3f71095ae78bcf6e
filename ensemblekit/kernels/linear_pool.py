"""Log loss of the linear pool: sequential quadratic programming on the simplex.

The log loss of a mixture only needs A, the probability each member gives to the true
class: A_ij = offset_i + sign_i base_ij. Binary: base = P, sign = 2y - 1,
offset = 1 - y. More classes: base gathered at the true class, sign = 1, offset = 0.
A is built in blocks of rows, never in full.

With p = Aw, d = s / p and g = -A'd the gradient, g'w = -sum s = -1 for every w: the
duality gap max(A'd) - 1 is free, and so is the linear term of the Newton step, since
the Hessian A' diag(s / p^2) A maps w to -g.
"""

import math

import numpy as np
from scipy.linalg.blas import dsyrk

from . import simplex_qp
from ._jit import njit

EPS = np.finfo(np.float64).eps
TINY = np.finfo(np.float64).tiny


def solve(base, sign, offset, weight, tol=1e-9, max_iter=60):
    """Minimise sum_i s_i * -log(A w)_i, s = weight / sum(weight), on the simplex.

    base : (n, m) real; sign, offset : (n,) float64, as in the module docstring
    weight : (n,) float64 >= 0
    tol : stop when the duality gap is at most tol
    Returns weights : (m,) exact zeros off the support, sum 1 within 1e-15;
    gap : objective minus minimum is at most this, recomputed at the weights returned;
    n_iter : Newton steps, usually 3 to 6.
    Rows to which every member gives probability 0 cost the same under all weights and
    are left out. Two reads of base and O(n m^2) per step, scratch of a few MB.
    """
    m = base.shape[1]
    share = _share(base, sign, offset, weight)
    weights = np.full(m, 1.0 / m)
    mixture, gradient = _first_order(base, sign, offset, share, weights)
    for n_iter in range(max_iter + 1):
        gap = float(max(0.0, -gradient.min() - share.sum()))
        if gap <= tol or n_iter == max_iter:
            break
        scale = np.sqrt(share) / np.maximum(mixture, TINY)
        hessian = _hessian(base, sign, offset, scale)
        aim, _, _ = simplex_qp.solve(hessian, -2.0 * gradient, tol=1e-13)
        slope = gradient @ (aim - weights)
        ahead, gradient_ahead = _first_order(base, sign, offset, share, aim)
        step = _step_length(share, mixture, ahead, slope)
        if step == 0.0:
            break
        weights = (1.0 - step) * weights + step * aim
        weights /= math.fsum(weights)
        if step == 1.0:
            mixture, gradient = ahead, gradient_ahead
        else:
            mixture, gradient = _first_order(base, sign, offset, share, weights)
    return weights, gap, n_iter


def loss_and_gap(base, sign, offset, weight, weights, clip=EPS):
    """Return the log loss of one mixture and its duality gap, straight from the data.

    base, sign, offset, weight : as in `solve`; weights : (m,) float64, summing to 1
    clip : what a row counts as to which no member gives a chance. Other rows are not
    clipped, so that loss and gap speak of one function; both are inf where it is.
    One read of base, O(n m).
    """
    share = weight / np.sum(weight)
    loss, pull, mass = 0.0, np.zeros(len(weights)), 0.0
    for rows, A in _blocks(base, sign, offset):
        mixture = A @ weights
        reachable = _reachable(A)
        kept = reachable & (share[rows] > 0.0)
        if np.any(mixture[kept] == 0.0):
            pull += np.inf
            loss = np.inf
        seen = np.where(reachable, np.maximum(mixture, TINY), clip)
        loss -= share[rows] @ np.log(seen)
        pull += (share[rows] * kept / np.maximum(mixture, TINY)) @ A
        mass += share[rows] @ kept
    return float(loss), float(max(0.0, pull.max() - mass))


@njit
def _fill(base, sign, offset, scale, A):
    """Write scale_i * A_ij into A."""
    for i in range(base.shape[0]):
        for j in range(base.shape[1]):
            A[i, j] = scale[i] * (offset[i] + sign[i] * base[i, j])


def _blocks(base, sign, offset, scale=None):
    """Yield row slices and diag(scale) A on them, (rows, m) float64, reused scratch."""
    n, m = base.shape
    scale = np.ones(n) if scale is None else scale
    size = int(np.clip(2**20 // (8 * m), 512, 4096))
    scratch = np.empty((min(size, n), m))
    for start in range(0, n, size):
        rows = slice(start, min(start + size, n))
        A = scratch[: rows.stop - start]
        # Read-only like a memory map: one compiled version serves all.
        block = np.ascontiguousarray(base[rows], np.float64).view()
        block.flags.writeable = False
        _fill(block, sign[rows], offset[rows], scale[rows], A)
        yield rows, A


def _share(base, sign, offset, weight):
    """Return the normalised weights, 0 on rows that no member gives a chance."""
    share = weight / np.sum(weight)
    for rows, A in _blocks(base, sign, offset):
        share[rows] *= _reachable(A)
    return share


def _reachable(A):
    """Return whether any member gives the row a probability that can be divided by."""
    return A @ np.ones(A.shape[1]) >= TINY


def _first_order(base, sign, offset, share, weights):
    """Return the mixture p = Aw and the gradient -A'(s / p)."""
    mixture, gradient = np.empty(len(base)), np.zeros(len(weights))
    for rows, A in _blocks(base, sign, offset):
        mixture[rows] = A @ weights
        gradient -= (share[rows] / np.maximum(mixture[rows], TINY)) @ A
    return mixture, gradient


def _hessian(base, sign, offset, scale):
    """Return B'B, B = diag(scale) A, scale = sqrt(s) / p."""
    m = base.shape[1]
    hessian = np.zeros((m, m), order="F")
    for _, B in _blocks(base, sign, offset, scale):
        hessian = dsyrk(1.0, B.T, beta=1.0, c=hessian, overwrite_c=1)
    return np.triu(hessian) + np.triu(hessian, 1).T


def _step_length(share, mixture, aim, slope):
    """Halve the step until the loss falls enough (Armijo); 0 if it never does.

    mixture, aim : (n,) mixtures at both ends of the step; slope : g'(v - w) < 0
    """
    kept = share > 0.0
    share, mixture, aim = share[kept], mixture[kept], aim[kept]
    start = -share @ np.log(mixture)
    slack = 1e-15 * (1.0 + abs(start))
    step = 1.0
    while step > 1e-10:
        trial = (1.0 - step) * mixture + step * aim
        if trial.min() > 0.0:
            loss = -share @ np.log(trial)
            if loss <= start + 0.01 * step * slope + slack:
                return step
        step /= 2.0
    return 0.0
