"""Rows of a file put in the order of the target, or of the test rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import FileError
from ._columns import Roles, is_row_number
from ._ids import (
    as_numbers,
    as_same_kind,
    canonical,
    check_unique,
    find_repeated,
    positions,
)
from ._parts import Table

_ADVICE_ON_TARGET = (
    "Predict all rows, or leave those that not all members predict out of the target "
    "and of all files."
)


@dataclass
class Rows:
    """Which rows are expected, and in which order.

    n : their number, or None where any is right
    ids : their ids, or None
    where : what says so
    n_file, kept : rows of that file, and those of them that are expected
    left_out : ids, or numbers, of rows that no member predicts
    """

    n: int | None
    ids: NDArray | None
    where: str
    n_file: int | None = None
    kept: NDArray | None = None
    left_out: NDArray | None = None


@dataclass
class Order:
    """How a file's rows become the expected ones, and by what rule."""

    rows: NDArray | None
    rule: str
    n_averaged: int = 1

    def apply(self, values: NDArray) -> NDArray:
        """Reorder, or average the rows of one id."""
        if self.rows is None:
            return values
        if self.n_averaged == 1:
            return values[self.rows]
        return values[self.rows].reshape(-1, self.n_averaged).mean(axis=1)


def order_of(table: Table, roles: Roles, expected: Rows) -> Order:
    """Find the rows of a table that are expected; refuse any others."""
    if roles.id is not None:
        ids = canonical(table, roles.id)
        if expected.ids is not None:
            return _by_ids(table, roles, ids, expected)
        if expected.kept is None:
            if roles.repeat is None:
                check_unique(table, roles.id, ids)
            return _by_own_ids(table, roles, ids, expected)
    if roles.index is not None:
        order = _by_index(table, roles, expected)
        if order is not None:
            return order
    return in_file_order(table.path, table.n_rows, expected)


def in_file_order(path: Any, n_rows: int, expected: Rows) -> Order:
    """Take the rows as they are; only their number can be checked."""
    if expected.kept is not None and n_rows == expected.n_file:
        what = "rows of one repeat" if expected.left_out is None else "rows predicted"
        return Order(expected.kept, f"{what}, order of the file assumed")
    if expected.n is not None and n_rows != expected.n:
        raise FileError(
            path,
            None,
            f"has {n_rows} rows; expected {expected.n}, as {expected.where}.",
            "Predict each row once; a column of ids would tell which are missing.",
        )
    return Order(None, "order of the file assumed")


def _by_ids(table, roles, ids, expected):
    ids, wanted = as_same_kind(ids, expected.ids)
    if roles.repeat is not None and find_repeated(ids) is not None:
        return _averaged(table, roles, ids, wanted, expected)
    check_unique(table, roles.id, ids)
    advice = () if expected.n_file is None else (_ADVICE_ON_TARGET,)
    rows = positions(table, ids, wanted, expected.where, *advice)
    if np.array_equal(rows, np.arange(len(rows))):
        return Order(None, f"same order by {roles.id!r}")
    return Order(rows, f"reordered by {roles.id!r}")


def _averaged(table, roles, ids, wanted, expected):
    """Each id stands once in each repeat: average."""
    distinct, counts = np.unique(ids, return_counts=True)
    n_repeats = len(np.unique(table.columns[roles.repeat]))
    if (counts != n_repeats).any():
        odd = distinct[np.argmax(counts != n_repeats)]
        raise table.error(
            None,
            f"the id {odd.item()!r} stands {counts[counts != n_repeats][0]} times; "
            f"expected once in each of the {n_repeats} repeats.",
        )
    by_id = np.argsort(ids, kind="stable").reshape(-1, n_repeats)
    first = Table(table.path, {}, table.first_line)
    rows = by_id[positions(first, distinct, wanted, expected.where)].ravel()
    rule = f"mean of {n_repeats} repeats by {roles.id!r}"
    return Order(rows, rule, n_repeats)


def _by_own_ids(table, roles, ids, expected):
    """The target has no ids; row numbers can still be put in order."""
    if expected.n is None:
        return Order(None, f"they set the order, by {roles.id!r}")
    numbered = _by_numbers(table, ids, expected, roles.id)
    if numbered is not None:
        return numbered
    order = in_file_order(table.path, table.n_rows, expected)
    order.rule += f" ({expected.where} has no ids to compare {roles.id!r} with)"
    return order


def _by_index(table, roles, expected):
    values = table.columns[roles.index]
    if values.dtype.kind not in "iuO" or is_row_number(values):
        return None
    ids = canonical(table, roles.index)
    if find_repeated(ids) is not None:
        return None
    if expected.ids is not None:
        ours, wanted = as_same_kind(ids, expected.ids)
        if len(ours) == len(wanted) and np.isin(ours, wanted).all():
            rows = positions(table, ours, wanted, expected.where)
            return Order(rows, "reordered by the unnamed column, which holds the ids")
    return _by_numbers(table, ids, expected, roles.index)


def _by_numbers(table, ids, expected, name):
    """Ids that are the numbers 0 to n - 1, shuffled."""
    n = table.n_rows
    numbers = as_numbers(ids)
    if numbers is None or (expected.n is not None and n != expected.n):
        return None
    rows = np.argsort(numbers, kind="stable")
    if not np.array_equal(numbers[rows], np.arange(n)):
        return None
    if np.array_equal(rows, np.arange(n)):
        return Order(None, f"same order by row number {name!r}")
    return Order(rows, f"reordered by row number {name!r}")
