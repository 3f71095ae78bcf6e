"""`ensemblekit apply`: a stored blend on new prediction files."""

import sys
from importlib.util import find_spec
from pathlib import Path

from .._writing import write_texts
from ._common import missing_packages, one_or_list, printable, run_or_refuse

_NEEDED = ("pandas", "pyarrow")


def add_parser(commands):
    """Add the command's parser."""
    parser = commands.add_parser(
        "apply",
        help="apply the weights.json of a blend to new prediction files",
        description="Combine new predictions of the same members by a stored blend. "
        "Other members, or classes in another order, are refused.",
    )
    add = parser.add_argument
    add("weights", help="the weights.json that `ensemblekit blend` wrote")
    add("predictions", nargs="+", help="folder, glob or files of predictions")
    add("--id", metavar="COLUMN", help="column of the ids (default: as in the blend)")
    add("--sample-submission", metavar="FILE", help="its columns and order of rows")
    add("-o", "--output", metavar="FILE", help="csv (default: standard output)")


def run(options):
    """Run the command; return the exit code."""
    problem = missing_packages(_NEEDED, find=find_spec)
    return run_or_refuse(_run, options, problem)


def _run(options):
    from ..blending._csv import escape_notes, to_csv
    from ..blending.outputs import apply_to_columns

    notes: list[str] = []
    columns = apply_to_columns(
        options.weights,
        one_or_list(options.predictions),
        id=options.id,
        sample_submission=options.sample_submission,
        notes=notes,
    )
    text = to_csv(columns)
    ids = next(iter(columns.values()))
    for note in [*notes, *escape_notes(ids, options.output or "stdout")]:
        print(printable(f"note: {note}"), file=sys.stderr)
    if options.output is None:
        sys.stdout.write(text)
        return 0
    path = Path(options.output)
    write_texts(path.parent, {path.name: text})
    print(f"Written to {path}: {text.count(chr(10)) - 1} rows.")
    return 0
