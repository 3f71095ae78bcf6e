"""Intervals of a series: the same row by row as at once, coverage, scikit-learn."""

import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from ensemblekit import (
    AdaptiveConformalRegressor,
    EnbPIRegressor,
    InfeasibleRankWarning,
    adaptive_thresholds,
)
from ensemblekit.conformal.enbpi import draw_bags, left_out_means, narrowest_pair

from . import oracles_series as oracles

DATA = Path(__file__).parents[3] / "shared" / "data"

TREE = DecisionTreeRegressor(max_depth=3, random_state=0)
BOTH = [
    AdaptiveConformalRegressor(TREE, gamma=0.05, alpha=[0.1, 0.3], window=40),
    AdaptiveConformalRegressor(TREE, gamma=0.05, refit=True),
    AdaptiveConformalRegressor(TREE, gamma="auto", alpha=[0.1, 0.3]),
    EnbPIRegressor(TREE, random_state=0, window=60),
    EnbPIRegressor(TREE, random_state=0, alpha=[0.1, 0.3], narrowest=True),
]


class Zero(RegressorMixin, BaseEstimator):
    """Predicts 0, and is fitted in no time."""

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.zeros(len(X))


def series(n=300, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    return X, X @ [1.0, -2.0] + rng.normal(size=n)


@pytest.mark.parametrize("model", BOTH, ids=str)
def test_update_by_rows_is_update_at_once(model):
    X, y = series()
    one = clone(model).fit(X[:200], y[:200])
    many = clone(model).partial_fit(X[:200], y[:200])
    assert_array_equal(one.predict_interval(X), many.predict_interval(X))
    before = one.predict_interval(X)
    one.update(X[200:], y[200:])
    for i in range(200, 300):
        many.partial_fit(X[i : i + 1], y[i : i + 1])
    assert_array_equal(one.predict_interval(X), many.predict_interval(X))
    assert (one.predict_interval(X) != before).any()
    again = pickle.loads(pickle.dumps(one))
    again.update(X[:5], y[:5])
    one.update(X[:5], y[:5])
    assert_array_equal(one.predict_interval(X), again.predict_interval(X))


@pytest.mark.parametrize("model", BOTH, ids=str)
def test_a_second_fit_forgets_the_first(model):
    X, y = series()
    model = clone(model).fit(X, y).update(X, 3.0 * y)
    fresh = clone(model).fit(X[:150], y[:150])
    again = model.fit(X[:150], y[:150])
    assert_array_equal(again.predict_interval(X), fresh.predict_interval(X))


@pytest.mark.parametrize("model", BOTH, ids=str)
def test_shapes_and_nesting(model):
    X, y = series()
    model = clone(model).set_params(alpha=[0.1, 0.3]).fit(X, y)
    both = model.predict_interval(X)
    assert both.shape == (300, 2, 2)
    assert_array_equal(model.predict_interval(X, 0.3), both[:, :, 1])
    assert_array_equal(model.predict_interval(X, [0.1]), both[:, :, :1])
    assert (both[:, 0, 0] <= both[:, 0, 1]).all()
    assert (both[:, 1, 0] >= both[:, 1, 1]).all()


@pytest.mark.parametrize("model", [BOTH[0], BOTH[3]], ids=str)
def test_drops_into_scikit_learn(model):
    X, y = series(120)
    pipeline = make_pipeline(StandardScaler(), clone(model))
    name = f"{type(model).__name__.lower()}__estimator__max_depth"
    search = GridSearchCV(pipeline, {name: [1, 4]}, cv=TimeSeriesSplit(3)).fit(X, y)
    assert search.best_params_ == {name: 4}
    assert search.predict(X).shape == (120,)
    with pytest.raises(NotFittedError):
        clone(model).predict_interval(X)
    with pytest.raises(NotFittedError):
        clone(model).update(X, y)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("model", [BOTH[1], BOTH[3]], ids=str)
def test_weights_reach_the_model_with_and_without_routing(model, routing):
    X, y = series(100)
    weight = np.arange(100.0)
    with config_context(enable_metadata_routing=routing):
        inner = LinearRegression()
        if routing:
            inner.set_fit_request(sample_weight=True)
        model = clone(model).set_params(estimator=inner)
        plain = clone(model).fit(X, y).predict(X)
        weighted = clone(model).fit(X, y, sample_weight=weight).predict(X)
    assert not np.allclose(plain, weighted)
    if isinstance(model, AdaptiveConformalRegressor):  # refit on all rows
        twin = LinearRegression().fit(X, y, weight)
        assert_allclose(weighted, twin.predict(X))


# --- adaptive


def test_adaptive_is_the_function_on_its_scores():
    X, y = series(400)
    model = AdaptiveConformalRegressor(Ridge(), gamma=0.05, window=50)
    model.fit(X[:200], y[:200])
    twin = Ridge().fit(X[:150], y[:150])
    scores = np.abs(y - twin.predict(X))
    path = adaptive_thresholds(
        scores[200:], gamma=0.05, window=50, past_scores=scores[150:200]
    )
    missed = []
    for i in range(200, 400):
        low, high = model.predict_interval(X[i : i + 1])[0]
        missed.append(not low <= y[i] <= high)
        assert_array_equal(model.alpha_t_, path.level[i - 200])
        model.update(X[i : i + 1], y[i : i + 1])
    assert_array_equal(missed, path.missed)
    assert_array_equal(model.n_missed_, [path.missed.sum()])
    assert model.n_updates_ == 200


def test_adaptive_covers_a_shift_within_its_theorem():
    rng = np.random.default_rng(3)
    X, y = series(2400, seed=3)
    y = y + np.where(np.arange(2400) < 400, 0.0, 4.0) * rng.normal(size=2400)
    alpha, gamma = Fraction(1, 10), Fraction(1, 20)
    model = AdaptiveConformalRegressor(Ridge(), alpha=0.1, gamma=0.05, window=200)
    model.fit(X[:400], y[:400])
    low, high = model.predict_interval(X[400:]).T  # split conformal never learns
    split = np.mean((y[400:] < low) | (y[400:] > high))
    model.update(X[400:], y[400:])
    limit = (1 - alpha + gamma) / (2000 * gamma)
    assert abs(Fraction(int(model.n_missed_[0]), 2000) - alpha) <= limit
    assert split - 0.1 > 10 * limit


def test_adaptive_starts_as_split_conformal():
    """Of a fixed model on exchangeable rows: exactly rank / (n + 1) of coverage."""
    rng = np.random.default_rng(4)
    zero = DummyRegressor(strategy="constant", constant=0).fit([[0.0]], [0.0])
    model, held = AdaptiveConformalRegressor(zero, alpha=0.2), 0
    for _ in range(500):
        y = rng.normal(size=15)
        low, high = model.calibrate(np.zeros((14, 1)), y[:14]).predict_interval([[0]])[
            0
        ]
        held += low <= y[14] <= high
    assert stats.binomtest(held, 500, 12 / 15).pvalue > 1e-3


def test_adaptive_ends_of_the_level():
    X, y = np.zeros((40, 1)), np.arange(40.0)
    model = AdaptiveConformalRegressor(DummyRegressor(), gamma=0.5, alpha=0.5)
    model.fit(X, y)
    model.update(X[:2], [1e6, 1e6])  # 0.5 -> 0.25 -> 0
    assert_array_equal(model.alpha_t_, [0.0])
    assert_array_equal(model.predict_interval(X[:1]), [[-np.inf, np.inf]])
    model.update(X[:1], [1e9])  # held
    assert_array_equal(model.alpha_t_, [0.25])
    centre = model.predict(X[:1])[0]
    model.update(X[:3], [centre] * 3)
    assert_array_equal(model.alpha_t_, [1.0])
    assert_array_equal(model.predict_interval(X[:1]), [[centre, centre]])
    model.update(X[:1], [centre])  # counts as missed
    assert_array_equal(model.alpha_t_, [0.75])


def test_adaptive_warns_where_rows_are_too_few():
    X, y = series(20)
    model = AdaptiveConformalRegressor(Ridge(), calibration_size=8).fit(X, y)
    with pytest.warns(InfeasibleRankWarning, match="8 calibration rows"):
        interval = model.predict_interval(X)
    assert np.isinf(interval).all()
    with pytest.raises(ValueError, match=r"alpha is 0\.2; expected one of \[0\.1\]"):
        model.predict_interval(X, 0.2)


def test_adaptive_refit_trains_on_all_rows():
    X, y = series(100)
    model = AdaptiveConformalRegressor(LinearRegression(), refit=True)
    weight = np.arange(100.0)
    model.fit(X, y, sample_weight=weight)
    assert_allclose(model.predict(X), LinearRegression().fit(X, y, weight).predict(X))


# --- EnbPI


@pytest.mark.parametrize("block_length", [None, 1, 7])
def test_enbpi_residuals_are_those_of_the_loop(block_length):
    X, y = series(40)
    model = EnbPIRegressor(TREE, n_resamples=6, block_length=block_length)
    model.set_params(random_state=1)
    with pytest.warns(UserWarning, match="Increase n_resamples"):
        model.fit(X, y)
    bags = draw_bags(40, 6, block_length, np.random.RandomState(1))
    for fitted, bag in zip(model.estimators_, bags, strict=True):
        assert_array_equal(
            fitted.predict(X), clone(TREE).fit(X[bag], y[bag]).predict(X)
        )
    twin = oracles.enbpi_residuals(model.estimators_, bags, X, y)
    assert 0 < len(twin) < 40
    assert_allclose(model.residuals_, twin, atol=1e-14)
    points = np.mean([m.predict(X) for m in model.estimators_], axis=0)
    assert_allclose(model.predict(X), points)
    model.update(X[:3], y[:3])
    latest = np.append(twin, y[:3] - points[:3])[-len(twin) :]
    assert_allclose(model.residuals_, latest, atol=1e-14)


def test_bags_are_blocks_and_treat_rows_alike():
    bags = draw_bags(30, 4000, 4, np.random.RandomState(0))
    assert bags.shape == (4000, 30)
    steps = (bags[:, 1:] - bags[:, :-1]) % 30
    inside = np.arange(1, 30) % 4 != 0
    assert (steps[:, inside] == 1).all()
    counts = np.bincount(bags[:, :4].ravel(), minlength=30)  # one block of each bag
    assert stats.chisquare(counts[::4]).pvalue > 1e-3
    assert draw_bags(1000, 1, None, np.random.RandomState(0))[0, 9] == (
        draw_bags(1000, 1, None, np.random.RandomState(0))[0, 0] + 9
    )


def test_means_of_rows_that_all_have_seen_are_missing():
    means = left_out_means(np.array([[1.0, 2.0], [3.0, 4.0]]), [[0, 0], [0, 1]])
    assert_array_equal(means, [np.nan, 2.0])
    with pytest.raises(ValueError, match="All resamples hold all of n_samples=1"):
        EnbPIRegressor(TREE).fit([[0.0]], [0.0])


@pytest.mark.parametrize("tenths", [1, 2, 5])
@pytest.mark.parametrize("n", [1, 5, 19, 20, 41])
def test_narrowest_pair_is_that_of_all_pairs(n, tenths):
    rng = np.random.default_rng(n)
    residuals = np.sort(rng.integers(0, 12, n) ** 2)
    alpha = Fraction(tenths, 10)
    ours = narrowest_pair(residuals.astype(float), alpha)
    twin = oracles.narrowest(residuals, alpha)
    assert ours[1] - ours[0] == twin[1] - twin[0]
    assert ours[0] in (*residuals, -np.inf)


def test_enbpi_of_a_fixed_model_covers_exactly():
    """Residuals are then exchangeable: rank differences over n + 1."""
    rng, held = np.random.default_rng(5), 0
    X = np.zeros((19, 1))
    model = EnbPIRegressor(Zero(), n_resamples=30, alpha=0.2, random_state=0)
    for _ in range(300):
        y = rng.normal(size=20)
        low, high = model.fit(X, y[:19]).predict_interval(X[:1])[0]
        held += low <= y[19] <= high
    assert stats.binomtest(held, 300, 16 / 20).pvalue > 1e-3


def test_enbpi_follows_residuals_that_shift():
    X, y = series(700)
    model = EnbPIRegressor(Ridge(), random_state=0).fit(X[:200], y[:200])
    y[200:] += 10.0
    low, high = model.predict_interval(X[450:]).T
    assert np.mean((low <= y[450:]) & (y[450:] <= high)) == 0.0
    low, high = model.update(X[200:450], y[200:450]).predict_interval(X[450:]).T
    # At least what 250 rows of coverage 0.85 would show.
    held = int(np.sum((low <= y[450:]) & (y[450:] <= high)))
    assert stats.binomtest(held, 250, 0.85, alternative="less").pvalue > 1e-3


def test_enbpi_too_few_residuals_are_infinite():
    X, y = series(18)
    model = EnbPIRegressor(Ridge(), n_resamples=60, random_state=0).fit(X, y)
    for narrowest in (False, True):
        with pytest.warns(InfeasibleRankWarning, match="18 calibration rows"):
            interval = model.set_params(narrowest=narrowest).predict_interval(X)
        assert np.isinf(interval).all()


def test_enbpi_does_not_depend_on_jobs_and_seeds_its_models():
    X, y = series(80)
    model = EnbPIRegressor(
        DecisionTreeRegressor(max_depth=2, max_features=1),
        n_resamples=30,
        random_state=3,
    )
    one = clone(model).fit(X, y)
    two = clone(model).set_params(n_jobs=2).fit(X, y)
    assert_array_equal(one.predict_interval(X), two.predict_interval(X))
    assert model.estimator.random_state is None
    seeds = {tree.random_state for tree in one.estimators_}
    assert len(seeds) == 30


@pytest.mark.skipif(not DATA.exists(), reason="the real tables are not at hand")
def test_demand_is_covered_in_every_quarter():
    """Half-hourly electricity demand, whose errors shift with the seasons."""
    pd = pytest.importorskip("pandas")
    y = pd.read_parquet(DATA / "vic_elec.parquet")["target"].to_numpy()[::2]
    X, y = np.column_stack([y[168 - 24 : -24], y[:-168]]), y[168:]  # a day, a week ago
    model = AdaptiveConformalRegressor(Ridge(), gamma=0.05, window=500)
    model.fit(X[:2000], y[:2000])
    low, high = model.predict_interval(X[2000:]).T
    fixed = (y[2000:] < low) | (y[2000:] > high)
    limit = (0.9 + 0.05) / (2190 * 0.05)
    worst = 0.0
    for start in range(2000, 20_000, 2190):
        before = model.n_missed_[0]
        rows = slice(start, start + 2190)
        model.update(X[rows], y[rows])
        share = (model.n_missed_[0] - before) / 2190
        # From any level inside [-gamma, 1 + gamma] the bound has one more gamma.
        assert abs(share - 0.1) <= limit + 0.15 / (2190 * 0.05)
        worst = max(worst, abs(fixed[start - 2000 : start + 190].mean() - 0.1))
    assert worst > 2 * limit
