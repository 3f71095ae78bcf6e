"""What a reader found by using cross-fits and stacks: each case by itself."""

import importlib
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.datasets import make_regression
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LassoCV, Ridge, SGDRegressor
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ensemblekit import CrossFit, StackedRegressor

X, Y = make_regression(120, 4, noise=5.0, random_state=0)
M = [("ridge", Ridge()), ("near", KNeighborsRegressor())]
GROUPS = np.repeat(np.arange(12), 10)

HELPER = """
from sub{number} import deep
def make(X):
    return X * {factor}
"""
USER = """
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
import helper{number}
class Features(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self
    def transform(self, X):
        return helper{number}.make(X) + helper{number}.deep.shift(X)
"""


def load_modules(folder, number, factor, shift):
    """Write a class, its helper module and the helper's, and import them anew."""
    sub = folder / f"sub{number}"
    sub.mkdir(exist_ok=True)
    (sub / "__init__.py").write_text("")
    (sub / "deep.py").write_text(f"def shift(X):\n    return {shift}\n")
    text = HELPER.format(number=number, factor=factor)
    (folder / f"helper{number}.py").write_text(text)
    (folder / f"user{number}.py").write_text(USER.format(number=number))
    names = f"sub{number}", f"sub{number}.deep", f"helper{number}", f"user{number}"
    for name in names:
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    return importlib.import_module(names[-1]).Features()


@pytest.mark.parametrize(
    ("number", "factor", "shift"), [(1, 1.5, 0.0), (2, 1.0, 0.5), (3, 1.0, 0.0)]
)
def test_helpers_of_modules_count(tmp_path, monkeypatch, number, factor, shift):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    fits = []
    for settings in ((1.0, 0.0), (factor, shift)):
        features = load_modules(tmp_path, number, *settings)
        member = make_pipeline(features, Ridge())
        memory = tmp_path / "cache"
        memory.mkdir(mode=0o700, exist_ok=True)
        fits.append(CrossFit([("own", member)], memory=memory).fit(X, Y).n_fits_)
    changed = (factor, shift) != (1.0, 0.0)
    assert fits == [5, 5 if changed else 0]


def test_settings_without_consequence_cost_no_fit(tmp_path):
    memory = tmp_path / "cache"
    stacks = [StackedRegressor(M, n_jobs=n, verbose=0) for n in (None, 1)]
    fits = [
        CrossFit([("stack", stack)], cv=3, memory=memory).fit(X, Y).n_fits_
        for stack in [*stacks, StackedRegressor(M, cv=4)]
    ]
    assert fits == [3, 0, 3]


def test_groups_reach_stacks_in_stacks():
    inner = make_pipeline(StandardScaler(), StackedRegressor(M, refit="none"))
    outer = CrossFit([("stack", inner)], cv=GroupKFold(3), refit="all")
    outer.fit(X, Y, groups=GROUPS)
    stack = outer.estimators_["stack"][-1]
    for train, test in stack.cross_fit_.splits_:
        assert not set(GROUPS[train]) & set(GROUPS[test])


def test_repeats_begin_with_the_splits_of_the_splitter():
    cv = KFold(3, shuffle=True, random_state=5)
    one, two = (CrossFit(M, cv=cv, n_repeats=2).fit(X, Y).splits_ for _ in range(2))
    for (train, test), (again, held) in zip(one, two, strict=True):
        assert_array_equal(train, again)
        assert_array_equal(test, held)
    for (_, test), (_, held) in zip(one, cv.split(X), strict=False):
        assert_array_equal(test, held)
    assert not np.array_equal(one[0][1], one[3][1])


def test_a_seed_fixes_the_splits():
    cv = KFold(3, shuffle=True)
    one, two = (CrossFit(M, cv=cv, random_state=0).fit(X, Y) for _ in range(2))
    assert_array_equal(one.oof_predictions_, two.oof_predictions_)
    assert cv.random_state is None


@pytest.mark.parametrize(
    "member", [MLPRegressor(early_stopping=True, max_iter=20), SGDRegressor()]
)
@pytest.mark.parametrize("rows", ["held_out", (X[:20], Y[:20])])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")
def test_members_that_take_no_rows_say_so(member, rows):
    member.set_params(early_stopping=True)
    with pytest.warns(UserWarning, match="'own' .* rows, and takes no others"):
        CrossFit([("own", member)], cv=2, early_stopping=rows).fit(X, Y)


def test_rounds_of_gradient_boosting_are_reported_and_refitted():
    member = GradientBoostingRegressor(n_estimators=400, n_iter_no_change=3)
    fitted = CrossFit([("own", member)], random_state=0, refit="all").fit(X, Y)
    (row,) = fitted.report_
    assert row["early_stopping"] == "inner"
    expected = round(np.mean(row["rounds"]) * 5 / 4)
    assert max(row["rounds"]) < 400
    assert len(fitted.estimators_["own"].estimators_) == expected


@pytest.mark.parametrize(
    "combiner",
    [
        GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}),
        LassoCV(),
        make_pipeline(StandardScaler(), LassoCV()),
    ],
)
def test_combiners_of_scikit_learn_divide_rows_as_members_do(combiner):
    stack = StackedRegressor(M, combiner, cv=GroupKFold(4)).fit(X, Y, groups=GROUPS)
    splits = getattr(stack.combiner_, "steps", [(None, stack.combiner_)])[-1][1].cv
    for train, test in splits:
        assert not set(GROUPS[train]) & set(GROUPS[test])
    alone = StackedRegressor(M, combiner).fit(X, Y)
    last = getattr(alone.combiner_, "steps", [(None, alone.combiner_)])[-1][1]
    assert last.cv is None  # rows are alike: its own folds will do
    assert len(alone.leaderboard_) == 3


class Splitting(RegressorMixin, BaseEstimator):
    """A combiner of somebody else, whose cv may mean anything."""

    def __init__(self, cv=3):
        self.cv = cv

    def fit(self, P, y):
        self.mean_ = np.mean(y)
        return self

    def predict(self, P):
        return np.full(len(P), self.mean_)


def test_foreign_combiners_keep_their_cv():
    stack = StackedRegressor(M, Splitting(), cv=GroupKFold(4))
    assert stack.fit(X, Y, groups=GROUPS).combiner_.cv == 3


def test_an_audit_refuses_other_rows():
    stack = StackedRegressor(M, Ridge()).fit(X, Y)
    assert stack.audit(X, Y).verdict != "fail"
    with pytest.raises(ValueError, match="not those given to fit"):
        stack.audit(X[::-1], Y)


@pytest.mark.parametrize("cv", [3, GroupKFold(3)])
def test_groups_without_a_name_are_refused(cv):
    groups = GROUPS.astype(float)
    groups[[3, 7]] = np.nan
    with pytest.raises(
        ValueError, match=r"groups is None or NaN \(2 rows, first at row 3"
    ):
        CrossFit(M, cv=cv).fit(X, Y, groups=groups)


def test_all_sparse_formats_are_read():
    expected = CrossFit(M, cv=3).fit(sparse.csr_matrix(X), Y).oof_predictions_
    found = CrossFit(M, cv=3).fit(sparse.dok_matrix(X), Y).oof_predictions_
    assert_allclose(found, expected)


class Failing(DummyRegressor):
    def fit(self, X, y):
        raise RuntimeError("no")


def test_a_member_that_was_left_out_can_be_removed():
    members = [*M, ("bad", Failing())]
    stack = StackedRegressor(members, Ridge(), on_error="drop")
    with pytest.warns(UserWarning, match="'bad' is left out"):
        stack.fit(X, Y)
    stack.remove("bad", X, Y)
    assert [name for name, _ in stack.estimators] == ["ridge", "near"]
    with pytest.raises(ValueError, match="Unknown members"):
        stack.remove("bad", X, Y)


def test_too_few_members_are_refused_before_the_fit():
    with pytest.raises(ValueError, match="estimators has 2 members; min_members=3"):
        CrossFit(M, min_members=3).fit(X, Y)
