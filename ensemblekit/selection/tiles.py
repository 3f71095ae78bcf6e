"""Rows of P in C-ordered tiles: what cannot be read in place is copied bit by bit.

A fold of P, or P in another memory order, would be as large as P itself. Kernels get
them in tiles of 256 kB that stay in cache: each pass costs the copy anew, memory
stays as it is.
"""

import numpy as np

from .. import kernels

# Bytes up to which a copy of P is harmless, and faster.
LARGE = 2**26
# Numbers of a tile.
_SIZE = 2**15


class SomeRows:
    """Some rows of P that are gathered where they are read: view[a:b], view[:, j].

    P : (n, k) array; index : (r,) int64
    """

    def __init__(self, P, index):
        self.P = P
        self.index = index
        self.dtype = P.dtype
        self.shape = len(index), P.shape[1]

    def __len__(self):
        return len(self.index)

    def __getitem__(self, key):
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        return self.P[:, columns][self.index[rows]]


def some_rows(P, rows):
    """Return some rows of P, by number or mask: a copy only where P is small."""
    index = np.flatnonzero(rows) if rows.dtype == bool else rows
    if isinstance(P, SomeRows):
        return SomeRows(P.P, P.index[index])
    return SomeRows(P, index) if P.nbytes > LARGE else P[index]


def kept(P):
    """Return P as scores keep it: read-only, and in C order if it is small."""
    if isinstance(P, SomeRows):
        return P
    P = np.asarray(P)
    if P.nbytes <= LARGE:
        return kernels.candidates.frozen(P)
    view = P.view()
    view.flags.writeable = False
    return view


def is_whole(P):
    """Return whether kernels can read P in place."""
    return isinstance(P, np.ndarray) and P.flags.c_contiguous


def tiles(P, columns=slice(None)):
    """Yield (slice of rows, their columns as a read-only C-ordered array).

    All of P at once where kernels can read it in place.
    """
    n = len(P)
    width = len(range(*columns.indices(P.shape[1])))
    whole = is_whole(P) and width == P.shape[1]
    # 16 rows share a logarithm.
    size = n if whole else max(16, _SIZE // width // 16 * 16)
    for first in range(0, n, size):
        rows = slice(first, min(first + size, n))
        yield rows, kernels.candidates.frozen(P[rows, columns])


def mean_over_tiles(P, weight, losses):
    """Return the weighted mean of losses(rows, tile), each a mean over a tile."""
    total, whole = 0.0, weight.sum()
    for rows, tile in tiles(P):
        share = weight[rows].sum() / whole
        if share > 0.0:
            total = total + share * losses(rows, tile)
    return total


def mixed(P, weights):
    """Return the mixtures of member-major columns, (n, d), by weights (m,)."""
    mixtures = np.empty((len(P), P.shape[1] // len(weights)))
    for rows, tile in tiles(P):
        cube = tile.reshape(len(tile), len(weights), -1)
        np.einsum("ijk,j->ik", cube, weights, out=mixtures[rows])
    return mixtures


def product(P, weights):
    """Return P @ weights; P in single precision is never copied as a whole."""
    return np.concatenate([P[rows] @ weights for rows in _blocks(P)])


def pulled(P, rows_pull):
    """Return rows_pull @ P: see `product`."""
    return np.sum([rows_pull[rows] @ P[rows] for rows in _blocks(P)], axis=0)


def _blocks(P):
    in_place = isinstance(P, np.ndarray) and P.dtype == np.float64
    size = max(1, len(P) if in_place else 4 * _SIZE // P.shape[1])
    return [slice(first, first + size) for first in range(0, len(P), size)]
