"""The picture is the matrix in the order of the clustering."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor

from ensemblekit import (
    AverageRegressor,
    PredictionLibrary,
    StackedRegressor,
    pairwise_diversity,
    residual_correlation,
)
from ensemblekit.plot import DiversityDisplay

pytest.importorskip("matplotlib.figure")


@pytest.mark.parametrize("n_members", [1, 2, 7, 30, 200])
def test_picture_is_the_matrix(regression_predictions, n_members):
    P, y, _ = regression_predictions(n_members=n_members)
    display = DiversityDisplay.from_predictions(y, P, loss="squared_error")
    assert_array_equal(display.correlation, residual_correlation(P, y))
    assert_array_equal(np.sort(display.order), np.arange(n_members))
    expected = display.correlation[display.order][:, display.order]
    assert_array_equal(display.image_.get_array(), expected)
    low, high = display.image_.get_clim()
    assert low <= display.correlation.min()
    assert high == 1.0
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    in_order = [display.names[m] for m in display.order]
    assert names == (in_order if n_members <= 60 else [])
    figures = [text.get_text() for text in display.ax_.texts]
    assert len(figures) == (n_members**2 - n_members if n_members <= 12 else 0)
    display.figure_.canvas.draw()


def test_the_alike_are_neighbours():
    kind = np.array([0, 1, 2, 0, 1, 2, 0])
    correlation = np.where(kind[:, None] == kind, 0.9, 0.1)
    np.fill_diagonal(correlation, 1.0)
    order = DiversityDisplay(correlation).order
    assert np.count_nonzero(np.diff(kind[order])) == 2


def test_title_tells_the_pair_most_alike():
    values = np.array([[1.0, 0.2, np.nan], [0.2, 1.0, 0.6], [np.nan, 0.6, 1.0]])
    display = DiversityDisplay(values, ["a", "$b", "c"]).plot()
    assert display.ax_.get_title() == ("mean of pairs 0.40; most alike 0.60:\n$b\nc")
    display.figure_.canvas.draw()


def test_both_ways_agree(regression_predictions):
    X, y, _ = regression_predictions(n_members=3)
    members = [("ridge", Ridge()), ("near", KNeighborsRegressor(3))]
    stacked = StackedRegressor(members, AverageRegressor()).fit(X, y)
    one = DiversityDisplay.from_estimator(stacked)
    library = stacked.library_
    two = DiversityDisplay.from_predictions(None, library)
    three = DiversityDisplay.from_predictions(
        library.y, library.P, loss="squared_error", names=library.names
    )
    for other in (two, three):
        assert_array_equal(one.correlation, other.correlation)
        assert one.names == other.names == ["ridge", "near"]
    with pytest.raises(ValueError, match="has no library_; expected a fitted stack"):
        DiversityDisplay.from_estimator(stacked.compact())


def test_classes_and_quantiles(class_predictions):
    P, y, _ = class_predictions(n_members=3, n_classes=3)
    display = DiversityDisplay.from_predictions(np.array(list("abc"))[y], P)
    votes = P.reshape(len(y), 3, 3).argmax(axis=2)
    expected = pairwise_diversity(votes == y[:, None]).correlation
    assert_allclose(display.correlation, expected)
    labels = [ax.get_ylabel() for ax in display.figure_.axes]
    assert "correlation of errors (right or wrong)" in labels
    rng = np.random.default_rng(0)
    Q = np.sort(rng.normal(size=(50, 2, 3)), axis=2)
    library = PredictionLibrary(
        Q.reshape(50, 6),
        np.arange(50.0),
        ["a", "b"],
        quantile_levels=[0.1, 0.5, 0.9],
    )
    display = DiversityDisplay.from_predictions(None, library)
    expected = residual_correlation(Q[:, :, 1], np.arange(50.0))
    assert_allclose(display.correlation, expected)


@pytest.mark.parametrize(
    ("least", "begin", "figure"),
    [(-0.15, -0.2, "-0.15"), (0.86, 0.8, "0.86"), (0.995, 0.995, "0.9950")],
)
def test_scale_fits_the_values(least, begin, figure):
    display = DiversityDisplay([[1.0, least], [least, 1.0]]).plot()
    assert_allclose(display.image_.get_clim(), (begin, 1.0))
    assert {text.get_text() for text in display.ax_.texts} == {figure}


def test_refusals(regression_predictions):
    P, y, _ = regression_predictions(n_members=3)
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        DiversityDisplay(np.ones((2, 3)))
    with pytest.raises(ValueError, match="not symmetric"):
        DiversityDisplay([[1.0, 0.5], [0.1, 1.0]])
    with pytest.raises(ValueError, match="not symmetric"):
        DiversityDisplay([[1.0, 1.5], [1.5, 1.0]])
    with pytest.raises(ValueError, match="names has 1 entries"):
        DiversityDisplay(np.eye(2), ["a"])
    with pytest.raises(ValueError, match="AverageRegressor has no library_"):
        DiversityDisplay.from_estimator(AverageRegressor().fit(P, y))
