"""One file's content as blocks: a member's predictions, row by row, in order."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..exceptions import FileError
from ._align import Order, Rows, in_file_order, order_of
from ._array_table import as_table, bare, n_rows_of
from ._class_names import ClassNames
from ._columns import (
    FOLD_NAMES,
    ID_NAMES,
    REPEAT_NAMES,
    TRUTH_NAMES,
    find_roles,
)
from ._content import read_content
from ._groups import ADVICE_ON_CLASSES, group_columns
from ._ids import canonical
from ._names import STRIPPED, role_of, strip_roles
from ._parts import LazyArray, Table
from ._quantiles import ADVICE_ON_LEVELS, check_order
from ._shared import Shared
from ._truth import check_truth, choose_target
from ._unpredicted import without_left_out
from ._values import (
    ADVICE_ON_RANGE,
    block_errors,
    check_block,
    check_probabilities,
    numbers,
    summed_to_one,
)
from .target import Target, number_folds

_MAX_SEEDS = 100


@dataclass
class Block:
    """A member's predictions.

    read : returns rows start to stop as (rows, outputs), checked
    errors : yields all that is wrong with those rows; None where they were checked
    """

    member: str
    path: Path
    columns: tuple[str, ...]
    n_rows: int
    n_outputs: int
    dtype: np.dtype
    read: Callable[[int, int], NDArray]
    in_memory: bool
    errors: Callable[[int, int], Iterator[FileError]] | None = None


@dataclass
class FileContent:
    """What a file gave: blocks, what was decided, and what else stood there.

    shared : column of the ids that was found by its values, and the target's values
    has_test : whether the file holds predictions of the test rows as well
    of_targets : whether it holds predictions of several columns of the target's file
    unfit : blocks that cannot be used, though more may be wrong with them
    """

    blocks: list[Block] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rule: str = ""
    folds: NDArray | None = None
    ids: NDArray | None = None
    id_name: str | None = None
    shared: tuple[str, NDArray] | None = None
    errors: list[FileError] = field(default_factory=list)
    has_test: bool = False
    of_targets: bool = False
    unfit: list[Block] = field(default_factory=list)


@dataclass
class Request:
    """Whose predictions are read, of which rows; `shared` finds ids without a name.

    of_targets : whether columns of the target's file are predictions; None looks
    notes : gets what is decided when the values of an array are read
    """

    member: str
    alone: bool
    role: str
    rows: Rows
    target: Target
    shared: Shared | None = None
    of_targets: bool | None = None
    notes: list[str] = field(default_factory=list)


def read_blocks(path: Path, request: Request) -> FileContent:
    """Read a file's members; what is unfit is kept as errors, all of each member."""
    max_rows = None if request.rows.n is None else 64 * max(request.rows.n, 1000)
    content = read_content(path, max_rows, id_name=request.target.id_column)
    if isinstance(content, Table):
        return _from_table(content, request)
    keys = {bare(key) for key in content}
    if keys & {*ID_NAMES, "ids"} and len(content) > 1:
        found = _from_table(as_table(path, content, request.role), request)
    else:
        found = _from_arrays(path, content, request)
    roles = {role_of(key, ()) for key in content}
    found.has_test = request.role == "oof" and {"oof", "test"} <= roles
    return found


def _from_table(table, request):
    request, shared = _with_shared(table, request)
    target = request.target
    known = None if target.classes is None else ClassNames(target.classes)
    roles = find_roles(table, target.id_column, target.column, known)
    found = FileContent([], table.notes + roles.notes, shared=shared)
    table = without_left_out(table, roles.id, request.rows)
    if request.shared is not None:
        found.notes += request.shared.take_notes()
    order = None
    with _kept(found):
        order = order_of(table, roles, request.rows)
        found.rule = order.rule
        choose_target(table, roles, order, request, found)
        if roles.index is not None and "unnamed" not in order.rule:
            text = f"unnamed column {roles.index!r} is no member"
            found.notes.append(f"{table.path}: {text}")
        _read_besides(table, roles, order, request, found)
    with _kept(found):
        groups, notes = group_columns(
            table, roles.predictions, target, request.member, request.alone
        )
        found.notes += notes
        for member, columns in groups:
            _add_block(table, member, columns, order, target, found)
    return found


@contextmanager
def _kept(found):
    """Keep what is refused, and go on."""
    try:
        yield
    except FileError as error:
        found.errors.append(error)


def _add_block(table, member, columns, order, target, found):
    """Add a member's columns, or all that is wrong with them."""
    n_errors = len(found.errors)
    values = np.column_stack([_numbers(table, name, found) for name in columns])
    if target.classes is not None:
        with _kept(found):
            _check_table_range(table, columns, values)
            if len(found.errors) == n_errors:
                check_probabilities(table.path, values, line=table.line)
                values = _rounded(table.path, values, found.notes)
    if target.levels is not None and len(found.errors) == n_errors:
        with _kept(found):
            check_order(table.path, values, line=table.line)
    if len(found.errors) > n_errors or order is None:
        return
    if target.n_outputs == 1 and values.shape[1] == 2:
        values = values[:, 1:]
    ordered = np.column_stack([order.apply(column) for column in values.T])
    found.blocks.append(array_block(member, table.path, tuple(columns), ordered))


def _rounded(path, values, notes):
    settled = summed_to_one(values)
    note = f"{path}: rounded probabilities are divided by their sums"
    if settled is not values and note not in notes:
        notes.append(note)
    return settled


def _numbers(table, name, found):
    with _kept(found):
        return numbers(table, name)
    values = table.columns[name]
    if values.dtype.kind in "fiub":
        return values.astype(np.float64)
    return np.full(table.n_rows, np.nan)


def _with_shared(table, request):
    """Take a column as the ids that the target's file has too."""
    if request.shared is None:
        return request, None
    test = request.role == "test"
    shared = request.shared.find(table, test)
    if shared is None:
        return request, None
    name, ids = shared
    rows = request.rows if test else replace(request.rows, ids=ids)
    target = replace(request.target, id_column=name)
    return replace(request, target=target, rows=rows), shared


def _read_besides(table, roles, order, request, found):
    """Ids and folds, and the truth as a proof of the order."""
    if roles.id is not None and order.n_averaged == 1 and request.role == "test":
        found.ids = order.apply(canonical(table, roles.id))
        found.id_name = roles.id
    if roles.fold is not None and order.n_averaged == 1:
        found.folds = order.apply(number_folds(table, roles.fold))
    if roles.truth is not None and request.role == "oof" and len(request.target.y):
        check_truth(table, roles, order, request.target)
        found.rule += f", proved by {roles.truth!r}"


def _check_table_range(table, columns, values):
    outside = (values < -1e-9) | (values > 1 + 1e-9)
    if outside.any():
        row, column = (int(at[0]) for at in np.nonzero(outside))
        raise table.error(
            row,
            f"column {columns[column]!r} holds {values[row, column]:.6g}; "
            "probabilities in [0, 1] are needed.",
            ADVICE_ON_RANGE,
        )


def array_block(member, path, columns, values) -> Block:
    """Make a block of an array in memory."""
    return Block(
        member,
        path,
        columns,
        len(values),
        values.shape[1],
        values.dtype,
        lambda start, stop: values[start:stop],
        True,
    )


def _from_arrays(path, arrays, request):
    chosen, notes = _choose_keys(path, arrays, request)
    found = FileContent([], notes)
    for member, array in chosen:
        with _kept(found):
            n_errors = len(found.errors)
            block = _lazy_block(member, array, request, found)
            fit = len(found.errors) == n_errors
            (found.blocks if fit else found.unfit).append(block)
    return found


def _choose_keys(path, arrays, request):
    if len(arrays) == 1:
        return [(request.member, next(iter(arrays.values())))], []
    by_role = [key for key in arrays if role_of(key, ()) == request.role]
    known = {*TRUTH_NAMES, *FOLD_NAMES, *REPEAT_NAMES, "folds"}
    left = [key for key in arrays if key.lower() not in known]
    unnamed = [key for key in left if role_of(key, ()) is None]
    keys = by_role or unnamed
    if not keys:
        raise FileError(
            path, None, f"holds {list(arrays)[:10]}, none of {request.role} rows."
        )
    notes = [f"{path}: read {keys[:5]} of {list(arrays)[:10]}"]
    if len(keys) == 1:
        return [(request.member, arrays[keys[0]])], notes
    prefix = "" if request.alone else f"{request.member}."
    chosen = [
        (prefix + (strip_roles(key, STRIPPED[0]) or key), arrays[key]) for key in keys
    ]
    return chosen, notes


def _lazy_block(member, array: LazyArray, request, found):
    shape, target = array.shape, request.target
    n_rows = n_rows_of(array)
    n_given = 1 if len(shape) == 1 else shape[-1]
    _refuse_odd_shape(array, request.rows)
    order = Order(None, "")
    with _kept(found):
        order = in_file_order(array.path, n_rows, request.rows)
    found.rule = order.rule
    if len(shape) == 3:
        found.notes.append(f"{array.path}: mean of {shape[0]} seeds")
    n_outputs = _check_columns(array, n_given, target, request.role)
    probabilities = target.classes is not None
    dtype = np.dtype(np.float32 if array.dtype == np.float32 else np.float64)
    cached = None if array.mapped else array.load()

    def take(start, stop):
        values = array.load() if cached is None else cached
        rows = slice(start, stop) if order.rows is None else order.rows[start:stop]
        return _take(values, rows, dtype)

    def read(start, stop):
        part = take(start, stop)
        check_block(array.path, part, probabilities, start)
        if target.levels is not None:
            check_order(array.path, part, start)
        if probabilities:
            part = _rounded(array.path, part, request.notes)
        return part[:, -n_outputs:] if n_outputs < part.shape[1] else part

    def errors(start, stop):
        return _part_errors(array.path, take(start, stop), target, start)

    n_read = n_rows if order.rows is None else len(order.rows)
    in_memory = cached is not None
    return Block(
        member, array.path, (), n_read, n_outputs, dtype, read, in_memory, errors
    )


def _part_errors(path, part, target, start):
    """Return all that is wrong with rows of an array."""
    problems = list(block_errors(path, part, target.classes is not None, start))
    if target.levels is not None and not problems:
        try:
            check_order(path, part, start)
        except FileError as error:
            problems.append(error)
    return problems


def _take(values, rows, dtype):
    if values.ndim == 3:
        return values[:, rows].mean(axis=0, dtype=np.float64).astype(dtype)
    part = np.asarray(values[rows], dtype=dtype)
    return part[:, None] if part.ndim == 1 else part


def _refuse_odd_shape(array, rows):
    shape = array.shape
    if len(shape) == 3 and shape[0] > _MAX_SEEDS:
        raise FileError(
            array.path,
            None,
            f"has shape {shape}: {shape[0]} seeds; expected at most {_MAX_SEEDS}.",
            "Save (seeds, n, K), or the mean.",
        )
    if rows.n is not None and len(shape) == 2 and shape[0] != rows.n == shape[1]:
        raise FileError(
            array.path,
            None,
            f"has shape {shape}; expected {rows.n} rows: it lies on its side.",
            "Save array.T, or (seeds, n, K) for several seeds.",
        )


def _check_columns(array, n_given, target, role):
    """Return the columns kept; two probabilities are those of both classes."""
    n_classes = 1 if target.classes is None else len(target.classes)
    if n_given == target.n_outputs or (n_given == 2 == n_classes):
        return target.n_outputs
    if target.task == "":
        return n_given
    if target.levels is not None:
        levels = target.levels.tolist()
        raise FileError(
            array.path,
            None,
            f"has shape {array.shape}; expected {len(levels)} columns, one for each of "
            f"the quantile levels {levels}.",
            ADVICE_ON_LEVELS,
        )
    what = (
        f"{n_given} columns have two readings: seeds of one member, or members"
        if n_classes <= 2
        else f"expected {n_classes} columns, one for each class"
    )
    advice = "Save (n,), (n, K), (seeds, n, K), or one file per member."
    if n_given == 1:
        advice = ADVICE_ON_CLASSES
    elif role == "test" and len(array.shape) == 2 and array.shape[0] <= _MAX_SEEDS:
        advice += f" If each of the {array.shape[0]} rows is a fold, save their mean."
    raise FileError(array.path, None, f"has shape {array.shape}: {what}.", advice)


def spans(n_rows: int, n_columns: int) -> Iterator[tuple[int, int]]:
    """Yield row ranges of at most 128 MB."""
    size = max(256, 2**24 // max(1, n_columns))
    for start in range(0, n_rows, size):
        yield start, min(start + size, n_rows)
