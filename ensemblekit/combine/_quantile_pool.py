"""QuantilePoolRegressor: pools of quantile forecasts that learn nothing."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import _levels, kernels, layout
from .._sklearn import (
    Interval,
    Real,
    StrOptions,
    _fit_context,
    check_sample_weight,
    forget_fitted,
)
from ..exceptions import describe_rows
from ._base import RegressionCombinerMixin, column_names, validate_rows

__all__ = ["QuantilePoolRegressor"]

_WEIGHTED = ("mean", "linear")
# Numbers of a block of rows, of which some copies are made.
_BLOCK = 2**17


class QuantilePoolRegressor(RegressionCombinerMixin, RegressorMixin, BaseEstimator):
    """Pool the members' quantiles by a rule: mean, median, trimmed mean, mixture.

    The benchmarks that fitted weights have to beat, and what forecast hubs do by hand.
    Nothing is learned. The mean and the median of quantiles keep the members' width;
    the linear pool is the mixture of their distributions, wider by what members
    disagree on: take it where each of them is too sure of itself.

    A member may be absent from a row, with NaN for all its quantiles: the row is pooled
    from those present. Duplicating all members leaves the prediction unchanged (with
    ``"trimmed_mean"`` where ``trim * n_members`` is whole); duplicating one member
    gives it two votes.

    Parameters
    ----------
    quantile_levels : array-like of shape (n_levels,) or None, default=None
        Ascending levels in (0, 1) of the columns of each member. None is the median
        alone: one column for each member.
    kind : {"mean", "median", "trimmed_mean", "linear"}, default="mean"
        The first three pool the members' quantiles of one level. ``"linear"`` pools
        distribution functions: each joins its (quantile, level) pairs by straight
        lines, the first and the last extended to the levels 0 and 1; their mean is
        inverted exactly.
    trim : float, default=0.2
        Share of the members that ``"trimmed_mean"`` leaves out at each end, level by
        level; in [0, 0.5). Of k members present, ``floor(trim * k)`` at each end.
    member_weights : array-like of shape (n_members,) or None, default=None
        Non-negative votes of ``"mean"`` and ``"linear"``, divided by their sum, in each
        row by that over the members present. None is equal votes.

    Attributes
    ----------
    quantile_levels_ : ndarray of shape (n_levels,), float64
        Levels of the members, and of what `predict_quantiles` returns.
    weights_ : ndarray of shape (n_members,), float64
        Votes, sum 1; only for ``"mean"`` and ``"linear"``.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If levels do not ascend in (0, 1), columns of P are not a multiple of them,
        quantiles cross, P is infinite, a member gives only some of its quantiles in a
        row, no member (with a vote) is present in one, weights are unfit, or votes are
        given to a kind that takes none.
    TypeError
        If P is a dask array.

    Notes
    -----
    O(n_samples * n_members * n_levels), with sorting for all but ``"mean"``; the
    linear pool takes n_members times as much. A few MB beside P and the result.

    References
    ----------
    .. [1] Lichtendahl, Grushka-Cockayne, Winkler, "Is It Better to Average
       Probabilities or Quantiles?", Management Science 59, 2013.

    Examples
    --------
    Two members with quantiles at two levels; the second is absent from the second row.

    >>> P = [[0.0, 2.0, 4.0, 6.0], [0.0, 2.0, float("nan"), float("nan")]]
    >>> pool = QuantilePoolRegressor(quantile_levels=[0.25, 0.75]).fit(P, [3.0, 1.0])
    >>> pool.predict_quantiles(P)
    array([[2., 4.],
           [0., 2.]])
    >>> pool.predict(P)
    array([3., 1.])
    >>> pool.set_params(kind="linear").fit(P, [3.0, 1.0]).predict_quantiles(P)
    array([[1., 5.],
           [0., 2.]])
    """

    _parameter_constraints: dict = {
        "quantile_levels": ["array-like", None],
        "kind": [StrOptions({"mean", "median", "trimmed_mean", "linear"})],
        "trim": [Interval(Real, 0, 0.5, closed="left")],
        "member_weights": ["array-like", None],
    }

    def __init__(
        self, *, quantile_levels=None, kind="mean", trim=0.2, member_weights=None
    ):
        self.quantile_levels = quantile_levels
        self.kind = kind
        self.trim = trim
        self.member_weights = member_weights

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Check the arguments; nothing is learned from them.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_levels)
            Quantiles, member by member.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; no prediction depends on them.

        Returns
        -------
        self : QuantilePoolRegressor
        """
        if hasattr(P, "dask"):
            raise TypeError(
                "P is a dask array; the pool needs it in memory: P.compute()."
            )
        forget_fitted(self)
        P, y = validate_rows(self, P, y, y_numeric=True)
        check_sample_weight(sample_weight, P)
        levels = [0.5] if self.quantile_levels is None else self.quantile_levels
        levels = layout.check_levels(levels)
        n_members = layout.count_members(
            P, len(levels), "quantile levels of each member (quantile_levels)"
        )
        votes = _check_votes(self.member_weights, n_members, self.kind)
        _check_members(P, len(levels), column_names(self), votes)
        self.quantile_levels_ = levels
        if self.kind in _WEIGHTED:
            self.weights_ = votes
        return self

    def predict(self, P):
        """Return the median, interpolated where 0.5 is not among the levels.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_levels)
            Quantiles of the members seen in `fit`, in the same order.

        Returns
        -------
        median : ndarray of shape (n_samples,), float64
        """
        return self.predict_quantiles(P, [0.5])[:, 0]

    def predict_quantiles(self, P, quantile_levels=None):
        """Return quantiles of the pool.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_levels)
            Quantiles of the members seen in `fit`, in the same order.
        quantile_levels : array-like of shape (n_wanted,), default=None
            Ascending, between the first and the last level of the members; others than
            theirs are interpolated linearly. None is those of the members.

        Returns
        -------
        quantiles : ndarray of shape (n_samples, n_wanted), float64
            Ascending along each row.
        """
        P, present = self._validate_new(P)
        own = self.quantile_levels_
        wanted = own
        if quantile_levels is not None:
            wanted = _levels.within(own, layout.check_levels(quantile_levels))
        if self.kind == "linear":
            return kernels.linear_pool.pool_quantiles(P, self.weights_, own, wanted)
        if self.kind == "mean":
            pooled = _mean(P, self.weights_, len(own), present)
        else:
            pooled = _pool_ranks(P, len(own), present, self._cut)
        return _levels.interpolate(pooled, own, wanted)

    def predict_interval(self, P, alpha=0.1):
        """Return central intervals of the pool.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_levels)
            Quantiles of the members seen in `fit`, in the same order.
        alpha : float or array-like of shape (n_alphas,), default=0.1
            Miscoverage, in (0, 1): the interval is between the quantiles at
            ``alpha / 2`` and ``1 - alpha / 2``.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2), or (n_samples, 2, n_alphas)
            Lower and upper ends, float64.
        """
        levels, places = np.unique(_levels.tails(alpha), return_inverse=True)
        ends = self.predict_quantiles(P, levels)[:, places.ravel()]
        intervals = ends.reshape(len(ends), 2, -1)
        return intervals if np.ndim(alpha) else intervals[:, :, 0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True  # members may be absent
        return tags

    def _validate_new(self, P):
        check_is_fitted(self)
        P = validate_data(
            self,
            P,
            dtype=(np.float64, np.float32),
            ensure_all_finite=False,
            reset=False,
        )
        n_levels = len(self.quantile_levels_)
        votes = getattr(self, "weights_", np.ones(P.shape[1] // n_levels))
        return P, _check_members(P, n_levels, column_names(self), votes)

    def _cut(self, n_present):
        """Count the members to leave out at each end."""
        if self.kind == "median":
            return (n_present - 1) // 2
        # Shares are meant as typed: 0.29 of 100 is 29.
        cut = np.floor(self.trim * n_present + 1e-9).astype(np.int64)
        return np.minimum(cut, (n_present - 1) // 2)


def _check_votes(member_weights, n_members, kind):
    """Return votes that sum to 1."""
    if member_weights is None:
        return np.full(n_members, 1.0 / n_members)
    if kind not in _WEIGHTED:
        raise ValueError(
            f"kind={kind!r} takes no member_weights. Use kind='mean' or 'linear', or "
            "leave them out."
        )
    votes = np.asarray(member_weights, dtype=np.float64)
    fit = votes.shape == (n_members,) and np.isfinite(votes).all()
    if not fit or votes.min() < 0.0 or votes.sum() == 0.0:
        raise ValueError(
            f"member_weights has to hold {n_members} non-negative numbers, one for "
            f"each member and not all zero; got {votes.tolist()}."
        )
    return votes / votes.sum()


def _check_members(P, n_levels, names, votes):
    """Refuse rows that cannot be pooled.

    Returns
    -------
    present : ndarray of shape (n_samples, n_members), bool; None if all are
    """
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(P.sum())
    present = None if finite else _find_present(P, n_levels, names)
    layout.check_quantiles(P, n_levels, names)
    if present is not None:
        empty = np.flatnonzero(~present[:, votes > 0.0].any(axis=1))
        if empty.size:
            raise ValueError(
                "P has rows from which every member (that has a vote) is absent "
                f"({describe_rows(empty)}). Leave such rows out, or add a member that "
                "is always there."
            )
    return present


def _find_present(P, n_levels, names):
    for column, name in enumerate(names):
        infinite = np.flatnonzero(np.isinf(P[:, column]))
        if infinite.size:
            raise ValueError(
                f"P has infinity in column {name!r} ({describe_rows(infinite)}); "
                "expected numbers, or NaN in all columns of an absent member."
            )
    missing = np.isnan(layout.to_cube(P, n_levels))
    absent = missing.all(axis=2)
    for member, partial in enumerate(missing.any(axis=2) & ~absent):
        if partial.any():
            raise ValueError(
                f"P has NaN in some, not all, of the {n_levels} quantiles in the "
                f"columns from {names[member * n_levels]!r} on "
                f"({describe_rows(np.flatnonzero(partial))}). In each row a member "
                "gives all its quantiles, or NaN for all."
            )
    return ~absent.T if absent.any() else None


def _mean(P, weights, n_levels, present):
    """Return the weighted mean of the quantiles of the members present."""
    if present is None:
        return layout.weighted_mean(P, weights, n_levels)
    mixture = np.zeros((len(P), n_levels))
    for member, block in enumerate(layout.to_cube(P, n_levels)):
        rows = present[:, member]
        mixture[rows] += weights[member] * block[rows]
    total = np.where(present.all(axis=1), 1.0, present @ weights)
    return mixture / total[:, None]


def _pool_ranks(P, n_levels, present, cut):
    """Return the mean of the members left by `cut` at each end, level by level."""
    pooled = np.empty((len(P), n_levels))
    size = max(1, _BLOCK // P.shape[1])
    for start in range(0, len(P), size):
        rows = slice(start, start + size)
        cube = layout.to_cube(P[rows].astype(np.float64), n_levels)
        ordered = np.sort(cube, axis=0)  # absent ones last
        if present is None:
            n_present = np.full(ordered.shape[1], len(ordered))
        else:
            n_present = present[rows].sum(axis=1)
        low = cut(n_present)
        ranks = np.arange(len(ordered))[:, None]
        kept = (ranks >= low) & (ranks < n_present - low)
        total = np.where(kept[:, :, None], ordered, 0.0).sum(axis=0)
        pooled[rows] = total / (n_present - 2 * low)[:, None]
    return pooled
