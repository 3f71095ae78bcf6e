import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from ensemblekit import pit_from_ensemble, pit_from_quantiles

LEVELS = np.array([0.1, 0.25, 0.5, 0.9])


def test_quantiles_give_a_value_of_the_bin_of_the_target():
    Q, y = np.tile([1.0, 2.0, 3.0, 4.0], (5, 1)), [0.0, 1.5, 2.5, 3.5, 9.0]
    edges = np.array([0.0, *LEVELS, 1.0])
    draws = np.array(
        [pit_from_quantiles(y, Q, LEVELS, random_state=s) for s in range(500)]
    )
    assert (draws > edges[:-1]).all()
    assert (draws < edges[1:]).all()
    assert_allclose(draws.min(axis=0), edges[:-1], atol=0.02)
    assert_allclose(draws.max(axis=0), edges[1:], atol=0.02)


def test_targets_on_quantiles_lie_between_the_neighbours():
    Q, y = np.array([[1.0, 1.0, 3.0, 4.0], [1.0, 2.0, 3.0, 3.0]]), [1.0, 3.0]
    draws = np.array(
        [pit_from_quantiles(y, Q, LEVELS, random_state=s) for s in range(500)]
    )
    assert_allclose(draws.min(axis=0), [0.0, 0.25], atol=0.02)
    assert_allclose(draws.max(axis=0), [0.5, 1.0], atol=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_calibrated_quantiles_give_uniform_values(seed):
    rng = np.random.default_rng(seed)
    mean, scale = rng.normal(size=5000), rng.uniform(0.5, 2.0, 5000)
    Q = mean[:, None] + scale[:, None] * stats.norm.ppf(LEVELS)
    y = mean + scale * rng.normal(size=5000)
    values = pit_from_quantiles(y, Q, LEVELS, random_state=seed)
    assert stats.kstest(values, "uniform").pvalue > 0.01
    wide = mean[:, None] + 2 * scale[:, None] * stats.norm.ppf(LEVELS)
    values = pit_from_quantiles(y, wide, LEVELS, random_state=seed)
    assert stats.kstest(values, "uniform").pvalue < 1e-9


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("n_draws", [1, 4, 50])
def test_targets_like_the_draws_give_uniform_values(n_draws, discrete):
    rng = np.random.default_rng(n_draws)
    X = 2 * rng.normal(size=(5000, n_draws + 1))
    X = np.round(X) if discrete else X
    values = pit_from_ensemble(X[:, 0], X[:, 1:], random_state=0)
    assert stats.kstest(values, "uniform").pvalue > 0.01
    values = pit_from_ensemble(X[:, 0], X[:, 1:] + 1.0, random_state=0)
    assert stats.kstest(values, "uniform").pvalue < 1e-9


def test_ensembles_are_their_definition():
    rng = np.random.default_rng(0)
    X, y = np.round(rng.normal(size=(200, 7))), np.round(rng.normal(size=200))
    even = np.random.RandomState(3).uniform(size=200)
    expected = [
        (sum(x < v) + u * (sum(x == v) + 1)) / 8
        for x, v, u in zip(X, y, even, strict=True)
    ]
    assert_allclose(pit_from_ensemble(y, X, random_state=3), expected, rtol=1e-14)


def test_seeds():
    rng = np.random.default_rng(0)
    X, y = np.sort(rng.normal(size=(50, 4)), axis=1), rng.normal(size=50)
    for pit in (
        lambda seed: pit_from_ensemble(y, X, random_state=seed),
        lambda seed: pit_from_quantiles(y, X, LEVELS, random_state=seed),
    ):
        assert_array_equal(pit(1), pit(1))
        assert_array_equal(pit(1), pit(np.random.RandomState(1)))
        assert (pit(1) != pit(2)).all()
        assert (pit(None) != pit(None)).all()


def test_refusals():
    y, X = np.zeros(3), np.arange(12.0).reshape(3, 4)
    for call, message in [
        (lambda: pit_from_quantiles(y, -X, LEVELS), "they cross"),
        (lambda: pit_from_quantiles(y, X, LEVELS[:3]), "expected (3, 3)"),
        (lambda: pit_from_ensemble(y[:2], X), "expected (2, n_draws)"),
        (lambda: pit_from_ensemble(y + np.nan, X), "y is NaN"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            call()
