"""The selective vote on arrays: answer where the two leading classes differ enough."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _votes, kernels
from .._votes import SelectiveVote

__all__ = ["SelectiveVote", "selective_cutoffs", "selective_vote", "vote_counts"]


def selective_cutoffs(alpha: float, n_members: int) -> NDArray:
    """Return the votes that the first of two leading classes needs.

    A row is answered where ``best >= cutoffs[best + second]``, `best` and `second`
    being the votes of its two leading classes. That is the exact two-sided binomial
    test of both against a fair coin, as one comparison of integers: third classes and
    missing votes need no case of their own.

    Parameters
    ----------
    alpha : float
        Level of the test in (0, 1).
    n_members : int
        Most votes that a row can have, >= 1.

    Returns
    -------
    cutoffs : ndarray of shape (n_members + 1,), int64
        For each number of votes; ``n_members + 1``, which no class reaches, where so
        few votes never suffice.

    Raises
    ------
    ValueError
        If alpha is outside (0, 1) or `n_members` is below 1.

    Notes
    -----
    In whole numbers up to 1000 votes. Beyond, p-values decide, and whole numbers again
    where one is within 1e-9 of alpha, relative to it: no decision depends on rounding,
    up to 131072 votes. O(n_members) steps; below an alpha of 1e-100 of long numbers.

    References
    ----------
    .. [1] Black, Leino, Fredrikson, "Selective Ensembles for Consistent Predictions",
       ICLR 2022.

    Examples
    --------
    >>> selective_cutoffs(0.05, 10)
    array([11, 11, 11, 11, 11, 11,  6,  7,  8,  8,  9])
    """
    return _votes.cutoffs(alpha, check_count(n_members, "n_members"))


def vote_counts(votes: ArrayLike, n_classes: int | None = None) -> NDArray:
    """Count the votes for each class.

    Parameters
    ----------
    votes : array-like of shape (n_samples, n_members), int
        Codes of the classes; -1 where a member has no vote. int8 is read fastest.
    n_classes : int, default=None
        None means the largest code and one.

    Returns
    -------
    counts : ndarray of shape (n_samples, n_classes), int32

    Raises
    ------
    ValueError
        If votes are no whole numbers from -1 to ``n_classes - 1``.

    Notes
    -----
    O(n_samples * n_members); the transpose of an array (n_members, n_samples) is read
    as it lies, without a copy.

    Examples
    --------
    >>> vote_counts([[0, 2, 2], [1, -1, 1]])
    array([[1, 0, 2],
           [0, 2, 0]], dtype=int32)
    """
    codes, n_classes = _read_votes(votes, n_classes)
    counts, clean = _votes.count(codes, n_classes)
    if not clean:
        _refuse_codes(codes, n_classes)
    return counts


def selective_vote(
    votes: ArrayLike | None = None,
    alpha: float = 0.05,
    *,
    counts: ArrayLike | None = None,
    n_classes: int | None = None,
    correction: str | None = None,
) -> SelectiveVote:
    """Answer with the class of most votes, or abstain where it could be chance.

    With members that are independent trainings of one pipeline, the chance to answer
    with another class than the one that most trainings would give is at most `alpha`
    for each row. That is consistency, not correctness: a pipeline may be wrong time and
    again.

    Parameters
    ----------
    votes : array-like of shape (n_samples, n_members), int
        Codes of the classes; -1 where a member has no vote.
    alpha : float, default=0.05
        Level of the two-sided binomial test in (0, 1).
    counts : array-like of shape (n_samples, n_classes), int
        Votes for each class, instead of `votes`.
    n_classes : int, default=None
        Of `votes`; None means the largest code and one.
    correction : {"holm", "benjamini-hochberg"} or None, default=None
        None tests each row for itself. ``"holm"`` keeps the chance of any wrong answer
        among these rows at alpha, ``"benjamini-hochberg"`` the expected share of wrong
        answers among the answers, of rows that are independent or depend on each other
        positively. An answer then depends on the other rows.

    Returns
    -------
    vote : SelectiveVote
        Labels are int64 codes; the lowest of the classes with equal counts, and 0 in a
        row without votes, which is never accepted.

    Raises
    ------
    ValueError
        If both or none of votes and counts are given, they are no whole numbers in
        their range, alpha is outside (0, 1), or the correction is unknown.

    Notes
    -----
    O(n_samples * n_members); a million rows of 100 int8 votes take .05 s. Fewer than
    ``1 + log2(1 / alpha)`` votes (6 at .05) are never accepted.

    References
    ----------
    .. [1] Black, Leino, Fredrikson, "Selective Ensembles for Consistent Predictions",
       ICLR 2022.

    Examples
    --------
    >>> vote = selective_vote([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]])
    >>> vote.labels, vote.accepted
    (array([1, 1]), array([ True, False]))
    >>> vote.p_value
    array([0.03125, 0.21875])
    """
    _votes.check_correction(correction)
    decided = decide_rows(votes, counts, n_classes, alpha)
    return _votes.selected(decided, alpha, correction)


def check_count(value: int, name: str) -> int:
    """Refuse what is no whole number >= 1."""
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise ValueError(f"{name} is {value!r}; expected a whole number >= 1.")
    return int(value)


def vote_dtype(n_classes: int):
    """Return the smallest signed type that holds -1 and the codes of the classes."""
    return np.min_scalar_type(-max(n_classes, 1))


def check_counts(counts: ArrayLike) -> NDArray:
    """Refuse what are no counts of votes; return them as an int array of two axes."""
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.dtype.kind not in "iu" or counts.shape[1] < 1:
        raise ValueError(
            f"counts have shape {counts.shape} and type {counts.dtype}; expected whole "
            "numbers of shape (n_samples, n_classes)."
        )
    if counts.size and counts.min() < 0:
        row = int(np.argmax((counts < 0).any(axis=1)))
        raise ValueError(f"counts are negative at row {row}; expected 0 or more.")
    # Two counts are added up: in one byte they would overflow.
    return counts if counts.dtype == np.int32 else counts.astype(np.int64, copy=False)


def decide_rows(votes, counts, n_classes, alpha):
    """Return label, best, second and accepted of each row.

    Of counts beyond the table of whole numbers, `accepted` is None: p-values decide.
    """
    if (votes is None) == (counts is None):
        raise ValueError("Give votes or counts, one of them.")
    if counts is None:
        codes, n_classes = _read_votes(votes, n_classes)
        cut = _votes.cutoffs(alpha, codes.shape[1])
        *found, clean = _votes.decide_codes(codes, n_classes, cut)
        if not clean:
            _refuse_codes(codes, n_classes)
        return tuple(found)
    counts = check_counts(counts)
    most = int(counts.sum(axis=1).max(initial=1))
    if _votes.has_table(alpha, most):
        return _votes.decide(counts, _votes.cutoffs(alpha, most))
    _votes.exact_alpha(alpha)  # refused before the work
    return *kernels.votes.lead_counts(counts), None


def _read_votes(votes, n_classes):
    """Return codes in a small signed type, and the number of classes.

    The range of int8 and int16 is left to the kernels to check; of other types it is
    checked before they are made small.
    """
    codes = np.asarray(votes)
    if codes.ndim != 2 or codes.dtype.kind not in "iu" or codes.shape[1] < 1:
        raise ValueError(
            f"votes have shape {codes.shape} and type {codes.dtype}; expected whole "
            "numbers of shape (n_samples, n_members), -1 where there is none."
        )
    if n_classes is None:
        n_classes = int(codes.max(initial=0)) + 1
    n_classes = check_count(n_classes, "n_classes")
    if codes.dtype not in (np.int8, np.int16):
        if codes.min(initial=0) < -1 or codes.max(initial=0) >= n_classes:
            _refuse_codes(codes, n_classes)
        codes = codes.astype(vote_dtype(n_classes))
    return codes, n_classes


def _refuse_codes(codes, n_classes):
    row, member = np.argwhere((codes < -1) | (codes >= n_classes))[0].tolist()
    raise ValueError(
        f"votes hold {codes[row, member]} (row {row}, member {member}); expected "
        f"codes from 0 to {n_classes - 1}, or -1 for a missing vote."
    )
