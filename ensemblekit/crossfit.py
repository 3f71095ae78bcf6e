"""CrossFit: folds x members -> library. Owner of splits, clones and predictions."""

import warnings
from time import perf_counter

import numpy as np
from joblib import cpu_count, effective_n_jobs
from sklearn.base import TransformerMixin
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted
from threadpoolctl import threadpool_limits

from . import layout, leaderboard
from ._members import (
    check_members,
    find_method,
    find_task,
    fit_member,
    is_frozen,
    predict_member,
    with_seed,
)
from ._routing import make_router, merge_member_tags, route
from ._sklearn import (
    Integral,
    Parallel,
    StrOptions,
    _BaseComposition,
    _check_y,
    _fit_context,
    _num_samples,
    _safe_indexing,
    check_input_features,
    check_sample_weight,
    delayed,
)
from .exceptions import describe_rows
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
    library_ : PredictionLibrary
        The same with names, targets and folds; only where members predict values or
        probabilities.
    splits_ : list of (train, test)
        Row numbers of each fold.
    estimators_ : dict of str to estimator
        Members refitted on all rows.
    fold_estimators_ : dict of str to list of estimator
        Fold models of the members that are not refitted.
    fold_classes_ : list of ndarray of int, or None
        Codes of the classes in each fold's training rows.
    classes_ : ndarray of shape (n_classes,)
        Only for classification.
    method_ : dict of str to str
        Method each member predicts with.
    report_ : list of dict
        For each member: name, scores (loss per fold), loss (mean), loss_se (standard
        error over the folds), fit_time and predict_time (seconds, all folds), frozen
        (True where the member was trained elsewhere, so that nobody knows here whether
        its predictions are held out). The loss is log loss or squared error.
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
        refit="selected",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.estimators = estimators
        self.cv = cv
        self.method = method
        self.refit = refit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def get_params(self, deep=True):
        """Return parameters, with ``deep`` also those of the members."""
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params):
        """Set parameters, members by name and their parameters by ``name__parameter``."""
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
        X = check_input_features(self, X, reset=False)
        n_rows = _num_samples(X)
        blocks = []
        for name, width in self._widths.items():
            if name in names:
                blocks.append(self._predict_member(name, X))
            else:
                blocks.append(np.full((n_rows, width), self._filler()))
        return np.hstack(blocks)

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
        unknown = sorted(set(names) - set(self.method_))
        if unknown:
            raise ValueError(
                f"Unknown members {unknown}. Expected some of {list(self.method_)}."
            )
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
        """Return ``prefix_member`` or ``prefix_member<output>`` for each column of P."""
        names = []
        for name, width in self._widths.items():
            numbers = [""] if width == 1 else range(width)
            names += [f"{prefix}_{name}{number}" for number in numbers]
        return np.asarray(names, dtype=object)

    def get_metadata_routing(self):
        """Return the router: members get what they request, the splitter `groups`."""
        members = [(n, e) for n, e in self.estimators if e != "drop"]
        return make_router(self, members, self.cv)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return merge_member_tags(tags, self.estimators)

    def _check_members(self):
        members = check_members(self.estimators)
        self._validate_names([name for name, _ in members])
        return members

    def _fit(self, X, y, members, routed, sample_weight):
        """Fit with metadata that is already routed to members and splitter."""
        task = find_task(members)
        weight = (
            None if sample_weight is None else check_sample_weight(sample_weight, X)
        )
        X = check_input_features(self, X, reset=True)
        targets = self._check_targets(X, y, task)
        self.method_ = {
            name: find_method(name, member, self.method, task)
            for name, member in members
        }
        self._check_refit(task)
        self.splits_ = self._make_splits(X, y, task, routed["split"])
        self.fold_classes_ = None
        if task == "classification":
            self.fold_classes_ = [
                np.unique(targets[train]) for train, _ in self.splits_
            ]
            self._warn_missing_classes()
        results = self._run_folds(X, targets, members, routed, task)
        self._collect(results, members, y, targets, weight)
        self.estimators_ = {}
        self.n_fits_ = len(results)
        if self.refit == "all":
            names = [name for name, _ in members]
            self._refit(X, targets, members, names, routed)
        return self

    def _check_targets(self, X, y, task):
        """Check y; return it as numbers, or as class codes after setting `classes_`."""
        if y is None:
            raise ValueError(
                "CrossFit requires y to be passed, but the target y is None."
            )
        y = _check_y(y, y_numeric=task == "regression")
        check_consistent_length(X, y)
        if task == "regression":
            return y
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has one class ({self.classes_.tolist()[0]!r}); a classifier needs at "
                "least two classes."
            )
        return self._encode(y)

    def _encode(self, y):
        if not hasattr(self, "classes_"):
            return _check_y(y, y_numeric=True)
        return np.searchsorted(self.classes_, _check_y(y))

    def _check_refit(self, task):
        labels = [n for n, method in self.method_.items() if method == "predict"]
        if task == "classification" and labels and self.refit == "none":
            raise ValueError(
                f"Members {labels} predict labels, of which fold models have no mean. "
                "Use refit='all' or members with predict_proba."
            )

    def _make_splits(self, X, y, task, params):
        cv = check_cv(self.cv, y, classifier=task == "classification")
        splits = [
            (np.asarray(train), np.asarray(test))
            for train, test in cv.split(X, y, **params)
        ]
        times_held_out = np.zeros(_num_samples(X), dtype=np.int64)
        for _, test in splits:
            times_held_out[test] += 1
        wrong = np.flatnonzero(times_held_out != 1)
        if wrong.size:
            raise ValueError(
                f"cv must hold out each row exactly once; {describe_rows(wrong)}, is "
                f"held out {times_held_out[wrong[0]]} times."
            )
        return splits

    def _warn_missing_classes(self):
        missing = [
            f"{label!r} in fold {fold + 1}"
            for fold, present in enumerate(self.fold_classes_)
            for label in np.delete(self.classes_, present).tolist()
        ]
        if missing:
            warnings.warn(
                f"Training rows lack classes: {', '.join(missing)}. Members give them "
                "probability 0 there.",
                UserWarning,
                stacklevel=5,
            )

    def _seeds(self, n_members):
        """One seed for each member and fold, and one for the refit; None leaves all."""
        shape = (n_members, len(self.splits_) + 1)
        if self.random_state is None:
            return np.full(shape, None)
        rng = check_random_state(self.random_state)
        return rng.randint(np.iinfo(np.int32).max, size=shape)

    def _run_folds(self, X, targets, members, routed, task):
        n_folds = len(self.splits_)
        self._member_seeds = self._seeds(len(members))
        tasks = [
            (
                name,
                with_seed(member, self._member_seeds[m, fold]),
                train,
                test,
                routed[name],
                self.method_[name],
                None if task == "regression" else self.fold_classes_[fold],
                f"fold {fold + 1} of {n_folds}",
            )
            for fold, (train, test) in enumerate(self.splits_)
            for m, (name, member) in enumerate(members)
        ]
        classes = getattr(self, "classes_", None)
        return self._parallel(_fit_fold, [(X, targets, classes, *t) for t in tasks])

    def _refit(self, X, targets, members, names, routed):
        task = find_task(members)
        chosen = [(m, n, e) for m, (n, e) in enumerate(members) if n in names]
        models = self._parallel(
            _fit_all_rows,
            [
                (
                    X,
                    targets,
                    n,
                    with_seed(e, self._member_seeds[m, -1]),
                    routed[n],
                    task,
                )
                for m, n, e in chosen
            ],
        )
        self.n_fits_ += len(chosen)
        for (_, name, _), model in zip(chosen, models, strict=True):
            self.estimators_[name] = model
            self.fold_estimators_.pop(name, None)
        return self

    def _parallel(self, function, tasks):
        workers = max(1, min(effective_n_jobs(self.n_jobs), len(tasks)))
        threads = max(1, cpu_count() // workers)
        run = Parallel(n_jobs=self.n_jobs, verbose=self.verbose)
        if workers == 1:
            with threadpool_limits(limits=threads):
                return run(delayed(function)(*task) for task in tasks)
        return run(delayed(_run)(threads, function, task) for task in tasks)

    def _collect(self, results, members, y, targets, weight):
        names = [name for name, _ in members]
        by_member = {name: results[m :: len(names)] for m, name in enumerate(names)}
        self._widths = {name: folds[0][0].shape[1] for name, folds in by_member.items()}
        blocks = [self._assemble(by_member[name]) for name in names]
        self.oof_predictions_ = np.hstack(blocks)
        self.fold_estimators_ = {
            name: [model for _, model, _, _ in folds]
            for name, folds in by_member.items()
        }
        classes = getattr(self, "classes_", None)
        if classes is None or set(self.method_.values()) == {"predict_proba"}:
            self.library_ = PredictionLibrary(
                self.oof_predictions_,
                targets if classes is None else self.classes_[targets],
                names,
                classes=classes,
                folds=self._fold_numbers(),
                sample_weight=weight,
            )
        self.report_ = [
            {
                "name": name,
                **self._scores(block, targets, weight, self.method_[name]),
                "fit_time": sum(fold[2] for fold in by_member[name]),
                "predict_time": sum(fold[3] for fold in by_member[name]),
                "frozen": is_frozen(member),
            }
            for (name, member), block in zip(members, blocks, strict=True)
        ]

    def _assemble(self, folds):
        first = folds[0][0]
        block = np.empty((sum(len(fold[0]) for fold in folds), first.shape[1]))
        for (_, test), (predictions, *_) in zip(self.splits_, folds, strict=True):
            block[test] = predictions
        return block

    def _fold_numbers(self):
        folds = np.empty(sum(len(test) for _, test in self.splits_), dtype=np.int64)
        for fold, (_, test) in enumerate(self.splits_):
            folds[test] = fold
        return folds

    def _scores(self, block, targets, weight, method):
        if not hasattr(self, "classes_"):
            prediction, loss = block[:, 0], "squared_error"
        elif method == "predict_proba":
            prediction, loss = layout.class_probabilities(block), "log_loss"
        else:
            return {"scores": None, "loss": None, "loss_se": None}
        return leaderboard.score_folds(
            loss, targets, prediction, self._fold_numbers(), weight
        )

    def _predict_member(self, name, X):
        method, classes = self.method_[name], getattr(self, "classes_", None)
        if name in self.estimators_:
            present = None if classes is None else np.arange(len(classes))
            model = self.estimators_[name]
            return predict_member(name, model, X, method, present, classes, "new rows")
        models = self.fold_estimators_[name]
        fold_classes = self.fold_classes_ or [None] * len(models)
        return np.mean(
            [
                predict_member(name, model, X, method, present, classes, "new rows")
                for model, present in zip(models, fold_classes, strict=True)
            ],
            axis=0,
            dtype=np.float64,
        )

    def _filler(self):
        return 1.0 / len(self.classes_) if hasattr(self, "classes_") else 0.0


def _run(threads, function, task):
    """Run a task with the libraries' inner threads capped, so that cores suffice."""
    with threadpool_limits(limits=threads):
        return function(*task)


def _fit_fold(
    X, targets, classes, name, member, train, test, params, method, present, where
):
    task = "regression" if classes is None else "classification"
    model, fit_time = fit_member(name, member, X, targets, train, params, task, where)
    X_test = _safe_indexing(X, test)
    start = perf_counter()
    block = predict_member(name, model, X_test, method, present, classes, where)
    return block, model, fit_time, perf_counter() - start


def _fit_all_rows(X, targets, name, member, params, task):
    return fit_member(name, member, X, targets, None, params, task, "all rows")[0]
