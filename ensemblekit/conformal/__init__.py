"""Conformal calibration: intervals and sets with finite-sample coverage.

Combine first, calibrate once: the estimators wrap one model, which may be a stack.

- `conformal_rank`, `conformal_quantile`: the exact rank, and the score at it.
- `ConformalClassifier`: sets of classes; `conformal_set_scores`, `conformal_sets`: the
  same from probabilities alone.
- `MultiOutputConformalRegressor`: boxes and ellipsoids for several outputs at once.
- `merge_intervals`, `merge_sets`: votes of several models' sets; `MergedIntervals`.
- `select_narrowest`: the narrowest of several models, at full coverage.
- `ConformalSelector`: rows of a large target at a false discovery rate, of one model or
  of the best of several; `conformal_p_values`, `select_by_fdr` and
  `optimized_conformal_selection` for arrays.
"""

from .classifier import ConformalClassifier
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
from .ranks import (
    conformal_quantile,
    conformal_rank,
)
from .selector import ConformalSelector
from .sets import (
    conformal_set_scores,
    conformal_sets,
)

__all__ = [
    "ConformalClassifier",
    "ConformalSelector",
    "MergedIntervals",
    "MultiOutputConformalRegressor",
    "NarrowestSelection",
    "OptimizedSelection",
    "conformal_p_values",
    "conformal_quantile",
    "conformal_rank",
    "conformal_set_scores",
    "conformal_sets",
    "merge_intervals",
    "merge_sets",
    "optimized_conformal_selection",
    "select_by_fdr",
    "select_narrowest",
]
