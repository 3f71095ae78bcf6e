"""`ensemblekit fit`: a table and a target to an ensemble, with honest scores."""

import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

from .._writing import encode, left_as_found, prepare, together
from ._common import fail, missing_packages, printable, run_or_refuse, seed_problem
from ._fit_scores import print_scores

__all__ = ["add_parser", "run"]

_NEEDED = ("pandas", "pyarrow", "skops")
_EXTRA = "pip install 'ensemblekit[cli,cache,boosting]'"
_DESCRIPTION = """\
Cross-fit members on a table, combine them, score members and ensemble on rows they
were not fitted on, and write the fitted model, held-out predictions, scores, code that
fits it again, and a report to a folder. `ensemblekit predict` applies the model."""
_MEMBERS = "YAML file: NAME: {estimator: lightgbm.LGBMRegressor, params: {...}}"
_COMBINER = "such as convex, mean, greedy, search (default: %(default)s)"
_MEMORY = "folder that keeps fitted members: an interrupted fit goes on where it was"
_GROUPS = "rows of one group are held out together; no feature"
_LIBRARY = "library.npz"
_ALL = ("report.html", "report.json")


def add_parser(commands):
    """Add the command's parser."""
    parser = commands.add_parser(
        "fit",
        help="fit an ensemble to a table, with honest scores",
        description=_DESCRIPTION,
    )
    add = parser.add_argument
    add("table", help="csv, csv.gz or parquet file with the target")
    add("--target", required=True, metavar="COLUMN", help="what to predict")
    add(
        "--task",
        choices=("regression", "classification"),
        help="(default: by the values of the target)",
    )
    add("--metric", metavar="NAME", help="such as rmse, roc_auc (default: by task)")
    add("--members", metavar="FILE", help=_MEMBERS + " (default: five of ours)")
    add("--id", metavar="COLUMN", help="ids of the rows (default: found by name)")
    add("--groups", metavar="COLUMN", help=_GROUPS)
    add("--weight", metavar="COLUMN", help="weights of the rows; no feature")
    add("--drop", nargs="+", default=[], metavar="COLUMN", help="no features either")
    add(
        "--categories",
        nargs="+",
        default=[],
        metavar="COLUMN",
        help="numbers that are codes, such as postcodes",
    )
    add("--cv", type=int, default=5, metavar="N", help="folds (default: %(default)s)")
    add("--combiner", default="convex", metavar="NAME", help=_COMBINER)
    add("-o", "--output", default="fit", metavar="DIR", help="(default: %(default)s)")
    add("--memory", metavar="DIR", help=_MEMORY)
    add("--seed", type=int, default=0, metavar="N", help="(default: %(default)s)")
    add("--n-jobs", type=int, default=2, metavar="N", help="(default: %(default)s)")
    add("--time-limit", type=float, metavar="S", help="seconds; begin no fit after it")
    return parser


def run(options) -> int:
    """Run the command; return the exit code."""
    needed = (*_NEEDED, *(["yaml"] if options.members else []))
    problem = missing_packages(needed, _EXTRA, find_spec) or _find_problem(options)
    return run_or_refuse(_run, options, problem)


def _find_problem(options):
    if options.cv < 2:
        return f"--cv is {options.cv}; expected 2 folds or more."
    if options.n_jobs == 0:
        return "--n-jobs is 0; expected 1 or more, or -1 for all cores."
    if options.time_limit is not None and not options.time_limit > 0:
        return f"--time-limit is {options.time_limit:g}; expected seconds above 0."
    return seed_problem(options.seed)


def _run(options):
    from threadpoolctl import threadpool_limits

    from ._training import read_rows

    folder = Path(options.output)
    rows = read_rows(options)
    _check_folds(rows, options)
    metric, method = _choose(rows, options)
    members = _members(rows, options)
    with left_as_found(folder):
        prepare(folder)
        _tell(rows, members)
        # Threads that wait for each other stall where another program holds a core.
        with threadpool_limits(1), _warnings_as_notes():
            stacked = _fit(rows, method, members, options)
            result = _judge(stacked, metric, method, options)
        print_scores(result, stacked, method.name)
        return _write(folder, rows, stacked, result, method.name, members, options)


def _check_folds(rows, options):
    """Refuse more folds than there are rows, groups or rows of a class."""
    import numpy as np

    if len(rows.y) < 2 * options.cv:
        raise ValueError(
            f"{rows.path} has {len(rows.y)} rows; {options.cv} folds need "
            f"{2 * options.cv} at least. Give more rows, or fewer folds with --cv."
        )
    if rows.groups is not None and len(set(rows.groups)) < options.cv:
        raise ValueError(
            f"{rows.path}: {options.groups!r} has {len(set(rows.groups))} groups, and "
            f"{options.cv} folds need {options.cv} at least. Give fewer with --cv."
        )
    if rows.task == "regression":
        return
    labels, counts = np.unique(rows.y, return_counts=True)
    if counts.min() < 2:
        raise ValueError(
            f"{rows.path}: the class {labels[counts.argmin()].item()!r} of "
            f"{rows.target!r} has one row, so it cannot be held out and trained on. "
            "Leave the row out, or say --task regression."
        )
    if counts.min() < options.cv:
        rows.notes.append(
            f"the class {labels[counts.argmin()].item()!r} has {counts.min()} rows, "
            f"fewer than the {options.cv} folds: not every fold holds one"
        )


def _choose(rows, options):
    """Return the metric, and the way to combine."""
    from ..blending.methods import methods_for
    from ..blending.metrics import find_metric

    n_classes = 0 if rows.classes is None else len(rows.classes)
    metric = find_metric(options.metric, rows.task, n_classes)
    methods = methods_for(metric, rows.task, n_classes, options.seed)
    found = [method for method in methods if method.name == options.combiner]
    if not found:
        known = "; ".join(method.name for method in methods)
        raise ValueError(
            f"--combiner is {options.combiner!r}; expected one of: {known}."
        )
    return metric, found[0]


def _members(rows, options):
    if options.members is None:
        return None
    from ._members_file import read_members

    return read_members(Path(options.members), rows.task)


def _tell(rows, members):
    """Print what was read and decided: nothing is guessed in silence."""
    from ._features import CATEGORY

    n_texts = sum(column.kind == CATEGORY for column in rows.columns)
    print(
        f"{rows.path}: {len(rows.y)} rows, {len(rows.columns)} features "
        f"({len(rows.columns) - n_texts} of numbers, {n_texts} of categories)"
    )
    for note in rows.notes:
        print(printable(f"note: {note}"))
    for member in members or []:
        encoder = member.encoder or "none"
        print(printable(f"member {member.name}: {member.estimator}, {encoder}"))
    sys.stdout.flush()


def _fit(rows, method, members, options):
    from .. import StackedClassifier, StackedRegressor
    from ..members import default_members

    regression = rows.task == "regression"
    kind = StackedRegressor if regression else StackedClassifier
    if members is None:
        estimators = default_members(rows.task)
    else:
        estimators = [(member.name, member.make()) for member in members]
    stacked = kind(
        estimators,
        method.make(),
        cv=_splitter(rows, options),
        memory=options.memory,
        time_limit=options.time_limit,
        n_jobs=options.n_jobs,
        random_state=options.seed,
        verbose=1,
    )
    try:
        stacked.fit(rows.X, rows.y, sample_weight=rows.weight, groups=rows.groups)
    except ValueError as error:
        if options.time_limit is None or "0 members are left" not in str(error):
            raise
        raise ValueError(
            f"No member was on all folds within --time-limit {options.time_limit:g} s. "
            "Give it more, or fewer folds with --cv; --memory keeps what is done."
        ) from error
    return stacked


def _splitter(rows, options):
    """Return shuffled folds: tables are often sorted."""
    from sklearn.model_selection import (
        GroupKFold,
        KFold,
        StratifiedGroupKFold,
        StratifiedKFold,
    )

    regression = rows.task == "regression"
    if rows.groups is not None:
        kind = GroupKFold if regression else StratifiedGroupKFold
    else:
        kind = KFold if regression else StratifiedKFold
    return kind(n_splits=options.cv, shuffle=True, random_state=options.seed)


def _judge(stacked, metric, method, options):
    from ..blending import blend

    return blend(
        stacked.library_,
        metric=metric.name,
        methods=[method.name],
        random_state=options.seed,
    )


def _warnings_as_notes():
    """Print each warning once, as a line."""
    shown = set()

    def show(message, category, filename, lineno, file=None, line=None):
        text = " ".join(str(message).split())
        if text not in shown:
            shown.add(text)
            print(printable(f"note: {text}"), file=sys.stderr)

    caught = warnings.catch_warnings()

    class Notes:
        def __enter__(self):
            caught.__enter__()
            warnings.simplefilter("always")
            warnings.showwarning = show

        def __exit__(self, *error):
            caught.__exit__(*error)

    return Notes()


def _write(folder, rows, stacked, result, method, members, options):
    from ..blending._csv import escape_notes
    from ._model_folder import FACTS, MODEL

    library = stacked.library_
    texts = _texts(rows, stacked, result, method, members, options)
    model, problem = _model(rows, stacked, result, method)
    contents = {name: encode(text) for name, text in texts.items()} | model
    names = sorted([_LIBRARY, *contents])
    with together(folder, names, {*_ALL, MODEL, FACTS}.difference(names)) as beside:
        library.save(beside[_LIBRARY])
        for name, content in contents.items():
            beside[name].write_bytes(content)
    for note in escape_notes(rows.ids, "oof.csv"):
        print(printable(f"note: {note}"))
    print(f"Written to {folder}: {', '.join(names)}.")
    if problem is not None:
        return fail(f"No model was written: {problem} fit.py fits it in Python.")
    # What the metric reads is asked for; of classes labels alone are written otherwise.
    more = " --proba" if result.reads == "probabilities" else ""
    print(f"Next: ensemblekit predict {folder} NEW.csv{more} -o predictions.csv")
    return 0


def _texts(rows, stacked, result, method, members, options):
    """Return what is read by people and other programs, by the names of the files."""
    from . import _fit_files as files
    from ._fit_code import write_code

    return {
        "oof.csv": files.oof_text(rows, stacked.library_, result, method),
        "leaderboard.json": files.leaderboard_text(rows, result, method, stacked),
        "fit.py": write_code(rows, stacked, members, options),
        **_reports(rows, stacked),
    }


def _model(rows, stacked, result, method):
    """Return the files of the model and None, or no files and why there are none."""
    from ._fit_files import facts_of
    from ._model_folder import FACTS, MODEL, dump, facts_text, packages_of, versions_of

    packages = packages_of(stacked)
    facts = {
        **facts_of(rows, stacked.library_, result, method),
        "packages": packages,
        "versions": versions_of(packages),
    }
    try:
        content = dump(stacked.compact())
    except ValueError as error:  # what took hours is written all the same
        return {}, str(error)
    text = facts_text(facts, rows.columns, content)
    return {MODEL: content, FACTS: encode(text)}, None


def _reports(rows, stacked):
    """Return the report's files; a report that fails costs no fitted model."""
    from ._fit_files import report_texts

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return report_texts(rows, stacked)
    except Exception as error:  # of any part of a page that is a view of the rest
        problem = str(error).partition("\n")[0]
        print(printable(f"note: no report was written: {problem}"), file=sys.stderr)
        return {}
