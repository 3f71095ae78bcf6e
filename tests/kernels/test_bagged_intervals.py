"""Bounds of jackknife+-after-bootstrap against masks and sorts."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit.kernels import bagged_intervals
from ensemblekit.kernels.bagged_intervals import MEAN, MEDIAN

from ..conformal import oracles_cross


def bags(rng, n, n_bags):
    """Which bags each row is outside of; each of at least one."""
    outside = rng.random((n, n_bags)) < 0.37
    outside[np.arange(n), rng.integers(0, n_bags, n)] = True
    return outside


def mean_in_order(values):
    total = 0.0
    for value in values:
        total += value
    return total / len(values)


@pytest.mark.parametrize(
    ("average", "literal"), [(MEAN, mean_in_order), (MEDIAN, np.median)]
)
@pytest.mark.parametrize("tied", [False, True])
def test_equals_masks_and_sorts_bitwise(average, literal, tied):
    rng = np.random.default_rng(tied)
    for _ in range(60):
        n, n_bags, n_rows = rng.integers(1, 40), rng.integers(1, 12), 11
        outside = bags(rng, n, n_bags)
        own, new = rng.normal(size=(n, n_bags)), rng.normal(size=(n_rows, n_bags))
        if tied:
            own, new = np.round(own), np.round(new)
        y = rng.normal(size=n)
        scores = np.abs(y - bagged_intervals.average_outside(own, outside, average))
        for alpha in (0.05, 0.2, 0.5):
            low, high = oracles_cross.ranks(n, alpha)
            found = bagged_intervals.bagged_bounds(
                new, outside, scores, low, high, average
            )
            wanted = oracles_cross.after_bootstrap(
                y, ~outside, own, new, alpha, literal
            )
            assert_array_equal(found, wanted)


@pytest.mark.parametrize("n", [1, 2, 499, 500, 501, 3000])
@pytest.mark.parametrize("kind", ["normal", "ties", "equal", "sorted", "infinite"])
def test_selection_is_exact_at_every_kind_of_rank(n, kind):
    rng = np.random.default_rng(n)
    values = rng.normal(size=n)
    if kind == "ties":
        values = np.round(values)
    elif kind == "equal":
        values[:] = 1.5
    elif kind == "sorted":
        values.sort()
    elif kind == "infinite":
        values[rng.random(n) < 0.3] = np.inf
    ordered = np.sort(values)
    for k in {0, n // 100, n // 10, n // 2, (9 * n) // 10, n - 1}:
        found = bagged_intervals._kth(values.copy(), k, np.empty(n))
        assert found == ordered[k]


def test_a_row_is_the_same_in_any_block():
    rng = np.random.default_rng(0)
    outside, new = bags(rng, 700, 9), rng.normal(size=(21, 9))
    scores = np.abs(rng.normal(size=700))
    whole = bagged_intervals.bagged_bounds(new, outside, scores, 70, 631, MEAN)
    each = [
        bagged_intervals.bagged_bounds(row[None], outside, scores, 70, 631, MEAN)[0]
        for row in new
    ]
    assert_array_equal(whole, each)


def test_ranks_beyond_the_ends_are_infinite():
    outside, new = np.ones((3, 2), bool), np.zeros((2, 2))
    found = bagged_intervals.bagged_bounds(new, outside, np.ones(3), 0, 4, MEAN)
    assert_allclose(found, [[-np.inf, np.inf]] * 2)


@pytest.mark.parametrize("average", [MEAN, MEDIAN])
def test_memory_does_not_grow_with_the_rows(average):
    rng = np.random.default_rng(5)
    n, rows = 20_000, 40
    outside, new = bags(rng, n, 5), rng.normal(size=(rows, 5))
    scores = np.abs(rng.normal(size=n))
    bagged_intervals.bagged_bounds(new[:1], outside, scores, 2000, 18_001, average)
    peaks = []
    for n_rows in (8, rows):
        tracemalloc.start()
        bagged_intervals.bagged_bounds(
            new[:n_rows], outside, scores, 2000, 18_001, average
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 32 * rows
    assert peaks[1] < 16 * 8 * n  # all pairs would be 40 * 8 * n
