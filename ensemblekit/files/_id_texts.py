"""Ids as they are written in a csv file: 007 is no 7, and 3e3 no 3000."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ._ids import ID_NAMES, INDEX_NAMES
from ._text import open_text

_CHUNK = 2**22
_BEFORE_CELLS = np.frombuffer(b' \t\n\r,;|"', np.uint8)
_OVERLAP = 3


def is_id(name: str, given: str | None) -> bool:
    """Whether a column may hold ids, by its name or because it was said."""
    return name == given or name.lower() in (*ID_NAMES, *INDEX_NAMES)


def find_rewritten(path: Path, columns: dict[str, NDArray]) -> list[str]:
    """Return the columns whose values are not their text any more."""
    kinds = {name: _kind(values) for name, values in columns.items()}
    if "whole" not in kinds.values():
        return [name for name, kind in kinds.items() if kind == "other"]
    same = "" if _has_zeros(path) else "whole"
    return [name for name, kind in kinds.items() if kind not in ("text", same)]


def _kind(values):
    if values.dtype.kind in "iu":
        return "whole"
    if values.dtype.kind != "O":
        return "other"
    return "text" if all(type(value) is str for value in values.tolist()) else "other"


def _has_zeros(path):
    """Whether any cell begins with 0 or a plus sign, and a digit after it.

    Parsing whole numbers anew would take many times as long as this.
    """
    with open_text(path) as stream:
        end = b"\n"
        while chunk := stream.read(_CHUNK):
            if _has_zeros_in(np.frombuffer(end + chunk, np.uint8)):
                return True
            end = (end + chunk)[-_OVERLAP:]
    return False


def _has_zeros_in(signs):
    first, second = signs[1:-1], signs[2:]
    taken_off = ((first == ord("0")) | (first == ord("+"))) & (second - ord("0") < 10)
    at = np.flatnonzero(taken_off)
    before = np.where(signs[at] == ord("-"), signs[at - 1], signs[at])
    return bool(np.isin(before, _BEFORE_CELLS).any())
