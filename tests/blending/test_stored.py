"""Stored combiners: every method predicts the same again, and nothing else gets in."""

import copy
import json
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import Ridge

from ensemblekit.blending import _stored, blend
from ensemblekit.blending._stored import restore, store

from .libraries import classification, regression


def check_all(result, P):
    for model in result.models.values():
        again = restore(json.loads(json.dumps(store(model), allow_nan=False)))
        assert type(again) is type(model)
        assert_array_equal(again.predict(P), model.predict(P))
        if hasattr(model, "predict_proba"):
            assert_array_equal(again.predict_proba(P), model.predict_proba(P))


def test_every_method_of_values():
    library = regression(60)
    names = ["median", "top mean", "greedy", "greedy, rows bagged", "hill climbing"]
    names += ["hill climbing, signed", "convex", "convex, affine", "convex, isotonic"]
    names += ["linear stack", "linear stack, huber", "search"]
    names += ["QO selection", "QDO selection", "CMA-ES"]
    result = blend(library, methods=names, folds=np.arange(60) % 2)
    assert not result.skipped
    check_all(result, np.vstack([library.P, library.P_test, library.P * 3.0]))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_methods_of_probabilities(n_classes):
    library = classification(n_classes, 60)
    names = ["median", "geometric mean", "rank mean", "top mean", "greedy", "convex"]
    names += ["greedy, rows bagged", "hill climbing", "hill climbing, signed"]
    names += ["convex, affine", "convex, isotonic", "linear stack"]
    names += ["linear stack, shared", "QO selection", "QDO selection", "CMA-ES"]
    result = blend(library, methods=names, folds=np.arange(60) % 2)
    assert not result.skipped
    check_all(result, library.P)


def test_methods_of_labels():
    library = classification(3, 60)
    names = ["mean, offsets", "convex, offsets", "linear stack, offsets"]
    folds = np.arange(60) % 2
    result = blend(library, metric="f1_macro", methods=names, folds=folds)
    check_all(result, library.P)


def test_stores_no_stranger():
    with pytest.raises(ValueError, match="'Ridge' is no combiner"):
        store(Ridge())


@cache
def _convex():
    return store(blend(regression(60), methods=["convex"]).models["convex"])


def convex():
    return copy.deepcopy(_convex())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class": "Ridge"}, "'Ridge' is no combiner"),
        ({"class": "SingleThing"}, "is no combiner"),
        ({"class": "Single"}, "is no combiner"),
        ({"class": "__import__Regressor"}, "is no combiner"),
        ({"class": None}, "has no class"),
        ({"values": None}, "has no values"),
        ({"extra": 1}, "unknown entry 'extra'"),
        ({"values": {"__class__": "x"}}, "unknown entry '__class__'"),
        ({"values": {"predict": 1}}, "unknown entry 'predict'"),
        ({"values": {}}, "lacks 'n_features_in_'"),
    ],
)
def test_refuses_what_is_no_combiner(change, message):
    with pytest.raises(ValueError, match=message):
        restore(convex() | change)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("weights_", {"array": [1.0], "dtype": "O"}, "type 'O'"),
        ("weights_", {"array": [1.0], "dtype": "<V9"}, "type '<V9'"),
        ("weights_", {"array": [1.0], "dtype": "<f1"}, "no type"),
        ("weights_", {"array": [1.0], "dtype": None}, "type None"),
        ("weights_", {"array": [1], "dtype": "<i8"}, "of no use here"),
        ("weights_", {"array": ["a"], "dtype": "<U400000000"}, "of no use here"),
        ("weights_", {"array": [[1.0], 2.0], "dtype": "<f8"}, "damaged"),
        ("weights_", {"array": [[1.0], [2.0, 3.0]], "dtype": "<f8"}, "damaged"),
        ("weights_", {"array": 1.0, "dtype": "<f8"}, "no list"),
        ("weights_", {"array": [1e999], "dtype": "<f8"}, "infinity"),
        ("weights_", {"array": [10**400], "dtype": "<f8"}, "out of range"),
        ("weights_", {"array": ["x"], "dtype": "<f8"}, "holds str"),
        ("weights_", {"array": [True] * 4, "dtype": "<f8"}, "holds bool"),
        ("weights_", {"array": [None] * 4, "dtype": "<f8"}, "holds NoneType"),
        ("weights_", {"array": [0.5, 0.5], "dtype": "<f8"}, r"shape \(2,\)"),
        ("weights_", {"array": [], "dtype": "<f8"}, r"shape \(0,\)"),
        ("weights_", {"array": [[0.25] * 4], "dtype": "<f8"}, r"shape \(1, 4\)"),
        ("weights_", {"array": [-1.0, 1, 1, 0], "dtype": "<f8"}, "at least 0"),
        ("weights_", {"array": [9.0] * 4, "dtype": "<f8"}, "sum 36"),
        ("weights_", [0.25] * 4, "no array with a dtype"),
        ("n_features_in_", 5, "is 5; expected 4"),
        ("n_features_in_", 4.0, r"is 4\.0; expected 4"),
        ("n_features_in_", True, "is True; expected a"),
        ("n_features_in_", 1e999, "infinite|beyond"),
        ("n_features_in_", 10**400, "out of range"),
        ("intercept_", None, "is None; expected a number"),
        ("intercept_", 1e308, "beyond"),
        ("n_outputs_", 2, "is 2; expected 1"),
    ],
)
def test_refuses_a_field_by_its_name(field, value, message):
    stored = convex()
    stored["values"][field] = value
    where = rf"^combiner\.values\.{field} .*({message})"
    with pytest.raises(ValueError, match=where):
        restore(stored, 4 if field == "n_features_in_" and value == 5 else None)


@pytest.mark.parametrize(
    ("kind", "array", "message"),
    [
        ("<i8", [1, 0], "sorted"),
        ("<i8", [0, 0], "sorted"),
        ("<i8", [0], "two labels or more"),
        ("<i8", [0, 2**70], "out of range"),
        ("|u1", [0, 256], "out of range"),
        ("|i1", [0, 200], "out of range"),
        ("<i8", [0, 1, 2], "at|expected"),
        ("<i8", [0, float("nan")], "holds float"),
        ("<U1", ["a", "bb"], "longer than its type"),
        ("<U9", ["a", 1], "holds int"),
        ("|b1", [True, False], "sorted"),
    ],
)
def test_refuses_labels_that_no_fit_has(kind, array, message):
    model = blend(classification(2, 60), methods=["mean"]).models["mean"]
    stored = store(model)
    stored["values"]["classes_"] = {"dtype": kind, "array": array}
    with pytest.raises(ValueError, match=message):
        restore(stored, 4)


@pytest.mark.parametrize("kind", ["<i4", "|u1", "<f4", "|b1", "<U9", "O"])
def test_labels_of_any_type_that_can_be_fitted(kind):
    texts = kind in ("<U9", "O")
    labels = np.array(["no", "yes"] if texts else [0, 1]).astype(kind)
    library = classification(2, 60, labels=labels)
    model = blend(library, methods=["mean"]).models["mean"]
    again = restore(json.loads(json.dumps(store(model))), 4)
    assert again.classes_.dtype.kind == library.classes.dtype.kind
    assert_array_equal(again.predict(library.P), model.predict(library.P))


def test_huge_types_of_text_take_no_memory():
    stored = store(blend(classification(2, 60), methods=["mean"]).models["mean"])
    stored["values"]["classes_"]["dtype"] = "<U400000000"
    assert restore(stored).classes_.dtype == np.dtype("<U3")


def test_every_stored_field_has_a_reader():
    names = {
        name for parts in _stored._READ.values() for part in parts for name in part
    }
    nested = {"combiner_", "combiners_", "_calibrator_"}
    assert names - nested == set(_stored._FIELDS)
    parts = {name for part in _stored._CALIBRATORS.values() for name in part}
    assert parts == set(_stored._PARTS)
