"""Conformal calibration: intervals and sets with finite-sample coverage.

Combine first, calibrate once: the estimators wrap one model, which may be a stack.

- `ConformalPredictiveRegressor`: a calibrated distribution around a regressor.
- `predictive_cdf`, `predictive_quantiles`, `predictive_crps`: the same from residuals.
- `AdaptiveConformalRegressor`, `EnbPIRegressor`: intervals of a series, row by row.
- `adaptive_interval`, `adaptive_thresholds`: the former from forecasts and outcomes.
- `conformal_rank`, `conformal_quantile`: the exact rank, and the score at it.
"""

from .distributions import predictive_cdf, predictive_crps, predictive_quantiles
from .enbpi import EnbPIRegressor
from .online import adaptive_interval, adaptive_thresholds
from .predictive import ConformalPredictiveRegressor
from .ranks import conformal_quantile, conformal_rank
from .series import AdaptiveConformalRegressor

__all__ = [
    "AdaptiveConformalRegressor",
    "ConformalPredictiveRegressor",
    "EnbPIRegressor",
    "adaptive_interval",
    "adaptive_thresholds",
    "conformal_quantile",
    "conformal_rank",
    "predictive_cdf",
    "predictive_crps",
    "predictive_quantiles",
]
