"""The guard: a member far outside what it has shown costs no more than its absence."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor

from ensemblekit import (
    AverageClassifier,
    AverageRegressor,
    ConvexRegressor,
    GuardedClassifier,
    GuardedRegressor,
    GuardWarning,
    LinearStackRegressor,
    StackedClassifier,
    StackedRegressor,
)


class Exploding(RegressorMixin, BaseEstimator):
    """A good model that answers a million times too much where X is flagged."""

    def fit(self, X, y):
        self.model_ = Ridge().fit(X[:, :-1], y)
        return self

    def predict(self, X):
        return self.model_.predict(X[:, :-1]) * np.where(X[:, -1] > 0, 1e6, 1.0)


def make_table(n_rows, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 6))
    y = X[:, 0] + X[:, 1] + 0.7 * X[:, 2] * X[:, 3] + 0.3 * rng.normal(size=n_rows)
    return np.column_stack([X, np.zeros(n_rows)]), y


@pytest.mark.parametrize("combiner", [ConvexRegressor(), LinearStackRegressor()])
@pytest.mark.parametrize("seed", range(3))
def test_an_explosion_costs_what_the_absence_of_the_member_costs(combiner, seed):
    X, y = make_table(600, seed)
    new, truth = make_table(2000, 100 + seed)
    members = [
        ("tree", DecisionTreeRegressor(max_depth=5, random_state=0)),
        ("near", KNeighborsRegressor(10)),
        ("deep", DecisionTreeRegressor(min_samples_leaf=5, random_state=0)),
    ]
    without = StackedRegressor(members, combiner).fit(X, y)
    allowed = 1.01 * np.mean((truth - without.predict(new)) ** 2)
    stacked = StackedRegressor([*members, ("loud", Exploding())], combiner).fit(X, y)
    assert stacked.weights_[3] != 0.0
    new[::100, -1] = 1.0  # one row in a hundred
    with pytest.warns(GuardWarning, match=r"'loud' \((19|20) of 2000 rows, such as"):
        guarded = np.mean((truth - stacked.predict(new)) ** 2)
    assert guarded <= allowed
    stacked.set_params(guard="warn")
    with pytest.warns(GuardWarning, match="left as they are"):
        assert np.mean((truth - stacked.predict(new)) ** 2) > 1e3 * allowed
    stacked.set_params(guard=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.mean((truth - stacked.predict(new)) ** 2) > 1e3 * allowed


def literal_guard(P, held_out):
    """Return P guarded, by loops over rows and members."""
    low, high = held_out.min(axis=0), held_out.max(axis=0)
    width = np.maximum(high - low, np.median(high - low))
    guarded = P.copy()
    for row in range(len(P)):
        out = [
            j
            for j in range(P.shape[1])
            if not low[j] - width[j] <= P[row, j] <= high[j] + width[j]
        ]
        inside = [j for j in range(P.shape[1]) if j not in out]
        for j in out:
            if inside:
                guarded[row, j] = np.median(P[row, inside])
            else:
                guarded[row, j] = min(max(P[row, j], low[j]), high[j])
    return guarded


@pytest.mark.parametrize("seed", range(10))
def test_equals_a_literal_loop(seed):
    rng = np.random.default_rng(seed)
    P, y = rng.normal(size=(50, 4)) * [1, 2, 3, 1e-3], rng.normal(size=50)
    new = rng.normal(size=(80, 4)) * 10 ** rng.uniform(-1, 3, size=(80, 4))
    new[0] = 1e9
    combiner = GuardedRegressor(AverageRegressor()).fit(P, y)
    with pytest.warns(GuardWarning, match="'x0'"):
        found = combiner.predict(new)
    assert_allclose(found, literal_guard(new, P).mean(axis=1), rtol=1e-12)
    assert_array_equal(combiner.predict(P), P.mean(axis=1))


def test_probabilities_still_sum_to_one():
    rng = np.random.default_rng(0)
    P = rng.dirichlet([40, 40, 40], size=(60, 4)).reshape(60, 12)
    y = np.arange(60) % 3
    new = P[:5].copy()
    new[2, 3:6] = [0.0, 0.0, 1.0]
    combiner = GuardedClassifier(AverageClassifier()).fit(P, y)
    with pytest.warns(GuardWarning, match="'x3' .1 of 5 rows"):
        found = combiner.predict_proba(new)
    assert_allclose(found.sum(axis=1), 1.0)
    others = new[2].reshape(4, 3)[[0, 2, 3]]
    middle = np.median(others, axis=0)
    expected = (others.sum(axis=0) + middle / middle.sum()) / 4
    assert_allclose(found[2], expected)
    assert_array_equal(found[:2], P[:2].reshape(2, 4, 3).mean(axis=1))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_class_given_to_no_held_out_row_is_not_out_of_range(n_classes):
    rng = np.random.default_rng(0)
    y = np.arange(60) % n_classes
    first = 1 if n_classes == 2 else 0  # column of a member in P
    unsure = rng.dirichlet(np.full(n_classes, 100.0), size=(2, 60))[:, :, first:]
    sure = np.eye(n_classes)[np.zeros(60, int)][:, first:]  # always of the first class
    P = np.hstack([sure, *unsure])
    combiner = GuardedClassifier(AverageClassifier()).fit(P, y)
    new = P[:n_classes].copy()
    new[:, : sure.shape[1]] = np.eye(n_classes)[:, first:]
    plain = AverageClassifier().fit(P, y)  # a warning would be an error
    assert_array_equal(combiner.predict_proba(new), plain.predict_proba(new))
    new[:, -sure.shape[1] :] = np.eye(n_classes)[:, first:]
    with pytest.warns(GuardWarning, match=rf"'x\d' \({n_classes} of {n_classes} rows"):
        combiner.predict_proba(new)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_sudden_certainty_of_a_rare_class_is_out_of_range(n_classes):
    rng = np.random.default_rng(0)
    y = (rng.random(300) < 0.05) * (n_classes - 1)
    y[: n_classes - 1] = np.arange(n_classes - 1)
    rare = rng.uniform(0.001, 0.1, size=(3, 300))
    members = [(1.0 - p) / (n_classes - 1) for p in rare]
    members = [
        np.column_stack([q] * (n_classes - 1) + [p])
        for q, p in zip(members, rare, strict=True)
    ]
    first = 1 if n_classes == 2 else 0
    P = np.hstack([member[:, first:] for member in members])
    combiner = GuardedClassifier(AverageClassifier()).fit(P, y)
    new = P[:1].copy()
    width = P.shape[1] // 3
    new[0, :width] = np.eye(n_classes)[-1, first:]
    with pytest.warns(GuardWarning, match=r"'x0' \(1 of 1 rows"):
        assert combiner.predict_proba(new)[0, -1] < 0.1


def test_a_class_member_alone_is_moved_within_its_range():
    P = np.linspace(0.38, 0.46, 20)[:, None]
    combiner = GuardedClassifier(AverageClassifier()).fit(P, np.arange(20) % 2)
    with pytest.warns(GuardWarning, match=r"held out 0.38 .. 0.46"):
        assert_allclose(combiner.predict_proba([[0.99]]), [[0.54, 0.46]])


def test_only_rows_and_members_with_weight_count():
    rng = np.random.default_rng(0)
    y = rng.normal(size=100)
    P = np.column_stack([y, y + rng.normal(size=100), np.full(100, 0.5)])
    P[0] = [1e3, 1e3, 1e3]
    weight = np.ones(100)
    weight[0] = 0.0
    combiner = GuardedRegressor(ConvexRegressor(ridge=0.0))
    combiner.fit(P, y, sample_weight=weight)
    assert_array_equal(combiner.weights_, [1.0, 0.0, 0.0])
    assert combiner.high_.max() < 10.0
    assert combiner.predict([[0.1, 1e9, -1e9]]).tolist() == [0.1]  # would warn
    with pytest.warns(GuardWarning, match="'x0'"):
        assert combiner.predict([[1e9, 0.0, 0.0]]).tolist() == [P[1:, 0].max()]


def test_decision_values_are_kept_to_their_own_range():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2))
    y = (X[:, 0] + 0.5 * rng.normal(size=150) > 0).astype(int)
    stacked = StackedClassifier(
        [("margin", LinearSVC()), ("bayes", GaussianNB())], LogisticRegression()
    ).fit(X, y)
    far = np.array([[1e5, 0.0]])
    with pytest.warns(GuardWarning, match=r"'margin' \(1 of 1 rows"):
        guarded = stacked.predict_proba(far)
    P = stacked.cross_fit_.transform(far)
    P[0, 0] = stacked.oof_predictions_[:, 0].max()
    assert_allclose(guarded, stacked.combiner_.predict_proba(P))


def test_integer_and_single_precision_predictions_are_left_alone():
    P = np.arange(20, dtype=np.float32).reshape(10, 2)
    combiner = GuardedRegressor(AverageRegressor()).fit(P, P[:, 0])
    new = np.array([[1e6, 3.0]], dtype=np.float32)
    with pytest.warns(GuardWarning, match="1e"):
        assert combiner.predict(new).tolist() == [3.0]
    assert new.tolist() == [[1e6, 3.0]]  # the caller's array is not written to


def test_decision_values_of_three_classes_are_no_probabilities():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2))
    y = np.digitize(X[:, 0] + 0.5 * rng.normal(size=150), [-0.5, 0.5])
    members = [("margin", LinearSVC()), ("bayes", GaussianNB())]
    stacked = StackedClassifier(members, LogisticRegression(max_iter=1000)).fit(X, y)
    far = np.array([[1e5, 0.0]])
    with pytest.warns(GuardWarning, match=r"'margin' \(1 of 1 rows"):
        guarded = stacked.predict_proba(far)
    P = stacked.cross_fit_.transform(far)
    shown = stacked.oof_predictions_[:, :3]
    P[0, :3] = np.clip(P[0, :3], shown.min(axis=0), shown.max(axis=0))
    assert_allclose(guarded, stacked.combiner_.predict_proba(P))


def test_constant_members_may_round():
    stacked = StackedRegressor([("constant", DummyRegressor())])
    stacked.fit(np.zeros((103, 1)), np.full(103, 0.1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_allclose(stacked.predict(np.zeros((2, 1))), 0.1)


def test_a_member_alone_is_moved_to_the_end_of_its_range():
    P = np.linspace(0.0, 1.0, 20)[:, None]
    combiner = GuardedRegressor(AverageRegressor()).fit(P, P[:, 0])
    with pytest.warns(GuardWarning, match="nearest end of the range"):
        assert combiner.predict([[50.0], [0.5]]).tolist() == [1.0, 0.5]


def test_weights_of_foreign_combiners_are_not_the_members():
    rng = np.random.default_rng(0)
    P = rng.normal(size=(50, 2))
    guarded = GuardedRegressor(Product()).fit(P, P[:, 0])
    assert not hasattr(guarded, "weights_")
    with pytest.warns(GuardWarning, match="'x0'"):
        guarded.predict([[1e9, 1.0]])


class Product(RegressorMixin, BaseEstimator):
    """A combiner of somebody else, whose weights_ are not the members'."""

    def fit(self, P, y):
        self.weights_ = np.array([0.0, 1.0])
        return self

    def predict(self, P):
        return P[:, 0] * P[:, 1]


def test_classes_from_dask():
    da = pytest.importorskip("dask.array")
    P = np.linspace(0.4, 0.6, 40).reshape(20, 2)
    lazy = GuardedClassifier(AverageClassifier()).fit(da.from_array(P), [0, 1] * 10)
    assert_array_equal(lazy.low_, P.min(axis=0))
