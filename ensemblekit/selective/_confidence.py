"""Confidence out of class probabilities, and labels that say "no answer"."""

import numpy as np
from scipy.special import entr

from .._sklearn import _num_samples
from ..exceptions import describe_rows


def _max_proba(probabilities):
    return probabilities.max(axis=1)


def _margin(probabilities):
    if probabilities.shape[1] == 1:
        return probabilities[:, 0]
    top = np.partition(probabilities, -2, axis=1)
    return top[:, -1] - top[:, -2]


def _negative_entropy(probabilities):
    # Rounding may leave a probability below 0, where entr is -infinity.
    return -entr(np.maximum(probabilities, 0.0)).sum(axis=1)


OF_PROBABILITIES = {
    "max_proba": _max_proba,
    "margin": _margin,
    "entropy": _negative_entropy,
}


def model_confidence(kind, model, X):
    """Return the confidence of a fitted classifier in each row: finite float64."""
    if callable(kind):
        values, source = kind(model, X), "The callable confidence"
    else:
        values, source = probability_confidence(kind, model, X), type(model).__name__
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


def probability_confidence(kind, model, X):
    """Return the named confidence out of the model's probabilities."""
    if not hasattr(model, "predict_proba"):
        raise ValueError(
            f"{type(model).__name__} has no predict_proba. Give a callable as "
            "confidence, such as one of decision_function, or wrap the model in "
            "CalibratedClassifierCV."
        )
    return OF_PROBABILITIES[kind](np.asarray(model.predict_proba(X), dtype=np.float64))
