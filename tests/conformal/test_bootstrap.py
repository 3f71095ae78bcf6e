"""Jackknife+-after-bootstrap from predictions alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from ensemblekit import InfeasibleRankWarning, jackknife_after_bootstrap_interval

from . import oracles_cross


def random_case(rng, n, n_bags):
    """Bags of which no row is in all."""
    in_bag = rng.random((n, n_bags)) < 0.63
    in_bag[np.arange(n), rng.integers(0, n_bags, n)] = False
    y, own = rng.normal(size=n), rng.normal(size=(n, n_bags))
    return y, in_bag, own, rng.normal(size=(4, n_bags))


@pytest.mark.parametrize("aggregation", ["mean", "median"])
@pytest.mark.filterwarnings("ignore::ensemblekit.InfeasibleRankWarning")
def test_equals_masks_and_sorts(aggregation):
    rng = np.random.default_rng(0)
    literal = {"mean": np.mean, "median": np.median}[aggregation]
    for _ in range(100):
        case = random_case(rng, rng.integers(1, 40), rng.integers(1, 12))
        found = jackknife_after_bootstrap_interval(
            *case, [0.1, 0.5], aggregation=aggregation
        )
        for j, alpha in enumerate([0.1, 0.5]):
            wanted = oracles_cross.after_bootstrap(*case, alpha, literal)
            assert_allclose(found[:, :, j], wanted, rtol=0, atol=1e-13)


def test_rows_in_every_bag_are_dropped_and_lower_the_rank():
    rng = np.random.default_rng(1)
    y, in_bag, own, new = random_case(rng, 10, 6)
    in_bag[[3, 7]] = True
    with pytest.warns(UserWarning, match="2 of 10 rows are in every bag"):
        found = jackknife_after_bootstrap_interval(y, in_bag, own, new, 0.2)
    kept = ~in_bag.all(axis=1)
    wanted = jackknife_after_bootstrap_interval(
        y[kept], in_bag[kept], own[kept], new, 0.2
    )
    assert_array_equal(found, wanted)
    with (
        pytest.warns(UserWarning, match="2 of 10 rows"),
        pytest.warns(InfeasibleRankWarning, match="8 calibration rows"),
    ):
        found = jackknife_after_bootstrap_interval(y, in_bag, own, new, 0.1)
    assert_array_equal(np.abs(found), np.inf)


def test_what_a_bag_predicts_for_its_own_rows_is_not_read():
    rng = np.random.default_rng(2)
    y, in_bag, own, new = random_case(rng, 30, 6)
    before = jackknife_after_bootstrap_interval(y, in_bag, own, new)
    own[in_bag] = np.nan
    after = jackknife_after_bootstrap_interval(y, in_bag, own, new)
    assert_array_equal(before, after)
    own[~in_bag] = np.nan
    with pytest.raises(ValueError, match="bag_predictions has NaN"):
        jackknife_after_bootstrap_interval(y, in_bag, own, new)


def test_one_bag_for_each_row_without_it_is_jackknife_plus():
    rng = np.random.default_rng(3)
    n = 30
    y, own, new = rng.normal(size=n), rng.normal(size=(n, n)), rng.normal(size=(5, n))
    found = jackknife_after_bootstrap_interval(y, ~np.eye(n, dtype=bool), own, new)
    wanted = oracles_cross.plus(new, np.abs(y - np.diag(own)), 0.1)
    assert_array_equal(found, wanted)


@pytest.mark.parametrize("aggregation", ["mean", "median"])
def test_coverage_is_at_least_the_proven(aggregation):
    rng = np.random.default_rng(4)
    n, n_bags, alpha, draws, hits = 25, 20, 0.2, 1500, 0
    for sample in rng.standard_t(3, size=(draws, n + 1)):
        y = sample[:n]
        picks = rng.integers(0, n, (n_bags, n))
        in_bag = np.zeros((n, n_bags), bool)
        in_bag[picks.T, np.arange(n_bags)] = True
        in_bag[in_bag.all(axis=1), 0] = False  # once in ten thousand
        means = y[picks].mean(axis=1)
        own = np.broadcast_to(means, (n, n_bags))
        low, high = jackknife_after_bootstrap_interval(
            y, in_bag, own, means[None], alpha, aggregation=aggregation
        )[0]
        hits += low <= sample[n] <= high
    assert stats.binomtest(hits, draws, 0.6, alternative="less").pvalue > 1e-4
    # Usual is 1 - alpha: here within 3 %.
    assert stats.binomtest(hits, draws, 0.83, alternative="greater").pvalue > 1e-4
    assert stats.binomtest(hits, draws, 0.77, alternative="less").pvalue > 1e-4


GOOD = {
    "y": np.zeros(4),
    "in_bag": np.eye(4, 3, dtype=bool),
    "bag_predictions": np.zeros((4, 3)),
    "new_predictions": np.zeros((2, 3)),
    "alpha": 0.4,
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": [0.0, np.nan, 0, 0]}, "y has NaN, first at row 1"),
        ({"in_bag": np.eye(4, 3)}, "float64; expected bools"),
        ({"in_bag": np.eye(3, dtype=bool)}, r"bools of shape \(4, n_bags\)"),
        ({"new_predictions": np.zeros((2, 2))}, "in_bag has 3 columns and .* 2"),
        ({"bag_predictions": np.zeros((3, 3))}, r"\(3, 3\); expected \(4, 3\)"),
        ({"new_predictions": [[0.0, 0.0, np.inf]]}, "infinite value, first at row 0"),
        ({"aggregation": "max"}, "aggregation is 'max'"),
        ({"in_bag": np.ones((4, 3), bool)}, "Every row is in every bag"),
    ],
)
def test_refusals_name_the_cause(changed, message):
    with pytest.raises(ValueError, match=message):
        jackknife_after_bootstrap_interval(**{**GOOD, **changed})
