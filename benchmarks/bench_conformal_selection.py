"""Conformal selection against its loop, votes against theirs, and what merging costs.

The peers are ports to Python of published scripts, with the predictions at hand: the
loop of the authors of OptCS (one pass over all rows for each row and each model), and
that of the authors of the majority vote (all intervals at every end, row by row).
"""

import statistics
import sys
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import harness
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor as KNN
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from threadpoolctl import threadpool_limits

import ensemblekit
from ensemblekit import (
    ConformalSelector,
    conformal_rank,
    merge_intervals,
    optimized_conformal_selection,
    select_narrowest,
)

FDR = 0.2


# Peers.
def bh_size(p_values, fdr):
    """Rows that Benjamini-Hochberg selects."""
    m = len(p_values)
    ordered = np.sort(p_values)
    passing = [r for r in range(1, m + 1) if ordered[r - 1] <= fdr * r / m]
    return max(passing, default=0)


def loop_of_optcs(fitted, y, new, fdr):
    """For each row and model the p-values of all rows, one by one; then e-BH."""
    (n, n_members), m = fitted.shape, len(new)
    scores = [np.where(y > 0, np.inf, -fitted[:, k]) for k in range(n_members)]
    sizes = np.empty((m, n_members), int)
    for j in range(m):
        for k in range(n_members):
            own = -new[j, k]
            p = np.zeros(m)
            for row in range(m):
                if row != j:
                    count = np.sum(scores[k] <= -new[row, k]) + (own <= -new[row, k])
                    p[row] = count / (n + 1)
            sizes[j, k] = bh_size(p, fdr)
    members = np.argmax(sizes, axis=1)
    e_values = np.zeros(m)
    for j in range(m):
        k = members[j]
        p = (1 + np.sum(scores[k] <= -new[j, k])) / (n + 1)
        size = sizes[j, k]
        e_values[j] = (p <= fdr * size / m) * m / (fdr * size)
    ordered = np.sort(e_values)[::-1]
    sure = [r for r in range(1, m + 1) if ordered[r - 1] >= m / (fdr * r) * (1 - 1e-12)]
    least = m / (fdr * max(sure)) * (1 - 1e-12) if sure else np.inf
    return e_values >= least


def loop_of_votes(intervals):
    """Length of the majority's pieces of each row: every end against all intervals."""
    measures = []
    for row in intervals:
        ends = sorted(end for interval in row for end in interval)
        total = 0.0
        for left, right in pairwise(ends):
            middle, votes = (left + right) / 2.0, 0.0
            for lower, upper in row:
                if lower <= middle <= upper:
                    votes += 1.0 / len(row)
            if votes > 0.5:
                total += right - left
        measures.append(total)
    return np.array(measures)


# Workloads.
def candidates(n, m, n_members, seed=0):
    """Models of growing noise: calibration predictions and targets, new predictions."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n + m)
    noise = np.linspace(0.5, 2.0, n_members)
    P = y[:, None] + noise * rng.normal(size=(n + m, n_members))
    return P[:n], y[:n], P[n:]


def seconds_once(function):
    start = perf_counter()
    result = function()
    return perf_counter() - start, result


def bench_optcs():
    print(
        "OptCS: n calibration rows, m new rows, M models; fdr 0.2; the loop runs once"
    )
    for n, m, n_members in [(200, 100, 5), (500, 200, 5)]:
        args = candidates(n, m, n_members)

        def ours(args=args):
            return optimized_conformal_selection(*args, fdr=FDR)

        seconds = harness.median_seconds(ours, repeats=31)
        loop_seconds, selected = seconds_once(
            lambda args=args: loop_of_optcs(*args, FDR)
        )
        result = ours()
        same = np.array_equal(selected, result.selected)
        harness.print_row(f"n={n} m={m} M={n_members}: ours", seconds)
        note = f"{loop_seconds / seconds:,.0f} x; identical: {same}; "
        note += f"{selected.sum()} rows selected"
        harness.print_row("  the loop", loop_seconds, note)
    args = candidates(10_000, 10_000, 9)
    seconds = harness.median_seconds(lambda: optimized_conformal_selection(*args))
    harness.print_row("n=10000 m=10000 M=9: ours", seconds)


def bench_votes():
    print("\nMajority vote: K=10 intervals, 2,000 rows; the loop runs once")
    rng = np.random.default_rng(0)
    intervals = np.sort(rng.normal(size=(2000, 10, 2)), axis=2)
    seconds = harness.median_seconds(lambda: merge_intervals(intervals), repeats=31)
    loop_seconds, measures = seconds_once(lambda: loop_of_votes(intervals))
    gap = np.abs(measures - merge_intervals(intervals).measure).max()
    harness.print_row("ours", seconds)
    note = f"{loop_seconds / seconds:,.0f} x; largest difference of length {gap:.1e}"
    harness.print_row("the loop", loop_seconds, note)


# What merging and choosing cost, against one calibration of the mean.
N, ALPHA, MEMBERS = 60, 0.1, 8


def one_draw(rng):
    """Targets and predictions of eight models of partly independent errors."""
    y = rng.normal(size=N + 1)
    errors = 0.3 * rng.normal(size=(N + 1, 1))
    return y, y[:, None] + errors + 0.6 * rng.normal(size=(N + 1, MEMBERS))


def split_radius(predictions, y):
    rank = conformal_rank(len(y), ALPHA)
    return np.sort(np.abs(predictions - y[:, None]), axis=0)[rank - 1]


def bench_arms(n_draws):
    rng = np.random.default_rng(0)
    held, width = {}, {}

    def note(arm, centre_covers, length):
        held.setdefault(arm, []).append(centre_covers)
        width.setdefault(arm, []).append(length)

    votes = ("majority", "random_majority", "random_threshold", "exchangeable")
    bounds, targets = [], []
    for draw in range(n_draws):
        y, P = one_draw(rng)
        fitted, known, new, target = P[:-1], y[:-1], P[-1], y[-1]
        radius = split_radius(fitted, known)
        note("one model", abs(new[0] - target) <= radius[0], 2 * radius[0])
        k = int(np.argmin(radius))
        note("uncorrected narrowest", abs(new[k] - target) <= radius[k], 2 * radius[k])
        for method in ("split", "augmented"):
            region = select_narrowest(
                fitted, known, new[None], ALPHA, method=method, random_state=draw
            ).region
            note(method, region.contains([target])[0], region.measure[0])
        mean = split_radius(fitted.mean(axis=1, keepdims=True), known)[0]
        note("combine, calibrate once", abs(new.mean() - target) <= mean, 2 * mean)
        bounds.append(np.column_stack([new - radius, new + radius]))
        targets.append(target)
    for method in votes:
        merged = merge_intervals(np.array(bounds), method=method, random_state=0)
        held[method] = merged.contains(np.array(targets))
        width[method] = merged.measure
    print(
        f"\nMerging and choosing: {MEMBERS} models, {N} calibration rows, alpha "
        f"{ALPHA}, {n_draws:,} draws"
    )
    print(f"  {'':<26}{'coverage':>10}{'its 95 % band':>20}{'mean width':>14}")
    for arm in held:
        hits = int(np.sum(held[arm]))
        band = stats.binomtest(hits, n_draws).proportion_ci(0.95)
        print(
            f"  {arm:<26}{hits / n_draws:>10.4f}      [{band.low:.4f}, {band.high:.4f}]"
            f"{statistics.fmean(width[arm]):>14.3f}"
        )


# A real table: abalones of more than 12 rings among others.
def real_candidates():
    forest = RandomForestRegressor(100, min_samples_leaf=3, random_state=0)
    return [
        ("ridge", make_pipeline(StandardScaler(), Ridge())),
        ("neighbours", make_pipeline(StandardScaler(), KNN(20))),
        ("svr", make_pipeline(StandardScaler(), SVR())),
        ("forest", forest),
        ("mean", DummyRegressor()),
    ]


def bench_real(n_splits):
    table = pd.read_parquet(Path(ensemblekit.__file__).parent / "data/abalone.parquet")
    X, y = pd.get_dummies(table.drop(columns="target")).to_numpy(float), table["target"]
    y, options = y.to_numpy(), {"threshold": 12.0, "fdr": 0.3, "calibration_size": 0.4}
    shares, powers = {}, {}
    for seed in range(n_splits):
        rows = np.random.default_rng(seed).permutation(len(y))[:2000]
        known, new = rows[:1500], rows[1500:]
        arms = {
            name: ConformalSelector(model, random_state=seed, **options)
            for name, model in real_candidates()
        }
        for pruning in ("deterministic", "homogeneous"):
            arms[f"choice, {pruning}"] = ConformalSelector(
                estimators=real_candidates(),
                pruning=pruning,
                random_state=seed,
                **options,
            )
        for name, arm in arms.items():
            selected = arm.fit(X[known], y[known]).select(X[new])
            true = y[new] > 12
            share = (selected & ~true).sum() / max(selected.sum(), 1)
            shares.setdefault(name, []).append(share)
            powers.setdefault(name, []).append((selected & true).sum() / true.sum())
    print(
        f"\nAbalones of more than 12 rings: 900 rows to train, 600 to calibrate, 500 "
        f"to select from; fdr 0.3; {n_splits} splits"
    )
    print(f"  {'':<26}{'false share':>12}{'its error':>12}{'power':>10}")
    for name in shares:
        error = np.std(shares[name]) / np.sqrt(n_splits)
        print(
            f"  {name:<26}{np.mean(shares[name]):>12.3f}{error:>12.3f}"
            f"{np.mean(powers[name]):>10.3f}"
        )


if __name__ == "__main__":
    with threadpool_limits(1):
        harness.print_header("Conformal selection and merging")
        bench_optcs()
        bench_votes()
        n_draws = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
        bench_arms(n_draws)
        bench_real(max(n_draws // 100, 2))
