"""npy and npz files: the header first, never objects, never more than it says."""

import mmap
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from ..exceptions import FileError
from ._ids import ID_NAMES
from ._names import strip_roles
from ._open import MAX_CELLS, check_regular, system_errors
from ._parts import LazyArray

_MAX_ENTRIES = 1000
_LONGEST_ID = 4 * 256  # bytes; a sign takes four
_READERS = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}
_ADVICE = "Save plain numbers with numpy.save(path, array)."


def read_npy(path: Path) -> dict[str, LazyArray]:
    """Read the header of an npy file; the array is memory-mapped when it is loaded."""
    size = check_regular(path)
    with system_errors(path), open(path, "rb") as file:
        shape, fortran, dtype = _read_header(path, file, "")
        offset = file.tell()
    declared = _n_values(shape) * dtype.itemsize
    if declared != size - offset:
        raise FileError(
            path,
            None,
            f"is damaged: its header says {declared} bytes of numbers, but "
            f"{size - offset} follow.",
            "Write it again.",
        )

    def load() -> NDArray:
        # numpy.memmap takes ten times as long, which counts for parts of many files.
        with system_errors(path), open(path, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if len(mapped) != size:
            raise FileError(path, None, "changed while it was read.", "Try again.")
        flat = np.frombuffer(mapped, dtype=dtype, offset=offset)
        return flat.reshape(shape, order="F" if fortran else "C")

    return {"": LazyArray(path, "", shape, dtype, True, load)}


def read_npz(path: Path) -> dict[str, LazyArray]:
    """Read the headers of all arrays of an npz file."""
    check_regular(path)
    try:
        with system_errors(path), zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_entries(path, entries)
            arrays = {_key(e): _read_entry(path, archive, e) for e in entries}
    except _ZIP_ERRORS as error:
        raise _damaged(path, error) from None
    if all(array.dtype.kind == "U" for array in arrays.values()):
        raise FileError(path, None, f"holds {list(arrays)}, no numbers.", _ADVICE)
    return arrays


_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    UnicodeError,
    OverflowError,
)


def _damaged(path, error):
    return FileError(
        path, None, f"is no npz file of plain arrays: {error}.", "Write it again."
    )


def _key(entry):
    return entry.filename.removesuffix(".npy")


def _check_entries(path, entries):
    if not entries or len(entries) > _MAX_ENTRIES:
        raise FileError(
            path, None, f"holds {len(entries)} arrays; expected 1 to {_MAX_ENTRIES}."
        )
    names = [entry.filename for entry in entries]
    strangers = [
        name
        for name in names
        if not name.endswith(".npy") or set(name) & set("/\\") or ".." in name
    ]
    if strangers or len(set(names)) < len(names):
        what = strangers[:3] or "a name twice"
        raise FileError(path, None, f"is no npz file of arrays: it holds {what}.")


def _read_entry(path, archive, entry):
    bare = strip_roles(_key(entry), {"oof", "test", "train"}).lower()
    where, ids = f"{entry.filename}: ", bare in (*ID_NAMES, "ids")
    with archive.open(entry) as file:
        shape, fortran, dtype = _read_header(path, file, where, ids)
        declared = _n_values(shape) * dtype.itemsize
        follow = entry.file_size - file.tell()
    if declared != follow or max(_n_values(shape), declared // 8) > MAX_CELLS:
        raise FileError(
            path,
            None,
            f"{entry.filename} is damaged: its header says {declared} bytes of "
            f"numbers, the archive {follow}.",
            "Write it again.",
        )

    def load() -> NDArray:
        try:
            with (
                system_errors(path),
                zipfile.ZipFile(path) as again,
                again.open(entry) as stream,
            ):
                _read_header(path, stream, "", ids)
                flat = _read_exactly(path, stream, declared, dtype)
        except _ZIP_ERRORS as error:
            raise _damaged(path, error) from None
        if ids:
            _check_text(path, where, flat)
        return flat.reshape(shape, order="F" if fortran else "C")

    return LazyArray(path, _key(entry), shape, dtype, False, load)


def _read_exactly(path, stream, size, dtype):
    """The archive's directory may lie about the size: take what comes, no more."""
    parts, left = [], size
    while left:
        part = stream.read(min(left, 2**20))
        if not part:
            raise FileError(path, None, "is cut short.", "Write it again.")
        parts.append(part)
        left -= len(part)
    return np.frombuffer(b"".join(parts), dtype=dtype)


def _check_text(path, where, flat):
    """Numbers that are no letters would fail later, where nobody expects it."""
    if flat.dtype.kind != "U":
        return
    codes = flat.view(flat.dtype.byteorder + "u4") if flat.dtype.itemsize else flat
    halves = (codes >= 0xD800) & (codes < 0xE000)
    if (codes > 0x10FFFF).any() or halves.any():
        raise FileError(path, None, f"{where}holds what is no text.", "Write it again.")


def _read_header(path, file, where, ids=False):
    try:
        version = npy_format.read_magic(file)
        if version not in _READERS:
            raise ValueError(f"npy version {version}")
        shape, fortran, dtype = _READERS[version](file)
        shape = tuple(int(length) for length in shape)
    except FileError:
        raise
    except _ZIP_ERRORS as error:
        raise _damaged(path, error) from None
    except Exception as error:  # the header is text that numpy parses in many ways
        short = str(error).split("\n")[0][:100]
        raise FileError(
            path, None, f"{where}is no npy file ({short}).", _ADVICE
        ) from None
    _check_header(path, shape, dtype, where, ids)
    return shape, fortran, dtype


def _check_header(path, shape, dtype, where, ids):
    if dtype.hasobject:
        raise FileError(
            path,
            None,
            f"{where}holds Python objects; such a file can run code and is never "
            "opened.",
            _ADVICE,
        )
    text = ids and dtype.kind == "U" and 0 < dtype.itemsize <= _LONGEST_ID
    if dtype.kind not in "fiub" and not text:
        raise FileError(path, None, f"{where}holds {dtype}, no numbers.", _ADVICE)
    if not 1 <= len(shape) <= (1 if text else 3) or min(shape) < 1:
        raise FileError(
            path,
            None,
            f"{where}has shape {shape}; expected (n,), (n, 1), (n, K) or "
            "(seeds, n, K).",
        )


def _n_values(shape):
    return int(np.prod(np.array(shape, dtype=object)))
