import math
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import linprog

from ensemblekit import ConvexClassifier, ConvexRegressor
from ensemblekit.kernels import polytope

from .problems import check_is_share, fit, random_problem

LOSSES = [("squared_error", 0), ("huber", 0), ("pinball", 0), ("log_loss", 3)]
VALUES = LOSSES[:3]


def is_share(w):
    return [w >= 0, w.sum() == 1]


def capped_sets(m, seed):
    """Yield name, the combiner's parameters, and the same set in cvxpy."""
    rng = np.random.default_rng([seed, 2])
    cap = rng.uniform(1.2 / m, 0.9)
    caps = rng.permutation(np.linspace(0.3, 2.5, m)) / m
    family = rng.permutation(np.arange(m) % 3)
    group = np.array(["net", "tree", "wood"])[family]
    room, first = rng.uniform(0.4, 0.7), rng.uniform(0.05, 0.5)

    def sums(w):
        return [w[np.flatnonzero(family == k)].sum() for k in range(3)]

    yield "cap", {"max_weight": cap}, lambda w: [*is_share(w), w <= cap]
    yield "caps", {"max_weight": caps}, lambda w: [*is_share(w), w <= caps]
    yield (
        "groups",
        {"groups": group, "max_group_weight": room},
        lambda w: is_share(w) + [total <= room for total in sums(w)],
    )
    yield (
        "groups and caps",
        {"groups": group, "max_group_weight": {"net": first}, "max_weight": 0.6},
        lambda w: [*is_share(w), sums(w)[0] <= first, w <= 0.6],
    )


def free_sets(m, seed):
    yield "free sum", {"sum_to_one": False}, lambda w: [w >= 0]
    yield "free signs", {"nonnegative": False}, lambda w: [w.sum() == 1]
    yield "free", {"sum_to_one": False, "nonnegative": False}, lambda w: []


CAPPED = ["cap", "caps", "groups", "groups and caps"]
FREE = ["free sum", "free signs", "free"]


def check_against_cvxpy(problem, sets, name):
    pytest.importorskip("cvxpy")
    parameters, rules = next(found[1:] for found in sets if found[0] == name)
    found = fit(problem, **parameters)
    intercept = getattr(found, "intercept_", 0.0)
    least = problem.value(*problem.solve_cvxpy(rules))
    # The oracle's weights may leave the set by about 1e-12.
    slack = 1e-10 * abs(least)
    assert_allclose(found.objective_, problem.value(found.weights_, intercept))
    assert_allclose(found.objective_, least, rtol=1e-8)
    assert found.objective_ - found.duality_gap_ <= least + slack
    excess = 1e-9 * abs(least) if problem.loss == "pinball" else 0.0
    assert found.objective_ <= least + slack + excess
    return found


# Sets of weights against cvxpy.
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", CAPPED)
@pytest.mark.parametrize(("loss", "n_classes"), LOSSES)
def test_caps_against_cvxpy(loss, n_classes, name, seed):
    problem = random_problem(loss, n_classes, seed, n_members=4 + seed % 5)
    sets = list(capped_sets(problem.n_members, seed))
    found = check_against_cvxpy(problem, sets, name)
    check_is_share(found.weights_)
    if found.max_weight is not None:
        assert (found.weights_ - found.max_weight <= 1e-15).all()
    if name == "groups":
        sums = [found.weights_[found.groups == g].sum() for g in ("net", "tree")]
        assert max(sums) <= found.max_group_weight + 1e-15


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", CAPPED)
@pytest.mark.parametrize(("loss", "n_classes"), VALUES)
def test_caps_and_an_intercept_against_cvxpy(loss, n_classes, name, seed):
    problem = random_problem(loss, 0, seed, 4 + seed % 5, fit_intercept=True)
    problem.y += 3.0
    sets = list(capped_sets(problem.n_members, seed))
    found = check_against_cvxpy(problem, sets, name)
    check_is_share(found.weights_)
    if found.max_weight is not None:
        assert (found.weights_ - found.max_weight <= 1e-15).all()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("name", FREE)
@pytest.mark.parametrize(("loss", "n_classes"), VALUES)
def test_free_weights_against_cvxpy(loss, n_classes, name, fit_intercept, seed):
    problem = random_problem(loss, 0, seed, fit_intercept=fit_intercept)
    check_against_cvxpy(problem, list(free_sets(problem.n_members, seed)), name)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("tol", [0.3, 0.03])
@pytest.mark.parametrize("name", ["plain", *FREE])
@pytest.mark.parametrize("loss", ["huber", "pinball"])
def test_a_rough_solution_is_not_proven_too_well(loss, name, tol, seed):
    # The border that keeps the set bounded must not stand in for the set itself.
    problem = random_problem(
        loss, 0, 4 * seed + 3, 4, level=0.97, ridge=0.0, fit_intercept=name == "plain"
    )
    parameters = {set_[0]: set_[1] for set_ in free_sets(4, 0)}.get(name, {})
    rough, exact = fit(problem, tol=tol, **parameters), fit(problem, **parameters)
    assert rough.objective_ - rough.duality_gap_ <= exact.objective_ * (1 + 1e-10)


@pytest.mark.parametrize("nonnegative", [True, False])
def test_a_negative_objective(nonnegative):
    problem = random_problem("huber", 0, seed=3, n_members=4, cost=np.full(4, -3.0))
    found = fit(problem, nonnegative=nonnegative)
    free = fit(random_problem("huber", 0, seed=3, n_members=4), nonnegative=nonnegative)
    assert found.objective_ < 0.0
    assert_allclose(found.weights_, free.weights_, atol=1e-7)
    assert found.duality_gap_ <= 1e-9 * abs(found.objective_)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", CAPPED)
@pytest.mark.parametrize(("loss", "n_classes"), [*LOSSES, ("brier", 3)])
def test_prices_against_cvxpy(loss, n_classes, name, seed):
    cost = np.random.default_rng(seed).uniform(-0.1, 0.3, 5)
    own_error = 0.1 * (seed % 3)
    problem = random_problem(loss, n_classes, seed, 5, own_error=own_error, cost=cost)
    check_against_cvxpy(problem, list(capped_sets(5, seed)), name)


def test_a_cost_is_in_units_of_the_best_loss(regression_predictions):
    P, y, _ = regression_predictions(n_members=3)
    free = ConvexRegressor(ridge=0).fit(P, y)
    priced = ConvexRegressor(ridge=0, cost=[0.25] * 3).fit(P, y)
    unit = ((P - y[:, None]) ** 2).mean(axis=0).min()
    assert_allclose(priced.weights_, free.weights_, atol=1e-12)
    assert_allclose(priced.objective_ - priced.loss_, 0.25 * unit)


# Constraints written in cvxpy.
def in_order(w):
    return [w[0] >= w[1], w[2] <= 0.5 * w[0] + 0.1]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("loss", "n_classes"), [*LOSSES, ("brier", 2)])
def test_constraints_against_cvxpy(loss, n_classes, seed):
    pytest.importorskip("cvxpy")
    problem = random_problem(loss, n_classes, seed, n_members=5)
    found = fit(problem, constraints=in_order, max_weight=0.7)
    w, _ = problem.solve_cvxpy(lambda w: [*is_share(w), *in_order(w), w <= 0.7])
    least = problem.value(w)
    assert_allclose(found.objective_, problem.value(found.weights_))
    assert_allclose(found.objective_, least, rtol=2e-6)
    assert found.objective_ - found.duality_gap_ <= least * (1 + 1e-6)
    assert found.weights_[0] >= found.weights_[1] - 1e-7
    assert found.weights_.max() <= 0.7 + 1e-7
    assert abs(math.fsum(found.weights_) - 1.0) <= 1e-15


@pytest.mark.parametrize("loss", ["squared_error", "huber", "pinball"])
def test_constraints_that_nothing_meets(regression_predictions, loss):
    pytest.importorskip("cvxpy")
    P, y, _ = regression_predictions(n_members=3)
    combiner = ConvexRegressor(loss=loss, constraints=lambda w: [w[0] >= 2])
    with pytest.raises(ValueError, match=r"No weights meet `constraints`.*infeasible"):
        combiner.fit(P, y)
    capped = ConvexRegressor(
        loss=loss, max_weight=0.4, constraints=lambda w: [w[0] >= 0.6]
    )
    with pytest.raises(ValueError, match="No weights meet `constraints`"):
        capped.fit(P, y)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "absolute_error"])
def test_constraints_that_hold_a_perfect_member_back(regression_predictions, loss):
    pytest.importorskip("cvxpy")
    P, y, _ = regression_predictions(n_members=4)
    P[:, 1] = y
    found = ConvexRegressor(loss=loss, constraints=lambda w: [w[1] <= 0.5]).fit(P, y)
    capped = ConvexRegressor(loss=loss, max_weight=[1, 0.5, 1, 1]).fit(P, y)
    assert_allclose(found.objective_, capped.objective_, rtol=1e-6)


def test_constraints_without_cvxpy(regression_predictions, monkeypatch):
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    P, y, _ = regression_predictions(n_members=3)
    with pytest.raises(ImportError, match=r"pip install 'ensemblekit\[cvxpy\]'"):
        ConvexRegressor(constraints=in_order).fit(P, y)


# The vertex of a capped simplex.
@st.composite
def capped_simplices(draw):
    m = draw(st.integers(1, 7))

    def numbers(low, high):
        values = st.lists(st.integers(low, high), min_size=m, max_size=m)
        return np.array(draw(values))

    lower = numbers(0, 3) / 20
    upper = lower + numbers(0, 10) / 20
    room = np.array(draw(st.lists(st.integers(2, 20), min_size=2, max_size=2))) / 20
    return numbers(-3, 3).astype(float), lower, upper, numbers(-1, 1), room


@given(capped_simplices())
@settings(max_examples=150, deadline=None)
def test_fill_lowest_equals_linprog(case):
    g, lower, upper, group, room = case
    in_group = np.array([group == k for k in range(2)]).astype(float)
    total = np.ones((1, len(g)))
    box = np.column_stack([lower, upper])
    best = linprog(g, in_group, room, total, [1.0], box)
    assume(best.status == 0)
    order = np.argsort(g, kind="stable")
    v = polytope.fill_lowest(order, lower, upper, group, room, 1.0)
    assert_allclose(g @ v, best.fun, atol=1e-12)
    assert_allclose(v.sum(), 1.0, atol=1e-14)
    assert (v >= lower).all()
    assert (v <= upper).all()
    assert (in_group @ v <= room + 1e-14).all()


# Special cases of caps.
@pytest.mark.parametrize(("loss", "n_classes"), LOSSES)
@pytest.mark.parametrize("cap", [1.0, np.ones(5)])
def test_a_cap_of_one_changes_nothing(loss, n_classes, cap):
    problem = random_problem(loss, n_classes, n_members=5)
    plain, capped = fit(problem), fit(problem, max_weight=cap)
    assert_allclose(capped.weights_, plain.weights_, atol=1e-12)
    groups = {"groups": list("aabbb"), "max_group_weight": 1.0}
    assert_allclose(fit(problem, **groups).objective_, plain.objective_, rtol=2e-9)


@pytest.mark.parametrize(("loss", "n_classes"), LOSSES)
@pytest.mark.parametrize("m", [2, 3, 5, 7])
def test_caps_without_room_give_equal_weights(loss, n_classes, m):
    found = fit(random_problem(loss, n_classes, n_members=m), max_weight=1 / m)
    assert_allclose(found.weights_, 1 / m, rtol=0, atol=1e-15)


# Refusals.
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_weight": 0.3}, "sum to 0.9 at most, not to 1"),
        ({"max_weight": [0.5, 0.2, 0.2]}, "sum to 0.9 at most"),
        ({"groups": [0, 0, 1], "max_group_weight": 0.4}, "sum to 0.8 at most"),
        (
            {"groups": [0, 0, 1], "max_group_weight": 0.6, "max_weight": 0.3},
            "sum to 0.9 at most",
        ),
        ({"max_weight": 0.4, "max_members": 2}, "max_members=2 members hold 0.8"),
        ({"max_weight": [0.5, 0.5]}, r"shape \(2,\); expected one number"),
        ({"max_weight": [0.5, 0.5, 1.5]}, r"'.*2' is 1.5; expected .* in \[0, 1\]"),
        ({"max_weight": [0.5, 0.5, np.nan]}, r"is nan; expected a number in \[0, 1\]"),
        ({"groups": [0, 0, 1]}, "groups is given without max_group_weight"),
        ({"max_group_weight": 0.5}, "max_group_weight is given without groups"),
        ({"groups": [0, 1], "max_group_weight": 0.5}, r"groups has shape \(2,\)"),
        ({"groups": list("aab"), "max_group_weight": {"c": 0.5}}, "the group 'c'"),
        (
            {"groups": list("aab"), "max_group_weight": {"a": 1.5}},
            r"of the group 'a' is 1.5; expected .* in \(0, 1\]",
        ),
        (
            {"groups": list("aab"), "max_group_weight": {"a": np.nan}},
            "of the group 'a' is nan",
        ),
        ({"cost": [1.0, 2.0]}, r"cost has shape \(2,\); expected one finite number"),
        ({"cost": [1.0, 2.0, np.inf]}, "expected one finite number for each of the 3"),
        ({"min_weight": 0.6, "max_weight": 0.5}, "No set of members meets min_weight"),
        ({"min_weight": 0.4, "max_weight": 0.45}, "No set of members meets"),
        (
            {"min_weight": 0.6, "groups": [0, 1, 2], "max_group_weight": 0.5},
            "No set of members meets",
        ),
        ({"constraints": in_order, "max_members": 2}, "constraints cannot be combined"),
        (
            {"constraints": in_order, "min_weight": 0.1},
            "constraints cannot be combined",
        ),
    ],
)
@pytest.mark.parametrize("combiner", [ConvexRegressor, ConvexClassifier])
def test_contradictions(class_predictions, combiner, parameters, message):
    P, y, _ = class_predictions(n_members=3)
    with pytest.raises(ValueError, match=message):
        combiner(**parameters).fit(P, y)


@pytest.mark.parametrize("switch", ["nonnegative", "sum_to_one"])
@pytest.mark.parametrize(
    "parameters",
    [
        {"max_weight": 0.5},
        {"min_weight": 0.1},
        {"groups": [0, 0, 1], "max_group_weight": 0.5},
        {"constraints": in_order},
    ],
)
def test_shares_of_free_weights(regression_predictions, switch, parameters):
    P, y, _ = regression_predictions(n_members=3)
    kind = "is added to w >= 0" if "constraints" in parameters else "is a share"
    with pytest.raises(ValueError, match=f"{kind}.*, which {switch}=False"):
        ConvexRegressor(**parameters, **{switch: False}).fit(P, y)
