"""`ensemblekit blend` and `apply` on files, as a team would have them."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from ensemblekit import cli
from ensemblekit.blending import blend
from ensemblekit.files import read_bank

METHOD = ["--method", "convex; greedy"]


@pytest.fixture
def competition(tmp_path, monkeypatch):
    """Four members in three kinds of files, rows shuffled in some; returns P_test."""
    rng = np.random.default_rng(0)
    y, new = rng.normal(size=80), rng.normal(size=9)
    ids, new_ids = np.arange(80) * 3, np.arange(9) + 1000
    (tmp_path / "oof").mkdir()
    (tmp_path / "preds").mkdir()
    pd.DataFrame({"id": ids, "load": y}).to_csv(tmp_path / "train.csv", index=False)
    sample = pd.DataFrame({"id": new_ids, "load": 0.0})
    sample.to_csv(tmp_path / "sample.csv", index=False)
    for k, name in enumerate(["anna", "ben", "cleo", "dora"]):
        noise = 0.3 + 0.3 * k
        own = pd.DataFrame({"id": ids, "load": y + noise * rng.normal(size=80)})
        test = pd.DataFrame({"id": new_ids, "load": new + noise * rng.normal(size=9)})
        own, test = own.sample(frac=1, random_state=k), test.sample(frac=1)
        if k % 2:
            own.to_parquet(tmp_path / "oof" / f"{name}_oof.parquet", index=False)
            test.to_parquet(tmp_path / "preds" / f"{name}_test.parquet", index=False)
        else:
            own.to_csv(tmp_path / "oof" / f"{name}_oof.csv", index=False)
            test.to_csv(tmp_path / "preds" / f"{name}_test.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


COMMAND = ["blend", "oof", "--target", "train.csv:load", "--test", "preds", *METHOD]


def test_blend_then_apply(competition, capsys):
    assert run(*COMMAND, "--sample-submission", "sample.csv", "-o", "out") == 0
    printed = capsys.readouterr().out
    for name in ("anna", "ben", "cleo", "dora"):
        assert f"oof/{name}_oof" in printed
        assert f"preds/{name}_test" in printed
    assert "reordered by 'id'" in printed
    assert "nested" in printed
    submission = pd.read_csv("out/submission.csv")
    assert list(submission) == ["id", "load"]
    assert submission["id"].tolist() == list(range(1000, 1009))
    bank = read_bank("oof", "train.csv:load", test="preds", sample="sample.csv")
    expected = blend(bank, methods=["convex", "greedy"])
    np.testing.assert_allclose(submission["load"], expected.predict_test(), rtol=1e-14)
    oof = pd.read_csv("out/oof_blend.csv")
    assert oof["id"].tolist() == bank.ids.tolist()
    np.testing.assert_allclose(oof["prediction"], expected.predict_oof(), rtol=1e-14)
    arguments = ["apply", "out/weights.json", "preds", "--sample-submission"]
    assert run(*arguments, "sample.csv", "-o", "again.csv") == 0
    again = competition / "again.csv"
    assert again.read_bytes() == (competition / "out/submission.csv").read_bytes()


def test_what_is_written_is_said(competition, capsys):
    """Members alike, so that nothing is shown to beat the mean, and another is best."""
    rng = np.random.default_rng(1)
    y = pd.read_csv("train.csv")["load"].to_numpy()
    for path in (competition / "oof").iterdir():
        path.unlink()
    for name in ("anna", "ben", "cleo", "dora"):
        np.save(f"oof/{name}.npy", y + rng.normal(size=80))
    command = ["blend", "oof", "--target", "train.csv:load", "--method"]
    assert run(*command, "median; greedy; linear stack", "-o", "out") == 0
    printed = capsys.readouterr().out
    method = json.loads((competition / "out/weights.json").read_text())["method"]
    assert method != "mean"
    assert "beats the mean" not in printed
    line = next(li for li in printed.splitlines() if li.startswith("Written: "))
    assert line.startswith(f"Written: {method} (nested rmse 0.")
    assert "is written by --method mean" in line
    assert (
        line[len("Written: ") :]
        in json.loads((competition / "out/report.json").read_text())["verdict"]
    )
    assert run(*command, "mean", "-o", "mean") == 0
    printed = capsys.readouterr().out
    method = json.loads((competition / "mean/weights.json").read_text())["method"]
    assert method == "mean"
    assert "Written: mean (nested rmse 0." in printed
    assert "--method mean" not in printed


def test_blend_then_apply_where_names_have_scores(competition):
    for path in (competition / "preds").iterdir():
        path.rename(path.with_name(path.name.replace("_test", "_lb0.80_final_test")))
    assert run(*COMMAND, "-o", "out") == 0
    assert run("apply", "out/weights.json", "preds", "-o", "again.csv") == 0
    again = competition / "again.csv"
    assert again.read_bytes() == (competition / "out/submission.csv").read_bytes()
    for name in ("anna", "ben"):  # no longer unique
        path = next((competition / "preds").glob(f"{name}_*"))
        path.with_name(path.name.replace("0.80", "0.81")).write_bytes(path.read_bytes())
    assert run("apply", "out/weights.json", "preds", "-o", "again.csv") == 2


def test_same_seed_same_bytes(competition):
    for out in ("one", "two"):
        assert run(*COMMAND, "-o", out, "--seed", 3) == 0
    names = sorted(path.name for path in (competition / "one").iterdir())
    assert {"weights.json", "submission.csv", "oof_blend.csv"} <= set(names)
    for name in names:
        one, two = competition / "one" / name, competition / "two" / name
        assert one.read_bytes() == two.read_bytes(), name


def test_shuffled_ids_give_the_same_weights(competition):
    assert run(*COMMAND, "-o", "one") == 0
    path = competition / "oof" / "anna_oof.csv"
    table = pd.read_csv(path)
    table.sample(frac=1, random_state=9).to_csv(path, index=False)
    assert run(*COMMAND, "-o", "two") == 0
    read = [json.loads((competition / d / "weights.json").read_text()) for d in
            ("one", "two")]  # fmt: skip
    assert read[0] == read[1]


def test_the_code_written_runs(competition):
    assert run(*COMMAND, "-o", "out") == 0
    names = {}
    exec((competition / "out" / "blend.py").read_text(), names)
    submission = pd.read_csv("out/submission.csv")
    np.testing.assert_allclose(names["prediction"], submission["load"], rtol=1e-14)


def refusal(capsys, *arguments):
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("ensemblekit: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["blend", "none", "--target", "train.csv:load"], "none: does not exist"),
        (["blend", "oof", "--target", "train.csv:loud"], "has no column 'loud'"),
        ([*COMMAND, "--metric", "roc_auc"], "Unknown metric 'roc_auc' for regression"),
        ([*COMMAND[:-1], "magic"], "Unknown method 'magic'"),
        ([*COMMAND, "--seed", "-1"], "--seed is -1; expected 0 to 4294967295."),
        ([*COMMAND, "-o", "train.csv"], "train.csv: cannot be written to: a file is"),
        (["apply", "none.json", "preds"], "none.json: cannot be read"),
        (["apply", "train.csv", "preds"], "train.csv, line 1: is no JSON"),
    ],
)
def test_refuses_in_one_line(competition, arguments, message, capsys):
    assert message in refusal(capsys, *arguments)
    assert not list(competition.rglob("*.partial"))


def test_refuses_other_members(competition, capsys):
    assert run(*COMMAND, "-o", "out") == 0
    (competition / "preds" / "dora_test.parquet").rename(
        competition / "preds" / "eve_test.parquet"
    )
    capsys.readouterr()
    message = refusal(capsys, "apply", "out/weights.json", "preds")
    assert "lack 1 of the 4 members (['dora'])" in message


def test_refuses_test_files_of_other_names(competition, capsys):
    for path in (competition / "preds").iterdir():
        path.rename(path.with_name(path.name.replace("_test", "x_submission")))
    message = refusal(capsys, *COMMAND)
    assert "preds: pairs with no out-of-fold file" in message
    assert "annax_submission.csv" in message
    assert "anna_oof.csv" in message


def test_ids_of_a_sample_are_written_whatever_their_name(competition):
    for name in ("anna", "cleo"):
        for kind, folder in (("oof", "oof"), ("test", "preds")):
            path = competition / folder / f"{name}_{kind}.csv"
            table = pd.read_csv(path).rename(columns={"id": "session"})
            table.to_csv(path, index=False)
    for name in ("ben", "dora"):
        (competition / "oof" / f"{name}_oof.parquet").unlink()
        (competition / "preds" / f"{name}_test.parquet").unlink()
    for name in ("train", "sample"):
        path = competition / f"{name}.csv"
        table = pd.read_csv(path).rename(columns={"id": "session"})
        table.to_csv(path, index=False)
    expected = competition / "expected"
    assert run(*COMMAND, "--sample-submission", "sample.csv", "-o", "out") == 0
    assert run(*COMMAND, "--id", "session", "-o", expected) == 0
    submission = pd.read_csv("out/submission.csv")
    assert submission["session"].tolist() == list(range(1000, 1009))
    named = pd.read_csv(expected / "submission.csv").set_index("session")["load"]
    np.testing.assert_array_equal(submission["load"], named[submission["session"]])
    oof = pd.read_csv("out/oof_blend.csv")
    assert oof["session"].tolist() == (np.arange(80) * 3).tolist()


def test_hints_alike_are_counted(competition, capsys):
    y = pd.read_csv("train.csv")
    for number in range(15):
        y[["id", "load"]].to_csv(f"oof/m{number:02d}_oof.csv", index=False)
    arguments = ["blend", "oof", "--target", "train.csv:load", "--method", "mean"]
    assert run(*arguments, "-o", "out") == 0
    printed = capsys.readouterr().out
    assert printed.count("equals the target.") == 10
    assert "warning: 5 more. It holds the truth" in printed


def test_names_of_members_are_inert(competition):
    target = competition / "oof" / "=cmd()_oof.csv"
    (competition / "oof" / "anna_oof.csv").rename(target)
    (competition / "preds" / "anna_test.csv").rename(
        competition / "preds" / "=cmd()_test.csv"
    )
    assert run(*COMMAND, "-o", "out") == 0
    assert (
        "=cmd()"
        in json.loads((competition / "out/weights.json").read_text())["members"]
    )
    for path in (competition / "out").glob("*.csv"):
        assert not any(
            cell.startswith("=")
            for line in path.read_text().split("\n")
            for cell in line.split(",")
        )


def test_names_missing_packages(monkeypatch, competition, capsys):
    from ensemblekit.commands import blend as command

    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert "needs pandas, pyarrow" in refusal(capsys, *COMMAND)


def test_interruption_has_its_exit_code(monkeypatch, competition, capsys):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("ensemblekit.blending.blend", interrupt)
    assert run(*COMMAND) == 130
    assert capsys.readouterr().err.endswith("Interrupted.\n")


def test_a_refused_blend_leaves_no_folder(competition, capsys):
    refusal(capsys, "blend", "nowhere", "--target", "train.csv:load", "-o", "new/out")
    assert not (competition / "new").exists()


def test_an_edit_of_the_weights_is_refused_by_its_field(competition, capsys):
    assert run(*COMMAND, "-o", "out") == 0
    path = competition / "out/weights.json"
    stored = json.loads(path.read_text())
    stored["weights"]["anna"] += 0.1
    path.write_text(json.dumps(stored))
    message = refusal(capsys, "apply", "out/weights.json", "preds")
    assert "out/weights.json: is no stored blend: its weights say" in message
    assert "edit both alike" in message


@pytest.mark.parametrize("start", ["00", "-x", "=cmd", "x"])
def test_ids_are_written_as_they_are_or_it_is_said(start, competition, capsys):
    def ids_in(path):
        rows = (competition / path).read_text().splitlines()[1:]
        return [row.split(",")[0] for row in rows]

    for path in [*competition.glob("*.csv"), *competition.glob("*/*")]:
        frame = pd.read_csv if path.suffix == ".csv" else pd.read_parquet
        table = frame(path)
        table["id"] = start + table["id"].astype(str)
        write = table.to_csv if path.suffix == ".csv" else table.to_parquet
        write(path, index=False)
    assert run(*COMMAND, "--sample-submission", "sample.csv", "-o", "out") == 0
    said = capsys.readouterr().out
    sign = "'" if start in ("-x", "=cmd") else ""
    assert ids_in("out/submission.csv") == [sign + i for i in ids_in("sample.csv")]
    assert ids_in("out/oof_blend.csv") == [sign + i for i in ids_in("train.csv")]
    arguments = ["apply", "out/weights.json", "preds", "--sample-submission"]
    assert run(*arguments, "sample.csv", "-o", "again.csv") == 0
    assert ids_in("again.csv") == ids_in("out/submission.csv")
    also = capsys.readouterr().err
    expected = [
        "note: submission.csv: 9 ids begin with a sign that",
        "oof_blend.csv: 80",
    ]
    assert [text in said for text in expected] == [bool(sign)] * 2
    assert ("again.csv: 9 ids begin" in also) == bool(sign)


def test_the_submission_has_the_id_column_of_the_test_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y = np.random.default_rng(0).normal(size=40)
    pd.DataFrame({"key": np.arange(40), "y": y}).to_csv("train.csv", index=False)
    (tmp_path / "oof").mkdir()
    for name in ("anna", "ben"):
        own = pd.DataFrame({"key": np.arange(40), "pred": y + 0.5})
        own.to_csv(f"oof/{name}_oof.csv", index=False)
        new = pd.DataFrame({"row_id": np.arange(9) + 70, "pred": np.arange(9.0)})
        new.to_csv(f"oof/{name}_test.csv", index=False)
    command = ["blend", "oof", "--target", "train.csv:y", "--method", "mean"]
    assert run(*command, "-o", "out") == 0
    assert list(pd.read_csv("out/submission.csv")) == ["row_id", "y"]
    assert next(iter(pd.read_csv("out/oof_blend.csv"))) == "key"
    assert run("apply", "out/weights.json", "oof", "-o", "again.csv") == 0
    written = (tmp_path / "out" / "submission.csv").read_bytes()
    assert (tmp_path / "again.csv").read_bytes() == written


def test_the_package_runs_as_the_command():
    command = [sys.executable, "-m", "ensemblekit", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ensemblekit ")
