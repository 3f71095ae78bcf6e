"""From attempts to a `Blend`: rows of methods and members, and the choice."""

from __future__ import annotations

import numpy as np

from ..combine._base import own_weights
from ..layout import class_probabilities
from . import _nested as nested
from ._nested import Attempt, Judge, standard_error
from ._result import Blend
from ._verdict import write_verdict
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
    if metric.reads == "quantiles":
        return block.astype(np.float64)
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
