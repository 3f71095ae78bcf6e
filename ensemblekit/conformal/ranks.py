"""The rank of the calibration score that gives coverage, in exact arithmetic.

``(n + 1) * (1 - alpha)`` in floating point is one rank off where it should be whole:
``10 * (1 - 0.1)`` must be 9. So a level is the fraction that was typed.
"""

import warnings
from decimal import Decimal
from fractions import Fraction
from numbers import Rational

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._levels import exact_level
from ..exceptions import InfeasibleRankWarning

__all__ = ["conformal_quantile", "conformal_rank"]


def conformal_rank(n_samples: int, alpha: float | str | Decimal | Rational) -> int:
    """Return the rank of the score that a new score exceeds with chance <= alpha.

    Of ``n_samples + 1`` exchangeable scores, the last is at most the k-th smallest of
    the others with probability at least ``1 - alpha`` where
    ``k = ceil((n_samples + 1) * (1 - alpha))``, and no smaller k will do. Where k is
    above `n_samples`, no finite threshold has that coverage.

    Parameters
    ----------
    n_samples : int
        Calibration scores, >= 0.
    alpha : float, str, Decimal or Rational
        Miscoverage in (0, 1). A float is the fraction that its shortest decimal spells:
        0.1 is one tenth.

    Returns
    -------
    k : int
        From 1 to ``n_samples + 1``.

    Raises
    ------
    ValueError
        If alpha is no number inside (0, 1), or `n_samples` is negative.

    References
    ----------
    .. [1] Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005.

    Examples
    --------
    >>> conformal_rank(9, 0.1), conformal_rank(8, 0.1), conformal_rank(99, "0.05")
    (9, 9, 95)
    """
    if n_samples < 0:
        raise ValueError(f"n_samples is {n_samples}; expected 0 or more.")
    return upper_rank(int(n_samples), exact_level(alpha))


def conformal_quantile(
    scores: ArrayLike, alpha: float | str | Decimal | Rational
) -> float:
    """Return the score of `conformal_rank`; infinity where no finite one will do.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Calibration scores; infinite ones count, as the largest.
    alpha : float, str, Decimal or Rational
        Miscoverage in (0, 1).

    Returns
    -------
    threshold : float

    Warns
    -----
    InfeasibleRankWarning
        If there are too few scores for this alpha: the threshold is infinite.

    Raises
    ------
    ValueError
        If scores are not one column of numbers, or NaN, or alpha is outside (0, 1).

    Notes
    -----
    Coverage given these scores, where they are continuous, has the distribution
    Beta(k, n_samples + 1 - k). Time: O(n_samples).

    Examples
    --------
    >>> conformal_quantile([3.0, 1.0, 2.0, 4.0], 0.4)
    3.0
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"scores have shape {values.shape}; expected (n_samples,).")
    if np.isnan(values).any():
        row = int(np.flatnonzero(np.isnan(values))[0])
        raise ValueError(f"scores have NaN, first at row {row}.")
    level = exact_level(alpha)
    warn_if_infeasible(len(values), level)
    return score_at(values, upper_rank(len(values), level))


def exact_levels(alpha: ArrayLike) -> tuple[list[Fraction], bool]:
    """Return the levels as fractions, and whether one was given, not several.

    Examples
    --------
    >>> exact_levels([0.1, 0.2])
    ([Fraction(1, 10), Fraction(1, 5)], False)
    """
    if np.ndim(alpha) > 1 or np.size(alpha) == 0:
        raise ValueError(f"alpha is {alpha!r}; expected a number or a list of numbers.")
    single = np.ndim(alpha) == 0
    levels: list = [alpha] if single else list(alpha)  # type: ignore[arg-type]
    return [exact_level(level) for level in levels], single


def upper_rank(n_samples: int, alpha: Fraction) -> int:
    """Return ``ceil((n_samples + 1) * (1 - alpha))``."""
    return -((-(n_samples + 1) * (1 - alpha)) // 1)


def lower_rank(n_samples: int, alpha: Fraction) -> int:
    """Return ``floor((n_samples + 1) * alpha)``, 0 where no finite bound will do."""
    return int((n_samples + 1) * alpha // 1)


def least_samples(alpha: Fraction) -> int:
    """Return the number of scores from which on the threshold is finite."""
    return -((-(1 - alpha) / alpha) // 1)


def score_at(scores: NDArray, rank: int) -> float:
    """Return the rank-th smallest; infinite beyond the ends."""
    if rank > len(scores):
        return np.inf
    return -np.inf if rank < 1 else float(np.partition(scores, rank - 1)[rank - 1])


def warn_if_infeasible(
    n_samples: int, alpha: Fraction, what: str = "", stacklevel: int = 3
) -> None:
    """Warn where so few scores give no finite threshold."""
    if upper_rank(n_samples, alpha) > n_samples:
        warnings.warn(
            f"{n_samples} calibration rows{what} give no finite bound that holds "
            f"with probability {float(1 - alpha):.6g}: it is infinite. At least "
            f"{least_samples(alpha)} are needed; give more rows or a larger alpha.",
            InfeasibleRankWarning,
            stacklevel=stacklevel,
        )
