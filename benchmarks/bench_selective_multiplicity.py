"""Multiplicity, diversity and certificates: times against numpy, figures on real rows.

The peers are the same formulas in numpy: the capacity that does not cancel, a loop over
pairs of columns for diversity, the elections and certificates with arrays of all rows.
"""

import harness
import numpy as np
from scipy.special import entr, rel_entr
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from threadpoolctl import threadpool_limits

from ensemblekit import (
    CrossFit,
    PartitionVotingClassifier,
    certified_radius,
    diversity_report,
    multiplicity_report,
    pairwise_diversity,
    rashomon_capacity,
)
from ensemblekit.demo import demo_members, load_table, sample_rows


# Peers.
def numpy_capacity(P):
    low, high = P.min(axis=1), P.max(axis=1)
    a, b = low[low < high], high[low < high]
    entropies = [entr(p) + entr(1.0 - p) for p in (a, b)]
    slope = (entropies[0] - entropies[1]) / (b - a)
    r = np.clip(1.0 / (1.0 + np.exp(-slope)), a, b)
    bits = np.zeros(len(P))
    bits[low < high] = np.maximum(
        rel_entr(a, r) + rel_entr(1.0 - a, 1.0 - r),
        rel_entr(b, r) + rel_entr(1.0 - b, 1.0 - r),
    ) / np.log(2.0)
    return bits


def numpy_diversity(correct):
    """Five measures, pair by pair."""
    n_members = correct.shape[1]
    measures = np.empty((5, n_members, n_members))
    for a in range(n_members):
        for b in range(n_members):
            x, y = correct[:, a], correct[:, b]
            n11, n00 = np.sum(x & y), np.sum(~x & ~y)
            n10, n01 = np.sum(x & ~y), np.sum(~x & y)
            cross, same = n11 * n00 - n10 * n01, n11 * n00 + n10 * n01
            margins = (n11 + n10) * (n00 + n01), (n11 + n01) * (n00 + n10)
            below = (n11 + n10) * (n00 + n10) + (n11 + n01) * (n00 + n01)
            measures[:, a, b] = (
                cross / same,
                (n10 + n01) / len(x),
                n00 / len(x),
                cross / np.sqrt(float(margins[0]) * margins[1]),
                2 * cross / below,
            )
    return measures


def numpy_certificates(scores):
    """Run-off elections and radii of all rows at once."""
    _, n, n_classes = scores.shape
    rows, votes = np.arange(n), scores.argmax(axis=2)
    counts = np.stack([(votes == c).sum(axis=0) for c in range(n_classes)], axis=1)
    order = np.argsort(-counts, axis=1, kind="stable")
    first, second = np.sort(order[:, :2], axis=1).T
    behind = 2 * (scores[:, rows, first] >= scores[:, rows, second]).sum(axis=0)
    wins = behind >= len(scores)
    w, s = np.where(wins, first, second), np.where(wins, second, first)
    classes = np.arange(n_classes)
    own = np.take_along_axis(scores, w[None, :, None], axis=2)
    above = (own > scores) | ((own == scores) & (w[:, None] < classes))
    later = classes > w[:, None]
    duel = np.maximum(2 * above.sum(axis=0) - len(scores) + later, 0)
    gap = np.maximum(counts[rows, w][:, None] - counts + later, 0)
    enter = np.maximum(counts[rows, s][:, None] - counts + (classes > s[:, None]), 0)
    enter[rows, s] = 0
    beat = np.maximum((enter + 1) // 2, (duel + 1) // 2)
    beat[rows, w] = 2**40
    turn = beat.min(axis=1)
    gap[rows, w] = 2**40
    for a in range(n_classes):
        for b in range(a):
            both = np.maximum((gap[:, a] + 1) // 2, (gap[:, b] + 1) // 2)
            both = np.maximum(both, (gap[:, a] + gap[:, b] + 2) // 3)
            turn = np.minimum(turn, both)
    return w, turn - 1


# Times.
def bench_capacity():
    rng = np.random.default_rng(0)
    P = rng.uniform(size=(100_000, 50))
    print("Rashomon capacity, two classes, 100 000 rows, 50 members")
    seconds = harness.median_seconds(lambda: rashomon_capacity(P).bits)
    peer = harness.median_seconds(lambda: numpy_capacity(P))
    apart = np.abs(rashomon_capacity(P).bits - numpy_capacity(P)).max()
    harness.print_row("ensemblekit", seconds)
    harness.print_row("numpy", peer, f"{peer / seconds:.1f} x; apart {apart:.1e}")
    print("\nRashomon capacity, Dirichlet(1) members, 2 000 rows, 20 members")
    for n_classes in (3, 10):
        D = rng.dirichlet(np.ones(n_classes), (2000, 20)).reshape(2000, -1)
        for max_iter in (100, 1000):
            options = {"n_outputs": n_classes, "max_iter": max_iter}
            gap = rashomon_capacity(D, **options).gap
            seconds = harness.median_seconds(
                lambda D=D, o=options: rashomon_capacity(D, **o), 3
            )
            note = (
                f"gap: {(gap <= 1e-6).mean():.0%} of rows <= 1e-6, max {gap.max():.1e}"
            )
            harness.print_row(f"{n_classes} classes, {max_iter} steps", seconds, note)


def bench_diversity():
    P, y = harness.correlated_probabilities(100_000, 50)
    correct = (P > 0.5) == y[:, None]
    print("\nDiversity of all pairs, 100 000 rows, 50 members")
    columns = np.asfortranarray(correct)
    seconds = harness.median_seconds(lambda: pairwise_diversity(correct))
    report = harness.median_seconds(lambda: diversity_report(P, y), 3)
    peer = harness.median_seconds(lambda: numpy_diversity(columns), 1)
    apart = np.abs(np.array(pairwise_diversity(correct)) - numpy_diversity(columns))
    harness.print_row("ensemblekit, from marks", seconds)
    harness.print_row("ensemblekit, from P, with its checks", report)
    harness.print_row(
        "numpy, a loop over pairs", peer, f"{peer / seconds:.0f} x; {apart.max():.0e}"
    )


def bench_certificates():
    scores = np.random.default_rng(0).uniform(size=(250, 10_000, 10))
    print("\nRun-off certificates, 10 000 rows, 250 members, 10 classes")
    seconds = harness.median_seconds(lambda: certified_radius(scores), 5)
    peer = harness.median_seconds(lambda: numpy_certificates(scores), 1)
    ours, theirs = certified_radius(scores), numpy_certificates(scores)
    same = all(map(np.array_equal, ours, theirs))
    harness.print_row("ensemblekit", seconds)
    harness.print_row("numpy", peer, f"{peer / seconds:.1f} x; equal: {same}")
    few = scores[:, :1000]
    buckets = (np.arange(250)[:, None] + np.array([0, 7, 60])) % 250
    seconds = harness.median_seconds(lambda: certified_radius(few, buckets=buckets), 3)
    harness.print_row("ensemblekit, spread 3, 1 000 rows", seconds)


# Real rows.
def report_members():
    X, y = sample_rows(*load_table("bank_marketing"), 4000, 0)
    library = CrossFit(demo_members("classification"), random_state=0).fit(X, y)
    library = library.library_
    print("\nBank marketing, 4 000 rows, members of the demo, held-out predictions")
    for epsilon in (0.002, 0.01, 0.05):
        print(multiplicity_report(library, epsilon=epsilon))
    print(diversity_report(library))


def certified_accuracy():
    """Share of test rows that are right, and certified at least that far."""
    print("\nShare of test rows right and certified for r inserted or deleted rows")
    print(f"  {'':<48}" + "".join(f"{f'r = {r}':>9}" for r in (0, 1, 2, 4, 8)))
    members = {
        "logistic": make_pipeline(MinMaxScaler(), LogisticRegression(C=10)),
        "naive Bayes": GaussianNB(var_smoothing=1e-2),
    }
    tables = {"digits": load_digits, "breast cancer": load_breast_cancer}
    for table, load in tables.items():
        parts = train_test_split(*load(return_X_y=True), test_size=0.3, random_state=0)
        for name, member in members.items():
            for spread in (1, 2):
                for voting in ("plurality", "runoff"):
                    model = PartitionVotingClassifier(
                        member,
                        n_partitions=25,
                        spread=spread,
                        voting=voting,
                        random_state=0,
                    )
                    label = f"{table}, {name}, spread {spread}, {voting}"
                    print(f"  {label:<48}{certified_shares(model, *parts)}")


def certified_shares(model, X, X_test, y, y_test):
    model.fit(X, y)
    right, radius = model.predict(X_test) == y_test, model.certified_radius(X_test)
    shares = [(right & (radius >= r)).mean() for r in (0, 1, 2, 4, 8)]
    return "".join(f"{share:>9.3f}" for share in shares)


if __name__ == "__main__":
    with threadpool_limits(1):
        harness.print_header("Multiplicity, diversity, certificates")
        bench_capacity()
        bench_diversity()
        bench_certificates()
        report_members()
        certified_accuracy()
