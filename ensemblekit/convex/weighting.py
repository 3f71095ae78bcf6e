"""Everything a combiner of convex weights does between its data and its attributes."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from . import inference
from . import ridge as ridges
from .constraints import Constraints
from .feasible import Infeasible
from .fit import best_weights, make_penalty
from .penalty import Penalty
from .solve import Solution


@dataclass(frozen=True)
class Settings:
    """What a combiner was asked for, besides its loss.

    ridge : "auto", "cv" or float; cost : (n_members,) float64, or None
    """

    constraints: Constraints
    ridge: str | float
    own_error: float
    cost: np.ndarray | None
    tol: float
    max_iter: int


@dataclass(frozen=True)
class Weighting:
    """Weights that were found, and how.

    solution : at the weights; ridge : used; search : of ridge="cv", or None
    members : that may have weight; penalty : at this ridge
    """

    solution: Solution
    ridge: float
    search: ridges.Search | None
    members: np.ndarray
    penalty: Penalty


def find_weights(problem, settings, leaders, auto, splits=None):
    """Return the `Weighting` of a problem.

    leaders : () -> for each member the first that it is a copy of
    auto : number of members that are no copies -> ridge
    splits : () -> (train, test) pairs, for ridge="cv"
    """
    members = np.arange(settings.constraints.n_members)
    constraints = settings.constraints
    blind = settings.ridge == 0.0 and constraints.nonnegative
    if constraints.plain and not blind:
        # A ridge is not blind to copies: it would give their family more weight.
        members = _cheapest(leaders(), settings.cost)
    members = members[constraints.upper[members] > 0.0]
    problem = problem.on_members(members)
    found, strength = None, settings.ridge
    if strength == "auto":
        strength = auto(len(members))
    if strength == "cv":
        found = ridges.search(problem, splits(), partial(_point, settings, members))
        strength = found.best
    penalty = _penalty(problem, settings, members, strength)
    solution = best_weights(
        problem, settings.constraints, members, penalty, settings.tol, settings.max_iter
    )
    if not np.isfinite(solution.objective):
        raise ValueError(
            "Whatever weights the constraints allow, some row has probability 0 and "
            "the log loss is infinite: only members that they bar give it a chance. "
            "Loosen them, or clip the members' probabilities."
        )
    return Weighting(solution, float(strength), found, members, penalty)


def _cheapest(leaders, cost):
    """Return one member of each family of copies: the first of the least cost."""
    if cost is None:
        return np.unique(leaders)
    order = np.lexsort([np.arange(len(cost)), cost, leaders])
    return np.sort(order[np.unique(leaders[order], return_index=True)[1]])


def without_each(problem, settings, weighting):
    """Return x of the best weights without each member, (n_members, q), and the loss.

    Members without weight are not missed: their row is the solution itself. NaN where
    the others cannot meet the constraints.
    """
    x, members = weighting.solution.x, weighting.members
    n_members = settings.constraints.n_members
    points, losses = (
        np.tile(x, (n_members, 1)),
        np.full(n_members, weighting.solution.loss),
    )
    for j in np.flatnonzero(x[:n_members]):
        others = members[members != j]
        penalty = _penalty(problem, settings, others, weighting.ridge)
        try:
            found = best_weights(
                problem.on_members(others),
                settings.constraints,
                others,
                penalty,
                settings.tol,
                settings.max_iter,
            )
        except Infeasible:
            points[j], losses[j] = np.nan, np.nan
        else:
            points[j], losses[j] = found.x, found.loss
    return points, losses


def bootstrap(problem, settings, weighting, blocks, n_bootstrap, rng):
    """Return the weights of bootstrap replicates, (n_bootstrap, n_members)."""

    def solve(replicate):
        return best_weights(
            replicate,
            settings.constraints,
            weighting.members,
            weighting.penalty,
            max(settings.tol, 1e-6),
            settings.max_iter,
        ).x

    n_members = settings.constraints.n_members
    return inference.bootstrap(problem, solve, blocks, n_bootstrap, rng)[:, :n_members]


def _point(settings, members, problem, strength):
    # The search over members would be repeated for each fold and ridge.
    convex = replace(settings.constraints, max_members=None, floor=0.0)
    penalty = _penalty(problem, settings, members, strength)
    tol = max(settings.tol, 1e-6)
    return best_weights(problem, convex, members, penalty, tol, settings.max_iter).x


def _penalty(problem, settings, members, strength):
    return make_penalty(
        problem,
        settings.constraints.n_members,
        members,
        strength,
        settings.own_error,
        settings.cost,
    )
