"""Arrays with ids beside them, as columns of a table."""

from pathlib import Path

from ..exceptions import FileError
from ._names import role_of, strip_roles
from ._parts import LazyArray, Table


def as_table(path: Path, arrays: dict[str, LazyArray], role: str) -> Table:
    """Arrays with ids beside them are columns."""
    chosen = {key: arrays[key] for key in arrays}
    own = {key for key in arrays if role_of(key, ()) == role}
    other = {key for key in arrays if role_of(key, ()) not in (None, role)}
    if own:
        chosen = {key: arrays[key] for key in arrays if key not in other}
    if own and other:  # ids and the like are of the rows whose number they have
        n_rows = {n_rows_of(arrays[key]) for key in own}
        chosen = {
            key: arrays[key] for key in chosen if n_rows_of(arrays[key]) in n_rows
        }
    columns, counted = {}, set()
    for key, array in chosen.items():
        values = array.load()
        name = "id" if bare(key) in {"id", "ids"} else key
        if values.ndim == 1:
            columns[name] = values
        elif values.ndim == 2:
            columns |= {f"{name}_{i}": values[:, i] for i in range(values.shape[1])}
            counted |= {f"{name}_{i}" for i in range(values.shape[1])}
    lengths = sorted({len(values) for values in columns.values()})
    if len(lengths) > 1:
        raise FileError(path, None, f"has arrays of {lengths} rows beside its ids.")
    return Table(path, columns, counted=frozenset(counted))


def bare(key: str) -> str:
    """Return an array's name without the part that it is of: ``test_id`` holds ids."""
    return strip_roles(key, {"oof", "test", "train"}).lower()


def n_rows_of(array: LazyArray) -> int:
    """Return the number of rows, which follow the seeds where there are any."""
    return array.shape[1 if len(array.shape) == 3 else 0]
