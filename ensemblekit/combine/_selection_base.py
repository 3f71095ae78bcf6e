"""What the two combiners of greedy selection share: parameters, one fit, reports."""

import copy
import math
import time
from dataclasses import replace

import numpy as np
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_is_fitted

from .._sklearn import Integral, Interval, Real, StrOptions
from ..convex.constraints import as_numbers
from ..selection import autogluon, bags, greedy, offsets
from ..selection.greedy import Rules
from ._base import column_names, row_folds

_ROUNDS = Interval(Integral, 1, None, closed="left")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")

PARAMETERS: dict = {
    "n_rounds": [_ROUNDS],
    "init": [StrOptions({"best", "sorted"}), _ROUNDS],
    "replacement": ["boolean"],
    "max_members": [_ROUNDS, None],
    "cost": ["array-like", None],
    "max_cost": [_NOT_NEGATIVE, None],
    "min_gain": [_NOT_NEGATIVE],
    "patience": [_ROUNDS, None],
    "time_limit": [_NOT_NEGATIVE, None],
    "callback": [callable, None],
    "bagging": [StrOptions({"members", "rows"}), None],
    "n_bags": [_ROUNDS],
    "bag_share": [Interval(Real, 0, 1, closed="right")],
    "shrinkage": [StrOptions({"cv"}), Interval(Real, 0, 1, closed="both")],
    "nested_cv": ["cv_object", None],
    "rules": [StrOptions({"exact", "autogluon", "autogluon_second_metric"})],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "n_jobs": [Integral, None],
}
"""Constraints of the parameters that both have."""

_SHRINKAGES = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
# Choices that reproducing a peer leaves no room for, and their defaults.
_OWN = {
    "init": "best",
    "replacement": True,
    "max_members": None,
    "cost": None,
    "max_cost": None,
    "min_gain": 0.0,
    "patience": None,
    "time_limit": None,
    "callback": None,
    "bagging": None,
    "shrinkage": 0.0,
    "nested_cv": None,
    "warm_start": False,
    "tune_offsets": False,
}


def read_rules(combiner, n_members, names):
    """Return the `Rules` that a combiner's parameters ask for.

    Raises
    ------
    ValueError
        If costs do not fit the members or admit none of them.
    """
    cost, max_cost = combiner.cost, combiner.max_cost
    for name in ("max_members", "max_cost"):
        mixed = combiner.bagging is not None or combiner.shrinkage != 0.0
        if mixed and getattr(combiner, name) is not None:
            raise ValueError(
                f"{name} holds for one selection; bagging and shrinkage mix more "
                f"members in. Leave out {name}, or bagging and shrinkage."
            )
    if max_cost is not None and cost is None:
        raise ValueError("max_cost is given without cost, the cost of each member.")
    if cost is not None:
        cost = as_numbers("cost", cost)
        if cost.shape != (n_members,):
            raise ValueError(
                f"cost has shape {cost.shape}; expected one number for each of the "
                f"{n_members} members."
            )
        if not np.isfinite(cost).all() or cost.min() < 0.0:
            j = int(np.argmin(np.isfinite(cost) & (cost >= 0.0)))
            raise ValueError(
                f"cost of member {names[j]!r} is {cost[j]}; expected a finite number "
                ">= 0."
            )
        if max_cost is not None and cost.min() > max_cost:
            j = int(np.argmin(cost))
            raise ValueError(
                f"max_cost={max_cost:g} admits no member: the cheapest, {names[j]!r}, "
                f"costs {cost[j]:g}."
            )
    return Rules(
        n_rounds=combiner.n_rounds,
        replacement=combiner.replacement,
        max_members=combiner.max_members,
        cost=cost,
        max_cost=np.inf if max_cost is None else float(max_cost),
        patience=combiner.patience,
        min_gain=combiner.min_gain,
        deadline=_deadline(combiner.time_limit),
        callback=combiner.callback,
    )


def _deadline(time_limit):
    """Return the time at which no further round of this fit starts, or None."""
    return None if time_limit is None else time.monotonic() + time_limit


def member_names(combiner, n_members):
    """Return a name for each member: that of its first column."""
    names = list(column_names(combiner))
    return names[:: len(names) // n_members]


def select(combiner, scores, strata, before=()):
    """Select on all rows and set the fitted attributes.

    scores : `selection.scores` of the loss; strata : (n,) int classes, or zeros
    before : picks to go on from
    """
    m = scores.n_members
    rules = read_rules(combiner, m, member_names(combiner, m))
    cv = _row_splits(combiner, scores, strata)
    path, weights = _find(combiner, scores, rules, strata, cv, before)
    if _tunes(combiner):
        weights = _tune_offsets(combiner, scores, rules, strata, cv, weights)
        path = _under_final_offsets(combiner, scores, rules, path)
    best = path.best(rules.min_gain)
    combiner.picks_ = np.array(path.picks[:best], np.int64)
    combiner.loss_path_ = np.array(path.losses[:best])
    combiner.near_ties_ = path.near[:best]
    combiner._path_ = path
    combiner.weights_ = weights
    combiner.loss_ = float(scores.of(weights[None])[0])
    combiner.duality_gap_ = scores.gap(weights)
    combiner._without_ = _losses_without(scores, weights)
    combiner.frontier_ = _frontier(scores, rules, path)
    if combiner.nested_cv is not None:
        combiner.nested_score_ = _nested(combiner, scores, rules, strata, cv)


def _under_final_offsets(combiner, scores, rules, path):
    """Return the path with losses under the offsets kept; a plain one if they are 0."""
    if not combiner.offsets_.any():
        plain = replace(scores, metric=None)
        start = greedy.opening(plain, rules, combiner.init)
        return greedy.select(plain, replace(rules, callback=None), start)
    counts = np.cumsum(np.eye(scores.n_members)[path.picks], axis=0)
    path.losses = scores.of(counts).tolist()
    return path


def _find(combiner, scores, rules, strata, cv, before=()):
    """Return the path on the rows of scores, and the weights that follow."""
    path = greedy.select(scores, rules, greedy.opening(scores, rules, combiner.init))
    if len(before):
        start = greedy.admitted(before, rules, scores.n_members)
        continued = greedy.select(scores, rules, start)
        # Members or rows that came later may make the old picks a burden.
        path = min(continued, path, key=lambda one: min(one.losses))
    if combiner.bagging is None:
        picks = path.picks[: path.best(rules.min_gain)]
        weights = np.bincount(picks, minlength=scores.n_members) / len(picks)
    else:
        weights = _bagged(combiner, scores, rules, strata)
    shrinkage = combiner.shrinkage
    if shrinkage == "cv":
        shrinkage = _choose_shrinkage(combiner, scores, rules, strata, cv)
    combiner.shrinkage_ = float(shrinkage)
    weights = (1.0 - shrinkage) * weights + shrinkage * bags.leaders(path.own)
    return path, weights / math.fsum(weights)


def _bagged(combiner, scores, rules, strata):
    """Return the mean of the members' shares in the selections of all bags."""
    random = check_random_state(combiner.random_state)
    if combiner.bagging == "members":
        drawn = bags.member_draws(
            scores.n_members, combiner.bag_share, combiner.n_bags, random
        )
    else:
        drawn = bags.row_draws(scores.weight, strata, combiner.n_bags, random)
    picks = bags.select_in_bags(
        scores, rules, drawn, combiner.bagging, combiner.n_jobs, combiner.init
    )
    combiner.bag_picks_ = [np.array(own, np.int64) for own in picks]
    return bags.mean_shares(picks, scores.n_members)


def _row_splits(combiner, scores, strata):
    """Return the number of folds, or the splits of all rows that were asked for."""
    cv = combiner.nested_cv
    if cv is None:
        return 5
    return cv if isinstance(cv, Integral) else _folds(cv, scores, strata)


def _folds(cv, scores, strata):
    splits = row_folds(cv, strata, scores.weight, bool(strata.any()))
    # Five folds take as much memory as five columns of P.
    number = np.int32 if len(strata) < 2**31 else np.int64
    return [(train.astype(number), test.astype(number)) for train, test in splits]


def _within(cv, rows, n_rows):
    """Return splits for some of n_rows rows; given ones keep what is among them."""
    if not isinstance(cv, list):
        return cv
    numbers = np.arange(n_rows)
    splits = [
        tuple(np.flatnonzero(np.isin(rows, numbers[part])) for part in split)
        for split in cv
    ]
    return [(train, test) for train, test in splits if len(train) and len(test)]


def _check_inner(splits):
    if not splits:
        raise ValueError(
            "shrinkage='cv' and tune_offsets choose by folds inside each training part "
            "of nested_cv, and the splits given leave none there. Give nested_cv a "
            "number of folds, or splits that cover all rows."
        )


def _choose_shrinkage(combiner, scores, rules, strata, cv):
    """Return the strongest shrinkage within a standard error of the best on folds."""
    plain = copy.copy(combiner)
    plain.shrinkage, rules = 0.0, replace(rules, callback=None)
    _check_inner(cv)

    def held_out_parts(train, test):
        own, held_out = scores.rows(train), scores.rows(test)
        path, weights = _find(plain, own, rules, strata[train], cv)
        if _tunes(combiner):
            own.tune(weights)
            held_out.offsets = own.offsets
        drawn = bags.leaders(path.own)
        return [held_out.part((1.0 - s) * weights + s * drawn) for s in _SHRINKAGES]

    # A function: nothing of a fold is left when the next one starts.
    parts = [held_out_parts(*split) for split in _folds(cv, scores, strata)]
    losses, without = _pooled(scores, parts)
    best = int(np.argmin(losses))
    # Of the difference: folds differ more from each other than shrinkages do.
    error = _jackknife(without - without[:, [best]])
    excess = losses - losses[best]
    return _SHRINKAGES[np.flatnonzero(excess <= np.nan_to_num(error))[-1]]


def _pooled(scores, parts):
    """Return the losses of all held-out rows, and those without each fold in turn.

    parts : (n_folds, k), of `Scores.part`; returns (k,) and (n_folds, k)
    """
    choices = list(zip(*parts, strict=True))
    losses = np.array([scores.pool(own) for own in choices])
    if len(parts) == 1:
        return losses, np.full((1, len(losses)), np.nan)
    without = [
        [scores.pool(own[:f] + own[f + 1 :]) for own in choices]
        for f in range(len(parts))
    ]
    return losses, np.array(without)


def _jackknife(without):
    """Return the standard errors of losses from those without each fold, (n, k)."""
    n = len(without)
    return np.sqrt((n - 1) / n * ((without - without.mean(axis=0)) ** 2).sum(axis=0))


def _nested(combiner, scores, rules, strata, cv):
    """Return what the selection scores on rows that it has not seen.

    All choices are made anew without each fold. So are those of the best member. Held
    out rows are scored together: F1 or AUC of a fold is no term of a mean.
    """
    fresh, rules = copy.copy(combiner), replace(rules, callback=None)

    def held_out_parts(train, test):
        own, held_out = scores.rows(train), scores.rows(test)
        inner = _within(cv, train, len(strata))
        path, weights = _find(fresh, own, rules, strata[train], inner)
        best = np.eye(len(weights))[int(np.argmin(path.own))]
        uniform = np.full(len(weights), 1.0 / len(weights))
        others = [held_out.part(best), held_out.part(uniform)]
        if _tunes(combiner):
            weights = _tune_offsets(fresh, own, rules, strata[train], inner, weights)
            held_out.offsets = fresh.offsets_
        return [held_out.part(weights), *others]

    parts = [held_out_parts(*split) for split in _folds(cv, scores, strata)]
    losses, without = _pooled(scores, parts)
    return Bunch(
        loss=float(losses[0]),
        se=float(_jackknife(without)[0]),
        optimism=float(losses[0]) - combiner.loss_,
        best_member_loss=float(losses[1]),
        uniform_loss=float(losses[2]),
        fold_losses=np.array([scores.pool([part[0]]) for part in parts]),
    )


def _tunes(combiner):
    return getattr(combiner, "tune_offsets", False)


def _tune_offsets(combiner, scores, rules, strata, cv, weights):
    """Choose offsets with the members, without each fold; keep both if they gain.

    Returns the weights: of plain selection where offsets are not kept.
    """
    fresh, rules = copy.copy(combiner), replace(rules, callback=None)
    chosen, mixtures, rows = [], [], []
    _check_inner(cv)
    for train, test in _folds(cv, scores, strata):
        inner = _within(cv, train, len(strata))
        counted = test[scores.weight[test] > 0.0]
        found, own_offsets = _tuned_on(
            fresh, scores.rows(train), rules, strata[train], inner
        )
        chosen.append(own_offsets)
        mixtures.append(scores.rows(counted).mixture(found))
        rows.append(counted)
    combiner.offsets_ = _judged(scores, mixtures, rows, np.array(chosen))
    scores.offsets = combiner.offsets_
    if combiner.offsets_.any():
        return weights
    plain = replace(scores, metric=None)
    fresh.tune_offsets = False
    return _find(fresh, plain, rules, strata, cv)[1]


def _tuned_on(combiner, scores, rules, strata, cv):
    """Return the weights found on some rows, and the offsets that suit them."""
    weights = _find(combiner, scores, rules, strata, cv)[1]
    scores.tune(weights)
    return weights, scores.offsets


def _judged(scores, mixtures, rows, chosen):
    """Return the offsets to keep, from those chosen without each fold and its rows."""
    folds = np.repeat(np.arange(len(rows)), [len(own) for own in rows])
    E, index = np.concatenate(mixtures), np.concatenate(rows)
    mixtures.clear()
    codes, weight = scores.codes[index], scores.weight[index]
    return offsets.judge(E, codes, weight, folds, chosen, scores.metric).offsets


def _losses_without(scores, weights):
    """Return the loss without each member that has weight; NaN for the others."""
    losses = np.full(len(weights), np.nan)
    support = np.flatnonzero(weights)
    if len(support) > 1:
        rest = np.tile(weights, (len(support), 1))
        rest[np.arange(len(support)), support] = 0.0
        losses[support] = scores.of(rest / rest.sum(axis=1, keepdims=True))
    return losses


def _frontier(scores, rules, path):
    """Return losses and costs of the undominated prefixes; with costs, at 10 prices."""
    cost = np.ones(scores.n_members) if rules.cost is None else rules.cost
    # Each price would have offsets of its own.
    tuned = getattr(scores, "metric", None) is not None
    n_prices = 10 if rules.cost is not None and not tuned else 0
    points = greedy.frontier(scores, rules, cost, path, n_prices)
    return Bunch(
        losses=np.array([point[0] for point in points]),
        costs=np.array([point[1] for point in points]),
        picks=[np.array(point[3], np.int64) for point in points],
    )


def select_as_autogluon(combiner, scores, members, y, loss):
    """Select by the peer's rules and set the fitted attributes."""
    rules = combiner.rules
    for name, default in _OWN.items():
        value = getattr(combiner, name, default)  # regressors tune no offsets
        if value is not default and not (np.isscalar(value) and value == default):
            raise ValueError(
                f"rules={rules!r} knows no {name}; leave it at {default!r}."
            )
    if y.ndim > 1:
        raise ValueError(
            f"rules={rules!r} knows one target; y has {y.shape[1]}. Use rules='exact'."
        )
    if loss not in ("log_loss", "auc", "zero_one", "squared_error"):
        raise ValueError(
            f"rules={rules!r} reproduces log_loss, auc, zero_one and squared_error; "
            f"got loss={loss!r}. Use rules='exact'."
        )
    if (scores.weight != 1.0).any():
        raise ValueError(
            "AutoGluon's rules drop sample_weight; leave it out, or use rules='exact'."
        )
    tie_breaker = rules.removeprefix("autogluon").lstrip("_") or "random"
    picks, path, _ = autogluon.select(
        members, y, loss, scores, combiner.n_rounds, tie_breaker
    )
    combiner.picks_, combiner.loss_path_ = picks.astype(np.int64), path
    weights = np.bincount(picks, minlength=len(members)) / len(picks)
    combiner.weights_ = weights / math.fsum(weights)
    combiner.loss_ = float(scores.of(combiner.weights_[None])[0])
    combiner.duality_gap_ = scores.gap(combiner.weights_)


def explain(combiner):
    """Return one dictionary for each member: why it has the weight it has."""
    check_is_fitted(combiner)
    if not hasattr(combiner, "_path_"):
        raise ValueError(
            f"rules={combiner.rules!r} leaves nothing to explain; use 'exact'."
        )
    m = len(combiner.weights_)
    counts = np.bincount(combiner.picks_, minlength=m)
    rows = []
    for j, name in enumerate(member_names(combiner, m)):
        rounds = np.flatnonzero(combiner.picks_ == j)
        rows.append(
            {
                "name": str(name),
                "weight": float(combiner.weights_[j]),
                "n_picks": int(counts[j]),
                "first_pick": int(rounds[0]) + 1 if len(rounds) else None,
                "own_loss": float(combiner._path_.own[j]),
                "loss_without": float(combiner._without_[j]),
                "closest": float(combiner._path_.closest[j]),
            }
        )
    return rows
