"""How often members are right together, for all pairs in one pass over P."""

import numpy as np

from ._jit import njit


@njit
def correct_bits(P, codes, n_outputs):
    """Return a bit for each row: whether the member's most probable class is right.

    P : (n, m * n_outputs) real, probabilities, member by member; one column: of class 1
    codes : (n,) int64
    Returns (m, ceil(n / 64)) uint64; the last word is filled up with 0. O(n m).
    """
    n, n_members = P.shape[0], P.shape[1] // n_outputs
    bits = np.zeros((n_members, (n + 63) // 64), np.uint64)
    for w in range(bits.shape[1]):
        rows = range(64 * w, min(64 * w + 64, n))
        for m in range(n_members):
            word = np.uint64(0)
            for i in rows:
                if n_outputs == 1:
                    right = (P[i, m] > 0.5) == (codes[i] == 1)
                else:
                    right = _vote(P[i], m * n_outputs, n_outputs) == codes[i]
                word |= np.uint64(right) << np.uint64(i - 64 * w)
            bits[m, w] = word
    return bits


@njit
def _vote(row, first, n_outputs):
    """Return the most probable class of a member, the first of ties."""
    vote = 0
    for c in range(1, n_outputs):
        if row[first + c] > row[first + vote]:
            vote = c
    return vote


@njit
def pack_rows(correct):
    """Return the columns of a matrix of bool as bits: (m, ceil(n / 64)) uint64."""
    n, n_members = correct.shape
    bits = np.zeros((n_members, (n + 63) // 64), np.uint64)
    for w in range(bits.shape[1]):
        rows = range(64 * w, min(64 * w + 64, n))
        for m in range(n_members):
            word = np.uint64(0)
            for i in rows:
                word |= np.uint64(correct[i, m]) << np.uint64(i - 64 * w)
            bits[m, w] = word
    return bits


@njit
def right_together(bits):
    """Count the rows on which both members of a pair are right: (m, m) int64.

    On the diagonal the rows on which the one is. O(m**2 n / 64).
    """
    n_members, n_words = bits.shape
    counts = np.zeros((n_members, n_members), np.int64)
    for a in range(n_members):
        for b in range(a, n_members):
            total = 0
            for w in range(n_words):
                total += _ones(bits[a, w] & bits[b, w])
            counts[a, b] = counts[b, a] = total
    return counts


@njit
def _ones(word):
    """Count the bits that are 1."""
    pairs, fours = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
    eights = np.uint64(0x0F0F0F0F0F0F0F0F)
    word = word - ((word >> np.uint64(1)) & pairs)
    word = (word & fours) + ((word >> np.uint64(2)) & fours)
    word = (word + (word >> np.uint64(4))) & eights
    word += word >> np.uint64(8)
    word += word >> np.uint64(16)
    word += word >> np.uint64(32)
    return np.int64(word & np.uint64(127))
