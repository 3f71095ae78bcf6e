import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm

from ensemblekit import QuantileAggregator
from ensemblekit.exceptions import ConvergenceWarning

from . import oracles_quantile as oracles

KINDS = ("coarse", "medium", "fine")
LEVELS = [0.1, 0.25, 0.5, 0.75, 0.9]


def make_quantiles(n_members=3, levels=LEVELS, n_samples=60, seed=0):
    """Members that see half of the truth each, with widths and shifts of their own."""
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(n_samples, 3))
    seen = parts[:, :2].sum(axis=1)[:, None] * rng.uniform(0.3, 1.1, n_members)
    seen += rng.uniform(0.1, 0.8, n_members) * rng.normal(size=seen.shape)
    width = rng.uniform(0.3, 2.0, (n_samples, n_members))
    cube = seen[:, :, None] + width[:, :, None] * norm.ppf(levels)
    weight = rng.integers(1, 4, n_samples).astype(float)
    return cube.reshape(n_samples, -1), parts.sum(axis=1), weight


def as_cube(P, n_levels=5):
    return P.reshape(len(P), -1, n_levels).transpose(1, 0, 2)


def fit(P, y, weight=None, *, levels=LEVELS, ridge=0.0, tol=1e-10, **options):
    aggregator = QuantileAggregator(
        quantile_levels=levels, ridge=ridge, tol=tol, **options
    )
    return aggregator.fit(P, y, sample_weight=weight)


# Against linear programming.
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(25))
def test_no_weights_have_a_lower_loss(kind, seed):
    rng = np.random.default_rng(seed)
    levels = np.sort(rng.uniform(0.02, 0.98, rng.integers(1, 6)))
    n_members, n_samples = int(rng.integers(1, 6)), int(rng.integers(5, 90))
    P, y, weight = make_quantiles(n_members, levels, n_samples, seed)
    band = int(rng.integers(0, 3))
    found = fit(P, y, weight, levels=levels, weights=kind, band=band)
    cube = as_cube(P, len(levels))
    best, _ = oracles.least_loss(cube, y, levels, weight, kind, band)
    assert_allclose(found.objective_, best, rtol=1e-9, atol=1e-12)
    assert 0.0 <= found.duality_gap_ <= 1e-10 * found.objective_ + 1e-14
    assert found.objective_ - found.duality_gap_ <= best * (1 + 1e-12)
    q = found.set_params(noncrossing=None).predict_quantiles(P)
    assert_allclose(found.loss_, oracles.pinball(y, q, levels, weight), rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gap_bounds_what_a_rough_fit_can_lose(kind):
    for seed in range(10):
        P, y, weight = make_quantiles(4, seed=seed)
        best = fit(P, y, weight, weights=kind).objective_
        rough = fit(P, y, weight, weights=kind, tol=1e-3)
        lost = rough.objective_ - best
        assert -1e-10 * best <= lost <= rough.duality_gap_ + 1e-10 * best
        assert rough.duality_gap_ <= 1e-3 * rough.objective_


@pytest.mark.parametrize("center", ["uniform", "inverse_loss"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_penalty_is_that_of_the_docstring(kind, center):
    P, y, weight = make_quantiles(3)
    found = fit(P, y, weight, weights=kind, ridge=0.7, ridge_center=center)
    cube, m, p = as_cube(P), len(LEVELS), 3
    own = np.array(
        [
            [
                oracles.pinball(y, cube[j, :, [t]].T, [LEVELS[t]], weight)
                for j in range(p)
            ]
            for t in range(m)
        ]
    )
    w = found.weights_
    counted = own.mean(axis=0, keepdims=True) if kind == "coarse" else own
    middle = np.ones_like(counted) if center == "uniform" else counted**-2.0
    middle = (middle / middle.sum(axis=1, keepdims=True)).T  # (p, 1 or m)
    if kind == "coarse":
        penalty = own.mean(axis=0).min() * np.sum((w - middle[:, 0]) ** 2)
    else:
        centre = middle if kind == "medium" else middle[:, None, :] * np.eye(m)
        squares = ((w - centre) ** 2).reshape(-1, m).sum(axis=0)
        penalty = np.mean(own.min(axis=1) * squares)
    assert_allclose(found.objective_, found.loss_ + 0.7 * penalty, rtol=1e-9)
    plain = fit(P, y, weight, weights=kind)
    assert plain.loss_ < found.loss_
    drawn = fit(P, y, weight, weights=kind, ridge=1e6, ridge_center=center)
    assert_allclose(drawn.member_weights_, middle.mean(axis=1), atol=1e-4)


def test_finer_weights_fit_the_rows_better():
    for seed in range(8):
        P, y, weight = make_quantiles(4, seed=seed)
        kinds = [("coarse", 1), ("medium", 1), ("fine", 1), ("fine", 2), ("fine", 9)]
        losses = [fit(P, y, weight, weights=k, band=b).loss_ for k, b in kinds]
        assert (np.diff(losses) <= 1e-9).all()
        assert losses[0] > losses[2]
        medium = fit(P, y, weight, weights="medium")
        fine = fit(P, y, weight, weights="fine", band=0)
        assert_allclose(fine.weights_, medium.weights_[:, None] * np.eye(5), atol=1e-12)


# Special members.
@pytest.mark.parametrize("ridge", [0.0, 5.0])
@pytest.mark.parametrize("kind", KINDS)
def test_a_perfect_member_has_all_the_weight(kind, ridge):
    P, y, weight = make_quantiles(4)
    P[:, 5:10] = y[:, None]
    found = fit(P, y, weight, weights=kind, ridge=ridge, ridge_center="inverse_loss")
    assert_allclose(found.member_weights_, [0, 1, 0, 0], atol=1e-12)
    assert found.loss_ <= 1e-14
    assert_allclose(found.predict(P), y, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_that_errs_once_by_little(kind):
    for seed in range(4, 60, 5):
        P, y, weight = make_quantiles(4, seed=seed)
        P[:, :5] = y[:, None]
        P[0, :5] += 1e-9
        found = fit(P, y, weight, weights=kind, tol=1e-9)
        assert found.objective_ <= 1e-9
        assert_allclose(found.member_weights_, [1, 0, 0, 0], atol=1e-6)


@pytest.mark.parametrize("center", ["uniform", "inverse_loss"])
@pytest.mark.parametrize("ridge", [0.0, "auto", 3.0])
@pytest.mark.parametrize("kind", KINDS)
def test_copies_of_members_change_nothing(kind, ridge, center):
    P, y, weight = make_quantiles(3)
    doubled = np.hstack([P, P[:, 5:10], P])
    options = {"weights": kind, "ridge": ridge, "ridge_center": center}
    plain = fit(P, y, weight, **options)
    found = fit(doubled, y, weight, **options)
    assert_array_equal(found.predict_quantiles(doubled), plain.predict_quantiles(P))
    assert_array_equal(found.weights_[:3], plain.weights_)
    assert not found.weights_[3:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_one_member_is_returned(kind):
    P, y, weight = make_quantiles(1)
    found = fit(P, y, weight, weights=kind, band=0)
    assert_allclose(found.predict_quantiles(P), P, rtol=1e-15)
    assert_array_equal(found.member_weights_, [1.0])


@pytest.mark.parametrize("levels", [[0.3], [0.2, 0.8]])
@pytest.mark.parametrize("kind", KINDS)
def test_one_and_two_levels(kind, levels):
    P, y, weight = make_quantiles(3, levels)
    found = fit(P, y, weight, levels=levels, weights=kind)
    best, _ = oracles.least_loss(as_cube(P, len(levels)), y, levels, weight, kind)
    assert_allclose(found.objective_, best, rtol=1e-9)
    assert found.predict_quantiles(P).shape == (60, len(levels))


# What may not matter.
@pytest.mark.parametrize("kind", KINDS)
def test_order_of_members(kind):
    P, y, weight = make_quantiles(4)
    order = [2, 0, 3, 1]
    moved = as_cube(P)[order].transpose(1, 0, 2).reshape(P.shape)
    plain = fit(P, y, weight, weights=kind)
    found = fit(moved, y, weight, weights=kind)
    if kind != "fine":  # quantiles that are mixtures of others leave a choice
        assert_allclose(found.weights_, plain.weights_[order], atol=1e-7)
    assert_allclose(
        found.predict_quantiles(moved), plain.predict_quantiles(P), atol=1e-7
    )


@pytest.mark.parametrize(
    ("scale", "offset"), [(1e6, 0), (1e-6, 0), (3.0, 1e4), (1, -7)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_unit_and_offset(kind, scale, offset):
    P, y, weight = make_quantiles(4)
    plain = fit(P, y, weight, weights=kind, ridge="auto")
    found = fit(
        P * scale + offset, y * scale + offset, weight, weights=kind, ridge="auto"
    )
    assert_allclose(found.weights_, plain.weights_, atol=2e-6)
    assert_allclose(found.loss_, plain.loss_ * scale, rtol=1e-9)
    assert found.n_iter_ <= 2 * plain.n_iter_ + 20


@pytest.mark.parametrize("kind", KINDS)
def test_turning_the_sign_mirrors_the_levels(kind):
    P, y, weight = make_quantiles(3, levels := [0.1, 0.4, 0.7])
    cube = -as_cube(P, 3)[:, :, ::-1]
    mirrored = cube.transpose(1, 0, 2).reshape(P.shape)
    plain = fit(P, y, weight, levels=levels, weights=kind)
    found = fit(mirrored, -y, weight, levels=[0.3, 0.6, 0.9], weights=kind)
    back = -found.predict_quantiles(mirrored)[:, ::-1]
    assert_allclose(found.loss_, plain.loss_, rtol=1e-9)
    assert_allclose(back, plain.predict_quantiles(P), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_integer_weights_are_repeated_rows(kind):
    P, y, weight = make_quantiles(4)
    weight[::5] = 0
    rows = np.repeat(np.arange(60), weight.astype(int))
    plain = fit(P, y, weight, weights=kind, ridge="auto")
    found = fit(P[rows], y[rows], weights=kind, ridge="auto")
    assert found.ridge_ == plain.ridge_
    assert_allclose(found.weights_, plain.weights_, atol=1e-7)
    assert_allclose(found.objective_, plain.objective_, rtol=1e-9)


# Members that are absent.
def with_gaps(P, share=0.3, seed=0, n_levels=5):
    rng = np.random.default_rng(seed)
    cube = P.reshape(len(P), -1, n_levels).copy()
    absent = rng.uniform(size=cube.shape[:2]) < share
    absent[absent.all(axis=1), 0] = False
    cube[absent] = np.nan
    return cube.reshape(P.shape), ~absent


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_renormalised_over_those_present(kind):
    P, y, weight = make_quantiles(4)
    found = fit(P, y, weight, weights=kind, absent="renormalise", noncrossing=None)
    gaps, present = with_gaps(P)
    expected = oracles.renormalised(as_cube(gaps), found.weights_, present)
    assert_allclose(found.predict_quantiles(gaps), expected, rtol=1e-12)
    again = fit(P, y, weight, weights=kind, absent="renormalise", noncrossing=None)
    assert_array_equal(again.predict_quantiles(P), found.predict_quantiles(P))


@pytest.mark.parametrize("kind", KINDS)
def test_absent_forecasts_in_fit(kind):
    for seed in range(6):
        P, y, weight = make_quantiles(4, seed=seed)
        gaps, present = with_gaps(P, seed=seed)
        options = {"weights": kind, "absent": "renormalise", "noncrossing": None}
        found = fit(gaps, y, weight, **options)
        q = oracles.renormalised(as_cube(gaps), found.weights_, present)
        assert_allclose(found.loss_, oracles.pinball(y, q, LEVELS, weight), rtol=1e-10)
        # No worse than weights on rows filled with the mean of those present.
        even = oracles.renormalised(as_cube(gaps), np.full(4, 0.25), present)
        filled = np.where(np.isnan(gaps), np.tile(even, 4), gaps)
        simple = fit(filled, y, weight, **options)
        q = oracles.renormalised(as_cube(gaps), simple.weights_, present)
        assert found.loss_ <= oracles.pinball(y, q, LEVELS, weight) * (1 + 1e-9)


def test_renormalised_weights_are_near_the_best_of_a_grid():
    for seed in range(5):
        P, y, _ = make_quantiles(2, seed=seed, n_samples=200)
        gaps, present = with_gaps(P, seed=seed)
        found = fit(gaps, y, absent="renormalise", noncrossing=None)
        losses = [
            oracles.pinball(
                y,
                oracles.renormalised(as_cube(gaps), np.array([w, 1 - w]), present),
                LEVELS,
            )
            for w in np.linspace(0, 1, 21)
        ]
        assert found.loss_ <= min(losses) * (1 + 2e-3)


def test_a_member_that_is_never_present_has_no_weight():
    P, y, weight = make_quantiles(4)
    gaps = P.copy()
    gaps[:, 5:10] = np.nan
    found = fit(gaps, y, weight, absent="renormalise")
    plain = fit(np.delete(P, np.s_[5:10], axis=1), y, weight)
    assert found.weights_[1] == 0.0
    assert_allclose(np.delete(found.weights_, 1), plain.weights_, atol=1e-9)
    alone = np.full((1, 20), np.nan)
    alone[0, 5:10] = P[0, 5:10]  # no member with weight is present
    assert_array_equal(found.predict_quantiles(alone)[0], P[0, 5:10])


def test_copies_of_absent_members_change_nothing():
    P, y, weight = make_quantiles(3)
    gaps, _ = with_gaps(P)
    plain = fit(gaps, y, weight, absent="renormalise", ridge="auto")
    doubled = np.hstack([gaps, gaps[:, :5]])
    found = fit(doubled, y, weight, absent="renormalise", ridge="auto")
    assert_array_equal(found.predict_quantiles(doubled), plain.predict_quantiles(gaps))


def test_absent_forecasts_that_cannot_be_read():
    P, y, _ = make_quantiles(3)
    gaps, _ = with_gaps(P)
    with pytest.raises(ValueError, match=r"P has NaN or infinity in column 'x\d+'"):
        fit(gaps, y)
    partial = P.copy()
    partial[17, 6] = np.nan
    message = "some of the columns from 'x5' on, but not in all of that member (1 row, "
    with pytest.raises(ValueError, match=re.escape(message + "first at row 17)")):
        fit(partial, y, absent="renormalise")
    empty = P.copy()
    empty[[4, 9]] = np.nan
    message = re.escape("no forecast of any member (2 rows, first at row 4)")
    with pytest.raises(ValueError, match=message):
        fit(empty, y, absent="renormalise")
    found = fit(P, y, absent="renormalise")
    with pytest.raises(ValueError, match=message):
        found.predict_quantiles(empty)
    gaps[3, 0] = np.inf
    with pytest.raises(ValueError, match="infinity in column 'x0'"):
        fit(gaps, y, absent="renormalise")


# Crossings.
def test_coarse_weights_cannot_cross():
    P, y, _ = make_quantiles(4)
    found = fit(P, y, noncrossing=None)
    assert found.n_crossings_ == 0
    assert (np.diff(found.predict_quantiles(P), axis=1) >= -1e-12).all()


@pytest.mark.parametrize("kind", ["medium", "fine"])
def test_crossings_are_counted_and_removed(kind):
    P, y, _ = make_quantiles(5, np.arange(1, 20) / 20, n_samples=40)
    options = {"levels": np.arange(1, 20) / 20, "weights": kind, "tol": 1e-6}
    raw = fit(P, y, noncrossing=None, **options)
    q = raw.predict_quantiles(P)
    assert raw.n_crossings_ == np.count_nonzero(np.diff(q, axis=1) < -1e-12) > 0
    plain = oracles.pinball(y, q, options["levels"])
    for rule in ("sort", "isotonic"):
        found = fit(P, y, noncrossing=rule, **options).predict_quantiles(P)
        assert (np.diff(found, axis=1) >= 0).all()
        assert oracles.pinball(y, found, options["levels"]) <= plain


def test_members_that_cross_themselves_are_refused():
    P, y, _ = make_quantiles(3)
    P[8, 6] = P[8, 5] - 1
    with pytest.raises(
        ValueError, match=r"columns from 'x5' on \(1 row, first at row 8"
    ):
        fit(P, y)


# Predictions.
def test_median_and_intervals_are_read_off_the_levels():
    levels = [0.1, 0.4, 0.6, 0.9]
    P, y, _ = make_quantiles(3, levels)
    found = fit(P, y, levels=levels)
    q = found.predict_quantiles(P)
    assert_allclose(found.predict(P), 0.5 * (q[:, 1] + q[:, 2]), rtol=1e-14)
    assert_array_equal(found.predict_interval(P, 0.2), q[:, [0, 3]])
    several = found.predict_interval(P, [0.8, 0.2])
    assert several.shape == (60, 2, 2)
    assert_array_equal(several[:, :, 1], q[:, [0, 3]])
    assert_allclose(several[:, :, 0], q[:, [1, 2]], rtol=1e-12)
    with pytest.raises(
        ValueError, match=r"level 0\.05 is beyond those predicted, 0\.1 \.\. 0\.9"
    ):
        found.predict_interval(P, 0.1)
    with pytest.raises(ValueError, match=r"alpha is 1\.5"):
        found.predict_interval(P, 1.5)


def test_a_median_outside_the_levels_is_refused():
    P, y, _ = make_quantiles(3, [0.8, 0.9])
    found = fit(P, y, levels=[0.8, 0.9])
    with pytest.raises(ValueError, match=r"quantile at level 0\.5 is beyond"):
        found.predict(P)


# Refusals.
@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([0.1, 0.5, 0.3, 0.9, 0.95], "quantile_levels[2] is 0.3 after 0.5"),
        ([0.1, 0.5, 0.5, 0.9, 0.95], "quantile_levels[2] is 0.5 after 0.5"),
        ([0.0, 0.5, 0.6, 0.9, 0.95], "quantile_levels[0] is 0.0; expected levels"),
        ([0.1, 0.5, 0.6, 0.9, 1.2], "quantile_levels[4] is 1.2"),
        ([0.1, np.nan, 0.6, 0.9, 1.2], "quantile_levels[1] is nan"),
        ([[0.1, 0.2]], "quantile_levels has shape (1, 2)"),
        ([], "quantile_levels has shape (0,)"),
        ([0.1, 0.5, 0.6], "not a multiple of the 3 quantile levels of each member"),
    ],
)
def test_unfit_levels(levels, message):
    P, y, _ = make_quantiles(2)
    with pytest.raises(ValueError, match=re.escape(message)):
        fit(P, y, levels=levels)


def test_stopping_early_warns_with_the_gap():
    P, y, _ = make_quantiles(4)
    with pytest.warns(ConvergenceWarning, match="with duality gap") as caught:
        found = fit(P, y, max_iter=1)
    assert found.duality_gap_ > 0.0
    assert caught[0].filename == __file__
