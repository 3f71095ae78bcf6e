"""
Conformal calibration and its coverage
======================================

Intervals around a stack of models that hold 90 % of new rows: combined first,
calibrated once. The promise is one on average; by the width of the intervals it may
differ.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split

from ensemblekit import (
    ConformalRegressor,
    ForestQuantileRegressor,
    StackedRegressor,
    interval_coverage,
)
from ensemblekit.plot import CoverageDisplay

X, y = load_diabetes(return_X_y=True)
X, X_new, y, y_new = train_test_split(X, y, test_size=0.4, random_state=0)
trees = ExtraTreesRegressor(30, min_samples_leaf=5, random_state=0)
stack = StackedRegressor([("ridge", Ridge(0.1)), ("trees", trees)], random_state=0)
forest = ForestQuantileRegressor(trees)
methods = {
    "split": ConformalRegressor(stack, alpha=0.1, random_state=0),
    "cv+": ConformalRegressor(stack, method="cv+", alpha=0.1, random_state=0),
    "cqr": ConformalRegressor(forest, method="cqr", alpha=0.1, random_state=0),
}
print(f"90 % intervals of {len(y_new)} new rows")
for name, conformal in methods.items():
    intervals = conformal.fit(X, y).predict_interval(X_new)
    table = interval_coverage(y_new, *intervals.T, alpha=0.1)
    print(
        f"{name:6} cover {table.coverage[0]:.3f} "
        f"({table.low[0]:.3f} .. {table.high[0]:.3f}), "
        f"mean width {np.diff(intervals, axis=1).mean():.0f}"
    )

# %%
# Quantiles (``cqr``) give wide intervals where y is uncertain. Lines are what the rows
# seen say of the coverage, grey bars where the dots should lie.
figure, ax = plt.subplots(layout="constrained")
CoverageDisplay.from_estimator(methods["cqr"], X_new, y_new, n_bins=4, ax=ax)
plt.show()

# %%
# With ``groups`` each group is calibrated by itself, and coverage holds within it.
sex, sex_new = X[:, 1] > 0.0, X_new[:, 1] > 0.0
grouped = ConformalRegressor(stack, alpha=0.1, random_state=0).fit(X, y, groups=sex)
intervals = grouped.predict_interval(X_new, groups=sex_new)
table = interval_coverage(y_new, *intervals.T, alpha=0.1, groups=sex_new)
print("coverage by group:", table.coverage.round(3))
