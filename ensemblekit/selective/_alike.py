"""Whether models answer alike: asked on rows that none of them was trained on."""

import warnings
from functools import partial

import numpy as np
from scipy import sparse

from .._members import respond
from .._shielded import call_shielded
from .._sklearn import _num_samples, _safe_indexing
from ._answers import innermost

_MOST_ROWS = 1000


def answer_alike(models, X):
    """Say whether all models answer the same on rows between those of X.

    Rows of X themselves would not tell: deep trees know them by heart, however they
    differ elsewhere. Models that cannot be asked so count as different. The first that
    differs ends it.
    """
    n_rows = _num_samples(X)
    rows = np.linspace(0, n_rows - 1, min(n_rows, _MOST_ROWS)).astype(int)
    with warnings.catch_warnings():  # of rows that are none of the user's
        warnings.simplefilter("ignore")
        try:
            X = _safe_indexing(X.tocsr() if sparse.issparse(X) else X, rows)
            first = _answers(models[0], X)
            return all(_equal(first, _answers(model, X)) for model in models[1:])
        except Exception:  # whatever keeps a model from answering such rows
            return False


def rows_between(X, random_state=0):
    """Return as many new rows: in each column, numbers between those of two rows.

    Which two rows differs from column to column. What is no number is taken from one of
    them; of a sparse matrix, sums of random parts of both are.

    Parameters
    ----------
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
    random_state : int, default=0

    Returns
    -------
    rows : ndarray, csr matrix or data frame, as X is; of the same shape and dtypes

    Raises
    ------
    ValueError
        If X has no columns.
    """
    rng = np.random.default_rng(random_state)
    if sparse.issparse(X):
        return _between_sparse(X.tocsr(), rng)
    if hasattr(X, "columns"):
        return type(X)({name: _between_column(X[name], rng) for name in X.columns})
    X = np.asarray(X)
    if X.ndim < 2:
        raise ValueError(f"X has shape {X.shape}; expected columns.")
    return _between(X, rng.permuted(X, axis=0), rng)


def _between_column(column, rng):
    order, values = rng.permutation(len(column)), np.asarray(column)
    if values.dtype.kind in "iuf":
        return _between(values, values[order], rng)
    other = _safe_indexing(column, order)
    return getattr(other, "array", other)  # pandas would undo the order by its index


def _between(values, other, rng):
    kind = values.dtype.kind
    if kind not in "iuf":
        return other
    share = rng.random(values.shape)
    between = (1.0 - share) * values + share * other
    return (between if kind == "f" else np.rint(between)).astype(values.dtype)


def _between_sparse(X, rng):
    between = _some_of(X, rng) + _some_of(X[rng.permutation(X.shape[0])], rng)
    if X.dtype.kind in "iu":
        between.data = np.rint(between.data)
    return between.astype(X.dtype)


def _some_of(X, rng):
    data = X.data * rng.random(len(X.data))
    return type(X)((data, X.indices, X.indptr), shape=X.shape)


def _answers(model, X):
    """Return a model's labels, and the scores that they come from where it has any.

    A pipeline's own steps come before: the new rows are of what reaches its last.
    """
    model, seen = innermost(model, X)
    new = rows_between(seen)
    scores = ("decision_function", "predict_proba")  # labels follow the first, as SVC's
    methods = [name for name in scores if hasattr(model, name)][:1]
    return [
        np.asarray(call_shielded(partial(respond, model, name), new))
        for name in ("predict", *methods)
    ]


def _equal(these, those):
    return all(map(np.array_equal, these, those))
