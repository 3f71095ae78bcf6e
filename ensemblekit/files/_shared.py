"""Ids by content: a column that a file has in common with the target's."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..exceptions import FileError
from ._columns import (
    _PREDICTION,
    FOLD_NAMES,
    REPEAT_NAMES,
    TRUTH_NAMES,
    find_roles,
)
from ._content import read_table
from ._ids import INDEX_NAMES, as_same_kind, canonical, find_repeated
from ._names import words
from ._parts import Table
from .target import Target

_ID_WORDS = {"id", "ids", "uid", "uuid", "key", "idx", "index"}


@dataclass
class Shared:
    """Finds the ids of tables where no column has the name of one.

    A column that stands in the file of the target too, with the same distinct values,
    holds the ids. One that is named like ids, and tells the target's rows apart, does
    so as well: where its values are others, the file is refused for them.
    """

    target: Target
    notes: list[str] = field(default_factory=list)
    _read: dict[str, NDArray | None] = field(default_factory=dict)

    def find(self, table: Table, test: bool = False) -> tuple[str, NDArray] | None:
        """Return the column's name, and the target's values of it.

        test : whether the table is of other rows, which have other ids
        """
        names = self._candidates(table)
        if not names:
            return None
        if test:
            return _first_like_ids(table, names)
        own = [(name, self._of_target(name)) for name in names]
        distinct = [(name, ids) for name, ids in own if ids is not None]
        same = [(name, ids) for name, ids in distinct if _is_same(table, name, ids)]
        _refuse_two_orders(table, same)
        meant = [(name, ids) for name, ids in distinct if _is_like_ids(name)]
        chosen = [*same, *meant]
        if not chosen:
            self.notes.append(
                f"{table.path}: {names[:5]} stand in {self.target.file} too, but with "
                "other values, or with the same ones in several rows: no ids"
            )
            return None
        return chosen[0]

    def take_notes(self) -> list[str]:
        """Return what was decided since this was last asked."""
        notes, self.notes = self.notes, []
        return notes

    def _candidates(self, table):
        target = self.target
        if target.file in (None, table.path) or target.rows is not None:
            return []
        if target.ids is not None and (
            find_roles(table, target.id_column, target.column).id is not None
        ):
            return []
        other = {*FOLD_NAMES, *REPEAT_NAMES, *TRUTH_NAMES, *INDEX_NAMES}
        labels = () if target.classes is None else map(str, target.classes)
        other |= {str(target.column).lower(), *labels}
        return [
            name
            for name in table.columns
            if name in target.columns
            and name.lower() not in other
            and not set(words(name)) & _PREDICTION
            and (_is_like_ids(name) or _may_be_ids(table.columns[name]))
        ]

    def _of_target(self, name):
        """Return the target's ids by a column, None where it tells no rows apart."""
        if name not in self._read:
            table = read_table(Path(str(self.target.file)), lambda names: [name])
            self._read[name] = _distinct(table, name)
        return self._read[name]


def _first_like_ids(table, names):
    for name in names:
        if _is_like_ids(name) and _distinct(table, name) is not None:
            return name, np.empty(0)
    return None


def _is_like_ids(name):
    return bool(set(words(name)) & _ID_WORDS)


def _may_be_ids(values):
    """Numbers with decimals are predictions or features, unless named like ids."""
    return values.dtype.kind in "iuO"


def _distinct(table, name):
    try:
        ids = canonical(table, name)
    except FileError:  # some are missing
        return None
    return ids if find_repeated(ids) is None else None


def _is_same(table, name, expected):
    """Each of the target's values, and no other; repeats of them are averaged."""
    try:
        ids, expected = as_same_kind(canonical(table, name), expected)
    except FileError:
        return False
    repeat = find_roles(table, name, None).repeat
    if repeat is None and len(ids) != len(expected):
        return False
    return np.array_equal(np.unique(ids), np.sort(expected))


def _refuse_two_orders(table, same):
    orders = [(name, _rows_by(table, name, expected)) for name, expected in same]
    for name, rows in orders[1:]:
        if not np.array_equal(rows, orders[0][1]):
            raise table.error(
                None,
                f"has two columns of the target's file, {orders[0][0]!r} and {name!r}, "
                "and they put its rows in two orders.",
                "Say which holds the ids (id, --id).",
            )


def _rows_by(table, name, expected):
    ids, expected = as_same_kind(canonical(table, name), expected)
    if len(ids) > len(expected):  # repeats, averaged by id
        return np.empty(0)
    return np.argsort(ids, kind="stable")[np.argsort(np.argsort(expected))]
