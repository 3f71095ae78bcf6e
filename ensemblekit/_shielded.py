"""Data that several members use, so that none of them can change it for the others."""

import numpy as np
from scipy import sparse


def call_shielded(function, *shared):
    """Call a member's method with data that is not its own.

    It sees read-only views; one that writes into them is called again, with copies. A
    data frame of pandas before 3.0, which does not copy on write, is shielded from new
    and deleted columns alone.

    Parameters
    ----------
    function : callable
    *shared : array-like, sparse matrix, data frame, or dict of these
    """
    try:
        return function(*map(_read_only, shared))
    except ValueError as error:
        if "read-only" not in str(error):
            raise
    return function(*map(_copied, shared))


def _read_only(value):
    if isinstance(value, dict):
        return {key: _read_only(part) for key, part in value.items()}
    if sparse.issparse(value) and value.format in ("csr", "csc", "bsr"):
        parts = value.data, value.indices, value.indptr
        return type(value)(tuple(map(_read_only, parts)), shape=value.shape)
    if hasattr(value, "iloc"):
        return value.copy(deep=False)
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.flags.writeable = False
    return view


def _copied(value):
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return value.copy() if hasattr(value, "copy") else value
