"""Softmax regression on the members, with the convex mixture as offset."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from ..oracles import cube


def class_members(P, n_classes):
    """Return (n_members, n_samples, n_classes) probabilities."""
    if n_classes > 2:
        return cube(P, n_classes)
    return np.stack([1.0 - P.T, P.T], axis=2)


def stack_scores(P, n_classes, convex, step, bias, kind="log", clip=1e-2):
    """Return the scores of the documented model, (n_samples, n_classes)."""
    members = class_members(P, n_classes)
    scores = np.log(np.maximum(np.tensordot(convex, members, 1), 2.0**-52)) + bias
    features = []
    if kind != "probability":
        logs = np.log(np.maximum(members, clip))
        features.append(logs - logs.mean(axis=2, keepdims=True))
    if kind != "log":
        features.append(n_classes * members - 1.0)
    step = step if kind == "both" else [step]
    for kind_step, kind_features in zip(step, features, strict=True):
        for own, z in zip(kind_step, kind_features, strict=True):
            scores += own * z
    return scores


def softmax_stack(
    P, y, weight, convex, ridge, n_classes, per_class, kind="log", clip=1e-2
):
    """Return step and bias, by a trust region and then Newton's method."""
    n_members = len(convex)
    shape = (n_members, n_classes) if per_class else (n_members,)
    shape = (2, *shape) if kind == "both" else shape
    size = int(np.prod(shape))

    def scores_of(step):
        return stack_scores(P, n_classes, convex, step, 0.0, kind, clip)

    # The scores are linear in step and bias; the columns are their derivative.
    origin = scores_of(np.zeros(shape))
    columns = [scores_of(unit.reshape(shape)) for unit in np.eye(size)]
    slopes = np.array(columns) - origin
    slopes = np.concatenate([slopes, np.eye(n_classes)[:, None] + 0.0 * origin])
    # Of a member's weights their mean counts, and the distances from it.
    mean = np.full((n_classes, n_classes), 1 / n_classes)
    between = mean / n_classes + np.eye(n_classes) - mean if per_class else np.eye(1)
    stiffness = np.zeros((size + n_classes, size + n_classes))
    repeats = np.eye(size // len(between))
    n_columns = n_members * (2 if kind == "both" else 1)
    stiffness[:size, :size] = ridge * n_columns * np.kron(repeats, between)
    stiffness[size:, size:] = ridge * np.eye(n_classes)
    truth, share = np.eye(n_classes)[y], weight / weight.sum()

    def objective(theta):
        scores = origin + np.tensordot(theta, slopes, 1)
        log_total = logsumexp(scores, axis=1)
        q = np.exp(scores - log_total[:, None])
        loss = share @ (log_total - (truth * scores).sum(axis=1))
        slope = np.tensordot(slopes, (q - truth) * share[:, None], 2)
        return loss + 0.5 * theta @ stiffness @ theta, slope + stiffness @ theta

    def hessian(theta):
        q = softmax(origin + np.tensordot(theta, slopes, 1), axis=1)
        mean = (slopes * q).sum(axis=2)
        weighted = slopes * (q * share[:, None])
        bend = np.tensordot(weighted, slopes, ([1, 2], [1, 2]))
        return bend - (mean * share) @ mean.T + stiffness

    start = np.zeros(size + n_classes)
    found = minimize(objective, start, jac=True, hess=hessian, method="trust-exact")
    theta = found.x
    for _ in range(3):
        theta = theta - np.linalg.solve(hessian(theta), objective(theta)[1])
    return theta[:size].reshape(shape), theta[size:]
