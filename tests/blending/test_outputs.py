"""Files of a blend: whole or not at all, the same bytes again, applied again."""

import csv
import io
import json
import os
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from ensemblekit.blending import apply_blend, blend, write_blend
from ensemblekit.blending._csv import escape, to_csv
from ensemblekit.exceptions import FileError

from .libraries import NAMES, apply_to_csv, classification, regression

METHODS = ["convex, affine", "greedy"]
NAMES_OF_FILES = {
    "weights.json", "oof_blend.csv", "blend.json", "blend.py", "submission.csv",
}  # fmt: skip


def members(P, names=NAMES, n_outputs=1):
    blocks = np.asarray(P).reshape(len(P), len(names), n_outputs)
    return {name: blocks[:, k] for k, name in enumerate(names)}


def test_same_seed_same_bytes(tmp_path):
    for run in ("a", "b"):
        library = regression()
        result = blend(library, methods=METHODS, random_state=5)
        paths = write_blend(result, library, tmp_path / run)
    assert {path.name for path in paths} >= NAMES_OF_FILES
    for path in paths:
        other = tmp_path / "a" / path.name
        assert path.read_bytes() == other.read_bytes(), path.name


@pytest.mark.parametrize(
    ("library", "metric", "n_outputs"),
    [
        (regression(), "rmse", 1),
        (classification(2), "log_loss", 1),
        (classification(3), "log_loss", 3),
        (classification(3), "balanced_accuracy", 3),
        (classification(2, labels=(0, 1)), "roc_auc", 1),
    ],
)
def test_apply_gives_the_submission_again(library, metric, n_outputs, tmp_path):
    result = blend(library, metric=metric, methods=METHODS)
    write_blend(result, library, tmp_path)
    new = members(library.P_test, n_outputs=n_outputs)
    weights = tmp_path / "weights.json"
    text = (tmp_path / "submission.csv").read_text()
    assert apply_to_csv(weights, new) == text
    frame = apply_blend(weights, new)
    assert list(frame.columns) == text.split("\n")[0].split(",")
    expected = result.predict_test()
    if expected.ndim == 2:
        expected = expected[:, 1] if expected.shape[1] == 2 else expected[:, -1]
    assert_array_equal(frame.iloc[:, -1].to_numpy(), expected)


def test_members_are_told_by_name(tmp_path):
    library = regression()
    write_blend(blend(library, methods=METHODS), library, tmp_path)
    weights, new = tmp_path / "weights.json", members(library.P_test)
    first = apply_blend(weights, new)
    turned = apply_blend(weights, dict(reversed(new.items())))
    assert first.equals(turned)
    with pytest.raises(ValueError, match=r"lack the members \['dora'\]"):
        apply_blend(weights, {k: v for k, v in new.items() if k != "dora"})
    with pytest.raises(ValueError, match=r"unknown ones \['eve'\]"):
        apply_blend(weights, new | {"eve": new["anna"]})


def test_classes_in_another_order_are_refused(tmp_path):
    library = classification(3)
    write_blend(blend(library, methods=METHODS), library, tmp_path)
    new = members(library.P_test, n_outputs=3)
    frames = {k: pd.DataFrame(v, columns=["yes", "no", "zz"]) for k, v in new.items()}
    with pytest.raises(ValueError, match="has its classes in the order"):
        apply_blend(tmp_path / "weights.json", frames)


def test_a_method_of_choice_is_written(tmp_path):
    library = regression()
    result = blend(library, methods=METHODS)
    write_blend(result, library, tmp_path, method="mean")
    frame = apply_blend(tmp_path / "weights.json", members(library.P_test))
    assert_array_equal(frame["prediction"], result.predict_test("mean"))
    held_out = pd.read_csv(tmp_path / "oof_blend.csv")["prediction"]
    assert_array_equal(held_out, result.predict_oof("mean"))
    assert not np.array_equal(held_out, result.predict_oof())
    assert "combiner = AverageRegressor()" in (tmp_path / "blend.py").read_text()
    told = json.loads((tmp_path / "blend.json").read_text())
    assert told["best"] == "mean"
    assert {row["weight"] for row in told["members"]} == {0.25}
    report = json.loads((tmp_path / "report.json").read_text())
    ensemble = [r for r in report["leaderboard"]["rows"] if r["kind"] == "ensemble"]
    assert [row["name"] for row in ensemble] == ["mean"]
    assert result.best != "mean"  # the blend itself stays as it was


def test_nothing_of_an_earlier_blend_is_left(tmp_path):
    library = regression()
    write_blend(blend(library, methods=METHODS), library, tmp_path)
    assert (tmp_path / "submission.csv").exists()
    (tmp_path / "notes.txt").write_text("mine")
    library.P_test = None
    write_blend(blend(library, methods=METHODS), library, tmp_path)
    assert not (tmp_path / "submission.csv").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_code_reads_what_was_read(tmp_path):
    library = regression()
    source = {"oof": "oof", "target": "train.csv:y", "id": None}
    write_blend(blend(library, methods=METHODS), library, tmp_path, source=source)
    code = (tmp_path / "blend.py").read_text()
    assert "read_bank('oof', 'train.csv:y').library" in code
    assert json.loads((tmp_path / "blend.json").read_text())["snippet"] == code
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["reproduce"]["snippet"] == code


def test_sample_submission_names_the_columns(tmp_path):
    library = classification(3)
    bank = SimpleNamespace(
        library=library,
        ids=None,
        test_ids=np.arange(7) + 100,
        target=SimpleNamespace(id_column="id", column="status"),
    )
    result = blend(bank, methods=METHODS)
    sample = tmp_path / "sample.csv"
    rows = "".join(f"{number},0,0,0\n" for number in range(106, 99, -1))
    sample.write_text("id,Status_zz,Status_no,Status_yes\n" + rows)
    write_blend(result, bank, tmp_path, sample)
    table = pd.read_csv(tmp_path / "submission.csv")
    assert list(table) == ["id", "Status_zz", "Status_no", "Status_yes"]
    assert table["id"].tolist() == list(range(106, 99, -1))  # as the sample has them
    expected = result.predict_test()[::-1, [2, 0, 1]]
    np.testing.assert_allclose(table.iloc[:, 1:], expected, rtol=1e-12)
    sample.write_text("id,a,b,c\n100,0,0,0\n")
    with pytest.raises(FileError, match="which class each is"):
        write_blend(result, bank, tmp_path, sample)
    sample.write_text("id,a\n100,0\n")
    with pytest.raises(FileError, match="expected 3, one for each class"):
        write_blend(result, bank, tmp_path, sample)


def test_ids_are_those_of_the_sample_and_never_made_up(tmp_path):
    library = regression()
    result = blend(library, methods=METHODS)
    sample, new = tmp_path / "sample.csv", members(library.P_test)

    def written(text, ids=None):
        sample.write_text(text)
        bank = SimpleNamespace(library=library, ids=None, test_ids=ids, target=None)
        write_blend(result, bank, tmp_path, sample)
        return pd.read_csv(tmp_path / "submission.csv")

    rows = "".join(f"{number},0\n" for number in range(9000, 9007))
    table = written("session_id,load\n" + rows)
    assert list(table) == ["session_id", "load"]
    assert table["session_id"].tolist() == list(range(9000, 9007))
    assert_array_equal(table["load"], result.predict_test())
    assert apply_blend(tmp_path / "weights.json", new, sample_submission=sample).equals(
        table
    )
    table = written("session_id,load\n" + rows, np.arange(9006, 8999, -1))
    assert_array_equal(table["load"], result.predict_test()[::-1])
    assert list(written("prediction\n" + "0\n" * 7)) == ["prediction"]
    with pytest.raises(FileError, match=r"lacks 1 of the 7 ids of .*sample\.csv"):
        written("session_id,load\n" + rows, np.arange(8999, 9006)[::-1])


@pytest.mark.parametrize("header", ["session_id,load", "load"])
def test_a_sample_of_other_rows_is_refused(header, tmp_path):
    library = regression()
    result = blend(library, methods=METHODS)
    sample = tmp_path / "sample.csv"
    row = ",".join("1" for _ in header.split(","))
    sample.write_text(f"{header}\n{row}\n")
    with pytest.raises(FileError, match="has 7 rows; expected 1, as"):
        write_blend(result, library, tmp_path, sample)
    write_blend(result, library, tmp_path)
    weights, new = tmp_path / "weights.json", members(library.P_test)
    with pytest.raises(FileError, match="has 7 rows; expected 1, as"):
        apply_blend(weights, new, sample_submission=sample)


def test_row_numbers_do_not_bear_the_name_of_ids(tmp_path):
    library = regression()
    bank = SimpleNamespace(
        library=library,
        ids=np.arange(120) + 5,
        test_ids=None,
        target=SimpleNamespace(id_column="id", column="load"),
    )
    write_blend(blend(bank, methods=METHODS), bank, tmp_path)
    assert list(pd.read_csv(tmp_path / "submission.csv")) == ["row", "load"]
    assert pd.read_csv(tmp_path / "oof_blend.csv").columns[0] == "id"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"format": 1}',
        "[" * 100_000,
        '{"format": 2, "task": "regression", "metric": "rmse", "reads": "values", '
        '"members": ["a"], "method": "x", "combiner": {}}',
        '{"format": 1, "task": "regression", "metric": "rmse", "reads": "values", '
        '"members": ["a"], "method": "x", "combiner": {"class": "os.system"}}',
    ],
)
def test_refuses_what_is_no_stored_blend(content, tmp_path):
    path = tmp_path / "weights.json"
    path.write_text(content)
    with pytest.raises(FileError, match=r"weights\.json.*: is (no|empty)"):
        apply_blend(path, {"a": [1.0]})


@pytest.mark.parametrize("key", ["classes_", "n_features_in_", "weights_"])
def test_refuses_a_damaged_combiner(key, tmp_path):
    library = classification(2)
    write_blend(blend(library, methods=["convex"]), library, tmp_path)
    path = tmp_path / "weights.json"
    stored = json.loads(path.read_text())
    del stored["combiner"]["values"][key]
    path.write_text(json.dumps(stored))
    with pytest.raises(FileError, match=r"weights\.json: is no stored blend"):
        apply_blend(path, members(library.P_test))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match="cannot be read: No such file"):
        apply_blend(tmp_path / "none.json", {})


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    library = regression()
    result = blend(library, methods=METHODS)
    write_blend(result, library, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="cannot be written to: No space left"):
        write_blend(result, library, tmp_path, method="mean")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_file_in_the_way_of_the_folder(tmp_path):
    library = regression()
    (tmp_path / "out").write_text("")
    with pytest.raises(FileError, match="a file is in the way"):
        write_blend(blend(library, methods=METHODS), library, tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=cmd()", "'=cmd()"),
        ("+a", "'+a"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("-1.5", "-1.5"),
        ("-a", "'-a"),
        ("plain", "plain"),
    ],
)
def test_formulas_are_escaped(text, written):
    assert escape(text) == written
    rows = list(csv.reader(io.StringIO(to_csv({"a": np.array([text])}))))
    assert rows == [["a"], [written]]


def test_cells_keep_all_digits():
    values = np.array([0.1, 1e-300, -1 / 3, np.nan])
    rows = list(csv.reader(io.StringIO(to_csv({"v": values}))))[1:]
    assert [float(row[0]) for row in rows[:3]] == values[:3].tolist()
    assert rows[3] == [""] or rows[3] == []
