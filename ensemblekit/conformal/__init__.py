"""Conformal calibration: intervals and sets with finite-sample coverage.

Combine first, calibrate once: the estimators wrap one model, which may be a stack.

- `conformal_rank`, `conformal_quantile`: the exact rank, and the score at it.
- `merge_intervals`, `merge_sets`: votes of several models' sets; `MergedIntervals`.
- `select_narrowest`: the narrowest of several models, at full coverage.
"""

from .merging import MergedIntervals, merge_intervals, merge_sets
from .narrowest import NarrowestSelection, select_narrowest
from .ranks import conformal_quantile, conformal_rank

__all__ = [
    "MergedIntervals",
    "NarrowestSelection",
    "conformal_quantile",
    "conformal_rank",
    "merge_intervals",
    "merge_sets",
    "select_narrowest",
]
