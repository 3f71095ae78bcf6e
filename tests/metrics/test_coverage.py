import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from ensemblekit import interval_coverage


def counted(n_covered, n_rows, **options):
    """Coverage of intervals of which `n_covered` hold their target."""
    y = np.where(np.arange(n_rows) < n_covered, 0.0, 5.0)
    options = {"alpha": 0.1, **options}
    return interval_coverage(y, -np.ones(n_rows), np.ones(n_rows), **options)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize(
    ("n_covered", "n_rows"), [(0, 1), (1, 1), (0, 30), (30, 30), (17, 20), (900, 1000)]
)
def test_band_is_clopper_pearson(n_covered, n_rows, confidence):
    table = counted(n_covered, n_rows, confidence=confidence)
    assert table.n_covered.tolist() == [n_covered]
    assert table.n_rows.tolist() == [n_rows]
    exact = stats.binomtest(n_covered, n_rows).proportion_ci(confidence, "exact")
    assert_allclose([table.low[0], table.high[0]], exact, rtol=1e-10)


@pytest.mark.parametrize("n_rows", [1, 5, 20, 400])
@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.5])
def test_expected_band_is_the_narrowest_with_both_tails_covered(n_rows, alpha):
    table = counted(n_rows, n_rows, alpha=alpha)
    low, high = (
        int(np.rint(table[name][0] * n_rows))
        for name in ("expected_low", "expected_high")
    )
    pmf = stats.binom.pmf(np.arange(n_rows + 1), n_rows, 1 - alpha)
    assert pmf[low : high + 1].sum() >= 0.95 - 1e-12
    # Within the tails, and one more would be beyond them.
    assert pmf[:low].sum() <= 0.025 + 1e-12 < pmf[: low + 1].sum()
    assert pmf[high + 1 :].sum() <= 0.025 + 1e-12 < pmf[high:].sum()
    assert_array_equal(table.as_expected, table.expected_high >= 1.0)


def test_bands_hold_in_simulation():
    rng = np.random.default_rng(0)
    held = rng.uniform(size=(4000, 50)) < 0.9
    y = np.where(held.ravel(), 0.0, 2.0)
    groups = np.repeat(np.arange(4000), 50)
    table = interval_coverage(y, 0 * y - 1, 0 * y + 1, 0.1, groups=groups)
    inside = (table.low <= 0.9) & (table.high >= 0.9)
    for share in (inside.mean(), table.as_expected.mean()):
        assert 0.95 - 3 * np.sqrt(0.05 * 0.95 / 4000) <= share < 0.995


def test_groups_are_counted_apart_and_sorted():
    rng = np.random.default_rng(0)
    y, low = rng.normal(size=200), rng.normal(size=200) - 1.0
    high = low + rng.uniform(0.0, 3.0, 200)
    groups = np.array(["west", "east", "north"])[rng.integers(0, 3, 200)]
    table = interval_coverage(y, low, high, 0.2, groups=groups)
    assert table.group.tolist() == ["east", "north", "west"]
    for g, name in enumerate(table.group):
        rows = groups == name
        alone = interval_coverage(y[rows], low[rows], high[rows], 0.2)
        assert alone.group.tolist() == ["all"]
        for key in set(table) - {"group"}:
            assert_allclose(table[key][g], alone[key][0], rtol=1e-12)
        held = (y[rows] >= low[rows]) & (y[rows] <= high[rows])
        assert_allclose(table.coverage[g], held.mean())
        assert_allclose(table.mean_width[g], (high - low)[rows].mean())


def test_ends_belong_and_may_be_infinite():
    table = interval_coverage(
        [0.0, 1.0, 7.0], [0.0, -np.inf, -np.inf], [1.0, 1.0, np.inf], 0.1
    )
    assert table.coverage[0] == 1.0
    assert table.mean_width[0] == np.inf


def test_makes_a_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(counted(3, 4))
    assert frame.shape == (1, 10)
    assert frame.loc[0, "coverage"] == 0.75


def test_refusals():
    y = np.zeros(3)
    for options, message in [
        ({"alpha": 0.0}, "alpha is 0.0; expected a number inside (0, 1)"),
        ({"alpha": 0.1, "confidence": 95}, "confidence is 95; expected a number"),
        ({"alpha": 0.1, "groups": ["a"]}, "groups has shape (1,); expected (3,)"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            interval_coverage(y, y, y, **options)
    with pytest.raises(ValueError, match="lower is above upper"):
        interval_coverage(y, y + 1, y, 0.1)
