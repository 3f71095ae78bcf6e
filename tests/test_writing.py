"""Files that appear whole or not at all, whatever stops the writer."""

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from ensemblekit import PredictionLibrary
from ensemblekit._writing import (
    prepare,
    probe,
    together,
    whole,
    write_text,
    write_texts,
)
from ensemblekit.exceptions import FileError

OLD = "what was there"
NEW = {"a.txt": "a", "b.txt": "b", "c.txt": "c"}


def contents(folder):
    """All names, hidden ones too, and what they hold; None for a folder."""
    return {p.name: p.read_bytes() if p.is_file() else None for p in folder.iterdir()}


@pytest.fixture
def folder(tmp_path):
    """A folder with one file of an earlier run."""
    (tmp_path / "a.txt").write_text(OLD)
    return tmp_path


@contextmanager
def small_disk(n_bytes):
    """Let no file grow beyond some bytes: the system refuses in the middle of it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def as_nobody(folder):
    """Root may write anywhere, so it steps down to a user who may look there."""
    if os.geteuid() != 0:
        yield
        return
    for each in (folder, *list(folder.parents)[:-2]):  # all but / and /tmp
        each.chmod(each.stat().st_mode | 0o011)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def write_half(paths, error):
    for path in paths:
        path.write_text("half")
    raise error


def failing(code):
    def fail(*args, **options):
        raise OSError(code, os.strerror(code))

    return fail


# -- one file -----------------------------------------------------------------------


def test_a_file_has_its_name_when_all_is_written(folder):
    path = folder / "a.txt"
    with whole(path) as beside:
        assert beside.parent == folder
        assert beside.name.startswith(".")
        assert beside.name.endswith(".partial")
        beside.write_text("new")
        assert path.read_text() == OLD
    assert contents(folder) == {"a.txt": b"new"}


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
def test_an_error_in_the_middle_leaves_what_was_there(folder, error):
    with pytest.raises(error), whole(folder / "a.txt") as beside:
        write_half([beside], error("no more"))
    assert contents(folder) == {"a.txt": OLD.encode()}


def test_text_is_written_as_it_is(tmp_path):
    write_text(tmp_path / "a.txt", "ü\n\r\n\udc80")
    assert (tmp_path / "a.txt").read_bytes() == "ü\n\r\n&#56448;".encode()


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_rights_are_those_of_any_new_file(folder, mask):
    before = os.umask(mask)
    try:
        write_text(folder / "a.txt", "new")
        write_texts(folder, {"b.txt": "b"})
    finally:
        os.umask(before)
    for name in ("a.txt", "b.txt"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o666 & ~mask


def test_a_full_disk_is_told_by_the_name_asked_for(folder):
    with small_disk(100), pytest.raises(OSError, match="File too large") as told:
        write_text(folder / "a.txt", "x" * 101)
    assert told.value.errno == errno.EFBIG
    assert told.value.filename == str(folder / "a.txt")
    assert contents(folder) == {"a.txt": OLD.encode()}


def test_a_rename_that_fails_is_told_by_the_name_asked_for(folder, monkeypatch):
    monkeypatch.setattr(os, "replace", failing(errno.EROFS))
    with pytest.raises(OSError, match=r"Read-only file system: '.*a\.txt'"):
        write_text(folder / "a.txt", "new")
    assert contents(folder) == {"a.txt": OLD.encode()}


def test_a_read_only_folder_is_told_by_the_name_asked_for(folder):
    folder.chmod(0o500)
    with as_nobody(folder), pytest.raises(PermissionError) as told:
        write_text(folder / "a.txt", "new")
    assert told.value.filename == str(folder / "a.txt")
    assert contents(folder) == {"a.txt": OLD.encode()}


def test_a_folder_that_is_missing_is_told_by_the_name_asked_for(tmp_path):
    path = tmp_path / "none" / "a.txt"
    with pytest.raises(FileNotFoundError) as told:
        write_text(path, "new")
    assert told.value.filename == str(path)


@pytest.mark.parametrize("name", [".", "..", "/"])
def test_a_folder_is_no_file(tmp_path, name):
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path / name, "new")
    assert not list(tmp_path.iterdir())


def test_errors_of_other_files_keep_their_names(folder):
    with pytest.raises(FileNotFoundError, match="other"), whole(folder / "a.txt"):
        (folder / "other").read_text()


def test_a_link_is_replaced_and_not_followed(folder):
    (folder / "inside").mkdir()
    for name in ("a.txt", "inside"):
        link = folder / f"to_{name}"
        link.symlink_to(folder / name)
        write_text(link, "new")
        assert not link.is_symlink()
        assert link.read_text() == "new"
    assert (folder / "a.txt").read_text() == OLD


def test_many_writers_of_one_name_leave_one_of_their_texts(tmp_path):
    texts = [str(n) * 10_000 for n in range(8)]
    start = threading.Barrier(len(texts))
    failed = []

    def write(text):
        start.wait()
        try:
            for _ in range(20):
                write_text(tmp_path / "a.txt", text)
                assert (tmp_path / "a.txt").read_text() in texts
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_killed_writer_leaves_the_old_file(folder):
    code = """
        import os, signal, sys
        from pathlib import Path
        from ensemblekit._writing import together, whole
        folder = Path(sys.argv[1])
        with whole(folder / "a.txt") as one, together(folder, ["b.txt"]) as more:
            one.write_text("half")
            more["b.txt"].write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), folder])
    assert done.returncode == -signal.SIGKILL
    left = contents(folder)
    assert left.pop("a.txt") == OLD.encode()
    assert sorted(left.values()) == [b"half"] * 2
    assert all(name[0] == "." and name.endswith(".partial") for name in left)


# -- several files ------------------------------------------------------------------


def test_several_files_are_renamed_when_all_are_written(folder):
    with together(folder, NEW) as beside:
        for name, text in NEW.items():
            beside[name].write_text(text)
            assert not (folder / name).exists() or name == "a.txt"
    assert contents(folder) == {name: text.encode() for name, text in NEW.items()}


def test_their_folder_is_made_and_their_paths_are_returned(tmp_path):
    folder = tmp_path / "x" / "y"
    assert write_texts(folder, NEW) == [folder / name for name in NEW]
    assert contents(folder) == {name: text.encode() for name, text in NEW.items()}


def test_what_is_outdated_goes_with_the_renaming_and_not_before(folder):
    (folder / "z.txt").write_text(OLD)
    with together(folder, ["b.txt"], ["a.txt", "none.txt"]) as beside:
        beside["b.txt"].write_text("b")
        assert (folder / "a.txt").exists()
    assert contents(folder) == {"b.txt": b"b", "z.txt": OLD.encode()}


@pytest.mark.parametrize("n_written", range(4))
@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_error_after_any_of_them_leaves_what_was_there(folder, n_written, error):
    with pytest.raises(type(error)), together(folder, NEW, ["a.txt"]) as beside:
        write_half(list(beside.values())[:n_written], error)
    assert contents(folder) == {"a.txt": OLD.encode()}


@pytest.mark.parametrize("n_synced", range(3))
def test_a_disk_full_at_any_of_them_leaves_what_was_there(
    folder, monkeypatch, n_synced
):
    calls, works = [], os.fsync

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > n_synced:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        works(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="cannot be written to: No space left"):
        write_texts(folder, NEW)
    assert len(calls) == n_synced + 1
    assert contents(folder) == {"a.txt": OLD.encode()}


def test_a_file_too_large_leaves_what_was_there(folder):
    texts = {**NEW, "large.txt": "x" * 101}
    with small_disk(100), pytest.raises(FileError, match="File too large"):
        write_texts(folder, texts)
    assert contents(folder) == {"a.txt": OLD.encode()}


def test_a_folder_in_the_place_of_the_last_leaves_the_first_as_it_was(folder):
    (folder / "c.txt").mkdir()
    with pytest.raises(FileError, match=r"cannot be written to: c\.txt is a folder\."):
        write_texts(folder, NEW)
    assert contents(folder) == {"a.txt": OLD.encode(), "c.txt": None}


def test_a_file_in_the_place_of_the_folder(folder):
    for inside in (folder / "a.txt", folder / "a.txt" / "deep"):
        with pytest.raises(FileError, match="to: a file is in the way") as told:
            write_texts(inside, NEW)
        assert told.value.file == str(inside)
    assert contents(folder) == {"a.txt": OLD.encode()}


def test_a_read_only_folder_takes_none(folder):
    folder.chmod(0o500)
    with as_nobody(folder), pytest.raises(FileError, match="Permission denied"):
        write_texts(folder, NEW)
    assert contents(folder) == {"a.txt": OLD.encode()}


def test_a_writer_inside_may_rename_too(tmp_path):
    library = PredictionLibrary(np.eye(3), np.arange(3.0), ["a", "b", "c"])
    with together(tmp_path, ["library.npz"]) as beside:
        library.save(beside["library.npz"])
    assert [path.name for path in tmp_path.iterdir()] == ["library.npz"]
    assert PredictionLibrary.load(tmp_path / "library.npz").names == library.names


def test_its_full_disk_is_told_in_one_sentence(folder):
    library = PredictionLibrary(np.ones((100, 2)), np.ones(100), ["a", "b"])
    with (
        small_disk(1000),
        pytest.raises(FileError, match=r"written to: File too large\.") as told,
        together(folder, ["library.npz"]) as beside,
    ):
        library.save(beside["library.npz"])
    assert "partial" not in str(told.value)
    assert contents(folder) == {"a.txt": OLD.encode()}


# -- before the work ----------------------------------------------------------------


def test_a_folder_is_tried_and_left_as_it_was(folder):
    prepare(folder)
    assert contents(folder) == {"a.txt": OLD.encode()}
    prepare(folder / "x" / "y")
    assert not list((folder / "x" / "y").iterdir())


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_folder_that_takes_nothing_is_refused(folder, monkeypatch, call):
    if call == "fsync":
        monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    else:
        monkeypatch.setattr(Path, "write_bytes", failing(errno.ENOSPC))
    with pytest.raises(FileError, match="No space left on device"):
        prepare(folder)
    with pytest.raises(OSError, match="No space left on device"):
        probe(folder)
    assert contents(folder) == {"a.txt": OLD.encode()}
