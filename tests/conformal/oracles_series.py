"""Slow, obvious twins of the online methods: recursions and sorts at each row."""

from fractions import Fraction

import numpy as np


def adaptive(scores, alpha, gamma, window=None, horizon=1, past=()):
    """The recursion of Gibbs and Candes in fractions; levels, thresholds, misses."""
    levels, thresholds, missed = [], [], []
    level = Fraction(alpha)
    for t in range(len(scores)):
        known = t - horizon + 1
        if known > 0:
            level += gamma * (alpha - missed[known - 1])
        seen = [*past, *scores[: max(known, 0)]]
        seen = sorted(seen[-window:] if window else seen)
        levels.append(level)
        thresholds.append(smallest_with_share(seen, 1 - level))
        missed.append(int(scores[t] > thresholds[-1]))
    return levels, thresholds, missed


def smallest_with_share(ordered, share):
    """The least score that share * (n + 1) scores reach, by counting."""
    if share <= 0:
        return -np.inf
    for k, score in enumerate(ordered, start=1):
        if k >= share * (len(ordered) + 1):
            return score
    return np.inf


def dynamically_tuned(scores, alpha, past=()):
    """Algorithm of Gibbs and Candes 2024 in floats, one step size after the other."""
    gammas = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128]
    K, span, seen = len(gammas), 500, list(past)
    sigma = 1 / (2 * span)
    scale = (1 - alpha) ** 2 * alpha**3 + alpha**2 * (1 - alpha) ** 3
    eta = np.sqrt(3 / span) * np.sqrt((np.log(K * span) + 2) / scale)
    weights, experts, mixed = [1.0] * K, [alpha] * K, []
    for score in scores:
        shares = [w / sum(weights) for w in weights]
        mixed.append(sum(p * a for p, a in zip(shares, experts, strict=True)))
        beta = 1 - sum(s < score for s in seen) / (len(seen) + 1)
        gaps = [beta - a for a in experts]
        bars = [
            w * np.exp(-eta * (alpha * gap - min(0, gap)))
            for w, gap in zip(weights, gaps, strict=True)
        ]
        weights = [(1 - sigma) * bar + sigma * sum(bars) / K for bar in bars]
        experts = [
            a + gamma * (alpha - (a >= beta))
            for a, gamma in zip(experts, gammas, strict=True)
        ]
        seen.append(score)
    return mixed


def enbpi_residuals(models, bags, X, y):
    """y minus the mean of the models whose bag lacks the row; rows without left out."""
    residuals = []
    for i in range(len(y)):
        outside = [
            model.predict(X[i : i + 1])[0]
            for model, bag in zip(models, bags, strict=True)
            if i not in bag
        ]
        if outside:
            residuals.append(y[i] - np.mean(outside))
    return np.array(residuals)


def narrowest(residuals, alpha):
    """All pairs of residuals far enough apart in rank, the nearest of them."""
    ordered, n = sorted(residuals), len(residuals)
    pairs = [
        (ordered[b] - ordered[a], a, b)
        for a in range(n)
        for b in range(a, n)
        if b - a >= (n + 1) * (1 - alpha)
    ]
    if not pairs:
        return -np.inf, np.inf
    _, a, b = min(pairs)
    return ordered[a], ordered[b]
