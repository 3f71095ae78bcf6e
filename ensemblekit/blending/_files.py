"""Text of csv files, and several files written together: all or none."""

import csv
import io
import os
from pathlib import Path

import numpy as np

from ..exceptions import FileError

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(columns: dict) -> str:
    """Return columns as csv; floats keep all digits, NaN is an empty cell.

    Text that a spreadsheet would run as a formula gets a leading ``'``.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([escape(name) for name in columns])
    writer.writerows(zip(*(_cells(column) for column in columns.values()), strict=True))
    return buffer.getvalue()


def escape(text) -> str:
    """Return text that no spreadsheet runs; numbers stay as they are."""
    text = str(text)
    if not text.startswith(_FORMULA) or _is_number(text):
        return text
    return "'" + text


def escape_notes(ids, file: str) -> list[str]:
    """Say how many ids, if any, `to_csv` does not write as they are."""
    column = np.asarray([] if ids is None else ids)
    given = column.tolist() if column.dtype.kind not in "fiub" else []
    odd = [text for text in given if escape(text) != text]
    if not odd:
        return []
    return [
        f"{file}: {len(odd)} ids begin with a sign that spreadsheets take for a "
        f"formula, and are escaped: {odd[0]!r} is written as {escape(odd[0])!r}"
    ]


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _cells(column):
    column = np.asarray(column)
    if column.dtype.kind == "f":
        return ["" if np.isnan(value) else repr(value) for value in column.tolist()]
    if column.dtype.kind in "iub":
        return column.tolist()
    return [escape(value) for value in column.tolist()]


def write_all(folder: Path, texts: dict[str, str]) -> list[Path]:
    """Write files beside their names, then rename all; on an error none is there.

    Raises
    ------
    FileError
        If the folder cannot be written to; what was there is left as it was.
    """
    partial = {name: folder / f".{name}.{os.getpid()}.partial" for name in texts}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            _write(partial[name], text)
        for name in texts:
            os.replace(partial[name], folder / name)
    except OSError as error:
        raise _unwritable(folder, error) from None
    finally:
        for path in partial.values():
            _remove(path)
    return [folder / name for name in texts]


def prepare(folder: Path) -> None:
    """Refuse a folder that cannot be written to, before hours of work.

    Raises
    ------
    FileError
        If so.
    """
    probe = folder / f".probe.{os.getpid()}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(probe, "x")
    except OSError as error:
        raise _unwritable(folder, error) from None
    finally:
        _remove(probe)


def _write(path, text):
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # a full disk is told here, before the renaming


def _remove(path):
    try:
        path.unlink(missing_ok=True)
    except OSError:  # the folder is no folder: nothing was made
        return


def _unwritable(folder, error):
    in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
    reason = "a file is in the way" if in_the_way else error.strerror or str(error)
    return FileError(
        folder,
        None,
        f"cannot be written to: {reason}.",
        "Give another folder, or make room; nothing was changed.",
    )
