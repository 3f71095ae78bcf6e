"""Damaged files either give finite numbers or are refused as files."""

import numpy as np
import pandas as pd
import pytest

from ensemblekit import FileError
from ensemblekit.files import read_bank

from .hostile import IDS, N, csv_lines, good_values, npy_bytes, parquet_bytes, text
from .hostile import zip_bytes as make_zip

FORMATS = {
    "npy": npy_bytes(good_values()),
    "npz": make_zip([("oof.npy", npy_bytes(good_values()))]),
    "csv": text(csv_lines()),
    "parquet": parquet_bytes(pd.DataFrame({"id": IDS, "pred": good_values()})),
}


@pytest.mark.parametrize("suffix", FORMATS)
def test_flipped_and_cut_bytes(suffix, tmp_path):
    whole = FORMATS[suffix]
    (tmp_path / "train.csv").write_bytes(
        text(["id,target", *(f"{i},{i / 7}" for i in IDS)])
    )
    path = tmp_path / f"bad.{suffix}"
    rng = np.random.default_rng(len(whole))
    refused = []
    for _ in range(150):
        bad = bytearray(whole)
        for at in rng.integers(len(bad), size=rng.integers(1, 4)):
            bad[at] = rng.integers(256)
        if rng.random() < 0.2:
            bad = bad[: rng.integers(len(bad))]
        path.write_bytes(bytes(bad))
        try:
            library = read_bank(path, f"{tmp_path / 'train.csv'}:target").library
        except FileError as error:
            refused.append(error.file)
        else:
            assert library.P.shape == (N, library.n_members)
            assert np.isfinite(library.P).all()
    assert len(refused) >= 20
    assert set(refused) == {str(path)}
