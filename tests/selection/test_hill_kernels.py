"""The kernels of hill climbing against one loss at a time."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import roc_auc_score

from ensemblekit import evaluate_loss, layout
from ensemblekit.kernels import hill
from ensemblekit.losses import LOG_CLIP

from ..conftest import make_class_predictions, make_regression_predictions
from . import oracles_hill as oracles

STEPS = np.array([-0.3, 0.01, 0.2, 0.5])


@pytest.mark.parametrize("n", [1, 15, 16, 17, 33, 1000])
@pytest.mark.parametrize("kind", ["equal", "integer", "real", "zeros"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_log_losses_of_any_number_of_rows(n, kind, n_classes):
    P, y, _ = make_class_predictions(5, n_classes, n_samples=n + 3, seed=n)
    rng = np.random.default_rng(n)
    weight = {
        "equal": np.ones(n + 3),
        "integer": rng.integers(1, 4, n + 3).astype(float),
        "real": rng.random(n + 3) + 0.1,
        "zeros": np.where(np.arange(n + 3) < 3, 0.0, 2.0),
    }[kind]
    base, sign, offset = layout.true_class(P, y, n_classes)
    T = offset[:, None] + sign[:, None] * base
    order = np.argsort(weight, kind="stable")
    rows = order[weight[order] > 0]
    members, steps = np.array([3, 1]), STEPS[1:]
    found = hill.log_losses(
        base, sign, offset, members, T[:, 0], rows, weight, steps, LOG_CLIP
    )
    for a, j in enumerate(members):
        for k, w in enumerate(steps):
            mixture = (1 - w) * T[:, 0] + w * T[:, j]
            expected = np.average(-np.log(mixture), weights=weight)
            assert_allclose(found[a, k], expected, rtol=1e-13)


def test_log_losses_keep_the_clip():
    n = 4096
    base, one, none = np.zeros((n, 1)), np.ones(n), np.zeros(n)
    for rows in (np.arange(n), np.arange(5)):
        found = hill.log_losses(
            base, one, none, np.array([0]), none, rows, one, STEPS[1:], LOG_CLIP
        )
        assert_allclose(found, -np.log(LOG_CLIP), rtol=1e-14)


@pytest.mark.parametrize(
    ("code", "name", "options"),
    [
        (hill.ABSOLUTE_ERROR, "absolute_error", {}),
        (hill.HUBER, "huber", {"delta": 0.4}),
        (hill.PINBALL, "pinball", {"level": 0.9}),
    ],
)
def test_value_losses(code, name, options):
    P, y, weight = make_regression_predictions(4, 77)
    weight[::6] = 0.0
    rows, parameter = np.flatnonzero(weight), next(iter(options.values()), 0.0)
    found = hill.value_losses(
        code, P, np.array([2, 3]), P[:, 0], y, rows, weight, STEPS, parameter
    )
    for a, j in enumerate([2, 3]):
        for k, w in enumerate(STEPS):
            mixture = (1 - w) * P[:, 0] + w * P[:, j]
            expected = evaluate_loss(name, y, mixture, weight, **options)
            assert_allclose(found[a, k], expected, rtol=1e-13)


@pytest.mark.parametrize("loss", ["log_loss", "brier", "zero_one"])
def test_class_losses_are_those_of_clipped_rows(loss):
    from ensemblekit.losses import LOSSES

    P, y, weight = make_class_predictions(4, 3, 90)
    P = np.round(P.reshape(90, 4, 3) ** 4, 3) + 1e-3
    P = (P / P.sum(axis=2, keepdims=True)).reshape(90, -1)
    steps = np.array([-0.5, -0.2, 0.3])
    found = hill.class_losses(
        LOSSES[loss].code,
        P,
        3,
        np.array([1, 2]),
        P[:, :3],
        y,
        np.arange(90),
        weight,
        steps,
        LOG_CLIP,
    )
    clipped = False
    for a, j in enumerate([1, 2]):
        for k, w in enumerate(steps):
            mixture = (1 - w) * P[:, :3] + w * P[:, 3 * j : 3 * j + 3]
            clipped |= mixture.min() < 0.0
            expected = evaluate_loss(loss, y, oracles.clip_rows(mixture), weight)
            assert_allclose(found[a, k], expected, rtol=1e-13)
    assert clipped


@pytest.mark.parametrize("decimals", [1, 2, 12])
@pytest.mark.parametrize("n", [2, 3, 50, 3000])
def test_auc_with_ties(n, decimals):
    rng = np.random.default_rng(n)
    values, y = np.round(rng.random(n), decimals), np.arange(n) % 2
    expected = 1.0 - roc_auc_score(y, values)
    found = hill.one_minus_auc(values, y, None)
    assert_allclose(found, expected, rtol=1e-14, atol=1e-15)
    assert_allclose(hill.one_minus_auc(values, y, np.ones(n)), found, atol=1e-15)
    weight = rng.random(n) + 0.1
    expected = 1.0 - roc_auc_score(y, values, sample_weight=weight)
    assert_allclose(hill.one_minus_auc(values, y, weight), expected, atol=1e-13)


def test_auc_of_equal_values_and_of_signed_zeros():
    assert hill.one_minus_auc(np.full(6, 0.3), np.arange(6) % 2, None) == 0.5
    P = np.array([[-0.0, 0.0], [0.0, -0.0], [0.0, 0.0]])
    ones, y = np.ones(3), np.array([0, 1, 1])
    found = hill.auc_losses(P, np.array([1]), P[:, 0], y, np.arange(3), ones, STEPS[:2])
    assert_array_equal(found, [[0.5, 0.5]])


def test_squares_and_their_best_step():
    rng = np.random.default_rng(0)
    R = rng.normal(size=(60, 5))
    G = R.T @ R / 60
    own = G.diagonal()[1:]
    steps = np.linspace(-0.5, 0.5, 2001)
    found = hill.squared_losses(G[0, 0], G[0, 1:], own, steps[None, :])
    for j in range(1, 5):
        mixed = (1 - steps) * R[:, :1] + steps * R[:, j : j + 1]
        assert_allclose(found[j - 1], (mixed**2).mean(axis=0), rtol=1e-12)
    best = hill.squared_line(G[0, 0], G[0, 1:], own, -0.5, 0.5)
    assert_allclose(best[:, 0], steps[found.argmin(axis=1)], atol=5.1e-4)
    copy = hill.squared_line(2.0, np.array([2.0]), np.array([2.0]), 0.0, 0.5)
    assert_array_equal(copy, [[0.0]])


@pytest.mark.parametrize("seed", range(20))
def test_best_step_of_log_loss(seed):
    P, y, weight = make_class_predictions(6, 2, 40, seed)
    base, sign, offset = layout.true_class(P, y, 2)
    T = offset[:, None] + sign[:, None] * base
    steps = np.linspace(0.0, 0.5, 1001)
    arrays = (base, sign, offset, np.arange(6), T[:, 0], np.arange(40), weight)
    best = hill.log_line(*arrays, 0.5, LOG_CLIP)
    losses = hill.log_losses(*arrays, steps, LOG_CLIP)
    assert best[0, 0] == 0.0
    assert_allclose(best[1:, 0], steps[losses[1:].argmin(axis=1)], atol=5.1e-4)
