"""Labels of candidates: rows read again from the classes kept beside P."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ensemblekit.kernels import candidates
from ensemblekit.selection.decision_scores import LabelScores


def probabilities(rng, n, m, n_classes, draw):
    logits = rng.normal(size=(n, 1, n_classes)) * 2.0
    logits = logits + rng.normal(size=(n, m, n_classes))
    P = np.exp(logits)
    P /= P.sum(axis=2, keepdims=True)
    if draw == "rounded":
        P = P.round(1)
    if draw == "equal":
        P = np.repeat(P[:, :1], m, axis=1)
    if draw == "constant":
        P[:] = P[0]
    if draw == "tied":
        P[:] = 1.0 / n_classes
    return np.ascontiguousarray(P.reshape(n, m * n_classes))


def counts_by_argmax(P, codes, weight, total, n_classes):
    """Count right rows and calls of each candidate, (m, K) each."""
    n = len(P)
    sums = total[:, None] + P.reshape(n, -1, n_classes)
    labels = sums.argmax(axis=2)
    truth = (labels == codes[:, None]) * weight[:, None]
    own = np.eye(n_classes)
    hits = np.einsum("ij,ik->jk", truth, own[codes])
    return hits, np.einsum("i,ijk->jk", weight, own[labels])


@pytest.mark.parametrize("draw", ["plain", "rounded", "equal", "constant", "tied"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("n", "m", "n_classes"), [(7, 1, 3), (203, 5, 3), (150, 9, 12)]
)
def test_counts_follow_the_argmax_in_every_round(draw, dtype, n, m, n_classes):
    rng = np.random.default_rng(n)
    P = probabilities(rng, n, m, n_classes, draw).astype(dtype)
    codes, weight = rng.integers(0, n_classes, n), rng.integers(0, 4, n) * 1.0
    codes[:n_classes], weight[:n_classes] = np.arange(n_classes), 1.0
    zeros = np.zeros(n_classes)
    counts = []

    def value(hits, predicted, true):
        counts[:] = hits, predicted
        return np.zeros(len(hits))

    scores = LabelScores(P, codes, weight, value, zeros)
    for _ in range(2):
        scores.start()
        total = np.zeros((n, n_classes))
        for _ in range(12):
            scores.losses()
            hits, predicted = counts_by_argmax(P, codes, weight, total, n_classes)
            assert_array_equal(counts[0], hits)
            assert_array_equal(counts[1], predicted)
            pick = int(rng.integers(m))
            scores.add(pick)
            total += P[:, pick * n_classes : (pick + 1) * n_classes]


@pytest.mark.parametrize("n_rows", [3, 40, 400])
def test_pairs_are_those_of_the_row_whatever_was_asked_before(n_rows):
    """Places run out in the larger tables, and the classes of a row change."""
    rng = np.random.default_rng(n_rows)
    n_classes, m = 5, 4
    P = rng.random((n_rows, m * n_classes))
    cube, pairs = P.reshape(n_rows, m, n_classes), candidates.empty_pairs(P, m)
    for _ in range(5 * n_rows):
        i = int(rng.integers(n_rows))
        a, b = np.sort(rng.choice(n_classes, 2, replace=False))
        first, second = candidates.pair_of(i, P[i], a, b, pairs)
        assert_array_equal(first, cube[i, :, a])
        assert_array_equal(second, cube[i, :, b])
    assert pairs[3][0] == len(pairs[2]) - 1 <= candidates.PAIR_SHARE * P.size / (2 * m)


def test_two_classes_keep_no_pairs():
    P = np.random.default_rng(0).random((1000, 20))
    assert candidates.empty_pairs(P, 20)[2].nbytes < 0.01 * P.nbytes


@pytest.mark.parametrize("n_picks", [1, 3])
def test_close_calls_are_those_within_the_slack(n_picks):
    rng = np.random.default_rng(n_picks)
    n, m, d = 300, 6, 4
    P, codes = rng.integers(0, 5, (n, m * d)) / 4.0, rng.integers(0, d, n)
    total = rng.integers(0, 9, (n, d)) / 4.0
    total += rng.choice([0.0, 1e-11], total.shape)
    wrong, close = np.empty((2, m))
    pairs = candidates.empty_pairs(P, m)
    candidates.close_calls(P, codes, total, n_picks, pairs, wrong, close)
    sums = total[:, None] + P.reshape(n, m, d)
    ordered = np.sort(sums, axis=2)
    near = ordered[:, :, -1] - ordered[:, :, -2] < 1e-9 * n_picks
    assert_array_equal(close, near.sum(axis=0))
    missed = sums.argmax(axis=2) != codes[:, None]
    assert_array_equal(wrong, (missed & ~near).sum(axis=0))
