"""Predictions of new rows: the same files again, without a target."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..exceptions import FileError
from ._align import Rows
from ._blocks import Block
from ._matrix import IN_MEMORY, build
from ._pairing import Key, pair_alike
from ._reader import Reader
from .layouts import Source, scan_files
from .target import Target

__all__ = ["Predictions", "read_predictions"]


@dataclass
class Predictions:
    """Predictions of named members for rows without known target.

    Parameters
    ----------
    P : ndarray of shape (n_samples, n_members * n_outputs)
        Members in the order asked for.
    ids : ndarray of shape (n_samples,) or None
    notes : list of str
        What was decided.
    """

    P: NDArray
    ids: NDArray | None
    notes: list[str]
    _reader: Reader  # owns the scratch file behind P


def read_predictions(
    source: Source,
    names: list[str],
    *,
    classes: ArrayLike | None = None,
    id: str | None = None,
    sample: str | None = None,
    levels: ArrayLike | None = None,
) -> Predictions:
    """Read the predictions of given members for new rows.

    Parameters
    ----------
    source : path, glob or list of paths
    names : list of str
        Members; others, and missing ones, are refused.
    classes : array-like of shape (n_classes,), default=None
        Sorted labels of a classification.
    id : str, default=None
        Column of the ids.
    sample : path, default=None
        Sample submission: its ids are the order of the rows.
    levels : array-like of shape (n_levels,), default=None
        Ascending quantile levels of each member's columns.

    Returns
    -------
    predictions : Predictions

    Raises
    ------
    FileError
        If a file cannot be read, rows do not match, or the members are others.
    """
    labels = None if classes is None else np.asarray(classes)
    task = "regression" if labels is None else "classification"
    target = Target(np.empty(0), None, labels, task, id_column=id)
    if levels is not None:
        target.task, target.levels = "quantile", np.asarray(levels, dtype=np.float64)
        target.levels_given = True
    reader = Reader(source, target, id, sample=sample)
    reader.target = target
    skip = [] if sample is None else [sample]
    found = scan_files(source, None, skip, new_rows=True)
    if found.errors:
        raise found.errors[0]
    reader.found = found
    members = _named_as_blended(found.members, names, reader.notes)
    members = _of_new_rows(members, names, found.unpaired, reader.notes)
    blocks = _read_blocks(reader, members)
    _check_members(source, names, blocks)
    P = build([blocks[name] for name in names], reader.scratch, IN_MEMORY)
    notes = [*dict.fromkeys([*found.notes, *reader.notes])]
    return Predictions(P, reader.test_ids, notes, reader)


def _named_as_blended(members, names, notes):
    """Give files whose names differ by a score or the like the names of members."""
    known = {files.name for files in members}
    missing: list[Key] = [(name,) for name in names if name not in known]
    others: list[Key] = [(name,) for name in sorted(known.difference(names))]
    alike = pair_alike(missing, others)
    pairs = {other[0]: name[0] for name, other in alike.items()}
    notes += [
        f"{files.oof}: read as {pairs[files.name]!r}; the two names differ by a score, "
        "or by a word such as 'final'"
        for files in members
        if files.name in pairs
    ]
    return [replace(files, name=pairs.get(files.name, files.name)) for files in members]


def _of_new_rows(members, names, unpaired, notes):
    """Choose the files of the test rows; out-of-fold files beside them are not read."""
    needed = [files for files in members if files.name in names] or members
    if not any(files.test is not None for files in needed):
        _refuse_unpaired(unpaired)
        return [replace(files, test=files.oof) for files in members]
    lacking = [files for files in needed if files.test is None]
    if lacking:
        lack = [files.name for files in lacking]
        raise FileError(
            lacking[0].oof,
            None,
            f"has no file of the test rows; {len(lack)} of {len(needed)} members "
            f"lack{'s' * (len(lack) == 1)} one ({lack[:5]}).",
            "Add them, or give the files of the new rows alone.",
        )
    notes.append(
        f"{needed[0].test}: test files are read; the {len(members)} out-of-fold files "
        "beside them are not"
    )
    return [files for files in members if files.test is not None]


def _refuse_unpaired(unpaired):
    """Beside test files, the others are hardly of the test rows."""
    if unpaired:
        raise FileError(
            unpaired[0],
            None,
            "is by its name of the test rows, but pairs with no out-of-fold file "
            f"({len(unpaired)} such).",
            "Give each the name of its member, or give the files of the new rows "
            "alone.",
        )


def _read_blocks(reader, members):
    rows = reader._test_rows()
    blocks: dict[str, Block] = {}
    for files in members:
        # All are files of the same rows: the first one says which.
        content = reader._read_test(files, len(members) == 1, rows)
        if rows.n is None and content.blocks:
            rows = Rows(content.blocks[0].n_rows, rows.ids, str(files.test))
        for block in content.blocks:
            if block.member in blocks:
                raise FileError(
                    block.path,
                    None,
                    f"gives a member {block.member!r}, as does "
                    f"{blocks[block.member].path}.",
                    "Give each a name of its own.",
                )
            blocks[block.member] = block
    return blocks


def _check_members(source, names, blocks):
    where = source if isinstance(source, str) else "the files"
    missing = [name for name in names if name not in blocks]
    others = [name for name in blocks if name not in names]
    if missing:
        raise FileError(
            where,
            None,
            f"lack {len(missing)} of the {len(names)} members ({missing[:5]}).",
            f"They hold {sorted(blocks)[:10]}.",
        )
    if others:
        raise FileError(
            where,
            None,
            f"hold members that the blend does not know: {others[:5]}.",
            "Move them away; the blend was fitted without them.",
        )
