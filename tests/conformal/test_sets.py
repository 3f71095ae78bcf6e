"""Sets from probabilities: twins, degenerate cases, exact coverage, peers."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import stats

from ensemblekit import (
    InfeasibleRankWarning,
    conformal_rank,
    conformal_set_scores,
    conformal_sets,
)

from . import oracles_sets as oracles

METHODS = ["lac", "aps", "raps", "top_k"]
OPTIONS = {"raps": {"regularization": 0.125, "k_reg": 2}}


def draw(n, n_classes, seed=0, ties=False):
    """Probabilities and labels that follow them; with ties in eighths."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(n_classes, 0.7), n)
    if ties:
        p = rng.multinomial(8, p) / 8
    y = (rng.random((n, 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return p, y, rng.random(n)


def twin_options(method):
    if method != "raps":
        return {}
    return {"penalty": 0.125, "k_reg": 2}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_classes", [2, 3, 7, 40])
@pytest.mark.parametrize("ties", [False, True])
def test_scores_equal_the_twin(method, n_classes, ties):
    p, y, u = draw(30, n_classes, n_classes, ties)
    kwargs = {"method": method, "uniforms": u, **OPTIONS.get(method, {})}
    expected = oracles.scores(p, method, u, **twin_options(method))
    ours = conformal_set_scores(p, **kwargs)
    assert_array_equal(ours, expected)
    own = conformal_set_scores(p, y, **kwargs)
    assert_array_equal(own, ours[np.arange(30), y])


@given(
    counts=st.lists(
        st.lists(st.integers(0, 4), min_size=3, max_size=3).filter(any),
        min_size=2,
        max_size=12,
    ),
    alpha=st.sampled_from([0.1, 0.25, 0.4, 0.5, 0.75]),
    method=st.sampled_from(METHODS),
    by_class=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_sets_equal_the_twin(counts, alpha, method, by_class, seed):
    p = np.array(counts, float)
    p /= p.sum(axis=1, keepdims=True)
    rng = np.random.default_rng(seed)
    n = len(p) // 2
    y, u = rng.integers(0, 3, n), rng.integers(0, 3, len(p)) / 2
    kwargs = {"method": method, **OPTIONS.get(method, {})}
    new = conformal_set_scores(p[n:], uniforms=u[n:], **kwargs)
    own = conformal_set_scores(p[:n], y, uniforms=u[:n], **kwargs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InfeasibleRankWarning)
        ours = conformal_sets(new, own, alpha, y_calibration=y if by_class else None)
    twin = oracles.sets(
        p[n:], p[:n], y, alpha, method, u[n:], u[:n], by_class, **twin_options(method)
    )
    assert_array_equal(ours, twin)


def test_one_column_is_the_second_of_two_classes():
    p = np.array([0.2, 0.5, 0.9])
    both = np.column_stack([1 - p, p])
    for method in METHODS:
        expected = conformal_set_scores(both, method=method)
        assert_array_equal(conformal_set_scores(p, method=method), expected)
        assert_array_equal(conformal_set_scores(p[:, None], method=method), expected)


@pytest.mark.parametrize("method", ["aps", "raps", "top_k"])
def test_sets_shrink_as_new_rows_count_more_of_the_own_mass(method):
    p, y, u = draw(400, 6)
    own = conformal_set_scores(p[:200], y[:200], method=method, uniforms=u[:200])
    sets = [
        conformal_sets(
            conformal_set_scores(p[200:], method=method, uniforms=v), own, 0.2
        )
        for v in (np.ones(200), u[200:], np.zeros(200))
    ]
    assert (sets[0] <= sets[1]).all()
    assert (sets[1] <= sets[2]).all()
    assert sets[0].sum() < sets[1].sum() < sets[2].sum()


@pytest.mark.parametrize("method", ["aps", "raps", "top_k"])
def test_calibration_at_one_contains_the_randomised(method):
    """u = 1 raises every calibration score, hence the threshold."""
    p, y, u = draw(400, 6)
    new = conformal_set_scores(p[200:], method=method, uniforms=u[200:])
    own = conformal_set_scores(p[:200], y[:200], method=method, uniforms=u[:200])
    full = conformal_set_scores(p[:200], y[:200], method=method)
    sets, larger = conformal_sets(new, own, 0.2), conformal_sets(new, full, 0.2)
    assert (sets <= larger).all()
    assert sets.sum() < larger.sum()


def test_raps_without_penalty_is_aps():
    p, _, u = draw(50, 5, ties=True)
    aps = conformal_set_scores(p, method="aps", uniforms=u)
    assert_array_equal(conformal_set_scores(p, method="raps", uniforms=u), aps)
    late = {"regularization": 0.5, "k_reg": 5}
    raps = conformal_set_scores(p, method="raps", uniforms=u, **late)
    assert_array_equal(raps, aps)


@pytest.mark.parametrize("method", METHODS)
def test_sets_are_nested_in_alpha(method):
    p, y, u = draw(300, 8)
    own = conformal_set_scores(p[:200], y[:200], method=method, uniforms=u[:200])
    new = conformal_set_scores(p[200:], method=method, uniforms=u[200:])
    alphas = [0.02, 0.1, 0.3, 0.6, 0.95]
    sets = conformal_sets(new, own, alphas)
    assert sets.shape == (100, 8, 5)
    assert (sets[..., 1:] <= sets[..., :-1]).all()
    for a, alpha in enumerate(alphas):
        assert_array_equal(sets[..., a], conformal_sets(new, own, alpha))


def test_one_class_conditional_is_marginal_and_others_are_in():
    p, _, _ = draw(60, 3)
    y = np.zeros(40, int)
    own = conformal_set_scores(p[:40], y)
    new = conformal_set_scores(p[40:])
    with pytest.warns(InfeasibleRankWarning, match="0 calibration rows of one class"):
        sets = conformal_sets(new, own, 0.1, y_calibration=y)
    assert_array_equal(sets[:, 0], conformal_sets(new, own, 0.1)[:, 0])
    assert sets[:, 1:].all()


def test_class_conditional_equals_a_split_for_each_class():
    p, y, u = draw(600, 3)
    kwargs = {"method": "aps"}
    own = conformal_set_scores(p[:300], y[:300], uniforms=u[:300], **kwargs)
    new = conformal_set_scores(p[300:], uniforms=u[300:], **kwargs)
    sets = conformal_sets(new, own, 0.2, y_calibration=y[:300])
    for c in range(3):
        alone = conformal_sets(new, own[y[:300] == c], 0.2)
        assert_array_equal(sets[:, c], alone[:, c])


def test_too_few_rows_give_all_classes_and_one_warning():
    p, y, _ = draw(8, 3)
    scores = conformal_set_scores(p)
    with pytest.warns(InfeasibleRankWarning, match="8 calibration rows") as caught:
        sets = conformal_sets(scores, scores[np.arange(8), y], [0.05, 0.1, 0.5])
    assert len(caught) == 1
    assert sets[..., :2].all()
    assert not sets[..., 2].all()


@pytest.mark.parametrize("method", ["aps", "raps", "top_k"])
@pytest.mark.parametrize(("n", "alpha"), [(19, 0.1), (50, 0.3)])
def test_randomised_coverage_is_exact(method, n, alpha):
    """One new row of each draw: covered with probability k / (n + 1), exactly."""
    n_draws = 4000
    p, y, u = draw(n_draws * (n + 1), 4, seed=n)
    kwargs = {"method": method, **OPTIONS.get(method, {})}
    own = conformal_set_scores(p, y, uniforms=u, **kwargs).reshape(n_draws, n + 1)
    covered = sum(conformal_sets(row[None, :1], row[1:], alpha)[0, 0] for row in own)
    low, high = stats.binom.interval(
        1 - 1e-6, n_draws, conformal_rank(n, alpha) / (n + 1)
    )
    assert low <= covered <= high


def test_coverage_given_calibration_is_beta():
    """Randomised APS of the true probabilities: its scores are uniform."""
    n, alpha = 99, 0.1
    p, y, u = draw(1500 * n, 5, seed=3)
    own = conformal_set_scores(p, y, method="aps", uniforms=u)
    assert stats.kstest(own, "uniform").pvalue > 1e-3
    k = conformal_rank(n, alpha)
    found = np.sort(own.reshape(1500, n), axis=1)[:, k - 1]
    assert stats.kstest(found, stats.beta(k, n + 1 - k).cdf).pvalue > 1e-3


def test_only_whole_scores_cover_more_than_asked():
    """k / (n + 1) where scores are continuous, u = 1 or not; more for whole ranks."""
    n, n_draws, alpha = 19, 4000, 0.3
    p, y, _ = draw(n_draws * (n + 1), 4)
    asked = stats.binom(n_draws, conformal_rank(n, alpha) / (n + 1))
    for method in ("lac", "top_k"):
        own = conformal_set_scores(p, y, method=method).reshape(n_draws, n + 1)
        count = sum(conformal_sets(s[None, :1], s[1:], alpha)[0, 0] for s in own)
        assert count >= asked.ppf(1e-6)
        assert (count > asked.ppf(1 - 1e-6)) == (method == "top_k")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conformal_set_scores([[0.5, 0.6]]), "do not sum to 1.*row 0"),
        (lambda: conformal_set_scores([[np.nan, 0.6]]), "NaN or values outside"),
        (lambda: conformal_set_scores([[1.5, -0.5]]), "NaN or values outside"),
        (lambda: conformal_set_scores(np.ones((1, 1, 1))), r"shape \(1, 1, 1\)"),
        (lambda: conformal_set_scores([[0.5, 0.5]], [2]), "codes 0 to 1"),
        (lambda: conformal_set_scores([[0.5, 0.5]], ["a"]), "codes 0 to 1"),
        (lambda: conformal_set_scores([[0.5, 0.5]], [0, 1]), r"shape \(2,\)"),
        (lambda: conformal_set_scores([[0.5, 0.5]], method="best"), "method is 'best'"),
        (lambda: conformal_set_scores([0.5], uniforms=[1.5]), r"in \[0, 1\]"),
        (lambda: conformal_sets([0.5], [0.5]), r"shape \(1,\)"),
        (lambda: conformal_sets([[0.5]], [[0.5]]), r"shape \(1, 1\)"),
        (lambda: conformal_sets([[np.nan]], [0.5]), "scores have NaN"),
        (lambda: conformal_sets([[0.5]], [0.5, np.nan]), "first at row 1"),
        (lambda: conformal_sets([[0.5]], [0.5], 1.0), r"inside \(0, 1\)"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_infinite_scores_count():
    own = [0.1, np.inf, 0.2]
    assert_array_equal(conformal_sets([[0.15, 9.0]], own, 0.5), [[True, False]])
    assert_array_equal(conformal_sets([[0.15, 9.0]], own, 0.25), [[True, True]])


def test_sums_are_clipped_to_one():
    scores = conformal_set_scores([[0.25, 0.7504]], method="aps")
    assert_array_equal(scores, [[1.0, 0.7504]])
