"""How well does each combiner predict new rows? Members fitted on real tables.

Each table is split into training and test rows; 16 members are cross-fitted on the
training rows (5 folds) and refitted on all of them to predict the test rows. Combiners
see the held-out predictions of the training rows; what counts is the loss of their
predictions on the test rows (RMSE, log loss), relative to that of the member of least
held-out loss. Libraries are kept in the temporary folder.

Without arguments: the 20 smallest tables, one split each. The published results:
``--tables 44 --splits 3 --write docs/quality_results.md``, with the libraries of
``bench_selection_quality.py --tables 44 --splits 3``. Where the tables are looked for:
``real_tables.py``.
"""

import argparse
import contextlib
import io
import warnings
from pathlib import Path
from time import perf_counter

import harness
import numpy as np
from joblib import Parallel, delayed
from real_tables import (
    CACHE,
    DATA,
    build,
    cached,
    compare,
    load,
    read_manifest,
    row_losses,
)
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression, RidgeCV
from threadpoolctl import threadpool_limits

import ensemblekit

BEST, GREEDY, STACK = "best member", "greedy", "scikit-learn's stack"
SEARCH, LINEAR = "CombinerSearch", "LinearStack"
SHOWN = [GREEDY, "Convex", STACK, LINEAR, SEARCH]


def methods(task):
    """Return the combiners and peers compared, by label."""

    def make(name, **parameters):
        return getattr(ensemblekit, name + task)(**parameters)

    regression = task == "Regressor"
    recalibrations = ["affine", "isotonic"]
    common = {
        BEST: make("EnsembleSelection", n_rounds=1),
        "mean": make("Average"),
        "median": make("Average", kind="median"),
        STACK: RidgeCV() if regression else LogisticRegression(max_iter=1000),
        "greedy, AutoGluon's rules": None,
        GREEDY: make("EnsembleSelection"),
        "greedy, rows bagged": make("EnsembleSelection", bagging="rows"),
        "QO": make("QOEnsembleSelection"),
        "QDO": make("QDOEnsembleSelection"),
        "hill climbing": make("HillClimbing"),
        "CMA-ES, softmax": make("CMAEnsemble"),
        "Convex": make("Convex"),
        "Convex, ridge 0": make("Convex", ridge=0.0),
        **{
            f"Convex, {kind}": make(
                "Recalibrated", combiner=make("Convex"), calibrate=kind
            )
            for kind in recalibrations
        },
        LINEAR: make("LinearStack"),
        f"{LINEAR}, 1se": make("LinearStack", rule="1se"),
        SEARCH: make("CombinerSearch"),
        f"{SEARCH}, best": make("CombinerSearch", strategy="best"),
        f"{SEARCH}, 1se": make("CombinerSearch", strategy="1se"),
    }
    peer = "log_loss" if not regression else "squared_error"
    common["greedy, AutoGluon's rules"] = make(
        "EnsembleSelection", rules="autogluon", n_rounds=25, loss=peer
    )
    return common


def evaluate(table, seed):
    """Fit all methods on one split; return rows of test, results and seconds."""
    P, y, P_test, y_test = load(table, seed, 16)
    losses, seconds = {}, {}
    for label, combiner in methods(table.kind).items():
        start = perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = combiner.fit(P, y)
        seconds[label] = perf_counter() - start
        losses[label] = row_losses(table, fitted, P_test, y_test)
    return len(y), len(y_test), compare(table, losses, BEST), seconds


def run_table(table, seeds):
    """Return a table's name, sizes, and means over its splits; None without library."""
    found = [evaluate(table, s) for s in seeds if cached(table, s).exists()]
    if not found:
        return None
    n_train, n_test = found[0][:2]
    values = np.array([list(rows.values()) for _, _, rows, _ in found])
    seconds = np.array([list(times.values()) for *_, times in found]).mean(axis=0)
    loss, excess = values.mean(axis=0)[:, :2].T
    # Splits share test rows: more of them do not make the error smaller.
    error = np.sqrt((values[:, :, 2] ** 2).mean(axis=0))
    print(f"  {table.name}: {len(found)} splits", flush=True)
    return table, n_train, n_test, len(found), loss, excess, error, seconds


def print_methods(results, labels):
    """One line for each method, in Markdown, by mean rank."""
    excess = 100 * np.array([r[5] for r in results])
    seconds = np.array([r[7] for r in results])
    ranks = rankdata(np.array([r[4] for r in results]).round(12), axis=1).mean(axis=0)
    greedy = excess[:, [labels.index(GREEDY)]]
    print(
        "| method | mean rank | median | mean | worst | more than 1 % worse | "
        "beats greedy on | ms |\n|" + "---|" * 8
    )
    for j in np.argsort(ranks, kind="stable"):
        own = excess[:, j]
        worst = results[int(own.argmax())][0].name
        cells = [
            labels[j],
            f"{ranks[j]:.2f}",
            f"{np.median(own):+.2f}",
            f"{own.mean():+.2f}",
            f"{own.max():+.1f} ({worst})",
            f"{(own > 1).sum()} of {len(own)}",
            f"{100 * (own < greedy[:, 0]).mean():.0f} %",
            f"{1e3 * np.median(seconds[:, j]):.1f}",
        ]
        print("| " + " | ".join(cells) + " |")


def print_tables(results, labels):
    """One line for each table, in Markdown."""
    columns = [labels.index(label) for label in SHOWN]
    print("\n| table | rows | test | splits | " + " | ".join(SHOWN) + " | best |")
    print("|" + "---|" * (5 + len(SHOWN)))
    for table, n_train, n_test, n_splits, loss, excess, error, _ in results:
        cells = [f"{100 * excess[j]:+.2f} ± {100 * error[j]:.2f}" for j in columns]
        head = [f"{table.name} ({table.task[0]})", n_train, n_test, n_splits]
        line = [*map(str, head), *cells, labels[int(np.argmin(loss))]]
        print("| " + " | ".join(line) + " |")


def report(results, labels):
    """Print all results, in Markdown."""
    n_splits = sum(r[3] for r in results)
    print(
        f"\n{len(results)} tables, {n_splits} splits, 16 members. Test loss (RMSE or "
        "log loss) relative to the member of least held-out loss, per cent; negative "
        "is better. Ms: median time of a fit, one thread.\n"
    )
    print_methods(results, labels)
    for kind in ("regression", "binary", "multiclass"):
        part = [r for r in results if r[0].task == kind]
        if part:
            print(f"\n## {kind.capitalize()}: {len(part)} tables\n")
            print_methods(part, labels)
    print("\n## Tables\n")
    print("± is the standard error of the paired difference over test rows.")
    print_tables(results, labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", type=int, default=20, help="so many, small first")
    parser.add_argument("--splits", type=int, default=1, help="splits of each table")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--cached", action="store_true", help="fit no further members")
    parser.add_argument("--write", type=Path, help="file for the results")
    options = parser.parse_args()
    harness.print_header("All combiners on real tables: loss on test rows")
    if not (DATA / "manifest.csv").exists():
        print(f"skipped: no manifest.csv in {DATA}; set ENSEMBLEKIT_DATA")
        return
    CACHE.mkdir(exist_ok=True)
    tables, seeds = read_manifest()[: options.tables], range(options.splits)
    run = Parallel(n_jobs=options.jobs, batch_size=1)
    if not options.cached:
        run(delayed(build)(table, seed) for seed in seeds for table in tables)
    with threadpool_limits(1):
        found = run(delayed(run_table)(table, seeds) for table in tables)
    results = [result for result in found if result is not None]
    labels = list(methods("Regressor"))
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        report(results, labels)
    print(text.getvalue())
    if options.write:
        title = (
            "# All combiners on 44 real tables\n\nMade by `benchmarks/quality.py`.\n"
        )
        options.write.write_text(title + text.getvalue())


if __name__ == "__main__":
    main()
