"""Bars are the weights, lines their intervals."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import StackingRegressor
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor

from ensemblekit import (
    ConvexClassifier,
    ConvexRegressor,
    EnsembleSelectionClassifier,
    EnsembleSelectionRegressor,
    PredictionLibrary,
    QuantileAggregator,
    StackedRegressor,
)
from ensemblekit.plot import WeightsDisplay

pytest.importorskip("matplotlib.figure")


def bars(display):
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    return dict(zip(names, [bar.get_width() for bar in display.bars_], strict=True))


def test_bars_are_the_weights(regression_predictions):
    P, y, _ = regression_predictions(n_members=5)
    fitted = ConvexRegressor(n_bootstrap=30).fit(P, y)
    display = WeightsDisplay.from_estimator(fitted)
    drawn = bars(display)
    for m, weight in enumerate(fitted.weights_):
        assert drawn.get(f"x{m}", 0.0) == weight
    assert list(drawn.values()) == sorted(drawn.values(), reverse=True)
    lines = {tuple(line[:, 0]) for line in display.interval_lines_.get_segments()}
    own = {tuple(ends) for ends in fitted.weight_intervals_ if ends[1] > 0.0}
    assert lines == own
    assert "90 % of 30 bootstraps" in display.ax_.get_title()
    display.figure_.canvas.draw()


def test_both_ways_agree(regression_predictions):
    P, y, _ = regression_predictions(n_members=4)
    one = WeightsDisplay.from_estimator(ConvexRegressor().fit(P, y), P, y)
    two = WeightsDisplay.from_predictions(y, P)
    library = PredictionLibrary(P, y, ["a", "b", "c", "d"])
    three = WeightsDisplay.from_predictions(None, library)
    fitted = ConvexRegressor().fit(library.P, library.y)
    four = WeightsDisplay.from_estimator(fitted, library)
    for other in (two, three, four):
        assert_array_equal(one.weights, other.weights)
        assert_array_equal(one.intervals, other.intervals)
    assert three.names == four.names == ["a", "b", "c", "d"]


def test_rows_are_drawn_for_combiners_without_intervals(regression_predictions):
    P, y, _ = regression_predictions(n_members=4)
    fitted = EnsembleSelectionRegressor(n_rounds=5).fit(P, y)
    assert WeightsDisplay.from_estimator(fitted, P, y).intervals is None
    display = WeightsDisplay.from_estimator(fitted, P, y, n_bootstrap=9, alpha=0.5)
    random = np.random.RandomState(0)
    draws = []
    for _ in range(9):
        rows = random.randint(len(y), size=len(y))
        draws.append(EnsembleSelectionRegressor(n_rounds=5).fit(P[rows], y[rows]))
    weights = [draw.weights_ for draw in draws]
    assert_allclose(display.intervals, np.quantile(weights, [0.25, 0.75], axis=0).T)


def test_no_class_is_lost_in_a_draw(class_predictions):
    P, y, _ = class_predictions(n_members=3, n_samples=40)
    y[:] = 0
    y[3] = 1  # drawn row by row, it would be missing in a third of the draws
    combiner = EnsembleSelectionClassifier(n_rounds=3)
    display = WeightsDisplay.from_predictions(y, P, combiner=combiner, n_bootstrap=20)
    assert display.intervals.shape == (3, 2)


def test_stack(regression_predictions):
    X, y, _ = regression_predictions(n_members=3)
    members = [("ridge", Ridge()), ("near", KNeighborsRegressor(3))]
    stacked = StackedRegressor(members).fit(X, y)
    display = WeightsDisplay.from_estimator(stacked)
    assert display.names == ["ridge", "near"]
    assert_array_equal(display.weights, stacked.weights_)
    assert display.intervals.shape == (2, 2)
    compact = WeightsDisplay.from_estimator(stacked.compact())
    assert compact.names == ["ridge", "near"]
    assert compact.intervals is None


def test_rows_are_no_predictions():
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = X.sum(axis=1)
    members = [("a", Ridge()), ("b", Ridge(100.0))]
    theirs = StackingRegressor(members, ConvexRegressor())
    for stacked in (StackedRegressor(members), theirs):
        with pytest.raises(ValueError, match="X is not what a stack's combiner"):
            WeightsDisplay.from_estimator(stacked.fit(X, y), X, y)


def test_a_stack_of_scikit_learn(regression_predictions):
    X, y, _ = regression_predictions(n_members=3)
    members = [("ridge", Ridge()), ("none", "drop"), ("near", KNeighborsRegressor(3))]
    stacked = StackingRegressor(members, ConvexRegressor()).fit(X, y)
    display = WeightsDisplay.from_estimator(stacked)
    assert display.names == ["ridge", "near"]
    assert_array_equal(display.weights, stacked.final_estimator_.weights_)


def test_weights_of_classes_and_quantiles(class_predictions):
    P, y, _ = class_predictions(n_members=3, n_classes=3)
    display = WeightsDisplay.from_predictions(np.array(list("abc"))[y], P)
    assert_array_equal(display.weights, ConvexClassifier().fit(P, y).weights_)
    rng = np.random.default_rng(0)
    y = rng.normal(size=60)
    Q = np.sort(y[:, None, None] + rng.normal(size=(60, 2, 2)), axis=2).reshape(60, 4)
    library = PredictionLibrary(Q, y, ["a", "b"], quantile_levels=[0.1, 0.9])
    display = WeightsDisplay.from_predictions(None, library)
    expected = QuantileAggregator(quantile_levels=[0.1, 0.9]).fit(Q, y)
    assert_allclose(display.weights, expected.member_weights_)


def test_many_members():
    weights = np.linspace(0.0, 1.0, 200)
    display = WeightsDisplay(weights).plot(max_members=10)
    drawn = bars(display)
    assert list(drawn)[:10] == [f"member{m}" for m in range(199, 189, -1)]
    assert_allclose(drawn["189 others"], weights[:190].sum())
    assert display.ax_.get_xlabel() == "weight (0 for 1 more)"
    display.figure_.canvas.draw()


def test_one_member_negative_weights_and_odd_names():
    display = WeightsDisplay([1.0]).plot()
    assert bars(display) == {"member0": 1.0}
    assert bars(WeightsDisplay([0.0, 0.0]).plot()) == {}
    odd = ["$\\frac", "a very long name of a member that ends in 1"]
    odd.append(odd[1][:-1] + "2")
    display = WeightsDisplay([-0.5, 0.5, 1.0], odd).plot()
    display.figure_.canvas.draw()  # no formula is read in a name
    names = list(bars(display))
    assert len(set(names)) == 3
    assert max(map(len, names)) <= 28
    assert display.bars_[names.index("$\\frac")].get_width() == -0.5


def test_refusals(regression_predictions):
    P, y, _ = regression_predictions(n_members=3)
    with pytest.raises(ValueError, match="names has 1 entries; expected 2"):
        WeightsDisplay([0.5, 0.5], ["a"])
    with pytest.raises(ValueError, match="max_members is 0"):
        WeightsDisplay([0.5, 0.5]).plot(max_members=0)
    with pytest.raises(ValueError, match="weights is NaN or infinite at row 1"):
        WeightsDisplay([0.5, np.nan])
    with pytest.raises(ValueError, match=r"intervals has shape \(1, 2\)"):
        WeightsDisplay([0.5, 0.5], intervals=[[0.0, 1.0]])
    with pytest.raises(ValueError, match="Ridge has no weights_"):
        WeightsDisplay.from_estimator(Ridge().fit(P, y))
    several = ConvexRegressor(per_target=True).fit(
        np.hstack([P, P]), np.column_stack([y, y])
    )
    with pytest.raises(ValueError, match="one weight for each member"):
        WeightsDisplay.from_estimator(several)
    with pytest.raises(ValueError, match="A library holds y"):
        WeightsDisplay.from_predictions(y, PredictionLibrary(P, y, ["a", "b", "c"]))
