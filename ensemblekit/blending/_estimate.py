"""Time and memory of a long run, told before it starts."""

import warnings
from time import perf_counter

import numpy as np

from ..combine._cross_fit_base import fit_combiner
from ..library import PredictionLibrary
from . import _nested as nested
from ._blend import find_folds, select_methods
from ._summary import _as_read as as_read
from .methods import methods_for
from .metrics import find_metric

_LONG = 5_000_000  # numbers in P from which it is worth asking
_WARM, _LEAST, _SHARE = 300, 5_000, 10
# Numbers of the largest sample, no part of a cache: reading from memory takes longer,
# twice as long for greedy selection. In runs that are long, only methods get it that
# take less than so many seconds.
_MOST, _LONG_RUN, _PATIENCE = 20_000_000, 30.0, 2.0
_MANY_FOLDS, _SHORT_RUN = 30, 10.0
_FAILURES = (ValueError, ArithmeticError, MemoryError, np.linalg.LinAlgError)


def estimate(library, metric, methods, seed, folds=None):
    """Return a sentence on the time and memory of `blend`, or None for a short run.

    Every method is timed on two samples of the rows, fast ones on a large third; what
    grows between them is taken to grow with the rows. Copies of the folds and the
    members' scores are timed too. Where few predictions are divided into many folds,
    each method is timed once on all rows.
    """
    n_folds = len(np.unique(find_folds(library, folds, seed)[0]))
    large = library.P.size >= _LONG and library.n_samples >= 2 * _LEAST
    if not large and n_folds <= _MANY_FOLDS:
        return None
    n_classes = 0 if library.classes is None else len(library.classes)
    levels = library.quantile_levels
    found = find_metric(metric, library.task, n_classes, levels)
    every = methods_for(found, library.task, n_classes, seed)
    tried, skipped = select_methods(every, methods, library.P.size)
    if large:
        seconds = method_seconds(library, found, tried, n_folds, seed).sum()
        seconds += _other_seconds(library, found, n_folds, seed)
    else:
        seconds = _seconds_of_small(library, found, tried, n_folds, seed)
        if seconds < _SHORT_RUN:
            return None
    size = library.P.nbytes
    lines = [
        f"{library.n_members} members x {library.n_samples} rows: {len(tried)} methods "
        f"x {n_folds + 1} fits, about {_time(seconds)} and "
        f"{_memory(size, library, len(tried)):.1f} GB of memory, P included."
    ]
    lines += [f"{name}: {reason}." for name, reason in skipped]
    return "\n".join(lines)


def method_seconds(library, metric, methods, n_folds, seed):
    """Return the seconds that each method takes for all folds, and for all rows."""
    more, most = _sample_sizes(library)
    fewer = more // 5
    _timed(library, metric, methods, _WARM, seed)  # compiles the kernels
    first = _timed(library, metric, methods, fewer, seed)
    last = _timed(library, metric, methods, more, seed)
    size = np.full((len(methods), 1), more)
    slopes = np.maximum(last - first, 0.0) / (more - fewer)
    # Folds train on n_folds - 1 times all rows together, and predict each row once.
    rows, fits = library.n_samples * np.array([n_folds, 2]), n_folds + 1
    seconds = (fits * last + slopes * (rows - fits * size)).sum(axis=1)
    fast = (last + slopes * (most - more)).sum(axis=1) < _PATIENCE
    if most > more and fast.any() and seconds.sum() > _LONG_RUN:
        chosen = [methods[k] for k in np.flatnonzero(fast)]
        last[fast], size[fast] = _timed(library, metric, chosen, most, seed), most
        slopes = np.maximum(last - first, 0.0) / (size - fewer)
        seconds = (fits * last + slopes * (rows - fits * size)).sum(axis=1)
    return seconds.clip(0.0)


def _seconds_of_small(library, metric, methods, n_folds, seed):
    """Return the seconds of all fits, each as long as one on all rows."""
    _timed(library, metric, methods, library.n_samples, seed)  # compiles the kernels
    once = _timed(library, metric, methods, library.n_samples, seed).sum()
    return once * (n_folds + 1)


def _sample_sizes(library):
    """Return the rows that every method is timed on, and those for fast methods."""
    most = max(_LEAST, min(library.n_samples, _MOST // library.P.shape[1]))
    return max(_LEAST, min(library.n_samples // _SHARE, most)), most


def _timed(library, metric, methods, n_rows, seed):
    """Return the seconds of each method for a fit and for a prediction of so many rows.

    Returns
    -------
    seconds : (n_methods, 2)
    """
    sample = _draw(library, n_rows, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.array([_time_one(method, sample, metric) for method in methods])


def _time_one(method, sample, metric):
    start = perf_counter()
    try:
        given = sample.P, sample.y, sample.sample_weight
        model = fit_combiner(method.make(), *given, nested.ALL)
        fitted = perf_counter()
        nested.predict(model, sample.P, metric)
    except _FAILURES:  # told of when the run comes to it
        return 0.0, 0.0
    return fitted - start, perf_counter() - fitted


def _draw(library, n_rows, seed):
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(library.n_samples, n_rows, replace=False))
    weight = library.sample_weight
    return PredictionLibrary(
        library.P[chosen],
        library.y[chosen],
        library.names,
        classes=library.classes,
        quantile_levels=library.quantile_levels,
        sample_weight=None if weight is None else weight[chosen],
    )


def _other_seconds(library, metric, n_folds, seed):
    """Return the seconds for the training rows of all folds, and members' scores."""
    n_rows, more = library.n_samples, _sample_sizes(library)[0]
    start = perf_counter()
    sample = _draw(library, more, seed)
    copied = perf_counter() - start
    rows = nested.Rows.of(sample, np.arange(more) % n_folds)
    judge = nested.Judge(metric, rows, np.ones(more, dtype=bool))
    start = perf_counter()
    judge.scores(as_read(sample.cube[0], metric))
    scored = (perf_counter() - start) * library.n_members
    return (copied * (n_folds - 1) + scored) * n_rows / more


def _memory(size, library, n_methods):
    """P, the training rows of a fold, held-out and naive predictions; in GB.

    Weights of quantiles are fitted to residuals: once more the training rows.
    """
    n_outputs = library.n_outputs if library.classes is None else len(library.classes)
    predictions = 2 * n_methods * library.n_samples * n_outputs * 8
    copies = 2.2 if library.quantile_levels is None else 3.2
    return (copies * size + predictions) / 1e9 + 0.6


def _time(seconds):
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
