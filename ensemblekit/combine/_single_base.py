"""One member alone, as a combiner: what a search may choose."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from .. import layout
from ._base import (
    ClassificationCombinerMixin,
    RegressionCombinerMixin,
    mix_probabilities,
    mix_values,
    validate_classification,
    validate_regression,
)


class SingleRegressor(RegressionCombinerMixin, RegressorMixin, BaseEstimator):
    """Predict what one member predicts; member : its position."""

    def __init__(self, member=0):
        self.member = member

    def fit(self, P, y, sample_weight=None):
        """Check P and y."""
        P, _, _ = validate_regression(self, P, y, sample_weight)
        self.weights_ = np.eye(P.shape[1])[self.member]
        return self

    def _combine(self, P):
        return mix_values(self, P)


class SingleClassifier(ClassificationCombinerMixin, ClassifierMixin, BaseEstimator):
    """Predict what one member predicts; member : its position."""

    def __init__(self, member=0):
        self.member = member

    def fit(self, P, y, sample_weight=None):
        """Check P and y."""
        P, _, _ = validate_classification(self, P, y, sample_weight)
        n_outputs = layout.n_outputs_for(len(self.classes_))
        self.weights_ = np.eye(layout.count_members(P, n_outputs))[self.member]
        return self

    def _combine(self, P):
        return mix_probabilities(self, P)
