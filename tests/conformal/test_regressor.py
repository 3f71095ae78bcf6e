"""ConformalRegressor as a scikit-learn estimator, whatever its method."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ensemblekit import (
    ConformalRegressor,
    ForestQuantileRegressor,
    StackedQuantileRegressor,
    StackedRegressor,
    interval_score,
)

FOREST = ForestQuantileRegressor(ExtraTreesRegressor(10, min_samples_leaf=3))
METHODS = {
    "split": Ridge(),
    "cv+": FOREST.estimator,
    "jackknife+ab": Ridge(),
    "cqr": FOREST,
    "cqr-m": FOREST,
}


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(200, 2))
    return X, X[:, 0] + rng.normal(size=200) * np.exp(X[:, 1])


@pytest.fixture(params=METHODS)
def conformal(request):
    return ConformalRegressor(
        METHODS[request.param], method=request.param, random_state=0
    )


def test_the_same_seed_gives_the_same_intervals(conformal, table):
    X, y = table
    first = clone(conformal).fit(X, y).predict_interval(X)
    model = clone(conformal).fit(X, y)
    assert_array_equal(first, model.predict_interval(X))
    assert_array_equal(first, model.fit(X, y).predict_interval(X))
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(first, again.predict_interval(X))
    other = clone(conformal).set_params(random_state=1).fit(X, y)
    assert not np.array_equal(first, other.predict_interval(X))


def test_shapes_and_the_alpha_of_the_constructor(conformal, table):
    X, y = table
    model = clone(conformal).set_params(alpha=[0.1, 0.4]).fit(X, y)
    both = model.predict_interval(X)
    assert both.shape == (200, 2, 2)
    one = clone(conformal).set_params(alpha=0.4).fit(X, y)
    assert one.predict_interval(X).shape == (200, 2)
    assert one.predict_interval(X, [0.4]).shape == (200, 2, 1)
    assert one.predict(X).shape == (200,)
    assert one.predict_quantiles(X, [0.1, 0.5, 0.9]).shape == (200, 3)


def test_frames_give_the_same_as_arrays(conformal, table):
    X, y = table
    expected = clone(conformal).fit(X, y).predict_interval(X)
    for frame in (pd.DataFrame(X, columns=["a", "b"]), pl.DataFrame(X, ["a", "b"])):
        model = clone(conformal).fit(frame, pd.Series(y))
        # rtol: frames hand over columns, and sums run in another order.
        assert_allclose(model.predict_interval(frame), expected, rtol=1e-12)
        assert_array_equal(model.feature_names_in_, ["a", "b"])
    with pytest.raises(ValueError, match="feature names"):
        model.predict_interval(pd.DataFrame(X, columns=["b", "c"]))


def test_sparse_features(table):
    X, y = table
    model = ConformalRegressor(Ridge(solver="sparse_cg", tol=1e-12), random_state=0)
    dense = clone(model).fit(X, y).predict_interval(X)
    found = model.fit(sparse.csr_array(X), y).predict_interval(sparse.csr_array(X))
    assert np.allclose(found, dense)


def test_inside_a_pipeline_and_around_one(conformal, table):
    X, y = table
    inner = clone(conformal)
    piped = make_pipeline(StandardScaler(), inner).fit(X, y)
    scaled = piped[:-1].transform(X)
    assert piped[-1].predict_interval(scaled).shape == (200, 2)
    outer = make_pipeline(StandardScaler(), conformal.estimator)
    around = clone(conformal).set_params(estimator=outer).fit(X, y)
    assert around.predict_interval(X).shape == (200, 2)
    assert np.isfinite(cross_val_score(around, X, y, cv=3)).all()


def interval_scorer(model, X, y):
    """Higher is better, at 80 % whatever the alpha that was searched."""
    low, high = model.predict_interval(X, 0.2).T
    return -interval_score(y, low, high, 0.2)


def test_grid_search_over_methods_and_alpha(table):
    X, y = table
    methods = ["split", "cv+", "jackknife+ab", "cqr", "cqr-asymmetric", "cqr-r"]
    grid = {"method": methods, "alpha": [0.2, 0.3]}
    search = GridSearchCV(
        ConformalRegressor(FOREST, random_state=0), grid, scoring=interval_scorer, cv=3
    )
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.predict_interval(X).shape == (200, 2)
    nested = GridSearchCV(
        ConformalRegressor(Ridge(), random_state=0),
        {"estimator__alpha": [0.1, 1e6]},
        scoring=interval_scorer,
    )
    assert nested.fit(X, y).best_params_ == {"estimator__alpha": 0.1}


@pytest.mark.filterwarnings("ignore::ensemblekit.GuardWarning")
@pytest.mark.parametrize(
    ("method", "kind"), [("split", StackedRegressor), ("cqr", StackedQuantileRegressor)]
)
def test_no_estimator_means_a_stack(method, kind, table):
    X, y = table
    model = ConformalRegressor(method=method, alpha=0.2, random_state=0).fit(X, y)
    assert isinstance(model.calibrated_.model, kind)
    found = model.predict_interval(X[:5])
    assert (found[:, 0] < found[:, 1]).all()
    if method == "cqr":
        levels = model.calibrated_.model.quantile_levels_
        assert_array_equal(levels, [0.1, 0.5, 0.9])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": [0.1, 1.5]}, r"alpha is 1.5; expected a number inside \(0, 1\)"),
        ({"alpha": []}, "a number or a list"),
        ({"method": "naive"}, "'method' parameter .* must be a str among"),
        ({"calibration_size": 1.0}, "'calibration_size' parameter"),
        ({"method": "cqr", "normalizer": "spread"}, "takes no normalizer"),
        ({"method": "cv+", "likelihood_ratio": len}, "takes no likelihood_ratio"),
        ({"normalizer": "width"}, "'normalizer' parameter"),
    ],
)
def test_parameters_that_cannot_be_are_refused(parameters, message, table):
    with pytest.raises(ValueError, match=message):
        ConformalRegressor(Ridge(), **parameters).fit(*table)


def test_targets_that_cannot_be_are_refused(table):
    X, y = table
    for bad in (None, y[:-1], np.where(y > 0, np.nan, y), np.column_stack([y, y])):
        with pytest.raises(ValueError):  # noqa: PT011 - messages are scikit-learn's
            ConformalRegressor(Ridge()).fit(X, bad)
    with pytest.raises(ValueError, match=r"quantile_levels\[1\]"):
        ConformalRegressor(Ridge()).fit(X, y).predict_quantiles(X, [0.5, 0.1])

    class TwoColumns(Ridge):
        def predict(self, X):
            return np.column_stack([super().predict(X)] * 2)

    with pytest.raises(ValueError, match=r"shape \(50, 2\); expected \(50,\)"):
        ConformalRegressor(TwoColumns()).fit(X, y)


@pytest.mark.parametrize("method", ["cv+", "jackknife+ab"])
def test_methods_that_calibrate_while_they_train(method, table):
    X, y = table
    model = ConformalRegressor(Ridge(), method=method)
    with pytest.raises(ValueError, match="calibrates while it trains"):
        model.calibrate(X, y)
    with pytest.raises(ValueError, match="calibrates while it trains"):
        model.fit(X, y).calibrate(X, y)
    assert model.n_calibration_ == 200
    assert model.group_counts_ is None
    bounds = model.predict_interval(X, [0.05, 0.5, 0.9])
    assert (bounds[:, 0] <= bounds[:, 1]).all()
    assert (np.diff(bounds[:, 0]) >= 0).all()
    assert (np.diff(bounds[:, 1]) <= 0).all()
    quantiles = model.predict_quantiles(X, [0.05, 0.3, 0.5, 0.9])
    assert (np.diff(quantiles) >= 0).all()
    assert_array_equal(quantiles[:, 2], model.predict(X))


@pytest.mark.parametrize("method", ["cv+", "jackknife+ab"])
def test_results_do_not_depend_on_n_jobs(method, table):
    X, y = table
    model = ConformalRegressor(FOREST.estimator, method=method, random_state=0)
    alone = clone(model).fit(X, y).predict_interval(X)
    assert_array_equal(model.set_params(n_jobs=2).fit(X, y).predict_interval(X), alone)


def test_fit_changes_no_parameter(conformal, table):
    model = clone(conformal)
    before = repr(model.get_params(deep=True))
    model.fit(*table)
    assert repr(model.get_params(deep=True)) == before
