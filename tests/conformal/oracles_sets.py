"""Slow, obvious twins of prediction sets, from the papers."""

from fractions import Fraction

import numpy as np


def score(row, c, method, u, penalty=0.0, k_reg=1):
    """Score of class c of one row of probabilities."""
    order = sorted(range(len(row)), key=lambda k: (-row[k], k))
    rank = order.index(c) + 1
    above = 0.0
    for k in order[: rank - 1]:
        above += row[k]
    if method == "lac":
        return 1.0 - row[c]
    if method == "top_k":
        return rank - 1 + u
    score = min(1.0, above + u * row[c])
    return score + penalty * max(0, rank - k_reg) if method == "raps" else score


def scores(p, method, u, penalty=0.0, k_reg=1):
    return np.array(
        [
            [score(row, c, method, u[i], penalty, k_reg) for c in range(len(row))]
            for i, row in enumerate(p)
        ]
    )


def threshold(values, alpha):
    """The least value that is at or above 1 - alpha of n + 1, by counting."""
    need = (1 - Fraction(str(alpha))) * (len(values) + 1)
    for value in sorted(values):
        if sum(v <= value for v in values) >= need:
            return value
    return np.inf


def sets(p, p_cal, y_cal, alpha, method, u, u_cal, by_class=False, **options):
    own = [
        score(row, c, method, v, **options)
        for row, c, v in zip(p_cal, y_cal, u_cal, strict=True)
    ]
    result = np.zeros(p.shape, bool)
    for i, row in enumerate(p):
        for c in range(len(row)):
            used = (
                [s for s, label in zip(own, y_cal, strict=True) if label == c]
                if by_class
                else own
            )
            s = score(row, c, method, u[i], **options)
            result[i, c] = s <= threshold(used, alpha)
    return result
