from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import ConvexPoolRegressor
from ensemblekit.exceptions import ConvergenceWarning

from .. import oracles

LEVELS = [0.1, 0.25, 0.5, 0.9]


def make_draws(n_members=4, n_draws=5, n_samples=60, seed=0):
    """Draws of members that see half of the truth each, with noise of their own."""
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(n_samples, 3))
    seen = parts[:, :2].sum(axis=1)[:, None] * rng.uniform(0.3, 1.1, n_members)
    seen += rng.uniform(0.1, 0.8, n_members) * rng.normal(size=seen.shape)
    width = rng.uniform(0.3, 2.0, n_members)[:, None]
    draws = seen[:, :, None] + width * rng.normal(size=(*seen.shape, n_draws))
    weight = rng.integers(1, 4, n_samples).astype(float)
    return draws.reshape(n_samples, -1), parts.sum(axis=1), weight


def make_quantiles(**options):
    """The same, sorted: quantiles at `LEVELS`."""
    P, y, weight = make_draws(n_draws=4, **options)
    return np.sort(P.reshape(len(P), -1, 4), axis=2).reshape(P.shape), y, weight


def objective(combiner, P, y, weight, weights):
    return oracles.pool_objective(
        P, y, weight, weights, combiner.masses_, combiner.ridge_
    )


# Against other ways to the same weights.
@pytest.mark.parametrize("n_members", [1, 2, 3])
@pytest.mark.parametrize("ridge", [0, 0.3])
def test_no_point_of_a_grid_is_better(n_members, ridge):
    P, y, weight = make_draws(n_members)
    found = ConvexPoolRegressor(n_draws=5, ridge=ridge).fit(P, y, sample_weight=weight)
    steps = np.linspace(0.0, 1.0, 41)
    grid = [w for w in product(steps, repeat=n_members) if abs(sum(w) - 1) < 1e-9]
    losses = [objective(found, P, y, weight, np.array(w)) for w in grid]
    assert_allclose(
        objective(found, P, y, weight, found.weights_), found.objective_, rtol=1e-12
    )
    assert found.objective_ <= min(losses) + 1e-15
    assert min(losses) <= found.objective_ + 1e-3
    nearest = np.array(grid[np.argmin(losses)])
    assert_allclose(found.weights_, nearest, atol=0.05)


@pytest.mark.parametrize("ridge", [0, "auto"])
@pytest.mark.parametrize("seed", range(60))
def test_equals_cvxpy(seed, ridge):
    pytest.importorskip("cvxpy")
    rng = np.random.default_rng(seed)
    n_members, n_draws = rng.integers(2, 7), rng.integers(1, 5)
    P, y, weight = make_draws(n_members, n_draws, n_samples=12, seed=seed)
    combiner = ConvexPoolRegressor(n_draws=n_draws, ridge=ridge)
    found = combiner.fit(P, y, sample_weight=weight)
    H = oracles.pool_gram(P, y, weight, found.masses_)
    penalised = H + found.ridge_ * H.diagonal().min() * np.eye(n_members)
    other = oracles.simplex_qp_cvxpy(2.0 * penalised, np.zeros(n_members), tol=1e-11)
    best = objective(found, P, y, weight, other)
    assert_allclose(found.objective_, best, rtol=1e-8)
    assert found.objective_ <= best * (1 + 1e-13)


def test_two_members_have_a_closed_form():
    P, y, _ = make_draws(2)
    (a, b), (_, c) = oracles.pool_gram(P, y, None, np.full(5, 0.2))
    w = np.clip((c - b) / (a - 2 * b + c), 0, 1)
    found = ConvexPoolRegressor(n_draws=5, ridge=0).fit(P, y)
    assert_allclose(found.weights_, [w, 1 - w], rtol=1e-10)


@pytest.mark.parametrize("weights", [[0.2, 0.0, 0.5, 0.3], [0.0, 0.0, 1.0, 0.0]])
def test_predictions_are_those_of_the_pooled_atoms(weights):
    P, y, _ = make_quantiles()
    found = ConvexPoolRegressor(quantile_levels=LEVELS).fit(P, y)
    found.weights_ = np.array(weights)
    levels = [0.05, 0.5, 0.77, 0.999]
    expected = oracles.pool_quantiles(P, found.weights_, found.masses_, levels)
    assert_array_equal(found.predict_quantiles(P, levels), expected)
    assert (np.diff(expected, axis=1) >= 0).all()
    mean = P @ np.outer(weights, found.masses_).ravel()
    assert_allclose(found.predict(P), mean, rtol=1e-12, atol=1e-14)


# Degenerate cases.
def test_quantiles_are_atoms_between_the_middles_of_levels():
    P, y, _ = make_quantiles()
    found = ConvexPoolRegressor(quantile_levels=LEVELS).fit(P, y)
    assert_allclose(found.masses_, [0.175, 0.2, 0.325, 0.3], rtol=1e-14)
    loss = oracles.pool_crps(P, y, np.ones(len(y)), found.weights_, found.masses_)
    assert_allclose(found.loss_, loss, rtol=1e-12)
    median = ConvexPoolRegressor(quantile_levels=[0.5]).fit(P[:, ::4], y)
    points = ConvexPoolRegressor().fit(P[:, ::4], y)
    assert_array_equal(median.weights_, points.weights_)


def test_quantiles_at_the_middles_of_equal_steps_are_draws():
    P, y, weight = make_quantiles()
    levels = (np.arange(4) + 0.5) / 4
    quantiles = ConvexPoolRegressor(quantile_levels=levels)
    draws = ConvexPoolRegressor(n_draws=4)
    assert_allclose(
        quantiles.fit(P, y, sample_weight=weight).weights_,
        draws.fit(P, y, sample_weight=weight).weights_,
        atol=1e-12,
    )


def test_a_single_point_member_is_scored_by_its_absolute_error():
    P, y, weight = make_draws(1, n_draws=1)
    found = ConvexPoolRegressor().fit(P, y, sample_weight=weight)
    error = np.average(np.abs(P[:, 0] - y), weights=weight)
    assert_array_equal(found.weights_, [1.0])
    assert_allclose([found.loss_, found.objective_], error, rtol=1e-14)
    assert_allclose(found.duality_gap_, 0.0, atol=1e-15)


@pytest.mark.parametrize("ridge", [0, "auto", 100])
def test_a_perfect_member_gets_all(ridge):
    P, y, _ = make_draws()
    P[:, 5:10] = y[:, None]
    found = ConvexPoolRegressor(n_draws=5, ridge=ridge).fit(P, y)
    assert_array_equal(found.weights_, [0, 1, 0, 0])
    assert found.objective_ == found.duality_gap_ == found.loss_ == 0.0


@pytest.mark.parametrize("ridge", [1e3, 1e6, 1e9, 1e12])
def test_a_growing_ridge_leads_to_equal_weights(ridge):
    P, y, _ = make_draws(8)
    P[:, 5:10] *= 1e3
    found = ConvexPoolRegressor(n_draws=5, ridge=ridge).fit(P, y)
    assert_allclose(found.weights_, 1 / 8, atol=1e3 / ridge)


def test_a_member_of_other_units_does_not_set_the_penalty():
    P, y, _ = make_draws()
    plain = ConvexPoolRegressor(n_draws=5, ridge=0.1).fit(P, y)
    hopeless = np.hstack([P, P[:, :5] + 1e9])
    found = ConvexPoolRegressor(n_draws=5, ridge=0.1).fit(hopeless, y)
    assert found.weights_[4] < 1e-7
    assert found.loss_ <= 1.05 * plain.loss_


def test_auto_ridge_is_distinct_members_over_the_sum_of_weights():
    P, y, weight = make_draws()
    found = ConvexPoolRegressor(n_draws=5).fit(P, y, sample_weight=weight)
    assert found.ridge_ == 4 / weight.sum()
    found = ConvexPoolRegressor(n_draws=5).fit(np.hstack([P, P[:, 5:10]]), y)
    assert found.ridge_ == 4 / len(y)
    assert ConvexPoolRegressor(n_draws=5, ridge=0).fit(P, y).ridge_ == 0


@pytest.mark.parametrize("ridge", [0, 0.5, "auto"])
def test_copies_of_a_member_get_nothing(ridge):
    P, y, weight = make_draws()
    weight[7] = 0.0
    plain = ConvexPoolRegressor(n_draws=5, ridge=ridge).fit(P, y, sample_weight=weight)
    copies = np.hstack([P[:, :5], P, P[:, 10:15]])
    copies[7, 5:] += 1.0  # equal where it counts
    found = ConvexPoolRegressor(n_draws=5, ridge=ridge)
    found.fit(copies, y, sample_weight=weight)
    assert_allclose(found.weights_[[0, 2, 3, 4]], plain.weights_, atol=1e-12)
    assert_array_equal(found.weights_[[1, 5]], 0.0)
    assert_allclose(found.objective_, plain.objective_, rtol=1e-12)
    if ridge:
        assert plain.weights_[[0, 2]].min() > 0.0  # what the copies could have shared


def test_members_that_differ_in_the_last_row_are_no_copies():
    P, y, _ = make_draws(2, n_samples=200)
    P[:, 5:] = P[:, :5]
    P[-1, 5:] += 1.0
    found = ConvexPoolRegressor(n_draws=5, ridge=10).fit(P, y)
    assert_allclose(found.weights_, 0.5, atol=0.01)


# Certificates.
@pytest.mark.parametrize("ridge", [0, 0.2, "auto"])
@pytest.mark.parametrize("seed", range(5))
def test_nothing_beats_the_certificate(ridge, seed):
    P, y, weight = make_draws(6, seed=seed)
    found = ConvexPoolRegressor(n_draws=5, ridge=ridge).fit(P, y, sample_weight=weight)
    assert 0.0 <= found.duality_gap_ <= 1e-12 * found.objective_
    bound = found.objective_ - found.duality_gap_ - 1e-15
    rng = np.random.default_rng(seed)
    for weights in np.vstack([np.eye(6), rng.dirichlet(np.full(6, 0.5), size=100)]):
        assert objective(found, P, y, weight, weights) >= bound


def test_stopping_early_warns_with_the_gap():
    P, y, _ = make_draws()
    combiner = ConvexPoolRegressor(n_draws=5, max_iter=1)
    with pytest.warns(ConvergenceWarning, match="after 1 iterations with duality gap"):
        found = combiner.fit(P, y)
    best = ConvexPoolRegressor(n_draws=5).fit(P, y)
    assert 0 < found.objective_ - best.objective_ <= found.duality_gap_


def test_more_members_than_rows():
    P, y, _ = make_draws(100, n_samples=20)
    for ridge in (0, "auto"):
        found = ConvexPoolRegressor(n_draws=5, ridge=ridge).fit(P, y)
        assert found.duality_gap_ <= 1e-12 * found.objective_


@pytest.mark.parametrize(
    ("scale", "offset"), [(1e-280, 0), (1e280, 0), (1e-3, 0), (1, 1e8), (-1, 0)]
)
def test_units_of_y_do_not_matter(scale, offset):
    P, y, _ = make_draws()
    plain = ConvexPoolRegressor(n_draws=5).fit(P, y)
    moved = ConvexPoolRegressor(n_draws=5).fit(scale * P + offset, scale * y + offset)
    assert_allclose(moved.weights_, plain.weights_, atol=1e-7)
    assert_allclose(moved.loss_, abs(scale) * plain.loss_, rtol=1e-7)


# Refusals.
@pytest.mark.parametrize(
    ("P", "y"), [([[1e-300], [0.0]], [2e-300, 0.0]), ([[1e308]], [-1e308])], ids=str
)
def test_scales_beyond_double_precision_are_refused(P, y):
    with pytest.raises(ValueError, match="too large or too small for double precision"):
        ConvexPoolRegressor().fit(P, y)


@pytest.mark.parametrize(
    "levels",
    [[0.5, 0.1], [0.1, 0.1], [0.0, 0.5], [0.5, 1.0], [0.1, np.nan], [], [[0.1]]],
    ids=str,
)
def test_refuses_unfit_levels(levels):
    P, y, _ = make_draws(n_draws=2)
    message = r"quantile_levels(\[\d\] is| has shape) .*expected (levels|a list)"
    with pytest.raises(ValueError, match=message):
        ConvexPoolRegressor(quantile_levels=levels).fit(P, y)
    pool = ConvexPoolRegressor(n_draws=2).fit(P, y)
    with pytest.raises(ValueError, match=message):
        pool.predict_quantiles(P, levels)


def test_refuses_draws_that_are_quantiles_too():
    P, y, _ = make_quantiles()
    with pytest.raises(ValueError, match="n_draws=4 and quantile_levels both say"):
        ConvexPoolRegressor(n_draws=4, quantile_levels=LEVELS).fit(P, y)


def test_refuses_other_numbers_of_columns():
    P, y, _ = make_quantiles()
    message = "16 columns, which is not a multiple of the 5 draws of each member"
    with pytest.raises(ValueError, match=message):
        ConvexPoolRegressor(n_draws=5).fit(P, y)
    with pytest.raises(ValueError, match="not a multiple of the 3 quantile levels"):
        ConvexPoolRegressor(quantile_levels=LEVELS[:3]).fit(P, y)


def test_refuses_quantiles_that_cross():
    P, y, _ = make_quantiles()
    pool = ConvexPoolRegressor(quantile_levels=LEVELS).fit(P, y)
    crossed = P.copy()
    crossed[[17, 30], 9:11] = crossed[[17, 30], 10:8:-1]
    message = r"4 columns from 'x8' on \(2 rows, first at row 17\): quantiles cross"
    with pytest.raises(ValueError, match=message):
        pool.predict(crossed)
    with pytest.raises(ValueError, match=message):
        pool.predict_quantiles(crossed, [0.5])
    with pytest.raises(ValueError, match=message):
        pool.fit(crossed, y)


def test_warns_of_weights_that_are_no_counts():
    P, y, weight = make_draws()
    pool = ConvexPoolRegressor(n_draws=5)
    with pytest.warns(UserWarning, match="takes sample_weight as counts of rows"):
        pool.fit(P, y, sample_weight=weight / weight.sum())
    pool.set_params(ridge=0.1).fit(P, y, sample_weight=weight / weight.sum())


@pytest.mark.parametrize("name", ["n_draws", "tol", "max_iter", "ridge"])
def test_refuses_parameters_out_of_range(name):
    P, y, _ = make_draws()
    with pytest.raises(ValueError, match=f"'{name}' parameter .* Got -1"):
        ConvexPoolRegressor(**{name: -1}).fit(P, y)


# Constraints: the best point of a grid that keeps them is no better.
@pytest.mark.parametrize(
    ("parameters", "keeps"),
    [
        ({"max_weight": 0.5}, lambda w: max(w) <= 0.5),
        (
            {"groups": ["a", "a", "b"], "max_group_weight": {"a": 0.3}},
            lambda w: w[0] + w[1] <= 0.3,
        ),
        ({"max_members": 2}, lambda w: np.count_nonzero(w) <= 2),
        ({"min_weight": 0.4}, lambda w: all(x == 0 or x >= 0.4 for x in w)),
        ({"constraints": lambda w: [w[0] >= 0.5]}, lambda w: w[0] >= 0.5),
        ({"cost": [0.3, 0.0, 0.1]}, lambda w: True),
        ({"own_error": 0.5}, lambda w: True),
    ],
)
def test_constraints(parameters, keeps):
    if "constraints" in parameters:
        pytest.importorskip("cvxpy")
    P, y, weight = make_draws(3)
    found = ConvexPoolRegressor(n_draws=5, ridge=0, **parameters)
    found.fit(P, y, sample_weight=weight)
    own = np.array([objective(found, P, y, weight, unit) for unit in np.eye(3)])
    price = parameters.get("own_error", 0.0) * own
    price = price + own.min() * np.array(parameters.get("cost", np.zeros(3)))

    def total(w):
        return objective(found, P, y, weight, np.array(w)) + price @ w

    steps = np.arange(41) / 40
    grid = [w for w in product(steps, repeat=3) if abs(sum(w) - 1) < 1e-9]
    best = min(total(w) for w in grid if keeps(np.round(w, 9)))
    assert keeps(np.round(found.weights_, 6))
    assert_allclose(total(found.weights_), found.objective_, rtol=1e-7)
    assert best - 1e-3 <= found.objective_ <= best + 1e-6


def test_dask_is_refused():
    da = pytest.importorskip("dask.array")
    P, y, _ = make_draws()
    with pytest.raises(TypeError, match="the pool needs it in memory"):
        ConvexPoolRegressor(n_draws=5).fit(da.from_array(P), y)
