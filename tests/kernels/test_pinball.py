import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit.convex.losses import Pinball, SmoothPinball
from ensemblekit.kernels import pinball


def draw(seed=0, n=200):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n) * rng.choice([1e-3, 1, 100], n)
    z[:5] = 0.0
    return z, rng.exponential(size=n), rng.uniform(0.01, 0.99, n)


def value(z, level):
    return np.maximum(-level * z, (1.0 - level) * z)


def test_the_mean_is_that_of_the_definition():
    z, share, level = draw()
    assert_allclose(pinball.mean(z, share, 0.3), share @ value(z, 0.3), rtol=1e-13)
    assert_allclose(pinball.mean(z, share, level), share @ value(z, level), rtol=1e-13)
    loss = Pinball(level, scale=2.0)
    assert_allclose(loss.mean(z, share), share @ loss.value(z), rtol=1e-13)


@pytest.mark.parametrize("band", [1e-3, 0.5, 20.0])
def test_rounding_stays_below_by_an_eighth_of_the_band(band):
    z, share, level = draw()
    one = np.ones(1)
    for tau in (level, np.full(len(z), 0.9)):
        smooth = np.array(
            [pinball.smooth_mean(z[[i]], one, tau[[i]], band) for i in range(len(z))]
        )
        lost = value(z, tau) - smooth
        assert lost.min() >= -1e-12 * np.abs(z).max()
        assert lost.max() <= band / 8 + 1e-12
        total = pinball.smooth_mean(z, share, tau, band)
        assert_allclose(total, share @ smooth, rtol=1e-12)
    assert_allclose(pinball.smooth_mean(z, share, 0.9, band), total, rtol=1e-12)


@pytest.mark.parametrize("band", [1e-3, 0.5, 20.0])
def test_slopes_are_those_of_the_rounded_loss(band):
    z, _, level = draw()
    slope = pinball.smooth_slope(z, level, band)
    assert (slope >= -level).all()
    assert (slope <= 1.0 - level).all()
    assert_array_equal(slope[np.abs(z) > band] > 0, z[np.abs(z) > band] > 0)
    one, h = np.ones(1), 1e-6 * band
    for i in range(0, len(z), 7):
        ahead, behind = (
            pinball.smooth_mean(z[[i]] + side, one, level[[i]], band)
            for side in (h, -h)
        )
        # Values far out have few digits left of such a step.
        room = 1e-6 + 1e-15 * abs(z[i]) / h
        assert_allclose((ahead - behind) / (2 * h), slope[i], atol=room)
    scaled = SmoothPinball(Pinball(level, scale=2.0), band)
    assert_allclose(scaled.slope(z), 2.0 * slope)


def test_slopes_stay_finite_for_any_residual():
    z = np.array([1e290, -1e290, 1e-290, 0.0])
    for level in (0.01, 0.99):
        slope = pinball.smooth_slope(z, level, 1e-10)
        assert_array_equal(slope[:2], [1.0 - level, -level])
        assert np.isfinite(pinball.smooth_mean(z, np.full(4, 0.25), level, 1e-10))


def test_local_mixtures():
    rng = np.random.default_rng(0)
    residuals, levels = rng.normal(size=(4, 3, 30)), np.array([0.1, 0.4, 0.5, 0.8])
    weights, share = rng.dirichlet(np.ones(3), 30).T.copy(), rng.dirichlet(np.ones(30))

    def mean(weights):
        z = np.einsum("tji,ji->ti", residuals, weights)
        rows = [pinball.smooth_mean(z[t], share, levels[t], 0.3) for t in range(4)]
        return np.mean(rows)

    found, slope = pinball.local_mean(residuals, weights, share, levels, 0.3)
    assert_allclose(found, mean(weights), rtol=1e-12)
    for j, i in [(0, 0), (2, 7), (1, 29)]:
        step = np.zeros((3, 30))
        step[j, i] = 1e-6
        numeric = (mean(weights + step) - mean(weights - step)) / 2e-6
        assert_allclose(slope[j, i], numeric, atol=1e-9)
