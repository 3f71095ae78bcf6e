import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binom
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ensemblekit import MemberError, ResidualQuantileRegressor

from . import oracles

LEVELS = [0.05, 0.5, 0.95]


def make_table(n=150, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 2))
    return X, 3 * X[:, 0] + rng.normal(size=n) * np.exp(1.5 * X[:, 1])


def test_equals_the_quantiles_of_held_out_residuals():
    X, y = make_table()
    cv = KFold(4, shuffle=True, random_state=0)
    model = ResidualQuantileRegressor(Ridge(), LEVELS, cv=cv).fit(X, y)
    residuals = y - cross_val_predict(Ridge(), X, y, cv=cv)
    steps = [oracles.weighted_quantile(residuals, np.ones(150), t) for t in LEVELS]
    centre = Ridge().fit(X, y).predict(X)
    assert_allclose(model.predict_quantiles(X), centre[:, None] + steps)
    assert_allclose(model.residual_quantiles_, steps)


def test_equals_the_scaled_residuals_with_weights():
    X, y = make_table()
    weight = np.random.default_rng(1).integers(0, 3, 150).astype(float)
    scale = RandomForestRegressor(5, min_samples_leaf=10, random_state=0)
    model = ResidualQuantileRegressor(Ridge(), LEVELS, cv=3, scale=scale)
    model.fit(X, y, sample_weight=weight)
    keywords = {"params": {"sample_weight": weight}, "cv": 3}
    residuals = y - cross_val_predict(Ridge(), X, y, **keywords)
    sizes = cross_val_predict(scale, X, np.abs(residuals), **keywords)
    assert (sizes > 0.02 * np.abs(residuals).mean()).all()  # none is raised
    ratios = residuals / sizes
    steps = [oracles.weighted_quantile(ratios, weight, t) for t in LEVELS]
    centre = Ridge().fit(X, y, sample_weight=weight).predict(X)
    scale.fit(X, np.abs(residuals), sample_weight=weight)
    expected = centre[:, None] + np.outer(scale.predict(X), steps)
    assert_allclose(model.predict_quantiles(X), expected)


class KnownMean(RegressorMixin, BaseEstimator):
    """Trained elsewhere: depends on no row."""

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        return self

    def predict(self, X):
        return 3 * X[:, 0]


def covered(estimator, n, seeds):
    """Whether one new row of each seed is inside its 90 % interval."""
    found = []
    for seed in seeds:
        X, y = make_table(n + 1, seed)
        model = ResidualQuantileRegressor(estimator, LEVELS, cv=2).fit(X[:n], y[:n])
        low, high = model.predict_interval(X[n:], alpha=0.1)[0]
        found.append(low <= y[n] <= high)
    return int(np.sum(found))


def test_coverage_is_exact_for_a_model_that_saw_no_row():
    """The 2nd and the 38th of 39 residuals cover with probability 36 / 40 = 0.9.

    Seeds are independent: the count is binomial.
    """
    count = covered(FrozenEstimator(KnownMean()), 39, range(500))
    low, high = binom.interval(0.9999, 500, 0.9)
    assert low <= count <= high


def test_coverage_is_near_the_nominal_for_a_fitted_model():
    """Not exact: fold models saw fewer rows. Wide bounds: 0.03 on either side."""
    count = covered(LinearRegression(), 59, range(1000, 1300))
    assert binom.ppf(5e-5, 300, 0.87) <= count <= binom.ppf(1 - 5e-5, 300, 0.93)


def test_scaled_residuals_cover_where_y_is_uncertain():
    X, y = make_table(2000)
    X_new, y_new = make_table(4000, seed=1)
    spread = ExtraTreesRegressor(50, min_samples_leaf=20, random_state=0)
    wide = X_new[:, 1] > 0.5
    rates = {}
    for scale in (None, spread):
        model = ResidualQuantileRegressor(LinearRegression(), LEVELS, scale=scale)
        interval = model.fit(X, y).predict_interval(X_new, alpha=0.1)
        inside = (interval[:, 0] <= y_new) & (y_new <= interval[:, 1])
        rates[scale is not None] = inside.mean(), inside[wide].mean()
    assert_allclose([rates[False][0], rates[True][0]], 0.9, atol=0.03)
    assert rates[False][1] < 0.8  # one width for all rows is too narrow for these
    assert abs(rates[True][1] - 0.9) < 0.04


def test_residuals_of_zero_and_scales_of_zero():
    X, _ = make_table(30)
    model = ResidualQuantileRegressor(LinearRegression(), LEVELS, scale=Ridge())
    quantiles = model.fit(X, np.zeros(30)).predict_quantiles(X)
    assert_array_equal(quantiles, np.zeros((30, 3)))
    nothing = DummyRegressor(strategy="constant", constant=-1.0)
    model = ResidualQuantileRegressor(LinearRegression(), LEVELS, scale=nothing)
    X, y = make_table(30)
    raised = model.fit(X, y).predict_quantiles(X)
    plain = ResidualQuantileRegressor(LinearRegression(), LEVELS).fit(X, y)
    assert_allclose(raised, plain.predict_quantiles(X))  # one least scale for all rows


def test_weights_pass_through_pipelines():
    X, y = make_table()
    pipeline = make_pipeline(StandardScaler(), Ridge())
    weight = np.linspace(0, 1, 150)
    model = ResidualQuantileRegressor(pipeline).fit(X, y, sample_weight=weight)
    expected = pipeline.fit(X, y, ridge__sample_weight=weight)
    assert_allclose(model.estimator_.predict(X), expected.predict(X))


def test_failures_name_the_fold():
    class Broken(KnownMean):
        def predict(self, X):
            return np.full(len(X), np.nan)

    with pytest.raises(MemberError, match=r"'estimator' failed in predict on fold 1"):
        ResidualQuantileRegressor(Broken()).fit(*make_table(20))
