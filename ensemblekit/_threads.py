"""One BLAS thread for the time of a fit, in a process whose threads share the limit."""

import threading
from functools import cache, wraps

from threadpoolctl import ThreadpoolController

__all__ = ["one_blas_thread"]

_lock = threading.Lock()
_inside = 0
_before: list[int] = []  # threads of each library, before the first call entered


def one_blas_thread(function):
    """Run a function with one BLAS thread.

    Many small products gain nothing from a second thread, and on a busy machine its
    spinning cost a factor of 8 to 70. Most libraries know one limit for the process:
    the last call to leave restores what the first one found.
    """

    @wraps(function)
    def limited(*args, **kwargs):
        found = _enter()
        try:
            return function(*args, **kwargs)
        finally:
            _leave(found)

    return limited


@cache
def _libraries():
    """Find the libraries once, which takes milliseconds: numpy and scipy load them."""
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _enter():
    global _inside, _before
    with _lock:
        found = [library.get_num_threads() for library in _libraries()]
        if _inside == 0:
            _before = found
        _inside += 1
        for library in _libraries():
            _set(library, 1)
    return found


def _leave(found):
    global _inside
    with _lock:
        _inside -= 1
        for library, own, shared in zip(_libraries(), found, _before, strict=True):
            if getattr(library, "threading_layer", "") == "openmp":
                _set(library, own)  # this thread's limit, nobody else's
            elif _inside == 0:
                _set(library, shared)


def _set(library, n_threads):
    """Set the limit from any thread, where threadpoolctl keeps it to one of them."""
    if n_threads is None:
        return
    release = getattr(library, "clear_controlling_thread", None)
    if release is None:
        library.set_num_threads(n_threads)
        return
    release(force=True)
    library.set_num_threads(n_threads)
    release(force=True)
