import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit.kernels import simplex_qp
from tests import oracles
from tests.kernels.test_design import residual_gram

EPS = np.finfo(float).eps


def predictions(n, m, seed=0):
    """Strongly correlated members in 8 families, and their target."""
    rng = np.random.default_rng(seed)
    signal, family = rng.standard_normal(n), rng.integers(8, size=m)
    shared = rng.standard_normal((n, 8)) * rng.uniform(0.15, 0.5, 8)
    own = rng.standard_normal((n, m)) * rng.uniform(0.02, 0.4, m)
    P = np.outer(signal, rng.uniform(0.8, 1.02, m)) + shared[:, family] + own
    return P, signal + 0.5 * rng.standard_normal(n)


def gram_of(P, y, weight=None):
    return residual_gram(P, y, weight)


def solve_plain(H, **options):
    return simplex_qp.solve(H, np.zeros(len(H)), **options)


def assert_on_simplex(weights):
    assert weights.min() >= 0.0
    assert abs(math.fsum(weights) - 1.0) <= 1e-15
    assert abs(weights.sum() - 1.0) <= 1e-15


# Against slow twins.
@pytest.mark.parametrize("seed", range(40))
def test_matches_exhaustive_search(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(2, 30), rng.integers(1, 8)
    residuals = rng.standard_normal((n, m))
    H, c = residuals.T @ residuals / n, rng.standard_normal(m) * (seed % 2)
    weights, gap, _ = simplex_qp.solve(H, c)
    best = oracles.simplex_qp_exhaustive(H, c)
    value = oracles.simplex_qp_objective(H, c, weights)
    assert_on_simplex(weights)
    assert_allclose(value, oracles.simplex_qp_objective(H, c, best), atol=1e-14)
    assert gap <= 1e-14
    if n > m:
        assert_allclose(weights, best, atol=1e-12)
        assert_array_equal(weights > 0.0, best > 1e-12)


@pytest.mark.parametrize("linear", [0.0, 0.3])
def test_matches_cvxpy(linear):
    pytest.importorskip("cvxpy")
    H = gram_of(*predictions(500, 20))
    c = -linear * H.diagonal()
    reference = oracles.simplex_qp_cvxpy(H, c)
    weights, _, _ = simplex_qp.solve(H, c)
    assert_allclose(weights, reference, atol=1e-5)
    assert oracles.simplex_qp_objective(H, c, weights) <= (
        oracles.simplex_qp_objective(H, c, reference) + 1e-15
    )


@given(
    arrays(
        np.int8,
        st.tuples(st.integers(1, 6), st.integers(1, 7)),
        elements=st.integers(-2, 2),
    ),
    st.lists(st.integers(-2, 2), min_size=7, max_size=7),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_integer_problems_full_of_ties(residuals, linear, use_linear):
    E = residuals.astype(float)
    H, c = E.T @ E, use_linear * np.array(linear[: E.shape[1]], float)
    weights, gap, n_iter = simplex_qp.solve(H, c)
    best = oracles.simplex_qp_exhaustive(H, c)
    assert_on_simplex(weights)
    assert gap <= 1e-13
    assert n_iter <= 30
    value = oracles.simplex_qp_objective(H, c, weights)
    assert_allclose(value, oracles.simplex_qp_objective(H, c, best), atol=1e-13)


def test_random_integer_problems_terminate():
    for seed in range(500):
        rng = np.random.default_rng(seed)
        n, m = rng.integers(1, 30), rng.integers(1, 40)
        E = rng.integers(0, 3, (n, m)).astype(float)
        H = E.T @ E / n
        weights, gap, n_iter = solve_plain(H)
        assert gap <= 1e-12 * (weights @ H @ weights) + 4 * EPS * H.diagonal().min()
        assert n_iter <= 60


@pytest.mark.parametrize("seed", range(20))
def test_dependent_columns_with_their_own_linear_terms(seed):
    # H is flat along many directions here, but the objective is not.
    rng = np.random.default_rng(seed)
    E = rng.standard_normal((4, 9))
    H, c = E.T @ E, rng.standard_normal(9)
    weights, gap, n_iter = simplex_qp.solve(H, c)
    best = oracles.simplex_qp_exhaustive(H, c)
    assert_on_simplex(weights)
    assert gap <= 1e-14 * (1.0 + H.diagonal().max())
    assert n_iter <= 20
    value = oracles.simplex_qp_objective(H, c, weights)
    assert_allclose(value, oracles.simplex_qp_objective(H, c, best), atol=1e-13)


@pytest.mark.parametrize("seed", [198, 554, 1136, 1599, 3791])
def test_flat_direction_is_followed_to_its_end(seed):
    # Problems on which refusing every dependent column leaves a gap.
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 7), rng.integers(1, 8)
    E = rng.integers(-2, 3, (n, m)) * (rng.uniform(size=(n, m)) < rng.uniform())
    c = rng.integers(-2, 3, m) * (rng.uniform(size=m) < rng.uniform()) * 1.0
    weights, gap, n_iter = simplex_qp.solve(E.T @ E * 1.0, c)
    assert_on_simplex(weights)
    assert gap <= 4e-15
    assert n_iter <= 12


def test_perfect_member_with_a_stronger_linear_term_elsewhere():
    # The best vertex has no curvature, yet the optimum is a mixture.
    H, c = np.diag([5.0, 0.0]), np.array([0.0, -1.0])
    weights, gap, _ = simplex_qp.solve(H, c)
    assert_allclose(weights, [0.2, 0.8], rtol=1e-14)
    assert gap <= 1e-15


# Certificates.
def test_gap_is_recomputed_over_all_columns():
    H = gram_of(*predictions(300, 30))
    weights, gap, _ = solve_plain(H, max_iter=3)
    assert gap > 1e-6
    assert_on_simplex(weights)
    assert_allclose(gap, oracles.frank_wolfe_gap(H, np.zeros(30), weights), rtol=1e-10)


@pytest.mark.parametrize("max_iter", [1, 2, 5, 8])
def test_gap_bounds_the_excess_of_an_early_stop(max_iter):
    H = gram_of(*predictions(300, 30))
    optimum, _, n_iter = solve_plain(H)
    weights, gap, used = solve_plain(H, max_iter=max_iter)
    assert used == max_iter < n_iter
    excess = 0.5 * (weights @ H @ weights - optimum @ H @ optimum)
    assert 0.0 < excess <= gap


@pytest.mark.parametrize(("e", "ratio"), [(0.1, 1.714), (0.01, 1.9615), (0.001, 1.996)])
def test_squared_error_needs_twice_the_gap(e, ratio):
    H = np.array([[1.0, 1.5, 1.5], [1.5, 4.0, 2.0], [1.5, 2.0, 4.0]])
    weights = np.array([1.0 - e, e, 0.0])
    gap = oracles.frank_wolfe_gap(H, np.zeros(3), weights)
    assert_allclose((weights @ H @ weights - 1.0) / gap, ratio, rtol=1e-3)
    assert_array_equal(solve_plain(H)[0], [1.0, 0.0, 0.0])


# Degenerate reductions.
@pytest.mark.parametrize("curvature", [0.0, 3.0])
def test_one_member(curvature):
    weights, gap, n_iter = solve_plain(np.array([[curvature]]))
    assert_array_equal(weights, [1.0])
    assert (gap, n_iter) == (0.0, 1)


def test_perfect_member_takes_all():
    P, y = predictions(200, 12)
    P[:, 7] = y
    weights, gap, n_iter = solve_plain(gram_of(P, y))
    assert_array_equal(weights, np.eye(12)[7])
    assert (gap, n_iter) == (0.0, 1)


def test_perfect_mixture():
    P, y = predictions(200, 12)
    noise = np.random.default_rng(1).standard_normal(200)
    P[:, 3], P[:, 5] = y + noise, y - 2.0 * noise
    H = gram_of(P, y)
    weights, gap, _ = solve_plain(H)
    assert_allclose(weights[[3, 5]], [2 / 3, 1 / 3], rtol=1e-12)
    assert weights @ H @ weights <= 1e-15 * H.diagonal().min()
    assert gap <= 4 * EPS * H.diagonal().min()


def test_zero_gram_gives_the_first_member():
    assert_array_equal(solve_plain(np.zeros((3, 3)))[0], [1.0, 0.0, 0.0])


def test_linear_term_alone_gives_its_best_vertex():
    weights, gap, _ = simplex_qp.solve(np.zeros((3, 3)), np.array([1.0, 5.0, 2.0]))
    assert_array_equal(weights, [0.0, 1.0, 0.0])
    assert gap == 0.0


@pytest.mark.parametrize("layout", ["side by side", "interleaved"])
def test_lowest_copy_takes_all(layout):
    P, y = predictions(400, 15)
    order = (
        np.tile(np.arange(15), 2)
        if layout == "side by side"
        else np.repeat(np.arange(15), 2)
    )
    first = np.unique(order, return_index=True)[1]
    single, _, _ = solve_plain(gram_of(P, y))
    weights, _, _ = solve_plain(gram_of(P[:, order], y))
    assert_allclose(weights[first], single, atol=1e-12)
    assert np.delete(weights, first).max() == 0.0


def test_permuting_members_permutes_the_weights():
    H = gram_of(*predictions(400, 25))
    order = np.random.default_rng(3).permutation(25)
    weights, _, _ = solve_plain(H)
    permuted, _, _ = solve_plain(H[np.ix_(order, order)])
    assert_allclose(permuted, weights[order], atol=1e-12)


# Robustness: relative gap per case.
@pytest.mark.parametrize(
    ("case", "bound"),
    [
        ("plain", 1e-15),
        ("exact duplicates", 1e-15),
        ("near duplicates", 5e-11),
        ("zero and constant columns", 1e-15),
        ("one member x 1e6", 3e-11),
        ("two members x 1e6 and x 1e8", 3e-8),
    ],
)
def test_relative_gap(case, bound):
    P, y = predictions(2000, 40)
    near = P + 1e-8 * np.random.default_rng(5).standard_normal(P.shape)
    if case == "exact duplicates":
        P = np.hstack([P, P])
    elif case == "near duplicates":
        P = np.hstack([P, near])
    elif case == "zero and constant columns":
        P[:, 3], P[:, 7] = 0.0, 5.0
    elif "x 1e6" in case:
        P[:, 2] *= 1e6
        P[:, 5] *= 1e8 if "two" in case else 1.0
    H = gram_of(P, y)
    weights, gap, _ = solve_plain(H)
    assert_on_simplex(weights)
    assert gap <= bound * (weights @ H @ weights)


@pytest.mark.parametrize("m", [200, 1000])
def test_more_members_than_rows(m):
    H = gram_of(*predictions(50, m))
    weights, gap, _ = solve_plain(H)
    assert_on_simplex(weights)
    assert (weights > 0.0).sum() <= 51
    assert gap <= 1e-15 * (weights @ H @ weights)


@pytest.mark.parametrize("scale", [1e-150, 1e-100, 1e-8, 1e8, 1e100, 1e140])
def test_scale_changes_nothing(scale):
    P, y = predictions(500, 20)
    weights, _, _ = solve_plain(gram_of(P, y))
    H = gram_of(P * scale, y * scale)
    scaled, gap, _ = solve_plain(H)
    assert_allclose(scaled, weights, atol=1e-12)
    assert gap <= 1e-15 * (scaled @ H @ scaled)


def test_power_of_two_scale_keeps_every_bit():
    H = gram_of(*predictions(500, 20))
    assert_array_equal(solve_plain(H)[0], solve_plain(H * 2.0**300)[0])


def test_offset_changes_nothing():
    P, y = predictions(2000, 40)
    weights, _, _ = solve_plain(gram_of(P, y))
    assert_allclose(solve_plain(gram_of(P + 1e8, y + 1e8))[0], weights, atol=1e-6)


def test_support_beyond_the_first_capacity_of_the_factor():
    m = 3 * simplex_qp.FIRST_CAPACITY
    H = np.eye(m) + 0.01
    weights, gap, _ = solve_plain(H)
    assert_allclose(weights, 1.0 / m, rtol=1e-11)
    assert_on_simplex(weights)
    assert gap <= 1e-12 * (weights @ H @ weights)


# Parts that only a stall reaches.
@pytest.mark.parametrize("m", [1, 10, 60])
def test_pairwise_steps_finish_what_the_active_set_left(monkeypatch, m):
    H = gram_of(*predictions(500, m))
    optimum, _, _ = solve_plain(H)
    stalled = lambda *args: (np.eye(m)[-1], 1, False)  # noqa: E731
    monkeypatch.setattr(simplex_qp, "_active_set", stalled)
    weights, gap, _ = solve_plain(H)
    assert_on_simplex(weights)
    assert gap <= 2e-12 * (weights @ H @ weights)
    assert_allclose(weights, optimum, atol=1e-5)


@pytest.mark.parametrize("r", [0, 3, 5])
def test_deleting_a_row_keeps_the_factor(r):
    A = np.random.default_rng(0).standard_normal((9, 6))
    H = A.T @ A
    factor, support = np.linalg.cholesky(H), np.arange(6)
    simplex_qp._delete(factor, 6, support, r)
    kept = np.delete(np.arange(6), r)
    lower = np.tril(factor[:5, :5])
    assert_array_equal(support[:5], kept)
    assert_allclose(lower @ lower.T, H[np.ix_(kept, kept)], rtol=1e-12, atol=1e-14)


def test_inputs_may_be_read_only_and_stay_untouched():
    H, c = gram_of(*predictions(100, 9)), np.linspace(0.0, 0.1, 9)
    before = H.copy(), c.copy()
    H.flags.writeable = c.flags.writeable = False
    weights, _, _ = simplex_qp.solve(H, c)
    assert_array_equal(weights, simplex_qp.solve(*before)[0])
    assert_array_equal(H, before[0])


def test_same_answer_without_numba():
    code = """
import sys, numpy as np
from ensemblekit.kernels import candidates, design, ranks, simplex_qp
E = np.random.default_rng(0).uniform(size=(30, 4))
H, one, zero = E.T @ E / 30, np.ones(30), np.zeros(30)
print(*simplex_qp.solve(H, np.zeros(4))[0])
print(*design.Design(E, one).gram(one).ravel())
print(*design.Design(E, one).squares(E[0], one)[1])
for n_classes, d in ((2, 1), (4, 4)):
    hits, predicted = np.empty((4 // d, n_classes)), np.empty((4 // d, n_classes))
    total, codes = np.zeros((30, d)), np.ones(30, int)
    if d == 1:
        rows = E, codes, one, total[:, 0], 0.5, 1
        candidates.binary_labels(*rows, hits, predicted)
    else:
        pairs = candidates.empty_pairs(E, 1)
        rows = E, codes, one, total, np.zeros(4), 1, pairs
        candidates.labels(*rows, hits, predicted)
    print(*hits.ravel(), *predicted.ravel())
losses, times = np.empty(4), np.empty(0, int)
candidates.squares(H, 0.0, np.zeros(4), 1, losses); print(*losses)
candidates.logs(E, one, zero, times, zero, 1, 2e-16, losses); print(*losses)
candidates.weighted_logs(E, one, zero, one, zero, 1, 2e-16, losses); print(*losses)
slopes = -np.ones(1), np.ones(1)
rows = E, one[:, None], *slopes, 0.0, one, zero[:, None], 1
candidates.piecewise(*rows, losses); print(*losses)
keys, short = np.empty((4, 30), np.uint64), np.empty((4, 30), np.uint32)
near = np.where(E < 0.5, E, np.round(E * 64) / 64 + E * 1e-12)
rows = np.arange(4), np.arange(30) % 2, zero, 1.0, 1
ranks.rank_keys(near, *rows, keys)
ranks.short_keys(near, *rows, short)
print(*(ranks.ranked_wins(np.sort(own)) for own in keys))
for j, own in enumerate(short):
    print(ranks.short_wins(np.sort(own), own, near, j, zero, 1.0, 1))
print("numba" in sys.modules)
"""
    outputs = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env={"PYTHONPATH": ":".join(sys.path), "ENSEMBLEKIT_NO_NUMBA": switch},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for switch in ("1", "0")
    ]
    plain, compiled = outputs
    assert (plain.pop(), compiled.pop()) == ("False", "True")
    for ours, theirs in zip(plain, compiled, strict=True):
        assert_allclose(np.fromstring(ours, sep=" "), np.fromstring(theirs, sep=" "))
