"""parquet files: the metadata first."""

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..exceptions import FileError
from ._open import check_regular, check_size, system_errors
from ._parts import Table, Wanted

_LIMIT = 2**26


def read_parquet(
    path: Path, max_rows: int | None = None, wanted: Wanted | None = None
) -> Table:
    """Read the columns of a parquet file that hold numbers or strings.

    wanted : chooses columns by their names
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_regular(path)
    try:
        with system_errors(path), open(path, "rb") as stream:
            file = pq.ParquetFile(
                stream,
                thrift_string_size_limit=_LIMIT,
                thrift_container_size_limit=_LIMIT,
            )
            names = file.schema_arrow.names
            if wanted is not None:
                names = wanted(names)
            check_size(path, file.metadata.num_rows, len(names), max_rows)
            _check_schema(path, file.schema_arrow, names)
            columns = _to_columns(path, file.read(names, use_threads=False))
    except FileError:
        raise
    except (pa.ArrowException, ValueError, KeyError, TypeError, MemoryError) as error:
        short = str(error).split("\n")[0][:120]
        raise FileError(
            path, None, f"is no parquet file that can be read ({short})."
        ) from None
    return Table(path, columns)


def _check_schema(path, schema, names):
    import pyarrow as pa

    repeated = [name for name, count in Counter(schema.names).items() if count > 1]
    if repeated or not schema.names:
        raise FileError(
            path, None, f"has columns of the same name, {repeated[:5]}, or none."
        )
    for field in schema:
        kind = field.type
        if field.name not in names:
            continue
        if pa.types.is_nested(kind) or pa.types.is_binary(kind):
            raise FileError(
                path,
                None,
                f"column {field.name!r} holds {kind}; expected numbers, or strings.",
            )


def _to_columns(path, table):
    if table.num_rows == 0:
        raise FileError(path, None, "has no rows.")
    return {name: _to_array(table.column(name)) for name in table.column_names}


def _to_array(column) -> NDArray:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
        kind = column.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if (numeric or pa.types.is_boolean(kind)) and not column.null_count:
        return column.to_numpy()
    if numeric:
        return column.cast(pa.float64(), safe=False).to_numpy()
    return np.array(column.to_pylist(), dtype=object)
