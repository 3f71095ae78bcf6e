"""The selective vote on arrays."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binom, binomtest

from ensemblekit import _votes, selective_cutoffs, selective_vote, vote_counts
from ensemblekit._votes import CORRECTIONS, corrected, least_members, p_values

from . import oracles_votes as oracles

CUTS = {
    0.05: "6:6 7:7 8:8 9:8 10:9 11:10 12:10 13:11 14:12 15:12 16:13 17:13 18:14 19:15 "
    "20:15 25:18 30:21 50:33 100:61",
    0.01: "8:8 10:10 15:13 20:17 30:23 50:35 100:64",
}


@pytest.mark.parametrize("alpha", CUTS)
def test_cutoffs_of_the_note(alpha):
    for pair in CUTS[alpha].split():
        n_members, cut = map(int, pair.split(":"))
        assert selective_cutoffs(alpha, n_members)[-1] == cut
        assert selective_cutoffs(alpha, 150)[n_members] == cut


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.001, 0.1, 0.5])
def test_decisions_are_those_of_binomtest(alpha):
    cut = selective_cutoffs(alpha, 200)
    m, a = np.meshgrid(np.arange(1, 201), np.arange(201), indexing="ij")
    p = np.minimum(1.0, 2.0 * binom.sf(a - 1, m, 0.5))  # of scipy's test: see below
    leads = (a <= m) & (2 * a >= m)
    expected = (p <= alpha) & (2 * a != m)
    assert_array_equal((a >= cut[m])[leads], expected[leads])


def test_decisions_and_p_values_call_by_call():
    for m in [*range(1, 41), 77, 143, 200]:
        a = np.arange((m + 1) // 2, m + 1)
        expected = np.array([binomtest(int(k), m).pvalue for k in a])
        found = p_values(a, m - a)
        assert_allclose(found, expected, rtol=0, atol=1e-14)
        for alpha in (0.05, 0.01, 0.001):
            accepted = a >= selective_cutoffs(alpha, m)[m]
            assert_array_equal(accepted, (expected <= alpha) & (2 * a != m))


def test_p_value_equal_to_alpha_is_accepted():
    assert selective_cutoffs(0.0625, 5)[5] == 5  # 2 / 2**5, with no rounding
    assert selective_cutoffs(0.0624, 5)[5] == 6
    assert selective_vote([[1] * 5], 0.0625).accepted[0]


@pytest.mark.parametrize(
    ("alpha", "least"), [(0.1, 5), (0.05, 6), (0.01, 8), (0.001, 11), (0.0625, 5)]
)
def test_fewest_members(alpha, least):
    assert least_members(alpha) == least
    cut = selective_cutoffs(alpha, 20)
    assert (cut[:least] == 21).all()
    assert cut[least] == least


VOTES = st.tuples(st.integers(1, 12), st.integers(1, 14), st.integers(1, 5)).flatmap(
    lambda shape: st.tuples(
        arrays(np.int8, shape[:2], elements=st.integers(-1, shape[2] - 1)),
        st.just(shape[2]),
    )
)


@given(VOTES, st.sampled_from([0.05, 0.3, 0.5]))
@settings(deadline=None, max_examples=150)
def test_equals_the_oracle(drawn, alpha):
    votes, n_classes = drawn
    labels, accepted, p = oracles.selective_vote(votes, n_classes, alpha)
    members_first = np.ascontiguousarray(votes.T).T
    counts = vote_counts(votes, n_classes)
    for found in (
        selective_vote(votes, alpha, n_classes=n_classes),
        selective_vote(votes.astype(np.int64), alpha, n_classes=n_classes),
        selective_vote(members_first, alpha, n_classes=n_classes),
        selective_vote(counts=counts, alpha=alpha),
    ):
        assert_array_equal(found.labels, labels)
        assert_array_equal(found.accepted, accepted)
        assert_allclose(found.p_value, p, rtol=1e-12)
    expected = (votes[:, :, None] == np.arange(n_classes)).sum(axis=1)
    assert_array_equal(counts, expected)
    assert_array_equal(vote_counts(members_first, n_classes), expected)


def test_many_rows_in_both_layouts():
    rng = np.random.default_rng(0)
    votes = rng.integers(-1, 130, size=(9000, 7))  # more than a block; int16
    for array in (votes, np.asfortranarray(votes), votes[:, ::-1], votes[::2]):
        counts = vote_counts(array, 130)
        assert_array_equal(counts.sum(axis=1), (array >= 0).sum(axis=1))
        assert_array_equal(counts[:, 17], (array == 17).sum(axis=1))
        vote = selective_vote(array, 0.3)
        assert_array_equal(vote.labels, counts.argmax(axis=1))


@pytest.mark.parametrize("n_classes", [1, 2, 5, 9, 10, 11])
@pytest.mark.parametrize("n_members", [1, 31, 32, 70, 1100])
def test_more_votes_than_a_field_holds(n_members, n_classes):
    rng = np.random.default_rng(n_members)
    votes = rng.integers(-1, n_classes, size=(66, n_members)).astype(np.int8)
    votes[0] = n_classes - 1
    expected = (votes[:, :, None] == np.arange(n_classes)).sum(axis=1)
    for array in (votes, np.asfortranarray(votes)):
        assert_array_equal(vote_counts(array, n_classes), expected)


@pytest.mark.parametrize("n_classes", [3, 40])
@pytest.mark.parametrize("wrong", [-2, 40, 100])
@pytest.mark.parametrize("row", [0, 63, 64, 4999])
def test_a_vote_out_of_range_is_named_in_any_layout(n_classes, wrong, row):
    votes = np.zeros((5000, 4), np.int8)
    votes[row, 3] = wrong
    for array in (votes, np.asfortranarray(votes), votes.astype(np.int64)):
        for call in (vote_counts, selective_vote):
            with pytest.raises(
                ValueError, match=rf"hold {wrong} \(row {row}, member 3"
            ):
                call(array, n_classes=n_classes)


@pytest.mark.parametrize("alpha", [0.3, 0.05, 0.001, 1e-99, 1e-300])
def test_cutoffs_of_many_votes_equal_whole_numbers(alpha):
    found = selective_cutoffs(alpha, 2500)
    expected = np.full(2501, 2501)
    for m, a in _votes._cutoffs_in_whole_numbers(alpha, 2500):
        expected[m] = a
    assert_array_equal(found, expected)


def test_counts_of_many_members_are_decided_by_the_same_test():
    m = 100_000
    best = np.array([50_309, 50_310, 50_311, 50_500, m // 2, m])
    found = selective_vote(counts=np.column_stack([m - best, best]))
    expected = [binomtest(int(a), m).pvalue for a in best]
    assert_allclose(found.p_value, expected, rtol=1e-9)
    assert_array_equal(found.accepted, np.array(expected) <= 0.05)
    assert_array_equal(found.accepted, best >= selective_cutoffs(0.05, m)[m])


def test_whole_numbers_settle_what_floats_cannot():
    m = 1200  # the level is the p-value itself, or less by one part in 1e16
    tail = sum(comb(m, k) for k in range(640, m + 1))
    level = Fraction(2 * tail, 2**m)
    assert _votes._wins_in_whole_numbers(640, m, level)
    assert not _votes._wins_in_whole_numbers(640, m, level - Fraction(1, 2**m))
    assert not _votes._wins_in_whole_numbers(639, m, level)
    pair, near = np.array([640, 560]), float(level)
    for alpha in (near, np.nextafter(near, 0.0), np.nextafter(near, 1.0)):
        expected = level <= _votes.exact_alpha(alpha)
        found = _votes.wins(pair[:1], pair[1:], np.array([near]), alpha)
        assert found[0] == expected


def test_128_classes_of_one_byte():
    votes = np.full((3, 6), 127, dtype=np.int8)
    assert_array_equal(selective_vote(votes).labels, [127] * 3)
    assert_array_equal(vote_counts(votes, 128)[:, 127], [6] * 3)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64])
def test_counts_of_any_integer_type(dtype):
    counts = np.array([[120, 80], [90, 110], [100, 100]], dtype=dtype)
    found = selective_vote(counts=counts)
    assert_array_equal(found.labels, [0, 1, 0])
    assert_array_equal(found.accepted, [True, False, False])
    assert_allclose(found.p_value[0], binomtest(120, 200).pvalue, rtol=1e-12)


def test_invariances():
    rng = np.random.default_rng(1)
    votes = (rng.random((400, 21, 1)) > np.sort(rng.random((400, 1, 2)))).sum(axis=2)
    plain = selective_vote(votes, n_classes=3)
    permuted = selective_vote(votes[:, rng.permutation(21)], n_classes=3)
    for a, b in zip(plain, permuted, strict=True):
        assert_array_equal(a, b)
    relabel = np.array([2, 0, 1])
    moved = selective_vote(relabel[votes], n_classes=3)
    assert_array_equal(moved.accepted, plain.accepted)
    apart = plain.p_value < 1.0
    assert_array_equal(moved.labels[apart], relabel[plain.labels][apart])
    before = np.ones(400, bool)
    for alpha in (0.5, 0.1, 0.05, 0.01, 0.001):
        accepted = selective_vote(votes, alpha).accepted
        assert not (accepted & ~before).any()
        before = accepted
    assert before.any()


def test_ties_missing_votes_and_unanimity():
    tie = selective_vote([[0, 1] * 20, [-1] * 40], 0.9, n_classes=3)
    assert_array_equal(tie.accepted, [False, False])
    assert_array_equal(tie.p_value, [1.0, 1.0])
    assert_array_equal(tie.labels, [0, 0])
    for n_members in range(1, 12):
        accepted = selective_vote(np.ones((1, n_members), int)).accepted[0]
        assert accepted == (n_members >= 6)


@pytest.mark.parametrize("correction", ["holm", "benjamini-hochberg"])
def test_corrections(correction):
    rng = np.random.default_rng(2)
    twin = {"holm": oracles.holm, "benjamini-hochberg": oracles.benjamini_hochberg}
    kept = []
    for n_rows in (1, 2, 30, 500):
        votes = (rng.random((n_rows, 25)) < rng.random((n_rows, 1)) ** 0.3).astype(int)
        found = selective_vote(votes, 0.2, correction=correction)
        expected = twin[correction](found.p_value, 0.2)
        assert_array_equal(found.accepted, expected)
        assert not (found.accepted & ~selective_vote(votes, 0.2).accepted).any()
        kept.append(found.accepted.mean())
    assert 0 < kept[-1] < 1
    unanimous = selective_vote(np.ones((4, 20), int), correction=correction)
    assert unanimous.accepted.all()


def test_corrections_of_any_p_values():
    twins = (oracles.holm, oracles.benjamini_hochberg)
    rng = np.random.default_rng(5)
    for n_rows in (1, 2, 3, 7):
        for _ in range(200):
            p = rng.random(n_rows) ** 2
            for name, twin in zip(CORRECTIONS, twins, strict=True):
                assert_array_equal(corrected(p, 0.4, name), twin(p, 0.4))
    steps = np.array([0.4, 0.1, 0.2])  # 0.4 / 4 to 0.4 / 1, at the bounds
    assert corrected(np.append(steps, 0.4 / 3), 0.4, "holm").all()
    assert corrected(np.array([0.3, 0.4, 0.35]), 0.4, "benjamini-hochberg").all()


def test_holm_keeps_the_chance_of_any_wrong_answer():
    rng = np.random.default_rng(3)
    n_draws, wrong = 2000, 0
    for _ in range(n_draws):  # coins: any answer is by chance
        votes = rng.integers(0, 2, size=(50, 20))
        wrong += selective_vote(votes, 0.2, correction="holm").accepted.any()
    assert binom.sf(wrong - 1, n_draws, 0.2) > 1e-6
    assert wrong > 0


def test_refusals():
    with pytest.raises(ValueError, match=r"votes hold 3 \(row 1, member 0\).*0 to 2"):
        vote_counts([[0, 1], [3, 1]], 3)
    with pytest.raises(ValueError, match=r"votes hold -2"):
        vote_counts([[0, -2]])
    with pytest.raises(ValueError, match="float64; expected whole numbers"):
        vote_counts([[0.0, np.nan]])
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        vote_counts([0, 1])
    with pytest.raises(ValueError, match="one of them"):
        selective_vote()
    with pytest.raises(ValueError, match="one of them"):
        selective_vote([[0]], counts=[[1]])
    with pytest.raises(ValueError, match="negative at row 1"):
        selective_vote(counts=[[1, 2], [1, -2]])
    with pytest.raises(ValueError, match="counts have shape"):
        selective_vote(counts=[[0.5, 0.5]])
    with pytest.raises(ValueError, match="expected None, 'holm'"):
        selective_vote([[0]], correction="bonferroni")
    for alpha in (0.0, 1.0, np.nan):
        with pytest.raises(ValueError, match="inside"):
            selective_vote([[0]], alpha)
    with pytest.raises(ValueError, match="n_members is 0"):
        selective_cutoffs(0.05, 0)


def test_votes_stay_untouched():
    votes = np.array([[0, 1, 1], [1, 1, 1]], dtype=np.int8)
    votes.setflags(write=False)
    selective_vote(votes)
    assert_array_equal(votes, [[0, 1, 1], [1, 1, 1]])
