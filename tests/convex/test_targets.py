"""Several targets: P of shape (n, m * T), member by member."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import ConvexRegressor
from tests import oracles

SCALARS = ["objective_", "loss_", "duality_gap_", "ridge_", "n_iter_"]


@pytest.fixture
def target_predictions(regression_predictions):
    """Factory n_targets -> P (n, 6 * T), Y (n, T), weight; and P of each target."""

    def make(n_targets):
        parts = [regression_predictions(seed=seed) for seed in range(n_targets)]
        Ps = [P + 0.3 * t for t, (P, _, _) in enumerate(parts)]
        P = np.stack(Ps, axis=2).reshape(150, -1)
        return P, np.column_stack([y for _, y, _ in parts]), parts[0][2], Ps

    return make


LOSSES = [
    {},
    {"loss": "huber", "delta": 0.3},
    {"loss": "pinball", "level": 0.3, "tol": 1e-6},
    {"loss": "absolute_error", "tol": 1e-6},
]


@pytest.mark.parametrize("n_targets", [2, 3])
@pytest.mark.parametrize("options", LOSSES, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_shared_weights_are_those_of_stacked_rows(
    target_predictions, n_targets, options, weighted
):
    P, Y, weight, Ps = target_predictions(n_targets)
    weight = weight if weighted else None
    found = ConvexRegressor(ridge=0.1, **options).fit(P, Y, weight)
    stacked = ConvexRegressor(ridge=0.1, **options)
    many = None if weight is None else np.tile(weight, n_targets)
    stacked.fit(np.vstack(Ps), Y.T.ravel(), many)
    pinball = found.loss in ("pinball", "absolute_error")
    tolerance = 1e-4 if pinball else 1e-10
    assert_allclose(found.weights_, stacked.weights_, atol=tolerance)
    assert_allclose(
        found.objective_, stacked.objective_, rtol=2e-6 if pinball else 1e-9
    )
    assert found.weights_.shape == (6,)
    mixture = np.stack(Ps, axis=2).transpose(1, 0, 2)
    mixture = np.tensordot(found.weights_, mixture, 1)
    assert_allclose(found.predict(P), mixture, rtol=1e-12)
    assert found.predict(P).shape == Y.shape


def test_shared_weights_minimise_the_sum_of_errors(target_predictions):
    P, Y, weight, _ = target_predictions(2)
    found = ConvexRegressor(ridge=0).fit(P, Y, weight)
    gram = oracles.residual_gram(P, Y, weight, 2)
    best = oracles.simplex_qp_exhaustive(gram, np.zeros(6))
    assert_allclose(found.weights_, best, atol=1e-8)
    assert_allclose(2 * found.loss_, best @ gram @ best, rtol=1e-10)


def test_auto_ridge_of_shared_weights(target_predictions):
    P, Y, weight, _ = target_predictions(3)
    assert ConvexRegressor().fit(P, Y).ridge_ == 6 / 150
    found = ConvexRegressor().fit(np.hstack([P, P[:, :6]]), Y, weight)
    assert found.ridge_ == 6 / weight.sum()
    assert_array_equal(found.weights_[6:], 0.0)


PER_TARGET = [
    *LOSSES,
    {"fit_intercept": True},
    {"sum_to_one": False},
    {"fit_intercept": True, "sum_to_one": False},
    {"loss": "huber", "fit_intercept": True},
    {"ridge": "cv"},
    {"max_weight": 0.3},
]


@pytest.mark.parametrize("n_targets", [2, 3])
@pytest.mark.parametrize("options", PER_TARGET, ids=str)
def test_per_target_equals_single_fits(target_predictions, n_targets, options):
    P, Y, weight, Ps = target_predictions(n_targets)
    found = ConvexRegressor(per_target=True, **options).fit(P, Y, weight)
    assert found.weights_.shape == (n_targets, 6)
    assert found.intercept_.shape == (n_targets,)
    predictions = found.predict(P)
    assert predictions.shape == Y.shape
    for t, own in enumerate(Ps):
        single = ConvexRegressor(**options).fit(own, Y[:, t], weight)
        assert_array_equal(found.weights_[t], single.weights_)
        assert_array_equal(found.intercept_[t], single.intercept_)
        assert_allclose(predictions[:, t], single.predict(own), rtol=1e-12)
        for name in SCALARS:
            values = getattr(found, name)
            assert values.shape == (n_targets,)
            assert values[t] == getattr(single, name)
        if options.get("ridge") == "cv":
            assert_array_equal(found.cv_losses_[t], single.cv_losses_)


@pytest.mark.parametrize("per_target", [False, True])
@pytest.mark.parametrize("options", LOSSES, ids=str)
def test_one_target_in_a_column(regression_predictions, per_target, options):
    P, y, weight = regression_predictions()
    single = ConvexRegressor(**options).fit(P, y, weight)
    found = ConvexRegressor(per_target=per_target, **options)
    found.fit(P, y[:, None], weight)
    assert found.weights_.shape == ((1, 6) if per_target else (6,))
    assert_array_equal(np.squeeze(found.weights_), single.weights_)
    assert found.predict(P).shape == (150,)
    assert_allclose(found.predict(P), single.predict(P))


def test_one_target_in_a_column_with_intercept(regression_predictions):
    P, y, _ = regression_predictions()
    single = ConvexRegressor(fit_intercept=True).fit(P, y)
    for per_target in (False, True):
        found = ConvexRegressor(fit_intercept=True, per_target=per_target)
        found.fit(P, y[:, None])
        assert_array_equal(np.squeeze(found.intercept_), single.intercept_)


def test_per_target_without_targets(regression_predictions):
    P, y, _ = regression_predictions()
    found = ConvexRegressor(per_target=True).fit(P, y)
    assert_array_equal(found.weights_, ConvexRegressor().fit(P, y).weights_)
    assert found.weights_.shape == (6,)


@pytest.mark.parametrize(
    "switches", [{"fit_intercept": True}, {"sum_to_one": False}], ids=str
)
def test_shared_weights_refuse_what_differs(target_predictions, switches):
    P, Y, _, _ = target_predictions(2)
    with pytest.raises(ValueError, match=r"y has 2 targets.*set per_target=True"):
        ConvexRegressor(**switches).fit(P, Y)


@pytest.mark.parametrize("per_target", [False, True])
def test_columns_that_are_no_multiple_are_refused(target_predictions, per_target):
    P, Y, _, _ = target_predictions(2)
    match = "11 columns, which is not a multiple of the 2 targets in y"
    with pytest.raises(ValueError, match=match):
        ConvexRegressor(per_target=per_target).fit(P[:, :-1], Y)


@pytest.mark.parametrize("per_target", [False, True])
def test_no_number_among_targets(target_predictions, per_target):
    P, Y, _, _ = target_predictions(2)
    combiner, bad = ConvexRegressor(per_target=per_target), P.copy()
    bad[40, 7] = np.nan
    with pytest.raises(ValueError, match=r"column 'x7' \(1 row, first at row 40\)"):
        combiner.fit(bad, Y)
    Y[33, 1] = np.inf
    with pytest.raises(ValueError, match="y is NaN or infinity at row 33"):
        combiner.fit(P, Y)


def test_reports_of_shared_weights(target_predictions):
    P, Y, weight, _ = target_predictions(2)
    fitted = ConvexRegressor(ridge=0).fit(P, Y, weight)
    rows = fitted.explain(P, Y, weight)
    assert [row["name"] for row in rows] == [f"x{2 * j}" for j in range(6)]
    kept = np.delete(np.arange(12), [0, 1])
    refit = ConvexRegressor(ridge=0).fit(P[:, kept], Y, weight)
    assert_allclose(rows[0]["loss_without"], refit.loss_, rtol=1e-10)
    path = fitted.regularization_path(P, Y, weight, ridges=[0.5])
    single = ConvexRegressor(ridge=0.5).fit(P, Y, weight)
    assert_array_equal(path.weights[0], single.weights_)
