"""Pairs of rows that are ranked right, of many candidates: what ROC AUC counts.

Keys are integers that sort by a mixture's value with the class in the lowest bit. Short
ones take half the memory and the sorting; the few pairs that they cannot tell apart
are compared by their values.
"""

import numpy as np

from ._jit import njit

# Short keys hold values below 1 in units of 2^-31.
SHORT_UNIT = 2.0**31
LARGEST_SHORT = 1.0 - 0.5**31
# Ties among short keys that are looked up one by one.
MOST_LOOKED_UP = 8
# Rows whose keys are made together.
SPAN_ROWS = 1024
# Rows of P that are read together: the memory serves them side by side.
READ_ROWS = 8


@njit
def short_keys(P, members, codes, before, share, n_picks, keys):
    """Write the members' mixtures (before + share p) / n_picks as short keys.

    Values are cut to 31 binary places. members : (k,) int64; keys : (k, n) uint32
    """
    n = P.shape[0]
    tile = np.empty((members.shape[0], SPAN_ROWS + 8))
    for start in range(0, n, SPAN_ROWS):
        stop = min(start + SPAN_ROWS, n)
        transpose(P, start, stop, members, tile)
        ahead, label = before[start:stop], codes[start:stop]
        for a in range(members.shape[0]):
            own, key = tile[a], keys[a, start:stop]
            for i in range(stop - start):
                value = (ahead[i] + share * own[i]) / n_picks
                value = value if value < LARGEST_SHORT else LARGEST_SHORT
                key[i] = 2 * np.int64(np.int32(value * SHORT_UNIT)) + label[i]


@njit
def rank_keys(P, members, codes, before, share, n_picks, keys):
    """Write the members' mixtures as keys: see `short_keys`.

    The bits of a float in [0, 2) ascend with it and leave the lowest place free.
    keys : (k, n) uint64
    """
    n, one = P.shape[0], np.uint64(1)
    tile = np.empty((members.shape[0], SPAN_ROWS + 8))
    bits = tile.view(np.uint64)
    for start in range(0, n, SPAN_ROWS):
        stop = min(start + SPAN_ROWS, n)
        transpose(P, start, stop, members, tile)
        ahead, label = before[start:stop], codes[start:stop]
        for a in range(members.shape[0]):
            own, own_bits, key = tile[a], bits[a], keys[a, start:stop]
            for i in range(stop - start):
                # + 0.0 turns -0.0 into 0.0, whose bits are 0.
                own[i] = (ahead[i] + share * own[i]) / n_picks + 0.0
            for i in range(stop - start):
                key[i] = (own_bits[i] << one) | np.uint64(label[i])


@njit
def transpose(P, start, stop, members, tile):
    """Write the members' columns of some rows of P into the rows of tile."""
    n_blocks = (stop - start) // READ_ROWS
    for block in range(n_blocks):
        first = block * READ_ROWS
        for a in range(members.shape[0]):
            for i in range(first, first + READ_ROWS):
                tile[a, i] = P[start + i, members[a]]
    for i in range(n_blocks * READ_ROWS, stop - start):
        for a in range(members.shape[0]):
            tile[a, i] = P[start + i, members[a]]


@njit
def ranked_wins(keys):
    """Return twice the pairs that the positive wins, ties one half: an integer.

    keys : (n,) uint64, ascending, the class in the lowest bit
    """
    wins, n_ties = _wins_by_place(keys, np.uint64(1))
    return wins - tied_pairs(keys) if n_ties > 0 else wins


@njit
def short_wins(ordered, keys, P, member, before, share, n_picks):
    """Return `ranked_wins` from short keys, or -1 where too many of them tie.

    ordered : (n,) uint32, `keys` of the member's mixture, ascending
    """
    one = np.uint32(1)
    wins, n_ties = _wins_by_place(ordered, one)
    if n_ties > MOST_LOOKED_UP:
        return np.int64(-1)
    i, n = 0, ordered.shape[0]
    while n_ties > 0:
        i += 1
        if ordered[i] ^ ordered[i - 1] == one:
            if i > 1 and ordered[i - 2] == ordered[i - 1]:
                return np.int64(-1)
            if i + 1 < n and ordered[i + 1] == ordered[i]:
                return np.int64(-1)
            # Among equal short values, keys put the positive above.
            a, b = row_of(keys, ordered[i]), row_of(keys, ordered[i - 1])
            positive = (before[a] + share * P[a, member]) / n_picks
            negative = (before[b] + share * P[b, member]) / n_picks
            wins -= 0 if positive > negative else (1 if positive == negative else 2)
            n_ties -= 1
    return wins


@njit
def row_of(keys, key):
    """Return the row of the one key of that value."""
    row = -1
    for i in range(keys.shape[0]):
        row = i if keys[i] == key else row
    return row


@njit
def _wins_by_place(keys, one):
    """Return twice the wins as if no values tied, and how often classes meet in one."""
    places, positives, n_ties = np.int64(0), np.int64(0), np.int64(0)
    for i in range(keys.shape[0]):
        label = np.int64(keys[i] & one)
        places += label * i
        positives += label
    for i in range(1, keys.shape[0]):
        n_ties += 1 if keys[i] ^ keys[i - 1] == one else 0
    # The p-th positive has its place less p negatives below.
    return 2 * places - positives * (positives - 1), n_ties


@njit
def tied_pairs(keys):
    """Return how many pairs of a positive and a negative have equal values."""
    pairs, start, n, one = np.int64(0), 0, keys.shape[0], np.uint64(1)
    while start < n:
        value, stop, positive = keys[start] >> one, start, np.int64(0)
        while stop < n and keys[stop] >> one == value:
            positive += np.int64(keys[stop] & one)
            stop += 1
        pairs += positive * (stop - start - positive)
        start = stop
    return pairs


@njit
def weighted_wins(order, values, codes, weight):
    """Return the weight of pairs that the positive wins, ties one half.

    order : (n,) that sorts values
    """
    wins, below, start, n = 0.0, 0.0, 0, order.shape[0]
    while start < n:
        value, stop, positive, negative = values[order[start]], start, 0.0, 0.0
        while stop < n and values[order[stop]] == value:
            i = order[stop]
            if codes[i] == 1:
                positive += weight[i]
            else:
                negative += weight[i]
            stop += 1
        wins += positive * (below + 0.5 * negative)
        below += negative
        start = stop
    return wins
