"""Held-out predictions of every method, and their scores, errors and differences."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold

from ..combine._cross_fit_base import fit_combiner
from ..library import PredictionLibrary
from .methods import Method
from .metrics import Metric

N_FOLDS = 5


@dataclass
class Rows:
    """What is blended: P and the targets as losses take them.

    y : (n,) values, or codes of the classes; labels : (n,) as combiners are given them
    weight : (n,) or None; folds : (n,) int; n_classes : 0 for values and quantiles
    n_outputs : columns of one member in P
    """

    P: NDArray
    y: NDArray
    labels: NDArray
    weight: NDArray | None
    folds: NDArray
    n_classes: int
    n_outputs: int

    @classmethod
    def of(cls, library: PredictionLibrary, folds: NDArray) -> "Rows":
        """Return the rows of a library, under these folds."""
        classes = library.classes
        y, n_classes = library.y, 0
        if classes is not None:
            y, n_classes = np.searchsorted(classes, library.y), len(classes)
        given = library.P, y, library.y, library.sample_weight
        return cls(*given, folds, n_classes, library.n_outputs)

    def knows_all(self, training: NDArray) -> bool:
        """Return whether the training rows hold each class, with weight."""
        if not self.n_classes:
            return True
        if self.weight is not None:
            training = training & (self.weight > 0)
        return len(np.unique(self.y[training])) == self.n_classes


def draw_folds(library: PredictionLibrary, seed: int) -> NDArray:
    """Return shuffled folds of the rows, stratified by class.

    Raises
    ------
    ValueError
        If there are fewer rows than folds.
    """
    if library.n_samples < N_FOLDS:
        raise ValueError(
            f"There are {library.n_samples} rows; {N_FOLDS} folds need {N_FOLDS} at "
            "least. Give folds of your own."
        )
    kind = KFold if library.classes is None else StratifiedKFold
    splitter = kind(n_splits=N_FOLDS, shuffle=True, random_state=seed)
    folds = np.empty(library.n_samples, dtype=np.int64)
    with warnings.catch_warnings():  # of classes with fewer rows than folds
        warnings.simplefilter("ignore", UserWarning)
        splits = list(splitter.split(np.zeros((len(folds), 1)), _strata(library)))
    for k, (_, held_out) in enumerate(splits):
        folds[held_out] = k
    return folds


def _strata(library):
    """Return the codes of classes; those of too few rows to share out are one."""
    if library.classes is None:
        return None
    codes = np.searchsorted(library.classes, library.y)
    counts = np.bincount(codes)
    if counts.max() < N_FOLDS:
        raise ValueError(
            f"No class has {N_FOLDS} rows, so that {N_FOLDS} folds cannot be drawn. "
            "Give folds of your own."
        )
    return codes


@dataclass
class Attempt:
    """What became of one method: a model of all rows, and held-out predictions.

    naive : predictions of the rows that the model was fitted on
    """

    method: Method
    model: Any = None
    held_out: NDArray | None = None
    naive: NDArray | None = None
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    failure: str | None = None


def attempt_all(
    methods: list[Method],
    rows: Rows,
    metric: Metric,
    progress: Callable[[int, int, str], None] | None,
) -> list[Attempt]:
    """Fit all methods without each fold and on all rows; no failure stops the others.

    One copy of the training rows of a fold serves all methods.
    """
    folds = [*np.unique(rows.folds), None]  # None: all rows
    attempts = [Attempt(method) for method in methods]
    total, done = len(folds) * len(methods), 0
    for at, fold in enumerate(folds):
        where = "all rows" if fold is None else f"fold {at + 1} of {len(folds) - 1}"
        part = _Part.of(rows, fold)
        for attempt in attempts:
            if progress is not None:
                progress(done, total, f"{attempt.method.name}: {where}")
            if part is not None and attempt.failure is None:
                _try(attempt, rows, part, metric)
            done += 1
    if progress is not None:
        progress(total, total, "")
    return attempts


@dataclass
class _Part:
    """Training rows, copied once, and the rows to predict."""

    fold: Any
    P: NDArray
    labels: NDArray
    weight: NDArray | None
    held_out: NDArray | None

    @classmethod
    def of(cls, rows, fold):
        """Return the part of one fold, all rows for None; None if a class is lost."""
        if fold is None:
            return cls(None, rows.P, rows.labels, rows.weight, None)
        held_out = rows.folds == fold
        if not rows.knows_all(~held_out):
            return None
        weight = None if rows.weight is None else rows.weight[~held_out]
        return cls(fold, rows.P[~held_out], rows.labels[~held_out], weight, held_out)


def _try(attempt, rows, part, metric):
    start = perf_counter()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            _fit(attempt, rows, part, metric)
    except (ValueError, ArithmeticError, MemoryError, np.linalg.LinAlgError) as error:
        attempt.failure = f"{type(error).__name__}: {error}".split("\n")[0]
        return
    attempt.seconds += perf_counter() - start
    for message in dict.fromkeys(str(w.message).split("\n")[0] for w in caught):
        if message not in attempt.notes:
            attempt.notes.append(message)


def _fit(attempt, rows, part, metric):
    model = attempt.method.make()
    model = fit_combiner(model, part.P, part.labels, part.weight, ALL)
    if part.held_out is None:
        attempt.model = model
        attempt.naive = predict(model, rows.P, metric)
        return
    prediction = predict(model, rows.P[part.held_out], metric)
    if attempt.held_out is None:
        shape = (len(rows.y), *prediction.shape[1:])
        attempt.held_out = np.full(shape, np.nan)
    attempt.held_out[part.held_out] = prediction


ALL = slice(None)
"""All rows, without a copy of them."""


def predict(model: Any, P: NDArray, metric: Metric) -> NDArray:
    """Return what the metric reads: values, probabilities, codes or quantiles."""
    if metric.reads == "quantiles":
        return np.asarray(model.predict_quantiles(P), dtype=np.float64)
    if metric.reads == "values":
        return np.asarray(model.predict(P), dtype=np.float64)
    if metric.reads == "probabilities":
        return np.asarray(model.predict_proba(P), dtype=np.float64)
    return np.searchsorted(model.classes_, model.predict(P)).astype(np.float64)


@dataclass
class Judge:
    """Scores of held-out predictions, all rows together, and without each fold."""

    metric: Metric
    rows: Rows
    scored: NDArray

    @cached_property
    def folds(self) -> NDArray:
        """Return the folds that have scored rows of positive weight."""
        counted = self.scored
        if self.rows.weight is not None:
            counted = counted & (self.rows.weight > 0)
        return np.unique(self.rows.folds[counted])

    def score(self, prediction: NDArray) -> float:
        """Return the score of all scored rows."""
        return self._score(prediction, self.scored)

    def scores(self, prediction: NDArray) -> tuple[float, NDArray]:
        """Return the score of all scored rows, and those without each fold."""
        if self.metric.per_row is not None:
            return self._scores_of_means(prediction)
        kept = (self.scored & (self.rows.folds != fold) for fold in self.folds)
        without = [self._score(prediction, rows) for rows in kept]
        return self.score(prediction), np.array(without)

    def _score(self, prediction, kept):
        values = prediction[kept]
        if self.metric.reads == "labels":
            values = values.astype(np.int64)
        weight = None if self.rows.weight is None else self.rows.weight[kept]
        return self.metric.score(self.rows.y[kept], values, weight)

    def _scores_of_means(self, prediction):
        """Read the losses of all rows once, where the score is made of their mean."""
        assert self.metric.per_row is not None
        assert self.metric.finish is not None
        losses = self.metric.per_row(self._truth, prediction[self.scored])
        sums = np.bincount(self._places, losses * self._shares, len(self.folds))
        sizes = np.bincount(self._places, self._shares, len(self.folds))
        whole = self.metric.finish(sums.sum() / sizes.sum())
        without = (sums.sum() - sums) / (sizes.sum() - sizes)
        return float(whole), self.metric.finish(without)

    @cached_property
    def _truth(self):
        return self.rows.y[self.scored]

    @cached_property
    def _shares(self):
        weight = self.rows.weight
        kept = np.ones(len(self._truth)) if weight is None else weight[self.scored]
        # Folds of no weight are no folds.
        return np.where(np.isin(self.rows.folds[self.scored], self.folds), kept, 0.0)

    @cached_property
    def _places(self):
        found = np.searchsorted(self.folds, self.rows.folds[self.scored])
        return np.minimum(found, len(self.folds) - 1)


def standard_error(without_each: NDArray) -> float:
    """Return the jackknife's standard error, of scores without each fold."""
    n_folds = len(without_each)
    if n_folds < 2:
        return float("nan")
    spread = ((without_each - without_each.mean()) ** 2).sum()
    return float(np.sqrt((n_folds - 1) / n_folds * spread))


def choose_by_others(
    predictions: list[NDArray],
    without_each: NDArray,
    judge: Judge,
) -> NDArray:
    """Return for each fold what the method that is best on the other folds predicts.

    without_each : (n_methods, n_folds), greater is better
    """
    chosen = np.argmax(without_each, axis=0)
    nested = predictions[0].copy()
    for fold, method in zip(judge.folds, chosen, strict=True):
        own = judge.rows.folds == fold
        nested[own] = predictions[method][own]
    return nested


def seen(predictions: Iterable[NDArray]) -> NDArray:
    """Return the mask of rows that all have predicted."""
    masks = [~np.isnan(p.reshape(len(p), -1)).any(axis=1) for p in predictions]
    return np.logical_and.reduce(masks)
