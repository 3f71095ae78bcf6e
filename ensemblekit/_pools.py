"""Workers for a list of tasks: threads, loky's processes, dask's; one interface.

A pool has `submit(index)`, which returns a future of a `Done` or a `Failure`;
`window`, how many tasks to submit ahead; `deaths`, the errors by which a future says
that its worker is gone; `patience`, after how many of them a task is tried alone;
`kills`, whether running tasks can be ended; `reopen` and `close`.
"""

import queue
import threading
import traceback
import warnings
from concurrent.futures import BrokenExecutor, Future, wait
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from typing import Any, NamedTuple

from joblib import parallel_config
from joblib.externals.loky.process_executor import ShutdownExecutorError
from sklearn import config_context

from . import _shipping
from ._shipping import cloudpickle
from ._sklearn import Parallel
from ._threads import capped_threads

__all__ = ["DaskPool", "Failure", "Job", "LokyPool", "ThreadPool", "WorkerTraceback"]


class Job(NamedTuple):
    """What workers need; a task is named by its number."""

    function: Any
    shared: tuple
    tasks: list
    threads: int  # for each worker's libraries
    nested: tuple  # joblib's backend and n_jobs inside of tasks
    config: dict  # scikit-learn's
    filters: list  # of warnings, for other processes

    def run(self, index):
        """Return the function's result."""
        backend, n_jobs = self.nested
        with (
            config_context(**self.config),
            parallel_config(backend=backend, n_jobs=n_jobs),
            capped_threads(self.threads),
        ):
            return self.function(*self.shared, self.tasks[index])

    def attempt(self, index):
        """Return the result, or a `Failure`: exceptions may not survive the journey."""
        try:
            with _filtered_warnings(self.filters):
                return self.run(index)
        except BaseException as error:
            return Failure.of(error)


class WorkerTraceback(Exception):
    """Where in a worker an error was raised, as text."""

    def __str__(self):
        return f'\n"""\n{self.args[0]}"""'


class Failure(NamedTuple):
    """An error that can travel."""

    error: BaseException
    cause: BaseException | None
    text: str

    @classmethod
    def of(cls, error):
        """Keep what can be sent of an error; frames, which hold data, stay behind."""
        text = "".join(traceback.format_exception(error))
        cause = error.__cause__
        if not _can_travel(error):
            error = RuntimeError(f"{type(error).__name__}: {error}")
        return cls(error, cause if _can_travel(cause) else None, text)

    def rebuild(self):
        """Return the error, chained to its cause and to the text of its traceback."""
        last = self.error
        if self.cause is not None:
            last.__cause__ = last = self.cause
        last.__cause__ = WorkerTraceback(self.text)
        self.error.with_traceback(None)
        return self.error


def _can_travel(error):
    # Some exceptions are pickled but cannot be read again.
    try:
        cloudpickle.loads(cloudpickle.dumps(error))
    except Exception:
        return False
    return True


@contextmanager
def _filtered_warnings(filters):
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.filters = list(filters)
        yield


class ThreadPool:
    """Daemon threads, so that an interrupted program can end."""

    deaths = ()
    patience = 0
    kills = False

    def __init__(self, n_workers, job):
        self.window = n_workers
        self._job = job
        self._waiting: queue.SimpleQueue = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, daemon=True) for _ in range(n_workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, index):
        """Queue a task."""
        future: Future = Future()
        self._waiting.put((index, future))
        return future

    def close(self, kill=False):
        """End the threads; those in the middle of a task are left to finish."""
        if kill:
            with suppress(queue.Empty):
                while True:
                    self._waiting.get_nowait()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in [] if kill else self._threads:
            thread.join()

    def _work(self):
        while (item := self._waiting.get()) is not None:
            index, future = item
            try:
                future.set_result(self._job.run(index))
            except BaseException as error:
                future.set_exception(error)
            del item, future


class LokyPool:
    """The processes that joblib keeps between calls."""

    deaths = (BrokenExecutor, ShutdownExecutorError)
    patience = 2
    kills = True

    def __init__(self, n_workers, job):
        self.window = 2 * n_workers
        self._n_workers = n_workers
        self._flying: set = set()
        # Without a backend's name, so that its options in `parallel_config` hold.
        self._parallel = Parallel(n_jobs=n_workers)
        folder = self._parallel._backend_kwargs.get("temp_folder")
        self._path = _shipping.ship(job, folder)
        try:
            self._open()
        except BaseException:
            _shipping.remove(self._path)
            raise

    def _open(self):
        self._parallel = Parallel(n_jobs=self._n_workers).__enter__()

    def submit(self, index):
        """Queue a task."""
        try:
            future = self._parallel._backend._workers.submit(_work, self._path, index)
        except self.deaths as error:  # it broke since the last one
            future = Future()
            future.set_exception(error)
            return future
        self._flying.add(future)
        future.add_done_callback(self._flying.discard)
        return future

    def reopen(self):
        """Start new processes for those that died."""
        self._kill()
        self._open()

    def _kill(self):
        # This also removes the folders that joblib keeps for a pool's lifetime. There
        # are no workers if an interrupt came while they were being replaced.
        if getattr(self._parallel._backend, "_workers", None) is not None:
            self._hand_over()
            self._parallel._backend.abort_everything(ensure_ready=False)
        self._parallel.__exit__(None, None, None)

    def _hand_over(self):
        # loky's manager dies of a KeyError if it is told to kill the workers while it
        # holds tasks that it has not sent to them; it sends them within milliseconds.
        deadline = monotonic() + 1
        while any(_is_waiting(each) for each in list(self._flying)):
            if monotonic() > deadline:
                return
            sleep(0.001)

    def close(self, kill=False):
        """Give the processes back, or end them."""
        try:
            if kill:
                self._kill()
            else:
                self._parallel.__exit__(None, None, None)
        finally:
            _shipping.remove(self._path)


def _is_waiting(future):
    return not (future.running() or future.done())


def _work(path, index):
    return _shipping.fetch(path).attempt(index)


class DaskPool:
    """The workers of a dask client; they hold one copy of the data each."""

    patience = 1  # dask has tried four workers before it says so
    kills = False

    def __init__(self, n_workers, job, client):
        from distributed import CancelledError, KilledWorker

        self.deaths = (KilledWorker, CancelledError)
        self.window = 2 * n_workers
        self._client = client
        self._parcel = _shipping.Parcel(job)
        self._flying: set = set()
        self.reopen()

    def reopen(self):
        """Send the data (again: it may have died with the workers)."""
        for pause in (0.5, 1, 2, 4, None):
            try:
                self._data = self._client.scatter(
                    self._parcel, broadcast=True, hash=False
                )
                return
            except OSError:  # a worker that is just dying was sent a copy
                if pause is None:
                    raise
                sleep(pause)
                self._client.wait_for_workers(1, timeout=120)

    def submit(self, index):
        """Queue a task."""
        theirs = self._client.submit(_unpack, self._data, index, pure=False)
        self._flying.add(theirs)
        ours: Future = Future()
        theirs.add_done_callback(lambda _: self._settle(theirs, ours))
        return ours

    def _settle(self, theirs, ours):
        try:
            ours.set_result(theirs.result())
        except BaseException as error:
            ours.set_exception(error)
        self._flying.discard(theirs)

    def close(self, kill=False):
        """Cancel what is not done; dask lets running tasks finish."""
        if kill:
            self._client.cancel(list(self._flying))
        self._flying.clear()
        del self._data


def _unpack(parcel, index):
    return parcel.open().attempt(index)


def settle(futures):
    """Wait for all of a broken pool's futures, which fail at once."""
    wait(futures, timeout=30)
