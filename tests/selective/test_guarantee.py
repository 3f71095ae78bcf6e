"""Bounds of risk: exact figures, slow twins, and violations over many draws."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ensemblekit import clopper_pearson_upper, ltt_threshold, sgr_threshold

from . import oracles_risk as oracles

RISK, DELTA, DRAWS = 0.05, 0.1, 1000
FINDERS = [sgr_threshold, ltt_threshold]


@pytest.mark.parametrize(
    ("errors", "rows", "delta", "wanted"),
    [
        (0, 100, 0.001, 0.066745699203),
        (5, 1000, 0.05, 0.010484076912),
        (20, 1000, 0.001, 0.037699112769),
    ],
)
def test_clopper_pearson_figures(errors, rows, delta, wanted):
    found = clopper_pearson_upper(errors, rows, delta)
    assert found == pytest.approx(wanted, abs=1e-12)
    assert stats.binom.cdf(errors, rows, found) == pytest.approx(delta, rel=1e-9)


def test_clopper_pearson_edges():
    assert clopper_pearson_upper(0, 100, 0.001) == pytest.approx(1 - 0.001**0.01)
    assert clopper_pearson_upper(7, 7, 0.05) == 1.0
    assert clopper_pearson_upper(0, 0, 0.05) == 1.0
    found = clopper_pearson_upper([0, 7, 20], [100, 7, 1000], 0.001)
    assert found == pytest.approx([0.066745699203, 1.0, 0.037699112769], abs=1e-12)


def test_clopper_pearson_refuses():
    with pytest.raises(ValueError, match="n_errors is negative, or more than n_rows"):
        clopper_pearson_upper(3, 2, 0.05)
    with pytest.raises(ValueError, match="n_errors is negative"):
        clopper_pearson_upper(-1, 2, 0.05)
    with pytest.raises(ValueError, match=r"delta is 1.0; .* inside \(0, 1\)"):
        clopper_pearson_upper(1, 2, 1.0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=40),
    st.sampled_from([0.2, 0.5, 0.8]),
    st.sampled_from([0.05, 0.3]),
)
def test_sgr_is_the_search_of_the_paper(rows, risk, delta):
    confidence = np.array([c for c, _ in rows], float)
    correct = np.array([r for _, r in rows])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = sgr_threshold(confidence, correct, risk, delta)
    wanted = oracles.sgr(confidence, correct, risk, delta)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=60),
    st.sampled_from([0.2, 0.5, 0.8]),
    st.sampled_from([0.05, 0.3]),
)
def test_ltt_is_the_walk_of_tests(rows, risk, delta):
    confidence = np.array([c for c, _ in rows], float)
    correct = np.array([r for _, r in rows])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ltt_threshold(confidence, correct, risk, delta)
    wanted = oracles.ltt(confidence, correct, risk, delta)
    accepted = confidence >= found.threshold
    assert set(np.flatnonzero(accepted)) == wanted
    assert found.coverage == len(wanted) / len(rows)
    assert found.bound == risk if wanted else np.isnan(found.bound)


@pytest.mark.parametrize("seed", range(8))
def test_both_on_many_distinct_confidences(seed):
    rng = np.random.default_rng(seed)
    confidence = rng.random(500)
    correct = rng.random(500) >= 0.4 * (1 - confidence) ** 2
    found = sgr_threshold(confidence, correct, 0.12, 0.1)
    np.testing.assert_allclose(found, oracles.sgr(confidence, correct, 0.12, 0.1))
    found = ltt_threshold(confidence, correct, 0.12, 0.1)
    wanted = oracles.ltt(confidence, correct, 0.12, 0.1)
    assert set(np.flatnonzero(confidence >= found.threshold)) == wanted
    assert 0 < found.coverage == len(wanted) / 500


def violations(find, n_rows, levels, seed=0):
    """Draws whose threshold has a true risk above RISK: errors fall with confidence."""
    rng = np.random.default_rng(seed)
    count = answered = 0
    for _ in range(DRAWS):
        u = rng.random(n_rows)
        u = np.floor(u * levels) / levels if levels else u
        correct = rng.random(n_rows) >= 0.5 * (1 - u) ** 2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            threshold, _, coverage = find(u, correct, RISK, DELTA)
        if coverage:
            answered += coverage
            count += true_risk(threshold, levels) > RISK
    return count, answered / DRAWS


def true_risk(threshold, levels):
    if levels:
        values = np.arange(levels) / levels
        return np.mean(0.5 * (1 - values[values >= threshold]) ** 2)
    return 0.5 * (1 - max(threshold, 0.0)) ** 2 / 3


@pytest.mark.parametrize("find", FINDERS)
@pytest.mark.parametrize(("n_rows", "levels"), [(1000, None), (300, None), (300, 11)])
def test_violations_are_at_most_delta(find, n_rows, levels):
    count, coverage = violations(find, n_rows, levels)
    # A test of level 0.001 against a true rate of delta.
    assert count <= stats.binom.ppf(0.999, DRAWS, DELTA)
    if n_rows == 1000:
        assert coverage > 0.33  # the best threshold of all would answer 0.548


def test_the_best_looking_threshold_would_violate():
    """The same draws condemn the threshold whose risk on these rows is low enough."""

    def naive(confidence, correct, risk, delta):
        order = np.argsort(-confidence)
        risks = np.cumsum(~correct[order]) / np.arange(1, len(order) + 1)
        last = np.flatnonzero(risks <= risk)
        if not last.size:
            return np.inf, np.nan, 0.0
        return confidence[order][last[-1]], np.nan, (last[-1] + 1) / len(order)

    assert violations(naive, 300, None)[0] > stats.binom.ppf(0.999, DRAWS, DELTA)


@pytest.mark.parametrize("find", FINDERS)
def test_no_threshold_warns_once_and_answers_nothing(find):
    with pytest.warns(UserWarning, match="without a single error 59 rows") as caught:
        found = find(np.arange(40.0), np.ones(40, bool), 0.05, 0.05)
    assert len(caught) == 1
    assert found.threshold == np.inf
    assert np.isnan(found.bound)
    assert found.coverage == 0.0


@pytest.mark.parametrize("find", FINDERS)
def test_all_right_and_all_wrong(find):
    found = find(np.linspace(0, 1, 400), np.ones(400, bool), 0.1, 0.05)
    assert found.coverage == 1.0
    assert found.bound <= 0.1
    assert found.threshold <= 0.0
    with pytest.warns(UserWarning, match="No threshold keeps the risk"):
        found = find(np.linspace(0, 1, 400), np.zeros(400, bool), 0.1, 0.05)
    assert found.coverage == 0.0


@pytest.mark.parametrize("find", FINDERS)
def test_equal_confidences_are_answered_together(find):
    rng = np.random.default_rng(3)
    confidence = np.repeat([0.9, 0.5, 0.1], [200, 150, 150])
    correct = rng.random(500) < np.repeat([0.99, 0.9, 0.3], [200, 150, 150])
    found = find(confidence, correct, 0.1, 0.05)
    assert found.coverage in (0.4, 0.7)
    order = rng.permutation(500)
    assert find(confidence[order], correct[order], 0.1, 0.05) == found


@pytest.mark.parametrize("find", FINDERS)
def test_thresholds_refuse(find):
    with pytest.raises(ValueError, match=r"risk is 0; .* inside \(0, 1\)"):
        find([0.5], [1], 0)
    with pytest.raises(ValueError, match=r"delta is 1.2; .* inside \(0, 1\)"):
        find([0.5], [1], 0.1, 1.2)
    with pytest.raises(ValueError, match="NaN or infinite"):
        find([np.nan], [1], 0.1)
