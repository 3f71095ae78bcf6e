"""Least squares with a ridge toward given weights: all penalties from one matrix.

Rows are (P - y, y, 1): residuals keep the digits of members that are nearly right, and
an offset common to P and y, however large, is subtracted before anything is squared.
The intercept is that of predictions and targets measured from the mean of y.
"""

import numpy as np

_BLOCK = 2**17  # numbers in scratch per block of rows: 1 MB of float64


def find_centre(P, y, weight):
    """Return the weighted means of P - y and of y: (n_members + 1,) float64."""
    share = weight / weight.sum()
    level = share @ y
    means = np.zeros(P.shape[1])
    step = max(1, _BLOCK // P.shape[1])
    for start in range(0, len(y), step):
        rows = slice(start, start + step)
        means += share[rows] @ np.asarray(P[rows], dtype=np.float64)
    return np.append(means - level, level)


def moments(P, y, weight, centre):
    """Sum of outer products of the rows (P - y - centre, y - centre, 1).

    P : (n_samples, n_members); y, weight : (n_samples,); centre : (n_members + 1,)
    Returns (n_members + 2, n_members + 2) float64.
    """
    n_samples, n_members = P.shape
    total = np.zeros((n_members + 2, n_members + 2))
    step = max(1, _BLOCK // (n_members + 2))
    scratch = np.empty((min(step, n_samples), n_members + 2))
    for start in range(0, n_samples, step):
        rows = slice(start, start + step)
        block = scratch[: len(y[rows])]
        np.subtract(np.asarray(P[rows]), y[rows, None], out=block[:, :-2])
        block[:, :-2] -= centre[:-1]
        block[:, -2] = y[rows] - centre[-1]
        block[:, -1] = 1.0
        block *= np.sqrt(weight[rows, None])
        total += block.T @ block  # numpy computes half of it
    return total


def residual_gram(total, centre):
    """Mean Gram matrix of P - y, (n_members, n_members), from the moments."""
    gram, sums, means = total[:-2, :-2], total[-1, :-2], centre[:-1]
    cross = np.outer(sums, means)
    return (gram + cross + cross.T) / total[-1, -1] + np.outer(means, means)


def ridge_path(total, centre, start, ridges, variance, own):
    """Weights and intercepts of least squares, penalised toward `start`.

    Minimises the mean of (y - b - P w)^2, with P and y measured from the mean of y,
    plus ridge * (variance * n_members * ||w - start||^2 + own * b^2), for each ridge; 0
    gives the least-squares solution nearest to `start`.

    total : moments of the rows; start : (n_members,), of sum 1
    ridges : (n_ridges,) >= 0
    Returns weights (n_ridges, n_members), intercepts (n_ridges,). One
    eigendecomposition serves all: the intercept's penalty is a change of rank one.
    """
    n_members = len(start)
    ridges = np.asarray(ridges, dtype=np.float64)
    scatter = total / total[-1, -1]
    mean = scatter[-1, :-1]
    scatter = scatter[:-1, :-1] - np.outer(mean, mean)
    residuals, with_y = scatter[:-1, :-1], scatter[:-1, -1]
    # A member is its residual plus y; what `start` leaves is minus its residuals.
    features = residuals + with_y + with_y[:, None] + scatter[-1, -1]
    right = -(residuals @ start) - with_y @ start
    level = mean[:-1] + centre[:-1] + mean[-1]
    left = -(mean[:-1] + centre[:-1]) @ start
    values, vectors = np.linalg.eigh(features)
    values = np.maximum(values, 0.0)
    shrunk = values + n_members * variance * ridges[:, None]
    usable = shrunk > np.finfo(float).eps * n_members * values.max(initial=0.0)

    def solve(vector):
        coordinates = vectors.T @ vector
        inside = np.divide(coordinates, shrunk, out=np.zeros_like(shrunk), where=usable)
        return inside @ vectors.T

    free, lean = solve(right), solve(level)
    strength = own * ridges / (1.0 + own * ridges)
    pull = strength * (left - free @ level) / (1.0 + strength * (lean @ level))
    step = free + pull[:, None] * lean
    return start + step, (left - step @ level) / (1.0 + own * ridges)


def moment_losses(total, centre, weights, intercepts):
    """Mean squared error of each (weights, intercept) on the rows behind `total`."""
    constant = -intercepts - weights @ centre[:-1]
    coefficients = np.column_stack([-weights, 1.0 - weights.sum(axis=1), constant])
    sums = np.einsum("pa,pa->p", coefficients @ total, coefficients)
    return np.maximum(sums, 0.0) / total[-1, -1]
