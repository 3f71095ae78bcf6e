"""The `ensemblekit` command; light to import, works without the optional packages."""

import argparse
import sys
from collections.abc import Sequence

from . import __version__
from .commands import apply, blend, demo, fit, inspect, predict

__all__ = ["main"]

COMMANDS = {
    "blend": blend,
    "apply": apply,
    "inspect": inspect,
    "fit": fit,
    "predict": predict,
    "demo": demo,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, default=None
        Arguments; None means those of the process.

    Returns
    -------
    code : int
        0, or 2 where the arguments, the files or the installation are unfit, 130 if
        interrupted.
    """
    parser = _make_parser()
    options = parser.parse_args(argv)
    if options.command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        return COMMANDS[options.command].run(options)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _make_parser():
    parser = argparse.ArgumentParser(
        prog="ensemblekit",
        description="Combine predictions of models, and say honestly how good it is.",
    )
    parser.add_argument(
        "--version", action="version", version=f"ensemblekit {__version__}"
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    for command in COMMANDS.values():
        command.add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
