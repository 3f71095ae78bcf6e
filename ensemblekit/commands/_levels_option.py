"""The option --quantiles: levels of the members' columns."""

from argparse import ArgumentTypeError

_HELP = (
    "of columns that are quantiles: 0.1,0.5,0.9, or 'names' for columns named by their "
    "levels, such as p10 (default: only columns such as q0.1)"
)


def add_levels(parser):
    """Add the option."""
    parser.add_argument("--quantiles", type=read_levels, metavar="LEVELS", help=_HELP)


def read_levels(text):
    """Return levels as numbers, or 'names'."""
    try:
        return text if text == "names" else [float(level) for level in text.split(",")]
    except ValueError:
        raise ArgumentTypeError(
            f"{text!r} are no levels; expected such as 0.1,0.5,0.9, or names"
        ) from None
