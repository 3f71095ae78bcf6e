"""`ensemblekit fit` and `predict`: what they write, and what they refuse."""

import argparse
import gzip
import json
import os
import resource
import runpy
import shutil
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from ensemblekit import PredictionLibrary
from ensemblekit.blending.methods import methods_for
from ensemblekit.blending.metrics import find_metric
from ensemblekit.commands import _fit_files, _model_folder, fit, predict
from ensemblekit.commands._features import read
from ensemblekit.conformal import conformal_quantile

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
skops_io = pytest.importorskip("skops.io")
pytest.importorskip("yaml")

REGRESSORS = """\
ridge: {estimator: sklearn.linear_model.Ridge}
tree:
  estimator: sklearn.tree.DecisionTreeRegressor
  params: {max_depth: 3, min_samples_leaf: 2}
"""
CLASSIFIERS = """\
logistic: {estimator: sklearn.linear_model.LogisticRegression}
tree:
  estimator: sklearn.tree.DecisionTreeClassifier
  params: {max_depth: 3}
"""


def call(*argv):
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command")
    for module in (fit, predict):
        module.add_parser(commands)
    options = parser.parse_args([str(arg) for arg in argv])
    return {"fit": fit, "predict": predict}[options.command].run(options)


def make_table(n=120, seed=0):
    rng = np.random.default_rng(seed)
    size, town = rng.normal(50, 10, n).round(2), rng.choice(["Ulm", "Bonn"], n)
    rooms = rng.integers(1, 7, n)
    price = 3 * size + 20 * (town == "Bonn") + rng.normal(0, 5, n) + rooms
    return pd.DataFrame(
        {
            "id": np.arange(n) + 1000,
            "size": np.where(rng.random(n) < 0.1, np.nan, size),
            "town": np.where(rng.random(n) < 0.1, None, town),
            "rooms": rooms,
            "price": price.round(3),
        }
    )


def with_labels(frame):
    cuts = frame["price"].quantile([0.3, 0.7])
    labels = np.array(["cheap", "fair", "steep"])[np.searchsorted(cuts, frame["price"])]
    return frame.drop(columns="price").assign(price=labels)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_table().to_csv("train.csv", index=False)
    make_table(40, seed=1).drop(columns="price").to_csv("new.csv", index=False)
    Path("regressors.yaml").write_text(REGRESSORS)
    Path("classifiers.yaml").write_text(CLASSIFIERS)
    return tmp_path


FIT = ("--target", "price", "--members", "regressors.yaml", "--n-jobs", "1")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Return a folder with train.csv, new.csv and a fitted model in out/."""
    folder, before = tmp_path_factory.mktemp("fitted"), Path.cwd()
    os.chdir(folder)
    try:
        make_table().to_csv("train.csv", index=False)
        make_table(40, seed=1).drop(columns="price").to_csv("new.csv", index=False)
        Path("regressors.yaml").write_text(REGRESSORS)
        assert call("fit", "train.csv", *FIT, "-o", "out") == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def model(fitted, tmp_path, monkeypatch):
    """Return a copy of the folder, as the current one."""
    shutil.copytree(fitted, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def refused(capsys, *argv):
    """Return the one line of a refusal."""
    capsys.readouterr()
    assert call(*argv) == 2
    lines = [li for li in capsys.readouterr().err.splitlines() if "elapsed" not in li]
    assert len(lines) == 1, lines
    assert lines[0].startswith("ensemblekit: ")
    return lines[0]


# -- what is written ----------------------------------------------------------------


def test_fit_writes_what_it_promises(model):
    library = PredictionLibrary.load("out/library.npz")
    assert library.names == ["ridge", "tree"]
    oof, train = pd.read_csv("out/oof.csv"), pd.read_csv("train.csv")
    assert list(oof) == ["id", "price", "fold", "ridge", "tree", "ensemble"]
    np.testing.assert_array_equal(oof["id"], train["id"])
    np.testing.assert_array_equal(oof["price"], train["price"])
    np.testing.assert_array_equal(oof[["ridge", "tree"]], library.P)
    board = json.loads(Path("out/leaderboard.json").read_text())
    errors = oof["ensemble"] - train["price"]
    assert board["ensemble"]["score"] == pytest.approx(np.sqrt((errors**2).mean()))
    assert board["ensemble"]["score_se"] > 0
    assert {row["name"] for row in board["members"]} == {"ridge", "tree"}
    facts = json.loads(Path("out/model.json").read_text())
    kinds = {column["name"]: column["kind"] for column in facts["columns"]}
    assert kinds == {"size": "number", "town": "category", "rooms": "number"}
    assert facts["packages"] == ["ensemblekit", "sklearn"]
    assert not list(Path("out").glob(".*"))


def test_a_report_is_written_where_it_can_be(model, capsys):
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    content = json.loads(Path("out/report.json").read_text())
    names = {row["name"] for row in content["leaderboard"]["rows"]}
    assert {"ensemble", "ridge", "tree"} <= names
    assert "train.csv: price" in Path("out/report.html").read_text()


def test_the_code_fits_the_same_again(model):
    names = runpy.run_path("out/fit.py")
    oof = pd.read_csv("out/oof.csv")
    np.testing.assert_array_equal(
        names["stacked"].oof_predictions_, oof[["ridge", "tree"]]
    )
    assert call("predict", "out", "train.csv", "-o", "p.csv") == 0
    predicted = names["stacked"].predict(names["X"])
    np.testing.assert_array_equal(pd.read_csv("p.csv")["price"], predicted)


def test_the_leaderboard_is_printed_with_errors(place, capsys):
    assert call("fit", "train.csv", *FIT, "--metric", "mae") == 0
    shown = capsys.readouterr().out
    assert "120 rows, 3 features (2 of numbers, 1 of categories)" in shown
    assert "'price' holds values: a regression" in shown
    assert "column 'id' holds row ids by its name" in shown
    board = json.loads(Path("fit/leaderboard.json").read_text())
    line = next(li for li in shown.splitlines() if li.startswith("ensemble (convex)"))
    score, error = (float(cell) for cell in line.split()[2:4])
    assert score == pytest.approx(board["ensemble"]["score"], abs=error)
    assert board["verdict"] in shown


@pytest.mark.parametrize(("metric", "asked"), [("roc_auc", True), ("accuracy", False)])
def test_the_next_step_writes_what_the_metric_reads(place, capsys, metric, asked):
    frame = make_table()
    frame["price"] = (frame["price"] > frame["price"].median()).astype(int)
    frame.to_csv("train.csv", index=False)
    options = ("--target", "price", "--members", "classifiers.yaml", "--n-jobs", "1")
    assert call("fit", "train.csv", *options, "--metric", metric, "-o", "m1") == 0
    line = capsys.readouterr().out.splitlines()[-1]
    more = " --proba" if asked else ""
    assert line == f"Next: ensemblekit predict m1 NEW.csv{more} -o predictions.csv"
    assert call(*line.replace("NEW", "new").split()[2:]) == 0
    columns = list(pd.read_csv("predictions.csv"))
    assert columns[2:] == (["price=0", "price=1"] if asked else [])


@pytest.mark.parametrize("combiner", ["convex", "mean"])
def test_how_to_take_the_mean_is_said_where_nothing_beats_it(place, capsys, combiner):
    assert call("fit", "train.csv", *FIT, "--combiner", combiner) == 0
    board = json.loads(Path("fit/leaderboard.json").read_text())
    shown = capsys.readouterr().out
    beaten = "beats the mean by" in board["verdict"]
    advised = "(--combiner mean takes the mean;" in shown
    assert advised == (combiner == "convex" and not beaten)


def test_the_same_seed_gives_the_same_bytes(place):
    for out in ("a", "b"):
        assert call("fit", "train.csv", *FIT, "-o", out, "--seed", "3") == 0
        assert call("predict", out, "new.csv", "-o", f"{out}.csv") == 0
    assert Path("a/oof.csv").read_bytes() == Path("b/oof.csv").read_bytes()
    assert Path("a/fit.py").read_bytes() == Path("b/fit.py").read_bytes()
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
    assert call("fit", "train.csv", *FIT, "-o", "b", "--seed", "4") == 0
    assert Path("a/oof.csv").read_bytes() != Path("b/oof.csv").read_bytes()


@pytest.mark.parametrize("kind", ["csv.gz", "parquet", "semicolons"])
def test_other_kinds_of_file_give_the_same(model, kind):
    frame, name = pd.read_csv("train.csv"), f"again.{kind}"
    if kind == "parquet":
        frame.to_parquet(name)
    elif kind == "csv.gz":
        Path(name).write_bytes(gzip.compress(Path("train.csv").read_bytes()))
    else:
        name = "again.csv"
        text = frame.to_csv(sep=";", decimal=",", index=False, lineterminator="\r\n")
        Path(name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert call("fit", name, *FIT, "-o", "again") == 0
    assert Path("again/oof.csv").read_bytes() == Path("out/oof.csv").read_bytes()
    stacked = runpy.run_path("again/fit.py")["stacked"]
    oof = pd.read_csv("out/oof.csv")[["ridge", "tree"]]
    np.testing.assert_array_equal(stacked.oof_predictions_, oof)


def test_classes_are_words_again_with_probabilities(place):
    with_labels(make_table()).to_csv("train.csv", index=False)
    options = ("--target", "price", "--members", "classifiers.yaml", "--n-jobs", "1")
    assert call("fit", "train.csv", *options) == 0
    oof = pd.read_csv("fit/oof.csv")
    parts = [f"ensemble_{label}" for label in ("cheap", "fair", "steep")]
    np.testing.assert_allclose(oof[parts].sum(axis=1), 1.0)
    assert call("predict", "fit", "new.csv", "--proba", "-o", "p.csv") == 0
    found = pd.read_csv("p.csv")
    assert list(found)[:2] == ["id", "price"]
    probabilities = found[["price=cheap", "price=fair", "price=steep"]].to_numpy()
    labels = np.array(["cheap", "fair", "steep"])[probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(found["price"], labels)
    np.testing.assert_array_equal(
        runpy.run_path("fit/fit.py")["stacked"].predict_proba(
            _like_training(pd.read_csv("new.csv"))
        ),
        probabilities,
    )


def _like_training(frame):
    frame = frame[["size", "town", "rooms"]].copy()
    frame[["size", "rooms"]] = frame[["size", "rooms"]].astype("float64")
    return frame.assign(town=frame["town"].astype("category"))


@pytest.mark.parametrize("words", [("False", "True"), ("FALSE", "TRUE")])
def test_bools_and_metrics_of_labels(place, words):
    frame = make_table()
    frame["price"] = np.where(frame["price"] > frame["price"].median(), *words[::-1])
    frame.to_csv("train.csv", index=False)
    options = ("--target", "price", "--members", "classifiers.yaml", "--n-jobs", "1")
    assert call("fit", "train.csv", *options, "--metric", "accuracy") == 0
    assert set(pd.read_csv("fit/oof.csv", dtype=str)["ensemble"]) == {*words}
    assert call("predict", "fit", "new.csv", "-o", "p.csv") == 0
    assert set(pd.read_csv("p.csv", dtype=str)["price"]) == {*words}
    stacked = runpy.run_path("fit/fit.py")["stacked"]
    found = stacked.predict(_like_training(pd.read_csv("new.csv")))
    assert found.tolist() == pd.read_csv("p.csv", dtype=str)["price"].tolist()


def test_the_default_members_go_through_a_file_and_back(place):
    frame = make_table(60)
    frame["price"] = (frame["price"] > frame["price"].median()).astype(int)
    frame.to_csv("train.csv", index=False)
    assert call("fit", "train.csv", "--target", "price", "--cv", "2") == 0
    assert call("predict", "fit", "train.csv", "-o", "p.csv", "--proba") == 0
    stacked = runpy.run_path("fit/fit.py")
    np.testing.assert_allclose(
        pd.read_csv("p.csv")[["price=0", "price=1"]],
        stacked["stacked"].predict_proba(stacked["X"]),
        rtol=0,
        atol=1e-12,
    )


def test_groups_weights_and_what_is_left_out(place, capsys):
    frame = make_table().assign(
        site=np.repeat(np.arange(20), 6), w=1.0, secret=lambda f: f["price"]
    )
    frame.to_csv("train.csv", index=False)
    more = ("--groups", "site", "--weight", "w", "--drop", "secret")
    assert call("fit", "train.csv", *FIT, *more, "--categories", "rooms") == 0
    folds = pd.read_csv("fit/oof.csv")["fold"]
    assert (folds.groupby(np.repeat(np.arange(20), 6)).nunique() == 1).all()
    facts = json.loads(Path("fit/model.json").read_text())
    kinds = {column["name"]: column["kind"] for column in facts["columns"]}
    assert kinds == {"size": "number", "town": "category", "rooms": "category"}
    assert call("predict", "fit", "new.csv", "-o", "p.csv") == 0
    stacked = runpy.run_path("fit/fit.py")["stacked"]
    oof = pd.read_csv("fit/oof.csv")[["ridge", "tree"]]
    np.testing.assert_array_equal(stacked.oof_predictions_, oof)


def test_codes_keep_their_zeros(place):
    frame = make_table().assign(code=lambda f: [f"00{n}" for n in f["rooms"]])
    frame.loc[0, "code"] = "00A"
    frame.to_csv("train.csv", index=False)
    assert call("fit", "train.csv", *FIT) == 0
    new = frame.drop(columns="price").iloc[1:]  # digits only: would be read as numbers
    new.to_csv("new.csv", index=False)
    assert call("predict", "fit", "new.csv", "-o", "p.csv") == 0
    assert call("predict", "fit", "train.csv", "-o", "all.csv") == 0
    some, every = pd.read_csv("p.csv"), pd.read_csv("all.csv")
    np.testing.assert_array_equal(some["price"], every["price"].iloc[1:])


def test_codes_keep_their_zeros_where_a_table_is_read_in_parts(place, monkeypatch):
    monkeypatch.setattr("ensemblekit.files._csv._CELLS", 0)  # 1000 rows at once
    codes = [f"00{n % 9}" for n in range(2500)]
    frame = pd.DataFrame({"code": [*codes[:-1], "00A"], "x": np.arange(2500)})
    frame.to_csv("long.csv", index=False)
    assert read(Path("long.csv")).columns["code"].tolist() == frame["code"].tolist()


def test_intervals_are_conformal_quantiles_of_held_out_errors(model):
    assert call("predict", "out", "new.csv", "-o", "p.csv", "--interval", "0.1") == 0
    found, oof = pd.read_csv("p.csv"), pd.read_csv("out/oof.csv")
    width = conformal_quantile((oof["price"] - oof["ensemble"]).abs(), "0.1")
    np.testing.assert_allclose(found["upper"] - found["price"], width)
    np.testing.assert_allclose(found["price"] - found["lower"], width)


@pytest.mark.parametrize("n", [10, 19, 20, 199, 200])
def test_infeasible_levels_have_no_interval(n):
    class Rows:
        task, y = "regression", np.arange(float(n))

    class Result:
        reads, held_out = "values", {"m": np.zeros(n)}

    widths = _fit_files.half_widths(Rows, Result, "m")
    assert widths[0][0] == min(a for a in _fit_files.ALPHAS if a * (n + 1) >= 1)
    assert all(np.isfinite(width) for _, width in widths)
    assert [w for _, w in widths] == sorted((w for _, w in widths), reverse=True)


def test_what_a_spreadsheet_would_run_is_escaped(place):
    frame = with_labels(make_table()).replace({"price": {"steep": "=1+1"}})
    frame["id"] = [f"@x{n}" for n in frame["id"]]
    frame.to_csv("train.csv", index=False)
    text = CLASSIFIERS.replace("logistic:", '"=cmd()":')
    Path("classifiers.yaml").write_text(text)
    options = ("--target", "price", "--members", "classifiers.yaml", "--n-jobs", "1")
    assert call("fit", "train.csv", *options) == 0
    assert call("predict", "fit", "train.csv", "-o", "p.csv") == 0
    for path in ("fit/oof.csv", "p.csv"):
        lines = Path(path).read_text().splitlines()
        assert not any(cell[:1] in "=@" for li in lines for cell in li.split(","))
        assert lines[1].startswith("'@x1000,")
    assert runpy.run_path("fit/fit.py")["members"][0][0] == "=cmd()"


def test_the_parsers_load_nothing_heavy():
    code = (
        "import sys, ensemblekit.commands.fit, ensemblekit.commands.predict;"
        "print({'pandas', 'sklearn', 'skops', 'yaml', 'numba'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "set()"


# -- what is refused ----------------------------------------------------------------


def _train(text=None, **columns):
    def write():
        if text is not None:
            data = text if isinstance(text, bytes) else text.encode()
            Path("train.csv").write_bytes(data)
        else:
            make_table().assign(**columns).to_csv("train.csv", index=False)

    return write


GAP = np.where(np.arange(120) == 4, np.nan, 1.0)
BAD_TABLES = {
    "empty": (_train(""), (), "train.csv: is empty"),
    "header only": (_train("a,price\n"), (), "train.csv: has no rows"),
    "ragged": (_train("a,price\n1,2\n1,2,3\n"), (), "train.csv, line 3: has 3 cells"),
    "binary": (_train(b"a,price\n1\x00,2\n"), (), "train.csv, line 2: has NUL"),
    "twice": (_train("a,a,price\n1,2,3\n"), (), "train.csv, line 1: has the column"),
    "no target": (_train("a,b\n1,2\n"), (), "no column 'price' (--target)"),
    "only the target": (_train("price\n1.5\n2\n"), (), "has no column left"),
    "gap in target": (_train(price=GAP), (), "line 6: the target in column 'price'"),
    "constant": (_train(price=1.5), (), "has the same value in all rows"),
    "one class": (_train(price="a"), (), "has one value, 'a'"),
    "text for values": (
        _train(price=lambda f: f["price"].astype(str) + " EUR"),
        ("--task", "regression"),
        "line 2: the target in column 'price' is",
    ),
    "infinite": (_train(rooms=np.where(np.isnan(GAP), np.inf, 1.0)), (), "is infinite"),
    "few rows": (_train("a,price\n1,2.5\n2,3.5\n"), (), "has 2 rows; 5 folds need 10"),
    "no such id": (_train(), ("--id", "key"), "no column 'key' (--id)"),
    "id twice": (_train(id=7), ("--id", "id"), "line 3: the id 7 in column"),
    "weights below 0": (_train(w=-1), ("--weight", "w"), "line 2: the weight in"),
    "weights of 0": (_train(w=0), ("--weight", "w"), "all weights in column 'w'"),
    "text weights": (_train(w="x"), ("--weight", "w"), "(--weight) holds no numbers"),
    "group missing": (_train(g=GAP), ("--groups", "g"), "line 6: the group in column"),
    "few groups": (_train(g=1), ("--groups", "g"), "has 1 groups, and 5 folds need 5"),
    "target as id": (_train(), ("--id", "price"), "is given another part"),
    "one fold": (_train(), ("--cv", "1"), "--cv is 1"),
    "no workers": (_train(), ("--n-jobs", "0"), "--n-jobs is 0"),
    "seed": (_train(), ("--seed", "-1"), "--seed is -1"),
    "no time": (_train(), ("--time-limit", "0"), "--time-limit is 0"),
    "metric": (_train(), ("--metric", "speed"), "Unknown metric 'speed'"),
    "combiner": (_train(), ("--combiner", "magic"), "--combiner is 'magic'"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_unfit_tables_and_options_are_refused(place, capsys, case):
    write, options, problem = BAD_TABLES[case]
    write()
    assert problem in refused(capsys, "fit", "train.csv", *FIT, *options)
    assert not Path("fit").exists()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("no.csv", "no.csv: cannot be read: No such file"),
        ("folder.csv", "folder.csv: is a folder"),
        ("table.pkl", "table.pkl: is no table by its name"),
        ("table.parquet", "table.parquet: is no parquet file"),
    ],
)
def test_what_is_no_table_is_refused(place, capsys, name, problem):
    Path("folder.csv").mkdir()
    for path in ("table.pkl", "table.parquet"):
        Path(path).write_bytes(b"cos\nsystem\n(S'touch canary'\ntR.")
    assert problem in refused(capsys, "fit", name, *FIT)
    assert not Path("canary").exists()


RIDGE = "estimator: sklearn.linear_model.Ridge"
BAD_MEMBERS = {
    "empty": ("", "m.yaml: is empty"),
    "list": ("- a\n", "line 1: the file is no mapping"),
    "no YAML": ("a: {b\nc: [", "is no YAML"),
    "tag": ("a: !!python/object/apply:os.system ['touch canary']\n", "line 1"),
    "tag in params": (
        f"a:\n  {RIDGE}\n  params:\n    alpha: !!python/name:os.system x\n",
        "line 4: has the tag",
    ),
    "tagged mapping": (
        f"a:\n  {RIDGE}\n  params: !!python/object:os.X {{alpha: 1}}\n",
        "has the tag",
    ),
    "alias": (f"a: &x {{{RIDGE}}}\nb: *x\n", "line 2: has an alias"),
    "twice": (f"a: {{{RIDGE}}}\na: {{{RIDGE}}}\n", "line 2: the key 'a' stands twice"),
    "key": (f"a:\n  {RIDGE}\n  parms: {{}}\n", "line 3: member 'a' has the unknown"),
    "no estimator": ("a: {params: {}}\n", "line 1: member 'a' has no estimator"),
    "os": ("a: {estimator: os.system}\n", "'os.system' is of a package that is not"),
    "subprocess": ("a: {estimator: subprocess.Popen}\n", "not on the list"),
    "through": ("a: {estimator: sklearn.utils.os.system}\n", "is no estimator there"),
    "function": ("a: {estimator: sklearn.base.clone}\n", "is no estimator there"),
    "transformer": (
        "a: {estimator: sklearn.preprocessing.FunctionTransformer}\n",
        "is no estimator there",
    ),
    "private": ("a: {estimator: sklearn._loss.Loss}\n", "is not public"),
    "path": ("a: {estimator: sklearn/../os.system}\n", "is no class with its package"),
    "number": ("a: {estimator: 3}\n", "3 is no class with its package"),
    "missing": ("a: {estimator: sklearn.linear_model.Rigde}\n", "no estimator there"),
    "classifier": (
        "a: {estimator: sklearn.linear_model.LogisticRegression}\n",
        "line 1: member 'a': LogisticRegression is not for regression",
    ),
    "parameter": (
        f"a:\n  {RIDGE}\n  params: {{alhpa: 1}}\n",
        "line 3: member 'a', params: Ridge got an unexpected",
    ),
    "date": (f"a: {{{RIDGE}, params: {{alpha: 2020-01-01}}}}\n", "of type date"),
    "preprocess": (f"a: {{{RIDGE}, preprocess: magic}}\n", "key preprocess: 'magic'"),
    "name": (f"a__b: {{{RIDGE}}}\n", "the name is taken, or holds '__'"),
    "deep": ("a: " + "[" * 5000, "m.yaml, line 1: is nested more than"),
    "latin": (b"a: \xff", "is not UTF-8"),
}


@pytest.mark.parametrize("case", BAD_MEMBERS)
def test_unfit_members_are_refused_with_line_and_key(place, capsys, case):
    text, problem = BAD_MEMBERS[case]
    Path("m.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    options = ("--target", "price", "--members", "m.yaml", "--n-jobs", "1")
    said = refused(capsys, "fit", "train.csv", *options)
    assert "m.yaml" in said
    assert problem in said
    assert not Path("canary").exists()


def test_a_member_that_fails_is_named(place, capsys):
    Path("m.yaml").write_text(f"bad:\n  {RIDGE}\n  params: {{alpha: -1}}\n")
    options = ("--target", "price", "--members", "m.yaml", "--n-jobs", "1")
    assert "'bad'" in refused(capsys, "fit", "train.csv", *options)


def test_too_little_time_is_said(place, capsys):
    options = ("--time-limit", "1e-9", *FIT)
    assert call("fit", "train.csv", *options) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("ensemblekit: No member was on all folds within")
    assert not Path("fit").exists()


def test_an_interrupted_fit_goes_on_where_it_was(place):
    for out in ("a", "b"):
        assert call("fit", "train.csv", *FIT, "-o", out, "--memory", "kept") == 0
    assert Path("a/oof.csv").read_bytes() == Path("b/oof.csv").read_bytes()
    assert Path("kept").is_dir()
    assert b"kept" not in Path("a/model.skops").read_bytes()


def test_numbers_as_people_write_them_in_yaml(place):
    Path("m.yaml").write_text(f"a: {{{RIDGE}, params: {{alpha: 1e-3}}}}\n")
    options = ("--target", "price", "--members", "m.yaml", "--n-jobs", "1")
    assert call("fit", "train.csv", *options) == 0
    assert "alpha=0.001" in Path("fit/fit.py").read_text()


def _new(**columns):
    frame = pd.read_csv("new.csv").assign(**columns)
    frame.to_csv("new.csv", index=False)


def test_missing_columns_are_named(model, capsys):
    pd.read_csv("new.csv").drop(columns=["size", "town"]).to_csv("new.csv", index=False)
    said = refused(capsys, "predict", "out", "new.csv", "-o", "p.csv")
    assert "lacks 2 of the 3 columns the model was fitted on: 'size', 'town'" in said
    assert not Path("p.csv").exists()


def test_text_among_numbers_is_named_with_its_line(model, capsys):
    _new(rooms=["many" if n == 5 else str(n) for n in range(40)])
    said = refused(capsys, "predict", "out", "new.csv", "-o", "p.csv")
    assert "new.csv, line 7: column 'rooms' holds 'many'" in said


def test_what_is_new_is_said(model, capsys):
    _new(town=["Kiel", "Ulm"] * 20, rooms=GAP[:40], extra=1)
    assert call("predict", "out", "new.csv", "-o", "p.csv") == 0
    shown = capsys.readouterr().out
    assert "1 columns the model was not fitted on are ignored: 'extra'" in shown
    assert "column 'town' has categories that the model has not seen, in 20" in shown
    assert "'Kiel'" in shown
    assert "column 'rooms' has 1 missing values; it had none" in shown
    assert "40 rows written to p.csv: id, price" in shown


@pytest.mark.parametrize("start", ["000", "-x", "1e"])
def test_ids_of_predictions_are_those_of_the_table(start, model, capsys):
    frame = pd.read_csv("new.csv")
    frame["id"] = start + frame["id"].astype(str)
    frame.to_csv("new.csv", index=False)
    assert call("predict", "out", "new.csv", "-o", "p.csv") == 0
    written = [row.split(",")[0] for row in Path("p.csv").read_text().split()[1:]]
    sign = "'" if start == "-x" else ""
    assert written == [sign + i for i in frame["id"]]
    assert ("p.csv: 40 ids begin" in capsys.readouterr().out) == bool(sign)


def test_ids_of_held_out_rows_are_those_of_the_table(place, capsys):
    frame = make_table()
    frame["id"] = [f"{i:06d}" for i in range(len(frame))]
    frame.rename(columns={"id": "code"}).to_csv("train.csv", index=False)
    assert call("fit", "train.csv", *FIT, "--id", "code", "-o", "out") == 0
    written = [row.split(",")[0] for row in Path("out/oof.csv").read_text().split()[1:]]
    assert written == frame["id"].tolist()


def test_rows_are_numbered_where_ids_are_missing(model, capsys):
    pd.read_csv("new.csv").drop(columns="id").to_csv("new.csv", index=False)
    assert call("predict", "out", "new.csv", "-o", "p.csv") == 0
    assert "no column 'id' of ids" in capsys.readouterr().out
    assert pd.read_csv("p.csv")["row"].tolist() == list(range(40))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--proba",), "--proba is for classes"),
        (("--interval", "1.5"), "--interval is 1.5"),
        (("--interval", "0.001"), "too few rows for less than 0.01"),
        (("-o", "new.csv"), "is the table itself"),
        (("-o", "out"), "out is a folder"),
        (("-o", "new.csv/p.csv"), "a file is in the way"),
    ],
)
def test_unfit_options_of_predict(model, capsys, options, problem):
    before = Path("new.csv").read_bytes()
    said = refused(capsys, "predict", "out", "new.csv", "-o", "p.csv", *options)
    assert problem in said
    assert Path("new.csv").read_bytes() == before


class Canary:
    """Would write a file where it is unpickled, or made by skops."""

    def __init__(self):
        self.x = 1


def _restate(data):
    """Put a model file in the place of the fitted one, with its digest."""
    import hashlib

    Path("out/model.skops").write_bytes(data)
    facts = json.loads(Path("out/model.json").read_text())
    facts["sha256"] = hashlib.sha256(data).hexdigest()
    Path("out/model.json").write_text(json.dumps(facts))


def _edit_model(change):
    """Change the schema inside the model file, then state its digest."""
    with zipfile.ZipFile("out/model.skops") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(parts["schema.json"])
    change(schema)
    parts["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile("other.zip", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    _restate(Path("other.zip").read_bytes())


def test_a_model_of_foreign_classes_is_not_opened(model, capsys):
    _restate(skops_io.dumps(Canary()))
    said = refused(capsys, "predict", "out", "new.csv", "-o", "p.csv")
    assert "Canary" in said
    assert "it was not opened" in said


def test_a_function_is_no_class_to_trust(model, capsys):
    def point_elsewhere(schema):
        schema.clear()
        schema.update(
            __class__="system", __module__="posix", __loader__="FunctionNode",
            content={"module_path": "posix", "function": "system"},
            _skops_version="0.16.0", protocol=2, __id__=1,
        )  # fmt: skip

    _edit_model(point_elsewhere)
    said = refused(capsys, "predict", "out", "new.csv", "-o", "p.csv")
    assert "model.skops" in said
    assert not Path("p.csv").exists()


def test_functions_of_trusted_packages_are_not_trusted():
    from ensemblekit import PredictionCache, PredictionLibrary
    from ensemblekit.members import default_members

    kinds = [PredictionCache, PredictionLibrary]
    data = skops_io.dumps([default_members, Canary, *kinds, np.float64(1)])
    refused = _model_folder._refused(data, ["ensemblekit", "sklearn"])
    assert any(name.endswith("PredictionCache") for name in refused)
    assert any(name.endswith("PredictionLibrary") for name in refused)
    assert any(name.endswith("default_members") for name in refused)
    assert any(name.endswith("Canary") for name in refused)


@pytest.mark.parametrize(
    ("metric", "n_classes"), [("rmse", 0), ("log_loss", 2), ("log_loss", 3), ("f1", 2)]
)
def test_every_combiner_can_be_read_again(metric, n_classes):
    rng, task = (
        np.random.default_rng(0),
        "classification" if n_classes else "regression",
    )
    y = rng.integers(n_classes, size=60) if n_classes else rng.normal(size=60)
    P = rng.random((60, 2)) if n_classes < 3 else rng.dirichlet([1, 1, 1], (60, 2))
    found = find_metric(metric, task, n_classes)
    for method in methods_for(found, task, n_classes, 0):
        model = method.make().fit(P.reshape(60, -1), y)
        data = skops_io.dumps(model)
        assert _model_folder._refused(data, ["ensemblekit", "sklearn"]) == []


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("model.json", lambda text: b"", "model.json: is empty"),
        ("model.json", lambda text: text[:200], "is no JSON"),
        ("model.json", lambda text: b"[" * 100_000, "is no JSON"),
        ("model.json", lambda text: b"{}", "describes no model of format 1"),
        (
            "model.json",
            lambda text: text.replace(b'"sklearn"', b'"os"'),
            "names the packages ['os']",
        ),
        (
            "model.json",
            lambda text: text.replace(b'"number"', b'"code"'),
            "has 'columns' of a type or value",
        ),
        ("model.json", lambda text: text.replace(b'"task"', b'"x"'), "lacks 'task'"),
        ("model.skops", lambda data: data[:-1], "is not the file that model.json"),
        ("model.skops", lambda data: b"", "model.skops: is empty"),
    ],
)
def test_damaged_models_are_refused(model, capsys, name, change, problem):
    path = Path("out") / name
    path.write_bytes(change(path.read_bytes()))
    assert problem in refused(capsys, "predict", "out", "new.csv", "-o", "p.csv")
    assert not Path("p.csv").exists()


def test_a_model_that_is_missing_is_refused(model, capsys):
    said = refused(capsys, "predict", "elsewhere", "new.csv")
    assert "elsewhere: is no folder. Give a folder that" in said
    Path("out/model.skops").unlink()
    assert "model.skops: cannot be read" in refused(capsys, "predict", "out", "new.csv")


@pytest.mark.parametrize("seed", range(20))
def test_flipped_bytes_are_no_crash(model, capsys, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(Path("out/model.skops").read_bytes())
    for at in rng.integers(0, len(data), 30):
        data[at] = rng.integers(256)
    _restate(bytes(data))
    code = call("predict", "out", "new.csv", "-o", "p.csv")
    assert code in (0, 2)
    if code == 2:
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_other_versions_are_said(model, capsys):
    facts = json.loads(Path("out/model.json").read_text())
    facts["versions"]["scikit-learn"] = "1.0"
    Path("out/model.json").write_text(json.dumps(facts))
    assert call("predict", "out", "new.csv", "-o", "p.csv") == 0
    assert "was fitted with scikit-learn 1.0 (here" in capsys.readouterr().out


# -- folders that cannot be written to ----------------------------------------------


def _contents(folder):
    return {p.name: p.read_bytes() for p in Path(folder).iterdir()}


def test_a_file_in_the_way_is_said_before_the_work(place, capsys):
    Path("taken").write_text("x")
    said = refused(capsys, "fit", "train.csv", *FIT, "-o", "taken")
    assert "taken: cannot be written to: a file is in the way" in said


def test_a_read_only_folder(model, capsys, monkeypatch):
    Path("out").chmod(0o500)
    before = _contents("out")
    with _as_nobody(monkeypatch):
        said = refused(capsys, "fit", "train.csv", *FIT, "-o", "out")
    assert "out: cannot be written to: Permission denied" in said
    assert _contents("out") == before


@contextmanager
def _as_nobody(monkeypatch):
    """Root may write anywhere, so it steps down for the time of the probe."""
    if os.geteuid() != 0:
        yield
        return
    prepare, here = fit.prepare, Path.cwd()
    for folder in (here, *list(here.parents)[:-2]):  # all but / and /tmp
        folder.chmod(folder.stat().st_mode | 0o011)

    def probe(folder):
        os.seteuid(65534)
        try:
            prepare(folder)
        finally:
            os.seteuid(0)

    with monkeypatch.context() as patch:
        patch.setattr(fit, "prepare", probe)
        yield


def test_a_file_system_without_writing(place, capsys):
    said = refused(capsys, "fit", "train.csv", *FIT, "-o", "/proc/ensemblekit")
    assert "/proc/ensemblekit: cannot be written to" in said


@contextmanager
def small_disk(n_bytes):
    """Let no file grow beyond some bytes: the system refuses in the middle of it.

    Not until a fixture ends: the file that the outcome is told to may be longer.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_what_was_there(model, capsys):
    before = _contents("out")
    with small_disk(8000):  # less than oof.csv has
        said = refused(capsys, "fit", "train.csv", *FIT, "-o", "out", "--seed", "1")
    assert "out: cannot be written to" in said
    assert _contents("out") == before


def test_a_full_disk_leaves_the_old_predictions(model, capsys):
    assert call("predict", "out", "new.csv", "-o", "p.csv") == 0
    before = Path("p.csv").read_bytes()
    with small_disk(100):
        said = refused(capsys, "predict", "out", "train.csv", "-o", "p.csv")
    assert "cannot be written to" in said
    assert Path("p.csv").read_bytes() == before
    assert not list(Path().glob(".*partial"))


def test_a_model_that_cannot_be_written_costs_only_itself(model, capsys, monkeypatch):
    def refuse(model):
        raise OSError("no such type")

    Path("out/report.html").write_text("of another fit")
    monkeypatch.setattr(skops_io, "dumps", refuse)
    said = refused(capsys, "fit", "train.csv", *FIT, "-o", "out", "--seed", "5")
    assert "No model was written: skops cannot write the model: no such type" in said
    names = {"fit.py", "leaderboard.json", "library.npz", "oof.csv"}
    reports = {"report.html", "report.json"}
    assert names <= _contents("out").keys() <= names | reports
    assert _contents("out").get("report.html") != b"of another fit"
