"""Proposals of a population-based selection: elites, crossover, mutation."""

import math

import numpy as np

from ._jit import njit
from ._population_archive import (
    divisor_of,
    key_of_sums,
    load,
    remember,
    seen,
    slot_of,
    sums,
)
from ._population_state import (
    ALL_MOVES,
    CHILDREN,
    CROSS,
    CROSSOVER,
    DYNAMIC,
    ELITE,
    MAX_TOTAL,
    MOVES,
    MUTATE,
    MUTATIONS,
    N_CELLS,
    N_TRIALS,
    PARENTS,
    PATIENCE,
    PRIME,
    PUBLISHED,
    RANDOM,
    REJECTED,
    SLICE,
    TICKETS,
    TOURNAMENT,
    TWO_POINT,
)


@njit
def propose(state, draws, batch, origin, filled):
    """Write new solutions into the rows of batch from `filled` on; see `ask`."""
    elites = _ranked_elites(state)
    family = np.zeros((4, batch.shape[1]), np.int32)  # two parents, two children
    for t in range(draws.shape[0]):
        if filled == batch.shape[0]:
            break
        filled = _breed(state, elites, draws[t], family, batch, origin, filled)
    return filled


@njit
def _ranked_elites(state):
    """Return the archive's solutions from the lowest loss on; ties by cell."""
    ranked, n = np.empty(N_CELLS, np.int64), 0
    for cell in range(N_CELLS):
        s = state.cells[cell]
        if s >= 0:
            place = n
            while place > 0 and state.losses[ranked[place - 1]] > state.losses[s]:
                ranked[place] = ranked[place - 1]
                place -= 1
            ranked[place] = s
            n += 1
    return ranked[:n]


@njit
def _breed(state, elites, draw, family, batch, origin, filled):
    crossing = elites.shape[0] > 1 and draw[0] < state.chances[CROSS]
    chosen, n_random = _choose(state, elites, 1 + crossing, draw)
    source = np.array([np.int64(crossing), -1, n_random, 1 + crossing - n_random])
    if state.rules[ELITE] != DYNAMIC:
        source[2:] = 0
    load(state, elites[chosen[0]], family[0])
    if not crossing:
        if _mutate(state, family[0], draw[MUTATIONS:TICKETS]):
            filled = _accept(state, family[0], source, batch, origin, filled)
        return filled
    load(state, elites[chosen[1]], family[1])
    for child in range(_cross(state, draw[SLICE], family)):
        counts = family[2 + child]
        if not counts.any():
            continue
        mutated = state.numbers[REJECTED] >= PATIENCE
        mutated = mutated or draw[CHILDREN + child] < state.chances[MUTATE]
        source[1] = mutated
        if mutated:
            place = MUTATIONS + child * (N_TRIALS + 1)
            new = _mutate(state, counts, draw[place : place + N_TRIALS + 1])
        else:
            new = not seen(state, counts)
            state.numbers[REJECTED] += not new
        if new:
            filled = _accept(state, counts, source, batch, origin, filled)
    return filled


@njit
def _accept(state, counts, source, batch, origin, filled):
    if filled < batch.shape[0] and counts.sum() <= MAX_TOTAL:
        remember(state, counts)
        batch[filled] = counts
        origin[filled] = source
        filled += 1
    return filled


@njit
def _choose(state, elites, n_parents, draw):
    """Return ranks of two elites (one counts if n_parents = 1), and how many at random.

    Elites are ranked from the best; with DYNAMIC choice each parent is the best one or
    any.
    """
    chosen, n_random = np.array([0, 1]), 0
    if state.rules[ELITE] == DYNAMIC:
        for p in range(n_parents):
            chosen[p] = 0
            if draw[PARENTS + 2 * p] < state.chances[RANDOM]:
                chosen[p] = int(draw[PARENTS + 2 * p + 1] * elites.shape[0])
                n_random += 1
    elif state.rules[ELITE] == TOURNAMENT:
        _hold_tournament(elites.shape[0], n_parents, draw[TICKETS:], chosen)
    return chosen, n_random


@njit
def _hold_tournament(n_elites, n_parents, draw, chosen):
    """Draw 10 elites for each parent; the i-th best of them wins with weight 0.2**i."""
    ranks, is_drawn = np.arange(n_elites), np.zeros(n_elites, np.bool_)
    n_drawn = min(10 * n_parents, n_elites)
    for t in range(n_drawn):
        other = t + int(draw[t] * (n_elites - t))
        ranks[t], ranks[other] = ranks[other], ranks[t]
        is_drawn[ranks[t]] = True
    for p in range(n_parents):
        # The weights 0.2**i, i < n, add up to (1 - 0.2**n) / 0.8.
        rest, weight = draw[20 + p] * (1.0 - 0.2 ** (n_drawn - p)) / 0.8, 1.0
        for rank in range(n_elites):
            if is_drawn[rank]:
                chosen[p] = rank
                if rest < weight:
                    break
                rest -= weight
                weight *= 0.2
        is_drawn[chosen[p]] = False


@njit
def _cross(state, draw, family):
    """Write the children of family[:2] to family[2:] and return how many there are."""
    published = state.rules[PUBLISHED] == 1
    slicing = state.rules[CROSSOVER] == TWO_POINT
    if slicing and two_point(family[0], family[1], draw, published, family[2:]):
        return 2
    for j in range(family.shape[1]):
        family[2, j] = (family[0, j] + family[1, j] + 1) // 2
    return 1


@njit
def two_point(first, second, draw, published, children):
    """Exchange a slice of the members that either parent has.

    Returns whether there are members enough for a slice.
    """
    m, u = first.shape[0], 0
    for j in range(m):
        u += first[j] + second[j] > 0
    if u < (3 if published else 2):
        return False
    begin, end = _slice(draw, u, published)
    position = 0  # among the members that either parent has
    for j in range(m):
        exchanged = begin <= position < end
        children[0, j] = second[j] if exchanged else first[j]
        children[1, j] = first[j] if exchanged else second[j]
        position += first[j] + second[j] > 0
    return True


@njit
def _slice(draw, u, published):
    """Pick begin < end among 0..u, not both ends; among 0..u-1 if published."""
    if published:
        n_points, number = u, int(draw * (u * (u - 1) // 2))
    else:
        n_points, number = u + 1, int(draw * (u * (u + 1) // 2 - 1))
        # (0, u) would exchange everything: it is the last one of the first row.
        number += number >= u - 1
    begin = 0
    while number >= n_points - 1 - begin:
        number -= n_points - 1 - begin
        begin += 1
    return begin, begin + 1 + number


@njit
def _mutate(state, counts, draw):
    """Change counts to a neighbour that is new; return whether there is one."""
    move = int(draw[0] * 3.0) if state.rules[MOVES] == ALL_MOVES else 0
    if move == 1 and _remove(state, counts, draw[1:]):
        return True
    if move == 2 and _swap(state, counts, draw[1:]):
        return True
    return _add(state, counts, draw[1:])


@njit
def _add(state, counts, draw):
    m, j = counts.shape[0], 0
    for t in range(N_TRIALS):
        j = int(draw[t] * m)
        if _try(state, counts, j, 1, j, 0):
            return True
    step = 1  # it grows by 2 where all smaller ones were taken
    while step < MAX_TOTAL and not _add_untried(state, counts, j, step):
        step += 2
    return step < MAX_TOTAL


@njit
def _add_untried(state, counts, begin, step):
    """Add to the first member from `begin` on, in a circle, that gives a new vector."""
    m, divisor = counts.shape[0], divisor_of(counts)
    low, high = sums(state, counts, 1)
    simple = math.gcd(divisor, step) == 1
    for t in range(m):
        j = (begin + t) % m
        if simple and counts[j] == 0:  # the key changes by one term
            one = (low + step * state.hashing[0, j]) % PRIME
            two = (high + step * state.hashing[1, j]) % PRIME
            if state.table[slot_of(state.table, key_of_sums(one, two))] == -1:
                counts[j] += step
                return True
        elif _try(state, counts, j, step, j, 0):
            return True
    return False


@njit
def _remove(state, counts, draw):
    if counts.sum() < 2:
        return False
    for t in range(N_TRIALS):
        j = _member(counts, draw[t])
        if _try(state, counts, j, -1, j, 0):
            return True
    return False


@njit
def _swap(state, counts, draw):
    for t in range(0, N_TRIALS, 2):
        j, other = _member(counts, draw[t]), int(draw[t + 1] * counts.shape[0])
        if other != j and _try(state, counts, j, -1, other, 1):
            return True
    return False


@njit
def _member(counts, draw):
    """Return one of the members that have picks, each with equal chances."""
    size, j = 0, -1
    for k in range(counts.shape[0]):
        size += counts[k] > 0
    left = int(draw * size)
    while left >= 0:
        j += 1
        left -= counts[j] > 0
    return j


@njit
def _try(state, counts, j, step, other, other_step):
    """Change two counts; take it back and return False if the result was seen."""
    counts[j] += step
    counts[other] += other_step
    if seen(state, counts):
        counts[j] -= step
        counts[other] -= other_step
        return False
    return True
