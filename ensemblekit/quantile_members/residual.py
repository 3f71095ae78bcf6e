"""ResidualQuantileRegressor: a point model and the quantiles of its residuals."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from .._levels import weighted_quantiles
from .._routing import Routed
from .._sklearn import HasMethods, _fit_context
from ..crossfit import CrossFit
from ._base import QuantileMemberMixin, weight_arguments

__all__ = ["ResidualQuantileRegressor"]

# A model of |residual| may predict none, or less: this share of their mean at least.
_LEAST_SCALE = 0.01


class ResidualQuantileRegressor(QuantileMemberMixin, RegressorMixin, BaseEstimator):
    """Add the quantiles of held-out residuals to the predictions of any regressor.

    The point model is cross-fitted; the quantiles of ``y`` minus its held-out
    predictions are added to what the model of all rows predicts. With `scale`, a second
    model predicts the size of the residuals, and quantiles are those of residuals
    divided by it: intervals are then wide where y is uncertain.

    Parameters
    ----------
    estimator : regressor
        The point model.
    quantile_levels : array-like of shape (n_levels,), default=None
        Ascending in (0, 1). None means those of the stack that this is a member of,
        else 0.05, 0.1, 0.25, 0.5, 0.75, 0.9 and 0.95.
    cv : int, splitter or iterable of (train, test), default=5
        Must hold out each row exactly once.
    scale : regressor or None, default=None
        Model of the absolute residuals, cross-fitted as well; None means that all rows
        have residuals of one distribution. Predictions below 0.01 times the mean
        absolute residual are raised to that.

    Attributes
    ----------
    quantile_levels_ : ndarray of shape (n_levels,), float64
    residual_quantiles_ : ndarray of shape (n_levels,), float64
        In the unit of y; with `scale` as multiples of the predicted size.
    estimator_ : fitted regressor
        On all rows.
    scale_ : fitted regressor or None
        On all rows.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    MemberError
        If the model fails; names the fold.
    ValueError
        If levels are unfit, or X and y are of different length or not finite.

    Notes
    -----
    Exact is only this: of a model that depends on none of the rows (one trained
    elsewhere), for independent rows and continuous residuals, the quantiles at the a-th
    and the b-th of n residuals cover a new row with probability (b - a) / (n + 1).
    Cross-fitted residuals come from models of fewer rows than `estimator_` has seen,
    and are no quite independent: coverage is then near the nominal, not guaranteed.

    References
    ----------
    .. [1] Papadopoulos, Proedrou, Vovk, Gammerman, "Inductive Confidence Machines for
       Regression", ECML 2002.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = ResidualQuantileRegressor(Ridge(0.1), [0.1, 0.5, 0.9]).fit(X, y)
    >>> model.residual_quantiles_.round()
    array([-66.,  -4.,  77.])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "quantile_levels": ["array-like", None],
        "cv": ["cv_object"],
        "scale": [HasMethods(["fit", "predict"]), None],
    }

    def __init__(self, estimator, quantile_levels=None, *, cv=5, scale=None):
        self.estimator = estimator
        self.quantile_levels = quantile_levels
        self.cv = cv
        self.scale = scale

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Cross-fit the point model, take its residuals' quantiles, fit it on all rows.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; reaches the models and the quantiles.

        Returns
        -------
        self : ResidualQuantileRegressor
        """
        X, y, weight = self._begin(X, y, sample_weight)
        folds, held_out = cross_fit_model(self.estimator, self.cv, X, y, weight)
        residuals = y - held_out
        used = np.ones(len(y)) if weight is None else weight
        self.scale_ = None
        self._least = _LEAST_SCALE * np.average(np.abs(residuals), weights=used) or 1.0
        if self.scale is not None:
            sizes = np.abs(residuals)
            scales, held_out = cross_fit_model(
                self.scale, folds.splits_, X, sizes, weight
            )
            residuals = residuals / np.maximum(held_out, self._least)
            self.scale_ = scales.estimators_["estimator"]
        self.residual_quantiles_ = weighted_quantiles(
            residuals, used, self.quantile_levels_
        )
        self.estimator_ = folds.estimators_["estimator"]
        return self

    def _quantiles(self, X):
        centre = np.asarray(self.estimator_.predict(X), dtype=np.float64)
        steps = self.residual_quantiles_
        if self.scale_ is None:
            return centre[:, None] + steps
        return centre[:, None] + np.outer(
            np.maximum(self.scale_.predict(X), self._least), steps
        )


def cross_fit_model(estimator, cv, X, y, weight, refit="all"):
    """Return the cross-fit of one model, on all rows as well, and what it held out."""
    members = [("estimator", estimator)]
    routed = Routed({"estimator": weight_arguments(estimator, weight)}, {}, {})
    folds = CrossFit(members, cv=cv, refit=refit)
    folds._fit(X, y, members, routed, weight, every_row_for="A model of residuals")
    return folds, folds.oof_predictions_[:, 0]
