"""ConformalSelector: rows whose target is large, at a false discovery rate."""

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._members import check_members, is_frozen, with_seed
from .._routing import merge_member_tags
from .._rows import calibration_rows
from .._sklearn import (
    HasMethods,
    Integral,
    Interval,
    NamedPartsMixin,
    Real,
    StrOptions,
    _fit_context,
    _num_samples,
    _safe_indexing,
    check_sample_weight,
    forget_fitted,
)
from ..quantile_members._base import check_columns, check_new, check_target
from ..stack import StackedRegressor
from ._estimator import draw_seed
from ._evidence import evidence, fit_evidence
from .fdr import (
    PRUNING,
    TIES,
    exact_fdr,
    optimize_selection,
    p_values_of,
    select_by_fdr,
    selection_scores,
)

__all__ = ["ConformalSelector"]


class ConformalSelector(NamedPartsMixin):
    """Select the rows whose target is above a threshold, at a false discovery rate.

    The expected share of wrong rows (y at or below the threshold) among the selected is
    at most `fdr`, for any model and in finite samples, where training, calibration and
    new rows come from one distribution. Use it to choose candidates for a costly next
    step: compounds to synthesise, applicants to interview, answers to trust. Selection
    concerns the rows together: each is judged with the others given to `select`.

    Parameters
    ----------
    estimator : estimator, default=None
        A regressor is trained on y and ranks rows by ``predict``; a classifier is
        trained on ``y > threshold`` and ranks by ``predict_proba`` or
        ``decision_function``. A pipeline belongs in here; as the last step of one,
        `select` is reached through ``pipeline[-1]``. None is ``StackedRegressor()``. A
        ``FrozenEstimator`` is not trained: all rows calibrate, where no candidate is.
    estimators : list of (str, estimator), default=None
        Candidates instead of one estimator: each row chooses among them (OptCS), and
        the rate holds however many there are.
    threshold : float, default=0.0
        Rows with y above it are looked for; in the unit of y. `fit` and `select` take
        `thresholds`, one for each row, instead.
    fdr : float, default=0.1
        False discovery rate, in (0, 1).
    pruning : {"deterministic", "heterogeneous", "homogeneous"}, \
default="deterministic"
        Of several candidates only; see `optimized_conformal_selection`.
    ties : {"conservative", "random"}, default="conservative"
        How equal predictions count; see `conformal_p_values`.
    calibration_size : float or int, default=0.25
        Share of the rows, in (0, 1) and rounded up, or their number, kept from
        training. No p-value is below ``1 / (n_calibration_ + 1)``.
    random_state : int, RandomState instance or None, default=None
        Of the split into training and calibration, and of draws in `select`; an int
        gives the same selection each time.

    Attributes
    ----------
    estimators_ : list of fitted estimator
        One for each candidate, trained on the rows that are not of the calibration.
    calibration_scores_ : ndarray of shape (n_calibration, n_members), float64
        Minus the predictions, infinite where y is above the threshold.
    n_calibration_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    ValueError
        If both `estimator` and `estimators` are given, or X and y differ in length or
        are not finite.

    Warns
    -----
    UserWarning
        If the training rows of a classifier are all above, or all at or below, the
        threshold: a constant takes its place, which keeps the rate.

    Notes
    -----
    Sample weights reach the training of the estimators; calibration rows count alike,
    but for those of weight 0, which are as if they were not there. Time
    beyond the estimators: O(n_members * n * log(n)) for n calibration and new rows
    together.

    References
    ----------
    .. [1] Jin, Candes, "Selection by prediction with conformal p-values", Journal of
       Machine Learning Research 24, 2023.
    .. [2] Bai, Jin, "Optimized Conformal Selection: Powerful Selective Inference After
       Conformity Score Optimization", arXiv 2411.17983.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> X, y = load_diabetes(return_X_y=True)
    >>> selector = ConformalSelector(Ridge(0.1), threshold=150, fdr=0.2, random_state=0)
    >>> selected = selector.fit(X[:300], y[:300]).select(X[300:])
    >>> found = y[300:][selected] > 150
    >>> found.size, int(found.sum())
    (77, 58)
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit"]), None],
        "estimators": [list, None],
        "threshold": [Interval(Real, None, None, closed="neither")],
        "fdr": [Interval(Real, 0, 1, closed="neither")],
        "pruning": [StrOptions(set(PRUNING))],
        "ties": [StrOptions(set(TIES))],
        "calibration_size": [
            Interval(Real, 0, 1, closed="neither"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        estimators=None,
        threshold=0.0,
        fdr=0.1,
        pruning="deterministic",
        ties="conservative",
        calibration_size=0.25,
        random_state=None,
    ):
        self.estimator = estimator
        self.estimators = estimators
        self.threshold = threshold
        self.fdr = fdr
        self.pruning = pruning
        self.ties = ties
        self.calibration_size = calibration_size
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, thresholds=None):
        """Train on some of the rows, calibrate on the others.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; of the training.
        thresholds : array-like of shape (n_samples,), default=None
            A threshold for each row, which belongs to the row as its columns do; None
            means `threshold`. To be given to calibration and selection, or to neither.

        Returns
        -------
        self : ConformalSelector
        """
        forget_fitted(self)
        members = self._members()
        X, y, limits = self._check_rows(X, y, thresholds, reset=True)
        weight = None
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, X)
        seed = draw_seed(self.random_state)
        train, held_out = calibration_rows(
            X,
            y,
            self.calibration_size,
            random_state=seed,
            weight=weight,
            trained=all(is_frozen(member) for _, member in members),
        )
        rows = _safe_indexing(X, train)
        weight = None if weight is None else weight[train]
        self.estimators_ = [
            fit_evidence(with_seed(member, seed), rows, y[train], limits[train], weight)
            for _, member in members
        ]
        return self._calibrate(
            _safe_indexing(X, held_out), y[held_out], limits[held_out]
        )

    @_fit_context(prefer_skip_nested_validation=False)
    def calibrate(self, X, y, thresholds=None):
        """Calibrate with models that are trained: those of `fit`, or those given.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Rows that the models have not seen.
        y : array-like of shape (n_samples,)
        thresholds : array-like of shape (n_samples,), default=None
            A threshold for each row, which belongs to the row as its columns do; None
            means `threshold`. To be given to calibration and selection, or to neither.

        Returns
        -------
        self : ConformalSelector
        """
        models = getattr(self, "estimators_", None)
        if models is None:
            models = [member for _, member in self._members()]
        for model in models:
            check_is_fitted(model)
        trained_here = hasattr(self, "estimators_")
        X, y, limits = self._check_rows(X, y, thresholds, reset=not trained_here)
        self.estimators_ = models
        return self._calibrate(X, y, limits)

    def select(self, X, thresholds=None):
        """Select among the rows given; the rate is that of these rows together.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        thresholds : array-like of shape (n_samples,), default=None
            A threshold for each row, which belongs to the row as its columns do; None
            means `threshold`. To be given to calibration and selection, or to neither.

        Returns
        -------
        selected : ndarray of shape (n_samples,), bool
        """
        return self._judge(X, thresholds)[0]

    def p_values(self, X, thresholds=None):
        """Test for each row that its target is at most the threshold.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        thresholds : array-like of shape (n_samples,), default=None
            A threshold for each row, which belongs to the row as its columns do; None
            means `threshold`. To be given to calibration and selection, or to neither.

        Returns
        -------
        p_values : ndarray of shape (n_samples,), float64
            Of several candidates, under the one that the row chooses: such a p-value is
            for `select`, and no valid test by itself.
        """
        return self._judge(X, thresholds)[1]

    def score(self, X, y, thresholds=None):
        """Return the power: the share of the rows looked for that are selected.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        thresholds : array-like of shape (n_samples,), default=None
            A threshold for each row, which belongs to the row as its columns do; None
            means `threshold`. To be given to calibration and selection, or to neither.

        Returns
        -------
        power : float
            In [0, 1]; higher is better. 0 where no row has y above its threshold.
        """
        selected = self.select(X, thresholds)
        y = check_target(self, X, y)
        wanted = y > self._limits(thresholds, len(selected))
        return float((selected & wanted).sum() / max(wanted.sum(), 1))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "calibration_scores_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        members = self.estimators or [("estimator", self._resolve_estimator())]
        return merge_member_tags(tags, members)

    def _members(self):
        if self.estimators is None:
            return [("estimator", self._resolve_estimator())]
        if self.estimator is not None:
            raise ValueError(
                "estimator and estimators are both given; expected one model, or "
                "candidates to choose from."
            )
        return check_members(self.estimators)

    def _resolve_estimator(self):
        return StackedRegressor() if self.estimator is None else self.estimator

    def _check_rows(self, X, y, thresholds, reset):
        """Return X as it was, and y and the threshold of each row as float64."""
        check = check_columns if reset else check_new
        X = check(self, X)
        y = check_target(self, X, y)
        self._by_row = thresholds is not None
        return X, y, self._limits(thresholds, len(y))

    def _limits(self, thresholds, n_rows):
        """Return the threshold of each row."""
        if thresholds is None:
            return np.full(n_rows, float(self.threshold))
        limits = np.asarray(thresholds, dtype=np.float64)
        if limits.shape != (n_rows,) or not np.isfinite(limits).all():
            raise ValueError(
                f"thresholds has shape {limits.shape} or is not finite; expected "
                f"({n_rows},) numbers, one for each row."
            )
        return limits

    def _predict(self, X, limits):
        """Return how much each model speaks for each row: (n_samples, n_members)."""
        # 0 under the common threshold, so that no rounding makes ties.
        shift = limits if self._by_row else np.zeros(len(limits))
        return np.column_stack([evidence(m, X, shift) for m in self.estimators_])

    def _calibrate(self, X, y, limits):
        self._known = self._predict(X, limits), y, limits
        self.calibration_scores_ = self._scores_of_known()
        self.n_calibration_ = len(y)
        return self

    def _scores_of_known(self):
        """Return the calibration scores under the threshold as it is now."""
        predictions, y, limits = self._known
        if not self._by_row:
            return selection_scores(predictions, y, float(self.threshold))
        # y > limit exactly when y - limit > 0.
        return selection_scores(predictions, y - limits, 0.0)

    def _judge(self, X, thresholds):
        """Return which rows are selected, and their p-values."""
        X = check_new(self, X)
        if (thresholds is not None) != self._by_row:
            was, given = ("by row", "none") if self._by_row else ("one for all", "some")
            raise ValueError(
                f"Thresholds were {was} in calibration, and this call gives {given}. "
                "They have to be alike: give them to fit or calibrate and here, or to "
                "neither."
            )
        scores = -self._predict(X, self._limits(thresholds, _num_samples(X)))
        known = self._scores_of_known()
        random = check_random_state(self.random_state)
        if self.estimators is None:
            p = p_values_of(known[:, 0], scores[:, 0], self.ties, random)
            return select_by_fdr(p, self.fdr), p
        rate = exact_fdr(self.fdr)
        result = optimize_selection(
            known, scores, rate, self.pruning, self.ties, random
        )
        return result.selected, result.p_values
