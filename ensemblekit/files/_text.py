"""Text files as bytes: gzip undone, lines counted, before anything parses them."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..exceptions import FileError
from ._open import MAX_ROWS, check_regular, system_errors

_CHUNK = 2**22
MAX_LINE = 2**20
_HEAD = 2**16
# A gzip stream of zeros shrinks a thousandfold; predictions in text shrink tenfold.
_MAX_RATIO = 200
_SMALL = 2**26
_BOM = b"\xef\xbb\xbf"


@dataclass
class Scan:
    """What one pass over the bytes tells."""

    head: list[str]
    n_lines: int


@contextmanager
def open_text(path: Path) -> Iterator:
    """Open as bytes behind gzip and the byte-order mark."""
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if packed else raw
        if stream.read(3) != _BOM:
            stream.seek(0)
        yield stream


def scan_lines(path: Path, max_rows: int | None = None) -> Scan:
    """Count lines and refuse what is no text of lines; nothing is kept but the head."""
    size = check_regular(path)
    limits = (MAX_ROWS if max_rows is None else max_rows, _SMALL + _MAX_RATIO * size)
    try:
        with system_errors(path), open_text(path) as stream:
            return _scan(path, stream, *limits)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FileError(
            path, None, f"is no whole gzip file ({error}).", "Write it again."
        ) from None


def _scan(path, stream, max_lines, max_bytes):
    head, n_lines, open_line, total, last = b"", 0, 0, 0, b"\n"
    while chunk := stream.read(_CHUNK if head else _HEAD):
        _check_bytes(path, chunk, n_lines, first=not head)
        if len(head) < _HEAD:
            head += chunk[:_HEAD]
        open_line = _check_lengths(path, chunk, n_lines, open_line)
        n_lines += chunk.count(b"\n")
        total, last = total + len(chunk), chunk[-1:]
        if n_lines > max_lines + 1:
            raise FileError(path, None, f"has more than {max_lines} rows.")
        if total > max_bytes:
            raise FileError(
                path, None, f"unpacks to more than {_MAX_RATIO} times its size."
            )
    if not head.strip():
        raise FileError(path, None, "is empty.", "Write the predictions again.")
    return Scan(
        _head_lines(path, head, whole=total <= _HEAD), n_lines + (last != b"\n")
    )


def _check_bytes(path, chunk, n_lines, first):
    if first and chunk[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FileError(path, None, "is UTF-16 text.", "Save it as UTF-8.")
    at = chunk.find(b"\0")
    if at >= 0:
        line = n_lines + chunk.count(b"\n", 0, at) + 1
        raise FileError(
            path, line, "has NUL bytes: it is no text.", "Save it as UTF-8 csv."
        )


def _check_lengths(path, chunk, n_lines, open_line):
    """Return the length so far of the line that the chunk leaves open."""
    ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == 10)
    if not len(ends):
        longest, left = np.array([open_line + len(chunk)]), open_line + len(chunk)
    else:
        longest = np.diff(ends, prepend=-1 - open_line)
        left = len(chunk) - 1 - int(ends[-1])
    if longest.max() > MAX_LINE or left > MAX_LINE:
        line = n_lines + (
            int(longest.argmax()) if longest.max() > MAX_LINE else len(ends)
        )
        raise FileError(
            path, line + 1, f"is longer than {MAX_LINE} characters: no csv line is."
        )
    return left


def _head_lines(path, head, whole):
    lines = head.splitlines()
    if not whole and len(lines) > 1:
        lines = lines[:-1]  # the last one may be cut
    return [_decode(path, line, number) for number, line in enumerate(lines, 1)]


def _decode(path, line, number):
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileError(
            path, number, f"is not UTF-8 text ({error.reason}).", "Save it as UTF-8."
        ) from None
