"""Rows, labels and weights on their way to the model that is wrapped."""

import warnings

from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length

from .._sklearn import (
    _check_y,
    check_sample_weight,
    process_routing,
    routing_enabled,
)
from ..quantile_members._base import (
    check_columns,
    check_new,
    require_target,
    weight_arguments,
)


def check_rows(owner, X, y, reset):
    """Return X as it was, and the labels as one column."""
    check = check_columns if reset else check_new
    X = check(owner, X)
    require_target(owner, y)
    y = _check_y(y)
    check_classification_targets(y)
    check_consistent_length(X, y)
    return X, y


def fit_arguments(owner, model, X, params):
    """Return the keywords for the model's fit, under its own names."""
    if routing_enabled():
        return dict(process_routing(owner, "fit", **params).estimator.fit)
    given = {key: value for key, value in params.items() if value is not None}
    weight = given.pop("sample_weight", None)
    if weight is not None:
        given |= weight_arguments(model, check_sample_weight(weight, X))
    return given


def warn_of_unknown(labels):
    """Warn of labels that the model has not seen."""
    if labels.size:
        warnings.warn(
            f"Labels {labels.tolist()} are in none of the training rows, and are never "
            "answered. Give more rows of them, or train on rows of your choice and "
            "calibrate a FrozenEstimator.",
            stacklevel=4,
        )
