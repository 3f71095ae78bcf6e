"""StackedClassifier, StackedRegressor: a cross-fit and one combiner, nothing else."""

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if

from ._sklearn import require_fitted
from ._stacked import Stacked, combiner_has, delegate
from .combine._convex_classifier import ConvexClassifier
from .combine._convex_regressor import ConvexRegressor

__all__ = ["StackedClassifier", "StackedRegressor"]


class StackedClassifier(ClassifierMixin, Stacked):
    """Cross-fit classifiers and combine their probabilities.

    Every member is fitted on every fold; the combiner is fitted on the out-of-fold
    predictions, which are kept. Only members that the combiner gives weight are fitted
    again on all rows and predicted.

    Parameters
    ----------
    estimators : list of (str, classifier) or None, default=None
        The members; ``"drop"`` leaves one out; None means
        ``default_members("classification")``.
    combiner : estimator or None, default=None
        Fitted on P, any classifier; None means ``ConvexClassifier()``. It is given
        class codes.
    cv : int, splitter or iterable of (train, test), default=None
        None means 5 folds, stratified, or of whole groups where these are given. Rows
        that are held out several times get the mean; the combiner is fitted on those
        that are held out at all.
    n_repeats : int, default=1
        Times that the rows are split anew, at random; of splitters that shuffle.
    refit : {"none", "selected", "all"}, default="selected"
        Members to fit again on all rows for prediction: those with weight (all, where
        the combiner has no weights), all, or none: then new rows get the mean of the
        fold models, at n_folds times the prediction time. Members that are not fitted
        again keep their fold models, which `transform` needs.
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
        Give the combiner X beside P; for combiners that take features.
    guard : {"clip", "warn"} or None, default="clip"
        What to do where a member predicts a new row further outside its out-of-fold
        predictions than their whole width: ``"clip"`` puts the median of the row's
        other members in its place (of decision values the nearest end of the range) and
        warns, ``"warn"`` only warns, None does nothing. On 44 real tables it touched
        two rows in all.
    n_jobs : int, default=None
        Workers for the flat list of (member, fold) tasks; results do not depend on it.
    random_state : int, RandomState or None, default=None
        Seeds the members' ``random_state`` parameters that are None, and a `cv` that
        shuffles without a seed.
    verbose : int, default=0
        1 shows each finished task and the time left.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    combiner_ : fitted combiner
    weights_ : ndarray of shape (n_members,)
        Where the combiner has them.
    cross_fit_ : CrossFit
        Fold models, refitted models, splits, times.
    library_ : PredictionLibrary
        Out-of-fold predictions with names, labels and folds; where members predict
        probabilities.
    oof_predictions_ : ndarray of shape (n_samples, n_members * n_outputs)
    leaderboard_ : list of dict
        Members and ensemble by held-out log loss; computed when read.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    MemberError
        If a member fails; names member and fold.
    ValueError, TypeError
        If members, combiner, X, y, weights or splits are unfit.

    References
    ----------
    .. [1] van der Laan, Polley, Hubbard, "Super Learner", Statistical Applications in
       Genetics and Molecular Biology 6, 2007.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> members = [("linear", make_pipeline(StandardScaler(), LogisticRegression())),
    ...            ("bayes", GaussianNB())]
    >>> stacked = StackedClassifier(members).fit(X, y)
    >>> stacked.weights_.round(2)
    array([0.94, 0.06])
    >>> stacked.predict_proba(X[:2]).shape
    (2, 2)
    """

    _task = "classification"
    _default_combiner = ConvexClassifier

    @property
    def classes_(self):
        """Labels, sorted."""
        require_fitted(self)
        return self.cross_fit_.classes_

    @available_if(combiner_has("predict"))
    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype of `classes_`
        """
        require_fitted(self)
        codes = self.combiner_.predict(self._predictions(X))
        return self.classes_[np.asarray(codes, dtype=np.int64)]

    @available_if(combiner_has("predict_selective"))
    def predict_selective(self, X, **params):
        """Predict labels, and say which of them are answers.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        **params : dict
            Passed on to the combiner's method of the same name.

        Returns
        -------
        selection : named tuple
            What the combiner's method returns, with ``labels`` out of `classes_`.
        """
        require_fitted(self)
        found = self.combiner_.predict_selective(self._predictions(X), **params)
        codes = np.asarray(found.labels, dtype=np.int64)
        return found._replace(labels=self.classes_[codes])

    predict_proba = delegate("predict_proba", "Predict class probabilities.")
    decision_function = delegate("decision_function", "Predict decision values.")


class StackedRegressor(RegressorMixin, Stacked):
    """Cross-fit regressors and combine their predictions.

    Every member is fitted on every fold; the combiner is fitted on the out-of-fold
    predictions, which are kept. Only members that the combiner gives weight are fitted
    again on all rows and predicted.

    Parameters
    ----------
    estimators : list of (str, regressor) or None, default=None
        The members; ``"drop"`` leaves one out; None means
        ``default_members("regression")``.
    combiner : estimator or None, default=None
        Fitted on P, any regressor; None means ``ConvexRegressor()``.
    cv : int, splitter or iterable of (train, test), default=None
        None means 5 folds in the order of the rows (give a shuffled KFold where rows
        are sorted), or of whole groups where these are given. Rows that are held out
        several times get the mean; the combiner is fitted on those that are held out at
        all, which with TimeSeriesSplit are the later ones.
    n_repeats : int, default=1
        Times that the rows are split anew, at random; of splitters that shuffle.
    refit : {"none", "selected", "all"}, default="selected"
        Members to fit again on all rows for prediction: those with weight (all, where
        the combiner has no weights), all, or none: then new rows get the mean of the
        fold models, at n_folds times the prediction time. Members that are not fitted
        again keep their fold models, which `transform` needs.
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
        Give the combiner X beside P; for combiners that take features.
    guard : {"clip", "warn"} or None, default="clip"
        What to do where a member predicts a new row further outside its out-of-fold
        predictions than their whole width: ``"clip"`` puts the median of the row's
        other members in its place (of decision values the nearest end of the range) and
        warns, ``"warn"`` only warns, None does nothing. On 44 real tables it touched
        two rows in all.
    n_jobs : int, default=None
        Workers for the flat list of (member, fold) tasks; results do not depend on it.
    random_state : int, RandomState or None, default=None
        Seeds the members' ``random_state`` parameters that are None, and a `cv` that
        shuffles without a seed.
    verbose : int, default=0
        1 shows each finished task and the time left.

    Attributes
    ----------
    combiner_ : fitted combiner
    weights_ : ndarray of shape (n_members,)
        Where the combiner has them.
    cross_fit_ : CrossFit
        Fold models, refitted models, splits, times.
    library_ : PredictionLibrary
        Out-of-fold predictions with names, targets and folds.
    oof_predictions_ : ndarray of shape (n_samples, n_members)
    leaderboard_ : list of dict
        Members and ensemble by held-out squared error; computed when read.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    MemberError
        If a member fails; names member and fold.
    ValueError, TypeError
        If members, combiner, X, y, weights or splits are unfit.

    References
    ----------
    .. [1] Breiman, "Stacked Regressions", Machine Learning 24, 1996.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.neighbors import KNeighborsRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> members = [("ridge", Ridge(alpha=0.1)), ("nearest", KNeighborsRegressor(15))]
    >>> stacked = StackedRegressor(members).fit(X, y)
    >>> [row["name"] for row in stacked.leaderboard_]
    ['ensemble', 'ridge', 'nearest']
    """

    _task = "regression"
    _default_combiner = ConvexRegressor

    predict = delegate("predict", "Predict values.")
