"""The pinball loss of many rows, plain and with its kink rounded, in one read each.

z is prediction - y. The loss is max(-level z, (1 - level) z). Rounded over a band b it
is the maximum over slopes u in [-level, 1 - level] of u z - b/2 (u + level - 1/2)^2:
below the loss by at most b / 8, and quadratic for |z| < b / 2.
"""

import numpy as np

from ._jit import njit_sums


def mean(z, share, level):
    """Return share @ loss(z).

    z, share : (n,) float64; level : float, or (n,) float64 for one in each row
    """
    return _mean(z, share, np.atleast_1d(level))


def smooth_mean(z, share, level, band):
    """Return share @ rounded loss(z); arguments as in `mean`."""
    return _smooth_mean(z, share, np.atleast_1d(level), band)


def smooth_slope(z, level, band):
    """Return the slopes of the rounded loss, (n,) float64, in [-level, 1 - level]."""
    slope = np.empty(len(z))
    _smooth_slope(z, np.atleast_1d(level), band, slope)
    return slope


def local_mean(residuals, weights, share, levels, band):
    """Return the mean rounded loss of mixtures of weights that differ between rows.

    residuals : (m, p, n) float64, levels x members x rows; weights : (p, n) float64
    share : (n,) float64, sum 1; levels : (m,) float64
    Returns the mean over rows and levels, and its slopes in weights, (p, n).
    """
    slope = np.zeros(weights.shape)
    total = _local_mean(residuals, weights, share / len(levels), levels, band, slope)
    return total, slope


@njit_sums
def _local_mean(residuals, weights, share, levels, band, slope):
    total = 0.0
    p, n = weights.shape
    z = np.empty(n)
    for t in range(levels.shape[0]):
        tau = levels[t]
        z[:] = 0.0
        for j in range(p):
            for i in range(n):
                z[i] += weights[j, i] * residuals[t, j, i]
        for i in range(n):
            u = min(max(z[i] / band + (0.5 - tau), -tau), 1.0 - tau)
            lean = u - (0.5 - tau)
            total += share[i] * (u * z[i] - 0.5 * band * lean * lean)
            z[i] = share[i] * u
        for j in range(p):
            for i in range(n):
                slope[j, i] += z[i] * residuals[t, j, i]
    return total


@njit_sums
def _mean(z, share, level):
    total = 0.0
    one = level.shape[0] == 1
    for i in range(z.shape[0]):
        tau = level[0] if one else level[i]
        total += share[i] * max(-tau * z[i], (1.0 - tau) * z[i])
    return total


@njit_sums
def _smooth_mean(z, share, level, band):
    total = 0.0
    one = level.shape[0] == 1
    for i in range(z.shape[0]):
        tau = level[0] if one else level[i]
        u = min(max(z[i] / band + (0.5 - tau), -tau), 1.0 - tau)
        lean = u - (0.5 - tau)
        total += share[i] * (u * z[i] - 0.5 * band * lean * lean)
    return total


@njit_sums
def _smooth_slope(z, level, band, slope):
    one = level.shape[0] == 1
    for i in range(z.shape[0]):
        tau = level[0] if one else level[i]
        slope[i] = min(max(z[i] / band + (0.5 - tau), -tau), 1.0 - tau)
