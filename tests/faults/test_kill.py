"""F3: fits that are killed or interrupted at any moment go on where they were."""

import json
import os
import signal
import subprocess
import sys

import pytest

N_TRIALS = 50


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the driver forks")
def test_f3_killed_fits_resume(capsys):
    """Bit-equal to a fit that was left alone; only tasks in flight are done again."""
    driver = [sys.executable, "-m", "tests.faults.kill_driver", str(N_TRIALS)]
    ran = subprocess.run(driver, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stderr
    trials = [json.loads(line) for line in ran.stdout.splitlines()]
    survived = [trial for trial in trials if is_fine(trial)]
    with capsys.disabled():
        lost = len(trials) - len(survived)
        print(f"\nF3: tried {len(trials)} survived {len(survived)} lost {lost}")
    assert len(trials) == N_TRIALS
    assert survived == trials
    cut = [trial for trial in trials if 0 < trial["begun"] < trial["n_tasks"]]
    assert len(cut) > N_TRIALS / 2, "most signals come while members are fitted"
    for name in ("SIGKILL", "SIGINT"):
        assert any(trial["signal"] == name and trial["kept"] for trial in cut)


def is_fine(trial):
    in_flight = trial["begun"] + trial["redone"] - trial["n_tasks"]
    prompt = trial["seconds"] < 2.0 or trial["signal"] == signal.SIGKILL.name
    return (
        trial["same"]
        and not trial["failed"]
        and prompt
        and trial["redone"] == trial["n_tasks"] - trial["kept"]
        and 0 <= in_flight <= trial["n_jobs"]
    )
