"""Workers for a list of calls, with the libraries' own threads capped."""

from joblib import cpu_count, effective_n_jobs

from ._sklearn import Parallel, delayed
from ._threads import capped_threads


def map_tasks(function, tasks, n_jobs):
    """Return ``function(*task)`` of each task, in order.

    Of several workers the libraries' own threads are capped, so that workers x threads
    <= cores; one worker keeps the limits its caller has set.
    """
    workers = max(1, min(effective_n_jobs(n_jobs), len(tasks)))
    parallel = Parallel(n_jobs=n_jobs)
    if workers == 1:
        return parallel(delayed(function)(*task) for task in tasks)
    threads = max(1, cpu_count() // workers)
    return parallel(delayed(_run_capped)(threads, function, task) for task in tasks)


def _run_capped(threads, function, task):
    with capped_threads(threads):
        return function(*task)
