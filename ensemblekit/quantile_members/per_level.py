"""PerLevelQuantileRegressor: one model for each quantile level."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.pipeline import Pipeline

from .._levels import sort_levels
from .._sklearn import HasMethods, StrOptions, _fit_context
from ._base import QuantileMemberMixin, weight_arguments

__all__ = ["PerLevelQuantileRegressor"]

# Class, the parameter of the level, and what else makes it predict quantiles.
_KNOWN: dict[str, tuple[str, dict]] = {
    "LGBMRegressor": ("alpha", {"objective": "quantile"}),
    "XGBRegressor": ("quantile_alpha", {"objective": "reg:quantileerror"}),
    "HistGradientBoostingRegressor": ("quantile", {"loss": "quantile"}),
    "GradientBoostingRegressor": ("alpha", {"loss": "quantile"}),
    "QuantileRegressor": ("quantile", {}),
}
# These fit all levels in one model.
_ALL_AT_ONCE = ("XGBRegressor",)


class PerLevelQuantileRegressor(QuantileMemberMixin, RegressorMixin, BaseEstimator):
    """Fit a clone of a quantile regressor at each level.

    LightGBM, XGBoost (one model of all levels), scikit-learn's gradient boosting, with
    and without histograms, and its linear quantile regression are known by name; others
    by the name of their parameter. Quantiles of different clones may cross: each row is
    sorted, which never raises the pinball loss summed over the levels.

    Parameters
    ----------
    estimator : regressor
        Predicts one quantile, whose level is one of its parameters. Of a pipeline, the
        last step is meant.
    quantile_levels : array-like of shape (n_levels,), default=None
        Ascending in (0, 1). None means those of the stack that this is a member of,
        else 0.05, 0.1, 0.25, 0.5, 0.75, 0.9 and 0.95.
    parameter : str, default="auto"
        Name of the parameter of `estimator` that is the level, as ``set_params`` takes
        it (``"step__quantile"``); set as it is and nothing else. ``"auto"`` knows the
        classes above and their objective.

    Attributes
    ----------
    quantile_levels_ : ndarray of shape (n_levels,), float64
    estimators_ : list of estimator
        One for each level; one in all for XGBoost.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    ValueError
        If the parameter of the level is unknown, levels are unfit, X and y differ in
        length, or weights are given that `estimator` does not take.

    References
    ----------
    .. [1] Koenker, Bassett, "Regression Quantiles", Econometrica 46, 1978.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import HistGradientBoostingRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> boosting = HistGradientBoostingRegressor(max_iter=20, random_state=0)
    >>> model = PerLevelQuantileRegressor(boosting, [0.1, 0.5, 0.9]).fit(X, y)
    >>> [member.quantile for member in model.estimators_]
    [0.1, 0.5, 0.9]
    >>> model.predict_quantiles(X[:2]).shape
    (2, 3)
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "quantile_levels": ["array-like", None],
        "parameter": [StrOptions({"auto"}), str],
    }

    def __init__(self, estimator, quantile_levels=None, *, parameter="auto"):
        self.estimator = estimator
        self.quantile_levels = quantile_levels
        self.parameter = parameter

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Fit one clone for each level.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative.

        Returns
        -------
        self : PerLevelQuantileRegressor
        """
        X, y, weight = self._begin(X, y, sample_weight)
        levels = self.quantile_levels_.tolist()
        name, fixed, at_once = self._find_parameter()
        values = [levels] if at_once else levels
        models = [self._clone_at(name, value, fixed) for value in values]
        keywords = weight_arguments(self.estimator, weight)
        self.estimators_ = [model.fit(X, y, **keywords) for model in models]
        return self

    def _quantiles(self, X):
        blocks = [np.asarray(model.predict(X), float) for model in self.estimators_]
        quantiles = np.column_stack(blocks)
        return sort_levels(quantiles)[0]

    def _find_parameter(self):
        """Return the level's parameter, other settings, and if all levels are one fit.

        Raises
        ------
        ValueError
            If the estimator has no such parameter, or its class is unknown.
        """
        prefix, last = "", self.estimator
        while isinstance(last, Pipeline):
            step, last = last.steps[-1]
            prefix += f"{step}__"
        if self.parameter != "auto":
            known = sorted(self.estimator.get_params(deep=True))
            if self.parameter not in known:
                raise ValueError(
                    f"{type(last).__name__} has no parameter {self.parameter!r} to be "
                    f"the quantile level. Expected one of {known}."
                )
            return self.parameter, {}, False
        ancestors = [kind.__name__ for kind in type(last).__mro__]
        for kind, (name, fixed) in _KNOWN.items():
            if kind in ancestors:
                fixed = {f"{prefix}{key}": value for key, value in fixed.items()}
                return f"{prefix}{name}", fixed, kind in _ALL_AT_ONCE
        raise ValueError(
            f"parameter='auto' does not know how {type(last).__name__} is told its "
            f"quantile level. Expected one of {sorted(_KNOWN)}; else give parameter, "
            "the name of the parameter that is the level."
        )

    def _clone_at(self, name, level, fixed):
        return clone(self.estimator).set_params(**{name: level}, **fixed)
