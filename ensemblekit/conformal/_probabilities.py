"""Probabilities of a classifier by all classes, and of a stack by its folds."""

import numpy as np

from .._sklearn import _num_samples
from ..leaderboard import cross_fitted_predictions
from ..library import PredictionLibrary
from .sets import check_class_probabilities


def held_out_probabilities(stack):
    """Return a stack's probabilities of its training rows, by a combiner without them.

    Returns (n, K) float64, NaN where the other folds lack a class.
    """
    library = stack.library_
    if library is None or stack.passthrough:
        raise ValueError(
            "cv='stored' needs members that predict probabilities, and a combiner of "
            "these alone: a stack with passthrough=False. Use another cv."
        )
    codes = np.searchsorted(library.classes, library.y)  # what combiners are given
    coded = PredictionLibrary(
        library.P,
        codes,
        library.names,
        classes=np.arange(len(library.classes)),
        folds=library.folds,
        sample_weight=library.sample_weight,
    )
    weighted = library.sample_weight is not None
    return cross_fitted_predictions(stack.combiner_, coded, weighted=weighted)


def probabilities_of(model, X, classes):
    """Return (n, K) float64 in the order of classes, 0 for those the model lacks."""
    given = np.asarray(model.predict_proba(X))
    known = np.asarray(model.classes_)
    if given.shape != (_num_samples(X), len(known)):
        raise ValueError(
            f"The wrapped classifier gives probabilities of shape {given.shape}; "
            f"expected ({_num_samples(X)}, {len(known)})."
        )
    if len(known) > 1:
        given = check_class_probabilities(given)
    full = np.zeros((len(given), len(classes)))
    full[:, np.searchsorted(classes, known)] = given
    return full
