"""The binomial test of the two leading classes, as a table of integers.

Of a and b votes for the two leaders, a of a + b = m fair coins come up heads with the
two-sided p-value ``min(1, 2 * P[Bin(m, 1/2) >= a])``, which falls with a. So one number
for each m decides. For few votes it is found in whole numbers; for many, these settle
what is as near to the level as rounding could reach.
"""

from fractions import Fraction
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import kernels

__all__ = [
    "SelectiveVote",
    "count",
    "cutoffs",
    "decide",
    "decide_codes",
    "least_members",
    "p_values",
    "selected",
    "tail",
    "wins",
]

CORRECTIONS = ("holm", "benjamini-hochberg")
# Up to so many votes, the table in whole numbers takes milliseconds.
IN_TABLE = 1000
# Below this level floats of tails lose their digits.
_LEAST_LEVEL = 1e-100
# p-values this close to the level, relative to it, are beyond what floats can tell.
_NEAR = 1e-9
# With more votes than this, whole numbers would take seconds for one row.
_IN_WHOLE_NUMBERS = 2**17


class SelectiveVote(NamedTuple):
    """Labels, and which of them are answers.

    Attributes
    ----------
    labels : ndarray of shape (n_samples,)
        The class of most votes, of the rows that are not accepted as well.
    accepted : ndarray of shape (n_samples,), bool
        True where the row is answered.
    p_value : ndarray of shape (n_samples,), float64
        In (0, 1]; of a fair coin between the two leading classes.
    """

    labels: NDArray
    accepted: NDArray
    p_value: NDArray


def exact_alpha(alpha) -> Fraction:
    """Return the level that was typed: 0.05 is one twentieth.

    Raises
    ------
    ValueError
        If it is no number inside (0, 1).
    """
    value = float(alpha)
    if not 0.0 < value < 1.0:
        raise ValueError(f"alpha is {alpha}; expected a number inside (0, 1).")
    return Fraction(str(value))


def least_members(alpha) -> int:
    """Return the fewest votes that can be accepted: ``2**(1 - m) <= alpha``.

    Examples
    --------
    >>> [least_members(alpha) for alpha in (0.1, 0.05, 0.01, 0.001)]
    [5, 6, 8, 11]
    """
    m = 1
    while Fraction(2, 2**m) > exact_alpha(alpha):
        m += 1
    return m


def cutoffs(alpha, n_members: int) -> NDArray:
    """Return the least votes of the first leader that win m votes, for m = 0, 1, ...

    ``n_members + 1``, which nobody has, where no number of votes wins.
    """
    cut = np.full(n_members + 1, n_members + 1, dtype=np.int64)
    few = n_members if has_table(alpha, n_members) else IN_TABLE
    for m, a in _cutoffs_in_whole_numbers(alpha, few):
        cut[m] = a
    m = np.arange(few + 1, n_members + 1)
    least = _cutoffs_of_many(alpha, m)
    cut[m] = np.where(least <= m, least, n_members + 1)
    return cut


def has_table(alpha, n_members: int) -> bool:
    """Say whether all cutoffs are found in whole numbers; p-values decide otherwise."""
    return n_members <= IN_TABLE or float(alpha) < _LEAST_LEVEL


def _cutoffs_in_whole_numbers(alpha, n_members):
    """Yield the numbers of votes that can be won, and the least votes that win."""
    level, least = exact_alpha(alpha), least_members(alpha)
    # Of 2**m outcomes, `tail` have `a` heads or more, and `rung` have a - 1.
    a, tail, rung = least, 1, least
    for m in range(least, n_members + 1):
        if m > least:
            tail, rung = 2 * tail + rung, rung + _previous(rung, a, m)
            at_a = rung * (m - a + 1) // a
            if 2 * tail * level.denominator > level.numerator << m:
                a, tail, rung = a + 1, tail - at_a, at_a
        yield m, a


def _cutoffs_of_many(alpha, m):
    """Return the least votes that win m votes, by steps from the normal quantile."""
    from scipy.special import ndtri

    guess = np.ceil((m + 1.0 - ndtri(alpha / 2.0) * np.sqrt(m)) / 2.0)
    a = np.clip(guess.astype(np.int64), m // 2 + 1, m)
    rows = np.arange(len(m))
    while rows.size:  # one more as long as these do not win
        rows = rows[(a[rows] <= m[rows]) & ~_win(a[rows], m[rows], alpha)]
        a[rows] += 1
    rows = np.arange(len(m))
    while rows.size:  # one less as long as that wins
        rows = rows[_win(a[rows] - 1, m[rows], alpha)]
        a[rows] -= 1
    return a


def _win(a, m, alpha):
    return wins(a, m - a, _p_values(a, m - a), alpha)


def wins(best: NDArray, second: NDArray, p: NDArray, alpha) -> NDArray:
    """Return where the first leader wins, given the p-values of both counts.

    As exact as `cutoffs`, for any counts; beyond 131072 votes, p-values that are within
    1e-9 of alpha are taken as they are.
    """
    level, accepted = exact_alpha(alpha), p <= float(alpha)
    near = np.abs(p - float(alpha)) <= _NEAR * float(alpha)
    rows = np.flatnonzero(near & (best + second <= _IN_WHOLE_NUMBERS))
    pairs = np.column_stack([best[rows], second[rows]])
    pairs, which = np.unique(pairs, axis=0, return_inverse=True)
    settled = [_wins_in_whole_numbers(a, a + b, level) for a, b in pairs.tolist()]
    accepted[rows] = np.array(settled, dtype=bool)[which.ravel()]
    return accepted


def _wins_in_whole_numbers(a, m, level):
    """Say whether `a` heads or more of m coins are as rare as the level, twice."""
    rung = tail = comb(m, a)
    for heads in range(a, m):
        rung = rung * (m - heads) // (heads + 1)
        tail += rung
    return 2 * tail * level.denominator <= level.numerator << m


def _previous(rung, a, m):
    """Return C(m - 1, a - 2) from C(m - 1, a - 1)."""
    return rung * (a - 1) // (m - a + 1)


def tail(n_votes, cut):
    """Return ``P[Bin(n_votes, 1/2) >= cut]``: a fair coin is accepted on one side."""
    from scipy.stats import binom

    return float(binom.sf(cut - 1, n_votes, 0.5))


def p_values(best: NDArray, second: NDArray) -> NDArray:
    """Return the two-sided p-value of each pair of counts.

    Of many rows each pair is computed once: votes are few, rows are many.
    """
    size = int(best.max(initial=0)) + 1
    if size * size >= len(best):
        return _p_values(best, second)
    first, other = np.divmod(np.arange(size * size), size)
    table = _p_values(first, other).reshape(size, size)
    return kernels.votes.look_up(best, second, table)


def _p_values(best, second):
    from scipy.special import betainc

    p = np.ones(len(best))
    apart = best > second
    a, b = best[apart].astype(np.float64), second[apart].astype(np.float64)
    p[apart] = np.minimum(1.0, 2.0 * betainc(a, b + 1.0, 0.5))
    return p


def decide(counts: NDArray, cut: NDArray):
    """Return label, best, second and accepted of each row of counts."""
    return kernels.votes.decide_counts(counts, cut)


def count(codes: NDArray, n_classes: int):
    """Count votes (n_samples, n_members) of signed codes, -1 where one is missing.

    Return the counts, and whether all codes were in range. Reads rows, or members,
    whichever is contiguous.
    """
    if members_first(codes):
        return kernels.votes.count_members_first(codes.T, n_classes)
    return kernels.votes.count_votes(np.ascontiguousarray(codes), n_classes)


def decide_codes(codes: NDArray, n_classes: int, cut: NDArray):
    """Return label, best, second, accepted, and whether all codes were in range."""
    if members_first(codes):
        return kernels.votes.decide_members_first(codes.T, n_classes, cut)
    return kernels.votes.decide_votes(np.ascontiguousarray(codes), n_classes, cut)


def members_first(codes: NDArray) -> bool:
    """Say whether the votes of a member are contiguous."""
    return codes.flags.f_contiguous and not codes.flags.c_contiguous


def check_correction(correction):
    """Refuse a correction that is not known."""
    if correction is not None and correction not in CORRECTIONS:
        raise ValueError(
            f"correction is {correction!r}; expected None, 'holm' or "
            "'benjamini-hochberg'."
        )


def selected(decided, alpha, correction=None) -> SelectiveVote:
    """Return what `decide` returns with p-values; accepted anew under a correction.

    Where `accepted` is None, p-values decide.
    """
    labels, best, second, accepted = decided
    p = p_values(best, second)
    if accepted is None:
        accepted = wins(best, second, p, alpha)
    if correction is not None:
        accepted = corrected(p, alpha, correction)
    return SelectiveVote(labels, accepted, p)


def corrected(p_value: NDArray, alpha: float, correction: str) -> NDArray:
    """Return which rows pass Holm's, or Benjamini and Hochberg's, procedure."""
    n = len(p_value)
    order = np.argsort(p_value, kind="stable")
    ranks = np.arange(1, n + 1)
    accepted = np.zeros(n, dtype=bool)
    if correction == "holm":
        passing = p_value[order] <= alpha / (n - ranks + 1)
        n_passing = n if passing.all() else int(np.argmin(passing))
    else:
        n_passing = max(ranks[p_value[order] <= alpha * ranks / n], default=0)
    accepted[order[:n_passing]] = True
    return accepted


def attainable_level(best: NDArray, second: NDArray, coverage: float) -> float | None:
    """Return the least level that accepts a share of the rows; None if below 1 none.

    In whole numbers; the float is rounded so that `cutoffs` accepts the same rows.
    """
    pairs, n_rows = np.unique(
        np.column_stack([best, second]), axis=0, return_counts=True
    )
    exact = [_exact_p_value(int(a), int(b)) for a, b in pairs]
    answered, needed = 0, Fraction(str(float(coverage))) * len(best)
    for i in sorted(range(len(exact)), key=exact.__getitem__):
        answered += int(n_rows[i])
        if exact[i] >= 1:
            return None
        if answered >= needed:
            return _rounded_up(exact[i])
    return None


def _exact_p_value(a, b):
    if a <= b:
        return Fraction(1)
    heads = sum(comb(a + b, k) for k in range(a, a + b + 1))
    return min(Fraction(1), Fraction(2 * heads, 2 ** (a + b)))


def _rounded_up(level):
    """Return the float whose decimal is the level, or just above."""
    value = float(level)
    while exact_alpha(value) < level:
        value = float(np.nextafter(value, 1.0))
    return value
