"""Calibrate a stack of models: intervals, their coverage by group, and a few checks."""

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split

from ensemblekit import (
    ConformalRegressor,
    ForestQuantileRegressor,
    StackedRegressor,
    coverage_by_width,
    interval_coverage,
)

X, y = load_diabetes(return_X_y=True)
X, X_new, y, y_new = train_test_split(X, y, test_size=0.4, random_state=0)
trees = ExtraTreesRegressor(100, min_samples_leaf=5, random_state=0)
members = [("ridge", Ridge(0.1)), ("trees", trees)]
stack = StackedRegressor(members, random_state=0)

methods = {
    "split": ConformalRegressor(stack, random_state=0),
    "cv+": ConformalRegressor(stack, method="cv+", random_state=0),
    "cqr": ConformalRegressor(
        ForestQuantileRegressor(trees), method="cqr", random_state=0
    ),
}
print(f"90 % intervals of {len(y_new)} new rows")
for name, conformal in methods.items():
    intervals = conformal.fit(X, y).predict_interval(X_new, alpha=0.1)
    table = interval_coverage(y_new, *intervals.T, alpha=0.1)
    width = np.diff(intervals, axis=1).mean()
    print(
        f"{name:14} cover {table.coverage[0]:.3f} "
        f"({table.low[0]:.3f} .. {table.high[0]:.3f}), mean width {width:.0f}"
    )

# Coverage is an average: by the width of the intervals it may differ.
print("\ncqr, by width")
table = coverage_by_width(y_new, intervals, 0.1, n_bins=3)
parts = zip(table.coverage, table.low, table.high, strict=True)
for third, (share, low, high) in zip(("narrow", "middle", "wide"), parts, strict=True):
    print(f"{third:8} {share:.3f} ({low:.3f} .. {high:.3f})")

# Groups of their own (Mondrian): coverage holds within each.
sex, sex_new = X[:, 1] > 0.0, X_new[:, 1] > 0.0
grouped = ConformalRegressor(stack, random_state=0).fit(X, y, groups=sex)
intervals = grouped.predict_interval(X_new, groups=sex_new)
table = interval_coverage(y_new, *intervals.T, alpha=0.1, groups=sex_new)
print("\nby group, each calibrated by itself:", table.coverage.round(3))
