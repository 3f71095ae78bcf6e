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
"""

from .attributions import (
    SelectiveAttributions,
    attribution_consistency,
    selective_attributions,
)
from .planning import (
    RequiredMembers,
    conflict_bound,
    estimate_agreement,
    required_members,
)
from .votes import SelectiveVote, selective_cutoffs, selective_vote, vote_counts
from .voting import SelectiveVotingClassifier

__all__ = [
    "RequiredMembers",
    "SelectiveAttributions",
    "SelectiveVote",
    "SelectiveVotingClassifier",
    "attribution_consistency",
    "conflict_bound",
    "estimate_agreement",
    "required_members",
    "selective_attributions",
    "selective_cutoffs",
    "selective_vote",
    "vote_counts",
]
