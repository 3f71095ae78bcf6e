"""Scores of predictive distributions: quantiles, intervals and ensembles of draws.

Lower is better. They take arrays and know no estimator:

- `pinball_loss`, `interval_score`, `weighted_interval_score`: quantiles and intervals;
- `crps_from_quantiles`, `crps_from_ensemble`: whole distributions;
- `interval_coverage`: how often intervals hold the target, by group, with exact bands;
- `pit_from_quantiles`, `pit_from_ensemble`: uniform where forecasts are calibrated.
"""

from .coverage import interval_coverage
from .crps import crps_from_ensemble, crps_from_quantiles
from .pit import pit_from_ensemble, pit_from_quantiles
from .scores import interval_score, pinball_loss, weighted_interval_score

__all__ = [
    "crps_from_ensemble",
    "crps_from_quantiles",
    "interval_coverage",
    "interval_score",
    "pinball_loss",
    "pit_from_ensemble",
    "pit_from_quantiles",
    "weighted_interval_score",
]
