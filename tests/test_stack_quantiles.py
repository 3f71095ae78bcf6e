import pickle

import lightgbm
import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import QuantileRegressor, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ensemblekit import (
    AverageRegressor,
    ConvexPoolRegressor,
    CrossFit,
    ForestQuantileRegressor,
    GuardWarning,
    MemberError,
    PerLevelQuantileRegressor,
    PrefitMember,
    QuantileAggregator,
    QuantilePoolRegressor,
    ResidualQuantileRegressor,
    StackedQuantileRegressor,
    cross_fitted_predictions,
    default_quantile_members,
)

from .quantile_members import oracles

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]
TREES = ExtraTreesRegressor(20, min_samples_leaf=5, random_state=0)
BOOSTING = GradientBoostingRegressor(n_estimators=20, random_state=0)
MEMBERS = [
    ("ridge", ResidualQuantileRegressor(Ridge())),
    ("trees", ForestQuantileRegressor(TREES)),
    ("boosting", make_pipeline(StandardScaler(), PerLevelQuantileRegressor(BOOSTING))),
]


def make_table(n=150, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 3))
    return X, 3 * X[:, 0] + np.abs(X[:, 2]) + rng.normal(size=n) * np.exp(X[:, 1])


@pytest.fixture
def table():
    return make_table()


class Mean(RegressorMixin, BaseEstimator):
    """A combiner without levels of its own: the mean of the members' quantiles."""

    def fit(self, P, y, sample_weight=None):
        self.n_columns_ = P.shape[1]
        return self

    def predict_quantiles(self, P):
        return P.reshape(len(P), -1, len(LEVELS)).mean(axis=1)

    def predict(self, P):
        return self.predict_quantiles(P)[:, 2]


def quantiles_of(member, X_train, y_train, X_new, **keywords):
    """The literal way: levels set by hand, fitted, predicted, sorted."""
    member = clone(member)
    last = member[-1] if hasattr(member, "steps") else member
    last.set_params(quantile_levels=LEVELS)
    member.fit(X_train, y_train, **keywords)
    if hasattr(member, "steps"):
        X_new = member[:-1].transform(X_new)
    return np.sort(last.predict_quantiles(X_new), axis=1)


@pytest.mark.parametrize("cv", [None, KFold(4, shuffle=True, random_state=1)])
def test_equals_a_literal_loop_over_the_folds(table, cv):
    X, y = table
    X_new, _ = make_table(30, seed=1)
    stacked = StackedQuantileRegressor(MEMBERS, Mean(), quantile_levels=LEVELS, cv=cv)
    stacked.fit(X, y)
    P = np.empty((150, 15))
    for train, test in (cv or KFold(5)).split(X):
        for j, (_, member) in enumerate(MEMBERS):
            block = quantiles_of(member, X[train], y[train], X[test])
            P[test, 5 * j : 5 * j + 5] = block
    assert_array_equal(stacked.oof_predictions_, P)
    new = np.hstack([quantiles_of(m, X, y, X_new) for _, m in MEMBERS])
    assert_array_equal(stacked.transform(X_new), new)
    mean = new.reshape(30, 3, 5).mean(axis=1)
    assert_array_equal(stacked.predict_quantiles(X_new), mean)
    assert_array_equal(stacked.predict(X_new), mean[:, 2])
    assert_array_equal(stacked.predict_interval(X_new, 0.1), mean[:, [0, 4]])
    assert_array_equal(stacked.quantile_levels_, LEVELS)
    assert stacked.library_.task == "quantile"
    assert stacked.cross_fit_.n_fits_ == 3 * ((4 if cv else 5) + 1)


def test_default_combiner_is_that_of_the_library(table):
    X, y = table
    stacked = StackedQuantileRegressor(MEMBERS, quantile_levels=LEVELS).fit(X, y)
    combiner = clone(stacked.combiner_)
    assert list(combiner.quantile_levels) == LEVELS
    combiner.fit(stacked.library_.P, stacked.library_.y)
    assert_array_equal(stacked.weights_, combiner.weights_)
    quantiles = stacked.predict_quantiles(X)
    assert (np.diff(quantiles, axis=1) >= 0).all()
    inside = (quantiles[:, 0] <= y) & (y <= quantiles[:, 4])
    assert inside.mean() > 0.8


@pytest.mark.parametrize(
    "combiner",
    [
        QuantileAggregator(weights="medium"),
        QuantileAggregator(weights="fine", noncrossing="isotonic"),
        QuantileAggregator(gate="linear"),
        QuantilePoolRegressor(),
        ConvexPoolRegressor(),
    ],
    ids=str,
)
def test_every_combiner_of_quantiles(table, combiner):
    X, y = table
    X_new, y_new = make_table(500, seed=1)
    stacked = StackedQuantileRegressor(MEMBERS, combiner, quantile_levels=LEVELS)
    quantiles = stacked.fit(X, y).predict_quantiles(X_new)
    assert quantiles.shape == (500, 5)
    assert (np.diff(quantiles, axis=1) >= 0).all()
    board = {row["name"]: row["loss"] for row in stacked.leaderboard_}
    assert board["ensemble"] < max(board.values())
    loss = oracles.pinball(y_new, quantiles, LEVELS)
    assert abs(loss / board["ensemble"] - 1) < 0.2
    needed = set(stacked.cross_fit_.estimators_)
    weights = [row for row in stacked.leaderboard_ if row["weight"] != 0.0]
    assert needed == {row["name"] for row in weights} - {"ensemble"}


class Counting(RegressorMixin, BaseEstimator):
    """Quantiles of a feature plus noise known to it; counts calls by column."""

    calls = {}

    def __init__(self, column=0, quantile_levels=None):
        self.column = column
        self.quantile_levels = quantile_levels

    def fit(self, X, y):
        self._count("fit")
        self.fitted_ = True
        return self

    def predict(self, X):
        return X[:, self.column]

    def predict_quantiles(self, X):
        self._count("predict")
        return X[:, self.column, None] + np.zeros(len(self.quantile_levels))

    def _count(self, what):
        key = what, self.column
        Counting.calls[key] = Counting.calls.get(key, 0) + 1


@pytest.mark.parametrize(
    ("refit", "n_fits"), [("none", 3 * 4), ("selected", 3 * 4 + 1), ("all", 3 * 5)]
)
def test_fits_are_counted_and_another_combiner_needs_none(refit, n_fits):
    X = np.random.default_rng(0).normal(size=(40, 3))
    members = [(f"m{column}", Counting(column)) for column in range(3)]
    Counting.calls = {}
    pool = ConvexPoolRegressor()
    stacked = StackedQuantileRegressor(members, pool, cv=4, refit=refit)
    stacked.fit(X, X[:, 1])
    assert_array_equal(stacked.weights_, [0.0, 1.0, 0.0])
    fits = sum(n for (what, _), n in Counting.calls.items() if what == "fit")
    assert fits == stacked.cross_fit_.n_fits_ == n_fits
    Counting.calls = {}
    assert_array_equal(stacked.predict(X), X[:, 1])
    assert Counting.calls == {("predict", 1): 4 if refit == "none" else 1}
    Counting.calls = {}
    other = ConvexPoolRegressor(quantile_levels=stacked.quantile_levels_, ridge=1.0)
    other.fit(stacked.library_.P, stacked.library_.y)
    cross_fitted_predictions(other, stacked.library_)
    assert stacked.leaderboard_
    assert Counting.calls == {}


def test_weights_of_members_may_be_told_by_the_combiner():
    class First(Mean):
        def fit(self, P, y, sample_weight=None):
            self.member_weights_ = np.array([1.0, 0.0])
            return super().fit(P, y)

        def predict_quantiles(self, P):
            return P[:, :5]

    X = np.random.default_rng(0).normal(size=(40, 2))
    members = [("a", Counting(0)), ("b", Counting(1))]
    stacked = StackedQuantileRegressor(members, First(), quantile_levels=LEVELS)
    stacked.fit(X, X[:, 0])
    assert list(stacked.cross_fit_.estimators_) == ["a"]
    assert [r["weight"] for r in stacked.leaderboard_ if r["name"] != "ensemble"] == [
        1.0,
        0.0,
    ]


class Crossing(RegressorMixin, BaseEstimator):
    """Quantiles in falling order in the rows whose first feature is positive."""

    def fit(self, X, y):
        self.mean_ = np.mean(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)

    def predict_quantiles(self, X):
        rising = self.mean_ + np.linspace(-1, 1, 5)
        return np.where(X[:, :1] > 0, rising[::-1], rising)


def test_crossing_quantiles_are_sorted_and_counted(table):
    X, y = table
    members = [*MEMBERS[:1], ("crossing", Crossing())]
    stacked = StackedQuantileRegressor(members, Mean(), quantile_levels=LEVELS)
    stacked.fit(X, y)
    blocks = stacked.oof_predictions_.reshape(150, 2, 5)
    assert (np.diff(blocks, axis=2) >= 0).all()
    assert (np.diff(stacked.predict_quantiles(X), axis=1) >= 0).all()
    counted = {r["name"]: r["crossing"] for r in stacked.cross_fit_.report_}
    assert counted == {"ridge": 0, "crossing": (X[:, 0] > 0).sum()}
    board = {r["name"]: r["crossing"] for r in stacked.leaderboard_}
    assert board == {**counted, "ensemble": None}


def test_leaderboard_is_mean_pinball_of_held_out_rows(table):
    X, y = table
    weight = np.linspace(0.5, 2.0, 150)
    pool = ConvexPoolRegressor()
    stacked = StackedQuantileRegressor(MEMBERS, pool, quantile_levels=LEVELS, cv=3)
    rows = {r["name"]: r for r in stacked.fit(X, y).leaderboard_}
    P = stacked.oof_predictions_
    for j, (name, _) in enumerate(MEMBERS):
        block = P[:, 5 * j : 5 * j + 5]
        assert_allclose(rows[name]["loss"], oracles.pinball(y, block, LEVELS))
    held_out = np.empty((150, 5))
    for train, test in stacked.cross_fit_.splits_:
        fold = clone(stacked.combiner_).fit(P[train], y[train])
        held_out[test] = fold.predict_quantiles(P[test], LEVELS)
    assert_allclose(rows["ensemble"]["loss"], oracles.pinball(y, held_out, LEVELS))
    losses = [r["loss"] for r in stacked.leaderboard_]
    assert losses == sorted(losses)
    stacked.fit(X, y, sample_weight=weight)
    row = next(r for r in stacked.leaderboard_ if r["name"] == "trees")
    block = stacked.oof_predictions_[:, 5:10]
    error = y[:, None] - block
    losses = np.maximum(LEVELS * error, (np.array(LEVELS) - 1) * error).mean(axis=1)
    assert_allclose(row["loss"], np.average(losses, weights=weight))


def test_groups_weights_and_frames(table):
    X, y = table
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    groups, weight = np.arange(150) // 3, np.linspace(0.0, 2.0, 150)
    stacked = StackedQuantileRegressor(
        MEMBERS, Mean(), quantile_levels=LEVELS, cv=GroupKFold(3)
    )
    stacked.fit(frame, y, sample_weight=weight, groups=groups)
    for train, test in stacked.cross_fit_.splits_:
        assert not set(groups[train]) & set(groups[test])
        block = quantiles_of(
            MEMBERS[1][1], X[train], y[train], X[test], sample_weight=weight[train]
        )
        assert_array_equal(stacked.oof_predictions_[test, 5:10], block)
    assert list(stacked.feature_names_in_) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names"):
        stacked.predict(frame[["b", "a", "c"]])
    assert len(stacked.get_feature_names_out()) == 15


def test_metadata_is_routed(table):
    X, y = table
    weight = np.linspace(0.1, 2.0, 150)
    plain = StackedQuantileRegressor(MEMBERS[:2], quantile_levels=LEVELS)
    expected = plain.fit(X, y, sample_weight=weight).predict_quantiles(X)
    with sklearn.config_context(enable_metadata_routing=True):
        members = [
            (name, clone(m).set_fit_request(sample_weight=True))
            for name, m in MEMBERS[:2]
        ]
        stacked = StackedQuantileRegressor(members, quantile_levels=LEVELS)
        found = stacked.fit(X, y, sample_weight=weight).predict_quantiles(X)
    assert_allclose(found, expected)


def test_default_members_take_routed_weights(table):
    X, y = table
    with sklearn.config_context(enable_metadata_routing=True):
        stacked = StackedQuantileRegressor(cv=2, quantile_levels=[0.1, 0.5, 0.9])
        weight = np.where(y > np.median(y), 1.0, 0.01)
        stacked.fit(X, y, sample_weight=weight)
        assert stacked.predict(X).mean() > y.mean() + 0.3


def test_what_was_trained_elsewhere_keeps_its_levels(table):
    X, y = table
    forest = ForestQuantileRegressor(TREES, LEVELS).fit(X, y)
    frozen = PrefitMember(forest, trained_on_other_rows=True)
    members = [MEMBERS[0], ("frozen", frozen)]
    stacked = StackedQuantileRegressor(members, Mean(), quantile_levels=LEVELS)
    expected = frozen.predict_quantiles(X)
    assert_array_equal(stacked.fit(X, y).oof_predictions_[:, 5:], expected)
    other = clone(stacked).set_params(quantile_levels=[0.1, 0.2, 0.3, 0.4, 0.5])
    message = r"Member 'frozen' has quantile_levels_=\[0.05, .*expected \[0.1, 0.2"
    with pytest.raises(ValueError, match=message):
        other.fit(X, y)


def test_a_member_far_outside_is_replaced_at_every_level(table):
    X, y = table

    class Astray(Crossing):
        def predict_quantiles(self, X):
            return self.mean_ + np.outer(
                1.0 + 1e3 * (X[:, 0] >= 1), np.linspace(-1, 1, 5)
            )

    members = [*MEMBERS[:2], ("astray", Astray())]
    stacked = StackedQuantileRegressor(members, Mean(), quantile_levels=LEVELS)
    stacked.fit(X, y)
    X_new = np.vstack([X[:3], [1.0, 0.0, 0.0]])
    with pytest.warns(GuardWarning, match="'astray' \\(1 of 4 rows") as caught:
        found = stacked.predict_quantiles(X_new)
    assert caught[0].filename == __file__
    with pytest.warns(GuardWarning, match="'astray'") as caught:
        stacked.predict(X_new)
    assert caught[0].filename == __file__
    blocks = stacked.transform(X_new)[3].reshape(3, 5)
    blocks[2] = blocks[:2].mean(axis=0)
    assert_allclose(found[3], blocks.mean(axis=0))


def test_jobs_and_seeds_change_nothing(table):
    X, y = table
    members = [
        ("a", ForestQuantileRegressor(ExtraTreesRegressor(10))),
        ("b", PerLevelQuantileRegressor(GradientBoostingRegressor(n_estimators=5))),
    ]
    first = StackedQuantileRegressor(members, random_state=3).fit(X, y)
    second = clone(first).set_params(n_jobs=2).fit(X, y)
    assert_array_equal(first.oof_predictions_, second.oof_predictions_)
    assert_array_equal(first.predict_quantiles(X), second.predict_quantiles(X))
    other = clone(first).set_params(random_state=4).fit(X, y)
    assert (first.oof_predictions_ != other.oof_predictions_).any()


def test_clone_pickle_pipeline_and_grid_search(table):
    X, y = table
    stacked = StackedQuantileRegressor(MEMBERS[:2], quantile_levels=LEVELS)
    pipeline = make_pipeline(StandardScaler(), stacked)
    grid = {
        "stackedquantileregressor__trees__estimator__min_samples_leaf": [2, 70],
        "stackedquantileregressor__combiner": [Mean(), ConvexPoolRegressor()],
    }
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    key = "stackedquantileregressor__trees__estimator__min_samples_leaf"
    assert search.best_params_[key] == 2
    loaded = pickle.loads(pickle.dumps(search.best_estimator_))
    assert_array_equal(loaded.predict(X), search.predict(X))
    assert stacked.get_params()["trees__quantile_levels"] is None  # untouched by fit
    assert np.isfinite(cross_val_score(stacked, X, y, cv=2)).all()


def test_a_stack_is_a_member_and_a_refit_takes_other_levels(table):
    X, y = table
    inner = StackedQuantileRegressor(MEMBERS[:1], Mean(), quantile_levels=LEVELS)
    outer = StackedQuantileRegressor(
        [("inner", inner), MEMBERS[1]], quantile_levels=LEVELS, cv=2
    )
    assert outer.fit(X, y).predict_quantiles(X).shape == (150, 5)
    again = StackedQuantileRegressor(MEMBERS).fit(X, y)
    again.set_params(quantile_levels=[0.2, 0.8]).fit(X, y)
    assert again.predict_quantiles(X).shape == (150, 2)
    assert_allclose(again.predict(X), again.predict_quantiles(X).mean(axis=1))


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([0.9, 0.1], r"quantile_levels\[1\] is 0.1 after 0.9"),
        ([0.1, 1.0], r"quantile_levels\[1\] is 1.0.*inside \(0, 1\)"),
    ],
)
def test_unfit_levels_are_refused(table, levels, message):
    for estimator in (
        StackedQuantileRegressor(MEMBERS, quantile_levels=levels),
        CrossFit(MEMBERS, quantile_levels=levels),
    ):
        with pytest.raises(ValueError, match=message):
            estimator.fit(*table)


class Returning(RegressorMixin, BaseEstimator):
    """Returns what a test asks for."""

    def __init__(self, shape=(), fill=0.0):
        self.shape = shape
        self.fill = fill

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.zeros(len(X))

    def predict_quantiles(self, X):
        return np.full((len(X), *self.shape), self.fill)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (Returning((3,)), r"expected 30 rows and 5 columns .* got shape \(30, 3\)"),
        (Returning(), r"expected 30 rows and 5 columns .* got shape \(30, 1\)"),
        (Returning((5,), np.nan), r"expected finite predictions; got NaN .*30 rows"),
        (Returning((5,), "a"), r"expected numbers; got an array of"),
    ],
)
def test_members_that_break_the_contract_are_named(table, member, message):
    members = [MEMBERS[0], ("odd", member)]
    stacked = StackedQuantileRegressor(members, quantile_levels=LEVELS)
    where = r"Member 'odd' failed in predict_quantiles on fold 1 of 5: "
    with pytest.raises(MemberError, match=where + message):
        stacked.fit(*table)


def test_unfit_members_and_combiners_are_refused(table):
    def fit(members, combiner=None):
        StackedQuantileRegressor(members, combiner, quantile_levels=LEVELS).fit(*table)

    with pytest.raises(ValueError, match=r"'point' has no method 'predict_quantiles'"):
        fit([MEMBERS[0], ("point", Ridge())])
    with pytest.raises(ValueError, match=r"needs members for regression; \['labels'\]"):
        fit([("labels", GaussianNB())])
    other = ForestQuantileRegressor(TREES, [0.1, 0.9])
    with pytest.raises(
        ValueError, match=r"Member 'other' has quantile_levels=\[0.1, 0.9\]; expected"
    ):
        fit([("other", other)])
    with pytest.raises(ValueError, match=r"AverageRegressor has no predict_quantiles"):
        fit(MEMBERS, AverageRegressor())
    with pytest.raises(ValueError, match=r"The combiner has quantile_levels=\[0.5\]"):
        fit(MEMBERS, ConvexPoolRegressor(quantile_levels=[0.5]))
    with pytest.raises(ValueError, match="for regression; the members are classifiers"):
        CrossFit([("labels", GaussianNB())], quantile_levels=LEVELS).fit(*table)


def test_unfitted_stacks_say_so(table):
    stacked = StackedQuantileRegressor(MEMBERS)
    for method in ("predict", "predict_quantiles", "predict_interval"):
        with pytest.raises(NotFittedError):
            getattr(stacked, method)(table[0])
    with pytest.raises(NotFittedError):
        stacked.quantile_levels_


def test_levels_beyond_those_predicted_are_refused(table):
    stacked = StackedQuantileRegressor(MEMBERS[:1], quantile_levels=[0.6, 0.9])
    stacked.fit(*table)
    with pytest.raises(ValueError, match=r"level 0.5 is beyond those predicted"):
        stacked.predict(table[0])
    with pytest.raises(ValueError, match=r"Add levels to quantile_levels"):
        stacked.predict_interval(table[0], 0.05)


def test_cross_fit_alone_makes_a_library_of_quantiles(table):
    X, y = table
    cross_fit = CrossFit(MEMBERS, quantile_levels=LEVELS, refit="none").fit(X, y)
    assert_array_equal(cross_fit.library_.quantile_levels, LEVELS)
    assert cross_fit.library_.column_names[:2] == ["ridge__0.05", "ridge__0.25"]
    P = cross_fit.transform(X).reshape(150, 3, 5)
    folds = cross_fit.fold_estimators_["trees"]
    mean = np.mean([model.predict_quantiles(X) for model in folds], axis=0)
    assert_allclose(P[:, 1], mean)


def test_default_members_take_frames_of_any_columns():
    X, y = make_table(120)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    frame["d"] = pd.Categorical(np.array(["u", "v"])[np.arange(120) % 2])
    frame.loc[::9, "a"] = np.nan
    stacked = StackedQuantileRegressor(cv=2, random_state=0, quantile_levels=[0.1, 0.9])
    stacked.fit(frame, y, sample_weight=np.ones(120))
    assert stacked.predict_quantiles(frame).shape == (120, 2)
    names = [name for name, _ in default_quantile_members()]
    assert list(stacked.cross_fit_.method_) == names
    assert names[0] == "lightgbm" if lightgbm else "hist_gradient_boosting"


def test_the_default_members_without_boosting_libraries(monkeypatch):
    from ensemblekit.quantile_members import defaults

    monkeypatch.setattr(defaults, "find_spec", lambda name: None)
    names = [name for name, _ in default_quantile_members()]
    assert names == ["hist_gradient_boosting", "random_forest", "extra_trees", "linear"]


def test_linear_quantile_regression_finds_its_own_noise():
    """y is linear at every level: the linear member is the best of all."""
    X, _ = make_table(300)
    y = 2 * X[:, 0] + (1.2 + X[:, 1]) * np.random.default_rng(5).uniform(-1, 1, 300)
    linear = PerLevelQuantileRegressor(QuantileRegressor(alpha=0.0))
    stacked = StackedQuantileRegressor(
        [*MEMBERS, ("linear", linear)], quantile_levels=LEVELS
    )
    board = [r["name"] for r in stacked.fit(X, y).leaderboard_ if r["weight"]]
    assert board[0] == "linear"


def test_passthrough_gives_the_gate_the_features():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = X[:, 0] + (1.0 + np.abs(X[:, 1])) * rng.normal(size=200)
    members = [
        ("ridge", ResidualQuantileRegressor(Ridge())),
        ("trees", ForestQuantileRegressor(ExtraTreesRegressor(20, random_state=0))),
    ]
    gated = QuantileAggregator(gate="linear", gate_ridge=1e-3)
    levels = [0.1, 0.5, 0.9]
    stacked = StackedQuantileRegressor(
        members, gated, quantile_levels=levels, passthrough=True, random_state=0
    ).fit(X, y)
    alone = clone(gated).set_params(quantile_levels=levels)
    alone.fit(stacked.oof_predictions_, y, features=X)
    assert_array_equal(stacked.weights_, alone.weights_)
    P = stacked.cross_fit_.transform(X)
    assert_allclose(stacked.predict_quantiles(X), alone.predict_quantiles(P, X))
    assert_allclose(stacked.predict(X), alone.predict(P, X))
    assert_array_equal(stacked.transform(X), np.hstack([P, X]))
    plain = clone(stacked).set_params(combiner=QuantileAggregator())
    with pytest.raises(ValueError, match="features of a gate, but QuantileAggregator"):
        plain.fit(X, y)
