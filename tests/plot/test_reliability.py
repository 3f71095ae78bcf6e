"""Points are shares of bins, lines exact bands."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import beta
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression, Ridge

from ensemblekit.plot import ReliabilityDisplay

pytest.importorskip("matplotlib.figure")


@pytest.fixture
def answers(class_predictions):
    P, y, _ = class_predictions(n_members=1, n_samples=300)
    return y, P[:, 0]


@pytest.mark.parametrize("strategy", ["quantile", "uniform"])
def test_points_are_those_of_scikit_learn(answers, strategy):
    y, p = answers
    display = ReliabilityDisplay.from_predictions(y, p, strategy=strategy, n_bins=5)
    observed, predicted = calibration_curve(y, p, n_bins=5, strategy=strategy)
    x, drawn = display.line_.get_data()
    if strategy == "uniform":
        assert_allclose(x, predicted)
        assert_allclose(drawn, observed)
    else:  # their edges are interpolated, ours are rows
        assert_allclose(x, predicted, atol=0.02)
        assert_array_equal(display.n_rows, [60] * 5)
    assert display.n_rows.sum() == len(y)
    heights = [bar.get_height() for bar in display.counts_]
    assert_allclose(heights, 0.1 * display.n_rows / display.n_rows.max())
    display.figure_.canvas.draw()


def test_bands_are_exact(answers):
    y, p = answers
    display = ReliabilityDisplay.from_predictions(y, p, n_bins=4, confidence=0.9)
    for low, high, share, n in zip(
        display.low, display.high, display.observed, display.n_rows, strict=True
    ):
        hits = round(share * n)
        assert_allclose(low, beta.ppf(0.05, hits, n - hits + 1) if hits else 0.0)
        assert_allclose(high, beta.ppf(0.95, hits + 1, n - hits) if hits < n else 1.0)
    drawn = np.array([line[:, 1] for line in display.bands_.get_segments()])
    assert_array_equal(drawn, np.column_stack([display.low, display.high]))


def test_both_ways_agree(answers):
    y, p = answers
    labels = np.array(["no", "yes"])[y]
    model = LogisticRegression().fit(p[:, None], labels)
    one = ReliabilityDisplay.from_estimator(model, p[:, None], labels, pos_label="no")
    proba = model.predict_proba(p[:, None])
    two = ReliabilityDisplay.from_predictions(labels, proba, pos_label="no")
    assert_array_equal(one.predicted, two.predicted)
    assert_array_equal(one.observed, two.observed)
    assert one.name == "LogisticRegression"
    assert "class no" in one.ax_.get_xlabel()
    other = ReliabilityDisplay.from_predictions(
        labels, proba[:, 1], name="$x", ax=one.ax_
    )
    assert other.line_.get_color() != one.line_.get_color()
    other.figure_.canvas.draw()


def test_of_many_classes_the_most_probable(class_predictions):
    P, y, _ = class_predictions(n_members=1, n_classes=3)
    display = ReliabilityDisplay.from_predictions(y, P, n_bins=1)
    assert_allclose(display.predicted, P.max(axis=1).mean())
    assert_allclose(display.observed, np.mean(P.argmax(axis=1) == y))
    second = ReliabilityDisplay.from_predictions(y, P, n_bins=1, pos_label=1)
    assert_allclose(second.observed, np.mean(y == 1))


def test_one_row_and_equal_probabilities():
    display = ReliabilityDisplay.from_predictions([1], [1.0], classes=[0, 1])
    assert (display.predicted, display.observed) == ([1.0], [1.0])
    display = ReliabilityDisplay.from_predictions([0, 1, 1, 0], [0.3] * 4)
    assert_array_equal(display.n_rows, [4])
    display.figure_.canvas.draw()


def test_refusals(answers):
    y, p = answers
    draw = ReliabilityDisplay.from_predictions
    with pytest.raises(ValueError, match=r"outside \[0, 1\].*row 3"):
        draw(y, np.where(np.arange(len(y)) == 3, 1.5, p))
    with pytest.raises(ValueError, match="proba is NaN or infinite at row 0"):
        draw(y, np.full(len(y), np.nan))
    with pytest.raises(ValueError, match="pos_label is 7"):
        draw(y, p, pos_label=7)
    with pytest.raises(ValueError, match="a column for each of the 2 classes"):
        draw(y, p[:5])
    with pytest.raises(ValueError, match="strategy is 'other'"):
        draw(y, p, strategy="other")
    with pytest.raises(ValueError, match="n_bins is 0"):
        draw(y, p, n_bins=0)
    with pytest.raises(ValueError, match="labels besides the classes"):
        draw(y, p, classes=[0, 2])
    with pytest.raises(ValueError, match="confidence is 1"):
        draw(y, p, confidence=1)
    with pytest.raises(ValueError, match="expected equal ones"):
        ReliabilityDisplay([0.5], [0.5, 0.1], [3, 4])
    model = Ridge().fit(p[:, None], y)
    with pytest.raises(ValueError, match="Ridge has no predict_proba"):
        ReliabilityDisplay.from_estimator(model, p[:, None], y)
