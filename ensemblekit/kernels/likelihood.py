"""Weights of a mixture of members by greatest likelihood, for many label vectors."""

import numpy as np

from ._jit import njit


@njit
def mixture_weights(cube, codes, start, gap, max_steps):
    """Return for each label vector the weights of the most likely mixture, by EM.

    cube : (m, n, K) float64, probabilities of each member
    codes : (s, n) int64 in range(K), label vectors
    start : (m,) float64, positive, sums to 1; the weights begin there
    gap : float; a bound of the mean log-likelihood a row that may be left to gain
    max_steps : int
    Returns (s, m) float64. O(s n m) a step. Rows impossible under all members count for
    nothing.
    """
    m, n = cube.shape[0], cube.shape[1]
    weights = np.empty((codes.shape[0], m))
    likely = np.empty((n, m))
    ratios = np.empty(m)
    for s in range(codes.shape[0]):
        for i in range(n):
            for j in range(m):
                likely[i, j] = cube[j, i, codes[s, i]]
        weights[s] = start
        for _ in range(max_steps):
            # Concave: nothing gains more than the greatest ratio less 1.
            if _mean_ratios(likely, weights[s], ratios) - 1.0 <= gap:
                break
            weights[s] *= ratios
        weights[s] /= weights[s].sum()
    return weights


@njit
def _mean_ratios(likely, weights, ratios):
    """Write the mean of each member's share of the mixture; return the greatest."""
    ratios[:] = 0.0
    n_possible = 0
    for i in range(likely.shape[0]):
        mixture = 0.0
        for j in range(len(weights)):
            mixture += likely[i, j] * weights[j]
        if mixture > 0.0:
            n_possible += 1
            for j in range(len(weights)):
                ratios[j] += likely[i, j] / mixture
    if n_possible == 0:
        ratios[:] = 1.0
        return 1.0
    ratios /= n_possible
    return ratios.max()
