"""StackedClassifier, StackedRegressor: a cross-fit and one combiner, nothing else."""

import numpy as np
from scipy import sparse
from sklearn.base import (
    ClassifierMixin,
    RegressorMixin,
    TransformerMixin,
    clone,
    is_classifier,
)
from sklearn.utils.metadata_routing import MethodMapping
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._members import check_members, find_task, weight_parameter
from ._routing import make_router, merge_member_tags, route
from ._sklearn import (
    HasMethods,
    Integral,
    StrOptions,
    _BaseComposition,
    _check_feature_names_in,
    _fit_context,
    check_input_features,
    forget_fitted,
    hstack_containers,
    routing_enabled,
)
from .combine._base import (
    ClassificationCombinerMixin,
    RegressionCombinerMixin,
    own_weights,
)
from .combine._convex_classifier import ConvexClassifier
from .combine._convex_regressor import ConvexRegressor
from .combine._guard_base import GUARD, guarded, learn_groups
from .crossfit import CrossFit
from .leaderboard import rank
from .library import PredictionLibrary
from .members import default_members, request_weights

__all__ = ["StackedClassifier", "StackedRegressor"]

_OURS = (ClassificationCombinerMixin, RegressionCombinerMixin)


def _combiner_has(method):
    """Ask the fitted combiner, or before fit the one that would be fitted."""

    def has_method(stacked):
        combiner = getattr(stacked, "combiner_", None) or stacked._resolve_combiner()
        getattr(combiner, method)  # its AttributeError names the combiner
        return True

    return has_method


def _delegate(method, summary):
    """Make a method that hands the members' predictions to the combiner's."""

    def delegated(self, X, **params):
        check_is_fitted(self)
        return getattr(self.combiner_, method)(self._predictions(X), **params)

    # scikit-learn reads the name to tell probabilities from decision values.
    delegated.__name__ = method
    delegated.__doc__ = f"""{summary}

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        **params : dict
            Passed on to the combiner's method of the same name.

        Returns
        -------
        result : what the combiner's method returns
        """
    return available_if(_combiner_has(method))(delegated)


class _Stacked(TransformerMixin, _BaseComposition):
    """What the two stacked estimators share; `_task` tells them apart."""

    _parameter_constraints: dict = {
        "estimators": [list, None],
        "combiner": [HasMethods(["fit", "predict"]), None],
        "cv": ["cv_object"],
        "refit": [StrOptions({"none", "selected", "all"})],
        "passthrough": ["boolean"],
        "guard": GUARD,
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimators=None,
        combiner=None,
        *,
        cv=None,
        refit="selected",
        passthrough=False,
        guard="clip",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.estimators = estimators
        self.combiner = combiner
        self.cv = cv
        self.refit = refit
        self.passthrough = passthrough
        self.guard = guard
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def get_params(self, deep=True):
        """Return parameters, with ``deep`` also those of members and combiner."""
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params):
        """Set parameters, members by name and nested ones by ``name__parameter``.

        Where a nested parameter belongs to the default members or the default
        combiner, these take the place of None first.
        """
        owners = {key.partition("__")[0] for key in params if "__" in key}
        if self.combiner is None and "combiner" in owners - params.keys():
            self.combiner = self._resolve_combiner()
        if self.estimators is None and "estimators" not in params:
            defaults = self._resolve_estimators()
            if {name for name, _ in defaults} & (owners | params.keys()):
                self.estimators = defaults
        return self._set_params("estimators", **params)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, sample_weight=None, groups=None, **params):
        """Cross-fit the members, fit the combiner, refit what prediction needs.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; reaches every member, the combiner and all scores.
        groups : array-like of shape (n_samples,), default=None
            Reaches the splitter: rows of one group are held out together.
        **params : dict
            Further metadata; only with scikit-learn's metadata routing.

        Returns
        -------
        self : estimator
        """
        cross_fit = self._new_cross_fit()
        members = self._check_members(cross_fit)
        self._check_combiner(members)
        forget_fitted(self)
        self._leaderboard: list | None = None
        X = check_input_features(self, X, reset=True)
        routed = route(self, members, X, sample_weight, groups, params)
        self.cross_fit_ = cross_fit._fit(X, y, members, routed, sample_weight)
        self._fit_combiner(X, y, sample_weight, routed)
        self._shown = self._learn_ranges(sample_weight)
        if self.refit == "selected":
            targets = cross_fit._encode(y)
            cross_fit._refit(X, targets, members, self._needed_members(), routed)
        return self

    predict_quantiles = _delegate("predict_quantiles", "Predict quantiles.")
    predict_interval = _delegate("predict_interval", "Predict intervals.")
    predict_set = _delegate("predict_set", "Predict sets of classes.")
    abstains = _delegate("abstains", "Say for which rows no answer is given.")

    def transform(self, X):
        """Predict X with all members: P, followed by X itself with `passthrough`.

        ``fit_transform`` is fit and then this, as in scikit-learn: on the training rows
        these are no held-out predictions. Use `oof_predictions_`, or `CrossFit` as a
        step of a pipeline, to train on.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        P : ndarray of shape (n_samples, n_members * n_outputs), or with X's columns
        """
        check_is_fitted(self)
        X = check_input_features(self, X, reset=False)
        return self._join(self.cross_fit_.transform(X), X)

    def get_feature_names_out(self, input_features=None):
        """Name the columns of `transform`: ``<class>_<member>``, numbered per class.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of X's columns; used with `passthrough`.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        names = self.cross_fit_.column_names(type(self).__name__.lower())
        features = _check_feature_names_in(
            self, input_features, generate_names=self.passthrough
        )
        return np.concatenate([names, features]) if self.passthrough else names

    @property
    def weights_(self):
        """Weights of the members, where the combiner has them."""
        check_is_fitted(self)
        return self.combiner_.weights_

    @property
    def library_(self):
        """PredictionLibrary of the out-of-fold predictions, or None."""
        check_is_fitted(self)
        return self.cross_fit_.library_

    @property
    def oof_predictions_(self):
        """Out-of-fold predictions P of the training rows."""
        check_is_fitted(self)
        return self.cross_fit_.oof_predictions_

    @property
    def leaderboard_(self):
        """Members and ensemble as a list of dicts, best loss first.

        Keys: name, loss and loss_se (log loss or squared error on held-out rows, and
        its standard error over the folds), weight, frozen (True where a part was
        trained elsewhere, so that the loss may not be held out), fit_time and
        predict_time (seconds, over all folds). The ensemble's loss is cross-fitted: its
        combiner is refitted without each fold in turn, no member is. Computed at the
        first reading. ``pandas.DataFrame(stacked.leaderboard_)`` shows it.
        """
        check_is_fitted(self)
        if self._leaderboard is None:
            self._leaderboard = self._make_leaderboard()
        return self._leaderboard

    def get_metadata_routing(self):
        """Return the router of members, splitter and combiner."""
        members = [(n, e) for n, e in self._resolve_estimators() if e != "drop"]
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = make_router(self, members, self.cv)
        return router.add(combiner=self._resolve_combiner(), method_mapping=mapping)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "combiner_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        if self.estimators is not None:
            return merge_member_tags(tags, self.estimators)
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = tags.input_tags.string = True
        return tags

    def _cross_fit_options(self):
        return {}

    def _new_cross_fit(self):
        return CrossFit(
            self._resolve_estimators(),
            cv=self.cv,
            refit=self.refit,
            n_jobs=self.n_jobs,
            random_state=self.random_state,
            verbose=self.verbose,
            **self._cross_fit_options(),
        )

    def _default_members(self):
        return default_members(self._task)

    def _resolve_estimators(self):
        if self.estimators is not None:
            return self.estimators
        members = self._default_members()
        return request_weights(members) if routing_enabled() else members

    def _resolve_combiner(self):
        if self.combiner is not None:
            return self.combiner
        combiner = self._default_combiner()
        if routing_enabled():
            combiner.set_fit_request(sample_weight=True)
        return combiner

    def _check_members(self, cross_fit):
        members = check_members(cross_fit.estimators)
        self._validate_names([name for name, _ in members])
        if find_task(members) != self._task:
            raise ValueError(
                f"{type(self).__name__} needs members for {self._task}; "
                f"{[name for name, _ in members]} are for {find_task(members)}."
            )
        return members

    def _check_combiner(self, members):
        combiner = self._resolve_combiner()
        kind = type(combiner).__name__
        if is_classifier(combiner) != (self._task == "classification"):
            raise ValueError(
                f"{type(self).__name__} needs a combiner for {self._task}; {kind} is "
                "for another task."
            )
        if not isinstance(combiner, _OURS):
            return
        self._check_passthrough(kind)
        for name, member in members:
            if self._task == "classification" and not hasattr(member, "predict_proba"):
                raise ValueError(
                    f"Member {name!r} ({type(member).__name__}) has no predict_proba, "
                    f"and {kind} combines probabilities. Wrap the member in "
                    "CalibratedClassifierCV, or use another combiner."
                )

    def _check_passthrough(self, kind):
        if self.passthrough:
            raise ValueError(
                f"passthrough=True hands X to the combiner, but {kind} combines "
                "predictions only. Use a combiner that takes features, such as "
                "LogisticRegression, or passthrough=False."
            )

    def _new_combiner(self):
        return clone(self._resolve_combiner())

    def _fit_combiner(self, X, y, sample_weight, routed):
        combiner = self._new_combiner()
        params = routed.combiner
        if sample_weight is not None and not routing_enabled():
            params = {weight_parameter("The combiner", combiner): sample_weight}
        self._weighted = bool(params)
        params = {**params, **self._combiner_extras(X)}
        P = self._combiner_input(self.cross_fit_.oof_predictions_, X)
        self.combiner_ = combiner.fit(P, self.cross_fit_._encode(y), **params)

    def _combiner_input(self, P, X):
        return self._join(P, X)

    def _combiner_extras(self, X):
        """Return what the combiner's fit is given beside P, y and metadata."""
        return {}

    def _needed_members(self):
        names = list(self.cross_fit_.method_)
        return [
            name
            for name, weight in zip(names, self._member_weights(), strict=True)
            if weight is None or weight != 0.0
        ]

    def _member_weights(self):
        """One weight per member; None where the combiner has none, or foreign ones."""
        n_members = len(self.cross_fit_.method_)
        weights = own_weights(self.combiner_, n_members)
        return [None] * n_members if weights is None else weights.tolist()

    def _predictions(self, X):
        """P of new rows; members the combiner gives no weight are not predicted."""
        X = check_input_features(self, X, reset=False)
        P = self.cross_fit_.predict_members(X, self._needed_members())
        # _predictions <- delegated or predict <- user
        P = guarded(P, self._shown, self.guard, stacklevel=3)
        return self._combiner_input(P, X)

    def _learn_ranges(self, sample_weight):
        """Return what the members with weight predicted for held-out rows."""
        P, methods = self.cross_fit_.oof_predictions_, self.cross_fit_.method_
        if sample_weight is not None:
            P = P[np.asarray(sample_weight) > 0.0]
        needed, comparable = set(self._needed_members()), set(methods)
        if self._task == "classification":
            comparable = {m for m in methods if methods[m] == "predict_proba"}
        blocks = {m: c for m, c in self.cross_fit_.column_blocks() if m in needed}
        return learn_groups(P, blocks, comparable, self._task == "classification")

    def _join(self, P, X):
        if not self.passthrough:
            return P
        if sparse.issparse(X):
            return sparse.hstack([P, X], format=X.format)
        if hasattr(self, "feature_names_in_"):
            names = self.cross_fit_.column_names(type(self).__name__.lower())
            return hstack_containers(P, names, X)
        return np.hstack([P, X])

    def _make_leaderboard(self):
        weights = self._member_weights()
        rows = [
            {"name": report["name"], "loss": None, "loss_se": None, "weight": weight}
            | {key: value for key, value in report.items() if key != "scores"}
            for report, weight in zip(self.cross_fit_.report_, weights, strict=True)
        ]
        ensemble = {
            **dict.fromkeys(rows[0]),
            "name": "ensemble",
            "frozen": any(row["frozen"] and row["weight"] != 0.0 for row in rows),
        }
        for row, scores in zip(
            [*rows, ensemble], self._held_out_scores(), strict=False
        ):
            row.update(scores)
        rows.append(ensemble)
        return sorted(rows, key=lambda row: (row["loss"] is None, row["loss"] or 0.0))

    def _held_out_scores(self):
        """Scores on common rows; none where probabilities are lacking."""
        library = self.library_
        scorable = self._task == "regression" or hasattr(
            self.combiner_, "predict_proba"
        )
        if library is None or self.passthrough or not scorable:
            return []
        if library.classes is not None:  # the combiner knows codes
            codes = np.arange(len(library.classes))
            library = PredictionLibrary(
                library.P,
                np.searchsorted(library.classes, library.y),
                library.names,
                classes=codes,
                folds=library.folds,
                sample_weight=library.sample_weight,
            )
        return rank(library, self.combiner_, self._weighted)


class StackedClassifier(ClassifierMixin, _Stacked):
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
        Must hold out each row exactly once; None means 5 stratified folds.
    refit : {"none", "selected", "all"}, default="selected"
        Members to fit again on all rows for prediction: those with weight (all, where
        the combiner has no weights), all, or none: then new rows get the mean of the
        fold models, at n_folds times the prediction time. Members that are not fitted
        again keep their fold models, which `transform` needs.
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
        Seeds the members' ``random_state`` parameters that are None.
    verbose : int, default=0
        Progress messages of joblib.

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
        check_is_fitted(self)
        return self.cross_fit_.classes_

    @available_if(_combiner_has("predict"))
    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype of `classes_`
        """
        check_is_fitted(self)
        codes = self.combiner_.predict(self._predictions(X))
        return self.classes_[np.asarray(codes, dtype=np.int64)]

    @available_if(_combiner_has("predict_selective"))
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
        check_is_fitted(self)
        found = self.combiner_.predict_selective(self._predictions(X), **params)
        codes = np.asarray(found.labels, dtype=np.int64)
        return found._replace(labels=self.classes_[codes])

    predict_proba = _delegate("predict_proba", "Predict class probabilities.")
    decision_function = _delegate("decision_function", "Predict decision values.")


class StackedRegressor(RegressorMixin, _Stacked):
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
        Must hold out each row exactly once; None means 5 folds in the order of the
        rows (give a shuffled KFold where rows are sorted).
    refit : {"none", "selected", "all"}, default="selected"
        Members to fit again on all rows for prediction: those with weight (all, where
        the combiner has no weights), all, or none: then new rows get the mean of the
        fold models, at n_folds times the prediction time. Members that are not fitted
        again keep their fold models, which `transform` needs.
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
        Seeds the members' ``random_state`` parameters that are None.
    verbose : int, default=0
        Progress messages of joblib.

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

    predict = _delegate("predict", "Predict values.")
