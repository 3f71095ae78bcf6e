"""The target: labels or values, the ids of its rows, and the folds beside it."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..exceptions import FileError
from ._bools import words_of_bools
from ._columns import FOLD_NAMES, REPEAT_NAMES, TRUTH_NAMES
from ._content import read_table
from ._ids import ID_NAMES, canonical, check_unique, find_repeated
from ._parts import Table

__all__ = ["Target", "read_target"]

_MAX_LABELS = 20
_ADVICE_ON_LABELS = (
    "Empty cells and the words NA, None, null, nan and n/a are read as missing: leave "
    "the row out or, if the word is a label, rename the label."
)


@dataclass
class Target:
    """What predictions are judged by.

    Parameters
    ----------
    y : ndarray of shape (n,)
        float64 values, or labels (int64 or str).
    ids : ndarray of shape (n,), int64 or str, or None
        Distinct ids of the rows as they are written, where the file has them; int64
        where that is the text of whole numbers.
    classes : ndarray of shape (n_classes,) or None
        Sorted labels of a classification.
    task : {"regression", "classification", "quantile"}
    file : Path or None, default=None
    column, id_column : str or None, default=None
        Columns that were read.
    folds : ndarray of shape (n,), int64, or None, default=None
        The fold of each row, where the file has it.
    columns : tuple of str, default=()
        Names of all columns of the file, where it is a table.
    rows : ndarray of shape (n,) or None, default=None
        Rows of the file that were kept; None for all.
    n_rows : int, default=0
        Rows of the file.
    levels : ndarray of shape (n_levels,), float64, or None, default=None
        Levels of the members' columns, where they predict quantiles.
    levels_given : bool, default=False
        Whether they were given rather than read from names of columns.
    left_out : ndarray or None, default=None
        Ids, or without ids numbers, of rows of the file that no member predicts.
    notes : list of str
        What was decided.
    """

    y: NDArray
    ids: NDArray | None
    classes: NDArray | None
    task: str
    file: Path | None = None
    column: str | None = None
    id_column: str | None = None
    folds: NDArray | None = None
    rows: NDArray | None = None
    n_rows: int = 0
    levels: NDArray | None = None
    levels_given: bool = False
    notes: list[str] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    left_out: NDArray | None = None

    @property
    def n_outputs(self) -> int:
        """Columns of one member in P."""
        if self.levels is not None:
            return len(self.levels)
        if self.classes is None or len(self.classes) == 2:
            return 1
        return len(self.classes)


def read_target(
    spec: str | os.PathLike,
    id: str | None = None,
    *,
    task: str | None = None,
    repeat: int | None = None,
) -> Target:
    """Read the target out of a table or an array.

    Parameters
    ----------
    spec : str
        ``"train.csv:target"``: file and column. The column may be left out where there
        is one, or one named ``target``, ``label`` or ``y``.
    id : str, default=None
        Column of the ids; None takes ``id`` or the like, where its values are distinct.
    task : {"regression", "classification"}, default=None
        None decides by the values: strings, bools and up to 20 different whole numbers
        are labels.
    repeat : int, default=None
        Which repeat of a repeated cross-validation to use where the file has a column
        of repeats and no ids; None is the first.

    Returns
    -------
    target : Target

    Raises
    ------
    FileError
        If the file or column is not there, a value is missing, or an id stands twice.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "train.csv"
    >>> _ = path.write_text("id,y\\n1,no\\n2,yes\\n3,no\\n4,no\\n")
    >>> target = read_target(f"{path}:y")
    >>> target.task, target.classes.tolist(), target.ids.tolist()
    ('classification', ['no', 'yes'], [1, 2, 3, 4])
    """
    path, column = split_spec(spec)
    header: list[str] = []

    def choose(names):
        header[:] = names
        return _wanted(names, column, id)

    table = read_table(path, choose, id)
    name = _find_column(table, column)
    target = Target(np.empty(0), None, None, "", path, name, n_rows=table.n_rows)
    target.columns = tuple(header)
    target.notes += table.notes
    if column is None:
        target.notes.append(f"{path}: column {name!r} is the target")
    _read_ids(table, id, target)
    values = table.columns[name]
    folds = _read_folds(table, name, target)
    rows = _choose_rows(table, target, repeat)
    read_values(table, name, values, task, target)
    target.folds = folds
    if rows is not None:
        target.y, target.rows = target.y[rows], rows
        target.folds = None if folds is None else folds[rows]
        target.ids = None if target.ids is None else target.ids[rows]
    if target.ids is not None:
        check_unique(table, str(target.id_column), target.ids, target.rows)
    return target


def split_spec(spec: str | os.PathLike) -> tuple[Path, str | None]:
    """Split ``file:column``; a file whose name holds the colon comes first."""
    text = os.fspath(spec)
    if os.path.lexists(text) or ":" not in text:
        return Path(text), None
    file, _, column = text.rpartition(":")
    while not os.path.lexists(file) and ":" in file:  # a colon in the column's name
        shorter, _, more = file.rpartition(":")
        file, column = shorter, f"{more}:{column}"
    if os.path.lexists(file):
        return Path(file), column
    file, _, column = text.rpartition(":")
    return Path(file), column


def _wanted(names, column, id_name):
    """Of a wide table, only what may be target, ids, folds or repeats is read."""
    given = {column, id_name}
    if not given & set(names) and column is not None:
        return names  # the message on what lacks shows them
    known = {*TRUTH_NAMES} if column is None else set()
    known |= {*FOLD_NAMES, *REPEAT_NAMES}
    known |= set(ID_NAMES) if id_name is None else set()
    chosen = [name for name in names if name in given or name.lower() in known]
    has_target = column in chosen or {name.lower() for name in chosen} & {*TRUTH_NAMES}
    return chosen if has_target else names


def _find_column(table, column):
    names = list(table.columns)
    if column is not None:
        if column in names:
            return column
        raise FileError(
            table.path, None, f"has no column {column!r}.", f"It has {names[:10]}."
        )
    if len(names) == 1:
        return names[0]
    known = [name for name in names if name.lower() in TRUTH_NAMES]
    if len(known) == 1:
        return known[0]
    raise FileError(
        table.path,
        None,
        f"has {len(names)} columns ({names[:6]}...), and which is the target is not "
        "said.",
        f"Write {table.path.name}:COLUMN.",
    )


def _read_ids(table, id_name, target):
    name = id_name
    if name is not None and name not in table.columns:
        raise FileError(
            table.path,
            None,
            f"has no id column {name!r}.",
            f"It has {list(table.columns)[:10]}.",
        )
    if name is None:
        name = _find_ids(table, target.column)
        if name is None:
            return
        target.notes.append(f"{table.path}: column {name!r} holds the ids")
    target.id_column = name
    target.ids = canonical(table, name)


def _find_ids(table, target_name):
    lower = {name.lower(): name for name in reversed(table.columns)}
    for known in ID_NAMES:
        name = lower.get(known)
        if name is None or name == target_name:
            continue
        values = table.columns[name]
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            continue
        return name
    return None


def _column_named(table, names, target_name):
    lower = {name.lower(): name for name in reversed(table.columns)}
    found = [lower[name] for name in names if name in lower]
    return next((name for name in found if name != target_name), None)


def _read_folds(table, target_name, target):
    name = _column_named(table, FOLD_NAMES, target_name)
    if name is None:
        return None
    folds = number_folds(table, name)
    target.notes.append(
        f"{table.path}: column {name!r} holds the folds ({folds.max() + 1})"
    )
    return folds


def number_folds(table: Table, name: str) -> NDArray:
    """Number the folds of a column from 0, in the order of their values."""
    values = table.columns[name]
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise table.error(
            np.argmin(np.isfinite(values)), f"the fold in column {name!r} is missing."
        )
    if values.dtype.kind == "O":
        values = canonical(table, name)
    distinct, folds = np.unique(values, return_inverse=True)
    if len(distinct) < 2:
        raise table.error(
            None, f"has {len(distinct)} fold in column {name!r}; expected two or more."
        )
    return folds.astype(np.int64)


def _choose_rows(table, target, repeat):
    """Of a repeated cross-validation, the rows of one repeat."""
    name = _column_named(table, REPEAT_NAMES, target.column)
    if name is None:
        return None
    values = table.columns[name]
    if values.dtype.kind not in "iuf" or name.lower() == "seed":
        return None
    distinct = np.unique(values)
    if len(distinct) < 2:
        return None
    if target.ids is not None and find_repeated(target.ids) is None:
        return None
    chosen = distinct[0] if repeat is None else repeat
    if chosen not in distinct:
        raise table.error(
            None, f"has no repeat {chosen!r}; it has {distinct.tolist()[:10]}."
        )
    target.notes.append(_say_repeat(table, target, len(distinct), chosen))
    return np.flatnonzero(values == chosen)


def _say_repeat(table, target, n_repeats, chosen):
    start = f"{table.path}: rows of {n_repeats} repeats of the same cross-validation; "
    if target.ids is not None:
        return f"{start}target and folds are those of repeat {chosen:g}"
    return (
        f"{start}only repeat {chosen:g} is read: a score held out by fold would see "
        "the same rows in the other repeats"
    )


def read_values(table, name, values, task, target):
    missing = _missing(values)
    if missing.any():
        raise table.error(
            np.argmax(missing),
            f"the target in column {name!r} is missing or infinite.",
            _ADVICE_ON_LABELS if values.dtype.kind == "O" else "",
        )
    labels = task == "classification" or (task is None and _are_labels(values))
    if labels:
        if values.dtype.kind == "b":
            values = words_of_bools(table.path, name, values)
        target.task, target.y = "classification", _labels(values)
        target.classes = np.unique(target.y)
        _check_classes(table, name, target)
    else:
        target.task, target.y = "regression", _values(table, name, values)
    if task is None:
        target.notes.append(_describe(table, name, target))


def _describe(table, name, target):
    if target.task == "regression":
        return f"{table.path}: {name!r} holds values: a regression"
    return (
        f"{table.path}: {name!r} holds labels: a classification into "
        f"{target.classes.tolist()}"
    )


def _missing(values):
    if values.dtype.kind == "f":
        return ~np.isfinite(values)
    if values.dtype.kind == "O":
        return np.array([v is None or v != v or v == "" for v in values], dtype=bool)
    return np.zeros(len(values), dtype=bool)


def _are_labels(values):
    if values.dtype.kind in "Ob":
        return True
    distinct = np.unique(values)
    if values.dtype.kind == "f":  # 0.0 and 1.0, as pandas writes some labels
        return distinct.tolist() == [0.0, 1.0]
    return len(distinct) <= _MAX_LABELS and len(values) >= 3 * len(distinct)


def _labels(values):
    if values.dtype.kind == "O":
        return np.array([str(value) for value in values], dtype=np.str_)
    if values.dtype.kind == "f" and (values == np.floor(values)).all():
        return values.astype(np.int64)
    return values.astype(np.int64) if values.dtype.kind in "iu" else values


def _values(table, name, values):
    if values.dtype.kind == "O":
        row = next((r for r, v in enumerate(values) if not _is_number(v)), 0)
        raise table.error(
            row, f"the target in column {name!r} is {values[row]!r}, no number."
        )
    return values.astype(np.float64)


def _is_number(value):
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _check_classes(table, name, target):
    n_classes = len(target.classes)
    if n_classes < 2:
        raise table.error(
            None,
            f"the target in column {name!r} has one value, {target.y[0].item()!r}.",
        )
    if n_classes > max(2, len(target.y) // 2) or n_classes > 1000:
        raise table.error(
            None,
            f"the target in column {name!r} has {n_classes} different labels in "
            f"{len(target.y)} rows.",
            "Is it the column meant, or does it hold text for numbers?",
        )
