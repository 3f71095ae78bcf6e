"""Calibration scores by group and class, each cell with a threshold of its own."""

import numpy as np

from ._groups import Groups
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

    def __init__(self, scores, groups, codes, n_classes):
        self.groups = Groups(groups, len(scores))
        # One more, without rows, for groups that are not among them.
        n_groups = 1 if groups is None else len(self.groups.rows) + 1
        rows = np.empty(len(scores), np.int64)
        for number, own in enumerate(self.groups.rows):
            rows[own] = number
        self._shape = n_groups, n_classes
        cells = rows * n_classes + (0 if codes is None else codes)
        self._scores = sorted_cells(scores, cells, n_groups * n_classes)
        self._counts = np.array([len(cell) for cell in self._scores])
        self._counts = self._counts.reshape(self._shape)

    @property
    def counts(self):
        """Rows of each cell, (n_groups or 1, n_classes), without the unseen group."""
        return self._counts if self.groups.names is None else self._counts[:-1]

    def rows(self, groups, n_rows):
        """Return the group of each new row by number; unseen ones have the last."""
        codes = self.groups.codes(groups, n_rows)
        return np.zeros(n_rows, np.int64) if codes is None else codes

    def fewest(self, rows):
        """Return the least number of calibration rows behind these rows' thresholds."""
        return int(self._counts[np.unique(rows)].min())

    def thresholds(self, rows, levels):
        """Return (n_classes, n_levels), or one such table for each row if groups."""
        table = thresholds(self._scores, levels).reshape(*self._shape, len(levels))
        return table[0] if self.groups.names is None else table[rows]
