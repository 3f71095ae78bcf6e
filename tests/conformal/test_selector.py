"""ConformalSelector: what reaches the models, the rows selected, and their rate."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse, stats
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor

from ensemblekit import (
    ConformalSelector,
    StackedRegressor,
    conformal_p_values,
    optimized_conformal_selection,
    select_by_fdr,
)

TREE = DecisionTreeRegressor(max_depth=3, random_state=0)
PAIR = [("ridge", Ridge()), ("tree", TREE)]


def table(n=240, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    y = X[:, 0] + np.abs(X[:, 1]) - 0.7 + 0.5 * rng.normal(size=n)
    return X, y


@pytest.fixture
def data():
    X, y = table()
    return X[:180], y[:180], X[180:], y[180:]


def halves(n, seed):
    """The rows of the training and of the calibration, as fit splits them."""
    drawn = int(np.random.RandomState(seed).randint(2**31 - 1))
    parts = train_test_split(np.arange(n), test_size=0.25, random_state=drawn)
    return [np.sort(rows) for rows in parts]


def test_one_model_is_p_values_and_benjamini_hochberg(data):
    X, y, new, _ = data
    selector = ConformalSelector(Ridge(), threshold=0.3, fdr=0.2, random_state=1)
    selector.fit(X, y)
    train, held_out = halves(180, 1)
    model = Ridge().fit(X[train], y[train])
    known, found = model.predict(X[held_out]), model.predict(new)
    wanted = conformal_p_values(known, y[held_out], found, 0.3)
    assert_array_equal(selector.p_values(new), wanted)
    assert_array_equal(selector.select(new), select_by_fdr(wanted, 0.2))
    assert selector.n_calibration_ == 45
    assert selector.calibration_scores_.shape == (45, 1)


def test_several_models_are_the_optimized_selection(data):
    X, y, new, _ = data
    selector = ConformalSelector(
        estimators=PAIR, fdr=0.2, pruning="heterogeneous", random_state=1
    ).fit(X, y)
    train, held_out = halves(180, 1)
    models = [clone(m).fit(X[train], y[train]) for _, m in PAIR]
    known, found = (
        np.column_stack([m.predict(rows) for m in models])
        for rows in (X[held_out], new)
    )
    wanted = optimized_conformal_selection(
        known, y[held_out], found, fdr=0.2, pruning="heterogeneous", random_state=1
    )
    assert wanted.selected.any()
    assert_array_equal(selector.select(new), wanted.selected)
    assert_array_equal(selector.p_values(new), wanted.p_values)


@pytest.mark.parametrize("model", [LogisticRegression(), LinearSVC(random_state=0)])
def test_classifiers_learn_who_is_above(data, model):
    X, y, new, _ = data
    selector = ConformalSelector(model, threshold=0.3, fdr=0.3, random_state=2)
    selector.fit(X, y)
    train, held_out = halves(180, 2)
    fitted = clone(model).set_params(**_seed(model, 2)).fit(X[train], y[train] > 0.3)
    evidence = (
        (lambda rows: fitted.predict_proba(rows)[:, 1])
        if hasattr(fitted, "predict_proba")
        else fitted.decision_function
    )
    wanted = conformal_p_values(evidence(X[held_out]), y[held_out], evidence(new), 0.3)
    assert_allclose(selector.p_values(new), wanted)


def _seed(model, seed):
    if model.random_state is not None:
        return {}
    return {"random_state": int(np.random.RandomState(seed).randint(2**31 - 1))}


def test_thresholds_by_row_are_those_of_shifted_targets(data):
    X, y, new, _ = data
    rng = np.random.default_rng(3)
    own, own_new = rng.normal(size=180), rng.normal(size=60)
    selector = ConformalSelector(LinearRegression(), threshold=1.5, random_state=3)
    selector.fit(X, y, thresholds=own)
    train, held_out = halves(180, 3)
    model = LinearRegression().fit(X[train], y[train])
    wanted = conformal_p_values(
        model.predict(X[held_out]) - own[held_out],
        y[held_out] - own[held_out],
        model.predict(new) - own_new,
    )
    assert_array_equal(selector.p_values(new, thresholds=own_new), wanted)
    # One threshold for all rows is the parameter.
    same = ConformalSelector(LinearRegression(), threshold=0.25, random_state=3)
    by_row = clone(same).fit(X, y, thresholds=np.full(180, 0.25))
    assert_array_equal(
        by_row.p_values(new, np.full(60, 0.25)), same.fit(X, y).p_values(new)
    )


def test_calibrate_keeps_the_models(data):
    X, y, new, _ = data
    model = Ridge().fit(X[:100], y[:100])
    direct = ConformalSelector(model, fdr=0.2).calibrate(X[100:], y[100:])
    assert direct.estimators_[0] is model
    wanted = conformal_p_values(model.predict(X[100:]), y[100:], model.predict(new))
    assert_array_equal(direct.p_values(new), wanted)
    frozen = ConformalSelector(FrozenEstimator(model)).calibrate(X[100:], y[100:])
    assert_array_equal(frozen.p_values(new), wanted)
    # Once more with other rows: the models of fit stay.
    selector = ConformalSelector(Ridge(), random_state=0).fit(X, y)
    models = selector.estimators_
    again = selector.calibrate(new, table()[1][180:])
    assert again.estimators_ == models
    assert again.n_calibration_ == 60
    # A refusal takes nothing away.
    with pytest.raises(ValueError, match="NaN"):
        again.calibrate(new, np.full(60, np.nan))
    with pytest.raises(ValueError, match="3 features"):
        again.calibrate(new[:, :3], table()[1][180:])
    assert again.select(X).shape == (180,)
    with pytest.raises(NotFittedError):
        ConformalSelector(Ridge()).calibrate(X, y)


@pytest.mark.parametrize("estimators", [None, PAIR])
def test_rate_over_many_tables(estimators):
    """Small tables, so that every draw trains, calibrates and selects anew."""
    wrong, n_draws = 0, 250
    coins = np.random.default_rng(0).random(n_draws)
    for draw in range(n_draws):
        X, y = table(160, seed=draw)
        one = {"estimator": Ridge()} if estimators is None else {}
        selector = ConformalSelector(
            **one, estimators=estimators, threshold=0.2, fdr=0.3, random_state=draw
        ).fit(X[:120], y[:120])
        selected = selector.select(X[120:])
        false = selected & (y[120:] <= 0.2)
        wrong += coins[draw] < false.sum() / max(selected.sum(), 1)
    assert wrong <= stats.binom.ppf(1 - 1e-4, n_draws, 0.3)
    assert wrong > 0


def test_score_is_the_power(data):
    X, y, new, y_new = data
    selector = ConformalSelector(Ridge(), fdr=0.2, random_state=0).fit(X, y)
    wanted = (selector.select(new) & (y_new > 0)).sum() / (y_new > 0).sum()
    assert selector.score(new, y_new) == wanted > 0
    assert selector.score(new, np.full(60, -9.0)) == 0.0


def test_pipelines_and_grids(data):
    X, y, new, _ = data
    inside = ConformalSelector(make_pipeline(StandardScaler(), Ridge()), random_state=0)
    around = make_pipeline(StandardScaler(), ConformalSelector(Ridge(), random_state=0))
    assert inside.fit(X, y).select(new).shape == (60,)
    around.fit(X, y)
    assert around[-1].select(around[:-1].transform(new)).dtype == np.bool_
    assert cross_val_score(around, X, y, cv=3).shape == (3,)
    grid = GridSearchCV(
        ConformalSelector(Ridge(), fdr=0.3, random_state=0),
        {"estimator__alpha": [0.1, 1e6], "calibration_size": [0.25, 40]},
        cv=3,
    ).fit(X, y)
    assert grid.best_score_ > 0
    candidates = GridSearchCV(
        ConformalSelector(estimators=PAIR, fdr=0.3, random_state=0),
        {"ridge__alpha": [0.1, 1.0], "tree": [TREE, KNeighborsRegressor(5)]},
        cv=3,
    ).fit(X, y)
    assert len(candidates.best_estimator_.estimators_) == 2


def test_frames_sparse_rows_and_pickles(data):
    X, y, new, _ = data
    wanted = ConformalSelector(Ridge(), random_state=0).fit(X, y)
    frame = pd.DataFrame(X, columns=list("abcd"))
    framed = ConformalSelector(Ridge(), random_state=0).fit(frame, pd.Series(y))
    columns = pd.DataFrame(new, columns=list("abcd"))
    assert_allclose(framed.p_values(columns), wanted.p_values(new))
    assert framed.feature_names_in_.tolist() == list("abcd")
    thin = ConformalSelector(Ridge(), random_state=0).fit(sparse.csr_array(X), y)
    assert thin.p_values(sparse.csr_array(new)).shape == (60,)
    loaded = pickle.loads(pickle.dumps(wanted))
    assert_array_equal(loaded.p_values(new), wanted.p_values(new))


def test_a_second_fit_and_a_seed_repeat(data):
    X, y, new, _ = data
    selector = ConformalSelector(
        estimators=[("tree", DecisionTreeRegressor(max_features=1)), PAIR[0]],
        pruning="heterogeneous",
        ties="random",
        random_state=5,
    )
    first = selector.fit(X, y).p_values(new)
    assert_array_equal(selector.p_values(new), first)
    assert_array_equal(clone(selector).fit(X, y).p_values(new), first)
    selector.fit(X[:90], y[:90])
    assert selector.n_calibration_ == 23
    assert_array_equal(selector.fit(X, y).p_values(new), first)
    assert selector.estimators[0][1].random_state is None


class RecordsWeight(RegressorMixin, BaseEstimator):
    """Keeps what fit was given."""

    def fit(self, X, y, sample_weight=None):
        self.weight_ = sample_weight
        return self

    def predict(self, X):
        return np.zeros(len(X))


def test_weights_reach_the_training(data):
    X, y, _, _ = data
    weight = np.arange(1.0, 181.0)
    train, _ = halves(180, 4)
    members = [("a", RecordsWeight()), ("b", RecordsWeight())]
    selector = ConformalSelector(estimators=members, random_state=4)
    selector.fit(X, y, sample_weight=weight)
    for model in selector.estimators_:
        assert_array_equal(model.weight_, weight[train])
    with pytest.raises(ValueError, match="takes no sample_weight"):
        ConformalSelector(KNeighborsRegressor()).fit(X, y, sample_weight=weight)
    with config_context(enable_metadata_routing=True):
        model = RecordsWeight().set_fit_request(sample_weight=True)
        routed = ConformalSelector(model, random_state=4).set_fit_request(
            sample_weight=True
        )
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, routed)
        pipeline.fit(X, y, sample_weight=weight)
        assert_array_equal(pipeline[-1].estimators_[0].weight_, weight[train])


def test_a_classifier_of_one_class_knows_nothing_and_says_so(data):
    X, y, new, _ = data
    selector = ConformalSelector(LogisticRegression(), threshold=99.0, random_state=0)
    with pytest.warns(UserWarning, match="at or below the threshold: it cannot learn"):
        selector.fit(X, y)
    assert_array_equal(selector.p_values(new), np.ones(60))
    assert not selector.select(new).any()
    with pytest.warns(UserWarning, match="y above the threshold"):
        selector.set_params(threshold=-99.0).fit(X, y)
    assert selector.select(new).sum() == 60  # all 45 calibration rows are above


def test_the_default_model_is_a_stack():
    selector = ConformalSelector(random_state=0)
    assert isinstance(selector._members()[0][1], StackedRegressor)
    assert selector.__sklearn_tags__().target_tags.required


class Predicts(RegressorMixin, BaseEstimator):
    """Predicts one value."""

    def __init__(self, value=0.0):
        self.value = value

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.full(len(X), self.value)


def test_unfit_arguments_are_refused(data):
    X, y, new, _ = data
    with pytest.raises(ValueError, match="both given; expected one model"):
        ConformalSelector(Ridge(), estimators=PAIR).fit(X, y)
    with pytest.raises(ValueError, match=r"fdr.*range \(0\.0, 1\.0\)"):
        ConformalSelector(Ridge(), fdr=1.0).fit(X, y)
    with pytest.raises(ValueError, match="pruning"):
        ConformalSelector(Ridge(), pruning="none").fit(X, y)
    with pytest.raises(ValueError, match="requires y"):
        ConformalSelector(Ridge()).fit(X, None)
    with pytest.raises(ValueError, match=r"thresholds has shape \(3,\)"):
        ConformalSelector(Ridge()).fit(X, y, thresholds=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"predicts NaN or infinity \(45 rows"):
        ConformalSelector(Predicts(np.nan)).fit(X, y)
    with pytest.raises(NotFittedError):
        ConformalSelector(Ridge()).select(new)
    three = LogisticRegression().fit(X, np.arange(180) % 3)
    with pytest.raises(ValueError, match="has 3 classes; expected 2"):
        ConformalSelector(three).calibrate(X, y)
    fitted = ConformalSelector(Ridge()).fit(X, y)
    with pytest.raises(ValueError, match="3 features"):
        fitted.select(new[:, :3])
