"""Probabilities rounded by hand still sum to 1 as far as rounding lets them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensemblekit import FileError
from ensemblekit.files import read_bank
from ensemblekit.files._values import summed_to_one, sums_to_one


@given(
    st.integers(2, 40), st.sampled_from([2, 3, 4, 6]), st.integers(0, 99), st.booleans()
)
def test_what_rounding_makes_of_probabilities_is_let_pass(n_classes, digits, seed, f4):
    exact = np.random.default_rng(seed).dirichlet(np.ones(n_classes), 50)
    rounded = exact.round(digits).astype(np.float32 if f4 else np.float64)
    assert sums_to_one(rounded).all()
    sums = summed_to_one(rounded).sum(axis=1, dtype=np.float64)
    assert (np.abs(sums - 1) < 1e-3).all()


@pytest.mark.parametrize(
    ("row", "fits"),
    [
        ([0.333, 0.333, 0.333], True),
        ([0.334, 0.334, 0.334], False),  # 3 halves of the last digit are 0.0015
        ([0.33, 0.33, 0.33], True),
        ([0.33, 0.33, 0.32], False),
        ([0.3331, 0.3331, 0.3327], False),  # no rounding explains it
        ([0.3331, 0.3331, 0.3328], True),
        ([0.0, 0.0, 0.0], False),
        ([1.0, 1.0, 0.0], False),
        ([0.5, 0.3, 0.19], True),
        ([0.5, 0.3, 0.1], False),
    ],
)
def test_no_more_than_rounding(row, fits):
    assert sums_to_one(np.array([row])).tolist() == [fits]


def test_rows_that_sum_to_one_stay_as_they_are():
    values = np.array([[0.2, 0.3, 0.5], [0.1, 0.2, 0.7005]])
    assert summed_to_one(values) is values


@pytest.fixture
def folder(tmp_path):
    ids, y = np.arange(40), np.arange(40) % 3
    pd.DataFrame({"id": ids, "y": y}).to_csv(tmp_path / "train.csv", index=False)
    (tmp_path / "oof").mkdir()
    return tmp_path


@pytest.mark.parametrize("kind", ["csv", "npy"])
def test_files_of_rounded_probabilities(folder, kind):
    exact = np.random.default_rng(0).dirichlet(np.ones(3), 40)
    rounded = exact.round(3)
    rounded[7] = 0.333
    if kind == "csv":
        frame = pd.DataFrame(rounded, columns=["0", "1", "2"])
        frame.to_csv(folder / "oof" / "a_oof.csv", index_label="id")
    else:
        np.save(folder / "oof" / "a_oof.npy", rounded)
    bank = read_bank(folder / "oof", f"{folder / 'train.csv'}:y")
    np.testing.assert_allclose(bank.library.P[7], 1 / 3, rtol=1e-12)
    others = np.arange(40) != 7
    np.testing.assert_allclose(bank.library.P[others], exact[others], atol=2e-3)
    said = [note for note in bank.notes if "divided by their sums" in note]
    assert len(said) == 1


def test_the_line_of_other_sums_is_named(folder):
    values = np.full((40, 3), 1 / 3)
    values[4] = 0.3
    frame = pd.DataFrame(values, columns=["0", "1", "2"])
    frame.to_csv(folder / "oof" / "a_oof.csv", index_label="id")
    with pytest.raises(
        FileError, match=r"the 3 probabilities sum to 0\.9, not"
    ) as told:
        read_bank(folder / "oof", f"{folder / 'train.csv'}:y")
    assert told.value.line == 6


@pytest.mark.parametrize("kind", ["csv", "npy"])
def test_raw_scores_are_told_how_to_be_ranks(folder, kind):
    y = np.arange(40) % 2
    pd.DataFrame({"id": np.arange(40), "y": y}).to_csv(folder / "train.csv")
    if kind == "csv":
        pd.DataFrame({"pred": y * 3.0}).to_csv(folder / "oof" / "a_oof.csv")
    else:
        np.save(folder / "oof" / "a_oof.npy", y * 3.0)
    with pytest.raises(FileError, match=r"write ranks / n or a sigmoid of the scores"):
        read_bank(folder / "oof", f"{folder / 'train.csv'}:y")
