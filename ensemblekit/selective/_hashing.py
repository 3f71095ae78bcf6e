"""A number for each row from its values and label alone: 64 bits, the same anywhere.

Not from its position, nor from the type, the container or the byte order of numbers:
float32 and int64 columns, frames, and sparse matrices of equal values hash alike.
"""

from functools import lru_cache
from hashlib import blake2b

import numpy as np
from scipy import sparse

# Odd numbers of the splitmix64 generator (Steele, Lea, Flood, OOPSLA 2014).
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


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
    if columns.dtype.kind not in "fiub":
        columns = columns.astype(object)
    total = np.zeros(len(columns), np.uint64)
    for j in range(columns.shape[1]):
        total += _cells(_bits(columns[:, j]), np.array([j]))
    return total


def _cells(bits, column):
    """Return the share of each value in the hash of its row; that of 0 is 0."""
    place = _mixed((column.astype(np.uint64) + np.uint64(1)) * _STEP)
    return np.where(bits == 0, np.uint64(0), _mixed(bits ^ place))


def _bits(values):
    """Return 64 bits for each value: of numbers as float64, else of the text.

    Each by itself: a word among numbers must not change what the others give, or one
    row could move all rows to other parts.
    """
    if values.dtype.kind not in "fiub":
        values = values.astype(object)
        numbers = np.array([_as_number(value) for value in values])
        bits = _number_bits(numbers)
        for i in np.flatnonzero(np.isnan(numbers)):
            if not _is_nan(values[i]):
                bits[i] = _text_bits(str(values[i]))
        return bits
    return _number_bits(values.astype(np.float64))


def _number_bits(numbers):
    numbers = numbers + 0.0  # -0.0 becomes 0.0
    numbers[np.isnan(numbers)] = np.nan  # one NaN of many
    return numbers.view(np.uint64)


def _as_number(value):
    """Return the value as a float, NaN where it is none."""
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
