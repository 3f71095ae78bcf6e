"""Weighted thresholds, and coverage under a shift that is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import stats
from sklearn.base import clone

from ensemblekit import (
    ConformalRegressor,
    InfeasibleRankWarning,
    conformal_quantile,
    weighted_conformal_quantile,
)

from . import oracles_regressor as oracles

ROWS = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 4)), max_size=12)


@given(ROWS, st.integers(0, 5), st.sampled_from([0.1, 0.25, 0.5, 0.9]))
@settings(max_examples=300, deadline=None)
def test_equals_counting(rows, own, alpha):
    scores, weights = [r[0] for r in rows], [r[1] for r in rows]
    if not sum(weights) + own:
        return
    found = weighted_conformal_quantile(scores, weights, [own], alpha)
    assert found[0] == oracles.weighted_threshold(scores, weights, own, alpha)


@pytest.mark.filterwarnings("ignore::ensemblekit.InfeasibleRankWarning")
@pytest.mark.parametrize("constant", [1.0, 0.3, 1e-7, 7e8])
def test_equal_weights_equal_the_plain_quantile(constant):
    rng = np.random.default_rng(0)
    for n in [*range(1, 60), 999, 20_000]:
        scores, weights = rng.normal(size=n), np.full(n, constant)
        for alpha in (0.01, 0.05, 0.1, 0.2, 0.3, 0.5):
            found = weighted_conformal_quantile(scores, weights, [constant], alpha)
            assert found[0] == conformal_quantile(scores, alpha)


def test_a_constant_ratio_equals_none():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(99, 3)), rng.normal(size=99)
    groups = np.arange(99) % 2
    for method, estimator in [
        ("split", oracles.Known()),
        ("cqr", oracles.KnownQuantiles()),
        ("cqr-asymmetric", oracles.KnownQuantiles()),
    ]:
        plain = ConformalRegressor(estimator, method=method)
        ratio = clone(plain).set_params(likelihood_ratio=lambda X: np.full(len(X), 0.7))
        for given_groups in (None, groups):
            keywords = {"alpha": [0.1, 0.3], "groups": given_groups}
            expected = clone(plain).calibrate(X, y, given_groups)
            found = clone(ratio).calibrate(X, y, given_groups)
            assert_array_equal(
                found.predict_interval(X, **keywords),
                expected.predict_interval(X, **keywords),
            )
            levels = [0.05, 0.5, 0.9]
            assert_array_equal(
                found.predict_quantiles(X, levels, given_groups),
                expected.predict_quantiles(X, levels, given_groups),
            )


@pytest.mark.parametrize("method", ["split", "cqr"])
def test_coverage_under_a_known_shift(method):
    """Rows of density 1 on [0, 1], new rows of density 2 x, where y is uncertain."""
    n, n_draws, alpha = 60, 2000, 0.2
    rng = np.random.default_rng(0)
    plain = weighted = 0
    estimator = oracles.Known() if method == "split" else oracles.KnownQuantiles()
    shifted = ConformalRegressor(
        estimator, method=method, alpha=alpha, likelihood_ratio=lambda X: 2 * X[:, 1]
    )
    unaware = clone(shifted).set_params(likelihood_ratio=None)
    for _ in range(n_draws):
        x = np.append(rng.uniform(size=n), np.sqrt(rng.uniform()))
        y = rng.normal(size=n + 1) * x**3
        X = np.column_stack([0 * x, x, 0 * x])  # predictions are 0, but for quantiles
        with np.errstate(all="raise"):
            for kind in (shifted, unaware):
                model = clone(kind).calibrate(X[:-1], y[:-1])
                low, high = model.predict_interval(X[-1:])[0]
                covered = low <= y[-1] <= high
                if kind is shifted:
                    weighted += covered
                else:
                    plain += covered
    least = stats.binom.ppf(1e-3, n_draws, 1 - alpha)
    assert weighted >= least
    assert plain < least  # the test can fail


def test_rows_beyond_the_calibration_rows_have_infinite_bounds():
    X = np.arange(1.0, 100.0)[:, None]
    model = ConformalRegressor(oracles.Known(), likelihood_ratio=lambda X: X[:, 0])
    model.calibrate(X, X[:, 0])
    with pytest.warns(InfeasibleRankWarning, match="1 of 2 rows have infinite bounds"):
        found = model.predict_interval([[5.0], [1e4]])
    assert_array_equal(np.isinf(found), [[False, False], [True, True]])


def test_bad_ratios_are_refused():
    X, y = np.ones((20, 1)), np.zeros(20)
    for ratio, message in [
        (lambda X: -X[:, 0], "negative .*first at row 0"),
        (lambda X: X, r"shape \(20, 1\)"),
        (lambda X: X[:, 0] * np.nan, "NaN"),
    ]:
        model = ConformalRegressor(oracles.Known(), likelihood_ratio=ratio)
        with pytest.raises(ValueError, match=f"likelihood_ratio .*{message}"):
            model.calibrate(X, y)
    with pytest.raises(ValueError, match=r"scores are NaN .*row 1"):
        weighted_conformal_quantile([1.0, np.nan], [1, 1], [1], 0.1)
    with pytest.raises(ValueError, match=r"weights has shape \(1,\)"):
        weighted_conformal_quantile([1.0, 2.0], [1], [1], 0.1)
    with pytest.raises(ValueError, match=r"scores have shape \(1, 2\)"):
        weighted_conformal_quantile([[1.0, 2.0]], [1], [1], 0.1)
