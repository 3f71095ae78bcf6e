"""Rows that no member predicts, such as those before the first fold in time."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..exceptions import FileError
from ._align import Rows
from ._class_names import ClassNames
from ._columns import find_roles
from ._content import read_content
from ._ids import as_same_kind, canonical, find_repeated
from ._names import role_of
from ._parts import Table
from .target import Target


def find_unpredicted(paths: Sequence[Path], target: Target) -> NDArray | None:
    """Return the rows of the target that all files lack alike, as a mask, or None.

    Rows that some members predict, or that are half of all, are no such rows: there a
    file is at fault. Nor is one file enough to tell.
    """
    if len(paths) < 2 or not len(target.y) or target.rows is not None:
        return None
    missing = _missing_in(paths[0], target)
    if missing is None or not 0 < 2 * missing.sum() < len(missing):
        return None
    others = (_missing_in(path, target) for path in paths[1:])
    alike = all(other is not None and (other == missing).all() for other in others)
    return missing if alike else None


def leave_out(target: Target, missing: NDArray) -> Target:
    """Return the target without the rows that are missing."""
    rows = np.flatnonzero(~missing)
    folds = None if target.folds is None else target.folds[rows]
    return replace(
        target,
        y=target.y[rows],
        ids=None if target.ids is None else target.ids[rows],
        folds=None if folds is None else np.unique(folds, return_inverse=True)[1],
        rows=rows,
        n_rows=len(missing),
        left_out=np.flatnonzero(missing) if target.ids is None else target.ids[missing],
    )


def without_left_out(table: Table, id_name: str | None, rows: Rows) -> Table:
    """Return a table without the rows that no member predicts."""
    if rows.left_out is None:
        return table
    if rows.ids is not None and id_name is not None:
        ids, left_out = as_same_kind(canonical(table, id_name), rows.left_out)
        return table.keep(~np.isin(ids, left_out))
    if table.n_rows != rows.n_file or rows.kept is None:
        return table
    return table.keep(np.isin(np.arange(table.n_rows), rows.kept))


def _missing_in(path, target):
    try:
        content = read_content(path, id_name=target.id_column)
        if isinstance(content, Table):
            return _missing_in_table(content, target)
    except FileError:
        return None  # it was refused for more than this
    arrays = [array for key, array in content.items() if role_of(key, ()) != "test"]
    shape = (arrays[0].shape, arrays[0].dtype.kind) if len(arrays) == 1 else ((), "")
    if shape[0][:1] != target.y.shape or len(shape[0]) > 2 or shape[1] != "f":
        return None
    return np.isnan(arrays[0].load()).reshape(len(target.y), -1).all(axis=1)


def _missing_in_table(table, target):
    known = None if target.classes is None else ClassNames(target.classes)
    roles = find_roles(table, target.id_column, target.column, known)
    columns = [table.columns[name] for name in roles.predictions]
    empty = np.array([_is_nan(values) for values in columns]).all(axis=0)
    if roles.repeat is not None or (roles.id is None) != (target.ids is None):
        return None
    if roles.id is None:
        alike = table.n_rows == len(target.y) and roles.index is None
        return empty if alike else None
    ids, wanted = as_same_kind(canonical(table, roles.id), target.ids)
    if find_repeated(ids) is not None or not np.isin(ids, wanted).all():
        return None
    return ~np.isin(wanted, ids[~empty])


def _is_nan(values):
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
