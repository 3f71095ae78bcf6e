"""What adaptive intervals remember: scores, counts of misses, weights of steps.

A state issues levels and thresholds for the next row; told that row's score, and what
was issued for it, it moves on. Both states have the same two methods.
"""

from bisect import bisect_left, insort
from collections import deque
from fractions import Fraction
from math import lcm
from typing import NamedTuple

import numpy as np

from .ranks import exact_level, upper_rank

AUTO = "auto"
# What "auto" weighs: steps, each twice the one before it, and the rows that its choice
# is for (Gibbs, Candes 2024, section 4).
STEPS = tuple(Fraction(2**k, 1000) for k in range(8))
SPAN = 500


class Issued(NamedTuple):
    """Levels and thresholds of a row, one for each alpha, and what they are made of."""

    levels: list[float]
    thresholds: list[float]
    experts: np.ndarray | None  # (n_alphas, n_steps), levels by step


def make_state(alphas, gamma, window, scores):
    """Return the state for a fixed step, or for steps weighed by their merit."""
    if window is not None and window < 1:
        raise ValueError(f"window is {window}; expected 1 or more, or None.")
    ordered = SortedScores(window, scores)
    if isinstance(gamma, str) and gamma == AUTO:
        return WeighedSteps(alphas, ordered)
    try:
        return FixedStep(alphas, exact_level(gamma), ordered)
    except ValueError as error:
        raise ValueError(
            f"gamma is {gamma}; expected a number in (0, 1) or {AUTO!r}."
        ) from error


class SortedScores:
    """The latest scores, sorted."""

    def __init__(self, window, scores):
        recent = np.asarray(scores, dtype=np.float64)[-(window or 0) :].tolist()
        self.window, self.recent = window, deque(recent if window else [])
        self.ordered = sorted(recent)

    def __len__(self):
        return len(self.ordered)

    def at(self, rank):
        """Return the rank-th smallest; infinite beyond the ends."""
        if rank > len(self.ordered):
            return np.inf
        return self.ordered[rank - 1] if rank >= 1 else -np.inf

    def share_above(self, score):
        """Return the level from which on a row of this score is missed."""
        return 1.0 - bisect_left(self.ordered, score) / (len(self.ordered) + 1)

    def add(self, score):
        """Take a score in, and the oldest out where the window is full."""
        insort(self.ordered, score)
        if self.window:
            self.recent.append(score)
            if len(self.recent) > self.window:
                del self.ordered[bisect_left(self.ordered, self.recent.popleft())]


class FixedStep:
    """The rows and misses that have moved each level so far.

    After each row the level moves by ``gamma * (alpha - missed)``: in all by
    ``gamma * (n_rows * alpha - n_missed)``. It is a whole multiple of 1 / unit, found
    from two counts: exact, whatever was typed and however many rows have passed.
    """

    def __init__(self, alphas, gamma, scores):
        steps = [gamma, *alphas, *[gamma * alpha for alpha in alphas]]
        self.alphas, self.unit = alphas, lcm(*[step.denominator for step in steps])
        self.first = [int(alpha * self.unit) for alpha in alphas]
        self.rises = [int(gamma * alpha * self.unit) for alpha in alphas]
        self.fall = int(gamma * self.unit)
        self.scores = scores
        self.n_rows, self.n_missed = 0, [0] * len(alphas)

    def issue(self):
        """Return what the next row gets."""
        n = len(self.scores)
        levels = [
            first + rise * self.n_rows - self.fall * missed
            for first, rise, missed in zip(
                self.first, self.rises, self.n_missed, strict=True
            )
        ]
        # The rank of `upper_rank`: ceil((n + 1) * (1 - level)).
        ranks = [-(-(n + 1) * (self.unit - level) // self.unit) for level in levels]
        thresholds = [self.scores.at(rank) for rank in ranks]
        return Issued([level / self.unit for level in levels], thresholds, None)

    def add(self, score, issued):
        """Learn the score of a row for which that was issued."""
        self.n_rows += 1
        for a, threshold in enumerate(issued.thresholds):
            self.n_missed[a] += bool(score > threshold)
        self.scores.add(score)


class WeighedSteps:
    """Levels of several steps, mixed by how well each of them has done of late.

    Dynamically tuned adaptive conformal inference: exponential weights on the pinball
    loss of each step's level at the level that would just have held the row.
    """

    def __init__(self, alphas, scores):
        self.alphas, self.scores = alphas, scores
        self.n_rows, self.n_missed = 0, [0] * len(alphas)
        self.steps = np.array([float(step) for step in STEPS])
        self.alpha = np.array([[float(alpha)] for alpha in alphas])
        # Levels less alpha, so that one that has not moved is exactly alpha.
        self.moved = np.zeros((len(alphas), len(STEPS)))
        self.share = np.full(self.moved.shape, 1.0 / len(STEPS))
        scale = (1 - self.alpha) ** 2 * self.alpha**3
        scale += self.alpha**2 * (1 - self.alpha) ** 3
        reward = (np.log(len(STEPS) * SPAN) + 2.0) / scale
        self.rate, self.mixing = np.sqrt(3.0 / SPAN * reward), 1.0 / (2 * SPAN)

    def issue(self):
        """Return what the next row gets."""
        moved = (self.share * self.moved).sum(axis=1).tolist()
        levels = [a + Fraction(m) for a, m in zip(self.alphas, moved, strict=True)]
        ranks = [upper_rank(len(self.scores), level) for level in levels]
        thresholds = [self.scores.at(rank) for rank in ranks]
        experts = self.alpha + self.moved
        return Issued([float(level) for level in levels], thresholds, experts)

    def add(self, score, issued):
        """Learn the score of a row for which that was issued."""
        self.n_rows += 1
        for a, threshold in enumerate(issued.thresholds):
            self.n_missed[a] += bool(score > threshold)
        holds, levels = self.scores.share_above(score), issued.experts
        loss = self.alpha * (holds - levels) - np.minimum(holds - levels, 0.0)
        merit = self.share * np.exp(-self.rate * (loss - loss.min(1, keepdims=True)))
        merit /= merit.sum(axis=1, keepdims=True)
        # Some weight goes to all, so that a step out of use may come back.
        self.share = (1.0 - self.mixing) * merit + self.mixing / len(STEPS)
        self.moved += self.steps * (self.alpha - (levels >= holds))
        self.scores.add(score)
