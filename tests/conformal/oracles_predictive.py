"""Slow, obvious twins of predictive systems: count, loop and integrate."""

from fractions import Fraction
from itertools import pairwise

import numpy as np


def cdf(residuals, prediction, y, between):
    below = sum(prediction + r < y for r in residuals)
    equal = sum(prediction + r == y for r in residuals)
    return (below + between * (equal + 1)) / (len(residuals) + 1)


def crps(residuals, prediction, y):
    """Mean |S - e| less half the mean over all pairs."""
    atoms = [prediction + r for r in residuals]
    near = np.mean([abs(a - y) for a in atoms])
    return near - 0.5 * np.mean([abs(a - b) for a in atoms for b in atoms])


def crps_by_integral(residuals, prediction, y):
    """Integrate (F(z) - 1{z >= y})^2 between its steps."""
    steps = np.sort([*[prediction + r for r in residuals], y])
    total = 0.0
    for low, high in pairwise(steps):
        middle = 0.5 * (low + high)
        share = np.mean([prediction + r <= middle for r in residuals])
        total += (high - low) * (share - (middle >= y)) ** 2
    return total


def quantile(residuals, prediction, level):
    """The outward order statistic, by a search over all ranks.

    level : Fraction
    """
    n, ordered = len(residuals), sorted(residuals)
    shares = [Fraction(k, n + 1) for k in range(n + 2)]
    if level >= Fraction(1, 2):
        rank = min(k for k in range(n + 2) if shares[k] >= level)
    else:
        rank = max(k for k in range(n + 2) if shares[k] <= level)
    if rank == 0:
        return -np.inf
    return prediction + ordered[rank - 1] if rank <= n else np.inf
