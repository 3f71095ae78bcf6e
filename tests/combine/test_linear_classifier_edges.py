"""Hard answers, odd folds, rows that do not count, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import (
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)

from ensemblekit import ConvexClassifier, LinearStackClassifier, evaluate_loss


@pytest.mark.parametrize("weights", ["shared", "per_class"])
@pytest.mark.parametrize("features", ["log", "probability", "both"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_separable_classes_and_hard_answers_stay_finite(
    class_predictions, weights, features, n_classes
):
    P, y, _ = class_predictions(n_members=3, n_classes=n_classes)
    width = P.shape[1] // 3
    P[:, :width] = np.eye(n_classes)[y][:, -width:]
    P[:, width : 2 * width] = np.eye(n_classes)[(y + 1) % n_classes][:, -width:]
    for ridge in ("cv", 1e-4, 1e-12):
        found = LinearStackClassifier(weights=weights, features=features, ridge=ridge)
        found.fit(P, y)
        assert np.isfinite(found.step_).all()
        assert np.isfinite(found.intercept_).all()
        assert (found.predict(P) == y).all()
        proba = found.predict_proba(P)
        assert np.isfinite(proba).all()
        assert_allclose(proba.sum(axis=1), 1.0)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_members_that_are_all_wrong_and_sure_stay_finite(n_classes):
    y, rows = np.arange(60) % n_classes, np.arange(60)
    members = []
    for first in (0, 4):  # rows 4, 5, 6 are hopeless
        answer = (y + ((rows >= first) & (rows < first + 7))) % n_classes
        members.append(np.eye(n_classes)[answer])
    P = np.hstack([member[:, 1:] if n_classes == 2 else member for member in members])
    found = LinearStackClassifier().fit(P, y)
    loss = evaluate_loss("log_loss", y, found.predict_proba(P))
    assert np.isfinite(loss)
    assert loss < evaluate_loss(
        "log_loss", y, ConvexClassifier().fit(P, y).predict_proba(P)
    )


def test_a_sure_member_may_stay_sure():
    rng = np.random.default_rng(0)
    truth = rng.normal(scale=20.0, size=3000)
    y = (rng.uniform(size=3000) < 1 / (1 + np.exp(-truth))).astype(int)
    P = 1 / (1 + np.exp(-truth[:, None]))
    found = LinearStackClassifier().fit(P, y)
    assert found.predict_proba(P).min() < 1e-6  # far below `clip`


def test_rows_of_weight_zero_may_be_anything(class_predictions):
    P, y, weight = class_predictions(n_classes=3)
    weight[::5] = 0.0
    other = np.where(weight == 0.0, (y + 1) % 3, y)
    folds = [(np.arange(90), np.arange(90, 180)), (np.arange(90, 180), np.arange(90))]
    first = LinearStackClassifier(cv=folds).fit(P, y, sample_weight=weight)
    second = LinearStackClassifier(cv=folds).fit(P, other, sample_weight=weight)
    assert_array_equal(first.step_, second.step_)
    assert_array_equal(first.cv_losses_, second.cv_losses_)


def test_a_class_missing_from_a_fold(class_predictions):
    P, y, _ = class_predictions(n_classes=3)
    order = np.argsort(y, kind="stable")
    P, y = P[order], y[order]
    rows = np.arange(180)
    splits = [(rows[60:], rows[:60]), (rows[:120], rows[120:])]
    found = LinearStackClassifier(cv=splits).fit(P, y)
    assert np.isfinite(found.cv_losses_).all()


@pytest.mark.parametrize(
    "cv",
    [
        RepeatedKFold(n_splits=3, n_repeats=4, random_state=0),
        ShuffleSplit(9, random_state=0),
        TimeSeriesSplit(4),
    ],
    ids=["repeated", "shuffle", "time"],
)
@pytest.mark.parametrize("weights", ["shared", "per_class"])
def test_splits_need_not_partition_the_rows(class_predictions, cv, weights):
    P, y, weight = class_predictions(n_classes=3, n_samples=90)
    found = LinearStackClassifier(weights=weights, cv=cv)
    found.fit(P, y, sample_weight=weight)
    total = size = 0.0
    for train, test in cv.split(P):
        own = LinearStackClassifier(weights=weights, ridge=found.ridges_[7])
        own.fit(P[train], y[train], sample_weight=weight[train])
        p = own.predict_proba(P[test])[np.arange(len(test)), y[test]]
        total, size = total - weight[test] @ np.log(p), size + weight[test].sum()
    assert_allclose(found.cv_losses_[7], total / size, rtol=1e-8)


def test_rows_outside_of_all_folds_count_in_the_fit(class_predictions):
    P, y, weight = class_predictions()
    weight[3] = 0.0
    splits = [(np.arange(60), np.arange(60, 120)), (np.arange(60, 120), np.arange(60))]
    found = LinearStackClassifier(cv=splits).fit(P, y, sample_weight=weight)
    first = LinearStackClassifier(cv=splits)
    first.fit(P[:120], y[:120], sample_weight=weight[:120])
    assert_allclose(found.cv_losses_, first.cv_losses_, rtol=1e-8)
    again = LinearStackClassifier(ridge=found.ridge_).fit(P, y, sample_weight=weight)
    assert_allclose(found.step_, again.step_, atol=1e-8)


def test_weights_that_are_no_counts_are_warned_about(class_predictions):
    P, y, weight = class_predictions()
    message = "convex_ridge='auto' takes sample_weight as counts"
    with pytest.warns(UserWarning, match=message) as caught:
        LinearStackClassifier(ridge=0.1).fit(P, y, sample_weight=1e-3 * weight)
    assert caught[0].filename == __file__
    LinearStackClassifier(convex_ridge=0.1).fit(P, y, sample_weight=1e-3 * weight)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"ridge": 0.0}, "'ridge' parameter of LinearStackClassifier"),
        ({"clip": 0.0}, "'clip' parameter"),
        ({"weights": "own"}, "'weights' parameter"),
        ({"features": "logit"}, "'features' parameter"),
        ({"rule": "2se"}, "'rule' parameter"),
    ],
)
def test_unfit_parameters_are_refused(class_predictions, bad, message):
    P, y, _ = class_predictions()
    with pytest.raises(ValueError, match=message):
        LinearStackClassifier(**bad).fit(P, y)


def test_folds_are_as_many_as_the_largest_class_has_rows(class_predictions):
    P, y, _ = class_predictions(n_samples=60)
    rows = np.concatenate([np.flatnonzero(y == c)[:3] for c in np.unique(y)])
    found = LinearStackClassifier().fit(P[rows], y[rows])
    given = LinearStackClassifier(cv=3).fit(P[rows], y[rows])
    assert_array_equal(found.cv_losses_, given.cv_losses_)
    assert_array_equal(found.step_, given.step_)
    with pytest.raises(ValueError, match="n_splits=5"):  # what is given is not changed
        LinearStackClassifier(cv=StratifiedKFold(5)).fit(P[rows], y[rows])


def test_one_row_a_class_takes_the_largest_penalty(class_predictions):
    P, y, _ = class_predictions()
    rows = np.unique(y, return_index=True)[1]
    found = LinearStackClassifier().fit(P[rows], y[rows])
    assert found.ridge_ == found.ridges_[0] == 1e2
    assert np.isnan(found.cv_losses_).all()
    assert np.isnan(found.cv_se_).all()
    fixed = LinearStackClassifier(ridge=1e2).fit(P[rows], y[rows])
    assert_array_equal(found.step_, fixed.step_)
