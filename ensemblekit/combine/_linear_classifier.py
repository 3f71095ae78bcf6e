"""LinearStackClassifier: the convex mixture, corrected on the logits."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from .. import kernels, layout
from .._sklearn import Interval, Real, StrOptions, _fit_context
from .._threads import one_blas_thread
from ..convex.fit import first_copies
from ..exceptions import ConvergenceWarning
from . import _softmax_base as base
from ._base import ClassificationCombinerMixin, bearable_folds, validate_classification
from ._convex_base import warn_unless_counts

__all__ = ["LinearStackClassifier"]

_TOL = 1e-9
_KINDS = {
    "both": ("log", "probability"),
    "log": ("log",),
    "probability": ("probability",),
}


class LinearStackClassifier(
    ClassificationCombinerMixin, ClassifierMixin, BaseEstimator
):
    """Correct the convex mixture: weights of any sign on the scores, a bias per class.

    The model is ``softmax(log(mixture) + bias + sum_m step_m * z_m)``, with `mixture`
    the members mixed as by `ConvexClassifier`, and z_m a member's log-probabilities,
    its probabilities, or both, centred over the classes. It minimises log loss plus
    ``ridge / 2 * (n * ||step||**2 + ||bias||**2)``, n the number of steps of a class: a
    growing `ridge` leads to the convex mixture itself. Unlike a mixture it
    recalibrates, and it may weigh a member's classes differently. With one member, its
    log-probabilities and no bias it is temperature scaling: the temperature is ``1 /
    weights_``. Of members that are equal on all rows only the first is used: a copy
    changes nothing.

    Parameters
    ----------
    weights : {"per_class", "shared"}, default="per_class"
        Whether a member has a weight for each class, or one for all. Weights of classes
        are penalised as their mean and their distances from it, ``mean**2 + sum((step -
        mean)**2)``, so that equal ones cost what a shared one costs. With two classes
        both are the same.
    features : {"both", "log", "probability"}, default="both"
        What is weighed: the logarithm of p less its mean over the classes, ``n_classes
        * p - 1``, or both. Where p is near 1 / n_classes they agree.
    ridge : "cv" or float, default="cv"
        Penalty; > 0, which keeps the answer finite where classes are separable.
        ``"cv"`` chooses from 13 values between 1e-4 and 1e2 by cross-validated log
        loss; the convex mixture is found anew on each training part.
    rule : {"min", "1se"}, default="min"
        Of ``ridge="cv"``: the penalty of least loss, or the largest whose loss exceeds
        the least by at most one standard error of the difference (over the rows). Of
        equal ones the largest. ``"1se"`` stays nearer to the convex mixture.
    convex_ridge : "auto" or float, default="auto"
        `ridge` of the `ConvexClassifier` in it; >= 0.
    clip : float, default=1e-2
        Probabilities below it are read as this value before the logarithm (members that
        answer 0 or 1 would otherwise be infinitely sure); in (0, 0.5). It holds for
        features only, and the mixture is not clipped (but for 2.2e-16): a sure member
        may stay sure.
    cv : int, splitter or iterable of (train, test), default=5
        Row folds of ``ridge="cv"``; an int means that many stratified, shuffled folds
        with a fixed seed, or as many as the largest class has rows; of one row a class
        none is held out, and the largest penalty is taken. Where rows come in groups,
        give the splits that keep groups together. Rows are split, so repeated rows are
        spread over folds: integer weights equal repeated rows for a fixed `ridge`, or
        for ``rule="min"`` where `cv` keeps copies together.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    weights_ : ndarray of shape (n_members,), float64
        `convex_weights_` plus `step_` (its mean over the classes, its sum over the two
        features): with ``features="log"`` roughly the exponent of a member, of any sign
        and sum. Never exactly 0 for a member that predictions need.
    convex_weights_ : ndarray of shape (n_members,), float64
        Weights of the mixture; non-negative, sum 1.
    step_ : ndarray of shape (n_members,) or (n_members, n_classes), float64
        What the features are multiplied by; one number a member for
        ``weights="shared"``. With ``features="both"`` there are two of these along a
        first axis, for logarithms and for probabilities.
    intercept_ : ndarray of shape (n_classes,), float64
        Biases; they sum to 0.
    ridge_ : float
        The penalty used.
    ridges_, cv_losses_, cv_se_ : ndarray of shape (13,), float64
        Penalties tried, descending, their cross-validated log losses, and the standard
        errors of these losses' differences from the least (NaN where no row can be held
        out), from their spread over the
        rows (`LinearStackRegressor`: over the folds), of which each counts once however
        often it is held out; only for ``ridge="cv"``.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P holds no probabilities, y has one class, or weights are unfit.

    Warns
    -----
    ConvergenceWarning
        If rounding left the solution more than 1e-9 above the optimum.
    UserWarning
        If ``convex_ridge="auto"`` meets sample weights that cannot be counts of rows.

    Notes
    -----
    Time: all folds and penalties are solved together, by about 5 products of the
    features with the coefficients of all folds and one Hessian a penalty, O(n_samples *
    n_members**2 * n_classes), or ``n_classes**2`` for weights per class: 4,000 rows and
    16 members take 50 ms with 2 classes and 0.9 s with 10 (0.3 s with shared weights).
    Memory: the features, and the scores of all rows in each fold.

    References
    ----------
    .. [1] Wolpert, "Stacked generalization", Neural Networks 5, 1992.
    .. [2] Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks",
       ICML 2017.

    Examples
    --------
    >>> P = [[0.3], [0.4], [0.6], [0.7]] * 10  # one member, too modest
    >>> y = ["no", "no", "yes", "yes"] * 10
    >>> combiner = LinearStackClassifier(features="log", ridge=1e-3).fit(P, y)
    >>> bool(combiner.weights_[0] > 1)
    True
    """

    _parameter_constraints: dict = {
        "weights": [StrOptions({"shared", "per_class"})],
        "features": [StrOptions(set(_KINDS))],
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
        features="both",
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
    @one_blas_thread
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
        warn_unless_counts(self, weight, "convex_ridge", stacklevel=5)
        rows, members, counted = self._read(P, y, weight)
        if self.ridge == "cv":
            folds = bearable_folds(self.cv, y, weight, stratify=True)
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
            _KINDS[self.features],
            self.clip,
            self.weights == "shared",
            self.convex_ridge,
        )
        return rows, members, counted

    def _choose(self, rows, counted, folds):
        """Set the ridge by cross-validation; return the fit of all rows at it."""
        self.ridges_ = np.logspace(2, -4, 13)
        if not folds:
            self.ridge_ = float(self.ridges_[0])
            self.cv_losses_, self.cv_se_ = np.full((2, 13), np.nan)
            return base.fit_one(rows, self.ridge_)
        splits = [(_places(counted, a), _places(counted, b)) for a, b in folds]
        path = base.cross_validate(rows, self.ridges_, splits)
        self.cv_losses_, self.cv_se_ = path.scores(rows.weight)
        chosen = int(np.argmin(self.cv_losses_))
        if self.rule == "1se":
            excess = self.cv_losses_ - self.cv_losses_.min()
            chosen = int(np.argmax(excess <= self.cv_se_))
        self.ridge_ = float(self.ridges_[chosen])
        return path.solution, path.coefficients[chosen], path.decrements[chosen]

    def _name_results(self, convex, step, bias, members, P):
        n_outputs = layout.n_outputs_for(len(self.classes_))
        n_members = P.shape[1] // n_outputs
        self.convex_weights_ = np.zeros(n_members)
        self.convex_weights_[members] = convex
        steps = np.zeros((len(step), n_members, *step.shape[2:]))
        steps[:, members] = step
        self.step_ = steps if self.features == "both" else steps[0]
        self.intercept_ = bias
        steps = steps.reshape(len(step), n_members, -1)
        self.weights_ = self.convex_weights_ + steps.mean(axis=2).sum(axis=0)
        # A weight of 0 says that predictions do not need the member.
        used = (self.convex_weights_ != 0.0) | steps.any(axis=(0, 2))
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
        steps = self.step_ if self.features == "both" else self.step_[None]
        for kind, step in zip(_KINDS[self.features], steps, strict=True):
            for j in np.flatnonzero(step.reshape(len(cube), -1).any(axis=1)):
                z = base.class_features(cube[j], n_classes, kind, self.clip)
                scores += z * step[j]
        return kernels.softmax_path.probabilities(scores.T.copy()).T.copy()


def _places(counted, part):
    """Return where the rows of a part are among those that count."""
    return np.searchsorted(counted, part[np.isin(part, counted)])
