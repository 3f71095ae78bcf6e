"""Fields of a stored combiner: their types, shapes and ranges, checked as read."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import layout

# How far weights, as a person may have rounded them, sum from 1.
_ROUNDED = 1e-6
# Beyond what any fit of finite predictions gives; within it scores do not overflow.
_LARGEST = 1e200
# Types of the entries of an array, by the kind of its numpy type.
_ENTRIES: dict[str, set[type]] = {
    "b": {bool},
    "i": {int},
    "u": {int},
    "f": {int, float},
    "U": {str},
}
_NUMERIC = re.compile(r"[|<]([biuf])([1248])")
_TEXT = re.compile(r"<(U)(\d{1,9})")


class Unfit(ValueError):
    """A field that cannot be used.

    path : where it stands, from the outside in
    """

    def __init__(self, problem: str, path: Sequence[str] = ()):
        super().__init__(f"{'.'.join(path)} {problem}" if path else problem)
        self.problem, self.path = problem, tuple(path)


@contextmanager
def at(name: str) -> Iterator[None]:
    """Say in which field something is unfit."""
    try:
        yield
    except Unfit as error:
        raise Unfit(error.problem, (name, *error.path)) from None
    except OverflowError:
        raise Unfit("holds a number out of range", (name,)) from None


@dataclass(frozen=True)
class Size:
    """What a combiner is made for; n_classes, n_levels : 0 for values."""

    n_members: int
    n_classes: int
    n_levels: int = 0

    @property
    def n_outputs(self) -> int:
        """Return the columns of each member."""
        if self.n_levels:
            return self.n_levels
        return layout.n_outputs_for(self.n_classes) if self.n_classes else 1

    @property
    def n_columns(self) -> int:
        """Return the columns of P."""
        return self.n_members * self.n_outputs


Reader = Callable[[Any, Size], Any]


def array(raw: Any, kinds: str) -> NDArray:
    """Return a stored array; text is as wide as what it holds, whatever is declared.

    kinds : of numpy types
    """
    if not isinstance(raw, dict) or raw.keys() != {"dtype", "array"}:
        raise Unfit("is no array with a dtype")
    kind, declared = _declared(raw["dtype"])
    if kind not in kinds:
        raise Unfit(f"is an array of type {shown(raw['dtype'])}, of no use here")
    entries = _entries(raw["array"], kind)
    return _as_type(entries, kind, declared)


def line(raw: Any, kinds: str) -> NDArray:
    """Return a stored array of one dimension and one entry or more."""
    found = array(raw, kinds)
    if found.ndim != 1 or not len(found):
        raise Unfit(f"has shape {found.shape}; expected one dimension")
    return found


def _declared(dtype):
    """Return kind and type, made of numbers of known size only: texts may be huge."""
    match = None
    if isinstance(dtype, str):
        match = _NUMERIC.fullmatch(dtype) or _TEXT.fullmatch(dtype)
    if match is None:
        raise Unfit(
            f"is an array of type {shown(dtype)}, which is none of a stored blend"
        )
    kind, width = match.groups()
    if kind == "U":
        return kind, int(width)
    try:
        return kind, np.dtype(dtype)
    except TypeError:
        raise Unfit(f"is an array of type {shown(dtype)}, which is no type") from None


def _entries(raw, kind):
    if not isinstance(raw, list):
        raise Unfit("has an array that is no list")
    try:
        entries = np.asarray(raw, dtype=object)
    except ValueError:  # lists of different lengths
        raise Unfit("is a damaged array") from None
    strange = set(map(type, entries.flat)) - _ENTRIES[kind]
    if list in strange:
        raise Unfit("is a damaged array: its rows differ in length")
    if strange:
        held = min(found.__name__ for found in strange)
        raise Unfit(f"is an array of type {kind} that holds {held}")
    return entries


def _as_type(entries, kind, declared):
    if kind == "U":
        found = entries.astype(np.str_)
        if found.dtype.itemsize > 4 * max(1, declared):
            raise Unfit("is an array of texts longer than its type")
        return found
    with np.errstate(over="ignore"):
        found = entries.astype(declared)
    if kind == "f" and not np.isfinite(found).all():
        raise Unfit("holds NaN or infinity")
    if kind in "iu" and (found != entries).any():
        raise Unfit("holds a number out of range")
    return found


def reals(raw: Any, *shape: int) -> NDArray:
    """Return finite numbers of this shape."""
    found = array(raw, "f")
    if found.shape != shape:
        raise Unfit(f"has shape {found.shape}; expected {shape}")
    if np.abs(found).max() > _LARGEST:
        raise Unfit(f"holds numbers beyond {_LARGEST:g}")
    return found


def shares(raw: Any, n: int) -> NDArray:
    """Return n weights of at least 0 that sum to 1."""
    return as_shares(reals(raw, n))


def as_shares(weights: NDArray, least: float = 0.0) -> NDArray:
    """Return the weights; refuse those below `least`, or of another sum than 1."""
    if weights.min() < least - _ROUNDED**2:  # rounding of a solver
        raise Unfit(f"holds {weights.min():g}; expected weights of at least 0")
    total = math.fsum(weights)
    if abs(total - 1.0) > _ROUNDED:
        raise Unfit(f"holds weights of sum {total:g}; expected 1")
    return weights


def same(found: NDArray | None, expected: NDArray | None, whose: str) -> None:
    """Refuse weights that are not what they are made from: they would do nothing."""
    if found is None and expected is None:
        return
    if (
        found is None
        or expected is None
        or not np.allclose(found, expected, rtol=1e-9, atol=1e-12)
    ):
        raise Unfit(
            f"differs from {whose}, which the predictions are made of: an edit here "
            "alone has no effect",
            ("weights_",),
        )


def number(raw: Any) -> float:
    """Return a finite number."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise Unfit(f"is {shown(raw)}; expected a number")
    value = float(raw)
    if not abs(value) <= _LARGEST:
        raise Unfit(f"is beyond {_LARGEST:g}")
    return value


def whole(raw: Any, expected: int) -> int:
    """Return a whole number that is already known."""
    if isinstance(raw, bool) or not isinstance(raw, int) or raw != expected:
        raise Unfit(f"is {shown(raw)}; expected {expected}")
    return raw


def flag(raw: Any) -> bool:
    """Return True or False."""
    if not isinstance(raw, bool):
        raise Unfit(f"is {shown(raw)}; expected true or false")
    return raw


def choice(*names: Any) -> Reader:
    """Return the reader of one of these names."""

    def read(raw: Any, _: Size) -> Any:
        if not (raw is None or isinstance(raw, str)) or raw not in names:
            raise Unfit(f"is {shown(raw)}; expected one of {list(names)}")
        return raw

    return read


def levels(raw: Any) -> NDArray:
    """Return ascending quantile levels between 0 and 1."""
    found = (
        np.array([number(level) for level in raw])
        if isinstance(raw, list)
        else line(raw, "f")
    )
    try:
        return layout.check_levels(found)
    except (ValueError, TypeError):
        raise Unfit("are no ascending levels between 0 and 1") from None


def texts(raw: Any) -> list[str]:
    """Return a list of texts."""
    if not isinstance(raw, list) or not all(isinstance(text, str) for text in raw):
        raise Unfit("is no list of texts")
    return raw


def classes(raw: Any) -> NDArray:
    """Return sorted labels, each once, two or more."""
    found = line(raw, "biufU")
    if len(found) < 2 or not (found[1:] > found[:-1]).all():
        raise Unfit("are no two labels or more, sorted, each once")
    return found


def shown(raw: Any) -> str:
    """Return a value as a message shows it."""
    text = repr(raw)
    return text if len(text) <= 40 else f"{text[:37]}..."
