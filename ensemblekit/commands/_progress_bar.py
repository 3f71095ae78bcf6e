"""How far a blend is: a bar on a terminal, a line now and then elsewhere."""

import sys
import time

from ._common import printable

_BAR = 20
_WIDTH = 78
_PAUSE = 10.0  # seconds between two lines where there is no terminal


class Progress:
    """Tell of each fit, and of the time left, on standard error.

    On a terminal one line is rewritten and removed at the end; elsewhere, such as in a
    log file, a line is printed every ten seconds, so none for a short run.

    Parameters
    ----------
    clock : callable, default=time.perf_counter
        Returns seconds.
    """

    def __init__(self, clock=time.perf_counter):
        self._clock = clock
        self._on_terminal = sys.stderr.isatty()
        self._start = self._last = self._begun = clock()
        self._current = None
        self._took: dict[str, list[float]] = {}

    def __call__(self, done, total, name):
        """Tell that so many fits are done; name : ``method: where``, or empty."""
        now = self._clock()
        if self._current is not None:
            self._took.setdefault(self._current, []).append(now - self._begun)
        self._current, self._begun = name.partition(": ")[0], now
        if self._on_terminal:
            self._rewrite(done, total, name, now)
        elif done < total and now - self._last >= _PAUSE:
            self._last = now
            print(printable(self._tell(done, total, name, now)), file=sys.stderr)

    def _rewrite(self, done, total, name, now):
        line = ""
        if done < total:
            bar = "#" * (_BAR * done // total)
            line = f"[{bar:<{_BAR}}] {self._tell(done, total, name, now)}"
        print(
            f"\r\033[K{printable(line)[:_WIDTH]}", end="", file=sys.stderr, flush=True
        )

    def _tell(self, done, total, name, now):
        left = self._left(done, total)
        ahead = "" if left is None else f", {_clock_time(left)} left"
        return f"{done}/{total} {_clock_time(now - self._start)}{ahead}  {name}"

    def _left(self, done, total):
        """Return seconds left, None before each method was fitted once.

        Methods differ a thousandfold in time, so each goes by its own fits.
        """
        n_methods = len(self._took)
        if self._current not in self._took or total % n_methods:
            return None
        n_fits = total // n_methods
        rest = [(n_fits - len(took), took) for took in self._took.values()]
        return sum(n * sum(took) / len(took) for n, took in rest)


def _clock_time(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    )
