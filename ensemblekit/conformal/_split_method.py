"""Split conformal: residuals of held-out rows, as they are or divided by a scale."""

from fractions import Fraction

import numpy as np

from .._rows import fit_rows
from .._sklearn import _safe_indexing
from ..quantile_members._base import weight_arguments
from ._estimator import draw_seed, new_estimator
from ._held_out import HeldOut, calibrate_part, empty_bounds, split_rows
from ._scale import adopt_scale, fit_scale
from ._scores import Scores

_HALF = Fraction(1, 2)


def fit_split(regressor, X, y, sample_weight=None, groups=None):
    """Train on one part of the rows, and calibrate on the other.

    Returns
    -------
    calibrated : SplitIntervals
    """
    seed = draw_seed(regressor.random_state)
    training, held = split_rows(regressor, X, y, sample_weight, groups, seed)
    if not len(training):
        return calibrate_part(adopt_split(regressor), X, y, groups, held)
    model = new_estimator(regressor, seed)
    arguments = weight_arguments(model, sample_weight)
    model = fit_rows(model, X, y, training, arguments)
    scale = fit_scale(
        regressor,
        model,
        new_estimator(regressor, seed),
        _safe_indexing(X, training),
        y[training],
        None if sample_weight is None else sample_weight[training],
        seed,
    )
    method = SplitIntervals(model, scale, regressor.likelihood_ratio)
    return calibrate_part(method, X, y, groups, held)


def adopt_split(regressor):
    """Return the method around an estimator that is fitted already."""
    model = regressor.estimator
    scale = adopt_scale(regressor, model)
    return SplitIntervals(model, scale, regressor.likelihood_ratio)


class SplitIntervals(HeldOut):
    """``mu(x) -+ threshold * scale(x)``.

    Parameters
    ----------
    model : fitted estimator
    scale : Scale, or None for 1
    likelihood_ratio : callable or None
    """

    def __init__(self, model, scale, likelihood_ratio):
        super().__init__(model, likelihood_ratio)
        self.scale = scale

    def _learn(self, X, y):
        residuals = y - self.predict(X)
        if self.scale is not None:
            residuals = residuals / self.scale(X)
        self.sizes = Scores(self.calibration, np.abs(residuals))
        self.above = Scores(self.calibration, residuals)
        self.below = Scores(self.calibration, -residuals)

    def intervals(self, X, levels, groups=None):
        """Return intervals of miscoverage `levels`, (n_samples, 2, n_levels)."""
        codes, own = self._test_rows(X, min(levels), groups)
        centre = self.predict(X)
        scale = 1.0 if self.scale is None else self.scale(X)
        bounds = empty_bounds(len(centre), len(levels))
        for j, alpha in enumerate(levels):
            half = self.sizes.thresholds(alpha, codes, own) * scale
            np.subtract(centre, half, out=bounds[:, 0, j])
            np.add(centre, half, out=bounds[:, 1, j])
        return bounds

    def quantiles(self, X, levels, groups=None):
        """Return one-sided bounds at quantile levels, (n_samples, n_levels).

        A level below 1/2 bounds y from below, one above it from above; at 1/2 it is the
        middle of both. They ascend: they are residuals of ascending ranks.
        """
        codes, own = self._test_rows(X, min(min(t, 1 - t) for t in levels), groups)
        centre = self.predict(X)
        scale = 1.0 if self.scale is None else self.scale(X)
        steps = [self._step(level, codes, own) for level in levels]
        return np.column_stack([centre + step * scale for step in steps])

    def _step(self, level, codes, own):
        if level > _HALF:
            return self.above.thresholds(1 - level, codes, own)
        lower = -self.below.thresholds(level, codes, own)
        if level < _HALF:
            return lower
        upper = self.above.thresholds(_HALF, codes, own)
        known = np.isfinite(lower) & np.isfinite(upper)
        # Where nothing is known of a row's group, the prediction stays as it is.
        return 0.5 * np.where(known, lower, 0.0) + 0.5 * np.where(known, upper, 0.0)
