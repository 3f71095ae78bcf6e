import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit.kernels.crps import pool_gram, pool_quantiles
from tests import oracles


def problem(n=40, m=4, d=5, seed=0):
    """Unsorted draws of members of mixed place and width, y and row weights."""
    rng = np.random.default_rng(seed)
    place = rng.normal(size=(n, 1, 1)) + 0.5 * rng.normal(size=(n, m, 1))
    draws = place + rng.uniform(0.2, 2.0, (m, 1)) * rng.normal(size=(n, m, d))
    return draws.reshape(n, m * d), rng.normal(size=n), rng.uniform(0.0, 2.0, n)


def equal(d):
    return np.full(d, 1.0 / d)


@pytest.mark.parametrize("d", [1, 2, 7])
@pytest.mark.parametrize("m", [1, 2, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_gram_matches_twin(m, d, weighted):
    P, y, weight = problem(30, m, d, seed=m + d)
    masses = np.random.default_rng(1).dirichlet(np.ones(d))
    weight = weight if weighted else None
    H = pool_gram(P, y, weight, masses)
    assert_allclose(H, oracles.pool_gram(P, y, weight, masses), rtol=1e-12, atol=1e-14)
    assert_array_equal(H, H.T)
    assert H.shape == (m, m)
    assert H.dtype == np.float64


def test_gram_of_ties_matches_twin():
    """Atoms equal to each other, within a member and across members, and to y."""
    rng = np.random.default_rng(2)
    P = rng.integers(-2, 3, (60, 12)).astype(float)
    y = rng.integers(-2, 3, 60).astype(float)
    expected = oracles.pool_gram(P, y, None, equal(4))
    assert_allclose(pool_gram(P, y, None, equal(4)), expected, atol=1e-14)


def test_atoms_without_mass_do_not_count():
    P, y, weight = problem(d=3)
    masses = np.array([0.4, 0.0, 0.6])
    kept = P.reshape(len(P), -1, 3)[:, :, [0, 2]].reshape(len(P), -1)
    expected = pool_gram(kept, y, weight, masses[[0, 2]])
    assert_allclose(pool_gram(P, y, weight, masses), expected, rtol=1e-13)


@pytest.mark.parametrize("n", [1, 2184, 2185, 9000])
def test_blocks_of_rows_add_up(n):
    P, y, weight = problem(n, 6, 10)
    masses = equal(10)
    weights = np.random.default_rng(3).dirichlet(np.ones(6))
    H = pool_gram(P, y, weight, masses)
    expected = oracles.pool_crps(P, y, weight, weights, masses)
    assert_allclose(weights @ H @ weights, expected, rtol=1e-12)


def test_quadratic_form_is_the_crps_of_the_mixture():
    P, y, weight = problem(200)
    H = pool_gram(P, y, weight, equal(5))
    for weights in np.vstack(
        [np.eye(4), np.random.default_rng(4).dirichlet(np.ones(4))]
    ):
        expected = oracles.pool_crps(P, y, weight, weights, equal(5))
        assert_allclose(weights @ H @ weights, expected, rtol=1e-13)


def test_points_have_the_absolute_error_on_the_diagonal():
    P, y, weight = problem(d=1)
    errors = np.average(np.abs(P - y[:, None]), axis=0, weights=weight)
    assert_allclose(pool_gram(P, y, weight, np.ones(1)).diagonal(), errors, rtol=1e-14)


@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e-9])
def test_gram_is_positive_semi_definite(spread):
    """Also where the members are nearly equal, and there are far more than rows."""
    rng = np.random.default_rng(5)
    P = np.tile(rng.normal(size=(5, 10)), 12) + spread * rng.normal(size=(5, 120))
    H = pool_gram(P, rng.normal(size=5), None, equal(10))
    values = np.linalg.eigvalsh(H)
    assert values[0] >= -1e-15 * values[-1]


def test_a_good_member_beside_a_hopeless_one_loses_no_digits():
    """Each entry is a sum of terms >= 0, where a_j + a_k - D_jk would cancel."""
    P = np.array([[2.0**-40, 1e15], [2.0**-40, -1e15]])
    H = pool_gram(P, np.zeros(2), None, np.ones(1))
    assert_array_equal(H, [[2.0**-40, 2.0**-41], [2.0**-41, 1e15]])


def test_offset_keeps_the_digits():
    P, y, weight = problem()
    grid = 2.0**-20  # both problems hold exactly the same differences
    P, y = np.round(P / grid) * grid, np.round(y / grid) * grid
    expected = pool_gram(P, y, weight, equal(5))
    assert_array_equal(pool_gram(P + 1e8, y + 1e8, weight, equal(5)), expected)


def test_offset_of_single_precision():
    P = np.full((50, 2), 1e8, np.float32)
    H = pool_gram(P, np.full(50, 1e8 + 1.0), None, np.ones(1))
    assert_allclose(H, np.ones((2, 2)), rtol=1e-14)


@pytest.mark.parametrize("scale", [1e-250, 1e250])
def test_scales_with_the_unit_of_y(scale):
    P, y, weight = problem()
    expected = scale * pool_gram(P, y, weight, equal(5))
    assert_allclose(pool_gram(scale * P, scale * y, weight, equal(5)), expected, 1e-13)


def test_integer_weights_equal_repeated_rows():
    P, y, _ = problem(300)
    counts = np.random.default_rng(6).integers(0, 4, 300)
    copies = np.repeat(np.arange(300), counts)
    repeated = pool_gram(P[copies], y[copies], None, equal(5))
    assert_allclose(pool_gram(P, y, counts * 1.0, equal(5)), repeated, rtol=1e-13)


def test_rows_of_weight_zero_are_left_out():
    P, y, weight = problem()
    weight[::3] = 0.0
    kept = weight > 0
    expected = pool_gram(P[kept], y[kept], weight[kept], equal(5))
    assert_array_equal(pool_gram(P, y, weight, equal(5)), expected)


def test_order_of_draws_does_not_matter():
    P, y, weight = problem()
    atoms = np.sort(P.reshape(len(P), 4, 5), axis=2)
    expected = pool_gram(atoms.reshape(P.shape), y, weight, equal(5))
    assert_allclose(pool_gram(P, y, weight, equal(5)), expected, rtol=1e-14)


def test_memory_order_and_dtype_do_not_matter(tmp_path):
    P, y, weight = problem(500)
    P = P.astype(np.float32)
    masses, weights = equal(5), np.array([0.5, 0.0, 0.2, 0.3])
    expected = pool_gram(P.astype(np.float64), y, weight, masses)
    levels = np.array([0.1, 0.5, 0.9])
    quantiles = pool_quantiles(P.astype(np.float64), weights, masses, levels)
    np.save(tmp_path / "P.npy", P)
    mapped = np.load(tmp_path / "P.npy", mmap_mode="r")
    for other in (P, np.asfortranarray(P), mapped, np.repeat(P, 2, axis=0)[::2]):
        assert_array_equal(pool_gram(other, y, weight, masses), expected)
        found = pool_quantiles(other, weights, masses, levels)
        assert_array_equal(found, quantiles)
        assert found.dtype == np.float64


def test_inputs_stay_untouched():
    P, y, weight = problem()
    arrays = P, y, weight, equal(5), np.full(4, 0.25), np.array([0.5])
    copies = [array.copy() for array in arrays]
    for array in arrays:
        array.setflags(write=False)
    pool_gram(*arrays[:4])
    pool_quantiles(P, arrays[4], arrays[3], arrays[5])
    for array, copy in zip(arrays, copies, strict=True):
        assert_array_equal(array, copy)


@pytest.mark.parametrize("seed", range(5))
def test_quantiles_match_twin(seed):
    P, _, _ = problem(25, 3, 4, seed)
    P = np.round(P, 1)  # with ties
    rng = np.random.default_rng(seed)
    masses, weights = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(3))
    levels = np.sort(rng.uniform(size=9))
    found = pool_quantiles(P, weights, masses, levels)
    assert_array_equal(found, oracles.pool_quantiles(P, weights, masses, levels))


@pytest.mark.parametrize("d", [3, 7, 10, 49, 100])
def test_levels_that_steps_just_reach(d):
    """d steps of 1/d round below the level k/d for some k; the k-th atom is meant."""
    P, levels = np.arange(1.0, d + 1)[None], np.arange(1, d) / d
    found = pool_quantiles(P, np.ones(1), equal(d), levels)
    assert_array_equal(found[0], np.arange(1, d))
    split = pool_quantiles(P, equal(d), np.ones(1), levels)
    assert_array_equal(split, found)


def test_quantiles_do_not_read_members_without_weight():
    P, _, _ = problem()
    weights, levels = np.array([0.5, 0.0, 0.5, 0.0]), np.array([0.2, 0.8])
    expected = pool_quantiles(P, weights, equal(5), levels)
    P[:, 5:10] = P[:, 15:] = np.nan
    assert_array_equal(pool_quantiles(P, weights, equal(5), levels), expected)


def test_levels_near_the_ends_are_the_outermost_atoms():
    P, _, _ = problem(9000)
    found = pool_quantiles(P, np.full(4, 0.25), equal(5), np.array([1e-9, 1 - 1e-17]))
    assert_array_equal(found, np.column_stack([P.min(axis=1), P.max(axis=1)]))
