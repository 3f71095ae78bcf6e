"""EnbPIRegressor: intervals of a series from a block bootstrap and latest residuals."""

import warnings
from decimal import Decimal

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state

from .._members import is_frozen, with_seed
from .._rows import fit_rows, used_rows
from .._sklearn import (
    HasMethods,
    Integral,
    Interval,
    Parallel,
    Real,
    _check_method_params,
    _fit_context,
    _safe_indexing,
    delayed,
)
from ..exceptions import describe_rows
from ..quantile_members._base import check_new, check_target
from ._estimator import point_predictions
from ._wrapped import WrapsRegressorMixin
from .ranks import exact_levels, lower_rank, upper_rank, warn_if_infeasible

__all__ = ["EnbPIRegressor"]


class EnbPIRegressor(WrapsRegressorMixin, RegressorMixin, BaseEstimator):
    """Predict intervals of a series by an ensemble of bootstrapped models.

    Each model is trained on blocks of rows drawn with replacement. The residual of a
    training row is that of the mean of the models which have not seen it, so that no
    row is held out of training; `update` puts residuals of new rows in the place of the
    oldest. Rows are in time order throughout.

    Parameters
    ----------
    estimator : regressor
        The model to train on each resample; where it has a `random_state` of None, that
        is set. A ``FrozenEstimator`` is not trained: there is one model, and each row
        has a residual.
    n_resamples : int, default=30
        Models, >= 2. A row that all of them have seen has no residual: with 30, one in
        a million.
    block_length : int or None, default=None
        Rows that are drawn together, in time order, the last followed by the first. 1
        is the usual bootstrap; None is the cube root of the number of rows, rounded.
    alpha : float or array-like of shape (n_alphas,), default=0.1
        Miscoverage in (0, 1).
    window : int or None, default=None
        Number of latest residuals to take intervals from; None is as many as `fit`
        finds.
    narrowest : bool, default=False
        Whether to take the narrowest pair of residuals that hold 1 - alpha of them, not
        the one with alpha / 2 on either side: narrower where residuals are skewed.
    random_state : int, RandomState instance or None, default=None
        Draws the blocks.
    n_jobs : int or None, default=None
        Parallel fits; results do not depend on it.

    Attributes
    ----------
    estimators_ : list of fitted regressors
    residuals_ : ndarray of shape (n_residuals,), float64
        Latest residuals, y minus prediction, oldest first.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    ValueError
        If y is not finite, or no row is left out by any resample.

    Notes
    -----
    Coverage is near 1 - alpha where errors of the ensemble are stationary and mixing
    and the ensemble is consistent; it is not guaranteed for a given sample [1]_, least
    of all with `narrowest`, which chooses by the same residuals. Where errors shift,
    see `AdaptiveConformalRegressor`.

    `update` does not train models. Further keywords of fit, such as sample_weight, go
    to the fits of `estimator`, those of the rows drawn; rows of weight 0 are as if they
    were not there.

    References
    ----------
    .. [1] Xu, Xie, "Conformal prediction interval for dynamic time-series", ICML 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> X = np.arange(100.0)[:, None]
    >>> y = X[:, 0] + np.tile([-1.0, 1.0], 50)
    >>> model = EnbPIRegressor(LinearRegression(), random_state=0).fit(X, y)
    >>> model.predict_interval([[100.0]]).round()
    array([[ 99., 101.]])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "n_resamples": [Interval(Integral, 2, None, closed="left")],
        "block_length": [Interval(Integral, 1, None, closed="left"), None],
        "alpha": [Real, Decimal, str, "array-like"],  # exact_levels has the range
        "window": [Interval(Integral, 1, None, closed="left"), None],
        "narrowest": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator,
        *,
        n_resamples=30,
        block_length=None,
        alpha=0.1,
        window=None,
        narrowest=False,
        random_state=None,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.n_resamples = n_resamples
        self.block_length = block_length
        self.alpha = alpha
        self.window = window
        self.narrowest = narrowest
        self.random_state = random_state
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, **fit_params):
        """Train a model on each resample; take the residuals of rows left out.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        **fit_params : dict
            Keywords of the estimator's fit; arrays go along with the rows.

        Returns
        -------
        self : EnbPIRegressor

        Warns
        -----
        UserWarning
            If resamples leave out some rows never: these have no residual.
        """
        X, y = self._begin(X, y)
        params, weight = self._fit_arguments(X, fit_params)
        rows = used_rows(len(y), weight)
        if len(rows) < len(y):
            params = _check_method_params(X, params, indices=rows)
            X, y = _safe_indexing(X, rows), y[rows]
        exact_levels(self.alpha)
        residuals = y - self._fit_models(X, y, params)
        self._length = self.window or np.isfinite(residuals).sum()
        self.residuals_ = _without_missing(residuals)[-self._length :]
        return self

    def update(self, X, y):
        """Tell what came next: one row or many, in time order.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)

        Returns
        -------
        self : EnbPIRegressor
            The same as after as many calls with a row each.
        """
        X = check_new(self, X)
        residuals = check_target(self, X, y) - self._points(X)
        self.residuals_ = np.append(self.residuals_, residuals)[-self._length :]
        return self

    def partial_fit(self, X, y):
        """Update, or fit where nothing is fitted yet.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)

        Returns
        -------
        self : EnbPIRegressor
        """
        return self.update(X, y) if hasattr(self, "residuals_") else self.fit(X, y)

    def predict(self, X):
        """Predict points: the mean of the models.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        prediction : ndarray of shape (n_samples,), float64
        """
        return self._points(check_new(self, X))

    def predict_interval(self, X, alpha=None):
        """Predict intervals from the latest residuals.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        alpha : float or array-like of shape (n_alphas,), default=None
            Miscoverage in (0, 1); None means that of the constructor.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, 2, n_alphas), float64
            Infinite, with an InfeasibleRankWarning, where there are too few residuals.
        """
        X = check_new(self, X)
        alphas, single = exact_levels(self.alpha if alpha is None else alpha)
        warn_if_infeasible(len(self.residuals_), min(alphas) / 2)
        ordered = np.sort(self.residuals_)
        choose = narrowest_pair if self.narrowest else central_pair
        steps = np.array([choose(ordered, level) for level in alphas]).T
        interval = self._points(X)[:, None, None] + steps
        return interval[:, :, 0] if single else interval

    def _fit_models(self, X, y, params):
        """Fit a model on each resample; return the mean of those without each row."""
        if is_frozen(self.estimator):  # it has seen no row, and all copies are one
            self.estimators_ = [self.estimator]
            return self._points(X)
        rng = check_random_state(self.random_state)
        bags = draw_bags(len(y), self.n_resamples, self.block_length, rng)
        seeds = rng.randint(np.iinfo(np.int32).max, size=self.n_resamples)
        tasks = (
            delayed(_fit_bag)(with_seed(self.estimator, seed), X, y, bag, params)
            for bag, seed in zip(bags, seeds, strict=True)
        )
        models, predicted = zip(
            *Parallel(n_jobs=effective_n_jobs(self.n_jobs))(tasks), strict=True
        )
        self.estimators_ = list(models)
        return left_out_means(np.array(predicted), bags)

    def _points(self, X):
        total = 0.0
        for model in self.estimators_:
            total = total + point_predictions(model, X)
        return total / len(self.estimators_)


def draw_bags(n_samples, n_bags, block_length, rng):
    """Return rows of each resample, (n_bags, n_samples), by the circular bootstrap.

    The last row is followed by the first: all rows are as likely to be drawn.
    """
    length = min(block_length or max(1, round(n_samples ** (1 / 3))), n_samples)
    n_blocks = -(-n_samples // length)
    starts = rng.randint(n_samples, size=(n_bags, n_blocks, 1))
    rows = (starts + np.arange(length)) % n_samples
    return rows.reshape(n_bags, -1)[:, :n_samples]


def left_out_means(predicted, bags):
    """Return the mean prediction of the models that have not seen each row.

    predicted, bags : (n_bags, n_samples)
    Returns (n_samples,), NaN where all have.
    """
    unseen = np.ones(predicted.shape, dtype=bool)
    for bag, row in zip(bags, unseen, strict=True):
        row[bag] = False
    count = unseen.sum(axis=0)
    total = np.where(unseen, predicted, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def central_pair(ordered, alpha):
    """Return the residuals with alpha / 2 on either side; infinite beyond the ends."""
    n, padded = len(ordered), np.concatenate([[-np.inf], ordered, [np.inf]])
    return padded[lower_rank(n, alpha / 2)], padded[upper_rank(n, alpha / 2)]


def narrowest_pair(ordered, alpha):
    """Return the nearest residuals that are ceil((n + 1)(1 - alpha)) ranks apart."""
    apart = upper_rank(len(ordered), alpha)
    if apart >= len(ordered):
        return -np.inf, np.inf
    first = int(np.argmin(ordered[apart:] - ordered[:-apart]))
    return ordered[first], ordered[first + apart]


def _fit_bag(model, X, y, bag, params):
    """Return a model of the rows of a bag, and what it predicts for all rows."""
    model = fit_rows(model, X, y, bag, params)
    return model, point_predictions(model, X)


def _without_missing(residuals):
    """Return residuals of the rows that have one."""
    missing = np.flatnonzero(np.isnan(residuals))
    if missing.size == len(residuals):
        raise ValueError(
            f"All resamples hold all of n_samples={len(residuals)} rows, so that none "
            "has a residual; expected rows left out. Give more rows, a smaller "
            "block_length or a larger n_resamples."
        )
    if missing.size:
        warnings.warn(
            f"All resamples hold some rows ({describe_rows(missing)}), which have no "
            "residual and are left out of intervals. Increase n_resamples.",
            UserWarning,
            stacklevel=3,
        )
    return residuals[~np.isnan(residuals)]
