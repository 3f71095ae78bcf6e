import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import KFold, StratifiedKFold

from ensemblekit import ConvexClassifier, ConvexRegressor
from ensemblekit.convex.ridge import GRID, Search
from tests import oracles


# The rule.
def test_auto_is_members_over_rows(regression_predictions):
    P, y, weight = regression_predictions()
    assert ConvexRegressor().fit(P, y).ridge_ == 6 / 150
    assert ConvexRegressor().fit(P, y, weight).ridge_ == 6 / weight.sum()
    assert ConvexRegressor().fit(np.hstack([P, P[:, :2]]), y).ridge_ == 6 / 150


@pytest.mark.parametrize(("loss", "n_classes"), [("log_loss", 2), ("brier", 3)])
def test_auto_of_a_classifier(class_predictions, loss, n_classes):
    P, y, weight = class_predictions(n_classes=n_classes)
    found = ConvexClassifier(loss=loss).fit(P, y, weight)
    assert found.ridge_ == 6 / weight.sum()
    doubled = ConvexClassifier(loss=loss).fit(np.hstack([P, P]), y, weight)
    assert doubled.ridge_ == found.ridge_
    assert_allclose(doubled.weights_[:6], found.weights_, atol=1e-10)
    assert_array_equal(doubled.weights_[6:], 0.0)


def test_copies_may_differ_on_rows_of_weight_zero(regression_predictions):
    P, y, weight = regression_predictions()
    P = np.hstack([P, P])
    P[3, 6:] += 1.0
    weight[3] = 0.0
    assert ConvexRegressor().fit(P, y, weight).ridge_ == 6 / weight.sum()
    weight[3] = 1.0
    assert ConvexRegressor().fit(P, y, weight).ridge_ == 12 / weight.sum()


@pytest.mark.parametrize("loss", ["squared_error", "huber", "pinball"])
def test_integer_weights_equal_repeated_rows(regression_predictions, loss):
    P, y, weight = regression_predictions()
    weight[:20] = 0.0
    rows = np.repeat(np.arange(len(y)), weight.astype(int))
    counted = ConvexRegressor(loss=loss).fit(P, y, weight)
    repeated = ConvexRegressor(loss=loss).fit(P[rows], y[rows])
    assert counted.ridge_ == repeated.ridge_
    assert_allclose(counted.objective_, repeated.objective_, rtol=1e-9)
    tolerance = 1e-4 if loss == "pinball" else 1e-10
    assert_allclose(counted.weights_, repeated.weights_, atol=tolerance)


@pytest.mark.parametrize("loss", ["log_loss", "brier"])
def test_integer_weights_of_a_classifier(class_predictions, loss):
    P, y, weight = class_predictions(n_classes=3)
    rows = np.repeat(np.arange(len(y)), weight.astype(int))
    counted = ConvexClassifier(loss=loss).fit(P, y, weight)
    repeated = ConvexClassifier(loss=loss).fit(P[rows], y[rows])
    assert_allclose(counted.weights_, repeated.weights_, atol=1e-10)


def test_a_very_strong_ridge_gives_equal_weights(regression_predictions):
    P, y, _ = regression_predictions()
    found = ConvexRegressor(ridge=1e14).fit(P, y)
    assert_allclose(found.weights_, 1 / 6, atol=1e-12)


# Weights that cannot be counts.
@pytest.mark.parametrize("scale", [1 / 150, 1e-3, 1e3])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_normalised_weights_warn(regression_predictions, scale, method):
    P, y, _ = regression_predictions()
    weight = scale * np.random.default_rng(0).uniform(0.5, 1.5, len(y))
    with pytest.warns(
        UserWarning, match=r"sample_weight sums to .* over 150"
    ) as caught:
        getattr(ConvexRegressor(), method)(P, y, sample_weight=weight)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_normalised_weights_of_a_classifier_warn(class_predictions, method):
    P, y, _ = class_predictions()
    options = {"classes": [0, 1]} if method == "partial_fit" else {}
    combiner, weight = ConvexClassifier(loss="brier"), np.full(len(y), 1e-3)
    with pytest.warns(UserWarning, match="Divide sample_weight") as caught:
        getattr(combiner, method)(P, y, sample_weight=weight, **options)
    assert caught[0].filename == __file__


def test_counts_and_weights_near_one_do_not_warn(regression_predictions):
    P, y, weight = regression_predictions()
    near_one = np.random.default_rng(0).uniform(0.2, 3.0, len(y))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for fit_weight in (None, weight, 1000 * weight, near_one, weight - 1):
            ConvexRegressor().fit(P, y, fit_weight)
        ConvexRegressor(ridge=0).fit(P, y, weight / weight.sum())
        ConvexRegressor(ridge=0.1).fit(P, y, weight / weight.sum())


# Cross-validation.
def refitted_losses(combiner, score, splits, P, y, weight):
    """Held-out loss of each ridge, from refits on the training rows."""
    losses = [
        [
            score(combiner(ridge).fit(P[train], y[train], weight[train]), test)
            for ridge in GRID
        ]
        for train, test in splits
    ]
    return np.average(
        losses, axis=0, weights=[weight[test].sum() for _, test in splits]
    )


def splits_of(kind, n):
    if kind == "folds":
        return list(KFold(4, shuffle=True, random_state=1).split(np.empty(n)))
    rows = np.arange(n)
    if kind == "growing":
        return [(rows[:50], rows[50:90]), (rows[:90], rows[90:])]
    if kind == "overlapping":  # as many rows as there are, but not each of them once
        return [(rows[:75], rows[40 : n - 35]), (rows[75:], rows[:75])]
    rng = np.random.default_rng(0)  # a row may be drawn twice
    return [(rng.integers(0, n // 2, n // 2), rows[n // 2 :])]


KINDS = ["folds", "growing", "overlapping", "repeated"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "switches",
    [{}, {"fit_intercept": True}, {"sum_to_one": False}, {"nonnegative": False}],
    ids=str,
)
def test_cv_of_squared_error_equals_refits(regression_predictions, kind, switches):
    P, y, weight = regression_predictions()
    y = y + 0.2
    splits = splits_of(kind, len(y))

    def score(fitted, test):
        error = fitted.predict(P[test]) - y[test]
        return np.average(error**2, weights=weight[test])

    found = ConvexRegressor(ridge="cv", cv=splits, **switches).fit(P, y, weight)
    losses = refitted_losses(
        lambda ridge: ConvexRegressor(ridge=ridge, **switches),
        score,
        splits,
        P,
        y,
        weight,
    )
    assert_array_equal(found.ridges_, GRID)
    assert_allclose(found.cv_losses_, losses, rtol=1e-10)
    assert found.ridge_ == GRID[np.argmin(found.cv_losses_)]
    chosen = ConvexRegressor(ridge=found.ridge_, **switches).fit(P, y, weight)
    assert_allclose(found.weights_, chosen.weights_, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("intercept", [False, True])
def test_cv_of_huber_equals_refits(regression_predictions, kind, intercept):
    P, y, weight = regression_predictions(n_members=4)
    splits, delta = splits_of(kind, len(y)), 0.3
    switches = {"loss": "huber", "delta": delta, "fit_intercept": intercept}

    def score(fitted, test):
        losses = oracles.huber(fitted.predict(P[test]) - y[test], delta)
        return np.average(losses, weights=weight[test])

    found = ConvexRegressor(ridge="cv", cv=splits, **switches).fit(P, y, weight)
    losses = refitted_losses(
        lambda ridge: ConvexRegressor(ridge=ridge, **switches),
        score,
        splits,
        P,
        y,
        weight,
    )
    assert_allclose(found.cv_losses_, losses, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("loss", "n_classes"),
    [("log_loss", 2), ("log_loss", 3), ("brier", 2), ("brier", 3)],
)
def test_cv_of_probabilities_equals_refits(class_predictions, kind, loss, n_classes):
    P, y, weight = class_predictions(n_members=4, n_classes=n_classes)
    splits = splits_of(kind, len(y))

    def score(fitted, test):
        chances = fitted.predict_proba(P[test])
        if loss == "log_loss":
            losses = -np.log(chances[np.arange(len(test)), y[test]])
        else:
            columns = slice(1, None) if n_classes == 2 else slice(None)
            losses = ((chances - np.eye(n_classes)[y[test]])[:, columns] ** 2).sum(1)
        return np.average(losses, weights=weight[test])

    found = ConvexClassifier(loss=loss, ridge="cv", cv=splits).fit(P, y, weight)
    losses = refitted_losses(
        lambda ridge: ConvexClassifier(loss=loss, ridge=ridge),
        score,
        splits,
        P,
        y,
        weight,
    )
    tolerance = 1e-5 if loss == "log_loss" else 1e-10
    assert_allclose(found.cv_losses_, losses, rtol=tolerance)
    assert found.ridge_ == GRID[np.argmin(found.cv_losses_)]


def test_held_out_rows_without_any_chance_count_as_the_epsilon(class_predictions):
    P, y, _ = class_predictions()
    P = np.vstack([P, np.zeros((1, 6))])
    y = np.append(y, 1)
    splits = [(np.arange(90), np.arange(90, 181))]
    fitted = ConvexClassifier(ridge="cv", cv=splits).fit(P, y)
    rest = ConvexClassifier(ridge="cv", cv=[(np.arange(90), np.arange(90, 180))])
    rest.fit(P[:-1], y[:-1])
    lost = -np.log(np.finfo(float).eps)
    assert_allclose(fitted.cv_losses_, (90 * rest.cv_losses_ + lost) / 91)


def test_one_far_row_does_not_spoil_the_other_folds(regression_predictions):
    P, y, weight = regression_predictions()
    y[7] = 1e9
    splits = list(KFold(5).split(P))
    found = ConvexRegressor(ridge="cv", cv=splits).fit(P, y, weight)

    def score(fitted, test):
        error = fitted.predict(P[test]) - y[test]
        return np.average(error**2, weights=weight[test])

    losses = refitted_losses(
        lambda ridge: ConvexRegressor(ridge=ridge), score, splits, P, y, weight
    )
    assert_allclose(found.cv_losses_, losses, rtol=1e-12)


def test_folds_of_an_int_are_shuffled_with_a_fixed_seed(
    regression_predictions, class_predictions
):
    P, y, _ = regression_predictions()
    folds = KFold(4, shuffle=True, random_state=0)
    found = ConvexRegressor(ridge="cv", cv=4).fit(P, y)
    assert_array_equal(
        found.cv_losses_, ConvexRegressor(ridge="cv", cv=folds).fit(P, y).cv_losses_
    )
    P, y, _ = class_predictions()
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    found = ConvexClassifier(loss="brier", ridge="cv", cv=4).fit(P, y)
    same = ConvexClassifier(loss="brier", ridge="cv", cv=folds).fit(P, y)
    assert_array_equal(found.cv_losses_, same.cv_losses_)


def test_masks_are_folds_too(regression_predictions):
    P, y, _ = regression_predictions()
    mask = np.arange(150) < 100
    masks = ConvexRegressor(ridge="cv", cv=[(mask, ~mask)]).fit(P, y)
    rows = [(np.arange(100), np.arange(100, 150))]
    indices = ConvexRegressor(ridge="cv", cv=rows).fit(P, y)
    assert_array_equal(masks.cv_losses_, indices.cv_losses_)


def test_folds_without_weight_on_both_sides_are_refused(regression_predictions):
    P, y, weight = regression_predictions()
    weight[:75] = 0.0
    rows = np.arange(150)
    with pytest.raises(ValueError, match="no split with positive weights"):
        ConvexRegressor(ridge="cv", cv=[(rows[:75], rows[75:])]).fit(P, y, weight)


def test_ties_take_the_largest_ridge(regression_predictions):
    search = Search(np.array([0.0, 1.0, 2.0, 3.0]), np.array([2.0, 1.0, 1.0, 4.0]))
    assert search.best == 2.0
    P, y, _ = regression_predictions(n_members=1)
    found = ConvexRegressor(ridge="cv").fit(P, y)
    assert found.ridge_ == GRID[-1] == 100.0


def test_cv_with_few_members(regression_predictions):
    P, y, _ = regression_predictions()
    free = ConvexRegressor(ridge="cv").fit(P, y)
    found = ConvexRegressor(ridge="cv", max_members=2).fit(P, y)
    assert_array_equal(found.cv_losses_, free.cv_losses_)
    assert found.ridge_ == free.ridge_
    assert np.count_nonzero(found.weights_) <= 2
    same = ConvexRegressor(ridge=free.ridge_, max_members=2).fit(P, y)
    assert_array_equal(found.weights_, same.weights_)


def test_cv_keeps_caps(regression_predictions):
    P, y, _ = regression_predictions()
    splits = [(np.arange(100), np.arange(100, 150))]
    found = ConvexRegressor(ridge="cv", cv=splits, max_weight=0.3).fit(P, y)
    losses = []
    for ridge in GRID:
        fitted = ConvexRegressor(ridge=ridge, max_weight=0.3).fit(P[:100], y[:100])
        losses.append(np.mean((fitted.predict(P[100:]) - y[100:]) ** 2))
    assert_allclose(found.cv_losses_, losses, rtol=1e-10)


# Regularization path.
@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_path_equals_single_fits(regression_predictions, loss):
    P, y, weight = regression_predictions()
    combiner = ConvexRegressor(loss=loss)
    before = dict(vars(combiner))
    path = combiner.regularization_path(P, y, weight)
    assert vars(combiner) == before
    assert_array_equal(path.ridges, GRID)
    for ridge, weights, mean in zip(GRID, path.weights, path.losses, strict=True):
        single = ConvexRegressor(loss=loss, ridge=ridge).fit(P, y, weight)
        assert_allclose(weights, single.weights_, atol=1e-12)
        assert_allclose(mean, single.loss_, rtol=1e-12)
    assert (np.diff(path.losses) >= -1e-14).all()
    assert_array_equal(path.n_members, np.count_nonzero(path.weights, axis=1))
    assert (path.duality_gaps <= 1e-9 * path.losses).all()


def test_path_of_probabilities(class_predictions):
    P, y, _ = class_predictions(n_classes=3)
    fitted = ConvexClassifier().fit(P, y)
    before = dict(vars(fitted))
    path = fitted.regularization_path(P, y, ridges=[0, 0.1, 10])
    assert vars(fitted) == before
    for ridge, weights in zip([0.0, 0.1, 10.0], path.weights, strict=True):
        single = ConvexClassifier(ridge=ridge).fit(P, y)
        assert_allclose(weights, single.weights_, atol=1e-12)
    assert (np.diff(path.losses) > 0).all()


@pytest.mark.parametrize("ridges", [[], [-1.0], [[0.0]], [np.nan]])
def test_ridges_are_refused(regression_predictions, ridges):
    P, y, _ = regression_predictions()
    with pytest.raises(ValueError, match="ridges has to be a list of numbers >= 0"):
        ConvexRegressor().regularization_path(P, y, ridges=ridges)
