"""What the commands share: refusals, and what was read."""

import sys
from importlib.util import find_spec

MAX_SEED = 2**32 - 1
SHOWN = 200  # files, or errors, that are listed
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


def run_or_refuse(work, options, problem=None):
    """Return the exit code of the work; what people can mend is told in one line.

    problem : sentence on what is wrong already, or None
    """
    if problem:
        return fail(problem)
    try:
        return work(options)
    except (ValueError, TypeError, MemoryError, OSError) as error:
        return fail(error)


def fail(sentence):
    """Print one line to standard error; return the exit code of unfit input."""
    text = printable(" ".join(str(sentence).split()))
    print(f"ensemblekit: {text}", file=sys.stderr)
    return 2


def printable(text):
    """Return a text without signs that would steer the terminal: names are of files."""
    shown = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
    encoding = sys.stdout.encoding or "utf-8"
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def one_or_list(paths):
    """Return the path where there is only one, else the list."""
    return paths[0] if paths is not None and len(paths) == 1 else paths


def print_bank(bank):
    """Print the files of each member, and how they were put in order."""
    library = bank.library
    print(repr(library) if library is not None else f"{len(bank.files)} members")
    width = min(40, max(len(printable(files.name)) for files in bank.files))
    for files in bank.files[:SHOWN]:
        test = "" if files.test is None else f" + {files.test}"
        rule = bank.rules.get(files.name, "")
        line = f"  {files.name:{width}}  {files.oof}{test}  [{files.layout}; {rule}]"
        print(printable(line))
    if len(bank.files) > SHOWN:
        print(f"  ... and {len(bank.files) - SHOWN} more")
    for note in bank.notes:
        print(printable(f"note: {note}"))


def no_submission(bank, asked=False):
    """Return a sentence on why no submission comes of the files, or None.

    asked : whether a sample submission was given
    """
    library = bank.library
    if library is not None and library.P_test is not None:
        return None
    if bank.unpaired:
        return printable(
            f"No submission: of {len(bank.unpaired)} files of test rows "
            f"({bank.unpaired[0].name}, ...) none pairs with an out-of-fold file."
        )
    return "No submission: there are no files of test rows." if asked else None
