"""Conformity scores of classes by their order of probability.

Romano, Sesia, Candes, "Classification with valid and adaptive coverage", NeurIPS 2020;
Angelopoulos et al., "Uncertainty sets for image classifiers using conformal
prediction", ICLR 2021.
"""

import numpy as np

from ._jit import njit

# Below this many classes an insertion sort is faster than a merge sort.
_FEW = 24


@njit
def cumulative_scores(p, u, count, penalty, k_reg):
    """Score all classes of all rows.

    p : (n, K) float64, probabilities
    u : (n,) float64 in [0, 1]: how much of a class's own mass counts
    count : bool, every class has mass 1 (top-k) instead of its probability
    penalty, k_reg : float64 >= 0, int: each rank beyond k_reg costs `penalty`
    Returns (n, K) float64: the mass of the classes before this one, u times its own,
    and the penalty of its rank. Equal probabilities stand in the order of classes. The
    sums are clipped to 1. O(n K log K).
    """
    n, n_classes = p.shape
    scores = np.empty((n, n_classes))
    order = np.empty(n_classes, np.int64)
    for i in range(n):
        _sort_descending(p[i], order)
        before = 0.0
        for r in range(n_classes):
            mass = 1.0 if count else p[i, order[r]]
            scores[i, order[r]] = _score(before, mass, u[i], count, penalty, r - k_reg)
            before += mass
    return scores


@njit
def cumulative_scores_of_labels(p, y, u, count, penalty, k_reg):
    """Score the true class of each row, bit for bit as `cumulative_scores` does.

    y : (n,) int, codes of the true classes; the rest as there
    Returns (n,) float64.
    """
    n, n_classes = p.shape
    scores = np.empty(n)
    order = np.empty(n_classes, np.int64)
    for i in range(n):
        _sort_descending(p[i], order)
        before, r = 0.0, 0
        while order[r] != y[i]:  # the same additions in the same order
            before += 1.0 if count else p[i, order[r]]
            r += 1
        mass = 1.0 if count else p[i, y[i]]
        scores[i] = _score(before, mass, u[i], count, penalty, r - k_reg)
    return scores


@njit
def ranks_of_labels(p, y):
    """Return the rank of each true class, from 1, in the order of the scores.

    p : (n, K) float64; y : (n,) int
    Returns (n,) int64. O(n K).
    """
    n, n_classes = p.shape
    ranks = np.ones(n, np.int64)
    for i in range(n):
        own = p[i, y[i]]
        for c in range(n_classes):
            if p[i, c] > own or (p[i, c] == own and c < y[i]):
                ranks[i] += 1
    return ranks


@njit
def _score(before, mass, u, count, penalty, excess):
    """`excess` is the rank from 0 minus k_reg."""
    total = before + u * mass
    if not count:
        total = min(total, 1.0)
    return total + penalty * max(0, excess + 1)


@njit
def _sort_descending(row, order):
    """Write the classes into `order`, most probable first, equal ones as they stand."""
    if len(row) > _FEW:
        order[:] = np.argsort(-row, kind="mergesort")
        return
    for c in range(len(row)):
        place = c
        while place > 0 and row[order[place - 1]] < row[c]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = c
