"""ConformalClassifier: sets of classes that hold the true one as often as asked."""

from decimal import Decimal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from .._members import is_frozen, with_seed
from .._rows import calibration_rows, fit_rows, hold_out, used_rows
from .._sklearn import (
    HasMethods,
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
    _num_samples,
    _safe_indexing,
)
from ..quantile_members._base import (
    check_labels,
    check_new,
    require_target,
    weight_arguments,
)
from ..stack import StackedClassifier
from ._cells import Cells
from ._groups import check_groups
from ._probabilities import held_out_probabilities, probabilities_of
from ._split import SplitConformalMixin, start_random
from ._tuning import TUNING_SHARE, best_k_reg, best_penalty, tuning_rows
from .ranks import exact_levels, warn_if_infeasible
from .sets import METHODS, class_scores, compare

__all__ = ["ConformalClassifier"]


class ConformalClassifier(SplitConformalMixin, ClassifierMixin, BaseEstimator):
    """Sets of classes that hold the true one with probability 1 - alpha.

    Part of the rows train the classifier, the others calibrate it: a class is in the
    set of a new row where its score is no higher than that of enough calibration rows.
    Whatever the classifier and the distribution, sets cover a new row exchangeable with
    the calibration rows with probability 1 - alpha at least. Combine first, calibrate
    once: several models are best wrapped as one stack.

    Parameters
    ----------
    estimator : classifier with predict_proba, or None, default=None
        None means ``StackedClassifier()``. A ``FrozenEstimator`` is not trained: all
        rows of fit calibrate it.
    method : {"lac", "aps", "raps", "top_k"}, default="lac"
        Score of a class; formulas in `conformal_set_scores`. "lac" gives the smallest
        sets on average, "aps" and "raps" sets that grow with the difficulty of a row.
    alpha : float or array-like of shape (n_alphas,), default=0.1
        Miscoverage in (0, 1), read as an exact decimal.
    calibration_size : float or int, default=0.25
        Share in (0, 1) of the rows that calibrate, rounded up, or their number. They do
        not train.
    cv : int, splitter, iterable of (train, test), "stored" or None, default=None
        Its first split says which rows train and which calibrate, for example those of
        later weeks; a splitter is given the groups. An int draws one part in so many,
        at random; None draws `calibration_size`. With "stored" a
        `StackedClassifier` trains on all rows and is calibrated on all of them, by its
        held-out probabilities, without another fit of a member; see Notes.
    randomized : bool, default=True
        Whether one uniform random number for each row decides how much of a class's own
        mass counts. Equal scores are then rare, and coverage is what is asked for, no
        more. Without it sets are a function of the row alone; those of "top_k", whose
        scores are whole numbers, cover more. "lac" is never randomised.
    allow_empty : bool, default=True
        Whether sets may be empty, as they are for rows like none seen. False adds the
        most probable class to empty sets: they cover a little more.
    class_conditional : bool, default=False
        Whether each class has a threshold of its own, from the calibration rows of that
        class: then rows of each class are covered with probability 1 - alpha.
    regularization : float or None, default=None
        Of "raps": cost of each rank beyond `k_reg`, >= 0. None chooses it, see Notes.
    k_reg : int or None, default=None
        Of "raps": ranks without that cost, >= 0. None chooses it, see Notes.
    random_state : int, RandomState or None, default=None
        Splits the rows, seeds what of the classifier has no seed, and randomises sets.
        After a fit with an int, the rows of each
        call get the same random numbers again, by position; to predict row by row leave
        it None, which draws anew at each call.

    Attributes
    ----------
    estimator_ : fitted classifier
    classes_ : ndarray of shape (n_classes,)
        Sorted labels.
    groups_ : ndarray of shape (n_groups,) or None
        Sorted groups of the calibration rows.
    calibration_counts_ : ndarray of shape (n_groups or 1, n_classes or 1), int64
        Calibration rows behind each threshold.
    regularization_, k_reg_ : float, int
        What "raps" uses; other methods have 0.0 and 1.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    ValueError
        If rows are too few to split, y holds no classes, a label of `calibrate` is
        unknown, or groups are given at one of fit and prediction only.

    Warns
    -----
    InfeasibleRankWarning
        If a threshold has too few calibration rows for alpha, at least
        ``(1 - alpha) / alpha``; all classes concerned are then in.

    Notes
    -----
    Rows are split at random; with groups or `class_conditional` in proportion within
    each cell that has a threshold of its own, which leaves coverage exact. (To split by
    class under one threshold would not, and a splitter that does so has coverage for
    rows of such proportions alone.) Weights train the classifier; calibration rows
    count alike, but for those of weight 0, which are as if they were not there.

    A class that only calibration rows have gets probability 0, and is in where the
    threshold allows it. With groups, those that calibration has not seen get all
    classes and a warning, never the threshold of others.

    "raps" with a None trains once more: without a random fifth of the training rows,
    on which `k_reg` becomes the rank of `conformal_rank` among the ranks of the true
    classes, and `regularization` the value out of 0.001, 0.01, 0.1, 0.2, 0.5 of the
    smallest sets (the first of equal ones), at the smallest alpha. Calibration rows
    take no part, else coverage would be lost; with a frozen estimator, or `calibrate`
    before fit, a fifth of the rows given tunes instead and does not calibrate.

    With ``cv="stored"`` the probabilities of calibration rows are those of the stack's
    combiner, fitted without each fold in turn, on the members' out-of-fold predictions.
    No row is lost to calibration, but models of fewer rows than `estimator_` saw made
    these probabilities: coverage is near 1 - alpha, not guaranteed.

    Time besides the classifier: O(K log K) a row for K classes; memory O(K) a row and
    alpha.

    References
    ----------
    .. [1] Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005.
    .. [2] Sadinle, Lei, Wasserman, "Least ambiguous set-valued classifiers with bounded
       error levels", Journal of the American Statistical Association 114, 2019.
    .. [3] Romano, Sesia, Candes, "Classification with valid and adaptive coverage",
       NeurIPS 2020.
    .. [4] Angelopoulos, Bates, Malik, Jordan, "Uncertainty sets for image classifiers
       using conformal prediction", ICLR 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_wine(return_X_y=True)
    >>> model = ConformalClassifier(GaussianNB(), method="aps", random_state=0)
    >>> sets = model.fit(X, y).predict_set(X, alpha=[0.05, 0.2])
    >>> sets.shape, bool((sets[..., 1] <= sets[..., 0]).all())
    ((178, 3, 2), True)
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict", "predict_proba"]), None],
        "method": [StrOptions(set(METHODS))],
        "alpha": [Real, Decimal, "array-like", str],
        "calibration_size": [
            Interval(Real, 0.0, 1.0, closed="neither"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "cv": ["cv_object", StrOptions({"stored"})],
        "randomized": ["boolean"],
        "allow_empty": ["boolean"],
        "class_conditional": ["boolean"],
        "regularization": [Interval(Real, 0.0, None, closed="left"), None],
        "k_reg": [Interval(Integral, 0, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        method="lac",
        alpha=0.1,
        calibration_size=0.25,
        cv=None,
        randomized=True,
        allow_empty=True,
        class_conditional=False,
        regularization=None,
        k_reg=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.method = method
        self.alpha = alpha
        self.calibration_size = calibration_size
        self.cv = cv
        self.randomized = randomized
        self.allow_empty = allow_empty
        self.class_conditional = class_conditional
        self.regularization = regularization
        self.k_reg = k_reg
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, groups=None):
        """Train the classifier on one part of the rows, calibrate it on the other.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; trains the classifier.
        groups : array-like of shape (n_samples,), default=None
            Groups with thresholds of their own (Mondrian), known of new rows as well.

        Returns
        -------
        self : ConformalClassifier
        """
        exact_levels(self.alpha)
        X, weight = self._begin(X, y, sample_weight)
        y = check_labels(self, X, y)
        groups = check_groups(groups, len(y))
        if is_frozen(self._wrapped()):
            self.estimator_ = self._wrapped()
            rows = used_rows(len(y), weight)
            groups = None if groups is None else groups[rows]
            return self._calibrate_prefit(_safe_indexing(X, rows), y[rows], groups)
        rng = self._start_random()
        if isinstance(self.cv, str):
            return self._fit_stored(X, y, weight, groups, rng)
        self.classes_ = np.unique(y[used_rows(len(y), weight)])
        train, held = calibration_rows(
            X,
            y,
            self.calibration_size,
            self.cv,
            random_state=rng,
            weight=weight,
            groups=groups,
            cells=self._split_cells(y, groups),
        )
        self._train(X, y, train, weight, rng)
        groups = None if groups is None else groups[held]
        return self._calibrate(_safe_indexing(X, held), y[held], groups)

    @_fit_context(prefer_skip_nested_validation=False)
    def calibrate(self, X, y, groups=None):
        """Calibrate on rows that the classifier has not been trained on.

        After `fit` this takes the place of its calibration. Before it, `estimator` must
        be fitted already, and is used as it is.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Labels that the classifier knows.
        groups : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : ConformalClassifier
        """
        exact_levels(self.alpha)
        require_target(self, y)
        groups = check_groups(groups, _num_samples(X))
        if not hasattr(self, "estimator_"):
            check_is_fitted(self._wrapped())
            X, _ = self._begin(X, y, None)
            self.estimator_ = self._wrapped()
            return self._calibrate_prefit(X, check_labels(self, X, y), groups)
        if self._tunes() and self._scored[0] != "raps":
            raise ValueError(
                "method='raps' has not been tuned in fit. Fit again, or give "
                "regularization and k_reg."
            )
        X = check_new(self, X)
        y = check_labels(self, X, y)
        self._start_random()
        return self._calibrate(X, y, groups)

    def predict(self, X):
        """Predict labels, as the wrapped classifier does.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        X = check_new(self, X)
        return self.estimator_.predict(X)

    def predict_proba(self, X):
        """Predict probabilities, as the wrapped classifier does.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
            Zero for classes that no training row had.
        """
        X = check_new(self, X)
        return probabilities_of(self.estimator_, X, self.classes_)

    def predict_set(self, X, alpha=None, groups=None):
        """Predict sets of classes.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        alpha : float or array-like of shape (n_alphas,), default=None
            Miscoverage in (0, 1); None means that of the constructor.
        groups : array-like of shape (n_samples,), default=None
            Needed where calibration had groups.

        Returns
        -------
        sets : ndarray of shape (n_samples, n_classes), or with (n_alphas,) behind
            Bool, in the order of `classes_`; nested over several alphas.

        Warns
        -----
        InfeasibleRankWarning
            If calibration rows are too few for an alpha, or a group is unknown.
        """
        probabilities = self.predict_proba(X)
        levels, single = exact_levels(self.alpha if alpha is None else alpha)
        rows = self._cells.rows(groups, len(probabilities))
        several = self._cells.counts.size > 1 or groups is not None
        what = " of a class or group" if several else ""
        warn_if_infeasible(self._cells.fewest(rows), min(levels), what)
        scores = self._scores(probabilities, None, stream=1)
        sets = compare(scores, self._cells.thresholds(rows, levels))
        if not self.allow_empty:
            top, empty = probabilities.argmax(axis=1), ~sets.any(axis=1)
            sets[np.arange(len(top)), top] |= empty
        return sets[..., 0] if single else sets

    def _wrapped(self):
        return StackedClassifier() if self.estimator is None else self.estimator

    def _start_random(self):
        """Return the generator; fix the random numbers of sets if there is a seed."""
        rng, self._seed = start_random(self.random_state)
        return rng

    def _split_cells(self, y, groups):
        """Return the cell, with a threshold of its own, of each row; None if one."""
        if groups is None and not self.class_conditional:
            return None
        cells = np.zeros(len(y), np.int64)
        if groups is not None:
            cells = np.unique(groups, return_inverse=True)[1]
        if self.class_conditional:
            cells = cells * len(self.classes_) + np.searchsorted(self.classes_, y)
        return cells

    def _train(self, X, y, train, weight, rng):
        """Fit the classifier, after RAPS has been tuned on a part of its rows."""
        model = with_seed(self._wrapped(), self._seed)
        arguments = weight_arguments(model, weight)
        if self._tunes():
            tuning = tuning_rows(y, train, rng)
            first = np.setdiff1d(train, tuning)
            partial = fit_rows(clone(model), X, y, first, arguments)
            p = np.empty((0, len(self.classes_)))
            if len(tuning):  # each class may have had but one row
                p = probabilities_of(partial, _safe_indexing(X, tuning), self.classes_)
            self._tune(p, y[tuning])
        self.estimator_ = fit_rows(model, X, y, train, arguments)

    def _calibrate_prefit(self, X, y, groups):
        """Calibrate a classifier trained elsewhere, on all rows but those that tune."""
        self.classes_ = np.unique(self.estimator_.classes_)
        self._check_known(y)
        p = probabilities_of(self.estimator_, X, self.classes_)
        return self._tune_and_calibrate(p, y, groups, self._start_random())

    def _fit_stored(self, X, y, weight, groups, rng):
        """Train a stack on all rows; calibrate by its held-out probabilities."""
        stack = with_seed(self._wrapped(), self._seed)
        if not isinstance(stack, StackedClassifier):
            raise ValueError(
                "cv='stored' needs the held-out predictions of a StackedClassifier; "
                f"estimator is {type(stack).__name__}. Use another cv."
            )
        self.classes_ = np.unique(y)
        self.estimator_ = stack.fit(X, y, sample_weight=weight)
        p = held_out_probabilities(stack)
        usable = ~np.isnan(p).any(axis=1)
        if weight is not None:
            usable &= weight > 0.0
        groups = None if groups is None else groups[usable]
        return self._tune_and_calibrate(p[usable], y[usable], groups, rng)

    def _tune_and_calibrate(self, probabilities, y, groups, rng):
        """Calibrate on all rows but those that tune RAPS, where it is to be tuned."""
        if not self._tunes():
            return self._calibrate_by(probabilities, y, groups)
        cells = self._split_cells(y, groups)
        rest, tuning = hold_out(np.arange(len(y)), TUNING_SHARE, rng, cells)
        self._tune(probabilities[tuning], y[tuning])
        groups = None if groups is None else groups[rest]
        return self._calibrate_by(probabilities[rest], y[rest], groups)

    def _tunes(self):
        return self.method == "raps" and None in (self.regularization, self.k_reg)

    def _tune(self, probabilities, y):
        """Choose what RAPS is not given, by rows that neither train nor calibrate."""
        codes = np.searchsorted(self.classes_, y)
        level = min(exact_levels(self.alpha)[0])
        k_reg, penalty = self.k_reg, self.regularization
        if k_reg is None:
            k_reg = best_k_reg(probabilities, codes, level)
        if penalty is None:
            penalty = best_penalty(probabilities, codes, level, k_reg)
        self.k_reg_, self.regularization_ = k_reg, penalty

    def _calibrate(self, X, y, groups):
        self._check_known(y)
        p = probabilities_of(self.estimator_, X, self.classes_)
        return self._calibrate_by(p, y, groups)

    def _calibrate_by(self, probabilities, y, groups):
        if not self._tunes():
            given = self.method == "raps"
            self.regularization_ = self.regularization if given else 0.0
            self.k_reg_ = self.k_reg if given else 1
        self._scored = self.method, self.randomized and self.method != "lac"
        codes = np.searchsorted(self.classes_, y)
        scores = self._scores(probabilities, codes, stream=0)
        by_class = (codes, len(self.classes_)) if self.class_conditional else (None, 1)
        self._cells = Cells(scores, groups, *by_class)
        self.groups_, self.calibration_counts_ = (
            self._cells.groups.names,
            self._cells.counts,
        )
        return self

    def _check_known(self, y):
        unknown = np.setdiff1d(np.unique(y), self.classes_)
        if unknown.size:
            raise ValueError(
                f"y has labels {unknown.tolist()[:5]} that the classifier does not "
                f"know; it was trained on {self.classes_.tolist()[:10]}. Calibrate "
                "with rows of these labels, or train with all."
            )

    def _scores(self, probabilities, codes, stream):
        """Score as in calibration, whose random numbers are stream 0, of sets 1."""
        method, randomized = self._scored
        uniforms = np.ones(len(probabilities))
        if randomized:
            seed = None if self._seed is None else [self._seed, stream]
            uniforms = np.random.default_rng(seed).random(len(probabilities))
        options = self.regularization_, self.k_reg_
        return class_scores(probabilities, codes, method, uniforms, *options)
