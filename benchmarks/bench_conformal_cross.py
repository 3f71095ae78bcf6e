"""CV+ and jackknife+-after-bootstrap: intervals of new rows, against MAPIE.

Both libraries fit the same linear models on the same folds; only the prediction of
intervals is timed, that of the models included. CV+ is compared bit by bit. Bags are
MAPIE's, handed to the function of arrays; there the models' predictions are timed apart
from MAPIE's own, which contains them: they take under 1 ms.
"""

import tracemalloc
import warnings
from importlib.metadata import version
from statistics import median
from time import perf_counter

import harness
import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from ensemblekit import (
    ConformalRegressor,
    cross_conformal_interval,
    jackknife_after_bootstrap_interval,
)

try:
    from mapie.regression import (
        CrossConformalRegressor,
        JackknifeAfterBootstrapRegressor,
    )
except ImportError:
    CrossConformalRegressor = None

CROSS = [(1000, 1000), (5000, 2000), (20_000, 500)]
BAGS = [(2000, 500, 30), (5000, 500, 30), (20_000, 500, 30)]


def rows(n, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    return X, X @ np.arange(5.0) + rng.normal(size=n)


def both(ours, theirs, repeats=9):
    """Median seconds of each, in turn, so that a busy machine slows both."""
    ours(), theirs()
    times = []
    for _ in range(repeats):
        start = perf_counter()
        ours()
        middle = perf_counter()
        theirs()
        times.append((middle - start, perf_counter() - middle))
    return [median(each) for each in zip(*times, strict=True)]


def cross(n, n_new):
    X, y = rows(n, 0)
    new, _ = rows(n_new, 1)
    ours = ConformalRegressor(LinearRegression(), method="cv+", cv=KFold(5)).fit(X, y)
    theirs = CrossConformalRegressor(
        LinearRegression(), confidence_level=0.9, cv=KFold(5)
    ).fit_conformalize(X, y)
    own, peer = both(
        lambda: ours.predict_interval(new), lambda: theirs.predict_interval(new)
    )
    equal = np.array_equal(
        ours.predict_interval(new), theirs.predict_interval(new)[1][:, :, 0]
    )
    harness.print_row(f"CV+ {n} x {n_new}: ensemblekit", own)
    note = f"{peer / own:.1f} times; bitwise equal: {equal}"
    harness.print_row(f"CV+ {n} x {n_new}: MAPIE", peer, note)


def bags(n, n_new, n_bags):
    X, y = rows(n, 0)
    new, _ = rows(n_new, 1)
    theirs = JackknifeAfterBootstrapRegressor(
        LinearRegression(), confidence_level=0.9, resampling=n_bags, random_state=0
    ).fit_conformalize(X, y)
    fitted = theirs._mapie_regressor.estimator_
    in_bag = np.nan_to_num(fitted.k_) == 0
    held_out = np.column_stack([model.predict(X) for model in fitted.estimators_])

    def ours():
        P = np.column_stack([model.predict(new) for model in fitted.estimators_])
        return jackknife_after_bootstrap_interval(y, in_bag, held_out, P)

    own, peer = both(ours, lambda: theirs.predict_interval(new), repeats=5)
    gap = np.abs(ours() - theirs.predict_interval(new)[1][:, :, 0]).max()
    name = f"bags {n} x {n_new}, {n_bags} bags"
    harness.print_row(f"{name}: ensemblekit", own, f"peak {peak_of(ours):.0f} MB")
    memory = peak_of(lambda: theirs.predict_interval(new))
    note = f"peak {memory:.0f} MB; {peer / own:.1f} times; largest difference {gap:.1e}"
    harness.print_row(f"{name}: MAPIE", peer, note)


def peak_of(function):
    """Peak of traced memory in MB."""
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def large(n, n_new, n_folds):
    rng = np.random.default_rng(2)
    y, held_out = rng.normal(size=(2, n))
    folds = rng.integers(0, n_folds, n)
    P = rng.normal(size=(n_new, 1)) + 0.1 * rng.normal(size=(n_new, n_folds))
    start = perf_counter()
    cross_conformal_interval(y, held_out, folds, P)
    seconds = perf_counter() - start
    memory = peak_of(lambda: cross_conformal_interval(y, held_out, folds, P))
    note = f"peak {memory:.0f} MB; all pairs would take {8e-9 * n * n_new:.0f} GB"
    harness.print_row(f"CV+ {n} x {n_new}, {n_folds} folds", seconds, note)


def main():
    harness.print_header("Intervals of new rows, 90 %, linear models")
    if CrossConformalRegressor is None:
        print("skipped: MAPIE is not installed")
    else:
        print(f"MAPIE {version('mapie')}\n")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for case in CROSS:
                cross(*case)
            for case in BAGS:
                bags(*case)
    large(100_000, 100_000, 5)
    large(100_000, 100_000, 10)


if __name__ == "__main__":
    main()
