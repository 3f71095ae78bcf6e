"""Attributions on which the members of an ensemble agree."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _votes
from .votes import check_count

__all__ = [
    "SelectiveAttributions",
    "attribution_consistency",
    "selective_attributions",
]


class SelectiveAttributions(NamedTuple):
    """Mean attributions, and which of them members agree on.

    Attributes
    ----------
    attributions : ndarray of shape (n_samples, n_features), float64
        The mean over members; 0 where they do not agree.
    accepted : ndarray of shape (n_samples, n_features), bool
    p_value : ndarray of shape (n_samples, n_features), float64
    """

    attributions: NDArray
    accepted: NDArray
    p_value: NDArray


def selective_attributions(
    attributions: ArrayLike, alpha: float = 0.05, *, top_k: int | None = None
) -> SelectiveAttributions:
    """Average attributions, and drop those on whose sign members do not agree.

    Members that give equal labels may explain them by different features. Here members
    vote on the sign of each feature in each row; a feature keeps its mean attribution
    where the two-sided binomial test of `selective_vote` tells plus from minus. For
    trainings of one pipeline, the chance to keep one whose sign is not the more likely
    one is at most `alpha` for each row and feature.

    Parameters
    ----------
    attributions : array-like of shape (n_members, n_samples, n_features)
        From any method, of one class or output. A 0 is no vote.
    alpha : float, default=0.05
        Level of the test in (0, 1).
    top_k : int, default=None
        Given one, members also vote on whether a feature is among the `top_k` of the
        row by absolute value, and a feature is kept where both votes accept. Equal
        values count from the first feature on.

    Returns
    -------
    result : SelectiveAttributions
        Its p-value is the larger of both votes', and 1 where the mean has another sign
        than most members, or most leave the feature out of their `top_k`.

    Raises
    ------
    ValueError
        If attributions are no finite numbers of three axes, alpha is outside (0, 1),
        or `top_k` is not from 1 to n_features.

    Notes
    -----
    O(n_members * n_samples * n_features), with sorting for `top_k`. Nothing is kept of
    fewer members than ``1 + log2(1 / alpha)``.

    References
    ----------
    .. [1] Black, Leino, Fredrikson, "Selective Ensembles for Consistent Predictions",
       ICLR 2022.

    Examples
    --------
    >>> members = [[[0.4, 0.1]], [[0.5, -0.1]]] * 3  # 6 members, 1 row, 2 features
    >>> selective_attributions(members).attributions.round(2)
    array([[0.45, 0.  ]])
    """
    values = _check_members(attributions)
    cut, mean = _votes.cutoffs(alpha, len(values)), values.mean(axis=0)
    plus, minus = (values > 0.0).sum(axis=0), (values < 0.0).sum(axis=0)
    accepted, p = _vote(plus, minus, np.sign(mean) == np.sign(plus - minus), cut)
    if top_k is not None:
        inside = _in_top(values, _check_top(top_k, values.shape[2])).sum(axis=0)
        outside = len(values) - inside
        among, p_rank = _vote(inside, outside, inside > outside, cut)
        accepted, p = accepted & among, np.maximum(p, p_rank)
    return SelectiveAttributions(np.where(accepted, mean, 0.0), accepted, p)


def attribution_consistency(
    first: ArrayLike,
    second: ArrayLike,
    *,
    method: str = "spearman",
    top_k: int = 5,
) -> NDArray:
    """Measure for each row how alike two explanations are.

    Compare those of two models, or of two ensembles, trained apart: a value far below 1
    says that the explanation is one of many.

    Parameters
    ----------
    first, second : array-like of shape (n_samples, n_features)
        Attributions of the same rows and features.
    method : {"spearman", "top_k"}, default="spearman"
        ``"spearman"``: the correlation of the ranks of the signed values, in [-1, 1].
        ``"top_k"``: the share of the `top_k` features of largest absolute value that
        both have, in [0, 1]; of equal values the first count.
    top_k : int, default=5
        Of ``method="top_k"``.

    Returns
    -------
    consistency : ndarray of shape (n_samples,), float64
        Spearman's is NaN where all values of a row are equal, which have no order.

    Raises
    ------
    ValueError
        If attributions are not finite or differ in shape, the method is unknown, or
        `top_k` is not from 1 to n_features.

    References
    ----------
    .. [1] Black, Leino, Fredrikson, "Selective Ensembles for Consistent Predictions",
       ICLR 2022.

    Examples
    --------
    >>> first, second = [[0.5, 0.1, -0.2]], [[0.4, -0.3, -0.1]]
    >>> attribution_consistency(first, second)
    array([0.5])
    >>> attribution_consistency(first, second, method="top_k", top_k=2)
    array([0.5])
    """
    a, b = _check_rows(first, "first"), _check_rows(second, "second")
    if a.shape != b.shape:
        raise ValueError(
            f"first has shape {a.shape} and second {b.shape}; expected the same rows "
            "and features."
        )
    if method == "spearman":
        return _spearman(a, b)
    if method != "top_k":
        raise ValueError(f"method is {method!r}; expected 'spearman' or 'top_k'.")
    k = _check_top(top_k, a.shape[1])
    return (_in_top(a, k) & _in_top(b, k)).sum(axis=1) / k


def _spearman(a, b):
    from scipy.stats import rankdata

    x, y = (rankdata(values, axis=1) for values in (a, b))
    x -= x.mean(axis=1, keepdims=True)
    y -= y.mean(axis=1, keepdims=True)
    norm = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    rho = np.full(len(a), np.nan)
    np.divide((x * y).sum(axis=1), norm, out=rho, where=norm > 0.0)
    return np.clip(rho, -1.0, 1.0)


def _in_top(values, k):
    """Say which features are among the k of largest absolute value, last axis."""
    order = np.argsort(-np.abs(values), axis=-1, kind="stable")[..., :k]
    inside = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(inside, order, True, axis=-1)
    return inside


def _vote(first, second, eligible, cut):
    """Return where two counts differ enough and are eligible, and the p-values."""
    best, rest = np.maximum(first, second), np.minimum(first, second)
    p = _votes.p_values(best.ravel(), rest.ravel()).reshape(best.shape)
    return eligible & (best >= cut[best + rest]), np.where(eligible, p, 1.0)


def _check_members(attributions):
    values = np.asarray(attributions, dtype=np.float64)
    if values.ndim != 3 or not values.size:
        raise ValueError(
            f"attributions have shape {values.shape}; expected (n_members, n_samples, "
            "n_features)."
        )
    if not np.isfinite(values).all():
        member, row, feature = np.argwhere(~np.isfinite(values))[0].tolist()
        raise ValueError(
            f"attributions are NaN or infinite (member {member}, row {row}, feature "
            f"{feature}); expected numbers."
        )
    return values


def _check_rows(values, name):
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"{name} has shape {values.shape} or is not finite; expected numbers of "
            "shape (n_samples, n_features)."
        )
    return values


def _check_top(top_k, n_features):
    if check_count(top_k, "top_k") > n_features:
        raise ValueError(
            f"top_k is {top_k}; expected at most the {n_features} features."
        )
    return int(top_k)
