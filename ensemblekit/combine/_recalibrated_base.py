"""What the recalibrated combiners share: one flow of fit."""

import numpy as np

from ._base import (
    ClassificationCombinerMixin,
    RegressionCombinerMixin,
    bearable_folds,
)
from ._cross_fit_base import cross_fitted_mixtures, fit_combiner

_OURS = (ClassificationCombinerMixin, RegressionCombinerMixin)


def fit_recalibrated(outer, calibrator, combiner, rows, task):
    """Fit a calibrator on mixtures of held-out rows, then the combiner on all rows.

    calibrator : or None for none; rows : P, targets or labels, weight or None
    Sets the fitted attributes.
    """
    P, y, weight = rows
    if calibrator is not None:
        calibrator = _fit_calibrator(calibrator, combiner, P, y, weight, outer.cv, task)
    if calibrator is not None:
        for name, value in calibrator.results.items():
            setattr(outer, name, value)
    outer._calibrator_ = calibrator
    outer.combiner_ = fit_combiner(combiner, P, y, weight, slice(None))
    if isinstance(outer.combiner_, _OURS) and hasattr(outer.combiner_, "weights_"):
        outer.weights_ = outer.combiner_.weights_


def apply_calibrator(outer, mixtures):
    """Return calibrated mixtures, float64."""
    mixtures = np.asarray(mixtures, dtype=np.float64)
    if outer._calibrator_ is None:
        return mixtures
    return outer._calibrator_.apply(mixtures)


def _fit_calibrator(calibrator, combiner, P, y, weight, cv, task):
    """Rows that no fold holds out are left out; None where none can be held out."""
    codes = y if task == "regression" else np.unique(y, return_inverse=True)[1]
    counted = np.ones(len(y)) if weight is None else weight
    splits = bearable_folds(cv, codes, counted, stratify=task != "regression")
    if not splits:
        return None
    mixtures = cross_fitted_mixtures(combiner, P, y, weight, splits, task)
    seen = ~np.isnan(mixtures.reshape(len(y), -1)).any(axis=1)
    return calibrator.fit(mixtures[seen], codes[seen], counted[seen])
