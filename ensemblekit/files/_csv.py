"""csv files: looked at first, then parsed by pandas."""

import re
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from ..exceptions import FileError
from ._id_texts import find_rewritten, is_id
from ._open import check_size, system_errors
from ._parts import Table, Wanted
from ._sniff import Dialect, sniff
from ._text import open_text, scan_lines

# Cells that are parsed at once.
_CELLS = 2**22


def read_csv(
    path: Path,
    max_rows: int | None = None,
    wanted: Wanted | None = None,
    as_text: Collection[str] = (),
    id_name: str | None = None,
) -> Table:
    """Read a csv file of any common dialect, gzipped or not.

    wanted : chooses columns by their names
    as_text : names of columns that stay strings, whatever they look like
    id_name : column of ids, where its name does not say so
    """
    text = scan_lines(path, max_rows)
    dialect = sniff(path, text.head)
    names = dialect.names if wanted is None else wanted(dialect.names)
    check_size(path, text.n_lines, len(names), max_rows)
    table = Table(path, _parse(path, dialect, names, as_text), None, dialect.notes)
    table.counted = frozenset() if dialect.has_header else frozenset(names)
    if table.n_rows + dialect.n_header == text.n_lines:  # no cell of several lines
        table.first_line = 1 + dialect.n_header
    table.texts = _read_ids(table, dialect, id_name)
    _drop_blank_end(table)
    if not table.n_rows:
        raise FileError(path, None, "has no rows below its header.")
    return table


def _read_ids(table, dialect, id_name):
    """Read ids again, as they are written, where parsing took something off."""
    ids = {n: v for n, v in table.columns.items() if is_id(n, id_name)}
    names = find_rewritten(table.path, ids)
    texts = _parse(table.path, dialect, names, names, words=True) if names else {}
    if any(len(values) != table.n_rows for values in texts.values()):
        raise FileError(table.path, None, "changed while it was read.", "Try again.")
    return texts


def _parse(path, dialect: Dialect, names: list[str], as_text, words=False):
    """Parse the columns named; with `words`, NA and the like are no missing values."""
    import pandas as pd

    try:
        with system_errors(path), warnings.catch_warnings(), open_text(path) as stream:
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return _read_parts(stream, dialect, names, as_text, words)
    except pd.errors.EmptyDataError:
        raise FileError(path, None, "has no rows below its header.") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise _refuse_line(path, dialect, error) from None
    except (ValueError, OverflowError, MemoryError) as error:
        short = str(error).split("\n")[0][:120]
        raise FileError(path, None, f"is no csv that can be read ({short}).") from None


def _read_parts(stream, dialect, names, as_text, words):
    """Parse some rows at a time, and keep of them the columns that are wanted.

    With its own choice of columns, pandas would let pass lines of too many cells.
    """
    import pandas as pd

    places = {name: place for place, name in enumerate(dialect.names)}
    texts: Any = {places[name]: str for name in as_text if name in places}
    parts: Any = pd.read_csv(
        stream,
        sep=dialect.delimiter,
        decimal=dialect.decimal,
        header=None,
        names=list(range(len(dialect.names))),
        dtype=texts,
        na_filter=not words,
        skiprows=dialect.n_header,
        index_col=False,
        encoding="utf-8",
        engine="c",
        low_memory=False,
        skip_blank_lines=False,
        skipinitialspace=True,
        chunksize=max(1000, _CELLS // len(places)),
    )
    found: dict[str, list] = {name: [] for name in names}
    for part in parts:
        for name in names:
            found[name].append(_to_array(part[places[name]]))
    if not all(found.values()):
        raise pd.errors.EmptyDataError
    return {name: np.concatenate(arrays) for name, arrays in found.items()}


def _to_array(column):
    if column.dtype.kind in "fiub":
        return column.to_numpy()
    return column.to_numpy(dtype=object, na_value=None)


def _refuse_line(path, dialect, error):
    match = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if match is None:
        short = str(error).split("\n")[0][:120]
        return FileError(path, None, f"is no csv that can be read ({short}).")
    expected, line, got = match.groups()
    advice = "Mend the line."
    if dialect.delimiter == ",":
        advice = "With decimal commas, separate the cells by semicolons."
    return FileError(path, int(line), f"has {got} cells; expected {expected}.", advice)


def _drop_blank_end(table):
    """Blank lines at the end of a file are no rows."""
    blank = 0
    while blank < table.n_rows and all(
        _is_missing(values[-1 - blank]) for values in table.columns.values()
    ):
        blank += 1
    if blank:
        table.columns = {
            name: values[: len(values) - blank]
            for name, values in table.columns.items()
        }
        table.texts = {n: v[: len(v) - blank] for n, v in table.texts.items()}
        table.notes.append(f"{table.path}: {blank} blank lines at the end left out")


def _is_missing(value):
    return value is None or (isinstance(value, float | np.floating) and value != value)
