import re
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.integrate import quad

from ensemblekit import crps_from_ensemble, crps_from_quantiles, pinball_loss
from ensemblekit.kernels.crps import pool_gram

LEVELS = np.array([0.1, 0.25, 0.5, 0.9])
RULES = ["linear", "flat", "step"]
KINDS = ["plain", "fair", "almost_fair"]


def draw(n_levels=4, n=30, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    Q = np.sort(2 * rng.normal(size=(n, n_levels)), axis=1)
    y = 3 * rng.normal(size=n)
    if ties:
        Q, y = np.round(Q), np.round(y)
    return y, Q, rng.integers(0, 4, n).astype(float)


def quantile_function(q, levels, rule):
    """The quantile function of one row, and where it bends."""
    if rule == "step":
        middles = (levels[1:] + levels[:-1]) / 2
        return lambda t: q[np.searchsorted(middles, t)], middles
    if rule == "flat" or len(levels) == 1:
        return lambda t: np.interp(t, levels, q), levels
    first = q[0] - (q[1] - q[0]) / (levels[1] - levels[0]) * levels[0]
    last = q[-1] + (q[-1] - q[-2]) / (levels[-1] - levels[-2]) * (1 - levels[-1])
    return lambda t: np.interp(t, [0, *levels, 1], [first, *q, last]), levels


def crps_by_levels(y, q, levels, rule):
    """Twice the integral of the pinball loss over the levels, numerically."""
    quantile, bends = quantile_function(q, levels, rule)

    def pinball(t):
        return max(t * (y - quantile(t)), (t - 1) * (y - quantile(t)))

    points = np.array([0, *bends, 1])
    fine = [np.linspace(a, b, 20) for a, b in pairwise(points)]
    edges = np.unique(np.concatenate(fine))
    pairs = pairwise(edges)
    return 2 * sum(quad(pinball, a, b, epsabs=1e-10)[0] for a, b in pairs)


def crps_by_values(y, q, levels, rule):
    """The integral of (F - 1{y <= z})**2 over the values, by a fine sum."""
    quantile, _ = quantile_function(q, levels, rule)
    t = (np.arange(200_000) + 0.5) / 200_000
    values = np.sort(np.array(quantile(t)))
    edges = np.sort(np.append(values, y))
    middle = (edges[1:] + edges[:-1]) / 2
    F = np.searchsorted(values, middle, side="right") / len(values)
    return np.sum((F - (middle >= y)) ** 2 * np.diff(edges))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("ties", [False, True])
def test_quantiles_by_both_integrals(rule, ties):
    y, Q, _ = draw(n=8, ties=ties)
    y[0], y[1] = Q[0, 0] - 20.0, Q[1, 3] + 20.0
    found = crps_from_quantiles(y, Q, LEVELS, rule=rule, average=False)
    rows = list(zip(y, Q, strict=True))
    by_levels = [crps_by_levels(v, q, LEVELS, rule) for v, q in rows]
    assert_allclose(found, by_levels, rtol=1e-6, atol=1e-7)
    by_values = [crps_by_values(v, q, LEVELS, rule) for v, q in rows]
    assert_allclose(found, by_values, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("level", [0.2, 0.5])
def test_one_level_is_an_atom(rule, level):
    y, Q, _ = draw(1)
    found = crps_from_quantiles(y, Q, [level], rule=rule, average=False)
    assert_allclose(found, np.abs(y - Q[:, 0]), rtol=1e-14)


def test_the_step_rule_is_the_score_of_the_pool_of_one():
    y, Q, weight = draw(n=200)
    masses = np.diff((LEVELS[1:] + LEVELS[:-1]) / 2, prepend=0.0, append=1.0)
    expected = pool_gram(Q, y, weight, masses)[0, 0]
    found = crps_from_quantiles(y, Q, LEVELS, weight, rule="step")
    assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_many_levels_tend_to_the_normal_and_to_twice_the_pinball(rule):
    levels = (np.arange(2000) + 0.5) / 2000
    y = np.array([-2.5, -0.3, 0.0, 1.0, 4.0])
    Q = np.tile(stats.norm.ppf(levels), (5, 1))
    found = crps_from_quantiles(y, Q, levels, rule=rule, average=False)
    assert_allclose(found, normal_crps(y), atol=2e-3)
    pinball = 2 * pinball_loss(y, Q, levels, average=False).mean(axis=1)
    assert_allclose(found, pinball, atol=2e-3)


def normal_crps(y):
    return y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / np.sqrt(np.pi)


def test_linear_tails_are_exact_for_a_uniform():
    y, levels = np.linspace(-1, 2, 13), np.array([0.3, 0.4, 0.8])
    Q = np.tile(levels, (len(y), 1))
    inside = np.clip(y, 0, 1)
    exact = np.abs(y - inside) + inside**3 / 3 + (1 - inside) ** 3 / 3
    found = crps_from_quantiles(y, Q, levels, average=False)
    assert_allclose(found, exact, rtol=1e-13)


@pytest.mark.parametrize("rule", RULES)
def test_quantiles_in_other_units(rule):
    y, Q, _ = draw()
    plain = crps_from_quantiles(y, Q, LEVELS, rule=rule, average=False)
    for scale, offset in [(1e-200, 0), (1e200, 0), (1.0, 1e9)]:
        moved = crps_from_quantiles(
            scale * y + offset, scale * Q + offset, LEVELS, rule=rule, average=False
        )
        assert_allclose(moved, scale * plain, rtol=1e-5 if offset else 1e-12)
    mirrored = crps_from_quantiles(
        -y, -Q[:, ::-1], 1 - LEVELS[::-1], rule=rule, average=False
    )
    assert_allclose(mirrored, plain, rtol=1e-12)


# Ensembles.
def literal_crps(y, x, kind):
    m = len(x)
    spread = sum(abs(a - b) for a in x for b in x)
    plain = np.mean([abs(a - y) for a in x]) - spread / (2 * m * m)
    if kind == "plain":
        return plain
    fair = np.mean([abs(a - y) for a in x]) - spread / (2 * m * (m - 1))
    return fair if kind == "fair" else 0.95 * fair + 0.05 * plain


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n_draws", [2, 3, 10])
def test_ensembles_are_their_definition(kind, ties, n_draws):
    y, X, weight = draw(n_draws, n=60, ties=ties)
    X = np.random.default_rng(1).permuted(X, axis=1)
    expected = [literal_crps(v, x, kind) for v, x in zip(y, X, strict=True)]
    found = crps_from_ensemble(y, X, kind=kind, average=False)
    assert_allclose(found, expected, rtol=1e-11, atol=1e-13)
    assert_allclose(
        crps_from_ensemble(y, X, weight, kind=kind),
        np.average(expected, weights=weight),
    )


def test_almost_fair_is_the_formula_of_its_paper():
    y, X, _ = draw(7)
    m, epsilon = 7, 0.05 / 7
    spread = np.abs(X[:, :, None] - X[:, None, :]).sum(axis=(1, 2))
    paper = np.abs(X - y[:, None]).mean(axis=1)
    paper -= (1 - epsilon) / (2 * m * (m - 1)) * spread
    found = crps_from_ensemble(y, X, kind="almost_fair", average=False)
    assert_allclose(found, paper, rtol=1e-11)


@pytest.mark.parametrize("n_draws", [2, 3, 8])
def test_fair_is_unbiased_and_plain_is_not(n_draws):
    rng = np.random.default_rng(n_draws)
    X, y = rng.normal(size=(40_000, n_draws)), np.full(40_000, 0.7)
    truth = normal_crps(0.7)
    for kind, unbiased in [("fair", True), ("plain", False)]:
        scores = crps_from_ensemble(y, X, kind=kind, average=False)
        error = (scores.mean() - truth) / (scores.std() / np.sqrt(len(scores)))
        assert (abs(error) < 3) == unbiased
    bias = crps_from_ensemble(y, X) - truth
    assert_allclose(bias, 1 / np.sqrt(np.pi) / n_draws, rtol=0.05)  # E|X - X'| / 2m


def test_fair_does_not_see_one_stray_draw_and_almost_fair_does():
    X = [[1.0, 1.0, 1.0, 1e6]]
    assert_allclose(crps_from_ensemble([1.0], X, kind="fair"), 0.0, atol=1e-9)
    assert crps_from_ensemble([1.0], X, kind="almost_fair") > 1e3


def test_one_draw_and_equal_draws_are_absolute_errors():
    y, X, _ = draw(1)
    found = crps_from_ensemble(y, X, average=False)
    assert_allclose(found, np.abs(y - X[:, 0]), rtol=1e-14)
    for kind in KINDS:
        found = crps_from_ensemble(y, np.tile(X, 5), kind=kind, average=False)
        assert_allclose(found, np.abs(y - X[:, 0]), rtol=1e-12)


def test_plain_is_the_step_rule_of_even_levels():
    y, X, _ = draw(5)
    levels = (np.arange(5) + 0.5) / 5
    assert_allclose(
        crps_from_ensemble(y, X, average=False),
        crps_from_quantiles(y, X, levels, rule="step", average=False),
        rtol=1e-12,
    )


def test_blocks_of_rows_are_one():
    y, X, _ = draw(50, n=6000)
    levels = np.arange(1, 51) / 51
    for score in (
        lambda y, X: crps_from_ensemble(y, X, average=False),
        lambda y, X: crps_from_quantiles(y, X, levels, average=False),
    ):
        parts = [score(y[rows], X[rows]) for rows in np.array_split(range(6000), 7)]
        assert_allclose(score(y, X), np.concatenate(parts), rtol=1e-13)


def test_an_offset_costs_few_digits():
    y, X, _ = draw(6)
    plain = crps_from_ensemble(y, X, average=False)
    moved = crps_from_ensemble(y + 2.0**30, X + 2.0**30, average=False)
    assert_allclose(moved, plain, atol=1e-6)


def test_refusals():
    y, Q, _ = draw()
    for call, message in [
        (lambda: crps_from_quantiles(y, Q, LEVELS, rule="cubic"), "rule is 'cubic'"),
        (lambda: crps_from_quantiles(y, Q[:, ::-1], LEVELS), "they cross; sort them"),
        (lambda: crps_from_quantiles(y, Q, LEVELS[::-1]), "quantile_levels[1] is 0.5"),
        (lambda: crps_from_ensemble(y, Q, kind="just"), "kind is 'just'; expected one"),
        (lambda: crps_from_ensemble(y, Q[:, :1], kind="fair"), "Use kind='plain'"),
        (lambda: crps_from_ensemble(y, Q[:9]), "draws has shape (9, 4); expected (30,"),
        (lambda: crps_from_ensemble(y, y), "draws has shape (30,); expected (30, n_"),
        (lambda: crps_from_ensemble(y, Q * np.nan), "draws is NaN or infinite (30 row"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            call()
