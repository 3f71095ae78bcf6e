"""What model.json says, every field checked: anyone may have edited it."""

import math
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..exceptions import FileError
from ..files._json import read_object
from ._features import CATEGORY, NUMBER
from ._members_file import PACKAGES

FORMAT = 1
ADVICE = "Give a folder that `ensemblekit fit` wrote."
_LARGEST = 2**27
_DIGEST = re.compile("[0-9a-f]{64}")
_TASKS = ("regression", "classification")


def read_facts(path: Path) -> dict[str, Any]:
    """Return what the file says.

    Raises
    ------
    FileError
        If it is no JSON, or a field is missing, unknown or unfit; names the field.
    """
    facts = read_object(path, _LARGEST, ADVICE)
    if facts.get("format") != FORMAT or isinstance(facts["format"], bool):
        raise FileError(path, None, f"describes no model of format {FORMAT}.", ADVICE)
    for key, fits in _FITS.items():
        if key not in facts:
            raise FileError(path, None, f"lacks {key!r}.", ADVICE)
        if not fits(facts[key]):
            problem = f"has {key!r} of a type or value that no fit writes."
            raise FileError(path, None, problem, ADVICE)
    strangers = sorted(facts.keys() - _FITS.keys())
    if strangers:
        problem = f"has the unknown field {strangers[0][:40]!r}."
        raise FileError(path, None, problem, ADVICE)
    _check_packages(path, facts["packages"])
    _check_together(path, facts)
    return facts


def _check_packages(path, names):
    strange = [name[:40] for name in names if name not in PACKAGES]
    if strange:
        raise FileError(
            path,
            None,
            f"names the packages {strange[:5]}; only {', '.join(PACKAGES)} are "
            "trusted.",
            "Fit the model again.",
        )


def _check_together(path, facts):
    """Refuse fields that do not fit each other."""
    of_values = facts["task"] == "regression"
    if (facts["classes"] is None) != of_values or (
        facts["half_widths"] and not of_values
    ):
        problem = f"has classes or half_widths that no {facts['task']} has."
        raise FileError(path, None, problem, ADVICE)
    names = [column["name"] for column in facts["columns"]]
    others = {facts["target"], facts["id"], *facts["sorted_out"]} - {None}
    if not others.isdisjoint(names) or facts["id"] == facts["target"]:
        problem = "has columns that are features and target, id or sorted out."
        raise FileError(path, None, problem, ADVICE)


def _is_text(value):
    return isinstance(value, str)


def _is_name(value):
    return isinstance(value, str) and value != ""


def _is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value):
    return _is_whole(value) and value >= 0


def _is_number(value):
    kind = isinstance(value, int | float) and not isinstance(value, bool)
    return kind and abs(value) < math.inf and abs(value) < 1e300


def _are_texts(value):
    return isinstance(value, list) and all(map(_is_text, value))


def _are_different(value):
    return _are_texts(value) and len(set(value)) == len(value)


def _are_classes(value):
    """Return whether it is None, or labels of one type, sorted, each once."""
    if value is None:
        return True
    if not isinstance(value, list) or len(value) < 2:
        return False
    kinds = set(map(type, value))
    return (
        len(kinds) == 1
        and kinds <= {str, int, float, bool}
        and all(a < b for a, b in pairwise(value))
    )


def _are_versions(value):
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _are_half_widths(value):
    """Return whether it is pairs of rising shares and widths that do not rise."""
    if not isinstance(value, list) or not all(map(_is_pair, value)):
        return False
    return all(a[0] < b[0] and a[1] >= b[1] for a, b in pairwise(value))


def _is_pair(value):
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(map(_is_number, value))
        and 0.0 < value[0] < 1.0
        and value[1] >= 0.0
    )


def _are_columns(value):
    if not isinstance(value, list) or not all(map(_is_column, value)):
        return False
    names = {column["name"] for column in value}
    return 0 < len(names) == len(value)


def _is_column(entry):
    return (
        isinstance(entry, dict)
        and entry.keys() == {"name", "kind", "values", "n_missing"}
        and _is_text(entry["name"])
        and _is_count(entry["n_missing"])
        and _is_kind(entry["kind"], entry["values"])
    )


def _is_kind(kind, values):
    """Return whether categories are sorted texts, and numbers have none."""
    if kind == NUMBER:
        return values is None
    return kind == CATEGORY and _are_different(values) and values == sorted(values)


_FITS: dict[str, Callable[[Any], bool]] = {
    "format": _is_count,
    "task": lambda value: value in _TASKS,
    "target": _is_name,
    "columns": _are_columns,
    "classes": _are_classes,
    "metric": _is_name,
    "score": _is_number,
    "combiner": _is_name,
    "members": _are_different,
    "seed": _is_count,
    "n_rows": _is_count,
    "id": lambda value: value is None or _is_name(value),
    "sorted_out": _are_different,
    "half_widths": _are_half_widths,
    "packages": _are_texts,
    "versions": _are_versions,
    "sha256": lambda value: _is_text(value) and bool(_DIGEST.fullmatch(value)),
}
