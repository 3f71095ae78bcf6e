"""The line is the loss path; members are named at their picks."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import Ridge

from ensemblekit import (
    ConvexRegressor,
    EnsembleSelectionClassifier,
    EnsembleSelectionRegressor,
    HillClimbingRegressor,
    PredictionLibrary,
    QDOEnsembleSelectionRegressor,
    StackedRegressor,
)
from ensemblekit.plot import LossPathDisplay

pytest.importorskip("matplotlib.figure")


def ticks(display):
    labels = display.ax_.get_xticklabels()
    return {round(label.get_position()[0]): label.get_text() for label in labels}


@pytest.mark.parametrize("n_rounds", [1, 10])
def test_line_and_names(regression_predictions, n_rounds):
    P, y, _ = regression_predictions(n_members=6)
    fitted = EnsembleSelectionRegressor(n_rounds=n_rounds).fit(P, y)
    display = LossPathDisplay.from_estimator(fitted)
    x, losses = display.line_.get_data()
    assert_array_equal(losses, fitted.loss_path_)
    assert_array_equal(x, np.arange(len(losses)) + 1)
    assert ticks(display) == {n: f"x{m}" for n, m in enumerate(fitted.picks_, 1)}
    new = np.unique(fitted.picks_, return_index=True)[1]
    points = np.asarray(display.ax_.collections[0].get_offsets())
    assert_array_equal(points[:, 0], np.sort(new) + 1)
    display.figure_.canvas.draw()


def test_of_long_paths_new_members_are_named(regression_predictions):
    P, y, _ = regression_predictions(n_members=5)
    combiner = EnsembleSelectionRegressor(n_rounds=60, patience=None)
    display = LossPathDisplay.from_predictions(y, P, combiner=combiner)
    assert len(display.losses) > 25
    named = list(ticks(display).values())
    if len(display.losses) <= 50:
        assert sorted(named) == sorted(set(display.picks))
    display.figure_.canvas.draw()


def test_both_ways_agree(class_predictions):
    P, y, _ = class_predictions(n_members=4)
    library = PredictionLibrary(P, y, list("abcd"), classes=[0, 1])
    one = LossPathDisplay.from_predictions(None, library)
    two = LossPathDisplay.from_estimator(EnsembleSelectionClassifier().fit(P, y))
    assert_array_equal(one.losses, two.losses)
    assert [f"x{'abcd'.index(name)}" for name in one.picks] == two.picks


def test_hill_climbing_populations_and_stacks(regression_predictions):
    P, y, _ = regression_predictions(n_members=5)
    fitted = HillClimbingRegressor().fit(P, y)
    assert_array_equal(LossPathDisplay.from_estimator(fitted).losses, fitted.loss_path_)
    found = QDOEnsembleSelectionRegressor(n_evaluations=60).fit(P, y)
    display = LossPathDisplay.from_estimator(found)
    assert_array_equal(display.line_.get_ydata(), found.loss_path_)
    assert display.ax_.get_xlabel().startswith("batch")
    members = [("one", Ridge()), ("two", Ridge(100.0))]
    stacked = StackedRegressor(members, EnsembleSelectionRegressor()).fit(P, y)
    assert set(LossPathDisplay.from_estimator(stacked).picks) <= {"one", "two"}


def test_refusals(regression_predictions):
    P, y, _ = regression_predictions(n_members=3)
    with pytest.raises(ValueError, match="ConvexRegressor has no loss_path_"):
        LossPathDisplay.from_estimator(ConvexRegressor().fit(P, y))
    with pytest.raises(ValueError, match="ConvexRegressor has no loss_path_"):
        LossPathDisplay.from_predictions(y, P, combiner=ConvexRegressor())
    with pytest.raises(ValueError, match="picks has 1 names; expected 2"):
        LossPathDisplay([1.0, 0.5], ["a"])
