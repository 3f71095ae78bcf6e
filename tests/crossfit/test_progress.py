"""Lines of progress, and the tree of tasks that scikit-learn's callbacks see."""

import re
from collections import Counter

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from ensemblekit import _progress
from ensemblekit._progress import FitCallbacks, Progress
from ensemblekit._sklearn import CallbackSupportMixin, _fit_context
from ensemblekit._tasks import Outcome, run_tasks

from .tasks import fail_at, make_tasks

DONE = Outcome(None, None, "done")


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(_progress, "monotonic", lambda: now[0])
    return now


def test_a_line_at_most_every_half_second(clock, capsys):
    progress = Progress(1)
    for number, task in enumerate(make_tasks(2, 10)):
        clock[0] += 0.2
        progress(task, DONE, number + 1, 20)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 7 + 1  # the first, each third after it, and the last
    assert lines[0].startswith("[ 1 of 20] m0, fold 1 of 10: done | elapsed: 0.2s")
    assert lines[-1].startswith("[20 of 20] m1, fold 10 of 10: done | elapsed: 4.0s")
    assert lines[-1].endswith("left: 0.0s")


def test_failures_are_said_at_once(clock, capsys):
    progress = Progress(1)
    tasks = make_tasks(1, 4)
    for number, state in enumerate(["done", "done", "failed", "died"]):
        progress(tasks[number], Outcome(None, None, state), number + 1, 99)
    said = re.findall(r": (\w+) \|", capsys.readouterr().err)
    assert said == ["done", "failed", "died"]


@pytest.mark.parametrize("n_workers", [1, 2, 4])
def test_the_time_left_counts_workers(clock, capsys, n_workers):
    # Each task takes 10 s; four are done when 10 * 4 / n_workers have passed.
    progress = Progress(1, n_workers=n_workers)
    clock[0] = 10.0 * 4 / n_workers + 5.0 * (n_workers > 1)
    progress(make_tasks()[3], DONE, 4, 20)
    left = float(re.search(r"left: ([\d.]+)(s|min)", capsys.readouterr().err)[1])
    truth = 160.0 / n_workers
    assert left * (60 if truth > 60 else 1) == pytest.approx(truth, rel=0.25)


@pytest.mark.parametrize(("verbose", "stream"), [(0, None), (1, "err"), (50, "out")])
def test_streams_are_those_of_joblib(capsys, verbose, stream):
    Progress(verbose)(make_tasks()[0], DONE, 1, 20)
    said = capsys.readouterr()._asdict()
    assert {name for name, text in said.items() if text} == {stream} - {None}


class Counting:
    """Counts nodes by depth; asks for a stop after a number of leaves."""

    def __init__(self, stop_after=None):
        self.begun, self.ended = Counter(), Counter()
        self.names, self.calls = [], Counter()
        self.stop_after = stop_after

    def setup(self, estimator, context):
        self.calls["setup"] += 1

    def teardown(self, estimator, context):
        self.calls["teardown"] += 1

    def on_fit_task_begin(self, estimator, context):
        self.begun[depth(context)] += 1
        self.names.append(context.task_name)

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.ended[depth(context)] += 1
        if depth(context) == 0 and fitted_estimator is not None:
            self.calls["fitted"] = fitted_estimator.mean_
        return self.stop_after is not None and self.ended[2] >= self.stop_after


def depth(context):
    return 0 if context.parent is None else 1 + depth(context.parent)


class Fitter(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """A stand-in for a cross-fit: tasks, a combiner, an answer."""

    def __init__(self, n_members=3, n_folds=4, fail=None, n_jobs=None, constant=0):
        self.n_members = n_members
        self.n_folds = n_folds
        self.fail = fail
        self.n_jobs = n_jobs
        self.constant = constant

    _parameter_constraints: dict = {}

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        tasks = make_tasks(self.n_members, self.n_folds)
        plan = [(task.name, task.where) for task in tasks]
        with FitCallbacks(self, plan, ("combiner",), X=X, y=y) as callbacks:
            self.outcomes_ = run_tasks(
                fail_at, (self.fail,), tasks, n_jobs=self.n_jobs, on_done=callbacks
            )
            with callbacks.step("combiner"):
                self.mean_ = float(np.mean(y))
            callbacks.fitted(lambda: {"mean_": self.mean_})
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.fixture
def table():
    return np.arange(40.0).reshape(-1, 2), np.tile([0, 1], 10)


callbacks_only = pytest.mark.skipif(
    not hasattr(CallbackSupportMixin, "set_callbacks"), reason="before 1.9"
)


@callbacks_only
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_every_node_begins_and_ends_once(table, n_jobs):
    counting = Counting()
    Fitter(n_jobs=n_jobs).set_callbacks(counting).fit(*table)
    assert counting.begun == counting.ended == {0: 1, 1: 4, 2: 12}
    assert counting.calls == {"setup": 1, "teardown": 1, "fitted": 0.5}
    assert counting.names[0] == "fit"
    assert counting.names[-1] == "combiner"
    assert {"member m1", "fold 2 of 4"} <= set(counting.names)


@callbacks_only
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_what_has_begun_is_ended_if_a_member_fails(table, n_jobs):
    counting = Counting()
    fitter = Fitter(fail=6, n_jobs=n_jobs).set_callbacks(counting)
    with pytest.raises(ValueError, match="m1"):
        fitter.fit(*table)
    assert counting.begun == counting.ended
    assert counting.begun[0] == 1
    assert counting.calls == {"setup": 1, "teardown": 1}
    assert not [name for name in vars(fitter) if "callback_" in name]


@callbacks_only
def test_a_callback_can_stop_the_fit(table):
    counting = Counting(stop_after=5)
    fitter = Fitter().set_callbacks(counting).fit(*table)
    assert [outcome.state for outcome in fitter.outcomes_].count("done") == 5
    assert counting.begun == counting.ended


@callbacks_only
def test_a_callback_that_raises_ends_the_fit(table):
    class Broken(Counting):
        def on_fit_task_end(self, estimator, context):
            if depth(context) == 2:
                raise ZeroDivisionError("callback")

    broken = Broken()
    with pytest.raises(ZeroDivisionError, match="callback"):
        Fitter().set_callbacks(broken).fit(*table)
    assert broken.calls == {"setup": 1, "teardown": 1}


@callbacks_only
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("depth", [0, 1, None])
def test_scikit_learns_progress_bar(table, n_jobs, depth, capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    Fitter(n_jobs=n_jobs).set_callbacks(ProgressBar(depth)).fit(*table)
    shown = capsys.readouterr().out
    assert "Fitter - fit" in shown
    assert "Fitter - member m2 #2" in shown
    assert "100%" in shown


@callbacks_only
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_bar_of_a_search_shows_members(table, n_jobs, capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    search = GridSearchCV(Fitter(), {"constant": [0, 1]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(ProgressBar()).fit(*table)
    shown = capsys.readouterr().out
    assert "Fitter - fit" in shown
    assert "Fitter - member m0 #0" in shown


@callbacks_only
def test_callbacks_of_a_search_count_every_fit(table):
    class Propagated(Counting):
        max_propagation_depth = None

    counting = Propagated()
    search = GridSearchCV(Fitter(), {"constant": [0, 1]}, cv=2)
    search.set_callbacks(counting).fit(*table)
    assert counting.begun == counting.ended
    assert counting.names.count("combiner") == 2 * 2 + 1
    assert counting.calls["setup"] == counting.calls["teardown"] == 1


def test_without_callbacks_nothing_is_left(table):
    fitter = Fitter().fit(*table)
    assert set(vars(fitter)) == {*fitter.get_params(), "outcomes_", "mean_", "classes_"}
    assert LogisticRegression().fit(*table).classes_.tolist() == [0, 1]
