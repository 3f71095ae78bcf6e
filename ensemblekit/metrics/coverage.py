"""How often intervals hold the target, by group, with exact binomial bands."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from ._checks import check_interval, check_share, check_targets


def interval_coverage(
    y: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    alpha: float,
    *,
    groups: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Bunch:
    """Count how often intervals hold the target, by group, with exact bands.

    Two bands answer two questions. From `low` to `high` (Clopper-Pearson) lie the
    coverages that the rows seen do not rule out. From `expected_low` to `expected_high`
    lie the shares that intervals of coverage 1 - alpha show on that many rows. Both
    take rows as independent: with rows that err together, such as those of one week,
    true bands are wider.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Targets.
    lower, upper : array-like of shape (n_samples,)
        Ends of the intervals, which belong to them; -inf and inf where there is none.
    alpha : float
        Miscoverage that was aimed at, in (0, 1): 0.1 for intervals of 90 %.
    groups : array-like of shape (n_samples,), default=None
        Group of each row; None is a single group of the name "all".
    confidence : float, default=0.95
        Least probability that a band holds what it is for, in (0, 1). One of many
        groups falls outside by chance: 1 - 0.05 / n_groups makes up for it.

    Returns
    -------
    table : Bunch of ndarrays of shape (n_groups,)
        A dict whose entries are attributes too; ``pandas.DataFrame(table)`` is a table.

        - ``group``: sorted;
        - ``n_rows``, ``n_covered``: int64;
        - ``coverage``: share of the rows held, float64;
        - ``low``, ``high``: Clopper-Pearson band of the coverage;
        - ``expected_low``, ``expected_high``: band of the share under 1 - alpha;
        - ``as_expected``: bool, whether `coverage` is inside of it;
        - ``mean_width``: in the unit of y.

    Raises
    ------
    ValueError
        If values are NaN, shapes disagree, an interval has its ends swapped, or alpha
        or confidence is outside (0, 1).

    References
    ----------
    .. [1] Clopper, Pearson, "The use of confidence or fiducial limits illustrated in
       the case of the binomial", Biometrika 26, 1934.

    Examples
    --------
    >>> y = [1.0, 2.0, 3.0, 9.0]
    >>> table = interval_coverage(y, [0.0] * 4, [5.0] * 4, 0.1, groups=list("aabb"))
    >>> table.group.tolist(), table.coverage.tolist()
    (['a', 'b'], [1.0, 0.5])
    >>> table.low.round(3).tolist(), table.high.round(3).tolist()
    ([0.158, 0.013], [1.0, 0.987])
    """
    y = check_targets(y)
    low, high = check_interval(lower, upper, len(y))
    alpha, confidence = (
        check_share(alpha, "alpha"),
        check_share(confidence, "confidence"),
    )
    names, codes = _group_codes(groups, len(y))
    n_rows = np.bincount(codes)
    n_covered = np.bincount(codes[(low <= y) & (y <= high)], minlength=len(names))
    coverage = n_covered / n_rows
    band = clopper_pearson(n_covered, n_rows, confidence)
    expected = _expected_shares(n_rows, alpha, confidence)
    return Bunch(
        group=names,
        n_rows=n_rows,
        n_covered=n_covered,
        coverage=coverage,
        low=band[0],
        high=band[1],
        expected_low=expected[0],
        expected_high=expected[1],
        as_expected=(expected[0] <= coverage) & (coverage <= expected[1]),
        mean_width=np.bincount(codes, weights=high - low) / n_rows,
    )


def _group_codes(groups, n_rows):
    if groups is None:
        return np.array(["all"]), np.zeros(n_rows, np.int64)
    groups = np.asarray(groups)
    if groups.shape != (n_rows,):
        raise ValueError(
            f"groups has shape {groups.shape}; expected ({n_rows},), a group for each "
            "row of y."
        )
    try:
        return np.unique(groups, return_inverse=True)
    except TypeError as error:
        raise TypeError(
            "groups are of several types, which have no order among each other; give "
            "all as strings, or all as numbers."
        ) from error


def clopper_pearson(n_covered, n_rows, confidence):
    """Return the lower and the upper ends of exact bands of shares.

    n_covered, n_rows : ndarray of int; confidence : float in (0, 1)
    """
    from scipy.special import betaincinv

    tail, n_missed = (1.0 - confidence) / 2.0, n_rows - n_covered
    low, high = np.zeros(len(n_rows)), np.ones(len(n_rows))
    some, missed = n_covered > 0, n_missed > 0
    low[some] = betaincinv(n_covered[some], n_missed[some] + 1, tail)
    # The upper end is 1 less the lower end of the misses.
    high[missed] = 1.0 - betaincinv(n_missed[missed], n_covered[missed] + 1, tail)
    return low, high


def _expected_shares(n_rows, alpha, confidence):
    from scipy.stats import binom

    tail = (1.0 - confidence) / 2.0
    # Misses are counted: alpha is what was typed, 1 - alpha is rounded.
    fewest, most = (binom.ppf(level, n_rows, alpha) for level in (tail, 1.0 - tail))
    return (n_rows - most) / n_rows, (n_rows - fewest) / n_rows
