"""Losses of one row as functions of z = (D x)_i, with slope and root of the curvature.

z is a residual, prediction - y, or for log loss the probability of the true class.
Each maps (n,) to (n,); `mean` takes the rows' shares, which sum to 1.
"""

from dataclasses import dataclass

import numpy as np

from .. import kernels

TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class LogLoss:
    """-log z."""

    def mean(self, z, share):
        """Return the mean loss; inf where a row that counts has no probability."""
        if z.min() <= 0.0:
            if z[share > 0.0].min(initial=1.0) <= 0.0:
                return np.inf
            z = np.maximum(z, TINY)
        return -float(share @ np.log(z))

    def value(self, z):
        """Return the losses, probabilities below the machine epsilon counting as it."""
        return -np.log(np.maximum(z, np.finfo(np.float64).eps))

    def slope(self, z):
        """Return -1 / z."""
        return -1.0 / np.maximum(z, TINY)

    def root_curvature(self, z):
        """Return 1 / z, the root of the second derivative."""
        return 1.0 / np.maximum(z, TINY)


@dataclass(frozen=True)
class Huber:
    """z^2 / 2 up to delta, linear beyond (Huber, 1964)."""

    delta: float

    def mean(self, z, share):
        """Return the mean loss."""
        return float(share @ self.value(z))

    def value(self, z):
        """Return the losses."""
        size = np.abs(z)
        inside = np.minimum(size, self.delta)
        return inside * (size - 0.5 * inside)

    def slope(self, z):
        """Return z, clipped to [-delta, delta]."""
        return np.clip(z, -self.delta, self.delta)

    def root_curvature(self, z):
        """Return 1 up to delta, 0 beyond."""
        return (np.abs(z) <= self.delta).astype(np.float64)


@dataclass(frozen=True)
class Pinball:
    """scale * max(-level z, (1 - level) z): absolute error is level 1/2, scale 2.

    level : in (0, 1), one for all rows or (n_rows,)
    """

    level: float | np.ndarray
    scale: float = 1.0

    def mean(self, z, share):
        """Return the mean loss."""
        return self.scale * kernels.pinball.mean(z, share, self.level)

    def value(self, z):
        """Return the losses."""
        return self.scale * np.maximum(-self.level * z, (1.0 - self.level) * z)

    def clip(self, u):
        """Return the nearest slopes that the loss has."""
        return np.clip(u, -self.scale * self.level, self.scale * (1.0 - self.level))


@dataclass(frozen=True)
class SmoothPinball:
    """The pinball loss with its kink rounded over |z| < band / 2.

    Below the pinball loss by at most scale * band / 8; convex, piecewise quadratic.
    """

    pinball: Pinball
    band: float

    def mean(self, z, share):
        """Return the mean loss."""
        mean = kernels.pinball.smooth_mean(z, share, self.pinball.level, self.band)
        return self.pinball.scale * mean

    def slope(self, z):
        """Return the slope, which is inside the pinball loss's own slopes."""
        slope = kernels.pinball.smooth_slope(z, self.pinball.level, self.band)
        return slope if self.pinball.scale == 1.0 else self.pinball.scale * slope

    def root_curvature(self, z):
        """Return 1 / sqrt(band) inside the band, 0 outside."""
        return (np.abs(z) < 0.5 * self.band) * np.sqrt(self.pinball.scale / self.band)
