"""Real tables, and the held-out and test predictions of 16 members fitted on them.

The tables (``manifest.csv`` and parquet files) are looked for in ``$ENSEMBLEKIT_DATA``,
or in ``shared/data`` beside the checkout. Predictions are kept in the temporary folder.
"""

import os
import tempfile
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from ensemblekit import CrossFit
from ensemblekit.members import encode_categories, scale_and_encode

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
DATA = Path(os.environ.get("ENSEMBLEKIT_DATA", BESIDE))
CACHE = Path(tempfile.gettempdir()) / "ensemblekit-selection-quality"
MAX_TRAIN, MAX_TEST = 3000, 20_000
N_STRONG = 10  # the first members: boosting and forests
N_MANY = 64
FLOOR = 1e-15


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
    many: bool = False  # 64 members instead of 16, at most 1000 training rows

    @property
    def kind(self):
        return "Regressor" if self.task == "regression" else "Classifier"

    @property
    def n_train(self):
        """Training rows: half of the table, fewer with many classes (boosting)."""
        limit = 1000 if self.many else max(1000, 6000 // self.n_classes)
        return min(MAX_TRAIN, self.n_rows // 2, limit)

    @property
    def members(self):
        members = regressors() if self.task == "regression" else classifiers()
        return members | drawn_members(members) if self.many else members


def drawn_members(members):
    """Return variants of some members with settings drawn at random, 64 in all."""
    rng = np.random.default_rng(0)
    settings = {
        "lightgbm": lambda: {
            "n_estimators": int(rng.integers(20, 90)),
            "num_leaves": int(rng.integers(3, 32)),
            "learning_rate": round(float(rng.uniform(0.05, 0.2)), 3),
            "colsample_bytree": round(float(rng.uniform(0.4, 1.0)), 2),
        },
        "xgboost": lambda: {
            "n_estimators": int(rng.integers(20, 80)),
            "max_depth": int(rng.integers(2, 8)),
            "learning_rate": round(float(rng.uniform(0.05, 0.3)), 3),
            "subsample": round(float(rng.uniform(0.5, 1.0)), 2),
        },
        "extra_trees": lambda: {
            "n_estimators": 40,
            "min_samples_leaf": int(rng.integers(1, 12)),
            "max_features": round(float(rng.uniform(0.2, 1.0)), 2),
        },
        "forest": lambda: {
            "n_estimators": 40,
            "min_samples_leaf": int(rng.integers(1, 12)),
            "max_features": round(float(rng.uniform(0.2, 1.0)), 2),
        },
        "nearest_5": lambda: {"n_neighbors": int(rng.integers(3, 60))},
    }
    drawn = {}
    for i in range(N_MANY - len(members)):
        name = list(settings)[i % len(settings)]
        member = clone(members[name])
        member[-1].set_params(**settings[name]())
        drawn[f"{name}_{i}"] = member
    return drawn


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


def load(table, seed, n_members):
    """Return P and y of the training rows, then of the test rows."""
    with np.load(cached(table, seed)) as saved:
        P, y, P_test, y_test = (saved[k] for k in ("P", "y", "P_test", "y_test"))
    columns = P.shape[1] // len(table.members) * n_members
    return P[:, :columns], y, P_test[:, :columns], y_test


def row_losses(table, fitted, P, y):
    """Return the loss of each row: squared error, or log loss."""
    if table.task == "regression":
        return (y - fitted.predict(P)) ** 2
    return -np.log(np.maximum(fitted.predict_proba(P)[np.arange(len(y)), y], FLOOR))


def compare(table, losses, base):
    """Return test loss, relative change against the label base, and its paired error.

    The error is that of the mean over test rows; for the root of a mean square it is
    carried through the root.
    """
    base = losses[base]
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
