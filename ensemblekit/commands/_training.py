"""The rows that `ensemblekit fit` trains on: target, ids, weights, groups, features."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import FileError
from ..files._bools import words_of_bools
from ..files._ids import ID_NAMES, INDEX_NAMES, canonical, check_unique, find_repeated
from ..files._parts import Table
from ..files.target import Target, read_values
from ._features import Column, describe, find_columns, named, read, to_frame, to_texts

_MANY_LABELS = 100


@dataclass
class Rows:
    """What is trained on, and how it was decided.

    sorted_out : columns that are no features and not the target
    """

    path: Path
    X: Any
    y: NDArray
    target: str
    task: str
    classes: NDArray | None
    columns: list[Column]
    id: str | None = None
    ids: NDArray | None = None
    weight: NDArray | None = None
    groups: NDArray | None = None
    weight_name: str | None = None
    groups_name: str | None = None
    sorted_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_rows(options: Any) -> Rows:
    """Read the table and decide what each column is.

    Raises
    ------
    FileError
        With file and line, or the columns that there are.
    """
    table = read(Path(options.table), options.categories, options.id)
    _check_given(table, options)
    notes = list(table.notes)
    target = _read_target(table, options)
    notes += target.notes
    id_name = options.id or _find_id(table, options, notes)
    special = {id_name, options.groups, options.weight, *options.drop} - {None}
    special |= _find_index(table, options, notes)
    names = [n for n in table.columns if n not in {*special, options.target}]
    if not names:
        raise FileError(table.path, None, "has no column left to predict from.")
    columns, data = find_columns(table, names, options.categories)
    notes += describe(table, columns, data)
    return Rows(
        table.path,
        to_frame(columns, data),
        target.y,
        options.target,
        target.task,
        target.classes,
        columns,
        id_name,
        None if id_name is None else _read_ids(table, id_name),
        None if options.weight is None else _read_weight(table, options.weight),
        None if options.groups is None else _read_groups(table, options.groups),
        options.weight,
        options.groups,
        [name for name in table.columns if name in special],
        notes,
    )


def _check_given(table, options):
    given = {
        "--target": [options.target],
        "--id": [options.id],
        "--groups": [options.groups],
        "--weight": [options.weight],
        "--drop": options.drop,
        "--categories": options.categories,
    }
    for option, names in given.items():
        strange = [n for n in names if n is not None and n not in table.columns]
        if strange:
            raise FileError(
                table.path,
                None,
                f"has no column {strange[0]!r} ({option}).",
                f"It has {named(table.columns, 10)}.",
            )
    roles = [options.target, options.id, options.groups, options.weight]
    if options.target in [*roles[1:], *options.drop]:
        raise FileError(
            table.path, None, f"the target {options.target!r} is given another part."
        )


def _read_target(table, options):
    name, values = options.target, table.columns[options.target]
    if values.dtype.kind == "b":  # True and False stay words in what is written
        values = words_of_bools(table.path, name, values)
    target = Target(np.empty(0), None, None, "", table.path, name)
    read_values(table, name, values, options.task, target)
    if options.task is None:
        target.notes[-1] += _other_reading(target)
    if target.task == "regression" and len(np.unique(target.y)) < 2:
        raise table.error(None, f"the target {name!r} has the same value in all rows.")
    return target


def _other_reading(target):
    """Return how to have whole numbers read the other way, where one may want to."""
    if target.task == "classification" and target.y.dtype.kind in "iu":
        amounts = len(target.classes) > 2
        return " (--task regression if these are amounts)" if amounts else ""
    whole = target.task == "regression" and (target.y == np.floor(target.y)).all()
    few = whole and len(np.unique(target.y)) <= _MANY_LABELS
    return " (--task classification if these are labels)" if few else ""


def _find_id(table, options, notes):
    """Return a column of distinct values that is named as ids are."""
    taken = {options.target, options.groups, options.weight, *options.drop}
    lower = {name.lower(): name for name in reversed(table.columns)}
    for known in ID_NAMES:
        name = lower.get(known)
        if name is None or name in taken or not _is_key(table, name):
            continue
        notes.append(
            f"column {name!r} holds row ids by its name: no feature, but written "
            "beside the predictions"
        )
        return name
    return None


def _find_index(table, options, notes):
    """Return columns that pandas wrote as its index."""
    found = {
        name
        for name in table.columns
        if name.lower() in INDEX_NAMES
        and name not in (options.target, options.id, *options.drop)
        and _is_key(table, name)
    }
    notes += [f"column {name!r} numbers the rows: left out" for name in sorted(found)]
    return found


def _is_key(table, name):
    try:
        return find_repeated(canonical(table, name)) is None
    except FileError:  # an id is missing
        return False


def _read_ids(table, name):
    ids = canonical(table, name)
    check_unique(table, name, ids)
    return ids


def _read_weight(table: Table, name):
    values = table.columns[name]
    if values.dtype.kind not in "fiub":
        raise table.error(None, f"column {name!r} (--weight) holds no numbers.")
    weight = values.astype(np.float64)
    unfit = ~(np.isfinite(weight) & (weight >= 0))
    if unfit.any():
        raise table.error(
            np.argmax(unfit),
            f"the weight in column {name!r} is no number of 0 or more.",
        )
    if not weight.any():
        raise table.error(None, f"all weights in column {name!r} are 0.")
    return weight


def _read_groups(table: Table, name):
    groups = to_texts(table.columns[name])
    missing = np.array([value is None for value in groups], dtype=bool)
    if missing.any():
        raise table.error(
            np.argmax(missing),
            f"the group in column {name!r} is missing.",
            "Give each row a group.",
        )
    return groups.astype(np.str_)
