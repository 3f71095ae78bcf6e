"""Conformal calibration: intervals and sets with finite-sample coverage.

Combine first, calibrate once: the estimators wrap one model, which may be a stack.

- `ConformalRegressor`: intervals around any regressor, from a model or its quantiles.
- `cross_conformal_interval`, `jackknife_after_bootstrap_interval`: from predictions of
  models without each fold, or of each bag, alone.
- `conformal_rank`, `conformal_quantile`: the exact rank, and the score at it.
- `weighted_conformal_quantile`: the score where new rows are of another density.
- `coverage_by_width`: how often narrow and wide intervals hold y.
"""

from .bootstrap import jackknife_after_bootstrap_interval
from .coverage import coverage_by_width
from .cross import cross_conformal_interval
from .ranks import conformal_quantile, conformal_rank
from .regressor import ConformalRegressor
from .shift import weighted_conformal_quantile

__all__ = [
    "ConformalRegressor",
    "conformal_quantile",
    "conformal_rank",
    "coverage_by_width",
    "cross_conformal_interval",
    "jackknife_after_bootstrap_interval",
    "weighted_conformal_quantile",
]
