"""Bounds of risk over many draws, risk-coverage areas under ties, and what they cost.

The peer of the areas is what is usually written: sort by confidence, add up errors, and
take rows of equal confidence in the order that they come in.
"""

import warnings

import harness
import numpy as np
from threadpoolctl import threadpool_limits

from ensemblekit import (
    augrc,
    aurc,
    ltt_threshold,
    set_calibration_test,
    sgr_threshold,
)

RISK, DELTA, DRAWS = 0.05, 0.1, 1000


# Peers.
def aurc_by_argsort(confidence, correct):
    order = np.argsort(-confidence, kind="stable")
    wrong = ~correct[order]
    return np.mean(np.cumsum(wrong) / np.arange(1, len(wrong) + 1))


def aurc_by_loop(confidence, correct):
    total = errors = 0
    for k, row in enumerate(np.argsort(-confidence, kind="stable"), 1):
        errors += not correct[row]
        total += errors / k
    return total / len(correct)


def naive_threshold(confidence, correct, risk, delta):
    """The least confidence whose risk on these rows is low enough: no bound at all."""
    order = np.argsort(-confidence)
    risks = np.cumsum(~correct[order]) / np.arange(1, len(order) + 1)
    last = np.flatnonzero(risks <= risk)
    if not last.size:
        return np.inf, np.nan, 0.0
    return confidence[order][last[-1]], np.nan, (last[-1] + 1) / len(order)


# Errors have probability 0.5 (1 - u)**2 at confidence u, uniform or on 11 levels.
def draw(random, n_rows, levels):
    u = random.random(n_rows)
    u = np.floor(u * levels) / levels if levels else u
    return u, random.random(n_rows) >= 0.5 * (1 - u) ** 2


def true_risk(threshold, levels):
    if levels:
        values = np.arange(levels) / levels
        return np.mean(0.5 * (1 - values[values >= threshold]) ** 2)
    return 0.5 * (1 - max(threshold, 0.0)) ** 2 / 3


def violations(find, n_rows, levels):
    random = np.random.default_rng(0)
    count = coverage = 0.0
    for _ in range(DRAWS):
        threshold, _, share = find(*draw(random, n_rows, levels), RISK, DELTA)
        coverage += share / DRAWS
        count += share > 0 and true_risk(threshold, levels) > RISK
    return count / DRAWS, coverage


def bench_violations():
    limit = DELTA + 3 * np.sqrt(DELTA * (1 - DELTA) / DRAWS)
    print(
        f"True risk above {RISK}, delta {DELTA}, {DRAWS} draws of calibration rows; "
        f"limit {limit:.4f}.\nShare of draws / mean coverage (best possible 0.548):"
    )
    finders = {"SGR": sgr_threshold, "LTT": ltt_threshold, "naive": naive_threshold}
    print(f"  {'rows':<22}" + "".join(f"{name:>18}" for name in finders))
    for n_rows, levels in [(300, None), (1000, None), (1000, 11), (4000, None)]:
        cells = [violations(find, n_rows, levels) for find in finders.values()]
        label = f"{n_rows}, {levels or 'no'} {'levels' if levels else 'ties'}"
        row = "".join(f"{share:>9.4f} / {cover:.3f} " for share, cover in cells)
        print(f"  {label:<22}{row}")
    print()


def bench_ties():
    random = np.random.default_rng(1)
    confidence = random.integers(5, 11, 2000) / 10  # shares of ten votes
    correct = random.random(2000) < confidence
    values = []
    for _ in range(2000):
        order = random.permutation(2000)
        values.append(aurc_by_argsort(confidence[order], correct[order]))
    sorted_rows = np.argsort(correct, kind="stable")
    ends = [
        aurc_by_argsort(confidence[rows], correct[rows])
        for rows in (sorted_rows[::-1], sorted_rows)
    ]
    error = np.std(values) / np.sqrt(len(values))
    print("AURC of 2000 rows with votes of 10 members (6 confidences):")
    print(f"  ours, whatever the order      {aurc(confidence, correct):.6f}")
    print(f"  argsort, 2000 random orders   {np.mean(values):.6f} +- {error:.6f}")
    print(f"  argsort, least and greatest   {min(values):.6f} .. {max(values):.6f}")
    print(f"  argsort, rows sorted by y     {ends[0]:.6f} .. {ends[1]:.6f}\n")


def bench_times():
    random = np.random.default_rng(2)
    for n_rows, levels in [(10**6, None), (10**6, 11)]:
        confidence, correct = draw(random, n_rows, levels)
        print(
            f"Areas, {n_rows} rows, {levels or 'no'} {'levels' if levels else 'ties'}:"
        )
        ours = harness.median_seconds(lambda c=confidence, r=correct: aurc(c, r))
        harness.print_row("aurc", ours)
        seconds = harness.median_seconds(lambda c=confidence, r=correct: augrc(c, r))
        harness.print_row("augrc", seconds)
        for peer, repeats in ((aurc_by_argsort, 7), (aurc_by_loop, 1)):
            seconds = harness.median_seconds(
                lambda f=peer, c=confidence, r=correct: f(c, r), repeats
            )
            harness.print_row(peer.__name__, seconds, f"{seconds / ours:.1f} x ours")
    confidence, correct = draw(random, 10**6, None)
    print("Thresholds, 1000000 rows, no ties:")
    for find in (sgr_threshold, ltt_threshold):
        seconds = harness.median_seconds(
            lambda f=find, c=confidence, r=correct: f(c, r, RISK, DELTA)
        )
        harness.print_row(find.__name__, seconds)
    print()


def labelled(n_rows, seed, power):
    random = np.random.default_rng(seed)
    cube = random.dirichlet(np.ones(3), (4, n_rows))
    p = np.tensordot(random.dirichlet(np.ones(4)), cube, 1) ** power
    ends = np.cumsum(p / p.sum(axis=1, keepdims=True), axis=1)
    return cube, (random.random((n_rows, 1)) > ends[:, :-1]).sum(axis=1)


def bench_calibration():
    print("Set calibration, 4 members, 3 classes, 99 resamples, level 0.05:")
    for n_rows, power, n_sets in [(100, 1.0, 1000), (300, 1.0, 300), (300, 3.0, 100)]:
        rejected = [
            set_calibration_test(
                *labelled(n_rows, seed, power), n_resamples=99, random_state=seed
            ).p_value
            <= 0.05
            for seed in range(n_sets)
        ]
        kind = "calibrated" if power == 1.0 else "sharpened to p**3"
        share = np.mean(rejected)
        print(f"  {n_rows} rows, {kind}: {share:.3f} of {n_sets} sets rejected")
    cube, y = labelled(2000, 0, 1.0)
    seconds = harness.median_seconds(lambda: set_calibration_test(cube, y), 3)
    harness.print_row("2000 rows, 199 resamples", seconds)


def main():
    harness.print_header("Selective prediction: risk and coverage")
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        bench_violations()
        bench_ties()
        bench_times()
        bench_calibration()


if __name__ == "__main__":
    main()
