"""How a stack fits its combiner, predicts by it, and scores it on held-out rows."""

import warnings
from collections.abc import Callable

import numpy as np
from scipy import sparse
from sklearn.base import clone

from ._folds import number_rows
from ._members import named_last_step, weight_parameter
from ._sklearn import (
    Integral,
    _check_method_params,
    _safe_indexing,
    check_input_features,
    hstack_containers,
    routing_enabled,
)
from .combine._base import (
    ClassificationCombinerMixin,
    RegressionCombinerMixin,
    own_weights,
)
from .combine._guard_base import guarded, learn_groups
from .crossfit import CrossFit
from .exceptions import MemberError
from .leaderboard import code_labels, rank

_SHOWN = ("loss", "loss_se", "frozen", "fit_time", "predict_time", "crossing")
OUR_COMBINERS = (ClassificationCombinerMixin, RegressionCombinerMixin)


class Combining:
    """What a stack does with the predictions of `cross_fit_`: combine them."""

    cross_fit_: CrossFit
    refit: str
    passthrough: bool
    guard: str | None
    on_error: str
    _task: str
    _new_combiner: Callable  # makes an unfitted one

    def _in_folds_of_members(self, combiner):
        """Have the combiner divide rows as members do where rows are not alike.

        Its own random folds would part groups, and mix times.
        """
        cross_fit = self.cross_fit_
        apart = cross_fit._groups is not None or not cross_fit.covered_.all()
        divider = _divider_of(combiner)
        own = combiner.get_params(deep=True).get(divider)
        self._own_cv = {} if divider is None else {divider: own}
        free = divider is not None and (own is None or isinstance(own, Integral))
        folds = number_rows(cross_fit.splits_, len(cross_fit.covered_))
        folds = folds[cross_fit.covered_]
        if apart and free and np.ptp(folds) > 0:
            parts = [folds == fold for fold in np.unique(folds)]
            splits = [(np.flatnonzero(~p), np.flatnonzero(p)) for p in parts]
            combiner.set_params(**{divider: splits})
        return combiner

    def _combine(self, X, targets, members, sample_weight, routed, report):
        """Fit the combiner and refit what it needs, until no member is dropped."""
        self._leaderboard = None
        names: list[str] = []
        while names != (names := list(self.cross_fit_.method_)):
            with report.step("combiner"):
                self._fit_combiner(X, targets, sample_weight, routed)
            self._shown = self._learn_ranges(sample_weight)
            if self.refit == "selected":
                done = self.cross_fit_.estimators_
                needed = [n for n in self._needed_members() if n not in done]
                self.cross_fit_._refit(X, targets, members, needed, routed, report)

    def _fit_combiner(self, X, targets, sample_weight, routed):
        """Fit the combiner on the rows that are held out."""
        combiner = self._in_folds_of_members(self._new_combiner())
        params = routed.combiner
        if sample_weight is not None and not routing_enabled():
            params = {weight_parameter("The combiner", combiner): sample_weight}
        self._weighted = bool(params)
        P, covered = self.cross_fit_.oof_predictions_, self.cross_fit_.covered_
        if not covered.all():
            rows = np.flatnonzero(covered)
            params = _check_method_params(X, params, indices=rows)
            P, X, targets = P[rows], _safe_indexing(X, rows), targets[rows]
        params = {**params, **self._combiner_extras(X)}
        self.combiner_ = combiner.fit(self._combiner_input(P, X), targets, **params)

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
        P = self._predict_needed(X)
        # _predictions <- delegated or predict <- user
        P = guarded(P, self._shown, self.guard, stacklevel=3)
        return self._combiner_input(P, X)

    def _predict_needed(self, X):
        """Predict with the members that have weight; do without those that fail.

        The weights of the others are renormalised, by the mean of these in the place
        of the member that fails. Nothing that was fitted changes.
        """
        names, failed = self._needed_members(), {}
        while True:
            left = [name for name in names if name not in failed]
            try:
                P = self.cross_fit_._predict_members(X, left)
            except MemberError as error:
                if self.on_error == "raise":
                    raise
                failed[error.member] = error
                continue
            return self._without(P, failed)

    def _without(self, P, failed):
        if not failed:
            return P
        weights = np.array(self._member_weights(), dtype=np.float64)  # NaN for None
        names = list(self.cross_fit_.method_)
        weights[[names.index(name) for name in failed]] = 0.0
        error = next(iter(failed.values()))
        if not (weights.min() >= 0.0 and weights.sum() > 0.0):
            raise error
        warnings.warn(
            f"{error} The weights of the other members are renormalised.",
            UserWarning,
            stacklevel=5,
        )
        blocks = dict(self.cross_fit_.column_blocks())
        mean = sum(w * P[:, blocks[n]] for n, w in zip(names, weights, strict=True))
        for name in failed:
            P[:, blocks[name]] = mean / weights.sum()
        return P

    def _learn_ranges(self, sample_weight):
        """Return what the members with weight predicted for held-out rows."""
        P, methods = self.cross_fit_.oof_predictions_, self.cross_fit_.method_
        rows = self.cross_fit_.covered_
        if sample_weight is not None:
            rows = rows & (np.asarray(sample_weight) > 0.0)
        P = P if rows.all() else P[rows]
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
            | {key: report[key] for key in _SHOWN if key in report}
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
        library = self.cross_fit_.library_
        scorable = self._task == "regression" or hasattr(
            self.combiner_, "predict_proba"
        )
        if library is None or self.passthrough or not scorable:
            return []
        reports = self.cross_fit_.report_
        if len(np.unique(library.folds)) < 2:  # none to leave out of the combiner's fit
            return [{k: r[k] for k in ("loss", "loss_se")} for r in reports]
        combiner = self.combiner_
        if self._own_cv:  # fitted on other rows than these splits number
            combiner = clone(combiner).set_params(**self._own_cv)
        return rank(code_labels(library), combiner, self._weighted)


def _divider_of(combiner):
    """Return the name of the parameter by which a combiner divides rows, or None.

    Others than ours and scikit-learn's may mean something else by it.
    """
    step, last = named_last_step(combiner)
    theirs = type(last).__module__.startswith("sklearn.")
    known = theirs or isinstance(last, OUR_COMBINERS)
    return f"{step}cv" if known and "cv" in last.get_params(deep=False) else None
