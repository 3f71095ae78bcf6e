"""From a problem and constraints to weights: duplicates, penalties, search, borders."""

from dataclasses import replace

import numpy as np

from .penalty import Penalty
from .support import choose_members

_GROWTH = 8.0
# Rows that tell nearly all distinct members apart before whole columns are compared.
_GLANCE = 64


def first_copies(P, n_outputs, weight=None):
    """Return for each member the first one that it is a copy of, (n_members,) int.

    Copies agree in every value on all rows of positive weight. A dask array is not
    searched: its members count as distinct.
    """
    n_members = P.shape[1] // n_outputs
    leaders = np.arange(n_members)
    if hasattr(P, "dask"):
        return leaders
    counted = slice(None) if weight is None or weight.all() else weight > 0.0
    glance = np.asarray(P[counted][:_GLANCE] if weight is not None else P[:_GLANCE])
    suspects: dict[bytes, list[int]] = {}
    for j, block in enumerate(np.hsplit(glance, n_members)):
        # + 0.0 turns -0.0 into 0.0, which has other bytes.
        suspects.setdefault((block + 0.0).tobytes(), []).append(j)
    for alike in suspects.values():
        for place, j in enumerate(alike):
            for k in alike[:place]:
                if leaders[k] == k and _equal(P, j, k, n_outputs, counted):
                    leaders[j] = k
                    break
    return leaders


def _equal(P, j, k, n_outputs, counted):
    left, right = (P[:, i * n_outputs : (i + 1) * n_outputs] for i in (j, k))
    return np.array_equal(left[counted], right[counted])


def make_penalty(problem, n_members, members, ridge=0.0, own_error=0.0, cost=None):
    """Return the penalty of ridge, own error and cost, in units of the loss."""
    price = np.zeros(n_members)
    if own_error:
        price += own_error * problem.member_losses[:n_members]
    if cost is not None:
        price += cost * problem.member_losses[:n_members].min()
    centre = np.zeros(n_members)
    centre[members] = 1.0 / len(members)
    strength = ridge * problem.ridge_unit if ridge else 0.0
    return Penalty(strength, centre, price)


def best_weights(problem, constraints, members, penalty, tol, max_iter):
    """Return the `Solution` of a problem under constraints.

    members : those that may get weight
    """
    solution, bound = _minimise(problem, constraints, members, penalty, tol, max_iter)
    if not constraints.limits_support:
        return solution
    kept = np.flatnonzero(solution.x[: constraints.n_members])
    limit = constraints.max_members or len(members)
    enough = len(kept) <= limit
    if enough and solution.x[kept].min() >= constraints.floor:
        return solution
    return _best_subset(
        problem, constraints, members, penalty, tol, max_iter, solution, bound
    )


def _minimise(problem, constraints, members, penalty, tol, max_iter, floor=0.0):
    """Solve on a convex set; widen its artificial border until that is of no use."""
    reach = problem.scale if problem.needs_border else None
    bound, before = 1.0, None
    while True:
        feasible = constraints.feasible(members, bound, reach, floor)
        solution = problem.minimise(feasible, penalty, tol, max_iter)
        if before is not None:
            solution = replace(solution, n_iter=solution.n_iter + before.n_iter)
            gain = before.objective - solution.objective
            if gain <= 1e-9 * abs(before.objective):
                # The wider border proves what the narrower one could not.
                gap = max(gain + solution.gap, 0.0)
                return replace(before, gap=gap), bound / _GROWTH
        if not feasible.touches(solution.x) or bound > 1e9:
            return solution, bound
        bound, before = bound * _GROWTH, solution


def _best_subset(problem, constraints, members, penalty, tol, max_iter, free, bound):
    """Choose members on the quadratic model at the free optimum, then solve on them."""
    H, c = problem.model(free.x)
    H = penalty.add_to(H)
    origin = penalty.gradient(np.zeros(len(H)))
    c = c - origin
    reach = problem.scale if problem.needs_border else None

    def value(chosen):
        if not problem.is_finite_on(members[chosen]):
            return np.inf
        feasible = constraints.feasible(
            members[chosen], bound, reach, constraints.floor
        )
        x, _ = feasible.minimise(H, c)
        return 0.5 * x @ H @ x - c @ x

    def exact(chosen):
        single = problem, constraints, members[chosen], penalty, tol, max_iter
        return _minimise(*single)[0].objective

    order = np.argsort(-free.x[members], kind="stable")
    chosen = choose_members(
        # A single member may be far from where the model is near the loss.
        exact if constraints.max_members == 1 else value,
        len(members),
        constraints.max_members or len(members),
        lambda chosen: constraints.admits(members[chosen]),
        order,
    )
    if not constraints.admits(members[chosen]):
        raise ValueError(
            f"No set of members meets min_weight={constraints.floor:g} together with "
            "max_weight, max_group_weight and max_members. Loosen one of them."
        )
    kept, _ = _minimise(
        problem, constraints, members[chosen], penalty, tol, max_iter, constraints.floor
    )
    # Nothing proves a subset best; the optimum without the limit bounds its loss.
    gap = max(kept.objective - (free.objective - free.gap), 0.0)
    return replace(kept, gap=gap, n_iter=kept.n_iter + free.n_iter, accepted=np.inf)
