"""Files of one run, written beside their names and renamed together."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from ..blending._files import _remove, _unwritable


def write_together(
    folder: Path,
    writers: dict[str, Callable[[Path], None]],
    outdated: Iterable[str] = (),
) -> None:
    """Have each file written under another name, then rename all.

    Parameters
    ----------
    folder : Path
    writers : dict of str to callable
        File name to a function that writes to the path it is given.
    outdated : iterable of str, default=()
        Files of an earlier run, removed: they would not belong to the others.

    Raises
    ------
    FileError
        If the folder cannot be written to; no file of the run is there then.
    """
    partial = {name: folder / f".{name}.{os.getpid()}.partial" for name in writers}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, write in writers.items():
            write(partial[name])
            _sync(partial[name])
        for name in writers:
            os.replace(partial[name], folder / name)
        for name in outdated:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None
    finally:
        for path in partial.values():
            _remove(path)


def text(content: str) -> Callable[[Path], None]:
    """Return the writer of a text."""
    return data(content.encode("utf-8", "xmlcharrefreplace"))


def data(content: bytes) -> Callable[[Path], None]:
    """Return the writer of bytes."""
    return lambda path: _write(path, content)


def _write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def _sync(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())  # a full disk is told here, before the renaming
