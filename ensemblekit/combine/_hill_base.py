"""Hill climbing without its losses: the rounds, and the tables that they ask.

A table knows the current mixture and answers what every step to every member would
cost; it is moved to the step that is taken. Steps are (1, n_steps), the same for all
candidates, or (n_candidates, 1).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .. import kernels, layout
from ..losses import LOG_CLIP, LOSSES
from ._base import residual_gram
from ._mixture_base import distinct_members, in_table, loss_options, make_loss

LONGEST_STEP = 0.5
_TIE = 1e-12
LINE_LOSSES = ("squared_error", "brier", "log_loss")


def step_grid(step, allow_negative):
    """Return the steps step, 2 step, .. 0.5, after their negatives if allowed."""
    grid = np.arange(step, LONGEST_STEP + step / 2, step)
    grid = grid[grid <= LONGEST_STEP * (1 + 1e-9)]
    return np.concatenate([-grid[::-1], grid]) if allow_negative else grid


def climb(table, cube, grid, low, min_gain, max_members):
    """Climb from the member of lowest own loss until no step improves.

    Parameters
    ----------
    table : SquareTable or RowTable
    cube : ndarray of shape (n_members, n_samples, n_outputs)
    grid : ndarray or None
        Steps to try; None searches [low, 0.5] exactly.
    low, min_gain : float
    max_members : int or None

    Returns
    -------
    picks, steps, path : ndarray of shape (n_picks,)
        Members, their steps (1 for the first), and the loss after each.
    """
    own = table.own_losses()
    left = distinct_members(cube, own)
    picks, steps, path = [left[0]], [1.0], [own[left[0]]]
    table.start(left[0])
    left = left[1:]
    while len(left) and (max_members is None or len(picks) < max_members):
        tried = table.line(left, low) if grid is None else grid[None, :]
        losses = table.losses(left, tried)
        # The first of equal losses: in the order of own loss, then of steps.
        lowest = losses.min()
        found = int(np.argmax(losses.ravel() <= lowest + _TIE * abs(lowest)))
        row, column = np.unravel_index(found, losses.shape)
        if path[-1] - losses[row, column] <= max(min_gain, _TIE * abs(path[-1])):
            break
        step = np.broadcast_to(tried, losses.shape)[row, column]
        table.move(left[row], step)
        picks.append(left[row])
        steps.append(step)
        path.append(losses[row, column])
        left = np.delete(left, row)
    return np.array(picks), np.array(steps), np.array(path)


def final_weights(picks, steps, n_members):
    """Return w_t * prod_{u > t} (1 - w_u) of each member, made to sum to 1."""
    weights = np.zeros(n_members)
    for member, step in zip(picks, steps, strict=True):
        weights *= 1.0 - step
        weights[member] += step
    weights[np.argmax(weights)] += 1.0 - weights.sum()
    return weights


@dataclass
class SquareTable:
    """Losses that are a mean square of residuals: O(1) for a step, whatever the rows.

    gram : (n_members, n_members) float64, products of residuals
    """

    gram: NDArray
    square: float = 0.0
    cross: NDArray = field(default_factory=lambda: np.empty(0))

    def own_losses(self):
        return self.gram.diagonal().copy()

    def start(self, member):
        self.square, self.cross = self.gram[member, member], self.gram[member].copy()

    def losses(self, members, steps):
        return kernels.hill.squared_losses(*self._products(members), steps)

    def line(self, members, low):
        return kernels.hill.squared_line(*self._products(members), low, LONGEST_STEP)

    def move(self, member, step):
        one = np.array([member])
        self.square = self.losses(one, np.array([[step]]))[0, 0]
        self.cross = (1.0 - step) * self.cross + step * self.gram[member]

    def _products(self, members):
        return self.square, self.cross[members], self.gram.diagonal()[members]


@dataclass
class RowTable:
    """Losses that read the rows.

    column : ``column(member)`` -> float64, what the current mixture is mixed from
    evaluate : ``evaluate(members, current, steps)`` -> (n_candidates, n_steps)
    search : ``search(members, current, longest)`` -> (n_candidates, 1), or None
    """

    n_members: int
    column: Callable
    evaluate: Callable
    search: Callable | None = None
    current: NDArray = field(default_factory=lambda: np.empty(0))

    def own_losses(self):
        members = np.arange(self.n_members)
        nothing = np.zeros_like(self.column(0))
        return self.evaluate(members, nothing, np.ones(1))[:, 0]

    def start(self, member):
        self.current = self.column(member)

    def losses(self, members, steps):
        if len(steps) == 1:
            return self.evaluate(members, self.current, steps[0])
        pairs = zip(members, steps, strict=True)
        rows = [self.evaluate(np.array([j]), self.current, w) for j, w in pairs]
        return np.concatenate(rows)

    def line(self, members, low):
        assert self.search is not None
        return self.search(members, self.current, LONGEST_STEP)

    def move(self, member, step):
        self.current = (1.0 - step) * self.current + step * self.column(member)


def regression_table(combiner, P, y, weight, weighted):
    """Return the table of ``combiner.loss`` for members that predict values."""
    if combiner.loss == "squared_error":
        return SquareTable(residual_gram(P, y[:, None], weight))
    weight = weight / weight.max()
    column = partial(_value_column, P)
    if not in_table(combiner.loss):
        evaluate = _by_prediction(column, make_loss(combiner, y, weight, weighted))
        return RowTable(P.shape[1], column, evaluate)
    code, rows = LOSSES[combiner.loss].code, np.flatnonzero(weight > 0.0)
    parameter = next(iter(loss_options(combiner).values()), 0.0)
    return RowTable(
        P.shape[1], column, _value_evaluate(code, P, y, rows, weight, parameter)
    )


def classification_table(combiner, P, y, weight, weighted):
    """Return the table of ``combiner.loss`` for members that predict probabilities."""
    n_classes, loss = len(combiner.classes_), combiner.loss
    weight = weight / weight.max()
    if loss == "brier" and not combiner.allow_negative:
        targets = layout.one_hot(y, n_classes)
        return SquareTable(residual_gram(P, targets, weight, targets.shape[1]))
    if loss == "log_loss" and (n_classes == 2 or not combiner.allow_negative):
        return _log_loss_table(P, y, weight, n_classes)
    if in_table(loss) and n_classes == 2:
        return _binary_table(loss, P, y, weight)
    n_members = layout.count_members(P, layout.n_outputs_for(n_classes))
    column = partial(_class_column, P, layout.n_outputs_for(n_classes))
    if not in_table(loss):
        price = make_loss(combiner, y, weight, weighted)
        finish = layout.class_probabilities
        if combiner.allow_negative:
            finish = clip_probabilities
        evaluate = _by_prediction(column, lambda mixture: price(finish(mixture)))
        return RowTable(n_members, column, evaluate)
    code, rows = LOSSES[loss].code, np.flatnonzero(weight > 0.0)

    def evaluate_classes(members, current, steps):
        return kernels.hill.class_losses(
            code, P, n_classes, members, current, y, rows, weight, steps, LOG_CLIP
        )

    return RowTable(n_members, column, evaluate_classes)


def clip_probabilities(mixture):
    """Return rows of class probabilities of a mixture with negative weights.

    mixture : (n_samples, n_outputs); one column is the probability of class 1.
    """
    clipped = np.clip(mixture, 0.0, 1.0)
    if clipped.shape[1] > 1:
        clipped /= clipped.sum(axis=1, keepdims=True)
    return layout.class_probabilities(clipped)


def _log_loss_table(P, y, weight, n_classes):
    base, sign, offset = layout.true_class(np.ascontiguousarray(P), y, n_classes)
    # Rows of equal weight, one after the other, share logarithms.
    order = np.argsort(weight, kind="stable")
    rows = order[weight[order] > 0.0]

    def evaluate(members, current, steps):
        return kernels.hill.log_losses(
            base, sign, offset, members, current, rows, weight, steps, LOG_CLIP
        )

    def search(members, current, longest):
        return kernels.hill.log_line(
            base, sign, offset, members, current, rows, weight, longest, LOG_CLIP
        )

    return RowTable(
        base.shape[1], lambda j: offset + sign * base[:, j], evaluate, search
    )


def _binary_table(loss, P, y, weight):
    rows, column = np.flatnonzero(weight > 0.0), partial(_value_column, P)
    if loss != "auc":
        code, target = LOSSES[loss].code, y.astype(np.float64)
        evaluate = _value_evaluate(code, P, target, rows, weight, 0.0)
        return RowTable(P.shape[1], column, evaluate)

    def evaluate_auc(members, current, steps):
        return kernels.hill.auc_losses(P, members, current, y, rows, weight, steps)

    return RowTable(P.shape[1], column, evaluate_auc)


def _value_evaluate(code, P, y, rows, weight, parameter):
    def evaluate(members, current, steps):
        return kernels.hill.value_losses(
            code, P, members, current, y, rows, weight, steps, parameter
        )

    return evaluate


def _by_prediction(column, price):
    """Evaluate mixtures one at a time."""

    def evaluate(members, current, steps):
        return np.array(
            [
                [price((1.0 - w) * current + w * column(j)) for w in steps]
                for j in members
            ]
        )

    return evaluate


def _value_column(P, member):
    return P[:, member].astype(np.float64)


def _class_column(P, n_outputs, member):
    block = P[:, member * n_outputs : (member + 1) * n_outputs]
    return block.astype(np.float64)
