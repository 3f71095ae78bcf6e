"""Real tables and a real library of predictions, where the data folder is at hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from ensemblekit import (
    ConvexRegressor,
    EnsembleSelectionRegressor,
    LinearStackRegressor,
    PredictionLibrary,
    StackedClassifier,
    StackedRegressor,
    cross_fitted_predictions,
    evaluate_loss,
)

DATA = Path(__file__).parents[2] / "shared" / "data"

pytestmark = pytest.mark.skipif(
    not DATA.exists(), reason="the folder of real tables is not beside the checkout"
)


def read_table(name, n_rows=500):
    table = pd.read_parquet(DATA / f"{name}.parquet")
    table = table.sample(min(n_rows, len(table)), random_state=0)
    return table.drop(columns="target"), table["target"]


@pytest.mark.parametrize("name", ["titanic", "cylinder_bands", "cmc"])
def test_default_members_take_categories_and_holes(name):
    X, y = read_table(name)
    stacked = StackedClassifier(random_state=0, cv=3).fit(X, y)
    assert stacked.library_.n_samples == len(y)
    assert_allclose(stacked.predict_proba(X).sum(axis=1), 1.0, rtol=1e-6)
    losses = {row["name"]: row["loss"] for row in stacked.leaderboard_}
    assert losses["ensemble"] <= 1.05 * min(losses.values())


@pytest.mark.parametrize("name", ["cps1988_wage", "cqr_bike"])
def test_default_members_on_regression_tables(name):
    X, y = read_table(name)
    stacked = StackedRegressor(random_state=0, cv=3).fit(X, y)
    losses = {row["name"]: row["loss"] for row in stacked.leaderboard_}
    assert losses["ensemble"] <= 1.05 * min(losses.values())
    assert stacked.combiner_.duality_gap_ <= 1e-9 * stacked.combiner_.objective_


def cooling_library():
    """18 tuned regressors on 6,130 buildings, one repeat of nested cross-validation."""
    table = pd.read_parquet(DATA / "libraries" / "oof_cooling_load.parquet")
    table = table[table["repeat"] == table["repeat"].iloc[0]]
    members = table.drop(columns=["target", "fold", "repeat"])
    return PredictionLibrary.from_arrays(
        {name: members[name] for name in members},
        table["target"],
        folds=table["fold"].to_numpy(),
    )


@pytest.mark.parametrize(
    "combiner",
    [ConvexRegressor(), EnsembleSelectionRegressor(), LinearStackRegressor()],
    ids=str,
)
def test_combiners_beat_the_best_member_on_held_out_folds(combiner):
    library = cooling_library()
    assert library.n_members == 18
    best = min(
        evaluate_loss("squared_error", library.y, column) for column in library.P.T
    )
    prediction = cross_fitted_predictions(combiner, library)
    assert np.isfinite(prediction).all()
    assert evaluate_loss("squared_error", library.y, prediction) < best
