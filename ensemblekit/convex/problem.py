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

from . import solve
from .losses import Huber, LogLoss, Pinball, SmoothPinball

if TYPE_CHECKING:  # loading it loads numba
    from ..kernels.design import Design

ROW_LOSSES: dict[str, Callable[[float, float], Huber | Pinball]] = {
    "huber": lambda delta, level: Huber(delta),
    "absolute_error": lambda delta, level: Pinball(0.5, scale=2.0),
    "pinball": lambda delta, level: Pinball(level),
}
# Rows gathered at once where rows are picked by index.
_CHUNK = 16_384


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

    @classmethod
    def from_sums(cls, gram, total, n_members, intercept):
        """Return the loss of a sum of outer products; eliminate the column of ones."""
        gram = gram / total
        if not intercept:
            return cls(gram, total, n_members)
        kept = np.delete(np.arange(len(gram)), n_members)
        shift = gram[n_members, kept]
        return cls(
            gram[np.ix_(kept, kept)] - np.outer(shift, shift), total, n_members, shift
        )

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
        return solve.quadratic(
            self.gram, self.squares, feasible, penalty, tol, max_iter
        )

    def model(self, x):
        """Return H, c with 1/2 x'Hx - c'x + constant the loss."""
        return 2.0 * self.gram, np.zeros(len(x))

    def is_finite_on(self, members):
        """Return True: squares are finite whatever the members."""
        return True

    def mean(self, x):
        """Return the loss of x."""
        return float(x @ self.gram @ x)

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
    """

    design: Design
    weight: np.ndarray | None
    intercept: bool
    terms: int

    @classmethod
    def from_rows(cls, design, weight, intercept=False, terms=1):
        """Compute the Gram matrix of the rows."""
        total = (design.n_rows if weight is None else float(weight.sum())) / terms
        gram = design.gram(weight) / total
        return cls(
            gram,
            total,
            design.n_members,
            design=design,
            weight=weight,
            intercept=intercept,
            terms=terms,
        )

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
        for start in range(0, len(samples), _CHUNK):
            chunk = samples[start : start + _CHUNK]
            weight = _of_samples(self.weight, chunk, design)
            rows = design.take_rows(chunk)
            gram += rows.gram(weight)
            total += rows.n_rows if weight is None else float(weight.sum())
        return gram, total / self.terms

    def halves(self, splits):
        """Yield (training loss, held-out loss) for each split, as Gram matrices."""
        n_samples = len(self.design.P)
        whole = self.block_sums(np.arange(n_samples))
        for train, test in splits:
            held_out, size = self.block_sums(test)
            if len(train) + len(test) == n_samples:
                training, rest = whole[0] - held_out, whole[1] - size
            else:
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
    """

    design: Design
    weight: np.ndarray | None
    loss: LogLoss | Huber | Pinball

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
            # What every member calls impossible is lost under any weights.
            share[~self.reachable] = 0.0
        return share

    @property
    def impossible_loss(self):
        """Return what rows without any chance add, counted as the machine epsilon."""
        weight = np.ones(self.design.n_rows) if self.weight is None else self.weight
        lost = float(weight[~self.reachable].sum() / weight.sum())
        return -lost * float(np.log(np.finfo(np.float64).eps))

    @cached_property
    def reachable(self):
        """Return whether any member gives the row a chance, (n_rows,) bool."""
        return self._have_chance(np.arange(self.n_members))

    def is_finite_on(self, members):
        """Return whether some weights on these members have a finite loss."""
        if not isinstance(self.loss, LogLoss):
            return True
        return bool(self._have_chance(members)[self.share > 0.0].all())

    def _have_chance(self, members):
        x = np.zeros(self.design.n_columns)
        x[members] = 1.0
        return self.design.product(x) >= np.finfo(float).tiny

    @cached_property
    def scale(self):
        """Return the size of a residual of the members' mean."""
        x = np.zeros(self.design.n_columns)
        x[: self.n_members] = 1.0 / self.n_members
        return float(np.sqrt(self.share @ self.design.product(x) ** 2)) or 1.0

    @cached_property
    def member_losses(self):
        """Return each member's loss, (n_members,)."""
        return self.design.column_means(self.loss.value, self.share)

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
        unit = 1.0 if isinstance(self.loss, LogLoss) else 0.0
        return solve.newton(*rows, tol, unit, max_iter)

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
        return float(self.share @ self.loss.value(self.design.product(x)))

    def extend(self, x):
        """Return x: it has its intercept already."""
        return x

    def on_samples(self, samples):
        """Return the loss on some samples, gathered in memory."""
        weight = _of_samples(self.weight, samples, self.design)
        return RowLoss(self.design.take_rows(samples), weight, self.loss)

    def halves(self, splits):
        """Yield (training loss, held-out loss) for each split."""
        for train, test in splits:
            yield self.on_samples(train), self.on_samples(test)


def with_ones(design):
    """Return the design with a column of ones behind the members."""
    ones = np.ones((design.n_rows, 1))
    extra = ones if design.extra is None else np.hstack([ones, design.extra])
    return replace(design, extra=extra)


def _of_samples(weight, samples, design):
    if weight is None:
        return None
    spread = design.n_rows // len(design.P)
    return weight.reshape(len(design.P), spread)[samples].ravel()
