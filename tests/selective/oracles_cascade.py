"""Slow, obvious twins of the cascade: one row, one stage, one window at a time."""

from fractions import Fraction

import numpy as np


def rank(own, weight, row):
    """Share of the weight below the row, and half of that at it."""
    below = sum(int(w) for c, w in zip(own, weight, strict=True) if c < own[row])
    equal = sum(int(w) for c, w in zip(own, weight, strict=True) if c == own[row])
    return (below + Fraction(equal, 2)) / int(sum(weight))


def is_inside(place, centre, share):
    """Say whether a rank is inside the window of this share around the centre."""
    low = min(max(centre - share / 2, Fraction(0)), 1 - share)
    return low < place < low + share


def stages(confidences, weight, centre, window):
    """Return the stage at which each row stays: confidences (n_samples, n_members)."""
    found = []
    for row in range(len(confidences)):
        k = 0
        while k < confidences.shape[1] - 1:
            place = rank(confidences[:, k], weight, row)
            if not is_inside(place, centre, window ** (k + 1)):
                break
            k += 1
        found.append(k)
    return np.array(found)


def stage_means(cube, weights):
    """Return what each stage says: averages of the first 1, 2, .. members."""
    return np.array(
        [
            np.average(cube[: k + 1], axis=0, weights=weights[: k + 1])
            for k in range(len(cube))
        ]
    )


def max_proba(means):
    return np.array([[max(row) for row in mean] for mean in means]).T


def row_loss(name, target, said):
    if name == "log_loss":
        return -np.log(max(said[target], np.finfo(float).eps))
    if name == "zero_one":
        return float(np.argmax(said) != target)
    if name == "absolute_error":
        return abs(target - said[0])
    return (target - said[0]) ** 2


def cost_loss_coverage(
    cube, y, costs, confidences, sample_weight, weights, centre, window, loss
):
    """Send each row through the cascade; return mean cost, loss and coverage."""
    means = stage_means(cube, weights)
    stage = stages(confidences, sample_weight, centre, window)
    cost = lost = answered = 0.0
    for i, k in enumerate(stage):
        w = sample_weight[i]
        cost += w * sum(costs[: k + 1]) / costs[0]
        if rank(confidences[:, k], sample_weight, i) >= centre:
            lost += w * row_loss(loss, y[i], means[k, i])
            answered += w
    total = sum(sample_weight)
    return cost / total, lost / answered if answered else np.nan, answered / total
