"""Fitted models as bytes, and how far bytes are trusted to become models again."""

import pickle
import sys
import warnings
from collections import OrderedDict
from importlib.util import find_spec
from io import BytesIO
from threading import Lock
from typing import Any

import joblib

from .exceptions import CacheWarning

SERIALISERS = ("skops", "joblib")
# Beside classes of a member's packages: these, which compute and do nothing else.
TRUSTED = frozenset(
    {
        "collections.OrderedDict",
        "ensemblekit.members._to_float",
        "ensemblekit.members.category_columns",
        "numpy.dtype",
    }
)


def dump_model(model: Any, serialiser: str) -> bytes | None:
    """Return the model as bytes; None if the serialiser is missing or cannot."""
    try:
        if serialiser == "joblib":
            buffer = BytesIO()
            joblib.dump(model, buffer)
            return buffer.getvalue()
        return _skops().dumps(model) if has_skops() else None
    except (
        Exception
    ):  # unpicklable, or of a type skops does not know: any may be raised
        return None


def load_model(data: bytes, serialiser: str, trusted: frozenset[str]) -> Any:
    """Return the model, or None with a `CacheWarning` if it cannot be had or trusted.

    Parameters
    ----------
    data : bytes
    serialiser : {"skops", "joblib"}
        joblib executes what the bytes say.
    trusted : set of str
        Packages whose classes skops may make; ignored by joblib.
    """
    if serialiser == "skops" and not has_skops():
        return None
    try:
        if serialiser == "joblib":
            return joblib.load(BytesIO(data))
        return _load_skops(data, trusted)
    except Exception as error:  # any can come from a model's own code
        problem = str(error).partition("\n")[0]
    warnings.warn(
        f"A cached model is not read: {problem} It is fitted again where it is needed.",
        CacheWarning,
        stacklevel=3,
    )
    return None


def _load_skops(data, trusted):
    found = _skops().get_untrusted_types(data=data)
    refused = [name for name in found if not is_trusted(name, trusted)]
    if refused:
        raise TypeError(
            f"it holds {refused}, which are no classes of its member's packages "
            f"{sorted(trusted)}."
        )
    return _skops().loads(data, trusted=found)


def is_trusted(name, trusted):
    """Return whether a name may be made: only classes, and only where they are defined.

    skops calls what a file names with the file's arguments. A package also has
    functions, and modules that import things which are not its own.
    """
    if name in TRUSTED:
        return True
    module, _, kind = name.rpartition(".")
    found = getattr(sys.modules.get(module), kind, None)
    return isinstance(found, type) and {_package(found), module.partition(".")[0]} <= (
        trusted
    )


def trusted_packages(member: Any) -> frozenset[str]:
    """Return the packages of the member's class and of estimators it is made of."""
    parts = [member, *member.get_params(deep=True).values()]
    return frozenset(
        _package(type(part))
        for part in parts
        if hasattr(part, "get_params") and not isinstance(part, type)
    )


def _package(kind):
    return kind.__module__.partition(".")[0]


def has_skops() -> bool:
    """Say whether skops is installed (extra ``cache``)."""
    return find_spec("skops") is not None


def _skops():
    import skops.io  # lists all estimators of scikit-learn, hence only when needed

    return skops.io


# -- models at hand ---------------------------------------------------------------


class _Counter:
    """A file that keeps only its size."""

    def __init__(self):
        self.size = 0

    def write(self, data):
        self.size += memoryview(data).nbytes


def pickle_size(value: Any) -> int:
    """Return how many bytes the value's pickle has, without making it.

    Examples
    --------
    >>> pickle_size(b"abc") == len(pickle.dumps(b"abc", protocol=5))
    True
    """
    counter = _Counter()
    pickle.Pickler(counter, protocol=5).dump(value)
    return counter.size


_kept: dict[str, OrderedDict] = {}  # folder -> key -> model, size; oldest use first
_lock = Lock()


def recall(folder: str, key: str) -> Any:
    """Return the model this process keeps for the key; None if it keeps none."""
    with _lock:
        models = _kept.get(folder)
        if models is None or key not in models:
            return None
        models.move_to_end(key)
        return models[key][0]


def remember(folder: str, key: str, model: Any, max_bytes: int) -> None:
    """Keep the model in place of those used least recently, if it has room at all."""
    if recall(folder, key) is not None:
        return
    try:
        size = pickle_size(model)
    except Exception:  # what cannot be pickled has no size to count
        return
    if size > max_bytes:
        return
    with _lock:
        models: OrderedDict = _kept.setdefault(folder, OrderedDict())
        models[key] = model, size
        total = sum(size for _, size in models.values())
        while total > max_bytes:
            _, (_, size) = models.popitem(last=False)
            total -= size
