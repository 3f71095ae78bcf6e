"""Ids as they are written: unique, none missing; and rows put in their order."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ._parts import Table

ID_NAMES = ("id", "row_id", "rowid", "row id", "uid", "uuid", "key", "index", "idx",
            "sample_id", "object_id", "passengerid")  # fmt: skip
INDEX_NAMES = ("", "unnamed: 0", "__index_level_0__")
# As it is written by whoever writes numbers: nothing is lost by reading it as one.
_PLAIN = re.compile(r"(?:0|-?[1-9]\d{0,17})$")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?$", re.I | re.A)
_ESCAPED = re.compile(r"^'(?=[=+\-@])")
_WORDS = ("nan", "na", "n/a", "null", "none", "<na>", "#n/a", "nat")
_NO_VALUES = {"NaN", "NaT", *_WORDS, *map(str.upper, _WORDS), *map(str.title, _WORDS)}
_LARGEST = 2**53


def canonical(table: Table, name: str) -> NDArray:
    """Return a column of ids as they are written; refuse missing ones.

    Returns
    -------
    ids : ndarray of int64 where their text is that of whole numbers, else of str
    """
    values = table.texts.get(name, table.columns[name])
    if values.dtype.kind in "iub":
        fits = values.dtype.kind != "u" or values.max() < 2**63
        return values.astype(np.int64 if fits else np.str_)
    if values.dtype.kind == "f":
        _refuse_missing(table, name, ~np.isfinite(values))
        whole = (values == np.floor(values)) & (np.abs(values) < _LARGEST)
        return values.astype(np.int64) if whole.all() else values.astype(np.str_)
    missing = np.array([v is None or v != v or v == "" for v in values], dtype=bool)
    _refuse_missing(table, name, missing)
    # Spaces around an id are no part of it.
    texts = [str(value).strip() for value in values]
    _refuse_no_values(table, name, texts)
    plain = all(map(_PLAIN.match, texts))
    return np.array(texts, dtype=np.str_).astype(np.int64 if plain else np.str_)


def _refuse_missing(table, name, missing):
    if missing.any():
        raise table.error(
            np.argmax(missing), f"the id in column {name!r} is empty or no value."
        )


def _refuse_no_values(table, name, texts):
    """NA is an id among words; among numbers it is none."""
    if not _NO_VALUES.intersection(texts):
        return
    others = [text for text in texts if text not in _NO_VALUES]
    if others and all(map(_NUMBER.match, others)):
        no_values = np.array([text in _NO_VALUES for text in texts], dtype=bool)
        _refuse_missing(table, name, no_values)


def as_same_kind(ids: NDArray, expected: NDArray) -> tuple[NDArray, NDArray]:
    """Make both alike: as text, or as numbers where more of those are found."""
    if ids.dtype.kind == expected.dtype.kind == "i":
        return ids, expected
    texts = ids.astype(np.str_), expected.astype(np.str_)
    texts = _unescaped(*texts), _unescaped(*texts[::-1])
    found = np.isin(texts[1], texts[0])
    if found.all():
        return texts
    ours, theirs = as_numbers(texts[0]), as_numbers(texts[1])
    if ours is None or theirs is None:
        return texts
    more = np.isin(theirs, ours).sum() > found.sum()
    return (ours, theirs) if more else texts


def _unescaped(ids, others):
    """Take off the sign that keeps spreadsheets from running an id, where it is new."""
    escaped = np.char.startswith(ids, "'")
    if not escaped.any():
        return ids
    plain = np.array([_ESCAPED.sub("", text) for text in ids.tolist()], dtype=np.str_)
    return np.where(np.isin(plain, others) & ~np.isin(ids, others), plain, ids)


def as_numbers(ids: NDArray) -> NDArray | None:
    """Return int64, or float64; None for texts, and where two ids would become one."""
    if ids.dtype.kind == "i":
        return ids
    if not all(map(_NUMBER.match, ids)):
        return None
    numbers = ids.astype(np.float64)
    if (np.abs(numbers) >= _LARGEST).any():
        return None
    if (numbers == np.floor(numbers)).all():
        numbers = numbers.astype(np.int64)
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


def positions(
    table: Table,
    ids: NDArray,
    expected: NDArray,
    where: Path | str,
    advice: str = "Predict all rows.",
):
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
            advice,
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
