"""The demo: cross-fit real members on two bundled tables, combine them, compare.

`run_demo` is the whole job; the other functions are its steps. Needs pandas, pyarrow
and rich.
"""

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from . import (
    AverageClassifier,
    AverageRegressor,
    ConvexClassifier,
    ConvexRegressor,
    EnsembleSelectionClassifier,
    EnsembleSelectionRegressor,
    LinearStackClassifier,
    LinearStackRegressor,
)
from ._demo_output import (
    OutputError,
    make_console,
    prepare_folder,
    print_end,
    print_heading,
    print_missing,
    print_result,
    write_result,
)
from .crossfit import CrossFit
from .leaderboard import cross_fitted_predictions, score_folds
from .library import PredictionLibrary
from .losses import LOSSES
from .members import default_members, encode_categories, scale_and_encode

__all__ = ["OutputError", "Result", "load_table", "run_demo", "run_table"]

TASKS = {"bank_marketing": "classification", "abalone": "regression"}
QUESTIONS = {
    "bank_marketing": "does a client subscribe a term deposit after a call?",
    "abalone": "how many rings has the shell of an abalone?",
}
LOSS = {"classification": "log_loss", "regression": "squared_error"}
N_FOLDS = 5
TEST_SHARE = 0.3


@dataclass(frozen=True)
class Result:
    """What one table gave.

    Attributes
    ----------
    name : str
        Of the table.
    loss : {"log_loss", "squared_error"}
    library : PredictionLibrary
        Out-of-fold predictions, and those of the test rows as ``P_test``.
    leaderboard : DataFrame
        One row for each member, best first, then one for each combiner.
    test_predictions : DataFrame
        Columns: row (number in the table), target, and one for each member and each
        combiner: predicted value, or probability of the second class.
    seconds : float
    """

    name: str
    loss: str
    library: PredictionLibrary
    leaderboard: pd.DataFrame
    test_predictions: pd.DataFrame
    seconds: float


def run_demo(
    output: str | Path,
    *,
    n_rows: int | None = None,
    seed: int = 0,
    n_jobs: int = 2,
) -> list[Result]:
    """Run the job on both tables, print it, and write its files.

    Parameters
    ----------
    output : path
        Folder for ``<table>_library.npz``, ``<table>_test_predictions.csv`` and
        ``<table>_leaderboard.csv``; made where missing.
    n_rows : int, default=None
        Rows used of each table, at least 200; None means all.
    seed : int, default=0
        Of the choice of rows, the folds and the members.
    n_jobs : int, default=2
        Workers of one thread. Time: about 60 s of CPU for all rows.

    Returns
    -------
    results : list of Result

    Raises
    ------
    OutputError
        If the folder cannot be written to.
    """
    folder = prepare_folder(output)
    # Threads that wait for each other stall where another program holds a core.
    with threadpool_limits(1):
        return _run_tables(folder, n_rows, seed, n_jobs)


def _run_tables(folder, n_rows, seed, n_jobs):
    console = make_console()
    print_missing(console)
    results = []
    for name in TASKS:
        X, y = sample_rows(*load_table(name), n_rows, seed)
        print_heading(console, f"{name}: {QUESTIONS[name]}", _describe(X, y))
        with console.status("cross-fitting the members ..."):
            results.append(run_table(name, X, y, seed=seed, n_jobs=n_jobs))
        print_result(console, results[-1])
        write_result(folder, results[-1])
    print_end(console, folder, results, n_jobs)
    return results


def load_table(name: str) -> tuple[pd.DataFrame, pd.Series]:
    """Read a bundled table.

    Parameters
    ----------
    name : {"bank_marketing", "abalone"}

    Returns
    -------
    X : DataFrame
        Features, categories as pandas categories.
    y : Series
        Labels "no" and "yes", or numbers of rings.

    Examples
    --------
    >>> X, y = load_table("abalone")
    >>> X.shape
    (4177, 8)
    """
    with as_file(files("ensemblekit") / "data" / f"{name}.parquet") as path:
        table = pd.read_parquet(path)
    return table.drop(columns="target"), table["target"]


def sample_rows(
    X: pd.DataFrame, y: pd.Series, n_rows: int | None, seed: int
) -> tuple[pd.DataFrame, pd.Series]:
    """Keep that many rows (None, or too many: all), with the same shares of classes."""
    if n_rows is None or n_rows >= len(X):
        return X, y
    strata = y if _task(y) == "classification" else None
    X, _, y, _ = train_test_split(
        X, y, train_size=n_rows, random_state=seed, stratify=strata
    )
    return X, y


def run_table(
    name: str, X: pd.DataFrame, y: pd.Series, *, seed: int = 0, n_jobs: int = 2
) -> Result:
    """Cross-fit the members on the training part, combine them, score on both parts.

    Parameters
    ----------
    name : str
        For the result.
    X : DataFrame
    y : Series
        Categories make it a classification.
    seed, n_jobs : int
        As for `run_demo`.

    Returns
    -------
    result : Result
    """
    start = perf_counter()
    task = _task(y)
    X, X_test, y, y_test = hold_out(X, y, seed)
    cross_fit = CrossFit(
        demo_members(task),
        cv=_folds(task, seed),
        refit="all",
        random_state=seed,
        n_jobs=n_jobs,
    ).fit(X, y)
    library = _with_test_part(cross_fit.library_, cross_fit.transform(X_test))
    combiners = demo_combiners(task)
    fitted = {n: c.fit(library.P, library.y) for n, c in combiners.items()}
    predictions = _test_predictions(library, fitted)
    scores = [
        *_member_rows(cross_fit.report_, fitted["convex_weights"].weights_),
        *_combiner_rows(library, combiners, LOSS[task]),
    ]
    return Result(
        name,
        LOSS[task],
        library,
        _leaderboard(scores, LOSS[task], _codes(library, y_test), predictions),
        _as_columns(predictions, y_test),
        perf_counter() - start,
    )


def hold_out(X: pd.DataFrame, y: pd.Series, seed: int) -> list:
    """Return X, X_test, y, y_test: 30 % of the rows, classes in equal shares."""
    strata = y if _task(y) == "classification" else None
    return train_test_split(
        X, y, test_size=TEST_SHARE, random_state=seed, stratify=strata
    )


def demo_members(task: str) -> list[tuple[str, Any]]:
    """Return the default members, histogram boosting and nearest neighbours.

    Parameters
    ----------
    task : {"classification", "regression"}

    Returns
    -------
    members : list of (str, Pipeline)
    """
    boosting, neighbours = (
        (HistGradientBoostingClassifier, KNeighborsClassifier(n_neighbors=100))
        if task == "classification"
        else (HistGradientBoostingRegressor, KNeighborsRegressor(n_neighbors=20))
    )
    histogram = boosting(learning_rate=0.06)
    members = {
        **dict(default_members(task)),
        "hist_gradient_boosting": make_pipeline(encode_categories(), histogram),
        "nearest_neighbours": make_pipeline(scale_and_encode(), neighbours),
    }
    return list(members.items())


def demo_combiners(task: str) -> dict[str, Any]:
    """Return the combiners to compare, by name; one greedy pick is the single best.

    Parameters
    ----------
    task : {"classification", "regression"}

    Returns
    -------
    combiners : dict of str to estimator
    """
    if task == "classification":
        return {
            "single_best": EnsembleSelectionClassifier(n_rounds=1),
            "plain_mean": AverageClassifier(),
            "greedy_selection": EnsembleSelectionClassifier(),
            "convex_weights": ConvexClassifier(),
            "linear_stacking": LinearStackClassifier(),
        }
    return {
        "single_best": EnsembleSelectionRegressor(n_rounds=1),
        "plain_mean": AverageRegressor(),
        "greedy_selection": EnsembleSelectionRegressor(),
        "convex_weights": ConvexRegressor(),
        "linear_stacking": LinearStackRegressor(),
    }


def _task(y):
    is_labels = isinstance(y.dtype, pd.CategoricalDtype)
    return "classification" if is_labels else "regression"


def _describe(X, y):
    n_test = int(np.ceil(TEST_SHARE * len(X)))
    return (
        f"{_task(y)}, {X.shape[1]} columns, {len(X) - n_test:,} training rows in "
        f"{N_FOLDS} folds, {n_test:,} test rows"
    )


def _folds(task, seed):
    splitter = StratifiedKFold if task == "classification" else KFold
    return splitter(n_splits=N_FOLDS, shuffle=True, random_state=seed)


def _with_test_part(library, P_test):
    return PredictionLibrary(
        library.P,
        library.y,
        library.names,
        classes=library.classes,
        folds=library.folds,
        P_test=P_test,
    )


def _codes(library, y):
    """Targets as the losses take them: numbers as they are, labels as codes."""
    if library.classes is None:
        return np.asarray(y)
    return np.searchsorted(library.classes, np.asarray(y, dtype=str))


def _test_predictions(library, fitted):
    """Values, or probability of the second class, of all members and combiners."""
    P = library.P_test
    predictions = dict(zip(library.names, P.T, strict=True))
    for name, combiner in fitted.items():
        predictions[name] = (
            combiner.predict(P)
            if library.classes is None
            else combiner.predict_proba(P)[:, 1]
        )
    return predictions


def _as_columns(predictions, y_test):
    return pd.DataFrame(
        {"row": y_test.index, "target": y_test.to_numpy(), **predictions}
    )


def _member_rows(report, weights):
    rows = [
        {
            "kind": "member",
            "name": member["name"],
            "oof_loss": member["loss"],
            "oof_loss_se": member["loss_se"],
            "weight": weight,
            "fit_time": member["fit_time"],
            "predict_time": member["predict_time"],
        }
        for member, weight in zip(report, weights, strict=True)
    ]
    return sorted(rows, key=lambda row: row["oof_loss"])


def _combiner_rows(library, combiners, loss):
    codes = _codes(library, library.y)
    rows = []
    for name, combiner in combiners.items():
        prediction = cross_fitted_predictions(combiner, library)
        score = score_folds(loss, codes, prediction, library.folds)
        row = {"oof_loss": score["loss"], "oof_loss_se": score["loss_se"]}
        rows.append({"kind": "combiner", "name": name, **row})
    return rows


def _leaderboard(rows, loss, codes, predictions):
    """Add the scores on the test rows, and the gain over the single best there."""
    losses = {n: _per_row(loss, codes, p) for n, p in predictions.items()}
    for row in rows:
        own = losses[row["name"]]
        gain = losses["single_best"] - own
        row |= {"test_loss": own.mean(), "test_loss_se": _standard_error(own)}
        row |= {"test_gain": gain.mean(), "test_gain_se": _standard_error(gain)}
    columns = "kind name oof_loss oof_loss_se test_loss test_loss_se test_gain"
    columns += " test_gain_se weight fit_time predict_time"
    return pd.DataFrame(rows)[columns.split()].assign(loss=loss)


def _per_row(loss, codes, prediction):
    per_row = LOSSES[loss].per_row
    assert per_row is not None  # only auc has none
    if loss == "log_loss":
        prediction = np.column_stack([1.0 - prediction, prediction])
    return per_row(codes, prediction)


def _standard_error(values):
    return values.std(ddof=1) / np.sqrt(len(values))
