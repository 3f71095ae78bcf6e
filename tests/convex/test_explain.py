import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import ConvexClassifier, ConvexRegressor
from tests import oracles

KEYS = ["name", "weight", "own_loss", "loss_without", "contribution", "correlation"]


def table(fitted, *data):
    """Columns of the report, as arrays."""
    frame = pd.DataFrame(fitted.explain(*data))
    assert list(frame.columns) == KEYS
    return frame


def without(j, m, n_outputs=1):
    """Columns of P that are not member j's."""
    return np.flatnonzero(np.repeat(np.arange(m) != j, n_outputs))


OPTIONS = [
    {"ridge": 0},
    {"ridge": 0.2},
    {"ridge": 0, "fit_intercept": True},
    {"ridge": 0, "sum_to_one": False},
    {"ridge": 0, "fit_intercept": True, "sum_to_one": False},
    {"ridge": 0, "loss": "huber"},
    {"ridge": 0, "loss": "huber", "fit_intercept": True},
    {"ridge": 0, "loss": "pinball", "level": 0.3, "fit_intercept": True},
    {"ridge": 0, "max_weight": 0.4},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_regression_report(regression_predictions, options, weighted):
    P, y, weight = regression_predictions()
    y = y + 0.3
    s = weight if weighted else np.ones(len(y))
    data = P, y, (weight if weighted else None)
    fitted = ConvexRegressor(**options).fit(*data)
    found = table(fitted, *data)
    assert_array_equal(found["weight"], fitted.weights_)
    if options["ridge"] == 0:  # a penalty may hold a better loss back
        slack = fitted.duality_gap_ + 1e-12 * fitted.loss_
        assert (found["contribution"] >= -slack).all()
    assert_allclose(found["contribution"], found["loss_without"] - fitted.loss_)
    residuals = P - y[:, None]
    if options.get("loss", "squared_error") == "squared_error":
        centre = np.average(residuals, axis=0, weights=s)
        own = residuals - centre * options.get("fit_intercept", False)
        assert_allclose(found["own_loss"], np.average(own**2, axis=0, weights=s))
    for j in range(6):
        kept = without(j, 6)
        refit = ConvexRegressor(**options).fit(P[:, kept], y, data[2])
        if options["ridge"] == 0:
            assert_allclose(found["loss_without"][j], refit.loss_, rtol=1e-8)
            rest = refit.predict(P[:, kept]) - y
            correlation = oracles.correlation(residuals[:, j], rest, s)
            assert_allclose(found["correlation"][j], correlation, atol=1e-3)
        if fitted.weights_[j] == 0.0:
            assert found["contribution"][j] == 0.0


def test_correlation_is_that_of_numpy(regression_predictions):
    P, y, _ = regression_predictions()
    found = table(ConvexRegressor(ridge=0).fit(P, y), P, y)
    for j in range(6):
        kept = without(j, 6)
        rest = ConvexRegressor(ridge=0).fit(P[:, kept], y).predict(P[:, kept])
        correlation = np.corrcoef(P[:, j] - y, rest - y)[0, 1]
        assert_allclose(found["correlation"][j], correlation, rtol=1e-10)


def test_correlation_survives_members_that_are_all_biased(regression_predictions):
    P, y, _ = regression_predictions()
    plain = table(ConvexRegressor(fit_intercept=True).fit(P, y), P, y)
    biased = P + 1e6 * np.arange(1, 7)
    found = table(ConvexRegressor(fit_intercept=True).fit(biased, y), biased, y)
    assert_allclose(found["correlation"], plain["correlation"], atol=1e-8)
    assert_allclose(found["contribution"], plain["contribution"], atol=1e-8)


def test_correlation_of_a_constant_residual_is_nan():
    y = np.arange(5.0)
    P = np.column_stack([y + 1.0, y + np.array([0.5, -1.0, 0.3, 0.0, -2.0])])
    found = table(ConvexRegressor(ridge=0).fit(P, y), P, y)
    assert np.isnan(found["correlation"]).all()


def test_names_are_those_of_the_columns(regression_predictions):
    P, y, _ = regression_predictions(n_members=3)
    frame = pd.DataFrame(P, columns=["linear", "forest", "boosting"])
    named = table(ConvexRegressor().fit(frame, y), frame, y)
    assert list(named["name"]) == ["linear", "forest", "boosting"]
    assert list(table(ConvexRegressor().fit(P, y), P, y)["name"]) == ["x0", "x1", "x2"]


def test_only_member_that_can_hold_the_weight(regression_predictions):
    P, y, _ = regression_predictions(n_members=1)
    found = table(ConvexRegressor().fit(P, y), P, y)
    assert np.isnan(found["contribution"]).all()
    capped = ConvexRegressor(max_weight=[0.5, 0.5]).fit(np.hstack([P, -P]), y)
    assert np.isnan(table(capped, np.hstack([P, -P]), y)["loss_without"]).all()


def test_report_of_a_cross_validated_ridge_uses_it(regression_predictions):
    P, y, _ = regression_predictions()
    fitted = ConvexRegressor(ridge="cv").fit(P, y)
    same = ConvexRegressor(ridge=fitted.ridge_).fit(P, y)
    pd.testing.assert_frame_equal(table(fitted, P, y), table(same, P, y))


def test_report_is_refused_per_target(regression_predictions):
    P, y, _ = regression_predictions()
    Y = np.column_stack([y, -y])
    fitted = ConvexRegressor(per_target=True).fit(P, Y)
    for report in (fitted.explain, fitted.regularization_path):
        with pytest.raises(ValueError, match="an estimator of its own"):
            report(P, Y)


# Probabilities.
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("loss", ["log_loss", "brier"])
def test_classification_report(class_predictions, n_classes, loss):
    P, y, weight = class_predictions(n_members=4, n_classes=n_classes)
    n_outputs = 1 if n_classes == 2 else n_classes
    fitted = ConvexClassifier(loss=loss, ridge=0).fit(P, y, weight)
    found = table(fitted, P, y, weight)
    names = [f"x{j * n_outputs}" for j in range(4)]
    assert list(found["name"]) == names
    assert (found["contribution"] >= -1e-9).all()
    cube = oracles.cube(P, n_outputs)
    target = np.eye(n_classes)[y] if n_outputs > 1 else y[:, None]
    truth = oracles.true_class_cube(P, y, n_classes)
    for j in range(4):
        kept = without(j, 4, n_outputs)
        refit = ConvexClassifier(loss=loss, ridge=0).fit(P[:, kept], y, weight)
        assert_allclose(found["loss_without"][j], refit.loss_, atol=1e-9)
        alone = ConvexClassifier(loss=loss, ridge=0)
        alone.fit(P[:, np.setdiff1d(np.arange(P.shape[1]), kept)], y, weight)
        assert_allclose(found["own_loss"][j], alone.loss_, rtol=1e-10)
        mixture = np.tensordot(refit.weights_, np.delete(cube, j, axis=0), 1)
        if loss == "brier":
            pair = (cube[j] - target).ravel(), (mixture - target).ravel()
            s = np.repeat(weight, n_outputs)
        else:
            pair = truth[:, j], np.delete(truth, j, axis=1) @ refit.weights_
            s = weight
        correlation = oracles.correlation(*pair, s)
        assert_allclose(found["correlation"][j], correlation, atol=1e-6)


def test_labels_that_fit_has_not_seen_are_refused(class_predictions):
    P, y, _ = class_predictions()
    fitted = ConvexClassifier().fit(P, y)
    with pytest.raises(ValueError, match=r"y has the label 2 \(row \d+\), which is"):
        fitted.explain(P, y + 1)


def test_impossible_rows_count_as_in_a_refit(class_predictions):
    P, y, _ = class_predictions()
    # The last row is impossible to all, the one before to all but member 2.
    P = np.vstack([P, np.zeros((2, 6))])
    P[-2, 2] = 0.5
    y = np.append(y, [1, 1])
    fitted = ConvexClassifier(ridge=0).fit(P, y)
    found = table(fitted, P, y)
    assert fitted.weights_[2] > 0
    for j in np.flatnonzero(fitted.weights_):
        refit = ConvexClassifier(ridge=0).fit(P[:, without(j, 6)], y)
        assert_allclose(found["loss_without"][j], refit.loss_, rtol=1e-8)
    chances = np.where(y[:, None] == 1, P, 1 - P)
    own = -np.log(np.maximum(chances, np.finfo(float).eps)).mean(axis=0)
    assert_allclose(found["own_loss"], own)
    path = fitted.regularization_path(P, y, ridges=[0.0])
    assert_allclose(path.losses, fitted.loss_, rtol=1e-12)
