"""Selection by false discovery rate: against literal loops, and its rate."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import stats

from ensemblekit import (
    conformal_p_values,
    kernels,
    optimized_conformal_selection,
    select_by_fdr,
)
from ensemblekit.conformal.fdr import _count_limits

from . import oracles_selection as oracles

RATES = [Fraction(1, 10), Fraction(1, 5), Fraction(1, 3), Fraction(1, 2)]


def case(seed, n, m, n_members, *, integers):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n + m)
    P = y[:, None] + rng.uniform(0.3, 2.0, n_members) * rng.normal(
        size=(n + m, n_members)
    )
    if integers:
        P, y = np.rint(1.5 * P), np.rint(1.5 * y)
    return P[:n], y[:n], P[n:]


# P-values.
@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_p_values_are_the_literal_ranks(seed, integers):
    fitted, y, new = case(seed, 30, 20, 1, integers=integers)
    ours = conformal_p_values(fitted[:, 0], y, new[:, 0], 0.5)
    scores = oracles.scores_of(fitted[:, 0], y, 0.5)
    wanted = [float(oracles.p_value(scores, -value)) for value in new[:, 0]]
    assert_array_equal(ours, wanted)


def test_scores_are_infinite_above_the_threshold_whatever_the_predictions():
    """A constant of 1000 would rank these rows by predictions as large."""
    big = 1e9 * np.arange(10)
    p = conformal_p_values(big, np.ones(10), [-5e9, 4.5e9, 1e12])
    assert_array_equal(p, [1 / 11] * 3)
    p = conformal_p_values(big, -np.ones(10), [-5e9, 4.5e9, 1e12])
    assert_array_equal(p, [11 / 11, 6 / 11, 1 / 11])


def test_random_ties_are_exactly_uniform():
    """Ten equal predictions and the row's own: its rank among them is the draw's."""
    p = conformal_p_values(
        np.zeros(10), -np.ones(10), np.zeros(4000), ties="random", random_state=0
    )
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    assert_array_equal(conformal_p_values(np.zeros(10), -np.ones(10), [0.0]), [1.0])


def test_p_values_of_rows_that_are_null_are_no_smaller_than_uniform():
    rng = np.random.default_rng(1)
    n, n_draws = 19, 20000
    y = rng.normal(size=(n_draws, n + 1))
    P = np.rint(2 * (y + rng.normal(size=y.shape)))  # many ties
    null = y[:, -1] <= 0
    below = sum(
        conformal_p_values(P[i, :-1], y[i, :-1], P[i, -1:])[0] <= 0.1
        for i in np.flatnonzero(null)[:6000]
    )
    # P(p <= t and null) <= t: among all draws up to that of the 6000th null.
    n_seen = int(np.flatnonzero(null)[5999]) + 1
    assert below < stats.binom.ppf(1 - 1e-4, n_seen, 0.1)


# Benjamini and Hochberg.
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_select_by_fdr_is_the_definition_in_fractions(data):
    n = data.draw(st.integers(1, 30))
    counts = data.draw(st.lists(st.integers(1, n + 1), min_size=1, max_size=20))
    fdr = data.draw(st.sampled_from(RATES[:2] + RATES[3:]))
    exact = [Fraction(c, n + 1) for c in counts]
    ours = select_by_fdr([c / (n + 1) for c in counts], float(fdr))
    assert_array_equal(ours, oracles.benjamini_hochberg(exact, fdr))


def test_a_p_value_equal_to_its_limit_passes():
    """In floats, 0.1 * r / m falls below r / (10 m) for some r and m."""
    assert any(0.1 * r / m < r / (10 * m) for m in range(1, 60) for r in range(1, m))
    for m in range(1, 60):
        for r in range(1, m + 1):
            exact = r / (10 * m)
            assert select_by_fdr([exact] * r + [1.0] * (m - r), 0.1).sum() == r


# The choice among candidates.
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_auxiliary_sizes_are_the_literal_loop(data):
    """Small integers: most scores tie with others, within and across the two sets."""
    small = st.integers(0, 5)
    known = data.draw(st.lists(small, min_size=0, max_size=15))
    above = data.draw(st.integers(0, 3))
    new = data.draw(st.lists(small, min_size=1, max_size=12))
    fdr = data.draw(st.sampled_from(RATES))
    scores = np.sort([*map(float, known), *([np.inf] * above)])
    new = np.sort(np.array(new, float))
    counts = np.searchsorted(scores, new, side="right")
    limits = _count_limits(fdr, len(new), len(scores))
    ours = kernels.conformal_selection.auxiliary_sizes(counts, new, limits)
    wanted = [oracles.auxiliary_size(scores, new, j, fdr) for j in range(len(new))]
    assert_array_equal(ours, wanted)


@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("pruning", ["deterministic", "heterogeneous", "homogeneous"])
@pytest.mark.parametrize("seed", range(4))
def test_optimized_selection_is_its_definition(seed, pruning, integers):
    fitted, y, new = case(seed, 40, 15, 3, integers=integers)
    ours = optimized_conformal_selection(
        fitted, y, new, 0.0, fdr=0.3, pruning=pruning, random_state=seed
    )
    factor = np.ones(15)
    if pruning != "deterministic":
        draws = np.random.RandomState(seed).random_sample(
            15 if pruning == "heterogeneous" else 1
        )
        factor = np.broadcast_to(draws, 15)
    selected, sizes, members = oracles.optimized_selection(
        fitted, y, new, 0.0, Fraction(3, 10), factor
    )
    assert_array_equal(ours.sizes, sizes)
    assert_array_equal(ours.members, members)
    assert_array_equal(ours.selected, selected)


def test_random_ties_of_candidates_are_one_draw_for_each_row():
    fitted, y, new = case(5, 40, 30, 3, integers=True)
    options = {"fdr": 0.3, "ties": "random", "random_state": 2}
    ours = optimized_conformal_selection(fitted, y, new, **options)
    draws = np.random.RandomState(2).random_sample(30)
    for j, k in enumerate(ours.members):
        scores = np.array(oracles.scores_of(fitted[:, k], y, 0.0))
        below, equal = (scores < -new[j, k]).sum(), (scores == -new[j, k]).sum()
        assert ours.p_values[j] == (below + draws[j] * (1 + equal)) / 41
        alone = conformal_p_values(
            fitted[:, k], y, new[:, k], ties="random", random_state=2
        )
        assert ours.p_values[j] == alone[j]
    sure = optimized_conformal_selection(fitted, y, new, fdr=0.3)
    assert_array_equal(ours.sizes, sure.sizes)
    assert (ours.p_values <= sure.p_values).all()
    assert (ours.selected >= sure.selected).all()


@pytest.mark.parametrize("integers", [False, True])
def test_one_candidate_is_benjamini_hochberg(integers):
    for seed in range(30):
        fitted, y, new = case(seed, 40, 25, 1, integers=integers)
        ours = optimized_conformal_selection(fitted, y, new, fdr=0.3)
        p = conformal_p_values(fitted[:, 0], y, new[:, 0])
        assert_array_equal(ours.p_values, p)
        assert_array_equal(ours.selected, select_by_fdr(p, 0.3))


def test_draws_never_select_fewer_rows():
    for seed in range(20):
        fitted, y, new = case(seed, 60, 40, 4, integers=False)
        sure = optimized_conformal_selection(fitted, y, new, fdr=0.3)
        for pruning in ("heterogeneous", "homogeneous"):
            drawn = optimized_conformal_selection(
                fitted, y, new, fdr=0.3, pruning=pruning, random_state=seed
            )
            assert (drawn.selected >= sure.selected).all()


def test_one_new_row_is_a_test_at_the_rate():
    fitted, y, new = case(3, 50, 1, 3, integers=False)
    result = optimized_conformal_selection(fitted, y, new, fdr=0.25)
    assert result.sizes.tolist() == [[1, 1, 1]]
    assert result.selected[0] == (result.p_values[0] <= 0.25)


def test_no_rows_select_nothing():
    fitted, y, new = case(0, 20, 5, 2, integers=False)
    assert optimized_conformal_selection(fitted, y, new[:0]).selected.shape == (0,)
    assert conformal_p_values(fitted[:, 0], y, []).shape == (0,)
    assert select_by_fdr([]).shape == (0,)
    # No calibration rows: every p-value is 1.
    assert not optimized_conformal_selection(fitted[:0], y[:0], new).selected.any()
    p = conformal_p_values([], [], [1.0, 2.0])
    assert_array_equal(p, [1.0, 1.0])


def test_permuting_candidates_permutes_what_they_say():
    fitted, y, new = case(4, 80, 40, 4, integers=False)
    first = optimized_conformal_selection(fitted, y, new, fdr=0.3)
    order = [2, 0, 3, 1]
    second = optimized_conformal_selection(fitted[:, order], y, new[:, order], fdr=0.3)
    assert_array_equal(second.sizes, first.sizes[:, order])
    # Copies change nothing: ties go to the first.
    twice = optimized_conformal_selection(
        np.hstack([fitted, fitted]), y, np.hstack([new, new]), fdr=0.3
    )
    assert_array_equal(twice.selected, first.selected)
    assert_array_equal(twice.members, first.members)


# The rate, over many draws of settings as those of Jin and Candes.
def setting(rng, which, n):
    X = rng.uniform(-1, 1, (n, 5))
    if which <= 2:
        steep = np.where(
            X[:, 1] > 0, np.maximum(0.5, X[:, 2]), np.minimum(X[:, 2], -0.5)
        )
        centre = 4 * X[:, 0] * steep
    else:
        centre = 5 * (X[:, 0] * X[:, 1] + np.exp(X[:, 3] - 1))
    scale = 1.0 if which % 2 else (5.5 - np.abs(centre)) / 2
    y = centre + 0.5 * scale * rng.normal(size=n)
    candidates = np.column_stack(
        [
            centre + rng.normal(size=n),
            centre + 3 * rng.normal(size=n),
            X[:, 0] * X[:, 2],
            X[:, 3],
            rng.normal(size=n),
        ]
    )
    return candidates, y


def false_share(selected, y, threshold):
    return (selected & (y <= threshold)).sum() / max(selected.sum(), 1)


def power(selected, y, threshold):
    return (selected & (y > threshold)).sum() / max((y > threshold).sum(), 1)


def assert_rate(shares, rate):
    """Coins that fall false with the shares are binomial, of at most the rate."""
    coins = np.random.default_rng(0).random(len(shares)) < shares
    assert coins.sum() <= stats.binom.ppf(1 - 1e-4, len(shares), rate)


@pytest.mark.parametrize("which", [1, 2, 3, 4])
@pytest.mark.parametrize("pruning", ["deterministic", "heterogeneous", "homogeneous"])
def test_rate_and_power_of_the_optimized_selection(which, pruning):
    rng = np.random.default_rng(which)
    n, m, threshold, fdr = 150, 60, 0.5 if which <= 2 else 3.0, 0.2
    shares, powers, single = [], [], []
    for draw in range(400):
        P, y = setting(rng, which, n + m)
        result = optimized_conformal_selection(
            P[:n], y[:n], P[n:], threshold, fdr=fdr, pruning=pruning, random_state=draw
        )
        shares.append(false_share(result.selected, y[n:], threshold))
        powers.append(power(result.selected, y[n:], threshold))
        alone = [
            select_by_fdr(conformal_p_values(P[:n, k], y[:n], P[n:, k], threshold), fdr)
            for k in range(5)
        ]
        single.append([power(s, y[n:], threshold) for s in alone])
    assert_rate(np.array(shares), fdr)
    second, best = np.sort(np.mean(single, axis=0))[-2:]
    # Not far from what one would have with the best, which nobody knows beforehand.
    assert np.mean(powers) > max(0.8 * best, 1.5 * second)


@pytest.mark.parametrize("ties", ["conservative", "random"])
@pytest.mark.parametrize("which", [1, 4])
def test_rate_of_one_model_with_many_ties(which, ties):
    rng = np.random.default_rng(which)
    n, m, threshold, fdr = 100, 50, 0.5, 0.2
    shares = []
    for draw in range(800):
        P, y = setting(rng, which, n + m)
        known = np.rint(P[:, 0])
        p = conformal_p_values(
            known[:n], y[:n], known[n:], threshold, ties=ties, random_state=draw
        )
        shares.append(false_share(select_by_fdr(p, fdr), y[n:], threshold))
    assert_rate(np.array(shares), fdr)
    assert np.mean(shares) > 0.02


def noise_only(rng, n, n_members):
    return rng.normal(size=(n, n_members)), rng.normal(size=n)


def test_taking_the_candidate_of_most_rows_loses_the_rate_and_ours_does_not():
    """Sixty models of noise: the one that selects most on these rows is no find."""
    rng = np.random.default_rng(9)
    n, m, threshold, fdr = 40, 20, 0.0, 0.2
    naive, ours = [], []
    for _ in range(300):
        P, y = noise_only(rng, n + m, 60)
        choices = [
            select_by_fdr(conformal_p_values(P[:n, k], y[:n], P[n:, k], threshold), fdr)
            for k in range(60)
        ]
        most = max(choices, key=np.sum)
        naive.append(false_share(most, y[n:], threshold))
        result = optimized_conformal_selection(P[:n], y[:n], P[n:], threshold, fdr=fdr)
        ours.append(false_share(result.selected, y[n:], threshold))
    assert_rate(np.array(ours), fdr)
    with pytest.raises(AssertionError):
        assert_rate(np.array(naive), fdr)


# Refusals.
def test_unfit_arguments_are_refused():
    fitted, y, new = case(0, 10, 5, 2, integers=False)
    one = fitted[:, 0]
    with pytest.raises(
        ValueError, match=r"calibration_predictions has shape \(10, 2\)"
    ):
        conformal_p_values(fitted, y, new)
    with pytest.raises(ValueError, match=r"y has shape \(9,\)"):
        conformal_p_values(one, y[:9], one)
    with pytest.raises(ValueError, match="1 NaN"):
        conformal_p_values(one, [*y[:9], np.nan], one)
    with pytest.raises(ValueError, match=r"predictions has NaN.*first at row 1"):
        conformal_p_values(one, y, [1.0, np.inf])
    with pytest.raises(ValueError, match="threshold is nan"):
        conformal_p_values(one, y, one, np.nan)
    with pytest.raises(ValueError, match="ties is 'strict'; expected one of"):
        conformal_p_values(one, y, one, ties="strict")
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        select_by_fdr([0.1, 1.2])
    with pytest.raises(ValueError, match="fdr is 1; expected"):
        select_by_fdr([0.1], 1)
    with pytest.raises(ValueError, match="predictions has 1 columns"):
        optimized_conformal_selection(fitted, y, new[:, :1])
    with pytest.raises(ValueError, match="pruning is 'some'"):
        optimized_conformal_selection(fitted, y, new, pruning="some")
    with pytest.raises(ValueError, match=r"shape \(10, 0\)"):
        optimized_conformal_selection(fitted[:, :0], y, new[:, :0])
