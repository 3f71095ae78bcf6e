"""Reads target, members, test rows and folds, one file after another."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..exceptions import FileError
from ..library import PredictionLibrary
from ._align import Rows
from ._bank import Bank
from ._blocks import Block, FileContent, Request, read_blocks, spans
from ._content import stem_of
from ._find_levels import with_levels
from ._fold_parts import told_as_part
from ._groups import check_class_order
from ._ids import canonical, check_unique
from ._matrix import IN_MEMORY, Scratch, build, spill
from ._names import role_of
from ._notes import merge_notes
from ._parts import MemberFiles, Table
from ._sample import read_sample
from ._shared import Shared
from ._target_rows import check_folds, read_fold_file, rows_of, where_of
from ._unpredicted import find_unpredicted, leave_out
from .layouts import Found, scan_files
from .target import Target, read_target, split_spec


class Reader:
    """Reads files to a bank; lenient, it goes on after errors and keeps them."""

    def __init__(
        self, oof, target, id=None, test=None, folds=None, sample=None,
        in_memory=IN_MEMORY, lenient=False, quantiles=None,
    ):  # fmt: skip
        self.oof, self.test, self.folds, self.sample = oof, test, folds, sample
        self.given_target, self.id, self.quantiles = target, id, quantiles
        self.in_memory, self.lenient = in_memory, lenient
        self.errors: list[FileError] = []
        self.notes: list[str] = []
        self.scratch = Scratch()
        self.target_has_member = False
        self._held = 0
        self.rules: dict[str, str] = {}
        self.member_folds: tuple[Path, NDArray] | None = None
        self.test_ids: NDArray | None = None
        self.test_id_name: str | None = None
        self.sample_id: str | None = None
        self.shared: Shared | None = None

    def read(self) -> Bank:
        """Read all; raise the first error unless lenient."""
        self.prepare()
        return self.join()

    def prepare(self) -> None:
        """Read target and members."""
        self.target = self._read_target()
        self.found = self._find()
        self.target = with_levels(self.target, self.found, self.quantiles, self.notes)
        self.whole = self.target
        self.pairs = self._read_predicted()
        self._check_names()

    def fail(self, error: FileError) -> None:
        """Raise, or keep for later."""
        if not self.lenient:
            raise error from None
        self.errors.append(error)

    def _read_target(self) -> Target:
        target = self.given_target
        if not isinstance(target, Target):
            target = read_target(target, self.id)
        self.notes += target.notes
        self.shared = Shared(target)
        return target

    def _find(self) -> Found:
        skip = [path for path in (self._target_file(), self.sample) if path is not None]
        if isinstance(self.folds, str) and self._names_a_file(self.folds):
            skip.append(split_spec(self.folds)[0])
        found = scan_files(self.oof, self.test, skip)
        for problem in found.errors:
            self.fail(problem)
        self.notes += found.notes
        return found

    def _target_file(self):
        """The target's file, unless the truth stands beside predictions."""
        file = self.target.file
        if file is None or self.target_has_member:
            return None
        return None if role_of(stem_of(file), file.parts[-2:-1]) == "oof" else file

    def _names_a_file(self, folds):
        return os.path.lexists(split_spec(folds)[0])

    def _read_predicted(self):
        """Read the members; again without rows that they all lack, if that is all."""
        before, n_errors = self._state(), len(self.errors)
        pairs, failed = [], None
        try:
            pairs = self._read_members()
        except FileError as error:
            failed = error
        # Arrays are checked when P is built.
        lazy = all(block.errors is not None for _, block, _ in pairs)
        if failed is None and len(self.errors) == n_errors and not lazy:
            return pairs
        paths = [files.oof for files in self.found.members]
        missing = find_unpredicted(paths, self.target)
        if missing is not None:
            after, target = self._state(), self.target
            vars(self).update(before)
            again = self._read_without(target, missing)
            if len(self.errors) == n_errors:
                return again
            vars(self).update(after)
        if failed is not None:
            raise failed
        return pairs

    def _state(self):
        """Return what reading members changes, to go back to."""
        names = ("target", "member_folds", "test_ids", "test_id_name", "_held")
        state = {name: getattr(self, name) for name in names}
        return state | {"errors": [*self.errors], "notes": [*self.notes]}

    def _read_without(self, target, missing):
        self.whole, self.target = target, leave_out(target, missing)
        self.notes.append(
            f"{where_of(target)}: {missing.sum()} of {len(missing)} rows are left out, "
            "for no member predicts them"
        )
        return self._read_members()

    def _read_members(self) -> list[tuple[MemberFiles, Block, Block | None]]:
        members, alone = self.found.members, len(self.found.members) == 1
        test_rows = self._test_rows()
        pairs = []
        for files in members:
            target = self.target
            rows = rows_of(target)
            given = files.name, alone, "oof", rows, target, self.shared
            request = Request(*given, notes=self.notes)
            content = self._try(files.oof, request)
            if content is not None:
                self._keep_ids(files.oof, content)
                self._keep_folds(files.oof, content)
                if content.has_test and self.test is None and files.test is None:
                    files = replace(files, test=files.oof)
            of_targets = content is not None and content.of_targets
            tests = self._read_test(files, alone, test_rows, of_targets)
            if content is not None:
                pairs += self._match(files, content, tests)
        return pairs

    def _test_rows(self) -> Rows:
        if self.sample is None:
            return Rows(None, None, "the other test files")
        ids, n_rows, self.sample_id = read_sample(self.sample, self.target)
        self.test_ids = ids
        return Rows(n_rows, ids, str(self.sample))

    def _try(self, path, request) -> FileContent | None:
        try:
            content = read_blocks(path, request)
        except FileError as error:
            self.fail(self._told(error, path))
            return None
        for problem in content.errors:
            self.fail(self._told(problem, path))
        self.notes += content.notes
        for block in content.unfit:
            self._is_fit(block)
        fit = [block for block in content.blocks if self._is_fit(block)]
        content.blocks = [self._hold(block) for block in fit]
        return content

    def _told(self, error, path):
        """Say more of files that are perhaps no members."""
        return told_as_part(error, path, [files.oof for files in self.found.members])

    def _is_fit(self, block) -> bool:
        """Arrays are checked while P is built, but where all errors are wanted."""
        if not self.lenient or block.errors is None:
            return True
        for start, stop in spans(block.n_rows, block.n_outputs):
            errors = list(block.errors(start, stop))
            for error in errors:
                self.fail(error)
            if errors:  # the same of further rows says nothing new
                return False
        return True

    def _hold(self, block):
        """Tables that would fill the memory go to a scratch file."""
        if not block.in_memory:
            return block
        size = block.n_rows * block.n_outputs * block.dtype.itemsize
        if self._held + size > self.in_memory:
            return spill(block, self.scratch)
        self._held += size
        return block

    def _keep_ids(self, path, content):
        """The first column that was found to hold the ids is the target's as well."""
        if content.shared is None:
            return
        name, ids = content.shared
        self.notes.append(
            f"{path}: column {name!r} holds the ids, as in {self.target.file}"
        )
        if self.target.ids is None:
            self.target = replace(self.target, ids=ids, id_column=name)

    def _keep_folds(self, path, content):
        if content.folds is None:
            return
        if self.member_folds is None:
            self.member_folds = (path, content.folds)
        elif not np.array_equal(self.member_folds[1], content.folds):
            self.notes.append(
                f"{path}: other folds than {self.member_folds[0]}; members that were "
                "held out in other folds can be combined, with those of the first"
            )

    def _read_test(self, files, alone, rows, of_targets=False) -> FileContent | None:
        if files.test is None:
            return None
        own_id = self.sample_id or self.target.id_column
        target = replace(self.target, y=self.target.y[:0], id_column=own_id)
        shared = None if own_id else self.shared
        given = files.name, alone, "test", rows, target, shared, of_targets
        request = Request(*given, notes=self.notes)
        content = self._try(files.test, request)
        if content is None or not content.blocks:
            return content
        if content.shared is not None and self.target.id_column is None:
            self.target = replace(self.target, id_column=content.shared[0])
        self.notes.append(f"{files.test}: test rows: {content.rule}")
        if self.test_ids is not None and content.ids is None:
            self.notes.append(
                f"{files.test}: has no ids; its rows are taken to stand in the order "
                f"of {rows.where}"
            )
        if rows.n is None:  # the first test file sets the rows
            rows.n, rows.where = content.blocks[0].n_rows, str(files.test)
        if rows.ids is None and content.ids is not None:
            self._take_test_ids(files.test, content, rows)
        return content

    def _take_test_ids(self, path, content, rows):
        """The first test file with ids names the rows of all."""
        name, table = content.id_name, Table(path, {"id": content.ids})
        try:
            rows.ids = canonical(table, "id")
            check_unique(table, "id", rows.ids)
        except FileError as error:
            rows.ids = None
            self.fail(error)
            return
        rows.where, self.test_ids, self.test_id_name = str(path), rows.ids, name

    def _match(self, files, content, tests):
        """Pair the members of one file with those of its test file."""
        several = len(content.blocks) > 1
        by_name = {} if tests is None else {b.member: b for b in tests.blocks}
        if not several and len(by_name) == 1:
            by_name = (
                {content.blocks[0].member: next(iter(by_name.values()))}
                if (content.blocks)
                else {}
            )
        pairs = []
        layout = files.layout
        if several:
            both = [path.name for path in (files.oof, files.test) if path is not None]
            layout = f"columns of {' + '.join(both)}"
        for block in content.blocks:
            self.rules[block.member] = content.rule
            named = replace(
                files, name=block.member, columns=block.columns, layout=layout
            )
            pairs.append((named, block, by_name.get(block.member)))
            self._check_class_order(block, by_name.get(block.member))
        lacking = [named.name for named, _, test in pairs if test is None]
        if tests is not None and lacking and by_name:
            self.fail(
                FileError(
                    files.test,
                    None,
                    f"has no column for the members {lacking[:5]} of {files.oof}.",
                    "Name the columns alike.",
                )
            )
        return pairs

    def _check_class_order(self, block, test):
        try:
            if test is not None:
                check_class_order(block, test)
        except FileError as error:
            self.fail(error)

    def _check_names(self):
        seen: dict[str, MemberFiles] = {}
        kept = []
        for pair in self.pairs:
            files = pair[0]
            if files.name in seen:
                self.fail(
                    FileError(
                        files.oof,
                        None,
                        f"gives a member {files.name!r}, as does "
                        f"{seen[files.name].oof}.",
                        "Give each a name of its own.",
                    )
                )
                continue
            seen[files.name] = files
            kept.append(pair)
        self.pairs = kept
        self._check_tests()

    def _check_tests(self):
        lacking = [files for files, _, test in self.pairs if test is None]
        if not lacking or len(lacking) == len(self.pairs) or self.errors:
            return
        names = [files.name for files in lacking]
        self.fail(
            FileError(
                lacking[0].oof,
                None,
                f"has no file of the test rows; {len(names)} of {len(self.pairs)} "
                f"members lack{'s' * (len(names) == 1)} one ({names[:5]}).",
                "Add them, or move these members away.",
            )
        )

    def join(self) -> Bank:
        """Make the library."""
        if not self.pairs:
            raise (
                self.errors[0]
                if self.errors
                else FileError(str(self.oof), None, "holds no predictions.")
            )
        files = [pair[0] for pair in self.pairs]
        library = PredictionLibrary(
            build([pair[1] for pair in self.pairs], self.scratch, self.in_memory),
            self.target.y,
            [item.name for item in files],
            classes=self.target.classes,
            quantile_levels=self.target.levels,
            folds=self._folds(),
            P_test=self._test_matrix(),
        )
        self._say_orders()
        return Bank(
            library,
            self.target,
            self.target.ids,
            self.test_ids,
            files,
            merge_notes(self.notes),
            self.rules,
            self.scratch,
            self.unpaired(),
            self.test_id_name,
        )

    def unpaired(self) -> list[Path]:
        """Return files of the test rows, where no member has one."""
        paired = any(test is not None for _, _, test in self.pairs)
        return [] if paired else self.found.unpaired

    def _test_matrix(self):
        tests = [test for _, _, test in self.pairs if test is not None]
        if len(tests) < len(self.pairs):
            return None
        return build(tests, self.scratch, self.in_memory)

    def _say_orders(self):
        by_rule: dict[str, list[str]] = {}
        for name, rule in self.rules.items():
            by_rule.setdefault(rule, []).append(name)
        for rule, names in by_rule.items():
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            self.notes.append(f"rows of {', '.join(names[:3])}{more}: {rule}")

    def _folds(self):
        if self.folds is not None:
            folds = self._given_folds()
            if self.target.left_out is None:
                return folds
            return np.unique(folds[self.target.rows], return_inverse=True)[1]
        if self.target.folds is not None:
            return self.target.folds
        if self.member_folds is None:
            return None
        path, folds = self.member_folds
        self.notes.append(f"{path}: its folds are used")
        return folds

    def _given_folds(self):
        if not isinstance(self.folds, str):
            return check_folds(np.asarray(self.folds), len(self.whole.y))
        spec = self.folds
        if not self._names_a_file(spec) and self.target.file is not None:
            spec = f"{self.target.file}:{spec}"
        return read_fold_file(spec, self.whole, self.shared)
