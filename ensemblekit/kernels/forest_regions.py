"""How far out targets are in the conditional distributions of a regression forest.

The distribution of each output given a new row is that of the training targets under
the forest's weights (`forest_quantiles`), F(y) its share at or below y and F(y-) below.
"""

import numpy as np

from ._jit import njit

_GRID = 2.0**40


@njit
def forest_depths(leaves, offsets, members, starts, scale, ranks, Y, weight, new, out):
    """Score one target of each new row by its place in the distributions.

    leaves : (n_new, n_trees) int, leaf of each new row
    offsets : (n_trees,) int64, number of each tree's first node
    members, starts, scale : as `forest_quantiles.group_by_leaf` returns them
    ranks : (D, n) int64, ranks[d, i] the place of training row i by output d
    Y : (D, n) float64, each output ascending; weight : (n,) float64 > 0
    new : (n_new, D) float64, targets
    out : (n_new,) float64, max over d of max(0, 1 - 2 F_d(y_d), 2 F_d(y_d-) - 1)
    O(D k log k) a row for k training rows in its leaves, O(n) scratch.
    """
    share, seen = np.zeros(len(weight)), np.zeros(len(weight), np.bool_)
    touched = np.empty(len(weight), np.int64)
    for row in range(len(leaves)):
        nodes = offsets + leaves[row]
        count = _collect(nodes, members, starts, scale, weight, share, seen, touched)
        out[row] = 0.0
        for d in range(len(Y)):
            places, sums = _cumulate(touched[:count], share, ranks[d])
            first = _first(Y[d], places, new[row, d], False)
            after = _first(Y[d], places, new[row, d], True)
            below = sums[first - 1] if first > 0 else 0.0
            upto = sums[after - 1] if after > 0 else 0.0
            out[row] = max(out[row], 1.0 - 2.0 * upto, 2.0 * below - 1.0)
        _clear(touched[:count], share, seen)


@njit
def forest_boxes(
    leaves, offsets, members, starts, scale, ranks, Y, weight, depths, out
):
    """Write the boxes of all targets whose score is at most a depth.

    depths : (n_depths,) float64 in [0, 1], or infinite
    out : (n_new, D, 2, n_depths) float64; the rest as in `forest_depths`
    The lower end is the smallest training target with 1 - 2 F <= depth, the upper end
    the smallest with 2 F - 1 > depth, from which on F(y-) is too large; ends are
    infinite where the depth is 1 or more. O(D (k log k + n_depths log k)) a row.
    """
    share, seen = np.zeros(len(weight)), np.zeros(len(weight), np.bool_)
    touched = np.empty(len(weight), np.int64)
    for row in range(len(leaves)):
        nodes = offsets + leaves[row]
        count = _collect(nodes, members, starts, scale, weight, share, seen, touched)
        for d in range(len(Y)):
            places, sums = _cumulate(touched[:count], share, ranks[d])
            for a in range(len(depths)):
                low, high = -np.inf, np.inf
                if depths[a] < 1.0:
                    low = Y[d, places[_low(sums, depths[a])]]
                    high = Y[d, places[_high(sums, depths[a])]]
                out[row, d, 0, a], out[row, d, 1, a] = low, high
        _clear(touched[:count], share, seen)


@njit
def _collect(nodes, members, starts, scale, weight, share, seen, touched):
    """Add up the shares of the training rows in these leaves; return how many."""
    count = 0
    for node in nodes:
        for i in range(starts[node], starts[node + 1]):
            member = members[i]
            if not seen[member]:
                seen[member] = True
                touched[count] = member
                count += 1
            share[member] += weight[member] * scale[node]
    return count


@njit
def _clear(touched, share, seen):
    for member in touched:
        share[member] = 0.0
        seen[member] = False


@njit
def _cumulate(touched, share, ranks):
    """Return the ascending places of the rows in one output, and F at each.

    Equal targets have several places; only the last of them has the whole F, which is
    the one that is read. F of the last place is 1 exactly. F is rounded to 40 bits, so
    that equal fractions are equal in whatever order they were added.
    """
    places = ranks[touched]
    order = np.argsort(places)
    sums = np.empty(len(places))
    total = 0.0
    for i in range(len(order)):
        total += share[touched[order[i]]]
        sums[i] = total
    return places[order], np.rint(sums / total * _GRID) / _GRID


@njit
def _first(ascending, places, value, above):
    """Return the first position whose target is >= value, or > value."""
    low, high = 0, len(places)
    while low < high:
        middle = (low + high) // 2
        target = ascending[places[middle]]
        if target < value or (above and target == value):
            low = middle + 1
        else:
            high = middle
    return low


@njit
def _low(sums, depth):
    """Return the first position with 1 - 2 F <= depth; F ascends, at last to 1."""
    low, high = 0, len(sums) - 1
    while low < high:
        middle = (low + high) // 2
        if 1.0 - 2.0 * sums[middle] <= depth:
            high = middle
        else:
            low = middle + 1
    return low


@njit
def _high(sums, depth):
    """Return the first position with 2 F - 1 > depth; depth < 1, so there is one."""
    low, high = 0, len(sums) - 1
    while low < high:
        middle = (low + high) // 2
        if 2.0 * sums[middle] - 1.0 > depth:
            high = middle
        else:
            low = middle + 1
    return low
