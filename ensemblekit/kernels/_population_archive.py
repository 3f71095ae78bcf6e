"""A population-based selection's solutions: those seen, their log, the archive."""

import math

import numpy as np

from ._jit import njit
from ._population_state import (
    ARCHIVE,
    FIRST_TOLD,
    N_CELLS,
    N_SOLUTIONS,
    NUDGE,
    PRIME,
    QUALITY,
    REMAPPED,
    SIDE,
    SIZE,
    TRAIT,
)


@njit
def sums(state, counts, divisor):
    """Return the two sums that make the key of counts / divisor."""
    low, high = 0, 0
    for j in range(counts.shape[0]):
        if counts[j] > 0:
            share = np.int64(counts[j]) // divisor
            low = (low + share * state.hashing[0, j]) % PRIME
            high = (high + share * state.hashing[1, j]) % PRIME
    return low, high


@njit
def divisor_of(counts):
    """Return the greatest common divisor of the counts; 0 if all are."""
    divisor = 0
    for j in range(counts.shape[0]):
        if counts[j] > 0:
            divisor = math.gcd(divisor, counts[j])
            if divisor == 1:
                break
    return divisor


@njit
def key_of_sums(low, high):
    """Return one number for two sums, each below PRIME."""
    return high * (PRIME + 1) + low


@njit
def slot_of(table, key):
    """Return the place of a key, or the free one for it."""
    last = table.shape[0] - 1
    slot = key & last
    while table[slot] != -1 and table[slot] != key:
        slot = (slot + 1) & last
    return slot


@njit
def _key_of(state, counts):
    """Return a number that counts have in common with all their multiples.

    Two other vectors share it with probability 2**-62: one would then be skipped.
    """
    low, high = sums(state, counts, divisor_of(counts))
    return key_of_sums(low, high)


@njit
def seen(state, counts):
    """Return whether counts, or a multiple of them, are among the solutions seen."""
    return state.table[slot_of(state.table, _key_of(state, counts))] != -1


@njit
def remember(state, counts):
    """Take counts for seen from now on."""
    key = _key_of(state, counts)
    state.table[slot_of(state.table, key)] = key


@njit
def log(state, counts, loss):
    """Add a solution to the log, which has room for it, and return its number."""
    s = state.numbers[N_SOLUTIONS]
    entry = state.first[s]
    for j in range(counts.shape[0]):
        if counts[j] > 0:
            state.members[entry] = j
            state.counts[entry] = counts[j]
            entry += 1
    state.first[s + 1] = entry
    state.losses[s] = loss
    for axis in range(2):
        state.traits[s, axis] = _describe(state, s, state.rules[TRAIT + axis])
    state.numbers[N_SOLUTIONS] = s + 1
    return s


@njit
def load(state, s, counts):
    """Write solution s to counts."""
    counts[:] = 0
    for entry in range(state.first[s], state.first[s + 1]):
        counts[state.members[entry]] = state.counts[entry]


@njit
def _describe(state, s, trait):
    """Return the size of solution s, or the mean similarity of its pairs of members."""
    first, last = state.first[s], state.first[s + 1]
    size = last - first
    if trait == SIZE:
        return float(size)
    if size == 1:
        return 1.0
    total = 0.0
    for a in range(first, last):
        row = state.similarity[trait, state.members[a]]
        for b in range(first, a):
            total += row[state.members[b]]
    return 2.0 * total / (size * (size - 1))


@njit
def insert(state, s):
    """Offer solution s to the archive and return whether it got in."""
    if state.rules[ARCHIVE] == QUALITY:
        return _replace_worst(state, s)
    entered = _place(state, s)
    n_told = state.numbers[N_SOLUTIONS] - state.numbers[FIRST_TOLD]
    period = state.hashing.shape[1]
    if state.numbers[REMAPPED] == 0:
        period += 40
    if n_told % period == 0:
        _remap(state)
        state.numbers[REMAPPED] = 1
    return entered


@njit
def _replace_worst(state, s):
    worst = 0
    for cell in range(N_CELLS):
        if state.cells[cell] < 0:
            state.cells[cell] = s
            return True
        if state.losses[state.cells[cell]] > state.losses[state.cells[worst]]:
            worst = cell
    if state.losses[s] < state.losses[state.cells[worst]]:
        state.cells[worst] = s
        return True
    return False


@njit
def _place(state, s):
    cell = _cell(state, s)
    elite = state.cells[cell]
    if elite < 0 or state.losses[s] < state.losses[elite]:
        state.cells[cell] = s
        return True
    return False


@njit
def _cell(state, s):
    cell = 0
    for axis in range(2):
        bounds = state.bounds[axis]
        value = max(state.traits[s, axis] + NUDGE, bounds[0])
        value = min(value, bounds[SIDE] - NUDGE)
        position = 0
        while position < SIDE and bounds[position] < value:
            position += 1
        cell = cell * SIDE + max(position - 1, 0)
    return cell


@njit
def _remap(state):
    """Set the bounds at quantiles of all solutions told, and fill the cells anew."""
    first, n = state.numbers[FIRST_TOLD], state.numbers[N_SOLUTIONS]
    for axis in range(2):
        values = np.sort(state.traits[first:n, axis])
        for q in range(SIDE):
            state.bounds[axis, q] = values[q * (n - first) // SIDE]
        state.bounds[axis, SIDE] = values[-1]
    elites = state.cells.copy()
    state.cells[:] = -1
    for elite in elites:
        if elite >= 0:
            _place(state, elite)
    for s in range(first, n):
        _place(state, s)
