"""Conformal calibration: intervals and sets with finite-sample coverage.

Combine first, calibrate once: the estimators wrap one model, which may be a stack.

- `conformal_rank`, `conformal_quantile`: the exact rank, and the score at it.
"""

from .ranks import conformal_quantile, conformal_rank

__all__ = ["conformal_quantile", "conformal_rank"]
