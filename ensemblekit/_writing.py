"""Files that appear whole or not at all: written beside their names, then renamed.

A writer that is killed leaves what was there, and beside it a hidden ``*.partial``.
"""

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import EISDIR
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a path beside `path`; what is written there is renamed at the end.

    On an error, be it an interrupt, `path` is as it was and nothing is beside it.

    Raises
    ------
    OSError
        If the system refuses; it names `path`, not the file beside it.
    """
    beside = _beside(path)
    try:
        with _renamed({beside: path}):
            yield beside
    except OSError as error:
        if error.errno is None or str(error.filename or beside) != str(beside):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def together(
    folder: Path, names: Iterable[str], outdated: Iterable[str] = ()
) -> Iterator[dict[str, Path]]:
    """Give paths beside several files; all are renamed once all are on the disk.

    Parameters
    ----------
    folder : Path
        Made where missing.
    names : iterable of str
        Of the files.
    outdated : iterable of str, default=()
        Files of an earlier run, removed: they would not belong to the others.

    Yields
    ------
    beside : dict of str to Path
        Where to write each file.

    Raises
    ------
    FileError
        If the folder cannot be written to; what was there is left as it was.
    """
    beside = {name: _beside(folder / name) for name in names}
    with _refused(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _renamed({path: folder / name for name, path in beside.items()}):
            yield beside
            for path in beside.values():
                _sync(path)  # a full disk is told here, before the renaming
        for name in outdated:
            (folder / name).unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write one text, whole or not at all."""
    with whole(path) as beside:
        beside.write_bytes(encode(text))


def write_texts(
    folder: Path, texts: Mapping[str, str], outdated: Iterable[str] = ()
) -> list[Path]:
    """Write texts to a folder, all or none; return their paths.

    outdated : files of an earlier run, removed

    Raises
    ------
    FileError
        As of `together`.
    """
    with together(folder, texts, outdated) as beside:
        for name, text in texts.items():
            beside[name].write_bytes(encode(text))
    return [folder / name for name in texts]


def encode(text: str) -> bytes:
    r"""Return a text as UTF-8; names in its gaps become references.

    Examples
    --------
    >>> encode("\udc80")
    b'&#56448;'
    """
    return text.encode("utf-8", "xmlcharrefreplace")


def prepare(folder: Path) -> None:
    """Refuse a folder that cannot be written to, before hours of work.

    Raises
    ------
    FileError
        If so.
    """
    with _refused(folder):
        probe(folder)


@contextmanager
def left_as_found(folder: Path) -> Iterator[None]:
    """On an error remove the folder and those above it, if they are new and empty."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    except BaseException:
        with suppress(OSError):  # the first that holds something ends it
            for path in new:
                path.rmdir()
        raise


def probe(folder: Path) -> None:
    """Make the folder, and write a file that is removed again.

    Raises
    ------
    OSError
        If that fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = _beside(folder / "probe")
    try:
        path.write_bytes(b"x")
        _sync(path)
    finally:
        _remove(path)


def reason(error: OSError) -> str:
    """Say in a few words why the system did not write.

    Examples
    --------
    >>> reason(NotADirectoryError(20, "Not a directory", "out/a.csv"))
    'a file is in the way'
    >>> reason(IsADirectoryError(21, "Is a directory", "out/a.csv"))
    'a.csv is a folder'
    >>> reason(OSError(28, "No space left on device"))
    'No space left on device'
    """
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "a file is in the way"
    if isinstance(error, IsADirectoryError) and error.filename:
        return f"{Path(error.filename).name} is a folder"
    return error.strerror or str(error)


def _beside(path):
    """Return a name that no other process and no other thread has."""
    suffix = f"{os.getpid()}.{secrets.token_hex(4)}.partial"
    return path.parent / f".{path.name}.{suffix}"


@contextmanager
def _renamed(names):
    """Rename files at the end, from keys to values, or remove them on an error."""
    for path in names.values():
        # Told before any is renamed: half of them would be new otherwise.
        if path.is_dir() and not path.is_symlink():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
    try:
        yield
        for beside, path in names.items():
            os.replace(beside, path)
    finally:
        for beside in names:
            _remove(beside)


def _remove(path):
    with suppress(OSError):  # its folder is none: nothing was made
        path.unlink(missing_ok=True)


def _sync(path):
    with open(path, "r+b") as file:
        os.fsync(file.fileno())


@contextmanager
def _refused(folder):
    """Turn errors of the system into one sentence on the folder."""
    try:
        yield
    except OSError as error:
        # It loads scikit-learn, which the parsers of the commands do without.
        from .exceptions import FileError

        raise FileError(
            folder,
            None,
            f"cannot be written to: {reason(error)}.",
            "Give another folder, or make room; nothing was changed.",
        ) from None
