"""F2: bad input is refused at once, by name, or gets a finite answer."""

import re
import warnings
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import threadpool_limits

from ensemblekit import (
    CrossFit,
    ResidualQuantileRegressor,
    StackedClassifier,
    StackedQuantileRegressor,
    StackedRegressor,
)

from . import bad_input as cases

LIMIT = 1.0  # seconds of this process until an error
NAMES = (
    "X|y|sample_weight|groups|cv|estimators|Estimator|[Mm]ember|quantile_levels|"
    "n_splits|n_repeats|refit|early_stopping|memory|on_error|min_members|"
    "on_unsupported|time_limit|n_jobs|random_state|verbose|classes|labels|samples|"
    "input variables|feature names|column names|Sample weights|Names provided"
)

CLASSIFIERS = [
    ("line", LogisticRegression(max_iter=50)),
    ("tree", DecisionTreeClassifier(max_depth=2, random_state=0)),
]
REGRESSORS = [
    ("line", Ridge()),
    ("tree", DecisionTreeRegressor(max_depth=2, random_state=0)),
]
QUANTILES = [(name, ResidualQuantileRegressor(model)) for name, model in REGRESSORS]
KINDS = {
    "CrossFit, classification": (CrossFit, CLASSIFIERS, "transform"),
    "CrossFit, regression": (CrossFit, REGRESSORS, "transform"),
    "StackedClassifier": (StackedClassifier, CLASSIFIERS, "predict_proba"),
    "StackedRegressor": (StackedRegressor, REGRESSORS, "predict"),
    "StackedQuantileRegressor": (StackedQuantileRegressor, QUANTILES, "predict"),
}


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module", autouse=True)
def _warmed_up():
    """Compile, or load, what a first fit of each kind needs."""
    for kind, members, _ in KINDS.values():
        X, y = good(members)
        kind(members, cv=3).fit(X, y)


def good(members):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(cases.N, 4))
    y = X[:, 0] + rng.normal(size=cases.N)
    return X, (y > 0).astype(int) if members is CLASSIFIERS else y


def outcome(label, X, y, options, fit_options):
    """Return None, or what is wrong with the way it ends."""
    kind, members, answer = KINDS[label]
    options = {"estimators": members, "cv": 3, "random_state": 0, **options}
    start = perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = kind(**options).fit(X, y, **fit_options)
            result = getattr(made, answer)(X)
    except (ValueError, TypeError) as error:
        if perf_counter() - start > LIMIT:
            return f"took {perf_counter() - start:.1f} s"
        if re.search(rf"\b({NAMES})", str(error)):
            return None
        return f"names nothing: {type(error).__name__}: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if np.isfinite(np.asarray(result, dtype=float)).all():
        return None
    return "answer is not finite"


def all_cases(label):
    """Yield name, X, y, options and metadata."""
    members = KINDS[label][1]
    X, y = good(members)
    task = "classification" if members is CLASSIFIERS else "regression"
    for name, change in cases.ROWS.items():
        yield f"X: {name}", change(X), y, {}, {}
    for name, change in cases.TARGETS.items():
        yield f"y: {name}", X, change(y), {}, {}
    for name, make in cases.WEIGHTS.items():
        yield f"weight: {name}", X, y, {}, {"sample_weight": make(len(y))}
    for name, make in cases.GROUPS.items():
        yield f"groups: {name}", X, y, {}, {"groups": make(len(y))}
    for name, options in cases.OPTIONS.items():
        yield f"option: {name}", X, y, options, {}
    for name, members in cases.members_of(task).items():
        if KINDS[label][1] is not QUANTILES or not isinstance(members, list):
            yield f"members: {name}", X, y, {"estimators": members}, {}


@pytest.mark.parametrize("label", KINDS)
def test_refused_or_answered(label):
    lost, tried = {}, 0
    for name, X, y, options, fit_options in all_cases(label):
        tried += 1
        if wrong := outcome(label, X, y, options, fit_options):
            lost[name] = wrong
    print(f"F2: tried {tried} survived {tried - len(lost)} lost {len(lost)}")
    assert lost == {}
    assert tried >= 150


def new_rows(X):
    """Yield rows to predict that are not those of fit in kind or shape."""
    for name, change in cases.ROWS.items():
        if name not in ("nothing", "generator"):
            yield name, change(X)
    yield "fewer columns", X[:, :3]
    yield "more columns", np.hstack([X, X])


@pytest.mark.parametrize("label", KINDS)
def test_new_rows_refused_or_answered(label):
    kind, members, answer = KINDS[label]
    X, y = good(members)
    made = kind(members, cv=3).fit(X, y)
    lost, tried = {}, 0
    for name, rows in new_rows(X):
        tried += 1
        start = perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = getattr(made, answer)(rows)
        except (ValueError, TypeError) as error:
            named = re.search(rf"\b({NAMES})", str(error))
            if not named or perf_counter() - start > LIMIT:
                lost[name] = str(error)
        except Exception as error:
            lost[name] = f"{type(error).__name__}: {error}"
        else:
            if not np.isfinite(result).all():
                lost[name] = "answer is not finite"
    print(f"F2: tried {tried} survived {tried - len(lost)} lost {len(lost)}")
    assert lost == {}


numbers = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, np.nan, np.inf, -np.inf, 1e308, 5e-324, 1e-300]),
    st.floats(-1e6, 1e6),
)
scales = st.sampled_from([1e-300, 1e-30, 1.0, 1e30, 1e150, 1e300])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    label=st.sampled_from(list(KINDS)),
    X=hnp.arrays(
        np.float64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=numbers
    ),
    scale=scales,
    data=st.data(),
)
def test_any_numbers(label, X, scale, data):
    X = X * scale if np.isfinite(X).all() and np.abs(X).max() < 1e6 else X
    length = data.draw(st.sampled_from([len(X), len(X), len(X), len(X) + 1]))
    if KINDS[label][1] is CLASSIFIERS:
        y = data.draw(hnp.arrays(np.int64, length, elements=st.integers(0, 2)))
    else:
        y = data.draw(hnp.arrays(np.float64, length, elements=numbers))
    weight = data.draw(
        st.one_of(st.none(), hnp.arrays(np.float64, length, elements=numbers))
    )
    options = {"cv": data.draw(st.sampled_from([2, 3]))}
    assert outcome(label, X, y, options, {"sample_weight": weight}) is None
