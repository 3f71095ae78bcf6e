"""ConvexPoolRegressor: the linear pool of predictive distributions of least CRPS."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from .. import kernels, layout
from .._sklearn import Integral, Interval, Real, StrOptions, _fit_context
from ..convex import weighting
from ..convex.fit import first_copies
from ..convex.problem import GramLoss
from ..convex.ridge import plug_in
from . import _convex_base as base
from ._base import (
    RegressionCombinerMixin,
    column_names,
    validate_new,
    validate_regression,
)

__all__ = ["ConvexPoolRegressor"]

# Below it, products of masses and distances have lost digits, or all of them.
_SMALLEST_CRPS = 1e-290


_SHARED = (
    "own_error",
    "cost",
    "max_weight",
    "min_weight",
    "max_members",
    "groups",
    "max_group_weight",
    "constraints",
    "tol",
    "max_iter",
)


class ConvexPoolRegressor(RegressionCombinerMixin, RegressorMixin, BaseEstimator):
    """Mix predictive distributions by the weights, sum 1, of least CRPS.

    Members give draws, quantiles or points; their linear pool is the mixture of these
    distributions. Its continuous ranked probability score (CRPS) is quadratic in the
    weights, so that the best ones are found exactly, and proved by `duality_gap_`. A
    pool is wider than its members: those that are too wide already gain nothing from
    it. For the best single value by squared error, use `ConvexRegressor`.

    Parameters
    ----------
    n_draws : int, default=1
        Columns of P for each member, if these are equally likely draws in any order;
        >= 1. With 1, members predict points: the CRPS of one is its absolute error.
    quantile_levels : array-like of shape (n_levels,) or None, default=None
        Ascending levels in (0, 1), if the columns of each member are its quantiles at
        these levels; `n_draws` is then left at 1. Each quantile is an atom with the
        probability between the midpoints of the neighbouring levels (from 0, to 1).
    ridge : "auto" or float, default="auto"
        Penalty toward equal weights: ``ridge * h0 * ||w - 1/m||**2`` is added to the
        CRPS, with h0 the CRPS of the best member, m the number of distinct members;
        >= 0. ``"auto"`` is m divided by the sum of the sample weights (the number of
        rows).
    own_error : float, default=0.0
        Adds ``own_error * sum(w * own losses of the members)``; >= 0. Favours few and
        good members.
    cost : array-like of shape (n_members,) or None, default=None
        Adds ``L * cost @ w``, say for slow members: at a cost of 0.01 a member with all
        the weight has to lower the loss by one per cent of L.
    max_weight : float, array-like of shape (n_members,) or None, default=None
        Most that a member may weigh; in [0, 1].
    min_weight : float or None, default=None
        Least weight of a member that is kept; others have 0. In (0, 1].
    max_members : int or None, default=None
        Most members with weight; >= 1. With `min_weight` or `max_members` members are
        searched for by greedy steps and exchanges: mostly the best subset, without
        proof, so that `duality_gap_` is the distance to the optimum over all members.
    groups : array-like of shape (n_members,) or None, default=None
        Family of each member.
    max_group_weight : float, dict of family to float, or None, default=None
        Most that a family may weigh together; in (0, 1].
    constraints : callable or None, default=None
        ``constraints(w)`` returns a list of cvxpy constraints on the variable w of
        shape (n_members,), to be met as well. Needs the extra ``cvxpy``. Each step is
        then solved by CLARABEL: slower, and exact to about 1e-6 of the objective.
    tol : float, default=1e-9
        Largest accepted ``duality_gap_ / objective_`` beyond rounding; in (0, 1). The
        method ends finitely, so the gap reached is mostly near 1e-15 whatever `tol`.
    max_iter : int, default=10000
        Iterations of the solver, about one for each member with weight.

    Attributes
    ----------
    weights_ : ndarray of shape (n_members,), float64
        Non-negative, sums to 1; exactly 0 off the support. Of members with equal
        columns the first takes all.
    objective_ : float
        What is minimised: `loss_` plus the penalty.
    loss_ : float
        Mean CRPS of the pool on the rows given (fitted: optimistic), in the unit of y.
    duality_gap_ : float
        Upper bound on ``objective_`` minus the least possible.
    ridge_ : float
        The `ridge` used.
    masses_ : ndarray of shape (n_draws,) or (n_levels,), float64
        Probability of each column of a member; sums to 1.
    n_iter_ : int
        Iterations of the solver.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P or y is NaN or infinite, the columns of P are not a multiple of those of a
        member, levels do not ascend in (0, 1), quantiles cross, lengths differ, weights
        are unfit, or parameters contradict each other.
    TypeError
        If P is a dask array.
    ImportError
        If `constraints` are given and cvxpy is not installed.

    Warns
    -----
    UserWarning
        If ``ridge="auto"`` meets sample weights that cannot be counts of rows.
    ConvergenceWarning
        If the solver stopped before `tol` was reached.

    Notes
    -----
    With d columns for each member: O(n_samples * n_members * d * (n_members +
    log(n_members * d))) time, little for the solver; a few MB beside P.

    Draws are scored as the distribution they are: that of few draws scores worse than
    the one they come from, by E|X - X'| / (2 n_draws). Fit and predict with equally
    many.

    References
    ----------
    .. [1] Gneiting, Raftery, "Strictly Proper Scoring Rules, Prediction, and
       Estimation", Journal of the American Statistical Association 102, 2007.
    .. [2] Wolfe, "Finding the nearest point in a polytope", Mathematical Programming
       11, 1976.

    Examples
    --------
    Two members with two draws each; the truth lies between them.

    >>> P = [[0.0, 2.0, 4.0, 6.0], [1.0, 3.0, 5.0, 7.0]]
    >>> pool = ConvexPoolRegressor(n_draws=2).fit(P, [3.0, 4.0])
    >>> pool.weights_
    array([0.5, 0.5])
    >>> pool.predict(P)
    array([3., 4.])
    >>> pool.predict_quantiles(P, [0.25, 0.75])
    array([[0., 4.],
           [1., 5.]])
    """

    _parameter_constraints: dict = {
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "quantile_levels": ["array-like", None],
        "ridge": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        **{name: base.PARAMETERS[name] for name in _SHARED},
    }

    def __init__(
        self,
        *,
        n_draws=1,
        quantile_levels=None,
        ridge="auto",
        own_error=0.0,
        cost=None,
        max_weight=None,
        min_weight=None,
        max_members=None,
        groups=None,
        max_group_weight=None,
        constraints=None,
        tol=1e-9,
        max_iter=10_000,
    ):
        self.n_draws = n_draws
        self.quantile_levels = quantile_levels
        self.ridge = ridge
        self.own_error = own_error
        self.cost = cost
        self.max_weight = max_weight
        self.min_weight = min_weight
        self.max_members = max_members
        self.groups = groups
        self.max_group_weight = max_group_weight
        self.constraints = constraints
        self.tol = tol
        self.max_iter = max_iter

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Find the weights.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_draws) or \
                (n_samples, n_members * n_levels)
            Out-of-fold draws or quantiles, member by member.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row.

        Returns
        -------
        self : ConvexPoolRegressor
        """
        if hasattr(P, "dask"):
            raise TypeError(
                "P is a dask array; the pool needs it in memory: P.compute()."
            )
        P, y, weight = validate_regression(self, P, y, sample_weight)
        masses = _masses(self.n_draws, self.quantile_levels)
        layout.count_members(P, len(masses), _column_noun(self))
        self._check_quantiles(P)
        base.warn_unless_counts(self, weight)
        gram = _pool_gram(P, y, weight, masses)
        found = weighting.find_weights(
            GramLoss(gram, float(weight.sum()), len(gram)),
            base.read_settings(self, len(gram), column_names(self)[:: len(masses)]),
            lambda: first_copies(P, len(masses), weight),
            lambda n_members: plug_in(n_members, float(weight.sum())),
        )
        self.masses_ = masses
        base.name_results(self, [base.as_fit(found, len(gram))])
        return self

    def predict_quantiles(self, P, quantile_levels):
        """Return quantiles of the pool: the smallest atom that reaches the level.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_draws) or \
                (n_samples, n_members * n_levels)
            Draws or quantiles of the members seen in `fit`, in the same order.
        quantile_levels : array-like of shape (n_wanted,)
            Ascending, in (0, 1); need not be those of the members.

        Returns
        -------
        quantiles : ndarray of shape (n_samples, n_wanted), float64
            Ascending along each row.
        """
        P = validate_new(self, P)
        self._check_quantiles(P)
        levels = layout.check_levels(quantile_levels)
        return kernels.crps.pool_quantiles(P, self.weights_, self.masses_, levels)

    def _combine(self, P):
        self._check_quantiles(P)
        return layout.weighted_mean(P, self.weights_, len(self.masses_)) @ self.masses_

    def _check_quantiles(self, P):
        if self.quantile_levels is not None:
            layout.check_quantiles(P, len(self.quantile_levels), column_names(self))


def _masses(n_draws, quantile_levels):
    """Return the probability of each column of a member."""
    if quantile_levels is None:
        return np.full(n_draws, 1.0 / n_draws)
    if n_draws != 1:
        raise ValueError(
            f"n_draws={n_draws} and quantile_levels both say what the columns of P "
            "are; leave n_draws at 1 where they are quantiles."
        )
    levels = layout.check_levels(quantile_levels)
    middles = 0.5 * (levels[1:] + levels[:-1])
    return np.diff(middles, prepend=0.0, append=1.0)


def _column_noun(combiner):
    if combiner.quantile_levels is None:
        return "draws of each member (n_draws)"
    return "quantile levels of each member (quantile_levels)"


def _pool_gram(P, y, weight, masses):
    """Return the Gram matrix of the CRPS; refuse scales that it cannot hold."""
    with np.errstate(over="ignore", invalid="ignore"):
        gram = kernels.crps.pool_gram(P, y, weight, masses)
    scores = gram.diagonal()
    lost = (scores > 0) & (scores < _SMALLEST_CRPS)
    if lost.any() or not np.isfinite(gram).all():
        raise ValueError(
            "P - y is too large or too small for double precision: its scale is beyond "
            "1e-290 .. 1e300. Divide P and y by their scale."
        )
    return gram
