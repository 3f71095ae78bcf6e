"""F10: the same result for any number of workers, backend and number of threads."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
CHILD = """
import pickle, sys
from contextlib import nullcontext
import joblib
from ensemblekit._tasks import run_tasks
from tests.crossfit.tasks import dask_client
from tests.faults.members import fit_and_predict, make_jobs

if __name__ == "__main__":
    found = {}
    shared, tasks = make_jobs()
    for backend in ("loky", "threading", *sys.argv[2:]):
        with (
            dask_client() if backend == "dask" else nullcontext(),
            joblib.parallel_config(backend),
        ):
            for n_jobs in (1, 2, 4):
                outcomes = run_tasks(fit_and_predict, shared, tasks, n_jobs=n_jobs)
                found[backend, n_jobs] = [outcome.result for outcome in outcomes]
    pickle.dump(found, open(sys.argv[1], "wb"))
"""


def results(folder, threads, *backends):
    script, answer = folder / "child.py", folder / f"{threads}.pkl"
    script.write_text(CHILD)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment |= {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    subprocess.run(
        [sys.executable, script, answer, *backends], env=environment, check=True
    )
    return pickle.loads(answer.read_bytes())


def test_results_do_not_depend_on_workers_or_threads(tmp_path):
    pytest.importorskip("distributed")
    found = {("1", *key): value for key, value in results(tmp_path, "1").items()}
    found |= {("2", *k): v for k, v in results(tmp_path, "2", "dask").items()}
    truth = found["1", "loky", 1]
    survived = 0
    for blocks in found.values():
        for mine, theirs in zip(blocks, truth, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12)
        survived += 1
    print(f"F10: tried {len(found)} survived {survived} lost {len(found) - survived}")
    assert survived == 6 + 9
