"""Conformal calibration: intervals and sets with finite-sample coverage.

Combine first, calibrate once: the estimators wrap one model, which may be a stack.

- `ConformalRegressor`: intervals around any regressor, from a model or its quantiles.
- `cross_conformal_interval`, `jackknife_after_bootstrap_interval`: from predictions of
  models without each fold, or of each bag, alone.
- `conformal_rank`, `conformal_quantile`: the exact rank, and the score at it.
- `weighted_conformal_quantile`: the score where new rows are of another density.
- `coverage_by_width`: how often narrow and wide intervals hold y.
- `ConformalPredictiveRegressor`: a calibrated distribution around a regressor.
- `predictive_cdf`, `predictive_quantiles`, `predictive_crps`: the same from residuals.
- `AdaptiveConformalRegressor`, `EnbPIRegressor`: intervals of a series, row by row.
- `adaptive_interval`, `adaptive_thresholds`: the former from forecasts and outcomes.
- `ConformalClassifier`: sets of classes; `conformal_set_scores`, `conformal_sets`: the
  same from probabilities alone.
- `MultiOutputConformalRegressor`: boxes and ellipsoids for several outputs at once.
- `merge_intervals`, `merge_sets`: votes of several models' sets; `MergedIntervals`.
- `select_narrowest`: the narrowest of several models, at full coverage.
- `ConformalSelector`: rows of a large target at a false discovery rate, of one model or
  of the best of several; `conformal_p_values`, `select_by_fdr` and
  `optimized_conformal_selection` for arrays.
"""

from .bootstrap import jackknife_after_bootstrap_interval
from .classifier import ConformalClassifier
from .coverage import coverage_by_width
from .cross import cross_conformal_interval
from .distributions import (
    predictive_cdf,
    predictive_crps,
    predictive_quantiles,
)
from .enbpi import EnbPIRegressor
from .fdr import (
    OptimizedSelection,
    conformal_p_values,
    optimized_conformal_selection,
    select_by_fdr,
)
from .merging import (
    MergedIntervals,
    merge_intervals,
    merge_sets,
)
from .multi_output import MultiOutputConformalRegressor
from .narrowest import (
    NarrowestSelection,
    select_narrowest,
)
from .online import (
    adaptive_interval,
    adaptive_thresholds,
)
from .predictive import ConformalPredictiveRegressor
from .ranks import (
    conformal_quantile,
    conformal_rank,
)
from .regressor import ConformalRegressor
from .selector import ConformalSelector
from .series import AdaptiveConformalRegressor
from .sets import (
    conformal_set_scores,
    conformal_sets,
)
from .shift import weighted_conformal_quantile

__all__ = [
    "AdaptiveConformalRegressor",
    "ConformalClassifier",
    "ConformalPredictiveRegressor",
    "ConformalRegressor",
    "ConformalSelector",
    "EnbPIRegressor",
    "MergedIntervals",
    "MultiOutputConformalRegressor",
    "NarrowestSelection",
    "OptimizedSelection",
    "adaptive_interval",
    "adaptive_thresholds",
    "conformal_p_values",
    "conformal_quantile",
    "conformal_rank",
    "conformal_set_scores",
    "conformal_sets",
    "coverage_by_width",
    "cross_conformal_interval",
    "jackknife_after_bootstrap_interval",
    "merge_intervals",
    "merge_sets",
    "optimized_conformal_selection",
    "predictive_cdf",
    "predictive_crps",
    "predictive_quantiles",
    "select_by_fdr",
    "select_narrowest",
    "weighted_conformal_quantile",
]
