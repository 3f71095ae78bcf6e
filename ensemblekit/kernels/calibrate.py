"""Recalibration of probabilities: one slope on their logarithms, and biases."""

import numpy as np

_MAX_NEWTON = 100
_SMALLEST_SLOPE = 1e-3
_TOL = 1e-13  # length of the gradient at which to stop


def calibrate_logs(logs, y, weight, ridge, with_bias):
    """Minimise the log loss of softmax(slope * logs + bias) by Newton's method.

    Objective: weighted mean log loss + ridge / 2 * ((slope - 1)^2 + ||bias||^2), over
    slope >= 1e-3. It is strongly convex, so that a gradient g proves it to be within
    ||g||^2 / (2 ridge) of its minimum.

    logs : (n_samples, n_classes), finite; y : (n_samples,) codes
    weight : (n_samples,) >= 0; ridge : > 0; with_bias : False leaves bias at 0
    Returns slope, bias (n_classes,), gap: the proven bound. O(n_samples * n_classes^2)
    an iteration, about 6 iterations.
    """
    share = weight / weight.sum()
    free = np.append(True, np.full(logs.shape[1], with_bias))
    start = np.append(1.0, np.zeros(logs.shape[1]))
    theta, gap = _newton(logs, y, share, ridge, start, free)
    if theta[0] < _SMALLEST_SLOPE:  # the border: the objective is convex
        theta[0], free[0] = _SMALLEST_SLOPE, False
        theta, gap = _newton(logs, y, share, ridge, theta, free)
    return float(theta[0]), theta[1:], gap


def probabilities(logs, slope, bias):
    """Return softmax(slope * logs + bias), (n_samples, n_classes)."""
    scores = slope * logs + bias
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _newton(logs, y, share, ridge, theta, free):
    gap, n_free = 0.0, np.count_nonzero(free)
    for _ in range(_MAX_NEWTON if n_free else 0):
        objective, gradient, hessian = _derivatives(logs, y, share, ridge, theta)
        gradient = gradient[free]
        square = gradient @ gradient
        gap = square / (2.0 * ridge)
        if square <= _TOL**2:
            break
        direction = np.zeros(len(theta))
        direction[free] = -np.linalg.solve(hessian[np.ix_(free, free)], gradient)
        size, slope = 1.0, gradient @ direction[free]
        while size > 1e-10:
            trial = _objective(logs, y, share, ridge, theta + size * direction)
            # Near the optimum rounding hides the fall.
            if trial <= objective + 1e-4 * size * slope + 1e-15:
                break
            size *= 0.5
        theta = theta + size * direction
    return theta, float(gap)


def _scores(logs, theta):
    scores = theta[0] * logs + theta[1:]
    return scores - scores.max(axis=1, keepdims=True)


def _objective(logs, y, share, ridge, theta):
    scores = _scores(logs, theta)
    losses = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(y)), y]
    away = theta - np.append(1.0, np.zeros(len(theta) - 1))
    return share @ losses + 0.5 * ridge * away @ away


def _derivatives(logs, y, share, ridge, theta):
    """Objective, gradient and Hessian by slope and biases."""
    rows = np.arange(len(y))
    q = probabilities(logs, theta[0], theta[1:])
    away = theta - np.append(1.0, np.zeros(len(theta) - 1))
    mean = (q * logs).sum(axis=1)
    mass = q * share[:, None]
    gradient = ridge * away
    gradient[0] += share @ (mean - logs[rows, y])
    gradient[1:] += mass.sum(axis=0) - np.bincount(y, share, logs.shape[1])
    # The second derivative is the covariance of (log, indicator of the class) under q.
    spread = logs - mean[:, None]
    hessian = ridge * np.eye(len(theta))
    hessian[0, 0] += (mass * spread**2).sum()
    hessian[0, 1:] += (mass * spread).sum(axis=0)
    hessian[1:, 0] = hessian[0, 1:]
    hessian[1:, 1:] += np.diag(mass.sum(axis=0)) - mass.T @ q
    return _objective(logs, y, share, ridge, theta), gradient, hessian
