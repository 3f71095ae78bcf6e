"""Digests of content: what a prediction depends on, as one short name."""

import copyreg
import hashlib
import inspect
import sys
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

import numpy as np
from scipy import sparse

from .exceptions import UncacheableError

_BLOCK = 1 << 22  # bytes of an array that are made contiguous at a time
# Parameters of this package's estimators that change no result.
_OF_NO_CONSEQUENCE = ("memory", "n_jobs", "verbose")
_CLONED = ("_metadata_request", "_sklearn_output_config")
_PLAIN_ARRAYS = (np.ndarray, np.memmap)


def digest(value, name="value"):
    """Return the sha256 of a value's content, the same in every process.

    Arrays count by dtype, shape and elements, whatever their layout in memory; frames
    by columns, dtypes, categories and cells, not by index; estimators by class, code,
    version of their package and what `sklearn.base.clone` would keep: parameters, and
    the fitted state of what is frozen. Everything else counts as it would be pickled.

    Parameters
    ----------
    value : object
    name : str, default="value"
        What the value is, for the message.

    Returns
    -------
    digest : str of 64 characters

    Raises
    ------
    UncacheableError
        If some part has no content that outlives the process: a function without a
        name of its own, a generator, an open file. The message says which part.

    Notes
    -----
    Time is one pass: 100 MB of numbers take 0.08 s where the processor knows SHA.

    Examples
    --------
    >>> import numpy as np
    >>> digest(np.arange(3)) == digest([0, 1, 2])
    False
    >>> digest({"depth": 3})[:8] == digest({"depth": 4})[:8]
    False
    """
    try:
        if type(value) is dict:
            return _mapping(value, name, False).hex()
        return _digest(value, name, False).hex()
    except RecursionError:
        raise UncacheableError(
            f"{name} holds itself, or parts nested too deeply to be digested."
        ) from None


def _node(kind, *parts):
    """Hash the parts with their lengths, so that no two lists of parts look alike."""
    total = hashlib.sha256(kind.encode() + b"\0")
    for part in parts:
        total.update(len(part).to_bytes(8, "little"))
        total.update(part)
    return total.digest()


def _digest(value, where, fitted):
    """Digest any value; `fitted`: estimators count by their state as well."""
    kind = type(value)
    if kind in _SIMPLE:
        return _node(kind.__name__, _SIMPLE[kind]([value]))
    if kind in (list, tuple):
        return _node(kind.__name__, _sequence(value, where, fitted))
    if kind in (set, frozenset):
        items = sorted(_digest(item, f"an item of {where}", fitted) for item in value)
        return _node(kind.__name__, *items)
    if kind is dict:  # which clone copies as it is, with what is fitted in it
        return _mapping(value, where, True)
    if kind in _PLAIN_ARRAYS:
        return _array(value, where, fitted)
    if isinstance(value, np.generic):
        return _node("scalar", _array(np.asarray(value), where, fitted))
    if sparse.issparse(value):
        return _sparse(value)
    if isinstance(value, type):
        return _class(value, where)
    if isinstance(value, CodeType):
        return _code(value, where)
    return _frame(value, where) or _object(value, where, fitted)


def _mapping(value, where, fitted):
    keys = _sequence(list(value), f"a key of {where}", fitted)
    items = [_digest(item, f"{where}[{key!r}]", fitted) for key, item in value.items()]
    return _node("dict", keys, *items)


# -- many values at once ----------------------------------------------------------


def _strings(values):
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    return lengths.tobytes() + "".join(values).encode("utf-8", "surrogatepass")


_SIMPLE = {
    type(None): lambda values: b"",
    bool: bytes,
    int: lambda values: ",".join(map(hex, values)).encode(),
    float: lambda values: np.array(values, dtype="<f8").tobytes(),
    complex: lambda values: np.array(values, dtype="<c16").tobytes(),
    str: _strings,
    bytes: lambda values: _node("bytes", *values),
}


def _sequence(items, where, fitted):
    """Digest items in order: their types first, then the items of each type."""
    kinds = list(map(type, items))
    places = {kind: place for place, kind in enumerate(dict.fromkeys(kinds))}
    order = np.fromiter(map(places.__getitem__, kinds), np.int32, len(kinds))
    parts = [order.tobytes()]
    for kind, place in places.items():
        numbers = np.flatnonzero(order == place).tolist()
        chosen = items if len(places) == 1 else [items[number] for number in numbers]
        if kind in _SIMPLE:
            part = _SIMPLE[kind](chosen)
        else:
            pairs = zip(numbers, chosen, strict=True)
            part = b"".join(_digest(x, f"{where}[{n}]", fitted) for n, x in pairs)
        parts += [kind.__qualname__.encode(), part]
    return _node("sequence", *parts)


# -- arrays and tables ------------------------------------------------------------


def _array(value, where, fitted):
    dtype, shape = repr(value.dtype).encode(), str(value.shape).encode()
    if value.dtype.names:  # by field: the gaps between fields hold anything
        fields = [_node(f, _array(value[f], where, fitted)) for f in value.dtype.names]
        return _node("records", *fields)
    if value.dtype.hasobject or value.dtype.kind == "T":  # strings of any length
        cells = _sequence(value.ravel().tolist(), where, fitted)
        return _node("objects", dtype, shape, cells)
    total = hashlib.sha256()
    for block in _blocks(np.asarray(value)):
        total.update(block)
    return _node("array", dtype, shape, total.digest())


def _blocks(value):
    """Yield the elements in C order, as bytes, without a copy of all of them."""
    if value.flags.c_contiguous:
        yield value.reshape(-1).view(np.uint8) if value.size else b""
        return
    step = max(1, _BLOCK * len(value) // value.nbytes) if value.size else 1
    for start in range(0, len(value), step):
        block = np.ascontiguousarray(value[start : start + step])
        yield block.reshape(-1).view(np.uint8) if block.size else b""


def _sparse(value):
    if value.format not in ("csr", "csc"):
        value = value.tocoo()
    names = ("row", "col") if value.format == "coo" else ("indices", "indptr")
    arrays = [_array(getattr(value, name), name, False) for name in ("data", *names)]
    return _node(f"sparse {value.format}", str(value.shape).encode(), *arrays)


def _frame(value, where):
    """Digest a data frame or a series; None for anything else."""
    package = type(value).__module__.partition(".")[0]
    kind = type(value).__name__
    columns = {
        ("pandas", "DataFrame"): _pandas_columns,
        ("pandas", "Series"): _pandas_columns,
        ("polars", "DataFrame"): _polars_columns,
        ("polars", "Series"): _polars_columns,
    }.get((package, kind))
    if columns is None:
        return None
    return _node(f"{package} {kind}", str(value.shape).encode(), *columns(value, where))


def _pandas_columns(frame, where):
    if frame.ndim == 1:
        frame = frame.to_frame()
    yield _sequence(list(frame.columns), f"a column name of {where}", False)
    if type(frame.index).__name__ != "RangeIndex":  # a member may read dates from it
        yield _index(frame.index, where)
    dtypes = list(set(frame.dtypes))
    if len(dtypes) == 1 and isinstance(dtypes[0], np.dtype):  # one block, as a rule
        yield _array(frame.to_numpy(), where, True)
        return
    for name, column in frame.items():
        yield _pandas_column(column, f"column {name!r} of {where}")


def _index(index, where):
    levels = [index.get_level_values(number) for number in range(index.nlevels)]
    return _node(
        "index",
        *(
            _pandas_column(level.to_series(), f"the index of {where}")
            for level in levels
        ),
    )


def _pandas_column(column, where):
    dtype = column.dtype
    if isinstance(dtype, np.dtype):
        return _array(column.to_numpy(), where, True)
    if hasattr(dtype, "categories"):
        categories = _pandas_column(dtype.categories.to_series(), where)
        codes = _array(column.cat.codes.to_numpy(), where, True)
        return _node(f"categories {dtype.ordered}", categories, codes)
    missing = column.isna().to_numpy()
    values = column[~missing]
    instants = f"M8[{dtype.unit}]" if hasattr(dtype, "tz") else None
    cells = _array(values.to_numpy(dtype=instants), where, True)
    return _node(f"column {dtype}", missing.tobytes(), cells)


def _polars_columns(frame, where):
    for column in [frame] if len(frame.shape) == 1 else frame.iter_columns():
        yield _node("column", column.name.encode(), repr(column.dtype).encode())
        yield _node("missing", column.is_null().to_numpy().tobytes())
        values = column.drop_nulls() if column.null_count() else column
        if column.dtype.is_temporal():
            values = values.to_physical()
        if values.dtype.is_numeric():
            yield _array(values.to_numpy(), where, True)
        else:
            yield _sequence(
                values.to_list(), f"column {column.name!r} of {where}", True
            )


# -- classes, functions and objects -----------------------------------------------


def _object(value, where, fitted):
    """Digest a function by name and code, an object as clone or pickle would take it.

    A class or function is its name: what pickle finds under it must be the same thing.
    """
    owner = getattr(value, "__self__", None)  # of a function in C: its module
    if hasattr(value, "__qualname__") and (owner is None or inspect.ismodule(owner)):
        return _function(value, where)
    if hasattr(value, "get_params") and not (fitted or _clones_itself(value)):
        return _estimator(value, where)
    return _state(value, where)


def _clones_itself(value):
    """Say whether clone asks the estimator; a frozen one keeps what it learned."""
    clones = getattr(value, "__sklearn_clone__", None)
    return clones is not None and clones.__module__ != "sklearn.base"


def _estimator(value, where):
    params = sorted(value.get_params(deep=False).items())
    if _package(type(value)) == "ensemblekit":
        params = [pair for pair in params if pair[0] not in _OF_NO_CONSEQUENCE]
    parts = [
        _node(name, _digest(param, f"{where}.{name}", False)) for name, param in params
    ]
    # What set_fit_request and set_output leave behind, which clone keeps.
    parts += [repr(getattr(value, name, None)).encode() for name in _CLONED]
    return _node("estimator", _class(type(value), where), *parts)


def _state(value, where):
    """Digest what pickle would write; it knows the state of types in C as well."""
    reduce = copyreg.dispatch_table.get(type(value))
    try:
        reduced: Any = reduce(value) if reduce else value.__reduce_ex__(4)
    except Exception as error:
        raise UncacheableError(
            f"{where} is a {type(value).__name__}, which has no content to name a "
            f"cache entry by ({error}). Leave it out, or fit without memory."
        ) from error
    if isinstance(reduced, str):  # a global: pd.NA, numpy.log
        return _node("global", type(value).__module__.encode(), reduced.encode())
    parts = [list(part) if hasattr(part, "__next__") else part for part in reduced]
    return _node("object", _class(type(value), where), _sequence(parts, where, True))


def _named(value, where):
    """Return module and name of a class or function, if that is where it is found."""
    module, name = getattr(value, "__module__", None), value.__qualname__
    found = sys.modules.get(module or "builtins")
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not value:
        raise UncacheableError(
            f"{where} is {name} ({type(value).__name__}), which no module knows by "
            "that name. Define it at the top of a module, or fit without memory."
        )
    return f"{module}.{name}".encode()


def _function(value, where):
    body = _body(value, set()) if isinstance(value, FunctionType) else b""
    return _node("function", _named(value, where), _version(_package(value)), body)


def _class(kind, where):
    packages = sorted(set(map(_package, kind.__mro__)))
    versions = map(_version, packages)
    bodies = [_own_code(base) for base in kind.__mro__ if _counts(base)]
    return _node("class", _named(kind, where), *bodies, *versions)


def _counts(kind):
    return _package(kind) not in sys.stdlib_module_names


def _own_code(kind):
    """Digest what a class adds; of code without a version, constants as well."""
    if _has_version(kind):
        return _methods(kind)
    seen: set = set()
    return _node("own", *_members_of(kind, seen))


@lru_cache(maxsize=1024)
def _methods(kind):
    return _node("methods", *_members_of(kind, None))


def _members_of(kind, seen):
    """Yield digests of methods; of constants too where `seen` is a set.

    That holds the code met so far: helpers of code without a version are followed.
    """
    for name, member in sorted(vars(kind).items()):
        plain = member
        for part in ("fget", "__func__", "func"):  # property, classmethod, partial
            plain = getattr(plain, part, plain)
        if isinstance(plain, FunctionType):
            yield _node(name, _body(plain, seen))
        # Python keeps notes of its own in a class, when it is pickled for one.
        elif seen is not None and not name.startswith(("__", "_abc_")):
            yield _node(name, _content(member, seen))


def _has_version(value):
    return _is_known(getattr(value, "__module__", None) or "builtins")


def _is_known(module):
    """Say whether a version stands for the code of a module."""
    package = module.partition(".")[0]
    known = hasattr(sys.modules.get(package), "__version__")
    return package in sys.stdlib_module_names or known


def _content(value, seen):
    """Digest what code refers to, as far as that has content; else its type's name."""
    if isinstance(value, FunctionType):
        return _body(value, seen)
    if isinstance(value, type) and seen is not None and not _has_version(value):
        if value in seen:
            return b"again"
        seen.add(value)
        return _node("class", *_members_of(value, seen))
    try:
        return _digest(value, "", True)
    except (UncacheableError, RecursionError):
        return type(value).__qualname__.encode()


def _body(function, seen=None):
    """Digest the code of a function and its defaults.

    Of code without a version also what it closes over and the globals that it names;
    of modules without one, what they have under a name that the code looks up. Of other
    code these may be caches, which change.
    """
    if seen is not None:
        if function.__code__ in seen:
            return b"again"
        seen.add(function.__code__)
    known = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    if not _has_version(function):
        seen = set() if seen is None else seen
        known += [_cell(cell) for cell in function.__closure__ or ()]
        known += _values_named(function.__globals__, _global_names(function), set())
    parts = [_content(value, seen) for value in known]
    return _node("body", _code(function.__code__, ""), *parts)


def _values_named(namespace, names, entered):
    """Return the values under the names, in modules of the same kind too, in order."""
    found = []
    for value in [namespace[name] for name in names if name in namespace]:
        if not inspect.ismodule(value):
            found.append(value)
        elif value.__name__ not in entered and not _is_known(value.__name__):
            entered.add(value.__name__)
            found += _values_named(vars(value), names, entered)
    return found


def _cell(cell):
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet: a function that names itself
        return None


def _global_names(function):
    """Return the names that code and the code inside of it looks up, sorted."""
    names, codes = set(), [function.__code__]
    while codes:
        code = codes.pop()
        names.update(code.co_names)
        codes += [part for part in code.co_consts if isinstance(part, CodeType)]
    return sorted(names)


def _code(code, where):
    names = _sequence(code.co_names + code.co_varnames, where, True)
    return _node("code", code.co_code, names, _sequence(code.co_consts, where, True))


def _package(value):
    return (getattr(value, "__module__", None) or "builtins").partition(".")[0]


def _version(package):
    """Return the version of a package; of what comes with Python, Python's."""
    if package in sys.stdlib_module_names:
        return sys.version.encode()
    return str(getattr(sys.modules.get(package), "__version__", None)).encode()
