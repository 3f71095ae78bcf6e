"""Parts of uncertainty by their identities, and the level and power of the test."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from ensemblekit import decompose_uncertainty, decompose_variance, set_calibration_test
from ensemblekit.selective import uncertainty

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
    means = np.repeat([[0.1], [1e9]], 3, axis=1)
    assert_array_equal(decompose_variance(means, np.ones((2, 3))).epistemic, 0.0)
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


def labelled(n_rows, seed, sharpen=1.0, n_classes=3):
    """A cube, and labels of a random mixture of its members, sharpened or not."""
    rng = np.random.default_rng(seed)
    cube = rng.dirichlet(np.ones(n_classes), (4, n_rows))
    p = np.tensordot(rng.dirichlet(np.ones(4)), cube, 1) ** sharpen
    ends = np.cumsum(p / p.sum(axis=1, keepdims=True), axis=1)
    return cube, (rng.random((n_rows, 1)) > ends[:, :-1]).sum(axis=1)


def test_the_statistic_is_the_double_sum():
    cube, y = labelled(40, 0)
    codes = np.vstack([y, (y + 1) % 3])
    weights = np.array([[0.25] * 4, [0.1, 0.2, 0.3, 0.4]])
    errors = uncertainty._label_errors(cube, codes, weights)
    found = uncertainty._kernel_errors(cube[0], errors, 0.3)
    for value, labels, w in zip(found, codes, weights, strict=True):
        mixture = np.tensordot(w, cube, 1)
        wanted = oracles.skce(cube[0], np.eye(3)[labels] - mixture, 0.3)
        assert value == pytest.approx(wanted, abs=1e-14)


def test_weights_are_those_of_greatest_likelihood():
    cube, y = labelled(4000, 3)
    result = set_calibration_test(cube[:, :200], y[:200], n_resamples=1)
    likely = cube[:, np.arange(200), y[:200]].T
    ratios = (likely / (likely @ result.weights)[:, None]).mean(axis=0)
    assert ratios.max() <= 1 + 0.0201 / 200  # the gap to the best mean likelihood
    assert result.weights.sum() == pytest.approx(1.0, abs=1e-12)
    weights = uncertainty._likelihood_weights(cube, y[None], np.full(4, 0.25))[0]
    truth = np.random.default_rng(3)
    truth.dirichlet(np.ones(3), (4, 4000))
    assert_allclose(weights, truth.dirichlet(np.ones(4)), atol=0.12)


def test_impossible_rows_and_one_member():
    cube = np.array([[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
    result = set_calibration_test(cube, [1, 0, 1], random_state=0)
    assert result.weights.tolist() == [1.0]
    # Drawn labels are never wrong here, and one of these is.
    assert result.statistic == 0.0  # a single error makes no pair of errors
    cube = np.repeat(cube, 2, axis=1)
    result = set_calibration_test(cube, [1, 1, 0, 0, 1, 1], random_state=0)
    assert result.statistic > 0
    assert result.p_value == 1 / 200
    nothing = set_calibration_test(cube, [1, 1, 1, 1, 0, 0], random_state=0)
    assert nothing.weights.tolist() == [1.0]


def p_values(n_sets, n_rows, n_resamples, sharpen=1.0):
    return np.array(
        [
            set_calibration_test(
                *labelled(n_rows, seed, sharpen),
                n_resamples=n_resamples,
                random_state=seed,
            ).p_value
            for seed in range(n_sets)
        ]
    )


def test_level_and_power():
    found = p_values(1000, 100, 39)
    for alpha in (0.05, 0.1):
        low, high = stats.binom.ppf([0.0005, 0.9995], 1000, alpha)
        assert low <= (found <= alpha).sum() <= high
    # Far above the level, by an exact test: a true power below a half is ruled out.
    found = p_values(50, 300, 99, sharpen=3.0)
    assert (found <= 0.05).sum() >= stats.binom.ppf(0.99, 50, 0.5)


def test_forms_of_input_agree_and_seeds_repeat():
    cube, y = labelled(120, 5)
    first = set_calibration_test(cube, y, random_state=7)
    for again in (
        set_calibration_test(matrix(cube), y, random_state=7),
        set_calibration_test(cube, np.array(["a", "b", "c"])[y], random_state=7),
        set_calibration_test(cube, y, classes=[0, 1, 2], random_state=7),
    ):
        assert again[:2] == pytest.approx(first[:2], abs=1e-14)
        assert_allclose(again.weights, first.weights)
    turned = set_calibration_test(
        cube[:, :, ::-1], y, classes=[2, 1, 0], random_state=np.random.RandomState(7)
    )
    assert turned.statistic == pytest.approx(first.statistic)
    binary, z = labelled(120, 6, n_classes=2)
    wanted = set_calibration_test(binary, z, random_state=1)
    found = set_calibration_test(binary[:, :, 1].T, z, random_state=1)
    assert found[:2] == pytest.approx(wanted[:2], abs=1e-14)


def test_refused_tests():
    cube, y = labelled(40, 0)
    with pytest.raises(ValueError, match="y has labels that are no class"):
        set_calibration_test(cube, y, classes=[0, 1, 5])
    with pytest.raises(ValueError, match="of 3 classes and y has 2"):
        set_calibration_test(cube, np.minimum(y, 1))
    with pytest.raises(ValueError, match="40 rows and y 39"):
        set_calibration_test(cube, y[:-1])
    with pytest.raises(ValueError, match="2 at least"):
        set_calibration_test(cube[:, :1], [0], classes=[0, 1, 2])
    with pytest.raises(ValueError, match="n_resamples is 0"):
        set_calibration_test(cube, y, n_resamples=0)
    with pytest.raises(ValueError, match="bandwidth 0"):
        set_calibration_test(cube, y, bandwidth=0)
