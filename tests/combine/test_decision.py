"""DecisionOffsetClassifier: labels tuned, probabilities left alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    RepeatedKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

from ensemblekit import (
    AverageClassifier,
    ConvexClassifier,
    DecisionOffsetClassifier,
    StackedClassifier,
)
from ensemblekit.selection.offsets import METRICS, tune

from ..checks import on_legal_matrix
from ..selection.oracles_offsets import cross_fit
from ..selection.oracles_offsets import decide as decide_slowly


def rare_classes(seed, n_samples=300, n_classes=2, prior=None, n_members=4):
    """Members that know the true posterior of classes of which some are rare."""
    rng = np.random.default_rng(seed)
    prior = {2: [0.9, 0.1], 3: [0.7, 0.2, 0.1]}[n_classes] if prior is None else prior
    y = rng.choice(n_classes, n_samples, p=prior)
    y[: 6 * n_classes] = np.arange(6 * n_classes) % n_classes
    scores = rng.normal(size=(n_samples, n_members, n_classes)) + np.log(prior)
    powers = np.exp(scores + (y[:, None, None] == np.arange(n_classes)))
    P = powers / powers.sum(axis=2, keepdims=True)
    return P[:, :, 1] if n_classes == 2 else P.reshape(n_samples, -1), y


def halves(n_samples):
    """Two folds by hand."""
    rows = np.arange(n_samples)
    return [(rows[rows % 2 != f], rows[rows % 2 == f]) for f in (0, 1)]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1_macro"])
def test_follows_the_documented_rule(n_classes, metric):
    for seed in range(5):
        P, y = rare_classes(seed, 90, n_classes)
        weight = np.random.default_rng(seed).integers(1, 4, len(y)).astype(float)
        splits = [
            (
                np.flatnonzero(np.arange(90) % 3 != f),
                np.flatnonzero(np.arange(90) % 3 == f),
            )
            for f in range(3)
        ]
        inner = ConvexClassifier(ridge=0.1)
        found = DecisionOffsetClassifier(inner, metric=metric, cv=splits)
        found.fit(P, y, sample_weight=weight)
        E = np.empty((90, n_classes))
        for train, test in splits:
            model = clone(inner).fit(P[train], y[train], sample_weight=weight[train])
            E[test] = model.predict_proba(P[test])
        expected = cross_fit(E, y, weight, np.arange(90) % 3, metric, tune)
        assert_allclose(found.offsets_, expected[0], atol=1e-12)
        assert_allclose(found.score_without_, expected[1], atol=1e-12)
        assert_allclose(found.score_with_, expected[2], atol=1e-12)
        assert_allclose(found.gain_se_, expected[3], atol=1e-12)
        whole = clone(inner).fit(P, y, sample_weight=weight)
        assert_array_equal(found.weights_, whole.weights_)
        assert_array_equal(found.predict_proba(P), whole.predict_proba(P))
        assert_array_equal(
            found.predict(P), decide_slowly(whole.predict_proba(P), found.offsets_)
        )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_balanced_accuracy_rises_on_new_rows(n_classes):
    gains, told = [], []
    for seed in range(20):
        P, y = rare_classes(seed, 300, n_classes)
        P_new, y_new = rare_classes(1000 + seed, 4000, n_classes)
        found = DecisionOffsetClassifier(AverageClassifier()).fit(P, y)
        plain = found.classes_[found.predict_proba(P_new).argmax(axis=1)]
        gains.append(
            balanced_accuracy_score(y_new, found.predict(P_new))
            - balanced_accuracy_score(y_new, plain)
        )
        told.append(found.score_with_ - found.score_without_)
    assert min(gains) > 0.0  # 20 of 20: a sign test of 1e-6
    assert np.mean(gains) > 0.1
    # The score told is honest: it differs from the one on new rows by noise alone.
    error = np.std(np.subtract(told, gains)) / np.sqrt(20)
    assert abs(np.mean(told) - np.mean(gains)) < 4 * error


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("metric", ["balanced_accuracy", "accuracy"])
def test_offsets_mostly_stay_zero_where_nothing_can_be_gained(n_classes, metric):
    prior = np.full(n_classes, 1 / n_classes)
    stayed, losses = 0, []
    for seed in range(30):
        P, y = rare_classes(seed, 300, n_classes, prior, n_members=1)
        P_new, y_new = rare_classes(1000 + seed, 4000, n_classes, prior, n_members=1)
        found = DecisionOffsetClassifier(AverageClassifier(), metric=metric).fit(P, y)
        stayed += not found.offsets_.any()
        plain = found.classes_[found.predict_proba(P_new).argmax(axis=1)]
        losses.append(np.mean(plain == y_new) - np.mean(found.predict(P_new) == y_new))
    assert stayed >= 22
    assert np.mean(losses) < 0.01


@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_those_of_scikit_learns_scorers(metric):
    if metric == "cohen_kappa":
        return  # no scorer of that name
    P, y = rare_classes(0)
    cv = StratifiedKFold(4)
    found = DecisionOffsetClassifier(AverageClassifier(), metric=metric, cv=cv)
    found.fit(P, y)
    plain = AverageClassifier().fit(P, y)  # learns nothing, so that folds agree
    assert_allclose(found.score_without_, get_scorer(metric)(plain, P, y))
    assert found.gain_se_ >= 0.0


def test_integer_weights_equal_repeated_rows():
    for seed in range(5):
        P, y = rare_classes(seed, 120)
        weight = np.random.default_rng(seed).integers(0, 4, 120).astype(float)
        weight[:20] += 1
        copies = np.repeat(np.arange(120), weight.astype(int))
        fold = np.arange(120) % 3
        one, other = (
            DecisionOffsetClassifier(
                ConvexClassifier(ridge=0.1),
                cv=[(np.flatnonzero(f != k), np.flatnonzero(f == k)) for k in range(3)],
            )
            for f in (fold, fold[copies])
        )
        one.fit(P, y, sample_weight=weight)
        other.fit(P[copies], y[copies])
        assert_allclose(one.offsets_, other.offsets_, atol=1e-7)
        assert_allclose(one.score_with_, other.score_with_, rtol=1e-12)
        assert_allclose(one.gain_se_, other.gain_se_, rtol=1e-9)


def test_labels_may_be_words_and_f1_is_of_the_second():
    P, y = rare_classes(0)
    words = np.array(["no", "yes"])[y]
    coded = DecisionOffsetClassifier(AverageClassifier(), metric="f1").fit(P, y)
    named = DecisionOffsetClassifier(AverageClassifier(), metric="f1").fit(P, words)
    assert_array_equal(named.offsets_, coded.offsets_)
    assert_array_equal(named.predict(P) == "yes", coded.predict(P) == 1)
    assert coded.score_with_ > coded.score_without_


def test_any_classifier_and_any_scorer():
    P, y = rare_classes(0, 150)

    def share_found(estimator, X, y):
        labels = estimator.predict(X)
        return np.mean([np.mean(labels[y == k] == k) for k in (0, 1)])

    for inner in (LogisticRegression(), KNeighborsClassifier(15), GaussianNB()):
        swept = DecisionOffsetClassifier(inner).fit(P, y)
        called = DecisionOffsetClassifier(inner, metric=share_found).fit(P, y)
        assert_allclose(called.offsets_, swept.offsets_, atol=0.02)
        assert not hasattr(swept, "weights_")
    precise = DecisionOffsetClassifier(GaussianNB(), metric="recall").fit(P, y)
    assert precise.score_with_ >= precise.score_without_


def test_in_a_stack_and_a_grid():
    X, y = make_classification(300, 8, weights=[0.9], flip_y=0.1, random_state=0)
    members = [("linear", LogisticRegression()), ("bayes", GaussianNB())]
    inner = ConvexClassifier()
    stacked = StackedClassifier(members, DecisionOffsetClassifier(inner)).fit(X, y)
    plain = StackedClassifier(members, inner).fit(X, y)
    assert_allclose(stacked.predict_proba(X), plain.predict_proba(X))
    assert_array_equal(stacked.weights_, plain.weights_)
    assert len(stacked.leaderboard_) == 3
    offsets = stacked.combiner_.offsets_
    assert offsets.any()
    sums = stacked.predict_proba(X) + offsets
    assert_array_equal(stacked.predict(X), sums.argmax(axis=1))
    assert balanced_accuracy_score(y, stacked.predict(X)) > balanced_accuracy_score(
        y, plain.predict(X)
    )
    grid = GridSearchCV(
        DecisionOffsetClassifier(inner),
        {"combiner__ridge": [0.0, 1.0], "metric": ["f1", "accuracy"]},
        scoring="f1",
    )
    grid.fit(stacked.library_.P, y)
    assert grid.best_params_["metric"] == "f1"


def test_rows_may_be_held_out_never_but_not_twice():
    P, y = rare_classes(0)
    late = DecisionOffsetClassifier(AverageClassifier(), cv=TimeSeriesSplit(3))
    assert late.fit(P, y).offsets_.shape == (2,)
    twice = DecisionOffsetClassifier(
        AverageClassifier(), cv=RepeatedKFold(n_splits=2, n_repeats=2, random_state=0)
    )
    with pytest.raises(ValueError, match="cv holds out row 0 2 times"):
        twice.fit(P, y)


def test_folds_without_a_class_are_left_out():
    P, y = rare_classes(0, 90, 3)
    rows = np.arange(90)
    blind = (np.flatnonzero(y != 2)[:40], rows[80:])
    sighted = [
        (np.delete(rows, rows[:40]), rows[:40]),
        (np.delete(rows, rows[40:80]), rows[40:80]),
    ]
    found, expected = (
        DecisionOffsetClassifier(ConvexClassifier(), cv=cv).fit(P, y)
        for cv in ([*sighted, blind], sighted)
    )
    assert_array_equal(found.offsets_, expected.offsets_)
    assert found.score_with_ == expected.score_with_
    with pytest.raises(ValueError, match="cv has 1 folds whose training rows hold all"):
        DecisionOffsetClassifier(ConvexClassifier(), cv=[blind, sighted[0]]).fit(P, y)


def test_refusals():
    P, y = rare_classes(0, 90, 3)
    weight = np.ones(90)

    def refused(match, inner=None, sample_weight=None, **options):
        inner = AverageClassifier() if inner is None else inner
        with pytest.raises(ValueError, match=match):
            DecisionOffsetClassifier(inner, **options).fit(P, y, sample_weight)

    refused("metric='f1' is the F1 of one of two classes", metric="f1")
    refused("'no_metric' is not a valid scoring value", metric="no_metric")
    refused("'combiner' parameter .* must be", LinearSVC())
    refused("KNeighborsClassifier.fit takes none", KNeighborsClassifier(), weight)
    weight[y == 2] = 0.0
    refused("sample_weight is zero in all rows of class 2", sample_weight=weight)
    refused("The metric asks for more than labels", metric="roc_auc_ovr")
    refused("The metric asks for more", metric=lambda e, X, y: e.predict_proba(X).sum())


@pytest.mark.filterwarnings("ignore:The least populated class in y:UserWarning")
def test_scikit_learns_checks_fail_only_where_labels_are_to_be_most_probable():
    legal = on_legal_matrix(DecisionOffsetClassifier)(AverageClassifier())
    rows = check_estimator(legal, on_skip=None, on_fail=None)
    failed = {row["check_name"] for row in rows if row["status"] == "failed"}
    assert failed <= {"check_classifiers_train"}
