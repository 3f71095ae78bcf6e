import os
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from ensemblekit import PredictionLibrary


@pytest.fixture
def library():
    rng = np.random.default_rng(0)
    members = {name: rng.dirichlet(np.ones(3), size=20) for name in ("a", "b", "c")}
    test = {name: rng.dirichlet(np.ones(3), size=7) for name in ("c", "b", "a")}
    return PredictionLibrary.from_arrays(
        members,
        np.array(["x", "y", "z"])[np.arange(20) % 3],
        folds=np.arange(20) % 4,
        sample_weight=np.linspace(0, 1, 20),
        test_predictions=test,
    )


def test_shapes(library):
    assert (library.n_members, library.n_samples, library.n_outputs) == (3, 20, 3)
    assert library.task == "classification"
    assert library.cube.shape == (3, 20, 3)
    assert library.P_test.shape == (7, 9)
    assert library.column_names[:4] == ["a__x", "a__y", "a__z", "b__x"]


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_regression_members_of_either_shape(shape):
    found = PredictionLibrary.from_arrays(
        {"a": np.arange(5.0).reshape(shape)}, range(5)
    )
    assert found.task == "regression"
    assert found.P.shape == (5, 1)


def test_quantile_members():
    found = PredictionLibrary.from_arrays(
        {"a": np.ones((4, 3))}, np.ones(4), quantile_levels=[0.1, 0.5, 0.9]
    )
    assert found.task == "quantile"
    assert found.n_outputs == 3


def test_save_and_load(library, tmp_path):
    path = tmp_path / "library.npz"
    library.save(path)
    assert os.listdir(tmp_path) == ["library.npz"]
    loaded = PredictionLibrary.load(path)
    for key, value in vars(library).items():
        assert_array_equal(getattr(loaded, key), value)
        assert type(getattr(loaded, key)) is type(value)


def test_a_failed_save_leaves_the_old_file(library, tmp_path, monkeypatch):
    path = tmp_path / "library.npz"
    library.save(path)
    before = path.read_bytes()

    def full_disk(file, **arrays):
        file.write(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space left"):
        library.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["library.npz"]


def test_select(library):
    found = library.select(["c", "a"])
    assert found.names == ["c", "a"]
    assert_array_equal(found.P, library.P[:, [6, 7, 8, 0, 1, 2]])
    assert_array_equal(found.P_test, library.P_test[:, [6, 7, 8, 0, 1, 2]])
    assert_array_equal(found.folds, library.folds)
    with pytest.raises(ValueError, match=r"Unknown members \['d'\]"):
        library.select(["d"])
    with pytest.raises(ValueError, match="names is empty"):
        library.select([])


def test_merge_undoes_select(library):
    merged = library.select(["a"]).merge(library.select(["b", "c"]))
    assert_array_equal(merged.P, library.P)
    assert_array_equal(merged.P_test, library.P_test)
    assert merged.names == library.names


def test_merge_refuses_other_rows(library):
    other = library.select(["b"])
    with pytest.raises(ValueError, match=r"names repeat: \['b'\]"):
        library.merge(other)
    other.folds = other.folds[::-1]
    with pytest.raises(ValueError, match="differ in folds"):
        library.select(["a"]).merge(other)
    other.folds, other.P_test = library.folds, None
    with pytest.raises(ValueError, match="Only one"):
        library.select(["a"]).merge(other)


def test_merge_refuses_another_class_order():
    names = {"classes": ["a", "b"]}
    first = PredictionLibrary.from_arrays({"m": [0.1, 0.2]}, ["a", "b"], **names)
    with pytest.raises(ValueError, match="sorted order"):
        PredictionLibrary.from_arrays({"k": [0.1, 0.2]}, ["a", "b"], classes=["b", "a"])
    second = PredictionLibrary.from_arrays(
        {"k": [0.1, 0.2]}, ["a", "b"], classes=["a", "b", "c"][:2]
    )
    assert first.merge(second).n_members == 2


def test_frames_with_another_class_order_are_refused():
    frame = pd.DataFrame({"yes": [0.2, 0.6], "no": [0.8, 0.4]})
    with pytest.raises(ValueError, match=r"'m' has its classes in the order \['yes'"):
        PredictionLibrary.from_arrays({"m": frame}, ["no", "yes"])
    found = PredictionLibrary.from_arrays({"m": frame[["no", "yes"]]}, ["no", "yes"])
    assert found.P.tolist() == [[0.2], [0.6]]


@pytest.mark.parametrize(
    ("members", "options", "error", "message"),
    [
        ({}, {}, ValueError, "predictions is empty"),
        ({"m": [1.0, np.nan, 3.0]}, {}, ValueError, "'m' has NaN.*first at row 1"),
        ({"m": [1.0, 2.0]}, {}, ValueError, "'m' .*expected 3 rows"),
        ({"m": [1.0] * 3}, {"folds": [0, 1]}, ValueError, "folds must hold one number"),
        ({"m": [1.0] * 3}, {"sample_weight": [1, 1, -1]}, ValueError, "negative"),
        (
            {"m": [1.0] * 3},
            {"quantile_levels": [1.5]},
            ValueError,
            r"levels inside \(0, 1\)",
        ),
        (
            {"m": [[1.0, 2.0]] * 3},
            {"quantile_levels": [0.9, 0.1]},
            ValueError,
            "ascend",
        ),
        ({"m": [0.5] * 3}, {"classes": [0, 2]}, ValueError, "y has the label 1"),
        ({"m": [2.5] * 3}, {"classes": [0, 1]}, ValueError, r"outside \[0, 1\]"),
        (
            {"m": [1.0] * 3},
            {"test_predictions": {"k": [1.0]}},
            ValueError,
            r"test_predictions are those of \['k'\]; expected the members \['m'\]",
        ),
    ],
)
def test_refuses(members, options, error, message):
    with pytest.raises(error, match=message):
        PredictionLibrary.from_arrays(members, [0, 1, 0], **options)


def test_refuses_duplicate_names_and_wrong_shape():
    with pytest.raises(ValueError, match=r"names repeat: \['a'\]"):
        PredictionLibrary([[1.0, 2.0]], [1.0], ["a", "a"])
    with pytest.raises(ValueError, match=r"P has shape \(1, 3\); expected \(1, 2\)"):
        PredictionLibrary([[1.0, 2.0, 3.0]], [1.0], ["a", "b"])
    with pytest.raises(ValueError, match="y is NaN or infinite at row 1"):
        PredictionLibrary([[1.0], [2.0]], [1.0, np.nan], ["a"])
    with pytest.raises(TypeError, match="y mixes types"):
        PredictionLibrary([[1.0], [0.0]], np.array([1, "a"], dtype=object), ["a"])


def hostile(path, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, payload in entries.items():
            archive.writestr(name, payload)


def header(shape, dtype="<f8", extra=b""):
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return (
        b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + extra
    )


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"P.npy": header((10**13,))}, "damaged"),
        ({"P.npy": header((2,), "|O", pickle.dumps([1, 2]))}, "objects"),
        ({"P.npy": b"\x93NUMPY\x07\x00"}, "npy version"),
        ({"P.npy": b"hello"}, "cannot be read"),
        ({"P.npy": header((1,), extra=b"\0" * 8)}, "it lacks"),
        ({}, "it lacks"),
    ],
)
def test_hostile_files_are_refused(tmp_path, entries, message):
    path = tmp_path / "library.npz"
    hostile(path, entries)
    with pytest.raises(ValueError, match=message) as caught:
        PredictionLibrary.load(path)
    assert "library.npz" in str(caught.value)


def test_bombs_and_torn_files_are_refused(library, tmp_path):
    path = tmp_path / "library.npz"
    bomb = {"P.npy": header((10**6,), extra=b"\0" * 8 * 10**6)}
    hostile(path, bomb, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="compressed"):
        PredictionLibrary.load(path)
    library.save(path)
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"library\.npz cannot be read"):
            PredictionLibrary.load(path)


def test_a_newer_format_is_refused(library, tmp_path):
    path = tmp_path / "library.npz"
    np.savez(path, format=np.array(2), P=library.P, y=library.y, names=library.names)
    with pytest.raises(ValueError, match="its format differs"):
        PredictionLibrary.load(path)
