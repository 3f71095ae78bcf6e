"""Residual Gram matrices: the sufficient statistics of squared error and Brier score.

On the simplex P w - y = (P - y 1') w, so the weighted squared error of a mixture is
w'Hw with H the Gram matrix of the residuals. Subtracting first keeps the digits that
an offset common to P and y would take from P'P.
"""

import numpy as np
from scipy.linalg.blas import dsyrk


def residual_gram(P, target, weight, n_outputs=1):
    """Return H = sum_i s_i e_i e_i' / sum s, e = P - target summed over the outputs.

    P : (n, m * n_outputs) real, member-major blocks of columns, any memory order
    target : (n,) or (n, n_outputs); one-hot for the Brier score
    weight : (n,) float64 >= 0, or None for equal weights
    Returns H : (m, m) float64, exactly symmetric.
    O(n m^2 n_outputs) in one streaming read; scratch of a few MB at most.
    """
    m = P.shape[1] // n_outputs
    gram = np.zeros((m, m), order="F")
    for rows, residuals in _residual_blocks(P, target, n_outputs):
        if weight is not None:
            residuals *= np.sqrt(weight[rows])[:, None, None]
        block = residuals.reshape(-1, m)
        gram = dsyrk(1.0, block.T, beta=1.0, c=gram, overwrite_c=1)
    gram /= len(P) if weight is None else np.sum(weight)
    return np.ascontiguousarray(np.triu(gram) + np.triu(gram, 1).T)


def mixture_gradient(P, target, weight, weights, n_outputs=1):
    """Return the squared error of one mixture and g = Hw, straight from the data.

    P, target, weight, n_outputs : as in `residual_gram`
    weights : (m,) float64, summing to 1
    Returns objective : w'Hw = sum_i s_i r_i^2 / sum s with r = E w; gradient : (m,)
    float64, g = E'(s r) / sum s, so that the duality gap of the squared error is
    2 (g'w - min g). O(n m n_outputs) in one streaming read.
    """
    objective, gradient = 0.0, np.zeros(len(weights))
    for rows, residuals in _residual_blocks(P, target, n_outputs):
        mixed = residuals @ weights
        weighted = mixed if weight is None else weight[rows][:, None] * mixed
        objective += np.vdot(weighted, mixed)
        gradient += weighted.ravel() @ residuals.reshape(-1, len(weights))
    total = len(P) if weight is None else np.sum(weight)
    return float(objective / total), gradient / total


def _residual_blocks(P, target, n_outputs):
    """Yield row slices and their residuals (rows, n_outputs, m) in reused scratch."""
    n, m = len(P), P.shape[1] // n_outputs
    target = np.asarray(target, np.float64).reshape(n, n_outputs, 1)
    size = int(np.clip(2**20 // (8 * m * n_outputs), 512, 4096))
    scratch = np.empty((min(size, n), n_outputs, m))
    for start in range(0, n, size):
        rows = slice(start, min(start + size, n))
        members = np.asarray(P[rows]).reshape(-1, m, n_outputs).transpose(0, 2, 1)
        residuals = scratch[: len(members)]
        # The subtraction is in float64 whatever P is: a float32 one loses the offset.
        np.subtract(members, target[rows], out=residuals, dtype=np.float64)
        yield rows, residuals
