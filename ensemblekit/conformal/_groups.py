"""Groups of rows, each calibrated by itself."""

from typing import Any

import numpy as np

from .._rows import check_groups


class Groups:
    """The rows of each group that calibrates, or one part of all rows without groups.

    Parameters
    ----------
    groups : ndarray of shape (n_rows,), or None
    n_rows : int

    Attributes
    ----------
    names : ndarray of shape (n_groups,), or None
    rows : list of ndarray of int
        Positions of each group's rows, ascending.
    """

    def __init__(self, groups, n_rows):
        self.names: Any = None
        self.rows = [np.arange(n_rows)]
        if groups is not None:
            self.names, codes = np.unique(groups, return_inverse=True)
            ends = np.cumsum(np.bincount(codes, minlength=len(self.names)))[:-1]
            self.rows = np.split(np.argsort(codes, kind="stable"), ends)

    @property
    def counts(self):
        """Rows of each group; None without groups."""
        if self.names is None:
            return None
        counts = [len(rows) for rows in self.rows]
        return dict(zip(self.names.tolist(), counts, strict=True))

    def codes(self, groups, n_rows):
        """Return the number of each new row's group, -1 for one not known, or None.

        Raises
        ------
        ValueError
            If groups are given here and not to calibration, or the other way round.
        """
        groups = check_groups(groups, n_rows)
        if (groups is None) != (self.names is None):
            was, given = ("without", "has") if groups is not None else ("with", "lacks")
            raise ValueError(
                f"Calibration was {was} groups, and this call {given} them. Give them "
                "both to fit or calibrate and to prediction, or to neither."
            )
        if groups is None:
            return None
        known = {name: code for code, name in enumerate(self.names.tolist())}
        names, positions = np.unique(groups, return_inverse=True)
        return np.array([known.get(name, -1) for name in names.tolist()])[positions]
