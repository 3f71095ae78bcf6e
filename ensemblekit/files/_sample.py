"""What the columns of a sample submission are: the ids, and the predictions."""

from collections.abc import Iterable
from pathlib import Path

from numpy.typing import NDArray

from ._columns import _PREDICTION
from ._content import read_table
from ._ids import ID_NAMES, canonical, check_unique
from ._names import words
from ._quantiles import level_of


def find_sample_id(
    names: list[str],
    id_name: str | None = None,
    target_name: str | None = None,
    classes: Iterable | None = None,
    levels: Iterable | None = None,
) -> str | None:
    """Return the column of a sample submission that holds the ids, or None.

    The one given or that of the target, else one named as ids are, else the first that
    is no column of predictions: named as the target, a class, a prediction or, with
    levels, by one.
    """
    if id_name in names:
        return id_name
    left = [name for name in names if name != target_name]
    lower = {name.lower(): name for name in reversed(left)}
    known = next((lower[name] for name in ID_NAMES if name in lower), None)
    if known is not None and len(names) > 1:
        return known
    labels = [str(label) for label in classes or ()]
    of_class = {name for name in left if class_of(name, labels) is not None}
    if {class_of(name, labels) for name in of_class} == set(range(len(labels))):
        left = [name for name in left if name not in of_class]
    if levels is not None:
        left = [name for name in left if level_of(name) is None]
    left = [name for name in left if not set(words(name)) & _PREDICTION]
    return left[0] if left and len(names) > 1 else None


def read_sample(path, target) -> tuple[NDArray | None, int, str | None]:
    """Return the ids of a sample submission, its number of rows and the ids' column."""
    table = read_table(Path(path), id_name=target.id_column)
    names = list(table.columns)
    known = target.id_column, target.column, target.classes, target.levels
    name = find_sample_id(names, *known)
    if name is None:
        return None, table.n_rows, None
    if name != target.id_column:  # as it is written
        table = read_table(Path(path), id_name=name)
    ids = canonical(table, name)
    check_unique(table, name, ids)
    return ids, len(ids), name


def class_of(name: str, labels: list[str]) -> int | None:
    """Return the class of a column, by its name or by the end of it."""
    ends = [k for k, label in enumerate(labels) if name == label]
    ends = ends or [
        k
        for k, label in enumerate(labels)
        if name.endswith(label) and not name[: -len(label)][-1:].isalnum()
    ]
    return ends[0] if len(ends) == 1 else None
