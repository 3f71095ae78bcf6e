"""Adaptive conformal inference on arrays: twins, and its theorem on any sequence."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import adaptive_interval, adaptive_thresholds
from ensemblekit.conformal._adaptive_states import make_state

from . import oracles_series as oracles

SCORES = st.lists(st.integers(0, 6) | st.just(np.inf), max_size=40)
RATES = st.sampled_from(["0.005", "0.1", "0.3", "0.9"])


@settings(deadline=None, max_examples=100)
@given(
    SCORES,
    st.lists(st.integers(0, 6), max_size=6),
    RATES,
    RATES,
    st.sampled_from([None, 1, 5]),
    st.integers(1, 4),
)
def test_path_is_that_of_the_recursion(scores, past, alpha, gamma, window, horizon):
    path = adaptive_thresholds(
        scores, alpha, gamma=gamma, window=window, horizon=horizon, past_scores=past
    )
    levels, thresholds, missed = oracles.adaptive(
        scores, Fraction(alpha), Fraction(gamma), window, horizon, past
    )
    assert_array_equal(path.level, [float(level) for level in levels])
    assert_array_equal(path.threshold, thresholds)
    assert_array_equal(path.missed, missed)


def bound(alpha, gamma, horizon, n_rows):
    return (max(alpha, 1 - alpha) + horizon * gamma) / (n_rows * gamma)


@settings(deadline=None, max_examples=60)
@given(
    SCORES,
    st.fractions("0.01", "0.99", max_denominator=100),
    st.fractions("0.01", "0.99", max_denominator=100),
    st.integers(1, 3),
)
def test_theorem_holds_at_every_row_of_any_series(scores, alpha, gamma, horizon):
    path = adaptive_thresholds(scores, alpha, gamma=gamma, horizon=horizon)
    for t in range(1, len(scores) + 1):
        share = Fraction(int(path.missed[:t].sum()), t)
        assert abs(share - alpha) <= bound(alpha, gamma, horizon, t)


@pytest.mark.parametrize("harm", ["miss", "hit", "alternate"])
@pytest.mark.parametrize("gamma", [Fraction(1, 200), Fraction(1, 4)])
def test_theorem_holds_against_who_knows_the_threshold(harm, gamma):
    """Scores are set after the threshold is seen: just above it, or far below."""
    alpha = Fraction(1, 10)
    state, missed = make_state([alpha], gamma, 20, np.arange(20.0)), 0
    for t in range(1, 1501):
        issued = state.issue()
        (threshold,) = issued.thresholds
        evil = harm == "miss" or (harm == "alternate" and (t // 300) % 2)
        score = threshold + 1.0 if evil and np.isfinite(threshold) else -1e6
        if threshold == -np.inf:
            score = 0.0  # nothing is below it: a miss whoever chooses
        missed += score > threshold
        state.add(score, issued)
        assert abs(Fraction(int(missed), t) - alpha) <= bound(alpha, gamma, 1, t)
        assert -gamma <= state.issue().levels[0] <= 1 + gamma


def test_a_fixed_threshold_does_not_do_that():
    rng = np.random.default_rng(0)
    scores = np.abs(rng.normal(size=3000)) * np.where(np.arange(3000) < 500, 1.0, 4.0)
    fixed = np.sort(scores[:500])[450]
    path = adaptive_thresholds(scores[500:], 0.1, gamma=0.05, past_scores=scores[:500])
    limit = bound(0.1, 0.05, 1, 2500)
    assert abs(path.missed.mean() - 0.1) <= limit
    assert (scores[500:] > fixed).mean() - 0.1 > 10 * limit


@pytest.mark.parametrize("alpha", [0.1, 0.5])
def test_weighed_steps_are_those_of_the_loop(alpha):
    rng = np.random.default_rng(5)
    # No ties, and enough scores before, so that floats decide nothing.
    scores = rng.gamma(2.0, np.where(np.arange(300) < 150, 1.0, 5.0))
    past = rng.gamma(2.0, size=37)
    path = adaptive_thresholds(scores, alpha, gamma="auto", past_scores=past)
    twin = oracles.dynamically_tuned(scores, alpha, past)
    assert_allclose(path.level, twin, atol=1e-12)
    assert path.level[0] == alpha
    # After the shift it goes along with a large step, before it with a small one.
    assert path.level[150:200].min() < path.level[:150].min()


def test_weighed_steps_cover_a_shift_about_as_well_as_the_best_step():
    rng = np.random.default_rng(6)
    scores = rng.gamma(2.0, np.repeat([1.0, 5.0, 1.0, 3.0], 1000))

    def worst(gamma):
        path = adaptive_thresholds(scores, gamma=gamma, window=500)
        shares = np.convolve(path.missed[100:], np.full(200, 1 / 200), "valid")
        return np.abs(shares - 0.1).max()

    steps = [0.001, 0.004, 0.016, 0.064]
    assert worst("auto") < np.median([worst(step) for step in steps])


def test_intervals_of_points_and_of_ends():
    rng = np.random.default_rng(1)
    y, points = rng.normal(size=200), rng.normal(size=200)
    interval = adaptive_interval(y, points, 0.2, gamma=0.05)
    path = adaptive_thresholds(np.abs(y - points), 0.2, gamma=0.05)
    assert_array_equal(interval[:, 1], points + path.threshold)
    outside = (y < interval[:, 0]) | (y > interval[:, 1])
    assert_array_equal(outside, path.missed)
    same = adaptive_interval(y, np.column_stack([points, points]), 0.2, gamma=0.05)
    assert_array_equal(same, interval)

    ends = np.column_stack([points - 3.0, points + 1.0])
    interval = adaptive_interval(y, ends, 0.2, gamma=0.05)
    scores = np.maximum(ends[:, 0] - y, y - ends[:, 1])
    path = adaptive_thresholds(scores, 0.2, gamma=0.05)
    assert_array_equal((y < interval[:, 0]) | (y > interval[:, 1]), path.missed)
    assert (interval[:, 0] <= interval[:, 1]).all()
    assert np.isinf(interval[0]).all()


def test_an_empty_interval_is_the_middle():
    # Held by far, so that the level rises to 1 and ends are moved beyond each other.
    ends, y = np.tile([-8.0, 12.0], (40, 1)), np.full(40, 1.0)
    interval = adaptive_interval(y, ends, 0.9, gamma=0.9)
    scores = np.maximum(ends[:, 0] - y, y - ends[:, 1])
    empty = adaptive_thresholds(scores, 0.9, gamma=0.9).threshold == -np.inf
    assert empty.any()
    assert_array_equal(interval[empty], np.full((empty.sum(), 2), 2.0))
    assert (interval[:, 0] <= interval[:, 1]).all()


def test_a_window_holds_the_latest_scores():
    scores = np.arange(40.0)[::-1]
    path = adaptive_thresholds(scores, 0.25, gamma=0.001, window=3)
    # The largest of three is that of three rows ago; of two it would be infinite.
    assert_array_equal(path.threshold[5:], scores[2:-3])
    past = adaptive_thresholds(scores[5:], 0.25, gamma=0.001, window=3, past_scores=[9])
    assert_array_equal(past.threshold[5:], scores[7:-3])


def test_no_row_knows_its_future():
    rng = np.random.default_rng(2)
    y, points = rng.normal(size=60), rng.normal(size=60)
    for horizon in (1, 4):
        options = {"gamma": 0.1, "window": 15, "horizon": horizon}
        whole = adaptive_interval(y, points, **options)
        changed = y.copy()
        changed[31 - horizon :] = 50.0
        again = adaptive_interval(changed, points, **options)
        assert_array_equal(again[:31], whole[:31])
        assert (again[31:] != whole[31:]).any()


def test_counts_do_not_drift():
    """0.1 is one tenth: after ten rows with one miss the level is what it was."""
    scores = np.tile([0.0] * 9 + [np.inf], 1000)
    path = adaptive_thresholds(scores, 0.1, gamma=0.1, past_scores=np.ones(99))
    assert (path.level[::10] == 0.1).all()
    assert path.missed.sum() == 1000


def test_groups_are_series_of_their_own():
    rng = np.random.default_rng(8)
    y, points, place = rng.normal(size=90), rng.normal(size=90), np.tile(["b", "a"], 45)
    options = {"gamma": 0.1, "horizon": 3}
    whole = adaptive_interval(y, points, 0.2, groups=place, **options)
    for name in ("a", "b"):
        rows = place == name
        alone = adaptive_interval(y[rows], points[rows], 0.2, **options)
        assert_array_equal(whole[rows], alone)
    with pytest.raises(ValueError, match="groups has shape"):
        adaptive_thresholds(y, groups=place[1:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scores": [np.nan]}, "scores has NaN"),
        ({"scores": [[1.0]]}, "shape"),
        ({"past_scores": [np.nan]}, "past_scores has NaN"),
        ({"alpha": 1.0}, "alpha is 1"),
        ({"gamma": 0.0}, "gamma is 0"),
        ({"window": 0}, "window is 0"),
        ({"horizon": 0}, "horizon is 0"),
    ],
)
def test_unfit_scores_and_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        adaptive_thresholds(**{"scores": [1.0], **options})


@pytest.mark.parametrize(
    ("y", "prediction", "message"),
    [
        ([1.0], [1.0, 2.0], r"expected \(1,\) or \(1, 2\)"),
        ([1.0], [np.inf], "not finite"),
        ([np.nan], [1.0], "y has NaN"),
        ([1.0], [[2.0, 1.0]], "swapped"),
    ],
)
def test_unfit_forecasts_are_refused(y, prediction, message):
    with pytest.raises(ValueError, match=message):
        adaptive_interval(y, prediction)
