"""Hostile and broken files: refused by name and line, nothing runs, nothing hangs."""

import resource
import time

import numpy as np
import pytest

from ensemblekit import FileError
from ensemblekit.files import find_problems, read_bank

from .hostile import CASES, IDS, N, csv_lines, good_values, npy_bytes, text

MEGABYTES = 200


def targets(task):
    labels = {"binary": ["no", "yes"], "classes": ["a", "b", "c"]}
    if task == "regression":
        return [str(value) for value in np.random.default_rng(3).normal(size=N)]
    return [labels[task][row % len(labels[task])] for row in range(N)]


@pytest.fixture
def bank_folder(tmp_path):
    """Make a folder with two good members and a target."""

    def make(task):
        pairs = zip(IDS, targets(task), strict=True)
        rows = ["id,target", *(f"{i},{label}" for i, label in pairs)]
        (tmp_path / "train.csv").write_bytes(text(rows))
        folder = tmp_path / "oof"
        folder.mkdir()
        shares = {"regression": good_values(), "binary": np.full(N, 0.5)}
        values = shares.get(task, np.full((N, 3), 1 / 3))
        (folder / "a.npy").write_bytes(npy_bytes(values))
        if task == "regression":
            (folder / "good.csv").write_bytes(text(csv_lines()))
        return folder, f"{tmp_path / 'train.csv'}:target"

    return make


def peak_megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_there_are_enough_of_them():
    assert len(CASES) >= 300


@pytest.mark.parametrize("name", CASES)
def test_refused_by_name(name, bank_folder, tmp_path):
    file, content, line, task = CASES[name]
    folder, target = bank_folder(task)
    canary = tmp_path / "CANARY"
    path = folder / file
    if callable(content):
        content(path, canary)
    else:
        path.write_bytes(content)
    before, start = peak_megabytes(), time.perf_counter()
    with pytest.raises(FileError) as caught:
        read_bank(folder, target)
    assert time.perf_counter() - start < 2.0
    assert peak_megabytes() - before < MEGABYTES
    assert caught.value.file == str(path), caught.value
    assert str(path) in str(caught.value)
    if line is not None:
        assert caught.value.line == line, caught.value
    assert not canary.exists()
    findings = find_problems(folder, target)
    assert {f.file for f in findings if f.level == "error"} == {str(path)}, findings
    assert not canary.exists()


def test_all_problems_at_once(bank_folder):
    folder, target = bank_folder("regression")
    wanted = set()
    for name in (
        "npy-cut-50",
        "csv-cell-2-9",
        "parquet-lists",
        "npz-objects",
        "npy-nan-30",
    ):
        file, content, _, _ = CASES[name]
        path = folder / f"{name}.{file.partition('.')[2]}"
        if callable(content):
            content(path, folder / "CANARY")
        else:
            path.write_bytes(content)
        wanted.add(str(path))
    errors = [f for f in find_problems(folder, target) if f.level == "error"]
    assert {error.file for error in errors} == wanted
    assert not (folder / "CANARY").exists()
