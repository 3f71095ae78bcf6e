"""F7: a worker process dies; what was finished is kept, the killer is named."""

from collections import Counter

import joblib
import numpy as np
import pytest

from ensemblekit import _shipping
from ensemblekit._tasks import run_tasks
from ensemblekit.exceptions import MemberError

from ..crossfit import tasks as work
from ..crossfit.tasks import make_tasks

KILLER = 7


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("distributed")
    with work.dask_client() as client:
        yield client


@pytest.fixture(params=["loky", "dask"])
def backend(request):
    if request.param == "dask":
        client = request.getfixturevalue("cluster")
        client.wait_for_workers(2, timeout=180)
    with joblib.parallel_config(request.param):
        yield request.param


def report(tried, survived):
    print(f"F7: tried {tried} survived {survived} lost {tried - survived}")


def count_calls(folder):
    return Counter(int(path.name.split("-")[0]) for path in folder.glob("*-*"))


def test_a_death_once_costs_only_tasks_in_flight(backend, tmp_path):
    tasks = make_tasks()
    arguments = (str(tmp_path), KILLER)
    outcomes = run_tasks(work.log_and_die, arguments, tasks, n_jobs=2)
    assert [outcome.result for outcome in outcomes] == list(range(20))
    calls = count_calls(tmp_path)
    assert calls[KILLER] == 2
    # Loky breaks as a whole: two tasks run and two are queued. Dask may lose results
    # that its dead worker still held.
    assert sum(calls.values()) <= 20 + 4
    report(20, sum(outcome.state == "done" for outcome in outcomes))


def test_a_member_that_always_kills_is_dropped(backend):
    tasks = make_tasks(2, 5) if backend == "dask" else make_tasks()
    outcomes = run_tasks(work.die_at, (KILLER, None), tasks, n_jobs=2, on_error="drop")
    for task, outcome in zip(tasks, outcomes, strict=True):
        if task.name == "m1":
            assert outcome.state in ("done", "died", "skipped")
        else:
            assert (outcome.state, outcome.result) == ("done", task.number)
    assert outcomes[KILLER].state == "died"
    assert "worker process died" in str(outcomes[KILLER].error)
    survived = sum(outcome.state == "done" for outcome in outcomes)
    report(len(tasks), survived)
    # The next run has a healthy pool.
    X = np.arange(6000.0).reshape(-1, 6)
    again = run_tasks(work.project, (X, X[:, 0]), tasks, n_jobs=2)
    assert {outcome.state for outcome in again} == {"done"}


def test_a_member_that_always_kills_is_named():
    with pytest.raises(MemberError, match=r"'m1' failed in fold 3 of 5: .* died"):
        run_tasks(work.die_at, (KILLER, None), make_tasks(), n_jobs=2)


def test_two_members_that_kill_are_both_found(tmp_path, monkeypatch):
    monkeypatch.setattr(_shipping, "_roomy", lambda n_bytes: tmp_path)
    tasks = make_tasks(5, 2)
    outcomes = run_tasks(_die_at_two, (), tasks, n_jobs=2, on_error="drop")
    states = [outcome.state for outcome in outcomes]
    assert states[2] == states[6] == "died"
    assert [states[number] for number in (0, 1, 4, 5, 8, 9)] == ["done"] * 6
    assert not list(tmp_path.glob("ensemblekit-*"))


def _die_at_two(task):
    return work.die_at(task.number if task.number in (2, 6) else None, None, task)
