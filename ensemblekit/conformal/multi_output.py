"""MultiOutputConformalRegressor: regions that hold all outputs of a row at once."""

from decimal import Decimal

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length

from .._members import is_frozen, with_seed
from .._rows import calibration_rows, fit_rows, residual_folds
from .._sklearn import (
    HasMethods,
    Integral,
    Interval,
    Real,
    StrOptions,
    _check_y,
    _fit_context,
    _num_samples,
    _safe_indexing,
)
from ..exceptions import describe_rows
from ..quantile_members._base import check_new, require_target, weight_arguments
from ._regions import (
    Bonferroni,
    Box,
    Distributional,
    Ellipsoid,
    check_forest,
    residual_scale,
    residual_shape,
)
from ._split import SplitConformalMixin, start_random
from .ranks import exact_levels, warn_if_infeasible
from .sets import thresholds

__all__ = ["MultiOutputConformalRegressor"]

_REGIONS = {"box", "bonferroni", "ellipsoid", "distributional"}


def _is_box(estimator):
    fitted = getattr(estimator, "_region", None)
    asked = estimator.region == "ellipsoid"
    if asked if fitted is None else isinstance(fitted, Ellipsoid):
        raise AttributeError(
            "region='ellipsoid' has no intervals; use contains and volume."
        )
    return True


class MultiOutputConformalRegressor(
    SplitConformalMixin, MultiOutputMixin, RegressorMixin, BaseEstimator
):
    """Regions that hold all outputs of a new row with probability 1 - alpha.

    Part of the rows train the regressor, the others calibrate it. Whatever the
    regressor and the distribution, the region of a new row exchangeable with the
    calibration rows holds its whole target, all D outputs at once, with probability
    1 - alpha at least.

    Parameters
    ----------
    estimator : regressor or None, default=None
        Must predict all outputs; ``sklearn.multioutput.MultiOutputRegressor`` makes it
        of a regressor that predicts one. None means
        ``RandomForestRegressor(min_samples_leaf=5)``. A ``FrozenEstimator`` is not
        trained: all rows calibrate, where the region learns nothing either, as that of
        one output and "bonferroni".
    region : {"box", "bonferroni", "ellipsoid", "distributional"}, default="box"
        - "box": prediction plus minus one multiple of a scale for each output. The
          multiple is that of the largest scaled residual of calibration rows.
        - "bonferroni": each output by itself, at alpha / D; needs D times the rows, and
          covers more where residuals go together.
        - "ellipsoid": residuals by their length in the metric of their covariance:
          smaller than a box where residuals are correlated.
        - "distributional": boxes between conditional quantiles of a forest, which
          follow the spread and skewness at each row; see Notes.
    alpha : float or array-like of shape (n_alphas,), default=0.1
        Miscoverage in (0, 1), read as an exact decimal.
    calibration_size : float or int, default=0.25
        Share in (0, 1) of the rows that calibrate, rounded up, or their number. They do
        not train.
    cv : int, splitter, iterable of (train, test) or None, default=None
        Its first split says which rows train and which calibrate, for example those of
        later weeks. An int draws one part in so many, at random; None draws
        `calibration_size`.
    random_state : int, RandomState or None, default=None
        Splits the rows, and seeds what of the regressor has no seed.

    Attributes
    ----------
    estimator_ : fitted regressor
    n_outputs_ : int
        D.
    calibration_scores_ : ndarray of shape (n_calibration, 1 or D), float64
        Each column ascending; D columns for "bonferroni".
    scale_ : ndarray of shape (D,), float64
        "box" only: mean absolute held-out residuals, in the units of y.
    location_ : ndarray of shape (D,), float64
        "ellipsoid" only: mean held-out residual, added to the prediction.
    shape_ : ndarray of shape (D, D), float64
        "ellipsoid" only: covariance of the n held-out residuals, off the diagonal times
        n / (n + D).
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    ValueError
        If rows are too few to split, y is not numeric and finite, or predictions are
        not; or if "distributional" is given no forest.

    Warns
    -----
    InfeasibleRankWarning
        If there are too few calibration rows for alpha: the region is everything.

    Notes
    -----
    With residual r of a row, c the scale, m location and S shape, scores are
    ``max_d |r_d| / c_d``, ``|r_d|`` for each d, ``sqrt((r - m)' S^-1 (r - m))``, and
    for "distributional", F_d being the distribution of output d under the weights of
    the forest's leaves [3]_, all training rows in all trees::

        max_d max(0, 1 - 2 F_d(y_d), 2 F_d(y_d-) - 1)

    (``|2 F - 1|`` where F is continuous: 0 at the median, 1 beyond all targets of the
    leaves). The region is where the score is at most that of `conformal_rank` among the
    calibration rows: for "distributional" with threshold t from the smallest target
    with ``F >= (1 - t) / 2`` to the smallest with ``F > (1 + t) / 2``, and infinite at
    ``t = 1``, that is where more than alpha of the calibration rows are beyond the
    targets of their leaves; more rows in a leaf help.

    Scale, location and shape come from the training rows, held out in 5 random folds:
    in-sample residuals would be too small where the regressor fits an output closely.
    One output has scale 1, location 0 and shape 1: box, Bonferroni and ellipsoid are
    then the split conformal interval.

    Weights train the regressor; calibration rows count alike, but for those of weight
    0, which are as if they were not there. Time besides the regressor: O(D) a row
    ("box", "bonferroni"), O(D**2) ("ellipsoid"), O(D k log k) for k training rows in
    the leaves of a row ("distributional").

    References
    ----------
    .. [1] Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005.
    .. [2] Johnstone, Cox, "Conformal uncertainty sets for robust optimization", COPA
       2021.
    .. [3] Meinshausen, "Quantile regression forests", Journal of Machine Learning
       Research 7, 2006.
    .. [4] Chernozhukov, Wuthrich, Zhu, "Distributional conformal prediction",
       Proceedings of the National Academy of Sciences 118, 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_linnerud
    >>> from sklearn.linear_model import Ridge
    >>> X, Y = load_linnerud(return_X_y=True)
    >>> model = MultiOutputConformalRegressor(Ridge(), alpha=0.3, random_state=0)
    >>> model.fit(X, Y).predict_interval(X).shape
    (20, 3, 2)
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "region": [StrOptions(_REGIONS)],
        "alpha": [Real, Decimal, "array-like", str],
        "calibration_size": [
            Interval(Real, 0.0, 1.0, closed="neither"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "cv": ["cv_object"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        region="box",
        alpha=0.1,
        calibration_size=0.25,
        cv=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.region = region
        self.alpha = alpha
        self.calibration_size = calibration_size
        self.cv = cv
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Train the regressor on one part of the rows, calibrate it on the other.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples, D) or (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; trains the regressor.

        Returns
        -------
        self : MultiOutputConformalRegressor
        """
        exact_levels(self.alpha)
        X, weight = self._begin(X, y, sample_weight)
        if self.region == "distributional":
            check_forest(self._wrapped())
        Y = self._check_targets(X, y)
        self.n_outputs_, self._vector = Y.shape[1], np.asarray(y).ndim == 1
        rng, seed = start_random(self.random_state)
        train, held = calibration_rows(
            X,
            Y,
            self.calibration_size,
            self.cv,
            random_state=rng,
            weight=weight,
            trained=is_frozen(self._wrapped()) and not self._learns_region(),
        )
        model = with_seed(self._wrapped(), seed)
        targets = Y[:, 0] if self.n_outputs_ == 1 else Y
        arguments = weight_arguments(model, weight)
        self.estimator_ = fit_rows(clone(model), X, targets, train, arguments)
        self._region = self._learn_region(model, X, Y, train, weight, rng)
        return self._calibrate(_safe_indexing(X, held), Y[held])

    @_fit_context(prefer_skip_nested_validation=False)
    def calibrate(self, X, y):
        """Calibrate again, on rows that took no part in `fit`.

        The regressor, and scale or covariance, stay those of fit. For a regressor
        trained elsewhere, fit with ``FrozenEstimator(regressor)``.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples, D) or (n_samples,)

        Returns
        -------
        self : MultiOutputConformalRegressor
        """
        X = check_new(self, X)
        require_target(self, y)
        return self._calibrate(X, self._check_same_outputs(X, y))

    def predict(self, X):
        """Predict all outputs, as the wrapped regressor does.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        prediction : ndarray of shape (n_samples, D), or (n_samples,) if y was so
        """
        predicted = self._predicted(check_new(self, X))
        return predicted[:, 0] if self._vector else predicted

    @available_if(_is_box)
    def predict_interval(self, X, alpha=None):
        """Predict boxes; not for ellipsoids.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        alpha : float or array-like of shape (n_alphas,), default=None
            Miscoverage in (0, 1) of the whole box; None means the constructor's.

        Returns
        -------
        interval : ndarray of shape (n_samples, D, 2) or (n_samples, D, 2, n_alphas)
            Without the axis of D if y was a vector.
        """
        X = check_new(self, X)
        levels, single = self._levels(alpha)
        warn_if_infeasible(len(self.calibration_scores_), min(levels))
        ends = self._region.ends(self._predicted(X), X, self._thresholds(levels))
        ends = ends[:, 0] if self._vector else ends
        return ends[..., 0] if single else ends

    def contains(self, X, y, alpha=None):
        """Say which targets are inside of their regions, which are closed.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples, D) or (n_samples,)
        alpha : float or array-like of shape (n_alphas,), default=None
            Miscoverage in (0, 1); None means the constructor's.

        Returns
        -------
        inside : ndarray of shape (n_samples,) or (n_samples, n_alphas), bool
        """
        X = check_new(self, X)
        levels, single = self._levels(alpha)
        warn_if_infeasible(len(self.calibration_scores_), min(levels))
        scores = self._scores(X, self._check_same_outputs(X, y))
        inside = (scores[..., None] <= self._thresholds(levels)).all(axis=1)
        return inside[:, 0] if single else inside

    def volume(self, X, alpha=None):
        """Return the volumes of the regions.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        alpha : float or array-like of shape (n_alphas,), default=None
            Miscoverage in (0, 1); None means the constructor's.

        Returns
        -------
        volume : ndarray of shape (n_samples,) or (n_samples, n_alphas), float64
            In the product of the units of y; for ellipsoids the same for all rows.
        """
        X = check_new(self, X)
        levels, single = self._levels(alpha)
        warn_if_infeasible(len(self.calibration_scores_), min(levels))
        volumes = self._region.volumes(self._predicted(X), X, self._thresholds(levels))
        return volumes[:, 0] if single else volumes

    def _wrapped(self):
        if self.estimator is None:
            return RandomForestRegressor(min_samples_leaf=5)
        return self.estimator

    def _check_targets(self, X, y):
        y = _check_y(y, multi_output=True, y_numeric=True)
        check_consistent_length(X, y)
        y = y.astype(np.float64)
        return y[:, None] if y.ndim == 1 else y

    def _check_same_outputs(self, X, y):
        Y = self._check_targets(X, y)
        if Y.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y has {Y.shape[1]} outputs; expected {self.n_outputs_}, as in fit."
            )
        return Y

    def _learns_region(self):
        """Say whether the region has to know rows that do not calibrate."""
        several = self.n_outputs_ > 1 and self.region != "bonferroni"
        return several or self.region == "distributional"

    def _learn_region(self, model, X, Y, train, weight, rng):
        """Return the region; all it knows comes from the training rows."""
        if self.region == "distributional":
            weight = None if weight is None else weight[train]
            X = _safe_indexing(X, train)
            return Distributional(self.estimator_, X, Y[train], weight)
        if self.region == "bonferroni":
            return Bonferroni(np.ones(self.n_outputs_))
        residuals = None
        if self.n_outputs_ > 1:
            residuals = held_out_residuals(model, X, Y, train, weight, rng)
        if self.region == "box":
            self.scale_ = np.ones(1) if residuals is None else residual_scale(residuals)
            return Box(self.scale_)
        self.location_, self.shape_ = np.zeros(1), np.ones((1, 1))
        if residuals is not None:
            self.location_, self.shape_ = residual_shape(residuals)
        return Ellipsoid(self.location_, self.shape_)

    def _predicted(self, X):
        predicted = np.asarray(self.estimator_.predict(X), dtype=np.float64)
        n_rows = _num_samples(X)
        if predicted.size != n_rows * self.n_outputs_:
            raise ValueError(
                f"The wrapped regressor predicts an array of shape {predicted.shape}; "
                f"expected ({n_rows}, {self.n_outputs_})."
            )
        predicted = predicted.reshape(n_rows, self.n_outputs_)
        bad = np.flatnonzero(~np.isfinite(predicted).all(axis=1))
        if bad.size:
            raise ValueError(
                "The wrapped regressor predicts NaN or infinity "
                f"({describe_rows(bad)}); expected finite numbers."
            )
        return predicted

    def _scores(self, X, Y):
        return self._region.scores(self._predicted(X), X, Y)

    def _calibrate(self, X, Y):
        self.calibration_scores_ = np.sort(self._scores(X, Y), axis=0)
        return self

    def _levels(self, alpha):
        """Return the level of each score, and whether alpha is one number."""
        levels, single = exact_levels(self.alpha if alpha is None else alpha)
        return [self._region.level(level) for level in levels], single

    def _thresholds(self, levels):
        """Return thresholds of shape (n_scores, n_levels)."""
        return thresholds(list(self.calibration_scores_.T), levels)


def held_out_residuals(model, X, Y, rows, weight, rng):
    """Cross-fit some rows; return ``Y`` minus held-out predictions, (n_rows, D)."""
    residuals = np.empty((len(rows), Y.shape[1]))
    arguments = weight_arguments(model, weight)
    for fitted, test in residual_folds(len(rows), rng).split(rows):
        part = fit_rows(clone(model), X, Y, rows[fitted], arguments)
        predicted = part.predict(_safe_indexing(X, rows[test]))
        residuals[test] = Y[rows[test]] - np.reshape(predicted, (len(test), -1))
    return residuals
