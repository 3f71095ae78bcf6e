"""Labels False and True: the words of a file, which also count as 0 and 1."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..exceptions import FileError
from ._content import read_table

_WORDS = ("false", "true")


def words_of_bools(path: Path, name: str, values: NDArray) -> NDArray:
    """Return False and True as their file writes them: they are labels, not 0 and 1.

    Where it writes one of them in two ways, or is no text, as ``False`` and ``True``.
    """
    table = read_table(path, lambda _: [name], name)
    texts = np.char.strip(table.texts.get(name, values).astype(np.str_))
    if len(texts) != len(values):
        raise FileError(path, None, "changed while it was read.", "Try again.")
    of_false, of_true = (np.unique(texts[values == value]) for value in (False, True))
    # In order, so that the first of the sorted labels is the one of False.
    one_each = len(of_false) == len(of_true) == 1 and of_false[0] < of_true[0]
    texts = texts if one_each else np.where(values, "True", "False")
    return texts.astype(object)


def as_digits(texts: NDArray) -> NDArray:
    """Return texts with 0 and 1 in the place of False and True, if all are these."""
    lower = np.char.lower(texts)
    if not np.isin(lower, _WORDS).all():
        return texts
    return np.where(lower == _WORDS[1], "1", "0")
