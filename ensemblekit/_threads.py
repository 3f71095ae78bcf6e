"""Fewer threads for a while, in a process whose threads share the limit."""

import sys
import threading
from contextlib import contextmanager
from functools import cache, wraps

from threadpoolctl import ThreadpoolController

__all__ = ["capped_threads", "one_blas_thread"]

_lock = threading.Lock()
# By the library's file: threads it had before the first caller, and the limits asked
# for by those who are inside.
_before: dict[str, int] = {}
_limits: dict[str, list[int]] = {}


def one_blas_thread(function):
    """Run a function with one BLAS thread.

    Many small products gain nothing from a second thread, and on a busy machine its
    spinning cost a factor of 8 to 70. Most libraries know one limit for the process:
    the last call to leave restores what the first one found.
    """

    @wraps(function)
    def limited(*args, **kwargs):
        found = _enter(_libraries(), 1)
        try:
            return function(*args, **kwargs)
        finally:
            _leave(found, 1)

    return limited


@contextmanager
def capped_threads(limit):
    """Cap the threads of BLAS and OpenMP libraries, never above what they are allowed.

    Callers at once, in threads of one process, do not disturb each other: the lowest
    of their limits holds, and the last to leave restores what the first one found.
    """
    found = _enter(_all_libraries(len(sys.modules)), limit)
    try:
        yield
    finally:
        _leave(found, limit)


@cache
def _libraries():
    """Find the libraries once, which takes milliseconds: numpy and scipy load them."""
    return ThreadpoolController().select(user_api="blas").lib_controllers


_scanned: tuple[int, list] = (0, [])


def _all_libraries(n_modules):
    """Find them again where more modules are loaded: members bring their own."""
    global _scanned
    if _scanned[0] != n_modules:
        _scanned = (n_modules, ThreadpoolController().lib_controllers)
    return _scanned[1]


def _enter(libraries, limit):
    """Set the limit; return each library with the threads found."""
    with _lock:
        found = [
            (library, threads)
            for library in libraries
            if (threads := library.get_num_threads()) is not None
        ]
        for library, threads in found:
            limits = _limits.setdefault(library.filepath, [])
            if not limits:
                _before[library.filepath] = threads
            limits.append(limit)
            _set(library, min(threads, limit))
    return found


def _leave(found, limit):
    with _lock:
        for library, own in found:
            limits = _limits[library.filepath]
            limits.remove(limit)
            if _is_openmp(library):
                _set(library, own)  # this thread's limit, nobody else's
            else:
                _set(library, min([_before[library.filepath], *limits]))


def _is_openmp(library):
    layer = getattr(library, "threading_layer", "")
    return "openmp" in (library.user_api, layer)


def _set(library, n_threads):
    """Set the limit from any thread, where threadpoolctl keeps it to one of them."""
    release = getattr(library, "clear_controlling_thread", None)
    if release is None:
        library.set_num_threads(n_threads)
        return
    release(force=True)
    library.set_num_threads(n_threads)
    release(force=True)
