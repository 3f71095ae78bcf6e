"""All levels at once, under a price on predicted quantiles that cross.

The price of a pair of levels is max(0, lower - higher), the pinball loss at level 0 of
one more row, whose residual is that difference. So the levels and the pairs are one
pinball problem on a product of simplices. Pairs that no solution so far crosses are
left out: their price is >= 0, so that the bound holds without them, and the best
weights that cross no other pair are the best of all.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array, vstack

from .. import kernels
from . import solve
from .feasible import Polytope
from .losses import Pinball

_ROUNDS = 30
# Near the end few rows bend: of many weights a step costs more than it gains, and is
# not asked for.
_MANY, _TOLERANCE = 100, 1e-5


@dataclass(frozen=True)
class Level:
    """One level's problem.

    rows : (n, q) float64 residuals; level : float; strength : of its ridge
    centre : (q,) where the ridge draws to
    """

    rows: np.ndarray
    level: float
    strength: float
    centre: np.ndarray


@dataclass(frozen=True)
class Joint:
    """The weights of all levels behind each other, and what they reached.

    x : (q,); crossing : the price paid; objective : with it and the ridge
    """

    x: np.ndarray
    crossing: float
    objective: float
    gap: float
    accepted: float
    n_iter: int


def minimise(parts, share, crossing, start, tol, max_iter):
    """Minimise the mean over levels of loss + ridge, + crossing * mean over pairs.

    parts : list of Level; share : (n,), sum 1; crossing : float > 0
    start : (q,), the best weights without the price; tol : of many 1e-5 at least
    """
    tol = max(tol, _TOLERANCE) if len(start) > _MANY else tol
    m, n = len(parts), len(share)
    feasible = Simplices([part.rows.shape[1] for part in parts], start)
    penalty = Ridges.of(parts)
    levels = np.repeat([part.level for part in parts], n)
    prices = crossing * share / (m * (m - 1) / 2)
    design = Stacked([part.rows for part in parts], None)
    pairs = np.empty((0, 3), dtype=np.intp)
    best, floor = Joint(start, 0.0, np.inf, np.inf, 0.0, 0), -np.inf
    x, accepted, n_iter = start, 0.0, 0
    for _ in range(_ROUNDS):
        mixture = design.levels(x)
        price, crossed = _crossed(mixture, prices)
        loss = float(np.tile(share / m, m) @ Pinball(levels).value(mixture.ravel()))
        objective = loss + price + penalty.value(x)
        if objective < best.objective:
            best = Joint(x, price, objective, np.inf, 0.0, n_iter)
        accepted = tol * abs(best.objective) + np.finfo(float).tiny
        new = _new_rows(crossed, pairs, n)
        if best.objective - floor <= accepted or not len(new) or n_iter >= max_iter:
            break
        pairs = np.vstack([pairs, new])
        found = solve.pinball(
            Stacked(design.blocks, design.differences(pairs)),
            Pinball(np.concatenate([levels, np.zeros(len(pairs))])),
            np.concatenate([np.tile(share / m, m), prices[pairs[:, 0]]]),
            feasible,
            penalty,
            0.5 * tol,
            max_iter - n_iter,
        )
        floor = max(floor, found.objective - found.gap)
        n_iter += found.n_iter
        x = feasible.normalised(found.x)
        feasible = Simplices(feasible.sizes, x)
    gap = max(best.objective - floor, 0.0)
    return Joint(best.x, best.crossing, best.objective, gap, accepted, n_iter)


def _crossed(mixture, prices):
    """Return the price of a mixture (m, n), and its crossed (row, lower, higher)."""
    total, found = 0.0, [np.empty((0, 3), dtype=np.intp)]
    for lower in range(len(mixture) - 1):
        excess = mixture[lower] - mixture[lower + 1 :]
        higher, rows = np.nonzero(excess > 0.0)
        total += float(prices[rows] @ excess[higher, rows])
        pair = np.column_stack([rows, np.full(len(rows), lower), higher + lower + 1])
        found.append(pair)
    return total, np.vstack(found)


def _new_rows(crossed, pairs, n):
    """Return the crossed pairs that are not among the pairs."""
    m = 1 + max(crossed.max(initial=0), pairs.max(initial=0))

    def key(rows):
        return (rows[:, 0] * m + rows[:, 1]) * m + rows[:, 2]

    return crossed[~np.isin(key(crossed), key(pairs))]


@dataclass(frozen=True)
class Stacked:
    """Rows of all levels, each with columns of its own, then differences of levels.

    blocks : list of (n, q_t) float64; pairs : (r, q) sparse, or None
    """

    blocks: list
    pairs: csr_array | None

    @property
    def _offsets(self):
        return np.cumsum([0, *[block.shape[1] for block in self.blocks]])

    def _columns(self):
        return [slice(first, end) for first, end in pairwise(self._offsets)]

    def levels(self, x):
        """Return the mixture of each level, (m, n)."""
        own = zip(self.blocks, self._columns(), strict=True)
        return np.array([block @ x[columns] for block, columns in own])

    def product(self, x):
        """Return D x."""
        z = self.levels(x).ravel()
        return z if self.pairs is None else np.concatenate([z, self.pairs @ x])

    def pull(self, v):
        """Return D'v."""
        n = len(self.blocks[0])
        g = np.concatenate(
            [block.T @ v[t * n : (t + 1) * n] for t, block in enumerate(self.blocks)]
        )
        if self.pairs is not None:
            g += self.pairs.T @ v[len(self.blocks) * n :]
        return g

    def gram(self, weight, root):
        """Return D'diag(weight root^2)D."""
        n, scale = len(self.blocks[0]), weight * root**2
        H = np.zeros((self._offsets[-1], self._offsets[-1]))
        for t, (block, columns) in enumerate(
            zip(self.blocks, self._columns(), strict=True)
        ):
            own = scale[t * n : (t + 1) * n]
            kept = np.flatnonzero(own)
            H[columns, columns] = block[kept].T @ (own[kept, None] * block[kept])
        if self.pairs is not None:
            own = scale[len(self.blocks) * n :]
            kept = np.flatnonzero(own)
            some = self.pairs[kept]
            H += (some.T @ (some * own[kept, None])).toarray()
        return H

    def differences(self, pairs):
        """Return the rows lower - higher of (row, lower, higher), sparse."""
        parts, columns = [], self._columns()
        order = []
        for lower, higher in np.unique(pairs[:, 1:], axis=0):
            chosen = np.flatnonzero((pairs[:, 1:] == (lower, higher)).all(axis=1))
            rows = pairs[chosen, 0]
            values = np.hstack([self.blocks[lower][rows], -self.blocks[higher][rows]])
            index = np.r_[columns[lower], columns[higher]]
            k, q = values.shape
            ends = np.arange(k + 1) * q
            shape = k, int(self._offsets[-1])
            parts.append(csr_array((values.ravel(), np.tile(index, k), ends), shape))
            order.append(chosen)
        back = np.argsort(np.concatenate(order))
        return csr_array(vstack(parts))[back]


@dataclass(frozen=True)
class Ridges:
    """strength_j * (x_j - centre_j)^2, summed: a `Penalty` of many strengths."""

    strengths: np.ndarray
    centre: np.ndarray

    @classmethod
    def of(cls, parts):
        """Gather those of the levels, whose mean counts."""
        strengths = [np.full(len(part.centre), part.strength) for part in parts]
        centre = np.concatenate([part.centre for part in parts])
        return cls(np.concatenate(strengths) / len(parts), centre)

    @property
    def price(self):
        """Return the linear part: none."""
        return np.zeros(len(self.centre))

    def value(self, x):
        """Return the penalty of x."""
        return float(self.strengths @ (x - self.centre) ** 2)

    def gradient(self, x):
        """Return its gradient."""
        return 2.0 * self.strengths * (x - self.centre)

    def rounding(self, x):
        """Return what rounding of the gradient alone can show as a gap."""
        return float(8.0 * solve.EPS * np.sum(self.strengths) * np.abs(x).max())

    def add_to(self, H):
        """Return H with the penalty's second derivative added."""
        return H + np.diag(2.0 * self.strengths)


class Simplices(Polytope):
    """Weights of sum 1 for each level, behind each other."""

    def __init__(self, sizes, x):
        self.sizes, self.x = sizes, x
        self.n_columns = int(np.sum(sizes))
        self.first = np.cumsum([0, *sizes])[:-1]
        self.owner = np.repeat(np.arange(len(sizes)), sizes)

    def start(self):
        """Return the best point known so far."""
        return self.x

    def vertex(self, g):
        """Return the best single column of each level; the first of equals."""
        v = np.zeros(self.n_columns)
        for first, size in zip(self.first, self.sizes, strict=True):
            v[first + int(np.argmin(g[first : first + size]))] = 1.0
        return v

    def gap(self, g, x, H=None):
        """Return g'x - min as a sum of terms >= 0."""
        lowest = np.minimum.reduceat(g, self.first)
        return max(float((g - lowest[self.owner]) @ x), 0.0)

    def minimise(self, H, c, max_iter=10_000, enough=0.0):
        """Exchange weight within levels; then Newton on the weights left."""
        x, n_iter = self.x.copy(), 0
        for _ in range(30):
            n_iter += 1
            kernels.polytope.exchange(H, c, self.owner, x, 20 * self.n_columns)
            self._move_to(H, c, x)
            if self.gap(H @ x - c, x) <= max(enough, 1e-13 * abs(c @ x)):
                break
        return self.normalised(x), n_iter

    def _move_to(self, H, c, x):
        """Go to the optimum on the support, or to where a weight ends on the way."""
        support = np.flatnonzero(x)
        sums = np.zeros((len(self.sizes), len(support)))
        sums[self.owner[support], np.arange(len(support))] = 1.0
        k, m = len(support), len(self.sizes)
        system = np.zeros((k + m, k + m))
        bend = H[np.ix_(support, support)]
        system[:k, :k] = bend + 1e-13 * np.diag(bend.diagonal())
        system[k:, :k], system[:k, k:] = sums, sums.T
        slope = H @ x - c
        right = np.concatenate([-slope[support], np.zeros(m)])
        try:
            step = np.linalg.solve(system, right)[:k]
        except np.linalg.LinAlgError:
            return
        if not slope[support] @ step < 0.0:
            return
        falling = step < 0.0
        ways = -x[support][falling] / step[falling]
        t = min(1.0, ways.min(initial=1.0))
        x[support] += t * step
        x[x < 1e-15] = 0.0

    def normalised(self, x):
        """Return x with sums of exactly 1, and without what rounding left."""
        x = np.where(x > 1e-15, x, 0.0)
        return x / np.add.reduceat(x, self.first)[self.owner]
