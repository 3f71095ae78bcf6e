"""Split conformal and conformalised quantiles against MAPIE and crepes.

100,000 rows calibrate and 100,000 rows are predicted; all share one fitted model. Times
of CPU, of what a user calls: intervals with the points that they also
return. The base model's own prediction, timed in turn with each, is the
floor of all of them.

    python benchmarks/bench_conformal_split.py
"""

import logging
import warnings
from statistics import median
from time import process_time

import harness
import numpy as np
import real_tables as real_tables_module
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from ensemblekit import (
    ConformalRegressor,
    ForestQuantileRegressor,
    PerLevelQuantileRegressor,
)
from ensemblekit.members import encode_categories

try:
    from mapie.regression import (
        ConformalizedQuantileRegressor,
        SplitConformalRegressor,
    )
except ImportError:
    SplitConformalRegressor = None
try:
    from crepes import WrapRegressor
except ImportError:
    WrapRegressor = None

N_TRAIN, N_CALIBRATION, N_NEW = 5000, 100_000, 100_000
ALPHA = 0.1
TABLES = ("uci_power", "abalone", "cqr_bike", "california_housing")


def make_rows(n, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 10))
    noise = rng.normal(size=n) * np.exp(X[:, 1])
    return X, 3 * X[:, 0] + np.sin(4 * X[:, 2]) + noise


def report(label, calibrate, predict, base, own=None):
    """Print the times of a method, and how far its bounds are from ours."""
    harness.print_row(f"{label}: calibrate", paired([calibrate], 3)[0])
    seconds, floor = paired([predict, base], 9)
    bounds = predict()
    note = f"{seconds / floor:.2f} x the model's {1e3 * floor:.2f} ms"
    if own is not None:
        note += f"; bounds differ by {np.abs(bounds - own).max():.1e} at most"
    harness.print_row(f"{label}: predict", seconds, note)
    return bounds


def paired(functions, repeats):
    """Median CPU seconds of each, called in turn after one call that is not counted."""
    times = [[] for _ in functions]
    for repeat in range(repeats + 1):
        for function, mine in zip(functions, times, strict=True):
            start = process_time()
            function()
            if repeat:
                mine.append(process_time() - start)
    return [median(mine) for mine in times]


def split(name, model):
    X, y = make_rows(N_CALIBRATION, 1)
    new, y_new = make_rows(N_NEW, 2)
    print(f"\nsplit around {name}")

    def base():
        return model.predict(new)

    ours = ConformalRegressor(model)
    own = report(
        "ConformalRegressor",
        lambda: ours.calibrate(X, y),
        lambda: ours.predict_interval(new, ALPHA),
        base,
    )
    covered = np.mean((own[:, 0] <= y_new) & (y_new <= own[:, 1]))
    print(f"  {'coverage of new rows':<46}{covered:.4f}")
    if SplitConformalRegressor is None:
        print("  MAPIE is not installed: skipped")
    else:
        mapie = SplitConformalRegressor(model, confidence_level=1 - ALPHA, prefit=True)
        mapie.conformalize(X, y)
        report(
            "MAPIE",
            lambda: SplitConformalRegressor(
                model, confidence_level=1 - ALPHA, prefit=True
            ).conformalize(X, y),
            lambda: mapie.predict_interval(new)[1][:, :, 0],
            base,
            own,
        )
    if WrapRegressor is None:
        print("  crepes is not installed: skipped")
    else:
        crepes = WrapRegressor(model)
        report(
            "crepes",
            lambda: crepes.calibrate(X, y),
            lambda: crepes.predict_int(new, confidence=1 - ALPHA),
            base,
            own,
        )


def quantiles():
    X, y = make_rows(N_CALIBRATION, 1)
    new, y_new = make_rows(N_NEW, 2)
    print("\nconformalised quantiles, histogram boosting of 50 trees at each level")
    boosting = HistGradientBoostingRegressor(loss="quantile", max_iter=50)
    two = PerLevelQuantileRegressor(boosting, [ALPHA / 2, 1 - ALPHA / 2])
    model = two.fit(*make_rows(N_TRAIN, 0))
    own = None

    def base():
        return model.predict_quantiles(new)  # two levels

    for method in ("cqr", "cqr-asymmetric", "cqr-r"):
        ours = ConformalRegressor(model, method=method)
        bounds = report(
            f"ConformalRegressor, {method}",
            lambda ours=ours: ours.calibrate(X, y),
            lambda ours=ours: ours.predict_interval(new, ALPHA),
            base,
        )
        own = bounds if method == "cqr" else own
        covered = np.mean((bounds[:, 0] <= y_new) & (y_new <= bounds[:, 1]))
        print(f"  {'coverage of new rows':<46}{covered:.4f}")
    if SplitConformalRegressor is None:
        print("  MAPIE is not installed: skipped")
        return
    middle = PerLevelQuantileRegressor(boosting, [0.5]).fit(*make_rows(N_TRAIN, 0))
    parts = [*model.estimators_, *middle.estimators_]  # MAPIE wants a median too
    mapie = ConformalizedQuantileRegressor(
        parts, confidence_level=1 - ALPHA, prefit=True
    )
    mapie.conformalize(X, y)
    report(
        "MAPIE, symmetric",
        lambda: ConformalizedQuantileRegressor(
            parts, confidence_level=1 - ALPHA, prefit=True
        ).conformalize(X, y),
        lambda: mapie.predict_interval(new, symmetric_correction=True)[1][:, :, 0],
        base,
        own,
    )


def real_tables(n_seeds=20, n_calibration=500):
    """Print the coverage of new rows, mean over seeds, and the mean width."""
    tables = [t for t in _tables() if t.name in TABLES]
    if not tables:
        print("\nthe folder of real tables is not at hand: skipped")
        return
    print(f"\ncoverage at {1 - ALPHA:.0%}, {n_calibration} rows calibrate, mean of")
    print(f"{n_seeds} seeds (y in units of its deviation); method, coverage, width")
    forest = ForestQuantileRegressor(ExtraTreesRegressor(30, min_samples_leaf=5))
    model = make_pipeline(encode_categories(), forest)
    for table in tables:
        X, y = real_tables_module.read_table(table)
        print(f"  {table.name}")
        for method in ("split", "split, spread", "cqr", "cqr-asymmetric", "cqr-r"):
            found = [
                _covered(model, method, X, y, s, n_calibration) for s in range(n_seeds)
            ]
            coverage, width = np.mean(found, axis=0)
            print(f"    {method:<44}{coverage:>10.4f}{width:>10.3f}")


def _tables():
    found = (real_tables_module.DATA / "manifest.csv").exists()
    return real_tables_module.read_manifest() if found else []


def _covered(model, method, X, y, seed, n_calibration):
    rows = np.random.default_rng(seed).permutation(len(y))
    train, test = rows[:2000], rows[2000:4000]
    conformal = ConformalRegressor(
        model,
        method=method.partition(",")[0],
        alpha=ALPHA,
        calibration_size=n_calibration,
        normalizer="spread" if "spread" in method else None,
        random_state=seed,
    ).fit(X.iloc[train], y[train])
    low, high = conformal.predict_interval(X.iloc[test]).T
    return np.mean((low <= y[test]) & (y[test] <= high)), np.mean(high - low)


def main():
    harness.print_header(
        f"Split conformal: {N_CALIBRATION} calibration rows, {N_NEW} new rows, "
        "10 features"
    )
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with threadpool_limits(1):
        train = make_rows(N_TRAIN, 0)
        split("least squares", LinearRegression().fit(*train))
        boosting = HistGradientBoostingRegressor(max_iter=50).fit(*train)
        split("histogram boosting of 50 trees", boosting)
        quantiles()
        real_tables()


if __name__ == "__main__":
    main()
