"""Intervals of a series: electricity demand, influenza, and time against MAPIE.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_conformal_series.py

The model is trained on 2012 and predicts 2013 and 2014 from the calendar, the
temperature and the demand of a day and a week before: what it misses shifts with the
seasons. `split` never learns what came next; the others are told each row. Coverage is
given for the whole and for the worst of 24 months; widths are medians, as some are
infinite.

Influenza: the 90 % intervals that two models of the FluSight hub gave for 53 places in
2023/24, moved by the outcomes known when each was due, place by place, on the scale of
square roots; coverage from the ninth week on.
"""

from time import perf_counter

import numpy as np
from harness import print_header
from real_tables import DATA
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge

from ensemblekit import (
    AdaptiveConformalRegressor,
    EnbPIRegressor,
    adaptive_interval,
    adaptive_thresholds,
)

ALPHA, DAY = 0.1, 48
MODEL = HistGradientBoostingRegressor(max_iter=200, random_state=0)


def read_demand():
    """Return X, y, the month of each row, and the first row of 2013."""
    import pandas as pd

    table = pd.read_parquet(DATA / "vic_elec.parquet")
    y = table.pop("target").to_numpy()
    day, week = DAY, 7 * DAY
    calendar = table[["Temperature", "Holiday", "hour", "dayofyear", "weekday"]]
    lags = [y[week - day : -day], y[:-week]]
    X = np.column_stack([calendar.to_numpy(np.float64)[week:], *lags])
    year = table["year"].to_numpy()[week:]
    month = 12 * year + (table["dayofyear"].to_numpy()[week:] - 1) // 31
    return X, y[week:], month, int((year < 2013).sum())


def coverage(label, interval, y, month, seconds):
    low, high = interval.T
    held = (low <= y) & (y <= high)
    months = [held[month == name].mean() for name in np.unique(month)]
    width = high - low
    print(
        f"  {label:<26}{held.mean():9.3f}{min(months):12.3f}{np.median(width):10.0f} MW"
        f"{np.isinf(width).mean():10.4f}{seconds:9.2f} s"
    )


def adaptive_path(model, X, y, options):
    """Return the intervals of all rows, each told those before it."""
    scores = np.abs(y - model.predict(X))
    path = adaptive_thresholds(scores, ALPHA, **options)
    return model.predict(X)[:, None] + path.threshold[:, None] * [-1.0, 1.0]


def enbpi_path(model, X, y, step):
    """Return the intervals of all rows, told every `step` rows what came."""
    parts = []
    for start in range(0, len(y), step):
        rows = slice(start, start + step)
        parts.append(model.predict_interval(X[rows]))
        model.update(X[rows], y[rows])
    return np.concatenate(parts)


def demand():
    if not DATA.exists():
        print("the folder of real tables is not here: demand is skipped\n")
        return
    X, y, month, first = read_demand()
    new, truth, months = X[first:], y[first:], month[first:]
    print(f"Demand: trained on {first} rows, {len(truth)} new ones; alpha {ALPHA}")
    print(f"  {'':<26}{'coverage':>9}{'worst month':>12}{'width':>13}{'infinite':>10}")
    start = perf_counter()
    model = AdaptiveConformalRegressor(MODEL, alpha=ALPHA).fit(X[:first], y[:first])
    interval = model.predict_interval(new)
    coverage("split", interval, truth, months, perf_counter() - start)
    train = first - int(np.ceil(0.25 * first))
    past = np.abs(y[train:first] - model.predict(X[train:first]))
    for gamma in (0.005, 0.02, 0.1, "auto"):
        for window in (None, 14 * DAY):
            options = {"gamma": gamma, "window": window, "past_scores": past}
            start = perf_counter()
            interval = adaptive_path(model, new, truth, options)
            label = f"adaptive {gamma}, window {window}"
            coverage(label, interval, truth, months, perf_counter() - start)
    for window in (None, 14 * DAY):
        start = perf_counter()
        ensemble = EnbPIRegressor(
            HistGradientBoostingRegressor(max_iter=50, random_state=0),
            n_resamples=15,
            block_length=DAY,
            window=window,
            random_state=0,
        ).fit(X[:first], y[:first])
        interval = enbpi_path(ensemble, new, truth, DAY)
        label = f"EnbPI by days, window {window}"
        coverage(label, interval, truth, months, perf_counter() - start)


def influenza(first_week=9):
    if not DATA.exists():
        print("\nthe folder of forecasts is not here: influenza is skipped")
        return
    import pandas as pd

    print("\nInfluenza: coverage of 90 % intervals (share that is infinite)")
    for horizon in (0, 3):
        file = DATA / "libraries" / f"flusight_2023_24_h{horizon}.parquet"
        season = pd.read_parquet(file).dropna(subset="target")
        for model in ("FluSight-baseline", "FluSight-ensemble"):
            own = season[season.model == model].sort_values("reference_date")
            late = own.reference_date.rank(method="dense").to_numpy() >= first_week
            y = np.sqrt(own.target.to_numpy(np.float64))
            ends = np.sqrt(own[["q0.05", "q0.95"]].to_numpy(np.float64).clip(0.0))
            parts = [_share(ends, y, late)]
            for gamma in (0.02, 0.1, "auto"):
                moved = adaptive_interval(
                    y,
                    ends,
                    ALPHA,
                    gamma=gamma,
                    horizon=horizon + 1,
                    groups=own.location.astype(str),
                )
                parts.append(f"{gamma}: {_share(moved, y, late)}")
            print(f"  {horizon} weeks, {model:<18}", "; ".join(parts))


def _share(interval, y, rows):
    held = (interval[:, 0] <= y) & (y <= interval[:, 1])
    infinite = np.isinf(interval[rows]).any(axis=1).mean()
    return f"{held[rows].mean():.3f} ({infinite:.3f})"


def against_mapie(n_past=1000, n_new=200):
    """Time of the new rows one by one, a linear model: intervals and updates."""
    print(f"\n{n_past} rows of the past, {n_new} new ones one by one")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_past + n_new, 5))
    y = X.sum(axis=1) + rng.normal(size=len(X))
    old, rows = slice(n_past), range(n_past, n_past + n_new)
    ours = AdaptiveConformalRegressor(Ridge(), gamma=0.05).fit(X[old], y[old])
    start = perf_counter()
    for i in rows:
        ours.predict_interval(X[i : i + 1])
        ours.update(X[i : i + 1], y[i : i + 1])
    seconds = perf_counter() - start
    print(f"  ours, adaptive      {1e3 * seconds / n_new:8.2f} ms a row")
    try:
        from mapie.regression import TimeSeriesRegressor
    except ImportError:
        print("  MAPIE is not installed: skipped")
        return
    theirs = TimeSeriesRegressor(Ridge(), method="aci", cv="split")
    theirs.fit(X[old], y[old])
    start = perf_counter()
    for i in rows:
        theirs.predict(X[i : i + 1], confidence_level=0.9, allow_infinite_bounds=True)
        theirs.adapt_conformal_inference(X[i : i + 1], y[i : i + 1], gamma=0.05)
        theirs.update(X[i : i + 1], y[i : i + 1])
    ratio = (perf_counter() - start) / seconds
    print(
        f"  MAPIE, aci          {1e3 * ratio * seconds / n_new:8.2f} ms, {ratio:.1f}x"
    )


if __name__ == "__main__":
    print_header("Intervals of a series")
    demand()
    influenza()
    against_mapie()
