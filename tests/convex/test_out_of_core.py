"""Predictions that stay on disk, or in chunks."""

import gc
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import ConvexClassifier, ConvexRegressor

CHUNKS = [(50, 6), (37, 2), (150, 1), ((1, 0, 149), (3, 3)), (1000, 6)]


@pytest.fixture
def da():
    return pytest.importorskip("dask.array")


OPTIONS = [
    {},
    {"ridge": 0, "fit_intercept": True},
    {"sum_to_one": False},
    {"loss": "huber", "delta": 0.3},
    {"loss": "huber", "fit_intercept": True},
    {"loss": "pinball", "level": 0.3, "tol": 1e-6},
    {"ridge": "cv"},
    {"n_bootstrap": 4},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("chunks", CHUNKS, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_dask_regression(da, regression_predictions, options, chunks, weighted):
    P, y, weight = regression_predictions()
    weight = weight if weighted else None
    lazy = da.from_array(P, chunks=chunks)
    plain = ConvexRegressor(**options).fit(P, y, weight)
    found = ConvexRegressor(**options).fit(lazy, y, weight)
    assert_allclose(found.weights_, plain.weights_, atol=1e-12)
    assert_allclose(found.objective_, plain.objective_, rtol=1e-12)
    if options.get("n_bootstrap"):
        assert_allclose(found.weight_se_, plain.weight_se_, atol=1e-12)
    predictions = plain.predict(lazy)
    assert isinstance(predictions, np.ndarray)
    assert_array_equal(predictions, plain.predict(P))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("loss", ["log_loss", "brier"])
@pytest.mark.parametrize("chunks", [(50, -1), (37, 2), ((1, 0, 179), -1)], ids=str)
def test_dask_classification(da, class_predictions, n_classes, loss, chunks):
    P, y, weight = class_predictions(n_classes=n_classes)
    lazy = da.from_array(P, chunks=chunks)
    plain = ConvexClassifier(loss=loss).fit(P, y, weight)
    found = ConvexClassifier(loss=loss).fit(lazy, y, weight)
    assert_allclose(found.weights_, plain.weights_, atol=1e-12)
    assert_allclose(found.objective_, plain.objective_, rtol=1e-12)
    assert_array_equal(plain.predict_proba(lazy), plain.predict_proba(P))
    assert_array_equal(plain.predict(lazy), plain.predict(P))


def test_dask_reports(da, regression_predictions):
    P, y, _ = regression_predictions()
    lazy = da.from_array(P, chunks=(37, 4))
    fitted = ConvexRegressor().fit(P, y)
    assert_allclose(
        fitted.leave_one_out(lazy, y).predictions,
        fitted.leave_one_out(P, y).predictions,
        atol=1e-12,
    )
    for ours, theirs in zip(fitted.explain(lazy, y), fitted.explain(P, y), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-12)
    path = fitted.regularization_path(lazy, y, ridges=[0.0, 1.0])
    assert_allclose(path.weights[1], ConvexRegressor(ridge=1).fit(P, y).weights_)


def test_dask_targets_weights_and_batches(da, regression_predictions):
    P, y, weight = regression_predictions()
    lazy, plain = da.from_array(P, chunks=(40, 6)), ConvexRegressor().fit(P, y, weight)
    targets, weights = da.from_array(y, chunks=30), da.from_array(weight, chunks=70)
    found = ConvexRegressor().fit(lazy, targets, weights)
    assert_allclose(found.weights_, plain.weights_, atol=1e-12)
    found = ConvexRegressor().partial_fit(lazy[:70], y[:70], weight[:70])
    found.partial_fit(lazy[70:], y[70:], weight[70:])
    assert_allclose(found.weights_, plain.weights_, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, bool])
def test_dask_types(da, regression_predictions, dtype):
    P, y, weight = regression_predictions()
    P = (2 * P).astype(dtype)
    lazy = da.from_array(P, chunks=(40, 6))
    plain = ConvexRegressor(ridge=0.1).fit(P, y, weight)
    found = ConvexRegressor(ridge=0.1).fit(lazy, y, weight)
    assert_allclose(found.weights_, plain.weights_, atol=1e-12)


def test_copies_in_chunks(da, regression_predictions):
    P, y, weight = regression_predictions()
    P = np.hstack([P, P])
    P[140, 7] += 1.0
    P[3, 8] += 1.0
    weight[3] = 0.0
    lazy = da.from_array(P, chunks=(50, 5))
    for given, distinct in [(None, 8), (weight, 7)]:
        plain = ConvexRegressor().fit(P, y, given)
        found = ConvexRegressor().fit(lazy, y, given)
        total = 150 if given is None else weight.sum()
        assert found.ridge_ == plain.ridge_ == distinct / total
        assert_allclose(found.weights_, plain.weights_, atol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_dask_names_the_row_of_the_whole_array(da, regression_predictions, value, loss):
    P, y, _ = regression_predictions()
    fitted = ConvexRegressor(loss=loss).fit(P, y)
    P[120, 3] = value
    lazy = da.from_array(P, chunks=(50, 2))
    match = r"column 'x3' \(1 row, first at row 120\)"
    with pytest.raises(ValueError, match=match):
        fitted.predict(lazy)
    with pytest.raises(ValueError, match=match):
        ConvexRegressor(loss=loss).fit(lazy, y)


def test_dask_classification_names_the_row(da, class_predictions):
    P, y, _ = class_predictions(n_classes=3)
    fitted = ConvexClassifier().fit(P, y)
    P[120, 4] = np.nan
    lazy = da.from_array(P, chunks=(50, 3))
    for use in (fitted.predict_proba, lambda P: ConvexClassifier().fit(P, y)):
        with pytest.raises(ValueError, match=r"'x4' \(1 row, first at row 120\)"):
            use(lazy)
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        fitted.predict(da.from_array(np.full((9, 18), 2.0), chunks=(4, 9)))


def test_dask_of_unknown_sizes_is_refused(da, regression_predictions):
    P, y, _ = regression_predictions()
    lazy = da.from_array(P, chunks=(50, 6))
    fitted, unknown = ConvexRegressor().fit(P, y), lazy[lazy[:, 0] > -1e9]
    for use in (fitted.predict, lambda P: fitted.fit(P, y)):
        with pytest.raises(ValueError, match="compute_chunk_sizes"):
            use(unknown)


def test_dask_of_other_shapes_is_refused(da, regression_predictions):
    P, y, _ = regression_predictions()
    lazy, fitted = da.from_array(P, chunks=(50, 6)), ConvexRegressor().fit(P, y)
    with pytest.raises(ValueError, match="150 rows and y has 149"):
        ConvexRegressor().fit(lazy, y[:-1])
    with pytest.raises(ValueError, match="features"):
        fitted.predict(lazy[:, :5])
    with pytest.raises(ValueError, match="two dimensions"):
        ConvexRegressor().fit(lazy[:, 0], y)


def test_dask_frames_are_refused(regression_predictions):
    dd = pytest.importorskip("dask.dataframe")
    pd = pytest.importorskip("pandas")
    P, y, _ = regression_predictions()
    frame = dd.from_pandas(pd.DataFrame(P), npartitions=3)
    for use in (
        ConvexRegressor().fit(P, y).predict,
        lambda P: ConvexRegressor().fit(P, y),
    ):
        with pytest.raises(TypeError, match="to_dask_array"):
            use(frame)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_dask_is_never_in_memory_as_a_whole(da, loss):
    """Blocks are made when asked for: the trace would show the whole of P."""
    n, m, step = 200_000, 20, 20_000
    y = np.random.default_rng(0).normal(size=n)
    made = []

    def make(block_info=None):
        (first, last), _ = block_info[None]["array-location"]
        made.append(last - first)
        noise = np.random.default_rng(first).normal(size=(last - first, m))
        return y[first:last, None] + noise

    lazy = da.map_blocks(
        make, chunks=((step,) * (n // step), (m,)), dtype=float, meta=np.empty((0, 0))
    )
    peak = traced(lambda: ConvexRegressor(loss=loss, ridge=0).fit(lazy, y))
    assert max(made) == step
    assert len(made) >= 2 * n // step
    assert peak <= 20e6  # P has 32 MB, one chunk 3.2 MB; Huber keeps numbers by row


# Memory maps and memory.
def traced(run):
    """Peak of the memory that a call allocates, in bytes."""
    gc.collect()  # or the collector's clock decides when dask's cycles go
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_memory_maps(regression_predictions, tmp_path, order, options):
    P, y, weight = regression_predictions()
    np.save(tmp_path / "P.npy", np.asarray(P, order=order))
    mapped = np.load(tmp_path / "P.npy", mmap_mode="r")
    plain = ConvexRegressor(**options).fit(P, y, weight)
    found = ConvexRegressor(**options).fit(mapped, y, weight)
    assert_allclose(found.weights_, plain.weights_, atol=1e-12)
    assert_array_equal(plain.predict(mapped), plain.predict(P))


@pytest.mark.parametrize("loss", ["log_loss", "brier"])
def test_memory_maps_of_probabilities(class_predictions, tmp_path, loss):
    P, y, _ = class_predictions(n_classes=3)
    np.save(tmp_path / "P.npy", P)
    mapped = np.load(tmp_path / "P.npy", mmap_mode="r")
    plain = ConvexClassifier(loss=loss).fit(P, y)
    found = ConvexClassifier(loss=loss).fit(mapped, y)
    assert_array_equal(found.weights_, plain.weights_)
    assert_array_equal(plain.predict_proba(mapped), plain.predict_proba(P))


@pytest.fixture(scope="module")
def large():
    rng = np.random.default_rng(0)
    y = rng.normal(size=200_000)
    P = rng.normal(size=(200_000, 50))
    P += y[:, None]
    return P, y


@pytest.fixture(scope="module")
def maps(large, tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    for order in "CF":
        np.save(folder / f"{order}.npy", np.asarray(large[0], order=order))
    return folder


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("mapped", [False, True])
def test_fit_takes_a_few_megabytes(large, maps, order, mapped):
    P, y = large
    P = np.asarray(P, order=order)
    if mapped:
        P = np.load(maps / f"{order}.npy", mmap_mode="r")
    ConvexRegressor().fit(P[:500], y[:500])  # compiles
    assert traced(lambda: ConvexRegressor().fit(P, y)) <= 8e6


@pytest.mark.parametrize("kind", ["ones", "counts", "zeros"])
def test_weighted_fit_takes_a_few_megabytes(large, kind):
    P, y = large
    weight = np.ones(len(y))
    if kind == "counts":
        weight = np.arange(len(y)) % 3 + 1.0
    if kind == "zeros":
        weight[::7] = 0.0
    ConvexRegressor().fit(P[:500], y[:500], weight[:500])
    # P has 80 MB; a number or two for each row are 1.6 MB each.
    assert traced(lambda: ConvexRegressor().fit(P, y, weight)) <= 8e6


@pytest.mark.parametrize("order", ["C", "F"])
def test_single_precision_is_not_copied(large, order):
    P, y = large
    P = np.asarray(P, np.float32, order=order)
    ConvexRegressor().fit(P[:500], y[:500])
    assert traced(lambda: ConvexRegressor().fit(P, y)) <= 8e6
    exact = ConvexRegressor(ridge=0).fit(P.astype(float), y)
    assert_allclose(
        ConvexRegressor(ridge=0).fit(P, y).weights_, exact.weights_, atol=1e-12
    )
