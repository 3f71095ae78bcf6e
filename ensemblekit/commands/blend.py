"""`ensemblekit blend`: combine files of out-of-fold predictions, and compare."""

import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from .._writing import left_as_found, prepare
from ._common import (
    missing_packages,
    no_submission,
    one_or_list,
    print_bank,
    printable,
    run_or_refuse,
    seed_problem,
)
from ._findings import print_findings
from ._levels_option import add_levels
from ._patience import told_if_slow
from ._progress_bar import Progress

_NEEDED = ("pandas", "pyarrow")
_DESCRIPTION = """\
Find and pair out-of-fold and test prediction files, combine them in every way that
applies, score each way on rows it was not fitted on, say what beats what, and write
weights, submission, nested predictions, code and a report to a folder."""


def add_parser(commands):
    """Add the command's parser."""
    parser = commands.add_parser(
        "blend",
        help="combine files of out-of-fold predictions, with honest scores",
        description=_DESCRIPTION,
    )
    add_inputs(parser)
    add = parser.add_argument
    add("--sample-submission", metavar="FILE", help="its columns are the submission's")
    add("--metric", metavar="NAME", help="such as rmse, roc_auc (default: by task)")
    add(
        "--method",
        default="all",
        metavar="NAMES",
        help="'all', or names with semicolons between them; the best is written",
    )
    add("--seed", type=int, default=0, metavar="N", help="(default: %(default)s)")
    add("-o", "--output", default="blend", metavar="DIR", help="(default: %(default)s)")


def add_inputs(parser, target_required=True):
    """Add what says where the files are."""
    add = parser.add_argument
    add("oof", nargs="+", help="folder, glob or files of out-of-fold predictions")
    add(
        "--target",
        required=target_required,
        metavar="FILE:COLUMN",
        help="the truth, such as train.csv:target",
    )
    add("--id", metavar="COLUMN", help="column of the ids (default: found by name)")
    add("--test", nargs="+", metavar="PATH", help="predictions of the test rows")
    add("--folds", metavar="FILE:COLUMN", help="or a column of the target's file")
    add(
        "--task",
        choices=("regression", "classification"),
        help="(default: by the values of the target)",
    )
    add_levels(parser)


def run(options):
    """Run the command; return the exit code."""
    problem = missing_packages(_NEEDED, find=find_spec) or seed_problem(options.seed)
    return run_or_refuse(_run, options, problem)


def read_inputs(options):
    """Return the arguments of `read_bank`, and the target as it was read."""
    return {
        "oof": one_or_list(options.oof),
        "target": _read_target(options),
        "id": options.id,
        "test": one_or_list(options.test),
        "folds": options.folds,
        "sample": getattr(options, "sample_submission", None),
        "quantiles": _quantiles(options),
    }


def _read_target(options):
    """Return the target, read for the task that the metric is of; set that task."""
    from ..files import read_target

    target = read_target(options.target, options.id, task=options.task)
    metric = getattr(options, "metric", None)
    if options.task is not None or metric is None:
        return target
    tasks = _tasks_of(metric)
    if len(tasks) != 1 or target.task in tasks or not _are_whole(target):
        return target
    (options.task,) = tasks
    target = read_target(options.target, options.id, task=options.task)
    target.notes.append(
        f"{target.file}: {target.column!r} is read for a {target.task}, for the "
        f"metric {metric!r} is of no other task"
    )
    return target


def _are_whole(target):
    """Return whether values may be labels just as well: no scorer takes decimals."""
    return target.y.dtype.kind == "i" or (
        target.y.dtype.kind == "f" and bool((target.y % 1 == 0).all())
    )


def _tasks_of(metric):
    """Return the tasks that have a metric of that name."""
    from ..blending.metrics import find_metric

    if metric == "pinball":
        return {"regression"}
    found = set()
    for task, n_classes in (
        ("regression", 0),
        *(("classification", k) for k in (2, 3)),
    ):
        with suppress(ValueError):
            find_metric(metric, task, n_classes)
            found.add(task)
    return found


def _quantiles(options):
    """Return the levels given; a metric of quantiles asks for levels by name."""
    pinball = getattr(options, "metric", None) == "pinball"
    return "names" if options.quantiles is None and pinball else options.quantiles


def _run(options):
    folder = Path(options.output)
    with left_as_found(folder):
        prepare(folder)
        return _blend(folder, options)


def _blend(folder, options):
    from ..blending import write_blend
    from ..files import read_bank

    arguments = read_inputs(options)
    with told_if_slow("Pairing and reading files"):
        bank = read_bank(**arguments)
    with bank:
        _tell(bank)
        result = _compare(bank, options)
        print(f"\n{result}\n")
        source = {
            key: _as_text(value) for key, value in arguments.items() if key != "target"
        }
        paths = write_blend(
            result,
            bank,
            folder,
            options.sample_submission,
            source={"target": options.target, "task": options.task, **source},
        )
        _say_escaped(bank)
        why = no_submission(bank, options.sample_submission is not None)
    print(printable(f"Written: {result.written}"))
    print(f"Written to {folder}: {', '.join(path.name for path in paths)}.")
    if why:
        print(why)
    return 0


def _compare(bank, options):
    """Return the blend of the methods asked for; say before how long it may take."""
    from ..blending import blend
    from ..blending._estimate import estimate
    from ..blending.outputs import check_sample

    if options.sample_submission is not None:  # before hours of fits
        for note in check_sample(bank, options.metric, options.sample_submission):
            print(printable(f"note: {note}"))
    methods = _methods(options.method)
    expected = estimate(bank.library, options.metric, methods, options.seed)
    if expected:
        print(expected, flush=True)
    return blend(
        bank,
        metric=options.metric,
        methods=methods,
        random_state=options.seed,
        progress=Progress(),
    )


def _say_escaped(bank):
    from ..blending._csv import escape_notes

    written = {"oof_blend.csv": bank.ids, "submission.csv": bank.test_ids}
    for file, ids in written.items():
        for note in escape_notes(ids, file):
            print(printable(f"note: {note}"))


def _as_text(value):
    if not isinstance(value, list) or isinstance(value[0], float):
        return value
    return [str(path) for path in value]


def _methods(text):
    return "all" if text == "all" else [name.strip() for name in text.split(";")]


def _tell(bank):
    """Print what was paired and decided: nothing is guessed in silence."""
    from ..files.problems import find_bank_hints

    print_bank(bank)
    print_findings(find_bank_hints(bank))
    sys.stdout.flush()
