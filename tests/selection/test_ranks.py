"""AUC of candidates: short keys decide alone only where values differ enough."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import roc_auc_score

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
