"""A fit with memory: what is found again, what is not, and that nothing changes."""

import pickle
import warnings

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, TimeSeriesSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from ensemblekit import (
    AverageRegressor,
    CacheWarning,
    CrossFit,
    PredictionCache,
    PrefitMember,
    StackedClassifier,
    StackedRegressor,
    _model_files,
)
from tests.crossfit.members import LoggedClassifier, LoggedRegressor, count_lines

N, K = 60, 4
REFITS = ["none", "selected", "all"]
MODELS = ["skops", "joblib", None]


@pytest.fixture
def regression():
    return make_regression(N, 4, noise=10.0, random_state=0)


@pytest.fixture
def log(tmp_path):
    return str(tmp_path / "fits.log")


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "memory")


def forget_models():
    """Be a process that keeps no models at hand."""
    _model_files._kept.clear()


def cross_fit(members, **options):
    return CrossFit(members, **{"cv": K, "random_state": 0, **options})


def members_of(log):
    return [
        ("a", LoggedRegressor(log)),
        ("b", LoggedRegressor(log, slope=2.0)),
        ("forest", RandomForestRegressor(2, max_depth=3)),
    ]


def n_logged(fit, log):
    before = count_lines(log)
    result = fit()
    return result, count_lines(log) - before


@pytest.mark.parametrize("new_process", [False, True])
@pytest.mark.parametrize("models", MODELS)
@pytest.mark.parametrize("refit", REFITS)
def test_cached_equals_uncached(regression, log, folder, refit, models, new_process):
    X, y = regression
    plain = cross_fit(members_of(log), refit=refit).fit(X, y)
    memory = PredictionCache(folder, models=models)
    cached = cross_fit(members_of(log), refit=refit, memory=memory)
    first, n_first = n_logged(lambda: clone(cached).fit(X, y), log)
    assert n_first == 2 * (K + (refit == "all"))
    if new_process:
        forget_models()
    second, n_second = n_logged(lambda: clone(cached).fit(X, y), log)
    lost = new_process and models is None
    refitted = {"none": 2 * K, "selected": 0, "all": 2}[refit] if lost else 0
    assert n_second == refitted
    assert second.n_fits_ == refitted * 3 // 2
    for found in (first, second):
        assert_array_equal(found.oof_predictions_, plain.oof_predictions_)
        if found is second and lost and refit == "selected":
            with pytest.raises(ValueError, match=r"no fitted model.*refit='all'"):
                found.transform(X)
            found.refit_members(X, y, list(found.method_))
            expected = cross_fit(members_of(log), refit="all").fit(X, y)
            assert_array_equal(found.transform(X), expected.transform(X))
        else:
            assert_array_equal(found.transform(X), plain.transform(X))
        for ours, theirs in zip(found.report_, plain.report_, strict=True):
            assert ours["loss"] == theirs["loss"]
            assert ours["fit_time"] > 0.0
    assert [row["cached"] for row in first.report_] == [0] * 3
    again = K if not (lost and refit == "none") else 0
    assert [row["cached"] for row in second.report_] == [again] * 3


@pytest.mark.parametrize("models", ["skops", "joblib"])
def test_models_of_other_libraries_are_found(folder, models):
    X, y = make_classification(90, 6, n_informative=4, n_classes=3, random_state=0)
    booster = lightgbm.LGBMClassifier(n_estimators=4, verbose=-1, n_jobs=1)
    members = [
        ("lgbm", booster),
        ("stops", clone(booster).set_params(early_stopping_rounds=2)),
        ("xgb", xgboost.XGBClassifier(n_estimators=4, n_jobs=1)),
        ("hgb", HistGradientBoostingClassifier(max_iter=4)),
        ("pipe", make_pipeline(StandardScaler(), LogisticRegression())),
        ("calibrated", CalibratedClassifierCV(GaussianNB(), cv=2)),
    ]
    memory = PredictionCache(folder, models=models)
    fitted = cross_fit(members, cv=2, refit="none", memory=memory).fit(X, y)
    forget_models()
    again = clone(fitted).fit(X, y)
    assert again.n_fits_ == 0
    assert_array_equal(again.transform(X), fitted.transform(X))
    assert again.report_[1]["rounds"] == fitted.report_[1]["rounds"]
    plain = clone(fitted).set_params(memory=None).fit(X, y)
    assert_array_equal(again.transform(X), plain.transform(X))
    whole = clone(plain).set_params(refit="all").fit(X, y)
    found = clone(again).set_params(refit="all").fit(X, y)
    assert found.n_fits_ == len(members)
    assert_array_equal(found.transform(X), whole.transform(X))


@pytest.mark.parametrize("refit", REFITS)
def test_cached_stacks_equal_uncached(log, folder, refit):
    X, y = make_classification(90, 6, n_informative=4, n_classes=3, random_state=0)
    members = [
        ("a", LoggedClassifier(log)),
        ("b", LoggedClassifier(log, slope=-1.0)),
        ("forest", RandomForestClassifier(3, max_depth=3)),
    ]
    options = {"cv": 3, "refit": refit, "random_state": 0}
    plain = StackedClassifier(members, **options).fit(X, y)
    cached = StackedClassifier(members, memory=folder, **options).fit(X, y)
    again, n_fits = n_logged(lambda: clone(cached).fit(X, y), log)
    assert n_fits == again.cross_fit_.n_fits_ == 0
    other = clone(cached).set_params(combiner=LogisticRegression())
    other, n_fits = n_logged(lambda: other.fit(X, y), log)
    assert n_fits == {"none": 0, "all": 0}.get(refit, n_fits)
    assert n_fits <= 2
    for found in (cached, again):
        assert_array_equal(found.predict_proba(X), plain.predict_proba(X))
        assert_array_equal(found.oof_predictions_, plain.oof_predictions_)
        assert_array_equal(found.weights_, plain.weights_)
    loaded = pickle.loads(pickle.dumps(again))
    assert_array_equal(loaded.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize("refit", REFITS)
def test_a_pipeline_step_with_memory_can_be_fitted_twice(regression, folder, refit):
    X, y = regression
    step = cross_fit([("tree", DecisionTreeRegressor(max_depth=3))], refit=refit)
    plain = make_pipeline(step, Ridge()).fit(X, y).predict(X)
    pipe = make_pipeline(clone(step).set_params(memory=folder), Ridge())
    for _ in range(2):
        assert_array_equal(clone(pipe).fit(X, y).predict(X), plain)
        forget_models()
        assert_array_equal(clone(pipe).fit(X, y).predict(X), plain)


def test_another_refit_policy_uses_what_there_is(regression, log, folder):
    X, y = regression
    members = members_of(log)[:2]

    def fits(refit):
        fitted = cross_fit(members, refit=refit, memory=folder)
        return n_logged(lambda: fitted.fit(X, y), log)[1]

    assert fits("selected") == 2 * K
    assert fits("all") == 2
    assert fits("none") == 0
    stacked = StackedRegressor(members, AverageRegressor(), cv=K, random_state=0)
    stacked.set_params(memory=folder, refit="selected")
    assert n_logged(lambda: stacked.fit(X, y), log)[1] == 0


def test_fold_models_that_were_not_kept_are_fitted_again(regression, log, folder):
    X, y = regression
    stacked = StackedRegressor(members_of(log)[:2], cv=K, random_state=0)
    stacked.set_params(memory=folder).fit(X, y)
    none = cross_fit(members_of(log)[:2], refit="none", memory=folder)
    found, n_fits = n_logged(lambda: none.fit(X, y), log)
    assert n_fits == 2 * K
    plain = cross_fit(members_of(log)[:2], refit="none").fit(X, y)
    assert_array_equal(found.transform(X), plain.transform(X))
    assert n_logged(lambda: clone(none).fit(X, y), log)[1] == 0


def test_edits_with_memory(regression, log, folder):
    X, y = regression
    members = members_of(log)
    whole = cross_fit(members, memory=folder, refit="all").fit(X, y)
    part = cross_fit(members[:1], memory=folder, refit="all").fit(X, y)
    assert n_logged(lambda: part.add(*members[1], X, y), log)[1] == 0
    part.add(*members[2], X, y)
    assert part.n_fits_ == 0
    assert_array_equal(part.oof_predictions_, whole.oof_predictions_)
    assert_array_equal(part.transform(X), whole.transform(X))
    loaded = pickle.loads(pickle.dumps(part)).remove("b")
    assert n_logged(lambda: loaded.add(*members[1], X, y), log)[1] == 0


# -- what is not found again --------------------------------------------------------


CHANGES = {
    "parameter": {"a__slope": 1.5},
    "seed": {"random_state": 1},
    "fold": {"cv": KFold(K, shuffle=True, random_state=3)},
    "folds": {"cv": 3},
    "early stopping": {"early_stopping": "held_out"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_parameters_are_not_mistaken(regression, log, folder, change):
    X, y = regression
    members = [("a", LoggedRegressor(log))]
    cross_fit(members, memory=folder).fit(X, y)
    other = cross_fit(members, memory=folder).set_params(**CHANGES[change])
    found, n_fits = n_logged(lambda: other.fit(X, y), log)
    assert n_fits == len(found.splits_)
    plain = clone(other).set_params(memory=None).fit(X, y)
    assert_array_equal(found.oof_predictions_, plain.oof_predictions_)


def test_changed_rows_are_not_mistaken(regression, log, folder):
    X, y = regression
    weight = np.linspace(0.1, 1.0, N)
    frame = pd.DataFrame(X, columns=list("pqrs"))
    renamed = frame.rename(columns={"q": "other"})
    changed_X, changed_y, changed_w = X.copy(), y.copy(), weight.copy()
    changed_X[5, 2] = np.nextafter(X[5, 2], np.inf)
    changed_y[5] = np.nextafter(y[5], np.inf)
    changed_w[5] = np.nextafter(weight[5], np.inf)
    fitted = cross_fit([("a", LoggedRegressor(log))], memory=folder)
    rows = [
        (X, y, None),
        (changed_X, y, None),
        (X, changed_y, None),
        (X, y, weight),
        (X, y, changed_w),
        (X, y, np.ones(N)),
        (X.astype(np.float32), y, None),
        (X[::-1], y[::-1], None),
        (frame, y, None),
        (renamed, y, None),
    ]
    for expected in (K, 0):
        for *known, w in rows:
            found = clone(fitted)
            before = count_lines(log)
            found.fit(*known, sample_weight=w)
            assert count_lines(log) - before == expected
            plain = clone(fitted).set_params(memory=None).fit(*known, sample_weight=w)
            assert_array_equal(found.oof_predictions_, plain.oof_predictions_)


def test_what_does_not_matter_is_found(regression, log, folder):
    X, y = regression
    members = [("a", LoggedRegressor(log))]
    cross_fit(members, memory=folder).fit(X, y)
    same = cross_fit(members, memory=folder, n_jobs=2, verbose=0, on_error="drop")
    with_more = cross_fit([*members, ("r", Ridge())], memory=folder)
    assert n_logged(lambda: same.fit(X, y), log)[1] == 0
    assert n_logged(lambda: with_more.fit(X, y), log)[1] == 0
    fortran = np.asfortranarray(X)
    assert n_logged(lambda: clone(same).fit(fortran, y), log)[1] == 0
    splits = clone(same).set_params(cv=list(KFold(K).split(X)))
    assert n_logged(lambda: splits.fit(X, y), log)[1] == 0


def test_without_random_state_the_same_call_gives_the_same(regression, folder):
    X, y = regression
    members = [("f", RandomForestRegressor(2)), ("g", RandomForestRegressor(2))]
    fitted = CrossFit(members, cv=3, memory=folder)
    first, second = clone(fitted).fit(X, y), clone(fitted).fit(X, y)
    assert second.n_fits_ == 0
    assert_array_equal(first.oof_predictions_, second.oof_predictions_)
    assert_array_equal(first.transform(X), second.transform(X))
    assert np.ptp(first.oof_predictions_, axis=1).max() > 0.0


def test_uncovered_rows_and_prefit_members_with_memory(regression, log, folder):
    X, y = regression
    prefit = PrefitMember(Ridge().fit(X[:9], y[:9]), trained_on_other_rows=True)
    members = [("a", LoggedRegressor(log)), ("prefit", prefit)]
    stacked = StackedRegressor(members, cv=TimeSeriesSplit(3), random_state=0)
    with pytest.warns(UserWarning, match="75 %"):
        plain = clone(stacked).fit(X, y)
    stacked.set_params(memory=folder)
    for expected in (3 + (plain.weights_[0] > 0.0), 0):
        with pytest.warns(UserWarning, match="75 %"):
            found, n_fits = n_logged(lambda: clone(stacked).fit(X, y), log)
        assert n_fits == expected
        assert_array_equal(found.oof_predictions_, plain.oof_predictions_)
        assert_array_equal(found.predict(X), plain.predict(X))
    other = PrefitMember(Ridge().fit(X[:8], y[:8]), trained_on_other_rows=True)
    with pytest.warns(UserWarning, match="75 %"):
        changed = clone(stacked).set_params(prefit=other).fit(X, y)
    rows = changed.cross_fit_.covered_
    expected = other.predict(X)[rows]
    assert_array_equal(changed.oof_predictions_[rows, 1], expected)


def test_members_without_a_name_of_their_own_are_fitted_without(regression, folder):
    X, y = regression

    class Local(Ridge):
        pass

    fitted = cross_fit([("local", Local()), ("ridge", Ridge())], memory=folder)
    for expected in (2 * K, K):
        with pytest.warns(CacheWarning, match="Member 'local' is fitted without"):
            found = clone(fitted).fit(X, y)
        assert found.n_fits_ == expected
    plain = clone(fitted).set_params(memory=None).fit(X, y)
    assert_array_equal(found.oof_predictions_, plain.oof_predictions_)


def test_a_failing_member_keeps_what_was_finished(regression, log, folder):
    X, y = regression
    bad = ("bad", LoggedRegressor(fails=True))
    fitted = cross_fit([*members_of(log), bad], memory=folder)
    with pytest.raises(ValueError, match="'bad' failed"):
        fitted.fit(X, y)
    mended = cross_fit(members_of(log), memory=folder)
    assert n_logged(lambda: mended.fit(X, y), log)[1] == 0
    assert mended.n_fits_ == 0


@pytest.mark.parametrize("models", MODELS)
def test_damaged_entries_are_made_again(regression, log, tmp_path, models):
    X, y = regression
    folder = tmp_path / "memory"
    memory = PredictionCache(folder, models=models)
    fitted = cross_fit(members_of(log)[:2], memory=memory, refit="all").fit(X, y)
    for path in sorted(folder.iterdir())[::2]:
        path.write_bytes(path.read_bytes()[:-7])
    forget_models()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        again = clone(fitted).fit(X, y)
    assert caught
    assert {each.category for each in caught} == {CacheWarning}
    assert_array_equal(again.oof_predictions_, fitted.oof_predictions_)
    assert_array_equal(again.transform(X), fitted.transform(X))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_workers_store_what_they_fit(regression, log, folder, n_jobs):
    X, y = regression
    fitted = cross_fit(members_of(log), memory=folder, refit="all", n_jobs=n_jobs)
    plain = cross_fit(members_of(log), refit="all").fit(X, y)
    fitted.fit(X, y)
    forget_models()
    again, n_fits = n_logged(lambda: clone(fitted).set_params(n_jobs=1).fit(X, y), log)
    assert n_fits == again.n_fits_ == 0
    for found in (fitted, again):
        assert_array_equal(found.oof_predictions_, plain.oof_predictions_)
        assert_array_equal(found.transform(X), plain.transform(X))


# -- searches -----------------------------------------------------------------------


def test_a_grid_over_combiners_fits_each_member_once_per_fold(log, folder):
    """(F + 1)(k + 1) fits instead of (G F + 1)(k + 1), and the same scores."""
    X, y = make_classification(200, 8, n_informative=5, flip_y=0.2, random_state=0)
    members = [
        ("curve", LoggedClassifier(log, random_state=0)),
        ("steep", LoggedClassifier(log, slope=-2.0, random_state=0)),
        ("forest", RandomForestClassifier(3, max_depth=4, random_state=0)),
    ]
    values, n_outer, n_inner = np.logspace(-3, 3, 8), 5, 5
    ours = GridSearchCV(
        StackedClassifier(members, LogisticRegression(), refit="all", memory=folder),
        {"combiner__C": values},
        cv=n_outer,
        error_score="raise",
    )
    _, n_fits = n_logged(lambda: ours.fit(X, y), log)
    assert n_fits == 2 * (n_outer + 1) * (n_inner + 1)
    theirs = GridSearchCV(
        StackingClassifier(members, LogisticRegression()),
        {"final_estimator__C": values},
        cv=n_outer,
    )
    _, n_fits = n_logged(lambda: theirs.fit(X, y), log)
    assert n_fits == 2 * (8 * n_outer + 1) * (n_inner + 1)
    for key in ("mean_test_score", "std_test_score"):
        assert_allclose(ours.cv_results_[key], theirs.cv_results_[key], atol=1e-12)
    assert np.ptp(ours.cv_results_["mean_test_score"]) > 0.0
    assert ours.best_index_ == theirs.best_index_
    best, final = ours.best_estimator_, theirs.best_estimator_.final_estimator_
    assert_allclose(best.combiner_.coef_, final.coef_, rtol=1e-12)
    assert_array_equal(best.predict(X), theirs.predict(X))
    forget_models()
    again, n_fits = n_logged(lambda: clone(ours).fit(X, y), log)
    assert n_fits == 0
    assert_array_equal(
        again.cv_results_["mean_test_score"], ours.cv_results_["mean_test_score"]
    )


def test_a_grid_over_one_member_fits_the_other_once(regression, log, folder):
    X, y = regression
    other = LoggedRegressor()
    stacked = StackedRegressor(
        [("a", LoggedRegressor(log)), ("b", other)], AverageRegressor(), cv=K
    )
    stacked.set_params(memory=folder, random_state=0, refit="none")
    search = GridSearchCV(stacked, {"b__slope": [0.0, 1.0, 2.0]}, cv=3)
    _, n_fits = n_logged(lambda: search.fit(X, y), log)
    assert n_fits == (3 + 1) * K
