import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import metrics

from ensemblekit import evaluate_loss
from ensemblekit.losses import LOSSES


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    return rng.normal(size=50), rng.normal(size=50), rng.uniform(size=50)


@pytest.fixture(params=[2, 4])
def probabilities(request):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(request.param), size=80)
    return np.arange(80) % request.param, p, rng.uniform(size=80)


def test_regression_losses_equal_scikit_learn(values):
    y, prediction, w = values
    for name, metric in [
        ("squared_error", metrics.mean_squared_error),
        ("absolute_error", metrics.mean_absolute_error),
    ]:
        expected = metric(y, prediction, sample_weight=w)
        assert_allclose(evaluate_loss(name, y, prediction, w), expected)
    expected = metrics.mean_pinball_loss(y, prediction, alpha=0.2, sample_weight=w)
    assert_allclose(evaluate_loss("pinball", y, prediction, w, level=0.2), expected)


def test_huber_joins_its_two_halves():
    y = np.array([0.5, 1.0, 3.0])
    found = [evaluate_loss("huber", [v], [0.0], delta=1.0) for v in y]
    assert_allclose(found, [0.125, 0.5, 2.5])


def test_classification_losses_equal_scikit_learn(probabilities):
    y, p, w = probabilities
    expected = metrics.log_loss(y, p, sample_weight=w)
    assert_allclose(evaluate_loss("log_loss", y, p, w), expected)
    expected = 1.0 - metrics.accuracy_score(y, p.argmax(axis=1), sample_weight=w)
    assert_allclose(evaluate_loss("zero_one", y, p, w), expected)
    squares = ((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1)
    squares = squares / 2 if p.shape[1] == 2 else squares
    assert_allclose(evaluate_loss("brier", y, p, w), np.average(squares, weights=w))


def test_brier_of_two_classes_equals_scikit_learn():
    y, p = np.array([0, 1, 1]), np.array([0.2, 0.6, 0.9])
    found = evaluate_loss("brier", y, np.column_stack([1 - p, p]))
    assert_allclose(found, metrics.brier_score_loss(y, p))


def test_log_loss_of_impossible_truth_is_finite():
    assert_allclose(evaluate_loss("log_loss", [1], [[1.0, 0.0]]), 36.04365, rtol=1e-6)


def test_auc():
    y, p = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    found = evaluate_loss("auc", y, np.column_stack([1 - p, p]))
    assert_allclose(found, 1 - metrics.roc_auc_score(y, p))
    with pytest.raises(ValueError, match=r"'auc' needs two classes.*got 1 classes"):
        evaluate_loss("auc", [1, 1], [[0.5, 0.5]] * 2)


def test_table():
    assert [loss.code for loss in LOSSES.values()] == list(range(8))
    with pytest.raises(ValueError, match=r"Unknown loss 'rmse'.*'squared_error'"):
        evaluate_loss("rmse", [0], [0])


def test_labels_need_their_classes():
    p = np.array([[0.9, 0.1], [0.2, 0.8]])
    for labels in (["no", "yes"], [-1, 1], [False, True], [5.0, 7.0]):
        found = evaluate_loss("log_loss", labels, p, classes=np.unique(labels))
        assert_allclose(found, evaluate_loss("log_loss", [0, 1], p))
    swapped = evaluate_loss(
        "log_loss", ["no", "yes"], p[:, ::-1], classes=["yes", "no"]
    )
    assert_allclose(swapped, evaluate_loss("log_loss", [0, 1], p))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("squared_error", [1.0, 2.0], [[1.0], [2.0]]), "needs y of shape"),
        (("squared_error", [1.0, 2.0], [1.0]), "needs y of shape"),
        (("log_loss", [-1, 1], [[0.5, 0.5]] * 2), r"label -1 \(row 0\).*Give classes="),
        (("log_loss", ["a", "b"], [[0.5, 0.5]] * 2), "label 'a'"),
        (("brier", [0, 1], [0.5, 0.5]), "2 dimension"),
        (("zero_one", [0, 1], [[np.nan, 0.5], [0.5, 0.5]]), "NaN or infinite at row 0"),
        (("squared_error", [1.0, 2.0], [1.0, 2.0], [1.0, -1.0]), "non-negative"),
        (("squared_error", [1.0, 2.0], [1.0, 2.0], [0.0, 0.0]), "not all zero"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate_loss(*arguments)


def test_small_integers_do_not_wrap_around():
    y, prediction = np.array([0, 5], np.uint8), np.array([20, 5], np.uint8)
    assert evaluate_loss("squared_error", y, prediction) == 200.0
