"""Population-based ensemble selection: proposals, archives and their adaptation.

Purucker et al., "Q(D)O-ES: Population-based Quality (Diversity) Optimisation for Post
Hoc Ensemble Selection in AutoML", AutoML 2023.

A solution is a vector of counts; its ensemble has the weights counts / counts.sum(). A
search calls `enter` with its first solutions, then `ask` for new ones and `tell` for
their losses, which it computes itself. Every evaluated solution stays in a log, and an
archive is the number of one of them for each cell: whatever is in the archive has been
evaluated.

All randomness is in the uniform numbers that `ask` is given: `DRAWS` for each try, with
fixed positions, so that a try never depends on how many numbers another one used.
"""

import numpy as np

from ._jit import njit
from ._population_archive import insert, load, log, remember, seen
from ._population_proposals import propose, two_point
from ._population_state import (
    BATCH,
    CROSS,
    DRAWS,
    FIRST_TOLD,
    MUTATE,
    PRIME,
    PUBLISHED,
    RANDOM,
    REJECTED,
    SIDE,
    SIZE,
    WINDOW,
    start,
    with_room,
)

__all__ = [
    "DRAWS",
    "PRIME",
    "SIDE",
    "SIZE",
    "admit",
    "ask",
    "average_crossover",
    "enter",
    "solution",
    "start",
    "tell",
    "two_point_crossover",
]


def admit(state, batch):
    """Return which rows are new, up to a common factor, and remember them as seen.

    batch : (b, m) int32, C-ordered
    """
    return _admit(state, batch)


def enter(state, batch, losses, archived):
    """Log the first solutions of a search; put them into the archive if `archived`.

    Returns state : to be used from now on.
    """
    state = with_room(state, batch)
    _enter(state, batch, losses, archived)
    return state


def ask(state, draws, batch, origin, filled):
    """Write new solutions into the rows of batch from `filled` on.

    draws : (n_tries, DRAWS) float64 in [0, 1)
    batch : (b, m) int32; origin : (b, 4) int64, where each row comes from: crossover
    (0 or 1), mutated after crossover (0 or 1, else -1), parents drawn at random,
    parents drawn as the best
    Returns filled : rows filled now; call again with other draws if that is too few.
    """
    return propose(state, draws, batch, origin, filled)


def tell(state, batch, losses, origin):
    """Log a batch with its losses, update the archive and adapt the chances.

    Returns state : to be used from now on.
    """
    state = with_room(state, batch)
    _tell(state, batch, losses, origin)
    return state


def solution(state, s):
    """Return the counts of solution s : (m,) int32."""
    counts = np.zeros(state.hashing.shape[1], np.int32)
    load(state, s, counts)
    return counts


def average_crossover(first, second):
    """Return ceil((first + second) / 2) in integers; a vector with itself is itself."""
    return (first + second + 1) // 2


def two_point_crossover(first, second, draw, published=False):
    """Exchange a slice of the members that either parent has.

    first, second : (m,) int32; draw : float in [0, 1) picks the slice
    published : bool, the last of these members is then never exchanged
    Returns children : (2, m) int32, which add up to the parents.
    """
    children = np.zeros((2, len(first)), np.int32)
    two_point(first, second, draw, published, children)
    return children


@njit
def _admit(state, batch):
    new = np.zeros(batch.shape[0], np.bool_)
    for b in range(batch.shape[0]):
        new[b] = not seen(state, batch[b])
        remember(state, batch[b])
    return new


@njit
def _enter(state, batch, losses, archived):
    for b in range(batch.shape[0]):
        s = log(state, batch[b], losses[b])
        if archived:
            insert(state, s)
        else:
            state.numbers[FIRST_TOLD] = s + 1


@njit
def _tell(state, batch, losses, origin):
    now = state.record[state.numbers[BATCH] % WINDOW]
    now[:] = 0.0
    for b in range(batch.shape[0]):
        s = log(state, batch[b], losses[b])
        entered = insert(state, s)
        crossed, mutated, n_random, n_best = origin[b]
        _count(now[CROSS, 1 - crossed], 1, losses[b], entered)
        if crossed:
            _count(now[MUTATE, 1 - mutated], 1, losses[b], entered)
        _count(now[RANDOM, 0], n_random, losses[b], entered)
        _count(now[RANDOM, 1], n_best, losses[b], entered)
    state.numbers[BATCH] += 1
    state.numbers[REJECTED] = 0
    _adapt(state)


@njit
def _count(arm, times, loss, entered):
    arm[0] += times
    arm[1] += times * entered
    arm[2] += times * loss


@njit
def _adapt(state):
    for chance in range(3):
        margin = 0.05 if chance == RANDOM else 0.1
        arms = np.zeros((2, 3))
        for batch in range(WINDOW):
            arms += state.record[batch, chance]
        if state.rules[PUBLISHED] == 1:
            value = _by_mean_loss(arms, state.chances[chance])
        else:
            rates = (arms[:, 1] + 1.0) / (arms[:, 0] + 2.0)
            value = rates[0] / (rates[0] + rates[1])
        state.chances[chance] = min(max(value, margin), 1.0 - margin)


@njit
def _by_mean_loss(arms, before):
    if arms[0, 0] <= 2.0 or arms[1, 0] <= 2.0:
        return before
    means = arms[:, 2] / arms[:, 0]
    total = means[0] + means[1]
    return 1.0 - means[0] / total if total > 0.0 else before
