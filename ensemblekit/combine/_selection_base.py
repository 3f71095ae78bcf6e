"""What the two combiners of greedy selection share: parameters, one fit, reports."""

import copy
import math
from dataclasses import replace

import numpy as np
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_is_fitted

from .._sklearn import Integral, Interval, Real, StrOptions
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
        cost = np.asarray(cost, np.float64)
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
        time_limit=combiner.time_limit,
        callback=combiner.callback,
    )


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
    cv = _row_splits(combiner)
    path, weights = _find(combiner, scores, rules, strata, cv, before)
    best = path.best(rules.min_gain)
    combiner.picks_ = np.array(path.picks[:best], np.int64)
    combiner.loss_path_ = np.array(path.losses[:best])
    combiner.near_ties_ = path.near[:best]
    combiner._path_ = path
    combiner.weights_ = weights
    if _tunes(combiner):
        _tune_offsets(combiner, scores, rules, strata, cv)
    combiner.loss_ = float(scores.of(weights[None])[0])
    combiner.duality_gap_ = scores.gap(weights)
    combiner._without_ = _losses_without(scores, weights)
    combiner.frontier_ = _frontier(scores, rules, path)
    if combiner.nested_cv is not None:
        combiner.nested_score_ = _nested(combiner, scores, rules, strata, cv)


def _find(combiner, scores, rules, strata, cv, before=()):
    """Return the path on the rows of scores, and the weights that follow."""
    path = greedy.select(scores, rules, _opening(combiner, scores, rules, before))
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


def _opening(combiner, scores, rules, before):
    """Return the members that a selection starts from."""
    if len(before):
        return greedy.admitted(before, rules, scores.n_members)
    return greedy.opening(scores, rules, combiner.init)


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


def _row_splits(combiner):
    """Return the number of folds, the splitter or the splits that were asked for."""
    cv = combiner.nested_cv
    if cv is None:
        return 5
    return cv if isinstance(cv, Integral) or hasattr(cv, "split") else list(cv)


def _folds(cv, scores, strata):
    return row_folds(cv, strata, scores.weight, bool(strata.any()))


def _within(cv, rows, n_rows):
    """Return splits for some of n_rows rows; given ones keep what is among them."""
    if not isinstance(cv, list):
        return cv
    numbers = np.arange(n_rows)
    return [
        tuple(np.flatnonzero(np.isin(rows, numbers[part])) for part in split)
        for split in cv
    ]


def _choose_shrinkage(combiner, scores, rules, strata, cv):
    """Return the strongest shrinkage within a standard error of the best on folds."""
    losses, sizes = [], []
    plain = copy.copy(combiner)
    plain.shrinkage, rules = 0.0, replace(rules, callback=None)
    for train, test in _folds(cv, scores, strata):
        own, held_out = scores.rows(train), scores.rows(test)
        path, weights = _find(plain, own, rules, strata[train], cv)
        share = _SHRINKAGES[:, None]
        mixed = (1.0 - share) * weights + share * bags.leaders(path.own)
        if _tunes(combiner):
            own.tune(weights)
            held_out.offsets = own.offsets
        losses.append(held_out.of(mixed))
        sizes.append(held_out.weight.sum())
    mean, _ = _mean_and_error(losses, sizes)
    best = int(np.argmin(mean))
    # Of the difference: folds differ more from each other than shrinkages do.
    excess, error = _mean_and_error(
        np.array(losses) - np.array(losses)[:, [best]], sizes
    )
    return _SHRINKAGES[np.flatnonzero(excess <= np.nan_to_num(error))[-1]]


def _mean_and_error(losses, sizes):
    """Return the mean over folds by their weight, and its standard error.

    losses : (n_folds, k); the error of a single fold is NaN
    """
    losses, share = np.array(losses), np.array(sizes) / np.sum(sizes)
    mean, n = share @ losses, len(losses)
    if n == 1:
        return mean, np.full(len(mean), np.nan)
    return mean, np.sqrt(n / (n - 1) * share**2 @ (losses - mean) ** 2)


def _nested(combiner, scores, rules, strata, cv):
    """Return what the selection scores on rows that it has not seen.

    All choices are made anew without each fold. So are those of the best member.
    """
    losses, sizes = [], []
    fresh, rules = copy.copy(combiner), replace(rules, callback=None)
    for train, test in _folds(cv, scores, strata):
        own, held_out = scores.rows(train), scores.rows(test)
        inner = _within(cv, train, len(strata))
        path, weights = _find(fresh, own, rules, strata[train], inner)
        best = np.eye(len(weights))[int(np.argmin(path.own))]
        uniform = np.full(len(weights), 1.0 / len(weights))
        if _tunes(combiner):
            _tune_offsets(fresh, own, rules, strata[train], inner)
            held_out.offsets = fresh.offsets_
        loss = held_out.of(weights[None])
        if _tunes(combiner):
            held_out.offsets = np.zeros_like(fresh.offsets_)
        losses.append(np.r_[loss, held_out.of(np.array([best, uniform]))])
        sizes.append(held_out.weight.sum())
    mean, error = _mean_and_error(losses, sizes)
    return Bunch(
        loss=float(mean[0]),
        se=float(error[0]),
        optimism=float(mean[0]) - combiner.loss_,
        best_member_loss=float(mean[1]),
        uniform_loss=float(mean[2]),
        fold_losses=np.array(losses)[:, 0],
    )


def _tunes(combiner):
    return getattr(combiner, "tune_offsets", False)


def _tune_offsets(combiner, scores, rules, strata, cv):
    """Choose offsets with the members, without each fold; keep them if they gain."""
    fresh, rules = copy.copy(combiner), replace(rules, callback=None)
    parts, chosen = [], []
    for fold, (train, test) in enumerate(_folds(cv, scores, strata)):
        own, inner = scores.rows(train), _within(cv, train, len(strata))
        weights = _find(fresh, own, rules, strata[train], inner)[1]
        own.tune(weights)
        chosen.append(own.offsets)
        held_out = scores.rows(test)
        parts.append((held_out.mixture(weights), test, np.full(len(test), fold)))
    E, rows, folds = (np.concatenate(part) for part in zip(*parts, strict=True))
    counted = scores.weight[rows] > 0.0
    rows = rows[counted]
    combiner.offsets_ = offsets.judge(
        E[counted],
        scores.codes[rows],
        scores.weight[rows],
        folds[counted],
        np.array(chosen),
        scores.metric,
    ).offsets
    scores.offsets = combiner.offsets_


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
    n_prices = 10 if rules.cost is not None else 0
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
