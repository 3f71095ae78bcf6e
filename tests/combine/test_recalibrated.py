"""RecalibratedClassifier, RecalibratedRegressor: calibrators of held-out mixtures."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import logsumexp, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import KFold, RepeatedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from ensemblekit import (
    AverageClassifier,
    AverageRegressor,
    ConvexClassifier,
    ConvexRegressor,
    EnsembleSelectionRegressor,
    RecalibratedClassifier,
    RecalibratedRegressor,
    StackedClassifier,
    StackedRegressor,
    evaluate_loss,
)
from ensemblekit.combine._cross_fit_base import cross_fitted_mixtures
from ensemblekit.kernels.calibrate import calibrate_logs

TINY = 1e-9  # a ridge that lets the data speak


def honest(n_samples=4000, n_classes=2, seed=0, sharpen=1.0, bias=None):
    """One member that knows the posterior and tells it `sharpen` times too sharply.

    P, codes, and the logarithms of the posterior.
    """
    rng = np.random.default_rng(seed)
    truth = 1.2 * rng.normal(size=(n_samples, n_classes))
    y = (truth + rng.gumbel(size=truth.shape)).argmax(axis=1)
    told = softmax(sharpen * truth + (0.0 if bias is None else bias), axis=1)
    return (told[:, 1:] if n_classes == 2 else told), y, truth


def fixed_splits(n_samples, n_folds=3):
    fold = np.arange(n_samples) % n_folds
    return [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(3)]


class Fixed(ClassifierMixin, BaseEstimator):
    """Predicts the first member; notes which rows its fits have seen."""

    seen: list = []

    def fit(self, P, y, sample_weight=None):
        self.classes_ = np.unique(y)
        self.fitted_on_ = np.asarray(P)[:, -1].copy()
        return self

    def predict_proba(self, P):
        Fixed.seen.append((self.fitted_on_, np.asarray(P)[:, -1].copy()))
        return np.column_stack([1.0 - P[:, 0], P[:, 0]])


class Level(RegressorMixin, BaseEstimator):
    """Predicts the first member."""

    def fit(self, P, y):
        self.n_rows_ = len(P)
        return self

    def predict(self, P):
        return np.asarray(P)[:, 0]


# Held-out mixtures.
@pytest.mark.parametrize("weighted", [False, True])
def test_mixtures_are_those_of_a_literal_loop(class_predictions, weighted):
    P, y, weight = class_predictions(n_classes=3)
    weight = weight if weighted else None
    splits = list(RepeatedKFold(n_splits=4, n_repeats=2, random_state=0).split(P))[:7]
    inner = ConvexClassifier(ridge=0.1)
    found = cross_fitted_mixtures(inner, P, y, weight, splits, "classification")
    for row in range(len(y)):
        parts = []
        for train, test in splits:
            if row in test and row % 29 == 0:
                w = None if weight is None else weight[train]
                model = clone(inner).fit(P[train], y[train], sample_weight=w)
                parts.append(model.predict_proba(P[[row]])[0])
        if parts:
            assert_allclose(found[row], np.mean(parts, axis=0), rtol=1e-12)


def test_rows_never_held_out_and_folds_without_a_class_are_nan(class_predictions):
    P, y, _ = class_predictions(n_classes=3, n_samples=60)
    last = np.flatnonzero(y == 2)
    rest = np.flatnonzero(y != 2)
    splits = [(rest, last[:3]), (np.arange(30), np.arange(40, 50))]
    found = cross_fitted_mixtures(
        AverageClassifier(), P, y, None, splits, "classification"
    )
    known = np.flatnonzero(~np.isnan(found[:, 0]))
    assert_array_equal(known, np.arange(40, 50))
    with pytest.raises(ValueError, match="no fold whose training rows hold all 3"):
        cross_fitted_mixtures(
            AverageClassifier(), P, y, None, splits[:1], "classification"
        )


def test_a_class_without_weight_in_training_is_a_class_it_lacks(class_predictions):
    P, y, weight = class_predictions(n_classes=2, n_samples=60)
    splits = [(np.arange(30), np.arange(30, 60)), (np.arange(30, 60), np.arange(30))]
    weight[:30][y[:30] == 1] = 0.0
    found = cross_fitted_mixtures(
        AverageClassifier(), P, y, weight, splits, "classification"
    )
    assert np.isnan(found[30:]).all()
    assert not np.isnan(found[:30]).any()


def test_inner_fits_never_read_the_rows_they_predict():
    P, y, _ = honest(90)
    P = np.column_stack([P, np.arange(90) / 90])  # the last column tells the row
    Fixed.seen = []
    RecalibratedClassifier(Fixed()).fit(P, y)
    assert len(Fixed.seen) == 5
    predicted = np.concatenate([test for _, test in Fixed.seen])
    assert_array_equal(np.sort(predicted), P[:, -1])
    for train, test in Fixed.seen:
        assert not np.isin(test, train).any()
        assert len(train) + len(test) == 90


# Temperature and biases.
def penalised(theta, logs, y, weight, ridge):
    scores = theta[0] * logs + theta[1:]
    losses = logsumexp(scores, axis=1) - scores[np.arange(len(y)), y]
    away = theta - np.append(1.0, np.zeros(len(theta) - 1))
    return np.average(losses, weights=weight) + 0.5 * ridge * away @ away


def root(logs, y, weight, ridge):
    """Slope of zero derivative, by scipy's bracketing."""
    told = logs[np.arange(len(y)), y]

    def derivative(t):
        mean = (softmax(t * logs, axis=1) * logs).sum(axis=1)
        return np.average(mean - told, weights=weight) + ridge * (t - 1.0)

    return brentq(derivative, 1e-3, 1e3, xtol=1e-14)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("ridge", [1e-4, 0.03])
def test_temperature_equals_scipys_scalar_optimum(n_classes, seed, ridge):
    rng = np.random.default_rng(seed)
    logs = rng.uniform(0.2, 5) * rng.normal(size=(80, n_classes))
    y, weight = rng.integers(0, n_classes, 80), rng.uniform(size=80)
    y[:60] = (logs + rng.normal(size=logs.shape)).argmax(axis=1)[:60]
    slope, bias, gap = calibrate_logs(logs, y, weight, ridge, False)

    def value(t):
        theta = np.append(t, np.zeros(n_classes))
        return penalised(theta, logs, y, weight, ridge)

    best = minimize_scalar(value, bounds=(1e-3, 50), method="bounded")
    assert value(slope) <= best.fun + 1e-12
    q = softmax(slope * logs, axis=1)
    told = logs[np.arange(80), y]
    derivative = np.average((q * logs).sum(axis=1) - told, weights=weight)
    assert abs(derivative + ridge * (slope - 1.0)) < 1e-10
    assert_allclose(slope, best.x, atol=1e-4)  # scipy compares values: half the digits
    assert_allclose(slope, root(logs, y, weight, ridge), rtol=1e-8)
    assert not bias.any()
    assert 0.0 <= gap < 1e-12


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_affine_equals_another_solver(n_classes, seed):
    rng = np.random.default_rng(seed)
    logs = 2 * rng.normal(size=(100, n_classes))
    noise = rng.gumbel(size=logs.shape) + rng.normal(size=n_classes)
    y, weight = (logs + noise).argmax(axis=1), rng.uniform(size=100)
    slope, bias, gap = calibrate_logs(logs, y, weight, 0.01, True)
    theta = np.append(slope, bias)
    arguments = logs, y, weight, 0.01
    best = minimize(penalised, theta, args=arguments, tol=1e-12)
    assert penalised(theta, *arguments) <= best.fun + 1e-12
    start = np.append(1.0, np.zeros(n_classes))
    other = minimize(penalised, start, args=arguments, tol=1e-10)
    assert penalised(theta, *arguments) <= other.fun + 1e-12
    assert_allclose(theta, other.x, atol=1e-4)
    assert gap < 1e-12


def test_what_points_the_wrong_way_is_flattened_but_not_turned():
    P, y, _ = honest()
    wrong = 1.0 - P
    found = RecalibratedClassifier(AverageClassifier(), calibrate="temperature")
    found.fit(wrong, y)
    assert found.slope_ == 1e-3
    assert_allclose(found.predict_proba(wrong), 0.5, atol=2e-3)
    found.set_params(calibrate="affine").fit(wrong, np.where(P[:, 0] < 0.9, 0, y))
    assert found.slope_ == 1e-3
    shares = np.bincount(np.where(P[:, 0] < 0.9, 0, y)) / len(y)
    assert_allclose(found.predict_proba(wrong).mean(axis=0), shares, atol=0.05)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("calibrate", ["temperature", "affine"])
def test_calibrated_probabilities_are_left_nearly_alone(n_classes, calibrate):
    slopes, biases = [], []
    for seed in range(10):
        P, y, _ = honest(n_classes=n_classes, seed=seed)
        found = RecalibratedClassifier(calibrate=calibrate, ridge=TINY).fit(P, y)
        slopes.append(found.slope_)
        biases.append(found.intercept_)
        told = P if n_classes > 2 else np.hstack([1 - P, P])
        assert_allclose(found.predict_proba(P), told, atol=0.05)
    error = np.std(slopes, ddof=1) / np.sqrt(10)
    assert abs(np.mean(slopes) - 1.0) < 4 * error < 0.1
    assert np.abs(np.mean(biases, axis=0)).max() < 0.05


@pytest.mark.parametrize("n_classes", [2, 3])
def test_an_over_confident_member_is_restored(n_classes):
    slopes = []
    for seed in range(10):
        P, y, truth = honest(n_classes=n_classes, seed=seed, sharpen=3.0)
        found = RecalibratedClassifier(calibrate="temperature", ridge=TINY).fit(P, y)
        slopes.append(found.slope_)
        default = RecalibratedClassifier(calibrate="temperature").fit(P, y)
        assert_allclose(default.slope_, found.slope_, rtol=0.1)
        before = evaluate_loss(
            "log_loss", y, ConvexClassifier().fit(P, y).predict_proba(P)
        )
        after = evaluate_loss("log_loss", y, found.predict_proba(P))
        perfect = evaluate_loss("log_loss", y, softmax(truth, axis=1))
        assert after - perfect < 0.02 * (before - perfect)
    error = np.std(slopes, ddof=1) / np.sqrt(10)
    assert abs(np.mean(slopes) - 1 / 3) < 4 * error < 0.02


def test_a_class_that_the_member_finds_too_likely():
    P, y, _ = honest(n_classes=3, bias=np.array([1.0, 0.0, 0.0]))
    found = RecalibratedClassifier(ridge=TINY).fit(P, y)
    assert_allclose(found.slope_, 1.0, atol=0.1)
    assert_allclose(found.intercept_, [-2 / 3, 1 / 3, 1 / 3], atol=0.15)
    assert_allclose(found.intercept_.sum(), 0.0, atol=1e-12)
    shares = np.bincount(y) / len(y)
    assert_allclose(found.predict_proba(P).mean(axis=0), shares, atol=1e-3)


@pytest.mark.parametrize("calibrate", ["temperature", "affine", "isotonic"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_separable_classes_and_hard_answers(calibrate, n_classes):
    y = np.arange(60) % n_classes
    P = np.eye(n_classes)[y]
    P = P[:, 1:] if n_classes == 2 else P
    found = RecalibratedClassifier(calibrate=calibrate).fit(P, y)
    probabilities = found.predict_proba(P)
    assert probabilities.min() > 0.0
    assert probabilities.max() < 1.0 or calibrate != "isotonic"
    assert_allclose(probabilities.sum(axis=1), 1.0)
    assert_array_equal(found.predict(P), y)
    wrong = found.predict_proba(P[::-1])
    assert np.isfinite(evaluate_loss("log_loss", y, wrong))


# Isotonic regression.
def test_isotonic_equals_scikit_learn_on_mixtures_made_by_hand():
    P, y, _ = honest(300)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 300)
    splits = fixed_splits(300)
    inner = ConvexClassifier(ridge=0.1)
    P = np.column_stack([P, np.random.default_rng(2).uniform(size=300)])
    found = RecalibratedClassifier(inner, calibrate="isotonic", cv=splits)
    found.fit(P, y, sample_weight=weight)
    held_out = np.empty(300)
    for train, test in splits:
        model = clone(inner).fit(P[train], y[train], sample_weight=weight[train])
        held_out[test] = model.predict_proba(P[test])[:, 1]
    line = IsotonicRegression(y_min=1 / 302, y_max=301 / 302, out_of_bounds="clip")
    line.fit(held_out, y, sample_weight=weight)
    mixture = clone(inner).fit(P, y, sample_weight=weight).predict_proba(P)[:, 1]
    assert_allclose(found.predict_proba(P)[:, 1], line.predict(mixture), atol=1e-12)
    assert len(found.isotonic_) == 1


def test_isotonic_of_more_classes_is_one_against_the_rest():
    P, y, _ = honest(300, n_classes=3)
    splits = fixed_splits(300)
    found = RecalibratedClassifier(AverageClassifier(), calibrate="isotonic", cv=splits)
    found.fit(P, y)
    lines = [
        IsotonicRegression(y_min=1 / 302, y_max=301 / 302, out_of_bounds="clip")
        .fit(P[:, k], y == k)
        .predict(P[:, k])
        for k in range(3)
    ]
    expected = np.column_stack(lines)
    expected /= expected.sum(axis=1, keepdims=True)
    assert_allclose(found.predict_proba(P), expected, atol=1e-12)


# Values.
def test_a_line_through_held_out_predictions(regression_predictions):
    P, y, weight = regression_predictions()
    splits = fixed_splits(150)
    inner = ConvexRegressor(ridge=0.1)
    found = RecalibratedRegressor(inner, cv=splits).fit(P, y, sample_weight=weight)
    held_out = np.empty(150)
    for train, test in splits:
        model = clone(inner).fit(P[train], y[train], sample_weight=weight[train])
        held_out[test] = model.predict(P[test])
    line = LinearRegression().fit(held_out[:, None], y, sample_weight=weight)
    assert_allclose([found.slope_, found.intercept_], [line.coef_[0], line.intercept_])
    whole = clone(inner).fit(P, y, sample_weight=weight)
    assert_allclose(found.predict(P), line.predict(whole.predict(P)[:, None]))
    assert_array_equal(found.weights_, whole.weights_)
    steps = RecalibratedRegressor(inner, calibrate="isotonic", cv=splits)
    steps.fit(P, y, sample_weight=weight)
    monotone = IsotonicRegression(out_of_bounds="clip")
    monotone.fit(held_out, y, sample_weight=weight)
    assert_allclose(steps.predict(P), monotone.predict(whole.predict(P)))
    assert_allclose(steps.isotonic_.predict(held_out), monotone.predict(held_out))


def test_shrunk_and_biased_members_are_mended(regression_predictions):
    _, y, _ = regression_predictions()
    P = 5.0 + 0.25 * np.column_stack([y, y])
    found = RecalibratedRegressor().fit(P, y)
    assert_allclose([found.slope_, found.intercept_], [4.0, -20.0])
    assert_allclose(found.predict(P), y, atol=1e-9)


def test_predictions_that_are_all_the_same_keep_their_slope():
    found = RecalibratedRegressor().fit(np.full((30, 2), 3.0), np.arange(30.0))
    assert found.slope_ == 1.0
    assert_allclose(found.predict([[3.0, 3.0]]), 14.5)


def test_rows_never_held_out_do_not_count(regression_predictions):
    P, y, _ = regression_predictions()
    splits = [(np.arange(50, 150), np.arange(25)), (np.arange(25), np.arange(25, 50))]
    wrong = y.copy()
    wrong[50:] += 1e3
    a = RecalibratedRegressor(Level(), cv=splits).fit(P, y)
    b = RecalibratedRegressor(Level(), cv=splits).fit(P, wrong)
    assert (a.slope_, a.intercept_) == (b.slope_, b.intercept_)
    assert b.combiner_.n_rows_ == 150


# Around any combiner.
def test_none_leaves_the_combiner_as_it_is(class_predictions, regression_predictions):
    P, y, weight = class_predictions()
    inner = ConvexClassifier(ridge=0.1)
    found = RecalibratedClassifier(inner, calibrate=None).fit(P, y, weight)
    plain = clone(inner).fit(P, y, weight)
    assert_array_equal(found.predict_proba(P), plain.predict_proba(P))
    assert not hasattr(found, "slope_")
    P, y, weight = regression_predictions()
    found = RecalibratedRegressor(AverageRegressor(), calibrate=None).fit(P, y, weight)
    assert_array_equal(found.predict(P), AverageRegressor().fit(P, y).predict(P))


def test_no_combiner_means_convex_weights(class_predictions, regression_predictions):
    P, y, _ = class_predictions()
    found = RecalibratedClassifier().fit(P, y)
    assert_array_equal(found.weights_, ConvexClassifier().fit(P, y).weights_)
    assert isinstance(found.combiner_, ConvexClassifier)
    assert found.combiner is None
    P, y, _ = regression_predictions()
    found = RecalibratedRegressor().fit(P, y)
    assert_array_equal(found.weights_, ConvexRegressor().fit(P, y).weights_)


@pytest.mark.parametrize("calibrate", ["temperature", "affine", "isotonic"])
def test_any_classifier_and_labels_in_words(class_predictions, calibrate):
    P, y, _ = class_predictions(n_classes=3)
    words = np.array(["low", "mid", "top"])[y]
    for inner in (LogisticRegression(), KNeighborsClassifier(15)):
        found = RecalibratedClassifier(inner, calibrate=calibrate).fit(P, words)
        assert not hasattr(found, "weights_")
        assert_allclose(found.predict_proba(P).sum(axis=1), 1.0)
        assert np.mean(found.predict(P) == words) > 0.5


def test_sample_weight_reaches_calibrator_and_combiner():
    P, y, _ = honest(400, sharpen=3.0)
    found = RecalibratedClassifier(calibrate="temperature", ridge=TINY)
    right, wrong = np.where((P[:, 0] > 0.5) == y, 1.0, 1e-3), np.ones(400)
    trusting = found.fit(P, y, sample_weight=right).slope_
    assert trusting > 2 * found.fit(P, y, sample_weight=wrong).slope_


def test_errors_of_the_inner_combiner_pass_through(class_predictions):
    P, y, weight = class_predictions()
    with pytest.raises(ValueError, match="'ridge' parameter of ConvexClassifier"):
        RecalibratedClassifier(ConvexClassifier(ridge=-1.0)).fit(P, y)
    with pytest.raises(ValueError, match=r"KNeighborsClassifier\.fit takes none"):
        RecalibratedClassifier(KNeighborsClassifier()).fit(P, y, sample_weight=weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"calibrate": "platt"}, "'calibrate' parameter of RecalibratedClassifier"),
        ({"ridge": 0.0}, "'ridge' parameter of RecalibratedClassifier"),
        ({"combiner": LinearRegression()}, "'combiner' parameter of Recalibrated"),
    ],
)
def test_refuses_parameters(class_predictions, options, message):
    P, y, _ = class_predictions()
    with pytest.raises(ValueError, match=message):
        RecalibratedClassifier(**options).fit(P, y)


def test_folds_are_as_many_as_rows_bear(class_predictions, regression_predictions):
    P, y, _ = class_predictions()
    largest = int(np.unique(y, return_counts=True)[1].max())
    found, given = (RecalibratedClassifier(cv=cv).fit(P, y) for cv in (4000, largest))
    assert found.slope_ == given.slope_
    assert_array_equal(found.intercept_, given.intercept_)
    P, y, _ = regression_predictions()
    few, given = (RecalibratedRegressor(cv=cv).fit(P[:4], y[:4]) for cv in (5, 4))
    assert (few.slope_, few.intercept_) == (given.slope_, given.intercept_)


def test_where_no_row_can_be_held_out_nothing_is_calibrated(
    class_predictions, regression_predictions
):
    P, y, _ = class_predictions()
    rows = np.unique(y, return_index=True)[1]
    found = RecalibratedClassifier().fit(P[rows], y[rows])
    plain = RecalibratedClassifier(calibrate=None).fit(P[rows], y[rows])
    assert_array_equal(found.predict_proba(P), plain.predict_proba(P))
    assert not hasattr(found, "slope_")
    P, y, _ = regression_predictions()
    found = RecalibratedRegressor().fit(P[:1], y[:1])
    plain = RecalibratedRegressor(calibrate=None).fit(P[:1], y[:1])
    assert_array_equal(found.predict(P), plain.predict(P))
    assert not hasattr(found, "slope_")


def test_groups_stay_together_in_given_splits():
    P, y, _ = honest(120)
    group = np.arange(120) // 20
    P = np.column_stack([P, group / 10.0])
    splits = [
        (np.flatnonzero(group % 3 != g), np.flatnonzero(group % 3 == g))
        for g in range(3)
    ]
    Fixed.seen = []
    RecalibratedClassifier(Fixed(), cv=splits).fit(P, y)
    for train, test in Fixed.seen:
        assert not np.isin(train, test).any()


def test_inside_a_stack_unneeded_members_are_not_predicted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = (X[:, 0] + 0.5 * rng.normal(size=300) > 0).astype(int)
    members = [
        ("good", make_pipeline(StandardScaler(), LogisticRegression())),
        ("noise", DecisionTreeClassifier(max_depth=8, random_state=0)),
    ]
    stacked = StackedClassifier(
        members, RecalibratedClassifier(ConvexClassifier(max_members=1))
    )
    stacked.fit(X, y)
    assert stacked.weights_[1] == 0.0
    assert_allclose(stacked.predict_proba(X).sum(axis=1), 1.0)
    inner = RecalibratedRegressor(EnsembleSelectionRegressor())
    values = StackedRegressor(
        [("a", LinearRegression()), ("b", LinearRegression())], inner
    )
    values.fit(X, X[:, 0] * 2.0, sample_weight=np.ones(300))
    assert_allclose(values.predict(X), X[:, 0] * 2.0, atol=1e-8)


def test_a_monotone_function_of_values_is_found(regression_predictions):
    rng = np.random.default_rng(0)
    truth = rng.uniform(-2, 2, 2000)
    P, y = truth[:, None] + 0.01 * rng.normal(size=(2000, 3)), truth**3
    found = RecalibratedRegressor(calibrate="isotonic", cv=KFold(4)).fit(P, y)
    assert np.mean((found.predict(P) - y) ** 2) < 0.02
    assert found.predict([[9.0] * 3]) <= y.max()
