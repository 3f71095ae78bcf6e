import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from ensemblekit import LinearStackRegressor


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ridge", [0.01, 1.0, 50.0])
def test_regression_equals_its_normal_equations(
    regression_predictions, weighted, ridge
):
    P, y, weight = regression_predictions()
    weight = weight if weighted else np.ones(len(y))
    found = LinearStackRegressor(ridge=ridge).fit(P, y, sample_weight=weight)
    n_samples, m = P.shape
    variance = np.average((y - np.average(y, weights=weight)) ** 2, weights=weight)
    design = np.column_stack([P, np.ones(n_samples)])
    penalty = np.diag([ridge * variance * m] * m + [0.0])
    gram = (design * weight[:, None]).T @ design / weight.sum() + penalty
    right = design.T @ (weight * y) / weight.sum() + penalty @ np.full(m + 1, 1 / m)
    expected = np.linalg.solve(gram, right)
    assert_allclose(found.weights_, expected[:-1], rtol=1e-9)
    assert_allclose(found.intercept_, expected[-1], rtol=1e-7)


def test_regression_limits(regression_predictions):
    P, y, _ = regression_predictions()
    free, plain = LinearStackRegressor(ridge=0).fit(P, y), LinearRegression().fit(P, y)
    assert_allclose(free.weights_, plain.coef_, rtol=1e-8)
    assert_allclose(free.intercept_, plain.intercept_, rtol=1e-6)
    stiff = LinearStackRegressor(ridge=1e12).fit(P, y)
    assert_allclose(stiff.weights_, 1 / 6, rtol=1e-9)
    assert_allclose(stiff.intercept_, (y - P.mean(axis=1)).mean(), rtol=1e-6)


def test_regression_without_penalty_survives_duplicates(regression_predictions):
    P, y, _ = regression_predictions()
    found = LinearStackRegressor(ridge=0).fit(P[:, [0, 1, 2, 2, 0]], y)
    plain = LinearRegression().fit(P[:, :3], y)
    assert_allclose(found.predict(P[:, [0, 1, 2, 2, 0]]), plain.predict(P[:, :3]))


def test_regression_cross_validation_equals_a_literal_loop(regression_predictions):
    P, y, weight = regression_predictions(n_samples=60)
    cv = KFold(4)
    found = LinearStackRegressor(cv=cv).fit(P, y, sample_weight=weight)
    variance = np.average((y - np.average(y, weights=weight)) ** 2, weights=weight)
    for ridge, loss in zip(found.ridges_, found.cv_losses_, strict=True):
        total = 0.0
        for train, test in cv.split(P):
            # the penalty's unit is the variance of all rows, not of the fold
            w = weight[train]
            own = np.average(
                (y[train] - np.average(y[train], weights=w)) ** 2, weights=w
            )
            model = LinearStackRegressor(ridge=ridge * variance / own)
            model.fit(P[train], y[train], sample_weight=w)
            total += weight[test] @ (y[test] - model.predict(P[test])) ** 2
        assert_allclose(loss, total / weight.sum(), rtol=1e-8)
    assert found.ridge_ == found.ridges_[np.argmin(found.cv_losses_)]


def test_regression_corrects_bias_and_shrinkage(regression_predictions):
    _, y, _ = regression_predictions()
    found = LinearStackRegressor(ridge=1e-6).fit(5.0 + 0.25 * y[:, None], y)
    assert_allclose(found.predict(5.0 + 0.25 * y[:, None]), y, atol=1e-4)


def test_fewer_rows_than_folds(regression_predictions):
    P, y, _ = regression_predictions()
    with pytest.raises(ValueError, match="5 folds need 5 rows at least"):
        LinearStackRegressor().fit(P[:4], y[:4])
