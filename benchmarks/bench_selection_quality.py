"""Which selection predicts new rows best? Members fitted on real tables.

Each table is split into training and test rows; 16 members are cross-fitted on the
training rows (5 folds) and refitted on all of them to predict the test rows. Combiners
see the held-out predictions of some or all training rows; what counts is the loss of
their predictions on the test rows. Libraries are kept in the temporary folder, so a
second run takes seconds for each table.

Without arguments: the 20 smallest tables, one split each. The published results:
``--tables 44 --splits 3``. The tables (``manifest.csv`` and parquet files) are looked
for in ``$ENSEMBLEKIT_DATA``, or in ``shared/data`` beside the checkout.
"""

import argparse
import os
import tempfile
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import harness
import numpy as np
from joblib import Parallel, delayed
from scipy.stats import binomtest, wilcoxon
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

import ensemblekit
from ensemblekit import CrossFit
from ensemblekit.members import encode_categories, scale_and_encode

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
DATA = Path(os.environ.get("ENSEMBLEKIT_DATA", BESIDE))
CACHE = Path(tempfile.gettempdir()) / "ensemblekit-selection-quality"
MAX_TRAIN, MAX_TEST = 3000, 20_000
N_VALIDATION = (300, 1000, None)
PLAIN = "greedy"
FLOOR = 1e-15


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


def classifiers():
    """Return 16 members: a weak one, a copy and heavy tails among them."""
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import (
        ExtraTreesClassifier,
        HistGradientBoostingClassifier,
        RandomForestClassifier,
    )
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.tree import DecisionTreeClassifier
    from xgboost import XGBClassifier

    trees = _trees(
        LGBMClassifier,
        XGBClassifier,
        HistGradientBoostingClassifier,
        RandomForestClassifier,
        ExtraTreesClassifier,
        DecisionTreeClassifier,
    )
    return trees | {
        "logistic": _scaled(LogisticRegression(max_iter=200)),
        "logistic_strong": _scaled(LogisticRegression(C=0.01, max_iter=200)),
        "nearest_5": _scaled(KNeighborsClassifier(5)),
        "nearest_30": _scaled(KNeighborsClassifier(30)),
        "naive_bayes": _scaled(GaussianNB()),
    }


def regressors():
    """Return 16 members for regression."""
    from lightgbm import LGBMRegressor
    from sklearn.ensemble import (
        ExtraTreesRegressor,
        HistGradientBoostingRegressor,
        RandomForestRegressor,
    )
    from sklearn.linear_model import BayesianRidge, Ridge
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.tree import DecisionTreeRegressor
    from xgboost import XGBRegressor

    trees = _trees(
        LGBMRegressor,
        XGBRegressor,
        HistGradientBoostingRegressor,
        RandomForestRegressor,
        ExtraTreesRegressor,
        DecisionTreeRegressor,
    )
    return trees | {
        "ridge": _scaled(Ridge()),
        "ridge_strong": _scaled(Ridge(300.0)),
        "bayesian_ridge": _scaled(BayesianRidge()),
        "nearest_5": _scaled(KNeighborsRegressor(5)),
        "nearest_30": _scaled(KNeighborsRegressor(30, weights="distance")),
    }


def _trees(lightgbm, xgboost, histogram, forest, extra, tree):
    quiet = {"n_jobs": 1, "verbose": -1}
    light = {"n_estimators": 60, "learning_rate": 0.1, "num_leaves": 15, **quiet}
    deep = {"n_estimators": 100, "learning_rate": 0.06, "num_leaves": 31, **quiet}
    shallow = {"n_estimators": 60, "max_depth": 4, "learning_rate": 0.12, "n_jobs": 1}
    drawn = {"n_estimators": 50, "max_depth": 8, "learning_rate": 0.12, "n_jobs": 1}
    models = {
        "lightgbm": lightgbm(**light),
        "lightgbm_copy": lightgbm(**light),
        "lightgbm_deep": lightgbm(**deep, min_child_samples=8, reg_lambda=1.0),
        "xgboost": xgboost(**shallow),
        "xgboost_drawn": xgboost(**drawn, subsample=0.7, colsample_bytree=0.6),
        "histogram": histogram(max_iter=50, learning_rate=0.12, max_leaf_nodes=12),
        "forest": forest(60),
        "forest_smooth": forest(60, min_samples_leaf=4, max_features=0.5),
        "extra_trees": extra(60),
        "extra_trees_smooth": extra(60, min_samples_leaf=3, max_features=0.7),
        "stump": tree(max_depth=2),
    }
    return {k: make_pipeline(encode_categories(), m) for k, m in models.items()}


def _scaled(model):
    return make_pipeline(scale_and_encode(), model)


@dataclass
class Table:
    """One line of the manifest."""

    name: str
    task: str
    n_rows: int
    n_classes: int

    @property
    def kind(self):
        return "Regressor" if self.task == "regression" else "Classifier"

    @property
    def n_train(self):
        """Training rows: half of the table, fewer with many classes (boosting)."""
        return min(MAX_TRAIN, self.n_rows // 2, max(1000, 6000 // self.n_classes))

    @property
    def members(self):
        return regressors() if self.task == "regression" else classifiers()


def read_manifest():
    """Return all tables, small ones first."""
    import pandas as pd

    lines = pd.read_csv(DATA / "manifest.csv").sort_values("n_rows")
    columns = zip(
        lines.name, lines.task, lines.n_rows, lines.n_classes.fillna(1), strict=True
    )
    return [Table(name, task, int(n), max(1, int(k))) for name, task, n, k in columns]


def read_table(table):
    """Return features and target: codes, or values in units of their deviation."""
    import pandas as pd

    frame = pd.read_parquet(DATA / f"{table.name}.parquet")
    target = frame.pop("target").to_numpy()
    if table.task == "regression":
        target = target.astype(np.float64)
        return frame, (target - target.mean()) / target.std()
    return frame, np.unique(target.astype(str), return_inverse=True)[1]


def cached(table, seed):
    """Return the library's file; its name changes with members and row numbers."""
    models = [member[-1] for member in table.members.values()]
    settings = f"{models}{table.n_train}{MAX_TEST}"
    mark = zlib.crc32(" ".join(settings.split()).encode())
    return CACHE / f"{table.name}-{seed}-{mark:08x}.npz"


def build(table, seed):
    """Fit the members of one split, unless a file holds their predictions."""
    path = cached(table, seed)
    if path.exists():
        return
    start = perf_counter()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        X, y = read_table(table)
        rows = np.arange(len(y))
        strata = None if table.task == "regression" else y
        train, test = train_test_split(
            rows, train_size=table.n_train, random_state=seed, stratify=strata
        )
        test = test[:MAX_TEST]
        crossfit = CrossFit(list(table.members.items()), refit="all", random_state=seed)
        P = crossfit.fit_transform(X.iloc[train], y[train])
        P_test = crossfit.transform(X.iloc[test])
    partial = path.with_suffix(f".{os.getpid()}.part.npz")
    np.savez(partial, P=P, y=y[train], P_test=P_test, y_test=y[test])
    partial.rename(path)
    print(f"  {table.name} {seed}: {perf_counter() - start:.0f} s", flush=True)


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


def row_losses(table, fitted, P, y):
    """Return the loss of each row: squared error, or log loss."""
    if table.task == "regression":
        return (y - fitted.predict(P)) ** 2
    return -np.log(np.maximum(fitted.predict_proba(P)[np.arange(len(y)), y], FLOOR))


def compare(table, losses):
    """Return test loss, relative change against plain greedy, and its paired error.

    The error is that of the mean over test rows; for the root of a mean square it is
    carried through the root.
    """
    base = losses[PLAIN]
    rows = {}
    for label, loss in losses.items():
        error = (loss - base).std(ddof=1) / np.sqrt(len(base))
        if table.task == "regression":
            mean, plain = np.sqrt(loss.mean()), np.sqrt(base.mean())
            error /= mean + plain
        else:
            mean, plain = loss.mean(), base.mean()
        rows[label] = (mean, (mean - plain) / plain, error / plain)
    return rows


def evaluate(table, seed, n):
    """Fit all combiners on n validation rows of one split; None for all rows."""
    with np.load(cached(table, seed)) as saved:
        P, y, P_test, y_test = (saved[k] for k in ("P", "y", "P_test", "y_test"))
    rows = validation_rows(table, y, n, seed)
    losses, seconds = {}, {}
    for label, combiner in combiners(table.kind).items():
        start = perf_counter()
        fitted = combiner.fit(P[rows], y[rows])
        seconds[label] = perf_counter() - start
        losses[label] = row_losses(table, fitted, P_test, y_test)
    return len(rows), len(y_test), compare(table, losses), seconds


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


def run_table(table, seeds, n):
    """Return the `Result` of one table, or None without any library."""
    found = [evaluate(table, s, n) for s in seeds if cached(table, s).exists()]
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


def report(tables, seeds, n):
    """Print what all methods reach with n validation rows at most."""
    labels = list(combiners("Regressor"))
    results = [r for r in (run_table(t, seeds, n) for t in tables) if r is not None]
    splits = sum(r.n_splits for r in results)
    rows = "all" if n is None else f"at most {n}"
    print(f"\nValidation rows: {rows}; {len(results)} tables, {splits} splits")
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
    parser.add_argument("--jobs", type=int, default=1, help="processes that fit")
    parser.add_argument("--cached", action="store_true", help="fit no further members")
    options = parser.parse_args()
    harness.print_header("Selection on real tables: loss on test rows")
    if not (DATA / "manifest.csv").exists():
        print(f"skipped: no manifest.csv in {DATA}; set ENSEMBLEKIT_DATA")
        return
    CACHE.mkdir(exist_ok=True)
    tables, seeds = read_manifest()[: options.tables], range(options.splits)
    if not options.cached:
        tasks = [delayed(build)(table, seed) for seed in seeds for table in tables]
        Parallel(n_jobs=options.jobs, batch_size=1)(tasks)
    with threadpool_limits(1):
        for n in N_VALIDATION:
            report(tables, seeds, n)


if __name__ == "__main__":
    main()
