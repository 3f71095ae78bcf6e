"""csv files: looked at first, then parsed by pandas."""

import re
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from ..exceptions import FileError
from ._open import check_size, system_errors
from ._parts import Table
from ._sniff import Dialect, sniff
from ._text import open_text, scan_lines


def read_csv(
    path: Path, max_rows: int | None = None, as_text: Collection[str] = ()
) -> Table:
    """Read a csv file of any common dialect, gzipped or not.

    Columns named in `as_text` stay strings, whatever they look like.
    """
    text = scan_lines(path)
    dialect = sniff(path, text.head)
    check_size(path, text.n_lines, len(dialect.names), max_rows)
    columns = _parse(path, dialect, as_text)
    table = Table(path, columns, 1 + dialect.n_header, dialect.notes)
    _drop_blank_end(table)
    if not table.n_rows:
        raise FileError(path, None, "has no rows below its header.")
    return table


def _parse(path, dialect: Dialect, as_text):
    import pandas as pd

    texts: Any = {k: str for k, n in enumerate(dialect.names) if n in as_text}
    try:
        with system_errors(path), warnings.catch_warnings(), open_text(path) as stream:
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: Any = pd.read_csv(
                stream,
                sep=dialect.delimiter,
                decimal=dialect.decimal,
                header=None,
                names=list(range(len(dialect.names))),
                dtype=texts,
                skiprows=dialect.n_header,
                index_col=False,
                encoding="utf-8",
                engine="c",
                low_memory=False,
                skip_blank_lines=False,
                skipinitialspace=True,
            )
    except pd.errors.EmptyDataError:
        raise FileError(path, None, "has no rows below its header.") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise _refuse_line(path, dialect, error) from None
    except (ValueError, OverflowError, MemoryError) as error:
        short = str(error).split("\n")[0][:120]
        raise FileError(path, None, f"is no csv that can be read ({short}).") from None
    return {
        name: _to_array(frame[position]) for position, name in enumerate(dialect.names)
    }


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
        table.notes.append(f"{table.path}: {blank} blank lines at the end left out")


def _is_missing(value):
    return value is None or (isinstance(value, float | np.floating) and value != value)
