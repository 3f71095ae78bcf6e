"""Combine quantile forecasts of several teams, week by week, some of them absent."""

import numpy as np
from scipy.stats import norm

from ensemblekit import (
    QuantileAggregator,
    QuantilePoolRegressor,
    interval_coverage,
    weighted_interval_score,
)

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
N_WEEKS, N_PLACES = 30, 40

# Teams: their error, their idea of their error, and how often they send a forecast.
TEAMS = {
    "sharp": (0.5, 0.5, 0.9),
    "modest": (0.5, 1.2, 1.0),
    "sure": (0.9, 0.3, 1.0),
    "late": (1.0, 1.0, 0.5),
}

rng = np.random.default_rng(0)
week = np.repeat(np.arange(N_WEEKS), N_PLACES)
y = 10.0 + 3.0 * np.sin(week / 5.0) + rng.normal(size=len(week))
blocks = []
for error, spread, share in TEAMS.values():
    centre = y + error * rng.normal(size=len(y))
    block = centre[:, None] + spread * norm.ppf(LEVELS)
    block[rng.uniform(size=len(y)) > share] = np.nan  # not sent
    blocks.append(block)

P = np.hstack(blocks)


def by_week(combiner):
    """Predict each week from the fifth on by weights fitted on the weeks before it."""
    parts = []
    for now in range(5, N_WEEKS):
        combiner.fit(P[week < now], y[week < now])
        parts.append(combiner.predict_quantiles(P[week == now]))
    return np.concatenate(parts)


new = week >= 5
weighted = QuantileAggregator(quantile_levels=LEVELS, absent="renormalise")
for name, combiner in {
    "mean of quantiles": QuantilePoolRegressor(quantile_levels=LEVELS),
    "median of quantiles": QuantilePoolRegressor(quantile_levels=LEVELS, kind="median"),
    "linear pool": QuantilePoolRegressor(quantile_levels=LEVELS, kind="linear"),
    "weights": weighted,
}.items():
    Q = by_week(combiner)
    score = weighted_interval_score(y[new], Q, LEVELS)
    covered = interval_coverage(y[new], Q[:, 0], Q[:, -1], 0.1)
    low, high = covered.low[0], covered.high[0]
    print(
        f"{name:20} score {score:.3f}, 90 % interval covers "
        f"{covered.coverage[0]:.3f} ({low:.3f} .. {high:.3f})"
    )
print()
for team, share in zip(TEAMS, weighted.weights_, strict=True):
    print(f"{team:8} {share:.2f}")
