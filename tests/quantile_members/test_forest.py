import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    RandomForestRegressor,
)

from ensemblekit import ForestQuantileRegressor
from ensemblekit.quantile_members import forest as module

from . import oracles

LEVELS = [0.05, 0.25, 0.5, 0.8, 0.95]


def make_table(n=120, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = X[:, 0] + rng.normal(size=n) * (1 + (X[:, 1] > 0))
    return X, np.round(y) if ties else y


@pytest.mark.parametrize("kind", [RandomForestRegressor, ExtraTreesRegressor])
@pytest.mark.parametrize("leaf", [1, 5, 40])
@pytest.mark.parametrize("ties", [False, True])
def test_equals_the_definition(kind, leaf, ties):
    X, y = make_table(ties=ties)
    X_new, _ = make_table(40, seed=1)
    forest = kind(12, min_samples_leaf=leaf, random_state=0)
    model = ForestQuantileRegressor(forest, LEVELS).fit(X, y)
    ones = np.ones(len(y))
    expected = oracles.forest_quantiles(model.estimator_, X, y, ones, X_new, LEVELS)
    assert_allclose(model.predict_quantiles(X_new), expected, rtol=1e-14)
    assert_array_equal(model.predict(X_new), model.predict_quantiles(X_new)[:, 2])


def test_equals_the_definition_with_weights():
    X, y = make_table()
    weight = np.random.default_rng(2).integers(0, 3, len(y)).astype(float)
    forest = RandomForestRegressor(9, min_samples_leaf=4, random_state=0)
    model = ForestQuantileRegressor(forest, LEVELS).fit(X, y, sample_weight=weight)
    expected = oracles.forest_quantiles(model.estimator_, X, y, weight, X, LEVELS)
    assert_allclose(model.predict_quantiles(X), expected, rtol=1e-14)
    scaled = clone(model).fit(X, y, sample_weight=1e3 * weight)
    assert_array_equal(scaled.predict_quantiles(X), model.predict_quantiles(X))


def test_integer_weights_equal_repeated_rows():
    X, y = make_table()
    weight = np.random.default_rng(2).integers(0, 3, len(y))
    trees = RandomForestRegressor(3, bootstrap=False, max_depth=3, random_state=0)
    model = ForestQuantileRegressor(trees, LEVELS)
    weighted = clone(model).fit(X, y, sample_weight=weight)
    repeated = clone(model).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert_allclose(weighted.predict_quantiles(X), repeated.predict_quantiles(X))


@pytest.mark.parametrize("n", [1, 39, 120])
def test_one_leaf_gives_the_quantiles_of_the_sample(n):
    X, y = make_table(n)
    stumps = RandomForestRegressor(7, min_samples_leaf=n, random_state=0)
    model = ForestQuantileRegressor(stumps, LEVELS).fit(X, y)
    expected = [oracles.weighted_quantile(y, np.ones(n), t) for t in LEVELS]
    assert_array_equal(model.predict_quantiles(X), np.tile(expected, (n, 1)))


def test_blocks_of_rows_change_nothing(monkeypatch):
    X, y = make_table()
    model = ForestQuantileRegressor(ExtraTreesRegressor(10, random_state=0))
    expected = model.fit(X, y).predict_quantiles(X)
    monkeypatch.setattr(module, "_BLOCK", 70)  # seven rows of ten trees
    for container in (X, pd.DataFrame(X), sparse.csr_array(X)):
        found = clone(model).fit(container, y).predict_quantiles(container)
        assert_array_equal(found, expected)


def test_memory_is_no_matrix_of_new_by_training_rows():
    X, y = make_table(8000)
    forest = ExtraTreesRegressor(5, min_samples_leaf=5, random_state=0)
    model = ForestQuantileRegressor(forest, [0.5]).fit(X, y)
    model.predict_quantiles(X[:2])
    tracemalloc.start()
    model.predict_quantiles(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8000 * 8000 / 16  # bytes; the matrix would be 128 times as much


def test_survives_pickle_and_clone():
    X, y = make_table()
    model = ForestQuantileRegressor(ExtraTreesRegressor(5, random_state=0), LEVELS)
    expected = model.fit(X, y).predict_quantiles(X)
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.predict_quantiles(X), expected)
    assert_array_equal(clone(model).fit(X, y).predict_quantiles(X), expected)


def test_other_estimators_are_refused():
    X, y = make_table()
    with pytest.raises(ValueError, match=r"'estimator'.*RandomForestRegressor"):
        ForestQuantileRegressor(GradientBoostingRegressor()).fit(X, y)


def test_missing_values_as_in_the_forest():
    X, y = make_table()
    X[::7, 0] = np.nan
    model = ForestQuantileRegressor(RandomForestRegressor(5, random_state=0)).fit(X, y)
    assert np.isfinite(model.predict_quantiles(X)).all()
