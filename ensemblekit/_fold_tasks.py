"""The tasks of a cross-fit: one member on one fold, or on all rows, once."""

import warnings
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import scipy
import sklearn
from numpy.typing import NDArray

from ._digest import digest
from ._early_stopping import fit_early, recode, rounds_of, unreached_parts
from ._members import fit_member, is_frozen, predict_member, with_seed
from ._model_files import trusted_packages
from ._sklearn import _check_method_params, take_rows
from ._tasks import Outcome, run_tasks
from .exceptions import CacheWarning, MemberError, UncacheableError

# The first is to be raised where the same task would give another result.
_VERSIONS = 1, np.__version__, scipy.__version__, sklearn.__version__


class Memory(NamedTuple):
    """A cache, and the digest of the data that all tasks share."""

    cache: Any
    data: str

    def seed(self):
        """Return a seed that is the same for the same data."""
        return int(self.data[:8], 16) >> 1

    def place(self, task, models, known):
        """Return where the task's result is kept; None where its key is unknown.

        known : dict
            Digests of what tasks share, by identity; filled here.
        """
        try:
            parts = [_digest_once(getattr(task, p), p, known) for p in _SHARED_PARTS]
            own = task.method, task.n_outputs, task.stops_early, task.seed
            key = digest((_VERSIONS, _settings(), self.data, parts, own))
        except UncacheableError as error:
            warnings.warn(
                f"Member {task.name!r} is fitted without memory: {error}",
                CacheWarning,
                stacklevel=7,
            )
            return None
        return Stored(self.cache, key, models)


def _settings():
    """Return what of scikit-learn's configuration changes what members are given."""
    config = sklearn.get_config()
    return config.get("transform_output"), config.get("enable_metadata_routing")


_SHARED_PARTS = ("member", "params", "train", "test", "present")


def _digest_once(value, label, known):
    """Digest what many tasks hold, such as a member or the rows of a fold, once."""
    if id(value) not in known:
        known[id(value)] = digest(value, label)
    return known[id(value)]


class Stored(NamedTuple):
    """Where the result of a task is kept, and what of its model.

    models is ``"none"``, ``"wanted"`` (kept where that can be done) or ``"needed"``: a
    result that is found without its model is then of no use.
    """

    cache: Any
    key: str
    models: str


class Task(NamedTuple):
    """What a worker is told beside the data; `train` is None for all rows.

    The member is the same for all folds: the worker clones it and sets its seed.
    """

    name: str
    where: str
    member: Any
    method: str
    params: dict
    train: NDArray | None
    test: NDArray | None
    present: NDArray | None
    n_outputs: int
    stops_early: bool
    seed: int | None
    stored: Stored | None = None


class Done(NamedTuple):
    """Held-out predictions of a member on a fold (None on all rows), and its model.

    model is None where the result was read from a cache that holds no models; rounds
    is the number of boosting rounds that early stopping chose; times in seconds.
    """

    predictions: NDArray | None
    model: Any
    fit_time: float
    predict_time: float
    rounds: int | None = None
    cached: bool = False


def run_task(X, targets, classes, groups, validation, task):
    """Fit on the task's rows, predict what it holds out, store both if asked to."""
    model, fit_time = _fit(X, targets, classes, groups, validation, task)
    predictions, predict_time = None, 0.0
    if task.test is not None:
        held_out = take_rows(X, task.test)
        start = perf_counter()
        predictions = predict_member(
            task.name,
            model,
            held_out,
            task.method,
            task.present,
            classes,
            task.where,
            task.n_outputs,
        )
        predict_time = perf_counter() - start
    done = Done(predictions, model, fit_time, predict_time, rounds_of(model))
    if task.stored is not None:
        _store(task.stored, done)
    return done


def _fit(X, targets, classes, groups, validation, task):
    fit = None
    if task.stops_early:
        rows = slice(None) if task.train is None else task.train
        fit = partial(
            fit_early,
            validation=_validation_rows(X, targets, validation, task),
            groups=None if groups is None else groups[rows],
            seed=task.seed,
        )
    where = task.train, task.params, classes, task.where
    try:
        member = with_seed(task.member, task.seed)
        return fit_member(task.name, member, X, targets, *where, fit)
    except MemberError as error:
        if parts := unreached_parts(task.member):
            error.add_note(
                f"{', '.join(parts)} ask for early stopping, but no validation rows "
                "reach a model inside another estimator."
            )
        raise


def _validation_rows(X, targets, validation, task):
    """Return "inner", or the rows and targets that tell a member when to stop.

    Classifiers know the codes of their training rows; others are no use to them.
    """
    if isinstance(validation, str):
        if validation == "inner" or task.test is None:
            return "inner"
        extras = _check_method_params(X, task.params, indices=task.test)
        validation = take_rows(X, task.test), targets[task.test], extras
    X_val, y_val, *extras = validation
    if task.present is None:
        return validation
    return X_val, recode(y_val, task.present), *extras


def run_all(tasks, shared, memory, *, models, on_done, **options):
    """Run tasks, but for those found in memory.

    Parameters
    ----------
    tasks : list of Task
    shared : tuple
        What `run_task` takes before the task.
    memory : Memory or None
    models : {"none", "wanted", "needed"}
        What of the models is kept in memory, as `Stored` has it.
    on_done : callable or None
        As `_tasks.run_tasks` takes it.
    **options : as `_tasks.run_tasks` takes them

    Returns
    -------
    done : dict of str to list of Done
        Of the members of which each task is done, in the order of the tasks.
    lost : dict of str to Outcome and where
        First task of each other member that was not done.
    n_fits : int
        Calls of members' fit; what is fitted already is not fitted again.
    """
    found: dict[int, Done] = {}
    if memory is not None:
        tasks = _placed(tasks, memory, models)
        loaded = ((i, load(task)) for i, task in enumerate(tasks) if task.stored)
        found = {i: done for i, done in loaded if done is not None}
    missing = [task for i, task in enumerate(tasks) if i not in found]
    ran = iter(run_tasks(run_task, shared, missing, on_done=on_done, **options))
    done: dict[str, list] = {}
    lost: dict[str, tuple] = {}
    n_fits = 0
    for i, task in enumerate(tasks):
        outcome = Outcome(found[i], None, "done") if i in found else next(ran)
        n_fits += i not in found and _has_fitted(task, outcome)
        if outcome.state == "done":
            _remember(task.stored, outcome.result)
            done.setdefault(task.name, []).append(outcome.result)
        elif outcome.state != "skipped":
            lost.setdefault(task.name, (task.where, outcome))
    complete = {name: results for name, results in done.items() if name not in lost}
    return complete, lost, n_fits


def _has_fitted(task, outcome):
    return outcome.state in ("done", "failed", "died") and not is_frozen(task.member)


def _placed(tasks, memory, models):
    """Tell the tasks where to store; members without a key are not asked twice."""
    unknown: set[str] = set()
    known: dict[int, str] = {}  # of objects that `tasks` keeps alive
    placed = []
    for task in tasks:
        if task.name not in unknown:
            stored = memory.place(task, models, known)
            if stored is None:
                unknown.add(task.name)
            task = task._replace(stored=stored)
        placed.append(task)
    return placed


def load(task):
    """Return what an earlier run stored for the task, or None."""
    stored = task.stored
    entry = stored.cache.load(stored.key)
    if entry is None:
        return None
    model = None
    if stored.models != "none":
        trusted = trusted_packages(task.member)
        model = stored.cache.load_model(stored.key, trusted)
        if model is None and stored.models == "needed":
            return None
    times = entry.meta["fit_time"], entry.meta["predict_time"]
    predictions = entry.arrays.get("predictions")
    return Done(predictions, model, *times, entry.meta["rounds"], cached=True)


def _remember(stored, done):
    """Keep a worker's model at hand in the process that began the fit."""
    if stored is not None and stored.models != "none":
        stored.cache.remember_model(stored.key, done.model)


def _store(stored, done):
    arrays = {} if done.predictions is None else {"predictions": done.predictions}
    meta = {
        "fit_time": done.fit_time,
        "predict_time": done.predict_time,
        "rounds": done.rounds,
    }
    if stored.models != "none":  # first, so that an entry never lacks its model
        stored.cache.store_model(stored.key, done.model)
    stored.cache.store(stored.key, arrays, meta)
