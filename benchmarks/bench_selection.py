"""Greedy selection against AutoGluon's rules, TabArena's log loss and bare reads.

The peers are written here from their published rules. Those that are slow run fewer
rounds, scaled to 50: a round of theirs always costs the same.
"""

import statistics
import sys
import tempfile
import tracemalloc
from functools import partial
from pathlib import Path
from time import perf_counter

import harness
import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.metrics import log_loss as sklearn_log_loss
from threadpoolctl import threadpool_limits

from ensemblekit import (
    EnsembleSelectionClassifier,
    EnsembleSelectionRegressor,
    QDOEnsembleSelectionClassifier,
    QOEnsembleSelectionClassifier,
)
from ensemblekit.selection import greedy
from ensemblekit.selection.scores import LogScores

ROUNDS = 50


# Peers.
def autogluon(members, y, error, rounds):
    """EnsembleSelection: mix, renormalise classes, score; ties by RandomState(0)."""
    random = np.random.RandomState(0)
    mean, before = np.zeros(members[0].shape), np.zeros(members[0].shape)
    picks, rounded = [], False
    for s in range(rounds):
        if s:
            mean *= (s - 1) / s
            mean += members[picks[-1]] / s
            before = (s / float(s + 1)) * mean
        errors = np.empty(len(members))
        for j, p in enumerate(members):
            mixture = before + (1.0 / float(s + 1)) * p
            if mixture.ndim > 1:
                mixture /= mixture.sum(axis=1)[:, np.newaxis]
            errors[j] = error(y, mixture)
        if rounded:
            errors = np.round(errors, 6)
        best = np.flatnonzero(np.isclose(errors, errors.min(), rtol=1e-12, atol=0))
        picks.append(random.choice(best))
        rounded = rounded or (s == 0 and abs(errors[picks[0]]) > 1e-4)
    return picks


def binary_log_loss(y, p):
    p = np.clip(p, 1e-15, 1 - 1e-15)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()


def class_log_loss(y, p):
    return sklearn_log_loss(y, p, labels=np.arange(p.shape[1]))


def binary_rank_error(y, p):
    order = np.argsort(p, kind="mergesort")[::-1]
    scores, truth = p[order], y[order]
    ends = np.r_[np.flatnonzero(np.diff(scores)), len(y) - 1]
    right = np.r_[0, np.cumsum(truth)[ends]]
    wrong = np.r_[0, 1 + ends] - right
    return 1.0 - np.trapezoid(right / right[-1], wrong / wrong[-1])


def class_error(y, p):
    return 1.0 - accuracy_score(y, p.argmax(axis=1))


def root_mean_square(y, p):
    return np.sqrt(((y - p) ** 2).mean())


def tabarena(members, y, rounds):
    """The true class's column, gathered once; then one numpy log per candidate."""
    rows = np.arange(len(y))
    if members[0].ndim == 1:
        truth = [np.where(y == 1, p, 1.0 - p) for p in members]
    else:
        truth = [p[rows, y] for p in members]
    mean, losses = np.zeros(len(y)), np.empty(len(members))
    for s in range(rounds):
        before = (s / (s + 1.0)) * mean
        for j, p in enumerate(truth):
            mixture = np.clip(before + p * (1.0 / (s + 1.0)), 1e-15, 1 - 1e-15)
            losses[j] = -np.log(mixture).mean()
        mean = before + truth[int(np.argmin(losses))] / (s + 1.0)
    return mean


def read(T, rounds=ROUNDS):
    return [T.sum() for _ in range(rounds)]


# Timing.
def interleaved(functions, repeats):
    """Median seconds of each function, called in turn; one more call comes first."""
    times = [[] for _ in functions]
    for repeat in range(repeats + 1):
        for own, function in zip(times, functions, strict=True):
            start = perf_counter()
            function()
            if repeat:
                own.append(perf_counter() - start)
    return [statistics.median(own) for own in times]


def compare(title, peers, ours, repeats):
    """Print each peer's ratio to each of ours.

    peers : (label, function, what its time is multiplied by); ours : (label, function)
    """
    print(f"\n{title}")
    seconds = interleaved([f for _, f, _ in peers] + [f for _, f in ours], repeats)
    theirs = [t * times for t, (_, _, times) in zip(seconds, peers, strict=False)]
    for (label, _, times), t in zip(peers, theirs, strict=True):
        harness.print_row(label, t, f"scaled by {times:g}" if times != 1 else "")
    for (label, _), t in zip(ours, seconds[len(peers) :], strict=True):
        ratios = "  ".join(
            f"{label.split(',')[0]} {other / t:.3g} x"
            for (label, _, _), other in zip(peers, theirs, strict=True)
        )
        harness.print_row(label, t, ratios)


def library(n_samples, n_members, n_classes):
    """Return P, y and the peers' arrays, one for each member."""
    if n_classes == 2:
        P, y = harness.correlated_probabilities(n_samples, n_members)
        return P, y, [np.ascontiguousarray(p) for p in P.T]
    shape = n_samples, n_members, n_classes
    P, y = harness.correlated_class_probabilities(*shape)
    cube = P.reshape(shape)
    return P, y, [np.ascontiguousarray(cube[:, j]) for j in range(n_members)]


def both_rules(combiner, P, y, **options):
    """Return our fits by our own rules and by AutoGluon's."""
    fits = []
    for rules in ("exact", "autogluon"):
        ours = combiner(rules=rules, **options)
        fits.append((f"{combiner.__name__}, {rules}", partial(ours.fit, P, y)))
    return fits


# Sections.
def bench_log_loss(n_samples, n_members, n_classes, rounds, repeats=3):
    P, y, members = library(n_samples, n_members, n_classes)
    error = binary_log_loss if n_classes == 2 else class_log_loss
    if n_classes == 2:
        T = np.where(y[:, None] == 1, P, 1.0 - P)
    else:
        T = np.stack([p[np.arange(n_samples), y] for p in members], axis=1)
    ones, zeros = np.ones(n_samples), np.zeros(n_samples)
    scores = LogScores(T, ones, zeros, ones, 1e-15)
    ours = both_rules(EnsembleSelectionClassifier, P, y)
    exact = EnsembleSelectionClassifier()
    ours.append(("exact, float32 storage", partial(exact.fit, P.astype("f4"), y)))
    ours.append(
        ("50 rounds alone, gathered", lambda: greedy.select(scores, greedy.Rules()))
    )
    compare(
        f"Log loss, n={n_samples}, m={n_members}, K={n_classes}",
        [
            ("AutoGluon", partial(autogluon, members, y, error, rounds), 50 / rounds),
            ("TabArena, gather included", partial(tabarena, members, y, ROUNDS), 1),
            ("50 reads of the true-class matrix", partial(read, T), 1),
        ],
        ours,
        repeats,
    )


def bench_rmse(n_samples, n_members, rounds, repeats=5):
    P, y = harness.correlated_members(n_samples, n_members)
    members = [np.ascontiguousarray(p) for p in P.T]
    many = EnsembleSelectionRegressor(n_rounds=1000)
    peer = partial(autogluon, members, y, root_mean_square, rounds)
    compare(
        f"RMSE, n={n_samples}, m={n_members}",
        [("AutoGluon", peer, 50 / rounds)],
        [
            *both_rules(EnsembleSelectionRegressor, P, y),
            ("EnsembleSelectionRegressor, 1000 rounds", partial(many.fit, P, y)),
        ],
        repeats,
    )


def bench_decisions(loss, error, shape, rounds, repeats=3):
    P, y, members = library(*shape)
    compare(
        f"{loss}, n={shape[0]}, m={shape[1]}, K={shape[2]}",
        [("AutoGluon", partial(autogluon, members, y, error, rounds), 50 / rounds)],
        both_rules(EnsembleSelectionClassifier, P, y, loss=loss),
        repeats,
    )


def bench_population(n_samples=5000, n_members=50, repeats=3):
    print(f"\nPopulation search, n={n_samples}, m={n_members}, K=2, 50 m evaluations")
    print("  The published code spends 32 to 38 ms on each evaluation.")
    P, y = harness.correlated_probabilities(n_samples, n_members)
    for search in (QOEnsembleSelectionClassifier, QDOEnsembleSelectionClassifier):
        seconds = harness.median_seconds(partial(search().fit, P, y), repeats)
        each = seconds / (50 * n_members)
        note = f"{1e6 * each:.1f} us each, {0.032 / each:.0f} to {0.038 / each:.0f} x"
        harness.print_row(search.__name__, seconds, note)


def peak_of(function):
    """Bytes that a call takes at most, beyond those that exist."""
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def bench_memory(n_samples=20_000, n_members=200):
    print(f"\nPeak memory of fit beyond P, n={n_samples}, m={n_members}")
    losses = {2: ["log_loss", "brier", "zero_one", "auc"], 10: []}
    losses[10] = losses[2][:3]
    for n_classes, names in losses.items():
        P, y, _ = library(n_samples, n_members, n_classes)
        for dtype in (np.float64, np.float32):
            own = P.astype(dtype)
            for loss in names:
                fit = partial(EnsembleSelectionClassifier(loss=loss).fit, own, y)
                fit()
                share = peak_of(fit) / own.nbytes
                print(f"  {loss}, K={n_classes}, {own.dtype}: {100 * share:.1f} %")
    P, y = harness.correlated_members(n_samples, n_members)
    for loss in ("squared_error", "absolute_error", "huber", "pinball"):
        fit = partial(EnsembleSelectionRegressor(loss=loss).fit, P, y)
        fit()
        print(f"  {loss}: {100 * peak_of(fit) / P.nbytes:.1f} %")


def bench_memory_map(n_samples=200_000, n_members=200):
    P, y = harness.correlated_probabilities(n_samples, n_members)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "library"
        P.tofile(path)
        mapped = np.memmap(path, np.float64, "r", shape=P.shape)
        peak = peak_of(partial(EnsembleSelectionClassifier().fit, mapped, y))
        compare(
            f"Memory-mapped library of {P.nbytes / 1e6:.0f} MB, log loss, "
            f"peak of fit {peak / 1e6:.1f} MB",
            [("in memory", partial(EnsembleSelectionClassifier().fit, P, y), 1)],
            [("mapped", partial(EnsembleSelectionClassifier().fit, mapped, y))],
            3,
        )


SECTIONS = {
    "log_loss_10": partial(bench_log_loss, 50_000, 200, 10, rounds=1),
    "log_loss_2": partial(bench_log_loss, 50_000, 200, 2, rounds=5),
    "log_loss_small": partial(bench_log_loss, 5_000, 50, 2, rounds=50, repeats=7),
    "rmse": lambda: [bench_rmse(5_000, 50, 50, 15), bench_rmse(50_000, 200, 10)],
    "auc": partial(bench_decisions, "auc", binary_rank_error, (50_000, 200, 2), 2),
    "auc_small": partial(bench_decisions, "auc", binary_rank_error, (5_000, 50, 2), 10),
    "accuracy": partial(
        bench_decisions, "zero_one", class_error, (50_000, 200, 10), rounds=1
    ),
    "population": bench_population,
    "memory": bench_memory,
    "memory_map": bench_memory_map,
}

if __name__ == "__main__":
    harness.print_header("Greedy selection")
    with threadpool_limits(1):
        for name in sys.argv[1:] or SECTIONS:
            SECTIONS[name]()
