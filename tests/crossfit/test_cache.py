"""What a cache gives back, what it refuses, and which models it trusts."""

import builtins
import copy
import io
import json
import os
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ensemblekit import CacheWarning, PredictionCache, StackedClassifier, _model_files
from ensemblekit._cache import as_cache
from ensemblekit._entries import Entry, encode_entry
from ensemblekit._model_files import pickle_size, trusted_packages


@pytest.fixture
def cache(tmp_path):
    return PredictionCache(tmp_path / "cache").prepare()


@pytest.fixture(autouse=True)
def no_models_at_hand():
    _model_files._kept.clear()
    yield
    _model_files._kept.clear()


def rows(n_samples=60):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 4))
    return X, (X[:, 0] + 0.3 * rng.normal(size=n_samples) > 0).astype(int)


# -- entries ----------------------------------------------------------------------

ARRAYS = {
    "float": np.linspace(0, 1, 7).reshape(7, 1),
    "float32": np.ones((2, 3, 4), np.float32),
    "odd": np.array([np.nan, np.inf, -np.inf, -0.0]),
    "int": np.array([-1, 2**62]),
    "bool": np.array([True, False]),
    "text": np.array(["a", "bcd"]),
    "bytes": np.array([b"a", b"bcd"]),
    "time": np.array(["2020-01-01", "NaT"], "M8[s]"),
    "scalar": np.array(3.5),
    "empty": np.empty((0, 5)),
    "big-endian": np.arange(3, dtype=">i4"),
    "rows apart": np.arange(12.0).reshape(3, 4)[::2, ::3],
}


def test_entries_come_back_as_they_were(cache):
    meta = {"member": "näher", "seconds": 0.1, "best": None, "deep": {"a": [1, "b"]}}
    assert cache.store("k", ARRAYS, meta)
    entry = cache.load("k")
    assert entry.meta == meta
    assert list(entry.arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert_array_equal(entry.arrays[name], array, strict=True)
        assert entry.arrays[name].tobytes() == array.tobytes()
        assert entry.arrays[name].flags.aligned
        assert entry.arrays[name].flags.writeable


def test_an_entry_may_hold_nothing(cache):
    assert cache.store("k", {}, {})
    assert cache.load("k") == Entry({}, {})


def test_a_missing_entry_is_none_and_a_later_one_replaces(cache):
    assert cache.load("k") is None
    cache.store("k", {"a": np.zeros(3)}, {})
    cache.store("k", {"a": np.ones(2)}, {})
    assert_array_equal(cache.load("k").arrays["a"], np.ones(2))


@pytest.mark.parametrize(
    "array", [np.array([None]), np.zeros(2, "i4,f8"), np.array(["a", 1], object)]
)
def test_arrays_of_objects_are_refused(cache, array):
    with pytest.raises(TypeError, match=r"Array 'a' has dtype .* expected numbers"):
        cache.store("k", {"a": array}, {})


def test_meta_beyond_json_is_refused(cache):
    with pytest.raises(TypeError, match="not JSON serializable"):
        cache.store("k", {}, {"a": {1, 2}})


def write_header(cache, key, described, body=b"", meta=()):
    """Write an entry with any header and a right checksum, as an enemy would."""
    from ensemblekit._entries import _ALIGN, _CHECKSUM, _MAGIC, _PREAMBLE, _checksum

    head = json.dumps({"key": key, "arrays": described, "meta": dict(meta)}).encode()
    head += b" " * (-len(head) % _ALIGN)
    size = _PREAMBLE.size + _CHECKSUM + len(head) + len(body)
    start = _PREAMBLE.pack(_MAGIC, size, len(head))
    data = start + _checksum(start, head, body) + head + body
    (cache.folder / f"{key}.oof").write_bytes(data)


def test_headers_are_checked_before_memory_is_taken(cache):
    write_header(cache, "k", [["a", "<f8", [8]]], bytes(64))
    assert_array_equal(cache.load("k").arrays["a"], np.zeros(8))
    lies = [
        [["a", "<f8", [10**12]]],
        [["a", "<f8", [10**30]]],
        [["a", "<f8", [-8]]],
        [["a", "<f8", [-1, -8]]],
        [["a", "<f8", [8.0]]],
        [["a", "<f8", [True] * 40]],
        [["a", "<f8", "8"]],
        [["a", "<f8", 8]],
        [["a", "<f8", [1]]] * 2,
        [["a", "|O", [8]]],
        [["a", "O", [8]]],
        [["a", "<f8,<f8", [4]]],
        [["a", "(1000000000,)<f8", [1]]],
        [["a", "|V8", [8]]],
        [["a", "<U0", [10**12]]],
        [["a", "nonsense", [8]]],
        [["a", {"names": ["x"]}, [8]]],
        [["a", "<f8"]],
        [[["a"], "<f8", [8]]],
        [None],
        None,
        "abc",
        {"a": 1},
        [],
    ]
    for described in lies:
        write_header(cache, "k", described, bytes(64))
        with pytest.warns(CacheWarning, match="damaged or foreign"):
            assert cache.load("k") is None, described


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b"[]", b"{}", b"null", b"\xff", b"1e400"]
)
def test_headers_that_are_no_header(cache, monkeypatch, text):
    monkeypatch.setattr(
        json, "dumps", lambda value: types.SimpleNamespace(encode=lambda: text)
    )
    write_header(cache, "k", [])
    with pytest.warns(CacheWarning, match="damaged or foreign"):
        assert cache.load("k") is None


# -- the folder -------------------------------------------------------------------


def test_the_folder_is_made_for_its_owner_alone(tmp_path):
    cache = PredictionCache(str(tmp_path / "deep" / "cache")).prepare()
    assert os.stat(cache.folder).st_mode & 0o777 == 0o700
    cache.store("k", {}, {})
    assert os.stat(tmp_path / "deep" / "cache" / "k.oof").st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_that_others_may_write_to_is_refused(cache, mode):
    cache.folder.chmod(mode)
    for act in (
        cache.prepare,
        lambda: cache.load("k"),
        lambda: cache.store("k", {}, {}),
        lambda: cache.load_model("k"),
        lambda: cache.store_model("k", LogisticRegression()),
    ):
        with pytest.raises(PermissionError, match="chmod go-w"):
            act()
    cache.folder.chmod(0o755)  # others may read
    cache.prepare()


def test_somebody_elses_folder_is_refused(cache, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(PermissionError, match=r"belongs to the user with number \d+"):
        cache.prepare()


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "cache").write_text("notes")
    with pytest.raises(NotADirectoryError, match="is a file; expected a folder"):
        PredictionCache(tmp_path / "cache").prepare()


def test_parameters_are_checked_when_it_is_used(tmp_path):
    with pytest.raises(ValueError, match="models is 'pickle'; expected 'skops', 'job"):
        PredictionCache(tmp_path, models="pickle").prepare()
    with pytest.raises(ValueError, match="max_memory is -1; expected 0 or more"):
        PredictionCache(tmp_path, max_memory=-1).prepare()


def test_it_is_a_parameter_as_others_are(cache):
    other = PredictionCache(cache.folder, models=None, max_memory=5)
    for same in (
        copy.deepcopy,
        lambda c: pickle.loads(pickle.dumps(c)),
        lambda c: clone(c, safe=False),
    ):
        assert same(cache) == cache
        assert same(other) == other
    assert cache != other
    assert repr(other).endswith("models=None, max_memory=5)")
    assert len(pickle.dumps(cache)) < 500


def test_what_memory_may_be(cache):
    assert as_cache(None) is None
    assert as_cache(cache) is cache
    assert as_cache("here") == PredictionCache("here")
    assert as_cache(cache.folder) == cache
    with pytest.raises(TypeError, match="memory is 3; expected a folder"):
        as_cache(3)


# -- models -----------------------------------------------------------------------


def forget(model=None):
    _model_files._kept.clear()


MEMBERS = [
    LogisticRegression(),
    make_pipeline(StandardScaler(), LogisticRegression()),
    RandomForestClassifier(5, random_state=0),
    HistGradientBoostingClassifier(max_iter=5, random_state=0),
    GaussianProcessClassifier(RBF(2.0)),
    StackedClassifier(
        [
            ("a", LogisticRegression()),
            ("b", HistGradientBoostingClassifier(max_iter=5)),
        ],
        cv=3,
    ),
]


@pytest.mark.parametrize("models", ["skops", "joblib"])
@pytest.mark.parametrize("member", MEMBERS, ids=lambda m: type(m).__name__)
def test_models_come_back_bit_equal(tmp_path, models, member):
    cache = PredictionCache(tmp_path / "cache", models=models).prepare()
    X, y = rows()
    model = clone(member).fit(X, y)
    assert cache.store_model("k", model)
    forget()
    back = cache.load_model("k", trusted_packages(member))
    assert back is not model
    assert_array_equal(back.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_boosted_models_come_back_bit_equal(cache, library):
    module = pytest.importorskip(library)
    quiet = {"verbose": -1} if library == "lightgbm" else {}
    kind = module.LGBMClassifier if quiet else module.XGBClassifier
    X, y = rows()
    model = kind(n_estimators=5, n_jobs=1, **quiet).fit(X, y)
    assert trusted_packages(model) == {library}
    assert cache.store_model("k", model)
    forget()
    with pytest.warns(CacheWarning, match="which are no classes of its member's"):
        assert cache.load_model("k", frozenset({"sklearn"})) is None
    back = cache.load_model("k", trusted_packages(model))
    assert_array_equal(back.predict_proba(X), model.predict_proba(X))


def test_trust_extends_to_the_estimators_a_member_is_made_of():
    member = make_pipeline(StandardScaler(), GaussianProcessClassifier(RBF()))
    assert trusted_packages(member) == {"sklearn"}
    stacked = StackedClassifier([("a", LogisticRegression(C=np.float64(2)))])
    assert trusted_packages(stacked) == {"ensemblekit", "sklearn"}


def test_models_none_writes_nothing(tmp_path):
    cache = PredictionCache(tmp_path / "cache", models=None).prepare()
    model = LogisticRegression().fit(*rows())
    assert not cache.store_model("k", model)
    assert list(cache.folder.iterdir()) == []
    assert cache.load_model("k") is model  # at hand
    forget()
    assert cache.load_model("k") is None


@pytest.mark.parametrize("models", ["skops", "joblib"])
def test_a_model_that_cannot_be_written_is_left_out(tmp_path, models):
    cache = PredictionCache(tmp_path / "cache", models=models).prepare()
    model = FunctionTransformer(lambda X: X).fit(*rows())
    if not cache.store_model("k", model):
        assert models == "joblib"
        assert cache.load_model("k") is None
        return
    # skops writes the function's name, and is not told to trust it.
    with pytest.warns(CacheWarning, match=r"is not read: it holds .*<lambda>"):
        assert cache.load_model("k", trusted_packages(model)) is None


def test_without_skops_models_are_fitted_again(cache, monkeypatch):
    cache.store_model("k", LogisticRegression().fit(*rows()))
    forget()
    monkeypatch.setattr(_model_files, "find_spec", lambda name: None)
    assert cache.load_model("k", frozenset({"sklearn"})) is None
    assert not cache.store_model("j", LogisticRegression())


def test_damaged_models_are_found_before_they_are_read(tmp_path, monkeypatch):
    cache = PredictionCache(tmp_path / "cache", models="joblib").prepare()
    cache.store_model("k", LogisticRegression().fit(*rows()))
    path = cache.folder / "k.joblib"
    path.write_bytes(path.read_bytes()[:-70] + bytes(70))
    forget()
    monkeypatch.setattr(_model_files.joblib, "load", None)  # would fail if called
    with pytest.warns(CacheWarning, match=r"k\.joblib was damaged"):
        assert cache.load_model("k") is None
    assert not path.exists()


def test_predictions_are_no_models(cache):
    cache.store("k", {"oof": np.zeros(3)}, {})
    (cache.folder / "k.oof").rename(cache.folder / "k.skops")
    assert cache.load_model("k") is None


# -- poison -----------------------------------------------------------------------


class Poison:
    """What pickle makes of it creates a file."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return builtins.open, (str(self.canary), "w")


def write_model(cache, data):
    entry = Entry({"model": np.frombuffer(data, np.uint8)}, {})
    data = b"".join(map(bytes, encode_entry("k", entry)))
    (cache.folder / "k.skops").write_bytes(data)


def calls(module, name, *arguments):
    """Return a skops file that calls a function with text when it is read."""
    content = [
        {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode",
         "content": json.dumps(argument), "is_json": True}
        for argument in arguments
    ]  # fmt: skip
    schema = {
        "__class__": name,
        "__module__": module,
        "__loader__": "ConstructorFromReduceNode",
        "content": {
            "__class__": "tuple",
            "__module__": "builtins",
            "__loader__": "TupleNode",
            "content": content,
        },
        "protocol": 2,
        "_skops_version": "0.16.0",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    return buffer.getvalue()


@pytest.fixture
def package(monkeypatch):
    """A member's package that also has a function, and a class from elsewhere."""
    module = types.ModuleType("mymembers")

    def touch(path, mode="w"):
        open(path, mode).close()

    class Own:
        def __init__(self, *arguments):
            pass

    touch.__module__ = Own.__module__ = "mymembers"
    module.touch, module.Own, module.FileIO = touch, Own, io.FileIO
    monkeypatch.setitem(sys.modules, "mymembers", module)
    return frozenset({"mymembers"})


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("mymembers", "touch"),  # a function of a trusted package
        ("mymembers", "FileIO"),  # a class that only passes through it
        ("mymembers", "missing"),
        ("builtins", "open"),
        ("io", "FileIO"),
        ("numpy", "memmap"),
        ("os", "system"),
        ("not_loaded_yet", "Own"),
    ],
)
def test_nothing_but_classes_of_the_package_is_called(
    cache, package, tmp_path, module, name
):
    canary = tmp_path / "canary"
    write_model(cache, calls(module, name, str(canary), "w"))
    with pytest.warns(CacheWarning, match=rf"holds \['{module}\.{name}'\]"):
        assert cache.load_model("k", package) is None
    assert not canary.exists()


def test_the_poison_would_work_if_it_were_trusted(package, tmp_path):
    skops = pytest.importorskip("skops.io")
    data = calls("mymembers", "touch", str(tmp_path / "canary"))
    skops.loads(data, trusted=["mymembers.touch"])
    assert (tmp_path / "canary").exists()


def test_classes_of_the_package_are_made(cache, package):
    write_model(cache, calls("mymembers", "Own"))
    assert type(cache.load_model("k", package)).__name__ == "Own"


def test_pickles_are_not_read_where_skops_is_asked_for(cache, tmp_path):
    poison = pickle.dumps(Poison(tmp_path / "canary"))
    write_model(cache, poison)
    with pytest.warns(CacheWarning, match="is not read"):
        assert cache.load_model("k", frozenset({"sklearn"})) is None
    for name in ("k.skops", "k.oof", "k.joblib"):
        (cache.folder / name).write_bytes(poison)
    with pytest.warns(CacheWarning, match="damaged or foreign"):
        assert cache.load_model("k") is None
    with pytest.warns(CacheWarning, match="damaged or foreign"):
        assert cache.load("k") is None
    assert not (tmp_path / "canary").exists()


# -- models at hand ---------------------------------------------------------------


def test_a_model_is_read_from_disk_once(cache, monkeypatch):
    model = LogisticRegression().fit(*rows())
    cache.store_model("k", model)
    assert cache.load_model("k") is model
    forget()
    first = cache.load_model("k", frozenset({"sklearn"}))
    (cache.folder / "k.skops").unlink()
    assert PredictionCache(cache.folder).load_model("k") is first


def test_models_used_least_recently_go_first(tmp_path):
    models = {key: np.full(1000, ord(key), np.uint8) for key in "abcd"}
    size = pickle_size(models["a"])
    cache = PredictionCache(tmp_path, models=None, max_memory=3 * size)
    for key in "abc":
        cache.remember_model(key, models[key])
    assert cache.load_model("a") is models["a"]
    cache.remember_model("d", models["d"])
    assert [cache.load_model(key) is not None for key in "abcd"] == [
        True,
        False,
        True,
        True,
    ]
    cache.remember_model("big", np.zeros(4 * size, np.uint8))  # has no room at all
    assert [cache.load_model(key) is not None for key in "abcd"] == [
        True,
        False,
        True,
        True,
    ]
    assert cache.load_model("big") is None


def test_no_memory_keeps_no_model(tmp_path):
    cache = PredictionCache(tmp_path, models=None, max_memory=0)
    cache.remember_model("k", np.zeros(1))
    assert cache.load_model("k") is None


def test_folders_do_not_share_models(tmp_path):
    one, other = (PredictionCache(tmp_path / name, models=None) for name in "ab")
    one.remember_model("k", "model")
    assert other.load_model("k") is None


def test_what_cannot_be_pickled_is_not_kept(tmp_path):
    cache = PredictionCache(tmp_path, models=None)
    cache.remember_model("k", lambda x: x)
    assert cache.load_model("k") is None


SIZED = [
    None,
    b"x" * 100_000,
    np.zeros((300, 400)),
    np.zeros((300, 400), order="F"),
    {"a": [1, "b"]},
    RandomForestClassifier(3, random_state=0).fit(*rows()),
]


@pytest.mark.parametrize("value", SIZED, ids=lambda value: type(value).__name__)
def test_the_size_of_a_pickle_is_counted_without_making_it(value):
    assert pickle_size(value) == len(pickle.dumps(value, protocol=5))
