"""Certificates: against every way to rewrite some members, none may be too large."""

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ensemblekit import certified_radius, kernels

from . import oracles_runoff as oracles

MOST_MEMBERS = {2: 8, 3: 8, 4: 6}


def draw_scores(rng, n_members, n_classes, abstaining=0.0):
    """One row of scores with ties inside and between members."""
    scores = rng.integers(0, 4, (n_members, 1, n_classes)).astype(float)
    scores[:, :, rng.integers(n_classes)] += rng.integers(0, 3)
    silent = rng.uniform(size=n_members) < abstaining
    scores[silent & (np.arange(n_members) > 0)] = -np.inf
    return scores


def rankings_of(scores):
    return [
        None if np.isneginf(ballot).all() else oracles.ranking(ballot)
        for ballot in scores[:, 0].tolist()
    ]


def test_changes_of_two_gaps():
    known = {(1, 2): 1, (2, 2): 2, (3, 3): 2, (4, 1): 2, (6, 0): 3, (5, 5): 4}
    for gaps, changes in known.items():
        assert kernels.runoff.changes_of_two(*gaps) == changes
    for i in range(64):
        for j in range(64):
            assert kernels.runoff.changes_of_two(i, j) == oracles.certv2(i, j)


@pytest.mark.parametrize("voting", ["runoff", "plurality"])
def test_no_certificate_is_too_large(voting):
    """438 elections; up to three members rewritten in every way."""
    rng = np.random.default_rng(0)
    n_unsound = n_tight = n_tried = 0
    for case in range(438):
        n_classes = int(rng.integers(2, 5))
        n_members = int(rng.integers(2, MOST_MEMBERS[n_classes] + 1))
        scores = draw_scores(rng, n_members, n_classes, abstaining=0.2 * (case % 2))
        rankings = rankings_of(scores)
        won = certified_radius(scores, voting=voting)
        runoff = voting == "runoff"
        assert won.winners[0] == oracles.winner(rankings, n_classes, runoff)
        radius = int(won.radius[0])
        assert radius >= 0
        members = range(n_members)
        sets = list(combinations(members, min(radius, 3)))
        n_unsound += oracles.can_turn(rankings, n_classes, sets, runoff)
        if radius < 3:
            sets = list(combinations(members, radius + 1))
            n_tight += oracles.can_turn(rankings, n_classes, sets, runoff)
            n_tried += 1
    assert n_unsound == 0
    assert n_tried > 400
    assert n_tight >= 0.99 * n_tried


@pytest.mark.parametrize("voting", ["runoff", "plurality"])
def test_no_certificate_of_buckets_is_too_large(voting):
    rng = np.random.default_rng(1)
    n_unsound = n_sure = 0
    for case in range(200):
        n_classes, n_members = int(rng.integers(2, 4)), int(rng.integers(4, 9))
        scores = draw_scores(rng, n_members, n_classes, abstaining=0.2 * (case % 2))
        shifts = rng.choice(n_members, 2, replace=False)
        buckets = (np.arange(n_members)[:, None] + shifts) % n_members
        won = certified_radius(scores, voting=voting, buckets=buckets)
        radius = int(won.radius[0])
        n_sure += radius > 0
        changed = [
            {*buckets[list(chosen)].ravel().tolist()}
            for chosen in combinations(range(n_members), min(radius, 2))
        ]
        n_unsound += oracles.can_turn(
            rankings_of(scores), n_classes, changed, voting == "runoff"
        )
    assert n_unsound == 0
    assert n_sure > 20


@pytest.mark.parametrize("voting", ["runoff", "plurality"])
def test_buckets_of_one_member_each_change_nothing(voting):
    rng = np.random.default_rng(2)
    for n_classes in (2, 3, 5):
        scores = rng.integers(0, 5, (21, 200, n_classes)) * 1.0
        scores[:, :, 0] += rng.integers(0, 2, 200)
        own = rng.permutation(21)[:, None]
        plain = certified_radius(scores, voting=voting)
        by_bucket = certified_radius(scores, voting=voting, buckets=own)
        assert_array_equal(plain.winners, by_bucket.winners)
        # Sums of what members can do are at least as exact as the closed form.
        assert (by_bucket.radius >= plain.radius).all()
        assert (by_bucket.radius == plain.radius).mean() > 0.97


def test_two_classes_have_no_run_off():
    scores = np.random.default_rng(3).integers(0, 3, (9, 300, 2))
    first = certified_radius(scores)
    second = certified_radius(scores, voting="plurality")
    assert_array_equal(first.winners, second.winners)
    assert_array_equal(first.radius, second.radius)
    votes_of_one = scores.argmax(axis=2).sum(axis=0)
    lead = np.abs(9 - 2 * votes_of_one)
    ties_for_zero = votes_of_one <= 4  # class 0 keeps an even split
    assert_array_equal(first.radius, (lead + ties_for_zero + 1) // 2 - 1)


def test_plurality_is_the_formula_of_the_first_two():
    scores = np.random.default_rng(4).uniform(size=(15, 300, 4))
    won = certified_radius(scores, voting="plurality")
    for i in range(300):
        counts = np.bincount(scores[:, i].argmax(axis=1), minlength=4)
        c1, c2 = np.argsort(-counts, kind="stable")[:2]
        gap = counts[c1] - counts[c2] + (c2 > c1)
        assert (won.winners[i], won.radius[i]) == (c1, -(-gap // 2) - 1)


def test_ties_inside_a_member_are_for_the_first_class():
    assert certified_radius([[[1.0, 1.0, 0.0]]]).winners[0] == 0
    # Classes 1 and 2 are in the final; the third member scores them alike.
    scores = [[[0, 2, 1]], [[0, 1, 2]], [[3, 1, 1]], [[0, 2, 1]], [[0, 1, 2]]]
    assert certified_radius(scores).winners[0] == 1


def test_run_off_can_overrule_the_plurality():
    scores = [[[3, 1, 2]]] * 3 + [[[1, 3, 2]]] * 2 + [[[0, 2, 1]]] * 1
    assert certified_radius(scores, voting="plurality").winners[0] == 0
    scores = [[[3, 2, 1]]] * 4 + [[[1, 3, 2]]] * 3 + [[[1, 2, 3]]] * 2
    assert certified_radius(scores, voting="plurality").winners[0] == 0
    assert certified_radius(scores).winners[0] == 1


def test_order_of_members_is_nothing_and_inputs_stay():
    scores = np.random.default_rng(5).uniform(size=(12, 50, 3))
    scores.setflags(write=False)
    order = np.random.default_rng(6).permutation(12)
    ours, theirs = certified_radius(scores), certified_radius(scores[order])
    assert_array_equal(ours.winners, theirs.winners)
    assert_array_equal(ours.radius, theirs.radius)


def test_no_row_and_one_member():
    assert certified_radius(np.zeros((3, 0, 2))).radius.shape == (0,)
    assert_array_equal(certified_radius([[[0.0, 1.0]]]).radius, [0])


def test_refusals():
    scores = np.zeros((3, 4, 2))
    scores[1, 2] = np.nan
    with pytest.raises(ValueError, match="member 1 are NaN, first at row 2"):
        certified_radius(scores)
    scores = np.zeros((3, 4, 2))
    with pytest.raises(ValueError, match="voting is 'borda'; expected 'runoff' or"):
        certified_radius(scores, voting="borda")
    with pytest.raises(ValueError, match=r"shape \(3, 4\) of float64; expected"):
        certified_radius(scores[:, :, 0])
    with pytest.raises(ValueError, match="two classes at least"):
        certified_radius(scores[:, :, :1])
    with pytest.raises(ValueError, match="expected positions below 3"):
        certified_radius(scores, buckets=[[0, 3]])
    with pytest.raises(ValueError, match="names a member twice"):
        certified_radius(scores, buckets=[[0, 1], [2, 2]])
