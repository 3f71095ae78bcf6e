"""What each column of a table of predictions is for."""

from dataclasses import dataclass, field

import numpy as np

from ._class_names import ClassNames
from ._ids import ID_NAMES, INDEX_NAMES
from ._names import OOF, WEAK_TEST, words
from ._parts import Table

TRUTH_NAMES = ("y_true", "ytrue", "target", "truth", "label", "y", "actual", "true")
FOLD_NAMES = ("fold", "folds", "kfold", "fold_id", "cv_fold")
REPEAT_NAMES = ("repeat", "repeats", "repetition", "seed")
_PREDICTION = OOF | WEAK_TEST | {"proba", "prob", "probability", "yhat"}


@dataclass
class Roles:
    """Names of the columns by what they are for."""

    predictions: list[str]
    id: str | None = None
    index: str | None = None
    truth: str | None = None
    fold: str | None = None
    repeat: str | None = None
    notes: list[str] = field(default_factory=list)


def find_roles(
    table: Table,
    id_name: str | None,
    target_name: str | None,
    known: ClassNames | None = None,
) -> Roles:
    """Tell ids, truth, folds and repeats from predictions, by name.

    A column named as the target is the truth only beside other columns: a file in the
    form of a submission has its predictions there. Nor is one of the columns that are
    named after the classes, such as ``False`` and ``True``.
    """
    left = list(table.columns)
    roles = Roles(left)
    roles.id = _take(left, [id_name] if id_name else ID_NAMES)
    if roles.id is None and id_name and len(left) > 1:
        roles.id = _take(left, ID_NAMES)
    roles.index = _take_index(table, left)
    roles.fold = _take(left, FOLD_NAMES)
    roles.repeat = _take(left, REPEAT_NAMES)
    names = [*([target_name] if target_name else []), *TRUTH_NAMES]
    classes = ClassNames([False, True]) if known is None else known
    roles.truth = _take(left, names, classes.among(left))
    roles.predictions = left
    _keep_predictions(table, roles)
    return roles


def _take(left, names, besides=()):
    """Take the first of the names off the columns left, but never the last column."""
    free = [column for column in left if column not in besides]
    lower = {column.lower(): column for column in reversed(free)}
    for name in names:
        column = name if name in free else lower.get(name.lower())
        if column is not None and len(left) > 1:
            left.remove(column)
            return column
    return None


def _take_index(table, left):
    """An unnamed first column of row numbers is pandas' index."""
    if len(left) < 2 or left[0].lower() not in INDEX_NAMES:
        column = next((name for name in left if name in INDEX_NAMES[2:]), None)
        if column is None or len(left) < 2:
            return None
    else:
        column = left[0]
    left.remove(column)
    return column


def _keep_predictions(table, roles):
    """One column named as a prediction, beside some that are not, is the prediction."""
    named = [name for name in roles.predictions if set(words(name)) & _PREDICTION]
    others = [name for name in roles.predictions if name not in named]
    if len(named) == 1 and others and not _are_numbers(table, others):
        roles.predictions = named
        roles.notes.append(f"{table.path}: column {named[0]!r} read, {others[:5]} not")


def _are_numbers(table, names):
    return all(table.columns[name].dtype.kind in "fiub" for name in names)


def is_row_number(values) -> bool:
    """Whether a column counts the rows from 0 or 1."""
    if values.dtype.kind not in "iu":
        return False
    return bool(np.array_equal(values - values[0], np.arange(len(values))))
