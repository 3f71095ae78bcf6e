"""A column named as the target: the truth, or of several targets the prediction."""

import numpy as np

from ._align import Order
from ._bools import as_digits
from ._columns import _PREDICTION, Roles
from ._names import words
from ._values import numbers
from .target import Target


def choose_target(table, roles: Roles, order: Order, request, found) -> None:
    """Of predictions of several targets, take those of the one that is meant."""
    given = request.of_targets
    if given is None:
        given = (
            _are_targets(table, roles, request.target)
            and order.n_averaged == 1
            and not _holds_truth(table, str(roles.truth), request.target)
        )
    name = request.target.column
    if not given or name not in (roles.truth, *roles.predictions):
        return
    found.of_targets = True
    others = [other for other in roles.predictions if other != name]
    roles.truth, roles.predictions = None, [name]
    if others:
        found.notes.append(
            f"{table.path}: column {name!r} read, as the target; {others[:5]}, columns "
            "of the target's file as well, not"
        )


def _are_targets(table, roles, target):
    """Whether all columns bear names of the target's file, that of the target too.

    These are predictions of several targets, or the truth beside something else; a name
    such as ``pred`` tells which column is the prediction.
    """
    names = [str(roles.truth), *roles.predictions]
    return (
        roles.truth == target.column
        and roles.truth is not None
        and target.levels is None
        and len(target.y) > 0
        and table.path != target.file
        and all(name in target.columns for name in names)
        and not any(set(words(name)) & _PREDICTION for name in names)
    )


def _holds_truth(table, name, target):
    """Whether a column has the target's values, be it in another order."""
    if target.classes is None:
        values, y = numbers(table, name), target.y
        return len(values) == len(y) and np.allclose(np.sort(values), np.sort(y), 1e-5)
    values = _as_text(table.columns[name])
    return np.array_equal(np.sort(values), np.sort(_as_text(target.y)))


def check_truth(table, roles: Roles, order: Order, target: Target) -> None:
    """Refuse a truth beside the predictions that is not the target's."""
    name = str(roles.truth)
    values = order.apply(table.columns[name]) if order.n_averaged == 1 else None
    if values is None:
        return
    if target.classes is None:
        same = np.isclose(numbers(table, name)[_rows(order)], target.y, rtol=1e-5)
    else:
        same = _as_text(values) == _as_text(target.y)
    if not same.all():
        wrong = np.flatnonzero(~same)
        row = wrong[0] if order.rows is None else order.rows[wrong[0]]
        raise table.error(
            row,
            f"the truth in column {name!r} is {table.columns[name][row]!s}, the target "
            f"{target.y[wrong[0]].item()!r} ({wrong.size} such rows).",
            "Are the rows in another order? A column of ids would tell.",
        )


def _rows(order):
    return slice(None) if order.rows is None else order.rows


def _as_text(values):
    if values.dtype.kind == "f" and (values == np.floor(values)).all():
        values = values.astype(np.int64)
    return as_digits(values.astype(np.str_))
