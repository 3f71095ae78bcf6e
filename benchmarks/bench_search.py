"""The time of a search among all default combiners, and of each of them."""

import harness
import numpy as np
from threadpoolctl import threadpool_limits

from ensemblekit import CombinerSearchClassifier, CombinerSearchRegressor


def members(n_samples, n_members, n_classes, seed=0):
    """Return probabilities of correlated members of mixed quality, and labels."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n_samples)
    truth = 2.0 * np.eye(n_classes)[y] + rng.normal(size=(n_samples, n_classes))
    blocks = []
    for quality in rng.uniform(0.3, 1.2, n_members):
        scores = quality * truth + 0.7 * rng.normal(size=truth.shape)
        block = np.exp(scores)
        block /= block.sum(axis=1, keepdims=True)
        blocks.append(block[:, 1:] if n_classes == 2 else block)
    return np.hstack(blocks), y


def bench(search, P, y):
    """Print the time of a search and of the combiners tried."""
    seconds = harness.median_seconds(lambda: search.fit(P, y), repeats=3)
    harness.print_row("search", seconds, ", ".join(search.chosen_))
    table = search.results_
    for c in np.argsort(-table.fit_time):
        if table.fit_time[c] > 0.0:
            harness.print_row(f"  {table.name[c]}, 5 folds", table.fit_time[c])


def main():
    harness.print_header("CombinerSearch: 4,000 rows, 16 members")
    with threadpool_limits(1):
        print("regression")
        bench(CombinerSearchRegressor(), *harness.correlated_members(4000, 16))
        for n_classes in (2, 10):
            print(f"{n_classes} classes")
            bench(CombinerSearchClassifier(), *members(4000, 16, n_classes))


if __name__ == "__main__":
    main()
