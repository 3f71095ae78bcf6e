"""What stacked estimators share: a cross-fit and one combiner, nothing else."""

from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin, clone, is_classifier
from sklearn.utils.metadata_routing import MethodMapping
from sklearn.utils.metaestimators import available_if

from ._combining import OUR_COMBINERS, Combining
from ._estimator_html import HTMLSummaryMixin, stacked_block
from ._members import check_members, find_task
from ._model_files import pickle_size
from ._options import SHARED_CONSTRAINTS
from ._progress import FitReport
from ._routing import make_router, merge_member_tags, route
from ._sklearn import (
    CallbackSupportMixin,
    HasMethods,
    Integral,
    Interval,
    NamedPartsMixin,
    _check_feature_names_in,
    _fit_context,
    check_input_features,
    forget_fitted,
    require_fitted,
    routing_enabled,
)
from .auditing import audit
from .combine._guard_base import GUARD
from .crossfit import CrossFit
from .members import default_members, request_weights
from .prefit import check_prefit


def combiner_has(method):
    """Ask the fitted combiner, or before fit the one that would be fitted."""

    def has_method(stacked):
        combiner = getattr(stacked, "combiner_", None) or stacked._resolve_combiner()
        getattr(combiner, method)  # its AttributeError names the combiner
        return True

    return has_method


def delegate(method, summary):
    """Make a method that hands the members' predictions to the combiner's."""

    def delegated(self, X, **params):
        require_fitted(self)
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
    return available_if(combiner_has(method))(delegated)


class Stacked(
    HTMLSummaryMixin,
    CallbackSupportMixin,
    Combining,
    TransformerMixin,
    NamedPartsMixin,
):
    """All of a stacked estimator but `_task` and `_default_combiner`, and `predict`."""

    _task: str
    _default_combiner: Any
    _leaderboard: list | None

    _parameter_constraints: dict = {
        "estimators": [list, None],
        "combiner": [HasMethods(["fit", "predict"]), None],
        "cv": ["cv_object"],
        "n_repeats": [Interval(Integral, 1, None, closed="left")],
        "passthrough": ["boolean"],
        "guard": GUARD,
        **SHARED_CONSTRAINTS,
    }

    def __init__(
        self,
        estimators=None,
        combiner=None,
        *,
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
        self.estimators = estimators
        self.combiner = combiner
        self.cv = cv
        self.n_repeats = n_repeats
        self.refit = refit
        self.early_stopping = early_stopping
        self.memory = memory
        self.on_error = on_error
        self.min_members = min_members
        self.on_unsupported = on_unsupported
        self.time_limit = time_limit
        self.passthrough = passthrough
        self.guard = guard
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def set_params(self, **params):
        """Set parameters, members by name and nested ones by ``name__parameter``.

        Where a nested parameter belongs to the default members or the default
        combiner, these take the place of None first.

        Parameters
        ----------
        **params : dict
            Values by the names that `get_params` gives.

        Returns
        -------
        self : object
        """
        owners = {key.partition("__")[0] for key in params if "__" in key}
        if self.combiner is None and "combiner" in owners - params.keys():
            self.combiner = self._resolve_combiner()
        if self.estimators is None and "estimators" not in params:
            defaults = self._resolve_estimators()
            if {name for name, _ in defaults} & (owners | params.keys()):
                self.estimators = defaults
        return super().set_params(**params)

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
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        try:
            X = check_input_features(self, X, reset=True)
            routed = route(self, members, X, sample_weight, groups, params)
            with FitReport(self, ("combiner",), X=X, y=y, metadata=metadata) as report:
                self.cross_fit_ = cross_fit._fit(
                    X, y, members, routed, sample_weight, report=report
                )
                targets = cross_fit._encode(y)
                self._combine(X, targets, members, sample_weight, routed, report)
        except BaseException:  # a half of a fit is none
            forget_fitted(self)
            raise
        return self

    def add(self, name, estimator, X, y, *, sample_weight=None, groups=None, **params):
        """Fit one more member on the same folds, and the combiner anew.

        Parameters
        ----------
        name : str
            A name that no member has.
        estimator : estimator
            For the same task. A fitted one is a `PrefitMember`.
        X, y, sample_weight, groups, **params : as given to `fit`

        Returns
        -------
        self : estimator
            No other member is fitted, but for those that have weight only now, on all
            rows.
        """
        require_fitted(self)
        self._check_combiner([(name, estimator)])
        given = {"sample_weight": sample_weight, "groups": groups, **params}
        with self._editing() as cross_fit:
            cross_fit.add(name, estimator, X, y, **given)
            self._combine_again(X, y, sample_weight, groups, params)
        return self

    def remove(self, name, X, y, *, sample_weight=None, groups=None, **params):
        """Forget a member and fit the combiner anew.

        Parameters
        ----------
        name : str
        X, y, sample_weight, groups, **params : as given to `fit`

        Returns
        -------
        self : estimator
            No member is fitted, but for those that have weight only now, on all rows.
        """
        require_fitted(self)
        self.cross_fit_._require("remove")
        X = check_input_features(self, X, reset=False)
        self.cross_fit_._check_same(X, y, sample_weight)
        with self._editing() as cross_fit:
            cross_fit.remove(name)
            self._combine_again(X, y, sample_weight, groups, params)
        return self

    def merge(self, other, X, y, *, sample_weight=None, groups=None, **params):
        """Take over the members of another stack or cross-fit of the same rows.

        Parameters
        ----------
        other : fitted stacked estimator or CrossFit
            Of equal X, y, weights and splits, and other member names.
        X, y, sample_weight, groups, **params : as given to `fit`

        Returns
        -------
        self : estimator
            No member is fitted, but for those that have weight only now, on all rows.
        """
        require_fitted(self)
        theirs = getattr(other, "cross_fit_", other)
        self._check_combiner([p for p in theirs.estimators if p[1] != "drop"])
        self.cross_fit_._require("merge")
        self.cross_fit_._check_same(X, y, sample_weight)
        with self._editing() as cross_fit:
            cross_fit.merge(theirs)
            self._combine_again(X, y, sample_weight, groups, params)
        return self

    def audit(self, X, y, *, sample_weight=None, groups=None, **options):
        """Check that held-out predictions are held out, and what leaks into them.

        Parameters
        ----------
        X, y, sample_weight : as given to `fit`
        groups : array-like of shape (n_samples,), default=None
            Rows that belong together, whether or not `fit` was told.
        **options : dict
            Of `ensemblekit.audit`: ``permute``, ``max_rows``, ``random_state``.

        Returns
        -------
        report : AuditReport
            A table with a verdict per line.
        """
        return audit(self, X, y, sample_weight=sample_weight, groups=groups, **options)

    def compact(self):
        """Drop what `predict` does not need: predictions, splits, unused models.

        Returns
        -------
        self : estimator
            Predicts as before. `library_`, `oof_predictions_` and, unless it was read
            before, `leaderboard_` are gone, and so is `transform` where members have
            no weight.
        """
        require_fitted(self)
        self.cross_fit_.compact(self._needed_members())
        return self

    def pickle_size(self):
        """Return the size of this estimator when it is pickled, in bytes.

        Returns
        -------
        n_bytes : int
            Counted, not kept: no copy is made.
        """
        return pickle_size(self)

    predict_quantiles = delegate("predict_quantiles", "Predict quantiles.")
    predict_interval = delegate("predict_interval", "Predict intervals.")
    predict_set = delegate("predict_set", "Predict sets of classes.")
    abstains = delegate("abstains", "Say for which rows no answer is given.")

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
        require_fitted(self)
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
        require_fitted(self)
        names = self.cross_fit_.column_names(type(self).__name__.lower())
        features = _check_feature_names_in(
            self, input_features, generate_names=self.passthrough
        )
        return np.concatenate([names, features]) if self.passthrough else names

    @property
    def weights_(self):
        """Weights of the members, where the combiner has them."""
        require_fitted(self)
        return self.combiner_.weights_

    @property
    def library_(self):
        """PredictionLibrary of the out-of-fold predictions, or None."""
        require_fitted(self)
        return self.cross_fit_.library_

    @property
    def oof_predictions_(self):
        """Out-of-fold predictions P of the training rows."""
        require_fitted(self)
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
        require_fitted(self)
        if self._leaderboard is None:
            self._leaderboard = self._make_leaderboard()
        return self._leaderboard

    def get_metadata_routing(self):
        """Return the router of members, splitter and combiner.

        Returns
        -------
        router : MetadataRouter
        """
        members = [(n, e) for n, e in self._resolve_estimators() if e != "drop"]
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = make_router(self, members, self.cv)
        return router.add(combiner=self._resolve_combiner(), method_mapping=mapping)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "combiner_")

    def _sk_visual_block_(self):
        return stacked_block(self._resolve_estimators(), self._resolve_combiner())

    def _fitted_rows(self):
        """Return what notebooks show: members by weight, with their held-out loss."""
        reports, weights = self.cross_fit_.report_, self._member_weights()
        rows = [
            {"name": report["name"], "weight": weight, "loss": report["loss"]}
            for report, weight in zip(reports, weights, strict=True)
        ]
        n_used = len(self._needed_members())
        kind = type(self.combiner_).__name__
        caption = f"Fitted: {kind} of {len(rows)} members, {n_used} with weight"
        if None in weights:
            caption = f"Fitted: {kind} of {len(rows)} members"
        return caption, sorted(rows, key=lambda row: -abs(row["weight"] or 0.0))

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
            n_repeats=self.n_repeats,
            **{name: getattr(self, name) for name in SHARED_CONSTRAINTS},
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
        check_prefit(members)
        return members

    def _check_combiner(self, members):
        combiner = self._resolve_combiner()
        kind = type(combiner).__name__
        if is_classifier(combiner) != (self._task == "classification"):
            raise ValueError(
                f"{type(self).__name__} needs a combiner for {self._task}; {kind} is "
                "for another task."
            )
        if not isinstance(combiner, OUR_COMBINERS):
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

    @contextmanager
    def _editing(self):
        """Edit the members, or leave all as it was where that fails."""
        before = dict(vars(self))
        self.cross_fit_ = self.cross_fit_._fork()
        try:
            yield self.cross_fit_
        except BaseException:
            self.__dict__.update(before)
            raise

    def _combine_again(self, X, y, sample_weight, groups, params):
        """Fit the combiner on the members that there are now."""
        self.estimators = self.cross_fit_.estimators
        members = self._check_members(self.cross_fit_)
        X = check_input_features(self, X, reset=False)
        routed = route(self, members, X, sample_weight, groups, params)
        targets = self.cross_fit_._encode(y)
        self.cross_fit_._started = perf_counter()
        report = FitReport(self, callbacks=False)
        self._combine(X, targets, members, sample_weight, routed, report)
