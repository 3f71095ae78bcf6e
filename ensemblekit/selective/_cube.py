"""The members of a fitted ensemble, and what they say of new rows."""

import numpy as np
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    RandomForestClassifier,
    VotingClassifier,
)

from .. import layout
from .._sklearn import _num_samples
from ..combine._base import own_weights
from ..stack import StackedClassifier
from ._answers import innermost


def member_probabilities(model, X):
    """Return what each member of a fitted ensemble says of each class.

    Returns
    -------
    cube : ndarray of shape (n_members, n_samples, n_classes)
        In the order of ``model.classes_``; 0 for classes that a member has not seen.
    weights : ndarray of shape (n_members,)
        Of sum 1.

    Raises
    ------
    ValueError
        If the model is no ensemble whose members are known to predict probabilities.
    """
    inner, seen = innermost(model, X)
    if isinstance(inner, StackedClassifier):
        return _of_stack(inner, seen)
    if hasattr(inner, "_member_probabilities"):
        cube = inner._member_probabilities(seen)
    elif isinstance(inner, VotingClassifier):
        return _of_voting(inner, seen)
    elif isinstance(
        inner, (BaggingClassifier, ExtraTreesClassifier, RandomForestClassifier)
    ):
        cube = _of_codes(inner, seen)
    else:
        raise ValueError(
            f"{type(inner).__name__} has no members that are known here. Expected a "
            "StackedClassifier, SelectiveVotingClassifier, VotingClassifier, "
            "BaggingClassifier, or a forest; or use confidence='max_proba'."
        )
    return cube, np.full(len(cube), 1.0 / len(cube))


def _of_stack(stack, X):
    methods = stack.cross_fit_.method_
    if set(methods.values()) != {"predict_proba"}:
        raise ValueError(
            "The stack has members without probabilities; confidence "
            "'mutual_information' and 'vote' need them from all."
        )
    weights = own_weights(stack.combiner_, len(methods))
    if weights is None or not weights.min() >= 0.0 or not weights.any():
        weights = np.ones(len(methods))
    names = [name for name, w in zip(methods, weights, strict=True) if w > 0.0]
    P = stack.cross_fit_.predict_members(X, names)
    cube = layout.to_cube(P, layout.n_outputs_for(len(stack.classes_)))
    whole = np.stack([layout.class_probabilities(member) for member in cube])
    used = weights > 0.0
    return whole[used], weights[used] / weights.sum()


def _of_voting(voting, X):
    cube = np.stack([_by_code(voting, m, X) for m in voting.estimators_])
    weights = np.ones(len(cube))
    if voting.weights is not None:
        taken = [member != "drop" for _, member in voting.estimators]
        weights = np.asarray(voting.weights, dtype=np.float64)[taken]
    return cube, weights / weights.sum()


def _of_codes(ensemble, X):
    columns = getattr(ensemble, "estimators_features_", [None] * len(ensemble))
    rows = X if hasattr(X, "shape") else np.asarray(X)
    rows = rows.to_numpy() if hasattr(rows, "to_numpy") else rows
    return np.stack(
        [
            _by_code(ensemble, member, rows if chosen is None else rows[:, chosen])
            for member, chosen in zip(ensemble.estimators_, columns, strict=True)
        ]
    )


def _by_code(ensemble, member, X):
    """Return a member's probabilities; it was trained on the codes of the classes."""
    if not hasattr(member, "predict_proba"):
        raise ValueError(
            f"The member {type(member).__name__} has no predict_proba; confidence "
            "'mutual_information' and 'vote' need probabilities."
        )
    full = np.zeros((_num_samples(X), len(ensemble.classes_)))
    full[:, np.asarray(member.classes_, dtype=np.int64)] = member.predict_proba(X)
    return full
