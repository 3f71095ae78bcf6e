"""LinearStackRegressor: all folds and penalties at once, and one by one.

The loop fits scikit-learn's Ridge for each of 5 folds x 19 penalties on the same
objective (around the same convex weights) and has to choose the same penalty, with the
same held-out losses and weights to 1e-8.
"""

import warnings

import numpy as np
from harness import correlated_members, median_seconds, print_header, print_row
from sklearn.linear_model import HuberRegressor, Ridge, RidgeCV
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits

from ensemblekit import ConvexRegressor, LinearStackRegressor

RIDGES = np.logspace(3, -6, 19)


def fit_ridge(P, y, convex, ridge, level, variance):
    """Weights and intercept of one penalty, by scikit-learn's Ridge."""
    m = P.shape[1]
    size = np.sqrt(variance * m)  # so that the intercept is penalised in deviations
    features = np.column_stack([P - level, np.full(len(y), size)])
    model = Ridge(alpha=ridge * variance * m * len(y), fit_intercept=False)
    model.fit(features, y - P @ convex)
    weights = convex + model.coef_[:-1]
    return weights, model.coef_[-1] * size + level * (1.0 - weights.sum())


def loop_of_ridge(P, y, splits):
    """The same search, one fit for each fold and penalty."""
    level, variance = y.mean(), y.var()
    losses = np.empty((len(splits), len(RIDGES)))
    for k, (train, test) in enumerate(splits):
        rows = P[train], y[train]
        convex = ConvexRegressor(ridge=0).fit(*rows).weights_
        for j, ridge in enumerate(RIDGES):
            weights, intercept = fit_ridge(*rows, convex, ridge, level, variance)
            losses[k, j] = np.mean((y[test] - P[test] @ weights - intercept) ** 2)
    means = losses.mean(axis=0)
    best = RIDGES[np.argmin(means)]
    convex = ConvexRegressor(ridge=0).fit(P, y).weights_
    return means, best, fit_ridge(P, y, convex, best, level, variance)


def grid_of_ridge(P, y, splits):
    """scikit-learn's own search of as many penalties, toward zero."""
    return RidgeCV(RIDGES * len(y) * y.var() * P.shape[1], cv=splits).fit(P, y)


def check_same(found, P, y, splits):
    means, best, (weights, intercept) = loop_of_ridge(P, y, splits)
    assert best == found.ridge_
    np.testing.assert_allclose(found.cv_losses_, means, rtol=1e-8)
    np.testing.assert_allclose(found.weights_, weights, atol=1e-8)
    np.testing.assert_allclose(found.intercept_, intercept, atol=1e-8)


def compare(n_samples, n_members, repeats):
    P, y = correlated_members(n_samples, n_members)
    splits = list(KFold(5, shuffle=True, random_state=0).split(P))
    combiner = LinearStackRegressor(cv=splits)
    check_same(combiner.fit(P, y), P, y, splits)
    print(f"{n_samples} rows, {n_members} members, 5 folds x 19 penalties")
    ours = median_seconds(lambda: combiner.fit(P, y))
    print_row("LinearStackRegressor", ours)
    for label, search in [
        ("loop of Ridge, the same objective", loop_of_ridge),
        ("RidgeCV(cv=splits), toward zero", grid_of_ridge),
    ]:
        seconds = median_seconds(lambda search=search: search(P, y, splits), repeats)
        print_row(label, seconds, f"{seconds / ours:.0f} x")
    once = median_seconds(lambda: RidgeCV(RIDGES).fit(P, y), repeats)
    print_row("RidgeCV, leave-one-out", once, f"{once / ours:.1f} x")
    compare_huber(P, y, splits)


def compare_huber(P, y, splits):
    huber = LinearStackRegressor(loss="huber", cv=splits)
    ours = median_seconds(lambda: huber.fit(P, y), 3)
    print_row("LinearStackRegressor(loss='huber')", ours)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it stops at 100 iterations
        one = median_seconds(lambda: HuberRegressor(alpha=1e-3).fit(P, y), 1)
    print_row("96 x one fit of HuberRegressor", 96 * one, f"{96 * one / ours:.0f} x")


if __name__ == "__main__":
    print_header("Linear stacking of values")
    with threadpool_limits(1):
        compare(4000, 16, 5)
        compare(50_000, 50, 1)
