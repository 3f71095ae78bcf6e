"""Columns of class probabilities are told by their names, or refused."""

import numpy as np
import pandas as pd
import pytest

from ensemblekit import FileError
from ensemblekit.files import find_problems, read_bank

N, N_TEST = 60, 24
RNG = np.random.default_rng(3)
SHARES = RNG.dirichlet(np.ones(3), N)
TEST_SHARES = RNG.dirichlet(np.ones(3), N_TEST)


def pairs(shares, k):
    """Shares of two classes out of those of three."""
    return np.stack([1 - shares[:, 0], shares[:, 0]], axis=1) if k == 2 else shares


def write(folder, labels, oof, test=None, oof_order=None, test_order=None):
    """Write a target of the labels and one member with columns of these names.

    oof_order, test_order : class of each column
    """
    k = len(labels)
    (folder / "oof").mkdir()
    (folder / "preds").mkdir()
    frame = pd.DataFrame({"id": range(N), "target": [labels[i % k] for i in range(N)]})
    frame.to_csv(folder / "train.csv", index=False)
    places = {"oof": (SHARES, oof, oof_order), "preds": (TEST_SHARES, test, test_order)}
    for place, (shares, names, order) in places.items():
        values = pairs(shares, k)[:, list(range(k)) if order is None else order]
        table = pd.DataFrame(values, columns=names or oof)
        first = 1000 if place == "preds" else 0
        table.insert(0, "id", np.arange(first, first + len(shares)))
        table.to_csv(folder / place / "m.csv", index=False)
    return folder / "oof", f"{folder / 'train.csv'}:target", folder / "preds"


def read(folder, *arguments, **options):
    oof, target, test = write(folder, *arguments, **options)
    return read_bank(oof, target, test=test)


def check(bank, k):
    at = 1 if k == 2 else 0
    np.testing.assert_allclose(bank.library.P, pairs(SHARES, k)[:, at:])
    np.testing.assert_allclose(bank.library.P_test, pairs(TEST_SHARES, k)[:, at:])
    assert bank.library.names == ["m"]


ZOO = ["cat", "dog", "eel"]
# labels, names in the order of the labels
MATCHED = {
    "digits": ([0, 1], ["p0", "p1"]),
    "digits-of-three": ([0, 1, 2], ["p0", "p1", "p2"]),
    "digits-then-more": ([0, 1, 2], ["prob0_v2", "prob1_v2", "prob2_v2"]),
    "case": (["no", "yes"], ["No", "Yes"]),
    "upper": (ZOO, ["CAT", "DOG", "EEL"]),
    "camel": (ZOO, ["probCat", "probDog", "probEel"]),
    "camel-first": (ZOO, ["CatProb", "DogProb", "EelProb"]),
    "camel-of-two": (["no", "yes"], ["pNo", "pYes"]),
    "no-separator": (ZOO, ["pcat", "pdog", "peel"]),
    "bools": ([False, True], ["proba_False", "proba_True"]),
    "plain-bools": ([False, True], ["False", "True"]),
    "bools-as-digits": (["False", "True"], ["p0", "p1"]),
    "digits-as-bools": ([0, 1], ["false", "true"]),
    "signs": ([-1, 1], ["p-1", "p1"]),
    "letters": (["e", "p"], ["p_e", "p_p"]),
    "upper-letters": (["e", "p"], ["prob_E", "prob_P"]),
    "one-case-each": (["A", "a"], ["p_A", "p_a"]),
    "one-within-another": (["cat", "bobcat"], ["p_cat", "p_bobcat"]),
}  # fmt: skip


@pytest.mark.parametrize("swapped", ["oof", "test", "both", "none"])
@pytest.mark.parametrize("case", MATCHED)
def test_columns_are_matched_to_labels(case, swapped, tmp_path):
    labels, names = MATCHED[case]
    order = np.argsort([str(label) for label in labels])
    if isinstance(labels[0], int):
        order = np.argsort(labels)
    names = [names[i] for i in order]  # by sorted label
    labels = [labels[i] for i in order]
    last = np.arange(len(labels))[::-1]
    turned = [names[i] for i in last]
    own = swapped in ("oof", "both")
    other = swapped in ("test", "both")
    bank = read(
        tmp_path, labels, turned if own else names, turned if other else names,
        oof_order=last if own else None, test_order=last if other else None,
    )  # fmt: skip
    check(bank, len(labels))


def test_two_digits_are_no_one_digit(tmp_path):
    names = [f"p{i}" for i in range(11)]
    (tmp_path / "oof").mkdir()
    shares = RNG.dirichlet(np.ones(11), 110)
    frame = pd.DataFrame({"id": range(110), "target": [i % 11 for i in range(110)]})
    frame.to_csv(tmp_path / "train.csv", index=False)
    order = RNG.permutation(11)
    table = pd.DataFrame(shares[:, order], columns=[names[i] for i in order])
    table.to_csv(tmp_path / "oof" / "m.csv", index=False)
    bank = read_bank(tmp_path / "oof", f"{tmp_path / 'train.csv'}:target")
    np.testing.assert_allclose(bank.library.P, shares)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (ZOO, ["cat", "dog", "fish"]),
        (ZOO, ["p_cat", "p_dog", "p_fish"]),
        (ZOO, ["probCat", "probDog", "probFish"]),
        ([0, 1, 2], ["p1", "p2", "p3"]),
        ([0, 1, 2], ["p_1", "p_2", "p_3"]),
        ([0, 1], ["p1", "p2"]),
        ([0, 1], ["p_1", "p_2"]),
        (["no", "yes"], ["p_yes", "p_other"]),
        (["no", "yes"], ["probYes", "rest"]),
        (["no", "yes"], ["p_no", "proba_yes"]),
    ],
)  # fmt: skip
def test_names_of_some_classes_are_refused(labels, names, tmp_path):
    with pytest.raises(FileError, match=r"m\.csv: .*columns") as caught:
        read(tmp_path, labels, names)
    assert names[0] in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "names"), [(ZOO, ["u", "v", "w"]), (["no", "yes"], ["u", "v"])]
)
def test_unnamed_classes_in_another_order_are_refused(labels, names, tmp_path):
    (tmp_path / "a").mkdir()
    check(read(tmp_path / "a", labels, names), len(labels))
    (tmp_path / "b").mkdir()
    with pytest.raises(FileError, match=r"preds/m\.csv: .*\['.*oof/m\.csv"):
        read(tmp_path / "b", labels, names, names[::-1])
    (tmp_path / "c").mkdir()
    oof, target, test = write(
        tmp_path / "c", labels, [f"oof_{name}" for name in names],
        [f"test_{name}" for name in names[::-1]],
    )  # fmt: skip
    findings = find_problems(oof, target, test=test)
    assert any("in another order" in f.problem for f in findings)


def two_members(folder, labels, names, values):
    (folder / "oof").mkdir()
    frame = pd.DataFrame({"id": range(N), "target": [labels[i % 2] for i in range(N)]})
    frame.to_csv(folder / "train.csv", index=False)
    table = pd.DataFrame(values, columns=names).assign(id=range(N))
    table.to_csv(folder / "oof" / "all_oof.csv", index=False)
    return read_bank(folder / "oof", f"{folder / 'train.csv'}:target")


@pytest.mark.parametrize(
    "names",
    [["m1", "m2"], ["m0", "m1"], ["seed0", "seed1"], ["lgbm_1", "lgbm_2"],
     ["lgbm_0", "lgbm_1"], ["xgb_v2", "lgbm_v1"], ["fold1", "rf"]],
)  # fmt: skip
def test_numbers_of_members_are_no_classes(names, tmp_path):
    values = RNG.random((N, 2))
    bank = two_members(tmp_path, [0, 1], names, values)
    np.testing.assert_allclose(bank.library.P, values)
    assert len(bank.library.names) == 2


def test_one_column_each_of_the_second_class_are_members(tmp_path):
    values = RNG.random((N, 2))
    bank = two_members(tmp_path, ["no", "yes"], ["lgbm_yes", "xgbYes"], values)
    np.testing.assert_allclose(bank.library.P, values)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["p_no", "p_yes"], "which do not sum to 1"),
        (["lgbmNo", "xgbNo"], "are of classes"),
        (["p_no", "p_yes", "p_maybe"], "are of classes"),
    ],
)
def test_classes_that_do_not_sum_to_one_are_no_members(names, message, tmp_path):
    with pytest.raises(FileError, match=rf"all_oof\.csv: .*columns.*{message}"):
        two_members(tmp_path, ["no", "yes"], names, RNG.random((N, len(names))))


@pytest.mark.parametrize("labels", [[0, 1], [False, True]])
def test_other_columns_beside_two_classes_are_refused(labels, tmp_path):
    p = RNG.random(N)
    values = np.stack([1 - p, p, RNG.random(N)], 1)
    with pytest.raises(FileError, match=r"\['other'\] beside them"):
        two_members(tmp_path, labels, ["p0", "p1", "other"], values)


@pytest.mark.parametrize(
    ("labels", "name"),
    [(["no", "yes"], "probNo"), (["no", "yes"], "NO"), ([0, 1], "proba_False")],
)
def test_one_column_of_the_first_class_is_refused(labels, name, tmp_path):
    (tmp_path / "oof").mkdir()
    frame = pd.DataFrame({"id": range(N), "target": [labels[i % 2] for i in range(N)]})
    frame.to_csv(tmp_path / "train.csv", index=False)
    table = pd.DataFrame({"id": range(N), name: RNG.random(N)})
    table.to_csv(tmp_path / "oof" / "m.csv", index=False)
    with pytest.raises(FileError, match="is named after the class"):
        read_bank(tmp_path / "oof", f"{tmp_path / 'train.csv'}:target")


def test_numbered_columns_of_arrays_are_in_the_order_of_the_classes(tmp_path):
    (tmp_path / "oof").mkdir()
    frame = pd.DataFrame({"id": range(N), "target": [1 + i % 3 for i in range(N)]})
    frame.to_csv(tmp_path / "train.csv", index=False)
    np.savez(tmp_path / "oof" / "a.npz", id=np.arange(N), oof=SHARES)
    np.savetxt(tmp_path / "oof" / "b.csv", SHARES, delimiter=",")
    bank = read_bank(tmp_path / "oof", f"{tmp_path / 'train.csv'}:target")
    np.testing.assert_allclose(bank.library.P, np.hstack([SHARES, SHARES]))


@pytest.mark.parametrize("extra", ["entropy", "f1"])
def test_other_columns_beside_all_classes_are_left_out(extra, tmp_path):
    oof, target, test = write(tmp_path, [0, 1, 2], ["p2", "p0", "p1"], None, [2, 0, 1],
                              [2, 0, 1])  # fmt: skip
    table = pd.read_csv(oof / "m.csv")
    table.insert(1, extra, 7.5)
    table.to_csv(oof / "m.csv", index=False)
    bank = read_bank(oof, target, test=test)
    check(bank, 3)
    assert any("others not" in note for note in bank.notes)


def test_members_by_class_where_names_have_two_readings(tmp_path):
    """m0_0 is class 0 of m0, or class 0 of what ends in 0: the sums tell."""
    (tmp_path / "oof").mkdir()
    frame = pd.DataFrame({"id": range(N), "target": [i % 2 for i in range(N)]})
    frame.to_csv(tmp_path / "train.csv", index=False)
    p, q = RNG.random((2, N))
    for form in ("m0_0 m0_1 m1_0 m1_1", "p0_m0 p1_m0 p0_m1 p1_m1"):
        values = np.stack([1 - p, p, 1 - q, q], 1)
        table = pd.DataFrame(values, columns=form.split())
        table.to_csv(tmp_path / "oof" / "oof.csv", index=False)
        bank = read_bank(tmp_path / "oof", f"{tmp_path / 'train.csv'}:target")
        np.testing.assert_allclose(bank.library.P, np.stack([p, q], 1))


def test_a_truth_column_is_still_found_beside_bools(tmp_path):
    (tmp_path / "oof").mkdir()
    y = np.arange(N) % 2 == 1
    p = RNG.random(N)
    pd.DataFrame({"y": y}).to_csv(tmp_path / "train.csv", index=False)
    table = pd.DataFrame({"False": 1 - p, "True": p, "y_true": y})
    table.to_csv(tmp_path / "oof" / "a.csv", index=False)
    table = pd.DataFrame({"oof": p, "true": y.astype(int)})
    table.to_csv(tmp_path / "oof" / "b.csv", index=False)
    table = pd.DataFrame({"0": 1 - p, "1": p, "true": y.astype(int)})
    table.to_csv(tmp_path / "oof" / "c.csv", index=False)
    bank = read_bank(tmp_path / "oof", f"{tmp_path / 'train.csv'}:y")
    np.testing.assert_allclose(bank.library.P, np.stack([p, p, p], 1))
    assert "proved by 'y_true'" in bank.rules["a"]
    assert "proved by 'true'" in bank.rules["b"]
    assert "proved by 'true'" in bank.rules["c"]


@pytest.mark.parametrize("word", ["None", "NA"])
def test_labels_that_are_read_as_missing_are_explained(word, tmp_path):
    labels = [word, "Some"]
    with pytest.raises(FileError, match=r"'target' is missing.*NA, None.*rename"):
        read(tmp_path, labels, ["p_None", "p_Some"])
