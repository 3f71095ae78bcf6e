"""The job of the demo, on few rows: what it prints, writes and scores."""

from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from ensemblekit import PredictionLibrary, cli, demo
from ensemblekit.members import encode_categories, scale_and_encode

MEMBERS = {
    "lightgbm",
    "xgboost",
    "random_forest",
    "extra_trees",
    "linear",
    "hist_gradient_boosting",
    "nearest_neighbours",
}
COMBINERS = [
    "single_best",
    "plain_mean",
    "greedy_selection",
    "convex_weights",
    "linear_stacking",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "new" / "output"


@pytest.fixture(scope="module")
def printed(folder):
    """Run the command once, on 200 rows of each table; return what it printed."""
    with pytest.MonkeyPatch.context() as patch, threadpool_limits(1):
        lines = []
        patch.setattr("sys.stdout.write", lines.append)
        options = ["--rows", "200", "--n-jobs", "1", "--output", str(folder)]
        assert cli.main(["demo", *options]) == 0
    return "".join(lines)


@pytest.fixture
def few_members(monkeypatch):
    def members(task):
        model = LogisticRegression() if task == "classification" else Ridge()
        return [
            ("scaled", make_pipeline(scale_and_encode(), model)),
            ("plain", make_pipeline(encode_categories(), model)),
        ]

    monkeypatch.setattr(demo, "demo_members", members)
