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
    for member, own in zip(members, step, strict=True):
        z = np.log(np.maximum(member, clip))
        z -= z.mean(axis=1, keepdims=True)
        scores += own * (n_classes * member - 1.0 if kind == "probability" else z)
    return scores


def softmax_stack(P, y, weight, convex, ridge, n_classes, per_class, **features):
    """Return step, bias and the objective: a trust region, then Newton."""
    n_members = len(convex)
    size = n_members * (n_classes if per_class else 1)
    columns = []  # the scores are linear in step and bias: their derivative
    origin = stack_scores(P, n_classes, convex, np.zeros(n_members), 0.0, **features)
    for unit in np.eye(size):
        step = unit.reshape(n_members, -1)
        columns.append(stack_scores(P, n_classes, convex, step, 0.0, **features))
    slopes = np.array(columns) - origin
    slopes = np.concatenate([slopes, np.eye(n_classes)[:, None] + 0.0 * origin])
    # Of a member's weights their mean counts, and the distances from it.
    mean = np.full((n_classes, n_classes), 1 / n_classes)
    between = mean / n_classes + np.eye(n_classes) - mean if per_class else np.eye(1)
    stiffness = np.zeros((size + n_classes, size + n_classes))
    stiffness[:size, :size] = ridge * n_members * np.kron(np.eye(n_members), between)
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
    step = theta[:size].reshape(n_members, n_classes) if per_class else theta[:size]
    return step, theta[size:], objective(theta)[0]
