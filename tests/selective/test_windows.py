"""cascade_curve: every window against the cascade walked row by row."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import CascadeCurve, cascade_curve
from ensemblekit.selective import _tracing, windows

from . import oracles_cascade as oracles

# No rank of few rows is at the end of one of these windows.
WINDOWS = [Fraction(0), Fraction(1), *(Fraction(k, 997) for k in range(1, 997, 111))]
NONE_PASSES, ALL_PASS = [np.inf, -np.inf], [-np.inf, np.inf]


def binary(n, m, seed, digits=1):
    rng = np.random.default_rng(seed)
    P = rng.uniform(size=(n, m)).round(digits)  # few values: ties
    return P, np.resize([0, 1], n), rng.integers(1, 4, n)


@pytest.mark.parametrize("coverage", [1.0, 0.75, 0.5, 0.125])
@pytest.mark.parametrize("n_members", [1, 2, 4])
@pytest.mark.parametrize("loss", ["log_loss", "zero_one"])
def test_matches_the_cascade_walked_row_by_row(coverage, n_members, loss):
    P, y, sample_weight = binary(24, n_members, seed=n_members)
    costs, weights = [2.0, 3.0, 5.0, 4.0][:n_members], [1.0, 3.0, 0.5, 2.0][:n_members]
    curve = cascade_curve(
        P,
        y,
        costs,
        loss=loss,
        coverage=coverage,
        weights=weights,
        sample_weight=sample_weight,
    )
    cube = np.array([np.column_stack([1 - p, p]) for p in P.T])
    # Ties must be the same ties: rounding differs from one formula to the next.
    means = windows.running_means(cube, np.array(weights))
    assert_allclose(means, oracles.stage_means(cube, weights), rtol=1e-14)
    for window in WINDOWS:
        wanted = oracles.cost_loss_coverage(
            cube,
            y,
            costs,
            oracles.max_proba(means),
            sample_weight,
            weights,
            1 - Fraction(coverage),
            window,
            loss,
        )
        at = curve.at(float(window))
        found = curve.cost[at], curve.loss[at], curve.coverage[at]
        assert_allclose(found, wanted, rtol=1e-12)


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=12),
    st.integers(0, 7),
    st.sampled_from(WINDOWS),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_windows_and_limits_match_the_definition(own, eighths, window, data):
    n = len(own)
    sizes = st.lists(st.integers(1, 3), min_size=n, max_size=n)
    sample_weight = np.array(data.draw(sizes))
    centre = Fraction(eighths, 8)
    confidences = np.array([own, own[::-1]], dtype=float).T
    places = _tracing.ranks(confidences, sample_weight)
    needed = _tracing.needed_windows(places, float(centre))
    limits = _tracing.find_limits(confidences, needed, float(centre), float(window))
    low, high = limits.T
    for k in range(2):
        column = confidences[:, k]
        inside = [
            oracles.is_inside(
                oracles.rank(column, sample_weight, i), centre, window ** (k + 1)
            )
            for i in range(n)
        ]
        assert_array_equal(needed[:, k] < float(window), inside)
        assert_array_equal((low[k] <= column) & (column <= high[k]), inside)


@given(st.integers(1, 30), st.integers(1, 4), st.integers(0, 10), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_cost_is_monotone_and_ends_are_the_first_member_and_all(n, m, tenths, seed):
    P, y, _ = binary(max(n, 2), m, seed)
    coverage = max(tenths, 1) / 10
    curve = cascade_curve(P, y, np.arange(1, m + 1), loss="brier", coverage=coverage)
    assert (np.diff(curve.cost) >= 0).all()
    assert (np.diff(curve.window) > 0).all()
    assert_allclose(curve.cost[[0, -1]], [1, m * (m + 1) / 2])
    assert curve.window[0] == 0
    assert curve.window[-1] == 1
    if coverage == 1:
        ends = [P[:, 0], P.mean(axis=1)]
        wanted = [np.mean((p - y) ** 2) for p in ends]
        assert_allclose(curve.loss[[0, -1]], wanted, rtol=1e-11)


def test_a_row_at_the_threshold_stays_at_window_zero():
    confidences = np.array([[0.1], [0.2], [0.3]])
    needed = _tracing.needed_windows(_tracing.ranks(confidences, np.ones(3)), 0.5)
    assert needed[1, 0] == 0.0
    limits = _tracing.find_limits(confidences, needed, 0.5, 0.0)
    assert limits.tolist() == [NONE_PASSES]
    limits = _tracing.find_limits(confidences, needed, 0.5, 0.01)
    assert limits.tolist() == [[0.2, 0.2]]
    limits = _tracing.find_limits(confidences, needed, 0.5, 1.0)
    assert limits.tolist() == [ALL_PASS]


def test_windows_that_reach_an_end_of_the_ranks_are_open_there():
    confidences = np.linspace(0.1, 0.9, 9)[:, None]
    places = _tracing.ranks(confidences, np.ones(9))
    for centre, window, wanted in [
        (0.0, 0.3, [-np.inf, 0.3]),
        (0.9, 0.3, [0.7, np.inf]),
        (0.5, 0.3, [0.4, 0.6]),
    ]:
        needed = _tracing.needed_windows(places, centre)
        limits = _tracing.find_limits(confidences, needed, centre, window)
        assert_allclose(limits, [wanted])


def test_regression_with_given_confidences():
    rng = np.random.default_rng(0)
    P, y, sample_weight = rng.normal(size=(15, 3)), rng.normal(size=15), np.ones(15)
    confidences = rng.integers(0, 5, (15, 3))
    curve = cascade_curve(
        P, y, [1, 2, 3], loss="absolute_error", confidence=confidences
    )
    for window in WINDOWS:
        wanted = oracles.cost_loss_coverage(
            P.T[:, :, None],
            y,
            [1, 2, 3],
            confidences,
            sample_weight,
            np.ones(3),
            Fraction(0),
            window,
            "absolute_error",
        )
        at = curve.at(float(window))
        assert_allclose((curve.cost[at], curve.loss[at], curve.coverage[at]), wanted)


def test_several_classes_and_their_labels():
    rng = np.random.default_rng(1)
    P = rng.dirichlet(np.ones(3), size=(40, 2)).reshape(40, 6)
    codes = np.arange(40) % 3
    by_code = cascade_curve(P, codes, loss="log_loss", confidence="margin")
    labels = np.array(["a", "m", "x"])
    by_label = cascade_curve(
        P, labels[codes], loss="log_loss", confidence="margin", classes=labels
    )
    for one, other in zip(by_code, by_label, strict=True):
        assert_array_equal(one, other)


def test_confidences_of_probabilities():
    p = np.array([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0]])
    assert_allclose(windows.confidence_of(p, "max_proba"), [0.5, 1.0])
    assert_allclose(windows.confidence_of(p, "margin"), [0.2, 1.0])
    entropy = -(0.5 * np.log(0.5) + 0.3 * np.log(0.3) + 0.2 * np.log(0.2))
    assert_allclose(windows.confidence_of(p, "entropy"), [-entropy, 0.0])


def test_rows_of_weight_zero_are_left_out():
    P, y, sample_weight = binary(30, 3, seed=3, digits=3)
    sample_weight[::4] = 0
    kept = sample_weight > 0
    found = cascade_curve(P, y, sample_weight=sample_weight)
    wanted = cascade_curve(P[kept], y[kept], sample_weight=sample_weight[kept])
    for one, other in zip(found, wanted, strict=True):
        assert_array_equal(one, other)


def test_whole_weights_are_repeated_rows():
    P, y, sample_weight = binary(30, 3, seed=4)
    found = cascade_curve(P, y, sample_weight=sample_weight)
    P, y = np.repeat(P, sample_weight, axis=0), np.repeat(y, sample_weight)
    for one, other in zip(found, cascade_curve(P, y), strict=True):
        assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize(
    ("n", "m", "n_classes"), [(100_000, 2, 2), (50_000, 10, 2), (20_000, 4, 5)]
)
def test_memory_is_less_than_three_times_that_of_the_predictions(n, m, n_classes):
    rng = np.random.default_rng(0)
    P = rng.uniform(size=(n, m * (n_classes if n_classes > 2 else 1)))
    if n_classes > 2:
        P = P.reshape(n, m, n_classes)
        P = (P / P.sum(axis=2, keepdims=True)).reshape(n, -1)
    y = rng.integers(0, n_classes, n)
    cascade_curve(P[:100], y[:100])  # what is loaded once
    tracemalloc.start()
    cascade_curve(P, y, coverage=0.8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * P.nbytes


@pytest.mark.parametrize("most", [2, 17, 100])
def test_windows_too_many_are_thinned_and_the_others_exact(monkeypatch, most):
    P, y, weight = binary(300, 3, seed=0, digits=6)
    settings = {"sample_weight": weight, "coverage": 0.7, "costs": [1, 2, 4]}
    whole = cascade_curve(P, y, **settings)
    monkeypatch.setattr(_tracing, "MOST_WINDOWS", most)
    thin = cascade_curve(P, y, **settings)
    assert most <= len(thin.window) <= most + 2 < len(whole.window)
    at = np.searchsorted(whole.window, thin.window)
    for few, many in zip(thin, whole, strict=True):
        assert_allclose(few, many[at], rtol=1e-12)
    # Ties leave fewer windows than rows: none is lost.
    P, y, _ = binary(300, 2, seed=0)
    monkeypatch.setattr(_tracing, "MOST_WINDOWS", 2**14)
    whole = cascade_curve(P, y)
    monkeypatch.setattr(_tracing, "MOST_WINDOWS", len(whole.window))
    assert_array_equal(cascade_curve(P, y).window, whole.window)


def test_blocks_of_rows_change_nothing(monkeypatch):
    P, y, weight = binary(100, 3, seed=5, digits=2)
    weight[::9] = 0
    whole = cascade_curve(P, y, coverage=0.6, sample_weight=weight)
    monkeypatch.setattr(_tracing, "_BLOCK", 7)
    parts = cascade_curve(P, y, coverage=0.6, sample_weight=weight)
    for one, other in zip(whole, parts, strict=True):
        assert_allclose(one, other, rtol=1e-12)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3)), min_size=1, max_size=9),
    st.lists(st.integers(-1, 11), min_size=1, max_size=5),
)
@settings(max_examples=100, deadline=None)
def test_places_of_new_confidences(known, halves):
    own, weight = np.array(known, dtype=float).T
    new = np.array(halves) / 2
    found = _tracing.rank_values(own, weight).find(new)
    for value, place in zip(new, found, strict=True):
        below, equal = weight[own < value].sum(), weight[own == value].sum()
        assert place == pytest.approx((below + equal / 2) / weight.sum(), abs=1e-12)


def test_choices_on_a_curve():
    points = np.array([[0, 0.2, 0.6, 1], [1, 1.1, 1.5, 2], [5, 4, 2.1, 2], [1] * 4])
    curve = CascadeCurve(*points)
    assert curve.widest(1.0) == 0.0
    assert curve.widest(1.49) == 0.2
    assert curve.widest(1.5) == 0.6
    assert curve.widest(99) == 1.0
    assert curve.narrowest(0) == 1.0
    assert curve.narrowest(0.05) == 0.6
    assert curve.narrowest(1.5) == 0.0
    assert [curve.at(w) for w in (0, 0.1, 0.2, 0.3, 1)] == [0, 1, 1, 2, 3]


def test_no_row_answered_has_no_loss():
    P, y, _ = binary(4, 2, seed=0)
    curve = cascade_curve(P, y, coverage=0.01)
    assert np.isnan(curve.loss).all()
    assert not curve.coverage.any()
    assert curve.narrowest(0.0) == 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "auc"}, "Unknown loss 'auc'; expected one of"),
        ({"coverage": 0.0}, r"coverage is 0.0; expected a share in \(0, 1\]"),
        ({"costs": [1.0]}, r"costs has shape \(1,\); expected \(2,\)"),
        ({"costs": [1.0, 0.0]}, r"costs is \[1.0, 0.0\]; expected positive"),
        ({"weights": [1.0, np.nan]}, "weights is .*; expected positive, finite"),
        ({"confidence": "variance"}, "Unknown confidence 'variance'"),
        ({"confidence": np.zeros((4, 1))}, r"expected \(4, 2\): a number for each row"),
        ({"loss": "squared_error"}, "'max_proba' is for probabilities"),
    ],
)
def test_refusals(settings, message):
    P, y, _ = binary(4, 2, seed=0)
    with pytest.raises(ValueError, match=message):
        cascade_curve(P, y, **settings)


def test_refuses_what_is_no_probability():
    with pytest.raises(ValueError, match="NaN or infinity"):
        cascade_curve([[0.1, np.nan], [0.2, 0.3]], [0, 1])
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        cascade_curve([[0.1, 1.2], [0.2, 0.3]], [0, 1])
