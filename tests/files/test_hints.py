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


def leaky(kind, n=2000, seed=0):
    """Six members, exchangeable; return y, arrays and a change that leaks."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=n)
    if kind == "regression":
        y = signal + rng.normal(size=n)
        arrays = {name: signal + 0.5 * rng.normal(size=n) for name in "abcdef"}
        return y, arrays, lambda p, share: y + share * (p - y)
    codes = (rng.random(n) < 1 / (1 + np.exp(-signal))).astype(int)
    noisy = {name: signal + 0.5 * rng.normal(size=n) for name in "abcdef"}
    arrays = {name: 1 / (1 + np.exp(-z)) for name, z in noisy.items()}
    y = np.array(["no", "yes"])[codes]
    return y, arrays, lambda p, share: codes + share * (p - codes)


def members_of(hints, words):
    return [hint.file[-2] for hint in hints if words in hint.problem]


@pytest.mark.parametrize("kind", ["regression", "classification"])
@pytest.mark.parametrize("share", [0.1, 0.3])
@pytest.mark.parametrize("which", ["a", "bd"])
def test_members_with_the_same_leak(kind, share, which):
    y, arrays, leak = leaky(kind)
    for name in which:
        arrays[name] = leak(arrays[name], share)
    hints = hints_of(arrays, y)
    assert members_of(hints, "is it held out?") == list(which)


def test_half_the_error_of_the_next():
    rng, y, _ = make()
    arrays = {name: y + rng.normal(size=N) for name in "abcde"}
    arrays["c"] = y + 0.5 * rng.normal(size=N)
    assert members_of(hints_of(arrays, y), "is it held out?") == ["c"]


@pytest.mark.parametrize("kind", ["regression", "classification"])
@pytest.mark.parametrize("which", ["a", "bd"])
def test_a_leak_in_one_fold(kind, which):
    y, arrays, leak = leaky(kind)
    folds = np.arange(len(y)) % 5
    for name in which:
        changed = leak(arrays[name], 0.2)
        arrays[name] = np.where(folds == 3, changed, arrays[name])
    hints = hints_of(arrays, y, folds=folds)
    assert members_of(hints, "trained on that fold?") == list(which)
    assert all(" in fold 3, where" in hint.problem for hint in hints)
    assert hints_of(arrays, y) == []  # nothing is far ahead on all rows


def test_a_better_member_and_an_easier_fold_are_no_leaks():
    rng, y, _ = make()
    folds = np.arange(N) % 5
    noise = np.where(folds == 2, 0.1, 1.0)
    arrays = {
        name: y + scale * noise * rng.normal(size=N)
        for name, scale in zip("abcde", [0.7, 0.9, 0.63, 0.5, 0.95], strict=True)
    }
    assert hints_of(arrays, y, folds=folds) == []


@pytest.mark.parametrize("signal", [0.4, 2.0])
def test_swapped_classes(signal):
    rng = np.random.default_rng(1)
    z = signal * rng.normal(size=2000)
    y = np.where(rng.random(2000) < 1 / (1 + np.exp(-z)), "yes", "no")
    arrays = {
        name: 1 / (1 + np.exp(-z - 0.1 * rng.normal(size=2000))) for name in "abc"
    }
    assert hints_of(arrays, y) == []
    arrays["b"] = 1 - arrays["b"]
    (hint,) = hints_of(arrays, y)
    assert hint.file == "member 'b'"
    assert hint.level == "warning"
    assert "has its classes swapped" in hint.problem
    assert "the probability of 'yes', not of 'no'" in hint.advice


@pytest.mark.parametrize("order", [[1, 0, 2, 3], [1, 2, 3, 0], [0, 1, 3, 2]])
def test_classes_in_another_order(order):
    rng = np.random.default_rng(2)
    labels = np.array(["ant", "bee", "cat", "dog"])
    codes = rng.integers(0, 4, 2000)

    def probabilities():
        z = rng.normal(size=(2000, 4)) + 1.5 * (codes[:, None] == np.arange(4))
        return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)

    arrays = {name: probabilities() for name in "abc"}
    assert hints_of(arrays, labels[codes]) == []
    arrays["c"] = arrays["c"][:, order]
    (hint,) = hints_of(arrays, labels[codes])
    assert hint.file == "member 'c'"
    assert f"with its columns taken as {labels[order].tolist()}" in hint.problem


@pytest.mark.parametrize("n_classes", [2, 10])
def test_noise_has_no_order_of_classes(n_classes):
    rng = np.random.default_rng(3)
    y = rng.integers(0, n_classes, 400).astype(str)
    arrays = {name: rng.dirichlet(np.ones(n_classes), 400) for name in "abcdefgh"}
    hints = hints_of(arrays, y)
    assert hints
    assert not [hint for hint in hints if "classes" in hint.problem.split(";")[0]]


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_exchangeable_members_are_rarely_told_apart(kind):
    """No hint in 100 draws of members that are alike, some few of them far off."""
    found = 0
    for seed in range(100):
        y, arrays, _ = leaky(kind, n=200, seed=seed)
        found += bool(hints_of(arrays, y, rules={}, folds=np.arange(200) % 5))
    assert found == 0


def test_noise_about_the_target_is_no_other_scale():
    rng, _, _ = make()
    y = rng.normal(size=N)
    arrays = {name: y + 1.3 * rng.normal(size=N) for name in "abc"}
    assert not members_of(hints_of(arrays, y), "on another scale")


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
    (hint,) = hints_of(arrays, y, test=shifted)
    assert hint.file == "all 5 members"
    assert "may differ from training rows" in hint.advice
    shifted["d"] = test["d"] + 9.0
    hints = hints_of(arrays, y, test=shifted)
    assert len(hints) == 5


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
