"""Parts of uncertainty: loops, identities and ends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import decompose_uncertainty, decompose_variance

from . import oracles_risk as oracles


def draws(n_members=4, n_rows=30, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(n_classes, 0.5), (n_members, n_rows))


def matrix(cube):
    return np.hstack(list(cube))


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_entropies_against_loops(n_classes, weighted):
    cube = draws(n_classes=n_classes)
    weights = np.array([0.5, 0.0, 0.2, 0.3]) if weighted else None
    wanted = oracles.entropies(cube, np.full(4, 0.25) if weights is None else weights)
    found = decompose_uncertainty(cube, weights=weights)
    for part, twin in zip(found, wanted, strict=True):
        assert_allclose(part, twin, atol=1e-14)
    assert_allclose(found.total, found.aleatoric + found.epistemic, atol=1e-14)
    P = cube[:, :, 1].T if n_classes == 2 else matrix(cube)
    again = decompose_uncertainty(P, n_classes, weights=weights)
    for part, twin in zip(again, found, strict=True):
        assert_allclose(part, twin, atol=1e-14)


def test_entropies_at_the_ends():
    same = np.repeat(draws(1), 7, axis=0)
    parts = decompose_uncertainty(same)
    assert_allclose(parts.epistemic, 0, atol=1e-15)
    assert (parts.epistemic >= 0).all()
    opposite = decompose_uncertainty([[0.0, 1.0]])
    assert [p[0] for p in opposite] == pytest.approx([np.log(2), 0, np.log(2)])
    one = decompose_uncertainty([[0.25], [1.0]])
    assert_array_equal(one.epistemic, 0)
    # What rounding leaves below 0 has no entropy.
    assert np.isfinite(decompose_uncertainty([[-1e-12, 1 + 1e-12]])).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5), st.integers(2, 4), st.integers(0, 1000))
def test_entropies_keep_their_identity(n_members, n_classes, seed):
    cube = draws(n_members, 8, n_classes, seed)
    total, aleatoric, epistemic = decompose_uncertainty(cube)
    assert_allclose(total, aleatoric + epistemic, atol=1e-14)
    assert (epistemic >= 0).all()
    assert (total <= np.log(n_classes) + 1e-14).all()
    permuted = decompose_uncertainty(cube[::-1])
    assert_allclose(permuted.epistemic, epistemic, atol=1e-14)
    doubled = decompose_uncertainty(np.concatenate([cube, cube]))
    assert_allclose(doubled.epistemic, epistemic, atol=1e-14)


def test_variances_are_those_of_the_mixture():
    rng = np.random.default_rng(0)
    means, sizes = rng.normal(size=(20, 5)) * 3, rng.random((20, 5))
    parts = decompose_variance(means, sizes)
    # E[y**2] - E[y]**2 of a mixture.
    wanted = (sizes + means**2).mean(axis=1) - means.mean(axis=1) ** 2
    assert_allclose(parts.total, wanted, rtol=1e-12)
    assert_allclose(parts.epistemic, means.var(axis=1), rtol=1e-12)
    assert_array_equal(parts.total, parts.aleatoric + parts.epistemic)
    weights = np.array([0.4, 0.1, 0.1, 0.2, 0.2])
    weighted = decompose_variance(means, sizes, weights=weights)
    repeats = np.array([4, 1, 1, 2, 2])
    twin = decompose_variance(means.repeat(repeats, 1), sizes.repeat(repeats, 1))
    assert_allclose(weighted.epistemic, twin.epistemic, rtol=1e-12)
    assert_allclose(weighted.aleatoric, twin.aleatoric, rtol=1e-12)


def test_members_that_agree_have_no_epistemic_variance():
    means = np.repeat(1e6 * np.random.default_rng(0).normal(size=(50, 1)), 7, axis=1)
    assert_array_equal(decompose_variance(means, np.ones((50, 7))).epistemic, 0.0)
    shifted = decompose_variance([[1e9, 1e9 + 2]], [[0.0, 0.0]])
    assert shifted.total.tolist() == [1.0]


def test_refused_decompositions():
    with pytest.raises(ValueError, match=r"weights has shape \(3,\); expected \(2,\)"):
        decompose_uncertainty([[0.5, 0.5]], weights=[1, 0, 0])
    with pytest.raises(ValueError, match="sum to 2"):
        decompose_uncertainty([[0.5, 0.5]], weights=[1, 1])
    with pytest.raises(ValueError, match="at least and sum to 1"):
        decompose_uncertainty([[0.5, 0.5]], weights=[2, -1])
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        decompose_uncertainty([[0.5, 1.5]])
    with pytest.raises(ValueError, match="NaN"):
        decompose_uncertainty([[0.5, np.nan]])
    with pytest.raises(ValueError, match="two outputs that do not sum to 1"):
        decompose_uncertainty(np.full((2, 3, 2), 0.7))
    with pytest.raises(ValueError, match="not a multiple of the 3"):
        decompose_uncertainty([[0.5, 0.2]], 3)
    with pytest.raises(ValueError, match=r"predictions has shape \(2,\)"):
        decompose_uncertainty([0.5, 0.2])
    with pytest.raises(ValueError, match="variances are negative"):
        decompose_variance([[1.0]], [[-1.0]])
    with pytest.raises(ValueError, match="not finite"):
        decompose_variance([[np.inf]], [[1.0]])
    with pytest.raises(ValueError, match=r"means has shape \(1, 1\)"):
        decompose_variance([[1.0]], [[1.0, 2.0]])
