"""StackedQuantileRegressor: a cross-fit of quantile members and one combiner."""

import numpy as np
from scipy.sparse import issparse
from sklearn.base import RegressorMixin

from ._levels import DEFAULT_LEVELS, central_interval, median
from ._members import combined_quantiles, with_levels
from ._sklearn import require_fitted
from ._stacked import Stacked
from .combine._quantile_aggregator import QuantileAggregator
from .layout import check_levels
from .quantile_members import default_quantile_members

__all__ = ["StackedQuantileRegressor"]


class StackedQuantileRegressor(RegressorMixin, Stacked):
    """Cross-fit members that predict quantiles and combine their quantiles.

    Every member is fitted on every fold; the combiner is fitted on the out-of-fold
    quantiles, which are kept. Only members that the combiner gives weight are fitted
    again on all rows and predicted.

    A member is any estimator with ``predict_quantiles(X)`` of shape (n_samples,
    n_levels), or a pipeline that ends in one: `PerLevelQuantileRegressor`,
    `ForestQuantileRegressor` and `ResidualQuantileRegressor` make members of point
    models. Where a member's quantiles cross, they are sorted within the row, which
    never raises the pinball loss summed over the levels; the rows are counted.

    Parameters
    ----------
    estimators : list of (str, regressor) or None, default=None
        The members; ``"drop"`` leaves one out; None means
        ``default_quantile_members()``. Parameters `quantile_levels` of members that are
        None are set to those of the stack; others must be equal to them.
    combiner : estimator or None, default=None
        Fitted on P, with ``predict_quantiles``; None means ``QuantileAggregator()``.
        Its `quantile_levels` are set as those of the members.
    quantile_levels : array-like of shape (n_levels,), \
            default=(0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
        Levels to predict, ascending in (0, 1).
    cv : int, splitter or iterable of (train, test), default=None
        None means 5 folds in the order of the rows (give a shuffled KFold where rows
        are sorted), or of whole groups where these are given. Rows that are held out
        several times get the mean; the combiner is fitted on those that are held out at
        all, which with TimeSeriesSplit are the later ones.
    n_repeats : int, default=1
        Times that the rows are split anew, at random; of splitters that shuffle.
    refit : {"none", "selected", "all"}, default="selected"
        Members to fit again on all rows for prediction: those with weight (all, where
        the combiner has no weights of members), all, or none: then new rows get the
        mean of the fold models, at n_folds times the prediction time.
    early_stopping : {"inner", "held_out"} or tuple (X_val, y_val), default="inner"
        Rows that tell a member when to stop boosting, if its parameters ask for that:
        a tenth of the training rows, set aside; the rows the fold holds out, which is
        optimistic; or rows of your own.
    memory : str, Path, PredictionCache or None, default=None
        Folder that keeps what was fitted: a fit with another combiner fits no member
        again, an interrupted fit goes on where it was.
    on_error : {"raise", "drop"}, default="raise"
        What to do where a member fails: stop, or warn and go on without it. In
        prediction, the weights of the others are renormalised.
    min_members : int, default=1
        Members that have to remain with ``on_error="drop"`` or a `time_limit`.
    on_unsupported : {"raise", "ignore"}, default="raise"
        What to do where a member takes no sample weights: stop, or fit it without.
    time_limit : float, default=None
        Seconds after which no more member fits are begun; members that are not on all
        folds by then are left out, those not refitted keep their fold models.
    passthrough : bool, default=False
        Give the combiner X as its `features`, for weights that depend on the row:
        ``QuantileAggregator(gate="linear")``. X has to hold numbers.
    guard : {"clip", "warn"} or None, default="clip"
        What to do where a member predicts a new row further outside its out-of-fold
        predictions than their whole width: ``"clip"`` puts the median of the row's
        other members in its place and warns, ``"warn"`` only warns, None does nothing.
    n_jobs : int, default=None
        Workers for the flat list of (member, fold) tasks; results do not depend on it.
    random_state : int, RandomState or None, default=None
        Seeds the members' ``random_state`` parameters that are None, and a `cv` that
        shuffles without a seed.
    verbose : int, default=0
        1 shows each finished task and the time left.

    Attributes
    ----------
    quantile_levels_ : ndarray of shape (n_levels,), float64
    combiner_ : fitted combiner
    weights_ : ndarray
        Where the combiner has them.
    cross_fit_ : CrossFit
        Fold models, refitted models, splits, times.
    library_ : PredictionLibrary
        Out-of-fold quantiles with names, targets and folds: another combiner is fitted
        on ``library_.P`` and ``library_.y`` without any fit of a member.
    oof_predictions_ : ndarray of shape (n_samples, n_members * n_levels)
        Out-of-fold quantiles, member by member, ascending in each row of a member.
    leaderboard_ : list of dict
        Members and ensemble by held-out pinball loss, the mean over the levels; also
        the rows in which a member's quantiles crossed. Computed when read.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    MemberError
        If a member fails, or returns quantiles that are not finite or of other levels;
        names member and fold.
    ValueError, TypeError
        If levels, members, combiner, X, y, weights or splits are unfit.

    References
    ----------
    .. [1] Fakoor, Kim, Mueller, Smola, Tibshirani, "Flexible Model Aggregation for
       Quantile Regression", Journal of Machine Learning Research 24, 2023.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import ExtraTreesRegressor
    >>> from sklearn.linear_model import Ridge
    >>> from ensemblekit import ForestQuantileRegressor, ResidualQuantileRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> trees = ExtraTreesRegressor(50, min_samples_leaf=5, random_state=0)
    >>> members = [("ridge", ResidualQuantileRegressor(Ridge(0.1))),
    ...            ("trees", ForestQuantileRegressor(trees))]
    >>> stacked = StackedQuantileRegressor(members, quantile_levels=[0.1, 0.5, 0.9])
    >>> stacked.fit(X, y).predict_quantiles(X[:2]).shape
    (2, 3)
    >>> stacked.predict_interval(X[:2], alpha=0.2).shape
    (2, 2)
    """

    _parameter_constraints: dict = {
        **Stacked._parameter_constraints,
        "quantile_levels": ["array-like"],
    }

    _task = "regression"
    _default_combiner = QuantileAggregator

    def __init__(
        self,
        estimators=None,
        combiner=None,
        *,
        quantile_levels=DEFAULT_LEVELS,
        cv=None,
        n_repeats=1,
        refit="selected",
        early_stopping="inner",
        memory=None,
        on_error="raise",
        min_members=1,
        on_unsupported="raise",
        time_limit=None,
        passthrough=False,
        guard="clip",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        super().__init__(
            estimators,
            combiner,
            cv=cv,
            n_repeats=n_repeats,
            refit=refit,
            early_stopping=early_stopping,
            memory=memory,
            on_error=on_error,
            min_members=min_members,
            on_unsupported=on_unsupported,
            time_limit=time_limit,
            passthrough=passthrough,
            guard=guard,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.quantile_levels = quantile_levels

    def predict_quantiles(self, X):
        """Predict quantiles at `quantile_levels_`.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        quantiles : ndarray of shape (n_samples, n_levels), float64
        """
        require_fitted(self)
        return self._combined(self._predictions(X), X)

    def predict(self, X):
        """Predict medians, interpolated where 0.5 is no level.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        prediction : ndarray of shape (n_samples,), float64

        Raises
        ------
        ValueError
            If all levels are above, or below, 0.5.
        """
        require_fitted(self)
        return median(self._combined(self._predictions(X), X), self.quantile_levels_)

    def predict_interval(self, X, alpha=0.1):
        """Predict the intervals between the quantiles at ``alpha / 2`` and its mirror.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        alpha : float or array-like of shape (n_alphas,), default=0.1
            Miscoverage, in (0, 1), and not wider than the levels reach; between levels
            quantiles are interpolated.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, 2, n_alphas)
        """
        require_fitted(self)
        quantiles = self._combined(self._predictions(X), X)
        return central_interval(quantiles, self.quantile_levels_, alpha)

    @property
    def quantile_levels_(self):
        """Levels that are predicted."""
        require_fitted(self)
        return self.cross_fit_._levels

    def _combined(self, P, X):
        extras = self._combiner_extras(X)
        return combined_quantiles(self.combiner_, P, self.quantile_levels_, **extras)

    def _combiner_extras(self, X):
        """Return X as features beside P, where the combiner is given it."""
        if not self.passthrough:
            return {}
        return {"features": X.toarray() if issparse(X) else np.asarray(X, np.float64)}

    def _combiner_input(self, P, X):
        return P

    def _cross_fit_options(self):
        return {"quantile_levels": self.quantile_levels}

    def _default_members(self):
        return default_quantile_members()

    def _new_combiner(self):
        levels = check_levels(self.quantile_levels)
        return with_levels("The combiner", super()._new_combiner(), levels)

    def _check_combiner(self, members):
        super()._check_combiner(members)
        check_levels(self.quantile_levels)
        combiner = self._resolve_combiner()
        if not hasattr(combiner, "predict_quantiles"):
            raise ValueError(
                f"{type(combiner).__name__} has no predict_quantiles; "
                f"{type(self).__name__} needs a combiner of quantiles, such as "
                f"{self._default_combiner.__name__}."
            )
        self._new_combiner()  # refuses other levels before any member is fitted

    def _check_passthrough(self, kind):
        combiner = self._resolve_combiner()
        gated = getattr(combiner, "gate", None) is not None
        if self.passthrough and not gated:
            raise ValueError(
                "passthrough=True hands X to the combiner as features of a gate, but "
                f"{kind} has none. Use QuantileAggregator(gate='linear'), or "
                "passthrough=False."
            )

    def _member_weights(self):
        """Weights of the members; where there are several of each, the largest."""
        weights = getattr(self.combiner_, "member_weights_", None)
        return super()._member_weights() if weights is None else weights.tolist()
