"""Multiplicity: capacity to the last digits, shares by hand, monotone in epsilon."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import (
    PredictionLibrary,
    ambiguity,
    disagreement,
    discrepancy,
    evaluate_loss,
    multiplicity_report,
    rashomon_capacity,
    rashomon_set,
    viable_prediction_range,
)

from . import oracles_multiplicity as oracles

KNOWN_CAPACITY = [
    ((0.1, 0.9), 0.531004406411),
    ((0.0, 1.0), 1.0),
    ((0.0, 0.5), 0.321928094887),
    ((0.2, 0.5), 0.073193986160),
    ((0.4, 0.6), 0.029049405546),
]


def dirichlet_rows(n_rows, n_members, n_classes, seed=0, concentration=1.0):
    rng = np.random.default_rng(seed)
    cube = rng.dirichlet(np.full(n_classes, concentration), (n_rows, n_members))
    return cube.reshape(n_rows, -1)


# Capacity.
@pytest.mark.parametrize(("pair", "bits"), KNOWN_CAPACITY)
def test_capacity_of_two_members(pair, bits):
    capacity = rashomon_capacity([pair, pair[::-1]])
    assert_allclose(capacity.bits, bits, atol=1e-12, rtol=0)
    assert_array_equal(capacity.gap, 0.0)


def test_capacity_of_nearly_equal_members_keeps_its_digits():
    tiny = rashomon_capacity([[0.3, 0.3 + 1e-7]]).bits[0]
    assert abs(tiny - 8.58747e-15) <= 1.2e-16
    assert oracles.capacity_textbook(0.3, 0.3 + 1e-9) < 0.0  # what is avoided


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
@settings(max_examples=300, deadline=None)
def test_capacity_is_within_its_limits_and_rises_with_the_range(a, b, c):
    two, three = rashomon_capacity([[a, b, b], [a, b, c]]).bits
    assert 0.0 <= two <= three + 1e-15
    assert three <= 1.0 + 1e-15


def test_binary_capacity_equals_blahut_arimoto():
    rng = np.random.default_rng(0)
    P = rng.uniform(size=(200, 4))
    bits = rashomon_capacity(P).bits
    for row, ours in zip(P, bits, strict=True):
        ends = np.array([[1.0 - p, p] for p in (row.min(), row.max())])
        assert abs(ours - oracles.capacity_blahut_arimoto(ends)) <= 1e-9


def test_members_between_others_change_no_capacity():
    P = np.array([[0.2, 0.9], [0.0, 0.4]])
    more = np.column_stack([P[:, 0], P.mean(axis=1), P[:, 1], P[:, 0]])
    assert_array_equal(rashomon_capacity(more).bits, rashomon_capacity(P).bits)


@pytest.mark.parametrize("n_classes", [3, 4, 7])
def test_capacity_of_certain_and_of_identical_members(n_classes):
    certain = np.eye(n_classes).reshape(1, -1)
    assert_allclose(
        rashomon_capacity(certain, n_outputs=n_classes).bits, np.log2(n_classes)
    )
    same = np.tile(dirichlet_rows(5, 1, n_classes), 3)
    result = rashomon_capacity(same, n_outputs=n_classes)
    assert (result.bits >= 0.0).all()
    assert_allclose(result.bits, 0.0, atol=1e-14)


@pytest.mark.parametrize("n_members", [1, 2, 5])
def test_bounds_for_several_classes_hold_the_true_capacity(n_members):
    P = dirichlet_rows(30, n_members, 3)
    low, gap = rashomon_capacity(P, n_outputs=3)
    for i, W in enumerate(P.reshape(30, n_members, 3)):
        true = oracles.capacity_blahut_arimoto(W, tol=1e-8)
        assert low[i] - 1e-8 <= true <= low[i] + gap[i] + 1e-8


def test_bounds_hold_also_when_stopped_at_once():
    P = dirichlet_rows(40, 6, 4)
    short = rashomon_capacity(P, n_outputs=4, max_iter=2)
    long = rashomon_capacity(P, n_outputs=4, max_iter=5000)
    assert (short.gap > 1e-4).any()
    assert (short.bits <= long.bits + long.gap + 1e-12).all()
    assert (short.bits + short.gap >= long.bits - 1e-12).all()


def test_no_weighting_carries_more_than_the_upper_bound():
    rng = np.random.default_rng(1)
    P = dirichlet_rows(10, 4, 3)
    low, gap = rashomon_capacity(P, n_outputs=3)
    for i, W in enumerate(P.reshape(10, 4, 3)):
        for pi in rng.dirichlet(np.ones(4), 50):
            assert oracles.mutual_information(pi, W) <= low[i] + gap[i] + 1e-12


def test_classes_that_no_member_knows_change_no_capacity():
    P = dirichlet_rows(8, 3, 3)
    wide = np.insert(P.reshape(8, 3, 3), 1, 0.0, axis=2).reshape(8, 12)
    ours, theirs = (
        rashomon_capacity(P, n_outputs=3),
        rashomon_capacity(wide, n_outputs=4),
    )
    assert_allclose(ours.bits, theirs.bits, atol=1e-12)
    assert_allclose(ours.gap, theirs.gap, atol=1e-9)


def test_two_columns_equal_one():
    P = np.random.default_rng(2).uniform(size=(20, 3))
    pairs = np.stack([1.0 - P, P], axis=2).reshape(20, 6)
    low, gap = rashomon_capacity(pairs, n_outputs=2)
    bits = rashomon_capacity(P).bits
    assert ((low - 1e-12 <= bits) & (bits <= low + gap + 1e-12)).all()


# Shares.
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("delta", [None, 0.25])
def test_ambiguity_and_discrepancy_by_hand(n_outputs, delta):
    P = dirichlet_rows(60, 5, 3, seed=3) if n_outputs == 3 else grid(60, 5)
    rows = [oracles.conflict_rows(P, n_outputs, m, 2, delta) for m in range(5)]
    options = {"n_outputs": n_outputs, "delta": delta}
    assert ambiguity(P, 2, **options) == np.any(rows, axis=0).mean()
    assert discrepancy(P, 2, **options) == max(row.mean() for row in rows)
    some = ambiguity(P, 2, members=[0, 4], **options)
    assert some == np.any([rows[0], rows[4]], axis=0).mean()


def grid(n_rows, n_members, seed=0):
    """Probabilities with many ties, exact halves among them."""
    return np.random.default_rng(seed).integers(0, 9, (n_rows, n_members)) / 8.0


@pytest.mark.parametrize("n_outputs", [1, 2, 3])
@pytest.mark.parametrize("n_members", [1, 2, 6])
def test_disagreement_is_that_of_pairs(n_outputs, n_members):
    shape = 40, n_members
    P = grid(*shape) if n_outputs == 1 else dirichlet_rows(*shape, n_outputs)
    ours = disagreement(P, n_outputs=n_outputs)
    assert_allclose(ours, oracles.disagreement(P, n_outputs), atol=1e-15)
    if n_outputs == 1:
        share = (P > 0.5).mean(axis=1)
        assert_allclose(ours, 4 * share * (1 - share), atol=1e-15)


def test_range_holds_every_convex_combination(class_predictions):
    P, _, _ = class_predictions(n_members=4, n_classes=3)
    ranges = viable_prediction_range(P, n_outputs=3)
    cube = P.reshape(len(P), 4, 3)
    assert ranges.shape == (len(P), 3, 2)
    for weights in [*np.eye(4), *np.random.default_rng(0).dirichlet(np.ones(4), 20)]:
        mixed = np.einsum("m,imk->ik", weights, cube)
        assert (ranges[:, :, 0] <= mixed + 1e-15).all()
        assert (mixed <= ranges[:, :, 1] + 1e-15).all()


# The set and the report.
def test_rashomon_set_takes_the_first_of_ties_and_the_edge():
    assert rashomon_set([0.5, 0.25, 0.25], 0.25).all()
    assert_array_equal(rashomon_set([0.5, 0.25, 0.25], 0.0), [False, True, True])
    assert_array_equal(
        rashomon_set([0.5, 0.25, 1], 0.0, baseline=0), [True, True, False]
    )


@pytest.mark.parametrize(("n_classes", "epsilon"), [(2, 0.1), (3, 0.3)])
def test_report_equals_its_parts(class_predictions, n_classes, epsilon):
    P, y, weight = class_predictions(n_members=6, n_classes=n_classes)
    k = 1 if n_classes == 2 else n_classes
    report = multiplicity_report(P, y, epsilon=epsilon, sample_weight=weight)
    for m, loss in enumerate(report.losses):
        p = P[:, m * k : (m + 1) * k]
        p = np.column_stack([1 - p, p]) if k == 1 else p
        assert loss == evaluate_loss("log_loss", y, p, weight)
    assert_array_equal(report.members, rashomon_set(report.losses, epsilon))
    assert 1 < report.members.sum() < 6
    options = {"n_outputs": k, "members": report.members}
    assert report.ambiguity == ambiguity(P, report.baseline, **options)
    assert report.discrepancy == discrepancy(P, report.baseline, **options)
    assert report.conflicts.mean() == report.ambiguity
    assert_array_equal(report.capacity, rashomon_capacity(P, **options).bits)
    truth = P.reshape(len(P), 6, k)[:, report.members]
    truth = truth[:, :, 0] if k == 1 else truth[np.arange(len(P)), :, y]
    assert_allclose(report.width, truth.max(axis=1) - truth.min(axis=1))
    assert_allclose(report.variance, truth.var(axis=1))


def test_unique_best_member_alone_has_no_multiplicity(class_predictions):
    P, y, _ = class_predictions(n_members=5)
    report = multiplicity_report(P, y, epsilon=0.0)
    assert report.members.sum() == 1
    assert report.ambiguity == report.discrepancy == 0.0
    for values in (report.width, report.capacity, report.disagreement, report.variance):
        assert_array_equal(values, 0.0)


@pytest.mark.parametrize("delta", [None, 0.2])
def test_everything_rises_with_epsilon(class_predictions, delta):
    P, y, _ = class_predictions(n_members=8, n_classes=3)
    reports = [
        multiplicity_report(P, y, epsilon=e, delta=delta) for e in (0, 0.02, 0.1, 0.5)
    ]
    for small, large in pairwise(reports):
        assert small.ambiguity <= large.ambiguity
        assert small.discrepancy <= large.discrepancy <= large.ambiguity
        assert (small.width <= large.width).all()
        assert (small.capacity <= large.capacity + large.capacity_gap + 1e-12).all()
    assert reports[0].ambiguity < reports[-1].ambiguity


def test_library_equals_matrix_with_labels(class_predictions):
    P, y, weight = class_predictions(n_members=3)
    labels = np.array(["no", "yes"])[y]
    names = ["a", "b", "c"]
    library = PredictionLibrary(
        P, labels, names, classes=["no", "yes"], sample_weight=weight
    )
    ours = multiplicity_report(library, epsilon=0.3, loss="brier")
    theirs = multiplicity_report(
        P, labels, epsilon=0.3, loss="brier", sample_weight=weight
    )
    assert ours.names == names
    assert_array_equal(ours.losses, theirs.losses)
    assert ours.ambiguity == theirs.ambiguity
    assert "within 0.3 of " + names[ours.baseline] in str(ours)


def test_regression_has_ranges_and_conflicts_of_values(regression_predictions):
    P, y, _ = regression_predictions(n_members=4)
    library = PredictionLibrary(P, y, list("abcd"))
    report = multiplicity_report(library, epsilon=0.2, delta=0.5)
    assert report.capacity is None
    assert report.loss == "squared_error"
    assert_allclose(report.width, np.ptp(P[:, report.members], axis=1))
    assert "another label" not in str(report)
    with pytest.raises(ValueError, match="delta is None; expected the difference"):
        multiplicity_report(library, epsilon=0.2)


def test_float32_and_readonly_input_are_left_alone(class_predictions):
    P, y, _ = class_predictions(n_members=3)
    P.setflags(write=False)
    single = multiplicity_report(P.astype(np.float32), y, epsilon=0.3)
    assert_allclose(
        single.capacity, multiplicity_report(P, y, epsilon=0.3).capacity, atol=1e-6
    )


def test_refusals(class_predictions):
    P, y, _ = class_predictions(n_members=3)
    bad = P.copy()
    bad[7, 1] = np.nan
    with pytest.raises(ValueError, match=r"column '1' \(1 row, first at row 7\)"):
        rashomon_capacity(bad)
    with pytest.raises(ValueError, match="NaN or infinity"):
        multiplicity_report(bad, y, epsilon=0.1)
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        rashomon_capacity(P + 1.0)
    with pytest.raises(ValueError, match="not a multiple"):
        ambiguity(P, 0, n_outputs=2)
    with pytest.raises(ValueError, match="delta is 0; expected a number above 0"):
        ambiguity(P, 0, delta=0)
    with pytest.raises(ValueError, match="baseline is 3; expected a position below 3"):
        discrepancy(P, 3)
    with pytest.raises(ValueError, match="one member at least"):
        disagreement(P, members=[False] * 3)
    with pytest.raises(ValueError, match="epsilon is -1"):
        rashomon_set([0.1], -1)
    with pytest.raises(ValueError, match="losses is"):
        rashomon_set([np.nan], 0.1)
    with pytest.raises(ValueError, match="loss is 'pinball'; expected one of"):
        multiplicity_report(P, y, epsilon=0.1, loss="pinball")
    with pytest.raises(ValueError, match="y is None"):
        multiplicity_report(P, epsilon=0.1)
    with pytest.raises(ValueError, match="tol is 0"):
        rashomon_capacity(P, tol=0)
    library = PredictionLibrary(P, y, list("abc"), classes=[0, 1])
    with pytest.raises(ValueError, match=r"A library holds \['y'\] itself"):
        multiplicity_report(library, y, epsilon=0.1)
    with pytest.raises(ValueError, match="is for regression; the predictions are of"):
        multiplicity_report(library, epsilon=0.1, loss="huber")
    levels = PredictionLibrary(P[:, :2], y, ["q"], quantile_levels=[0.1, 0.9])
    with pytest.raises(ValueError, match="The library holds quantiles"):
        multiplicity_report(levels, epsilon=0.1)


def test_capacity_sees_bad_values_in_any_place():
    for bad in (np.nan, np.inf, -np.inf, 1.5, -0.5):
        for column in range(3):
            P = np.full((4, 3), 0.5)
            P[2, column] = bad
            for members in (None, [0, 1]):
                with pytest.raises(
                    ValueError, match=r"NaN or infinity|outside \[0, 1\]"
                ):
                    rashomon_capacity(P, members=members)
    rounded = rashomon_capacity([[-1e-12, 0.5, 1.0 + 1e-12]]).bits
    assert_allclose(rounded, 1.0, atol=1e-9)


def test_a_member_at_the_edge_of_the_set_is_in_it():
    # 0.7 + 0.1 is less than 0.8 in floating point.
    assert_array_equal(rashomon_set([0.7, 0.8, 0.8000001], 0.1), [True, True, False])
    for wrong in range(1, 100):
        losses = [0.01, wrong / 100]
        assert rashomon_set(losses, round(losses[1] - losses[0], 2)).all()


def test_report_without_capacity():
    rng = np.random.default_rng(8)
    P = rng.dirichlet(np.ones(3), size=(40, 6)).reshape(40, 18)
    y = rng.integers(0, 3, 40)
    full = multiplicity_report(P, y, epsilon=1.0, tol=1e-3)
    assert (full.capacity_gap <= 1e-3).all()
    tight = rashomon_capacity(P, n_outputs=3, members=full.members, tol=1e-9)
    assert (full.capacity <= tight.bits + tight.gap + 1e-12).all()
    assert (tight.bits <= full.capacity + full.capacity_gap + 1e-12).all()
    bare = multiplicity_report(P, y, epsilon=1.0, capacity=False)
    assert bare.capacity is None
    assert bare.capacity_gap is None
    assert_allclose(bare.disagreement, full.disagreement)
    assert "capacity" not in str(bare)
    assert "disagreement" in str(bare)
    with pytest.raises(ValueError, match="tol is 0"):
        multiplicity_report(P, y, epsilon=1.0, tol=0.0)


@pytest.mark.parametrize("baseline", ["a", 1.5, True, None, 6, -1])
def test_a_baseline_is_a_position(baseline):
    P = np.random.default_rng(0).random((20, 6))
    with pytest.raises(ValueError, match=r"baseline is .*; expected a position"):
        ambiguity(P, baseline=baseline)
