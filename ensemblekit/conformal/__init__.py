"""Conformal calibration: intervals and sets with finite-sample coverage.

Combine first, calibrate once: the estimators wrap one model, which may be a stack.

- `conformal_rank`, `conformal_quantile`: the exact rank, and the score at it.
- `ConformalClassifier`: sets of classes; `conformal_set_scores`, `conformal_sets`: the
  same from probabilities alone.
- `MultiOutputConformalRegressor`: boxes and ellipsoids for several outputs at once.
"""

from .classifier import ConformalClassifier
from .multi_output import MultiOutputConformalRegressor
from .ranks import conformal_quantile, conformal_rank
from .sets import conformal_set_scores, conformal_sets

__all__ = [
    "ConformalClassifier",
    "MultiOutputConformalRegressor",
    "conformal_quantile",
    "conformal_rank",
    "conformal_set_scores",
    "conformal_sets",
]
