"""Targets as members see them: numbers, or the codes of classes."""

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length

from . import layout
from ._sklearn import _check_y
from .exceptions import naming


def check_targets(X, y, task):
    """Return the labels, sorted (None for regression), and y as codes or numbers.

    Raises
    ------
    ValueError
        If y is None, of another length than X, or no targets of the task.
    """
    if y is None:
        raise ValueError("CrossFit requires y to be passed, but the target y is None.")
    with naming("y"):
        y = _check_y(y, y_numeric=task == "regression")
        check_consistent_length(X, y)
        if task == "regression":
            return None, y.astype(np.float64)
        check_classification_targets(y)
        return layout.encode_labels(y)


def encode_targets(y, classes):
    """Return y as codes of known classes; as numbers where there are none.

    Raises
    ------
    ValueError
        If a label is not among the classes.
    """
    with naming("y"):
        y = _check_y(y, y_numeric=classes is None)
        if classes is None:
            return y
        unknown = np.setdiff1d(y, classes)
    if unknown.size:
        raise ValueError(f"y has labels {unknown.tolist()} that were not there in fit.")
    return np.searchsorted(classes, y)


def check_levels(levels, task):
    """Return ascending levels of quantiles, or None; classes have none."""
    if levels is None:
        return None
    if task == "classification":
        raise ValueError(
            "quantile_levels are for regression; the members are classifiers."
        )
    return layout.check_levels(levels)
