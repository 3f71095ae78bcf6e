"""Ctrl-C: back within 2 seconds, with no process and no file left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHILD = """
import os, sys, time
import joblib, numpy as np
from ensemblekit._tasks import run_tasks
from tests.crossfit.tasks import make_tasks, project, wait_long

backend, folder, n_jobs = sys.argv[1], sys.argv[2], int(sys.argv[3])
home = os.environ["JOBLIB_TEMP_FOLDER"]
X = np.arange(60_000.0).reshape(-1, 6)
try:
    with joblib.parallel_config(backend):
        run_tasks(wait_long, (folder, 30), make_tasks(), n_jobs=n_jobs)
except KeyboardInterrupt:
    left = [name for name in os.listdir(home) if name.startswith("ensemblekit-")]
    print("interrupted", left, flush=True)
again = run_tasks(project, (X, X[:, 0]), make_tasks(), n_jobs=n_jobs)
print({outcome.state for outcome in again}, flush=True)
"""


def start(backend, n_jobs, tmp_path):
    folder, home = tmp_path / "log", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    environment = {**os.environ, "JOBLIB_TEMP_FOLDER": str(home), "PYTHONPATH": ROOT}
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", CHILD, backend, folder, str(n_jobs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(list(folder.iterdir())) < n_jobs:
        assert time.monotonic() < deadline, "no task has begun"
        assert child.poll() is None, child.communicate()
        time.sleep(0.02)
    time.sleep(0.2)
    return child, home


def living(group):
    """Return the processes of a group, without those that are dead and not reaped."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            found.append(path.parent.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.parametrize("whole_group", [False, True], ids=["process", "terminal"])
@pytest.mark.parametrize(
    ("backend", "n_jobs"), [("loky", 2), ("threading", 2), ("sequential", 1)]
)
def test_an_interrupt_returns_at_once(backend, n_jobs, whole_group, tmp_path):
    child, home = start(backend, n_jobs, tmp_path)
    with child:
        interrupt_and_check(child, home, backend, whole_group)


def interrupt_and_check(child, home, backend, whole_group):
    begin = time.monotonic()
    (os.killpg if whole_group else os.kill)(child.pid, signal.SIGINT)
    line = child.stdout.readline().strip()
    seconds = time.monotonic() - begin
    print(f"{backend}: back after {seconds:.2f} s")
    assert line == "interrupted []"
    assert seconds < 2
    # Not by communicate(): the line after may be in the stream's buffer already.
    assert child.stdout.read().strip() == "{'done'}", child.stderr.read()
    assert child.wait(timeout=60) == 0
    assert_group_ends(child.pid)
    assert not list(home.iterdir())


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_killed_process_leaves_no_file(tmp_path):
    child, home = start("loky", 2, tmp_path)
    assert list(home.glob("ensemblekit-*"))
    child.kill()
    child.wait(timeout=10)
    for stream in (child.stdout, child.stderr):
        stream.close()
    os.killpg(child.pid, signal.SIGTERM)  # its workers are at tasks of 30 seconds
    assert_group_ends(child.pid)
    assert not list(home.glob("ensemblekit-*"))


def assert_group_ends(group):
    deadline = time.monotonic() + 10
    while living(group):
        assert time.monotonic() < deadline, f"still there: {living(group)}"
        time.sleep(0.05)
