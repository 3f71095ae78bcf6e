"""ConformalPredictiveRegressor: a calibrated distribution around any regressor."""

from decimal import Decimal

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import cross_val_predict
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._members import is_frozen, with_seed
from .._rows import calibration_rows, fit_rows, residual_folds
from .._sklearn import (
    HasMethods,
    Integral,
    Interval,
    Real,
    _check_method_params,
    _fit_context,
    _safe_indexing,
    check_input_features,
    check_sample_weight,
)
from ..exceptions import describe_rows
from ..quantile_members._base import check_new, check_target
from ._estimator import draw_seed, point_predictions
from ._grouped import GroupedResiduals
from ._groups import check_groups
from ._wrapped import WrapsRegressorMixin
from .distributions import (
    check_between,
    exact_quantile_levels,
    half_mean_difference,
    standard_errors,
)
from .ranks import exact_levels

__all__ = ["ConformalPredictiveRegressor"]

# A model of |residual| may predict none, or less: this share of their mean at least.
_LEAST_SCALE = 0.01


class ConformalPredictiveRegressor(WrapsRegressorMixin, RegressorMixin, BaseEstimator):
    """Predict calibrated distributions: a regressor and its residuals elsewhere.

    Some rows are held out of training; the distribution of a new target is its
    prediction plus their residuals. Where these rows and new ones are exchangeable,
    `pit` is exactly uniform, and intervals hold as much as they say. With `normalizer`,
    a model of the size of residuals makes distributions wide where y is uncertain; with
    groups, each has a distribution of its own, calibrated for itself.

    Parameters
    ----------
    estimator : regressor, default=None
        The point model. None means ``StackedRegressor()``. A ``FrozenEstimator`` is not
        trained: all rows calibrate, unless a normalizer is to be trained.
    calibration_size : float or int, default=0.25
        Rows held out of training, drawn at random: a share in (0, 1), rounded up, or a
        number >= 1. More rows make sharper statements about the tails.
    normalizer : regressor or None, default=None
        Model of the absolute residuals, trained on out-of-fold residuals of the rows
        that the point model is trained on; None means one scale for all. Predictions
        below 0.01 times the mean absolute residual are raised to that.
    alpha : float or array-like of shape (n_alphas,), default=0.1
        Miscoverage of `predict_interval`, in (0, 1).
    random_state : int, RandomState instance or None, default=None
        Draws the rows to hold out, and the ties of `pit`, and seeds what of the models
        has no seed. An int gives the same rows, models and distributions again.

    Attributes
    ----------
    estimator_ : fitted regressor
    normalizer_ : fitted regressor or None
    groups_ : ndarray of shape (n_groups,), or None
        Groups of the calibration rows, sorted; None without groups.
    residuals_ : list of ndarray of shape (n_rows_of_group,), float64
        Sorted residuals of each group, of all rows without groups; in the unit of y,
        with `normalizer` as multiples of the predicted size.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    ValueError
        If y is not finite, too few rows are left to train on, or groups do not fit.

    Notes
    -----
    A row costs one search in the n sorted residuals, for the distribution function as
    for the CRPS: O((n + n_samples) log n), and no (n, n_samples) matrix.

    A group that calibration has not seen gets infinite bounds and a warning.

    Further keywords of fit, such as sample_weight, go to the fit of `estimator`, those
    of the rows that it is trained on; calibration rows count alike, but for those of
    weight 0, which are as if they were not there.

    References
    ----------
    .. [1] Vovk, Petej, Nouretdinov, Manokhin, Gammerman, "Computationally efficient
       versions of conformal predictive distributions", Neurocomputing 397, 2020.
    .. [2] Bostrom, Johansson, Lofstrom, "Mondrian conformal predictive distributions",
       COPA 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = ConformalPredictiveRegressor(Ridge(0.1), random_state=0).fit(X, y)
    >>> model.predict_quantiles(X[:1], [0.1, 0.5, 0.9]).round()
    array([[133., 192., 265.]])
    >>> model.predict_cdf(X[:1], 150.0).round(2)
    array([0.19])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "calibration_size": [
            Interval(Real, 0, 1, closed="neither"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "normalizer": [HasMethods(["fit", "predict"]), None],
        "alpha": [Real, Decimal, str, "array-like"],  # exact_levels has the range
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        calibration_size=0.25,
        normalizer=None,
        alpha=0.1,
        random_state=None,
    ):
        self.estimator = estimator
        self.calibration_size = calibration_size
        self.normalizer = normalizer
        self.alpha = alpha
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, groups=None, **fit_params):
        """Train on some rows, calibrate on the others.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        groups : array-like of shape (n_samples,), default=None
            Group of each row; each is calibrated by itself.
        **fit_params : dict
            Keywords of the estimator's fit; arrays go along with the rows.

        Returns
        -------
        self : ConformalPredictiveRegressor
        """
        X, y = self._begin(X, y)
        params, weight = self._fit_arguments(X, fit_params)
        groups = check_groups(groups, len(y))
        seed = draw_seed(self.random_state)
        trained = all(is_frozen(model) for model in self._models())
        train, rows = calibration_rows(
            X,
            y,
            self.calibration_size,
            random_state=seed,
            weight=weight,
            trained=trained,
        )
        if trained:
            self._adopt()
        else:
            self._train(X, y, train, params, seed)
        groups = None if groups is None else groups[rows]
        return self._set_residuals(_safe_indexing(X, rows), y[rows], groups)

    def calibrate(self, X, y, *, groups=None):
        """Calibrate on all these rows, which fitted models must not have seen.

        Models are those of an earlier fit if there was one, else `estimator` and
        `normalizer` as they are, which must be fitted.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        groups : array-like of shape (n_samples,), default=None
            Group of each row; each is calibrated by itself.

        Returns
        -------
        self : ConformalPredictiveRegressor
        """
        self._validate_params()
        X = check_input_features(self, X, reset=not hasattr(self, "estimator_"))
        y = check_target(self, X, y)
        if not hasattr(self, "estimator_"):
            for model in self._models():
                check_is_fitted(model)
            self._adopt()
        return self._set_residuals(X, y, check_groups(groups, len(y)))

    def predict(self, X):
        """Predict points, as the wrapped estimator does.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        prediction : ndarray of shape (n_samples,), float64
        """
        return point_predictions(self._fitted().estimator_, check_new(self, X))

    def predict_cdf(self, X, y, *, between=0.5, groups=None):
        """Predict the distribution function at y.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : float, or array-like of shape (n_samples,) or (n_samples, n_values)
            Where to evaluate.
        between : float or array-like of the shape of y, default=0.5
            Where to be between the bounds that n residuals leave, which are
            1 / (n + 1) apart but for ties: 0 gives the lower, 1 the upper.
        groups : array-like of shape (n_samples,), default=None
            Group of each row, as in fit.

        Returns
        -------
        cdf : ndarray of shape (n_samples,) or (n_samples, n_values), float64
            In [0, 1]. In a group that calibration has not seen, it is `between`.
        """
        centre, scale = self._centre_and_scale(X)
        errors = standard_errors(centre, scale, y)
        between = np.broadcast_to(check_between(between, errors.shape), errors.shape)
        return self._grouped.cdf(groups, errors, between)

    def pit(self, X, y, *, groups=None):
        """Return the distribution function at targets, randomised: exactly uniform.

        Small is a target below what was expected, large one above; 1 minus it is the
        p-value of "not larger than expected".

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        groups : array-like of shape (n_samples,), default=None
            Group of each row, as in fit.

        Returns
        -------
        pit : ndarray of shape (n_samples,), float64
            In [0, 1]; the draws are the same at each call where `random_state` is int.
        """
        X = check_new(self._fitted(), X)
        y = check_target(self, X, y)
        draws = check_random_state(self.random_state).uniform(size=len(y))
        return self.predict_cdf(X, y, between=draws, groups=groups)

    def predict_quantiles(self, X, quantile_levels, *, groups=None):
        """Predict quantiles, outwards from the median.

        A quantile from the median on is not exceeded with at least the probability of
        its level; one below it is exceeded with at least one less that.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        quantile_levels : array-like of shape (n_levels,)
            Ascending in (0, 1).
        groups : array-like of shape (n_samples,), default=None
            Group of each row, as in fit.

        Returns
        -------
        quantiles : ndarray of shape (n_samples, n_levels), float64
            Ascending along each row; infinite, with an InfeasibleRankWarning, where
            there are too few residuals.
        """
        levels = exact_quantile_levels(quantile_levels)
        return self._quantiles(X, levels, groups)

    def predict_interval(self, X, alpha=None, *, groups=None):
        """Predict intervals with alpha / 2 on either side.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        alpha : float or array-like of shape (n_alphas,), default=None
            Miscoverage in (0, 1); None means that of the constructor.
        groups : array-like of shape (n_samples,), default=None
            Group of each row, as in fit.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, 2, n_alphas), float64
            Infinite, with an InfeasibleRankWarning, where there are too few residuals.
        """
        alphas, single = exact_levels(self.alpha if alpha is None else alpha)
        tails = [a / 2 for a in alphas] + [1 - a / 2 for a in alphas]
        ends = self._quantiles(X, tails, groups)
        lower, upper = ends[:, : len(alphas)], ends[:, len(alphas) :]
        interval = np.stack([lower, upper], axis=1)
        return interval[:, :, 0] if single else interval

    def crps(self, X, y, *, groups=None):
        """Score each row's distribution by the CRPS of its equally likely atoms.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        groups : array-like of shape (n_samples,), default=None
            Group of each row, as in fit.

        Returns
        -------
        crps : ndarray of shape (n_samples,), float64
            In the unit of y; lower is better; infinite in a group that calibration has
            not seen.
        """
        X = check_new(self._fitted(), X)
        y = check_target(self, X, y)
        centre, scale = self._centre_and_scale(X)
        errors = standard_errors(centre, scale, y)
        return scale * self._grouped.crps(groups, errors)

    def score(self, X, y, sample_weight=None, *, groups=None):
        """Return the CRPS skill: 1 minus mean CRPS over that of y's own distribution.

        To distributions what R^2 is to points: 1 is perfect; 0 is no better than the
        same distribution for all rows, that of these y.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; None weighs rows equally.
        groups : array-like of shape (n_samples,), default=None
            Group of each row, as in fit.

        Returns
        -------
        score : float
            At most 1; 0 where all y are equal.
        """
        crps = self.crps(X, y, groups=groups)
        y = check_target(self, X, y)
        weight = check_sample_weight(sample_weight, y)
        spread = half_mean_difference(y, weight / weight.sum())
        if spread == 0.0:
            return 0.0
        return float(1.0 - np.average(crps, weights=weight) / spread)

    def _wrapped(self):
        if self.estimator is not None:
            return self.estimator
        from ..stack import StackedRegressor

        return StackedRegressor()

    def _fitted(self):
        check_is_fitted(self, "residuals_")
        return self

    def _models(self):
        """Return the regressor, and the normalizer if there is one."""
        models = [self._wrapped(), self.normalizer]
        return [model for model in models if model is not None]

    def _adopt(self):
        """Take models that are trained already as they are."""
        self.estimator_, self.normalizer_ = self.estimator, self.normalizer
        self._least = 0.0  # a floor taken from calibration rows would bend ranks

    def _train(self, X, y, train, params, seed):
        model = with_seed(self._wrapped(), seed)
        self.estimator_ = fit_rows(clone(model), X, y, train, params)
        self.normalizer_ = None
        if self.normalizer is not None:
            params = _check_method_params(X, params, indices=train)
            self._fit_normalizer(
                model, _safe_indexing(X, train), y[train], params, seed
            )

    def _fit_normalizer(self, model, X, y, params, seed):
        folds = residual_folds(len(y), seed)
        held_out = cross_val_predict(model, X, y, cv=folds, params=params)
        sizes = np.abs(y - held_out)
        self._least = _LEAST_SCALE * sizes.mean() or 1.0
        self.normalizer_ = with_seed(self.normalizer, seed).fit(X, sizes)

    def _quantiles(self, X, levels, groups):
        centre, scale = self._centre_and_scale(X)
        steps = self._grouped.quantiles(groups, levels, len(centre))
        return centre[:, None] + scale[:, None] * steps

    def _centre_and_scale(self, X):
        X = check_new(self._fitted(), X)
        return self._points_and_sizes(X)

    def _points_and_sizes(self, X):
        centre = point_predictions(self.estimator_, X)
        if self.normalizer_ is None:
            return centre, np.ones(len(centre))
        scale = np.maximum(point_predictions(self.normalizer_, X), self._least)
        bad = np.flatnonzero(scale <= 0.0)
        if bad.size:
            raise ValueError(
                f"The normalizer predicts sizes of 0 or less ({describe_rows(bad)}); "
                "expected positive ones. Have fit train it, or predict their logarithm."
            )
        return centre, scale

    def _set_residuals(self, X, y, groups):
        centre, scale = self._points_and_sizes(X)
        residuals = standard_errors(centre, scale, y)
        self._grouped = GroupedResiduals(residuals, groups)
        self.groups_ = self._grouped.groups.names
        self.residuals_ = [part.sorted for part in self._grouped.parts]
        return self
