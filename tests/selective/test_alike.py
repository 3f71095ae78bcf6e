"""Rows between known ones, and whether models answer them alike."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from ensemblekit.selective._alike import answer_alike, rows_between


def table(n=60, d=4):
    return np.random.default_rng(0).normal(size=(n, d))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8])
def test_numbers_lie_between_those_of_their_column(dtype):
    X = (100 + 20 * table()).astype(dtype)
    new = rows_between(X)
    assert (new.shape, new.dtype) == (X.shape, dtype)
    assert (new >= X.min(axis=0)).all()
    assert (new <= X.max(axis=0)).all()
    if np.dtype(dtype).kind == "f":
        assert np.isin(new, X).mean() < 0.1  # some rows meet themselves
    assert_array_equal(new, rows_between(X))
    assert (new != rows_between(X, 1)).any()


def test_columns_are_mixed_apart():
    ramp = np.arange(200.0)
    new = rows_between(np.column_stack([ramp, ramp]))
    assert (new[:, 0] != new[:, 1]).all()
    labels = np.array([[f"{i}", f"{i}"] for i in range(200)], dtype=object)
    new = rows_between(labels)
    for column in range(2):
        assert_array_equal(np.sort(new[:, column]), np.sort(labels[:, column]))
    assert (new[:, 0] != new[:, 1]).any()


def test_one_row_and_equal_values_stay():
    for X in (table(1), np.full((5, 2), 0.25)):
        np.testing.assert_allclose(rows_between(X), X, rtol=1e-15)
    assert np.isnan(rows_between(np.full((3, 1), np.nan))).all()


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames_keep_their_columns(frame):
    names = ["a", "b", "a", "c"] * 15
    X = frame({"x": table()[:, 0], "n": np.arange(60), "name": names})
    new = rows_between(X)
    assert isinstance(new, frame)
    assert list(new.columns) == ["x", "n", "name"]
    assert list(new.dtypes) == list(X.dtypes)
    assert sorted(new["name"]) == sorted(names)
    assert list(new["name"]) != names
    assert np.isin(new["x"], X["x"]).mean() < 0.1


def test_categories_of_pandas_stay():
    X = pd.DataFrame({"kind": pd.Categorical(["u", "v", "w"] * 20, ["w", "v", "u"])})
    new = rows_between(X.set_index(np.arange(60) + 100))
    assert new["kind"].dtype == X["kind"].dtype
    assert_array_equal(new["kind"].value_counts(), [20, 20, 20])


def test_sparse_rows_stay_sparse():
    X = sparse.random(50, 30, 0.1, format="coo", random_state=0)
    for known in (X, X.tocsc(), sparse.csr_array(X)):
        new = rows_between(known)
        assert new.format == "csr"
        assert new.shape == (50, 30)
        assert new.nnz <= 2 * X.nnz
        assert (new.max(axis=0).toarray() <= 2 * X.max(axis=0).toarray()).all()
        assert (abs(new - X.tocsr()) > 0).nnz > 0
    counts = (10 * X).ceil().astype(np.int32)
    assert rows_between(counts).dtype == np.int32


def test_rows_without_columns_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2,\); expected columns"):
        rows_between(["one text", "another"])


def fitted(make, n_models=3, n=300):
    X, y = make_classification(n, flip_y=0.1, random_state=0)
    return X, [make(seed).fit(X, y) for seed in range(n_models)]


def test_models_are_alike_that_answer_alike():
    X, trees = fitted(lambda seed: ExtraTreeClassifier(random_state=seed))
    known = [tree.predict_proba(X) for tree in trees]
    assert_array_equal(known[0], known[1])  # learned by heart
    assert not answer_alike(trees, X)
    assert not answer_alike([trees[0], trees[0], trees[1]], X)
    assert answer_alike([trees[0]] * 3, X)
    X, lines = fitted(lambda seed: LogisticRegression(random_state=seed))
    assert answer_alike(lines, X)


def test_trees_that_break_ties_by_their_seed_are_not_alike():
    X, trees = fitted(lambda seed: DecisionTreeClassifier(random_state=seed), n=2000)
    assert not answer_alike(trees, X)


def test_the_first_that_differs_ends_it():
    asked = []

    class Asked(LogisticRegression):
        def predict(self, X):
            asked.append((self.C, len(X)))
            return super().predict(X)

    X, lines = fitted(lambda seed: Asked(C=10.0**-seed), n_models=4, n=3000)
    assert not answer_alike(lines, X)
    assert asked == [(1.0, 1000), (0.1, 1000)]
