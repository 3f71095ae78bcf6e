"""CV+ around estimators and around stacks that keep their fold models."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GroupKFold, KFold, LeaveOneOut, ShuffleSplit
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from ensemblekit import (
    ConformalRegressor,
    ConvexRegressor,
    ResidualQuantileRegressor,
    StackedQuantileRegressor,
    StackedRegressor,
    cross_conformal_interval,
)

from . import oracles_cross

MEMBERS = [("line", LinearRegression()), ("near", KNeighborsRegressor(7))]
QUANTILE_MEMBERS = [(name, ResidualQuantileRegressor(m)) for name, m in MEMBERS]
SHUFFLED = KFold(4, shuffle=True, random_state=3)


@parametrize_with_checks(
    [
        ConformalRegressor(Ridge(), method="cv+", cv=3),
        ConformalRegressor(Ridge(), method="jackknife+ab"),
    ]
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


def diabetes(n=120, n_new=30):
    X, y = load_diabetes(return_X_y=True)
    return X[:n], y[:n], X[n : n + n_new]


def cv_plus(estimator=None, **options):
    estimator = LinearRegression() if estimator is None else estimator
    return ConformalRegressor(estimator, method="cv+", **options)


@pytest.mark.parametrize("cv", [None, 7, SHUFFLED, LeaveOneOut()])
def test_equals_models_fitted_by_hand(cv):
    X, y, new = diabetes(60)
    conformal = cv_plus(cv=cv).fit(X, y)
    splitter = {None: KFold(5), 7: KFold(7)}.get(cv, cv)
    scores, centres = np.empty(60), np.empty((30, 60))
    for train, test in splitter.split(X):
        model = LinearRegression().fit(X[train], y[train])
        scores[test] = np.abs(y[test] - model.predict(X[test]))
        centres[:, test] = model.predict(new)[:, None]
    for alpha in (0.1, 0.4):
        found = conformal.predict_interval(new, alpha)
        assert_array_equal(found, oracles_cross.plus(centres, scores, alpha))
    assert_array_equal(
        conformal.predict(new), LinearRegression().fit(X, y).predict(new)
    )
    assert conformal.n_calibration_ == 60


def test_splits_that_are_no_partition_are_refused():
    X, y, _ = diabetes(40)
    with pytest.raises(ValueError, match="cv that holds out each row exactly once"):
        cv_plus(cv=ShuffleSplit(3, random_state=0)).fit(X, y)


def test_weights_reach_the_models_and_a_weight_of_zero_calibrates_nothing():
    X, y, new = diabetes(60)
    weight = np.random.default_rng(0).integers(0, 3, 60).astype(float)
    pipeline = make_pipeline(StandardScaler(), Ridge(1.0))
    conformal = cv_plus(pipeline, cv=SHUFFLED).fit(X, y, sample_weight=weight)
    scores, centres = np.empty(60), np.empty((30, 60))
    for train, test in SHUFFLED.split(X):
        model = clone(pipeline).fit(
            X[train], y[train], ridge__sample_weight=weight[train]
        )
        scores[test] = np.abs(y[test] - model.predict(X[test]))
        centres[:, test] = model.predict(new)[:, None]
    used = weight > 0
    wanted = oracles_cross.plus(centres[:, used], scores[used], 0.1)
    assert_array_equal(conformal.predict_interval(new), wanted)
    assert conformal.n_calibration_ == used.sum() < 60


def test_groups_go_to_the_splitter():
    X, y, new = diabetes(60)
    groups = np.random.default_rng(0).integers(0, 12, 60)
    conformal = cv_plus(cv=GroupKFold(4)).fit(X, y, groups=groups)
    folds = conformal.calibrated_.parts.folds
    for group in np.unique(groups):
        assert len(np.unique(folds[groups == group])) == 1
    with pytest.raises(ValueError, match="leave groups out"):
        conformal.predict_interval(new, groups=groups[:30])


def test_results_do_not_depend_on_the_number_of_jobs():
    X, y, new = diabetes(80)
    tree = DecisionTreeRegressor(max_features=2)
    each = [cv_plus(tree, n_jobs=n_jobs, random_state=0).fit(X, y) for n_jobs in (1, 2)]
    assert_array_equal(*[conformal.predict_interval(new) for conformal in each])
    again = cv_plus(tree, random_state=0).fit(X, y)
    assert_array_equal(again.predict_interval(new), each[0].predict_interval(new))
    other = cv_plus(tree, random_state=1).fit(X, y)
    assert (other.predict_interval(new) != each[0].predict_interval(new)).any()


class CountedRegressor(RegressorMixin, BaseEstimator):
    """A constant model that counts the fits of all its clones."""

    fits = 0

    def fit(self, X, y):
        CountedRegressor.fits += 1
        self.mean_ = np.mean(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_) + X[:, 0]


@pytest.mark.parametrize("refit", ["none", "selected", "all"])
def test_a_stack_fits_each_member_once_on_each_fold(refit):
    X, y, new = diabetes(60)
    CountedRegressor.fits = 0
    members = [*MEMBERS, ("counted", CountedRegressor())]
    conformal = cv_plus(StackedRegressor(members, cv=4, refit=refit)).fit(X, y)
    conformal.predict_interval(new)
    assert CountedRegressor.fits == 4
    assert conformal.calibrated_.parts.model.cross_fit_.n_fits_ == 4 * len(members)


def by_hand(stack, new):
    """Held-out and new predictions of the combiner without each fold."""
    library, crossfit = stack.library_, stack.cross_fit_
    held_out, each = np.empty(library.n_samples), []
    for fold, (_, test) in enumerate(crossfit.splits_):
        rest = library.folds != fold
        combiner = clone(stack._resolve_combiner()).fit(
            library.P[rest], library.y[rest]
        )
        held_out[test] = combiner.predict(library.P[test])
        models = [crossfit.fold_estimators_[name][fold] for name in library.names]
        P = np.column_stack([model.predict(new) for model in models])
        each.append(combiner.predict(P))
    return held_out, np.column_stack(each)


@pytest.mark.parametrize("combiner", [None, LinearRegression()])
def test_a_stack_equals_its_combiner_fitted_without_each_fold(combiner):
    X, y, new = diabetes()
    stack = StackedRegressor(MEMBERS, combiner, cv=SHUFFLED, refit="none")
    conformal = cv_plus(stack).fit(X, y)
    fitted = clone(stack).fit(X, y)
    held_out, centres = by_hand(fitted, new)
    wanted = cross_conformal_interval(y, held_out, fitted.library_.folds, centres)
    assert_allclose(conformal.predict_interval(new), wanted, rtol=1e-12)
    assert_array_equal(conformal.predict(new), fitted.predict(new))


def test_a_stack_without_folds_of_its_own_takes_those_given():
    X, y, new = diabetes()
    given = cv_plus(StackedRegressor(MEMBERS), cv=SHUFFLED).fit(X, y)
    for cv in (None, SHUFFLED):
        own = cv_plus(StackedRegressor(MEMBERS, cv=SHUFFLED), cv=cv).fit(X, y)
        assert_array_equal(given.predict_interval(new), own.predict_interval(new))


def test_a_stack_leaves_the_estimator_as_it_was():
    X, y, _ = diabetes(60)
    stack = StackedRegressor(MEMBERS)
    before = stack.get_params()
    cv_plus(stack, cv=3, n_jobs=1, random_state=0).fit(X, y)
    assert stack.get_params() == before
    assert not hasattr(stack, "combiner_")


def test_a_stack_that_passes_features_through():
    X, y, new = diabetes()
    stack = StackedRegressor(MEMBERS, Ridge(1.0), passthrough=True, cv=4)
    conformal = cv_plus(stack).fit(X, y)
    fitted = clone(stack).set_params(refit="none").fit(X, y)
    crossfit, joined = fitted.cross_fit_, np.hstack([fitted.oof_predictions_, X])
    held_out, centres = np.empty(len(y)), []
    for fold, (_, test) in enumerate(crossfit.splits_):
        rest = np.setdiff1d(np.arange(len(y)), test)
        combiner = Ridge(1.0).fit(joined[rest], y[rest])
        held_out[test] = combiner.predict(joined[test])
        P = crossfit.only_fold(fold).transform(new)
        centres.append(combiner.predict(np.hstack([P, new])))
    wanted = cross_conformal_interval(
        y, held_out, fitted.library_.folds, np.column_stack(centres)
    )
    assert_allclose(conformal.predict_interval(new), wanted, rtol=1e-12)


def test_weights_reach_the_combiners_of_a_stack():
    X, y, _ = diabetes()
    weight = np.random.default_rng(0).integers(1, 4, len(y)).astype(float)
    stack = StackedRegressor(
        [("line", LinearRegression()), ("ridge", Ridge(1.0))], cv=4
    )
    conformal = cv_plus(stack).fit(X, y, sample_weight=weight)
    library = conformal.calibrated_.parts.model.library_
    for fold, (without, _) in enumerate(conformal.calibrated_.parts.fold_models):
        rest = library.folds != fold
        wanted = ConvexRegressor().fit(library.P[rest], y[rest], weight[rest])
        assert_array_equal(without.weights_, wanted.weights_)


def quantiles_by_hand(stack, new, alpha):
    """Scores and quantiles of cross-CQR from the stack's own library."""
    library, crossfit = stack.library_, stack.cross_fit_
    columns = [np.searchsorted(library.quantile_levels, alpha / 2), -1]
    columns[1] = len(library.quantile_levels) - 1 - columns[0]
    scores, ends = np.empty(library.n_samples), []
    for fold, (_, test) in enumerate(crossfit.splits_):
        rest = library.folds != fold
        combiner = stack._new_combiner().fit(library.P[rest], library.y[rest])
        own = combiner.predict_quantiles(library.P[test])[:, columns]
        y = library.y[test]
        scores[test] = np.maximum(own[:, 0] - y, y - own[:, 1])
        P = crossfit.only_fold(fold).transform(new)
        ends.append(combiner.predict_quantiles(P)[:, columns])
    return scores, np.stack(ends, axis=2)[:, :, library.folds]


@pytest.mark.parametrize("alpha", [0.1, 0.5])
def test_a_stack_of_quantiles_calibrates_its_quantiles(alpha):
    X, y, new = diabetes()
    stack = StackedQuantileRegressor(QUANTILE_MEMBERS, cv=4, refit="none")
    conformal = cv_plus(stack).fit(X, y)
    scores, ends = quantiles_by_hand(clone(stack).fit(X, y), new, alpha)
    low, high = oracles_cross.ranks(len(y), alpha)
    found = conformal.predict_interval(new, alpha)
    for row in range(len(new)):
        lower = oracles_cross.pick(list(ends[row, 0] - scores), low)
        upper = oracles_cross.pick(list(ends[row, 1] + scores), high)
        assert_allclose(found[row], [lower, upper], rtol=1e-12)


def test_any_estimator_of_quantiles_is_calibrated_at_them():
    X, y, new = diabetes()
    member = ResidualQuantileRegressor(LinearRegression())
    conformal = cv_plus(member, alpha=[0.1, 0.3], cv=4).fit(X, y)
    assert_allclose(
        conformal.calibrated_.parts.levels, [0.05, 0.15, 0.5, 0.85, 0.95], rtol=1e-15
    )
    scores, ends = np.empty(len(y)), []
    folds = conformal.calibrated_.parts.folds
    levels = [0.15, 0.85]
    for fold in range(4):
        rest = folds != fold
        model = clone(member).set_params(quantile_levels=levels).fit(X[rest], y[rest])
        own = model.predict_quantiles(X[~rest])
        scores[~rest] = np.maximum(own[:, 0] - y[~rest], y[~rest] - own[:, 1])
        ends.append(model.predict_quantiles(new))
    ends = np.stack(ends, axis=2)[:, :, folds]
    low, high = oracles_cross.ranks(len(y), 0.3)
    wanted = [
        [
            oracles_cross.pick(list(lower - scores), low),
            oracles_cross.pick(list(upper + scores), high),
        ]
        for lower, upper in ends
    ]
    assert_allclose(conformal.predict_interval(new, 0.3), wanted, rtol=1e-12)


@pytest.mark.parametrize(
    "estimator",
    [
        LinearRegression(),
        StackedRegressor(MEMBERS, cv=3),
        StackedQuantileRegressor(QUANTILE_MEMBERS, cv=3),
    ],
)
def test_pickled_intervals_are_the_same(estimator):
    X, y, new = diabetes(60)
    conformal = cv_plus(estimator).fit(X, y)
    again = pickle.loads(pickle.dumps(conformal))
    assert_array_equal(again.predict_interval(new), conformal.predict_interval(new))


class NormalRegressor(RegressorMixin, BaseEstimator):
    """Normal quantiles around a line, of the residuals' deviation times a factor."""

    def __init__(self, factor, quantile_levels=None):
        self.factor = factor
        self.quantile_levels = quantile_levels

    def fit(self, X, y):
        self.line_ = LinearRegression().fit(X, y)
        self.deviation_ = self.factor * np.std(y - self.line_.predict(X))
        return self

    def predict(self, X):
        return self.line_.predict(X)

    def predict_quantiles(self, X):
        steps = self.deviation_ * stats.norm.ppf(self.quantile_levels)
        return self.predict(X)[:, None] + steps


def made(rng, n):
    X = rng.normal(size=(n, 2))
    return X, X[:, 0] + (0.5 + np.abs(X[:, 1])) * rng.normal(size=n)


@pytest.mark.parametrize("kind", ["plain", "stack", "quantiles"])
def test_coverage_over_many_draws(kind):
    # Stacks are an approximation of CV+: their coverage is looked at, not proven.
    estimator = {
        "plain": LinearRegression(),
        "stack": StackedRegressor(
            [("line", LinearRegression()), ("near", KNeighborsRegressor(5))], cv=4
        ),
        "quantiles": StackedQuantileRegressor(
            [("wide", NormalRegressor(1.0)), ("narrow", NormalRegressor(0.3))],
            quantile_levels=[0.1, 0.5, 0.9],
            cv=4,
        ),
    }[kind]
    rng = np.random.default_rng(12)
    draws, hits = {"plain": 200, "stack": 120, "quantiles": 80}[kind], 0
    for _ in range(draws):
        X, y = made(rng, 41)
        conformal = cv_plus(estimator, cv=4).fit(X[:40], y[:40])
        low, high = conformal.predict_interval(X[40:], 0.2)[0]
        hits += low <= y[40] <= high
    assert stats.binomtest(hits, draws, 0.6, alternative="less").pvalue > 1e-4
    assert stats.binomtest(hits, draws, 0.8, alternative="less").pvalue > 1e-3
    assert stats.binomtest(hits, draws, 0.9, alternative="greater").pvalue > 1e-3


def test_equals_mapie_bitwise():
    mapie = pytest.importorskip("mapie.regression", reason="MAPIE is not installed")
    X, y, new = diabetes()
    theirs = mapie.CrossConformalRegressor(
        LinearRegression(), confidence_level=0.9, cv=KFold(5), method="plus"
    ).fit_conformalize(X, y)
    wanted = theirs.predict_interval(new)[1][:, :, 0]
    assert_array_equal(cv_plus(cv=KFold(5)).fit(X, y).predict_interval(new), wanted)
