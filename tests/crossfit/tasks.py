"""Functions and tasks that workers of other processes can import."""

import logging
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_info

from ensemblekit.exceptions import MemberError


@contextmanager
def dask_client():
    """Two worker processes with a thread each."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


class Task(NamedTuple):
    name: str
    where: str
    number: int


def make_tasks(n_members=4, n_folds=5):
    return [
        Task(f"m{member}", f"fold {fold + 1} of {n_folds}", member * n_folds + fold)
        for member in range(n_members)
        for fold in range(n_folds)
    ]


def project(X, y, task):
    """Sensitive to the last bit, to the layout and to the task."""
    rows = np.arange(task.number, len(X), 3)
    return X[rows].sum(axis=0) * y[task.number], float(X[:, task.number % 2].sum())


def fail_at(number, task):
    if task.number == number:
        try:
            raise RuntimeError("member boom")
        except RuntimeError as error:
            raise MemberError(task.name, task.where, "it went wrong") from error
    return task.number


def die_at(number, marker, task):
    """Kill the worker process; once only, if a marker is given."""
    if task.number == number and not (marker and Path(marker).exists()):
        if marker:
            Path(marker).touch()
        time.sleep(0.2)  # let others begin, so that they are in flight
        os._exit(9)
    return task.number


def log_and_die(folder, number, task):
    """Leave a file per call, to count how often a task was begun."""
    Path(folder, f"{task.number}-{time.monotonic_ns()}").touch()
    return die_at(number, str(Path(folder, "marker")), task)


def wait_long(folder, seconds, task):
    Path(folder, str(task.number)).touch()
    time.sleep(seconds)
    return task.number


def wait_for_some(seconds, slow, task):
    time.sleep(seconds if task.number in slow else 0)
    return task.number


def count_threads(task):
    time.sleep(0.02)
    return [library["num_threads"] for library in threadpool_info()]


def describe(X, task):
    """Say what a worker sees of shared data."""
    return type(X), repr(X), os.getpid()


def look_at_array(X, task):
    return type(X), X.flags.writeable, X.flags.f_contiguous, X.ctypes.data % 64


def return_lock(task):
    import threading

    return threading.Lock() if task.number == 3 else task.number
