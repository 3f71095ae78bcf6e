"""CrossFit: folds x members -> library. Owner of splits, clones and predictions."""

from copy import copy

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from . import layout
from ._folds import (
    FoldTask,
    assemble,
    draw_seeds,
    find_fold_classes,
    fit_all_rows,
    fit_fold,
    make_splits,
    number_rows,
    run_tasks,
)
from ._levels import sort_levels
from ._members import (
    check_members,
    find_method,
    find_task,
    holds_frozen,
    predict_member,
    with_levels,
    with_seed,
)
from ._routing import make_router, merge_member_tags, route
from ._sklearn import (
    Integral,
    StrOptions,
    _BaseComposition,
    _check_y,
    _fit_context,
    _num_samples,
    check_input_features,
    check_sample_weight,
    forget_fitted,
)
from .leaderboard import score_folds
from .library import PredictionLibrary

__all__ = ["CrossFit"]


class CrossFit(TransformerMixin, _BaseComposition):
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
        Must hold out each row exactly once. None means 5 folds, stratified for
        classification; an int that many.
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
    n_jobs : int, default=None
        Workers for one flat list of (member, fold) tasks; results do not depend on it.
    random_state : int, RandomState or None, default=None
        Seeds the members' ``random_state`` parameters that are None, each fold anew;
        None leaves them alone.
    verbose : int, default=0
        Progress messages of joblib.

    Attributes
    ----------
    oof_predictions_ : ndarray of shape (n_samples, n_members * n_outputs)
        Held-out predictions in scikit-learn's stacking column order.
    library_ : PredictionLibrary or None
        The same with names, targets and folds; None where classifiers predict no
        probabilities.
    splits_ : list of (train, test)
        Row numbers of each fold.
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
        If the members, X, y, the weights or the splits are unfit.

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
        "method": [
            StrOptions({"auto", "predict_proba", "decision_function", "predict"})
        ],
        "quantile_levels": ["array-like", None],
        "refit": [StrOptions({"none", "selected", "all"})],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimators,
        *,
        cv=None,
        method="auto",
        quantile_levels=None,
        refit="selected",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.estimators = estimators
        self.cv = cv
        self.method = method
        self.quantile_levels = quantile_levels
        self.refit = refit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def get_params(self, deep=True):
        """Return parameters, with ``deep`` also those of the members."""
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params):
        """Set parameters, members by name, nested ones by ``name__parameter``."""
        return self._set_params("estimators", **params)

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
        return self._fit(X, y, members, routed, sample_weight)

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

    def transform(self, X):
        """Predict new rows with all members.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        P : ndarray of shape (n_samples, n_members * n_outputs)
        """
        check_is_fitted(self)
        return self.predict_members(X, list(self.method_))

    def predict_members(self, X, names):
        """Predict new rows with the named members; the columns of others are constant.

        Combiners with weights do not read the columns of members of weight 0, which
        need not be predicted then: they hold equal probabilities (0 for regression).

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        names : list of str

        Returns
        -------
        P : ndarray of shape (n_samples, n_members * n_outputs)
        """
        check_is_fitted(self)
        self._check_names(names)
        X = check_input_features(self, X, reset=False)
        n_rows = _num_samples(X)
        blocks = []
        for name, width in self._widths.items():
            if name in names:
                blocks.append(self._predict_member(name, X))
            else:
                blocks.append(np.full((n_rows, width), self._filler()))
        return np.hstack(blocks)

    def only_fold(self, fold):
        """Return a copy that predicts new rows by the models of one fold alone.

        Parameters
        ----------
        fold : int
            Position in `splits_`: these models have not seen its held-out rows.

        Returns
        -------
        single : CrossFit
            Shares models and predictions with this one; nothing is fitted.

        Raises
        ------
        ValueError
            If a member was refitted, which drops its fold models, or there is no such
            fold.

        Examples
        --------
        >>> from sklearn.linear_model import LinearRegression
        >>> X, y = [[0.0], [1.0], [2.0], [4.0]], [0.0, 1.0, 2.0, 8.0]
        >>> members = [("line", LinearRegression())]
        >>> folds = CrossFit(members, cv=2, refit="none").fit(X, y)
        >>> folds.only_fold(1).transform([[4.0]]).round(6)
        array([[4.]])
        """
        check_is_fitted(self)
        refitted = [name for name in self.method_ if name not in self.fold_estimators_]
        if refitted:
            raise ValueError(
                f"Members {refitted} were fitted again on all rows, which drops their "
                "fold models. Use refit='none'."
            )
        if not 0 <= fold < len(self.splits_):
            raise ValueError(
                f"fold is {fold}; expected 0 to {len(self.splits_) - 1}, as in splits_."
            )
        single = copy(self)
        single.fold_classes_ = [self.fold_classes_[fold]]
        single.fold_estimators_ = {
            name: [models[fold]] for name, models in self.fold_estimators_.items()
        }
        return single

    def refit_members(self, X, y, names, *, sample_weight=None, **params):
        """Fit the named members on all rows; their fold models are dropped.

        Parameters
        ----------
        X, y : as for `fit`
        names : list of str
        sample_weight, **params : as for `fit`

        Returns
        -------
        self : CrossFit
        """
        check_is_fitted(self)
        members = self._check_members()
        self._check_names(names)
        X = check_input_features(self, X, reset=False)
        routed = route(self, members, X, sample_weight, None, params)
        return self._refit(X, self._encode(y), members, names, routed)

    def get_feature_names_out(self, input_features=None):
        """Name the columns of P: ``crossfit_member``, or with an output's number.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        return self.column_names("crossfit")

    def column_names(self, prefix):
        """Name P's columns ``prefix_member``, with a number where it has several."""
        names = []
        for name, width in self._widths.items():
            numbers = [""] if width == 1 else range(width)
            names += [f"{prefix}_{name}{number}" for number in numbers]
        return np.asarray(names, dtype=object)

    def column_blocks(self):
        """Yield each member's name and the positions of its columns in P."""
        first = 0
        for name, width in self._widths.items():
            yield name, np.arange(first, first + width)
            first += width

    def get_metadata_routing(self):
        """Return the router: members get what they request, the splitter `groups`."""
        members = [(n, e) for n, e in self.estimators if e != "drop"]
        return make_router(self, members, self.cv)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "report_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return merge_member_tags(tags, self.estimators)

    def _check_members(self):
        members = check_members(self.estimators)
        self._validate_names([name for name, _ in members])
        return members

    def _check_names(self, names):
        unknown = [name for name in names if name not in self.method_]
        if unknown or isinstance(names, str):
            raise ValueError(
                f"Unknown members {unknown}. Expected a list of some of "
                f"{list(self.method_)}."
            )

    def _fit(self, X, y, members, routed, sample_weight):
        """Fit with metadata that is already routed to members and splitter."""
        forget_fitted(self)
        check_input_features(self, X, reset=True)
        weight = (
            None if sample_weight is None else check_sample_weight(sample_weight, X)
        )
        task = find_task(members)
        self._levels = self._check_levels(task)
        targets = self._check_targets(X, y, task)
        method = self.method if self._levels is None else "predict_quantiles"
        self.method_ = {
            name: find_method(name, member, method, task) for name, member in members
        }
        self._check_refit()
        self.splits_ = make_splits(
            self.cv, X, y, task == "classification", routed.split
        )
        self.fold_classes_ = find_fold_classes(self.classes_, targets, self.splits_)
        self._seeds = draw_seeds(self.random_state, len(members), len(self.splits_))
        results = self._fit_folds(X, targets, members, routed)
        self.estimators_ = {}
        self.n_fits_ = len(results) * len(self.splits_)
        self.fold_estimators_ = {
            name: [fold.model for fold in folds] for name, folds in results.items()
        }
        self._collect(results, members, targets, weight)
        if self.refit == "all":
            self._refit(X, targets, members, list(self.method_), routed)
        return self

    def _check_levels(self, task):
        if self.quantile_levels is None:
            return None
        if task == "classification":
            raise ValueError(
                "quantile_levels are for regression; the members are classifiers."
            )
        return layout.check_levels(self.quantile_levels)

    def _check_targets(self, X, y, task):
        """Set `classes_`; return y as numbers, or as class codes."""
        if y is None:
            raise ValueError(
                "CrossFit requires y to be passed, but the target y is None."
            )
        y = _check_y(y, y_numeric=task == "regression")
        check_consistent_length(X, y)
        self.classes_ = None
        if task == "regression":
            return y.astype(np.float64)
        check_classification_targets(y)
        self.classes_, codes = layout.encode_labels(y)
        return codes

    def _encode(self, y):
        if self.classes_ is None:
            return _check_y(y, y_numeric=True)
        y = _check_y(y)
        unknown = np.setdiff1d(y, self.classes_)
        if unknown.size:
            raise ValueError(
                f"y has labels {unknown.tolist()} that were not there in fit."
            )
        return np.searchsorted(self.classes_, y)

    def _check_refit(self):
        labels = [name for name, method in self.method_.items() if method == "predict"]
        if self.classes_ is not None and labels and self.refit == "none":
            raise ValueError(
                f"Members {labels} predict labels, of which fold models have no mean. "
                "Use refit='all' or members with predict_proba."
            )

    def _fit_folds(self, X, targets, members, routed):
        """Run all (member, fold) tasks; return each member's results in fold order."""
        tasks = [
            FoldTask(
                name,
                self._prepare(name, member, self._seeds[m, fold]),
                self.method_[name],
                routed.members[name],
                train,
                test,
                self.fold_classes_[fold],
                f"fold {fold + 1} of {len(self.splits_)}",
                self._n_outputs(),
            )
            for fold, (train, test) in enumerate(self.splits_)
            for m, (name, member) in enumerate(members)
        ]
        results = run_tasks(
            fit_fold,
            [(X, targets, self.classes_, task) for task in tasks],
            self.n_jobs,
            self.verbose,
        )
        return {name: results[m :: len(members)] for m, (name, _) in enumerate(members)}

    def _prepare(self, name, member, seed):
        """Return a clone with its seed and, for quantiles, the levels."""
        member = with_seed(member, seed)
        if self._levels is None:
            return member
        return with_levels(f"Member {name!r}", member, self._levels)

    def _n_outputs(self):
        return 1 if self._levels is None else len(self._levels)

    def _refit(self, X, targets, members, names, routed):
        numbered = dict(zip(self.method_, enumerate(members), strict=True))
        tasks = []
        for name in names:
            number, (_, member) = numbered[name]
            seeded = self._prepare(name, member, self._seeds[number, -1])
            tasks.append(
                (X, targets, self.classes_, name, seeded, routed.members[name])
            )
        models = run_tasks(fit_all_rows, tasks, self.n_jobs, self.verbose)
        self.n_fits_ += len(names)
        for name, model in zip(names, models, strict=True):
            self.estimators_[name] = model
            self.fold_estimators_.pop(name, None)
        return self

    def _collect(self, results, members, targets, weight):
        """Turn the folds' results into P, library and report."""
        folds = number_rows(self.splits_)
        blocks = {
            name: assemble(self.splits_, [fold.predictions for fold in member])
            for name, member in results.items()
        }
        crossing = self._sort_quantiles(blocks)
        self._widths = {name: block.shape[1] for name, block in blocks.items()}
        self.oof_predictions_ = np.hstack(list(blocks.values()))
        self.library_ = None
        if self.classes_ is None or set(self.method_.values()) == {"predict_proba"}:
            self.library_ = PredictionLibrary(
                self.oof_predictions_,
                targets if self.classes_ is None else self.classes_[targets],
                list(blocks),
                classes=self.classes_,
                quantile_levels=self._levels,
                folds=folds,
                sample_weight=weight,
            )
        self.report_ = [
            {
                "name": name,
                **self._scores(name, blocks[name], targets, folds, weight),
                "fit_time": sum(fold.fit_time for fold in results[name]),
                "predict_time": sum(fold.predict_time for fold in results[name]),
                "frozen": holds_frozen(member),
                **crossing[name],
            }
            for name, member in members
        ]

    def _sort_quantiles(self, blocks):
        """Sort the rows of each block; return what the report says of it."""
        if self._levels is None:
            return {name: {} for name in blocks}
        crossing = {}
        for name, block in blocks.items():
            blocks[name], n_rows = sort_levels(block)
            crossing[name] = {"crossing": n_rows}
        return crossing

    def _scores(self, name, block, targets, folds, weight):
        if self._levels is not None:
            return score_folds("pinball", targets, block, folds, weight, self._levels)
        if self.classes_ is None:
            return score_folds("squared_error", targets, block[:, 0], folds, weight)
        if self.method_[name] == "predict_proba":
            probabilities = layout.class_probabilities(block)
            return score_folds("log_loss", targets, probabilities, folds, weight)
        return {"scores": None, "loss": None, "loss_se": None}

    def _predict_member(self, name, X):
        """Predict by the refitted model, else by the mean of the fold models."""
        if name in self.estimators_:
            models, trained_on = [self.estimators_[name]], [None]
        else:
            models, trained_on = self.fold_estimators_[name], self.fold_classes_
        blocks = [
            predict_member(
                name,
                model,
                X,
                self.method_[name],
                present,
                self.classes_,
                "new rows",
                self._n_outputs(),
            )
            for model, present in zip(models, trained_on, strict=True)
        ]
        if self._levels is not None:
            blocks = [sort_levels(block)[0] for block in blocks]
        return np.mean(blocks, axis=0, dtype=np.float64)

    def _filler(self):
        return 0.0 if self.classes_ is None else 1.0 / len(self.classes_)
