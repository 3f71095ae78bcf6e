"""Labels for balanced accuracy: where does the gain of free weights come from?

Members of real tables (see ``real_tables.py``): greedy selection by log loss and by
balanced accuracy with the label of the largest probability, offsets chosen with the
members or on top of them, and unconstrained CMA-ES weights, whose gain over greedy
selection is the one to recover. Balanced accuracy on test rows.

Tables and libraries are those of ``bench_selection_quality.py``; run that first, or
wait for the members to be fitted.
"""

import argparse
import warnings

import harness
import numpy as np
from real_tables import CACHE, DATA, build, load, read_manifest
from sklearn.metrics import balanced_accuracy_score

from ensemblekit import (
    CMAEnsembleClassifier,
    DecisionOffsetClassifier,
    EnsembleSelectionClassifier,
)

N_VALIDATION = 1500
LOSS = "balanced_accuracy"
METHODS = {
    "greedy, log loss": EnsembleSelectionClassifier(),
    "greedy, balanced accuracy": EnsembleSelectionClassifier(loss=LOSS),
    "with offsets, chosen together": EnsembleSelectionClassifier(
        loss=LOSS, tune_offsets=True
    ),
    "log loss, offsets on top": DecisionOffsetClassifier(EnsembleSelectionClassifier()),
    "CMA-ES, free weights": CMAEnsembleClassifier(loss=LOSS, normalization="raw"),
}


def score(table, seed):
    """Return balanced accuracy on the test rows for each method, or None."""
    P, y, P_test, y_test = load(table, seed, len(table.members))
    P, y = P[:N_VALIDATION], y[:N_VALIDATION]
    if np.bincount(y).min() < 10 or len(np.unique(y)) < len(np.unique(y_test)):
        return None  # too few rows of a class for five folds
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = [method.fit(P, y) for method in METHODS.values()]
        return [balanced_accuracy_score(y_test, f.predict(P_test)) for f in fitted]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--splits", type=int, default=1, help="splits of each table")
    options = parser.parse_args()
    harness.print_header("Balanced accuracy on test rows of real tables")
    if not (DATA / "manifest.csv").exists():
        print(f"skipped: no manifest.csv in {DATA}; set ENSEMBLEKIT_DATA")
        return
    CACHE.mkdir(exist_ok=True)
    found = []
    for table in read_manifest():
        if table.task == "regression":
            continue
        rows = []
        for seed in range(options.splits):
            build(table, seed)
            rows.append(score(table, seed))
        rows = [row for row in rows if row is not None]
        if rows:
            found.append(np.mean(rows, axis=0))
            print(f"{table.name:18}", "  ".join(f"{s:.4f}" for s in found[-1]))
    scores = np.array(found)
    gains = scores - scores[:, [0]]
    error = gains.std(axis=0, ddof=1) / np.sqrt(len(gains))
    print(
        f"\n{len(scores)} tables: mean, gain over the first line (se over tables), won"
    )
    for k, name in enumerate(METHODS):
        won = (gains[:, k] > 0.0).sum(), (gains[:, k] < 0.0).sum()
        share = gains[:, k].mean() / gains[:, -1].mean()
        print(
            f"  {name:32} {scores[:, k].mean():.4f}  {gains[:, k].mean():+.4f} "
            f"({error[k]:.4f})  {won[0]}:{won[1]}  {share:5.0%} of the last line's gain"
        )


if __name__ == "__main__":
    main()
