"""Conformalised quantile regression: quantiles moved outward, or inward, by a score."""

from inspect import signature
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._levels import DEFAULT_LEVELS, interpolate
from .._members import last_step, respond
from .._rows import fit_rows
from ..layout import check_levels
from ..quantile_members._base import weight_arguments
from ._estimator import draw_seed, new_quantile_estimator, wanted_levels
from ._held_out import HeldOut, calibrate_part, empty_bounds, split_rows
from ._scores import Scores
from .ranks import exact_levels

# Distances of quantiles that scores are divided by are this share of y's at least.
_FLOOR = 1e-8


def fit_quantile(regressor, X, y, sample_weight=None, groups=None):
    """Train on one part of the rows, and calibrate on the other.

    Returns
    -------
    calibrated : QuantileIntervals
    """
    seed = draw_seed(regressor.random_state)
    training, held = split_rows(regressor, X, y, sample_weight, groups, seed)
    if not len(training):
        return calibrate_part(adopt_quantile(regressor), X, y, groups, held)
    estimator = new_quantile_estimator(regressor, seed)
    check_predicts_quantiles(estimator)
    arguments = weight_arguments(estimator, sample_weight)
    model = fit_rows(estimator, X, y, training, arguments)
    method = QuantileIntervals(regressor, model, _floor(y[training]))
    return calibrate_part(method, X, y, groups, held)


def adopt_quantile(regressor):
    """Return the method around an estimator that is fitted already."""
    check_predicts_quantiles(regressor.estimator)
    return QuantileIntervals(regressor, regressor.estimator, None)


class Ends(NamedTuple):
    """Quantiles of rows at both ends of an interval and in the middle, (n_rows,)."""

    lower: np.ndarray
    middle: np.ndarray
    upper: np.ndarray


class QuantileIntervals(HeldOut):
    """``[l - Q * d, u + Q * d']`` with quantiles l and u and a threshold Q of scores.

    Parameters
    ----------
    regressor : ConformalRegressor
    model : fitted estimator that predicts quantiles
    floor : float or None
        Least distance of quantiles that a score is divided by; None: of the rows that
        calibrate.
    """

    def __init__(self, regressor, model, floor):
        super().__init__(model, regressor.likelihood_ratio)
        self.variant = regressor.method
        self.floor = floor
        self.alphas = exact_levels(regressor.alpha)[0]
        self.levels, self._told = _levels_of(model, regressor.alpha)

    def _learn(self, X, y):
        self._y, self._quantiles = y, self._predicted(X)
        if self.floor is None:
            self.floor = _floor(y)
        self._ready = {alpha: self._scores(alpha) for alpha in self.alphas}

    def intervals(self, X, levels, groups=None):
        """Return intervals of miscoverage `levels`, (n_samples, 2, n_levels)."""
        one_sided = self.variant == "cqr-asymmetric"
        codes, own = self._test_rows(X, min(levels) / (2 if one_sided else 1), groups)
        quantiles = self._predicted(X)
        bounds = empty_bounds(len(quantiles), len(levels))
        for j, alpha in enumerate(levels):
            ends = self._ends(quantiles, alpha)
            found = self._ready.get(alpha) or self._scores(alpha)
            below, above = self._distances(ends)
            each = alpha / len(found)
            moves = [scores.thresholds(each, codes, own) for scores in found]
            np.subtract(ends.lower, moves[0] * below, out=bounds[:, 0, j])
            np.add(ends.upper, moves[-1] * above, out=bounds[:, 1, j])
        return bounds

    def _scores(self, alpha):
        """Return the scores of the calibration rows: one, or one for each side."""
        ends = self._ends(self._quantiles, alpha)
        below, above = self._distances(ends)
        low, high = (ends.lower - self._y) / below, (self._y - ends.upper) / above
        sides = [low, high]
        if self.variant != "cqr-asymmetric":
            sides = [np.maximum(low, high)]
        return [Scores(self.calibration, side) for side in sides]

    def _distances(self, ends):
        """Return the units of the scores below and above: the method's one choice."""
        if self.variant == "cqr-m":
            below, above = ends.middle - ends.lower, ends.upper - ends.middle
            return np.maximum(below, self.floor), np.maximum(above, self.floor)
        if self.variant == "cqr-r":
            width = np.maximum(ends.upper - ends.lower, self.floor)
            return width, width
        return 1.0, 1.0

    def _ends(self, quantiles, alpha):
        """Interpolate; beyond the outermost levels take these, which are calibrated."""
        tails = [float(alpha / 2), 0.5, float(1 - alpha / 2)]
        wanted = np.clip(tails, self.levels[0], self.levels[-1])
        return Ends(*interpolate(quantiles, self.levels, wanted).T)

    def _predicted(self, X):
        """Return the quantiles of rows, sorted within each: (n_samples, n_levels)."""
        if self._told:
            quantiles = self.model.predict_quantiles(X, self.levels)
        else:
            quantiles = respond(self.model, "predict_quantiles", X)
        quantiles = np.asarray(quantiles, dtype=np.float64)
        if quantiles.shape[1:] != (len(self.levels),):
            raise ValueError(
                f"The estimator predicts quantiles of shape {quantiles.shape}; "
                f"expected {len(self.levels)} columns, one for each level."
            )
        return np.sort(quantiles, axis=1)


def check_predicts_quantiles(estimator):
    """Refuse estimators without quantiles, saying which have them."""
    last = last_step(estimator)
    if not hasattr(last, "predict_quantiles"):
        raise ValueError(
            f"{type(last).__name__} predicts no quantiles, which the methods 'cqr..' "
            "calibrate. Wrap it in PerLevelQuantileRegressor or "
            "ResidualQuantileRegressor, or use method='split'."
        )


def _levels_of(model, alpha):
    """Return the levels that a model predicts, and whether it has to be told them."""
    last = last_step(model)
    levels = getattr(last, "quantile_levels_", None)
    if levels is not None:
        return check_levels(levels), False
    check_is_fitted(model)
    if model is last and len(signature(last.predict_quantiles).parameters) > 1:
        return np.union1d(DEFAULT_LEVELS, wanted_levels(alpha)), True
    raise ValueError(
        f"{type(last).__name__} has no quantile_levels_, and its predict_quantiles "
        "takes no levels; expected either."
    )


def _floor(y):
    low, high = np.percentile(y, [25, 75])
    return _FLOOR * float(high - low) or _FLOOR
