"""Bad input and bad members: a clear error, or a right answer."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.datasets import make_classification, make_regression
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ensemblekit import (
    CrossFit,
    EnsembleSelectionRegressor,
    LinearStackRegressor,
    MemberError,
    StackedClassifier,
    StackedRegressor,
)

X_C, Y_C = make_classification(60, 5, random_state=0)
X_R, Y_R = make_regression(60, 5, noise=5.0, random_state=0)


def classifier(members=None, **options):
    default = [("logistic", LogisticRegression()), ("tree", DecisionTreeClassifier())]
    return StackedClassifier(default if members is None else members, **options)


def regressor(members=None, **options):
    default = [("ridge", Ridge()), ("tree", DecisionTreeRegressor())]
    return StackedRegressor(default if members is None else members, **options)


class Faulty(ClassifierMixin, BaseEstimator):
    """Predicts equal probabilities, with one fault in predict or fit."""

    def __init__(self, fault="none", in_fit_of=None):
        self.fault = fault
        self.in_fit_of = in_fit_of

    def fit(self, X, y):
        if self.fault == "raise" and (self.in_fit_of in (None, len(y))):
            raise RuntimeError("member boom")
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        p = np.full((len(X), len(self.classes_)), 1.0 / len(self.classes_))
        if self.fault == "nan":
            p[2] = np.nan
        if self.fault == "inf":
            p[0, 0] = np.inf
        if self.fault == "negative":
            p[0, :2] = [-3.0, 4.0]
        if self.fault == "sums":
            p[4] *= 0.5
        return {
            "short": p[:-1],
            "extra row": np.vstack([p, p[:1]]),
            "one column": p[:, :1],
            "extra column": np.hstack([p, p[:, :1]]),
            "transposed": p.T,
            "object": p.astype(object),
            "words": np.full(p.shape, "a"),
        }.get(self.fault, p)


FAULTS = {
    "raise": "fit on fold . of 5: RuntimeError: member boom",
    "nan": r"predict_proba on fold . of 5: .*NaN or infinity \(1 row, first at row 2\)",
    "inf": r"fold . of 5: .*NaN or infinity \(1 row, first at row 0\)",
    "negative": "fold . of 5: expected probabilities; got values from -3 to 4",
    "sums": "fold . of 5: expected probabilities that sum to 1.*first at row 4",
    "short": "expected 12 rows and 2 columns of predictions; got shape .11, 2.",
    "extra row": "expected 12 rows and 2 columns of predictions; got shape .13, 2.",
    "one column": "expected 12 rows and 2 columns of predictions; got shape .12, 1.",
    "extra column": "expected 12 rows and 2 columns of predictions; got shape .12, 3.",
    "transposed": "expected 12 rows and 2 columns of predictions; got shape .2, 12.",
    "object": "expected numbers; got an array of object",
    "words": "expected numbers; got an array of <U1",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_faulty_classifiers_are_named(fault, n_jobs):
    members = [("good", LogisticRegression()), ("bad", Faulty(fault))]
    with pytest.raises(MemberError, match=f"Member 'bad' failed in .*{FAULTS[fault]}"):
        classifier(members, n_jobs=n_jobs).fit(X_C, Y_C)


def test_the_fold_and_the_cause_are_named():
    bad = Faulty("raise", in_fit_of=49)
    members = [("good", LogisticRegression()), ("bad", bad)]
    splits = [(np.r_[0:12, 24:60], np.arange(12, 24)), (np.r_[0:12], np.r_[0:0])]
    sizes = [12, 11, 13, 12, 12]
    stops = np.cumsum(sizes)
    rows = np.arange(60)
    splits = [
        (np.delete(rows, rows[b - n : b]), rows[b - n : b])
        for n, b in zip(sizes, stops, strict=True)
    ]
    with pytest.raises(MemberError, match="fit on fold 2 of 5") as caught:
        classifier(members, cv=splits).fit(X_C, Y_C)
    assert caught.value.member == "bad"
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_fault_that_comes_after_fit_is_named_too():
    members = [("good", LogisticRegression()), ("late", Faulty())]
    stacked = classifier(members, refit="all").fit(X_C, Y_C)
    stacked.cross_fit_.estimators_["late"].fault = "nan"
    with pytest.raises(MemberError, match="'late' failed in predict_proba on new rows"):
        stacked.transform(X_C)


class FaultyRegressor(RegressorMixin, BaseEstimator):
    def __init__(self, result):
        self.result = result

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return self.result(len(X))


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (
            lambda n: np.full(n, np.nan),
            r"expected finite.*NaN or infinity \(12 rows, first at row 0\)",
        ),
        (lambda n: np.zeros(n - 1), "expected 12 rows and 1 columns"),
        (lambda n: np.zeros((n, 2)), "expected 12 rows and 1 columns"),
        (lambda n: None, "expected numbers"),
        (lambda n: ["a"] * n, "expected numbers"),
        (lambda n: 1.0, "expected 12 rows and 1 columns"),
    ],
)
def test_faulty_regressors_are_named(result, message):
    members = [("good", Ridge()), ("bad", FaultyRegressor(result))]
    with pytest.raises(
        MemberError, match=f"'bad' failed in predict on fold 1.*{message}"
    ):
        regressor(members).fit(X_R, Y_R)


def test_regressors_that_predict_one_column_are_taken():
    members = [
        ("good", Ridge()),
        ("column", FaultyRegressor(lambda n: np.zeros((n, 1)))),
    ]
    assert np.isfinite(regressor(members).fit(X_R, Y_R).predict(X_R)).all()


@pytest.mark.parametrize("make", [regressor, classifier, CrossFit])
@pytest.mark.parametrize(
    ("members", "error", "message"),
    [
        ([], ValueError, "estimators is empty"),
        ([("a", "drop")], ValueError, "estimators is empty"),
        ([("a", Ridge()), ("a", Ridge())], ValueError, "Names provided are not unique"),
        ([("cv", Ridge())], ValueError, "conflict with constructor arguments"),
        ([("a__b", Ridge())], ValueError, "must not contain __"),
        ([Ridge()], TypeError, "expected pairs of a name and an estimator"),
        ([("a", Ridge)], TypeError, "Member 'a' is .*expected an estimator instance"),
        ([("a", 3)], TypeError, "Member 'a' is 3; expected an estimator instance"),
        (
            [("a", Ridge()), ("b", LogisticRegression())],
            ValueError,
            r"Members \['b'\] are classifiers but \['a'\] are not",
        ),
        ([("a", SVC(kernel="precomputed"))], ValueError, "'a' takes a precomputed"),
    ],
)
def test_bad_member_lists(make, members, error, message):
    with pytest.raises(error, match=message):
        make(members).fit(X_C, Y_C)


def test_members_of_the_other_task():
    with pytest.raises(ValueError, match="needs members for regression"):
        regressor([("a", LogisticRegression())]).fit(X_C, Y_C)
    with pytest.raises(ValueError, match="needs members for classification"):
        classifier([("a", Ridge())]).fit(X_C, Y_C)


def test_members_without_probabilities_and_a_combiner_of_probabilities():
    with pytest.raises(
        ValueError, match=r"'svm' \(LinearSVC\) has no predict_proba, and Conv"
    ):
        classifier([("svm", LinearSVC())]).fit(X_C, Y_C)
    with pytest.raises(ValueError, match="Member 'svm' has no method 'predict_proba'"):
        CrossFit([("svm", LinearSVC())], method="predict_proba").fit(X_C, Y_C)


def test_fewer_rows_than_folds():
    with pytest.raises(ValueError, match="n_splits=5 greater than the number of"):
        regressor().fit(X_R[:4], Y_R[:4])
    with pytest.raises(ValueError, match="n_splits=5 greater than the number of"):
        classifier().fit(X_C[:4], [0, 1, 0, 1])


def test_one_class():
    with pytest.raises(ValueError, match=r"y has one class \('only'\)"):
        classifier().fit(X_C, np.full(60, "only"))


def test_constant_target():
    found = regressor().fit(X_R, np.full(60, 2.5))
    assert_allclose(found.predict(X_R), 2.5)
    linear = regressor(combiner=LinearStackRegressor()).fit(X_R, np.full(60, 2.5))
    assert_allclose(linear.predict(X_R), 2.5)


def test_one_member_one_column():
    found = regressor([("ridge", Ridge())]).fit(X_R[:, :1], Y_R)
    assert found.weights_.tolist() == [1.0]
    expected = Ridge().fit(X_R[:, :1], Y_R).predict(X_R[:, :1])
    assert_allclose(found.predict(X_R[:, :1]), expected)


def test_one_classifier_one_column():
    tree = DecisionTreeClassifier(max_depth=2)
    found = classifier([("tree", tree)]).fit(X_C[:, :1], Y_C)
    assert found.weights_.tolist() == [1.0]
    expected = tree.fit(X_C[:, :1], Y_C).predict_proba(X_C[:, :1])
    assert_allclose(found.predict_proba(X_C[:, :1]), expected)


def test_duplicated_members_do_not_change_the_prediction():
    pair = [("ridge", Ridge()), ("tree", DecisionTreeRegressor(random_state=0))]
    copies = [*pair, ("again", Ridge()), ("more", Ridge())]
    plain, doubled = regressor(pair).fit(X_R, Y_R), regressor(copies).fit(X_R, Y_R)
    assert_allclose(doubled.predict(X_R), plain.predict(X_R), rtol=1e-10)
    assert doubled.weights_[2:].tolist() == [0.0, 0.0]


class Column(RegressorMixin, BaseEstimator):
    def __init__(self, scale=1.0):
        self.scale = scale

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return X[:, 0] * self.scale


def test_a_thousand_members():
    members = [(f"m{i}", Column(i / 500)) for i in range(1000)]
    found = regressor(members, cv=2).fit(X_R, X_R[:, 0])
    assert_allclose(found.predict(X_R), X_R[:, 0], atol=1e-12)
    assert found.cross_fit_.n_fits_ == 2000 + np.count_nonzero(found.weights_)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yes"])[Y_C],
        np.array(["no", "yes"], dtype=object)[Y_C],
        Y_C.astype(bool),
        Y_C.astype(float),
        list(map(str, Y_C)),
    ],
    ids=["str", "object", "bool", "float", "list"],
)
def test_labels_of_any_type(labels):
    found = classifier().fit(X_C, labels)
    assert found.score(X_C, labels) > 0.8
    assert set(found.predict(X_C)) == set(labels)


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (np.linspace(0, 1, 60), ValueError, "Unknown label type: continuous"),
        (np.array([None, "a"] * 30, dtype=object), (ValueError, TypeError), "."),
        (np.array([1, "a"] * 30, dtype=object), (ValueError, TypeError), "."),
        (Y_C[:-1], ValueError, "inconsistent numbers of samples"),
        (np.stack([Y_C, Y_C], axis=1), ValueError, "y should be a 1d array"),
        (None, ValueError, "requires y to be passed"),
    ],
)
def test_bad_labels(y, error, message):
    with pytest.raises(error, match=message):
        classifier().fit(X_C, y)


def test_bad_targets():
    y = Y_R.copy()
    y[3] = np.nan
    with pytest.raises(ValueError, match="Input y contains NaN"):
        regressor().fit(X_R, y)


@pytest.mark.parametrize("make", [regressor, classifier])
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(60), "zero"),
        (np.where(np.arange(60) == 2, -1.0, 1.0), "Negative values"),
        (np.where(np.arange(60) == 2, np.nan, 1.0), "NaN"),
        (np.ones(59), "shape"),
        (np.ones((60, 2)), "1D|shape"),
    ],
)
def test_bad_weights(make, weight, message):
    X, y = (X_C, Y_C) if make is classifier else (X_R, Y_R)
    with pytest.raises(ValueError, match=message):
        make().fit(X, y, sample_weight=weight)


def test_nan_in_features_reaches_members_that_take_it():
    X = X_R.copy()
    X[5, 2] = np.nan
    trees = [
        ("tree", DecisionTreeRegressor()),
        ("stump", DecisionTreeRegressor(max_depth=1)),
    ]
    assert np.isfinite(regressor(trees).fit(X, Y_R).predict(X)).all()
    with pytest.raises(MemberError, match=r"'ridge' failed in .*X contains NaN"):
        regressor().fit(X, Y_R)


def test_changed_columns_are_refused():
    found = regressor().fit(X_R, Y_R)
    with pytest.raises(ValueError, match="X has 3 features, but StackedRegressor is"):
        found.predict(X_R[:, :3])
    with pytest.raises(ValueError, match="Reshape your data"):
        found.predict(X_R[0])


def test_members_cannot_spoil_each_other():
    class Vandal(Ridge):
        def fit(self, X, y):
            super().fit(X, y)
            X[:] = 0.0
            y[:] = 0.0
            return self

    members = [("vandal", Vandal()), ("ridge", Ridge())]
    X, y = X_R.copy(), Y_R.copy()
    found = CrossFit(members).fit(X, y)
    assert_allclose(found.oof_predictions_[:, 0], found.oof_predictions_[:, 1])
    assert_allclose(X, X_R)
    assert_allclose(y, Y_R)


def test_bad_parameters_are_named():
    with pytest.raises(ValueError, match=r"n_rounds.*range \[1, inf\).*Got 0"):
        EnsembleSelectionRegressor(n_rounds=0).fit(X_R, Y_R)
    with pytest.raises(ValueError, match="'refit' parameter of StackedRegressor"):
        regressor(refit="some").fit(X_R, Y_R)
    with pytest.raises(ValueError, match="'combiner' parameter of StackedRegressor"):
        regressor(combiner="mean").fit(X_R, Y_R)


def test_no_warning_on_good_data():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regressor().fit(X_R, Y_R)
        classifier().fit(X_C, Y_C)
