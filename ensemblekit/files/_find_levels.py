"""Which quantile levels a bank of files has: as given, or by the names of columns."""

from dataclasses import replace

import numpy as np

from .. import layout
from ..exceptions import FileError
from ._columns import find_roles
from ._content import kind_of, read_table
from ._parts import Table
from ._quantiles import ADVICE_ON_LEVELS, level_of, levels_in
from .layouts import Found
from .target import Target

BY_NAME = "names"
_ARRAYS = (".npy", ".npz")


def with_levels(target: Target, found: Found, quantiles, notes: list[str]) -> Target:
    """Return the target, with levels where members predict quantiles.

    quantiles : "names", levels, or None to take levels only where names are plain

    Raises
    ------
    FileError
        If the target holds labels, or the names asked for tell no levels.
    """
    if quantiles is None:
        return _by_plain_names(target, found, notes)
    if target.task == "classification":
        raise FileError(
            str(target.file or "target"),
            None,
            "holds labels, which have no quantiles.",
            "Set the task to regression if they are values.",
        )
    if not isinstance(quantiles, str):
        return _with(target, layout.check_levels(quantiles, "quantiles"), True)
    if quantiles != BY_NAME:
        raise ValueError(
            f"quantiles is {quantiles!r}; expected {BY_NAME!r} or ascending levels."
        )
    path, names = _first_columns(target, found)
    levels = None if path is None else levels_in(names)
    if levels is None:
        raise FileError(
            str(path or "the members' files"),
            None,
            f"has columns {names[:8]}, which tell no quantile levels."
            if path
            else "are arrays, whose columns have no names to tell quantile levels.",
            ADVICE_ON_LEVELS,
        )
    notes.append(_say(path, names, levels))
    return _with(target, levels, False)


def _by_plain_names(target, found, notes):
    """Take names such as q0.1 for levels without being asked to."""
    if target.task != "regression":
        return target
    path, names = _first_columns(target, found)
    levels = None if path is None else levels_in(names, plain=True)
    if levels is None:
        return target
    notes.append(_say(path, names, levels))
    return _with(target, levels, False)


def _with(target, levels, given):
    task = "quantile" if target.task else ""
    return replace(target, task=task, levels=levels, levels_given=given)


def _say(path, names, levels):
    return f"{path}: columns {names[:5]} read as quantile levels {levels.tolist()}"


def _first_columns(target, found):
    """Return the first table of a member, and the columns that may be predictions."""
    for files in found.members:
        if kind_of(files.oof) in (None, *_ARRAYS):
            continue
        try:
            read_table(files.oof, _Header.stop)
        except _Header as header:
            empty = Table(files.oof, dict.fromkeys(header.names, np.empty(0)))
            roles = find_roles(empty, target.id_column, target.column)
            # What the target's file has too may hold the ids.
            return files.oof, [
                name
                for name in roles.predictions
                if name not in target.columns or level_of(name) is not None
            ]
        except FileError:
            continue  # it is read again, and refused, as a member
    return None, []


class _Header(Exception):
    """The names of a table's columns; raised so that nothing else is read."""

    def __init__(self, names):
        super().__init__(names)
        self.names = names

    @classmethod
    def stop(cls, names):
        """Stop where columns would be chosen."""
        raise cls(list(names))
