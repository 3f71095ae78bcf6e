"""What was read: a library, and all that was decided on the way."""

from dataclasses import dataclass, field
from pathlib import Path

from numpy.typing import NDArray

from ..library import PredictionLibrary
from ._matrix import Scratch
from ._parts import MemberFiles
from .target import Target


@dataclass
class Bank:
    """Members' predictions out of files, in one order, with their library.

    Parameters
    ----------
    library : PredictionLibrary
        With folds where they are known and `P_test` where test files are given. P is
        mapped from a scratch file where it would take more than 1 GiB.
    target : Target
        The target the rows were put in order by.
    ids : ndarray of shape (n_samples,) or None
        Ids of the rows.
    test_ids : ndarray of shape (n_test,) or None
        Ids of the test rows, in the order of the sample submission if there is one.
    files : list of MemberFiles
        One for each member of the library, in its order.
    notes : list of str
        All that was decided: pairing, order of rows, averages, columns left out.
    rules : dict of str to str
        For each member, by what rule its rows were put in order.
    test_id_column : str or None
        Name of the column of ids of the first test file, where test files name the
        rows.
    unpaired : list of Path
        Files of the test rows, by their names, where none pairs with a member.

    Attributes
    ----------
    class_order : list or None
        Labels in the order of each member's columns; of two, predictions are those of
        the second.
    """

    library: PredictionLibrary
    target: Target
    ids: NDArray | None
    test_ids: NDArray | None
    files: list[MemberFiles]
    notes: list[str]
    rules: dict[str, str] = field(default_factory=dict)
    _scratch: Scratch = field(default_factory=Scratch, repr=False)
    unpaired: list[Path] = field(default_factory=list)
    test_id_column: str | None = None

    @property
    def class_order(self) -> list | None:
        """Labels in the order of each member's columns."""
        classes = self.library.classes
        return None if classes is None else classes.tolist()

    def close(self) -> None:
        """Remove scratch files; else they go with this object."""
        self._scratch.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
