"""The demo: cross-fit real members on two bundled tables, combine them, compare.

`run_demo` is the whole job; the other functions are its steps. Needs pandas, pyarrow
and rich.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline

from .combine import (
    AverageClassifier,
    AverageRegressor,
    ConvexClassifier,
    ConvexRegressor,
    EnsembleSelectionClassifier,
    EnsembleSelectionRegressor,
    LinearStackClassifier,
    LinearStackRegressor,
)
from .crossfit import CrossFit
from .leaderboard import cross_fitted_predictions, score_folds
from .library import PredictionLibrary
from .losses import LOSSES
from .members import default_members, encode_categories, scale_and_encode

__all__ = [
    "OutputError",
    "Result",
    "load_table",
    "prepare_folder",
    "run_demo",
    "run_table",
]

TASKS = {"bank_marketing": "classification", "abalone": "regression"}
QUESTIONS = {
    "bank_marketing": "does a client subscribe a term deposit after a call?",
    "abalone": "how many rings has the shell of an abalone?",
}
LOSS = {"classification": "log_loss", "regression": "squared_error"}
UNITS = {"log_loss": "log loss (nats)", "squared_error": "squared error (rings^2)"}
DIGITS = {"log_loss": 4, "squared_error": 3}
N_FOLDS = 5
TEST_SHARE = 0.3
HONEST = "Each combiner, and the choice of the single best, is refitted without the fold scored."
LEGEND = """\
Scores       lower is better
out-of-fold  training rows, each predicted by members fitted on the other folds
test         rows held out of everything, predicted by members refitted on all training
             rows and combiners fitted on all out-of-fold predictions
se           standard error: over the folds (out-of-fold), over the rows (test, gain)
gain         test score of the single best less that of the combiner; positive is better
weight       share of the member in the convex weights; 0 is exact, it need not be run
fit, predict seconds of one worker, sum of the 5 folds
One optimism is left in the combiners' out-of-fold scores: the members that predicted
the other folds were fitted on the scored rows as well. The test scores are free of it.
"""
FILES = {
    "library.npz": "out-of-fold and test predictions; PredictionLibrary.load reads it",
    "test_predictions.csv": "target and predictions of the test rows",
    "leaderboard.csv": "the tables above",
}


class OutputError(OSError):
    """The output folder cannot be written to; the message is a sentence for people."""


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
    console: Console | None = None,
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
        Workers. Time: about 45 s of CPU for all rows.
    console : rich.console.Console, default=None
        Where to print; None means standard output.

    Returns
    -------
    results : list of Result

    Raises
    ------
    OutputError
        If the folder cannot be written to.
    """
    folder = prepare_folder(output)
    console = console or make_console()
    _print_missing(console)
    results = []
    for name in TASKS:
        X, y = sample_rows(*load_table(name), n_rows, seed)
        _print_heading(console, name, X)
        with console.status("cross-fitting the members ..."):
            results.append(run_table(name, X, y, seed=seed, n_jobs=n_jobs))
        print_result(console, results[-1])
        write_result(folder, results[-1])
    _print_end(console, folder, results, n_jobs)
    return results


def prepare_folder(output: str | Path) -> Path:
    """Make the folder and try to write to it.

    Raises
    ------
    OutputError
        With a sentence for people, if that fails.
    """
    folder = Path(output)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    return folder


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn errors of the file system into one sentence that names the folder."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(
            f"Cannot write to the folder {folder}: a file is in the way. "
            "Give another folder with --output."
        ) from error
    except OSError as error:
        raise OutputError(
            f"Cannot write to the folder {folder}: {error.strerror}. "
            "Give another folder with --output."
        ) from error


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
    X, _, y, _ = train_test_split(
        X, y, train_size=n_rows, random_state=seed, stratify=_strata(y)
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
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=TEST_SHARE, random_state=seed, stratify=_strata(y)
    )
    task = "regression" if _strata(y) is None else "classification"
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


def _strata(y):
    return y if isinstance(y.dtype, pd.CategoricalDtype) else None


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
        rows.append(
            {
                "kind": "combiner",
                "name": name,
                "oof_loss": score["loss"],
                "oof_loss_se": score["loss_se"],
            }
        )
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
    if loss == "log_loss":
        prediction = np.column_stack([1.0 - prediction, prediction])
    return LOSSES[loss].per_row(codes, prediction)


def _standard_error(values):
    return values.std(ddof=1) / np.sqrt(len(values))


def write_result(folder: Path, result: Result) -> None:
    """Write the library, the test predictions and the leaderboard.

    Raises
    ------
    OutputError
        With a sentence for people, if that fails.
    """
    with explained(folder):
        result.library.save(folder / f"{result.name}_library.npz")
        for part in ("test_predictions", "leaderboard"):
            path = folder / f"{result.name}_{part}.csv"
            getattr(result, part).to_csv(path, index=False, float_format="%.8g")


def make_console() -> Console:
    """Return a console on standard output; 100 columns wide where it is no terminal."""
    options = {"highlight": False, "markup": False, "emoji": False}
    console = Console(**options)
    return console if console.is_terminal else Console(width=100, **options)


def print_result(console: Console, result: Result) -> None:
    """Print the table of members, that of combiners, and what makes them honest."""
    rows = result.leaderboard.to_dict("records")
    members = [row for row in rows if row["kind"] == "member"]
    combiners = [row for row in rows if row["kind"] == "combiner"]
    best = _title(members[0]["name"])
    console.print(f"Scores are {UNITS[result.loss]}; lower is better.\n")
    console.print(_member_table(members, DIGITS[result.loss]))
    console.print()
    console.print(_combiner_table(combiners, DIGITS[result.loss], best))
    console.print(f"\n{HONEST}\n")


def _member_table(rows, digits):
    table = _table("member", ["weight", "fit s", "predict s"])
    for row in rows:
        weight = f"{row['weight']:.3f}" if row["weight"] else "0"
        times = [f"{row['fit_time']:.1f}", f"{row['predict_time']:.1f}"]
        table.add_row(_title(row["name"]), *_scores(row, digits), weight, *times)
    return table


def _combiner_table(rows, digits, best):
    table = _table("combiner", ["gain", "se"])
    for row in rows:
        title, gain = _title(row["name"]), ["-", "-"]
        if row["name"] == "single_best":
            title = f"{title}: {best}"
        else:
            gain = [
                f"{row['test_gain']:+.{digits}f}",
                f"{row['test_gain_se']:.{digits}f}",
            ]
        table.add_row(title, *_scores(row, digits), *gain)
    return table


def _table(first, more):
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(first, no_wrap=True, min_width=35)
    for title in ["out-of-fold", "se", "test", "se", *more]:
        table.add_column(title, justify="right", no_wrap=True, min_width=6)
    return table


def _title(name):
    return name.replace("_", " ")


def _scores(row, digits):
    keys = ("oof_loss", "oof_loss_se", "test_loss", "test_loss_se")
    return [f"{row[key]:.{digits}f}" for key in keys]


def _print_missing(console):
    missing = [name for name in ("lightgbm", "xgboost") if not find_spec(name)]
    if missing:
        console.print(
            f"Without {' and '.join(missing)}, which pip install "
            "'ensemblekit[boosting]' adds.\n"
        )


def _print_heading(console, name, X):
    n_test = int(np.ceil(TEST_SHARE * len(X)))
    console.rule(f"{name}: {QUESTIONS[name]}", align="left", characters="-")
    console.print(
        f"{TASKS[name]}, {X.shape[1]} columns, {len(X) - n_test:,} training rows in "
        f"{N_FOLDS} folds, {n_test:,} test rows"
    )


def _print_end(console, folder, results, n_jobs):
    console.rule(characters="-")
    console.print(LEGEND)
    console.print(f"Files in {folder}, for each table:", soft_wrap=True)
    for name, content in FILES.items():
        console.print(f"  <table>_{name:<21} {content}")
    seconds = [f"{result.name} {result.seconds:.0f} s" for result in results]
    total = sum(result.seconds for result in results)
    console.print(f"\nTotal {total:.0f} s with n_jobs={n_jobs} ({', '.join(seconds)})")
