"""The inner split: which of a fold's training rows decide when to stop."""

from math import ceil

import numpy as np
from sklearn.utils.validation import check_consistent_length

FRACTION = 0.1


def inner_split(y, *, stratify, groups=None, weight=None, fraction=FRACTION, seed=None):
    """Divide rows into those to train on and those to validate with.

    Each class gives the fraction of its rows, at least one, and keeps at least one; a
    class of one row stays in training. Of groups, drawn in random order, each is held
    that brings every class nearer to the fraction. Rows of weight zero are trained on,
    or follow their group, and count for nothing.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
    stratify : bool
        Whether y holds classes.
    groups : array-like of shape (n_rows,), default=None
    weight : ndarray of shape (n_rows,), default=None
    fraction : float, default=0.1
        In (0, 1).
    seed : int, default=None

    Returns
    -------
    train, held : ndarray of int
        Ascending.

    Raises
    ------
    ValueError
        If there are fewer than ``1 / fraction`` rows, or no row or group can be held.
    """
    rng = np.random.default_rng(0 if seed is None else int(seed))
    codes = np.unique(y, return_inverse=True)[1] if stratify else np.zeros(len(y), int)
    counted = np.full(len(y), True) if weight is None else np.asarray(weight) > 0
    needed = ceil(1 / fraction - 1e-9)
    if counted.sum() < needed:
        raise ValueError(
            f"Early stopping has {counted.sum()} training rows (of positive weight) to "
            f"take validation rows from; expected at least {needed}. Use "
            "early_stopping='held_out' or validation rows of your own, or a fixed "
            "number of rounds."
        )
    if groups is None:
        held = _draw_rows(codes, counted, fraction, rng)
    else:
        held = _draw_groups(np.asarray(groups), codes, counted, fraction, rng)
    mask = np.zeros(len(y), dtype=bool)
    mask[held] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def _draw_rows(codes, counted, fraction, rng):
    rows = rng.permutation(np.flatnonzero(counted))
    rows = rows[np.argsort(codes[rows], kind="stable")]
    sizes = np.bincount(codes[rows])
    first = np.cumsum(sizes) - sizes
    wanted = np.clip(np.round(fraction * sizes).astype(int), 1, np.maximum(sizes, 1))
    wanted = np.minimum(wanted, np.maximum(sizes - 1, 0))
    if not wanted.any():
        raise ValueError(
            "Early stopping finds no validation rows: each class has one training row. "
            "Use a fixed number of rounds."
        )
    spans = [np.arange(a, a + n) for a, n in zip(first, wanted, strict=True)]
    return rows[np.concatenate(spans)]


def _draw_groups(groups, codes, counted, fraction, rng):
    check_consistent_length(groups, codes)
    _, numbers = np.unique(groups, return_inverse=True)
    shape = numbers.max() + 1, codes.max() + 1
    cells = np.bincount(
        numbers * shape[1] + codes, weights=counted, minlength=shape[0] * shape[1]
    ).reshape(shape)
    totals = cells.sum(axis=0)
    cells, totals = cells[:, totals > 0], totals[totals > 0]
    chosen, have = [], np.zeros(len(totals))
    missing = _miss(have, totals, fraction)
    for group in rng.permutation(shape[0]):
        new = have + cells[group]
        if (new < totals).all() and _miss(new, totals, fraction) < missing:
            chosen.append(group)
            have, missing = new, _miss(new, totals, fraction)
            if (have >= fraction * totals).all():  # more would only be worse
                break
    if not chosen:  # all are larger than twice the fraction
        free = np.flatnonzero((cells < totals).all(axis=1) & cells.any(axis=1))
        if not free.size:
            raise ValueError(
                f"Early stopping finds no validation rows: without any of the "
                f"{shape[0]} groups of the training rows, none of some class is left "
                "to train on. Use a fixed number of rounds."
            )
        chosen = [min(free, key=lambda g: _miss(cells[g], totals, fraction))]
    return np.flatnonzero(np.isin(numbers, chosen))


def _miss(have, totals, fraction):
    return float(((have / totals - fraction) ** 2).sum())
