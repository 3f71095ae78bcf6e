"""The threshold that each method of SelectiveClassifier chooses, and its bound."""

import math
import warnings
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from .._levels import exact_level
from ._confidence import LARGEST
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
    given, target = target, TARGETS[method] if target is None else target
    if method == "chow" and confidence != "max_proba":
        raise ValueError(
            f"method='chow' compares probabilities, and confidence is {confidence!r}; "
            "expected 'max_proba'."
        )
    if method == "threshold":
        _check_reachable(given, target, confidence)
        return target
    whole = method == "coverage" and target == 1.0
    if not (0.0 < target < 1.0 or whole):
        end = "]" if method == "coverage" else ")"
        raise ValueError(
            f"target is {target!r}; expected a number in (0, 1{end} with "
            f"method={method!r}."
        )
    return target


def _check_reachable(given, target, confidence):
    """Refuse a threshold that no row reaches."""
    largest = math.inf if callable(confidence) else LARGEST[confidence]
    if target > largest:
        default = f"None, which is {target}" if given is None else f"{target!r}"
        raise ValueError(
            f"target is {default}; expected at most {largest:g}, the largest "
            f"confidence of {confidence!r}: no row would be answered."
        )


def refuse_dependent(method, groups):
    """Refuse bounds for independent rows where rows come in groups."""
    if groups is not None and method in _GUARANTEED:
        raise ValueError(
            f"method={method!r} bounds the risk of independent rows, and those of a "
            "group are not. Use another method, or calibrate a FrozenEstimator on one "
            "row of each group, drawn at random, without groups."
        )


def choose_threshold(method, target, delta, confidence, correct, answered, independent):
    """Return the Choice on rows that the model was not trained on.

    answered : (n_samples,) bool, where the model does not abstain by itself
    independent : bool, whether there are no groups of rows
    """
    own = confidence[answered], correct[answered]
    threshold, bound = math.inf, math.nan
    if answered.any():
        threshold, bound = _threshold(method, target, delta, *own, len(correct))
    accepted = answered & (confidence >= threshold)
    n_accepted, n_errors = int(accepted.sum()), int((accepted & ~correct).sum())
    if not n_accepted:
        _warn_of_none(method, threshold, own[0])
    elif method in ("threshold", "chow") and independent:
        # The rows had no say in this threshold: the errors are binomial.
        bound = float(clopper_pearson_upper(n_errors, n_accepted, delta))
    risk = n_errors / n_accepted if n_accepted else math.nan
    return Choice(float(threshold), float(bound), n_accepted / len(correct), risk)


def _threshold(method, target, delta, confidence, correct, n_rows):
    if method in _GUARANTEED:
        return _GUARANTEED[method](confidence, correct, target, delta)[:2]
    if method == "coverage":
        return _threshold_at(confidence, target, n_rows), math.nan
    if method == "chow":
        return float(1 - exact_level(target)), math.nan
    return target, math.nan


def _threshold_at(confidence, coverage, n_rows):
    """Return the confidence of the row that makes the coverage full, or the least."""
    # A decimal times a whole number, not a float: 0.7 of 10 rows are 7.
    rank = math.ceil(Fraction(str(float(coverage))) * n_rows)
    below = max(0, len(confidence) - rank)
    return np.partition(confidence, below)[below]


def _warn_of_none(method, threshold, confidence):
    """Warn that nothing is answered, where the search for a threshold has not."""
    if not len(confidence):
        warnings.warn(
            "The model itself answers no calibration row, so none is answered. Give "
            "more rows, or a model that abstains less.",
            stacklevel=5,
        )
    elif method not in _GUARANTEED:
        change = "Raise" if method == "chow" else "Lower"
        largest = float(confidence.max())
        short = f"{largest:.6g}"  # unless that rounds it up to the threshold
        shown = short if float(short) < threshold else f"{largest!r}"
        warnings.warn(
            f"No calibration row has a confidence of {threshold!r}, and none is "
            f"answered: the largest is {shown}. {change} target.",
            stacklevel=5,
        )
