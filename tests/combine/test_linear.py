import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.special import logsumexp

from ensemblekit import (
    AverageClassifier,
    LinearStackClassifier,
    evaluate_loss,
)


def objective(theta, logits, y, weight, ridge):
    """The documented objective of the classifier, written plainly."""
    m = len(logits)
    scores = np.tensordot(theta[:m], logits, axes=1) + theta[m:]
    loss = logsumexp(scores, axis=1) - scores[np.arange(len(y)), y]
    distance = ((theta[:m] - 1 / m) ** 2).sum()
    return np.average(loss, weights=weight) + 0.5 * ridge * m * distance


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("ridge", [0.001, 1.0])
def test_classification_equals_another_solver(class_predictions, n_classes, ridge):
    P, y, weight = class_predictions(n_classes=n_classes)
    found = LinearStackClassifier(ridge=ridge).fit(P, y, sample_weight=weight)
    members = P.reshape(len(P), 6, -1).transpose(1, 0, 2)
    if n_classes == 2:
        members = np.concatenate([1 - members, members], axis=2)
    logits = np.log(np.maximum(members, 1e-4))
    start = np.concatenate([np.full(6, 1 / 6), np.zeros(n_classes)])
    best = minimize(objective, start, args=(logits, y, weight, ridge), tol=1e-10)
    theta = np.concatenate([found.weights_, found.intercept_])
    assert objective(theta, logits, y, weight, ridge) <= best.fun + 1e-8
    assert_allclose(found.weights_, best.x[:6], atol=1e-3)
    assert_allclose(found.intercept_.sum(), 0.0, atol=1e-12)


def test_classification_limit_is_the_geometric_mean(class_predictions):
    P, y, _ = class_predictions(n_classes=3)
    found = LinearStackClassifier(ridge=1e9).fit(P, y)
    assert_allclose(found.weights_, 1 / 6, rtol=1e-6)
    plain = AverageClassifier(kind="geometric").fit(P, y).predict_proba(P)
    ratio = found.predict_proba(P) / plain
    scale = ratio / ratio[:, :1]  # only the biases differ
    assert_allclose(scale, np.tile(scale[0], (len(P), 1)), rtol=1e-6)


def test_one_member_is_recalibrated():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=4000)
    y = (rng.uniform(size=4000) < 1 / (1 + np.exp(-truth))).astype(int)
    overconfident = 1 / (1 + np.exp(-3 * truth[:, None]))
    found = LinearStackClassifier().fit(overconfident, y)
    assert_allclose(found.weights_, [1 / 3], rtol=0.1)
    before = evaluate_loss("log_loss", y, np.hstack([1 - overconfident, overconfident]))
    assert evaluate_loss("log_loss", y, found.predict_proba(overconfident)) < before


def test_separable_classes_and_hard_answers_stay_finite(class_predictions):
    P, y, _ = class_predictions(n_members=3, n_classes=3)
    P[:, :3] = np.eye(3)[y]
    found = LinearStackClassifier().fit(P, y)
    assert np.isfinite(found.weights_).all()
    assert np.isfinite(found.intercept_).all()
    assert (found.predict(P) == y).all()
    assert found.predict_proba(P).max() <= 1.0


def test_more_members_than_rows_gives_the_same_optimum(class_predictions):
    P, y, weight = class_predictions(n_members=80, n_samples=30)
    found = LinearStackClassifier(ridge=0.01).fit(P, y, sample_weight=weight)
    members = P.T[:, :, None]
    logits = np.log(np.maximum(np.concatenate([1 - members, members], axis=2), 1e-4))
    theta = np.concatenate([found.weights_, found.intercept_])
    value = objective(theta, logits, y, weight, 0.01)
    best = minimize(objective, theta, args=(logits, y, weight, 0.01), tol=1e-10)
    assert value <= best.fun + 1e-8


def test_zero_penalty_is_refused_where_it_has_no_answer(class_predictions):
    P, y, _ = class_predictions()
    with pytest.raises(ValueError, match="'ridge' parameter of LinearStackClassifier"):
        LinearStackClassifier(ridge=0.0).fit(P, y)


def test_fewer_rows_than_folds(class_predictions):
    P, y, _ = class_predictions(n_samples=6)
    with pytest.raises(ValueError, match="5 folds need a class of 5 rows"):
        LinearStackClassifier().fit(P, y)
