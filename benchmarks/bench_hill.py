"""Hill climbing and CMA-ES weights against the published rules with scikit-learn."""

import statistics
from time import perf_counter

import harness
import numpy as np
from sklearn.metrics import brier_score_loss, log_loss, mean_squared_error
from sklearn.metrics import roc_auc_score as auc
from threadpoolctl import threadpool_limits

from ensemblekit import (
    CMAEnsembleClassifier,
    EnsembleSelectionClassifier,
    HillClimbingClassifier,
    HillClimbingRegressor,
)

GRID = np.arange(0.01, 0.51, 0.01)
METRICS = {
    "log_loss": log_loss,
    "brier": brier_score_loss,
    "zero_one": lambda y, p: np.mean((p > 0.5) != y),
    "auc": lambda y, p: 1.0 - auc(y, p),
}
NUMPY = {
    "log_loss": lambda y, p: -np.mean(np.log(np.where(y == 1, p, 1.0 - p))),
    "brier": lambda y, p: np.mean((p - y) ** 2),
}


def seconds_of_an_evaluation(metric, P, y):
    """Median time of one step of the published loop: mix two columns, call a metric."""
    times = []
    for k, w in enumerate(GRID[:25]):
        start = perf_counter()
        metric(y, (1 - w) * P[:, 0] + w * P[:, k % P.shape[1]])
        times.append(perf_counter() - start)
    return statistics.median(times)


def n_evaluations(fitted):
    """Evaluations of the published loop on the path that was found."""
    n_members = len(fitted.weights_)
    n_rounds = min(len(fitted.picks_), n_members - 1)
    return n_members + len(GRID) * sum(n_members - 1 - t for t in range(n_rounds))


def bench(label, combiner, metrics, P, y, weight=None):
    seconds = harness.median_seconds(
        lambda: combiner.fit(P, y, sample_weight=weight), repeats=3
    )
    count = n_evaluations(combiner)
    notes = [f"{count} steps of {1e6 * seconds / count:.2f} us"]
    for name, metric in metrics.items():
        theirs = seconds_of_an_evaluation(metric, np.asfortranarray(P), y)
        notes.append(f"{name}: {1e3 * theirs:.3g} ms each, {theirs * count:.3g} s")
        notes.append(f"{theirs * count / seconds:.0f} x")
    harness.print_row(label, seconds, "; ".join(notes))


def bench_climb(n_samples, n_members=50):
    print(f"\nHill climbing, {n_samples} rows, {n_members} members, step 0.01")
    P, y = harness.correlated_probabilities(n_samples, n_members)
    for loss, metric in METRICS.items():
        peers = {"numpy" if loss == "zero_one" else "scikit-learn": metric}
        if loss in NUMPY:
            peers["numpy"] = NUMPY[loss]
        bench(loss, HillClimbingClassifier(loss=loss), peers, P, y)
    weight = np.random.default_rng(0).random(n_samples)
    bench("log_loss, real weights", HillClimbingClassifier(), {}, P, y, weight)
    bench("log_loss, exact steps", HillClimbingClassifier(step=None), {}, P, y)
    P, y = harness.correlated_members(n_samples, n_members)
    peers = {"scikit-learn": mean_squared_error}
    bench("squared_error", HillClimbingRegressor(), peers, P, y)


def bench_cma(n_samples=5000, n_members=50):
    print(f"\nCMA-ES weights, log loss, {n_samples} rows, {n_members} members")
    P, y = harness.correlated_probabilities(n_samples, n_members)
    for normalization in ("softmax", "explicit", "raw"):
        combiner = CMAEnsembleClassifier(normalization=normalization)
        seconds = harness.median_seconds(lambda c=combiner: c.fit(P, y), repeats=3)
        each = 1e3 * seconds / combiner.n_evaluations_
        note = f"loss {combiner.loss_:.5f}, {each:.3f} ms for an evaluation"
        harness.print_row(normalization, seconds, note)
    for combiner in (HillClimbingClassifier(), EnsembleSelectionClassifier()):
        seconds = harness.median_seconds(lambda c=combiner: c.fit(P, y), repeats=3)
        note = f"loss {combiner.loss_path_[-1]:.5f}"
        harness.print_row(type(combiner).__name__, seconds, note)


if __name__ == "__main__":
    harness.print_header("Weights by climbing and by evolution")
    with threadpool_limits(1):
        bench_climb(5_000)
        bench_climb(50_000)
        bench_cma()
