"""Whether two fits saw the same rows."""

import numpy as np

from ._digest import digest
from ._sklearn import _num_samples
from .exceptions import UncacheableError


def fingerprint(X, targets, weight):
    """Return a digest of targets, weights and X.

    Parameters
    ----------
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
    targets : ndarray of shape (n_samples,)
    weight : ndarray of shape (n_samples,) or None
    """
    known = _num_samples(X), np.asarray(targets, dtype=np.float64), weight
    try:
        return digest((known, X))
    except UncacheableError:  # cells that have no content of their own
        return digest(known)


def check_same_rows(ours, theirs):
    """Refuse cross-fits of other rows, weights, labels, levels or splits.

    Raises
    ------
    ValueError
        Says what differs.
    """
    differs = {
        "classes_": not np.array_equal(ours.classes_, theirs.classes_),
        "quantile_levels": not np.array_equal(ours._levels, theirs._levels),
        "X, y or sample_weight": ours._fingerprint != theirs._fingerprint,
        "splits_": not _equal_splits(ours.splits_, theirs.splits_),
        "groups": not _equal_groups(ours._groups, theirs._groups),
    }
    for part, different in differs.items():
        if different:
            raise ValueError(
                f"The cross-fits differ in {part}; merge needs the same rows, split "
                "alike. Hand the splits_ of one to the other as cv."
            )


def _equal_groups(ours, theirs):
    """Equal splits may come as a list, which needs no groups."""
    return ours is None or theirs is None or np.array_equal(ours, theirs)


def _equal_splits(ours, theirs):
    return len(ours) == len(theirs) and all(
        np.array_equal(a, b)
        for pair in zip(ours, theirs, strict=True)
        for a, b in zip(*pair, strict=True)
    )
