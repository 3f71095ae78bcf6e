"""Time and memory are told before a long run, and only then."""

import re

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from ensemblekit.blending import _estimate
from ensemblekit.blending._estimate import estimate, method_seconds
from ensemblekit.blending.methods import Method
from ensemblekit.blending.metrics import find_metric

from .libraries import quantiles, regression

NOW = [0.0]
"""The time of day of `Costly`, in seconds."""


class Costly(BaseEstimator):
    """Takes `start` and, for each row, `row` seconds; twice these from `jump` rows."""

    def __init__(self, start=0.0, row=0.0, new_row=0.0, jump=10**9):
        self.start = start
        self.row = row
        self.new_row = new_row
        self.jump = jump

    def fit(self, P, y):
        NOW[0] += self.start + len(P) * self.row * (1 + (len(P) >= self.jump))
        return self

    def predict(self, P):
        NOW[0] += len(P) * self.new_row
        return P[:, 0]


@pytest.fixture
def seconds_of(monkeypatch):
    """Return a function that estimates methods of known cost on 1200 rows, 5 folds."""
    monkeypatch.setattr(_estimate, "perf_counter", lambda: NOW[0])
    for name, value in {"_WARM": 10, "_LEAST": 50}.items():
        monkeypatch.setattr(_estimate, name, value)
    metric = find_metric("rmse", "regression")

    def estimated(*costs):
        methods = [Method("m", lambda c=c: Costly(**c), 0.0) for c in costs]
        return method_seconds(regression(1200), metric, methods, 5, 0)

    return estimated


@pytest.mark.parametrize("scale", [1e-4, 1.0, 100.0])
def test_costs_that_grow_with_the_rows_are_told_exactly(seconds_of, scale):
    # Six fits on 5 times all rows together, and each row predicted twice.
    costs = [(3.0, 0.0, 0.0), (0.0, 0.01, 0.0), (0.0, 0.0, 0.02), (1.0, 0.02, 0.005)]
    given = [
        {"start": a * scale, "row": b * scale, "new_row": c * scale}
        for a, b, c in costs
    ]
    expected = [scale * (6 * a + b * 5 * 1200 + c * 2 * 1200) for a, b, c in costs]
    np.testing.assert_allclose(seconds_of(*given), expected, rtol=1e-9)


def test_fast_methods_are_timed_out_of_the_cache(seconds_of):
    jump = {"row": 1e-4, "jump": 500}
    fast, slow = seconds_of(jump, jump | {"row": 1.0})
    assert 0.95 <= fast / (2e-4 * 5 * 1200) <= 1.2
    assert slow == pytest.approx(5 * 1200)  # as the smaller samples have it
    assert seconds_of(jump)[0] == pytest.approx(1e-4 * 5 * 1200)  # a short run


def test_a_method_that_fails_costs_nothing(seconds_of, monkeypatch):
    def fail(self, P, y):
        raise ValueError("no")

    monkeypatch.setattr(Costly, "fit", fail)
    assert seconds_of({"row": 1.0}).tolist() == [0.0]


@pytest.mark.parametrize("weighted", [False, True])
def test_a_long_run_of_quantiles_is_told(monkeypatch, weighted):
    for name, value in {"_LONG": 1, "_WARM": 20, "_LEAST": 50}.items():
        monkeypatch.setattr(_estimate, name, value)
    library = quantiles()
    if weighted:
        library.sample_weight = np.arange(120.0)
    text = estimate(library, None, "all", 0)
    assert text.startswith("4 members x 120 rows: 11 methods x 6 fits, about ")


def test_a_short_run_needs_no_estimate():
    assert estimate(regression(), None, "all", 0) is None


def test_a_long_run_is_told(monkeypatch):
    for name, value in {"_LONG": 1, "_WARM": 20, "_LEAST": 50}.items():
        monkeypatch.setattr(_estimate, name, value)
    text = estimate(regression(), "mae", ["convex", "greedy"], 0)
    assert text.startswith("4 members x 120 rows: 4 methods x 6 fits, about ")
    assert re.search(r"about \d+ s and 0\.6 GB of memory, P included\.$", text)


def test_times_are_read_easily():
    assert [_estimate._time(s) for s in (0.1, 89, 600, 9000)] == [
        *("1 s", "89 s", "10 minutes", "2.5 hours"),
    ]


def test_many_folds_of_few_rows_are_told_of(monkeypatch):
    library = regression(60)
    library.folds = np.arange(60)
    assert estimate(library, None, ["convex"], 0) is None  # that is short
    monkeypatch.setattr(_estimate, "_SHORT_RUN", 0.0)
    text = estimate(library, None, ["convex"], 0)
    assert text.startswith("4 members x 60 rows: 3 methods x 61 fits, about ")
