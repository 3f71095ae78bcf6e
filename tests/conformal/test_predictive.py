"""Predictive systems: exact uniformity, brute force, groups, refusals."""

import math
import pickle
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse, stats
from sklearn import config_context
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from ensemblekit import (
    ConformalPredictiveRegressor,
    InfeasibleRankWarning,
    crps_from_ensemble,
    predictive_cdf,
    predictive_crps,
    predictive_quantiles,
)

from . import oracles_predictive as oracles

SMALL = st.lists(st.integers(-3, 3), min_size=1, max_size=9)  # many ties


def table(n=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, X @ [1.0, -2.0, 0.5] + rng.normal(size=n) * (0.2 + np.abs(X[:, 0]))


# --- arrays


@settings(deadline=None, max_examples=60)
@given(SMALL, st.integers(-4, 4), st.sampled_from([0.0, 0.25, 1.0]))
def test_cdf_and_crps_are_those_of_the_loops(residuals, y, between):
    ours = predictive_cdf(residuals, [1.0], [y], between=between)
    assert_array_equal(ours, [oracles.cdf(residuals, 1.0, y, between)])
    ours = predictive_crps(residuals, [1.0], [y])
    assert_allclose(ours, [oracles.crps(residuals, 1.0, y)], atol=1e-13)
    assert_allclose(ours, [oracles.crps_by_integral(residuals, 1.0, y)], atol=1e-13)


@settings(deadline=None, max_examples=60)
@given(SMALL, st.lists(st.integers(1, 99), min_size=1, max_size=6, unique=True))
def test_quantiles_have_the_outward_exact_ranks(residuals, hundredths):
    levels = [h / 100 for h in sorted(hundredths)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InfeasibleRankWarning)
        ours = predictive_quantiles(residuals, [2.0], levels)[0]
    twins = [
        oracles.quantile(residuals, 2.0, Fraction(h, 100)) for h in sorted(hundredths)
    ]
    assert_array_equal(ours, twins)
    assert (ours[1:] >= ours[:-1]).all()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-2, 2), min_size=2, max_size=10))
def test_a_row_put_back_has_exactly_uniform_values(values):
    """Each of n + 1 rows in turn is new: values mix to the uniform distribution."""
    bounds = []
    for i, value in enumerate(values):
        others = values[:i] + values[i + 1 :]
        ends = [predictive_cdf(others, [0.0], value, between=b)[0] for b in (0, 1)]
        bounds.append([Fraction(round(e * len(values)), len(values)) for e in ends])
    for k in range(len(values) + 1):  # piecewise linear, so these points decide
        at = Fraction(k, len(values))
        mixed = sum(
            min(max((at - low) / (high - low), Fraction(0)), Fraction(1))
            for low, high in bounds
        )
        assert mixed / len(values) == at


def test_quantiles_and_distribution_function_are_inverse():
    # Eighths, so that sums are exact.
    residuals, levels = (np.arange(99) ** 2 - 700) / 8, np.arange(1, 100) / 100
    Q = predictive_quantiles(residuals, [3.0], levels)
    # k-th of 99 residuals is the quantile at k / 100, which is its lower bound + 1/100.
    assert_allclose(predictive_cdf(residuals, [3.0], Q, between=0.5)[0], levels)
    assert_allclose(
        predictive_cdf(residuals, [3.0], Q, between=0)[0], levels - 0.01, atol=1e-15
    )


def test_scale_and_several_values():
    rng = np.random.default_rng(2)
    residuals, centre = rng.normal(size=30), rng.normal(size=5)
    scale, y = rng.uniform(0.5, 2.0, 5), rng.normal(size=(5, 4))
    cdf = predictive_cdf(residuals, centre, y, scale)
    crps = predictive_crps(residuals, centre, y, scale)
    for i in range(5):
        for j in range(4):
            atoms = scale[i] * residuals
            assert cdf[i, j] == oracles.cdf(atoms, centre[i], y[i, j], 0.5)
            assert_allclose(crps[i, j], oracles.crps(atoms, centre[i], y[i, j]))
    assert_array_equal(predictive_cdf(residuals, centre, 0.0, scale).shape, [5])


def test_crps_of_many_rows_with_a_large_offset():
    rng = np.random.default_rng(3)
    residuals, y = 1e9 + rng.normal(size=200), rng.normal(size=50)
    draws = np.broadcast_to(residuals, (50, 200)) - 1e9
    ours = predictive_crps(residuals, np.full(50, -1e9), y)
    assert_allclose(ours, crps_from_ensemble(y, draws, average=False), rtol=1e-5)


def test_targets_beyond_all_residuals():
    far = [-np.inf, np.inf]
    assert_array_equal(
        predictive_cdf([0.0, 1.0], [0, 0], far, between=[0, 1]), [0.0, 1.0]
    )
    assert_array_equal(predictive_crps([0.0, 1.0], [0, 0], far), [np.inf, np.inf])


@pytest.mark.parametrize(
    "call",
    [
        lambda: predictive_cdf([[1.0]], [1.0], [1.0]),
        lambda: predictive_cdf([np.nan], [1.0], [1.0]),
        lambda: predictive_cdf([1.0], [[1.0]], [1.0]),
        lambda: predictive_cdf([1.0], [1.0], [np.nan]),
        lambda: predictive_cdf([1.0], [1.0], [1.0, 2.0]),
        lambda: predictive_cdf([1.0], [1.0], [1.0], [0.0]),
        lambda: predictive_cdf([1.0], [1.0], [1.0], between=1.1),
        lambda: predictive_cdf([1.0], [1.0], [1.0], between=[0.1, 0.2]),
        lambda: predictive_crps([], [1.0], [1.0]),
        lambda: predictive_quantiles([1.0], [1.0], [0.5, 0.4]),
        lambda: predictive_quantiles([1.0], [1.0], [0.0]),
    ],
)
def test_unfit_arrays_are_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()


def test_agrees_with_crepes():
    crepes = pytest.importorskip("crepes", reason="crepes is a peer, not a need")
    rng = np.random.default_rng(4)
    residuals = rng.integers(-20, 20, 300) / 4.0  # sums are exact, so ties are the same
    centre, y = rng.integers(-9, 9, 200) / 4.0, rng.integers(-20, 20, 200) / 4.0
    system = crepes.ConformalPredictiveSystem().fit(residuals)
    draws = np.random.RandomState(5).rand(len(y))
    theirs = system.predict_p(centre, y, seed=5)
    assert_allclose(predictive_cdf(residuals, centre, y, between=draws), theirs)
    score = system.evaluate(centre, y, metrics=["CRPS"])["CRPS"]
    assert_allclose(predictive_crps(residuals, centre, y).mean(), score)


# --- the estimator


@pytest.mark.parametrize("normalizer", [None, DecisionTreeRegressor(max_depth=2)])
def test_methods_are_those_of_the_arrays(normalizer):
    X, y = table()
    model = ConformalPredictiveRegressor(
        Ridge(), normalizer=normalizer, random_state=0
    ).fit(X[:150], y[:150])
    (residuals,), centre = model.residuals_, model.predict(X[150:])
    scale = None if normalizer is None else model.normalizer_.predict(X[150:])
    y = y[150:]
    assert len(residuals) == 38
    assert (np.diff(residuals) >= 0).all()
    assert_array_equal(
        model.predict_cdf(X[150:], y), predictive_cdf(residuals, centre, y, scale)
    )
    assert_allclose(
        model.crps(X[150:], y), predictive_crps(residuals, centre, y, scale)
    )
    levels = [0.05, 0.5, 0.95]
    Q = model.predict_quantiles(X[150:], levels)
    assert_array_equal(Q, predictive_quantiles(residuals, centre, levels, scale))
    assert_array_equal(model.predict_interval(X[150:]), Q[:, [0, 2]])
    both = model.predict_interval(X[150:], [0.1, 0.5])
    assert both.shape == (50, 2, 2)
    assert_array_equal(both[:, :, 0], Q[:, [0, 2]])


def test_coverage_given_calibration_is_beta():
    """Of a fixed model and continuous y: exact law of the coverage of (k, k')."""
    rng = np.random.default_rng(6)
    model = ConformalPredictiveRegressor(
        DummyRegressor(strategy="constant", constant=0)
    )
    model.estimator.fit([[0.0]], [0.0])
    coverages = []
    for _ in range(400):
        y = rng.uniform(size=39)
        low, high = model.calibrate(np.zeros((39, 1)), y).predict_interval([[0.0]])[0]
        coverages.append(high - low)
    # Ranks 2 and 38 of 39: the mass between them is Beta(36, 4).
    assert stats.kstest(coverages, stats.beta(36, 4).cdf).pvalue > 1e-3


def test_pit_is_uniform_and_the_same_again():
    X, y = table(900)
    model = ConformalPredictiveRegressor(Ridge(), random_state=0).fit(X[:400], y[:400])
    pit = model.pit(X[400:], y[400:])
    assert_array_equal(pit, model.pit(X[400:], y[400:]))
    low, high = (model.predict_cdf(X[400:], y[400:], between=b) for b in (0, 1))
    assert ((low <= pit) & (pit <= high)).all()


def test_groups_are_calibrated_by_themselves():
    X, y = table(300)
    groups = np.where(X[:, 0] > 0, "high", "low")
    model = ConformalPredictiveRegressor(Ridge().fit(X[:100], y[:100]))
    pooled = model.calibrate(X[100:200], y[100:200], groups=groups[100:200])
    interval = pooled.predict_interval(X[200:], groups=groups[200:])
    crps = pooled.crps(X[200:], y[200:], groups=groups[200:])
    assert_array_equal(pooled.groups_, ["high", "low"])
    for name in ("high", "low"):
        rows, new = groups[100:200] == name, groups[200:] == name
        single = ConformalPredictiveRegressor(model.estimator)
        single.calibrate(X[100:200][rows], y[100:200][rows])
        assert_array_equal(interval[new], single.predict_interval(X[200:][new]))
        assert_allclose(crps[new], single.crps(X[200:][new], y[200:][new]))


def test_an_unseen_group_is_infinite_never_pooled():
    X, y = table(120)
    groups = np.repeat(["a", "b"], 60)
    model = ConformalPredictiveRegressor(Ridge(), random_state=0)
    model.fit(X, y, groups=groups)
    with pytest.warns(InfeasibleRankWarning, match="0 calibration rows in group 'c'"):
        interval = model.predict_interval(X[:2], 0.5, groups=["c", "a"])
    assert_array_equal(interval[0], [-np.inf, np.inf])
    assert np.isfinite(interval[1]).all()
    assert_array_equal(model.crps(X[:1], y[:1], groups=["c"]), [np.inf])
    assert_array_equal(model.predict_cdf(X[:1], y[:1], groups=["c"]), [0.5])
    with pytest.raises(ValueError, match="with groups"):
        model.predict_interval(X)
    with pytest.raises(ValueError, match=r"expected \(120,\)"):
        model.predict_cdf(X, y, groups=["a"])
    with pytest.raises(ValueError, match="without groups"):
        model.fit(X, y).predict_interval(X, groups=groups)


def test_an_infeasible_rank_is_infinite_with_one_warning():
    X, y = table(40)
    model = ConformalPredictiveRegressor(Ridge(), calibration_size=18).fit(X, y)
    with pytest.warns(InfeasibleRankWarning, match="18 calibration rows") as caught:
        interval = model.predict_interval(X, [0.1, 0.2])
    assert len(caught) == 1
    assert np.isinf(interval[:, :, 0]).all()
    assert np.isfinite(interval[:, :, 1]).all()
    model.set_params(calibration_size=19).fit(X, y)
    assert np.isfinite(model.predict_interval(X)).all()


def trained_rows(n):
    """The rows that train with random_state=0: a quarter are held out first."""
    seed = np.random.RandomState(0).randint(2**31 - 1)
    order = np.random.RandomState(seed).permutation(n)
    return np.sort(order[math.ceil(n / 4) :])


def test_weights_reach_the_wrapped_model_through_a_pipeline():
    X, y = table(60)
    weight = np.arange(1.0, 61.0)
    inner = make_pipeline(StandardScaler(), LinearRegression())
    model = ConformalPredictiveRegressor(inner, random_state=0)
    weighted = model.fit(X, y, sample_weight=weight).predict(X)
    train = trained_rows(60)
    twin = clone(inner).fit(
        X[train], y[train], linearregression__sample_weight=weight[train]
    )
    assert_allclose(weighted, twin.predict(X))
    assert not np.allclose(weighted, clone(model).fit(X, y).predict(X))


@pytest.mark.parametrize("routing", [False, True])
def test_the_normalizer_learns_from_weighted_folds(routing):
    X, y = table(100)
    weight = np.random.default_rng(7).integers(1, 9, 100).astype(float)
    with config_context(enable_metadata_routing=routing):
        inner = LinearRegression()
        if routing:
            inner.set_fit_request(sample_weight=True)
        model = ConformalPredictiveRegressor(
            inner, normalizer=DecisionTreeRegressor(max_depth=2), random_state=0
        ).fit(X, y, sample_weight=weight)
    train, seed = trained_rows(100), np.random.RandomState(0).randint(2**31 - 1)
    sizes = np.empty(75)
    for own, fold in KFold(5, shuffle=True, random_state=seed).split(train):
        rest = train[own]
        part = LinearRegression().fit(X[rest], y[rest], weight[rest])
        sizes[fold] = np.abs(y[train[fold]] - part.predict(X[train[fold]]))
    twin = DecisionTreeRegressor(max_depth=2).fit(X[train], sizes)
    assert_allclose(model.normalizer_.predict(X), twin.predict(X))


def test_score_is_the_skill_over_the_distribution_of_y():
    X, y = table(300)
    model = ConformalPredictiveRegressor(Ridge(), random_state=0).fit(X[:200], y[:200])
    X, y = X[200:], y[200:]
    spread = 0.5 * np.abs(y[:, None] - y).mean()
    assert_allclose(model.score(X, y), 1 - model.crps(X, y).mean() / spread)
    weight = np.random.default_rng(0).integers(0, 3, 100)
    twice = np.repeat(np.arange(100), weight)
    assert_allclose(model.score(X, y, weight), model.score(X[twice], y[twice]))
    assert model.score(X[:3], [1.0, 1.0, 1.0]) == 0.0


def test_drops_into_scikit_learn():
    X, y = table(120)
    model = ConformalPredictiveRegressor(Ridge(), random_state=0)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), model),
        {"conformalpredictiveregressor__estimator__alpha": [0.1, 1e4]},
        cv=3,
    ).fit(X, y)
    assert search.best_params_["conformalpredictiveregressor__estimator__alpha"] == 0.1
    again = pickle.loads(pickle.dumps(model.fit(X, y)))
    assert_array_equal(again.predict_interval(X), model.predict_interval(X))
    thin = clone(model).fit(sparse.csr_matrix(X), y)
    assert_allclose(
        thin.predict_interval(sparse.csr_matrix(X)), model.predict_interval(X)
    )


def test_frames_keep_their_columns():
    pd = pytest.importorskip("pandas")
    X, y = table(80)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = ConformalPredictiveRegressor(Ridge(), random_state=0).fit(frame, y)
    assert_array_equal(model.feature_names_in_, ["a", "b", "c"])
    assert_array_equal(model.estimator_.feature_names_in_, ["a", "b", "c"])


def test_the_default_is_a_stack():
    from ensemblekit import StackedRegressor

    assert isinstance(ConformalPredictiveRegressor()._wrapped(), StackedRegressor)


def test_what_is_refused():
    X, y = table(30)
    with pytest.raises(ValueError, match="leaves 0 rows to train on"):
        ConformalPredictiveRegressor(Ridge(), calibration_size=30).fit(X, y)
    with pytest.raises(ValueError, match="n_samples=1 to train on"):
        ConformalPredictiveRegressor(
            Ridge(), calibration_size=29, normalizer=Ridge()
        ).fit(X, y)
    with pytest.raises(ValueError, match="calibration_size"):
        ConformalPredictiveRegressor(Ridge(), calibration_size=0.0).fit(X, y)
    with pytest.raises(NotFittedError):
        ConformalPredictiveRegressor(Ridge()).calibrate(X, y)
    with pytest.raises(NotFittedError):
        ConformalPredictiveRegressor(Ridge()).predict_interval(X)
    negative = DummyRegressor(strategy="constant", constant=-1.0).fit(X, y)
    with pytest.raises(ValueError, match="sizes of 0 or less"):
        ConformalPredictiveRegressor(Ridge().fit(X, y), normalizer=negative).calibrate(
            X, y
        )
    with pytest.raises(ValueError, match=r"alpha is 1\.5"):
        ConformalPredictiveRegressor(Ridge()).fit(X, y).predict_interval(X, 1.5)
