"""SelectiveClassifier: what it is trained on, what it answers, and its bounds."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse, stats
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from ensemblekit import (
    ConfidenceSelection,
    SelectiveClassifier,
    StackedClassifier,
    clopper_pearson_upper,
    ltt_threshold,
    rejection_cost_scorer,
    sgr_threshold,
)

METHODS = ["threshold", "coverage", "chow", "sgr", "ltt"]
LOGISTIC = LogisticRegression()


def table(n=900, seed=0, n_classes=3):
    return make_classification(
        n,
        8,
        n_informative=5,
        n_classes=n_classes,
        flip_y=0.05,
        class_sep=2.0,
        random_state=seed,
    )


@pytest.fixture
def data():
    X, y = table()
    return X[:600], y[:600], X[600:], y[600:]


def parts(n, seed):
    """The rows of the training and of the calibration, as fit splits them."""
    drawn = int(np.random.RandomState(seed).randint(2**31 - 1))
    return train_test_split(np.arange(n), test_size=0.25, random_state=drawn)


@pytest.mark.parametrize("method", METHODS)
def test_threshold_is_found_on_rows_held_out(data, method):
    X, y, new, _ = data
    model = SelectiveClassifier(
        LOGISTIC, method=method, target=0.3, random_state=1
    ).fit(X, y)
    train, held_out = parts(600, 1)
    twin = LogisticRegression(random_state=0).fit(X[train], y[train])
    confidence = twin.predict_proba(X[held_out]).max(axis=1)
    correct = twin.predict(X[held_out]) == y[held_out]
    m, e = 150, int((~correct).sum())
    wanted = {
        "threshold": (0.3, clopper_pearson_upper(e, m, 0.05)),
        "coverage": (np.sort(confidence)[-45], np.nan),
        "chow": (0.7, _bound(confidence, correct, 0.7)),
        "sgr": sgr_threshold(confidence, correct, 0.3)[:2],
        "ltt": ltt_threshold(confidence, correct, 0.3)[:2],
    }[method]
    np.testing.assert_allclose((model.threshold_, model.risk_bound_), wanted)
    accepted = confidence >= model.threshold_
    assert model.coverage_ == accepted.mean()
    assert model.selective_risk_ == pytest.approx(np.mean(~correct[accepted]))
    assert model.n_calibration_ == 150
    selection = model.predict_selective(new)
    assert isinstance(selection, ConfidenceSelection)
    assert_array_equal(selection.labels, twin.predict(new))
    assert_array_equal(selection.confidence, twin.predict_proba(new).max(axis=1))
    assert_array_equal(selection.accepted, selection.confidence >= model.threshold_)
    assert_array_equal(model.abstains(new), ~selection.accepted)
    assert_array_equal(model.predict(new), twin.predict(new))


def _bound(confidence, correct, threshold):
    wrong = ~correct[confidence >= threshold]
    return clopper_pearson_upper(int(wrong.sum()), len(wrong), 0.05)


def test_confidences(data):
    X, y, new, _ = data
    proba = np.sort(SelectiveClassifier(LOGISTIC, random_state=0).fit(X, y)
                    .predict_proba(new), axis=1)  # fmt: skip
    wanted = {
        "max_proba": proba[:, -1],
        "margin": proba[:, -1] - proba[:, -2],
        "entropy": (proba * np.log(proba)).sum(axis=1),
    }
    for kind, values in wanted.items():
        model = SelectiveClassifier(LOGISTIC, confidence=kind, random_state=0)
        found = model.fit(X, y).predict_selective(new).confidence
        np.testing.assert_allclose(found, values, rtol=1e-12, atol=1e-14)


def largest_score(model, X):
    return model.decision_function(X).max(axis=1)


def test_a_callable_serves_models_without_probabilities(data):
    X, y, new, _ = data
    svm = LinearSVC(random_state=0)
    model = SelectiveClassifier(svm, confidence=largest_score, random_state=0)
    model.fit(X, y)
    assert not hasattr(model, "predict_proba")
    wanted = model.estimator_.decision_function(new).max(axis=1) >= model.threshold_
    assert_array_equal(model.predict_selective(new).accepted, wanted)
    with pytest.raises(ValueError, match="LinearSVC has no predict_proba"):
        SelectiveClassifier(svm).fit(X, y)
    for wrong in (lambda model, X: [1.0], lambda model, X: np.full(len(X), np.nan)):
        with pytest.raises(ValueError, match=r"callable confidence .*(shape|NaN)"):
            SelectiveClassifier(svm, confidence=wrong).fit(X, y)


def test_coverage_is_exact_and_of_whole_ties():
    X = np.arange(10.0)[:, None]
    y = np.array([0, 1] * 5)

    def first(model, X):
        return np.asarray(X)[:, 0]

    def coarse(model, X):
        return np.asarray(X)[:, 0] // 4

    tree = FrozenEstimator(DecisionTreeClassifier().fit(X, y))
    for target, wanted in [(0.7, 0.7), (0.61, 0.7), (1.0, 1.0), (0.01, 0.1)]:
        model = SelectiveClassifier(tree, confidence=first, target=target).fit(X, y)
        assert model.coverage_ == wanted
        assert model.n_calibration_ == 10  # a frozen model needs no training rows
        # The row that makes the coverage full is answered itself.
        assert model.predict_selective(X).accepted.mean() == wanted
        assert model.abstains(X).mean() == pytest.approx(1 - wanted)
    model = SelectiveClassifier(tree, confidence=coarse, target=0.5).fit(X, y)
    assert model.coverage_ == 0.6
    many = np.arange(100.0)[:, None]  # 0.55 * 100 is more than 55 in floats
    model = SelectiveClassifier(tree, confidence=first, target=0.55)
    assert model.calibrate(many, np.zeros(100, int)).coverage_ == 0.55


def one_draw(method, seed):
    """True risk, and bound, of a model of one feature whose errors are known."""
    rng = np.random.default_rng(seed)
    u = rng.random((400, 1))
    wrong = rng.random(400) < 0.4 * (1 - u[:, 0]) ** 2
    model = SelectiveClassifier(
        Oracle(), confidence=feature, method=method, target=0.1, delta=0.1
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.calibrate(u, wrong.astype(int))
    low = max(model.threshold_, 0.0)
    return 0.4 * (1 - low) ** 2 / 3, model.risk_bound_


class Oracle(ClassifierMixin, BaseEstimator):
    """Answers 0 always; y is 1 where that is wrong."""

    classes_ = np.array([0, 1])

    def fit(self, X, y):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict(self, X):
        return np.zeros(len(X), int)


def feature(model, X):
    return X[:, 0]


@pytest.mark.parametrize("method", ["threshold", "sgr", "ltt"])
def test_bounds_hold_as_often_as_promised(method):
    draws = [one_draw(method, seed) for seed in range(500)]
    failures = sum(risk > bound for risk, bound in draws if not np.isnan(bound))
    assert failures <= stats.binom.ppf(0.999, 500, 0.1)
    assert sum(not np.isnan(bound) for _, bound in draws) > 400


def test_calibrate_keeps_the_model(data):
    X, y, new, truth = data
    model = LogisticRegression().fit(X, y)
    direct = SelectiveClassifier(model, target=0.5).calibrate(new, truth)
    assert direct.estimator_ is model
    assert direct.coverage_ == 0.5
    frozen = SelectiveClassifier(FrozenEstimator(model), target=0.5).fit(new, truth)
    assert frozen.threshold_ == direct.threshold_
    fitted = SelectiveClassifier(LOGISTIC, random_state=0).fit(X, y)
    inner = fitted.estimator_
    again = fitted.set_params(target=0.5).calibrate(new, truth)
    assert again.estimator_ is inner
    assert again.n_calibration_ == 300
    # A refusal takes nothing away.
    with pytest.raises(ValueError, match="3 features"):
        again.calibrate(new[:, :3], truth)
    assert again.predict(new).shape == (300,)
    with pytest.raises(NotFittedError):
        SelectiveClassifier(LOGISTIC).calibrate(new, truth)


def test_nothing_is_answered_with_one_warning(data):
    X, y, new, _ = data
    model = SelectiveClassifier(LOGISTIC, method="sgr", target=0.001, random_state=0)
    with pytest.warns(UserWarning, match="No threshold keeps the risk") as caught:
        model.fit(X, y)
    assert len(caught) == 1
    assert model.threshold_ == np.inf
    assert model.coverage_ == 0.0
    assert np.isnan(model.risk_bound_)
    assert np.isnan(model.selective_risk_)
    assert model.abstains(new).all()
    assert set(model.predict(new)) <= set(y)
    assert model.score(new, model.predict(new)) == 1.0


@pytest.mark.parametrize(
    ("labels", "sentinel", "dtype"),
    [
        (np.array(["no", "yes"]), "abstain", "<U7"),
        (np.array([0, 1], np.int8), -1, "int8"),
        (np.array([0, 1], np.uint8), -1, "int16"),
        (np.array([0, 1], np.uint64), -1, "object"),
        (np.array([0, 1]), "none", "object"),
        (np.array([1.0, 2.0]), np.nan, "float64"),
        (np.array([False, True]), -1, "object"),
    ],
)
def test_abstain_label_is_neither_cut_nor_cast(labels, sentinel, dtype):
    X, y = load_breast_cancer(return_X_y=True)
    y = labels[y]
    plain = SelectiveClassifier(GaussianNB(), target=0.5, random_state=0).fit(X, y)
    assert plain.predict(X).dtype == labels.dtype
    model = clone(plain).set_params(abstain_label=sentinel).fit(X, y)
    found, accepted = model.predict(X), model.predict_selective(X).accepted
    assert found.dtype == np.dtype(dtype)
    assert_array_equal(found[accepted], plain.predict(X)[accepted])
    assert accepted.any()
    assert not accepted.all()
    for label in found[~accepted].tolist():
        assert label == sentinel or (label != label and sentinel != sentinel)
    assert_array_equal(model.classes_, labels)
    assert is_classifier(model)
    assert model.score(X, y) == plain.score(X, y)


def test_refusals(data):
    X, y, _, _ = data

    def refused(match, **params):
        with pytest.raises(ValueError, match=match):
            SelectiveClassifier(LOGISTIC, **params).fit(X, y)

    refused("abstain_label is 2, which is a class", abstain_label=2)
    refused("abstain_label is NaN, but the labels are of type", abstain_label=np.nan)
    refused(r"target is 1.5; .* \(0, 1\] with method='coverage'", target=1.5)
    refused(r"target is 1.0; .* \(0, 1\) with", target=1.0, method="ltt")
    refused(r"target is 0; .* \(0, 1\) with", target=0, method="chow")
    refused("method='chow' compares", method="chow", confidence="margin")
    refused("'method' parameter", method="best")
    refused("'delta' parameter", delta=1.0)
    refused("'confidence' parameter", confidence="sure")
    with pytest.raises(ValueError, match="requires y to be passed"):
        SelectiveClassifier(LOGISTIC).fit(X, None)
    with pytest.raises(NotFittedError):
        SelectiveClassifier(LOGISTIC).predict(X)
    with pytest.raises(NotFittedError):
        SelectiveClassifier(LOGISTIC).abstains(X)


def test_a_class_too_rare_for_training_warns(data):
    X, y, _, _ = data
    y = y.copy()
    _, held_out = parts(600, 0)
    y[held_out[0]] = 7
    model = SelectiveClassifier(LOGISTIC, random_state=0)
    with pytest.warns(UserWarning, match=r"Labels \[7\] are in none of the training"):
        model.fit(X, y)
    assert_array_equal(model.classes_, [0, 1, 2])


def test_weights_reach_the_model_and_pipelines(data):
    X, y, new, _ = data
    weight = np.random.default_rng(0).random(600) * 4
    train, _ = parts(600, 3)
    twin = GaussianNB().fit(X[train], y[train], sample_weight=weight[train])
    for estimator in (GaussianNB(), make_pipeline(GaussianNB())):
        model = SelectiveClassifier(estimator, random_state=3)
        model.fit(X, y, sample_weight=weight)
        np.testing.assert_allclose(model.predict_proba(new), twin.predict_proba(new))
    with config_context(enable_metadata_routing=True):
        routed = GaussianNB().set_fit_request(sample_weight=True)
        model = SelectiveClassifier(routed, random_state=3)
        outer = GridSearchCV(model, {"target": [0.5]}, cv=2)
        outer.fit(X, y, sample_weight=weight)
        np.testing.assert_allclose(outer.predict_proba(new), twin.predict_proba(new))
    with pytest.raises(ValueError, match="Negative values in data"):
        model.fit(X, y, sample_weight=-weight)


def test_frames_sparse_strings_pickle_and_second_fit(data):
    X, y, new, _ = data
    names = np.array(["a", "b", "c"])
    model = SelectiveClassifier(LOGISTIC, random_state=0).fit(X, y)
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(8)])
    framed = clone(model).fit(frame, names[y])
    assert framed.feature_names_in_.tolist() == list(frame.columns)
    assert_array_equal(framed.predict(frame), names[model.predict(X)])
    thin = clone(model).fit(sparse.csr_matrix(X), y)
    assert_array_equal(thin.predict(sparse.csr_matrix(new)), model.predict(new))
    loaded = pickle.loads(pickle.dumps(model))
    for a, b in zip(
        loaded.predict_selective(new), model.predict_selective(new), strict=True
    ):
        assert_array_equal(a, b)
    again = framed.fit(X, y)
    assert again.threshold_ == model.threshold_
    assert not hasattr(again, "feature_names_in_")


def test_in_pipelines_grids_and_around_stacks(data):
    X, y, new, truth = data
    pipeline = make_pipeline(
        StandardScaler(), SelectiveClassifier(LOGISTIC, random_state=0)
    )
    assert cross_val_score(pipeline, X, y).mean() > 0.6
    members = [("nb", GaussianNB()), ("logistic", LOGISTIC)]
    stack = SelectiveClassifier(
        StackedClassifier(members, cv=3), method="ltt", target=0.12, random_state=0
    ).fit(X, y)
    # Its out-of-fold predictions are of training rows only.
    assert stack.estimator_.library_.n_samples == 450
    labels, accepted, _ = stack.predict_selective(new)
    assert 0.2 < accepted.mean() < 1.0
    assert np.mean(labels[accepted] == truth[accepted]) > np.mean(labels == truth)
    search = GridSearchCV(
        stack.set_params(method="coverage"),
        {"estimator__nb__var_smoothing": [1e-9, 1e-3], "target": [0.5, 0.8]},
        scoring=rejection_cost_scorer(1.0, 0.3),
        cv=2,
    )
    assert search.fit(X, y).best_params_["target"] in (0.5, 0.8)


def test_the_default_is_a_stack():
    X, y = table(120, n_classes=2)
    model = SelectiveClassifier(random_state=0).fit(X, y)
    assert isinstance(model.estimator_, StackedClassifier)
    assert hasattr(SelectiveClassifier(), "predict_proba")
    assert model.predict_proba(X).shape == (120, 2)


def test_groups_are_refused():
    X, y = make_classification(150, random_state=0)
    with pytest.raises(ValueError, match="groups are given, but the rows that calib"):
        SelectiveClassifier(LOGISTIC).fit(X, y, groups=np.arange(150) // 5)
