"""Cascades that abstain, and cascades whose stages are calibrated."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from ensemblekit import (
    CascadeClassifier,
    augrc,
    augrc_scorer,
    aurc,
    aurc_scorer,
    rejection_cost_scorer,
    selective_accuracy_scorer,
)

from . import oracles_cascade as oracles
from .test_cascade import (
    CLASSIFIERS,
    TASKS,
    data,
    far_and_near,
    held_out_confidences,
    make,
    members_say,
    says,
)


@pytest.fixture(params=TASKS)
def task(request):
    return request.param


# Abstaining.
def held_out_places(cascade, confidences, weight):
    """The rank of each row at each stage, row by row."""
    return np.array(
        [
            [float(oracles.rank(own, weight, row)) for own in confidences.T]
            for row in range(len(confidences))
        ]
    )


@pytest.mark.parametrize("coverage", [1.0, 0.75, 0.5])
@pytest.mark.parametrize("window", [0.0, 0.4, 1.0])
def test_rows_below_the_threshold_are_abstained_from(coverage, window):
    X, y = data("classes", n=60)
    weight = np.random.default_rng(0).integers(1, 4, 60)
    cascade = make("classes", coverage=coverage, window=window)
    cascade.fit(X, y, sample_weight=weight)
    _, known = held_out_confidences(cascade)
    new = far_and_near(data("classes", seed=1, n=60)[0])
    stage, sure = cascade.stage(new), cascade.predict_proba(new).max(axis=1)
    wanted = np.empty(len(new))
    for i, (k, c) in enumerate(zip(stage, sure, strict=True)):
        below, equal = known[:, k] < c, known[:, k] == c
        wanted[i] = (weight[below].sum() + weight[equal].sum() / 2) / weight.sum()
    labels, accepted, confidence = cascade.predict_selective(new)
    assert_allclose(confidence, wanted, rtol=1e-12)
    assert_array_equal(labels, cascade.predict(new))
    assert_array_equal(accepted, confidence >= 1 - coverage)
    assert_array_equal(cascade.abstains(new), ~accepted)
    assert cascade.threshold_ == 1 - coverage
    assert accepted.all() == (coverage == 1)
    # Held-out rows: each walked through the stages.
    places = held_out_places(cascade, known, weight)
    own = oracles.stages(
        known, weight, 1 - oracles.Fraction(coverage), oracles.Fraction(window)
    )
    taken = places[np.arange(60), own] >= 1 - coverage
    assert_allclose(cascade.coverage_, np.average(taken, weights=weight))


def test_rows_answered_are_more_often_right_and_as_many_as_asked():
    X, y = data("classes", n=2000)
    train, new = slice(0, 1000), slice(1000, None)
    members = [("linear", LogisticRegression()), *CLASSIFIERS[:2]]
    cascade = CascadeClassifier(members, coverage=0.6, max_cost=1.5)
    cascade.fit(X[train], y[train])
    labels, accepted, _ = cascade.predict_selective(X[new])
    right = labels == y[new]
    # Of 1000 rows at a threshold of 1000 others: 4.5 standard errors of both.
    assert abs(accepted.mean() - cascade.coverage_) < 4.5 * np.sqrt(2 * 0.24 / 1000)
    assert abs(cascade.coverage_ - 0.6) < 0.1
    assert right[accepted].mean() > right.mean() + 0.05


def test_scorers_see_the_abstentions_of_a_cascade():
    X, y = data("classes")
    piped = make_pipeline(StandardScaler(), make("classes", cv=2))
    grid = {"cascadeclassifier__coverage": [0.3, 0.6, 1.0]}
    for abstain_cost, best in [(0.0, 0.3), (1.0, 1.0)]:
        scorer = rejection_cost_scorer(1.0, abstain_cost)
        search = GridSearchCV(piped, grid, scoring=scorer, cv=2).fit(X, y)
        assert search.best_params_ == {"cascadeclassifier__coverage": best}
    cascade = make("classes", coverage=0.7).fit(X, y)
    _, accepted, confidence = cascade.predict_selective(X)
    right = cascade.predict(X) == y
    assert aurc_scorer(cascade, X, y) == -aurc(confidence, right)
    assert augrc_scorer(cascade, X, y) == -augrc(confidence, right)
    scored = selective_accuracy_scorer(0.5)(cascade, X, y)
    assert scored == pytest.approx(right[accepted].mean())
    assert rejection_cost_scorer(1.0, 0.2)(cascade, X, y) == pytest.approx(
        -np.where(accepted, ~right, 0.2).mean()
    )


# Calibrated stages.
@pytest.mark.parametrize("n_classes", [2, 3])
def test_calibrated_stages_are_powers_of_least_log_loss(n_classes):
    X, y = make_classification(
        300, 6, n_informative=5, n_redundant=0, n_classes=n_classes, random_state=0
    )
    cascade = CascadeClassifier(CLASSIFIERS, window=0.0, calibrate=True).fit(X, y)
    P = cascade._cube(cascade.cross_fit_.oof_predictions_)
    means = np.maximum(oracles.stage_means(P, np.ones(3)), 1e-6)

    def power_loss(power, mean):
        said = mean**power / (mean**power).sum(axis=1, keepdims=True)
        return -np.log(said[np.arange(300), y]).mean() + 5e-4 * (power - 1) ** 2

    for mean, power in zip(means, cascade.powers_, strict=True):
        found = minimize_scalar(power_loss, bounds=(0.01, 5), args=(mean,))
        assert power == pytest.approx(found.x, rel=1e-4)
    assert (np.abs(cascade.powers_[:2] - 1) > 0.02).all()
    new = far_and_near(X)
    members = np.maximum(members_say(cascade, new), 1e-6)
    whole = clone(cascade).set_params(window=1.0).fit(X, y)
    ends = members[0] / members[0].sum(axis=1, keepdims=True), members.mean(axis=0)
    for model, mean, power in [
        (cascade, ends[0], cascade.powers_[0]),
        (whole, ends[1], cascade.powers_[-1]),
    ]:
        wanted = mean**power / (mean**power).sum(axis=1, keepdims=True)
        assert_allclose(model.predict_proba(new), wanted, rtol=1e-4, atol=1e-6)


def test_calibrated_values_are_on_the_line_of_least_squares():
    X, y = data("values")
    new = far_and_near(data("values", seed=1)[0])
    settings = {"calibrate": True, "weights": [1, 2, 1]}
    for window, k in [(0.0, 0), (1.0, 2)]:
        cascade = make("values", window=window, **settings).fit(X, y)
        P = cascade.cross_fit_.oof_predictions_[:, : k + 1]
        held_out = np.average(P, axis=1, weights=[1, 2, 1][: k + 1])
        slope, intercept = np.polyfit(held_out, y, 1)
        assert_allclose(cascade.lines_[k], [intercept, slope], rtol=1e-8)
        members = members_say(cascade, new)[: k + 1]
        mean = np.average(members, axis=0, weights=[1, 2, 1][: k + 1])
        assert_allclose(says(cascade, new), intercept + slope * mean, rtol=1e-8)
        assert abs(slope - 1) > 1e-3


def test_calibration_lowers_the_held_out_loss_of_every_stage(task):
    X, y = data(task)
    plain = make(task).fit(X, y)
    cascade = make(task, calibrate=True).fit(X, y)
    for end in (0, -1):
        assert cascade.cost_curve_.loss[end] < plain.cost_curve_.loss[end]
    if task == "classes":
        assert_array_equal(plain.powers_, np.ones(3))
    else:
        assert_array_equal(plain.lines_, [[0.0, 1.0]] * 3)
    stage = cascade.stage(X)
    assert set(stage) > {0}
    labels = cascade.predict(X)
    again = pickle.loads(pickle.dumps(cascade))
    assert_array_equal(again.predict(X), labels)


def test_stages_of_members_that_are_never_unsure_calibrate():
    X, y = data("classes")
    tree = DecisionTreeClassifier(random_state=0)  # probabilities 0 and 1
    members = [("tree", tree), ("linear", LogisticRegression())]
    cascade = CascadeClassifier(members, window=0.5, calibrate=True).fit(X, y)
    assert 0 < cascade.powers_[0] < 0.5
    assert np.isfinite(np.log(cascade.predict_proba(X))).all()
