"""A number for each row from its values and label alone: 64 bits, the same anywhere.

Not from its position, nor from the type, the container or the byte order of numbers:
float32 and int64 columns, frames, and sparse matrices of equal values hash alike. Nor
from other cells: a date is the same date beside words, though its column then holds
objects.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from scipy import sparse

# Odd numbers of the splitmix64 generator (Steele, Lea, Flood, OOPSLA 2014).
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
# Of a missing date or span: a NaN of another payload than that of numbers.
_NAT = np.uint64(0x7FF8_0000_0000_4E41)


def row_hashes(X, y):
    """Return the hash of each row of X with its label: (n_samples,) uint64.

    A sum over the columns, in which zeros count nothing: sparse rows cost their
    entries only. No cipher: who knows it can aim rows at one partition, which gains
    nothing against a vote of partitions.
    """
    total = _hash_sparse(X) if sparse.issparse(X) else _hash_columns(X)
    labels = _bits(np.asarray(y))
    with np.errstate(over="ignore"):
        return _mixed(total + _mixed(labels + _STEP))


def _hash_sparse(X):
    rows = sparse.csr_array(X).astype(np.float64).tocoo()
    rows.sum_duplicates()
    total = np.zeros(rows.shape[0], np.uint64)
    np.add.at(total, rows.coords[0], _cells(_bits(rows.data), rows.coords[1]))
    return total


def _hash_columns(X):
    columns = np.asarray(X)
    if columns.dtype.kind not in "fiubmM":
        columns = columns.astype(object)
    total = np.zeros(len(columns), np.uint64)
    for j in range(columns.shape[1]):
        total += _cells(_bits(columns[:, j]), np.array([j]))
    return total


def _cells(bits, column):
    """Return the share of each value in the hash of its row; that of 0 is 0."""
    place = _mixed((column.astype(np.uint64) + np.uint64(1)) * _STEP)
    return np.where(bits == 0, np.uint64(0), _mixed(bits ^ place))


def part_seed(hashes, member):
    """Return a seed in [0, 2**31 - 1) from the sorted hashes of a model's rows."""
    digest = blake2b(hashes.astype("<u8").tobytes(), digest_size=8, salt=b"seed")
    digest.update(str(member).encode())
    return int.from_bytes(digest.digest(), "little") % (2**31 - 1)


def _bits(values):
    """Return 64 bits for each value: numbers as float64, moments, else the text.

    Each by itself: a word among numbers must not change what the others give, or one
    row could move all rows to other parts.
    """
    if values.dtype.kind in "fiub":
        return _number_bits(values.astype(np.float64))
    if values.dtype.kind in "mM":
        return _moment_bits(values)
    values = values.astype(object)
    numbers = np.array([_as_number(value) for value in values], dtype=np.float64)
    bits = _number_bits(numbers)
    for i in np.flatnonzero(np.isnan(numbers)):
        if not _is_nan(values[i]):
            bits[i] = _object_bits(values[i])
    return bits


def _object_bits(value):
    """Return the bits of what is no number: of its type and value."""
    moment = _as_moment(value)
    if moment is None:
        return _text_bits(str(value))
    return _moment_bits(np.array([moment]))[0]


def _as_moment(value):
    """Return a date or span as one of numpy; None where it is none.

    Times of a zone are those of UTC.
    """
    for name in ("to_datetime64", "to_timedelta64"):  # of pandas, NaT among them
        if hasattr(value, name):
            return getattr(value, name)()
    if isinstance(value, np.datetime64 | np.timedelta64):
        return value
    if isinstance(value, timedelta):
        return np.timedelta64(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return np.datetime64(value.astimezone(UTC).replace(tzinfo=None))
    return np.datetime64(value) if isinstance(value, date) else None


def _moment_bits(moments):
    """Return the same bits in every unit; below a nanosecond none are told apart.

    Days and nanoseconds apart: one number of both would not hold distant years.
    """
    kind, unit = moments.dtype.kind, np.datetime_data(moments.dtype)[0]
    if kind == "m" and unit in ("Y", "M", "generic"):  # of no fixed length in days
        months = moments.astype(np.int64) * (12 if unit == "Y" else 1)
        return np.where(np.isnat(moments), _NAT, _mixed(months.view(np.uint64) ^ _NAT))
    days = moments.astype(f"{kind}8[D]")
    if kind == "m":
        days -= days > moments  # towards the past, as dates are cut
    within = (moments - days).astype("m8[ns]").astype(np.int64)
    salt = _STEP if kind == "m" else ~_STEP
    bits = _mixed(days.astype(np.int64).view(np.uint64) ^ salt)
    # The missing moment of pandas is a date and a span at once.
    return np.where(np.isnat(moments), _NAT, _mixed(bits ^ within.view(np.uint64)))


def _number_bits(numbers):
    numbers = numbers + 0.0  # -0.0 becomes 0.0
    numbers[np.isnan(numbers)] = np.nan  # one NaN of many
    return numbers.view(np.uint64)


def _as_number(value):
    """Return the value as a float, NaN where it is none."""
    if isinstance(value, np.datetime64 | np.timedelta64):
        return np.nan  # of some units are numbers to float
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def _is_nan(value):
    return isinstance(value, float | np.floating) and value != value


@lru_cache(maxsize=2**16)
def _text_bits(text):
    digest = blake2b(text.encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def _mixed(bits):
    """Spread each bit over all 64."""
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX[0]
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX[1]
    return bits ^ (bits >> np.uint64(31))
