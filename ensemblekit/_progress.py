"""Say how far a fit is: a line per finished task, and scikit-learn's callbacks."""

import sys
from contextlib import contextmanager, nullcontext
from time import monotonic

from joblib import effective_n_jobs
from joblib.logger import short_format_time

__all__ = ["FitCallbacks", "FitReport", "Progress"]

_PAUSE = 0.5  # seconds between two lines


class Progress:
    """Print tasks as they end; used as ``on_done`` of `run_tasks`.

    Parameters
    ----------
    verbose : int
        0 prints nothing; below 50 lines go to stderr, from 50 to stdout, as joblib's.
    n_workers : int, default=1
        Tasks under way at once, for the time left.
    """

    def __init__(self, verbose, n_workers=1):
        self._verbose = verbose
        self._n_workers = n_workers
        self._start = monotonic()
        self._last = -_PAUSE

    def __call__(self, task, outcome, n_done, n_tasks):
        """Print one line, at most every half second; the last and bad news always."""
        now = monotonic()
        quiet = now - self._last < _PAUSE and outcome.state in ("done", "skipped")
        if not self._verbose or (quiet and n_done < n_tasks):
            return
        self._last = now
        elapsed = now - self._start
        stream = sys.stderr if self._verbose < 50 else sys.stdout
        stream.write(
            f"[{n_done:{len(str(n_tasks))}d} of {n_tasks}] {task.name}, {task.where}: "
            f"{outcome.state} | elapsed: {short_format_time(elapsed).strip()}, left: "
            f"{short_format_time(self._estimate(elapsed, n_done, n_tasks)).strip()}\n"
        )
        stream.flush()

    def _estimate(self, elapsed, n_done, n_tasks):
        """Return seconds left, counting tasks under way as half done."""
        under_way = min(self._n_workers - 1, n_tasks - n_done) / 2
        return elapsed * (n_tasks - n_done - under_way) / (n_done + under_way)


class FitCallbacks:
    """The tree of a fit's tasks for scikit-learn's callbacks, told by the driver.

    The root is the fit, below it a node per member and one per other step, below a
    member a leaf per task. All hooks are called in the process of the fit, when its
    tasks end: workers may be on other hosts, which callbacks cannot reach. Used as a
    context manager inside of a fit that `_fit_context` decorates; itself an
    ``on_done`` of `run_tasks`. Whatever has begun is ended, also when the fit raises.

    Parameters
    ----------
    estimator : estimator
        Inherits from ``_sklearn.CallbackSupportMixin``.
    plan : list of (str, str)
        Member and place ("fold 2 of 5") of each task that may come, refits too.
    steps : tuple of str, default=()
        Other steps, such as ``"combiner"``.
    X, y, metadata : default=None
        What fit was given, for callbacks that ask.
    """

    def __init__(self, estimator, plan, steps=(), *, X=None, y=None, metadata=None):
        self._estimator = estimator
        self._data = {"X": X, "y": y, "metadata": metadata}
        self._places: dict[str, list[str]] = {}
        for name, where in plan:
            self._places.setdefault(name, []).append(where)
        self._branches = [*self._places, *steps]
        self._open: dict = {}  # nodes of members that have begun and not ended
        self._left = {name: len(places) for name, places in self._places.items()}
        self._reconstruct = None
        self.stopped = False

    def __enter__(self):
        self._root = self._estimator._init_callback_context(
            max_subtasks=len(self._branches), sequential_subtasks=False
        )
        self._root.call_on_fit_task_begin(estimator=self._estimator, **self._data)
        return self

    def __exit__(self, kind, error, trace):
        for name in list(self._open):
            self._end_member(name)
        attributes = self._reconstruct if kind is None else None
        self._root.call_on_fit_task_end(
            estimator=self._estimator,
            **self._data,
            reconstruction_attributes=attributes,
        )

    def __call__(self, task, outcome, n_done, n_tasks):
        """Tell of one task that has ended; return True if a callback asks to stop."""
        places = self._places[task.name]
        node = self._open.get(task.name) or self._begin_member(task.name, len(places))
        leaf = node.subcontext(task.where, task_id=places.index(task.where))
        leaf.call_on_fit_task_begin(estimator=self._estimator)
        self.stopped |= leaf.call_on_fit_task_end(estimator=self._estimator)
        self._left[task.name] -= 1
        if self._left[task.name] == 0:
            self._end_member(task.name)
        return self.stopped

    @contextmanager
    def step(self, name):
        """Tell of another step while it runs."""
        leaf = self._root.subcontext(name, task_id=self._branches.index(name))
        leaf.call_on_fit_task_begin(estimator=self._estimator)
        try:
            yield leaf
        finally:
            leaf.call_on_fit_task_end(estimator=self._estimator)

    def fitted(self, attributes):
        """Keep a function that returns the fitted attributes, for who asks."""
        self._reconstruct = attributes

    def _begin_member(self, name, n_tasks):
        node = self._root.subcontext(
            f"member {name}",
            task_id=self._branches.index(name),
            max_subtasks=n_tasks,
            sequential_subtasks=False,
        )
        self._open[name] = node
        return node.call_on_fit_task_begin(estimator=self._estimator)

    def _end_member(self, name):
        node = self._open.pop(name)
        self.stopped |= node.call_on_fit_task_end(estimator=self._estimator)


class FitReport:
    """What a fit tells of itself: lines if it is verbose, callbacks if it has some.

    A context manager around all of a fit, and an ``on_done`` of `run_tasks`. Nothing is
    told before `begin`, so that a fit that is refused tells nothing.

    Parameters
    ----------
    estimator : estimator
        The one whose fit this is; its `verbose` and `n_jobs` are read.
    steps : tuple of str, default=()
        Steps beside the members' tasks.
    callbacks : bool, default=True
        Whether the estimator's callbacks are told.
    X, y, metadata : default=None
        What fit was given.
    """

    def __init__(self, estimator, steps=(), *, callbacks=True, **data):
        self._estimator = estimator
        self._steps = steps
        self._data = data
        self._wanted = callbacks
        self._callbacks = None
        self._told: set[str] = set()
        self._lines = Progress(estimator.verbose, effective_n_jobs(estimator.n_jobs))

    def begin(self, plan):
        """Say which tasks may come: pairs of a member and a place."""
        if self._wanted:
            told = FitCallbacks(self._estimator, plan, self._steps, **self._data)
            self._callbacks = told.__enter__()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._callbacks is not None:
            self._callbacks.__exit__(*error)

    def __call__(self, task, outcome, n_done, n_tasks):
        """Tell of one task that has ended; return True if a callback asks to stop."""
        self._lines(task, outcome, n_done, n_tasks)
        if self._callbacks is None:
            return False
        return self._callbacks(task, outcome, n_done, n_tasks)

    def step(self, name):
        """Tell of another step while it runs, the first time it does."""
        if self._callbacks is None or name in self._told:
            return nullcontext()
        self._told.add(name)
        return self._callbacks.step(name)
