from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import ConvexClassifier, ConvexRegressor

from ..oracles import ConvexProblem
from .problems import CASES, REGRESSION, fit, random_problem

LINEAR = ("absolute_error", "pinball")
SCALED = ["huber", *LINEAR]


def changed(problem, **fields):
    """Return the problem with some fields replaced."""
    names = ConvexProblem.__dataclass_fields__
    return ConvexProblem(**{name: getattr(problem, name) for name in names} | fields)


def by_members(problem, order):
    """Return P with its members taken in an order."""
    n_outputs = problem.P.shape[1] // problem.n_members
    blocks = problem.P.reshape(len(problem.P), problem.n_members, n_outputs)
    return blocks[:, order].reshape(len(problem.P), -1)


# Brute force.
def simplex_grid(m, n_steps):
    points = product(range(n_steps + 1), repeat=m - 1)
    grid = [(*p, n_steps - sum(p)) for p in points if sum(p) <= n_steps]
    return np.array(grid) / n_steps


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize(("loss", "n_classes"), CASES)
def test_no_point_of_a_grid_is_better(loss, n_classes, m, seed):
    problem = random_problem(loss, n_classes, seed, n_members=m)
    found = fit(problem)
    least = min(problem.value(w) for w in simplex_grid(m, 40))
    assert found.objective_ - found.duality_gap_ <= least * (1 + 1e-14)
    assert found.objective_ <= least * (1 + (1e-9 if loss in LINEAR else 1e-12))


# Closed forms.
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("loss", "n_classes"), CASES)
def test_a_perfect_member_gets_all(loss, n_classes, seed):
    problem = random_problem(loss, n_classes, seed, n_members=5, ridge=0.0)
    truth = problem.y[:, None]
    if n_classes > 2:
        truth = np.eye(n_classes)[problem.y]
    P, k = problem.P.copy(), truth.shape[1]
    P[:, 3 * k : 4 * k] = truth
    found = fit(changed(problem, P=P))
    assert_array_equal(found.weights_, np.eye(5)[3])
    assert found.objective_ == found.duality_gap_ == 0.0


@pytest.mark.parametrize("seed", range(10))
def test_two_members_have_a_closed_form(seed):
    problem = random_problem("squared_error", 0, seed, n_members=2)
    residuals = problem.P - problem.y[:, None]
    H = (residuals * problem.share[:, None]).T @ residuals
    penalty = problem.ridge * H.diagonal().min()  # on (w - 1/2)^2, twice
    bend = H[0, 0] + H[1, 1] - 2 * H[0, 1] + 2 * penalty
    w = np.clip((H[1, 1] - H[0, 1] + penalty) / bend, 0, 1)
    assert_allclose(fit(problem).weights_, [w, 1 - w], atol=1e-13)


@pytest.mark.parametrize("seed", range(6))
def test_huber_without_a_bend_is_half_the_squared_error(seed):
    problem = random_problem("huber", 0, seed, delta=1e6)
    huber, squares = fit(problem), fit(changed(problem, loss="squared_error"))
    assert_allclose(huber.weights_, squares.weights_, atol=1e-9)
    assert_allclose(huber.objective_, squares.objective_ / 2, rtol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_huber_of_a_small_bend_is_the_absolute_error(seed):
    problem = random_problem("huber", 0, seed, delta=1e-6)
    absolute = fit(changed(problem, loss="absolute_error"))
    # |z| - delta / 2 <= huber / delta <= |z|
    difference = absolute.objective_ - fit(problem).objective_ / problem.delta
    assert -1e-8 <= difference <= 2e-6


@pytest.mark.parametrize("seed", range(10))
def test_absolute_error_is_twice_the_median(seed):
    problem = random_problem("absolute_error", 0, seed)
    absolute = fit(problem)
    median = fit(changed(problem, loss="pinball", level=0.5))
    assert_allclose(absolute.weights_, median.weights_, atol=1e-7)
    assert_allclose(absolute.objective_, 2 * median.objective_, rtol=1e-9)


@pytest.mark.parametrize("ridge", [1e12, 1e100])
@pytest.mark.parametrize(("loss", "n_classes"), CASES)
def test_a_strong_ridge_gives_equal_weights(loss, n_classes, ridge):
    problem = random_problem(loss, n_classes, n_members=6, ridge=ridge)
    assert_allclose(fit(problem).weights_, 1 / 6, atol=1e-9)


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_brier_of_two_columns_is_twice_that_of_one(ridge):
    problem = random_problem("brier", 2, seed=1, ridge=ridge)
    single = fit(problem)
    # A third class that nobody expects and that never comes.
    blocks = np.stack([1 - problem.P, problem.P, 0 * problem.P], axis=2)
    several = ConvexClassifier(loss="brier", ridge=ridge).partial_fit(
        blocks.reshape(len(problem.y), -1),
        problem.y,
        classes=[0, 1, 2],
        sample_weight=problem.weight,
    )
    assert_allclose(several.weights_, single.weights_, atol=1e-12)
    assert_allclose(several.objective_, 2 * single.objective_, rtol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_any_slopes_bound_the_pinball_loss(seed):
    problem = random_problem("pinball", 0, seed, ridge=0.0)
    found = fit(problem)
    rng = np.random.default_rng(seed)
    u = rng.uniform(problem.level - 1, problem.level, (200, len(problem.y)))
    bounds = (u * problem.share) @ (problem.y[:, None] - problem.P)
    assert bounds.min(axis=1).max() <= found.objective_ * (1 + 1e-14)


# What must not matter, and what must.
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("loss", "n_classes"), CASES)
def test_permuted_members_have_permuted_weights(loss, n_classes, seed):
    problem = random_problem(loss, n_classes, seed, ridge=0.1)
    order = np.random.default_rng(seed).permutation(problem.n_members)
    plain = fit(problem)
    permuted = fit(changed(problem, P=by_members(problem, order)))
    slack = 1e-4 if loss in LINEAR else 1e-9
    assert_allclose(permuted.weights_, plain.weights_[order], atol=slack)
    assert_allclose(permuted.objective_, plain.objective_, rtol=2e-9)


@pytest.mark.parametrize("ridge", [0.0, 0.2])
@pytest.mark.parametrize(("loss", "n_classes"), CASES)
def test_copies_count_once(loss, n_classes, ridge):
    problem = random_problem(loss, n_classes, seed=4, n_members=4, ridge=ridge)
    copies = by_members(problem, [0, 1, 0, 2, 3, 1, 0])
    plain, found = fit(problem), fit(changed(problem, P=copies))
    assert_array_equal(found.weights_[[2, 5, 6]], 0.0)
    assert_allclose(found.objective_, plain.objective_, rtol=2e-9)
    slack = 1e-4 if loss in LINEAR else 1e-9
    assert_allclose(found.weights_[[0, 1, 3, 4]], plain.weights_, atol=slack)


@pytest.mark.parametrize(("loss", "n_classes"), CASES)
def test_one_member(loss, n_classes):
    problem = random_problem(loss, n_classes, seed=1, n_members=1)
    found = fit(problem)
    assert_array_equal(found.weights_, [1.0])
    assert_allclose(found.objective_, problem.own_losses()[0], rtol=1e-14)
    assert found.duality_gap_ <= 1e-15


@pytest.mark.parametrize(("loss", "n_classes"), CASES)
def test_constant_members(loss, n_classes):
    problem = random_problem(loss, n_classes, seed=2, n_members=4, ridge=0.0)
    P = np.zeros_like(problem.P)
    k = P.shape[1] // 4
    share = np.array([0.2, 0.5, 0.7, 0.9])
    for j in range(4):
        rest = np.full(k, (1 - share[j]) / max(k - 1, 1))
        rest[0] = share[j]
        P[:, j * k : (j + 1) * k] = rest
    flat = changed(problem, P=P)
    found = fit(flat)
    mixtures = np.linspace(0.2, 0.9, 2001)
    ends = np.column_stack([0.9 - mixtures, 0 * mixtures, 0 * mixtures, mixtures - 0.2])
    least = min(flat.value(w / 0.7) for w in ends)
    assert found.objective_ - found.duality_gap_ <= least * (1 + 1e-14)
    assert found.objective_ <= least * (1 + 1e-9)


@pytest.mark.parametrize(("loss", "n_classes"), CASES)
def test_rows_of_weight_zero_do_not_count(loss, n_classes):
    problem = random_problem(loss, n_classes, seed=7, n_members=6)
    kept = np.sort(np.unique(problem.y, return_index=True)[1][: n_classes or 4])
    kept = np.union1d(kept, np.arange(4))
    weight = np.zeros(len(problem.y))
    weight[kept] = 1.0 + np.arange(len(kept))
    most = fit(changed(problem, weight=weight))
    few = fit(
        changed(problem, P=problem.P[kept], y=problem.y[kept], weight=weight[kept])
    )
    assert_allclose(most.objective_, few.objective_, rtol=2e-9, atol=1e-15)
    assert_allclose(most.weights_, few.weights_, atol=1e-6)
    assert most.duality_gap_ <= 1e-9 * max(most.objective_, 1e-6)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
@pytest.mark.parametrize("loss", SCALED)
def test_units_do_not_matter(loss, scale):
    plain = random_problem(loss, 0, seed=3, ridge=0.1)
    scaled = changed(
        plain, P=plain.P * scale, y=plain.y * scale, delta=plain.delta * scale
    )
    first, second = fit(plain), fit(scaled)
    slack = 1e-4 if loss in LINEAR else 1e-9
    assert_allclose(second.weights_, first.weights_, atol=slack)
    unit = scale**2 if loss == "huber" else scale
    assert_allclose(second.objective_, first.objective_ * unit, rtol=2e-9)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("switch", ["sum_to_one", "nonnegative"])
@pytest.mark.parametrize("loss", SCALED)
def test_units_do_not_matter_to_free_weights(loss, switch, fit_intercept):
    plain = random_problem(loss, 0, seed=5, fit_intercept=fit_intercept)
    options = {switch: False}
    first = fit(plain, **options)
    for scale in (1e-6, 1e6):
        second = fit(
            changed(
                plain, P=plain.P * scale, y=plain.y * scale, delta=plain.delta * scale
            ),
            **options,
        )
        unit = scale**2 if loss == "huber" else scale
        assert_allclose(second.objective_, first.objective_ * unit, rtol=2e-9)


@pytest.mark.parametrize("loss", REGRESSION)
def test_an_intercept_takes_an_offset(loss):
    plain = random_problem(loss, 0, seed=8, ridge=0.0, fit_intercept=True)
    moved = changed(plain, y=plain.y + 100.0)
    first, second = fit(plain), fit(moved)
    assert_allclose(second.objective_, first.objective_, rtol=2e-9)
    assert_allclose(second.weights_, first.weights_, atol=1e-6)
    assert_allclose(second.intercept_, first.intercept_ + 100.0, atol=1e-6)


@pytest.mark.parametrize("loss", ["huber", *LINEAR])
def test_unpenalised_intercept_centres_the_residuals(regression_predictions, loss):
    P, y, _ = regression_predictions(n_members=3)
    found = ConvexRegressor(loss=loss, ridge=0, fit_intercept=True).fit(P, y)
    z = found.predict(P) - y
    slope = np.clip(z, -1, 1) if loss == "huber" else np.sign(z)
    # At most the rows on the kink, one for each column, are not balanced.
    assert abs(slope.sum()) <= (1e-6 if loss == "huber" else 4.0)
