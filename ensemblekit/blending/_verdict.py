"""The outcome of a blend in words."""

import math

from ..leaderboard import is_beyond_chance
from .methods import BEST_MEMBER, MEAN

_BASES = ("gain_over_mean", "gain_over_best")


def write_verdict(blend):
    """Return whether combining is shown to beat the mean and the best member.

    Judged is the one method asked for or, of several, the choice among them, each fold
    by the others: the best of many looks better than it is.
    """
    row, who = _judged(blend)
    names = ("the mean", f"the best single member ({blend.members[0]['name']})")
    kinds = [_kind(row, base, blend.choice["n_folds"]) for base in _BASES]
    entries = list(
        zip(kinds, names, (_gain(row, base) for base in _BASES), strict=True)
    )
    said: list[str] = []
    for kind in dict.fromkeys(kinds):
        others = [entry[1:] for entry in entries if entry[0] == kind]
        again = any(sentence.startswith(who) for sentence in said)
        said.append(_sentence(kind, "It" if again else who, others))
    return " ".join(said)


def beats_mean(blend):
    """Return whether the verdict says so."""
    row, _ = _judged(blend)
    return _kind(row, _BASES[0], blend.choice["n_folds"]) == "shown"


def say_written(blend):
    """Return which method the files are of, and how to have the mean where it serves.

    Nobody has to take the mean where nothing is shown to beat it: what is written is of
    the best nested score, or was asked for.
    """
    row = next(row for row in blend.rows if row["name"] == blend.best)
    said = f"{blend.best} (nested {blend.metric} {row['score']:.6g})"
    has_mean = any(row["name"] == MEAN for row in blend.rows)
    if blend.best == MEAN or not has_mean or beats_mean(blend):
        return f"{said}."
    return (
        f"{said}. The mean, which nothing is shown to beat, is written by --method "
        "mean (in Python, method='mean')."
    )


def _judged(blend):
    """Return the row that the verdict is on, and whose it is."""
    n_methods = blend.choice["n_methods"]
    if n_methods > 1:
        return blend.choice, f"Choosing among the {n_methods} methods"
    rows = {row["name"]: row for row in blend.rows}
    member, n_folds = rows.get(BEST_MEMBER), blend.choice["n_folds"]
    # Against the mean alone stands the member, which was not chosen among many.
    alone = blend.best == MEAN and member is not None
    if alone and _kind(member, _BASES[0], n_folds) == "shown":
        return member, BEST_MEMBER
    return rows[blend.best], blend.best


def _kind(row, base, n_folds):
    gain = row[base]
    if gain is None or gain <= 0.0:
        return "none"
    shown = is_beyond_chance(gain, row[base + "_se"] or 0.0, n_folds)
    return "shown" if shown else "chance"


def _sentence(kind, who, others):
    """Return what holds of one or both of mean and best member."""
    if kind == "none":
        return f"Nothing is shown to beat {', or '.join(name for name, _ in others)}."
    verb = "beats" if kind == "shown" else "looks better than"
    gains = ", and ".join(f"{name} by {gain}" for name, gain in others)
    end = "" if kind == "shown" else ", which is within what chance gives"
    return f"{who} {verb} {gains}{end}."


def _gain(row, base):
    return "" if row[base] is None else _with_error(row[base], row[base + "_se"])


def _with_error(gain, error):
    """Return both to the second digit of the error."""
    if not error:
        return f"{gain:.4g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    times = f"{gain / error:.1f} standard errors"
    return f"{gain:.{digits}f} +- {error:.{digits}f} ({times})"
