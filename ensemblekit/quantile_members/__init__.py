"""Members that predict quantiles: adapters of point models, and a default library."""

from .defaults import default_quantile_members
from .forest import ForestQuantileRegressor
from .per_level import PerLevelQuantileRegressor
from .residual import ResidualQuantileRegressor

__all__ = [
    "ForestQuantileRegressor",
    "PerLevelQuantileRegressor",
    "ResidualQuantileRegressor",
    "default_quantile_members",
]
