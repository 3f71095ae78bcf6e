"""Ranks in exact arithmetic, and coverage that is exact."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import stats

from ensemblekit import InfeasibleRankWarning, conformal_quantile, conformal_rank
from ensemblekit.conformal.ranks import (
    exact_levels,
    least_samples,
    lower_rank,
    score_at,
)

SIZES = [*range(5, 400), 499, 999, 1999]
HUNDREDTHS = {0.01: 1, 0.05: 5, 0.1: 10, 0.2: 20, 0.3: 30, 0.5: 50}


def literal_rank(n, hundredths):
    """The least k with k / (n + 1) >= 1 - alpha, by counting."""
    return next(k for k in range(n + 2) if 100 * k >= (n + 1) * (100 - hundredths))


def test_no_rank_is_wrong():
    cells = wrong = 0
    for n in SIZES:
        for alpha, hundredths in HUNDREDTHS.items():
            rank = literal_rank(n, hundredths)
            wrong += conformal_rank(n, alpha) != rank
            cells += rank <= n
    assert cells == 2276
    assert wrong == 0


@pytest.mark.parametrize("n", SIZES[::7])
@pytest.mark.parametrize("alpha", HUNDREDTHS)
def test_lower_rank_mirrors_the_upper(n, alpha):
    level = Fraction(str(alpha))
    assert lower_rank(n, level) == n + 1 - conformal_rank(n, alpha)


@pytest.mark.parametrize("alpha", HUNDREDTHS)
def test_least_samples_is_the_first_finite_rank(alpha):
    first = next(n for n in range(1000) if conformal_rank(n, alpha) <= n)
    assert least_samples(Fraction(str(alpha))) == first


def test_a_level_may_be_any_exact_number():
    wanted = conformal_rank(9, 0.1)
    kinds = ["0.1", Decimal("0.1"), Fraction(1, 10), np.float64(0.1), np.float32(0.1)]
    assert [conformal_rank(9, kind) for kind in kinds] == [wanted] * 5
    assert exact_levels(np.array([0.1, 0.25])) == (
        [Fraction(1, 10), Fraction(1, 4)],
        False,
    )


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 1.5, np.nan, np.inf, "much", None])
def test_levels_outside_the_unit_interval_are_refused(alpha):
    with pytest.raises(ValueError, match=r"alpha is .*inside \(0, 1\)"):
        conformal_rank(10, alpha)


@pytest.mark.parametrize("alpha", [[], [[0.1]]])
def test_levels_are_one_or_a_list(alpha):
    with pytest.raises(ValueError, match="a number or a list"):
        exact_levels(alpha)


def test_eight_scores_give_no_finite_bound_and_nine_the_largest():
    scores = np.arange(9.0)
    with pytest.warns(InfeasibleRankWarning, match="8 calibration rows.*At least 9"):
        assert conformal_quantile(scores[:8], 0.1) == np.inf
    assert conformal_quantile(scores, 0.1) == 8.0
    assert score_at(scores, 0) == -np.inf


def test_infinite_scores_count_and_nan_is_refused():
    assert conformal_quantile([1.0, np.inf, 2.0], 0.5) == 2.0
    with pytest.raises(ValueError, match="NaN, first at row 1"):
        conformal_quantile([1.0, np.nan], 0.5)
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        conformal_quantile([[1.0, 2.0]], 0.5)
    with pytest.raises(ValueError, match="n_samples is -1"):
        conformal_rank(-1, 0.5)


@pytest.mark.parametrize(("n", "alpha"), [(19, 0.1), (99, 0.1), (500, 0.05)])
def test_coverage_given_calibration_is_beta(n, alpha):
    # Scores are uniform, so the coverage of a threshold is the threshold itself.
    rng = np.random.default_rng(n)
    draws = [conformal_quantile(row, alpha) for row in rng.random((4000, n))]
    k = conformal_rank(n, alpha)
    assert stats.kstest(draws, stats.beta(k, n + 1 - k).cdf).pvalue > 1e-3
    assert_array_equal(np.isfinite(draws), True)
