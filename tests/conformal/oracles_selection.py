"""Slow, obvious twins of merged sets, the narrowest region and selection by FDR."""

from fractions import Fraction
from itertools import pairwise

import numpy as np


# Votes.
def spots(intervals):
    """Each end of the row's intervals, and a point in each stretch between two."""
    ends = np.unique(intervals)
    finite = ends[np.isfinite(ends)]
    between = list((finite[:-1] + finite[1:]) / 2)
    if len(finite) == 0:
        return [0.0]
    return sorted([*finite, *between, finite[0] - 1.0, finite[-1] + 1.0])


def share(intervals, weights, point):
    """Weight of the intervals that hold the point, as a fraction of all."""
    held = [w for (a, b), w in zip(intervals, weights, strict=True) if a <= point <= b]
    return sum(held, Fraction(0)) / sum(weights, Fraction(0))


def winning(intervals, weights, threshold, point):
    return share(intervals, weights, point) > threshold


def winning_in_every_prefix(intervals, point):
    return all(
        winning(intervals[:k], [Fraction(1)] * k, Fraction(1, 2), point)
        for k in range(1, len(intervals) + 1)
    )


def elementary_measure(intervals, wins):
    """Length of the stretches between neighbouring ends whose middle wins."""
    ends = np.unique(intervals)
    pairs = pairwise(ends)
    return sum((b - a for a, b in pairs if wins((a + b) / 2)), 0.0)


# The narrowest model, y by y.
def kept_by_a_narrowest(residuals, new, rank, y):
    """Whether some model of the least rank-th residual, y's included, holds y."""
    own = np.abs(new - y)
    widths = [np.sort([*r, e])[rank - 1] for r, e in zip(residuals.T, own, strict=True)]
    return any(e <= w for e, w in zip(own, widths, strict=True) if w == min(widths))


def kept_by_the_first_narrowest(residuals, new, rank, y):
    own = np.abs(new - y)
    widths = [np.sort([*r, e])[rank - 1] for r, e in zip(residuals.T, own, strict=True)]
    chosen = int(np.argmin(widths))
    return bool(own[chosen] <= widths[chosen])


def narrowest_uncorrected(residuals, rank):
    """EFCP: the model of the least radius on the very rows of the calibration."""
    widths = np.sort(residuals, axis=0)[rank - 1]
    return int(np.argmin(widths)), float(widths.min())


# Selection by the false discovery rate.
def p_value(scores, score):
    return Fraction(1 + sum(s <= score for s in scores), len(scores) + 1)


def benjamini_hochberg(p_values, fdr):
    """The rows selected, p-values and the rate as fractions."""
    m, ordered = len(p_values), sorted(p_values)
    passing = [r for r in range(1, m + 1) if ordered[r - 1] <= fdr * r / m]
    last = fdr * max(passing, default=0) / m
    return np.array([bool(passing) and p <= last for p in p_values], dtype=bool)


def scores_of(fitted, y, threshold):
    """-prediction, and infinity where y is above the threshold."""
    return [np.inf if t > threshold else -f for f, t in zip(fitted, y, strict=True)]


def auxiliary_size(scores, new, j, fdr):
    """Rows that BH selects when row j's p-value is 0 and its score is calibration."""
    n, p_values = len(scores), []
    for row, score in enumerate(new):
        count = sum(s <= score for s in scores) + (new[j] <= score)
        p_values.append(Fraction(0 if row == j else int(count), n + 1))
    return int(benjamini_hochberg(p_values, fdr).sum())


def optimized_selection(fitted, y, new, threshold, fdr, pruning):
    """OptCS by its definition: pruning is the factor of each row.

    Returns selected, sizes (m, M), members.
    """
    m, n_members = new.shape
    scores = [scores_of(column, y, threshold) for column in fitted.T]
    sizes = np.array(
        [
            [auxiliary_size(scores[k], -new[:, k], j, fdr) for k in range(n_members)]
            for j in range(m)
        ]
    )
    members = sizes.argmax(axis=1)
    e_values = []
    for j, k in enumerate(members):
        p, size = p_value(scores[k], -new[j, k]), int(sizes[j, k])
        e_values.append(Fraction(m) / (fdr * size) if p <= fdr * size / m else 0)
    raised = [e / Fraction(x) for e, x in zip(e_values, pruning, strict=True)]
    sure = [r for r in range(1, m + 1) if _count(raised, m / (fdr * r)) >= r]
    selected = [bool(sure) and e >= m / (fdr * max(sure)) for e in raised]
    return np.array(selected), sizes, members


def _count(values, least):
    return sum(value >= least for value in values)
