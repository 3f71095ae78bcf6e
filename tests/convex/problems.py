"""Random problems of convex weights, and the combiner that solves one."""

import math

import numpy as np

from ensemblekit import ConvexClassifier, ConvexRegressor

from ..conftest import make_class_predictions, make_regression_predictions
from ..oracles import ConvexProblem

REGRESSION = ["squared_error", "huber", "absolute_error", "pinball"]
CASES = [
    *[(loss, 0) for loss in REGRESSION],
    ("log_loss", 2),
    ("log_loss", 3),
    ("brier", 2),
    ("brier", 3),
]
"""Each loss with its number of classes."""


def random_problem(loss, n_classes=0, seed=0, n_members=None, **parameters):
    """Draw n 15-60, m 2-8, weights with zeros, and a ridge for one seed in three."""
    rng = np.random.default_rng([seed, 1])
    n = int(rng.integers(15, 61))
    m = n_members or int(rng.integers(2, 9))
    if n_classes:
        P, y, _ = make_class_predictions(m, n_classes, n, seed)
    else:
        P, y, _ = make_regression_predictions(m, n, seed)
    weight = rng.exponential(size=n) * (rng.uniform(size=n) > 0.2)
    drawn = {
        "ridge": 0.0 if seed % 3 else rng.exponential(0.3),
        "delta": rng.uniform(0.05, 0.6),
        "level": rng.uniform(0.05, 0.95),
    }
    return ConvexProblem(loss, P, y, weight, **{**drawn, **parameters})


def fit(problem, **constraints):
    """Fit the combiner that has the parameters of a problem."""
    classes = problem.loss in ("log_loss", "brier")
    combiner = (ConvexClassifier if classes else ConvexRegressor)(**constraints)
    shared = {
        name: getattr(problem, name)
        for name in combiner.get_params()
        if hasattr(problem, name)
    }
    combiner.set_params(**shared)
    return combiner.fit(problem.P, problem.y, sample_weight=problem.weight)


def check_is_share(weights):
    assert weights.min() >= 0.0
    assert abs(math.fsum(weights) - 1.0) <= 1e-15
    assert not ((weights > 0.0) & (weights < 1e-13)).any()
