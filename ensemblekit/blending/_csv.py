"""Text of csv files."""

import csv
import io

import numpy as np

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(columns: dict) -> str:
    """Return columns as csv; floats keep all digits, NaN is an empty cell.

    Text that a spreadsheet would run as a formula gets a leading ``'``.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([escape(name) for name in columns])
    writer.writerows(zip(*(_cells(column) for column in columns.values()), strict=True))
    return buffer.getvalue()


def escape(text) -> str:
    """Return text that no spreadsheet runs; numbers stay as they are."""
    text = str(text)
    if not text.startswith(_FORMULA) or _is_number(text):
        return text
    return "'" + text


def escape_notes(ids, file: str) -> list[str]:
    """Say how many ids, if any, `to_csv` does not write as they are."""
    column = np.asarray([] if ids is None else ids)
    given = column.tolist() if column.dtype.kind not in "fiub" else []
    odd = [text for text in given if escape(text) != text]
    if not odd:
        return []
    return [
        f"{file}: {len(odd)} ids begin with a sign that spreadsheets take for a "
        f"formula, and are escaped: {odd[0]!r} is written as {escape(odd[0])!r}"
    ]


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _cells(column):
    column = np.asarray(column)
    if column.dtype.kind == "f":
        return ["" if np.isnan(value) else repr(value) for value in column.tolist()]
    if column.dtype.kind in "iub":
        return column.tolist()
    return [escape(value) for value in column.tolist()]
