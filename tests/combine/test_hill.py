from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import balanced_accuracy_score, make_scorer, mean_squared_error

from ensemblekit import (
    ConvexClassifier,
    ConvexRegressor,
    HillClimbingClassifier,
    HillClimbingRegressor,
    evaluate_loss,
)

from ..selection import oracles_hill as oracles

GRID = np.arange(0.01, 0.505, 0.01)
SIGNED = np.concatenate([-GRID[::-1], GRID])
CLASS_LOSSES = [
    ("log_loss", 2),
    ("log_loss", 3),
    ("brier", 2),
    ("brier", 3),
    ("zero_one", 2),
    ("zero_one", 3),
    ("auc", 2),
]
VALUE_LOSSES = [
    ("squared_error", {}),
    ("absolute_error", {}),
    ("huber", {"delta": 0.3}),
    ("pinball", {"level": 0.8}),
]
chose_negative = pytest.mark.filterwarnings("ignore:.*chose negative:UserWarning")


def random_classes(seed, n_classes, loss):
    """Small libraries of any size, with ties for every third seed."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(12, 60), rng.integers(1, 6)
    y = np.arange(n) % n_classes
    logits = rng.normal(size=(n, m, n_classes)) * rng.uniform(0.3, 1.5, (m, 1))
    logits += 1.2 * (y[:, None] == np.arange(n_classes))[:, None, :]
    # Noise that members share, in different strength, is what negative weights remove.
    logits += rng.normal(size=(n, 1, n_classes)) * rng.uniform(0.0, 2.5, (m, 1))
    blocks = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    if seed % 3 == 0 and loss in ("zero_one", "auc"):
        blocks = np.round(blocks, 1)
        blocks[:, :, 0] += 1.0 - blocks.sum(axis=2)
        blocks = np.abs(blocks)
    weight = [None, rng.integers(0, 4, n) + (np.arange(n) < 6), rng.random(n) + 0.01]
    P = blocks[:, :, 1] if n_classes == 2 else blocks.reshape(n, -1)
    return P, y, weight[seed % 3 if seed % 2 else 0]


def assert_same_path(found, expected, rtol=1e-11):
    picks, steps, path, _ = expected
    assert_array_equal(found.picks_, picks)
    assert_allclose(found.steps_, steps, rtol=1e-13)
    assert_allclose(found.loss_path_, path, rtol=rtol, atol=1e-15)


@pytest.mark.parametrize(("loss", "n_classes"), CLASS_LOSSES)
def test_classification_follows_the_loop(loss, n_classes):
    for seed in range(100):
        P, y, weight = random_classes(seed, n_classes, loss)
        expected = oracles.climb(
            oracles.class_members(P, n_classes),
            partial(oracles.class_loss, loss, y, weight),
            GRID,
        )
        found = HillClimbingClassifier(loss=loss).fit(P, y, sample_weight=weight)
        assert_same_path(found, expected)
        assert_allclose(found.predict_proba(P), expected[-1], atol=1e-12)
        assert_allclose(found.weights_.sum(), 1.0, rtol=1e-15)
        assert found.weights_.min() >= 0.0


@pytest.mark.parametrize(("loss", "options"), VALUE_LOSSES)
def test_regression_follows_the_loop(loss, options, regression_predictions):
    for seed in range(100):
        m = 1 + seed % 5
        P, y, weight = regression_predictions(m, n_samples=20 + seed, seed=seed)
        weight = weight if seed % 2 else None
        expected = oracles.climb(
            list(P.T),
            lambda p, y=y, w=weight: evaluate_loss(loss, y, p, w, **options),
            GRID,
        )
        found = HillClimbingRegressor(loss=loss, **options)
        found.fit(P, y, sample_weight=weight)
        assert_same_path(found, expected)
        assert_allclose(found.predict(P), expected[-1], rtol=1e-12, atol=1e-12)


@chose_negative
@pytest.mark.parametrize(("loss", "n_classes"), CLASS_LOSSES)
def test_negative_weights_of_classes_follow_the_clipped_loop(loss, n_classes):
    n_negative = 0
    for seed in range(40):
        P, y, weight = random_classes(seed, n_classes, loss)
        expected = oracles.climb(
            oracles.class_members(P, n_classes),
            partial(oracles.class_loss, loss, y, weight),
            SIGNED,
            fit=oracles.clip_rows,
        )
        found = HillClimbingClassifier(loss=loss, allow_negative=True)
        found.fit(P, y, sample_weight=weight)
        assert_same_path(found, expected)
        assert_allclose(
            found.predict_proba(P), oracles.clip_rows(expected[-1]), atol=1e-12
        )
        n_negative += (found.weights_ < 0).any()
    assert n_negative >= 3


@chose_negative
@pytest.mark.parametrize(("loss", "options"), VALUE_LOSSES)
def test_negative_weights_of_values_follow_the_loop(
    loss, options, regression_predictions
):
    n_negative = 0
    for seed in range(40):
        P, y, _ = regression_predictions(4, n_samples=25, seed=seed)
        expected = oracles.climb(
            list(P.T),
            lambda p, y=y: evaluate_loss(loss, y, p, **options),
            SIGNED,
        )
        found = HillClimbingRegressor(loss=loss, allow_negative=True, **options)
        assert_same_path(found.fit(P, y), expected)
        assert_allclose(found.predict(P), expected[-1], rtol=1e-12, atol=1e-12)
        assert_allclose(found.weights_.sum(), 1.0, rtol=1e-15)
        n_negative += (found.weights_ < 0).any()
    assert n_negative >= 5


def test_warns_only_of_negative_weights_that_were_chosen(regression_predictions):
    P, y, _ = regression_predictions()
    noise = P - y[:, None]
    P = y[:, None] + np.column_stack([noise[:, 0], 2.0 * noise[:, 0], noise[:, 1]])
    with pytest.warns(UserWarning, match="HillClimbingRegressor chose negative"):
        found = HillClimbingRegressor(allow_negative=True).fit(P, y)
    assert found.weights_.min() < 0.0
    assert found.loss_path_[-1] < HillClimbingRegressor().fit(P, y).loss_path_[-1]
    HillClimbingRegressor(allow_negative=True).fit(P[:, :1], y)


@pytest.mark.parametrize("loss", ["log_loss", "brier", "zero_one", "auc"])
@pytest.mark.parametrize("negative", [False, True])
@chose_negative
def test_integer_weights_equal_repeated_rows(loss, negative, class_predictions):
    for seed in range(10):
        P, y, weight = class_predictions(seed=seed)
        weight[::5] = 0.0
        copies = np.repeat(np.arange(len(y)), weight.astype(int))
        combiner = HillClimbingClassifier(loss=loss, allow_negative=negative)
        repeated = combiner.fit(P[copies], y[copies]).picks_, combiner.steps_
        path = combiner.loss_path_
        combiner.fit(P, y, sample_weight=weight)
        assert_array_equal(combiner.picks_, repeated[0])
        assert_allclose(combiner.steps_, repeated[1])
        assert_allclose(combiner.loss_path_, path, rtol=1e-12)


@pytest.mark.parametrize(("loss", "options"), VALUE_LOSSES)
def test_integer_weights_of_values(loss, options, regression_predictions):
    for seed in range(10):
        P, y, weight = regression_predictions(seed=seed)
        copies = np.repeat(np.arange(len(y)), weight.astype(int))
        repeated = HillClimbingRegressor(loss=loss, **options).fit(P[copies], y[copies])
        found = HillClimbingRegressor(loss=loss, **options)
        found.fit(P, y, sample_weight=weight)
        assert_array_equal(found.picks_, repeated.picks_)
        assert_allclose(found.loss_path_, repeated.loss_path_, rtol=1e-12)


def replayed_best(found, members, loss):
    """Return the best loss of the grid in each round of the path found."""
    current, best = members[found.picks_[0]], []
    for done, (j, w) in enumerate(
        zip(found.picks_[1:], found.steps_[1:], strict=True), start=1
    ):
        left = set(range(len(members))) - set(found.picks_[:done])
        best.append(
            min(loss((1 - v) * current + v * members[k]) for k in left for v in GRID)
        )
        current = (1 - w) * current + w * members[j]
    return np.array(best)


@pytest.mark.parametrize(("loss", "n_classes"), CLASS_LOSSES[:4])
def test_exact_steps_are_never_worse_than_the_grid(loss, n_classes, class_predictions):
    n_rounds = 0
    for seed in range(8):
        P, y, weight = class_predictions(5, n_classes, n_samples=70, seed=seed)
        weight = weight if seed % 2 else None
        found = HillClimbingClassifier(loss=loss, step=None)
        found.fit(P, y, sample_weight=weight)
        n_rounds += len(found.picks_) - 1
        price = partial(_evaluate, loss, y, weight)
        best = replayed_best(found, oracles.class_members(P, n_classes), price)
        assert (found.loss_path_[1:] <= best * (1 + 1e-12)).all()
        assert_allclose(price(found.predict_proba(P)), found.loss_path_[-1], rtol=1e-11)
    assert n_rounds >= 8


def _evaluate(loss, y, weight, prediction):
    return evaluate_loss(loss, y, prediction, weight)


@chose_negative
@pytest.mark.parametrize("negative", [False, True])
def test_exact_steps_of_squared_error(negative, regression_predictions):
    for seed in range(8):
        P, y, weight = regression_predictions(6, n_samples=60, seed=seed)
        found = HillClimbingRegressor(step=None, allow_negative=negative)
        found.fit(P, y, sample_weight=weight)
        best = replayed_best(
            found, list(P.T), partial(_evaluate, "squared_error", y, weight)
        )
        assert (found.loss_path_[1:] <= best * (1 + 1e-12)).all()
        assert np.abs(found.steps_[1:]).max() <= 0.5


def test_exact_step_of_log_loss_is_stationary_or_at_the_end(class_predictions):
    for seed in range(10):
        P, y, _ = class_predictions(2, seed=seed)
        found = HillClimbingClassifier(step=None).fit(P, y)
        if len(found.picks_) == 2:
            T = np.where(y[:, None] == 1, P, 1 - P)[:, found.picks_]
            w = found.steps_[1]
            slope = np.mean((T[:, 0] - T[:, 1]) / ((1 - w) * T[:, 0] + w * T[:, 1]))
            assert abs(slope) < 1e-9 or (w == 0.5 and slope < 0)


def test_approaches_the_convex_optimum_from_above(
    class_predictions, regression_predictions
):
    P, y, _ = class_predictions(10, n_samples=500)
    exact = ConvexClassifier(ridge=0).fit(P, y).objective_
    assert exact <= HillClimbingClassifier().fit(P, y).loss_path_[-1] <= exact + 2e-3
    P, y, _ = regression_predictions(10, n_samples=500)
    exact = ConvexRegressor(ridge=0).fit(P, y).objective_
    assert exact <= HillClimbingRegressor().fit(P, y).loss_path_[-1] <= exact * 1.05


@pytest.mark.parametrize(
    "scorer",
    [
        "neg_log_loss",
        "balanced_accuracy",
        make_scorer(balanced_accuracy_score),
        lambda estimator, X, y: (
            -np.mean((estimator.predict_proba(X)[:, 1] - (y == "yes")) ** 2)
        ),
    ],
)
def test_scorers_follow_the_loop(scorer, class_predictions):
    P, y, _ = class_predictions(4, n_samples=60)
    labels = np.array(["no", "yes"])[y]
    found = HillClimbingClassifier(loss=scorer, step=0.05).fit(P, labels)
    name = "brier" if callable(scorer) and not hasattr(scorer, "_score_func") else None
    name = "log_loss" if scorer == "neg_log_loss" else name

    def loss(p):
        if name:
            return evaluate_loss(name, y, p)
        return -balanced_accuracy_score(y, p.argmax(axis=1))

    steps = np.arange(0.05, 0.525, 0.05)
    assert_same_path(found, oracles.climb(oracles.class_members(P, 2), loss, steps))


def test_a_scorer_gives_the_path_of_its_loss(regression_predictions, class_predictions):
    P, y, weight = regression_predictions(4)
    weight[::3] = 0.0
    slow = HillClimbingRegressor(loss="neg_mean_squared_error", step=0.1)
    slow.fit(P, y, sample_weight=weight)
    fast = HillClimbingRegressor(step=0.1).fit(P, y, sample_weight=weight)
    assert_array_equal(slow.picks_, fast.picks_)
    assert_allclose(slow.loss_path_, fast.loss_path_, rtol=1e-12)
    P, y, weight = class_predictions(4)
    slow = HillClimbingClassifier(loss="roc_auc", step=0.1).fit(P, y, weight)
    fast = HillClimbingClassifier(loss="auc", step=0.1).fit(P, y, weight)
    assert_array_equal(slow.picks_, fast.picks_)
    assert_allclose(1.0 + slow.loss_path_, fast.loss_path_, rtol=1e-12)
    P, y, _ = class_predictions(3, 3)
    slow = HillClimbingClassifier(loss="roc_auc_ovr", step=0.25).fit(P, y)
    assert len(slow.picks_) > 1


def test_limits(class_predictions):
    P, y, _ = class_predictions(12, n_samples=400)
    full = HillClimbingClassifier().fit(P, y)
    few = HillClimbingClassifier(max_members=3).fit(P, y)
    assert_array_equal(few.picks_, full.picks_[:3])
    gains = -np.diff(full.loss_path_)
    stop = HillClimbingClassifier(min_gain=gains[2]).fit(P, y)
    assert len(stop.picks_) == 1 + np.argmax(gains <= gains[2])
    assert (np.diff(full.loss_path_) < 0).all()


def test_equal_members_are_used_once(class_predictions):
    P, y, _ = class_predictions()
    plain = HillClimbingClassifier().fit(P, y)
    doubled = HillClimbingClassifier().fit(np.hstack([P, P]), y)
    assert_array_equal(doubled.picks_, plain.picks_)
    assert_array_equal(doubled.weights_, np.append(plain.weights_, np.zeros(6)))


def test_a_perfect_member_stays_alone(regression_predictions):
    P, y, _ = regression_predictions()
    P[:, 3] = y
    found = HillClimbingRegressor().fit(P, y)
    assert_array_equal(found.picks_, [3])
    assert found.loss_path_.tolist() == [0.0]


def test_single_precision_and_any_memory_order(class_predictions):
    P, y, _ = class_predictions(n_classes=3)
    expected = HillClimbingClassifier().fit(P, y)
    for other in (P.astype(np.float32), np.asfortranarray(P)):
        found = HillClimbingClassifier().fit(other, y)
        assert_array_equal(found.picks_, expected.picks_)
        assert_allclose(found.loss_path_, expected.loss_path_, rtol=1e-6)


@chose_negative
@pytest.mark.parametrize("loss", ["neg_log_loss", "log_loss", "brier", "zero_one"])
def test_the_path_ends_at_the_loss_of_the_prediction(loss, class_predictions):
    P, y, weight = class_predictions(4, 3)
    P = P.astype(np.float32)  # rows sum to 1 only roughly
    found = HillClimbingClassifier(loss=loss, step=0.1, allow_negative=True)
    found.fit(P, y, sample_weight=weight)
    name = loss.removeprefix("neg_")
    combined = evaluate_loss(name, y, found.predict_proba(P), weight)
    assert_allclose(found.loss_path_[-1], combined, rtol=1e-12)


def test_many_rows_of_sure_members_do_not_underflow():
    y = np.arange(4096) % 2
    sure = np.where(y == 1, 0.0, 1.0)
    P = np.column_stack([sure, 1e-300 + 0 * y])
    found = HillClimbingClassifier().fit(P, y)
    assert np.isfinite(found.loss_path_).all()
    one = HillClimbingClassifier().fit(sure[:, None], y)
    assert_allclose(one.loss_path_, [-np.log(np.finfo(float).eps)], rtol=1e-14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "squared_error"}, "is for regression; expected one of"),
        ({"loss": "logg_loss"}, "Unknown loss 'logg_loss'.*scikit-learn scorer"),
        ({"loss": "zero_one", "step": None}, "exact step.*got loss='zero_one'"),
        ({"step": None, "allow_negative": True}, "without clipped mixtures"),
        ({"step": 0.6}, r"'step'.*\(0.0, 0.5\]"),
        ({"step": 0.0}, r"'step'.*\(0.0, 0.5\]"),
        ({"max_members": 0}, "'max_members'"),
        ({"min_gain": -1.0}, "'min_gain'"),
        ({"loss": lambda e, X, y: np.nan}, "returned nan; expected a finite"),
    ],
)
def test_refusals_of_the_classifier(options, message, class_predictions):
    P, y, _ = class_predictions()
    with pytest.raises(ValueError, match=message):
        HillClimbingClassifier(**options).fit(P, y)


def test_refusals_of_data(class_predictions, regression_predictions):
    P, y, weight = class_predictions(n_classes=3)
    auc = HillClimbingClassifier(loss="auc")
    with pytest.raises(ValueError, match=r"'auc' needs two classes.*got 3 of 3"):
        auc.fit(P, y)
    P, y, weight = class_predictions()
    with pytest.raises(ValueError, match=r"'auc' needs two classes.*got 1 of 2"):
        auc.fit(P, y, sample_weight=np.where(y == 1, weight, 0.0))
    plain = HillClimbingClassifier(loss=lambda e, X, y: 0.5)
    plain.fit(P, y)
    with pytest.raises(ValueError, match="takes no sample_weight"):
        plain.fit(P, y, sample_weight=weight)
    P, y, _ = regression_predictions()
    with pytest.raises(ValueError, match="is for classification"):
        HillClimbingRegressor(loss="log_loss").fit(P, y)
    with pytest.raises(ValueError, match="got loss='pinball'"):
        HillClimbingRegressor(loss="pinball", step=None).fit(P, y)


def test_scorers_of_metrics_get_weights(regression_predictions):
    P, y, weight = regression_predictions(3)
    scorer = make_scorer(mean_squared_error, greater_is_better=False)
    slow = HillClimbingRegressor(loss=scorer, step=0.1).fit(P, y, weight)
    fast = HillClimbingRegressor(step=0.1).fit(P, y, weight)
    assert_allclose(slow.loss_path_, fast.loss_path_, rtol=1e-12)
