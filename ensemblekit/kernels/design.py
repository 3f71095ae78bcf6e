"""The rows of a weighting problem, read in blocks: products, gradients, Gram matrices.

Every loss here sees the members only through D x. Squared, absolute and quantile losses
use residuals, D = P - y: on sum w = 1, D w = P w - y, and subtracting first keeps the
digits that an offset common to P and y would take. Log loss uses the probability of the
true class. D is never stored: its blocks live in a few MB of scratch, so P may be a
memory map, a dask array, or float32 (the subtraction is in float64 whatever P is).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk, ssyrk

from ._jit import njit, njit_sums

# Bytes that a copy of a part of P may take.
_LITTLE = 8e6


@dataclass(frozen=True)
class Design:
    """D = sign * (P - target - centre), followed by the extra columns.

    P : (n, m * n_outputs) real: ndarray, memory map, or dask array; any memory order
    target : (n_rows,) float64
    n_outputs : columns of a member; each is a row of its own (n_rows = n * n_outputs)
    codes : (n,) int, or None; the one output to read of all (then n_rows = n)
    sign : (n_rows,) float64 of 1 and -1, or None for ones
    centre : (m,) float64, or None for zeros
    extra : (n_rows, e) float64, or None; columns without sign and centre
    """

    P: NDArray
    target: NDArray
    n_outputs: int = 1
    codes: NDArray | None = None
    sign: NDArray | None = None
    centre: NDArray | None = None
    extra: NDArray | None = None

    @property
    def n_members(self):
        """Columns of D without the extra ones."""
        return self.P.shape[1] // self.n_outputs

    @property
    def n_columns(self):
        """Columns of D."""
        return self.n_members + (0 if self.extra is None else self.extra.shape[1])

    @property
    def n_rows(self):
        """Rows of D."""
        return len(self.target)

    def product(self, x):
        """Return D x, (n_rows,), for x : (n_columns,) float64. O(n_rows m)."""
        z = np.empty(self.n_rows)
        members = x[: self.n_members]
        support = np.flatnonzero(members)
        weights = members[support]
        for rows, block in self._blocks():
            _product(block, self.target[rows], self._centre, support, weights, z[rows])
        if self.sign is not None:
            z *= self.sign
        if self.extra is not None:
            z += self.extra @ x[self.n_members :]
        return z

    def pull(self, v):
        """Return D'v, (n_columns,), for v : (n_rows,) float64. O(n_rows m)."""
        signed = v if self.sign is None else self.sign * v
        g = np.zeros(self.n_members)
        for rows, block in self._blocks():
            _pull(block, self.target[rows], self._centre, signed[rows], g)
        return g if self.extra is None else np.append(g, self.extra.T @ v)

    def squares(self, x, weight):
        """Return x'D'diag(weight)Dx and D'diag(weight)Dx in one read of P.

        weight : (n_rows,) float64, or None for ones; without extra columns
        """
        total, g = 0.0, np.zeros(self.n_members)
        support = np.flatnonzero(x)
        z = np.empty(self._block_rows)
        for rows, block in self._blocks():
            target = self.target[rows]
            r = z[: len(target)]
            _product(block, target, self._centre, support, x[support], r)
            v = r if weight is None else weight[rows] * r
            total += float(v @ r)
            _pull(block, target, self._centre, v, g)
        return total, g

    def gram(self, weight=None, root=None, dtype=np.float64):
        """Return D'diag(weight root^2)D, (n_columns,) * 2 float64, exactly symmetric.

        weight : (n_rows,) float64 >= 0, or None for ones; rows of weight 0 cost nothing
        root : (n_rows,) float64, or None for ones; its square may overflow
        dtype : float32 halves the time and rounds products of D to 1e-7 of their size
        O(n_rows m^2)
        """
        m = self.n_members
        total = np.zeros((m, m), order="F")
        scratch = np.empty((min(self._block_rows, self.n_rows), m), dtype)
        ones = np.ones(len(scratch))
        for rows, block in self._blocks():
            target = self.target[rows]
            scale = ones[: len(target)] if weight is None else np.sqrt(weight[rows])
            if root is not None:
                scale = scale * root[rows]
            if np.count_nonzero(scale) < 0.7 * len(scale):
                kept = np.flatnonzero(scale)
                block, target, scale = block[kept], target[kept], scale[kept]
            filled = scratch[: len(target)]
            _fill(block, target, self._centre, scale, filled)
            if dtype == np.float64:
                total = dsyrk(1.0, filled.T, beta=1.0, c=total, overwrite_c=1)
            else:
                total += ssyrk(1.0, filled.T)
        total = np.ascontiguousarray(np.triu(total) + np.triu(total, 1).T)
        if self.extra is None:
            return total
        if root is not None:
            weight = root**2 if weight is None else weight * root**2
        return self._border(total, self.extra, weight)

    def factor(self, weight=None):
        """Return R with R'R = D'diag(weight)D, from the rows: (k, n_columns), k >= 1.

        Keeps the digits that squaring takes from nearly equal columns. O(n_rows m^2),
        some four times `gram`.
        """
        R = np.zeros((0, self.n_columns))
        for rows, block in self._blocks():
            target = self.target[rows]
            scale = np.ones(len(target)) if weight is None else np.sqrt(weight[rows])
            filled = np.empty((len(target), self.n_columns))
            _fill(block, target, self._centre, scale, filled[:, : self.n_members])
            if self.extra is not None:
                filled[:, self.n_members :] = scale[:, None] * self.extra[rows]
            R = np.asarray(np.linalg.qr(np.vstack([R, filled]), mode="r"))
        return R

    def _border(self, total, extra, weight):
        """Add rows and columns of the extra columns to the members' Gram matrix."""
        weighted = extra if weight is None else extra * weight[:, None]
        plain = replace(self, extra=None)
        cross = np.array([plain.pull(column) for column in weighted.T])
        return np.block([[total, cross.T], [cross, extra.T @ weighted]])

    def column_means(self, function, share):
        """Return share @ function(D) over the members' columns, (m,)."""
        total = np.zeros(self.n_members)
        scratch = np.empty((min(self._block_rows, self.n_rows), self.n_members))
        ones = np.ones(len(scratch))
        for rows, block in self._blocks():
            filled = scratch[: len(block)]
            scale = ones[: len(block)] if self.sign is None else self.sign[rows]
            _fill(block, self.target[rows], self._centre, scale, filled)
            total += share[rows] @ function(filled)
        return total

    def means(self, weight=None):
        """Return the weighted means of D's member columns, in two passes."""
        weight = np.ones(self.n_rows) if weight is None else weight
        share = weight / weight.sum()
        plain = replace(self, extra=None)
        rough = plain.pull(share)
        # What is left after the first mean is small: its own mean mends the rounding.
        return rough + replace(plain, centre=self._centre + rough).pull(share)

    def take_rows(self, rows, taken=None):
        """Return the design of some samples (indices or mask), gathered in memory.

        taken : (P, index) -> those rows of P, where they are not to be copied at once
        """
        index = np.arange(len(self.P))[rows]
        flat = index
        if self.codes is None and self.n_outputs > 1:
            flat = (index[:, None] * self.n_outputs + np.arange(self.n_outputs)).ravel()
        return replace(
            self,
            P=np.asarray(self.P[index]) if taken is None else taken(self.P, index),
            target=self.target[flat],
            codes=None if self.codes is None else self.codes[index],
            sign=None if self.sign is None else self.sign[flat],
            extra=None if self.extra is None else self.extra[flat],
        )

    def gathered(self):
        """Return the design with the true classes' columns copied, if that is little.

        One copy saves every later read the other classes' columns.
        """
        if self.codes is None or hasattr(self.P, "dask"):
            return self
        if 8 * len(self.P) * self.n_members > _LITTLE:
            return self
        picked = true_class(self.P, self.codes, self.n_outputs)
        return replace(self, P=picked, n_outputs=1, codes=None)

    @property
    def _centre(self):
        return np.zeros(self.n_members) if self.centre is None else self.centre

    @property
    def _block_rows(self):
        fitting = 2**20 // (8 * self.P.shape[1])
        return min(max(fitting, 512), 16384) * self._spread

    @property
    def _spread(self):
        """Rows of D for each row of P."""
        return 1 if self.codes is not None else self.n_outputs

    def _blocks(self):
        """Yield slices of D's rows and P on them: (rows, m) float64, C order."""
        size, spread = self._block_rows // self._spread, self._spread
        for first, part in in_memory(self.P):
            for start in range(0, len(part), size):
                stop = min(start + size, len(part))
                block = part[start:stop]
                if self.codes is not None:
                    codes = self.codes[first + start : first + stop]
                    block = true_class(block, codes, self.n_outputs)
                elif spread > 1:
                    block = _rows_of_outputs(block, spread)
                block = _read_only(np.ascontiguousarray(block, np.float64))
                yield slice((first + start) * spread, (first + stop) * spread), block


def in_memory(P):
    """Yield (first row, ndarray) of P: whole, or chunk by chunk of a dask array."""
    if not hasattr(P, "dask"):
        yield 0, P
        return
    first = 0
    for size in filter(None, P.chunks[0]):
        yield first, np.asarray(P[first : first + size])
        first += size


def _read_only(block):
    """Return a view like that of a memory map: one compiled version serves all."""
    block = block.view()
    block.flags.writeable = False
    return block


def true_class(P, codes, n_outputs):
    """Return each member's column of the row's own class, (n, m), in the dtype of P."""
    block = _read_only(P)
    picked = np.empty((len(block), block.shape[1] // n_outputs), block.dtype)
    _pick(block, codes, n_outputs, picked)
    return picked


def checked_true_class(P, codes, n_outputs, slack, sum_slack):
    """Return `true_class`, and whether all of P are probabilities, in one read.

    slack, sum_slack : how far values may be outside [0, 1], and a row's sum from 1
    """
    block = _read_only(P)
    picked = np.empty((len(block), block.shape[1] // n_outputs), block.dtype)
    return picked, _pick_checked(block, codes, n_outputs, slack, sum_slack, picked)


@njit_sums
def _pick_checked(block, codes, n_outputs, slack, sum_slack, out):
    n_wrong = 0  # counted, not left early: the loops keep their SIMD form
    for i in range(out.shape[0]):
        row = block[i]
        for q in range(row.shape[0]):
            n_wrong += not ((row[q] >= -slack) & (row[q] <= 1.0 + slack))  # NaN too
        for j in range(out.shape[1]):
            first, total = j * n_outputs, 0.0
            for k in range(n_outputs):
                total += row[first + k]
            n_wrong += not abs(total - 1.0) <= sum_slack
            out[i, j] = row[first + codes[i]]
    return n_wrong == 0


@njit
def _pick(block, codes, n_outputs, out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = block[i, j * n_outputs + codes[i]]


def _rows_of_outputs(block, n_outputs):
    """Return member-major columns as rows (sample, output) x members."""
    cube = block.reshape(len(block), -1, n_outputs)
    return cube.transpose(0, 2, 1).reshape(len(block) * n_outputs, -1)


@njit
def _fill(block, target, centre, scale, out):
    """Write scale_i (P_ij - target_i - centre_j)."""
    for i in range(out.shape[0]):
        t, s = target[i], scale[i]
        for j in range(out.shape[1]):
            out[i, j] = s * (block[i, j] - t - centre[j])


def _product(block, target, centre, support, weights, out):
    """Write sum_a weights_a (P_ia - target_i - centre_a) over the support."""
    if 3 * len(support) < len(centre):
        _product_of_few(block, target, centre, support, weights, out)
    else:
        # Contiguous reads outrun gathered ones, zero weights included.
        full = np.zeros(len(centre))
        full[support] = weights
        _product_of_all(block, target, centre, full, out)


@njit_sums
def _product_of_all(block, target, centre, weights, out):
    for i in range(out.shape[0]):
        t, total = target[i], 0.0
        for j in range(weights.shape[0]):
            total += (block[i, j] - t - centre[j]) * weights[j]
        out[i] = total


@njit_sums
def _product_of_few(block, target, centre, support, weights, out):
    for i in range(out.shape[0]):
        t, total = target[i], 0.0
        for a in range(support.shape[0]):
            j = support[a]
            total += (block[i, j] - t - centre[j]) * weights[a]
        out[i] = total


@njit_sums
def _pull(block, target, centre, v, g):
    """Add sum_i v_i (P_ij - target_i - centre_j) to g; four rows share a sweep of g."""
    n, m = block.shape
    whole = n - n % 4
    for i in range(0, whole, 4):
        a, b, c, d = v[i], v[i + 1], v[i + 2], v[i + 3]
        p, q, r, s = target[i], target[i + 1], target[i + 2], target[i + 3]
        for j in range(m):
            k = centre[j]
            g[j] += (a * (block[i, j] - p - k) + b * (block[i + 1, j] - q - k)) + (
                c * (block[i + 2, j] - r - k) + d * (block[i + 3, j] - s - k)
            )
    for i in range(whole, n):
        for j in range(m):
            g[j] += v[i] * (block[i, j] - target[i] - centre[j])
