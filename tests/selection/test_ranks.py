"""AUC of candidates: short keys decide alone only where values differ enough."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import roc_auc_score

from ensemblekit.selection import decision_scores
from ensemblekit.selection.decision_scores import RankScores


def spread(rng, n):
    return rng.random((n, 3))


def rounded(rng, n):
    return rng.random((n, 3)).round(2)


def close_groups(rng, n):
    return np.round(rng.random((n, 3)) * 64) / 64 + rng.random((n, 3)) * 1e-11


def few_close(rng, n):
    close = 0.25 + rng.integers(0, 3, (n, 3)) * 1e-12
    return np.where(rng.random((n, 3)) < 0.003, close, rng.random((n, 3)))


def pairs_apart_by_little(rng, n):
    P = rng.random((n, 3))
    P[1] = P[0] + 1e-12 * rng.integers(-1, 2, 3)
    return P


def close_to_one(rng, n):
    return 1.0 - rng.random((n, 3)) * 10.0 ** rng.uniform(-12, 0, (n, 3))


def constant(rng, n):
    return np.tile([0.0, 1.0, 0.5], (n, 1))


@pytest.mark.parametrize(
    "draw",
    [
        spread,
        rounded,
        close_groups,
        few_close,
        pairs_apart_by_little,
        close_to_one,
        constant,
    ],
)
@pytest.mark.parametrize("seed", range(8))
def test_losses_are_exact_whatever_is_tied(draw, seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 2000))
    P, y = draw(rng, n), rng.integers(0, 2, n)
    y[:2] = 0, 1
    scores = RankScores(P, y, np.ones(n))
    scores.start()
    total = np.zeros(n)
    for round_ in range(3):
        mixtures = (total[:, None] + P) / (round_ + 1)
        expected = [1.0 - roc_auc_score(y, mixture) for mixture in mixtures.T]
        assert_allclose(scores.losses(), expected, rtol=0, atol=1e-13)
        scores.add(round_)
        total += P[:, round_]


def errors_by_pairs(P, y, before, share, n_picks):
    """Count the pairs of every mixture one by one."""
    errors = []
    for column in P.T.astype(np.float64):
        mixture = (before + share * column) / n_picks
        positive, negative = mixture[y == 1][:, None], mixture[y == 0]
        lost = 2 * (positive < negative).sum() + (positive == negative).sum()
        errors.append(lost / (2 * positive.size * negative.size))
    return np.array(errors)


def some_rounded(rng, n, m):
    """A tile that short keys tell nothing about, amid others."""
    P = rng.random((n, m))
    P[:, m // 3 : 2 * m // 3] = P[:, m // 3 : 2 * m // 3].round(2)
    return P


def all_equal(rng, n, m):
    return np.tile(rng.random(n)[:, None], (1, m))


def some_constant(rng, n, m):
    return np.where(rng.random(m) < 0.5, rng.random(m), rng.random((n, m)))


def one_value(rng, n, m):
    return np.full((n, m), 0.5)


def two_rows_alike(rng, n, m):
    """Single ties that are looked up, some of equal values."""
    P = rng.random((n, m))
    P[n // 2 :][: n // 40] = P[: n // 40] + rng.choice([0.0, 1e-13, -1e-13], m)
    return np.clip(P, 0.0, 1.0)


@pytest.mark.parametrize(
    "draw", [some_rounded, all_equal, some_constant, one_value, two_rows_alike]
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("n", "m"), [(5, 1), (9, 17), (201, 40), (1024, 33), (1033, 150)]
)
def test_losses_count_pairs_at_any_size(draw, dtype, n, m):
    rng = np.random.default_rng(n)
    P, y = draw(rng, n, m).astype(dtype), rng.integers(0, 2, n)
    y[:2] = 0, 1
    scores = RankScores(P, y, np.ones(n))
    scores.start()
    total = np.zeros(n)
    for n_picks in (1, 2, 3):
        expected = errors_by_pairs(P, y, total, 1.0, n_picks)
        assert_array_equal(scores.losses(), expected)
        scores.add(m // 2)
        total += P[:, m // 2]
    expected = errors_by_pairs(P, y, total / 4, 0.25, 1.0)
    assert_array_equal(scores.errors(total / 4, 0.25, 1.0), expected)


def test_equal_weights_of_any_size_are_no_weights():
    rng = np.random.default_rng(0)
    P, y = rng.random((300, 20)).round(2), rng.integers(0, 2, 300)
    found = []
    for weight in (np.ones(300), np.full(300, 3.5)):
        scores = RankScores(P, y, weight)
        scores.start()
        found.append(scores.losses())
    assert_array_equal(*found)


def test_rounded_members_do_without_short_keys(monkeypatch):
    """Only the first tile of a sweep tries them."""
    tried = []
    monkeypatch.setattr(
        decision_scores, "_short_wins", lambda members, *_: tried.append(members) or -1
    )
    rng = np.random.default_rng(0)
    P, y = rng.random((200, 100)).round(2), np.arange(200) % 2
    scores = RankScores(P, y, np.ones(200))
    scores.start()
    assert_array_equal(scores.losses(), errors_by_pairs(P, y, np.zeros(200), 1.0, 1))
    assert_array_equal(np.concatenate(tried), np.arange(12))


def test_keys_of_many_members_are_not_kept():
    rng = np.random.default_rng(0)
    n = 4000
    P, y = rng.random((n, 200)), rng.integers(0, 2, n)
    scores = RankScores(P, y, np.ones(n))
    scores.start()
    scores.losses()
    tracemalloc.start()
    scores.losses()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.08 * P.nbytes
