import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import mean_pinball_loss

from ensemblekit import interval_score, pinball_loss, weighted_interval_score

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]
SYMMETRIC = [
    [0.5],
    [0.1, 0.9],
    [0.1, 0.5, 0.9],
    LEVELS,
    [0.01, 0.025, *(np.arange(1, 20) / 20), 0.975, 0.99],
    np.arange(1, 100) / 100,
]


def draw(levels, n=40, seed=0):
    rng = np.random.default_rng(seed)
    Q = np.sort(2 * rng.normal(size=(n, len(levels))), axis=1)
    return 3 * rng.normal(size=n), Q, rng.integers(0, 4, n).astype(float)


def test_pinball_equals_scikit_learn_level_by_level():
    y, Q, weight = draw(LEVELS)
    columns = list(zip(Q.T, LEVELS, strict=True))
    for w in (None, weight):
        expected = np.mean(
            [mean_pinball_loss(y, q, alpha=t, sample_weight=w) for q, t in columns]
        )
        assert_allclose(pinball_loss(y, Q, LEVELS, w), expected, rtol=1e-13)
    each = pinball_loss(y, Q, LEVELS, average=False)
    assert each.shape == Q.shape
    assert_allclose(
        each.mean(axis=0), [mean_pinball_loss(y, q, alpha=t) for q, t in columns]
    )


def test_pinball_takes_crossing_quantiles_and_one_level_as_values():
    assert pinball_loss([0.0], [[1.0, -1.0]], [0.25, 0.75]) == 0.75
    y, Q, _ = draw([0.3])
    assert pinball_loss(y, Q[:, 0], 0.3) == pinball_loss(y, Q, [0.3])


def test_interval_score_is_its_definition():
    y, Q, weight = draw(LEVELS)
    low, high = Q[:, 0], Q[:, 4]
    for alpha in (0.02, 0.1, 0.5):
        expected = [
            (u - a) + 2 / alpha * (a - v) * (v < a) + 2 / alpha * (v - u) * (v > u)
            for v, a, u in zip(y, low, high, strict=True)
        ]
        found = interval_score(y, low, high, alpha, average=False)
        assert_allclose(found, expected, rtol=1e-12)
        assert_allclose(
            interval_score(y, low, high, alpha, weight),
            np.average(expected, weights=weight),
        )


@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.5])
def test_half_alpha_of_the_interval_score_is_the_pinball_of_both_ends(alpha):
    y, Q, _ = draw([0.1, 0.9])
    ends = pinball_loss(y, Q, [alpha / 2, 1 - alpha / 2], average=False).sum(axis=1)
    scores = interval_score(y, Q[:, 0], Q[:, 1], alpha, average=False)
    assert_allclose(alpha / 2 * scores, ends, rtol=1e-12)


def test_infinite_intervals_score_infinity_and_count_only_with_weight():
    y, low, high = [0.0, 1.0], [-np.inf, 0.0], [1.0, 2.0]
    assert interval_score(y, low, high, 0.1) == np.inf
    assert interval_score(y, low, high, 0.1, sample_weight=[0.0, 1.0]) == 2.0


@pytest.mark.parametrize("levels", SYMMETRIC, ids=len)
def test_wis_is_its_definition_and_twice_the_mean_pinball(levels):
    y, Q, weight = draw(levels)
    m, total = len(levels), np.zeros(len(y))
    for k in range(m // 2):
        alpha = 2 * levels[k]
        scores = interval_score(y, Q[:, k], Q[:, m - 1 - k], alpha, average=False)
        total += alpha / 2 * scores
    if m % 2:
        total += 0.5 * np.abs(y - Q[:, m // 2])
    total /= m / 2  # K + 1/2 with a median, K without
    found = weighted_interval_score(y, Q, levels, average=False)
    assert_allclose(found, total, rtol=1e-11)
    assert_allclose(
        weighted_interval_score(y, Q, levels, weight),
        2 * pinball_loss(y, Q, levels, weight),
        rtol=1e-14,
    )


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([0.1, 0.5], "has 0.1 but not 0.9"),
        ([0.1, 0.3, 0.9], "has 0.3 but not 0.7"),
        ([0.1, 0.2, 0.8, 0.92], "has 0.92 but not 0.08|has 0.1 but not 0.9"),
        ([0.4], "has 0.4 but not 0.6"),
        ([0.1, 0.5, 0.9, 0.95], "has 0.95 but not 0.05"),
    ],
)
def test_wis_refuses_levels_without_their_pair(levels, message):
    y, Q, _ = draw(levels)
    with pytest.raises(ValueError, match=f"{message}; .* Use pinball_loss"):
        weighted_interval_score(y, Q, levels)


@pytest.mark.parametrize("score", [pinball_loss, weighted_interval_score])
def test_integer_weights_equal_repeated_rows(score):
    y, Q, weight = draw(LEVELS)
    rows = np.repeat(np.arange(len(y)), weight.astype(int))
    assert_allclose(score(y, Q, LEVELS, weight), score(y[rows], Q[rows], LEVELS))


@pytest.mark.parametrize("score", [pinball_loss, weighted_interval_score])
@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([0.05, 0.25, 0.5, 0.75, 1.0], "quantile_levels[4] is 1.0; expected levels in"),
        ([0.0, 0.25, 0.5, 0.75, 0.9], "quantile_levels[0] is 0.0; expected levels in"),
        ([0.05, 0.5, 0.25, 0.75, 0.9], "quantile_levels[2] is 0.25 after 0.5; expect"),
        ([0.05, 0.5, 0.5, 0.75, 0.9], "quantile_levels[2] is 0.5 after 0.5; expected"),
        ([0.05, np.nan, 0.5, 0.7, 0.9], "quantile_levels[1] is nan; expected levels"),
        ([0.1, 0.9], "quantiles has shape (40, 5); expected (40, 2): a row for each"),
        ([], "quantile_levels has shape (0,); expected a list of levels"),
    ],
)
def test_refuses_unfit_levels_by_position(score, levels, message):
    y, Q, _ = draw(LEVELS)
    with pytest.raises(ValueError, match=re.escape(message)):
        score(y, Q, levels)


def test_refuses_unfit_rows():
    y, Q, weight = draw(LEVELS)
    crossed = Q.copy()
    crossed[[7, 9], 2] += 100.0
    with pytest.raises(ValueError, match=r"decrease .* \(2 rows, first at row 7\)"):
        weighted_interval_score(y, crossed, LEVELS)
    Q[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"quantiles is NaN .* first at row 3"):
        pinball_loss(y, Q, LEVELS)
    with pytest.raises(ValueError, match=r"y is NaN or infinite .* first at row 1"):
        pinball_loss([0.0, np.inf], [[0.0], [1.0]], [0.5])
    with pytest.raises(ValueError, match=r"y has shape \(40, 5\); expected"):
        pinball_loss(Q, Q, LEVELS)
    with pytest.raises(ValueError, match="which average=False does not take"):
        pinball_loss([0.0], [[0.0]], [0.5], [1.0], average=False)
    with pytest.raises(ValueError, match="Negative"):
        pinball_loss(y, crossed, LEVELS, weight - 3.0)


def test_refuses_unfit_intervals():
    y = np.zeros(3)
    for low, high, alpha, message in [
        ([0, 1, 0], [1, 0, 1], 0.1, "lower is above upper (1 row, first at row 1)"),
        ([0, 0, np.nan], [1, 1, 1], 0.1, "lower is NaN or inf (1 row, first at row 2)"),
        ([0, 0, 0], [1, -np.inf, 1], 0.1, "upper is NaN or -inf (1 row, first at row"),
        ([0, 0], [1, 1, 1], 0.1, "lower has shape (2,); expected (3,)"),
        ([0, 0, 0], [1, 1, 1], 1.0, "alpha is 1.0; expected a number inside (0, 1)"),
        ([0, 0, 0], [1, 1, 1], 90, "alpha is 90; expected a number inside (0, 1)"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            interval_score(y, low, high, alpha)


def test_scores_are_least_at_the_truth():
    y = np.random.default_rng(0).normal(size=20_000)
    truth = np.quantile(y, LEVELS)
    for score in (pinball_loss, weighted_interval_score):
        best = score(y, np.tile(truth, (len(y), 1)), LEVELS)
        for shift, scale in [(0.1, 1.0), (-0.1, 1.0), (0.0, 0.8), (0.0, 1.25)]:
            other = np.tile(truth * scale + shift, (len(y), 1))
            assert score(y, other, LEVELS) > best


def test_arguments_stay_untouched():
    y, Q, weight = draw(LEVELS)
    copies = y.copy(), Q.copy(), weight.copy()
    for array in (y, Q, weight):
        array.setflags(write=False)
    weighted_interval_score(y, Q, LEVELS, weight)
    interval_score(y, Q[:, 0], Q[:, 4], 0.1, weight)
    for array, copy in zip((y, Q, weight), copies, strict=True):
        assert_array_equal(array, copy)
