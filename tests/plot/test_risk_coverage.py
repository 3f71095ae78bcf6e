"""The curve drawn is that of the metrics."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression, Ridge

from ensemblekit import SelectiveClassifier, aurc, risk_coverage_curve
from ensemblekit.plot import RiskCoverageDisplay

pytest.importorskip("matplotlib.figure")


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(size=200).round(2)
    y = rng.integers(0, 3, 200)
    return y, np.where(rng.uniform(size=200) < confidence, y, (y + 1) % 3), confidence


def test_curve(answers):
    y, labels, confidence = answers
    display = RiskCoverageDisplay.from_predictions(y, labels, confidence, name="a")
    curve = risk_coverage_curve(confidence, labels == y)
    x, risk = display.line_.get_data()
    assert_array_equal(x, curve.coverage)
    assert_array_equal(risk, curve.selective_risk)
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts[0] == f"a, AURC {aurc(confidence, labels == y):.3g}"
    n = (curve.coverage * 200).round()
    wrong = (curve.selective_risk * n).round()
    some = (wrong > 0) & (wrong < n)
    assert_allclose(display.low[some], beta.ppf(0.025, wrong, n - wrong + 1)[some])
    assert_allclose(display.high[some], beta.ppf(0.975, wrong + 1, n - wrong)[some])
    display.figure_.canvas.draw()


def test_best_is_the_curve_of_the_truth(answers):
    y, labels, confidence = answers
    display = RiskCoverageDisplay.from_predictions(y, labels, confidence)
    x, best = display.best_.get_data()
    correct = labels == y
    order = np.argsort(~correct, kind="stable")
    for share, risk in zip(x, best, strict=True):
        k = share * 200
        whole = int(k)
        wrong = (~correct[order][:whole]).sum()
        if whole < 200:
            wrong = wrong + (k - whole) * ~correct[order][whole]
        assert_allclose(risk, wrong / k, atol=1e-12)


@pytest.mark.parametrize("right", [True, False])
def test_all_right_and_all_wrong(right):
    labels = np.ones(5)
    y = labels if right else labels + 1
    display = RiskCoverageDisplay.from_predictions(y, labels, np.arange(5.0))
    assert_array_equal(display.line_.get_ydata(), np.full(5, 0.0 if right else 1.0))
    assert_array_equal(display.best_.get_ydata(), np.full(51, 0.0 if right else 1.0))
    low, high = display.ax_.get_ylim()
    assert low < 0.0 <= 1.0 - right < high
    display.figure_.canvas.draw()


def test_long_curves_are_thinned_to_both_ends():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 5000)
    display = RiskCoverageDisplay.from_predictions(y, 0 * y, rng.uniform(size=5000))
    x = display.line_.get_xdata()
    assert len(x) <= 500
    assert x[-1] == 1.0
    assert x[0] == display.coverage[0]
    assert len(display.coverage) == 5000


def test_both_ways_agree_and_the_threshold_is_marked(class_predictions):
    X, y, _ = class_predictions(n_members=4, n_samples=400)
    plain = LogisticRegression().fit(X[:200], y[:200])
    one = RiskCoverageDisplay.from_estimator(plain, X[200:], y[200:])
    proba = plain.predict_proba(X[200:])
    two = RiskCoverageDisplay.from_predictions(
        y[200:], proba.argmax(axis=1), proba.max(axis=1), ax=one.ax_
    )
    assert_array_equal(one.selective_risk, two.selective_risk)
    assert one.line_.get_color() != two.line_.get_color()
    selective = SelectiveClassifier(plain, method="coverage", target=0.7)
    selective.fit(X[:200], y[:200])
    display = RiskCoverageDisplay.from_estimator(selective, X[200:], y[200:])
    answered = ~selective.abstains(X[200:])
    assert display.chosen == answered.mean()
    labels = selective.predict(X[200:])
    mark = display.ax_.lines[-1]
    assert_allclose(mark.get_xdata(), answered.mean())
    wrong = labels[answered] != y[200:][answered]
    assert_allclose(mark.get_ydata(), wrong.mean())


def test_refusals(answers):
    y, labels, confidence = answers
    draw = RiskCoverageDisplay.from_predictions
    with pytest.raises(ValueError, match="confidence is NaN"):
        draw(y, labels, np.where(confidence > 0.5, np.nan, confidence))
    with pytest.raises(ValueError, match=r"labels \(3,\)"):
        draw(y, labels[:3], confidence)
    with pytest.raises(ValueError, match="does not ascend"):
        RiskCoverageDisplay([0.5, 0.2], [0.1, 0.1], 10)
    with pytest.raises(ValueError, match="expected equal ones"):
        RiskCoverageDisplay([0.5, 1.0], [0.1], 10)
    with pytest.raises(ValueError, match="confidence_level is 95"):
        draw(y, labels, confidence, confidence_level=95)
    X = confidence[:, None]
    with pytest.raises(ValueError, match="Ridge has no predict_proba"):
        RiskCoverageDisplay.from_estimator(Ridge().fit(X, y), X, y)
    model = LogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match="confidence is 'sure'"):
        RiskCoverageDisplay.from_estimator(model, X, y, confidence="sure")
