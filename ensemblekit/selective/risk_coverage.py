"""Risk against coverage: what a confidence is worth, on arrays alone.

Rows of equal confidence are answered together: no order among them changes a figure.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..exceptions import describe_rows

__all__ = [
    "RiskCoverageCurve",
    "augrc",
    "aurc",
    "coverage_at_risk",
    "e_aurc",
    "risk_at_coverage",
    "risk_coverage_curve",
]

_CONVENTIONS = ("sum", "trapezoid")


class RiskCoverageCurve(NamedTuple):
    """One point for each distinct confidence, from the strictest threshold down.

    Attributes
    ----------
    coverage : ndarray of shape (n_points,), float64
        Share of the rows answered, ascending in (0, 1].
    selective_risk : ndarray of shape (n_points,), float64
        Errors among the rows answered, divided by these.
    generalized_risk : ndarray of shape (n_points,), float64
        Errors among the rows answered, divided by all rows.
    threshold : ndarray of shape (n_points,), float64
        Rows with a confidence of at least this are answered.
    """

    coverage: NDArray
    selective_risk: NDArray
    generalized_risk: NDArray
    threshold: NDArray


class TieGroups(NamedTuple):
    """Rows by decreasing confidence; every entry is of a group of equal ones."""

    threshold: NDArray  # the confidence, float64
    answered: NDArray  # rows up to and with the group, int64
    errors: NDArray  # errors among these, int64


def risk_coverage_curve(confidence: ArrayLike, correct: ArrayLike) -> RiskCoverageCurve:
    """Return risk and coverage at each distinct confidence.

    Parameters
    ----------
    confidence : array-like of shape (n_samples,)
        Finite; high where the answer is likely right.
    correct : array-like of shape (n_samples,), bool or 0 and 1
        Whether the answer is right.

    Returns
    -------
    curve : RiskCoverageCurve
        Named tuple of coverage, selective_risk, generalized_risk and threshold.

    Raises
    ------
    ValueError
        If the two differ in shape, confidence is not finite, or correct is not 0 or 1.

    Notes
    -----
    Time: O(n_samples * log(n_samples)).

    References
    ----------
    .. [1] El-Yaniv, Wiener, "On the Foundations of Noise-free Selective
       Classification", Journal of Machine Learning Research 11, 2010.

    Examples
    --------
    >>> curve = risk_coverage_curve([0.9, 0.9, 0.6, 0.2], [1, 0, 1, 0])
    >>> curve.coverage.tolist(), curve.selective_risk.round(3).tolist()
    ([0.5, 0.75, 1.0], [0.5, 0.333, 0.5])
    """
    groups = tie_groups(confidence, correct)
    n_rows = groups.answered[-1]
    return RiskCoverageCurve(
        groups.answered / n_rows,
        groups.errors / groups.answered,
        groups.errors / n_rows,
        groups.threshold,
    )


def aurc(
    confidence: ArrayLike, correct: ArrayLike, *, convention: str = "sum"
) -> float:
    """Return the area under the risk-coverage curve, expected over orders of ties.

    The mean over k = 1..n of the share of errors among the k most confident rows, in
    expectation over all orders of rows of equal confidence. A constant confidence has
    the error rate; lower is better. The area under the accuracy-rejection curve is
    1 less this one.

    Parameters
    ----------
    confidence : array-like of shape (n_samples,)
        Finite; high where the answer is likely right.
    correct : array-like of shape (n_samples,), bool or 0 and 1
        Whether the answer is right.
    convention : {"sum", "trapezoid"}, default="sum"
        "trapezoid" joins the same points, and the point of coverage 0 and risk 0, by
        straight lines.

    Returns
    -------
    area : float
        In [0, 1].

    Raises
    ------
    ValueError
        If the two differ in shape, confidence is not finite, correct is not 0 or 1, or
        the convention is unknown.

    Notes
    -----
    The expectation has a closed form in harmonic numbers, and no order is drawn. Time:
    O(n_samples * log(n_samples)).

    References
    ----------
    .. [1] Geifman, Uziel, El-Yaniv, "Bias-Reduced Uncertainty Estimation for Deep
       Neural Classifiers", ICLR 2019.

    Examples
    --------
    >>> aurc([0.9, 0.8, 0.3, 0.2], [1, 1, 1, 0]), aurc([0.5, 0.5], [1, 0])
    (0.0625, 0.5)
    """
    groups = tie_groups(confidence, correct)
    n_rows = groups.answered[-1]
    before, size, answered_before, inside = _group_parts(groups)
    inverses = np.add.reduceat(1.0 / np.arange(1, n_rows + 1), answered_before)
    # E[errors among the first k] is a line within a group, and it is divided by k.
    rows = (before - inside / size * answered_before) * inverses + inside
    return _finish(rows.sum() / n_rows, groups.errors[-1], n_rows, convention)


def e_aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Return the excess of `aurc` over that of the best order of the same errors.

    0 where all errors are less confident than all right answers. Both conventions of
    `aurc` have the same excess.

    Parameters
    ----------
    confidence : array-like of shape (n_samples,)
        Finite; high where the answer is likely right.
    correct : array-like of shape (n_samples,), bool or 0 and 1
        Whether the answer is right.

    Returns
    -------
    excess : float
        In [0, 1].

    Raises
    ------
    ValueError
        If the two differ in shape, confidence is not finite, or correct is not 0 or 1.

    Notes
    -----
    Time: O(n_samples * log(n_samples)).

    References
    ----------
    .. [1] Geifman, Uziel, El-Yaniv, "Bias-Reduced Uncertainty Estimation for Deep
       Neural Classifiers", ICLR 2019.

    Examples
    --------
    >>> e_aurc([0.9, 0.8, 0.2], [1, 1, 0]), round(e_aurc([0.9, 0.8, 0.2], [0, 1, 1]), 3)
    (0.0, 0.5)
    """
    _, right = check_answers(confidence, correct)
    best = aurc(right, right)
    return max(0.0, aurc(confidence, right) - best)


def augrc(
    confidence: ArrayLike, correct: ArrayLike, *, convention: str = "sum"
) -> float:
    """Return the area under the generalised risk-coverage curve, expected over ties.

    As `aurc`, with errors divided by all rows and not by those answered: the chance
    that a row is wrong and answered, averaged over coverages. The few most confident
    rows then weigh no more than others. A constant confidence has half the error rate,
    times 1 + 1 / n_samples; lower is better.

    Parameters
    ----------
    confidence : array-like of shape (n_samples,)
        Finite; high where the answer is likely right.
    correct : array-like of shape (n_samples,), bool or 0 and 1
        Whether the answer is right.
    convention : {"sum", "trapezoid"}, default="sum"
        "trapezoid" joins the same points, and the point of coverage 0 and risk 0, by
        straight lines.

    Returns
    -------
    area : float
        In [0, 1].

    Raises
    ------
    ValueError
        If the two differ in shape, confidence is not finite, correct is not 0 or 1, or
        the convention is unknown.

    Notes
    -----
    Time: O(n_samples * log(n_samples)).

    References
    ----------
    .. [1] Traub et al., "Overcoming Common Flaws in the Evaluation of Selective
       Classification Systems", NeurIPS 2024.

    Examples
    --------
    >>> round(augrc([0.9, 0.8, 0.2], [1, 1, 0]), 3), augrc([0.5, 0.5], [1, 0])
    (0.111, 0.375)
    """
    groups = tie_groups(confidence, correct)
    n_rows = groups.answered[-1]
    before, size, _, inside = _group_parts(groups)
    total = (before * size + inside * (size + 1.0) / 2.0).sum()
    return _finish(total / n_rows / n_rows, groups.errors[-1], n_rows, convention)


def coverage_at_risk(confidence: ArrayLike, correct: ArrayLike, risk: float) -> float:
    """Return the largest coverage whose selective risk is at most `risk`.

    A description of these rows, no promise for others; see `sgr_threshold` for that.

    Parameters
    ----------
    confidence : array-like of shape (n_samples,)
        Finite; high where the answer is likely right.
    correct : array-like of shape (n_samples,), bool or 0 and 1
        Whether the answer is right.
    risk : float
        In [0, 1].

    Returns
    -------
    coverage : float
        In [0, 1], at one of the thresholds of `risk_coverage_curve`; 0 where none has
        so little risk.

    Raises
    ------
    ValueError
        If the two differ in shape, confidence is not finite, correct is not 0 or 1, or
        risk is outside [0, 1].

    Notes
    -----
    Time: O(n_samples * log(n_samples)).

    Examples
    --------
    >>> coverage_at_risk([0.9, 0.8, 0.7, 0.2], [1, 0, 1, 0], 0.4)
    0.75
    """
    if not 0.0 <= risk <= 1.0:
        raise ValueError(f"risk is {risk!r}; expected a number in [0, 1].")
    curve = risk_coverage_curve(confidence, correct)
    # A quotient and a decimal of the same value round to the same float.
    return float(curve.coverage[curve.selective_risk <= risk].max(initial=0.0))


def risk_at_coverage(
    confidence: ArrayLike, correct: ArrayLike, coverage: float
) -> float:
    """Return the selective risk of the most confident share of the rows.

    Where the share ends within rows of equal confidence, their errors count in
    expectation over all orders.

    Parameters
    ----------
    confidence : array-like of shape (n_samples,)
        Finite; high where the answer is likely right.
    correct : array-like of shape (n_samples,), bool or 0 and 1
        Whether the answer is right.
    coverage : float
        In (0, 1]; rounded to a whole number of rows, one at least.

    Returns
    -------
    risk : float
        In [0, 1].

    Raises
    ------
    ValueError
        If the two differ in shape, confidence is not finite, correct is not 0 or 1, or
        coverage is outside (0, 1].

    Notes
    -----
    Time: O(n_samples * log(n_samples)).

    Examples
    --------
    >>> risk_at_coverage([0.9, 0.6, 0.6, 0.2], [1, 1, 0, 0], 0.5)
    0.25
    """
    if not 0.0 < coverage <= 1.0:
        raise ValueError(f"coverage is {coverage!r}; expected a number in (0, 1].")
    groups = tie_groups(confidence, correct)
    k = max(1, round(coverage * int(groups.answered[-1])))
    before, size, answered_before, inside = _group_parts(groups)
    g = int(np.searchsorted(groups.answered, k))
    errors = before[g] + inside[g] * ((k - answered_before[g]) / size[g])
    return float(errors / k)


def tie_groups(confidence: ArrayLike, correct: ArrayLike) -> TieGroups:
    """Sort by decreasing confidence and count rows and errors to each group's end."""
    values, right = check_answers(confidence, correct)
    order = np.argsort(values)[::-1]
    values, wrong = values[order], ~right[order]
    last = np.append(np.flatnonzero(values[1:] != values[:-1]), len(values) - 1)
    return TieGroups(values[last], last + 1, np.cumsum(wrong, dtype=np.int64)[last])


def check_answers(confidence: ArrayLike, correct: ArrayLike) -> tuple[NDArray, NDArray]:
    """Return confidence as float64 and correct as bool, both (n_samples,)."""
    values, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct)
    if values.ndim != 1 or values.size == 0 or right.shape != values.shape:
        raise ValueError(
            f"confidence has shape {values.shape} and correct {right.shape}; expected "
            "(n_samples,) for both, with a row at least."
        )
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise ValueError(f"confidence is NaN or infinite ({describe_rows(bad)}).")
    if right.dtype != np.bool_:
        bad = np.flatnonzero((right != 0) & (right != 1))
        if bad.size:
            raise ValueError(
                f"correct is neither 0 nor 1 ({describe_rows(bad)}); expected whether "
                "each answer is right, such as ``labels == y``."
            )
    return values, right.astype(np.bool_)


def _group_parts(groups):
    """Return errors before, size, rows before, and errors inside of each group."""
    before = np.concatenate([[0], groups.errors[:-1]])
    answered_before = np.concatenate([[0], groups.answered[:-1]])
    size = groups.answered - answered_before
    return before, size, answered_before, groups.errors - before


def _finish(area, n_errors, n_rows, convention):
    if convention not in _CONVENTIONS:
        raise ValueError(
            f"convention is {convention!r}; expected one of {list(_CONVENTIONS)}."
        )
    # Both curves end at the error rate, and only half of the end counts.
    half_end = n_errors / n_rows / (2 * n_rows) if convention == "trapezoid" else 0.0
    return float(area - half_end)
