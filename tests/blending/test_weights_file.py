"""weights.json as anyone may have edited it: applied as it says, or refused by name."""

import copy
import json
import math
import os
import tracemalloc
import warnings
from functools import cache

import numpy as np
import pytest

from ensemblekit.blending import apply_blend, blend, write_blend
from ensemblekit.exceptions import FileError

from .libraries import NAMES, apply_to_csv, classification, quantiles, regression
from .test_outputs import members

FOLDS = np.arange(60) % 2
BLENDS = {
    "convex": (regression, (60,), "rmse"),
    "hill climbing, signed": (regression, (60,), "rmse"),
    "convex, isotonic": (regression, (60,), "rmse"),
    "linear stack": (regression, (60,), "rmse"),
    "search": (regression, (60,), "rmse"),
    "mean": (classification, (2, 60), "roc_auc"),
    "convex, affine": (classification, (3, 60), "log_loss"),
    "linear stack, shared": (classification, (2, 60), "log_loss"),
    "rank mean": (classification, (2, 60), "log_loss"),
    "convex, isotonic (3)": (classification, (3, 60), "log_loss"),
    "linear stack, offsets": (classification, (3, 60), "f1_macro"),
    "QDO selection": (regression, (60,), "rmse"),
    "greedy": (quantiles, (60,), "pinball"),
    "median": (quantiles, (60,), "pinball"),
    "linear pool": (quantiles, (60,), "pinball"),
    "quantile weights": (quantiles, (60,), "pinball"),
    "quantile weights, medium": (quantiles, (60,), "pinball"),
    "quantile weights, fine": (quantiles, (60,), "pinball"),
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return a function of a method to its weights.json and new predictions."""

    @cache
    def write(name):
        make, arguments, metric = BLENDS[name]
        library, method = make(*arguments), name.removesuffix(" (3)")
        folder = tmp_path_factory.mktemp("blend")
        result = blend(library, metric=metric, methods=[method], folds=FOLDS)
        write_blend(result, library, folder, method=method)
        new = members(library.P_test, n_outputs=library.P.shape[1] // len(NAMES))
        return json.loads((folder / "weights.json").read_text()), new

    return lambda name: copy.deepcopy(write(name))


@pytest.fixture
def refused(stored, tmp_path):
    """Return a function that writes an edit and returns what is said of it."""

    def said(edited, name="convex"):
        path = tmp_path / "edited.json"
        text = edited if isinstance(edited, str) else json.dumps(edited)
        path.write_text(text, encoding="utf-8")
        with pytest.raises(FileError, match=r"edited\.json") as caught:
            apply_to_csv(path, stored(name)[1])
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return said


def put(content, where, value):
    for key in where[:-1]:
        content = content[key]
    content[where[-1]] = value


WEIGHTS = ("combiner", "values", "weights_", "array")


@pytest.mark.parametrize(
    ("where", "value", "problem"),
    [
        (WEIGHTS, [0.5, 0.3, 0.2], "combiner.values.weights_ has shape (3,)"),
        (WEIGHTS, [-5.0, 2.0, 2.0, 2.0], "combiner.values.weights_ holds -5"),
        (WEIGHTS, [9.0, 9.0, 9.0, 9.0], "weights of sum 36; expected 1"),
        (WEIGHTS, [0.25] * 4, "to change a weight, edit both alike"),
        (("weights", "anna"), 0.1, "to change a weight, edit both alike"),
        (("weights", "anna"), None, "its weights say None of 'anna'"),
        (("weights",), None, "not those of its combiner"),
        (("weights",), {"anna": 1.0}, "not of its members, in their order"),
        (("weights",), [1.0], "has no 'weights' of type dict"),
        (("members",), NAMES[::-1], "members are not combiner.members"),
        (("members",), ["a", "a", "b", "c"], "a name stands twice"),
        (("combiner", "members"), NAMES[:2], "members are not combiner.members"),
        (("combiner", "values", "n_features_in_"), 5, "n_features_in_ is 5"),
        (("submission", "columns"), [], "submission.columns"),
        (("submission", "columns"), {}, "submission.columns"),
        (("submission", "columns"), "ab", "submission.columns"),
        (("submission", "columns"), ["a", "b"], "names 2 columns"),
        (("submission", "columns"), ["a", "a"], "different names"),
        (("submission", "columns"), [None], "different names"),
        (("submission", "id"), 3, "have no names"),
        (("submission", "id"), "prediction", "one name for ids and predictions"),
        (("submission", "prediction"), None, "have no names"),
        (("submission", "more"), 1, "its submission has the entries"),
        (("task",), "classification", "of which it reads 'values'"),
        (("task",), ["x"], "has no 'task' of type str"),
        (("reads",), "labels", "of which it reads 'labels'"),
        (("format",), True, "has no 'format' of type int"),
        (("format",), 2, "is of format 2, not 1"),
        (("wieghts",), {}, "unknown entry 'wieghts'"),
    ],
)
def test_refuses_an_edit(stored, refused, where, value, problem):
    content, _ = stored("convex")
    put(content, where, value)
    assert problem in refused(content)


@pytest.mark.parametrize("name", ["convex", "rank mean", "search"])
def test_members_in_another_order_are_refused(stored, refused, name):
    content, _ = stored(name)
    content["members"].reverse()
    assert "combiner.members" in refused(content, name)
    content["combiner"]["members"].reverse()
    if content["weights"] is not None:  # each name has its weight, twice
        assert "in their order" in refused(content, name)
        content["weights"] = dict(reversed(content["weights"].items()))
        assert "edit both alike" in refused(content, name)


def test_weights_edited_alike_are_applied(stored, tmp_path):
    content, new = stored("convex")
    content["weights"] = dict(zip(NAMES, [0.5, 0.5, 0, 0], strict=True))
    put(content, WEIGHTS, [0.5, 0.5, 0, 0])
    path = tmp_path / "weights.json"
    path.write_text(json.dumps(content), encoding="utf-8-sig")  # as Notepad does
    found = apply_blend(path, new)["prediction"]
    expected = (new["anna"] + new["ben"])[:, 0] / 2
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "inner"),
    [
        ("convex, isotonic", ("values",)),
        ("search", ("values",)),
        ("linear stack, shared", ("values",)),
        ("linear stack, offsets", ("values",)),
        ("mean", ("values",)),
    ],
)
def test_weights_that_only_tell_of_others_cannot_be_edited(
    stored, refused, name, inner
):
    content, _ = stored(name)
    weights = [0.7, 0.1, 0.1, 0.1]
    content["weights"] = dict(zip(NAMES, weights, strict=True))
    put(content, WEIGHTS, weights)
    assert "an edit here alone has no effect" in refused(content, name)


def test_a_key_that_stands_twice(stored, refused):
    text = json.dumps(stored("convex")[0])
    twice = text.replace('"members"', '"members": ["x"], "members"', 1)
    assert "the key 'members' stands twice" in refused(twice)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1" * 5000])
def test_numbers_that_json_has_not(stored, refused, value):
    text = json.dumps(stored("convex")[0]).replace('"intercept_": 0.0', "@", 1)
    assert "is no JSON: " in refused(text.replace("@", f'"intercept_": {value}'))


def test_half_a_surrogate(stored, refused):
    content, _ = stored("convex")
    content["submission"]["prediction"] = "\ud800"
    assert "is no JSON in UTF-8" in refused(content)


def test_no_regular_file_is_read(tmp_path):
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    with pytest.raises(FileError, match=r"pipe\.json: is a pipe, not a file"):
        apply_blend(pipe, {})
    with pytest.raises(FileError, match="/dev/zero: is a device or socket"):
        apply_blend("/dev/zero", {})
    with pytest.raises(FileError, match="is a folder, not a file"):
        apply_blend(tmp_path, {})
    with open(tmp_path / "huge.json", "wb") as file:
        file.truncate(2**40)  # takes no room
    with pytest.raises(FileError, match=r"huge\.json: is larger than"):
        apply_blend(tmp_path / "huge.json", {})


def test_a_huge_type_of_text_takes_no_memory(stored, tmp_path):
    content, new = stored("mean")
    content["combiner"]["values"]["classes_"]["dtype"] = "<U400000000"
    path = tmp_path / "weights.json"
    path.write_text(json.dumps(content))
    tracemalloc.start()
    apply_blend(path, new)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_what_adds_up_to_infinity_is_no_prediction(stored, tmp_path):
    content, new = stored("linear stack")
    weights = [1e200, 1.0, 1.0, 1.0]
    content["weights"] = dict(zip(NAMES, weights, strict=True))
    put(content, WEIGHTS, weights)
    path = tmp_path / "weights.json"
    path.write_text(json.dumps(content))
    with pytest.raises(FileError, match=r"weights\.json: .* predicts NaN or infinity"):
        apply_blend(path, {name: values * 1e150 for name, values in new.items()})


# -- edits drawn at random ----------------------------------------------------------

VALUES = [
    None, True, -1, 0, 2, 2**70, 10**400, 1e308, -1e308, 0.5, math.nan, math.inf, "x",
    "", "<f8", "\ud800", [], {}, [[1, 2], [3]], [-1.0, 5.0, 2.0], [1e300] * 3, [None],
    {"class": "ConvexClassifier", "values": {}}, {"dtype": "<f8", "array": [1, 2]},
    {"dtype": "<U1000000000", "array": ["a", "b"]}, {"dtype": "O", "array": [1]},
    {"dtype": "<i8", "array": [0, 2**70]}, {"dtype": "<i8", "array": [0, math.nan]},
]  # fmt: skip


def places(content, where=()):
    """Return all places of a content; of long lists those of the first entries."""
    yield where
    items = content.items() if isinstance(content, dict) else ()
    items = enumerate(content[:4]) if isinstance(content, list) else items
    for key, value in items:
        yield from places(value, (*where, key))


def edit(content, rng):
    """Change, remove, double or move one entry."""
    where = [place for place in places(content) if place]
    place = where[rng.integers(len(where))]
    parent = content
    for key in place[:-1]:
        parent = parent[key]
    kind = rng.integers(6)
    if kind == 0:
        del parent[place[-1]]
    elif kind == 1 and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[place[-1]]))
    elif kind == 2 and isinstance(parent, list):
        parent.reverse()
    elif kind == 3 and isinstance(parent, dict):
        parent["x"] = parent.pop(place[-1])
    else:
        parent[place[-1]] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])


def attempt(path, new):
    """Return the predictions or what is said instead; all else is a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return apply_blend(path, new), None
        except FileError as error:
            return None, str(error)


@pytest.mark.parametrize("name", BLENDS)
def test_edits_end_in_predictions_or_in_a_sentence(stored, tmp_path, name):
    rng = np.random.default_rng(0)
    path = tmp_path / "edited.json"
    content, new = stored(name)
    n_refused, n_edits = 0, 40 if name == "rank mean" else 300
    for _ in range(n_edits):
        edited = copy.deepcopy(content)
        for _ in range(rng.integers(1, 3)):
            edit(edited, rng)
        path.write_text(json.dumps(edited))
        frame, said = attempt(path, new)
        if said is not None:
            assert str(path) in said
            assert "\n" not in said
            assert len(said) < 500 + len(str(path))
            n_refused += 1
            continue
        assert len(frame) == 7
        assert np.isfinite(frame.select_dtypes("number").to_numpy()).all()
        numbers = frame.select_dtypes("float").to_numpy()
        if content["task"] == "classification":
            assert ((numbers >= -1e-9) & (numbers <= 1 + 1e-9)).all()
    assert n_refused > 0.6 * n_edits
