"""Ids: strings or whole numbers, unique, none missing; and rows put in their order."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ._parts import Table

ID_NAMES = ("id", "row_id", "rowid", "row id", "uid", "uuid", "key", "index", "idx",
            "sample_id", "object_id", "passengerid")  # fmt: skip
INDEX_NAMES = ("", "unnamed: 0", "__index_level_0__")
_WHOLE = re.compile(r"[-+]?\d{1,18}$")


def canonical(table: Table, name: str) -> NDArray:
    """Return a column of ids as int64 or strings; refuse missing ones."""
    values = table.columns[name]
    if values.dtype.kind in "iub":
        return values.astype(np.int64)
    if values.dtype.kind == "f":
        _refuse_missing(table, name, ~np.isfinite(values))
        whole = (values == np.floor(values)) & (np.abs(values) < 2**53)
        return values.astype(np.int64) if whole.all() else values.astype(np.str_)
    missing = np.array([v is None or v != v or v == "" for v in values], dtype=bool)
    _refuse_missing(table, name, missing)
    # Spaces around an id are no part of it.
    return np.array([str(value).strip() for value in values], dtype=np.str_)


def _refuse_missing(table, name, missing):
    if missing.any():
        raise table.error(
            np.argmax(missing), f"the id in column {name!r} is empty or no value."
        )


def as_same_kind(ids: NDArray, expected: NDArray) -> tuple[NDArray, NDArray]:
    """Make both whole numbers where both can be, else both strings."""
    if ids.dtype.kind == expected.dtype.kind:
        return ids, expected
    numbers = [_to_numbers(part) for part in (ids, expected)]
    if numbers[0] is not None and numbers[1] is not None:
        return numbers[0], numbers[1]
    return ids.astype(np.str_), expected.astype(np.str_)


def _to_numbers(ids):
    if ids.dtype.kind == "i":
        return ids
    if not all(_WHOLE.match(value) for value in ids):
        return None
    numbers = ids.astype(np.int64)
    distinct = len(np.unique(ids))
    return numbers if len(np.unique(numbers)) == distinct else None


def find_repeated(ids: NDArray) -> tuple[int, int] | None:
    """Return the rows of an id that stands twice: the earlier and the later one."""
    order = np.argsort(ids, kind="stable")
    same = np.flatnonzero(ids[order][1:] == ids[order][:-1])
    if not len(same):
        return None
    rows = min((int(order[at + 1]), int(order[at])) for at in same[:1000])
    return rows[1], rows[0]


def check_unique(
    table: Table, name: str, ids: NDArray, rows: NDArray | None = None
) -> None:
    """Refuse an id that stands twice; `rows` are those of the table the ids are of."""
    found = find_repeated(ids)
    if found is not None:
        first, second = found if rows is None else rows[list(found)]
        line = table.line(first)
        where = f"row {first}" if line is None else f"line {line}"
        raise table.error(
            second,
            f"the id {ids[found[1]].item()!r} in column {name!r} stands in {where} "
            "too.",
            "Give each row one prediction.",
        )


def positions(table: Table, ids: NDArray, expected: NDArray, where: Path | str):
    """Return the row of each expected id; refuse ids of other rows.

    Both are unique and of one kind.
    """
    order = np.argsort(ids, kind="stable")
    places = np.minimum(np.searchsorted(ids[order], expected), len(ids) - 1)
    rows = order[places]
    missing = np.flatnonzero(ids[rows] != expected)
    if missing.size:
        raise table.error(
            None,
            f"lacks {missing.size} of the {len(expected)} ids of {where}, first "
            f"{expected[missing[0]].item()!r}.",
            "Predict all rows.",
        )
    if len(ids) > len(expected):
        extra = np.flatnonzero(~np.isin(ids, expected))
        raise table.error(
            extra[0],
            f"the id {ids[extra[0]].item()!r} is not in {where} ({extra.size} such "
            "rows).",
            "Give the same rows everywhere.",
        )
    return rows
