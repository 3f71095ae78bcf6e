"""ConvexRegressor, ConvexClassifier: the exact best weights on the simplex."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from .. import kernels, layout
from .._sklearn import Integral, Interval, Real, StrOptions, _fit_context
from ..losses import LOG_CLIP
from ._base import (
    ClassificationCombinerMixin,
    RegressionCombinerMixin,
    mix_probabilities,
    mix_values,
    residual_gram,
    validate_classification,
    validate_regression,
    warn_if_open,
)

__all__ = ["ConvexClassifier", "ConvexRegressor"]

_SOLVER_CONSTRAINTS = {
    "tol": [Interval(Real, 0, 1, closed="neither")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
}


class ConvexRegressor(RegressionCombinerMixin, RegressorMixin, BaseEstimator):
    """Mix the members by the non-negative weights, sum 1, of least squared error.

    Solves min over the simplex of the weighted mean of ``(y - P w)**2`` exactly, by
    Wolfe's active-set method on the Gram matrix of the residuals, and proves it: the
    optimum lies within `duality_gap_` of `objective_`. Most weights come out exactly 0.
    With few rows against members the weights overfit: compare `AverageRegressor`.

    Parameters
    ----------
    tol : float, default=1e-9
        Largest accepted ``duality_gap_ / objective_`` beyond rounding; in (0, 1). The
        method ends finitely, so the gap reached is mostly near 1e-15 whatever `tol`.
    max_iter : int, default=10000
        Iterations of the solver, about one for each member with weight. Time:
        O(n_samples * n_members**2) for the Gram matrix, little for the solver.

    Attributes
    ----------
    weights_ : ndarray of shape (n_members,), float64
        Non-negative, sums to 1; exactly 0 off the support. Of duplicated members the
        first takes all.
    objective_ : float
        Mean squared error of the mixture on the rows given (fitted: optimistic).
    duality_gap_ : float
        Upper bound on ``objective_`` minus the least possible, computed from P itself.
    n_iter_ : int
        Iterations of the solver.
    n_features_in_ : int
        Number of members.

    Raises
    ------
    ValueError
        If P or y is NaN or infinite, lengths differ, or weights are unfit.

    References
    ----------
    .. [1] Wolfe, "Finding the nearest point in a polytope", Mathematical Programming
       11, 1976.
    .. [2] Echtenbruck et al., "Optimally Weighted Ensembles of Regression Models: Exact
       Weight Optimization and Applications", 2022.

    Examples
    --------
    >>> combiner = ConvexRegressor().fit([[0.0, 2.0], [2.0, 4.0]], [1.0, 3.0])
    >>> combiner.weights_
    array([0.5, 0.5])
    >>> combiner.predict([[10.0, 20.0]])
    array([15.])
    """

    _parameter_constraints: dict = {**_SOLVER_CONSTRAINTS}

    def __init__(self, *, tol=1e-9, max_iter=10_000):
        self.tol = tol
        self.max_iter = max_iter

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Find the weights.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members)
            Out-of-fold predictions.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row.

        Returns
        -------
        self : ConvexRegressor
        """
        P, y, weight = validate_regression(self, P, y, sample_weight)
        _fit_least_squares(self, P, y[:, None], weight, n_outputs=1)
        return self

    def _combine(self, P):
        return mix_values(self, P)


class ConvexClassifier(ClassificationCombinerMixin, ClassifierMixin, BaseEstimator):
    """Mix probabilities by the non-negative weights, sum 1, of least loss.

    The optimum over the simplex is exact up to `duality_gap_`, a proof computed from P
    itself. Log loss is minimised by sequential quadratic programming, the Brier score
    by one quadratic program. A mixture cannot recalibrate: members that are all over-
    or under-confident in the same way are better stacked (`LinearStackClassifier`).

    Parameters
    ----------
    loss : {"log_loss", "brier"}, default="log_loss"
        Rows to which all members give probability 0 for the true class have infinite
        log loss under any weights and do not influence them.
    tol : float, default=1e-9
        Largest accepted duality gap: absolute for log loss, relative to the objective
        for Brier; in (0, 1).
    max_iter : int, default=10000
        Iterations of the solver. Time: about 10 Gram matrices, each
        O(n_samples * n_members**2), for log loss; one for Brier (times n_classes).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    weights_ : ndarray of shape (n_members,), float64
        Non-negative, sums to 1; exactly 0 off the support.
    objective_ : float
        Loss of the mixture on the rows given (fitted: optimistic). Log loss is not
        clipped: a probability of 1e-30 counts as such; only rows to which all members
        give 0 count as the machine epsilon.
    duality_gap_ : float
        Upper bound on ``objective_`` minus the least possible, computed from P itself.
    n_iter_ : int
        Iterations of the solver.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P holds no probabilities, y has one class, or weights are unfit.

    References
    ----------
    .. [1] Kim, Carbonetto, Stephens, Anitescu, "A fast algorithm for maximum likelihood
       estimation of mixture proportions using sequential quadratic programming", 2020.

    Examples
    --------
    >>> P = [[0.1, 0.5], [0.2, 0.5], [0.9, 0.5]]
    >>> combiner = ConvexClassifier().fit(P, ["no", "no", "yes"])
    >>> combiner.weights_
    array([1., 0.])
    """

    _parameter_constraints: dict = {
        "loss": [StrOptions({"log_loss", "brier"})],
        **_SOLVER_CONSTRAINTS,
    }

    def __init__(self, *, loss="log_loss", tol=1e-9, max_iter=10_000):
        self.loss = loss
        self.tol = tol
        self.max_iter = max_iter

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Find the weights.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)
            Out-of-fold probabilities.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row.

        Returns
        -------
        self : ConvexClassifier
        """
        P, y, weight = validate_classification(self, P, y, sample_weight)
        n_classes = len(self.classes_)
        if self.loss == "log_loss":
            _fit_log_loss(self, *layout.true_class(P, y, n_classes), weight)
        else:
            targets = layout.one_hot(y, n_classes)
            _fit_least_squares(self, P, targets, weight, n_outputs=targets.shape[1])
        return self

    def _combine(self, P):
        return mix_probabilities(self, P)


def _fit_least_squares(combiner, P, targets, weight, n_outputs):
    gram = residual_gram(P, targets, weight, n_outputs)
    combiner.weights_, _, combiner.n_iter_ = kernels.simplex_qp.solve(
        gram, np.zeros(len(gram)), max_iter=combiner.max_iter
    )
    # The certificate comes from a pass over the data, not from the Gram matrix.
    objective, gradient = kernels.gram.mixture_gradient(
        P, targets, weight, combiner.weights_, n_outputs
    )
    # f = w'Hw with gradient 2Hw: the Frank-Wolfe gap carries the factor 2.
    gap = 2.0 * (gradient @ combiner.weights_ - gradient.min())
    combiner.objective_, combiner.duality_gap_ = objective, max(gap, 0.0)
    # No certificate can beat the rounding of the gradient itself.
    largest = np.sqrt(gram.diagonal().max()) * np.sqrt(objective)
    rounding = 8 * np.finfo(float).eps * largest
    floor = 4 * np.finfo(float).eps * gram.diagonal().min()
    warn_if_open(combiner, combiner.tol * objective + rounding + floor)


def _fit_log_loss(combiner, base, sign, offset, weight):
    combiner.weights_, _, combiner.n_iter_ = kernels.linear_pool.solve(
        base, sign, offset, weight, tol=combiner.tol, max_iter=combiner.max_iter
    )
    combiner.objective_, combiner.duality_gap_ = kernels.linear_pool.loss_and_gap(
        base, sign, offset, weight, combiner.weights_, clip=LOG_CLIP
    )
    warn_if_open(combiner, combiner.tol)
