"""Selective prediction: knowing when not to answer.

Two reasons to abstain: another training of the pipeline could change the answer, and
the answer is probably wrong. Consistency is not correctness; the two can be chained.

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
from .rashomon import (
    RashomonCapacity,
    ambiguity,
    disagreement,
    discrepancy,
    rashomon_capacity,
    rashomon_set,
    viable_prediction_range,
)
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
    "ambiguity",
    "ambiguity_decomposition",
    "cascade_curve",
    "certified_radius",
    "disagreement",
    "discrepancy",
    "diversity_report",
    "multiplicity_report",
    "pairwise_diversity",
    "rashomon_capacity",
    "rashomon_set",
    "residual_correlation",
    "viable_prediction_range",
]
