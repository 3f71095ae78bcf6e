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
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from threadpoolctl import threadpool_limits

from ensemblekit import ConformalRegressor, PerLevelQuantileRegressor

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


if __name__ == "__main__":
    main()
