"""Entries of a cache: one file each, whole or not at all, and nothing executed."""

import json
import os
import stat
import struct
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._writing import whole

# A file is this preamble, a checksum of all else, a header in JSON, and the bytes of
# the arrays. By the size a torn file is refused before memory is taken for it.
_PREAMBLE = struct.Struct("<8sQQ")  # magic, size of file, size of header
_CHECKSUM = sha256().digest_size
_MAGIC = b"EKentry1"
_ALIGN = 64
_KINDS = "biufcSUmM"  # dtypes that are their bytes
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class Entry(NamedTuple):
    """What is stored under a key: arrays by name, and what JSON can hold."""

    arrays: dict[str, NDArray]
    meta: dict


def encode_entry(key: str, entry: Entry) -> list:
    """Return the parts of an entry's file, bytes or views of the arrays.

    Raises
    ------
    TypeError
        If an array holds objects or records, or `meta` what JSON does not know.
    """
    described: list = []
    blocks: list = []
    for name, array in entry.arrays.items():
        array = np.asarray(array, order="C")
        if array.dtype.kind not in _KINDS:
            raise TypeError(
                f"Array {name!r} has dtype {array.dtype}; expected numbers, text or "
                "times."
            )
        described.append([name, array.dtype.str, array.shape])
        block = array.reshape(-1).view(np.uint8).data
        blocks += [block, bytes(-len(block) % _ALIGN)]
    header = json.dumps({"key": key, "arrays": described, "meta": entry.meta}).encode()
    header += b" " * (-len(header) % _ALIGN)
    size = _PREAMBLE.size + _CHECKSUM + len(header) + sum(map(len, blocks))
    preamble = _PREAMBLE.pack(_MAGIC, size, len(header))
    return [preamble + _checksum(preamble, header, *blocks) + header, *blocks]


def _checksum(*parts):
    total = sha256()
    for part in parts:
        total.update(part)
    return total.digest()


def write_entry(path: Path, parts: list) -> None:
    """Write the parts, for their owner alone, and make them and their name durable.

    Raises
    ------
    OSError
        If that fails; `path` is as it was, and nothing is left beside it.
    """
    with whole(path) as beside:
        descriptor = os.open(beside, _CREATE, 0o600)
        try:
            _write_all(descriptor, parts)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    _sync_folder(path.parent)


def _write_all(descriptor, parts):
    for part in parts:
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _sync_folder(folder):
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_entry(path: Path, key: str) -> Entry:
    """Read the entry of a key.

    Raises
    ------
    OSError
        If the file is not there or cannot be read.
    ValueError
        If it is damaged, or another key's, or no entry at all.
    """
    with open(path, "rb", opener=_open_as_is) as file:
        head, body = _read_checked(file)
    try:
        header = json.loads(body[:head].tobytes())
        if header["key"] != key:
            raise ValueError("it belongs to another key")
        return Entry(_split(body, head, header["arrays"]), dict(header["meta"]))
    except (KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"its header is wrong: {error!r}") from error


def _open_as_is(path, flags):
    """Open, but follow no link and wait for no pipe."""
    careful = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return os.open(path, flags | careful)


def _read_checked(file):
    """Return the size of the header and all that follows the preamble."""
    status = os.fstat(file.fileno())
    regular = stat.S_ISREG(status.st_mode)
    start = file.read(_PREAMBLE.size + _CHECKSUM) if regular else b""
    if len(start) < _PREAMBLE.size + _CHECKSUM:
        raise ValueError("it is no entry, or cut short")
    magic, size, head = _PREAMBLE.unpack_from(start)
    if magic != _MAGIC or size != status.st_size:
        raise ValueError("it is no entry, or cut short")
    body = np.empty(size - len(start), np.uint8)
    n_read = file.readinto(body.data)
    checksum = _checksum(start[: _PREAMBLE.size], body.data)
    if n_read < len(body) or checksum != start[_PREAMBLE.size :]:
        raise ValueError("its checksum is wrong")
    return head, body


def _split(body, start, described):
    """Return the arrays as views of the bytes they were read into."""
    arrays = {}
    for name, dtype, shape in described:
        dtype = np.dtype(dtype)
        stop = start + _n_bytes(dtype, shape)
        if stop > len(body):
            raise ValueError("it has less than its header says")
        arrays[name] = body[start:stop].view(dtype).reshape(shape)
        start = stop + -stop % _ALIGN
    if start != len(body):
        raise ValueError("it has more than its header says")
    return arrays


def _n_bytes(dtype, shape):
    n_bytes = dtype.itemsize
    for length in shape:
        if type(length) is not int or length < 0:
            raise ValueError(f"it has an array of shape {shape}")
        n_bytes *= length
    if dtype.kind not in _KINDS:
        raise ValueError(f"it has an array of dtype {dtype}")
    return n_bytes
