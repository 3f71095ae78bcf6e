"""Measures of diversity, pair by pair, from lists of rows."""

import numpy as np
from sklearn.metrics import cohen_kappa_score, matthews_corrcoef


def pair(a, b):
    """Q, disagreement, double fault, correlation and kappa of two lists of 0 and 1."""
    rows = list(zip(a, b, strict=True))
    n11, n00, n10, n01 = (
        sum(r == c for r in rows) for c in [(1, 1), (0, 0), (1, 0), (0, 1)]
    )
    q_below = n11 * n00 + n10 * n01
    varies = 0 < sum(a) < len(a) and 0 < sum(b) < len(b)
    constant = len({*a, *b}) == 1
    return (
        (n11 * n00 - n10 * n01) / q_below if q_below else np.nan,
        (n10 + n01) / len(rows),
        n00 / len(rows),
        matthews_corrcoef(a, b) if varies else np.nan,
        np.nan if constant else cohen_kappa_score(a, b),
    )


def all_pairs(correct):
    columns = np.asarray(correct).astype(int).T.tolist()
    values = [[pair(a, b) for b in columns] for a in columns]
    return np.moveaxis(np.array(values), 2, 0)
