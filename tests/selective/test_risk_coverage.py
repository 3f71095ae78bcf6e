"""Risk-coverage metrics against every order of the ties, and exact figures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import (
    augrc,
    aurc,
    coverage_at_risk,
    e_aurc,
    risk_at_coverage,
    risk_coverage_curve,
)

from . import oracles_risk as oracles

CONFIDENCE = np.array([1, 1, 0.8, 0.8, 0.8, 0.6, 0.6, 0.6, 0.6, 0.2])
WRONG = np.array([0, 1, 0, 0, 1, 0, 1, 1, 0, 1])
RIGHT = 1 - WRONG

tables = st.lists(
    st.tuples(st.sampled_from([-1.0, 0.0, 0.25, 0.7]), st.booleans()),
    min_size=1,
    max_size=6,
)


def split(rows):
    confidence, correct = zip(*rows, strict=True)
    return np.array(confidence), np.array(correct)


def test_figures_of_the_example():
    assert aurc(CONFIDENCE, RIGHT) == pytest.approx(0.448829365079, abs=1e-12)
    assert augrc(CONFIDENCE, RIGHT) == pytest.approx(0.245, abs=1e-15)
    # The ideal order: all errors last.
    assert aurc(RIGHT + np.arange(10) * 1e-3, RIGHT) == pytest.approx(0.177182539683)
    assert augrc(RIGHT, RIGHT) == pytest.approx(0.15, abs=1e-15)
    excess = e_aurc(CONFIDENCE, RIGHT)
    assert excess == pytest.approx(0.448829365079 - 0.177182539683, abs=1e-12)


@settings(max_examples=80, deadline=None)
@given(tables)
def test_areas_are_the_mean_over_all_orders_of_ties(rows):
    confidence, correct = split(rows)
    for convention in ("sum", "trapezoid"):
        trapezoid = convention == "trapezoid"
        assert aurc(confidence, correct, convention=convention) == pytest.approx(
            oracles.expected_area(confidence, ~correct, trapezoid=trapezoid), abs=1e-13
        )
        assert augrc(confidence, correct, convention=convention) == pytest.approx(
            oracles.expected_area(
                confidence, ~correct, generalized=True, trapezoid=trapezoid
            ),
            abs=1e-13,
        )


@settings(max_examples=80, deadline=None)
@given(tables, st.floats(0, 1))
def test_curve_and_points_are_the_obvious_ones(rows, risk):
    confidence, correct = split(rows)
    wanted = oracles.curve(confidence, correct)
    assert_allclose(np.array(risk_coverage_curve(confidence, correct)), wanted)
    below = wanted[0][wanted[1] <= risk]
    found = coverage_at_risk(confidence, correct, risk)
    assert found == pytest.approx(max(below, default=0.0))
    # At the end of a tie group the expected risk is the curve's.
    for share, at_share in zip(wanted[0], wanted[1], strict=True):
        found = risk_at_coverage(confidence, correct, share)
        assert found == pytest.approx(at_share, abs=1e-13)


@settings(max_examples=80, deadline=None)
@given(tables, st.randoms(use_true_random=False))
def test_order_of_rows_and_scale_change_nothing(rows, random):
    confidence, correct = split(rows)
    shuffled = list(rows)
    random.shuffle(shuffled)
    for metric in (aurc, e_aurc, augrc):
        value = metric(confidence, correct)
        assert metric(*split(shuffled)) == value
        assert metric(3.0 * confidence - 1.0, correct.astype(int)) == value
        assert 0.0 <= value <= 1.0


def test_constant_confidence_has_the_error_rate():
    rng = np.random.default_rng(0)
    for n in (1, 7, 100, 1001):
        correct = rng.random(n) < 0.7
        rate = np.mean(~correct)
        assert aurc(np.full(n, 0.3), correct) == rate
        wanted = rate * (n + 1) / (2 * n)
        assert augrc(np.full(n, 0.3), correct) == pytest.approx(wanted, rel=1e-14)


def test_risk_at_coverage_inside_ties():
    # Two of 1, one of them wrong, then one of the three of 0.8, a third of it wrong.
    assert risk_at_coverage(CONFIDENCE, RIGHT, 0.3) == pytest.approx((1 + 1 / 3) / 3)
    assert risk_at_coverage(CONFIDENCE, RIGHT, 0.001) == 0.5  # one row at least
    assert risk_at_coverage(CONFIDENCE, RIGHT, 1.0) == 0.5


def test_coverage_at_risk_is_the_largest_and_not_the_nearest():
    confidence, wrong = np.arange(10)[::-1], [0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    # One error of ten is 0.1 exactly, as typed; risk is not monotone.
    assert coverage_at_risk(confidence, 1 - np.array(wrong), 0.125) == 0.9
    assert coverage_at_risk(confidence, 1 - np.array(wrong), 0.2) == 1.0
    assert coverage_at_risk(confidence, 1 - np.array(wrong), 0.0) == 0.2
    assert coverage_at_risk([0.4, 0.2], [0, 1], 0.1) == 0.0


def test_many_rows_keep_their_digits():
    rng = np.random.default_rng(1)
    confidence, correct = rng.random(100_000), rng.random(100_000) < 0.9
    wrong = ~correct[np.argsort(-confidence)]
    ranks = np.arange(1, 100_001)
    wanted = np.mean(np.cumsum(wrong) / ranks)
    assert aurc(confidence, correct) == pytest.approx(wanted, rel=1e-12)
    wanted = np.mean(np.cumsum(wrong) / 100_000)
    assert augrc(confidence, correct) == pytest.approx(wanted, rel=1e-12)


def test_inputs_stay_as_they_are():
    confidence, correct = CONFIDENCE[::-1].copy(), RIGHT[::-1].copy()
    aurc(confidence, correct)
    risk_coverage_curve(confidence, correct)
    assert_array_equal(confidence, CONFIDENCE[::-1])
    assert_array_equal(correct, RIGHT[::-1])


@pytest.mark.parametrize("metric", [aurc, e_aurc, augrc, risk_coverage_curve])
def test_refusals(metric):
    with pytest.raises(ValueError, match=r"NaN or infinite \(1 row, first at row 1\)"):
        metric([0.5, np.nan], [1, 0])
    with pytest.raises(ValueError, match="NaN or infinite"):
        metric([0.5, np.inf], [1, 0])
    with pytest.raises(ValueError, match=r"shape \(2,\) and correct \(3,\)"):
        metric([0.5, 0.2], [1, 0, 1])
    with pytest.raises(ValueError, match="with a row at least"):
        metric([], [])
    with pytest.raises(ValueError, match="correct is neither 0 nor 1"):
        metric([0.5, 0.2], [2, 0])


def test_refused_options():
    with pytest.raises(ValueError, match="convention is 'mean'"):
        aurc([0.5], [1], convention="mean")
    with pytest.raises(ValueError, match="convention is 'mean'"):
        augrc([0.5], [1], convention="mean")
    with pytest.raises(ValueError, match=r"risk is 1.5; expected a number in \[0, 1\]"):
        coverage_at_risk([0.5], [1], 1.5)
    with pytest.raises(ValueError, match=r"coverage is 0; .* in \(0, 1\]"):
        risk_at_coverage([0.5], [1], 0)
