"""What the two cascades share: order, windows, and which member is asked."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import layout
from .._members import find_task
from .._routing import make_router, merge_member_tags, route
from .._sklearn import (
    Integral,
    Interval,
    NamedPartsMixin,
    Real,
    StrOptions,
    _fit_context,
    _safe_indexing,
    check_input_features,
    check_sample_weight,
    forget_fitted,
)
from ..crossfit import CrossFit
from . import _tracing, windows

_DEFAULT_COST = 1.25


class Cascade(NamedPartsMixin):
    """Members asked in turn; `_task` tells the two cascades apart."""

    _task: str
    _parameter_constraints: dict = {
        "estimators": [list],
        "costs": ["array-like", dict, StrOptions({"measured"}), None],
        "weights": ["array-like", dict, None],
        "window": [Interval(Real, 0, 1, closed="both"), None],
        "max_cost": [Interval(Real, 1, None, closed="left"), None],
        "tolerance": [Interval(Real, 0, None, closed="left"), None],
        "calibrate": ["boolean"],
        "cv": ["cv_object"],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    estimators: list
    costs: Any
    weights: Any
    window: Any
    max_cost: Any
    tolerance: Any
    loss: str
    calibrate: bool
    cv: Any
    n_jobs: Any
    random_state: Any
    verbose: Any

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, sample_weight=None, groups=None, **params):
        """Cross-fit the members, choose the windows on held-out rows, fit on all rows.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; reaches every member, ranks, costs and losses.
        groups : array-like of shape (n_samples,), default=None
            Reaches the splitter: rows of one group are held out together.
        **params : dict
            Further metadata; only with scikit-learn's metadata routing.

        Returns
        -------
        self : estimator
        """
        self._check_rule()
        cross_fit = CrossFit(
            self.estimators,
            cv=self.cv,
            method="predict_proba" if self._task == "classification" else "auto",
            refit="all",
            n_jobs=self.n_jobs,
            random_state=self.random_state,
            verbose=self.verbose,
        )
        members = cross_fit._check_members()
        self._validate_names([name for name, _ in members])
        self._check_task(members)
        forget_fitted(self)
        X = check_input_features(self, X, reset=True)
        routed = route(self, members, X, sample_weight, groups, params)
        self.cross_fit_ = cross_fit._fit(
            X, y, members, routed, sample_weight, every_row_for=type(self).__name__
        )
        self._order()
        weight = check_sample_weight(sample_weight, X)
        targets = cross_fit._encode(y)
        cube = self._cube(cross_fit.oof_predictions_)[self._columns]
        answers = self._calibrated(targets, cube, weight)
        confidences = self._held_out_confidences(X, cube, answers, sample_weight)
        self._choose(targets, answers, confidences, weight)
        return self

    def stage(self, X):
        """Say which stage answers each row.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        stage : ndarray of shape (n_samples,), int64
            Position in `stages_` of the last member asked.
        """
        return self._answer(X)[1]

    def get_metadata_routing(self):
        """Return the router: members get what they request, the splitter `groups`.

        Returns
        -------
        router : MetadataRouter
        """
        members = [(n, e) for n, e in self.estimators if e != "drop"]
        return make_router(self, members, self.cv)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "windows_")

    def __sklearn_tags__(self):
        return merge_member_tags(super().__sklearn_tags__(), self.estimators)

    @property
    def _centre(self):
        """Rank of the threshold that the windows lie around."""
        return 0.0

    def _check_rule(self):
        rules = {n: getattr(self, n) for n in ("window", "max_cost", "tolerance")}
        given = [name for name, value in rules.items() if value is not None]
        if len(given) > 1:
            raise ValueError(
                f"{' and '.join(given)} are given; expected one of them, the others "
                "None."
            )

    def _check_task(self, members):
        task = find_task(members)
        if task != self._task:
            raise ValueError(
                f"{type(self).__name__} needs members for {self._task}; got members "
                f"for {task}."
            )

    def _order(self):
        """Set what depends on the order of the members, the cheapest first."""
        names = list(self.cross_fit_.method_)
        costs = self._costs(names)
        self._columns = np.argsort(costs, kind="stable")
        self._unit = costs[self._columns[0]]
        self.stages_ = [names[m] for m in self._columns]
        self.costs_ = costs[self._columns] / self._unit
        self.weights_ = self._per_member("weights", self.weights, names)[self._columns]
        self.weights_ = self.weights_ / self.weights_.sum()

    def _costs(self, names):
        if isinstance(self.costs, str):
            times = [report["predict_time"] for report in self.cross_fit_.report_]
            return np.array(times)
        return self._per_member("costs", self.costs, names)

    def _per_member(self, parameter, values, names):
        """Return one positive number for each member that takes part."""
        if isinstance(values, dict):
            if values.keys() != set(names):
                raise ValueError(
                    f"{parameter} has the names {list(values)}; expected {names}."
                )
            values = [values[name] for name in names]
        elif values is not None:  # as listed, with those left out
            listed = [name for name, _ in self.estimators]
            values = windows.check_positive(parameter, values, len(listed))
            values = [values[listed.index(name)] for name in names]
        return windows.check_positive(parameter, values, len(names))

    def _cube(self, P):
        """Return what members say: (n_members, n_samples, n_classes or 1)."""
        classes = self.cross_fit_.classes_
        n_outputs = 1 if classes is None else layout.n_outputs_for(len(classes))
        return windows.outputs_of(layout.to_cube(P, n_outputs), classes)

    def _calibrated(self, targets, cube, weight):
        """Return what the stages answer, of the shape of cube; fit the calibrators."""
        means = windows.running_means(cube, self.weights_)
        self._calibrators = None
        if self.calibrate:
            self._calibrators = [
                self._calibrator().fit(self._plain(mean), targets, weight)
                for mean in means
            ]
        return np.stack([self._settle(k, mean) for k, mean in enumerate(means)])

    def _settle(self, k, mean):
        """Return the answer of stage k, which is a mean of members."""
        if self._calibrators is None:
            return mean
        settled = self._calibrators[k].apply(self._plain(mean))
        return settled.reshape(mean.shape)

    def _choose(self, targets, answers, confidences, weight):
        """Trace the curve of held-out rows, choose a window on it."""
        kept = weight > 0.0
        confidences, weight = confidences[kept], weight[kept]
        places = _tracing.ranks(confidences, weight)
        needed = _tracing.needed_windows(places[:, :-1], self._centre)
        losses = windows.row_losses(self.loss, targets[kept], answers[:, kept])
        reached, answered = _tracing.reach(confidences.copy(), weight, self._centre)
        curve = windows.CascadeCurve(
            *_tracing.trace(
                reached,
                answered,
                [(slice(None), losses)],
                self.costs_,
                weight,
                self._overhead(),
                self.window,
            )
        )
        self.cost_curve_ = curve
        self.window_ = self._pick(curve)
        self.expected_cost_ = float(curve.cost[curve.at(self.window_)])
        self._set_threshold(curve, confidences, weight)
        self.windows_ = _tracing.find_limits(
            confidences, needed, self._centre, self.window_
        )

    def _overhead(self):
        """Return the cost of judging a row, in multiples of the first member's."""
        return 0.0

    def _set_threshold(self, curve, confidences, weight):
        """Set what abstaining takes, where the task has it."""

    def _pick(self, curve):
        if self.window is not None:
            return float(self.window)
        if self.tolerance is not None:
            return curve.narrowest(self.tolerance)
        return curve.widest(_DEFAULT_COST if self.max_cost is None else self.max_cost)

    def _answer(self, X):
        """Return what is said of each row, and by which stage."""
        check_is_fitted(self)
        X = check_input_features(self, X, reset=False)
        part, said = X, self._outputs(self.stages_[0], X)
        answer = self._settle(0, said[0])
        mean, answer = answer, answer.copy()
        stage, going = np.zeros(len(answer), dtype=np.int64), np.arange(len(answer))
        for k, name in enumerate(self.stages_[1:]):
            on = np.flatnonzero(self._passes(k, part, said, mean))
            if not on.size:
                break
            going = going[on]
            part, said = _safe_indexing(X, going), said[:, on]
            said = np.concatenate([said, self._outputs(name, part)])
            mean = windows.running_means(said, self.weights_[: k + 2])[-1]
            mean = self._settle(k + 1, mean)
            answer[going], stage[going] = mean, k + 1
        return answer, stage

    def _outputs(self, name, X):
        """Return what a member says: (1, n_samples, n_outputs)."""
        return self._cube(self.cross_fit_._predict_member(name, X))

    def _passes(self, k, X, said, mean):
        """Say which of the rows that reached stage k, and its answers, go on."""
        low, high = self.windows_[k]
        if low > high or np.isinf([low, high]).all():
            return np.full(len(mean), low < high)
        confidence = self._confidence(k, X, said, mean)
        return (low <= confidence) & (confidence <= high)
