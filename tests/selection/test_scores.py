"""Scores of every loss against scikit-learn's metrics on mixtures."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics

from ensemblekit import (
    ConvexClassifier,
    ConvexRegressor,
    EnsembleSelectionClassifier,
    EnsembleSelectionRegressor,
    evaluate_loss,
)
from ensemblekit.combine._scores_base import class_scores, plain, value_scores
from ensemblekit.selection.greedy import Rules, select
from tests.conftest import make_class_predictions, make_regression_predictions

N, M = 101, 5  # rows: no multiple of 16
LEVELS = [0.1, 0.5, 0.8]
WEIGHTS = ("none", "counts", "real")


def scaled_error(estimator, X, y, sample_weight=None):
    """A scorer that is no name: minus 3 times the mean absolute error."""
    wrong = np.abs(y - estimator.predict(X)).reshape(len(y), -1).mean(axis=1)
    return -3.0 * np.average(wrong, weights=sample_weight)


def sure_share(estimator, X, y, sample_weight=None):
    """A scorer of probabilities: the mean of that of the true class."""
    p = estimator.predict_proba(X)[np.arange(len(y)), y]
    return np.average(p, weights=sample_weight)


@dataclass(frozen=True)
class Case:
    """A loss, and its value for a mixture (n, d) by another library's code."""

    loss: Any
    n_outputs: int = 1
    n_classes: int = 0
    options: tuple = ()
    targets: int = 1

    def __str__(self):
        name = getattr(self.loss, "__name__", self.loss)
        return f"{name}-{self.n_classes or self.n_outputs}"

    @property
    def combiner(self):
        kind = (
            EnsembleSelectionClassifier
            if self.n_classes
            else EnsembleSelectionRegressor
        )
        return kind(loss=self.loss, **dict(self.options))

    def data(self, seed=0, n=N):
        if self.n_classes:
            P, y, _ = make_class_predictions(M, self.n_classes, n, seed)
        else:
            P, y, _ = make_regression_predictions(M * self.n_outputs, n, seed)
            if self.targets > 1:
                y = y[:, None] + 0.2 * np.arange(self.targets)
        return P, y

    def scores(self, P, y, weight):
        combiner = self.combiner
        if self.n_classes:
            combiner.classes_ = np.arange(self.n_classes)
            return class_scores(combiner, P, y, plain(weight))
        return value_scores(combiner, P, y, plain(weight), self.n_outputs)

    def brute(self, P, y, weight, shares):
        """The loss of one mixture, rows of weight 0 left out."""
        cube = P.reshape(len(P), M, -1)
        mixture = np.einsum("ijk,j->ik", cube, np.array(shares) / np.sum(shares))
        kept = weight > 0.0
        return BRUTE[self.loss](self, y[kept], mixture[kept], weight[kept])


def both(p):
    return np.hstack([1.0 - p, p]) if p.shape[1] == 1 else p


def by_table(case, y, mixture, weight):
    return evaluate_loss(case.loss, y, both(mixture), weight)


def by_label(metric, **options):
    def loss(case, y, mixture, weight):
        calls = both(mixture).argmax(axis=1)
        return 1.0 - metric(y, calls, sample_weight=weight, **options)

    return loss


def log_loss(case, y, mixture, weight):
    labels = np.arange(case.n_classes)
    p = both(mixture)
    p = p / p.sum(axis=1, keepdims=True)  # scikit-learn warns of the last digits
    return metrics.log_loss(y, p, labels=labels, sample_weight=weight)


def auc(case, y, mixture, weight):
    return 1.0 - metrics.roc_auc_score(y, mixture[:, 0], sample_weight=weight)


def squares(case, y, mixture, weight):
    y = y.reshape(mixture.shape)
    return metrics.mean_squared_error(y, mixture, sample_weight=weight)


def absolute(case, y, mixture, weight):
    y = y.reshape(mixture.shape)
    return metrics.mean_absolute_error(y, mixture, sample_weight=weight)


def huber(case, y, mixture, weight):
    z = np.abs(y.reshape(mixture.shape) - mixture)
    rows = np.where(z <= 0.4, 0.5 * z**2, 0.4 * (z - 0.2)).mean(axis=1)
    return np.average(rows, weights=weight)


def pinball(case, y, mixture, weight):
    options = dict(case.options)
    levels = options.get(
        "quantile_levels", [options.get("level", 0.5)] * mixture.shape[1]
    )
    y = y[:, None] if y.ndim == 1 else y
    targets = np.broadcast_to(y, mixture.shape)
    return np.mean(
        [
            metrics.mean_pinball_loss(
                targets[:, k], q, alpha=level, sample_weight=weight
            )
            for k, (q, level) in enumerate(zip(mixture.T, levels, strict=True))
        ]
    )


def top_2(case, y, mixture, weight):
    return -metrics.top_k_accuracy_score(y, mixture, k=2, sample_weight=weight)


BRUTE = {
    "log_loss": log_loss,
    "brier": by_table,
    "zero_one": by_label(metrics.accuracy_score),
    "auc": auc,
    "accuracy": by_label(metrics.accuracy_score),
    "balanced_accuracy": by_label(metrics.balanced_accuracy_score),
    "f1": by_label(metrics.f1_score),
    "f1_macro": by_label(metrics.f1_score, average="macro"),
    "f1_weighted": by_label(metrics.f1_score, average="weighted"),
    "matthews_corrcoef": by_label(metrics.matthews_corrcoef),
    "squared_error": squares,
    "absolute_error": absolute,
    "huber": huber,
    "pinball": pinball,
    "top_k_accuracy": top_2,
    "neg_median_absolute_error": lambda case, y, mixture, weight: (
        metrics.median_absolute_error(y, mixture[:, 0], sample_weight=weight)
    ),
    "r2": lambda case, y, mixture, weight: (
        -metrics.r2_score(y.reshape(mixture.shape), mixture, sample_weight=weight)
    ),
    scaled_error: lambda *given: 3.0 * absolute(*given),
    sure_share: lambda case, y, mixture, weight: (
        -np.average(both(mixture)[np.arange(len(y)), y], weights=weight)
    ),
}
DELTA = (("delta", 0.4),)
SMOOTH = [
    Case("log_loss", 1, 2),
    Case("log_loss", 3, 3),
    Case("brier", 1, 2),
    Case("brier", 3, 3),
    Case("squared_error"),
    Case("squared_error", 2, targets=2),
    Case("huber", options=DELTA),
    Case("huber", 2, options=DELTA, targets=2),
]
KINKED = [
    Case("absolute_error"),
    Case("absolute_error", 2, targets=2),
    Case("pinball", options=(("level", 0.2),)),
    Case("pinball", 3, options=(("quantile_levels", LEVELS),)),
]
DECISIONS = [
    Case("zero_one", 1, 2),
    Case("zero_one", 3, 3),
    Case("auc", 1, 2),
    Case("accuracy", 1, 2),
    Case("balanced_accuracy", 1, 2),
    Case("balanced_accuracy", 3, 3),
    Case("f1", 1, 2),
    Case("f1_macro", 1, 2),
    Case("f1_macro", 3, 3),
    Case("f1_weighted", 3, 3),
    Case("matthews_corrcoef", 1, 2),
    Case("matthews_corrcoef", 3, 3),
]
SCORERS = [
    Case("top_k_accuracy", 3, 3),
    Case(sure_share, 1, 2),
    Case(sure_share, 3, 3),
    Case("neg_median_absolute_error"),
    Case("r2", 2, targets=2),
    Case(scaled_error),
    Case(scaled_error, 2, targets=2),
]
CONVEX = SMOOTH + KINKED
ALL = CONVEX + DECISIONS + SCORERS
# What ConvexRegressor and ConvexClassifier minimise: one output.
WITH_TWIN = [c for c in CONVEX if c.n_outputs == 1 or c.n_classes]


def row_weights(kind, n=N, seed=0):
    rng = np.random.default_rng([seed, 7])
    if kind == "none":
        return np.ones(n)
    if kind == "counts":
        return rng.integers(0, 4, n).astype(float)
    return rng.uniform(0.1, 2.0, n) * (rng.random(n) < 0.9)


each_loss = pytest.mark.parametrize("case", ALL, ids=str)
each_weight = pytest.mark.parametrize("kind", WEIGHTS)


# Values.
@each_loss
@each_weight
@pytest.mark.parametrize("seed", range(3))
def test_losses_with_each_member_added(case, kind, seed):
    P, y = case.data(seed)
    weight = row_weights(kind, seed=seed)
    scores = case.scores(P, y, weight)
    scores.start()
    counts = np.zeros(M)
    for pick in (2, 0, 2, 4, 1):
        expected = [case.brute(P, y, weight, counts + own) for own in np.eye(M)]
        assert_allclose(scores.losses(), expected, rtol=1e-11, atol=1e-13)
        scores.add(pick)
        counts[pick] += 1
    scores.start()
    expected = [case.brute(P, y, weight, own) for own in np.eye(M)]
    assert_allclose(scores.losses(), expected, rtol=1e-11, atol=1e-13)


@each_loss
@each_weight
def test_losses_of_mixtures(case, kind):
    P, y = case.data()
    weight, rng = row_weights(kind), np.random.default_rng(1)
    mixtures = rng.uniform(size=(4, M)) * (rng.random((4, M)) < 0.7)
    mixtures[:, 0] += 0.1
    expected = [case.brute(P, y, weight, shares) for shares in mixtures]
    found = case.scores(P, y, weight).of(mixtures)
    assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


@each_loss
@each_weight
def test_scores_on_some_rows(case, kind):
    P, y = case.data()
    weight, shares = row_weights(kind), np.arange(1.0, M + 1)
    rows = np.random.default_rng(2).permutation(N)[:70]
    some = case.scores(P, y, weight).rows(rows)
    expected = case.brute(P[rows], y[rows], weight[rows], shares)
    assert_allclose(some.of(shares[None])[0], expected, rtol=1e-11, atol=1e-13)
    some.start()
    expected = [case.brute(P[rows], y[rows], weight[rows], own) for own in np.eye(M)]
    assert_allclose(some.losses(), expected, rtol=1e-11, atol=1e-13)


@each_loss
@each_weight
@pytest.mark.parametrize("other", ["counts", "real"])
def test_scores_under_other_weights(case, kind, other):
    P, y = case.data()
    shares, weight = np.arange(1.0, M + 1), row_weights(other, seed=3)
    found = case.scores(P, y, row_weights(kind)).weighted(weight)
    expected = case.brute(P, y, weight, shares)
    assert_allclose(found.of(shares[None])[0], expected, rtol=1e-11, atol=1e-13)
    found.start()
    expected = [case.brute(P, y, weight, own) for own in np.eye(M)]
    assert_allclose(found.losses(), expected, rtol=1e-11, atol=1e-13)


def test_a_scorer_is_told_the_numbers_of_its_rows():
    seen = []

    def scorer(estimator, X, y):
        seen.append((X[:, 0], y, estimator.predict(X)))
        return 0.0

    case = Case(scorer)
    P, y = case.data()
    scores = case.scores(P, y, np.ones(N)).rows(np.arange(10, 20)).rows(np.arange(5))
    scores.of(np.eye(M)[:1])
    scores.weighted(np.array([0.0, 2.0, 1.0, 0.0, 3.0])).of(np.eye(M)[:1])
    for (numbers, targets, values), expected in zip(
        seen, ([10, 11, 12, 13, 14], [11, 11, 12, 14, 14, 14]), strict=True
    ):
        assert_array_equal(numbers, expected)
        assert_array_equal(targets, y[expected])
        assert_allclose(values, P[expected, 0])


# Weights.
@each_loss
@pytest.mark.parametrize("seed", range(3))
def test_integer_weights_equal_repeated_rows(case, seed):
    P, y = case.data(seed)
    counts = row_weights("counts", seed=seed)
    rows = np.repeat(np.arange(N), counts.astype(int))
    weighted = case.combiner.set_params(n_rounds=10).fit(P, y, sample_weight=counts)
    repeated = case.combiner.set_params(n_rounds=10).fit(P[rows], y[rows])
    assert_array_equal(weighted.picks_, repeated.picks_)
    assert_allclose(weighted.loss_path_, repeated.loss_path_, rtol=1e-11, atol=1e-13)
    assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("case", CONVEX + DECISIONS, ids=str)
@pytest.mark.parametrize("scale", [1e-12, 1e25])
def test_the_scale_of_weights_does_not_matter(case, scale):
    P, y = case.data()
    weight = row_weights("counts")
    own = case.combiner.fit(P, y, sample_weight=weight)
    other = case.combiner.fit(P, y, sample_weight=weight * scale)
    assert_array_equal(own.picks_, other.picks_)
    assert_allclose(own.loss_path_, other.loss_path_, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("seed", range(20))
def test_small_losses_of_ranks_keep_their_digits(seed):
    rng = np.random.default_rng(seed)
    y = np.r_[0, 1, rng.integers(0, 2, 400)]
    P = np.column_stack([y, y, rng.random(402)]) * 0.5 + 0.1 * rng.random((402, 3))
    P[0, :2], P[1, :2] = 0.9, 0.05  # one wrong pair of light rows, and their neighbours
    weight = rng.uniform(0.5, 2.0, 402)
    weight[:2] = 1e-3
    scores = Case("auc", 1, 2).scores(P, y, weight)
    scores.start()
    higher = P[:, 0][:, None] > P[:, 0]
    pairs = np.outer(weight * (y == 0), weight * (y == 1))
    lost = pairs[higher].sum() / pairs.sum()
    assert 0.0 < lost < 0.01
    assert_allclose(scores.losses()[0], lost, rtol=1e-13)
    assert_allclose(scores.of(np.eye(3)[:1])[0], lost, rtol=1e-13)


# Slopes and certificates.
@pytest.mark.parametrize("case", SMOOTH, ids=str)
@each_weight
def test_slope_is_the_derivative(case, kind):
    P, y = case.data()
    weight = row_weights(kind)
    scores = case.scores(P, y, weight)
    w = np.arange(1.0, M + 1) / 15.0
    step, slope = 1e-5, scores.slope(w)
    for j in range(M - 1):  # along the simplex, from one member to the next
        along = step * (np.eye(M)[j] - np.eye(M)[j + 1])
        high, low = (case.brute(P, y, weight, w + d) for d in (along, -along))
        assert_allclose((high - low) / (2 * step), slope[j] - slope[j + 1], atol=1e-7)


@pytest.mark.parametrize("case", KINKED, ids=str)
@each_weight
def test_slope_is_a_subgradient(case, kind):
    P, y = case.data()
    weight = row_weights(kind)
    scores = case.scores(P, y, weight)
    rng = np.random.default_rng(0)
    for here, there in rng.dirichlet(np.ones(M), (50, 2)):
        bound = scores.of(here[None])[0] + scores.slope(here) @ (there - here)
        assert scores.of(there[None])[0] >= bound - 1e-12


@pytest.mark.parametrize("case", WITH_TWIN, ids=str)
@each_weight
def test_gap_bounds_what_is_left(case, kind):
    P, y = case.data()
    weight = row_weights(kind)
    scores = case.scores(P, y, weight)
    optimum = convex_twin(case).fit(P, y, sample_weight=weight).weights_
    lowest = scores.of(optimum[None])[0]
    for w in np.random.default_rng(0).dirichlet(np.ones(M), 10):
        assert scores.gap(w) >= scores.of(w[None])[0] - lowest - 1e-12
    if case in SMOOTH and case.loss != "huber":
        assert scores.gap(optimum) < 1e-6


def convex_twin(case):
    if case.n_classes:
        return ConvexClassifier(loss=case.loss, ridge=0.0)
    return ConvexRegressor(loss=case.loss, ridge=0.0, **dict(case.options))


@pytest.mark.parametrize("case", DECISIONS + SCORERS, ids=str)
def test_no_certificate_without_convexity(case):
    P, y = case.data()
    scores = case.scores(P, y, np.ones(N))
    assert np.isnan(scores.gap(np.full(M, 1.0 / M)))


# Input forms.
@each_loss
def test_float32(case):
    P, y = case.data()
    single = P.astype(np.float32)
    weight = row_weights("real")
    scores = case.scores(single, y, weight)
    scores.start()
    scores.add(1)
    expected = [
        case.brute(single.astype(float), y, weight, np.eye(M)[1] + own)
        for own in np.eye(M)
    ]
    assert_allclose(scores.losses(), expected, rtol=1e-6, atol=1e-7)
    assert_allclose(scores.of(np.eye(M)[:1] + np.eye(M)[1]), expected[0], rtol=1e-6)


@each_loss
def test_selection_ends_at_the_loss_of_its_shares(case):
    P, y = case.data(seed=4)
    weight = row_weights("real")
    path = select(case.scores(P, y, weight), Rules(8))
    for t in range(len(path.picks)):
        shares = np.bincount(path.picks[: t + 1], minlength=M)
        expected = case.brute(P, y, weight, shares)
        assert_allclose(path.losses[t], expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("loss", ["log_loss", "zero_one", "auc", "f1"])
def test_single_precision_is_not_copied_to_double(loss):
    import tracemalloc

    case = Case(loss, 1, 2)
    rng = np.random.default_rng(0)
    P = rng.random((4000, 300), np.float32)
    y = rng.integers(0, 2, 4000)
    scores = case.scores(P, y, np.ones(4000))
    every_use(scores)  # compiles
    tracemalloc.start()
    every_use(case.scores(P, y, np.ones(4000)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * P.nbytes


def every_use(scores):
    shares = np.full((2, scores.n_members), 1.0 / scores.n_members)
    scores.start()
    scores.losses()
    scores.of(shares)
    scores.gap(shares[0])
