"""ConvexRegressor: the exact best convex weights, for values."""

from dataclasses import replace

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils import Bunch
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .. import layout
from .._sklearn import Interval, Real, StrOptions, _fit_context, check_sample_weight
from ..convex import inference
from ..convex.problem import ROW_LOSSES, RowLoss, SquaredLoss, with_ones
from . import _convex_base as base
from ._base import (
    RegressionCombinerMixin,
    check_all_finite,
    column_names,
    forget_fitted,
    validate_rows,
)

__all__ = ["ConvexRegressor"]

# y beyond so many times the members takes the digits of P - y.
_OTHER_UNIT = 1e4


class ConvexRegressor(RegressionCombinerMixin, RegressorMixin, BaseEstimator):
    """Mix the members by the best non-negative weights, sum 1; prove that they are.

    Minimises the weighted mean loss of ``y - P w`` plus a penalty that draws weights
    toward equality. Squared error is one quadratic program on the Gram matrix of the
    residuals, the other losses are a few such programs. The optimum lies within
    `duality_gap_` of `objective_`. Most weights come out exactly 0.

    Parameters
    ----------
    loss : {"squared_error", "huber", "absolute_error", "pinball"}, \
            default="squared_error"
        What is minimised. ``"pinball"`` is the loss of the quantile `level`.
    delta : float, default=1.0
        Huber's bend, in the unit of y; > 0. Larger residuals count linearly.
    level : float, default=0.5
        Level of the pinball loss; in (0, 1).
    ridge : "auto", "cv" or float, default="auto"
        Adds ``ridge * L * sum((w - 1/m)**2)``, with L the loss of the best member (with
        an intercept: about its mean) and m the number of distinct members; >= 0.
        ``"auto"`` is m divided by the sum of the sample weights (the number of rows),
        ``"cv"`` the best of 0 and 25 values from 1e-4 to 100 on held-out rows; of equal
        ones the largest. 0 is the plain optimum, which overfits where rows are few.
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
    sum_to_one : bool, default=True
        False frees the sum of the weights (non-negative least squares): for members
        that are all shrunk. Loses the proof against large common offsets.
    nonnegative : bool, default=True
        False frees the signs; with sum 1 the weights are affine.
    fit_intercept : bool, default=False
        Whether to add a constant to the mixture: for members that are all biased.
    constraints : callable or None, default=None
        ``constraints(w)`` returns a list of cvxpy constraints on the variable w of
        shape (n_members,), to be met as well. Needs the extra ``cvxpy``. Each step is
        then solved by CLARABEL: slower, and exact to about 1e-6 of the objective.
    per_target : bool, default=False
        For y of shape (n_samples, n_targets): whether each target has weights of its
        own. False minimises the mean of the targets' losses over one vector.
    n_bootstrap : int, default=0
        Replicates for `weight_intervals_`; >= 0. Squared error adds up Gram matrices of
        up to 200 row blocks, other losses are solved anew each time.
    alpha : float, default=0.1
        The intervals leave out a share alpha of the replicates; in (0, 1).
    blocks : {"random", "contiguous"} or array-like of shape (n_samples,), \
            default="random"
        Rows that the bootstrap draws together: ``"contiguous"`` for time series, labels
        where rows come in groups.
    cv : int, splitter or iterable of (train, test), default=5
        Row folds of ``ridge="cv"``; an int means that many shuffled folds with a fixed
        seed. Where rows come in groups, give the splits that keep groups together.
    random_state : int, RandomState instance or None, default=0
        Draws the bootstrap and its random blocks.
    tol : float, default=1e-9
        Largest accepted ``duality_gap_ / objective_`` beyond rounding; in (0, 1).
        Squared error and Huber end finitely, mostly near 1e-15 whatever `tol`; for
        absolute error and pinball 1e-6 takes a third of the time.
    max_iter : int, default=10000
        Iterations of the solver.

    Attributes
    ----------
    weights_ : ndarray of shape (n_members,), float64
        Non-negative, sums to 1; exactly 0 off the support. Of members that are equal on
        all rows the first takes all. Shape (n_targets, n_members) with `per_target`,
        where the scalars below have shape (n_targets,) too.
    intercept_ : float
        0.0 unless `fit_intercept`.
    objective_ : float
        What is minimised: `loss_` plus penalties.
    loss_ : float
        Mean loss of the mixture on the rows given (fitted: optimistic).
    duality_gap_ : float
        Upper bound on ``objective_`` minus the least possible, computed from P itself.
        Where a free sum, free signs or an intercept meet another loss than squared
        error, among weights up to a bound that the optimum stays inside of.
    ridge_ : float
        The ridge used.
    ridges_, cv_losses_ : ndarray of shape (26,), float64
        Only for ``ridge="cv"``: what was tried, and the loss on held-out rows.
    weight_intervals_ : ndarray of shape (n_members, 2), float64
        Percentiles of the bootstrapped weights; only for ``n_bootstrap > 0``. They show
        stability; at weights near 0 they are no confidence intervals.
    weight_se_ : ndarray of shape (n_members,), float64
        Standard deviation of the bootstrapped weights.
    selection_frequency_ : ndarray of shape (n_members,), float64
        Share of the replicates that give the member weight; in [0, 1].
    gram_ : ndarray of shape (n_columns, n_columns), float64
        Sum of outer products of the residuals (with a column of ones for an intercept,
        and one for a free sum); for squared error and one target.
    total_weight_ : float
        Sum of the weights in it.
    n_iter_ : int
        Iterations of the solver.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P or y is NaN or infinite, lengths differ, weights are unfit, or parameters
        contradict each other.
    ImportError
        If `constraints` are given and cvxpy is not installed.

    Warns
    -----
    ConvergenceWarning
        If the solver stopped before `tol` was reached.
    UserWarning
        If ``ridge="auto"`` meets sample weights that cannot be counts of rows.

    Notes
    -----
    Time: one Gram matrix, O(n_samples * n_members**2), and one pass over P that proves
    the result. Memory beside P: a few MB. P may be a memory map, or a dask array, which
    is read chunk by chunk.

    References
    ----------
    .. [1] Echtenbruck et al., "Optimally Weighted Ensembles of Regression Models: Exact
       Weight Optimization and Applications", 2022.
    .. [2] Wolfe, "Finding the nearest point in a polytope", Mathematical Programming
       11, 1976.
    .. [3] Breiman, "Stacked regressions", Machine Learning 24, 1996.

    Examples
    --------
    >>> P = [[0.0, 2.0], [2.0, 4.0], [1.0, 3.0]]
    >>> combiner = ConvexRegressor().fit(P, [1.0, 3.0, 2.0])
    >>> combiner.weights_
    array([0.5, 0.5])
    >>> combiner.predict([[10.0, 20.0]])
    array([15.])
    """

    _parameter_constraints: dict = {
        "loss": [StrOptions({"squared_error", "huber", "absolute_error", "pinball"})],
        "delta": [Interval(Real, 0, None, closed="neither")],
        "level": [Interval(Real, 0, 1, closed="neither")],
        **base.PARAMETERS,
        "sum_to_one": ["boolean"],
        "nonnegative": ["boolean"],
        "fit_intercept": ["boolean"],
        "per_target": ["boolean"],
    }

    _origin_: tuple

    def __init__(
        self,
        *,
        loss="squared_error",
        delta=1.0,
        level=0.5,
        ridge="auto",
        own_error=0.0,
        cost=None,
        max_weight=None,
        min_weight=None,
        max_members=None,
        groups=None,
        max_group_weight=None,
        sum_to_one=True,
        nonnegative=True,
        fit_intercept=False,
        constraints=None,
        per_target=False,
        n_bootstrap=0,
        alpha=0.1,
        blocks="random",
        cv=5,
        random_state=0,
        tol=1e-9,
        max_iter=10_000,
    ):
        self.loss = loss
        self.delta = delta
        self.level = level
        self.ridge = ridge
        self.own_error = own_error
        self.cost = cost
        self.max_weight = max_weight
        self.min_weight = min_weight
        self.max_members = max_members
        self.groups = groups
        self.max_group_weight = max_group_weight
        self.sum_to_one = sum_to_one
        self.nonnegative = nonnegative
        self.fit_intercept = fit_intercept
        self.constraints = constraints
        self.per_target = per_target
        self.n_bootstrap = n_bootstrap
        self.alpha = alpha
        self.blocks = blocks
        self.cv = cv
        self.random_state = random_state
        self.tol = tol
        self.max_iter = max_iter

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Find the weights.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_targets)
            Out-of-fold predictions, member by member. Memory map and dask array are
            read in blocks.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row.

        Returns
        -------
        self : ConvexRegressor
        """
        forget_fitted(self)
        P, y, weight = self._validate(P, y, sample_weight)
        base.warn_unless_counts(self, weight)
        fits, cv = [], base.reusable(self.cv)
        for members, target in self._parts(P, y):
            problem, rows = self._read(members, target, weight)
            fit = base.fit_problem(self, problem, rows, cv)
            x, m = fit.found.solution.x, rows.n_members
            own = x[m] if self.fit_intercept and problem.needs_border else 0.0
            fit.results["intercept_"] = self._intercept(x, own, rows.origin)
            fits.append(fit)
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        if self.loss == "squared_error" and y.ndim == 1 and not problem.rough:
            base.keep_rows(self, problem, rows)
            self._origin_ = rows.origin
        base.name_results(self, fits, stacked=y.ndim == 2 and self.per_target)
        return self

    @available_if(lambda self: self.loss == "squared_error")
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, P, y, sample_weight=None):
        """Add rows to those seen before, and find the weights of them all.

        Goes on from `fit`, too. Only a Gram matrix is kept of rows, so that the
        certificate comes from it. For squared error and one target.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : ConvexRegressor

        Raises
        ------
        ValueError
            If a parameter needs all rows.
        """
        base.refuse_partial_fit(self)
        first = not hasattr(self, "gram_")
        P, y, weight = self._validate(P, y, sample_weight, reset=first)
        if y.ndim > 1:
            raise ValueError(f"y has shape {y.shape}; partial_fit takes one target.")
        check_all_finite(self, P)
        base.warn_unless_counts(self, weight)
        # All batches are measured from the centre of the first: sums stay comparable.
        origin = self._origin(P, y, weight) if first else self._origin_
        design = self._design(P, y, origin)
        design = with_ones(design) if self.fit_intercept else design
        found, sums = base.find_from_sums(
            self, design, weight, list(column_names(self))
        )
        fit = base.as_fit(found, P.shape[1])
        x, m = found.solution.x, P.shape[1]
        own = sums.loss.extend(x)[m] if self.fit_intercept else 0.0
        fit.results["intercept_"] = self._intercept(x, own, origin)
        self._origin_, self.n_outputs_ = origin, 1
        base.keep_sums(self, sums.gram, sums.total, sums.leaders)
        base.name_results(self, [fit])
        return self

    def leave_one_out(self, P, y, sample_weight=None):
        """Predict each row by weights fitted without it, in closed form.

        The support and the ridge are held as in `fit`: exact where leaving the row out
        does not change which members have weight. It is the weights that have not seen
        the row; the members are as they are. One pass, O(n_samples * k**2) with k the
        number of members with weight.

        Parameters
        ----------
        P, y, sample_weight
            As given to `fit`. For squared error, one target, and no constraints beyond
            `max_members` and the three switches.

        Returns
        -------
        result : Bunch
            ``predictions`` (n_samples,), NaN where a row decides the weights alone;
            ``loss``, mean squared error over the other rows; ``n_undecided``, how many
            are NaN.
        """
        check_is_fitted(self)
        P, y, weight = self._validate(P, y, sample_weight, reset=False)
        check_all_finite(self, P)
        capped = (self.max_weight, self.groups, self.min_weight, self.constraints)
        priced = self.own_error != 0.0 or self.cost is not None
        bound = priced or any(option is not None for option in capped)
        if self.loss != "squared_error" or y.ndim > 1 or bound:
            raise ValueError(
                "leave_one_out has a closed form for loss='squared_error', one target, "
                "and weights without caps, floors, prices or cvxpy constraints. Use "
                "cross_val_predict."
            )
        problem, _ = self._read(P, y, weight)
        sum_excess = [] if self.sum_to_one else [self.weights_.sum() - 1.0]
        residuals = inference.leave_one_out(
            P,
            problem.design.product(np.append(self.weights_, sum_excess)),
            weight,
            self.weights_,
            self.ridge_ * problem.ridge_unit * problem.total,
            self.sum_to_one,
            self.fit_intercept,
        )
        decided = np.isfinite(residuals)
        share = (np.ones(len(y)) if weight is None else weight) * decided
        squares = np.where(decided, residuals, 0.0) ** 2
        return Bunch(
            predictions=y + residuals,
            loss=float(share @ squares / share.sum()) if share.any() else np.nan,
            n_undecided=int(np.count_nonzero(~decided)),
        )

    def explain(self, P, y, sample_weight=None):
        """Tell what each member weighs, and what it adds.

        Members with weight are left out one by one and the weights found again.

        Parameters
        ----------
        P, y, sample_weight
            As given to `fit`; not for `per_target`.

        Returns
        -------
        rows : list of dict
            For each member ``name``, ``weight``, ``own_loss``, ``loss_without`` (of the
            best weights without it), ``contribution`` (the rise from `loss_` to that;
            NaN where the others cannot meet the constraints; below 0 only by a ridge)
            and ``correlation`` of its residuals with those of the mixture without it.
            ``pandas.DataFrame(rows)`` shows them as a table.
        """
        check_is_fitted(self)
        return base.explain(self, *self._one(P, y, sample_weight, reset=False))

    def regularization_path(self, P, y, sample_weight=None, *, ridges=None):
        """Find the weights at each of several ridges; the estimator is left as it is.

        Parameters
        ----------
        P, y, sample_weight
            As for `fit`; not for `per_target`.
        ridges : array-like of shape (n_ridges,) or None, default=None
            Non-negative; None means 0 and 25 values from 1e-4 to 100.

        Returns
        -------
        path : Bunch
            ``weights`` (n_ridges, n_members); ``ridges``, ``losses`` without penalty,
            ``duality_gaps`` and ``n_members`` with weight, (n_ridges,) each.
        """
        combiner = clone(self)
        problem, rows = combiner._one(P, y, sample_weight, reset=True)
        return base.regularization_path(combiner, problem, rows, ridges)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _combine(self, P):
        members = self.weights_ if self.weights_.ndim == 2 else [self.weights_]
        n_outputs = 1 if len(members) > 1 else self.n_outputs_
        step = len(members)
        mixtures = [
            layout.weighted_mean(P[:, t::step], weights, n_outputs)
            for t, weights in enumerate(members)
        ]
        mixture = np.hstack(mixtures) + self.intercept_
        return mixture if self.n_outputs_ > 1 else mixture[:, 0]

    def _validate(self, P, y, sample_weight, reset=True):
        P, y = validate_rows(self, P, y, reset=reset, y_numeric=True, multi_output=True)
        weight = None
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, P)
        several = y.ndim == 2 and y.shape[1] > 1
        if weight is not None or several or self.loss != "squared_error":
            check_all_finite(self, P)  # else the Gram matrix tells
        layout.count_members(P, y.shape[1] if y.ndim == 2 else 1, "targets in y")
        if (
            several
            and not self.per_target
            and (self.fit_intercept or not self.sum_to_one)
        ):
            raise ValueError(
                f"y has {y.shape[1]} targets. An intercept or a free sum of weights "
                "differs between them: set per_target=True."
            )
        return P, y.astype(np.float64, copy=False), weight

    def _parts(self, P, y):
        """Return (P, y) of each problem: all targets, or one after the other."""
        if y.ndim == 1 or not self.per_target:
            return [(P, y)]
        n_targets = y.shape[1]
        return [(P[:, t::n_targets], y[:, t]) for t in range(n_targets)]

    def _one(self, P, y, sample_weight, reset):
        P, y, weight = self._validate(P, y, sample_weight, reset)
        if self.per_target and y.ndim == 2:
            raise ValueError(
                "per_target finds weights for each target; give one target's columns "
                "of P and y to an estimator of its own."
            )
        return self._read(P, y, weight)

    def _read(self, P, y, weight):
        """Return the problem and the rows of one set of weights."""
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        target = y.ravel()
        spread = weight if weight is None else np.repeat(weight, n_outputs)
        with np.errstate(over="ignore", invalid="ignore"):
            origin = self._origin(P, target, spread, n_outputs)
            design = self._design(P, target, origin, n_outputs)
            if not self.sum_to_one:
                _refuse_other_unit(design)
            if self.loss == "squared_error":
                problem = SquaredLoss.from_rows(design, spread, self.fit_intercept)
            else:
                self._refuse_interpolation(design)
                design = with_ones(design) if self.fit_intercept else design
                loss = ROW_LOSSES[self.loss](self.delta, self.level)
                problem = RowLoss(design, spread, loss)
        base.check_problem(self, problem)
        names = list(column_names(self))
        names = names[:: len(names) * n_outputs // P.shape[1]]
        return problem, base.Rows(P, y, n_outputs, weight, names, origin=origin)

    def _refuse_interpolation(self, design):
        """Refuse row losses where weights of any sign fit every y."""
        free = design.n_members - self.sum_to_one + self.fit_intercept
        if not self.nonnegative and self.ridge == 0 and free >= design.n_rows:
            raise ValueError(
                f"nonnegative=False and ridge=0 let {design.n_members} members fit any "
                f"y on {design.n_rows} rows exactly. Set a ridge, or give more rows."
            )

    def _origin(self, P, target, weight, n_outputs=1):
        """Return where residuals and targets are measured from: (m,) and float."""
        if not self.fit_intercept:
            return np.zeros(P.shape[1] // n_outputs), 0.0
        design = base.design_of(P, target, n_outputs)
        return design.means(weight), float(np.average(target, weights=weight))

    def _design(self, P, target, origin, n_outputs=1):
        """Return the rows, with a column for the free sum of weights."""
        centre, level = origin
        centre = centre if self.fit_intercept else None
        extra = None if self.sum_to_one else (target - level)[:, None]
        return base.design_of(P, target, n_outputs, centre=centre, extra=extra)

    def _intercept(self, x, own, origin):
        """Return the constant behind P w, from the one that the solver found."""
        if not self.fit_intercept:
            return 0.0
        centre, level = origin
        free = 0.0 if self.sum_to_one else x[-1] * level
        return float(own - centre @ x[: len(centre)] - free)


def _refuse_other_unit(design):
    """Refuse members of another unit than y: P - y would not show them."""
    y = design.extra[:, 0]
    members = replace(design, extra=None, target=design.target - y)
    share = np.full(len(y), 1.0 / len(y))
    largest = np.sqrt(members.column_means(np.square, share).max())
    size = np.sqrt(np.mean(y**2))
    if 0.0 < _OTHER_UNIT * largest < size:
        raise ValueError(
            f"y is {size / largest:.1g} times as large as the largest member, in root "
            f"mean squares. With sum_to_one=False more than {_OTHER_UNIT:g} times "
            "costs digits: bring P to the unit of y."
        )
