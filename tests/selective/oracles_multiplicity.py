"""Slow, obvious twins of the measures of multiplicity, member by member."""

import math

import numpy as np


def entropy_bits(p):
    return -sum(q * math.log2(q) for q in (p, 1.0 - p) if q > 0.0)


def capacity_textbook(a, b):
    """Closed form for two inputs; cancels for b near a."""
    ha, hb = entropy_bits(a), entropy_bits(b)
    return (a * hb - b * ha) / (b - a) + math.log2(1.0 + 2.0 ** ((ha - hb) / (b - a)))


def capacity_blahut_arimoto(W, tol=1e-11, max_iter=200_000):
    """Capacity in bits of a channel (n_inputs, n_outputs), to `tol`."""
    W = np.asarray(W, float)
    pi = np.full(len(W), 1.0 / len(W))
    for _ in range(max_iter):
        r = pi @ W
        with np.errstate(divide="ignore", invalid="ignore"):
            D = np.where(W > 0, W * np.log2(W / r), 0.0).sum(axis=1)
        low = math.log2((pi * 2.0**D).sum())
        if D.max() - low <= tol:
            return low
        pi = pi * 2.0**D
        pi /= pi.sum()
    raise AssertionError(f"no convergence: gap {D.max() - low}")


def mutual_information(pi, W):
    r = pi @ W
    with np.errstate(divide="ignore", invalid="ignore"):
        return (pi[:, None] * np.where(W > 0, W * np.log2(W / r), 0.0)).sum()


def label(p):
    """Most probable class of one row of one member; the first of ties."""
    p = [1.0 - p[0], p[0]] if len(p) == 1 else list(p)
    return p.index(max(p))


def conflict_rows(P, n_outputs, member, baseline, delta):
    """Rows, one by one, on which a member conflicts with the baseline."""
    rows = []
    for row in np.asarray(P):
        ours = row[member * n_outputs : (member + 1) * n_outputs]
        theirs = row[baseline * n_outputs : (baseline + 1) * n_outputs]
        if delta is None:
            rows.append(label(ours.tolist()) != label(theirs.tolist()))
        else:
            rows.append(max(abs(ours - theirs)) >= delta)
    return np.array(rows)


def disagreement(P, n_outputs):
    """Chance that two members drawn with replacement differ, over its largest value."""
    n_classes = max(n_outputs, 2)
    values = []
    for row in np.asarray(P).reshape(len(P), -1, n_outputs):
        labels = [label(p.tolist()) for p in row]
        pairs = [a != b for a in labels for b in labels]
        values.append(np.mean(pairs) / (1.0 - 1.0 / n_classes))
    return np.array(values)
