"""Weights by CMA-ES without the estimators: normalisations, mixtures, the search."""

import math
import warnings

import numpy as np

from .. import layout
from ..losses import LOG_CLIP
from ._base import residual_gram
from ._mixture_base import distinct_members, make_loss

EXPLICIT_SIZE = 50
EVALUATIONS_PER_MEMBER = 50
_TIE = 1e-12
# exp overflows single precision above it: the published code clips there.
_LARGEST_POWER = 88.72
# A covariance of more members takes longer than the losses do.
_MOST_FULL = 200


def softmax_weights(x):
    """Return exp(x) over its sum; members at exactly 0 stay out.

    They stay out because the start, all 0 but for one member, then means that member.
    """
    weights = _softmax(x)
    weights[np.argmax(weights)] += 1.0 - weights.sum()
    return weights


def explicit_weights(x, size=EXPLICIT_SIZE):
    """Round softmax weights to counts that sum to `size`, as greedy selection has them.

    Weights up to 0.5 / size are trimmed; if that trims all, each of the heaviest `size`
    members counts once. Counts are rounded half to even. Of too many, one is taken from
    each of the smallest upwards; too few are spread evenly, and the rest goes to the
    largest. Of equal counts the lower index keeps, or gets, the count.
    """
    weights = _softmax(x)
    counts = np.round(np.where(weights <= 0.5 / size, 0.0, weights) * size)
    counts = counts.astype(np.int64)
    if not counts.any():
        counts[np.argsort(-weights, kind="stable")[:size]] = 1
        return counts / size
    chosen = np.flatnonzero(counts)
    excess = counts.sum() - size
    if excess > 0:
        order = np.lexsort((-chosen, counts[chosen]))
        counts[chosen[order[:excess]]] -= 1
    else:
        share, rest = divmod(-excess, len(chosen))
        counts[chosen] += share
        counts[np.argmax(counts)] += rest
    return counts / size


def _softmax(x):
    powers = np.where(x == 0.0, 0.0, np.exp(x - x.max()))
    if not powers.any():
        powers = np.ones(len(x))
    return powers / powers.sum()


NORMALIZATIONS = {
    "softmax": softmax_weights,
    "explicit": explicit_weights,
    "raw": np.array,
}


def raw_probabilities(mixture, weights):
    """Return probabilities of class sums that were mixed by weights of any sign.

    mixture : (n_samples, n_classes). With a negative weight the softmax of each row is
    taken; otherwise rows are divided by their sums unless the weights sum to 1.
    """
    if weights.min() < 0.0:
        powers = np.exp(np.clip(mixture, -_LARGEST_POWER, _LARGEST_POWER))
        return powers / powers.sum(axis=1, keepdims=True)
    if not math.isclose(weights.sum(), 1.0, rel_tol=1e-5):
        return mixture / mixture.sum(axis=1, keepdims=True)
    return mixture


def raw_classes(outputs, weights):
    """Return the class sums of a mixture of one member's columns.

    outputs : (n_samples, n_outputs); one column is the second of two classes, whose
    sums add up to the sum of the weights.
    """
    if outputs.shape[1] > 1:
        return outputs
    return np.hstack([weights.sum() - outputs, outputs])


def mixture_losses(combiner, P, y, weight, weighted):
    """Return the function that gives the loss of each row of weights.

    Returns
    -------
    losses : callable
        ``losses(W)`` with W (n_mixtures, n_members) -> (n_mixtures,) float64.
    """
    weight = weight / weight.max()
    if combiner.normalization != "raw":  # weights sum to 1: short cuts
        if combiner.loss == "squared_error":
            return _quadratic(residual_gram(P, y[:, None], weight))
        if combiner.loss == "brier":
            targets = layout.one_hot(y, len(combiner.classes_))
            gram = residual_gram(P, targets, weight, targets.shape[1])
            return _quadratic(gram)
        if combiner.loss == "log_loss":
            return _log_losses(P, y, weight, len(combiner.classes_))
    price = make_loss(combiner, y, weight, weighted)
    if not hasattr(combiner, "classes_"):
        return lambda W: np.array([price(row) for row in W @ P.T])
    return _class_losses(combiner, P, price)


def search(losses, cube, normalize, init, sigma, n_evaluations, rng):
    """Search for the weights of least loss, the single members first.

    Parameters
    ----------
    losses : callable of `mixture_losses`
    cube : ndarray of shape (n_members, n_samples, n_outputs)
    normalize : callable, x -> weights
    init : {"best", "uniform"}
    sigma : float
    n_evaluations : int or None
    rng : numpy.random.RandomState

    Returns
    -------
    weights : ndarray of shape (n_members,); loss : float; n_used : int
    """
    singles = np.eye(len(cube))
    own = losses(singles)
    # In this order the search does not depend on the order of the members.
    members = distinct_members(cube, own)
    best = singles[members[0]], own[members[0]]
    if n_evaluations is None:
        n_evaluations = EVALUATIONS_PER_MEMBER * len(members)
    left = n_evaluations - len(members)
    if len(members) == 1 or left <= 0:
        return *best, len(members)
    start = np.zeros(len(members))
    start[0] = 1.0
    if init == "uniform":
        start[:] = 1.0 / len(members)
    for tried in _ask_and_tell(start, sigma, left, rng):
        W = np.zeros((len(tried.points), len(cube)))
        W[:, members] = [normalize(x) for x in tried.points]
        tried.losses = losses(W)
        lowest = int(np.argmin(tried.losses))
        if tried.losses[lowest] < best[1] - _TIE * abs(best[1]):
            best = W[lowest], tried.losses[lowest]
    return *best, n_evaluations


class _Tried:
    """A generation: points asked for, and what is to be told of them."""

    def __init__(self, points):
        self.points = points
        self.losses = np.empty(0)


def _ask_and_tell(start, sigma, left, rng):
    """Yield generations until `left` points are used; the last may be smaller."""
    cma = import_cma()
    size = int(4 + 3 * math.log(len(start)))
    options = {
        "popsize": size,
        "verbose": -9,
        "CMA_diagonal": len(start) > _MOST_FULL,
        # Its own seed would be numpy's global one.
        "seed": math.nan,
        "randn": lambda *shape: rng.standard_normal(shape),
    }
    strategy = _quietly(cma.CMAEvolutionStrategy, start, sigma, options)
    while left > 0:
        tried = _Tried(strategy.ask(min(size, left)))
        yield tried
        if left >= size:
            # The last digits of a loss depend on the order of sums: they must not rank.
            _quietly(strategy.tell, tried.points, _rounded(tried.losses))
        left -= len(tried.points)


def _quietly(function, *arguments):
    """Call cma: it changes warning filters, and warns of steps that only it chooses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments)


def import_cma():
    """Import cma, or say how to get it."""
    try:
        import cma
    except ImportError as error:
        raise ImportError(
            "CMA-ES comes from the package cma, which is not installed. Install it "
            "with: pip install 'ensemblekit[cma]'"
        ) from error
    return cma


def _rounded(losses):
    return np.array([float(f"{loss:.12g}") for loss in losses])


def _quadratic(gram):
    return lambda W: np.maximum(((W @ gram) * W).sum(axis=1), 0.0)


def _log_losses(P, y, weight, n_classes):
    base, sign, offset = layout.true_class(P, y, n_classes)
    base = base.astype(np.float64, copy=False)
    share = weight / weight.sum()

    def losses(W):
        mixtures = offset + sign * (W @ base.T)
        return -np.log(np.maximum(mixtures, LOG_CLIP)) @ share

    return losses


def _class_losses(combiner, P, price):
    n_outputs = layout.n_outputs_for(len(combiner.classes_))
    cube = layout.to_cube(P, n_outputs)
    # One copy for K > 2, whose products then run over contiguous rows.
    flat = P.T if n_outputs == 1 else cube.reshape(len(cube), -1)

    def losses(W):
        mixtures = (W @ flat).reshape(len(W), -1, n_outputs)
        return np.array(
            [
                price(mixed_probabilities(combiner, mixture, weights))
                for mixture, weights in zip(mixtures, W, strict=True)
            ]
        )

    return losses


def mixed_probabilities(combiner, mixture, weights):
    """Return the probabilities of a mixture under the combiner's normalisation."""
    if combiner.normalization != "raw":
        return layout.class_probabilities(mixture)
    return raw_probabilities(raw_classes(mixture, weights), weights)
