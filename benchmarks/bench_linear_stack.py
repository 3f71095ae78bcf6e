"""Linear stacks against scikit-learn: many folds and penalties, whole fits."""

import warnings
from time import perf_counter

import harness
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from ensemblekit import LinearStackClassifier
from ensemblekit.kernels import softmax_path

PENALTIES = np.logspace(2, -4, 13)


def folds_of(y):
    splitter = StratifiedKFold(5, shuffle=True, random_state=0)
    return [train for train, _ in splitter.split(y[:, None], y)]


def fits_of(features, y, parts, shared):
    """All rows and the parts, with offsets 0 and a plain ridge."""
    n_channels, n_samples, n_features = features.shape
    weight = np.ones((n_samples, len(parts) + 1))
    for column, part in enumerate(parts, start=1):
        weight[np.setdiff1d(np.arange(n_samples), part), column] = 0.0
    fold = weight[:, 1:].argmin(axis=1)
    order = np.argsort(fold, kind="stable")
    n_parameters = n_features + n_channels if shared else n_features * n_channels
    return softmax_path.Fits(
        np.ascontiguousarray(features[:, order]),
        np.zeros((n_channels, n_samples, len(parts) + 1)),
        y[order],
        weight[order] / weight.sum(axis=0),
        np.searchsorted(fold[order], np.arange(len(parts) + 1)),
        shared,
        np.eye(n_parameters),
    )


def loop(X, y, parts, penalties, **options):
    """Fit scikit-learn's regressions one by one; return coefficients by penalty."""
    path = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for penalty in penalties:
            for part in parts:
                model = LogisticRegression(
                    C=1.0 / (penalty * len(part)), fit_intercept=False, **options
                )
                path.append(model.fit(X[part], y[part]).coef_)
    return np.array(path).reshape(len(penalties), len(parts), -1)


def bench_two_classes(n_samples=4000, n_members=16):
    """The same problem for both: logits and a constant, drawn toward 0."""
    print(f"\n{n_samples} rows, {n_members} members, 2 classes: 13 penalties x 5 folds")
    P, y = harness.correlated_probabilities(n_samples, n_members)
    X = np.column_stack([np.log(P / (1.0 - P)), np.ones(n_samples)])
    parts = folds_of(y)
    fits = fits_of(X[None], y, parts, shared=False)
    ours = harness.median_seconds(lambda: softmax_path.solve_path(fits, PENALTIES))
    path = softmax_path.solve_path(fits, PENALTIES)[0][:, 1:]
    harness.print_row("all at once (and all rows)", ours)
    for label, options in {
        "newton-cholesky, tol=1e-10": {"solver": "newton-cholesky", "tol": 1e-10},
        "lbfgs, tol=1e-8": {"solver": "lbfgs", "tol": 1e-8, "max_iter": 10_000},
        "lbfgs, default tol": {"solver": "lbfgs", "max_iter": 10_000},
    }.items():
        seconds = harness.median_seconds(
            lambda options=options: loop(X, y, parts, PENALTIES, **options), repeats=3
        )
        away = np.abs(loop(X, y, parts, PENALTIES, **options) - path).max()
        note = f"{seconds / ours:.0f} x; coefficients differ by {away:.1g}"
        harness.print_row(f"LogisticRegression, {label}", seconds, note)
    search = LogisticRegressionCV(
        Cs=1.0 / (PENALTIES * len(parts[0])),
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
        fit_intercept=False,
        scoring="neg_log_loss",
        tol=1e-8,
        max_iter=10_000,
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
    )
    seconds = harness.median_seconds(lambda: search.fit(X, y), repeats=3)
    note = f"{seconds / ours:.0f} x"
    harness.print_row("LogisticRegressionCV, lbfgs, tol=1e-8", seconds, note)


def bench_many_classes(n_samples=4000, n_members=16, n_classes=10):
    """scikit-learn has no weights by member: its model is the larger one."""
    print(f"\n{n_samples} rows, {n_members} members, {n_classes} classes, as above")
    P, y = harness.correlated_class_probabilities(n_samples, n_members, n_classes)
    cube = np.log(np.maximum(P, 1e-2)).reshape(n_samples, n_members, n_classes)
    features = cube - cube.mean(axis=2, keepdims=True)
    parts = folds_of(y)
    start = perf_counter()
    flat = features.reshape(n_samples, -1)
    loop(flat, y, parts[:1], PENALTIES[::3], solver="lbfgs", tol=1e-8, max_iter=10_000)
    theirs = (perf_counter() - start) * 5 * 13 / 5
    for shared in (True, False):
        fits = fits_of(features.transpose(2, 0, 1), y, parts, shared)
        ours = harness.median_seconds(
            lambda fits=fits: softmax_path.solve_path(fits, PENALTIES), repeats=3
        )
        label = "a weight for each member" if shared else "a weight for each column"
        n_parameters = len(fits.stiffness)
        harness.print_row(
            f"{label}, {n_parameters} parameters", ours, f"{theirs / ours:.0f} x"
        )
    note = f"{flat.shape[1] * n_classes} parameters; five penalties of one fold, x 13"
    harness.print_row("LogisticRegression, lbfgs, tol=1e-8", theirs, note)


def bench_classifier(P, y):
    """Whole fits: six convex mixtures, 13 penalties on all rows and five folds."""
    print(f"\nLinearStackClassifier().fit, {len(y)} rows, {y.max() + 1} classes")
    for weights in ("shared", "per_class"):
        for features in ("log", "probability", "both"):
            combiner = LinearStackClassifier(weights=weights, features=features)
            seconds = harness.median_seconds(lambda c=combiner: c.fit(P, y))
            harness.print_row(f"{weights}, {features}", seconds)


if __name__ == "__main__":
    harness.print_header("Linear stacks")
    with threadpool_limits(1):
        bench_two_classes()
        bench_many_classes()
        bench_classifier(*harness.correlated_probabilities(4000, 16))
        bench_classifier(*harness.correlated_class_probabilities(4000, 16, 10))
