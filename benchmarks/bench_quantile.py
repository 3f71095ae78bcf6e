"""Quantile weights: against a linear program, and against Adam on a softmax."""

from time import perf_counter

import harness
import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, csr_array, eye_array, hstack, vstack
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from ensemblekit import ConvexRegressor, QuantileAggregator

TOL = 1e-9
PATIENCE = 90.0  # seconds for a linear program, of its own clock


def quantile_members(n_samples, n_members, n_levels, seed=0):
    """Members that see a part of the truth, too narrow or too wide: P, y, levels."""
    rng = np.random.default_rng(seed)
    levels = np.arange(1, n_levels + 1) / (n_levels + 1)
    parts = rng.normal(size=(n_samples, 3))
    middle = parts[:, :2].sum(axis=1)[:, None] * rng.uniform(0.6, 1.1, n_members)
    middle += rng.uniform(0.2, 0.8, n_members) * rng.normal(size=middle.shape)
    width = rng.uniform(0.5, 1.6, n_members)
    cube = middle[:, :, None] + width[:, None] * norm.ppf(levels)
    return cube.reshape(n_samples, -1), parts.sum(axis=1), levels


def pinball(z, level):
    """Mean pinball loss of prediction - y."""
    return float(np.mean(np.maximum(-level * z, (1.0 - level) * z)))


def linear_program(P, y, level):
    """The least loss by HiGHS: over, under and weights as variables."""
    n, m = P.shape
    eye = eye_array(n)
    rows = hstack([coo_array(P), -eye, eye])
    ones = coo_array(np.concatenate([np.ones(m), np.zeros(2 * n)])[None])
    cost = np.concatenate([np.zeros(m), np.full(n, 1 - level), np.full(n, level)]) / n
    return linprog(
        cost,
        A_eq=csr_array(vstack([rows, ones])),
        b_eq=np.append(y, 1.0),
        method="highs",
        options={"time_limit": PATIENCE},
    )


def dual_program(P, y, level):
    """The same from the dual: slopes of the rows, and the floor, as variables."""
    n, m = P.shape
    table = np.hstack([(P - y[:, None]).T / -n, np.ones((m, 1))])
    bounds = [(-level, 1.0 - level)] * n + [(None, None)]
    cost = np.append(np.zeros(n), -1.0)
    options = {"time_limit": PATIENCE}
    return linprog(
        cost, table, np.zeros(m), bounds=bounds, method="highs", options=options
    )


def adam(residuals, levels, kind, n_steps=1500, rate=1e-2):
    """Softmax weights by Adam on all rows; the least loss seen.

    residuals : (n_levels, n_samples, n_members)
    """
    m, n, p = residuals.shape
    scores = np.zeros((1 if kind == "coarse" else m, p))
    first, second = np.zeros_like(scores), np.zeros_like(scores)
    tau, best = levels[:, None], np.inf
    for step in range(1, n_steps + 1):
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        spread = np.broadcast_to(weights, (m, p))
        z = np.matmul(residuals, spread[:, :, None])[:, :, 0]
        slope = (z > 0) - tau
        best = min(best, float(np.mean(slope * z)))
        pull = np.matmul(slope[:, None, :], residuals)[:, 0] / (n * m)
        if kind == "coarse":
            pull = pull.sum(axis=0, keepdims=True)
        g = weights * (pull - (weights * pull).sum(axis=1, keepdims=True))
        first = 0.9 * first + 0.1 * g
        second = 0.999 * second + 0.001 * g**2
        scores = scores - rate * (first / (1 - 0.9**step)) / (
            np.sqrt(second / (1 - 0.999**step)) + 1e-8
        )
    return best


def timed(function, *args):
    start = perf_counter()
    value = function(*args)
    return value, perf_counter() - start


def single_level(n_samples, n_members, level=0.3):
    P, y = harness.correlated_members(n_samples, n_members)
    print(f"\none level ({level}), n={n_samples}, m={n_members}")
    aggregator = QuantileAggregator(quantile_levels=[level], ridge=0.0, tol=TOL)
    seconds = harness.median_seconds(lambda: aggregator.fit(P, y), repeats=5)
    found = aggregator.objective_
    gap = aggregator.duality_gap_ / found
    harness.print_row("QuantileAggregator", seconds, f"relative gap {gap:.1e}")
    convex = ConvexRegressor(loss="pinball", level=level, ridge=0.0, tol=TOL)
    other = harness.median_seconds(lambda: convex.fit(P, y), repeats=3)
    harness.print_row("ConvexRegressor(loss='pinball')", other)
    for name, program in [("HiGHS", linear_program), ("HiGHS, dual", dual_program)]:
        result, theirs = timed(program, P, y, level)
        note = f"{theirs / seconds:.0f} x"
        if result.status == 0:
            note += f"; ours / theirs - 1 = {found / abs(result.fun) - 1:.1e}"
        else:
            note += " and not done"
        harness.print_row(name, theirs, note)


def many_levels(n_samples=6000, n_members=6, n_levels=99):
    P, y, levels = quantile_members(n_samples, n_members, n_levels)
    print(f"{n_levels} levels, n={n_samples}, m={n_members}")
    cube = P.reshape(n_samples, n_members, n_levels)
    residuals = np.ascontiguousarray(cube.transpose(2, 0, 1) - y[:, None])
    uniform = pinball(residuals.mean(axis=2), levels[:, None])
    print(f"  mean of the members: loss {uniform:.9f}")
    for kind in ("coarse", "medium", "fine"):
        aggregator = QuantileAggregator(
            quantile_levels=levels, weights=kind, ridge=0.0, tol=TOL
        )
        seconds = harness.median_seconds(lambda a=aggregator: a.fit(P, y), repeats=5)
        loss, gap = aggregator.loss_, aggregator.duality_gap_
        note = f"loss {loss:.9f}, relative gap {gap / loss:.1e}"
        harness.print_row(kind, seconds, note)
        if kind != "fine":
            for rate in (1e-2, 1e-1):
                value, theirs = timed(adam, residuals, levels, kind, 1500, rate)
                ratio = f"loss {value:.9f}; {theirs / seconds:.0f} x"
                harness.print_row(f"  Adam, 1500 steps, rate {rate}", theirs, ratio)
    for price in (1.0, 5.0):
        aggregator.set_params(crossing_penalty=price, weights="medium", tol=1e-5)
        _, seconds = timed(aggregator.fit, P, y)
        note = f"{aggregator.n_crossings_} crossings left"
        harness.print_row(f"medium, crossing_penalty={price}", seconds, note)
    gate = QuantileAggregator(quantile_levels=levels, gate="linear")
    _, seconds = timed(gate.fit, P, y)
    harness.print_row("coarse with a gate, 5 folds", seconds, f"loss {gate.loss_:.9f}")


if __name__ == "__main__":
    harness.print_header("Quantile weights")
    with threadpool_limits(limits=1):
        many_levels()
        single_level(10_000, 20)
        single_level(100_000, 20)
