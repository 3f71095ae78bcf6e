"""Displays: what was fitted, and how it does, drawn with matplotlib (extra ``report``).

Each keeps its numbers as attributes and draws them with ``plot(ax=None)``;
``from_estimator`` and ``from_predictions`` compute them. No figure goes through pyplot.

- `WeightsDisplay`: what each member weighs, with intervals.
- `LossPathDisplay`: loss after each step of a search.
- `DiversityDisplay`: how alike members err, clustered.
- `ReliabilityDisplay`: observed shares against predicted probabilities.
- `CoverageDisplay`: how often intervals hold the target, by group or width.
- `RiskCoverageDisplay`: errors among the rows answered against their share.
- `QuantileFanDisplay`: quantiles of each row as bands.
- `FrontierDisplay`: loss against cost of a greedy selection.
- `ArchiveDisplay`: many good ensembles of a population search.
"""

from .archive import ArchiveDisplay
from .coverage import CoverageDisplay
from .diversity import DiversityDisplay
from .fan import QuantileFanDisplay
from .frontier import FrontierDisplay
from .loss_path import LossPathDisplay
from .reliability import ReliabilityDisplay
from .risk_coverage import RiskCoverageDisplay
from .weights import WeightsDisplay

__all__ = [
    "ArchiveDisplay",
    "CoverageDisplay",
    "DiversityDisplay",
    "FrontierDisplay",
    "LossPathDisplay",
    "QuantileFanDisplay",
    "ReliabilityDisplay",
    "RiskCoverageDisplay",
    "WeightsDisplay",
]
