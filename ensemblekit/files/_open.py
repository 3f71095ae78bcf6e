"""Regular files only: no device, pipe, folder, or link out of the given folder."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..exceptions import FileError

MAX_COLUMNS = 10_000
MAX_ROWS = 100_000_000
# Cells of one table in memory, 8 bytes each: 4 GiB.
MAX_CELLS = 2**29


def check_regular(
    path: Path, root: Path | None = None, known: dict[str, str] | None = None
) -> int:
    """Return the size in bytes; refuse all but regular files inside `root`.

    `known` keeps where folders really are, for calls on many files.
    """
    try:
        if root is not None and not _is_inside(path, root, known):
            raise FileError(
                path,
                None,
                "is a link out of the given folder.",
                "Copy the file there, or name it on its own.",
            )
        status = os.stat(path)
    except FileError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        raise unreadable(path, error) from None
    if not stat.S_ISREG(status.st_mode):
        raise FileError(path, None, f"is {_kind(status.st_mode)}, not a file.")
    if status.st_size == 0:
        raise FileError(path, None, "is empty.", "Write the predictions again.")
    return status.st_size


def _is_inside(path, root, known):
    known = {} if known is None else known
    folder, name = os.path.split(os.fspath(path))
    top = os.fspath(root)
    for each in (folder, top):
        if each not in known:
            known[each] = os.path.realpath(each)
    if os.path.islink(path):
        real = os.path.realpath(path, strict=True)
    else:
        real = os.path.join(known[folder], name)
    return real.startswith(os.path.join(known[top], ""))


def unreadable(path, error) -> FileError:
    """Say that the system gives no access."""
    reason = getattr(error, "strerror", None) or str(error)
    return FileError(path, None, f"cannot be read: {reason}.")


def check_size(path, n_rows: int, n_columns: int, max_rows: int | None = None) -> None:
    """Refuse what would not fit, before memory is taken."""
    if n_columns > MAX_COLUMNS:
        raise FileError(
            path, None, f"has {n_columns} columns; expected at most {MAX_COLUMNS}."
        )
    limit = MAX_ROWS if max_rows is None else max_rows
    if n_rows > limit:
        raise FileError(path, None, f"has {n_rows} rows; expected at most {limit}.")
    n_cells = n_rows * n_columns
    if n_cells > MAX_CELLS:
        raise FileError(
            path,
            None,
            f"has {n_rows} rows of {n_columns} columns, {n_cells * 8 / 1e9:.0f} GB; "
            f"expected at most {MAX_CELLS * 8 / 1e9:.1f} GB.",
            "Write one .npy file per member: it is memory-mapped.",
        )


@contextmanager
def system_errors(path) -> Iterator[None]:
    """Turn errors of the system into ours."""
    try:
        yield
    except OSError as error:
        raise unreadable(path, error) from None


def _kind(mode):
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"
