"""All that is wrong with a folder of predictions, at once."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..exceptions import FileError
from ..library import PredictionLibrary
from ._bank import Bank
from ._columns import find_roles
from ._content import read_content
from ._fold_parts import unpaired_hints
from ._notes import merge_notes
from ._parts import Finding, MemberFiles, Table
from ._reader import Reader
from .hints import find_hints
from .layouts import Source, scan_files
from .target import Target

__all__ = ["find_problems"]


@dataclass
class Overview:
    """What could be read where the target is not known: no library."""

    files: list[MemberFiles]
    notes: list[str]
    rules: dict[str, str] = field(default_factory=dict)
    library: PredictionLibrary | None = None
    unpaired: list[Path] = field(default_factory=list)


def find_problems(
    oof: Source,
    target: str | os.PathLike | Target | None = None,
    *,
    id: str | None = None,
    test: Source | None = None,
    folds: str | NDArray | None = None,
    sample: str | os.PathLike | None = None,
    quantiles: str | ArrayLike | None = None,
) -> list[Finding]:
    """Find all that is wrong with prediction files, errors first.

    Errors stop `read_bank`. Hints are looked for on up to 20,000 evenly spaced rows:
    copies of members, one far ahead of the others, rows in another order, another
    scale, a fold never predicted, a member worse than a constant, test predictions
    that are distributed otherwise than held-out ones.

    Parameters
    ----------
    oof : path, glob or list of paths
        As for `find_files`.
    target : str or Target, default=None
        As for `read_target`. None takes a column of the truth in the first file, if
        there is one; without any, only what needs no target is checked.
    id : str, default=None
        Column of the ids.
    test : path, glob or list of paths, default=None
        Files of the test rows, where they are not among `oof`.
    folds : str or ndarray of shape (n,), default=None
        As for `read_bank`.
    sample : path, default=None
        Sample submission.
    quantiles : "names" or array-like of shape (n_levels,), default=None
        As for `read_bank`.

    Returns
    -------
    findings : list of Finding

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a_oof.csv").write_text("id,pred\\n1,0.5\\n2,\\n")
    >>> _ = (folder / "train.csv").write_text("id,y\\n1,1.25\\n2,0.75\\n")
    >>> for finding in find_problems(folder, f"{folder / 'train.csv'}:y"):
    ...     print(finding.line, finding.problem)
    3 the prediction in column 'pred' is missing or NaN (1 such rows).
    """
    options = {"id": id, "test": test, "folds": folds, "sample": sample}
    return inspect_files(oof, target, quantiles=quantiles, **options)[0]


def inspect_files(
    oof, target=None, **options
) -> tuple[list[Finding], Bank | Overview | None]:
    """Find problems, and return what could be read besides."""
    truth = _truth_in_files(oof) if target is None else None
    if target is None:
        target = truth or _no_target()
    reader = Reader(oof, target, lenient=True, **options)
    reader.target_has_member = truth is not None
    result: Bank | Overview | None = None
    try:
        result = _read(reader)
    except FileError as error:
        if error not in reader.errors:
            reader.errors.append(error)
    findings = [_as_finding(error) for error in reader.errors]
    if result is not None and result.library is not None:
        ids = reader.target.ids
        findings += find_hints(result.library, reader.rules, ids)
    if result is not None:
        findings += unpaired_hints(result.unpaired)
    return findings, result


def find_bank_hints(bank: Bank) -> list[Finding]:
    """Return the hints on a bank that was read without errors."""
    hints = find_hints(bank.library, bank.rules, bank.ids)
    return [*hints, *unpaired_hints(bank.unpaired)]


def _read(reader):
    reader.prepare()
    if reader.target.task:
        return reader.join()
    if not reader.pairs:
        return None
    _check_counts(reader)
    notes = merge_notes([*reader.notes, "no target: rows and values are not checked"])
    files = [pair[0] for pair in reader.pairs]
    return Overview(files, notes, reader.rules, unpaired=reader.unpaired())


def _no_target():
    return Target(np.empty(0), None, None, "")


def _truth_in_files(oof) -> str | None:
    """A column of the truth beside the predictions, as ``file:column``."""
    members = scan_files(oof).members
    if not members or not isinstance(content := _try_table(members[0].oof), Table):
        return None
    truth = find_roles(content, None, None).truth
    return None if truth is None else f"{members[0].oof}:{truth}"


def _try_table(path: Path):
    try:
        return read_content(path)
    except FileError:
        return None  # it is read again, and refused, as a member


def _check_counts(reader):
    """Without a target, most files tell how many rows there are."""
    counts = Counter(block.n_rows for _, block, _ in reader.pairs)
    if len(counts) < 2:
        return
    usual = counts.most_common(1)[0][0]
    for files, block, _ in reader.pairs:
        if block.n_rows != usual:
            reader.fail(
                FileError(
                    files.oof,
                    None,
                    f"has {block.n_rows} rows; most files have {usual}.",
                    "Predict each row once.",
                )
            )


def _as_finding(error):
    return Finding("error", error.file, error.line, error.problem, error.advice)
