"""Find out-of-fold files and pair them with the files of the test rows."""

import glob
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..exceptions import FileError
from ._content import PICKLES, kind_of, stem_of
from ._names import (
    NOT_MEMBERS,
    STRIPPED,
    display_names,
    key_of,
    pattern_of,
    role_of,
    says_test,
)
from ._open import check_regular, unreadable
from ._pairing import pair_alike
from ._parts import MemberFiles

__all__ = ["find_files"]

_MAX_FILES = 100_000
_MAX_DEPTH = 6
Source = str | os.PathLike | Iterable[str | os.PathLike]


@dataclass
class Found:
    """Paired files, and what was decided on the way.

    unpaired : files of the test rows, by name, that belong to no member
    """

    members: list[MemberFiles] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    errors: list[FileError] = field(default_factory=list)
    unpaired: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class _File:
    path: Path
    relative: Path
    stem: str
    folders: tuple[str, ...]
    role: str | None

    def key(self, roles):
        return key_of(self.stem, self.folders, roles)


def find_files(oof: Source, test: Source | None = None) -> list[MemberFiles]:
    """Find prediction files and pair them by name; nothing is opened.

    Parameters
    ----------
    oof : path, glob or list of paths
        A folder (searched with its subfolders), a pattern or files. Files of test rows
        may stand there too: ``oof``, ``test``, ``sub`` and ``preds`` in the names of
        files and folders tell.
    test : path, glob or list of paths, default=None
        Files of the test rows, where they are elsewhere.

    Returns
    -------
    members : list of MemberFiles
        Sorted by name. A file of several members stands here once.

    Raises
    ------
    FileError
        If there is no file, a name has two readings, or a path is no regular file
        inside the given folder.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("lgbm_oof.npy", "lgbm_test.npy"):
    ...     _ = (folder / name).write_bytes(b"not opened")
    >>> [(files.name, files.layout) for files in find_files(folder)]
    [('lgbm', '<m>_oof.npy + <m>_test.npy')]
    """
    found = scan_files(oof, test)
    if found.errors:
        raise found.errors[0]
    return found.members


def scan_files(
    oof: Source, test: Source | None = None, skip=(), new_rows: bool = False
) -> Found:
    """Do the work of `find_files`, collecting errors and notes.

    skip : files that are no members
    new_rows : whether files may all be of test rows
    """
    found = Found()
    skip = {os.path.realpath(path) for path in skip}
    own = _listed(oof, found, skip)
    other = [] if test is None else _listed(test, found, skip)
    oof_files, test_files = _by_role(own, other, test is not None, found)
    if not new_rows and _refuse_some_test(oof_files, found):
        return found
    if not oof_files:
        if not found.errors:
            found.errors.append(_nothing(oof, found))
        return found
    _pair(oof_files, test_files, test is not None, found)
    if test is not None and not found.errors:
        _refuse_none_paired(test, oof_files, test_files, found)
    return found


def _refuse_some_test(files, found):
    """Refuse files that are of test rows by their names, and others that may not be."""
    if any(file.role != "test" for file in files):
        return False
    left, said = _without_test_words(files)
    if not said:
        return False
    found.errors.append(
        FileError(
            said[0].path,
            None,
            f"is by its name of the test rows ({len(said)} such), and no name says "
            f"'oof': which rows {_some(left)} are of is not said.",
            "Put 'oof' in the names of the out-of-fold files, or give the files of the "
            "test rows apart (test, --test).",
        )
    )
    return True


def _refuse_none_paired(source, oof, test, found):
    """Files of the test rows that were asked for are not left out in silence."""
    if any(files.test is not None for files in found.members):
        return
    if not test:
        found.errors.append(_nothing(source, Found()))
        return
    found.errors.append(
        FileError(
            source if isinstance(source, str | os.PathLike) else test[0].path,
            None,
            f"pairs with no out-of-fold file: {_some(test)} here, {_some(oof)} there.",
            "Give a model's two files one name, but for words such as 'oof' and "
            "'test'.",
        )
    )


def _some(files):
    names = [file.relative.as_posix() for file in files]
    return f"{names[:5]}{' and more' if len(names) > 5 else ''}"


def _nothing(source, found):
    return FileError(
        source if isinstance(source, str | os.PathLike) else "files",
        None,
        "holds no prediction files (.csv, .csv.gz, .parquet, .npy, .npz)."
        + "".join(f" {note}." for note in found.notes),
    )


def _listed(source, found, skip):
    try:
        places = _expand(source)
    except FileError as error:
        found.errors.append(error)
        return []
    _note_pickles([path for path, _, _ in places], found)
    several = len(places) > 1
    files: list[_File] = []
    known: dict[str, str] = {}
    for path, base, root in places:
        if kind_of(path) is None or (several and _is_one_of(path, skip)):
            continue
        relative = path.relative_to(base)
        stem, folders = stem_of(path), relative.parts[:-1]
        if several and _is_no_member(stem, folders):
            found.notes.append(f"{path}: not read as a member, by its name")
            continue
        try:
            check_regular(path, root, known)
        except FileError as error:
            found.errors.append(error)
            continue
        role = role_of(stem, folders)
        files.append(_File(path, relative, stem, folders, role))
    return files


def _note_pickles(paths, found):
    pickles = [path for path in paths if path.suffix.lower() in PICKLES]
    if pickles:
        found.notes.append(
            f"{len(pickles)} pickles not opened, for they can run code: {pickles[0]}"
        )


def _is_one_of(path, skip):
    return bool(skip) and os.path.realpath(path) in skip


def _is_no_member(stem, folders):
    stem = stem.lower()
    return stem in NOT_MEMBERS or (stem == "train" and not folders)


def _expand(source) -> list[tuple[Path, Path, Path | None]]:
    """Return paths, the folder that names are relative to, and the one not to leave."""
    if not isinstance(source, str | os.PathLike):
        return _expand_list([Path(path) for path in source])
    path = Path(source)
    if path.is_dir():
        return [(each, path, path) for each in _walk(path)]
    text = os.fspath(source)
    if glob.has_magic(text) and not os.path.lexists(text):
        root = _fixed_part(path)
        hits = sorted(Path(hit) for hit in glob.glob(text, recursive=True))
        hits = [hit for hit in hits if not hit.is_dir() or kind_of(hit)]
        return [(hit, root, root) for hit in hits]
    if not os.path.lexists(text):
        raise FileError(text, None, "does not exist.", "Check the path.")
    return [(path, path.parent, None)]


def _expand_list(paths):
    """Files of a list may be links; folders in it are searched."""
    if not paths:
        return []
    parents = [path if path.is_dir() else path.parent for path in paths]
    try:
        base = Path(os.path.commonpath(parents))
    except ValueError:  # absolute and relative ones
        paths = [Path(os.path.abspath(path)) for path in paths]
        return _expand_list(paths)
    places = []
    for path in paths:
        if path.is_dir() and not kind_of(path):
            places += [(each, base, path) for each in _walk(path)]
        else:
            places.append((path, base, None))
    return places


def _fixed_part(path):
    fixed = list(path.parts)
    for position, part in enumerate(path.parts):
        if glob.has_magic(part):
            fixed = list(path.parts[:position])
            break
    return Path(*fixed) if fixed else Path()


def _walk(root):
    paths: list[Path] = []

    def refuse(error):
        raise unreadable(error.filename or root, error)

    for folder, folders, names in os.walk(root, onerror=refuse):
        depth = len(Path(folder).relative_to(root).parts)
        named = [name for name in folders if kind_of(Path(name))]
        folders[:] = sorted(
            name for name in folders if name[0] not in "._" and name not in named
        )
        if depth >= _MAX_DEPTH:
            folders.clear()
        paths += [Path(folder, n) for n in sorted(names + named) if n[0] != "."]
        if len(paths) > _MAX_FILES:
            raise FileError(root, None, f"holds more than {_MAX_FILES} files.")
    return paths


def _by_role(own, other, separate, found):
    oof = [file for file in own if file.role == "oof"]
    test = [file for file in own if file.role == "test"]
    unknown = [file for file in own if file.role is None]
    if separate:
        chosen = [file for file in other if file.role != "oof"] or other
        if not oof and not unknown:
            unknown, test = _without_test_words(test)
        same = {file.path for file in chosen}
        extra = [file for file in test if file.path not in same]
        _note_unread(extra, "the files of the test rows were given", found)
        test = chosen
    elif not oof and not unknown:
        unknown, test = test, []
    if not oof:
        return unknown, test
    if unknown:
        _sort_unknown(oof, unknown, found)
    return oof, test


def _without_test_words(files):
    """Of files by their names of test rows, take those that only say ``preds``."""
    said = [file for file in files if says_test(file.stem, file.folders)]
    left = [file for file in files if file not in said]
    return (left, said) if left else (files, [])


def _sort_unknown(oof, unknown, found):
    """Beside files that say ``oof``, one that says nothing is none, or ambiguous."""
    keys = {file.key(STRIPPED[0]): file for file in oof}
    for file in unknown:
        twin = keys.get(file.key(STRIPPED[0]))
        if twin is not None:
            found.errors.append(
                FileError(
                    file.path,
                    None,
                    f"has two readings: out-of-fold predictions beside {twin.path}, or "
                    "predictions of the test rows.",
                    "Put 'oof' or 'test' in its name.",
                )
            )
    extra = [file for file in unknown if file.key(STRIPPED[0]) not in keys]
    _note_unread(extra, "no 'oof' or 'test' in the name", found)


def _note_unread(files, why, found):
    found.notes += [f"{file.path}: not read; {why}" for file in files]


def _pair(oof, test, separate, found):
    for roles in STRIPPED:
        members = _group(oof, roles)
        tests = _group(test, roles)
        if not _repeated(members) and not _repeated(tests):
            break
    for key, files in [*_repeated(members), *_repeated(tests)]:
        found.errors.append(_ambiguous(key, files))
    if separate and len(oof) == len(test) == 1:
        tests = {next(iter(members)): test}
    tests |= _alike(members, tests, found)
    names = display_names(list(members), stem_of(oof[0].path))
    for key, files in sorted(members.items(), key=lambda item: names[item[0]]):
        partner = tests[key][0] if key in tests else None
        found.members.append(_member(names[key], files[0], partner))
    paired = {files.test for files in found.members}
    lonely = [files[0] for files in tests.values() if files[0].path not in paired]
    _note_unread(lonely, "no out-of-fold file of that name", found)
    found.unpaired = [file.path for file in lonely]


def _alike(members, tests, found):
    """Pair what is left over where names differ by scores and the like; say so."""
    left = [key for key in members if key not in tests]
    pairs = pair_alike(left, [key for key in tests if key not in members])
    found.notes += [
        f"{tests[other][0].path}: paired, though the two names differ by a score, or "
        "by a word such as 'final'"
        for other in pairs.values()
    ]
    return {key: tests[other] for key, other in pairs.items()}


def _group(files, roles):
    groups = defaultdict(list)
    for file in files:
        groups[file.key(roles)].append(file)
    return dict(groups)


def _repeated(groups):
    return [(key, files) for key, files in groups.items() if len(files) > 1]


def _ambiguous(key, files):
    name = "/".join(key) or "(no name)"
    return FileError(
        files[1].path,
        None,
        f"has two readings: {files[0].path} and it are both predictions of {name!r}, "
        "or of two members.",
        "Remove one, or give each a name of its own.",
    )


def _member(name, file, partner):
    layout = pattern_of(file.relative, name)
    if partner is not None:
        layout += f" + {pattern_of(partner.relative, name)}"
    return MemberFiles(name, file.path, partner and partner.path, layout)
