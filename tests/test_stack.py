import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ensemblekit import (
    AverageClassifier,
    AverageRegressor,
    ConvexClassifier,
    ConvexPoolRegressor,
    ConvexRegressor,
    EnsembleSelectionRegressor,
    LinearStackClassifier,
    PrefitMember,
    StackedClassifier,
    StackedRegressor,
    cross_fitted_predictions,
)

MEMBERS_C = [
    ("logistic", LogisticRegression()),
    ("bayes", GaussianNB()),
    ("tree", DecisionTreeClassifier(max_depth=4, random_state=0)),
]
MEMBERS_R = [
    ("ridge", Ridge()),
    ("tree", DecisionTreeRegressor(max_depth=4, random_state=0)),
]


@pytest.fixture
def regression():
    return make_regression(120, 5, noise=10.0, random_state=0)


@pytest.fixture(params=[2, 3])
def classification(request):
    return make_classification(
        150, 6, n_informative=4, n_classes=request.param, flip_y=0.1, random_state=0
    )


def test_equals_scikit_learn_stacking_for_classification(classification):
    X, y = classification
    final = LogisticRegression()
    ours = StackedClassifier(MEMBERS_C, final, refit="all").fit(X, y)
    theirs = StackingClassifier(MEMBERS_C, final).fit(X, y)
    assert_allclose(ours.combiner_.coef_, theirs.final_estimator_.coef_, rtol=1e-12)
    assert_array_equal(ours.predict(X), theirs.predict(X))
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-12)
    assert_allclose(ours.decision_function(X), theirs.decision_function(X))
    assert_array_equal(ours.transform(X), theirs.transform(X))
    ours_names = [
        n.replace("stackedclassifier", "") for n in ours.get_feature_names_out()
    ]
    theirs_names = theirs.get_feature_names_out()
    assert ours_names == [n.replace("stackingclassifier", "") for n in theirs_names]


@pytest.mark.parametrize("passthrough", [False, True])
def test_equals_scikit_learn_stacking_for_regression(regression, passthrough):
    X, y = regression
    options = {"passthrough": passthrough}
    ours = StackedRegressor(MEMBERS_R, LinearRegression(), refit="all", **options)
    theirs = StackingRegressor(MEMBERS_R, LinearRegression(), **options)
    assert_allclose(ours.fit(X, y).predict(X), theirs.fit(X, y).predict(X))
    assert ours.transform(X).shape == theirs.transform(X).shape


def test_average_equals_voting(classification, regression):
    X, y = classification
    ours = StackedClassifier(MEMBERS_C, AverageClassifier()).fit(X, y)
    theirs = VotingClassifier(MEMBERS_C, voting="soft").fit(X, y)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-12)
    X, y = regression
    ours = StackedRegressor(MEMBERS_R, AverageRegressor()).fit(X, y)
    assert_allclose(ours.predict(X), VotingRegressor(MEMBERS_R).fit(X, y).predict(X))


class Counting(RegressorMixin, BaseEstimator):
    """Predicts a feature; counts fits and predictions per column."""

    calls = {}

    def __init__(self, column=0):
        self.column = column

    def fit(self, X, y):
        self._count("fit")
        self.fitted_ = True
        return self

    def predict(self, X):
        self._count("predict")
        return X[:, self.column]

    def _count(self, what):
        key = what, self.column
        Counting.calls[key] = Counting.calls.get(key, 0) + 1


@pytest.mark.parametrize(
    ("refit", "n_fits"), [("none", 3 * 4), ("selected", 3 * 4 + 1), ("all", 3 * 5)]
)
def test_fits_and_predictions_are_counted(refit, n_fits):
    X = np.random.default_rng(0).normal(size=(40, 3))
    Counting.calls = {}
    members = [(f"m{column}", Counting(column)) for column in range(3)]
    stacked = StackedRegressor(members, cv=4, refit=refit).fit(X, X[:, 1])
    assert_array_equal(stacked.weights_, [0.0, 1.0, 0.0])
    fits = sum(n for (what, _), n in Counting.calls.items() if what == "fit")
    assert fits == stacked.cross_fit_.n_fits_ == n_fits
    Counting.calls = {}
    assert_array_equal(stacked.predict(X), X[:, 1])
    assert Counting.calls == {("predict", 1): 4 if refit == "none" else 1}


def test_combiners_without_weights_refit_all_members(classification):
    X, y = classification
    for combiner in (AverageClassifier(kind="median"), GaussianNB()):
        stacked = StackedClassifier(MEMBERS_C, combiner, cv=3).fit(X, y)
        assert stacked.cross_fit_.n_fits_ == 3 * 4
        assert stacked.cross_fit_.fold_estimators_ == {}


def test_weights_are_those_of_the_combiner_on_the_library(classification):
    X, y = classification
    stacked = StackedClassifier(MEMBERS_C, ConvexClassifier()).fit(X, y)
    alone = ConvexClassifier().fit(stacked.oof_predictions_, y)
    assert_array_equal(stacked.weights_, alone.weights_)
    assert not hasattr(StackedClassifier(MEMBERS_C, GaussianNB()).fit(X, y), "weights_")


def test_leaderboard_scores_are_held_out(classification):
    X, y = classification
    stacked = StackedClassifier(MEMBERS_C, cv=3).fit(X, y)
    rows = {row["name"]: row for row in stacked.leaderboard_}
    assert set(rows) == {"logistic", "bayes", "tree", "ensemble"}
    scores = -cross_val_score(
        GaussianNB(), X, y, cv=StratifiedKFold(3), scoring="neg_log_loss"
    )
    assert_allclose(rows["bayes"]["loss_se"], scores.std(ddof=1) / np.sqrt(3))
    prediction = np.empty((len(y), len(np.unique(y))))
    for train, test in stacked.cross_fit_.splits_:
        P = stacked.oof_predictions_
        fold = ConvexClassifier().fit(P[train], y[train])
        prediction[test] = fold.predict_proba(P[test])
    assert_allclose(rows["ensemble"]["loss"], log_loss(y, prediction))
    losses = [row["loss"] for row in stacked.leaderboard_]
    assert losses == sorted(losses)
    assert pd.DataFrame(stacked.leaderboard_).shape == (4, 7)
    naive = log_loss(y, ConvexClassifier().fit(P, y).predict_proba(P))
    assert rows["ensemble"]["loss"] > naive


def test_cross_fitted_predictions_skip_folds_without_a_class():
    X, y = make_classification(60, random_state=0)
    y = np.where(np.arange(60) < 50, y, 2)
    with pytest.warns(UserWarning, match="lack classes"):
        stacked = StackedClassifier(
            MEMBERS_C,
            cv=[
                (np.arange(50), np.arange(50, 60)),
                (np.arange(10, 60), np.arange(10)),
                (np.r_[0:10, 50:60], np.arange(10, 50)),
            ],
        ).fit(X, y)
    prediction = cross_fitted_predictions(ConvexClassifier(), stacked.library_)
    assert_array_equal(np.isnan(prediction).any(axis=1), np.arange(60) >= 50)
    assert np.isfinite(stacked.leaderboard_[0]["loss"])


def test_transform_holds_all_members_even_unselected(classification):
    X, y = classification
    stacked = StackedClassifier(MEMBERS_C).fit(X, y)
    P = stacked.transform(X)
    assert P.shape == stacked.oof_predictions_.shape
    for name, model in stacked.cross_fit_.estimators_.items():
        number = list(stacked.cross_fit_.method_).index(name)
        width = P.shape[1] // 3
        expected = model.predict_proba(X)
        expected = expected[:, 1:] if width == 1 else expected
        assert_array_equal(P[:, number * width : (number + 1) * width], expected)


@pytest.mark.parametrize("kind", ["frame", "sparse", "integer names"])
def test_passthrough_of_other_containers(regression, kind):
    X, y = regression
    names = [f"f{i}" for i in range(5)] if kind == "frame" else range(5)
    given = sparse.csr_array(X) if kind == "sparse" else pd.DataFrame(X, columns=names)
    tree = MEMBERS_R[1][1]  # exact on sparse matrices, too
    plain = StackedRegressor(MEMBERS_R[1:], tree, passthrough=True).fit(X, y)
    found = StackedRegressor(MEMBERS_R[1:], tree, passthrough=True).fit(given, y)
    assert_allclose(found.predict(given), plain.predict(X))
    if kind == "frame":
        expected = ["stackedregressor_tree", *names]
        assert list(found.combiner_.feature_names_in_) == expected
        assert list(found.get_feature_names_out()) == expected


def test_passthrough_keeps_categories():
    frame = pd.DataFrame({"x": np.arange(60.0), "c": pd.Categorical(["p", "q"] * 30)})
    y = np.arange(60) % 2

    class Watching(GaussianNB):
        def fit(self, X, y):
            Watching.dtypes = [str(t) for t in X.dtypes]
            return super().fit(X[["x"]].to_numpy(), y)

        def predict(self, X):
            return super().predict(X[["x"]].to_numpy())

    members = [("frame", Watching())]
    StackedClassifier(members, Watching(), passthrough=True).set_params(
        frame=StackedFrame()
    ).fit(frame, y)
    assert Watching.dtypes == ["float64", "float64", "category"]


class StackedFrame(GaussianNB):
    """A member that reads one column of a frame."""

    def fit(self, X, y):
        return super().fit(X[["x"]].to_numpy(), y)

    def predict_proba(self, X):
        return super().predict_proba(X[["x"]].to_numpy())


def test_passthrough_needs_a_combiner_of_features(regression):
    with pytest.raises(ValueError, match="ConvexRegressor combines predictions only"):
        StackedRegressor(MEMBERS_R, passthrough=True).fit(*regression)


def test_labels_keep_their_type(classification):
    X, codes = classification
    for labels in (np.array(["a", "b", "c"])[codes], codes + 5, codes == 1):
        stacked = StackedClassifier(MEMBERS_C).fit(X, labels)
        assert stacked.predict(X).dtype == labels.dtype
        assert stacked.score(X, labels) > 0.6
    series = pd.Series(["lo", "mid", "hi"])[codes]
    assert set(StackedClassifier(MEMBERS_C).fit(X, series).predict(X)) <= set(series)


def test_sample_weights_reach_the_combiner(regression):
    X, y = regression
    weight = np.linspace(0.0, 4.0, len(y))
    stacked = StackedRegressor(MEMBERS_R).fit(X, y, sample_weight=weight)
    alone = ConvexRegressor().fit(stacked.oof_predictions_, y, sample_weight=weight)
    assert_array_equal(stacked.weights_, alone.weights_)


def test_combiners_that_take_no_weights_are_named(regression):
    from sklearn.neighbors import KNeighborsRegressor

    stacked = StackedRegressor(MEMBERS_R, KNeighborsRegressor())
    with pytest.raises(ValueError, match=r"KNeighborsRegressor.*takes no"):
        stacked.fit(*regression, sample_weight=np.ones(120))


def test_changing_only_the_combiner_keeps_the_library(regression):
    X, y = regression
    first = StackedRegressor(MEMBERS_R).fit(X, y)
    second = clone(first).set_params(combiner=EnsembleSelectionRegressor()).fit(X, y)
    assert_array_equal(first.oof_predictions_, second.oof_predictions_)


def test_scorers_find_the_methods(classification):
    X, y = classification
    for scoring in ("neg_log_loss", "roc_auc_ovr", "accuracy"):
        scores = cross_val_score(
            StackedClassifier(MEMBERS_C), X, y, cv=2, scoring=scoring
        )
        assert np.isfinite(scores).all()


def test_linear_stack_recalibrates_inside_a_stack(classification):
    X, y = classification
    stacked = StackedClassifier(MEMBERS_C, LinearStackClassifier()).fit(X, y)
    loaded = pickle.loads(pickle.dumps(stacked))
    assert_array_equal(loaded.predict_proba(X), stacked.predict_proba(X))


def test_defaults_appear_in_set_params_only_when_asked_for():
    stacked = StackedRegressor()
    assert stacked.get_params()["combiner"] is None
    stacked.set_params(combiner__tol=1e-6)
    assert stacked.combiner.tol == 1e-6
    assert stacked.estimators is None
    stacked.set_params(linear__ridge__alpha=5.0)
    assert dict(stacked.estimators)["linear"][-1].alpha == 5.0
    with pytest.raises(ValueError, match="Invalid parameter 'nonsense'"):
        stacked.set_params(nonsense=1)


def test_combiners_of_the_other_task_are_refused(regression, classification):
    for combiner in (LinearRegression(), ConvexRegressor()):
        with pytest.raises(ValueError, match="needs a combiner for classification"):
            StackedClassifier(MEMBERS_C, combiner).fit(*classification)
    for combiner in (LogisticRegression(), ConvexClassifier()):
        with pytest.raises(ValueError, match="needs a combiner for regression"):
            StackedRegressor(MEMBERS_R, combiner).fit(*regression)


def test_leaderboard_compares_on_common_rows():
    X, y = make_classification(90, random_state=0)
    y[-1] = 2  # one row: its fold cannot score a combiner
    member = [("logistic", LogisticRegression())]
    with pytest.warns(UserWarning, match="Training rows lack|least populated"):
        stacked = StackedClassifier(member, cv=3).fit(X, y)
    rows = {row["name"]: row for row in stacked.leaderboard_}
    assert_allclose(rows["ensemble"]["loss"], rows["logistic"]["loss"])
    assert_allclose(rows["ensemble"]["loss_se"], rows["logistic"]["loss_se"])


def test_leaderboard_is_that_of_the_fitted_combiner(regression):
    stacked = StackedRegressor(MEMBERS_R).fit(*regression)
    expected = clone(stacked).fit(*regression).leaderboard_
    stacked.set_params(combiner=AverageRegressor())
    assert [row["loss"] for row in stacked.leaderboard_] == [
        row["loss"] for row in expected
    ]
    board = stacked.fit(*regression).leaderboard_
    assert board != expected
    assert stacked.leaderboard_ is board


def test_leaderboard_hands_weights_to_pipelines(regression):
    X, y = regression
    weight = np.linspace(0.5, 2.0, len(y))
    final = make_pipeline(StandardScaler(), Ridge())
    stacked = StackedRegressor(MEMBERS_R, final, cv=3).fit(X, y, sample_weight=weight)
    prediction, P = np.empty(len(y)), stacked.oof_predictions_
    for train, test in stacked.cross_fit_.splits_:
        options = {"ridge__sample_weight": weight[train]}
        fold = clone(final).fit(P[train], y[train], **options)
        prediction[test] = fold.predict(P[test])
    row = next(row for row in stacked.leaderboard_ if row["name"] == "ensemble")
    assert_allclose(row["loss"], np.average((y - prediction) ** 2, weights=weight))


def test_leaderboard_marks_what_was_trained_elsewhere(classification):
    X, y = classification
    model = DecisionTreeClassifier().fit(X, y)
    frozen = PrefitMember(model, trained_on_other_rows=True)
    stacked = StackedClassifier([("frozen", frozen), ("bayes", GaussianNB())]).fit(X, y)
    marks = {row["name"]: row["frozen"] for row in stacked.leaderboard_}
    assert marks == {"frozen": True, "bayes": False, "ensemble": True}
    nested = CalibratedClassifierCV(FrozenEstimator(model))
    with pytest.warns(UserWarning, match=r"'nested' holds a fitted predictor"):
        stacked = StackedClassifier([("nested", nested)], cv=3).fit(X, y)
    assert all(row["frozen"] for row in stacked.leaderboard_)


def test_meta_estimators_that_pass_weights_on_are_members(regression):
    X, y = regression
    members = [("search", GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2))]
    stacked = StackedRegressor(members, cv=2)
    assert (
        stacked.fit(X, y, sample_weight=np.linspace(0.1, 2, len(y))).score(X, y) > 0.9
    )


def test_unfitted_and_half_fitted(regression):
    stacked = StackedRegressor(MEMBERS_R)
    for name in ("weights_", "library_", "leaderboard_", "oof_predictions_"):
        with pytest.raises(NotFittedError, match="StackedRegressor instance is not"):
            getattr(stacked, name)
    stacked.fit(*regression)
    X, y = regression
    with pytest.raises(ValueError, match="contains NaN"):
        stacked.fit(X, np.where(np.arange(len(y)) == 3, np.nan, y))
    with pytest.raises(NotFittedError):
        stacked.predict(X)


def test_a_pool_of_several_members_columns_needs_them_all():
    X, y = make_regression(80, 4, noise=5.0, random_state=0)
    members = [(f"tree{i}", DecisionTreeRegressor(max_depth=i + 1)) for i in range(4)]
    stacked = StackedRegressor(members, ConvexPoolRegressor(n_draws=2)).fit(X, y)
    assert stacked.combiner_.weights_.shape == (2,)
    assert len(stacked.cross_fit_.estimators_) == 4
    assert np.isfinite(stacked.predict(X)).all()
