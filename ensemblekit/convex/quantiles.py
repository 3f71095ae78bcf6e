"""Weights of members that predict quantiles: one set for all levels, or one for each.

Coarse weights are one problem over the residuals of all levels, medium ones a problem
for each level, fine ones a problem for each level over the members' quantiles at the
levels near it. Each set of feasible mixtures holds the one before. Flexible Model
Aggregation for Quantile Regression, JMLR 24, 2023.

Here residuals are (m, n, p): levels, rows, members; a cube is (p, n, m), as in layout.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from .. import kernels
from . import crossing, solve
from .feasible import Simplex
from .losses import Pinball
from .penalty import Penalty

# Measured: a third less iterations than by the pace that suits all sets of weights.
_PACE = (1.0, 0.2)
# Rounds in which absent forecasts are replaced anew, and the fall that is worth one.
_ROUNDS, _WORTH = 20, 1e-7


@dataclass(frozen=True)
class Rule:
    """How weights are to be found.

    kind : "coarse", "medium" or "fine"; band : levels on each side, for fine weights
    ridge : strength of the pull toward `center`, in losses of the best member
    center : "uniform", or "inverse_loss": in proportion to loss**-2
    crossing : price of the mean over all pairs of levels of what they cross by
    """

    kind: str
    band: int
    ridge: float
    tol: float
    max_iter: int
    crossing: float = 0.0
    center: str = "uniform"


@dataclass(frozen=True)
class Found:
    """Weights, and how near they are to the best; all means over the levels.

    weights : (p,), (p, m), or (p, m, m): member, its level, level that is predicted
    objective : loss + penalty; gap : upper bound on objective minus its minimum
    accepted : the gap that counts as solved
    """

    weights: np.ndarray
    loss: float
    objective: float
    gap: float
    accepted: float
    n_iter: int


class _Start(Simplex):
    """A simplex whose programs are steps of a loop: none is worth many iterations."""

    def minimise(self, H, c, max_iter=10_000, enough=0.0):
        """Solve by Wolfe's active set."""
        limit = min(max_iter, 50 + 5 * self.n_columns)
        x, _, n_iter = kernels.simplex_qp.solve(H, c, max_iter=limit)
        return x, n_iter


def find_weights(residuals, levels, share, rule):
    """Return the `Found` weights of least mean pinball loss.

    residuals : (m, n, p) float64, quantiles minus y; share : (n,) > 0, sum 1
    """
    m, n, p = residuals.shape
    if rule.kind == "coarse":
        losses = _member_losses(residuals, levels, share).mean(axis=0)
        loss = Pinball(np.repeat(levels, n))
        shares = np.tile(share / m, m)
        found = _solve(residuals.reshape(m * n, p), loss, shares, losses, rule)
        return replace(found, weights=found.weights[:, 0])
    blocks = [_near(t, m, rule) for t in range(m)]
    losses = _member_losses(residuals, levels, share)
    parts = [
        _solve(
            np.concatenate(list(residuals[near]), axis=1),
            Pinball(levels[t]),
            share,
            losses[t],
            rule,
            t - near.start,
        )
        for t, near in enumerate(blocks)
    ]
    weights = np.zeros((p, m, m))
    for t, (near, part) in enumerate(zip(blocks, parts, strict=True)):
        weights[:, near, t] = part.weights
    found = Found(
        weights,
        loss=_mean(part.loss for part in parts),
        objective=_mean(part.objective for part in parts),
        gap=_mean(part.gap for part in parts),
        accepted=_mean(part.accepted for part in parts),
        n_iter=sum(part.n_iter for part in parts),
    )
    if rule.crossing > 0.0:
        found = _uncross(found, residuals, levels, share, losses, blocks, rule)
    if rule.kind == "medium":
        return replace(found, weights=np.einsum("jtt->jt", found.weights).copy())
    return found


def _near(t, m, rule):
    """Return the levels that a level is mixed from."""
    reach = rule.band if rule.kind == "fine" else 0
    return slice(max(t - reach, 0), min(t + reach + 1, m))


def _uncross(found, residuals, levels, share, losses, blocks, rule):
    """Return the weights of all levels together, under the price of crossings."""
    m, _, p = residuals.shape
    mixture = mix(residuals.transpose(2, 1, 0), found.weights)
    if not (np.diff(mixture, axis=1) < 0.0).any():
        return found
    parts, start = [], []
    for t, near in enumerate(blocks):
        rows = np.concatenate(list(residuals[near]), axis=1)
        centre = np.zeros((near.stop - near.start, p))
        centre[t - near.start] = _center(losses[t], rule)
        strength = rule.ridge * float(losses[t].min())
        parts.append(crossing.Level(rows, levels[t], strength, centre.ravel()))
        start.append(found.weights[:, near, t].T.ravel())
    joint = crossing.minimise(
        parts, share, rule.crossing, np.concatenate(start), rule.tol, rule.max_iter
    )
    weights, used = np.zeros((p, m, m)), 0
    for t, near in enumerate(blocks):
        size = p * (near.stop - near.start)
        weights[:, near, t] = joint.x[used : used + size].reshape(-1, p).T
        used += size
    mixture = mix(residuals.transpose(2, 1, 0), weights)
    return Found(
        weights,
        loss=mean_loss(mixture, levels, share),
        objective=joint.objective,
        gap=joint.gap,
        accepted=joint.accepted,
        n_iter=found.n_iter + joint.n_iter,
    )


def _mean(values):
    return float(np.mean(list(values)))


def _solve(rows, loss, share, losses, rule, position=0):
    """Solve one problem; its weights are (p, blocks of p columns).

    losses : of each member, (p,); position : block of columns of the level itself
    """
    p, q = len(losses), rows.shape[1]
    centre = np.zeros(q)
    centre[position * p : (position + 1) * p] = _center(losses, rule)
    penalty = Penalty(rule.ridge * float(losses.min()), centre, np.zeros(q))
    if q == 1:
        value = float(losses[0])
        return Found(np.ones((1, 1)), value, value, 0.0, 0.0, 1)
    design = kernels.design.Design(rows, np.zeros(len(rows)))
    limits = rule.tol, rule.max_iter
    found = solve.pinball(design, loss, share, _Start(q), penalty, *limits, pace=_PACE)
    x = np.where(found.x > 1e-15, found.x, 0.0)  # what rounding left of a weight
    x /= math.fsum(x)
    # A member that is all but perfect leaves the rounding of the others' rows.
    accepted = found.accepted + 1e-14 * float(losses.max())
    results = found.loss, found.objective, found.gap, accepted
    return Found(x.reshape(-1, p).T, *results, max(found.n_iter, 1))


def _center(losses, rule):
    """Return the weights (p,) that the ridge draws to, from the members' losses."""
    lowest = losses.min()
    if rule.center == "uniform" or lowest == 0.0:
        chosen = (losses == 0.0) | (rule.center == "uniform")
        return chosen / chosen.sum()
    skill = (lowest / losses) ** 2
    return skill / skill.sum()


def _member_losses(residuals, levels, share):
    """Return the loss of each member at each level, (m, p)."""
    return np.array(
        [
            share @ Pinball(level).value(block)
            for level, block in zip(levels, residuals, strict=True)
        ]
    )


def find_weights_of_present(residuals, present, levels, share, rule):
    """Return the `Found` weights where members are absent in some rows.

    present : (n, p) bool, at least one in each row
    A mixture is renormalised over those present, which is not convex in the weights.
    But it is the plain mixture in which absent members repeat the renormalised one:
    from their plain mean on, absent quantiles are set to what the weights so far say,
    and the weights are found anew, while that lowers the loss of the renormalised
    mixture. The gap is that of the last such problem.
    """
    cube, p = residuals.transpose(2, 1, 0), len(present[0])
    absent = ~present
    filled = residuals.copy()
    start = mix(cube, np.full(p, 1.0 / p), present)
    best, lowest = None, np.inf
    for _ in range(_ROUNDS):
        filled[:, absent] = _spread(start, absent)
        found = find_weights(filled, levels, share, rule)
        start = mix(cube, found.weights, present)
        loss = mean_loss(start, levels, share)
        penalised = loss + found.objective - found.loss
        if best is not None and not penalised < lowest * (1.0 - _WORTH):
            break
        best, lowest = replace(found, loss=loss, objective=penalised), penalised
    return best


def _spread(mixture, absent):
    """Return a mixture (n, m) at the absent members' places, (m, number of them)."""
    return mixture[np.nonzero(absent)[0]].T


def mean_loss(mixture, levels, share):
    """Return the mean pinball loss of residuals (n, m) over rows and levels."""
    return float((share @ Pinball(levels).value(mixture)).mean())


def level_shares(weights, n_levels):
    """Return what each member weighs in each level that is predicted, (p, m)."""
    if weights.ndim == 1:
        return np.repeat(weights[:, None], n_levels, axis=1)
    return weights if weights.ndim == 2 else weights.sum(axis=1)


def mix(cube, weights, present=None, distinct=None):
    """Return the mixture (n, m) of a cube (p, n, m), members of weight 0 unread.

    present : (n, p) bool, or None for all; weights are renormalised over those present
    distinct : members that count where none of those present has weight: their plain
        mean takes its place; None for all
    """
    _, n, m = cube.shape
    shares = level_shares(weights, m)
    mixture = np.zeros((n, m))
    for j in np.flatnonzero(shares.any(axis=1)):
        own = cube[j] if present is None else _where(present[:, j], cube[j])
        mixture += own @ weights[j] if weights.ndim == 3 else own * weights[j]
    if present is None:
        return mixture
    mass = present.astype(np.float64) @ shares
    mass[present.all(axis=1)] = 1.0
    lost = mass == 0.0
    mixture /= np.where(lost, 1.0, mass)
    for i in np.flatnonzero(lost.any(axis=1)):
        members = stand_ins(present[i], distinct)
        mixture[i, lost[i]] = cube[members, i].mean(axis=0)[lost[i]]
    return mixture


def stand_ins(present, distinct):
    """Return the members that are averaged where none present (p,) has weight."""
    members = np.flatnonzero(present)
    if distinct is None:
        return members
    differ = np.intersect1d(members, distinct)
    return differ if len(differ) else members


def _where(present, block):
    return np.where(present[:, None], block, 0.0)
