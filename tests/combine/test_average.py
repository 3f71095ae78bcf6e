import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from ensemblekit import AverageClassifier, AverageRegressor


@pytest.mark.parametrize(
    ("kind", "oracle"),
    [
        ("mean", lambda P: P.mean(axis=1)),
        ("median", lambda P: np.median(P, axis=1)),
        ("geometric", stats.gmean),
    ],
)
def test_regression_equals_numpy(regression_predictions, kind, oracle):
    P, y, _ = regression_predictions()
    P = np.exp(P)
    found = AverageRegressor(kind=kind).fit(P, y).predict(P)
    assert_allclose(found, oracle(P.T) if kind == "geometric" else oracle(P))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classification_equals_numpy(class_predictions, n_classes):
    P, y, _ = class_predictions(n_classes=n_classes)
    cube = P.reshape(len(P), 6, -1)
    if n_classes == 2:
        cube = np.concatenate([1 - cube, cube], axis=2)
    for kind, oracle in [("median", np.median), ("geometric", stats.gmean)]:
        expected = oracle(cube, axis=1)
        expected /= expected.sum(axis=1, keepdims=True)
        found = AverageClassifier(kind=kind).fit(P, y).predict_proba(P)
        assert_allclose(found, expected)
    found = AverageClassifier().fit(P, y).predict_proba(P)
    assert_allclose(found, cube.mean(axis=1))


def test_a_veto_and_a_double_veto():
    P = np.array([[0.0, 0.5], [0.0, 1.0], [0.3, 0.4]])
    found = AverageClassifier(kind="geometric").fit(P, [0, 1, 1]).predict_proba(P)
    assert_array_equal(found[0], [1.0, 0.0])
    assert_array_equal(found[1], [0.5, 0.5])


def test_ranks_do_not_care_for_a_members_scale(regression_predictions):
    P, y, _ = regression_predictions()
    plain = AverageRegressor(kind="rank").fit(P, y).predict(P)
    stretched = P.copy()
    stretched[:, 0] = np.exp(3 * stretched[:, 0])
    moved = AverageRegressor(kind="rank").fit(stretched, y).predict(stretched)
    assert stats.spearmanr(plain, moved).statistic > 0.9999


def test_ranks_order_rows_as_the_mean_of_ranks(regression_predictions):
    P, y, _ = regression_predictions(n_samples=200)
    found = AverageRegressor(kind="rank").fit(P, y).predict(P)
    expected = stats.rankdata(P, axis=0).mean(axis=1)
    assert stats.spearmanr(found, expected).statistic > 0.9999
    assert P.min() <= found.min() <= found.max() <= P.max()


@pytest.mark.parametrize("n_samples", [40, 3000])
def test_one_member_ranked_is_itself(n_samples):
    rng = np.random.default_rng(0)
    P = rng.integers(0, 30, size=(n_samples, 1)) / 7.0  # with ties
    combiner = AverageRegressor(kind="rank").fit(P, np.zeros(n_samples))
    assert_allclose(combiner.predict(P), P[:, 0], rtol=1e-12, atol=1e-12)
    inside = np.linspace(P.min() + 0.3, P.max() - 0.3, 50)[:, None]
    assert_allclose(combiner.predict(inside), inside[:, 0], rtol=1e-12, atol=1e-12)
    beyond = np.array([[-99.0], [99.0]])
    assert_allclose(combiner.predict(beyond), [P.min(), P.max()])


def test_ranks_take_integer_weights_as_repeated_rows(class_predictions):
    P, y, weight = class_predictions(n_classes=3)
    copies = np.repeat(np.arange(len(y)), weight.astype(int))
    weighted = AverageClassifier(kind="rank").fit(P, y, sample_weight=weight)
    repeated = AverageClassifier(kind="rank").fit(P[copies], y[copies])
    assert_allclose(weighted.quantiles_, repeated.quantiles_, rtol=1e-12)
    assert_allclose(weighted.predict_proba(P).sum(axis=1), 1.0)


def test_geometric_means_need_positive_values(regression_predictions):
    P, y, _ = regression_predictions()
    with pytest.raises(ValueError, match="'geometric' needs positive predictions"):
        AverageRegressor(kind="geometric").fit(P, y)
    combiner = AverageRegressor(kind="geometric").fit(np.exp(P), y)
    with pytest.raises(ValueError, match="column 1 has -1"):
        combiner.predict([[1.0, -1.0, 1.0, 1.0, 1.0, 1.0]])
    with pytest.raises(ValueError, match="'kind' parameter of AverageRegressor"):
        AverageRegressor(kind="harmonic").fit(P, y)
