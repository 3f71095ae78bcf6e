"""Decision offsets: kernel against every threshold, functions against plain rules."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import make_scorer, recall_score

from ensemblekit.kernels import offsets as kernel
from ensemblekit.selection.offsets import (
    METRICS,
    cross_fitted,
    decide,
    metric_from_counts,
    score_labels,
    tune,
)

from . import oracles_offsets as oracle

MULTICLASS = [metric for metric in METRICS if metric != "f1"]


def make(seed, n_classes=2, max_rows=31, min_rows=0):
    """A small problem: two of three have ties, two of three weights, some of them 0."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(max(n_classes, min_rows), max_rows))
    E = rng.dirichlet(np.ones(n_classes), n)
    if seed % 3:
        E = np.round(E * 8) / 8
        E[:, 0] = 1 - E[:, 1:].sum(axis=1)
    codes = rng.choice(n_classes, n, p=rng.dirichlet(np.ones(n_classes)))
    codes[:n_classes] = np.arange(n_classes)
    weight = [np.ones(n), rng.integers(0, 4, n) * 1.0, rng.exponential(size=n)][
        seed // 3 % 3
    ]
    weight[:n_classes] += 1.0
    return E, codes, weight


@pytest.mark.parametrize("metric", METRICS)
def test_two_classes_equal_every_threshold(metric):
    for seed in range(240):
        E, codes, weight = make(seed, max_rows=30 if seed % 10 == 0 else 12)
        offsets = tune(E, codes, weight, metric)
        found = oracle.score(metric, codes, oracle.decide(E, offsets), weight)
        best = oracle.best_threshold(E, codes, weight, metric)
        assert offsets[0] == 0.0
        assert_allclose(found, best, atol=1e-11, err_msg=str(seed))


@pytest.mark.parametrize("metric", MULTICLASS)
@pytest.mark.parametrize("n_classes", [3, 5])
def test_more_classes_admit_no_better_single_move(metric, n_classes):
    for seed in range(30):
        E, codes, weight = make(seed, n_classes)
        offsets = tune(E, codes, weight, metric)
        found = oracle.score(metric, codes, oracle.decide(E, offsets), weight)
        plain = oracle.score(
            metric, codes, oracle.decide(E, np.zeros(n_classes)), weight
        )

        def score(labels, rows=(E, codes, weight)):  # by counts: 100 times faster
            return score_labels(labels, *rows, metric)

        moved = oracle.best_single_move(E, codes, weight, score, offsets)
        assert offsets[0] == 0.0
        assert found >= plain
        assert found >= moved - 1e-11, seed


def test_more_classes_come_close_to_the_best_of_a_grid():
    grid = np.linspace(-0.9, 0.9, 37)
    short = []
    for seed in range(0, 60, 3):
        E, codes, weight = make(seed, 3)
        labels = [decide(E, np.array([0.0, a, b])) for a in grid for b in grid]
        best = max(
            score_labels(each, E, codes, weight, "balanced_accuracy") for each in labels
        )
        offsets = tune(E, codes, weight, "balanced_accuracy")
        found = score_labels(decide(E, offsets), E, codes, weight, "balanced_accuracy")
        short.append(best - found)
    assert np.mean(short) < 0.02


@pytest.mark.parametrize("metric", METRICS)
def test_zero_offsets_stay_where_argmax_is_perfect_or_ties(metric):
    E = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8]])
    codes = np.array([0, 0, 1, 1])
    assert_array_equal(tune(E, codes, np.ones(4), metric), [0.0, 0.0])
    same = np.full((4, 2), 0.5)  # all rows move together: nothing to gain
    if metric not in ("f1", "f1_macro", "f1_weighted"):
        assert_array_equal(tune(same, codes, np.ones(4), metric), [0.0, 0.0])
    assert_array_equal(decide(E, np.zeros(2)), E.argmax(axis=1))


def test_the_cut_is_midway_and_the_smallest_of_equal_ones():
    E1 = np.array([0.1, 0.2, 0.3, 0.45])  # breakpoints 0.8, 0.6, 0.4, 0.1
    E, codes = np.column_stack([1 - E1, E1]), np.array([0, 0, 1, 1])
    assert_allclose(tune(E, codes, np.ones(4), "accuracy"), [0.0, 0.5])
    # Rows 1 and 2 disagree with their order: cuts at 0.25 and 0.7 are equally good.
    codes = np.array([0, 1, 0, 1])
    assert_allclose(tune(E, codes, np.ones(4), "accuracy"), [0.0, 0.25])


def test_rows_that_rounding_cannot_tell_apart_move_together():
    p = np.array([0.3, np.nextafter(0.3, 1), 0.1, 0.45])
    E, codes = np.column_stack([1 - p, p]), np.array([0, 1, 0, 1])
    offsets = tune(E, codes, np.ones(4), "accuracy")
    margin = E[:, 0] - E[:, 1]
    assert np.abs(margin - offsets[1]).min() > 1e-3


@pytest.mark.parametrize("metric", METRICS)
def test_integer_weights_equal_repeated_rows(metric):
    for seed in range(60):
        E, codes, _ = make(seed, 2 if metric == "f1" else 2 + seed % 2)
        weight = np.random.default_rng(seed).integers(0, 4, len(codes)) * 1.0
        weight[: E.shape[1]] += 1.0
        copies = np.repeat(np.arange(len(codes)), weight.astype(int))
        weighted = tune(E, codes, weight, metric)
        ones = np.ones(len(copies))
        repeated = tune(E[copies], codes[copies], ones, metric)
        assert_array_equal(weighted, repeated)
        scaled = tune(E, codes, weight * 2.0**300, metric)
        assert_array_equal(weighted, scaled)


@pytest.mark.parametrize("metric", METRICS)
def test_counts_give_scikit_learns_figures(metric):
    for seed in range(60):
        n_classes = 2 if metric == "f1" else 2 + seed % 4
        E, codes, weight = make(seed, n_classes)
        labels = E.argmax(axis=1)
        labels[:n_classes] = np.arange(n_classes)
        found = score_labels(labels, E, codes, weight, metric)
        expected = oracle.score(metric, codes, labels, weight)
        assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_counts_broadcast_over_leading_axes():
    rng = np.random.default_rng(0)
    hits = rng.integers(0, 5, (4, 3, 2))
    predicted = hits + rng.integers(0, 5, (4, 3, 2))
    true = np.array([9.0, 12.0])
    for metric in METRICS:
        found = metric_from_counts(hits, predicted, true, metric)
        assert found.shape == (4, 3)
        one = metric_from_counts(hits[2, 1], predicted[2, 1], true, metric)
        assert found[2, 1] == one
        assert one.shape == ()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 6), st.integers(0, 6), st.integers(0, 2), st.integers(1, 3)
        ),
        min_size=3,
        max_size=14,
    ),
    st.sampled_from(MULTICLASS),
)
def test_tuning_never_harms_the_rows_it_sees(rows, metric):
    a, b, codes, weight = np.array(rows).T
    E = np.column_stack([a, b, np.full(len(a), 3)]) / 10
    weight = weight.astype(float)
    offsets = tune(E, codes, weight, metric)
    found = oracle.score(metric, codes, oracle.decide(E, offsets), weight)
    assert found >= oracle.score(metric, codes, E.argmax(axis=1), weight) - 1e-12


def test_arguments_are_left_alone():
    E, codes, weight = make(4)
    copies = E.copy(), codes.copy(), weight.copy()
    for array in (E, codes, weight):
        array.setflags(write=False)
    tune(E, codes, weight, "f1")
    for array, copy in zip((E, codes, weight), copies, strict=True):
        assert_array_equal(array, copy)


def test_few_passes_stop_early():
    E, codes, weight = make(0, 5)
    none = kernel.best_offsets(E, codes, weight, kernel.BALANCED, max_passes=0)
    assert_array_equal(none, np.zeros(5))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_scorer_that_is_called_finds_what_the_sweep_finds(n_classes):
    macro_recall = make_scorer(recall_score, average="macro", zero_division=0.0)
    for seed in range(12):
        E, codes, weight = make(seed, n_classes)
        swept = tune(E, codes, weight, "balanced_accuracy")
        assert_allclose(tune(E, codes, weight, macro_recall), swept)
        assert_allclose(tune(E, codes, weight, "recall_macro"), swept)


def test_a_scorer_is_called_a_limited_number_of_times():
    calls = []

    def accuracy(estimator, X, y):
        calls.append(1)
        return np.mean(estimator.predict(X) == y)

    rng = np.random.default_rng(0)
    E = rng.dirichlet(np.ones(2), 3000)
    codes = (rng.uniform(size=3000) < E[:, 1] - 0.2).astype(int)
    found = tune(E, codes, np.ones(3000), accuracy)
    exact = tune(E, codes, np.ones(3000), "accuracy")
    assert len(calls) <= 202
    assert abs(found[1] - exact[1]) < 0.1


def test_a_scorer_is_given_labels_and_weights():
    seen = {}

    def scorer(estimator, X, y, sample_weight=None):
        seen.update(y=y, X=X, weight=sample_weight, labels=estimator.predict(X))
        return 0.0

    E, codes, _ = make(0)
    classes = np.array(["no", "yes"])
    weight = np.arange(len(codes)) + 1.0
    assert_array_equal(tune(E, codes, weight, scorer, classes), [0.0, 0.0])
    assert_array_equal(seen["y"], classes[codes])
    assert_array_equal(seen["weight"], weight)
    assert set(seen["labels"]) <= {"no", "yes"}
    assert_array_equal(seen["X"], E)


def test_metrics_that_do_not_fit_are_refused():
    E, codes, weight = make(0, 3)
    with pytest.raises(
        ValueError, match=r"two classes, but there are 3\. Use 'f1_macro"
    ):
        tune(E, codes, weight, "f1")
    with pytest.raises(ValueError, match="'no_metric' is not a valid scoring value"):
        tune(E, codes, weight, "no_metric")


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1_macro", "cohen_kappa"])
def test_cross_fitting_follows_the_documented_rule(n_classes, metric):
    kept = 0
    for seed in range(40):
        E, codes, weight = make(seed, n_classes, max_rows=90, min_rows=30)
        folds = np.random.default_rng(seed).permutation(len(codes)) % 3
        weight = weight + 0.5
        found = cross_fitted(E, codes, weight, folds, metric)
        expected = oracle.cross_fit(E, codes, weight, folds, metric, tune)
        assert_allclose(found.offsets, expected[0], atol=1e-12)
        assert_allclose(found.score_without, expected[1], atol=1e-12)
        assert_allclose(found.score_with, expected[2], atol=1e-12)
        assert_allclose(found.gain_se, expected[3], atol=1e-12)
        assert found.fold_offsets.shape == (3, n_classes)
        kept += found.offsets.any()
    assert 3 < kept < 40  # both outcomes were seen


def test_cross_fitting_takes_weights_as_counts_of_any_scale():
    for seed in range(20):
        E, codes, _ = make(seed, 3, max_rows=60)
        rng = np.random.default_rng(seed)
        weight = rng.integers(0, 3, len(codes)) * 1.0
        folds = rng.integers(0, 3, len(codes))
        weight[:3] += 1.0
        folds[:3] = [0, 1, 2]
        copies = np.repeat(np.arange(len(codes)), weight.astype(int))
        one = cross_fitted(E, codes, weight, folds, "f1_macro")
        ones = np.ones(len(copies))
        for other in (
            cross_fitted(E[copies], codes[copies], ones, folds[copies], "f1_macro"),
            cross_fitted(E, codes, 2.0**200 * weight, folds, "f1_macro"),
        ):
            assert_array_equal(one.offsets, other.offsets)
            assert_allclose(one[2:], other[2:], atol=1e-13)


def test_cross_fitting_needs_two_folds():
    E, codes, weight = make(0)
    with pytest.raises(ValueError, match="at least two folds to be judged; got 1"):
        cross_fitted(E, codes, weight, np.zeros(len(codes)), "accuracy")
