"""The binomial test of the two leading classes, as a table of integers.

Of a and b votes for the two leaders, a of a + b = m fair coins come up heads with the
two-sided p-value ``min(1, 2 * P[Bin(m, 1/2) >= a])``, which falls with a. So one number
for each m decides, and it is found in whole numbers, with no rounding.
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
    "least_members",
    "p_values",
    "selected",
    "tail",
]

CORRECTIONS = ("holm", "benjamini-hochberg")


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
    level, least = exact_alpha(alpha), least_members(alpha)
    cut = np.full(n_members + 1, n_members + 1, dtype=np.int64)
    # Of 2**m outcomes, `tail` have `a` heads or more, and `rung` have a - 1.
    a, tail, rung = least, 1, least
    for m in range(least, n_members + 1):
        if m > least:
            tail, rung = 2 * tail + rung, rung + _previous(rung, a, m)
            at_a = rung * (m - a + 1) // a
            if 2 * tail * level.denominator > level.numerator << m:
                a, tail, rung = a + 1, tail - at_a, at_a
        cut[m] = a
    return cut


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
    return _p_values(first, other)[best * np.int64(size) + second]


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


def count(codes: NDArray, n_classes: int) -> NDArray:
    """Count votes (n_samples, n_members) of codes in range, -1 where one is missing.

    Reads rows, or members, whichever is contiguous.
    """
    if members_first(codes):
        return kernels.votes.count_members_first(codes.T, n_classes)
    return kernels.votes.count_votes(np.ascontiguousarray(codes), n_classes)


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
    """Return what `decide` returns with p-values; accepted anew under a correction."""
    labels, best, second, accepted = decided
    p = p_values(best, second)
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
