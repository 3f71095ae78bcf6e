"""`ensemblekit predict`: apply what `ensemblekit fit` wrote to new rows."""

import warnings
from importlib.util import find_spec
from pathlib import Path

from ._common import fail, missing_packages, printable

__all__ = ["add_parser", "run"]

_NEEDED = ("pandas", "pyarrow", "skops")
_EXTRA = "pip install 'ensemblekit[cli,cache]'"
_DESCRIPTION = """\
Read the model that `ensemblekit fit` wrote to a folder, check that the columns of a
table are those it was fitted on, and write ids and predictions."""
_INTERVAL = "also lower and upper ends that miss this share of the rows, such as 0.1"


def add_parser(commands):
    """Add the command's parser."""
    parser = commands.add_parser(
        "predict",
        help="apply a fitted ensemble to new rows",
        description=_DESCRIPTION,
    )
    add = parser.add_argument
    add("model", help="folder that `ensemblekit fit` wrote")
    add("table", help="csv, csv.gz or parquet file of new rows")
    add(
        "-o",
        "--output",
        default="predictions.csv",
        metavar="FILE",
        help="(default: %(default)s)",
    )
    add("--proba", action="store_true", help="also the probability of each class")
    add("--interval", type=float, metavar="SHARE", help=_INTERVAL)
    return parser


def run(options) -> int:
    """Run the command; return the exit code."""
    problem = missing_packages(_NEEDED, _EXTRA, find_spec)
    if problem is None and options.interval is not None:
        problem = _interval_problem(options.interval)
    if problem:
        return fail(problem)
    try:
        return _run(options)
    except (ValueError, TypeError, MemoryError, OSError) as error:
        return fail(error)


def _interval_problem(share):
    if 0.0 < share < 1.0:
        return None
    return f"--interval is {share:g}; expected a share between 0 and 1, such as 0.1."


def _run(options):
    from ..blending._files import escape_notes, prepare, to_csv
    from ._features import CATEGORY, read, read_columns, to_frame
    from ._model_folder import load
    from ._together import text, write_together

    output = Path(options.output)
    _check_output(output, options)
    stored = load(Path(options.model))
    width = _half_width(stored, options)
    texts = [c.name for c in stored.columns if c.kind == CATEGORY]
    table = read(Path(options.table), texts, stored.facts["id"])
    data, new = read_columns(table, stored.columns)
    notes = [*stored.notes, *table.notes, *_extra_columns(table, stored), *new]
    columns = _ids(table, stored, notes)
    escaped = escape_notes(next(iter(columns.values())), output.name)
    prepare(output.parent)
    columns |= _predict(stored, to_frame(stored.columns, data), width, options, notes)
    write_together(output.parent, {output.name: text(to_csv(columns))})
    for note in [*notes, *escaped]:
        print(printable(f"note: {note}"))
    print(f"{table.n_rows} rows written to {output}: {', '.join(columns)}")
    return 0


def _check_output(output, options):
    if output.is_dir():
        raise ValueError(f"{output} is a folder; give -o the name of a file.")
    if output.exists() and output.samefile(options.table):
        raise ValueError(f"{output} is the table itself; give another name with -o.")


def _half_width(stored, options):
    """Return half the width of intervals, None where none are asked for."""
    if options.interval is None:
        return None
    known = stored.facts.get("half_widths")
    fit = [w for a, w in known or [] if a <= options.interval * (1 + 1e-12)]
    if not known:
        raise ValueError(
            f"--interval: {options.model} has no intervals, which only regressions "
            "scored by a metric of values have. Use --proba with classes."
        )
    if not fit:
        raise ValueError(
            f"--interval is {options.interval:g}; {options.model} was fitted on too "
            f"few rows for less than {known[0][0]:g}."
        )
    return fit[-1]


def _extra_columns(table, stored):
    from ._features import named

    known = {column.name for column in stored.columns}
    known |= {stored.facts["target"], stored.facts["id"], *stored.facts["sorted_out"]}
    extra = [name for name in table.columns if name not in known]
    if not extra:
        return []
    return [
        f"{len(extra)} columns the model was not fitted on are ignored: {named(extra)}"
    ]


def _ids(table, stored, notes):
    """Return the column of ids; numbers of the rows where there are none."""
    import numpy as np

    from ..files._ids import canonical

    name = stored.facts["id"]
    if name is not None and name in table.columns:
        return {name: canonical(table, name)}
    if name is not None:
        notes.append(f"there is no column {name!r} of ids: rows are numbered from 0")
    return {"row": np.arange(table.n_rows)}


def _predict(stored, X, width, options, notes):
    """Return predicted columns; what the model warns of becomes notes."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        columns = _columns(stored, X, width, options)
    texts = (" ".join(str(warning.message).split()) for warning in caught)
    notes += [text for text in dict.fromkeys(texts) if text not in notes]
    return columns


def _columns(stored, X, width, options):
    target, model = stored.facts["target"], stored.model
    if stored.facts["task"] == "regression":
        if options.proba:
            raise ValueError(f"--proba is for classes; {target!r} is a number.")
        values = model.predict(X)
        if width is None:
            return {target: values}
        ends = {"lower": values - width, "upper": values + width}
        return {target: values, **ends}
    columns = {target: model.predict(X)}
    if options.proba:
        probabilities = model.predict_proba(X)
        labels = stored.model.classes_.tolist()
        columns |= {
            f"{target}={label}": values
            for label, values in zip(labels, probabilities.T, strict=True)
        }
    return columns
