"""Rows that no member predicts are left out; where members differ, it is refused."""

import numpy as np
import pandas as pd
import pytest

from ensemblekit import FileError
from ensemblekit.files import find_problems, read_bank

N, N_NEW, CUT = 80, 12, 16
RNG = np.random.default_rng(2)
IDS = RNG.permutation(N) + 100
Y = RNG.normal(size=N)
FOLDS = np.arange(N) // CUT
P = Y[:, None] + RNG.normal(size=(N, 3))
LATE = np.arange(N) >= CUT


@pytest.fixture
def target(tmp_path):
    frame = pd.DataFrame({"id": IDS, "y": Y, "fold": FOLDS})
    frame.to_csv(tmp_path / "train.csv", index=False)
    (tmp_path / "oof").mkdir()
    return f"{tmp_path / 'train.csv'}:y"


def write(folder, name, kind, values, known=LATE):
    path = folder / "oof" / f"{name}_oof"
    empty = np.where(known, values, np.nan)
    frame = pd.DataFrame({"id": IDS, "pred": empty})
    if kind == "absent":
        frame[known].sample(frac=1, random_state=1).to_csv(f"{path}.csv", index=False)
    elif kind == "NaN":
        frame.sample(frac=1, random_state=2).to_csv(f"{path}.csv", index=False)
    elif kind == "parquet":
        frame.to_parquet(f"{path}.parquet", index=False)
    elif kind == "no ids":
        frame[["pred"]].to_csv(f"{path}.csv", index=False)
    else:
        np.save(f"{path}.npy", empty)


KINDS = ["absent", "NaN", "parquet", "npy"]


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_rows_that_all_members_lack_are_left_out(tmp_path, target, first, second):
    for k, kind in enumerate((first, second, "npy")):
        write(tmp_path, f"m{k}", kind, P[:, k])
    np.save(tmp_path / "oof" / "m0_test.npy", np.ones(N_NEW))
    for k in (1, 2):
        np.save(tmp_path / "oof" / f"m{k}_test.npy", np.zeros(N_NEW))
    bank = read_bank(tmp_path / "oof", target)
    np.testing.assert_allclose(bank.library.P, P[LATE])
    np.testing.assert_array_equal(bank.library.y, Y[LATE])
    np.testing.assert_array_equal(bank.ids, IDS[LATE])
    np.testing.assert_array_equal(bank.library.folds, FOLDS[LATE] - 1)
    assert bank.library.P_test.shape == (N_NEW, 3)
    said = [note for note in bank.notes if "no member predicts them" in note]
    assert said == [f"{tmp_path / 'train.csv'}: 16 of 80 rows are left out, for no "
                    "member predicts them"]  # fmt: skip
    findings = find_problems(tmp_path / "oof", target)
    assert not [finding for finding in findings if finding.level == "error"]


def test_without_any_ids(tmp_path):
    frame = pd.DataFrame({"y": Y})
    frame.to_csv(tmp_path / "train.csv", index=False)
    (tmp_path / "oof").mkdir()
    write(tmp_path, "a", "no ids", P[:, 0])
    write(tmp_path, "b", "npy", P[:, 1])
    bank = read_bank(tmp_path / "oof", f"{tmp_path / 'train.csv'}:y")
    np.testing.assert_allclose(bank.library.P, P[LATE, :2])
    np.testing.assert_array_equal(bank.library.y, Y[LATE])


@pytest.mark.parametrize("given", ["array", "file"])
def test_folds_that_were_given_are_those_of_the_rows_left(tmp_path, target, given):
    for k in range(2):
        write(tmp_path, f"m{k}", "absent", P[:, k])
    folds = np.arange(N) % 4
    frame = pd.DataFrame({"id": IDS, "fold": folds}).sample(frac=1, random_state=3)
    frame.to_csv(tmp_path / "folds.csv", index=False)
    given = folds if given == "array" else f"{tmp_path / 'folds.csv'}:fold"
    bank = read_bank(tmp_path / "oof", target, folds=given)
    np.testing.assert_array_equal(bank.library.folds, folds[LATE])


def test_probabilities_of_classes(tmp_path):
    y = RNG.integers(0, 3, N)
    frame = pd.DataFrame({"id": IDS, "y": y})
    frame.to_csv(tmp_path / "train.csv", index=False)
    (tmp_path / "oof").mkdir()
    chance = RNG.dirichlet(np.ones(3), (2, N))
    for k in range(2):
        values = np.where(LATE[:, None], chance[k], np.nan)
        if k:
            np.save(tmp_path / "oof" / "b_oof.npy", values)
            continue
        frame = pd.DataFrame(values, columns=["p_0", "p_1", "p_2"])
        frame.assign(id=IDS).to_csv(tmp_path / "oof" / "a_oof.csv", index=False)
    bank = read_bank(tmp_path / "oof", f"{tmp_path / 'train.csv'}:y")
    np.testing.assert_allclose(bank.library.P, np.hstack(chance)[LATE])


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_only_some_members_lack_are_refused(tmp_path, target, kind):
    write(tmp_path, "a", kind, P[:, 0])
    for known in (np.ones(N, dtype=bool), np.arange(N) >= CUT + 1):
        write(tmp_path, "b", "npy", P[:, 1], known)
        with pytest.raises(FileError, match=r"missing or NaN|lacks 16 of|is nan"):
            read_bank(tmp_path / "oof", target)
    errors = find_problems(tmp_path / "oof", target)
    assert [finding for finding in errors if finding.level == "error"]


def test_says_how_to_go_on(tmp_path, target):
    write(tmp_path, "a", "absent", P[:, 0])
    with pytest.raises(FileError, match=r"leave those that not all members predict"):
        read_bank(tmp_path / "oof", target)


def test_half_of_the_rows_are_too_many(tmp_path, target):
    for k in range(2):
        write(tmp_path, f"m{k}", "npy", P[:, k], np.arange(N) >= N // 2)
    with pytest.raises(FileError, match="is nan"):
        read_bank(tmp_path / "oof", target)


def test_a_further_missing_value_is_refused_by_its_line(tmp_path, target):
    for k in range(2):
        write(tmp_path, f"m{k}", "npy", P[:, k])
    values = np.where(LATE, P[:, 2], np.nan)
    frame = pd.DataFrame({"id": IDS, "pred": values, "more_pred": values})
    frame.loc[CUT + 4, "pred"] = np.nan
    frame.to_csv(tmp_path / "oof" / "m2_oof.csv", index=False)
    with pytest.raises(FileError, match=r"'pred' is missing or NaN \(1 such") as told:
        read_bank(tmp_path / "oof", target)
    assert told.value.line == CUT + 4 + 2
