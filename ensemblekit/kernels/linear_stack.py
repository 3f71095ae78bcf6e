"""Linear stacking toward the mean: ridge on values.

It penalises the distance of the weights from 1 / n_members, never from 0: an infinite
penalty leaves the plain mean (and an intercept).
"""

import numpy as np

_BLOCK = 2**18  # numbers in scratch per block of rows: 2 MB of float64


def moments(P, y, weight, centre):
    """Sum of outer products of the rows (P - centre, y - centre_y, 1).

    P : (n_samples, n_members); y, weight : (n_samples,); centre : (n_members + 1,)
    Returns (n_members + 2, n_members + 2) float64. Centring first keeps an offset of P
    and y, however large, out of the products.
    """
    n_samples, n_members = P.shape
    total = np.zeros((n_members + 2, n_members + 2))
    step = max(1, _BLOCK // (n_members + 2))
    for start in range(0, n_samples, step):
        rows = slice(start, start + step)
        block = np.ones((len(y[rows]), n_members + 2))
        block[:, :-2] = P[rows] - centre[:-1]
        block[:, -2] = y[rows] - centre[-1]
        block *= np.sqrt(weight[rows, None])
        total += block.T @ block  # numpy computes half of it
    return total


def ridge_path(total, penalties):
    """Weights and intercept of least squares, penalised toward the mean.

    Minimises mean (y - b - P w)^2 + penalty * n_members * ||w - 1/n_members||^2 for
    each penalty; penalty 0 gives the least-squares solution nearest the mean.

    total : moments of the rows; penalties : (n_penalties,) >= 0, in the unit of y^2
    Returns weights (n_penalties, n_members), intercepts (n_penalties,), in centred
    coordinates. One eigendecomposition serves all penalties.
    """
    n_members = len(total) - 2
    scatter = total / total[-1, -1]
    mean = scatter[-1, :-1]
    scatter = scatter[:-1, :-1] - np.outer(mean, mean)
    start = np.full(n_members, 1.0 / n_members)
    right = scatter[:-1, -1] - scatter[:-1, :-1] @ start
    values, vectors = np.linalg.eigh(scatter[:-1, :-1])
    values = np.maximum(values, 0.0)
    shrunk = values + n_members * np.asarray(penalties)[:, None]
    usable = shrunk > np.finfo(float).eps * n_members * values.max(initial=0.0)
    step = np.divide(vectors.T @ right, shrunk, out=np.zeros_like(shrunk), where=usable)
    weights = start + step @ vectors.T
    return weights, mean[-1] - weights @ mean[:-1]


def moment_losses(total, weights, intercepts):
    """Mean squared error of each (weights, intercept) on the rows behind `total`."""
    coefficients = np.column_stack([-weights, np.ones(len(weights)), -intercepts])
    sums = np.einsum("pa,ab,pb->p", coefficients, total, coefficients)
    return sums / total[-1, -1]
