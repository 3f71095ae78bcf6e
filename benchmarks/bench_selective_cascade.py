"""Cascades: the share of an ensemble's gain kept at 1.25 times one member's cost.

Members count as equally costly, a regressor's gate as 0.05 of one. Windows are chosen
on held-out rows and judged on test rows: of the libraries of `real_tables`, and of
networks that differ in their seed, of which the seconds of predict are taken as well.

Plain stages answer as members do. Calibrated ones are judged twice: by the gain of the
plain ensemble over the plain first member, what one gets for a quarter more; and by
that of the calibrated ensemble over the calibrated first member, what the cascade adds
where calibration is had anyway.
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

from ensemblekit import CascadeClassifier, CrossFit, layout
from ensemblekit.combine._calibration_base import LineCalibrator, LogCalibrator
from ensemblekit.selective import _tracing, windows
from ensemblekit.selective.cascade_classifier import _RIDGE
from ensemblekit.selective.cascade_regressor import _GATE_COST, _default_gate

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


def answer(known_sure, new, new_sure, centre, gate_cost=0.0, window=None):
    """Choose the widest window in the budget on known rows; answer new ones.

    A window given is taken as it is.

    Returns
    -------
    predictions : ndarray of shape (n_samples, n_outputs)
    cost : float
    """
    n, m = known_sure.shape
    weight, no_loss = np.ones(n), [(slice(None), np.zeros((n, m)))]
    reached, answered = _tracing.reach(known_sure.copy(), weight, centre)
    curve = windows.CascadeCurve(
        *_tracing.trace(reached, answered, no_loss, np.ones(m), weight, gate_cost)
    )
    window = curve.widest(BUDGET) if window is None else window
    needed = _tracing.needed_windows(_tracing.ranks(known_sure, weight)[:, :-1], centre)
    low, high = _tracing.find_limits(known_sure[:, :-1], needed, centre, window).T
    inside = (low <= new_sure[:, :-1]) & (new_sure[:, :-1] <= high)
    stage = np.cumprod(inside, axis=1).sum(axis=1)
    rows = np.arange(len(stage))
    judged = gate_cost if 0.0 < window < 1.0 else 0.0
    return new[stage, rows], 1.0 + stage.mean() + judged


def outputs(table, P, names):
    """Return what the named members say: (n_members, n_samples, n_outputs)."""
    classes = None if table.task == "regression" else np.arange(table.n_classes)
    n_outputs = 1 if classes is None else layout.n_outputs_for(table.n_classes)
    cube = windows.outputs_of(layout.to_cube(P, n_outputs), classes)
    return cube[[list(table.members).index(name) for name in names]]


def calibrated(calibrator, known, y, new):
    """Return the stages' answers, known and new, each calibrated on known rows."""
    fitted = [calibrator().fit(mean, y, np.ones(len(y))) for mean in known]
    return [
        np.stack([c.apply(mean) for c, mean in zip(fitted, means, strict=True)])
        for means in (known, new)
    ]


def against(plain, stages):
    """Yield what calibrated stages are compared with: label, first and ensemble."""
    yield "plain first to plain ensemble", plain[0], plain[-1]
    yield "calibrated first to calibrated ensemble", stages[0], stages[-1]


def judge_classes(table, seed, names):
    """Yield each measure and its result on one split of a table of classes."""
    P, y, P_test, y_test = load(table, seed, 16)
    plain = [
        windows.running_means(outputs(table, p, names), np.ones(len(names)))
        for p in (P, P_test)
    ]
    sure = [windows.confidence_of(means, "max_proba").T for means in plain]
    for measure, (coverage, loss) in MEASURES.items():
        said, cost = answer(sure[0], plain[1], sure[1], 1.0 - coverage)
        losses = [loss(p, y_test) for p in (plain[1][0], said, plain[1][-1])]
        yield measure, compare(table.name, losses, cost)
    stages = calibrated(lambda: LogCalibrator(False, _RIDGE), plain[0], y, plain[1])
    sure = [windows.confidence_of(means, "max_proba").T for means in stages]
    said, cost = answer(sure[0], stages[1], sure[1], 0.0)
    for label, first, whole in against(plain[1], stages[1]):
        losses = [log_loss(p, y_test) for p in (first, said, whole)]
        yield f"log loss, {label}", compare(table.name, losses, cost)


def judge_values(table, seed, names):
    """Yield each measure and its result on one split of a table of values."""
    P, y, P_test, y_test = load(table, seed, 16)
    cubes = [outputs(table, p, names) for p in (P, P_test)]
    plain = [windows.running_means(c, np.ones(len(names)))[:, :, 0] for c in cubes]
    frame, target = read_table(table)
    train, test = train_test_split(
        np.arange(len(target)), train_size=table.n_train, random_state=seed
    )
    rows, new_rows = frame.iloc[train], frame.iloc[test[: len(y_test)]]
    assert np.array_equal(target[train], y)
    rows.insert(0, "first", plain[0][0])
    new_rows.insert(0, "first", plain[1][0])

    def cascade(known, new):
        distance = (known[0] - known[-1]) ** 2
        gate = CrossFit([("gate", _default_gate(rows))], refit="all")
        said = gate.fit(rows, distance).oof_predictions_, gate.transform(new_rows)
        sure = [
            -np.column_stack(
                [g, *(c[: k + 1, :, 0].std(axis=0) for k in range(1, len(c)))]
            )
            for g, c in zip(said, cubes, strict=True)
        ]
        return answer(sure[0], new, sure[1], 0.0, _GATE_COST)

    said, cost = cascade(*plain)
    losses = [(y_test - p) ** 2 for p in (plain[1][0], said, plain[1][-1])]
    yield "squared error", compare(table.name, losses, cost)
    stages = calibrated(LineCalibrator, plain[0], y, plain[1])
    said, cost = cascade(*stages)
    for label, first, whole in against(plain[1], stages[1]):
        losses = [(y_test - p) ** 2 for p in (first, said, whole)]
        yield f"squared error, {label}", compare(table.name, losses, cost)


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
        for coverage, calibrate in (
            (1.0, False),
            (0.8, False),
            (0.5, False),
            (1, True),
        ):
            cascade = CascadeClassifier(
                networks(2), max_cost=BUDGET, coverage=coverage, calibrate=calibrate
            )
            cascade.fit(split[0], split[2])
            said = cascade.predict_proba(split[1])
            cost = 1.0 + cascade.stage(split[1]).mean()
            cube = cascade._cube(cascade.cross_fit_.transform(split[1]))
            plain = windows.running_means(cube, np.ones(2))
            if calibrate:
                stages = [cascade._settle(k, mean) for k, mean in enumerate(plain)]
                for label, first, whole in against(plain, stages):
                    losses = [log_loss(p, split[3]) for p in (first, said, whole)]
                    measure = f"log loss, {label}"
                    found[measure].append(compare(name, losses, cost))
                continue
            for measure, (own, loss) in MEASURES.items():
                if own == coverage:
                    losses = [loss(p, split[3]) for p in (plain[0], said, plain[-1])]
                    found[measure].append(compare(name, losses, cost))
    print_summary("Two networks of different seeds", found)
    print_results("Networks", found)


def run_small_reproduction():
    """Pool three seeds: a window of half-width 0.1 against the 20 % least confident.

    Two networks, 9000 rows of 20 columns; the risk of the most confident 50 % and 80 %
    of the test rows; cost in networks. The threshold cascade passes on the least
    confident wherever the rows are that a threshold could move.
    """
    print("\n## Two networks, three seeds: windows of 0.2 of the rows\n")
    print(
        "| risk at | first | window | cost | threshold | cost | both | window keeps |"
    )
    print("|" + "---|" * 8)
    seeds = np.mean([reproduce(seed) for seed in range(3)], axis=0)
    for coverage, found in zip((0.5, 0.8), seeds, strict=True):
        first, window, threshold, both, cost, other = found
        print(
            f"| {coverage} | {first:.4f} | {window:.4f} | {cost:.2f} | {threshold:.4f} "
            f"| {other:.2f} | {both:.4f} | {(first - window) / (first - both):.2f} |"
        )


def reproduce(seed):
    """Return risks of first, window, threshold, both; costs of window, threshold."""
    settings = {"n_informative": 10, "n_classes": 4, "flip_y": 0.03, "class_sep": 0.8}
    X, y = make_classification(9000, 20, random_state=seed, **settings)
    split = train_test_split(X, y, train_size=3000, random_state=seed)
    crossfit = CrossFit(networks(2), refit="all").fit(split[0], split[2])
    known, new = (
        windows.running_means(layout.to_cube(P, 4), np.ones(2))
        for P in (crossfit.oof_predictions_, crossfit.transform(split[1]))
    )
    sure = [windows.confidence_of(means, "max_proba").T for means in (known, new)]
    lines = []
    for coverage in (0.5, 0.8):
        said, costs = zip(
            *(answer(sure[0], new, sure[1], c, window=0.2) for c in (1 - coverage, 0)),
            strict=True,
        )
        answers = (new[0], *said, new[-1])
        risks = [risk(p, split[3], coverage).mean() for p in answers]
        lines.append([*risks, *costs])
    return lines


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
        run_small_reproduction()
        run_seconds()
    print(text.getvalue())
    if options.write:
        options.write.write_text(text.getvalue())


if __name__ == "__main__":
    main()
