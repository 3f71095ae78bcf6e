"""Both cascades: exact ends, who is asked, budgets, and what reaches the members."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ensemblekit import (
    CascadeClassifier,
    CascadeRegressor,
    MemberError,
    default_members,
)
from ensemblekit.selective import windows

from . import oracles_cascade as oracles

asked: list = []


class CountsProbabilities(LogisticRegression):
    def predict_proba(self, X):
        asked.append(("last", len(X)))
        return super().predict_proba(X)


class CountsValues(Ridge):
    def predict(self, X):
        asked.append(("last", len(X)))
        return super().predict(X)


class CountsTree(DecisionTreeClassifier):
    def predict_proba(self, X, check_input=True):
        asked.append(("middle", len(X)))
        return super().predict_proba(X, check_input)


class CountsTreeValues(DecisionTreeRegressor):
    def predict(self, X, check_input=True):
        asked.append(("middle", len(X)))
        return super().predict(X, check_input)


CLASSIFIERS = [
    ("first", DecisionTreeClassifier(max_depth=2, random_state=0)),
    ("middle", CountsTree(max_depth=5, random_state=1)),
    ("last", CountsProbabilities()),
]
REGRESSORS = [
    ("first", DecisionTreeRegressor(max_depth=3, random_state=0)),
    ("middle", CountsTreeValues(max_depth=6, random_state=1)),
    ("last", CountsValues()),
]
TASKS = {
    "classes": (CascadeClassifier, CLASSIFIERS),
    "values": (CascadeRegressor, REGRESSORS),
}


@pytest.fixture(params=TASKS)
def task(request):
    return request.param


def make(task, **settings):
    kind, members = TASKS[task]
    return kind(members, **settings)


def data(task, n=300, seed=0):
    if task == "classes":
        return make_classification(n, 6, n_informative=4, flip_y=0.1, random_state=seed)
    X, y = make_regression(n, 6, noise=20.0, random_state=seed)
    return X, y + 30 * np.abs(X[:, 0])


def says(cascade, X):
    """What the cascade predicts, as numbers."""
    if hasattr(cascade, "predict_proba"):
        return cascade.predict_proba(X)
    return cascade.predict(X)


def members_say(cascade, X):
    """What each member predicts, in the order of the stages."""
    models = [cascade.cross_fit_.estimators_[name] for name in cascade.stages_]
    return np.array([says(model, X) for model in models])


def far_and_near(X):
    """Rows of X, and rows far outside of it."""
    return np.vstack([X, 50 * X, -1000 * X[:20]])


@pytest.mark.parametrize("coverage", [1.0, 0.6])
def test_window_zero_is_the_first_member_and_one_is_all(task, coverage):
    X, y = data(task)
    settings = {"coverage": coverage} if task == "classes" else {}
    new = far_and_near(data(task, seed=1)[0])
    cascade = make(task, window=0.0, **settings).fit(X, y)
    first = members_say(cascade, new)[0]
    if task == "classes":  # of two classes, the member's second column is P
        assert_array_equal(says(cascade, new)[:, 1], first[:, 1])
    else:
        assert_array_equal(says(cascade, new), first)
    assert not cascade.stage(new).any()
    assert cascade.expected_cost_ == 1.0
    cascade = make(task, window=1.0, **settings).fit(X, y)
    assert_allclose(
        says(cascade, new), members_say(cascade, new).mean(axis=0), rtol=1e-13
    )
    assert (cascade.stage(new) == 2).all()
    assert_allclose(cascade.expected_cost_, 3.0)


def test_equal_confidences_all_stay_at_window_zero_and_all_go_at_one():
    X, y = data("classes")
    sure = DummyClassifier(strategy="constant", constant=1)
    members = [("one", sure), ("linear", LogisticRegression())]
    for window, wanted in [(0.0, 0), (0.4, 0), (0.6, 1), (1.0, 1)]:
        cascade = CascadeClassifier(members, window=window).fit(X, y)
        assert (cascade.stage(X) == wanted).all()


def test_members_that_agree_pass_nothing_on_but_at_full_window():
    X, y = data("values")
    members = [("one", DummyRegressor()), ("other", DummyRegressor())]
    cascade = CascadeRegressor(members, window=0.4).fit(X, y)
    assert not cascade.stage(X).any()
    assert cascade.set_params(window=1).fit(X, y).stage(X).all()


def test_wider_windows_answer_no_row_earlier(task):
    X, y = data(task)
    new = far_and_near(data(task, seed=1)[0])
    before, cost = 0, 0.0
    for window in np.linspace(0, 1, 9):
        cascade = make(task, window=window, costs=[1, 2, 5]).fit(X, y)
        stage = cascade.stage(new)
        assert (stage >= before).all()
        assert cascade.expected_cost_ >= cost
        before, cost = stage, cascade.expected_cost_


def test_only_rows_that_pass_are_sent_on(task):
    X, y = data(task)
    cascade = make(task, window=0.5).fit(X, y)
    new = data(task, seed=1)[0]
    asked.clear()
    says(cascade, new)
    sent = [("middle", 0), *asked][1:]
    stage = cascade.stage(new)
    wanted = [("middle", int((stage >= 1).sum())), ("last", int((stage >= 2).sum()))]
    assert sent == wanted
    assert 0 < wanted[1][1] < wanted[0][1] < len(new)


def test_nobody_is_asked_beyond_a_stage_that_keeps_all(task):
    X, y = data(task)
    cascade = make(task, window=0.0).fit(X, y)
    asked.clear()
    says(cascade, X)
    assert asked == []


def test_each_row_gets_the_mean_of_the_members_asked(task):
    X, y = data(task)
    weights = [2.0, 1.0, 3.0]
    cascade = make(task, window=0.6, weights=weights).fit(X, y)
    new = data(task, seed=1)[0]
    means = oracles.stage_means(members_say(cascade, new), weights)
    stage = cascade.stage(new)
    assert set(stage) == {0, 1, 2}
    assert_allclose(
        says(cascade, new), means[stage, np.arange(len(new))], rtol=1e-12, atol=1e-12
    )
    assert_allclose(cascade.weights_, np.array(weights) / 6)


def held_out_confidences(cascade, gate=None):
    """The confidence of every stage in the held-out predictions."""
    cross_fit = cascade.cross_fit_
    cube = cascade._cube(cross_fit.oof_predictions_)
    means = windows.running_means(cube, cascade.weights_)
    if gate is None:
        return cube, oracles.max_proba(means)
    spreads = [cube[: k + 1, :, 0].std(axis=0) for k in range(len(cube))]
    spreads[0] = gate(cube[0], means[-1], cross_fit.splits_)
    return cube, -np.column_stack(spreads)


def test_curve_and_stages_of_a_classifier_match_the_twin():
    X, y = data("classes", n=60)
    weight = np.random.default_rng(0).integers(1, 4, 60)
    costs = [1, 2, 5]
    cascade = make("classes", costs=costs, loss="zero_one", coverage=0.75)
    curve = cascade.fit(X, y, sample_weight=weight).cost_curve_
    cube, confidences = held_out_confidences(cascade)
    for window in map(oracles.Fraction, ["0", "1/7", "3/7", "5/7", "1"]):
        wanted = oracles.cost_loss_coverage(
            cube,
            y,
            costs,
            confidences,
            weight,
            np.ones(3),
            oracles.Fraction(1, 4),
            window,
            "zero_one",
        )
        at = curve.at(float(window))
        found = curve.cost[at], curve.loss[at], curve.coverage[at]
        assert_allclose(found, wanted, rtol=1e-12)


def test_curve_and_stages_of_a_regressor_match_the_twin():
    X, y = data("values", n=60)
    gate, costs = DecisionTreeRegressor(max_depth=2, random_state=0), [1, 2, 5]
    cascade = make("values", costs=costs, gate=gate, gate_cost=0.25).fit(X, y)
    curve = cascade.cost_curve_

    def predicted(first, whole, splits):
        distance = ((first - whole) ** 2)[:, 0]
        return cross_val_predict(gate, np.hstack([first, X]), distance, cv=splits)

    cube, confidences = held_out_confidences(cascade, predicted)
    for window in map(oracles.Fraction, ["0", "1/7", "3/7", "5/7", "1"]):
        wanted = oracles.cost_loss_coverage(
            cube,
            y,
            costs,
            confidences,
            np.ones(60),
            np.ones(3),
            oracles.Fraction(0),
            window,
            "squared_error",
        )
        wanted = wanted[0] + (0.25 if 0 < window < 1 else 0.0), *wanted[1:]
        at = curve.at(float(window))
        found = curve.cost[at], curve.loss[at], curve.coverage[at]
        assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("max_cost", [1.0, 1.1, 1.7, 3.0, 99.0])
def test_budget_is_kept_on_held_out_rows_and_used(task, max_cost):
    X, y = data(task)
    cascade = make(task, costs=[1, 2, 5], max_cost=max_cost).fit(X, y)
    curve = cascade.cost_curve_
    at = curve.at(cascade.window_)
    assert cascade.expected_cost_ == curve.cost[at] <= max_cost * (1 + 1e-12)
    assert cascade.window_ == 1 or curve.cost[at + 1] > max_cost


@pytest.mark.parametrize("tolerance", [0.0, 0.02, 0.1, 10.0])
def test_tolerance_is_kept_on_held_out_rows_with_the_narrowest_window(task, tolerance):
    X, y = data(task)
    cascade = make(task, tolerance=tolerance).fit(X, y)
    curve = cascade.cost_curve_
    limit = curve.loss[-1] * (1 + tolerance) * (1 + 1e-12)
    at = curve.at(cascade.window_)
    assert curve.loss[at] <= limit
    assert (curve.loss[:at] > limit).all()


def test_loss_at_both_ends_of_the_curve(task):
    X, y = data(task)
    loss = "brier" if task == "classes" else "absolute_error"
    cascade = make(task, loss=loss).fit(X, y)
    P = cascade.cross_fit_.oof_predictions_
    ends = np.array([P[:, 0], P.mean(axis=1)])
    errors = (ends - y) ** 2 if task == "classes" else np.abs(ends - y)
    assert_allclose(cascade.cost_curve_.loss[[0, -1]], errors.mean(axis=1))


def test_answers_change_only_inside_the_window():
    X, y = data("classes")
    new = data("classes", seed=1)[0]
    members = [("linear", LogisticRegression()), *CLASSIFIERS[:2]]
    cascade = CascadeClassifier(members, window=0.3, coverage=0.7).fit(X, y)
    first = members_say(cascade, new)[0]
    low, high = cascade.windows_[0]
    outside = (first.max(axis=1) < low) | (first.max(axis=1) > high)
    assert 0 < outside.sum() < len(new)
    assert_array_equal(cascade.predict_proba(new)[outside, 1], first[outside, 1])
    assert_array_equal(cascade.stage(new) == 0, outside)


def test_the_cheapest_is_asked_first(task):
    X, y = data(task)
    by_list = make(task, costs=[5, 2, 4], weights=[1, 2, 3]).fit(X, y)
    assert by_list.stages_ == ["middle", "last", "first"]
    assert_allclose(by_list.costs_, [1, 2, 2.5])
    assert_allclose(by_list.weights_, [2 / 6, 3 / 6, 1 / 6])
    costs = {"last": 4, "first": 5, "middle": 2}
    by_name = make(task, costs=costs, weights=[1, 2, 3]).fit(X, y)
    assert_array_equal(says(by_list, X), says(by_name, X))
    without = make(task, costs=[5, 2, 4]).set_params(middle="drop").fit(X, y)
    assert without.stages_ == ["last", "first"]


def test_measured_costs_order_by_time_and_count_the_gate(task):
    X, y = data(task)
    cascade = make(task, costs="measured", window=0.5).fit(X, y)
    times = {r["name"]: r["predict_time"] for r in cascade.cross_fit_.report_}
    assert cascade.stages_ == sorted(times, key=times.get)
    first = times[cascade.stages_[0]]
    assert_allclose(cascade.costs_, [times[name] / first for name in cascade.stages_])
    curve = cascade.cost_curve_
    assert_allclose(curve.cost[[0, -1]], [1.0, cascade.costs_.sum()])
    if task == "values":
        assert cascade.gate_cost_ > 0.0


@pytest.mark.parametrize(
    ("costs", "gate_cost", "wanted"),
    [(None, None, 0.05), ([4, 8, 20], 1.0, 0.25), ([4, 8, 20], 0, 0.0)],
)
def test_the_gate_is_counted_wherever_it_is_asked(costs, gate_cost, wanted):
    X, y = data("values")
    settings = {"costs": costs, "gate_cost": gate_cost}
    cascade = make("values", **settings, max_cost=1.4).fit(X, y)
    assert cascade.gate_cost_ == wanted
    free = make("values", costs=costs, gate_cost=0.0).fit(X, y).cost_curve_
    curve = cascade.cost_curve_
    assert_allclose(curve.cost[1:-1], free.cost[1:-1] + wanted * (free.cost[1:-1] > 1))
    assert_allclose(curve.cost[[0, -1]], free.cost[[0, -1]])
    assert cascade.expected_cost_ == curve.cost[curve.at(cascade.window_)] <= 1.4
    too_little = make("values", gate_cost=0.5, max_cost=1.4).fit(X, y)
    assert too_little.expected_cost_ == 1.0
    assert not too_little.stage(X).any()


def test_default_is_a_quarter_more_than_one_member(task):
    X, y = data(task)
    cascade = make(task).fit(X, y)
    assert 1.0 < cascade.expected_cost_ <= 1.25


def test_one_member(task):
    X, y = data(task)
    kind, members = TASKS[task]
    cascade = kind(members[:1]).fit(X, y)
    assert_allclose(says(cascade, X), members_say(cascade, X)[0])
    assert cascade.windows_.shape == (0, 2)
    assert cascade.expected_cost_ == 1.0
    assert not cascade.stage(X).any()


def test_one_row(task):
    X, y = data(task)
    cascade = make(task, window=0.5).fit(X, y)
    one_by_one = np.concatenate([says(cascade, X[i : i + 1]) for i in range(40)])
    assert_allclose(one_by_one, says(cascade, X[:40]), rtol=1e-9, atol=1e-12)


def test_labels_and_several_classes():
    X, codes = make_classification(
        300, 6, n_informative=5, n_redundant=0, n_classes=3, random_state=0
    )
    labels = np.array(["ant", "bee", "cat"])[codes]
    cascade = CascadeClassifier(CLASSIFIERS, confidence="entropy").fit(X, labels)
    assert cascade.classes_.tolist() == ["ant", "bee", "cat"]
    assert cascade.predict(X).dtype == labels.dtype
    assert cascade.score(X, labels) > 0.6
    by_code = CascadeClassifier(CLASSIFIERS, confidence="entropy").fit(X, codes)
    assert_array_equal(by_code.predict_proba(X), cascade.predict_proba(X))


def test_frames_with_categories_and_missing_values(task):
    X, y = data(task)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    frame.loc[::7, "b"] = np.nan
    frame["kind"] = np.where(X[:, 0] > 0, "warm", "cold")
    kind, name = TASKS[task][0], "classification" if task == "classes" else "regression"
    members = [m for m in default_members(name) if m[0] in ("extra_trees", "linear")]
    cascade = kind(members, window=0.5, random_state=0).fit(frame, y)
    assert set(cascade.stage(frame)) == {0, 1}
    assert cascade.feature_names_in_.tolist() == [*"abcdef", "kind"]
    with pytest.raises(ValueError, match="feature names"):
        cascade.predict(frame.rename(columns={"a": "z"}))


def test_sparse(task):
    X, y = data(task)
    kind, (shallow, *_) = TASKS[task]
    members = [shallow, ("deep", clone(shallow[1]).set_params(max_depth=5))]
    dense = kind(members, window=0.5).fit(X, y)
    thin = kind(members, window=0.5).fit(sparse.csr_matrix(X), y)
    assert_allclose(says(thin, sparse.csr_matrix(X)), says(dense, X), rtol=1e-6)


def test_pipelines_get_their_weights(task):
    X, y = data(task)
    kind, members = TASKS[task]
    piped = [(name, make_pipeline(StandardScaler(), m)) for name, m in members[:2]]
    weight = np.where(np.arange(len(y)) % 2, 1.0, 1e-6)
    weighted = kind(piped, window=0.5).fit(X, y, sample_weight=weight)
    plain = kind(piped, window=0.5).fit(X, y)
    assert not np.allclose(members_say(weighted, X), members_say(plain, X))


def test_metadata_routing(task):
    with sklearn.config_context(enable_metadata_routing=True):
        X, y = data(task)
        kind, members = TASKS[task]
        members = [
            (n, clone(m).set_fit_request(sample_weight=True)) for n, m in members
        ]
        frame = pd.DataFrame(X).set_axis(list("abcdef"), axis=1)
        weight = np.random.default_rng(0).uniform(size=len(y))
        routed = kind(members, window=0.5).fit(frame, y, sample_weight=weight)
    plain = kind(members, window=0.5).fit(frame, y, sample_weight=weight)
    assert_array_equal(says(routed, frame), says(plain, frame))


def test_groups_reach_the_splitter(task):
    X, y = data(task)
    groups = np.arange(len(y)) // 10
    cv = sklearn.model_selection.GroupKFold(3)
    cascade = make(task, cv=cv).fit(X, y, groups=groups)
    for train, test in cascade.cross_fit_.splits_:
        assert not set(groups[train]) & set(groups[test])


def test_clone_pickle_refit_and_jobs(task):
    X, y = data(task)
    cascade = make(task, window=0.5, cv=KFold(3)).fit(X, y)
    wanted = says(cascade, X)
    assert_array_equal(says(pickle.loads(pickle.dumps(cascade)), X), wanted)
    with parallel_config(backend="threading"):
        again = clone(cascade).set_params(n_jobs=2).fit(X, y)
    assert_array_equal(says(again, X), wanted)
    assert_array_equal(again.windows_, cascade.windows_)
    other = cascade.fit(X[::-1], y[::-1]).fit(X, y)
    assert_array_equal(says(other, X), wanted)
    assert cascade.cross_fit_.n_fits_ == 3 * (3 + 1)


def test_grid_search_over_windows_and_members(task):
    X, y = data(task)
    grid = {"window": [0.0, 0.5], "first__max_depth": [1, 4]}
    search = GridSearchCV(make(task, cv=2), grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert 0 <= search.best_estimator_.window_ <= 1


def test_gate_says_where_the_ensemble_differs():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (600, 2))
    y = np.where(X[:, 0] > 0.5, 10 * X[:, 1], 0.0) + 0.1 * rng.normal(size=600)
    members = [
        ("mean", DummyRegressor()),
        ("tree", DecisionTreeRegressor(max_leaf_nodes=8, random_state=0)),
    ]
    cascade = CascadeRegressor(members, window=0.3).fit(X, y)
    gone = cascade.stage(X) == 1
    assert (X[gone, 0] > 0.45).mean() > 0.9
    assert gone.mean() > 0.15


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0.5, "max_cost": 2.0}, "window and max_cost are given"),
        ({"costs": [1, 2]}, r"costs has shape \(2,\); expected \(3,\)"),
        ({"costs": {"first": 1}}, r"costs has the names \['first'\]; expected"),
        ({"weights": [1, 0, 2]}, "weights is .*; expected positive"),
        ({"max_cost": 0.9}, "max_cost"),
        ({"window": 1.5}, "window"),
        ({"costs": "guessed"}, "costs"),
    ],
)
def test_refusals(task, settings, message):
    X, y = data(task)
    with pytest.raises(ValueError, match=message):
        make(task, **settings).fit(X, y)


def test_refuses_members_of_the_other_task():
    X, y = data("classes")
    with pytest.raises(ValueError, match="needs members for classification; got"):
        CascadeClassifier(REGRESSORS).fit(X, y)
    with pytest.raises(ValueError, match="needs members for regression; got"):
        CascadeRegressor(CLASSIFIERS).fit(X, y)


def test_refuses_a_member_named_as_a_parameter(task):
    X, y = data(task)
    kind, members = TASKS[task]
    with pytest.raises(ValueError, match="window"):
        kind([("window", members[0][1])]).fit(X, y)


def test_refuses_members_without_probabilities():
    X, y = data("classes")
    with pytest.raises(ValueError, match="'svm' has no method 'predict_proba'"):
        CascadeClassifier([("svm", LinearSVC())]).fit(X, y)


def test_names_the_member_that_fails(task):
    X, y = data(task)
    cascade = make(task, window=1.0).fit(X, y)
    X[3] = np.nan
    with pytest.raises(MemberError, match="'last'"):
        cascade.predict(X)
