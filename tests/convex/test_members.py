import math
from itertools import combinations, combinations_with_replacement

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import ConvexClassifier, ConvexRegressor
from ensemblekit.kernels import simplex_qp

from .problems import check_is_share, fit, random_problem

LOSSES = [("squared_error", 0), ("huber", 0), ("pinball", 0), ("log_loss", 3)]


def gram_of(P, y):
    return (P - y[:, None]).T @ (P - y[:, None]) / len(y)


def best_on(gram, subset, floor=0.0):
    """Least w'Hw with weights >= floor on a subset: w = floor + room v."""
    H = gram[np.ix_(subset, subset)]
    low = np.full(len(subset), floor)
    room = 1.0 - low.sum()
    v, _, _ = simplex_qp.solve(H * room, -H @ low)
    w = low + room * v
    return w @ H @ w


def test_max_members_is_mostly_the_best_subset(regression_predictions):
    cases, hits = 0, 0
    for seed in range(10):
        P, y, _ = regression_predictions(n_members=14, n_samples=200, seed=seed)
        gram = gram_of(P, y)
        whole = ConvexRegressor(ridge=0).fit(P, y).objective_
        for k in range(2, 6):
            found = ConvexRegressor(ridge=0, max_members=k).fit(P, y)
            assert np.count_nonzero(found.weights_) <= k
            check_is_share(found.weights_)
            assert found.objective_ - found.duality_gap_ <= whole * (1 + 1e-14)
            best = min(best_on(gram, list(s)) for s in combinations(range(14), k))
            assert found.objective_ >= best * (1 - 1e-12)
            cases, hits = cases + 1, hits + (found.objective_ <= best * (1 + 1e-9))
    assert hits >= 0.95 * cases


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("loss", "n_classes"), LOSSES)
def test_max_members_that_do_not_bind(loss, n_classes, seed):
    problem = random_problem(loss, n_classes, seed, ridge=0.0)
    plain = fit(problem)
    support = np.count_nonzero(plain.weights_)
    limited = fit(problem, max_members=support)
    assert_array_equal(limited.weights_, plain.weights_)
    assert limited.duality_gap_ == plain.duality_gap_


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("loss", "n_classes"), LOSSES)
def test_one_member_is_the_best(loss, n_classes, seed):
    problem = random_problem(loss, n_classes, seed, ridge=0.0)
    found = fit(problem, max_members=1)
    own = problem.own_losses()
    assert_array_equal(found.weights_, np.eye(problem.n_members)[own.argmin()])
    assert_allclose(found.objective_, own.min())


def test_few_members_leave_no_row_without_a_chance(class_predictions):
    P, y, _ = class_predictions(n_members=4, n_samples=60)
    P[:, :2] = P[:, :2] > 0.5  # sure, and sometimes wrong
    P[5, 2] = 1 - y[5]
    least = ConvexClassifier(ridge=0).fit(P[:, [0, 2]], y).objective_
    found = ConvexClassifier(ridge=0, max_members=2).fit(P, y)
    assert found.objective_ <= least * (1 + 1e-9)
    assert np.count_nonzero(found.weights_) == 2
    alone = ConvexClassifier(ridge=0, max_members=1).fit(P, y)
    assert_array_equal(alone.weights_, [0, 0, 0, 1])


def test_min_weight_is_mostly_the_best_subset(regression_predictions):
    hits = 0
    for seed in range(20):
        P, y, _ = regression_predictions(n_members=6, n_samples=40, seed=seed)
        gram, floor = gram_of(P, y), 0.15 + 0.01 * seed
        found = ConvexRegressor(ridge=0, min_weight=floor).fit(P, y)
        kept = found.weights_[found.weights_ != 0.0]
        assert kept.min() >= floor - 1e-15
        assert abs(math.fsum(kept) - 1.0) <= 1e-15
        subsets = [list(s) for k in range(1, 7) for s in combinations(range(6), k)]
        best = min(best_on(gram, s, floor) for s in subsets if len(s) * floor <= 1)
        assert found.objective_ >= best * (1 - 1e-12)
        hits += found.objective_ <= best * (1 + 1e-9)
    assert hits >= 18


@pytest.mark.parametrize(("loss", "n_classes"), LOSSES)
@pytest.mark.parametrize("seed", range(5))
def test_floors_caps_groups_and_a_limit_together(loss, n_classes, seed):
    problem = random_problem(loss, n_classes, seed, n_members=6, ridge=0.05)
    found = fit(
        problem,
        min_weight=0.1,
        max_weight=0.5,
        max_members=4,
        groups=list("aabbcc"),
        max_group_weight={"a": 0.6, "b": 0.45},
    )
    kept = found.weights_[found.weights_ != 0.0]
    assert len(kept) <= 4
    assert kept.min() >= 0.1 - 1e-15
    assert kept.max() <= 0.5
    assert found.weights_[:2].sum() <= 0.6 + 1e-15
    assert found.weights_[2:4].sum() <= 0.45 + 1e-15
    assert abs(math.fsum(kept) - 1.0) <= 1e-15
    assert_allclose(found.objective_, problem.value(found.weights_))


def test_pairs_for_absolute_error_are_exchanged_on_the_loss_itself():
    # Its quadratic model alone missed 4 of 40.
    missed = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=100)
        y = truth + 0.5 * rng.normal(size=100)
        P = truth[:, None] + rng.uniform(0.3, 1.0, 7) * rng.normal(size=(100, 7))
        combiner = ConvexRegressor(loss="absolute_error", ridge=0, tol=1e-6)
        least = min(
            combiner.fit(P[:, list(pair)], y).loss_
            for pair in combinations_with_replacement(range(7), 2)
        )
        combiner.set_params(max_members=2)
        missed += combiner.fit(P, y).loss_ > least * (1.0 + 1e-5)
    assert missed <= 1
