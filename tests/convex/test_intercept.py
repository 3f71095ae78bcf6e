"""An intercept beside weights, where the loss is not squared error."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from ensemblekit import ConvexRegressor
from ensemblekit.convex.feasible import Simplex, WithIntercept
from tests import oracles


@pytest.mark.parametrize("reach", [0.1, 1.0, 100.0])
@pytest.mark.parametrize("seed", range(5))
def test_least_of_a_quadratic_on_the_border_too(seed, reach):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(20, 4))
    H, c = rows.T @ rows, 10.0 * rng.normal(size=4)
    feasible = WithIntercept(Simplex(3), 3, reach)
    x, _ = feasible.minimise(H, c)
    assert abs(x[3]) <= reach
    assert_allclose(x[:3].sum(), 1.0)
    assert feasible.gap(H @ x - c, x) <= 1e-12 * np.abs(c).max()


@pytest.mark.parametrize("level", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("sum_to_one", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_pinball_equals_a_linear_program(
    regression_predictions, level, sum_to_one, seed
):
    P, y, weight = regression_predictions(n_samples=60, seed=seed)
    y = y + 0.3
    found = ConvexRegressor(
        loss="pinball",
        level=level,
        ridge=0,
        fit_intercept=True,
        sum_to_one=sum_to_one,
        tol=1e-6,
    ).fit(P, y, weight)
    best = oracles.pinball_program(P, y, weight, level, sum_to_one)
    assert_allclose(found.objective_, best, rtol=1e-6)
    assert found.objective_ - found.duality_gap_ <= best * (1 + 1e-9)


@pytest.mark.parametrize("offset", [0.0, 3.0, 1e6])
@pytest.mark.parametrize("sum_to_one", [True, False])
@pytest.mark.parametrize("delta", [0.05, 0.5, 5.0])
def test_huber_equals_another_solver(regression_predictions, offset, sum_to_one, delta):
    P, y, weight = regression_predictions(n_members=3)
    found = ConvexRegressor(
        loss="huber",
        delta=delta,
        ridge=0,
        fit_intercept=True,
        sum_to_one=sum_to_one,
    ).fit(P, y + offset, weight)
    assert found.n_iter_ <= 20

    def loss(x):
        residuals = oracles.huber(P @ x[:3] + x[3] - y, delta)
        return np.average(residuals, weights=weight)

    one = {"type": "eq", "fun": lambda x: x[:3].sum() - 1.0}
    other = minimize(
        loss,
        [1 / 3, 1 / 3, 1 / 3, 0.0],
        bounds=[(0, None)] * 3 + [(None, None)],
        constraints=one if sum_to_one else (),
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.objective_ <= other.fun + 1e-9
    assert_allclose(found.objective_, other.fun, rtol=1e-6)
