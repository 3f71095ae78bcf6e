"""Weights of any sign: near copies, offsets, prices without a least sum."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ensemblekit import ConvexRegressor
from ensemblekit.exceptions import ConvergenceWarning


def least_squares(P, y, sum_to_one, intercept):
    """The least mean square from the rows themselves."""
    A, r = (P[:, 1:] - P[:, :1], y - P[:, 0]) if sum_to_one else (P, y)
    if intercept:
        A = np.column_stack([A, np.ones(len(y))])
    return np.mean((r - A @ np.linalg.lstsq(A, r, rcond=None)[0]) ** 2)


SWITCHES = [
    {},
    {"fit_intercept": True},
    {"sum_to_one": False},
    {"sum_to_one": False, "fit_intercept": True},
]


@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize("noise", [1e-4, 1e-6, 1e-8])
def test_near_copies_are_told_apart_by_the_rows(
    regression_predictions, switches, noise
):
    P, y, _ = regression_predictions()
    errors = np.random.default_rng(0).normal(size=(2, len(y)))
    P, y = np.column_stack([P, P[:, 0] + noise * errors[0]]), y + 0.5 * errors[1]
    found = ConvexRegressor(nonnegative=False, ridge=0, **switches).fit(P, y)
    least = least_squares(
        P, y, switches.get("sum_to_one", True), "fit_intercept" in switches
    )
    assert_allclose(found.objective_, least, rtol=1e-7)
    assert found.duality_gap_ <= 1e-12 * least


def test_sums_alone_cannot_tell_near_copies_apart(regression_predictions):
    P, y, _ = regression_predictions()
    near = P[:, 0] + 1e-8 * np.random.default_rng(0).normal(size=len(y))
    combiner = ConvexRegressor(nonnegative=False, ridge=0)
    with pytest.warns(ConvergenceWarning):
        combiner.partial_fit(np.column_stack([P, near]), y)
    assert combiner.duality_gap_ == combiner.objective_


@pytest.mark.parametrize("switches", SWITCHES)
def test_of_copies_the_first_takes_all(regression_predictions, switches):
    P, y, _ = regression_predictions(n_members=1)
    alone = ConvexRegressor(nonnegative=False, ridge=0, **switches).fit(P, y)
    copies = ConvexRegressor(nonnegative=False, ridge=0, **switches)
    copies.fit(np.repeat(P, 5, axis=1), y)
    assert_allclose(copies.weights_, [alone.weights_[0], 0, 0, 0, 0])
    assert_allclose(copies.loss_, alone.loss_)


@pytest.mark.parametrize("n_members", [2, 5])
def test_common_offset(regression_predictions, n_members):
    P, y, _ = regression_predictions(n_members=n_members)
    found = ConvexRegressor(nonnegative=False, ridge=0).fit(P + 1e8, y)
    assert_allclose(found.loss_, least_squares(P + 1e8, y, True, False), rtol=1e-6)


def test_prices_without_a_least_sum(regression_predictions):
    P, y, _ = regression_predictions(n_members=3)
    P = np.column_stack([P, P[:, :2].mean(axis=1)])
    priced = ConvexRegressor(nonnegative=False, ridge=0, cost=[0.0, 0.1, 0.1, 0.2])
    with pytest.raises(ValueError, match="have no least sum"):
        priced.fit(P, y)
    assert priced.set_params(ridge=0.01).fit(P, y).duality_gap_ < 1e-12


@pytest.mark.parametrize("loss", ["huber", "absolute_error"])
def test_more_members_than_rows_fit_anything(loss):
    rng = np.random.default_rng(0)
    combiner = ConvexRegressor(loss=loss, nonnegative=False, ridge=0)
    with pytest.raises(ValueError, match="let 30 members fit any y on 20 rows"):
        combiner.fit(rng.normal(size=(20, 30)), rng.normal(size=20))


@pytest.mark.parametrize("nonnegative", [True, False])
def test_members_in_another_unit(regression_predictions, nonnegative):
    P, y, _ = regression_predictions()
    combiner = ConvexRegressor(sum_to_one=False, nonnegative=nonnegative, ridge=0)
    expected = combiner.fit(P, y).loss_
    assert_allclose(combiner.fit(0.1 * P, y).loss_, expected, rtol=1e-12)
    with pytest.raises(ValueError, match="bring P to the unit of y"):
        combiner.fit(1e-8 * P, y)
