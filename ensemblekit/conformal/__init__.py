"""Conformal calibration: intervals and sets with finite-sample coverage.

Combine first, calibrate once: the estimators wrap one model, which may be a stack.

- `ConformalPredictiveRegressor`: a calibrated distribution around a regressor.
- `predictive_cdf`, `predictive_quantiles`, `predictive_crps`: the same from residuals.
- `conformal_rank`, `conformal_quantile`: the exact rank, and the score at it.
"""

from .distributions import predictive_cdf, predictive_crps, predictive_quantiles
from .predictive import ConformalPredictiveRegressor
from .ranks import conformal_quantile, conformal_rank

__all__ = [
    "ConformalPredictiveRegressor",
    "conformal_quantile",
    "conformal_rank",
    "predictive_cdf",
    "predictive_crps",
    "predictive_quantiles",
]
