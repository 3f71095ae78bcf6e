"""The calibration test: its statistic, its weights, its level and its power."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from ensemblekit import set_calibration_test
from ensemblekit.selective import set_calibration

from . import oracles_risk as oracles


def matrix(cube):
    return np.hstack(list(cube))


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
    errors = set_calibration._label_errors(cube, codes, weights)
    found = set_calibration._kernel_errors(cube[0], errors, 0.3)
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
    weights = set_calibration._likelihood_weights(cube, y[None], np.full(4, 0.25))[0]
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


def test_labels_drawn_have_weights_of_their_own(monkeypatch):
    seen = []
    original = set_calibration._label_errors

    def spy(cube, codes, weights):
        seen.append((cube, codes, weights))
        return original(cube, codes, weights)

    monkeypatch.setattr(set_calibration, "_label_errors", spy)
    set_calibration_test(*labelled(80, 0), n_resamples=20, random_state=0)
    [(cube, codes, weights)] = seen
    assert len(codes) == len(weights) == 21
    for labels, w in zip(codes, weights, strict=True):
        likely = cube[:, np.arange(80), labels].T
        ratios = (likely / (likely @ w)[:, None]).mean(axis=0)
        assert ratios.max() <= 1 + 0.0201 / 80


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
    for alpha in (0.05, 0.1, 0.5):
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
