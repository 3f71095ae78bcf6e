"""Selecting rows whose unknown target is large, at a false discovery rate."""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from .. import kernels
from ..exceptions import describe_rows
from .ranks import exact_level

__all__ = [
    "OptimizedSelection",
    "conformal_p_values",
    "optimized_conformal_selection",
    "select_by_fdr",
]

PRUNING = ("deterministic", "heterogeneous", "homogeneous")
TIES = ("conservative", "random")


class OptimizedSelection(NamedTuple):
    """Rows selected, and how each row saw the candidates.

    Parameters
    ----------
    selected : ndarray of shape (n_samples,), bool
    members : ndarray of shape (n_samples,), int64
        Column of the candidate that the row chose: the one with the largest set in the
        row's view, ties to the lowest.
    p_values : ndarray of shape (n_samples,), float64
        Under the row's own candidate.
    sizes : ndarray of shape (n_samples, n_members), int64
        Rows that each candidate selects in the row's view.
    """

    selected: NDArray
    members: NDArray
    p_values: NDArray
    sizes: NDArray


def conformal_p_values(
    calibration_predictions: ArrayLike,
    y: ArrayLike,
    predictions: ArrayLike,
    threshold: float = 0.0,
    *,
    ties: str = "conservative",
    random_state=None,
) -> NDArray:
    """Test for each row that its target is at most a threshold.

    A p-value is the rank of a row's prediction among those of the calibration rows
    whose target is at most the threshold: where that is true of a row as well, its
    p-value is at most t with probability at most t, for every t and any model.

    Parameters
    ----------
    calibration_predictions : array-like of shape (n_calibration,)
        Predictions, or any score that is high where y is, of a model that has not seen
        the calibration rows.
    y : array-like of shape (n_calibration,)
        Targets of the calibration rows.
    predictions : array-like of shape (n_samples,)
        Of the same model.
    threshold : float, default=0.0
        In the unit of y. With a threshold for each row, give predictions and y less
        their thresholds.
    ties : {"conservative", "random"}, default="conservative"
        How equal predictions count: as evidence against the row, or by a uniform draw
        for each row, which makes p-values exactly uniform.
    random_state : int, RandomState instance or None, default=None
        Of those draws.

    Returns
    -------
    p_values : ndarray of shape (n_samples,), float64
        In (0, 1]; with ``ties="random"`` 0 can be.

    Raises
    ------
    ValueError
        If values are NaN, predictions are infinite, or shapes disagree.

    Notes
    -----
    The score of a calibration row is minus its prediction, and infinite where its
    target is above the threshold: a large finite constant would fail for predictions
    as large. Time: O((n_calibration + n_samples) * log(n_calibration)).

    References
    ----------
    .. [1] Jin, Candes, "Selection by prediction with conformal p-values", Journal of
       Machine Learning Research 24, 2023.

    Examples
    --------
    >>> known, y = [0.1, 0.4, 0.2, 0.9], [-1.0, 1.0, -2.0, 3.0]
    >>> conformal_p_values(known, y, [0.3, 0.15, 0.1])
    array([0.2, 0.4, 0.6])
    """
    known = _column(calibration_predictions, "calibration_predictions")
    new = _column(predictions, "predictions")
    scores = selection_scores(known[:, None], y, threshold)
    check_choice(ties, TIES, "ties")
    return p_values_of(scores[:, 0], -new, ties, check_random_state(random_state))


def select_by_fdr(p_values: ArrayLike, fdr: float = 0.1) -> NDArray:
    """Select rows by Benjamini and Hochberg, the p-values being those of this module.

    With conformal p-values, the expected share of false ones among the selected rows is
    at most `fdr`: these p-values depend on each other in a way that is allowed.

    Parameters
    ----------
    p_values : array-like of shape (n_samples,)
        In [0, 1].
    fdr : float, default=0.1
        False discovery rate, in (0, 1); the fraction that its shortest decimal spells.

    Returns
    -------
    selected : ndarray of shape (n_samples,), bool

    Raises
    ------
    ValueError
        If a p-value is NaN or outside [0, 1], or `fdr` is outside (0, 1).

    Notes
    -----
    Limits are the fractions ``fdr * r / n_samples``, rounded once, as p-values are:
    a p-value equal to its limit passes. Time: O(n_samples * log(n_samples)).

    References
    ----------
    .. [1] Benjamini, Hochberg, "Controlling the false discovery rate", Journal of the
       Royal Statistical Society B 57, 1995.

    Examples
    --------
    >>> select_by_fdr([0.01, 0.4, 0.05, 0.06], fdr=0.1)
    array([ True, False,  True,  True])
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(
            f"p_values have shape {p.shape} or are outside [0, 1]; expected "
            "(n_samples,) of probabilities."
        )
    return kernels.conformal_selection.step_up(p, p_limits(exact_fdr(fdr), len(p)))


def optimized_conformal_selection(
    calibration_predictions: ArrayLike,
    y: ArrayLike,
    predictions: ArrayLike,
    threshold: float = 0.0,
    *,
    fdr: float = 0.1,
    pruning: str = "deterministic",
    ties: str = "conservative",
    random_state=None,
) -> OptimizedSelection:
    """Select rows with the best of several models, at a false discovery rate.

    To take the model that selects most rows and no more would lose the rate. Here each
    row chooses among the candidates in a view that treats its own score as one more of
    the calibration; then those rows are selected that agree on how many they are
    (OptCS). The rate holds whatever the number of candidates.

    Parameters
    ----------
    calibration_predictions : array-like of shape (n_calibration, n_members)
        Predictions, or any scores that are high where y is, of models that have not
        seen the calibration rows.
    y : array-like of shape (n_calibration,)
        Targets of the calibration rows.
    predictions : array-like of shape (n_samples, n_members)
        Of the same models.
    threshold : float, default=0.0
        Rows of a larger target are looked for; in the unit of y.
    fdr : float, default=0.1
        False discovery rate, in (0, 1); the fraction that its shortest decimal spells.
    pruning : str, default="deterministic"
        What multiplies a row's number in the last step: ``"deterministic"`` 1,
        ``"heterogeneous"`` a uniform draw for each row, ``"homogeneous"`` one draw for
        all. Draws never select fewer rows, and the selection depends on them.
    ties : {"conservative", "random"}, default="conservative"
        How equal predictions count, as for `conformal_p_values`.
    random_state : int, RandomState instance or None, default=None
        Of the draws.

    Returns
    -------
    result : OptimizedSelection
        `selected`, `members`, `p_values` and `sizes`.

    Raises
    ------
    ValueError
        If values are NaN, predictions are infinite, shapes disagree, or an option is
        unknown.

    Notes
    -----
    Ranks are whole numbers; p-values and their limits are rounded once each, from the
    fractions, so that equal ones compare as equal. Time:
    O(n_members * (n_calibration + n_samples) * log(n_calibration + n_samples)), where
    the definition takes O(n_members * n_samples**2 * log(n_samples)).

    References
    ----------
    .. [1] Bai, Jin, "Optimized Conformal Selection: Powerful Selective Inference After
       Conformity Score Optimization", arXiv 2411.17983.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=300)
    >>> good, bad = y + 0.1 * rng.normal(size=300), rng.normal(size=300)
    >>> P = np.column_stack([bad, good])
    >>> result = optimized_conformal_selection(P[:200], y[:200], P[200:], fdr=0.2)
    >>> found = y[200:][result.selected] > 0
    >>> len(found), int(found.sum()), bool(result.members[result.selected].all())
    (46, 38, True)
    """
    known = _table(calibration_predictions, "calibration_predictions")
    new = _table(predictions, "predictions")
    if new.shape[1] != known.shape[1]:
        raise ValueError(
            f"predictions has {new.shape[1]} columns, calibration_predictions "
            f"{known.shape[1]}; expected one for each candidate in both."
        )
    check_choice(pruning, PRUNING, "pruning")
    check_choice(ties, TIES, "ties")
    scores = selection_scores(known, y, threshold)
    random = check_random_state(random_state)
    return optimize_selection(scores, -new, exact_fdr(fdr), pruning, ties, random)


def selection_scores(predictions, y, threshold):
    """Return minus the predictions, infinite in the rows with y above the threshold."""
    targets = np.asarray(y, dtype=np.float64)
    if targets.shape != (len(predictions),) or np.isnan(targets).any():
        raise ValueError(
            f"y has shape {targets.shape} and {np.isnan(targets).sum()} NaN; expected "
            f"({len(predictions)},) numbers, one for each calibration row."
        )
    if not np.isfinite(threshold):
        raise ValueError(f"threshold is {threshold}; expected a finite number.")
    return np.where((targets > threshold)[:, None], np.inf, -predictions)


def p_values_of(calibration, scores, ties, random):
    """Return p-values of test scores; neither has to be in order."""
    order = np.argsort(scores)
    below, equal = kernels.conformal_selection.ranks_of(
        np.sort(calibration), scores[order]
    )
    p = np.empty(len(scores))
    draws = random.random_sample(len(scores)) if ties == "random" else None
    p[order] = _p_of_ranks(below, equal, draws, order) / (len(calibration) + 1)
    return p


def _p_of_ranks(below, equal, draws, order):
    """Return the rank among the calibration scores and its own; `draws` split ties."""
    return 1 + below + equal if draws is None else below + draws[order] * (1 + equal)


def optimize_selection(calibration, scores, fdr, pruning, ties, random):
    """Let every row choose its candidate; select the rows that agree (OptCS).

    Parameters
    ----------
    calibration : ndarray of shape (n_calibration, n_members), float64
    scores : ndarray of shape (n_samples, n_members), float64
    fdr : Fraction
    pruning, ties : str
    random : RandomState

    Returns
    -------
    result : OptimizedSelection
    """
    (n, n_members), m = calibration.shape, len(scores)
    limits = _count_limits(fdr, m, n)
    draws = random.random_sample(m) if ties == "random" else None
    sizes, p_values = np.empty((m, n_members), np.int64), np.empty((m, n_members))
    selection = kernels.conformal_selection
    for k in range(n_members):
        order = np.argsort(scores[:, k])
        ascending = scores[order, k]
        below, equal = selection.ranks_of(np.sort(calibration[:, k]), ascending)
        sizes[order, k] = selection.auxiliary_sizes(below + equal, ascending, limits)
        p_values[order, k] = _p_of_ranks(below, equal, draws, order) / (n + 1)
    members, rows = sizes.argmax(axis=1), np.arange(m)
    p, size = p_values[rows, members], sizes[rows, members]
    passes = p <= p_limits(fdr, m)[size]
    factor = _pruning_factor(pruning, m, random)
    selected = kernels.conformal_selection.pruned(size * factor, passes)
    return OptimizedSelection(selected, members, p, sizes)


def _pruning_factor(pruning, m, random):
    if pruning == "deterministic":
        return 1
    return random.random_sample(m if pruning == "heterogeneous" else 1)


def exact_fdr(fdr) -> Fraction:
    """Return the fraction that a rate's shortest decimal spells."""
    try:
        return exact_level(fdr)
    except ValueError as error:
        raise ValueError(f"fdr is {fdr}; expected a number inside (0, 1).") from error


def p_limits(fdr, m):
    """Return ``fdr * r / m`` for r = 0..m, each rounded once from the fraction."""
    numerator, denominator = fdr.numerator, fdr.denominator * max(m, 1)
    return np.array([numerator * r / denominator for r in range(m + 1)])


def _count_limits(fdr, m, n):
    """Return for r = 0..m the largest count with ``count / (n + 1) <= fdr * r / m``."""
    numerator, denominator = fdr.numerator * (n + 1), fdr.denominator * max(m, 1)
    return np.array([numerator * r // denominator for r in range(m + 1)], np.int64)


def check_choice(value, choices, name):
    """Refuse an unknown option."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; expected one of {choices}.")


def _column(values, name):
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1:
        raise ValueError(f"{name} has shape {column.shape}; expected one column.")
    return _table(column[:, None], name)[:, 0]


def _table(values, name):
    """Return (n_rows, n_columns) float64; refuse NaN, infinity and no columns."""
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] == 0:
        raise ValueError(
            f"{name} has shape {table.shape}; expected (n_rows, n_members)."
        )
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if bad.size:
        raise ValueError(
            f"{name} has NaN or infinity ({describe_rows(bad)}); expected numbers."
        )
    return table
