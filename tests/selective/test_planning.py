"""Numbers of members, and bounds on contradictions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binom

from ensemblekit import (
    conflict_bound,
    estimate_agreement,
    required_members,
    selective_cutoffs,
    selective_vote,
)

from . import oracles_votes as oracles

AGREEMENTS = (0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
TABLE = {  # (alpha, target): first/stable
    (0.05, 0.20): "199/210 49/54 20/23 12/12 9/9 6/6",
    (0.05, 0.10): "263/274 65/70 28/30 15/15 9/12 6/6",
    (0.05, 0.05): "327/333 79/86 35/35 17/17 12/12 9/9",
    (0.05, 0.01): "455/468 110/117 44/47 23/23 15/15 9/9",
    (0.01, 0.10): "373/384 92/97 39/42 18/21 15/15 8/12",
    (0.01, 0.01): "596/607 144/149 59/61 29/29 21/21 12/12",
}
SAWTOOTH = ".469 .522 .570 .225 .264 .303 .111 .134 .158 .056 .068 .022 .028 .035 .011"
ABSTENTION = {
    6: (0.738, 0.469, 0.265, 0.059),
    10: (0.624, 0.264, 0.086, 0.004),
    15: (0.352, 0.056, 0.005, 0.0),
    20: (0.196, 0.011, 0.0, 0.0),
    50: (0.006, 0.0, 0.0, 0.0),
}


@pytest.mark.parametrize(("alpha", "target"), TABLE)
def test_table_of_the_note(alpha, target):
    for p, pair in zip(AGREEMENTS, TABLE[alpha, target].split(), strict=True):
        found = required_members(alpha, p, target)
        assert f"{found.n_first}/{found.n_stable}" == pair


def least_target(n_members, p, alpha=0.05):
    """Return the abstention of `n_members`: the least target that they meet."""
    return oracles.abstention(
        n_members, p, int(selective_cutoffs(alpha, 60)[n_members])
    )


def test_abstention_of_the_note():
    for n_members, row in ABSTENTION.items():
        for p, expected in zip((0.8, 0.9, 0.95, 0.99), row, strict=True):
            assert abs(least_target(n_members, p) - expected) <= 0.00051
    for n_members, expected in zip(range(6, 21), SAWTOOTH.split(), strict=True):
        assert abs(least_target(n_members, 0.9) - float(expected)) <= 0.00051


@pytest.mark.parametrize("p", [0.8, 0.9, 0.99])
def test_first_and_stable_by_the_oracle(p):
    for target in (0.3, 0.1, 0.02):
        met = {n: least_target(n, p) <= target for n in range(6, 61)}
        stable = max([n for n in met if not met[n]], default=5) + 1
        found = required_members(0.05, p, target)
        assert found == (6, min(n for n in met if met[n]), stable)


def test_mean_over_rows():
    rows = np.array([0.7, 0.9, 0.9, 0.99])
    found = required_members(0.05, rows, 0.1)
    mean = [np.mean([least_target(n, p) for p in rows]) for n in range(6, 61)]
    assert found.n_first == 6 + int(np.argmax(np.array(mean) <= 0.1))
    assert found == required_members(0.05, np.tile(rows, 3), 0.1)


@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.01, 0.001])
def test_defaults_give_the_fewest_that_can_answer(alpha):
    n_min = required_members(alpha).n_min
    assert required_members(alpha) == (n_min, n_min, n_min)
    assert selective_vote(np.ones((1, n_min), int), alpha).accepted[0]
    assert not selective_vote(np.ones((1, n_min - 1), int), alpha).accepted[0]


def test_targets_out_of_reach():
    with pytest.raises(ValueError, match=r"2000 members would abstain on 0\.95"):
        required_members(0.05, 0.5, 0.5)
    with pytest.raises(ValueError, match="10 members would abstain"):
        required_members(0.05, 0.8, 0.05, max_members=10)
    for agreement in (0.4, 1.1, np.nan, []):
        with pytest.raises(ValueError, match="agreement"):
            required_members(0.05, agreement)
    with pytest.raises(ValueError, match="abstention is 1"):
        required_members(0.05, 0.9, 1.0)


Q = {6: 0.015625, 8: 0.003906, 10: 0.010742, 15: 0.017578, 20: 0.020695, 25: 0.021643}
Q |= {30: 0.021387, 50: 0.01642, 100: 0.01760}
CONFLICT = {6: 0.000488, 10: 0.000231, 15: 0.000618, 20: 0.000857, 25: 0.000937}
CONFLICT |= {50: 0.000539, 100: 0.000620}


def test_conflict_bounds_of_the_note():
    for n_members, expected in CONFLICT.items():
        assert_allclose(conflict_bound(0.05, n_members), expected, atol=6e-7)
    for n_members, expected in Q.items():
        found = np.sqrt(conflict_bound(0.05, n_members) / 2.0)
        assert_allclose(found, expected, atol=6e-6)
    assert conflict_bound(0.05, 10, 3) == 0.00125
    assert conflict_bound(0.05, 5) == conflict_bound(0.05, 5, 3) == 0.0
    with pytest.raises(ValueError, match="n_classes is 1"):
        conflict_bound(0.05, 10, 1)


@pytest.mark.parametrize("n_members", [6, 9, 10, 20])
def test_conflicts_of_two_classes_are_bounded_exactly(n_members):
    cut = selective_cutoffs(0.05, n_members)
    bound = conflict_bound(0.05, n_members)
    for p in np.linspace(0.5, 1.0, 26):
        first, second = oracles.multinomial_answers((p, 1 - p), n_members, cut)
        assert 2 * first * second <= bound * (1 + 1e-12)
        assert second <= np.sqrt(bound / 2) * (1 + 1e-12)
    first, second = oracles.multinomial_answers((0.5, 0.5), n_members, cut)
    assert_allclose(2 * first * second, bound, rtol=1e-12)


def test_three_classes_exceed_the_bound_of_two_but_not_their_own():
    cut = selective_cutoffs(0.05, 10)
    worst, most_wrong = 0.0, 0.0
    steps = np.arange(41) / 40
    for a in steps[steps >= 0.3]:
        for b in steps[(steps <= a) & (steps <= 1 - a + 1e-12) & (a + 2 * steps >= 1)]:
            c = max(0.0, 1.0 - a - b)
            if c > b + 1e-12:
                continue
            x, y, z = oracles.multinomial_answers((a, b, c), 10, cut)
            worst = max(worst, 2 * (x * y + x * z + y * z))
            most_wrong = max(most_wrong, y + z)
    assert worst >= 0.000316 > conflict_bound(0.05, 10)
    assert most_wrong >= 0.01258
    assert worst < conflict_bound(0.05, 10, 3)
    assert most_wrong < 0.05 / 2


@pytest.mark.parametrize("p", [0.5, 0.55, 0.6, 0.8])
@pytest.mark.parametrize("n_members", [6, 10, 15, 20, 50])
def test_simulated_rates_are_within_the_bounds(p, n_members):
    rng = np.random.default_rng(int(1000 * p) + n_members)
    n_draws = 100_000
    votes = [rng.random((n_draws, n_members)) > p for _ in range(2)]
    first, second = (selective_vote(v.astype(np.int8), n_classes=2) for v in votes)
    bound = conflict_bound(0.05, n_members)
    wrong = int((first.accepted & (first.labels == 1)).sum())
    both = first.accepted & second.accepted
    conflicts = int((both & (first.labels != second.labels)).sum())
    assert binom.sf(wrong - 1, n_draws, np.sqrt(bound / 2)) > 1e-4
    assert binom.sf(conflicts - 1, n_draws, bound) > 1e-4
    if p == 0.5:  # attained there
        assert binom.cdf(wrong, n_draws, np.sqrt(bound / 2)) > 1e-4


def test_agreement_recovers_its_distribution():
    rng = np.random.default_rng(4)
    p = rng.beta(0.4, 0.4, size=4000)
    votes = rng.random((4000, 12)) < p[:, None]
    counts = np.column_stack([votes.sum(axis=1), 12 - votes.sum(axis=1)])
    found = estimate_agreement(counts)
    truth = np.quantile(np.maximum(p, 1 - p), (np.arange(200) + 0.5) / 200)
    assert np.abs(found - truth).max() < 0.02
    assert (np.diff(found) >= 0).all()
    naive = np.quantile(counts.max(axis=1) / 12, (np.arange(200) + 0.5) / 200)
    assert np.abs(naive - truth).mean() > np.abs(found - truth).mean()
    # What it is for: the abstention of another number of members.
    cut = int(selective_cutoffs(0.05, 20)[20])
    expected = np.mean([oracles.abstention(20, q, cut) for q in p])
    assert_allclose(
        np.mean([oracles.abstention(20, q, cut) for q in found]), expected, atol=0.02
    )


def test_agreement_of_unanimous_and_of_absent_votes():
    assert_allclose(estimate_agreement([[8], [8]]), 1.0, atol=1e-3)
    found = estimate_agreement([[0, 9, 1], [0, 1, 9], [0, 0, 0]])
    assert found.shape == (200,)
    with pytest.raises(ValueError, match="all 0"):
        estimate_agreement([[0, 0]])


def test_names_the_first_number_that_would_do():
    # 9 members abstain less than 10.
    with pytest.raises(ValueError, match=r"10 members .* \(9 would do, but not all"):
        required_members(0.05, 0.9, 0.25, max_members=10)
    with pytest.raises(ValueError, match=r"above abstention=0.25\. Allow more"):
        required_members(0.05, 0.9, 0.25, max_members=8)
