"""model.json and members as anyone may have edited them: a sentence, or predictions."""

import copy
import json
import math
import os
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from ensemblekit.commands import _facts

from .test_fit import call, fitted, model, pd, place, refused

__all__ = ["fitted", "model", "place"]

FACTS = Path("out/model.json")
PREDICT = ("predict", "out", "new.csv", "-o", "p.csv")


def edited(**fields):
    facts = json.loads(FACTS.read_text())
    FACTS.write_text(json.dumps({**facts, **fields}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("half_widths", None),
        ("half_widths", "x"),
        ("half_widths", -1),
        ("half_widths", [[0.1, None]]),
        ("half_widths", [[0.1, "x"]]),
        ("half_widths", [[0.1, -1.0]]),
        ("half_widths", [[0.1, math.inf]]),
        ("half_widths", [[0.1]]),
        ("half_widths", [[0.1, True]]),
        ("half_widths", [[0.0, 1.0]]),
        ("half_widths", [[0.2, 1.0], [0.1, 2.0]]),
        ("half_widths", [[0.1, 1.0], [0.2, 2.0]]),
        ("half_widths", [[0.1, 10**400]]),
        ("sorted_out", [[1]]),
        ("sorted_out", "id"),
        ("task", "x"),
        ("task", ["regression"]),
        ("task", "classification"),
        ("target", ""),
        ("target", "id"),
        ("target", "rooms"),
        ("id", 3),
        ("id", "rooms"),
        ("classes", []),
        ("classes", ["a", "b"]),
        ("classes", ["b", "a"]),
        ("classes", [1, "a"]),
        ("metric", None),
        ("score", "x"),
        ("combiner", 1),
        ("members", [1]),
        ("members", ["a", "a"]),
        ("seed", True),
        ("n_rows", -1),
        ("packages", [["sklearn"]]),
        ("packages", "sklearn"),
        ("packages", ["os"]),
        ("versions", {"numpy": 1}),
        ("versions", []),
        ("sha256", 5),
        ("sha256", "../../etc"),
        ("columns", []),
        ("columns", [1]),
        ("columns", [{"name": "size"}]),
        ("format", True),
        ("more", 1),
    ],
)
def test_unfit_fields_are_named(model, capsys, field, value):
    edited(**{field: value})
    said = refused(capsys, *PREDICT, "--interval", "0.1")
    assert "out/model.json" in said
    assert not Path("p.csv").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"n_missing": True},
        {"n_missing": -1},
        {"values": []},
        {"values": ["b", "a"]},
        {"kind": None},
        {"kind": "category"},
        {"name": 1},
        {"name": "town"},
        {"name": "price"},
        {"name": "other"},
        {"more": 1},
    ],
)
def test_unfit_columns_are_named(model, capsys, change):
    columns = json.loads(FACTS.read_text())["columns"]
    columns[0] |= change
    edited(columns=columns)
    assert "out/model.json" in refused(capsys, *PREDICT)


def test_classes_are_those_of_the_model(place, capsys):
    frame = pd.read_csv("train.csv")
    frame["price"] = np.where(frame["price"] > 155, "b", "a")
    frame.to_csv("train.csv", index=False)
    options = ("--target", "price", "--members", "classifiers.yaml", "--n-jobs", "1")
    assert call("fit", "train.csv", *options, "-o", "out") == 0
    edited(classes=["a", "c"])
    assert "out/model.json: says of 'classes' what is" in refused(capsys, *PREDICT)
    edited(classes=["a", "b"])
    assert call(*PREDICT, "--proba") == 0


def test_keys_that_stand_twice_and_marks_at_the_start(model, capsys):
    text = FACTS.read_text()
    FACTS.write_text(text.replace('"task"', '"task": "x", "task"', 1))
    assert "the key 'task' stands twice" in refused(capsys, *PREDICT)
    FACTS.write_text(text, encoding="utf-8-sig")
    assert call(*PREDICT) == 0


def test_no_pipe_is_read(model, capsys):
    FACTS.unlink()
    os.mkfifo(FACTS)
    assert "out/model.json: is a pipe" in refused(capsys, *PREDICT)


def test_every_field_that_is_written_is_checked(model):
    assert json.loads(FACTS.read_text()).keys() == _facts._FITS.keys()


VALUES = [
    None, -1, 0, 1, 0.5, 1e308, 2**70, 10**400, math.nan, math.inf, True, "x", "",
    "\ud800", "../../etc", "category", "number", [], {}, [[1, 2], [3]], ["x"], [[0.1]],
]  # fmt: skip


def places(content, where=()):
    yield where
    items = content.items() if isinstance(content, dict) else ()
    items = enumerate(content[:2]) if isinstance(content, list) else items
    for key, value in items:
        yield from places(value, (*where, key))


def edit(content, rng):
    where = [place for place in places(content) if place]
    *path, last = where[rng.integers(len(where))]
    for key in path:
        content = content[key]
    if rng.random() < 0.2:
        del content[last]
    elif rng.random() < 0.2 and isinstance(content, list):
        content.reverse()
    else:
        content[last] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])


def test_edits_end_in_predictions_or_in_a_sentence(model, capsys):
    rng, facts = np.random.default_rng(0), json.loads(FACTS.read_text())
    n_refused = 0
    for _ in range(80):
        changed = copy.deepcopy(facts)
        edit(changed, rng)
        FACTS.write_text(json.dumps(changed))
        Path("p.csv").unlink(missing_ok=True)
        capsys.readouterr()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            code = call(*PREDICT, "--interval", "0.1")
        said = capsys.readouterr().err
        assert code in (0, 2)
        if code == 2:
            assert len(said.splitlines()) == 1
            assert "out" in said
            assert len(said) < 700
            n_refused += 1
            continue
        numbers = pd.read_csv("p.csv").select_dtypes("number")
        assert len(numbers) == 40
        assert np.isfinite(numbers.to_numpy()).all()
    assert n_refused > 30


# -- fits that are refused ----------------------------------------------------------


@pytest.mark.parametrize("output", ["new", "new/er/still"])
def test_a_refused_fit_leaves_no_folder(place, capsys, output):
    Path("m.yaml").write_text(
        "ridge: {estimator: sklearn.linear_model.Ridge}\n"
        "knn: {estimator: sklearn.neighbors.KNeighborsRegressor,"
        " params: {n_neighbors: 5000}}\n"
    )
    Path("kept").mkdir()
    for folder in (output, "kept"):
        argv = ("--target", "price", "--members", "m.yaml", "-o", folder)
        refused(capsys, "fit", "train.csv", *argv, "--n-jobs", "1")
    assert not Path("new").exists()
    assert Path("kept").exists()


def test_unfit_parameters_are_told_before_the_work(place, capsys):
    Path("m.yaml").write_text(
        "slow: {estimator: sklearn.ensemble.RandomForestRegressor,"
        " params: {n_estimators: 5000}}\n"
        "ridge:\n  estimator: sklearn.linear_model.Ridge\n  params: {alpha: x}\n"
    )
    start = time.perf_counter()
    argv = ("--target", "price", "--members", "m.yaml", "-o", "out")
    said = refused(capsys, "fit", "train.csv", *argv)
    assert "m.yaml, line 4: member 'ridge', params: The 'alpha' parameter" in said
    assert "Got 'x'" in said
    assert time.perf_counter() - start < 10
    assert not Path("out").exists()
