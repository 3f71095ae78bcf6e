"""
Compare combiners on one library
================================

The members are fitted once. Each combiner is then scored on folds that it was not
fitted on, and the mean of the members is the one to beat.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor

from ensemblekit import (
    AverageRegressor,
    ConvexRegressor,
    CrossFit,
    EnsembleSelectionRegressor,
    LinearStackRegressor,
    cross_fitted_predictions,
)

X, y = load_diabetes(return_X_y=True)
members = [
    ("ridge", RidgeCV()),
    ("trees", ExtraTreesRegressor(50, min_samples_leaf=5)),
    ("nearest", KNeighborsRegressor(20)),
    ("tree", DecisionTreeRegressor(max_depth=8)),
]
cross_fit = CrossFit(members, refit="none", random_state=0).fit(X, y)
print(f"{cross_fit.n_fits_} fits of members, then none")
library = cross_fit.library_
combiners = {
    "single best": EnsembleSelectionRegressor(n_rounds=1),
    "median": AverageRegressor(kind="median"),
    "greedy selection": EnsembleSelectionRegressor(),
    "convex weights": ConvexRegressor(),
    "linear stacking": LinearStackRegressor(),
    "scikit-learn's RidgeCV": RidgeCV(),
}
errors = {
    name: (y - cross_fitted_predictions(combiner, library)) ** 2
    for name, combiner in combiners.items()
}

# %%
# Squared errors less those of the mean, with paired standard errors over the rows.
mean = (y - library.P.mean(axis=1)) ** 2
figure, ax = plt.subplots(layout="constrained")
for name, error in reversed(errors.items()):
    gain, se = np.mean(error - mean), np.std(error - mean) / len(y) ** 0.5
    ax.errorbar(gain, name, xerr=se, fmt="o", color="#0072B2")
    print(f"{name:22} {gain:+7.1f} ± {se:.1f}")
ax.axvline(0.0, color="#808080", linestyle="--")
ax.set_xlabel("squared error less that of the mean; left is better")
plt.show()
