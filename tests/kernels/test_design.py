import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit.kernels.design import Design
from tests import oracles


def residual_gram(P, target, weight, n_outputs=1):
    """Mean Gram matrix of the residuals, weight by sample."""
    total = len(P) if weight is None else weight.sum()
    spread = None if weight is None else np.repeat(weight, n_outputs)
    target = np.asarray(target, float).ravel()
    return Design(P, target, n_outputs).gram(spread) / total


def mixture_gradient(P, target, weight, weights, n_outputs=1):
    """Squared error of a mixture and half its gradient, from the rows."""
    total = len(P) if weight is None else weight.sum()
    spread = None if weight is None else np.repeat(weight, n_outputs)
    design = Design(P, np.asarray(target, float).ravel(), n_outputs)
    square, pull = design.squares(weights, spread)
    return square / total, pull / total


def problem(n=300, m=6, n_outputs=1, seed=0):
    rng = np.random.default_rng(seed)
    P = rng.standard_normal((n, m * n_outputs))
    target = rng.standard_normal((n, n_outputs)) if n_outputs > 1 else P.mean(axis=1)
    return P, target, rng.uniform(0.0, 2.0, n)


@pytest.mark.parametrize("n", [1, 511, 512, 4097, 9000])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_matches_twin(n, n_outputs, weighted):
    P, target, weight = problem(n, 5, n_outputs)
    weight = weight if weighted else None
    H = residual_gram(P, target, weight, n_outputs)
    twin = oracles.residual_gram(P, target, weight, n_outputs)
    assert_allclose(H, twin, rtol=1e-12, atol=1e-14)
    assert_array_equal(H, H.T)
    assert H.dtype == np.float64


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_mixture_gradient_is_the_gradient_of_the_gram(n_outputs, weighted):
    P, target, weight = problem(5000, 6, n_outputs)
    weight = weight if weighted else None
    weights = np.random.default_rng(1).dirichlet(np.ones(6))
    objective, gradient = mixture_gradient(P, target, weight, weights, n_outputs)
    H = residual_gram(P, target, weight, n_outputs)
    assert_allclose(
        objective, oracles.mixture_error(P, target, weight, weights, n_outputs)
    )
    assert_allclose(objective, weights @ H @ weights, rtol=1e-12)
    assert_allclose(gradient, H @ weights, rtol=1e-11, atol=1e-14)
    assert isinstance(objective, float)


def test_diagonal_is_the_brier_score_of_each_member():
    rng = np.random.default_rng(2)
    P = rng.dirichlet(np.ones(3), size=(200, 4)).reshape(200, 12)
    onehot = np.eye(3)[rng.integers(3, size=200)]
    brier = ((oracles.cube(P, 3) - onehot) ** 2).sum(axis=2).mean(axis=1)
    assert_allclose(residual_gram(P, onehot, None, 3).diagonal(), brier)


def test_two_columns_double_the_binary_brier_score():
    rng = np.random.default_rng(3)
    P, y = rng.uniform(size=(200, 4)), rng.integers(2, size=200)
    both = np.stack([1.0 - P, P], axis=2).reshape(200, 8)
    two = residual_gram(both, np.eye(2)[y], None, 2)
    assert_allclose(two, 2.0 * residual_gram(P, y, None), rtol=1e-12)


def test_integer_weights_equal_repeated_rows():
    P, y, _ = problem()
    counts = np.random.default_rng(4).integers(0, 4, len(P))
    repeated = residual_gram(np.repeat(P, counts, axis=0), np.repeat(y, counts), None)
    assert_allclose(residual_gram(P, y, counts.astype(float)), repeated, rtol=1e-12)


def test_gram_of_all_rows_is_the_mean_of_two_halves():
    P, y, s = problem(1000)
    parts = [
        residual_gram(P[half], y[half], s[half])
        for half in np.split(np.arange(1000), 2)
    ]
    shares = [s[:500].sum() / s.sum(), s[500:].sum() / s.sum()]
    expected = shares[0] * parts[0] + shares[1] * parts[1]
    assert_allclose(residual_gram(P, y, s), expected, rtol=1e-12)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_memory_order_and_dtype_do_not_matter(n_outputs, tmp_path):
    P, target, weight = problem(1500, 6, n_outputs)
    P = P.astype(np.float32)
    expected = residual_gram(P.astype(np.float64), target, weight, n_outputs)
    np.save(tmp_path / "P.npy", P)
    mapped = np.load(tmp_path / "P.npy", mmap_mode="r")
    for other in (P, np.asfortranarray(P), mapped, np.repeat(P, 2, axis=0)[::2]):
        assert_array_equal(residual_gram(other, target, weight, n_outputs), expected)


def test_integer_predictions():
    P = np.random.default_rng(5).integers(0, 2, (100, 4))
    y = P[:, 0]
    expected = residual_gram(P.astype(float), y.astype(float), None)
    assert_array_equal(residual_gram(P, y, None), expected)
    assert_array_equal(residual_gram(P.astype(bool), y, None), expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_gram_with_extra_columns_and_curvature(weighted):
    P, y, s = problem(700)
    extra, root = np.column_stack([np.ones(700), y]), np.sqrt(s)[::-1]
    rows = np.hstack([P - y[:, None] - 0.5, extra]) * root[:, None]
    s = s if weighted else None
    design = Design(P, y, centre=np.full(6, 0.5), extra=extra)
    twin = np.einsum("na,nb,n->ab", rows, rows, np.ones(700) if s is None else s)
    assert_allclose(design.gram(s, root), twin, rtol=1e-11, atol=1e-11)


def test_offset_keeps_the_digits():
    P, y, s = problem()
    grid = 2.0**-20  # both problems hold exactly the same residuals
    P, y = np.round(P / grid) * grid, np.round(y / grid) * grid
    shifted = residual_gram(P + 1e8, y + 1e8, s)
    assert_array_equal(shifted, residual_gram(P, y, s))


def test_subtracts_in_float64_before_anything():
    # A float32 difference of these would round y to a multiple of 8.
    P = np.full((50, 2), 1e8, np.float32)
    H = residual_gram(P, np.full(50, 1e8 + 1.0), None)
    assert_array_equal(H, np.ones((2, 2)))


def test_inputs_stay_untouched():
    P, y, s = problem()
    copies = P.copy(), y.copy(), s.copy()
    residual_gram(P, y, s)
    mixture_gradient(P, y, s, np.full(6, 1 / 6))
    for array, copy in zip((P, y, s), copies, strict=True):
        assert_array_equal(array, copy)


@pytest.mark.parametrize("weighted", [False, True])
def test_extra_columns_are_scaled_like_the_others(weighted):
    rng = np.random.default_rng(3)
    P, target, extra = rng.normal(size=(50, 4)), rng.normal(size=50), np.ones((50, 2))
    extra[:, 1] = rng.normal(size=50)
    weight = rng.uniform(size=50) if weighted else None
    root = rng.uniform(size=50) * (np.arange(50) > 20)
    D = np.column_stack([P - target[:, None], extra])
    D *= (root * (np.sqrt(weight) if weighted else 1.0))[:, None]
    assert_allclose(Design(P, target, extra=extra).gram(weight, root), D.T @ D)
