"""Calibration scores and their thresholds: by group, under weights, at exact ranks."""

import warnings

import numpy as np

from ..exceptions import InfeasibleRankWarning
from ._groups import Groups
from .ranks import upper_rank, warn_if_infeasible
from .shift import order_by_score, refuse_nan_scores, weighted_thresholds


class Calibration:
    """Which rows calibrate: their groups, and their weights under a shift.

    Parameters
    ----------
    n_rows : int
    groups : ndarray of shape (n_rows,), or None
    weight : ndarray of shape (n_rows,), or None
    """

    def __init__(self, n_rows, groups=None, weight=None):
        self.n_rows = n_rows
        self.weight = weight
        self.groups = Groups(groups, n_rows)

    @property
    def counts(self):
        """Rows of each group; None without groups."""
        return self.groups.counts

    def warn(self, alpha, codes, own):
        """Warn once where test rows get no finite bound, and say why."""
        if own is not None:
            self._warn_weighted(alpha, codes, own)
        elif self.groups.names is None:
            warn_if_infeasible(self.n_rows, alpha, stacklevel=6)
        else:
            self._warn_groups(alpha, codes)

    def _warn_groups(self, alpha, codes):
        asked = np.unique(codes)
        few = [g for g in asked if upper_rank(self._size(g), alpha) > self._size(g)]
        if not few:
            return
        named = [
            f"{self.groups.names[g]} ({self._size(g)} rows)"
            if g >= 0
            else "unknown ones"
            for g in few
        ]
        warnings.warn(
            f"Groups with too few calibration rows for coverage {float(1 - alpha):.6g}"
            f" have infinite bounds: {', '.join(named)}. Give more rows, wider groups "
            "or a larger alpha.",
            InfeasibleRankWarning,
            stacklevel=6,
        )

    def _warn_weighted(self, alpha, codes, own):
        zeros = np.zeros(self.n_rows)
        bounds = Scores(self, zeros).thresholds(alpha, codes, own)
        n_infinite = int(np.isinf(bounds).sum())
        if n_infinite:
            warnings.warn(
                f"{n_infinite} of {len(bounds)} rows have infinite bounds: each weighs "
                f"more than {float(alpha):.6g} of itself and the calibration rows. The "
                "calibration rows hardly reach where they are.",
                InfeasibleRankWarning,
                stacklevel=6,
            )

    def _size(self, code):
        return len(self.groups.rows[code]) if code >= 0 else 0


class Scores:
    """Scores of the calibration rows, sorted once.

    Parameters
    ----------
    calibration : Calibration
    scores : ndarray of shape (n_rows,)
        +inf is legal.
    """

    def __init__(self, calibration, scores):
        refuse_nan_scores(scores)
        weight = calibration.weight
        self._parts = [
            np.sort(scores[rows])
            if weight is None
            else order_by_score(scores[rows], weight[rows])
            for rows in calibration.groups.rows
        ]

    def thresholds(self, alpha, codes, own):
        """Return what the score of a test row is at most, with chance 1 - alpha.

        Parameters
        ----------
        alpha : Fraction
        codes : ndarray of shape (n_rows,), or None
            As `Groups.codes` gives them.
        own : ndarray of shape (n_rows,), or None
            Weights of the test rows.

        Returns
        -------
        thresholds : ndarray of shape (n_rows,), or a number that is that of all rows
        """
        if codes is None:
            return _of_part(self._parts[0], alpha, own)
        found = np.full(len(codes), np.inf)
        for g, part in enumerate(self._parts):
            mine = codes == g
            found[mine] = _of_part(part, alpha, None if own is None else own[mine])
        return found


def _of_part(part, alpha, own):
    if own is not None:
        ordered, reached = part
        return weighted_thresholds(ordered, reached, own, alpha)
    rank = upper_rank(len(part), alpha)
    return part[rank - 1] if rank <= len(part) else np.inf
