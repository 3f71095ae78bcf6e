"""`ensemblekit inspect`: says what it read and what is wrong, in sentences."""

import argparse
import pickle
import time

import numpy as np
import pandas as pd
import pytest

from ensemblekit.commands import inspect
from ensemblekit.commands._patience import told_if_slow

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
    assert text.count("\nerror: ") == 4
    assert text.count("b_oof.csv") == 2  # its rows and its numbers
    assert "4 errors: a blend would refuse these files" in text
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


def test_errors_alike_are_counted_and_others_are_not_lost(folder, capsys):
    for number in range(30):
        np.save(folder / "oof" / f"m{number:02d}_oof.npy", np.zeros(number + 2))
    (folder / "oof" / "z_oof.csv").write_text("id,pred\n7,x\n")
    code = call(folder / "oof", "--target", f"{folder / 'train.csv'}:target")
    text = capsys.readouterr().out
    assert code == 2
    assert text.count("rows; expected 40") == 10
    assert "error: 20 more like that of " in text
    assert "is 'x', no number" in text
    assert "lacks 39 of the 40 ids" in text
    assert "32 errors: a blend would refuse" in text


def test_all_problems_of_one_member_are_shown(folder, capsys):
    lines = [f"{7 + row},{row}" for row in range(N)]
    lines[3], lines[5] = "9,3", "12,x"
    text = "\n".join(["id,pred,more", *(line + ",nan" for line in lines)])
    (folder / "oof" / "a_oof.csv").write_text(text)
    test = folder / "preds"
    test.mkdir()
    for name in ("a", "lgbm", "ridge"):
        np.save(test / f"{name}_test.npy", np.full(9, np.nan if name == "a" else 1.0))
    short = np.full(N - 1, 0.5)
    short[4] = np.inf
    np.save(folder / "oof" / "z_oof.npy", short)
    np.save(test / "z_test.npy", np.ones(8))
    spec = f"{folder / 'train.csv'}:target"
    assert call(folder / "oof", "--target", spec, "--test", test) == 2
    text = capsys.readouterr().out
    for words in (
        "the id 9 in column 'id' stands in line 4 too",
        "column 'pred' is 'x', no number",
        "column 'more' is missing or NaN (40 such rows)",
        "a_test.npy: row 0, column 0 is nan",
        "z_oof.npy: has 39 rows; expected 40",
        "z_oof.npy: row 4, column 0 is inf",
        "z_test.npy: has 8 rows; expected 9",
    ):
        assert words in text, words


def test_missing_values_do_not_hide_what_is_no_probability(folder, capsys):
    labels = np.where(np.arange(N) % 2, "no", "yes")
    frame = pd.DataFrame({"id": np.arange(N) + 7, "target": labels})
    frame.to_csv(folder / "train.csv", index=False)
    values = np.full(N, 3.0)
    values[0] = np.nan
    np.save(folder / "oof" / "lgbm_oof.npy", values)
    frame.assign(pred=values)[["id", "pred"]].to_csv(
        folder / "oof" / "ridge_oof.csv", index=False
    )
    (folder / "oof" / "ridge_oof.npy").unlink()
    assert call(folder / "oof", "--target", f"{folder / 'train.csv'}:target") == 2
    text = capsys.readouterr().out
    assert "row 0, column 0 is nan" in text
    assert "holds values from" in text
    assert "is missing or NaN" in text
    assert "column 'pred' holds 3; probabilities" in text


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


def test_slow_work_is_told_on_a_terminal(monkeypatch, capsys):
    with told_if_slow("Reading", 0.0):  # no terminal
        time.sleep(0.05)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with told_if_slow("Reading", 0.0):
        time.sleep(0.2)
    with told_if_slow("Reading", 60.0):
        pass
    assert capsys.readouterr().err == "Reading ...\n"


def test_packages_that_lack_are_named(folder, capsys, monkeypatch):
    monkeypatch.setattr(inspect, "find_spec", lambda name: None)
    assert call(folder / "oof") == 2
    assert "pip install 'ensemblekit[cli]'" in capsys.readouterr().err
