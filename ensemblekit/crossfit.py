"""CrossFit: folds x members -> library. Owner of splits, clones and predictions."""

from ._fitting import MemberFitting
from ._options import SHARED_CONSTRAINTS
from ._progress import FitReport
from ._routing import make_router, merge_member_tags, route
from ._sklearn import (
    CallbackSupportMixin,
    Integral,
    Interval,
    StrOptions,
    _fit_context,
    check_input_features,
)

__all__ = ["CrossFit"]


class CrossFit(CallbackSupportMixin, MemberFitting):
    """Fit every member on every fold and keep the out-of-fold predictions.

    The splits are made once and shared by all members. The result, `library_`, is all
    that any combiner needs; a change of combiner refits no member. As a transformer,
    `fit_transform` gives out-of-fold predictions (safe to train the next step on),
    `transform` gives the members' predictions for new rows.

    Parameters
    ----------
    estimators : list of (str, estimator)
        The members: all classifiers or all regressors; ``"drop"`` leaves one out. X is
        passed on to them as it is, data frames with their missing values and
        categories included. Classifiers are given class codes.
    cv : int, splitter or iterable of (train, test), default=None
        None means 5 folds, stratified for classification; an int that many. With
        groups, both mean folds of whole groups. A row that several splits hold out gets
        the mean of its predictions, one that none holds out (as with TimeSeriesSplit)
        has none: NaN in `oof_predictions_`, and no part in `library_` and scores.
    n_repeats : int, default=1
        Times that the rows are split anew, at random; of splitters that shuffle. What
        is scored then is the mean of several models: give ``refit="none"``, so that new
        rows get that as well.
    method : {"auto", "predict_proba", "decision_function", "predict"}, default="auto"
        What classifiers predict with; ``"auto"`` is the first of these they have.
    quantile_levels : array-like of shape (n_levels,), default=None
        Levels, ascending in (0, 1), at which members predict quantiles by their
        ``predict_quantiles(X)``, of shape (n_samples, n_levels); None: values. A
        parameter `quantile_levels` of a member that is None is set to these. Rows of
        quantiles that cross are sorted, which never raises the pinball loss, and
        counted in `report_`.
    refit : {"none", "selected", "all"}, default="selected"
        ``"all"`` also fits each member on all rows, ``"selected"`` those named in a
        later call of `refit_members`, ``"none"`` no member. A refitted member predicts
        new rows by that one model, any other by the mean of its fold models. Number of
        fits: n_members * n_folds, plus the refitted.
    early_stopping : {"inner", "held_out"} or tuple (X_val, y_val), default="inner"
        Rows that tell a member when to stop boosting, if its own parameters ask for
        that (``early_stopping_rounds`` and the like): a tenth of the training rows, set
        aside; the rows the fold holds out, which makes their predictions optimistic and
        is flagged in `report_`; or rows of your own. A refit boosts the mean number of
        rounds of the folds, times the ratio of the numbers of rows (a rule of thumb).
    memory : str, Path, PredictionCache or None, default=None
        Folder that keeps what was fitted, under the content of all that determines it:
        the same fit, or one with other combiners, finds it again, and an interrupted
        fit goes on where it was. With ``random_state=None`` the seeds are then drawn
        from that content, so that the same call gives the same result.
    on_error : {"raise", "drop"}, default="raise"
        What to do where a member fails: stop, or warn and leave that member out.
    min_members : int, default=1
        Members that have to remain with ``on_error="drop"`` or a `time_limit`.
    on_unsupported : {"raise", "ignore"}, default="raise"
        What to do where a member takes no sample weights: stop, or fit it without.
    time_limit : float, default=None
        Seconds after which no more tasks are begun; members that are not on all folds
        by then are left out, those not refitted keep their fold models. Members are
        taken in their order: list those first that matter most.
    n_jobs : int, default=None
        Workers for one flat list of (member, fold) tasks; results do not depend on it.
    random_state : int, RandomState or None, default=None
        Seeds the members' ``random_state`` parameters that are None, each member and
        fold by its own, and a `cv` that shuffles without a seed; None leaves them
        alone.
    verbose : int, default=0
        1 shows each finished task and the time left.

    Attributes
    ----------
    oof_predictions_ : ndarray of shape (n_samples, n_members * n_outputs)
        Held-out predictions in scikit-learn's stacking column order; NaN in rows that
        no split holds out.
    library_ : PredictionLibrary or None
        The same of the rows in `covered_`, with names, targets and folds (the first
        that holds a row out); None where classifiers predict no probabilities.
    covered_ : ndarray of shape (n_samples,), bool
        Rows that some split holds out.
    splits_ : list of (train, test)
        Row numbers of each fold.
    dropped_ : list of dict
        name, where and problem of the members left out.
    estimators_ : dict of str to estimator
        Members refitted on all rows.
    fold_estimators_ : dict of str to list of estimator
        Fold models of the members that are not refitted.
    fold_classes_ : list of ndarray of int
        Codes of the classes in each fold's training rows; None for regression.
    classes_ : ndarray of shape (n_classes,) or None
        Labels, sorted; None for regression.
    method_ : dict of str to str
        Method each member predicts with.
    report_ : list of dict
        For each member: name, scores (loss per fold), loss (mean), loss_se (standard
        error over the folds), fit_time and predict_time (seconds, all folds), frozen
        (True where the member was trained elsewhere, so that nobody knows here whether
        its predictions are held out). The loss is log loss, squared error, or pinball
        loss, the mean over the levels; of quantiles also crossing, the number of rows
        whose quantiles were sorted.
    n_fits_ : int
        Calls of members' fit.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    MemberError
        If a member fails or breaks the contract; names member and fold.
    ValueError, TypeError
        If the members, X, y, the weights or the splits are unfit; if a member is fitted
        already and is no `PrefitMember`.

    Notes
    -----
    Memory: P, the fold models, and one fold's rows of X per worker.

    References
    ----------
    .. [1] van der Laan, Polley, Hubbard, "Super Learner", Statistical Applications in
       Genetics and Molecular Biology 6, 2007.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> members = [("ridge", Ridge()), ("tree", DecisionTreeRegressor(max_depth=3))]
    >>> crossfit = CrossFit(members).fit(X, y)
    >>> crossfit.library_
    PredictionLibrary(regression: 2 members, 442 rows, 0 test rows)
    >>> crossfit.n_fits_
    10
    """

    _parameter_constraints: dict = {
        "estimators": [list],
        "cv": ["cv_object"],
        "n_repeats": [Interval(Integral, 1, None, closed="left")],
        "method": [
            StrOptions({"auto", "predict_proba", "decision_function", "predict"})
        ],
        "quantile_levels": ["array-like", None],
        **SHARED_CONSTRAINTS,
    }

    def __init__(
        self,
        estimators,
        *,
        cv=None,
        n_repeats=1,
        method="auto",
        quantile_levels=None,
        refit="selected",
        early_stopping="inner",
        memory=None,
        on_error="raise",
        min_members=1,
        on_unsupported="raise",
        time_limit=None,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.estimators = estimators
        self.cv = cv
        self.n_repeats = n_repeats
        self.method = method
        self.quantile_levels = quantile_levels
        self.refit = refit
        self.early_stopping = early_stopping
        self.memory = memory
        self.on_error = on_error
        self.min_members = min_members
        self.on_unsupported = on_unsupported
        self.time_limit = time_limit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, sample_weight=None, groups=None, **params):
        """Fit all members on all folds.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Targets, or labels of any type that sorts.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; reaches every member and all scores. Pipelines pass it to
            their last step.
        groups : array-like of shape (n_samples,), default=None
            Reaches the splitter: rows of one group are held out together.
        **params : dict
            Further metadata; only with scikit-learn's metadata routing.

        Returns
        -------
        self : CrossFit
        """
        members = self._check_members()
        X = check_input_features(self, X, reset=True)
        routed = route(self, members, X, sample_weight, groups, params)
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        with FitReport(self, X=X, y=y, metadata=metadata) as report:
            return self._fit(
                X,
                y,
                members,
                routed,
                sample_weight,
                report=report,
                fold_models="wanted" if self.refit == "selected" else "none",
            )

    def fit_transform(self, X, y, **params):
        """Fit and return the out-of-fold predictions (not those of `transform`).

        Parameters
        ----------
        X, y, **params : as for `fit`

        Returns
        -------
        P : ndarray of shape (n_samples, n_members * n_outputs)
        """
        return self.fit(X, y, **params).oof_predictions_

    def refit_members(self, X, y, names, *, sample_weight=None, groups=None, **params):
        """Fit the named members on all rows; their fold models are dropped.

        Parameters
        ----------
        X, y : as for `fit`
        names : list of str
        sample_weight, groups, **params : as for `fit`

        Returns
        -------
        self : CrossFit
        """
        self._require("refit_members")
        self._check_names(names)
        members, X, targets, routed = self._again(X, y, sample_weight, groups, params)
        report = FitReport(self, callbacks=False)
        self._refit(X, targets, members, names, routed, report)
        return self

    def add(self, name, estimator, X, y, *, sample_weight=None, groups=None, **params):
        """Fit one more member on the same folds; no other member is fitted.

        Parameters
        ----------
        name : str
            A name that no member has.
        estimator : estimator
            For the same task. A fitted one is a `PrefitMember`.
        X, y, sample_weight, groups, **params : as given to `fit`

        Returns
        -------
        self : CrossFit
            `estimators` has the new member at its end.

        Raises
        ------
        ValueError
            If the name is taken, or X, y or the weights are not those of `fit`.
        """
        self._require("add")
        if name in self.method_:
            raise ValueError(f"There is a member {name!r} already; use another name.")
        before = self._fork()
        others = [pair for pair in self.estimators if pair[0] != name]
        self.estimators = [*others, (name, estimator)]
        try:
            members, X, targets, routed = self._again(
                X, y, sample_weight, groups, params
            )
            self.method_[name] = self._method_of(*members[-1])
            report = FitReport(self, callbacks=False)
            self._take(X, targets, members[-1:], routed, report)
            if self.refit == "all" and name in self.method_:
                self._refit(X, targets, members, [name], routed, report)
        except BaseException:
            self.__dict__.update(vars(before))
            raise
        return self

    def get_metadata_routing(self):
        """Return the router: members get what they request, the splitter `groups`.

        Returns
        -------
        router : MetadataRouter
        """
        members = [(n, e) for n, e in self.estimators if e != "drop"]
        return make_router(self, members, self.cv)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return merge_member_tags(tags, self.estimators)
