import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit._levels import (
    central_interval,
    interpolate,
    median,
    sort_levels,
    weighted_quantiles,
)

from .quantile_members import oracles


def test_interpolation_equals_numpy_between_levels():
    rng = np.random.default_rng(0)
    levels = np.array([0.05, 0.2, 0.6, 0.9])
    quantiles = np.sort(rng.normal(size=(30, 4)), axis=1)
    wanted = np.linspace(0.05, 0.9, 37)
    found = interpolate(quantiles, levels, wanted)
    for row, expected in zip(found, quantiles, strict=True):
        assert_allclose(row, np.interp(wanted, levels, expected), atol=1e-14)
    assert_array_equal(interpolate(quantiles, levels, levels), quantiles)
    assert_array_equal(
        median(quantiles, np.array([0.1, 0.3, 0.5, 0.7])), quantiles[:, 2]
    )


def test_interval_takes_the_levels_themselves():
    levels = np.array([0.05, 0.1, 0.5, 0.9, 0.95])
    quantiles = np.random.default_rng(0).normal(size=(5, 5))
    assert_array_equal(central_interval(quantiles, levels, 0.1), quantiles[:, [0, 4]])
    both = central_interval(quantiles, levels, [0.2, 0.1])
    assert both.shape == (5, 2, 2)
    assert_array_equal(both[:, :, 0], quantiles[:, [1, 3]])


@pytest.mark.parametrize("alpha", [0.0, 1.0, [0.5, 1.2], np.nan, []])
def test_alpha_outside_the_unit_interval_is_refused(alpha):
    with pytest.raises(ValueError, match=r"alpha is .*expected a number inside"):
        central_interval(np.zeros((1, 2)), np.array([0.1, 0.9]), alpha)


def test_nothing_is_extrapolated():
    with pytest.raises(ValueError, match=r"level 0.025 is beyond .* 0.1 .. 0.9"):
        central_interval(np.zeros((1, 2)), np.array([0.1, 0.9]), 0.05)
    with pytest.raises(ValueError, match=r"level 0.5 is beyond"):
        median(np.zeros((1, 2)), np.array([0.6, 0.9]))


@pytest.mark.parametrize("n", [1, 2, 5, 20, 39, 200])
def test_quantiles_of_equal_weights_are_numpy_s(n):
    values = np.random.default_rng(n).integers(0, 30, n).astype(float)
    levels = np.linspace(0.01, 0.99, 99)
    expected = np.quantile(values, levels, method="averaged_inverted_cdf")
    found = weighted_quantiles(values, np.ones(n), levels)
    # numpy decides by rounding where a level is reached exactly; the walk does not.
    walked = [oracles.weighted_quantile(values, np.ones(n), t) for t in levels]
    assert_array_equal(found, walked)
    assert (found == expected).mean() > 0.9


@given(st.integers(0, 10_000))
def test_weighted_quantiles_equal_the_walk(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    values = rng.integers(0, 8, n).astype(float)
    weight = rng.integers(0, 4, n).astype(float)
    weight[rng.integers(n)] += 1.0
    levels = np.sort(rng.choice(np.arange(1, 40) / 40, 5, replace=False))
    found = weighted_quantiles(values, weight, levels)
    expected = [oracles.weighted_quantile(values, weight, t) for t in levels]
    assert_array_equal(found, expected)
    repeated = np.repeat(values, weight.astype(int))
    assert_array_equal(
        found, weighted_quantiles(repeated, np.ones(len(repeated)), levels)
    )


@given(st.integers(0, 10_000))
def test_sorting_never_raises_the_pinball_loss(seed):
    rng = np.random.default_rng(seed)
    m = int(rng.integers(1, 8))
    levels = np.sort(rng.uniform(0.01, 0.99, m))
    quantiles, y = rng.normal(size=(20, m)), rng.normal(size=20)
    repaired, n_rows = sort_levels(quantiles)
    assert n_rows == (np.diff(quantiles, axis=1) < 0).any(axis=1).sum()
    before = oracles.pinball(y, quantiles, levels)
    assert oracles.pinball(y, repaired, levels) <= before + 1e-12


def test_sorted_quantiles_are_not_copied():
    quantiles = np.sort(np.random.default_rng(0).normal(size=(9, 3)), axis=1)
    assert sort_levels(quantiles)[0] is quantiles


def test_interpolation_keeps_crossings_and_the_given_values():
    levels = np.array([0.2, 0.4, 0.6])
    found = interpolate(np.array([[2.0, 1.0, 3.0]]), levels, [0.2, 0.3, 0.4, 0.5, 0.6])
    assert_allclose(found, [[2.0, 1.5, 1.0, 2.0, 3.0]], rtol=1e-15)
    rng = np.random.default_rng(1)
    steep = np.sort(10.0 ** rng.uniform(-300, 300, (50, 3)), axis=1)
    between = interpolate(steep, levels, np.linspace(0.2, 0.6, 500))
    assert (np.diff(between, axis=1) >= 0.0).all()
