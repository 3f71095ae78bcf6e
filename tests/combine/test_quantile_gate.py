import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import QuantileAggregator
from ensemblekit.combine import _quantile_base, _quantile_gate_base

from . import oracles_quantile as oracles
from .test_quantile_aggregator import LEVELS, as_cube, make_quantiles, with_gaps


def make_local(seed=0, n_samples=300):
    """One member fails where a feature is negative, another where it is positive."""
    P, y, weight = make_quantiles(3, n_samples=n_samples, seed=seed)
    feature = np.random.default_rng(seed).normal(size=(n_samples, 1))
    cube = P.reshape(n_samples, 3, 5)
    cube[:, 0] += 3.0 * np.maximum(-feature, 0.0)
    cube[:, 1] -= 3.0 * np.maximum(feature, 0.0)
    return cube.reshape(n_samples, 15), y, weight, feature


def fit(P, y, weight=None, features=None, **options):
    options = {"gate": "linear", "gate_ridge": 1e-3, **options}
    aggregator = QuantileAggregator(quantile_levels=LEVELS, **options)
    return aggregator.fit(P, y, sample_weight=weight, features=features)


def test_a_gate_is_better_where_members_are_good_in_places():
    P, y, _, feature = make_local(n_samples=600)
    first, last = slice(0, 400), slice(400, 600)
    scores = {}
    for name, gate, given in [
        ("none", None, None),
        ("members", "linear", None),
        ("all", "linear", feature),
    ]:
        ours, theirs = (
            None if given is None else given[part] for part in (first, last)
        )
        found = fit(P[first], y[first], features=ours, gate=gate, gate_ridge="cv")
        q = found.predict_quantiles(P[last], theirs)
        scores[name] = found.loss_, oracles.pinball(y[last], q, LEVELS)
    assert scores["members"][0] < scores["none"][0]
    assert scores["all"][1] < 0.97 * scores["none"][1]
    assert found.gate_losses_.shape == (5,)
    best = found.gate_losses_[:-1].argmin()
    assert found.gate_ridge_ == [1e-1, 1e-2, 1e-3, 1e-4][best]


@pytest.mark.parametrize("seed", range(5))
def test_a_strong_ridge_gives_the_weights_for_all_rows(seed):
    P, y, weight, feature = make_local(seed)
    plain = fit(P, y, weight, gate=None)
    found = fit(P, y, weight, feature, gate_ridge=1e9)
    assert_allclose(found.weights_, plain.weights_, atol=1e-5)
    expected = plain.predict_quantiles(P)
    assert_allclose(found.predict_quantiles(P, feature), expected, atol=1e-4)


@pytest.mark.parametrize("seed", range(8))
def test_a_gate_never_fits_the_rows_worse(seed):
    P, y, weight = make_quantiles(4, n_samples=50, seed=seed)
    plain = fit(P, y, weight, gate=None)
    for ridge in ("cv", 1e-4, 1e-1, 1e3):
        found = fit(P, y, weight, gate_ridge=ridge, noncrossing=None)
        assert found.loss_ <= plain.loss_
        q = found.predict_quantiles(P)
        assert_allclose(found.loss_, oracles.pinball(y, q, LEVELS, weight), rtol=1e-9)
        assert found.objective_ == plain.objective_
        if np.isinf(found.gate_ridge_):
            assert_array_equal(found.weights_, plain.weights_)


def test_no_gate_is_kept_where_it_only_finds_noise():
    rng = np.random.default_rng(0)
    kept = 0
    for seed in range(6):
        P, y, _ = make_quantiles(3, n_samples=60, seed=seed)
        noise = rng.normal(size=(60, 12))
        kept += np.isfinite(fit(P, y, features=noise, gate_ridge="cv").gate_ridge_)
    assert kept <= 3


def test_weights_of_rows():
    P, y, weight, feature = make_local()
    found = fit(P, y, weight, feature, noncrossing=None)
    local = found.local_weights(P, feature)
    assert local.shape == (300, 3)
    assert local.min() >= 0.0
    assert_allclose(local.sum(axis=1), 1.0, rtol=1e-14)
    expected = np.einsum("ij,jit->it", local, as_cube(P))
    assert_allclose(found.predict_quantiles(P, feature), expected, rtol=1e-12)
    share = weight / weight.sum()
    assert_allclose(found.weights_, share @ local, rtol=1e-12)
    assert_array_equal(found.member_weights_, found.weights_)
    assert local[feature[:, 0] > 1, 0].mean() > local[feature[:, 0] < -1, 0].mean()


def test_slopes_of_the_objective(monkeypatch):
    P, y, weight, feature = make_local(n_samples=40)
    seen = {}

    def check(objective, x, args, **options):
        seen["objective"], seen["args"] = objective, args
        return type("Found", (), {"x": x})

    monkeypatch.setattr(_quantile_gate_base, "minimize", check)
    rows = _quantile_base.Rows.counted(P, y, weight, None, 5)
    path = _quantile_gate_base.fit_path(
        rows, feature, np.array(LEVELS), np.full(3, 1 / 3), [0.01]
    )
    gate = next(path)
    rng = np.random.default_rng(0)
    for _ in range(5):
        x = 0.3 * rng.normal(size=gate.coef.size)
        direction = rng.normal(size=x.size)
        value = [
            seen["objective"](x + h * direction, *seen["args"])[0]
            for h in (-1e-5, 1e-5)
        ]
        slope = seen["objective"](x, *seen["args"])[1] @ direction
        assert_allclose((value[1] - value[0]) / 2e-5, slope, rtol=1e-5)


def test_unit_order_and_copies_do_not_matter():
    P, y, weight, feature = make_local()
    plain = fit(P, y, weight, feature).predict_quantiles(P, feature)
    moved = fit(P * 1e-6 - 3e-3, y * 1e-6 - 3e-3, weight, feature)
    back = (moved.predict_quantiles(P * 1e-6 - 3e-3, feature) + 3e-3) * 1e6
    assert_allclose(back, plain, atol=0.02)
    order = [2, 0, 1]
    turned = as_cube(P)[order].transpose(1, 0, 2).reshape(P.shape)
    found = fit(turned, y, weight, feature).predict_quantiles(turned, feature)
    assert_allclose(found, plain, atol=0.02)
    doubled = np.hstack([P, P[:, :5]])
    found = fit(doubled, y, weight, feature)
    assert_array_equal(found.predict_quantiles(doubled, feature), plain)
    assert found.weights_[3] == 0.0


def test_absent_members_leave_the_softmax():
    P, y, weight, feature = make_local()
    gaps, present = with_gaps(P)
    found = fit(gaps, y, weight, feature, absent="renormalise", noncrossing=None)
    local = found.local_weights(gaps, feature)
    assert not local[~present].any()
    assert_allclose(local.sum(axis=1), 1.0, rtol=1e-14)
    q = found.predict_quantiles(gaps, feature)
    assert_allclose(found.loss_, oracles.pinball(y, q, LEVELS, weight), rtol=1e-9)
    assert found.loss_ < fit(gaps, y, weight, gate=None, absent="renormalise").loss_


def test_weights_of_rows_without_a_gate():
    P, y, weight, _ = make_local()
    gaps, _ = with_gaps(P)
    found = fit(gaps, y, weight, gate=None, absent="renormalise", noncrossing=None)
    local = found.local_weights(gaps)
    expected = np.einsum("ij,jit->it", local, as_cube(np.nan_to_num(gaps)))
    assert_allclose(found.predict_quantiles(gaps), expected, rtol=1e-12)
    assert_array_equal(found.local_weights(P[:2]), [found.weights_] * 2)
    medium = fit(P, y, gate=None, weights="medium")
    with pytest.raises(ValueError, match="differ between levels"):
        medium.local_weights(P)


def test_members_that_predict_one_level():
    P, y, _, feature = make_local()
    aggregator = QuantileAggregator(gate="linear", gate_ridge=1e-3)
    found = aggregator.fit(P[:, 2::5], y, features=feature)
    assert np.isfinite(found.predict(P[:, 2::5], feature)).all()
    assert found.gate_ridge_ == 1e-3


@pytest.mark.parametrize(
    ("options", "features", "message"),
    [
        ({"weights": "medium"}, None, "gate='linear' is for weights='coarse'"),
        ({"gate": None}, np.zeros((60, 1)), "features are for a gate; set gate="),
        ({}, np.zeros((59, 1)), "features have shape (59, 1); expected (60, 1)"),
        ({}, np.zeros(60), "features have shape (60,); expected (n_samples, "),
        ({}, np.full((60, 1), np.nan), "NaN or infinite (60 rows, first at row 0)"),
    ],
)
def test_unfit_gates_and_features(options, features, message):
    P, y, _ = make_quantiles(3)
    with pytest.raises(ValueError, match=re.escape(message)):
        fit(P, y, features=features, **options)


def test_features_of_predictions_are_those_of_fit():
    P, y, _, feature = make_local()
    without, given = fit(P, y), fit(P, y, features=feature)
    with pytest.raises(ValueError, match="fit was without features; predictions got"):
        without.predict(P, feature)
    with pytest.raises(ValueError, match="fit was with features; predictions need"):
        given.predict(P)
    with pytest.raises(ValueError, match=r"shape \(300, 2\); expected \(300, 1\)"):
        given.predict(P, np.hstack([feature, feature]))


def test_rows_of_members_the_gate_does_not_know():
    # A copy, and a member that no row of the fit had: where only they are present.
    P, y, *_ = make_local()
    copied = np.hstack([P, P[:, -5:], np.full((len(P), 5), np.nan)])
    found = fit(copied, y, absent="renormalise", gate_ridge=0.01)
    assert found.gate_ridge_ == 0.01  # a gate was kept
    new = np.full((3, copied.shape[1]), np.nan)
    new[0, -10:-5], new[1, -5:] = LEVELS, LEVELS
    new[2] = np.tile(LEVELS, copied.shape[1] // 5)
    weights = found.local_weights(new)
    assert_allclose(weights.sum(axis=1), 1.0)
    n_members = weights.shape[1]
    assert_array_equal(weights[:2], np.eye(n_members)[[-2, -1]])
    assert_allclose(found.predict_quantiles(new), np.tile(LEVELS, (3, 1)))


def test_splits_are_positions_among_all_rows():
    P, y, _, feature = make_local()
    weight = np.ones(len(y))
    weight[:40] = 0.0
    splits = [
        (np.arange(200), np.arange(200, 300)),
        (np.arange(100, 300), np.arange(100)),
    ]
    found = fit(P, y, weight, feature, cv=splits, gate_ridge="cv")
    kept = [(a[a >= 40] - 40, b[b >= 40] - 40) for a, b in splits]
    expected = fit(P[40:], y[40:], None, feature[40:], cv=kept, gate_ridge="cv")
    assert_allclose(found.gate_losses_, expected.gate_losses_, rtol=1e-9)
    dropped = fit(P, y, weight, gate_ridge="cv")
    expected = fit(P[40:], y[40:], gate_ridge="cv")
    assert_allclose(dropped.gate_losses_, expected.gate_losses_, rtol=1e-9)


def test_a_member_absent_from_all_training_rows_of_a_fold():
    P, y, *_ = make_local()
    P[150:, :5] = np.nan
    splits = [
        (np.arange(150, 300), np.arange(150)),
        (np.arange(150), np.arange(150, 300)),
    ]
    found = fit(P, y, absent="renormalise", cv=splits, gate_ridge="cv")
    assert np.isfinite(found.gate_losses_).all()


def test_features_have_to_be_a_table():
    P, y, *_ = make_local()
    with pytest.raises(ValueError, match=r"shape \(300,\).*features\[:, None\]"):
        fit(P, y, features=y)
    with pytest.raises(ValueError, match=r"features have shape \(\)"):
        fit(P, y, features=3.0)
