"""SelectiveClassifier: what it is trained on, what it answers, and its bounds."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse, stats
from scipy.special import entr
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from ensemblekit import (
    ConfidenceSelection,
    SelectiveClassifier,
    SelectiveVotingClassifier,
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
    order = np.random.RandomState(drawn).permutation(n)
    return np.sort(order[n // 4 :]), np.sort(order[: n // 4])


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


@pytest.mark.parametrize(
    "model",
    [Ridge(), make_pipeline(StandardScaler(), Ridge()), GridSearchCV(Ridge(), {})],
)
def test_regressors_are_refused_before_they_are_trained(data, model, monkeypatch):
    X, y, _, _ = data
    fitted = clone(model).fit(X, y)
    monkeypatch.setattr(Ridge, "fit", lambda *args, **params: pytest.fail("trained"))
    for selective in (model, fitted, FrozenEstimator(fitted)):
        for method in ("fit", "calibrate"):
            with pytest.raises(
                ValueError, match=r"is no classifier by its tags; expected one"
            ):
                getattr(SelectiveClassifier(selective), method)(X, y)


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
    assert model.score(X, y) == np.mean(accepted & (plain.predict(X) == y))
    assert model.score(X, y) < plain.score(X, y) == np.mean(plain.predict(X) == y)


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
        model.set_score_request(sample_weight=True)
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


class Counts(ClassifierMixin, BaseEstimator):
    """Remembers the rows that it was trained on: those of one column of numbers."""

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        self.seen_, self.weight_ = X[:, 0].astype(int), sample_weight
        return self

    def predict_proba(self, X):
        self.asked_ = X[:, 0].astype(int)
        return np.tile(1.0 / len(self.classes_), (len(X), len(self.classes_)))

    def predict(self, X):
        return self.classes_[np.zeros(len(X), int)]


def divided(model, y, **params):
    """Rows of the training and of the calibration of a model of row numbers."""
    fitted = model.fit(np.arange(len(y))[:, None], y, **params)
    inner = getattr(fitted.estimator_, "estimator", fitted.estimator_)
    return inner.seen_, inner.asked_, fitted


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("size", "n_held"), [(0.25, 6), (0.23, 6), (3, 3)])
def test_groups_stay_whole(seed, size, n_held):
    y, groups = np.arange(120) % 2, np.random.default_rng(seed).permutation(120) % 24
    model = SelectiveClassifier(Counts(), calibration_size=size, random_state=seed)
    train, held, fitted = divided(model, y, groups=groups)
    assert_array_equal(np.sort(np.concatenate([train, held])), np.arange(120))
    assert len(np.unique(groups[held])) == n_held
    assert not np.intersect1d(groups[train], groups[held]).size
    assert fitted.n_calibration_ == 5 * n_held
    names = np.array([f"g{g}" for g in groups], dtype=object)
    assert len(np.unique(names[divided(model, y, groups=names)[1]])) == n_held


def test_cv_says_which_rows_calibrate():
    y, groups = np.arange(120) % 2, np.arange(120) // 8
    model = SelectiveClassifier(Counts(), random_state=0)
    for cv, given in [(KFold(4), None), (GroupKFold(3), groups)]:
        train, held, _ = divided(model.set_params(cv=cv), y, groups=given)
        wanted = next(cv.split(y, y, given))
        assert_array_equal(train, wanted[0])
        assert_array_equal(held, wanted[1])
    train, held, _ = divided(model.set_params(cv=[(range(90), range(100, 120))]), y)
    assert (train.max(), held.min(), len(held)) == (89, 100, 20)
    assert divided(model.set_params(cv=7), y)[2].n_calibration_ == 18
    held = divided(model.set_params(cv=5), y, groups=groups)[1]
    assert len(np.unique(groups[held])) == 3
    with pytest.raises(ValueError, match="has rows of 1 groups in both parts"):
        divided(model.set_params(cv=[(range(4), range(4, 8))]), y, groups=groups)
    model.set_params(cv=None)
    with pytest.raises(ValueError, match="groups holds one group"):
        divided(model, y, groups=np.zeros(120))
    with pytest.raises(ValueError, match=r"n_groups=15, of which 15 .* 0 groups to"):
        divided(model.set_params(calibration_size=15), y, groups=groups)


@pytest.mark.parametrize("grouped", [False, True])
def test_rows_of_weight_0_neither_train_nor_calibrate(grouped):
    y, weight = np.arange(120) % 2, np.arange(120) // 2 % 3.0
    groups = np.arange(120) // 4 if grouped else None
    model = SelectiveClassifier(Counts(), random_state=0)
    train, held, fitted = divided(model, y, sample_weight=weight, groups=groups)
    used = np.sort(np.concatenate([train, held]))
    assert_array_equal(used, np.flatnonzero(weight))
    assert_array_equal(fitted.estimator_.weight_, weight[train])
    frozen = SelectiveClassifier(FrozenEstimator(Counts().fit(used[:, None], y[used])))
    held = divided(frozen, y, sample_weight=weight)[1]
    assert_array_equal(held, np.flatnonzero(weight))
    with config_context(enable_metadata_routing=True):
        held = divided(frozen, y, sample_weight=weight)[1]
        assert_array_equal(held, np.flatnonzero(weight))
        routed = Counts().set_fit_request(sample_weight="w")
        train, held, _ = divided(SelectiveClassifier(routed), y, w=weight)
        assert_array_equal(np.sort(np.concatenate([train, held])), used)
    for wrong in (-weight, weight[1:], np.full(120, np.nan), np.zeros(120)):
        for chosen in (model, frozen):
            with pytest.raises(ValueError, match=r"(?i)sample.weight"):
                divided(chosen, y, sample_weight=wrong)


@pytest.mark.parametrize("method", METHODS)
def test_bounds_are_of_independent_rows(data, method):
    X, y, new, truth = data
    groups = np.arange(600) // 3
    model = SelectiveClassifier(LOGISTIC, method=method, target=0.3, random_state=0)
    if method in ("sgr", "ltt"):
        with pytest.raises(ValueError, match="bounds the risk of independent rows"):
            model.fit(X, y, groups=groups)
        with pytest.raises(ValueError, match="bounds the risk of independent rows"):
            model.fit(X, y).calibrate(new, truth, groups=groups[:300])
    else:
        assert np.isnan(model.fit(X, y, groups=groups).risk_bound_)
        assert np.isnan(model.calibrate(new, truth, groups[:300]).risk_bound_)
        assert np.isnan(model.calibrate(new, truth).risk_bound_) == (
            method == "coverage"
        )


def test_groups_reach_a_stack(data):
    X, y, _, _ = data
    groups = np.arange(600) // 4
    members = [("nb", GaussianNB()), ("logistic", LOGISTIC)]
    stack = StackedClassifier(members, cv=GroupKFold(3))
    model = SelectiveClassifier(stack, random_state=0).fit(X, y, groups=groups)
    splits = model.estimator_.cross_fit_.splits_
    with config_context(enable_metadata_routing=True):
        again = clone(model).fit(X, y, groups=groups)
        assert again.threshold_ == model.threshold_
        with pytest.raises(UnsetMetadataPassedError, match="groups"):
            GridSearchCV(model, {"target": [0.5]}, cv=GroupKFold(3)).fit(
                X, y, groups=groups
            )
        outer = GridSearchCV(
            clone(model).set_fit_request(groups=True),
            {"target": [0.5]},
            cv=GroupKFold(3),
        ).fit(X, y, groups=groups)
        assert outer.best_estimator_.n_calibration_ == model.n_calibration_
    assert len(splits) == 3
    # Groups of 4 rows in order: of a fold whole groups are held out.
    assert all(len(test) % 4 == 0 for _, test in splits)


VOTING = SelectiveVotingClassifier(
    DecisionTreeClassifier(max_depth=3), randomness="bootstrap", random_state=0
)


class Abstains(ClassifierMixin, BaseEstimator):
    """Says where it abstains, and nothing else."""

    def __init__(self, sentinel=None):
        self.sentinel = sentinel

    def fit(self, X, y):
        self.model_ = GaussianNB().fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(X)

    def predict(self, X):
        labels = self.model_.predict(X)
        if self.sentinel is not None:
            labels[Abstains.abstains(self, X)] = self.sentinel
        return labels

    def abstains(self, X):
        return np.asarray(X)[:, 0] > 0.5


def wrappings(model, X, y):
    """The model itself, and inside of what passes on no abstention."""
    yield model
    yield make_pipeline(StandardScaler(with_mean=False, with_std=False), model)
    yield FrozenEstimator(clone(model).fit(X, y))
    yield GridSearchCV(model, {}, cv=2)


@pytest.mark.parametrize("sentinel", [None, -1])
@pytest.mark.parametrize("method", METHODS)
def test_a_model_that_abstains_itself(data, method, sentinel):
    X, y, new, truth = data
    inner = clone(VOTING).set_params(abstain_label=sentinel).fit(X, y)
    model = SelectiveClassifier(
        FrozenEstimator(inner), method=method, target=0.3, abstain_label=-2
    ).fit(new, truth)
    labels, answered, _ = inner.predict_selective(new)
    assert 10 < (~answered).sum() < 100
    confidence = inner.predict_proba(new).max(axis=1)
    own = confidence[answered], (labels == truth)[answered]
    wanted = {
        "threshold": 0.3,
        "coverage": np.sort(own[0])[-90],  # 0.3 of all 300 rows
        "chow": 0.7,
        "sgr": sgr_threshold(*own, 0.3)[0],
        "ltt": ltt_threshold(*own, 0.3)[0],
    }[method]
    assert model.threshold_ == wanted
    accepted = answered & (confidence >= wanted)
    assert model.coverage_ == accepted.mean()
    assert model.selective_risk_ == np.mean((labels != truth)[accepted])
    found = model.predict_selective(new)
    assert_array_equal(found.labels, labels)
    assert_array_equal(found.accepted, accepted)
    assert_array_equal(model.abstains(new), ~accepted)
    assert_array_equal(model.predict(new), np.where(accepted, labels, -2))
    assert_array_equal(model.set_params(abstain_label=None).predict(new), labels)


def test_inside_of_what_passes_on_no_abstention(data):
    X, y, new, _ = data
    for inner in (VOTING, Abstains(), SelectiveClassifier(LOGISTIC, target=0.4)):
        if isinstance(inner, SelectiveClassifier):
            inner = inner.set_params(random_state=0)
        for wrapped in wrappings(inner, X, y):
            model = SelectiveClassifier(wrapped, target=1.0, random_state=0).fit(X, y)
            if isinstance(wrapped, FrozenEstimator):
                assert not (wrapped.abstains(new) & ~model.abstains(new)).any()
            assert 10 < model.abstains(new).sum() < 290
            assert set(model.predict(new)) <= set(y)
            # All that the model itself answers, where its coverage is not enough.
            assert model.coverage_ < 1.0


def test_labels_that_are_no_classes_are_no_answers(data):
    X, y, _, _ = data
    with pytest.raises(ValueError, match=r"Abstains predicts -1 \(row .* none of its"):
        SelectiveClassifier(Abstains(-1), random_state=0).fit(X, y)

    class Never(Abstains):
        def abstains(self, X):
            return np.ones(len(X), bool)

    with pytest.warns(UserWarning, match="model itself answers no calibration row"):
        model = SelectiveClassifier(Never(), method="ltt", random_state=0).fit(X, y)
    assert model.threshold_ == np.inf
    assert model.abstains(X).all()


def test_thresholds_that_no_row_reaches(data):
    X, y, _, _ = data

    def fit(**params):
        return SelectiveClassifier(LOGISTIC, random_state=0, **params).fit(X, y)

    for kind, target in [("max_proba", 1.5), ("margin", 1.01), ("entropy", 0.1)]:
        with pytest.raises(ValueError, match=rf"target is {target}; expected at most"):
            fit(method="threshold", confidence=kind, target=target)
    with pytest.raises(ValueError, match=r"target is None, which is 0.9; .* most 0,"):
        fit(method="threshold", confidence="entropy")
    assert fit(method="threshold", confidence="entropy", target=-0.5).coverage_ > 0.1
    with pytest.warns(UserWarning, match=r"confidence of 99, .* Lower target"):
        fit(method="threshold", confidence=lambda m, X: X[:, 0], target=99)
    with pytest.warns(UserWarning, match=r"confidence of 0.99999999, .* Raise target"):
        fit(method="chow", target=1e-8)


def test_chow_is_exact(data):
    X, y, _, _ = data
    for target, wanted in [(0.7, 0.3), (0.9, 0.1), (0.1, 0.9), (0.35, 0.65)]:
        model = SelectiveClassifier(LOGISTIC, method="chow", target=target)
        assert model.fit(X, y).threshold_ == wanted


def test_what_is_set_after_fit_counts_from_the_next_fit_on(data):
    X, y, new, _ = data
    model = SelectiveClassifier(LOGISTIC, random_state=0).fit(X, y)
    before = model.predict_selective(new)
    model.set_params(confidence="margin", method="chow", target=0.5)
    for a, b in zip(model.predict_selective(new), before, strict=True):
        assert_array_equal(a, b)
    with pytest.raises(ValueError, match="abstain_label is 2, which is a class"):
        model.set_params(abstain_label=2).predict(new)


def test_a_label_that_equals_nothing_is_refused(data):
    X, y, _, _ = data
    with pytest.raises(ValueError, match="abstain_label is <NA>, which equals nothing"):
        SelectiveClassifier(LOGISTIC, abstain_label=pd.NA).fit(X, y)


def test_score_is_the_accuracy_of_predict_in_both(data):
    X, y, new, truth = data
    weight = np.arange(300.0)
    voting = clone(VOTING).fit(X, y)
    around = SelectiveClassifier(voting, target=0.6).calibrate(new, truth)
    for model in (voting, around):
        labels, accepted, _ = model.predict_selective(new)
        plain = labels == truth
        for sentinel, right in [(None, plain), (-1, accepted & plain)]:
            model.set_params(abstain_label=sentinel)
            assert model.score(new, truth) == pytest.approx(right.mean())
            assert model.score(new, truth) == np.mean(model.predict(new) == truth)
            weighted = model.score(new, pd.DataFrame({"y": truth}), weight)
            assert weighted == pytest.approx(np.average(right, weights=weight))


def members_by_hand(model, X):
    """Probabilities of each member, classes in order: an obvious twin."""
    if isinstance(model, BaggingClassifier):
        pairs = zip(model.estimators_, model.estimators_features_, strict=True)
        return np.stack([m.predict_proba(X[:, c]) for m, c in pairs])
    if isinstance(model, StackedClassifier):
        P = model.transform(X)
        return P.reshape(len(X), -1, 3).transpose(1, 0, 2)
    return np.stack([m.predict_proba(X) for m in model.estimators_])


ENSEMBLES = [
    RandomForestClassifier(9, max_depth=4, random_state=0),
    ExtraTreesClassifier(9, max_depth=4, random_state=0),
    BaggingClassifier(GaussianNB(), 9, max_features=0.5, random_state=0),
    VotingClassifier(
        [("a", GaussianNB()), ("b", LOGISTIC), ("c", "drop")],
        voting="soft",
        weights=[1, 3, 5],
    ),
    StackedClassifier([("a", GaussianNB()), ("b", LOGISTIC)], cv=3),
    VOTING,
]


@pytest.mark.parametrize("ensemble", ENSEMBLES, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("names", [False, True])
def test_confidences_of_members(data, ensemble, names):
    X, y, new, _ = data
    labels = np.array(["a", "b", "c"])[y] if names else y + 5
    model = SelectiveClassifier(
        make_pipeline(FunctionTransformer(), clone(ensemble)), random_state=0
    )
    vote = clone(model).set_params(confidence="vote").fit(X, labels)
    inner = vote.estimator_[-1]
    cube = members_by_hand(inner, new)
    weights = np.full(len(cube), 1 / len(cube))
    if isinstance(ensemble, VotingClassifier):
        weights = np.array([0.25, 0.75])
    if isinstance(ensemble, StackedClassifier):
        weights = inner.weights_
    answers, _, confidence = vote.predict_selective(new)
    agrees = inner.classes_[cube.argmax(axis=2)] == answers
    np.testing.assert_allclose(confidence, weights @ agrees, rtol=1e-12)
    informed = clone(model).set_params(confidence="mutual_information").fit(X, labels)
    mean = np.tensordot(weights, cube, 1)
    wanted = entr(mean).sum(axis=1) - weights @ entr(cube).sum(axis=2)
    found = informed.predict_selective(new).confidence
    np.testing.assert_allclose(found, -wanted, atol=1e-12)
    assert (found <= 1e-12).all()
    assert np.ptp(found) > 0.01


def test_frames_reach_the_members(data):
    X, y, new, _ = data
    columns = [f"x{i}" for i in range(8)]
    for ensemble in ENSEMBLES:
        model = SelectiveClassifier(clone(ensemble), confidence="vote", random_state=0)
        plain = model.fit(X, y).predict_selective(new).confidence
        framed = clone(model).fit(pd.DataFrame(X, columns=columns), y)
        found = framed.predict_selective(pd.DataFrame(new, columns=columns))
        np.testing.assert_allclose(found.confidence, plain, rtol=1e-12)


def test_members_that_are_not_there(data):
    X, y, _, _ = data
    for kind in ("vote", "mutual_information"):
        with pytest.raises(ValueError, match="GaussianNB has no members"):
            SelectiveClassifier(GaussianNB(), confidence=kind).fit(X, y)
    bagging = BaggingClassifier(LinearSVC(), 3)
    with pytest.raises(ValueError, match="member LinearSVC has no predict_proba"):
        SelectiveClassifier(bagging, confidence="vote").fit(X, y)


def test_weights_of_one_class(data):
    X, y, _, _ = data
    with pytest.raises(ValueError, match="zero in all rows but those of class 1"):
        SelectiveClassifier(LOGISTIC).fit(X, y, sample_weight=(y == 1) * 1.0)
