"""Tasks end the same way on any backend, and are sent their data once."""

import os
import threading
import time
import traceback
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from joblib.parallel import ThreadingBackend
from threadpoolctl import threadpool_info, threadpool_limits

from ensemblekit import _shipping
from ensemblekit._pools import Job, LokyPool, settle
from ensemblekit._tasks import Outcome, run_tasks
from ensemblekit.exceptions import MemberError

from . import tasks as work
from .tasks import Task, make_tasks

BACKENDS = [("loky", 1), ("threading", 2), ("threading", 4), ("loky", 2), ("own", 2)]
PARALLEL = ["threading", "loky"]


class OwnBackend(ThreadingBackend):
    """One that nobody has told us about."""


joblib.register_parallel_backend("own", OwnBackend)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(400, 30)), rng.normal(size=400)


@pytest.fixture
def folders(monkeypatch, tmp_path):
    """Say what is shipped and that nothing stays: bytes of each file written."""
    monkeypatch.setattr(_shipping, "_roomy", lambda n_bytes: tmp_path)
    sizes = []
    original = _shipping._write

    def write(file, *args):
        original(file, *args)
        sizes.append(file.tell())

    monkeypatch.setattr(_shipping, "_write", write)
    yield sizes
    assert not list(tmp_path.glob("ensemblekit-*"))


def states(outcomes):
    return [outcome.state for outcome in outcomes]


def assert_equal(left, right):
    for mine, theirs in zip(left, right, strict=True):
        assert mine.state == theirs.state == "done"
        np.testing.assert_array_equal(mine.result[0], theirs.result[0])
        assert mine.result[1] == theirs.result[1]


@pytest.mark.parametrize(("backend", "n_jobs"), BACKENDS)
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_results_are_those_of_a_loop(data, backend, n_jobs, order):
    X, y = data
    X = X[::2] if order == "strided" else np.asarray(X, order=order)
    tasks = make_tasks()
    expected = [Outcome(work.project(X, y, task), None, "done") for task in tasks]
    with joblib.parallel_config(backend):
        assert_equal(run_tasks(work.project, (X, y), tasks, n_jobs=n_jobs), expected)


@pytest.mark.parametrize("tasks", [[], make_tasks(1, 1)])
def test_nothing_and_one_task(tasks):
    done = run_tasks(work.fail_at, (None,), tasks, n_jobs=2)
    assert [outcome.result for outcome in done] == [task.number for task in tasks]


@pytest.mark.parametrize("backend", [None, "own", *PARALLEL])
def test_raise_names_the_member_and_shows_where(backend):
    n_jobs = 1 if backend is None else 2
    with joblib.parallel_config(backend or "loky"), pytest.raises(MemberError) as info:
        run_tasks(work.fail_at, (7,), make_tasks(), n_jobs=n_jobs)
    assert (info.value.member, info.value.where) == ("m1", "fold 3 of 5")
    assert isinstance(info.value.__cause__, RuntimeError)
    text = "".join(traceback.format_exception(info.value))
    assert "in fail_at" in text
    assert 'raise RuntimeError("member boom")' in text


@pytest.mark.parametrize("backend", [None, *PARALLEL])
def test_drop_keeps_the_rest(backend):
    seen = []

    def on_done(task, outcome, n_done, n_tasks):
        seen.append((task.number, n_done, n_tasks, threading.current_thread().name))

    n_jobs = 1 if backend is None else 2
    tasks = make_tasks(8)
    with joblib.parallel_config(backend or "loky"):
        outcomes = run_tasks(
            work.fail_at, (5,), tasks, n_jobs=n_jobs, on_error="drop", on_done=on_done
        )
    assert states(outcomes)[5] == "failed"
    assert outcomes[5].error.member == "m1"
    assert outcomes[5].error.__traceback__ is None  # frames would keep the data
    assert "member boom" in "".join(traceback.format_exception(outcomes[5].error))
    for task, outcome in zip(tasks, outcomes, strict=True):
        if task.name != "m1":
            assert outcome == Outcome(task.number, None, "done")
    assert "skipped" in states(outcomes)
    assert sorted(number for number, *_ in seen) == list(range(len(tasks)))
    assert [n_done for _, n_done, *_ in seen] == list(range(1, len(tasks) + 1))
    assert {name for *_, name in seen} == {"MainThread"}


@pytest.mark.parametrize("backend", [None, *PARALLEL])
def test_other_errors_are_not_dropped(backend):
    n_jobs = 1 if backend is None else 2
    with joblib.parallel_config(backend or "loky"), pytest.raises(TypeError):
        run_tasks(work.fail_at, (), make_tasks(), n_jobs=n_jobs, on_error="drop")


@pytest.mark.parametrize("backend", [None, *PARALLEL])
def test_no_task_is_started_after_the_time_limit(backend):
    n_jobs = 1 if backend is None else 2
    run = partial(run_tasks, n_jobs=n_jobs, time_limit=1.0)
    with joblib.parallel_config(backend or "loky"):
        run_tasks(work.fail_at, (None,), make_tasks(), n_jobs=n_jobs)  # start workers
        begin = time.monotonic()
        outcomes = run(work.wait_for_some, (2.5, range(4, 99)), make_tasks())
        seconds = time.monotonic() - begin
    assert states(outcomes[:4]) == ["done"] * 4
    assert set(states(outcomes[4:])) <= {"done", "late"}
    assert states(outcomes[4:]).count("done") <= (0 if backend == "loky" else 2)
    assert seconds < (2.4 if backend == "loky" else 4.5)


def test_a_callback_can_stop_the_run():
    outcomes = run_tasks(
        work.fail_at, (None,), make_tasks(), on_done=lambda *args: args[2] == 3
    )
    assert states(outcomes) == ["done"] * 3 + ["late"] * 17


def test_what_on_done_raises_ends_the_run(folders):
    def on_done(*args):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_tasks(work.fail_at, (None,), make_tasks(), n_jobs=2, on_done=on_done)


@pytest.mark.parametrize("backend", PARALLEL)
def test_threads_are_capped_and_restored(backend):
    threads = max(1, joblib.cpu_count() // 2)
    with threadpool_limits(joblib.cpu_count()):
        before = [library["num_threads"] for library in threadpool_info()]
        with joblib.parallel_config(backend):
            outcomes = run_tasks(work.count_threads, (), make_tasks(), n_jobs=2)
        assert [library["num_threads"] for library in threadpool_info()] == before
    for outcome in outcomes:
        assert max(outcome.result, default=1) <= threads


@pytest.mark.parametrize("backend", PARALLEL)
def test_configuration_and_warning_filters_reach_workers(backend):
    def look(task):
        import warnings

        return sklearn.get_config()["enable_metadata_routing"], warnings.filters[0][0]

    with (
        joblib.parallel_config(backend),
        sklearn.config_context(enable_metadata_routing=True),
    ):
        outcomes = run_tasks(look, (), make_tasks(), n_jobs=2)
    assert {outcome.result for outcome in outcomes} == {(True, "ignore")}


def nested(task):
    return run_tasks(work.fail_at, (None,), make_tasks(), n_jobs=2)


@pytest.mark.parametrize("outer", PARALLEL)
def test_runs_inside_of_parallel_tasks(outer):
    with joblib.parallel_config(outer):
        inner = joblib.Parallel(n_jobs=2)(
            joblib.delayed(nested)(None) for _ in range(3)
        )
        ours = run_tasks(nested, (), make_tasks(2, 2), n_jobs=2)
    for outcomes in [*inner, *(outcome.result for outcome in ours)]:
        assert [outcome.result for outcome in outcomes] == list(range(20))


def frames():
    table = pd.DataFrame(np.arange(60_000.0).reshape(-1, 6), columns=list("abcdef"))
    table["text"] = pd.Series(["x", "yy"] * 5000, dtype=object)
    table["kind"] = pd.Categorical(["p", "q"] * 5000)
    return {
        "pandas": table,
        "polars": pl.from_pandas(table.drop(columns="text")),
        "sparse": sp.random_array((3000, 50), density=0.2, format="csr", rng=0),
        "list": [[1.0, "a"], [2.0, "b"]] * 100,
    }


@pytest.mark.parametrize("kind", ["pandas", "polars", "sparse", "list"])
def test_tables_arrive_as_they_are_and_once(kind, folders):
    X = frames()[kind]
    outcomes = run_tasks(work.describe, (X,), make_tasks(), n_jobs=2)
    for outcome in outcomes:
        assert outcome.result[0] is type(X)
        assert outcome.result[1] == repr(X)
    assert len(folders) == 1  # one file for all tasks


def test_arrays_are_written_once_and_mapped(folders):
    X = np.asfortranarray(np.random.default_rng(0).normal(size=(5000, 100)))
    outcomes = run_tasks(work.look_at_array, (X,), make_tasks(), n_jobs=2)
    for outcome in outcomes:
        assert outcome.result == (np.ndarray, False, True, 0)
    assert len(folders) == 1
    assert X.nbytes <= folders[0] <= 1.01 * X.nbytes


def test_mapped_files_are_not_written_again(folders, tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, np.arange(1e5).reshape(-1, 10))
    X = np.load(path, mmap_mode="r")
    outcomes = run_tasks(work.project, (X, X[:, 0]), make_tasks(), n_jobs=2)
    expected = run_tasks(work.project, (X, X[:, 0]), make_tasks())
    assert_equal(outcomes, expected)
    assert folders[0] < 0.2 * X.nbytes  # the view of one column


@pytest.mark.parametrize("on_error", ["raise", "drop"])
def test_results_that_cannot_be_sent_name_the_member(on_error, folders):
    run = partial(run_tasks, work.return_lock, (), make_tasks(), n_jobs=2)
    if on_error == "raise":
        with pytest.raises(MemberError, match=r"'m0' failed in fold 4 .* sent back"):
            run()
    else:
        outcome = run(on_error="drop")[3]
        assert outcome.state == "failed"
        assert "sent back" in str(outcome.error)


def test_members_that_cannot_be_sent_are_named(folders):
    tasks = make_tasks()
    tasks[6] = Task("m1", threading.Lock(), 6)
    with pytest.raises(MemberError, match=r"'m1' .* cannot be sent to worker"):
        run_tasks(work.fail_at, (None,), tasks, n_jobs=2)
    outcomes = run_tasks(work.fail_at, (None,), tasks, n_jobs=2, on_error="drop")
    assert states(outcomes)[:6] == ["done"] * 5 + ["skipped"]
    assert states(outcomes)[6] == "failed"
    with pytest.raises(TypeError, match="pickle"):
        run_tasks(work.fail_at, (threading.Lock(),), make_tasks(), n_jobs=2)


def test_one_worker_costs_nothing():
    tasks = make_tasks(10, 5)
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        run_tasks(work.fail_at, (None,), tasks)
        seconds.append(time.perf_counter() - begin)
    assert min(seconds) < 50 * 1e-4


def test_workers_let_go_of_the_data():
    X = np.zeros((1000, 1000))
    run_tasks(work.describe, (X,), make_tasks(), n_jobs=2)
    begin = time.monotonic()
    while time.monotonic() - begin < 10:
        held = run_tasks(_count_held, (), make_tasks(), n_jobs=2)
        if all(outcome.result == 1 for outcome in held):
            return
        time.sleep(0.2)
    raise AssertionError("a worker still holds an old job")


def _count_held(task):
    return len(_shipping._held)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc")
def test_runs_leave_no_file_open(folders):
    run_tasks(work.fail_at, (None,), make_tasks(), n_jobs=2)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        run_tasks(work.fail_at, (None,), make_tasks(), n_jobs=2)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_the_folder_of_the_configuration_is_used(tmp_path):
    folder = tmp_path / "chosen"
    folder.mkdir()
    seen = []

    def look(*args):
        seen.extend(folder.glob("ensemblekit-*/job"))

    with joblib.parallel_config("loky", n_jobs=2, temp_folder=str(folder)):
        run_tasks(work.fail_at, (None,), make_tasks(), on_done=look)
        assert seen
        assert not list(folder.glob("ensemblekit-*"))


def test_pools_killed_at_once_leave_no_thread_in_trouble(monkeypatch):
    problems = []
    monkeypatch.setattr(threading, "excepthook", problems.append)
    job = Job(work.fail_at, (None,), make_tasks(1, 4), 1, (None, 1), {}, [])
    for _ in range(30):
        pool = LokyPool(2, job)
        futures = [pool.submit(index) for index in range(4)]
        pool.close(kill=True)
        settle(futures)
        assert all(future.done() for future in futures)
    assert not problems
