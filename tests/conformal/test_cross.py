"""CV+ from predictions alone: brute force, exact coverage, refusals."""

import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import stats

from ensemblekit import InfeasibleRankWarning, cross_conformal_interval

from . import oracles_cross

ALPHAS = [0.05, 0.1, 0.25, 0.5]


def random_case(rng, tied, n=None):
    n, n_folds = n or rng.integers(1, 60), rng.integers(1, 9)
    y, held_out = rng.normal(size=(2, n))
    predictions = rng.normal(size=(3, n_folds))
    if tied:
        y, held_out = np.round(y), np.round(held_out)
        predictions = np.round(predictions)
    return y, held_out, rng.integers(0, n_folds, n), predictions


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.filterwarnings("ignore::ensemblekit.InfeasibleRankWarning")
def test_equals_all_pairs_bitwise(tied, scaled):
    rng = np.random.default_rng([tied, scaled])
    for _ in range(300):
        y, held_out, folds, predictions = random_case(rng, tied)
        if rng.random() < 0.2:
            y[rng.random(len(y)) < 0.2] = np.inf
        options, scores, scales = {}, np.abs(y - held_out), None
        if scaled:
            own = rng.uniform(0.1, 2.0, len(y))
            new = rng.uniform(0.1, 2.0, predictions.shape)
            options = {"oof_scales": own, "fold_scales": new}
            scores, scales = scores / own, new[:, folds]
        found = cross_conformal_interval(
            y, held_out, folds, predictions, ALPHAS, **options
        )
        for j, alpha in enumerate(ALPHAS):
            wanted = oracles_cross.plus(predictions[:, folds], scores, alpha, scales)
            assert_array_equal(found[:, :, j], wanted)


@pytest.mark.filterwarnings("ignore::ensemblekit.InfeasibleRankWarning")
def test_minmax_equals_its_definition():
    rng = np.random.default_rng(5)
    for case in range(100):
        y, held_out, folds, predictions = random_case(rng, case % 2)
        found = cross_conformal_interval(
            y, held_out, folds, predictions, 0.1, method="minmax"
        )
        scores = np.abs(y - held_out)
        assert_array_equal(found, oracles_cross.minmax(predictions, scores, 0.1))


def test_plus_lies_within_minmax():
    rng = np.random.default_rng(6)
    y, held_out, folds, predictions = random_case(rng, False, n=80)
    plus = cross_conformal_interval(y, held_out, folds, predictions)
    outer = cross_conformal_interval(y, held_out, folds, predictions, method="minmax")
    assert (outer[:, 0] <= plus[:, 0]).all()
    assert (plus[:, 1] <= outer[:, 1]).all()


def test_scales_that_are_constant_change_nothing():
    rng = np.random.default_rng(7)
    y, held_out, folds, predictions = random_case(rng, False, n=80)
    plain = cross_conformal_interval(y, held_out, folds, predictions)
    scaled = cross_conformal_interval(
        y,
        held_out,
        folds,
        predictions,
        oof_scales=np.full(80, 4.0),
        fold_scales=np.full(predictions.shape, 4.0),
    )
    assert_array_equal(plain, scaled)  # powers of two are exact


def test_order_of_rows_and_names_of_folds_do_not_matter():
    rng = np.random.default_rng(8)
    y, held_out, folds, predictions = random_case(rng, True, n=70)
    rows, names = rng.permutation(70), rng.permutation(predictions.shape[1])
    renamed = np.empty_like(predictions)
    renamed[:, names] = predictions
    assert_array_equal(
        cross_conformal_interval(y, held_out, folds, predictions),
        cross_conformal_interval(y[rows], held_out[rows], names[folds[rows]], renamed),
    )


def test_eight_rows_are_too_few_and_nine_are_not():
    y = np.arange(9.0)
    with pytest.warns(InfeasibleRankWarning, match="8 calibration rows.*At least 9"):
        interval = cross_conformal_interval(y[:8], np.zeros(8), [0] * 8, [[1.0]])
    assert_array_equal(interval, [[-np.inf, np.inf]])
    interval = cross_conformal_interval(y, np.zeros(9), [0] * 9, [[1.0]])
    assert_array_equal(interval, [[-7.0, 9.0]])


def test_several_levels_that_are_too_small_warn_once():
    y = np.arange(20.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        interval = cross_conformal_interval(
            y, np.zeros(20), np.arange(20) % 2, np.zeros((2, 2)), [0.01, 0.02, 0.1]
        )
    assert [w.category for w in caught] == [InfeasibleRankWarning]
    assert interval.shape == (2, 2, 3)
    assert_array_equal(np.isinf(interval[0, 0]), [True, True, False])


def test_coverage_is_exact_for_models_that_learn_nothing():
    # Then CV+ is split conformal with all rows: P(cover) = k / (n + 1), here 18 / 20.
    rng = np.random.default_rng(9)
    folds, hits, draws = np.arange(19) % 4, 0, 4000
    for y in rng.normal(size=(draws, 20)):
        low, high = cross_conformal_interval(
            y[:19], np.zeros(19), folds, np.zeros((1, 4)), 0.1
        )[0]
        hits += low <= y[19] <= high
    assert stats.binomtest(hits, draws, 18 / 20).pvalue > 1e-4


@pytest.mark.parametrize(
    ("method", "n_folds", "least"),
    [("plus", 20, 0.6), ("plus", 4, 0.6), ("minmax", 20, 0.8)],
)
def test_coverage_of_learning_models_is_at_least_the_proven(method, n_folds, least):
    # The model is the mean of its rows, which are few: each draw fits n_folds of them.
    rng = np.random.default_rng(10)
    n, alpha, draws, hits = 20, 0.2, 3000, 0
    folds = np.arange(n) % n_folds
    counts = np.bincount(folds)
    for sample in rng.standard_t(3, size=(draws, n + 1)):
        y, new = sample[:n], sample[n]
        means = (y.sum() - np.bincount(folds, y)) / (n - counts)
        low, high = cross_conformal_interval(
            y, means[folds], folds, means[None], alpha, method=method
        )[0]
        hits += low <= new <= high
    assert stats.binomtest(hits, draws, least, alternative="less").pvalue > 1e-4
    # Proven is 1 - 2 alpha of the plus form, usual is 1 - alpha: here within 3 %.
    if method == "plus":
        assert stats.binomtest(hits, draws, 0.83, alternative="greater").pvalue > 1e-4
        assert stats.binomtest(hits, draws, 0.77, alternative="less").pvalue > 1e-4


def test_no_matrix_of_all_pairs():
    rng = np.random.default_rng(11)
    n = rows = 20_000
    y, held_out = rng.normal(size=(2, n))
    folds, predictions = rng.integers(0, 5, n), rng.normal(size=(rows, 5))
    cross_conformal_interval(y, held_out, folds, predictions[:2])  # compiled
    tracemalloc.start()
    cross_conformal_interval(y, held_out, folds, predictions)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 8 * n  # all pairs would be 20,000 * 8 * n


GOOD = {
    "y": np.zeros(4),
    "oof_predictions": np.zeros(4),
    "folds": [0, 1, 0, 1],
    "fold_predictions": np.zeros((2, 2)),
    "alpha": 0.4,
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": [0.0, np.nan, 0, 0]}, "y has NaN, first at row 1"),
        ({"y": np.zeros((4, 1))}, r"y has shape \(4, 1\); expected \(any,\)"),
        ({"y": [], "oof_predictions": []}, "y is empty"),
        ({"oof_predictions": np.zeros(3)}, r"shape \(3,\); expected \(4,\)"),
        ({"oof_predictions": [0, 0, np.inf, 0]}, "infinite value, first at row 2"),
        ({"folds": [0, 1, 0, 2]}, "Row 3 is of fold 2; expected 0 to 1"),
        ({"folds": [0, 1, 0, -1]}, "Row 3 is of fold -1"),
        ({"folds": [0, 1, 0]}, "one integer for each of the 4 rows"),
        ({"folds": [0.0, 1, 0, 1]}, "one integer for each"),
        ({"fold_predictions": np.zeros(2)}, r"shape \(2,\); expected \(any, any\)"),
        ({"fold_predictions": [[np.nan, 0.0]]}, "fold_predictions has NaN"),
        ({"method": "naive"}, "method is 'naive'; expected 'plus' or 'minmax'"),
        ({"oof_scales": np.ones(4)}, "Only one of oof_scales and fold_scales"),
        (
            {"oof_scales": [1, 1, 0, 1], "fold_scales": np.ones((2, 2))},
            "oof_scales is not positive, first at row 2",
        ),
        ({"alpha": 1.0}, "alpha is 1.0"),
    ],
)
def test_refusals_name_the_cause(changed, message):
    with pytest.raises(ValueError, match=message):
        cross_conformal_interval(**{**GOOD, **changed})
