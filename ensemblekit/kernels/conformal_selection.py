"""Rows selected at a false discovery rate, and the model each row would choose.

Jin, Candes, "Selection by prediction with conformal p-values", JMLR 24, 2023. Bai, Jin,
"Optimized conformal selection", arXiv 2411.17983.

A score is low where a row looks worth selecting. Ranks are counted as whole numbers and
compared with whole limits: limits[r] is the largest count that passes as the r-th.
"""

import numpy as np


def ranks_of(calibration, scores):
    """Count the calibration scores below each score, and those equal to it.

    calibration : (n,) float64, ascending
    scores : (m,) float64; faster if ascending
    Returns below, equal : (m,) int64. O(n + m) to O((n + m) log n).
    """
    below = np.searchsorted(calibration, scores, side="left")
    return below, np.searchsorted(calibration, scores, side="right") - below


def auxiliary_sizes(counts, scores, limits):
    """Return for each row the rows that Benjamini-Hochberg selects from its view.

    In the view of row j its own p-value is 0 and its own score one of the calibration:
    the p-value of a row l counts #{calibration <= score_l} + 1[score_j <= score_l].

    counts : (m,) int64, #{calibration <= score} of each row
    scores : (m,) float64, ascending
    limits : (m + 1,) int64, ascending; limits[0] is not used
    Returns sizes : (m,) int64, >= 1. O(m log m), where the definition has O(m^2).
    """
    m = len(scores)
    ranks = np.arange(2, m + 1)
    # Row j comes first: rows ahead of it in the order move one rank down.
    ahead = np.where(counts[:-1] <= limits[2:], ranks, 0)
    best_ahead = np.zeros(m, np.int64)
    np.maximum.accumulate(ahead, out=best_ahead[1:])
    behind = np.where(counts[1:] + 1 <= limits[2:], ranks, 0).max(initial=0)
    # Ties of row j count its score as well: all of them are behind it.
    first = np.searchsorted(scores, scores, side="left")
    sizes = np.maximum(best_ahead[first], np.where(behind >= first + 2, behind, 1))
    return np.maximum(sizes, 1)


def step_up(p_values, limits):
    """Return the rows selected by Benjamini-Hochberg.

    p_values : (m,) float64
    limits : (m + 1,) float64, ascending; limits[0] is not used
    Returns selected : (m,) bool. O(m log m).
    """
    passing = np.flatnonzero(np.sort(p_values) <= limits[1:])
    if passing.size == 0:
        return np.zeros(len(p_values), np.bool_)
    return p_values <= limits[passing[-1] + 1]


def pruned(sizes, passes):
    """Return the rows that agree on how many they are (e-BH).

    sizes : (m,) float64 or int64, rows in each one's view, times its pruning factor
    passes : (m,) bool, whether its p-value passes in its own view
    Returns selected : (m,) bool: with r the largest number such that r passing rows
    have a size of at most r, those of a size of at most r. O(m log m).
    """
    claims = np.sort(sizes[passes])
    ranks = np.arange(1, len(claims) + 1)
    largest = ranks[claims <= ranks].max(initial=0)
    return passes & (sizes <= largest)
