from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ensemblekit.kernels import softmax_path

PENALTIES = np.logspace(2, -4, 13)


def make_fits(n_channels, shared, n_rows=150, n_folds=4, spread=0.3, seed=0):
    """Fits of all rows and of the folds' training rows, with offsets of their own."""
    rng = np.random.default_rng(seed)
    n_features, n_classes = 5, max(n_channels, 2)
    features = rng.normal(size=(n_channels, n_rows, n_features))
    common = 2.0 * rng.normal(size=(n_channels, n_rows, 1))
    offsets = common + spread * rng.normal(size=(n_channels, n_rows, n_folds + 1))
    fold = np.sort(np.arange(n_rows) % n_folds)
    weight = rng.uniform(0.5, 2.0, n_rows)[:, None] * np.column_stack(
        [np.ones(n_rows), fold[:, None] != np.arange(n_folds)]
    )
    n_parameters = n_features + n_channels if shared else n_features * n_channels
    root = rng.normal(size=(n_parameters, n_parameters))
    return softmax_path.Fits(
        features,
        offsets,
        rng.integers(0, n_classes, n_rows),
        weight / weight.sum(axis=0),
        np.searchsorted(fold, np.arange(n_folds + 1)),
        shared,
        np.eye(n_parameters) + 0.1 * root @ root.T,
    )


def softmax_objective(fits, fit, penalty, theta):
    """The objective of one fit, row by row."""
    total = 0.0
    n_features = fits.features.shape[2]
    for i, code in enumerate(fits.y):
        scores = []
        for c in range(len(fits.features)):
            if fits.shared:
                own, bias = theta[:n_features], theta[n_features + c]
            else:
                own, bias = theta[c * n_features : (c + 1) * n_features], 0.0
            scores.append(fits.offsets[c, i, fit] + fits.features[c, i] @ own + bias)
        if len(scores) == 1:
            scores = [0.0, *scores]
        total += fits.weight[i, fit] * (np.logaddexp.reduce(scores) - scores[code])
    return total + 0.5 * penalty * theta @ fits.stiffness @ theta


@pytest.mark.parametrize(
    ("n_channels", "shared"), [(1, False), (3, True), (3, False), (6, True)]
)
@pytest.mark.parametrize("seed", range(3))
def test_all_at_once_equals_one_by_one(n_channels, shared, seed):
    fits = make_fits(n_channels, shared, seed=seed)
    path, decrements = softmax_path.solve_path(fits, PENALTIES)
    assert decrements.max() <= 1e-12
    for a in range(0, 13, 3):
        for fit in range(5):
            start = np.zeros(path.shape[2])
            theta, _ = softmax_path.newton(fits.only(fit), PENALTIES[a], start)
            assert_allclose(path[a, fit], theta, atol=1e-8)


@pytest.mark.parametrize(("n_channels", "shared"), [(1, False), (3, True), (3, False)])
def test_no_direction_lowers_the_objective(n_channels, shared):
    fits = make_fits(n_channels, shared, n_rows=60)
    path, _ = softmax_path.solve_path(fits, PENALTIES)
    rng = np.random.default_rng(0)
    for a, fit in ((0, 0), (6, 3), (12, 1)):
        least = softmax_objective(fits, fit, PENALTIES[a], path[a, fit])
        for _ in range(20):
            away = path[a, fit] + 1e-4 * rng.normal(size=path.shape[2])
            assert softmax_objective(fits, fit, PENALTIES[a], away) > least


@pytest.mark.parametrize(("n_channels", "shared"), [(1, False), (3, True), (3, False)])
def test_fits_beyond_the_chords_take_steps_of_their_own(
    n_channels, shared, monkeypatch
):
    fits = make_fits(n_channels, shared, n_rows=40, spread=8.0)
    alone, newton = [], softmax_path.newton

    def count(*arguments):
        alone.append(1)
        return newton(*arguments)

    monkeypatch.setattr(softmax_path, "newton", count)
    path, decrements = softmax_path.solve_path(fits, PENALTIES)
    assert alone
    assert decrements.max() <= 1e-12
    for fit in range(5):
        theta, _ = newton(fits.only(fit), PENALTIES[-1], np.zeros(path.shape[2]))
        assert_allclose(path[-1, fit], theta, atol=1e-8)


def nearly_separable(n_classes=6, n_folds=5, n_rows=600, n_members=16):
    """Classes whose true score is higher by 1.5 in each of independent members."""
    rng = np.random.default_rng(0)
    fits = make_fits(n_classes, False, n_rows, n_folds)
    scores = rng.normal(size=(n_members, n_rows, n_classes))
    scores[:, np.arange(n_rows), fits.y] += 1.5
    features = scores.transpose(2, 1, 0) - scores.mean(axis=2).T[None]
    offsets = features.mean(axis=2, keepdims=True)
    offsets = offsets + 0.02 * rng.normal(size=fits.offsets.shape)
    stiffness = 16.0 * np.eye(n_classes * n_members)
    return replace(fits, features=features, offsets=offsets, stiffness=stiffness)


def test_one_long_step_does_not_end_the_chords(monkeypatch):
    fits, alone, newton = nearly_separable(), [], softmax_path.newton

    def count(*arguments):
        alone.append(1)
        return newton(*arguments)

    monkeypatch.setattr(softmax_path, "newton", count)
    path, _ = softmax_path.solve_path(fits, PENALTIES)
    assert len(alone) <= 2  # of 78; each takes as long as all fits of a penalty
    for a in (8, 10, 12):
        for fit in (0, 2, 5):
            theta, _ = newton(fits.only(fit), PENALTIES[a], path[a, fit])
            assert_allclose(path[a, fit], theta, atol=1e-8)


@pytest.mark.parametrize(("n_channels", "shared"), [(1, False), (3, True), (3, False)])
def test_hopeless_offsets_and_separable_rows(n_channels, shared):
    fits = make_fits(n_channels, shared, n_rows=40)
    truth = fits.y[None] == (np.arange(3)[:, None] if n_channels > 1 else 1)
    features = fits.features.copy()
    features[..., 0] = truth
    offsets = np.where(truth[..., None], -300.0, 300.0) + fits.offsets
    hard = replace(fits, features=features, offsets=offsets)
    path, _ = softmax_path.solve_path(hard, np.append(PENALTIES, 1e-9))
    assert np.isfinite(path).all()
    theta, _ = softmax_path.newton(hard.only(1), 1e-9, np.zeros(path.shape[2]))
    ours = softmax_objective(hard, 1, 1e-9, path[-1, 1])
    assert_allclose(ours, softmax_objective(hard, 1, 1e-9, theta), atol=1e-9)


def test_losses_and_probabilities_agree():
    rng = np.random.default_rng(0)
    for n_channels in (1, 4):
        total = 30.0 * rng.normal(size=(n_channels, 50, 3))
        y = rng.integers(0, max(n_channels, 2), 50)
        losses = softmax_path.losses(total, y)
        q = softmax_path.probabilities(total.copy())
        if n_channels == 1:
            q = np.concatenate([1.0 - q, q])
        assert_allclose(q.sum(axis=0), 1.0)
        p = q[y, np.arange(50)]
        assert_allclose(np.exp(-losses), p, rtol=1e-9, atol=1e-12)
