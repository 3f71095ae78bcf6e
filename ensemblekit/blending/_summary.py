"""From attempts to a `Blend`: rows of methods and members, and the choice."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..combine._base import own_weights
from ..layout import class_probabilities
from . import _nested as nested
from ._nested import Attempt, Judge, standard_error
from ._result import Blend
from .methods import MEAN
from .metrics import Metric

__all__ = ["summarise"]


def summarise(library, metric, attempts, asked, skipped, rows, source, seed):
    """Return the `Blend` of all attempts.

    asked : names of the methods among which the best is chosen
    skipped : (name, reason) of those not tried; source : where the folds come from

    Raises
    ------
    ValueError
        If no method, or fewer than two folds, can be scored.
    """
    fitted, failed = _parted(attempts)
    judge = _make_judge(metric, rows, fitted)
    scored, failed = _score_all(fitted, failed, judge)
    good = [each.attempt for each in scored]
    kept = _asked_for(good, asked, failed)
    without = np.array([each.without for each in scored])
    members, best_member = _member_rows(library, metric, judge)
    table = _method_rows(scored, metric, judge, best_member)
    order = np.argsort([-metric.sign * each.score for each in scored], kind="stable")
    best = next(table[k]["name"] for k in order if k in kept)
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
        best=best,
        choice=_choice(good, without, kept, judge, metric, best_member),
        verdict="",
        skipped=[*skipped, *failed],
        seconds={a.method.name: a.seconds for a in good},
        models={a.method.name: a.model for a in good},
        held_out={a.method.name: a.held_out for a in good},
        unscored=int((~judge.scored).sum()),
        library=library,
    )
    return result.choose(best)  # which weighs the members and writes the verdict


class _Scored(NamedTuple):
    """An attempt with its nested score, those without each fold, and the naive one."""

    attempt: Attempt
    score: float
    without: np.ndarray
    naive: float


def _parted(attempts):
    """Return attempts that can be scored, and (name, reason) of the others.

    Raises
    ------
    ValueError
        If none can.
    """
    good = [a for a in attempts if a.failure is None and a.held_out is not None]
    failed = [(a.method.name, _reason(a)) for a in attempts if a not in good]
    if not good:
        raise _none_scored(failed)
    return good, failed


def _make_judge(metric, rows, good):
    """Return what scores all methods on the same rows.

    Raises
    ------
    ValueError
        If fewer than two folds can be scored.
    """
    judge = Judge(metric, rows, nested.seen(a.held_out for a in good))
    if not judge.scored.any() or len(judge.folds) < 2:
        raise ValueError(
            "Fewer than two folds can be scored: without the others a class is "
            "missing. Give folds that each leave rows of every class."
        )
    return judge


def _score_all(attempts, failed, judge):
    """Return the attempts with their scores, and what failed with those that have none.

    Raises
    ------
    ValueError
        If none has.
    """
    scored, failed = [], list(failed)
    for attempt in attempts:
        try:
            whole, without = judge.scores(attempt.held_out)
            naive = judge.score(attempt.naive)
        except ValueError as error:  # some metrics take no values below 0
            failed.append(
                (attempt.method.name, f"cannot be scored: {str(error).rstrip(chr(46))}")
            )
        else:
            scored.append(_Scored(attempt, whole, without, naive))
    if not scored:
        raise _none_scored(failed)
    return scored, failed


def _none_scored(failed):
    name, reason = failed[0]
    return ValueError(f"No method could be scored; the first, {name}, {reason}")


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
        try:
            score, without = judge.scores(_as_read(block, metric))
        except ValueError:  # some metrics take no values below 0
            score, without = np.nan, np.full(len(judge.folds), np.nan)
        entries.append(
            {
                "name": name,
                "score": score,
                "score_se": standard_error(without),
                "_without": without,
            }
        )
    entries.sort(key=lambda e: (np.isnan(e["score"]), -metric.sign * e["score"]))
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
    if metric.reads == "quantiles":
        return block.astype(np.float64)
    probabilities = class_probabilities(block.astype(np.float64))
    if metric.reads == "probabilities":
        return probabilities
    return probabilities.argmax(axis=1).astype(np.float64)


def _method_rows(scored, metric, judge, best_member):
    named = {each.attempt.method.name: each for each in scored}
    mean = (named[MEAN].score, named[MEAN].without) if MEAN in named else None
    rows = []
    for attempt, score, own, naive in scored:
        over_mean = _gain(score, own, mean, metric)
        over_best = _gain(score, own, best_member, metric)
        rows.append(
            {
                "name": attempt.method.name,
                "score": _number(score),
                "score_se": _number(standard_error(own)),
                "naive": _number(naive),
                "optimism": _number(_optimism(naive, score, metric)),
                "gain_over_mean": over_mean[0],
                "gain_over_mean_se": over_mean[1],
                "gain_over_best": over_best[0],
                "gain_over_best_se": over_best[1],
                "n_members": _count(attempt.model, judge.rows),
                "notes": attempt.notes,
            }
        )
    return rows


def _optimism(naive, score, metric):
    """Return by how much the naive score looks better; rounding of sums is none."""
    if np.isclose(naive, score, rtol=1e-12, atol=0.0):
        return 0.0
    return metric.sign * (naive - score)


def _gain(score, without, other, metric):
    """Return how much better than another's, and the paired standard error."""
    if other is None:
        return None, None
    gain = metric.sign * (score - other[0])
    return _number(gain), _number(standard_error(without - other[1]))


def _count(model, rows):
    weights = own_weights(model, rows.P.shape[1] // rows.n_outputs)
    return None if weights is None else int(np.count_nonzero(weights))


def _choice(good, without, kept, judge: Judge, metric: Metric, best_member) -> dict:
    """Return the score of choosing: each fold by what is best on the others."""
    held_out = [good[k].held_out for k in kept]
    prediction = nested.choose_by_others(held_out, metric.sign * without[kept], judge)
    score, own = judge.scores(prediction)
    names = [attempt.method.name for attempt in good]
    mean = None
    if MEAN in names:
        mean = judge.scores(good[names.index(MEAN)].held_out)
    over_mean = _gain(score, own, mean, metric)
    over_best = _gain(score, own, best_member, metric)
    return {
        "score": _number(score),
        "score_se": _number(standard_error(own)),
        "gain_over_mean": over_mean[0],
        "gain_over_mean_se": over_mean[1],
        "gain_over_best": over_best[0],
        "gain_over_best_se": over_best[1],
        "n_methods": len(kept),
        "n_folds": len(judge.folds),
    }


def _number(value):
    """Return a float, None for NaN: JSON has none."""
    return None if np.isnan(value) else float(value) + 0.0
