"""Cascades: the share of an ensemble's gain kept at 1.25 times one member's cost.

Members count as equally costly. Windows are chosen on held-out rows and judged on test
rows: of the libraries of `real_tables`, and of networks that differ in their seed, of
which the seconds of predict are taken as well.
"""

import argparse
import contextlib
import io
import warnings
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import harness
import numpy as np
from real_tables import CACHE, DATA, build, cached, load, read_manifest, read_table
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from ensemblekit import CascadeClassifier, CrossFit
from ensemblekit.selective import windows
from ensemblekit.selective.cascade_regressor import _default_gate

BUDGET, TARGET = 1.25, 0.7
CASCADES = {
    "two": ("xgboost_drawn", "extra_trees_smooth"),
    "four": ("xgboost_drawn", "extra_trees_smooth", "lightgbm_deep", "nearest_30"),
}


class Result(NamedTuple):
    """Of one table: relative to the first member's loss; errors of the test rows."""

    table: str
    loss: float
    gain: float
    gain_error: float
    kept: float
    share: float
    share_error: float
    cost: float


def risk(p, y, coverage):
    """Return per-row terms whose mean is the risk of the most confident rows."""
    answered = np.argsort(-p.max(axis=1), kind="stable")[: round(coverage * len(y))]
    terms = np.zeros(len(y))
    terms[answered] = (p.argmax(axis=1) != y)[answered] / coverage
    return terms


def log_loss(p, y):
    return -np.log(np.maximum(p[np.arange(len(y)), y], 1e-15))


MEASURES = {
    "error": (1.0, lambda p, y: risk(p, y, 1.0)),
    "log loss": (1.0, log_loss),
    "risk at coverage 0.8": (0.8, lambda p, y: risk(p, y, 0.8)),
    "risk at coverage 0.5": (0.5, lambda p, y: risk(p, y, 0.5)),
}


def compare(table, losses, cost):
    """Compare the losses of first member, cascade and ensemble, row by row."""
    first, cascade, whole = losses
    base, root = first.mean() or np.nan, np.sqrt(len(first))
    gain, kept = first - whole, first - cascade
    share = kept.mean() / gain.mean() if gain.any() and gain.mean() else np.nan
    return Result(
        table,
        base,
        gain.mean() / base,
        gain.std(ddof=1) / root / base,
        kept.mean() / base,
        share,
        (kept - share * gain).std(ddof=1) / root / abs(gain.mean() or np.nan),
        cost,
    )


def answer(known, known_sure, new, new_sure, centre):
    """Choose the widest window in the budget on known rows; answer new ones.

    Returns
    -------
    predictions : ndarray of shape (n_samples, n_outputs)
    cost : float
    """
    n, m = known_sure.shape
    needed = windows.needed_windows(
        windows.ranks(known_sure, np.ones(n))[:, :-1], centre
    )
    everything = np.ones((n, m))
    curve = windows.trace(
        needed, np.ones(m), 0 * everything, everything > 0, np.ones(n)
    )
    window = curve.widest(BUDGET)
    low, high = windows.find_limits(known_sure[:, :-1], needed, centre, window).T
    inside = (low <= new_sure[:, :-1]) & (new_sure[:, :-1] <= high)
    stage = np.cumprod(inside, axis=1).sum(axis=1)
    return new[stage, np.arange(len(stage))], 1.0 + stage.mean()


def outputs(table, P, names):
    """Return what the named members say: (n_members, n_samples, n_outputs)."""
    classes = None if table.task == "regression" else np.arange(table.n_classes)
    cube = windows.outputs_of(P, classes)
    return cube[[list(table.members).index(name) for name in names]]


def judge_classes(table, seed, names):
    """Yield each measure and its result on one split of a table of classes."""
    P, _, P_test, y_test = load(table, seed, 16)
    known, new = (
        windows.running_means(outputs(table, p, names), np.ones(len(names)))
        for p in (P, P_test)
    )
    sure = [windows.confidence_of(means, "max_proba").T for means in (known, new)]
    for measure, (coverage, loss) in MEASURES.items():
        said, cost = answer(known, sure[0], new, sure[1], 1.0 - coverage)
        losses = [loss(p, y_test) for p in (new[0], said, new[-1])]
        yield measure, compare(table.name, losses, cost)


def judge_values(table, seed, names):
    """Yield the result on one split of a table of values."""
    P, y, P_test, y_test = load(table, seed, 16)
    known, new = (outputs(table, p, names) for p in (P, P_test))
    frame, target = read_table(table)
    train, test = train_test_split(
        np.arange(len(target)), train_size=table.n_train, random_state=seed
    )
    rows, new_rows = frame.iloc[train], frame.iloc[test[: len(y_test)]]
    assert np.array_equal(target[train], y)
    rows.insert(0, "first", known[0])
    new_rows.insert(0, "first", new[0])
    distance = ((known[0] - known.mean(axis=0)) ** 2)[:, 0]
    gate = CrossFit([("gate", _default_gate(rows))], refit="all").fit(rows, distance)
    sure = [
        -np.column_stack([g, *(c[: k + 1, :, 0].std(axis=0) for k in range(1, len(c)))])
        for g, c in zip(
            (gate.oof_predictions_, gate.transform(new_rows)), (known, new), strict=True
        )
    ]
    means = [windows.running_means(c, np.ones(len(names))) for c in (known, new)]
    said, cost = answer(means[0], sure[0], means[1], sure[1], 0.0)
    losses = [(y_test - p[:, 0]) ** 2 for p in (means[1][0], said, means[1][-1])]
    yield "squared error", compare(table.name, losses, cost)


def pooled(results):
    """Return the share of the summed relative gains that is kept, and its error."""
    gain = sum(r.gain for r in results)
    error = np.sqrt(sum((r.share_error * r.gain) ** 2 for r in results)) / abs(gain)
    return sum(r.kept for r in results) / gain, error


def print_summary(label, found):
    """One line for each measure, in Markdown."""
    print(f"\n## {label}\n")
    print(
        "| measure | tables | ensemble clearly better | of its gain kept there "
        f"| tables with {TARGET:.0%} | cost, mean | cost, largest | ensemble clearly "
        "worse | of its loss taken over there |\n|" + "---|" * 9
    )
    for measure, results in found.items():
        sane = [r for r in results if np.isfinite([r.gain, r.share]).all()]
        better = [r for r in sane if r.gain > 2 * r.gain_error]
        worse = [r for r in sane if r.gain < -2 * r.gain_error]
        costs = [r.cost for r in results]
        cells = [measure, len(results), len(better)]
        cells.append("{:.2f} ± {:.2f}".format(*pooled(better)) if better else "-")
        cells.append(sum(r.share >= TARGET for r in better))
        cells += [f"{np.mean(costs):.3f}", f"{max(costs):.3f}", len(worse)]
        cells.append("{:.2f} ± {:.2f}".format(*pooled(worse)) if worse else "-")
        print("| " + " | ".join(map(str, cells)) + " |")


def print_results(label, found):
    """One line for each table, in Markdown."""
    print(f"\n### {label}: each table\n")
    print("| measure | table | loss of the first | gain, % | share kept | cost |")
    print("|" + "---|" * 6)
    for measure, results in found.items():
        for r in results:
            print(
                f"| {measure} | {r.table} | {r.loss:.4f} | {100 * r.gain:+.1f} ± "
                f"{100 * r.gain_error:.1f} | {r.share:.2f} ± {r.share_error:.2f} | "
                f"{r.cost:.3f} |"
            )


def run_tables(tables, details):
    """Judge both cascades on the tables whose libraries exist."""
    for label, names in CASCADES.items():
        found = defaultdict(list)
        for table in tables:
            judge = judge_values if table.task == "regression" else judge_classes
            for measure, result in judge(table, 0, names):
                found[measure].append(result)
        title = f"{label.capitalize()} members: {', '.join(names)}"
        print_summary(title, found)
        if details:
            print_results(label, found)


def network_data():
    """Yield name, X and y."""
    settings = {"n_informative": 10, "n_classes": 4, "flip_y": 0.03, "class_sep": 0.8}
    for seed in range(5):
        X, y = make_classification(9000, 20, random_state=seed, **settings)
        yield f"synthetic {seed}", X, y
    yield ("digits", *load_digits(return_X_y=True))


def networks(n_members):
    return [
        (
            f"network {i}",
            make_pipeline(
                StandardScaler(), MLPClassifier((48,), max_iter=100, random_state=i)
            ),
        )
        for i in range(n_members)
    ]


def run_networks():
    """Judge networks of two seeds, by the estimators themselves."""
    found = defaultdict(list)
    for name, X, y in network_data():
        split = train_test_split(X, y, train_size=len(y) // 3, random_state=0)
        for coverage in (1.0, 0.8, 0.5):
            cascade = CascadeClassifier(networks(2), max_cost=BUDGET, coverage=coverage)
            cascade.fit(split[0], split[2])
            P = cascade.cross_fit_.transform(split[1])
            cube = windows.outputs_of(P, cascade.classes_)
            said = cascade.predict_proba(split[1])
            cost = 1.0 + cascade.stage(split[1]).mean()
            for measure, (own, loss) in MEASURES.items():
                if own == coverage:
                    trio = (cube[0], said, cube.mean(axis=0))
                    losses = [loss(p, split[3]) for p in trio]
                    found[measure].append(compare(name, losses, cost))
    print_summary("Two networks of different seeds", found)
    print_results("Networks", found)


def run_seconds():
    """Time predict of first member, cascade and ensemble."""
    print("\n## Seconds: predict of 200 000 rows, 20 columns; four networks\n")
    X, y = make_classification(203_000, 20, n_informative=10, random_state=0)
    new = X[3000:]
    cascade = CascadeClassifier(networks(4)).fit(X[:3000], y[:3000])
    members = [cascade.cross_fit_.estimators_[name] for name in cascade.stages_]

    def ensemble():
        return np.mean([member.predict_proba(new) for member in members], axis=0)

    one = harness.median_seconds(lambda: members[0].predict_proba(new), 5)
    for label, function in [
        ("cascade", lambda: cascade.predict_proba(new)),
        ("all members", ensemble),
    ]:
        seconds = harness.median_seconds(function, 5)
        harness.print_row(label, seconds, f"{seconds / one:.2f} x one member")
    harness.print_row("one member", one)
    cost = 1.0 + cascade.stage(new).mean()
    print(f"  counted: {cost:.3f} members a row; expected {cascade.expected_cost_:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", type=int, default=44, help="so many, small first")
    parser.add_argument("--cached", action="store_true", help="fit no further members")
    parser.add_argument("--details", action="store_true", help="a line for each table")
    parser.add_argument("--write", type=Path, help="file for the results")
    options = parser.parse_args()
    harness.print_header(__doc__.partition("\n")[0])
    warnings.simplefilter("ignore")
    text = io.StringIO()
    with threadpool_limits(1), contextlib.redirect_stdout(text):
        if (DATA / "manifest.csv").exists():
            CACHE.mkdir(exist_ok=True)
            tables = read_manifest()[: options.tables]
            if not options.cached:
                for table in tables:
                    build(table, 0)
            run_tables([t for t in tables if cached(t, 0).exists()], options.details)
        else:
            print(f"skipped the tables: no manifest.csv in {DATA}")
        run_networks()
        run_seconds()
    print(text.getvalue())
    if options.write:
        options.write.write_text(text.getvalue())


if __name__ == "__main__":
    main()
