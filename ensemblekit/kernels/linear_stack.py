"""Linear stacking of classes toward the mean: softmax regression on logits.

It penalises the distance of the weights from 1 / n_members, never from 0: an infinite
penalty leaves the geometric mean (and the biases).
"""

import numpy as np

_BLOCK = 2**18  # numbers in scratch per block of rows: 2 MB of float64
_MAX_NEWTON = 100
_BIAS_RIDGE = 1e-6  # only keeps the bias of a class without rows finite


def softmax_fit(features, offset, y, weight, penalty, step, bias, tol=1e-9):
    """Minimise the log loss of softmax(offset + bias + step . features) (Newton).

    Objective: weighted mean log loss + penalty / 2 * ||step||^2 (+ 1e-6 / 2 *
    ||bias||^2), strictly convex for penalty > 0.

    features : (n_features, n_samples, n_classes); offset : (n_samples, n_classes)
    y : (n_samples,) codes; weight : (n_samples,) >= 0
    step (n_features,), bias (n_classes,) : start
    Returns step, bias, decrement: half the squared Newton decrement, which estimates
    the distance to the optimum. Time: O(n_samples * n_features^2 * n_classes) an
    iteration, mostly 3 to 8 iterations.
    """
    theta = np.concatenate([step, bias])
    ridge = np.concatenate(
        [np.full(len(step), penalty), np.full(len(bias), _BIAS_RIDGE)]
    )
    rows = features, offset, y, weight / weight.sum()
    objective = _objective(rows, ridge, theta)
    for _ in range(_MAX_NEWTON):
        gradient, hessian = _derivatives(rows, ridge, theta)
        direction = -np.linalg.solve(hessian, gradient)
        decrement = -0.5 * gradient @ direction
        if decrement <= tol:
            break
        size, trial = _line_search(rows, ridge, theta, direction, objective, decrement)
        if size == 0.0:  # no descent left at working precision
            break
        theta, objective = theta + size * direction, trial
    return theta[: len(step)], theta[len(step) :], decrement


def rotate(features):
    """Basis of the features where they outnumber the independent columns.

    A ridge solution lies in the span of the data: with fewer rows than members the fit
    needs only that many coordinates.

    features : (n_features, n_samples, n_classes)
    Returns basis (n_features, rank) with orthonormal columns; None where it is no gain.
    """
    n_features, n_samples, n_classes = features.shape
    if n_features <= n_samples * n_classes:
        return None
    return np.linalg.qr(features.reshape(n_features, -1))[0]


def class_scores(features, step):
    """step . features : (n_samples, n_classes)."""
    return np.tensordot(step, features, axes=1)


def softmax(scores):
    """Probabilities of each row of scores (n_samples, n_classes)."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def softmax_loss(scores, y, weight):
    """Weighted mean log loss of softmax(scores)."""
    peak = scores.max(axis=1)
    log_total = peak + np.log(np.exp(scores - peak[:, None]).sum(axis=1))
    return np.average(log_total - scores[np.arange(len(y)), y], weights=weight)


def _objective(rows, ridge, theta):
    features, offset, y, weight = rows
    step, bias = theta[: len(features)], theta[len(features) :]
    loss = softmax_loss(offset + bias + class_scores(features, step), y, weight)
    return loss + 0.5 * ridge @ theta**2


def _line_search(rows, ridge, theta, direction, objective, decrement):
    """Halve the step until the objective falls enough; size 0 where it never does."""
    size = 1.0
    while size > 1e-10:
        trial = _objective(rows, ridge, theta + size * direction)
        if trial <= objective - 0.2 * size * decrement:
            return size, trial
        size *= 0.5
    return 0.0, objective


def _derivatives(rows, ridge, theta):
    features, offset, y, weight = rows
    n_features, n_samples, n_classes = features.shape
    gradient, hessian = ridge * theta, np.diag(ridge)
    size = max(1, _BLOCK // (n_features * n_classes))
    for start in range(0, n_samples, size):
        block = slice(start, start + size)
        part = features[:, block], offset[block], y[block], weight[block]
        first, second = _block_derivatives(*part, theta)
        gradient += first
        hessian += second
    return gradient, hessian


def _block_derivatives(features, offset, y, weight, theta):
    n_features, n_samples, n_classes = features.shape
    step, bias = theta[:n_features], theta[n_features:]
    q = softmax(offset + bias + class_scores(features, step))
    mass = q * weight[:, None]
    error = mass.copy()
    error[np.arange(n_samples), y] -= weight
    gradient = [np.tensordot(features, error, axes=2), error.sum(axis=0)]
    # The Hessian is the covariance of (features, class indicators) under q.
    weighted = features * mass
    average = (features * q).sum(axis=2)
    columns = (n_features, n_samples * n_classes)
    square = weighted.reshape(columns) @ features.reshape(columns).T
    square -= (average * weight) @ average.T
    mixed = weighted.sum(axis=1) - average @ mass
    classes = np.diag(mass.sum(axis=0)) - mass.T @ q
    return np.concatenate(gradient), np.block([[square, mixed], [mixed.T, classes]])
