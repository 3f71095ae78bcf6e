"""The cross-fitting core against scikit-learn's StackingClassifier, in one process."""

import gc
import statistics
import sys
import tempfile
import tracemalloc
import warnings
from functools import partial
from time import perf_counter, process_time

import harness
import numpy as np
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from ensemblekit import StackedClassifier

FOLDS = 5


def heavy_members():
    return [
        ("linear", LogisticRegression(max_iter=1000)),
        ("forest", RandomForestClassifier(20, random_state=0)),
        ("extra", ExtraTreesClassifier(20, random_state=0)),
        ("boosting", HistGradientBoostingClassifier(max_iter=20, random_state=0)),
    ]


def cheap_members():
    trees = [
        (f"tree{seed}", DecisionTreeClassifier(max_depth=3, random_state=seed))
        for seed in range(25)
    ]
    smooth = np.logspace(-9, -3, 25)
    return trees + [(f"bayes{i}", GaussianNB(var_smoothing=s)) for i, s in enumerate(smooth)]


def table(n_samples, n_features):
    return make_classification(
        n_samples, n_features, n_informative=8, flip_y=0.1, random_state=0
    )


def cpu(function):
    """CPU seconds of one call, garbage of earlier ones left out."""
    gc.collect()
    start = process_time()
    function()
    return process_time() - start


def member_work(members, X, y, *, refit=True):
    """CPU seconds inside the members' own fit and predict_proba."""
    seconds = 0.0
    for train, test in StratifiedKFold(FOLDS).split(X, y):
        X_train, X_test, y_train = X[train], X[test], y[train]
        for _, member in members:
            model = clone(member)
            start = process_time()
            model.fit(X_train, y_train).predict_proba(X_test)
            seconds += process_time() - start
    for _, member in members if refit else []:
        model = clone(member)
        start = process_time()
        model.fit(X, y)
        seconds += process_time() - start
    return seconds


def theirs(members, C=1.0):
    return StackingClassifier(members, LogisticRegression(C=C), cv=FOLDS)


def ours(members, combiner="same", **options):
    combiner = LogisticRegression() if combiner == "same" else combiner
    return StackedClassifier(members, combiner, cv=FOLDS, **options)


def verdict(value, target, *, at_least=False):
    met = value >= target if at_least else value <= target
    sign = ">=" if at_least else "<="
    return f"(target {sign} {target}: {'met' if met else 'MISSED'})"


def show(label, value, note="", target=None, **options):
    note += "" if target is None else f"  {verdict(value, target, **options)}"
    print(f"  {label:<50}{value:>8.3f}  {note}", flush=True)


def bench_fit(label, members, X, y, targets, repeats):
    """Ratios of runs that stand side by side, so that a busy machine cancels."""
    print(f"\n{label}: {len(members)} members, X {X.shape}, {FOLDS} folds")
    runs = {
        "work": lambda: member_work(members, X, y),
        "sklearn": lambda: cpu(lambda: theirs(members).fit(X, y)),
        "all": lambda: cpu(lambda: ours(members, refit="all").fit(X, y)),
        "selected": lambda: cpu(lambda: ours(members).fit(X, y)),
        "none": lambda: cpu(lambda: ours(members, refit="none").fit(X, y)),
        "own combiner": lambda: cpu(lambda: ours(members, None).fit(X, y)),
    }
    seconds = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            seconds[name].append(run())

    def ratio(a, b):
        pairs = zip(seconds[a], seconds[b], strict=True)
        return statistics.median(x / y for x, y in pairs)

    work, sklearn = (statistics.median(seconds[k]) for k in ("work", "sklearn"))
    print(f"  members' own work {work:.3f} s, StackingClassifier {sklearn:.3f} s")
    show("overhead over members' work, StackingClassifier", ratio("sklearn", "work"))
    show("overhead over members' work, refit='all'", ratio("all", "work"), "", targets[0])
    show("refit='all' / StackingClassifier", ratio("all", "sklearn"))
    show("refit='selected' / StackingClassifier", ratio("selected", "sklearn"))
    show("refit='none' / StackingClassifier", ratio("none", "sklearn"), "", targets[1])
    show("default combiner / StackingClassifier", ratio("own combiner", "sklearn"))


def bench_predict(label, members, X, y, repeats):
    stacked, theirs_ = ours(members).fit(X, y), theirs(members).fit(X, y)
    models = list(stacked.cross_fit_.estimators_.values())

    def each():
        for model in models:
            model.predict_proba(X)

    runs = each, lambda: stacked.predict_proba(X), lambda: theirs_.predict_proba(X)
    seconds = np.array([[cpu(run) for run in runs] for _ in range(repeats)])
    ratios = np.median(seconds / seconds[:, :1], axis=0)
    show(f"predict_proba / members', {label}, StackingClassifier", ratios[2])
    show(f"predict_proba / members', {label}", ratios[1], "", 1.03)


def bench_memory(n_samples=100_000, n_features=50, n_members=8):
    """Traced peak of a fit beyond what was there before."""
    X, y = table(n_samples, n_features)
    members = [(f"bayes{i}", GaussianNB()) for i in range(n_members)]
    print(f"\nTraced peak of fit, X {X.shape}, {X.nbytes / 1e6:.0f} MB, {n_members} x NB")
    library = n_samples * n_members * 8
    for name, make in (("StackingClassifier", theirs), ("ours", ours)):
        gc.collect()
        tracemalloc.start()
        make(members).fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        target = 1.0 if name == "ours" else None
        note = f"{peak / 1e6:.0f} MB"
        show(f"peak / (X + library), {name}", peak / (X.nbytes + library), note, target)


def search_members():
    return [
        ("forest", RandomForestClassifier(8, max_depth=6, random_state=0)),
        ("boosting", HistGradientBoostingClassifier(max_iter=8, random_state=0)),
        ("linear", LogisticRegression(max_iter=1000)),
    ]


def bench_search(n_settings, target, n_samples=1000, n_features=20):
    """The grid over the combiner's C; each is timed once, for it runs long."""
    X, y = table(n_samples, n_features)
    grid, members = np.logspace(-3, 2, n_settings), search_members()
    print(f"\nGridSearchCV: {n_settings} settings x 5 folds, X {X.shape}, 3 members")
    with tempfile.TemporaryDirectory() as folder:
        search = GridSearchCV(ours(members, memory=folder), {"combiner__C": grid}, cv=5)
        seconds = cpu(lambda: search.fit(X, y))
    other = GridSearchCV(theirs(members), {"final_estimator__C": grid}, cv=5)
    their_seconds = cpu(lambda: other.fit(X, y))
    note = f"{their_seconds:.1f} s / {seconds:.1f} s"
    show("StackingClassifier / ours", their_seconds / seconds, note, target, at_least=True)
    scores = (s.cv_results_["mean_test_score"] for s in (search, other))
    away = np.abs(np.subtract(*scores)).max()
    print(f"  scores differ by {away:.1e}  {verdict(away, 1e-12)}")


def bench_cache(repeats=5):
    """A first fit that stores everything; tasks of about 0.2 s."""
    X, y = table(1500, 30)
    members = [("forest", RandomForestClassifier(60, random_state=0))]
    print("\nCache: a forest of 60 trees, tasks of about 0.2 s")
    rows = []
    for _ in range(repeats):
        plain = cpu(lambda: ours(members, refit="all").fit(X, y))
        with tempfile.TemporaryDirectory() as folder:
            storing = ours(members, refit="all", memory=folder)
            first = cpu(lambda s=storing: s.fit(X, y))
            again = cpu(lambda s=storing: clone(s).fit(X, y))
        rows.append((plain, first / plain, again / plain))
    plain, first, again = np.median(rows, axis=0)
    note = f"{plain / (FOLDS + 1):.2f} s per task"
    show("first fit with memory / without", first, note, 1.05)
    show("second fit with memory / without", again)


COLD = """
from time import perf_counter
start = perf_counter()
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
X, y = load_breast_cancer(return_X_y=True)
members = [("bayes", GaussianNB()), ("linear", LogisticRegression(max_iter=5000))]
{}.fit(X, y)
print(perf_counter() - start)
"""


def bench_cold_start(repeats=3):
    print("\nCPU of a fresh process: imports and a small fit (numba's cache is warm)")
    for label, code in {
        "StackingClassifier": "from sklearn.ensemble import StackingClassifier as S\n"
        "S(members)",
        "ours": "from ensemblekit import StackedClassifier as S\nS(members)",
    }.items():
        code = COLD.format(code).replace("print(", "str(")
        seconds = [harness.cpu_of_process(code) for _ in range(repeats + 1)][1:]
        show(f"{label}, seconds", statistics.median(seconds))


def main():
    harness.print_header("Cross-fitting core: CPU time, medians of paired ratios")
    heavy, cheap = table(2500, 30), table(1000, 20)
    parts = {
        "heavy": partial(
            bench_fit, "Heavy", heavy_members(), *heavy, (1.03, 0.78), repeats=3
        ),
        "cheap": partial(
            bench_fit, "Cheap", cheap_members(), *cheap, (1.25, 0.65), repeats=5
        ),
        "predict": lambda: (
            print("\nPrediction"),
            bench_predict("heavy", heavy_members(), *heavy, repeats=25),
            bench_predict("cheap", cheap_members(), *cheap, repeats=25),
        ),
        "memory": bench_memory,
        "search8": partial(bench_search, 8, 6.0),
        "search40": partial(bench_search, 40, 20.0),
        "cache": bench_cache,
        "cold": bench_cold_start,
    }
    start = perf_counter()
    for name in sys.argv[1:] or parts:
        parts[name]()
    print(f"\nAll in {perf_counter() - start:.0f} s")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        main()
