"""How far weights can be trusted: leave-one-out, bootstrap, and related members."""

from dataclasses import replace

import numpy as np

from .problem import GramLoss, SquaredLoss

_ROWS = 4096
_MAX_BLOCKS = 200
_BLOCK_BYTES = 64e6


def leave_one_out(P, y, weight, weights, intercept, strength, sum_to_one):
    """Return each row's residual, prediction - y, under weights fitted without it.

    P : (n, m); y : (n,); weight : (n,) float64, or None for ones
    weights : (m,), of least squared error; intercept : float, or None where none is
    fitted; strength : of the ridge, in the sum of squares
    Returns residuals : (n,) float64; NaN where a row decides the weights alone. The
    support is held fixed: rank-one downdates of one k x k inverse, O(n k^2).
    """
    support = np.flatnonzero(weights)
    k, slope = len(support), weights[support]
    n_ones = int(intercept is not None)
    centre = np.zeros(k)
    if n_ones:
        total = len(y) if weight is None else weight.sum()
        blocks = _rows(P, y, weight, support, centre, 0, sum_to_one)
        centre = sum(s @ columns for _, columns, s in blocks) / total

    def rows():
        return _rows(P, y, weight, support, centre, n_ones, sum_to_one)

    gram = sum((columns * s[:, None]).T @ columns for _, columns, s in rows())
    gram[np.arange(k), np.arange(k)] += strength
    inverse = np.linalg.pinv(gram, rcond=1e-15, hermitian=True)
    level = np.append(np.ones(k), np.zeros(n_ones))
    fixed = inverse @ level
    mass = level @ fixed
    residuals = np.empty(len(y))
    for part, columns, s in rows():
        leverage = s * np.einsum("ij,ij->i", columns @ inverse, columns)
        left = np.where(leverage < 1.0 - 1e-10, 1.0 - leverage, np.nan)
        if sum_to_one:
            pull = columns @ fixed
            residuals[part] = pull / (mass * left + s * pull**2)
        else:
            fitted = columns[:, :k] @ slope + centre @ slope + (intercept or 0.0)
            residuals[part] = (fitted - y[part]) / left
    return residuals


def _rows(P, y, weight, support, centre, n_ones, sum_to_one):
    """Yield row slices, the columns whose weights are fitted, and the rows' weights."""
    for start in range(0, len(y), _ROWS):
        part = slice(start, start + _ROWS)
        columns = np.asarray(P[part], np.float64)[:, support] - centre
        if sum_to_one:
            columns -= y[part, None]
        columns = np.hstack([columns, np.ones((len(columns), n_ones))])
        yield part, columns, np.ones(len(columns)) if weight is None else weight[part]


def row_blocks(blocks, n_samples, n_members, rng):
    """Return the samples of each bootstrap block, as a list of index arrays.

    blocks : "random", "contiguous", or (n_samples,) labels whose rows stay together
    """
    limit = int(np.clip(_BLOCK_BYTES / (8 * n_members**2), 20, _MAX_BLOCKS))
    if isinstance(blocks, str):
        order = np.arange(n_samples)
        if blocks == "random":
            order = rng.permutation(n_samples)
        return np.array_split(order, min(limit, n_samples))
    labels = np.asarray(blocks)
    if labels.shape != (n_samples,):
        raise ValueError(
            f"blocks has shape {labels.shape}; expected 'random', 'contiguous' or the "
            f"block of each of the {n_samples} rows."
        )
    _, block = np.unique(labels, return_inverse=True)
    n_blocks = int(block.max()) + 1
    if n_blocks < 2:
        raise ValueError("blocks holds one block; a bootstrap needs at least two.")
    if n_blocks > limit:
        # Whole groups, dealt out evenly.
        block = (rng.permutation(n_blocks) % limit)[block]
    return [np.flatnonzero(block == b) for b in range(int(block.max()) + 1)]


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
    pairs = [problem.block_sums(block) for block in blocks]
    sums, totals = np.array([gram for gram, _ in pairs]), [total for _, total in pairs]
    flat, size = sums.reshape(len(sums), -1), sums.shape[1]
    for start in range(0, len(counts), 100):
        drawn = counts[start : start + 100].astype(np.float64)
        for gram, total in zip(drawn @ flat, drawn @ np.array(totals), strict=True):
            if total > 0.0:
                yield GramLoss.from_sums(
                    gram.reshape(size, size),
                    total,
                    problem.n_members,
                    problem.intercept,
                )


def _row_replicates(problem, blocks, counts):
    n_samples = len(problem.design.P)
    spread = problem.design.n_rows // n_samples
    weight = (
        np.ones(problem.design.n_rows) if problem.weight is None else problem.weight
    )
    for drawn in counts:
        times = np.empty(n_samples)
        for block, count in zip(blocks, drawn, strict=True):
            times[block] = count
        new = weight * np.repeat(times, spread)
        if new.any():
            yield replace(problem, weight=new)


def correlations(design, weight, rest):
    """Return the correlation of each member's column of D with D times its rest.

    rest : (m, q), row j the mixture that stands in for member j
    """
    weight = np.ones(design.n_rows) if weight is None else weight
    m = design.n_members
    centred = replace(design, centre=None, extra=None)
    means = (
        centred.means(weight)
        if design.sign is None
        else centred.pull(weight) / weight.sum()
    )
    gram = centred.gram(weight) / weight.sum() - np.outer(means, means)
    rest = rest[:, :m]
    covariance = np.einsum("jk,jk->j", gram, rest)
    spread = np.sqrt(
        np.maximum(gram.diagonal() * np.einsum("jk,kl,jl->j", rest, gram, rest), 0.0)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 0.0, np.clip(covariance / spread, -1.0, 1.0), np.nan)
