"""Ids as they are written in a csv file: 007 is no 7, and 3e3 no 3000."""

import re
from pathlib import Path

from numpy.typing import NDArray

from ._ids import ID_NAMES, INDEX_NAMES
from ._text import open_text

_CHUNK = 2**22
# A whole number in a cell of its own, with zeros or a plus sign that parsing takes off.
_REWRITTEN = re.compile(rb"""[\s,;|"](?:\+|-?0)\d""")
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
    """Parsing whole numbers anew would take four times as long as this."""
    with open_text(path) as stream:
        end = b"\n"
        while chunk := stream.read(_CHUNK):
            if _REWRITTEN.search(end + chunk):
                return True
            end = (end + chunk)[-_OVERLAP:]
    return False
