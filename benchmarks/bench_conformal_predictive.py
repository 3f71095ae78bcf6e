"""Conformal predictive systems against crepes: p-values and CRPS, results compared.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_conformal_predictive.py

Both are given the same residuals, predictions and targets. crepes' uniform draws are
handed to ours, so that p-values can be compared; its CRPS is a mean over the rows.
"""

from importlib.metadata import version

import numpy as np
from harness import median_seconds, print_header, print_row

from ensemblekit import predictive_cdf, predictive_crps

try:
    import crepes
except ImportError:
    crepes = None

SIZES = [(1_000, 1_000), (10_000, 10_000)]
OURS_ALONE = [(100_000, 100_000), (1_000_000, 1_000_000)]
SEED = 5


def workload(n_residuals, n_rows):
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=n_residuals),
        rng.normal(size=n_rows),
        rng.normal(size=n_rows),
    )


def compare(n_residuals, n_rows):
    residuals, centre, y = workload(n_residuals, n_rows)
    print(f"{n_residuals} residuals, {n_rows} rows")
    draws = np.random.RandomState(SEED).rand(n_rows)
    p_ours, p_time = run("p-values, ours", predictive_cdf, residuals, centre, y, draws)
    crps_ours, crps_time = run("CRPS, ours", predictive_crps, residuals, centre, y)
    if crepes is None:
        print("  crepes is not installed: skipped\n")
        return
    system = crepes.ConformalPredictiveSystem().fit(residuals)
    repeats = 3 if n_rows <= 1_000 else 1
    report(
        "p-values, crepes",
        median_seconds(lambda: system.predict_p(centre, y, seed=SEED), repeats),
        p_time,
        np.abs(system.predict_p(centre, y, seed=SEED) - p_ours).max(),
    )

    def score():
        return system.evaluate(centre, y, metrics=["CRPS"])["CRPS"]

    seconds = median_seconds(score, repeats)
    report("CRPS, crepes", seconds, crps_time, abs(score() - crps_ours.mean()))
    print()


def run(label, function, residuals, centre, y, draws=None):
    options = {} if draws is None else {"between": draws}

    def call():
        return function(residuals, centre, y, **options)

    seconds = median_seconds(call)
    print_row(label, seconds)
    return call(), seconds


def report(label, seconds, ours, difference):
    print_row(label, seconds, f"{seconds / ours:.0f}x; largest gap {difference:.1e}")


def main():
    print_header("Conformal predictive systems")
    if crepes is not None:
        print(f"crepes {version('crepes')}\n")
    for size in SIZES:
        compare(*size)
    for size in OURS_ALONE:
        print(f"{size[0]} residuals, {size[1]} rows")
        run("p-values, ours", predictive_cdf, *workload(*size))
        run("CRPS, ours", predictive_crps, *workload(*size))


if __name__ == "__main__":
    main()
