"""What an audit asks of rows: which are equal, which are exposed, what each loses."""

import numpy as np
from scipy import sparse
from scipy.stats import t as student

from ..layout import class_probabilities
from ..losses import LOSSES
from ..metrics import pinball_loss

_STEP = np.uint64(0x9E3779B97F4A7C15)  # an odd number of many bits


def number_equal_rows(X):
    """Number the rows: two have the same number where all their values are equal.

    NaN equals NaN, 0.0 equals -0.0, and categories are compared by their values. Rows
    are sorted by a hash, and those of one hash compared value by value, so that no
    collision counts as a copy. Time: O(n_samples * n_features).

    Parameters
    ----------
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

    Returns
    -------
    numbers : ndarray of shape (n_samples,), int64
    """
    table = _SparseRows(X) if sparse.issparse(X) else _DenseRows(X)
    hashes = table.hash()
    while True:
        _, first, numbers = np.unique(hashes, return_index=True, return_inverse=True)
        rows = np.flatnonzero(first[numbers] != np.arange(len(numbers)))
        strangers = rows[table.differ(rows, first[numbers[rows]])]
        if not strangers.size:
            return numbers
        hashes[strangers] += np.uint64(1)  # the next free place, as in a hash table


class _DenseRows:
    """Rows whose columns are turned into 64 bits per value, one column at a time."""

    def __init__(self, X):
        self.columns = columns_of(X)

    def hash(self):
        total = np.uint64(0)
        with np.errstate(over="ignore"):
            for column in self.columns:
                total = _mixed(total ^ column_bits(column))
        return total

    def differ(self, rows, others):
        differ = np.zeros(len(rows), dtype=bool)
        for column in self.columns if len(rows) else []:
            bits = column_bits(column)
            differ |= bits[rows] != bits[others]
        return differ


class _SparseRows:
    """Rows of a sparse matrix of which only entries other than zero count."""

    def __init__(self, X):
        matrix = sparse.csr_array(X, copy=True)
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        bits = column_bits(matrix.data).view(np.int64)
        parts = bits, matrix.indices, matrix.indptr
        self.matrix = sparse.csr_array(parts, shape=matrix.shape)

    def hash(self):
        with np.errstate(over="ignore"):
            place = _mixed(self.matrix.indices.astype(np.uint64) + np.uint64(1))
            entries = _mixed(self.matrix.data.view(np.uint64) ^ place)
            sums = np.concatenate([[np.uint64(0)], np.cumsum(entries, dtype=np.uint64)])
            return sums[self.matrix.indptr[1:]] - sums[self.matrix.indptr[:-1]]

    def differ(self, rows, others):
        unequal = self.matrix[rows] != self.matrix[others]
        return np.asarray(unequal.sum(axis=1)).ravel() > 0


def _mixed(bits):
    bits = (bits ^ (bits >> np.uint64(32))) * _STEP
    return bits ^ (bits >> np.uint64(29))


def columns_of(X):
    """Return the columns: numbers as arrays, other columns of pandas as series."""
    if hasattr(X, "iloc"):
        return [_plain_column(X.iloc[:, j]) for j in range(X.shape[1])]
    if hasattr(X, "get_columns"):
        return [column.to_numpy() for column in X.get_columns()]
    return list(np.asarray(X).T)


def _plain_column(series):
    return series.to_numpy() if _holds_numbers(series) else series


def _holds_numbers(column):
    return isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiubmM"


def column_bits(column):
    """Return 64 bits for each value of a column: equal where the values are."""
    if not _holds_numbers(column):
        return value_codes(column).view(np.uint64)
    kind = column.dtype.kind
    if kind == "f":
        column = column.astype(np.float64) + 0.0  # -0.0 becomes 0.0
        column[np.isnan(column)] = np.nan  # one NaN of many
        return column.view(np.uint64)
    # Integers never by way of float64, which rounds large ones.
    return column.astype(np.uint64 if kind == "u" else np.int64).view(np.uint64)


def value_codes(column):
    """Number the values of a column of text or objects by their first appearance."""
    if hasattr(column, "factorize"):  # pandas has it in C
        return column.factorize()[0].astype(np.int64)
    codes: dict = {}
    return np.fromiter(
        (codes.setdefault(_key(value), len(codes)) for value in column.tolist()),
        dtype=np.int64,
        count=len(column),
    )


def _key(value):
    missing = value is None or (isinstance(value, float) and value != value)
    return None if missing else value


def exposed_rows(numbers, splits):
    """Say which rows are held out while a row of the same number is trained on.

    Parameters
    ----------
    numbers : ndarray of shape (n_samples,), int
    splits : list of (train, test)

    Returns
    -------
    exposed : ndarray of shape (n_samples,), bool
    """
    exposed = np.zeros(len(numbers), dtype=bool)
    for train, test in splits:
        trained_on = np.zeros(numbers.max() + 1, dtype=bool)
        trained_on[numbers[train]] = True
        exposed[test] |= trained_on[numbers[test]]
    return exposed


def training_folds(splits, rows, n_rows):
    """Choose models that trained on rows, as many for a row as have held it out.

    Parameters
    ----------
    splits : list of (train, test)
    rows : ndarray of int
        Rows to predict.
    n_rows : int

    Returns
    -------
    chosen : list of ndarray of int
        Rows for the model of each split.
    """
    wanted = np.zeros(n_rows, dtype=np.int64)
    for _, test in splits:
        wanted[test] += 1
    wanted[np.setdiff1d(np.arange(n_rows), rows)] = 0
    chosen: list = [[] for _ in splits]
    for offset in range(1, len(splits)):
        for fold, (_, test) in enumerate(splits):
            other = (fold + offset) % len(splits)
            held_out = test[wanted[test] > 0]
            taken = held_out[np.isin(held_out, splits[other][0])]
            chosen[other].append(taken)
            wanted[taken] -= 1
        if not wanted.any():
            break
    return [np.concatenate([np.empty(0, np.int64), *taken]) for taken in chosen]


def row_losses(targets, block, method, levels):
    """Return the loss of each row: what the report averages, where it has a loss.

    Parameters
    ----------
    targets : ndarray of shape (n_rows,)
        Values or class codes.
    block : ndarray of shape (n_rows, n_columns)
        Columns of P of one member.
    method : str or None
        What it predicts with; None for values.
    levels : ndarray of shape (n_levels,) or None

    Returns
    -------
    losses : ndarray of shape (n_rows,)
        Pinball loss, squared error or log loss; of labels and decision values 1 where
        the label is wrong, 0 where it is right.
    """
    if levels is not None:
        return np.mean(pinball_loss(targets, block, levels, average=False), axis=1)
    if method is None:
        return (targets - block[:, 0]) ** 2
    if method == "predict_proba":
        per_row = LOSSES["log_loss"].per_row
        return per_row(targets, class_probabilities(block))  # type: ignore[misc]
    labels = block[:, 0] if method == "predict" else _decided(block)
    return (labels != targets).astype(np.float64)


def _decided(scores):
    return scores[:, 0] > 0 if scores.shape[1] == 1 else scores.argmax(axis=1)


def mean_and_error(values, weight, clusters):
    """Return the weighted mean, its standard error and the number of clusters.

    Rows of one cluster may depend on each other; clusters may not. NaN are left out.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
    weight : ndarray of shape (n_rows,)
    clusters : ndarray of shape (n_rows,), int

    Returns
    -------
    mean, error : float
        NaN where no row, or a single cluster, has weight.
    n_clusters : int
    """
    used = (weight > 0.0) & ~np.isnan(values)
    values, weight, clusters = values[used], weight[used], clusters[used]
    if not used.any():
        return np.nan, np.nan, 0
    weight = weight / weight.sum()
    mean = float(weight @ values)
    _, numbers = np.unique(clusters, return_inverse=True)
    sums = np.bincount(numbers, weight * (values - mean))
    n = len(sums)
    error = np.sqrt((sums**2).sum() * n / (n - 1)) if n > 1 else np.nan
    return mean, float(error), n


def critical_value(n_tests, n_clusters):
    """Return how many standard errors are beyond chance: 3, or more of many tests.

    One-sided: all of `n_tests` together alarm falsely with a probability of at most
    1 %, and each of 0.135 %, for means of near normal distribution.
    """
    freedom = max(n_clusters - 1, 1)
    return max(3.0, float(student.isf(0.01 / n_tests, freedom)))


def explained_share(column, targets, rows_per_bin=10):
    """Return the share of the targets' variance that one column explains alone.

    Rows are binned by the column, about `rows_per_bin` in each (equal values together,
    text by its values); a row is predicted by the mean of the others of its bin, or,
    where there are none, by the mean of all.

    Parameters
    ----------
    column : ndarray of shape (n_rows,)
    targets : ndarray of shape (n_rows, n_outputs)
        Values, or one column per class.
    rows_per_bin : int, default=10

    Returns
    -------
    share : float
        At most 1; below 0 for a column that explains nothing.
    """
    bins = _bin_rows(column, rows_per_bin)
    centred = targets - targets.mean(axis=0)
    squares = (centred**2).sum(axis=1)
    size = np.bincount(bins)
    total = np.bincount(bins, squares)
    sums = np.array([np.bincount(bins, output) for output in centred.T])
    within = total - (sums**2).sum(axis=0) / np.maximum(size, 1)
    # y_i less the mean of the others is size / (size - 1) times y_i less that of all.
    others = within * (size / np.maximum(size - 1, 1)) ** 2
    left = np.where(size > 1, others, total).sum()
    return float(1.0 - left / squares.sum()) if squares.any() else 0.0


def _bin_rows(column, rows_per_bin):
    if not _holds_numbers(column):
        return value_codes(column) + 1  # pandas numbers missing values -1
    _, codes, counts = np.unique(column, return_inverse=True, return_counts=True)
    first = np.cumsum(counts) - counts
    return (first // rows_per_bin)[codes]
