"""Files of one fold each, told by their names: parts of a member, and no members."""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from ..exceptions import FileError
from ._content import stem_of
from ._names import OOF, TEST, WEAK_OOF, strip_roles
from ._parts import Finding

_FOLD = re.compile(r"(.+?)[_\-. ]+(?:k?fold|split|part|f)[_\-]?\d{1,2}", re.I)


def parts_of(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the files of each member of which there are several folds.

    Examples
    --------
    >>> names = ["oof_a_fold0.csv", "oof_a_fold1.csv", "oof_b_f2.csv"]
    >>> {name: len(files) for name, files in parts_of(map(Path, names)).items()}
    {'a': 2}
    """
    found = defaultdict(list)
    for path in paths:
        match = _FOLD.fullmatch(strip_roles(stem_of(path), OOF | TEST | WEAK_OOF))
        if match:
            found[match[1]].append(path)
    return {name: files for name, files in found.items() if len(files) > 1}


def told_as_part(error: FileError, path: Path, paths: Iterable[Path]) -> FileError:
    """Return the error, with what to do where the file may be one fold of a member."""
    for name, files in parts_of(paths).items():
        if path in files:
            advice = (
                f"Its name may say that it is one of {len(files)} folds of {name!r}: "
                "join their rows, with the ids, to one file."
            )
            advice = f"{error.advice} {advice}".strip()
            return FileError(error.file, error.line, error.problem, advice)
    return error


def unpaired_hints(unpaired: list[Path]) -> list[Finding]:
    """Say that there will be no submission, though there are files of test rows."""
    if not unpaired:
        return []
    more = f", as are {len(unpaired) - 1} more" if len(unpaired) > 1 else ""
    problem = (
        f"is by its name of the test rows{more}; none pairs with an out-of-fold "
        "file: there will be no submission."
    )
    return [Finding("hint", str(unpaired[0]), None, problem, _advice(unpaired))]


def _advice(unpaired):
    parts = parts_of(unpaired)
    if parts:
        name, files = next(iter(parts.items()))
        return (
            f"Their names may say that {len(files)} of them are the folds of {name!r}: "
            "save their mean as one file."
        )
    return "Give a model's two files one name, but for words such as 'oof' and 'test'."
