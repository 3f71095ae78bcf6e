"""LinearStackClassifier: weights of any sign and a bias for each class."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from threadpoolctl import threadpool_limits

from .. import kernels, layout
from .._sklearn import Interval, Real, StrOptions, _fit_context
from ..exceptions import ConvergenceWarning
from ._base import (
    ClassificationCombinerMixin,
    row_folds,
    validate_classification,
)

__all__ = ["LinearStackClassifier"]

_TOL = 1e-9
# Many small products: a second thread gains nothing, and on a busy machine its spinning
# cost a factor of 8 to 70.
_one_blas_thread = threadpool_limits.wrap(limits=1, user_api="blas")


class LinearStackClassifier(
    ClassificationCombinerMixin, ClassifierMixin, BaseEstimator
):
    """Fit one weight per member on the logits, and a bias per class.

    The model is ``softmax(bias + sum_m weights_m * log p_m)``, fitted by log loss with
    the penalty ``ridge * n_members / 2 * ||weights - 1/n_members||**2``: a growing
    `ridge` leads to the geometric mean of the members (plus the biases). Weights that
    sum to more or less than 1 sharpen or flatten: with one member this is temperature
    scaling. Unlike a convex mixture it recalibrates. Duplicating all members leaves the
    prediction unchanged; duplicating one draws the mean toward it.

    Parameters
    ----------
    ridge : "cv" or float, default="cv"
        Penalty; > 0, which keeps the answer finite where classes are separable.
        ``"cv"`` takes, from 13 values between 1e-4 and 1e2, the one of least
        cross-validated log loss; of equal ones the largest.
    clip : float, default=1e-4
        Probabilities below it are read as this value before the logarithm (members
        that answer 0 or 1 would otherwise be infinitely sure); in (0, 0.5).
    cv : int, splitter or iterable of (train, test), default=5
        Row folds of ``ridge="cv"``; an int means that many stratified, shuffled folds
        with a fixed seed. Where rows come in groups, give the splits that keep groups
        together. Rows are split, so repeated rows are spread over folds: integer
        weights equal repeated rows for a fixed `ridge`, or where `cv` keeps copies
        together.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    weights_ : ndarray of shape (n_members,), float64
        Of any sign, any sum.
    intercept_ : ndarray of shape (n_classes,), float64
        Biases; they sum to 0.
    ridge_ : float
        The penalty used.
    ridges_, cv_losses_ : ndarray of shape (13,), float64
        Penalties tried, descending, and their cross-validated log losses; only for
        ``ridge="cv"``.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P holds no probabilities, y has one class, there are fewer rows than folds,
        or weights are unfit.

    Notes
    -----
    Time: O(n_samples * n_members**2 * n_classes) a Newton step, about 3 steps for each
    fold and penalty. Memory: the logits of all classes, and of one fold's rows.

    References
    ----------
    .. [1] Wolpert, "Stacked generalization", Neural Networks 5, 1992.

    Examples
    --------
    >>> P = [[0.3], [0.4], [0.6], [0.7]] * 10  # one member, too modest
    >>> y = ["no", "no", "yes", "yes"] * 10
    >>> combiner = LinearStackClassifier(ridge=1e-3).fit(P, y)
    >>> bool(combiner.weights_[0] > 1)
    True
    """

    _parameter_constraints: dict = {
        "ridge": [StrOptions({"cv"}), Interval(Real, 0, None, closed="neither")],
        "clip": [Interval(Real, 0, 0.5, closed="neither")],
        "cv": ["cv_object"],
    }

    def __init__(self, *, ridge="cv", clip=1e-4, cv=5):
        self.ridge = ridge
        self.clip = clip
        self.cv = cv

    @_fit_context(prefer_skip_nested_validation=True)
    @_one_blas_thread
    def fit(self, P, y, sample_weight=None):
        """Fit weights and biases.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)
            Out-of-fold probabilities.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative.

        Returns
        -------
        self : LinearStackClassifier
        """
        P, y, weight = validate_classification(self, P, y, sample_weight)
        logits = self._logits(P)
        self.ridge_ = self.ridge
        if self.ridge == "cv":
            self._choose_ridge(logits, y, weight)
        ((weights, bias, decrement),) = _softmax_path(logits, y, weight, [self.ridge_])
        if decrement > _TOL:
            warnings.warn(
                f"{type(self).__name__} stopped {decrement:.3g} above the optimum of "
                f"its objective (accepted: {_TOL}). Raise ridge or clip.",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.weights_, self.intercept_ = weights, bias - bias.mean()
        return self

    def _choose_ridge(self, logits, y, weight):
        self.ridges_ = np.logspace(2, -4, 13)
        losses, sizes = [], []
        for train, test in row_folds(self.cv, y, weight, stratify=True):
            path = _softmax_path(
                logits[:, train], y[train], weight[train], self.ridges_
            )
            held_out = logits[:, test], y[test], weight[test]
            losses.append(
                [_held_out_loss(*held_out, weights, bias) for weights, bias, _ in path]
            )
            sizes.append(weight[test].sum())
        self.cv_losses_ = np.average(losses, axis=0, weights=sizes)
        self.ridge_ = float(self.ridges_[np.argmin(self.cv_losses_)])

    def _logits(self, P):
        """Logarithms of the clipped probabilities, centred over the classes."""
        n_outputs = layout.n_outputs_for(len(self.classes_))
        cube = layout.to_cube(P, n_outputs)
        members = [layout.class_probabilities(member) for member in cube]
        logits = np.log(np.maximum(np.asarray(members, dtype=np.float64), self.clip))
        logits -= logits.mean(axis=2, keepdims=True)
        return logits

    def _combine(self, P):
        scores = kernels.linear_stack.class_scores(self._logits(P), self.weights_)
        return kernels.linear_stack.softmax(scores + self.intercept_)


def _softmax_path(logits, y, weight, ridges):
    """Fit each penalty, starting from the solution of the one before."""
    n_members, _, n_classes = logits.shape
    offset = logits.mean(axis=0)
    basis = kernels.linear_stack.rotate(logits)
    if basis is not None:
        logits = np.tensordot(basis.T, logits, axes=1)
    step, bias = np.zeros(len(logits)), np.zeros(n_classes)
    path = []
    for ridge in ridges:
        step, bias, decrement = kernels.linear_stack.softmax_fit(
            logits, offset, y, weight, ridge * n_members, step, bias, tol=_TOL
        )
        weights = 1.0 / n_members + (step if basis is None else basis @ step)
        path.append((weights, bias, decrement))
    return path


def _held_out_loss(logits, y, weight, weights, bias):
    scores = kernels.linear_stack.class_scores(logits, weights) + bias
    return kernels.linear_stack.softmax_loss(scores, y, weight)
