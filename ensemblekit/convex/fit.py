"""From a problem and constraints to weights: duplicates, penalties, search, borders."""

from dataclasses import replace

import numpy as np

from .. import kernels
from .feasible import Infeasible
from .penalty import Penalty
from .support import choose_members, improve

_GROWTH = 8.0
# Rows that tell nearly all distinct members apart before whole columns are compared.
_GLANCE = 16


def first_copies(P, n_outputs, weight=None):
    """Return for each member the first one that it is a copy of, (n_members,) int.

    Copies agree in every value on all rows of positive weight. Of a dask array no more
    chunks are read than it takes to tell all members apart.
    """
    n_members = P.shape[1] // n_outputs
    leaders = np.arange(n_members)
    if hasattr(P, "dask"):
        common = np.zeros_like(leaders)
        for start, part in kernels.design.in_memory(P):
            own = None if weight is None else weight[start : start + len(part)]
            common = copies_in_both(common, first_copies(part, n_outputs, own))
            if (common == leaders).all():
                break
        return common
    counted: slice | np.ndarray = slice(None)
    first: slice | np.ndarray = slice(_GLANCE)
    if weight is not None and not weight.all():
        counted, first = weight > 0.0, np.flatnonzero(weight)[:_GLANCE]
    glance = np.asarray(P[first])
    blocks = glance.reshape(len(glance), n_members, n_outputs).transpose(1, 0, 2)
    suspects: dict[bytes, list[int]] = {}
    # + 0.0 turns -0.0 into 0.0, which has other bytes; and makes a copy in C order.
    for j, block in enumerate(np.add(blocks, 0.0, order="C")):
        suspects.setdefault(block.tobytes(), []).append(j)
    for alike in suspects.values():
        for place, j in enumerate(alike):
            for k in alike[:place]:
                if leaders[k] == k and _equal(P, j, k, n_outputs, counted):
                    leaders[j] = k
                    break
    return leaders


def copies_in_both(leaders, others):
    """Return for each member the first that it is a copy of in two parts of rows."""
    pairs = np.column_stack([leaders, others])
    _, first, alike = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    return first[alike.ravel()]


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
    centre[members] = 1.0 / max(len(members), 1)
    strength = ridge * problem.ridge_unit if ridge else 0.0
    return Penalty(strength, centre, price)


def best_weights(problem, constraints, members, penalty, tol, max_iter):
    """Return the `Solution` of a problem under constraints.

    members : those that may get weight
    """
    if not len(members) or not replace(constraints, floor=0.0).admits(members):
        raise Infeasible("The caps leave some weight that no member may take.")
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
        left = max_iter - (0 if before is None else before.n_iter)
        solution = problem.minimise(feasible, penalty, tol, left)
        if before is not None:
            solution = replace(solution, n_iter=solution.n_iter + before.n_iter)
            gain = before.objective - solution.objective
            if gain <= 1e-9 * abs(before.objective):
                # The wider border proves what the narrower one could not.
                gap = max(gain + solution.gap, 0.0)
                return replace(before, gap=gap), bound / _GROWTH
        spent = solution.n_iter >= max_iter
        if not feasible.touches(solution.x) or bound > 1e9 or spent:
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
        if not problem.is_finite_on(members[chosen]):
            return np.inf
        some = problem, constraints, members[chosen], penalty, tol, max_iter
        return _minimise(*some, constraints.floor)[0].objective

    def admits(chosen):
        return constraints.admits(members[chosen])

    order = np.argsort(-free.x[members], kind="stable")
    limits = len(members), constraints.max_members or len(members), admits
    # A single member may be far from where the model is near the loss.
    single = constraints.max_members == 1
    chosen = choose_members(exact if single else value, *limits, order)
    if not admits(chosen):
        raise Infeasible(
            f"No set of members meets min_weight={constraints.floor:g}, max_members="
            f"{constraints.max_members}, max_weight and max_group_weight together. "
            "Loosen one of them."
        )
    if problem.needs_border and not single:
        chosen = improve(exact, value, chosen, *limits)
    kept, _ = _minimise(
        problem, constraints, members[chosen], penalty, tol, max_iter, constraints.floor
    )
    # Nothing proves a subset best; the optimum without the limit bounds its loss.
    gap = max(kept.objective - (free.objective - free.gap), 0.0)
    return replace(kept, gap=gap, n_iter=kept.n_iter + free.n_iter, accepted=np.inf)
