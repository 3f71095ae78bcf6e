"""The cross-fitting core against scikit-learn's StackingClassifier, in one process."""

import gc
import statistics
import sys
import tempfile
import tracemalloc
import warnings
from functools import partial, wraps
from time import perf_counter, process_time

import harness
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
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
    return trees + [
        (f"bayes{i}", GaussianNB(var_smoothing=s)) for i, s in enumerate(smooth)
    ]


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


class Watch:
    """CPU seconds inside the members' own fit and predict_proba, in a real run.

    Two runs on a busy machine differ by more than what lies outside the members.
    """

    def __init__(self, members):
        self.kinds = {type(member) for _, member in members}
        self.inside, self._within = 0.0, False

    def __enter__(self):
        self._before = [
            (kind, name, kind.__dict__.get(name))
            for kind in self.kinds
            for name in ("fit", "predict_proba")
        ]
        wrapped = [(k, n, self._timed(getattr(k, n))) for k, n, _ in self._before]
        for kind, name, method in wrapped:
            setattr(kind, name, method)
        return self

    def __exit__(self, *_):
        for kind, name, method in self._before:
            if method is None:
                delattr(kind, name)
            else:
                setattr(kind, name, method)

    def _timed(self, method):
        @wraps(method)
        def timed(model, *args, **options):
            if self._within or type(model) not in self.kinds:
                return method(model, *args, **options)
            self._within = True
            start = process_time()
            try:
                return method(model, *args, **options)
            finally:
                self.inside += process_time() - start
                self._within = False

        return timed

    def overhead(self, function):
        """Return CPU seconds of a call, and the same over the members' own."""
        self.inside = 0.0
        with self:
            seconds = cpu(function)
        return seconds, seconds / self.inside


class Combiner(LogisticRegression):
    """Not one of the kinds of members."""


def theirs(members, C=1.0):
    return StackingClassifier(members, Combiner(C=C), cv=FOLDS)


def ours(members, combiner="same", **options):
    combiner = Combiner() if combiner == "same" else combiner
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
    stacks = {
        "sklearn": theirs(members),
        "all": ours(members, refit="all"),
        "selected": ours(members),
        "none": ours(members, refit="none"),
        "own combiner": ours(members, None),
    }
    watch = Watch(members)
    rows = [
        [watch.overhead(lambda s=s: s.fit(X, y)) for s in stacks.values()]
        for _ in range(repeats)
    ]
    rows = np.array(rows)  # (repeat, stack, seconds and overhead)
    seconds = dict(zip(stacks, rows[:, :, 0].T, strict=True))
    overhead = dict(zip(stacks, np.median(rows[:, :, 1], axis=0), strict=True))

    def ratio(name):
        return np.median(seconds[name] / seconds["sklearn"])

    bare = seconds["none"] / rows[:, 3, 1] / seconds["sklearn"]
    print(f"  StackingClassifier {np.median(seconds['sklearn']):.3f} s")
    show("overhead over members' work, StackingClassifier", overhead["sklearn"])
    show("overhead over members' work, refit='all'", overhead["all"], "", targets[0])
    show("overhead over members' work, refit='none'", overhead["none"])
    show("refit='all' / StackingClassifier", ratio("all"))
    show("refit='selected' / StackingClassifier", ratio("selected"))
    show("refit='none' / StackingClassifier", ratio("none"), "", targets[1])
    show("members' own work of that / StackingClassifier", np.median(bare))
    show("default combiner / StackingClassifier", ratio("own combiner"))


def bench_predict(label, members, X, y, repeats):
    watch = Watch(members)
    for name, stacked in (
        ("StackingClassifier", theirs(members)),
        ("ours", ours(members)),
    ):
        stacked.fit(X, y).predict_proba(X)
        runs = [
            watch.overhead(lambda s=stacked: s.predict_proba(X)) for _ in range(repeats)
        ]
        value = statistics.median(overhead for _, overhead in runs)
        target = 1.03 if name == "ours" else None
        show(f"predict_proba / members', {label}, {name}", value, "", target)


class Light(ClassifierMixin, BaseEstimator):
    """Takes no memory of its own, so that only what it is handed is counted."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1.0 / len(self.classes_))

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def traced_peak(stacked, X, y):
    gc.collect()
    tracemalloc.start()
    stacked.fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def bench_memory(n_samples=100_000, n_features=50, n_members=8):
    """Traced peak of a fit beyond what was there before."""
    X, y = table(n_samples, n_features)
    size = X.nbytes / 1e6
    print(f"\nTraced peak of fit, X {X.shape}, {size:.0f} MB, {n_members} members")
    allowed = X.nbytes + n_samples * n_members * 8
    for label, member in (("no memory of their own", Light()), ("NB", GaussianNB())):
        members = [(f"m{i}", member) for i in range(n_members)]
        for name, make in (("StackingClassifier", theirs), ("ours", ours)):
            peak = traced_peak(make(members), X, y)
            target = (
                1.0 if (name, label) == ("ours", "no memory of their own") else None
            )
            note = f"{peak / 1e6:.0f} MB"
            show(f"/ (X + library), {label}, {name}", peak / allowed, note, target)


def search_members():
    return [
        ("forest", RandomForestClassifier(40, random_state=0)),
        ("boosting", HistGradientBoostingClassifier(max_iter=30, random_state=0)),
        ("linear", LogisticRegression(max_iter=1000)),
    ]


def bench_search(n_samples=1500, n_features=20, outer=5):
    """Grids over the combiner's C; theirs has 2 settings and is scaled by its fits."""
    X, y = table(n_samples, n_features)
    members = search_members()
    print(
        f"\nGridSearchCV over C of the combiner, {outer} folds, X {X.shape}, 3 members"
    )
    with tempfile.TemporaryDirectory() as folder:  # loads what models are stored with
        ours(members, memory=folder).fit(X[:100], y[:100])
    few = np.array([0.1, 10.0])
    search = GridSearchCV(theirs(members), {"final_estimator__C": few}, cv=outer)
    each = cpu(lambda: search.fit(X, y)) / (len(few) * outer + 1)
    their_scores = search.cv_results_["mean_test_score"]
    for n_settings, target in ((8, 6.0), (40, 20.0)):
        grid = np.r_[few, np.logspace(-3, 2, n_settings - len(few))]
        with tempfile.TemporaryDirectory() as folder:
            stack = ours(members, memory=folder)
            search = GridSearchCV(stack, {"combiner__C": grid}, cv=outer)
            seconds = cpu(lambda s=search: s.fit(X, y))
        theirs_ = each * (n_settings * outer + 1)
        away = np.abs(search.cv_results_["mean_test_score"][:2] - their_scores).max()
        note = (
            f"{theirs_:.0f} s (scaled) / {seconds:.1f} s; scores differ by {away:.0e}"
        )
        label = f"StackingClassifier / ours, {n_settings} settings"
        show(label, theirs_ / seconds, note, target, at_least=True)


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
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
X, y = load_breast_cancer(return_X_y=True)
members = [("bayes", GaussianNB()), ("tree", DecisionTreeClassifier(max_depth=3))]
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
            bench_fit, "Heavy", heavy_members(), *heavy, (1.03, 0.78), repeats=9
        ),
        "cheap": partial(
            bench_fit, "Cheap", cheap_members(), *cheap, (1.25, 0.65), repeats=9
        ),
        "predict": lambda: (
            print("\nPrediction"),
            bench_predict("heavy", heavy_members(), *heavy, repeats=41),
            bench_predict("cheap", cheap_members(), *cheap, repeats=41),
        ),
        "memory": bench_memory,
        "search": lambda: (bench_search(), bench_search(n_samples=5000)),
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
