"""Both stacked estimators with default arguments inside scikit-learn's wrappers."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification, make_regression
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    TunedThresholdClassifierCV,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ensemblekit import (
    AverageClassifier,
    AverageRegressor,
    EnsembleSelectionClassifier,
    EnsembleSelectionRegressor,
    LinearStackClassifier,
    PrefitMember,
    StackedClassifier,
    StackedRegressor,
    default_members,
)

SETTINGS = {"n_informative": 3, "n_features": 4, "random_state": 0}


@pytest.fixture(params=[StackedClassifier, StackedRegressor], ids=lambda c: c.__name__)
def stacked(request):
    return request.param(random_state=0)


@pytest.fixture
def data(stacked):
    if is_classifier(stacked):
        return make_classification(120, n_redundant=0, **SETTINGS)
    return make_regression(120, noise=5.0, **SETTINGS)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_pipeline(stacked, data):
    X, y = data
    pipeline = make_pipeline(StandardScaler(), stacked).fit(X, y)
    assert pipeline.score(X, y) > 0.8


def test_grid_over_combiner(stacked, data):
    combiners = (
        [AverageClassifier(), EnsembleSelectionClassifier()]
        if is_classifier(stacked)
        else [AverageRegressor(), EnsembleSelectionRegressor()]
    )
    search = GridSearchCV(stacked, {"combiner": combiners}, cv=2).fit(*data)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_grid_over_parameter_of_default_combiner(stacked, data):
    search = GridSearchCV(stacked, {"combiner__tol": [1e-9, 1e-6]}, cv=2).fit(*data)
    assert search.best_estimator_.combiner.tol in (1e-9, 1e-6)


def test_grid_over_parameter_of_default_member(stacked, data):
    grid = {"random_forest": ["drop"], "lightgbm": ["drop"]}
    last = "logisticregression__C" if is_classifier(stacked) else "ridge__alpha"
    grid[f"linear__{last}"] = [0.1, 1.0]
    search = GridSearchCV(stacked, grid, cv=2).fit(*data)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert list(search.best_estimator_.cross_fit_.method_) == [
        "xgboost",
        "extra_trees",
        "linear",
    ]


def test_halving_grid(stacked, data):
    search = HalvingGridSearchCV(
        stacked, {"combiner__tol": [1e-9, 1e-6]}, cv=2, min_resources=60
    ).fit(*data)
    assert np.isfinite(search.best_score_)


@pytest.mark.parametrize("method", ["sigmoid", "temperature"])
def test_calibrated_classifier(method):
    if method == "temperature" and sklearn.__version__ < "1.8":
        pytest.skip("temperature scaling came with scikit-learn 1.8")
    X, y = make_classification(120, n_redundant=0, **SETTINGS)
    wrapped = CalibratedClassifierCV(StackedClassifier(), method=method, cv=2).fit(X, y)
    assert_allclose(wrapped.predict_proba(X).sum(axis=1), 1.0)


def test_tuned_threshold():
    X, y = make_classification(120, n_redundant=0, **SETTINGS)
    wrapped = TunedThresholdClassifierCV(StackedClassifier(), cv=2).fit(X, y)
    assert 0.0 <= wrapped.best_threshold_ <= 1.0


def test_frozen_members(stacked, data):
    X, y = data
    tree = DecisionTreeClassifier if is_classifier(stacked) else DecisionTreeRegressor
    names = np.array(["no", "yes"])[y] if is_classifier(stacked) else y
    model = tree(max_depth=2).fit(X[:60], names[:60])
    prefit = PrefitMember(model, trained_on_other_rows=True)
    own = tree(max_depth=3, random_state=0)
    stacked.set_params(estimators=[("frozen", prefit), ("own", own)], refit="all")
    stacked.fit(X[60:], names[60:])
    found = stacked.transform(X[60:])[:, 0]
    if is_classifier(stacked):
        assert_array_equal(found, prefit.predict_proba(X[60:])[:, 1])
    else:
        assert_array_equal(found, prefit.predict(X[60:]))
    assert stacked.cross_fit_.report_[0]["frozen"]
    assert not stacked.cross_fit_.report_[1]["frozen"]


def test_cross_validate_returns_estimators(stacked, data):
    result = cross_validate(stacked, *data, cv=2, return_estimator=True)
    assert all(hasattr(e, "library_") for e in result["estimator"])
    assert np.isfinite(result["test_score"]).all()


def test_permutation_importance_and_partial_dependence(stacked, data):
    X, y = data
    stacked.fit(X, y)
    importance = permutation_importance(stacked, X, y, n_repeats=2, random_state=0)
    assert importance.importances_mean.max() > 0.0
    grid = partial_dependence(stacked, X, [0], grid_resolution=5)
    assert grid["average"].shape == (1, 5)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_set_output(stacked, data, container):
    X, y = data
    stacked.set_output(transform=container).fit(X, y)
    frame = stacked.transform(X)
    assert isinstance(frame, pd.DataFrame if container == "pandas" else pl.DataFrame)
    assert list(frame.columns) == list(stacked.get_feature_names_out())
    prefix = type(stacked).__name__.lower()
    assert frame.columns[0] == f"{prefix}_lightgbm"


def test_clone_and_pickle(stacked, data):
    X, y = data
    fitted = clone(stacked).fit(X, y)
    again = clone(fitted).fit(X, y)
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(loaded.predict(X), fitted.predict(X))
    assert_array_equal(again.predict(X), fitted.predict(X))


def test_methods_exist_before_fit(stacked):
    assert hasattr(stacked, "predict")
    assert hasattr(stacked, "predict_proba") == is_classifier(stacked)
    for absent in ("predict_quantiles", "predict_interval", "abstains", "predict_set"):
        assert not hasattr(stacked, absent)


def test_weights_and_groups_without_routing(stacked, data):
    X, y = data
    groups = np.arange(len(y)) // 4
    # A random forest draws other rows as soon as there are weights, be they all 1.
    task = "classification" if is_classifier(stacked) else "regression"
    members = [m for m in default_members(task) if m[0] != "random_forest"]
    stacked.set_params(cv=GroupKFold(3), estimators=members)
    stacked.fit(X, y, sample_weight=np.ones(len(y)), groups=groups)
    for train, test in stacked.cross_fit_.splits_:
        assert not set(groups[train]) & set(groups[test])
    plain = clone(stacked).fit(X, y, groups=groups)
    assert_allclose(stacked.weights_, plain.weights_)
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        stacked.fit(X, y, groups=groups, temper=1)


def test_weights_and_groups_with_routing(stacked, data, routing):
    X, y = data
    groups, weight = np.arange(len(y)) // 4, np.linspace(1, 2, len(y))
    stacked.set_params(cv=GroupKFold(3))
    stacked.fit(X, y, groups=groups, sample_weight=weight)
    for train, test in stacked.cross_fit_.splits_:
        assert not set(groups[train]) & set(groups[test])
    with sklearn.config_context(enable_metadata_routing=False):
        plain = clone(stacked).fit(X, y, groups=groups, sample_weight=weight)
    assert_allclose(stacked.weights_, plain.weights_)


def test_groups_inside_grid_search_with_routing(stacked, data, routing):
    X, y = data
    groups = np.arange(len(y)) // 4
    stacked.set_params(cv=GroupKFold(3)).set_score_request(sample_weight=True)
    search = GridSearchCV(stacked, {"combiner__tol": [1e-9]}, cv=GroupKFold(2))
    search.fit(X, y, groups=groups, sample_weight=np.ones(len(y)))
    for train, test in search.best_estimator_.cross_fit_.splits_:
        assert not set(groups[train]) & set(groups[test])


def test_groups_that_the_splitter_does_not_use_are_refused(stacked, data, routing):
    X, y = data
    groups = np.arange(len(y)) // 4
    with pytest.raises(TypeError, match="not routed to any object"):
        clone(stacked).set_params(cv=KFold(3)).fit(X, y, groups=groups)
    stacked.set_params(cv=3).fit(X, y, groups=groups)  # an int: folds of groups
    for train, test in stacked.cross_fit_.splits_:
        assert not set(groups[train]) & set(groups[test])


def test_routing_follows_the_members_requests(data, stacked, routing):
    X, y = data
    model = LogisticRegression if is_classifier(stacked) else Ridge
    weighted = model().set_fit_request(sample_weight=True)
    unweighted = model().set_fit_request(sample_weight=False)
    combiner = stacked._default_combiner().set_fit_request(sample_weight=False)
    stacked.set_params(
        estimators=[("weighted", weighted), ("unweighted", unweighted)],
        combiner=combiner,
    )
    weight = np.where(np.arange(len(y)) % 2, 5.0, 0.1)
    stacked.fit(X, y, sample_weight=weight)
    first, second = stacked.transform(X).T
    assert np.abs(first - second).max() > 1e-6
    plain = model().fit(X, y)
    expected = (
        plain.predict_proba(X)[:, 1] if is_classifier(stacked) else plain.predict(X)
    )
    stacked.cross_fit_.refit_members(X, y, ["unweighted"], sample_weight=weight)
    assert_allclose(stacked.transform(X)[:, 1], expected)


def test_combiners_with_probabilities_inside_the_default_library():
    X, y = make_classification(150, n_redundant=0, n_classes=3, **SETTINGS)
    stacked = StackedClassifier(combiner=LinearStackClassifier(), cv=3).fit(X, y)
    assert_allclose(stacked.predict_proba(X).sum(axis=1), 1.0)
    assert [row["name"] for row in stacked.leaderboard_].count("ensemble") == 1
