"""Linear stacking toward the mean: ridge on values, softmax regression on logits.

Both penalise the distance of the weights from 1 / n_members, never from 0: an infinite
penalty leaves the plain mean (and an intercept).
"""

import numpy as np

_BLOCK = 2**18  # numbers in scratch per block of rows: 2 MB of float64
_BIAS_RIDGE = 1e-6  # only keeps the bias of a class without rows finite


def moments(P, y, weight, centre):
    """Sum of outer products of the rows (P - centre, y - centre_y, 1).

    P : (n_samples, n_members); y, weight : (n_samples,); centre : (n_members + 1,)
    Returns (n_members + 2, n_members + 2) float64. Centring first keeps an offset of P
    and y, however large, out of the products.
    """
    n_samples, n_members = P.shape
    total = np.zeros((n_members + 2, n_members + 2))
    step = max(1, _BLOCK // (n_members + 2))
    for start in range(0, n_samples, step):
        rows = slice(start, start + step)
        block = np.ones((len(y[rows]), n_members + 2))
        block[:, :-2] = P[rows] - centre[:-1]
        block[:, -2] = y[rows] - centre[-1]
        total += (block * weight[rows, None]).T @ block
    return total


def ridge_path(total, penalties):
    """Weights and intercept of least squares, penalised toward the mean.

    Minimises mean (y - b - P w)^2 + penalty * n_members * ||w - 1/n_members||^2 for
    each penalty; penalty 0 gives the least-squares solution nearest the mean.

    total : moments of the rows; penalties : (n_penalties,) >= 0, in the unit of y^2
    Returns weights (n_penalties, n_members), intercepts (n_penalties,), in centred
    coordinates. One eigendecomposition serves all penalties.
    """
    n_members = len(total) - 2
    scatter = total / total[-1, -1]
    mean = scatter[-1, :-1]
    scatter = scatter[:-1, :-1] - np.outer(mean, mean)
    start = np.full(n_members, 1.0 / n_members)
    right = scatter[:-1, -1] - scatter[:-1, :-1] @ start
    values, vectors = np.linalg.eigh(scatter[:-1, :-1])
    values = np.maximum(values, 0.0)
    shrunk = values + n_members * np.asarray(penalties)[:, None]
    usable = shrunk > np.finfo(float).eps * n_members * values.max(initial=0.0)
    step = np.divide(vectors.T @ right, shrunk, out=np.zeros_like(shrunk), where=usable)
    weights = start + step @ vectors.T
    return weights, mean[-1] - weights @ mean[:-1]


def moment_losses(total, weights, intercepts):
    """Mean squared error of each (weights, intercept) on the rows behind `total`."""
    coefficients = np.column_stack([-weights, np.ones(len(weights)), -intercepts])
    sums = np.einsum("pa,ab,pb->p", coefficients, total, coefficients)
    return sums / total[-1, -1]


def softmax_fit(logits, y, weight, penalty, weights, bias, tol=1e-9, max_iter=100):
    """Minimise the log loss of softmax(bias + weights . logits) by Newton steps.

    Objective: weighted mean log loss + penalty * n_members / 2 * ||weights - 1/m||^2
    (+ 1e-6 / 2 * ||bias||^2), strictly convex for penalty > 0.

    logits : (n_members, n_samples, n_classes) float64; y : (n_samples,) codes
    weight : (n_samples,) >= 0; weights (n_members,), bias (n_classes,) : start
    Returns weights, bias, decrement: half the squared Newton decrement, which estimates
    the distance to the optimum. Time: O(n m^2 K) a step, mostly 3 to 8 steps.
    """
    n_members = len(weights)
    theta = np.concatenate([weights, bias])
    weight = weight / weight.sum()
    objective = _objective(logits, y, weight, penalty, theta)
    for _ in range(max_iter):
        gradient, hessian = _derivatives(logits, y, weight, penalty, theta)
        step = -np.linalg.solve(hessian, gradient)
        decrement = -0.5 * gradient @ step
        if decrement <= tol:
            break
        size = 1.0
        while size > 1e-10:
            trial = _objective(logits, y, weight, penalty, theta + size * step)
            if trial <= objective - 0.2 * size * decrement:
                break
            size *= 0.5
        else:  # no descent left at working precision
            break
        theta, objective = theta + size * step, trial
    return theta[:n_members], theta[n_members:], decrement


def class_scores(logits, weights, bias):
    """bias + sum_m weights_m logits_m : (n_samples, n_classes)."""
    return np.tensordot(weights, logits, axes=1) + bias


def softmax(scores):
    """Probabilities of each row of scores (n_samples, n_classes)."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def softmax_loss(logits, y, weight, weights, bias):
    """Weighted mean log loss."""
    scores = class_scores(logits, weights, bias)
    peak = scores.max(axis=1)
    log_total = peak + np.log(np.exp(scores - peak[:, None]).sum(axis=1))
    return np.average(log_total - scores[np.arange(len(y)), y], weights=weight)


def _objective(logits, y, weight, penalty, theta):
    n_members = len(logits)
    weights, bias = theta[:n_members], theta[n_members:]
    distance = ((weights - 1.0 / n_members) ** 2).sum()
    ridge = penalty * n_members * distance + _BIAS_RIDGE * (bias**2).sum()
    return softmax_loss(logits, y, weight, weights, bias) + 0.5 * ridge


def _derivatives(logits, y, weight, penalty, theta):
    n_members, n_samples, n_classes = logits.shape
    gradient = np.zeros(n_members + n_classes)
    hessian = np.zeros((n_members + n_classes, n_members + n_classes))
    step = max(1, _BLOCK // (n_members * n_classes))
    for start in range(0, n_samples, step):
        rows = slice(start, start + step)
        part = _block_derivatives(logits[:, rows], y[rows], weight[rows], theta)
        gradient += part[0]
        hessian += part[1]
    ridge = np.full(n_members + n_classes, _BIAS_RIDGE)
    ridge[:n_members] = penalty * n_members
    centre = np.zeros_like(theta)
    centre[:n_members] = 1.0 / n_members
    return gradient + ridge * (theta - centre), hessian + np.diag(ridge)


def _block_derivatives(logits, y, weight, theta):
    n_members, n_samples, n_classes = logits.shape
    q = softmax(class_scores(logits, theta[:n_members], theta[n_members:]))
    mass = q * weight[:, None]
    error = mass.copy()
    error[np.arange(n_samples), y] -= weight
    gradient = [np.tensordot(logits, error, axes=2), error.sum(axis=0)]
    # Covariance of the logits under q, summed over the rows.
    weighted = logits * mass
    average = (logits * q).sum(axis=2)
    columns = (n_members, n_samples * n_classes)
    members = weighted.reshape(columns) @ logits.reshape(columns).T
    members -= (average * weight) @ average.T
    mixed = weighted.sum(axis=1) - average @ mass
    classes = np.diag(mass.sum(axis=0)) - mass.T @ q
    return np.concatenate(gradient), np.block([[members, mixed], [mixed.T, classes]])
