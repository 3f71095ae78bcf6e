"""Attributions on which members agree, and how alike two explanations are."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binom, binomtest, spearmanr

from ensemblekit import attribution_consistency, selective_attributions


def oracle(values, alpha, top_k=None):
    """Feature by feature with scipy's test."""
    n_members, n_samples, n_features = values.shape
    kept = np.zeros((n_samples, n_features))
    for i in range(n_samples):
        top = [
            sorted(range(n_features), key=lambda f: (-abs(row[f]), f))[: top_k or 0]
            for row in values[:, i]
        ]
        for f in range(n_features):
            own = values[:, i, f]
            plus, minus = int((own > 0).sum()), int((own < 0).sum())
            if plus == minus or (own.mean() > 0) != (plus > minus) or not own.mean():
                continue
            passes = binomtest(plus, plus + minus).pvalue <= alpha
            if top_k:
                inside = sum(f in one for one in top)
                passes &= inside > n_members / 2
                passes &= binomtest(inside, n_members).pvalue <= alpha
            kept[i, f] = own.mean() if passes else 0.0
    return kept


@pytest.mark.parametrize("top_k", [None, 1, 3])
@pytest.mark.parametrize("n_members", [1, 6, 15])
def test_equals_the_oracle(n_members, top_k):
    rng = np.random.default_rng(n_members)
    centre = rng.normal(size=(40, 5)) * [0.1, 0.5, 1, 2, 3]
    values = np.round(centre + 0.7 * rng.normal(size=(n_members, 40, 5)), 1)
    found = selective_attributions(values, 0.1, top_k=top_k)
    assert_allclose(found.attributions, oracle(values, 0.1, top_k), rtol=1e-12)
    assert_array_equal(found.accepted, found.attributions != 0.0)
    assert_array_equal(found.accepted, found.p_value <= 0.1)
    assert found.accepted.any() == (n_members > 1)


def test_a_mean_of_the_other_sign_is_dropped():
    values = np.full((12, 1, 1), 0.1)
    values[0] = -9.0
    found = selective_attributions(values)
    assert not found.accepted[0, 0]
    assert found.attributions[0, 0] == 0.0
    assert found.p_value[0, 0] == 1.0


def test_the_wrong_sign_is_as_rare_as_promised():
    rng = np.random.default_rng(0)
    n_draws = 40_000
    values = np.where(rng.random((10, n_draws, 1)) < 0.55, 1.0, -1.0)
    wrong = int((selective_attributions(values).attributions < 0).sum())
    assert binom.sf(wrong - 1, n_draws, 0.05) > 1e-6
    assert wrong > 0


def test_selection_makes_explanations_more_alike():
    rng = np.random.default_rng(1)
    strength = np.array([2.0, -1.5, 1.0] + [0.02, -0.02] * 6)

    def explain():
        return strength + rng.normal(size=(20, 300, 15))

    plain = [explain().mean(axis=0) for _ in range(2)]
    selective = [selective_attributions(explain()).attributions for _ in range(2)]
    before = attribution_consistency(*plain).mean()
    after = attribution_consistency(*selective).mean()
    assert after > before + 0.05


def test_spearman_equals_scipy():
    rng = np.random.default_rng(2)
    first, second = rng.integers(-3, 4, size=(2, 50, 6)).astype(float)  # ties
    found = attribution_consistency(first, second)
    expected = [spearmanr(a, b).statistic for a, b in zip(first, second, strict=True)]
    assert_allclose(found, expected, atol=1e-12)
    assert_allclose(attribution_consistency(first, 2 * first + 1), 1.0, rtol=1e-12)
    assert_allclose(attribution_consistency(first, -first), -1.0, rtol=1e-12)
    flat = attribution_consistency([[0.0, 0.0], [1.0, 2.0]], [[1.0, 2.0]] * 2)
    assert_array_equal(np.isnan(flat), [True, False])


def test_top_k_overlap():
    first = [[5.0, -4.0, 3.0, 0.0], [1.0, 1.0, 1.0, 1.0]]
    second = [[-5.0, 0.0, 4.0, 3.0], [0.0, 0.0, 3.0, 2.0]]

    def overlap(k):
        return attribution_consistency(first, second, method="top_k", top_k=k)

    assert_array_equal(overlap(1), [1.0, 0.0])
    assert_array_equal(overlap(2), [0.5, 0.0])  # of four equal ones the first two
    assert_array_equal(overlap(4), [1.0, 1.0])


def test_refusals():
    with pytest.raises(ValueError, match=r"shape \(2, 2\); expected \(n_members"):
        selective_attributions(np.ones((2, 2)))
    with pytest.raises(ValueError, match="member 1, row 0, feature 0"):
        selective_attributions([[[1.0]], [[np.nan]]])
    with pytest.raises(ValueError, match="top_k is 3; expected at most the 2"):
        selective_attributions(np.ones((6, 1, 2)), top_k=3)
    with pytest.raises(ValueError, match="alpha is 2"):
        selective_attributions(np.ones((6, 1, 2)), 2)
    with pytest.raises(ValueError, match="expected the same rows"):
        attribution_consistency(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="not finite"):
        attribution_consistency([[np.inf]], [[1.0]])
    with pytest.raises(ValueError, match="expected 'spearman' or 'top_k'"):
        attribution_consistency([[1.0]], [[1.0]], method="ssim")
    with pytest.raises(ValueError, match="top_k is 0"):
        attribution_consistency([[1.0]], [[1.0]], method="top_k", top_k=0)
