"""CombinerSearch: against a literal loop, on dominated and on pure-noise members."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    RepeatedKFold,
    StratifiedKFold,
)

from ensemblekit import (
    AverageClassifier,
    AverageRegressor,
    CombinerSearchClassifier,
    CombinerSearchRegressor,
    ConvexClassifier,
    ConvexRegressor,
    StackedRegressor,
    default_combiners,
)

REGRESSORS = [
    ("mean", AverageRegressor()),
    ("convex", ConvexRegressor(ridge=0.1)),
    ("ridge", Ridge()),
]
CLASSIFIERS = [("mean", AverageClassifier()), ("convex", ConvexClassifier(ridge=0.1))]


def literal_search(P, y, weight, splits, strategy):
    """Return names, losses, paired errors and picks of the regressors, by loops."""
    names = [f"member x{j}" for j in range(P.shape[1])] + [n for n, _ in REGRESSORS]
    held_out = {name: [] for name in names}
    for train, test in splits:
        for j in range(P.shape[1]):
            held_out[f"member x{j}"].append((y[test] - P[test, j]) ** 2)
        for name, model in REGRESSORS:
            fitted = clone(model).fit(P[train], y[train], sample_weight=weight[train])
            held_out[name].append((y[test] - fitted.predict(P[test])) ** 2)
    own = np.concatenate([weight[test] for _, test in splits])
    rows = {name: np.concatenate(parts) for name, parts in held_out.items()}
    losses = {name: np.average(loss, weights=own) for name, loss in rows.items()}
    best = min(names, key=lambda name: losses[name])
    fold = np.concatenate([np.full(len(t), k) for k, (_, t) in enumerate(splits)])
    errors = {}
    for name in names:
        d = rows[name] - rows[best]
        kept = [fold != k for k in range(len(splits))]
        without = [np.average(d[rest], weights=own[rest]) for rest in kept]
        spread = np.sum((without - np.mean(without)) ** 2)
        errors[name] = np.sqrt((len(splits) - 1) / len(splits) * spread)
    if strategy == "best":
        picks = [best]
    else:
        picks = [n for n in names if losses[n] - losses[best] <= errors[n]]
    if strategy == "average":
        shares = {
            n: np.exp(-2 * (losses[n] - losses[best]) / errors[n])
            for n in names
            if not n.startswith("member") and n != best
        }
        shares = {n: share for n, share in shares.items() if share >= 0.01}
        shares[best] = 1.0
        shares = {n: shares[n] for n in names if n in shares}
        return names, losses, errors, shares
    if strategy == "1se":
        alone = [name for name in picks if name.startswith("member")]
        picks = [min(alone, key=lambda name: losses[name])] if alone else picks[:1]
    return names, losses, errors, dict.fromkeys(picks, 1.0)


@pytest.mark.parametrize("strategy", ["best", "1se", "average"])
@pytest.mark.parametrize("seed", range(4))
def test_equals_a_literal_loop(regression_predictions, strategy, seed):
    P, y, weight = regression_predictions(n_samples=80, seed=seed)
    splits = list(KFold(4, shuffle=True, random_state=seed).split(P))
    search = CombinerSearchRegressor(REGRESSORS, strategy=strategy, cv=splits)
    search.fit(P, y, sample_weight=weight)
    names, losses, errors, shares = literal_search(P, y, weight, splits, strategy)
    table = search.results_
    assert set(table.name) == set(names)
    assert_allclose(table.loss, [losses[name] for name in table.name])
    assert (np.diff(table.loss) >= 0).all()
    assert_allclose(
        table.difference_se, [errors[n] for n in table.name], rtol=1e-6, atol=1e-12
    )
    assert search.chosen_ == list(shares)
    expected = np.array(list(shares.values())) / sum(shares.values())
    assert_allclose(search.shares_, expected, rtol=1e-6)
    of = dict(zip(table.name, table.share, strict=True))
    assert_array_equal(search.shares_, [of[name] for name in shares])
    assert_allclose(table.share.sum(), 1.0)
    models = dict(REGRESSORS)
    predictions = [
        P[:, names.index(name)]
        if name.startswith("member")
        else clone(models[name]).fit(P, y, sample_weight=weight).predict(P)
        for name in shares
    ]
    assert_allclose(search.predict(P), search.shares_ @ predictions)


def test_nested_score_equals_choosing_without_each_fold(class_predictions):
    P, y, _ = class_predictions(n_classes=3, n_samples=120)
    splits = list(StratifiedKFold(4).split(P, y))
    search = CombinerSearchClassifier(CLASSIFIERS, strategy="best", cv=splits)
    search.fit(P, y)
    candidates = [P[:, 3 * j : 3 * j + 3] for j in range(6)]
    for _, model in CLASSIFIERS:
        E = np.empty((120, 3))
        for train, test in splits:
            E[test] = clone(model).fit(P[train], y[train]).predict_proba(P[test])
        candidates.append(E)
    losses = np.array([-np.log(E[np.arange(120), y]) for E in candidates])
    nested, alone = np.empty(120), np.empty(120)
    for _, test in splits:
        others = np.setdiff1d(np.arange(120), test)
        nested[test] = losses[np.argmin(losses[:, others].mean(axis=1)), test]
        alone[test] = losses[np.argmin(losses[:6, others].mean(axis=1)), test]
    score = search.nested_score_
    assert_allclose(score.loss, nested.mean())
    without = [np.delete(nested, test).mean() for _, test in splits]
    spread = np.sum((without - np.mean(without)) ** 2)
    assert_allclose(score.se, np.sqrt(3 / 4 * spread))
    assert_allclose(score.optimism, nested.mean() - losses.mean(axis=1).min())
    assert_allclose(score.best_member_loss, alone.mean())
    assert_allclose(score.uniform_loss, log_loss(y, np.mean(candidates[:6], axis=0)))


@pytest.mark.parametrize("strategy", ["best", "1se", "average"])
def test_a_member_that_dominates_is_chosen_alone(strategy):
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    P = 5.0 * rng.normal(size=(200, 5))
    P[:, 3] = y
    search = CombinerSearchRegressor(REGRESSORS[:1], strategy=strategy).fit(P, y)
    assert search.chosen_ == ["member x3"]
    assert_array_equal(search.weights_, np.eye(5)[3])
    assert_array_equal(search.predict(P), y)


class Recorder(ClassifierMixin, BaseEstimator):
    """Answers the class shares; remembers which rows it saw, by a column of numbers."""

    seen: list = []

    def fit(self, P, y):
        self.classes_ = np.unique(y)
        self.seen.append((set(P[:, -1]), None))
        self.share_ = y.mean()
        return self

    def predict_proba(self, P):
        self.seen[-1] = (self.seen[-1][0], set(P[:, -1]))
        return np.tile([1.0 - self.share_, self.share_], (len(P), 1))


def test_held_out_rows_are_never_read(class_predictions):
    P, y, _ = class_predictions(n_samples=100)
    P[:, -1] = np.linspace(0.0, 1.0, 100)
    Recorder.seen = []
    CombinerSearchClassifier([("recorder", Recorder())], strategy="best").fit(P, y)
    fits = [(fitted, asked) for fitted, asked in Recorder.seen if asked is not None]
    assert len(fits) == 5
    for fitted, asked in fits:
        assert not fitted & asked
        assert len(fitted | asked) == 100


@pytest.mark.parametrize("n_classes", [0, 2, 3])
def test_default_combiners_are_all_tried(
    regression_predictions, class_predictions, n_classes
):
    if n_classes:
        P, y, _ = class_predictions(n_classes=n_classes)
        search = CombinerSearchClassifier()
    else:
        P, y, _ = regression_predictions()
        search = CombinerSearchRegressor()
    search.fit(P, y)
    names = [name for name, _ in default_combiners(n_classes)]
    width = 3 if n_classes == 3 else 1
    alone = [f"member x{width * j}" for j in range(6)]
    assert set(search.results_.name) == {*names, *alone}
    assert np.isfinite(search.results_.loss).all()
    assert len(pd.DataFrame(search.results_)) == len(names) + 6
    again = clone(search).set_params(n_jobs=2).fit(P, y)
    assert again.chosen_ == search.chosen_
    assert_array_equal(again.predict(P), search.predict(P))
    assert_array_equal(again.results_.loss, search.results_.loss)


def test_noise_shows_no_gain_in_the_nested_score():
    excess = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        y = rng.normal(size=60)
        P = 0.3 * rng.normal(size=(60, 12))
        search = CombinerSearchRegressor(
            [("mean", AverageRegressor()), ("linear", LinearRegression())],
            strategy="best",
        ).fit(P, y)
        excess.append(search.nested_score_.loss - np.mean(y**2))
        assert search.nested_score_.optimism >= -1e-12
    # A prediction of 0 for all is the best there is.
    assert np.mean(excess) > -3 * np.std(excess) / np.sqrt(30)


def test_nested_score_is_that_of_new_rows():
    gaps = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        y = rng.normal(size=2100)
        P = y[:, None] + rng.normal(size=(2100, 10)) * rng.uniform(0.9, 1.1, 10)
        search = CombinerSearchRegressor(REGRESSORS, strategy="average", cv=5).fit(
            P[:100], y[:100]
        )
        new = np.mean((y[100:] - search.predict(P[100:])) ** 2)
        gaps.append(search.nested_score_.loss - new)
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / np.sqrt(40)


@pytest.mark.parametrize("loss", ["auc", "roc_auc"])
def test_losses_that_are_no_mean_over_rows(class_predictions, loss):
    P, y, _ = class_predictions(n_samples=90)
    splits = list(StratifiedKFold(3).split(P, y))
    search = CombinerSearchClassifier(CLASSIFIERS, loss=loss, cv=splits).fit(P, y)
    table = dict(zip(search.results_.name, search.results_.loss, strict=True))
    shift = 1.0 if loss == "auc" else 0.0
    assert_allclose(table["member x2"], shift - roc_auc_score(y, P[:, 2]))
    without = [
        shift - roc_auc_score(np.delete(y, test), np.delete(P[:, 2], test))
        for _, test in splits
    ]
    expected = np.sqrt(2 / 3 * np.sum((without - np.mean(without)) ** 2))
    found = search.results_.loss_se[list(search.results_.name).index("member x2")]
    assert_allclose(found, expected)


def test_a_callable_scorer(class_predictions):
    P, y, _ = class_predictions()

    def scorer(estimator, X, truth):
        return -log_loss(truth, estimator.predict_proba(X)[:, 1])

    by_call = CombinerSearchClassifier(CLASSIFIERS, loss=scorer, strategy="best")
    by_name = CombinerSearchClassifier(CLASSIFIERS, strategy="best")
    assert by_call.fit(P, y).chosen_ == by_name.fit(P, y).chosen_
    assert_allclose(by_call.results_.loss, by_name.results_.loss)


def test_labels_and_a_classifier_of_scikit_learn(class_predictions):
    P, y, _ = class_predictions(n_classes=3)
    labels = np.array(["a", "b", "c"])[y]
    search = CombinerSearchClassifier(
        [("logistic", LogisticRegression())], strategy="best"
    ).fit(P, labels)
    assert search.chosen_ == ["logistic"]
    assert not hasattr(search, "weights_")
    expected = LogisticRegression().fit(P, y).predict_proba(P)
    assert_allclose(search.predict_proba(P), expected)
    assert set(search.predict(P)) <= {"a", "b", "c"}


def test_folds_without_a_class_are_left_out(class_predictions):
    P, y, _ = class_predictions(n_classes=3, n_samples=90)
    order = np.argsort(y, kind="stable")
    P, y = P[order], y[order]
    splits = list(StratifiedKFold(3).split(P, y))
    splits.append((np.arange(60), np.arange(60, 90)))  # trains without class 2
    search = CombinerSearchClassifier(CLASSIFIERS, cv=splits).fit(P, y)
    expected = CombinerSearchClassifier(CLASSIFIERS, cv=splits[:3]).fit(P, y)
    assert_array_equal(search.results_.loss, expected.results_.loss)


def test_parameters_of_combiners_are_parameters(regression_predictions):
    P, y, _ = regression_predictions()
    search = CombinerSearchRegressor(REGRESSORS)
    assert search.get_params()["convex__ridge"] == 0.1
    search.set_params(convex__ridge=0.2, ridge=Ridge(3.0))
    assert dict(search.combiners)["convex"].ridge == 0.2
    assert dict(search.combiners)["ridge"].alpha == 3.0
    grid = GridSearchCV(
        CombinerSearchRegressor(REGRESSORS), {"strategy": ["best", "average"]}, cv=3
    ).fit(P, y)
    assert np.isfinite(grid.cv_results_["mean_test_score"]).all()


def test_only_chosen_members_are_refitted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    y = X[:, 0] + 0.1 * rng.normal(size=120)
    members = [("good", LinearRegression()), ("poor", Ridge(1e6))]
    search = CombinerSearchRegressor([("mean", AverageRegressor())], strategy="best")
    stacked = StackedRegressor(members, search).fit(X, y)
    assert stacked.combiner_.chosen_ == ["member x0"]
    assert_array_equal(stacked.weights_, [1.0, 0.0])
    expected = LinearRegression().fit(X, y).predict(X)
    assert_allclose(stacked.predict(X), expected)


def test_misuse_is_refused(regression_predictions, class_predictions):
    P, y, weight = regression_predictions()
    with pytest.raises(ValueError, match="combiners has the entry 'mean'; expected"):
        CombinerSearchRegressor(["mean"]).fit(P, y)
    with pytest.raises(ValueError, match=r"'a' \(str\), which lacks fit or predict"):
        CombinerSearchRegressor([("a", "mean")]).fit(P, y)
    with pytest.raises(ValueError, match="not unique"):
        CombinerSearchRegressor(REGRESSORS[:1] * 2).fit(P, y)
    with pytest.raises(ValueError, match="must be a str among"):
        CombinerSearchRegressor(loss="log_loss").fit(P, y)

    class Weightless(Ridge):
        def fit(self, X, y):
            return super().fit(X, y)

    search = CombinerSearchRegressor([("plain", Weightless())])
    with pytest.raises(ValueError, match=r"Weightless\.fit takes none") as caught:
        search.fit(P, y, sample_weight=weight)
    assert "combiner 'plain' of the search" in caught.value.__notes__[0]
    Q, codes, _ = class_predictions()
    with pytest.raises(ValueError, match="lacks fit or predict_proba"):
        CombinerSearchClassifier([("line", Ridge())]).fit(Q, codes)


def test_repeats_make_no_gain_and_no_small_errors():
    """A row held out by other repeats too is no new row."""
    losses, errors = [], []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        P, y = rng.normal(size=(80, 20)), rng.normal(size=80)
        once = KFold(5, shuffle=True, random_state=0)
        often = RepeatedKFold(n_splits=5, n_repeats=6, random_state=0)
        scores = [
            CombinerSearchRegressor([], strategy="best", cv=cv).fit(P, y).nested_score_
            for cv in (once, often)
        ]
        losses.append([score.loss for score in scores])
        errors.append([score.se for score in scores])
    once, often = np.mean(losses, axis=0)
    assert abs(often - once) < 3 * np.std(np.diff(losses)) / np.sqrt(15)
    once, often = np.mean(errors, axis=0)
    assert often > 0.6 * once


def test_one_fold_leaves_nothing_to_choose_by(regression_predictions):
    P, y, _ = regression_predictions()
    splits = [(np.arange(100), np.arange(100, 150))]
    score = CombinerSearchRegressor(REGRESSORS, cv=splits).fit(P, y).nested_score_
    assert np.isnan([score.loss, score.se, score.optimism]).all()
    assert np.isnan(score.best_member_loss)
    assert_allclose(score.uniform_loss, np.mean((y - P.mean(axis=1))[100:] ** 2))


def test_members_alone(regression_predictions):
    P, y, _ = regression_predictions()
    search = CombinerSearchRegressor([]).fit(P, y)
    best = np.argmin(((P - y[:, None]) ** 2).mean(axis=0))
    assert search.chosen_ == [f"member x{best}"]


def test_the_mean_of_the_best_members_is_no_single_member(regression_predictions):
    P, y, _ = regression_predictions(n_members=12)
    top_mean = dict(default_combiners())["top mean"].fit(P, y)
    best = np.argsort(((P - y[:, None]) ** 2).mean(axis=0))[:5]
    expected = np.bincount(best, minlength=12) / 5
    assert_allclose(top_mean.weights_, expected)


class Product(Ridge):
    """A combiner of somebody else, whose weights_ are not the members'."""

    def fit(self, P, y, sample_weight=None):
        self.weights_ = np.array([0.0, 1.0])
        return self

    def predict(self, P):
        return P[:, 0] * P[:, 1]


def test_weights_of_foreign_combiners_are_not_the_members(regression_predictions):
    P, _, _ = regression_predictions(n_members=2)
    search = CombinerSearchRegressor([("product", Product())], strategy="best")
    search.fit(P, P[:, 0] * P[:, 1])
    assert search.chosen_ == ["product"]
    assert not hasattr(search, "weights_")


def test_auc_of_a_fold_with_the_only_positive_row(class_predictions):
    P, y, _ = class_predictions(n_samples=60)
    y = np.arange(60) == 7
    cv = KFold(3)
    with pytest.raises(ValueError, match="needs two classes with positive weight"):
        CombinerSearchClassifier(CLASSIFIERS, loss="auc", cv=cv).fit(P, y)


def test_a_name_of_a_member_is_taken(regression_predictions):
    P, y, _ = regression_predictions()
    with pytest.raises(ValueError, match="not unique"):
        CombinerSearchRegressor([("member x0", AverageRegressor())]).fit(P, y)


def test_dask_arrays_are_read_into_memory(class_predictions):
    da = pytest.importorskip("dask.array")
    P, y, _ = class_predictions(n_classes=3)
    plain = CombinerSearchClassifier(CLASSIFIERS).fit(P, y)
    lazy = CombinerSearchClassifier(CLASSIFIERS).fit(da.from_array(P, chunks=50), y)
    assert_array_equal(lazy.results_.loss, plain.results_.loss)
