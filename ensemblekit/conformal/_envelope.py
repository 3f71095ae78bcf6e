"""Intervals that hold those of less coverage, and quantiles that never cross.

Each interval has its coverage on its own; made wider it keeps it. A sort would not: it
may hand the inner of two bounds to the outer interval.
"""

from fractions import Fraction
from itertools import pairwise

import numpy as np

_HALF = Fraction(1, 2)


def nest(bounds, levels):
    """Mend intervals in place: no ends swapped, and none narrower than one inside.

    Where a negative threshold shrinks an interval below nothing, it becomes the middle
    of its two ends. Then each is widened to hold those of larger alpha.

    Parameters
    ----------
    bounds : ndarray of shape (n_samples, 2, n_levels)
    levels : list of Fraction
        Miscoverages, in any order.

    Returns
    -------
    bounds : the same array
    """
    lower, upper = bounds[:, 0], bounds[:, 1]
    swapped = lower > upper
    if swapped.any():
        middle = 0.5 * lower[swapped] + 0.5 * upper[swapped]
        lower[swapped] = upper[swapped] = middle
    outward = sorted(range(len(levels)), key=lambda j: -levels[j])
    for inner, outer in pairwise(outward):
        np.minimum(lower[:, outer], lower[:, inner], out=lower[:, outer])
        np.maximum(upper[:, outer], upper[:, inner], out=upper[:, outer])
    return bounds


def pair_levels(levels):
    """Return the miscoverages of the symmetric pairs that quantile levels are ends of.

    Examples
    --------
    >>> pair_levels([Fraction(1, 20), Fraction(1, 2), Fraction(19, 20)])
    [Fraction(1, 10)]
    """
    return sorted({2 * min(level, 1 - level) for level in levels if level != _HALF})


def quantiles_of(bounds, alphas, centre, levels):
    """Return the ends of nested intervals as quantiles around `centre`.

    Parameters
    ----------
    bounds : ndarray of shape (n_samples, 2, n_alphas)
    alphas : list of Fraction
    centre : ndarray of shape (n_samples,)
        What stands at level 1/2; all intervals are widened to hold it.
    levels : list of Fraction

    Returns
    -------
    quantiles : ndarray of shape (n_samples, n_levels)
    """
    columns = []
    for level in levels:
        if level == _HALF:
            columns.append(centre)
        elif level < _HALF:
            columns.append(np.minimum(bounds[:, 0, alphas.index(2 * level)], centre))
        else:
            end = bounds[:, 1, alphas.index(2 * (1 - level))]
            columns.append(np.maximum(end, centre))
    return np.column_stack(columns)
