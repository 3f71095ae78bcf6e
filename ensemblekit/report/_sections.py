"""Sections of a report that are read off a combiner: weights, path, verdict, hints."""

from typing import Any

import numpy as np

from ..combine._base import own_weights
from ..leaderboard import is_beyond_chance
from ._correlation import DUPLICATE
from ._scores import ENSEMBLE, paired_difference

_PATH = 1000  # points at most


def describe_weights(combiner, names):
    """Return the section on weights, or None where a combiner has none of members."""
    weights = own_weights(combiner, len(names))
    if weights is None:
        return None
    section = {
        "combiner": type(combiner).__name__,
        "names": list(names),
        "values": np.asarray(weights, float),
        "n_used": int(np.count_nonzero(weights)),
        "intervals": None,
        "level": None,
    }
    intervals = getattr(combiner, "weight_intervals_", None)
    if intervals is not None and np.shape(intervals) == (len(names), 2):
        section["intervals"] = np.asarray(intervals, float)
        section["level"] = 1.0 - combiner.alpha
    return section


def describe_path(combiner, names):
    """Return the section on the selection path, or None where there is none."""
    path: Any = getattr(combiner, "loss_path_", None)
    if path is None or np.ndim(path) != 1 or len(path) == 0:
        return None
    picks: Any = getattr(combiner, "picks_", None)
    picked = picks is not None and len(picks) == len(path)
    kept = np.arange(len(path))
    if len(path) > _PATH:
        kept = np.unique(np.linspace(0, len(path) - 1, _PATH).round().astype(int))
    return {
        "step": "pick" if picked else "step",
        "steps": kept + 1,
        "losses": np.asarray(path, float)[kept],
        "members": [names[int(picks[step])] for step in kept] if picked else None,
    }


def compare(judged):
    """Return the ensemble's paired gains over the best member and over the mean."""
    rows = {row["name"]: row for row in judged.rows if row["kind"] != "member"}
    ensemble = rows.pop(ENSEMBLE, None)
    members = [row for row in judged.rows if row["kind"] == "member"]
    if ensemble is None or ensemble["loss"] is None:
        return []
    best = min(members, key=lambda row: row["loss"])
    gains = []
    for other in [best, *rows.values()]:
        difference, error = paired_difference(judged, ensemble, other)
        gains.append(
            {
                "against": other["name"],
                "kind": other["kind"],
                "gain": -difference,
                "se": error,
                "n_folds": len(ensemble["scores"]),
            }
        )
    return gains


def say_verdict(gains, members):
    """Say in a sentence what the ensemble gains beyond chance."""
    if not gains:
        return _without_ensemble(members)
    said = [_clause(row) for row in gains]
    return f"The ensemble {' and '.join(said)}."


def _without_ensemble(members):
    scored = [row for row in members if row["loss"] is not None]
    if not scored:
        return "Nothing has a held-out score, so that nothing is compared."
    best = min(scored, key=lambda row: row["loss"])
    return f"The best member is {best['name']}; no ensemble has a held-out score."


def _clause(row):
    best = row["kind"] == "member"
    other = f"the best member ({row['against']})" if best else f"the {row['against']}"
    gain, error = row["gain"], row["se"]
    if np.isnan(error):
        word = "has a lower" if gain > 0 else "has no lower"
        return f"{word} loss than {other}"
    if not is_beyond_chance(abs(gain), error, row["n_folds"]):
        return f"differs from {other} by no more than chance gives"
    size = f"by {abs(gain) / error:.1f} standard errors" if error else "on every fold"
    return f"{'beats' if gain > 0 else 'loses to'} {other} {size}"


def find_hints(correlation, cross_fit=None, folds=True):
    """Return hints: dicts of level, subject, problem and advice."""
    hints = [] if folds else [_no_folds()]
    for pair in (correlation or {}).get("most_alike", []):
        if pair["correlation"] >= DUPLICATE:
            hints.append(_duplicates(pair))
    for dropped in getattr(cross_fit, "dropped_", []):
        hints.append(_dropped(dropped))
    for row in getattr(cross_fit, "report_", []):
        if row["frozen"]:
            hints.append(_frozen(row["name"]))
    return hints


def _no_folds():
    return {
        "level": "warning",
        "subject": "all",
        "problem": "The library has no folds; the ensemble has no held-out score.",
        "advice": "Give the fold of each row.",
    }


def _duplicates(pair):
    return {
        "level": "hint",
        "subject": f"{pair['first']}, {pair['second']}",
        "problem": f"Their errors have correlation {pair['correlation']:.6f}.",
        "advice": "Keep one of the two: they are nearly the same predictions.",
    }


def _dropped(row):
    return {
        "level": "warning",
        "subject": row["name"],
        "problem": f"Left out, for it failed in {row['where']}: {row['problem']}",
        "advice": "Mend the member, or leave it out of the list.",
    }


def _frozen(name):
    return {
        "level": "warning",
        "subject": name,
        "problem": "It was trained elsewhere; its loss may not be of held-out rows.",
        "advice": "Make sure that its predictions are out-of-fold.",
    }
