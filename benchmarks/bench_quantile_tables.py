"""Quantiles combined on real tables: the evaluation of the paper, out of sample.

Members that predict 9 quantiles are cross-fitted on the training rows of each
regression table (5 folds) and refitted on all; combiners see the held-out quantiles;
what counts is the weighted interval score of their quantiles on test rows, relative to
that of the best member by held-out score. Libraries are kept in the temporary folder.

Fakoor, Kim, Mueller, Smola, Tibshirani, "Flexible Model Aggregation for Quantile
Regression", JMLR 24, 2023, section 5: there the finer weights win with 99 levels and
thousands of rows.
"""

import argparse
import warnings

import harness
import numpy as np
from joblib import Parallel, delayed
from real_tables import CACHE, DATA, read_manifest, read_table
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from ensemblekit import (
    CrossFit,
    QuantileAggregator,
    QuantilePoolRegressor,
    default_quantile_members,
    weighted_interval_score,
)
from ensemblekit.members import scale_and_encode

LEVELS = (0.025, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.975)
MAX_TRAIN, MAX_TEST = 2000, 5000
BEST, WITH_X = "best member", "local, with X"


def combiners():
    """Return the combiners compared, by label."""

    def pool(kind):
        return QuantilePoolRegressor(quantile_levels=LEVELS, kind=kind)

    def weigh(**parameters):
        return QuantileAggregator(quantile_levels=LEVELS, **parameters)

    return {
        "uniform mean": pool("mean"),
        "median": pool("median"),
        "linear pool": pool("linear"),
        "coarse": weigh(),
        "medium": weigh(weights="medium"),
        "fine": weigh(weights="fine"),
        "local": weigh(gate="linear"),
        WITH_X: weigh(gate="linear"),
    }


def split(table):
    """Return X, y, the training rows and the test rows."""
    X, y = read_table(table)
    train, test = train_test_split(
        np.arange(len(y)), train_size=min(MAX_TRAIN, 2 * len(y) // 3), random_state=0
    )
    return X, y, train, test[:MAX_TEST]


def features(table):
    """Return X of training and test rows as numbers, for gates."""
    X, _, train, test = split(table)
    encoder = scale_and_encode().fit(X.iloc[train])
    return encoder.transform(X.iloc[train]), encoder.transform(X.iloc[test])


def build(table):
    """Return held-out quantiles and y of training rows, then those of test rows."""
    path = CACHE / f"quantiles-{table.name}.npz"
    if not path.exists():
        X, y, train, test = split(table)
        members = CrossFit(
            default_quantile_members(),
            quantile_levels=LEVELS,
            refit="all",
            random_state=0,
        )
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            P = members.fit_transform(X.iloc[train], y[train])
            P_test = members.transform(X.iloc[test])
        partial = path.with_suffix(".part.npz")
        np.savez(partial, P=P, y=y[train], P_test=P_test, y_test=y[test])
        partial.rename(path)
    with np.load(path) as saved:
        return [saved[name] for name in ("P", "y", "P_test", "y_test")]


def scores(y, quantiles):
    return weighted_interval_score(y, quantiles, LEVELS, average=False)


def evaluate(table):
    """Return relative scores of a table, their paired errors, and coverage."""
    P, y, P_test, y_test = build(table)
    blocks = [slice(j, j + len(LEVELS)) for j in range(0, P.shape[1], len(LEVELS))]
    own = [scores(y, P[:, block]).mean() for block in blocks]
    base = scores(y_test, P_test[:, blocks[int(np.argmin(own))]])
    rows = {BEST: (1.0, 0.0)}
    with threadpool_limits(1):
        for label, combiner in combiners().items():
            if label == WITH_X:
                X, X_test = features(table)
                mixed = combiner.fit(P, y, features=X).predict_quantiles(P_test, X_test)
            else:
                mixed = combiner.fit(P, y).predict_quantiles(P_test)
            loss = scores(y_test, mixed)
            error = (loss - base).std(ddof=1) / np.sqrt(len(base)) / base.mean()
            rows[label] = (loss.mean() / base.mean(), error)
    print(f"  {table.name}", flush=True)
    return table.name, len(y), rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", type=int, default=20, help="so many, small first")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    harness.print_header("Combined quantiles on real tables")
    if not (DATA / "manifest.csv").exists():
        print(f"skipped: no manifest.csv in {DATA}; set ENSEMBLEKIT_DATA")
        return
    CACHE.mkdir(exist_ok=True)
    tables = [table for table in read_manifest() if table.task == "regression"]
    run = Parallel(n_jobs=options.jobs, batch_size=1)
    found = run(delayed(evaluate)(table) for table in tables[: options.tables])
    labels = [BEST, *combiners()]
    print("\n| table | rows | " + " | ".join(labels) + " |\n|" + "---|" * 11)
    for name, n_rows, rows in found:
        cells = [f"{rows[x][0]:.3f} ± {rows[x][1]:.3f}" for x in labels]
        print(f"| {name} | {n_rows} | " + " | ".join(cells) + " |")
    values = np.array([[rows[x][0] for x in labels] for *_, rows in found])
    for statistic in (np.median, np.mean, np.max):
        cells = " | ".join(f"{value:.3f}" for value in statistic(values, axis=0))
        print(f"| {statistic.__name__} | | {cells} |")


if __name__ == "__main__":
    main()
