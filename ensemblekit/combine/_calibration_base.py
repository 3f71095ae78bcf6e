"""Calibrators: fitted on held-out mixtures, applied to those of new rows.

Each has ``fit(mixtures, y, weight)``, which returns itself, ``apply(mixtures)``, and
``results``, its parameters under the names of the fitted attributes.
"""

import numpy as np
from sklearn.isotonic import IsotonicRegression

from .. import kernels

_CLIP = 1e-6  # lower probabilities are read as this one before the logarithm
_ROUNDING = 8 * np.finfo(np.float64).eps  # relative spread of equal mixtures


class LogCalibrator:
    """softmax(slope * log p + bias); temperature scaling is the slope alone."""

    def __init__(self, with_bias, ridge):
        self.with_bias, self.ridge = with_bias, ridge

    def fit(self, mixtures, y, weight):
        """Find slope and bias of least log loss; y holds class codes."""
        self.slope, bias, _ = kernels.calibrate.calibrate_logs(
            _logs(mixtures), y, weight, self.ridge, self.with_bias
        )
        self.bias = bias - bias.mean()
        self.results = {"slope_": self.slope, "intercept_": self.bias}
        return self

    def apply(self, mixtures):
        """Return the calibrated probabilities."""
        return kernels.calibrate.probabilities(_logs(mixtures), self.slope, self.bias)


class IsotonicClassCalibrator:
    """Monotone in each class's probability (of two classes: the second's)."""

    def fit(self, mixtures, y, weight):
        """Fit one class against the rest; y holds class codes."""
        rows = weight > 0.0
        least = 1.0 / (np.count_nonzero(rows) + 2)
        n_classes = mixtures.shape[1]
        self.lines = [
            IsotonicRegression(
                y_min=least, y_max=1.0 - least, out_of_bounds="clip"
            ).fit(mixtures[rows, k], y[rows] == k, sample_weight=weight[rows])
            for k in (range(n_classes) if n_classes > 2 else [1])
        ]
        self.results = {"isotonic_": self.lines}
        return self

    def apply(self, mixtures):
        """Return the calibrated probabilities, scaled to sum to 1."""
        if len(self.lines) == 1:
            second = self.lines[0].predict(mixtures[:, 1])
            return np.column_stack([1.0 - second, second])
        columns = [
            line.predict(mixture)
            for line, mixture in zip(self.lines, mixtures.T, strict=True)
        ]
        values = np.column_stack(columns)
        return values / values.sum(axis=1, keepdims=True)


class LineCalibrator:
    """intercept + slope * prediction, by least squares."""

    def fit(self, mixtures, y, weight):
        """Find the line; predictions that are all the same keep slope 1."""
        share = weight / weight.sum()
        middle, level = share @ mixtures, share @ y
        away = mixtures - middle
        spread, rounding = share @ away**2, _ROUNDING * np.abs(mixtures).max()
        self.slope = 1.0
        if spread > rounding**2:
            self.slope = float(share @ (away * (y - level)) / spread)
        self.intercept = float(level - self.slope * middle)
        self.results = {"slope_": self.slope, "intercept_": self.intercept}
        return self

    def apply(self, mixtures):
        """Return the calibrated values."""
        return self.intercept + self.slope * mixtures


class IsotonicValueCalibrator:
    """Monotone in the prediction, constant outside of those held out."""

    def fit(self, mixtures, y, weight):
        """Find the monotone function of least squares."""
        rows = weight > 0.0
        self.line = IsotonicRegression(out_of_bounds="clip")
        self.line.fit(mixtures[rows], y[rows], sample_weight=weight[rows])
        self.results = {"isotonic_": self.line}
        return self

    def apply(self, mixtures):
        """Return the calibrated values."""
        return self.line.predict(mixtures)


def _logs(mixtures):
    return np.log(np.maximum(mixtures, _CLIP))
