"""Send one job to worker processes: its data once, in a file that they map."""

import mmap
import os
import pickle
import shutil
import struct
import tempfile
import threading
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from time import sleep

import numpy as np
from joblib.externals.loky.backend import resource_tracker

try:  # joblib's own copy where it has one: its workers know classes by it
    from joblib.externals import cloudpickle
except ImportError:
    import cloudpickle

__all__ = ["Parcel", "cloudpickle", "fetch", "remove", "ship"]

_SHARED_MEMORY = Path("/dev/shm")
_SMALL = 4096  # bytes; smaller arrays travel inside the pickle
_ALIGNED = 64
_TAIL = struct.Struct("<QQ")  # where the pickle begins, and where the index of buffers


class _Packer(cloudpickle.Pickler):
    def reducer_override(self, obj):
        """Make strided arrays whole, so that they leave the pickle as a buffer."""
        if type(obj) is np.ndarray and not obj.flags.forc and not obj.dtype.hasobject:
            return obj.copy(order="K").__reduce_ex__(5)
        if type(obj) is np.memmap and isinstance(obj.base, mmap.mmap):
            return _reduce_memmap(obj)
        return super().reducer_override(obj)


def _reduce_memmap(array):
    """Name the file of a mapped array, which workers can map themselves."""
    order = "C" if array.flags.c_contiguous else "F"
    if array.mode == "c" or array.filename is None:  # its changes are in memory only
        return np.array(array, order="K").__reduce_ex__(5)
    details = (array.dtype, "r", array.offset, array.shape, order)
    return np.memmap, (str(array.filename), *details)


def ship(job, folder=None):
    """Write a job, arrays outside the pickle; return the file's path.

    Whoever calls must `remove` it; if this process is killed, loky's resource tracker
    removes it.
    """
    stream, buffers = _pickle(job)
    n_bytes = stream.tell() + sum(buffer.raw().nbytes for buffer in buffers)
    home = tempfile.mkdtemp(prefix="ensemblekit-", dir=folder or _roomy(n_bytes))
    path = str(Path(home, "job"))
    try:
        resource_tracker.register(home, "folder")
        with open(path, "wb") as file:
            _write(file, stream, buffers)
    except BaseException:
        remove(path)
        raise
    return path


class Parcel:
    """A job in memory, for workers that share no disk."""

    def __init__(self, job):
        file = BytesIO()
        _write(file, *_pickle(job))
        self._bytes = np.frombuffer(file.getbuffer(), np.uint8)
        self._job = None

    def __reduce__(self):
        return _rebuild_parcel, (self._bytes,)

    def __sizeof__(self):
        return self._bytes.nbytes

    def open(self):
        """Return the job, read once per process."""
        with _lock:
            if self._job is None:
                self._bytes = _aligned(self._bytes)
                self._job = _read(self._bytes.data)
            return self._job


def _rebuild_parcel(blob):
    parcel = Parcel.__new__(Parcel)
    parcel._bytes, parcel._job = blob, None
    return parcel


def _aligned(blob):
    """Copy bytes at an odd address: sums of such arrays are rounded otherwise."""
    if blob.ctypes.data % _ALIGNED:
        room = np.empty(blob.size + _ALIGNED, np.uint8)
        start = -room.ctypes.data % _ALIGNED
        room[start : start + blob.size] = blob
        blob = room[start : start + blob.size]
    blob.flags.writeable = False  # as in a mapped file
    return blob


def remove(path):
    """Remove a shipped job; workers that have mapped it keep what they use."""
    home = str(Path(path).parent)
    shutil.rmtree(home, ignore_errors=True)
    resource_tracker.unregister(home, "folder")


def fetch(path):
    """Return the job, mapped once per process for as long as its file exists."""
    with _lock:
        if path not in _held:
            _held.clear()
            with open(path, "rb") as file:
                whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            _held[path] = _read(memoryview(whole))
            threading.Thread(target=_forget_later, args=(path,), daemon=True).start()
        return _held[path]


_lock = threading.Lock()
_held: dict[str, object] = {}


def _forget_later(path):
    """Idle workers live on for minutes; mapped pages must not."""
    while os.path.exists(path):
        sleep(0.5)
    with _lock:
        _held.pop(path, None)


def _pickle(job):
    """Return the pickle, and the large buffers that were left out of it."""
    buffers: list[pickle.PickleBuffer] = []
    stream = BytesIO()
    _Packer(stream, protocol=5, buffer_callback=_collect(buffers)).dump(job)
    return stream, buffers


def _collect(buffers):
    def keep_inside(buffer):
        if buffer.raw().nbytes < _SMALL:
            return True
        buffers.append(buffer)
        return False

    return keep_inside


def _roomy(n_bytes):
    """Prefer memory to a disk, as joblib does, where it is plenty."""
    chosen = os.environ.get("JOBLIB_TEMP_FOLDER")
    if (
        chosen is None
        and _SHARED_MEMORY.is_dir()
        and os.access(_SHARED_MEMORY, os.W_OK)
    ):
        with suppress(OSError):
            if shutil.disk_usage(_SHARED_MEMORY).free > 2 * n_bytes + 2**26:
                return _SHARED_MEMORY
    return chosen


def _write(file, stream, buffers):
    spans = []
    for buffer in buffers:
        file.write(bytes(-file.tell() % _ALIGNED))
        spans.append((file.tell(), file.write(buffer.raw())))
    start = file.tell()
    file.write(stream.getbuffer())
    index = file.tell()
    file.write(pickle.dumps(spans))
    file.write(_TAIL.pack(start, index))


def _read(whole):
    start, index = _TAIL.unpack(whole[-_TAIL.size :])
    spans = pickle.loads(whole[index : -_TAIL.size])
    parts = [whole[begin : begin + length] for begin, length in spans]
    return pickle.loads(whole[start:index], buffers=parts)
