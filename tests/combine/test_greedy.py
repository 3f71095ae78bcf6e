import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import (
    ConvexClassifier,
    EnsembleSelectionClassifier,
    EnsembleSelectionRegressor,
    evaluate_loss,
)

from .. import oracles


def brute_force(members, loss, n_rounds):
    """The rule of the paper, cut at the first of the lowest losses."""
    picks, path = oracles.greedy(members, loss, n_rounds)
    stop = int(np.argmax(path <= path.min() + 1e-12 * abs(path.min()))) + 1
    return picks[:stop], path[:stop]


@pytest.mark.parametrize("n_members", [1, 2, 7])
@pytest.mark.parametrize("seed", range(5))
def test_regression_matches_brute_force(regression_predictions, n_members, seed):
    P, y, weight = regression_predictions(n_members=n_members, seed=seed)
    found = EnsembleSelectionRegressor(n_rounds=12).fit(P, y, sample_weight=weight)

    def loss(mean):
        return np.average((y - mean) ** 2, weights=weight)

    picks, path = brute_force(P.T, loss, 12)
    assert_array_equal(found.picks_, picks)
    assert_allclose(found.loss_path_, path, rtol=1e-10)
    assert_allclose(
        found.weights_, np.bincount(picks, minlength=n_members) / len(picks)
    )


@pytest.mark.parametrize("loss", ["log_loss", "brier", "zero_one"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_classification_matches_brute_force(
    class_predictions, loss, n_classes, weighted, seed
):
    P, y, weight = class_predictions(n_classes=n_classes, n_samples=101, seed=seed)
    weight = weight if weighted else None
    members = P.reshape(len(P), 6, -1).transpose(1, 0, 2)
    if n_classes == 2:
        members = np.concatenate([1 - members, members], axis=2)
    picks, path = brute_force(
        members, lambda mean: evaluate_loss(loss, y, mean, weight), 15
    )
    found = EnsembleSelectionClassifier(loss=loss, n_rounds=15)
    found.fit(P, y, sample_weight=weight)
    assert_array_equal(found.picks_, picks)
    assert_allclose(found.loss_path_, path, rtol=1e-12)
    combined = evaluate_loss(loss, y, found.predict_proba(P), weight)
    assert_allclose(combined, path[-1], rtol=1e-10)


def test_never_worse_than_the_best_member(class_predictions):
    P, y, _ = class_predictions(n_members=12, n_classes=3)
    found = EnsembleSelectionClassifier().fit(P, y)
    own = [evaluate_loss("log_loss", y, P[:, 3 * m : 3 * m + 3]) for m in range(12)]
    assert found.loss_path_[-1] <= min(own)
    assert_allclose(found.loss_path_[0], min(own))


def test_close_to_the_exact_optimum(class_predictions):
    P, y, _ = class_predictions(n_members=20, n_samples=600)
    greedy = EnsembleSelectionClassifier(n_rounds=50).fit(P, y)
    exact = ConvexClassifier(ridge=0).fit(P, y)
    assert exact.objective_ <= greedy.loss_path_[-1] <= exact.objective_ + 1e-3


def test_ties_go_to_the_lowest_index(regression_predictions):
    P, y, _ = regression_predictions(n_members=3)
    P = P[:, [0, 1, 2, 0, 1, 2]]
    assert EnsembleSelectionRegressor().fit(P, y).picks_.max() <= 2


def test_a_perfect_member_stops_at_once(regression_predictions, class_predictions):
    P, y, _ = regression_predictions()
    P[:, 4] = y
    assert_array_equal(EnsembleSelectionRegressor().fit(P, y).picks_, [4])
    P, y, _ = class_predictions()
    P[:, 4] = y
    found = EnsembleSelectionClassifier(loss="zero_one").fit(P, y)
    assert_array_equal(found.picks_, [4])
    assert found.loss_path_.tolist() == [0.0]


def test_more_rounds_start_alike(regression_predictions):
    P, y, _ = regression_predictions(n_members=15)
    few = EnsembleSelectionRegressor(n_rounds=50).fit(P, y)
    many = EnsembleSelectionRegressor(n_rounds=1000).fit(P, y)
    common = min(len(few.picks_), len(many.picks_))
    assert_array_equal(many.picks_[:common], few.picks_[:common])


def test_rejects_zero_rounds(regression_predictions):
    P, y, _ = regression_predictions(n_members=3)
    with pytest.raises(ValueError, match=r"n_rounds.*range \[1, inf\).*Got 0"):
        EnsembleSelectionRegressor(n_rounds=0).fit(P, y)
