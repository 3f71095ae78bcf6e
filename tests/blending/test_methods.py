"""Which combiners a blend tries, and which it leaves out."""

import pytest
from numpy.testing import assert_array_equal

import ensemblekit
from ensemblekit import EnsembleSelectionRegressor
from ensemblekit.blending import blend, methods
from ensemblekit.blending._blend import select_methods
from ensemblekit.blending.methods import methods_for
from ensemblekit.blending.metrics import find_metric

from .libraries import classification, regression

POPULATION = ["QO selection", "QDO selection"]


def offered(metric, task="classification", n_classes=2):
    found = find_metric(metric, task, n_classes)
    return {m.name: m for m in methods_for(found, task, n_classes, 3)}


@pytest.mark.parametrize(
    ("metric", "task", "n_classes", "loss"),
    [
        ("rmse", "regression", 0, "squared_error"),
        ("r2", "regression", 0, "squared_error"),
        ("mae", "regression", 0, "absolute_error"),
        ("log_loss", "classification", 3, "log_loss"),
        ("brier", "classification", 2, "brier"),
        ("roc_auc", "classification", 2, "auc"),
        ("accuracy", "classification", 3, "zero_one"),
    ],
)
def test_populations_minimise_the_metric(metric, task, n_classes, loss):
    found = offered(metric, task, n_classes)
    for name in [*POPULATION, "CMA-ES"]:
        combiner = found[name].make()
        assert (combiner.loss, combiner.random_state) == (loss, 3)


@pytest.mark.parametrize(
    ("metric", "task", "n_classes"),
    [
        ("neg_median_absolute_error", "regression", 0),
        ("f1", "classification", 2),
        ("qwk", "classification", 3),
        ("average_precision", "classification", 2),
    ],
)
def test_populations_take_no_scorer(metric, task, n_classes):
    found = offered(metric, task, n_classes)
    assert not set(POPULATION) & set(found)
    assert found["CMA-ES"].most == methods.ON_REQUEST


@pytest.mark.parametrize(
    ("metric", "sizes"),
    [
        ("brier", [20_000_000] * 3),
        ("log_loss", [5_000_000, 5_000_000, 2_000_000]),
        ("roc_auc", [2_000_000] * 3),
    ],
)
def test_populations_are_left_out_of_large_runs(metric, sizes):
    every = list(offered(metric).values())
    names = [*POPULATION, "CMA-ES"]
    for name, size in zip(names, sizes, strict=True):
        tried, skipped = select_methods(every, "all", size)
        assert name in [method.name for method in tried]
        assert name not in dict(skipped)
        tried, skipped = select_methods(every, "all", size + 1)
        assert name not in [method.name for method in tried]
        assert "ask for it by name" in dict(skipped)[name]


def test_cma_is_left_out_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(methods, "find_spec", lambda name: None)
    every = list(offered("rmse", "regression", 0).values())
    tried, skipped = select_methods(every, "all", 100)
    assert "CMA-ES" not in [method.name for method in tried]
    assert skipped == [
        ("CMA-ES", "left out, as cma is not installed (pip install 'ensemblekit[cma]')")
    ]
    with pytest.raises(ValueError, match=r"'CMA-ES' needs cma, which is not inst.*run"):
        blend(regression(), methods=["CMA-ES"])


def test_population_is_no_worse_than_greedy_on_its_rows():
    library = regression()
    model = blend(library, methods=["QO selection"]).models["QO selection"]
    greedy = EnsembleSelectionRegressor().fit(library.P, library.y)
    assert model.loss_ <= greedy.loss_ * (1 + 1e-12)
    again = ensemblekit.QOEnsembleSelectionRegressor().fit(library.P, library.y)
    assert_array_equal(model.weights_, again.weights_)


@pytest.mark.parametrize("make", [regression, classification])
def test_scored_nested_with_weights(make):
    pytest.importorskip("cma")
    names = [*POPULATION, "CMA-ES"]
    result = blend(make(60), methods=names) if make is regression else blend(
        make(3, 60), methods=names
    )  # fmt: skip
    assert not result.skipped
    rows = {row["name"]: row for row in result.rows}
    for name in names:
        assert rows[name]["score_se"] > 0.0
        assert rows[name]["n_members"] >= 1
        assert sum(result.weights_of(name).values()) == pytest.approx(1.0)


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "roc_auc_ovr"])
def test_ranks_are_averaged_for_metrics_of_ranks(metric):
    assert offered(metric)["rank mean"].make().kind == "rank"
    result = blend(classification(), metric=metric, methods=["rank mean"])
    assert result.best == "rank mean"


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_ranks_of_values_are_not_averaged(metric):
    assert "rank mean" not in offered(metric, "regression", 0)
