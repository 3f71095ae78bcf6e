"""What the demo prints and writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from ._writing import probe, reason, whole

_UNITS = {"log_loss": "log loss (nats)", "squared_error": "squared error (rings^2)"}
_DIGITS = {"log_loss": 4, "squared_error": 3}
_WIDTH = 80
_HONEST = """\
Honest scores: each combiner is refitted without the fold it is scored on, and
so is the choice of the single best ({best} on all folds).
"""
_LEGEND = """\
out-of-fold   training rows, each predicted by members fitted on the other folds
test          rows held out of everything; members refitted on all training
              rows, combiners fitted on all out-of-fold predictions
se            standard error: over the folds (out-of-fold), over rows (test)
weight        share in the convex weights; at 0 prediction skips the member
fit, predict  seconds of one worker, sum of the 5 folds
gain          test score of the single best minus that of the combiner (more
              is better) and its standard error over the rows
One optimism is left in the combiners' out-of-fold scores: the members that
predicted the other folds were fitted on the scored rows too. The test scores
are free of it.
"""
_FILES = {
    "library.npz": "out-of-fold and test predictions",
    "test_predictions.csv": "target, predicted value (or P(yes))",
    "leaderboard.csv": "the tables above",
}


class OutputError(OSError):
    """The output folder cannot be written to; the message is a sentence for people."""


def prepare_folder(output: str | Path) -> Path:
    """Make the folder and try to write to it.

    Raises
    ------
    OutputError
        If that fails.
    """
    folder = Path(output)
    with _explained(folder):
        probe(folder)
    return folder


def write_result(folder: Path, result: Any) -> None:
    """Write the library, the test predictions and the leaderboard.

    Raises
    ------
    OutputError
        If that fails.
    """
    with _explained(folder):
        result.library.save(folder / f"{result.name}_library.npz")
        for part in ("test_predictions", "leaderboard"):
            path = folder / f"{result.name}_{part}.csv"
            with whole(path) as beside:
                table = getattr(result, part)
                table.to_csv(beside, index=False, float_format="%.8g")


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn errors of the file system into one sentence that names the folder."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"Cannot write to the folder {folder}: {reason(error)}. "
            "Give another one with --output."
        ) from error


def make_console() -> Console:
    """Return a console on standard output, as wide as the tables."""
    console = Console(highlight=False, markup=False, emoji=False)
    console.width = _WIDTH
    return console


def print_missing(console: Console) -> None:
    """Say which libraries of members are not installed."""
    missing = [name for name in ("lightgbm", "xgboost") if not find_spec(name)]
    if missing:
        console.print(
            f"Not installed, so left out: {', '.join(missing)}. "
            "pip install 'ensemblekit[boosting]' adds them.\n"
        )


def print_heading(console: Console, title: str, description: str) -> None:
    """Print what the next table is, before the members are fitted."""
    console.rule(title, align="left", characters="-")
    console.print(description)


def print_result(console: Console, result: Any) -> None:
    """Print the table of members, that of combiners, and what makes them honest."""
    rows = result.leaderboard.to_dict("records")
    members = [row for row in rows if row["kind"] == "member"]
    combiners = [row for row in rows if row["kind"] == "combiner"]
    digits = _DIGITS[result.loss]
    console.print(f"scores: {_UNITS[result.loss]}, lower is better\n")
    console.print(_member_table(members, digits))
    console.print()
    console.print(_combiner_table(combiners, digits))
    best = _title(members[0]["name"])
    console.print()
    console.print(_HONEST.format(best=best))


def print_end(console: Console, folder: Path, results: list, n_jobs: int) -> None:
    """Print how to read the tables, what the files hold, and the time."""
    console.rule(characters="-")
    console.print(_LEGEND)
    console.print(f"Files in {folder}, for each table:", soft_wrap=True)
    for name, content in _FILES.items():
        console.print(f"  <table>_{name:<20}  {content}", soft_wrap=True)
    seconds = [f"{result.name} {result.seconds:.0f} s" for result in results]
    total = sum(result.seconds for result in results)
    console.print(f"\nTotal {total:.0f} s with n_jobs={n_jobs} ({', '.join(seconds)})")


def _member_table(rows, digits):
    table = _make_table("member", ["weight", "fit s", "predict s"])
    for row in rows:
        weight = f"{row['weight']:.3f}" if row["weight"] else "0"
        times = [f"{row['fit_time']:.1f}", f"{row['predict_time']:.1f}"]
        table.add_row(_title(row["name"]), *_scores(row, digits), weight, *times)
    return table


def _combiner_table(rows, digits):
    table = _make_table("combiner", ["gain", "se"])
    for row in rows:
        keys = ("test_gain", "test_gain_se")
        gain = [f"{row[key]:.{digits}f}" for key in keys]
        if row["name"] == "single_best":
            gain = ["-", "-"]
        table.add_row(_title(row["name"]), *_scores(row, digits), *gain)
    return table


def _make_table(first, more):
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    table.add_column(first, no_wrap=True, min_width=22)
    for title in ["out-of-fold", "se", "test", "se", *more]:
        table.add_column(title, justify="right", no_wrap=True, min_width=6)
    return table


def _title(name):
    return name.replace("_", " ")


def _scores(row, digits):
    keys = ("oof_loss", "oof_loss_se", "test_loss", "test_loss_se")
    return [f"{row[key]:.{digits}f}" for key in keys]
