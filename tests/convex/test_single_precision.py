"""The Gram matrix of single precision for many members, mended by the rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ensemblekit import ConvexRegressor
from ensemblekit.convex import problem


@pytest.fixture
def predictions(monkeypatch):
    """Few members, but treated as many."""
    monkeypatch.setattr(problem, "_MANY_MEMBERS", 8)
    rng = np.random.default_rng(0)
    signal = rng.normal(size=5000)
    P = signal[:, None] + rng.normal(size=(5000, 12)) * rng.uniform(0.2, 1.0, 12)
    return P, signal + 0.5 * rng.normal(size=5000)


def fit_exactly(P, y, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(problem, "_MANY_MEMBERS", 10**9)
        return ConvexRegressor(**options).fit(P, y)


@pytest.mark.parametrize("change", ["none", "offset", "tiny", "huge"])
@pytest.mark.parametrize("ridge", [0.0, "auto"])
def test_ends_in_the_same_certificate(predictions, change, ridge):
    P, y = predictions
    scale = {"tiny": 1e-30, "huge": 1e30}.get(change, 1.0)
    offset = 1e4 if change == "offset" else 0.0
    P, y = scale * P + offset, scale * y + offset
    found, exact = (
        ConvexRegressor(ridge=ridge).fit(P, y),
        fit_exactly(P, y, ridge=ridge),
    )
    assert not hasattr(found, "gram_")
    assert found.duality_gap_ <= 1e-12 * found.objective_
    assert_allclose(found.weights_, exact.weights_, atol=1e-6)
    assert_allclose(found.loss_, exact.loss_, rtol=1e-9)


def test_members_that_single_precision_confuses_are_told_apart(predictions):
    P, y = predictions
    P = np.hstack([P, P + 1e-8 * np.random.default_rng(1).normal(size=P.shape)])
    found, exact = ConvexRegressor(ridge=0).fit(P, y), fit_exactly(P, y, ridge=0)
    assert found.duality_gap_ <= 5e-11 * found.objective_
    assert_allclose(found.loss_, exact.loss_, rtol=1e-10)


@pytest.mark.parametrize("scale", [1e12, 1e25])
def test_a_member_beyond_its_range_does_no_harm(predictions, scale):
    P, y = predictions
    P[:, 3] *= scale
    found, exact = ConvexRegressor(ridge=0).fit(P, y), fit_exactly(P, y, ridge=0)
    assert_allclose(found.weights_, exact.weights_, atol=1e-6)


def test_perfect_members(predictions):
    P, y = predictions
    P[:, 5] = y
    found = ConvexRegressor().fit(P, y)
    assert found.weights_[5] == 1.0
    assert found.loss_ == 0.0


def test_partial_fit_does_not_go_on_from_it(predictions):
    P, y = predictions
    with pytest.raises(ValueError, match="Call partial_fit from the first rows on"):
        ConvexRegressor().fit(P, y).partial_fit(P, y)
