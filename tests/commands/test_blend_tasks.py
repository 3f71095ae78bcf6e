"""`ensemblekit blend` takes the task of a metric that belongs to one task only."""

import json

import numpy as np
import pandas as pd
import pytest

from ensemblekit import cli
from ensemblekit.commands.blend import _tasks_of

N = 150


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "oof").mkdir()
    return tmp_path


def write(folder, y, predictions):
    frame = pd.DataFrame({"id": np.arange(N), "y": y})
    frame.to_csv(folder / "train.csv", index=False)
    for k, values in enumerate(predictions):
        np.save(folder / "oof" / f"m{k}_oof.npy", values)


def run(*options):
    command = ["blend", "oof", "--target", "train.csv:y", "--method", "mean"]
    return cli.main([*command, "-o", "out", *options])


def test_counts_are_values_where_the_metric_is_of_values(folder, capsys):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 6, N)
    write(folder, y, y + rng.normal(size=(2, N)))
    assert run() == 2  # labels, by themselves
    capsys.readouterr()
    assert run("--metric", "rmse") == 0
    text = capsys.readouterr().out
    assert "'y' is read for a regression, for the metric 'rmse' is of no other" in text
    assert json.loads((folder / "out" / "blend.json").read_text())["task"] == (
        "regression"
    )
    assert "task='regression'" in (folder / "out" / "blend.py").read_text()
    assert run("--metric", "rmse", "--task", "classification") == 2


def test_many_whole_numbers_are_labels_where_the_metric_is_of_labels(folder, capsys):
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(N) % 25)
    write(folder, y, rng.dirichlet(np.ones(25), size=(2, N)))
    assert run("--metric", "log_loss") == 0
    assert "is read for a classification" in capsys.readouterr().out
    write(folder, y + 0.5, rng.normal(size=(2, N)))
    assert run("--metric", "log_loss") == 2
    assert "Unknown metric 'log_loss' for regression" in capsys.readouterr().err


def test_nothing_is_said_where_the_values_tell_the_same(folder, capsys):
    y = np.random.default_rng(0).normal(size=N)
    write(folder, y, [y + 0.5, y - 0.5])
    assert run("--metric", "mae") == 0
    assert "of no other task" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("metric", "tasks"),
    [
        ("rmse", {"regression"}),
        ("r2", {"regression"}),
        ("rmsle", {"regression"}),
        ("neg_root_mean_squared_error", {"regression"}),
        ("pinball", {"regression"}),
        ("roc_auc", {"classification"}),
        ("log_loss", {"classification"}),
        ("qwk", {"classification"}),
        ("f1_macro", {"classification"}),
        ("no such metric", set()),
    ],
)
def test_tasks_of_metrics(metric, tasks):
    assert _tasks_of(metric) == tasks
