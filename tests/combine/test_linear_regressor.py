"""LinearStackRegressor: between least squares and the convex mixture."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from sklearn.linear_model import HuberRegressor, LinearRegression
from sklearn.model_selection import KFold, RepeatedKFold, ShuffleSplit, TimeSeriesSplit

from ensemblekit import ConvexRegressor, LinearStackRegressor
from ensemblekit.exceptions import ConvergenceWarning

from .. import oracles


def weighted_variance(y, weight):
    return np.average((y - np.average(y, weights=weight)) ** 2, weights=weight)


def robust_variance(y, weight):
    """The documented unit of Huber's penalty, for integer weights."""
    copies = np.sort(np.repeat(y, weight.astype(int)))
    middle = copies[(len(copies) - 1) // 2]
    away = np.sort(np.abs(copies - middle))
    return (away[(len(away) - 1) // 2] / 0.6744897501960817) ** 2


def lowest_median(y, weight):
    copies = np.sort(np.repeat(y, weight.astype(int)))
    return copies[(len(copies) - 1) // 2]


def unit_of(y, weight, loss):
    """The documented centre and variance of y."""
    if loss == "huber":
        return lowest_median(y, weight), robust_variance(y, weight)
    return np.average(y, weights=weight), weighted_variance(y, weight)


def twin(P, y, weight, ridge, *, loss="squared_error", delta=1.0, unit=None):
    """The oracle of a fit; unit : (level, spread) of y where not its own."""
    convex = ConvexRegressor(ridge=0.0, loss=loss, delta=delta)
    convex.fit(P, y, sample_weight=weight)
    if unit is None:
        unit = unit_of(y, weight, loss)
    return oracles.LinearStack(P, y, weight, convex.weights_, ridge, *unit)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ridge", [1e-6, 0.01, 1.0, 50.0])
def test_equals_its_normal_equations(regression_predictions, ridge, seed):
    P, y, weight = regression_predictions(seed=seed)
    for w in (weight, np.ones(len(y))):
        found = LinearStackRegressor(ridge=ridge).fit(P, y, sample_weight=w)
        slow = twin(P, y, w, ridge)
        expected = slow.squared()
        assert_allclose(found.weights_, expected[:-1], rtol=1e-8, atol=1e-10)
        assert_allclose(found.intercept_, slow.intercept(expected), atol=1e-9)
        assert_allclose(found.convex_weights_, slow.convex, atol=1e-10)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_an_infinite_penalty_gives_the_convex_mixture(regression_predictions, loss):
    for seed in range(10):
        P, y, weight = regression_predictions(n_members=8, seed=seed)
        P[:, 0] += 0.3  # a biased member; the mixture has no intercept for it
        options = {"loss": loss, "delta": 0.4}
        stiff = LinearStackRegressor(ridge=1e14, **options).fit(P, y, weight)
        convex = ConvexRegressor(ridge=0.0, **options).fit(P, y, weight)
        assert_allclose(stiff.weights_, convex.weights_, atol=1e-8)
        assert_allclose(stiff.convex_weights_, convex.weights_, atol=1e-8)
        assert_allclose(stiff.intercept_, 0.0, atol=1e-8)
        assert_allclose(stiff.predict(P), convex.predict(P), atol=1e-8)


def test_no_penalty_is_least_squares(regression_predictions):
    P, y, weight = regression_predictions()
    free = LinearStackRegressor(ridge=0).fit(P, y, sample_weight=weight)
    plain = LinearRegression().fit(P, y, sample_weight=weight)
    assert_allclose(free.weights_, plain.coef_, rtol=1e-8)
    assert_allclose(free.intercept_, plain.intercept_, rtol=1e-6)


@pytest.mark.parametrize("offset", [1e3, 1e6])
def test_least_squares_of_a_member_far_away(regression_predictions, offset):
    P, y, _ = regression_predictions()
    plain = LinearRegression().fit(P, y).predict(P)
    P[:, 2] += offset
    free = LinearStackRegressor(ridge=0).fit(P, y)
    assert_allclose(free.predict(P), plain, atol=1e-8 * offset / 1e3)


def test_no_penalty_survives_duplicates(regression_predictions):
    P, y, _ = regression_predictions()
    columns = [0, 1, 2, 2, 0]
    plain = LinearRegression().fit(P[:, :3], y).predict(P[:, :3])
    for loss in ("squared_error", "huber"):
        found = LinearStackRegressor(ridge=0, loss=loss, delta=1e6)
        found.fit(P[:, columns], y)
        assert_allclose(found.predict(P[:, columns]), plain, atol=1e-8)


def test_one_member_is_recalibrated(regression_predictions):
    _, y, _ = regression_predictions()
    P = 5.0 + 0.25 * y[:, None]
    found = LinearStackRegressor().fit(P, y)
    assert_allclose(found.predict(P), y, atol=5e-3)
    assert_array_equal(found.convex_weights_, [1.0])
    # With a penalty: a line through one regressor, shrunk to slope 1 and offset 0.
    slow = twin(P, y, np.ones(len(y)), 0.1)
    found = LinearStackRegressor(ridge=0.1).fit(P, y)
    assert_allclose(found.weights_, slow.squared()[:1], rtol=1e-9)


def fold_losses(found, P, y, weight, splits, delta=1.0):
    """Literal loop over folds x penalties: each fit by itself, from its rows."""
    huber = found.loss == "huber"
    # The units of the penalty are those of all rows, not of the fold.
    unit = unit_of(y, weight, found.loss)
    losses = np.empty((len(splits), len(found.ridges_)))
    for k, (train, test) in enumerate(splits):
        for j, ridge in enumerate(found.ridges_):
            w = weight[train]
            rows = P[train], y[train], w
            slow = twin(*rows, ridge, loss=found.loss, delta=delta, unit=unit)
            theta = slow.squared()
            if huber:
                theta = best_huber(slow, theta, delta).x
            residual = y[test] - P[test] @ theta[:-1] - slow.intercept(theta)
            size = np.abs(residual)
            bent = np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))
            losses[k, j] = np.average(
                bent if huber else residual**2, weights=weight[test]
            )
    return losses


def best_huber(slow, start, delta):
    arguments = {"args": (delta,), "jac": slow.huber_gradient, "method": "BFGS"}
    return minimize(slow.huber_objective, start, tol=1e-12, **arguments)


SPLITTERS = [
    KFold(4),
    ShuffleSplit(3, test_size=0.3, random_state=0),
    TimeSeriesSplit(3),
    RepeatedKFold(n_splits=2, n_repeats=2, random_state=0),
]


@pytest.mark.parametrize("cv", SPLITTERS, ids=lambda cv: type(cv).__name__)
def test_folds_and_penalties_together_equal_a_literal_loop(regression_predictions, cv):
    P, y, weight = regression_predictions(n_samples=60)
    found = LinearStackRegressor(cv=cv, rule="1se").fit(P, y, sample_weight=weight)
    splits = list(cv.split(P))
    losses = fold_losses(found, P, y, weight, splits)
    sizes = [weight[test].sum() for _, test in splits]
    assert_allclose(
        found.cv_losses_, np.average(losses, axis=0, weights=sizes), rtol=1e-8
    )
    if isinstance(cv, KFold | TimeSeriesSplit):  # folds that do not overlap
        assert found.ridge_ == oracles.one_standard_error(found.ridges_, losses, sizes)
    least = LinearStackRegressor(cv=cv, rule="min").fit(P, y, sample_weight=weight)
    assert least.ridge_ == found.ridges_[np.argmin(found.cv_losses_)]
    assert found.cv_se_[np.argmin(found.cv_losses_)] == 0.0


def test_huber_folds_and_penalties_equal_a_literal_loop(regression_predictions):
    P, y, weight = regression_predictions(n_samples=60, n_members=3)
    y[::20] += 30.0
    splits = list(KFold(3).split(P))
    found = LinearStackRegressor(cv=splits, rule="1se", loss="huber", delta=0.3)
    found.fit(P, y, sample_weight=weight)
    losses = fold_losses(found, P, y, weight, splits, 0.3)
    sizes = [weight[test].sum() for _, test in splits]
    expected = np.average(losses, axis=0, weights=sizes)
    assert_allclose(found.cv_losses_, expected, rtol=1e-5)  # as exact as BFGS is
    assert found.ridge_ == oracles.one_standard_error(found.ridges_, losses, sizes)


def test_the_rule_follows_the_literal_loop_on_many_tables(regression_predictions):
    chosen = set()
    for seed in range(12):
        P, y, weight = regression_predictions(n_samples=50, n_members=4, seed=seed)
        P[:, 1] = 0.3 + 0.5 * P[:, 1]
        splits = list(KFold(5).split(P))
        found = LinearStackRegressor(cv=splits, rule="1se")
        found.fit(P, y, sample_weight=weight)
        losses = fold_losses(found, P, y, weight, splits)
        sizes = [weight[test].sum() for _, test in splits]
        expected = oracles.one_standard_error(found.ridges_, losses, sizes)
        assert found.ridge_ == expected
        chosen.add(expected)
    assert len(chosen) > 3


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_repeats_are_no_new_rows(regression_predictions, loss):
    P, y, weight = regression_predictions(n_samples=200)
    once, often = (
        LinearStackRegressor(
            loss=loss, cv=RepeatedKFold(n_splits=5, n_repeats=n, random_state=0)
        ).fit(P, y, sample_weight=weight)
        for n in (1, 20)
    )
    there = once.cv_se_ > 0.1 * once.cv_se_.max()
    ratio = often.cv_se_[there] / once.cv_se_[there]
    assert there.sum() > 3
    assert ((ratio > 0.5) & (ratio < 2.0)).all()
    # The same split again changes nothing at all.
    splits = list(KFold(5, shuffle=True, random_state=0).split(P))
    plain, copied = (
        LinearStackRegressor(loss=loss, cv=cv).fit(P, y, sample_weight=weight)
        for cv in (splits, splits * 3)
    )
    assert_allclose(copied.cv_losses_, plain.cv_losses_, rtol=1e-10)
    assert_allclose(copied.cv_se_, plain.cv_se_, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_standard_errors_of_overlapping_folds_are_a_literal_loop(
    regression_predictions, seed
):
    P, y, weight = regression_predictions(n_samples=50, seed=seed)
    splits = list(ShuffleSplit(6, test_size=0.3, random_state=seed).split(P))
    found = LinearStackRegressor(cv=splits).fit(P, y, sample_weight=weight)
    first = [
        next((k for k, s in enumerate(splits) if i in s[1]), None) for i in range(50)
    ]
    unit = unit_of(y, weight, "squared_error")
    losses = []
    for train, test in splits:
        squares = np.empty((len(test), 19))
        for j, ridge in enumerate(found.ridges_):
            slow = twin(P[train], y[train], weight[train], ridge, unit=unit)
            theta = slow.squared()
            left = y[test] - P[test] @ theta[:-1] - slow.intercept(theta)
            squares[:, j] = left**2
        losses.append(squares)
    losses = np.concatenate(losses)
    rows = np.concatenate([test for _, test in splits])
    sizes = weight[rows]
    best = np.argmin(found.cv_losses_)
    worse = losses - losses[:, [best]]
    groups = np.array([first[i] for i in rows])
    total, spread = sizes.sum(), 0.0
    for g in np.unique(groups):
        own = groups == g
        mean = np.average(worse[own], axis=0, weights=sizes[own])
        away = mean - np.average(worse, axis=0, weights=sizes)
        spread = spread + (sizes[own].sum() / total * away) ** 2
    n = len(np.unique(groups))
    assert_allclose(found.cv_se_, np.sqrt(n / (n - 1) * spread), rtol=1e-6, atol=1e-12)


def test_one_fold_has_no_standard_error(regression_predictions):
    P, y, _ = regression_predictions()
    cv = [(np.arange(100), np.arange(100, 150))]
    one, least = (LinearStackRegressor(cv=cv, rule=r).fit(P, y) for r in ("1se", "min"))
    assert np.isnan(one.cv_se_).all()
    assert one.ridge_ == least.ridge_


@pytest.mark.parametrize("ridge", [1e-6, 0.01, 1.0])
@pytest.mark.parametrize("delta", [0.1, 0.5, 5.0])
def test_huber_equals_another_solver(regression_predictions, ridge, delta):
    for seed in range(4):
        P, y, weight = regression_predictions(seed=seed)
        y[:: 40 - seed] += 20.0
        found = LinearStackRegressor(ridge=ridge, loss="huber", delta=delta)
        found.fit(P, y, sample_weight=weight)
        slow = twin(P, y, weight, ridge, loss="huber", delta=delta)
        constant = found.intercept_ - slow.level * (1.0 - found.weights_.sum())
        theta = np.append(found.weights_, constant)
        best = min(
            best_huber(slow, start, delta).fun
            for start in (theta, slow.squared(), np.append(slow.convex, 0.0))
        )
        objective = slow.huber_objective(theta, delta)
        assert objective <= best + 1e-8 * max(best, 1e-3)
        gradient = slow.huber_gradient(theta, delta)
        certificate = 0.5 * gradient**2 @ (1.0 / slow.penalty)
        assert certificate <= 1e-8 * objective


@pytest.mark.parametrize("n_members", [30, 60])
def test_huber_with_more_members_than_rows(regression_predictions, n_members):
    P, y, weight = regression_predictions(n_members=n_members, n_samples=20)
    P[:, 1] += 0.7
    y[3] += 20.0
    found = LinearStackRegressor(ridge=0.01, loss="huber", delta=0.3)
    found.fit(P, y, sample_weight=weight)
    slow = twin(P, y, weight, 0.01, loss="huber", delta=0.3)
    constant = found.intercept_ - slow.level * (1.0 - found.weights_.sum())
    theta = np.append(found.weights_, constant)
    best = best_huber(slow, theta, 0.3).fun
    objective = slow.huber_objective(theta, 0.3)
    assert objective <= best * (1.0 + 1e-8)
    gradient = slow.huber_gradient(theta, 0.3)
    assert 0.5 * gradient**2 @ (1.0 / slow.penalty) <= 1e-8 * objective


def test_a_wide_bend_is_squared_error(regression_predictions):
    P, y, weight = regression_predictions()
    spread = robust_variance(y, weight) / weighted_variance(y, weight)
    huber = LinearStackRegressor(ridge=0.1, loss="huber", delta=1e3)
    squared = LinearStackRegressor(ridge=0.1)
    huber.fit(P, y, sample_weight=weight), squared.fit(P, y, sample_weight=weight)
    theta = twin(P, y, weight, 0.1, loss="huber", delta=1e3).squared()
    assert_allclose(huber.weights_, theta[:-1], atol=1e-8)
    assert 0.5 < spread < 2.0  # both units measure the spread of y
    assert_allclose(huber.weights_, squared.weights_, atol=0.05)


def test_huber_without_penalty_equals_scikit_learn(regression_predictions):
    P, y, _ = regression_predictions()
    y[::30] += 25.0
    plain = HuberRegressor(epsilon=1.35, alpha=0.0, tol=1e-10, max_iter=10_000)
    plain.fit(P, y)
    found = LinearStackRegressor(ridge=0, loss="huber", delta=1.35 * plain.scale_).fit(
        P, y
    )
    assert_allclose(found.weights_, plain.coef_, atol=1e-4)
    assert_allclose(found.intercept_, plain.intercept_, atol=1e-4)


@pytest.mark.parametrize("size", [1e2, 1e6, 1e9])
def test_huber_withstands_gross_errors_in_y(regression_predictions, size):
    for seed in range(5):
        P, y, _ = regression_predictions(n_samples=600, seed=seed)
        wrong = y.copy()
        rng = np.random.default_rng(seed)
        wrong[rng.choice(600, 6, replace=False)] += size * rng.choice([-1, 1], 6)
        clean = LinearStackRegressor().fit(P[:300], y[:300])
        robust = LinearStackRegressor(loss="huber").fit(P, wrong)
        before = np.mean((clean.predict(P) - y) ** 2)
        assert np.mean((robust.predict(P) - y) ** 2) < 1.1 * before
        squared = LinearStackRegressor(ridge=1e-3).fit(P, wrong)
        assert np.mean((squared.predict(P) - y) ** 2) > 2 * before  # it is needed


def one_gross_error(size):
    rng = np.random.default_rng(0)
    y = rng.normal(size=120)
    P = 0.6 * y[:, None] + 3.0 + 0.3 * rng.normal(size=(120, 3))
    return P, np.append(size, y[1:]), np.arange(1, 120)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("size", [1e6, 1e8, 1e10, 1e20, 1e50])
def test_huber_is_the_same_whatever_the_size_of_a_gross_error(size, sign):
    for options in ({}, {"ridge": 0.01}, {"rule": "1se"}, {"delta": 0.7}):
        found = LinearStackRegressor(loss="huber", **options)
        P, y, others = one_gross_error(0.0)
        clean = np.mean((found.fit(P, y).predict(P)[others] - y[others]) ** 2)
        P, y, _ = one_gross_error(sign * 1e3)
        found.fit(P, y)
        expected, ridge = found.predict(P), found.ridge_
        assert np.mean((expected[others] - y[others]) ** 2) < 1.1 * clean
        P, y, _ = one_gross_error(sign * size)
        assert_allclose(found.fit(P, y).predict(P), expected, atol=1e-7)
        assert found.ridge_ == ridge
        assert np.isfinite(found.cv_losses_ if "ridge" not in options else 0.0).all()


def test_huber_withstands_a_gross_error_where_most_rows_are_exact():
    P, y, others = one_gross_error(0.0)
    P[:, 1] = y
    y = np.append(1e30, y[1:])
    found = LinearStackRegressor(loss="huber").fit(P, y)
    assert_allclose(found.predict(P)[others], y[others], atol=1e-3)


@pytest.mark.parametrize("sd", [3.0, 6.0, 9.0])
def test_huber_of_heavy_tails_ends(sd):
    # Of numbers that span 10 to 35 powers of ten not every fit is proven to be done.
    for seed in range(2):
        rng = np.random.default_rng(seed)
        y = rng.lognormal(0.0, sd, 120)
        P = 0.6 * y[:, None] + 3.0 + 0.3 * rng.normal(size=(120, 3))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if sd > 3.0 else "error")
            found = LinearStackRegressor(loss="huber", cv=3).fit(P, y)
        before = np.median(np.abs(P - y[:, None]).min(axis=1))
        assert np.median(np.abs(found.predict(P) - y)) < max(before, 0.3)


def test_an_unfinished_fit_warns(regression_predictions, monkeypatch):
    from ensemblekit.kernels import huber_path

    monkeypatch.setattr(huber_path, "_MAX_NEWTON", 1)
    P, y, _ = regression_predictions()
    with pytest.warns(ConvergenceWarning, match="above the optimum of its") as record:
        LinearStackRegressor(ridge=0.001, loss="huber", delta=0.01).fit(P, y)
    assert record[0].filename == __file__  # it points at the user's line


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_a_perfect_member_takes_all(regression_predictions, loss):
    P, y, _ = regression_predictions()
    P[:, 3] = y
    found = LinearStackRegressor(loss=loss).fit(P, y)
    assert_allclose(found.weights_, np.eye(6)[3], atol=1e-12)
    assert_allclose(found.predict(P), y, atol=1e-12)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
@pytest.mark.parametrize("ridge", ["cv", 0.0, 0.1])
def test_a_constant_target(regression_predictions, loss, ridge):
    P, _, _ = regression_predictions()
    found = LinearStackRegressor(loss=loss, ridge=ridge).fit(P, np.full(150, 7.0))
    assert np.isfinite(found.predict(P)).all()
    if ridge == 0.0:
        assert_allclose(found.predict(P), 7.0, atol=1e-8)
    constant = LinearStackRegressor(loss=loss, ridge=ridge)
    constant.fit(np.full((150, 3), 7.0), np.full(150, 7.0))
    assert_allclose(constant.predict(np.full((2, 3), 7.0)), 7.0, rtol=1e-12)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_integer_weights_equal_repeated_rows(regression_predictions, loss):
    P, y, weight = regression_predictions()
    copies = np.repeat(np.arange(len(y)), weight.astype(int))
    for ridge in (0.0, 0.01, 1.0):
        found = LinearStackRegressor(ridge=ridge, loss=loss, delta=0.3)
        weighted = found.fit(P, y, sample_weight=weight).predict(P)
        repeated = found.fit(P[copies], y[copies]).predict(P)
        assert_allclose(weighted, repeated, atol=1e-9)


def test_the_bend_is_three_deviations_of_the_residuals(regression_predictions):
    P, y, weight = regression_predictions()
    found = LinearStackRegressor(loss="huber").fit(P, y, sample_weight=weight)
    start = 3.0 * robust_variance(y - np.median(P, axis=1), weight) ** 0.5
    convex = ConvexRegressor(ridge=0, loss="huber", delta=start)
    left = y - convex.fit(P, y, weight).predict(P)
    assert_allclose(found.delta_, 3.0 * robust_variance(left, weight) ** 0.5)
    given = LinearStackRegressor(loss="huber", delta=found.delta_)
    given.fit(P, y, sample_weight=weight)
    assert_array_equal(given.weights_, found.weights_)
    assert not hasattr(LinearStackRegressor().fit(P, y), "delta_")


def test_huber_in_other_units(regression_predictions):
    P, y, _ = regression_predictions()
    y[::25] += 10.0
    options = {"loss": "huber", "cv": 3}
    plain = LinearStackRegressor(**options).fit(P, y)
    for scale, offset in [(1e-8, 0.0), (1e8, 0.0), (1.0, 1e5), (1e3, -1e7)]:
        moved = LinearStackRegressor(**options)
        moved.fit(P * scale + offset, y * scale + offset)
        assert_allclose(moved.delta_, scale * plain.delta_, rtol=1e-8)
        assert moved.ridge_ == plain.ridge_
        assert_allclose(moved.weights_, plain.weights_, atol=1e-6)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
@pytest.mark.parametrize("scale", [1e-160, 1e160])
def test_scales_that_cannot_be_squared(regression_predictions, loss, scale):
    P, y, _ = regression_predictions()
    with pytest.raises(ValueError, match="too large or too small to be squared"):
        LinearStackRegressor(loss=loss).fit(P * scale, y * scale)


def test_groups_stay_together_in_given_splits(regression_predictions):
    P, y, _ = regression_predictions()
    group = np.arange(150) // 10 % 3
    splits = [
        (np.flatnonzero(group != g), np.flatnonzero(group == g)) for g in range(3)
    ]
    found = LinearStackRegressor(cv=splits).fit(P, y)
    losses = fold_losses(found, P, y, np.ones(150), splits)
    assert_allclose(found.cv_losses_, losses.mean(axis=0), rtol=1e-8)


def test_single_precision_members(regression_predictions):
    P, y, _ = regression_predictions()
    for loss in ("squared_error", "huber"):
        double = LinearStackRegressor(loss=loss).fit(P, y)
        single = LinearStackRegressor(loss=loss).fit(P.astype(np.float32), y)
        assert_allclose(single.weights_, double.weights_, atol=1e-5)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_fewer_rows_than_folds_are_as_many_folds(regression_predictions, loss):
    P, y, _ = regression_predictions()
    for n in (2, 3, 4):
        found = LinearStackRegressor(loss=loss).fit(P[:n], y[:n])
        given = LinearStackRegressor(loss=loss, cv=n).fit(P[:n], y[:n])
        assert_array_equal(found.cv_losses_, given.cv_losses_)
        assert_array_equal(found.weights_, given.weights_)
    with pytest.raises(ValueError, match="n_splits=5"):  # what is given is not changed
        LinearStackRegressor(loss=loss, cv=KFold(5)).fit(P[:4], y[:4])


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_one_row_takes_the_largest_penalty(regression_predictions, loss):
    P, y, _ = regression_predictions()
    one = np.append(1.0, np.zeros(9))
    for args in ((P[:1], y[:1]), (P[:10], y[:10], one)):
        found = LinearStackRegressor(loss=loss).fit(*args)
        assert found.ridge_ == found.ridges_[0] == 1e3
        assert np.isnan(found.cv_losses_).all()
        assert np.isnan(found.cv_se_).all()
        fixed = LinearStackRegressor(loss=loss, ridge=1e3).fit(*args)
        assert_array_equal(found.weights_, fixed.weights_)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ridge": -1.0}, "'ridge' parameter of LinearStackRegressor"),
        ({"rule": "best"}, "'rule' parameter of LinearStackRegressor"),
        ({"loss": "pinball"}, "'loss' parameter of LinearStackRegressor"),
        ({"delta": 0.0}, "'delta' parameter of LinearStackRegressor"),
    ],
)
def test_refuses_parameters(regression_predictions, options, message):
    P, y, _ = regression_predictions()
    with pytest.raises(ValueError, match=message):
        LinearStackRegressor(**options).fit(P, y)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_members_in_a_dask_array(regression_predictions, loss):
    array = pytest.importorskip("dask.array")
    P, y, _ = regression_predictions()
    lazy = array.from_array(P, chunks=(40, 6))
    plain = LinearStackRegressor(loss=loss).fit(P, y)
    found = LinearStackRegressor(loss=loss).fit(lazy, y)
    assert_allclose(found.weights_, plain.weights_, atol=1e-12)
    assert_allclose(found.predict(lazy), plain.predict(P), atol=1e-12)
