"""Confidence in an answer, out of class probabilities or of members."""

import numpy as np
from scipy.special import entr

from .._sklearn import _num_samples
from ..exceptions import describe_rows
from ._answers import answers_of
from ._cube import member_probabilities
from .uncertainty import decompose_uncertainty


def _answered_proba(probabilities, codes):
    return np.take_along_axis(probabilities, codes[:, None], axis=1)[:, 0]


def _margin(probabilities, codes):
    answered = _answered_proba(probabilities, codes)
    if probabilities.shape[1] == 1:
        return answered
    others = probabilities.copy()
    np.put_along_axis(others, codes[:, None], -np.inf, axis=1)
    return answered - others.max(axis=1)


def _negative_entropy(probabilities, codes):
    # Rounding may leave a probability below 0, where entr is -infinity.
    return -entr(np.maximum(probabilities, 0.0)).sum(axis=1)


def _negative_information(cube, weights, codes):
    return -decompose_uncertainty(cube, weights=weights).epistemic


def _agreement(cube, weights, codes):
    agrees = cube.argmax(axis=2) == codes
    if (weights == weights[0]).all():  # counts: equal shares are equal numbers
        return agrees.mean(axis=0)
    # One by one: a product of matrices may round equal votes of two rows differently.
    share = np.zeros(agrees.shape[1])
    for weight, agree in zip(weights, agrees, strict=True):
        share += weight * agree
    unanimous = agrees[weights > 0.0].all(axis=0)
    return np.where(unanimous, 1.0, np.clip(share, 0.0, 1.0))


OF_PROBABILITIES = {
    "max_proba": _answered_proba,
    "margin": _margin,
    "entropy": _negative_entropy,
}
OF_MEMBERS = {"mutual_information": _negative_information, "vote": _agreement}
LARGEST = {
    "max_proba": 1.0,
    "margin": 1.0,
    "entropy": 0.0,
    "mutual_information": 0.0,
    "vote": 1.0,
}


def model_confidence(kind, model, X, labels):
    """Return the confidence of a fitted classifier in each row: finite float64.

    labels : (n_samples,), the model's answers, which need not be the likeliest classes
    """
    source = type(model).__name__
    if callable(kind):
        values, source = kind(model, X), "The callable confidence"
    elif kind in OF_MEMBERS:
        cube, weights = member_probabilities(model, X)
        codes = find_codes(labels, model.classes_)
        values = OF_MEMBERS[kind](cube, weights, codes)
    else:
        values = _probability_confidence(kind, model, X, labels)
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (_num_samples(X),):
        raise ValueError(
            f"{source} has shape {values.shape}; expected ({_num_samples(X)},), a "
            "number for each row."
        )
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise ValueError(
            f"{source} gives a confidence of NaN or infinity ({describe_rows(bad)}); "
            "expected finite numbers."
        )
    return values


def labels_and_confidence(kind, model, X):
    """Return a classifier's answers to all rows, and its confidence in each.

    kind : a name in OF_PROBABILITIES, or callable
    """
    if callable(kind):
        labels = np.asarray(model.predict(X))
    else:
        _require_probabilities(model)
        labels, _ = answers_of(model, X)
    return labels, model_confidence(kind, model, X, labels)


def _probability_confidence(kind, model, X, labels):
    _require_probabilities(model)
    probabilities = np.asarray(model.predict_proba(X), dtype=np.float64)
    return OF_PROBABILITIES[kind](probabilities, find_codes(labels, model.classes_))


def _require_probabilities(model):
    if not hasattr(model, "predict_proba"):
        raise ValueError(
            f"{type(model).__name__} has no predict_proba. Give a callable as "
            "confidence, such as one of decision_function, or wrap the model in "
            "CalibratedClassifierCV."
        )


def find_codes(labels, classes):
    """Return the position of each label among the classes, of any order."""
    order = np.argsort(classes)
    return order[np.searchsorted(classes, labels, sorter=order)]
