"""default_quantile_members: a good, fast library of quantile members."""

from importlib.util import find_spec

from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from ..members import encode_categories, scale_and_encode
from .forest import ForestQuantileRegressor
from .per_level import PerLevelQuantileRegressor
from .residual import ResidualQuantileRegressor

__all__ = ["default_quantile_members"]


def default_quantile_members():
    """Return diverse members that predict quantiles, for tables of any columns.

    Boosting at each level (LightGBM and XGBoost when installed, else scikit-learn's
    histogram boosting), a random forest and extra trees by their leaves, and a ridge
    regression with scaled residuals. Each takes arrays and data frames with missing
    values; columns that are not numbers are encoded. scikit-learn's linear quantile
    regression is not among them, as the slowest by far: a linear program a level.

    Returns
    -------
    members : list of (str, Pipeline)
        With ``random_state=None`` and ``quantile_levels=None``, which a
        `StackedQuantileRegressor` sets; all use one thread and accept sample weights.

    Examples
    --------
    >>> [name for name, _ in default_quantile_members()][-3:]
    ['random_forest', 'extra_trees', 'linear']
    """
    boosting = [(name, PerLevelQuantileRegressor(m)) for name, m in _boosting()]
    forests = [
        ("random_forest", RandomForestRegressor(min_samples_leaf=5, max_features=0.5)),
        ("extra_trees", ExtraTreesRegressor(min_samples_leaf=5)),
    ]
    models = [*boosting, *((n, ForestQuantileRegressor(f)) for n, f in forests)]
    members = [(name, make_pipeline(encode_categories(), m)) for name, m in models]
    spread = ExtraTreesRegressor(50, min_samples_leaf=20)
    linear = ResidualQuantileRegressor(Ridge(), scale=spread)
    return [*members, ("linear", make_pipeline(scale_and_encode(), linear))]


def _boosting():
    found = []
    if find_spec("lightgbm"):
        import lightgbm

        settings: dict = {"n_estimators": 150, "learning_rate": 0.06, "num_leaves": 16}
        model = lightgbm.LGBMRegressor(**settings, n_jobs=1, verbose=-1)
        found.append(("lightgbm", model))
    if find_spec("xgboost"):
        import xgboost

        settings = {"n_estimators": 100, "learning_rate": 0.08, "max_depth": 4}
        found.append(("xgboost", xgboost.XGBRegressor(**settings, n_jobs=1)))
    if not found:
        model = HistGradientBoostingRegressor(max_leaf_nodes=16, learning_rate=0.06)
        found.append(("hist_gradient_boosting", model))
    return found
