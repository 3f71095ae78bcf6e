"""Combine a season's influenza forecasts week by week, by what earlier weeks show.

Reads the FluSight season of 2023/24 where it lies beside the checkout, or in
$ENSEMBLEKIT_DATA; without it makes a season of the same shape. The target is the number
of admissions one week ahead, the members are teams, some of them absent in some weeks.
"""

import os
from pathlib import Path

import numpy as np

from ensemblekit import (
    QuantileAggregator,
    conformal_quantile,
    interval_coverage,
    weighted_interval_score,
)

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
SEASON = Path(os.environ.get("ENSEMBLEKIT_DATA", BESIDE))
SEASON /= "libraries/flusight_2023_24_h1.parquet"
FIRST_WEEKS = 4


def read_season():
    """Return levels, P, the baseline, y, and the week of each row."""
    import pandas as pd

    table = pd.read_parquet(SEASON).dropna(subset="target")
    columns = [name for name in table if name.startswith("q")]
    keys = ["reference_date", "location"]
    rows = table.drop_duplicates(keys).set_index(keys).target.sort_index()
    baseline = table[table.model == "FluSight-baseline"].set_index(keys)[columns]
    baseline = baseline.reindex(rows.index).to_numpy(np.float64)
    teams = [own for _, own in table[~table.is_reference].groupby("model")]
    blocks = [own.set_index(keys)[columns].reindex(rows.index) for own in teams]
    P = np.hstack([block.to_numpy(np.float64) for block in blocks])
    used = ~np.isnan(baseline).any(axis=1) & ~np.isnan(P).all(axis=1)
    week = np.unique(rows.index.get_level_values(0)[used], return_inverse=True)[1]
    levels = np.array([float(name[1:]) for name in columns])
    return levels, P[used], baseline[used], rows.to_numpy(np.float64)[used], week


def make_season(n_weeks=25, n_places=50, n_teams=8):
    """Return the same of a season that was drawn."""
    rng = np.random.default_rng(0)
    levels = np.array([0.01, 0.025, *np.arange(1, 20) / 20, 0.975, 0.99])
    week = np.repeat(np.arange(n_weeks), n_places)
    level = 40.0 + 30.0 * np.sin(week / 6.0)
    y = rng.poisson(level).astype(np.float64)
    draws = np.sqrt(level)[:, None] * rng.normal(size=(len(y), 2000))
    noise = np.quantile(draws, levels, axis=1).T
    blocks = []
    for error in rng.uniform(0.0, 0.5, n_teams):
        drift = 1.0 + error * rng.normal(size=n_weeks)[week]
        block = np.maximum(level * drift, 1.0)[:, None] + noise
        block[rng.uniform(size=len(y)) < 0.1] = np.nan
        blocks.append(block)
    baseline = np.roll(y, n_places)[:, None] + 3.0 * noise
    return levels, np.hstack(blocks), baseline, y, week


def stretched(Q, past_Q, past_y, alphas):
    """Return intervals of Q, scaled about the median by what the past needed.

    A conformal rank of past errors; weeks are not exchangeable, so it is no guarantee.
    """
    ends, middle, past_middle = [], Q.shape[1] // 2, past_Q[:, Q.shape[1] // 2]
    for alpha, (low, high) in alphas.items():
        below = np.maximum(past_middle - past_Q[:, low], 0.5)
        above = np.maximum(past_Q[:, high] - past_middle, 0.5)
        error = past_y - past_middle
        factor = conformal_quantile(np.maximum(-error / below, error / above), alpha)
        lower = Q[:, middle] - factor * np.maximum(Q[:, middle] - Q[:, low], 0.5)
        upper = Q[:, middle] + factor * np.maximum(Q[:, high] - Q[:, middle], 0.5)
        ends.append(np.column_stack([np.maximum(lower, 0.0), upper]))
    return np.stack(ends, axis=2)


found_season = SEASON.exists()
levels, P, baseline, y, week = read_season() if found_season else make_season()
print("FluSight 2023/24" if found_season else "a season that was drawn", end=": ")
print(f"{len(y)} forecasts, {P.shape[1] // len(levels)} teams, {week.max() + 1} weeks")

# Rows of one week are far from independent: weights are drawn to the teams' skill.
combiner = QuantileAggregator(
    quantile_levels=levels,
    ridge=10.0,
    ridge_center="inverse_loss",
    absent="renormalise",
)
cube = P.reshape(len(P), -1, len(levels))
mean, median = np.nanmean(cube, axis=1), np.nanmedian(cube, axis=1)
weighted = mean.copy()
alphas = {}
for alpha in (0.5, 0.1):
    low = int(np.argmin(np.abs(levels - alpha / 2)))
    alphas[alpha] = (low, len(levels) - 1 - low)
intervals = np.full((len(y), 2, len(alphas)), np.nan)
for now in range(FIRST_WEEKS, week.max() + 1):
    # A forecast one week ahead is over two weeks after it was made.
    past, new = week < now - 1, week == now
    weighted[new] = combiner.fit(P[past], y[past]).predict_quantiles(P[new])
    intervals[new] = stretched(weighted[new], weighted[past], y[past], alphas)

new = week >= FIRST_WEEKS
base = weighted_interval_score(y[new], baseline[new], levels)
print("\nscore relative to the baseline, and coverage of 50 and 90 %")
forecasts = {"baseline": baseline, "mean": mean, "median": median, "weights": weighted}
for name, Q in forecasts.items():
    score = weighted_interval_score(y[new], Q[new], levels) / base
    covered = [
        interval_coverage(y[new], Q[new, low], Q[new, high], alpha).coverage[0]
        for alpha, (low, high) in alphas.items()
    ]
    print(f"{name:10} {score:.3f}  {covered[0]:.3f} {covered[1]:.3f}")
covered = [
    interval_coverage(y[new], *intervals[new, :, k].T, alpha).coverage[0]
    for k, alpha in enumerate(alphas)
]
print(f"{'stretched':10}        {covered[0]:.3f} {covered[1]:.3f}")
