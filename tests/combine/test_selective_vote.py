"""SelectiveVoteClassifier."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from ensemblekit import (
    SelectiveVote,
    SelectiveVoteClassifier,
    StackedClassifier,
    selective_vote,
)

from ..selective import oracles_votes as oracles


def votes_of(P, n_classes):
    """Each member's most probable class, the first of equal ones."""
    if n_classes == 2:
        return (P > 0.5).astype(int)
    blocks = np.split(P, P.shape[1] // n_classes, axis=1)
    return np.column_stack([block.argmax(axis=1) for block in blocks])


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_equals_the_oracle(class_predictions, n_classes, alpha):
    P, y, _ = class_predictions(n_members=11, n_classes=n_classes)
    combiner = SelectiveVoteClassifier(alpha=alpha).fit(P, y)
    votes = votes_of(P, n_classes)
    labels, accepted, p = oracles.selective_vote(votes, n_classes, alpha)
    assert_array_equal(combiner.predict(P), labels)
    assert_array_equal(combiner.abstains(P), ~accepted)
    assert_allclose(combiner.p_value(P), p, rtol=1e-12)
    vote = combiner.predict_selective(P)
    assert_array_equal(vote.labels, labels)
    assert_array_equal(vote.accepted, accepted)
    assert_allclose(vote.p_value, p, rtol=1e-12)
    assert 0 < accepted.mean() < 1
    assert_allclose(
        combiner.predict_proba(P)[:, 1], (votes == 1).mean(axis=1), rtol=1e-15
    )
    hard = (votes == 1) if n_classes == 2 else np.eye(n_classes)[votes]
    hard = hard.astype(float).reshape(len(P), -1)
    again = SelectiveVoteClassifier(alpha=alpha).fit(hard, y)  # P of labels
    assert_array_equal(again.abstains(hard), combiner.abstains(P))
    assert_array_equal(selective_vote(votes, alpha).accepted, accepted)


def test_ties_abstain_and_go_to_the_first_class():
    P = np.array([[0.9, 0.1] * 4, [0.5] * 8])
    combiner = SelectiveVoteClassifier(alpha=0.5).fit(P, ["b", "a"])
    assert_array_equal(combiner.predict(P), ["a", "a"])
    assert_array_equal(combiner.abstains(P), [True, False])  # one half is class 0


def test_warns_of_too_few_members():
    P = np.ones((2, 5))
    with pytest.warns(UserWarning, match=r"No vote of 5 members .* at least 6") as seen:
        combiner = SelectiveVoteClassifier().fit(P, [0, 1])
    assert seen[0].filename == __file__
    assert combiner.n_min_ == 6
    assert combiner.abstains(P).all()
    P = np.ones((2, 6))
    assert not SelectiveVoteClassifier().fit(P, [0, 1]).abstains(P).any()


def test_in_a_stack():
    X, y = load_iris(return_X_y=True, as_frame=True)
    y = y.map({0: "setosa", 1: "versicolor", 2: "virginica"})
    members = [
        (f"tree_{i}", ExtraTreesClassifier(2, random_state=i, min_samples_leaf=5))
        for i in range(8)
    ]
    stack = StackedClassifier([*members, ("bayes", GaussianNB())])
    assert not hasattr(stack, "abstains")
    assert not hasattr(stack, "predict_selective")
    stack.set_params(combiner=SelectiveVoteClassifier())
    assert hasattr(stack, "abstains")
    assert hasattr(stack, "predict_selective")
    stack.fit(X, y)
    abstains = stack.abstains(X)
    assert abstains.dtype == bool
    assert 0 < abstains.mean() < 0.5
    right = stack.predict(X) == y.to_numpy()
    assert right[~abstains].mean() > right.mean()
    votes = np.column_stack(
        [stack.cross_fit_.estimators_[name].predict(X) for name, _ in stack.estimators]
    )
    labels, accepted, _ = oracles.selective_vote(votes, 3, 0.05)
    assert_array_equal(abstains, ~accepted)
    assert_array_equal(stack.predict(X), np.unique(y)[labels])
    vote = stack.predict_selective(X)
    assert_array_equal(vote.labels, np.unique(y)[labels])
    assert_array_equal(vote.accepted, accepted)
    p = oracles.selective_vote(votes, 3, 0.05)[2]
    assert_allclose(vote.p_value, p, rtol=1e-12)
    held = stack.predict_selective(X, correction="holm").accepted
    assert_array_equal(held, oracles.holm(p, 0.05))
    assert isinstance(vote, SelectiveVote)


def test_grid_over_alpha_and_frames(class_predictions):
    P, y, _ = class_predictions(n_members=9)
    frame = pd.DataFrame(P, columns=[f"m{i}" for i in range(9)])
    grid = {"alpha": [0.05, 0.2]}
    search = GridSearchCV(SelectiveVoteClassifier(), grid, cv=3).fit(frame, y)
    means = search.cv_results_["mean_test_score"]
    assert means[0] == means[1]  # accuracy reads predict, which always answers
    assert search.best_estimator_.abstains(frame).any()


def test_refuses_predictions_that_are_none():
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        SelectiveVoteClassifier().fit([[2.0] * 6, [0.0] * 6], [0, 1])
    with pytest.raises(ValueError, match=r"alpha.*range \(0.0, 1.0\)"):
        SelectiveVoteClassifier(alpha=1.0).fit([[1.0] * 6, [0.0] * 6], [0, 1])


def test_stacked_deep_trees_agree():
    X, y = load_iris(return_X_y=True)
    tree = DecisionTreeClassifier(random_state=0)
    stack = StackedClassifier(
        [(str(i), tree) for i in range(6)], SelectiveVoteClassifier()
    ).fit(X, y)
    assert not stack.abstains(X).any()


def test_what_is_set_after_fit_counts_from_the_next_fit_on(class_predictions):
    P, y, _ = class_predictions(n_members=11)
    names = np.array(["no", "yes"])[y]
    combiner = SelectiveVoteClassifier(alpha=0.05).fit(P, names)
    before = combiner.predict_selective(P, correction="holm"), combiner.abstains(P)
    assert before[0].labels.dtype == names.dtype
    combiner.set_params(alpha=0.9)
    after = combiner.predict_selective(P, correction="holm"), combiner.abstains(P)
    assert_array_equal(after[0].accepted, before[0].accepted)
    assert_array_equal(after[1], before[1])
    assert combiner.alpha_ == 0.05
    with pytest.raises(ValueError, match="correction is 'best'; expected"):
        combiner.predict_selective(P, correction="best")
