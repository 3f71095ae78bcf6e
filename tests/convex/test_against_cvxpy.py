import pytest
from numpy.testing import assert_allclose

from .. import oracles
from .problems import CASES, fit, random_problem

cvxpy = pytest.importorskip("cvxpy")

LINEAR = ("absolute_error", "pinball")
SEEDS = range(102)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("loss", "n_classes"), CASES)
def test_objective_is_the_least(loss, n_classes, seed):
    problem = random_problem(loss, n_classes, seed)
    found = fit(problem)
    if loss in LINEAR and problem.ridge == 0.0:
        other = problem.solve_linprog()
    else:
        other, _ = problem.solve_cvxpy()
    least = problem.value(oracles.onto_simplex(other))
    # `least` is the value of a feasible point: nothing may prove it impossible.
    assert found.objective_ - found.duality_gap_ <= least * (1 + 1e-14)
    assert found.objective_ >= least * (1 - 1e-8)
    excess = 1e-9 if loss in LINEAR else 1e-12
    assert found.objective_ <= least * (1 + excess)


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize(("loss", "n_classes"), CASES)
def test_objective_is_the_value_of_the_weights(loss, n_classes, seed):
    problem = random_problem(loss, n_classes, seed)
    found = fit(problem)
    strength, _ = problem.penalties()
    distance = ((found.weights_ - 1 / problem.n_members) ** 2).sum()
    assert_allclose(found.objective_, problem.value(found.weights_), rtol=1e-13)
    penalty = found.objective_ - found.loss_
    assert_allclose(penalty, strength * distance, atol=1e-13 * found.objective_)
    assert 0.0 <= found.duality_gap_ <= 1e-9 * max(found.objective_, 1.0)
