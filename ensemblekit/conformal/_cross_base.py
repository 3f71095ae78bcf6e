"""What the cross methods share: scores sorted by fold, bounds at several levels."""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import kernels
from .ranks import lower_rank, upper_rank, warn_if_infeasible


class FoldScores(NamedTuple):
    """Scores sorted within their folds, and the same with the opposite sign.

    values, mirrored : ndarray of shape (n_samples,)
    starts : ndarray of shape (n_folds + 1,), where each fold begins
    """

    values: NDArray
    mirrored: NDArray
    starts: NDArray

    @classmethod
    def of(cls, scores: NDArray, folds: NDArray, n_folds: int) -> "FoldScores":
        """Sort scores by fold. O(n log n)."""
        lists = kernels.shifted_lists
        values, starts = lists.sort_by_fold(scores, folds, n_folds)
        return cls(values, lists.negate_lists(values, starts), starts)

    def bounds(
        self, low: NDArray, high: NDArray, scales: NDArray | None, level: Fraction
    ) -> NDArray:
        """Return the plus form's bounds, (n_rows, 2).

        low, high : (n_rows, n_folds), what each fold's model predicts below and above
        scales : (n_rows, n_folds) or None, what scores are multiples of
        """
        kth = kernels.shifted_lists.kth_smallest
        n = len(self.values)
        below = kth(low, scales, self.mirrored, self.starts, lower_rank(n, level))
        above = kth(high, scales, self.values, self.starts, upper_rank(n, level))
        return np.column_stack([below, above])


def warn_of_levels(n_samples: int, levels: list[Fraction]) -> None:
    """Warn once if so few rows give no finite bound at the smallest level."""
    warn_if_infeasible(n_samples, min(levels))


def check_numbers(
    values: ArrayLike | None, label: str, shape: tuple[int | None, ...]
) -> NDArray:
    """Return a float64 array of the shape (None: any length), without NaN.

    Raises
    ------
    ValueError
        If it has another shape, or NaN.
    """
    array = np.asarray(values, dtype=np.float64)
    fits = len(array.shape) == len(shape) and all(
        wanted in (None, got) for wanted, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(
            f"{label} has shape {array.shape}; expected "
            f"({wanted}{',' * (len(shape) == 1)})."
        )
    bad = _rows_where(np.isnan(array))
    if bad.size:
        raise ValueError(f"{label} has NaN, first at row {bad[0]}.")
    return np.ascontiguousarray(array)


def check_predictions(
    values: ArrayLike | None, label: str, shape: tuple[int | None, ...]
) -> NDArray:
    """Return a finite float64 array of the shape.

    Raises
    ------
    ValueError
        If it has another shape, NaN or infinity.
    """
    array = check_numbers(values, label, shape)
    bad = _rows_where(np.isinf(array))
    if bad.size:
        raise ValueError(
            f"{label} has an infinite value, first at row {bad[0]}; expected finite "
            "numbers."
        )
    return array


def _rows_where(bad):
    """Return the numbers of the rows that hold any True."""
    return np.flatnonzero(bad.any(axis=1) if bad.ndim == 2 else bad)


def refuse_groups(groups, method):
    """Refuse groups where they would change no threshold.

    Raises
    ------
    ValueError
        If there are groups.
    """
    if groups is not None:
        raise ValueError(
            f"method={method!r} has one threshold for all groups; leave groups out, or "
            "use method='split' for coverage within each group."
        )
