import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit.combine._scores_base import _label_loss
from ensemblekit.selection.decision_scores import LabelScores
from ensemblekit.selection.greedy import Rules, select
from ensemblekit.selection.scores import LogScores, SquareScores
from tests import oracles
from tests.kernels.test_design import residual_gram

EPS = np.finfo(float).eps
EQUAL = np.empty(0)


def run(scores, n_rounds):
    """Picks and path of the plain rules."""
    path = select(scores, Rules(n_rounds))
    return np.array(path.picks), np.array(path.losses)


class GramScores(SquareScores):
    """Scores of a Gram matrix that is there already."""

    def __init__(self, gram):
        self.gram, self.n_members = gram, len(gram)


def select_squared_error(gram, n_rounds):
    return run(GramScores(np.ascontiguousarray(gram)), n_rounds)


def select_log_loss(base, sign, offset, weight, n_rounds, clip):
    weight = weight if len(weight) else np.ones(len(base))
    return run(LogScores(base, sign, offset, weight, clip), n_rounds)


def select_zero_one(P, y, weight, n_classes, n_rounds):
    offsets = np.zeros(n_classes)
    return run(LabelScores(P, y, weight, _label_loss("accuracy"), offsets), n_rounds)


def regression(n=100, m=7, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.standard_normal(n)
    return y[:, None] + rng.standard_normal((n, m)), y, rng.uniform(0.1, 2.0, n)


def classification(n=100, m=7, n_classes=2, seed=0):
    """Return P in scikit-learn's layout, class codes and row weights."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    logits = rng.standard_normal((n, m, n_classes))
    logits[np.arange(n), :, y] += rng.uniform(0.2, 1.5, m)
    cube = np.exp(logits)
    cube /= cube.sum(axis=2, keepdims=True)
    P = cube[:, :, 1] if n_classes == 2 else cube.reshape(n, -1)
    return P, y, rng.uniform(0.1, 2.0, n)


def true_class(P, y, n_classes):
    """Return base, sign, offset as the log-loss kernel takes them."""
    if n_classes == 2:
        return P, 2.0 * y - 1.0, 1.0 - y
    base = P.reshape(len(P), -1, n_classes)[np.arange(len(P)), :, y]
    return base, np.ones(len(P)), np.zeros(len(P))


def mean_log_loss(column):
    return -math.fsum(map(math.log, column)) / len(column)


# Against slow twins.
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("weighted", [False, True])
def test_squared_error_matches_twin(seed, weighted):
    P, y, s = regression(n=5 + 20 * seed, m=1 + seed, seed=seed)
    s = s if weighted else None
    picks, path = select_squared_error(residual_gram(P, y, s), 12)
    expected_picks, expected_path = oracles.greedy_squared_error(P, y, s, 12)
    assert_array_equal(picks, expected_picks)
    assert_allclose(path, expected_path, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 5, 16, 33, 100])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_log_loss_matches_twin(n, n_classes, weighted):
    P, y, s = classification(n, 5, n_classes, seed=n)
    arguments = true_class(P, y, n_classes)
    picks, path = select_log_loss(*arguments, s if weighted else EQUAL, 7, EPS)
    expected = oracles.greedy_log_loss(P, y, s if weighted else None, n_classes, 7)
    assert_array_equal(picks, expected[0])
    assert_allclose(path, expected[1], rtol=1e-12)
    assert picks.dtype == np.int64


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_zero_one_matches_twin(seed, n_classes, weighted):
    P, y, s = classification(10 + 60 * seed, 5, n_classes, seed=seed)
    s = s if weighted else np.ones(len(y))
    picks, path = select_zero_one(P, y, s, n_classes, 8)
    expected = oracles.greedy_zero_one(P, y, s, n_classes, 8)
    assert_array_equal(picks, expected[0])
    assert_allclose(path, expected[1], rtol=1e-12, atol=1e-15)


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3]))
@settings(max_examples=40, deadline=None)
def test_zero_one_on_quarters_full_of_ties(seed, n_classes):
    # Sums of quarters are exact, so p = 1/2 and equal classes really occur.
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 25), rng.integers(1, 5)
    P = rng.integers(0, 5, (n, m * (n_classes if n_classes > 2 else 1))) / 4.0
    y, s = rng.integers(n_classes, size=n), rng.integers(1, 3, n).astype(float)
    picks, path = select_zero_one(P, y, s, n_classes, 4)
    # Means of three picks are not exact: compare while the sums are.
    expected = oracles.greedy_zero_one(P, y, s, n_classes, 2)
    assert_array_equal(picks[:2], expected[0])
    assert_allclose(path[:2], expected[1], atol=1e-15)
    assert_allclose(path[-1], direct_error(P, y, s, n_classes, picks), atol=1e-15)


def direct_error(P, y, s, n_classes, picks):
    """Weighted error rate of the sum of the picks."""
    if n_classes == 2:
        labels = P[:, picks].sum(axis=1) > 0.5 * len(picks)
    else:
        labels = oracles.cube(P, n_classes)[picks].sum(axis=0).argmax(axis=1)
    return np.average(labels != y, weights=s)


# Accuracy of the log of products.
@pytest.mark.parametrize("n", [1, 15, 17, 1023, 1025, 5000, 50_000])
def test_product_of_rows_is_as_exact_as_one_log_per_row(n):
    P = np.exp(np.random.default_rng(n).uniform(np.log(1e-15), 0.0, (n, 3)))
    losses = [mean_log_loss(P[:, j]) for j in range(3)]
    picks, path = select_log_loss(P, np.ones(n), np.zeros(n), EQUAL, 1, EPS)
    assert picks[0] == np.argmin(losses)
    assert_allclose(path[0], min(losses), rtol=4e-15)


def test_later_rounds_are_exact_too():
    n = 20_000
    P = np.random.default_rng(0).uniform(0.05, 1.0, (n, 6))
    picks, path = select_log_loss(P, np.ones(n), np.zeros(n), EQUAL, 20, EPS)
    for t in (1, 6, 19):
        mixture = [math.fsum(row) / (t + 1) for row in P[:, picks[: t + 1]]]
        assert_allclose(path[t], mean_log_loss(mixture), rtol=4e-15)


def test_all_rows_nearly_impossible():
    P = np.full((4096, 2), 1e-15)
    picks, path = select_log_loss(P, np.ones(4096), np.zeros(4096), EQUAL, 3, EPS)
    assert_array_equal(picks, 0)
    assert_allclose(path, 34.538776394910684, rtol=4e-15)


@pytest.mark.parametrize("weight", [EQUAL, np.ones(40)])
def test_the_mixture_is_clipped_not_the_members(weight):
    P = np.full((40, 2), 0.5)
    P[:20, 0] = P[20:, 1] = 0.0
    one, zero = np.ones(40), np.zeros(40)
    picks, path = select_log_loss(P, one, zero, weight, 2, EPS)
    assert_array_equal(picks, [0, 1])
    assert_allclose(path, [-0.5 * np.log(0.5 * EPS), -np.log(0.25)], rtol=1e-14)


@pytest.mark.parametrize("weight", [EQUAL, np.ones(40)])
def test_an_impossible_row_costs_the_same_in_every_round(weight):
    one, zero = np.ones(40), np.zeros(40)
    _, path = select_log_loss(np.zeros((40, 1)), one, zero, weight, 4, EPS)
    assert_allclose(path, -np.log(EPS), rtol=1e-14)


def test_one_minus_p_keeps_its_digits_near_one():
    # A running 1 - mean(p) would lose four digits of these.
    P = 1.0 - np.random.default_rng(1).uniform(1e-12, 1e-11, (100, 3))
    arguments = P, -np.ones(100), np.ones(100)
    picks, path = select_log_loss(*arguments, EQUAL, 5, EPS)
    expected = mean_log_loss((1.0 - P)[:, picks].mean(axis=1))
    assert_allclose(path[-1], expected, rtol=1e-14)


# Weights, ties, early stops.
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("loss", ["log", "zero-one"])
def test_integer_weights_equal_repeated_rows(n_classes, loss):
    P, y, _ = classification(200, 6, n_classes)
    counts = np.random.default_rng(2).integers(0, 4, 200)
    rows, s = np.repeat(np.arange(200), counts), counts.astype(float)
    if loss == "log":
        weighted = select_log_loss(*true_class(P, y, n_classes), s, 10, EPS)
        arguments = true_class(P[rows], y[rows], n_classes)
        repeated = select_log_loss(*arguments, EQUAL, 10, EPS)
    else:
        weighted = select_zero_one(P, y, s, n_classes, 10)
        one = np.ones(len(rows))
        repeated = select_zero_one(P[rows], y[rows], one, n_classes, 10)
    assert_array_equal(weighted[0], repeated[0])
    assert_allclose(weighted[1], repeated[1], rtol=1e-12)


def test_duplicated_members_lose_to_the_lower_index():
    P, y, s = regression()
    picks, path = select_squared_error(residual_gram(P, y, s), 15)
    order = np.tile(np.arange(7), 2)
    copies = select_squared_error(residual_gram(P[:, order], y, s), 15)
    assert_array_equal(copies[0], picks)
    assert_allclose(copies[1], path, rtol=1e-12)

    P, y, s = classification()
    for n_rounds in (1, 9):
        doubled = select_log_loss(*true_class(P[:, order], y, 2), s, n_rounds, EPS)
        single = select_log_loss(*true_class(P, y, 2), s, n_rounds, EPS)
        assert_array_equal(doubled[0], single[0])


def test_a_difference_in_the_last_bits_is_a_tie():
    gram = np.diag([1.0 + 4 * EPS, 1.0, 1.0 - 4 * EPS])
    assert select_squared_error(gram, 1)[0][0] == 0


def test_more_rounds_keep_the_first_picks():
    P, y, s = regression()
    gram = residual_gram(P, y, s)
    picks, path = select_squared_error(gram, 1000)
    assert_array_equal(picks[:50], select_squared_error(gram, 50)[0])
    mixture = P[:, picks].mean(axis=1)
    assert_allclose(path[-1], np.average((mixture - y) ** 2, weights=s), rtol=1e-12)


def test_perfect_member_stops_the_selection():
    P, y, s = classification()
    P[:, 3] = y
    for picks, path in (
        select_squared_error(residual_gram(P, y, s), 9),
        select_log_loss(*true_class(P, y, 2), EQUAL, 9, EPS),
        select_log_loss(*true_class(P, y, 2), s, 9, EPS),
        select_zero_one(P, y, s, 2, 9),
    ):
        assert_array_equal(picks, [3])
        assert_array_equal(path, [0.0])


def test_perfect_mixture_stops_the_selection():
    gram = np.array([[1.0, -1.0, 0.5], [-1.0, 1.0, -0.5], [0.5, -0.5, 2.0]])
    picks, path = select_squared_error(gram, 9)
    assert_array_equal(picks, [0, 1])
    assert_array_equal(path, [1.0, 0.0])


def test_one_member():
    P, y, s = classification(m=1)
    for picks, path in (
        select_squared_error(residual_gram(P, y, s), 4),
        select_log_loss(*true_class(P, y, 2), s, 4, EPS),
        select_zero_one(P, y, s, 2, 4),
    ):
        assert_array_equal(picks, 0)
        assert_allclose(path, path[0])


def test_offset_keeps_the_picks():
    P, y, s = regression(500, 12)
    picks, _ = select_squared_error(residual_gram(P, y, s), 30)
    shifted, _ = select_squared_error(residual_gram(P + 1e6, y + 1e6, s), 30)
    assert_array_equal(picks, shifted)


# Input forms.
@pytest.mark.parametrize("n_classes", [2, 3])
def test_memory_order_and_dtype_do_not_matter(n_classes, tmp_path):
    P, y, s = classification(300, 4, n_classes)
    P = P.astype(np.float32)
    np.save(tmp_path / "P.npy", P)
    mapped = np.load(tmp_path / "P.npy", mmap_mode="r")
    wide = P.astype(float)
    expected = (
        select_log_loss(*true_class(wide, y, n_classes), EQUAL, 6, EPS),
        select_zero_one(wide, y, s, n_classes, 6),
    )
    for other in (P, np.asfortranarray(P), mapped):
        ours = (
            select_log_loss(*true_class(other, y, n_classes), EQUAL, 6, EPS),
            select_zero_one(other, y, s, n_classes, 6),
        )
        for found, wanted in zip(ours, expected, strict=True):
            assert_array_equal(found[0], wanted[0])
            assert_allclose(found[1], wanted[1], rtol=1e-14)


def test_inputs_stay_untouched():
    P, y, s = classification()
    copies = P.copy(), y.copy(), s.copy()
    select_log_loss(*true_class(P, y, 2), s, 5, EPS)
    select_zero_one(P, y, s, 2, 5)
    for array, copy in zip((P, y, s), copies, strict=True):
        assert_array_equal(array, copy)
        assert array.flags.writeable
