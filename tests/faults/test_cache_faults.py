"""Faults of the cache's folder: damage (F4), a full disk (F5), many writers (F6)."""

import errno
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ensemblekit import CacheWarning, PredictionCache

PARTS = {"oof": np.arange(12.0).reshape(4, 3), "rows": np.array([5, 1])}
META = {"member": "near", "seconds": 0.25}


@pytest.fixture
def cache(tmp_path):
    return PredictionCache(tmp_path / "cache").prepare()


def entry_path(cache, key):
    return cache.folder / f"{key}.oof"


def assert_is_entry(entry, parts=PARTS, meta=META):
    assert entry.meta == meta
    assert list(entry.arrays) == list(parts)
    for name, array in parts.items():
        assert_array_equal(entry.arrays[name], array, strict=True)


# -- F4 ---------------------------------------------------------------------------


def truncate(data, rng, other):
    return data[: rng.choice([0, 1, rng.randrange(len(data))])]


def flip_a_bit(data, rng, other):
    place = rng.randrange(len(data))
    return (
        data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
    )


def blank_a_block(data, rng, other):
    start = rng.randrange(len(data) - 16)
    start -= start % 16
    while not any(data[start : start + 16]):  # padding is zeros already
        start -= 16
    return data[:start] + bytes(16) + data[start + 16 :]


def scramble(data, rng, other):
    start = rng.randrange(len(data))
    length = rng.randrange(1, 200)
    return data[:start] + rng.randbytes(length) + data[start + length :]


def fill_with_noise(data, rng, other):
    return rng.randbytes(rng.randrange(3 * len(data)))


def swap(data, rng, other):
    return other


def lengthen(data, rng, other):
    return data + rng.randbytes(rng.randrange(1, 200))


def claim_another_shape(data, rng, other):
    return data.replace(b"[4, 3]", rng.choice([b"[3, 4]", b"[2, 3]", b"[9, 9]"]))


DAMAGES = [
    truncate,
    flip_a_bit,
    blank_a_block,
    scramble,
    fill_with_noise,
    swap,
    lengthen,
    claim_another_shape,
]


def test_f4_damaged_entries_are_found_and_made_again(cache):
    cache.store("a1", PARTS, META)
    cache.store("b2", PARTS, META)
    path, other = entry_path(cache, "a1"), entry_path(cache, "b2").read_bytes()
    whole = path.read_bytes()
    found = 0
    for seed in range(200):
        rng = random.Random(seed)
        damaged = DAMAGES[seed % len(DAMAGES)](whole, rng, other)
        assert damaged != whole
        path.write_bytes(damaged)
        with pytest.warns(
            CacheWarning, match=r"a1\.oof was damaged or foreign"
        ) as told:
            assert cache.load("a1") is None
        assert len(told) == 1
        assert not path.exists()
        assert cache.load("a1") is None  # told once
        cache.store("a1", PARTS, META)
        assert path.read_bytes() == whole
        assert_is_entry(cache.load("a1"))
        found += 1
    print(f"F4: tried 200 survived {found} lost {200 - found}")


def test_no_bit_of_an_entry_can_flip_unseen(cache):
    cache.store("a1", PARTS, META)
    path = entry_path(cache, "a1")
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        with pytest.warns(CacheWarning):
            assert cache.load("a1") is None, f"bit {bit}"


def test_a_pipe_is_no_entry_and_not_waited_for(cache):
    os.mkfifo(entry_path(cache, "a1"))
    with pytest.warns(CacheWarning, match="is no entry"):
        assert cache.load("a1") is None
    assert cache.store("a1", PARTS, META)


def test_a_folder_is_no_entry(cache):
    entry_path(cache, "a1").mkdir()
    with pytest.warns(CacheWarning, match="Is a directory"):
        assert cache.load("a1") is None


def test_links_are_not_followed(cache, tmp_path):
    cache.store("a1", PARTS, META)
    whole = entry_path(cache, "a1").rename(tmp_path / "elsewhere")
    entry_path(cache, "a1").symlink_to(whole)
    with pytest.warns(CacheWarning, match="cannot be used"):
        assert cache.load("a1") is None
    assert cache.store("a1", PARTS, META)
    assert not entry_path(cache, "a1").is_symlink()


def test_no_file_stays_open(cache, monkeypatch):
    before = os.listdir("/proc/self/fd") if os.path.exists("/proc") else None
    cache.store("a1", PARTS, META)
    entry_path(cache, "a1").write_bytes(b"short")
    with pytest.warns(CacheWarning):
        cache.load("a1")
    entry_path(cache, "a1").mkdir()
    with pytest.warns(CacheWarning):
        cache.load("a1")
    cache.prepare()
    monkeypatch.setattr(os, "write", FullDisk(10))
    with pytest.warns(CacheWarning):
        cache.store("b2", PARTS, META)
    after = os.listdir("/proc/self/fd") if os.path.exists("/proc") else None
    assert after == before


# -- F5 ---------------------------------------------------------------------------


def assert_not_stored(cache, problem):
    """A store fails with one warning, leaves nothing behind, and the next succeeds."""
    before = sorted(cache.folder.iterdir()) if cache.folder.exists() else None
    with pytest.warns(CacheWarning, match=problem):
        assert not cache.store("a1", PARTS, META)
    assert not cache.store("b2", PARTS, META)  # the same trouble, told once a fit
    after = sorted(cache.folder.iterdir()) if cache.folder.exists() else None
    assert after == before


class FullDisk:
    """Stands for os.write where only so many bytes are left."""

    def __init__(self, left, chunk=7):
        self.left, self.chunk, self.write = left, chunk, os.write

    def __call__(self, descriptor, data):
        if self.left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self.write(descriptor, data[: min(self.left, self.chunk)])
        self.left -= written
        return written


def test_f5_a_full_disk_leaves_no_torn_entry(cache, monkeypatch):
    cache.store("a1", PARTS, META)
    size = entry_path(cache, "a1").stat().st_size
    entry_path(cache, "a1").unlink()
    for left in range(size):
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", FullDisk(left))
            assert_not_stored(cache, "No space left")
            assert cache.load("a1") is None
        cache.prepare()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", FullDisk(size))
        assert cache.store("a1", PARTS, META)
    assert_is_entry(cache.load("a1"))
    print(f"F5: tried {size} survived {size} lost 0")


@pytest.mark.parametrize("call", ["fsync", "replace", "close"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EROFS])
def test_f5_any_failing_call_leaves_the_old_entry(cache, monkeypatch, call, code):
    cache.store("a1", PARTS, META)
    cache.store("b2", PARTS, META)
    works = getattr(os, call)

    def fail(*args):
        if call == "close":
            works(*args)
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        assert_not_stored(cache, os.strerror(code))
    assert_is_entry(cache.load("a1"))


def test_f5_a_disk_that_forgets_the_rename_keeps_a_whole_entry(cache, monkeypatch):
    # The second fsync is the folder's: the entry has its name by then, and is whole.
    synced, works = [], os.fsync

    def fail_for_folders(descriptor):
        synced.append(descriptor)
        if len(synced) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        works(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail_for_folders)
        with pytest.warns(CacheWarning, match="Input/output error"):
            assert not cache.store("a1", PARTS, META)
    assert [path.name for path in cache.folder.iterdir()] == ["a1.oof"]
    assert_is_entry(cache.load("a1"))


def test_f5_a_folder_that_is_gone(cache):
    cache.folder.rmdir()
    assert_not_stored(cache, "No such file or directory")
    assert cache.load("a1") is None
    assert cache.prepare().store("a1", PARTS, META)  # the next fit makes it again


def test_f5_a_read_only_folder(cache, monkeypatch):
    cache.store("c3", PARTS, META)
    cache.folder.chmod(0o500)
    if os.access(cache.folder, os.W_OK):  # root may write anywhere
        works = os.open

        def refuse_to_create(path, flags, *mode):
            if flags & os.O_CREAT:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            return works(path, flags, *mode)

        monkeypatch.setattr(os, "open", refuse_to_create)
    assert_not_stored(cache, "Read-only file system|Permission denied")
    assert_is_entry(cache.load("c3"))


def test_f5_a_folder_that_cannot_be_made_is_told_and_done_without(
    tmp_path, monkeypatch
):
    def fail(*args, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "makedirs", fail)
    cache = PredictionCache(tmp_path / "cache")
    with pytest.warns(CacheWarning, match="No space left"):
        cache.prepare()
    assert cache.load("a1") is None
    assert not cache.store("a1", PARTS, META)


def test_f5_the_kernel_refuses_more_bytes(tmp_path):
    # Python ignores SIGXFSZ, so that a file beyond its limit is an error of write.
    code = """
        import resource, sys, warnings
        import numpy as np
        from ensemblekit import PredictionCache
        cache = PredictionCache(sys.argv[1]).prepare()
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            small = cache.store("a1", {"oof": np.zeros(100)}, {})
            large = cache.store("b2", {"oof": np.zeros(1000)}, {})
        print(small, large, [warning.category.__name__ for warning in told])
    """
    command = [sys.executable, "-c", textwrap.dedent(code), tmp_path / "cache"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True False ['CacheWarning']"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["a1.oof"]


# -- F6 ---------------------------------------------------------------------------

N_WRITERS, N_ROUNDS, N_KEYS = 4, 20, 12


def made(key):
    """What any process would compute for the key."""
    rng = np.random.default_rng(key)
    return {"oof": rng.normal(size=(key + 1, 50))}, {"key": key}


def write_and_read(cache, start, seed):
    """Store and load all keys in an order of one's own; the exit code tells faults."""
    warnings.simplefilter("error")
    os.read(start, 1)  # returns when the parent closes the other end
    for key in random.Random(seed).sample(range(N_KEYS), N_KEYS):
        arrays, meta = made(key)
        entry = cache.load(f"k{key}")  # somebody else's, or none yet
        if entry is not None:
            assert_is_entry(entry, arrays, meta)
        assert cache.store(f"k{key}", arrays, meta)
        assert_is_entry(cache.load(f"k{key}"), arrays, meta)


def fork_writer(cache, start, stop, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of forks beside threads
        child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.close(stop)
        write_and_read(cache, start, seed)
        code = 0
    finally:
        os._exit(code)


def run_round(cache, number, kill_after):
    """Let all writers go at once, kill one of them; return the others' exit codes."""
    start, stop = os.pipe()
    writers = [
        fork_writer(cache, start, stop, seed=N_WRITERS * number + writer)
        for writer in range(N_WRITERS)
    ]
    os.close(start)
    os.close(stop)
    time.sleep(kill_after)
    victim = writers[number % N_WRITERS]
    os.kill(victim, signal.SIGKILL)
    codes = {
        child: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in writers
    }
    killed = codes.pop(victim) == -signal.SIGKILL
    return list(codes.values()), killed


def test_f6_many_writers_one_killed_each_round(cache, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # durable is F5's
    rng = random.Random(0)
    n_killed = 0
    for number in range(N_ROUNDS):
        codes, killed = run_round(cache, number, kill_after=rng.uniform(0.001, 0.02))
        assert codes == [0] * (N_WRITERS - 1)
        n_killed += killed
        for key in range(N_KEYS):
            assert_is_entry(cache.load(f"k{key}"), *made(key))
            entry_path(cache, f"k{key}").unlink()
    assert n_killed >= N_ROUNDS // 2
    print(f"F6: tried {N_ROUNDS} survived {N_ROUNDS} lost 0 ({n_killed} killed)")
    assert_swept(cache)


def assert_swept(cache):
    """What the killed left behind is deleted by a later fit, once it is old."""
    left = list(cache.folder.iterdir())
    assert all(path.name.endswith(".partial") for path in left)
    cache.prepare()
    assert list(cache.folder.iterdir()) == left
    for path in left:
        os.utime(path, (0, 0))
    cache.prepare()
    assert list(cache.folder.iterdir()) == []


def test_what_a_killed_writer_left_is_swept_when_it_is_old(cache):
    (cache.folder / ".a1.oof.123.abc.partial").write_bytes(b"half")
    assert_swept(cache)
