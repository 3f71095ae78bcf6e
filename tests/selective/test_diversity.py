"""Diversity: bits against lists of rows, and the identity of the decomposition."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import (
    PredictionLibrary,
    ambiguity_decomposition,
    diversity_report,
    pairwise_diversity,
    residual_correlation,
)

from . import oracles_diversity as oracles


def marks(n_rows, n_members, seed=0):
    """Members right on shared and own rows."""
    rng = np.random.default_rng(seed)
    easy = rng.uniform(size=(n_rows, 1)) < 0.5
    return easy | (rng.uniform(size=(n_rows, n_members)) < 0.4)


@pytest.mark.parametrize("n_rows", [1, 2, 63, 64, 65, 200])
@pytest.mark.parametrize("n_members", [1, 2, 5])
def test_pairs_equal_lists_of_rows(n_rows, n_members):
    correct = marks(n_rows, n_members, seed=n_rows)
    for ours, theirs in zip(
        pairwise_diversity(correct), oracles.all_pairs(correct), strict=True
    ):
        assert ours.shape == (n_members, n_members)
        assert_allclose(ours, theirs, atol=1e-14)


def test_members_always_or_never_right():
    correct = np.column_stack([np.ones(70), np.zeros(70), marks(70, 1)])
    for ours, theirs in zip(
        pairwise_diversity(correct), oracles.all_pairs(correct), strict=True
    ):
        assert_allclose(ours, theirs, atol=1e-14)


def test_independent_and_opposite_members():
    independent = [[1, 1], [1, 0], [0, 1], [0, 0]]
    pairs = pairwise_diversity(independent)
    assert pairs.q_statistic[0, 1] == pairs.correlation[0, 1] == pairs.kappa[0, 1] == 0
    opposite = pairwise_diversity([[1, 0], [0, 1], [1, 0], [0, 1]])
    assert opposite.q_statistic[0, 1] == opposite.correlation[0, 1] == -1
    assert opposite.kappa[0, 1] == -1
    assert opposite.disagreement[0, 1] == 1


def test_order_of_rows_and_members():
    correct = marks(150, 4)
    rng = np.random.default_rng(1)
    rows, members = rng.permutation(150), rng.permutation(4)
    shuffled = pairwise_diversity(correct[rows][:, members])
    for a, b in zip(pairwise_diversity(correct), shuffled, strict=True):
        assert_array_equal(a[np.ix_(members, members)], b)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_report_marks_the_right_rows(class_predictions, n_classes):
    P, y, _ = class_predictions(n_members=4, n_classes=n_classes)
    P = np.round(P * 4) / 4 if n_classes == 2 else P  # ties at 0.5 are votes for 0
    k = 1 if n_classes == 2 else n_classes
    cube = P.reshape(len(P), 4, k)
    votes = (cube[:, :, 0] > 0.5) if k == 1 else cube.argmax(axis=2)
    report = diversity_report(P, y)
    for ours, theirs in zip(
        report.pairs, pairwise_diversity(votes == y[:, None]), strict=True
    ):
        assert_array_equal(ours, theirs)
    assert_array_equal(report.correlation, report.pairs.correlation)
    assert "double fault" in str(report)


def test_report_of_a_library_with_labels(class_predictions):
    P, y, _ = class_predictions(n_members=3, n_classes=3)
    labels = np.array(["a", "b", "c"])
    library = PredictionLibrary(P, labels[y], ["x", "y", "z"], classes=labels)
    ours, theirs = diversity_report(library), diversity_report(P, y)
    assert ours.names == ["x", "y", "z"]
    assert_array_equal(ours.pairs.kappa, theirs.pairs.kappa)


# Regression.
def test_residual_correlation_equals_numpy(regression_predictions):
    P, y, weight = regression_predictions(n_members=5)
    assert_allclose(residual_correlation(P, y), np.corrcoef((P - y[:, None]).T))
    covariance = np.cov((P - y[:, None]).T, aweights=weight)
    scale = np.sqrt(np.diag(covariance))
    expected = covariance / np.outer(scale, scale)
    assert_allclose(residual_correlation(P, y, weight), expected)
    repeated = np.repeat(np.arange(len(y)), weight.astype(int))
    assert_allclose(residual_correlation(P[repeated], y[repeated]), expected)


def test_a_member_off_by_a_constant_has_no_correlation(regression_predictions):
    P, y, _ = regression_predictions(n_members=2)
    found = residual_correlation(np.column_stack([P, y + 0.1]), y)
    assert np.isnan(found[2]).all()
    assert not np.isnan(found[:2, :2]).any()


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_decomposition_is_an_identity(regression_predictions, offset):
    P, y, rows = regression_predictions(n_members=6)
    weights = np.random.default_rng(0).dirichlet(np.ones(6))
    ensemble, member, spread = ambiguity_decomposition(
        P + offset, y + offset, weights, rows
    )
    assert_allclose(ensemble, member - spread, atol=1e-13)
    assert_allclose(ensemble, np.average((P @ weights - y) ** 2, weights=rows), 1e-8)
    assert spread > 0
    plain = ambiguity_decomposition(P, y)
    assert_allclose(plain.member_error, ((P - y[:, None]) ** 2).mean())
    assert_allclose(plain.ambiguity, P.var(axis=1).mean())


def test_identical_members_have_no_ambiguity(regression_predictions):
    P, y, _ = regression_predictions(n_members=1)
    split = ambiguity_decomposition(np.repeat(P, 4, axis=1), y)
    assert split.ambiguity == 0.0
    assert_allclose(split.ensemble_error, split.member_error, rtol=1e-14)


def test_report_of_regression(regression_predictions):
    P, y, weight = regression_predictions(n_members=3)
    library = PredictionLibrary(P, y, list("abc"), sample_weight=weight)
    report = diversity_report(library)
    assert report.pairs is None
    assert_array_equal(report.correlation, residual_correlation(P, y, weight))
    assert report.decomposition == ambiguity_decomposition(P, y, sample_weight=weight)
    assert "ambiguity" in str(report)
    bare = diversity_report(P, y, loss="squared_error", sample_weight=weight)
    assert bare.decomposition == report.decomposition


def test_refusals(regression_predictions):
    P, y, _ = regression_predictions(n_members=2)
    with pytest.raises(ValueError, match="values other than 0 and 1"):
        pairwise_diversity([[1, 2]])
    with pytest.raises(ValueError, match="values other than 0 and 1"):
        pairwise_diversity([[1, np.nan]])
    with pytest.raises(ValueError, match=r"shape \(0, 2\)"):
        pairwise_diversity(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="NaN or infinity"):
        residual_correlation(np.where(P > 0, P, np.nan), y)
    with pytest.raises(ValueError, match="y has shape"):
        ambiguity_decomposition(P, y[1:])
    for weights in ([0.5, 0.6], [1.5, -0.5], [1.0]):
        with pytest.raises(ValueError, match=r"sum to 1|has shape"):
            ambiguity_decomposition(P, y, weights)
    for weight in (-np.ones(len(y)), np.zeros(len(y)), np.ones(3)):
        with pytest.raises(ValueError, match=r"(?i)sample.weight"):
            residual_correlation(P, y, weight)
