import builtins

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils import check_random_state

from ensemblekit import (
    CMAEnsembleClassifier,
    CMAEnsembleRegressor,
    ConvexClassifier,
    ConvexRegressor,
    evaluate_loss,
)
from ensemblekit.combine import _cma_base as cma_base

from ..selection import oracles_hill as oracles

LOSSES = ["log_loss", "brier", "zero_one", "auc"]


def points(rng):
    """Points of any size and scale, with ties and zeros."""
    m = int(rng.choice([1, 2, 3, 10, 49, 50, 51, 99, 100, 101, 150, 300]))
    x = rng.normal(size=m) * rng.choice([0.0, 1e-9, 0.2, 1.0, 5.0, 300.0])
    if rng.random() < 0.3:
        x = np.round(x, 1)
    if rng.random() < 0.2:
        x[rng.random(m) < 0.5] = 0.0
    if rng.random() < 0.1:
        x[:] = x[0]
    return x


def test_explicit_weights_are_counts_of_50():
    rng = np.random.default_rng(0)
    n_trimmed = n_many = n_few = 0
    for _ in range(10_000):
        x = points(rng)
        found = cma_base.explicit_weights(x)
        assert_array_equal(found, oracles.explicit(x))
        counts = found * 50
        assert_allclose(counts, counts.round(), atol=1e-12)
        assert counts.round().sum() == 50
        assert counts.min() >= 0.0
        soft = oracles.softmax(x)
        kept = np.where(soft <= 0.01, 0.0, soft)
        n_trimmed += not kept.any()
        rounded = np.round(kept * 50).sum()
        n_many, n_few = n_many + (rounded > 50), n_few + (0 < rounded < 50)
    assert min(n_trimmed, n_many, n_few) > 100


@given(
    st.lists(st.floats(-700, 700), min_size=1, max_size=120),
    st.integers(min_value=1, max_value=60),
)
@settings(max_examples=300, deadline=None)
def test_explicit_weights_of_any_size(x, size):
    x = np.array(x)
    found = cma_base.explicit_weights(x, size)
    assert_array_equal(found, oracles.explicit(x, size))
    assert round(found.sum() * size) == size


def test_softmax_weights():
    rng = np.random.default_rng(1)
    for _ in range(1000):
        x = points(rng)
        found = cma_base.softmax_weights(x)
        assert_allclose(found, oracles.softmax(x), rtol=1e-12, atol=1e-15)
        assert abs(found.sum() - 1.0) <= 1e-15
    assert_array_equal(cma_base.softmax_weights(np.array([0.0, 1.0, 0.0])), [0, 1, 0])
    assert_array_equal(cma_base.softmax_weights(np.zeros(4)), np.full(4, 0.25))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("loss", LOSSES[:3])
@pytest.mark.parametrize("normalization", ["softmax", "explicit", "raw"])
def test_loss_of_the_weights_is_that_of_the_prediction(
    loss, n_classes, normalization, class_predictions
):
    P, y, weight = class_predictions(5, n_classes, seed=3)
    found = CMAEnsembleClassifier(loss=loss, normalization=normalization)
    found.fit(P, y, sample_weight=weight)
    proba = found.predict_proba(P)
    assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-12)
    assert_allclose(evaluate_loss(loss, y, proba, weight), found.loss_, rtol=1e-10)
    assert found.n_evaluations_ == 250
    own = [
        evaluate_loss(loss, y, p, weight) for p in oracles.class_members(P, n_classes)
    ]
    assert found.loss_ <= min(own) * (1 + 1e-12)
    expected = sum(
        w * p
        for w, p in zip(
            found.weights_, oracles.class_members(P, n_classes), strict=True
        )
    )
    if normalization == "raw":
        expected = oracles.raw_probabilities(
            oracles.class_members(P, n_classes), found.weights_
        )
    assert_allclose(proba, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        ("squared_error", {}),
        ("absolute_error", {}),
        ("huber", {"delta": 0.3}),
        ("pinball", {"level": 0.8}),
    ],
)
@pytest.mark.parametrize("normalization", ["softmax", "explicit", "raw"])
def test_losses_of_values(loss, options, normalization, regression_predictions):
    P, y, weight = regression_predictions(5)
    found = CMAEnsembleRegressor(loss=loss, normalization=normalization, **options)
    found.fit(P, y, sample_weight=weight)
    expected = evaluate_loss(loss, y, P @ found.weights_, weight, **options)
    assert_allclose(found.loss_, expected, rtol=1e-10)
    assert_allclose(found.predict(P), P @ found.weights_, rtol=1e-12)
    own = [evaluate_loss(loss, y, p, weight, **options) for p in P.T]
    assert found.loss_ < min(own)


@pytest.mark.parametrize(
    "weights", [[0.5, 0.2, 0.3], [0.5, 0.2, 0.1], [2.0, 0.0, 1.0], [1.5, -0.8, 0.3]]
)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_raw_probabilities(weights, n_classes, class_predictions):
    P, y, _ = class_predictions(3, n_classes)
    weights = np.array(weights)
    found = CMAEnsembleClassifier(normalization="raw").fit(P, y)
    found.weights_ = weights
    members = oracles.class_members(P, n_classes)
    assert_allclose(
        found.predict_proba(P), oracles.raw_probabilities(members, weights), rtol=1e-12
    )


def test_a_single_member_that_is_not_beaten_is_returned(
    class_predictions, regression_predictions
):
    P, y, _ = class_predictions()
    P[:, 2] = np.where(y == 1, 0.99, 0.01)
    for normalization in ("softmax", "explicit"):
        found = CMAEnsembleClassifier(normalization=normalization).fit(P, y)
        assert_array_equal(found.weights_, np.eye(6)[2])
        own = evaluate_loss("log_loss", y, found.predict_proba(P))
        assert_allclose(found.loss_, own, rtol=1e-12)
    P, y, _ = regression_predictions()
    P[:, 4] = y
    assert CMAEnsembleRegressor().fit(P, y).loss_ == 0.0


def test_approaches_the_convex_optimum(class_predictions, regression_predictions):
    P, y, _ = class_predictions(6, n_samples=400)
    exact = ConvexClassifier(ridge=0).fit(P, y).objective_
    for init in ("best", "uniform"):
        found = CMAEnsembleClassifier(init=init, n_evaluations=3000).fit(P, y).loss_
        assert exact - 1e-12 <= found <= exact * 1.001
    P, y, _ = regression_predictions(6, n_samples=400)
    exact = ConvexRegressor(ridge=0).fit(P, y).objective_
    found = CMAEnsembleRegressor(n_evaluations=3000).fit(P, y).loss_
    assert exact - 1e-12 <= found <= exact * 1.001
    free = np.mean((y - P @ np.linalg.lstsq(P, y)[0]) ** 2)
    raw = CMAEnsembleRegressor(normalization="raw", n_evaluations=3000).fit(P, y)
    assert_allclose(raw.loss_, free, rtol=1e-4)


def test_random_state(class_predictions):
    P, y, _ = class_predictions(8)
    first = CMAEnsembleClassifier(random_state=1).fit(P, y).weights_
    before = check_random_state(None).get_state()[1].copy()
    again = CMAEnsembleClassifier(random_state=1).fit(P, y).weights_
    assert_array_equal(first, again)
    assert_array_equal(check_random_state(None).get_state()[1], before)
    other = CMAEnsembleClassifier(random_state=2).fit(P, y).weights_
    assert np.abs(first - other).max() > 1e-6
    rng = np.random.RandomState(1)
    assert_array_equal(
        CMAEnsembleClassifier(random_state=rng).fit(P, y).weights_, first
    )


@pytest.mark.parametrize("n_evaluations", [1, 8, 9, 12, 18, 100])
def test_number_of_evaluations(n_evaluations, class_predictions, monkeypatch):
    P, y, _ = class_predictions(8)
    n_seen = 0
    original = cma_base.mixture_losses

    def counting(*arguments):
        losses = original(*arguments)

        def counted(W):
            nonlocal n_seen
            n_seen += len(W)
            return losses(W)

        return counted

    monkeypatch.setattr("ensemblekit.combine._cma.mixture_losses", counting)
    found = CMAEnsembleClassifier(n_evaluations=n_evaluations).fit(P, y)
    assert found.n_evaluations_ == n_seen == max(n_evaluations, 8)


@pytest.mark.parametrize("loss", LOSSES)
def test_integer_weights_equal_repeated_rows(loss, class_predictions):
    P, y, weight = class_predictions()
    weight[::5] = 0.0
    copies = np.repeat(np.arange(len(y)), weight.astype(int))
    for normalization in ("softmax", "raw"):
        combiner = CMAEnsembleClassifier(loss=loss, normalization=normalization)
        repeated = combiner.fit(P[copies], y[copies]).weights_
        combiner.fit(P, y, sample_weight=weight)
        assert_allclose(combiner.weights_, repeated, atol=1e-9)


def test_scorers(class_predictions, regression_predictions):
    P, y, weight = class_predictions(4)
    slow = CMAEnsembleClassifier(loss="roc_auc").fit(P, y, weight)
    fast = CMAEnsembleClassifier(loss="auc").fit(P, y, weight)
    assert_allclose(1.0 + slow.loss_, fast.loss_, rtol=1e-10)
    found = CMAEnsembleClassifier(loss="balanced_accuracy").fit(P, y)
    assert -1.0 <= found.loss_ <= -0.5
    P, y, _ = regression_predictions(3)
    slow = CMAEnsembleRegressor(loss="neg_mean_squared_error").fit(P, y)
    assert_allclose(slow.loss_, CMAEnsembleRegressor().fit(P, y).loss_, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "pinball"}, "is for regression"),
        ({"loss": "accuracy_"}, "Unknown loss 'accuracy_'"),
        ({"normalization": "hard"}, "'normalization'"),
        ({"init": "zero"}, "'init'"),
        ({"sigma": 0.0}, "'sigma'"),
        ({"n_evaluations": 0}, "'n_evaluations'"),
    ],
)
def test_refusals(options, message, class_predictions):
    P, y, _ = class_predictions()
    with pytest.raises(ValueError, match=message):
        CMAEnsembleClassifier(**options).fit(P, y)
    P, y, _ = class_predictions(n_classes=3)
    with pytest.raises(ValueError, match="two classes"):
        CMAEnsembleClassifier(loss="auc").fit(P, y)


def test_says_how_to_get_cma(class_predictions, monkeypatch):
    P, y, _ = class_predictions()
    original = builtins.__import__

    def without_cma(name, *arguments, **options):
        if name == "cma":
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_cma)
    with pytest.raises(ImportError, match=r"pip install 'ensemblekit\[cma\]'"):
        CMAEnsembleClassifier().fit(P, y)
