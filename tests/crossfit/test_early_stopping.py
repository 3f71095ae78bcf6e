"""Early stopping in folds, against the libraries' own calls written out by hand."""

import inspect
import subprocess
import sys
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge, SGDClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from ensemblekit._boosters import find_booster, splits_rows_itself
from ensemblekit._early_stopping import (
    describe_limits,
    fit_early,
    recode,
    refit_rounds,
    rounds_of,
    stops_early,
    unreached_parts,
    with_rounds,
)
from ensemblekit._inner_split import inner_split

lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")

QUIET = {"n_jobs": 1, "n_estimators": 60, "learning_rate": 0.4}
HAS_ROWS = "X_val" in inspect.signature(HistGradientBoostingRegressor.fit).parameters
takes_rows = pytest.mark.skipif(not HAS_ROWS, reason="scikit-learn before 1.7")


@pytest.fixture(autouse=True)
def _one_thread():
    """Small data: more threads only wait for each other."""
    with threadpool_limits(1):
        yield


def lgbm(task="regression", **settings):
    kind = {
        "regression": lightgbm.LGBMRegressor,
        "classification": lightgbm.LGBMClassifier,
    }[task]
    return kind(**{**QUIET, "early_stopping_round": 4, **settings})


def xgb(task="regression", **settings):
    kind = {
        "regression": xgboost.XGBRegressor,
        "classification": xgboost.XGBClassifier,
    }[task]
    return kind(**{**QUIET, "early_stopping_rounds": 4, **settings})


def hgb(task="regression", **settings):
    kind = {
        "regression": HistGradientBoostingRegressor,
        "classification": HistGradientBoostingClassifier,
    }[task]
    given = {"max_iter": 60, "learning_rate": 0.4, "early_stopping": True}
    return kind(**{**given, "n_iter_no_change": 4, "random_state": 0, **settings})


def data(task="regression", n=240, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    weight = rng.uniform(0.2, 2.0, n)
    if task == "regression":
        X, y = make_regression(n, 6, noise=60.0, random_state=seed)
        return X, y, weight
    X, y = make_classification(
        n, 6, n_informative=4, n_classes=n_classes, flip_y=0.3, random_state=seed
    )
    return X, y, weight


def by_hand(member, X, y, X_val, y_val, weight=None, weight_val=None):
    """The library's own call."""
    member = clone(member)
    kind = type(member).__module__.partition(".")[0]
    if kind == "lightgbm":
        member.set_params(verbosity=-1)
        accepted = inspect.signature(member.fit).parameters
        rows = {"eval_set": [(X_val, y_val)]}
        if "eval_X" in accepted:
            rows = {"eval_X": X_val, "eval_y": y_val}
        if weight_val is not None:
            rows["eval_sample_weight"] = [weight_val]
        return member.fit(X, y, sample_weight=weight, **rows)
    if kind == "xgboost":
        rows = {"eval_set": [(X_val, y_val)], "verbose": False}
        if weight_val is not None:
            rows["sample_weight_eval_set"] = [weight_val]
        return member.fit(X, y, sample_weight=weight, **rows)
    return member.fit(
        X,
        y,
        sample_weight=weight,
        X_val=X_val,
        y_val=y_val,
        sample_weight_val=weight_val,
    )


def answer(model, X):
    return getattr(model, "predict_proba", model.predict)(X)


MAKERS = [lgbm, xgb, pytest.param(hgb, marks=takes_rows)]
TASKS = ["regression", "classification"]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("make", [lgbm, xgb])
@pytest.mark.parametrize("weighted", [False, True])
def test_inner_split_is_the_librarys_own_call(make, task, weighted):
    X, y, weight = data(task)
    train, held = inner_split(
        y,
        stratify=task == "classification",
        weight=weight if weighted else None,
        seed=3,
    )
    expected = by_hand(
        make(task),
        X[train],
        y[train],
        X[held],
        y[held],
        *((weight[train], weight[held]) if weighted else ()),
    )
    params = {"sample_weight": weight} if weighted else {}
    model = fit_early(make(task), X, y, params, seed=3)
    assert_array_equal(answer(model, X), answer(expected, X))
    assert 1 <= rounds_of(model) < 60


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("form", ["none", "array", "dict"])
def test_rows_from_outside_are_the_librarys_own_call(make, task, form):
    X, y, weight = data(task)
    inside, outside = slice(0, 160), slice(160, 240)
    hand = (weight[inside], weight[outside]) if form != "none" else ()
    expected = by_hand(make(task), X[inside], y[inside], X[outside], y[outside], *hand)
    extras = {
        "none": [],
        "array": [weight[outside]],
        "dict": [{"sample_weight": weight[outside]}],
    }[form]
    params = {} if form == "none" else {"sample_weight": weight[inside]}
    rows = (X[outside], y[outside], *extras)
    model = fit_early(make(task), X[inside], y[inside], params, validation=rows)
    assert_array_equal(answer(model, X), answer(expected, X))


@pytest.mark.parametrize("make", MAKERS)
def test_validation_weights_change_the_rounds(make):
    X, y, _ = data(n=300)
    weight_val = np.where(np.arange(100) < 50, 1e-6, 1.0)
    fit = {"validation": (X[200:], y[200:])}
    plain = fit_early(make(), X[:200], y[:200], {}, **fit)
    fit = {"validation": (X[200:], y[200:], weight_val)}
    weighted = fit_early(make(), X[:200], y[:200], {}, **fit)
    half = fit_early(make(), X[:200], y[:200], {}, validation=(X[250:], y[250:]))
    assert rounds_of(weighted) == rounds_of(half)
    assert not np.array_equal(weighted.predict(X), plain.predict(X)) or rounds_of(
        plain
    ) == rounds_of(half)


@takes_rows
@pytest.mark.parametrize("task", TASKS)
def test_histogram_boosting_splits_itself_unless_there_are_groups(task):
    X, y, weight = data(task)
    params = {"sample_weight": weight}
    own = clone(hgb(task)).fit(X, y, **params)
    assert_array_equal(
        answer(fit_early(hgb(task), X, y, params, seed=3), X), answer(own, X)
    )
    groups = np.arange(240) // 8
    train, held = inner_split(
        y,
        stratify=task == "classification",
        groups=groups,
        weight=weight,
        seed=3,
    )
    expected = by_hand(
        hgb(task), X[train], y[train], X[held], y[held], weight[train], weight[held]
    )
    model = fit_early(hgb(task), X, y, params, groups=groups, seed=3)
    assert_array_equal(answer(model, X), answer(expected, X))
    assert rounds_of(model) == expected.n_iter_


@takes_rows
def test_histogram_boosting_that_watches_training_rows_does_so_with_groups():
    X, y, _ = data()
    member = hgb(validation_fraction=None)
    model = fit_early(clone(member), X, y, {}, groups=np.arange(240) // 8)
    assert_array_equal(model.predict(X), member.fit(X, y).predict(X))


@takes_rows
def test_automatic_histogram_boosting_stops_on_many_rows_alone():
    X, y, _ = data(n=10_050)
    member = hgb(early_stopping="auto", max_iter=6, max_leaf_nodes=4)
    assert stops_early(member)
    assert stops_early(member, 10_001)
    assert not stops_early(member, 10_000)
    groups = np.arange(10_050) // 50
    few = fit_early(clone(member), X[:200], y[:200], {}, groups=groups[:200])
    assert rounds_of(few) is None
    assert few.early_stopping == "auto"
    many = fit_early(clone(member), X, y, {}, groups=groups, seed=0)
    assert many.do_early_stopping_  # though fewer than 10 000 rows are left to it
    assert rounds_of(many) == many.n_iter_


def pipelines(last):
    inner = make_pipeline(StandardScaler(), clone(last))
    return [
        (make_pipeline(StandardScaler(), "passthrough", clone(last)), 1),
        (make_pipeline(StandardScaler(), None, inner), 2),
        (Pipeline([("only", clone(last))]), 0),
        (make_pipeline(FeatureUnion([("a", StandardScaler())]), clone(last)), 1),
    ]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("number", range(4))
def test_steps_before_learn_from_training_rows_alone(make, number):
    X, y, weight = data()
    X = X * [1, 10, 100, 1, 1, 1] + 7
    pipeline, n_scalers = pipelines(make())[number]
    prefix, last = "", pipeline
    while isinstance(last, Pipeline):
        name, last = last.steps[-1]
        prefix += f"{name}__"
    params = {f"{prefix}sample_weight": weight}
    assert stops_early(pipeline)
    groups = np.arange(240) // 6
    train, held = inner_split(y, stratify=False, groups=groups, weight=weight, seed=5)
    A, B = X[train], X[held]
    for _ in range(n_scalers):
        scaler = StandardScaler().fit(A)
        A, B = scaler.transform(A), scaler.transform(B)
    expected = by_hand(make(), A, y[train], B, y[held], weight[train], weight[held])
    model = fit_early(pipeline, X, y, params, groups=groups, seed=5)
    assert model is pipeline
    assert_array_equal(model.predict(X[held]), expected.predict(B))
    assert rounds_of(model) == rounds_of(expected)


@pytest.mark.parametrize("make", MAKERS)
def test_pipelines_with_metadata_routing(make):
    X, y, weight = data()
    with sklearn.config_context(enable_metadata_routing=True):
        last = make().set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        pipeline = make_pipeline(scaler, last)
        weight_val = weight[160:]
        expected_scaler = StandardScaler().fit(X[:160], sample_weight=weight[:160])
        A, B = (expected_scaler.transform(part) for part in (X[:160], X[160:]))
        expected = by_hand(make(), A, y[:160], B, y[160:], weight[:160], weight_val)
        for extras in (weight_val, {"sample_weight": weight_val}):
            model = fit_early(
                clone(pipeline),
                X[:160],
                y[:160],
                {"sample_weight": weight[:160]},
                validation=(X[160:], y[160:], extras),
            )
            assert_array_equal(model.predict(X[160:]), expected.predict(B))
        unweighted = fit_early(clone(pipeline), X, y, {}, validation=(X, y))
        assert rounds_of(unweighted) >= 1


def test_pipeline_refuses_metadata_without_a_step():
    X, y, weight = data()
    pipeline = make_pipeline(StandardScaler(), lgbm())
    with pytest.raises(ValueError, match="'lgbmregressor__sample_weight'"):
        fit_early(pipeline, X, y, {"sample_weight": weight})


def test_the_models_weights_count_not_those_of_a_step_before():
    X, y, weight = data()
    zero = np.where(np.arange(240) < 200, 0.0, weight)
    pipeline = make_pipeline(StandardScaler(), xgb())
    params = {
        "standardscaler__sample_weight": weight,
        "xgbregressor__sample_weight": zero,
    }
    model = fit_early(pipeline, X, y, params, seed=1)
    train, held = inner_split(y, stratify=False, weight=zero, seed=1)
    assert (held >= 200).all()
    scaler = StandardScaler().fit(X[train], sample_weight=weight[train])
    A, B = scaler.transform(X[train]), scaler.transform(X[held])
    expected = by_hand(xgb(), A, y[train], B, y[held], zero[train], zero[held])
    assert_array_equal(model.predict(X), expected.predict(scaler.transform(X)))


def test_frozen_and_weighted_steps_before():
    X, y, weight = data()
    frozen = FrozenEstimator(StandardScaler().fit(X[:50]))
    model = fit_early(make_pipeline(frozen, xgb()), X, y, {}, seed=1)
    train, held = inner_split(y, stratify=False, seed=1)
    Z = frozen.transform(X)
    expected = by_hand(xgb(), Z[train], y[train], Z[held], y[held])
    assert_array_equal(model.predict(X), expected.predict(Z))
    weighted = make_pipeline(StandardScaler(), xgb())
    params = {"standardscaler__sample_weight": weight}
    model = fit_early(weighted, X, y, params, seed=1)
    scaler = StandardScaler().fit(X[train], sample_weight=weight[train])
    assert_array_equal(model[0].mean_, scaler.mean_)


@pytest.mark.parametrize("make", [lgbm, xgb])
@pytest.mark.parametrize("kind", ["csr", "pandas", "polars", "list"])
def test_containers(make, kind):
    X, y, _ = data()
    X[X < -1] = 0.0
    container = X
    if kind == "csr":
        container = sp.csr_matrix(X)
    elif kind == "list":
        container = X.tolist()
    else:
        frames = pytest.importorskip(kind)
        names = [f"x{i}" for i in range(6)]
        container = frames.DataFrame(dict(zip(names, X.T, strict=True)))
        if kind == "polars":
            pytest.importorskip("pyarrow") if make is lgbm else None
    train, held = inner_split(y, stratify=False, seed=2)
    take = sklearn.utils._safe_indexing
    rows = [take(container, part) for part in (train, held)]
    if kind == "list":
        rows = [np.asarray(part) for part in rows]
    expected = by_hand(make(), rows[0], y[train], rows[1], y[held])
    model = fit_early(make(), container, y, {}, seed=2)
    seen = X if kind in ("csr", "list") else container
    assert_array_equal(model.predict(seen), expected.predict(seen))


def frame_with_categories(n=240):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    towns = rng.choice(["a", "b", "c", "d"], n)
    towns[:3] = ["x", "y", "z"]  # rare: in one part alone
    value = rng.normal(size=n)
    y = value + (towns == "a") + rng.normal(size=n)
    frame = pd.DataFrame({"value": value, "town": pd.Categorical(towns)})
    frame.loc[5, "value"] = np.nan
    return frame, y


@pytest.mark.parametrize(
    "member",
    [
        lgbm(),
        xgb(enable_categorical=True, tree_method="hist"),
        pytest.param(hgb(categorical_features="from_dtype"), marks=takes_rows),
    ],
)
def test_frames_with_categories(member):
    X, y = frame_with_categories()
    groups = np.arange(240) // 4
    train, held = inner_split(y, stratify=False, groups=groups, seed=4)
    expected = by_hand(member, X.iloc[train], y[train], X.iloc[held], y[held])
    model = fit_early(clone(member), X, y, {}, groups=groups, seed=4)
    assert_array_equal(model.predict(X), expected.predict(X))


def test_encoder_knows_categories_of_training_rows_alone():
    X, y = frame_with_categories()
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["town"]), remainder="passthrough"
    )
    model = fit_early(make_pipeline(encoder, xgb()), X, y, {}, seed=0)
    train, _ = inner_split(y, stratify=False, seed=0)
    known = model[0].transformers_[0][1].categories_[0]
    assert set(known) == set(X["town"].iloc[train])


@pytest.mark.parametrize("make", MAKERS)
def test_validation_rows_of_unknown_classes_are_left_out(make):
    X, y, weight = data("classification")
    known = y < 2
    rows = X[200:], np.where(y[200:] < 2, y[200:], -1), weight[200:]
    train = np.flatnonzero(known[:200])
    keep = 200 + np.flatnonzero(known[200:])
    expected = by_hand(
        make("classification"),
        X[train],
        y[train],
        X[keep],
        y[keep],
        weight_val=weight[keep],
    )
    for extras in (weight[200:], {"sample_weight": weight[200:]}):
        model = fit_early(
            make("classification"),
            X[train],
            y[train],
            {},
            validation=(rows[0], rows[1], extras),
        )
        assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    nothing = X[200:], np.full(40, -1)
    with pytest.raises(ValueError, match="no validation rows of the classes"):
        fit_early(make("classification"), X[train], y[train], {}, validation=nothing)


@pytest.mark.parametrize("make", MAKERS)
def test_validation_that_lacks_a_class(make):
    X, y, _ = data("classification")
    rows = X[200:][y[200:] == 0], y[200:][y[200:] == 0]
    model = fit_early(make("classification"), X[:200], y[:200], {}, validation=rows)
    assert model.predict_proba(X).shape == (240, 3)
    assert rounds_of(model) >= 1


def test_refuses_weightless_and_uneven_validation_rows():
    X, y, _ = data()
    rows = X[:9], y[:9], np.zeros(9)
    with pytest.raises(ValueError, match="weight zero alone"):
        fit_early(lgbm(), X, y, {}, validation=rows)
    with pytest.raises(ValueError, match="validation is 'held_out'"):
        fit_early(lgbm(), X, y, {}, validation="held_out")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fit_early(lgbm(), X, y, {}, validation=(X[:9], y[:8]))


@pytest.mark.parametrize("make", [lgbm, xgb])
def test_rows_handed_over_by_name_are_left_as_they_are(make):
    X, y, _ = data()
    member = make()
    params = {"eval_set": [(X[200:], y[200:])]}
    if make is lgbm:
        member.set_params(verbosity=-1)
        if "eval_X" in inspect.signature(member.fit).parameters:
            params = {"eval_X": (X[200:],), "eval_y": (y[200:],)}
    else:
        params["verbose"] = False
    model = fit_early(member, X[:200], y[:200], params)
    expected = by_hand(make(), X[:200], y[:200], X[200:], y[200:])
    assert_array_equal(model.predict(X), expected.predict(X))


@pytest.mark.parametrize("make", [lgbm, xgb])
def test_offsets_are_divided_as_the_rows_are(make):
    X, y, _ = data()
    name = "init_score" if make is lgbm else "base_margin"
    offset = np.linspace(-5, 5, 240)
    train, held = inner_split(y, stratify=False, seed=0)
    member = make()
    rows = {
        "eval_set": [(X[held], y[held])],
        "base_margin_eval_set": [offset[held]],
        "verbose": False,
    }
    if make is lgbm:
        member.set_params(verbosity=-1)
        rows = {"eval_X": X[held], "eval_y": y[held]}
        if "eval_X" not in inspect.signature(member.fit).parameters:
            rows = {"eval_set": [(X[held], y[held])]}
        rows["eval_init_score"] = [offset[held]]
    expected = member.fit(X[train], y[train], **{name: offset[train]}, **rows)
    model = fit_early(make(), X, y, {name: offset}, seed=0)
    assert_array_equal(model.predict(X), expected.predict(X))


@pytest.mark.parametrize(
    "member",
    [
        lgbm(objective="quantile", alpha=0.9),
        lgbm(metric="l1"),
        lgbm(metric=["l1", "l2"], first_metric_only=True),
        lgbm(boosting_type="rf", subsample=0.5, subsample_freq=1),
        lgbm(early_stopping_min_delta=1.0),
        xgb(objective="reg:quantileerror", quantile_alpha=[0.1, 0.9]),
        xgb(eval_metric=["rmse", "mae"]),
        xgb(booster="dart", rate_drop=0.2, random_state=0),
        xgb(
            early_stopping_rounds=None,
            callbacks=[xgboost.callback.EarlyStopping(rounds=3, save_best=True)],
        ),
    ],
    ids=lambda member: str(member.get_params().get("objective")),
)
def test_settings_of_the_libraries_are_kept(member):
    X, y, _ = data()
    train, held = inner_split(y, stratify=False, seed=0)
    expected = by_hand(member, X[train], y[train], X[held], y[held])
    model = fit_early(clone(member), X, y, {}, seed=0)
    assert stops_early(member)
    assert_array_equal(model.predict(X), expected.predict(X))
    assert rounds_of(model) == rounds_of(expected)


def test_metric_given_to_fit_is_passed_on():
    X, y, _ = data("classification", n_classes=2)
    train, held = inner_split(y, stratify=True, seed=0)
    member = lgbm("classification", verbosity=-1, first_metric_only=True)
    rows = {"eval_X": X[held], "eval_y": y[held]}
    if "eval_X" not in inspect.signature(member.fit).parameters:
        rows = {"eval_set": [(X[held], y[held])]}
    expected = clone(member).fit(X[train], y[train], eval_metric="auc", **rows)
    model = fit_early(member, X, y, {"eval_metric": "auc"}, seed=0)
    assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    assert "auc" in model.best_score_["valid_0"]


@pytest.mark.parametrize(
    "name",
    [
        "early_stopping_round",
        "early_stopping_rounds",
        "early_stopping",
        "n_iter_no_change",
    ],
)
def test_every_name_lightgbm_has_for_patience(name):
    X, y, _ = data()
    member = lightgbm.LGBMRegressor(**QUIET, **{name: 4})
    assert stops_early(member)
    assert not stops_early(clone(member).set_params(**{name: 0}))
    assert not stops_early(clone(member).set_params(**{name: None}))
    model = fit_early(member, X, y, {}, seed=0)
    expected = fit_early(lgbm(), X, y, {}, seed=0)
    assert rounds_of(model) == rounds_of(expected) < 60
    again = with_rounds(member, 7).set_params(verbosity=-1).fit(X, y)
    assert again.booster_.current_iteration() == 7


def test_lightgbms_first_name_wins():
    member = lgbm(early_stopping_round=0).set_params(early_stopping=9)
    assert not stops_early(member)


@pytest.mark.parametrize("name", ["num_iterations", "num_boost_round", "max_iter"])
def test_every_name_lightgbm_has_for_rounds(name):
    X, y, _ = data()
    member = lgbm(verbosity=-1)
    member.set_params(**{name: 40})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says which of the two it takes
        model = with_rounds(member, 7).fit(X, y)
    assert model.booster_.current_iteration() == 7


@pytest.mark.parametrize("name", ["boosting_type", "boosting", "boost"])
def test_lightgbm_with_dropped_trees_fits_all_rounds_on_all_rows(name):
    X, y, _ = data()
    member = lgbm(verbosity=-1, n_estimators=12).set_params(**{name: "dart"})
    assert stops_early(member)
    (sentence,) = describe_limits("Member 'a'", member)
    assert sentence.startswith("Member 'a' (LGBMRegressor) does not stop early with")
    model = fit_early(clone(member), X, y, {})
    expected = clone(member).set_params(early_stopping_round=None).fit(X, y)
    assert_array_equal(model.predict(X), expected.predict(X))
    assert rounds_of(model) is None
    assert with_rounds(member, None).n_estimators == 12


@pytest.mark.parametrize("make", [lgbm, xgb])
def test_nothing_is_printed(make, capfd):
    X, y, _ = data()
    fit_early(make(), X, y, {}, seed=0)
    fit_early(make(), X, y, {}, validation=(X[:50], y[:50]))
    assert capfd.readouterr() == ("", "")


def test_the_users_verbosity_is_kept():
    X, y, _ = data()
    assert fit_early(lgbm(verbose=0), X, y, {}).get_params().get("verbosity") is None


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("task", TASKS)
def test_rounds_are_those_that_predict_and_refits_have_as_many(make, task):
    X, y, _ = data(task)
    model = fit_early(make(task), X[:160], y[:160], {}, validation=(X[160:], y[160:]))
    rounds = rounds_of(model)
    fixed = with_rounds(make_pipeline(StandardScaler(), model), rounds)
    assert not stops_early(fixed)
    assert rounds_of(fixed) is None
    refit = with_rounds(model, rounds).fit(X[:160], y[:160])
    assert_array_equal(answer(refit, X), answer(model, X))
    assert rounds_of(refit) is None
    assert stops_early(model)


def test_callbacks_that_do_not_stop_are_kept():
    class Counter(xgboost.callback.TrainingCallback):
        calls = 0

        def after_iteration(self, model, epoch, evals_log):
            type(self).calls += 1
            return False

    stop = xgboost.callback.EarlyStopping(rounds=3)
    member = xgb(early_stopping_rounds=None, callbacks=[stop, Counter()])
    assert not stops_early(xgb(early_stopping_rounds=None, callbacks=[Counter()]))
    fixed = with_rounds(member, 5)
    X, y, _ = data()
    fixed.fit(X, y)
    assert Counter.calls == 5
    assert len(member.callbacks) == 2
    assert with_rounds(xgb(callbacks=[stop]), 5).callbacks is None


def test_boosting_that_splits_rows_itself_is_fitted_as_it_is():
    X, y, _ = data("classification")
    member = GradientBoostingClassifier(
        n_estimators=40, n_iter_no_change=3, random_state=0
    )
    assert not stops_early(member)
    model = fit_early(clone(member), X, y, {}, seed=9)
    expected = clone(member).fit(X, y)
    assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    assert rounds_of(model) == expected.n_estimators_ < 40
    fixed = with_rounds(member, 8).fit(X, y)
    assert fixed.n_estimators_ == 8
    assert rounds_of(fixed) is None


@pytest.mark.parametrize(
    "member",
    [
        Ridge(),
        RandomForestRegressor(n_estimators=3, random_state=0),
        lgbm(early_stopping_round=None, n_estimators=4, verbosity=-1),
        xgb(early_stopping_rounds=None, n_estimators=4),
        hgb(early_stopping=False, max_iter=4),
        FrozenEstimator(Ridge().fit(*data()[:2])),
        make_pipeline(StandardScaler(), Ridge()),
    ],
)
def test_other_members_are_left_alone(member):
    X, y, _ = data()
    assert not stops_early(member)
    model = fit_early(clone(member), X, y, {}, groups=np.zeros(240), seed=0)
    assert_array_equal(model.predict(X), clone(member).fit(X, y).predict(X))
    assert rounds_of(model) is None
    assert with_rounds(member, 3).get_params(deep=False).keys() == (
        member.get_params(deep=False).keys()
    )
    assert describe_limits("Member 'a'", member, groups=True) == []
    assert unreached_parts(member) == []


class SparsePipeline(Pipeline):
    """A pipeline with a fit of its own."""

    def fit(self, X, y=None, **params):
        return super().fit(X, y, **params)


def test_parts_out_of_reach_are_named():
    assert unreached_parts(lgbm()) == []
    assert unreached_parts(make_pipeline(StandardScaler(), lgbm())) == []
    wrapped = TransformedTargetRegressor(lgbm())
    assert not stops_early(wrapped)
    assert unreached_parts(wrapped) == ["regressor"]
    assert unreached_parts(make_pipeline(StandardScaler(), wrapped)) == [
        "transformedtargetregressor__regressor"
    ]
    assert unreached_parts(TransformedTargetRegressor(hgb())) == []
    own = SparsePipeline([("last", xgb())])
    assert not stops_early(own)
    assert unreached_parts(own) == ["last"]


def test_quantile_members_fit_as_before():
    from ensemblekit import PerLevelQuantileRegressor

    X, y, _ = data()
    point = lgbm(early_stopping_round=None, n_estimators=4, verbosity=-1)
    member = PerLevelQuantileRegressor(point, [0.2, 0.8])
    model = fit_early(clone(member), X, y, {})
    expected = member.fit(X, y)
    assert_array_equal(model.predict_quantiles(X), expected.predict_quantiles(X))
    asking = PerLevelQuantileRegressor(lgbm(), [0.2, 0.8])
    assert unreached_parts(asking) == ["estimator"]


def test_members_that_split_their_own_rows_forget_groups():
    sgd = SGDClassifier(early_stopping=True)
    for member in (sgd, MLPRegressor(early_stopping=True)):
        assert splits_rows_itself(member)
        (sentence,) = describe_limits("Member 'a'", member, groups=True)
        assert "does not keep groups together" in sentence
        assert describe_limits("Member 'a'", member) == []
    assert not splits_rows_itself(SGDClassifier())
    assert describe_limits("Member 'a'", lgbm(), groups=True) == []
    assert describe_limits("Member 'a'", SGDClassifier(), groups=True) == []


def test_histogram_boosting_that_takes_no_rows(monkeypatch):
    """As before scikit-learn 1.7."""
    fit = HistGradientBoostingRegressor.fit

    def without(self, X, y, sample_weight=None):
        return fit(self, X, y, sample_weight)

    monkeypatch.setattr(HistGradientBoostingRegressor, "fit", without)
    X, y, _ = data()
    expected = hgb().fit(X, y)
    model = fit_early(hgb(), X, y, {}, validation=(X[:50], y[:50]))
    assert_array_equal(model.predict(X), expected.predict(X))
    assert describe_limits("Member 'a'", hgb()) == []
    for asked in ({"validation": "held_out"}, {"groups": True}):
        (sentence,) = describe_limits("Member 'a'", hgb(), **asked)
        assert "takes no validation rows before scikit-learn 1.7" in sentence


def test_libraries_before_eval_x(monkeypatch):
    """As before LightGBM 4.7."""
    seen = {}

    def fit(self, X, y, sample_weight=None, eval_set=None, eval_sample_weight=None):
        seen.update(eval_set=eval_set, weight=eval_sample_weight)
        return self

    monkeypatch.setattr(lightgbm.LGBMRegressor, "fit", fit)
    X, y, weight = data()
    fit_early(lgbm(), X, y, {}, validation=(X[:5], y[:5], weight[:5]))
    ((X_val, y_val),) = seen["eval_set"]
    assert_array_equal(X_val, X[:5])
    assert_array_equal(y_val, y[:5])
    assert_array_equal(seen["weight"], [weight[:5]])


def test_nothing_is_imported_to_tell_libraries_apart():
    code = (
        "import sys; import ensemblekit._early_stopping as e;"
        "from sklearn.linear_model import Ridge; e.stops_early(Ridge());"
        "e.unreached_parts(Ridge());"
        "assert not {'lightgbm', 'xgboost'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_same_named_classes_of_others_are_not_taken_for_boosters():
    LGBMModel = type("LGBMModel", (Ridge,), {"__module__": "elsewhere.lightgbm"})
    assert find_booster(LGBMModel()) is None


@pytest.mark.parametrize("make", [lgbm, xgb])
def test_same_seed_same_rows(make):
    X, y, _ = data()
    models = [fit_early(make(), X, y, {}, seed=seed) for seed in (None, None, 1, 2)]
    first, second, third, fourth = (model.predict(X) for model in models)
    assert_array_equal(first, second)
    assert not np.array_equal(third, fourth)


# The inner split.


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    fraction=st.sampled_from([0.1, 0.25, 0.5]),
    seed=st.none() | st.integers(0, 99),
)
def test_inner_split_of_classes(sizes, fraction, seed):
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    if len(y) * fraction < 1 or max(sizes) == 1:
        with pytest.raises(ValueError, match="Early stopping"):
            inner_split(y, stratify=True, fraction=fraction, seed=seed)
        return
    train, held = inner_split(y, stratify=True, fraction=fraction, seed=seed)
    assert_array_equal(np.sort(np.r_[train, held]), np.arange(len(y)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(held) > 0).all()
    for code, size in enumerate(sizes):
        n = (y[held] == code).sum()
        expected = 0 if size == 1 else min(size - 1, max(1, round(fraction * size)))
        assert n == expected


@settings(max_examples=200, deadline=None)
@given(
    groups=st.lists(st.integers(0, 8), min_size=10, max_size=60),
    stratify=st.booleans(),
    zeros=st.booleans(),
    seed=st.integers(0, 99),
)
def test_inner_split_of_groups(groups, stratify, zeros, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, len(groups))
    weight = rng.integers(0, 3, len(groups)) if zeros else np.ones(len(groups))
    names = np.array([f"g{g}" for g in groups])
    args = {"stratify": stratify, "groups": names, "weight": weight, "seed": seed}
    classes = y if stratify else np.zeros(len(y), int)
    needed = [set(classes[weight > 0].tolist())]

    def possible(group):
        left = (weight > 0) & (names != group)
        here = (weight > 0) & (names == group)
        return here.any() and set(classes[left].tolist()) == needed[0]

    if (weight > 0).sum() < 10 or not any(map(possible, set(names))):
        with pytest.raises(ValueError, match="Early stopping"):
            inner_split(y, **args)
        return
    train, held = inner_split(y, **args)
    assert_array_equal(np.sort(np.r_[train, held]), np.arange(len(y)))
    assert not set(names[train]) & set(names[held])
    assert (weight[held] > 0).any()
    assert set(classes[train][weight[train] > 0].tolist()) == needed[0]


def test_group_split_is_near_the_fraction():
    y = np.repeat([0, 1], [600, 200])
    groups = np.random.default_rng(0).integers(0, 100, 800)
    for seed in range(20):
        _, held = inner_split(y, stratify=True, groups=groups, seed=seed)
        for of_class, n in ((held < 600, 600), (held >= 600, 200)):
            assert 0.05 < of_class.sum() / n < 0.16


def test_rows_of_weight_zero_do_not_validate():
    weight = np.tile([0.0, 1.0], 20)
    _, held = inner_split(np.arange(40.0), stratify=False, weight=weight)
    assert_array_equal(weight[held], np.ones(2))


def test_too_few_rows_are_refused():
    y = np.arange(9.0)
    with pytest.raises(ValueError, match=r"has 9 training rows .* at least 10"):
        inner_split(y, stratify=False)
    with pytest.raises(ValueError, match="each class has one"):
        inner_split(np.arange(12), stratify=True)
    with pytest.raises(ValueError, match="without any of the 1 groups"):
        inner_split(np.arange(12), stratify=False, groups=np.zeros(12))
    codes = np.repeat([0, 1], 6)
    with pytest.raises(ValueError, match="without any of the 2 groups"):
        inner_split(codes, stratify=True, groups=codes)
    assert len(inner_split(np.arange(10.0), stratify=False)[1]) == 1


# Numbers of rounds, and codes of classes.


def test_refit_rounds():
    assert refit_rounds([40, 44, 36, 40, 40], 5) == 50
    assert refit_rounds([1, 1], 2) == 2
    assert refit_rounds([3, None, 5], 5) == 5
    assert refit_rounds([None, None], 5) is None
    assert refit_rounds([10], 1) == 10
    assert isinstance(refit_rounds([7, 8, 9], 3), int)


def test_recode():
    present = np.array([1, 3, 4])
    codes = np.array([0, 1, 2, 3, 4, 5, -1])
    assert_array_equal(recode(codes, present), [-1, 0, -1, 1, 2, -1, -1])
