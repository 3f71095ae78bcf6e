"""Softmax regressions of many folds and penalties, solved together.

A fit is a set of rows with offsets of its own. Fits share their features, so that one
matrix product serves them all, and the Hessian of one, the leader, taken apart by
groups of rows, is put together again for each of the others: far fewer reads of the
features than one Newton iteration for each.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from ._jit import njit_sums

_CLOSE = 2e-9  # distance to the optimum, in every parameter, that ends a fit
_SHRINK = 0.5  # chord steps that two steps shrink less have left the chord's range
_FAR = 2.0  # and those that grow so much leave it at once
_MAX_FRESH = 2  # Hessians that a stalled chord may ask for
_MAX_CHORD = 30
_MAX_NEWTON = 100
_ROWS = 4096  # rows whose scratch stays in cache
_EPS = np.finfo(np.float64).eps


@dataclass(frozen=True)
class Fits:
    """Softmax regressions on the same features: the first has all rows, and leads.

    features : (n_channels, n_rows, n_features). A channel is a class; two classes have
        one channel, the difference of their scores
    offsets : (n_channels, n_rows, n_fits); y : (n_rows,) codes
    weight : (n_rows, n_fits), each column of sum 1; 0 where a fit leaves the row out
    borders : (n_groups + 1,) where groups of rows begin that are in the same fits
    shared : whether all channels have the same coefficients; each then has a bias
    stiffness : (n_parameters, n_parameters), positive definite; the penalty is
        penalty / 2 * theta'stiffness theta
    """

    features: np.ndarray
    offsets: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    borders: np.ndarray
    shared: bool
    stiffness: np.ndarray

    @property
    def n_fits(self):
        """Return the number of fits."""
        return self.weight.shape[1]

    def only(self, fit):
        """Return one of the fits."""
        column = slice(fit, fit + 1)
        return replace(
            self, offsets=self.offsets[..., column], weight=self.weight[:, column]
        )


def solve_path(fits, penalties):
    """Minimise the mean log loss + penalty / 2 * theta'stiffness theta.

    penalties : (n_penalties,) > 0, descending
    Returns theta : (n_penalties, n_fits, n_parameters), and the decrements,
    (n_penalties, n_fits): what is left to gain, estimated. Parameters agree with those
    of fits one by one to 1e-8.
    """
    theta = np.zeros((fits.n_fits, len(fits.stiffness)))
    path = np.empty((len(penalties), *theta.shape))
    decrements = np.empty(path.shape[:2])
    blocks = None
    for a, penalty in enumerate(penalties):
        start = theta
        theta, open_fits, blocks = _chords(fits, penalty, start, blocks)
        decrements[a] = 0.0
        for fit in np.flatnonzero(open_fits):
            theta[fit], decrements[a, fit] = newton(fits.only(fit), penalty, start[fit])
        path[a] = theta
    return path, decrements


def newton(fit, penalty, theta):
    """Solve one fit by Newton steps with a line search.

    Returns theta, and half the squared Newton decrement of its last but one point.
    """
    stiffness, decrement = penalty * fit.stiffness, np.inf
    objective = _objective(fit, stiffness, theta)
    for _ in range(_MAX_NEWTON):
        error, leader = _errors(fit, theta[None])
        slope = _pull(fit, error)[0] + stiffness @ theta
        bends = _bends(fit, _blocks(fit, leader), stiffness)
        direction = -_solve(_factors(bends), slope[None])[0]
        decrement = -0.5 * slope @ direction
        size, objective = _line_search(fit, stiffness, theta, direction, objective)
        theta = theta + size * direction
        # The steps' lengths are squared by each: what is left is far below it.
        if size == 0.0 or np.abs(direction).max() <= np.sqrt(_CLOSE) * 1e-2:
            break
    return theta, decrement


def scores(features, theta, shared):
    """Return features . theta, (n_channels, n_rows, n_fits).

    theta : (n_fits, n_parameters)
    """
    n_channels, n_rows, n_features = features.shape
    if not shared:
        steps = theta.reshape(len(theta), n_channels, n_features)
        return features @ steps.transpose(1, 2, 0)
    flat = features.reshape(n_channels * n_rows, n_features)
    total = (flat @ theta[:, :n_features].T).reshape(n_channels, n_rows, -1)
    total += theta[:, n_features:].T[:, None]
    return total


def losses(total, y):
    """Return the log losses of scores, (n_rows, n_fits)."""
    if len(total) == 1:
        return np.logaddexp(0.0, np.where(y[:, None] == 1, -total[0], total[0]))
    peak = total.max(axis=0)
    sums = np.exp(total - peak).sum(axis=0)
    return np.log(sums) + peak - total[y, np.arange(len(y))]


def probabilities(total):
    """Return the softmax of scores over the channels; total is overwritten."""
    if len(total) == 1:
        with np.errstate(over="ignore"):
            return 1.0 / (1.0 + np.exp(-total))
    total -= total.max(axis=0)
    np.exp(total, out=total)
    total /= total.sum(axis=0)
    return total


def _chords(fits, penalty, theta, blocks):
    """Take steps of all fits with Hessians of the leader's rows, until all are close.

    blocks : (n_groups, p, p), the Hessian by groups near the start, or None
    Returns theta, the fits that did not get there, and blocks near the end.
    """
    stiffness = penalty * fits.stiffness
    earlier = before = np.full(fits.n_fits, np.inf)
    factors = last = move = None
    stalled, n_fresh = False, 0
    for k in range(_MAX_CHORD):
        error, leader = _errors(fits, theta)
        # The first step has come near the end, and so have those before a stall.
        if blocks is None or k == 1 or stalled:
            blocks, factors = _blocks(fits, leader), None
        if factors is None:
            factors = _factors(_bends(fits, blocks, stiffness))
        step = -_solve(factors, _pull(fits, error) + theta @ stiffness)
        length = np.abs(step).max(axis=1)
        move = step if k < 2 or stalled else _secant(step, last, move)
        theta, last = theta + move, step
        # Later steps shrink at the same rate, so that their sum is known. After a long
        # one the rate is that of two.
        usual = np.minimum(before, np.sqrt(length) * np.sqrt(earlier))
        close = length * length <= _CLOSE * np.maximum(usual - length, 0.0)
        close &= k > 0
        close |= length <= 1e-2 * _CLOSE
        if close.all():
            break
        # One step may be long: a secant has taken it too far.
        limit = np.minimum(_SHRINK * earlier, _FAR * before)
        stalled = k > 1 and bool((length > limit)[~close].any())
        n_fresh += stalled
        if n_fresh > _MAX_FRESH:
            break
        earlier, before = before, length
    return theta, ~close, blocks


def _secant(step, last, move):
    """Return the move that makes the next step shortest, if steps change linearly.

    step, last : here and before `move`; all (n_fits, n_parameters)
    """
    change = step - last
    square = (change * change).sum(axis=1, keepdims=True)
    along = np.divide(
        (step * change).sum(axis=1, keepdims=True),
        square,
        out=np.zeros_like(square),
        where=square > 0.0,
    )
    return step - along * (move + change)


def _bends(fits, blocks, stiffness):
    """Return each fit's Hessian: that of its groups, in its own unit of weight."""
    first = fits.weight[fits.borders[:-1]]  # all rows of a group have the same ratios
    share = np.divide(first, first[:, :1], out=np.zeros_like(first), where=first > 0.0)
    bends = np.tensordot(share.T, blocks, axes=1) + stiffness
    diagonal = np.einsum("fpp->fp", bends)
    # Rounding may leave the smallest eigenvalue below 0.
    diagonal += 4.0 * _EPS * diagonal.sum(axis=1, keepdims=True)
    return bends


def _factors(bends):
    return [dpotrf(bend, lower=1, overwrite_a=0)[0] for bend in bends]


def _solve(factors, right):
    pairs = zip(factors, right, strict=True)
    return np.array([dpotrs(factor, side, lower=1)[0] for factor, side in pairs])


def _errors(fits, theta):
    """Return weight * (probability - truth) of all fits, and q of the leader."""
    total = scores(fits.features, theta, fits.shared)
    leader = np.empty(total.shape[:2])
    if len(total) == 1:
        total += fits.offsets
        with np.errstate(over="ignore"):
            np.exp(-total, out=total)
        _compare_two(total[0], fits.y, fits.weight, leader[0])
        return total, leader
    _lower(total, fits.offsets)
    np.exp(total, out=total)
    _compare(total, fits.y, fits.weight, leader)
    return total, leader


@njit_sums
def _compare_two(powers, y, weight, leader):
    """Turn exp(-score) of class 1 into weight * (probability - truth)."""
    n_rows, n_fits = powers.shape
    for i in range(n_rows):
        leader[i] = 1.0 / (1.0 + powers[i, 0])
        for f in range(n_fits):
            powers[i, f] = weight[i, f] * (1.0 / (1.0 + powers[i, f]) - y[i])


@njit_sums
def _lower(total, offsets):
    """Add the offsets; then take the largest channel's score off each."""
    n_channels, n_rows, n_fits = total.shape
    peak = np.empty(n_fits)
    for i in range(n_rows):
        peak[:] = -np.inf
        for c in range(n_channels):
            for f in range(n_fits):
                value = total[c, i, f] + offsets[c, i, f]
                total[c, i, f] = value
                peak[f] = max(peak[f], value)
        for c in range(n_channels):
            for f in range(n_fits):
                total[c, i, f] -= peak[f]


@njit_sums
def _compare(powers, y, weight, leader):
    """Turn powers into weight * (probability - truth); keep q of the first fit."""
    n_channels, n_rows, n_fits = powers.shape
    scale = np.empty(n_fits)
    for i in range(n_rows):
        scale[:] = 0.0
        for c in range(n_channels):
            for f in range(n_fits):
                scale[f] += powers[c, i, f]
        for f in range(n_fits):
            scale[f] = 1.0 / scale[f]
        for c in range(n_channels):
            leader[c, i] = powers[c, i, 0] * scale[0]
        for f in range(n_fits):
            scale[f] *= weight[i, f]
        for c in range(n_channels):
            for f in range(n_fits):
                powers[c, i, f] *= scale[f]
        for f in range(n_fits):
            powers[y[i], i, f] -= weight[i, f]


def _pull(fits, error):
    """Return the gradients of the log losses, (n_fits, n_parameters)."""
    pull = fits.features.transpose(0, 2, 1) @ error
    if not fits.shared:
        return pull.reshape(-1, fits.n_fits).T
    return np.vstack([pull.sum(axis=0), (np.ones(error.shape[1]) @ error)]).T


def _blocks(fits, q):
    """Return the leader's Hessian by groups of rows, (n_groups, p, p)."""
    n_parameters = len(fits.stiffness)
    blocks = np.zeros((len(fits.borders) - 1, n_parameters, n_parameters))
    bend = _shared_bend if fits.shared else _own_bend
    for block, first, last in zip(
        blocks, fits.borders[:-1], fits.borders[1:], strict=True
    ):
        for start in range(first, last, _ROWS):
            rows = slice(start, min(start + _ROWS, last))
            block += bend(fits.features[:, rows], q[:, rows], fits.weight[rows, 0])
    return blocks


def _own_bend(features, q, weight):
    """Return the Hessian where each channel has coefficients of its own."""
    n_channels, n_rows, n_features = features.shape
    if n_channels == 1:
        spread = features[0] * np.sqrt(weight * q[0] * (1.0 - q[0]))[:, None]
        return spread.T @ spread
    root = np.sqrt(weight)
    mean = (features * (q * root)[..., None]).transpose(1, 0, 2).reshape(n_rows, -1)
    bend = -(mean.T @ mean)
    for c in range(n_channels):
        own = slice(c * n_features, (c + 1) * n_features)
        spread = features[c] * (root * np.sqrt(q[c]))[:, None]
        bend[own, own] += spread.T @ spread
    return bend


def _shared_bend(features, q, weight):
    """Return the covariance of (features, class indicators) under q."""
    n_channels, n_rows, n_features = features.shape
    spread = np.empty((n_channels, n_rows, n_features))
    _center(features, q, np.sqrt(weight), spread)
    root = np.sqrt(q * weight)
    # Centred features are orthogonal to what all classes have in common.
    mixed = (root[:, None] @ spread)[:, 0].T
    flat = spread.reshape(-1, n_features)
    classes = np.diag((q * weight).sum(axis=1)) - (q * weight) @ q.T
    return np.block([[flat.T @ flat, mixed], [mixed.T, classes]])


@njit_sums
def _center(features, q, root, out):
    """Write sqrt(weight q_c) (features_c - their mean under q)."""
    n_channels, n_rows, n_features = features.shape
    mean = np.empty(n_features)
    for i in range(n_rows):
        mean[:] = 0.0
        for c in range(n_channels):
            for f in range(n_features):
                mean[f] += q[c, i] * features[c, i, f]
        for c in range(n_channels):
            size = root[i] * np.sqrt(q[c, i])
            for f in range(n_features):
                out[c, i, f] = size * (features[c, i, f] - mean[f])


def _objective(fit, stiffness, theta):
    total = scores(fit.features, theta[None], fit.shared) + fit.offsets
    loss = losses(total, fit.y)[:, 0] @ fit.weight[:, 0]
    return loss + 0.5 * theta @ stiffness @ theta


def _line_search(fit, stiffness, theta, direction, objective):
    """Halve the step until the objective falls; size 0 where it never does."""
    size = 1.0
    while size > 1e-10:
        value = _objective(fit, stiffness, theta + size * direction)
        # Near the optimum it falls by less than its rounding.
        if value <= objective + 8.0 * _EPS * max(objective, 1.0):
            return size, value
        size *= 0.5
    return 0.0, objective
