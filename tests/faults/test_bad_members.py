"""F1: members that fail or answer wrongly, in every estimator: none is silent."""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from ensemblekit import (
    CrossFit,
    PrefitMember,
    StackedClassifier,
    StackedQuantileRegressor,
    StackedRegressor,
)
from ensemblekit.exceptions import MemberError
from ensemblekit.selective import CascadeClassifier, CascadeRegressor

from . import bad_members as bad

pytestmark = pytest.mark.usefixtures("_one_thread")


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


def labelled(n_classes=2):
    """Both halves of the columns tell as much."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 6))
    scores = X[:, :3] + X[:, 3:] + rng.gumbel(size=(150, 3))
    return X, scores[:, :n_classes].argmax(axis=1)


def measured():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 6))
    return X, X.sum(axis=1) + rng.normal(size=150)


class Setting:
    """One estimator with the faults of the method it asks members for."""

    def __init__(self, make, kind, data, faults, method, answers, prefit=True):
        self.make, self.data, self.faults = make, data, faults
        self.method, self.answers, self.prefit = method, answers, prefit
        self.good = getattr(bad, f"Good{kind}")()
        self.bad = partial(getattr(bad, f"Bad{kind}"), method=method)


PROBABILITIES = "Classifier", labelled, bad.PROBABILITY_FAULTS, "predict_proba"
THREE = "Classifier", partial(labelled, 3), bad.PROBABILITY_FAULTS, "predict_proba"
LABELS = "Classifier", labelled, bad.LABEL_FAULTS, "predict"
VALUES = "Regressor", measured, bad.VALUE_FAULTS, "predict"
QUANTILES = "Regressor", measured, bad.QUANTILE_FAULTS, "predict_quantiles"
MEDIANS = {"quantile_levels": bad.LEVELS}

SETTINGS = {
    "CrossFit, 2 classes": Setting(CrossFit, *PROBABILITIES, ["transform"]),
    "CrossFit, 3 classes": Setting(CrossFit, *THREE, ["transform"]),
    "CrossFit, labels": Setting(
        partial(CrossFit, method="predict", refit="all"), *LABELS, ["transform"], False
    ),
    "CrossFit, regression": Setting(CrossFit, *VALUES, ["transform"]),
    "CrossFit, quantiles": Setting(
        partial(CrossFit, **MEDIANS), *QUANTILES, ["transform"]
    ),
    "StackedClassifier, 2 classes": Setting(
        StackedClassifier, *PROBABILITIES, ["predict", "predict_proba"]
    ),
    "StackedClassifier, 3 classes": Setting(
        StackedClassifier, *THREE, ["predict", "predict_proba"]
    ),
    "StackedRegressor": Setting(StackedRegressor, *VALUES, ["predict"]),
    "StackedQuantileRegressor": Setting(
        partial(StackedQuantileRegressor, **MEDIANS),
        *QUANTILES,
        ["predict", "predict_quantiles"],
    ),
}
CASCADES = {
    "CascadeClassifier": Setting(
        CascadeClassifier, *PROBABILITIES, ["predict", "predict_proba"]
    ),
    "CascadeRegressor": Setting(CascadeRegressor, *VALUES, ["predict"]),
}
ORIGINS = ("ours", "oof_predictions", "trained_on_other_rows")


def new_rows(X):
    """Each is marked, for cascades ask later members for some rows alone."""
    rows = X[:20].copy()
    rows[:, 0] = bad.MARK
    return rows


def member_of(setting, origin, fault, when, X, y):
    """Return the member with a fault in fold predictions, or in new rows alone."""
    member = setting.bad(fault=fault, when=when)
    if origin == "ours":
        return member
    model = member.fit(X, y)
    if origin == "trained_on_other_rows":
        return PrefitMember(model, trained_on_other_rows=True)
    out = getattr(setting.bad(when="new").fit(X, y), setting.method)(X)
    if when == "always":
        out = fault(out)
    return PrefitMember(model, oof_predictions=out)


def ensemble(setting, members, **options):
    return setting.make(members, cv=3, random_state=0, **options)


def cases(settings):
    for label, setting in settings.items():
        origins = ORIGINS if setting.prefit else ORIGINS[:1]
        for origin in origins:
            for mode in setting.faults:
                if origin == "oof_predictions" and mode in ("raise", "onecol"):
                    continue  # stored arrays raise nothing, and one column is allowed
                yield label, origin, mode


def check_named(error, origin, where):
    """The first line says which member it was, and where."""
    first = str(error).splitlines()[0]
    place = {"ours": where, "trained_on_other_rows": where}.get(origin, origin)
    return "'bad'" in first and place in first


def raises_named(setting, origin, mode, phase):
    """Say whether the fault is raised, with the member's name and the place."""
    X, y = setting.data()
    when = "always" if phase == "fit" else "new"
    member = member_of(setting, origin, setting.faults[mode], when, X, y)
    made = ensemble(setting, [("good", setting.good), ("bad", member)])
    try:
        made.fit(X, y)
        assert phase != "fit"
        getattr(made, phase)(new_rows(X))
    except MemberError as error:
        if phase == "fit":
            return check_named(error, origin, "fold 1 of 3")
        return check_named(error, "ours", "new rows")
    return False


@pytest.mark.parametrize("label", {**SETTINGS, **CASCADES})
def test_raised_with_member_and_place(label):
    settings = {**SETTINGS, **CASCADES}
    setting, lost, tried = settings[label], [], 0
    for _, origin, mode in cases({label: setting}):
        phases = ["fit", *setting.answers]
        for phase in phases:
            tried += 1
            if not raises_named(setting, origin, mode, phase):
                lost.append((origin, mode, phase))
    print(f"F1: tried {tried} survived {tried - len(lost)} lost {len(lost)}")
    assert lost == []


def fit_recorded(made, X, y):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made.fit(X, y)
    return [str(w.message) for w in caught]


def cross_fit_of(made):
    return getattr(made, "cross_fit_", made)


def answers_of(setting, made, X):
    rows = X[:20]
    return [getattr(made, answer)(rows) for answer in setting.answers]


def dropped_in_fit(setting, alone, origin, mode):
    """Say whether the member is left out, once and aloud, as if never there."""
    X, y = setting.data()
    member = member_of(setting, origin, setting.faults[mode], "always", X, y)
    members = [("bad", member), ("good", setting.good)]
    made = ensemble(setting, members, on_error="drop")
    said = [text for text in fit_recorded(made, X, y) if "'bad'" in text]
    folds = cross_fit_of(made)
    return (
        len(said) == 1
        and [row["name"] for row in folds.dropped_] == ["bad"]
        and np.array_equal(folds.oof_predictions_, cross_fit_of(alone).oof_predictions_)
        and all(
            np.array_equal(a, b)
            for a, b in zip(
                answers_of(setting, made, X), answers_of(setting, alone, X), strict=True
            )
        )
    )


@pytest.mark.parametrize("label", SETTINGS)
def test_dropped_as_if_it_had_not_been_there(label):
    setting = SETTINGS[label]
    alone = ensemble(setting, [("good", setting.good)]).fit(*setting.data())
    every = list(cases({label: setting}))
    lost = [c[1:] for c in every if not dropped_in_fit(setting, alone, *c[1:])]
    print(f"F1: tried {len(every)} survived {len(every) - len(lost)} lost {len(lost)}")
    assert lost == []


@pytest.mark.parametrize("label", [name for name in SETTINGS if "Stacked" in name])
def test_prediction_goes_on_without_the_member(label):
    setting, lost, tried = SETTINGS[label], [], 0
    X, y = setting.data()
    rows = new_rows(X)
    for origin in ORIGINS:
        for mode, fault in setting.faults.items():
            member = member_of(setting, origin, fault, "new", X, y)
            members = [("good", setting.good), ("bad", member)]
            made = ensemble(setting, members, on_error="drop").fit(X, y)
            weights = made.weights_.copy()
            assert weights.min() > 0.0
            good = made.cross_fit_.estimators_["good"]
            for answer in setting.answers:
                tried += 1
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    result = getattr(made, answer)(rows)
                said = [str(w.message) for w in caught if "'bad'" in str(w.message)]
                kept = made.cross_fit_.dropped_ == []
                kept &= np.array_equal(weights, made.weights_)
                if answer == setting.method:
                    kept &= np.allclose(result, getattr(good, answer)(rows), rtol=1e-12)
                if len(said) != 1 or not kept or not np.isfinite(result).all():
                    lost.append((origin, mode, answer))
    print(f"F1: tried {tried} survived {tried - len(lost)} lost {len(lost)}")
    assert lost == []


def test_nothing_changes_where_all_members_are_good():
    for label, setting in SETTINGS.items():
        X, y = setting.data()
        members = [("good", setting.good), ("other", setting.bad(when="new"))]
        fits = [
            ensemble(setting, members, on_error=policy).fit(X, y)
            for policy in ("raise", "drop")
        ]
        assert cross_fit_of(fits[1]).dropped_ == [], label
        for a, b in zip(*(answers_of(setting, f, X) for f in fits), strict=True):
            assert_array_equal(a, b)


def classified(member, n_classes=2, **options):
    members = [("good", bad.GoodClassifier()), ("bad", member)]
    options = {"cv": 3, "random_state": 0, **options}
    return CrossFit(members, **options).fit(*labelled(n_classes))


@pytest.mark.parametrize("mode", bad.MORE_FAULTS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_more_faults(mode, n_classes):
    member = bad.BadClassifier(fault=bad.MORE_FAULTS[mode])
    with pytest.raises(MemberError, match=r"'bad' failed in .*fold 1 of 3"):
        classified(member, n_classes)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", [bad.Permuted, bad.Listing, bad.Nameless, bad.Reusing])
def test_unusual_members_are_read_aright(kind, n_classes):
    folds = classified(kind(), n_classes, refit="none")
    P = folds.oof_predictions_
    width = P.shape[1] // 2
    assert_array_equal(P[:, width:], P[:, :width])
    P = folds.transform(labelled(n_classes)[0])
    assert_array_equal(P[:, width:], P[:, :width])


def test_reused_memory_of_regressors():
    X, y = measured()
    members = [("good", bad.GoodRegressor()), ("again", bad.ReusingRegressor())]
    folds = CrossFit(members, cv=3, refit="none").fit(X, y)
    for P in (folds.oof_predictions_, folds.transform(X)):
        assert_array_equal(P[:, 0], P[:, 1])


def test_members_that_predict_labels_need_no_classes():
    options = {"method": "predict", "refit": "all"}
    P = classified(bad.Nameless(), **options).oof_predictions_
    assert_array_equal(P[:, 0], P[:, 1])


@pytest.mark.parametrize(
    "classes", [(0, 0), (0, 1, 2), (0,), (0.0, 0.5), ("a", "b"), (1, 7), ((0, 1),)]
)
@pytest.mark.parametrize("method", ["predict_proba", "predict"])
def test_untrue_classes(classes, method):
    with pytest.raises(MemberError, match=r"'bad' failed in .*fold 1 of 3"):
        classified(bad.WrongClasses(classes), method=method, refit="all")


def test_stale_predictions():
    with pytest.raises(MemberError, match=r"'bad' .*fold 1 .*expected 50 rows"):
        classified(bad.Stale())


def test_exit_passes_through():
    with pytest.raises(SystemExit):
        classified(bad.Exiting(), on_error="drop")


@pytest.mark.parametrize("policy", ["raise", "drop"])
def test_only_the_second_fold_fails(policy):
    X, y = labelled()
    splits = [(np.arange(60, 150), np.arange(60)), (np.arange(60), np.arange(60, 150))]
    member = bad.BadClassifier(method="fit", when=60)
    if policy == "raise":
        with pytest.raises(MemberError, match=r"'bad' failed in fit on fold 2 of 2"):
            classified(member, cv=splits)
        return
    with pytest.warns(UserWarning, match="'bad' is left out.*fold 2 of 2"):
        folds = classified(member, cv=splits, on_error=policy)
    assert folds.oof_predictions_.shape == (len(X), 1)
    assert len(y) == len(X)


def test_only_the_refit_fails():
    X, y = labelled()
    member = bad.BadClassifier(method="fit", when=150)
    members = [("good", bad.GoodClassifier()), ("bad", member)]
    with pytest.raises(MemberError, match="'bad' failed in fit on all rows"):
        StackedClassifier(members, cv=3).fit(X, y)
    with pytest.warns(UserWarning, match="'bad'.*all rows"):
        made = StackedClassifier(members, cv=3, on_error="drop").fit(X, y)
    assert np.isfinite(made.predict_proba(X)).all()


def test_only_the_last_method_fails():
    """predict of members is not called where probabilities are asked for."""
    member = bad.BadClassifier(fault=bad._boom, method="predict")
    assert classified(member).oof_predictions_.shape == (150, 2)


@pytest.mark.parametrize("n_left", [2, 3])
def test_min_members(n_left):
    X, y = labelled()
    member = bad.BadClassifier(fault=bad._boom)
    good = [(f"good{i}", bad.GoodClassifier()) for i in range(n_left - 1)]
    members = [*good, ("bad", member)]
    made = CrossFit(members, cv=3, on_error="drop", min_members=n_left)
    said = f"{n_left - 1} members are left; expected {n_left}.*bad"
    with (
        pytest.raises(ValueError, match=said),
        warnings.catch_warnings(),
    ):
        made.fit(X, y)


def test_all_members_fail():
    X, y = labelled()
    members = [("bad", bad.BadClassifier(fault=bad._boom))]
    with pytest.raises(ValueError, match=r"0 members are left.*member boom"):
        CrossFit(members, cv=3, on_error="drop").fit(X, y)


def test_a_failed_fit_is_no_fit():
    X, y = labelled()
    made = StackedClassifier([("good", bad.GoodClassifier())], cv=3).fit(X, y)
    made.set_params(estimators=[("bad", bad.BadClassifier(fault=bad._boom))])
    for estimator in (made, CrossFit(made.estimators, cv=3)):
        with pytest.raises(MemberError):
            estimator.fit(X, y)
        with pytest.raises(NotFittedError):
            estimator.transform(X)


@pytest.mark.parametrize("where", ["X in fit", "y in fit", "X in predict"])
@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("refit", ["none", "all"])
def test_members_cannot_change_what_others_see(where, frame, refit):
    X, y = labelled()
    given = pd.DataFrame(X) if frame else X.copy()
    y_given = y.copy()
    plain = [("before", LogisticRegression()), ("after", LogisticRegression(C=0.1))]
    members = [plain[0], ("spoiler", bad.Spoiling(where)), plain[1]]
    alone = CrossFit(plain, cv=3, refit=refit).fit(pd.DataFrame(X) if frame else X, y)
    folds = CrossFit(members, cv=3, refit=refit).fit(given, y_given)
    assert_array_equal(np.asarray(given), X)
    assert_array_equal(y_given, y)
    assert_array_equal(folds.oof_predictions_[:, [0, 2]], alone.oof_predictions_)
    P = folds.transform(given)
    assert_array_equal(np.asarray(given), X)
    assert_array_equal(P[:, [0, 2]], alone.transform(given))


def test_regressors_cannot_change_the_targets():
    X, y = measured()
    members = [("spoiler", bad.SpoilingRegressor()), ("good", bad.GoodRegressor())]
    folds = CrossFit(members, cv=3, refit="all").fit(X, y)
    assert_array_equal(folds.library_.y, measured()[1])
    alone = CrossFit([members[1]], cv=3, refit="all").fit(X, y)
    assert_array_equal(folds.transform(X)[:, 1], alone.transform(X)[:, 0])


def test_members_cannot_change_the_weights():
    X, y = labelled()
    weight = np.linspace(1.0, 2.0, len(y))
    members = [("bad", bad.Weighing()), ("other", LogisticRegression())]
    folds = CrossFit(members, cv=3, refit="all").fit(X, y, sample_weight=weight)
    assert_array_equal(weight, np.linspace(1.0, 2.0, len(y)))
    alone = CrossFit(members[1:], cv=3, refit="all")
    alone = alone.fit(X, y, sample_weight=weight)
    assert_array_equal(folds.transform(X)[:, 1], alone.transform(X)[:, 0])


def test_members_in_the_list_stay_as_they_are():
    member = bad.GoodClassifier()
    classified(member)
    assert vars(member) == vars(clone(member))
