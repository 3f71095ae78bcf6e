"""Selective prediction: knowing when not to answer.

Two reasons to abstain: another training of the pipeline could change the answer, and
the answer is probably wrong. Consistency is not correctness; the two can be chained.

- `CascadeClassifier`, `CascadeRegressor`: members ordered by cost; rows that are sure,
  or that no further member can change, leave early. `cascade_curve`: cost and loss at
  every window, for arrays.
"""

from .cascade_classifier import CascadeClassifier
from .cascade_regressor import CascadeRegressor
from .windows import (
    CascadeCurve,
    cascade_curve,
)

__all__ = [
    "CascadeClassifier",
    "CascadeCurve",
    "CascadeRegressor",
    "cascade_curve",
]
