"""Any splits, groups and weights: all equal the literal loop."""

import warnings

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    PredefinedSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_predict,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ensemblekit import (
    AverageRegressor,
    CascadeClassifier,
    CascadeRegressor,
    ConformalRegressor,
    ConvexClassifier,
    ConvexRegressor,
    CrossFit,
    ResidualQuantileRegressor,
    StackedClassifier,
    StackedQuantileRegressor,
    StackedRegressor,
    cross_fitted_predictions,
    evaluate_loss,
)
from ensemblekit.metrics import pinball_loss

N = 72
GROUPS = np.arange(N) // 4
FOLD_OF = np.where(np.arange(N) % 5 < 4, np.arange(N) % 5, -1)
PARTITIONS = [
    KFold(4),
    KFold(3, shuffle=True, random_state=0),
    StratifiedKFold(3),
    GroupKFold(4),
    StratifiedGroupKFold(3),
    LeaveOneOut(),
]
OTHERS = [
    RepeatedKFold(n_splits=3, n_repeats=3, random_state=1),
    RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=1),
    ShuffleSplit(6, test_size=0.3, random_state=2),
    TimeSeriesSplit(4),
    TimeSeriesSplit(3, gap=2, max_train_size=30),
    PredefinedSplit(FOLD_OF),
]
SPLITTERS = [*PARTITIONS, *OTHERS]


def classification(n_classes=2, n_samples=N):
    return make_classification(
        n_samples, 6, n_informative=4, n_classes=n_classes, random_state=0
    )


@pytest.fixture
def regression():
    return make_regression(N, 5, noise=10.0, random_state=0)


def splits_of(cv, X, y):
    return [tuple(pair) for pair in cv.split(X, y, *_groups(cv).values())]


def _groups(cv):
    grouped = isinstance(cv, GroupKFold | StratifiedGroupKFold)
    return {"groups": GROUPS} if grouped else {}


def literal_loop(member, X, y, splits, method="predict", weight=None):
    """Mean over held-out predictions; NaN where none. Classes as codes 0..K-1."""
    n_classes = len(np.unique(y)) if method == "predict_proba" else 1
    values = [[] for _ in y]
    for train, test in splits:
        params = {} if weight is None else {"sample_weight": weight[train]}
        model = clone(member).fit(X[train], y[train], **params)
        block = np.asarray(getattr(model, method)(X[test])).reshape(len(test), -1)
        if method == "predict_proba":
            full = np.zeros((len(test), n_classes))
            full[:, model.classes_] = block
            block = full[:, 1:] if n_classes == 2 else full
        for row, value in zip(test, block, strict=True):
            values[row].append(value)
    width = 1 if n_classes <= 2 else n_classes
    missing = np.full(width, np.nan)
    return np.array([np.mean(v, axis=0) if v else missing for v in values])


def fit_quietly(estimator, X, y, cv, **params):
    """Fit; assert the one warning of coverage where there is something to warn of."""
    counts = np.zeros(len(y), int)
    for _, test in splits_of(cv, X, y):
        counts[test] += 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(X, y, **_groups(cv), **params)
    told = [str(each.message) for each in caught]
    if counts.min() > 0:
        assert told == []
    else:
        share = f"{100.0 * np.mean(counts > 0):.3g} %"
        assert len(told) == 1
        assert told[0].startswith(f"cv holds out {share} of the {len(y)} rows")
    return estimator


@pytest.mark.parametrize("cv", SPLITTERS, ids=str)
def test_regression_equals_the_literal_loop(regression, cv):
    X, y = regression
    if "Stratified" in type(cv).__name__:
        y = (y > 0).astype(float)
    members = [("ridge", Ridge()), ("tree", DecisionTreeRegressor(random_state=0))]
    found = fit_quietly(CrossFit(members, cv=cv), X, y, cv)
    splits = splits_of(cv, X, y)
    assert len(found.splits_) == len(splits)
    for (_, member), column in zip(members, found.oof_predictions_.T, strict=True):
        expected = literal_loop(member, X, y, splits)[:, 0]
        assert_allclose(column, expected, rtol=1e-14)
        assert_array_equal(np.isnan(column), ~found.covered_)
    held_out = {int(row) for _, test in splits for row in test}
    assert set(np.flatnonzero(found.covered_)) == held_out


@pytest.mark.parametrize("cv", PARTITIONS, ids=str)
def test_partitions_are_bit_equal_to_cross_val_predict(cv):
    X, y = classification()
    member = GaussianNB()
    found = fit_quietly(CrossFit([("a", member)], cv=cv), X, y, cv).oof_predictions_
    expected = cross_val_predict(
        member, X, y, cv=cv, method="predict_proba", **_groups(cv)
    )
    assert_array_equal(found, expected[:, 1:])


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("cv", OTHERS, ids=str)
def test_classification_equals_the_literal_loop(n_classes, cv):
    X, y = classification(n_classes)
    members = [("bayes", GaussianNB()), ("tree", DecisionTreeClassifier(max_depth=2))]
    members[1][1].set_params(random_state=0)
    found = fit_quietly(CrossFit(members, cv=cv), X, y, cv)
    splits = splits_of(cv, X, y)
    expected = np.hstack(
        [literal_loop(member, X, y, splits, "predict_proba") for _, member in members]
    )
    assert_allclose(found.oof_predictions_, expected, rtol=1e-14)
    library = found.library_
    assert_array_equal(library.P, found.oof_predictions_[found.covered_])
    assert_array_equal(library.y, y[found.covered_])


def test_repeats_are_the_mean_of_single_repeats(regression):
    X, y = regression
    forest = [("forest", RandomForestRegressor(3, random_state=0))]
    whole = CrossFit(forest, cv=3, n_repeats=4, random_state=5).fit(X, y)
    assert len(whole.splits_) == 12
    singles = [
        CrossFit(forest, cv=whole.splits_[3 * r : 3 * r + 3]).fit(X, y)
        for r in range(4)
    ]
    for single in singles:
        assert single.covered_.all()
    expected = np.mean([single.oof_predictions_ for single in singles], axis=0)
    assert_allclose(whole.oof_predictions_, expected, rtol=1e-14)
    tests = {tuple(test) for _, test in whole.splits_}
    assert len(tests) == 12, "each repeat draws other folds"
    again = clone(whole).fit(X, y)
    assert_array_equal(again.oof_predictions_, whole.oof_predictions_)
    other = clone(whole).set_params(random_state=6).fit(X, y)
    assert {tuple(test) for _, test in other.splits_} != tests


def test_repeats_of_splitters_that_shuffle(regression):
    X, y = regression
    for cv in (ShuffleSplit(3, test_size=0.5), KFold(3, shuffle=True, random_state=7)):
        fitted = CrossFit([("ridge", Ridge())], cv=cv, n_repeats=5, random_state=0)
        fitted.fit(X, y)
        assert len({tuple(test) for _, test in fitted.splits_}) == 15
        expected = literal_loop(Ridge(), X, y, fitted.splits_)
        assert_allclose(fitted.oof_predictions_, expected, rtol=1e-14)
    assert cv.random_state == 7, "the splitter of the user stays as it is"
    for cv in (TimeSeriesSplit(3), LeaveOneOut(), fitted.splits_):
        with pytest.raises(ValueError, match="draws the same splits each time"):
            CrossFit([("ridge", Ridge())], cv=cv, n_repeats=2).fit(X, y)


def test_repeats_with_groups_keep_groups_whole(regression):
    X, y = regression
    fitted = CrossFit([("ridge", Ridge())], cv=3, n_repeats=3, random_state=0)
    fitted.fit(X, y, groups=GROUPS)
    assert len(fitted.splits_) == 9
    for train, test in fitted.splits_:
        assert not set(GROUPS[train]) & set(GROUPS[test])
    assert len({tuple(test) for _, test in fitted.splits_}) > 3


@pytest.mark.parametrize("kind", ["list", "generator", "masks"])
def test_lists_and_generators_need_not_partition(regression, kind):
    X, y = regression
    splits = splits_of(ShuffleSplit(4, test_size=0.2, random_state=0), X, y)
    rows = np.arange(N)
    cv = {
        "list": splits,
        "generator": (pair for pair in splits),
        "masks": [(np.isin(rows, a), np.isin(rows, b)) for a, b in splits],
    }[kind]
    with pytest.warns(UserWarning, match="cv holds out") as caught:
        found = CrossFit([("ridge", Ridge())], cv=cv).fit(X, y)
    assert len(caught) == 1
    expected = literal_loop(Ridge(), X, y, splits)
    assert_allclose(found.oof_predictions_, expected, rtol=1e-13)


def test_an_int_with_groups_means_folds_of_groups():
    X, y = classification()
    for labels, kind in ((y, StratifiedGroupKFold), (X[:, 0], GroupKFold)):
        member = LogisticRegression() if labels is y else Ridge()
        for cv, n_folds in ((None, 5), (3, 3)):
            found = CrossFit([("m", member)], cv=cv).fit(X, labels, groups=GROUPS)
            expected = kind(n_folds).split(X, labels, GROUPS)
            for split, theirs in zip(found.splits_, expected, strict=True):
                assert_array_equal(split[1], theirs[1])


def test_wrong_splits_are_refused(regression):
    X, y = regression
    rows = np.arange(N)
    for cv, message in [
        ([], "cv has no split"),
        ([(rows[:9], rows[9:9])], "Fold 1 of cv holds out no row"),
        ([(rows[:0], rows[9:])], "Fold 1 of cv trains on no row"),
        ([(rows[:9], [10, 11, 10])], "holds out row 10 2 times"),
        ([(rows[:9], [8, 11])], r"trains on rows that it holds out \(1 row"),
        ([(rows[:9], [N])], "out of bounds"),
    ]:
        with pytest.raises((ValueError, IndexError), match=message):
            CrossFit([("ridge", Ridge())], cv=cv).fit(X, y)


# -- combiners and scores see covered rows only -------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cv", OTHERS, ids=str)
def test_combiner_and_scores_see_covered_rows_only(regression, cv, weighted):
    X, y = regression
    if "Stratified" in type(cv).__name__:
        y = (y > 0).astype(float)
    weight = np.linspace(0.2, 2.0, N) if weighted else None
    members = [("ridge", Ridge()), ("tree", DecisionTreeRegressor(random_state=0))]
    stacked = StackedRegressor(members, cv=cv)
    fit_quietly(stacked, X, y, cv, sample_weight=weight)
    splits = splits_of(cv, X, y)
    P = np.hstack([literal_loop(m, X, y, splits, weight=weight) for _, m in members])
    rows = ~np.isnan(P[:, 0])
    w = None if weight is None else weight[rows]
    by_hand = ConvexRegressor().fit(P[rows], y[rows], sample_weight=w)
    assert_allclose(stacked.weights_, by_hand.weights_, atol=1e-12)
    board = {row["name"]: row for row in stacked.leaderboard_}
    for column, (name, _) in zip(P.T, members, strict=True):
        loss = np.average((column - y)[rows] ** 2, weights=w)
        assert_allclose(board[name]["loss"], loss, rtol=1e-12)
    cross_fitted = cross_fitted_predictions(ConvexRegressor(), stacked.library_)
    loss = np.average((cross_fitted - y[rows]) ** 2, weights=w)
    assert_allclose(board["ensemble"]["loss"], loss, rtol=1e-12)
    first = np.full(N, -1)
    for fold, (_, test) in reversed(list(enumerate(splits))):
        first[test] = fold
    assert_array_equal(stacked.library_.folds, first[rows])
    scores = stacked.cross_fit_.report_[0]["scores"]
    for score, fold in zip(scores, np.unique(first[rows]), strict=True):
        there = first == fold
        part = None if weight is None else weight[there]
        expected = np.average((P[there, 0] - y[there]) ** 2, weights=part)
        assert_allclose(score, expected, rtol=1e-12)
    prediction = stacked.predict(X)
    assert prediction.shape == (N,)
    assert np.isfinite(prediction).all()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classifier_combines_covered_rows(n_classes):
    X, y = classification(n_classes, 120)
    labels = np.array(["u", "v", "w"])[y]
    members = [("bayes", GaussianNB()), ("logistic", LogisticRegression())]
    cv = TimeSeriesSplit(4)
    stacked = StackedClassifier(members, cv=cv)
    with pytest.warns(UserWarning, match="80 % of the 120 rows"):
        stacked.fit(X, labels)
    splits = list(cv.split(X))
    blocks = [literal_loop(m, X, y, splits, "predict_proba") for _, m in members]
    P, rows = np.hstack(blocks), np.arange(120) >= 24
    by_hand = ConvexClassifier().fit(P[rows], y[rows])
    assert_allclose(stacked.weights_, by_hand.weights_, atol=1e-10)
    assert_array_equal(stacked.library_.y, labels[rows])
    full = np.column_stack([1 - P[:, :1], P[:, :1]]) if n_classes == 2 else P[:, :3]
    loss = evaluate_loss("log_loss", y[rows], full[rows])
    assert_allclose(stacked.cross_fit_.report_[0]["loss"], loss, rtol=1e-12)


def test_passthrough_and_foreign_combiners_get_covered_rows(regression):
    X, y = regression
    weight = np.linspace(0.2, 2.0, N)
    stacked = StackedRegressor(
        [("tree", DecisionTreeRegressor(max_depth=2, random_state=0))],
        Ridge(alpha=0.1),
        cv=TimeSeriesSplit(3),
        passthrough=True,
    )
    with pytest.warns(UserWarning, match="75 % of the 72 rows"):
        stacked.fit(X, y, sample_weight=weight)
    P = literal_loop(
        stacked.estimators[0][1], X, y, stacked.cross_fit_.splits_, weight=weight
    )
    rows = np.arange(N) >= 18
    design = np.hstack([P, X])[rows]
    by_hand = Ridge(alpha=0.1).fit(design, y[rows], sample_weight=weight[rows])
    assert_allclose(stacked.combiner_.coef_, by_hand.coef_, rtol=1e-12)
    assert_allclose(
        stacked.predict(X), by_hand.predict(stacked.transform(X)), rtol=1e-12
    )


def test_one_split_is_enough(regression):
    """Blending: the combiner is fitted on one held-out part, which scores members."""
    X, y = regression
    rows = np.arange(N)
    members = [("ridge", Ridge()), ("tree", DecisionTreeRegressor(random_state=0))]
    stacked = StackedRegressor(members, cv=[(rows[:50], rows[50:])])
    with pytest.warns(UserWarning, match="30.6 % of the 72 rows"):
        stacked.fit(X, y)
    P = np.column_stack([m.fit(X[:50], y[:50]).predict(X[50:]) for _, m in members])
    by_hand = ConvexRegressor().fit(P, y[50:])
    assert_allclose(stacked.weights_, by_hand.weights_, atol=1e-12)
    board = {row["name"]: row for row in stacked.leaderboard_}
    losses = np.mean((P - y[50:, None]) ** 2, axis=0)
    assert_allclose([board[name]["loss"] for name, _ in members], losses)
    assert np.isnan(board["ridge"]["loss_se"])
    assert board["ensemble"]["loss"] is None


def test_quantile_stack_sees_covered_rows(regression):
    X, y = regression
    levels = [0.1, 0.5, 0.9]
    members = [
        ("ridge", ResidualQuantileRegressor(Ridge())),
        ("tree", ResidualQuantileRegressor(DecisionTreeRegressor(max_depth=2))),
    ]
    stacked = StackedQuantileRegressor(
        members, quantile_levels=levels, cv=TimeSeriesSplit(3), random_state=0
    )
    with pytest.warns(UserWarning, match="75 % of the 72 rows"):
        stacked.fit(X, y)
    rows = np.arange(N) >= 18
    P = stacked.oof_predictions_
    assert np.isnan(P[~rows]).all()
    assert np.isfinite(P[rows]).all()
    by_hand = clone(stacked.combiner_).fit(P[rows], y[rows])
    assert_array_equal(
        stacked.combiner_.predict_quantiles(P[rows]),
        by_hand.predict_quantiles(P[rows]),
    )
    for column, row in enumerate(stacked.cross_fit_.report_):
        block = P[rows, 3 * column : 3 * column + 3]
        assert_allclose(row["loss"], pinball_loss(y[rows], block, levels), rtol=1e-12)
    assert np.isfinite([row["loss"] for row in stacked.leaderboard_]).all()


def test_too_few_covered_rows_of_a_class():
    X, y = classification(3, 60)
    rows = np.arange(60)
    last = np.flatnonzero(y == 2)
    cv = [(np.setdiff1d(rows, last[:1]), np.r_[last[:1], np.flatnonzero(y < 2)[:9]])]
    cv = [(np.setdiff1d(train, test), test) for train, test in cv]
    members = [("bayes", GaussianNB())]
    with pytest.raises(ValueError, match="holds out 1 rows of class 'w'; expected 2"):
        StackedClassifier(members, cv=cv).fit(X, np.array(["u", "v", "w"])[y])
    with pytest.raises(ValueError, match="holds out 0 rows of class 1;"):
        StackedClassifier(members, cv=[(rows[y > 0], rows[y < 1])]).fit(X, y)


def test_missing_classes_are_named_and_get_probability_zero():
    X, y = classification(3, 90)
    order = np.argsort(y, kind="stable")
    X, y = X[order], np.array(["u", "v", "w"])[y[order]]
    codes = np.searchsorted(["u", "v", "w"], y)
    cv = KFold(3)
    lacking = [np.setdiff1d(codes, codes[train]) for train, _ in cv.split(X)]
    assert sum(map(len, lacking)) > 0
    found = CrossFit([("tree", DecisionTreeClassifier(random_state=0))], cv=cv)
    with pytest.warns(UserWarning, match="Training rows lack classes") as caught:
        found.fit(X, y)
    assert len(caught) == 1
    for fold, classes in enumerate(lacking):
        test = found.splits_[fold][1]
        for code in classes:
            assert f"{'uvw'[code]!r} in fold {fold + 1}" in str(caught[0].message)
            assert_array_equal(found.library_.cube[0][test, code], 0.0)
    expected = literal_loop(
        DecisionTreeClassifier(random_state=0), X, codes, found.splits_, "predict_proba"
    )
    assert_array_equal(found.oof_predictions_, expected)


def test_probabilities_are_clipped_after_the_mean():
    """0 in one fold and 1 in another is one half, with a finite loss of log 2."""
    X, y = np.zeros((8, 1)), np.array([0, 1] * 4)
    zeros, ones = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
    test = np.array([0, 1])
    train = np.setdiff1d(np.arange(8), test)
    splits = [(np.intersect1d(train, zeros), test), (np.intersect1d(train, ones), test)]
    splits += [([0, 1], [2, 3, 4, 5, 6, 7])]
    member = DummyClassifier(strategy="prior")
    with pytest.warns(UserWarning, match="lack classes"):
        found = CrossFit([("dummy", member)], cv=splits).fit(X, y)
    assert_array_equal(found.oof_predictions_[:, 0], np.full(8, 0.5))
    assert_allclose(found.report_[0]["loss"], np.log(2.0), rtol=1e-15)


# -- groups -------------------------------------------------------------------------


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def check_groups(estimator, X, y):
    fitted = clone(estimator).fit(X, y, groups=GROUPS)
    cross_fit = getattr(fitted, "cross_fit_", fitted)
    for train, test in cross_fit.splits_:
        assert not set(GROUPS[train]) & set(GROUPS[test])
    assert cross_fit.covered_.all()
    return fitted


GROUPED = [None, 3, GroupKFold(3), StratifiedGroupKFold(3)]


@pytest.mark.parametrize("cv", GROUPED, ids=str)
def test_groups_reach_the_splitter_without_routing(cv):
    X, y = classification()
    members = [("bayes", GaussianNB()), ("logistic", LogisticRegression())]
    check_groups(CrossFit(members, cv=cv), X, y)
    check_groups(StackedClassifier(members, cv=cv), X, y)


@pytest.mark.parametrize("cv", GROUPED, ids=str)
def test_groups_reach_the_splitter_with_routing(routing, cv):
    X, y = classification()
    members = [("bayes", GaussianNB()), ("logistic", LogisticRegression())]
    check_groups(CrossFit(members, cv=cv), X, y)
    check_groups(StackedClassifier(members, cv=cv), X, y)
    check_groups(StackedClassifier(members, LogisticRegression(), cv=cv), X, y)


@pytest.mark.parametrize("cv", [3, GroupKFold(3)], ids=str)
def test_groups_inside_a_grid_search_with_routing(routing, cv):
    X, y = classification()
    members = [("bayes", GaussianNB()), ("logistic", LogisticRegression())]
    stacked = StackedClassifier(members[:1], LogisticRegression(), cv=cv)
    grid = {"combiner__C": [0.1, 1.0]}
    outer = GroupKFold(2)
    search = GridSearchCV(stacked, grid, cv=outer, error_score="raise")
    search.fit(X, y, groups=GROUPS)
    for c, mean in zip([0.1, 1.0], search.cv_results_["mean_test_score"], strict=True):
        scores = []
        for train, test in outer.split(X, y, GROUPS):
            single = clone(stacked).set_params(combiner__C=c)
            single.fit(X[train], y[train], groups=GROUPS[train])
            scores.append(single.score(X[test], y[test]))
        assert_allclose(mean, np.mean(scores), rtol=1e-12)
    best = search.best_estimator_.cross_fit_
    for train, test in best.splits_:
        assert not set(GROUPS[train]) & set(GROUPS[test])


def test_groups_inside_a_grid_search_without_routing():
    """scikit-learn keeps groups for its own splitter; nobody is told otherwise."""
    X, y = classification()
    stacked = StackedClassifier([("bayes", GaussianNB())], LogisticRegression())
    grid = {"combiner__C": [1.0]}
    search = GridSearchCV(stacked, grid, cv=GroupKFold(3)).fit(X, y, groups=GROUPS)
    assert np.isfinite(search.best_score_)
    stacked.set_params(cv=GroupKFold(3))
    search = GridSearchCV(stacked, grid, cv=GroupKFold(3), error_score="raise")
    with pytest.raises(ValueError, match="'groups' parameter should not be None"):
        search.fit(X, y, groups=GROUPS)


def test_groups_that_nobody_uses(routing, regression):
    with pytest.raises(TypeError, match="groups") as caught:
        CrossFit([("ridge", Ridge())], cv=KFold(3)).fit(*regression, groups=GROUPS)
    assert "this cv does not use groups" in caught.value.__notes__[0]


# -- weights ------------------------------------------------------------------------


def test_weights_reach_the_last_step_of_pipelines(regression):
    X, y = regression
    weight = np.linspace(0.0, 3.0, N)
    pipe = make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), Ridge()))
    found = CrossFit([("pipe", pipe)], cv=3, refit="all")
    found.fit(X, y, sample_weight=weight)
    name = "pipeline__ridge__sample_weight"
    for train, test in found.splits_:
        model = clone(pipe).fit(X[train], y[train], **{name: weight[train]})
        assert_array_equal(found.oof_predictions_[test, 0], model.predict(X[test]))
    model = clone(pipe).fit(X, y, **{name: weight})
    assert_array_equal(found.transform(X)[:, 0], model.predict(X))


@pytest.mark.parametrize("stacked", [False, True])
def test_members_that_take_no_weights(regression, stacked):
    X, y = regression
    weight = np.linspace(0.1, 3.0, N)
    members = [("near", KNeighborsRegressor(3)), ("ridge", Ridge())]
    kind = StackedRegressor if stacked else CrossFit
    message = r"Member 'near' \(KNeighborsRegressor\) takes no sample_weight"
    with pytest.raises(ValueError, match=message) as caught:
        kind(members, cv=3).fit(X, y, sample_weight=weight)
    assert "on_unsupported='ignore'" in caught.value.__notes__[0]
    fitted = kind(members, cv=3, on_unsupported="ignore")
    fitted.fit(X, y, sample_weight=weight)
    splits = list(KFold(3).split(X))
    expected = literal_loop(members[0][1], X, y, splits)
    P = fitted.oof_predictions_
    assert_array_equal(P[:, :1], expected)
    ridge = literal_loop(Ridge(), X, y, splits, weight=weight)
    assert_array_equal(P[:, 1:], ridge)
    report = getattr(fitted, "cross_fit_", fitted).report_
    assert_allclose(
        report[0]["loss"], np.average((P[:, 0] - y) ** 2, weights=weight), rtol=1e-13
    )
    if stacked:
        by_hand = ConvexRegressor().fit(P, y, sample_weight=weight)
        assert_array_equal(fitted.weights_, by_hand.weights_)


@pytest.mark.parametrize("cv", [3, TimeSeriesSplit(3)], ids=str)
def test_weights_of_one_equal_none(cv):
    X, y = classification()
    members = [("bayes", GaussianNB()), ("tree", DecisionTreeClassifier(max_depth=3))]
    stacked = StackedClassifier(members, cv=cv, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = clone(stacked).fit(X, y)
        ones = clone(stacked).fit(X, y, sample_weight=np.ones(N))
    assert_allclose(ones.oof_predictions_, plain.oof_predictions_, rtol=1e-12)
    assert_allclose(ones.weights_, plain.weights_, atol=1e-12)
    for one, none in zip(ones.leaderboard_, plain.leaderboard_, strict=True):
        assert one["name"] == none["name"]
        assert_allclose(one["loss"], none["loss"], rtol=1e-12)
    assert_allclose(ones.predict_proba(X), plain.predict_proba(X), rtol=1e-12)


def test_weights_with_routing_follow_requests(routing, regression):
    X, y = regression
    weight = np.linspace(0.1, 3.0, N)
    members = [
        ("asks", Ridge().set_fit_request(sample_weight=True)),
        ("declines", Ridge().set_fit_request(sample_weight=False)),
        ("near", KNeighborsRegressor(3)),
    ]
    combiner = ConvexRegressor().set_fit_request(sample_weight=True)
    stacked = StackedRegressor(members, combiner, cv=3)
    stacked.fit(X, y, sample_weight=weight)
    splits = list(KFold(3).split(X))
    P = np.hstack(
        [
            literal_loop(Ridge(), X, y, splits, weight=weight),
            literal_loop(Ridge(), X, y, splits),
            literal_loop(KNeighborsRegressor(3), X, y, splits),
        ]
    )
    assert_array_equal(stacked.oof_predictions_, P)
    by_hand = ConvexRegressor().fit(P, y, sample_weight=weight)
    assert_array_equal(stacked.weights_, by_hand.weights_)
    silent = StackedRegressor([("ridge", Ridge())], combiner, cv=3)
    with pytest.raises(ValueError, match="not explicitly set as requested or not"):
        silent.fit(X, y, sample_weight=weight)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.full(N, -1.0), "Negative"),
        (np.full(N, np.nan), "NaN"),
        (np.zeros(N), "zero"),
        (np.ones(N - 1), "shape"),
    ],
)
def test_unfit_weights_are_refused_before_any_fit(regression, weight, message):
    X, y = regression
    for kind in (CrossFit, StackedRegressor):
        fitted = kind([("ridge", Ridge())])
        with pytest.raises(ValueError, match=message):
            fitted.fit(X, y, sample_weight=weight)
        assert not hasattr(fitted, "splits_")


# -- estimators that need a partition ---------------------------------------------


@pytest.mark.parametrize(
    "cv", [TimeSeriesSplit(3), RepeatedKFold(n_splits=3, n_repeats=2)], ids=str
)
def test_estimators_that_need_each_row_once_refuse_by_name(regression, cv):
    X, y = regression
    labels = (y > 0).astype(int)
    stack = StackedRegressor([("ridge", Ridge())], AverageRegressor(), cv=cv)
    for estimator, target, name in [
        (ConformalRegressor(LinearRegression(), method="cv+", cv=cv), y, "cv\\+"),
        (ConformalRegressor(stack, method="cv+"), y, "cv\\+"),
        (
            ResidualQuantileRegressor(Ridge(), [0.1, 0.9], cv=cv),
            y,
            "A model of residuals",
        ),
        (
            CascadeClassifier(
                [("a", GaussianNB()), ("b", LogisticRegression())], cv=cv
            ),
            labels,
            "CascadeClassifier",
        ),
        (
            CascadeRegressor([("a", Ridge()), ("b", Ridge())], cv=cv),
            y,
            "CascadeRegressor",
        ),
    ]:
        message = f"{name}.* needs a cv that holds out each row exactly once"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(ValueError, match=message):
                estimator.fit(X, target)
