"""Selective prediction: knowing when not to answer.

Two reasons to abstain: another training of the pipeline could change the answer, and
the answer is probably wrong. Consistency is not correctness; the two can be chained.

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
from .diversity import (
    AmbiguityDecomposition,
    DiversityReport,
    PairwiseDiversity,
    ambiguity_decomposition,
    diversity_report,
    pairwise_diversity,
    residual_correlation,
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
    "DiversityReport",
    "MultiplicityReport",
    "PairwiseDiversity",
    "PartitionVotingClassifier",
    "RashomonCapacity",
    "RequiredMembers",
    "SelectiveAttributions",
    "SelectiveVote",
    "SelectiveVotingClassifier",
    "ambiguity",
    "ambiguity_decomposition",
    "attribution_consistency",
    "cascade_curve",
    "certified_radius",
    "conflict_bound",
    "disagreement",
    "discrepancy",
    "diversity_report",
    "estimate_agreement",
    "multiplicity_report",
    "pairwise_diversity",
    "rashomon_capacity",
    "rashomon_set",
    "required_members",
    "residual_correlation",
    "selective_attributions",
    "selective_cutoffs",
    "selective_vote",
    "viable_prediction_range",
    "vote_counts",
]
