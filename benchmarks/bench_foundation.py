"""Import cost, first fits, combiners and cross-fit against what people use today."""

import statistics
import subprocess
import sys
import warnings

import cvxpy as cp
import harness
import numpy as np
from scipy.optimize import minimize, nnls
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from ensemblekit import (
    ConvexClassifier,
    ConvexRegressor,
    EnsembleSelectionClassifier,
    StackedClassifier,
)

SIMPLEX = {"type": "eq", "fun": lambda w: w.sum() - 1.0}


def bench_imports(repeats=9):
    print(f"Import, CPU of a fresh process, medians of {repeats}, interleaved")
    codes = {
        "import sklearn.ensemble": "import sklearn.ensemble",
        "import ensemblekit": "import ensemblekit",
        "and its StackedClassifier": "import ensemblekit as e; e.StackedClassifier",
    }
    times = {label: [] for label in codes}
    for _ in range(repeats):
        for label, code in codes.items():
            times[label].append(harness.cpu_of_process(code))
    base = statistics.median(times["import sklearn.ensemble"])
    for label, values in times.items():
        seconds = statistics.median(values)
        harness.print_row(label, seconds, f"{seconds / base:.2f} x sklearn.ensemble")


FIRST_FIT = """
import numpy as np, time, ensemblekit
combiner = ensemblekit.{name}()
rng = np.random.default_rng(0)
y = np.arange(500) % 2
P = np.clip(0.35 + 0.3 * y[:, None] + 0.2 * rng.normal(size=(500, 10)), 0.01, 0.99)
start = time.perf_counter()
combiner.fit(P, y)
print(time.perf_counter() - start)
"""


def bench_first_fit(repeats=5):
    print(f"\nFirst fit in a fresh process, n=500, m=10, medians of {repeats} (wall)")
    for name in ("ConvexRegressor", "ConvexClassifier", "EnsembleSelectionClassifier"):
        command = [sys.executable, "-c", FIRST_FIT.format(name=name)]
        times = [
            float(subprocess.run(command, capture_output=True, check=True).stdout)
            for _ in range(repeats)
        ]
        harness.print_row(name, statistics.median(times), "numba import included")


def slsqp(objective, gradient, n_members):
    return minimize(
        objective,
        np.full(n_members, 1 / n_members),
        jac=gradient,
        bounds=[(0, 1)] * n_members,
        constraints=SIMPLEX,
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    ).x


def nnls_renormalised(P, y):
    w = nnls(P, y)[0]
    return w / w.sum()


def cvxpy_clarabel(P, y):
    w = cp.Variable(P.shape[1], nonneg=True)
    objective = cp.Minimize(cp.sum_squares(P @ w - y) / len(y))
    cp.Problem(objective, [cp.sum(w) == 1]).solve(solver=cp.CLARABEL)
    return w.value


def slsqp_squared_error(P, y):
    def gradient(w):
        return 2.0 * P.T @ (P @ w - y) / len(y)

    return slsqp(lambda w: np.mean((P @ w - y) ** 2), gradient, P.shape[1])


def bench_convex_regressor(n_members, n_samples=10_000):
    P, y = harness.correlated_members(n_samples, n_members)
    print(f"\nConvex weights, squared error, n={n_samples}, m={n_members}")
    ours = harness.median_seconds(lambda: ConvexRegressor().fit(P, y), 15)
    fitted = ConvexRegressor().fit(P, y)
    gap = fitted.duality_gap_ / fitted.objective_
    harness.print_row("ConvexRegressor.fit", ours, f"relative gap {gap:.0e}")
    gram = harness.median_seconds(lambda: P.T @ P, 15)
    harness.print_row("bare P.T @ P", gram, f"ours is {ours / gram:.2f} x this")
    peers = {
        "cvxpy + CLARABEL": (cvxpy_clarabel, 3),
        "SLSQP with gradient": (slsqp_squared_error, 3),
        "scipy nnls, renormalised": (nnls_renormalised, 5),
    }
    for label, (solve, repeats) in peers.items():
        seconds = harness.median_seconds(lambda s=solve: s(P, y), repeats)
        excess = np.mean((P @ solve(P, y) - y) ** 2) / fitted.objective_ - 1
        note = f"{seconds / ours:.1f} x ours, relative loss {excess:+.1e}"
        harness.print_row(label, seconds, note)


def bench_convex_classifier(n_samples=10_000, n_members=20):
    P, y = harness.correlated_probabilities(n_samples, n_members)
    print(f"\nConvex weights, log loss, n={n_samples}, m={n_members}, two classes")
    ours = harness.median_seconds(lambda: ConvexClassifier().fit(P, y), 9)
    fitted = ConvexClassifier().fit(P, y)
    note = f"gap {fitted.duality_gap_:.0e}, {fitted.n_iter_} steps"
    harness.print_row("ConvexClassifier.fit", ours, note)
    A = np.where(y[:, None] == 1, P, 1 - P)

    def solve():
        return slsqp(
            lambda w: -np.log(A @ w).mean(),
            lambda w: -A.T @ (1 / (A @ w)) / n_samples,
            n_members,
        )

    seconds = harness.median_seconds(solve, 3)
    excess = -np.log(A @ solve()).mean() - fitted.objective_
    note = f"{seconds / ours:.0f} x ours, loss {excess:+.1e}"
    harness.print_row("SLSQP with gradient", seconds, note)


def plain_greedy(P, y, n_rounds):
    """The usual loop: the library's metric on each candidate mean."""
    total, picks = np.zeros(len(y)), []
    for size in range(1, n_rounds + 1):
        losses = [log_loss(y, (total + column) / size) for column in P.T]
        picks.append(int(np.argmin(losses)))
        total += P[:, picks[-1]]
    return picks


def numpy_greedy(P, y, n_rounds):
    """The same on the column of the true class with numpy's logarithm."""
    A = np.where(y[:, None] == 1, P, 1 - P).T.copy()
    total, picks = np.zeros(len(y)), []
    for _ in range(n_rounds):
        losses = -np.log(np.maximum(total + A, 1e-15)).mean(axis=1)
        picks.append(int(np.argmin(losses)))
        total += A[picks[-1]]
    return picks


def bench_selection(n_samples=5_000, n_members=50, n_rounds=50):
    P, y = harness.correlated_probabilities(n_samples, n_members)
    print(f"\nGreedy selection, log loss, n={n_samples}, m={n_members}, 50 rounds")
    ours = harness.median_seconds(lambda: EnsembleSelectionClassifier().fit(P, y), 9)
    picks = EnsembleSelectionClassifier().fit(P, y).picks_
    harness.print_row("EnsembleSelectionClassifier.fit", ours)
    for label, greedy, rounds in [
        ("loop over sklearn.metrics.log_loss", plain_greedy, 5),
        ("numpy on the true-class column", numpy_greedy, n_rounds),
    ]:
        scale = n_rounds / rounds
        seconds = scale * harness.median_seconds(
            lambda g=greedy, r=rounds: g(P, y, r), 3
        )
        same = (np.array(greedy(P, y, rounds))[: len(picks)] == picks[:rounds]).all()
        note = f"{seconds / ours:.0f} x ours, same picks: {same}"
        note += f" ({rounds} rounds run, scaled)" if scale > 1 else ""
        harness.print_row(label, seconds, note)


def member_seconds(members, X, y, cv):
    """Time of the bare fits and predictions of a refitted cross-fit."""

    def run():
        for _, member in members:
            clone(member).fit(X, y)
            for train, test in cv.split(X, y):
                clone(member).fit(X[train], y[train]).predict_proba(X[test])

    return harness.median_seconds(run, 3)


def heavy_members():
    return [
        ("logistic", LogisticRegression(max_iter=1000)),
        ("forest", RandomForestClassifier(20, random_state=0)),
        ("extra", ExtraTreesClassifier(20, random_state=0)),
        ("boosting", HistGradientBoostingClassifier(max_iter=20, random_state=0)),
    ]


def cheap_members():
    trees = [DecisionTreeClassifier(max_depth=3, random_state=s) for s in range(25)]
    members = [(f"tree{i}", tree) for i, tree in enumerate(trees)]
    return members + [(f"bayes{i}", GaussianNB()) for i in range(25)]


def bench_stack(label, members, n_samples):
    X, y = make_classification(n_samples, 30, n_informative=10, random_state=0)
    print(f"\nStacking, {label}, n={n_samples}, d=30, 5 folds, n_jobs=None")
    cv, final = StratifiedKFold(5), LogisticRegression()
    bare = member_seconds(members, X, y, cv)
    harness.print_row("fits and predictions alone (k + 1 fits)", bare)
    peers = {
        "sklearn StackingClassifier": StackingClassifier(members, final, cv=cv),
        "StackedClassifier, refit='all'": StackedClassifier(
            members, final, cv=cv, refit="all"
        ),
        "StackedClassifier, refit='none'": StackedClassifier(
            members, final, cv=cv, refit="none"
        ),
        "StackedClassifier, convex, 'selected'": StackedClassifier(members, cv=cv),
    }
    for name, estimator in peers.items():
        seconds = harness.median_seconds(lambda e=estimator: e.fit(X, y), 5)
        harness.print_row(name, seconds, f"{seconds / bare:.2f} x alone")


def main():
    warnings.simplefilter("ignore")
    harness.print_header("ensemblekit: foundation")
    bench_imports()
    bench_first_fit()
    with threadpool_limits(limits=1):
        bench_convex_regressor(n_members=10)
        bench_convex_regressor(n_members=50)
        bench_convex_classifier()
        bench_selection()
        bench_stack("4 heavy members", heavy_members(), n_samples=2500)
        bench_stack("50 cheap members", cheap_members(), n_samples=1000)


if __name__ == "__main__":
    main()
