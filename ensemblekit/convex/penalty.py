"""What weights cost besides their loss: distance from uniform, and a price each."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Penalty:
    """strength * sum (w - centre)^2 + price'w, over the first columns of x.

    strength : float >= 0; centre, price : (m,) float64
    """

    strength: float
    centre: np.ndarray
    price: np.ndarray

    def value(self, x):
        """Return the penalty of x."""
        w = x[: len(self.centre)]
        if self.strength == 0.0:
            return float(self.price @ w)
        return float(self.strength * np.sum((w - self.centre) ** 2) + self.price @ w)

    def gradient(self, x):
        """Return its gradient, (len(x),)."""
        g = np.zeros(len(x))
        w = x[: len(self.centre)]
        g[: len(w)] = 2.0 * self.strength * (w - self.centre) + self.price
        return g

    def rounding(self, x):
        """Return what rounding of the gradient alone can show as a gap."""
        largest = np.abs(x[: len(self.centre)]).max()
        return float(8.0 * np.finfo(np.float64).eps * self.strength * largest)

    def add_to(self, H):
        """Return H with the penalty's second derivative added."""
        if self.strength == 0.0:
            return H
        H = H.copy()
        m = len(self.centre)
        H[np.arange(m), np.arange(m)] += 2.0 * self.strength
        return H
