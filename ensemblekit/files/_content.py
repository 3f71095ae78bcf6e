"""A file's content by its kind."""

from pathlib import Path

from ..exceptions import FileError
from ._csv import read_csv
from ._npy import read_npy, read_npz
from ._parquet import read_parquet
from ._parts import LazyArray, Table, Wanted

_TEXTS = (".csv", ".tsv", ".txt")
_PARQUET = (".parquet", ".pq")
_ARRAYS = {".npy": read_npy, ".npz": read_npz}
PICKLES = (".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth")


def kind_of(path: Path) -> str | None:
    """The suffix that tells how to read a file, or None."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"] and suffixes[-2:-1]:
        suffix = suffixes[-2]
        return suffix if suffix in _TEXTS else None
    suffix = suffixes[-1] if suffixes else ""
    return suffix if suffix in (*_TEXTS, *_PARQUET, *_ARRAYS) else None


def stem_of(path: Path) -> str:
    """The name without the suffixes that tell its kind."""
    name = path.name
    if name.lower().endswith(".gz"):
        name = name[:-3]
    return name[: len(name) - len(Path(name).suffix)]


def read_content(
    path: Path,
    max_rows: int | None = None,
    wanted: Wanted | None = None,
    id_name: str | None = None,
) -> Table | dict[str, LazyArray]:
    """Read a table, or the headers of arrays; `id_name`: column of ids, if told."""
    kind = kind_of(path)
    if kind in _TEXTS:
        return read_csv(path, max_rows, wanted, id_name=id_name)
    if kind in _PARQUET:
        return read_parquet(path, max_rows, wanted)
    if kind in _ARRAYS:
        return _ARRAYS[kind](path)
    if path.suffix.lower() in PICKLES:
        raise FileError(
            path,
            None,
            "is a pickle, which can run code, and is never opened.",
            "Save the array with numpy.save(path, array).",
        )
    raise FileError(path, None, "is no csv, parquet, npy or npz file (by its suffix).")


def read_table(
    path: Path, wanted: Wanted | None = None, id_name: str | None = None
) -> Table:
    """Read a table; an array of an npy file counts as a table of its columns."""
    content = read_content(path, None, wanted, id_name)
    if isinstance(content, Table):
        return content
    columns = {}
    for key, array in content.items():
        if len(array.shape) > 2:
            raise FileError(path, None, f"has shape {array.shape}; expected columns.")
        values = array.load()
        if values.ndim == 1:
            columns[key or "0"] = values
        else:
            for position in range(min(values.shape[1], 1000)):
                columns[f"{key}{position}"] = values[:, position]
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise FileError(path, None, f"has arrays of {sorted(lengths)} rows.")
    return Table(path, columns)
