"""Selective prediction: knowing when not to answer.

Two reasons to abstain: another training of the pipeline could change the answer, and
the answer is probably wrong. Consistency is not correctness; the two can be chained.

- `SelectiveClassifier`: abstain where the answer is probably wrong, at a coverage, a
  cost or a guaranteed risk; `ConfidenceSelection`, what it predicts.
- `sgr_threshold`, `ltt_threshold`: thresholds of guaranteed risk, for arrays;
  `RiskThreshold`, `clopper_pearson_upper`.
- `risk_coverage_curve`, `aurc`, `e_aurc`, `augrc`, `coverage_at_risk`,
  `risk_at_coverage`: what a confidence is worth; `RiskCoverageCurve`.
- `rejection_cost_scorer`, `selective_accuracy_scorer`, `aurc_scorer`, `augrc_scorer`:
  scorers that see abstentions.
- `decompose_uncertainty`, `decompose_variance`: noise and disagreement of members;
  `UncertaintyDecomposition`. `set_calibration_test`: whether some mixture of them is
  calibrated; `SetCalibration`.
"""

from .classifier import ConfidenceSelection, SelectiveClassifier
from .guarantee import (
    RiskThreshold,
    clopper_pearson_upper,
    ltt_threshold,
    sgr_threshold,
)
from .risk_coverage import (
    RiskCoverageCurve,
    augrc,
    aurc,
    coverage_at_risk,
    e_aurc,
    risk_at_coverage,
    risk_coverage_curve,
)
from .scorers import (
    augrc_scorer,
    aurc_scorer,
    rejection_cost_scorer,
    selective_accuracy_scorer,
)
from .set_calibration import SetCalibration, set_calibration_test
from .uncertainty import (
    UncertaintyDecomposition,
    decompose_uncertainty,
    decompose_variance,
)

__all__ = [
    "ConfidenceSelection",
    "RiskCoverageCurve",
    "RiskThreshold",
    "SelectiveClassifier",
    "SetCalibration",
    "UncertaintyDecomposition",
    "augrc",
    "augrc_scorer",
    "aurc",
    "aurc_scorer",
    "clopper_pearson_upper",
    "coverage_at_risk",
    "decompose_uncertainty",
    "decompose_variance",
    "e_aurc",
    "ltt_threshold",
    "rejection_cost_scorer",
    "risk_at_coverage",
    "risk_coverage_curve",
    "selective_accuracy_scorer",
    "set_calibration_test",
    "sgr_threshold",
]
