"""`ensemblekit inspect`: explain what is wrong with a folder of predictions."""

from importlib.util import find_spec

from ._common import (
    missing_packages,
    no_submission,
    one_or_list,
    print_bank,
    run_or_refuse,
)
from ._levels_option import add_levels

__all__ = ["add_parser", "run"]

_NEEDED = ("pandas", "pyarrow")
_EXTRA = "pip install 'ensemblekit[cli]'"
_TASK = "what the target is (default: told by its values)"
_DESCRIPTION = (
    "Find out-of-fold and test predictions (csv, parquet, npy, npz), say how they are "
    "paired and put in order, and list all problems at once. Nothing is written."
)


def add_parser(commands):
    """Add the command to the parser's commands."""
    parser = commands.add_parser(
        "inspect",
        help="explain what is wrong with a folder of prediction files",
        description=_DESCRIPTION,
    )
    add = parser.add_argument
    add("oof", nargs="+", metavar="OOF", help="folder, pattern or files")
    add("--target", metavar="FILE:COLUMN", help="for example train.csv:target")
    add("--id", metavar="COLUMN", help="column of the ids (default: id, if there)")
    add("--task", choices=("regression", "classification"), help=_TASK)
    add("--test", nargs="+", metavar="PATH", help="predictions of the test rows")
    add("--folds", metavar="FILE:COLUMN", help="folds in which rows were held out")
    add("--sample-submission", metavar="FILE", help="ids of the test rows, in order")
    add_levels(parser)
    return parser


def run(options) -> int:
    """Print what was found; return 0, or 2 where a blend would be refused."""
    problem = missing_packages(_NEEDED, _EXTRA, find_spec)
    return run_or_refuse(_inspect, options, problem)


def _inspect(options):
    from ..files import read_target
    from ..files.problems import inspect_files
    from ._findings import print_findings
    from ._patience import told_if_slow

    target = options.target
    if target is not None and options.task is not None:
        target = read_target(target, options.id, task=options.task)
    with told_if_slow("Pairing and reading files"):
        findings, bank = inspect_files(
            one_or_list(options.oof),
            target,
            id=options.id,
            test=one_or_list(options.test),
            folds=options.folds,
            sample=options.sample_submission,
            quantiles=options.quantiles,
        )
    if bank is not None:
        print_bank(bank)
    print_findings(findings)
    errors = sum(finding.level == "error" for finding in findings)
    print(_verdict(errors, len(findings) - errors))
    why = bank and no_submission(bank, options.sample_submission is not None)
    if why:
        print(why)
    return 2 if errors else 0


def _verdict(n_errors, n_hints):
    if n_errors:
        return f"{n_errors} errors: a blend would refuse these files; {n_hints} hints."
    if n_hints:
        return f"No errors; {n_hints} hints to look at before you blend."
    return "Nothing wrong was found."
