"""What a mean of picks would lose with each member added: one class for each loss.

All answer the same questions, so that every rule of selection serves every loss:

start() forgets the picks; losses() returns the loss with each member added, (m,);
add(j) takes member j; of(weights) returns losses of mixtures, weights (b, m) >= 0, any
sum; slope(weights) the gradient of a convex loss, or None; weighted(weight) the
same scores under other row weights; rows(mask) on some rows, without a copy of a large
P (`tiles`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .. import kernels
from .tiles import kept, mean_over_tiles, mixed, product, pulled, some_rows, tiles

# Different weights of rows for which a sweep each is faster than a logarithm a row.
_MOST_LEVELS = 24


class Scores:
    """What the scores of all losses share: the picks so far.

    P : (n, m * d) member-major; weight : (n,) float64 >= 0
    least : the lowest loss there can be; convex : whether `slope` gives a certificate
    """

    n_members: int
    weight: np.ndarray
    of: Any  # (b, m) weights -> (b,) losses
    least = 0.0
    convex = False

    def start(self):
        """Forget all picks."""
        self.n_picks = 0

    def slope(self, weights):
        """Return the gradient of the loss at weights (m,), or None."""
        return None

    def _on(self, rows, matrix, *vectors):
        """Return the scores on some rows of these fields."""
        parts = {name: getattr(self, name)[rows] for name in vectors}
        parts[matrix] = some_rows(getattr(self, matrix), rows)
        return replace(self, **parts)  # type: ignore[type-var]  # a dataclass

    def part(self, weights):
        """Return what these rows, a fold, add to `pool` under weights (m,)."""
        return float(self.of(weights[None])[0]), self.weight.sum()

    def pool(self, parts):
        """Return the loss of the rows of several folds, each under its own weights."""
        losses, sizes = zip(*parts, strict=True)
        return float(np.average(losses, weights=sizes))

    def gap(self, weights):
        """Return how far convex weights may still fall (Frank-Wolfe), or NaN.

        Jaggi, "Revisiting Frank-Wolfe", ICML 2013.
        """
        slope = self.slope(weights) if self.convex else None
        if slope is None:
            return np.nan
        return max(float((slope - slope.min()) @ weights), 0.0)


@dataclass
class LogScores(Scores):
    """Log loss of the linear pool.

    base, sign, offset : A_ij = offset_i + sign_i base_ij is the probability that member
    j gives to the true class; clip : of mixtures, from below
    """

    base: np.ndarray
    sign: np.ndarray
    offset: np.ndarray
    weight: np.ndarray
    clip: float

    convex = True

    def __post_init__(self):
        self.base = kept(self.base)
        self.n_members = self.base.shape[1]

    @cached_property
    def _equal(self):
        return bool((self.weight == 1.0).all())

    @cached_property
    def _levels(self):
        """Return the positive weights that occur; None for many."""
        values = np.unique(self.weight)
        return None if len(values) > _MOST_LEVELS else values[values > 0.0]

    def start(self):
        """Forget all picks."""
        super().start()
        self._total, self._losses = np.zeros(len(self.base)), np.empty(self.n_members)

    def losses(self):
        """Return the loss of the picks with each member added. O(n m)."""
        return mean_over_tiles(self.base, self.weight, self._tile_losses)

    def _tile_losses(self, rows, tile):
        given = tile, self.sign[rows], self.offset[rows]
        rest = self._total[rows], self.n_picks + 1, self.clip, self._losses
        weight = self.weight[rows]
        if self._equal:
            kernels.candidates.logs(*given, np.empty(0, np.int64), *rest)
            return self._losses
        if self._levels is None:
            kernels.candidates.weighted_logs(*given, weight, *rest)
            return self._losses
        # Rows of one weight share logarithms.
        total, whole = np.zeros(self.n_members), weight.sum()
        for level in self._levels:
            times = (weight == level).astype(np.int64)
            share = level * times.sum() / whole
            if share > 0.0:
                kernels.candidates.logs(*given, times, *rest)
                total += share * self._losses
        return total

    def add(self, member):
        """Take a member."""
        self._total += self.offset + self.sign * self.base[:, member]
        self.n_picks += 1

    def of(self, weights):
        """Return the loss of each mixture."""

        def of_tile(rows, tile):
            weight = np.empty(0) if self._equal else self.weight[rows]
            given = tile, self.sign[rows], self.offset[rows], weight
            return kernels.mixtures.log_losses(*given, weights, self.clip)

        return mean_over_tiles(self.base, self.weight, of_tile)

    def _mixture(self, weights):
        mixture = self.offset + self.sign * product(self.base, weights)
        return np.maximum(mixture, self.clip)

    def slope(self, weights):
        """Return the gradient -mean(A_j / mixture)."""
        pull = -self.weight / self.weight.sum() / self._mixture(weights)
        return pulled(self.base, pull * self.sign) + pull @ self.offset

    def weighted(self, weight):
        """Return the scores under other row weights."""
        return replace(self, weight=weight)

    def rows(self, mask):
        """Return the scores on some rows."""
        return self._on(mask, "base", "sign", "offset", "weight")


@dataclass
class SquareScores(Scores):
    """Squared error and Brier score, from the Gram matrix of the residuals.

    design : rows of residuals (`kernels.design`), `terms` of them for each sample
    """

    design: Any
    weight: np.ndarray
    terms: int = 1

    convex = True

    def __post_init__(self):
        self.n_members = self.design.n_members

    @cached_property
    def gram(self):
        """Return the mean Gram matrix of the residuals."""
        repeats = self.design.n_rows // len(self.weight)
        spread = self.weight if repeats == 1 else np.repeat(self.weight, repeats)
        total = self.weight.sum() * self.design.n_rows / len(self.weight) / self.terms
        return self.design.gram(spread) / total

    def start(self):
        """Forget all picks."""
        super().start()
        self._square, self._cross = 0.0, np.zeros(self.n_members)
        self._losses = np.empty(self.n_members)

    def losses(self):
        """Return the loss of the picks with each member added. O(m)."""
        kernels.candidates.squares(
            self.gram, self._square, self._cross, self.n_picks + 1, self._losses
        )
        return self._losses

    def add(self, member):
        """Take a member."""
        self._square += 2.0 * self._cross[member] + self.gram[member, member]
        self._cross += self.gram[member]
        self.n_picks += 1

    def of(self, weights):
        """Return the loss of each mixture."""
        weights = np.asarray(weights, np.float64)
        return kernels.mixtures.quadratic_losses(self.gram, weights)

    def slope(self, weights):
        """Return the gradient 2 G w."""
        return 2.0 * self.gram @ weights

    def weighted(self, weight):
        """Return the scores under other row weights."""
        return replace(self, weight=weight)

    def rows(self, mask):
        """Return the scores on some rows."""
        return replace(
            self,
            design=self.design.take_rows(mask, some_rows),
            weight=self.weight[mask],
        )


@dataclass
class PiecewiseScores(Scores):
    """Absolute error, pinball loss and Huber's: two slopes, and a bend between them.

    target : (n, d); low, high : (d,) slopes below and above 0; bend : Huber's, or 0
    """

    P: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    low: np.ndarray
    high: np.ndarray
    bend: float = 0.0

    convex = True

    def __post_init__(self):
        self.P = kept(self.P)
        self.n_members = self.P.shape[1] // self.target.shape[1]

    def start(self):
        """Forget all picks."""
        super().start()
        self._total = np.zeros_like(self.target)
        self._losses = np.empty(self.n_members)

    def losses(self):
        """Return the loss of the picks with each member added. O(n m)."""
        return mean_over_tiles(self.P, self.weight, self._tile_losses)

    def _tile_losses(self, rows, tile):
        kernels.candidates.piecewise(
            tile,
            self.target[rows],
            self.low,
            self.high,
            self.bend,
            self.weight[rows],
            self._total[rows],
            self.n_picks + 1,
            self._losses,
        )
        return self._losses

    def add(self, member):
        """Take a member."""
        d = self.target.shape[1]
        self._total += self.P[:, member * d : (member + 1) * d]
        self.n_picks += 1

    def of(self, weights):
        """Return the loss of each mixture."""
        share = self.weight / self.weight.sum()
        rests = (self._rest(w / w.sum()) for w in weights)
        return np.array([share @ self._row_losses(rest) for rest in rests])

    def _rest(self, weights):
        return mixed(self.P, weights) - self.target

    def _row_losses(self, z):
        if self.bend == 0.0:
            return np.maximum(self.low * z, self.high * z).mean(axis=1)
        inside = np.minimum(np.abs(z), self.bend)
        return (inside * (np.abs(z) - 0.5 * inside)).mean(axis=1)

    def slope(self, weights):
        """Return a subgradient: any proves a bound."""
        z = self._rest(weights)
        bent = np.clip(z, -self.bend, self.bend)
        steep = np.where(z > 0.0, self.high, np.where(z < 0.0, self.low, 0.0))
        steep = bent if self.bend else steep
        steep = steep * (self.weight / self.weight.sum() / z.shape[1])[:, None]
        slope = np.zeros(self.n_members)
        for rows, tile in tiles(self.P):
            cube = tile.reshape(len(tile), self.n_members, -1)
            slope += np.einsum("ijk,ik->j", cube, steep[rows])
        return slope

    def weighted(self, weight):
        """Return the scores under other row weights."""
        return replace(self, weight=weight)

    def rows(self, mask):
        """Return the scores on some rows."""
        return self._on(mask, "P", "target", "weight")
