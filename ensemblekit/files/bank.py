"""Prediction files as a library."""

import os

from numpy.typing import ArrayLike, NDArray

from ._bank import Bank
from ._matrix import IN_MEMORY
from ._reader import Reader
from .layouts import Source
from .target import Target

__all__ = ["Bank", "read_bank"]


def read_bank(
    oof: Source,
    target: str | os.PathLike | Target,
    *,
    id: str | None = None,
    test: Source | None = None,
    folds: str | NDArray | None = None,
    sample: str | os.PathLike | None = None,
    in_memory: int = IN_MEMORY,
    quantiles: str | ArrayLike | None = None,
) -> Bank:
    """Read out-of-fold and test predictions into one library.

    Rows are put in the order of the target by their ids; without ids the files must
    have as many rows as the target, and their order is assumed. Nothing in a file is
    executed, and headers are read before memory is taken.

    Parameters
    ----------
    oof : path, glob or list of paths
        As for `find_files`.
    target : str or Target
        As for `read_target`, for example ``"train.csv:target"``.
    id : str, default=None
        Column of the ids.
    test : path, glob or list of paths, default=None
        Files of the test rows, where they are not among `oof`.
    folds : str or ndarray of shape (n,), default=None
        ``"folds.csv:fold"``, a column of the target's file, or the folds. None takes a
        column ``fold`` of the target's or the members' files, if there is one.
    sample : path, default=None
        Sample submission: its ids are the order of the test rows.
    in_memory : int, default=2**30
        Bytes of float64 up to which P is held in memory; above, it is mapped from a
        scratch file in the folder for temporary files (``TMPDIR``).
    quantiles : "names" or array-like of shape (n_levels,), default=None
        Levels of members that predict quantiles, ascending in (0, 1), or ``"names"``
        where columns are named by them (``q0.1``, ``0.1``, ``p10``, ``10%``). None
        takes columns for quantiles only if all are named as ``0.1`` or ``q0.1`` are.
        `notes` of the bank say which levels were read.

    Returns
    -------
    bank : Bank

    Raises
    ------
    FileError
        If a file cannot be read, rows do not match, a prediction is missing or no
        probability, or a name has two readings. It names file and line.

    Notes
    -----
    Time and disk are linear in the number of predictions; memory beyond `in_memory` is
    that of the largest csv or parquet file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a_oof.csv").write_text("id,pred\\n2,0.5\\n1,1.5\\n")
    >>> _ = (folder / "train.csv").write_text("id,y\\n1,1.25\\n2,0.75\\n")
    >>> bank = read_bank(folder, f"{folder / 'train.csv'}:y")
    >>> bank.library.P.tolist(), bank.rules
    ([[1.5], [0.5]], {'a': "reordered by 'id'"})
    """
    return Reader(
        oof, target, id, test, folds, sample, in_memory, quantiles=quantiles
    ).read()
