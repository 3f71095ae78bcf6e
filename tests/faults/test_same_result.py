"""F10: the same result for any number of workers, backend and number of threads."""

import logging
from contextlib import nullcontext

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from ensemblekit import (
    ConvexClassifier,
    ConvexRegressor,
    EnsembleSelectionClassifier,
    EnsembleSelectionRegressor,
    LinearStackClassifier,
    LinearStackRegressor,
    StackedClassifier,
    StackedRegressor,
)

WORKERS = [
    (1, "loky"),
    (2, "loky"),
    (4, "loky"),
    (2, "threading"),
    (4, "threading"),
    (2, "dask"),
]
THREADS = (1, 2)
COMBINERS = {
    "classification": [
        ConvexClassifier(),
        EnsembleSelectionClassifier(random_state=0),
        LinearStackClassifier(),
    ],
    "regression": [
        ConvexRegressor(),
        EnsembleSelectionRegressor(random_state=0),
        LinearStackRegressor(),
    ],
}


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes with a thread each."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as started,
        distributed.Client(started) as client,
    ):
        yield client


def table(task):
    if task == "classification":
        return make_classification(300, 12, n_informative=6, random_state=0)
    return make_regression(300, 12, noise=10.0, random_state=0)


def stack(task):
    """Random states of None are drawn from that of the stack."""
    if task == "classification":
        members = [
            ("linear", make_pipeline(StandardScaler(), LogisticRegression())),
            ("forest", RandomForestClassifier(8)),
            ("boosting", HistGradientBoostingClassifier(max_iter=8)),
        ]
        return StackedClassifier(members, cv=3, random_state=7)
    members = [
        ("linear", make_pipeline(StandardScaler(), Ridge())),
        ("boosting", HistGradientBoostingRegressor(max_iter=8)),
    ]
    return StackedRegressor(members, cv=3, random_state=7)


@pytest.fixture(scope="module", params=["classification", "regression"])
def alone(request):
    """One process and one thread."""
    X, y = table(request.param)
    with threadpool_limits(1):
        return request.param, X, y, stack(request.param).fit(X, y)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize(("n_jobs", "backend"), WORKERS)
def test_same_for_every_backend(alone, n_jobs, backend, threads, request):
    task, X, y, expected = alone
    if backend == "dask":
        request.getfixturevalue("cluster")
    chosen = nullcontext() if n_jobs == 1 else joblib.parallel_config(backend)
    with chosen, threadpool_limits(threads):
        found = stack(task).set_params(n_jobs=n_jobs).fit(X, y)
        again = clone(found.combiner_).fit(found.oof_predictions_, y)
    P = expected.oof_predictions_
    assert_allclose(found.oof_predictions_, P, rtol=0.0, atol=1e-12 * np.abs(P).max())
    assert_array_equal(found.weights_, again.weights_)
    if np.array_equal(found.oof_predictions_, P):
        assert_array_equal(found.weights_, expected.weights_)
    assert_allclose(found.predict(X), expected.predict(X), rtol=1e-9, atol=1e-9)
    print("F10: tried 1 survived 1 lost 0")


@pytest.mark.parametrize("number", range(3))
def test_combiners_are_equal_to_the_last_bit_from_the_library_on(alone, number):
    task, _, _, fitted = alone
    library = fitted.library_
    with threadpool_limits(1):
        expected = clone(COMBINERS[task][number]).fit(library.P, library.y)
        answer = expected.predict(library.P)
    for limit in THREADS:
        with threadpool_limits(limit):
            found = clone(COMBINERS[task][number]).fit(library.P, library.y)
            for name, value in vars(expected).items():
                if isinstance(value, np.ndarray):
                    assert_array_equal(getattr(found, name), value, err_msg=name)
            assert_array_equal(found.predict(library.P), answer)
