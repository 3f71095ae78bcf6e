"""Diversity: how alike members err, pair by pair, and what their spread is worth."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import kernels
from .._sklearn import check_sample_weight
from . import _matrix
from ._matrix import check_matrix, check_shares

__all__ = [
    "AmbiguityDecomposition",
    "DiversityReport",
    "PairwiseDiversity",
    "ambiguity_decomposition",
    "diversity_report",
    "pairwise_diversity",
    "residual_correlation",
]


class PairwiseDiversity(NamedTuple):
    """Measures of all pairs of members; NaN where a pair leaves one undefined.

    Parameters
    ----------
    q_statistic : ndarray of shape (n_members, n_members), float64
        Yule's Q in [-1, 1]: 0 for independent errors, 1 where one member errs only
        where the other does.
    disagreement : ndarray of shape (n_members, n_members), float64
        Share of rows on which exactly one is right; high is diverse.
    double_fault : ndarray of shape (n_members, n_members), float64
        Share of rows on which both are wrong; low is diverse.
    correlation : ndarray of shape (n_members, n_members), float64
        Pearson correlation of the errors, in [-1, 1].
    kappa : ndarray of shape (n_members, n_members), float64
        Agreement on which rows are right, beyond chance: at most 1.
    """

    q_statistic: NDArray
    disagreement: NDArray
    double_fault: NDArray
    correlation: NDArray
    kappa: NDArray


class AmbiguityDecomposition(NamedTuple):
    """``ensemble_error == member_error - ambiguity`` of a weighted mean of members.

    Parameters
    ----------
    ensemble_error : float
        Mean squared error of the ensemble, in the squared unit of y.
    member_error : float
        Weighted mean of the members' own.
    ambiguity : float
        Weighted mean square of members about the ensemble, >= 0: what the ensemble
        gains over a member drawn by weight.
    """

    ensemble_error: float
    member_error: float
    ambiguity: float


@dataclass(frozen=True)
class DiversityReport:
    """What the members of a library have in common; ``print`` shows it.

    Attributes
    ----------
    names : list of str
    pairs : PairwiseDiversity or None
        Of classifiers; None for regression.
    correlation : ndarray of shape (n_members, n_members), float64
        Of errors, which are residuals for regression.
    decomposition : AmbiguityDecomposition or None
        Of the plain mean; of regression only.
    """

    names: list[str]
    pairs: PairwiseDiversity | None
    correlation: NDArray
    decomposition: AmbiguityDecomposition | None

    def __str__(self):
        lines = [f"Diversity of {len(self.names)} members, mean over pairs"]
        rows = {"correlation of errors": self.correlation}
        if self.pairs is not None:
            rows |= {
                "Q statistic": self.pairs.q_statistic,
                "disagreement": self.pairs.disagreement,
                "double fault": self.pairs.double_fault,
                "kappa": self.pairs.kappa,
            }
        lines += [f"  {name:<22}{_mean_of_pairs(rows[name]):8.4f}" for name in rows]
        if self.decomposition is not None:
            ensemble, member, spread = self.decomposition
            lines.append(
                f"  error of the mean     {ensemble:8.4g} = {member:.4g} of a member "
                f"- {spread:.4g} ambiguity"
            )
        return "\n".join(lines)


def pairwise_diversity(correct: ArrayLike) -> PairwiseDiversity:
    """Compare on which rows members are right, for all pairs at once.

    Parameters
    ----------
    correct : array-like of shape (n_samples, n_members), bool or 0 and 1
        Whether a member is right on a row that it was not trained on.

    Returns
    -------
    pairs : PairwiseDiversity

    Raises
    ------
    ValueError
        If there is no row or no member, or a value is neither 0 nor 1.

    Notes
    -----
    With N11, N00, N10, N01 the shares of rows on which both, neither, or only one is
    right: Q is ``(N11 N00 - N10 N01) / (N11 N00 + N10 N01)``, kappa twice that
    numerator over the product of margins summed. Members that are never, or always,
    right have no correlation: NaN. Counts are of bits, 64 rows at a time.
    Time: O(n_samples * n_members + n_samples * n_members ** 2 / 64).

    References
    ----------
    .. [1] Kuncheva, Whitaker, "Measures of Diversity in Classifier Ensembles and Their
       Relationship with the Ensemble Accuracy", Machine Learning 51, 2003.

    Examples
    --------
    >>> pairs = pairwise_diversity([[1, 1], [1, 0], [0, 1], [0, 0], [1, 1]])
    >>> pairs.q_statistic.round(3).tolist(), pairs.double_fault.tolist()
    ([[1.0, 0.333], [0.333, 1.0]], [[0.4, 0.2], [0.2, 0.4]])
    """
    marks = np.asarray(correct)
    if marks.ndim != 2 or 0 in marks.shape or marks.dtype.kind not in "fiub":
        raise ValueError(
            f"correct has shape {marks.shape} of {marks.dtype}; expected marks of "
            "shape (n_samples, n_members), with one row and one member at least."
        )
    if not ((marks == 0) | (marks == 1)).all():
        raise ValueError(
            "correct has values other than 0 and 1; expected whether each member is "
            "right, such as labels == y[:, None]."
        )
    bits = kernels.diversity.pack_rows(marks.astype(bool, copy=False))
    return _measures(kernels.diversity.right_together(bits), len(marks))


def residual_correlation(
    P: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> NDArray:
    """Return the correlations of the members' residuals.

    Parameters
    ----------
    P : array-like of shape (n_samples, n_members)
        Held-out predictions of values.
    y : array-like of shape (n_samples,)
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative, not all zero.

    Returns
    -------
    correlation : ndarray of shape (n_members, n_members), float64
        In [-1, 1]; NaN for a member whose residuals are all equal.

    Raises
    ------
    ValueError
        If values are NaN, or shapes disagree.

    Examples
    --------
    >>> P = [[1.0, 0.5], [2.0, 2.5], [2.0, 4.0]]
    >>> residual_correlation(P, [1.0, 2.0, 3.0]).round(3).tolist()
    [[1.0, -0.756], [-0.756, 1.0]]
    """
    residuals, weight = _residuals(P, y, sample_weight)
    residuals -= weight @ residuals
    # Rounding leaves no exact 0: residuals all equal up to it have no correlation.
    given = check_matrix(P, finite=False)
    level = np.maximum(given.max(axis=0), -given.min(axis=0))
    level = level + np.abs(np.asarray(y, float)).max()
    scale = np.sqrt(np.einsum("i,ij,ij->j", weight, residuals, residuals))
    scale[scale <= 8.0 * np.finfo(float).eps * level] = np.nan
    residuals /= scale
    residuals *= np.sqrt(weight)[:, None]
    return np.clip(residuals.T @ residuals, -1.0, 1.0)


def ambiguity_decomposition(
    P: ArrayLike,
    y: ArrayLike,
    weights: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> AmbiguityDecomposition:
    """Split the squared error of a weighted mean into error of members and spread.

    Parameters
    ----------
    P : array-like of shape (n_samples, n_members)
        Held-out predictions of values.
    y : array-like of shape (n_samples,)
    weights : array-like of shape (n_members,), default=None
        Non-negative, of sum 1; None means equal. Those of a convex combiner, say.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative, not all zero.

    Returns
    -------
    decomposition : AmbiguityDecomposition

    Raises
    ------
    ValueError
        If values are NaN, shapes disagree, or weights are negative or do not sum to 1.

    References
    ----------
    .. [1] Krogh, Vedelsby, "Neural Network Ensembles, Cross Validation, and Active
       Learning", NIPS 1994.

    Examples
    --------
    >>> ambiguity_decomposition([[0.0, 2.0]], [1.5])
    AmbiguityDecomposition(ensemble_error=0.25, member_error=1.25, ambiguity=1.0)
    """
    residuals, rows = _residuals(P, y, sample_weight)
    shares = check_shares(weights, residuals.shape[1])
    ensemble = residuals @ shares
    member_error = _mean_square(residuals, rows, shares)
    residuals -= ensemble[:, None]  # now the spread
    return AmbiguityDecomposition(
        float(rows @ ensemble**2),
        member_error,
        _mean_square(residuals, rows, shares),
    )


def diversity_report(
    predictions,
    y: ArrayLike | None = None,
    *,
    loss: str | None = None,
    classes: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> DiversityReport:
    """Report how alike the members of a library err.

    Parameters
    ----------
    predictions : PredictionLibrary, or array-like of shape \
(n_samples, n_members * n_outputs)
        Predictions of rows that the members were not trained on.
    y : array-like of shape (n_samples,), default=None
        Targets or labels; with a matrix only.
    loss : str, default=None
        Says what the task of a matrix is: None or a loss of `evaluate_loss` for
        classification, ``"squared_error"`` for regression.
    classes : array-like of shape (n_classes,), default=None
        Sorted labels; None means those in y. With a matrix only.
    sample_weight : array-like of shape (n_samples,), default=None
        Of residuals; errors of classifiers are counted. With a matrix only.

    Returns
    -------
    report : DiversityReport

    Raises
    ------
    ValueError
        If predictions are NaN, or no probabilities where those are needed, or the
        library holds quantiles.

    References
    ----------
    .. [1] Kuncheva, Whitaker, "Measures of Diversity in Classifier Ensembles and Their
       Relationship with the Ensemble Accuracy", Machine Learning 51, 2003.

    Examples
    --------
    >>> P = [[0.1, 0.2, 0.9], [0.4, 0.6, 0.9], [0.7, 0.8, 0.1], [0.3, 0.6, 0.2]]
    >>> print(diversity_report(P, [0, 0, 1, 1]))
    Diversity of 3 members, mean over pairs
      correlation of errors  -0.3333
      Q statistic            -1.0000
      disagreement            0.6667
      double fault            0.1667
      kappa                  -0.1111
    """
    judged, _ = _matrix.read(predictions, y, loss, classes, sample_weight)
    if judged.n_classes == 0:
        arrays = judged.P, judged.y
        correlation = residual_correlation(*arrays, judged.weight)
        split = ambiguity_decomposition(*arrays, sample_weight=judged.weight)
        return DiversityReport(judged.names, None, correlation, split)
    bits = kernels.diversity.correct_bits(
        judged.P, judged.y.astype(np.int64), judged.n_outputs
    )
    pairs = _measures(kernels.diversity.right_together(bits), len(judged.y))
    return DiversityReport(judged.names, pairs, pairs.correlation, None)


def _measures(together, n_rows):
    """Return the measures from the rows on which both of a pair are right."""
    right = np.diag(together)
    wrong = n_rows - right
    both, first = together, right[:, None] - together
    second = right - together
    neither = n_rows - both - first - second
    # In float64 the products of counts are exact up to 9e15, and smooth beyond.
    cross = both * 1.0 * neither - first * 1.0 * second
    spread = right * 1.0 * wrong
    with np.errstate(invalid="ignore", divide="ignore"):
        return PairwiseDiversity(
            cross / (both * 1.0 * neither + first * 1.0 * second),
            (first + second) / n_rows,
            neither / n_rows,
            cross / np.sqrt(np.outer(spread, spread)),
            2.0 * cross / (np.outer(right, wrong) + np.outer(wrong, right)),
        )


def _mean_of_pairs(matrix):
    """Return the mean off the diagonal, of the pairs that have a value."""
    values = matrix[np.triu_indices(len(matrix), 1)]
    values = values[~np.isnan(values)]
    return values.mean() if values.size else np.nan


def _mean_square(values, rows, columns):
    """Return the mean of squares by weights of rows and columns, without a copy."""
    return float(np.einsum("i,ij,ij->j", rows, values, values) @ columns)


def _residuals(P, y, sample_weight):
    """Return P - y, as a new array, and the weights of rows, of sum 1."""
    P, y = check_matrix(P), np.asarray(y, dtype=np.float64)
    if y.shape != P.shape[:1] or not np.isfinite(y).all():
        raise ValueError(
            f"y has shape {y.shape} or is not finite; expected ({len(P)},) numbers."
        )
    weight = check_sample_weight(sample_weight, P)
    return P - y[:, None], weight / weight.sum()
