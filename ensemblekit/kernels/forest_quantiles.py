"""Quantiles of a regression forest by the leaves that rows share.

Meinshausen, "Quantile Regression Forests", JMLR 7, 2006. A training row weighs, for a
new row, its share of the leaf that both fall into, averaged over the trees.
"""

import numpy as np

from ._jit import njit

# Shares are sums of rounded fractions: as near as that is equal.
EQUAL = 1e-10


def group_by_leaf(leaves, n_nodes, weight):
    """List the training rows of every leaf.

    leaves : (n, n_trees) int, leaf of each training row, rows in the order of y
    n_nodes : (n_trees,) int, nodes of each tree
    weight : (n,) float64 > 0
    Returns members : (n_trees * n,) int32, rows grouped by tree and leaf, ascending;
    starts : (sum n_nodes + 1,) int64, first member of each node, trees in a row;
    scale : (sum n_nodes,) float64, 1 / (n_trees * weight of the leaf), 0 of others.
    """
    n, n_trees = leaves.shape
    members = np.empty((n_trees, n), np.int32)
    counts, scale = [], []
    for tree in range(n_trees):
        leaf = leaves[:, tree]
        members[tree] = np.argsort(leaf, kind="stable")
        counts.append(np.bincount(leaf, minlength=n_nodes[tree]))
        total = np.bincount(leaf, weights=weight, minlength=n_nodes[tree])
        scale.append(np.where(total > 0, 1.0 / np.where(total > 0, total, 1.0), 0.0))
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    return members.ravel(), starts, np.concatenate(scale) / n_trees


@njit
def forest_quantiles(leaves, offsets, members, starts, scale, y, weight, levels, out):
    """Write the weighted quantiles of each new row into `out`.

    leaves : (n_new, n_trees) int, leaf of each new row
    offsets : (n_trees,) int64, number of each tree's first node
    members, starts, scale : as `group_by_leaf` returns them
    y : (n,) float64, ascending; weight : (n,) float64 > 0, in the order of y
    levels : (n_levels,) float64 in (0, 1), ascending
    out : (n_new, n_levels) float64
    The smallest y that reaches the level; where it reaches it exactly, the mean of it
    and the next. O(k log k) a row for k training rows in its leaves, O(n) scratch.
    """
    n = len(y)
    share, seen = np.zeros(n), np.zeros(n, np.bool_)
    touched = np.empty(n, np.int64)
    for row in range(len(leaves)):
        n_touched = 0
        for tree in range(leaves.shape[1]):
            node = offsets[tree] + leaves[row, tree]
            for i in range(starts[node], starts[node + 1]):
                member = members[i]
                if not seen[member]:
                    seen[member] = True
                    touched[n_touched] = member
                    n_touched += 1
                share[member] += weight[member] * scale[node]
        ordered = _sort(touched, n_touched, seen)
        _invert(ordered, share, y, levels, out[row])
        for i in range(len(ordered)):
            share[ordered[i]] = 0.0
            seen[ordered[i]] = False


@njit
def _sort(touched, n_touched, seen):
    """Return the touched rows in ascending order."""
    if 8 * n_touched < len(seen):
        return np.sort(touched[:n_touched])
    found = 0  # of most rows, a scan is faster than a sort
    for row in range(len(seen)):
        if seen[row]:
            touched[found] = row
            found += 1
    return touched[:found]


@njit
def _invert(ordered, share, y, levels, out):
    """Find the quantiles in one pass; `ordered` are the rows with weight."""
    total = 0.0
    for i in range(len(ordered)):
        total += share[ordered[i]]
    slack = EQUAL * total
    i, reached = 0, share[ordered[0]]
    for t in range(len(levels)):
        target = levels[t] * total
        while reached < target - slack and i + 1 < len(ordered):
            i += 1
            reached += share[ordered[i]]
        out[t] = y[ordered[i]]
        if reached <= target + slack and i + 1 < len(ordered):
            out[t] = 0.5 * (out[t] + y[ordered[i + 1]])
