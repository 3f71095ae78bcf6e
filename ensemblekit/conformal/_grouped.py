"""Residuals by group: every group has a distribution of its own."""

import numpy as np

from ._groups import Groups
from .distributions import Residuals, tail
from .ranks import warn_if_infeasible


class GroupedResiduals:
    """The residuals of each group, or of all rows where there are no groups.

    groups : Groups
    parts : list of Residuals
    """

    def __init__(self, residuals, groups):
        self.groups = Groups(groups, len(residuals))
        self.parts = [Residuals(residuals[rows]) for rows in self.groups.rows]

    def served(self, groups, n_rows):
        """Return (rows, their residuals, the group for messages) of each group.

        A group that was not seen has no residuals: never those of the others.
        """
        codes = self.groups.codes(groups, n_rows)
        if codes is None:
            return [(slice(None), self.parts[0], "")]
        parts = [*self.parts, Residuals([])]  # of code -1, the last
        groups = np.asarray(groups)
        members = [np.flatnonzero(groups == name) for name in np.unique(groups)]
        return [
            (rows, parts[codes[rows[0]]], f" in group {groups[rows].tolist()[0]!r}")
            for rows in members
        ]

    def cdf(self, groups, errors, between):
        """Return the distribution functions at errors in units of scale."""
        cdf = np.empty(errors.shape)
        for rows, residuals, _ in self.served(groups, len(errors)):
            cdf[rows] = residuals.cdf(errors[rows], between[rows])
        return cdf

    def crps(self, groups, errors):
        """Return the CRPS in units of scale."""
        crps = np.empty(errors.shape)
        for rows, residuals, _ in self.served(groups, len(errors)):
            crps[rows] = residuals.crps(errors[rows])
        return crps

    def quantiles(self, groups, levels, n_rows):
        """Return quantiles in units of scale, (n_rows, n_levels).

        Warns once, of the group with the fewest residuals.
        """
        served = self.served(groups, n_rows)
        _, fewest, what = min(served, key=lambda part: part[1].n)
        warn_if_infeasible(fewest.n, tail(levels), what)
        quantiles = np.empty((n_rows, len(levels)))
        for rows, residuals, _ in served:
            quantiles[rows] = residuals.quantiles(levels)
        return quantiles
