"""Members added, removed and merged, refits, prefit models, and what compact keeps."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
)
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, TimeSeriesSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ensemblekit import (
    AverageClassifier,
    AverageRegressor,
    ConvexRegressor,
    CrossFit,
    MemberError,
    PrefitMember,
    ResidualQuantileRegressor,
    StackedClassifier,
    StackedQuantileRegressor,
    StackedRegressor,
)
from tests.crossfit.members import LoggedClassifier, LoggedRegressor, count_lines

N, K = 60, 4


@pytest.fixture
def regression():
    return make_regression(N, 4, noise=10.0, random_state=0)


@pytest.fixture
def classification():
    return make_classification(90, 6, n_informative=4, n_classes=3, random_state=0)


@pytest.fixture
def log(tmp_path):
    return str(tmp_path / "fits.log")


def forests(names):
    """Members that draw: equal only where the seeds are."""
    return [(n, RandomForestRegressor(2, max_depth=3)) for n in names]


def logged(names, log):
    return [
        (name, LoggedRegressor(log, slope=float(number + 1)))
        for number, name in enumerate(names)
    ]


def cross_fit(members, refit="selected", **options):
    return CrossFit(members, cv=K, refit=refit, random_state=0, **options)


def assert_same(one, other, X):
    """All that is fitted is bit-equal."""
    assert_array_equal(one.oof_predictions_, other.oof_predictions_)
    assert_array_equal(one.transform(X), other.transform(X))
    assert list(one.method_) == list(other.method_)
    for ours, theirs in zip(one.report_, other.report_, strict=True):
        assert ours["name"] == theirs["name"]
        assert ours["loss"] == theirs["loss"]
    assert one.library_.names == other.library_.names
    assert_array_equal(one.library_.P, other.library_.P)
    assert list(one.estimators_) == list(other.estimators_)
    assert list(one.fold_estimators_) == list(other.fold_estimators_)
    assert list(one.get_feature_names_out()) == list(other.get_feature_names_out())


REFITS = ["none", "selected", "all"]


# -- add, remove, merge -------------------------------------------------------------


@pytest.mark.parametrize("refit", REFITS)
def test_add_fits_one_member_and_equals_a_fit_from_the_start(regression, log, refit):
    X, y = regression
    members = logged("abc", log)
    whole = cross_fit(members, refit).fit(X, y)
    before = count_lines(log)
    assert before == whole.n_fits_ == 3 * (K + (refit == "all"))
    grown = cross_fit(members[:2], refit).fit(X, y)
    before = count_lines(log)
    assert grown.add("c", members[2][1], X, y) is grown
    assert count_lines(log) - before == K + (refit == "all")
    assert grown.n_fits_ == whole.n_fits_
    assert_same(grown, whole, X)
    assert [name for name, _ in grown.estimators] == ["a", "b", "c"]


@pytest.mark.parametrize("refit", REFITS)
def test_remove_fits_nothing_and_equals_a_fit_without(regression, log, refit):
    X, y = regression
    members = logged("abc", log)
    for gone in "abc":
        left = [pair for pair in members if pair[0] != gone]
        expected = cross_fit(left, refit).fit(X, y)
        found = cross_fit(members, refit).fit(X, y)
        before = count_lines(log)
        assert found.remove(gone) is found
        assert count_lines(log) == before
        assert_same(found, expected, X)
        assert gone not in dict(found.estimators)


@pytest.mark.parametrize("refit", REFITS)
def test_merge_fits_nothing_and_equals_a_fit_from_the_start(regression, log, refit):
    X, y = regression
    members = logged("abcd", log)
    whole = cross_fit(members, refit).fit(X, y)
    one, other = (cross_fit(m, refit).fit(X, y) for m in (members[:3], members[3:]))
    kept = pickle.dumps(other)
    before = count_lines(log)
    assert one.merge(other) is one
    assert count_lines(log) == before
    assert one.n_fits_ == whole.n_fits_
    assert_same(one, whole, X)
    assert pickle.dumps(other) == kept, "the other one stays as it is"
    one.remove("d")
    assert list(other.method_) == ["d"]


def test_seeds_depend_on_the_name_alone(regression):
    X, y = regression
    whole = cross_fit(forests("abc"), "all").fit(X, y)
    assert np.ptp(whole.oof_predictions_, axis=1).max() > 0.0
    left_out = cross_fit([("a", "drop"), *forests("abc")[1:]], "all").fit(X, y)
    assert_array_equal(left_out.oof_predictions_, whole.oof_predictions_[:, 1:])
    turned = cross_fit(forests("cab"), "all").fit(X, y)
    assert_array_equal(turned.oof_predictions_, whole.oof_predictions_[:, [2, 0, 1]])
    edited = cross_fit(forests("ab"), "all").fit(X, y)
    edited.add("c", RandomForestRegressor(2, max_depth=3), X, y)
    assert_same(edited, whole, X)
    assert_same(edited.remove("a"), left_out, X)
    edited.add("a", RandomForestRegressor(2, max_depth=3), X, y)
    column = list(edited.method_).index("a")
    assert_array_equal(edited.transform(X)[:, column], whole.transform(X)[:, 0])


def test_edits_with_weights_groups_and_uncovered_rows(regression):
    X, y = regression
    weight, groups = np.linspace(0.1, 2.0, N), np.arange(N) // 3
    known = {"sample_weight": weight, "groups": groups}
    members = [("ridge", Ridge()), ("line", LinearRegression())]
    tree = DecisionTreeRegressor(max_depth=2)
    for cv, given in ((GroupKFold(3), known), (TimeSeriesSplit(3), {})):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options = {"cv": cv, "random_state": 0}
            whole = CrossFit([*members, ("tree", tree)], **options).fit(X, y, **given)
            grown = CrossFit(members, **options).fit(X, y, **given)
            grown.add("tree", tree, X, y, **given)
        assert_same(grown, whole, X)
        assert_array_equal(grown.library_.folds, whole.library_.folds)


def test_edits_survive_a_pickle(regression):
    X, y = regression
    members = forests("ab")
    loaded = pickle.loads(pickle.dumps(cross_fit(members[:1]).fit(X, y)))
    assert_same(loaded.add(*members[1], X, y), cross_fit(members).fit(X, y), X)


def test_other_rows_are_refused(regression):
    X, y = regression
    weight = np.linspace(0.1, 2.0, N)
    fitted = cross_fit([("a", Ridge())]).fit(X, y, sample_weight=weight)
    stacked = StackedRegressor([("a", Ridge()), ("b", LinearRegression())])
    stacked.fit(X, y, sample_weight=weight)
    changed_X, changed_y, changed_w = X.copy(), y.copy(), weight.copy()
    changed_X[3, 1] += 1e-9
    changed_y[7] += 1e-9
    changed_w[9] += 1e-9
    for rows, target, w in [
        (changed_X, y, weight),
        (X, changed_y, weight),
        (X, y, changed_w),
        (X, y, None),
        (X[::-1], y[::-1], weight[::-1]),
        (X[:-1], y[:-1], weight[:-1]),
    ]:
        for edit in (
            lambda *r, w=w: fitted.add("new", Ridge(), *r, sample_weight=w),
            lambda *r, w=w: fitted.refit_members(*r, ["a"], sample_weight=w),
            lambda *r, w=w: stacked.add("new", Ridge(), *r, sample_weight=w),
            lambda *r, w=w: stacked.remove("a", *r, sample_weight=w),
        ):
            with pytest.raises(ValueError, match="not those given to fit"):
                edit(rows, target)
    assert list(fitted.method_) == ["a"]
    assert list(stacked.cross_fit_.method_) == ["a", "b"]


def test_merge_refuses_what_differs(regression, classification):
    X, y = regression
    weight = np.linspace(0.1, 2.0, N)
    ours = cross_fit([("a", Ridge())]).fit(X, y)
    other_X = X.copy()
    other_X[0, 0] += 1.0
    b = [("b", Ridge())]
    rows = "X, y or sample_weight"
    labels = [("b", LogisticRegression())]
    levels = [("b", ResidualQuantileRegressor(Ridge()))]
    for other, part in [
        (cross_fit(b).fit(other_X, y), rows),
        (cross_fit(b).fit(X, y + 1.0), rows),
        (cross_fit(b).fit(X, y, sample_weight=weight), rows),
        (cross_fit(b).fit(X[:-1], y[:-1]), rows),
        (CrossFit(b, cv=3).fit(X, y), "splits_"),
        (CrossFit(b, cv=KFold(K, shuffle=True)).fit(X, y), "splits_"),
        (cross_fit(labels).fit(X, y > 0), "classes_"),
        (cross_fit(levels, quantile_levels=[0.1, 0.9]).fit(X, y), "quantile_levels"),
    ]:
        with pytest.raises(ValueError, match=f"differ in {part}"):
            ours.merge(other)
    with pytest.raises(ValueError, match=r"Members \['a'\] are in both"):
        ours.merge(cross_fit([("a", Ridge())]).fit(X, y))
    with pytest.raises(ValueError, match=r"Members \['a'\] are in both"):
        ours.merge(ours)
    with pytest.raises(NotFittedError):
        ours.merge(cross_fit(b))
    assert list(ours.method_) == ["a"]


def test_merge_refuses_other_groups(regression):
    X, y = regression
    groups = np.arange(N) // 3
    one = CrossFit([("a", Ridge())], cv=GroupKFold(3)).fit(X, y, groups=groups)
    splits = one.splits_
    same = CrossFit([("b", Ridge())], cv=splits).fit(X, y)
    assert list(one.merge(same).method_) == ["a", "b"]
    other = CrossFit([("c", Ridge())], cv=splits).fit(X, y, groups=groups[::-1])
    with pytest.raises(ValueError, match="differ in groups"):
        one.merge(other)


def test_merge_takes_the_name_of_a_member_that_was_left_out(regression):
    X, y = regression
    b = cross_fit([("b", LinearRegression())]).fit(X, y)
    merged = cross_fit([("a", Ridge()), ("b", "drop")]).fit(X, y).merge(b)
    assert list(merged.method_) == ["a", "b"]
    whole = cross_fit([("a", Ridge()), ("b", LinearRegression())]).fit(X, y)
    assert_same(merged, whole, X)
    assert_same(clone(merged).fit(X, y), whole, X)
    failing = [("a", Ridge()), ("b", LoggedRegressor(fails=True))]
    with pytest.warns(UserWarning, match="'b' is left out"):
        dropped = cross_fit(failing, on_error="drop").fit(X, y)
    assert_same(clone(dropped.merge(b)).fit(X, y), whole, X)


def test_names_are_checked(regression):
    X, y = regression
    fitted = cross_fit([("a", Ridge()), ("b", LinearRegression())]).fit(X, y)
    stacked = StackedRegressor(fitted.estimators).fit(X, y)
    for edit in (fitted.add, stacked.add):
        with pytest.raises(ValueError, match="is a member 'a' already"):
            edit("a", Ridge(), X, y)
        with pytest.raises(ValueError, match="splitter"):
            edit("splitter", Ridge(), X, y)
        with pytest.raises(ValueError, match="must not contain __"):
            edit("a__b", Ridge(), X, y)
        with pytest.raises(TypeError, match="expected an estimator instance"):
            edit("c", Ridge, X, y)
        with pytest.raises(ValueError, match="fitted already"):
            edit("c", FrozenEstimator(Ridge().fit(X, y)), X, y)
        with pytest.raises(ValueError, match="classifiers"):
            edit("c", LogisticRegression(), X, y)
    for edit in (
        lambda: fitted.remove("z"),
        lambda: fitted.refit_members(X, y, ["z"]),
        lambda: fitted.refit_members(X, y, "a"),
        lambda: fitted.predict_members(X, ["z"]),
        lambda: stacked.remove("z", X, y),
    ):
        with pytest.raises(ValueError, match="Unknown members"):
            edit()
    fitted.remove("a")
    with pytest.raises(ValueError, match="'b' is the only one"):
        fitted.remove("b")
    assert list(fitted.method_) == ["b"]


def state_of(estimator):
    return pickle.dumps(
        {k: v for k, v in vars(estimator).items() if k not in ("_started",)}
    )


@pytest.mark.parametrize("refit", REFITS)
def test_a_failing_add_leaves_all_as_it_was(regression, refit):
    X, y = regression
    bad = LoggedRegressor(fails=True)
    fitted = cross_fit(forests("ab"), refit).fit(X, y)
    before, expected = state_of(fitted), fitted.transform(X)
    with pytest.raises(MemberError, match="'c' failed in fit on fold 1 of 4"):
        fitted.add("c", bad, X, y)
    assert state_of(fitted) == before
    assert_array_equal(fitted.transform(X), expected)
    fitted.add("c", Ridge(), X, y)
    assert list(fitted.method_) == ["a", "b", "c"]


class FailsOnAllRows(Ridge):
    def fit(self, X, y):
        if len(X) == N:
            raise RuntimeError("boom on all rows")
        return super().fit(X, y)


def test_an_add_that_fails_in_the_refit(regression):
    X, y = regression
    fitted = cross_fit(forests("ab"), "all").fit(X, y)
    before = state_of(fitted)
    with pytest.raises(MemberError, match="all rows"):
        fitted.add("c", FailsOnAllRows(), X, y)
    assert state_of(fitted) == before


def test_an_add_that_is_dropped(regression):
    X, y = regression
    fitted = cross_fit(forests("ab"), on_error="drop").fit(X, y)
    expected = fitted.oof_predictions_
    with pytest.warns(UserWarning, match="'c' is left out"):
        fitted.add("c", LoggedRegressor(fails=True), X, y)
    assert_array_equal(fitted.oof_predictions_, expected)
    assert [row["name"] for row in fitted.dropped_] == ["c"]
    fitted.add("c", Ridge(), X, y)
    assert list(fitted.method_) == ["a", "b", "c"]
    assert [name for name, _ in fitted.estimators] == ["a", "b", "c"]


class Unwilling(RegressorMixin, BaseEstimator):
    """A combiner that takes two columns and no more."""

    def fit(self, P, y):
        if P.shape[1] != 2:
            raise RuntimeError("combiner boom")
        self.n_features_in_ = 2
        return self

    def predict(self, P):
        return P.mean(axis=1)


def test_a_failing_edit_of_a_stack_leaves_all_as_it_was(regression):
    X, y = regression
    stacked = StackedRegressor(forests("ab"), Unwilling(), random_state=0).fit(X, y)
    expected, cross_fit_ = stacked.predict(X), stacked.cross_fit_
    for edit, message in [
        (lambda: stacked.add("c", Ridge(), X, y), "combiner boom"),
        (lambda: stacked.add("c", LoggedRegressor(fails=True), X, y), "member boom"),
        (lambda: stacked.remove("a", X, y), "combiner boom"),
    ]:
        with pytest.raises((RuntimeError, MemberError), match=message):
            edit()
        assert [name for name, _ in stacked.estimators] == ["a", "b"]
        assert stacked.cross_fit_ is cross_fit_
        assert list(cross_fit_.method_) == ["a", "b"]
        assert [name for name, _ in cross_fit_.estimators] == ["a", "b"]
        assert_array_equal(stacked.predict(X), expected)


def test_a_failed_fit_is_no_fit(regression):
    X, y = regression
    members = [("a", Ridge()), ("b", LoggedRegressor(fails=True))]
    for estimator in (
        cross_fit(members),
        StackedRegressor(members),
        StackedRegressor(forests("abc"), Unwilling()),
        StackedRegressor([("a", Ridge()), ("b", FailsOnAllRows())], AverageRegressor()),
    ):
        with pytest.raises((MemberError, RuntimeError), match="boom"):
            estimator.fit(X, y)
        with pytest.raises(NotFittedError):
            estimator.transform(X)


# -- the same of stacks -------------------------------------------------------------


@pytest.mark.parametrize("refit", REFITS)
def test_edited_stacks_equal_fresh_ones(classification, log, refit):
    X, y = classification
    labels = np.array(["u", "v", "w"])[y]
    members = [
        ("a", LoggedClassifier(log, slope=1.0)),
        ("b", LoggedClassifier(log, slope=-0.5)),
        ("c", RandomForestClassifier(3, max_depth=3)),
        ("d", GaussianNB()),
    ]
    options = {"cv": 3, "refit": refit, "random_state": 0}

    def fresh(chosen, combiner=None):
        return StackedClassifier(chosen, combiner, **options).fit(X, labels)

    for combiner in (None, AverageClassifier()):
        stacked, expected = fresh(members[:3], combiner), fresh(members, combiner)
        before = count_lines(log)
        stacked.add("d", GaussianNB(), X, labels)
        assert count_lines(log) - before <= (2 if refit == "selected" else 0)
        assert_equal_stacks(stacked, expected, X)
        before = count_lines(log)
        stacked.remove("c", X, labels)
        assert count_lines(log) - before <= (2 if refit == "selected" else 0)
        left = [pair for pair in members if pair[0] != "c"]
        assert_equal_stacks(stacked, fresh(left, combiner), X)
        assert_equal_stacks(clone(stacked).fit(X, labels), stacked, X)


def assert_equal_stacks(one, other, X):
    for method in {"predict", "predict_proba"} & set(dir(other)):
        assert_array_equal(getattr(one, method)(X), getattr(other, method)(X))
    if hasattr(other.combiner_, "weights_"):
        assert_array_equal(one.weights_, other.weights_)
    for ours, theirs in zip(one.leaderboard_, other.leaderboard_, strict=True):
        assert ours["name"] == theirs["name"]
        assert ours["loss"] == theirs["loss"]


def test_stacks_refit_only_those_with_weight(regression, log):
    X, y = regression
    members = [("good", Ridge()), *logged("abc", log)]
    stacked = StackedRegressor(members, cv=K, random_state=0).fit(X, y)
    refitted = np.count_nonzero(stacked.weights_)
    assert stacked.weights_[0] > 0.0
    assert stacked.cross_fit_.n_fits_ == 4 * K + refitted
    assert count_lines(log) == 3 * K + refitted - 1
    assert len(stacked.cross_fit_.estimators_) == refitted


def test_an_added_member_has_to_suit_the_combiner(classification):
    X, y = classification
    stacked = StackedClassifier([("a", GaussianNB())]).fit(X, y)
    with pytest.raises(ValueError, match=r"'b' .* has no predict_proba"):
        stacked.add("b", RidgeClassifier(), X, y)
    assert list(stacked.cross_fit_.method_) == ["a"]
    with pytest.raises(ValueError, match="'b'"):
        stacked.add("b", Ridge(), X, y)
    assert list(stacked.cross_fit_.method_) == ["a"]


@pytest.mark.parametrize("routing", [False, True])
def test_edits_take_the_metadata_of_fit(regression, routing):
    X, y = regression
    known = {"sample_weight": np.linspace(0.1, 1.0, N), "groups": np.arange(N) // 3}
    with config_context(enable_metadata_routing=routing):
        members = [("a", Ridge()), ("b", LinearRegression())]
        combiner = ConvexRegressor()
        if routing:
            members[0][1].set_fit_request(sample_weight=True)
            members[1][1].set_fit_request(sample_weight=False)
            combiner.set_fit_request(sample_weight=True)
        options = {"cv": GroupKFold(3), "random_state": 0}
        whole = StackedRegressor(members, combiner, **options).fit(X, y, **known)
        part = StackedRegressor(members[:1], combiner, **options).fit(X, y, **known)
        part.add(*members[1], X, y, **known)
        assert_equal_stacks(part, whole, X)
        part.remove("a", X, y, **known)
        last = StackedRegressor(members[1:], combiner, **options).fit(X, y, **known)
        assert_equal_stacks(part, last, X)
        folds = CrossFit(members, **options).fit(X, y, **known)
        folds.refit_members(X, y, ["a"], **known)
        whole = CrossFit(members, refit="all", **options).fit(X, y, **known)
        assert_array_equal(folds.transform(X)[:, 0], whole.transform(X)[:, 0])


@pytest.mark.parametrize("kind", ["list", "csr", "csc", "pandas", "polars", "float32"])
def test_edits_with_rows_of_any_kind(regression, kind):
    X, y = regression
    make = {
        "list": np.ndarray.tolist,
        "csr": sparse.csr_matrix,
        "csc": sparse.csc_matrix,
        "pandas": lambda X: pd.DataFrame(X, columns=list("pqrs"), index=-np.arange(N)),
        "polars": lambda X: pl.DataFrame(X, schema=list("pqrs")),
        "float32": lambda X: X.astype(np.float32),
    }[kind]
    members = [("a", Ridge()), ("b", DecisionTreeRegressor(max_depth=2))]
    options = {"cv": 3, "random_state": 0}
    stacked = StackedRegressor(members[:1], **options).fit(make(X), y)
    stacked.add(*members[1], make(X), y)
    whole = StackedRegressor(members, **options).fit(make(X), y)
    assert_equal_stacks(stacked, whole, make(X))
    stacked.remove("a", make(X), y)
    last = StackedRegressor(members[1:], **options).fit(make(X), y)
    assert_equal_stacks(stacked, last, make(X))
    folds = CrossFit(members[:1], **options).fit(make(X), y)
    other = CrossFit(members[1:], **options).fit(make(X), y)
    whole = CrossFit(members, **options).fit(make(X), y)
    assert_same(folds.merge(other), whole, make(X))
    X[1, 1] += 1.0
    with pytest.raises(ValueError, match="not those given to fit"):
        stacked.add("c", Ridge(), make(X), y)


def test_edits_of_quantile_stacks(regression):
    X, y = regression
    members = [("a", ResidualQuantileRegressor(Ridge()))]
    members += [("b", ResidualQuantileRegressor(DecisionTreeRegressor(max_depth=2)))]
    options = {"quantile_levels": [0.1, 0.5, 0.9], "cv": 3, "random_state": 0}
    stacked = StackedQuantileRegressor(members[:1], **options).fit(X, y)
    stacked.add(*members[1], X, y)
    for chosen in (members, members[1:]):
        expected = StackedQuantileRegressor(chosen, **options).fit(X, y)
        assert_array_equal(stacked.predict_quantiles(X), expected.predict_quantiles(X))
        if len(chosen) == 2:
            stacked.remove("a", X, y)


def test_add_to_a_stack_of_default_members(regression):
    X, y = regression
    stacked = StackedRegressor(cv=2, random_state=0, refit="none").fit(X, y)
    names = list(stacked.cross_fit_.method_)
    stacked.add("mine", Ridge(), X, y)
    assert [name for name, _ in stacked.estimators] == [*names, "mine"]


# -- compact ------------------------------------------------------------------------


@pytest.mark.parametrize("refit", REFITS)
def test_compact_keeps_what_predicts(regression, refit):
    X, y = regression
    fitted = cross_fit(forests("ab"), refit).fit(X, y)
    expected, before = fitted.transform(X), fitted.pickle_size()
    assert fitted.compact() is fitted
    assert_array_equal(fitted.transform(X), expected)
    assert fitted.pickle_size() < before
    assert fitted.pickle_size() == len(pickle.dumps(fitted, protocol=5))
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(loaded.transform(X), expected)
    assert_array_equal(
        loaded.predict_members(X, ["b"])[:, 1], fitted.transform(X)[:, 1]
    )
    assert [row["name"] for row in fitted.report_] == ["a", "b"]


def test_compact_says_what_is_gone(regression):
    X, y = regression
    fitted = cross_fit(forests("ab"), "none").fit(X, y)
    other = cross_fit(forests("cd"), "none").fit(X, y)
    fitted.compact()
    for part in ("library_", "oof_predictions_", "splits_", "covered_"):
        with pytest.raises(AttributeError, match=f"{part} is gone: compact"):
            getattr(fitted, part)
        assert not hasattr(fitted, part)
    for edit in (
        lambda: fitted.add("c", Ridge(), X, y),
        lambda: fitted.remove("a"),
        lambda: fitted.merge(other),
        lambda: other.merge(fitted),
        lambda: fitted.refit_members(X, y, ["a"]),
        lambda: fitted.only_fold(0),
    ):
        with pytest.raises(ValueError, match=r"which compact\(\) dropped"):
            edit()
    assert_array_equal(clone(fitted).fit(X, y).splits_[0][1], other.splits_[0][1])
    with pytest.raises(AttributeError, match="no attribute 'nonsense_'"):
        _ = fitted.nonsense_
    with pytest.raises(AttributeError, match="no attribute 'library_'"):
        _ = clone(fitted).library_


def test_compact_stacks(regression):
    X, y = regression
    stacked = StackedRegressor(
        [("ridge", Ridge()), *forests("ab")], cv=K, random_state=0
    )
    stacked.fit(X, y)
    expected, board = stacked.predict(X), clone(stacked).fit(X, y).leaderboard_
    compact = pickle.loads(pickle.dumps(stacked)).compact()
    assert_array_equal(compact.predict(X), expected)
    for part in ("library_", "oof_predictions_", "leaderboard_"):
        with pytest.raises(AttributeError, match=r"is gone: compact\(\)"):
            getattr(compact, part)
    for edit in (
        lambda: compact.add("c", Ridge(), X, y),
        lambda: compact.remove("a", X, y),
    ):
        with pytest.raises(ValueError, match=r"which compact\(\) dropped"):
            edit()
    assert_array_equal(compact.predict(X), expected)
    assert list(compact.weights_) == list(stacked.weights_)
    if np.count_nonzero(stacked.weights_) < 3:
        with pytest.raises(ValueError, match=r"compact\(\) dropped it"):
            compact.transform(X)
    _ = stacked.leaderboard_
    read = stacked.compact().leaderboard_
    assert [row["loss"] for row in read] == [row["loss"] for row in board]


def test_compact_quantile_stack(regression):
    X, y = regression
    members = [("a", ResidualQuantileRegressor(Ridge()))]
    members += [("b", ResidualQuantileRegressor(DecisionTreeRegressor(max_depth=2)))]
    stacked = StackedQuantileRegressor(members, quantile_levels=[0.1, 0.5, 0.9], cv=3)
    stacked.fit(X, y)
    expected = stacked.predict_quantiles(X), stacked.predict(X)
    stacked.compact()
    assert_array_equal(stacked.predict_quantiles(X), expected[0])
    assert_array_equal(stacked.predict(X), expected[1])
    assert stacked.predict_interval(X, alpha=0.2).shape == (N, 2)


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_compact_stacks_are_hardly_larger_than_the_selected_models(task):
    make, forest, kind = {
        "regression": (make_regression, RandomForestRegressor, StackedRegressor),
        "classification": (
            make_classification,
            RandomForestClassifier,
            StackedClassifier,
        ),
    }[task]
    X, y = make(500, 8, random_state=0)
    members = [("shallow", forest(40, max_depth=3)), ("deep", forest(40))]
    stacked = kind(members, cv=3, random_state=0).fit(X, y)
    before, expected = stacked.pickle_size(), stacked.predict(X)
    stacked.compact()
    models = stacked.cross_fit_.estimators_
    assert len(models) == np.count_nonzero(stacked.weights_)
    alone = len(pickle.dumps(list(models.values()), protocol=5))
    size = stacked.pickle_size()
    assert alone < size <= 1.05 * alone
    assert size < before
    assert_array_equal(stacked.predict(X), expected)


# -- fitted members -----------------------------------------------------------------


def test_prefit_members_trained_elsewhere(classification):
    X, y = classification
    labels = np.array(["u", "v", "w"])[y]
    elsewhere = GaussianNB().fit(X[:40], labels[:40])
    rows = np.arange(40, 90)
    member = PrefitMember(elsewhere, trained_on_other_rows=True)
    members = [("prefit", member), ("tree", DecisionTreeClassifier(max_depth=3))]
    fitted = cross_fit(members, "all").fit(X[rows], labels[rows])
    assert_array_equal(fitted.oof_predictions_[:, :3], elsewhere.predict_proba(X[rows]))
    assert fitted.n_fits_ == K + 1
    assert fitted.report_[0]["frozen"]
    assert not fitted.report_[1]["frozen"]
    assert_array_equal(fitted.transform(X)[:, :3], elsewhere.predict_proba(X))
    stacked = StackedClassifier(members, cv=3, random_state=0)
    stacked.fit(X[rows], labels[rows])
    assert set(stacked.predict(X)) <= set("uvw")
    search = GridSearchCV(stacked, {"tree__max_depth": [1, 2]}, cv=2)
    search.fit(X[rows], labels[rows])
    assert search.best_estimator_.get_params()["prefit"] is member
    assert clone(fitted).fit(X[rows], labels[rows]).n_fits_ == K + 1


@pytest.mark.parametrize("n_classes", [2, 3])
def test_prefit_members_with_their_predictions(n_classes):
    X, y = make_classification(
        90, 6, n_informative=4, n_classes=n_classes, random_state=0
    )
    helper = cross_fit([("bayes", GaussianNB())]).fit(X, y)
    known = helper.library_.cube[0]
    model = GaussianNB().fit(X, y)
    expected = cross_fit([("bayes", GaussianNB())], "all").fit(X, y)
    forms = [known]
    if n_classes == 2:
        forms += [known[:, 0], np.column_stack([1 - known, known]), known.tolist()]
    for oof in forms:
        member = PrefitMember(model, oof_predictions=oof)
        fitted = cross_fit([("bayes", member)]).fit(X, y)
        assert fitted.n_fits_ == 0
        assert_array_equal(fitted.oof_predictions_, known)
        assert_array_equal(fitted.transform(X), expected.transform(X))
        assert_allclose(fitted.report_[0]["loss"], expected.report_[0]["loss"])
        grown = cross_fit([("tree", DecisionTreeClassifier(max_depth=2))]).fit(X, y)
        grown.add("bayes", member, X, y)
        assert_array_equal(grown.oof_predictions_[:, -known.shape[1] :], known)
        assert grown.n_fits_ == K


def test_prefit_predictions_of_uncovered_rows_are_not_asked_for(regression):
    X, y = regression
    cv = TimeSeriesSplit(3)
    with pytest.warns(UserWarning, match="75 %"):
        known = CrossFit([("r", Ridge())], cv=cv).fit(X, y).oof_predictions_
    assert np.isnan(known[0, 0])
    member = PrefitMember(Ridge().fit(X, y), oof_predictions=known)
    stacked = StackedRegressor([("r", member), ("tree", DecisionTreeRegressor())])
    stacked.set_params(cv=cv, random_state=0)
    with pytest.warns(UserWarning, match="75 %"):
        stacked.fit(X, y)
    assert_array_equal(stacked.oof_predictions_[:, :1], known)
    with pytest.raises(ValueError, match=r"(?i)'?r'?.*(NaN|finite)"):
        cross_fit([("r", member)]).fit(X, y)


def test_undeclared_fitted_members_are_refused(regression):
    X, y = regression
    model = Ridge().fit(X, y)
    frozen = FrozenEstimator(model)
    for member in (frozen, make_pipeline(frozen), make_pipeline("passthrough", frozen)):
        for kind in (CrossFit, StackedRegressor):
            with pytest.raises(ValueError, match="'m' is fitted already"):
                kind([("m", member)]).fit(X, y)
    oof = np.zeros(N)
    for member, message in [
        (PrefitMember(model), "with neither oof_predictions"),
        (
            PrefitMember(model, oof_predictions=oof, trained_on_other_rows=True),
            "with both oof_predictions",
        ),
        (
            PrefitMember(model, oof_predictions=oof[1:]),
            r"expected 60 rows, .* got shape \(59,\)",
        ),
        (PrefitMember(model, oof_predictions=np.full(N, np.nan)), "NaN|finite"),
        (PrefitMember(model, oof_predictions=np.zeros((N, 2))), "column"),
    ]:
        with pytest.raises(ValueError, match=message):
            CrossFit([("m", member)]).fit(X, y)
    for known in ({"trained_on_other_rows": True}, {"oof_predictions": oof}):
        unfitted = CrossFit([("m", PrefitMember(Ridge(), **known))])
        with pytest.raises(NotFittedError, match="Member 'm' is a PrefitMember, but"):
            unfitted.fit(X, y)


def test_prefit_probabilities_are_checked(classification):
    X, y = classification
    model = GaussianNB().fit(X, y)
    for bad in (np.full((90, 3), 0.5), np.full((90, 3), [-0.5, 0.5, 1.0])):
        with pytest.raises(ValueError, match=r"'m'|column"):
            CrossFit([("m", PrefitMember(model, oof_predictions=bad))]).fit(X, y)


def test_prefit_steps_of_pipelines(regression):
    X, y = regression
    scaler = StandardScaler().fit(X)
    model = Ridge().fit(scaler.transform(X[:20]), y[:20])
    member = make_pipeline(
        FrozenEstimator(scaler), PrefitMember(model, trained_on_other_rows=True)
    )
    message = "is fitted already"
    with pytest.raises(ValueError, match=message):
        cross_fit([("m", member)]).fit(X[20:], y[20:])
    whole = make_pipeline(scaler, model)
    fitted = cross_fit([("m", PrefitMember(whole, trained_on_other_rows=True))])
    fitted.fit(X[20:], y[20:])
    assert_array_equal(fitted.oof_predictions_[:, 0], whole.predict(X[20:]))


def test_prefit_members_with_weights(regression):
    X, y = regression
    model = Ridge().fit(X[:20], y[:20])
    member = PrefitMember(model, trained_on_other_rows=True)
    stacked = StackedRegressor([("m", member), ("ridge", Ridge())], cv=3)
    stacked.fit(X[20:], y[20:], sample_weight=np.linspace(0.1, 1.0, N - 20))
    assert_array_equal(stacked.oof_predictions_[:, 0], model.predict(X[20:]))


# -- one fold's models ---------------------------------------------------------------


def test_only_fold_after_edits(regression):
    X, y = regression
    fitted = cross_fit(forests("ab"), "none").fit(X, y)
    fitted.add("c", Ridge(), X, y).remove("a")
    parts = [fitted.only_fold(fold).transform(X) for fold in range(K)]
    assert_allclose(np.mean(parts, axis=0), fitted.transform(X), rtol=1e-12)
    for fold, (_, test) in enumerate(fitted.splits_):
        assert_array_equal(parts[fold][test], fitted.oof_predictions_[test])
    for wrong in (-1, K):
        with pytest.raises(ValueError, match=f"fold is {wrong}; expected 0 to 3"):
            fitted.only_fold(wrong)
