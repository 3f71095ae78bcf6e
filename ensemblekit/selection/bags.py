"""Selections from many draws of members or rows, averaged: less noise in the weights.

Caruana et al., "Getting the most out of ensemble selection", ICDM 2006.
"""

import copy
from dataclasses import replace

import numpy as np
from joblib import Parallel, delayed

from .greedy import opening, select

# Weights that sum to more are no counts of rows.
_MOST_COPIES = 2**31 - 1


def member_draws(n_members, share, n_bags, rng):
    """Return which members each bag may pick, (n_bags, n_members) bool."""
    size = max(1, int(n_members * share))
    drawn = np.zeros((n_bags, n_members), bool)
    for bag in drawn:
        bag[rng.permutation(n_members)[:size]] = True
    return drawn


def row_draws(weight, strata, n_bags, rng):
    """Yield how much each row counts in a bag, (n,) float64, for each bag.

    Drawn with replacement within each stratum (class), whose total weight every bag
    keeps. Whole weights are copies: each copy is drawn on its own. Other weights stay
    with their rows, which are drawn alike: a heavy row is one observation, and a bag
    without it is to show what hangs on it. strata : (n,) int
    """
    copies = weight.sum() <= _MOST_COPIES and (weight == np.floor(weight)).all()
    groups = [
        np.flatnonzero((strata == stratum) & (weight > 0.0))
        for stratum in np.unique(strata)
    ]
    draw = _draw_copies if copies else _draw_rows
    for _ in range(n_bags):
        drawn = np.zeros(len(weight))
        for rows in filter(len, groups):
            drawn[rows] = draw(weight[rows], rng)
        yield drawn


def _draw_copies(own, rng):
    total = own.sum()
    return rng.multinomial(int(total), own / total)


def _draw_rows(own, rng):
    drawn = rng.multinomial(len(own), np.full(len(own), 1.0 / len(own))) * own
    return drawn * (own.sum() / drawn.sum())


def select_in_bags(scores, rules, bags, kind, n_jobs, init="best"):
    """Return the picks of each bag, up to the best prefix of its path.

    bags : iterable of `member_draws` (kind "members") or `row_draws` ("rows")
    init : what each bag starts from, see `greedy.opening`
    """

    def one(bag):
        if kind == "members":
            allowed = bag if rules.allowed is None else bag & rules.allowed
            own_scores = copy.copy(scores)  # picks of its own, Gram matrix shared
            own_rules = replace(rules, allowed=allowed, callback=None)
        else:
            own_scores = scores.weighted(bag)
            own_rules = replace(rules, callback=None)
        start = opening(own_scores, own_rules, init)
        path = select(own_scores, own_rules, start)
        return path.picks[: path.best(rules.min_gain)]

    tasks = (delayed(one)(bag) for bag in bags)
    return Parallel(n_jobs=n_jobs, prefer="threads")(tasks)


def mean_shares(picks, n_members):
    """Return the mean over bags of each member's share of the picks, (n_members,)."""
    shares = [np.bincount(own, minlength=n_members) / len(own) for own in picks]
    return np.mean(shares, axis=0)


def leaders(own, share=0.1, least=5):
    """Return equal weights on the members of least own loss: a tenth, at least five."""
    k = min(len(own), max(least, int(len(own) * share)))
    weights = np.zeros(len(own))
    weights[np.argsort(own, kind="stable")[:k]] = 1.0 / k
    return weights
