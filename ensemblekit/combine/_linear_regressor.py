"""LinearStackRegressor: weights of any sign and an intercept, drawn to a mixture."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from .._sklearn import Interval, Real, StrOptions, _fit_context
from .._threads import one_blas_thread
from ._base import RegressionCombinerMixin, bearable_folds, validate_regression
from ._linear_regressor_base import HuberStack, SquaredStack

__all__ = ["LinearStackRegressor"]


class LinearStackRegressor(RegressionCombinerMixin, RegressorMixin, BaseEstimator):
    """Fit member weights of any sign and an intercept, drawn to the convex mixture.

    Minimises the mean loss of ``y - b - P w`` plus ``ridge * var(y) * (n_members *
    ||w - convex_weights_||**2 + (b / sd(y))**2)``, where b is the intercept of P and y
    measured from the mean of y (Huber's loss: from its median): a growing `ridge` leads
    to the best convex mixture, which is `ConvexRegressor` without a ridge. Unlike that
    mixture it corrects members that are biased or shrunk; it needs more rows, and it
    extrapolates with its members. Folds are fitted with the mean and the var(y) of all
    rows, so that a `ridge` means the same in each.
    Duplicating all members leaves the prediction unchanged; duplicating one halves what
    its weight costs.

    Parameters
    ----------
    ridge : "cv" or float, default="cv"
        Penalty relative to the variance of y; >= 0. ``"cv"`` chooses, by `rule`, from
        19 values between 1e3 and 1e-6; the convex weights are found anew without each
        fold. 0 is least squares.
    rule : {"min", "1se"}, default="min"
        Of ``ridge="cv"``: the penalty of least held-out loss (of equal ones the
        largest), or the largest whose held-out loss is at most one standard error
        worse. The second is more cautious than the mixture as a centre needs: it gains
        less on most tables, and loses on fewer.
    loss : {"squared_error", "huber"}, default="squared_error"
        ``"huber"`` withstands gross errors in y. It takes half the squares, so it has
        half the penalty, in which var(y) is the square of the median distance to the
        median, divided by that of a normal variable (where most rows are equal, the
        median of the distances that are not 0).
    delta : "auto" or float, default="auto"
        Huber's bend, in the unit of y; > 0. Larger residuals count linearly. ``"auto"``
        is three standard deviations of what the convex mixture leaves of y, read from
        the median distance to the median; that mixture is bent at three deviations of
        what the median of the members leaves. Where that is 0, 1e-6 of sd(y).
    cv : int, splitter or iterable of (train, test), default=5
        Row folds of ``ridge="cv"``; an int means that many shuffled folds with a fixed
        seed, or as many as there are rows. One row, which none can be held out from,
        takes the largest penalty. Where rows come in groups, give the splits that keep
        groups together. Rows are split, so repeated rows are spread over folds: integer
        weights equal repeated rows for a fixed `ridge`, or where `cv` keeps copies
        together.

    Attributes
    ----------
    weights_ : ndarray of shape (n_members,), float64
        Of any sign, any sum.
    convex_weights_ : ndarray of shape (n_members,), float64
        Non-negative, of sum 1: where an infinite penalty leads.
    intercept_ : float
    delta_ : float
        Huber's bend that was used; only for ``loss="huber"``.
    ridge_ : float
        The penalty used.
    ridges_, cv_losses_ : ndarray of shape (19,), float64
        Penalties tried, descending, and their held-out mean losses; only for
        ``ridge="cv"``, and NaN where no row can be held out.
    cv_se_ : ndarray of shape (19,), float64
        Standard errors of the differences to the least of `cv_losses_`, from their
        spread over the folds (`LinearStackClassifier`: over the rows); NaN for one
        fold, where `rule` has no say. Where folds overlap, rows count with the first
        one that holds them out: repeats of a split make the losses steadier, but are no
        new rows.
    n_features_in_ : int
        Number of members.

    Raises
    ------
    ValueError
        If P or y is NaN or infinite, lengths differ, or weights are unfit.

    Warns
    -----
    ConvergenceWarning
        If Huber's loss is not proven to be within 1e-8 of its minimum.

    Notes
    -----
    Time: O(n_samples * n_members**2) for all folds and penalties together; Huber's loss
    O(n_samples * n_members) for each Newton step, of which a penalty takes about three.

    References
    ----------
    .. [1] Breiman, "Stacked Regressions", Machine Learning 24, 1996.
    .. [2] Huber, "Robust Estimation of a Location Parameter", Annals of Mathematical
       Statistics 35, 1964.

    Examples
    --------
    >>> P = [[0.0, 1.0], [1.0, 1.0], [2.0, 3.0], [3.0, 3.0]]
    >>> y = [1.0, 3.0, 5.0, 7.0]  # twice the first member, plus 1
    >>> combiner = LinearStackRegressor(ridge=0).fit(P, y)
    >>> bool(np.allclose(combiner.weights_, [2, 0])), round(combiner.intercept_, 6)
    (True, 1.0)
    """

    _parameter_constraints: dict = {
        "ridge": [StrOptions({"cv"}), Interval(Real, 0, None, closed="left")],
        "rule": [StrOptions({"1se", "min"})],
        "loss": [StrOptions({"squared_error", "huber"})],
        "delta": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "cv": ["cv_object"],
    }

    def __init__(
        self, *, ridge="cv", rule="min", loss="squared_error", delta="auto", cv=5
    ):
        self.ridge = ridge
        self.rule = rule
        self.loss = loss
        self.delta = delta
        self.cv = cv

    @_fit_context(prefer_skip_nested_validation=True)
    @one_blas_thread
    def fit(self, P, y, sample_weight=None):
        """Fit weights and intercept.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members)
            Out-of-fold predictions.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative.

        Returns
        -------
        self : LinearStackRegressor
        """
        P, y, weight = validate_regression(self, P, y, sample_weight)
        searches = self.ridge == "cv"
        splits = bearable_folds(self.cv, y, weight, stratify=False) if searches else []
        problem: HuberStack | SquaredStack
        if self.loss == "huber":
            problem = HuberStack(P, y, weight, splits, self.delta)
            self.delta_ = problem.delta
        else:
            problem = SquaredStack(P, y, weight, splits)
        self.ridge_ = self.ridge
        if searches:
            self._choose_ridge(problem, bool(splits))
        found = problem.fit(self.ridge_)
        self.weights_, self.convex_weights_ = found.weights, found.convex
        self.intercept_ = found.intercept
        return self

    def _choose_ridge(self, problem, can_hold_out):
        self.ridges_ = np.logspace(3, -6, 19)
        if not can_hold_out:
            self.ridge_ = float(self.ridges_[0])
            self.cv_losses_, self.cv_se_ = np.full((2, 19), np.nan)
            return
        losses, constant = problem.held_out_losses(self.ridges_)
        sizes = np.array([part.size for part in problem.parts])
        groups = np.array([part.first for part in problem.parts])
        means = np.average(losses, axis=0, weights=sizes)
        self.cv_losses_ = means + np.average(constant, weights=sizes)
        best = int(np.argmin(means))
        self.cv_se_ = _standard_errors(losses - losses[:, [best]], sizes, groups)
        if self.rule == "1se":
            slack = np.nan_to_num(self.cv_se_)
            best = int(np.argmax(means <= means[best] + slack))
        self.ridge_ = float(self.ridges_[best])

    def _combine(self, P):
        return P @ self.weights_ + self.intercept_


def _standard_errors(values, sizes, groups):
    """Standard errors of the weighted means of columns, from their spread by group."""
    member = groups[:, None] == np.unique(groups)
    totals = sizes @ member
    values = (member.T * sizes) @ values / totals[:, None]
    n_groups, share = len(totals), totals / totals.sum()
    if n_groups == 1:
        return np.full(values.shape[1], np.nan)
    squares = share[:, None] ** 2 * (values - share @ values) ** 2
    return np.sqrt(n_groups / (n_groups - 1) * squares.sum(axis=0))
