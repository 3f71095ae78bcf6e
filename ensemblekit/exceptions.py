"""Errors and warnings that name the member, the fold and the row."""

import re
from collections.abc import Sequence
from contextlib import contextmanager

from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

__all__ = [
    "CacheWarning",
    "ConvergenceWarning",
    "FileError",
    "GuardWarning",
    "InfeasibleRankWarning",
    "MemberError",
    "MemberTypeError",
    "UncacheableError",
]


class CacheWarning(UserWarning):
    """A cache could not be written, or an entry of it was damaged and is made anew."""


class UncacheableError(TypeError):
    """A value has no content to name a cache entry by."""


class InfeasibleRankWarning(UserWarning):
    """Too few calibration rows for a finite bound: it is infinite."""


class GuardWarning(UserWarning):
    """A member predicts new rows far outside what it predicted for held-out rows."""


class FileError(ValueError):
    """A file cannot be used; the message names it, and the line where there is one.

    Parameters
    ----------
    file : str or path
        The file.
    line : int or None
        Line in the file, from 1; None where it has no lines.
    problem : str
        What was wrong, expected and got.
    advice : str, default=""
        What to do.

    Examples
    --------
    >>> print(FileError("oof/a.csv", 7, "the prediction is empty."))
    oof/a.csv, line 7: the prediction is empty.
    """

    def __init__(self, file, line: int | None, problem: str, advice: str = ""):
        super().__init__(str(file), line, problem, advice)
        self.file = str(file)
        self.line = line
        self.problem = problem
        self.advice = advice

    def __str__(self):
        where = self.file if self.line is None else f"{self.file}, line {self.line}"
        return f"{where}: {self.problem} {self.advice}".rstrip()


class MemberError(ValueError):
    """A member failed, or returned predictions that cannot be used.

    Parameters
    ----------
    member : str
        Name of the member.
    where : str
        What it was doing, for example ``"fit on fold 2 of 5"``.
    problem : str
        What was wrong, expected and got.

    Examples
    --------
    >>> print(MemberError("svm", "predict on fold 1 of 5", "returned 3 rows."))
    Member 'svm' failed in predict on fold 1 of 5: returned 3 rows.
    """

    def __init__(self, member: str, where: str, problem: str):
        super().__init__(member, where, problem)
        self.member = member
        self.where = where
        self.problem = problem

    def __str__(self):
        return f"Member {self.member!r} failed in {self.where}: {self.problem}"


class MemberTypeError(MemberError, TypeError):
    """A member failed with a TypeError."""


def describe_rows(rows: Sequence[int] | NDArray) -> str:
    """Say how many rows are bad and which is the first.

    Examples
    --------
    >>> describe_rows([803, 900])
    '2 rows, first at row 803'
    """
    noun = "row" if len(rows) == 1 else "rows"
    return f"{len(rows)} {noun}, first at row {int(rows[0])}"


@contextmanager
def naming(*arguments):
    """Say which argument is at fault, where an error of its check does not.

    Examples
    --------
    >>> with naming("cv"):
    ...     [1, 2][3]
    Traceback (most recent call last):
    ValueError: cv cannot be used: list index out of range
    """
    try:
        yield
    except (ValueError, TypeError, IndexError) as error:
        named = re.search(rf"\b({'|'.join(arguments)})\b", str(error))
        if named and not isinstance(error, IndexError):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{' or '.join(arguments)} cannot be used: {error}") from error
