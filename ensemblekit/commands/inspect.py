"""`ensemblekit inspect`: explain what is wrong with a folder of predictions."""

import sys
from importlib.util import find_spec

__all__ = ["add_parser", "run"]

_NEEDED = ("pandas", "pyarrow")
_SHOWN = 200
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
    return parser


def run(options) -> int:
    """Print what was found; return 0, or 2 where a blend would be refused."""
    from ..exceptions import FileError

    missing = [name for name in _NEEDED if not find_spec(name)]
    if missing:
        return _fail(
            f"inspect needs {', '.join(missing)}: run pip install 'ensemblekit[cli]'."
        )
    try:
        return _inspect(options)
    except FileError as error:
        return _fail(str(error))


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
            _one_or_list(options.oof),
            target,
            id=options.id,
            test=_one_or_list(options.test),
            folds=options.folds,
            sample=options.sample_submission,
        )
    if bank is not None:
        _print_bank(bank)
    print_findings(findings)
    errors = sum(finding.level == "error" for finding in findings)
    print(_verdict(errors, len(findings) - errors))
    return 2 if errors else 0


def _one_or_list(paths):
    return paths[0] if paths is not None and len(paths) == 1 else paths


def _print_bank(bank):
    library = bank.library
    print(repr(library) if library is not None else f"{len(bank.files)} members")
    width = min(40, max(len(_printable(files.name)) for files in bank.files))
    for files in bank.files[:_SHOWN]:
        test = "" if files.test is None else f" + {files.test}"
        rule = bank.rules.get(files.name, "")
        line = f"  {files.name:{width}}  {files.oof}{test}  [{files.layout}; {rule}]"
        print(_printable(line))
    if len(bank.files) > _SHOWN:
        print(f"  ... and {len(bank.files) - _SHOWN} more")
    for note in bank.notes:
        print(_printable(f"note: {note}"))


def _printable(text):
    """Names come from files: no signs that would steer the terminal."""
    shown = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
    encoding = sys.stdout.encoding or "utf-8"
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def _verdict(n_errors, n_hints):
    if n_errors:
        return f"{n_errors} errors: a blend would refuse these files; {n_hints} hints."
    if n_hints:
        return f"No errors; {n_hints} hints to look at before you blend."
    return "Nothing wrong was found."


def _fail(sentence):
    print(f"ensemblekit: {_printable(sentence)}", file=sys.stderr)
    return 2
