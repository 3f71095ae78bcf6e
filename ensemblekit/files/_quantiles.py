"""Quantile levels that the names of columns tell, and the columns of each member."""

import re

import numpy as np
from numpy.typing import NDArray

from ..exceptions import FileError
from ._names import STRIPPED, strip_roles
from ._parts import Table

ADVICE_ON_LEVELS = (
    "Name the columns by their levels (q0.1, 0.1, p10), or give all levels in the "
    "order of the columns: --quantiles 0.1,0.5,0.9."
)
_NUMBER = r"(?P<number>\d*\.\d+|\d+(?:\.\d+)?)(?P<sign>%?)"
_WORDS = r"(?:(?P<word>quantile|level|tau|q|percentile|pct|p)[_\-]?)?"
_NAME = re.compile(rf"^(?:(?P<rest>.*?)[_\-. ])??{_WORDS}{_NUMBER}$", re.I)
_PERCENT = ("percentile", "pct", "p")
_EITHER = ("quantile", "q")
Levels = dict[str, dict[float, str]]


def level_of(name: str, plain: bool = False) -> tuple[str, float] | None:
    """Split a column's name into what is beside the level, and the level.

    plain : only ``q0.1`` or ``0.1`` and the like: ``p10``, and ``ridge_0.1``, may be
        names of members

    Examples
    --------
    >>> level_of("lgbm_q0.1"), level_of("0.975"), level_of("p10"), level_of("lgbm_10")
    (('lgbm', 0.1), ('', 0.975), ('', 0.1), None)
    """
    match = _NAME.match(name)
    if match is None:
        return None
    rest, word = match["rest"] or "", (match["word"] or "").lower()
    level = _read_level(match["number"], bool(match["sign"]), word)
    if level is None or (plain and not _is_plain(match, rest, word)):
        return None
    return rest, level


def _read_level(number, sign, word):
    """Return the level in (0, 1), or None where the name does not say."""
    fraction = "." in number and float(number) < 1.0
    if sign or (word in (*_PERCENT, *_EITHER) and not fraction):
        level = float(f"{number}e-2")  # to the last digit
    elif fraction and word not in _PERCENT:
        level = float(number)
    else:
        return None
    return level if 0.0 < level < 1.0 else None


def _is_plain(match, rest, word):
    fraction = "." in match["number"] and not match["sign"]
    return fraction and float(match["number"]) < 1.0 and bool(word or not rest)


def group_levels(names: list[str], plain: bool = False) -> Levels | None:
    """Return the columns by what is beside the level, or None if one has no level.

    All must have the same levels.
    """
    groups: Levels = {}
    for name in names:
        split = level_of(name, plain)
        if split is None or split[1] in groups.setdefault(split[0], {}):
            return None
        groups[split[0]][split[1]] = name
    levels = {tuple(sorted(group)) for group in groups.values()}
    return groups if len(levels) == 1 else None


def levels_in(names: list[str], plain: bool = False) -> NDArray | None:
    """Return the ascending levels, two or more, that names of columns tell, or None."""
    groups = group_levels(names, plain)
    levels = [] if groups is None else sorted(next(iter(groups.values())))
    return np.array(levels) if len(levels) > 1 else None


def group_quantiles(table: Table, names: list[str], target, member: str):
    """Return members with their columns in the order of the levels, and notes.

    Raises
    ------
    FileError
        If names tell other levels than those of the target, or none.
    """
    levels = target.levels.tolist()
    known = [name for name in names if level_of(name) is not None]
    groups = group_levels(known)
    if groups is None or sorted(next(iter(groups.values()))) != levels:
        return _in_order(table, names, known, target, member)
    members = []
    for rest, columns in groups.items():
        key = strip_roles(rest, STRIPPED[0]) or rest
        name = member if len(groups) == 1 else key or member
        members.append((name, [columns[level] for level in levels]))
    if len({name for name, _ in members}) < len(members):
        raise FileError(
            table.path,
            None,
            f"has columns {names[:6]}, which are of several members of one name.",
            "Name them <member>_q<level>.",
        )
    return members, _say(table, names, known, members)


def _in_order(table, names, known, target, member):
    """Columns that name no levels are those that were given, if they are as many."""
    levels = target.levels.tolist()
    if not known and target.levels_given and len(names) == len(levels):
        note = f"{table.path}: columns {names[:5]} taken in the order of the levels "
        return [(member, names)], [f"{note}{levels}"]
    raise FileError(
        table.path,
        None,
        f"has columns {names[:8]}; expected one for each of the quantile levels "
        f"{levels}.",
        ADVICE_ON_LEVELS,
    )


def _say(table, names, known, members):
    notes = []
    if len(known) < len(names):
        others = [name for name in names if name not in known]
        notes.append(f"{table.path}: columns of levels read, {others[:5]} not")
    if [name for _, columns in members for name in columns] != known:
        notes.append(f"{table.path}: columns put in the order of the levels")
    return notes


def check_order(path, values: NDArray, first: int = 0, line=None) -> None:
    """Refuse quantiles that decrease along the levels.

    values : (rows, levels), rows from number `first` on
    line : function of a row to its line in the file, or to None
    """
    crossing = np.flatnonzero((np.diff(values, axis=1) < 0.0).any(axis=1))
    if crossing.size:
        row = first + int(crossing[0])
        known = None if line is None else line(row)
        where = f"row {row}: " if known is None else ""
        raise FileError(
            path,
            known,
            f"{where}quantiles decrease along the levels ({crossing.size} such rows).",
            "Sort them within each row, and save them again.",
        )
