"""Thresholds of confidence whose selective risk is bounded, on arrays alone.

The rows must be held out from the training of what they judge, and be drawn as the rows
to come are.
"""

import math
import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .risk_coverage import check_answers, tie_groups

__all__ = ["RiskThreshold", "clopper_pearson_upper", "ltt_threshold", "sgr_threshold"]

# Thresholds that are tested in turn: more give a finer choice, and more occasions to
# stop at early.
_STEPS = 20


class RiskThreshold(NamedTuple):
    """A threshold of confidence and what holds for the rows above it.

    Attributes
    ----------
    threshold : float
        Rows with a confidence of at least this are answered; infinity answers none.
    bound : float
        Bound of the selective risk of new rows; NaN where none are answered.
    coverage : float
        Share of the calibration rows that are answered, in [0, 1].
    """

    threshold: float
    bound: float
    coverage: float


def clopper_pearson_upper(
    n_errors: ArrayLike, n_rows: ArrayLike, delta: float
) -> float | NDArray:
    """Return the upper bound of an error rate that fails with chance <= delta.

    The rate under which so few errors, or fewer, have the probability delta.

    Parameters
    ----------
    n_errors : int or array-like of int
        From 0 to `n_rows`.
    n_rows : int or array-like of int
        Rows among which these are; with none the bound is 1.
    delta : float
        Probability that the bound is below the rate, in (0, 1).

    Returns
    -------
    bound : float, or ndarray where arrays are given
        In (0, 1]; 1 where all rows are errors.

    Raises
    ------
    ValueError
        If counts are negative, errors are more than rows, or delta is outside (0, 1).

    References
    ----------
    .. [1] Clopper, Pearson, "The use of confidence or fiducial limits illustrated in
       the case of the binomial", Biometrika 26, 1934.

    Examples
    --------
    >>> clopper_pearson_upper(0, 100, 0.05), clopper_pearson_upper(3, 3, 0.05)
    (0.0295130..., 1.0)
    """
    from scipy.special import betaincinv

    check_delta(delta)
    errors, rows = np.broadcast_arrays(np.asarray(n_errors), np.asarray(n_rows))
    if (errors < 0).any() or (errors > rows).any():
        raise ValueError(
            "n_errors is negative, or more than n_rows; expected counts of errors "
            "among rows."
        )
    bound = np.ones(errors.shape)
    some = errors < rows
    right = (rows - errors)[some]
    bound[some] = 1.0 - betaincinv(right, errors[some] + 1, delta)
    return bound if bound.ndim else float(bound)


def sgr_threshold(
    confidence: ArrayLike, correct: ArrayLike, risk: float, delta: float = 0.05
) -> RiskThreshold:
    """Find the threshold that answers most at a guaranteed risk, by binary search.

    Selection with guaranteed risk (SGR): each threshold that the search visits has its
    Clopper-Pearson bound, at delta divided by the number of visits, so that all hold
    together. The last one with a bound of at most `risk` is returned.

    Parameters
    ----------
    confidence : array-like of shape (n_samples,)
        Of rows that no model was trained on; finite, high where the answer is likely
        right.
    correct : array-like of shape (n_samples,), bool or 0 and 1
        Whether the answer is right.
    risk : float
        Share of errors among answered rows that may not be exceeded, in (0, 1).
    delta : float, default=0.05
        Probability, over calibration rows, that it is, in (0, 1).

    Returns
    -------
    result : RiskThreshold
        Named tuple of threshold, bound and coverage.

    Warns
    -----
    UserWarning
        If no threshold has so low a bound: coverage is then 0.

    Raises
    ------
    ValueError
        If the arrays differ in shape, confidence is not finite, correct is not 0 or 1,
        or risk or delta is outside (0, 1).

    Notes
    -----
    Thresholds are confidences of these rows, and which are visited depends on errors
    as well, so the argument is no full proof; over many draws the share of violations
    is well below delta. `ltt_threshold` has the stricter argument. Time:
    O(n_samples * log(n_samples)).

    References
    ----------
    .. [1] Geifman, El-Yaniv, "Selective Classification for Deep Neural Networks",
       NeurIPS 2017.

    Examples
    --------
    >>> confidence = np.linspace(0, 1, 500)
    >>> found = sgr_threshold(confidence, confidence > 0.3, risk=0.05, delta=0.05)
    >>> round(found.threshold, 3), round(found.bound, 3), found.coverage
    (0.287, 0.047, 0.714)
    """
    check_risk(risk)
    check_delta(delta)
    groups = tie_groups(confidence, correct)
    n_groups, n_rows = len(groups.answered), int(groups.answered[-1])
    n_visits = math.ceil(math.log2(n_groups + 1))
    low, high, found = 0, n_groups, None
    while low < high:
        g = (low + high + 1) // 2
        answered = groups.answered[g - 1]
        bound = clopper_pearson_upper(groups.errors[g - 1], answered, delta / n_visits)
        if bound <= risk:
            low = g
            found = RiskThreshold(
                float(groups.threshold[g - 1]), float(bound), float(answered / n_rows)
            )
        else:
            high = g - 1
    return _none(n_rows, risk, delta) if found is None else found


def ltt_threshold(
    confidence: ArrayLike, correct: ArrayLike, risk: float, delta: float = 0.05
) -> RiskThreshold:
    """Find a threshold of guaranteed risk by exact tests in a fixed order.

    Learn then test (LTT): thresholds that leave 5 %, 10 %, .. 100 % of the rows above
    are tested from the strictest on, each by the binomial tail of its errors under
    `risk`, at level delta; the last before the first failure is returned. The first has
    at least twice the rows above that would pass without an error, where half of the
    rows are as many: with fewer, one error ends the walk before it has begun.

    Parameters
    ----------
    confidence : array-like of shape (n_samples,)
        Of rows that no model was trained on; finite, high where the answer is likely
        right.
    correct : array-like of shape (n_samples,), bool or 0 and 1
        Whether the answer is right.
    risk : float
        Share of errors among answered rows that may not be exceeded, in (0, 1).
    delta : float, default=0.05
        Probability, over calibration rows, that it is, in (0, 1).

    Returns
    -------
    result : RiskThreshold
        Named tuple of threshold, bound and coverage; the bound is `risk`. The threshold
        is just above a confidence of these rows, or minus infinity where all rows may
        be answered.

    Warns
    -----
    UserWarning
        If no threshold passes: coverage is then 0.

    Raises
    ------
    ValueError
        If the arrays differ in shape, confidence is not finite, correct is not 0 or 1,
        or risk or delta is outside (0, 1).

    Notes
    -----
    Given the k-th largest confidence, the rows above it are independent draws from all
    rows above it, so each test is exact. Testing in a fixed order needs no correction
    (one true null hypothesis, the first met, decides), where risk does not fall as
    confidence falls. Time: O(n_samples * log(n_samples)).

    References
    ----------
    .. [1] Angelopoulos, Bates, Candes, Jordan, Lei, "Learn then Test: Calibrating
       Predictive Algorithms to Achieve Risk Control", Annals of Applied Statistics 19,
       2025.

    Examples
    --------
    >>> confidence = np.linspace(0, 1, 500)
    >>> found = ltt_threshold(confidence, confidence > 0.3, risk=0.05, delta=0.05)
    >>> round(found.threshold, 3), found.bound, found.coverage
    (0.299, 0.05, 0.7)
    """
    from scipy.stats import binom

    check_risk(risk)
    check_delta(delta)
    values, right = check_answers(confidence, correct)
    order = np.argsort(values)[::-1]
    values, n_rows = values[order], len(values)
    errors = np.concatenate([[0], np.cumsum(~right[order])])
    answered, least = _rows_above(values), _least_rows(risk, delta)
    # Where to begin depends on no error and on no confidence.
    possible = answered[answered >= max(least, min(2 * least, n_rows // 2))]
    passes = binom.cdf(errors[possible], possible, risk) <= delta
    n_passed = len(passes) if passes.all() else int(np.argmin(passes))
    if n_passed == 0:
        return _none(n_rows, risk, delta)
    k = int(possible[n_passed - 1])
    threshold = np.nextafter(values[k], np.inf) if k < n_rows else -np.inf
    return RiskThreshold(float(threshold), float(risk), k / n_rows)


def check_risk(risk: float) -> None:
    """Refuse a risk that is not inside (0, 1)."""
    if not 0.0 < risk < 1.0:
        raise ValueError(f"risk is {risk!r}; expected a number inside (0, 1).")


def check_delta(delta: float) -> None:
    """Refuse a delta that is not inside (0, 1)."""
    if not 0.0 < delta < 1.0:
        raise ValueError(f"delta is {delta!r}; expected a number inside (0, 1).")


def _rows_above(values):
    """Count, for each threshold in turn, the rows of greater confidence."""
    n_rows = len(values)
    ranks = -(-np.arange(1, _STEPS) * n_rows // _STEPS)
    ranks = ranks[ranks < n_rows]
    # Rows as confident as the one at the rank are not above it.
    return np.append(np.searchsorted(-values, -values[ranks], side="left"), n_rows)


def _least_rows(risk, delta):
    """Return how many rows without an error pass the test of a risk."""
    return math.ceil(math.log(delta) / math.log1p(-risk))


def _none(n_rows, risk, delta):
    warnings.warn(
        f"No threshold keeps the risk at {risk:.6g} or below at delta={delta:.6g} on "
        f"{n_rows} calibration rows, and no row is answered: without a single error "
        f"{_least_rows(risk, delta)} rows would do. Give more rows, a higher risk, or "
        "a better confidence.",
        stacklevel=3,
    )
    return RiskThreshold(math.inf, math.nan, 0.0)
