"""Jackknife+-after-bootstrap around estimators."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_diabetes
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor

from ensemblekit import (
    ConformalRegressor,
    StackedRegressor,
    jackknife_after_bootstrap_interval,
)


def diabetes(n=80, n_new=30):
    X, y = load_diabetes(return_X_y=True)
    return X[:n], y[:n], X[n : n + n_new]


def bagged(estimator=None, **options):
    estimator = LinearRegression() if estimator is None else estimator
    options = {"random_state": 0, **options}
    return ConformalRegressor(estimator, method="jackknife+ab", **options)


@pytest.mark.parametrize("alpha", [0.1, 0.4])
def test_equals_the_function_of_arrays(alpha):
    X, y, new = diabetes()
    conformal = bagged(n_resamples=25).fit(X, y)
    models = conformal.calibrated_.models
    wanted = jackknife_after_bootstrap_interval(
        y,
        ~conformal.calibrated_.outside,
        np.column_stack([model.predict(X) for model in models]),
        np.column_stack([model.predict(new) for model in models]),
        alpha,
    )
    assert_array_equal(conformal.predict_interval(new, alpha), wanted)
    whole = LinearRegression().fit(X, y)
    assert_array_equal(conformal.predict(new), whole.predict(new))
    assert conformal.n_calibration_ == len(y)
    assert conformal.group_counts_ is None


def test_bags_are_drawn_with_replacement_from_all_rows():
    y = np.arange(300.0)
    conformal = bagged(DummyRegressor(), n_resamples=100).fit(y[:, None], y)
    outside = conformal.calibrated_.outside
    # A bag has n draws: its mean has the variance of n of them, and misses 1 / e.
    means = [model.constant_.item() for model in conformal.calibrated_.models]
    assert 0.7 < np.std(means) / (y.std() / np.sqrt(300)) < 1.4
    assert abs(outside.mean() - np.exp(-1)) < 0.02
    assert (outside.mean(axis=1) > 0.15).all()


def test_rows_in_every_bag_calibrate_nothing():
    X, y, new = diabetes()
    with pytest.warns(UserWarning, match="rows are in every bag"):
        conformal = bagged(n_resamples=3).fit(X, y)
    assert conformal.n_calibration_ == len(conformal.calibrated_.scores) < len(y)
    assert np.isfinite(conformal.predict_interval(new)).all()


def test_results_do_not_depend_on_the_number_of_jobs():
    X, y, new = diabetes()
    tree = DecisionTreeRegressor(max_features=2)
    each = [bagged(tree, n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 2)]
    assert_array_equal(*[conformal.predict_interval(new) for conformal in each])
    other = bagged(tree, random_state=1).fit(X, y)
    assert (other.predict_interval(new) != each[0].predict_interval(new)).any()


def test_a_weight_of_zero_is_a_row_that_is_not_there():
    X, y, new = diabetes()
    weight = np.ones(len(y))
    weight[60:] = 0.0
    weighted = bagged(Ridge(1.0)).fit(X, y, sample_weight=weight)
    fewer = bagged(Ridge(1.0)).fit(X[:60], y[:60], sample_weight=weight[:60])
    assert_allclose(
        weighted.predict_interval(new), fewer.predict_interval(new), rtol=1e-10
    )
    weight[:30] = 5.0
    heavy = bagged(Ridge(1.0)).fit(X, y, sample_weight=weight)
    assert (heavy.predict_interval(new) != weighted.predict_interval(new)).any()


def test_a_stack_is_fitted_on_each_bag():
    X, y, new = diabetes()
    members = [("line", LinearRegression()), ("near", KNeighborsRegressor(5))]
    conformal = bagged(StackedRegressor(members, cv=3, guard=None), n_resamples=12).fit(
        X, y
    )
    assert len(conformal.calibrated_.models) == 12
    assert conformal.predict_interval(new, [0.1, 0.2]).shape == (30, 2, 2)


def test_one_row_cannot_be_held_out():
    with pytest.raises(ValueError, match="n_samples = 1 of positive weight"):
        bagged().fit([[1.0], [2.0]], [1.0, 2.0], sample_weight=[1.0, 0.0])


def test_groups_are_refused():
    X, y, new = diabetes()
    with pytest.raises(ValueError, match=r"jackknife.*leave groups out"):
        bagged().fit(X, y, groups=y > 100)
    with pytest.raises(ValueError, match="leave groups out"):
        bagged().fit(X, y).predict_interval(new, groups=np.zeros(30, int))


def test_bounds_are_those_of_mapie_given_its_bags():
    mapie = pytest.importorskip("mapie.regression", reason="MAPIE is not installed")
    X, y, new = diabetes(150)
    theirs = mapie.JackknifeAfterBootstrapRegressor(
        LinearRegression(), confidence_level=0.9, resampling=30, random_state=0
    ).fit_conformalize(X, y)
    wanted = theirs.predict_interval(new)[1][:, :, 0]
    fitted = theirs._mapie_regressor.estimator_
    found = jackknife_after_bootstrap_interval(
        y,
        np.nan_to_num(fitted.k_) == 0,
        np.column_stack([model.predict(X) for model in fitted.estimators_]),
        np.column_stack([model.predict(new) for model in fitted.estimators_]),
    )
    assert_allclose(found, wanted, rtol=1e-12)
