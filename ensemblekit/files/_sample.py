"""What the columns of a sample submission are: the ids, and the predictions."""

from collections.abc import Iterable
from pathlib import Path

from numpy.typing import NDArray

from ._class_names import ClassNames
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
    of_class = {} if classes is None else find_classes(left, classes)
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


def find_classes(names: list[str], classes: Iterable) -> dict[str, int]:
    """Return the class of each column that has one, by the rule for members' columns.

    Empty where the names do not tell of each class.
    """
    known = ClassNames(classes)
    families, _ = known.families(names, last=True)
    if families:
        return {name: k for k, name in enumerate(families[0].columns)}
    parts = {name: known.find(name) for name in names}
    found = {
        name: known.labels.index(part.label)
        for name, part in parts.items()
        if part is not None
    }
    return found if sorted(found.values()) == list(range(len(known.labels))) else {}
