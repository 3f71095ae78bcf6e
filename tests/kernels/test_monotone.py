import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.isotonic import isotonic_regression

from ensemblekit.kernels import monotone

RULES = {
    "sort": monotone.sort_rows,
    "isotonic": monotone.isotonic_rows,
    "widen": lambda Q: monotone.widen_rows(Q, Q.shape[1] // 2),
}
ROWS = arrays(
    np.float64,
    st.tuples(st.integers(0, 4), st.integers(1, 8)),
    elements=st.floats(-1e6, 1e6) | st.sampled_from([-1.0, 0.0, 1.0]),
)


def summed_pinball(y, Q, levels, weights=1.0):
    """Pinball losses of the rows of Q, summed over the levels."""
    error = y[:, None] - Q
    return (np.maximum(levels * error, (levels - 1) * error) * weights).sum(axis=1)


def draw(seed, n_rows=30):
    """Rows that cross, a target near or far, and any levels."""
    rng = np.random.default_rng(seed)
    levels = np.sort(rng.uniform(size=rng.integers(1, 12)))
    Q = rng.normal(size=(n_rows, len(levels))) * rng.choice([0.1, 1, 10])
    if seed % 2:
        Q = np.round(Q)  # ties
    return rng.normal(size=n_rows) * 2, Q + levels * rng.choice([0, 3]), levels


@pytest.mark.parametrize("rule", ["sort", "isotonic"])
def test_sort_and_isotonic_never_raise_the_summed_pinball(rule):
    lowered = 0
    for seed in range(100):  # 3,000 draws
        y, Q, levels = draw(seed)
        before = summed_pinball(y, Q, levels)
        after = summed_pinball(y, RULES[rule](Q), levels)
        assert (after <= before + 1e-12 * (1 + np.abs(Q).sum(axis=1))).all()
        lowered += np.count_nonzero(after < before - 1e-9)
    assert lowered > 500


def test_widening_may_raise_the_summed_pinball():
    # An outer quantile that was right is pulled to a median that is wrong.
    y, levels = np.array([0.0]), np.array([0.1, 0.5, 0.9])
    Q = np.array([[-1.0, 5.0, 0.0]])
    wide = monotone.widen_rows(Q, 1)
    assert_array_equal(wide, [[-1.0, 5.0, 5.0]])
    assert summed_pinball(y, wide, levels) > summed_pinball(y, Q, levels) + 0.4
    draws = [draw(seed) for seed in range(100)]
    rises = [
        summed_pinball(y, RULES["widen"](Q), levels) - summed_pinball(y, Q, levels)
        for y, Q, levels in draws
    ]
    assert np.concatenate(rises).max() > 1.0


def test_sorting_may_raise_a_pinball_of_unequal_weights():
    y, levels = np.array([0.0]), np.array([0.4, 0.6])
    Q, weights = np.array([[0.0, -1.0]]), np.array([10.0, 1.0])
    for rule in ("sort", "isotonic"):
        after = summed_pinball(y, RULES[rule](Q), levels, weights)
        assert after > summed_pinball(y, Q, levels, weights)


@pytest.mark.parametrize("seed", range(50))
def test_isotonic_equals_scikit_learn_row_by_row(seed):
    _, Q, _ = draw(seed)
    expected = [isotonic_regression(row) for row in Q]
    assert_allclose(monotone.isotonic_rows(Q), expected, rtol=1e-12, atol=1e-13)


def test_isotonic_keeps_its_digits_beside_an_offset():
    _, Q, _ = draw(3)
    moved = monotone.isotonic_rows(Q + 2.0**40)
    assert_allclose(moved - 2.0**40, monotone.isotonic_rows(Q), atol=1e-3)


@given(ROWS)
def test_isotonic_is_nearest_of_the_ascending_rows(Q):
    nearest = monotone.isotonic_rows(Q)
    # Projection: for every ascending c, (Q - p)'(c - p) <= 0; sorted Q is one of them.
    slope = ((Q - nearest) * (monotone.sort_rows(Q) - nearest)).sum(axis=1)
    assert (slope <= 1e-9 * (1 + (Q**2).sum(axis=1))).all()
    assert_allclose(nearest.mean(axis=1), Q.mean(axis=1), rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("rule", sorted(RULES))
@given(Q=ROWS)
def test_rows_ascend_and_stay(rule, Q):
    copy = Q.copy()
    once = RULES[rule](Q)
    assert once.dtype == np.float64
    assert once.shape == Q.shape
    assert (np.diff(once, axis=1) >= 0).all()
    assert_array_equal(RULES[rule](once), once)
    assert_array_equal(Q, copy)
    ascending = np.sort(Q, axis=1)
    assert_array_equal(RULES[rule](ascending), ascending)


@given(ROWS, st.integers(0, 7))
def test_widening_is_the_hull_of_all_narrower_intervals(Q, centre):
    centre = min(centre, Q.shape[1] - 1)
    wide = monotone.widen_rows(Q, centre)
    assert_array_equal(wide[:, centre], Q[:, centre])
    for k in range(Q.shape[1]):
        if k >= centre:
            expected = Q[:, centre : k + 1].max(axis=1, initial=-np.inf)
        else:
            expected = Q[:, k : centre + 1].min(axis=1, initial=np.inf)
        assert_array_equal(wide[:, k], expected)


def test_sorting_may_shrink_an_interval_and_widening_never_does():
    # The outer lower bound lies above the inner one: the sort swaps them.
    Q = np.array([[0.0, -1.0, 2.0, 3.0, 4.0]])
    inner = Q[0, 3] - Q[0, 1]
    assert monotone.sort_rows(Q)[0, 3] - monotone.sort_rows(Q)[0, 1] < inner
    assert monotone.widen_rows(Q, 2)[0, 3] - monotone.widen_rows(Q, 2)[0, 1] == inner


@pytest.mark.parametrize("rule", sorted(RULES))
def test_any_type_and_memory_order(rule):
    _, Q, _ = draw(1)
    expected = RULES[rule](Q)
    assert_array_equal(RULES[rule](np.asfortranarray(Q)), expected)
    assert_array_equal(RULES[rule](Q.astype(np.float32)), expected)  # Q is integers
    Q.setflags(write=False)
    assert_array_equal(RULES[rule](Q), expected)
