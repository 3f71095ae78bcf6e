"""What a fitted classifier answers, also where it abstains by itself."""

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from .._sklearn import _num_samples


def innermost(model, X):
    """Return the model that answers, and the rows as they reach it.

    Pipelines, searches and frozen estimators pass on neither abstentions nor members.
    """
    while True:
        if isinstance(model, Pipeline):
            X = model[:-1].transform(X) if len(model.steps) > 1 else X
            model = model.steps[-1][1]
        elif isinstance(model, FrozenEstimator):
            model = model.estimator
        elif hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        else:
            return model, X


def abstains_itself(model):
    """Say whether a model as `innermost` returns it tells which rows it answers."""
    return hasattr(model, "predict_selective") or hasattr(model, "abstains")


def answers_of(model, X):
    """Return the labels of all rows, and which of them the model answers.

    Raises
    ------
    ValueError
        If a label is no class of the model: it stands for no answer then.
    """
    inner, seen = innermost(model, X)
    if hasattr(inner, "predict_selective"):
        labels, answered, *_ = inner.predict_selective(seen)
    else:
        labels, answered = model.predict(X), np.ones(_num_samples(X), dtype=bool)
        if hasattr(inner, "abstains"):
            answered = ~np.asarray(inner.abstains(seen))
    labels = np.asarray(labels)
    _refuse_sentinels(model, labels)
    return labels, np.asarray(answered)


def _refuse_sentinels(model, labels):
    foreign = np.flatnonzero(~np.isin(labels, model.classes_))
    if foreign.size:
        raise ValueError(
            f"{type(model).__name__} predicts {labels[foreign[0]].item()!r} (row "
            f"{foreign[0]}), which is none of its classes and no answer. Leave its "
            "label for abstaining at None, or give it a method `abstains`."
        )
