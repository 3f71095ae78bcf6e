import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

from ensemblekit import ConvexClassifier, ConvexRegressor, evaluate_loss
from ensemblekit.exceptions import ConvergenceWarning

from .. import oracles


@pytest.mark.parametrize("seed", range(20))
def test_regression_equals_exhaustive_search(regression_predictions, seed):
    P, y, weight = regression_predictions(n_members=7, n_samples=40, seed=seed)
    found = ConvexRegressor(ridge=0).fit(P, y, sample_weight=weight)
    residuals = P - y[:, None]
    gram = (residuals * weight[:, None]).T @ residuals / weight.sum()
    best = oracles.simplex_qp_exhaustive(gram, np.zeros(7))
    best = best[0] if isinstance(best, tuple) else best
    assert_allclose(found.weights_, best, atol=1e-8)
    assert_allclose(found.objective_, best @ gram @ best, rtol=1e-10)
    assert found.duality_gap_ <= 1e-13


def test_two_members_have_a_closed_form():
    rng = np.random.default_rng(0)
    y, noise = rng.normal(size=50), rng.normal(size=(50, 2))
    P = y[:, None] + noise
    difference = noise[:, 1] - noise[:, 0]
    w = np.clip(noise[:, 1] @ difference / (difference @ difference), 0, 1)
    assert_allclose(ConvexRegressor(ridge=0).fit(P, y).weights_, [w, 1 - w])


def test_a_perfect_member_gets_all(regression_predictions):
    P, y, _ = regression_predictions()
    P[:, 3] = y
    found = ConvexRegressor().fit(P, y)
    assert_array_equal(found.weights_, np.arange(6) == 3)
    assert found.objective_ == found.duality_gap_ == 0.0


def test_more_members_than_rows(regression_predictions):
    P, y, _ = regression_predictions(n_members=200, n_samples=50)
    found = ConvexRegressor().fit(P, y)
    assert found.duality_gap_ <= 1e-12 * max(found.objective_, 1e-3)


def _minimise_on_simplex(loss, n_members):
    """A second solver: SLSQP from several starts."""
    best = np.inf
    for start in np.vstack([np.full(n_members, 1 / n_members), np.eye(n_members)]):
        result = minimize(
            loss,
            0.9 * start + 0.1 / n_members,
            bounds=[(0, 1)] * n_members,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 500},
        )
        best = min(best, result.fun)
    return best


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("loss", ["log_loss", "brier"])
def test_classification_equals_another_solver(class_predictions, n_classes, loss):
    P, y, weight = class_predictions(n_members=5, n_classes=n_classes)
    found = ConvexClassifier(loss=loss, ridge=0).fit(P, y, sample_weight=weight)
    blocks = P.reshape(len(P), 5, -1)

    def objective(w):
        mixture = np.tensordot(blocks, w, axes=(1, 0))
        if n_classes == 2:
            mixture = np.hstack([1 - mixture, mixture])
        return evaluate_loss(loss, y, mixture, weight)

    assert_allclose(found.objective_, objective(found.weights_), rtol=1e-12)
    other = _minimise_on_simplex(objective, 5)
    assert found.objective_ <= other + 1e-9
    assert other <= found.objective_ + found.duality_gap_ + 1e-6


@pytest.mark.parametrize("n_classes", [2, 3])
def test_log_loss_equals_expectation_maximisation(class_predictions, n_classes):
    P, y, weight = class_predictions(n_classes=n_classes)
    found = ConvexClassifier(ridge=0).fit(P, y, sample_weight=weight)
    cube = P.reshape(len(P), 6, -1)
    if n_classes == 2:
        cube = np.concatenate([1 - cube, cube], axis=2)
    A = cube[np.arange(len(y)), :, y]
    best = oracles.log_loss_pool_em(A, weight)
    best = best[0] if isinstance(best, tuple) else best
    found_loss = -np.average(np.log(A @ found.weights_), weights=weight)
    best_loss = -np.average(np.log(A @ best), weights=weight)
    assert found_loss <= best_loss + 1e-12
    assert found_loss >= best_loss - 1e-5


def test_impossible_rows_do_not_move_the_weights(class_predictions):
    P, y, _ = class_predictions()
    plain = ConvexClassifier().fit(P, y)
    P = np.vstack([P, np.zeros((1, 6))])
    found = ConvexClassifier().fit(P, np.append(y, 1))
    assert_allclose(found.weights_, plain.weights_, atol=1e-7)
    assert np.isfinite(found.objective_)


def test_hard_answers_of_zero_and_one(class_predictions):
    P, y, _ = class_predictions()
    P[:, 0] = (P[:, 0] > 0.5).astype(float)
    found = ConvexClassifier().fit(P, y)
    assert found.duality_gap_ <= 1e-9
    assert np.isfinite(found.objective_)


def test_stopping_early_warns_with_the_gap(regression_predictions):
    P, y, _ = regression_predictions()
    with pytest.warns(ConvergenceWarning, match="after 1 iterations with duality gap"):
        found = ConvexRegressor(max_iter=1).fit(P, y)
    best = ConvexRegressor().fit(P, y)
    assert 0 < found.objective_ - best.objective_ <= found.duality_gap_


@pytest.mark.parametrize("case", ["scaled member", "near duplicates", "offset"])
def test_hard_data(regression_predictions, case):
    P, y, _ = regression_predictions()
    if case == "scaled member":
        P[:, 2] *= 1e6
    if case == "near duplicates":
        P = np.hstack([P, P + 1e-8 * np.random.default_rng(1).normal(size=P.shape)])
    if case == "offset":
        P, y = P + 1e8, y + 1e8
    found = ConvexRegressor().fit(P, y)
    assert found.duality_gap_ <= 1e-9 * found.objective_


def test_certificate_holds_below_the_machine_epsilon():
    P = np.array([[1e-17, 1e-30]] + [[0.5, 0.9]] * 10 + [[0.5, 0.5]])
    y = np.array([1] * 11 + [0])
    found = ConvexClassifier(ridge=0).fit(P, y)
    A = np.where(y[:, None] == 1, P, 1 - P)

    def loss(w):
        return -np.log(A @ np.array([w, 1 - w])).mean()

    grid = min(loss(w) for w in np.linspace(1e-6, 1 - 1e-6, 10_001))
    assert_allclose(found.objective_, loss(found.weights_[0]), rtol=1e-12)
    assert found.duality_gap_ <= 1e-9
    assert found.objective_ - found.duality_gap_ <= grid <= found.objective_ + 1e-6


@pytest.mark.parametrize("scale", [1e-149, 1e149])
def test_extreme_scales_give_the_same_weights(regression_predictions, scale):
    P, y, _ = regression_predictions()
    plain, scaled = (
        ConvexRegressor().fit(P, y),
        ConvexRegressor().fit(P * scale, y * scale),
    )
    assert_allclose(scaled.weights_, plain.weights_, rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-200, 1e160])
def test_scales_beyond_double_precision_are_refused(regression_predictions, scale):
    P, y, _ = regression_predictions()
    with pytest.raises(ValueError, match="too large or too small to be squared"):
        ConvexRegressor().fit(P * scale, y * scale)
