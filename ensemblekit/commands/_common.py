"""What the commands share: missing packages, refusals."""

import sys
from importlib.util import find_spec

from .inspect import _one_or_list as one_or_list
from .inspect import _print_bank as print_bank
from .inspect import _printable as printable

__all__ = ["one_or_list", "print_bank", "printable"]

MAX_SEED = 2**32 - 1
EXTRA = "pip install 'ensemblekit[cli,report]'"


def missing_packages(names, extra=EXTRA, find=find_spec):
    """Return a sentence on packages that are not installed, or None."""
    missing = [name for name in names if not find(name)]
    if not missing:
        return None
    return f"This command needs {', '.join(missing)}: run {extra}."


def seed_problem(seed):
    """Return a sentence on a seed out of range, or None."""
    if 0 <= seed <= MAX_SEED:
        return None
    return f"--seed is {seed}; expected 0 to {MAX_SEED}."


def fail(sentence):
    """Print one line to standard error; return the exit code of unfit input."""
    text = printable(" ".join(str(sentence).split()))
    print(f"ensemblekit: {text}", file=sys.stderr)
    return 2
