import pickle

import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ensemblekit import CrossFit, MemberError, default_members

CLASSIFIERS = [
    ("logistic", make_pipeline(StandardScaler(), LogisticRegression())),
    ("forest", RandomForestClassifier(10, random_state=0)),
    ("lgbm", lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1)),
    ("xgb", xgboost.XGBClassifier(n_estimators=5, n_jobs=1)),
]
REGRESSORS = [
    ("ridge", Ridge()),
    ("forest", RandomForestRegressor(10, random_state=0)),
    ("lgbm", lightgbm.LGBMRegressor(n_estimators=5, verbose=-1, n_jobs=1)),
    ("xgb", xgboost.XGBRegressor(n_estimators=5, n_jobs=1)),
]


@pytest.fixture
def regression():
    return make_regression(90, 5, noise=10.0, random_state=0)


def classification(n_classes=2, n_samples=120):
    return make_classification(
        n_samples, 6, n_informative=4, n_classes=n_classes, random_state=0
    )


class Counting(RegressorMixin, BaseEstimator):
    """A regressor that counts the fits of all its clones."""

    fits = 0

    def fit(self, X, y):
        type(self).fits += 1
        self.mean_ = np.mean(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


@pytest.mark.parametrize("cv", [None, 3, KFold(4, shuffle=True, random_state=1)])
def test_equals_cross_val_predict_for_regression(regression, cv):
    X, y = regression
    found = CrossFit(REGRESSORS, cv=cv).fit(X, y).oof_predictions_
    for column, (_, member) in zip(found.T, REGRESSORS, strict=True):
        assert_array_equal(column, cross_val_predict(member, X, y, cv=cv))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("strings", [False, True])
def test_equals_cross_val_predict_for_classification(n_classes, strings):
    X, codes = classification(n_classes)
    y = np.array(["a", "b", "c"])[codes] if strings else codes
    crossfit = CrossFit(CLASSIFIERS).fit(X, y)
    for number, (_, member) in enumerate(CLASSIFIERS):
        expected = cross_val_predict(member, X, codes, method="predict_proba")
        block = crossfit.library_.cube[number]
        assert_array_equal(block, expected[:, 1:] if n_classes == 2 else expected)
    assert_array_equal(crossfit.classes_, np.unique(y))
    assert_array_equal(crossfit.library_.y, y)


def test_decision_function_and_labels_equal_cross_val_predict():
    X, y = classification(3)
    ridge = RidgeClassifier()
    found = CrossFit([("ridge", ridge)]).fit(X, y)
    assert found.method_ == {"ridge": "decision_function"}
    assert found.library_ is None
    expected = cross_val_predict(ridge, X, y, method="decision_function")
    assert_array_equal(found.oof_predictions_, expected)
    found = CrossFit([("ridge", ridge)], method="predict", refit="all").fit(X, y)
    expected = cross_val_predict(ridge, X, y, method="predict")
    assert_array_equal(found.oof_predictions_[:, 0], expected)
    assert_array_equal(found.transform(X)[:, 0], ridge.fit(X, y).predict(X))


@pytest.mark.parametrize(
    ("refit", "expected"), [("none", 2 * 4), ("selected", 2 * 4), ("all", 2 * 5)]
)
def test_number_of_fits(regression, refit, expected):
    X, y = regression
    Counting.fits = 0
    members = [("a", Counting()), ("b", Counting())]
    crossfit = CrossFit(members, cv=4, refit=refit).fit(X, y)
    assert Counting.fits == crossfit.n_fits_ == expected
    if refit == "selected":
        crossfit.refit_members(X, y, ["b"])
        assert Counting.fits == crossfit.n_fits_ == expected + 1
        assert list(crossfit.estimators_) == ["b"]
        assert list(crossfit.fold_estimators_) == ["a"]


def test_transform_is_the_mean_of_fold_models_or_the_refitted(regression):
    X, y = regression
    members = REGRESSORS[:2]
    none = CrossFit(members, refit="none", cv=3).fit(X, y)
    splits = list(KFold(3).split(X))
    for column, (_, member) in zip(none.transform(X).T, members, strict=True):
        models = [clone(member).fit(X[train], y[train]) for train, _ in splits]
        assert_allclose(column, np.mean([m.predict(X) for m in models], axis=0))
    full = CrossFit(members, refit="all", cv=3).fit(X, y)
    for column, (_, member) in zip(full.transform(X).T, members, strict=True):
        assert_array_equal(column, clone(member).fit(X, y).predict(X))
    assert full.fold_estimators_ == {}


def test_fit_transform_is_out_of_fold(regression):
    X, y = regression
    tree = [("tree", DecisionTreeRegressor(random_state=0))]
    out_of_fold = CrossFit(tree).fit_transform(X, y)[:, 0]
    assert_array_equal(out_of_fold, cross_val_predict(tree[0][1], X, y))
    assert np.abs(out_of_fold - y).mean() > 10.0


def test_a_class_missing_from_a_fold_gets_probability_zero():
    X, y = classification(3, 60)
    X = X[np.argsort(y == 2, kind="stable")]
    y = np.where(np.sort(y == 2), "rare", np.array(["a", "b"])[np.arange(60) % 2])
    cv = KFold(3)
    with pytest.warns(UserWarning, match="lack classes: 'rare' in fold 3"):
        crossfit = CrossFit(CLASSIFIERS, cv=cv, refit="all").fit(X, y)
    test = crossfit.splits_[2][1]
    for block in crossfit.library_.cube:
        assert_array_equal(block[test, 2], 0.0)
        assert_allclose(block.sum(axis=1), 1.0, rtol=1e-6)
    assert_array_equal(crossfit.fold_classes_[2], [0, 1])
    bayes = CrossFit([("bayes", GaussianNB())], cv=cv)
    with pytest.warns(UserWarning, match="lack classes"):
        found = bayes.fit(X, y).library_.P
    with pytest.warns(RuntimeWarning, match="Number of classes in training fold"):
        expected = cross_val_predict(GaussianNB(), X, y, cv=cv, method="predict_proba")
    assert_array_equal(found, expected)


def test_groups_are_held_out_together(regression):
    X, y = regression
    groups = np.arange(len(y)) % 9
    crossfit = CrossFit(REGRESSORS[:1], cv=GroupKFold(3)).fit(X, y, groups=groups)
    for train, test in crossfit.splits_:
        assert not set(groups[train]) & set(groups[test])
    expected = cross_val_predict(Ridge(), X, y, cv=GroupKFold(3), groups=groups)
    assert_array_equal(crossfit.oof_predictions_[:, 0], expected)


def test_sample_weights_reach_members_pipelines_and_scores(regression):
    X, y = regression
    weight = np.linspace(0.1, 3.0, len(y))
    members = [("ridge", Ridge()), ("pipe", make_pipeline(StandardScaler(), Ridge()))]
    crossfit = CrossFit(members, cv=3).fit(X, y, sample_weight=weight)
    for train, test in crossfit.splits_:
        model = Ridge().fit(X[train], y[train], sample_weight=weight[train])
        assert_array_equal(crossfit.oof_predictions_[test, 0], model.predict(X[test]))
        scaler = StandardScaler().fit(X[train])
        model.fit(scaler.transform(X[train]), y[train], sample_weight=weight[train])
        expected = model.predict(scaler.transform(X[test]))
        assert_array_equal(crossfit.oof_predictions_[test, 1], expected)
    error = (y - crossfit.oof_predictions_[:, 0]) ** 2
    assert_allclose(crossfit.report_[0]["loss"], np.average(error, weights=weight))
    assert_array_equal(crossfit.library_.sample_weight, weight)


def test_report(regression):
    X, y = regression
    row = CrossFit(REGRESSORS, cv=3).fit(X, y).report_[0]
    oof = cross_val_predict(Ridge(), X, y, cv=3)
    folds = np.array([np.mean((y - oof)[test] ** 2) for _, test in KFold(3).split(X)])
    assert_allclose(row["scores"], folds)
    assert_allclose(row["loss"], np.mean((y - oof) ** 2))
    assert_allclose(row["loss_se"], folds.std(ddof=1) / np.sqrt(3))
    assert row["fit_time"] > 0.0
    assert row["predict_time"] > 0.0


@pytest.mark.parametrize("n_jobs", [2, -1])
def test_n_jobs_does_not_change_the_result(n_jobs):
    X, y = classification(3)
    forest = [("forest", RandomForestClassifier(5)), ("tree", DecisionTreeClassifier())]
    serial = CrossFit(forest, random_state=0, refit="all").fit(X, y)
    parallel = clone(serial).set_params(n_jobs=n_jobs).fit(X, y)
    assert_array_equal(parallel.oof_predictions_, serial.oof_predictions_)
    assert_array_equal(parallel.transform(X), serial.transform(X))


def test_random_state_seeds_what_is_unseeded(regression):
    X, y = regression
    forest = RandomForestRegressor(3)
    members = [("one", forest), ("two", forest), ("fixed", REGRESSORS[1][1])]
    first, again = (
        CrossFit(members, random_state=0).fit(X, y).oof_predictions_ for _ in range(2)
    )
    assert_array_equal(first, again)
    assert np.abs(first[:, 0] - first[:, 1]).max() > 0.0
    assert_array_equal(first[:, 2], cross_val_predict(REGRESSORS[1][1], X, y))
    assert forest.random_state is None


def mixed_frame(n=80):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=n),
            "holes": np.where(rng.uniform(size=n) < 0.2, np.nan, rng.normal(size=n)),
            "word": rng.choice(["x", "y", "z"], n),
            "category": pd.Categorical(rng.choice(["p", "q"], n)),
            "flag": rng.uniform(size=n) < 0.5,
        },
        index=np.arange(n)[::-1] * 3,
    )
    return frame, (frame["number"] > 0).to_numpy()


class Recorder(ClassifierMixin, BaseEstimator):
    """Keeps the types of what it is given."""

    seen = []

    def fit(self, X, y):
        type(self).seen.append((type(X), [str(t) for t in X.dtypes]))
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        type(self).seen.append((type(X), [str(t) for t in X.dtypes]))
        return np.full((len(X), len(self.classes_)), 1.0 / len(self.classes_))


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frames_reach_members_as_they_are(kind):
    frame, y = mixed_frame()
    X = frame if kind == "pandas" else pl.from_pandas(frame)
    Recorder.seen = []
    crossfit = CrossFit([("recorder", Recorder()), *default_members("classification")])
    crossfit.set_params(cv=2, refit="all", random_state=0).fit(X, y)
    crossfit.transform(X)
    assert set(map(str, Recorder.seen)) == {str((type(X), [str(t) for t in X.dtypes]))}
    assert list(crossfit.feature_names_in_) == list(frame.columns)
    logit = crossfit.library_.select(["linear"]).P[:, 0]
    assert ((logit > 0.5) == y).mean() > 0.8


def test_members_with_native_categories_get_them():
    frame, y = mixed_frame()
    frame = frame.astype({"word": "category"})
    booster = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, min_child_samples=1)
    found = CrossFit([("lgbm", booster)], cv=3).fit(frame, y).oof_predictions_[:, 0]
    expected = cross_val_predict(booster, frame, y, cv=3, method="predict_proba")
    assert_array_equal(found, expected[:, 1])


def test_lists_of_splits_and_generators(regression):
    X, y = regression
    splits = list(KFold(3).split(X))
    expected = CrossFit(REGRESSORS[:1], cv=KFold(3)).fit(X, y).oof_predictions_
    for cv in (splits, iter(splits)):
        found = CrossFit(REGRESSORS[:1], cv=cv).fit(X, y).oof_predictions_
        assert_array_equal(found, expected)


def test_get_and_set_params(regression):
    crossfit = CrossFit([("ridge", Ridge()), ("near", KNeighborsRegressor())])
    crossfit.set_params(ridge__alpha=3.0, near="drop").fit(*regression)
    assert crossfit.get_params()["ridge__alpha"] == 3.0
    assert list(crossfit.method_) == ["ridge"]
    assert list(crossfit.get_feature_names_out()) == ["crossfit_ridge"]


def test_pickle_keeps_the_predictions(regression):
    X, y = regression
    crossfit = CrossFit(REGRESSORS, refit="all").fit(X, y)
    loaded = pickle.loads(pickle.dumps(crossfit))
    assert_array_equal(loaded.transform(X), crossfit.transform(X))


def test_refitting_another_task_leaves_nothing_behind(regression):
    crossfit = CrossFit([("logistic", LogisticRegression())]).fit(*classification())
    crossfit.set_params(estimators=[("ridge", Ridge())]).fit(*regression)
    assert crossfit.classes_ is None
    assert crossfit.library_.task == "regression"


def test_nearest_neighbours_take_no_weights():
    X, y = classification()
    members = [("near", make_pipeline(StandardScaler(), KNeighborsClassifier()))]
    crossfit = CrossFit(members, cv=StratifiedKFold(3)).fit(X, y)
    message = r"Member 'near' \(KNeighborsClassifier\) takes no sample_weight"
    with pytest.raises(ValueError, match=message):
        crossfit.fit(X, y, sample_weight=np.ones(len(y)))


def test_names_that_sound_like_parts_of_the_machine(regression):
    X, y = regression
    weight, groups = np.linspace(0.1, 3.0, len(y)), np.arange(len(y)) % 9
    expected = CrossFit([("ridge", Ridge())], cv=GroupKFold(3))
    expected.fit(X, y, groups=groups, sample_weight=weight)
    found = CrossFit([("split", Ridge())], cv=GroupKFold(3))
    found.fit(X, y, groups=groups, sample_weight=weight)
    assert_array_equal(found.oof_predictions_, expected.oof_predictions_)
    with pytest.raises(ValueError, match=r"names \['splitter'\] are reserved"):
        CrossFit([("splitter", Ridge())]).fit(X, y)


def test_class_weights_by_label_are_not_mistaken():
    X, y = classification(3)
    member = LogisticRegression(class_weight={1: 10.0})
    found = CrossFit([("logistic", member)]).fit(X, y).library_.P
    expected = cross_val_predict(member, X, y, method="predict_proba")
    assert_array_equal(found, expected)
    with pytest.raises(MemberError, match="class_weight names labels, but members"):
        CrossFit([("logistic", member)]).fit(X, y + 1)
    balanced = LogisticRegression(class_weight="balanced")
    found = CrossFit([("logistic", balanced)]).fit(X, y + 1).library_.P
    expected = cross_val_predict(balanced, X, y + 1, method="predict_proba")
    assert_array_equal(found, expected)


def test_the_standard_error_of_unequal_folds(regression):
    X, y = regression
    groups = np.repeat(np.arange(5), [58, 8, 8, 8, 8])
    row = CrossFit([("ridge", Ridge())], cv=GroupKFold(5))
    row = row.fit(X, y, groups=groups).report_[0]
    sizes = np.array([58, 8, 8, 8, 8]) / 90
    assert_allclose(sizes @ row["scores"], row["loss"])
    square = (sizes**2 * (row["scores"] - row["loss"]) ** 2).sum() * 5 / 4
    assert_allclose(row["loss_se"], np.sqrt(square))


def test_splits_that_train_on_what_they_hold_out_are_refused(regression):
    X, y = regression
    rows = np.arange(90)
    leaky = [(rows, rows[:45]), (rows[:45], rows[45:])]
    with pytest.raises(ValueError, match="Fold 1 of cv trains on rows that it holds"):
        CrossFit(REGRESSORS, cv=leaky).fit(X, y)
    twice = [(rows[45:], np.r_[rows[:45], 0]), (rows[:45], rows[45:])]
    with pytest.raises(ValueError, match="Fold 1 of cv holds out row 0 2 times"):
        CrossFit(REGRESSORS, cv=twice).fit(X, y)


def test_boolean_masks_are_splits(regression):
    X, y = regression
    masks = [(np.arange(90) % 3 != f, np.arange(90) % 3 == f) for f in range(3)]
    found = CrossFit([("ridge", Ridge())], cv=masks).fit(X, y).oof_predictions_
    splits = [(a.nonzero()[0], b.nonzero()[0]) for a, b in masks]
    expected = cross_val_predict(Ridge(), X, y, cv=splits)
    assert_array_equal(found[:, 0], expected)


def test_unknown_names_and_labels_are_refused(regression):
    X, y = regression
    crossfit = CrossFit([("ab", Ridge())], refit="all").fit(X, y)
    for names in (["a"], "ab"):
        with pytest.raises(ValueError, match=r"Expected a list of some of \['ab'\]"):
            crossfit.predict_members(X, names)
    X, y = classification()
    crossfit = CrossFit([("logistic", LogisticRegression())]).fit(X, y)
    with pytest.raises(ValueError, match=r"labels \[2\] that were not there in fit"):
        crossfit.refit_members(X, y + 1, ["logistic"])


def test_single_precision_members_are_taken():
    class Single(GaussianNB):
        def predict_proba(self, X):
            p = super().predict_proba(X).astype(np.float16)
            return p * np.float16(0.9995)

    X, y = classification(3)
    found = CrossFit([("single", Single())]).fit(X, y).library_
    assert found.P.dtype == np.float64


@pytest.mark.parametrize("kind", ["nullable", "integer names", "booleans"])
def test_default_members_take_ordinary_frames(kind):
    frame, y = mixed_frame()
    if kind == "nullable":
        frame = frame.convert_dtypes()
        frame.loc[frame.index[3], "flag"] = pd.NA
    if kind == "integer names":
        frame = frame.set_axis([2, 0, 1, 4, 3], axis=1)
    if kind == "booleans":
        frame = frame[["number", "flag"]]
    members = default_members("classification")
    crossfit = CrossFit(members, cv=2, random_state=0).fit(frame, y)
    library = crossfit.library_.select(["xgboost", "random_forest", "linear"])
    for block in library.cube:
        assert ((block[:, 0] > 0.5) == y).mean() > 0.8


def test_bool_targets_are_numbers_for_regressors(regression):
    X, y = regression
    found = CrossFit([("ridge", Ridge())]).fit(X, y > 0).oof_predictions_
    expected = CrossFit([("ridge", Ridge())]).fit(X, (y > 0).astype(float))
    assert_array_equal(found, expected.oof_predictions_)


def check_only_fold(crossfit, X):
    before = crossfit.transform(X)
    held_out = np.empty_like(before)
    for fold, (_, test) in enumerate(crossfit.splits_):
        held_out[test] = crossfit.only_fold(fold).transform(X)[test]
    assert_array_equal(held_out, crossfit.oof_predictions_)
    assert_array_equal(crossfit.transform(X), before)


def test_only_fold_predicts_by_the_models_of_one_fold(regression):
    X, y = regression
    members = [("ridge", Ridge()), ("tree", DecisionTreeRegressor(random_state=0))]
    check_only_fold(CrossFit(members, cv=KFold(4), refit="none").fit(X, y), X)


def test_only_fold_knows_the_classes_of_the_fold():
    X, y = (
        np.random.default_rng(0).normal(size=(40, 3)),
        np.repeat([0, 1, 2], [16, 16, 8]),
    )
    members = [("bayes", GaussianNB()), ("logistic", LogisticRegression())]
    crossfit = CrossFit(members, cv=KFold(5), refit="none")
    with pytest.warns(UserWarning, match="lack classes: 2 in fold 5"):
        crossfit.fit(X, y)
    check_only_fold(crossfit, X)
    assert (crossfit.only_fold(4).transform(X)[:, [2, 5]] == 0.0).all()


def test_only_fold_needs_fold_models():
    X, y = np.arange(20.0).reshape(10, 2), np.arange(10.0)
    members = [("ridge", Ridge())]
    refitted = CrossFit(members, refit="all").fit(X, y)
    with pytest.raises(ValueError, match=r"\['ridge'\] were fitted again on all rows"):
        refitted.only_fold(0)
    crossfit = CrossFit(members, refit="none").fit(X, y)
    for fold in (-1, 5):
        with pytest.raises(ValueError, match=f"fold is {fold}; expected 0 to 4"):
            crossfit.only_fold(fold)
