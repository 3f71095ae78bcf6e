"""Samples of a submission: ids of any name, classes by the rule for members."""

import numpy as np
import pandas as pd
import pytest

from ensemblekit.cli import main

TEST_IDS = [f"{k:05d}" for k in range(900, 912)]


def write(folder, labels, columns, sample):
    """Files of two members whose columns are those, and a sample of those columns."""
    rng = np.random.default_rng(0)
    n, m = 90, len(TEST_IDS)
    codes = rng.integers(0, len(labels), n)
    ids = [f"{k:05d}" for k in range(n)]
    target = pd.DataFrame({"session_id": ids, "y": [labels[c] for c in codes]})
    target.to_csv(folder / "train.csv", index=False)
    expected = {}
    for name in ("anna", "ben"):
        for part, rows, truth in (("oof", ids, codes), ("test", TEST_IDS, None)):
            (folder / part).mkdir(exist_ok=True)
            P = rng.dirichlet(np.ones(len(labels)), len(rows))
            if truth is not None:
                P[np.arange(n), truth] += 1.0
                P /= P.sum(axis=1, keepdims=True)
            table = pd.DataFrame(P, columns=columns).assign(session_id=rows)
            order = rng.permutation(len(rows))
            # In another order in each file: rows, and columns.
            table = table.iloc[order, ::-1] if part == "test" else table
            table.to_csv(folder / part / f"{name}.csv", index=False)
            expected[part, name] = P
    table = pd.DataFrame(0.5, index=range(m), columns=["session_id", *sample])
    table.assign(session_id=TEST_IDS[::-1]).to_csv(folder / "s.csv", index=False)
    return (expected["test", "anna"] + expected["test", "ben"])[::-1] / 2.0


COMMAND = ["blend", "oof", "--target", "train.csv:y", "--test", "test", "--metric"]
MEAN = ["--sample-submission", "s.csv", "--method", "mean", "-o", "o"]


@pytest.mark.parametrize(
    ("labels", "columns", "sample", "order"),
    [
        ([0, 1], ["p0", "p1"], ["y"], [1]),
        ([0, 1], ["p0", "p1"], ["p1", "p0"], [1, 0]),
        (["No", "Yes"], ["prob_no", "prob_yes"], ["yes", "no"], [1, 0]),
        ([False, True], ["False", "True"], ["True", "False"], [1, 0]),
        (
            ["cat", "dog", "owl"],
            ["CAT", "DOG", "OWL"],
            ["DOG", "OWL", "CAT"],
            [1, 2, 0],
        ),
        ([0, 1, 2], ["class_0", "class_1", "class_2"], ["2", "0", "1"], [2, 0, 1]),
    ],
)
def test_classes_and_ids(tmp_path, monkeypatch, labels, columns, sample, order):
    monkeypatch.chdir(tmp_path)
    expected = write(tmp_path, labels, columns, sample)
    assert main([*COMMAND, "log_loss", *MEAN]) == 0
    found = pd.read_csv("o/submission.csv", dtype={"session_id": str})
    assert list(found) == ["session_id", *sample]
    assert found["session_id"].tolist() == TEST_IDS[::-1]
    np.testing.assert_allclose(found[sample], expected[:, order], rtol=1e-9)
    arguments = ["apply", "o/weights.json", "test", "--sample-submission", "s.csv"]
    assert main([*arguments, "-o", "again.csv"]) == 0
    again = (tmp_path / "again.csv").read_bytes()
    assert again == (tmp_path / "o/submission.csv").read_bytes()


def test_a_sample_that_does_not_fit_is_refused_before_the_fits(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, [0, 1], ["p0", "p1"], ["a", "b"])
    assert main([*COMMAND, "log_loss", *MEAN]) == 2
    said = capsys.readouterr()
    assert "which class each is, is not said" in said.err
    assert "nested" not in said.out
    assert not (tmp_path / "o").exists()


def test_quantiles_whose_ids_have_an_unusual_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng, ids = np.random.default_rng(0), [f"{k:05d}" for k in range(80)]
    y = rng.normal(size=80)
    levels = ["q0.1", "q0.5", "q0.9"]
    pd.DataFrame({"session_id": ids, "y": y}).to_csv("train.csv", index=False)
    for part, rows, truth in (("oof", ids, y), ("test", TEST_IDS, np.zeros(12))):
        (tmp_path / part).mkdir()
        for name in ("anna", "ben"):
            Q = truth[:, None] + rng.normal(size=(len(rows), 1)) + [-1.0, 0.0, 1.0]
            table = pd.DataFrame(Q, columns=levels).assign(session_id=rows)
            table.sample(frac=1.0, random_state=0).to_csv(
                tmp_path / part / f"{name}.csv", index=False
            )
    sample = pd.DataFrame(0.0, index=range(12), columns=["session_id", *levels])
    sample.assign(session_id=TEST_IDS).to_csv("s.csv", index=False)
    assert main([*COMMAND, "pinball", *MEAN]) == 0
    assert "quantile: 2 members, 80 rows" in capsys.readouterr().out
    found = pd.read_csv("o/submission.csv", dtype={"session_id": str})
    assert found["session_id"].tolist() == TEST_IDS


def test_the_code_keeps_the_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    pd.DataFrame({"id": range(60), "y": y}).to_csv("train.csv", index=False)
    (tmp_path / "oof").mkdir()
    for name in ("anna", "ben"):
        values = y + rng.normal(size=60)
        table = pd.DataFrame({"id": range(60), "pred": values})
        table.to_csv(tmp_path / "oof" / f"{name}.csv", index=False)
    arguments = ["blend", "oof", "--target", "train.csv:y", "--task", "regression"]
    assert main([*arguments, "--method", "convex", "-o", "o"]) == 0
    names = {}
    exec((tmp_path / "o/blend.py").read_text(), names)
    assert names["library"].task == "regression"


def test_ids_of_parts_in_an_archive(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = rng.normal(size=60)
    ids = np.array([f"r{k}" for k in range(60)])
    tests = np.array(["t1", "t2", "t3"])
    pd.DataFrame({"id": ids, "y": y}).to_csv("train.csv", index=False)
    (tmp_path / "oof").mkdir()
    for name in ("anna", "ben"):
        order, oof = rng.permutation(60), y + rng.normal(size=60)
        np.savez(
            tmp_path / "oof" / f"{name}.npz",
            oof=oof[order],
            oof_id=ids[order],
            test=np.arange(3.0),
            test_id=tests,
        )
    arguments = ["blend", "oof", "--target", "train.csv:y", "--method", "mean"]
    assert main([*arguments, "-o", "o"]) == 0
    found = pd.read_csv("o/submission.csv")
    assert found["id"].tolist() == tests.tolist()
    np.testing.assert_allclose(found["y"], np.arange(3.0))


def write_bools(folder, words, cells):
    """Files of two members, a target of these words, and a sample of these cells."""
    rng = np.random.default_rng(0)
    codes = np.arange(90) % 2
    target = pd.DataFrame({"id": range(90), "y": [words[c] for c in codes]})
    target.to_csv(folder / "train.csv", index=False)
    for name in ("anna", "ben"):
        for part, n in (("oof", 90), ("test", 12)):
            (folder / part).mkdir(exist_ok=True)
            P = rng.uniform(size=n) * 0.5 + (0.5 * codes if n == 90 else 0.25)
            table = pd.DataFrame({"id": np.arange(n) + 1000 * (n == 12), "y": P})
            table.to_csv(folder / part / f"{name}.csv", index=False)
    sample = pd.DataFrame({"id": range(1000, 1012), "y": cells})
    sample.to_csv(folder / "s.csv", index=False)


def cells_of(path, column):
    return pd.read_csv(path, dtype=str)[column].tolist()


@pytest.mark.parametrize(
    ("words", "cells", "written", "noted"),
    [
        (["False", "True"], "False", ["False", "True"], False),
        (["FALSE", "TRUE"], "TRUE", ["FALSE", "TRUE"], False),
        (["false", "true"], "0", ["false", "true"], True),
        (["False", "True"], "1", ["False", "True"], True),
        (["False", "True"], "FALSE", ["False", "True"], True),
        (["0", "1"], "False", ["0", "1"], True),
        (["0", "1"], "0", ["0", "1"], False),
        (["no", "yes"], "0", ["no", "yes"], False),
        # Sorted as they are, the first would be the one of True.
        (["false", "TRUE"], "FALSE", ["False", "True"], True),
    ],
)
def test_labels_are_written_as_in_the_target(
    tmp_path, monkeypatch, capsys, words, cells, written, noted
):
    monkeypatch.chdir(tmp_path)
    write_bools(tmp_path, words, cells)
    assert main([*COMMAND, "accuracy", *MEAN]) == 0
    said = capsys.readouterr().out
    assert (f"holds {cells}, and labels are written as in the target" in said) == noted
    submission = cells_of("o/submission.csv", "y")
    tests = [pd.read_csv(f"test/{name}.csv")["y"] for name in ("anna", "ben")]
    assert submission == [written[int(p > 0.5)] for p in sum(tests) / 2.0]
    assert set(submission) == {*written}
    # Rows of the two classes take turns, and the members tell them apart.
    assert cells_of("o/oof_blend.csv", "prediction") == written * 45
    arguments = ["apply", "o/weights.json", "test", "--sample-submission", "s.csv"]
    assert main([*arguments, "-o", "again.csv"]) == 0
    assert ("labels are written as in the target" in capsys.readouterr().err) == noted
    again = (tmp_path / "again.csv").read_bytes()
    assert again == (tmp_path / "o/submission.csv").read_bytes()
    names: dict = {}
    exec((tmp_path / "o/blend.py").read_text(), names)
    predicted = dict(zip(map(str, names["library"].classes), written, strict=True))
    assert [predicted[str(p)] for p in names["prediction"]] == submission


def test_weights_of_whole_numbers_for_bools_still_apply(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_bools(tmp_path, ["0", "1"], "0")  # as blends of False and True were once
    assert main([*COMMAND, "accuracy", *MEAN]) == 0
    (tmp_path / "named").mkdir()
    for name in ("anna", "ben"):
        p = pd.read_csv(f"test/{name}.csv")["y"]
        named = pd.DataFrame({"id": range(1000, 1012), "False": 1 - p, "True": p})
        named.to_csv(f"named/{name}.csv", index=False)
    assert main(["apply", "o/weights.json", "named", "-o", "a.csv"]) == 0
    assert cells_of("a.csv", "y") == cells_of("o/submission.csv", "y")


@pytest.mark.parametrize("truth", [["False", "True"], ["0", "1"], ["TRUE", "FALSE"]])
def test_a_truth_beside_members_is_compared_with_bools(
    tmp_path, monkeypatch, capsys, truth
):
    monkeypatch.chdir(tmp_path)
    write_bools(tmp_path, ["False", "True"], "0")
    for name in ("anna", "ben"):
        oof = pd.read_csv(f"oof/{name}.csv").rename(columns={"y": "oof"})
        oof["y_true"] = [truth[k % 2] for k in range(90)]
        oof.drop(columns="id").to_csv(f"oof/{name}.csv", index=False)
    arguments = ["blend", "oof", "--target", "train.csv:y", "--metric", "accuracy"]
    fits = truth != ["TRUE", "FALSE"]
    assert main([*arguments, "--method", "mean", "-o", "o"]) == (0 if fits else 2)
    said = capsys.readouterr()
    assert ("proved by 'y_true'" in said.out) == fits
    assert ("the truth in column 'y_true' is True" in said.err) != fits
