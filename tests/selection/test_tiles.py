"""Folds and memory orders read in tiles: results of copies without their memory."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from ensemblekit import EnsembleSelectionClassifier, EnsembleSelectionRegressor
from ensemblekit.selection import tiles
from tests.selection.test_scores import ALL, DECISIONS, WEIGHTS, M, N, row_weights

TUNED = [case for case in DECISIONS if case.loss != "auc"]
ORDERS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": lambda P: np.repeat(np.repeat(P, 2, axis=0), 3, axis=1)[::2, ::3],
}
each_loss = pytest.mark.parametrize("case", ALL, ids=str)
each_weight = pytest.mark.parametrize("kind", WEIGHTS)


@pytest.fixture
def in_tiles(monkeypatch):
    """Have every fold and every other memory order read in tiles of 16 rows."""

    def switch():
        monkeypatch.setattr(tiles, "LARGE", 0)
        monkeypatch.setattr(tiles, "_SIZE", 16)

    return switch


def assert_same_fit(one, other):
    assert_array_equal(one.picks_, other.picks_)
    assert one.shrinkage_ == other.shrinkage_
    for name in ("loss_path_", "weights_", "loss_", "duality_gap_"):
        found, expected = getattr(one, name), getattr(other, name)
        assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    if hasattr(other, "offsets_"):
        assert_allclose(one.offsets_, other.offsets_, rtol=1e-10)
    if hasattr(other, "nested_score_"):
        for name, expected in other.nested_score_.items():
            found = one.nested_score_[name]
            assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


# Folds.
@each_loss
@each_weight
def test_folds_in_tiles_are_folds_of_copies(case, kind, in_tiles):
    P, y = case.data(seed=5)
    combiner = case.combiner.set_params(n_rounds=5, nested_cv=3, shrinkage="cv")
    given = P, y, row_weights(kind)
    copies = clone(combiner).fit(*given)
    in_tiles()
    assert_same_fit(combiner.fit(*given), copies)


@pytest.mark.parametrize("case", TUNED, ids=str)
@each_weight
def test_tuned_offsets_in_tiles_are_those_of_copies(case, kind, in_tiles):
    P, y = case.data(seed=6)
    combiner = case.combiner.set_params(
        n_rounds=6, nested_cv=3, shrinkage="cv", tune_offsets=True
    )
    # Drawn to the first class: offsets have work to do.
    cube = P.reshape(N, M, -1) ** 3
    if case.n_classes > 2:
        cube /= cube.sum(axis=2, keepdims=True)
    given = cube.reshape(N, -1), y, row_weights(kind)
    copies = clone(combiner).fit(*given)
    in_tiles()
    assert_same_fit(combiner.fit(*given), copies)


@each_loss
@each_weight
def test_scores_in_tiles_are_those_of_copies(case, kind, in_tiles):
    P, y = case.data(seed=7)
    rows = np.random.default_rng(0).permutation(N)[:70]
    whole, shares = case.scores(P, y, row_weights(kind)), np.arange(1.0, M + 1)
    copies = whole.rows(rows)
    in_tiles()
    views = whole.rows(np.arange(N)).rows(rows)
    for scores in (copies, views):
        scores.start()
        scores.add(1)
    assert_allclose(views.losses(), copies.losses(), rtol=1e-10, atol=1e-13)
    assert_allclose(views.of(shares[None]), copies.of(shares[None]), rtol=1e-10)
    assert_allclose(views.gap(shares / 15), copies.gap(shares / 15), rtol=1e-8)
    pooled = [one.pool([one.part(shares)] * 2) for one in (views, copies)]
    assert_allclose(*pooled, rtol=1e-10)


# Memory orders.
@each_loss
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("order", ["F", "strided"])
def test_memory_order_changes_nothing(case, dtype, order, in_tiles):
    P, y = case.data(seed=8)
    P, weight = P.astype(dtype), row_weights("counts")
    combiner = case.combiner.set_params(n_rounds=5, nested_cv=2, bagging="rows")
    combiner.set_params(n_bags=2)
    plain = clone(combiner).fit(P, y, weight)
    in_tiles()
    other = ORDERS[order](P)
    assert not other.flags.c_contiguous
    found = combiner.fit(other, y, weight)
    if dtype == np.float64:
        assert_same_fit(found, plain)
    else:
        # Sums of single precision in another order.
        assert_allclose(found.loss_, plain.loss_, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("order", ["F", "strided"])
def test_rules_of_the_peer_in_any_memory_order(order, in_tiles, class_predictions):
    P, y, _ = class_predictions(n_classes=2, n_members=6)
    combiner = EnsembleSelectionClassifier(loss="zero_one", rules="autogluon")
    plain = clone(combiner).fit(P, y)
    in_tiles()
    assert_array_equal(combiner.fit(ORDERS[order](P), y).picks_, plain.picks_)


# The view.
@pytest.mark.parametrize("order", list(ORDERS))
def test_some_rows_reads_as_the_rows_do(order, in_tiles):
    in_tiles()
    P, rng = np.random.default_rng(0).random((90, 7)), np.random.default_rng(1)
    first, mask = rng.permutation(90)[:60], rng.random(60) < 0.5
    view = tiles.some_rows(tiles.some_rows(tiles.kept(ORDERS[order](P)), first), mask)
    expected = P[first][mask]
    assert isinstance(view, tiles.SomeRows)
    assert view.shape == expected.shape
    assert len(view) == len(expected)
    assert_array_equal(view[:, 3], expected[:, 3])
    assert_array_equal(view[4:9, 2:5], expected[4:9, 2:5])
    for columns in (slice(None), slice(2, 5)):
        found = [tile for _, tile in tiles.tiles(view, columns)]
        assert len(found) > 1
        assert all(tile.flags.c_contiguous for tile in found)
        assert_array_equal(np.concatenate(found), expected[:, columns])


def test_small_folds_are_copies():
    P = np.random.default_rng(0).random((20, 3))
    assert isinstance(tiles.some_rows(P, np.arange(5)), np.ndarray)


def test_rows_that_kernels_can_read_are_one_tile():
    P = np.random.default_rng(0).random((20, 3))
    ((rows, tile),) = tiles.tiles(P)
    assert rows == slice(0, 20)
    assert np.shares_memory(tile, P)


# Memory.
LOSSES = ["log_loss", "squared_error", "absolute_error", "auc", "zero_one"]
CHOICES = [{"nested_cv": 2}, {"shrinkage": "cv"}, {"bagging": "rows", "n_bags": 2}]


def large(order="C", n=36_000, m=240):
    rng = np.random.default_rng(0)
    P = np.asarray(rng.random((n, m)), order=order)
    assert P.nbytes > tiles.LARGE
    return P, P[:, :4].mean(axis=1) + 0.1 * rng.normal(size=n)


def peak_share(combiner, P, y):
    """The most memory that a fit takes, as a share of P; compiled before."""
    combiner.fit(P[:200].copy(order="K"), y[:200])
    tracemalloc.start()
    try:
        combiner.fit(P, y)
        return tracemalloc.get_traced_memory()[1] / P.nbytes
    finally:
        tracemalloc.stop()


def selection(loss, y, **choices):
    if loss.endswith("error"):
        return EnsembleSelectionRegressor(loss=loss, n_rounds=2, **choices), y
    return EnsembleSelectionClassifier(loss=loss, n_rounds=2, **choices), y > 0.5


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("choices", CHOICES, ids=str)
def test_folds_and_bags_copy_nothing_large(loss, choices):
    P, y = large()
    combiner, y = selection(loss, y, **choices)
    assert peak_share(combiner, P, y) < 0.1


def test_tuned_offsets_copy_nothing_large():
    P, y = large()
    combiner, y = selection("balanced_accuracy", y, tune_offsets=True)
    assert peak_share(combiner, P, y) < 0.1


@pytest.mark.parametrize("loss", LOSSES)
def test_other_memory_orders_are_not_copied(loss):
    P, y = large("F")
    combiner, y = selection(loss, y)
    assert peak_share(combiner, P, y) < 0.1
