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

import math
from typing import NamedTuple

import numpy as np

from ._jit import njit

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


def admit(state, batch):
    """Return which rows are new, up to a common factor, and remember them as seen.

    batch : (b, m) int32, C-ordered
    """
    return _admit(state, batch)


def enter(state, batch, losses, archived):
    """Log the first solutions of a search; put them into the archive if `archived`.

    Returns state : to be used from now on.
    """
    state = _with_room(state, batch)
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
    return _ask(state, draws, batch, origin, filled)


def tell(state, batch, losses, origin):
    """Log a batch with its losses, update the archive and adapt the chances.

    Returns state : to be used from now on.
    """
    state = _with_room(state, batch)
    _tell(state, batch, losses, origin)
    return state


def solution(state, s):
    """Return the counts of solution s : (m,) int32."""
    counts = np.zeros(state.hashing.shape[1], np.int32)
    _load(state, s, counts)
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
    _two_point(first, second, draw, published, children)
    return children


def _with_room(state, batch):
    used = state.first[state.numbers[N_SOLUTIONS]]
    needed = used + np.count_nonzero(batch)
    if needed <= len(state.members):
        return state
    room = np.zeros(int(needed), np.int32)
    return state._replace(
        members=np.concatenate([state.members, room]),
        counts=np.concatenate([state.counts, room]),
    )


# Which solutions were seen.
@njit
def _sums(state, counts, divisor):
    """Return the two sums that make the key of counts / divisor."""
    low, high = 0, 0
    for j in range(counts.shape[0]):
        if counts[j] > 0:
            share = np.int64(counts[j]) // divisor
            low = (low + share * state.hashing[0, j]) % PRIME
            high = (high + share * state.hashing[1, j]) % PRIME
    return low, high


@njit
def _divisor(counts):
    divisor = 0
    for j in range(counts.shape[0]):
        if counts[j] > 0:
            divisor = math.gcd(divisor, counts[j])
            if divisor == 1:
                break
    return divisor


@njit
def _key(low, high):
    return high * (PRIME + 1) + low


@njit
def _slot(table, key):
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
    low, high = _sums(state, counts, _divisor(counts))
    return _key(low, high)


@njit
def _seen(state, counts):
    return state.table[_slot(state.table, _key_of(state, counts))] != -1


@njit
def _remember(state, counts):
    key = _key_of(state, counts)
    state.table[_slot(state.table, key)] = key


@njit
def _admit(state, batch):
    new = np.zeros(batch.shape[0], np.bool_)
    for b in range(batch.shape[0]):
        new[b] = not _seen(state, batch[b])
        _remember(state, batch[b])
    return new


# The log and the archive.
@njit
def _enter(state, batch, losses, archived):
    for b in range(batch.shape[0]):
        s = _log(state, batch[b], losses[b])
        if archived:
            _insert(state, s)
        else:
            state.numbers[FIRST_TOLD] = s + 1


@njit
def _log(state, counts, loss):
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
def _load(state, s, counts):
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
def _insert(state, s):
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


# Proposals.
@njit
def _ask(state, draws, batch, origin, filled):
    elites = _ranked_elites(state)
    family = np.zeros((4, batch.shape[1]), np.int32)  # two parents, two children
    for t in range(draws.shape[0]):
        if filled == batch.shape[0]:
            break
        filled = _propose(state, elites, draws[t], family, batch, origin, filled)
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
def _propose(state, elites, draw, family, batch, origin, filled):
    crossing = elites.shape[0] > 1 and draw[0] < state.chances[CROSS]
    chosen, n_random = _choose(state, elites, 1 + crossing, draw)
    source = np.array([np.int64(crossing), -1, n_random, 1 + crossing - n_random])
    if state.rules[ELITE] != DYNAMIC:
        source[2:] = 0
    _load(state, elites[chosen[0]], family[0])
    if not crossing:
        if _mutate(state, family[0], draw[MUTATIONS:TICKETS]):
            filled = _accept(state, family[0], source, batch, origin, filled)
        return filled
    _load(state, elites[chosen[1]], family[1])
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
            new = not _seen(state, counts)
            state.numbers[REJECTED] += not new
        if new:
            filled = _accept(state, counts, source, batch, origin, filled)
    return filled


@njit
def _accept(state, counts, source, batch, origin, filled):
    if filled < batch.shape[0] and counts.sum() <= MAX_TOTAL:
        _remember(state, counts)
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
    if slicing and _two_point(family[0], family[1], draw, published, family[2:]):
        return 2
    for j in range(family.shape[1]):
        family[2, j] = (family[0, j] + family[1, j] + 1) // 2
    return 1


@njit
def _two_point(first, second, draw, published, children):
    """Return whether there are members enough for a slice."""
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
    m, divisor = counts.shape[0], _divisor(counts)
    low, high = _sums(state, counts, 1)
    simple = math.gcd(divisor, step) == 1
    for t in range(m):
        j = (begin + t) % m
        if simple and counts[j] == 0:  # the key changes by one term
            one = (low + step * state.hashing[0, j]) % PRIME
            two = (high + step * state.hashing[1, j]) % PRIME
            if state.table[_slot(state.table, _key(one, two))] == -1:
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
    if _seen(state, counts):
        counts[j] -= step
        counts[other] -= other_step
        return False
    return True


# Adaptation.
@njit
def _tell(state, batch, losses, origin):
    now = state.record[state.numbers[BATCH] % WINDOW]
    now[:] = 0.0
    for b in range(batch.shape[0]):
        s = _log(state, batch[b], losses[b])
        entered = _insert(state, s)
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
