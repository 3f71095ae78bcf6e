"""How sure answers are: agreement of members, and the probability of the answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from ensemblekit import SelectiveClassifier, aurc, aurc_scorer
from ensemblekit.selective._confidence import OF_PROBABILITIES, _agreement

MEMBERS = [
    ("a", GaussianNB()),
    ("b", DecisionTreeClassifier(max_depth=3, random_state=0)),
    ("c", LogisticRegression(C=0.01, max_iter=5000)),
]


def cube_of(votes, n_classes=3):
    """Certain probabilities: (n_members, n_rows, n_classes)."""
    return np.eye(n_classes)[np.asarray(votes)]


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any),
    st.integers(0, 2**32 - 1),
)
def test_agreement_is_the_share_of_the_weights(weights, seed):
    weights = np.array(weights) / np.sum(weights)
    votes = np.random.default_rng(seed).integers(0, 3, size=(len(weights), 40))
    votes[:, 0] = 1
    codes = np.ones(40, dtype=int)
    share = _agreement(cube_of(votes), weights, codes)
    wanted = [sum(weights[votes[:, i] == 1]) for i in range(40)]
    np.testing.assert_allclose(share, wanted, rtol=1e-14)
    assert (share >= 0.0).all()
    unanimous = (votes[weights > 0] == 1).all(axis=0)
    assert_array_equal(share == 1.0, unanimous)
    for i in range(40):  # a row by itself gets what it gets among others
        alone = _agreement(cube_of(votes[:, i : i + 1]), weights, codes[:1])
        assert alone[0] == share[i]


@pytest.mark.parametrize("weights", [[3, 2, 2], [0.1, 0.2, 0.3], [1, 2, 3]])
def test_weighted_members_that_agree_reach_a_threshold_of_1(weights):
    X, y = load_breast_cancer(return_X_y=True)
    voting = VotingClassifier(MEMBERS, voting="soft", weights=weights).fit(X, y)
    labels = np.array([member.predict(X) for member in voting.estimators_])
    unanimous = (labels == labels[0]).all(axis=0)
    model = SelectiveClassifier(
        FrozenEstimator(voting), confidence="vote", method="threshold", target=1.0
    ).fit(X, y)
    assert 0 < unanimous.sum() < len(X)
    assert_array_equal(model.predict_selective(X).accepted, unanimous)


def just_below(model, X):
    return np.full(len(X), np.nextafter(1.0, 0.0))


def test_the_largest_confidence_is_not_rounded_up_to_the_threshold():
    X, y = load_breast_cancer(return_X_y=True)
    model = SelectiveClassifier(
        FrozenEstimator(GaussianNB().fit(X, y)),
        confidence=just_below,
        method="threshold",
        target=1.0,
    )
    with pytest.warns(UserWarning, match=r"is 0\.9999999999999999\. Lower target"):
        model.fit(X, y)


def shares(n_rows, n_classes, seed):
    """Probabilities with many ties: whole numbers over their sum."""
    counts = np.random.default_rng(seed).integers(0, 4, size=(n_rows, n_classes))
    return (counts + (counts.sum(axis=1) == 0)[:, None]) / np.maximum(
        counts.sum(axis=1, keepdims=True), 1
    )


@pytest.mark.parametrize("n_classes", [1, 2, 3, 5])
def test_confidence_is_that_of_the_answer(n_classes):
    P = shares(200, n_classes, n_classes)
    kept = P.copy()
    codes = np.random.default_rng(0).integers(0, n_classes, 200)
    found = {kind: OF_PROBABILITIES[kind](P, codes) for kind in ("max_proba", "margin")}
    for row, code, proba, margin in zip(P, codes, *found.values(), strict=True):
        assert proba == row[code]
        assert margin == row[code] - max(np.delete(row, code), default=0.0)
    assert_array_equal(P, kept)


@pytest.mark.parametrize("n_classes", [1, 2, 3, 5])
def test_of_the_likeliest_class_it_is_the_largest_probability(n_classes):
    P = shares(200, n_classes, n_classes)
    codes = P.argmax(axis=1)  # the first of equal ones
    ranked = np.sort(np.column_stack([np.zeros(200), P]), axis=1)
    assert_array_equal(OF_PROBABILITIES["max_proba"](P, codes), ranked[:, -1])
    margin = OF_PROBABILITIES["margin"](P, codes)
    assert_array_equal(margin, ranked[:, -1] - ranked[:, -2])
    tied = (P.max(axis=1, keepdims=True) == P).sum(axis=1) > 1
    assert (margin[tied] == 0.0).all()


@pytest.fixture(scope="module")
def rare():
    """A model that answers the rare class from a probability of 0.08 on, and rows."""
    X, y = make_classification(
        3000, 8, n_informative=4, weights=[0.95], class_sep=0.4, random_state=0
    )
    names = np.array(["no", "yes"])[y]
    model = FixedThresholdClassifier(
        LogisticRegression(), threshold=0.08, response_method="predict_proba"
    )
    return model.fit(X[:1000], names[:1000]), X[1000:], names[1000:]


def of_the_answer(model, X):
    proba = model.predict_proba(X)
    return np.where(model.predict(X) == "yes", proba[:, 1], proba[:, 0])


@pytest.mark.parametrize("method", ["chow", "threshold", "coverage"])
def test_models_with_a_threshold_of_their_own(rare, method):
    model, X, y = rare
    target = 0.1 if method == "chow" else 0.9
    plain = SelectiveClassifier(FrozenEstimator(model), method=method, target=target)
    labels, accepted, confidence = plain.fit(X, y).predict_selective(X)
    wanted = of_the_answer(model, X)
    assert_array_equal(confidence, wanted)
    assert_array_equal(accepted, wanted >= plain.threshold_)
    unsure = (labels == "yes") & (wanted < 0.5)
    assert unsure.sum() > 20
    assert not accepted[unsure].any()
    if method != "chow":
        margin = plain.set_params(
            confidence="margin", method="coverage", target=0.9
        ).fit(X, y)
        found = margin.predict_selective(X).confidence
        np.testing.assert_allclose(found, 2 * wanted - 1, atol=1e-12)


def test_scorers_rank_by_the_probability_of_the_answer(rare):
    model, X, y = rare
    wanted = -aurc(of_the_answer(model, X), model.predict(X) == y)
    assert aurc_scorer(model, X, y) == wanted
    assert aurc_scorer(FrozenEstimator(model), X, y) == wanted
    with pytest.raises(ValueError, match="Ridge has no predict_proba"):
        aurc_scorer(Ridge().fit(X, y == "yes"), X, y)
    search = GridSearchCV(model, {"threshold": [0.08]}, scoring=aurc_scorer, cv=2)
    assert np.isfinite(search.fit(X, y).best_score_)
