"""Slow, obvious twins of the cross methods: every pair of rows, then a sort."""

from fractions import Fraction
from math import ceil, floor

import numpy as np


def kth_of_all(shift, scale, scores, folds, rank):
    """The rank-th smallest of shift[f] + scale[f] * score over all rows."""
    everything = sorted(
        shift[f] + scale[f] * score for f, score in zip(folds, scores, strict=True)
    )
    if rank < 1:
        return -np.inf
    return everything[rank - 1] if rank <= len(everything) else np.inf


def ranks(n, alpha):
    """The lower and the upper rank of the plus forms."""
    level = Fraction(str(alpha))
    return floor((n + 1) * level), ceil((n + 1) * (1 - level))


def pick(values, rank):
    if rank < 1:
        return -np.inf
    return sorted(values)[rank - 1] if rank <= len(values) else np.inf


def plus(held_out, scores, alpha, scales=None):
    """Plus interval of each row from v (n_rows, n), the model of each row's fold."""
    low, high = ranks(len(scores), alpha)
    scales = np.ones_like(held_out) if scales is None else scales
    return np.array(
        [
            [pick(list(v - s * scores), low), pick(list(v + s * scores), high)]
            for v, s in zip(held_out, scales, strict=True)
        ]
    ).reshape(-1, 2)


def minmax(held_out, scores, alpha):
    """Interval around the extremes of the held-out models."""
    low, high = ranks(len(scores), alpha)
    return np.array(
        [[pick(v.min() - scores, low), pick(v.max() + scores, high)] for v in held_out]
    )


def after_bootstrap(y, in_bag, predictions, new_predictions, alpha, average=np.mean):
    """Jackknife+-after-bootstrap, each row's own aggregate by a mask."""
    kept = [i for i in range(len(y)) if not in_bag[i].all()]
    scores = np.array([abs(y[i] - average(predictions[i, ~in_bag[i]])) for i in kept])
    low, high = ranks(len(kept), alpha)
    bounds = []
    for row in new_predictions:
        v = np.array([average(row[~in_bag[i]]) for i in kept])
        bounds.append([pick(v - scores, low), pick(v + scores, high)])
    return np.array(bounds)
