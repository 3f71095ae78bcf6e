"""The target's rows as all files must have them, and their folds."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..exceptions import FileError
from ._align import Rows, order_of
from ._columns import Roles, find_roles
from ._content import read_table
from ._shared import Shared
from .target import Target, number_folds, split_spec


def rows_of(target: Target) -> Rows:
    """Return which rows the members' files must have."""
    n = len(target.y) or None
    where = where_of(target)
    return Rows(n, target.ids, where, target.n_rows, target.rows, target.left_out)


def where_of(target: Target) -> str:
    """Return what says which rows there are."""
    return "the target" if target.file is None else str(target.file)


def check_folds(folds: NDArray, n_rows: int) -> NDArray:
    """Return folds that were given, numbered from 0."""
    if folds.shape != (n_rows,):
        raise FileError(
            "folds", None, f"have shape {folds.shape}; expected ({n_rows},)."
        )
    return np.unique(folds, return_inverse=True)[1].astype(np.int64)


def read_fold_file(spec: str, target: Target, shared: Shared | None) -> NDArray:
    """Return the folds of the target's rows out of a file."""
    path, column = split_spec(spec)
    table = read_table(path, id_name=target.id_column)
    found = None if shared is None else shared.find(table)
    if found is not None:
        target = replace(target, id_column=found[0], ids=found[1])
    roles = find_roles(table, target.id_column, target.column)
    if column is None:
        column = roles.fold or (
            roles.predictions[0] if len(table.columns) <= 2 else None
        )
    if column not in table.columns:
        raise FileError(
            path,
            None,
            f"has no column {column!r} of folds.",
            f"It has {list(table.columns)[:10]}.",
        )
    order = order_of(table, Roles([], roles.id, roles.index), rows_of(target))
    return order.apply(number_folds(table, column))
