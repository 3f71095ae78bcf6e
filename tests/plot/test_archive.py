"""Displays draw what was fitted, on axes given or made."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone

from ensemblekit import (
    AverageRegressor,
    EnsembleSelectionClassifier,
    PredictionLibrary,
    QDOEnsembleSelectionClassifier,
    QOEnsembleSelectionClassifier,
)

matplotlib_figure = pytest.importorskip("matplotlib.figure")
plot = pytest.importorskip("ensemblekit.plot")


@pytest.fixture
def data(class_predictions):
    P, y, _ = class_predictions(n_members=8, n_samples=200)
    return P, y


def test_cells_and_elites(data):
    fitted = QDOEnsembleSelectionClassifier(n_evaluations=120).fit(*data)
    display = plot.ArchiveDisplay.from_estimator(fitted)
    points = display.ax_.collections[0]
    offsets = np.asarray(points.get_offsets())
    order = np.argsort(-fitted.archive_.losses)
    assert_allclose(offsets, fitted.archive_.descriptors[order])
    assert_allclose(points.get_array(), fitted.archive_.losses[order])
    ring = np.asarray(display.ax_.collections[1].get_offsets())
    best = fitted.archive_.losses.argmin()
    assert_allclose(ring, fitted.archive_.descriptors[[best]])
    assert display.ax_.get_xlabel() == "mean correlation of losses"
    assert display.ax_.get_ylabel() == "distinct members"
    display.figure_.canvas.draw()


def test_losses_over_sizes(data):
    fitted = QOEnsembleSelectionClassifier(n_evaluations=120).fit(*data)
    ax = matplotlib_figure.Figure().subplots()
    display = plot.ArchiveDisplay.from_estimator(fitted, ax=ax)
    assert display.ax_ is ax
    offsets = np.asarray(ax.collections[0].get_offsets())
    archive = fitted.archive_
    assert_allclose(offsets[:, 0], np.count_nonzero(archive.counts, axis=1))
    assert_allclose(offsets[:, 1], archive.losses - archive.losses.min())
    display.figure_.canvas.draw()


def test_frontier(data):
    fitted = EnsembleSelectionClassifier(cost=np.arange(1.0, 9.0)).fit(*data)
    display = plot.FrontierDisplay.from_estimator(fitted)
    offsets = np.asarray(display.ax_.collections[0].get_offsets())
    assert_allclose(offsets[:, 0], fitted.frontier_.costs)
    assert_allclose(offsets[:, 1], fitted.frontier_.losses)
    sizes = [str(len(np.unique(picks))) for picks in fitted.frontier_.picks]
    assert [text.get_text() for text in display.ax_.texts] == sizes
    display.figure_.canvas.draw()


@pytest.mark.parametrize(
    ("kind", "combiner", "options"),
    [
        ("ArchiveDisplay", QDOEnsembleSelectionClassifier(random_state=0), {}),
        ("FrontierDisplay", EnsembleSelectionClassifier(), {"cost": [1.0] * 8}),
    ],
)
def test_both_ways_agree(data, kind, combiner, options):
    P, y = data
    labels = np.where(y == 1, "yes", "no")  # labels say that they are classes
    library = PredictionLibrary(P, labels, list("abcdefgh"), classes=["no", "yes"])
    display = getattr(plot, kind)
    fitted = clone(combiner).set_params(**options).fit(P, labels)
    expected = display.from_estimator(fitted)
    for found in (
        display.from_predictions(labels, P, **options),
        display.from_predictions(None, library, **options),
        display.from_predictions(labels, P, combiner=combiner, **options),
    ):
        assert_allclose(found.losses, expected.losses)
        assert_allclose(found.sizes, expected.sizes)


def test_regression_and_arrays(data):
    P, y = data
    y = y + 0.1
    assert len(plot.ArchiveDisplay.from_predictions(y, P).losses) > 1
    assert "cost" in plot.FrontierDisplay.from_predictions(y, P).ax_.get_xlabel()
    display = plot.FrontierDisplay([1.0, 2.0, 4.0], [3.0, 2.0, 1.5]).plot()
    assert display.ax_.get_xlabel() == "cost"
    assert not display.ax_.texts
    cells = plot.ArchiveDisplay([1.0, 2.0], descriptors=[[0.1, 2], [0.3, 4]]).plot()
    assert cells.ax_.get_xlabel() == "descriptor 1"


def test_unfit_arrays_are_refused():
    with pytest.raises(ValueError, match="costs descend"):
        plot.FrontierDisplay([2.0, 1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"of lengths \[2, 1\]"):
        plot.FrontierDisplay([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="expected as many sizes or descriptors"):
        plot.ArchiveDisplay([1.0, 2.0])
    with pytest.raises(ValueError, match="NaN"):
        plot.FrontierDisplay([1.0, np.nan], [1.0, 2.0])


def test_other_estimators_are_refused():
    fitted = AverageRegressor().fit([[1.0, 2.0], [2.0, 3.0]], [1.0, 2.0])
    with pytest.raises(ValueError, match="AverageRegressor has no archive_"):
        plot.ArchiveDisplay.from_estimator(fitted)
    with pytest.raises(ValueError, match="AverageRegressor has no frontier_"):
        plot.FrontierDisplay.from_estimator(fitted)


def test_matplotlib_is_loaded_when_drawing_and_named_when_missing():
    code = """
import sys
import numpy as np
from ensemblekit import EnsembleSelectionRegressor
from ensemblekit.plot import FrontierDisplay
assert not any(name.startswith("matplotlib") for name in sys.modules)
sys.modules["matplotlib"] = sys.modules["matplotlib.figure"] = None
fitted = EnsembleSelectionRegressor().fit(np.eye(4), np.arange(4.0))
try:
    FrontierDisplay.from_estimator(fitted)
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'ensemblekit[report]'" in run.stdout, run.stderr
