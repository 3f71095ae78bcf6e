"""What a key has to hold, and edits that are not what they seem."""

import functools
import time

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.datasets import make_regression
from sklearn.ensemble import HistGradientBoostingRegressor, VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ensemblekit import (
    AverageRegressor,
    CacheWarning,
    CrossFit,
    LinearStackRegressor,
    StackedRegressor,
    default_members,
)
from ensemblekit._digest import digest

X, Y = make_regression(3000, 4, noise=5.0, random_state=0)
SMALL = X[:120], Y[:120]
M = [("ridge", Ridge()), ("near", KNeighborsRegressor())]
FACTOR = 1.0


def scaled(values):
    return values * FACTOR


def picked(values, columns=(0, 1)):
    return values[:, list(columns)]


class Shifted(RegressorMixin, BaseEstimator):
    SHIFT = 0.0

    def fit(self, X, y):
        self.mean_ = np.mean(y) + self.SHIFT
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


def test_edits_see_every_row(tmp_path):
    crossfit = CrossFit(M, memory=tmp_path).fit(X, Y)
    other = X.copy()
    other[1237] += 100.0
    for edit in (
        lambda: crossfit.add("other", Ridge(2.0), other, Y),
        lambda: crossfit.refit_members(other, Y, ["ridge"]),
    ):
        with pytest.raises(ValueError, match="are not those given to fit"):
            edit()


def test_a_changed_parameter_does_not_reach_the_old_key(tmp_path):
    boosted = HistGradientBoostingRegressor(early_stopping=True, max_iter=40)
    crossfit = CrossFit(M, memory=tmp_path).fit(*SMALL)
    crossfit.set_params(early_stopping="held_out").add("boosted", boosted, *SMALL)
    fresh = CrossFit([("boosted", boosted)], memory=tmp_path).fit(*SMALL)
    assert fresh.n_fits_ == 5


@pytest.mark.parametrize("requested", [(True, False), (False, True)])
def test_requests_are_part_of_a_member(requested):
    with config_context(enable_metadata_routing=True):
        scaler, ridge = requested
        routed = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=scaler),
            Ridge().set_fit_request(sample_weight=ridge),
        )
        both = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=True),
            Ridge().set_fit_request(sample_weight=True),
        )
        assert digest(routed) != digest(both)


def test_output_containers_are_part_of_a_key(tmp_path):
    framed = StandardScaler().set_output(transform="pandas")
    assert digest(framed) != digest(StandardScaler())
    CrossFit(M[:1], memory=tmp_path).fit(*SMALL)
    with config_context(transform_output="pandas"):
        assert CrossFit(M[:1], memory=tmp_path).fit(*SMALL).n_fits_ == 5


def test_constants_defaults_and_closures_are_part_of_code(monkeypatch):
    before = digest(Shifted()), digest(scaled), digest(picked)
    assert before == (digest(Shifted()), digest(scaled), digest(picked))
    monkeypatch.setattr(Shifted, "SHIFT", 100.0)
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    monkeypatch.setattr(picked, "__defaults__", ((2, 3),))
    after = digest(Shifted()), digest(scaled), digest(picked)
    assert all(old != new for old, new in zip(before, after, strict=True))


def test_arguments_of_decorators_are_part_of_code(monkeypatch):
    def times(factor):
        def decorate(function):
            @functools.wraps(function)
            def wrapper(values):
                return factor * function(values)

            return wrapper

        return decorate

    found = []
    for factor in (1.0, 2.0):
        monkeypatch.setitem(globals(), "scaled", times(factor)(scaled))
        found.append(digest(globals()["scaled"]))
        monkeypatch.undo()
    assert found[0] != found[1]


def test_the_index_of_a_frame_is_part_of_it():
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    dated = frame.set_axis(pd.to_datetime(["2024-01-01", "2024-01-02"]))
    later = frame.set_axis(pd.to_datetime(["2024-01-03", "2024-01-04"]))
    assert len({digest(frame), digest(dated), digest(later)}) == 3


def test_fitted_predictors_inside_members_are_not_silent():
    X, y = SMALL
    known = KNeighborsRegressor(1).fit(X, y)
    with pytest.raises(ValueError, match="fitted already"):
        CrossFit([("m", make_pipeline(StandardScaler(), FrozenEstimator(known)))]).fit(
            X, y
        )
    with pytest.warns(UserWarning, match=r"'m' holds a fitted predictor \(a\)"):
        CrossFit([("m", VotingRegressor([("a", FrozenEstimator(known))]))]).fit(X, y)


def test_a_shuffle_without_a_seed_is_drawn_from_the_data(tmp_path):
    cv = KFold(3, shuffle=True)
    first = CrossFit(M, cv=cv, memory=tmp_path).fit(*SMALL)
    again = CrossFit(M, cv=cv, memory=tmp_path).fit(*SMALL)
    assert (first.n_fits_, again.n_fits_) == (6, 0)
    assert cv.random_state is None


def test_members_found_in_time_keep_their_fold_models(tmp_path):
    StackedRegressor(M, memory=tmp_path, refit="none").fit(*SMALL)
    late = StackedRegressor(M, AverageRegressor(), memory=tmp_path, time_limit=1e-9)
    late.fit(*SMALL)
    assert list(late.cross_fit_.fold_estimators_) == ["ridge", "near"]
    assert np.isfinite(late.predict(X[:3])).all()


def test_an_edit_has_its_own_clock():
    stacked = StackedRegressor(M, AverageRegressor(), time_limit=30.0).fit(*SMALL)
    stacked.cross_fit_._started = time.perf_counter() - 60.0
    stacked.remove("near", *SMALL)
    assert list(stacked.cross_fit_.method_) == ["ridge"]


class FailsOnAllRows(Shifted):
    def fit(self, X, y):
        if len(X) == len(SMALL[0]):
            raise RuntimeError("too many rows")
        return super().fit(X, y)


def test_the_last_member_that_fails_is_named():
    stacked = StackedRegressor([("f", FailsOnAllRows())], on_error="drop")
    with pytest.raises(ValueError, match=r"0 members are left.*too many rows"):
        stacked.fit(*SMALL)


def test_one_fold_alone_is_a_copy():
    crossfit = CrossFit(M, refit="none").fit(*SMALL)
    crossfit.only_fold(0).remove("near")
    assert crossfit.transform(X[:2]).shape == (2, 2)


def test_names_are_checked_before_anything_is_dropped():
    crossfit = CrossFit(M).fit(*SMALL)
    with pytest.raises(ValueError, match="Unknown members"):
        crossfit.compact(["zz"])
    assert crossfit.library_ is not None


def test_rows_without_content_are_fitted_without_memory(tmp_path):
    X, y = SMALL
    frame = pd.DataFrame(X[:, :1], columns=["x"])
    frame["odd"] = [lambda: None] * len(frame)
    column = FunctionTransformer(lambda rows: rows[["x"]])
    member = make_pipeline(column, Ridge())
    with pytest.warns(CacheWarning, match="Fitted without memory"):
        crossfit = CrossFit([("m", member)], memory=tmp_path).fit(frame, y)
    assert crossfit.n_fits_ == 5


def test_the_combiner_keeps_groups_whole():
    X, y = SMALL
    groups = np.arange(120) // 6
    grouped = StackedRegressor(M, LinearStackRegressor(), cv=GroupKFold(5))
    grouped.fit(X, y, groups=groups)
    splits = grouped.cross_fit_.splits_
    alone = LinearStackRegressor(cv=splits).fit(grouped.oof_predictions_, y)
    assert grouped.combiner_.ridge_ == alone.ridge_
    P = grouped.transform(X[:5])
    assert_allclose(grouped.predict(X[:5]), alone.predict(P))
    parted = LinearStackRegressor().fit(grouped.oof_predictions_, y)
    assert parted.ridge_ != grouped.combiner_.ridge_  # its own folds part groups
    assert {row["name"] for row in grouped.leaderboard_} == {*dict(M), "ensemble"}


def test_stacks_merge():
    other = StackedRegressor([("stiff", Ridge(50.0))]).fit(*SMALL)
    stacked = StackedRegressor(M).fit(*SMALL)
    n_fits = stacked.cross_fit_.n_fits_
    stacked.merge(other, *SMALL)
    fresh = StackedRegressor([*M, ("stiff", Ridge(50.0))]).fit(*SMALL)
    assert_array_equal(stacked.weights_, fresh.weights_)
    assert_array_equal(stacked.predict(X[:9]), fresh.predict(X[:9]))
    assert stacked.cross_fit_.n_fits_ <= n_fits + other.cross_fit_.n_fits_ + 2


def test_keys_of_default_members_outlive_their_use(tmp_path):
    members = default_members("regression")
    first = CrossFit(members, cv=2, memory=tmp_path, random_state=0).fit(*SMALL)
    again = CrossFit(members, cv=2, memory=tmp_path, random_state=0).fit(*SMALL)
    assert (first.n_fits_, again.n_fits_) == (2 * len(members), 0)
