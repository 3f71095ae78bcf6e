"""Bands are the quantiles, dots the targets."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression

from ensemblekit import ConformalRegressor, ResidualQuantileRegressor
from ensemblekit.plot import QuantileFanDisplay

pytest.importorskip("matplotlib.figure")

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]


def make(n_rows=30, seed=0):
    rng = np.random.default_rng(seed)
    quantiles = np.sort(rng.normal(size=(n_rows, 5)), axis=1)
    return rng.normal(size=n_rows), quantiles


def ends(band):
    """Return the lower and the upper line of a filled band."""
    path = band.get_paths()[0].vertices[:, 1]
    n = (len(path) - 3) // 2
    return path[1 : n + 1], path[n + 2 : 2 * n + 2][::-1]


def texts(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_bands_median_and_targets():
    y, quantiles = make()
    display = QuantileFanDisplay.from_predictions(y, quantiles, LEVELS)
    for n, band in enumerate(display.bands_):
        low, high = ends(band)
        assert_allclose(low, quantiles[:, n])
        assert_allclose(high, quantiles[:, -1 - n])
    assert_array_equal(display.median_.get_ydata(), quantiles[:, 2])
    assert_array_equal(display.dots_.get_offsets(), np.column_stack([np.arange(30), y]))
    inside = np.mean((quantiles[:, 0] <= y) & (y <= quantiles[:, -1]))
    assert texts(display) == [
        "90 %",
        "50 %",
        "median",
        f"y: {100 * inside:.3g} % inside 90 %",
    ]
    display.figure_.canvas.draw()


def test_orders_and_rows_left_out():
    y, quantiles = make(1000)
    display = QuantileFanDisplay.from_predictions(y, quantiles, LEVELS, order="median")
    order = np.argsort(quantiles[:, 2], kind="stable")
    assert len(display.x) == 200
    assert_array_equal(display.quantiles, quantiles[order[display.x]])
    assert_array_equal(display.y, y[order[display.x]])
    assert display.x[[0, -1]].tolist() == [0, 999]
    assert display.ax_.get_xlabel() == "row, by median (200 of 1000 shown)"
    x = np.arange(1000)[::-1]
    display = QuantileFanDisplay.from_predictions(
        y, quantiles, LEVELS, x=x, max_rows=1000
    )
    assert_array_equal(display.y, y[::-1])


def test_both_ways_agree():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = X[:, 0] + rng.normal(size=200)
    own = ResidualQuantileRegressor(LinearRegression(), quantile_levels=LEVELS)
    any_level = ConformalRegressor(LinearRegression(), random_state=0)
    for model in (own.fit(X, y), any_level.fit(X, y)):
        wanted = None if model is own else LEVELS
        one = QuantileFanDisplay.from_estimator(
            model, X[:9], y[:9], quantile_levels=wanted
        )
        quantiles = model.predict_quantiles(X[:9], *([] if model is own else [LEVELS]))
        two = QuantileFanDisplay.from_predictions(y[:9], quantiles, LEVELS)
        assert_array_equal(one.quantiles, two.quantiles)
        assert_array_equal(one.y, two.y)
    with pytest.raises(ValueError, match=r"quantile_levels is \[0.5\], but"):
        QuantileFanDisplay.from_estimator(own, X, quantile_levels=[0.5])


def test_one_row_one_level_infinite_ends_and_times():
    y, quantiles = make(1)
    QuantileFanDisplay.from_predictions(y, quantiles, LEVELS).figure_.canvas.draw()
    display = QuantileFanDisplay.from_predictions(y, [[1.0]], [0.5])
    assert texts(display) == ["median", "y"]
    display.figure_.canvas.draw()
    _, quantiles = make(20)
    quantiles[:, 0] = -np.inf
    display = QuantileFanDisplay.from_predictions(None, quantiles, LEVELS)
    low, high = display.ax_.get_ylim()
    assert low < quantiles[:, 1:].min() < quantiles.max() < high
    assert display.dots_ is None
    days = np.datetime64("2026-01-01") + np.arange(20)
    display = QuantileFanDisplay.from_predictions(None, quantiles, LEVELS, x=days)
    display.figure_.canvas.draw()
    lopsided = QuantileFanDisplay([[0.0, 1.0], [0.0, 2.0]], [0.1, 0.5]).plot()
    assert texts(lopsided)[0] == "levels 0.1 to 0.5"


def test_refusals():
    y, quantiles = make()
    draw = QuantileFanDisplay.from_predictions
    with pytest.raises(ValueError, match="cross in a row"):
        draw(y, quantiles[:, ::-1], LEVELS)
    with pytest.raises(ValueError, match="quantiles has 5 columns; expected 2"):
        draw(y, quantiles, [0.1, 0.9])
    with pytest.raises(ValueError, match="y has 3 values; expected 30"):
        draw(y[:3], quantiles, LEVELS)
    with pytest.raises(ValueError, match="quantiles is NaN"):
        draw(y, quantiles * np.nan, LEVELS)
    with pytest.raises(ValueError, match="order is 'random'"):
        draw(y, quantiles, LEVELS, order="random")
    with pytest.raises(ValueError, match=r"x has shape \(3,\)"):
        draw(y, quantiles, LEVELS, x=[1, 2, 3])
    with pytest.raises(ValueError, match="does not ascend"):
        QuantileFanDisplay(quantiles, LEVELS, x=np.arange(30)[::-1])
    model = LinearRegression().fit(quantiles, y)
    with pytest.raises(ValueError, match="no predict_quantiles"):
        QuantileFanDisplay.from_estimator(model, quantiles)
