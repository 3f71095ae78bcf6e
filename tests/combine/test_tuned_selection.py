"""Selection whose decision offsets are chosen with the members."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import balanced_accuracy_score

from ensemblekit import EnsembleSelectionClassifier


def rare_class(seed, n=900, n_new=4000, m=10):
    """Members that rank well, of a class that few rows have."""
    rng = np.random.default_rng(seed)
    logits = 1.6 * rng.normal(size=n + n_new) - 2.2
    y = (rng.random(n + n_new) < 1 / (1 + np.exp(-logits))).astype(int)
    noise = rng.normal(size=(n + n_new, m)) * rng.uniform(0.3, 1.5, m)
    P = 1 / (1 + np.exp(-(logits[:, None] * rng.uniform(0.6, 1.3, m) + noise)))
    return P[:n], y[:n], P[n:], y[n:]


def test_balanced_accuracy_rises_on_new_rows():
    gains = []
    for seed in range(10):
        P, y, P_new, y_new = rare_class(seed)
        scores = [
            balanced_accuracy_score(
                y_new,
                EnsembleSelectionClassifier(loss="balanced_accuracy", tune_offsets=tune)
                .fit(P, y)
                .predict(P_new),
            )
            for tune in (False, True)
        ]
        gains.append(scores[1] - scores[0])
    assert (np.array(gains) > 0.03).all()


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("loss", ["zero_one", "balanced_accuracy", "f1_macro"])
def test_loss_is_that_of_the_labels(class_predictions, loss, n_classes):
    P, y, weight = class_predictions(n_classes=n_classes, n_samples=400)
    found = EnsembleSelectionClassifier(loss=loss, tune_offsets=True, n_rounds=12)
    found.fit(P, y, sample_weight=weight)
    wrong = np.average(found.predict(P) != y, weights=weight)
    if loss == "zero_one":
        assert_allclose(found.loss_, wrong, rtol=1e-12)
    shifted = (found.predict_proba(P) + found.offsets_).argmax(axis=1)
    assert_array_equal(found.predict(P), found.classes_[shifted])
    assert found.offsets_[0] == 0.0
    assert_allclose(found.predict_proba(P).sum(axis=1), 1.0)


def test_offsets_stay_at_zero_where_the_line_is_right():
    kept = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        p = rng.random(600)
        y = (rng.random(600) < p).astype(int)  # one half is the best line
        P = np.column_stack([p, np.clip(p + 0.1 * rng.normal(size=600), 0, 1)])
        found = EnsembleSelectionClassifier(loss="zero_one", tune_offsets=True)
        kept += not found.fit(P, y).offsets_.any()
    assert kept >= 7


def test_integer_weights_equal_repeated_rows_in_the_same_folds(class_predictions):
    P, y, _ = class_predictions(n_samples=120)
    fold = np.arange(120) % 3
    folds = [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(3)]
    times = np.random.default_rng(0).integers(1, 3, 120)
    copies = np.repeat(np.arange(120), times)
    doubled = [
        tuple(np.flatnonzero(np.isin(copies, part)) for part in parts)
        for parts in folds
    ]
    options = {"loss": "f1", "tune_offsets": True, "n_rounds": 10}
    one = EnsembleSelectionClassifier(nested_cv=folds, **options)
    one.fit(P, y, sample_weight=times)
    two = EnsembleSelectionClassifier(nested_cv=doubled, **options)
    two.fit(P[copies], y[copies])
    assert_allclose(one.offsets_, two.offsets_, atol=1e-12)
    assert_allclose(one.weights_, two.weights_)
    assert_allclose(one.nested_score_.loss, two.nested_score_.loss)


def test_nested_score_is_of_offsets_that_saw_no_held_out_row(class_predictions):
    P, y, _ = class_predictions(n_samples=160)
    fold = np.arange(160) % 4
    folds = [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(4)]
    options = {"loss": "balanced_accuracy", "tune_offsets": True, "n_rounds": 8}
    for cost in (None, np.ones(6)):  # price runs of the frontier leave no offsets
        found = EnsembleSelectionClassifier(nested_cv=folds, cost=cost, **options)
        found.fit(P, y)
        for f, (train, test) in enumerate(folds):
            own, rest = fold[train], [g for g in range(4) if g != f]
            inner = [(np.flatnonzero(own != g), np.flatnonzero(own == g)) for g in rest]
            one = EnsembleSelectionClassifier(nested_cv=inner, **options)
            one.fit(P[train], y[train])
            loss = 1.0 - balanced_accuracy_score(y[test], one.predict(P[test]))
            assert_allclose(found.nested_score_.fold_losses[f], loss, atol=1e-12)
        plain = (P.mean(axis=1) > 0.5).astype(int)
        uniform = 1.0 - balanced_accuracy_score(y, plain)
        assert_allclose(found.nested_score_.uniform_loss, uniform)


def test_labels_that_are_noise_promise_nothing():
    # Offsets and members that fit noise gain on their own rows only.
    losses = []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        y, P = rng.integers(0, 2, 120), rng.random((120, 15))
        found = EnsembleSelectionClassifier(
            loss="balanced_accuracy", tune_offsets=True, nested_cv=4, n_rounds=8
        ).fit(P, y)
        losses.append((found.loss_, found.nested_score_.loss))
    own, honest = np.mean(losses, axis=0)
    assert own < 0.45
    assert abs(honest - 0.5) < 0.03


@pytest.mark.parametrize("loss", ["log_loss", "auc", "roc_auc"])
def test_losses_without_labels_are_refused(class_predictions, loss):
    P, y, _ = class_predictions()
    with pytest.raises(ValueError, match="tune_offsets needs a loss of labels"):
        EnsembleSelectionClassifier(loss=loss, tune_offsets=True).fit(P, y)


@pytest.mark.parametrize("loss", ["balanced_accuracy", "f1", "zero_one"])
def test_rejected_offsets_leave_plain_selection(loss):
    rejected = 0
    for seed in range(12):
        P, y, _, _ = rare_class(seed, n=200, n_new=1, m=8)
        tuned = EnsembleSelectionClassifier(loss=loss, tune_offsets=True).fit(P, y)
        if tuned.offsets_.any():
            continue
        rejected += 1
        plain = EnsembleSelectionClassifier(loss=loss).fit(P, y)
        assert_array_equal(tuned.picks_, plain.picks_)
        assert_array_equal(tuned.weights_, plain.weights_)
        assert_allclose(tuned.loss_path_, plain.loss_path_)
    assert loss == "balanced_accuracy" or rejected > 0


def test_path_and_frontier_are_under_the_final_offsets():
    P, y, _, _ = rare_class(0)
    cost = np.arange(1.0, 11.0)
    found = EnsembleSelectionClassifier(
        loss="balanced_accuracy", tune_offsets=True, cost=cost
    ).fit(P, y)
    assert found.offsets_.any()

    def under_final(picks):
        mean = P[:, picks].mean(axis=1)
        labels = np.column_stack([1 - mean, mean]) + found.offsets_
        return 1.0 - balanced_accuracy_score(y, labels.argmax(axis=1))

    for t, loss in enumerate(found.loss_path_):
        assert_allclose(loss, under_final(found.picks_[: t + 1]), atol=1e-12)
    for picks, loss in zip(found.frontier_.picks, found.frontier_.losses, strict=True):
        assert_allclose(loss, under_final(picks), atol=1e-12)
