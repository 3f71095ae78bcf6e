"""Displays: what was fitted, and how it does, drawn with matplotlib (extra ``report``).

Each keeps its numbers as attributes and draws them with ``plot(ax=None)``;
``from_estimator`` and ``from_predictions`` compute them. No figure goes through pyplot.

- `ArchiveDisplay`: many good ensembles of a population search.
- `FrontierDisplay`: loss against cost of a greedy selection.
- `DiversityDisplay`: how alike members err, clustered.
- `LossPathDisplay`: loss after each step of a search.
- `WeightsDisplay`: what each member weighs, with intervals.
"""

from .archive import ArchiveDisplay
from .diversity import DiversityDisplay
from .frontier import FrontierDisplay
from .loss_path import LossPathDisplay
from .weights import WeightsDisplay

__all__ = [
    "ArchiveDisplay",
    "DiversityDisplay",
    "FrontierDisplay",
    "LossPathDisplay",
    "WeightsDisplay",
]
