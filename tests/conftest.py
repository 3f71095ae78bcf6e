"""Factories of prediction matrices with a fixed seed."""

import numpy as np
import pytest
from sklearn.utils import check_random_state


def make_regression_predictions(n_members=6, n_samples=150, seed=0):
    """Members that see the truth through shared and own noise, of mixed quality."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n_samples)
    shared = rng.normal(size=(n_samples, 3))
    slopes, noise = rng.uniform(0.7, 1.1, n_members), rng.uniform(0.1, 0.8, n_members)
    P = y[:, None] * slopes + 0.3 * shared[:, np.arange(n_members) % 3]
    P += noise * rng.normal(size=(n_samples, n_members))
    return P, y, rng.integers(1, 4, n_samples).astype(float)


def make_class_predictions(n_members=6, n_classes=2, n_samples=180, seed=0):
    """Probabilities of members of mixed quality, in the layout of P."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_samples) % n_classes
    rng.shuffle(y)
    truth = 1.5 * (y[:, None] == np.arange(n_classes))
    blocks = []
    for _ in range(n_members):
        scores = rng.uniform(0.4, 1.4) * truth + rng.normal(size=truth.shape)
        block = np.exp(scores)
        block /= block.sum(axis=1, keepdims=True)
        blocks.append(block[:, 1:] if n_classes == 2 else block)
    return np.hstack(blocks), y, rng.integers(1, 4, n_samples).astype(float)


@pytest.fixture
def regression_predictions():
    """Factory (n_members, n_samples, seed) -> P, y, weight."""
    return make_regression_predictions


@pytest.fixture
def class_predictions():
    """Factory (n_members, n_classes, n_samples, seed) -> P, y, weight."""
    return make_class_predictions


def pytest_runtest_setup(item):
    """Let estimators without a random_state draw alike, whatever ran before."""
    check_random_state(None).seed(0)
