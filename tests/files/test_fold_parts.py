"""Files of one fold each are parts of a member; test files that pair with nothing."""

import numpy as np
import pandas as pd
import pytest

from ensemblekit import FileError, cli
from ensemblekit.files import read_bank

N, N_TEST, FOLDS = 60, 30, 5


@pytest.fixture
def folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.arange(N), "y": rng.normal(size=N)})
    frame.to_csv(tmp_path / "train.csv", index=False)
    frame["y"] += rng.normal(size=N)
    (tmp_path / "oof").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("lgbm", "xgb"):
        frame.to_csv(tmp_path / "oof" / f"oof_{name}.csv", index=False)
    return tmp_path / "oof"


def write_tests(folder, pattern):
    for name in ("lgbm", "xgb"):
        for fold in range(FOLDS):
            path = folder / pattern.format(name, fold)
            np.save(path, np.full(N_TEST, 1.0))


@pytest.mark.parametrize(
    ("pattern", "advice"),
    [
        ("test_{}_fold{}.npy", "5 of them are the folds of 'lgbm': save their mean"),
        ("{}_f{}_sub.npy", "5 of them are the folds of 'lgbm': save their mean"),
        ("test_{}_v{}.npy", "Give a model's two files one name"),
    ],
)
def test_says_that_there_is_no_submission(folder, pattern, advice, capsys):
    write_tests(folder, pattern)
    target = ["oof", "--target", "train.csv:y"]
    assert cli.main(["inspect", *target]) == 0
    text = capsys.readouterr().out
    assert advice in text
    assert text.splitlines()[-1].startswith("No submission: of 10 files of test rows (")
    assert "Nothing wrong" not in text
    assert cli.main(["blend", *target, "--method", "mean", "-o", "out"]) == 0
    text = capsys.readouterr().out
    assert advice in text
    assert text.splitlines()[-1].startswith("No submission: of 10 files of test rows (")
    assert cli.main(["inspect", "oof"]) == 0  # without a target
    assert "No submission: of 10 files" in capsys.readouterr().out


def test_says_nothing_of_it_where_there_are_no_test_files(folder, capsys):
    assert cli.main(["inspect", "oof", "--target", "train.csv:y"]) == 0
    assert "No submission" not in capsys.readouterr().out
    pd.DataFrame({"id": [900], "y": 0.0}).to_csv("sample.csv", index=False)
    sample = ["--sample-submission", "sample.csv"]
    assert cli.main(["inspect", "oof", "--target", "train.csv:y", *sample]) == 0
    assert "No submission: there are no files" in capsys.readouterr().out


@pytest.mark.parametrize("pattern", ["oof_a_fold{}.csv", "a_f{}_oof.csv"])
def test_out_of_fold_parts_are_said_to_be_joined(folder, pattern):
    for path in folder.iterdir():
        path.unlink()
    ids = np.arange(N)
    for fold in range(FOLDS):
        frame = pd.DataFrame({"id": ids[fold::FOLDS], "pred": 0.5})
        frame.to_csv(folder / pattern.format(fold), index=False)
    with pytest.raises(FileError, match=r"one of 5 folds of 'a': join their rows"):
        read_bank("oof", "train.csv:y")


def test_an_array_of_folds_by_rows_is_told_of(folder):
    for name in ("lgbm", "xgb"):
        np.save(folder / f"test_{name}.npy", np.ones((FOLDS, N_TEST)))
    with pytest.raises(FileError, match=r"If each of the 5 rows is a fold, save their"):
        read_bank("oof", "train.csv:y")
