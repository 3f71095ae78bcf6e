"""The `ensemblekit` command; light to import, works without the optional packages."""

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from . import __version__

__all__ = ["main"]

_NEEDED = ("pandas", "pyarrow", "rich")
_MIN_ROWS = 200
_MAX_SEED = 2**32 - 1
_OUTPUT = "folder for the files, made where missing (default: %(default)s)"
_ROWS = f"rows used of each table, at least {_MIN_ROWS} (default: all)"
_N_JOBS = "workers; -1 means all cores (default: %(default)s)"
_SEED = "of the choice of rows, the folds and the members (default: %(default)s)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, default=None
        Arguments; None means those of the process.

    Returns
    -------
    code : int
        0, or 2 where the arguments or the installation are unfit, 130 if interrupted.
    """
    parser = _make_parser()
    options = parser.parse_args(argv)
    if options.command is None:
        parser.print_help(sys.stderr)
        return 2
    problem = _find_problem(options)
    if problem:
        return _fail(problem)
    try:
        return _demo(options)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _make_parser():
    parser = argparse.ArgumentParser(
        prog="ensemblekit", description="Combine models; see `ensemblekit demo`."
    )
    parser.add_argument(
        "--version", action="version", version=f"ensemblekit {__version__}"
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
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
    return parser


def _find_problem(options):
    """Return a sentence on what is unfit, or None."""
    missing = [name for name in _NEEDED if not find_spec(name)]
    if missing:
        return (
            f"The demo needs {', '.join(missing)}: run "
            "pip install 'ensemblekit[cli,boosting]'."
        )
    if options.rows is not None and options.rows < _MIN_ROWS:
        return f"--rows is {options.rows}; the demo needs at least {_MIN_ROWS} rows."
    if options.n_jobs == 0:
        return "--n-jobs is 0; expected 1 or more, or -1 for all cores."
    if not 0 <= options.seed <= _MAX_SEED:
        return f"--seed is {options.seed}; expected 0 to {_MAX_SEED}."
    return None


def _demo(options):
    from .demo import OutputError, run_demo

    try:
        run_demo(
            options.output,
            n_rows=options.rows,
            seed=options.seed,
            n_jobs=options.n_jobs,
        )
    except OutputError as error:
        return _fail(str(error))
    return 0


def _fail(sentence):
    print(f"ensemblekit: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
