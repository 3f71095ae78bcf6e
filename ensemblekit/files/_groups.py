"""Which columns of a table belong to which member."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..exceptions import FileError
from ._class_names import ClassNames
from ._columns import _PREDICTION
from ._names import STRIPPED, strip_roles, words
from ._parts import Table
from ._quantiles import group_quantiles
from ._values import numbers, sums_to_one
from .target import Target

if TYPE_CHECKING:
    from ._blocks import Block

ADVICE_ON_CLASSES = (
    "Write predict_proba's output, columns named by class; or, if the target holds "
    "values, set the task to regression."
)
Groups = list[tuple[str, list[str]]]


def group_columns(
    table: Table, names: list[str], target: Target, member: str, alone: bool
) -> tuple[Groups, list[str]]:
    """Return members with their columns in the order of the classes, and notes.

    alone : whether the file is the only one, so that columns are members
    """
    if target.levels is not None:
        return group_quantiles(table, names, target, member)
    if target.classes is None:
        return _one_each(table, names, member, alone)
    known = ClassNames(target.classes)
    families, left = _find_families(table, names, known)
    if len(known.labels) == 2:
        return _binary(table, names, families, left, known, member, alone)
    return _several_classes(table, names, families, left, known, member)


def _one_each(table, names, member, alone):
    if len(names) == 1:
        return [(member, names)], []
    chosen = _named_last(names)
    if chosen and not alone:
        note = f"{table.path}: the last column, {chosen!r}, read; {names[:-1][:5]} not"
        return [(member, [chosen])], [note]
    prefix = "" if alone else f"{member}."
    groups = [(prefix + _column_key(name), [name]) for name in names]
    if len({name for name, _ in groups}) < len(groups):
        groups = [(prefix + name, [name]) for name in names]
    return groups, [f"{table.path}: each of {len(names)} columns is a member"]


def _column_key(name):
    return strip_roles(name, STRIPPED[1]) or name


def _named_last(names):
    """One column named as a prediction, at the end, is the prediction."""
    named = [name for name in names if set(words(name)) & _PREDICTION]
    return names[-1] if named == names[-1:] else None


def _find_families(table, names, known):
    """Find columns of one member each; where names have two readings, the sums tell."""
    named = [name for name in names if name not in table.counted]
    readings = [known.families(named, last) for last in (True, False)]
    families, left = readings[0]
    if readings[0] != readings[1]:
        for reading in readings:
            if not reading[1] and _sum_to_one(table, _members(reading[0], "")):
                families, left = reading
                break
    return families, [name for name in names if name in table.counted or name in left]


def _members(families, member):
    """Name members by what their columns' names have besides the class."""
    members = []
    for rest, columns in families:
        key = strip_roles(rest, STRIPPED[0] | {"class", "p", "confidence"}) or rest
        members.append((member if len(families) == 1 else key, columns))
    return members


def _labelled(table, names, known):
    """Return the label in each name that has one."""
    found = {name: known.find(name) for name in names if name not in table.counted}
    return {name: part for name, part in found.items() if part is not None}


def _sum_to_one(table, groups):
    return all(
        sums_to_one(np.column_stack([numbers(table, name) for name in columns])).all()
        for _, columns in groups
    )


def _say_order(table, names, groups, known):
    if [name for _, columns in groups for name in columns] == names:
        return []
    return [f"{table.path}: columns put in the order of the classes {known.labels}"]


def _unclear(table, names, labelled, known):
    return FileError(
        table.path,
        None,
        f"has the columns {names[:10]}; by their names {list(labelled)[:5]} are of "
        f"classes, but not each of {known.labels[:10]} has one of its own.",
        "Name the columns p_<label> for each class, or none of them by a class.",
    )


def _binary(table, names, families, left, known, member, alone):
    groups = _members(families, member)
    complete = bool(groups) and _sum_to_one(table, groups)
    if complete and not left:
        return groups, _say_order(table, names, groups, known)
    labelled = _labelled(table, names, known)
    if len(names) == 2 and _sum_to_one(table, [(member, names)]):
        if labelled:
            raise _unclear(table, names, labelled, known)
        note = f"{table.path}: two columns that sum to 1: {names[1]!r} is taken as "
        return [(member, names)], [f"{note}the probability of {known.labels[1]!r}"]
    if len(names) == 1:
        _refuse_first_class(table, names[0], labelled, known)
    elif alone or not _named_last(names) or names[-1] in labelled:
        _refuse_parts(table, names, groups, complete, labelled, known)
    return _one_each(table, names, member, alone)


def _refuse_first_class(table, name, labelled, known):
    part = labelled.get(name)
    if part is not None and part.label == known.labels[0] and part.word:
        raise FileError(
            table.path,
            None,
            f"its one column, {name!r}, is named after the class {part.label!r}; "
            f"expected the probability of {known.labels[1]!r}.",
            "Write 1 - p, or both columns.",
        )


def _refuse_parts(table, names, groups, complete, labelled, known):
    """Refuse columns of both classes among members; numbers may count members."""
    words = {name for name, part in labelled.items() if part.word}
    columns = [name for _, group in groups for name in group]
    others = [name for name in names if name not in columns]
    if complete:
        raise FileError(
            table.path,
            None,
            f"has the columns {columns[:6]}, named by the classes, and {others[:5]} "
            "beside them: what these are is not said.",
            "Leave out what is no prediction, or give all members both columns.",
        )
    if words and not others:
        raise FileError(
            table.path,
            None,
            f"has the columns {columns[:6]}, named by the classes {known.labels}, "
            "which do not sum to 1.",
            "Write predict_proba's output, or name no members by classes.",
        )
    second = all(
        name in labelled and labelled[name].label == known.labels[1] for name in names
    )
    if words and not second:
        raise _unclear(table, names, labelled, known)


def _several_classes(table, names, families, left, known, member):
    n_classes, labels = len(known.labels), known.labels
    labelled = _labelled(table, names, known)
    groups = _members(families, member)
    distinct = len({name for name, _ in groups}) == len(groups)
    if groups and distinct and not left:
        return groups, _say_order(table, names, groups, known)
    if groups:
        stray = {name: part for name, part in labelled.items() if name in left}
        counts = len(groups) == 1 and not any(part.word for part in stray.values())
        if not distinct or (stray and not counts):
            raise _unclear(table, names, stray or labelled, known)
        return groups, [f"{table.path}: columns of the classes read, others not"]
    if len(names) == n_classes:
        _refuse_labels(table, names, names, labelled, known)
        note = f"{table.path}: columns {names[:5]} taken in the order of the classes "
        return [(member, names)], [note + f"{labels[:10]}"]
    last = [(member, names[-n_classes:])]
    if (
        len(names) > n_classes
        and _are_numbers(table, last)
        and _sum_to_one(table, last)
    ):
        _refuse_labels(table, names, last[0][1], labelled, known)
        return last, [f"{table.path}: the last {n_classes} columns read, others not"]
    if any(part.word for part in labelled.values()):
        raise _unclear(table, names, labelled, known)
    raise FileError(
        table.path,
        None,
        f"has {len(names)} columns of predictions ({names[:5]}); expected "
        f"{n_classes}, one for each class of {labels[:10]}.",
        ADVICE_ON_CLASSES,
    )


def _refuse_labels(table, names, chosen, labelled, known):
    """Refuse to take columns by their place where names say something of classes.

    A number that all of them have is none of a class.
    """
    found = {name: part for name, part in labelled.items() if name in chosen}
    alike = len(found) == len(chosen) and len(set(found.values())) == 1
    words = any(part.word for part in labelled.values())
    if words or (found and not alike):
        raise _unclear(table, names, labelled, known)


def _are_numbers(table, groups):
    return all(
        table.columns[name].dtype.kind in "fiub"
        for _, columns in groups
        for name in columns
    )


def check_class_order(oof: Block, test: Block) -> None:
    """Refuse columns of one member that stand in another order in its test file.

    Columns that were told by their class stand in the order of the classes.

    Raises
    ------
    FileError
        Of the test file.
    """
    ours, theirs = (
        [strip_roles(name, STRIPPED[1]) for name in block.columns]
        for block in (oof, test)
    )
    if ours != theirs and sorted(ours) == sorted(theirs):
        raise FileError(
            test.path,
            None,
            f"has the columns of the classes in another order, "
            f"{list(test.columns)[:10]}, than {oof.path}, {list(oof.columns)[:10]}.",
            "Name them p_<label> for each class, or write them alike.",
        )
