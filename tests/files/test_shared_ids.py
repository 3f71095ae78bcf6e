"""Ids whose column has no name of ids: found by what stands in both files."""

import numpy as np
import pandas as pd
import pytest

from ensemblekit import FileError
from ensemblekit.files import find_problems, read_bank
from ensemblekit.files._sample import find_sample_id

N, N_TEST = 60, 20
RNG = np.random.default_rng(4)
IDS = RNG.permutation(N) + 5000
TEST_IDS = RNG.permutation(N_TEST) + 9000
Y = RNG.normal(size=N)
P = Y + RNG.normal(size=N)
P_TEST = RNG.normal(size=N_TEST)
MIX, TEST_MIX = RNG.permutation(N), RNG.permutation(N_TEST)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "oof").mkdir()
    (tmp_path / "preds").mkdir()
    return tmp_path


def train_of(folder, **columns):
    columns = columns or {"session_id": IDS}
    frame = pd.DataFrame({**columns, "target": Y, "height": RNG.normal(size=N)})
    frame.to_csv(folder / "train.csv", index=False)
    return f"{folder / 'train.csv'}:target"


def member(folder, name="a", rows=MIX, **columns):
    columns = columns or {"session_id": IDS}
    frame = pd.DataFrame({**columns, "pred": P}).iloc[rows]
    frame.to_csv(folder / "oof" / f"{name}_oof.csv", index=False)


@pytest.mark.parametrize("kind", ["numbers", "texts"])
def test_a_column_of_the_same_distinct_values_is_the_id(folder, kind):
    ids = IDS if kind == "numbers" else np.array([f"s{i}" for i in IDS])
    spec = train_of(folder, session=ids)
    member(folder, session=ids)
    np.save(folder / "oof" / "b_oof.npy", P)
    bank = read_bank(folder / "oof", spec)
    np.testing.assert_array_equal(bank.library.P, np.column_stack([P, P]))
    assert bank.rules["a"] == "reordered by 'session'"
    assert bank.rules["b"] == "order of the file assumed"
    assert bank.target.id_column == "session"
    assert bank.ids.tolist() == ids.tolist()
    assert any("column 'session' holds the ids, as in" in note for note in bank.notes)


def test_beside_ids_of_the_target_that_the_file_lacks(folder):
    spec = train_of(folder, id=np.arange(N), session_id=IDS)
    member(folder)
    bank = read_bank(folder / "oof", spec)
    np.testing.assert_array_equal(bank.library.P[:, 0], P)
    assert bank.target.id_column == "id"
    assert bank.ids.tolist() == list(range(N))


def test_named_like_ids_and_with_other_values_is_refused(folder):
    spec = train_of(folder)
    ids = IDS.copy()
    ids[3] = 1
    member(folder, session_id=ids)
    with pytest.raises(FileError, match=r"lacks 1 of the 60 ids of .*train\.csv"):
        read_bank(folder / "oof", spec)
    (finding,) = find_problems(folder / "oof", spec)
    assert finding.level == "error"


def test_what_tells_no_rows_apart_is_no_id_and_it_is_said(folder):
    group = np.arange(N) % 4
    spec = train_of(folder, group=group, session=IDS)
    member(folder, rows=np.arange(N), group=group, session=IDS + 1)
    bank = read_bank(folder / "oof", spec)
    assert bank.ids is None
    assert any("['group', 'session'] stand in" in note for note in bank.notes)


def test_numbers_with_decimals_are_no_ids_by_their_values(folder):
    spec = train_of(folder, height_2=P)
    member(folder, height_2=P)
    assert read_bank(folder / "oof", spec).ids is None


def test_two_columns_of_two_orders_are_refused(folder):
    place = np.array([f"p{row}" for row in range(N)])
    spec = train_of(folder, session=IDS, place=place)
    member(folder, session=IDS, place=place[::-1])
    with pytest.raises(FileError, match="they put its rows in two orders"):
        read_bank(folder / "oof", spec)
    bank = read_bank(folder / "oof", spec, id="session")
    np.testing.assert_array_equal(bank.library.P[:, 0], P)
    member(folder, session=IDS, place=place)
    assert read_bank(folder / "oof", spec).target.id_column == "session"


def test_repeats_are_averaged_by_such_a_column(folder):
    spec = train_of(folder)
    parts = [
        pd.DataFrame({"session_id": IDS, "repeat": k, "pred": P + k}).iloc[rows]
        for k, rows in enumerate([MIX, MIX[::-1]])
    ]
    pd.concat(parts).to_csv(folder / "oof" / "a_oof.csv", index=False)
    bank = read_bank(folder / "oof", spec)
    np.testing.assert_allclose(bank.library.P[:, 0], P + 0.5)
    assert bank.rules["a"] == "mean of 2 repeats by 'session_id'"


def test_folds_of_a_shuffled_file(folder):
    spec = train_of(folder)
    np.save(folder / "oof" / "a_oof.npy", P)
    folds = pd.DataFrame({"session_id": IDS, "fold": np.arange(N) % 5}).iloc[MIX]
    folds.to_csv(folder / "folds.csv", index=False)
    bank = read_bank(folder / "oof", spec, folds=str(folder / "folds.csv"))
    np.testing.assert_array_equal(bank.library.folds, np.arange(N) % 5)


@pytest.mark.parametrize("oof_has_ids", [True, False])
@pytest.mark.parametrize("sample", [True, False])
def test_test_rows(folder, oof_has_ids, sample):
    spec = train_of(folder)
    if oof_has_ids:
        member(folder)
    else:
        np.save(folder / "oof" / "a_oof.npy", P)
    frame = pd.DataFrame({"session_id": TEST_IDS, "pred": P_TEST})
    frame.iloc[TEST_MIX].to_csv(folder / "preds" / "a_test.csv", index=False)
    given = None
    if sample:
        given = folder / "sample.csv"
        frame[["session_id"]].assign(target=0).to_csv(given, index=False)
    bank = read_bank(folder / "oof", spec, test=folder / "preds", sample=given)
    rows = np.arange(N_TEST) if sample else TEST_MIX
    np.testing.assert_array_equal(bank.test_ids, TEST_IDS[rows])
    np.testing.assert_array_equal(bank.library.P_test[:, 0], P_TEST[rows])
    np.testing.assert_array_equal(bank.library.P[:, 0], P)


def test_test_rows_without_ids_are_those_of_the_sample(folder):
    spec = train_of(folder)
    np.save(folder / "oof" / "a_oof.npy", P)
    np.save(folder / "preds" / "a_test.npy", P_TEST)
    sample = folder / "sample.csv"
    frame = pd.DataFrame({"session_id": TEST_IDS, "target": 0})
    frame.to_csv(sample, index=False)
    bank = read_bank(folder / "oof", spec, test=folder / "preds", sample=sample)
    assert bank.test_ids.tolist() == TEST_IDS.tolist()
    said = "has no ids; its rows are taken to stand in the order of"
    assert any(said in note for note in bank.notes)
    frame.iloc[1:].to_csv(sample, index=False)
    with pytest.raises(FileError, match="has 20 rows; expected 19"):
        read_bank(folder / "oof", spec, test=folder / "preds", sample=sample)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["session_id", "target"], "session_id"),
        (["target", "session_id"], "session_id"),
        (["date", "id", "target"], "id"),
        (["image", "cat", "dog"], "image"),
        (["cat", "dog"], None),
        (["p_cat", "p_dog", "image"], "image"),
        (["big_cat", "target"], "big_cat"),
        (["target"], None),
        (["image", "prediction"], "image"),
        (["prediction", "image"], "image"),
        (["key", "row", "target"], "row"),
    ],
)
def test_the_id_of_a_sample_is_its_first_column_of_no_predictions(names, expected):
    given = "row" if "row" in names else None
    assert find_sample_id(names, given, "target", ["cat", "dog"]) == expected
