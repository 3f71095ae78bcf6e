"""Greedy selection with replacement, under limits.

Caruana et al., "Ensemble selection from libraries of models", ICML 2004.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from .. import kernels

# Losses this close (relative) are one: BLAS may give copies different last bits.
_TIE = 1e-12
# Members this close (relative) to the one picked could as well have been.
_NEAR = 1e-4


@dataclass(frozen=True)
class Rules:
    """What may be picked, and when to stop.

    n_rounds : int, picks in all; replacement : whether a member may come again
    max_members : most distinct members, or None
    cost : (m,) float64 >= 0 of a member's first pick, or None; max_cost : most in all
    price : added to the loss for each unit of a new member's cost
    allowed : (m,) bool, or None for all
    patience : rounds without a gain above min_gain before it stops, or None
    deadline : of time.monotonic(), or None
    callback : (round, loss, member) -> whether to stop
    """

    n_rounds: int = 50
    replacement: bool = True
    max_members: int | None = None
    cost: np.ndarray | None = None
    max_cost: float = np.inf
    price: float = 0.0
    allowed: np.ndarray | None = None
    patience: int | None = None
    min_gain: float = 0.0
    deadline: float | None = None
    callback: Callable | None = None

    @property
    def free(self):
        """Return whether every member may be picked in every round."""
        limits = self.max_members, self.cost, self.allowed
        return self.replacement and all(limit is None for limit in limits)


@dataclass
class Path:
    """What was picked.

    picks : members in order; losses : after each pick; near : for each round the
    members that came close; own : (m,) loss of each member alone; closest : (m,) least
    distance to the pick of a round
    """

    picks: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    near: list[np.ndarray] = field(default_factory=list)
    own: np.ndarray = field(default_factory=lambda: np.empty(0))
    closest: np.ndarray = field(default_factory=lambda: np.empty(0))

    def best(self, min_gain=0.0):
        """Return the length of the shortest prefix of least loss."""
        losses = np.array(self.losses)
        slack = max(_TIE * abs(losses.min()), min_gain)
        return int(np.argmax(losses <= losses.min() + slack)) + 1

    def costs(self, cost):
        """Return the cost of the distinct members of each prefix."""
        new = np.zeros(len(self.picks), bool)
        new[np.unique(self.picks, return_index=True)[1]] = True
        return np.cumsum(np.where(new, cost[self.picks], 0.0))


def select(scores, rules, start=()):
    """Pick members one by one, each the best addition to the mean of the picks.

    start : members picked before the first round, in order (see `opening`)
    Ties go to the lowest index. Stops early where the loss cannot fall any more.
    """
    path = Path()
    scores.start()
    losses = scores.losses()
    if not np.isfinite(losses).any():
        raise ValueError(
            f"No member has a finite loss ({losses.tolist()[:3]} ..): P, y or the "
            "weights are beyond double precision. Divide them by their scale."
        )
    path.own = losses.copy()
    path.closest = np.full(len(losses), np.inf)
    for member in start:
        _take(path, scores, int(member), losses[member], np.empty(0, np.int64))
        losses = scores.losses()
    used = np.zeros(len(losses), bool)
    used[path.picks] = True
    while len(path.picks) < rules.n_rounds:
        candidates = losses if rules.free else _permitted(losses, used, rules)
        member = kernels.candidates.lowest(candidates)
        loss = float(losses[member])
        if not np.isfinite(candidates[member]):
            break
        distance = losses - loss
        np.minimum(path.closest, distance, out=path.closest)
        _take(path, scores, member, loss, _close(candidates, loss, member))
        used[member] = True
        if _is_over(path, rules, len(start)) or loss <= scores.least:
            break
        if len(path.picks) < rules.n_rounds:
            losses = scores.losses()
    return path


def _take(path, scores, member, loss, near):
    path.picks.append(member)
    path.losses.append(float(loss))
    path.near.append(near)
    scores.add(member)


def _close(losses, loss, member):
    near = np.flatnonzero(losses <= loss + _NEAR * abs(loss))
    return near[near != member]


def _permitted(losses, used, rules):
    """Return the losses, with prices, and inf for members that may not be picked."""
    if rules.cost is not None:
        losses = losses + rules.price * np.where(used, 0.0, rules.cost)
    return np.where(_allowed(used, rules), losses, np.inf)


def _allowed(used, rules):
    """Return which members may be picked next, (m,) bool."""
    allowed = np.ones(len(used), bool)
    if rules.allowed is not None:
        allowed &= rules.allowed
    if not rules.replacement:
        allowed &= ~used
    if rules.max_members is not None and used.sum() >= rules.max_members:
        allowed &= used
    if rules.cost is not None:
        # 0.1 + 0.2 is to be within 0.3.
        most = rules.max_cost * (1.0 + _TIE)
        allowed &= used | (rules.cost[used].sum() + rules.cost <= most)
    return allowed


def _is_over(path, rules, n_opening):
    done = len(path.losses)
    asked = False
    if rules.callback is not None:
        asked = bool(rules.callback(done, path.losses[-1], path.picks[-1]))
    late = rules.deadline is not None and time.monotonic() > rules.deadline
    return asked or late or _is_stuck(path.losses, rules, n_opening)


def _is_stuck(losses, rules, n_opening):
    """Return whether `patience` rounds have passed without a gain."""
    if rules.patience is None or len(losses) - max(n_opening, 1) < rules.patience:
        return False
    before = min(losses[: -rules.patience])
    return min(losses) >= before - max(rules.min_gain, _TIE * abs(before))


def opening(scores, rules, init):
    """Return the members that a selection starts from, within the limits.

    init : "best" for none, "sorted" for the prefix of the members, best first, whose
    mean loses least, or how many of the best
    Caruana et al., section 2.3 (sorted ensemble initialization).
    """
    if init == "best":
        return []
    scores.start()
    own = scores.losses().copy()
    order = admitted(np.argsort(own, kind="stable").tolist(), rules, len(own))
    if init != "sorted":
        return order[:init]
    losses = []
    for member in order:
        losses.append(scores.losses()[member])
        scores.add(member)
    return order[: Path(losses=losses).best()]


def admitted(picks, rules, n_members):
    """Return those of the picks that the limits allow after the ones before them."""
    kept: list[int] = []
    used = np.zeros(n_members, bool)
    for pick in picks:
        if len(kept) < rules.n_rounds and _allowed(used, rules)[pick]:
            kept.append(int(pick))
            used[pick] = True
    return kept


def frontier(scores, rules, cost, path, n_prices=10):
    """Return the undominated (loss, cost, picks) of runs at prices of cost.

    path : of price 0; the other prices are geometric up to the one at which a single
    member is the best choice
    """
    paths = [path]
    if cost.any() and n_prices:
        spread = path.own.max() - path.own.min()
        highest = spread / max(np.ptp(cost), cost.max() * 1e-3)
        for price in highest * np.logspace(-4, 0, n_prices):
            priced = replace(rules, cost=cost, price=float(price), callback=None)
            paths.append(select(scores, priced))
    records = [
        (one.losses[k], spent, len(set(one.picks[: k + 1])), one.picks[: k + 1])
        for one in paths
        for k, spent in _cheapest(one, cost)
    ]
    records.sort(key=lambda record: (record[1], record[0], record[2], record[3]))
    kept, lowest = [], np.inf
    for record in records:
        if record[0] < lowest - _TIE * abs(lowest if np.isfinite(lowest) else 0.0):
            kept.append(record)
            lowest = record[0]
    return kept


def _cheapest(path, cost):
    """Return (position, cost) of the first best prefix at each cost that occurs."""
    spent, losses = path.costs(cost), np.array(path.losses)
    values, starts = np.unique(spent, return_index=True)
    groups = np.split(losses, starts[1:])
    bests = starts + [int(np.argmin(group)) for group in groups]
    return zip(bests.tolist(), values.tolist(), strict=True)
