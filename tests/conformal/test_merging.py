"""Votes on intervals and labels: by hand, point by point, and their coverage."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from ensemblekit import MergedIntervals, merge_intervals, merge_sets

from . import oracles_selection as oracles

METHODS = ["majority", "random_majority", "random_threshold", "exchangeable"]
ENDS = st.integers(-4, 4) | st.sampled_from([-np.inf, np.inf])


@st.composite
def interval_rows(draw, max_members=6):
    n_members = draw(st.integers(1, max_members))
    n_rows = draw(st.integers(1, 3))
    rows = []
    for _ in range(n_rows * n_members):
        a, b = sorted([draw(ENDS), draw(ENDS)])
        rows.append((-np.inf if a == np.inf else a, np.inf if b == -np.inf else b))
    return np.array(rows, dtype=float).reshape(n_rows, n_members, 2)


def member_at(merged, row, points):
    n_rows = len(merged.offsets) - 1
    return [merged.contains(np.full(n_rows, point))[row] for point in points]


@settings(max_examples=150, deadline=None)
@given(interval_rows(), st.data())
def test_majority_is_the_vote_at_every_point(intervals, data):
    n_members = intervals.shape[1]
    whole = st.lists(st.integers(0, 4), min_size=n_members, max_size=n_members)
    weights = data.draw(st.none() | whole.filter(any))
    merged = merge_intervals(intervals, weights)
    exact = [Fraction(w) for w in weights or [1] * n_members]
    for row, sets in enumerate(intervals):
        points = oracles.spots(sets)
        wanted = [oracles.winning(sets, exact, Fraction(1, 2), p) for p in points]
        assert member_at(merged, row, points) == wanted


@settings(max_examples=100, deadline=None)
@given(interval_rows(), st.integers(0, 5))
def test_exchangeable_wins_in_every_prefix(intervals, seed):
    merged = merge_intervals(intervals, method="exchangeable", random_state=seed)
    order = np.random.RandomState(seed).permutation(intervals.shape[1])
    for row, sets in enumerate(intervals):
        points = oracles.spots(sets)
        wanted = [oracles.winning_in_every_prefix(sets[order], p) for p in points]
        assert member_at(merged, row, points) == wanted


@pytest.mark.parametrize("method", ["random_majority", "random_threshold"])
def test_random_thresholds_are_one_draw_for_each_row(method):
    rng = np.random.default_rng(0)
    intervals = np.sort(rng.integers(0, 9, (40, 7, 2)), axis=2).astype(float)
    merged = merge_intervals(intervals, method=method, random_state=3)
    draws = np.random.RandomState(3).random_sample(40)
    levels = draws if method == "random_threshold" else (1 + draws) / 2
    for row, sets in enumerate(intervals):
        points = oracles.spots(sets)
        level = Fraction(levels[row])
        wanted = [oracles.winning(sets, [Fraction(1)] * 7, level, p) for p in points]
        assert member_at(merged, row, points) == wanted
    again = merge_intervals(intervals, method=method, random_state=3)
    assert_array_equal(again.pieces, merged.pieces)


@pytest.mark.parametrize(("n_rows", "n_members"), [(60, 10), (3, 50)])
def test_measure_is_that_of_the_elementary_intervals(n_rows, n_members):
    rng = np.random.default_rng(1)
    intervals = np.sort(rng.normal(size=(n_rows, n_members, 2)), axis=2)
    measure = merge_intervals(intervals).measure
    weights = [Fraction(1)] * n_members
    for row, sets in enumerate(intervals):
        wanted = oracles.elementary_measure(
            sets,
            lambda point, sets=sets: oracles.winning(sets, weights, 0.5, point),
        )
        assert_allclose(measure[row], wanted, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_members", [1, 2, 5])
def test_one_interval_and_identical_ones_are_returned(method, n_members):
    rng = np.random.default_rng(2)
    one = np.sort(rng.normal(size=(20, 1, 2)), axis=2)
    one[0, 0] = [-np.inf, 0.5]
    one[1, 0] = [-np.inf, np.inf]
    one[2, 0] = [0.25, 0.25]
    merged = merge_intervals(np.repeat(one, n_members, 1), method=method)
    assert_array_equal(merged.hull, one[:, 0])
    assert_array_equal(merged.pieces, one[:, 0])


def test_the_order_of_intervals_does_not_matter():
    rng = np.random.default_rng(3)
    intervals = np.sort(rng.integers(0, 6, (50, 8, 2)), axis=2).astype(float)
    weights = rng.random(8)
    for given_weights in (None, weights):
        first = merge_intervals(intervals, given_weights)
        for _ in range(5):
            order = rng.permutation(8)
            other = None if given_weights is None else weights[order]
            second = merge_intervals(intervals[:, order], other)
            assert_array_equal(first.pieces, second.pieces)
            assert_array_equal(first.offsets, second.offsets)


def test_touching_intervals_are_closed_and_joined():
    two = [[[0.0, 1.0], [1.0, 2.0]], [[1.0, 2.0], [0.0, 1.0]]]
    assert_array_equal(merge_intervals(two).pieces, [[1.0, 1.0], [1.0, 1.0]])
    three = [[[0.0, 1.0], [1.0, 2.0], [0.0, 2.0]]]
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        merged = merge_intervals(np.array(three)[:, order])
        assert_array_equal(merged.pieces, [[0.0, 2.0]])


def test_decimal_weights_that_sum_to_a_half_are_no_majority():
    apart = [[[0.0, 1.0], [0.0, 1.0], [2.0, 3.0]]]
    assert merge_intervals(apart, [0.3, 0.2, 0.5]).n_pieces[0] == 0
    assert merge_intervals(apart, [1 / 6, 1 / 3, 0.5]).n_pieces[0] == 0
    assert merge_intervals(apart, [0.3, 0.2001, 0.4999]).n_pieces[0] == 1
    assert_array_equal(
        merge_intervals(apart, [1e308, 1e308, 1e308]).pieces, [[0.0, 1.0]]
    )


def test_rows_without_a_winner_are_empty():
    apart = [[[0.0, 1.0], [2.0, 3.0]], [[0.0, 1.0], [0.5, 3.0]]]
    merged = merge_intervals(apart)
    assert merged.n_pieces.tolist() == [0, 1]
    assert_array_equal(merged.hull, [[np.nan, np.nan], [0.5, 1.0]])
    assert merged.measure.tolist() == [0.0, 0.5]
    assert merged.contains([0.5, 0.5]).tolist() == [False, True]
    none = merge_intervals(np.empty((0, 3, 2)))
    assert none.hull.shape == (0, 2)
    assert none.measure.shape == (0,)


def test_randomised_and_exchangeable_sets_lie_within_the_majority():
    rng = np.random.default_rng(4)
    intervals = np.sort(rng.normal(size=(300, 9, 2)), axis=2)
    majority = merge_intervals(intervals)
    for method in ("random_majority", "exchangeable"):
        merged = merge_intervals(intervals, method=method, random_state=0)
        for point in np.linspace(-2, 2, 41):
            held = merged.contains(np.full(300, point))
            assert not (held & ~majority.contains(np.full(300, point))).any()


# Coverage: models calibrated on their own rows, one target each draw.
@pytest.fixture(scope="module")
def split_conformal_draws():
    rng = np.random.default_rng(5)
    n_draws, n_members, n = 20000, 5, 19
    signal = rng.normal(size=(n_draws, n + 1))
    common = 0.5 * rng.normal(size=signal.shape)
    scales = rng.uniform(0.3, 1.0, n_members)
    errors = common[:, None] + scales[:, None] * rng.normal(
        size=(n_draws, n_members, n + 1)
    )
    radius = np.sort(np.abs(errors[:, :, :n]), axis=2)[:, :, 17]  # rank 18 of 19: 0.1
    centre = signal[:, -1, None] + errors[:, :, -1]
    return np.stack([centre - radius, centre + radius], axis=2), signal[:, -1]


@pytest.mark.parametrize(
    ("method", "least"),
    [
        ("majority", 0.8),
        ("random_majority", 0.8),
        ("exchangeable", 0.8),
        ("random_threshold", 0.9),
    ],
)
def test_coverage_is_what_the_method_promises(split_conformal_draws, method, least):
    intervals, y = split_conformal_draws
    held = merge_intervals(intervals, method=method, random_state=0).contains(y)
    # Were the coverage below the promise, so few hits would be rarer than 1e-4.
    assert held.sum() > stats.binom.ppf(1e-4, len(y), least)


def test_the_promise_is_tight_where_members_miss_together():
    """Two of four miss at once: the vote fails with 2 alpha, so the bound bites."""
    rng = np.random.default_rng(6)
    n, alpha = 20000, 0.1
    pairs = np.array([[0, 1], [2, 3]])
    intervals = np.tile([-1.0, 1.0], (n, 4, 1))
    missed = rng.random(n) < 2 * alpha  # half of the members each time: alpha each
    which = pairs[rng.integers(0, 2, n)]
    for row in np.flatnonzero(missed):
        intervals[row, which[row]] = [5.0, 6.0]
    y = np.zeros(n)
    hits = {
        m: merge_intervals(intervals, method=m, random_state=0).contains(y).sum()
        for m in METHODS
    }
    for method in ("majority", "random_majority", "exchangeable"):
        assert hits[method] > stats.binom.ppf(1e-4, n, 1 - 2 * alpha)
    assert hits["majority"] < stats.binom.ppf(1 - 1e-4, n, 1 - 2 * alpha)
    low, high = stats.binom.ppf([1e-4, 1 - 1e-4], n, 1 - alpha)
    assert low < hits["random_threshold"] < high


# Labels.
@pytest.mark.parametrize("method", METHODS)
def test_label_votes_are_those_of_intervals_around_labels(method):
    """A label held is the interval [k, k]; one not held lies far away."""
    rng = np.random.default_rng(7)
    sets = rng.random((30, 5, 4)) < 0.6
    merged = merge_sets(sets, method=method, random_state=2)
    for label in range(4):
        low = np.where(sets[:, :, label], 0.0, 9.0)
        by_points = merge_intervals(
            np.stack([low, low], 2), method=method, random_state=2
        ).contains(np.zeros(30))
        assert_array_equal(merged[:, label], by_points)


def test_weighted_label_votes():
    sets = np.array([[[True, False], [False, True], [False, True]]])
    assert merge_sets(sets).tolist() == [[False, True]]
    assert merge_sets(sets, [3, 1, 1]).tolist() == [[True, False]]
    assert merge_sets(sets, [2, 1, 1]).tolist() == [[False, False]]


# Refusals.
@pytest.mark.parametrize(
    ("intervals", "message"),
    [
        ([[0.0, 1.0]], r"shape \(1, 2\)"),
        (np.empty((3, 0, 2)), "n_members, 2"),
        ([[[0.0, 1.0, 2.0]]], "n_members, 2"),
        ([[[0.0, np.nan]]], r"NaN.*1 row, first at row 0"),
        ([[[0.0, 1.0]], [[2.0, 1.0]]], "first at row 1"),
        ([[[np.inf, np.inf]]], "first at row 0"),
        ([[[-np.inf, -np.inf]]], "first at row 0"),
    ],
)
def test_unfit_intervals_are_refused(intervals, message):
    with pytest.raises(ValueError, match=message):
        merge_intervals(intervals)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], r"weights has shape \(1,\)"),
        ([1.0, -1.0], "non-negative"),
        ([0.0, 0.0], "not all 0"),
        ([np.nan, 1.0], "non-negative"),
    ],
)
def test_unfit_weights_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        merge_intervals([[[0.0, 1.0], [0.0, 1.0]]], weights)
    with pytest.raises(ValueError, match=message):
        merge_sets(np.ones((1, 2, 2), bool), weights)


def test_unknown_methods_and_sets_are_refused():
    with pytest.raises(ValueError, match="method is 'narrowest'; expected one of"):
        merge_intervals([[[0.0, 1.0]]], method="narrowest")
    with pytest.raises(ValueError, match="counts members alike"):
        merge_intervals([[[0.0, 1.0]]], [1.0], method="exchangeable")
    with pytest.raises(ValueError, match="of bool"):
        merge_sets(np.ones((2, 2, 2)))
    with pytest.raises(ValueError, match=r"1 NaN; expected \(1,\)"):
        merge_intervals([[[0.0, 1.0]]]).contains([np.nan])


def test_inputs_stay_as_they_are():
    intervals = np.array([[[0.0, 1.0], [0.5, 2.0]]])
    before = intervals.copy()
    for method in METHODS:
        assert isinstance(merge_intervals(intervals, method=method), MergedIntervals)
    assert_array_equal(intervals, before)
