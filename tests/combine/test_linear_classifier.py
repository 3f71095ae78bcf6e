import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from ensemblekit import (
    ConvexClassifier,
    LinearStackClassifier,
    StackedClassifier,
    evaluate_loss,
)

from . import oracles_softmax as oracles

SHAPES = [
    (2, "shared", "log"),
    (2, "per_class", "log"),
    (2, "shared", "probability"),
    (3, "shared", "log"),
    (3, "per_class", "log"),
    (4, "shared", "probability"),
    (3, "per_class", "probability"),
    (2, "shared", "both"),
    (3, "shared", "both"),
    (3, "per_class", "both"),
]


def oracle(found, P, y, weight, ridge, convex=None):
    """Return step and bias of the oracle for a fitted combiner's settings."""
    return oracles.softmax_stack(
        P,
        y,
        weight,
        found.convex_weights_ if convex is None else convex,
        ridge,
        len(found.classes_),
        found.weights == "per_class",
        kind=found.features,
        clip=found.clip,
    )


@pytest.mark.parametrize(("n_classes", "weights", "features"), SHAPES)
@pytest.mark.parametrize("ridge", [1e-4, 0.03, 10.0])
def test_equals_a_slow_solver(class_predictions, n_classes, weights, features, ridge):
    P, y, weight = class_predictions(n_classes=n_classes)
    found = LinearStackClassifier(weights=weights, features=features, ridge=ridge)
    found.fit(P, y, sample_weight=weight)
    step, bias = oracle(found, P, y, weight, ridge)
    assert_allclose(found.step_, step, atol=1e-8)
    assert_allclose(found.intercept_, bias, atol=1e-8)
    scores = oracles.stack_scores(
        P, n_classes, found.convex_weights_, step, bias, kind=features
    )
    assert_allclose(found.predict_proba(P), oracles.softmax(scores, axis=1), atol=1e-8)


@pytest.mark.parametrize(("n_classes", "weights", "features"), SHAPES)
def test_folds_and_penalties_equal_fits_one_by_one(
    class_predictions, n_classes, weights, features
):
    P, y, weight = class_predictions(n_classes=n_classes, n_samples=120)
    folds = np.arange(120) % 3
    splits = [
        (np.flatnonzero(folds != f), np.flatnonzero(folds == f)) for f in (0, 1, 2)
    ]
    found = LinearStackClassifier(
        weights=weights, features=features, rule="min", cv=splits
    ).fit(P, y, sample_weight=weight)
    convex = [
        ConvexClassifier().fit(P[train], y[train], sample_weight=weight[train]).weights_
        for train, _ in splits
    ]
    for a in (0, 5, 9, 12):
        ridge, total = found.ridges_[a], 0.0
        for (train, test), own in zip(splits, convex, strict=True):
            step, bias = oracle(found, P[train], y[train], weight[train], ridge, own)
            scores = oracles.stack_scores(
                P[test], n_classes, own, step, bias, kind=features
            )
            log_p = scores - oracles.logsumexp(scores, axis=1, keepdims=True)
            total -= weight[test] @ log_p[np.arange(len(test)), y[test]]
        assert_allclose(found.cv_losses_[a], total / weight.sum(), rtol=1e-8)
    again = LinearStackClassifier(
        weights=weights, features=features, ridge=found.ridge_
    ).fit(P, y, sample_weight=weight)
    assert_allclose(found.step_, again.step_, atol=1e-8)
    assert_allclose(found.intercept_, again.intercept_, atol=1e-8)


@pytest.mark.parametrize("weights", ["shared", "per_class"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_an_infinite_penalty_gives_the_convex_mixture(
    class_predictions, n_classes, weights
):
    P, y, weight = class_predictions(n_classes=n_classes)
    found = LinearStackClassifier(weights=weights, ridge=1e12)
    found.fit(P, y, sample_weight=weight)
    convex = ConvexClassifier().fit(P, y, sample_weight=weight)
    assert_allclose(found.convex_weights_, convex.weights_, atol=1e-9)
    assert_allclose(found.predict_proba(P), convex.predict_proba(P), atol=1e-8)


def calibrated_member(n_samples=4000, sharpness=1.0):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=n_samples)
    y = (rng.uniform(size=n_samples) < 1 / (1 + np.exp(-truth))).astype(int)
    return 1 / (1 + np.exp(-sharpness * truth[:, None])), y


def test_one_calibrated_member_is_returned_at_a_huge_penalty():
    P, y = calibrated_member()
    found = LinearStackClassifier(ridge=1e12).fit(P, y)
    assert_allclose(found.predict_proba(P)[:, 1], P[:, 0], atol=1e-10)
    chosen = LinearStackClassifier().fit(P, y)
    assert_allclose(chosen.predict_proba(P)[:, 1], P[:, 0], atol=0.02)


@pytest.mark.parametrize("ridge", [1e-9, 0.02])
def test_one_member_is_given_a_temperature_and_a_bias(ridge):
    P, y = calibrated_member(sharpness=3.0)
    logit = np.log(P[:, 0] / (1.0 - P[:, 0]))
    found = LinearStackClassifier(features="log", ridge=ridge, clip=1e-9).fit(P, y)

    def objective(theta):
        score = (1.0 + theta[0]) * logit + theta[1]
        loss = np.logaddexp(0.0, np.where(y == 1, -score, score)).mean()
        return loss + 0.5 * ridge * (theta[0] ** 2 + theta[1] ** 2 / 2.0)

    best = minimize(objective, np.zeros(2), tol=1e-12)
    assert_allclose(found.weights_, [1.0 + best.x[0]], atol=1e-5)
    assert_allclose(found.intercept_, [-best.x[1] / 2, best.x[1] / 2], atol=1e-5)
    assert_allclose(found.weights_, [1 / 3], atol=0.05)  # the temperature is 3
    before = evaluate_loss("log_loss", y, np.hstack([1.0 - P, P]))
    assert evaluate_loss("log_loss", y, found.predict_proba(P)) < before


def test_one_member_without_a_bias_is_temperature_scaling():
    rng = np.random.default_rng(1)
    y = np.tile([0, 1, 2], 200)
    scores = 2.0 * np.eye(3)[y] + rng.normal(size=(600, 3))
    P = oracles.softmax(2.5 * scores, axis=1)
    # Relabelling all classes in turn makes a bias useless.
    turned = np.vstack([np.roll(P, k, axis=1) for k in range(3)])
    labels = np.concatenate([(y + k) % 3 for k in range(3)])
    found = LinearStackClassifier(features="log", ridge=1e-10, clip=1e-12).fit(
        turned, labels
    )
    assert_allclose(found.intercept_, 0.0, atol=1e-8)
    log_p = np.log(P)

    def loss(heat):
        log_q = heat * log_p - oracles.logsumexp(heat * log_p, axis=1, keepdims=True)
        return -log_q[np.arange(600), y].mean()

    heat = minimize(lambda t: loss(t[0]), [1.0], tol=1e-12).x[0]
    assert_allclose(found.weights_, [heat], atol=1e-5)
    expected = oracles.softmax(found.weights_[0] * log_p, axis=1)
    assert_allclose(found.predict_proba(P), expected, atol=1e-8)


def test_two_classes_equal_a_logistic_regression(class_predictions):
    P, y, weight = class_predictions()
    P = np.clip(P, 0.02, 0.98)  # nothing is clipped
    logits = np.log(P / (1.0 - P))
    plain = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000)
    # The offset of one member is its logit; of several it is no sum of theirs.
    for members in (slice(0, 1), slice(2, 3)):
        own = LinearStackClassifier(features="log", ridge=1e-11)
        own.fit(P[:, members], y, sample_weight=weight)
        plain.fit(logits[:, members], y, sample_weight=weight)
        expected = plain.predict_proba(logits[:, members])
        assert_allclose(own.predict_proba(P[:, members]), expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_the_rule_of_one_standard_error_is_a_literal_loop(class_predictions, seed):
    P, y, weight = class_predictions(n_samples=100, seed=seed)
    fold = np.random.default_rng(seed).integers(0, 4, 100)
    splits = [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(4)]
    found = LinearStackClassifier(rule="1se", cv=splits)
    found.fit(P, y, sample_weight=weight)
    losses = np.empty((100, 13))
    for train, test in splits:
        for a, ridge in enumerate(found.ridges_):
            own = LinearStackClassifier(ridge=ridge)
            own.fit(P[train], y[train], sample_weight=weight[train])
            p = own.predict_proba(P[test])
            losses[test, a] = -np.log(p[np.arange(len(test)), y[test]])
    means = [weight @ losses[:, a] / weight.sum() for a in range(13)]
    assert_allclose(found.cv_losses_, means, rtol=1e-8)
    best = int(np.argmin(means))
    for a in range(13):  # from the largest penalty on
        excess = losses[:, a] - losses[:, best]
        spread = weight @ excess / weight.sum()
        error = np.sqrt((weight**2 * (excess - spread) ** 2).sum()) / weight.sum()
        assert_allclose(found.cv_se_[a], error, rtol=1e-5, atol=1e-10)
        if means[a] - means[best] <= error:
            break
    assert found.ridge_ == found.ridges_[a]
    least = LinearStackClassifier(rule="min", cv=splits)
    assert least.fit(P, y, sample_weight=weight).ridge_ == found.ridges_[best]


@pytest.mark.parametrize("weights", ["shared", "per_class"])
def test_permuted_classes_permute_the_answer(class_predictions, weights):
    P, y, weight = class_predictions(n_classes=3)
    order = np.array([2, 0, 1])
    turned = P.reshape(len(P), 6, 3)[:, :, order].reshape(len(P), -1)
    labels = np.argsort(order)[y]
    for ridge in (0.01, "cv"):
        folds = [
            (np.arange(90), np.arange(90, 180)),
            (np.arange(90, 180), np.arange(90)),
        ]
        plain = LinearStackClassifier(weights=weights, ridge=ridge, cv=folds)
        other = LinearStackClassifier(weights=weights, ridge=ridge, cv=folds)
        plain.fit(P, y, sample_weight=weight)
        other.fit(turned, labels, sample_weight=weight)
        assert_allclose(
            other.predict_proba(turned), plain.predict_proba(P)[:, order], atol=1e-7
        )
        assert_allclose(other.intercept_, plain.intercept_[order], atol=1e-7)


def test_two_classes_may_change_places(class_predictions):
    P, y, _ = class_predictions()
    for weights in ("shared", "per_class"):
        plain = LinearStackClassifier(weights=weights, ridge=0.01).fit(P, y)
        other = LinearStackClassifier(weights=weights, ridge=0.01).fit(1 - P, 1 - y)
        assert_allclose(
            other.predict_proba(1 - P), plain.predict_proba(P)[:, ::-1], atol=1e-8
        )


@pytest.mark.parametrize("weights", ["shared", "per_class"])
def test_copies_of_a_member_change_nothing(class_predictions, weights):
    P, y, _ = class_predictions(n_classes=3)
    copies = np.hstack([P, P[:, 3:6], P[:, 3:6], P[:, :3]])
    plain = LinearStackClassifier(weights=weights).fit(P, y)
    more = LinearStackClassifier(weights=weights).fit(copies, y)
    assert_allclose(more.predict_proba(copies), plain.predict_proba(P), atol=1e-10)
    assert_array_equal(more.weights_[6:], 0.0)
    assert_allclose(more.weights_[:6], plain.weights_, atol=1e-10)


def test_weights_are_convex_weights_and_steps(class_predictions):
    P, y, _ = class_predictions(n_classes=3)
    shared = LinearStackClassifier(weights="shared", features="log", ridge=0.01)
    shared.fit(P, y)
    assert_allclose(shared.weights_, shared.convex_weights_ + shared.step_)
    own = LinearStackClassifier(ridge=0.01).fit(P, y)
    assert own.step_.shape == (2, 6, 3)
    steps = own.step_.mean(axis=2).sum(axis=0)
    assert_allclose(own.weights_, own.convex_weights_ + steps)
    assert_allclose(own.intercept_.sum(), 0.0, atol=1e-12)
    assert (shared.convex_weights_ == 0.0).any()
    assert (shared.weights_ != 0.0).all()


def test_a_member_in_use_never_has_weight_0(class_predictions):
    P, y, _ = class_predictions(n_classes=3)
    found = LinearStackClassifier(weights="per_class", ridge=0.01).fit(P, y)
    step = np.zeros((2, 3, 3))
    step[0, 0], step[1, 1] = [1.0, 0.0, -1.0], -0.5
    found._name_results(np.array([0.0, 0.5, 0.5]), step, 0.0, np.array([1, 2, 4]), P)
    assert_array_equal(found.weights_ != 0.0, [False, True, True, False, True, False])


@pytest.mark.parametrize("weights", ["shared", "per_class"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_more_members_than_rows_gives_the_same_optimum(
    class_predictions, weights, n_classes
):
    P, y, weight = class_predictions(n_members=100, n_classes=n_classes, n_samples=30)
    found = LinearStackClassifier(weights=weights, ridge=0.01)
    found.fit(P, y, sample_weight=weight)
    step, bias = oracle(found, P, y, weight, 0.01)
    assert_allclose(found.step_, step, atol=1e-8)
    assert_allclose(found.intercept_, bias, atol=1e-8)


def test_integer_weights_equal_repeated_rows_at_a_fixed_ridge(class_predictions):
    P, y, weight = class_predictions(n_classes=3)
    copies = np.repeat(np.arange(len(y)), weight.astype(int))
    weighted = LinearStackClassifier(ridge=0.01).fit(P, y, sample_weight=weight)
    repeated = LinearStackClassifier(ridge=0.01).fit(P[copies], y[copies])
    assert_allclose(weighted.step_, repeated.step_, atol=1e-8)


def test_single_precision_is_close(class_predictions):
    P, y, _ = class_predictions(n_classes=3)
    for weights in ("shared", "per_class"):
        double = LinearStackClassifier(weights=weights).fit(P, y)
        single = LinearStackClassifier(weights=weights).fit(P.astype(np.float32), y)
        assert_allclose(single.weights_, double.weights_, atol=1e-4)
        assert single.weights_.dtype == np.float64


def test_inside_a_stack_members_in_use_are_predicted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3))
    y = (X[:, 0] + rng.normal(size=150) > 0).astype(int)
    members = [
        ("plain", LogisticRegression()),
        ("copy", LogisticRegression()),
        ("prior", DummyClassifier(strategy="stratified", random_state=5)),
    ]
    combiner = LinearStackClassifier(ridge=0.01, convex_ridge=0)
    stacked = StackedClassifier(members, combiner).fit(X, y)
    assert stacked.weights_[1] == 0.0
    assert stacked.combiner_.convex_weights_[2] == 0.0
    assert stacked.weights_[2] != 0.0
    P = np.column_stack(
        [model.fit(X, y).predict_proba(X)[:, 1] for _, model in members]
    )
    expected = stacked.combiner_.predict_proba(P)
    assert_allclose(stacked.predict_proba(X), expected, atol=1e-10)
    assert_array_equal(
        pickle.loads(pickle.dumps(stacked)).predict_proba(X), stacked.predict_proba(X)
    )
