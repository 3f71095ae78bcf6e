"""Elections by hand, and every way to change some members."""

from functools import cache
from itertools import combinations, combinations_with_replacement, permutations

import numpy as np


@cache
def certv2(i, j):
    """The authors' dynamic programme for two gaps."""
    if i == 0 and j == 0:
        return 0
    if (i <= 1 and j <= 2) or (i <= 2 and j <= 1):
        return 1
    if j <= 1:
        return -(-i // 2)
    if i <= 1:
        return -(-j // 2)
    return 1 + min(certv2(max(i - 2, 0), j - 1), certv2(i - 1, max(j - 2, 0)))


def ranking(scores):
    """Classes from the preferred on; ties by class."""
    return tuple(sorted(range(len(scores)), key=lambda c: (-scores[c], c)))


def winner(rankings, n_classes, runoff=True):
    """Winner of an election of rankings; None abstains."""
    ballots = [r for r in rankings if r is not None]
    votes = [sum(r[0] == c for r in ballots) for c in range(n_classes)]
    first, second = sorted(range(n_classes), key=lambda c: (-votes[c], c))[:2]
    if not runoff:
        return first
    ahead = sum(r.index(first) < r.index(second) for r in ballots)
    if 2 * ahead == len(ballots):
        return min(first, second)
    return first if 2 * ahead > len(ballots) else second


def ballot_tables(n_classes):
    """Votes and pairwise preferences of every ranking, and of abstaining."""
    rankings = [*permutations(range(n_classes)), None]
    votes = np.zeros((len(rankings), n_classes), int)
    prefer = np.zeros((len(rankings), n_classes, n_classes), int)
    for k, r in enumerate(rankings[:-1]):
        votes[k, r[0]] = 1
        for a, b in combinations(r, 2):
            prefer[k, a, b], prefer[k, b, a] = 1, -1
    return rankings, votes, prefer


def winners_of_tables(votes, prefer, runoff=True):
    """Winners of many elections at once: votes (N, K), preferences (N, K, K)."""
    order = np.argsort(-votes, axis=1, kind="stable")
    first, second = order[:, 0], order[:, 1]
    lead = prefer[np.arange(len(votes)), first, second]
    if not runoff:
        return first
    keep = (lead > 0) | ((lead == 0) & (first < second))
    return np.where(keep, first, second)


def can_turn(rankings, n_classes, changed_sets, runoff=True):
    """Whether some rewriting of one of these sets of members changes the winner."""
    known, votes, prefer = ballot_tables(n_classes)
    codes = np.array([known.index(r) for r in rankings])
    now = winner(rankings, n_classes, runoff)
    for changed in {tuple(sorted(s)) for s in changed_sets}:
        rest = np.delete(codes, list(changed))
        new = np.array(
            list(combinations_with_replacement(range(len(known)), len(changed))), int
        )
        totals = votes[rest].sum(axis=0) + votes[new].sum(axis=1)
        pairs = prefer[rest].sum(axis=0) + prefer[new].sum(axis=1)
        if (winners_of_tables(totals, pairs, runoff) != now).any():
            return True
    return False
