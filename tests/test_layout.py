import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from ensemblekit import layout


def test_cube_and_back(class_predictions):
    P, _, _ = class_predictions(n_members=4, n_classes=3)
    cube = layout.to_cube(P, 3)
    assert cube.shape == (4, 180, 3)
    assert np.shares_memory(cube, P)
    assert_array_equal(cube[2], P[:, 6:9])
    assert_array_equal(layout.from_cube(cube), P)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_layout_is_that_of_scikit_learn_stacking(n_classes):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), np.arange(60) % n_classes
    members = [("a", LogisticRegression()), ("b", GaussianNB())]
    stacking = StackingClassifier(members, cv=3).fit(X, y)
    P = stacking.transform(X)
    n_outputs = layout.n_outputs_for(n_classes)
    for block, model in zip(
        layout.to_cube(P, n_outputs), stacking.estimators_, strict=True
    ):
        assert_array_equal(
            layout.class_probabilities(block)[:, 1:], model.predict_proba(X)[:, 1:]
        )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_true_class_equals_indexing(class_predictions, n_classes):
    P, y, _ = class_predictions(n_classes=n_classes)
    base, sign, offset = layout.true_class(P, y, n_classes)
    found = offset[:, None] + sign[:, None] * base
    cube = layout.to_cube(P, layout.n_outputs_for(n_classes))
    for member, block in enumerate(cube):
        full = layout.class_probabilities(block)
        assert_array_equal(found[:, member], full[np.arange(len(y)), y])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_true_class_passes_what_the_check_passes(class_predictions, n_classes, dtype):
    P, y, _ = class_predictions(n_members=3, n_classes=n_classes)
    P = P.astype(dtype)
    names = layout.column_names([f"x{j}" for j in range(P.shape[1])])
    base = layout.true_class(P, y, n_classes, unchecked=names)[0]
    assert_array_equal(base, layout.true_class(P, y, n_classes)[0])
    wrongs = [np.nan, np.inf, -np.inf, -1e-6, 1.0 + 1e-6]
    for value in wrongs + [P[17, 1] + 0.01] * (n_classes > 2):
        wrong = P.copy()
        wrong[17, 1] = value
        with pytest.raises(ValueError, match=r"^P has") as expected:
            layout.check_probabilities(wrong, n_classes, names)
        with pytest.raises(ValueError, match=r"^P has") as found:
            layout.true_class(wrong, y, n_classes, unchecked=names)
        assert str(found.value) == str(expected.value)


def test_true_class_of_two_classes_makes_no_copy(class_predictions):
    P, y, _ = class_predictions()
    assert np.shares_memory(layout.true_class(P, y, 2)[0], P)


def test_weighted_mean_reads_no_member_of_weight_zero():
    P = np.array([[1.0, np.nan, 3.0]])
    assert layout.weighted_mean(P, np.array([0.5, 0.0, 0.5]), 1).tolist() == [[2.0]]


def test_column_names():
    assert layout.column_names(["a", "b"]) == ["a", "b"]
    assert layout.column_names(["a"], ["x", "y"]) == ["a__x", "a__y"]


def test_wrong_number_of_columns():
    with pytest.raises(ValueError, match=r"7 columns.*not a multiple of the 3 classes"):
        layout.count_members(np.zeros((2, 7)), 3)


def test_finite_check_survives_overflowing_sums():
    layout.check_finite(np.full((3, 2), 1.7e308), ["a", "b"])
    with pytest.raises(ValueError, match=r"column 'b' \(1 row, first at row 2\)"):
        layout.check_finite(
            np.array([[1e308, 1], [1e308, 1], [1e308, np.inf]]), ["a", "b"]
        )


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (["x", "y"], TypeError, "'m' has predictions of type"),
        ([1.0, np.nan], ValueError, "'m' has NaN or infinite.*first at row 1"),
        ([1.0], ValueError, "'m' has predictions of shape.*expected 2 rows"),
        ([[1.0, 2.0, 3.0]] * 2, ValueError, "'m' has 3 prediction columns; expected 1"),
        ([[0.5, 0.5]] * 2, ValueError, "'m' has 2 prediction columns; expected 1"),
        ([[[1.0]]] * 2, ValueError, "'m' has predictions of shape"),
    ],
)
def test_member_block_refuses(values, error, message):
    with pytest.raises(error, match=message):
        layout.member_block(values, 1, 2, "m")


def test_member_block_refuses_pairs_that_are_no_probabilities():
    with pytest.raises(ValueError, match=r"sum to 1\.1, not 1"):
        layout.member_block([[0.5, 0.6]] * 2, 1, 2, "m", binary=True)


def test_member_block_keeps_the_second_of_two_probability_columns():
    block = layout.member_block([[0.9, 0.1], [0.2, 0.8]], 1, 2, "m", binary=True)
    assert block.tolist() == [[0.1], [0.8]]


def test_quantiles_may_be_level_but_not_cross():
    P = np.array([[1.0, 1.0, 5.0, 2.0], [1.0, 2.0, 3.0, 3.0]])
    layout.check_quantiles(P[:, :2], 2, ["a", "b"])
    layout.check_quantiles(P[1:], 2, list("abcd"))
    with pytest.raises(
        ValueError, match=r"2 columns from 'c' on \(1 row, first at row 0"
    ):
        layout.check_quantiles(P, 2, list("abcd"))
