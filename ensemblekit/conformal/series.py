"""AdaptiveConformalRegressor: intervals of a series whose distribution may shift."""

from decimal import Decimal

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted

from .._members import is_frozen
from .._rows import fit_rows, last_rows
from .._sklearn import (
    HasMethods,
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
    _safe_indexing,
    check_input_features,
)
from ..quantile_members._base import check_new, check_target
from ._adaptive_states import AUTO, make_state
from ._estimator import point_predictions
from ._wrapped import WrapsRegressorMixin
from .online import moved_ends
from .ranks import exact_levels, warn_if_infeasible

__all__ = ["AdaptiveConformalRegressor"]


class AdaptiveConformalRegressor(WrapsRegressorMixin, RegressorMixin, BaseEstimator):
    """Predict intervals that cover 1 - alpha of a series, even when it shifts.

    Adaptive conformal inference: the interval is the prediction plus and minus a past
    absolute residual; each row that it misses widens the next ones, each that it holds
    narrows them. `fit` trains on the first rows and takes residuals of the later ones;
    `update` tells what came next. Rows are in time order throughout.

    Parameters
    ----------
    estimator : regressor
        The point model. A ``FrozenEstimator`` is not trained: residuals are those of
        all rows.
    alpha : float or array-like of shape (n_alphas,), default=0.1
        Miscoverage to aim at, in (0, 1); with several each is followed by itself, and
        intervals of two may not be nested.
    gamma : float or "auto", default=0.005
        Step of the level, in (0, 1): large follows shifts soon, and makes intervals
        vary more. ``"auto"`` follows eight steps from 0.001 to 0.128 at once and mixes
        their levels by how well each has done of late [2]_.
    window : int or None, default=None
        Number of latest residuals to take thresholds from; None is all.
    calibration_size : float or int, default=0.25
        Last rows of fit, held out of training for the first residuals: a share in
        (0, 1), rounded up, or a number >= 1.
    refit : bool, default=False
        Whether to train on all rows of fit once the residuals are taken. The long-run
        coverage holds either way; the first residuals are then of another model.

    Attributes
    ----------
    estimator_ : fitted regressor
    alpha_t_ : ndarray of shape (n_alphas,), float64
        Miscoverage of the next row's interval; may leave [0, 1] by a step.
    n_updates_ : int
        Rows of `update` so far.
    n_missed_ : ndarray of shape (n_alphas,), int64
        Those of them that their intervals missed.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    ValueError
        If y is not finite, or too few rows are left to train on.

    Notes
    -----
    After T rows of `update`, the share that was missed is within
    ``(max(alpha, 1 - alpha) + gamma) / (T * gamma)`` of alpha, whatever the rows are:
    no assumption on the series or the model [1]_. To keep it, an interval is infinite
    where ``alpha_t_`` is 0 or less, or too small for the residuals seen; where it is 1
    or more, it is the prediction alone, and counts as missed. With ``gamma="auto"`` no
    such bound is known.

    `update` does not train the model: fit again to do so. Further keywords of fit, such
    as sample_weight, go to the fit of `estimator`; rows of weight 0 are as if they were
    not there.

    References
    ----------
    .. [1] Gibbs, Candes, "Adaptive Conformal Inference Under Distribution Shift",
       NeurIPS 2021.
    .. [2] Gibbs, Candes, "Conformal Inference for Online Prediction with Arbitrary
       Distribution Shifts", Journal of Machine Learning Research 25, 2024.

    See Also
    --------
    adaptive_interval : the same for forecasts and outcomes alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> X = np.arange(100.0)[:, None]
    >>> y = X[:, 0] + np.tile([-1.0, 1.0], 50)
    >>> model = AdaptiveConformalRegressor(LinearRegression(), gamma=0.05).fit(X, y)
    >>> model.predict_interval([[100.0]]).round()
    array([[ 99., 101.]])
    >>> model.update([[100.0], [101.0]], [109.0, 93.0]).n_missed_
    array([1])
    >>> model.predict_interval([[102.0]]).round()
    array([[ 93., 111.]])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "alpha": [Real, Decimal, str, "array-like"],  # exact_levels has the range
        "gamma": [Interval(Real, 0, 1, closed="neither"), StrOptions({AUTO})],
        "window": [Interval(Integral, 1, None, closed="left"), None],
        "calibration_size": [
            Interval(Real, 0, 1, closed="neither"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "refit": ["boolean"],
    }

    def __init__(
        self,
        estimator,
        *,
        alpha=0.1,
        gamma=0.005,
        window=None,
        calibration_size=0.25,
        refit=False,
    ):
        self.estimator = estimator
        self.alpha = alpha
        self.gamma = gamma
        self.window = window
        self.calibration_size = calibration_size
        self.refit = refit

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, **fit_params):
        """Train on the first rows, take the residuals of the later ones.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        **fit_params : dict
            Keywords of the estimator's fit; arrays go along with the rows.

        Returns
        -------
        self : AdaptiveConformalRegressor
        """
        X, y = self._begin(X, y)
        params, weight = self._fit_arguments(X, fit_params)
        train, later = last_rows(
            len(y),
            self.calibration_size,
            weight=weight,
            trained=is_frozen(self.estimator),
        )
        model = fit_rows(clone(self.estimator), X, y, train, params)
        scores = np.abs(y[later] - point_predictions(model, _safe_indexing(X, later)))
        if self.refit:
            rows = np.concatenate([train, later])
            model = fit_rows(clone(self.estimator), X, y, rows, params)
        return self._start(model, scores)

    def calibrate(self, X, y):
        """Start from the residuals of these rows, which the model must not have seen.

        The model is that of an earlier fit if there was one, else `estimator` as it is,
        which must be fitted.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)

        Returns
        -------
        self : AdaptiveConformalRegressor
        """
        self._validate_params()
        X = check_input_features(self, X, reset=not hasattr(self, "estimator_"))
        y = check_target(self, X, y)
        model = getattr(self, "estimator_", self.estimator)
        check_is_fitted(model)
        return self._start(model, np.abs(y - point_predictions(model, X)))

    def update(self, X, y):
        """Tell what came next: one row or many, in time order.

        Each row counts as missed or not by the interval that it would have got with all
        rows before it told: predict and update row by row to have had that one.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)

        Returns
        -------
        self : AdaptiveConformalRegressor
            The same as after as many calls with a row each.
        """
        X = check_new(self, X)
        y = check_target(self, X, y)
        for score in np.abs(y - point_predictions(self.estimator_, X)).tolist():
            self._state.add(score, self._state.issue())
        return self._tell()

    def partial_fit(self, X, y):
        """Update, or fit where nothing is fitted yet.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)

        Returns
        -------
        self : AdaptiveConformalRegressor
        """
        return self.update(X, y) if hasattr(self, "alpha_t_") else self.fit(X, y)

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

    def predict_interval(self, X, alpha=None):
        """Predict intervals for rows that come next, at the level of now.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        alpha : float or array-like of shape (n_alphas,), default=None
            One or several of those of the constructor, which alone are followed; None
            is these.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, 2, n_alphas), float64
            Infinite where ``alpha_t_`` is 0 or less, or too small for the residuals
            seen; an InfeasibleRankWarning tells where alpha itself is.
        """
        X = check_new(self._fitted(), X)
        at, single = self._positions(self.alpha if alpha is None else alpha)
        centre = point_predictions(self.estimator_, X)[:, None]
        least = min(self._state.alphas[a] for a in at)
        warn_if_infeasible(len(self._state.scores), least)
        thresholds = np.array(self._state.issue().thresholds)[at]
        interval = moved_ends(centre, centre, thresholds)
        return interval[:, :, 0] if single else interval

    def _fitted(self):
        check_is_fitted(self, "alpha_t_")
        return self

    def _start(self, model, scores):
        alphas, _ = exact_levels(self.alpha)
        self.estimator_ = model
        self._state = make_state(alphas, self.gamma, self.window, scores)
        return self._tell()

    def _tell(self):
        self.alpha_t_ = np.array(self._state.issue().levels)
        self.n_updates_ = self._state.n_rows
        self.n_missed_ = np.array(self._state.n_missed, dtype=np.int64)
        return self

    def _positions(self, alpha):
        wanted, single = exact_levels(alpha)
        followed = self._state.alphas
        unknown = [float(a) for a in wanted if a not in followed]
        if unknown:
            raise ValueError(
                f"alpha is {unknown[0]:.6g}; expected one of "
                f"{[float(a) for a in followed]}, the levels that are followed. Give "
                "all of them to the constructor."
            )
        return [followed.index(a) for a in wanted], single
