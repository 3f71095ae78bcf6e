"""`ensemblekit predict`: apply what `ensemblekit fit` wrote to new rows."""

import warnings
from importlib.util import find_spec
from pathlib import Path

from .._writing import left_as_found, prepare, write_texts
from ._common import missing_packages, printable, run_or_refuse

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
    return run_or_refuse(_run, options, problem)


def _interval_problem(share):
    if 0.0 < share < 1.0:
        return None
    return f"--interval is {share:g}; expected a share between 0 and 1, such as 0.1."


def _run(options):
    from ..blending._csv import escape_notes, to_csv
    from ._features import CATEGORY, read, read_columns, to_frame
    from ._model_folder import load

    output = Path(options.output)
    _check_output(output, options)
    stored = load(Path(options.model))
    width = _half_width(stored, options)
    if options.proba and stored.facts["task"] == "regression":
        target = stored.facts["target"]
        raise ValueError(f"--proba is for classes; {target!r} is a number.")
    texts = [c.name for c in stored.columns if c.kind == CATEGORY]
    table = read(Path(options.table), texts, stored.facts["id"])
    data, new = read_columns(table, stored.columns)
    notes = [*stored.notes, *table.notes, *_extra_columns(table, stored), *new]
    columns = _ids(table, stored, notes)
    notes += escape_notes(next(iter(columns.values())), output.name)
    X = to_frame(stored.columns, data)
    with left_as_found(output.parent):
        prepare(output.parent)
        columns |= _predict(stored, X, width, options, notes)
        write_texts(output.parent, {output.name: to_csv(columns)})
    for note in notes:
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
    known = stored.facts["half_widths"]
    fit = [w for a, w in known if a <= options.interval * (1 + 1e-12)]
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
        columns = _checked(stored, X, width, options)
    texts = (" ".join(str(warning.message).split()) for warning in caught)
    notes += [text for text in dict.fromkeys(texts) if text not in notes]
    return columns


def _checked(stored, X, width, options):
    """Return `_columns`; what members say of rows they cannot take names the model."""
    try:
        return _columns(stored, X, width, options)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(
            f"{options.model}: the model cannot predict {options.table}: {error}"
        ) from error


def _columns(stored, X, width, options):
    target, model = stored.facts["target"], stored.model
    if stored.facts["task"] == "regression":
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
