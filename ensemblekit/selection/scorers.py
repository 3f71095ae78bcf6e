"""scikit-learn's scorers on predictions that are there already."""

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import get_scorer


class _GivenValues(RegressorMixin, BaseEstimator):
    """What a scorer is given: an estimator that predicts the values it holds."""

    def __init__(self, values: Any = None):
        self.values = values

    def __sklearn_is_fitted__(self):
        return True

    def predict(self, X):
        return self.values


class _GivenProbabilities(ClassifierMixin, BaseEstimator):
    """The same with probabilities; the label is the first of the largest."""

    def __init__(self, probabilities: Any = None, classes: Any = None):
        self.probabilities = probabilities
        self.classes = classes

    @property
    def classes_(self):
        return self.classes

    def __sklearn_is_fitted__(self):
        return True

    def predict(self, X):
        return self.classes[self.probabilities.argmax(axis=1)]

    def predict_proba(self, X):
        return self.probabilities


def scorer_loss(scorer, classes=None):
    """Return the loss (mixture, y, weight) -> float that a scorer stands for.

    scorer : name, or callable (estimator, X, y); X then holds row numbers
    classes : labels that codes in y stand for, or None for values
    mixture : (n, d), probabilities of class 1 alone if there are two classes
    """
    name, scorer = str(scorer), get_scorer(scorer)

    def loss(mixture, y, weight):
        if not weight.all():  # a metric may not expect rows that do not count
            counted = weight > 0.0
            mixture, y, weight = mixture[counted], y[counted], weight[counted]
        if classes is None:
            estimator: Any = _GivenValues(mixture[:, 0] if y.ndim == 1 else mixture)
            truth = y
        else:
            columns = np.hstack([1.0 - mixture, mixture])
            columns = columns if len(classes) == 2 else mixture
            estimator, truth = _GivenProbabilities(columns, classes), classes[y]
        options = {} if (weight == weight[0]).all() else {"sample_weight": weight}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            rows = np.arange(len(truth))[:, None]
            try:
                return -float(scorer(estimator, rows, truth, **options))
            except TypeError as error:
                if "sample_weight" not in str(error):
                    raise
                raise ValueError(
                    f"The scorer {name} takes no sample_weight, so that rows cannot be "
                    "weighted. Leave sample_weight out, or use a scorer that takes it."
                ) from error

    return loss
