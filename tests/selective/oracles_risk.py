"""Slow, obvious twins of selective prediction by confidence."""

from itertools import pairwise, permutations
from math import ceil, log2

import numpy as np
from scipy import stats


def area_of_order(wrong, generalized=False, trapezoid=False):
    """AURC or AUGRC of rows in one order, most confident first."""
    n = len(wrong)
    risks, errors = [], 0
    for k in range(1, n + 1):
        errors += wrong[k - 1]
        risks.append(errors / (n if generalized else k))
    if trapezoid:
        points = [0.0, *risks]
        return sum((a + b) / 2 for a, b in pairwise(points)) / n
    return sum(risks) / n


def expected_area(confidence, wrong, **keywords):
    """Mean over every permutation of the rows that is in order of confidence."""
    areas = []
    for order in permutations(range(len(wrong))):
        if all(confidence[a] >= confidence[b] for a, b in pairwise(order)):
            areas.append(area_of_order([wrong[i] for i in order], **keywords))
    return float(np.mean(areas))


def curve(confidence, correct):
    """(coverage, selective risk, generalised risk, threshold) at each confidence."""
    points = []
    for level in sorted(set(confidence), reverse=True):
        answered = [i for i in range(len(correct)) if confidence[i] >= level]
        errors = sum(not correct[i] for i in answered)
        share = len(answered) / len(correct)
        points.append((share, errors / len(answered), errors / len(correct), level))
    return np.array(points).T


def upper_bound(n_errors, n_rows, delta):
    """The error rate under which so few errors have chance delta, by bisection."""
    low, high = n_errors / n_rows, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if stats.binom.cdf(n_errors, n_rows, middle) > delta:
            low = middle
        else:
            high = middle
    return high


def sgr(confidence, correct, risk, delta):
    """Binary search of the paper over groups of equal confidence."""
    levels = sorted(set(confidence), reverse=True)
    steps = ceil(log2(len(levels) + 1))
    low, high, found = 0, len(levels), (np.inf, np.nan, 0.0)
    for _ in range(steps):
        if low >= high:
            break
        g = (low + high + 1) // 2
        answered = [i for i in range(len(correct)) if confidence[i] >= levels[g - 1]]
        errors = sum(not correct[i] for i in answered)
        bound = upper_bound(errors, len(answered), delta / steps)
        if bound <= risk:
            low, found = g, (levels[g - 1], bound, len(answered) / len(correct))
        else:
            high = g - 1
    return found


def ltt(confidence, correct, risk, delta):
    """Rows answered: tests at 5 %, 10 %, .. of the rows, from the strictest on."""
    n, answered, least = len(correct), set(), 1
    while stats.binom.cdf(0, least, risk) > delta:
        least += 1
    enough = 2 * least if 2 * least <= n // 2 else max(least, n // 2)
    by_confidence = sorted(confidence, reverse=True)
    for step in range(1, 21):
        rank = ceil(step * n / 20)
        limit = by_confidence[rank] if rank < n else -np.inf
        above = {i for i in range(n) if confidence[i] > limit}
        if len(above) < enough:
            continue
        errors = sum(not correct[i] for i in above)
        if stats.binom.cdf(errors, len(above), risk) > delta:
            break
        answered = above
    return answered


def entropies(cube, weights):
    """Total, aleatoric and epistemic, one row and one class at a time."""

    def entropy(p):
        return -sum(x * np.log(x) for x in p if x > 0)

    parts = []
    for i in range(cube.shape[1]):
        mean = sum(w * member[i] for w, member in zip(weights, cube, strict=True))
        noise = sum(w * entropy(m[i]) for w, m in zip(weights, cube, strict=True))
        parts.append((entropy(mean), noise, entropy(mean) - noise))
    return np.array(parts).T


def skce(probabilities, errors, bandwidth):
    """Unbiased squared kernel calibration error, pair by pair."""
    n, total = len(errors), 0.0
    for i in range(n):
        for j in range(i):
            distance = np.abs(probabilities[i] - probabilities[j]).sum() / 2
            total += np.exp(-(distance**2) / bandwidth) * (errors[i] @ errors[j])
    return total / (n * (n - 1) / 2)
