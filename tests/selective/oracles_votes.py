"""Slow, obvious twins of the selective vote."""

from itertools import product
from math import comb

import numpy as np
from scipy.stats import binomtest


def selective_vote(votes, n_classes, alpha):
    """Labels, accepted and p-values, row by row with scipy's test."""
    labels, accepted, p_values = [], [], []
    for row in np.asarray(votes):
        counts = [int((row == k).sum()) for k in range(n_classes)]
        label = max(range(n_classes), key=lambda k: (counts[k], -k))
        best = counts[label]
        second = max([counts[k] for k in range(n_classes) if k != label], default=0)
        p = binomtest(best, best + second).pvalue if best else 1.0
        labels.append(label)
        accepted.append(bool(p <= alpha and best != second))
        p_values.append(p)
    return np.array(labels), np.array(accepted), np.array(p_values)


def multinomial_answers(probabilities, n_members, cutoffs):
    """Return the chance that each class is answered, by all outcomes of the votes."""
    answered = np.zeros(len(probabilities))
    for counts in product(range(n_members + 1), repeat=len(probabilities) - 1):
        rest = n_members - sum(counts)
        if rest < 0:
            continue
        counts = (*counts, rest)
        second, best = sorted(counts)[-2:]
        if best >= cutoffs[best + second]:
            chance, left = 1.0, n_members
            for count, p in zip(counts, probabilities, strict=True):
                chance *= comb(left, count) * p**count
                left -= count
            answered[counts.index(best)] += chance
    return answered


def abstention(n_members, p, cut):
    """Two classes: the chance that neither has `cut` votes."""
    chances = [
        comb(n_members, k) * p**k * (1 - p) ** (n_members - k)
        for k in range(n_members + 1)
    ]
    return sum(chances[n_members - cut + 1 : cut])


def holm(p_values, alpha):
    accepted = np.zeros(len(p_values), bool)
    for i, row in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[row] > alpha / (len(p_values) - i):
            break
        accepted[row] = True
    return accepted


def benjamini_hochberg(p_values, alpha):
    n = len(p_values)
    ordered = np.sort(p_values)
    passing = [i + 1 for i in range(n) if ordered[i] <= alpha * (i + 1) / n]
    accepted = np.zeros(n, bool)
    accepted[np.argsort(p_values, kind="stable")[: max(passing, default=0)]] = True
    return accepted
