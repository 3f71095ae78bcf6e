"""The selective vote against numpy and scipy, and what it does to real ensembles.

Speed: the whole rule (counts, two leaders, test, label) on a million rows. Quality: the
set-up of Black, Leino and Fredrikson (ICLR 2022) with bundled data: a pool of MLPs, and
up to 24 ensembles of it that share no member, as the bound on their conflicts asks.
"""

import sys
from itertools import combinations

import harness
import numpy as np
from scipy import stats
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from ensemblekit import (
    SelectiveVotingClassifier,
    conflict_bound,
    selective_cutoffs,
    selective_vote,
    vote_counts,
)

ALPHA = 0.05
SIZES = (6, 9, 10, 12, 15, 20)


def draw_votes(n_rows, n_members, n_classes, seed=0):
    """Votes of rows whose class probabilities are Dirichlet(1/2): int8, rows first."""
    rng = np.random.default_rng(seed)
    edges = rng.dirichlet(np.full(n_classes, 0.5), size=n_rows).cumsum(axis=1)[:, :-1]
    votes = np.empty((n_rows, n_members), np.int8)
    for member in range(n_members):
        votes[:, member] = (rng.random((n_rows, 1)) > edges).sum(axis=1)
    return votes


# Peers.
def numpy_bincount(votes, n_classes):
    """Count by one bincount of row * K + vote."""
    n = len(votes)
    keys = np.arange(n)[:, None] * n_classes + votes
    return np.bincount(keys.ravel(), minlength=n * n_classes).reshape(n, n_classes)


def numpy_equal(votes, n_classes):
    """Count class by class."""
    counts = [np.count_nonzero(votes == k, axis=1) for k in range(n_classes)]
    return np.column_stack(counts)


def numpy_rule(count, votes, n_classes, cut):
    """Label and mask by numpy alone."""
    counts = count(votes, n_classes)
    leaders = np.partition(counts, n_classes - 2, axis=1)[:, -2:]
    return counts.argmax(axis=1), leaders[:, 1] >= cut[leaders.sum(axis=1)]


def voting_classifier_labels(votes):
    """What scikit-learn's VotingClassifier does: a bincount for each row."""
    return np.apply_along_axis(lambda row: np.bincount(row).argmax(), 1, votes)


def speed(n_rows=1_000_000, n_members=100, n_classes=5):
    print(f"{n_rows} rows, {n_members} members, {n_classes} classes, int8")
    votes = draw_votes(n_rows, n_members, n_classes)
    cut = selective_cutoffs(ALPHA, n_members)

    def ours():
        return selective_vote(votes, ALPHA, n_classes=n_classes)

    labels, accepted, _ = ours()
    base = harness.median_seconds(ours, 5)
    harness.print_row("selective_vote, p-values too", base)
    across = np.asfortranarray(votes)
    seconds = harness.median_seconds(lambda: selective_vote(across, ALPHA), 5)
    harness.print_row("  votes member by member", seconds)
    seconds = harness.median_seconds(lambda: vote_counts(votes, n_classes), 5)
    harness.print_row("vote_counts", seconds)
    for count in (numpy_bincount, numpy_equal):
        found = numpy_rule(count, votes, n_classes, cut)
        assert (found[0] == labels).all()
        assert (found[1] == accepted).all()
        seconds = harness.median_seconds(
            lambda count=count: numpy_rule(count, votes, n_classes, cut), 3
        )
        harness.print_row(count.__name__, seconds, f"{seconds / base:.1f} x")
    few = votes[: n_rows // 10]
    for name, peer in (
        ("scipy.stats.mode, label only", lambda: stats.mode(few, axis=1).mode),
        (
            "VotingClassifier's bincount, label only",
            lambda: voting_classifier_labels(few),
        ),
    ):
        assert (peer() == labels[: len(few)]).all()
        seconds = 10 * harness.median_seconds(peer, 1)
        harness.print_row(name, seconds, f"{seconds / base:.1f} x (a tenth, times 10)")


def pool_of_votes(X, y, randomness, n_pool, seed=0):
    """Train a pool on 70 % of the rows; return its votes on the others, and y."""
    train, test, targets, truth = train_test_split(
        X, y, test_size=0.3, stratify=y, random_state=0
    )
    scaler = StandardScaler().fit(train)
    member = MLPClassifier((32,), max_iter=60)
    pool = SelectiveVotingClassifier(
        member, n_estimators=n_pool, randomness=randomness, random_state=seed
    ).fit(scaler.transform(train), targets)
    rows = scaler.transform(test)
    return np.column_stack([m.predict(rows) for m in pool.estimators_]), truth


def disjoint_members(n_pool, n, rng, most=24):
    """Return members of ensembles of n without a common member: (n_ensembles, n)."""
    n_ensembles = min(most, n_pool // n)
    return rng.permutation(n_pool)[: n_ensembles * n].reshape(n_ensembles, n)


def table(name, votes, truth, seed=0):
    """Print abstention, conflicts and accuracy of ensembles that share no member.

    ``sets``: their number; ``flip``: the share of rows with two different labels
    (answers) among them; ``pairs``: the same of rows and pairs of ensembles, and
    ``bound`` what `conflict_bound` says of it; then the accuracy of answers, of answers
    with an abstention as an error, and of plain votes.
    """
    rng = np.random.default_rng(seed)
    single = (votes != votes[:, :1]).any(axis=1).mean()
    print(f"\n{name}: {len(truth)} test rows; {single:.3f} flip among single models")
    n_classes = int(votes.max()) + 1
    head = (
        "n",
        "sets",
        "abstain",
        "flip plain",
        "flip sel.",
        "pairs",
        "bound",
        "answered",
    )
    accuracies = ("answered", "abst.=err.", "plain")
    print("  " + "".join(f"{name:>11}" for name in (*head, *accuracies)))
    for n in SIZES:
        members = disjoint_members(votes.shape[1], n, rng)
        drawn = [
            selective_vote(votes[:, chosen], ALPHA, n_classes=n_classes)
            for chosen in members
        ]
        labels = np.array([vote.labels for vote in drawn])
        accepted = np.array([vote.accepted for vote in drawn])
        right = labels == truth
        conflicts = np.array(
            [
                accepted[a] & accepted[b] & (labels[a] != labels[b])
                for a, b in combinations(range(len(drawn)), 2)
            ]
        )
        plain = (labels != labels[0]).any(axis=0).mean()
        row = (
            1 - accepted.mean(),
            plain,
            conflicts.any(axis=0).mean(),
            conflicts.mean(),
            conflict_bound(ALPHA, n, n_classes),
            right[accepted].mean(),
            (right & accepted).mean(),
            right.mean(),
        )
        print(f"  {n:>11}{len(drawn):>11}" + "".join(f"{value:11.5f}" for value in row))


def quality(n_pool):
    noisy = make_classification(
        1000, 20, n_informative=8, flip_y=0.2, class_sep=0.7, random_state=0
    )
    cancer = load_breast_cancer(return_X_y=True)
    digits = load_digits(return_X_y=True)
    for name, rows, randomness in (
        ("breast_cancer, seed", cancer, "seed"),
        ("breast_cancer, loo", cancer, "loo"),
        ("noisy synthetic, seed", noisy, "seed"),
        ("digits, seed", digits, "seed"),
    ):
        votes, truth = pool_of_votes(*rows, randomness, n_pool)
        table(f"{name}, {n_pool} MLPs", votes, truth)


if __name__ == "__main__":
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    warnings.simplefilter("ignore", ConvergenceWarning)  # 60 passes are the set-up
    with threadpool_limits(limits=1):
        harness.print_header("Selective votes")
        speed()
        size_of_pool = int(sys.argv[1]) if len(sys.argv) > 1 else 480
        if size_of_pool:
            quality(size_of_pool)
