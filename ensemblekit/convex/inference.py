"""How far weights can be trusted: leave-one-out, bootstrap, and related members."""

from dataclasses import replace

import numpy as np

from .problem import GramLoss, SquaredLoss

_ROWS = 4096
_MAX_BLOCKS = 200
_BLOCK_BYTES = 64e6


def leave_one_out(P, residuals, weight, weights, strength, sum_to_one, intercept):
    """Return each row's residual, prediction - y, under weights fitted without it.

    P : (n, m); weight : (n,) float64, or None for ones
    residuals : (n,), of the weights (m,), which have the least squared error
    strength : of the ridge, in the sum of squares; intercept : bool, if one is fitted
    Returns (n,) float64; NaN where a row decides the weights alone. The support is held
    fixed: residuals are linear in the weights that are then free (all but one where
    they sum to 1), and without row i become r_i / (1 - h_i), h_i its leverage.
    O(n k^2)
    """
    support = np.flatnonzero(weights)
    # Sum 1 gives the largest weight from the others: columns are differences from it.
    last = support[np.argmax(np.abs(weights[support]))] if sum_to_one else None
    free = support[support != last]
    penalty = strength * (np.eye(len(free)) + float(sum_to_one))
    centre = None
    if intercept:
        total = len(residuals) if weight is None else weight.sum()
        plain = _free_columns(P, weight, free, last)
        centre = sum(s @ columns for _, columns, s in plain) / total
        penalty = np.pad(penalty, (0, 1))

    def blocks():
        return _free_columns(P, weight, free, last, centre)

    gram = penalty + sum((columns.T * s) @ columns for _, columns, s in blocks())
    # To a unit diagonal, so that no column is lost for the scale of another.
    scale = np.sqrt(np.maximum(gram.diagonal(), np.finfo(float).tiny))
    inverse = np.linalg.pinv(gram / np.outer(scale, scale), 1e-15, hermitian=True)
    left_out = np.empty(len(residuals))
    for part, columns, s in blocks():
        columns /= scale
        leverage = s * np.einsum("ij,ij->i", columns @ inverse, columns)
        room = np.where(leverage < 1.0 - 1e-10, 1.0 - leverage, np.nan)
        left_out[part] = residuals[part] / room
    return left_out


def _free_columns(P, weight, free, last, centre=None):
    """Yield row slices, the columns of free weights, and the rows' weights.

    last : member that columns are differences from, or None
    centre : means to subtract before a column of ones, or None for no such column
    """
    for start in range(0, len(P), _ROWS):
        part = slice(start, start + _ROWS)
        block = np.asarray(P[part])
        columns = block[:, free].astype(np.float64)
        if last is not None:
            columns -= block[:, [last]]
        if centre is not None:
            columns = np.hstack([columns - centre, np.ones((len(columns), 1))])
        yield part, columns, np.ones(len(columns)) if weight is None else weight[part]


def row_blocks(blocks, n_samples, n_members, rng, weight=None):
    """Return the samples of each bootstrap block, as a list of index arrays.

    blocks : "random", "contiguous", or (n_samples,) labels whose rows stay together
    weight : (n_samples,) float64, or None; samples of weight 0 are in no block
    """
    counted = np.arange(n_samples) if weight is None else np.flatnonzero(weight)
    limit = int(np.clip(_BLOCK_BYTES / (8 * n_members**2), 20, _MAX_BLOCKS))
    if isinstance(blocks, str):
        order = rng.permutation(counted) if blocks == "random" else counted
        return np.array_split(order, min(limit, len(counted)))
    labels = np.asarray(blocks)
    if labels.shape != (n_samples,):
        raise ValueError(
            f"blocks has shape {labels.shape}; expected 'random', 'contiguous' or the "
            f"block of each of the {n_samples} rows."
        )
    _, block = np.unique(labels[counted], return_inverse=True)
    n_blocks = int(block.max()) + 1
    if n_blocks < 2:
        raise ValueError("blocks holds one block; a bootstrap needs at least two.")
    if n_blocks > limit:
        # Whole groups, dealt out evenly.
        block = (rng.permutation(n_blocks) % limit)[block]
    return [counted[block == b] for b in range(int(block.max()) + 1)]


def bootstrap(problem, solve, blocks, n_bootstrap, rng):
    """Return the weights of bootstrap replicates, (n_bootstrap, q).

    problem : over all rows; solve : problem -> x; blocks : list of sample indices
    Blocks are drawn with replacement. Squared loss adds up the blocks' Gram matrices
    and reads no row again; other losses are solved anew on reweighted rows.
    """
    counts = rng.multinomial(
        len(blocks), np.full(len(blocks), 1 / len(blocks)), n_bootstrap
    )
    if isinstance(problem, SquaredLoss):
        replicates = _gram_replicates(problem, blocks, counts)
    else:
        replicates = _row_replicates(problem, blocks, counts)
    return np.array([solve(replicate) for replicate in replicates])


def _gram_replicates(problem, blocks, counts):
    size = problem.design.n_columns + problem.intercept
    flat, totals = np.empty((len(blocks), size**2)), np.empty(len(blocks))
    for b, block in enumerate(blocks):
        gram, totals[b] = problem.block_sums(block)
        flat[b] = gram.ravel()
    for start in range(0, len(counts), 100):
        drawn = counts[start : start + 100].astype(np.float64)
        for gram, total in zip(drawn @ flat, drawn @ totals, strict=True):
            yield GramLoss.from_sums(
                gram.reshape(size, size), total, problem.n_members, problem.intercept
            )


def _row_replicates(problem, blocks, counts):
    n_samples = len(problem.design.P)
    spread = problem.design.n_rows // n_samples
    weight = (
        np.ones(problem.design.n_rows) if problem.weight is None else problem.weight
    )
    for drawn in counts:
        times = np.zeros(n_samples)
        for block, count in zip(blocks, drawn, strict=True):
            times[block] = count
        yield replace(problem, weight=weight * np.repeat(times, spread))


def correlations(design, weight, rest):
    """Return the correlation of each member's column of D with D times its rest.

    rest : (m, q), row j the mixture that stands in for member j
    """
    weight = np.ones(design.n_rows) if weight is None else weight
    m = design.n_members
    if design.sign is None:
        # Members that are all biased would lose their digits to the bias.
        means = replace(design, centre=None, extra=None).means(weight)
        design = replace(design, centre=means)
    means = design.pull(weight) / weight.sum()
    gram = design.gram(weight) / weight.sum() - np.outer(means, means)
    covariance = np.einsum("jk,jk->j", gram[:m], rest)
    spread = np.einsum("jk,kl,jl->j", rest, gram, rest)
    spread = np.sqrt(np.maximum(gram.diagonal()[:m] * spread, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 0.0, np.clip(covariance / spread, -1.0, 1.0), np.nan)
