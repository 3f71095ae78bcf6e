"""The dialect of a csv file: delimiter, decimal sign, header."""

import csv
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ..exceptions import FileError

_DELIMITERS = ",;\t|"
_SAMPLE = 50
_TOLD = re.compile(r"""\ufeff?["']?sep=(.)["']?\s*$""", re.I)
_COMMA = re.compile(r"\s*[-+]?\d+,\d+(e[-+]?\d+)?\s*$", re.I)
_POINT = re.compile(r"\s*[-+]?\d*\.\d+(e[-+]?\d+)?\s*$", re.I)
_NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+|nan|inf)(e[-+]?\d+)?\s*$", re.I)


@dataclass
class Dialect:
    """How a csv file is written.

    n_header : lines above the first row
    """

    delimiter: str
    decimal: str
    names: list[str]
    n_header: int
    has_header: bool
    notes: list[str] = field(default_factory=list)


def sniff(path: Path, head: list[str]) -> Dialect:
    """Find the dialect by the first lines."""
    told = _told_delimiter(path, head)
    above = 0 if told is None else 1
    lines = head[above:_SAMPLE]
    if told is None:
        _refuse_two_readings(path, lines)
    delimiter = told or _find_delimiter(lines)
    rows = _split(path, lines, delimiter)
    decimal = _find_decimal(path, rows, delimiter, above)
    has_header = _has_header(rows)
    names = [cell.strip() for cell in rows[0]]
    dialect = Dialect(delimiter, decimal, names, above + has_header, has_header)
    if not has_header:
        dialect.names = [str(position) for position in range(len(names))]
        dialect.notes.append(f"{path}: no header line; columns numbered from 0")
    if delimiter != "," and len(names) > 1:
        dialect.notes.append(f"{path}: cells are separated by {delimiter!r}")
    if decimal == ",":
        dialect.notes.append(f"{path}: decimal commas")
    _check_names(path, dialect)
    _check_first_row(path, rows, dialect)
    return dialect


def _told_delimiter(path, lines):
    """Excel's first line may name the separator: ``sep=;``."""
    match = _TOLD.match(lines[0])
    if match is None:
        return None
    if match[1] not in _DELIMITERS:
        raise FileError(
            path,
            1,
            f"names the separator {match[1]!r}; expected one of {list(_DELIMITERS)}.",
            "Separate the cells by one of these.",
        )
    if len(lines) < 2:
        raise FileError(path, None, "has no rows below its header.")
    return match[1]


def _refuse_two_readings(path, lines):
    full = [line for line in lines if line.strip()]
    if full and full[0].strip() != "0,1" and all(_COMMA.match(line) for line in full):
        raise FileError(
            path,
            1,
            f"{full[0].strip()!r} has two readings: a decimal comma, or two columns.",
            "Write a header line, or decimal points.",
        )


def _find_delimiter(lines):
    """The delimiter stands in the header; without one, commas below are decimal."""
    header = re.sub(r'"[^"]*"', "", lines[0])
    counts = {sign: header.count(sign) for sign in _DELIMITERS}
    if counts[";"] or counts["\t"]:  # then commas are decimal, or text
        return ";" if counts[";"] >= counts["\t"] else "\t"
    best = max(counts, key=lambda sign: counts[sign])
    return best if counts[best] else ";"


def _split(path, lines, delimiter):
    # Cells of text may hold line breaks, and the last one may be cut.
    try:
        rows = list(csv.reader([f"{line}\n" for line in lines], delimiter=delimiter))
    except csv.Error as error:
        raise FileError(path, 1, f"is no csv ({error}).") from None
    if not rows or not rows[0]:
        raise FileError(path, 1, "is blank; expected a header.")
    return rows


def _find_decimal(path, rows, delimiter, above):
    if delimiter == ",":
        return "."
    cells = [(line, cell) for line, row in enumerate(rows, 1 + above) for cell in row]
    commas = [line for line, cell in cells if _COMMA.match(cell)]
    points = [line for line, cell in cells if _POINT.match(cell)]
    if commas and points:
        raise FileError(
            path,
            commas[0],
            f"has a decimal comma, but line {points[0]} a decimal point.",
            "Write all numbers alike.",
        )
    return "," if commas else "."


def _has_header(rows):
    """A line of numbers is a header only if it counts the columns, as pandas writes."""
    first = [cell.strip() for cell in rows[0]]
    if not all(_NUMBER.match(cell) or not cell for cell in first):
        return True
    if any(not cell for cell in first[:1]) and len(first) > 1:
        return True
    return first == [str(position) for position in range(len(first))]


def _check_names(path, dialect):
    names = dialect.names
    for position, name in enumerate(names):
        if not name:
            names[position] = f"Unnamed: {position}"
    if any("\n" in name for name in names):
        raise FileError(
            path, 1, "has a column name with a line break.", "Close its quotes."
        )
    repeated = [name for name, count in Counter(names).items() if count > 1][:5]
    if repeated:
        raise FileError(
            path, 1, f"has the column names {repeated} more than once.", "Rename them."
        )


def _check_first_row(path, rows, dialect):
    below = rows[int(dialect.has_header) :]
    if below and below[0] and len(below[0]) != len(dialect.names):
        advice = "Mend the line."
        if dialect.delimiter == ",":
            advice = "With decimal commas, separate the cells by semicolons."
        raise FileError(
            path,
            dialect.n_header + 1,
            f"has {len(below[0])} cells; expected {len(dialect.names)}.",
            advice,
        )
