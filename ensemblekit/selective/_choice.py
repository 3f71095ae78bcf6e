"""The threshold that each method of SelectiveClassifier chooses, and its bound."""

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from .guarantee import clopper_pearson_upper, ltt_threshold, sgr_threshold

TARGETS = {"threshold": 0.9, "coverage": 0.9, "chow": 0.1, "sgr": 0.05, "ltt": 0.05}
_GUARANTEED = {"sgr": sgr_threshold, "ltt": ltt_threshold}


class Choice(NamedTuple):
    """A threshold, and what the calibration rows show of it."""

    threshold: float
    risk_bound: float
    coverage: float
    selective_risk: float


def resolve_target(method, target, confidence):
    """Return the target, or the default of the method; refuse what does not suit it."""
    if target is None:
        target = TARGETS[method]
    if method == "chow" and confidence != "max_proba":
        raise ValueError(
            f"method='chow' compares probabilities, and confidence is {confidence!r}; "
            "expected 'max_proba'."
        )
    whole = method == "coverage" and target == 1.0
    if method != "threshold" and not (0.0 < target < 1.0 or whole):
        end = "]" if method == "coverage" else ")"
        raise ValueError(
            f"target is {target!r}; expected a number in (0, 1{end} with "
            f"method={method!r}."
        )
    return target


def choose_threshold(method, target, delta, confidence, correct):
    """Return the Choice on rows that the model was not trained on."""
    threshold, bound = _threshold(method, target, delta, confidence, correct)
    accepted = confidence >= threshold
    n_accepted, n_errors = int(accepted.sum()), int((accepted & ~correct).sum())
    if method in ("threshold", "chow") and n_accepted:
        # The rows had no say in this threshold: the errors are binomial.
        bound = clopper_pearson_upper(n_errors, n_accepted, delta)
    risk = n_errors / n_accepted if n_accepted else math.nan
    return Choice(float(threshold), float(bound), n_accepted / len(correct), risk)


def _threshold(method, target, delta, confidence, correct):
    if method in _GUARANTEED:
        return _GUARANTEED[method](confidence, correct, target, delta)[:2]
    if method == "coverage":
        return _threshold_at(confidence, target), math.nan
    return (1.0 - target if method == "chow" else target), math.nan


def _threshold_at(confidence, coverage):
    """Return the confidence of the row that makes the coverage full."""
    # A decimal times a whole number, not a float: 0.7 of 10 rows are 7.
    rank = math.ceil(Fraction(str(float(coverage))) * len(confidence))
    return np.partition(confidence, len(confidence) - rank)[len(confidence) - rank]
