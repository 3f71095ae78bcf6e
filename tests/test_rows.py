"""Which rows train and which calibrate: the same rules for every estimator."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.validation import check_is_fitted

from ensemblekit import (
    AdaptiveConformalRegressor,
    ConformalClassifier,
    ConformalPredictiveRegressor,
    ConformalRegressor,
    ConformalSelector,
    EnbPIRegressor,
    MultiOutputConformalRegressor,
    ResidualQuantileRegressor,
)
from ensemblekit._members import is_frozen
from ensemblekit._rows import (
    calibration_rows,
    count_held_out,
    hold_out,
    last_rows,
)

SEEDED = {"random_state": 0}
ESTIMATORS = {
    "split": ConformalRegressor(Ridge(), **SEEDED),
    "scaled": ConformalRegressor(Ridge(), normalizer=Ridge(), **SEEDED),
    "cqr": ConformalRegressor(
        ResidualQuantileRegressor(Ridge()), method="cqr", **SEEDED
    ),
    "classifier": ConformalClassifier(GaussianNB(), **SEEDED),
    "classes": ConformalClassifier(GaussianNB(), class_conditional=True, **SEEDED),
    "outputs": MultiOutputConformalRegressor(Ridge(), **SEEDED),
    "predictive": ConformalPredictiveRegressor(Ridge(), **SEEDED),
    "adaptive": AdaptiveConformalRegressor(Ridge()),
    "selector": ConformalSelector(Ridge(), fdr=0.3, **SEEDED),
}
WITH_CV = ["split", "cqr", "classifier", "classes", "outputs"]


def table(n=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, X[:, 0] + 0.5 * rng.normal(size=n)


def target_of(name, y):
    """The target that an estimator of this name is fitted on."""
    if name in ("classifier", "classes"):
        return (y > 0.0).astype(int)
    return np.column_stack([y, 2.0 * y]) if name == "outputs" else y


def n_calibration(model):
    if isinstance(model, ConformalClassifier):
        return model.calibration_counts_.sum()
    if isinstance(model, ConformalPredictiveRegressor):
        return sum(map(len, model.residuals_))
    if isinstance(model, MultiOutputConformalRegressor):
        return len(model.calibration_scores_)
    if isinstance(model, AdaptiveConformalRegressor):
        return len(model._state.scores)
    if isinstance(model, EnbPIRegressor):
        return len(model.residuals_)
    return model.n_calibration_


def outcome(model, X):
    """What the calibration of a model decides about rows."""
    if isinstance(model, ConformalSelector):
        return model.p_values(X)
    if isinstance(model, ConformalClassifier):
        return model.predict_set(X, [0.1, 0.3])
    return model.predict_interval(X)


@pytest.mark.parametrize("name", [*ESTIMATORS, "enbpi"])
def test_rows_of_weight_0_are_as_if_they_were_not_there(name):
    model = {**ESTIMATORS, "enbpi": EnbPIRegressor(Ridge(), **SEEDED)}[name]
    X, y = table()
    weight = np.where(np.arange(200) % 2, 1.0, 0.0)
    used = weight > 0.0
    moved = target_of(name, np.where(used, y, 1e6))
    weighted = clone(model).fit(X, moved, sample_weight=weight)
    y = target_of(name, y)
    without = clone(model).fit(X[used], y[used], sample_weight=weight[used])
    assert_array_equal(outcome(weighted, X), outcome(without, X))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_size_is_a_number_of_rows_of_positive_weight(name):
    X, y = table()
    weight = np.where(np.arange(200) % 2, 1.0, 0.0)
    model = clone(ESTIMATORS[name]).set_params(calibration_size=50)
    model.fit(X, target_of(name, y), sample_weight=weight)
    assert n_calibration(model) == 50


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize(
    ("size", "count"), [(np.int64(50), 50), (np.uint8(50), 50), (0.231, 47), (0.07, 14)]
)
def test_sizes_are_any_integer_or_a_share_rounded_up(name, size, count):
    X, y = table()
    model = clone(ESTIMATORS[name]).set_params(calibration_size=size)
    assert n_calibration(model.fit(X, target_of(name, y))) == count


def test_shares_are_exact_decimals():
    assert 0.07 * 100 > 7
    assert count_held_out(0.07, 100) == 7
    for hundredths in range(1, 100):
        assert count_held_out(hundredths / 100, 100) == hundredths


@pytest.mark.parametrize("name", ["split", "cqr", "classifier", "classes"])
def test_a_splitter_is_given_the_groups(name):
    X, y = table()
    groups = np.arange(200) // 8
    model = clone(ESTIMATORS[name]).set_params(cv=GroupKFold(4), alpha=0.5)
    model.fit(X, target_of(name, y), groups=groups)
    _, held = next(GroupKFold(4).split(X, y, groups))
    assert n_calibration(model) == len(held)
    calibrated = (
        model.groups_ if hasattr(model, "groups_") else list(model.group_counts_)
    )
    assert_array_equal(np.sort(calibrated), np.unique(groups[held]))


class Halves:
    """A splitter that knows of no groups."""

    def split(self, X, y):
        yield np.arange(len(y) // 2), np.arange(len(y) // 2, len(y))

    def get_n_splits(self, X=None, y=None):
        return 1


@pytest.mark.parametrize("cv", [KFold(2), Halves(), [(range(100), range(100, 200))]])
def test_splitters_without_use_for_groups(cv):
    X, y = table()
    model = clone(ESTIMATORS["split"]).set_params(cv=cv)
    assert model.fit(X, y, groups=np.arange(200) % 2).n_calibration_ == 100


@pytest.mark.parametrize("name", WITH_CV)
def test_an_int_cv_draws_one_part_in_so_many(name):
    X, y = table(203)
    y = target_of(name, np.sort(y))  # the first rows are of one class
    model = clone(ESTIMATORS[name]).set_params(cv=4).fit(X, y)
    assert n_calibration(model) == 51
    share = clone(ESTIMATORS[name]).set_params(calibration_size=51).fit(X, y)
    assert_array_equal(outcome(model, X), outcome(share, X))


class FirstColumn(ClassifierMixin, BaseEstimator):
    """The column of X is the probability of class 0."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        p = np.column_stack([X[:, 0], 1.0 - X[:, 0]])
        return p if len(self.classes_) == 2 else np.ones((len(X), 1))

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def rare_class_hits(cv, n_draws, n=45):
    """In how many draws the set of a new row holds its class, of which one is rare."""
    rng, hits = np.random.default_rng(0), 0
    for draw in range(n_draws):
        y = (rng.random(n + 1) < 0.05).astype(int)
        X = rng.uniform(0.6, 1.0, (n + 1, 1))
        model = ConformalClassifier(FirstColumn(), cv=cv, random_state=draw)
        sets = model.fit(X[:n], y[:n]).predict_set(X[n:])
        hits += int(sets[0, model.classes_ == y[n]].any())
    return hits


@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
def test_an_int_cv_covers_where_a_rare_class_is_scored_badly():
    # Stratified folds leave 1 to 4 rows of the rare class out of the first fold, whose
    # threshold is then that of the other class alone.
    n_draws = 2000
    drawn = stats.binomtest(rare_class_hits(5, n_draws), n_draws, 0.9, "less")
    assert drawn.pvalue > 1e-4
    hits = rare_class_hits(StratifiedKFold(5), n_draws)
    assert stats.binomtest(hits, n_draws, 0.9, "less").pvalue < 1e-4


def test_classes_with_own_thresholds_may_be_split_by_class():
    X, y = table()
    model = clone(ESTIMATORS["classes"]).set_params(cv=StratifiedKFold(4))
    y = target_of("classes", y)
    _, held = next(StratifiedKFold(4).split(X, y))
    assert_array_equal(
        model.fit(X, y).calibration_counts_[0], np.bincount(y[held], minlength=2)
    )


FROZEN = {
    "split": Ridge(),
    "cqr": ResidualQuantileRegressor(Ridge()),
    "classifier": GaussianNB(),
    "predictive": Ridge(),
    "adaptive": Ridge(),
    "selector": Ridge(),
}


@pytest.mark.parametrize("name", [*FROZEN, "enbpi", "one output", "bonferroni"])
def test_a_frozen_estimator_leaves_all_rows_to_calibrate(name):
    others = {
        "enbpi": EnbPIRegressor(Ridge(), n_resamples=2, **SEEDED),
        "one output": MultiOutputConformalRegressor(Ridge(), **SEEDED),
        "bonferroni": MultiOutputConformalRegressor(
            Ridge(), region="bonferroni", **SEEDED
        ),
    }
    model = clone({**ESTIMATORS, **others}[name])
    X, y = table()
    y = target_of("outputs" if name == "bonferroni" else name, y)
    frozen = FrozenEstimator(FROZEN.get(name, Ridge()).fit(X[:50], y[:50]))
    model.set_params(estimator=frozen).fit(X[50:], y[50:])
    assert n_calibration(model) == 150


def test_not_where_something_else_is_to_be_trained():
    X, y = table()
    frozen = FrozenEstimator(Ridge().fit(X, y))
    one = {"estimator": frozen}
    for name in ("scaled", "predictive", "outputs", "selector"):
        model = clone(ESTIMATORS[name])
        if name == "predictive":
            model.set_params(normalizer=DecisionTreeRegressor(max_depth=1))
        if name == "outputs":
            two = target_of(name, y)
            model.set_params(estimator=FrozenEstimator(Ridge().fit(X, two)))
            model.fit(X, two)
        elif name == "selector":
            both = [("frozen", frozen), ("new", Ridge())]
            model.set_params(estimator=None, estimators=both).fit(X, y)
        else:
            model.set_params(**one).fit(X, y)
        assert n_calibration(model) == 50


@pytest.mark.parametrize("name", ["split", "predictive", "adaptive", "selector"])
def test_a_pipeline_that_only_ends_frozen_is_trained(name):
    X, y = table()
    frozen = FrozenEstimator(Ridge().fit(X, y))
    scaled = make_pipeline(StandardScaler(), frozen)
    with pytest.raises(NotFittedError):
        scaled.predict(X)
    model = clone(ESTIMATORS[name]).set_params(estimator=scaled).fit(X, y)
    assert n_calibration(model) == 50
    outcome(model, X)


def test_what_is_frozen():
    X, y = table()
    frozen, scaler = FrozenEstimator(Ridge().fit(X, y)), StandardScaler().fit(X)
    assert is_frozen(frozen)
    assert is_frozen(make_pipeline(FrozenEstimator(scaler), frozen))
    assert is_frozen(make_pipeline("passthrough", FunctionTransformer(), frozen))
    assert not is_frozen(make_pipeline(scaler, frozen))
    assert not is_frozen(make_pipeline(make_pipeline(scaler), frozen))
    assert not is_frozen(make_pipeline(FrozenEstimator(scaler), Ridge()))
    assert not is_frozen(Ridge())
    assert not is_frozen(None)


TREE = DecisionTreeRegressor(max_features=1)


@pytest.mark.parametrize(
    "model",
    [
        ConformalRegressor(TREE, normalizer=TREE),
        ConformalPredictiveRegressor(TREE),
        ConformalPredictiveRegressor(Ridge(), normalizer=TREE),
        MultiOutputConformalRegressor(TREE),
        ConformalSelector(TREE, fdr=0.3),
        EnbPIRegressor(TREE),
    ],
)
def test_an_int_random_state_repeats_everything(model):
    X, y = table()
    first = clone(model).set_params(random_state=3).fit(X, y)
    second = clone(model).set_params(random_state=3).fit(X, y)
    assert_array_equal(outcome(first, X), outcome(second, X))
    other = clone(model).set_params(random_state=4).fit(X, y)
    assert (outcome(first, X) != outcome(other, X)).any()


@pytest.mark.parametrize("name", ["scaled", "predictive"])
@pytest.mark.parametrize("n", [3, 4, 5])
def test_a_normalizer_learns_from_two_rows(name, n):
    X, y = table(n)
    model = clone(ESTIMATORS[name]).set_params(normalizer=LinearRegression())
    model.set_params(calibration_size=1).fit(X, y)
    check_is_fitted(model)


@pytest.mark.parametrize("name", ["scaled", "predictive", "outputs"])
def test_one_row_teaches_no_size_of_residuals(name):
    X, y = table(2)
    model = clone(ESTIMATORS[name])
    if name != "outputs":
        model.set_params(normalizer=Ridge())
    with pytest.raises(ValueError, match="n_samples=1 to train on; expected 2"):
        model.fit(X, target_of(name, y))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_one_row_cannot_be_divided(name):
    X, y = table(1)
    with pytest.raises(ValueError, match=r"n_samples=1.*leaves 0 rows to train on"):
        clone(ESTIMATORS[name]).fit(X, target_of(name, y))


@pytest.mark.parametrize("seed", range(20))
def test_parts_hold_each_row_once_and_cells_in_proportion(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 60))
    rows = np.sort(rng.choice(100, n, replace=False))
    count, cells = int(rng.integers(1, n)), rng.integers(0, 4, 100)
    for given in (None, cells):
        train, held = hold_out(rows, count, seed, given)
        assert len(held) == count
        assert_array_equal(np.sort(np.concatenate([train, held])), rows)
        assert (np.diff(train) > 0).all()
        assert (np.diff(held) > 0).all()
    expected = np.bincount(cells[rows], minlength=4) * count / n
    assert (np.abs(np.bincount(cells[held], minlength=4) - expected) < 1).all()


def test_the_last_rows_calibrate_a_series():
    weight = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    train, later = last_rows(6, 0.5, weight=weight)
    assert train.tolist() == [0, 2]
    assert later.tolist() == [3, 5]


def test_splits_that_are_refused():
    X, y = table(20)
    rows = np.arange(20)
    for cv, message in [
        ([], "cv has no split"),
        ([(rows, rows[:5])], "calibrates on rows that it trains on"),
        ([(rows, [])], "No row is left to calibrate"),
        ([([], rows)], "No row is left to train on"),
    ]:
        with pytest.raises(ValueError, match=message):
            calibration_rows(X, y, 0.5, cv, random_state=0)
    with pytest.raises(ValueError, match="all have weight 0"):
        calibration_rows(X, y, 0.5, random_state=0, weight=np.zeros(20))
