"""Selective prediction: knowing when not to answer.

Two reasons to abstain: another training of the pipeline could change the answer, and
the answer is probably wrong. Consistency is not correctness; to have both, answer where
both do.

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
- `SelectiveVotingClassifier`: a pipeline trained several times, which abstains where
  another training could answer otherwise. `selective_vote`, `vote_counts`,
  `selective_cutoffs` for arrays (`SelectiveVote`).
- `required_members`, `estimate_agreement`, `conflict_bound`: how many members that
  takes (`RequiredMembers`), and what it promises.
- `selective_attributions`, `attribution_consistency`: explanations on which members
  agree (`SelectiveAttributions`).
- `multiplicity_report`: how far equally good members differ on each row, from
  `rashomon_set`, `viable_prediction_range`, `ambiguity`, `discrepancy`, `disagreement`
  and `rashomon_capacity`; `MultiplicityReport`, `RashomonCapacity`.
- `diversity_report`: how alike members err, from `pairwise_diversity`,
  `residual_correlation` and `ambiguity_decomposition`; `DiversityReport`,
  `PairwiseDiversity`, `AmbiguityDecomposition`.
- `PartitionVotingClassifier`: votes that a few poisoned training rows cannot turn;
  `certified_radius` of any members' scores, with `CertifiedVotes`.
- `CascadeClassifier`, `CascadeRegressor`: members ordered by cost; rows that are sure,
  or that no further member can change, leave early. `cascade_curve`: cost and loss at
  every window, for arrays.
"""

from .attributions import (
    SelectiveAttributions,
    attribution_consistency,
    selective_attributions,
)
from .cascade_classifier import CascadeClassifier
from .cascade_regressor import CascadeRegressor
from .certificates import (
    CertifiedVotes,
    certified_radius,
)
from .classifier import (
    ConfidenceSelection,
    SelectiveClassifier,
)
from .diversity import (
    AmbiguityDecomposition,
    DiversityReport,
    PairwiseDiversity,
    ambiguity_decomposition,
    diversity_report,
    pairwise_diversity,
    residual_correlation,
)
from .guarantee import (
    RiskThreshold,
    clopper_pearson_upper,
    ltt_threshold,
    sgr_threshold,
)
from .multiplicity import (
    MultiplicityReport,
    multiplicity_report,
)
from .partition import PartitionVotingClassifier
from .planning import (
    RequiredMembers,
    conflict_bound,
    estimate_agreement,
    required_members,
)
from .rashomon import (
    RashomonCapacity,
    ambiguity,
    disagreement,
    discrepancy,
    rashomon_capacity,
    rashomon_set,
    viable_prediction_range,
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
from .set_calibration import (
    SetCalibration,
    set_calibration_test,
)
from .uncertainty import (
    UncertaintyDecomposition,
    decompose_uncertainty,
    decompose_variance,
)
from .votes import (
    SelectiveVote,
    selective_cutoffs,
    selective_vote,
    vote_counts,
)
from .voting import SelectiveVotingClassifier
from .windows import (
    CascadeCurve,
    cascade_curve,
)

__all__ = [
    "AmbiguityDecomposition",
    "CascadeClassifier",
    "CascadeCurve",
    "CascadeRegressor",
    "CertifiedVotes",
    "ConfidenceSelection",
    "DiversityReport",
    "MultiplicityReport",
    "PairwiseDiversity",
    "PartitionVotingClassifier",
    "RashomonCapacity",
    "RequiredMembers",
    "RiskCoverageCurve",
    "RiskThreshold",
    "SelectiveAttributions",
    "SelectiveClassifier",
    "SelectiveVote",
    "SelectiveVotingClassifier",
    "SetCalibration",
    "UncertaintyDecomposition",
    "ambiguity",
    "ambiguity_decomposition",
    "attribution_consistency",
    "augrc",
    "augrc_scorer",
    "aurc",
    "aurc_scorer",
    "cascade_curve",
    "certified_radius",
    "clopper_pearson_upper",
    "conflict_bound",
    "coverage_at_risk",
    "decompose_uncertainty",
    "decompose_variance",
    "disagreement",
    "discrepancy",
    "diversity_report",
    "e_aurc",
    "estimate_agreement",
    "ltt_threshold",
    "multiplicity_report",
    "pairwise_diversity",
    "rashomon_capacity",
    "rashomon_set",
    "rejection_cost_scorer",
    "required_members",
    "residual_correlation",
    "risk_at_coverage",
    "risk_coverage_curve",
    "selective_accuracy_scorer",
    "selective_attributions",
    "selective_cutoffs",
    "selective_vote",
    "set_calibration_test",
    "sgr_threshold",
    "viable_prediction_range",
    "vote_counts",
]
