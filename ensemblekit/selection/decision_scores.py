"""Scores of decisions: hard labels, ranks, and any scikit-learn scorer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .. import kernels
from . import offsets
from .scores import Scores
from .tiles import is_whole, kept, mixed, product, tiles

# Candidates whose keys are made in one sweep over P's rows.
_MOST_AT_ONCE = 16
# Picks after which offsets are chosen anew.
_TUNED_EVERY = 5
# Sums of weights in another order: a loss up to this is none, or no path would end.
_ROUNDING = 1e-12


@dataclass
class LabelScores(Scores):
    """Losses of hard labels, from right rows and calls by class.

    codes : (n,) int64; value : hits, predicted, true -> losses, over leading axes
    offsets : (K,) added to the mean of the picks before the largest is taken
    metric : one of `offsets.METRICS`: offsets are then chosen anew every five picks
    """

    P: np.ndarray
    codes: np.ndarray
    weight: np.ndarray
    value: Callable
    offsets: np.ndarray
    metric: str | None = None

    def __post_init__(self):
        self.P = kept(self.P)
        self.n_classes = len(self.offsets)
        self.n_outputs = 1 if self.n_classes == 2 else self.n_classes
        self.n_members = self.P.shape[1] // self.n_outputs
        self.true = np.bincount(self.codes, self.weight, self.n_classes)

    def start(self):
        """Forget all picks."""
        super().start()
        self._total = np.zeros((len(self.P), self.n_outputs))
        self.pairs = kernels.candidates.empty_pairs(self.P, self.n_members)
        if self.metric is not None:
            self.offsets = np.zeros(self.n_classes)

    def losses(self):
        """Return the loss of the picks with each member added. O(n m K) at most."""
        counts = self._summed(self.n_members, self._count_added)
        return _clean(self.value(*counts, self.true))

    def _summed(self, n_mixtures, count):
        """Return hits and calls (n_mixtures, K) of all tiles.

        count : (rows, tile, hits, predicted), writes those of a tile
        """
        total, own = np.zeros((2, 2, n_mixtures, self.n_classes))
        for rows, tile in tiles(self.P):
            count(rows, tile, *own)
            total += own
        return total

    def _count_added(self, rows, tile, hits, predicted):
        given = tile, self.codes[rows], self.weight[rows]
        total, counts = self._total[rows], (self.n_picks + 1, hits, predicted)
        if self.n_classes == 2:
            # p + b > (1 - p): the second class is called above a threshold.
            threshold = 0.5 * (1.0 + self.offsets[0] - self.offsets[1])
            kernels.candidates.binary_labels(*given, total[:, 0], threshold, *counts)
        else:
            pairs = self.pairs[0][rows], *self.pairs[1:]
            mean = total, self.offsets, counts[0], pairs
            kernels.candidates.labels(*given, *mean, *counts[1:])

    def add(self, member):
        """Take a member."""
        d = self.n_outputs
        self._total += self.P[:, member * d : (member + 1) * d]
        self.n_picks += 1
        if self.metric is not None and self.n_picks % _TUNED_EVERY == 0:
            self._tune(self._classes(self._total / self.n_picks))

    def tune(self, weights):
        """Choose the offsets for the mixture of these weights."""
        self._tune(self.mixture(weights))

    def _tune(self, E):
        self.offsets = offsets.tune(E, self.codes, self.weight, self.metric)

    def of(self, weights):
        """Return the loss of each mixture."""
        return _clean(self.value(*self._counts(weights), self.true))

    def _counts(self, weights):
        """Return right rows and calls by class of each mixture, (b, K) each."""
        weights = np.asarray(weights, np.float64)
        members = np.flatnonzero(weights.any(axis=0))
        shares = weights[:, members] / weights.sum(axis=1, keepdims=True)

        def count(rows, tile, hits, predicted):
            given = tile, self.codes[rows], self.weight[rows], self.offsets
            kernels.candidates.mixed_labels(*given, members, shares, hits, predicted)

        return self._summed(len(weights), count)

    def part(self, weights):
        """Return the counts of these rows: metrics of labels are no means over rows."""
        hits, predicted = self._counts(weights[None])
        return hits[0], predicted[0], self.true

    def pool(self, parts):
        """Return the loss of all counts together."""
        counts = (np.sum(own, axis=0) for own in zip(*parts, strict=True))
        return float(_clean(self.value(*counts)))

    def mixture(self, weights):
        """Return the mixture's probabilities of all classes, (n, K)."""
        return self._classes(mixed(self.P, weights))

    def _classes(self, mean):
        return np.hstack([1.0 - mean, mean]) if self.n_classes == 2 else mean

    def weighted(self, weight):
        """Return the scores under other row weights."""
        return replace(self, weight=weight)

    def rows(self, mask):
        """Return the scores on some rows."""
        return self._on(mask, "P", "codes", "weight")


@dataclass
class RankScores(Scores):
    """1 - ROC AUC of two classes, exactly: ties count one half.

    P : (n, m) probabilities of the second class; codes : (n,) int64 of 0 and 1
    """

    P: np.ndarray
    codes: np.ndarray
    weight: np.ndarray

    def __post_init__(self):
        self.P = kept(self.P)
        self.n_members = self.P.shape[1]
        # Products of weights are to stay inside double precision.
        if self.weight.max() != 1.0:
            self.weight = self.weight / self.weight.max()
        if not 0.0 < self.weight[self.codes == 1].sum() < self.weight.sum():
            raise ValueError(
                "AUC needs rows of both classes with positive weight, in every fold "
                "too. Give stratified folds, or more rows."
            )

    def start(self):
        """Forget all picks."""
        super().start()
        self._total = np.zeros(len(self.P))

    def losses(self):
        """Return the loss of the picks with each member added. O(n m log n)."""
        n_picks = self.n_picks + 1
        if not (self.weight == 1.0).all():
            columns = (self.P[:, j] for j in range(self.n_members))
            mixtures = ((self._total + column) / n_picks for column in columns)
            return np.array([self._loss_of(mixture) for mixture in mixtures])
        return self.errors(self._total, 1.0, n_picks)

    def errors(self, before, share, n_picks):
        """Return 1 - AUC of (before + share P) / n_picks of each member, equal rows."""
        n, m = self.P.shape
        mixtures = self.codes, before, share, n_picks
        if is_whole(self.P):
            wins = _all_wins(self.P, *mixtures)
        else:
            # Few columns at a time: they are gathered.
            size = m // 64 + 1
            parts = [slice(first, first + size) for first in range(0, m, size)]
            wins = np.concatenate([_gathered_wins(self.P, p, *mixtures) for p in parts])
        positives = int(self.codes.sum())
        pairs = 2 * positives * (n - positives)
        return (pairs - wins) / pairs

    def add(self, member):
        """Take a member."""
        self._total += self.P[:, member]
        self.n_picks += 1

    def of(self, weights):
        """Return the loss of each mixture."""
        mixtures = (product(self.P, w / w.sum()) for w in weights)
        return np.array([self._loss_of(mixture) for mixture in mixtures])

    def part(self, weights):
        """Return the mixture of these rows: ranks are among all folds' rows."""
        return product(self.P, weights / weights.sum()), self.codes, self.weight

    def pool(self, parts):
        """Return the loss of all rows together."""
        mixture, codes, weight = map(np.concatenate, zip(*parts, strict=True))
        one = np.ones((1, 1))
        return float(RankScores(mixture[:, None], codes, weight).of(one)[0])

    def _loss_of(self, mixture):
        mixture = np.ascontiguousarray(mixture, np.float64)
        # What the negatives win: 1 - AUC would lose the digits that ties are told by.
        lost = kernels.ranks.weighted_wins(
            np.argsort(mixture), mixture, 1 - self.codes, self.weight
        )
        positives = self.weight[self.codes == 1].sum()
        return float(lost / (positives * self.weight[self.codes == 0].sum()))

    def weighted(self, weight):
        """Return the scores under other row weights."""
        return replace(self, weight=weight)

    def rows(self, mask):
        """Return the scores on some rows."""
        return self._on(mask, "P", "codes", "weight")


def _gathered_wins(P, columns, *mixtures):
    """Return the wins of some columns of a P that cannot be read in place."""
    block = np.concatenate([tile for _, tile in tiles(P, columns)])
    return _all_wins(kernels.candidates.frozen(block), *mixtures)


def _all_wins(P, *mixtures):
    """Return twice the pairs that the positive wins, of mixtures with each column."""
    n, m = P.shape
    # Neighbours share cache lines, but keys of all would take as much memory as P.
    at_once = 2 * min(max(m * P.itemsize // 128, 1), _MOST_AT_ONCE // 2)
    keys = np.empty((at_once // 2, n), np.uint64)
    short, ordered = keys.view(np.uint32).reshape(-1, n), np.empty(n, np.uint32)
    wins, tell_apart = np.full(m, -1.0), True
    for first in range(0, m, at_once):
        members = np.arange(first, min(first + at_once, m))
        if tell_apart:
            wins[members] = _short_wins(members, short, ordered, P, *mixtures)
        tied = members[wins[members] < 0]
        # Where values are rounded, short keys serve none of the members.
        tell_apart = len(tied) < len(members)
        for some in range(0, len(tied), len(keys)):
            own = tied[some : some + len(keys)]
            wins[own] = _wins(own, keys, P, *mixtures)
    return wins


def _short_wins(members, keys, ordered, P, codes, *mixture):
    """Return twice the pairs that the positive wins, of mixtures with each member.

    -1 where short keys do not tell; keys : (k, n) and ordered : (n,), to write to
    """
    kernels.ranks.short_keys(P, members, codes, *mixture, keys)
    wins = []
    for member, own in zip(members, keys, strict=False):
        np.copyto(ordered, own)
        ordered.sort()
        wins.append(kernels.ranks.short_wins(ordered, own, P, member, *mixture))
    return wins


def _wins(members, keys, P, codes, *mixture):
    """Return `_short_wins` from the bits of all values."""
    kernels.ranks.rank_keys(P, members, codes, *mixture, keys)
    wins = []
    for own in keys[: len(members)]:
        own.sort()
        wins.append(kernels.ranks.ranked_wins(own))
    return wins


@dataclass
class CallableScores(Scores):
    """Any function of a mixture's predictions: slow, one call for each candidate.

    loss : (mixture (n, d), y, weight, numbers of the rows) -> float, lower is better
    """

    P: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    n_outputs: int
    loss: Callable
    numbers: np.ndarray

    least = -np.inf

    def __post_init__(self):
        self.n_members = self.P.shape[1] // self.n_outputs

    def start(self):
        """Forget all picks."""
        super().start()
        self._total = np.zeros((len(self.P), self.n_outputs))

    def losses(self):
        """Return the loss of the picks with each member added."""
        candidates = ((self._total + self._of(j)) for j in range(self.n_members))
        n_picks = self.n_picks + 1
        return np.array([self._loss_of(total / n_picks) for total in candidates])

    def add(self, member):
        """Take a member."""
        self._total += self._of(member)
        self.n_picks += 1

    def of(self, weights):
        """Return the loss of each mixture."""
        return np.array([self._loss_of(mixed(self.P, w / w.sum())) for w in weights])

    def part(self, weights):
        """Return the mixture of these rows: a scorer may be no mean over rows."""
        mixture = mixed(self.P, weights / weights.sum())
        return mixture, self.y, self.weight, self.numbers

    def pool(self, parts):
        """Return the loss of all rows together."""
        return self.loss(*map(np.concatenate, zip(*parts, strict=True)))

    def _of(self, member):
        return self.P[:, member * self.n_outputs : (member + 1) * self.n_outputs]

    def _loss_of(self, mixture):
        return self.loss(mixture, self.y, self.weight, self.numbers)

    def weighted(self, weight):
        """Return the scores under other row weights."""
        return replace(self, weight=weight)

    def rows(self, mask):
        """Return the scores on some rows."""
        return self._on(mask, "P", "y", "weight", "numbers")


def _clean(losses):
    """Return the losses, 0 for those that are 0 but for rounding."""
    return np.where(np.abs(losses) < _ROUNDING, 0.0, losses)
