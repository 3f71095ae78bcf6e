"""Audits: exact parts against brute force, alarms on clean data, power on leaks."""

import json
from copy import copy
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.stats import binom
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.datasets import make_classification, make_regression
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ensemblekit import (
    AuditReport,
    AverageRegressor,
    CrossFit,
    PrefitMember,
    StackedClassifier,
    StackedQuantileRegressor,
    StackedRegressor,
    audit,
)
from ensemblekit.auditing import _rows

DATA = Path(__file__).parents[3] / "shared" / "data"
SHUFFLED = KFold(5, shuffle=True, random_state=0)


def find(report, check, subject=None):
    rows = [row for row in report.rows if row["check"] == check]
    return next(row for row in rows if subject in (None, row["subject"]))


def regression(n_samples=200, seed=0, noise=5.0):
    return make_regression(
        n_samples, n_features=5, n_informative=3, noise=noise, random_state=seed
    )


def members(depth=4):
    return [
        ("ridge", Ridge()),
        ("tree", DecisionTreeRegressor(max_depth=depth, random_state=0)),
    ]


# What is exact


def same(a, b):
    return a == b or (a != a and b != b)


def brute_twins(rows):
    """The first row that is equal to each."""
    return [
        next(
            first
            for first, other in enumerate(rows)
            if all(same(a, b) for a, b in zip(row, other, strict=True))
        )
        for row in rows
    ]


def first_of(numbers):
    return [int(np.flatnonzero(numbers == number)[0]) for number in numbers]


TABLES = st.integers(1, 3).flatmap(
    lambda width: st.lists(
        st.lists(
            st.sampled_from([0.0, -0.0, 1.0, 2.5, float("nan")]),
            min_size=width,
            max_size=width,
        ),
        min_size=1,
        max_size=12,
    )
)


@settings(max_examples=60, deadline=None)
@given(TABLES)
def test_equal_rows_of_any_container(rows):
    expected, table = brute_twins(rows), np.array(rows)
    for X in [
        table,
        np.asfortranarray(table.astype(np.float32)),
        table.astype(object),
        rows,
        sparse.csr_array(table),
        sparse.csc_matrix(table),
        pd.DataFrame(table),
        pl.DataFrame(table),
    ]:
        assert first_of(_rows.number_equal_rows(X)) == expected


def test_equal_rows_of_mixed_columns():
    frame = pd.DataFrame(
        {
            "word": ["a", "a", None, None, "b", "a"],
            "kind": pd.Categorical(["x", "x", "y", "y", "x", "x"]),
            "count": pd.array([1, 1, None, None, 1, 2], dtype="Int64"),
            "time": pd.to_datetime(["2020-01-01"] * 5 + ["2020-01-02"]),
            "flag": [True, True, False, False, True, True],
        }
    )
    expected = [0, 0, 2, 2, 4, 5]
    assert first_of(_rows.number_equal_rows(frame)) == expected
    assert first_of(_rows.number_equal_rows(pl.from_pandas(frame))) == expected
    assert first_of(_rows.number_equal_rows(frame.astype(object).to_numpy()))[:4] == [
        0,
        0,
        2,
        2,
    ]


def test_large_integers_are_not_rounded():
    X = np.array([[2**53], [2**53 + 1], [2**53]])
    assert first_of(_rows.number_equal_rows(X)) == [0, 1, 0]
    assert first_of(_rows.number_equal_rows(X.astype(np.uint64))) == [0, 1, 0]


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_collisions_of_the_hash_are_no_copies(monkeypatch, container):
    monkeypatch.setattr(_rows, "_mixed", lambda bits: bits & np.uint64(0))
    table = np.random.default_rng(0).integers(0, 3, (60, 3)).astype(float)
    numbers = _rows.number_equal_rows(container(table))
    assert first_of(numbers) == brute_twins(table.tolist())


@pytest.mark.parametrize("seed", range(10))
def test_exposed_rows_against_pairs(seed):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 12, 30)
    splits = [np.split(rng.permutation(30)[:25], [rng.integers(0, 26)]) for _ in "abc"]
    expected = [
        any(
            i in test and (numbers[train] == numbers[i]).any() for train, test in splits
        )
        for i in range(30)
    ]
    assert_array_equal(_rows.exposed_rows(numbers, splits), expected)


@pytest.mark.parametrize(
    "cv", [KFold(4), ShuffleSplit(6, test_size=0.3, random_state=0), KFold(2)]
)
def test_models_of_in_sample_predictions_trained_on_the_rows(cv):
    splits = list(cv.split(np.zeros(40)))
    rows = np.arange(0, 40, 2)
    times = np.bincount(np.concatenate([test for _, test in splits]), minlength=40)
    chosen = _rows.training_folds(splits, rows, 40)
    for (train, _), taken in zip(splits, chosen, strict=True):
        assert np.isin(taken, train).all()
    counts = np.bincount(np.concatenate(chosen), minlength=40)
    assert_array_equal(counts[1::2], 0)
    trained = np.bincount(np.concatenate([train for train, _ in splits]), minlength=40)
    assert ((counts[rows] == times[rows]) | (trained[rows] < times[rows])).all()


def test_standard_error_of_clusters_is_that_of_their_sums():
    rng = np.random.default_rng(0)
    values, clusters = rng.normal(size=50), np.repeat(np.arange(25), 2)
    values[3] = np.nan
    mean, error, n = _rows.mean_and_error(values, np.ones(50), np.arange(50))
    used = np.delete(values, 3)
    assert_allclose([mean, error], [used.mean(), used.std(ddof=1) / 7.0])
    assert n == 49
    twice = np.repeat(rng.normal(size=25), 2)
    whole = _rows.mean_and_error(twice, np.ones(50), clusters)
    assert_allclose(whole[1], twice[::2].std(ddof=1) / 5.0)
    once = _rows.mean_and_error(twice[::2], np.full(25, 2.0), np.arange(25))
    assert_allclose(whole[:2], once[:2])
    assert np.isnan(_rows.mean_and_error(values[:1], np.ones(1), clusters[:1])[1])


@pytest.mark.parametrize("text", [False, True])
def test_explained_share_leaves_each_row_out(text):
    rng = np.random.default_rng(0)
    column = rng.integers(0, 9, 60).astype(float)
    column[0] = 99.0
    targets = rng.normal(size=(60, 2)) + column[:, None] / 4
    if text:
        column = column.astype(str).astype(object)
    centred, left = targets - targets.mean(axis=0), 0.0
    for i in range(60):
        others = (column == column[i]) & (np.arange(60) != i)
        guess = centred[others].mean(axis=0) if others.any() else 0.0
        left += ((centred[i] - guess) ** 2).sum()
    share = _rows.explained_share(column, targets, rows_per_bin=1)
    assert_allclose(share, 1 - left / (centred**2).sum())


def test_explained_share_of_nothing():
    assert _rows.explained_share(np.arange(9.0), np.ones((9, 1))) == 0.0
    assert _rows.explained_share(np.full(9, np.nan), np.arange(9.0)[:, None]) < 0.0


# Clean data


def alarms(report):
    return {row["check"] for row in report.findings}


def clean_draw(seed, classify):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(120, 4))
    signal = X[:, 0] + rng.normal(size=120)
    if classify:
        models = [
            ("linear", LogisticRegression()),
            ("bayes", GaussianNB()),
            ("tree", DecisionTreeClassifier(max_depth=3, random_state=0)),
        ]
        return CrossFit(models, cv=3, refit="none"), X, np.where(signal > 0, "y", "n")
    return CrossFit([*members(3), ("near", KNeighborsRegressor())], cv=3), X, signal


@pytest.mark.parametrize("classify", [False, True])
def test_false_alarms_on_clean_data(classify):
    n_draws, counts = 50, {}
    for seed in range(n_draws):
        crossfit, X, y = clean_draw(seed, classify)
        report = audit(crossfit.fit(X, y), X, y, permute=seed % 5 == 0)
        for check in alarms(report):
            counts[check] = counts.get(check, 0) + 1
    # Each check alarms with at most 1 %; chance alone exceeds this once in 1e6.
    assert max(counts.values(), default=0) <= binom.isf(1e-6, n_draws, 0.01), counts


# Leaks


def test_copies_across_folds_fail_and_whole_ones_do_not():
    X, y = regression(300)
    copies = np.random.default_rng(0).choice(300, 60)
    X, y = np.vstack([X, X[copies]]), np.concatenate([y, y[copies]])
    models = [("forest", RandomForestRegressor(20, random_state=0)), ("line", Ridge())]
    report = audit(CrossFit(models, cv=SHUFFLED).fit(X, y), X, y)
    row = find(report, "duplicates")
    assert row["verdict"] == report.verdict == "fail"
    assert "loss of 'forest'" in row["message"]
    groups = _rows.number_equal_rows(X)
    apart = CrossFit(models, cv=GroupKFold(5)).fit(X, y, groups=groups)
    report = audit(apart, X, y)
    assert find(report, "duplicates")["verdict"] == "ok"
    assert report.verdict == "ok", report


def test_equal_rows_of_other_targets_only_warn():
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 4, (200, 2)).astype(float), rng.normal(size=200)
    row = find(audit(CrossFit(members()).fit(X, y), X, y), "duplicates")
    assert row["verdict"] == "warn"
    assert "200 held-out rows" in row["message"]
    assert "0 with an equal target" in row["message"]
    assert "by chance" in row["advice"]


def grouped(seed=0, n_groups=40, size=6):
    """Groups with marks in X of their own, and levels of y that follow no rule."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n_groups), size)
    marks, levels = rng.normal(size=(n_groups, 3)), rng.normal(size=n_groups)
    X = marks[groups] + 0.01 * rng.normal(size=(len(groups), 3))
    return X, levels[groups] + 0.1 * rng.normal(size=len(groups)), groups


@pytest.mark.parametrize("seed", range(5))
def test_split_groups_fail_and_the_permuted_target_shows_what_they_leak(seed):
    X, y, groups = grouped(seed)
    models = [("near", KNeighborsRegressor(3)), ("mean", DummyRegressor())]
    report = audit(
        CrossFit(models, cv=SHUFFLED).fit(X, y), X, y, groups=groups, permute=True
    )
    assert find(report, "groups")["verdict"] == "fail"
    assert "40 of 40 groups are split" in find(report, "groups")["message"]
    assert find(report, "permuted", "near")["verdict"] == "fail"
    assert find(report, "permuted", "mean")["verdict"] == "ok"
    whole = CrossFit(models, cv=GroupKFold(5)).fit(X, y, groups=groups)
    report = audit(whole, X, y, groups=groups.astype(str), permute=True)
    assert report.verdict == "ok", report


class Remembers(RegressorMixin, BaseEstimator):
    """Predicts every target it was ever given, in whatever fit."""

    memory: dict = {}

    def fit(self, X, y):
        self.n_features_in_ = X.shape[1]
        self.memory.update(zip(X[:, 0], y, strict=True))
        return self

    def predict(self, X):
        return np.array([self.memory.get(value, 0.0) for value in X[:, 0]])


def test_state_that_fits_share_fails_on_permuted_targets():
    X, y = regression()
    Remembers.memory.clear()
    crossfit = CrossFit([("all", Remembers()), ("ridge", Ridge())]).fit(X, y)
    report = audit(crossfit, X, y, permute=True)
    assert find(report, "permuted", "all")["verdict"] == "fail"
    assert find(report, "permuted", "ridge")["verdict"] == "ok"


class LearnsNothing(RegressorMixin, BaseEstimator):
    def __init__(self, model=None):
        self.model = model

    def fit(self, X, y):
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        return self.model.predict(X)


def test_members_trained_elsewhere_warn_declared_or_not():
    X, y = regression()
    trained = DecisionTreeRegressor(max_depth=6, random_state=0).fit(X, y)
    models = [
        ("ridge", Ridge()),
        ("frozen", PrefitMember(trained, trained_on_other_rows=True)),
        ("hidden", LearnsNothing(FrozenEstimator(trained))),
        ("mean", DummyRegressor(strategy="constant", constant=0.0)),
    ]
    with pytest.warns(UserWarning, match=r"'hidden' holds a fitted predictor"):
        crossfit = CrossFit(models).fit(X, y)
    report = audit(crossfit, X, y)
    assert find(report, "prefit", "frozen")["verdict"] == "warn"
    assert "learns nothing" in find(report, "gap", "hidden")["advice"]
    for name in ("ridge", "mean"):
        assert find(report, "gap", name)["verdict"] == "ok"


def test_a_column_made_of_the_target():
    X, y = regression(300)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(X, columns=list("abcde"))
    frame["paid"] = np.exp(y / 50 + rng.normal(0, 0.05, 300))
    report = audit(
        CrossFit([("tree", DecisionTreeRegressor())]).fit(frame, y), frame, y
    )
    assert find(report, "column")["subject"] == "paid"
    assert find(report, "column")["verdict"] == "warn"
    clean = audit(CrossFit(members()).fit(X, y), X, y)
    assert find(clean, "column")["verdict"] == "ok"


def test_a_member_that_alone_sees_the_target():
    X, y = regression(noise=50.0)
    X = np.column_stack([X, y])
    blind = make_pipeline(FunctionTransformer(drop_last), Ridge())
    models = [("blind", blind), ("sees", LinearRegression())]
    report = audit(CrossFit(models).fit(X, y), X, y)
    assert find(report, "far ahead")["subject"] == "sees"
    assert find(report, "far ahead")["verdict"] == "warn"


def drop_last(X):
    return X[:, :-1]


def tampered(crossfit, **attributes):
    other = copy(crossfit)
    for name, value in attributes.items():
        setattr(other, name, value)
    return other


def test_stored_predictions_that_are_not_of_these_rows():
    X, y = regression()
    crossfit = CrossFit(members()).fit(X, y)
    assert find(audit(crossfit, X, y), "reproduced")["verdict"] == "ok"
    swapped = crossfit.oof_predictions_[::-1].copy()
    report = audit(tampered(crossfit, oof_predictions_=swapped), X, y)
    assert {r["subject"] for r in report.rows if r["check"] == "reproduced"} == {
        "ridge",
        "tree",
    }
    assert find(report, "reproduced")["verdict"] == "fail"
    refitted = CrossFit(members(), refit="all").fit(X, y)
    assert find(audit(refitted, X, y), "reproduced")["verdict"] == "unknown"


def test_predictions_better_held_out_than_in_sample():
    X, y = regression()
    crossfit = CrossFit(members()).fit(X, y)
    P = crossfit.oof_predictions_.copy()
    P[:, 0] = y
    row = find(audit(tampered(crossfit, oof_predictions_=P), X, y), "gap", "ridge")
    assert row["verdict"] == "warn"
    assert "Better on rows it was not trained on" in row["advice"]


def test_early_stopping_by_the_rows_that_score():
    X, y = regression()
    crossfit = CrossFit(members()).fit(X, y)
    told = [
        {**row, "early_stopping": source}
        for row, source in zip(crossfit.report_, ["held_out", "inner"], strict=True)
    ]
    report = audit(tampered(crossfit, report_=told), X, y)
    rows = [row for row in report.rows if row["check"] == "early stopping"]
    assert [(row["subject"], row["verdict"]) for row in rows] == [("ridge", "warn")]


def test_rows_trained_on_and_held_out_by_one_split():
    X, y = regression()
    crossfit = CrossFit(members()).fit(X, y)
    splits = [(np.append(train, test[:2]), test) for train, test in crossfit.splits_]
    row = find(audit(tampered(crossfit, splits_=splits), X, y), "splits")
    assert (row["verdict"], row["value"]) == ("fail", 10.0)


class Worst(AverageRegressor):
    def predict(self, P):
        return -super().predict(P)


def test_the_combiner_against_the_best_single_member():
    X, y = regression()
    good = audit(StackedRegressor(members()).fit(X, y), X, y)
    assert find(good, "combiner")["verdict"] == "ok"
    assert "'ridge'" in find(good, "combiner")["message"]
    bad = audit(StackedRegressor(members(), Worst()).fit(X, y), X, y)
    assert find(bad, "combiner")["verdict"] == "warn"
    assert "Worst" in find(bad, "combiner")["message"]


# Splits that do not partition, tasks, containers


def uncovered(crossfit, n_folds):
    """Forget the last folds, as a splitter that does not partition would."""
    splits = crossfit.splits_[:n_folds]
    covered = np.zeros(len(crossfit.oof_predictions_), dtype=bool)
    covered[np.concatenate([test for _, test in splits])] = True
    P = np.where(covered[:, None], crossfit.oof_predictions_, np.nan)
    library = copy(crossfit.library_)
    library.P, library.y = library.P[covered], library.y[covered]
    library.folds = library.folds[covered]
    kept = {n: models[:n_folds] for n, models in crossfit.fold_estimators_.items()}
    return tampered(
        crossfit,
        splits_=splits,
        covered_=covered,
        oof_predictions_=P,
        library_=library,
        fold_estimators_=kept,
    )


@pytest.mark.parametrize(("n_folds", "verdict"), [(3, "ok"), (2, "warn")])
@pytest.mark.parametrize("in_library", [True, False])
def test_rows_that_are_never_held_out(n_folds, verdict, in_library):
    X, y = regression()
    part = uncovered(CrossFit(members()).fit(X, y), n_folds)
    if not in_library:
        part.library_.folds = None
    report = audit(part, X, y)
    row = find(report, "coverage")
    assert (row["verdict"], row["value"]) == (verdict, n_folds / 5)
    assert find(report, "combiner")["verdict"] == "ok"
    assert find(report, "gap", "tree")["value"] > 0.0


def test_a_class_that_is_never_held_out():
    X, y = make_classification(100, random_state=0)
    y = np.sort(y)
    models = [("near", KNeighborsClassifier(60)), ("bayes", GaussianNB())]
    part = uncovered(CrossFit(models).fit(X, y), 5)
    rows = y == 0
    part.covered_ = rows
    part.oof_predictions_ = np.where(rows[:, None], part.oof_predictions_, np.nan)
    part.library_.y, part.library_.P = y[rows], part.library_.P[rows]
    part.library_.folds = part.library_.folds[rows]
    report = audit(part, X, y)
    assert "none of the classes [1]" in find(report, "coverage")["message"]
    assert find(report, "coverage")["verdict"] == "warn"
    assert "lack a class" in find(report, "combiner")["message"]


def test_members_of_labels_and_decision_values_are_scored_by_errors():
    X, y = make_classification(150, random_state=0)
    models = [("svm", LinearSVC()), ("bayes", GaussianNB())]
    crossfit = CrossFit(models).fit(X, y)
    report = audit(crossfit, X, y, permute=True)
    held_out = (crossfit.oof_predictions_[:, 0] > 0) != y
    assert f"{held_out.mean():.3g} held out" in find(report, "gap", "svm")["message"]
    assert find(report, "combiner")["verdict"] == "unknown"
    assert report.verdict == "ok", report
    labels = CrossFit(models, method="predict").fit(X, y)
    assert audit(labels, X, y, permute=True).verdict == "ok"


def test_stacks_of_classes_with_string_labels():
    X, y = make_classification(
        200, n_classes=3, n_informative=4, flip_y=0.2, random_state=0
    )
    y = np.array(["low", "mid", "top"])[y]
    models = [("linear", LogisticRegression()), ("bayes", GaussianNB())]
    stacked = StackedClassifier(models).fit(X, y)
    report = audit(stacked, X, y, permute=True)
    assert find(report, "combiner")["message"].startswith("ConvexClassifier")
    assert find(report, "permuted", "ensemble")["verdict"] == "ok"
    losses = {row["name"]: row["loss"] for row in stacked.leaderboard_}
    assert f"{losses['linear']:.3g} held out" in find(report, "gap")["message"]
    assert f"{losses['ensemble']:.4g}" in find(report, "combiner")["message"]


def test_stacks_of_quantiles():
    X, y = regression(120)
    members = [("near", KNeighborsQuantiles(5)), ("wide", KNeighborsQuantiles(40))]
    stacked = StackedQuantileRegressor(members).fit(X, y)
    report = audit(stacked, X, y, permute=True)
    loss = stacked.cross_fit_.report_[0]["loss"]
    assert f"{loss:.3g} held out" in find(report, "gap", "near")["message"]
    assert find(report, "combiner")["message"].startswith("QuantileAggregator")
    assert find(report, "permuted", "wide")["verdict"] == "ok"
    assert find(audit(stacked.cross_fit_, X, y), "combiner")["verdict"] != "unknown"


class KNeighborsQuantiles(KNeighborsRegressor):
    def fit(self, X, y):
        self.targets_ = np.asarray(y)
        return super().fit(X, y)

    def predict_quantiles(self, X, levels=(0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)):
        near = self.targets_[self.kneighbors(X, return_distance=False)]
        return np.quantile(near, levels, axis=1).T


def test_weights_of_the_fit_are_those_of_the_audit():
    X, y = regression()
    weight = np.random.default_rng(0).integers(0, 4, 200).astype(float)
    crossfit = CrossFit(members()).fit(X, y, sample_weight=weight)
    ours = audit(crossfit, X, y, permute=True)
    assert ours == audit(crossfit, X, y, sample_weight=weight, permute=True)
    loss = crossfit.report_[0]["loss"]
    assert f"{loss:.3g} held out" in find(ours, "gap", "ridge")["message"]


@pytest.mark.parametrize("container", [sparse.csr_matrix, pl.DataFrame, pd.DataFrame])
def test_containers_give_the_same_report(container):
    X, y = regression()
    X[X < 0] = 0.0
    models = [("tree", DecisionTreeRegressor(max_depth=3, random_state=0))] * 1
    expected = audit(CrossFit(models).fit(X, y), X, y).rows
    given = container(X)
    rows = audit(CrossFit(models).fit(given, y), given, y).rows
    for ours, theirs in zip(rows, expected, strict=True):
        assert ours["verdict"] == theirs["verdict"]
        if theirs["value"] is not None:
            assert_allclose(ours["value"], theirs["value"], atol=1e-12)


def test_only_some_columns_and_rows_are_looked_at(monkeypatch):
    X, y = regression()
    monkeypatch.setattr("ensemblekit.auditing._checks.MAX_COLUMNS", 2)
    report = audit(CrossFit(members()).fit(X, y), X, y, max_rows=50)
    assert "of the first 2 columns" in find(report, "column")["message"]
    assert find(report, "gap", "tree")["verdict"] == "ok"


# What is shown and refused


def test_the_report_prints_and_turns_into_data():
    X, y = regression()
    trained = PrefitMember(Ridge().fit(X, y), trained_on_other_rows=True)
    report = audit(CrossFit([("<b>", trained), *members()]).fit(X, y), X, y)
    assert isinstance(report, AuditReport)
    text = str(report)
    assert text == repr(report)
    assert "Audit: warn (" in text
    assert "- prefit (<b>): If it has seen these rows" in text
    assert max(map(len, text.splitlines())) <= 110
    assert json.loads(json.dumps(report.to_dict()))["verdict"] == "warn"
    assert "&lt;b&gt;" in report._repr_html_()
    assert "<td><b>" not in report._repr_html_()
    assert report.findings[0]["check"] == "prefit"


def test_the_same_seed_gives_the_same_report():
    X, y = regression()
    crossfit = CrossFit(members()).fit(X, y)
    before = crossfit.oof_predictions_.copy(), crossfit.n_fits_
    first = audit(crossfit, X, y, permute=True, max_rows=60)
    assert first == audit(crossfit, X, y, permute=True, max_rows=60)
    assert_array_equal(crossfit.oof_predictions_, before[0])
    assert crossfit.n_fits_ == before[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": np.zeros((3, 5))}, r"X has 3 rows; the fit had 200"),
        ({"X": np.zeros((200, 4))}, r"X has 4 features"),
        ({"y": np.zeros(3)}, r"y has 3 rows; the fit had 200"),
        ({"y": np.zeros(200)}, r"y differs from that of the fit"),
        (
            {"X": np.zeros((200, 5))},
            r"X, y or sample_weight are not those given to fit",
        ),
        ({"groups": np.zeros(3)}, r"groups has 3 rows"),
        ({"groups": np.zeros((200, 1))}, r"groups has 2 dimensions"),
        ({"groups": [None, *range(199)]}, r"groups is missing at row 0"),
        ({"max_rows": 0}, r"max_rows is 0; expected at least 1"),
        ({"sample_weight": -np.ones(200)}, r"[Nn]egative"),
    ],
)
def test_refuses_what_is_not_of_the_fit(changes, message):
    X, y = regression()
    given = {"X": X, "y": y, **changes}
    with pytest.raises(ValueError, match=message):
        audit(CrossFit(members()).fit(X, y), **given)


def test_refuses_other_estimators_and_labels():
    X, y = regression()
    with pytest.raises(TypeError, match="Ridge; expected a fitted CrossFit"):
        audit(Ridge().fit(X, y), X, y)
    with pytest.raises(ValueError, match="not fitted"):
        audit(CrossFit(members()), X, y)
    crossfit = CrossFit([("bayes", GaussianNB())]).fit(X, y > 0)
    with pytest.raises(ValueError, match=r"labels \[2\] that were not there"):
        audit(crossfit, X, np.full(200, 2))
    with pytest.raises(ValueError, match=r"audit needs .* compact\(\) dropped"):
        audit(CrossFit(members()).fit(X, y).compact(), X, y)
    with pytest.raises(ValueError, match="are not those given to fit"):
        audit(CrossFit(members()).fit(X, y), X, y, sample_weight=np.arange(200) + 1.0)


@pytest.mark.skipif(not DATA.exists(), reason="the folder of real tables is not there")
def test_real_copies_of_red_wines():
    table = pd.read_parquet(DATA / "uci_wine_red.parquet")
    X, y = table.drop(columns="target"), table["target"]
    models = [("near", make_pipeline(KNeighborsRegressor(5))), ("ridge", Ridge())]
    report = audit(CrossFit(models, cv=SHUFFLED).fit(X, y), X, y)
    row = find(report, "duplicates")
    assert row["verdict"] == "fail"
    twins = _rows.number_equal_rows(X)
    assert len(np.unique(twins)) == len(X.drop_duplicates())
    apart = CrossFit(models, cv=GroupKFold(5)).fit(X, y, groups=twins)
    assert audit(apart, X, y).verdict == "ok"
