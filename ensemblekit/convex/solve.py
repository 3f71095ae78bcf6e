"""Least loss over a set of weights, with a bound on what is left to gain.

Three roads, by the shape of the loss: one quadratic program (squared error and what has
its form), Newton steps that are quadratic programs (log loss, Huber), and Newton steps
on a smoothed loss under a bound of the true one (pinball).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .losses import Huber, LogLoss, SmoothPinball
from .penalty import Penalty

if TYPE_CHECKING:  # loading it loads numba
    from ..kernels.design import Design

EPS = np.finfo(np.float64).eps
# Share of the gap at which a step of Newton is solved: it is not the last one.
_ENOUGH = 1e-3
# A Hessian serves another step if its last one left so little of the gap.
_REUSE = 0.02
# One row of so many, but so many for each column, give the first, rough Hessian.
_SPARSE, _ENOUGH_ROWS = 4, 20


@dataclass(frozen=True)
class Solution:
    """Where a solver stopped.

    x : (q,) float64; loss : without penalty; objective : with it
    gap : upper bound on objective minus its minimum over the set
    n_iter : int; accepted : the gap that counts as solved, rounding included
    """

    x: np.ndarray
    loss: float
    objective: float
    gap: float
    n_iter: int
    accepted: float


def quadratic(H, squares, feasible, penalty, tol, max_iter):
    """Minimise x'Hx + penalty.

    H : (q, q) float64, the loss's Gram matrix, or near it: then the loss is exact
        nonetheless, after a few more reads of the data
    squares : x -> x'Hx and Hx from the data themselves
    """
    half = 0.5 * penalty.add_to(2.0 * H)
    origin = penalty.gradient(np.zeros(len(H)))
    x, n_iter = feasible.minimise(half, -0.5 * origin, max_iter=max_iter)
    loss, pull = squares(x)
    here = _quadratic_state(x, loss, pull, feasible, penalty, half)
    noise = _rounding(half, x)
    # Near duplicates and rough Gram matrices leave a gap that the data can close.
    for _ in range(8):
        if n_iter >= max_iter or here.gap <= min(tol, 1e-12) * here.objective + noise:
            break
        slope = pull + 0.5 * penalty.gradient(here.x)
        aim, extra = feasible.minimise(half, half @ here.x - slope, max_iter=max_iter)
        ahead_loss, ahead_pull = squares(aim)
        step = aim - here.x
        bend = step @ (ahead_pull - pull) + penalty.strength * np.sum(
            step[: len(penalty.centre)] ** 2
        )
        t = float(np.clip(-(slope @ step) / max(bend, 1e-300), 0.0, 1.0))
        x = here.x + t * step
        new_pull = (1.0 - t) * pull + t * ahead_pull
        loss = ahead_loss if t == 1.0 else float(x @ new_pull)
        new = _quadratic_state(x, loss, new_pull, feasible, penalty, half)
        n_iter += extra
        if not new.gap < 0.5 * here.gap:
            here = min(here, new, key=lambda state: state.gap)
            break
        here, pull = new, new_pull
    accepted = (tol + feasible.tolerance) * abs(here.objective) + noise
    return Solution(here.x, here.loss, here.objective, here.gap, n_iter, accepted)


def _quadratic_state(x, loss, pull, feasible, penalty, half):
    # f = x'Hx has gradient 2Hx: a bound that forgets the 2 is none.
    gap = feasible.gap(2.0 * pull + penalty.gradient(x), x, 2.0 * half)
    return Solution(x, loss, loss + penalty.value(x), gap, 0, 0.0)


def _rounding(H, x):
    """Return what rounding alone can show as a gap: no certificate can beat it."""
    # Residuals that cancel in a mixture leave the rounding of the best member's.
    size = 8.0 * np.sqrt(max(x @ H @ x, 0.0)) + 4.0 * np.sqrt(H.diagonal().min())
    return EPS * np.sqrt(H.diagonal().max()) * size


@dataclass(frozen=True)
class _Point:
    """x with z = D x and the smooth objective there."""

    x: np.ndarray
    z: np.ndarray
    value: float


@dataclass(frozen=True)
class _Smooth:
    """share @ loss(D x) + penalty, with slope and curvature."""

    design: Design
    loss: LogLoss | Huber | SmoothPinball
    share: np.ndarray
    penalty: Penalty

    def at(self, x, z):
        return _Point(x, z, self.loss.mean(z, self.share) + self.penalty.value(x))

    def pull(self, point):
        """Return share * slope, and the gradient that follows from it."""
        u = self.share * self.loss.slope(point.z)
        return u, self.design.pull(u) + self.penalty.gradient(point.x)

    def bend(self, point):
        """Return the Hessian of the loss."""
        return self.design.gram(self.share, self.loss.root_curvature(point.z))

    def rough_bend(self, point):
        """Return the Hessian of some of the rows, where they are many: far from the
        optimum more would not make the step better."""
        few = slice(None, None, _SPARSE)
        total = self.share[few].sum()
        if self.design.n_rows < _SPARSE * _ENOUGH_ROWS * len(point.x) or not total:
            return self.bend(point)
        thin = np.zeros_like(self.share)
        thin[few] = self.share[few] * (self.share.sum() / total)
        return self.design.gram(thin, self.loss.root_curvature(point.z))

    def aim(self, H, c, feasible, enough):
        """Minimise a quadratic model over the set."""
        x, _ = feasible.minimise(H, c, enough=enough)
        if isinstance(self.loss, LogLoss):  # a row may need the smallest weight
            return x
        # What rounding leaves of a weight would hide that a member is perfect.
        m = len(self.penalty.centre)
        return np.append(np.where(np.abs(x[:m]) < 1e-17, 0.0, x[:m]), x[m:])

    def step(self, here, g, bend, feasible, enough, unit):
        """Minimise the quadratic model over the set and go there, or part of the way.

        Halves the step until the objective falls enough (Armijo). Returns the point, or
        None where no step helps: what is left is rounding.
        """
        H = self.penalty.add_to(bend)
        aim = self.aim(H, H @ here.x - g, feasible, enough)
        z_aim = self.design.product(aim)
        slope, slack = g @ (aim - here.x), 1e-15 * (unit + abs(here.value))
        ahead, t = self.at(aim, z_aim), 1.0
        while not ahead.value <= here.value + 1e-2 * t * slope + slack:
            t /= 2.0
            if t < 1e-10:
                return None
            x = here.x + t * (aim - here.x)
            ahead = self.at(x, here.z + t * (z_aim - here.z))
        if t < 1.0:
            # The mixture of two products drifts: take it from the rows again.
            ahead = self.at(ahead.x, self.design.product(ahead.x))
        return ahead

    def land(self, pinball, here, feasible, enough):
        """Yield points where the rows inside the band lie on the kink, and bounds.

        The method of multipliers: minimise the loss with the slopes so far plus the
        squares of the rows inside the band, and correct the slopes. Where these rows
        are those of the optimum, this ends there, however wide the band.
        """
        root = self.loss.root_curvature(here.z)
        if not 0 < np.count_nonzero(root) <= 2 * len(here.x):
            return  # more cannot lie on the kink together
        bend = self.design.gram(self.share, root)
        H = self.penalty.add_to(bend)
        x, u = here.x, self.loss.slope(here.z)
        g = self.design.pull(self.share * u) + self.penalty.gradient(x)
        for _ in range(3):
            x = self.aim(H, (H - bend) @ x - g, feasible, enough)
            z, toll = self.design.product(x), self.penalty.value(x)
            u = pinball.clip(u + root**2 * z)
            g = self.design.pull(self.share * u) + self.penalty.gradient(x)
            floor = float((self.share * u) @ z) + toll - feasible.gap(g, x)
            yield _Point(x, z, pinball.mean(z, self.share) + toll), floor


def newton(design, loss, share, feasible, penalty, tol, unit, max_iter):
    """Minimise share @ loss(D x) + penalty by Newton steps, each a quadratic program.

    share : (n_rows,) float64 >= 0
    unit : the gap is accepted at tol * max(objective, unit)
    Goes on to a gap of 1e-12 of that where Newton gets there: near the optimum a step
    squares the error, and weights settle later than the loss.
    """
    smooth = _Smooth(design, loss, share, penalty)
    start = feasible.start()
    here, idle = smooth.at(start, design.product(start)), 0
    bend, before = None, np.inf
    for n_iter in range(max_iter + 1):
        _, g = smooth.pull(here)
        gap = feasible.gap(g, here.x)
        size = max(abs(here.value), unit)
        # An inexact set may have no more to give.
        if gap <= min(tol, 1e-12) * size or n_iter == max_iter or idle > 2:
            break
        if bend is None:
            bend = smooth.rough_bend(here)
        elif gap > _REUSE * before:
            bend = smooth.bend(here)
        enough = _ENOUGH * max(gap, tol * size)
        ahead = smooth.step(here, g, bend, feasible, enough, unit)
        if ahead is None:
            break
        fall = here.value - ahead.value
        idle = idle + 1 if fall <= 1e-15 * (unit + abs(here.value)) else 0
        here, before = ahead, gap
    accepted = (tol + feasible.tolerance) * size + penalty.rounding(here.x)
    mean = loss.mean(here.z, share)
    return Solution(here.x, mean, here.value, gap, n_iter, accepted)


def pinball(design, loss, share, feasible, penalty, tol, max_iter, pace=(4.0, 0.3)):
    """Minimise the mean pinball loss of D x + penalty; a bound closes from below.

    pace : width of the first band, in small residuals, and what is left of it each time
    Smoothing over a band that shrinks. Slopes u inside the loss's own give the lower
    bound share * u, whatever the band; the best point seen is kept.
    """
    x = feasible.start()
    z = design.product(x)
    here = _Point(x, z, loss.mean(z, share) + penalty.value(x))
    size = np.abs(z)
    wide, shrink = pace
    band = max(wide * np.quantile(size, 0.3), 1e-12 * size.max(), np.finfo(float).tiny)
    # Without a price nothing is below zero, where relative gaps never close.
    floor = -np.inf if penalty.price.any() else 0.0
    best, jitter, n_iter = here, np.zeros(len(x)), 0

    def is_closed():
        noise = penalty.rounding(best.x)
        return best.value - floor <= tol * abs(best.value) + noise

    while n_iter < max_iter and not is_closed() and band > 1e-14 * abs(best.value):
        smooth = _Smooth(design, SmoothPinball(loss, float(band)), share, penalty)
        here = smooth.at(here.x, here.z)
        for _ in range(20):
            u, g = smooth.pull(here)
            gap = feasible.gap(g, here.x)
            toll = penalty.value(here.x)
            floor = max(floor, float(u @ here.z) + toll - gap)
            value = loss.mean(here.z, share) + toll
            if value < best.value:
                best = _Point(here.x, here.z, value)
            solved = gap <= 0.02 * (best.value - floor) + 1e-16 * abs(best.value)
            if solved or is_closed() or n_iter >= max_iter:
                break
            n_iter += 1
            bend = smooth.bend(here)
            # By column: an intercept has no part in the unit of the residuals.
            jitter = np.maximum(jitter, 1e-10 * bend.diagonal())
            bend[np.diag_indices(len(bend))] += jitter
            enough = _ENOUGH * max(gap, tol * abs(best.value))
            ahead = smooth.step(here, g, bend, feasible, enough, 0.0)
            if ahead is None:
                break
            here = ahead
        enough = _ENOUGH * tol * abs(best.value)
        for landed, bound in smooth.land(loss, here, feasible, enough):
            best = min(best, landed, key=lambda point: point.value)
            floor = max(floor, bound)
        band *= shrink
    accepted = (tol + feasible.tolerance) * abs(best.value) + np.finfo(float).tiny
    accepted += penalty.rounding(best.x)
    mean = loss.mean(best.z, share)
    gap = max(best.value - floor, 0.0)
    return Solution(best.x, mean, best.value, gap, n_iter, accepted)
