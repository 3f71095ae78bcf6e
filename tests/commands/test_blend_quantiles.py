"""`ensemblekit blend`, `apply` and `inspect` on files of quantiles."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from ensemblekit import cli
from ensemblekit.blending import blend
from ensemblekit.files import read_bank

LEVELS = [0.1, 0.5, 0.9]
COMMAND = ["blend", "oof", "--target", "train.csv:load", "--test", "preds"]


def write(folder, columns, kind="csv"):
    """Write two members' quantiles of 80 rows and of 9 new ones, shuffled."""
    rng = np.random.default_rng(0)
    y, new = rng.normal(size=80), rng.normal(size=9)
    train = pd.DataFrame({"id": np.arange(80) * 3, "load": y})
    train.to_csv(folder / "train.csv", index=False)
    for part, truth, ids in [("oof", y, train["id"]), ("preds", new, range(900, 909))]:
        (folder / part).mkdir()
        for k, name in enumerate(["anna", "ben"]):
            noise = (0.4 + 0.4 * k) * rng.normal(size=len(truth))
            values = (truth + noise)[:, None] + (1 - 0.6 * k) * norm.ppf(LEVELS)
            if kind == "npy":
                np.save(folder / part / f"{name}.npy", values)
                continue
            table = pd.DataFrame(values, columns=columns)
            table.insert(0, "id", list(ids))
            table = table.sample(frac=1, random_state=k)
            table.to_csv(folder / part / f"{name}.csv", index=False)


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("columns", "kind", "options"),
    [
        (["q0.1", "q0.5", "q0.9"], "csv", []),
        (["p10", "p50", "p90"], "csv", ["--metric", "pinball"]),
        (["p10", "p50", "p90"], "csv", ["--quantiles", "names"]),
        (["low", "mid", "high"], "csv", ["--quantiles", "0.1,0.5,0.9"]),
        (None, "npy", ["--quantiles", "0.1,0.5,0.9"]),
    ],
)
def test_blend_then_apply(tmp_path, monkeypatch, capsys, columns, kind, options):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, columns, kind)
    methods = ["--method", "quantile weights; quantile weights, fine"]
    assert run(*COMMAND, *options, *methods, "-o", "out") == 0
    printed = capsys.readouterr().out
    if kind == "csv":
        assert "the levels [0.1, 0.5, 0.9]" in printed or (
            "read as quantile levels [0.1, 0.5, 0.9]" in printed
        )
    assert "quantile: 2 members, 80 rows" in printed
    assert "\npinball, lower is better; nested" in printed
    quantiles = LEVELS if "0.1,0.5,0.9" in options else "names"
    bank = read_bank("oof", "train.csv:load", test="preds", quantiles=quantiles)
    names = ["quantile weights", "quantile weights, fine"]
    result = blend(bank, methods=names)
    submission = pd.read_csv("out/submission.csv")
    of_levels = [f"load_q{level}" for level in LEVELS]
    first = "row" if kind == "npy" else "id"  # without ids rows are numbered
    assert list(submission) == [first, *of_levels]
    np.testing.assert_allclose(submission[of_levels], result.predict_test(), rtol=1e-14)
    assert run("apply", "out/weights.json", "preds", "-o", "again.csv") == 0
    again = (tmp_path / "again.csv").read_bytes()
    assert again == (tmp_path / "out" / "submission.csv").read_bytes()
    code = {}
    exec((tmp_path / "out" / "blend.py").read_text(), code)
    np.testing.assert_allclose(code["prediction"], submission[of_levels], rtol=1e-14)
    stored = json.loads((tmp_path / "out" / "weights.json").read_text())
    assert (stored["task"], stored["reads"]) == ("quantile", "quantiles")


def test_inspect_takes_levels(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, ["low", "mid", "high"])
    command = ["inspect", "oof", "--target", "train.csv:load", "--quantiles"]
    assert run(*command, "0.1,0.5,0.9") == 0
    assert "quantile: 2 members, 80 rows" in capsys.readouterr().out
    assert run(*command, "names") == 2
    printed = capsys.readouterr()
    assert "tell no quantile levels" in printed.out + printed.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--quantiles", "0.5,0.1"], "expected levels that ascend"),
        (["--quantiles", "0.1,0.9"], "expected one for each of the quantile levels"),
        (["--quantiles", "names"], "tell no quantile levels"),
        (["--metric", "pinball"], "tell no quantile levels"),
        (["--quantiles", "0.1,0.5,0.9", "--metric", "rmse"], "Unknown metric 'rmse'"),
        (["--quantiles", "0.1,0.5,0.9", "--task", "classification"], "no quantiles"),
    ],
)
def test_refusals_are_one_line(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, ["low", "mid", "high"])
    if "classification" in options:
        table = pd.read_csv("train.csv")
        table.assign(load=np.arange(80) % 2).to_csv("train.csv", index=False)
    assert run(*COMMAND, *options, "-o", "out") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_what_is_no_level_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        run(*COMMAND, "--quantiles", "low,high")
    assert caught.value.code == 2
    assert "'low,high' are no levels; expected such as" in capsys.readouterr().err
