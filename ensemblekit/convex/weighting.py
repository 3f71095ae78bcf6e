"""Everything a combiner of convex weights does between its data and its attributes."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from . import inference
from . import ridge as ridges
from .constraints import Constraints
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


def find_weights(problem, settings, distinct, auto, splits=None):
    """Return the `Weighting` of a problem.

    distinct : () -> the members that are no copies; auto : their number -> ridge
    splits : () -> (train, test) pairs, for ridge="cv"
    """
    members = np.arange(settings.constraints.n_members)
    if settings.ridge != 0.0 and settings.constraints.plain and settings.cost is None:
        # A ridge is not blind to copies: it would give their family more weight.
        members = distinct()
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
    return Weighting(solution, float(strength), found, members, penalty)


def without_each(problem, settings, weighting):
    """Return x of the best weights without each member, (n_members, q), and the loss.

    Members without weight are not missed: their row is the solution itself.
    """
    x, members = weighting.solution.x, weighting.members
    n_members = settings.constraints.n_members
    points, losses = (
        np.tile(x, (n_members, 1)),
        np.full(n_members, weighting.solution.loss),
    )
    for j in np.flatnonzero(x[:n_members]):
        others = members[members != j]
        if not len(others) or not settings.constraints.admits(others):
            points[j], losses[j] = np.nan, np.nan
            continue
        penalty = _penalty(problem, settings, others, weighting.ridge)
        found = best_weights(
            problem.on_members(others),
            settings.constraints,
            others,
            penalty,
            settings.tol,
            settings.max_iter,
        )
        points[j], losses[j] = found.x, found.loss
    return points, losses


def bootstrap(problem, settings, weighting, n_samples, blocks, n_bootstrap, rng):
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
    blocks = inference.row_blocks(blocks, n_samples, n_members, rng)
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


def with_ridge(settings, strength):
    """Return the settings with another ridge."""
    return replace(settings, ridge=strength)
