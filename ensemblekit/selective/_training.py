"""Rows, labels and weights on their way to the model that is wrapped."""

import warnings

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

from .._members import is_frozen, with_seed
from .._routing import fit_arguments, weights_among
from .._rows import calibration_rows, fit_rows
from .._sklearn import routing_enabled
from ..quantile_members._base import check_columns, check_labels, check_new


def check_rows(owner, X, y, reset):
    """Return X as it was, and the labels as one column."""
    X = (check_columns if reset else check_new)(owner, X)
    return X, check_labels(owner, X, y)


def refuse_regressor(model):
    """Refuse a model that is no classifier, before it is trained."""
    if not is_classifier(model):
        raise ValueError(
            f"estimator ({type(model).__name__}) is no classifier by its tags; "
            "expected one, as only classes are right or wrong. Use a classifier, or "
            "ClassifierMixin for one of your own."
        )


def train_part(owner, model, X, y, groups, params, seed):
    """Fit the model on one part of the rows; return it and the rows that calibrate.

    owner : SelectiveClassifier, of whose parameters the division is
    params : dict, keywords for the model's fit
    """
    frozen = is_frozen(model)
    if frozen:
        arguments, weight = {}, weights_among(X, params)
    else:
        given = params | _groups_for(model, groups)
        arguments, weight = fit_arguments(owner, model, X, given)
    train, held_out = calibration_rows(
        X,
        y,
        owner.calibration_size,
        owner.cv,
        random_state=seed,
        weight=weight,
        groups=groups,
        trained=frozen,
        whole=True,
    )
    if not frozen:
        if weight is not None and len(np.unique(y)) > 1:
            refuse_one_class(y[weight > 0.0])
        model = fit_rows(with_seed(model, seed), X, y, train, arguments)
        _warn_of_unknown(np.setdiff1d(y[held_out], y[train]))
    return model, held_out


def refuse_one_class(labels):
    """Refuse labels of the rows of positive weight that are all the same."""
    if (labels == labels[0]).all():
        raise ValueError(
            "sample_weight is zero in all rows but those of class "
            f"{labels.tolist()[0]!r}; expected positive weights in two classes at "
            "least."
        )


def _groups_for(model, groups):
    """Return groups as a keyword for a model whose fit knows them, such as a stack."""
    if groups is None:
        return {}
    if routing_enabled():
        wanted = get_routing_for_object(model).consumes("fit", ["groups"])
    else:
        wanted = has_fit_parameter(model, "groups")
    return {"groups": groups} if wanted else {}


def _warn_of_unknown(labels):
    """Warn of labels that the model has not seen."""
    if labels.size:
        warnings.warn(
            f"Labels {labels.tolist()} are in none of the training rows, and are never "
            "answered. Give more rows of them, or train on rows of your choice and "
            "calibrate a FrozenEstimator.",
            stacklevel=5,
        )
