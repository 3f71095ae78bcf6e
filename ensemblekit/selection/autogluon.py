"""AutoGluon's greedy selection, pick by pick, at the speed of the compiled kernels.

Erickson et al., "AutoGluon-Tabular", 2020: its EnsembleSelection rounds scores to six
digits from the second round on if the first exceeds 1e-4, prefers members already used,
draws among ties from RandomState(0) (with ``tie_breaker="second_metric"``, which is not
its default, only among those of least log loss), and renormalises mixtures of classes
after averaging. Scores come from the fast kernels with a bound on their rounding; where
that bound leaves a choice open, a candidate is scored again in the peer's own order of
operations.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import kernels

# First scores up to this are never rounded.
_EXACT_BELOW = 1e-4
_CLIP = 1e-15


@dataclass
class Published:
    """The peer's running mean, and its scores in its own arithmetic.

    members : m arrays of shape (n,), or (n, K) for K > 2 classes
    y : (n,) targets or codes
    """

    members: list
    y: np.ndarray
    loss: str
    mean: np.ndarray = field(init=False)
    before: np.ndarray = field(init=False)
    picks: list = field(default_factory=list)

    def __post_init__(self):
        self.mean = np.zeros(self.members[0].shape)
        self.before = np.zeros(self.members[0].shape)

    def update(self):
        """Bring the mean and its share of the next mixture up to date."""
        s = len(self.picks)
        if s > 0:
            self.mean *= (s - 1) / s
            self.mean += self.members[self.picks[-1]] / s
            self.before = (s / float(s + 1)) * self.mean

    def mixture(self, member):
        """Return the mean of the picks and one member more, not renormalised."""
        share = 1.0 / float(len(self.picks) + 1)
        return self.before + share * self.members[member]

    def error(self, member):
        """Return the error of the mixture with one member more."""
        mixture = self.mixture(member)
        if mixture.ndim > 1:
            mixture /= mixture.sum(axis=1)[:, np.newaxis]
        return _ERRORS[self.loss](self.y, mixture)

    def second(self, member):
        """Return the log loss that breaks ties."""
        return log_loss(self.y, self.mixture(member))


def log_loss(y, mixture):
    """Return the log loss as the peer has it."""
    if mixture.ndim == 1:
        p = np.clip(mixture, _CLIP, 1 - _CLIP)
        return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())
    eps = np.finfo(mixture.dtype).eps
    p = np.clip(mixture, eps, 1 - eps)[np.arange(len(y)), y]
    return float(np.average(-np.log(p)))


def root_mean_square(y, mixture):
    """Return the root mean squared error."""
    return float(np.sqrt(((y - mixture) ** 2).mean()))


def error_rate(y, mixture):
    """Return 1 - accuracy; one half is class 0, equal classes are the first."""
    labels = mixture > 0.5 if mixture.ndim == 1 else mixture.argmax(axis=1)
    return float(1.0 - np.average(labels == y))


def rank_error(y, mixture):
    """Return 1 - ROC AUC by trapezoids over the sorted scores."""
    order = np.argsort(mixture, kind="mergesort")[::-1]
    scores, truth = mixture[order], y[order]
    ends = np.r_[np.flatnonzero(np.diff(scores)), len(y) - 1]
    right = np.r_[0, np.cumsum(truth)[ends]]
    wrong = np.r_[0, 1 + ends] - right
    return float(1.0 - np.trapezoid(right / right[-1], wrong / wrong[-1]))


_ERRORS = {
    "log_loss": log_loss,
    "squared_error": root_mean_square,
    "zero_one": error_rate,
    "auc": rank_error,
}


def select(members, y, loss, scores, n_rounds, tie_breaker="random"):
    """Return picks and path as AutoGluon's rules give them, and the random stream.

    members : m arrays (n,) or (n, K); y : (n,); loss : one of log_loss, squared_error
    (scored by its root), zero_one, auc; scores : the fast `Scores` of the same loss
    tie_breaker : "random", the peer's default, or "second_metric"
    Picks and path end at the best prefix; the RandomState is that after all rounds.
    """
    random = np.random.RandomState(0)
    exact = Published(members, y, loss)
    doubt = _Doubt(members, y, loss, scores)
    scores.start()
    by_log_loss = tie_breaker == "second_metric" and loss != "squared_error"
    path: list[float] = []
    rounded = False
    while len(path) < n_rounds:
        exact.update()
        low, high = doubt.bounds(exact)
        best, values = _best(low, high, exact, rounded)
        if len(best) > 1:
            best = _settle(best, exact, by_log_loss)
        member = int(random.choice(best))
        value = values.get(member)
        value = exact.error(member) if value is None else value
        if not path and abs(value) > _EXACT_BELOW:
            rounded = True
            value = float(np.round(value, 6))
        path.append(value)
        exact.picks.append(member)
        scores.add(member)
        if len(members) == 1:
            break
    size = path.index(min(path)) + 1
    return np.array(exact.picks[:size]), np.array(path[:size]), random


def _best(low, high, exact, rounded):
    """Return the members of least error, and the errors that had to be computed."""
    values = {}
    if rounded:
        low, high = np.round(low, 6), np.round(high, 6)
        for j in np.flatnonzero((low <= high.min()) & (low != high)):
            values[int(j)] = float(np.round(exact.error(j), 6))
            low[j] = high[j] = values[int(j)]
        for j in np.flatnonzero(low == high):
            values[int(j)] = float(low[j])
        candidates = np.flatnonzero(low == high)
    else:
        near = high.min() + 1e-9 * abs(high.min())
        candidates = np.flatnonzero(low <= near)
        values = {int(j): exact.error(j) for j in candidates}
    errors = np.array([values[int(j)] for j in candidates])
    close = np.isclose(errors, errors.min(), rtol=1e-12, atol=0.0)
    return candidates[close], values


def _settle(best, exact, by_log_loss):
    """Return the tied members that the peer draws from: used ones, if there are any."""
    used = [j for j in best if j in set(exact.picks)]
    best = np.array(used) if used else best
    if len(best) > 1 and by_log_loss:
        seconds = np.array([exact.second(j) for j in best])
        best = best[np.isclose(seconds, seconds.min(), rtol=1e-12, atol=0.0)]
    return best


@dataclass
class _Doubt:
    """Bounds on the peer's errors from the fast losses."""

    members: list
    y: np.ndarray
    loss: str
    scores: Any

    def __post_init__(self):
        if self.loss == "log_loss":
            self.slack = self._log_slack()

    def bounds(self, exact):
        """Return the least and the largest value that each error can have, (m,)."""
        if self.members[0].dtype != np.float64:
            # The peer rounds products to single precision: only its own order will do.
            everything = np.full(len(self.members), np.inf)
            return -everything, everything
        if self.loss == "zero_one":
            wrong, close = np.empty((2, len(self.members)))
            kernels.candidates.close_calls(
                self.scores.P,
                self.scores.codes,
                self.scores._total,
                len(exact.picks) + 1,
                self.scores.pairs,
                wrong,
                close,
            )
            n = len(self.y)
            return 1.0 - (n - wrong + close) / n, 1.0 - (n - wrong - close) / n
        if self.loss == "auc":
            # What ties depends on the last digit: the peer's own sums are ranked.
            share = 1.0 / float(len(exact.picks) + 1)
            losses = self.scores.errors(exact.before, share, 1.0)
            return losses - 1e-12, losses + 1e-12
        losses = self.scores.losses()
        if self.loss == "squared_error":
            # Squares of the Gram matrix cancel.
            noise = 1e-13 * self.scores.gram.diagonal().max()
            low, high = np.maximum(losses - noise, 0.0), losses + noise
            return np.sqrt(low) * (1 - 1e-12), np.sqrt(high) * (1 + 1e-12)
        return losses - self.slack, losses + self.slack

    def _log_slack(self):
        """Return how far rounding can move a mean log loss, the same for all."""
        base, sign, offset = self.scores.base, self.scores.sign, self.scores.offset
        least = offset + sign * np.where(sign > 0, base.min(axis=1), base.max(axis=1))
        sums = 0.0
        if self.members[0].ndim > 1:
            # sum(axis=1) is 10 times slower on so few columns.
            ones = np.ones(self.members[0].shape[1])
            sums = max(np.abs(p @ ones - 1.0).max() for p in self.members)
        # A mixture is no smaller than its smallest part; its rounding is absolute.
        share = np.minimum(1e-15 / np.maximum(least, _CLIP), 40.0).mean()
        return float(1e-13 + share + 2.0 * sums)
