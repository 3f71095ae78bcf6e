"""Plurality and run-off elections of members, and how many it takes to turn them.

Rezaei, Banihashem, Chegini, Feizi, "Run-Off Election: Improved Provable Defense against
Data Poisoning Attacks", ICML 2023; finite aggregation: Wang, Levine, Feizi, ICML 2022.
A member whose scores are all -inf abstains. Ties go to the first class everywhere:
within a member, among the most votes, and in the second round.
"""

import numpy as np

from ._jit import njit

_ALL = 2**62


@njit
def elect(scores, runoff):
    """Hold the election of each row.

    scores : (m, n, K) float64 or float32, no NaN; higher is preferred
    runoff : bool, whether a second round decides between the first two
    Returns winners : (n,) int64
            rivals : (n,) int64, the other finalist
            counts : (n, K) int64, votes in the first round
            margins : (n, K) int64, members that prefer the winner to the class, less
            those that prefer the class. O(m n K).
    """
    m, n, n_classes = scores.shape
    counts = np.zeros((n, n_classes), np.int64)
    votes = np.empty((m, n), np.int32)
    for a in range(m):
        ballots = scores[a]  # one view for all rows; one for each would cost more
        for i in range(n):
            vote = vote_of(ballots, i)
            votes[a, i] = vote
            if vote >= 0:
                counts[i, vote] += 1
    winners, rivals = np.empty(n, np.int64), np.empty(n, np.int64)
    for i in range(n):
        winners[i], rivals[i] = _first_two(counts[i])
    if runoff:
        _second_round(scores, votes, winners, rivals)
    return winners, rivals, counts, _margins(scores, votes, winners)


@njit
def vote_of(ballots, i):
    """Return the class of the highest score, the first of ties; -1 if all are -inf."""
    vote, best = -1, -np.inf
    for c in range(ballots.shape[1]):
        if ballots[i, c] > best:
            vote, best = c, ballots[i, c]
    return vote


@njit
def _prefers(ballots, i, a, b):
    """Return 1 where ballot i has class a before b, -1 the other way, 0 for a = b."""
    if a == b:
        return 0
    own, other = ballots[i, a], ballots[i, b]
    if own > other or (own == other and a < b):
        return 1
    return -1


@njit
def _first_two(counts):
    first, second = 0, -1
    for c in range(1, len(counts)):
        if counts[c] > counts[first]:
            first, second = c, first
        elif second < 0 or counts[c] > counts[second]:
            second = c
    return first, second


@njit
def _second_round(scores, votes, winners, rivals):
    """Exchange winner and rival where members prefer the rival."""
    lead = np.zeros(len(winners), np.int64)
    for a in range(scores.shape[0]):
        ballots = scores[a]
        for i in range(len(winners)):
            if votes[a, i] >= 0:
                lead[i] += _prefers(ballots, i, winners[i], rivals[i])
    for i in range(len(winners)):
        if lead[i] < 0 or (lead[i] == 0 and rivals[i] < winners[i]):
            winners[i], rivals[i] = rivals[i], winners[i]


@njit
def _margins(scores, votes, winners):
    """Count the members for the winner less those for each other class."""
    m, n, n_classes = scores.shape
    margins = np.zeros((n, n_classes), np.int64)
    for a in range(m):
        ballots = scores[a]
        for i in range(n):
            if votes[a, i] < 0:
                continue
            w = winners[i]
            own = ballots[i, w]
            # Two loops without branches: a tie is for the winner where it comes first.
            for c in range(w):
                margins[i, c] += 2 * (own > ballots[i, c]) - 1
            for c in range(w + 1, n_classes):
                margins[i, c] += 2 * (own >= ballots[i, c]) - 1
    return margins


@njit
def changes_of_one(gap):
    """Return the members to change until one class makes up a gap: 2 votes each."""
    return (gap + 1) // 2


@njit
def changes_of_two(gap, other):
    """Return the members to change until two classes have both passed the winner.

    A vote taken from the winner for the one counts 2 for it and 1 for the other: the
    least a + b with 2 a + b >= gap and a + 2 b >= other.
    """
    alone = max(changes_of_one(gap), changes_of_one(other))
    return max(alone, (gap + other + 2) // 3)


@njit
def certify(winners, rivals, counts, margins, runoff):
    """Return the members that can change at will without changing the winner.

    Arguments as `elect` returns them. Returns radius : (n,) int64 >= 0. O(n K**2).
    """
    radius = np.empty(len(winners), np.int64)
    for i in range(len(winners)):
        w, row = winners[i], counts[i]
        if runoff:
            turn = min(_push_out(row, w), _beat(row, margins[i], w, rivals[i]))
        else:
            turn = _ALL
            for c in range(len(row)):
                if c != w:
                    turn = min(turn, changes_of_one(_gap(row, w, c)))
        radius[i] = turn - 1
    return radius


@njit
def _gap(counts, w, c):
    """Return the votes that c has to make up to be placed before w."""
    return max(counts[w] - counts[c] + (1 if c > w else 0), 0)


@njit
def _push_out(counts, w):
    """Return the changes until two classes are placed before the winner."""
    turn = _ALL
    for a in range(len(counts)):
        for b in range(a):
            if a != w and b != w:
                gaps = _gap(counts, w, a), _gap(counts, w, b)
                turn = min(turn, changes_of_two(gaps[0], gaps[1]))
    return turn


@njit
def _beat(counts, margins, w, rival):
    """Return the changes until a class is in the final and beats the winner there."""
    turn = _ALL
    for c in range(len(counts)):
        if c != w:
            enter = 0 if c == rival else changes_of_one(_gap(counts, rival, c))
            win = changes_of_one(max(margins[c] + (1 if c > w else 0), 0))
            turn = min(turn, max(enter, win))
    return turn


@njit
def certify_buckets(scores, winners, rivals, counts, margins, buckets, runoff):
    """Return the buckets that can change without changing the winner.

    A bucket changes all the members that it touches, and a gap by no more than the sum
    of what each of them could: the largest sums first, until the gap is made up.

    buckets : (n_buckets, d) int64, members that a bucket touches, distinct in a row
    Others as of `elect` and `certify`. O(n K**2 n_buckets d).
    """
    m, n, n_classes = scores.shape
    radius = np.empty(n, np.int64)
    ballots = np.empty((m, n_classes), scores.dtype)
    votes = np.empty(m, np.int64)
    for i in range(n):
        for a in range(m):
            ballots[a] = scores[a, i]
            votes[a] = vote_of(ballots, a)
        w, row = winners[i], counts[i]
        alone = np.full(n_classes, _ALL)
        for c in range(n_classes):
            if c != w:
                power = _vote_power(votes, w, c)
                alone[c] = _least(_gap(row, w, c), power, buckets)
        turn = alone.min()
        if runoff:
            turn = _beat_by_buckets(
                ballots, votes, row, margins[i], w, rivals[i], buckets
            )
            turn = min(turn, _push_out_by_buckets(votes, row, w, alone, buckets))
        radius[i] = turn - 1
    return radius


@njit
def _vote_power(votes, w, c):
    """Return by how much each member can close the gap of c to w."""
    power = np.ones(len(votes), np.int64)
    for a in range(len(votes)):
        if votes[a] == w:
            power[a] = 2
        elif votes[a] == c:
            power[a] = 0
    return power


@njit
def _least(gap, power, buckets):
    """Return the least number of buckets whose powers sum to the gap at least.

    One more than there are where all of them do not.
    """
    width = buckets.shape[1]
    tally = np.zeros(3 * width + 1, np.int64)
    for b in range(len(buckets)):
        total = 0
        for j in range(width):
            total += power[buckets[b, j]]
        tally[total] += 1
    taken = 0
    for p in range(3 * width, 0, -1):
        if gap <= 0:
            break
        take = min(tally[p], (gap + p - 1) // p)
        taken += take
        gap -= take * p
    return taken + 1 if gap > 0 else taken


@njit
def _push_out_by_buckets(votes, counts, w, alone, buckets):
    """Return the buckets until two classes are placed before the winner."""
    turn = _ALL
    power = np.empty(len(votes), np.int64)
    for c in range(len(votes)):
        # One of w's votes can close two gaps by 3 in all, any other by 1.
        power[c] = 3 if votes[c] == w else 1
    for a in range(len(counts)):
        for b in range(a):
            if a == w or b == w or max(alone[a], alone[b]) >= turn:
                continue
            both = _least(_gap(counts, w, a) + _gap(counts, w, b), power, buckets)
            turn = min(turn, max(both, max(alone[a], alone[b])))
    return turn


@njit
def _beat_by_buckets(ballots, votes, counts, margins, w, rival, buckets):
    """Return the buckets until a class is in the final and beats the winner there."""
    turn = _ALL
    power = np.empty(len(votes), np.int64)
    for c in range(len(counts)):
        if c == w:
            continue
        for a in range(len(votes)):
            power[a] = 1 if votes[a] < 0 else 1 + _prefers(ballots, a, w, c)
        win = _least(max(margins[c] + (1 if c > w else 0), 0), power, buckets)
        enter = 0
        if c != rival:
            gap = _gap(counts, rival, c)
            enter = _least(gap, _vote_power(votes, rival, c), buckets)
        turn = min(turn, max(enter, win))
    return turn
