"""Prediction sets from probabilities: scores of classes, and thresholds of scores."""

from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import kernels
from ..exceptions import describe_rows
from .ranks import exact_levels, upper_rank, warn_if_infeasible

__all__ = ["conformal_set_scores", "conformal_sets"]

METHODS = ("lac", "aps", "raps", "top_k")
_TOLERANCE = 1e-3  # of sums of probabilities, which may be float16


def conformal_set_scores(
    probabilities: ArrayLike,
    y: ArrayLike | None = None,
    *,
    method: str = "lac",
    uniforms: ArrayLike | None = None,
    regularization: float = 0.0,
    k_reg: int = 1,
) -> NDArray:
    """Score classes by their probabilities: the higher, the less a class conforms.

    With p the probability of a class, B the summed probability of the classes that are
    more probable, r the rank from 1, and u uniform, one number for each row:

    - "lac": ``1 - p``;
    - "aps": ``min(1, B + u * p)``;
    - "raps": the same plus ``regularization * max(0, r - k_reg)``;
    - "top_k": ``r - 1 + u``.

    Classes of equal probability rank in the order of their columns.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes) or (n_samples,)
        One column is the probability of the second of two classes.
    y : array-like of shape (n_samples,), default=None
        Codes 0 to n_classes - 1 of the true classes. None scores all classes.
    method : {"lac", "aps", "raps", "top_k"}, default="lac"
        "lac" gives the smallest sets on average; "aps" and "raps" adapt to how hard a
        row is; "top_k" gives sets of (nearly) one size.
    uniforms : array-like of shape (n_samples,), default=None
        Random numbers in [0, 1], other ones for calibration rows and for new rows. None
        means 1 everywhere: sets are then a function of the probabilities alone, and
        where many scores are equal, as those of "top_k" are, cover more than asked for.
        "lac" takes none.
    regularization : float, default=0.0
        Cost of each rank beyond `k_reg`; "raps" only.
    k_reg : int, default=1
        Ranks without that cost; "raps" only.

    Returns
    -------
    scores : ndarray of shape (n_samples, n_classes), or (n_samples,) with `y`, float64

    Raises
    ------
    ValueError
        If probabilities are none, a code or a number of `uniforms` is out of range, or
        the method is unknown.

    Notes
    -----
    Time: O(n_classes log n_classes) a row; "lac" O(n_classes), or O(1) with `y`.

    References
    ----------
    .. [1] Sadinle, Lei, Wasserman, "Least ambiguous set-valued classifiers with bounded
       error levels", Journal of the American Statistical Association 114, 2019.
    .. [2] Romano, Sesia, Candes, "Classification with valid and adaptive coverage",
       NeurIPS 2020.
    .. [3] Angelopoulos, Bates, Malik, Jordan, "Uncertainty sets for image classifiers
       using conformal prediction", ICLR 2021.

    Examples
    --------
    >>> conformal_set_scores([[0.5, 0.25, 0.25]], method="aps", uniforms=[0.5])
    array([[0.25 , 0.625, 0.875]])
    >>> conformal_set_scores([[0.5, 0.25, 0.25]], [2], method="top_k")
    array([3.])
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; expected one of {METHODS}.")
    p = check_class_probabilities(probabilities)
    u = _check_uniforms(uniforms, len(p))
    codes = None if y is None else check_codes(y, len(p), p.shape[1])
    return class_scores(p, codes, method, u, regularization, k_reg)


def conformal_sets(
    scores: ArrayLike,
    calibration_scores: ArrayLike,
    alpha: ArrayLike = 0.1,
    *,
    y_calibration: ArrayLike | None = None,
) -> NDArray:
    """Return the sets of classes whose scores calibration rows make likely.

    A class is in where its score is at most that of `conformal_rank` among the scores
    of the true classes of the calibration rows.

    Parameters
    ----------
    scores : array-like of shape (n_samples, n_classes)
        Scores of all classes of new rows, such as `conformal_set_scores` gives.
    calibration_scores : array-like of shape (n_calibration,)
        Scores of the true classes of calibration rows; infinite ones count.
    alpha : float or array-like of shape (n_alphas,), default=0.1
        Miscoverage in (0, 1), read as exact decimals.
    y_calibration : array-like of shape (n_calibration,), default=None
        Codes of the true classes. With them each class has a threshold of its own
        (Mondrian), and rows of each class are covered; a class without calibration
        rows is in every set.

    Returns
    -------
    sets : ndarray of shape (n_samples, n_classes) or (n_samples, n_classes, n_alphas)
        Bool. For several alphas sets are nested.

    Warns
    -----
    InfeasibleRankWarning
        If there are too few calibration rows for an alpha: all classes are in.

    Raises
    ------
    ValueError
        If scores are NaN or of the wrong shape, or alpha is outside (0, 1).

    Notes
    -----
    Time: O(n_calibration log n_calibration + n_samples n_classes n_alphas).

    Examples
    --------
    >>> calibration = [0.1, 0.2, 0.3, 0.4]
    >>> conformal_sets([[0.25, 0.35, 0.4]], calibration, alpha=0.4)
    array([[ True, False, False]])
    """
    levels, single = exact_levels(alpha)
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2:
        raise ValueError(
            f"scores have shape {scores.shape}; expected (n_samples, n_classes)."
        )
    seen = np.asarray(calibration_scores, dtype=np.float64)
    if seen.ndim != 1:
        raise ValueError(
            f"calibration_scores have shape {seen.shape}; expected (n_calibration,)."
        )
    _refuse_nan(scores, "scores")
    _refuse_nan(seen, "calibration_scores")
    cells, what = [np.sort(seen)], ""
    if y_calibration is not None:
        codes = check_codes(y_calibration, len(seen), scores.shape[1])
        cells, what = sorted_cells(seen, codes, scores.shape[1]), " of one class"
    warn_if_infeasible(min(map(len, cells)), min(levels), what)
    sets = compare(scores, thresholds(cells, levels))
    return sets[..., 0] if single else sets


def class_scores(p, y, method, u, regularization=0.0, k_reg=1):
    """Return scores of checked probabilities: of all classes, or of those in y."""
    if method == "lac":
        return 1.0 - (p if y is None else p[np.arange(len(p)), y])
    kernel = kernels.conformal_sets
    penalty = float(regularization) if method == "raps" else 0.0
    options = u, method == "top_k", penalty, int(k_reg)
    if y is None:
        return kernel.cumulative_scores(p, *options)
    return kernel.cumulative_scores_of_labels(p, y, *options)


def sorted_cells(scores: NDArray, cells: NDArray, n_cells: int) -> list[NDArray]:
    """Return the ascending scores of each cell."""
    if n_cells == 1:
        return [np.sort(scores)]
    order = np.lexsort((scores, cells))
    ends = np.cumsum(np.bincount(cells, minlength=n_cells))[:-1]
    return np.split(scores[order], ends)


def thresholds(cells: list[NDArray], levels: list[Fraction]) -> NDArray:
    """Return the score at the exact rank, (n_cells, n_levels); infinite where none."""
    table = np.full((len(cells), len(levels)), np.inf)
    for row, scores in zip(table, cells, strict=True):
        for a, level in enumerate(levels):
            rank = upper_rank(len(scores), level)
            if rank <= len(scores):
                row[a] = scores[rank - 1]
    return table


def compare(scores: NDArray, table: NDArray) -> NDArray:
    """Return ``scores <= threshold``, (n, K, n_levels), one level at a time.

    table : (K or 1, n_levels), or (n, K or 1, n_levels) with a threshold for each row
    """
    sets = np.empty((*scores.shape, table.shape[-1]), np.bool_)
    for a in range(table.shape[-1]):
        np.less_equal(scores, table[..., a], out=sets[..., a])
    return sets


def check_class_probabilities(probabilities: ArrayLike) -> NDArray:
    """Return probabilities as (n, K) float64; one column becomes two.

    Raises
    ------
    ValueError
        If any row is no distribution.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim == 1:
        p = p[:, None]
    if p.ndim != 2 or p.shape[1] == 0:
        raise ValueError(
            f"probabilities have shape {p.shape}; expected (n_samples, n_classes)."
        )
    if not (p.size == 0 or (p.min() >= -1e-9 and p.max() <= 1.0 + 1e-9)):
        bad = np.flatnonzero(~((p >= -1e-9) & (p <= 1.0 + 1e-9)).all(axis=1))
        raise ValueError(
            f"probabilities hold NaN or values outside [0, 1] ({describe_rows(bad)})."
        )
    if p.shape[1] == 1:
        return np.hstack([1.0 - p, p])
    bad = np.flatnonzero(np.abs(p @ np.ones(p.shape[1]) - 1.0) > _TOLERANCE)
    if bad.size:
        raise ValueError(
            f"probabilities do not sum to 1 over the classes ({describe_rows(bad)})."
        )
    return np.ascontiguousarray(p)


def check_codes(y: ArrayLike, n_rows: int, n_classes: int) -> NDArray:
    """Return codes of classes as int64, (n,).

    Raises
    ------
    ValueError
        If one is no whole number from 0 to n_classes - 1.
    """
    codes = np.asarray(y)
    if codes.shape != (n_rows,):
        raise ValueError(f"y has shape {codes.shape}; expected ({n_rows},).")
    if codes.dtype.kind not in "iub" or (
        n_rows and not 0 <= codes.min() <= codes.max() < n_classes
    ):
        raise ValueError(
            f"y holds other values than the codes 0 to {n_classes - 1}. Pass "
            "np.searchsorted(classes, y)."
        )
    return codes.astype(np.int64)


def _check_uniforms(uniforms, n_rows):
    if uniforms is None:
        return np.ones(n_rows)
    u = np.asarray(uniforms, dtype=np.float64)
    if u.shape != (n_rows,) or not ((u >= 0.0) & (u <= 1.0)).all():
        raise ValueError(
            f"uniforms have shape {u.shape}; expected ({n_rows},) numbers in [0, 1]."
        )
    return u


def _refuse_nan(scores, name):
    bad = np.flatnonzero(np.isnan(scores).reshape(len(scores), -1).any(axis=1))
    if bad.size:
        raise ValueError(f"{name} have NaN ({describe_rows(bad)}).")
