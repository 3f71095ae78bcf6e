"""Stored combiners: every method predicts the same again, and nothing else gets in."""

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import Ridge

from ensemblekit.blending import blend
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


def convex():
    return store(blend(regression(60), methods=["convex"]).models["convex"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class": "Ridge"}, "'Ridge' is no combiner"),
        ({"class": "SingleThing"}, "is no combiner"),
        ({"class": "__import__Regressor"}, "is no combiner"),
        ({"class": None}, "has no class"),
        ({"values": None}, "has no values"),
        ({"values": {"__class__": "x"}}, "unknown entry '__class__'"),
        ({"values": {"predict": 1}}, "unknown entry 'predict'"),
        ({"values": {"weights_": {"array": [1.0], "dtype": "O"}}}, "type object"),
        ({"values": {"weights_": {"array": [[1.0], 2.0], "dtype": "<f8"}}}, "damaged"),
        ({"values": {"weights_": {"array": [1e999], "dtype": "<f8"}}}, "infinity"),
        ({"values": {"weights_": {"array": ["x"], "dtype": "<f8"}}}, "holds <U1"),
    ],
)
def test_refuses_what_is_no_combiner(change, message):
    with pytest.raises(ValueError, match=message):
        restore(convex() | change)
