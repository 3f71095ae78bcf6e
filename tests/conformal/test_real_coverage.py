"""Coverage on real tables, where the data folder is at hand: exact bands."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from ensemblekit import (
    ConformalRegressor,
    ForestQuantileRegressor,
    conformal_rank,
)
from ensemblekit.members import encode_categories, scale_and_encode

DATA = Path(__file__).parents[3] / "shared" / "data"

pytestmark = pytest.mark.skipif(
    not DATA.exists(), reason="the folder of real tables is not beside the checkout"
)

N_SEEDS, N_ROWS, N_CALIBRATION, ALPHA = 9, 2000, 200, 0.1
FOREST = ForestQuantileRegressor(
    ExtraTreesRegressor(15, min_samples_leaf=10, random_state=0)
)
MODELS = {
    "split": make_pipeline(scale_and_encode(), Ridge()),
    "cqr": make_pipeline(encode_categories(), FOREST),
    "cqr-r": make_pipeline(encode_categories(), FOREST),
}


@pytest.mark.parametrize("name", ["uci_power", "abalone", "cqr_bike", "diamonds"])
@pytest.mark.parametrize("method", MODELS)
def test_coverage_is_inside_the_exact_band(name, method):
    """Of rows in random order, the number covered is beta-binomial, whatever they are.

    Ties of scores only raise it, so that the band has one side where y is rounded.
    """
    table = pd.read_parquet(DATA / f"{name}.parquet")
    rank = conformal_rank(N_CALIBRATION, ALPHA)
    tail = 1e-3 / N_SEEDS / len(MODELS) / 4
    for seed in range(N_SEEDS):
        rows = table.sample(min(N_ROWS, len(table)), random_state=seed)
        X, y = rows.drop(columns="target"), rows["target"].to_numpy(float)
        X, X_new, y, y_new = train_test_split(X, y, test_size=800, random_state=seed)
        model = ConformalRegressor(
            MODELS[method],
            method=method,
            calibration_size=N_CALIBRATION,
            random_state=seed,
        ).fit(X, y)
        low, high = model.predict_interval(X_new, ALPHA).T
        covered = np.sum((low <= y_new) & (y_new <= high))
        law = stats.betabinom(len(y_new), rank, N_CALIBRATION + 1 - rank)
        assert covered >= law.ppf(tail), (name, method, seed)
        if name == "uci_power":
            assert covered <= law.isf(tail), (name, method, seed)
