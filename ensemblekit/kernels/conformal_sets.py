"""Conformity scores of classes by their order of probability.

Romano, Sesia, Candes, "Classification with valid and adaptive coverage", NeurIPS 2020;
Angelopoulos et al., "Uncertainty sets for image classifiers using conformal
prediction", ICLR 2021.
"""

import numpy as np

from ._jit import njit

# Up to this many classes an insertion sort is faster than numpy's vectorised one.
_FEW = 16


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
    return _scores(p, _descending(p), u, count, penalty, k_reg)


def cumulative_scores_of_labels(p, y, u, count, penalty, k_reg):
    """Score the true class of each row, bit for bit as `cumulative_scores` does.

    y : (n,) int, codes of the true classes; the rest as there
    Returns (n,) float64.
    """
    return _scores_of_labels(p, _descending(p), y, u, count, penalty, k_reg)


@njit
def _scores(p, order, u, count, penalty, k_reg):
    scores = np.empty(p.shape)
    for i in range(len(p)):
        before = 0.0
        for r in range(p.shape[1]):
            mass = 1.0 if count else p[i, order[i, r]]
            total = _score(before, mass, u[i], count, penalty, r - k_reg)
            scores[i, order[i, r]] = total
            before += mass
    return scores


@njit
def _scores_of_labels(p, order, y, u, count, penalty, k_reg):
    scores = np.empty(len(p))
    for i in range(len(p)):
        before, r = 0.0, 0
        while order[i, r] != y[i]:  # the same additions in the same order
            before += 1.0 if count else p[i, order[i, r]]
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


def _descending(p):
    """Return the classes of each row, most probable first, equal ones as they stand."""
    if p.shape[1] <= _FEW:
        order = np.empty(p.shape, np.int64)
        _insert(p, order)
        return order
    order = np.argsort(-p, axis=1)  # fast, but equal ones in any order
    _order_ties(p, order)
    return order


@njit
def _insert(p, order):
    for i in range(len(p)):
        for c in range(p.shape[1]):
            place = c
            while place > 0 and p[i, order[i, place - 1]] < p[i, c]:
                order[i, place] = order[i, place - 1]
                place -= 1
            order[i, place] = c


@njit
def _order_ties(p, order):
    n_classes = p.shape[1]
    for i in range(len(p)):
        first = 0
        for r in range(1, n_classes + 1):
            if r < n_classes and p[i, order[i, r]] == p[i, order[i, first]]:
                continue
            if r - first > 1:
                order[i, first:r] = np.sort(order[i, first:r])
            first = r
