"""Tasks on the workers of a dask cluster."""

import os
import signal
import threading
import time

import joblib
import numpy as np
import pytest

from ensemblekit._tasks import run_tasks
from ensemblekit.exceptions import MemberError

from . import tasks as work
from .tasks import make_tasks


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("distributed")
    with work.dask_client() as client:
        yield client


def test_dask_gives_what_a_loop_gives(cluster):
    rng = np.random.default_rng(0)
    for order in "CF":
        X = np.asarray(rng.normal(size=(501, 33)), order=order)
        with joblib.parallel_config("dask"):
            theirs = run_tasks(work.project, (X, X[:, 0]), make_tasks())
        for mine, other in zip(
            run_tasks(work.project, (X, X[:, 0]), make_tasks()), theirs, strict=True
        ):
            np.testing.assert_array_equal(mine.result[0], other.result[0])
            assert mine.result[1] == other.result[1]


def test_dask_names_the_member_and_shows_where(cluster):
    with joblib.parallel_config("dask"), pytest.raises(MemberError) as info:
        run_tasks(work.fail_at, (7,), make_tasks())
    assert (info.value.member, info.value.where) == ("m1", "fold 3 of 5")
    assert isinstance(info.value.__cause__, RuntimeError)
    assert "in fail_at" in str(info.value.__cause__.__cause__)


def test_dask_workers_cap_threads(cluster):
    with joblib.parallel_config("dask"):
        outcomes = run_tasks(work.count_threads, (), make_tasks())
    for outcome in outcomes:
        assert max(outcome.result, default=1) <= max(1, joblib.cpu_count() // 2)


def test_dask_leaves_late_tasks(cluster, tmp_path):
    with joblib.parallel_config("dask"):
        outcomes = run_tasks(
            work.wait_long, (str(tmp_path), 0.6), make_tasks(), time_limit=1.0
        )
    states = [outcome.state for outcome in outcomes]
    assert states.count("late") >= 10
    assert set(states) == {"done", "late"}


def test_an_interrupt_returns_at_once(cluster, tmp_path):
    sent = []

    def interrupt():
        deadline = time.monotonic() + 20
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    with joblib.parallel_config("dask"):
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            run_tasks(work.wait_long, (str(tmp_path), 2.5), make_tasks())
        assert time.monotonic() - sent[0] < 2
        again = run_tasks(work.fail_at, (None,), make_tasks())
    thread.join()
    assert [outcome.result for outcome in again] == list(range(20))
    assert len(list(tmp_path.iterdir())) <= 2 + 2  # the others were never begun
