"""Fits that are killed at random moments, and resumed; one JSON line per trial.

A process of its own: each trial forks it, warm, and kills the child.
"""

import json
import os
import signal
import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
import numpy as np
from sklearn.datasets import make_regression

from ensemblekit import AverageRegressor, StackedRegressor
from tests.crossfit.members import LoggedRegressor, count_lines

N_FOLDS, INTERRUPTED = 4, 42
N_TASKS = 3 * (N_FOLDS + 1)
X, y = make_regression(60, 4, noise=10.0, random_state=0)


def fit(folder, n_jobs):
    """Fit a stack of three members, with memory where there is a folder."""
    log = None if folder is None else os.path.join(folder, "fits.log")
    memory = None if folder is None else os.path.join(folder, "memory")
    members = [
        (name, LoggedRegressor(log, slope=float(number), sleep=0.003))
        for number, name in enumerate("abc")
    ]
    stacked = StackedRegressor(
        members,
        AverageRegressor(),
        cv=N_FOLDS,
        refit="all",
        memory=memory,
        random_state=0,
        n_jobs=n_jobs,
    )
    with joblib.parallel_config("threading"):
        return stacked.fit(X, y)


def start(folder, n_jobs):
    """Fit in a child process; it leaves by os._exit whatever comes."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            fit(folder, n_jobs)
            status = 0
        except KeyboardInterrupt:
            status = INTERRUPTED
        finally:
            os._exit(status)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    return child


def seconds_of_a_fit():
    """Time of an uninterrupted fit in a child."""
    with TemporaryDirectory() as folder:
        begin = time.perf_counter()
        _, status = os.waitpid(start(folder, 1), 0)
        assert status == 0
        assert count_lines(os.path.join(folder, "fits.log")) == N_TASKS
        return time.perf_counter() - begin


def whole_entries(folder):
    return len(list(Path(folder, "memory").glob("*.oof")))


def wait_for(log, n_begun):
    """Wait until so many members' fits have begun, at any speed of the machine."""
    limit = time.perf_counter() + 60.0
    while count_lines(log) < n_begun and time.perf_counter() < limit:
        time.sleep(2e-4)


def trial(sent, n_begun, delay, n_jobs, expected):
    """Kill a fit, resume it, and say what was lost."""
    with TemporaryDirectory() as folder:
        log = os.path.join(folder, "fits.log")
        child = start(folder, n_jobs)
        wait_for(log, n_begun)
        time.sleep(delay)
        os.kill(child, sent)
        killed = time.perf_counter()
        _, status = os.waitpid(child, 0)
        seconds = time.perf_counter() - killed
        begun, kept = count_lines(log), whole_entries(folder)
        resumed = fit(folder, 1)
        redone = count_lines(log) - begun
        same = np.array_equal(resumed.oof_predictions_, expected.oof_predictions_)
        same &= np.array_equal(resumed.predict(X), expected.predict(X))
    return {
        "signal": signal.Signals(sent).name,
        "n_jobs": n_jobs,
        "finished": os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0,
        "failed": os.WIFEXITED(status) and os.WEXITSTATUS(status) == 1,
        "seconds": seconds,
        "begun": begun,
        "kept": kept,
        "redone": redone,
        "same": bool(same),
        "n_tasks": N_TASKS,
    }


def main(n_trials):
    warnings.simplefilter("error")  # an entry that is not whole warns
    warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
    expected = fit(None, 1)
    length = min(seconds_of_a_fit() for _ in range(3))
    rng = np.random.default_rng(0)
    for number in range(n_trials):
        sent = (signal.SIGKILL, signal.SIGINT)[number % 2]
        n_jobs = 2 if number % 5 == 4 else 1
        n_begun, delay = rng.integers(N_TASKS + 1), rng.uniform(0.0, length / N_TASKS)
        print(json.dumps(trial(sent, n_begun, delay, n_jobs, expected)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
