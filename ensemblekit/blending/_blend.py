"""blend: every combiner that applies, scored on rows that it was not fitted on."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._sklearn import Integral
from ..combine._base import own_weights
from ..layout import class_probabilities
from ..library import PredictionLibrary
from . import _nested as nested
from ._nested import Attempt, Judge, Rows, standard_error
from ._snippet import write_snippet
from ._verdict import write_verdict
from .methods import BEST_MEMBER, MEAN, ON_REQUEST, Method, methods_for
from .metrics import Metric, find_metric

__all__ = ["Blend", "blend"]

FORMAT = 1


def blend(
    bank: Any,
    *,
    metric: str | None = None,
    methods: str | Sequence[str] = "all",
    folds: ArrayLike | None = None,
    random_state: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> Blend:
    """Combine out-of-fold predictions in every way that applies, and compare honestly.

    Each method is fitted without each fold of rows in turn and scored on that fold (its
    nested score), and fitted on all rows for predictions of new ones. The score on the
    rows that it was fitted on, which most tools print, stands beside it as the naive
    score. Take it where predictions of models trained elsewhere lie in files or arrays;
    `StackedRegressor` and `StackedClassifier` serve where the models are at hand.

    Parameters
    ----------
    bank : PredictionLibrary or Bank
        Out-of-fold predictions of the members with their targets; a bank is what
        `ensemblekit.files.read_bank` makes of files.
    metric : str, default=None
        ``"rmse"``, ``"mse"``, ``"mae"``, ``"r2"``, ``"log_loss"``, ``"brier"``,
        ``"roc_auc"``, ``"accuracy"``, ``"balanced_accuracy"``, ``"f1"``,
        ``"f1_macro"``, ``"f1_weighted"``, ``"matthews_corrcoef"``, ``"cohen_kappa"``,
        ``"qwk"`` (quadratic weighted kappa), or another scorer of scikit-learn. None
        means ``"rmse"`` or ``"log_loss"``.
    methods : "all" or sequence of str, default="all"
        Names of the methods to try; ``"all"`` means those that take minutes at most at
        this size (`Blend.skipped` names the others). The mean and the best member are
        always tried, to compare with, but named best only if asked for.
    folds : array-like of shape (n_samples,), int, default=None
        Folds to score by; None means those of the library or, where it has none, 5
        shuffled folds, stratified by class. Give folds where rows come in groups.
    random_state : int, default=0
        Of the folds drawn and of the methods that draw.
    progress : callable, default=None
        Called as ``progress(done, total, name)`` before each fit and at the end.

    Returns
    -------
    result : Blend

    Raises
    ------
    ValueError
        If the library holds quantiles, the metric or a method is unknown, or rows are
        too few for folds.

    Notes
    -----
    Time: the fits of all methods, once for each fold and once more. Memory: P, a copy
    of a fold's training rows, and for each method a prediction of all rows.

    Standard errors are those of the jackknife over folds; with 5 folds they are rough.
    One optimism is left: the members that predicted the other folds' rows had been
    trained on the rows scored.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=300)
    >>> members = {name: y + rng.normal(size=300) for name in "abcd"}
    >>> library = PredictionLibrary.from_arrays(members, y)
    >>> result = blend(library, methods=["convex", "linear stack"])
    >>> result.best
    'linear stack'
    >>> [(row["name"], round(row["score"], 3)) for row in result.rows]
    [('linear stack', 0.44), ('mean', 0.501), ('convex', 0.507), ('best member', 0.927)]
    """
    library = getattr(bank, "library", bank)
    _check(library, random_state)
    classes = library.classes
    n_classes = 0 if classes is None else len(classes)
    found = find_metric(metric, library.task, n_classes)
    every = methods_for(found, library.task, n_classes, random_state)
    tried, skipped = _selected(every, methods, library.P.size)
    rows_folds, source = _folds(library, folds, random_state)
    rows = Rows.of(library, rows_folds)
    attempts = nested.attempt_all(tried, rows, found, progress)
    asked = {m.name for m in tried} if methods == "all" else set(_listed(methods))
    return _summarise(
        library, found, attempts, asked, skipped, rows, source, random_state
    )


@dataclass
class Blend:
    """What `blend` found.

    Attributes
    ----------
    task : {"regression", "classification"}
    metric : str
    greater_is_better : bool
    reads : {"values", "probabilities", "labels"}
        What the metric reads of a prediction.
    names : list of str
        Members.
    classes : ndarray or None
    n_samples : int
    folds : ndarray of shape (n_samples,), int
        Folds that the scores are nested over.
    fold_source : {"given", "library", "drawn"}
    random_state : int
    rows : list of dict
        One for each method, best first: ``name``, ``score`` (nested), ``score_se``,
        ``naive``, ``optimism`` (by how much the naive score looks better),
        ``gain_over_mean``, ``gain_over_mean_se``, ``gain_over_best``,
        ``gain_over_best_se`` (paired, positive is better than the mean, than the best
        member), ``n_members`` (of weight other than 0, None where weights do not tell)
        and ``notes``. Scores in the metric's own direction, None where unknown.
    members : list of dict
        One for each member, best first: ``name``, ``score``, ``score_se``, ``weight``
        (in the best method, None where it has no weights).
    best : str
        Method of the best nested score, of those asked for; ties go to the simpler.
    choice : dict
        ``score``, ``score_se``, ``gain_over_mean``, ``gain_over_mean_se`` (and
        ``n_methods``, how many there were to choose from) of choosing the best method
        itself: each fold predicted by the method that is best on the others. Trying
        many methods flatters the best of them; this does not.
    verdict : str
        The outcome in a sentence or two.
    skipped : list of (str, str)
        Methods not tried or failed, and why.
    seconds : dict of str to float
        Time of each method's fits.
    models : dict of str to estimator
        Each method fitted on all rows.
    held_out : dict of str to ndarray
        Nested predictions: what the metric reads, NaN where no fold could predict.
    unscored : int
        Rows left out of all scores, because a fold without them lacks a class.
    """

    task: str
    metric: str
    greater_is_better: bool
    reads: str
    names: list[str]
    classes: NDArray | None
    n_samples: int
    folds: NDArray
    fold_source: str
    random_state: int
    rows: list[dict]
    members: list[dict]
    best: str
    choice: dict
    verdict: str
    skipped: list[tuple[str, str]]
    seconds: dict[str, float]
    models: dict[str, Any]
    held_out: dict[str, NDArray]
    unscored: int
    library: PredictionLibrary

    @property
    def weights(self) -> dict[str, float] | None:
        """Weight of each member in the best method, None where it has none."""
        return self.weights_of(self.best)

    def weights_of(self, name: str) -> dict[str, float] | None:
        """Return the weight of each member in that method, None where it has none."""
        weights = own_weights(self.models[name], len(self.names))
        if weights is None:
            return None
        return dict(zip(self.names, weights.tolist(), strict=True))

    def predict_oof(self, name: str | None = None) -> NDArray:
        """Return nested predictions of all rows.

        Parameters
        ----------
        name : str, default=None
            Of the method; None means the best.

        Returns
        -------
        prediction : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Values, probabilities or labels, as the metric reads.
        """
        held_out = self.held_out[self._known(name)]
        if self.reads != "labels":
            return held_out
        assert self.classes is not None
        if np.isnan(held_out).any():
            raise ValueError(
                f"{self.unscored} rows have no nested label: without their fold a "
                "class is missing. Give folds that each leave rows of every class."
            )
        return self.classes[held_out.astype(np.int64)]

    def predict_test(self, name: str | None = None) -> NDArray:
        """Return predictions of the library's test rows by the model of all rows.

        Raises
        ------
        ValueError
            If the library has no test predictions.
        """
        if self.library.P_test is None:
            raise ValueError("The library has no test predictions to combine.")
        return self.predict(self.library.P_test, name)

    def predict(self, P: ArrayLike, name: str | None = None) -> NDArray:
        """Return predictions of new rows: values, probabilities or labels.

        Parameters
        ----------
        P : array-like of shape (n_rows, n_members * n_outputs)
        name : str, default=None
            Of the method; None means the best.
        """
        model = self.models[self._known(name)]
        if self.reads == "probabilities":
            return model.predict_proba(P)
        return model.predict(P)

    @property
    def snippet(self) -> str:
        """Python that fits the best method again."""
        return write_snippet(self)

    def to_dict(self) -> dict:
        """Return what is known, of plain types; no times, so equal runs are equal."""
        plain = (
            *("task", "metric", "greater_is_better", "reads", "n_samples"),
            *("fold_source", "random_state", "unscored", "best", "choice"),
            *("verdict", "rows", "members"),
        )
        return {
            "format": FORMAT,
            "ensemblekit": version("ensemblekit"),
            **{key: copy.deepcopy(getattr(self, key)) for key in plain},
            "names": list(self.names),
            "classes": None if self.classes is None else self.classes.tolist(),
            "n_folds": len(np.unique(self.folds)),
            "skipped": [list(entry) for entry in self.skipped],
            "weights": {name: self.weights_of(name) for name in self.models},
            "snippet": self.snippet,
        }

    def to_json(self) -> str:
        """Return `to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"

    def __str__(self):
        """Return the table and the verdict."""
        from ._table import write_table

        return write_table(self)

    def _known(self, name):
        if name is None:
            return self.best
        if name not in self.models:
            raise ValueError(
                f"No method {name!r} was fitted; expected one of {list(self.models)}."
            )
        return name


def _check(library, random_state):
    if not isinstance(library, PredictionLibrary):
        raise TypeError(
            f"blend takes a PredictionLibrary or a bank of files; got "
            f"{type(library).__name__}."
        )
    if library.task == "quantile":
        raise ValueError(
            "The library holds quantiles; blend takes values or probabilities. "
            "QuantileAggregator combines quantiles."
        )
    if not isinstance(random_state, Integral) or random_state < 0:
        raise ValueError(f"random_state is {random_state!r}; expected an int >= 0.")


def _selected(every, names, size):
    """Return the methods to try, and (name, reason) of those left out for their size.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    known = [method.name for method in every]
    names = names if isinstance(names, str) and names == "all" else _listed(names)
    strangers = [n for n in names if n not in known] if names != "all" else []
    if strangers:
        raise ValueError(
            f"Unknown method {strangers[0]!r}. Expected 'all', or some of: "
            f"{'; '.join(known)}."
        )
    if names != "all":
        kept = {*names, MEAN, BEST_MEMBER}
        return [method for method in every if method.name in kept], []
    skipped = [(m.name, _too_slow(m, size)) for m in every if size > m.most]
    return [method for method in every if size <= method.most], skipped


def _too_slow(method, size):
    if method.most == ON_REQUEST:
        return "left out, as it calls a slow scorer very often; ask for it by name"
    return (
        f"left out at {size:.3g} predictions (more than {method.most:.3g}); "
        "ask for it by name"
    )


def _listed(names):
    return [names] if isinstance(names, str) else list(names)


def _folds(library, folds, seed):
    """Return the fold of each row, and where it comes from."""
    if folds is not None:
        own = np.asarray(folds)
        if own.shape != (library.n_samples,) or own.dtype.kind not in "iu":
            raise ValueError(
                f"folds must hold one whole number for each of the "
                f"{library.n_samples} rows; got shape {own.shape} of {own.dtype}."
            )
        source = "given"
    elif library.folds is not None:
        own, source = library.folds, "library"
    else:
        return nested.draw_folds(library, seed), "drawn"
    if len(np.unique(own)) < 2:
        raise ValueError("All rows are in one fold; nested scores need at least two.")
    return own, source


def _summarise(library, metric, attempts, asked, skipped, rows, source, seed):
    good = [a for a in attempts if a.failure is None and a.held_out is not None]
    failed = [(a.method.name, _reason(a)) for a in attempts if a not in good]
    if not good:
        raise ValueError(
            "No method could be scored; the first failed with: " + failed[0][1]
        )
    kept = _asked_for(good, asked, failed)
    judge = Judge(metric, rows, nested.seen(a.held_out for a in good))
    if not judge.scored.any() or len(judge.folds) < 2:
        raise ValueError(
            "Fewer than two folds can be scored: without the others a class is "
            "missing. Give folds that each leave rows of every class."
        )
    pairs = [judge.scores(a.held_out) for a in good if a.held_out is not None]
    scores = np.array([whole for whole, _ in pairs])
    without = np.array([own for _, own in pairs])
    members, best_member = _member_rows(library, metric, judge)
    table = _method_rows(good, scores, without, metric, judge, best_member)
    order = np.argsort(-metric.sign * scores, kind="stable")
    models = {a.method.name: a.model for a in good}
    result = Blend(
        task=library.task,
        metric=metric.name,
        greater_is_better=metric.greater_is_better,
        reads=metric.reads,
        names=list(library.names),
        classes=library.classes,
        n_samples=library.n_samples,
        folds=rows.folds,
        fold_source=source,
        random_state=int(seed),
        rows=[table[k] for k in order],
        members=members,
        best=next(table[k]["name"] for k in order if k in kept),
        choice=_choice(good, without, kept, judge, metric),
        verdict="",
        skipped=[*skipped, *failed],
        seconds={a.method.name: a.seconds for a in good},
        models=models,
        held_out={a.method.name: a.held_out for a in good},
        unscored=int((~judge.scored).sum()),
        library=library,
    )
    weights = result.weights or {}
    for row in result.members:
        row["weight"] = weights.get(row["name"])
    result.verdict = write_verdict(result)
    return result


def _asked_for(good, asked, failed):
    """Return the positions of the methods asked for.

    Raises
    ------
    ValueError
        If none of them could be scored.
    """
    kept = [k for k, attempt in enumerate(good) if attempt.method.name in asked]
    if not kept:
        name, reason = next(entry for entry in failed if entry[0] in asked)
        raise ValueError(f"No method asked for could be scored: {name} {reason}.")
    return kept


def _reason(attempt: Attempt):
    if attempt.failure is not None:
        return f"failed: {attempt.failure}"
    return "failed: without each fold a class is missing"


def _member_rows(library, metric, judge):
    """Return the members' rows, best first, and the held-out scores of the best."""
    entries = []
    for name, block in zip(library.names, library.cube, strict=True):
        score, without = judge.scores(_as_read(block, metric))
        entries.append(
            {
                "name": name,
                "score": score,
                "score_se": standard_error(without),
                "_without": without,
            }
        )
    entries.sort(key=lambda entry: -metric.sign * entry["score"])
    best = entries[0]["score"], entries[0]["_without"]
    rows = [
        {
            "name": entry["name"],
            "score": _number(entry["score"]),
            "score_se": _number(entry["score_se"]),
            "weight": None,
        }
        for entry in entries
    ]
    return rows, best


def _as_read(block, metric):
    """Return one member's columns of the cube as the metric reads them."""
    if metric.reads == "values":
        return block[:, 0].astype(np.float64)
    probabilities = class_probabilities(block.astype(np.float64))
    if metric.reads == "probabilities":
        return probabilities
    return probabilities.argmax(axis=1).astype(np.float64)


def _method_rows(good, scores, without, metric, judge, best_member):
    names = [attempt.method.name for attempt in good]
    base = names.index(MEAN) if MEAN in names else None
    mean = (scores[base], without[base]) if base is not None else None
    rows = []
    for attempt, score, own in zip(good, scores, without, strict=True):
        naive = judge.score(attempt.naive)
        over_mean = _gain(score, own, mean, metric)
        over_best = _gain(score, own, best_member, metric)
        rows.append(
            {
                "name": attempt.method.name,
                "score": _number(score),
                "score_se": _number(standard_error(own)),
                "naive": _number(naive),
                "optimism": _number(metric.sign * (naive - score)),
                "gain_over_mean": over_mean[0],
                "gain_over_mean_se": over_mean[1],
                "gain_over_best": over_best[0],
                "gain_over_best_se": over_best[1],
                "n_members": _count(attempt.model, judge.rows),
                "notes": attempt.notes,
            }
        )
    return rows


def _gain(score, without, other, metric):
    """Return how much better than another's, and the paired standard error."""
    if other is None:
        return None, None
    gain = metric.sign * (score - other[0])
    return _number(gain), _number(standard_error(without - other[1]))


def _count(model, rows):
    n_outputs = 1 if rows.n_classes in (0, 2) else rows.n_classes
    weights = own_weights(model, rows.P.shape[1] // n_outputs)
    return None if weights is None else int(np.count_nonzero(weights))


def _choice(good, without, kept, judge: Judge, metric: Metric) -> dict:
    """Return the score of choosing: each fold by what is best on the others."""
    held_out = [good[k].held_out for k in kept]
    prediction = nested.choose_by_others(held_out, metric.sign * without[kept], judge)
    score, own = judge.scores(prediction)
    names = [attempt.method.name for attempt in good]
    mean = None
    if MEAN in names:
        mean = judge.scores(good[names.index(MEAN)].held_out)
    gain, gain_se = _gain(score, own, mean, metric)
    return {
        "score": _number(score),
        "score_se": _number(standard_error(own)),
        "gain_over_mean": gain,
        "gain_over_mean_se": gain_se,
        "n_methods": len(kept),
    }


def _number(value):
    """Return a float, None for NaN: JSON has none."""
    return None if np.isnan(value) else float(value) + 0.0


def method_names(task: str, metric: str | None = None, n_classes: int = 0) -> list[str]:
    """Return the names of all methods for a task, simplest first."""
    found = find_metric(metric, task, n_classes)
    every: list[Method] = methods_for(found, task, n_classes, 0)
    return [method.name for method in every]
