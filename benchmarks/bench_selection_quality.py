"""Which selection predicts new rows best? Members fitted on real tables.

Each table is split into training and test rows; 16 members are cross-fitted on the
training rows (5 folds) and refitted on all of them to predict the test rows. Combiners
see the held-out predictions of some or all training rows; what counts is the loss of
their predictions on the test rows. Libraries are kept in the temporary folder, so a
second run takes seconds for each table.

Without arguments: the 20 smallest tables, one split each. The published results:
``--tables 44 --splits 3``. Where the tables are looked for: ``real_tables.py``.
"""

import argparse
import warnings
from dataclasses import dataclass, replace
from time import perf_counter

import harness
import numpy as np
from joblib import Parallel, delayed
from real_tables import (
    CACHE,
    DATA,
    N_MANY,
    N_STRONG,
    Table,
    build,
    cached,
    compare,
    load,
    read_manifest,
    row_losses,
)
from scipy.stats import binomtest, wilcoxon
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

import ensemblekit

N_VALIDATION = (100, 300, 1000, None)
PLAIN = "greedy"


def combiners(task):
    """Return the methods compared, by label."""

    def make(name, **parameters):
        return getattr(ensemblekit, name + task)(**parameters)

    def select(**parameters):
        return make("EnsembleSelection", **parameters)

    return {
        PLAIN: select(),
        "greedy, 25 rounds": select(n_rounds=25),
        "members bagged": select(bagging="members"),
        "members bagged, share 0.8": select(bagging="members", bag_share=0.8),
        "rows bagged": select(bagging="rows"),
        "shrinkage 0.5": select(shrinkage=0.5),
        "shrinkage cv": select(shrinkage="cv"),
        "rows bagged, shrinkage 0.5": select(bagging="rows", shrinkage=0.5),
        "members bagged, shrinkage 0.5": select(bagging="members", shrinkage=0.5),
        "plain mean": make("Average"),
        "best member": select(n_rounds=1),
        "convex, ridge auto": make("Convex"),
        "convex, ridge 0": make("Convex", ridge=0.0),
        "QO": make("QOEnsembleSelection"),
        "QDO": make("QDOEnsembleSelection"),
        "hill climbing": make("HillClimbing"),
        "CMA-ES, softmax": make("CMAEnsemble"),
    }


def validation_rows(table, y, n, seed):
    """Return n of the training rows, all classes among them."""
    if n is None or n >= len(y):
        return np.arange(len(y))
    strata = None if table.task == "regression" else y
    rows, rest = train_test_split(
        np.arange(len(y)), train_size=n, random_state=seed, stratify=strata
    )
    missing = np.setdiff1d(y, y[rows]) if strata is not None else []
    return np.append(rows, [rest[y[rest] == k][0] for k in missing]).astype(int)


def evaluate(table, seed, n, n_members):
    """Fit all combiners on n validation rows of one split; None for all rows."""
    P, y, P_test, y_test = load(table, seed, n_members)
    rows = validation_rows(table, y, n, seed)
    losses, seconds = {}, {}
    for label, combiner in combiners(table.kind).items():
        start = perf_counter()
        with warnings.catch_warnings():  # classes with fewer rows than folds
            warnings.filterwarnings("ignore", "The least populated class")
            fitted = combiner.fit(P[rows], y[rows])
        seconds[label] = perf_counter() - start
        losses[label] = row_losses(table, fitted, P_test, y_test)
    return len(rows), len(y_test), compare(table, losses, PLAIN), seconds


@dataclass
class Result:
    """One table: means over its splits, in the order of the combiners."""

    table: Table
    n_rows: int
    n_test: int
    n_splits: int
    loss: np.ndarray
    change: np.ndarray
    error: np.ndarray
    seconds: np.ndarray


def run_table(table, seeds, n, n_members):
    """Return the `Result` of one table, or None without library or with few rows."""
    if n is not None and n < 5 * table.n_classes:  # shrinkage="cv" has 5 folds
        return None
    ready = [seed for seed in seeds if cached(table, seed).exists()]
    found = [evaluate(table, seed, n, n_members) for seed in ready]
    if not found:
        return None
    values = np.array([list(rows.values()) for _, _, rows, _ in found])
    # Splits share test rows: more of them do not make the error smaller.
    error = np.sqrt((values[:, :, 2] ** 2).mean(axis=0))
    seconds = np.array([list(times.values()) for *_, times in found]).mean(axis=0)
    n_rows, n_test, *_ = found[0]
    loss, change, _ = np.moveaxis(values.mean(axis=0), 1, 0)
    return Result(table, n_rows, n_test, len(found), loss, change, error, seconds)


def print_methods(results, labels):
    """One line for each method, in Markdown: changes in per cent of greedy's loss."""
    change = 100 * np.array([r.change for r in results])
    error = 100 * np.array([r.error for r in results])
    best = np.argmin([r.loss for r in results], axis=1)
    seconds = np.array([r.seconds for r in results])
    print(
        "| method | median | mean | 10 % worst | worst | wins | losses | clear wins "
        "| clear losses | sign test p | Wilcoxon p | best on | ms |\n|" + "---|" * 13
    )
    for j, label in enumerate(labels):
        c, e = change[:, j], error[:, j]
        wins, losses = int((c < 0).sum()), int((c > 0).sum())
        tests = ["", ""]
        if wins + losses:
            sign = binomtest(wins, wins + losses).pvalue
            tests = [f"{sign:.2g}", f"{wilcoxon(c).pvalue:.2g}"]
        cells = [
            f"{np.median(c):+.2f}",
            f"{c.mean():+.2f}",
            f"{np.quantile(c, 0.9):+.2f}",
            f"{c.max():+.2f} ({results[int(c.argmax())].table.name})",
            wins,
            losses,
            int((c < -2 * e).sum()),
            int((c > 2 * e).sum()),
            *tests,
            int((best == j).sum()),
            f"{1e3 * np.median(seconds[:, j]):.1f}",
        ]
        print("| " + " | ".join([label, *map(str, cells)]) + " |")


def print_tables(results, labels, shown):
    """One line for each table, in Markdown."""
    columns = [labels.index(label) for label in shown]
    print("\n| table | rows | test | greedy | " + " | ".join(shown) + " | best |")
    print("|" + "---|" * (5 + len(shown)))
    for r in results:
        cells = [f"{100 * r.change[j]:+.2f} ± {100 * r.error[j]:.2f}" for j in columns]
        name = f"{r.table.name} ({r.table.task[0]})"
        head = [name, r.n_rows, r.n_test, f"{r.loss[labels.index(PLAIN)]:.4g}"]
        winner = labels[int(np.argmin(r.loss))]
        print("| " + " | ".join(map(str, [*head, *cells, winner])) + " |")


def report(tables, seeds, n, n_members=16):
    """Print what all methods reach with n validation rows at most."""
    labels = list(combiners("Regressor"))
    found = [run_table(table, seeds, n, n_members) for table in tables]
    results = [result for result in found if result is not None]
    splits = sum(r.n_splits for r in results)
    rows = "all" if n is None else f"at most {n}"
    print(
        f"\nValidation rows: {rows}; first {n_members} members; {len(results)} tables, "
        f"{splits} splits"
    )
    print("Change of test loss against plain greedy, per cent; negative is better\n")
    print_methods(results, labels)
    shown = ["members bagged", "rows bagged", "shrinkage 0.5", "convex, ridge auto"]
    print_tables(results, labels, shown)
    for kind in ("regression", "binary", "multiclass"):
        part = [r for r in results if r.table.task == kind]
        if part:
            print(f"\n{kind}: {len(part)} tables\n")
            print_methods(part, labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", type=int, default=20, help="so many, small first")
    parser.add_argument("--splits", type=int, default=1, help="splits of each table")
    parser.add_argument("--many", type=int, default=0, help="so many with 64 members")
    parser.add_argument("--jobs", type=int, default=1, help="processes that fit")
    parser.add_argument("--cached", action="store_true", help="fit no further members")
    options = parser.parse_args()
    harness.print_header("Selection on real tables: loss on test rows")
    if not (DATA / "manifest.csv").exists():
        print(f"skipped: no manifest.csv in {DATA}; set ENSEMBLEKIT_DATA")
        return
    CACHE.mkdir(exist_ok=True)
    every, seeds = read_manifest(), range(options.splits)
    tables = every[: options.tables]
    many = [replace(t, many=True) for t in every if t.n_rows > 2000]
    many = [t for t in many if t.n_classes <= 3][: options.many]
    if not options.cached:
        tasks = [delayed(build)(table, seed) for seed in seeds for table in tables]
        tasks += [delayed(build)(table, 0) for table in many]
        Parallel(n_jobs=options.jobs, batch_size=1)(tasks)
    with threadpool_limits(1):
        for n in N_VALIDATION:
            report(tables, seeds, n)
        for n in N_VALIDATION[:3]:
            report(tables, seeds, n, N_STRONG)
            if many:
                report(many, [0], n, N_MANY)


if __name__ == "__main__":
    main()
