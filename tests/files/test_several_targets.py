"""Predictions of several targets: those of the target that is meant are read."""

import numpy as np
import pandas as pd
import pytest

from ensemblekit import FileError
from ensemblekit.files import read_bank

N, N_TEST = 60, 25
RNG = np.random.default_rng(5)
IDS, NEW = RNG.permutation(N), np.arange(N_TEST) + 500
TRUTH = pd.DataFrame(RNG.normal(size=(N, 3)), columns=["Cs", "Ga", "Hg"])
OOF = {name: TRUTH + RNG.normal(size=(N, 3)) for name in ("lgbm", "xgb")}
TEST = {name: RNG.normal(size=(N_TEST, 3)) for name in ("lgbm", "xgb")}


def write(folder, oof=OOF, truth=TRUTH, ids=True):
    (folder / "oof").mkdir(exist_ok=True)
    own = pd.DataFrame({"id": IDS})
    own.join(truth).to_csv(folder / "train.csv", index=False)
    for name, frame in oof.items():
        shuffled = own.join(frame).sample(frac=1, random_state=1)
        if not ids:
            shuffled = shuffled.drop(columns="id")
        shuffled.to_csv(folder / "oof" / f"oof_{name}.csv", index=False)
    for name, values in TEST.items():
        frame = pd.DataFrame(values, columns=TRUTH.columns)[list(oof[name])]
        frame.insert(0, "id", NEW)
        frame.to_csv(folder / "oof" / f"sub_{name}.csv", index=False)


@pytest.mark.parametrize("target", TRUTH.columns)
def test_the_column_named_as_the_target_is_read(tmp_path, target):
    write(tmp_path)
    bank = read_bank(tmp_path / "oof", f"{tmp_path / 'train.csv'}:{target}")
    expected = np.column_stack([frame[target] for frame in OOF.values()])
    np.testing.assert_allclose(bank.library.P, expected)
    place = list(TRUTH).index(target)
    expected = np.column_stack([values[:, place] for values in TEST.values()])
    np.testing.assert_allclose(bank.library.P_test, expected)
    assert any(f"column {target!r} read, as the target" in note for note in bank.notes)


def test_labels(tmp_path):
    truth = (TRUTH > 0).astype(int)
    chance = {name: 1 / (1 + np.exp(-frame)) for name, frame in OOF.items()}
    for name in TEST:
        TEST[name][:] = RNG.random(TEST[name].shape)
    write(tmp_path, chance, truth)
    bank = read_bank(tmp_path / "oof", f"{tmp_path / 'train.csv'}:Ga")
    expected = np.column_stack([frame["Ga"] for frame in chance.values()])
    np.testing.assert_allclose(bank.library.P, expected)


def test_the_truth_beside_a_column_of_the_targets_file_proves_the_order(tmp_path):
    truth = TRUTH.drop(columns="Hg")
    frames = {name: truth.assign(Ga=frame["Ga"]) for name, frame in OOF.items()}
    write(tmp_path, frames, truth)
    for path in (tmp_path / "oof").glob("sub_*"):
        path.unlink()
    bank = read_bank(tmp_path / "oof", f"{tmp_path / 'train.csv'}:Cs")
    expected = np.column_stack([frame["Ga"] for frame in OOF.values()])
    np.testing.assert_allclose(bank.library.P, expected)
    assert "proved by 'Cs'" in bank.rules["lgbm"]
    write(tmp_path, frames, truth, ids=False)
    with pytest.raises(FileError, match="Are the rows in another order"):
        read_bank(tmp_path / "oof", f"{tmp_path / 'train.csv'}:Cs")


def test_a_column_named_as_a_prediction_is_one(tmp_path):
    frames = {name: TRUTH[["Cs"]].assign(pred=f["Cs"]) for name, f in OOF.items()}
    for frame in frames.values():
        frame.loc[3, "Cs"] += 1.0
    (tmp_path / "oof").mkdir()
    TRUTH.assign(pred=0.0, id=IDS).to_csv(tmp_path / "train.csv", index=False)
    for name, frame in frames.items():
        frame.assign(id=IDS).to_csv(tmp_path / "oof" / f"oof_{name}.csv", index=False)
    with pytest.raises(FileError, match="the truth in column 'Cs'"):
        read_bank(tmp_path / "oof", f"{tmp_path / 'train.csv'}:Cs")
