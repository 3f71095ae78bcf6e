"""Files whose columns are quantile levels: names, order, refusals, and what is said."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.stats import norm

from ensemblekit.exceptions import FileError
from ensemblekit.files import find_problems, read_bank
from ensemblekit.files._quantiles import group_levels, level_of, levels_in
from ensemblekit.files.predictions import read_predictions

LEVELS = [0.1, 0.5, 0.9]
Q = ["q0.1", "q0.5", "q0.9"]


@pytest.mark.parametrize(
    ("name", "expected", "plain"),
    [
        ("q0.1", ("", 0.1), True),
        ("0.1", ("", 0.1), True),
        (".5", ("", 0.5), True),
        ("quantile_0.975", ("", 0.975), True),
        ("level-0.25", ("", 0.25), True),
        ("lgbm_q0.1", ("lgbm", 0.1), True),
        ("lgbm.0.05", ("lgbm", 0.05), False),
        ("ridge_0.1", ("ridge", 0.1), False),
        ("p10", ("", 0.1), False),
        ("p2.5", ("", 0.025), False),
        ("q05", ("", 0.05), False),
        ("10%", ("", 0.1), False),
        ("pred_p97.5", ("pred", 0.975), False),
        ("percentile_90", ("", 0.9), False),
    ],
)
def test_levels_of_names(name, expected, plain):
    assert level_of(name) == expected
    assert level_of(name, plain=True) == (expected if plain else None)


@pytest.mark.parametrize(
    "name",
    ["lgbm", "lgbm_10", "p0.1", "1.5", "q100", "q0", "v2", "0", "1", "q0.5_x", ""],
)
def test_names_without_a_level(name):
    assert level_of(name) is None


def test_columns_are_grouped_by_member():
    names = ["a_q0.9", "b_q0.1", "a_q0.1", "b_q0.9"]
    assert group_levels(names) == {
        "a": {0.9: "a_q0.9", 0.1: "a_q0.1"},
        "b": {0.1: "b_q0.1", 0.9: "b_q0.9"},
    }
    assert levels_in(names).tolist() == [0.1, 0.9]
    assert group_levels([*names, "b_q0.5"]) is None  # not all levels of a
    assert group_levels(["q0.1", "p10"]) is None  # one level twice
    assert levels_in(["q0.5"]) is None  # one level is no fan
    assert group_levels([]) is None


@pytest.fixture
def bank_of(tmp_path, monkeypatch):
    """Return a function that writes files of two members and reads them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = rng.normal(size=60)
    pd.DataFrame({"id": range(60), "load": y}).to_csv("train.csv", index=False)
    (tmp_path / "oof").mkdir()
    quantiles = {
        name: (y + error * rng.normal(size=60))[:, None] + norm.ppf(LEVELS)
        for name, error in (("anna", 0.5), ("ben", 1.0))
    }

    def read(columns, change=None, rows=None, **options):
        for name, values in quantiles.items():
            table = pd.DataFrame(values, columns=columns)
            table.insert(0, "id", range(60))
            if change is not None:
                table = change(table)
            table.to_csv(f"oof/{name}.csv", index=False)
        return read_bank("oof", "train.csv:load", **options)

    read.quantiles, read.y = quantiles, y
    return read


@pytest.mark.parametrize("columns", [Q, ["0.1", "0.5", "0.9"]])
def test_plain_names_are_levels(bank_of, columns):
    bank = bank_of(columns)
    assert bank.library.task == "quantile"
    assert bank.library.names == ["anna", "ben"]
    assert bank.library.quantile_levels.tolist() == LEVELS
    both = np.hstack(list(bank_of.quantiles.values()))
    assert_array_equal(bank.library.P, both)
    said = f"oof/anna.csv: columns {columns} read as quantile levels {LEVELS}"
    assert said in bank.notes


def test_names_that_may_be_members_are_levels_only_when_asked_for(bank_of):
    columns = ["p10", "p50", "p90"]
    assert bank_of(columns).library.task == "regression"
    bank = bank_of(columns, quantiles="names")
    assert bank.library.quantile_levels.tolist() == LEVELS
    assert any("read as quantile levels [0.1, 0.5, 0.9]" in note for note in bank.notes)


def test_columns_are_put_in_order_of_the_levels(bank_of):
    expected = bank_of(Q).library.P
    bank = bank_of(Q, lambda table: table[["id", "q0.9", "q0.1", "q0.5"]])
    assert_array_equal(bank.library.P, expected)
    assert any("columns put in the order of the levels" in n for n in bank.notes)


def test_rows_are_put_in_order_by_id(bank_of):
    expected = bank_of(Q).library.P
    bank = bank_of(Q, lambda table: table.sample(frac=1, random_state=0))
    assert_array_equal(bank.library.P, expected)


def test_other_columns_are_left_out_and_named(bank_of):
    expected = bank_of(Q).library.P
    bank = bank_of(Q, lambda t: t.assign(point=0.0), quantiles=LEVELS)
    assert_array_equal(bank.library.P, expected)
    assert any("columns of levels read, ['point'] not" in note for note in bank.notes)


def test_given_levels_are_those_of_columns_without_names(bank_of):
    bank = bank_of(["low", "mid", "high"], quantiles=LEVELS)
    assert bank.library.quantile_levels.tolist() == LEVELS
    note = "columns ['low', 'mid', 'high'] taken in the order of the levels "
    assert any(note + "[0.1, 0.5, 0.9]" in found for found in bank.notes)


def test_members_in_one_file(bank_of):
    bank_of(Q)
    table = pd.DataFrame({"id": range(60)})
    for name, values in bank_of.quantiles.items():
        for k in (2, 0, 1):
            table[f"{name}_{Q[k]}"] = values[:, k]
    table.to_csv("all_oof.csv", index=False)
    bank = read_bank("all_oof.csv", "train.csv:load")
    assert bank.library.names == ["anna", "ben"]
    assert_array_equal(bank.library.P, np.hstack(list(bank_of.quantiles.values())))


def test_one_level_that_is_given(bank_of):
    medians = [values[:, 1] for values in bank_of.quantiles.values()]
    for name in ("q0.5", "prediction"):
        bank = bank_of(Q, lambda t, name=name: t[["id", "q0.5"]].set_axis(
            ["id", name], axis=1), quantiles=[0.5])  # fmt: skip
        assert_array_equal(bank.library.P, np.column_stack(medians))


@pytest.mark.parametrize("n_seeds", [0, 3])
def test_arrays_with_given_levels(bank_of, tmp_path, n_seeds):
    bank_of(Q)
    (tmp_path / "arrays").mkdir()
    for name, values in bank_of.quantiles.items():
        seeds = np.stack([values] * n_seeds) if n_seeds else values
        np.save(tmp_path / "arrays" / f"{name}_oof.npy", seeds)
    bank = read_bank("arrays", "train.csv:load", quantiles=LEVELS)
    both = np.hstack(list(bank_of.quantiles.values()))
    np.testing.assert_allclose(bank.library.P, both, rtol=1e-15)
    with pytest.raises(FileError, match=r"arrays, whose columns have no names.*--quan"):
        read_bank("arrays", "train.csv:load", quantiles="names")
    with pytest.raises(FileError, match=r"shape \(.*3\); expected 2 columns, one for"):
        read_bank("arrays", "train.csv:load", quantiles=[0.1, 0.9])
    np.save(tmp_path / "arrays" / "ben_oof.npy", -bank_of.quantiles["ben"])
    with pytest.raises(FileError, match=r"row 0: quantiles decrease .*60 such rows"):
        read_bank("arrays", "train.csv:load", quantiles=LEVELS)


@pytest.mark.parametrize(
    ("columns", "quantiles", "message"),
    [
        (["low", "mid", "high"], "names", "tell no quantile levels. Name the columns"),
        (["q0.1", "q0.5", "q0.8"], LEVELS, "expected one for each of the quantile lev"),
        (["low", "mid", "q0.9"], LEVELS, "expected one for each of the quantile lev"),
        (Q, [0.1, 0.9], r"columns \['q0.1', .*expected one for each"),
        (["a", "b", "c"], [0.1, 0.9], "expected one for each of the quantile levels"),
        (["q0.1", "q0.9", "q0.5"], LEVELS, "quantiles decrease along the levels"),
    ],
)
def test_refusals_name_the_file(bank_of, columns, quantiles, message):
    with pytest.raises(FileError, match=message) as caught:
        bank_of(columns, quantiles=quantiles)
    assert "anna.csv" in str(caught.value)


def test_crossing_quantiles_name_the_line_of_their_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y = np.arange(8.0)
    table = pd.DataFrame({"id": range(8), "load": y})
    table.to_csv("train.csv", index=False)
    (tmp_path / "oof").mkdir()
    columns = {level: y + shift for level, shift in zip(Q, (-1, 0, 1), strict=True)}
    table = pd.DataFrame({"id": range(8), **columns})
    table.loc[2, "q0.9"] = -5.0
    table[::-1].to_csv("oof/anna.csv", index=False)  # so that id 2 is on line 7
    with pytest.raises(FileError, match=r"anna.csv, line 7: quantiles decrease .*1 su"):
        read_bank("oof", "train.csv:load")


@pytest.mark.parametrize(
    ("quantiles", "message"),
    [
        ("nams", "quantiles is 'nams'; expected 'names' or ascending levels"),
        ([0.5, 0.1], "expected levels that ascend"),
        ([0.0, 0.5], r"expected levels inside \(0, 1\)"),
        ([], "expected a list of levels"),
    ],
)
def test_refuses_what_is_no_level(bank_of, quantiles, message):
    with pytest.raises(ValueError, match=message):
        bank_of(Q, quantiles=quantiles)


def test_a_member_of_other_levels_is_refused(bank_of):
    bank_of(Q)
    table = pd.DataFrame(bank_of.quantiles["ben"], columns=["q0.2", "q0.5", "q0.8"])
    table.insert(0, "id", range(60))
    table.to_csv("oof/ben.csv", index=False)
    with pytest.raises(FileError, match=r"ben.csv.*\[0.1, 0.5, 0.9\]"):
        read_bank("oof", "train.csv:load")


def test_labels_have_no_quantiles(bank_of):
    bank_of(Q)
    pd.DataFrame({"id": range(60), "load": ["no", "yes"] * 30}).to_csv(
        "train.csv", index=False
    )
    with pytest.raises(FileError, match="holds labels, which have no quantiles"):
        read_bank("oof", "train.csv:load", quantiles=LEVELS)


def test_missing_values_are_refused_by_line(bank_of):
    def lose(table):
        table.loc[3, "q0.5"] = np.nan
        return table

    with pytest.raises(FileError, match=r"line 5.*missing or NaN"):
        bank_of(Q, lose)


def test_problems_are_told_of_quantiles_too(bank_of):
    bank_of(Q)
    assert find_problems("oof", "train.csv:load") == []
    np.savetxt("oof/cleo.csv", bank_of.quantiles["ben"] + 9.0, delimiter=",",
               header=",".join(Q), comments="")  # fmt: skip
    found = find_problems("oof", "train.csv:load")
    assert any(
        "the quantiles of the target alone would have" in f.problem for f in found
    )
    found = find_problems("oof", "train.csv:load", quantiles=[0.1, 0.5])
    assert {finding.level for finding in found} == {"error"}


def test_new_rows_have_the_levels_of_the_blend(bank_of):
    bank_of(Q)
    found = read_predictions("oof", ["ben", "anna"], levels=LEVELS)
    both = [bank_of.quantiles[name] for name in ("ben", "anna")]
    assert_array_equal(found.P, np.hstack(both))
    with pytest.raises(FileError, match="expected one for each of the quantile levels"):
        read_predictions("oof", ["ben", "anna"], levels=[0.2, 0.5, 0.8])
