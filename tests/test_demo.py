"""The job of the demo, on few rows: what it prints, writes and scores."""

from contextlib import redirect_stdout
from importlib.resources import files
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ensemblekit import PredictionLibrary, cli, demo
from ensemblekit.members import encode_categories, scale_and_encode

MEMBERS = {
    "lightgbm",
    "xgboost",
    "random_forest",
    "extra_trees",
    "linear",
    "hist_gradient_boosting",
    "nearest_neighbours",
}
COMBINERS = [
    "single_best",
    "plain_mean",
    "greedy_selection",
    "convex_weights",
    "linear_stacking",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "new" / "output"


@pytest.fixture(scope="module")
def printed(folder):
    """Run the command once, on 200 rows of each table; return what it printed."""
    options = ["--rows", "200", "--n-jobs", "1", "--output", str(folder)]
    with redirect_stdout(StringIO()) as stream:
        assert cli.main(["demo", *options]) == 0
    return stream.getvalue()


@pytest.fixture
def few_members(monkeypatch):
    def members(task):
        classification = task == "classification"
        linear = LogisticRegression() if classification else Ridge()
        tree = DecisionTreeClassifier if classification else DecisionTreeRegressor
        return [
            ("linear", make_pipeline(scale_and_encode(), linear)),
            ("tree", make_pipeline(encode_categories(), tree(max_depth=3))),
        ]

    monkeypatch.setattr(demo, "demo_members", members)


def read(folder, name, part):
    return pd.read_csv(folder / f"{name}_{part}.csv")


def test_prints_both_tables_within_80_columns(printed):
    for title in ("bank_marketing: does", "abalone: how", "single best", "Total "):
        assert title in printed
    assert max(len(line) for line in printed.splitlines()) <= 80


def test_writes_three_files_a_table(printed, folder):
    parts = ("leaderboard.csv", "library.npz", "test_predictions.csv")
    expected = [f"{name}_{part}" for name in sorted(demo.TASKS) for part in parts]
    assert sorted(path.name for path in folder.iterdir()) == sorted(expected)


@pytest.mark.parametrize("name", demo.TASKS)
def test_library_round_trips(name, printed, folder):
    library = PredictionLibrary.load(folder / f"{name}_library.npz")
    assert set(library.names) == MEMBERS
    assert library.task == demo.TASKS[name]
    assert len(library.y) == 140
    assert_array_equal(np.bincount(library.folds), [28] * 5)
    predictions = read(folder, name, "test_predictions")
    assert_allclose(predictions[library.names], library.P_test, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", demo.TASKS)
def test_test_rows_are_those_of_the_table(name, printed, folder):
    _, y = demo.load_table(name)
    predictions = read(folder, name, "test_predictions")
    assert predictions["row"].is_unique
    assert y[predictions["row"]].tolist() == predictions["target"].tolist()


@pytest.mark.parametrize("name", demo.TASKS)
def test_leaderboard_has_members_best_first_then_combiners(name, printed, folder):
    board = read(folder, name, "leaderboard").set_index("name")
    members = board[board["kind"] == "member"]
    assert set(members.index) == MEMBERS
    assert members["oof_loss"].is_monotonic_increasing
    assert_allclose(members["weight"].sum(), 1.0, rtol=1e-6)
    assert (members[["fit_time", "predict_time"]] > 0).all(axis=None)
    assert board.index[board["kind"] == "combiner"].tolist() == COMBINERS
    scores = board.filter(regex="^(oof|test)")
    assert np.isfinite(scores).all(axis=None)


@pytest.mark.parametrize("name", demo.TASKS)
def test_test_scores_are_those_of_scikit_learn(name, printed, folder):
    score = log_loss if demo.TASKS[name] == "classification" else mean_squared_error
    board = read(folder, name, "leaderboard").set_index("name")
    predictions = read(folder, name, "test_predictions")
    for column in board.index:
        expected = score(predictions["target"], predictions[column])
        assert_allclose(board.loc[column, "test_loss"], expected, rtol=1e-5)


def test_single_best_is_chosen_without_the_scored_fold():
    """Member a wins on all rows, member b without fold 0: both count."""
    y = np.zeros(6)
    library = PredictionLibrary.from_arrays(
        {"a": [0.0, 0.0, 3.0, 3.0, 3.0, 3.0], "b": [9.0, 9.0, 2.0, 2.0, 2.0, 2.0]},
        y,
        folds=[0, 0, 1, 1, 2, 2],
    )
    combiners = {"single_best": demo.demo_combiners("regression")["single_best"]}
    (row,) = demo._combiner_rows(library, combiners, "squared_error")
    assert row["oof_loss"] == (2 * 81 + 4 * 9) / 6


def test_result_depends_on_nothing_but_the_seed(few_members):
    X, y = demo.sample_rows(*demo.load_table("abalone"), 200, seed=1)
    first, again = (demo.run_table("abalone", X, y, seed=1, n_jobs=1) for _ in "ab")
    other = demo.run_table("abalone", X, y, seed=2, n_jobs=1)
    pd.testing.assert_frame_equal(first.test_predictions, again.test_predictions)
    assert set(first.test_predictions["row"]) != set(other.test_predictions["row"])


def test_sample_keeps_the_shares_of_classes():
    X, y = demo.load_table("bank_marketing")
    few_X, few_y = demo.sample_rows(X, y, 500, seed=0)
    assert len(few_X) == 500
    assert (few_y == "yes").sum() == round(500 * (y == "yes").mean())
    assert demo.sample_rows(X, y, 10**6, seed=0)[0] is X


def test_says_which_members_are_left_out(few_members, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("ensemblekit._demo_output.find_spec", lambda name: None)
    demo.run_demo(tmp_path, n_rows=200, n_jobs=1)
    assert "left out: lightgbm, xgboost." in capsys.readouterr().out


def test_full_disk_is_one_sentence(few_members, monkeypatch, tmp_path, capsys):
    def refuse(library, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PredictionLibrary, "save", refuse)
    options = ["--rows", "200", "--n-jobs", "1", "--output", str(tmp_path)]
    assert cli.main(["demo", *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith(
        f"ensemblekit: Cannot write to the folder {tmp_path}: No sp"
    )


def test_bundled_files_are_small_and_described():
    folder = files("ensemblekit") / "data"
    sizes = [len((folder / f"{name}.parquet").read_bytes()) for name in demo.TASKS]
    assert sum(sizes) < 110_000
    text = (folder / "README.md").read_text(encoding="utf-8")
    for name in demo.TASKS:
        X, y = demo.load_table(name)
        assert f"{len(X):,} rows, {X.shape[1]} features" in text
        assert y.notna().all()
        assert all(f"`{column}`" in text for column in [*X.columns, "target"])
