"""Hints: each planted fault is found, in the member that has it, and no other."""

import numpy as np
import pytest

from ensemblekit import PredictionLibrary
from ensemblekit.files.hints import find_hints

N = 600


def make(task="regression", seed=0):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=N) + 3.0
    arrays = {name: y + rng.normal(size=N) * 0.7 for name in "abcde"}
    return rng, y, arrays


def classes(seed=0):
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=N)
    y = np.where(rng.random(N) < 1 / (1 + np.exp(-2 * signal)), "yes", "no")
    arrays = {
        name: 1 / (1 + np.exp(-2 * signal - rng.normal(size=N) * 0.5))
        for name in "abcde"
    }
    return rng, y, arrays


def hints_of(arrays, y, rules=None, ids=None, folds=None, test=None):
    library = PredictionLibrary.from_arrays(
        arrays, y, folds=folds, test_predictions=test
    )
    assumed = dict.fromkeys(arrays, "order of the file assumed")
    return find_hints(library, assumed if rules is None else rules, ids)


def test_nothing_to_say_about_honest_members():
    rng, y, arrays = make()
    test = {name: rng.normal(size=N) + 3.0 for name in arrays}
    test = {name: values + rng.normal(size=N) * 0.7 for name, values in test.items()}
    ids = rng.permutation(N)
    assert hints_of(arrays, y, ids=ids, folds=np.arange(N) % 5, test=test) == []
    _, y, arrays = classes()
    assert hints_of(arrays, y, ids=ids, folds=np.arange(N) % 5) == []


def single(hints, words):
    assert len(hints) == 1, hints
    assert words in hints[0].problem
    return hints[0].file


@pytest.mark.parametrize("data", [make, classes])
def test_copies(data):
    _, y, arrays = data()
    arrays["e"] = arrays["b"].copy()
    assert single(hints_of(arrays, y), "is a copy of 'b'") == "member 'e'"


def test_nearly_the_same():
    rng, y, arrays = make()
    arrays["e"] = arrays["b"] + 1e-3 * rng.normal(size=N)
    assert single(hints_of(arrays, y), "above 0.9999 with 'b'") == "member 'e'"


def test_a_constant_member():
    _, y, arrays = make()
    arrays["c"] = np.full(N, y.mean())
    hints = hints_of(arrays, y)
    assert "predicts one value" in hints[0].problem
    assert {hint.file for hint in hints} == {"member 'c'"}


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_one_far_ahead(noise):
    rng, y, arrays = make()
    arrays["d"] = y + noise * rng.normal(size=N)
    hints = hints_of(arrays, y)
    assert {hint.file for hint in hints} == {"member 'd'"}
    problems = [hint.problem for hint in hints]
    assert any("is it held out?" in problem for problem in problems)
    assert any("equals the target" in p for p in problems) == (noise == 0.0)


@pytest.mark.parametrize("data", [make, classes])
@pytest.mark.parametrize("order", ["id", "fold", "reversed", "text"])
def test_rows_in_another_order(data, order):
    rng, y, arrays = data()
    ids, folds = rng.permutation(N), rng.integers(0, 5, N)
    rows = {
        "id": np.argsort(ids),
        "fold": np.argsort(folds, kind="stable"),
        "reversed": np.arange(N)[::-1],
        "text": np.argsort(ids.astype(str)),
    }[order]
    words = {
        "id": "rows sorted by id.",
        "fold": "rows fold after fold",
        "reversed": "rows reversed",
        "text": "sorted by id as text",
    }[order]
    arrays["b"] = arrays["b"][rows]
    hints = hints_of(arrays, y, ids=ids, folds=folds)
    assert any(words in hint.problem and hint.level == "warning" for hint in hints)
    assert {hint.file for hint in hints} == {"member 'b'"}
    rules = dict.fromkeys(arrays, "reordered by 'id'")
    again = hints_of(arrays, y, rules=rules, ids=ids, folds=folds)
    assert not any(words in hint.problem for hint in again)


@pytest.mark.parametrize("data", [make, classes])
def test_shuffled_rows(data):
    rng, y, arrays = data()
    arrays["b"] = rng.permutation(arrays["b"])
    hints = hints_of(arrays, y)
    assert any("no more to do with the target" in hint.problem for hint in hints)
    assert {hint.file for hint in hints} == {"member 'b'"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: 100 * p, "after 0.0"),
        (lambda p: 50 - p, "after -0."),
        (lambda p: np.log1p(p - p.min() + 0.1), None),
    ],
)
def test_another_scale(change, words):
    rng, _, _ = make()
    y = rng.normal(size=N) * 3 + 30.0
    arrays = {name: y + rng.normal(size=N) * 1.5 for name in "abc"}
    arrays["b"] = change(arrays["b"])
    hints = hints_of(arrays, y)
    assert {hint.file for hint in hints} == {"member 'b'"}
    assert any("on another scale" in hint.problem for hint in hints)
    if words:
        assert any(words in hint.problem for hint in hints)


def test_logarithms_of_the_target_are_named():
    rng, _, _ = make()
    y = np.exp(rng.normal(size=N) + 4)
    arrays = {name: y * np.exp(0.1 * rng.normal(size=N)) for name in "abc"}
    arrays["b"] = np.log1p(arrays["b"])
    assert any("exp(p)" in hint.problem for hint in hints_of(arrays, y))


def test_a_fold_never_predicted():
    _, y, arrays = make()
    folds = np.arange(N) % 5
    arrays["c"][folds == 3] = 0.0
    hints = hints_of(arrays, y, folds=folds)
    assert any("in all rows of fold 3" in hint.problem for hint in hints)
    assert {hint.file for hint in hints} == {"member 'c'"}


def test_drift_of_one_and_of_all():
    rng, y, arrays = make()
    test = {name: rng.choice(values, 500) for name, values in arrays.items()}
    alone = {**test, "d": test["d"] + 1.0}
    (hint,) = hints_of(arrays, y, test=alone)
    assert hint.file == "member 'd'"
    assert "this member's test file" in hint.advice
    shifted = {name: values + 1.0 for name, values in test.items()}
    hints = hints_of(arrays, y, test=shifted)
    assert len(hints) == 5
    assert all("may differ from training rows" in hint.advice for hint in hints)


def test_worse_than_a_constant():
    rng, y, arrays = classes()
    arrays["a"] = np.clip(rng.random(N), 1e-6, 1 - 1e-6)
    hints = hints_of(arrays, y)
    assert any("the class shares alone" in hint.problem for hint in hints)
    assert {hint.file for hint in hints} == {"member 'a'"}


def test_few_rows_and_one_member_raise_nothing():
    for n in (1, 2, 5):
        hints_of({"a": np.arange(n, dtype=float)}, np.arange(n) + 0.5)
    hints_of({"a": np.array([0.5, 0.25])}, np.array(["no", "yes"]))
