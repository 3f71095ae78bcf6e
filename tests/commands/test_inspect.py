"""`ensemblekit inspect`: says what it read and what is wrong, in sentences."""

import argparse
import pickle

import numpy as np
import pandas as pd
import pytest

from ensemblekit.commands import inspect

from ..files.hostile import Trap

N = 40


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.normal(size=N)
    frame = pd.DataFrame({"id": np.arange(N) + 7, "target": y})
    frame.to_csv(tmp_path / "train.csv", index=False)
    (tmp_path / "oof").mkdir()
    for name in ("lgbm", "ridge"):
        np.save(tmp_path / "oof" / f"{name}_oof.npy", y + rng.normal(size=N) * 0.5)
    return tmp_path


def call(*arguments):
    parser = argparse.ArgumentParser()
    inspect.add_parser(parser.add_subparsers())
    return inspect.run(parser.parse_args(["inspect", *map(str, arguments)]))


def test_says_what_was_paired_and_assumed(folder, capsys):
    code = call(folder / "oof", "--target", f"{folder / 'train.csv'}:target")
    text = capsys.readouterr().out
    assert code == 0
    assert "2 members, 40 rows" in text
    assert "<m>_oof.npy" in text
    assert "order of the file assumed" in text
    assert text.endswith("Nothing wrong was found.\n")


def test_without_a_target(folder, capsys):
    assert call(folder / "oof") == 0
    assert "no target" in capsys.readouterr().out
    np.save(folder / "oof" / "short_oof.npy", np.ones(3))
    assert call(folder / "oof") == 2
    assert "short_oof.npy: has 3 rows; most files have 40" in capsys.readouterr().out


def test_the_truth_beside_predictions_is_the_target(folder, capsys):
    frame = pd.read_csv(folder / "train.csv").assign(pred=0.5)
    frame.to_csv(folder / "oof" / "a_oof.csv", index=False)
    assert call(folder / "oof") == 0
    text = capsys.readouterr().out
    assert "3 members, 40 rows" in text
    assert "predicts one value" in text


def test_all_problems_at_once_and_nothing_is_run(folder, capsys):
    (folder / "oof" / "a_oof.npy").write_bytes(pickle.dumps(Trap(folder / "CANARY")))
    (folder / "oof" / "b_oof.csv").write_text("id,pred\n7,x\n")
    (folder / "oof" / "c_oof.parquet").write_text("PAR1")
    code = call(folder / "oof", "--target", f"{folder / 'train.csv'}:target")
    text = capsys.readouterr().out
    assert code == 2
    assert text.count("\nerror: ") == 3
    assert "b_oof.csv" in text
    assert "3 errors: a blend would refuse these files" in text
    assert not (folder / "CANARY").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "does not exist"),
        (["oof", "--target", "train.csv:no"], "has no column 'no'"),
        (["oof", "--target", "nowhere.csv:y"], "No such file"),
        (["oof", "--target", "train.csv:target", "--id", "no"], "no id column 'no'"),
        (["oof", "--target", "train.csv:target", "--folds", "f"], "has no column 'f'"),
        (
            ["oof", "--target", "train.csv:target", "--sample-submission", "x.csv"],
            "x.csv",
        ),
        (["oof", "--target", "train.csv:target", "--test", "nowhere"], "not exist"),
    ],
)
def test_unfit_arguments_are_one_sentence(
    arguments, words, folder, capsys, monkeypatch
):
    monkeypatch.chdir(folder)
    assert call(*arguments) == 2
    streams = capsys.readouterr()
    assert words in streams.out + streams.err
    assert "Traceback" not in streams.out + streams.err


def test_hints_alike_are_counted(folder, capsys):
    for number in range(30):
        np.save(folder / "oof" / f"m{number:02d}_oof.npy", np.full(N, 9.0))
    call(folder / "oof", "--target", f"{folder / 'train.csv'}:target")
    text = capsys.readouterr().out
    assert text.count("predicts one value") == 10
    assert "hint: 20 more. Leave it out." in text


def test_the_task_can_be_given(folder, capsys):
    frame = pd.DataFrame({"id": np.arange(N) + 7, "target": np.arange(N) % 4})
    frame.to_csv(folder / "train.csv", index=False)
    spec = f"{folder / 'train.csv'}:target"
    assert call(folder / "oof", "--target", spec) == 2
    assert "set the task to regression" in capsys.readouterr().out
    assert call(folder / "oof", "--target", spec, "--task", "regression") == 0
    assert call(folder / "oof", "--target", "no.csv", "--task", "regression") == 2


def test_names_cannot_steer_the_terminal(folder, capsys):
    np.save(folder / "oof" / "\x1b[31mred\n_oof.npy", np.ones(N))
    call(folder / "oof")
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert r"\x1b[31mred\n" in text


def test_packages_that_lack_are_named(folder, capsys, monkeypatch):
    monkeypatch.setattr(inspect, "find_spec", lambda name: None)
    assert call(folder / "oof") == 2
    assert "pip install 'ensemblekit[cli]'" in capsys.readouterr().err
