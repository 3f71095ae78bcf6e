"""Residuals by group: every group has a distribution of its own."""

import numpy as np

from .distributions import Residuals, tail
from .ranks import warn_if_infeasible


class GroupedResiduals:
    """The residuals of each group, or of all rows where there are no groups.

    names : ndarray of shape (n_groups,), or None
    parts : list of Residuals
    """

    def __init__(self, residuals, groups):
        self.names = None
        parts = [residuals]
        if groups is not None:
            self.names = np.unique(groups)
            parts = [residuals[groups == name] for name in self.names]
        self.parts = [Residuals(part) for part in parts]

    def served(self, groups, n_rows):
        """Return (rows, their residuals, the group for messages) of each group.

        A group that was not seen has no residuals: never those of the others.
        """
        groups = check_groups(groups, n_rows)
        if (groups is None) != (self.names is None):
            was, given = ("without", "has") if groups is not None else ("with", "lacks")
            raise ValueError(
                f"Calibration was {was} groups and this call {given} them; expected "
                "groups in both or in neither."
            )
        if groups is None or self.names is None:
            return [(slice(None), self.parts[0], "")]
        known = dict(zip(self.names.tolist(), self.parts, strict=True))
        return [
            (groups == name, known.get(name, Residuals([])), f" in group {name!r}")
            for name in np.unique(groups).tolist()
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


def check_groups(groups, n_rows):
    """Return groups as (n_rows,), or None."""
    if groups is None:
        return None
    groups = np.asarray(groups)
    if groups.shape != (n_rows,):
        raise ValueError(
            f"groups has shape {groups.shape}; expected ({n_rows},), a group for each "
            "row of X."
        )
    return groups
