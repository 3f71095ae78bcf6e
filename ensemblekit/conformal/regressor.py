"""ConformalRegressor: intervals with finite-sample coverage around any regressor."""

from copy import copy
from decimal import Decimal
from importlib import import_module
from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from .._routing import merge_member_tags
from .._sklearn import (
    HasMethods,
    Integral,
    Interval,
    StrOptions,
    _fit_context,
    _num_samples,
    check_input_features,
    forget_fitted,
)
from ..layout import check_levels
from ..quantile_members._base import check_new, check_target, check_training
from ._envelope import nest, pair_levels, quantiles_of
from ._groups import check_groups
from .ranks import exact_level, exact_levels

__all__ = ["ConformalRegressor"]

# Each method: the module and its function that trains and calibrates, and the one that
# takes an estimator as it is. Both return an object with predict(X), intervals(X,
# levels, groups) and n_calibration.
_METHODS: dict[str, tuple[str, str, str | None]] = {
    "split": ("_split_method", "fit_split", "adopt_split"),
    "cv+": ("_cross_method", "fit_cross", None),
    "jackknife+ab": ("_bootstrap_method", "fit_bootstrap", None),
    **dict.fromkeys(
        ["cqr", "cqr-asymmetric", "cqr-m", "cqr-r"],
        ("_quantile_method", "fit_quantile", "adopt_quantile"),
    ),
}


class ConformalRegressor(RegressorMixin, BaseEstimator):
    """Intervals of a chosen coverage around the predictions of any regressor.

    `fit` trains the estimator and calibrates it on rows that it has not seen;
    `calibrate` does the second alone, for an estimator that is fitted already. For new
    rows exchangeable with those that calibrate, and without any other assumption,
    intervals of ``"split"`` and ``"cqr.."`` hold y with probability 1 - alpha at least.
    To combine several models, stack them first and calibrate the stack once.

    Parameters
    ----------
    estimator : regressor or None, default=None
        Of methods ``"cqr.."`` with ``predict_quantiles(X)`` and ``quantile_levels_``,
        or with ``predict_quantiles(X, levels)``; a pipeline may end in one. None means
        a StackedRegressor, or a StackedQuantileRegressor, of their default members.
        Where `quantile_levels` of the former are None, they are set to the median and
        the two levels of each alpha. A ``FrozenEstimator`` is not trained: all rows
        calibrate, where no normalizer is to be trained. Parameters ``random_state``
        that are None are seeded.
    method : str, default="split"
        - ``"split"``: absolute residuals of held-out rows; one width for all rows, or
          one in proportion to what `normalizer` tells.
        - ``"cv+"``: residuals of each fold around the models of the other folds; no
          row is lost to training. Around a StackedRegressor no member is fitted
          twice, around a StackedQuantileRegressor two quantiles are moved outward.
        - ``"jackknife+ab"``: bags of rows; the residual of each row around the mean of
          the models of bags without it.
        - ``"cqr"``: two quantiles, both moved outward by the same distance.
        - ``"cqr-asymmetric"``: each quantile moved by its own distance, with coverage
          alpha / 2 on each side.
        - ``"cqr-m"``: moved in proportion to the distance from the median.
        - ``"cqr-r"``: moved in proportion to the distance of the two quantiles.
    alpha : float, Fraction, Decimal or str, or a list of such, default=0.1
        Miscoverage in (0, 1): 0.1 for intervals of 90 %. A float is the fraction that
        its shortest decimal spells.
    calibration_size : float or int, default=0.25
        Share, rounded up, or number, of the rows that calibrate; of ``"split"`` and
        ``"cqr.."``, drawn with `random_state`. An alpha needs
        ``ceil((1 - alpha) / alpha)`` rows.
    cv : int, splitter or iterable of (train, test), default=None
        Of ``"cv+"`` the folds (None: 5), each row held out once. Of ``"split"`` and
        ``"cqr.."`` its first split: the test rows calibrate, in the place of
        `calibration_size`; an int draws one part in so many, at random.
    n_resamples : int, default=30
        Bags of ``"jackknife+ab"``.
    normalizer : regressor, "spread" or None, default=None
        Of ``"split"``: what residuals are divided by before they are ranked, so that
        intervals are wide where y is uncertain. A regressor learns absolute residuals
        that 5 folds of the training rows hold out. ``"spread"`` costs no fit: the
        distance of the outermost quantiles where the estimator predicts any, the
        standard deviation of the members' predictions where it is a StackedRegressor.
        0.01 times the standard deviation of y is added to both.
    likelihood_ratio : callable, X -> (n_samples,), default=None
        Of ``"split"`` and ``"cqr.."``: the density of new rows over that of the rows
        given, times any constant. Intervals then have their coverage under the new
        density; where new rows are far from all rows given, they are infinite.
    n_jobs : int, default=None
        Workers for the fits of ``"cv+"`` and ``"jackknife+ab"`` and of the default
        estimator; results do not depend on it.
    random_state : int, RandomState or None, default=None
        An int gives the same rows, models and intervals again.

    Attributes
    ----------
    calibrated_ : object
        The fitted method: models and calibration scores.
    n_calibration_ : int
        Rows that calibrate.
    group_counts_ : dict or None
        Rows that calibrate of each group; None without groups.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    ValueError
        If parameters do not go together, the first split of `cv` has common rows, X and
        y are of different length or not finite, or groups are given to one of fit and
        prediction only.

    Warns
    -----
    InfeasibleRankWarning
        In prediction, where there are too few calibration rows for an alpha, in all or
        of a group: those bounds are infinite.

    See Also
    --------
    interval_coverage, coverage_by_width : how often intervals hold y.

    Notes
    -----
    With ``groups`` in fit or calibrate and in prediction (Mondrian), coverage holds
    within each group; a group that no row calibrates has infinite bounds.
    ``sample_weight`` trains; ranks count rows, but for those of weight 0, which are as
    if they were not there.

    Given the rows that calibrate, coverage of ``"split"`` is a draw from
    Beta(k, n + 1 - k) with k = `conformal_rank`, where residuals are continuous. Of
    ``"cv+"`` and ``"jackknife+ab"`` about 1 - alpha is usual; proven is 1 - 2 alpha,
    for the former with one row a fold (less sqrt(2 / n) with more), for the latter with
    a random number of bags.

    ``"cv+"`` fits one model without each fold and one on all rows, for `predict`;
    ``cv=LeaveOneOut()`` makes it jackknife+. Groups go to the splitter there, and have
    no thresholds of their own; ``"jackknife+ab"`` takes none. A model that predicts
    quantiles is calibrated at them. Of a StackedRegressor or StackedQuantileRegressor
    no member is fitted a second time: the combiner alone is, on the out-of-fold
    predictions of the other folds, and `predict` takes the mean of the fold models.
    That is not quite CV+, for these predictions come from members that saw the fold
    left out: 1 - 2 alpha is proven for a pipeline that is fitted again as a whole
    without each fold, as a stack inside a Pipeline is.

    A negative distance of ``"cqr"`` and ``"cqr-asymmetric"`` may shrink an interval
    below nothing; it is then the point in its middle, where the empty set was meant.
    Quantiles beyond the outermost levels of an estimator are calibrated from these.

    References
    ----------
    .. [1] Papadopoulos, Proedrou, Vovk, Gammerman, "Inductive Confidence Machines for
       Regression", ECML 2002.
    .. [2] Barber, Candes, Ramdas, Tibshirani, "Predictive inference with the
       jackknife+", Annals of Statistics 49, 2021.
    .. [3] Kim, Xu, Barber, "Predictive inference is free with the
       jackknife+-after-bootstrap", NeurIPS 2020.
    .. [4] Romano, Patterson, Candes, "Conformalized Quantile Regression", NeurIPS 2019.
    .. [5] Sesia, Candes, "A comparison of some conformal quantile regression methods",
       Stat 9, 2020.
    .. [6] Tibshirani, Barber, Candes, Ramdas, "Conformal prediction under covariate
       shift", NeurIPS 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> X, y = load_diabetes(return_X_y=True)
    >>> conformal = ConformalRegressor(Ridge(0.1), random_state=0).fit(X, y)
    >>> conformal.n_calibration_
    111
    >>> conformal.predict_interval(X[:2]).round()
    array([[115., 282.],
           [-10., 156.]])
    >>> conformal.predict_interval(X[:2], alpha=[0.1, 0.5]).shape
    (2, 2, 2)
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "method": [StrOptions(set(_METHODS))],
        "alpha": [Real, Decimal, str, "array-like"],  # exact_levels has the range
        "calibration_size": [
            Interval(Real, 0, 1, closed="neither"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "cv": ["cv_object"],
        "n_resamples": [Interval(Integral, 1, None, closed="left")],
        "normalizer": [HasMethods(["fit", "predict"]), StrOptions({"spread"}), None],
        "likelihood_ratio": [callable, None],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        method="split",
        alpha=0.1,
        calibration_size=0.25,
        cv=None,
        n_resamples=30,
        normalizer=None,
        likelihood_ratio=None,
        n_jobs=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.method = method
        self.alpha = alpha
        self.calibration_size = calibration_size
        self.cv = cv
        self.n_resamples = n_resamples
        self.normalizer = normalizer
        self.likelihood_ratio = likelihood_ratio
        self.n_jobs = n_jobs
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, groups=None):
        """Train the estimator, and calibrate it on rows it has not seen.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; trains estimator and normalizer.
        groups : array-like of shape (n_samples,), default=None
            Of ``"split"`` and ``"cqr.."``: coverage holds within each group, and
            prediction needs groups too; they reach a splitter. Of ``"cv+"``: reaches
            the splitter, which holds out rows of one group together; prediction takes
            none.

        Returns
        -------
        self : ConformalRegressor
        """
        self._check_parameters()
        forget_fitted(self)
        X, y, weight = check_training(self, X, y, sample_weight)
        groups = check_groups(groups, len(y))
        self.calibrated_ = self._strategy(1)(self, X, y, weight, groups)
        self._fitted_method = self.method
        self._fitted_normalizer = self.normalizer
        return self

    @_fit_context(prefer_skip_nested_validation=False)
    def calibrate(self, X, y, groups=None):
        """Calibrate on all rows given, with a model that is trained on none of them.

        The model is that of an earlier `fit` or `calibrate`, else `estimator` itself,
        which is fitted then, and is not changed.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        groups : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : ConformalRegressor

        Raises
        ------
        NotFittedError
            If neither this nor `estimator` is fitted.
        ValueError
            If the method calibrates while it trains: ``"cv+"`` and ``"jackknife+ab"``.
        """
        self._check_parameters()
        if _METHODS[self.method][2] is None:
            raise ValueError(
                f"method={self.method!r} calibrates while it trains. Use fit, or "
                "method='split'."
            )
        fitted = hasattr(self, "calibrated_")
        if fitted and self._fitted_method != self.method:
            raise ValueError(
                f"The model was fitted with method={self._fitted_method!r}, and method "
                f"is {self.method!r} now. Fit again, or set it back."
            )
        if fitted and self._fitted_normalizer is not self.normalizer:
            raise ValueError(
                "normalizer is not the one that was fitted. Fit again, or set it back."
            )
        X = check_input_features(self, X, reset=not fitted)
        y = check_target(self, X, y)
        if not fitted and self.estimator is None:
            raise ValueError(
                "calibrate takes an estimator that is fitted, and estimator is None. "
                "Use fit, or give one."
            )
        if not fitted:
            check_is_fitted(self.estimator)
        method = self.calibrated_ if fitted else self._strategy(2)(self)
        method = copy(method)
        method.likelihood_ratio = self.likelihood_ratio
        self.calibrated_ = method.calibrate(X, y, check_groups(groups, len(y)))
        self._fitted_method = self.method
        self._fitted_normalizer = self.normalizer
        return self

    def predict(self, X):
        """Predict points: what the estimator predicts.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        prediction : ndarray of shape (n_samples,), float64
        """
        X = check_new(self, X)
        return self.calibrated_.predict(X)

    def predict_interval(self, X, alpha=None, groups=None):
        """Predict intervals; those of several alphas lie within each other.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        alpha : float or array-like of shape (n_alphas,), default=None
            Miscoverage in (0, 1); None means that of the constructor.
        groups : array-like of shape (n_samples,), default=None
            Where fit or calibrate was given groups.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, 2, n_alphas), float64
            Infinite where too few rows calibrate. Of several alphas, an interval is
            widened to hold those of less coverage.
        """
        X = check_new(self, X)
        levels, single = exact_levels(self.alpha if alpha is None else alpha)
        groups = check_groups(groups, _num_samples(X))
        bounds = nest(self.calibrated_.intervals(X, levels, groups), levels)
        return bounds[:, :, 0] if single else bounds

    def predict_quantiles(self, X, quantile_levels, groups=None):
        """Predict quantiles that are bounds of y from below and from above.

        Of ``"split"`` a level t below 1/2 bounds y from below, one above it from above,
        with probability ``max(t, 1 - t)`` at least; 1/2 is the middle of both. Of the
        other methods, levels t and 1 - t are the ends of the interval of alpha = 2 t,
        and 1/2 is what `predict` returns.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        quantile_levels : array-like of shape (n_levels,)
            Ascending in (0, 1).
        groups : array-like of shape (n_samples,), default=None
            Where fit or calibrate was given groups.

        Returns
        -------
        quantiles : ndarray of shape (n_samples, n_levels), float64
            Ascending along each row; infinite where too few rows calibrate.
        """
        X = check_new(self, X)
        levels = [exact_level(level) for level in check_levels(quantile_levels)]
        groups = check_groups(groups, _num_samples(X))
        if hasattr(self.calibrated_, "quantiles"):
            return self.calibrated_.quantiles(X, levels, groups)
        centre = self.calibrated_.predict(X)
        alphas = pair_levels(levels)
        if not alphas:
            return centre[:, np.newaxis]
        bounds = nest(self.calibrated_.intervals(X, alphas, groups), alphas)
        return quantiles_of(bounds, alphas, centre, levels)

    @property
    def n_calibration_(self):
        """Rows that calibrate."""
        check_is_fitted(self)
        return self.calibrated_.n_calibration

    @property
    def group_counts_(self):
        """Rows that calibrate of each group; None without groups."""
        check_is_fitted(self)
        return self.calibrated_.calibration.counts

    def _check_parameters(self):
        exact_levels(self.alpha)
        if self.normalizer is not None and self.method != "split":
            raise ValueError(
                f"method={self.method!r} takes no normalizer; use method='split', or "
                "normalizer=None."
            )
        if self.likelihood_ratio is not None and self.method in ("cv+", "jackknife+ab"):
            raise ValueError(
                f"method={self.method!r} takes no likelihood_ratio; use method='split' "
                "or 'cqr'."
            )

    def _strategy(self, position):
        """Return a function of the method's module, which loads now."""
        entry = _METHODS[self.method]
        module = import_module(f".{entry[0]}", __package__)
        return getattr(module, str(entry[position]))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "calibrated_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.estimator is not None:
            return merge_member_tags(tags, [("estimator", self.estimator)])
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = tags.input_tags.string = True
        return tags
