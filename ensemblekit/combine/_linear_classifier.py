"""LinearStackClassifier: the convex mixture, corrected on the logits."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from threadpoolctl import threadpool_limits

from .. import kernels, layout
from .._sklearn import Interval, Real, StrOptions, _fit_context
from ..convex.fit import first_copies
from ..exceptions import ConvergenceWarning
from . import _softmax_base as base
from ._base import ClassificationCombinerMixin, row_folds, validate_classification
from ._convex_base import warn_unless_counts

__all__ = ["LinearStackClassifier"]

_TOL = 1e-9
# Many small products: a second thread gains nothing, and on a busy machine its spinning
# cost a factor of 8 to 70.
_one_blas_thread = threadpool_limits.wrap(limits=1, user_api="blas")


class LinearStackClassifier(
    ClassificationCombinerMixin, ClassifierMixin, BaseEstimator
):
    """DOC"""

    _parameter_constraints: dict = {
        "weights": [StrOptions({"shared", "per_class"})],
        "features": [StrOptions({"log", "probability"})],
        "ridge": [StrOptions({"cv"}), Interval(Real, 0, None, closed="neither")],
        "rule": [StrOptions({"min", "1se"})],
        "convex_ridge": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "clip": [Interval(Real, 0, 0.5, closed="neither")],
        "cv": ["cv_object"],
    }

    def __init__(
        self,
        *,
        weights="per_class",
        features="probability",
        ridge="cv",
        rule="min",
        convex_ridge="auto",
        clip=1e-2,
        cv=5,
    ):
        self.weights = weights
        self.features = features
        self.ridge = ridge
        self.rule = rule
        self.convex_ridge = convex_ridge
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
        warn_unless_counts(self, weight, "convex_ridge")
        rows, members, counted = self._read(P, y, weight)
        if self.ridge == "cv":
            folds = row_folds(self.cv, y, weight, stratify=True)
            solution, (step, bias), decrement = self._choose(rows, counted, folds)
        else:
            self.ridge_ = float(self.ridge)
            solution, (step, bias), decrement = base.fit_one(rows, self.ridge_)
        self._name_results(solution.x, step, bias, members, P)
        self._warn_if_open(max(solution.gap - solution.accepted, 0.0), decrement)
        return self

    def _read(self, P, y, weight):
        """Return the `Rows` that count, their members and their numbers."""
        n_classes = len(self.classes_)
        n_outputs = layout.n_outputs_for(n_classes)
        members = np.unique(first_copies(P, n_outputs, weight))
        counted = np.flatnonzero(weight)
        cube = layout.to_cube(P, n_outputs)
        if len(counted) < len(y) or len(members) < len(cube):
            cube = cube[np.ix_(members, counted)]
        rows = base.Rows(
            np.asarray(cube, np.float64),
            y[counted],
            weight[counted],
            n_classes,
            self.features,
            self.clip,
            self.weights == "shared",
            self.convex_ridge,
        )
        return rows, members, counted

    def _choose(self, rows, counted, folds):
        """Set the ridge by cross-validation; return the fit of all rows at it."""
        self.ridges_ = np.logspace(2, -4, 13)
        number = np.full(max(max(a.max(), b.max()) for a, b in folds) + 1, -1)
        number[counted] = np.arange(len(counted))
        splits = [
            tuple(part[part >= 0] for part in (number[train], number[test]))
            for train, test in folds
        ]
        path = base.cross_validate(rows, self.ridges_, splits)
        weight = rows.weight / rows.weight.max()  # whose squares exist
        size = weight @ path.times
        self.cv_losses_ = weight @ path.losses / size
        best = int(np.argmin(self.cv_losses_))
        excess = self.cv_losses_ - self.cv_losses_[best]
        # What a row adds to the excess, about what its times held out would add.
        spread = path.losses - path.losses[:, [best]] - np.outer(path.times, excess)
        self.cv_se_ = np.sqrt(weight**2 @ spread**2) / size
        chosen = best
        if self.rule == "1se":
            chosen = int(np.argmax(excess <= self.cv_se_))
        self.ridge_ = float(self.ridges_[chosen])
        return path.solution, path.coefficients[chosen], path.decrements[chosen]

    def _name_results(self, convex, step, bias, members, P):
        n_outputs = layout.n_outputs_for(len(self.classes_))
        n_members = P.shape[1] // n_outputs
        self.convex_weights_ = np.zeros(n_members)
        self.convex_weights_[members] = convex
        self.step_ = np.zeros((n_members, *step.shape[1:]))
        self.step_[members] = step
        self.intercept_ = bias
        steps = self.step_.reshape(n_members, -1)
        self.weights_ = self.convex_weights_ + steps.mean(axis=1)
        # A weight of 0 says that predictions do not need the member.
        used = (self.convex_weights_ != 0.0) | steps.any(axis=1)
        hidden = used & (self.weights_ == 0.0)
        self.weights_[hidden] = np.finfo(np.float64).tiny

    def _warn_if_open(self, gap, decrement):
        """Warn if the optimum was not reached."""
        if max(gap, decrement) > _TOL:
            warnings.warn(
                f"{type(self).__name__} stopped {max(gap, decrement):.3g} above the "
                f"optimum of its objective (accepted: {_TOL}). Raise ridge or clip.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _combine(self, P):
        n_classes = len(self.classes_)
        n_outputs = layout.n_outputs_for(n_classes)
        cube = layout.to_cube(P, n_outputs)
        mixture = layout.weighted_mean(P, self.convex_weights_, n_outputs)
        scores = base.class_offsets(mixture) + self.intercept_
        for j in np.flatnonzero(self.step_.reshape(len(cube), -1).any(axis=1)):
            z = base.class_features(cube[j], n_classes, self.features, self.clip)
            scores += z * self.step_[j]
        return kernels.softmax_path.probabilities(scores.T.copy()).T.copy()
