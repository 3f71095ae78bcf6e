"""Targets, folds and sample submissions are files too."""

import pickle

import numpy as np
import pytest

from ensemblekit import FileError
from ensemblekit.files import read_bank, read_target

from .hostile import IDS, N, Trap, csv_lines, npy_bytes, text


def target_lines(values=None):
    values = np.arange(N) / 7 if values is None else values
    return ["id,target", *(f"{i},{v}" for i, v in zip(IDS, values, strict=True))]


def with_line(number, new):
    lines = target_lines()
    lines[number - 1] = new
    return text(lines)


BAD_TARGETS = {
    "missing-file": (None, "does not exist|No such file"),
    "empty": (b"", "is empty"),
    "missing-value": (with_line(9, "107,"), "line 9: the target in column 'target'"),
    "infinite": (with_line(9, "107,inf"), "line 9: .* missing or infinite"),
    "text": (text(target_lines([f"x{i}" for i in range(N)])), "60 different labels"),
    "one-class": (text(target_lines(["a"] * N)), "has one value"),
    "id-twice": (
        with_line(9, "100,1"),
        "line 9: the id 100 in column .* stands in line 2 too",
    ),
    "id-missing": (with_line(9, ",1"), "has no ids|line 9: the id"),
    "no-column": (text(["id,y2", *(f"{i},1.5" for i in IDS)]), "no column 'target'"),
    "nul": (with_line(9, "107,\0"), "line 9: has NUL bytes"),
    "ragged": (with_line(9, "107,1,2"), "line 9: has 3 cells; expected 2"),
}


@pytest.mark.parametrize("name", BAD_TARGETS)
def test_bad_targets(name, tmp_path):
    content, message = BAD_TARGETS[name]
    path = tmp_path / "train.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileError, match=message) as caught:
        read_target(f"{path}:target", id="id")
    assert caught.value.file == str(path)


def test_a_pickled_target_is_never_opened(tmp_path):
    path = tmp_path / "train.pkl"
    path.write_bytes(pickle.dumps(Trap(tmp_path / "CANARY")))
    with pytest.raises(FileError, match="can run code"):
        read_target(path)
    assert not (tmp_path / "CANARY").exists()


def folds_with(number, new):
    lines = ["id,fold", *(f"{i},{i % 5}" for i in IDS)]
    lines[number - 1] = new
    return lines


BAD_FOLDS = {
    "row-twice": (
        folds_with(9, "100,3"),
        "line 9: the id 100 in column .* stands in line 2",
    ),
    "row-missing": (folds_with(61, "158,1")[:-1], "lacks 1 of the 60 ids"),
    "row-more": ([*folds_with(1, "id,fold"), "999,1"], "the id 999 is not in"),
    "overlap": ([*folds_with(1, "id,fold"), "100,2"], "line 62: the id 100 in column"),
    "fold-missing": (folds_with(9, "107,"), "line 9: the fold in column 'fold'"),
    "one-fold": (["id,fold", *(f"{i},0" for i in IDS)], "expected two or more"),
    "no-ids-short": (["fold", *["0", "1"] * 20], "has 40 rows; expected 60"),
    "other-column": (["id,group", *(f"{i},{i % 2}" for i in IDS)], "no column 'fold'"),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.csv").write_bytes(text(target_lines()))
    (tmp_path / "oof").mkdir()
    (tmp_path / "oof" / "a.csv").write_bytes(text(csv_lines()))
    (tmp_path / "oof" / "b.npy").write_bytes(npy_bytes(np.ones(N)))
    return tmp_path


@pytest.mark.parametrize("name", BAD_FOLDS)
def test_bad_folds(name, folder):
    lines, message = BAD_FOLDS[name]
    (folder / "folds.csv").write_bytes(text(lines))
    spec = f"{folder / 'folds.csv'}:fold"
    with pytest.raises(FileError, match=message) as caught:
        read_bank(folder / "oof", f"{folder / 'train.csv'}:target", folds=spec)
    assert caught.value.file == str(folder / "folds.csv")


BAD_SAMPLES = {
    "id-twice": (
        ["id,target", "1,0", "1,0"],
        "line 3: the id 1 in column .* stands in line 2",
    ),
    "id-missing": (["id,target", "1,0", ",0"], "line 3: the id in column 'id'"),
    "other-ids": (["id,target", "1,0", "9,0"], "lacks 1 of the 2 ids"),
    "more-ids": (["id,target", "1,0", "2,0", "3,0"], "lacks 1 of the 3 ids"),
    "fewer-ids": (["id,target", "1,0"], "the id 2 is not in"),
}


@pytest.mark.parametrize("name", BAD_SAMPLES)
def test_bad_samples(name, folder):
    lines, message = BAD_SAMPLES[name]
    (folder / "sample.csv").write_bytes(text(lines))
    (folder / "test").mkdir()
    for member in "ab":
        rows = text(["id,pred", "1,0.5", "2,0.25"])
        (folder / "test" / f"{member}.csv").write_bytes(rows)
    with pytest.raises(FileError, match=message):
        read_bank(
            folder / "oof",
            f"{folder / 'train.csv'}:target",
            test=folder / "test",
            sample=folder / "sample.csv",
        )
