"""Bitwise the value of a full sort: ties, empty lists, every rank, infinite scores."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ensemblekit.kernels import shifted_lists

from ..conformal import oracles_cross


def random_case(rng, n, n_lists, tied):
    folds = rng.integers(0, n_lists, n)
    scores = rng.integers(-3, 4, n).astype(float) if tied else rng.normal(size=n)
    shifts = rng.integers(-2, 3, (2, n_lists)).astype(float)
    if not tied:
        shifts = shifts + rng.normal(size=shifts.shape)
    return scores, folds, shifts


def check(scores, folds, shifts, scales, ranks):
    values, starts = shifted_lists.sort_by_fold(scores, folds, shifts.shape[1])
    ones = np.ones_like(shifts)
    for rank in ranks:
        found = shifted_lists.kth_smallest(shifts, scales, values, starts, int(rank))
        for row, own_scales in enumerate(ones if scales is None else scales):
            wanted = oracles_cross.kth_of_all(
                shifts[row], own_scales, scores, folds, rank
            )
            assert found[row] == wanted, (rank, row)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("infinite", [False, True])
def test_equals_a_full_sort_in_random_cases(tied, scaled, infinite):
    rng = np.random.default_rng([tied, scaled, infinite])
    for case in range(500):
        n, n_lists = rng.integers(1, 250 if case % 5 == 0 else 50), rng.integers(1, 24)
        scores, folds, shifts = random_case(rng, n, n_lists, tied)
        if infinite:
            scores[rng.random(n) < 0.2] = np.inf
        scales = rng.uniform(0.1, 2.0, shifts.shape) if scaled else None
        check(
            scores,
            folds,
            shifts,
            scales,
            {0, 1, n, n + 1, *rng.integers(1, n, 2)} if n > 1 else [0, 1, 2],
        )


@pytest.mark.parametrize("n_lists", [1, 2, 5, 40])
@pytest.mark.parametrize("tied", [False, True])
def test_every_rank(n_lists, tied):
    rng = np.random.default_rng(n_lists)
    scores, folds, shifts = random_case(rng, 150, n_lists, tied)
    check(scores, folds, shifts, None, range(152))


def test_one_long_list_and_many_empty_ones():
    rng = np.random.default_rng(0)
    scores, shifts = rng.normal(size=400), rng.normal(size=(2, 30))
    check(scores, np.full(400, 17), shifts, None, [1, 40, 200, 360, 400])


def test_all_values_equal():
    check(np.zeros(300), np.arange(300) % 3, np.zeros((2, 3)), None, range(302))


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_rounding_of_sums_makes_ties_that_are_kept(scale):
    # Shifts far above the scores: thousands of sums round to a few values.
    rng = np.random.default_rng(1)
    scores = np.abs(rng.normal(size=300)) * scale
    shifts = (1e9 * scale) * rng.normal(size=(2, 4))
    check(scores, rng.integers(0, 4, 300), shifts, None, range(1, 301, 7))


def test_negated_lists_give_the_lower_bound():
    rng = np.random.default_rng(2)
    scores, folds, shifts = random_case(rng, 120, 4, True)
    values, starts = shifted_lists.sort_by_fold(scores, folds, 4)
    mirrored = shifted_lists.negate_lists(values, starts)
    for rank in range(1, 121):
        found = shifted_lists.kth_smallest(shifts, None, mirrored, starts, rank)
        wanted = np.sort(shifts[:, folds] - scores, axis=1)[:, rank - 1]
        assert_array_equal(found, wanted)


def test_lists_are_sorted_and_inputs_untouched():
    rng = np.random.default_rng(3)
    scores, folds, shifts = random_case(rng, 90, 7, False)
    before = scores.copy(), folds.copy(), shifts.copy()
    values, starts = shifted_lists.sort_by_fold(scores, folds, 7)
    assert_array_equal((starts[0], starts[-1]), (0, 90))
    for f in range(7):
        assert_array_equal(
            values[starts[f] : starts[f + 1]], np.sort(scores[folds == f])
        )
    shifted_lists.kth_smallest(shifts, None, values, starts, 45)
    for left, right in zip(before, (scores, folds, shifts), strict=True):
        assert_array_equal(left, right)


def test_memory_is_the_rows_and_the_scores():
    rng = np.random.default_rng(4)
    n, rows = 20_000, 5_000
    scores, folds = np.abs(rng.normal(size=n)), rng.integers(0, 5, n)
    shifts = rng.normal(size=(rows, 5))
    values, starts = shifted_lists.sort_by_fold(scores, folds, 5)
    shifted_lists.kth_smallest(shifts[:2], None, values, starts, 100)  # compiled
    tracemalloc.start()
    shifted_lists.kth_smallest(shifts, None, values, starts, 18_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 8 * rows  # all pairs would be 800 MB
