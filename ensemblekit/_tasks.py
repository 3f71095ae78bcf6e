"""Run one flat list of (member, fold) tasks: any backend, and faults survived."""

import math
import pickle
import warnings
from collections import Counter, deque
from concurrent.futures import FIRST_COMPLETED, wait
from time import monotonic
from typing import Any, NamedTuple

from joblib import cpu_count, effective_n_jobs
from joblib.parallel import ThreadingBackend, get_active_backend
from sklearn import get_config

from ._pools import DaskPool, Failure, Job, LokyPool, ThreadPool, settle
from ._shipping import cloudpickle
from ._sklearn import Parallel, delayed
from .exceptions import MemberError

__all__ = ["Outcome", "run_tasks"]


class Outcome(NamedTuple):
    """How a task ended.

    ``state`` is ``"done"`` (there is a result), ``"failed"`` (the function raised a
    `MemberError`), ``"died"`` (its worker process did, when it ran alone),
    ``"skipped"`` (another task of the member had failed), or ``"late"``.
    """

    result: Any
    error: MemberError | None
    state: str


def run_tasks(
    function,
    shared,
    tasks,
    *,
    n_jobs=None,
    on_error="raise",
    time_limit=None,
    on_done=None,
):
    """Call ``function(*shared, task)`` for each task.

    Parameters
    ----------
    function : callable
        Picklable where workers are processes; raises `MemberError` for a fault of a
        member. Any other exception ends the run.
    shared : tuple
        What all tasks use; it is sent once. Workers of other processes see read-only
        arrays.
    tasks : list
        Each with a ``name`` (the member's) and a ``where`` (for messages).
    n_jobs : int or None, default=None
        Workers, of the backend that `joblib.parallel_config` names. Of several, the
        libraries' own threads are capped so that workers x threads <= cores.
    on_error : {"raise", "drop"}, default="raise"
        Raise the first `MemberError`, or record it and skip the member's other tasks.
    time_limit : float or None, default=None
        Seconds after which no task is started; tasks in flight are ended where
        workers are loky's, awaited elsewhere.
    on_done : callable or None, default=None
        Called in this process as ``on_done(task, outcome, n_done, n_tasks)``, once per
        task, as tasks end. If it returns True, no other task is started: these are
        late.

    Returns
    -------
    outcomes : list of Outcome
        In the order of the tasks.

    Raises
    ------
    MemberError
        With ``on_error="raise"``; its cause is chained, wherever it was raised.

    Notes
    -----
    A task whose worker process dies is tried again with the others, and then alone,
    because nobody knows which of the tasks in flight was the cause; what was finished
    is kept. Interrupted or failed runs leave no process and no file behind. Of
    backends other than loky, threading and dask, results come all at the end, and a
    dead worker is theirs to handle.
    """
    tasks = list(tasks)
    run = _Run(tasks, on_error, time_limit, on_done)
    backend, _ = get_active_backend()
    kind = type(backend).__name__
    workers = effective_n_jobs(n_jobs)
    # A dask cluster with one worker is still where the user wants the work done.
    if min(workers, len(tasks)) <= 1 and kind != "DaskDistributedBackend":
        _run_here(run, function, shared)
    else:
        job = _describe_job(function, shared, tasks, min(workers, len(tasks)), backend)
        if kind in _POOLS:
            _run_in_pool(run, _POOLS[kind], backend, workers, job)
        else:
            _run_elsewhere(run, n_jobs, job)
    run.end()
    return run.outcomes


class _Run:
    """The tasks still to do, and what has become of the others."""

    def __init__(self, tasks, on_error, time_limit, on_done):
        self.tasks = tasks
        self.outcomes: list[Any] = [None] * len(tasks)
        self.waiting = deque(range(len(tasks)))
        self.suspects: deque[int] = deque()  # to be tried alone
        self._deaths: Counter[int] = Counter()
        self._failed: set[str] = set()
        self._raises = on_error == "raise"
        self._deadline = math.inf if time_limit is None else monotonic() + time_limit
        self._on_done = on_done
        self._n_done = 0
        self._stopped = False

    def take(self, alone):
        """Return the number of the next task, or None; a suspect only `alone`."""
        while not self._stopped and monotonic() < self._deadline:
            if self.waiting:
                index = self.waiting.popleft()
            elif self.suspects and alone:
                index = self.suspects.popleft()
            else:
                break
            if self.tasks[index].name not in self._failed:
                return index
            self._finish(index, Outcome(None, None, "skipped"))
        return None

    def seconds_left(self):
        """Return None without a limit."""
        if math.isinf(self._deadline):
            return None
        return max(0.0, self._deadline - monotonic())

    def done(self, index, result):
        """Record a result, or the failure that came instead."""
        if isinstance(result, Failure):
            self.failed(index, result.rebuild())
        else:
            self._finish(index, Outcome(result, None, "done"))

    def failed(self, index, error, state="failed"):
        """Record a member's fault, or raise it; anything else is raised."""
        if self._raises or not isinstance(error, MemberError):
            raise error
        self._failed.add(self.tasks[index].name)
        if error.__traceback__ is not None:  # its frames would keep the data alive
            error = Failure.of(error).rebuild()
        self._finish(index, Outcome(None, error, state))

    def lost(self, indices, patience, cause, alone):
        """Try tasks again whose worker died, together or alone."""
        for index in reversed(indices):
            self._deaths[index] += 1
            if alone and self._deaths[index] > 1:
                self.failed(index, self._describe_death(index, cause), "died")
            elif self._deaths[index] < patience:
                self.waiting.appendleft(index)
            else:
                self.suspects.appendleft(index)

    def end(self):
        """Mark what was not finished in time."""
        for index, outcome in enumerate(self.outcomes):
            if outcome is None:
                late = self.tasks[index].name not in self._failed
                state = "late" if late else "skipped"
                self._finish(index, Outcome(None, None, state))

    def _finish(self, index, outcome):
        self.outcomes[index] = outcome
        self._n_done += 1
        if self._on_done is None:
            return
        if self._on_done(self.tasks[index], outcome, self._n_done, len(self.tasks)):
            self._stopped = True

    def _describe_death(self, index, cause):
        task = self.tasks[index]
        error = MemberError(
            task.name,
            task.where,
            f"its worker process died {self._deaths[index]} times, the last time with "
            "no other task beside it. Out of memory, or a crash in compiled code, are "
            "the usual causes: try fewer n_jobs, or fit the member alone.",
        )
        error.__cause__ = cause
        return error


def _run_here(run, function, shared):
    while (index := run.take(alone=True)) is not None:
        try:
            result = function(*shared, run.tasks[index])
        except MemberError as error:
            run.failed(index, error)
        else:
            run.done(index, result)


def _describe_job(function, shared, tasks, workers, backend):
    threads = max(1, cpu_count() // workers)
    nested = backend.get_nested_backend()
    if type(backend).__name__ == "DaskDistributedBackend":
        nested = ThreadingBackend(nesting_level=1), None
    filters = list(warnings.filters)
    return Job(function, tuple(shared), tasks, threads, nested, get_config(), filters)


def _open_loky(run, backend, workers, job):
    try:
        return LokyPool(workers, job)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        _blame_unsendable(run, error)
        return LokyPool(workers, job._replace(tasks=_sendable(run)))


def _blame_unsendable(run, error):
    """Find the tasks that cannot be pickled; without any, the error is another's."""
    found = False
    for index, task in enumerate(run.tasks):
        try:
            cloudpickle.dumps(task)
        except Exception as reason:
            found = True
            problem = f"it cannot be sent to worker processes: {reason}"
            blame = MemberError(task.name, task.where, problem)
            blame.__cause__ = reason
            run.waiting.remove(index)
            run.failed(index, blame)
    if not found:
        raise error


def _sendable(run):
    """Leave out tasks that have failed already, which nobody will ask for."""
    pairs = zip(run.tasks, run.outcomes, strict=True)
    return [task if outcome is None else None for task, outcome in pairs]


_POOLS = {
    "LokyBackend": _open_loky,
    "ThreadingBackend": lambda run, backend, workers, job: ThreadPool(
        min(workers, len(run.tasks)), job
    ),
    "DaskDistributedBackend": lambda run, backend, workers, job: DaskPool(
        workers, job, backend.client
    ),
}


def _run_in_pool(run, open_pool, backend, workers, job):
    pool = open_pool(run, backend, workers, job)
    try:
        with backend.retrieval_context():
            in_time = _drive(run, pool)
    except BaseException:
        pool.close(kill=True)
        raise
    pool.close(kill=not in_time)


def _drive(run, pool):
    """Keep the pool busy; return False if time is up before all tasks have ended."""
    flying: dict = {}
    while True:
        _submit(run, pool, flying)
        if not flying:
            return True
        limit = run.seconds_left()
        ready = _wait(flying, limit)
        if not ready:
            if pool.kills:
                return False
            ready = _wait(flying, None)
        _collect(run, pool, flying, ready)


def _wait(flying, limit):
    """Wait in short turns: Ctrl-C may wake another thread, or none on Windows."""
    end = math.inf if limit is None else monotonic() + limit
    while True:
        turn = min(0.2, max(0.0, end - monotonic()))
        ready = wait(flying, timeout=turn, return_when=FIRST_COMPLETED).done
        if ready or monotonic() >= end:
            return ready


def _submit(run, pool, flying):
    while len(flying) < pool.window:
        index = run.take(alone=not flying)
        if index is None:
            return
        flying[pool.submit(index)] = index


def _collect(run, pool, flying, ready):
    """Record the futures that are ready; of a broken pool, all of them."""
    alone = len(flying) == 1
    lost, cause = [], None
    if pool.kills and any(isinstance(f.exception(), pool.deaths) for f in ready):
        settle(flying)
        ready = list(flying)
    for future in sorted(ready, key=flying.__getitem__):
        index = flying.pop(future)
        error = future.exception()
        if error is None:
            run.done(index, future.result())
        elif isinstance(error, pool.deaths):
            lost.append(index)
            cause = error
        elif isinstance(pool, ThreadPool):
            run.failed(index, error)
        else:
            run.failed(index, _describe_transport(run.tasks[index], error))
    if lost:
        pool.reopen()
        run.lost(lost, pool.patience, cause, alone)


def _describe_transport(task, error):
    problem = f"its result cannot be sent back from the worker: {error}"
    described = MemberError(task.name, task.where, problem)
    described.__cause__ = error
    return described


def _run_elsewhere(run, n_jobs, job):
    """Leave tasks to a backend of which joblib knows more than we do."""
    taken = []

    def dispatch():
        while (index := run.take(alone=True)) is not None:
            taken.append(index)
            yield delayed(job.attempt)(index)

    results = Parallel(n_jobs=n_jobs)(dispatch())
    for index, result in zip(taken, results, strict=True):
        run.done(index, result)
