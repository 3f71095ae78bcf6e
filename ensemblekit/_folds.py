"""The folds of a cross-fit: splits, seeds, and one flat list of tasks."""

import warnings
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from joblib import cpu_count, effective_n_jobs
from numpy.typing import NDArray
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state
from threadpoolctl import ThreadpoolController

from ._members import fit_member, predict_member
from ._sklearn import Parallel, _num_samples, _safe_indexing, delayed
from .exceptions import describe_rows


class FoldTask(NamedTuple):
    """One member on one fold: what a worker is sent besides X and the targets."""

    name: str
    member: Any
    method: str
    params: dict
    train: NDArray
    test: NDArray
    present: NDArray | None
    where: str
    n_outputs: int = 1


class FoldResult(NamedTuple):
    """Held-out predictions of one member on one fold, its model, and seconds taken."""

    predictions: NDArray
    model: Any
    fit_time: float
    predict_time: float


def make_splits(cv, X, y, stratify, params):
    """Return the splits as a list of row numbers; they must partition the rows.

    Raises
    ------
    ValueError
        If a row is held out never or more than once, or is also trained on.
    """
    splitter = check_cv(cv, y, classifier=stratify)
    n_rows = _num_samples(X)
    splits = [
        (np.arange(n_rows)[train], np.arange(n_rows)[test])
        for train, test in splitter.split(X, y, **params)
    ]
    times = np.zeros(n_rows, dtype=np.int64)
    for _, test in splits:
        times += np.bincount(test, minlength=n_rows)
    wrong = np.flatnonzero(times != 1)
    if wrong.size:
        raise ValueError(
            f"cv must hold out each row exactly once, but row {wrong[0]} is held out "
            f"{times[wrong[0]]} times ({len(wrong)} rows are wrong). Use a splitter "
            "that partitions the rows, such as KFold."
        )
    for fold, (train, test) in enumerate(splits):
        both = np.intersect1d(train, test)
        if both.size:
            raise ValueError(
                f"Fold {fold + 1} of cv trains on rows that it holds out "
                f"({describe_rows(both)}); predictions of these are not held out."
            )
    return splits


def find_fold_classes(classes, targets, splits):
    """Return the class codes among each fold's training rows; warn of missing ones."""
    if classes is None:
        return [None] * len(splits)
    present = [np.unique(targets[train]) for train, _ in splits]
    missing = [
        f"{label!r} in fold {fold + 1}"
        for fold, codes in enumerate(present)
        for label in np.delete(classes, codes).tolist()
    ]
    if missing:
        warnings.warn(
            f"Training rows lack classes: {', '.join(missing)}. Members give them "
            "probability 0 there.",
            UserWarning,
            stacklevel=5,
        )
    return present


def draw_seeds(random_state, n_members, n_folds):
    """One seed per member and fold, and one for its refit; None where none is asked."""
    shape = (n_members, n_folds + 1)
    if random_state is None:
        return np.full(shape, None)
    rng = check_random_state(random_state)
    return rng.randint(np.iinfo(np.int32).max, size=shape)


def run_tasks(function, tasks, n_jobs, verbose):
    """Return ``function(*task)`` of each task, in order.

    Of several workers the libraries' own threads are capped, so that workers x threads
    <= cores; one worker keeps the limits its caller has set.
    """
    workers = max(1, min(effective_n_jobs(n_jobs), len(tasks)))
    parallel = Parallel(n_jobs=n_jobs, verbose=verbose)
    if workers == 1:
        return parallel(delayed(function)(*task) for task in tasks)
    threads = max(1, cpu_count() // workers)
    return parallel(delayed(_run_capped)(threads, function, task) for task in tasks)


def fit_fold(X, targets, classes, task):
    """Fit on the fold's training rows, predict its held-out rows."""
    model, fit_time = fit_member(
        task.name, task.member, X, targets, task.train, task.params, classes, task.where
    )
    X_test = _safe_indexing(X, task.test)
    start = perf_counter()
    predictions = predict_member(
        task.name,
        model,
        X_test,
        task.method,
        task.present,
        classes,
        task.where,
        task.n_outputs,
    )
    return FoldResult(predictions, model, fit_time, perf_counter() - start)


def fit_all_rows(X, targets, classes, name, member, params):
    """Fit on all rows."""
    return fit_member(name, member, X, targets, None, params, classes, "all rows")[0]


def assemble(splits, predictions):
    """Put the folds' held-out predictions in the order of the rows."""
    n_rows = sum(len(block) for block in predictions)
    whole = np.empty((n_rows, predictions[0].shape[1]))
    for (_, test), block in zip(splits, predictions, strict=True):
        whole[test] = block
    return whole


def number_rows(splits):
    """Return the fold in which each row is held out."""
    folds = np.empty(sum(len(test) for _, test in splits), dtype=np.int64)
    for fold, (_, test) in enumerate(splits):
        folds[test] = fold
    return folds


def _run_capped(threads, function, task):
    """Cap the libraries' threads, never above what the environment allows."""
    controller = ThreadpoolController()
    allowed = [library.num_threads for library in controller.lib_controllers]
    with controller.limit(limits=min([threads, *allowed])):
        return function(*task)
