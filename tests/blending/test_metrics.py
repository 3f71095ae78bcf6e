"""Metrics against scikit-learn's own functions."""

import numpy as np
import pytest
from sklearn import metrics as sk

from ensemblekit.blending.metrics import find_metric

RNG = np.random.default_rng(0)
Y, P = RNG.normal(size=50), RNG.normal(size=50)
WEIGHT = RNG.integers(0, 4, 50).astype(float)


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("rmse", sk.root_mean_squared_error),
        ("mse", sk.mean_squared_error),
        ("mae", sk.mean_absolute_error),
        ("r2", sk.r2_score),
        (
            "neg_median_absolute_error",
            lambda *a, **k: -sk.median_absolute_error(*a, **k),
        ),
    ],
)
def test_scores_of_values(name, function, weight):
    expected = function(Y, P, sample_weight=weight)
    assert find_metric(name, "regression").score(Y, P, weight) == pytest.approx(
        expected
    )


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("accuracy", sk.accuracy_score),
        ("balanced_accuracy", sk.balanced_accuracy_score),
        ("f1_macro", lambda *a, **k: sk.f1_score(*a, average="macro", **k)),
        ("matthews_corrcoef", sk.matthews_corrcoef),
        ("cohen_kappa", sk.cohen_kappa_score),
        ("qwk", lambda *a, **k: sk.cohen_kappa_score(*a, weights="quadratic", **k)),
        ("jaccard_macro", lambda *a, **k: sk.jaccard_score(*a, average="macro", **k)),
    ],
)
def test_scores_of_labels(name, function, weight):
    y, labels = RNG.integers(0, 3, (2, 50))
    metric = find_metric(name, "classification", 3)
    assert metric.reads == "labels"
    expected = function(y, labels, sample_weight=weight)
    assert metric.score(y, labels, weight) == pytest.approx(expected)


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("roc_auc", lambda y, p, **k: sk.roc_auc_score(y, p[:, 1], **k)),
        ("log_loss", sk.log_loss),
        ("brier", lambda y, p, **k: sk.brier_score_loss(y, p[:, 1], **k)),
        (
            "average_precision",
            lambda y, p, **k: sk.average_precision_score(y, p[:, 1], **k),
        ),
    ],
)
def test_scores_of_probabilities(name, function, weight):
    y = RNG.integers(0, 2, 50)
    p = RNG.dirichlet([1, 1], 50)
    metric = find_metric(name, "classification", 2)
    assert metric.reads == "probabilities"
    expected = function(y, p, sample_weight=weight)
    assert metric.score(y, p, weight) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "task", "n_classes", "message"),
    [
        ("roc_auc", "regression", 0, "Unknown metric 'roc_auc' for regression"),
        ("rmse", "classification", 2, "Unknown metric 'rmse' for classification"),
        ("roc_auc", "classification", 3, "for two classes, but there are 3.*ovr"),
        ("f1", "classification", 3, "f1_macro"),
        ("nonsense", "regression", 0, "Expected one of .*rmse"),
    ],
)
def test_refuses_metrics(name, task, n_classes, message):
    with pytest.raises(ValueError, match=message):
        find_metric(name, task, n_classes)
