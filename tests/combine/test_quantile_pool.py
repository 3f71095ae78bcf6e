import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from ensemblekit import QuantilePoolRegressor, StackedRegressor

KINDS = ["mean", "median", "trimmed_mean", "linear"]
LEVELS = np.array([0.05, 0.25, 0.5, 0.9])


def draw(n_members=5, levels=LEVELS, n=40, seed=0, ties=False, absent=0.0):
    """Ascending quantiles of members, of which a share is absent; and a target."""
    rng = np.random.default_rng(seed)
    cube = rng.normal(size=(n, n_members, 1)) + np.sort(
        2 * rng.normal(size=(n, n_members, len(levels))), axis=2
    )
    cube = np.round(cube) if ties else cube
    gone = rng.uniform(size=(n, n_members)) < absent
    gone[np.arange(n), rng.integers(0, n_members, n)] = False
    cube[gone] = np.nan
    return cube.reshape(n, -1), rng.normal(size=n)


def fitted(P, y, kind, levels=LEVELS, **options):
    return QuantilePoolRegressor(quantile_levels=levels, kind=kind, **options).fit(P, y)


# Literal twins, one row at a time.
def present(row, votes, n_levels):
    blocks = row.reshape(-1, n_levels)
    here = ~np.isnan(blocks[:, 0])
    return blocks[here], votes[here] / votes[here].sum()


def literal_ranks(blocks, kind, trim):
    if kind == "median":
        return np.median(blocks, axis=0)
    return stats.trim_mean(blocks, trim, axis=0)


def distribution(z, quantiles, levels):
    """F(z) of one member: straight lines, right-continuous at jumps."""
    q, t = list(quantiles), list(levels)
    if len(q) > 1:
        q.insert(0, q[0] - (q[1] - q[0]) / (t[1] - t[0]) * t[0])
        q.append(q[-1] + (q[-1] - q[-2]) / (t[-1] - t[-2]) * (1 - t[-1]))
        t = [0.0, *t, 1.0]
    else:
        q, t = q * 2, [0.0, 1.0]
    if z < q[0]:
        return 0.0
    last = max(k for k in range(len(q)) if q[k] <= z)
    if last == len(q) - 1:
        return 1.0
    share = (z - q[last]) / (q[last + 1] - q[last])
    return t[last] + share * (t[last + 1] - t[last])


def literal_linear(blocks, votes, levels, wanted):
    """The smallest z with F(z) >= level, by bisection."""

    def mixed(z):
        parts = [distribution(z, q, levels) for q in blocks]
        return np.dot(votes, parts)

    found = []
    for level in wanted:
        low, high = -1e3, 1e3
        for _ in range(70):
            middle = (low + high) / 2
            if mixed(middle) >= level - 1e-13:
                high = middle
            else:
                low = middle
        found.append(high)
    return found


@pytest.mark.parametrize("absent", [0.0, 0.4])
@pytest.mark.parametrize("kind", ["mean", "median", "trimmed_mean"])
@pytest.mark.parametrize("n_members", [1, 2, 5, 8])
def test_pools_level_by_level_are_their_loops(n_members, kind, absent):
    P, y = draw(n_members, absent=absent)
    votes = np.full(n_members, 1.0)
    if kind == "mean":
        votes = np.arange(1.0, n_members + 1)
    options = {"member_weights": votes} if kind == "mean" else {"trim": 0.3}
    found = fitted(P, y, kind, **options).predict_quantiles(P)
    for row, pooled in zip(P, found, strict=True):
        blocks, share = present(row, votes, 4)
        expected = (
            share @ blocks if kind == "mean" else literal_ranks(blocks, kind, 0.3)
        )
        assert_allclose(pooled, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("absent", [0.0, 0.4])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("levels", [LEVELS, [0.5], [0.3, 0.6]], ids=len)
@pytest.mark.parametrize("n_members", [1, 2, 5])
def test_the_linear_pool_is_its_loop(n_members, levels, ties, absent):
    P, y = draw(n_members, levels, n=15, ties=ties, absent=absent)
    votes = np.arange(1.0, n_members + 1)
    pool = fitted(P, y, "linear", levels, member_weights=votes)
    wanted = np.unique([*levels, *np.linspace(levels[0], levels[-1], 6)])
    found = pool.predict_quantiles(P, wanted)
    for row, pooled in zip(P, found, strict=True):
        blocks, share = present(row, votes, len(levels))
        expected = literal_linear(blocks, share, levels, wanted)
        assert_allclose(pooled, expected, rtol=1e-9, atol=1e-9)


def test_the_linear_pool_inverts_its_mixture():
    P, y = draw(6, n=200)
    found = fitted(P, y, "linear").predict_quantiles(P)
    for row, pooled in zip(P, found, strict=True):
        reached = [
            np.mean([distribution(z, q, LEVELS) for q in row.reshape(6, 4)])
            for z in pooled
        ]
        assert_allclose(reached, LEVELS, rtol=1e-12)


def test_the_linear_pool_between_two_far_members_is_the_end_of_the_lower():
    # F is flat at 0.5 from the lower member's end, 1, to the upper one's start, 10.
    P = [[0.25, 0.5, 0.75, 10.25, 10.5, 10.75]]
    pool = fitted(P, [0.0], "linear", [0.25, 0.5, 0.75])
    assert_allclose(pool.predict_quantiles(P), [[0.5, 1.0, 10.5]], rtol=1e-14)
    assert_allclose(pool.predict_quantiles(P, [0.4, 0.6]), [[0.8, 10.2]], rtol=1e-14)


def test_steep_pieces_leave_no_rounding_behind():
    # One member rises from level 0.25 to 0.5 within 1e-13, then its mass is flat.
    P = [[1.0, 1.0 + 1e-13, 3.0, 1.0, 2.0, 3.0]]
    wanted = [0.25, 0.45, 0.5, 0.6, 0.75]
    found = fitted(P, [0.0], "linear", [0.25, 0.5, 0.75]).predict_quantiles(P, wanted)
    blocks = np.reshape(P, (2, 3))
    expected = literal_linear(blocks, [0.5, 0.5], [0.25, 0.5, 0.75], wanted)
    assert_allclose(found[0], expected, rtol=1e-12)


def test_the_linear_pool_of_points_steps_from_point_to_point():
    P = [[3.0, 1.0, 2.0, 4.0]]
    pool = fitted(P, [0.0], "linear", [0.5])
    assert_array_equal(pool.predict(P), [2.0])
    weighted = fitted(P, [0.0], "linear", [0.5], member_weights=[2, 1, 1, 1])
    assert_array_equal(weighted.predict(P), [3.0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n_members", [1, 3, 7, 10])
def test_identical_members_are_left_alone(kind, ties, n_members):
    levels = np.r_[0.01, 0.025, np.arange(1, 20) / 20, 0.975, 0.99]
    one, y = draw(1, levels, ties=ties)
    P = np.tile(one, n_members)
    found = fitted(P, y, kind, levels).predict_quantiles(P)
    assert_allclose(found, one, rtol=1e-13, atol=1e-14)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 10**6),
    n_members=st.integers(1, 9),
    ties=st.booleans(),
)
def test_quantiles_ascend_lie_among_the_members_and_ignore_their_order(
    kind, seed, n_members, ties
):
    P, y = draw(n_members, n=12, seed=seed, ties=ties, absent=0.3)
    wanted = np.linspace(0.05, 0.9, 31)
    found = fitted(P, y, kind).predict_quantiles(P, wanted)
    assert (np.diff(found, axis=1) >= 0).all()
    cube = P.reshape(12, n_members, 4)
    own = fitted(P, y, kind).predict_quantiles(P)
    assert (own >= np.nanmin(cube, axis=1) - 1e-12).all()
    assert (own <= np.nanmax(cube, axis=1) + 1e-12).all()
    order = np.random.default_rng(seed).permutation(n_members)
    moved = cube[:, order].reshape(P.shape)
    again = fitted(moved, y, kind).predict_quantiles(moved, wanted)
    assert_allclose(again, found, atol=1e-14)  # sums that cancel round by their order


@pytest.mark.parametrize("kind", KINDS)
def test_other_units_and_mirrored_values(kind):
    P, y = draw(6, absent=0.2)
    plain = fitted(P, y, kind).predict_quantiles(P)
    for scale, offset in [(1e-200, 0.0), (1e200, 0.0), (3.0, 1e6)]:
        moved = scale * P + offset
        assert_allclose(
            fitted(moved, y, kind).predict_quantiles(moved),
            scale * plain + offset,
            rtol=1e-9,
        )
    mirrored = -P.reshape(len(P), 6, 4)[:, :, ::-1].reshape(P.shape)
    pool = fitted(mirrored, y, kind, 1 - LEVELS[::-1])
    assert_allclose(-pool.predict_quantiles(mirrored)[:, ::-1], plain, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_absent_members_are_as_if_they_were_not_there(kind):
    P, y = draw(6, absent=0.0)
    P[::3, 4:8] = np.nan
    P[::3, 16:20] = np.nan
    found = fitted(P, y, kind).predict_quantiles(P)
    kept = np.delete(P, [*range(4, 8), *range(16, 20)], axis=1)
    expected = fitted(kept, y, kind).predict_quantiles(kept)
    assert_allclose(found[::3], expected[::3], rtol=1e-12)
    # What is absent elsewhere does not touch the other rows.
    full = np.delete(P, np.s_[::3], axis=0)
    alone = fitted(P, y, kind).predict_quantiles(full)
    assert_array_equal(np.delete(found, np.s_[::3], axis=0), alone)


def test_votes_of_zero_and_of_any_scale():
    P, y = draw(4)
    for kind in ("mean", "linear"):
        pool = fitted(P, y, kind, member_weights=[0, 3, 0, 1])
        assert_array_equal(pool.weights_, [0, 0.75, 0, 0.25])
        small = P[:, [4, 5, 6, 7, 12, 13, 14, 15]]
        alone = fitted(small, y, kind, member_weights=[0.75, 0.25])
        assert_allclose(
            pool.predict_quantiles(P), alone.predict_quantiles(small), rtol=1e-14
        )
        equal = fitted(P, y, kind, member_weights=[2, 2, 2, 2]).predict_quantiles(P)
        assert_array_equal(equal, fitted(P, y, kind).predict_quantiles(P))


def test_trimming():
    P, y = draw(10)
    trimmed = [fitted(P, y, "trimmed_mean", trim=trim) for trim in (0.0, 0.4999)]
    for pool, kind in zip(trimmed, ("mean", "median"), strict=True):
        expected = fitted(P, y, kind).predict_quantiles(P)
        assert_allclose(pool.predict_quantiles(P), expected, rtol=1e-12)
    hundred, y = draw(100, n=5)
    found = fitted(hundred, y, "trimmed_mean", trim=0.29).predict_quantiles(hundred)
    ordered = np.sort(hundred.reshape(5, 100, 4), axis=1)
    assert_allclose(found, ordered[:, 29:71].mean(axis=1), rtol=1e-12)
    # The hopeless member moves the mean, not the trimmed one.
    P[:, :4] += 1e6
    assert fitted(P, y=P[:, 4], kind="mean").predict(P).min() > 1e4
    assert fitted(P, y=P[:, 4], kind="trimmed_mean").predict(P).max() < 1e2


def test_the_linear_pool_is_wider_than_the_mean_of_quantiles():
    rng = np.random.default_rng(0)
    levels = np.arange(1, 20) / 20
    centre = rng.normal(size=(2000, 4, 1))
    P = (centre + stats.norm.ppf(levels)).reshape(2000, -1)
    y = np.zeros(2000)
    widths = {}
    for kind in ("mean", "linear"):
        low, high = fitted(P, y, kind, levels).predict_interval(P, 0.1).T
        widths[kind] = high - low
    assert (widths["linear"] >= widths["mean"] - 1e-9).all()
    assert widths["linear"].mean() > 1.2 * widths["mean"].mean()


def test_the_linear_pool_of_normals_is_their_mixture():
    levels = np.arange(1, 1000) / 1000
    P = np.concatenate([stats.norm.ppf(levels, -1, 0.5), stats.norm.ppf(levels, 1, 2)])
    found = fitted(P[None], [0.0], "linear", levels).predict_quantiles(P[None])[0]
    mixed = 0.5 * stats.norm.cdf(found, -1, 0.5) + 0.5 * stats.norm.cdf(found, 1, 2)
    assert_allclose(mixed, levels, atol=5e-4)  # lines between, and tails


# Reading the pool.
@pytest.mark.parametrize("kind", KINDS)
def test_predict_is_the_median(kind):
    P, y = draw()
    pool = fitted(P, y, kind)
    assert_array_equal(pool.predict(P), pool.predict_quantiles(P)[:, 2])


def test_levels_between_are_interpolated():
    P, y = draw(levels=[0.2, 0.4, 0.8])
    pool = fitted(P, y, "mean", [0.2, 0.4, 0.8])
    low, middle, high = pool.predict_quantiles(P).T
    assert_allclose(pool.predict(P), 0.75 * middle + 0.25 * high)
    found = pool.predict_quantiles(P, [0.2, 0.3, 0.4, 0.8])
    assert_allclose(found, np.column_stack([low, (low + middle) / 2, middle, high]))


@pytest.mark.parametrize("kind", KINDS)
def test_intervals_are_quantiles(kind):
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    P, y = draw(levels=levels)
    pool = fitted(P, y, kind, levels)
    quantiles = pool.predict_quantiles(P)
    assert_array_equal(pool.predict_interval(P), quantiles[:, [0, 4]])
    assert_array_equal(pool.predict_interval(P, 0.5), quantiles[:, [1, 3]])
    both = pool.predict_interval(P, [0.1, 0.5])
    assert both.shape == (len(P), 2, 2)
    assert_array_equal(both[:, :, 0], quantiles[:, [0, 4]])
    assert_array_equal(both[:, :, 1], quantiles[:, [1, 3]])


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_of_rows_are_one(kind):
    levels = np.arange(1, 24) / 24
    P, y = draw(12, levels, n=3000, absent=0.2)
    found = fitted(P, y, kind, levels).predict_quantiles(P)
    pool = fitted(P, y, kind, levels)
    parts = [pool.predict_quantiles(part) for part in np.array_split(P, 7)]
    assert_array_equal(found, np.concatenate(parts))


def test_a_stack_of_points_has_one_column_for_each_member():
    from sklearn.linear_model import QuantileRegressor

    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = X[:, 0] + rng.normal(size=60)
    members = [
        (f"q{c}", QuantileRegressor(quantile=0.5, alpha=c)) for c in (0.0, 0.1, 0.3)
    ]
    stacked = StackedRegressor(members, QuantilePoolRegressor(kind="median"), cv=3)
    expected = np.median([m.fit(X, y).predict(X) for _, m in members], axis=0)
    assert_allclose(stacked.fit(X, y).predict(X), expected, atol=1e-9)


# Refusals.
def test_refuses_rows_that_cannot_be_pooled():
    P, y = draw()
    for rows, columns, message in [
        ([3, 5], [9], "some, not all, of the 4 quantiles in the columns from 'x8' on"),
        ([3, 5], range(20), "every member (that has a vote) is absent (2 rows, first"),
    ]:
        bad = P.copy()
        bad[np.ix_(rows, columns)] = np.nan
        for call in (fitted, lambda bad, y, kind: fitted(P, y, kind).predict(bad)):
            with pytest.raises(ValueError, match=re.escape(message)):
                call(bad, y, "mean")
    bad = P.copy()
    bad[7, :8] = np.nan
    with pytest.raises(ValueError, match=r"has a vote\) is absent .* at row 7"):
        fitted(bad, y, "linear", member_weights=[1, 1, 0, 0, 0])
    bad = P.copy()
    bad[7, :4] = bad[7, 3::-1]
    with pytest.raises(ValueError, match=r"from 'x0' on \(1 row, first at row 7\)"):
        fitted(bad, y, "median")
    bad[9, 5], bad[8, 8:12] = np.inf, np.nan
    with pytest.raises(ValueError, match=r"infinity in column 'x5' \(1 row, first at"):
        fitted(bad, y, "median")


def test_refuses_unfit_parameters():
    P, y = draw()
    for options, message in [
        ({"levels": [0.1, 0.5, 0.4, 0.9]}, "quantile_levels[2] is 0.4 after 0.5"),
        ({"levels": [0.1, 0.5, 0.9, 1.0]}, "quantile_levels[3] is 1.0; expected"),
        ({"levels": [0.1, 0.5, 0.9]}, "not a multiple of the 3 quantile levels of"),
        ({"kind": "mode"}, "The 'kind' parameter of QuantilePoolRegressor must be"),
        ({"trim": 0.5}, "The 'trim' parameter of QuantilePoolRegressor must be"),
        ({"member_weights": [1, 1]}, "member_weights has to hold 5 non-negative numb"),
        ({"member_weights": [1, 1, 1, 1, -1]}, "member_weights has to hold 5 non-neg"),
        ({"member_weights": np.zeros(5)}, "member_weights has to hold 5 non-negative"),
        (
            {"member_weights": np.ones(5), "kind": "median"},
            "kind='median' takes no member_weights",
        ),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            fitted(P, y, **{"kind": "mean", **options})


def test_refuses_levels_of_which_nothing_is_known():
    P, y = draw()
    for kind in KINDS:
        pool = fitted(P, y, kind)
        with pytest.raises(
            ValueError, match=r"level 0\.95 is beyond .* 0\.05 \.\. 0\.9, and"
        ):
            pool.predict_interval(P, 0.1)
        with pytest.raises(ValueError, match=r"level 0\.01 is beyond"):
            pool.predict_quantiles(P, [0.01, 0.5])
    upper, y = draw(levels=[0.9, 0.95])
    with pytest.raises(ValueError, match=r"level 0\.5 is beyond"):
        fitted(upper, y, "mean", [0.9, 0.95]).predict(upper)
    for alpha in (0.0, 1.0, [0.5, 90.0]):
        with pytest.raises(ValueError, match=r"alpha is .*; expected a number"):
            pool.predict_interval(P, alpha)


def test_dask_is_refused():
    da = pytest.importorskip("dask.array")
    P, y = draw()
    with pytest.raises(TypeError, match="the pool needs it in memory"):
        fitted(da.from_array(P), y, "mean")
