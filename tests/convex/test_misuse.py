"""Parameters that do not fit are refused in a sentence, and never half obeyed."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import ConvexClassifier, ConvexRegressor


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_weight": ["a"] * 3}, "max_weight is .*; expected numbers"),
        ({"cost": ["a"] * 3}, "cost is .*; expected numbers"),
        ({"cost": [0.0, np.nan, 0.0]}, "cost of member 'x1' is nan"),
        (
            {"groups": [None, "a", "a"], "max_group_weight": 0.5},
            "groups holds .* do not sort",
        ),
        (
            {"groups": ["a", "a", "b"], "max_group_weight": {"a": None}},
            "max_group_weight of the group 'a' is None",
        ),
    ],
)
def test_wrong_parameters(regression_predictions, parameters, message):
    P, y, _ = regression_predictions(n_members=3)
    with pytest.raises(ValueError, match=message):
        ConvexRegressor(**parameters).fit(P, y)


@pytest.mark.parametrize("returned", [None, lambda w: w[0] <= 0.1])
def test_constraints_that_are_no_list(regression_predictions, returned):
    pytest.importorskip("cvxpy")
    P, y, _ = regression_predictions(n_members=3)
    combiner = ConvexRegressor(constraints=returned and (lambda w: returned(w)))
    if returned is None:
        combiner.set_params(constraints=lambda w: None)
    with pytest.raises(ValueError, match="expected a list of cvxpy constraints"):
        combiner.fit(P, y)


def test_explain_keeps_what_constraints_say_of_members(regression_predictions):
    pytest.importorskip("cvxpy")
    P, y, _ = regression_predictions(n_members=4)
    tied = ConvexRegressor(ridge=0, constraints=lambda w: [w[0] == 2 * w[1]])
    rows = tied.fit(P, y).explain(P, y)
    without = ConvexRegressor(ridge=0).fit(P[:, 2:], y)
    assert_allclose(rows[0]["loss_without"], without.loss_, rtol=1e-5)
    floored = ConvexRegressor(ridge=0, constraints=lambda w: [w[3] >= 0.3])
    rows = floored.fit(P, y).explain(P, y)
    assert np.isnan(rows[3]["loss_without"])  # the others cannot meet it
    assert np.isfinite([row["loss_without"] for row in rows[:3]]).all()


@pytest.mark.parametrize("floor", [0.26, 0.3, 0.45])
def test_explain_with_a_floor(regression_predictions, floor):
    P, y, _ = regression_predictions(n_members=5)
    fitted = ConvexRegressor(min_weight=floor, ridge=0).fit(P, y)
    for j, row in enumerate(fitted.explain(P, y)):
        if row["weight"] > 0:
            others = ConvexRegressor(min_weight=floor, ridge=0)
            others.fit(np.delete(P, j, axis=1), y)
            assert_allclose(row["loss_without"], others.loss_, rtol=1e-9)


def test_rows_that_only_a_barred_member_explains(class_predictions):
    pytest.importorskip("cvxpy")
    P, y, _ = class_predictions(n_members=5)
    y = y == 1
    P = P.copy()
    P[0, :4] = not y[0]
    capped = ConvexClassifier(max_weight=[1, 1, 1, 1, 0]).fit(P, y)
    # Lost under any weights: counted as the machine epsilon, and the rest is fitted.
    rest = ConvexClassifier(ridge=capped.ridge_).fit(P[1:, :4], y[1:])
    assert_allclose(capped.weights_[:4], rest.weights_, atol=1e-2)
    assert np.isfinite(capped.objective_)
    with pytest.raises(ValueError, match="some row has probability 0"):
        ConvexClassifier(constraints=lambda w: [w[4] == 0]).fit(P, y)


def test_a_cost_of_zero_is_none(regression_predictions):
    P, y, _ = regression_predictions(n_members=4)
    P = np.column_stack([P, P[:, 0], P[:, 0]])
    plain = ConvexRegressor(ridge=1.0).fit(P, y)
    free = ConvexRegressor(ridge=1.0, cost=np.zeros(6)).fit(P, y)
    assert_array_equal(free.weights_, plain.weights_)
    priced = ConvexRegressor(ridge=1.0, cost=[1, 0, 0, 0, 0, 0]).fit(P, y)
    assert_allclose(priced.weights_[[0, 4, 5]], [0.0, plain.weights_[0], 0.0])


@pytest.mark.parametrize("name", ["fit_intercept", "sum_to_one"])
def test_partial_fit_under_other_switches(regression_predictions, name):
    P, y, _ = regression_predictions()
    combiner = ConvexRegressor().partial_fit(P, y)
    before = getattr(combiner, name)
    with pytest.raises(ValueError, match=f"rows with {name}={before}"):
        combiner.set_params(**{name: not before}).partial_fit(P, y)


def test_partial_fit_with_other_classes(class_predictions):
    P, y, _ = class_predictions(n_classes=2)
    combiner = ConvexClassifier(loss="brier")
    with pytest.raises(ValueError, match="expected two labels or more"):
        combiner.partial_fit(P, y, classes=[0])
    combiner.partial_fit(P, y, classes=[0, 1])
    with pytest.raises(ValueError, match="the same in every call"):
        combiner.partial_fit(P, y, classes=[0, 1, 2])


def test_an_iterator_of_splits_serves_all_targets():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(60, 2))
    P = np.hstack([y + rng.normal(size=(60, 2)) for _ in range(3)])
    halves = [(np.arange(30), np.arange(30, 60)), (np.arange(30, 60), np.arange(30))]
    combiner = ConvexRegressor(ridge="cv", per_target=True)
    expected = combiner.set_params(cv=halves).fit(P, y).ridge_
    assert_array_equal(combiner.set_params(cv=iter(halves)).fit(P, y).ridge_, expected)


def test_bootstrap_of_the_rows_that_count(regression_predictions):
    P, y, _ = regression_predictions(n_samples=300)
    few = (np.arange(300) < 40) * 1.0
    combiner = ConvexRegressor(n_bootstrap=20, blocks="contiguous", random_state=0)
    expected = combiner.fit(P[:40], y[:40]).weight_intervals_
    weighted = combiner.fit(P, y, sample_weight=few).weight_intervals_
    assert_allclose(weighted, expected, atol=1e-12)


@pytest.mark.parametrize("ridges", [[np.inf], [np.nan], [-1.0], []])
def test_ridges_of_a_path(regression_predictions, ridges):
    P, y, _ = regression_predictions()
    with pytest.raises(ValueError, match="ridges has to be a list of numbers >= 0"):
        ConvexRegressor().regularization_path(P, y, ridges=ridges)


@pytest.mark.parametrize("loss", ["huber", "absolute_error"])
def test_folds_of_large_problems_copy_no_rows(
    regression_predictions, loss, monkeypatch
):
    from ensemblekit.convex import problem

    P, y, weight = regression_predictions()
    combiner = ConvexRegressor(loss=loss, ridge="cv")
    gathered = combiner.fit(P, y, sample_weight=weight).cv_losses_
    monkeypatch.setattr(problem, "_LITTLE", 0)
    weighted = combiner.fit(P, y, sample_weight=weight).cv_losses_
    assert_allclose(weighted, gathered, rtol=1e-6)
