"""Time and memory of a long run, told before it starts."""

import numpy as np

from ..library import PredictionLibrary
from . import _nested as nested
from ._blend import find_folds, select_methods
from .methods import methods_for
from .metrics import find_metric

_LONG = 5_000_000  # numbers in P from which it is worth asking
_WARM, _FEW, _MORE = 300, 1_000, 5_000


def estimate(library, metric, methods, seed, folds=None):
    """Return a sentence on the time and memory of `blend`, or None for a short run.

    Every method is timed on two samples of the rows; what grows between them is taken
    to grow with the rows.
    """
    if library.P.size < _LONG or library.n_samples < 2 * _MORE:
        return None
    n_classes = 0 if library.classes is None else len(library.classes)
    found = find_metric(metric, library.task, n_classes)
    every = methods_for(found, library.task, n_classes, seed)
    tried, skipped = select_methods(every, methods, library.P.size)
    n_folds = len(np.unique(find_folds(library, folds, seed)[0]))
    seconds = _seconds(library, found, tried, n_folds, seed)
    size = library.P.nbytes
    lines = [
        f"{library.n_members} members x {library.n_samples} rows: {len(tried)} methods "
        f"x {n_folds + 1} fits, about {_time(seconds)} and "
        f"{_memory(size, library, len(tried)):.1f} GB of memory, P included."
    ]
    lines += [f"{name}: {reason}." for name, reason in skipped]
    return "\n".join(lines)


def _seconds(library, metric, methods, n_folds, seed):
    _timed(library, metric, methods, _WARM, seed)  # compiles the kernels
    fewer = _timed(library, metric, methods, _FEW, seed)
    more = _timed(library, metric, methods, _MORE, seed)
    slopes = np.maximum(more - fewer, 0.0) / (_MORE - _FEW)
    fits = fewer + slopes * (library.n_samples - _FEW)
    return float(fits.sum()) * (n_folds + 1)


def _timed(library, metric, methods, n_rows, seed):
    """Return the seconds of each method for one fit and prediction of so many rows."""
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(library.n_samples, n_rows, replace=False))
    weight = library.sample_weight
    sample = PredictionLibrary(
        library.P[chosen],
        library.y[chosen],
        library.names,
        classes=library.classes,
        sample_weight=None if weight is None else weight[chosen],
    )
    rows = nested.Rows.of(sample, np.zeros(n_rows, dtype=np.int64))
    attempts = nested.attempt_folds(methods, rows, metric, [None], None)
    return np.array([attempt.seconds for attempt in attempts])


def _memory(size, library, n_methods):
    """P, the training rows of a fold, held-out and naive predictions; in GB."""
    n_outputs = 1 if library.classes is None else len(library.classes)
    predictions = 2 * n_methods * library.n_samples * n_outputs * 8
    return (2.2 * size + predictions) / 1e9 + 0.6


def _time(seconds):
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
