"""`ensemblekit demo`: cross-fit and combine seven models on two real tables."""

from importlib.util import find_spec

from ._common import fail, missing_packages, seed_problem

_NEEDED = ("pandas", "pyarrow", "rich")
_MIN_ROWS = 200
_OUTPUT = "folder for the files, made where missing (default: %(default)s)"
_ROWS = f"rows used of each table, at least {_MIN_ROWS} (default: all)"
_N_JOBS = "workers; -1 means all cores (default: %(default)s)"
_SEED = "of the choice of rows, the folds and the members (default: %(default)s)"


def add_parser(commands):
    """Add the command's parser."""
    demo = commands.add_parser(
        "demo",
        help="cross-fit and combine seven models on two real tables",
        description="Cross-fit seven models on two bundled tables, combine them in "
        "five ways, print leaderboards, write predictions and scores to a folder.",
    )
    add = demo.add_argument
    add("--output", default="demo_output", metavar="DIR", help=_OUTPUT)
    add("--rows", type=int, metavar="N", help=_ROWS)
    add("--n-jobs", type=int, default=2, metavar="N", help=_N_JOBS)
    add("--seed", type=int, default=0, metavar="N", help=_SEED)


def run(options):
    """Run the command; return the exit code."""
    problem = _find_problem(options)
    if problem:
        return fail(problem)
    from ..demo import OutputError, run_demo

    try:
        run_demo(
            options.output,
            n_rows=options.rows,
            seed=options.seed,
            n_jobs=options.n_jobs,
        )
    except OutputError as error:
        return fail(error)
    return 0


def _find_problem(options):
    """Return a sentence on what is unfit, or None."""
    extra = "pip install 'ensemblekit[cli,boosting]'"
    missing = missing_packages(_NEEDED, extra, find_spec)
    if missing:
        return missing
    if options.rows is not None and options.rows < _MIN_ROWS:
        return f"--rows is {options.rows}; the demo needs at least {_MIN_ROWS} rows."
    if options.n_jobs == 0:
        return "--n-jobs is 0; expected 1 or more, or -1 for all cores."
    return seed_problem(options.seed)
