"""Entries of a cache: one file each, whole or not at all, and nothing executed."""

import json
import os
import secrets
import stat
import struct
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# A file is this preamble, a header in JSON, and the bytes of the arrays. The checksum
# is over all that follows it; by the size a torn file is refused before it is read.
_PREAMBLE = struct.Struct("<8sQQ32s")  # magic, size of file, size of header, sha256
_MAGIC = b"EKentry1"
_ALIGN = 64
_KINDS = "biufcSUmM"  # dtypes that are their bytes
# A link is not followed, and a pipe is not waited for.
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_BINARY = getattr(os, "O_BINARY", 0)


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
    checksum = sha256(header)
    for block in blocks:
        checksum.update(block)
    size = _PREAMBLE.size + len(header) + sum(map(len, blocks))
    preamble = _PREAMBLE.pack(_MAGIC, size, len(header), checksum.digest())
    return [preamble + header, *blocks]


def write_entry(path: Path, parts: list) -> None:
    """Write the parts beside `path`, make them durable, then rename.

    Raises
    ------
    OSError
        If that fails; `path` is as it was, and nothing is left beside it.
    """
    suffix = f"{os.getpid()}.{secrets.token_hex(4)}.partial"
    partial = path.with_name(f".{path.name}.{suffix}")
    try:
        descriptor = os.open(partial, _CREATE | _BINARY, 0o600)
        try:
            _write_all(descriptor, parts)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(partial, path)
        _sync_folder(path.parent)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


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
    with open(os.open(path, _READ | _BINARY), "rb") as file:
        head, body = _read_checked(file)
    try:
        header = json.loads(body[:head].tobytes())
        if header["key"] != key:
            raise ValueError("it belongs to another key")
        return Entry(_split(body, head, header["arrays"]), dict(header["meta"]))
    except (KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"its header is wrong: {error!r}") from error


def _read_checked(file):
    """Return the size of the header and all that follows the preamble."""
    status = os.fstat(file.fileno())
    preamble = file.read(_PREAMBLE.size) if stat.S_ISREG(status.st_mode) else b""
    if len(preamble) < _PREAMBLE.size:
        raise ValueError("it is no entry, or cut short")
    magic, size, head, checksum = _PREAMBLE.unpack(preamble)
    if magic != _MAGIC or size != status.st_size or head > size:
        raise ValueError("it is no entry, or cut short")
    body = np.empty(size - _PREAMBLE.size, np.uint8)
    if file.readinto(body.data) < len(body) or sha256(body.data).digest() != checksum:
        raise ValueError("its checksum is wrong")
    return head, body


def _split(body, start, described):
    """Return the arrays as views of the bytes they were read into."""
    arrays = {}
    for name, dtype, shape in described:
        dtype = np.dtype(dtype)
        stop = start + _n_bytes(dtype, shape)
        if stop > len(body):
            raise ValueError(f"its array {name!r} is cut short")
        arrays[name] = body[start:stop].view(dtype).reshape(shape)
        start = stop + -stop % _ALIGN
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
