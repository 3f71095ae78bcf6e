"""Read and write npz files: whole or not at all, and nothing in them is executed."""

import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from ._writing import whole


def write_npz(path: Path, arrays: dict[str, NDArray]) -> None:
    """Write the arrays, whole or not at all."""
    with whole(path) as beside, open(beside, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_npz(path: Path) -> dict[str, NDArray]:
    """Read all arrays of an npz file, checking each header before memory is taken."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                entry.filename.removesuffix(".npy"): _read_entry(archive, entry)
                for entry in archive.infolist()
            }
    except (zipfile.BadZipFile, EOFError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path} cannot be read as an npz file of plain arrays: {error}"
        ) from error


def _read_entry(archive, entry):
    if entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"its entry {entry.filename} is compressed")
    with archive.open(entry) as file:
        version = npy_format.read_magic(file)
        read_header = {
            (1, 0): npy_format.read_array_header_1_0,
            (2, 0): npy_format.read_array_header_2_0,
        }.get(version)
        if read_header is None:
            raise ValueError(f"its entry {entry.filename} has npy version {version}")
        shape, _, dtype = read_header(file)
        declared = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
        if dtype.hasobject or declared != entry.file_size - file.tell():
            raise ValueError(f"its entry {entry.filename} holds objects or is damaged")
    with archive.open(entry) as file:
        return npy_format.read_array(file, allow_pickle=False)
