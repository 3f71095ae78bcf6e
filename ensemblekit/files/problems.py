"""All that is wrong with a folder of predictions, at once."""

import os

from numpy.typing import NDArray

from ..exceptions import FileError
from ._bank import Bank
from ._parts import Finding
from ._reader import Reader
from .layouts import Source
from .target import Target

__all__ = ["find_problems"]


def find_problems(
    oof: Source,
    target: str | os.PathLike | Target | None = None,
    *,
    id: str | None = None,
    test: Source | None = None,
    folds: str | NDArray | None = None,
    sample: str | os.PathLike | None = None,
) -> list[Finding]:
    """Find all problems of prediction files, errors first."""
    return inspect_files(oof, target, id=id, test=test, folds=folds, sample=sample)[0]


def inspect_files(oof, target=None, **options) -> tuple[list[Finding], Bank | None]:
    """Find problems, and return what could be read besides."""
    reader = Reader(oof, target, lenient=True, **options)
    bank = None
    try:
        bank = reader.read()
    except FileError as error:
        reader.errors += [] if error in reader.errors else [error]
    return [_finding(error) for error in reader.errors], bank


def _finding(error):
    return Finding("error", error.file, error.line, error.problem, error.advice)
