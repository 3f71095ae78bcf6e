"""What all scores share: checks of their arguments, and the mean over the rows."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import layout
from .._sklearn import check_sample_weight
from ..exceptions import describe_rows


def check_targets(y: ArrayLike) -> NDArray:
    """Return y as (n_samples,) float64; refuse other shapes, NaN and infinity."""
    targets = np.asarray(y, dtype=np.float64)
    if targets.ndim != 1 or targets.size == 0:
        raise ValueError(
            f"y has shape {targets.shape}; expected (n_samples,) with a row at least."
        )
    _check_finite(targets[:, None], "y")
    return targets


def check_quantile_rows(
    quantiles: ArrayLike, quantile_levels: ArrayLike, n_rows: int
) -> tuple[NDArray, NDArray]:
    """Return quantiles as (n_rows, n_levels) float64, and their levels."""
    levels = layout.check_levels(quantile_levels)
    values = np.asarray(quantiles, dtype=np.float64)
    if values.ndim == 1 and len(levels) == 1:
        values = values[:, None]
    if values.shape != (n_rows, len(levels)):
        raise ValueError(
            f"quantiles has shape {values.shape}; expected ({n_rows}, {len(levels)}): "
            "a row for each of y, a column for each of quantile_levels."
        )
    _check_finite(values, "quantiles")
    return values, levels


def check_ascending(quantiles: NDArray) -> None:
    """Refuse rows whose quantiles decrease along the levels."""
    crossing = np.flatnonzero((np.diff(quantiles, axis=1) < 0).any(axis=1))
    if crossing.size:
        raise ValueError(
            "quantiles decrease along the levels "
            f"({describe_rows(crossing)}): they cross; sort them within each row "
            "first."
        )


def check_draws(draws: ArrayLike, n_rows: int) -> NDArray:
    """Return draws as (n_rows, n_draws) float64; refuse NaN and infinity."""
    values = np.asarray(draws, dtype=np.float64)
    if values.ndim != 2 or len(values) != n_rows or values.shape[1] == 0:
        raise ValueError(
            f"draws has shape {values.shape}; expected ({n_rows}, n_draws): a row for "
            "each of y, a column for each draw."
        )
    _check_finite(values, "draws")
    return values


def check_interval(
    lower: ArrayLike, upper: ArrayLike, n_rows: int
) -> tuple[NDArray, NDArray]:
    """Return both ends as (n_rows,) float64; open ends are -inf and inf."""
    ends = [np.asarray(end, dtype=np.float64) for end in (lower, upper)]
    for end, name, impossible in zip(
        ends, ("lower", "upper"), (np.inf, -np.inf), strict=True
    ):
        if end.shape != (n_rows,):
            raise ValueError(
                f"{name} has shape {end.shape}; expected ({n_rows},), a bound for each "
                "row of y."
            )
        bad = np.flatnonzero(np.isnan(end) | (end == impossible))
        if bad.size:
            raise ValueError(
                f"{name} is NaN or {impossible} ({describe_rows(bad)}); expected a "
                f"number, or {-impossible} where the interval has no end."
            )
    inverted = np.flatnonzero(ends[0] > ends[1])
    if inverted.size:
        raise ValueError(
            f"lower is above upper ({describe_rows(inverted)}); swap the two, or sort "
            "the quantiles they come from."
        )
    return ends[0], ends[1]


def check_share(value: float, name: str) -> float:
    """Refuse what is not inside (0, 1)."""
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} is {value!r}; expected a number inside (0, 1).")
    return float(value)


def mean_or_rows(
    scores: NDArray, sample_weight: ArrayLike | None, average: bool
) -> float | NDArray:
    """Return the weighted mean of the rows' scores, or the scores themselves."""
    if average:
        weight = check_sample_weight(sample_weight, scores)
        counted = weight > 0.0  # an infinite score of weight 0 is none
        rows = scores[counted]
        rows = rows.mean(axis=1) if rows.ndim == 2 else rows
        return float(np.average(rows, weights=weight[counted]))
    if sample_weight is not None:
        raise ValueError(
            "sample_weight weighs the mean, which average=False does not take. Leave "
            "one of them out."
        )
    return scores


def _check_finite(values, name):
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad.size:
        raise ValueError(
            f"{name} is NaN or infinite ({describe_rows(bad)}); leave such rows out."
        )
