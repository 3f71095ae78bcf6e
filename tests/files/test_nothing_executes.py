"""No reader of files can run what is in them: their source has no way to."""

import ast
import errno
import resource
import signal
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import ensemblekit
from ensemblekit import FileError
from ensemblekit.files import read_bank

from .hostile import IDS, N, csv_lines, text

PACKAGE = Path(ensemblekit.__file__).parent
SOURCES = [*sorted((PACKAGE / "files").glob("*.py")), PACKAGE / "commands/inspect.py"]
FORBIDDEN = {"pickle", "joblib", "dill", "cloudpickle", "marshal", "shelve", "yaml"}
CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "read_pickle",
    "load_module",
    "system",
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_unpickling_and_no_evaluation(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not {a.name.partition(".")[0] for a in node.names} & FORBIDDEN
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in FORBIDDEN
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            owner = getattr(getattr(node.func, "value", None), "id", "")
            assert name not in CALLS or owner == "re", ast.unparse(node)
            assert (owner, name) != ("np", "load")
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert ast.unparse(node.value) == "False"


@contextmanager
def small_files():
    """Files of ours may have 100 kB: as if the disk were full then."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    y = np.random.default_rng(0).normal(size=5000)
    np.save(tmp_path / "y.npy", y)
    (tmp_path / "oof").mkdir()
    for name in "abcd":
        np.save(tmp_path / "oof" / f"{name}.npy", y)
    message = r"cannot be written: .*Set TMPDIR"
    with small_files(), pytest.raises(FileError, match=message):
        read_bank(tmp_path / "oof", tmp_path / "y.npy", in_memory=0)
    assert list(scratch.rglob("*.bin")) == []


def test_an_unreadable_file_is_named(tmp_path, monkeypatch):
    lines = ["id,target", *(f"{i},{i / 7}" for i in IDS)]
    (tmp_path / "train.csv").write_bytes(text(lines))
    path = tmp_path / "a_oof.csv"
    path.write_bytes(text(csv_lines()))
    spec = f"{tmp_path / 'train.csv'}:target"
    assert read_bank(path, spec).library.n_samples == N

    def refuse(name, mode="r", *rest, **options):  # the superuser may read all
        if str(name) == str(path):
            raise OSError(errno.EACCES, "Permission denied")
        return real(name, mode, *rest, **options)

    real = open
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(
        FileError, match=r"a_oof.csv: cannot be read: Permission denied"
    ):
        read_bank(path, spec)
