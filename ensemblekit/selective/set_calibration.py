"""Whether some convex combination of members is calibrated."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from .. import kernels, layout
from ..exceptions import describe_rows
from .uncertainty import all_classes, probability_cube

__all__ = ["SetCalibration", "set_calibration_test"]

# Kernel values held at a time: 32 MB.
_CACHED = 2**22
# What the log-likelihood of fitted weights may be short of the greatest, in all.
_GAP, _MAX_STEPS = 0.02, 1000


class SetCalibration(NamedTuple):
    """Result of `set_calibration_test`.

    Attributes
    ----------
    statistic : float
        Estimate of the squared kernel calibration error of the mixture: around 0, also
        below it, where that is calibrated.
    p_value : float
        In (0, 1]; small where it is not.
    weights : ndarray of shape (n_members,), float64
        Of the mixture; non-negative, sums to 1.
    """

    statistic: float
    p_value: float
    weights: NDArray


def set_calibration_test(
    predictions: ArrayLike,
    y: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    n_resamples: int = 199,
    bandwidth: float = 0.1,
    random_state=None,
) -> SetCalibration:
    """Test whether some convex combination of members is calibrated.

    The calibration error of the mixture of greatest likelihood is compared with those
    of labels drawn from it, each with weights fitted to them anew (a parametric
    bootstrap). Calibrated is meant for the whole vector of probabilities: among rows
    with the same one, labels occur as often as it says.

    Parameters
    ----------
    predictions : array-like of shape (n_samples, n_members * n_outputs), or \
(n_members, n_samples, n_outputs)
        Held-out probabilities: a prediction matrix P, or a cube.
    y : array-like of shape (n_samples,)
        Labels.
    classes : array-like of shape (n_classes,), default=None
        In the order of the outputs; None means the sorted labels of y.
    n_resamples : int, default=199
        Label vectors drawn, >= 1. No p-value is below ``1 / (n_resamples + 1)``.
    bandwidth : float, default=0.1
        Of the kernel ``exp(-TV**2 / bandwidth)``, > 0, for TV in [0, 1] the total
        variation distance of two rows' probabilities. The 2 of the first reference
        leaves the kernel almost constant, and the test with little power.
    random_state : int, RandomState instance or None, default=None
        Of the labels drawn; an int gives the same result again.

    Returns
    -------
    result : SetCalibration
        Named tuple of statistic, p_value and weights.

    Raises
    ------
    ValueError
        If there are fewer than 2 rows, predictions are no probabilities, or y has
        labels that are no class.

    Notes
    -----
    Weights fitted on one half of the rows and tested on the other leave their error in
    the statistic, and reject too often, however many the rows. Here labels drawn have
    their weights fitted to the rows tested as y has: the level is approximate, and near
    the nominal from a hundred rows on. Where a mixture
    is calibrated, the most likely one is in the limit. Time: O(n_samples**2 * n_classes
    * n_resamples); memory: O(n_samples * n_classes * n_resamples).

    References
    ----------
    .. [1] Mortier et al., "On the Calibration of Probabilistic Classifier Sets",
       AISTATS 2023, arXiv 2205.10082.
    .. [2] Widmann, Lindsten, Zachariah, "Calibration tests in multi-class
       classification: A unifying framework", NeurIPS 2019.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(size=(400, 1))
    >>> y = (rng.uniform(size=400) < p[:, 0]).astype(int)
    >>> honest = set_calibration_test(np.hstack([p, p**2]), y, random_state=0)
    >>> biased = set_calibration_test(np.hstack([p**3, p**2]), y, random_state=0)
    >>> round(honest.p_value, 3), round(biased.p_value, 3)
    (0.55, 0.005)
    """
    if n_resamples < 1 or not 0.0 < bandwidth < np.inf:
        raise ValueError(
            f"n_resamples is {n_resamples!r} and bandwidth {bandwidth!r}; expected a "
            "whole number >= 1 and a finite number > 0."
        )
    known, codes = _encode(y, classes)
    cube = probability_cube(predictions, _count_outputs(predictions, len(known)))
    _check_rows(cube, codes, len(known))
    cube = np.stack([all_classes(member) for member in cube])
    uniform = np.full(len(cube), 1.0 / len(cube))
    weights = _likelihood_weights(cube, codes[None], uniform)
    mixture = np.tensordot(weights[0], cube, 1)
    random = check_random_state(random_state)
    drawn = _draw_labels(mixture, n_resamples, random)
    # The start keeps every member, also one of weight 0.
    refitted = _likelihood_weights(cube, drawn, 0.9 * weights[0] + 0.1 * uniform)
    errors = _label_errors(
        cube, np.vstack([codes, drawn]), np.vstack([weights, refitted])
    )
    statistics = _kernel_errors(mixture, errors, bandwidth)
    n_above = int((statistics[1:] >= statistics[0]).sum())
    p_value = (1 + n_above) / (n_resamples + 1)
    return SetCalibration(float(statistics[0]), p_value, weights[0])


def _encode(y, classes):
    """Return the classes and each label's position among them."""
    y = np.asarray(y)
    if classes is None:
        return layout.encode_labels(y)
    classes = np.asarray(classes)
    order = np.argsort(classes)
    found = np.searchsorted(classes, y, sorter=order)
    codes = order[np.minimum(found, len(classes) - 1)]
    bad = np.flatnonzero(classes[codes] != y)
    if bad.size:
        raise ValueError(f"y has labels that are no class ({describe_rows(bad)}).")
    return classes, codes


def _count_outputs(predictions, n_classes):
    """Return the classes that a matrix is read by; a cube tells by itself."""
    return n_classes if np.ndim(predictions) == 2 else None


def _check_rows(cube, codes, n_classes):
    if cube.shape[1] != len(codes) or len(codes) < 2:
        raise ValueError(
            f"predictions has {cube.shape[1]} rows and y {len(codes)}; expected as "
            "many, and 2 at least."
        )
    if cube.shape[2] != layout.n_outputs_for(n_classes):
        raise ValueError(
            f"predictions are of {max(cube.shape[2], 2)} classes and y has "
            f"{n_classes}. Give all classes as classes."
        )


def _likelihood_weights(cube, codes, start):
    """Return the weights of greatest likelihood of each label vector."""
    gap = _GAP / cube.shape[1]
    return kernels.likelihood.mixture_weights(
        np.ascontiguousarray(cube), codes, start, gap, _MAX_STEPS
    )


def _draw_labels(probabilities, n_resamples, random):
    """Return codes (n_resamples, n_rows), each row's after its probabilities."""
    ends = np.cumsum(probabilities, axis=1)[:, :-1]
    drawn = random.random_sample((n_resamples, len(probabilities)))
    return np.sum([drawn >= end for end in ends.T], axis=0, dtype=np.int64)


def _label_errors(cube, codes, weights):
    """Return one-hot labels less probabilities: (n_rows, n_vectors, n_classes)."""
    errors = np.tensordot(weights, -cube, 1).transpose(1, 0, 2)
    rows, vectors = np.indices(errors.shape[:2])
    errors[rows, vectors, codes.T] += 1.0
    return np.ascontiguousarray(errors)


def _kernel_errors(probabilities, errors, bandwidth):
    """Return the unbiased squared kernel calibration error of each label vector.

    The mean over pairs of rows of ``exp(-TV**2 / bandwidth)`` times the product of
    their errors.
    """
    n_rows, n_vectors, n_classes = errors.shape
    flat = errors.reshape(n_rows, n_vectors * n_classes)
    total = -(flat * flat).sum(axis=0)  # a row makes no pair with itself
    size = max(1, _CACHED // n_rows)
    for start in range(0, n_rows, size):
        rows = slice(start, start + size)
        kernel = _kernel(probabilities[rows], probabilities, bandwidth)
        total += ((kernel @ flat) * flat[rows]).sum(axis=0)
    sums = total.reshape(n_vectors, n_classes).sum(axis=1)
    return sums / (n_rows * (n_rows - 1))


def _kernel(left, right, bandwidth):
    distance = np.zeros((len(left), len(right)))
    for a, b in zip(left.T, right.T, strict=True):
        distance += np.abs(a[:, None] - b)
    return np.exp(-((distance / 2.0) ** 2) / bandwidth)
