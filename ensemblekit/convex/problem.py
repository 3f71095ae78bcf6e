"""A loss over rows, ready to be minimised over any set of weights.

Three kinds answer the same questions (`minimise`, `mean`, `model`, `member_losses`,
`ridge_unit`): squared loss on rows, squared loss of which only the Gram matrix is left,
and any other convex loss on rows. ROW_LOSSES makes the last from delta and level.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from . import affine, solve
from .losses import TINY, Huber, LogLoss, Pinball, SmoothPinball

if TYPE_CHECKING:  # loading it loads numba
    from ..kernels.design import Design

ROW_LOSSES: dict[str, Callable[[float, float], Huber | Pinball]] = {
    "huber": lambda delta, level: Huber(delta),
    "absolute_error": lambda delta, level: Pinball(0.5, scale=2.0),
    "pinball": lambda delta, level: Pinball(level),
}
# Bytes of rows gathered at once where rows are picked by index.
_CHUNK = 2**21
# Bytes of rows of which a copy is made: it saves the reads of those left out.
_LITTLE = 8e6
# From so many members on single precision saves more than the reads that mend it cost.
_MANY_MEMBERS = 384
# Share of a sum of squares that a difference may leave without losing its digits.
_ENOUGH_LEFT = 1e-3


@dataclass(frozen=True)
class GramLoss:
    """Squared loss of which only the Gram matrix is left, x'Hx.

    gram : (q, q) float64, mean over rows of weight total
    shift : (q,) float64, or None; the intercept that belongs to x is -shift'x, and gram
        has it in it
    """

    gram: np.ndarray
    total: float
    n_members: int
    shift: np.ndarray | None = None

    needs_border = False
    impossible_loss = 0.0

    @classmethod
    def from_sums(cls, gram, total, n_members, intercept):
        """Return the loss of a sum of outer products; eliminate the column of ones."""
        gram = gram / total
        if not intercept:
            return cls(gram, total, n_members)
        kept = np.delete(np.arange(len(gram)), n_members)
        shift = gram[n_members, kept]
        gram = gram[np.ix_(kept, kept)] - np.outer(shift, shift)
        # A member that differs by a constant only may end below 0.
        np.fill_diagonal(gram, np.maximum(gram.diagonal(), 0.0))
        return cls(gram, total, n_members, shift)

    @property
    def member_losses(self):
        """Return each member's loss, (n_members,)."""
        return self.gram.diagonal()[: self.n_members]

    @property
    def ridge_unit(self):
        """Return the loss of the best member."""
        return float(self.member_losses.min())

    def squares(self, x):
        """Return x'Hx and Hx."""
        pull = self.gram @ x
        return float(x @ pull), pull

    def minimise(self, feasible, penalty, tol, max_iter):
        """Return the `Solution` over a set."""
        span = feasible.span
        plain = span is not None and penalty.strength == 0.0
        if plain and not affine.is_well_conditioned(self.gram, span):
            factor, noise = self.factor()
            return affine.solve(factor, noise, feasible, penalty, tol)
        return solve.quadratic(
            self.gram, self.squares, feasible, penalty, tol, max_iter
        )

    def factor(self):
        """Return R with R'R the Gram matrix, and the relative noise in it."""
        values, vectors = np.linalg.eigh(self.gram)
        root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
        return root, np.sqrt(solve.EPS)

    def model(self, x):
        """Return H, c with 1/2 x'Hx - c'x + constant the loss."""
        return 2.0 * self.gram, np.zeros(len(x))

    def is_finite_on(self, members):
        """Return True: squares are finite whatever the members."""
        return True

    def mean(self, x):
        """Return the loss of x."""
        return float(x @ self.gram @ x)

    def on_members(self, members):
        """Return itself: where weight may go makes no difference to squared loss."""
        return self

    def extend(self, x):
        """Return x with its intercept put behind the weights."""
        if self.shift is None:
            return x
        return np.insert(x, self.n_members, -(self.shift @ x))


@dataclass(frozen=True, kw_only=True)
class SquaredLoss(GramLoss):
    """Squared loss with its rows at hand: certificates come from the rows.

    design : without a column of ones, centred if there is an intercept
    weight : (n_rows,) float64, or None for ones
    terms : rows of the design whose squares add up to one sample's loss
    rough : whether gram is of single precision; the rows then mend what it says
    """

    design: Design
    weight: np.ndarray | None
    intercept: bool
    terms: int
    rough: bool = False

    @classmethod
    def from_rows(cls, design, weight, intercept=False, terms=1):
        """Compute the Gram matrix of the rows."""
        total = (design.n_rows if weight is None else float(weight.sum())) / terms
        exact = cls(
            np.empty(0),
            total,
            design.n_members,
            design=design,
            weight=weight,
            intercept=intercept,
            terms=terms,
        )
        if _saves_time(design):
            rough = _single_gram(design, weight) / total
            if np.isfinite(rough).all() and rough.diagonal().min() > 0.0:
                return replace(exact, gram=rough, rough=True)
        return exact.exactly()

    def exactly(self):
        """Return the loss with the Gram matrix of double precision."""
        gram = self.design.gram(self.weight) / self.total
        return replace(self, gram=gram, rough=False)

    def minimise(self, feasible, penalty, tol, max_iter):
        """Return the `Solution` over a set; from the exact Gram matrix if it has to."""
        found = super().minimise(feasible, penalty, tol, max_iter)
        if self.rough and found.gap > 1e-12 * abs(found.objective):
            return self.exactly().minimise(feasible, penalty, tol, max_iter)
        return found

    def factor(self):
        """Return R with R'R the Gram matrix, from the rows, and the noise in it."""
        return self.design.factor(self.weight) / np.sqrt(self.total), solve.EPS

    def squares(self, x):
        """Return x'Hx and Hx from the rows themselves."""
        if self.design.extra is None:
            square, pull = self.design.squares(x, self.weight)
            return square / self.total, pull / self.total
        z = self.design.product(x)
        v = z if self.weight is None else self.weight * z
        return float(v @ z) / self.total, self.design.pull(v) / self.total

    def block_sums(self, samples):
        """Return the sum of outer products over some samples, and their weight.

        samples : (k,) indices. With an intercept a column of ones is part of it.
        """
        design = self.design
        if self.intercept:
            design = with_ones(design)
        total, gram = 0.0, np.zeros((design.n_columns, design.n_columns))
        step = max(_CHUNK // (8 * design.P.shape[1]), 256)
        for start in range(0, len(samples), step):
            chunk = samples[start : start + step]
            weight = _of_samples(self.weight, chunk, design)
            rows = design.take_rows(chunk)
            gram += rows.gram(weight)
            total += rows.n_rows if weight is None else float(weight.sum())
        return gram, total / self.terms

    def sums(self):
        """Return the sum of outer products over all samples, a column of ones inside.

        Columns are centred where there is an intercept: the ones are orthogonal.
        """
        gram = self.gram * self.total
        if self.intercept:
            position = self.n_members
            gram = np.insert(np.insert(gram, position, 0.0, 0), position, 0.0, 1)
            gram[position, position] = self.total
        return gram

    def halves(self, splits):
        """Yield (training loss, held-out loss) for each split, as Gram matrices."""
        n_samples = len(self.design.P)
        whole = (self.exactly() if self.rough else self).sums(), self.total
        for train, test in splits:
            held_out, size = self.block_sums(test)
            training, rest = whole[0] - held_out, whole[1] - size
            left = training.diagonal() / np.maximum(whole[0].diagonal(), TINY)
            if left.min() < _ENOUGH_LEFT or not _partition(train, test, n_samples):
                training, rest = self.block_sums(train)
            yield (
                GramLoss.from_sums(training, rest, self.n_members, self.intercept),
                GramLoss(held_out / size, size, self.n_members),
            )


@dataclass(frozen=True)
class RowLoss:
    """Mean over rows of a convex loss of D x.

    design : kernels.design.Design; weight : (n_rows,) float64, or None for ones
    loss : one of `losses`
    members : those that may have weight, None for all: rows that they all call
        impossible are lost under any weights
    """

    design: Design
    weight: np.ndarray | None
    loss: LogLoss | Huber | Pinball
    members: np.ndarray | None = None

    needs_border = True

    @property
    def n_members(self):
        """Return the number of members."""
        return self.design.n_members

    @property
    def total(self):
        """Return the sum of the rows' weights."""
        return self.design.n_rows if self.weight is None else float(self.weight.sum())

    @cached_property
    def share(self):
        """Return the rows' shares of the mean; 0 where no weights change the loss."""
        weight = np.ones(self.design.n_rows) if self.weight is None else self.weight
        share = weight / weight.sum()
        if isinstance(self.loss, LogLoss):
            share[~self.reachable] = 0.0
        return share

    @property
    def impossible_loss(self):
        """Return what rows without any chance add, counted as the machine epsilon."""
        if not isinstance(self.loss, LogLoss):
            return 0.0
        weight = np.ones(self.design.n_rows) if self.weight is None else self.weight
        lost = float(weight[~self.reachable].sum() / weight.sum())
        return -lost * float(np.log(np.finfo(np.float64).eps))

    @cached_property
    def reachable(self):
        """Return whether any member gives the row a chance, (n_rows,) bool."""
        if self.members is None:
            return self._first_read[0]
        return self._have_chance(self.members)

    @property
    def scale(self):
        """Return the size of a residual of the members' mean."""
        return self._first_read[1] or 1.0

    @cached_property
    def _first_read(self):
        """Return where the members' mean is above 0, and its root mean square."""
        x = np.zeros(self.design.n_columns)
        x[: self.n_members] = 1.0 / self.n_members
        middle = self.design.product(x)
        squares = np.average(middle**2, weights=self.weight)
        return self.n_members * middle >= TINY, float(np.sqrt(squares))

    def is_finite_on(self, members):
        """Return whether some weights on these members have a finite loss."""
        if not isinstance(self.loss, LogLoss):
            return True
        return bool(self._have_chance(members)[self.share > 0.0].all())

    def _have_chance(self, members):
        x = np.zeros(self.design.n_columns)
        x[members] = 1.0
        return self.design.product(x) >= TINY

    @cached_property
    def member_losses(self):
        """Return each member's loss, (n_members,); about its mean with an intercept."""
        design = self.design
        if design.centre is not None:  # it may be that of more rows
            means = replace(design, centre=None).means(self.weight)
            design = replace(design, centre=means)
        return design.column_means(self.loss.value, self.share)

    @property
    def ridge_unit(self):
        """Return the loss of the best member; 1/2 for log loss: see `ridge`."""
        if isinstance(self.loss, LogLoss):
            return 0.5
        return float(self.member_losses.min())

    def minimise(self, feasible, penalty, tol, max_iter):
        """Return the `Solution` over a set."""
        rows = self.design, self.loss, self.share, feasible, penalty
        if isinstance(self.loss, Pinball):
            return solve.pinball(*rows, tol, max_iter)
        if not isinstance(self.loss, LogLoss):
            return solve.newton(*rows, tol, 0.0, max_iter)
        found, lost = solve.newton(*rows, tol, 1.0, max_iter), self.impossible_loss
        return replace(found, loss=found.loss + lost, objective=found.objective + lost)

    def model(self, x):
        """Return H, c with 1/2 x'Hx - c'x + constant the loss near x."""
        z = self.design.product(x)
        smooth: LogLoss | Huber | SmoothPinball
        if isinstance(self.loss, Pinball):
            smooth = SmoothPinball(self.loss, 2.0 * float(np.quantile(np.abs(z), 0.3)))
        else:
            smooth = self.loss
        H = self.design.gram(self.share, smooth.root_curvature(z))
        return H, H @ x - self.design.pull(self.share * smooth.slope(z))

    def mean(self, x):
        """Return the loss of x; impossible rows count as the machine epsilon."""
        mean = float(self.share @ self.loss.value(self.design.product(x)))
        return mean + self.impossible_loss

    def on_members(self, members):
        """Return the loss where only some members may have weight."""
        return replace(self, members=members)

    def extend(self, x):
        """Return x: it has its intercept already."""
        return x

    def on_samples(self, samples):
        """Return the loss on some samples: gathered if they are few, else weighted."""
        design, spread = self.design, self.design.n_rows // len(self.design.P)
        if 8 * len(samples) * design.P.shape[1] <= _LITTLE:
            weight = _of_samples(self.weight, samples, design)
            return replace(self, design=design.take_rows(samples), weight=weight)
        times = np.bincount(samples, minlength=len(design.P)).astype(np.float64)
        times = np.repeat(times, spread)
        weight = times if self.weight is None else times * self.weight
        return replace(self, weight=weight)

    def halves(self, splits):
        """Yield (training loss, held-out loss) for each split."""
        for train, test in splits:
            yield self.on_samples(train), self.on_samples(test)


def _saves_time(design):
    """Return whether a Gram matrix of single precision and two more reads are faster.

    Measured: 1.13 against 1.32 bare products at m=400, 0.89 against 1.18 at m=800, no
    gain at m=200, where each read of the rows costs a quarter of a product.
    """
    m = design.n_columns
    return m >= _MANY_MEMBERS and design.n_rows >= 100 * m and design.extra is None


def _single_gram(design, weight):
    """Return the Gram matrix in single precision, kept inside its range."""
    few = design.take_rows(np.arange(256))
    size = np.sqrt(few.gram().diagonal().min() / few.n_rows)
    unit = 2.0 ** -np.round(np.log2(size)) if 0.0 < size < np.inf else 1.0
    root = np.broadcast_to(unit, design.n_rows)
    with np.errstate(over="ignore", invalid="ignore"):
        return design.gram(weight, root, dtype=np.float32) / unit**2


def with_ones(design):
    """Return the design with a column of ones behind the members."""
    ones = np.ones((design.n_rows, 1))
    extra = ones if design.extra is None else np.hstack([ones, design.extra])
    return replace(design, extra=extra)


def _partition(train, test, n_samples):
    """Return whether each sample is in one of the two parts, once."""
    counts = np.bincount(np.concatenate([train, test]), minlength=n_samples)
    return bool((counts == 1).all())


def _of_samples(weight, samples, design):
    if weight is None:
        return None
    spread = design.n_rows // len(design.P)
    return weight.reshape(len(design.P), spread)[samples].ravel()
