"""What makes two members alike: their losses, and their hyper-parameters.

The similarity of an ensemble is the mean over its pairs of members; low is diverse.
"""

from collections.abc import Iterable, Mapping
from numbers import Real

import numpy as np

BLOCK_ROWS = 4096


def loss_correlation(base, sign, offset, weight):
    """Return the absolute Pearson correlation of the members' errors over the rows.

    The error of member j at row i is ``offset[i] + sign[i] * base[i, j]``: a residual,
    or the probability of the true class (which 1 - p follows exactly).

    Parameters
    ----------
    base : ndarray of shape (n_samples, n_members)
    sign, offset : ndarray of shape (n_samples,)
    weight : ndarray of shape (n_samples,), float64
        Non-negative, not all zero.

    Returns
    -------
    similarity : ndarray of shape (n_members, n_members), float64
        In [0, 1]; 0 in the rows and columns of members with constant errors.
    """
    share = weight / weight.sum()
    center = np.zeros(base.shape[1])
    for rows, errors in _blocks(base, sign, offset):
        center += share[rows] @ errors
    covariance = np.zeros((base.shape[1], base.shape[1]))
    for rows, errors in _blocks(base, sign, offset):
        errors -= center
        covariance += (errors.T * share[rows]) @ errors
    return _correlation(covariance, np.abs(center))


def _blocks(base, sign, offset):
    for first in range(0, len(base), BLOCK_ROWS):
        rows = slice(first, first + BLOCK_ROWS)
        yield rows, offset[rows, None] + sign[rows, None] * base[rows]


def _correlation(covariance, size):
    spread = np.sqrt(covariance.diagonal())
    # A spread of rounding only is that of a constant.
    varies = spread > 1e-12 * size
    divisor = np.where(varies, spread, np.inf)
    return np.minimum(np.abs(covariance / divisor / divisor[:, None]), 1.0)


def configuration_similarity(configurations, n_members):
    """Return Gower's similarity of the members' hyper-parameters.

    For two members it is the mean over the hyper-parameters that both have: of numbers
    1 - |a - b| / range, with the range over all members; of anything else 1 if equal,
    else 0. Members with none in common have similarity 0. None and NaN are missing.

    Parameters
    ----------
    configurations : list of mappings, one for each member, or mapping of columns
        A column, such as that of a data frame, has one value for each member.
    n_members : int

    Returns
    -------
    similarity : ndarray of shape (n_members, n_members), float64

    Raises
    ------
    ValueError
        If there is not one configuration for each member.
    """
    total = np.zeros((n_members, n_members))
    n_common = np.zeros((n_members, n_members))
    for values in _columns(configurations, n_members):
        known = np.array([not _is_missing(value) for value in values])
        common = np.outer(known, known)
        total += np.where(common, _alike(values, known), 0.0)
        n_common += common
    return np.divide(total, n_common, out=np.zeros_like(total), where=n_common > 0)


def _columns(configurations, n_members):
    """Yield the values of one hyper-parameter after the other, None where missing."""
    if hasattr(configurations, "columns") or isinstance(configurations, Mapping):
        names = getattr(configurations, "columns", configurations)
        columns = [list(configurations[name]) for name in names]
        lengths = {len(column) for column in columns}
    else:
        rows = list(configurations)
        names = dict.fromkeys(name for row in rows for name in _checked(row))
        columns = [[row.get(name) for row in rows] for name in names]
        lengths = {len(rows)}
    if lengths - {n_members}:
        raise ValueError(
            f"configurations are those of {max(lengths - {n_members})} members; "
            f"expected one for each of the {n_members} members of P, in their order."
        )
    return columns


def _checked(row):
    if not isinstance(row, Mapping):
        raise ValueError(
            f"configurations holds a {type(row).__name__}; expected one dict of "
            "hyper-parameters for each member, or a data frame with a row for each."
        )
    return row


def _is_missing(value):
    return value is None or (isinstance(value, Real) and value != value)


def _alike(values, known):
    """Return the similarity of all pairs in one hyper-parameter."""
    present = [value for value, there in zip(values, known, strict=True) if there]
    if all(_is_number(value) for value in present):
        numbers = np.array(
            [v if there else 0.0 for v, there in zip(values, known, strict=True)], float
        )
        spread = float(np.ptp(numbers[known])) if present else 0.0
        distance = np.abs(numbers[:, None] - numbers)
        return 1.0 - distance / spread if spread > 0 else np.ones_like(distance)
    return np.array([[_same(a, b) for b in values] for a in values], float)


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))


def _same(a, b):
    if isinstance(a, Iterable) or isinstance(b, Iterable):
        return type(a) is type(b) and repr(a) == repr(b)  # arrays have no single ==
    return a == b
