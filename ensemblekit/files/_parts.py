"""What is read and what is found: plain records."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..exceptions import FileError

# Chooses columns of a table by their names.
Wanted = Callable[[list[str]], list[str]]


@dataclass(frozen=True)
class MemberFiles:
    """Where one member's predictions are, and how that was decided.

    Parameters
    ----------
    name : str
        Name of the member.
    oof : Path
        File of its out-of-fold predictions.
    test : Path or None
        File of its predictions of the test rows.
    layout : str
        The rule by which the two were paired, ``<m>`` for the name.
    columns : tuple of str, default=()
        Columns of the file that are this member's; empty before it is read, and for
        arrays.
    """

    name: str
    oof: Path
    test: Path | None
    layout: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One problem, and what to do about it.

    Parameters
    ----------
    level : {"error", "warning", "hint"}
        An error stops a blend.
    file : str
        The file, or the member's name where it concerns no single file.
    line : int or None
        Line of the file, from 1.
    problem : str
        What is wrong.
    advice : str
        What to do.
    """

    level: str
    file: str
    line: int | None
    problem: str
    advice: str = ""

    def __str__(self):
        where = self.file if self.line is None else f"{self.file}, line {self.line}"
        return f"{self.level}: {where}: {self.problem} {self.advice}".rstrip()


@dataclass
class Table:
    """Columns of a csv or parquet file.

    texts : ids as they are written, where `columns` holds them otherwise
    counted : names that are no names: those of columns without one
    """

    path: Path
    columns: dict[str, NDArray]
    first_line: int | None = None
    notes: list[str] = field(default_factory=list)
    texts: dict[str, NDArray] = field(default_factory=dict)
    counted: frozenset[str] = frozenset()

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def line(self, row) -> int | None:
        """Line of a row in the file."""
        return None if self.first_line is None else self.first_line + int(row)

    def keep(self, rows: NDArray) -> "Table":
        """Return the rows of a mask; lines are known where the last ones are kept."""
        start = int(np.argmax(rows))
        counts = self.first_line is not None and bool(rows[start:].all())
        return replace(
            self,
            columns={name: values[rows] for name, values in self.columns.items()},
            texts={name: values[rows] for name, values in self.texts.items()},
            first_line=self.line(start) if counts else None,
        )

    def error(self, row, problem, advice="") -> FileError:
        """Make the error that names this file and the row's line."""
        line = None if row is None else self.line(row)
        if row is not None and line is None:
            problem = f"row {int(row)}: {problem}"
        return FileError(self.path, line, problem, advice)


@dataclass
class LazyArray:
    """An array of an npy or npz file whose header was read, and nothing else.

    mapped : whether `load` maps the file instead of reading it
    """

    path: Path
    key: str
    shape: tuple[int, ...]
    dtype: np.dtype
    mapped: bool
    load: Callable[[], NDArray]
