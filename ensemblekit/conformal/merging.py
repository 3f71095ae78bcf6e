"""One set out of the sets of several models: votes on points and on labels.

Each model's set holds the target with probability 1 - alpha, one by one; nothing is
asked of how they depend on each other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from .. import kernels
from ..exceptions import describe_rows

__all__ = ["MergedIntervals", "merge_intervals", "merge_sets"]

_METHODS = ("majority", "random_majority", "random_threshold", "exchangeable")
# Weights that are no whole numbers count in units of this share of their sum, and a
# share within the tolerance of the threshold does not exceed it: 0.3 + 0.2 is a half.
_UNIT, _TOLERANCE = 1e-15, 1e-12


@dataclass(frozen=True)
class MergedIntervals:
    """For each row a union of closed intervals: one piece, several or none.

    Parameters
    ----------
    pieces : ndarray of shape (n_pieces, 2), float64
        Lower and upper ends, row after row, ascending and apart within a row; -inf and
        inf where there is no end.
    offsets : ndarray of shape (n_samples + 1,), int64
        Pieces of row i are ``pieces[offsets[i]:offsets[i + 1]]``.

    Attributes
    ----------
    n_pieces : ndarray of shape (n_samples,), int64
        0 where nothing won.
    hull : ndarray of shape (n_samples, 2), float64
        The least interval around the pieces of a row; NaN where there are none. It
        holds what the pieces hold, and the gaps between them as well.
    measure : ndarray of shape (n_samples,), float64
        Length of the pieces, without the gaps, in the unit of y.

    Examples
    --------
    >>> merged = merge_intervals([[[0, 2], [1, 3], [5, 6], [1, 6], [5, 7]]])
    >>> merged.pieces.tolist(), merged.hull.tolist(), merged.measure.tolist()
    ([[1.0, 2.0], [5.0, 6.0]], [[1.0, 6.0]], [2.0])
    >>> merged.contains([4.0])
    array([False])
    """

    pieces: NDArray
    offsets: NDArray

    @property
    def n_pieces(self):
        """Pieces of each row."""
        return np.diff(self.offsets)

    @property
    def hull(self):
        """The least interval around the pieces of each row."""
        hull = np.full((len(self.offsets) - 1, 2), np.nan)
        some = self.n_pieces > 0
        hull[some, 0] = self.pieces[self.offsets[:-1][some], 0]
        hull[some, 1] = self.pieces[self.offsets[1:][some] - 1, 1]
        return hull

    @property
    def measure(self):
        """Length of the pieces of each row."""
        lengths = self.pieces[:, 1] - self.pieces[:, 0]
        return np.bincount(self._rows(), lengths, len(self.offsets) - 1)

    def contains(self, y):
        """Say which targets their row's pieces hold.

        Parameters
        ----------
        y : array-like of shape (n_samples,)

        Returns
        -------
        inside : ndarray of shape (n_samples,), bool

        Raises
        ------
        ValueError
            If y has another length, or NaN.
        """
        y = np.asarray(y, dtype=np.float64)
        n_rows = len(self.offsets) - 1
        if y.shape != (n_rows,) or np.isnan(y).any():
            raise ValueError(
                f"y has shape {y.shape} and {np.isnan(y).sum()} NaN; expected "
                f"({n_rows},) numbers, one for each row."
            )
        rows = self._rows()
        inside = (self.pieces[:, 0] <= y[rows]) & (y[rows] <= self.pieces[:, 1])
        return np.bincount(rows[inside], minlength=n_rows) > 0

    def _rows(self):
        return np.repeat(np.arange(len(self.offsets) - 1), self.n_pieces)


def merge_intervals(
    intervals: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    method: str = "majority",
    random_state=None,
) -> MergedIntervals:
    """Merge the intervals of several models by a vote on every point.

    A point stays if the intervals that hold it have more than a share of the votes.
    Where one can choose, rather combine the predictions first and calibrate once: the
    result is one interval, most often a shorter one, at coverage 1 - alpha.

    Parameters
    ----------
    intervals : array-like of shape (n_samples, n_members, 2)
        Lower and upper ends, closed, at coverage 1 - alpha each; -inf and inf where
        there is no end.
    weights : array-like of shape (n_members,), default=None
        Votes of a member, non-negative; their scale does not matter. None is equal
        votes. They must not depend on the rows that calibrated the intervals. Equal and
        whole numbers count exactly; of others, a share within 1e-12 of the threshold
        does not exceed it.
    method : str, default="majority"
        The share to exceed, and what the merged set then covers at least:

        - ``"majority"``: 1/2; 1 - 2 alpha, whatever the members have in common. In
          practice often above 1 - alpha.
        - ``"random_threshold"``: a uniform draw U for each row; 1 - alpha.
        - ``"random_majority"``: (1 + U) / 2; 1 - 2 alpha, within the majority's set.
        - ``"exchangeable"``: 1/2 among the first k members, for each k, in an order
          drawn at random; 1 - 2 alpha, within the majority's set. Takes no weights.
    random_state : int, RandomState instance or None, default=None
        Of the draws; an int gives the same sets each time.

    Returns
    -------
    merged : MergedIntervals
        Pieces of each row, their hull and their length. A vote may leave several
        pieces or none.

    Raises
    ------
    ValueError
        If ends are NaN or swapped, shapes disagree, weights are unfit or the method is
        unknown.

    Notes
    -----
    Time: O(n_samples * n_members * log(n_members)); ``"exchangeable"``:
    O(n_samples * n_members**2).

    References
    ----------
    .. [1] Gasparin, Ramdas, "Merging uncertainty sets via majority vote", arXiv
       2401.09379.

    Examples
    --------
    >>> merged = merge_intervals([[[0, 4], [1, 5], [3, 9]]])
    >>> merged.hull
    array([[1., 5.]])
    >>> merge_intervals([[[0, 4], [1, 5], [3, 9]]], weights=[3, 1, 1]).hull
    array([[0., 4.]])
    """
    bounds = _check_intervals(intervals)
    n_rows, n_members = bounds.shape[:2]
    _check_method(method, weights)
    random = check_random_state(random_state)
    if method == "exchangeable":
        bounds = np.ascontiguousarray(bounds[:, random.permutation(n_members)])
        return MergedIntervals(*kernels.merging.prefix_vote_pieces(bounds))
    units, tolerance = _vote_units(weights, n_members)
    needed = _votes_needed(method, int(units.sum()), tolerance, n_rows, random)
    return MergedIntervals(*kernels.merging.vote_pieces(bounds, units, needed))


def merge_sets(
    sets: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    method: str = "majority",
    random_state=None,
) -> NDArray:
    """Merge the label sets of several models by the vote of `merge_intervals`.

    Parameters
    ----------
    sets : array-like of shape (n_samples, n_members, n_classes), bool
        Which labels are in a member's set, at coverage 1 - alpha each.
    weights : array-like of shape (n_members,), default=None
        Votes of a member, as for `merge_intervals`.
    method : str, default="majority"
        ``"majority"``, ``"random_threshold"``, ``"random_majority"`` or
        ``"exchangeable"``, with the coverage stated at `merge_intervals`.
    random_state : int, RandomState instance or None, default=None
        Of the draws, one for all labels of a row.

    Returns
    -------
    merged : ndarray of shape (n_samples, n_classes), bool
        A row may be all False.

    Raises
    ------
    ValueError
        If sets are not boolean, weights are unfit or the method is unknown.

    Notes
    -----
    Time: O(n_samples * n_members * n_classes).

    References
    ----------
    .. [1] Gasparin, Ramdas, "Merging uncertainty sets via majority vote", arXiv
       2401.09379.

    Examples
    --------
    >>> merge_sets([[[True, True, False], [True, False, False], [False, True, True]]])
    array([[ True,  True, False]])
    """
    held = np.asarray(sets)
    if held.ndim != 3 or held.dtype != np.bool_ or held.shape[1] == 0:
        raise ValueError(
            f"sets has shape {held.shape} of {held.dtype}; expected (n_samples, "
            "n_members, n_classes) of bool: numpy.stack([...], axis=1) of predict_set."
        )
    n_rows, n_members = held.shape[:2]
    _check_method(method, weights)
    random = check_random_state(random_state)
    if method == "exchangeable":
        votes = np.cumsum(held[:, random.permutation(n_members)], axis=1)
        sizes = np.arange(1, n_members + 1)
        return np.all(2 * votes > sizes[:, None], axis=1)
    units, tolerance = _vote_units(weights, n_members)
    needed = _votes_needed(method, int(units.sum()), tolerance, n_rows, random)
    return np.greater_equal(np.einsum("imc,m->ic", held, units), needed[:, None])


def _check_method(method, weights):
    if method not in _METHODS:
        raise ValueError(f"method is {method!r}; expected one of {_METHODS}.")
    if method == "exchangeable" and weights is not None:
        raise ValueError(
            "weights are given, but method='exchangeable' counts members alike. Leave "
            "them out, or use method='majority'."
        )


def _check_intervals(intervals):
    """Return (n_samples, n_members, 2) float64; refuse NaN and swapped ends."""
    bounds = np.ascontiguousarray(intervals, dtype=np.float64)
    if bounds.ndim != 3 or bounds.shape[2] != 2 or bounds.shape[1] == 0:
        raise ValueError(
            f"intervals has shape {bounds.shape}; expected (n_samples, n_members, 2): "
            "numpy.stack([...], axis=1) of the members' intervals."
        )
    lower, upper = bounds[:, :, 0], bounds[:, :, 1]
    fine = (lower <= upper) & (lower < np.inf) & (upper > -np.inf)
    bad = np.flatnonzero(~fine.all(axis=1))
    if bad.size:
        raise ValueError(
            f"intervals have NaN, or a lower end above the upper ({describe_rows(bad)})"
            "; expected lower <= upper, -inf and inf where there is no end."
        )
    return bounds


def _vote_units(weights, n_members):
    """Return the members' votes as whole numbers, and the tolerance in such units."""
    if weights is None:
        return np.ones(n_members, np.int64), 0
    votes = np.asarray(weights, dtype=np.float64)
    if votes.shape != (n_members,):
        raise ValueError(
            f"weights has shape {votes.shape}; expected ({n_members},), one for each "
            "member."
        )
    if not (np.isfinite(votes).all() and votes.min() >= 0 and votes.max() > 0):
        raise ValueError(
            f"weights are {votes.tolist()}; expected non-negative numbers, not all 0."
        )
    if (votes == votes[0]).all():
        return np.ones(n_members, np.int64), 0
    if (votes == np.rint(votes)).all() and votes.sum() < 1 / _UNIT:
        return votes.astype(np.int64), 0
    votes = votes / votes.max()  # so that no sum overflows
    votes = votes / votes.sum()
    return np.rint(votes / _UNIT).astype(np.int64), round(_TOLERANCE / _UNIT)


def _votes_needed(method, total, tolerance, n_rows, random):
    """Return for each row the least number of votes above its share of the total."""
    if method == "majority":
        share = np.full(n_rows, 0.5)
    else:
        share = random.random_sample(n_rows)
        if method == "random_majority":
            share = (1.0 + share) / 2.0
    needed = np.floor(share * total + tolerance).astype(np.int64) + 1
    return np.minimum(needed, total)  # all votes exceed every share
