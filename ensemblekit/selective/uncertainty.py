"""Uncertainty out of members: noise, and disagreement."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import layout
from ..exceptions import describe_rows
from ._matrix import check_shares

__all__ = [
    "UncertaintyDecomposition",
    "decompose_uncertainty",
    "decompose_variance",
]


class UncertaintyDecomposition(NamedTuple):
    """Total uncertainty of each row, which is the sum of the other two.

    Attributes
    ----------
    total : ndarray of shape (n_samples,), float64
        Of the mixture of the members.
    aleatoric : ndarray of shape (n_samples,), float64
        What the members have on average: noise that more data does not take away.
    epistemic : ndarray of shape (n_samples,), float64
        What is left: disagreement of the members.
    """

    total: NDArray
    aleatoric: NDArray
    epistemic: NDArray


def decompose_uncertainty(
    predictions: ArrayLike,
    n_classes: int | None = None,
    *,
    weights: ArrayLike | None = None,
) -> UncertaintyDecomposition:
    """Split the entropy of averaged probabilities into noise and disagreement.

    The total is the entropy of the mean, the aleatoric part the mean of the members'
    entropies, and the epistemic part their mean divergence from the mean, which is the
    mutual information of label and member.

    Parameters
    ----------
    predictions : array-like of shape (n_samples, n_members * n_outputs), or \
(n_members, n_samples, n_outputs)
        Probabilities: a prediction matrix P (binary: one column for each member, of the
        second class), or a cube, with one output or two of binary members.
    n_classes : int, default=None
        Classes of a matrix; None means 2. The outputs of a cube tell by themselves.
    weights : array-like of shape (n_members,), default=None
        Non-negative, sums to 1, such as ``weights_`` of a combiner; None weighs all
        alike.

    Returns
    -------
    parts : UncertaintyDecomposition
        Named tuple of total, aleatoric and epistemic, each of shape (n_samples,), in
        nats, from 0 to log(n_classes).

    Raises
    ------
    ValueError
        If predictions are no probabilities, or of another shape, or weights are
        negative or do not sum to 1.

    Notes
    -----
    Time: O(n_samples * n_members * n_outputs).

    References
    ----------
    .. [1] Depeweg et al., "Decomposition of Uncertainty in Bayesian Deep Learning for
       Efficient and Risk-sensitive Learning", ICML 2018.

    Examples
    --------
    Two members that agree on a coin, and two that are sure of opposite sides:

    >>> parts = decompose_uncertainty([[0.5, 0.5], [0.0, 1.0]])
    >>> [part.round(3).tolist() for part in parts]
    [[0.693, 0.693], [0.693, 0.0], [0.0, 0.693]]
    """
    from scipy.special import entr, rel_entr

    cube = probability_cube(predictions, n_classes)
    shares = check_shares(weights, len(cube))
    mean = np.zeros(cube.shape[1:])
    for share, member in zip(shares, cube, strict=True):
        mean += share * member
    mean = all_classes(mean)
    aleatoric, epistemic = np.zeros(len(mean)), np.zeros(len(mean))
    for share, member in zip(shares, cube, strict=True):
        if share:
            member = all_classes(member)
            aleatoric += share * entr(member).sum(axis=1)
            epistemic += share * rel_entr(member, mean).sum(axis=1)
    # Identical members are apart by rounding only.
    return UncertaintyDecomposition(
        entr(mean).sum(axis=1), aleatoric, np.maximum(epistemic, 0.0)
    )


def decompose_variance(
    means: ArrayLike, variances: ArrayLike, *, weights: ArrayLike | None = None
) -> UncertaintyDecomposition:
    """Split the variance of a mixture of members by the law of total variance.

    The aleatoric part is the mean of the members' variances, the epistemic part the
    variance of their means, divided by the number of members and not by one less: the
    two then add up to the variance of the mixture.

    Parameters
    ----------
    means : array-like of shape (n_samples, n_members)
        Predictions, in the unit of y.
    variances : array-like of shape (n_samples, n_members)
        Predicted variances of y, >= 0, in the squared unit of y.
    weights : array-like of shape (n_members,), default=None
        Non-negative, sums to 1; None weighs all members alike.

    Returns
    -------
    parts : UncertaintyDecomposition
        Named tuple of total, aleatoric and epistemic, each of shape (n_samples,).

    Raises
    ------
    ValueError
        If shapes disagree, values are not finite, variances are negative, or weights
        are negative or do not sum to 1.

    Notes
    -----
    Time: O(n_samples * n_members).

    References
    ----------
    .. [1] Egele et al., "AutoDEUQ: Automated Deep Ensemble with Uncertainty
       Quantification", ICPR 2022.

    Examples
    --------
    >>> parts = decompose_variance([[1.0, 3.0]], [[0.5, 1.5]])
    >>> [part.tolist() for part in parts]
    [[2.0], [1.0], [1.0]]
    """
    values, noise = (np.asarray(a, dtype=np.float64) for a in (means, variances))
    _check_moments(values, noise)
    shares = check_shares(weights, values.shape[1])
    # Weights of 1 / m have a sum that is rounded: the first mean is taken away, so that
    # members that agree differ by 0.
    offsets = values - values[:, :1]
    centre = offsets @ shares
    epistemic = (offsets - centre[:, None]) ** 2 @ shares
    aleatoric = noise @ shares
    return UncertaintyDecomposition(aleatoric + epistemic, aleatoric, epistemic)


def probability_cube(predictions: ArrayLike, n_classes: int | None) -> NDArray:
    """Return members' probabilities as a cube with the outputs of a matrix P."""
    values = np.asarray(predictions, dtype=np.float64)
    if values.ndim not in (2, 3) or values.size == 0:
        raise ValueError(
            f"predictions has shape {values.shape}; expected (n_samples, n_members * "
            "n_outputs) or (n_members, n_samples, n_outputs)."
        )
    if values.ndim == 2:
        n_outputs = layout.n_outputs_for(2 if n_classes is None else n_classes)
        cube = layout.to_cube(values, n_outputs)
    else:
        cube = _second_of_two(values) if values.shape[2] == 2 else values
    n_members, _, n_outputs = cube.shape
    names = [
        f"member {m}, output {k}" for m in range(n_members) for k in range(n_outputs)
    ]
    P = layout.from_cube(cube)
    layout.check_probabilities(P, max(n_outputs, 2), names)
    return cube


def _second_of_two(cube):
    """Return the second of two outputs, once they are known to sum to 1."""
    wrong = ~(np.abs(cube.sum(axis=2) - 1.0) <= 1e-3).all(axis=0)
    if wrong.any():
        raise ValueError(
            "predictions have two outputs that do not sum to 1 "
            f"({describe_rows(np.flatnonzero(wrong))}); expected probabilities."
        )
    return cube[:, :, 1:]


def all_classes(outputs):
    """Return all classes' probabilities; rounding below 0 has no entropy."""
    return np.maximum(layout.class_probabilities(outputs), 0.0)


def _check_moments(means, variances):
    if means.ndim != 2 or means.size == 0 or variances.shape != means.shape:
        raise ValueError(
            f"means has shape {means.shape} and variances {variances.shape}; expected "
            "(n_samples, n_members) for both."
        )
    bad = np.flatnonzero(~np.isfinite(means + variances).all(axis=1))
    if bad.size:
        raise ValueError(f"means or variances are not finite ({describe_rows(bad)}).")
    bad = np.flatnonzero((variances < 0.0).any(axis=1))
    if bad.size:
        raise ValueError(f"variances are negative ({describe_rows(bad)}).")
