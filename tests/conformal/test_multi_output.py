"""Regions of several outputs: twins, formulas, exact joint coverage, refusals."""

import math
import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVR

from ensemblekit import (
    InfeasibleRankWarning,
    MultiOutputConformalRegressor,
    conformal_quantile,
    conformal_rank,
)

from . import oracles_regions as oracles

REGIONS = ["box", "bonferroni", "ellipsoid", "distributional"]
BOXES = ["box", "bonferroni", "distributional"]
FOREST = RandomForestRegressor(20, min_samples_leaf=5, random_state=0)


def make_table(n=300, n_outputs=2, seed=0):
    """Correlated noise whose size depends on the row."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 3))
    mix = np.tril(np.ones((n_outputs, n_outputs)))
    noise = rng.normal(size=(n, n_outputs)) @ mix.T
    return X, X[:, :1] * (1.0 + np.arange(n_outputs)) + noise * np.exp(X[:, 1:2])


def make_model(region="box", **options):
    estimator = FOREST if region == "distributional" else Ridge()
    options = {"random_state": 0, "alpha": 0.2, **options}
    return MultiOutputConformalRegressor(estimator, region=region, **options)


class Zero(RegressorMixin, BaseEstimator):
    """Trained elsewhere: predicts zeros, knows no row."""

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        self.n_outputs_ = 1 if np.ndim(y) == 1 else np.shape(y)[1]
        return self

    def predict(self, X):
        return np.zeros((len(X), self.n_outputs_))


def split_rows(Y):
    """The rows that trained and calibrated, those of a plain random split; folds."""
    rng = np.random.RandomState(0)
    rng.randint(2**31 - 1)  # a seed for the model
    shuffled = rng.permutation(len(Y))
    count = math.ceil(0.25 * len(Y))
    folds = KFold(5, shuffle=True, random_state=rng)
    return np.sort(shuffled[count:]), np.sort(shuffled[:count]), folds


def test_box_equals_its_formula():
    X, Y = make_table()
    model = make_model().fit(X, Y)
    train, held, cv = split_rows(Y)
    residuals = Y[train] - cross_val_predict(Ridge(), X[train], Y[train], cv=cv)
    scale = np.abs(residuals).mean(axis=0)
    assert_allclose(model.scale_, scale)
    ridge = Ridge().fit(X[train], Y[train])
    scores = (np.abs(Y[held] - ridge.predict(X[held])) / scale).max(axis=1)
    half = conformal_quantile(scores, 0.2) * scale
    expected = ridge.predict(X)[:, :, None] + np.array([-1, 1]) * half[:, None]
    assert_allclose(model.predict_interval(X), expected)
    assert_allclose(model.volume(X), np.full(300, (2 * half).prod()))


def test_bonferroni_equals_a_split_for_each_output():
    X, Y = make_table(n_outputs=3)
    model = make_model("bonferroni", alpha=0.3).fit(X, Y)
    train, held, _ = split_rows(Y)
    ridge = Ridge().fit(X[train], Y[train])
    residuals = np.abs(Y[held] - ridge.predict(X[held]))
    half = [conformal_quantile(residuals[:, d], 0.1) for d in range(3)]
    expected = ridge.predict(X)[:, :, None] + np.outer(half, [-1, 1])
    assert_array_equal(model.predict_interval(X), expected)


def test_shares_of_alpha_are_exact():
    """0.3 / 3 is a tenth, so that 9 rows will do; in floats it is less."""
    X, Y = make_table(40, n_outputs=3)
    model = make_model("bonferroni", alpha=0.3, calibration_size=9).fit(X, Y)
    assert np.isfinite(model.predict_interval(X)).all()
    model = make_model("bonferroni", alpha=0.3, calibration_size=8).fit(X, Y)
    with pytest.warns(InfeasibleRankWarning, match="8 calibration rows.*At least 9"):
        assert np.isinf(model.predict_interval(X)).all()


def test_ellipsoid_equals_its_formula():
    X, Y = make_table(n_outputs=3)
    model = make_model("ellipsoid").fit(X, Y)
    train, held, cv = split_rows(Y)
    residuals = Y[train] - cross_val_predict(Ridge(), X[train], Y[train], cv=cv)
    location, covariance = residuals.mean(axis=0), np.cov(residuals.T, bias=True)
    diagonal = np.diag(np.diag(covariance))
    shape = diagonal + (covariance - diagonal) * len(train) / (len(train) + 3)
    assert_allclose(model.location_, location)
    assert_allclose(model.shape_, shape)
    ridge = Ridge().fit(X[train], Y[train])
    centred = Y - ridge.predict(X) - location
    scores = np.sqrt(np.einsum("ij,jk,ik->i", centred, np.linalg.inv(shape), centred))
    for alpha in (0.05, 0.2, 0.5):
        radius = conformal_quantile(scores[held], alpha)
        far = np.abs(scores - radius) > 1e-9  # the row at the radius is inside
        expected = scores <= radius
        assert_array_equal(model.contains(X, Y, alpha)[far], expected[far])
        assert model.contains(X, Y, alpha).sum() >= expected.sum()


@pytest.mark.parametrize("n_outputs", [1, 2, 4])
def test_volume_of_an_ellipsoid_by_draws(n_outputs):
    X, Y = make_table(n_outputs=n_outputs)
    model = make_model("ellipsoid").fit(X, Y)
    x = X[:1]
    centre = model.predict(x)[0] + model.location_
    radius = conformal_quantile(model.calibration_scores_[:, 0], 0.2)
    half = radius * np.sqrt(np.diag(model.shape_))
    n = 40000
    draws = np.random.default_rng(0).uniform(-half, half, (n, n_outputs)) + centre
    inside = model.contains(np.repeat(x, n, axis=0), draws).sum()
    share = model.volume(x)[0] / (2 * half).prod()
    assert share <= 1.0 + 1e-12
    low, high = stats.binom.interval(1 - 1e-6, n, min(share, 1.0))
    assert low <= inside <= high


def test_an_ellipsoid_is_smaller_than_a_box_of_correlated_residuals():
    X, Y = make_table(2000, n_outputs=4)
    volumes = [make_model(r).fit(X, Y).volume(X[:1])[0] for r in ("ellipsoid", "box")]
    assert volumes[0] < volumes[1]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", [RandomForestRegressor, ExtraTreesRegressor])
def test_distributional_equals_its_formula(weighted, kind):
    X, Y = make_table(160)
    Y = np.round(Y, 1)  # equal targets
    weight = np.random.default_rng(0).integers(1, 4, 160) * 1.0
    weight = weight if weighted else np.ones(160)
    forest = kind(7, min_samples_leaf=4, random_state=0)
    model = make_model("distributional").set_params(estimator=forest)
    model.fit(X, Y, **({"sample_weight": weight} if weighted else {}))
    train, held, _ = split_rows(Y)
    fitted, w = model.estimator_, weight[train]
    rows = [oracles.forest_weights(fitted, X[train], w, x) for x in X]
    depths = [
        oracles.forest_depth(r, Y[train], y) for r, y in zip(rows, Y, strict=True)
    ]
    depths = np.array(depths)
    assert_array_equal(model._scores(X, Y)[:, 0], depths)
    assert_array_equal(model.calibration_scores_[:, 0], np.sort(depths[held]))
    for alpha in (0.2, 0.4, 0.7):
        depth = conformal_quantile(depths[held], alpha)
        expected = [
            [oracles.forest_ends(r, Y[train, d], depth) for d in range(2)]
            for r in rows[:40]
        ]
        assert_array_equal(model.predict_interval(X[:40], alpha), expected)


def test_distributional_boxes_follow_the_spread():
    X, Y = make_table(3000)
    model = make_model("distributional").fit(X, Y)
    width = model.volume(X)
    assert np.isfinite(width).all()
    assert width[X[:, 1] > 0.5].mean() > 2 * width[X[:, 1] < -0.5].mean()


def test_beyond_all_targets_is_the_whole_space():
    X, Y = make_table(400)
    model = make_model("distributional", alpha=0.01).fit(X, Y)
    assert model.calibration_scores_[-1, 0] == 1.0
    assert np.isinf(model.predict_interval(X)).all()
    assert model.contains(X, Y + 1e6).all()
    assert np.isinf(model.volume(X)).all()


@pytest.mark.parametrize("region", BOXES)
def test_boxes_hold_what_they_contain(region):
    X, Y = make_table(400, n_outputs=3)
    model = make_model(region).fit(X, Y)
    alphas = [0.05, 0.2, 0.5]
    box = model.predict_interval(X, alphas)
    assert box.shape == (400, 3, 2, 3)
    target = Y[:, :, None]
    inside = ((box[:, :, 0] <= target) & (target <= box[:, :, 1])).all(axis=1)
    contained = model.contains(X, Y, alphas)
    if region == "distributional":  # ends are targets: no rounding
        assert_array_equal(contained, inside)
    else:  # one calibration row is at an end, up to rounding
        assert (contained != inside).sum() <= 3 * 3
    width = box[:, :, 1] - box[:, :, 0]
    assert_allclose(model.volume(X, alphas), width.prod(axis=1))


@pytest.mark.parametrize("region", REGIONS)
def test_regions_are_nested(region):
    X, Y = make_table(400)
    model = make_model(region).fit(X, Y)
    alphas = [0.05, 0.2, 0.5, 0.9]
    inside = model.contains(X, Y, alphas)
    assert (inside[:, 1:] <= inside[:, :-1]).all()
    assert (np.diff(model.volume(X, alphas), axis=1) <= 0).all()
    assert_array_equal(model.contains(X, Y), inside[:, 1])
    for a, alpha in enumerate(alphas):
        assert_array_equal(model.volume(X, alpha), model.volume(X, alphas)[:, a])
    assert_array_equal(make_model(region).fit(X, Y).contains(X, Y), inside[:, 1])


@pytest.mark.parametrize("region", ["box", "bonferroni", "ellipsoid"])
def test_one_output_is_split_conformal(region):
    X, Y = make_table(n_outputs=1)
    y = Y[:, 0]
    model = make_model(region, alpha=0.1).fit(X, y)
    train, held, _ = split_rows(Y)
    ridge = Ridge().fit(X[train], y[train])
    half = conformal_quantile(np.abs(y[held] - ridge.predict(X[held])), 0.1)
    assert_array_equal(model.predict(X), ridge.predict(X))
    if region != "ellipsoid":
        expected = ridge.predict(X)[:, None] + [-half, half]
        assert_array_equal(model.predict_interval(X), expected)
        column = clone(model).fit(X, Y)
        assert_array_equal(column.predict_interval(X), expected[:, None])
        assert column.predict(X).shape == (300, 1)
    inside = np.abs(y - ridge.predict(X)) <= half
    assert_array_equal(model.contains(X, y), inside)
    assert_allclose(model.volume(X), 2 * half)


@pytest.mark.parametrize("region", REGIONS)
def test_units_of_outputs_do_not_matter(region):
    X, Y = make_table()
    factor, shift = np.array([1e-6, 1e5]), np.array([3.0, -7e4])
    estimator = FOREST if region == "distributional" else LinearRegression()
    model = make_model(region).set_params(estimator=estimator)
    if region == "distributional":  # its trees do mix the units, and round near ties
        factor, shift = np.array([8.0, 8.0]), np.array([4.0, -8.0])
    first = clone(model).fit(X, Y)
    second = clone(model).fit(X, Y * factor + shift)
    inside = first.contains(X, Y), second.contains(X, Y * factor + shift)
    assert (inside[0] != inside[1]).sum() <= 2  # rows at the boundary
    assert_allclose(second.volume(X), first.volume(X) * factor.prod(), rtol=1e-6)
    if region != "ellipsoid":
        expected = first.predict_interval(X) * factor[:, None] + shift[:, None]
        assert_allclose(second.predict_interval(X), expected, rtol=1e-6)


@pytest.mark.parametrize("region", ["box", "ellipsoid"])
def test_joint_coverage_is_exact(region):
    """One new row for each fit, continuous scores: binomial."""
    n_draws, covered = 300, 0
    for seed in range(n_draws):
        X, Y = make_table(40, seed=seed)
        model = make_model(region, calibration_size=9, random_state=seed)
        model.fit(X[:-1], Y[:-1])
        covered += model.contains(X[-1:], Y[-1:], 0.3)[0]
    low, high = stats.binom.interval(1 - 1e-6, n_draws, conformal_rank(9, 0.3) / 10)
    assert low <= covered <= high


def test_joint_coverage_given_calibration_is_beta():
    """Of boxes around zero: the largest of D independent normals."""
    rng = np.random.default_rng(0)
    model = MultiOutputConformalRegressor(FrozenEstimator(Zero().fit(None, [[0, 0]])))
    found = []
    for _ in range(300):
        Y = rng.normal(size=(59, 2))
        model.set_params(calibration_size=29).fit(Y, Y)
        half = model.predict_interval(Y[:1])[0, :, 1]
        found.append((2 * stats.norm.cdf(half) - 1).prod())
    k = conformal_rank(29, 0.1)
    assert stats.kstest(found, stats.beta(k, 30 - k).cdf).pvalue > 1e-3


@pytest.mark.parametrize("region", ["bonferroni", "distributional"])
def test_joint_coverage_is_at_least_what_is_asked(region):
    n_draws, covered = 250, 0
    for seed in range(n_draws):
        X, Y = make_table(60, seed=seed)
        model = make_model(region, calibration_size=19, random_state=seed)
        if region == "distributional":
            model.set_params(estimator__n_estimators=3)
        model.fit(X[:-1], Y[:-1])
        covered += model.contains(X[-1:], Y[-1:], 0.3)[0]
    assert covered >= stats.binom.ppf(1e-6, n_draws, 0.7)


def test_too_few_rows_give_everything():
    X, Y = make_table(40)
    for region in REGIONS:
        model = make_model(region, calibration_size=5, alpha=0.1).fit(X, Y)
        with pytest.warns(InfeasibleRankWarning) as caught:
            assert model.contains(X, Y + 1e9).all()
        assert len(caught) == 1
        with pytest.warns(InfeasibleRankWarning):
            assert np.isinf(model.volume(X)).all()


def test_calibrate_keeps_the_model():
    X, Y = make_table()
    model = make_model().fit(X, Y)
    fitted, scale = model.estimator_, model.scale_
    new_X, new_Y = make_table(50, seed=1)
    model.calibrate(new_X, new_Y)
    assert model.estimator_ is fitted
    assert model.scale_ is scale
    scores = np.abs(new_Y - fitted.predict(new_X)) / scale
    assert_allclose(model.calibration_scores_[:, 0], np.sort(scores.max(axis=1)))
    with pytest.raises(NotFittedError):
        make_model().calibrate(X, Y)


def test_residuals_of_zero():
    X, Y = make_table()
    Y[:, 1] = 0.0
    for region in ("box", "ellipsoid"):
        model = make_model(region).set_params(estimator=LinearRegression()).fit(X, Y)
        assert model.contains(X, Y).mean() > 0.7
    line = np.column_stack([Y[:, 0], 2 * Y[:, 0]])  # a singular covariance
    model = make_model("ellipsoid").fit(X, line)
    assert np.isfinite(model.volume(X)).all()


def test_pipeline_grid_frames_weights_and_pickle():
    X, Y = make_table()
    pipeline = make_pipeline(StandardScaler(), make_model())
    grid = {
        "multioutputconformalregressor__region": REGIONS[:3],
        "multioutputconformalregressor__estimator__alpha": [0.1, 1.0],
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, Y)
    assert np.isfinite(search.best_score_)
    frame, targets = pd.DataFrame(X, columns=list("abc")), pd.DataFrame(Y)
    model = make_model().fit(frame, targets)
    expected = make_model().fit(X, Y).predict_interval(X)
    assert_allclose(model.predict_interval(frame), expected)
    again = pickle.loads(pickle.dumps(make_model("distributional").fit(X, Y)))
    assert_array_equal(
        again.predict_interval(X),
        make_model("distributional").fit(X, Y).predict_interval(X),
    )
    wrapped = MultiOutputRegressor(LinearSVR(max_iter=10000))
    assert make_model().set_params(estimator=wrapped).fit(X, Y).volume(X).min() > 0


def test_weights_reach_the_training_rows():
    X, Y = make_table()
    weight = np.random.default_rng(0).uniform(0.1, 2.0, 300)
    model = make_model().fit(X, Y, sample_weight=weight)
    train, _, _ = split_rows(Y)
    ridge = Ridge().fit(X[train], Y[train], sample_weight=weight[train])
    assert_allclose(model.predict(X), ridge.predict(X))
    with sklearn.config_context(enable_metadata_routing=True):
        inner = Ridge().set_fit_request(sample_weight=True)
        routed = make_model().set_params(estimator=inner)
        routed.fit(X, Y, sample_weight=weight)
    assert_array_equal(routed.predict_interval(X), model.predict_interval(X))


def test_refusals():
    X, Y = make_table(60)
    with pytest.raises(ValueError, match="needs a forest; estimator is Ridge"):
        make_model("distributional").set_params(estimator=Ridge()).fit(X, Y)
    with pytest.raises(AttributeError, match="has no attribute 'predict_interval'"):
        make_model("ellipsoid").fit(X, Y).predict_interval(X)
    model = make_model().fit(X, Y)
    with pytest.raises(ValueError, match="y has 1 outputs; expected 2"):
        model.contains(X, Y[:, 0])
    rows = np.arange(60)
    with pytest.raises(ValueError, match="calibrates on rows that it trains on"):
        make_model(cv=[(rows, rows[:9])]).fit(X, Y)
    with pytest.raises(ValueError, match="No row is left to calibrate"):
        make_model(cv=[(rows, rows[:0])]).fit(X, Y)
    with pytest.raises(ValueError, match=r"alpha is 0; expected"):
        model.contains(X, Y, 0)
    with pytest.raises(ValueError, match=r"alpha is 2; expected"):
        make_model(alpha=2).fit(X, Y)
    with pytest.raises(ValueError, match="leaves 0 rows to train on"):
        make_model(calibration_size=60).fit(X, Y)
    with pytest.raises(ValueError, match="requires y to be passed"):
        model.calibrate(X, None)

    class Broken(Zero):
        def predict(self, X):
            return np.full((len(X), 2), np.nan)

    with pytest.raises(ValueError, match="predicts NaN or infinity"):
        make_model("bonferroni").set_params(estimator=Broken()).fit(X, Y)

    class OneOnly(Zero):
        def predict(self, X):
            return np.zeros(len(X))

    with pytest.raises(ValueError, match=r"shape \(15,\); expected \(15, 2\)"):
        make_model("bonferroni").set_params(estimator=OneOnly()).fit(X, Y)


def test_given_splits_and_rows_of_no_weight():
    X, Y = make_table(90)
    rows = np.arange(90)
    model = make_model(cv=[(rows[:60], rows[60:])]).fit(X, Y)
    assert_allclose(model.predict(X), Ridge().fit(X[:60], Y[:60]).predict(X))
    assert len(model.calibration_scores_) == 30
    weight = np.ones(90)
    weight[[3, 70]] = 0.0
    weighted = clone(model).fit(X, Y, sample_weight=weight)
    assert len(weighted.calibration_scores_) == 29
    kept = np.delete(rows, [3, 70])
    without = make_model(cv=[(rows[:59], rows[59:88])]).fit(X[kept], Y[kept])
    assert_allclose(weighted.predict_interval(X), without.predict_interval(X))
    for region in REGIONS[:3]:  # random splits are those of rows that have weight
        weighted = make_model(region).fit(X, Y, sample_weight=weight)
        without = make_model(region).fit(X[kept], Y[kept])
        assert_allclose(weighted.volume(X), without.volume(X))


def test_a_seed_makes_the_default_forest_the_same_again():
    X, Y = make_table(80)
    model = MultiOutputConformalRegressor(region="distributional", random_state=4)
    first = model.fit(X, Y).predict_interval(X, 0.3)
    assert_array_equal(clone(model).fit(X, Y).predict_interval(X, 0.3), first)
