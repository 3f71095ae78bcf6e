"""How sure answers are: agreement of members, and the probability of the answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from ensemblekit import SelectiveClassifier
from ensemblekit.selective._confidence import _agreement

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
