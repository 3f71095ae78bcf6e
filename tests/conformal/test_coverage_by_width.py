"""Coverage by the width of intervals."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ensemblekit import coverage_by_width, interval_coverage


def test_bins_hold_rows_of_like_width():
    rng = np.random.default_rng(0)
    y, widths = rng.normal(size=1000), rng.exponential(size=1000)
    interval = np.column_stack([-widths, widths])
    table = coverage_by_width(y, interval, 0.1, n_bins=4)
    assert_array_equal(table.n_rows, 250)
    order = np.argsort(widths).reshape(4, 250)
    covered = np.abs(y) <= widths
    assert_array_equal(table.n_covered, covered[order].sum(axis=1))
    assert_array_equal(table.largest_width, 2 * widths[order[:, -1]])
    assert_array_equal(table.least_width, 2 * widths[order[:, 0]])
    whole = coverage_by_width(y, interval, 0.1, n_bins=1)
    plain = interval_coverage(y, -widths, widths, 0.1)
    assert whole.n_covered == plain.n_covered
    assert (whole.low, whole.high) == (plain.low, plain.high)


@pytest.mark.parametrize("n_bins", [1, 3, 7, 50])
def test_ties_share_a_bin_and_infinite_widths_are_the_last(n_bins):
    widths = np.array([1.0, 1.0, 1.0, 2.0, 2.0, np.inf, np.inf])
    interval = np.column_stack([-widths / 2, widths / 2])
    table = coverage_by_width(np.zeros(7), interval, 0.1, n_bins=n_bins)
    assert table.n_rows.sum() == 7
    assert (table.n_rows > 0).all()
    assert (table.least_width[1:] > table.largest_width[:-1]).all()
    if n_bins == 50:
        assert_array_equal(table.n_rows, [3, 2, 2])


def test_one_width_is_one_bin():
    table = coverage_by_width(np.arange(4.0), [[0.0, 1.0]] * 4, 0.1)
    assert_array_equal(table.coverage, [0.5])


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"interval has shape \(2, 2, 1\)"):
        coverage_by_width([0.0, 1.0], np.zeros((2, 2, 1)), 0.1)
    with pytest.raises(ValueError, match="n_bins is 0"):
        coverage_by_width([0.0], [[0.0, 1.0]], 0.1, n_bins=0)
