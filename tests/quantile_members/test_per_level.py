import pickle

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import QuantileRegressor, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ensemblekit import PerLevelQuantileRegressor

LEVELS = [0.1, 0.5, 0.9]
LIGHTGBM = {"n_estimators": 20, "n_jobs": 1, "verbose": -1}
KNOWN = {
    "linear": (QuantileRegressor(alpha=0.0), {"quantile": None}),
    "boosting": (
        GradientBoostingRegressor(n_estimators=20, random_state=0),
        {"loss": "quantile", "alpha": None},
    ),
    "histograms": (
        HistGradientBoostingRegressor(max_iter=20),
        {"loss": "quantile", "quantile": None},
    ),
    "lightgbm": (
        lightgbm.LGBMRegressor(**LIGHTGBM),
        {"objective": "quantile", "alpha": None},
    ),
    "xgboost": (
        xgboost.XGBRegressor(n_estimators=20, n_jobs=1),
        {"objective": "reg:quantileerror", "quantile_alpha": None},
    ),
}


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    return X, X[:, 0] + rng.normal(size=200) * np.exp(X[:, 1] / 2)


@pytest.mark.parametrize("name", KNOWN)
def test_equals_one_model_for_each_level(table, name):
    X, y = table
    estimator, settings = KNOWN[name]
    before = clone(estimator).get_params()
    model = PerLevelQuantileRegressor(estimator, LEVELS).fit(X, y)
    columns = []
    for level in LEVELS:
        own = {key: level if v is None else v for key, v in settings.items()}
        columns.append(clone(estimator).set_params(**own).fit(X, y).predict(X))
    expected = np.sort(np.column_stack(columns), axis=1)
    found = model.predict_quantiles(X)
    assert len(model.estimators_) == (1 if name == "xgboost" else 3)
    assert_array_equal(found, expected)
    assert (np.diff(found, axis=1) >= 0).all()
    below = (y[:, None] <= found).mean(axis=0)
    assert_allclose(below, LEVELS, atol=0.12)
    assert clone(estimator).get_params() == before


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "linear"])
def test_one_level_suffices(table, name):
    X, y = table
    model = PerLevelQuantileRegressor(KNOWN[name][0], [0.9]).fit(X, y)
    assert model.predict_quantiles(X).shape == (200, 1)
    with pytest.raises(ValueError, match=r"level 0.5 is beyond those predicted"):
        model.predict(X)


@pytest.mark.parametrize("name", KNOWN)
def test_weights_reach_the_models(table, name):
    X, y = table
    weight = np.where(y > np.median(y), 1.0, 1e-3)
    model = PerLevelQuantileRegressor(KNOWN[name][0], LEVELS)
    plain, weighted = clone(model).fit(X, y), clone(model).fit(X, y, weight)
    assert weighted.predict(X).mean() > plain.predict(X).mean() + 0.2


def test_last_step_of_a_pipeline_is_meant(table):
    X, y = table
    frame = pd.DataFrame(X, columns=list("abc"))
    pipeline = make_pipeline(StandardScaler(), QuantileRegressor(alpha=0.0))
    model = PerLevelQuantileRegressor(pipeline, LEVELS)
    model.fit(frame, y, sample_weight=np.ones(200))
    assert [m[-1].quantile for m in model.estimators_] == LEVELS
    assert list(model.feature_names_in_) == list("abc")
    bare = PerLevelQuantileRegressor(QuantileRegressor(alpha=0.0), LEVELS).fit(X, y)
    assert_allclose(
        model.predict_quantiles(frame), bare.predict_quantiles(X), atol=1e-6
    )


class Shifted(RegressorMixin, BaseEstimator):
    """Not known by name: predicts its parameter."""

    def __init__(self, tau=0.0):
        self.tau = tau

    def fit(self, X, y):
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        return np.full(len(X), -self.tau)


def test_other_estimators_by_the_name_of_their_parameter(table):
    model = PerLevelQuantileRegressor(Shifted(), LEVELS, parameter="tau").fit(*table)
    assert_array_equal(model.predict_quantiles(table[0][:1]), [[-0.9, -0.5, -0.1]])


def test_unknown_parameters_are_refused(table):
    with pytest.raises(ValueError, match=r"does not know how Ridge is told.*parameter"):
        PerLevelQuantileRegressor(Ridge()).fit(*table)
    with pytest.raises(ValueError, match=r"Ridge has no parameter 'tau'.*'alpha'"):
        PerLevelQuantileRegressor(Ridge(), parameter="tau").fit(*table)
    with pytest.raises(ValueError, match=r"Shifted\) takes no sample_weight"):
        PerLevelQuantileRegressor(Shifted(), parameter="tau").fit(*table, np.ones(200))
    with pytest.raises(ValueError, match=r"quantile_levels\[1\] is 0.1 after 0.9"):
        PerLevelQuantileRegressor(QuantileRegressor(), [0.9, 0.1]).fit(*table)


def test_grid_search_and_pickle(table):
    X, y = table
    model = PerLevelQuantileRegressor(KNOWN["histograms"][0], LEVELS)
    search = GridSearchCV(model, {"estimator__max_iter": [1, 30]}, cv=2).fit(X, y)
    assert search.best_params_ == {"estimator__max_iter": 30}
    loaded = pickle.loads(pickle.dumps(search.best_estimator_))
    assert_array_equal(loaded.predict(X), search.predict(X))


def test_missing_values_as_the_model_takes_them(table):
    X, y = table
    X[::5, 0] = np.nan
    PerLevelQuantileRegressor(KNOWN["histograms"][0], LEVELS).fit(X, y).predict(X)
    with pytest.raises(ValueError, match="NaN"):
        PerLevelQuantileRegressor(RandomForestRegressor(), parameter="criterion").fit(
            X, np.where(np.arange(200) == 3, np.nan, y)
        )
