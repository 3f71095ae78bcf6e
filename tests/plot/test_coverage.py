"""Dots are the coverages of the table, lines its bands."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LinearRegression

from ensemblekit import (
    ConformalRegressor,
    coverage_by_width,
    interval_coverage,
)
from ensemblekit.plot import CoverageDisplay
from ensemblekit.plot._axes import VERMILLION

to_rgba = pytest.importorskip("matplotlib.colors").to_rgba


@pytest.fixture
def intervals():
    rng = np.random.default_rng(0)
    half = rng.uniform(0.5, 3.0, 400)
    return rng.normal(size=400), np.column_stack([-half, half])


def names_of(display):
    return [label.get_text() for label in display.ax_.get_yticklabels()]


def check_drawn(display, table, order):
    offsets = np.asarray(display.dots_.get_offsets())
    assert_array_equal(offsets[:, 0], table.coverage[order])
    assert_array_equal(offsets[:, 1], np.arange(len(order)))
    for lines, low, high in (
        (display.bands_, table.low, table.high),
        (display.expected_, table.expected_low, table.expected_high),
    ):
        drawn = np.array([line[:, 0] for line in lines.get_segments()])
        assert_array_equal(drawn, np.column_stack([low, high])[order])
    display.figure_.canvas.draw()


def test_by_width(intervals):
    y, interval = intervals
    display = CoverageDisplay.from_predictions(y, interval, 0.1, n_bins=4)
    table = coverage_by_width(y, interval, 0.1, n_bins=4)
    check_drawn(display, table, np.arange(4))
    assert names_of(display)[0] == (
        f"{table.least_width[0]:.3g} to {table.largest_width[0]:.3g}"
    )
    n_outside = np.count_nonzero(~table.as_expected)
    assert 0 < n_outside < 4
    assert f"{n_outside} of 4" in display.ax_.get_title()
    red = to_rgba(VERMILLION)
    drawn = [tuple(colour) == red for colour in display.dots_.get_facecolors()]
    assert_array_equal(drawn, ~table.as_expected)


@pytest.mark.parametrize("n_groups", [1, 7, 200])
def test_by_group(intervals, n_groups):
    y, interval = intervals
    groups = np.arange(400) % n_groups
    display = CoverageDisplay.from_predictions(y, interval, 0.1, groups=groups)
    table = interval_coverage(y, *interval.T, 0.1, groups=groups)
    order = np.arange(n_groups)
    if n_groups > 40:
        order = np.argsort(table.coverage, kind="stable")
        outside = {str(group) for group in table.group[~table.as_expected]}
        assert set(names_of(display)) <= outside
        assert names_of(display)
    else:
        assert names_of(display) == [str(group) for group in table.group]
    check_drawn(display, table, order)


def test_both_ways_agree():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 2))
    y = X[:, 0] + rng.normal(size=300)
    model = ConformalRegressor(LinearRegression(), alpha=0.2, random_state=0)
    model.fit(X[:200], y[:200])
    one = CoverageDisplay.from_estimator(model, X[200:], y[200:])
    two = CoverageDisplay.from_predictions(
        y[200:], model.predict_interval(X[200:]), 0.2
    )
    assert_array_equal(one.table.coverage, two.table.coverage)
    assert one.alpha == 0.2


def test_groups_reach_an_estimator_that_has_them():
    rng = np.random.default_rng(1)
    X, groups = rng.normal(size=(400, 2)), np.arange(400) % 2
    y = X[:, 0] + (1 + groups) * rng.normal(size=400)
    model = ConformalRegressor(LinearRegression(), random_state=0)
    model.fit(X, y, groups=groups)
    display = CoverageDisplay.from_estimator(model, X, y, groups=groups)
    own = model.predict_interval(X, groups=groups)
    expected = interval_coverage(y, *own.T, 0.1, groups=groups)
    assert_array_equal(display.table.coverage, expected.coverage)


def test_refusals(intervals):
    y, interval = intervals
    with pytest.raises(ValueError, match=r"interval has shape \(400, 1\)"):
        CoverageDisplay.from_predictions(y, interval[:, :1], 0.1, groups=y > 0)
    with pytest.raises(ValueError, match="interval is NaN or infinite at row 0"):
        CoverageDisplay.from_predictions(y, interval * np.nan, 0.1, groups=y > 0)
    table = interval_coverage(y, *interval.T, 0.1, groups=y > 0)
    with pytest.raises(ValueError, match="names has 1 entries; expected 2"):
        CoverageDisplay(table, 0.1, names=["one"])
    model = LinearRegression().fit(interval, y)
    with pytest.raises(ValueError, match="no predict_interval"):
        CoverageDisplay.from_estimator(model, interval, y)
    several = ConformalRegressor(LinearRegression(), alpha=[0.1, 0.2]).fit(interval, y)
    with pytest.raises(ValueError, match="expected one number"):
        CoverageDisplay.from_estimator(several, interval, y)
