"""Metrics against scikit-learn's own functions."""

import warnings
from functools import partial

import numpy as np
import pytest
import sklearn
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
        (
            *("neg_mean_absolute_error", "classification", 3),
            "it is for values of a regression. Expected one of accuracy, .*, or "
            "another scorer of scikit-learn for classification",
        ),
        ("mape", "classification", 3, "for values of a regression"),
        ("mae", "classification", 2, "for values of a regression"),
        ("accuracy", "regression", 0, "it is for classes. Expected one of .*rmse"),
        ("rand_score", "classification", 2, "for clusterings.*one of accuracy"),
        ("rand_score", "regression", 0, "for clusterings.*one of .*rmse"),
    ],
)
def test_refuses_metrics(name, task, n_classes, message):
    with pytest.raises(ValueError, match=message):
        find_metric(name, task, n_classes)


# Every scorer of scikit-learn, by what it is for and what it reads.
OF_VALUES = {
    "d2_absolute_error_score": sk.d2_absolute_error_score,
    "explained_variance": sk.explained_variance_score,
    "neg_max_error": sk.max_error,
    "neg_mean_absolute_error": sk.mean_absolute_error,
    "neg_mean_absolute_percentage_error": sk.mean_absolute_percentage_error,
    "neg_mean_gamma_deviance": sk.mean_gamma_deviance,
    "neg_mean_poisson_deviance": sk.mean_poisson_deviance,
    "neg_mean_squared_error": sk.mean_squared_error,
    "neg_mean_squared_log_error": sk.mean_squared_log_error,
    "neg_median_absolute_error": sk.median_absolute_error,
    "neg_root_mean_squared_error": sk.root_mean_squared_error,
    "neg_root_mean_squared_log_error": sk.root_mean_squared_log_error,
    "r2": sk.r2_score,
}
AVERAGED = {
    f"{name}_{average}": partial(function, average=average)
    for name, function in {
        "f1": sk.f1_score,
        "jaccard": sk.jaccard_score,
        "precision": sk.precision_score,
        "recall": sk.recall_score,
    }.items()
    for average in ("macro", "micro", "weighted")
}
OF_LABELS = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "matthews_corrcoef": sk.matthews_corrcoef,
    **AVERAGED,
}
OF_TWO_LABELS = {
    "f1": sk.f1_score,
    "jaccard": sk.jaccard_score,
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "positive_likelihood_ratio": lambda *a: sk.class_likelihood_ratios(*a)[0],
    "neg_negative_likelihood_ratio": lambda *a: sk.class_likelihood_ratios(*a)[1],
}


def _second(function, **options):
    """Of two classes only the second's probability is read."""

    def score(y, p):
        return function(y, p[:, 1] if p.shape[1] == 2 else p, **options)

    return score


def _top_two(y, p):
    given = {"k": 2, "labels": [0, 1, 2]}
    return sk.top_k_accuracy_score(y, p, **given) if p.shape[1] > 2 else 1.0


OF_PROBABILITIES = {
    "average_precision": _second(sk.average_precision_score),
    "neg_brier_score": _second(sk.brier_score_loss),
    "neg_log_loss": sk.log_loss,
    "roc_auc_ovo": _second(sk.roc_auc_score, multi_class="ovo"),
    "roc_auc_ovo_weighted": _second(
        sk.roc_auc_score, multi_class="ovo", average="weighted"
    ),
    "roc_auc_ovr": _second(sk.roc_auc_score, multi_class="ovr"),
    "roc_auc_ovr_weighted": _second(
        sk.roc_auc_score, multi_class="ovr", average="weighted"
    ),
    "top_k_accuracy": _top_two,
    **{  # of newer scikit-learns
        name: _second(getattr(sk, name)) if name == "d2_brier_score" else function
        for name in ("d2_brier_score", "d2_log_loss_score")
        if (function := getattr(sk, name, None)) is not None
    },
}
OF_TWO_PROBABILITIES = {"roc_auc": _second(sk.roc_auc_score)}
CLUSTERINGS = {
    *("adjusted_mutual_info_score", "adjusted_rand_score", "completeness_score"),
    *("fowlkes_mallows_score", "homogeneity_score", "mutual_info_score"),
    *("normalized_mutual_info_score", "rand_score", "v_measure_score"),
}
# Of several labels for each row.
MULTILABEL = {f"{name}_samples" for name in ("f1", "jaccard", "precision", "recall")}
READ = {
    ("regression", 0): {"values": OF_VALUES},
    ("classification", 2): {
        "labels": OF_LABELS | OF_TWO_LABELS,
        "probabilities": OF_PROBABILITIES | OF_TWO_PROBABILITIES,
    },
    ("classification", 3): {"labels": OF_LABELS, "probabilities": OF_PROBABILITIES},
}
if tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 7):  # two classes only
    of_more = {k: v for k, v in OF_PROBABILITIES.items() if k != "neg_brier_score"}
    READ["classification", 3]["probabilities"] = of_more


def test_the_table_has_every_scorer():
    tables = [OF_VALUES, OF_LABELS, OF_TWO_LABELS, OF_PROBABILITIES]
    known = set().union(*tables, OF_TWO_PROBABILITIES, CLUSTERINGS, MULTILABEL)
    assert set(sk.get_scorer_names()) <= known


def _draw(reads, n_classes):
    rng = np.random.default_rng(n_classes)
    if reads == "values":
        y = rng.gamma(2.0, size=60)
        return y, y * rng.uniform(0.8, 1.3, size=60)
    y, p = rng.integers(0, n_classes, 60), rng.dirichlet(np.ones(n_classes), 60)
    return y, p if reads == "probabilities" else p.argmax(axis=1)


@pytest.mark.parametrize("name", sk.get_scorer_names())
@pytest.mark.parametrize(("task", "n_classes"), READ)
def test_scorers_are_accepted_for_their_own_task(name, task, n_classes):
    reads, function = next(
        (
            (k, table[name])
            for k, table in READ[task, n_classes].items()
            if name in table
        ),
        (None, None),
    )
    if function is None:
        with pytest.raises(ValueError, match=f"{name!r} .*(Expected one of|Take )"):
            find_metric(name, task, n_classes)
        return
    metric = find_metric(name, task, n_classes)
    assert metric.reads == reads
    y, given = _draw(reads, n_classes)
    expected = function(y, given) * (-1.0 if name.startswith("neg_") else 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the best 2 of 2 classes are always right
        assert metric.score(y, given) == pytest.approx(expected, rel=1e-12)
