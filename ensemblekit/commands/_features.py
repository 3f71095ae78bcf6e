"""A table as features: numbers and categories, alike at fit and at predict."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..exceptions import FileError
from ..files._content import kind_of, read_table
from ..files._csv import read_csv
from ..files._parts import Table

_MANY = 20
_SHOWN = 5
NUMBER, CATEGORY = "number", "category"


@dataclass
class Column:
    """One feature.

    kind : "number" or "category"; values : known categories, sorted; n_missing : in the
    rows trained on
    """

    name: str
    kind: str
    values: list[str] | None = None
    n_missing: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def read(path: Path, as_text=(), id_name=None) -> Table:
    """Read a table; columns named in `as_text` stay strings where it is csv."""
    if kind_of(path) in (".csv", ".tsv", ".txt"):
        table = read_csv(path, as_text=as_text, id_name=id_name)
        mixed = {name for name, values in table.columns.items() if _is_mixed(values)}
        # Long tables are parsed in parts: 007 is a number in those without a 00A.
        if not mixed:
            return table
        return read_csv(path, as_text={*as_text, *mixed}, id_name=id_name)
    if kind_of(path) not in (".parquet", ".pq"):
        raise FileError(
            path,
            None,
            "is no table by its name.",
            "Give a .csv, .csv.gz or .parquet file.",
        )
    return read_table(path)


def find_columns(table: Table, names, categories) -> tuple[list[Column], dict]:
    """Decide what each named column is; return the columns and their values."""
    columns, data = [], {}
    for name in names:
        values = table.columns[name]
        as_number = None if name in categories else _numbers(values)
        if as_number is not None:
            _refuse_infinite(table, name, as_number)
            column = Column(name, NUMBER, None, int(np.isnan(as_number).sum()))
            data[name] = as_number
        else:
            texts = to_texts(values)
            column = Column(name, CATEGORY, _distinct(texts), _count_missing(texts))
            data[name] = texts
        columns.append(column)
    return columns, data


def read_columns(table: Table, columns: list[Column]) -> tuple[dict, list[str]]:
    """Read known columns out of another table; return values, and what is new in them.

    Raises
    ------
    FileError
        If a column is missing, or holds text where numbers are expected.
    """
    missing = [column.name for column in columns if column.name not in table.columns]
    if missing:
        raise FileError(
            table.path,
            None,
            f"lacks {len(missing)} of the {len(columns)} columns the model was fitted "
            f"on: {named(missing)}.",
            f"It has {named(table.columns)}. Rename or add them.",
        )
    data, notes = {}, []
    for column in columns:
        values = table.columns[column.name]
        if column.kind == NUMBER:
            data[column.name] = _expect_numbers(table, column.name, values)
            n_missing = int(np.isnan(data[column.name]).sum())
        else:
            data[column.name] = to_texts(values)
            n_missing = _count_missing(data[column.name])
            notes += _unseen(column, data[column.name])
        if n_missing and not column.n_missing:
            notes.append(
                f"column {column.name!r} has {n_missing} missing values; it had none "
                "when the model was fitted"
            )
    return data, notes


def to_frame(columns: list[Column], data: dict):
    """Return a data frame: float64, and pandas' categories for the rest."""
    import pandas as pd

    def series(column):
        values = data[column.name]
        if column.kind == NUMBER:
            return values
        known = column.values or []
        more = sorted(set(_distinct(values)) - set(known))
        return pd.Categorical(values, categories=[*known, *more])

    return pd.DataFrame({column.name: series(column) for column in columns})


def describe(table: Table, columns: list[Column], data: dict) -> list[str]:
    """Return what looks odd about features: ids, numbers with stray text, one value."""
    notes = []
    for column in columns:
        if column.kind == CATEGORY:
            notes += _describe_category(table, column, data[column.name])
        elif _is_constant(data[column.name]):
            notes.append(f"column {column.name!r} has one value only: it tells nothing")
    return notes


def _describe_category(table, column, texts):
    known = column.values
    if len(known) < 2:
        yield f"column {column.name!r} has one value only: it tells nothing"
    strays = [row for row, text in enumerate(texts) if not _is_number(text)]
    n_numbers = len(texts) - len(strays)
    strays = [row for row in strays if texts[row] is not None]
    if strays and n_numbers > 9 * len(strays):
        line = table.line(strays[0])
        where = f"row {strays[0]}" if line is None else f"line {line}"
        yield (
            f"column {column.name!r} holds numbers, but {len(strays)} texts, first "
            f"{texts[strays[0]]!r} in {where}: so all of it is read as categories; "
            "empty those cells for a column of numbers"
        )
    elif len(known) > _MANY and 2 * len(known) > len(texts):
        yield (
            f"column {column.name!r} has {len(known)} different texts in {len(texts)} "
            f"rows: if these are names or ids, leave it out with --drop"
        )


def to_texts(values) -> np.ndarray:
    """Return strings, None where missing; whole floats as integers."""
    if values.dtype.kind == "f":
        return np.array([_text_of_float(v) for v in values.tolist()], dtype=object)
    found = [None if _is_missing(v) else str(v) for v in values.tolist()]
    return np.array(found, dtype=object)


def named(names, most: int = _SHOWN) -> str:
    """Return names for people: the first few, and how many more."""
    names = list(names)
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _is_mixed(values):
    return values.dtype.kind == "O" and any(
        not isinstance(value, str | bool | np.bool_) and not _is_missing(value)
        for value in values.tolist()
    )


def _numbers(values):
    """Return values as float64; None where they are no numbers."""
    if values.dtype.kind in "fiub":
        return values.astype(np.float64)
    given = [v for v in values.tolist() if not _is_missing(v)]
    if given and not all(isinstance(v, bool | np.bool_) for v in given):
        return None
    found = [np.nan if _is_missing(v) else float(v) for v in values.tolist()]
    return np.array(found, dtype=np.float64)  # bools with gaps, or nothing but gaps


def _expect_numbers(table, name, values):
    found = _numbers(values)
    if found is None:
        at = next(
            row
            for row, value in enumerate(values.tolist())
            if not _is_missing(value) and not _is_number(value)
        )
        raise table.error(
            at,
            f"column {name!r} holds {str(values[at])[:40]!r}; the model was fitted on "
            "numbers there.",
            "Mend the cell, or leave it empty.",
        )
    _refuse_infinite(table, name, found)
    return found


def _refuse_infinite(table, name, values):
    infinite = np.isinf(values)
    if infinite.any():
        raise table.error(
            np.argmax(infinite),
            f"column {name!r} is infinite.",
            "Write a number, or leave the cell empty.",
        )


def _unseen(column, texts):
    if column.values is None:
        return
    known = set(column.values)
    new = [text for text in texts if text is not None and text not in known]
    if new:
        yield (
            f"column {column.name!r} has categories that the model has not seen, in "
            f"{len(new)} rows: {named(sorted(set(new)))}"
        )


def _distinct(texts):
    return sorted({text for text in texts if text is not None})


def _count_missing(texts):
    return sum(text is None for text in texts)


def _is_constant(values):
    known = values[~np.isnan(values)]
    return not len(known) or known.min() == known.max()


def _text_of_float(value):
    if value != value:
        return None
    return str(int(value)) if value.is_integer() else repr(value)


def _is_missing(value):
    return value is None or value != value or value == ""


def _is_number(text):
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True
