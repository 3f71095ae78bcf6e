"""New predictions for a stored blend: of the test rows, never of the training rows."""

import numpy as np
import pandas as pd
import pytest

from ensemblekit import FileError, cli
from ensemblekit.files.predictions import read_predictions

RNG = np.random.default_rng(3)
OOF, TEST = RNG.normal(size=(60, 3)), RNG.normal(size=(20, 3))


def write(folder, name, values, first_id=0):
    ids = np.arange(len(values)) + first_id
    frame = pd.DataFrame({"id": ids, "y": values})
    folder.mkdir(exist_ok=True)
    frame.to_csv(folder / f"{name}.csv", index=False)


@pytest.fixture
def folder(tmp_path):
    """Out-of-fold and test files of a and b side by side."""
    for k, name in enumerate("ab"):
        write(tmp_path / "oof", f"oof_{name}", OOF[:, k])
        write(tmp_path / "oof", f"sub_{name}", TEST[:, k], 900)
    return tmp_path / "oof"


def test_the_test_files_are_read_and_not_those_beside_them(folder):
    found = read_predictions(folder, ["a", "b"])
    np.testing.assert_array_equal(found.P, TEST[:, :2])
    assert found.ids.tolist() == list(range(900, 920))
    assert any("out-of-fold files beside" in note for note in found.notes)


def test_several_members_of_one_pair_of_files(tmp_path):
    for name, values in (("oof_all", OOF), ("test_all", TEST)):
        pd.DataFrame(values, columns=list("abc")).to_csv(
            tmp_path / f"{name}.csv", index=False
        )
    found = read_predictions(tmp_path, ["c", "a", "b"])
    np.testing.assert_array_equal(found.P, TEST[:, [2, 0, 1]])


def test_a_member_that_lacks_its_test_file_is_named(folder):
    write(folder, "oof_c", OOF[:, 2])
    with pytest.raises(FileError, match=r"1 of 3 members lacks one \(\['c'\]\)"):
        read_predictions(folder, ["a", "b", "c"])


def test_an_out_of_fold_file_of_no_member_is_not_read(folder):
    write(folder, "oof_c", OOF[:, 2])
    np.testing.assert_array_equal(read_predictions(folder, ["a", "b"]).P, TEST[:, :2])


def test_test_files_that_pair_with_nothing_are_not_passed_by(tmp_path):
    for name in "ab":
        write(tmp_path / "oof", f"oof_{name}", OOF[:, 0])
        write(tmp_path / "oof", f"test_{name}_fold0", TEST[:, 0], 900)
    with pytest.raises(FileError, match=r"test_a_fold0.*pairs with no out-of-fold"):
        read_predictions(tmp_path / "oof", ["a", "b"])


def test_apply_on_the_folder_of_the_blend_gives_its_submission(
    folder, capsys, monkeypatch
):
    monkeypatch.chdir(folder.parent)
    write(folder.parent, "train", OOF[:, :2].mean(axis=1))
    options = ["--target", "train.csv:y", "--method", "mean", "-o", "out"]
    assert cli.main(["blend", "oof", *options]) == 0
    capsys.readouterr()
    assert cli.main(["apply", "out/weights.json", "oof", "-o", "new.csv"]) == 0
    assert "out-of-fold files beside" in capsys.readouterr().err
    written = (folder.parent / "out" / "submission.csv").read_bytes()
    assert (folder.parent / "new.csv").read_bytes() == written
