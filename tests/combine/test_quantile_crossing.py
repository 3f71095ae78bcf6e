import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit.convex import crossing
from ensemblekit.kernels import polytope, simplex_qp

from . import oracles_quantile as oracles
from .test_quantile_aggregator import as_cube, fit, make_quantiles

KINDS = ("medium", "fine")


def make_crossing(m=8, seed=0, n_members=4):
    levels = np.arange(1, m + 1) / (m + 1)
    return *make_quantiles(n_members, levels, 25, seed), levels


@pytest.mark.parametrize("price", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", KINDS)
def test_no_weights_have_a_lower_loss_and_price(kind, seed, price):
    P, y, weight, levels = make_crossing(3 + seed, seed)
    found = fit(P, y, weight, levels=levels, weights=kind, crossing_penalty=price)
    cube = as_cube(P, len(levels))
    best, _ = oracles.least_loss(cube, y, levels, weight, kind, 1, price)
    assert_allclose(found.objective_, best, rtol=1e-9)
    assert 0.0 <= found.duality_gap_ <= 1e-10 * found.objective_
    # The objective is the loss and the price, as the docstring says.
    q = found.set_params(noncrossing=None).predict_quantiles(P)
    m = len(levels)
    over = sum(
        np.maximum(q[:, a] - q[:, b], 0) for a in range(m) for b in range(a + 1, m)
    )
    paid = price * np.average(over, weights=weight) / (m * (m - 1) / 2)
    assert_allclose(found.loss_, oracles.pinball(y, q, levels, weight), rtol=1e-10)
    assert_allclose(found.objective_, found.loss_ + paid, rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_high_price_leaves_no_crossings(kind):
    for seed in range(3):
        P, y, weight, levels = make_crossing(seed=seed)
        options = {"levels": levels, "weights": kind, "tol": 1e-8}
        counts = [
            fit(P, y, weight, crossing_penalty=price, **options).n_crossings_
            for price in (0.0, 1.0, 50.0)
        ]
        assert counts[0] > counts[2] == 0
        assert counts[1] <= counts[0]


def test_a_price_without_crossings_changes_nothing():
    P, y, weight, levels = make_crossing()
    coarse = fit(P, y, weight, levels=levels)
    priced = fit(P, y, weight, levels=levels, crossing_penalty=5.0)
    assert_array_equal(priced.weights_, coarse.weights_)
    P, y, weight = make_quantiles(2, [0.05, 0.95])
    for kind in KINDS:
        plain = fit(P, y, weight, levels=[0.05, 0.95], weights=kind)
        priced = fit(
            P, y, weight, levels=[0.05, 0.95], weights=kind, crossing_penalty=5.0
        )
        assert plain.n_crossings_ == 0
        assert_array_equal(priced.weights_, plain.weights_)


@pytest.mark.parametrize("kind", KINDS)
def test_ridges_of_levels_are_kept(kind):
    P, y, weight, levels = make_crossing()
    options = {"levels": levels, "weights": kind, "ridge": 0.05}
    plain = fit(P, y, weight, **options)
    tiny = fit(P, y, weight, crossing_penalty=1e-12, **options)
    assert plain.n_crossings_
    assert_allclose(tiny.objective_, plain.objective_, rtol=1e-9)
    assert_allclose(tiny.weights_, plain.weights_, atol=1e-4)
    priced = fit(P, y, weight, crossing_penalty=3.0, **options)
    assert priced.duality_gap_ <= 1e-10 * priced.objective_
    assert plain.objective_ < priced.objective_


# The quadratic programs below.
def random_program(rng, sizes):
    A = rng.normal(size=(sum(sizes) + 2, sum(sizes)))
    return A.T @ A, rng.normal(size=sum(sizes))


@pytest.mark.parametrize("seed", range(20))
def test_programs_on_several_simplices(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, rng.integers(1, 5)).tolist()
    H, c = random_program(rng, sizes)
    start = np.concatenate([np.full(size, 1.0 / size) for size in sizes])
    simplices = crossing.Simplices(sizes, start)
    x, _ = simplices.minimise(H, c)
    g = H @ x - c
    assert simplices.gap(g, x) <= 1e-10
    assert_allclose(simplices.gap(g, x), g @ (x - simplices.vertex(g)), atol=1e-12)
    assert_allclose(np.add.reduceat(x, simplices.first), 1.0, rtol=1e-15)
    if len(sizes) == 1:
        assert_allclose(x, simplex_qp.solve(H, c)[0], atol=1e-9)


def test_exchanges_lower_the_objective_within_simplices():
    rng = np.random.default_rng(0)
    H, c = random_program(rng, [3, 4])
    owner = np.repeat([0, 1], [3, 4])
    x = np.repeat([1 / 3, 1 / 4], [3, 4])
    before = np.inf
    for _ in range(30):
        polytope.exchange(H, c, owner, x, 1)
        value = 0.5 * x @ H @ x - c @ x
        assert value <= before + 1e-15
        assert x.min() >= 0.0
        assert_allclose(np.add.reduceat(x, [0, 3]), 1.0, rtol=1e-12)
        before = value


def test_rows_of_pairs_are_differences_of_levels():
    rng = np.random.default_rng(0)
    blocks = [rng.normal(size=(6, q)) for q in (2, 3, 1)]
    plain = crossing.Stacked(blocks, None)
    pairs = np.array([[4, 0, 2], [1, 0, 1], [0, 1, 2], [5, 0, 1]])
    stacked = crossing.Stacked(blocks, plain.differences(pairs))
    x, share = rng.normal(size=6), rng.uniform(size=22)
    root = rng.uniform(size=22) * (rng.uniform(size=22) > 0.4)
    levels = plain.levels(x)
    expected = [levels[a, i] - levels[b, i] for i, a, b in pairs]
    assert_allclose(stacked.product(x)[18:], expected, rtol=1e-12)
    D = np.column_stack([stacked.product(e) for e in np.eye(6)])
    v = rng.normal(size=22)
    assert_allclose(stacked.pull(v), D.T @ v, rtol=1e-12)
    assert_allclose(
        stacked.gram(share, root), D.T @ ((share * root**2)[:, None] * D), atol=1e-12
    )


@pytest.mark.parametrize("kind", ["medium", "fine"])
def test_many_weights_and_ties_end_within_their_tolerance(kind):
    levels = np.arange(1, 27) / 27
    P, y, _ = make_quantiles(4, levels, 80)
    for rounded in (P, np.round(3.0 * P) / 3.0):
        found = fit(rounded, y, levels=levels, weights=kind, crossing_penalty=5.0)
        assert found.duality_gap_ <= 1.01e-5 * found.objective_
        free = fit(rounded, y, levels=levels, weights=kind)
        assert found.n_crossings_ < free.n_crossings_
        assert found.objective_ >= free.objective_ * (1.0 - 1e-9)
