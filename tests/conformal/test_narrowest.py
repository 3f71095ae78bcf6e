"""The narrowest of several models: value by value of y, and its coverage."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from ensemblekit import (
    InfeasibleRankWarning,
    conformal_quantile,
    conformal_rank,
    select_narrowest,
)

from . import oracles_selection as oracles

ALPHA = 0.2


def case(seed, n=14, n_members=4, n_rows=6):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n + n_rows)
    scales = rng.uniform(0.3, 0.8, n_members)
    P = y[:, None] + scales * rng.normal(size=(n + n_rows, n_members))
    return P[:n], y[:n], P[n:]


@pytest.mark.parametrize("seed", range(12))
def test_augmented_is_the_brute_force_over_y(seed):
    fitted, y, new = case(seed)
    result = select_narrowest(fitted, y, new, ALPHA)
    residuals, rank = np.abs(fitted - y[:, None]), conformal_rank(len(y), ALPHA)
    for row, mu in enumerate(new):
        for point in np.linspace(-4, 4, 161) + 1e-4 * np.pi:
            held = result.region.contains(np.full(len(new), point))[row]
            assert held == oracles.kept_by_a_narrowest(residuals, mu, rank, point)
            # Without ties the lowest index decides as any other would.
            assert held == oracles.kept_by_the_first_narrowest(
                residuals, mu, rank, point
            )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_augmented_with_ties_is_the_brute_force_over_y(data):
    """Integers: residuals tie, and y falls onto every end."""
    n, n_members = data.draw(st.integers(4, 9)), data.draw(st.integers(1, 4))
    small = st.integers(0, 4)
    fitted = np.array(
        [[data.draw(small) for _ in range(n_members)] for _ in range(n)], float
    )
    y = np.array([data.draw(small) for _ in range(n)], float)
    mu = np.array([data.draw(small) for _ in range(n_members)], float)
    result = select_narrowest(fitted, y, mu[None], 0.2)
    residuals, rank = np.abs(fitted - y[:, None]), conformal_rank(n, 0.2)
    for point in np.arange(-6, 12, 0.25):
        held = result.region.contains([point])[0]
        assert held == oracles.kept_by_a_narrowest(residuals, mu, rank, point)
        # Another rule among ties, the first model's, keeps no more.
        assert held >= oracles.kept_by_the_first_narrowest(residuals, mu, rank, point)


@pytest.mark.parametrize("method", ["augmented", "split"])
def test_one_model_is_split_conformal(method):
    fitted, y, new = case(0, n=40, n_members=1)
    result = select_narrowest(fitted, y, new, ALPHA, method=method, random_state=0)
    rows = np.arange(40)
    if method == "split":
        rows = np.random.RandomState(0).permutation(40)[20:]
    radius = conformal_quantile(np.abs(fitted[rows, 0] - y[rows]), ALPHA)
    assert result.radius == radius
    assert_array_equal(result.region.hull, np.hstack([new - radius, new + radius]))


def test_where_one_model_qualifies_it_is_the_uncorrected_interval():
    fitted, y, new = case(1, n=40)
    fitted[:, 2] = y + 0.01 * (fitted[:, 2] - y)  # far better than the others
    result = select_narrowest(fitted, y, new, ALPHA)
    residuals, rank = np.abs(fitted - y[:, None]), conformal_rank(40, ALPHA)
    chosen, radius = oracles.narrowest_uncorrected(residuals, rank)
    assert result.qualified.tolist() == [False, False, True, False]
    assert chosen == 2
    assert result.radius == radius
    wanted = np.column_stack([new[:, 2] - radius, new[:, 2] + radius])
    assert_array_equal(result.region.hull, wanted)


def test_split_chooses_on_some_rows_and_calibrates_on_the_others():
    fitted, y, new = case(2, n=60)
    result = select_narrowest(
        fitted, y, new, ALPHA, method="split", selection_size=0.25, random_state=7
    )
    rows = np.random.RandomState(7).permutation(60)
    residuals = np.abs(fitted - y[:, None])[rows]
    chosen, _ = oracles.narrowest_uncorrected(residuals[:15], conformal_rank(15, ALPHA))
    assert_array_equal(np.flatnonzero(result.qualified), [chosen])
    assert result.radius == conformal_quantile(residuals[15:, chosen], ALPHA)


# Eight models of partly independent errors, 60 calibration rows.
def hits(n_draws, decide, n=60, n_members=8, alpha=0.1, seed=0):
    """Count the draws in which the region decided on holds the last target."""
    rng = np.random.default_rng(seed)
    count = 0
    for _ in range(n_draws):
        y = rng.normal(size=n + 1)
        errors = 0.3 * rng.normal(size=(n + 1, 1)) + 0.6 * rng.normal(
            size=(n + 1, n_members)
        )
        count += decide(y[:-1, None] + errors[:-1], y[:-1], y[-1] + errors[-1], y[-1])
    return count


def uncorrected(fitted, y, new, target):
    residuals = np.abs(fitted - y[:, None])
    chosen, radius = oracles.narrowest_uncorrected(residuals, conformal_rank(60, 0.1))
    return abs(new[chosen] - target) <= radius


def test_the_uncorrected_narrowest_covers_too_little():
    """What this module must never do: the coverage lost is large and certain."""
    count = hits(3000, uncorrected)
    assert count < stats.binom.ppf(1e-4, 3000, 0.88)


@pytest.mark.parametrize("method", ["augmented", "split"])
def test_ours_covers(method):
    def decide(fitted, y, new, target):
        result = select_narrowest(
            fitted, y, new[None], 0.1, method=method, random_state=0
        )
        return result.region.contains([target])[0]

    assert hits(3000, decide) > stats.binom.ppf(1e-4, 3000, 0.9)


# Ends of the range, refusals.
def test_too_few_rows_give_the_whole_line():
    fitted, y, new = case(3, n=8)
    with pytest.warns(InfeasibleRankWarning, match="8 calibration rows"):
        result = select_narrowest(fitted, y, new, 0.1)
    assert_array_equal(result.region.hull, np.tile([-np.inf, np.inf], (6, 1)))
    with pytest.warns(InfeasibleRankWarning, match="4 calibration rows"):
        split = select_narrowest(fitted, y, new, 0.1, method="split", random_state=0)
    assert split.radius == np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert select_narrowest(*case(3, n=9), 0.1).radius < np.inf


def test_rank_one_lets_every_model_qualify():
    fitted, y, new = case(4, n=3)
    result = select_narrowest(fitted, y, new, 0.75)
    assert conformal_rank(3, 0.75) == 1
    assert result.qualified.all()
    assert_allclose(result.radius, np.abs(fitted - y[:, None]).min())


def test_unfit_arguments_are_refused():
    fitted, y, new = case(5)
    with pytest.raises(ValueError, match=r"'augmented' or 'split'"):
        select_narrowest(fitted, y, new, method="narrowest")
    with pytest.raises(ValueError, match=r"selection_size is 1\.0"):
        select_narrowest(fitted, y, new, ALPHA, method="split", selection_size=1.0)
    with pytest.raises(ValueError, match=r"calibration_predictions has shape \(14,\)"):
        select_narrowest(fitted[:, 0], y, new)
    with pytest.raises(ValueError, match=r"predictions has shape \(6, 3\)"):
        select_narrowest(fitted, y, new[:, :3])
    with pytest.raises(ValueError, match=r"predictions has NaN.*first at row 0"):
        select_narrowest(fitted, y, np.full((1, 4), np.nan))
    with pytest.raises(ValueError, match="y has NaN or infinity"):
        select_narrowest(fitted, np.full(14, np.inf), new)
    with pytest.raises(ValueError, match=r"alpha is 1\.5"):
        select_narrowest(fitted, y, new, 1.5)
