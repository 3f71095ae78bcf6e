"""Slow, obvious twins of hill climbing and of the weights of CMA-ES."""

import numpy as np

from ensemblekit import evaluate_loss

TIE = 1e-12


def climb(members, loss, steps, min_gain=0.0, max_members=None, fit=lambda v: v):
    """Climb as the Kaggle tools do: all members left, all steps, the strict best.

    members : list of predictions; loss(prediction) -> float; fit(mixture) -> what the
    loss is asked of. Losses within 1e-12 (relative) of the lowest are equal, and the
    first met wins: members by own loss, then steps ascending.
    """
    own = [loss(fit(p)) for p in members]
    order = sorted(range(len(members)), key=lambda j: own[j])
    picks, taken, path = [order[0]], [1.0], [own[order[0]]]
    current, left = members[order[0]], order[1:]
    while left and (max_members is None or len(picks) < max_members):
        tried = [
            (loss(fit((1 - w) * current + w * members[j])), j, w)
            for j in left
            for w in steps
        ]
        lowest = min(value for value, _, _ in tried)
        value, j, w = next(t for t in tried if t[0] <= lowest + TIE * abs(lowest))
        if path[-1] - value <= max(min_gain, TIE * abs(path[-1])):
            break
        current = (1 - w) * current + w * members[j]
        picks.append(j), taken.append(w), path.append(value)
        left.remove(j)
    return np.array(picks), np.array(taken), np.array(path), current


def class_loss(loss, y, weight, probabilities):
    """Evaluate a loss; AUC by all pairs, so that a loss of 0 is exactly 0."""
    if loss != "auc":
        return evaluate_loss(loss, y, probabilities, weight)
    weight = np.ones(len(y)) if weight is None else weight
    p = probabilities[:, 1]
    pairs = np.outer(weight[y == 0], weight[y == 1])
    above = p[y == 0][:, None] - p[y == 1]
    return (pairs * ((above > 0) + 0.5 * (above == 0))).sum() / pairs.sum()


def clip_rows(probabilities):
    """Clip to [0, 1] and divide each row by its sum; of two classes, the second."""
    clipped = np.clip(probabilities, 0.0, 1.0)
    if clipped.shape[1] == 2:
        return np.column_stack([1.0 - clipped[:, 1], clipped[:, 1]])
    return clipped / clipped.sum(axis=1, keepdims=True)


def class_members(P, n_classes):
    """Return each member's (n, n_classes) probabilities."""
    if n_classes == 2:
        return [np.column_stack([1 - p, p]) for p in P.T]
    return [P[:, j : j + n_classes] for j in range(0, P.shape[1], n_classes)]


def softmax(x):
    """Return exp(x) over its sum, where members at exactly 0 are left out."""
    w = [0.0 if v == 0.0 else np.exp(v - max(x)) for v in x]
    if sum(w) == 0.0:
        return np.full(len(x), 1.0 / len(x))
    return np.array(w) / sum(w)


def explicit(x, size=50):
    """Round softmax weights to counts that sum to `size`, by plain loops."""
    w = softmax(x)
    trimmed = [0.0 if v <= 0.5 / size else v for v in w]
    if sum(trimmed) == 0.0:
        # More than 2 * size members: a pick for each of the heaviest.
        heaviest = sorted(range(len(w)), key=lambda j: (-w[j], j))[:size]
        return np.array([1.0 / size if j in heaviest else 0.0 for j in range(len(w))])
    counts = [round(v * size) for v in trimmed]  # half to even
    smallest_first = sorted(
        (j for j in range(len(w)) if counts[j] > 0), key=lambda j: (counts[j], -j)
    )
    while sum(counts) > size:
        counts[smallest_first.pop(0)] -= 1
    missing = size - sum(counts)
    chosen = [j for j in range(len(w)) if counts[j] > 0]
    for j in chosen:
        counts[j] += missing // len(chosen)
    largest = max(chosen, key=lambda j: (counts[j], -j))
    counts[largest] += missing % len(chosen)
    return np.array(counts) / size


def raw_probabilities(members, weights):
    """Mix probabilities by weights of any sign, as the CMA-ES paper's code does."""
    mixture = sum(w * p for w, p in zip(weights, members, strict=True))
    if min(weights) < 0.0:
        powers = np.exp(np.clip(mixture, -88.72, 88.72))
        return powers / powers.sum(axis=1, keepdims=True)
    if not np.isclose(sum(weights), 1.0):
        return mixture / mixture.sum(axis=1, keepdims=True)
    return mixture
