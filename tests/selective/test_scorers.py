"""Scorers that see abstentions: formulas, floors, and what a search picks."""

import pickle
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_classification
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import ExtraTreeClassifier

from ensemblekit import (
    SelectiveClassifier,
    SelectiveVoteClassifier,
    StackedClassifier,
    augrc,
    augrc_scorer,
    aurc,
    aurc_scorer,
    rejection_cost_scorer,
    selective_accuracy_scorer,
)


class Votes(NamedTuple):
    labels: np.ndarray
    accepted: np.ndarray
    p_value: np.ndarray


class Fixed(ClassifierMixin, BaseEstimator):
    """Rows are (label, accepted, p-value)."""

    classes_ = np.array(["no", "yes"])

    def predict_selective(self, X):
        X = np.asarray(X)
        return Votes(self.classes_[X[:, 0].astype(int)], X[:, 1] == 1, X[:, 2])


X = np.array([[0, 1, 0.01], [1, 1, 0.02], [1, 0, 0.5], [0, 0, 1.0], [1, 1, 0.02]])
Y = np.array(["no", "no", "no", "no", "yes"])


def test_formulas():
    cost = rejection_cost_scorer(5.0, 1.0)
    assert cost(Fixed(), X, Y) == pytest.approx(-(5 + 1 + 1) / 5)
    assert cost(Fixed(), X, Y, sample_weight=[1, 2, 0, 1, 1]) == pytest.approx(-11 / 5)
    assert selective_accuracy_scorer(0.6)(Fixed(), X, Y) == pytest.approx(2 / 3)
    weighted = selective_accuracy_scorer(0.6)(Fixed(), X, Y, [1, 2, 0, 1, 1])
    assert weighted == pytest.approx(2 / 4)
    right = [1, 0, 0, 1, 1]
    assert aurc_scorer(Fixed(), X, Y) == -aurc(-X[:, 2], right)
    assert augrc_scorer(Fixed(), X, Y) == -augrc(-X[:, 2], right)


def test_floor_and_empty_sets():
    assert np.isnan(selective_accuracy_scorer(0.61)(Fixed(), X, Y))
    # Shares are those of the weights.
    assert np.isnan(selective_accuracy_scorer(0.5)(Fixed(), X, Y, [1, 1, 5, 5, 1]))
    none, every = X.copy(), X.copy()
    none[:, 1], every[:, 1] = 0, 1
    assert rejection_cost_scorer(5.0, 1.0)(Fixed(), none, Y) == -1.0
    with pytest.warns(UserWarning, match="No row of 5 is answered"):
        assert np.isnan(selective_accuracy_scorer(0.1)(Fixed(), none, Y))
    # All answered: the plain accuracy, and the error rate.
    assert selective_accuracy_scorer(1.0)(Fixed(), every, Y) == pytest.approx(3 / 5)
    assert rejection_cost_scorer(1.0, 0.3)(Fixed(), every, Y) == pytest.approx(-2 / 5)


def noisy(seed=0):
    """Half of the rows are certain, the others a coin."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(800, 2))
    sure = X[:, 1] > 0
    y = np.where(sure, X[:, 0] > 0, rng.random(800) < 0.5).astype(int)
    X = np.column_stack([np.where(sure, 4 * np.sign(X[:, 0]), 0) + 0.1 * X[:, 0], X])
    return X, y


@pytest.mark.parametrize(
    ("abstain_cost", "wanted"), [(0.05, 0.5), (0.3, 0.5), (0.6, 1.0), (2.0, 1.0)]
)
def test_search_picks_by_cost(abstain_cost, wanted):
    X, y = noisy()
    search = GridSearchCV(
        SelectiveClassifier(LogisticRegression(), random_state=0),
        {"target": [0.5, 0.75, 1.0]},
        scoring=rejection_cost_scorer(1.0, abstain_cost),
    ).fit(X, y)
    # A coin costs 0.5 an answer: abstaining pays below that.
    assert search.best_params_["target"] == wanted


def test_search_keeps_the_floor_and_accuracy_is_blind():
    X, y = noisy()
    model = SelectiveClassifier(LogisticRegression(), random_state=0)
    grid = {"target": [0.3, 0.5, 0.8, 1.0]}
    search = GridSearchCV(model, grid, scoring=selective_accuracy_scorer(0.7))
    with pytest.warns(UserWarning, match="non-finite"):
        search.fit(X, y)
    assert search.best_params_["target"] == 0.8
    blind = GridSearchCV(model, grid, scoring="accuracy").fit(X, y)
    assert len(set(blind.cv_results_["mean_test_score"])) == 1


@pytest.mark.parametrize(
    "scorer",
    [
        rejection_cost_scorer(1.0, 0.25),
        selective_accuracy_scorer(0.3),
        aurc_scorer,
        augrc_scorer,
    ],
    ids=["cost", "accuracy", "aurc", "augrc"],
)
def test_pickles_and_pipelines(scorer):
    X, y = make_classification(300, flip_y=0.2, random_state=0)
    inner = SelectiveClassifier(LogisticRegression(), target=0.6, random_state=0)
    pipeline = make_pipeline(StandardScaler(), make_pipeline(inner)).fit(X, y)
    scaled = StandardScaler().fit(X).transform(X)
    wanted = scorer(pipeline[-1][-1], scaled, y)
    assert np.isfinite(wanted)
    assert scorer(pipeline, X, y) == wanted
    loaded = pickle.loads(pickle.dumps(scorer))
    assert loaded(pipeline, X, y) == wanted
    assert loaded == scorer
    scores = cross_validate(pipeline, X, y, scoring={"ours": scorer, "acc": "accuracy"})
    assert np.isfinite(scores["test_ours"]).all()


def test_areas_score_any_classifier_with_probabilities():
    X, y = make_classification(300, flip_y=0.2, random_state=0)
    model = GaussianNB().fit(X, y)
    confidence = model.predict_proba(X).max(axis=1)
    wanted = -aurc(confidence, model.predict(X) == y)
    assert aurc_scorer(model, X, y) == wanted
    identity = make_pipeline(FunctionTransformer(), GaussianNB()).fit(X, y)
    assert aurc_scorer(identity, X, y) == wanted
    around = SelectiveClassifier(model).calibrate(X, y)
    assert aurc_scorer(around, X, y) == wanted


def test_refusals():
    with pytest.raises(ValueError, match=r"error_cost is 0 and abstain_cost 0\.2"):
        rejection_cost_scorer(0)
    with pytest.raises(ValueError, match="abstain_cost -1"):
        rejection_cost_scorer(1.0, -1)
    with pytest.raises(ValueError, match=r"coverage is 0; expected a number in \(0, 1"):
        selective_accuracy_scorer(0)
    model = GaussianNB().fit(X, Y)
    with pytest.raises(TypeError, match="GaussianNB has neither predict_selective"):
        rejection_cost_scorer()(model, X, Y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        selective_accuracy_scorer()(Fixed(), X, Y[:3])


@pytest.mark.parametrize("frame", [False, True])
def test_targets_of_one_column_are_one_column(frame):
    y = pd.DataFrame({"y": Y}) if frame else Y[:, None]
    for scorer in (
        rejection_cost_scorer(5.0, 1.0),
        selective_accuracy_scorer(0.6),
        aurc_scorer,
        augrc_scorer,
    ):
        assert scorer(Fixed(), X, y) == scorer(Fixed(), X, Y)


class OnlyAbstains(GaussianNB):
    """Says where it abstains, and has no p-values."""

    def abstains(self, X):
        return np.asarray(X)[:, 0] > 0.0


def test_all_that_abstain_are_scored():
    X, y = make_classification(300, flip_y=0.2, random_state=0)
    trees = [
        (str(i), ExtraTreeClassifier(max_depth=3, random_state=i)) for i in range(8)
    ]
    stack = StackedClassifier(trees, SelectiveVoteClassifier(), cv=3).fit(X, y)
    labels, accepted, p_value = stack.predict_selective(X)
    right = labels == y
    assert 0.05 < accepted.mean() < 0.95
    wanted = -np.mean(np.where(accepted, ~right, 0.3))
    cost = rejection_cost_scorer(1.0, 0.3)
    assert cost(stack, X, y) == pytest.approx(wanted)
    assert selective_accuracy_scorer(0.01)(stack, X, y) == right[accepted].mean()
    assert aurc_scorer(stack, X, y) == -aurc(-p_value, right)
    P = stack.transform(X)
    assert cost(stack.combiner_, P, y) == pytest.approx(wanted)
    assert cost(FrozenEstimator(stack), X, y) == pytest.approx(wanted)
    assert cost(make_pipeline(FunctionTransformer(), stack), X, y) == (
        pytest.approx(wanted)
    )
    only = OnlyAbstains().fit(X, y)
    costs = np.where(only.abstains(X), 0.3, only.predict(X) != y)
    assert cost(only, X, y) == pytest.approx(-costs.mean())
    with pytest.raises(TypeError, match="StackedClassifier has neither"):
        cost(StackedClassifier(trees[:2], cv=3).fit(X, y), X, y)


SEVERAL = {
    "cost": rejection_cost_scorer(1.0, 0.3),
    "accuracy": selective_accuracy_scorer(0.1),
    "aurc": aurc_scorer,
    "augrc": augrc_scorer,
}


@pytest.mark.skipif(
    not hasattr(GridSearchCV, "_check_scorers_accept_sample_weight"),
    reason="searches of this scikit-learn hand scorers no weights",
)
@pytest.mark.filterwarnings("ignore:The scoring .* does not support sample_weight")
def test_several_scorers_of_which_some_take_weights():
    X, y = make_classification(300, flip_y=0.2, random_state=0)
    weight = np.where(np.arange(300) % 2, 1.0, 3.0)
    model = SelectiveClassifier(GaussianNB(), target=0.6, random_state=0)
    folds = [(np.arange(200), np.arange(200, 300))]
    search = GridSearchCV(
        model, {"target": [0.6]}, scoring=SEVERAL, refit=False, cv=folds
    )
    search.fit(X, y, sample_weight=weight)
    fitted = model.fit(X[:200], y[:200], sample_weight=weight[:200])
    given = fitted, X[200:], y[200:]
    wanted = {name: scorer(*given) for name, scorer in SEVERAL.items()}
    for name in ("cost", "accuracy"):
        wanted[name] = SEVERAL[name](*given, sample_weight=weight[200:])
        assert wanted[name] != SEVERAL[name](*given)
    for name, value in wanted.items():
        assert search.cv_results_[f"mean_test_{name}"] == pytest.approx(value)


def test_weights_are_routed_on_request():
    X, y = make_classification(300, flip_y=0.2, random_state=0)
    weight = np.where(np.arange(300) % 2, 1.0, 3.0)
    folds = [(np.arange(200), np.arange(200, 300))]
    inner = GaussianNB()
    with config_context(enable_metadata_routing=True):
        inner.set_fit_request(sample_weight=True)
        model = SelectiveClassifier(inner, target=0.6, random_state=0)
        for request in (True, False, "other", None):
            scorer = SEVERAL["cost"].set_score_request(sample_weight=request)
            assert pickle.loads(pickle.dumps(scorer)) == scorer
            scoring = {"cost": scorer, "aurc": aurc_scorer}
            search = GridSearchCV(
                model, {"target": [0.6]}, scoring=scoring, refit=False, cv=folds
            )
            given = {"sample_weight": weight}
            if request is None:
                with pytest.raises(UnsetMetadataPassedError, match="RejectionCost"):
                    search.fit(X, y, **given)
                continue
            if request == "other":
                given["other"] = np.ones(300)
            found = search.fit(X, y, **given).cv_results_["mean_test_cost"][0]
            fitted = model.fit(X[:200], y[:200], sample_weight=weight[:200])
            own = weight[200:] if request is True else None
            assert found == SEVERAL["cost"](fitted, X[200:], y[200:], own)
    assert SEVERAL["cost"].weights is None
