"""How a cross-fit fits its members: splits, tasks, what is kept of them."""

import warnings
from time import perf_counter

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from ._cache import as_cache
from ._digest import digest
from ._early_stopping import (
    describe_limits,
    refit_rounds,
    splits_rows_itself,
    stops_early,
    with_rounds,
)
from ._fitted import FittedMembers
from ._fold_tasks import Memory, Task, run_all
from ._folds import (
    average_folds,
    check_partition,
    count_held_out,
    draw_seeds,
    find_fold_classes,
    make_splits,
    number_rows,
    warn_of_coverage,
    with_fixed_draw,
)
from ._levels import sort_levels
from ._members import (
    check_members,
    find_method,
    find_task,
    holds_frozen,
    is_frozen,
    last_step,
    with_levels,
)
from ._memory_limit import check_memory
from ._progress import FitReport
from ._routing import route
from ._rows import check_groups
from ._same_rows import fingerprint
from ._sklearn import check_input_features, check_sample_weight, forget_fitted
from ._targets import check_levels, check_targets, encode_targets
from .exceptions import CacheWarning, MemberError, UncacheableError, naming
from .leaderboard import score_member
from .prefit import check_prefit, stored_predictions

_ALL_ROWS = "all rows"


class MemberFitting(FittedMembers):
    """Members are fitted on folds and on all rows; `CrossFit` says when."""

    def _check_members(self):
        members = check_members(self.estimators)
        self._validate_names([name for name, _ in members])
        find_task(members)
        check_prefit(members)
        return members

    def _fit(
        self,
        X,
        y,
        members,
        routed,
        sample_weight,
        *,
        every_row_for=None,
        report=None,
        fold_models="none",
    ):
        """Fit with metadata that is already routed to members and splitter.

        every_row_for : str or None
            Whose splits have to hold out each row exactly once.
        report : FitReport or None
            Is told of the tasks.
        fold_models : {"none", "wanted", "needed"}
            What of them is kept in memory; with ``refit="none"`` they are needed.
        """
        forget_fitted(self)
        if fold_models == "none" and self.time_limit is not None:
            fold_models = "wanted"  # for members whose refit is not done in time
        self._fold_models = "needed" if self.refit == "none" else fold_models
        report = FitReport(self, callbacks=False) if report is None else report
        try:
            self._prepare_fit(X, y, members, routed, sample_weight, every_row_for)
            report.begin(self._plan())
            self._take(X, self._targets, members, routed, report)
            if self.refit == "all":
                names = list(self.method_)
                self._refit(X, self._targets, members, names, routed, report)
        except BaseException:
            forget_fitted(self)
            raise
        return self

    def _prepare_fit(self, X, y, members, routed, sample_weight, every_row_for):
        """Set all that is known before a member is fitted."""
        check_input_features(self, X, reset=True)
        self._check_number(members)
        self._started = perf_counter()
        self._weight = (
            None if sample_weight is None else check_sample_weight(sample_weight, X)
        )
        task = find_task(members)
        self._levels = check_levels(self.quantile_levels, task)
        self.classes_, self._targets = check_targets(X, y, task)
        self.method_ = {name: self._method_of(name, member) for name, member in members}
        self._fingerprint = fingerprint(X, self._targets, self._weight)
        self._memory = self._open_memory(X, routed.split.get("groups"))
        self._seed = self._draw_seed()
        self._split(X, y, routed, every_row_for)
        self.estimators_, self.fold_estimators_, self._widths = {}, {}, {}
        self.dropped_, self.report_, self.n_fits_ = [], [], 0
        self.oof_predictions_ = np.empty((len(self._targets), 0))

    def _split(self, X, y, routed, every_row_for):
        """Make the splits, once for all members."""
        groups = routed.split.get("groups")
        check_groups(groups, len(self._targets))
        is_classification = self.classes_ is not None
        rng = check_random_state(self._seed)
        cv = self.cv if self._seed is None else with_fixed_draw(self.cv, self._seed)
        self.splits_ = make_splits(
            cv, self.n_repeats, X, y, is_classification, routed.split, rng
        )
        n_rows = len(self._targets)
        if every_row_for is not None:
            check_partition(self.splits_, n_rows, every_row_for)
        counts = count_held_out(self.splits_, n_rows)
        self._check_labels(counts)
        self.covered_ = counts > 0
        self._check_covered()
        warn_of_coverage(counts)
        self._groups = None if groups is None else np.asarray(groups)
        self.fold_classes_ = find_fold_classes(
            self.classes_, self._targets, self.splits_
        )

    def _plan(self):
        """Return member and place of all tasks that may come."""
        n_folds = len(self.splits_)
        places = [_place(fold, n_folds) for fold in range(n_folds)]
        if self.refit != "none":
            places.append(_ALL_ROWS)
        return [(name, where) for name in self.method_ for where in places]

    def _check_number(self, members):
        if len(members) < self.min_members:
            raise ValueError(
                f"estimators has {len(members)} members; min_members="
                f"{self.min_members} expects more. Give more, or lower min_members."
            )

    def _check_covered(self):
        """Refuse splits that hold out too little of a class for a combiner."""
        if self.classes_ is None or self.covered_.all():
            return
        codes = self._targets[self.covered_]
        counts = np.bincount(codes, minlength=len(self.classes_))
        if counts.min() < 2:
            rarest = self.classes_.tolist()[np.argmin(counts)]
            raise ValueError(
                f"cv holds out {counts.min()} rows of class {rarest!r}; expected 2 at "
                "least. Use a cv that holds out more rows."
            )

    def _open_memory(self, X, groups):
        """Return the cache with a digest of the data, or None."""
        cache = as_cache(self.memory)
        if cache is None:
            return None
        groups = None if groups is None else np.asarray(groups)
        data = X, self._targets, self.classes_, self._validation_rows(), groups
        try:
            return Memory(cache.prepare(), digest(data, "X"))
        except UncacheableError as error:
            warnings.warn(f"Fitted without memory: {error}", CacheWarning, stacklevel=6)
            return None

    def _draw_seed(self):
        """Return the seed of all that is drawn, or None where nothing need repeat."""
        if self.random_state is None:
            return None if self._memory is None else self._memory.seed()
        rng = check_random_state(self.random_state)
        return int(rng.randint(np.iinfo(np.int32).max))

    def _encode(self, y):
        return encode_targets(y, self.classes_)

    def _method_of(self, name, member):
        task = "regression" if self.classes_ is None else "classification"
        method = self.method if self._levels is None else "predict_quantiles"
        return find_method(name, member, method, task)

    def _check_labels(self, counts):
        """Refuse members that predict labels where labels would be averaged."""
        labels = [name for name, method in self.method_.items() if method == "predict"]
        if self.classes_ is None or not labels:
            return
        if self.refit == "none" or counts.max() > 1:
            raise ValueError(
                f"Members {labels} predict labels, of which there is no mean over "
                "several fold models. Use refit='all' and splits that hold out each "
                "row once, or members with predict_proba."
            )

    def _again(self, X, y, sample_weight, groups, params):
        """Check the rows of an earlier fit that are given once more."""
        members = self._check_members()
        X = check_input_features(self, X, reset=False)
        routed = route(self, members, X, sample_weight, groups, params)
        targets = self._check_same(X, y, sample_weight)
        self._memory = self._open_memory(X, self._groups)  # parameters may be others
        self._started = perf_counter()
        return members, X, targets, routed

    def _check_same(self, X, y, sample_weight):
        """Refuse other rows than those of fit; return the targets."""
        targets = self._encode(y)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X)
        if fingerprint(X, targets, sample_weight) != self._fingerprint:
            raise ValueError(
                "X, y or sample_weight are not those given to fit; expected the same."
            )
        return targets

    def _take(self, X, targets, members, routed, report):
        """Cross-fit members and put their predictions beside those that are there."""
        self._check_memory([name for name, _ in members])
        blocks = {name: self._stored(name, member) for name, member in members}
        tasks = [
            task
            for name, member in members
            if blocks[name] is None and name in self.method_
            for task in self._fold_tasks(name, member, routed.members[name])
        ]
        done = self._run(X, targets, tasks, report)
        crossing = {}
        for name, folds in done.items():
            blocks[name] = average_folds(
                self.splits_, [fold.predictions for fold in folds], len(targets)
            )
        kept = [(name, member) for name, member in members if name in self.method_]
        for name, member in kept:
            blocks[name], crossing[name] = self._sort_quantiles(blocks[name])
            self._widths[name] = blocks[name].shape[1]
            self._keep_models(name, member, done.get(name))
        self.oof_predictions_ = np.hstack(
            [self.oof_predictions_, *(blocks[name] for name, _ in kept)]
        )
        for name, member in kept:
            report = self._report(name, member, blocks[name], done.get(name, []))
            self.report_.append({**report, **crossing[name]})
        self._make_library()

    def _check_memory(self, names):
        """Refuse a P that does not fit: folds' blocks, members' blocks, and itself."""
        n_rows, known = self.oof_predictions_.shape
        new = sum(self._n_columns(name) for name in names)
        n_held_out = sum(len(test) for _, test in self.splits_)
        n_cells = (n_held_out + 2 * n_rows) * new + n_rows * known
        check_memory(8 * n_cells, f"P ({n_rows} rows x {known + new} columns)")

    def _stored(self, name, member):
        """Return the predictions that came with a member; None without, or dropped."""
        known = self.classes_, self._n_outputs(), self.covered_
        try:
            return stored_predictions(name, member, *known)
        except MemberError as error:
            if self.on_error == "raise":
                raise
            self._drop(name, error.where, error.problem)
        return None

    def _fold_tasks(self, name, member, params):
        seeds = draw_seeds(self._seed, name, len(self.splits_))[1:]
        stopping = stops_early(member) and not is_frozen(member)
        self._warn_of_stopping(name, member)
        member = self._prepare(name, member)
        return [
            Task(
                name,
                _place(fold, len(self.splits_)),
                member,
                self.method_[name],
                params,
                train,
                test,
                self.fold_classes_[fold],
                self._n_outputs(),
                stopping,
                seed,
            )
            for fold, ((train, test), seed) in enumerate(
                zip(self.splits_, seeds, strict=True)
            )
        ]

    def _warn_of_stopping(self, name, member):
        """Say what of early stopping the member cannot do."""
        label, groups = f"Member {name!r}", self._groups is not None
        for limit in describe_limits(
            label, member, validation=self.early_stopping, groups=groups
        ):
            warnings.warn(limit, UserWarning, stacklevel=7)

    def _prepare(self, name, member):
        """Return a clone, for quantiles with the levels."""
        member = clone(member)
        if self._levels is None:
            return member
        return with_levels(f"Member {name!r}", member, self._levels)

    def _run(self, X, targets, tasks, report, *, refitting=False):
        """Run tasks; return the results of the members of which none is missing.

        The others are dropped, unless they still have their fold models.
        """
        shared = X, targets, self.classes_, self._groups, self._validation_rows()
        done, lost, n_fits = run_all(
            tasks,
            shared,
            self._memory,
            models="needed" if refitting else self._fold_models,
            on_done=report,
            n_jobs=self.n_jobs,
            on_error=self.on_error,
            time_limit=self._time_left(),
        )
        self.n_fits_ += n_fits
        for name, (where, outcome) in lost.items():
            if outcome.state != "late":
                self._drop(name, where, outcome.error.problem)
            elif name not in self.fold_estimators_:
                self._drop(name, where, self._describe_end())
        return done

    def _describe_end(self):
        if self.time_limit is None:
            return "a callback asked the fit to stop before."
        return f"time_limit={self.time_limit} was over before."

    def _time_left(self):
        if self.time_limit is None:
            return None
        return max(0.0, self.time_limit - (perf_counter() - self._started))

    def _validation_rows(self):
        """Return what tells members when to stop, with y as members know it."""
        if isinstance(self.early_stopping, str):
            return self.early_stopping
        with naming("early_stopping"):
            X_val, y_val = self.early_stopping
        return X_val, self._encode(y_val)

    def _drop(self, name, where, problem):
        """Leave a member out, and say so once."""
        self.dropped_.append({"name": name, "where": where, "problem": problem})
        said = [f"{d['name']} in {d['where']}: {d['problem']}" for d in self.dropped_]
        n_left = len(self.method_.keys() - {name})
        if n_left < self.min_members:
            raise ValueError(
                f"{n_left} members are left; expected {self.min_members} at least. "
                f"{'; '.join(said)}"
            )
        self._forget([name])
        warnings.warn(
            f"Member {name!r} is left out, for it failed in {where}: {problem}",
            UserWarning,
            stacklevel=6,
        )

    def _refit(self, X, targets, members, names, routed, report):
        """Fit the named members on all rows; those that fail are dropped."""
        known = dict(members)
        fitted_already = [name for name in names if is_frozen(known[name])]
        tasks = [
            self._whole_task(name, known[name], routed.members[name])
            for name in names
            if name not in fitted_already
        ]
        models = {name: [known[name]] for name in fitted_already}
        done = self._run(X, targets, tasks, report, refitting=True)
        models |= {name: [each.model for each in parts] for name, parts in done.items()}
        for name, (model,) in models.items():
            self.estimators_[name] = model
            self.fold_estimators_.pop(name, None)

    def _whole_task(self, name, member, params):
        seed = draw_seeds(self._seed, name, len(self.splits_))[0]
        member = self._prepare(name, member)
        stopping = stops_early(member)
        rounds = self._report_of(name)["rounds"]
        if rounds is not None:
            member, stopping = with_rounds(member, self._refit_rounds(rounds)), False
        return Task(
            name,
            _ALL_ROWS,
            member,
            self.method_[name],
            params,
            None,
            None,
            None,
            self._n_outputs(),
            stopping,
            seed,
        )

    def _refit_rounds(self, rounds):
        n_trained = np.mean([len(train) for train, _ in self.splits_])
        n_rows = len(self.covered_)
        return refit_rounds(rounds, n_rows / (n_rows - n_trained))

    def _report_of(self, name):
        return next(row for row in self.report_ if row["name"] == name)

    def _keep_models(self, name, member, folds):
        """Keep the fold models; of a member that came with predictions its model."""
        if folds is None:
            self.estimators_[name] = member
        elif all(fold.model is not None for fold in folds):
            self.fold_estimators_[name] = [fold.model for fold in folds]

    def _report(self, name, member, block, folds):
        numbered = number_rows(self.splits_, len(self._targets))
        known = numbered, self._weight, self.classes_, self._levels
        found = [fold.rounds for fold in folds]
        stopped = found if any(rounds is not None for rounds in found) else None
        return {
            "name": name,
            **score_member(self._targets, block, self.method_[name], *known),
            "fit_time": sum(fold.fit_time for fold in folds),
            "predict_time": sum(fold.predict_time for fold in folds),
            "frozen": holds_frozen(member),
            "rounds": stopped,
            "early_stopping": None if stopped is None else self._stopping_rows(member),
            "cached": sum(fold.cached for fold in folds),
        }

    def _stopping_rows(self, member):
        if splits_rows_itself(last_step(member)):
            return "inner"
        given = isinstance(self.early_stopping, tuple)
        return "given" if given else self.early_stopping

    def _sort_quantiles(self, block):
        """Sort the rows of a block; return what the report says of it."""
        if self._levels is None:
            return block, {}
        block, n_rows = sort_levels(block)
        return block, {"crossing": n_rows}


def _place(fold, n_folds):
    return f"fold {fold + 1} of {n_folds}"
