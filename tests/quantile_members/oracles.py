"""Slow, obvious twins: a sample's quantiles, and those of a forest's leaves."""

import numpy as np

LITTLE = 1e-9


def weighted_quantile(values, weight, level):
    """Walk up the sorted values until the level's share of the weight is reached."""
    pairs = sorted((v, w) for v, w in zip(values, weight, strict=True) if w > 0)
    total = sum(w for _, w in pairs)
    reached = 0.0
    for i, (value, w) in enumerate(pairs):
        reached += w
        if abs(reached - level * total) <= LITTLE * total and i + 1 < len(pairs):
            return (value + pairs[i + 1][0]) / 2
        if reached >= level * total - LITTLE * total:
            return value
    return pairs[-1][0]


def forest_quantiles(forest, X, y, weight, X_new, levels):
    """Meinshausen's weights by the definition, all training rows for each new row."""
    train, new = forest.apply(X), forest.apply(X_new)
    found = np.empty((len(X_new), len(levels)))
    for row in range(len(X_new)):
        share = np.zeros(len(y))
        for tree in range(train.shape[1]):
            together = (train[:, tree] == new[row, tree]) * weight
            share += together / together.sum() / train.shape[1]
        found[row] = [weighted_quantile(y, share, level) for level in levels]
    return found


def pinball(y, quantiles, levels):
    """Mean over rows and levels."""
    error = y[:, None] - quantiles
    return np.maximum(levels * error, (np.asarray(levels) - 1) * error).mean()
