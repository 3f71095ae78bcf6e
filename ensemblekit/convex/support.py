"""Which members to keep, when only so many may be, or none may weigh next to nothing.

Forward selection that refits all weights at each step, then exchanges (add, drop, swap)
until none helps. A heuristic: on small problems it finds the best subset in most cases,
and the optimum over all members bounds what it can have missed.
"""

import numpy as np

# Exchanges that are tried on the loss itself, where its quadratic model chose them.
_TRIED = 8


def choose_members(value, n_members, max_members, admits, order):
    """Return the members (ascending) of a locally best subset.

    value : members -> the least objective with weight on all of them alone
    max_members : int, most members
    admits : members -> whether their weights can meet all constraints
    order : all members, the most promising first; taken while no subset is admitted
    O(n_members * max_members) evaluations for the start and for each sweep.
    """
    cache = {}

    def score(members):
        key = tuple(sorted(members))
        if key not in cache:
            subset = np.array(key, dtype=np.intp)
            cache[key] = value(subset) if admits(subset) else np.inf
        return cache[key]

    chosen = _forward(score, list(order), max_members)
    best = score(chosen)
    while True:
        rivals = list(_neighbours(chosen, n_members, max_members))
        scores = [score(rival) for rival in rivals]
        if not rivals or not _below(min(scores), best):
            return np.array(sorted(chosen))
        chosen, best = rivals[int(np.argmin(scores))], min(scores)


def improve(exact, value, chosen, n_members, max_members, admits):
    """Exchange members while that lowers the true objective, not its model.

    exact, value : members -> the objective, and what a model says it is; the few
        exchanges that the model likes best are tried
    """
    chosen, best = list(chosen), exact(np.sort(chosen))
    while True:
        rivals = [np.sort(r) for r in _neighbours(chosen, n_members, max_members)]
        rivals = sorted(filter(admits, rivals), key=value)[:_TRIED]
        scores = [exact(rival) for rival in rivals]
        if not rivals or not _below(min(scores), best):
            return np.sort(chosen)
        chosen, best = list(rivals[int(np.argmin(scores))]), min(scores)


def _forward(score, order, max_members):
    """Add the member that helps most, until none does."""
    chosen: list[int] = []
    best = np.inf
    while len(chosen) < min(max_members, len(order)):
        others = sorted(j for j in order if j not in chosen)
        scores = [score([*chosen, j]) for j in others]
        lowest = min(scores)
        if np.isinf(lowest) and np.isinf(best):
            # Caps may ask for several members before any subset is admitted.
            chosen = [*chosen, next(j for j in order if j not in chosen)]
            continue
        if not _below(lowest, best):
            break
        chosen, best = [*chosen, others[int(np.argmin(scores))]], lowest
    return chosen


def _neighbours(chosen, n_members, max_members):
    """Yield subsets one exchange away."""
    others = [j for j in range(n_members) if j not in chosen]
    for position in range(len(chosen)):
        rest = chosen[:position] + chosen[position + 1 :]
        if rest:
            yield rest
        for j in others:
            yield [*rest, j]
    if len(chosen) < max_members:
        for j in others:
            yield [*chosen, j]


def _below(score, best):
    """Return whether a score is lower by more than rounding."""
    return score < best and (np.isinf(best) or best - score > 1e-12 * abs(best))
