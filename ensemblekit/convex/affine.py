"""Least squares over weights of any sign: one linear system, from rows if need be.

A Gram matrix squares the condition of its rows: members that agree to 1e-8 are one
member to it. The triangular factor of the rows keeps them apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .solve import EPS, Solution

if TYPE_CHECKING:
    from .penalty import Penalty

# A Gram matrix (of unit diagonal) below that is near singular: its digits are noise.
_WELL_CONDITIONED = 1e-6


def is_well_conditioned(gram, span):
    """Return whether a Gram matrix tells all directions of the set apart."""
    if not span.shape[1]:
        return True
    bend = span.T @ gram @ span
    size = np.sqrt(np.maximum(bend.diagonal(), 0.0))
    # A difference of large entries has no digits of its own.
    if not (size**2 > _WELL_CONDITIONED * gram.diagonal().max()).all():
        return False
    return bool(np.linalg.eigvalsh(bend / np.outer(size, size))[0] > _WELL_CONDITIONED)


def solve(factor, noise, feasible, penalty: Penalty, tol) -> Solution:
    """Minimise |factor x|^2 + price'x over an affine set; the shortest of many optima.

    factor : (k, q), factor'factor the Gram matrix; noise : its relative rounding
    feasible : a set with a span; penalty : without a ridge
    Directions that change the loss by less than noise are left alone. If noise is that
    of a Gram matrix, the gap is then all that a loss >= 0 can fall.

    Raises
    ------
    ValueError
        If prices make the objective fall without bound.
    """
    start, span = feasible.start(), feasible.span
    across = factor @ span
    # To columns of one size, so that a member in other units is not lost.
    coarse = noise > EPS
    noise *= len(start) * np.linalg.norm(factor)
    scale = np.linalg.norm(across, axis=0)
    scale = np.where(scale > noise, scale, np.inf)
    left, size, right = np.linalg.svd(across / scale, full_matrices=False)
    rounding = noise / scale.min() if np.isfinite(scale).any() else np.inf
    kept = size > rounding
    price = span.T @ penalty.gradient(np.zeros(len(start)))
    _refuse_unbounded(price, right[kept] / scale, span)
    pull = right[kept] @ np.where(np.isinf(scale), 0.0, price / scale)
    toward = -left[:, kept].T @ (factor @ start) - 0.5 * pull / size[kept]
    x = start + span @ (right[kept].T @ (toward / size[kept]) / scale)
    residual = factor @ x
    left_over = left[:, kept].T @ residual + 0.5 * pull / size[kept]
    loss, gap = float(residual @ residual), float(left_over @ left_over)
    if coarse and not kept.all():
        gap = loss
    objective = loss + penalty.value(x)
    accepted = tol * abs(objective) + (noise * np.linalg.norm(x)) ** 2
    return Solution(x, loss, objective, gap, 1, accepted)


def _refuse_unbounded(price, kept, span):
    """Refuse a price along a direction in which the loss does not change."""
    if not price.any():
        return
    basis = np.linalg.qr(kept.T)[0] if len(kept) else np.zeros((len(price), 0))
    free = price - basis @ (basis.T @ price)
    if np.linalg.norm(free) > 1e-9 * np.linalg.norm(price):
        raise ValueError(
            "cost and own_error have no least sum: with nonnegative=False some members "
            "can be exchanged at no loss, ever cheaper. Set ridge above 0, or leave "
            "out members that are copies or mixtures of others."
        )
