"""What the combiners of convex weights share: parameters, one flow of fit, reports."""

import warnings
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .. import kernels
from .._sklearn import Integral, Interval, Real, StrOptions
from ..convex import inference, weighting
from ..convex.constraints import as_numbers, read_constraints
from ..convex.fit import copies_in_both, first_copies
from ..convex.problem import GramLoss
from ..convex.ridge import GRID, plug_in
from ._base import (
    check_all_finite,
    check_gram,
    check_squares,
    row_folds,
    warn_if_open,
)

_SHARE = Interval(Real, 0, 1, closed="both")
_SOME_SHARE = Interval(Real, 0, 1, closed="right")
_POSITIVE = Interval(Integral, 1, None, closed="left")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")

PARAMETERS: dict = {
    "ridge": [StrOptions({"auto", "cv"}), _NOT_NEGATIVE],
    "own_error": [_NOT_NEGATIVE],
    "cost": ["array-like", None],
    "max_weight": [_SHARE, "array-like", None],
    "min_weight": [_SOME_SHARE, None],
    "max_members": [_POSITIVE, None],
    "groups": ["array-like", None],
    "max_group_weight": [_SOME_SHARE, dict, None],
    "constraints": [callable, None],
    "n_bootstrap": [Interval(Integral, 0, None, closed="left")],
    "alpha": [Interval(Real, 0, 1, closed="neither")],
    "blocks": [StrOptions({"random", "contiguous"}), "array-like"],
    "cv": ["cv_object"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, 1, closed="neither")],
    "max_iter": [_POSITIVE],
}
"""Constraints of the parameters that all of them have."""


@dataclass(frozen=True)
class Rows:
    """What a combiner was given, checked.

    P : (n, n_members * n_outputs); y : targets or class codes; names : of the members
    weight : (n,) float64, or None for ones; stratify : whether folds balance y
    origin : what residuals and targets were measured from
    """

    P: np.ndarray
    y: np.ndarray
    n_outputs: int
    weight: np.ndarray | None
    names: list[str]
    stratify: bool = False
    origin: tuple | None = None

    @property
    def n_members(self):
        """Return the number of members."""
        return self.P.shape[1] // self.n_outputs

    @property
    def total(self):
        """Return the sum of the rows' weights."""
        return float(len(self.y)) if self.weight is None else float(self.weight.sum())

    @cached_property
    def leaders(self):
        """Return for each member the first that it is a copy of."""
        return first_copies(self.P, self.n_outputs, self.weight)


@dataclass(frozen=True)
class Fit:
    """The results of one problem, under the names of the fitted attributes."""

    results: dict
    accepted: float
    found: weighting.Weighting


def read_settings(combiner, n_members, names):
    """Return the `Settings` that a combiner's parameters ask for."""
    cost = combiner.cost
    if cost is not None:
        cost = as_numbers("cost", cost)
        if cost.shape != (n_members,):
            raise ValueError(
                f"cost has shape {cost.shape}; expected one finite number for each of "
                f"the {n_members} members."
            )
        if not np.isfinite(cost).all():
            j = int(np.argmin(np.isfinite(cost)))
            raise ValueError(
                f"cost of member {names[j]!r} is {cost[j]}; expected one finite number "
                f"for each of the {n_members} members."
            )
    constraints = read_constraints(combiner, n_members, names)
    return weighting.Settings(
        constraints,
        combiner.ridge,
        combiner.own_error,
        cost,
        combiner.tol,
        combiner.max_iter,
    )


def check_problem(combiner, problem):
    """Refuse NaN and infinity, and residuals that double precision cannot square."""
    if hasattr(problem, "gram"):
        if not np.isfinite(problem.gram.diagonal()).all():
            check_all_finite(combiner, problem.design.P)
        check_gram(problem.gram, problem.design, problem.weight)
        return
    with np.errstate(over="ignore", invalid="ignore"):
        size = problem.scale
    if not 1e-150 < size < 1e150:
        check_squares(np.inf)


def reusable(cv):
    """Return cv; an iterator, which would serve one target alone, as a list."""
    return list(cv) if hasattr(cv, "__next__") else cv


def fit_problem(combiner, problem, rows, cv=None):
    """Find the weights of a problem over rows and return them as a `Fit`.

    cv : the combiner's, `reusable`
    """
    settings = read_settings(combiner, rows.n_members, rows.names)
    found = weighting.find_weights(
        problem,
        settings,
        lambda: rows.leaders,
        lambda n_members: plug_in(n_members, rows.total),
        partial(row_folds, cv, rows.y, rows.weight, rows.stratify),
    )
    fit = as_fit(found, rows.n_members)
    if combiner.n_bootstrap:
        _add_intervals(combiner, problem, settings, rows, fit)
    return fit


def as_fit(found, n_members):
    """Return a `Weighting` under the names of the fitted attributes."""
    solution = found.solution
    results = {
        "weights_": solution.x[:n_members],
        "objective_": solution.objective,
        "loss_": solution.loss,
        "duality_gap_": solution.gap,
        "n_iter_": solution.n_iter,
        "ridge_": found.ridge,
    }
    if found.search is not None:
        results["ridges_"] = found.search.ridges
        results["cv_losses_"] = found.search.losses
    return Fit(results, solution.accepted, found)


def _add_intervals(combiner, problem, settings, rows, fit):
    rng = check_random_state(combiner.random_state)
    draws = weighting.bootstrap(
        problem,
        settings,
        fit.found,
        inference.row_blocks(
            combiner.blocks, len(rows.y), rows.n_members, rng, rows.weight
        ),
        combiner.n_bootstrap,
        rng,
    )
    tails = 100.0 * np.array([combiner.alpha / 2.0, 1.0 - combiner.alpha / 2.0])
    fit.results["weight_intervals_"] = np.percentile(draws, tails, axis=0).T
    fit.results["weight_se_"] = draws.std(axis=0, ddof=min(1, len(draws) - 1))
    fit.results["selection_frequency_"] = (draws != 0.0).mean(axis=0)


def name_results(combiner, fits, stacked=False):
    """Set the fitted attributes; with `stacked`, one row for each problem."""
    for name in fits[0].results:
        values = [fit.results[name] for fit in fits]
        setattr(combiner, name, np.array(values) if stacked else values[0])
    for fit in fits:
        warn_if_open(combiner, fit.results["duality_gap_"], fit.accepted)


def warn_unless_counts(combiner, weight, parameter="ridge", stacklevel=4):
    """Warn where ridge="auto" meets weights that cannot be counts of rows."""
    if weight is None or getattr(combiner, parameter) != "auto":
        return
    total, n_counted = float(weight.sum()), np.count_nonzero(weight)
    counts = total >= n_counted and (weight == np.floor(weight)).all()
    if not counts and not 0.1 <= total / n_counted <= 10.0:
        warnings.warn(
            f"sample_weight sums to {total:.3g} over {n_counted} rows, but "
            f"{parameter}='auto' takes sample_weight as counts of rows. Divide "
            f"sample_weight by its mean, or give {parameter} a number.",
            UserWarning,
            stacklevel=stacklevel,
        )


def explain(combiner, problem, rows):
    """Return one dictionary for each member: what it weighs and what it adds."""
    settings = read_settings(combiner, rows.n_members, rows.names)
    found = _refind(combiner, problem, settings, rows)
    points, losses = weighting.without_each(problem, settings, found)
    related = inference.correlations(problem.design, problem.weight, points)
    weights = found.solution.x[: rows.n_members]
    own_losses = problem.member_losses + problem.impossible_loss
    return [
        {
            "name": str(rows.names[j]),
            "weight": float(weights[j]),
            "own_loss": float(own_losses[j]),
            "loss_without": float(losses[j]),
            "contribution": float(losses[j] - found.solution.loss),
            "correlation": float(related[j]),
        }
        for j in range(rows.n_members)
    ]


def _refind(combiner, problem, settings, rows):
    """Return the weighting at the ridge that fit used, without a search for it."""
    fixed = replace(settings, ridge=combiner.ridge_)
    return weighting.find_weights(problem, fixed, lambda: rows.leaders, None)


def regularization_path(combiner, problem, rows, ridges):
    """Return weights and losses at each ridge as a Bunch of arrays."""
    settings = read_settings(combiner, rows.n_members, rows.names)
    ridges = GRID if ridges is None else np.asarray(ridges, np.float64)
    fit = ridges.ndim == 1 and len(ridges) and np.isfinite(ridges).all()
    if not fit or ridges.min() < 0.0:
        raise ValueError(f"ridges has to be a list of numbers >= 0; got {ridges}.")
    solutions = [
        weighting.find_weights(
            problem, replace(settings, ridge=strength), lambda: rows.leaders, None
        ).solution
        for strength in ridges.tolist()
    ]
    weights = np.array([solution.x[: rows.n_members] for solution in solutions])
    return Bunch(
        ridges=ridges,
        weights=weights,
        losses=np.array([solution.loss for solution in solutions]),
        duality_gaps=np.array([solution.gap for solution in solutions]),
        n_members=np.count_nonzero(weights, axis=1),
    )


def refuse_partial_fit(combiner):
    """Refuse what only all rows together could give."""
    if hasattr(combiner, "weights_") and not hasattr(combiner, "gram_"):
        raise ValueError(
            "partial_fit cannot go on from this fit, of whose rows nothing is kept: it "
            "was for another loss or several targets, or of 384 members or more and a "
            "hundred times as many rows. Call partial_fit from the first rows on."
        )
    if hasattr(combiner, "gram_"):
        for name, before in combiner._sums_of_.items():
            if getattr(combiner, name) != before:
                raise ValueError(
                    f"partial_fit has seen rows with {name}={before!r}, which now is "
                    f"{getattr(combiner, name)!r}: their sums do not serve both. Set "
                    "it back, or call fit."
                )
    for name, unfit in [
        ("ridge", combiner.ridge == "cv"),
        ("n_bootstrap", combiner.n_bootstrap > 0),
        ("per_target", getattr(combiner, "per_target", False)),
    ]:
        if unfit:
            raise ValueError(
                f"{name}={getattr(combiner, name)!r} needs all rows at once; "
                "partial_fit keeps only their Gram matrix. Use fit."
            )


@dataclass(frozen=True)
class Sums:
    """Sums over the batches that partial_fit has seen.

    gram : (q, q) outer products; total : weight; leaders : (m,) int, for each member
    the first that it is a copy of in every batch; loss : of the sums
    """

    gram: np.ndarray
    total: float
    leaders: np.ndarray
    loss: GramLoss


def find_from_sums(combiner, design, weight, names):
    """Return `Weighting` and `Sums` of the samples seen before and those of a batch.

    weight : (n_samples,) float64, or None for ones
    """
    terms = design.n_rows // len(design.P)
    spread = None if weight is None else np.repeat(weight, terms)
    with np.errstate(over="ignore", invalid="ignore"):
        gram = design.gram(spread)
    check_gram(gram, design, spread)
    total = float(len(design.P) if weight is None else weight.sum())
    leaders = first_copies(design.P, design.n_outputs, weight)
    m = design.n_members
    if hasattr(combiner, "gram_"):
        gram, total = gram + combiner.gram_, total + combiner.total_weight_
        leaders = copies_in_both(leaders, combiner._leaders_)
    loss = GramLoss.from_sums(gram, total, m, getattr(combiner, "fit_intercept", False))
    found = weighting.find_weights(
        loss,
        read_settings(combiner, m, names),
        lambda: leaders,
        lambda n_members: plug_in(n_members, total),
    )
    return found, Sums(gram, total, leaders, loss)


def keep_sums(combiner, gram, total, leaders):
    """Remember the sums over all rows for a next batch."""
    combiner.gram_, combiner.total_weight_ = gram, total
    combiner._leaders_ = leaders
    names = ("loss", "sum_to_one", "fit_intercept")
    combiner._sums_of_ = {k: v for k, v in vars(combiner).items() if k in names}


def keep_rows(combiner, problem, rows):
    """Remember the sums of a fit, so that partial_fit can go on from it."""
    keep_sums(combiner, problem.sums(), problem.total, rows.leaders)


def design_of(P, target, n_outputs=1, **options):
    """Return the rows of a problem: see `kernels.design`."""
    return kernels.design.Design(P, target, n_outputs, **options)
