"""Which rows pass which window, and what a cascade costs and loses by that.

Rows are walked in blocks and windows counted on a grid: what is held besides the
predictions is about one number for each row and stage.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# More windows than these are thinned; further ones would tell no curve apart.
MOST_WINDOWS = 2**14
# Sums over rows in another order may differ by this, relatively.
ROUNDING = 1e-12
_BLOCK = 2**12


class Ranks(NamedTuple):
    """Places of known confidences, to find those of others among them."""

    values: NDArray
    upto: NDArray
    places: NDArray

    def find(self, confidences):
        """Return the places of new confidences: in [0, 1], never falling."""
        after = np.searchsorted(self.values, confidences, side="right")
        before = np.append(0.0, self.upto)[after]
        at = np.maximum(after - 1, 0)
        known = (after > 0) & (self.values[at] == confidences)
        return np.where(known, self.places[at], before)


def rank_values(own, weight):
    """Return the distinct values, ascending, and their places.

    A value's place is the share of the weight below it, and half of that at it.
    """
    order = np.argsort(own)
    upto, values = np.asarray(weight, dtype=np.float64)[order], own[order]
    del order  # here, and in what follows, few arrays at a time
    np.cumsum(upto, out=upto)
    last = np.append(values[1:] != values[:-1], True)
    values = values[last]
    upto = upto[last]
    places = upto.copy()
    places[1:] += upto[:-1]
    places /= 2.0 * upto[-1]
    upto /= upto[-1]
    return Ranks(values, upto, places)


def blocks(n_rows):
    """Return slices of rows to take at a time: what is computed stays in a cache."""
    return [slice(start, start + _BLOCK) for start in range(0, n_rows, _BLOCK)]


def ranks(confidences, weight):
    """Return each row's place among all, in (0, 1); ties share the middle of theirs.

    confidences : (n_samples, n_stages); weight : (n_samples,), positive
    Returns (n_samples, n_stages): share of the weight below, and half of that at it.
    """
    places = np.empty(confidences.shape)
    for k, own in enumerate(confidences.T):
        known = rank_values(own, weight)
        places[:, k] = known.places[np.searchsorted(known.values, own)]
    return places


def needed_windows(places, centre):
    """Return the window above which each row passes each stage.

    A window of share s lies from rank clip(centre - s / 2, 0, 1 - s) on; it is the
    (k + 1)-th power of the cascade's window at stage k.

    places : (n_samples, n_stages), in (0, 1); centre : the threshold's rank, in [0, 1)
    Returns (n_samples, n_stages), in [0, 1)
    """
    needed = np.empty(places.shape)
    for k, own in enumerate(places.T):
        needed[:, k] = _needed(own, centre, k)
    return needed


def _needed(places, centre, stage):
    outer = np.where(places <= centre, 1.0 - places, places)
    share = np.minimum(2.0 * np.abs(places - centre), outer)
    share = np.minimum(share, np.nextafter(1.0, 0.0))
    return share ** (1.0 / (stage + 1))


def find_limits(confidences, needed, centre, window):
    """Return the least and largest confidence that passes each stage.

    Beyond the confidences seen, windows that reach an end of the ranks are infinite.

    Returns
    -------
    limits : ndarray of shape (n_stages, 2)
        inf and -inf where no row passes.
    """
    limits = np.tile([np.inf, -np.inf], (needed.shape[1], 1))
    for k, passes in enumerate(needed.T):
        inside = confidences[passes < window, k]
        share = window ** (k + 1)
        if window >= 1.0:
            limits[k] = -np.inf, np.inf
        elif inside.size:
            low = -np.inf if share >= 2.0 * centre else inside.min()
            high = np.inf if share >= 2.0 * (1.0 - centre) else inside.max()
            limits[k] = low, high
    return limits


def reach(confidences, weight, centre):
    """Say from which window on each row reaches each stage after the first.

    Parameters
    ----------
    confidences : ndarray of shape (n_samples, n_members), float64
        Overwritten.
    weight : ndarray of shape (n_samples,)
        Positive.
    centre : float

    Returns
    -------
    reached : ndarray of shape (n_samples, n_members - 1)
        A row reaches a stage if it passes all before it.
    answered : ndarray of shape (n_samples, n_members), bool
        Whether it is at or above the operating threshold at each stage.
    """
    answered = np.empty(confidences.shape, dtype=bool)
    last = confidences.shape[1] - 1
    for k, own in enumerate(confidences.T):
        _to_needed(own, weight, centre, k, answered[:, k])
        if 0 < k < last:
            np.maximum(own, confidences[:, k - 1], out=own)
    return confidences[:, :last], answered


def _to_needed(own, weight, centre, stage, answered):
    """Write the windows needed over the confidences of a stage, in place."""
    known = rank_values(own, weight)
    for part in blocks(len(own)):
        places = known.places[np.searchsorted(known.values, own[part])]
        answered[part] = places >= centre
        own[part] = _needed(places, centre, stage)


def trace(reached, answered, losses, costs, weight, overhead=0.0, window=None):
    """Add up cost and loss as the window grows.

    Parameters
    ----------
    reached : ndarray of shape (n_samples, n_members - 1)
    answered : ndarray of shape (n_samples, n_members), bool
    losses : iterable of (slice, ndarray of shape (n_rows, n_members))
        Blocks of rows and their losses at each stage.
    costs : ndarray of shape (n_members,)
    weight : ndarray of shape (n_samples,)
    overhead : float, default=0.0
        Cost of judging a row; none where no row goes on, or all do.
    window : float, default=None
        One that has to be among those returned.

    Returns
    -------
    window, cost, loss, coverage : ndarray of shape (n_windows,)
    """
    grid = _grid(reached, window)
    steps, start = np.zeros((3, len(grid))), np.zeros(2)
    total = weight.sum()
    for rows, lost in losses:
        share = (weight[rows] / total)[:, None]
        counted = answered[rows] * share
        # Steps hold at the windows above those that they need.
        at = np.searchsorted(grid, reached[rows].ravel(), side="right")
        for sums, table in zip(
            steps,
            (np.cumsum(costs) * share, lost * counted, counted),
            strict=True,
        ):
            step = np.diff(table, axis=1).ravel()
            sums += np.bincount(at, step, minlength=len(grid))
        start += (lost * counted)[:, 0].sum(), counted[:, 0].sum()
    np.cumsum(steps, axis=1, out=steps)
    cost = costs[0] + steps[0]
    if reached.size:
        cost += overhead * ((grid > reached.min()) & (grid < 1.0))
    coverage = start[1] + steps[2]
    loss = (start[0] + steps[1]) / np.where(coverage < ROUNDING, np.nan, coverage)
    return grid, cost, loss, coverage


def _grid(reached, window):
    """Return the windows at which something changes, or so many of them."""
    known = np.sort(reached, axis=None)
    n_windows = 1 + np.count_nonzero(known[1:] != known[:-1])
    if n_windows > MOST_WINDOWS:
        known = known[np.linspace(0, len(known) - 1, MOST_WINDOWS).astype(np.int64)]
    ends = [0.0, 1.0] if window is None else [0.0, window, 1.0]
    return np.unique(np.concatenate([ends, known]))
