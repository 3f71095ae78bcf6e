"""CV+: residuals of each fold around models that did not see it.

Of a stack, no member is fitted twice: its fold models and out-of-fold predictions are
there already, and only the combiner is fitted again without each fold. That is not
quite CV+: out-of-fold predictions of the other folds, on which the combiner of fold f
is fitted, come from members that saw fold f. The proof of coverage 1 - 2 alpha is for a
pipeline fitted again as a whole without each fold, which a stack inside a pipeline is;
coverage of this one is measured in the tests.
"""

from copy import copy

import numpy as np

from .._folds import check_partition, number_rows
from .._levels import interpolate
from .._members import combined_quantiles, fit_member, last_step
from .._parallel import map_tasks
from .._routing import Routed
from .._sklearn import _safe_indexing
from ..crossfit import CrossFit
from ..quantile_members._base import weight_arguments
from ..stack import StackedRegressor
from ..stack_quantiles import StackedQuantileRegressor
from ._cross_base import FoldScores, refuse_groups, warn_of_levels
from ._estimator import draw_seed, new_estimator, point_predictions, wanted_levels

_STACKS = (StackedRegressor, StackedQuantileRegressor)


def fit_cross(regressor, X, y, sample_weight=None, groups=None):
    """Fit a model without each fold and one on all rows; keep held-out predictions.

    Parameters
    ----------
    regressor : ConformalRegressor
        Read: estimator, alpha, cv, n_jobs, random_state.
    X : indexable of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,), float64
    sample_weight : ndarray of shape (n_samples,) or None
        Trains; rows of weight 0 calibrate nothing.
    groups : array-like of shape (n_samples,) or None
        For the splitter: rows of one group are held out together.

    Returns
    -------
    calibrated : CrossIntervals or CrossQuantileIntervals
    """
    seed = draw_seed(regressor.random_state)
    estimator = new_estimator(regressor, seed)
    fit = _fit_stack if isinstance(estimator, _STACKS) else _fit_folds
    parts = fit(regressor, estimator, X, y, sample_weight, groups)
    kind = CrossIntervals if parts.levels is None else CrossQuantileIntervals
    used = np.ones(len(y), bool) if sample_weight is None else sample_weight > 0.0
    return kind(parts, y, used)


class FoldParts:
    """A model of all rows, one for each fold, and what the latter held out.

    Parameters
    ----------
    model : fitted estimator, for `predict`
    folds : ndarray of shape (n_samples,), int
    held_out : ndarray of shape (n_samples, n_outputs)
    fold_models : list of (estimator, name of its method)
    levels : ndarray of shape (n_levels,) where these are quantiles, or None
    """

    def __init__(self, model, folds, held_out, fold_models, levels):
        self.model = model
        self.folds = folds
        self.held_out = held_out
        self.fold_models = fold_models
        self.levels = levels

    def fold_predictions(self, X):
        """Yield each fold model's predictions, (n_rows, n_outputs)."""
        for model, method in self.fold_models:
            predicted = np.asarray(getattr(model, method)(X), dtype=np.float64)
            yield predicted.reshape(len(predicted), -1)


class CrossIntervals:
    """The k-th smallest of the fold models' predictions plus residuals of their folds.

    Parameters
    ----------
    parts : FoldParts
    y : ndarray of shape (n_samples,)
    used : ndarray of shape (n_samples,), bool
        Rows that calibrate.
    """

    counts = None

    def __init__(self, parts, y, used):
        self.parts = parts
        self.n_calibration = int(used.sum())
        self._learn(parts, y, used)

    @property
    def calibration(self):
        """Itself: `counts` of groups, which there are none of."""
        return self

    def predict(self, X):
        """Return the prediction of the model of all rows, (n_samples,)."""
        return point_predictions(self.parts.model, X)

    def intervals(self, X, levels, groups=None):
        """Return intervals of miscoverage `levels`, (n_samples, 2, n_levels)."""
        refuse_groups(groups, "cv+")
        warn_of_levels(self.n_calibration, levels)
        each = self.parts.fold_predictions(X)
        centres = np.column_stack([values[:, 0] for values in each])
        bounds = [self._scores.bounds(centres, centres, None, a) for a in levels]
        return np.stack(bounds, axis=2)

    def _learn(self, parts, y, used):
        residuals = np.abs(y - parts.held_out[:, 0])[used]
        n_folds = len(parts.fold_models)
        self._scores = FoldScores.of(residuals, parts.folds[used], n_folds)


class CrossQuantileIntervals(CrossIntervals):
    """The same around two quantiles: scores ``max(l - y, y - u)`` widen ``[l, u]``."""

    def intervals(self, X, levels, groups=None):
        """Return intervals of miscoverage `levels`, (n_samples, 2, n_levels)."""
        refuse_groups(groups, "cv+")
        warn_of_levels(self.n_calibration, levels)
        # Of each fold only the ends are kept, not the whole grid of its levels.
        ends = [
            [self._ends(values, alpha) for alpha in levels]
            for values in self.parts.fold_predictions(X)
        ]
        bounds = []
        for j, alpha in enumerate(levels):
            lower, upper = np.stack([fold[j] for fold in ends], axis=2)
            bounds.append(self._rank(alpha).bounds(lower, upper, None, alpha))
        return np.stack(bounds, axis=2)

    def _learn(self, parts, y, used):
        self._y, self._used = y, used

    def _rank(self, alpha):
        """Return the rows' scores for intervals of this level, sorted by fold."""
        lower, upper = self._ends(self.parts.held_out, alpha)
        scores = np.maximum(lower - self._y, self._y - upper)[self._used]
        folds = self.parts.folds[self._used]
        return FoldScores.of(scores, folds, len(self.parts.fold_models))

    def _ends(self, quantiles, alpha):
        """Interpolate the two ends, (2, n_rows); of levels beyond, the outermost."""
        levels = self.parts.levels
        wanted = np.clip([float(alpha / 2), float(1 - alpha / 2)], *levels[[0, -1]])
        return interpolate(quantiles, levels, wanted).T


def _fit_folds(regressor, estimator, X, y, weight, groups):
    """Fit one model without each fold, and one on all rows."""
    levels = _levels_of(regressor, estimator)
    arguments = weight_arguments(estimator, weight)
    split = {} if groups is None else {"groups": groups}
    members = [("estimator", estimator)]
    cross_fit = CrossFit(
        members,
        cv=regressor.cv,
        quantile_levels=levels,
        refit="none",
        n_jobs=regressor.n_jobs,
    )
    routed = Routed({"estimator": arguments}, split, {})
    cross_fit._fit(X, y, members, routed, weight, every_row_for="method='cv+'")
    whole = cross_fit._prepare("estimator", estimator)
    return FoldParts(
        fit_member("estimator", whole, X, y, None, arguments, None, "all rows")[0],
        number_rows(cross_fit.splits_, len(y)),
        cross_fit.oof_predictions_,
        [
            (cross_fit.only_fold(fold), "transform")
            for fold in range(len(cross_fit.splits_))
        ],
        cross_fit._levels,
    )


def _levels_of(regressor, estimator):
    """Return the levels to learn where the estimator predicts quantiles, else None."""
    last = last_step(estimator)
    if not hasattr(last, "predict_quantiles") or "quantile_levels" not in (
        last.get_params(deep=False)
    ):
        return None
    own = last.quantile_levels
    return wanted_levels(regressor.alpha) if own is None else own


def _fit_stack(regressor, stack, X, y, weight, groups):
    """Fit the stack once, and its combiner without each fold."""
    stack.set_params(refit="none")
    if stack.cv is None:
        stack.set_params(cv=regressor.cv)
    elif regressor.cv is not None and repr(regressor.cv) != repr(stack.cv):
        raise ValueError(
            "cv is given twice, and differs: for the stack and for method='cv+', which "
            "uses the stack's folds. Leave one of them None."
        )
    if stack.n_jobs is None:
        stack.set_params(n_jobs=regressor.n_jobs)
    stack.fit(X, y, sample_weight=weight, groups=groups)
    check_partition(stack.cross_fit_.splits_, len(y), "method='cv+'")
    library, levels = stack.library_, None
    if isinstance(stack, StackedQuantileRegressor):
        levels = stack.quantile_levels_
    P = stack._combiner_input(stack.oof_predictions_, X)
    extras = stack._combiner_extras(X)
    trained = weight if stack._weighted else None
    tasks = [
        (stack._new_combiner(), P, library.y, test, trained, levels, extras)
        for _, test in stack.cross_fit_.splits_
    ]
    fitted = map_tasks(_fit_without, tasks, stack.n_jobs)
    held_out = np.empty((len(y), 1 if levels is None else len(levels)))
    fold_models = []
    for fold, (combiner, predicted) in enumerate(fitted):
        held_out[stack.cross_fit_.splits_[fold][1]] = predicted
        # The stack as it is without this fold: predicts only members with weight.
        without = copy(stack)
        without.cross_fit_ = stack.cross_fit_.only_fold(fold)
        without.combiner_ = combiner
        fold_models.append(
            (without, "predict" if levels is None else "predict_quantiles")
        )
    return FoldParts(stack, library.folds, held_out, fold_models, levels)


def _fit_without(combiner, P, y, test, weight, levels, extras):
    """Fit the combiner on the rows outside a fold; return it and what it held out."""
    rest = np.delete(np.arange(len(y)), test)
    given = {} if weight is None else weight_arguments(combiner, weight[rest])
    given |= {name: values[rest] for name, values in extras.items()}
    combiner.fit(_safe_indexing(P, rest), y[rest], **given)
    held_out = _safe_indexing(P, test)
    if levels is None:
        predicted = np.asarray(combiner.predict(held_out), dtype=np.float64)
        return combiner, predicted.reshape(-1, 1)
    theirs = {name: values[test] for name, values in extras.items()}
    return combiner, combined_quantiles(combiner, held_out, levels, **theirs)
