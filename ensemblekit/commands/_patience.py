"""A line on a terminal where nothing would be seen for more than two seconds."""

import sys
from contextlib import contextmanager
from threading import Timer

_SECONDS = 2.0


@contextmanager
def told_if_slow(what: str, seconds: float = _SECONDS):
    """Print a line to a terminal's standard error if the work takes longer."""
    if not sys.stderr.isatty():
        yield
        return
    timer = Timer(seconds, lambda: print(f"{what} ...", file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
