"""What a fitted cross-fit can do without fitting: predict, and give members away."""

from copy import copy

import numpy as np
from numpy.typing import NDArray
from sklearn.base import TransformerMixin

from ._estimator_html import HTMLSummaryMixin, members_block
from ._folds import number_rows
from ._levels import sort_levels
from ._members import predict_member
from ._memory_limit import check_memory
from ._model_files import pickle_size
from ._same_rows import check_same_rows
from ._sklearn import (
    NamedPartsMixin,
    _num_samples,
    check_input_features,
    require_fitted,
)
from .auditing import audit
from .layout import n_outputs_for
from .library import PredictionLibrary

_SCORABLE = {"predict_proba"}
_NOT_FOR_PREDICTION = (
    "library_",
    "oof_predictions_",
    "covered_",
    "splits_",
    "_fingerprint",
    "_groups",
    "_memory",
    "_targets",
    "_weight",
)


class FittedMembers(HTMLSummaryMixin, TransformerMixin, NamedPartsMixin):
    """Members' models and predictions, by name; `CrossFit` fits them."""

    estimators: list
    library_: PredictionLibrary | None
    oof_predictions_: NDArray
    report_: list

    def transform(self, X):
        """Predict new rows with all members.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        P : ndarray of shape (n_samples, n_members * n_outputs)
        """
        require_fitted(self)
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
        require_fitted(self)
        self._check_names(names)
        return self._predict_members(check_input_features(self, X, reset=False), names)

    def _predict_members(self, X, names):
        """Predict rows whose columns have been checked."""
        n_rows, n_columns = _num_samples(X), sum(self._widths.values())
        # P, and the blocks that it is made of.
        n_bytes = 2 * 8 * n_rows * n_columns
        check_memory(n_bytes, f"P ({n_rows} rows x {n_columns} columns)")
        blocks = []
        for name, width in self._widths.items():
            if name in names:
                blocks.append(self._predict_member(name, X))
            else:
                blocks.append(np.full((n_rows, width), self._filler()))
        # Columns lie in one piece each: combiners and their guard read P by columns.
        return np.vstack([block.T for block in blocks]).T

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
        >>> from ensemblekit import CrossFit
        >>> X, y = [[0.0], [1.0], [2.0], [4.0]], [0.0, 1.0, 2.0, 8.0]
        >>> members = [("line", LinearRegression())]
        >>> folds = CrossFit(members, cv=2, refit="none").fit(X, y)
        >>> folds.only_fold(1).transform([[4.0]]).round(6)
        array([[4.]])
        """
        self._require("only_fold")
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
        single = self._fork()
        single.fold_classes_ = [self.fold_classes_[fold]]
        single.fold_estimators_ = {
            name: [models[fold]] for name, models in self.fold_estimators_.items()
        }
        return single

    def remove(self, name):
        """Forget a member; nothing is fitted.

        Parameters
        ----------
        name : str
            Also of one that was left out of the fit.

        Returns
        -------
        self : CrossFit
            `estimators` lacks the member.

        Raises
        ------
        ValueError
            If there is no such member, or no other.
        """
        self._require("remove")
        left_out = name in dict(self.estimators) and name not in self.method_
        if not left_out:
            self._check_names([name])
        if list(self.method_) == [name]:
            raise ValueError(f"Member {name!r} is the only one; expected another.")
        self.estimators = [pair for pair in self.estimators if pair[0] != name]
        self._forget([name])
        return self

    def merge(self, other):
        """Take over the members of another cross-fit of the same rows and splits.

        Parameters
        ----------
        other : CrossFit
            Fitted on equal X, y and weights, with equal splits and other member names;
            stays as it is.

        Returns
        -------
        self : CrossFit
            With the members of both; nothing is fitted.

        Raises
        ------
        ValueError
            If rows, targets, weights, splits, classes or levels differ, or a name is in
            both.
        """
        for cross_fit in (self, other):
            cross_fit._require("merge")
        check_same_rows(self, other)
        common = self.method_.keys() & other.method_.keys()
        if common:
            raise ValueError(f"Members {sorted(common)} are in both; rename them.")
        taken = [pair for pair in other.estimators if pair[0] in other.method_]
        names = {name for name, _ in taken}  # of which ours may have been left out
        kept = [pair for pair in self.estimators if pair[0] not in names]
        self.estimators = [*kept, *taken]
        for part in ("method_", "estimators_", "fold_estimators_", "_widths"):
            setattr(self, part, getattr(self, part) | getattr(other, part))
        self.oof_predictions_ = np.hstack(
            [self.oof_predictions_, other.oof_predictions_]
        )
        self.report_ = self.report_ + other.report_
        self.n_fits_ += other.n_fits_
        self._make_library()
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

    def compact(self, names=None):
        """Drop what predicting new rows does not need: predictions, splits, targets.

        Parameters
        ----------
        names : list of str or None, default=None
            Members whose models are kept; None keeps all.

        Returns
        -------
        self : CrossFit
            Can `transform` and `predict_members`; what it cannot do any more says so.
        """
        require_fitted(self)
        self._check_names([] if names is None else names)
        for part in _NOT_FOR_PREDICTION:
            self.__dict__.pop(part, None)
        if names is not None:
            for models in (self.estimators_, self.fold_estimators_):
                for name in models.keys() - set(names):
                    del models[name]
        if not self.fold_estimators_:
            self.fold_classes_ = []
        return self

    def pickle_size(self):
        """Return the size of this object when it is pickled, in bytes.

        Returns
        -------
        n_bytes : int
            Counted, not kept: no copy is made.
        """
        return pickle_size(self)

    def get_feature_names_out(self, input_features=None):
        """Name the columns of P: ``crossfit_member``, or with an output's number.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        names : ndarray of str
        """
        require_fitted(self)
        return self.column_names("crossfit")

    def column_names(self, prefix):
        """Name P's columns ``prefix_member``, with a number where it has several.

        Parameters
        ----------
        prefix : str

        Returns
        -------
        names : ndarray of shape (n_members * n_outputs,), object
        """
        names = []
        for name, width in self._widths.items():
            numbers = [""] if width == 1 else range(width)
            names += [f"{prefix}_{name}{number}" for number in numbers]
        return np.asarray(names, dtype=object)

    def column_blocks(self):
        """Yield each member's name and the positions of its columns in P.

        Yields
        ------
        name : str
        columns : ndarray of shape (n_outputs,), int64
        """
        first = 0
        for name, width in self._widths.items():
            yield name, np.arange(first, first + width)
            first += width

    def _sk_visual_block_(self):
        return members_block(self.estimators)

    def _fitted_rows(self):
        """Return what notebooks show: members by their held-out loss."""
        keys = ("name", "loss", "loss_se", "fit_time")
        rows = [{key: report[key] for key in keys} for report in self.report_]
        caption = f"Fitted: {len(rows)} members on {len(self.fold_classes_)} folds"
        return caption, sorted(rows, key=lambda row: row["loss"] or 0.0)

    def __sklearn_is_fitted__(self):
        return "report_" in vars(self)

    def __getattr__(self, name):
        problem = f"{type(self).__name__!r} object has no attribute {name!r}"
        if name in _NOT_FOR_PREDICTION and "report_" in vars(self):
            problem = f"{name} is gone: compact() keeps only what predicts new rows."
        raise AttributeError(problem)

    def _check_names(self, names):
        unknown = [name for name in names if name not in self.method_]
        if unknown or isinstance(names, str):
            raise ValueError(
                f"Unknown members {unknown}. Expected a list of some of "
                f"{list(self.method_)}."
            )

    def _require(self, doing):
        require_fitted(self)
        if "oof_predictions_" not in vars(self):
            raise ValueError(
                f"{doing} needs the out-of-fold predictions and splits, which "
                "compact() dropped. Fit again."
            )

    def _fork(self):
        """Return a copy whose members can be edited without this one's changing."""
        fork = copy(self)
        for part, value in vars(self).items():
            if isinstance(value, dict | list):
                setattr(fork, part, copy(value))
        return fork

    def _forget(self, names):
        """Delete all that there is of some members."""
        known = dict(self.column_blocks())
        columns = [known[name] for name in names if name in known]
        for name in names:
            for part in (
                self.method_,
                self.estimators_,
                self.fold_estimators_,
                self._widths,
            ):
                part.pop(name, None)
        if columns:
            self.report_ = [row for row in self.report_ if row["name"] not in names]
            self.oof_predictions_ = np.delete(
                self.oof_predictions_, np.concatenate(columns), axis=1
            )
            self._make_library()

    def _make_library(self):
        """Make the library of the rows that are held out."""
        self.library_ = None
        if not (self.classes_ is None or set(self.method_.values()) == _SCORABLE):
            return
        rows = slice(None) if self.covered_.all() else self.covered_
        targets = self._targets[rows]
        self.library_ = PredictionLibrary(
            self.oof_predictions_[rows],
            targets if self.classes_ is None else self.classes_[targets],
            list(self.method_),
            classes=self.classes_,
            quantile_levels=self._levels,
            folds=number_rows(self.splits_, len(self._targets))[rows],
            sample_weight=None if self._weight is None else self._weight[rows],
        )

    def _predict_member(self, name, X):
        """Predict by the refitted model, else by the mean of the fold models."""
        if name in self.estimators_:
            models, trained_on = [self.estimators_[name]], [None]
        elif name in self.fold_estimators_:
            models, trained_on = self.fold_estimators_[name], self.fold_classes_
        else:
            raise ValueError(
                f"Member {name!r} has no fitted model: its predictions came from the "
                "cache, or compact() dropped it. Use refit='all', or fit without "
                "memory."
            )
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
        if len(blocks) == 1:
            return blocks[0]
        return np.mean(blocks, axis=0, dtype=np.float64)

    def _n_outputs(self):
        return 1 if self._levels is None else len(self._levels)

    def _n_columns(self, name):
        """Columns of P that a member fills."""
        if self.classes_ is None:
            return self._n_outputs()
        if self.method_[name] == "predict":
            return 1
        return n_outputs_for(len(self.classes_))

    def _filler(self):
        return 0.0 if self.classes_ is None else 1.0 / len(self.classes_)
