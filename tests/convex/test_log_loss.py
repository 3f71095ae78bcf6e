import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from sklearn.metrics import log_loss

from ensemblekit.convex import solve as solvers
from ensemblekit.convex.feasible import Simplex
from ensemblekit.convex.losses import LogLoss
from ensemblekit.convex.penalty import Penalty
from ensemblekit.convex.problem import RowLoss
from ensemblekit.kernels.design import Design
from tests import oracles

EPS = np.finfo(float).eps


def problem_of(base, sign, offset, weight):
    """The problem of A = offset + sign * base, sign 1 or -1."""
    return RowLoss(Design(base, -sign * offset, sign=sign), weight, LogLoss())


def no_penalty(m):
    return Penalty(0.0, np.zeros(m), np.zeros(m))


def solve(base, sign, offset, weight, tol=1e-9, max_iter=60):
    m = base.shape[1]
    found = problem_of(base, sign, offset, weight).minimise(
        Simplex(m), no_penalty(m), tol, max_iter
    )
    return found.x, found.gap, found.n_iter


def loss_and_gap(base, sign, offset, weight, weights):
    problem = problem_of(base, sign, offset, weight)
    z = problem.design.product(weights)
    loss = problem.loss.mean(z, problem.share) + problem.impossible_loss
    gradient = problem.design.pull(problem.share * problem.loss.slope(z))
    gap = Simplex(len(weights)).gap(gradient, weights)
    return loss, gap if np.isfinite(loss) else np.inf


def binary(n=400, m=6, seed=0):
    """Return P, y and the arguments of the kernel."""
    rng = np.random.default_rng(seed)
    logit = 1.6 * rng.standard_normal(n) - 0.5
    y = (rng.uniform(size=n) < 1.0 / (1.0 + np.exp(-logit))).astype(int)
    noise = rng.standard_normal((n, m)) * rng.uniform(0.3, 1.2, m)
    P = 1.0 / (1.0 + np.exp(-np.outer(logit, rng.uniform(0.6, 1.5, m)) - noise))
    return P, y, (P, 2.0 * y - 1.0, 1.0 - y, rng.uniform(0.1, 2.0, n))


def direct(A, weight=None):
    """Return the arguments of the kernel for a given true-class matrix."""
    n = len(A)
    return A, np.ones(n), np.zeros(n), np.ones(n) if weight is None else weight


@pytest.mark.parametrize("seed", range(5))
def test_matches_em(seed):
    _, _, arguments = binary(seed=seed)
    A, s = oracles.true_class(*arguments[:3]), arguments[3]
    weights, gap, _ = solve(*arguments, tol=1e-12)
    value = oracles.log_loss_pool(A, s, weights)
    reference = oracles.log_loss_pool(A, s, oracles.log_loss_pool_em(A, s))
    assert gap <= 1e-12
    assert value <= reference + 1e-14
    assert_allclose(value, reference, atol=1e-5)


def test_matches_slsqp():
    _, _, arguments = binary()
    A, s = oracles.true_class(*arguments[:3]), arguments[3]
    result = minimize(
        lambda w: oracles.log_loss_pool(A, s, w),
        np.full(6, 1 / 6),
        bounds=[(0.0, 1.0)] * 6,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0},
        options={"ftol": 1e-13},
    )
    weights, _, _ = solve(*arguments)
    assert_allclose(weights, result.x, atol=1e-4)


@pytest.mark.parametrize(("n", "m"), [(400, 6), (3000, 20), (5000, 60)])
def test_few_newton_steps_and_a_small_gap(n, m):
    _, _, arguments = binary(n, m)
    weights, gap, n_iter = solve(*arguments)
    assert gap <= 1e-9
    assert n_iter <= 8
    assert weights.min() >= 0.0
    assert (weights == 0.0).any() or m == 6
    assert abs(math.fsum(weights) - 1.0) <= 1e-15


@pytest.mark.parametrize("max_iter", [0, 1, 2])
def test_gap_bounds_the_excess_of_an_early_stop(max_iter):
    _, _, arguments = binary()
    A, s = oracles.true_class(*arguments[:3]), arguments[3]
    optimum, _, _ = solve(*arguments, tol=1e-13)
    weights, gap, n_iter = solve(*arguments, max_iter=max_iter)
    excess = oracles.log_loss_pool(A, s, weights) - oracles.log_loss_pool(A, s, optimum)
    assert n_iter == max_iter
    assert 0.0 < excess <= gap
    assert_allclose(loss_and_gap(*arguments, weights)[1], gap, rtol=1e-9)


def test_loss_and_gap_match_their_definitions():
    P, y, arguments = binary()
    s, weights = arguments[3], np.random.default_rng(1).dirichlet(np.ones(6))
    loss, gap = loss_and_gap(*arguments, weights)
    A, share = oracles.true_class(*arguments[:3]), s / s.sum()
    assert_allclose(loss, log_loss(y, P @ weights, sample_weight=s), rtol=1e-14)
    assert_allclose(gap, ((share / (A @ weights)) @ A).max() - 1.0, rtol=1e-10)


def test_loss_follows_scikit_learn_where_the_mixture_is_impossible():
    y, P = np.array([0, 1, 1]), np.array([[0.0], [0.0], [1.0]])
    arguments = P, 2.0 * y - 1.0, 1.0 - y, np.ones(3)
    loss, _ = loss_and_gap(*arguments, np.ones(1))
    assert_allclose(loss, log_loss(y, P[:, 0]), rtol=1e-14)


def test_gap_is_infinite_where_another_member_would_save_the_loss():
    A = np.array([[0.0, 0.5], [0.9, 0.5]])
    assert loss_and_gap(*direct(A), np.array([1.0, 0.0])) == (
        np.inf,
        np.inf,
    )


def test_multiclass_equals_the_loss_of_the_mixed_cube():
    rng = np.random.default_rng(2)
    n, m, n_classes = 500, 5, 4
    y = rng.integers(n_classes, size=n)
    cube = rng.dirichlet(np.ones(n_classes), size=(m, n))
    cube[:, np.arange(n), y] += rng.uniform(0.0, 1.0, (m, 1))
    cube /= cube.sum(axis=2, keepdims=True)
    arguments = direct(cube[:, np.arange(n), y].T)
    weights, gap, _ = solve(*arguments)
    loss, _ = loss_and_gap(*arguments, weights)
    mixed = log_loss(y, np.tensordot(weights, cube, 1))
    assert gap <= 1e-9
    assert_allclose(loss, mixed, rtol=1e-13)


# Degenerate reductions.
def test_one_member():
    weights, gap, n_iter = solve(*binary(m=1)[2])
    assert_array_equal(weights, [1.0])
    assert gap <= 1e-14
    assert n_iter == 0


def test_perfect_member_takes_all():
    P, y, (_, sign, offset, s) = binary()
    P[:, 4] = y
    weights, gap, _ = solve(P, sign, offset, s)
    assert_array_equal(weights, np.eye(6)[4])
    assert gap == 0.0


def test_duplicated_members_change_nothing():
    P, _, (_, sign, offset, s) = binary()
    single, _, _ = solve(P, sign, offset, s, tol=1e-12)
    weights, gap, n_iter = solve(np.hstack([P, P]), sign, offset, s, tol=1e-12)
    assert gap <= 1e-12
    assert n_iter <= 8
    assert_allclose(weights[:6], single, atol=1e-9)
    assert_array_equal(weights[6:], 0.0)


def test_hard_labels():
    A = (np.random.default_rng(3).uniform(size=(300, 8)) > 0.4).astype(float)
    A[:, 0] = 0.5
    weights, gap, _ = solve(*direct(A))
    assert gap <= 1e-9
    assert weights[0] > 0.0


# Robustness.
def test_rows_without_any_chance_are_left_out():
    P, _, (_, sign, offset, s) = binary()
    A = oracles.true_class(P, sign, offset)
    A[[3, 9]] = 0.0
    kept = A.any(axis=1)
    weights, gap, _ = solve(*direct(A, s))
    expected, _, _ = solve(*direct(A[kept], s[kept]))
    assert gap <= 1e-9
    assert_allclose(weights, expected, atol=1e-9)
    assert loss_and_gap(*direct(A, s), weights)[1] <= 1e-9


def test_no_row_has_a_chance():
    weights, gap, n_iter = solve(*direct(np.zeros((5, 3))))
    assert_allclose(weights, 1 / 3)
    assert (gap, n_iter) == (0.0, 0)


def test_tiny_probabilities_and_one_exact_zero():
    A = oracles.true_class(*binary(2000, 12)[2][:3])
    A = np.hstack([A, A])
    A[5] = 1e-300
    A[8, 2] = 0.0
    _, gap, n_iter = solve(*direct(A), tol=1e-11)
    assert gap <= 1e-11
    assert n_iter <= 8


@pytest.mark.parametrize("row_weight", [1.0, 1e-20])
def test_the_only_member_with_a_chance_is_kept(row_weight):
    A = oracles.true_class(*binary()[2][:3])
    A[7] = 0.0
    A[7, 4] = 1e-300
    s = np.ones(len(A))
    s[7] = row_weight
    weights, gap, _ = solve(*direct(A, s))
    assert gap <= 1e-9
    assert weights[4] > 0.0


def test_step_stops_short_of_an_impossible_row():
    # From (1/2, 1/2) the model aims at the second member: the first row is ruled out.
    A = np.array([[1.0, 0.0], [0.4, 0.6]])
    problem = RowLoss(Design(A, np.zeros(2)), np.array([1e-20, 1.0]), LogLoss())
    smooth = solvers._Smooth(problem.design, problem.loss, problem.share, no_penalty(2))
    here = smooth.at(np.full(2, 0.5), np.full(2, 0.5))
    _, g = smooth.pull(here)
    ahead = smooth.step(here, g, 1e-6 * np.eye(2), Simplex(2), 0.0, 1.0)
    assert 0.0 < ahead.x[0] < 0.5
    assert ahead.value < here.value


def test_halved_steps_still_converge():
    A = oracles.true_class(*binary()[2][:3])
    A[7] = 0.0
    A[7, 0] = 1e-300
    s = np.ones(len(A))
    s[7] = 1e-6  # a weak member is needed by one light row
    weights, gap, n_iter = solve(*direct(A, s), tol=1e-8)
    assert gap <= 1e-8
    assert n_iter > 8
    assert_allclose(loss_and_gap(*direct(A, s), weights)[1], gap, atol=1e-12)


def test_more_members_than_rows():
    A = np.random.default_rng(4).uniform(size=(10, 40))
    _, gap, _ = solve(*direct(A))
    assert gap <= 1e-9


def test_integer_weights_equal_repeated_rows():
    P, _, (_, sign, offset, _) = binary()
    counts = np.random.default_rng(5).integers(0, 4, len(P))
    weights, _, _ = solve(P, sign, offset, counts.astype(float), tol=1e-13)
    rows = np.repeat(np.arange(len(P)), counts)
    repeated, _, _ = solve(
        P[rows], sign[rows], offset[rows], np.ones(len(rows)), tol=1e-13
    )
    assert_allclose(weights, repeated, atol=1e-10)


def test_memory_order_dtype_and_block_do_not_matter(tmp_path):
    P, _, (_, sign, offset, s) = binary(5000, 4)
    P = P.astype(np.float32)
    expected = solve(P.astype(float), sign, offset, s)[0]
    np.save(tmp_path / "P.npy", P)
    mapped = np.load(tmp_path / "P.npy", mmap_mode="r")
    for base in (P, np.asfortranarray(P), mapped):
        assert_array_equal(solve(base, sign, offset, s)[0], expected)


def test_inputs_stay_untouched():
    arguments = binary()[2]
    copies = [array.copy() for array in arguments]
    solve(*arguments)
    for array, copy in zip(arguments, copies, strict=True):
        assert_array_equal(array, copy)
