"""Hard data: the answer is right, proven to be, and found without a warning."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import ConvexClassifier, ConvexRegressor
from tests import oracles

EPS = np.finfo(float).eps
RIDGES = [0, "auto"]


def correlated(n=500, m=20, seed=0):
    """Members of eight families, each with noise of its own."""
    rng = np.random.default_rng(seed)
    f, families = rng.normal(size=n), rng.normal(size=(n, 8))
    y = f + 0.5 * rng.normal(size=n)
    P = f[:, None] * rng.uniform(0.8, 1.02, m)
    P += rng.uniform(0.15, 0.5, m) * families[:, rng.integers(8, size=m)]
    P += rng.uniform(0.02, 0.4, m) * rng.normal(size=(n, m))
    return P, y


def assert_proven(found, gap=1e-12, floor=0.0):
    """Weights of a simplex, and a gap below that share of the objective."""
    assert (found.weights_ >= 0.0).all()
    assert abs(math.fsum(found.weights_) - 1.0) <= 1e-15
    assert 0.0 <= found.duality_gap_ <= gap * found.objective_ + floor


def rounding(P, y, found):
    """What no certificate can beat: the rounding of the steepest slope."""
    largest = np.mean((P - y[:, None]) ** 2, axis=0).max()
    return 8.0 * EPS * np.sqrt(largest * found.loss_)


@pytest.mark.parametrize("ridge", RIDGES)
@pytest.mark.parametrize(
    ("n", "m"), [(500, 20), (20, 1), (2, 3), (50, 200), (50, 2000), (5000, 50)]
)
def test_plain_and_more_members_than_rows(ridge, n, m):
    P, y = correlated(n, m)
    found = ConvexRegressor(ridge=ridge).fit(P, y)
    assert_proven(found)
    if ridge == 0 and m > 1:
        assert (found.weights_ == 0.0).any()
        assert np.count_nonzero(found.weights_) <= n


@pytest.mark.parametrize("ridge", RIDGES)
def test_of_exact_duplicates_the_first_takes_all(ridge):
    P, y = correlated()
    plain = ConvexRegressor(ridge=ridge).fit(P, y)
    order = np.random.default_rng(1).permutation(np.repeat(np.arange(20), 3))
    found = ConvexRegressor(ridge=ridge).fit(P[:, order], y)
    assert_proven(found)
    firsts = np.array([np.flatnonzero(order == j)[0] for j in range(20)])
    assert_allclose(found.weights_[firsts], plain.weights_, atol=1e-9)
    assert_array_equal(np.delete(found.weights_, firsts), 0.0)
    assert_allclose(found.objective_, plain.objective_, rtol=1e-12)


@pytest.mark.parametrize("ridge", RIDGES)
@pytest.mark.parametrize("noise", [1e-4, 1e-8, 1e-12, 1e-15])
def test_near_duplicates(ridge, noise):
    P, y = correlated()
    rng = np.random.default_rng(1)
    near = np.hstack([P, P + noise * rng.normal(size=P.shape)])
    assert_proven(ConvexRegressor(ridge=ridge).fit(near, y))


@pytest.mark.parametrize("ridge", RIDGES)
def test_common_offset(ridge):
    P, y = correlated()
    plain = ConvexRegressor(ridge=ridge).fit(P, y)
    shifted = ConvexRegressor(ridge=ridge).fit(P + 1e8, y + 1e8)
    assert_proven(shifted)
    assert_allclose(shifted.weights_, plain.weights_, atol=1e-6)
    assert_allclose(shifted.objective_, plain.objective_, rtol=1e-7)


@pytest.mark.parametrize("ridge", RIDGES)
@pytest.mark.parametrize("scale", [1e-150, 1e-100, 1e-8, 1e8, 1e140])
def test_common_scale(ridge, scale):
    P, y = correlated()
    P, y = 4.0 * P, 4.0 * y  # at 1e-150 residuals are just large enough
    plain = ConvexRegressor(ridge=ridge).fit(P, y)
    scaled = ConvexRegressor(ridge=ridge).fit(P * scale, y * scale)
    assert_proven(scaled)
    assert_allclose(scaled.weights_, plain.weights_, atol=1e-12)
    assert_allclose(scaled.objective_ / scale / scale, plain.objective_, rtol=1e-12)


@pytest.mark.parametrize("ridge", RIDGES)
@pytest.mark.parametrize("scales", [{3: 1e6}, {0: 1e6}, {3: 1e6, 8: 1e8}])
def test_members_in_other_units(ridge, scales):
    P, y = correlated(5000)
    sane = np.delete(P, list(scales), axis=1)
    for member, scale in scales.items():
        P[:, member] *= scale
    found = ConvexRegressor(ridge=ridge).fit(P, y)
    assert_proven(found, floor=rounding(P, y, found))
    # The objective itself is right to many more digits than the slope shows.
    without = ConvexRegressor(ridge=0).fit(sane, y)
    assert found.loss_ <= without.loss_ * (1 + 1e-3 * (ridge == "auto") + 1e-12)


@pytest.mark.parametrize("ridge", RIDGES)
def test_zero_and_constant_columns(ridge):
    P, y = correlated()
    P[:, [2, 9]] = 0.0
    P[:, 4] = 3.0
    P[:, 5] = -1e3
    found = ConvexRegressor(ridge=ridge).fit(P, y)
    assert_proven(found)
    assert found.weights_[9] == 0.0  # a copy of member 2
    assert np.isfinite(found.predict(P)).all()


@pytest.mark.parametrize("ridge", RIDGES)
def test_all_but_ten_weights_zero(ridge):
    P, y = correlated()
    weight = np.zeros(len(y))
    weight[::50] = np.arange(1.0, 11.0)
    found = ConvexRegressor(ridge=ridge).fit(P, y, weight)
    assert_proven(found)
    rows = weight > 0
    same = ConvexRegressor(ridge=ridge).fit(P[rows], y[rows], weight[rows])
    assert_allclose(found.weights_, same.weights_, atol=1e-12)


@pytest.mark.parametrize("ridge", RIDGES)
@pytest.mark.parametrize("intercept", [False, True])
def test_perfect_member(ridge, intercept):
    P, y = correlated()
    P[:, 7] = y
    found = ConvexRegressor(ridge=ridge, fit_intercept=intercept).fit(P, y)
    assert_array_equal(found.weights_, np.arange(20) == 7)
    assert found.objective_ == found.duality_gap_ == 0.0


@pytest.mark.parametrize("shares", [{1: 0.25, 4: 0.75}, {0: 0.2, 5: 0.3, 9: 0.5}])
@pytest.mark.parametrize("seed", range(5))
def test_perfect_mixture(shares, seed):
    P, _ = correlated(seed=seed)
    expected = np.zeros(20)
    expected[list(shares)] = list(shares.values())
    y = P @ expected
    found = ConvexRegressor(ridge=0).fit(P, y)
    unit = np.mean((P - y[:, None]) ** 2, axis=0).min()
    assert_proven(found, floor=64.0 * EPS * unit)
    assert found.objective_ <= 1e-17 * unit
    assert_allclose(found.weights_, expected, atol=1e-7)
    assert_proven(ConvexRegressor().fit(P, y), floor=64.0 * EPS * unit)


@pytest.mark.parametrize("seed", range(40))
def test_small_problems_of_small_integers(seed):
    """Many ties, copies and perfect fits."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 30), rng.integers(1, 40)
    P, y = rng.integers(0, 3, (n, m)).astype(float), rng.integers(0, 3, n) * 1.0
    found = ConvexRegressor(ridge=0).fit(P, y)
    assert_proven(found, floor=64.0 * EPS)
    weight = rng.dirichlet(np.ones(m), 200)
    losses = ((weight @ P.T - y) ** 2).mean(axis=1)
    assert found.objective_ - found.duality_gap_ <= losses.min() + 1e-12


# What is no number is refused.
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("loss", ["squared_error", "huber", "absolute_error"])
@pytest.mark.parametrize("row_weight", [None, 1.0, 0.0])
@pytest.mark.parametrize("intercept", [False, True])
def test_no_number_in_P(value, loss, row_weight, intercept):
    P, y = correlated(60, 4)
    P[33, 2] = value
    weight = None if row_weight is None else np.ones(60)
    if weight is not None:
        weight[33] = row_weight
    combiner = ConvexRegressor(loss=loss, fit_intercept=intercept)
    match = r"P has NaN or infinity in column 'x2' \(1 row, first at row 33\)"
    with pytest.raises(ValueError, match=match):
        combiner.fit(P, y, weight)
    assert not hasattr(combiner, "weights_")
    fitted = ConvexRegressor().fit(P[:30], y[:30])
    for use in (fitted.leave_one_out, fitted.explain, fitted.regularization_path):
        with pytest.raises(ValueError, match=match):
            use(P, y, weight)
    with pytest.raises(ValueError, match=match):
        fitted.predict(P)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_number_in_y(value):
    P, y = correlated(60, 4)
    y[33] = value
    weight = np.ones(60)
    weight[33] = 0.0
    for given in (None, weight):
        with pytest.raises(ValueError, match="y is NaN or infinity at row 33"):
            ConvexRegressor().fit(P, y, given)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_unfit_weights(value, method):
    P, y = correlated(60, 4)
    weight = np.ones(60)
    weight[33] = value
    match = "Negative values" if value < 0 else "contains (NaN|infinity)"
    with pytest.raises(ValueError, match=match):
        getattr(ConvexRegressor(), method)(P, y, sample_weight=weight)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_weights_that_are_all_zero(loss):
    P, y = correlated(60, 4)
    with pytest.raises(ValueError, match="zero"):
        ConvexRegressor(loss=loss).fit(P, y, np.zeros(60))


# Probabilities.
LOSSES = ["log_loss", "brier"]


def hard_probabilities(kind, P, y):
    """P, y and weights of a case."""
    weight, rng = None, np.random.default_rng(1)
    if kind == "duplicates":
        P = np.hstack([P, P])
    if kind == "near duplicates":
        P = np.hstack([P, np.clip(P + 1e-8 * rng.normal(size=P.shape), 0, 1)])
    if kind == "more members than rows":
        P, y = np.tile(P[:12], 20) ** rng.uniform(0.5, 2.0, 120), y[:12]
    if kind == "few weights":
        weight = np.zeros(len(y))
        weight[:10] = 1.0
    if kind == "zero and constant":
        P[:, 0], P[:, 1] = 0.0, 0.5
    if kind == "hard labels":
        P[:, :3] = P[:, :3] > 0.5
    if kind == "tiny":
        P[:, 2] *= 1e-30
    if kind == "rows that one member alone thinks possible":
        P[:5] = np.where(np.arange(6) == 3, 1e-12, 0.0)
        y[:5] = 1
    return P, y, weight


@pytest.mark.parametrize("ridge", RIDGES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "kind",
    [
        "plain",
        "duplicates",
        "near duplicates",
        "more members than rows",
        "few weights",
        "zero and constant",
        "hard labels",
        "tiny",
        "rows that one member alone thinks possible",
    ],
)
def test_hard_probabilities(class_predictions, ridge, loss, kind):
    P, y, _ = class_predictions()
    P, y, weight = hard_probabilities(kind, P, y)
    found = ConvexClassifier(loss=loss, ridge=ridge).fit(P, y, weight)
    floor = 1e-12 if loss == "log_loss" else 64.0 * EPS
    assert_proven(found, floor=floor)
    s = np.ones(len(y)) if weight is None else weight
    if loss == "brier":
        loss_ = np.average((P @ found.weights_ - y) ** 2, weights=s)
    else:
        A = oracles.true_class_cube(P, y, 2)
        loss_ = oracles.log_loss_pool(A, s, found.weights_)
    assert_allclose(found.loss_, loss_, rtol=1e-12)
    if kind == "duplicates":
        assert_array_equal(found.weights_[6:], 0.0)


@pytest.mark.parametrize("ridge", RIDGES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_perfect_probabilities(class_predictions, ridge, loss, n_classes):
    P, y, _ = class_predictions(n_classes=n_classes)
    block = np.eye(n_classes)[y] if n_classes > 2 else y[:, None]
    P = np.hstack([P, block])
    found = ConvexClassifier(loss=loss, ridge=ridge).fit(P, y)
    if ridge == 0 or loss == "brier":
        assert_allclose(found.weights_, np.arange(7) == 6, atol=1e-12)
        assert found.objective_ <= 1e-12
    assert_proven(found, floor=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("row_weight", [None, 1.0, 0.0])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_number_in_probabilities(class_predictions, loss, row_weight, value):
    P, y, _ = class_predictions(n_classes=3)
    P[33, 4] = value
    weight = None if row_weight is None else np.ones(len(y))
    if weight is not None:
        weight[33] = row_weight
    with pytest.raises(ValueError, match=r"column 'x4' \(1 row, first at row 33\)"):
        ConvexClassifier(loss=loss).fit(P, y, weight)


@pytest.mark.parametrize("loss", LOSSES)
def test_unfit_weights_of_a_classifier(class_predictions, loss):
    P, y, _ = class_predictions()
    with pytest.raises(ValueError, match="zero"):
        ConvexClassifier(loss=loss).fit(P, y, np.zeros(len(y)))
    with pytest.raises(ValueError, match="Negative"):
        ConvexClassifier(loss=loss).fit(P, y, -np.ones(len(y)))
