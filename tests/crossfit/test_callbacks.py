"""Progress and callbacks of the estimators themselves, also inside a search."""

import re

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB

from ensemblekit import CrossFit, StackedClassifier

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn >= 1.9")

X, Y = make_classification(120, n_features=5, random_state=0)
MEMBERS = [("linear", LogisticRegression()), ("bayes", GaussianNB())]


class Recorder:
    """Keeps the name of each task and how often it began and ended."""

    def __init__(self, stop_at=None):
        self.begun, self.ended, self.stop_at = [], [], stop_at

    def setup(self, estimator, context):
        self.begun.clear()
        self.ended.clear()

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context):
        self.ended.append(context.task_name)
        return context.task_name == self.stop_at


def test_a_stack_tells_of_members_folds_and_combiner():
    recorder = Recorder()
    StackedClassifier(MEMBERS, cv=3).set_callbacks(recorder).fit(X, Y)
    assert sorted(recorder.begun) == sorted(recorder.ended)
    names = set(recorder.begun)
    assert {"fit", "member linear", "member bayes", "combiner"} <= names
    for fold in (1, 2, 3):
        assert recorder.begun.count(f"fold {fold} of 3") == 2
    assert 1 <= recorder.begun.count("all rows") <= 2


def test_a_cross_fit_tells_of_members_and_folds():
    recorder = Recorder()
    CrossFit(MEMBERS, cv=3, refit="none").set_callbacks(recorder).fit(X, Y)
    assert sorted(recorder.begun) == sorted(recorder.ended)
    assert len(recorder.begun) == 1 + 2 + 2 * 3


def test_a_member_that_fails_ends_what_has_begun():
    recorder = Recorder()
    members = [*MEMBERS, ("broken", LogisticRegression(C=-1.0))]
    with pytest.raises(ValueError, match="'broken'"):
        StackedClassifier(members, cv=3).set_callbacks(recorder).fit(X, Y)
    assert sorted(recorder.begun) == sorted(recorder.ended)
    kept = [name for name in vars(members[0][1]) if "callback" in name]
    assert kept == []


def test_a_callback_may_stop_the_fit_between_members():
    recorder = Recorder(stop_at="member linear")
    crossfit = CrossFit(MEMBERS, cv=3, refit="none").set_callbacks(recorder)
    with pytest.warns(UserWarning, match="'bayes' is left out.*a callback asked"):
        crossfit.fit(X, Y)
    assert list(crossfit.method_) == ["linear"]
    assert np.isfinite(crossfit.oof_predictions_).all()


def test_a_progress_bar_of_a_search_shows_members(capsys):
    pytest.importorskip("rich")
    bar = callback.ProgressBar(max_propagation_depth=3)
    stacked = StackedClassifier(MEMBERS, cv=2)
    search = GridSearchCV(stacked, {"passthrough": [False]}, cv=2)
    search.set_callbacks(bar).fit(X, Y)
    assert "member linear" in capsys.readouterr().out


def test_verbose_prints_finished_tasks_and_the_time_left(capsys):
    StackedClassifier(MEMBERS, cv=3, verbose=1).fit(X, Y)
    lines = capsys.readouterr().err.splitlines()
    assert re.match(r"\[ ?\d of 6\] linear, fold \d of 3: done \| elapsed", lines[0])
    assert all(" left: " in line for line in lines)
    assert any("all rows" in line for line in lines)
    StackedClassifier(MEMBERS, cv=3).fit(X, Y)
    assert capsys.readouterr().err == ""
