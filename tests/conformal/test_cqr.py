"""Conformalised quantiles: four variants, their reductions, and what they refuse."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import QuantileRegressor, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ensemblekit import (
    ConformalRegressor,
    ForestQuantileRegressor,
    InfeasibleRankWarning,
    PerLevelQuantileRegressor,
    StackedQuantileRegressor,
    conformal_rank,
)

from . import oracles_regressor as oracles

VARIANTS = ["cqr", "cqr-asymmetric", "cqr-m", "cqr-r"]
FOREST = ForestQuantileRegressor(ExtraTreesRegressor(10, random_state=0))


def known(n, seed, digits=None):
    """Three sorted quantiles of each row, at times equal, and a target."""
    rng = np.random.default_rng(seed)
    Q, y = np.sort(rng.normal(size=(n, 3)), axis=1), rng.normal(size=n)
    return (Q, y) if digits is None else (Q.round(digits), y.round(digits))


def make(method, **parameters):
    return ConformalRegressor(oracles.KnownQuantiles(), method=method, **parameters)


@pytest.mark.filterwarnings("ignore::ensemblekit.InfeasibleRankWarning")
@pytest.mark.parametrize("method", VARIANTS)
@pytest.mark.parametrize("digits", [None, 0])
@pytest.mark.parametrize("n", [1, 4, 9, 40])
def test_equals_the_formula_row_by_row(method, digits, n):
    Q, y = known(n, n, digits)
    new, _ = known(3, 100)
    low, high = np.percentile(y, [25, 75])
    floor = 1e-8 * (high - low) or 1e-8
    for alpha in (0.2, 0.5):  # the levels of 0.5 are interpolated
        share = (0.5 - alpha / 2) / 0.4

        def ends(rows, share=share):
            middle = rows[:, 1]
            lower = middle + share * (rows[:, 0] - middle)
            return np.column_stack(
                [lower, middle, middle + share * (rows[:, 2] - middle)]
            )

        expected = [
            oracles.cqr_interval(method, ends(Q), y, row, alpha, floor)
            for row in ends(new)
        ]
        found = make(method, alpha=0.2).calibrate(Q, y).predict_interval(new, alpha)
        assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.4])
def test_equal_quantiles_give_the_split(alpha):
    Q, y = known(99, 0)
    Q[:] = Q[:, :1]
    split = ConformalRegressor(oracles.Known()).calibrate(Q, y)
    found = make("cqr").calibrate(Q, y).predict_interval(Q, alpha)
    assert_array_equal(found, split.predict_interval(Q, alpha))


def test_asymmetric_equals_two_one_sided_splits():
    Q, y = known(99, 0)
    found = make("cqr-asymmetric").calibrate(Q, y).predict_interval(Q, 0.2)
    low = oracles.threshold(Q[:, 0] - y, Fraction(1, 10))
    high = oracles.threshold(y - Q[:, 2], Fraction(1, 10))
    assert_array_equal(found, np.column_stack([Q[:, 0] - low, Q[:, 2] + high]))


@pytest.mark.parametrize("method", VARIANTS)
def test_groups_equal_a_calibration_of_each(method):
    Q, y = known(120, 1)
    groups = np.arange(120) % 2
    floor = {"cqr-m": 1e-6, "cqr-r": 1e-6}.get(method, 1e-12)
    model = make(method).calibrate(Q, y, groups)
    one = make(method).calibrate(Q, y, np.zeros(120))
    plain = make(method).calibrate(Q, y)
    assert_array_equal(
        one.predict_interval(Q, groups=np.zeros(120)), plain.predict_interval(Q)
    )
    found = model.predict_interval(Q, groups=groups)
    for g in (0, 1):
        mine = groups == g
        alone = make(method).calibrate(Q[mine], y[mine]).predict_interval(Q[mine])
        assert_allclose(found[mine], alone, atol=floor)


@pytest.mark.parametrize("method", VARIANTS)
def test_covers_as_often_as_the_rank_says(method):
    # One new row a draw; the quantiles are wrong and cross.
    n, n_draws, covered = 19, 1000, 0
    rng = np.random.default_rng(0)
    for _ in range(n_draws):
        X = rng.normal(size=(n + 1, 3))
        y = X[:, 0] + rng.exponential(size=n + 1)
        model = make(method, alpha=0.2).calibrate(X[:-1], y[:-1])
        low, high = model.predict_interval(X[-1:])[0]
        covered += low <= y[-1] <= high
    chance = conformal_rank(n, 0.2) / (n + 1)  # asymmetric: 18 / 20 on each side
    if method == "cqr-asymmetric":
        assert stats.binomtest(covered, n_draws, chance, "less").pvalue > 1e-3
    else:
        assert stats.binomtest(covered, n_draws, chance).pvalue > 1e-3


def test_an_interval_shrunk_below_nothing_is_its_middle():
    Q = np.tile([-10.0, 0.0, 10.0], (99, 1))
    model = make("cqr").calibrate(Q, np.linspace(-0.1, 0.1, 99))
    assert_array_equal(model.predict_interval([[0.0, 0.5, 1.0]]), [[0.5, 0.5]])
    found = model.predict_interval([[0.0, 0.5, 1.0], [-10, 0, 10]], [0.1, 0.8])
    assert (found[:, 0] <= found[:, 1]).all()
    assert (found[:, 0, 0] <= found[:, 0, 1]).all()
    assert (found[:, 1, 0] >= found[:, 1, 1]).all()


@pytest.mark.filterwarnings("ignore::ensemblekit.InfeasibleRankWarning")
@pytest.mark.parametrize("method", ["split", *VARIANTS])
@pytest.mark.parametrize("n", [3, 60])
def test_wider_coverage_is_wider_and_quantiles_do_not_cross(method, n):
    Q, y = known(n, 5)
    new, _ = known(200, 6)
    model = make(method).calibrate(Q, y)
    alphas = [0.3, 0.9, 0.05, 0.5, 0.1]
    bounds = model.predict_interval(new, alphas)
    assert bounds.shape == (200, 2, 5)
    ordered = bounds[:, :, np.argsort(alphas)[::-1]]
    assert (ordered[:, 0, 1:] <= ordered[:, 0, :-1]).all()
    assert (ordered[:, 1, 1:] >= ordered[:, 1, :-1]).all()
    assert (ordered[:, 0] <= ordered[:, 1]).all()
    for j, alpha in enumerate(alphas):  # alone it may be narrower, never wider
        alone = model.predict_interval(new, alpha)
        assert (bounds[:, 0, j] <= alone[:, 0]).all()
        assert (bounds[:, 1, j] >= alone[:, 1]).all()
    levels = [0.01, 0.05, 0.25, 0.45, 0.5, 0.52, 0.8, 0.95]
    quantiles = model.predict_quantiles(new, levels)
    assert (quantiles[:, 1:] >= quantiles[:, :-1]).all()
    for level in (0.25, 0.5):
        one = model.predict_quantiles(new, [level])
        assert one.shape == (200, 1)


def test_quantiles_are_ends_of_intervals():
    Q, y = known(99, 0)
    Q[:, 0] -= 3
    Q[:, 2] += 3
    model = make("cqr-asymmetric").calibrate(Q, y)
    found = model.predict_quantiles(Q, [0.05, 0.5, 0.95])
    interval = model.predict_interval(Q, 0.1)
    assert_array_equal(found[:, 1], Q[:, 1])
    assert_array_equal(found[:, 0], np.minimum(interval[:, 0], Q[:, 1]))
    assert_array_equal(found[:, 2], np.maximum(interval[:, 1], Q[:, 1]))


def test_asymmetric_needs_twice_the_rows():
    Q, y = known(9, 0)
    assert np.isfinite(make("cqr").calibrate(Q, y).predict_interval(Q)).all()
    with pytest.warns(InfeasibleRankWarning, match="probability 0.95"):
        found = make("cqr-asymmetric").calibrate(Q, y).predict_interval(Q)
    assert np.isinf(found).all()


def test_beyond_the_outermost_levels_these_are_calibrated():
    Q, y = known(499, 0)  # of levels 0.1 .. 0.9
    found = make("cqr").calibrate(Q, y).predict_interval(Q, 0.01)
    scores = np.maximum(Q[:, 0] - y, y - Q[:, 2])
    move = oracles.threshold(scores, 0.01)
    assert_array_equal(found, np.column_stack([Q[:, 0] - move, Q[:, 2] + move]))


def test_estimators_that_are_told_the_levels():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 1))
    y = X[:, 0] + rng.uniform(size=400)
    model = ConformalRegressor(oracles.AnyLevels(), method="cqr", alpha=0.3)
    found = model.calibrate(X, y).predict_interval(X)
    move = oracles.threshold(np.maximum(X[:, 0] + 0.15 - y, y - X[:, 0] - 0.85), 0.3)
    assert_allclose(found[:, 0], X[:, 0] + 0.15 - move, rtol=1e-12, atol=1e-12)


def test_levels_that_are_none_are_those_of_alpha():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 2))
    y = X[:, 0] + rng.normal(size=120)
    for estimator in (FOREST, make_pipeline(StandardScaler(), FOREST)):
        model = ConformalRegressor(estimator, method="cqr", alpha=[0.1, 0.4])
        assert model.fit(X, y).predict_interval(X).shape == (120, 2, 2)
        last = model.calibrated_.model
        last = last[-1] if hasattr(last, "steps") else last
        assert_array_equal(last.quantile_levels_, [0.05, 0.2, 0.5, 0.8, 0.95])
        assert FOREST.quantile_levels is None
    linear = PerLevelQuantileRegressor(QuantileRegressor(alpha=0.0), [0.2, 0.5, 0.8])
    model = ConformalRegressor(linear, method="cqr", random_state=0).fit(X, y)
    assert_array_equal(model.calibrated_.model.quantile_levels_, [0.2, 0.5, 0.8])


def test_around_a_stack_of_quantiles():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(400, 2))
    y = X[:, 0] + rng.normal(size=400) * np.exp(X[:, 1])
    linear = PerLevelQuantileRegressor(QuantileRegressor(alpha=0.0))
    stack = StackedQuantileRegressor([("trees", FOREST), ("linear", linear)])
    model = ConformalRegressor(stack, method="cqr", random_state=0).fit(X, y)
    widths = np.diff(model.predict_interval(X))[:, 0]
    assert np.corrcoef(widths, X[:, 1])[0, 1] > 0.3
    fitted = FrozenEstimator(model.calibrated_.model)
    again = ConformalRegressor(fitted, method="cqr").fit(X[:99], y[:99])
    assert again.n_calibration_ == 99


def test_estimators_without_quantiles_are_refused():
    X, y = known(40, 0)
    with pytest.raises(ValueError, match=r"Ridge predicts no quantiles.*Wrap it"):
        ConformalRegressor(Ridge(), method="cqr").fit(X, y)
    with pytest.raises(ValueError, match="Ridge predicts no quantiles"):
        ConformalRegressor(Ridge().fit(X, y), method="cqr").calibrate(X, y)

    class NoLevels(oracles.Known):
        def predict_quantiles(self, X):
            return X

    class WrongShape(oracles.KnownQuantiles):
        def predict_quantiles(self, X):
            return X[:, :2]

    with pytest.raises(ValueError, match=r"no quantile_levels_.*takes no levels"):
        ConformalRegressor(NoLevels(), method="cqr").calibrate(X, y)
    with pytest.raises(ValueError, match=r"shape \(40, 2\); expected 3 columns"):
        ConformalRegressor(WrongShape(), method="cqr").calibrate(X, y)


def test_calibrate_again_ranks_anew():
    Q, y = known(200, 0)
    model = clone(make("cqr")).calibrate(Q[:99], y[:99])
    model.calibrate(Q[99:], y[99:])
    direct = make("cqr").calibrate(Q[99:], y[99:])
    assert_array_equal(model.predict_interval(Q), direct.predict_interval(Q))


@pytest.mark.parametrize("method", VARIANTS)
def test_crossing_quantiles_are_sorted_first(method):
    Q, y = known(60, 0)
    crossed = Q[:, [2, 0, 1]]
    found = make(method).calibrate(crossed, y).predict_interval(crossed)
    assert_array_equal(found, make(method).calibrate(Q, y).predict_interval(Q))
