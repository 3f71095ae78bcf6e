"""Calibration scores by group and class, each cell with a threshold of its own."""

import numpy as np
from numpy.typing import NDArray

from .sets import sorted_cells, thresholds


class Cells:
    """Ascending scores of calibration rows by group, and by class if asked.

    Parameters
    ----------
    scores : ndarray of shape (n,)
    groups : ndarray of shape (n,) or None
    codes : ndarray of shape (n,) or None
        Classes, where each has thresholds of its own.
    n_classes : int
        1 where `codes` are None.
    """

    groups: NDArray | None

    def __init__(self, scores, groups, codes, n_classes):
        self.groups, rows, n_groups = None, np.zeros(len(scores), np.int64), 1
        if groups is not None:
            self.groups, rows = np.unique(groups, return_inverse=True)
            # One more, without rows, for groups that are not among them.
            n_groups = len(self.groups) + 1
        self._shape = n_groups, n_classes
        cells = rows * n_classes + (0 if codes is None else codes)
        self._scores = sorted_cells(scores, cells, n_groups * n_classes)
        self._counts = np.array([len(cell) for cell in self._scores])
        self._counts = self._counts.reshape(self._shape)

    @property
    def counts(self):
        """Rows of each cell, (n_groups or 1, n_classes), without the unseen group."""
        return self._counts if self.groups is None else self._counts[:-1]

    def rows(self, groups, n_rows):
        """Return the group of each new row by number; unseen ones have the last."""
        if (groups is None) != (self.groups is None):
            had = "no groups" if self.groups is None else "groups"
            raise ValueError(
                f"Calibration had {had}; expected the same here. Pass groups to both "
                "or to neither."
            )
        if self.groups is None:
            return np.zeros(n_rows, np.int64)
        numbers = {group: i for i, group in enumerate(self.groups.tolist())}
        groups = check_groups(groups, n_rows).tolist()
        return np.array([numbers.get(group, len(numbers)) for group in groups])

    def fewest(self, rows):
        """Return the least number of calibration rows behind these rows' thresholds."""
        return int(self._counts[np.unique(rows)].min())

    def thresholds(self, rows, levels):
        """Return (n_classes, n_levels), or one such table for each row if groups."""
        table = thresholds(self._scores, levels).reshape(*self._shape, len(levels))
        return table[0] if self.groups is None else table[rows]


def check_groups(groups, n_rows):
    """Return groups as an array of shape (n_rows,); refuse any other; None stays."""
    if groups is None:
        return None
    groups = np.asarray(groups)
    if groups.shape != (n_rows,):
        raise ValueError(
            f"groups has shape {groups.shape}; expected ({n_rows},), a group for each "
            "row of X."
        )
    return groups
