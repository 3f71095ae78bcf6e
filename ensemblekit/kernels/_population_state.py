"""What a population-based selection remembers, and its constants."""

from typing import NamedTuple

import numpy as np

SIDE = 7  # cells along one descriptor
N_CELLS = SIDE * SIDE
WINDOW = 10  # batches whose successes set the chances
PATIENCE = 50  # rejected children in one batch, before all of them are mutated
MAX_TOTAL = 1_000_000  # picks in one solution: crossover may add those of its parents
NUDGE = 1e-6  # descriptors on a bound belong to the cell above it
PRIME = 2_147_483_647  # keys are two sums modulo it, and products stay below 2**62

# Positions in `State.chances`: of crossover, of mutating a child, of a random elite.
CROSS, MUTATE, RANDOM = 0, 1, 2
# Positions in `State.rules`.
ARCHIVE, ELITE, CROSSOVER, MOVES, PUBLISHED, TRAIT = 0, 1, 2, 3, 4, 5
QUALITY, DIVERSITY = 0, 1
DYNAMIC, DETERMINISTIC, TOURNAMENT = 0, 1, 2
AVERAGE, TWO_POINT = 0, 1
ADD, ALL_MOVES = 0, 1
SIZE = -1  # as a trait: the number of members
# Positions in `State.numbers`.
N_SOLUTIONS, FIRST_TOLD, REMAPPED, BATCH, REJECTED = 0, 1, 2, 3, 4
# Positions in one try's draws.
N_TRIALS = 8  # members tried at random by a mutation
PARENTS, SLICE, CHILDREN, MUTATIONS = 1, 5, 6, 8
TICKETS = MUTATIONS + 2 * (N_TRIALS + 1)
DRAWS = TICKETS + 22


class State(NamedTuple):
    """What a search remembers; `enter`, `ask` and `tell` change its arrays.

    first : (capacity + 1,) int64; entries first[s] to first[s + 1] are solution s
    members, counts : (n_entries,) int32, the log, with room at the end
    losses : (capacity,) float64
    traits : (capacity, 2) float64, the descriptors
    cells : (49,) int64, solution in each cell of the archive, or -1
    bounds : (2, 8) float64, of the cells along each descriptor
    chances : (3,) float64, CROSS, MUTATE and RANDOM
    record : (10, 3, 2, 3) float64; of a batch, a chance and one of its two arms:
        tries, entries into the archive, sum of losses
    table : (power of two,) int64, keys of the solutions seen, or -1
    hashing : (2, m) int64 in [1, PRIME)
    similarity : (n_similarities, m, m) float64, symmetric
    rules : (7,) int64; the last two say what the descriptors are: SIZE, or the mean
        of similarity[k] over pairs of members
    numbers : (5,) int64
    """

    first: np.ndarray
    members: np.ndarray
    counts: np.ndarray
    losses: np.ndarray
    traits: np.ndarray
    cells: np.ndarray
    bounds: np.ndarray
    chances: np.ndarray
    record: np.ndarray
    table: np.ndarray
    hashing: np.ndarray
    similarity: np.ndarray
    rules: np.ndarray
    numbers: np.ndarray


def start(similarity, highest, hashing, rules, capacity):
    """Return the state of an empty search.

    highest : (2,) upper ends of the descriptors' ranges, which start at 0
    capacity : int, solutions that will be evaluated at most
    """
    slots = 1 << max(6, int(4 * capacity).bit_length())
    return State(
        first=np.zeros(capacity + 1, np.int64),
        members=np.zeros(16 * capacity, np.int32),
        counts=np.zeros(16 * capacity, np.int32),
        losses=np.full(capacity, np.inf),
        traits=np.zeros((capacity, 2)),
        cells=np.full(N_CELLS, -1),
        bounds=np.outer(highest, np.linspace(0.0, 1.0, SIDE + 1)),
        chances=np.full(3, 0.5),
        record=np.zeros((WINDOW, 3, 2, 3)),
        table=np.full(slots, -1),
        hashing=np.ascontiguousarray(hashing, np.int64),
        similarity=np.ascontiguousarray(similarity, np.float64),
        rules=np.ascontiguousarray(rules, np.int64),
        numbers=np.zeros(5, np.int64),
    )


def with_room(state, batch):
    """Return the state, with room in its log for the solutions of a batch."""
    used = state.first[state.numbers[N_SOLUTIONS]]
    needed = used + np.count_nonzero(batch)
    if needed <= len(state.members):
        return state
    room = np.zeros(int(needed), np.int32)
    return state._replace(
        members=np.concatenate([state.members, room]),
        counts=np.concatenate([state.counts, room]),
    )
