"""Convex weights against cvxpy, SLSQP, HiGHS, greedy search and bare products."""

import sys
import time
import tracemalloc
from functools import partial
from importlib.metadata import version
from pathlib import Path

import cvxpy as cp
import harness
import numpy as np
from scipy.optimize import linprog, minimize, nnls
from scipy.sparse import csc_matrix, eye, hstack
from threadpoolctl import threadpool_limits

from ensemblekit import (
    AverageRegressor,
    ConvexClassifier,
    ConvexRegressor,
    EnsembleSelectionRegressor,
    PredictionLibrary,
    cross_fitted_predictions,
)
from ensemblekit.kernels import simplex_qp
from ensemblekit.kernels.design import Design

DATA = Path(__file__).parents[2] / "shared" / "data" / "libraries"
SUM_IS_ONE = {"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": np.ones_like}


def row(label, seconds, ours, note=""):
    harness.print_row(label, seconds, f"{seconds / ours:8.1f} x  {note}")


def once(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


# Peers.
def clarabel(P, y, objective):
    w = cp.Variable(P.shape[1], nonneg=True)
    problem = cp.Problem(cp.Minimize(objective(P @ w, y)), [cp.sum(w) == 1])
    problem.solve(solver=cp.CLARABEL)
    return w.value


def squares(mixture, y):
    return cp.sum_squares(mixture - y) / len(y)


def negative_logs(mixture, y):
    return -cp.sum(cp.log(mixture)) / len(y)


def slsqp(loss, gradient, n_members):
    uniform = np.full(n_members, 1 / n_members)
    bounds, options = [(0, 1)] * n_members, {"maxiter": 1000, "ftol": 1e-12}
    return minimize(
        loss,
        uniform,
        jac=gradient,
        bounds=bounds,
        constraints=SUM_IS_ONE,
        method="SLSQP",
        options=options,
    ).x


def slsqp_squares(P, y):
    def gradient(w):
        return 2.0 * P.T @ (P @ w - y) / len(y)

    return slsqp(lambda w: np.mean((P @ w - y) ** 2), gradient, P.shape[1])


def slsqp_numeric_norm(P, y):
    """pystacked's "nnls1": the norm, a numeric gradient, a start from NNLS."""
    start = nnls(P, y)[0]
    return minimize(
        lambda w: np.linalg.norm(y - P @ w),
        start / start.sum(),
        bounds=[(0, 1)] * P.shape[1],
        constraints=SUM_IS_ONE,
        method="SLSQP",
    ).x


def slsqp_logs(A):
    def gradient(w):
        return -A.T @ (1.0 / (A @ w)) / len(A)

    return slsqp(lambda w: -np.mean(np.log(A @ w)), gradient, A.shape[1])


def greedy_in_numpy(P, y, n_rounds=100):
    """Caruana's selection as it is mostly written: all candidates in every round."""
    total, picks = np.zeros(len(y)), np.zeros(P.shape[1])
    for t in range(1, n_rounds + 1):
        losses = [np.mean(((total + P[:, j]) / t - y) ** 2) for j in range(P.shape[1])]
        best = int(np.argmin(losses))
        total += P[:, best]
        picks[best] += 1
    return picks / n_rounds


def highs_pinball(P, y, level, method):
    n, m = P.shape
    cost = np.concatenate(
        [np.zeros(m), np.full(n, level / n), np.full(n, (1 - level) / n)]
    )
    rows = hstack([csc_matrix(P), eye(n), -eye(n)]).tocsc()
    one = csc_matrix(np.concatenate([np.ones(m), np.zeros(2 * n)]))
    equal = hstack([rows.T, one.T]).T.tocsc()
    result = linprog(cost, A_eq=equal, b_eq=np.append(y, 1.0), method=method)
    return result.x[:m]


def mean_square(P, y, w):
    return np.mean((P @ w - y) ** 2)


def pinball(P, y, w, level):
    r = y - P @ w
    return np.mean(np.maximum(level * r, (level - 1) * r))


# Sections.
def bench_kernel():
    print("Kernel alone: quadratic program on the simplex, Gram matrix given")
    for m in (10, 50, 200, 1000):
        P, y = harness.correlated_members(20_000, m)
        gram = Design(P, y).gram() / len(y)
        solve = partial(simplex_qp.solve, gram, np.zeros(m))
        ours = harness.median_seconds(solve, 21)
        weights, gap, n_iter = solve()
        relative = 2.0 * gap / (weights @ gram @ weights)
        print(
            f"  m={m:<5}{1e6 * ours:10.0f} us   relative gap {relative:.0e}, "
            f"{n_iter} iterations, {np.count_nonzero(weights)} with weight"
        )


def bench_peers(n_members, n_samples=10_000):
    P, y = harness.correlated_members(n_samples, n_members)
    print(f"\nSquared error, data form, n={n_samples}, m={n_members}")
    combiner = ConvexRegressor(ridge=0)
    ours = harness.median_seconds(lambda: combiner.fit(P, y), 25)
    best = combiner.loss_
    gap = combiner.duality_gap_ / best
    harness.print_row("ConvexRegressor(ridge=0).fit", ours, f"relative gap {gap:.0e}")
    bare = harness.median_seconds(lambda: P.T @ P, 25)
    design = Design(P, y)
    gram = harness.median_seconds(design.gram, 25)
    proof = harness.median_seconds(lambda: design.squares(combiner.weights_, None), 25)
    spent = 1e3 * (ours - gram - proof)
    harness.print_row("bare P.T @ P", bare, f"ours is {ours / bare:.2f} x this")
    harness.print_row("residual Gram + proof from the rows", gram + proof)
    print(f"  validation, kernel and the rest {spent:24.2f} ms")
    peers = [
        ("cvxpy + CLARABEL", lambda: clarabel(P, y, squares), 3),
        ("scipy nnls, renormalised", lambda: renormalise(nnls(P, y)[0]), 5),
        ("greedy, 100 rounds, numpy", lambda: greedy_in_numpy(P, y), 1),
    ]
    if n_members <= 20:
        peers += [
            ("SLSQP with gradient", lambda: slsqp_squares(P, y), 3),
            (
                "SLSQP of the norm, numeric (pystacked)",
                lambda: slsqp_numeric_norm(P, y),
                1,
            ),
        ]
    for label, peer, repeats in peers:
        seconds = harness.median_seconds(peer, repeats)
        excess = mean_square(P, y, peer()) / best - 1.0
        row(label, seconds, ours, f"objective {excess:+.0e}")


def renormalise(w):
    return w / w.sum()


def bench_whole_fit(n_samples, n_members, repeats=7):
    P, y = harness.correlated_members(n_samples, n_members)
    weight = np.random.default_rng(1).uniform(0.5, 1.5, n_samples)
    bare = harness.median_seconds(lambda: P.T @ P, repeats)
    fit = harness.median_seconds(lambda: ConvexRegressor().fit(P, y), repeats)
    weighted = harness.median_seconds(
        lambda: ConvexRegressor().fit(P, y, sample_weight=weight), repeats
    )
    tracemalloc.start()
    ConvexRegressor().fit(P, y)
    extra = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    print(
        f"  n={n_samples:<8} m={n_members:<4} bare P.T @ P {1e3 * bare:8.1f} ms   fit "
        f"{fit / bare:.2f} x   weighted {weighted / bare:.2f} x   extra memory "
        f"{extra:.1f} MB"
    )


def bench_log_loss(n_members, n_samples=10_000):
    P, y = harness.correlated_probabilities(n_samples, n_members)
    A = np.where(y[:, None] == 1, P, 1 - P)
    print(f"\nLog loss, n={n_samples}, m={n_members}")
    combiner = ConvexClassifier(ridge=0)
    ours = harness.median_seconds(lambda: combiner.fit(P, y), 15)
    note = f"gap {combiner.duality_gap_:.0e} in {combiner.n_iter_} steps"
    harness.print_row("ConvexClassifier(ridge=0).fit", ours, note)
    bare = harness.median_seconds(lambda: A.T @ A, 15)
    harness.print_row("bare P.T @ P", bare, f"ours is {ours / bare:.1f} x this")
    for label, peer, repeats in [
        ("SLSQP with gradient", lambda: slsqp_logs(A), 3),
        ("cvxpy + CLARABEL", lambda: clarabel(A, y, negative_logs), 1),
    ]:
        seconds = harness.median_seconds(peer, repeats)
        w = np.maximum(peer(), 0.0)
        excess = -np.mean(np.log(A @ (w / w.sum()))) - combiner.loss_
        row(label, seconds, ours, f"objective {excess:+.0e}")


def bench_robust(n_samples, n_members, slow_peers, level=0.8):
    P, y = harness.correlated_members(n_samples, n_members)
    print(f"\nPinball at {level} and Huber, n={n_samples}, m={n_members}")
    bare = harness.median_seconds(lambda: P.T @ P, 7)
    for tol in (1e-6, 1e-9):
        combiner = ConvexRegressor(loss="pinball", level=level, ridge=0, tol=tol)
        seconds = harness.median_seconds(lambda c=combiner: c.fit(P, y), 3)
        gap = combiner.duality_gap_ / combiner.objective_
        note = f"certified {gap:.0e}, {seconds / bare:.0f} bare products"
        harness.print_row(
            f"ConvexRegressor(loss='pinball', tol={tol:g})", seconds, note
        )
        if tol == 1e-6:
            ours, best = seconds, combiner.loss_
    peers = [("HiGHS interior point", lambda: highs_pinball(P, y, level, "highs-ipm"))]
    if slow_peers:
        tau = level
        peers += [
            ("HiGHS", lambda: highs_pinball(P, y, level, "highs")),
            (
                "cvxpy + CLARABEL",
                lambda: clarabel(
                    P,
                    y,
                    lambda mixture, y: (
                        cp.sum(
                            cp.maximum(tau * (y - mixture), (tau - 1) * (y - mixture))
                        )
                        / len(y)
                    ),
                ),
            ),
        ]
    for label, peer in peers:
        seconds, w = once(peer)
        excess = pinball(P, y, w, level) / best - 1.0
        row(label, seconds, ours, f"objective {excess:+.0e}, one run")
    huber = ConvexRegressor(loss="huber", delta=0.5, ridge=0)
    seconds = harness.median_seconds(lambda: huber.fit(P, y), 5)
    gap = huber.duality_gap_ / huber.objective_
    note = f"relative gap {gap:.0e} in {huber.n_iter_} steps"
    harness.print_row("ConvexRegressor(loss='huber')", seconds, note)


def bench_inference(n_samples=100_000, n_members=50):
    P, y = harness.correlated_members(n_samples, n_members)
    print(f"\nAround one fit, n={n_samples}, m={n_members}, in bare P.T @ P")
    bare = harness.median_seconds(lambda: P.T @ P, 7)
    fitted = ConvexRegressor().fit(P, y)
    for label, fit in [
        ("fit", lambda: ConvexRegressor().fit(P, y)),
        (
            "ridge='cv': 5 folds x 26 ridges",
            lambda: ConvexRegressor(ridge="cv").fit(P, y),
        ),
        ("n_bootstrap=1000", lambda: ConvexRegressor(n_bootstrap=1000).fit(P, y)),
        ("max_weight=0.1", lambda: ConvexRegressor(max_weight=0.1).fit(P, y)),
        ("max_members=5", lambda: ConvexRegressor(max_members=5).fit(P, y)),
        ("leave_one_out", lambda: fitted.leave_one_out(P, y)),
        ("explain", lambda: fitted.explain(P, y)),
    ]:
        seconds = harness.median_seconds(fit, 3)
        harness.print_row(label, seconds, f"{seconds / bare:6.1f} x")


def bench_ridge(n_seeds=20):
    print("\nHeld-out squared error over that of the oracle weights, in 1/1000,")
    print(f"means of {n_seeds} seeds")
    choices = {
        "uniform": AverageRegressor(),
        "greedy": EnsembleSelectionRegressor(),
        "ridge=0": ConvexRegressor(ridge=0),
        "auto": ConvexRegressor(),
        "cv": ConvexRegressor(ridge="cv"),
    }
    print("  n, m        " + "".join(f"{name:>14}" for name in choices))
    for n, m in [(50, 10), (50, 50), (200, 10), (200, 50), (200, 200), (1000, 50)]:
        excess = []
        for seed in range(n_seeds):
            P, y = harness.correlated_members(n + 20_000, m, seed)
            oracle = ConvexRegressor(ridge=0).fit(P[n:], y[n:]).loss_
            excess.append(
                [
                    np.mean((c.fit(P[:n], y[:n]).predict(P[n:]) - y[n:]) ** 2) - oracle
                    for c in choices.values()
                ]
            )
        means = 1e3 * np.mean(excess, axis=0)
        errors = 1e3 * np.std(excess, axis=0) / np.sqrt(n_seeds)
        cells = [f"{a:8.2f} +-{b:4.2f}" for a, b in zip(means, errors, strict=True)]
        print(f"  {n:>4}, {m:<6}" + " ".join(cells))


def bench_real_libraries():
    if not DATA.exists():
        print("\nReal libraries: the data folder is not beside the checkout; left out")
        return
    import pandas as pd

    print(
        "\nReal out-of-fold libraries: cross-fitted squared error, gain over the best"
    )
    print("member (chosen on the training folds) and its standard error over rows")
    choices = {
        "uniform": AverageRegressor(),
        "greedy": EnsembleSelectionRegressor(),
        "ridge=0": ConvexRegressor(ridge=0),
        "auto": ConvexRegressor(),
        "cv": ConvexRegressor(ridge="cv"),
        "nnls": ConvexRegressor(ridge=0, sum_to_one=False),
        "intercept": ConvexRegressor(fit_intercept=True),
        "best": ConvexRegressor(ridge=0, max_members=1),
    }
    for path in sorted(DATA.glob("oof_*.parquet")):
        table = pd.read_parquet(path)
        if "repeat" in table:
            table = table[table["repeat"] == table["repeat"].iloc[0]]
        table = table.dropna()
        members = table.drop(columns=["target", "fold", "repeat"], errors="ignore")
        library = PredictionLibrary.from_arrays(
            {name: members[name].to_numpy() for name in members},
            table["target"].to_numpy(),
            folds=table["fold"].to_numpy(),
        )
        errors = {
            name: (cross_fitted_predictions(combiner, library) - library.y) ** 2
            for name, combiner in choices.items()
        }
        print(f"  {path.stem}: {library.n_members} members, {library.n_samples} rows")
        for name, error in errors.items():
            gain = errors["best"] - error
            se = gain.std() / np.sqrt(len(gain))
            note = f"gain {gain.mean():+.3g} +- {se:.1g}"
            print(f"    {name:<12}{error.mean():12.6g}   {note}")


SECTIONS = {
    "kernel": bench_kernel,
    "peers": lambda: [bench_peers(m) for m in (10, 50)] + [bench_peers(20, 20_000)],
    "whole": lambda: [
        print("\nWhole ConvexRegressor().fit against one bare P.T @ P"),
        *[bench_whole_fit(*shape) for shape in ((100_000, 50), (100_000, 200))],
        *[bench_whole_fit(*shape, 3) for shape in ((1_000_000, 50), (1_000_000, 100))],
    ],
    "log_loss": lambda: [bench_log_loss(m) for m in (20, 50)],
    "robust": lambda: [
        bench_robust(10_000, 20, True),
        bench_robust(100_000, 20, False),
    ],
    "inference": bench_inference,
    "ridge": bench_ridge,
    "real": bench_real_libraries,
}

if __name__ == "__main__":
    harness.print_header("Convex weights")
    print(f"clarabel {version('clarabel')}, highspy {version('highspy')}")
    with threadpool_limits(1):
        for name in sys.argv[1:] or SECTIONS:
            SECTIONS[name]()
