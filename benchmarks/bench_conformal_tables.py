"""Coverage of 90 % intervals and sets on real tables, over many splits.

Rows of a table are drawn anew for each seed: 1,000 to train and calibrate (a quarter
calibrates, but for CV+), up to 1,000 new ones. Given a split, the number covered of
methods that hold rows out is beta-binomial whatever the table, where scores have no
ties; a seed counts as outside if its 99 % band does not hold it. CV+ has no such law.
Widths are relative to those of split intervals, sets are in classes.
"""

import argparse
import warnings

import harness
import numpy as np
from joblib import Parallel, delayed
from real_tables import DATA, read_manifest, read_table
from scipy import stats
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from ensemblekit import (
    ConformalClassifier,
    ConformalRegressor,
    ForestQuantileRegressor,
    conformal_rank,
)
from ensemblekit.members import encode_categories

N_TRAIN, N_NEW, N_CALIBRATION, ALPHA = 1000, 1000, 250, 0.1
BOOSTING = {"max_iter": 60, "learning_rate": 0.1, "random_state": 0}


def regressors(seed):
    """Return the methods compared on regression tables, by label."""
    points = make_pipeline(
        encode_categories(), HistGradientBoostingRegressor(**BOOSTING)
    )
    trees = ExtraTreesRegressor(50, min_samples_leaf=5, random_state=seed)
    quantiles = make_pipeline(encode_categories(), ForestQuantileRegressor(trees))
    options = {"calibration_size": N_CALIBRATION, "random_state": seed}
    return {
        "split": ConformalRegressor(points, **options),
        "normalised": ConformalRegressor(points, normalizer=points, **options),
        "cv+": ConformalRegressor(points, method="cv+", random_state=seed),
        "cqr": ConformalRegressor(quantiles, method="cqr", **options),
        "cqr-r": ConformalRegressor(quantiles, method="cqr-r", **options),
    }


def classifiers(seed):
    """Return the methods compared on classification tables, by label."""
    model = make_pipeline(
        encode_categories(), HistGradientBoostingClassifier(**BOOSTING)
    )
    options = {"calibration_size": N_CALIBRATION, "random_state": seed}
    return {
        name: ConformalClassifier(model, method=name, **options)
        for name in ("lac", "aps", "raps")
    }


def evaluate(table, seed):
    """Return for each method: rows covered, new rows, mean size."""
    X, y = read_table(table)
    rows = np.random.default_rng(seed).permutation(len(y))
    n_train = min(N_TRAIN, 2 * len(y) // 3)
    train, new = rows[:n_train], rows[n_train : n_train + N_NEW]
    methods = (regressors if table.task == "regression" else classifiers)(seed)
    found = {}
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, conformal in methods.items():
            conformal.fit(X.iloc[train], y[train])
            if table.task == "regression":
                low, high = conformal.predict_interval(X.iloc[new], ALPHA).T
                inside, size = (low <= y[new]) & (y[new] <= high), np.mean(high - low)
            else:
                sets = conformal.predict_set(X.iloc[new], ALPHA)
                codes = np.searchsorted(conformal.classes_, y[new])
                known = conformal.classes_[np.minimum(codes, sets.shape[1] - 1)]
                codes = np.where(known == y[new], codes, -1)
                inside = sets[np.arange(len(new)), codes] & (codes >= 0)
                size = sets.sum(axis=1).mean()
            found[name] = int(inside.sum()), len(new), float(size)
    return found


def count_outside(seeds):
    """Return how many seeds are below and above the 99 % band of the law."""
    rank = conformal_rank(N_CALIBRATION, ALPHA)
    outside = np.zeros(2, dtype=int)
    for covered, n_new, _ in seeds:
        law = stats.betabinom(n_new, rank, N_CALIBRATION + 1 - rank)
        outside += [covered < law.ppf(0.005), covered > law.isf(0.005)]
    return outside


def print_task(tables, n_seeds, n_jobs):
    """Print coverage and size of each method on each table."""
    jobs = [(table, seed) for table in tables for seed in range(n_seeds)]
    run = Parallel(n_jobs=n_jobs, batch_size=1)
    results = run(delayed(evaluate)(table, seed) for table, seed in jobs)
    labels = list(results[0])
    print(f"\n| table | {' | '.join(labels)} |\n|{'---|' * (len(labels) + 1)}")
    shares = {label: [] for label in labels}
    outside = {label: np.zeros(2, dtype=int) for label in labels}
    for number, table in enumerate(tables):
        of_table = results[number * n_seeds : (number + 1) * n_seeds]
        cells = []
        base = np.mean([seed[labels[0]][2] for seed in of_table])
        for label in labels:
            seeds = [seed[label] for seed in of_table]
            share = np.mean([covered / n_new for covered, n_new, _ in seeds])
            size = np.mean([seed[2] for seed in seeds])
            size = size / base if table.task == "regression" else size
            shares[label].append(share)
            outside[label] += count_outside(seeds)
            cells.append(f"{share:.3f}, {size:.2f}")
        print(f"| {table.name} | {' | '.join(cells)} |", flush=True)
    means = " | ".join(f"{np.mean(shares[label]):.3f}" for label in labels)
    print(f"| mean coverage | {means} |")
    counts = " | ".join(
        "no law" if label == "cv+" else f"{outside[label][0]}, {outside[label][1]}"
        for label in labels
    )
    print(f"| of {len(jobs)} seeds below, above 99 % | {counts} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    harness.print_header("Coverage of 90 % intervals and sets on real tables")
    if not (DATA / "manifest.csv").exists():
        print(f"skipped: no manifest.csv in {DATA}; set ENSEMBLEKIT_DATA")
        return
    tables = read_manifest()
    enough = [t for t in tables if t.n_rows >= 2 * N_CALIBRATION]
    for task in ("regression", "classification"):
        chosen = [t for t in enough if (t.task == "regression") == (task[0] == "r")]
        print(f"\n{task}: coverage, then width relative to split, or size of sets")
        print_task(chosen, options.seeds, options.jobs)


if __name__ == "__main__":
    main()
