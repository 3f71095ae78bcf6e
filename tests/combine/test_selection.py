"""Every parameter and every report of the combiners of greedy selection."""

import pickle
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import (
    KFold,
    PredefinedSplit,
    ShuffleSplit,
    StratifiedKFold,
)

from ensemblekit import (
    ConvexRegressor,
    EnsembleSelectionClassifier,
    EnsembleSelectionRegressor,
    evaluate_loss,
)
from ensemblekit.selection import bags

LOSSES = ["log_loss", "brier", "zero_one", "auc", "f1"]


def squared(P, y, picks, weight=None):
    return np.average((P[:, picks].mean(axis=1) - y) ** 2, weights=weight)


def one_step(P, y, picks, allowed):
    """The best member to add by brute force."""
    losses = [
        squared(P, y, [*picks, j]) if j in allowed else np.inf
        for j in range(P.shape[1])
    ]
    return int(np.argmin(losses))


def assert_same(one, other):
    assert_array_equal(one.picks_, other.picks_)
    assert_allclose(one.loss_path_, other.loss_path_, rtol=1e-12, atol=1e-15)
    assert_allclose(one.weights_, other.weights_, rtol=1e-14, atol=1e-16)


def bad_and_good(n=200, m=12, seed=0):
    """Members from useless to good, of which several are worth a place."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    noise = np.linspace(2.0, 0.7, m)
    return y[:, None] + noise * rng.normal(size=(n, m)), y


# What selection starts from.
def test_init_with_so_many_of_the_best(regression_predictions):
    P, y, _ = regression_predictions(n_members=8)
    order = np.argsort([squared(P, y, [j]) for j in range(8)])
    found = EnsembleSelectionRegressor(init=3, n_rounds=20).fit(P, y)
    assert_array_equal(found._path_.picks[:3], order[:3])
    for t in range(3, len(found.picks_)):
        picks = found.picks_[:t].tolist()
        assert found.picks_[t] == one_step(P, y, picks, range(8))
    for t, loss in enumerate(found.loss_path_):
        assert_allclose(loss, squared(P, y, found.picks_[: t + 1]))


def test_init_sorted_takes_the_best_prefix():
    P, y = bad_and_good()
    order = np.argsort([squared(P, y, [j]) for j in range(12)])
    losses = [squared(P, y, order[: k + 1]) for k in range(12)]
    size = int(np.argmin(losses)) + 1
    found = EnsembleSelectionRegressor(init="sorted").fit(P, y)
    assert 1 < size < 12
    assert_array_equal(found._path_.picks[:size], order[:size])
    assert found.loss_ <= min(losses) + 1e-12


def test_init_one_is_the_best_member(regression_predictions):
    P, y, _ = regression_predictions()
    assert_same(
        EnsembleSelectionRegressor(init=1).fit(P, y),
        EnsembleSelectionRegressor().fit(P, y),
    )


def test_init_is_cut_at_n_rounds_and_members(regression_predictions):
    P, y, _ = regression_predictions(n_members=4)
    assert len(EnsembleSelectionRegressor(init=3, n_rounds=2).fit(P, y).picks_) <= 2
    found = EnsembleSelectionRegressor(init=99, n_rounds=9).fit(P, y)
    assert sorted(found._path_.picks[:4]) == [0, 1, 2, 3]


# Limits.
@pytest.mark.parametrize("init", ["best", "sorted", 3])
def test_without_replacement_none_comes_twice(init):
    P, y = bad_and_good()
    found = EnsembleSelectionRegressor(replacement=False, init=init).fit(P, y)
    assert len(set(found._path_.picks)) == len(found._path_.picks) == 12
    if init == "best":
        for t in range(1, 12):
            picks = found._path_.picks[:t]
            rest = set(range(12)) - set(picks)
            assert found._path_.picks[t] == one_step(P, y, picks, rest)
    kept = found.weights_[found.picks_]
    assert_allclose(kept, 1.0 / len(found.picks_))


@pytest.mark.parametrize("init", ["best", "sorted", 5])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_max_members(init, limit):
    P, y = bad_and_good()
    found = EnsembleSelectionRegressor(max_members=limit, init=init).fit(P, y)
    assert np.count_nonzero(found.weights_) <= limit
    assert len(set(found._path_.picks)) <= limit
    if init == "best":
        for t in range(1, len(found.picks_)):
            picks = found.picks_[:t].tolist()
            allowed = set(picks) if len(set(picks)) == limit else range(12)
            assert found.picks_[t] == one_step(P, y, picks, allowed)


@pytest.mark.parametrize("init", ["best", "sorted", 5])
def test_max_cost(init):
    P, y = bad_and_good()
    cost = np.random.default_rng(0).uniform(1.0, 5.0, 12)
    for budget in (cost.min(), 4.0, 9.0):
        found = EnsembleSelectionRegressor(init=init, cost=cost, max_cost=budget)
        found.fit(P, y)
        assert cost[found.weights_ > 0.0].sum() <= budget
        assert cost[list(set(found._path_.picks))].sum() <= budget


def slow_selection(P, y, n_rounds, replacement, max_members, cost, max_cost):
    """Picks under limits, and the loss after each, by trying every member."""
    picks, losses = [], []
    while len(picks) < n_rounds:
        used = set(picks)
        allowed = set(range(P.shape[1])) if replacement or not used else None
        allowed = set(range(P.shape[1])) - used if allowed is None else allowed
        if len(used) >= max_members:
            allowed &= used
        spent = cost[list(used)].sum()
        allowed = {j for j in allowed if j in used or spent + cost[j] <= max_cost}
        if not allowed:
            break
        picks.append(one_step(P, y, picks, allowed))
        losses.append(squared(P, y, picks))
    return picks, losses


@pytest.mark.parametrize("seed", range(40))
def test_all_limits_together(seed):
    rng = np.random.default_rng(seed)
    m = int(rng.integers(2, 9))
    P, y = bad_and_good(n=57, m=m, seed=seed)
    limits = {
        "n_rounds": int(rng.integers(1, 15)),
        "replacement": bool(rng.integers(2)),
        "max_members": int(rng.integers(1, m + 1)),
        "cost": rng.integers(0, 5, m).astype(float),
        "max_cost": float(rng.integers(4, 14)),
    }
    picks, losses = slow_selection(P, y, **limits)
    best = int(np.argmax(losses <= min(losses) * (1 + 1e-12))) + 1
    found = EnsembleSelectionRegressor(**limits).fit(P, y)
    assert_array_equal(found._path_.picks, picks)
    assert_array_equal(found.picks_, picks[:best])
    assert_allclose(found.loss_path_, losses[:best], rtol=1e-11)


def test_warm_start_heeds_new_limits():
    P, y = bad_and_good()
    found = EnsembleSelectionRegressor(warm_start=True).fit(P, y)
    assert np.count_nonzero(found.weights_) > 2
    found.set_params(max_members=2).fit(P, y)
    assert np.count_nonzero(found.weights_) <= 2
    found = EnsembleSelectionRegressor(warm_start=True).fit(P, y)
    found.set_params(replacement=False).fit(P, y)
    assert len(set(found.picks_)) == len(found.picks_)


def test_cost_without_limit_changes_no_pick(regression_predictions):
    P, y, _ = regression_predictions()
    plain = EnsembleSelectionRegressor().fit(P, y)
    assert_same(EnsembleSelectionRegressor(cost=np.arange(6.0)).fit(P, y), plain)


@pytest.mark.parametrize("mixing", [{"bagging": "members"}, {"shrinkage": 0.5}])
@pytest.mark.parametrize(
    "limit", [{"max_members": 2}, {"cost": [1] * 6, "max_cost": 2}]
)
def test_limits_are_not_mixed_away(regression_predictions, mixing, limit):
    P, y, _ = regression_predictions()
    with pytest.raises(ValueError, match=r"max_(members|cost) holds for one selection"):
        EnsembleSelectionRegressor(**mixing, **limit).fit(P, y)


# When it stops.
def test_min_gain_keeps_the_shortest_prefix():
    P, y = bad_and_good()
    plain = EnsembleSelectionRegressor().fit(P, y)
    for gain in (0.0, 1e-3, 1e-2, 0.1, 10.0):
        found = EnsembleSelectionRegressor(min_gain=gain).fit(P, y)
        low = plain.loss_path_.min() + max(gain, 1e-12 * plain.loss_path_.min())
        size = int(np.argmax(plain.loss_path_ <= low)) + 1
        assert_array_equal(found.picks_, plain.picks_[:size])
    assert len(found.picks_) == 1


def rounds_of(P, y, **parameters):
    seen = []
    callback = seen.append
    EnsembleSelectionRegressor(
        callback=lambda *given: callback(given), **parameters
    ).fit(P, y)
    return seen


@pytest.mark.parametrize("patience", [1, 2, 5])
@pytest.mark.parametrize("min_gain", [0.0, 0.003])
def test_patience(patience, min_gain):
    P, y = bad_and_good()
    losses = [loss for _, loss, _ in rounds_of(P, y, n_rounds=50)]
    stop = next(
        t
        for t in range(patience + 1, 51)
        if min(losses[:t]) >= min(losses[: t - patience]) * (1 - 1e-12) - min_gain
        and (
            min_gain == 0.0 or min(losses[:t]) >= min(losses[: t - patience]) - min_gain
        )
    )
    seen = rounds_of(P, y, n_rounds=50, patience=patience, min_gain=min_gain)
    assert len(seen) == stop < 50


@pytest.mark.parametrize("patience", [1, 2, 4])
def test_patience_counts_rounds_after_the_opening(patience):
    # Each of the first six makes the mean worse; no later round makes up for it.
    P, y = bad_and_good(m=6)
    P[:, 5] = y + 1e-3 * (P[:, 5] - y)
    seen = rounds_of(P, y, init=6, patience=patience, n_rounds=30)
    assert len(seen) == patience


def test_callback_hears_of_the_last_round_too():
    P, y = bad_and_good()
    P[:, 4] = y
    assert [given[2] for given in rounds_of(P, y)] == [4]
    assert len(rounds_of(P, y, time_limit=0.0)) == 1


def test_costs_that_sum_to_the_limit_but_for_rounding(regression_predictions):
    P, y, _ = regression_predictions(n_members=2)
    P = 2.0 * y[:, None] * [0.0, 1.0] + 0.1 * P
    found = EnsembleSelectionRegressor(cost=[0.1, 0.2], max_cost=0.3).fit(P, y)
    assert (found.weights_ > 0.0).all()


def test_callback_sees_every_round_and_stops(regression_predictions):
    P, y, _ = regression_predictions()
    seen = rounds_of(P, y, n_rounds=9)
    path = EnsembleSelectionRegressor(n_rounds=9).fit(P, y)._path_
    assert [given[0] for given in seen] == list(range(1, 10))
    assert [given[2] for given in seen] == path.picks
    assert_allclose([given[1] for given in seen], path.losses)
    assert isinstance(seen[0][1], float)
    found = EnsembleSelectionRegressor(callback=lambda t, loss, member: t == 3)
    assert len(found.fit(P, y)._path_.picks) == 3


def test_callback_hears_nothing_of_folds_and_bags(regression_predictions):
    P, y, _ = regression_predictions()
    options = {"bagging": "rows", "n_bags": 3, "nested_cv": 3, "shrinkage": "cv"}
    seen = rounds_of(P, y, n_rounds=5, cost=np.ones(6), **options)
    assert [given[0] for given in seen] == [1, 2, 3, 4, 5]


def test_time_limit(regression_predictions):
    P, y, _ = regression_predictions()
    assert len(EnsembleSelectionRegressor(time_limit=0.0).fit(P, y)._path_.picks) == 1
    found = EnsembleSelectionRegressor(time_limit=1e6).fit(P, y)
    assert_same(found, EnsembleSelectionRegressor().fit(P, y))


# Bags.
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("init", ["best", "sorted", 3])
def test_one_bag_of_all_members_is_plain(class_predictions, loss, init):
    P, y, weight = class_predictions()
    plain = EnsembleSelectionClassifier(loss=loss, init=init).fit(P, y, weight)
    bag = clone(plain).set_params(bagging="members", n_bags=1, bag_share=1.0)
    bag.fit(P, y, weight)
    assert_array_equal(bag.bag_picks_[0], plain.picks_)
    assert_allclose(bag.weights_, plain.weights_, rtol=1e-15)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bagging", ["members", "rows"])
def test_threads_change_nothing(class_predictions, loss, bagging):
    P, y, weight = class_predictions()
    one = EnsembleSelectionClassifier(loss=loss, bagging=bagging, n_bags=6, n_jobs=1)
    two = clone(one).set_params(n_jobs=2).fit(P, y, weight)
    one.fit(P, y, weight)
    assert_array_equal(one.weights_, two.weights_)
    for own, other in zip(one.bag_picks_, two.bag_picks_, strict=True):
        assert_array_equal(own, other)


def test_bags_of_members_are_mean_shares_of_selections(regression_predictions):
    P, y, _ = regression_predictions(n_members=9)
    found = EnsembleSelectionRegressor(bagging="members", n_bags=7).fit(P, y)
    drawn = bags.member_draws(9, 0.5, 7, np.random.RandomState(0))
    assert (drawn.sum(axis=1) == 4).all()
    assert (drawn != drawn[0]).any()
    total = np.zeros(9)
    for bag in drawn:
        members = np.flatnonzero(bag)
        total[members] += EnsembleSelectionRegressor().fit(P[:, members], y).weights_
    assert_allclose(found.weights_, total / 7, rtol=1e-13)
    assert abs(found.weights_.sum() - 1.0) <= 1e-15


def test_bags_of_rows_are_mean_shares_of_weighted_selections(class_predictions):
    P, y, weight = class_predictions()
    found = EnsembleSelectionClassifier(bagging="rows", n_bags=5).fit(P, y, weight)
    drawn = row_draws(weight, y, 5, np.random.RandomState(0))
    shares = [EnsembleSelectionClassifier().fit(P, y, bag).weights_ for bag in drawn]
    assert_allclose(found.weights_, np.mean(shares, axis=0), rtol=1e-13)


def test_bags_of_rows_with_a_scorer_that_takes_no_weights(regression_predictions):
    P, y, _ = regression_predictions(n_members=4)

    def scorer(estimator, X, y):
        return -np.mean((estimator.predict(X) - y) ** 2)

    options = {"bagging": "rows", "n_bags": 4, "n_rounds": 6}
    slow = EnsembleSelectionRegressor(loss=scorer, **options).fit(P, y)
    assert_same(
        slow, EnsembleSelectionRegressor(**options).fit(P, y)
    ) if False else None
    fast = EnsembleSelectionRegressor(**options).fit(P, y)
    assert_allclose(slow.weights_, fast.weights_, rtol=1e-14)


def test_weights_sum_to_one(regression_predictions):
    P, y, _ = regression_predictions(n_members=60)
    for options in ({"bagging": "members", "n_bags": 37}, {"shrinkage": 0.3}):
        weights = EnsembleSelectionRegressor(**options).fit(P, y).weights_
        assert abs(weights.sum() - 1.0) <= 1e-15
        assert (weights >= 0.0).all()


def test_a_rare_class_stays_in_every_bag(class_predictions):
    P, y, _ = class_predictions(n_samples=150)
    y = (np.arange(150) < 2).astype(int)
    found = EnsembleSelectionClassifier(loss="auc", bagging="rows", n_bags=50)
    assert np.isfinite(found.fit(P, y).loss_)


# Draws of rows.
def row_draws(*given):
    return np.array(list(bags.row_draws(*given)))


def test_draws_keep_the_total_of_each_class():
    rng = np.random.default_rng(0)
    strata = rng.integers(0, 3, 200)
    for weight in (np.ones(200), rng.integers(0, 4, 200) * 1.0, rng.random(200)):
        for bag in row_draws(weight, strata, 20, np.random.RandomState(1)):
            for stratum in range(3):
                inside = strata == stratum
                assert_allclose(bag[inside].sum(), weight[inside].sum())
            assert not bag[weight == 0.0].any()


def test_draws_of_counts_are_draws_of_copies():
    weight = np.array([1.0, 0.0, 3.0, 2.0])
    drawn = row_draws(weight, np.zeros(4, int), 4000, np.random.RandomState(0))
    assert (drawn == np.floor(drawn)).all()
    assert (drawn.sum(axis=1) == 6.0).all()
    assert_allclose(drawn.mean(axis=0), weight, atol=0.1)
    # Binomial(6, w / 6): each copy is drawn on its own.
    assert_allclose(drawn.var(axis=0), weight * (1 - weight / 6), rtol=0.1, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_draws_do_not_depend_on_the_scale_of_weights(scale):
    rng = np.random.default_rng(0)
    weight, strata = rng.random(60) + 0.01, rng.integers(0, 2, 60)
    own = row_draws(weight, strata, 5, np.random.RandomState(0))
    other = row_draws(weight * scale, strata, 5, np.random.RandomState(0))
    assert_allclose(other, own * scale, rtol=1e-9)
    assert ((own > 0).mean(axis=1) > 0.5).all()  # as many rows as of equal weights


def test_real_weights_stay_with_their_rows():
    # The variance of a bag's mean is that of a weighted mean: heavy rows make it wide.
    rng = np.random.default_rng(0)
    weight, value = rng.pareto(2.0, 100) + 0.01, rng.normal(size=100)
    drawn = row_draws(weight, np.zeros(100, int), 20_000, np.random.RandomState(0))
    mean = np.average(value, weights=weight)
    means = drawn @ value / drawn.sum(axis=1)
    expected = np.sum(weight**2 * (value - mean) ** 2) / weight.sum() ** 2
    assert 0.8 * expected < np.mean((means - mean) ** 2) < 1.25 * expected


def test_draws_of_huge_weights():
    weight = np.array([1e25, 3e25, 2e25])
    drawn = row_draws(weight, np.zeros(3, int), 4, np.random.RandomState(0))
    assert_allclose(drawn.sum(axis=1), 6e25)


# Shrinkage.
@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
def test_shrinkage_mixes_with_the_leaders(shrinkage):
    P, y = bad_and_good(m=60)
    plain = EnsembleSelectionRegressor().fit(P, y)
    own = np.array([squared(P, y, [j]) for j in range(60)])
    leaders = np.zeros(60)
    leaders[np.argsort(own)[:6]] = 1.0 / 6.0
    found = EnsembleSelectionRegressor(shrinkage=shrinkage).fit(P, y)
    expected = (1.0 - shrinkage) * plain.weights_ + shrinkage * leaders
    assert_allclose(found.weights_, expected, rtol=1e-12, atol=1e-16)
    assert found.shrinkage_ == shrinkage
    assert_allclose(found.loss_, np.mean((P @ found.weights_ - y) ** 2))


def test_chosen_shrinkage_by_a_plain_loop():
    grid = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    chosen = set()
    for seed in range(12):
        P, y = bad_and_good(n=61, m=15, seed=seed)
        errors, fold = np.empty((61, 5)), np.empty(61, int)
        splits = KFold(5, shuffle=True, random_state=0).split(P)
        for f, (train, test) in enumerate(splits):
            for k, s in enumerate(grid):
                own = EnsembleSelectionRegressor(shrinkage=s).fit(P[train], y[train])
                errors[test, k] = (P[test] @ own.weights_ - y[test]) ** 2
            fold[test] = f
        mean, best = errors.mean(axis=0), int(np.argmin(errors.mean(axis=0)))
        without = np.array([errors[fold != f].mean(axis=0) for f in range(5)])
        error = jackknife(without - without[:, [best]])
        expected = grid[np.flatnonzero(mean - mean[best] <= error)[-1]]
        found = EnsembleSelectionRegressor(shrinkage="cv").fit(P, y)
        assert found.shrinkage_ == expected
        chosen.add(expected)
    assert len(chosen) > 1


def jackknife(without):
    """Standard error from values without each fold."""
    n = len(without)
    return np.sqrt((n - 1) / n * np.sum((without - np.mean(without, 0)) ** 2, axis=0))


def test_pure_noise_is_shrunk():
    rng = np.random.default_rng(0)
    y, P = rng.normal(size=80), 0.3 * rng.normal(size=(80, 40))
    assert EnsembleSelectionRegressor(shrinkage="cv").fit(P, y).shrinkage_ >= 0.5


# Honest scores.
@pytest.mark.parametrize("loss", LOSSES)
def test_nested_score_is_a_plain_loop(class_predictions, loss):
    P, y, weight = class_predictions(n_samples=203)
    found = EnsembleSelectionClassifier(loss=loss, nested_cv=4).fit(P, y, weight)
    held_out, fold = np.empty((203, 3)), np.empty(203, int)
    splits = StratifiedKFold(4, shuffle=True, random_state=0).split(P, y)
    for f, (train, test) in enumerate(splits):
        own = EnsembleSelectionClassifier(loss=loss).fit(
            P[train], y[train], weight[train]
        )
        singles = [
            value_of(loss, P[train][:, j], y[train], weight[train]) for j in range(6)
        ]
        held_out[test, 0] = own.predict_proba(P[test])[:, 1]
        held_out[test, 1] = P[test][:, np.argmin(singles)]
        held_out[test, 2] = P[test].mean(axis=1)
        fold[test] = f

    def loss_of(rows, k=0):
        return value_of(loss, held_out[rows, k], y[rows], weight[rows])

    score, rows = found.nested_score_, np.arange(203)
    by_fold = [loss_of(fold == f) for f in range(4)]
    assert_allclose(score.fold_losses, by_fold, rtol=1e-10)
    assert_allclose(score.loss, loss_of(rows), rtol=1e-10)
    assert_allclose(score.best_member_loss, loss_of(rows, 1), rtol=1e-10)
    assert_allclose(score.uniform_loss, loss_of(rows, 2), rtol=1e-10)
    assert_allclose(score.optimism, score.loss - found.loss_, rtol=1e-10)
    without = np.array([loss_of(fold != f) for f in range(4)])
    assert_allclose(score.se, jackknife(without), rtol=1e-8)


def test_nested_f1_of_a_perfect_member_is_perfect():
    # Most folds hold no positive row: their own F1 would be 0.
    y = (np.arange(200) < 5).astype(int)
    p = np.where(y == 1, 0.9, 0.1)[:, None]
    cv = KFold(10, shuffle=True, random_state=0)
    found = EnsembleSelectionClassifier(loss="f1", nested_cv=cv).fit(p, y)
    assert found.nested_score_.loss == 0.0
    assert found.nested_score_.optimism == 0.0


def test_splitters_of_given_rows_serve_choices_inside(class_predictions):
    P, y, _ = class_predictions(n_samples=120)
    cv = PredefinedSplit(np.arange(120) % 3)
    found = EnsembleSelectionClassifier(nested_cv=cv, shrinkage="cv").fit(P, y)
    assert np.isfinite(found.nested_score_.loss)


def test_one_deadline_for_the_whole_fit(class_predictions):
    P, y, _ = class_predictions(n_samples=3000, n_members=30)
    options = {"bagging": "rows", "nested_cv": 5, "shrinkage": "cv"}
    start = time.perf_counter()
    EnsembleSelectionClassifier(time_limit=0.0, **options).fit(P, y)
    limited = time.perf_counter() - start
    EnsembleSelectionClassifier(**options).fit(P, y)
    assert limited < 0.5 * (time.perf_counter() - start - limited)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_ranks_under_weights_of_any_size(class_predictions, scale):
    P, y, weight = class_predictions()
    plain = EnsembleSelectionClassifier(loss="auc").fit(P, y, weight)
    scaled = EnsembleSelectionClassifier(loss="auc").fit(P, y, weight * scale)
    assert_array_equal(scaled.picks_, plain.picks_)


def test_losses_beyond_double_precision_are_refused():
    P, y = np.full((10, 2), 1e308), np.full(10, -1e308)
    with pytest.raises(ValueError, match="No member has a finite loss"):
        EnsembleSelectionRegressor(loss="absolute_error").fit(P, y)


@pytest.mark.parametrize("loss", ["average_precision", "jaccard", "cohen_kappa"])
def test_scorers_of_the_second_class_take_any_labels(class_predictions, loss):
    P, y, _ = class_predictions()
    named = EnsembleSelectionClassifier(loss=loss, n_rounds=3)
    named.fit(P, np.where(y == 1, "yes", "no"))
    coded = EnsembleSelectionClassifier(loss=loss, n_rounds=3).fit(P, y)
    assert_array_equal(named.picks_, coded.picks_)


def value_of(loss, p, y, weight):
    if loss == "f1":
        from sklearn.metrics import f1_score

        return 1.0 - f1_score(y, p > 0.5, sample_weight=weight)
    return evaluate_loss(loss, y, np.column_stack([1.0 - p, p]), weight)


def test_the_nested_loss_is_right_about_new_rows():
    # Selection among noise gains on its own rows and nowhere else.
    optimism, errors, sizes = [], [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y, P = rng.normal(size=100), 0.3 * rng.normal(size=(100, 20))
        found = EnsembleSelectionRegressor(nested_cv=5).fit(P, y)
        new_y, new_P = rng.normal(size=20_000), 0.3 * rng.normal(size=(20_000, 20))
        optimism.append(found.nested_score_.optimism)
        errors.append(np.mean((new_P @ found.weights_ - new_y) ** 2))
        sizes.append((found.nested_score_.loss, found.nested_score_.se, found.loss_))
    honest, se, own = np.array(sizes).T
    assert np.mean(optimism) > 0.0
    assert np.mean(own) < np.mean(errors) - 0.01
    assert abs(np.mean(honest - errors)) < 3 * np.std(honest) / np.sqrt(20)
    assert 0.5 < np.mean(se) / np.std(honest) < 2.0


def test_nested_score_with_all_choices_inside(regression_predictions):
    P, y, _ = regression_predictions(n_members=8)
    options = {"shrinkage": "cv", "bagging": "rows", "n_bags": 3}
    folds = list(KFold(3).split(P))
    found = EnsembleSelectionRegressor(nested_cv=folds, **options).fit(P, y)
    assert np.isfinite(found.nested_score_.loss)
    again = clone(found).fit(P, y)
    assert again.nested_score_.loss == found.nested_score_.loss


@pytest.mark.parametrize("given", ["splits", "masks", "generator"])
def test_given_splits_hold_inside_folds_too(regression_predictions, given):
    P, y, _ = regression_predictions(n_members=8, n_samples=91)
    groups = np.random.default_rng(0).integers(0, 4, 91)
    parts = [
        (np.flatnonzero(groups != g), np.flatnonzero(groups == g)) for g in (0, 1, 2, 3)
    ]
    cv = {
        "splits": parts,
        "masks": [(groups != g, groups == g) for g in range(4)],
        "generator": (part for part in parts),
    }[given]
    found = EnsembleSelectionRegressor(nested_cv=cv, shrinkage="cv").fit(P, y)
    for g, (train, test) in enumerate(parts):
        own, rest = groups[train], [h for h in range(4) if h != g]
        inner = [(np.flatnonzero(own != h), np.flatnonzero(own == h)) for h in rest]
        one = EnsembleSelectionRegressor(nested_cv=inner, shrinkage="cv")
        one.fit(P[train], y[train])
        loss = np.mean((P[test] @ one.weights_ - y[test]) ** 2)
        assert_allclose(found.nested_score_.fold_losses[g], loss, rtol=1e-10)


def test_a_single_split_has_no_standard_error(regression_predictions):
    P, y, _ = regression_predictions()
    cv = ShuffleSplit(1, random_state=0)
    found = EnsembleSelectionRegressor(nested_cv=cv).fit(P, y)
    assert np.isnan(found.nested_score_.se)
    assert np.isfinite(found.nested_score_.loss)
    with pytest.raises(ValueError, match="the splits given leave none there"):
        EnsembleSelectionRegressor(nested_cv=cv, shrinkage="cv").fit(P, y)


def test_folds_of_one_class_are_refused_for_auc(class_predictions):
    P, y, _ = class_predictions()
    order = np.argsort(y, kind="stable")
    combiner = EnsembleSelectionClassifier(loss="auc", nested_cv=KFold(2))
    with pytest.raises(ValueError, match=r"rows of both classes.*stratified"):
        combiner.fit(P[order], y[order])


# Going on.
def test_warm_start_with_more_rounds(regression_predictions):
    P, y, _ = regression_predictions(n_members=15)
    found = EnsembleSelectionRegressor(n_rounds=7, warm_start=True).fit(P, y)
    assert_same(found.fit(P, y), EnsembleSelectionRegressor(n_rounds=7).fit(P, y))
    found.set_params(n_rounds=60).fit(P, y)
    assert_same(found, EnsembleSelectionRegressor(n_rounds=60).fit(P, y))


def test_warm_start_after_members_were_added(regression_predictions):
    P, y, _ = regression_predictions(n_members=9)
    found = EnsembleSelectionRegressor(n_rounds=10, warm_start=True)
    before = found.fit(P[:, :5], y).picks_
    found.set_params(n_rounds=30).fit(P, y)
    fresh = EnsembleSelectionRegressor(n_rounds=30).fit(P, y)
    assert found.loss_ <= fresh.loss_
    for picks in (before, []):  # went on, or began anew: whichever loses less
        if found.picks_[: len(picks)].tolist() == list(picks):
            for t in range(len(picks), len(found.picks_)):
                own = found.picks_[:t].tolist()
                assert found.picks_[t] == one_step(P, y, own, range(9))
            break
    assert found.n_features_in_ == 9


def test_warm_start_is_no_burden(class_predictions):
    P, y, _ = class_predictions()
    found = EnsembleSelectionClassifier(warm_start=True).fit(P, y)
    better = np.column_stack([P, np.where(y == 1, 0.99, 0.01)])
    fresh = EnsembleSelectionClassifier().fit(better, y)
    assert found.fit(better, y).loss_ <= fresh.loss_


def test_warm_start_after_rows_were_added(regression_predictions):
    P, y, _ = regression_predictions(n_samples=300)
    found = EnsembleSelectionRegressor(n_rounds=10, warm_start=True)
    before = found.fit(P[:200], y[:200]).picks_
    found.set_params(n_rounds=30).fit(P, y)
    assert len(before)
    assert found.loss_ <= EnsembleSelectionRegressor(n_rounds=30).fit(P, y).loss_
    assert_allclose(found.loss_path_[-1], squared(P, y, found.picks_))


def test_warm_start_after_members_were_taken_away(regression_predictions):
    P, y, _ = regression_predictions(n_members=9)
    found = EnsembleSelectionRegressor(warm_start=True).fit(P, y)
    assert found.fit(P[:, :3], y).picks_.max() <= 2


# Reports.
@pytest.mark.parametrize("priced", [False, True])
def test_frontier(priced):
    P, y = bad_and_good()
    cost = np.random.default_rng(1).uniform(1.0, 9.0, 12) if priced else None
    found = EnsembleSelectionRegressor(cost=cost).fit(P, y)
    front, own = found.frontier_, np.ones(12) if cost is None else cost
    assert (np.diff(front.costs) > 0.0).all()
    assert (np.diff(front.losses) < 0.0).all()
    for loss, spent, picks in zip(front.losses, front.costs, front.picks, strict=True):
        assert_allclose(loss, squared(P, y, picks))
        assert_allclose(spent, own[np.unique(picks)].sum())
    assert front.losses[-1] <= found.loss_ * (1 + 1e-9)
    if not priced:
        assert_array_equal(front.picks[-1], found.picks_)
    # No prefix of the plain path is better and cheaper than what is there.
    for t, loss in enumerate(found.loss_path_):
        spent = own[np.unique(found.picks_[: t + 1])].sum()
        assert ((front.losses <= loss + 1e-12) & (front.costs <= spent + 1e-12)).any()
    if priced:
        assert front.costs[0] <= own[found.picks_[0]]


def test_frontier_heeds_the_limits():
    P, y = bad_and_good()
    cost = np.arange(1.0, 13.0)
    found = EnsembleSelectionRegressor(cost=cost, max_cost=20.0, max_members=3).fit(
        P, y
    )
    assert found.frontier_.costs.max() <= 20.0
    assert max(len(set(picks)) for picks in found.frontier_.picks) <= 3


def test_near_ties():
    P, y = bad_and_good()
    P[:, 3] = P[:, 11] + 1e-9
    found = EnsembleSelectionRegressor(n_rounds=6).fit(P, y)
    assert len(found.near_ties_) == len(found.picks_)
    for t, near in enumerate(found.near_ties_):
        picks = found.picks_[:t].tolist()
        losses = np.array([squared(P, y, [*picks, j]) for j in range(12)])
        close = np.flatnonzero(losses <= found.loss_path_[t] * (1 + 1e-4))
        assert_array_equal(near, np.setdiff1d(close, found.picks_[t]))
    assert any(len(near) for near in found.near_ties_)


def test_explain():
    P, y = bad_and_good()
    found = EnsembleSelectionRegressor(n_rounds=20).fit(P, y)
    rows = found.explain()
    assert [row["name"] for row in rows] == [f"x{j}" for j in range(12)]
    for j, row in enumerate(rows):
        assert row["weight"] == found.weights_[j]
        assert row["n_picks"] == np.sum(found.picks_ == j)
        assert_allclose(row["own_loss"], squared(P, y, [j]))
        rest = found.picks_[found.picks_ != j]
        if row["n_picks"]:
            assert found.picks_[row["first_pick"] - 1] == j
            assert j not in found.picks_[: row["first_pick"] - 1]
            assert_allclose(row["loss_without"], squared(P, y, rest))
            assert_allclose(row["closest"], 0.0, atol=1e-15)
        else:
            assert row["first_pick"] is None
            assert np.isnan(row["loss_without"])
            assert_allclose(row["closest"], closest(P, y, found._path_.picks, j))


def closest(P, y, picks, member):
    return min(
        squared(P, y, [*picks[:t], member]) - squared(P, y, picks[: t + 1])
        for t in range(len(picks))
    )


def test_explain_names_the_columns(regression_predictions):
    pd = pytest.importorskip("pandas")
    P, y, _ = regression_predictions(n_members=3)
    found = EnsembleSelectionRegressor().fit(pd.DataFrame(P, columns=list("abc")), y)
    assert [row["name"] for row in found.explain()] == ["a", "b", "c"]


def test_duality_gap(regression_predictions):
    P, y, weight = regression_predictions(n_members=10, n_samples=400)
    exact = ConvexRegressor(ridge=0.0).fit(P, y, weight)
    lowest = np.average((P @ exact.weights_ - y) ** 2, weights=weight)
    found = EnsembleSelectionRegressor(n_rounds=10).fit(P, y, weight)
    assert found.duality_gap_ >= found.loss_ - lowest > 0.0
    longer = EnsembleSelectionRegressor(n_rounds=3000).fit(P, y, weight)
    assert longer.duality_gap_ < 0.1 * found.duality_gap_
    assert np.isnan(EnsembleSelectionRegressor(loss="r2").fit(P, y).duality_gap_)


# Targets and quantiles.
def test_quantiles():
    rng = np.random.default_rng(0)
    levels, y = np.array([0.1, 0.5, 0.9]), rng.normal(size=120)
    cube = np.sort(y[:, None, None] + rng.normal(size=(120, 5, 3)), axis=2)
    P = cube.reshape(120, -1)
    found = EnsembleSelectionRegressor(loss="pinball", quantile_levels=levels).fit(P, y)
    quantiles = found.predict_quantiles(P)
    assert_allclose(quantiles, np.einsum("ijk,j->ik", cube, found.weights_))
    assert (np.diff(quantiles, axis=1) >= 0.0).all()
    assert_allclose(found.predict(P), quantiles[:, 1])
    expected = np.mean(
        [
            evaluate_loss("pinball", y, q, level=level)
            for q, level in zip(quantiles.T, levels, strict=True)
        ]
    )
    assert_allclose(found.loss_, expected)
    assert not hasattr(EnsembleSelectionRegressor(), "predict_quantiles")


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "r2"])
def test_several_targets(regression_predictions, loss):
    P, y, weight = regression_predictions(n_members=8)
    Y = np.column_stack([y, y + 0.3])
    found = EnsembleSelectionRegressor(loss=loss, n_rounds=10).fit(P, Y, weight)
    assert found.predict(P).shape == Y.shape
    cube = P.reshape(len(P), 4, 2)
    assert_allclose(found.predict(P), np.einsum("ijk,j->ik", cube, found.weights_))
    one = EnsembleSelectionRegressor(loss=loss, n_rounds=10).fit(P, y, weight)
    assert one.predict(P).shape == y.shape


# Input forms and edges.
@pytest.mark.parametrize("loss", LOSSES)
def test_memory_maps_and_single_precision(class_predictions, loss, tmp_path):
    P, y, weight = class_predictions(n_samples=213)
    np.save(tmp_path / "P.npy", P.astype(np.float32))
    mapped = np.load(tmp_path / "P.npy", mmap_mode="r")
    single = EnsembleSelectionClassifier(loss=loss).fit(P.astype(np.float32), y, weight)
    assert_same(EnsembleSelectionClassifier(loss=loss).fit(mapped, y, weight), single)
    double = EnsembleSelectionClassifier(loss=loss).fit(
        P.astype(np.float32).astype(float), y, weight
    )
    assert_same(single, double)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n", [15, 16, 17, 33, 1025])
def test_any_number_of_rows(class_predictions, loss, n):
    P, y, _ = class_predictions(n_samples=n)
    found = EnsembleSelectionClassifier(loss=loss).fit(P.round(2), y)
    assert (
        found.loss_
        <= min(value_of(loss, P.round(2)[:, j], y, None) for j in range(6)) + 1e-12
    )
    assert_allclose(found.loss_path_[0], min(found._path_.own))


@pytest.mark.parametrize("loss", LOSSES)
def test_constant_members_and_one_member(class_predictions, loss):
    P, y, _ = class_predictions()
    P[:, 2] = 0.5
    assert np.isfinite(EnsembleSelectionClassifier(loss=loss).fit(P, y).loss_)
    found = EnsembleSelectionClassifier(loss=loss).fit(P[:, :1], y)
    assert_array_equal(found.weights_, [1.0])
    assert set(found.picks_) == {0}
    constant = np.full((len(y), 3), 0.5)
    found = EnsembleSelectionClassifier(loss=loss).fit(constant, y)
    assert_array_equal(found.picks_, [0])


def test_losses_below_a_ten_thousandth(regression_predictions):
    P, y, _ = regression_predictions()
    small = EnsembleSelectionRegressor().fit(y[:, None] + 1e-6 * (P - y[:, None]), y)
    assert small.loss_ < 1e-10
    assert_array_equal(small.picks_, EnsembleSelectionRegressor().fit(P, y).picks_)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bagging": "rows", "n_bags": 4},
        {"bagging": "members", "n_bags": 4},
        {"shrinkage": "cv"},
        {"nested_cv": 3},
        {"init": "sorted"},
    ],
)
def test_fit_twice_pickle_and_clone(class_predictions, options):
    P, y, weight = class_predictions()
    found = EnsembleSelectionClassifier(**options).fit(P, y, weight)
    first = found.weights_
    for other in (
        clone(found).fit(P, y, weight),
        pickle.loads(pickle.dumps(found)),
        found.fit(P, y, weight),
    ):
        assert_array_equal(other.weights_, first)
        assert len(other.explain()) == 6


def test_refit_forgets_what_was_asked_before(regression_predictions):
    P, y, _ = regression_predictions()
    found = EnsembleSelectionRegressor(nested_cv=3, bagging="rows", n_bags=2).fit(P, y)
    found.set_params(nested_cv=None, bagging=None).fit(P, y)
    assert not hasattr(found, "nested_score_")
    assert not hasattr(found, "bag_picks_")


def test_nan_is_named(class_predictions):
    P, y, _ = class_predictions()
    P[17, 3] = np.nan
    with pytest.raises(ValueError, match=r"column 'x3' \(.*17"):
        EnsembleSelectionClassifier().fit(P, y)
    with pytest.raises(ValueError, match=r"column 'x3' \(.*17"):
        EnsembleSelectionRegressor().fit(P, y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_rounds": 0}, "n_rounds"),
        ({"init": "worst"}, "init"),
        ({"init": 0}, "init"),
        ({"replacement": "no"}, "replacement"),
        ({"max_members": 0}, "max_members"),
        ({"max_cost": 3.0}, "max_cost is given without cost"),
        ({"cost": [1.0]}, r"cost has shape \(1,\); expected one number for each of"),
        ({"cost": [1, 1, 1, 1, 1, np.nan]}, "cost of member 'x5' is nan"),
        ({"cost": [1, 1, -1, 1, 1, 1]}, "cost of member 'x2' is -1"),
        ({"cost": [5] * 6, "max_cost": 3}, "admits no member: the cheapest, 'x0'"),
        ({"min_gain": -1.0}, "min_gain"),
        ({"patience": 0}, "patience"),
        ({"time_limit": -1}, "time_limit"),
        ({"callback": 3}, "callback"),
        ({"bagging": "columns"}, "bagging"),
        ({"n_bags": 0}, "n_bags"),
        ({"bag_share": 0.0}, "bag_share"),
        ({"shrinkage": 2.0}, "shrinkage"),
        ({"shrinkage": "auto"}, "shrinkage"),
        ({"nested_cv": "loo"}, "nested_cv"),
        ({"rules": "caruana"}, "rules"),
        ({"loss": "log_loss"}, "loss"),
        ({"loss": "no_such"}, "loss"),
        ({"delta": 0.0}, "delta"),
        ({"level": 1.0}, "level"),
        ({"quantile_levels": [0.5]}, "quantile_levels need loss='pinball'"),
        ({"quantile_levels": [0.5, 0.1], "loss": "pinball"}, "levels that ascend"),
        ({"nested_cv": 1}, "n_splits"),
    ],
)
def test_wrong_parameters(regression_predictions, parameters, message):
    P, y, _ = regression_predictions()
    with pytest.raises(ValueError, match=message):
        EnsembleSelectionRegressor(**parameters).fit(P, y)


def test_f1_of_three_classes_is_refused(class_predictions):
    P, y, _ = class_predictions(n_classes=3)
    with pytest.raises(ValueError, match="second of two classes; y has 3"):
        EnsembleSelectionClassifier(loss="f1").fit(P, y)


def test_f1_takes_any_labels(class_predictions):
    P, y, _ = class_predictions()
    named = EnsembleSelectionClassifier(loss="f1").fit(P, np.array(["no", "yes"])[y])
    assert_same(named, EnsembleSelectionClassifier(loss="f1").fit(P, y))
