"""Split conformal: residuals, groups, normalisers, one-sided quantiles."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import KFold, ShuffleSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from ensemblekit import (
    AverageRegressor,
    ConformalRegressor,
    ForestQuantileRegressor,
    InfeasibleRankWarning,
    StackedRegressor,
    conformal_rank,
)

from . import oracles_regressor as oracles

KNOWN = ConformalRegressor(oracles.Known())
TAUS = [0.05, 0.2, 0.5, 0.7, 0.95]


def make_table(n=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 2))
    return X, 3 * X[:, 0] + rng.normal(size=n) * np.exp(X[:, 1])


def known(n, seed, digits=None):
    """Rows whose prediction is their column; rounded, so that residuals tie."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, 1)), rng.normal(size=n)
    return (X, y) if digits is None else (X.round(digits), y.round(digits))


@pytest.mark.filterwarnings("ignore::ensemblekit.InfeasibleRankWarning")
@pytest.mark.parametrize("n", [1, 2, 8, 9, 10, 33])
@pytest.mark.parametrize("digits", [None, 0])
def test_equals_brute_force(n, digits):
    X, y = known(n, n, digits)
    new = np.array([[-1.0], [0.5]])
    model = clone(KNOWN).calibrate(X, y)
    for alpha in (0.01, 0.1, 0.3, 0.5, 0.9):
        expected = [oracles.split_interval(y - X[:, 0], x[0], alpha) for x in new]
        assert_array_equal(model.predict_interval(new, alpha), expected)


@pytest.mark.parametrize("alpha", [Fraction(1, 3), "0.2", Decimal("0.2"), ["0.1", 0.3]])
def test_alpha_is_any_exact_number(alpha):
    X, y = known(40, 0)
    model = clone(KNOWN).set_params(alpha=alpha).calibrate(X, y)
    halves = [
        oracles.threshold(np.abs(y - X[:, 0]), a)
        for a in (alpha if isinstance(alpha, list) else [alpha])
    ]
    bounds = model.predict_interval(X).reshape(40, 2, -1)
    assert_allclose(bounds[:, 1] - X, np.tile(halves, (40, 1)))


def test_the_warning_points_at_the_call():
    X, y = known(5, 0)
    model = clone(KNOWN).calibrate(X, y)
    grouped = clone(KNOWN).calibrate(X, y, [0] * 5)
    for call in (
        lambda: model.predict_interval(X),
        lambda: model.predict_quantiles(X, [0.1]),
        lambda: grouped.predict_interval(X, groups=[0] * 5),
    ):
        with pytest.warns(InfeasibleRankWarning) as caught:
            call()
        assert len(caught) == 1
        assert caught[0].filename == __file__


def test_eight_rows_are_too_few_and_nine_are_not():
    X, y = known(9, 0)
    with pytest.warns(InfeasibleRankWarning, match="8 calibration rows.*At least 9"):
        found = clone(KNOWN).calibrate(X[:8], y[:8]).predict_interval(X)
    assert_array_equal(found[:, 0], -np.inf)
    assert_array_equal(found[:, 1], np.inf)
    found = clone(KNOWN).calibrate(X, y).predict_interval(X)
    assert_array_equal(found[:, 1] - X[:, 0], np.abs(y - X[:, 0]).max())


@pytest.mark.parametrize(("n", "alpha"), [(19, 0.1), (99, 0.1), (60, 0.05)])
def test_coverage_given_calibration_is_beta(n, alpha):
    # |y - 0| is uniform, so the coverage of an interval is its half-width.
    rng = np.random.default_rng(n)
    X, draws = np.zeros((n, 1)), []
    for _ in range(1500):
        model = clone(KNOWN).calibrate(X, rng.uniform(-1, 1, n))
        draws.append(model.predict_interval(X[:1], alpha)[0, 1])
    k = conformal_rank(n, alpha)
    assert stats.kstest(draws, stats.beta(k, n + 1 - k).cdf).pvalue > 1e-3


def test_one_fit_covers_a_new_row_as_often_as_the_rank_says():
    # One new row a draw: a coin of chance k / (n + 1), whatever the model.
    n_draws, covered = 1200, 0
    model = ConformalRegressor(LinearRegression(), alpha=0.2, calibration_size=13)
    for seed in range(n_draws):
        X, y = make_table(31, seed)
        low, high = (
            clone(model)
            .set_params(random_state=seed)
            .fit(X[:-1], y[:-1])
            .predict_interval(X[-1:])[0]
        )
        covered += low <= y[-1] <= high
    chance = conformal_rank(13, 0.2) / 14
    assert stats.binomtest(covered, n_draws, chance).pvalue > 1e-3


def test_fit_trains_on_the_other_rows():
    X, y = make_table()
    X[:, 0] = np.arange(200)
    model = ConformalRegressor(oracles.Recorder(), random_state=3).fit(X, y)
    rows = model.calibrated_.model.rows_.astype(int)
    held = np.setdiff1d(np.arange(200), rows)
    assert len(held) == model.n_calibration_ == 50
    half = oracles.threshold(np.abs(y[held] - y[rows].mean()), 0.1)
    assert_allclose(np.diff(model.predict_interval(X)), 2 * half)


def test_the_first_split_of_cv_calibrates():
    X, y = make_table()
    X[:, 0] = np.arange(200)
    model = ConformalRegressor(oracles.Recorder(), cv=KFold(4)).fit(X, y)
    assert_array_equal(model.calibrated_.model.rows_, np.arange(50, 200))
    splitter = ShuffleSplit(3, test_size=20, random_state=0)
    assert ConformalRegressor(Ridge(), cv=splitter).fit(X, y).n_calibration_ == 20
    with pytest.raises(ValueError, match="common row"):
        ConformalRegressor(Ridge(), cv=[([0, 1, 2], [2, 3])]).fit(X, y)


def test_weights_reach_the_model_and_rows_of_none_do_not_calibrate():
    X, y = make_table()
    X[:, 0] = np.arange(200)
    weight = np.random.default_rng(0).integers(0, 3, 200).astype(float)
    model = ConformalRegressor(oracles.Recorder(), random_state=0)
    model.fit(X, y, sample_weight=weight)
    inner = model.calibrated_.model
    rows = inner.rows_.astype(int)
    assert_array_equal(inner.weight_, weight[rows])
    held = np.setdiff1d(np.arange(200), rows)
    assert model.n_calibration_ == (weight[held] > 0).sum() < len(held)
    piped = make_pipeline(StandardScaler(), oracles.Recorder())
    outer = ConformalRegressor(piped, random_state=0).fit(X, y, sample_weight=weight)
    assert_array_equal(outer.calibrated_.model[-1].weight_, weight[rows])


def test_weights_that_a_model_does_not_take_are_refused():
    X, y = make_table()
    model = ConformalRegressor(oracles.Known())
    with pytest.raises(ValueError, match="takes no sample_weight"):
        model.fit(X, y, sample_weight=np.ones(200))


def test_a_frozen_estimator_leaves_all_rows_to_calibrate():
    X, y = make_table()
    ridge = Ridge().fit(X[:50], y[:50])
    model = ConformalRegressor(FrozenEstimator(ridge)).fit(X[50:], y[50:])
    direct = ConformalRegressor(ridge).calibrate(X[50:], y[50:])
    assert model.n_calibration_ == 150
    assert_array_equal(model.predict_interval(X), direct.predict_interval(X))
    assert direct.estimator is ridge


def test_a_normalizer_is_trained_beside_a_frozen_estimator():
    X, y = make_table()
    frozen = FrozenEstimator(Ridge().fit(X[:50], y[:50]))
    split = [(np.arange(100), np.arange(100, 150))]
    model = ConformalRegressor(frozen, normalizer=Ridge(), cv=split)
    model.fit(X[50:], y[50:])
    assert model.n_calibration_ == 50
    sizes = np.abs(y - frozen.predict(X))
    scale = Ridge().fit(X[50:150], sizes[50:150]).predict(X)
    scale = np.maximum(scale, 0.0) + 0.01 * y[50:150].std()
    ratio = oracles.threshold((sizes / scale)[150:], 0.1)
    expected = frozen.predict(X) + ratio * scale
    assert_allclose(model.predict_interval(X)[:, 1], expected)


def test_calibrate_takes_the_ratio_of_now_and_refuses_another_method():
    X, y = known(40, 0)
    model = clone(KNOWN).calibrate(X, y)
    model.set_params(likelihood_ratio=lambda X: np.exp(X[:, 0]))
    weighted = clone(model).calibrate(X, y).predict_interval(X)
    assert_array_equal(model.calibrate(X, y).predict_interval(X), weighted)
    with pytest.raises(ValueError, match="fitted with method='split', and method is"):
        model.set_params(method="cqr").calibrate(X, y)


def test_calibrate_again_keeps_the_model():
    X, y = make_table(400)
    model = ConformalRegressor(Ridge(), random_state=0).fit(X[:200], y[:200])
    before = model.predict(X)
    model.calibrate(X[200:], y[200:])
    assert model.n_calibration_ == 200
    assert_array_equal(model.predict(X), before)
    half = oracles.threshold(np.abs(y[200:] - before[200:]), 0.1)
    assert_allclose(model.predict_interval(X)[:, 1] - before, half)


def test_calibrate_needs_a_fitted_model():
    X, y = make_table()
    with pytest.raises(NotFittedError):
        ConformalRegressor(Ridge()).calibrate(X, y)
    with pytest.raises(ValueError, match="estimator is None"):
        ConformalRegressor().calibrate(X, y)


# Groups


def test_groups_equal_a_split_of_each():
    X, y = known(90, 0)
    groups = np.array(["a", "b", "a"])[np.arange(90) % 3]
    model = clone(KNOWN).calibrate(X, y, groups)
    assert model.group_counts_ == {"a": 60, "b": 30}
    found = model.predict_interval(X, [0.1, 0.3], groups)
    for name in "ab":
        mine = groups == name
        alone = clone(KNOWN).calibrate(X[mine], y[mine])
        assert_array_equal(found[mine], alone.predict_interval(X[mine], [0.1, 0.3]))
        quantiles = model.predict_quantiles(X[mine], TAUS, groups[mine])
        assert_array_equal(quantiles, alone.predict_quantiles(X[mine], TAUS))


def test_one_group_equals_none():
    X, y = make_table()
    plain = ConformalRegressor(Ridge(), random_state=0).fit(X, y)
    grouped = ConformalRegressor(Ridge(), random_state=0).fit(X, y, groups=[1] * 200)
    assert plain.group_counts_ is None
    found = grouped.predict_interval(X, groups=[1] * 200)
    assert_array_equal(found, plain.predict_interval(X))


def test_groups_unknown_or_small_have_infinite_bounds():
    X, y = known(40, 0)
    groups = np.repeat(["large", "small"], [35, 5])
    model = clone(KNOWN).calibrate(X, y, groups)
    asked = ["large", "small", "other", "zz"]
    with pytest.warns(InfeasibleRankWarning, match=r"unknown ones, small \(5 rows\)"):
        found = model.predict_interval(X[:4], groups=asked)
    assert_array_equal(np.isfinite(found[:, 1]), [True, False, False, False])
    with pytest.warns(InfeasibleRankWarning):
        quantiles = model.predict_quantiles(X[:4], TAUS, groups=asked)
    assert_array_equal(quantiles[2:, 2], X[2:4, 0])
    assert_array_equal(quantiles[2:, [0, -1]], [[-np.inf, np.inf]] * 2)
    model.predict_interval(X[:1], groups=["large"])  # no warning


def test_groups_are_given_to_both_or_to_neither():
    X, y = known(40, 0)
    with pytest.raises(ValueError, match="was without groups, and this call has them"):
        clone(KNOWN).calibrate(X, y).predict_interval(X, groups=[0] * 40)
    model = clone(KNOWN).calibrate(X, y, [0] * 40)
    with pytest.raises(ValueError, match="was with groups, and this call lacks them"):
        model.predict_interval(X)
    with pytest.raises(ValueError, match=r"groups has shape \(39,\); expected \(40,\)"):
        model.predict_interval(X, groups=[0] * 39)
    for bad, message in [
        ([None, "a"] * 20, "groups is None or NaN .20 rows, first at row 0"),
        ([1.0, np.nan] * 20, "groups is None or NaN .20 rows, first at row 1"),
        (np.array([1, "a"] * 20, dtype=object), "groups holds values of"),
    ]:
        with pytest.raises(ValueError, match=message):
            clone(KNOWN).calibrate(X, y, bad)
        with pytest.raises(ValueError, match=message):
            model.predict_interval(X, groups=bad)
    with pytest.raises(ValueError, match=r"expected .*one for each row"):
        clone(KNOWN).calibrate(X, y, [[0]] * 40)


# Normalisers


def test_a_constant_normalizer_equals_none():
    X, y = make_table()
    plain = ConformalRegressor(Ridge(), random_state=0).fit(X, y)
    flat = ConformalRegressor(Ridge(), normalizer=DummyRegressor(), random_state=0)
    found = flat.fit(X, y).predict_interval(X, [0.1, 0.4])
    assert_allclose(found, plain.predict_interval(X, [0.1, 0.4]), rtol=1e-12)


def test_the_normalizer_learns_residuals_of_held_out_rows():
    X, y = make_table()
    split = [(np.arange(150), np.arange(150, 200))]
    tree = DecisionTreeRegressor(min_samples_leaf=20, random_state=0)
    memory = DecisionTreeRegressor(random_state=0)  # its own residuals are all 0
    model = ConformalRegressor(memory, normalizer=tree, cv=split, random_state=5)
    model.fit(X, y)
    seed = np.random.RandomState(5).randint(np.iinfo(np.int32).max)
    folds = KFold(5, shuffle=True, random_state=seed)
    X_train, y_train = X[:150], y[:150]
    sizes = np.abs(y_train - cross_val_predict(memory, X_train, y_train, cv=folds))
    scale = tree.fit(X_train, sizes).predict(X) + 0.01 * y_train.std()
    centre = memory.fit(X_train, y_train).predict(X)
    ratio = oracles.threshold((np.abs(y - centre) / scale)[150:], 0.1)
    expected = np.column_stack([centre - ratio * scale, centre + ratio * scale])
    assert_allclose(model.predict_interval(X), expected)
    assert np.ptp(np.diff(expected)) > 0.1


def test_spread_of_quantiles_and_of_members():
    X, y = make_table()
    forest = ForestQuantileRegressor(ExtraTreesRegressor(20, random_state=0))
    trees = ExtraTreesRegressor(10, min_samples_leaf=5, random_state=0)
    stack = StackedRegressor([("ridge", Ridge()), ("trees", trees)], AverageRegressor())
    held = [(np.arange(150), np.arange(150, 200))]
    beta = 0.01 * y[:150].std()
    for estimator in (forest, stack, make_pipeline(StandardScaler(), stack)):
        model = ConformalRegressor(estimator, normalizer="spread", cv=held).fit(X, y)
        fitted = clone(estimator).fit(X[:150], y[:150])
        if estimator is forest:
            quantiles = fitted.predict_quantiles(X)
            spread = quantiles[:, -1] - quantiles[:, 0]
        else:
            spread = fitted.transform(X).std(axis=1)
        scale, centre = spread + beta, fitted.predict(X)
        ratio = oracles.threshold((np.abs(y - centre) / scale)[150:], 0.1)
        found = model.predict_interval(X)
        assert_allclose(found[:, 1], centre + ratio * scale, rtol=1e-10)


def test_normalizers_that_cannot_be_used_are_refused():
    X, y = known(40, 0)
    with pytest.raises(ValueError, match=r"'spread' needs an estimator.*got Ridge"):
        ConformalRegressor(Ridge(), normalizer="spread").fit(X, y)
    with pytest.raises(NotFittedError):
        ConformalRegressor(oracles.Known(), normalizer=Ridge()).calibrate(X, y)
    model = ConformalRegressor(oracles.Known(), normalizer=oracles.Known())
    with pytest.raises(ValueError, match=r"not positive .*first at row"):
        model.calibrate(X, y)
    positive = np.abs(X) + 0.1
    model.calibrate(positive, y)  # one that is fitted and positive
    half = oracles.threshold(np.abs(y / positive[:, 0] - 1), 0.1)
    found = model.predict_interval(positive)
    assert_allclose(found[:, 1], positive[:, 0] * (1 + half))


# One-sided quantiles


@pytest.mark.parametrize("n", [1, 5, 40])
@pytest.mark.filterwarnings("ignore::ensemblekit.InfeasibleRankWarning")
def test_quantiles_equal_two_one_sided_splits(n):
    X, y = known(n, n, 1)
    residuals = y - X[:, 0]
    found = clone(KNOWN).calibrate(X, y).predict_quantiles([[2.0]], TAUS)[0]
    lower = [2.0 - oracles.threshold(-residuals, tau) for tau in TAUS[:2]]
    upper = [2.0 + oracles.threshold(residuals, t) for t in ("0.3", "0.05")]
    assert_array_equal(found[[0, 1, 3, 4]], [*lower, *upper])
    assert_allclose(found[2], 2.0 + np.median(residuals))
    assert (found[1:] >= found[:-1]).all()


def test_quantiles_bound_from_each_side():
    n, n_draws = 30, 1500
    rng = np.random.default_rng(0)
    below = np.zeros(len(TAUS))
    for _ in range(n_draws):
        y = rng.exponential(size=n + 1)
        model = clone(KNOWN).calibrate(np.zeros((n, 1)), y[:-1])
        with np.errstate(all="raise"):
            below += y[-1] <= model.predict_quantiles([[0.0]], TAUS)[0]
    for count, tau in zip(below, TAUS, strict=True):
        rank = np.floor(31 * tau + 1e-9) if tau < 0.5 else np.ceil(31 * tau - 1e-9)
        if tau != 0.5:
            assert stats.binomtest(int(count), n_draws, rank / 31).pvalue > 1e-3
