"""Slow, obvious twins of regions for several outputs."""

import numpy as np


def forest_weights(forest, X_train, weight, x):
    """Meinshausen's weight of each training row for one new row."""
    train, new = forest.apply(X_train), forest.apply(x[None])[0]
    total = np.zeros(len(X_train))
    for tree in range(train.shape[1]):
        same = (train[:, tree] == new[tree]) * weight
        total += same / same.sum() / train.shape[1]
    return total


def distribution(shares):
    """F to 40 bits: sums of fractions in another order differ below that."""
    return np.rint(shares * 2.0**40) / 2.0**40


def forest_depth(weights, Y, y):
    """Max over outputs of max(0, 1 - 2 F(y), 2 F(y-) - 1)."""
    depth = 0.0
    for d in range(Y.shape[1]):
        upto = distribution(weights[Y[:, d] <= y[d]].sum())
        below = distribution(weights[Y[:, d] < y[d]].sum())
        depth = max(depth, 1 - 2 * upto, 2 * below - 1)
    return depth


def forest_ends(weights, targets, depth):
    """The ends of the box of one output, by trying all targets."""
    if depth >= 1:
        return -np.inf, np.inf
    held = np.sort(np.unique(targets[weights > 0]))
    share = distribution(np.array([weights[targets <= t].sum() for t in held]))
    low = held[1 - 2 * share <= depth][0]
    return low, held[2 * share - 1 > depth][0]
